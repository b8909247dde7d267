//! A rail whose QR (EMV merchant-presented) the kiosk makes itself, and whose payments only the operator's bank account
//! shows.
//!
//! Policy: the QR may be on the glass only while somebody watches the account, so it is made only after the gateway has
//! answered a probe. Whether it was paid is reported by the gateway or by a notice that the operator has signed; that
//! it was scanned proves nothing.

use super::{Gateway, MAX_PAYLOAD};
use crate::payment::{Answer, Rail};
use crate::vocabulary::{ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest};

/// The text of the QR for a charge.
type Payload = Box<dyn Fn(&NewCharge) -> Result<String, String> + Send + Sync>;

pub struct Emv {
    gateway: Gateway,
    payload: Payload,
}

impl Emv {
    pub fn new(
        gateway: Gateway,
        payload: impl Fn(&NewCharge) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        gateway.client.register_operators(&gateway.rail);
        Self { gateway, payload: Box::new(payload) }
    }
}

impl Rail for Emv {
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
        Box::pin(async move {
            // What can't be shown is refused: there is no such code, so nobody can pay it.
            let refused = |why| RailError::Refused { code: "PAYLOAD".into(), why };
            let payload = (self.payload)(charge).map_err(refused)?;
            if !(1..=MAX_PAYLOAD).contains(&payload.len()) {
                return Err(refused(format!("{} bytes, and the glass shows 1 to {MAX_PAYLOAD}", payload.len())));
            }
            self.gateway.probe().await?;
            Ok(Created { payload })
        })
    }

    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        self.gateway.query(charge)
    }

    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        self.gateway.close(charge)
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.gateway.refund(refund)
    }

    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.gateway.query_refund(refund)
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.gateway.probe()
    }
}
