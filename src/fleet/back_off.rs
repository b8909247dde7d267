//! How long a client waits before it connects again: exponential back-off with jitter.

use std::time::Duration;

/// The longest wait after so many failures in a row: `unit * 2^failures`, at most `max`.
pub(crate) fn back_off(failures: u32, unit: Duration, max: Duration) -> Duration {
    unit.saturating_mul(2u32.saturating_pow(failures)).min(max)
}

/// The longest wait before a client connects again: as [`back_off`], and never less than `spread`. A broker that was gone is
/// there for all its clients at the same moment, and who loses a good connection has not failed before.
pub(crate) fn reconnect(failures: u32, unit: Duration, max: Duration, spread: Duration) -> Duration {
    back_off(failures, unit, max).max(spread)
}

/// A random part of `most`, so that many clients do not connect at the same moment.
pub(crate) fn jitter(most: Duration) -> Duration {
    // Without random numbers the kiosk has other troubles; waiting the whole time is safe.
    let part = getrandom::u32().unwrap_or(u32::MAX);
    most.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tries_get_rarer_up_to_the_limit_and_are_spread() {
        let (unit, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let waits: Vec<u64> = (0..12).map(|n| back_off(n, unit, max).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(back_off(u32::MAX, unit, max), max);
        let spread: BTreeSet<u128> = (0..64).map(|_| jitter(max).as_nanos()).collect();
        assert!(spread.len() > 60);
        assert!(spread.iter().all(|nanos| *nanos <= max.as_nanos()));
    }

    /// One mosquitto takes 400 to 500 TLS handshakes a second.
    #[test]
    fn ten_thousand_that_lose_their_broker_at_once_do_not_storm_it() {
        let (unit, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let mut seconds = [0; 60];
        for _ in 0..10_000 {
            let wait = jitter(reconnect(0, unit, max, Duration::from_secs(60)));
            seconds[usize::try_from(wait.as_secs()).unwrap().min(59)] += 1;
        }
        assert!(seconds.iter().all(|connects| (90..260).contains(connects)), "{seconds:?}");
        assert_eq!(reconnect(2, unit, max, Duration::ZERO), Duration::from_secs(4));
        assert_eq!(reconnect(7, unit, max, Duration::from_secs(60)), Duration::from_secs(128));
    }
}
