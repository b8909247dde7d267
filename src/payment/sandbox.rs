//! The sandbox rail: the kiosk's end of the pretend wallet provider.
//!
//! It behaves like a rail over a network: every call ends within the time-out, an answer counts only if its signature
//! holds and it speaks of the very charge, order and currency that was asked about, and a notice is worth exactly as
//! much as the answer to a query. Everything else is [`RailError::Unknown`].

#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::payment::{Answer, Rail};
use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest, Standing,
};
use crate::world::{Ask, World};
use wire::{ChargeState, Message, Reply, Request, Says, What};

/// Longest text the glass turns into a QR, in bytes.
const MAX_PAYLOAD: usize = 512;

pub struct Sandbox {
    world: Arc<World>,
    timeout: Duration,
}

impl Sandbox {
    /// `timeout` is for one request.
    pub fn new(world: Arc<World>, timeout: Duration) -> Self {
        Self { world, timeout }
    }

    async fn call(&self, ask: What) -> Result<Says, RailError> {
        let nonce = getrandom::u64().map_err(|e| unknown(format!("no random number for the request: {e}")))?;
        let request = wire::seal(Message::Request, &Request { nonce, ask });
        let answer = self
            .world
            .ask_async(Ask::Rail { request }, self.timeout)
            .await
            .map_err(|e| unknown(format!("the provider: {e}")))?;
        let reply: Reply = wire::open(Message::Answer, &answer).map_err(|e| unknown(format!("the answer: {e}")))?;
        if reply.nonce != nonce {
            return Err(unknown("the answer belongs to another request"));
        }
        match reply.says {
            Says::Refused { code, why } => Err(RailError::Refused { code, why }),
            says => Ok(says),
        }
    }

    async fn refund_report(&self, ask: What, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        match self.call(ask).await? {
            Says::Refund { refund: id, charge, amount, report }
                if id == refund.refund
                    && charge == refund.charge
                    && (amount == refund.amount || report == RefundReport::Absent) =>
            {
                Ok(report)
            }
            _ => Err(unknown("the answer is about something else than this refund")),
        }
    }
}

impl Rail for Sandbox {
    fn create<'a>(&'a self, new: &'a NewCharge) -> Answer<'a, Created> {
        Box::pin(async move {
            let ask = What::Create {
                charge: new.charge.clone(),
                order: new.order,
                amount: new.amount,
                currency: new.currency,
                life_ms: u64::try_from(new.life.as_millis()).unwrap_or(u64::MAX),
                description: new.description.clone(),
            };
            match self.call(ask).await? {
                Says::Created { charge, order, amount, currency, payload }
                    if charge == new.charge
                        && order == new.order
                        && amount == new.amount
                        && currency == new.currency
                        && (1..=MAX_PAYLOAD).contains(&payload.len()) =>
                {
                    Ok(Created { payload })
                }
                _ => Err(unknown("the answer is not the charge that was asked for")),
            }
        })
    }

    fn query<'a>(&'a self, asked: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        Box::pin(async move {
            match self.call(What::Query { charge: asked.charge.clone() }).await? {
                Says::Charge(state) if state.charge == asked.charge => {
                    let fits = match state.of {
                        Some((order, currency)) => order == asked.order && currency == asked.currency,
                        None => state.report.standing == Standing::Absent,
                    };
                    if !fits {
                        return Err(unknown("the provider's charge has another order or currency"));
                    }
                    sane(state.report)
                }
                _ => Err(unknown("the answer is about something else than this charge")),
            }
        })
    }

    fn close<'a>(&'a self, asked: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        Box::pin(async move {
            // Such a provider may give the money back: what is known to be paid is not closed.
            let known = self.query(asked).await?;
            if !known.payments.is_empty() {
                return Ok(Some(known));
            }
            match self.call(What::Close { charge: asked.charge.clone() }).await? {
                Says::Closed { charge, order } if charge == asked.charge && order == asked.order => Ok(None),
                _ => Err(unknown("the answer is about something else than closing this charge")),
            }
        })
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        let ask = What::Refund {
            refund: refund.refund.clone(),
            charge: refund.charge.clone(),
            amount: refund.amount,
            currency: refund.currency,
        };
        Box::pin(self.refund_report(ask, refund))
    }

    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        let ask = What::QueryRefund { refund: refund.refund.clone(), charge: refund.charge.clone() };
        Box::pin(self.refund_report(ask, refund))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            match self.call(What::Probe).await? {
                Says::Here => Ok(()),
                _ => Err(unknown("the answer is not to a probe")),
            }
        })
    }
}

/// Reads a notice the provider sent by itself. Verified like an answer: what it says is what a query would have said
/// when it was sent. The charge's number names its order, and the notice must agree with it.
pub fn notice(body: &Value) -> Result<(ChargeId, ChargeReport), RailError> {
    let state: ChargeState = wire::open(Message::Notice, body).map_err(|e| unknown(format!("the notice: {e}")))?;
    match state.of {
        Some((order, _)) if state.charge.order() == Some(order) => Ok((state.charge, sane(state.report)?)),
        _ => Err(unknown("the notice's charge and order do not belong together")),
    }
}

/// A signature does not make a sum right: payments are more than nothing, and no more went back than came in.
fn sane(report: ChargeReport) -> Result<ChargeReport, RailError> {
    let paid =
        report.payments.iter().try_fold(0i64, |sum, p| if p.amount > 0 { sum.checked_add(p.amount) } else { None });
    match paid {
        Some(paid) if (0..=paid).contains(&report.returned) => Ok(report),
        _ => Err(unknown("the report's amounts make no sense")),
    }
}

fn unknown(why: impl Into<String>) -> RailError {
    RailError::Unknown(why.into())
}
