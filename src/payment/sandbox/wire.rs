//! What the kiosk and the pretend provider say to each other, and how each knows that it was the other.
//!
//! A message is `{"body": "…", "mac": "…"}`: the body is JSON as text, the MAC is HMAC-SHA256 over what kind of message
//! it is and the exact bytes of the body. A reader checks the MAC first and parses afterwards. An answer carries the
//! nonce of its request, so an old one can't be played again. The key is no secret: this provider moves no money.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::hmac;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vocabulary::{ChargeId, ChargeReport, Currency, Minor, OrderId, RefundId, RefundReport};

/// Longest body either side reads, in bytes.
pub const MAX_BODY: usize = 64 << 10;

const KEY: &[u8] = b"the sandbox provider's key; not a secret";

/// What a message is; a MAC made for one kind does not hold for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    Request,
    Answer,
    Notice,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("not a sealed message")]
    Shape,
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLong,
    #[error("the signature does not hold")]
    Signature,
    #[error("signed, but not what was expected: {0}")]
    Body(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub nonce: u64,
    pub ask: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    Create { charge: ChargeId, order: OrderId, amount: Minor, currency: Currency, life_ms: u64, description: String },
    Query { charge: ChargeId },
    Close { charge: ChargeId },
    Refund { refund: RefundId, charge: ChargeId, amount: Minor, currency: Currency },
    QueryRefund { refund: RefundId, charge: ChargeId },
    Probe,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    pub nonce: u64,
    pub says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Says {
    Created { charge: ChargeId, order: OrderId, amount: Minor, currency: Currency, payload: String },
    Charge(ChargeState),
    Closed { charge: ChargeId, order: OrderId },
    Refund { refund: RefundId, charge: ChargeId, amount: Minor, report: RefundReport },
    Here,
    Refused { code: String, why: String },
}

/// One charge in the provider's words; the body of a notice too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeState {
    pub charge: ChargeId,
    /// `None` for a charge the provider does not know.
    pub of: Option<(OrderId, Currency)>,
    pub report: ChargeReport,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    body: String,
    mac: String,
}

/// Signs `body` as a message of that kind.
pub fn seal(kind: Message, body: &impl Serialize) -> Value {
    let body = serde_json::to_string(body).expect("messages are plain data with text keys");
    let mac = HEXLOWER.encode(hmac::sign(&key(), &signed(kind, &body)).as_ref());
    serde_json::json!({ "body": body, "mac": mac })
}

/// Believes a message of that kind, or says why not.
pub fn open<T: DeserializeOwned>(kind: Message, message: &Value) -> Result<T, Unverified> {
    let Sealed { body, mac } = Sealed::deserialize(message).map_err(|_| Unverified::Shape)?;
    if body.len() > MAX_BODY {
        return Err(Unverified::TooLong);
    }
    let tag = HEXLOWER_PERMISSIVE.decode(mac.as_bytes()).map_err(|_| Unverified::Signature)?;
    hmac::verify(&key(), &signed(kind, &body), &tag).map_err(|_| Unverified::Signature)?;
    serde_json::from_str(&body).map_err(|e| Unverified::Body(e.to_string()))
}

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, KEY)
}

fn signed(kind: Message, body: &str) -> Vec<u8> {
    let kind = match kind {
        Message::Request => "request\n",
        Message::Answer => "answer\n",
        Message::Notice => "notice\n",
    };
    [kind.as_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_only_as_what_it_was_sealed_as() {
        let request = Request { nonce: 7, ask: What::Probe };
        let sealed = seal(Message::Request, &request);
        assert_eq!(open::<Request>(Message::Request, &sealed), Ok(request));
        assert_eq!(open::<Request>(Message::Answer, &sealed), Err(Unverified::Signature));

        let mut changed = sealed.clone();
        changed["body"] = changed["body"].as_str().unwrap().replace('7', "8").into();
        assert_eq!(open::<Request>(Message::Request, &changed), Err(Unverified::Signature));
        changed["mac"] = "zz".into();
        assert_eq!(open::<Request>(Message::Request, &changed), Err(Unverified::Signature));
        changed["mac"] = "é0".into();
        assert_eq!(open::<Request>(Message::Request, &changed), Err(Unverified::Signature));
        changed["body"] = "x".repeat(MAX_BODY + 1).into();
        assert_eq!(open::<Request>(Message::Request, &changed), Err(Unverified::TooLong));
        assert_eq!(open::<Request>(Message::Request, &Value::Null), Err(Unverified::Shape));
        assert!(matches!(open::<Reply>(Message::Request, &sealed), Err(Unverified::Body(_))));
    }
}
