//! The rails a gateway has: providers with the merchant's keys, and accounts that only the operator sees.

use std::sync::Arc;

use super::GatewayRail;
use crate::payment::{Answer, Notifies, Rail};
use crate::vocabulary::{
    ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest, Standing,
};

/// A provider that tells of payments by itself.
pub(super) struct Speaking(pub Arc<dyn Notifies>);

impl Rail for Speaking {
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

impl GatewayRail for Speaking {
    fn notifies(&self) -> Option<&dyn Notifies> {
        Some(&*self.0)
    }

    fn bears(&self, given: &str, attach: &str) -> bool {
        self.0.is_attach(given, attach)
    }
}

/// An account whose bank can't be asked: the kiosk makes the code, and the operator's notice says what was paid. What no
/// notice has told is not there, and what is to go back goes by a person's hand.
pub(super) struct Silent;

impl Rail for Silent {
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

impl GatewayRail for Silent {}
