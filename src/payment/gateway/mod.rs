//! The gateway rail: the merchant's keys stay in the back end, the kiosk asks over MQTT and believes signed answers.
//!
//! Policy: an answer counts when its signature holds, it has not expired as far as the kiosk knows the time, it answers
//! an open question of this kiosk and this rail, and it is about the very charge or refund of the question, with its
//! order, amount and currency. Any other message is [`Rejected`], counted and reported, and the question stays open
//! until its time-out, which is [`RailError::Unknown`].
//!
//! - [`wire`] has the contents of the messages.
//! - [`GatewayClient`] sends questions and takes answers and notices; there is one for all rails of the gateway.
//! - [`Gateway`] is a rail whose provider the gateway asks.
//! - [`Emv`] is a rail whose QR the kiosk makes, and whose payments the gateway reports.

mod client;
mod emv;
mod rejected;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use crate::payment::{Answer, Rail};
use crate::vocabulary::{
    ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest, one_line,
};
pub use client::{GatewayClient, GatewayClientConfig, VerifiedNotice};
pub use emv::Emv;
pub use rejected::{Rejected, Rejections};
use wire::{Ask, Says};

/// Longest text the glass turns into a QR, in bytes.
const MAX_PAYLOAD: usize = 512;

/// A rail whose provider the gateway asks.
pub struct Gateway {
    client: Arc<GatewayClient>,
    rail: String,
    timeout: Duration,
}

impl Gateway {
    /// `rail` is its name at the gateway. `timeout` is the time from a question to its answer; a question without an
    /// answer is sent once more after half of it.
    pub fn new(client: Arc<GatewayClient>, rail: impl Into<String>, timeout: Duration) -> Self {
        let rail = rail.into();
        client.register(&rail);
        Self { client, rail, timeout }
    }

    async fn ask(&self, ask: Ask) -> Result<Says, RailError> {
        let answered = tokio::time::timeout(self.timeout, self.client.ask(&self.rail, ask, self.timeout / 2)).await;
        match answered.unwrap_or_else(|_| Err(unknown("the gateway has not answered in time")))? {
            Says::Refused { code, why } => Err(RailError::Refused { code: plain(&code, 64), why: plain(&why, 200) }),
            Says::Unknown { why } => Err(unknown(format!("the gateway: {}", plain(&why, 200)))),
            says => Ok(says),
        }
    }

    async fn refund_report(&self, ask: Ask) -> Result<RefundReport, RailError> {
        match self.ask(ask).await? {
            Says::Refund { report, .. } => Ok(report),
            _ => Err(unfit()),
        }
    }
}

/// The client hands over only answers that fit the question.
impl Rail for Gateway {
    fn create<'a>(&'a self, new: &'a NewCharge) -> Answer<'a, Created> {
        Box::pin(async move {
            match self.ask(Ask::Create(new.clone())).await? {
                Says::Created { payload, .. } => Ok(Created { payload }),
                _ => Err(unfit()),
            }
        })
    }

    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        Box::pin(async move {
            match self.ask(Ask::Query(charge.clone())).await? {
                Says::Charge { report, .. } => Ok(report),
                _ => Err(unfit()),
            }
        })
    }

    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        Box::pin(async move {
            match self.ask(Ask::Close(charge.clone())).await? {
                Says::Closed { report, .. } => Ok(report),
                _ => Err(unfit()),
            }
        })
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(self.refund_report(Ask::Refund(refund.clone())))
    }

    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(self.refund_report(Ask::QueryRefund(refund.clone())))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.ask(Ask::Probe).await.map(drop) })
    }
}

/// One line of at most `longest` characters, for the log and the ledger.
fn plain(text: &str, longest: usize) -> String {
    one_line(text).take(longest).collect()
}

fn unknown(why: impl Into<String>) -> RailError {
    RailError::Unknown(why.into())
}

fn unfit() -> RailError {
    unknown("the answer does not fit the question")
}
