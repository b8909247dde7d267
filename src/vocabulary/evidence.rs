//! The id of a delivery, and what a sensor can say about it.

use serde::{Deserialize, Serialize};

use super::OrderId;

/// One intent to deliver. Energised at most once, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryId {
    pub order: OrderId,
    /// Which unit of the basket, from 0.
    pub item: u32,
    /// Which try at that unit, from 1; each has a slot of its own.
    pub attempt: u32,
}

/// The drop sensor before anything is energised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The latched counter; `None` where there is none, or it did not answer.
    pub counter: Option<u32>,
    /// The sensor has just proved that it sees a broken and a whole beam.
    pub self_tested: bool,
}

/// What the sensor says after a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "says")]
pub enum Evidence {
    /// So many things fell since the reading; at least 1.
    Dropped { count: u32 },
    /// The counter has not moved. Believed only when `self_tested`.
    Nothing { self_tested: bool },
    /// Whoever was to have it has gone away before it came out, and it did not come out.
    Withdrawn,
    /// No sensor, or none that answers.
    Silent { why: String },
}
