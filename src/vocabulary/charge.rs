//! Charges and refunds: what the kiosk asks of a provider, and what a provider answers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChargeId, Currency, Minor, OrderId, PaymentId, RefundId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewCharge {
    pub charge: ChargeId,
    pub order: OrderId,
    pub amount: Minor,
    pub currency: Currency,
    /// From creation; the provider refuses a payment after it.
    pub life: Duration,
    /// What the payer's app shows: machine, goods and short code.
    pub description: String,
    /// Whose charge it is, `fleet/kiosk`; kept by the provider and given back with its reports. A rail cuts what is
    /// longer than its provider takes.
    #[serde(default)]
    pub attach: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeRef {
    pub charge: ChargeId,
    pub order: OrderId,
    /// What it was made for.
    pub amount: Minor,
    pub currency: Currency,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub payload: String,
}

/// Verified: the provider's own words about one charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeReport {
    pub standing: Standing,
    /// Every payment made on it so far. The amounts are what was paid, whatever was asked.
    pub payments: Vec<Payment>,
    /// Given back by the provider without our asking (a cancel that was also a refund).
    pub returned: Minor,
    /// [`NewCharge::attach`] as the provider gave it back; `None` where it keeps none or said none.
    #[serde(default)]
    pub attach: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Not known there: never landed, or not scanned yet.
    Absent,
    /// Can be paid.
    Open,
    /// Cannot be paid any more, by the provider's word.
    Closed,
    /// Was paid, and some of it has gone back or is on its way; the provider says neither how much nor at whose wish,
    /// so it may be our own refund. A payment first heard of in this state buys nothing, and all of it is asked back:
    /// since no provider gives back more than was paid, that ends it or is refused, and then a person decides.
    Returning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    pub id: PaymentId,
    pub amount: Minor,
    pub currency: Currency,
    /// The order the provider says it was for.
    pub order: OrderId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundRequest {
    pub refund: RefundId,
    pub charge: ChargeId,
    pub order: OrderId,
    pub amount: Minor,
    /// What the charge was made for.
    pub charged: Minor,
    pub currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefundReport {
    /// The money is back, by the provider's word.
    Done,
    /// Taken on; ask again later.
    Processing,
    /// The provider has no such refund.
    Absent,
    /// The provider can't do it; a person must.
    Failed,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RailError {
    /// A verified no: nothing was done and repeating will not help.
    #[error("{code}: {why}")]
    Refused { code: String, why: String },
    /// Nobody can say what happened.
    #[error("no verified answer: {0}")]
    Unknown(String),
}
