//! How long a client waits before it connects again: exponential back-off with jitter.

use std::time::Duration;

/// The longest wait after so many failures in a row: `unit * 2^failures`, at most `max`.
pub(crate) fn back_off(failures: u32, unit: Duration, max: Duration) -> Duration {
    unit.saturating_mul(2u32.saturating_pow(failures)).min(max)
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
}
