//! What the kiosk shows of itself on the bus: its one status, in the types of the bus.

use std::collections::BTreeMap;

/// Its kind, and a sentence.
pub type Reason = (String, String);
/// How it is, and why it is not well, or nothing.
pub type Device = (String, String);
/// `slot` or `device`, its name, and why.
pub type Fault = (String, String, String);
/// Product, units now, and units when full.
pub type Stock = (String, u32, u32);
/// Order, short code, the cause's kind, and a sentence.
pub type Claim = (String, String, String, String);
/// How many, their amount in minor units, and for how many minutes the oldest waits.
pub type Refunds = (u32, i64, u64);

/// Texts without anything to say are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    pub kiosk: String,
    pub fleet: String,
    pub version: String,
    pub boot: String,
    pub selling: bool,
    pub reasons: Vec<Reason>,
    pub summary: String,
    /// Their kinds.
    pub alarms: Vec<String>,
    /// By name.
    pub devices: BTreeMap<String, Device>,
    pub faults: Vec<Fault>,
    /// By slot.
    pub stock: BTreeMap<String, Stock>,
    pub claims: Vec<Claim>,
    /// Numbers of orders.
    pub unknown: Vec<String>,
    pub settling: u64,
    pub refunds_pending: Refunds,
    /// By rail, with what its provider said.
    pub rails_refusing: BTreeMap<String, String>,
    pub fleet_link: Device,
    pub ledger: String,
    pub ledger_before: String,
    /// What the glass offers, and of which those can be chosen.
    pub languages: Vec<String>,
    pub languages_configured: Vec<String>,
    /// The fleet's `state`, as JSON.
    pub document: String,
}
