//! What kiosk and gateway say to each other: the contents of the signed messages on `pay/request`, `pay/reply` and
//! `pay/notice`.
//!
//! Policy: every reply is bound to the kiosk, the request's nonce, and the very charge or refund with its order, amount
//! and currency. Every request may be repeated: creating, closing and refunding are told apart by their numbers, so that
//! a replayed request does nothing that was not asked for before.

use serde::{Deserialize, Serialize};

use crate::payment::{ChargeRef, ChargeReport, NewCharge, RefundReport, RefundRequest};

/// From a kiosk; signed with its key, whose `kid` is `fleet/kiosk`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `fleet/kiosk`: as in the topic and as the signing key's name.
    pub kiosk: String,
    /// The rail at the gateway.
    pub rail: String,
    /// 32 hexadecimal digits, new for every request.
    pub nonce: String,
    pub ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// From the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    pub kiosk: String,
    pub rail: String,
    /// The request's.
    pub nonce: String,
    /// Milliseconds since 1970, by the gateway's clock.
    pub sent: u64,
    /// The same; not to be believed after it.
    pub expires: u64,
    pub says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
}

/// A provider has told the gateway about a charge, or the operator's program knows of a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub kiosk: String,
    pub rail: String,
    /// Of this notice; each is taken once.
    pub id: String,
    pub sent: u64,
    pub expires: u64,
    pub charge: ChargeRef,
    pub report: ChargeReport,
}
