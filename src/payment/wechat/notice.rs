//! What WeChat Pay tells by itself: signed like an answer, its content encrypted with the API v3 key. It may come twice,
//! late, or never.

use serde::Deserialize;

use super::seal::Seal;
use super::trust::Encrypted;
use super::{WechatPay, unknown, wire};
use crate::payment::Notifies;
use crate::vocabulary::{ChargeId, ChargeReport, Minor, RailError, RefundId, RefundReport};

/// Larger than any notification.
const LARGEST: usize = 64 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// What a query would have said.
    Charge { charge: ChargeId, report: ChargeReport, attach: Option<String> },
    /// What became of a refund.
    Refund { charge: ChargeId, refund: RefundId, amount: Minor, report: RefundReport },
    /// Genuine, and about nothing of ours.
    Other,
}

#[derive(Deserialize)]
struct Envelope {
    event_type: String,
    resource: Encrypted,
}

impl WechatPay {
    /// Reads a request to the notification address. `headers` by name in any case, `body` exactly as it came.
    ///
    /// # Errors
    /// [`RailError::Unknown`] when it is not WeChat Pay's, or can't be read. Answer with 4xx: the provider repeats it, and
    /// wants a no to its probes.
    pub fn notification(
        &self,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<Notification, RailError> {
        let not = |why: &dyn std::fmt::Display| unknown(format!("the notification: {why}"));
        if body.len() > LARGEST {
            return Err(not(&"it is too large"));
        }
        let seal = Seal::of(headers).map_err(|why| not(&why))?;
        self.trust.check(&seal, body, self.clock.now()).map_err(|why| not(&why))?;
        let envelope: Envelope = serde_json::from_slice(body).map_err(|why| not(&why))?;
        let kind = envelope.event_type.as_str();
        if kind != "TRANSACTION.SUCCESS" && !kind.starts_with("REFUND.") {
            return Ok(Notification::Other);
        }
        let content = envelope.resource.open(&self.api_v3_key).ok_or_else(|| not(&"it can't be decrypted"))?;
        if kind.starts_with("REFUND.") {
            return match wire::refund_notice(&self.merchant, &content).map_err(|why| not(&why))? {
                Some(wire::RefundNews { charge, refund, amount, report }) => {
                    Ok(Notification::Refund { charge, refund, amount, report })
                }
                None => Ok(Notification::Other),
            };
        }
        match wire::report(&self.merchant, &content).map_err(|why| not(&why))? {
            Some((charge, report)) => Ok(Notification::Charge { charge, attach: report.attach.clone(), report }),
            None => Ok(Notification::Other),
        }
    }
}

impl Notifies for WechatPay {
    fn notification(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<Option<crate::payment::Notification>, RailError> {
        Ok(match WechatPay::notification(self, header, body)? {
            Notification::Charge { charge, report, .. } => Some(crate::payment::Notification { charge, report }),
            // A refund is asked after by whoever asked for it.
            Notification::Refund { .. } | Notification::Other => None,
        })
    }

    fn taken(&self) -> &'static str {
        ""
    }
}
