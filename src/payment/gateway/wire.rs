//! The contents of the signed messages between kiosk and gateway, on `pay/request`, `pay/reply` and `pay/notice`.
//!
//! Policy: every reply is bound to the kiosk, the request's nonce, and the very charge or refund with its order, amount
//! and currency. A request is good once and for a minute, by the gateway's clock, which the kiosk knows from the
//! replies: one that is too old, or from a kiosk that does not know the time, is answered with [`Says::Stale`] and
//! nothing else. Every *ask* may be repeated all the same, in a new request: creating, closing and refunding are told
//! apart by their numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::{ChargeRef, ChargeReport, NewCharge, RefundReport, RefundRequest};

/// A kiosk's request, signed with its key, whose `kid` is `fleet/kiosk`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `fleet/kiosk`: as in the topic and as the signing key's name.
    pub kiosk: String,
    /// The rail at the gateway.
    pub rail: String,
    /// 32 hexadecimal digits, new for every request.
    pub nonce: String,
    /// Milliseconds since 1970 by the gateway's clock, as far as the kiosk knows it; 0 before the first reply.
    pub sent: u64,
    pub ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Probe,
    Create(NewCharge),
    Query(ChargeRef),
    Close(ChargeRef),
    Refund(RefundRequest),
    QueryRefund(RefundRequest),
    /// The kiosk has the notice of this number on disk, or had it before.
    Noticed {
        notice: String,
    },
}

/// The gateway's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    pub kiosk: String,
    pub rail: String,
    /// The nonce of the request.
    pub nonce: String,
    /// When it was sent, in milliseconds since 1970 by the gateway's clock, which the kiosk learns from it.
    pub sent: u64,
    /// When it expires, likewise.
    pub expires: u64,
    pub says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    Here,
    Created {
        charge: ChargeRef,
        payload: String,
    },
    Charge {
        charge: ChargeRef,
        report: ChargeReport,
    },
    /// The provider was asked to close. With a report, the charge is paid and was not closed, or the close gave it
    /// back.
    Closed {
        charge: ChargeRef,
        report: Option<ChargeReport>,
    },
    Refund {
        refund: RefundRequest,
        report: RefundReport,
    },
    Refused {
        code: String,
        why: String,
    },
    /// The gateway could not find out.
    Unknown {
        why: String,
    },
    /// The request is not of this minute, so nothing was done. The gateway's time is in [`Reply::sent`].
    Stale,
}

/// A notice: a provider has notified the gateway of a payment, or the operator's program has seen one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub kiosk: String,
    pub rail: String,
    /// The notice's id; a notice is taken once.
    pub id: String,
    pub sent: u64,
    pub expires: u64,
    pub charge: ChargeRef,
    pub report: ChargeReport,
}
