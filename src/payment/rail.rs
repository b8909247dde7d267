//! What every payment provider is to the kiosk.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::vocabulary::{ChargeId, Currency, Minor, OrderId, PaymentId, RefundId};

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RailError>> + Send + 'a>>;

/// A payment provider as the kiosk sees it. Every call ends within the rail's own time-out.
pub trait Rail: Send + Sync {
    /// Makes the charge and answers with the text of its QR. Called once for a charge number.
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created>;

    /// What the provider knows of the charge.
    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport>;

    /// Asks that nobody may pay any more. An answer says that it was asked, not that it holds: query afterwards.
    /// What is known to be paid is never closed: then the answer is the report that knows it. So it is where the provider
    /// gave back what was paid in that moment, and no query would tell later.
    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>>;

    /// Gives money back; the same request again is the same refund.
    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport>;

    /// What became of a refund, without asking for it.
    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport>;

    /// The cheapest round trip with a verified answer: is the provider there?
    fn probe(&self) -> Answer<'_, ()>;
}

/// A provider that speaks by itself, over HTTPS, to whoever holds the merchant's keys.
pub trait Notifies: Rail {
    /// What a request to the notification address says, verified; `None` when it is genuine and about nothing of ours.
    fn notification(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<Option<Notification>, RailError>;

    /// The body that tells the provider to stop repeating it; the status is 200.
    fn taken(&self) -> &'static str;

    /// Whether what a report gives back as `attach` is what was written as `written`. Some providers keep a short form.
    fn is_attach(&self, given: &str, written: &str) -> bool {
        given == written
    }
}

/// What a query would have said at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub charge: ChargeId,
    pub report: ChargeReport,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCharge {
    pub charge: ChargeId,
    pub order: OrderId,
    pub amount: Minor,
    pub currency: Currency,
    /// From creation; the provider refuses a payment after it.
    pub life: Duration,
    /// What the payer's app shows: machine, goods and short code.
    pub description: String,
    /// Whose charge it is, `fleet/kiosk`; kept by the provider and given back with its reports. A rail cuts what is longer
    /// than its provider takes.
    #[serde(default)]
    pub attach: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Not known there: never landed, or not scanned yet.
    Absent,
    /// Can be paid.
    Open,
    /// Cannot be paid any more, by the provider's word.
    Closed,
    /// Was paid, and some of it has gone back or is on its way; the provider says neither how much nor at whose wish, so
    /// it may be our own refund. A payment first heard of in this state buys nothing, and all of it is asked back: since
    /// no provider gives back more than was paid, that ends it or is refused, and then a person decides.
    Returning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    pub amount: Minor,
    pub currency: Currency,
    /// The order the provider says it was for.
    pub order: OrderId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    pub refund: RefundId,
    pub charge: ChargeId,
    pub order: OrderId,
    pub amount: Minor,
    /// What the charge was made for.
    pub charged: Minor,
    pub currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
