//! An order as people see it, in the customer's language where that is the merchant's words.

use serde::{Deserialize, Serialize};

pub use crate::vocabulary::StopReason;
use crate::vocabulary::{ClaimSettlement, Minor, ShortCode};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    pub short_code: ShortCode,
    /// What is called out where goods are handed over.
    pub pickup: Option<String>,
    pub state: OrderState,
    pub amount: Minor,
    pub paid: Minor,
    /// Confirmed by the provider.
    pub refunded: Minor,
    /// Asked for or still to be asked for, not confirmed; of a claim, what has not come back.
    pub refund_pending: Minor,
    pub items: Vec<ItemView>,
    /// Of an order for a stay.
    pub stay: Option<StayKind>,
    /// How its claim was settled, where it had one.
    pub settled: Option<ClaimSettlement>,
}

/// Where a stay comes out, and whether it was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StayKind {
    /// A car comes in with it.
    pub comes: bool,
    /// At a gate; else it is a pass.
    pub gate: bool,
    pub paid: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemView {
    pub name: String,
    pub price: Minor,
    /// The last place where it was tried.
    pub outlet: Option<String>,
    pub outcome: Outcome,
}

/// What became of one unit of the basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pending,
    Delivered,
    NotDelivered,
    /// No sensor could tell; policy settles it.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// Nothing is ordered yet: the customer chooses.
    Choosing,
    /// Offered, and neither paid nor closed yet.
    WaitingPayment,
    /// Paid or granted, and nothing was energised yet.
    Paid,
    /// Units were energised, and some are not resolved.
    Delivering,
    /// Money has still to go back.
    Refunding,
    /// A person must settle it.
    Claim,
    /// Every unit came out, or counts as if it had.
    Delivered,
    /// Some units came out, and the rest went back.
    PartlyDelivered,
    /// Nothing is kept: all that was paid went back.
    Refunded,
    /// Nobody paid in time.
    Expired,
    /// Closed before anything was paid, for another reason than time.
    Cancelled,
    /// Granted, and nothing came out.
    NotDelivered,
}
