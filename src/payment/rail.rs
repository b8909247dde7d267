//! The interface of every payment provider.

use std::future::Future;
use std::pin::Pin;

use jiff::SignedDuration;

use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest,
};

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RailError>> + Send + 'a>>;

/// A payment provider as the kiosk sees it. Every call ends within the rail's own time-out.
pub trait Rail: Send + Sync {
    /// Makes the charge and answers with the text of its QR. Called once for a charge number.
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created>;

    /// What the provider knows of the charge.
    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport>;

    /// Asks that nobody may pay any more. An answer says that it was asked, not that it holds: query afterwards. What
    /// is known to be paid is never closed: then the answer is the report that knows it. So it is where the provider
    /// gave back what was paid in that moment, and no query would tell later.
    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>>;

    /// Gives money back; the same request again is the same refund.
    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport>;

    /// What became of a refund, without asking for it.
    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport>;

    /// The cheapest round trip with a verified answer: is the provider there?
    fn probe(&self) -> Answer<'_, ()>;

    /// The provider's time less ours; `None` where no answer has told it yet, or none does.
    fn clock_error(&self) -> Option<SignedDuration> {
        None
    }
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
