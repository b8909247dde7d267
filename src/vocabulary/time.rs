//! Time comes in from outside. A monotonic clock measures intervals; the wall clock is for people and may be unknown,
//! because boards have no RTC. Order is by sequence number, never by either.

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since this run of the daemon began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;

    fn add(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Wall(pub u64);

impl Wall {
    /// `None`: no calendar goes so far.
    pub fn timestamp(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_millisecond(i64::try_from(self.0).ok()?).ok()
    }
}

/// When a step happens, and what it may use as chance.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub now: Mono,
    /// `None` while the clock is unknown or absurd.
    pub wall: Option<Wall>,
    /// Fresh for every step; order numbers and confirmation codes come from it.
    pub entropy: u128,
}
