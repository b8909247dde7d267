//! How the kiosk is.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use zbus::interface;

use super::shown::{Device, Fault, Reason, Refunds, Shown, Stock};

pub(super) const INTERFACE: &str = "org.kioskd.Kiosk1.Status";
/// Changes with every other property, so it is told without its value.
pub(super) const DOCUMENT: &str = "Document";

pub(super) struct Status(watch::Receiver<Arc<Shown>>);

impl Status {
    pub fn new(news: watch::Receiver<Arc<Shown>>) -> Self {
        Self(news)
    }

    fn now(&self) -> Arc<Shown> {
        Arc::clone(&self.0.borrow())
    }
}

/// How the kiosk is, all of it from one moment.
#[interface(name = "org.kioskd.Kiosk1.Status")]
impl Status {
    /// The kiosk's id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn kiosk(&self) -> String {
        self.now().kiosk.clone()
    }

    /// The fleet it belongs to.
    #[zbus(property(emits_changed_signal = "const"))]
    fn fleet(&self) -> String {
        self.now().fleet.clone()
    }

    /// The program's.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        self.now().version.clone()
    }

    /// The number of this run of the program.
    #[zbus(property(emits_changed_signal = "const"))]
    fn boot(&self) -> String {
        self.now().boot.clone()
    }

    /// Whether a customer can buy something.
    #[zbus(property)]
    fn selling(&self) -> bool {
        self.now().selling
    }

    /// Why not: of each reason its kind, for programs, and a sentence.
    #[zbus(property)]
    fn reasons(&self) -> Vec<Reason> {
        self.now().reasons.clone()
    }

    /// The line of `systemctl status`.
    #[zbus(property)]
    fn summary(&self) -> String {
        self.now().summary.clone()
    }

    /// What somebody should look at: the kinds of the fleet's alarms.
    #[zbus(property)]
    fn alarms(&self) -> Vec<String> {
        self.now().alarms.clone()
    }

    /// By name: how it is, such as `ok` or `paper-out`, and why, where it has said so.
    #[zbus(property)]
    fn devices(&self) -> BTreeMap<String, Device> {
        self.now().devices.clone()
    }

    /// What is out of order: `slot` or `device`, its name, and why.
    #[zbus(property)]
    fn faults(&self) -> Vec<Fault> {
        self.now().faults.clone()
    }

    /// By slot: the product, the units in it, and the units it holds when full.
    #[zbus(property)]
    fn stock(&self) -> BTreeMap<String, Stock> {
        self.now().stock.clone()
    }

    /// Open orders of which no sensor could tell whether the goods fell.
    #[zbus(property)]
    fn unknown(&self) -> Vec<String> {
        self.now().unknown.clone()
    }

    /// Orders on which something is open.
    #[zbus(property)]
    fn settling(&self) -> u64 {
        self.now().settling
    }

    /// Refunds that nobody has confirmed for some minutes: how many, their amount in minor units, and for how many minutes
    /// the oldest waits.
    #[zbus(property)]
    fn refunds_pending(&self) -> Refunds {
        self.now().refunds_pending
    }

    /// By rail: what its provider said, which answers and would not make the last charge.
    #[zbus(property)]
    fn rails_refusing(&self) -> BTreeMap<String, String> {
        self.now().rails_refusing.clone()
    }

    /// `none`, `connecting`, `connected` or `disconnected`, and why.
    #[zbus(property)]
    fn fleet_link(&self) -> Device {
        self.now().fleet_link.clone()
    }

    /// The number under which the ledger is written; empty where it can't be.
    #[zbus(property)]
    fn ledger(&self) -> String {
        self.now().ledger.clone()
    }

    /// The number it had where it was copied or moved from, in the run that noticed; else empty.
    #[zbus(property)]
    fn ledger_before(&self) -> String {
        self.now().ledger_before.clone()
    }

    /// The languages that the glass offers; the first is the one that a new customer sees.
    #[zbus(property)]
    fn languages(&self) -> Vec<String> {
        self.now().languages.clone()
    }

    /// The fleet's `state` document, JSON.
    #[zbus(property(emits_changed_signal = "invalidates"))]
    fn document(&self) -> String {
        self.now().document.clone()
    }
}
