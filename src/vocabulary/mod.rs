//! The words every room shares: money, names, times, languages, places on the glass. Pure types, no I/O.
//!
//! Policy: a value that exists is valid. Parsing happens where it enters, and everything behind may trust the type.

mod address;
mod cause;
mod charge;
mod choice;
mod counted;
mod error_chain;
mod evidence;
pub mod fee;
mod geometry;
mod goods;
mod ids;
mod money;
mod pin;
mod problem;
pub(crate) mod text;
mod time;

pub use address::is_plain_http;
pub use cause::{Cause, ClaimSettlement, StopReason};
pub use charge::{
    ChargeRef, ChargeReport, Created, NewCharge, Payment, RailError, RefundReport, RefundRequest, Standing,
};
pub use choice::{PaidWithoutIntent, UnknownDelivery};
pub use counted::{counted, plural};
pub use error_chain::error_chain;
pub use evidence::{DeliveryId, Evidence, Reading};
pub use geometry::{Corner, Point, Rect, Spot, Target};
pub use goods::{Entitlement, Goods, Grant, Outlet};
pub use ids::{
    BootId, CategoryId, ChargeId, LaneId, OrderId, PaymentId, ProductId, RailName, RefundId, ShortCode, SlotId, StayId,
};
pub use money::{Currency, Minor, Money, decimal};
pub use pin::Pin;
pub use problem::Problem;
pub(crate) use problem::place;
pub use text::{BadName, one_line};
pub use time::{Mono, Stamp, Wall};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A language as a BCP 47 tag: `zh-Hant`, `zh-Hans`, `en`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Language(pub String);

impl Language {
    pub fn new(tag: impl Into<String>) -> Self {
        Self(tag.into())
    }

    pub fn tag(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A merchant's text in several languages: a product's name, a place, a rail's label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Localized(pub BTreeMap<Language, String>);

impl Localized {
    /// The text in `language`, else in English, else in whichever language comes first.
    pub fn get(&self, language: &Language) -> &str {
        self.0
            .get(language)
            .or_else(|| self.0.get(&Language::new("en")))
            .or_else(|| self.0.values().next())
            .map_or("", String::as_str)
    }
}
