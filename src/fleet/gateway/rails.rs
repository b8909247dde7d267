//! The rails a gateway has: providers with the merchant's keys, and accounts that only the operator sees.

use std::sync::Arc;

use super::GatewayRail;
use crate::payment::{Answer, Notifies, Rail};
use crate::vocabulary::{
    ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest, Standing,
};

/// A rail whose provider sends notifications of payments.
pub(super) struct ProviderRail(pub Arc<dyn Notifies>);

impl Rail for ProviderRail {
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
        self.0.create(charge)
    }

    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        self.0.query(charge)
    }

    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        self.0.close(charge)
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.0.refund(refund)
    }

    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.0.query_refund(refund)
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.0.probe()
    }
}

impl GatewayRail for ProviderRail {
    fn notifies(&self) -> Option<&dyn Notifies> {
        Some(&*self.0)
    }

    fn attach_matches(&self, given: &str, attach: &str) -> bool {
        self.0.is_attach(given, attach)
    }
}

/// A rail whose bank can't be asked: the kiosk makes the QR itself, and the operator's notices say what was paid.
/// Queries answer that the charge is absent, and refunds fail, so that a person makes them.
pub(super) struct NoticeOnlyRail;

impl Rail for NoticeOnlyRail {
    fn create<'a>(&'a self, _: &'a NewCharge) -> Answer<'a, Created> {
        let why = "the kiosk makes this code itself".to_owned();
        Box::pin(async move { Err(RailError::Refused { code: "EMV".into(), why }) })
    }

    fn query<'a>(&'a self, _: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        let nothing = ChargeReport { standing: Standing::Absent, payments: Vec::new(), returned: 0, attach: None };
        Box::pin(async move { Ok(nothing) })
    }

    fn close<'a>(&'a self, _: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        Box::pin(async { Ok(None) })
    }

    fn refund<'a>(&'a self, _: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(async { Ok(RefundReport::Failed) })
    }

    fn query_refund<'a>(&'a self, _: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(async { Ok(RefundReport::Failed) })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl GatewayRail for NoticeOnlyRail {}
