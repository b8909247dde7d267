//! The two clocks. Monotonic time counts from the start of the daemon; the wall clock is believed only while it is
//! plausible, because boards without an RTC wake up in 1970.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::vocabulary::{Mono, Stamp, Wall};

/// 2026-01-01 and 2100-01-01, UTC, in milliseconds. Outside of them the clock is unknown.
const PLAUSIBLE: std::ops::Range<u64> = 1_767_225_600_000..4_102_444_800_000;

/// How far a simulated world has wound the wall clock on, in milliseconds. Nothing else sets it.
static AHEAD: AtomicI64 = AtomicI64::new(0);

#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Mono {
        Mono(self.start.elapsed().as_millis() as u64)
    }

    /// The wall clock, or nothing where it can't be right.
    pub fn wall() -> Option<Wall> {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis() as u64;
        wound(millis, AHEAD.load(Ordering::Relaxed))
    }

    /// The simulated world's wall clock differs from this machine's by so much; of the whole process.
    pub(super) fn ahead(offset_ms: i64) {
        AHEAD.store(offset_ms, Ordering::Relaxed);
    }

    /// Minutes since midnight in a time zone, or nothing where the clock is unknown.
    pub fn minute_of_day(zone: &str) -> Option<u16> {
        let local = Self::wall()?.timestamp()?.in_tz(zone).ok()?;
        Some(u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs()))
    }

    pub fn stamp(&self) -> Stamp {
        let mut bytes = [0u8; 16];
        // Without entropy the order numbers still grow, but their codes can be guessed.
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::error!(%error, "the kernel has no random numbers, so short codes can be guessed");
        }
        Stamp { now: self.now(), wall: Self::wall(), entropy: u128::from_le_bytes(bytes) }
    }
}

fn wound(millis: u64, ahead_ms: i64) -> Option<Wall> {
    plausible(millis.checked_add_signed(ahead_ms)?)
}

fn plausible(millis: u64) -> Option<Wall> {
    PLAUSIBLE.contains(&millis).then_some(Wall(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absurd_clock_is_unknown() {
        for absurd in [0, 1_000, 1_700_000_000_000, 4_200_000_000_000, u64::MAX] {
            assert_eq!(plausible(absurd), None, "{absurd}");
        }
        assert_eq!(plausible(1_795_392_000_000), Some(Wall(1_795_392_000_000)));
    }

    #[test]
    fn a_simulated_world_winds_the_wall_clock_both_ways() {
        let now = 1_795_392_000_000;
        assert_eq!(wound(now, 7_200_000), Some(Wall(now + 7_200_000)));
        assert_eq!(wound(now, -7_200_000), Some(Wall(now - 7_200_000)));
        assert_eq!([i64::MIN, i64::MAX, -40_000_000_000].map(|far| wound(now, far)), [None; 3]);
    }
}
