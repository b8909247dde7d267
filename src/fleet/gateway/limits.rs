//! How much one kiosk may ask for. Pure: time comes in.
//!
//! Policy: a stolen kiosk key must not be worth more than an hour of a busy machine. What is counted are numbers of
//! charges and refunds, not questions: the same one again is the same one, so that neither a repeat nor a replay uses
//! anything up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::vocabulary::Minor;

const HOUR: Duration = Duration::from_secs(3600);

/// Of one kiosk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of one charge, in minor units.
    pub max_amount: Minor,
    /// New charges within any hour; an order that is tried on two rails counts twice.
    pub orders_per_hour: usize,
    /// New refunds within any hour.
    pub refunds_per_hour: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_amount: 100_000, orders_per_hour: 120, refunds_per_hour: 20 }
    }
}

/// What one kiosk has had of its limits.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    charges: Recent,
    refunds: Recent,
}

/// Which limit would be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Over {
    #[error("more than {0} minor units in one order")]
    Amount(Minor),
    #[error("more than {0} orders within an hour")]
    Orders(usize),
    #[error("more than {0} refunds within an hour")]
    Refunds(usize),
}

impl Meter {
    pub fn new(limits: Limits) -> Self {
        Self { limits, charges: Recent::default(), refunds: Recent::default() }
    }

    /// Counts a charge that is about to be made.
    pub fn charge(&mut self, number: &str, amount: Minor, now: Instant) -> Result<(), Over> {
        let Limits { max_amount, orders_per_hour, .. } = self.limits;
        if amount > max_amount {
            return Err(Over::Amount(max_amount));
        }
        self.charges.admit(number, orders_per_hour, now).then_some(()).ok_or(Over::Orders(orders_per_hour))
    }

    /// Counts a refund that is about to be asked for.
    pub fn refund(&mut self, number: &str, now: Instant) -> Result<(), Over> {
        let most = self.limits.refunds_per_hour;
        self.refunds.admit(number, most, now).then_some(()).ok_or(Over::Refunds(most))
    }
}

/// The numbers of the last hour, the oldest first. Never longer than its limit.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Instant, String)>);

impl Recent {
    fn admit(&mut self, number: &str, most: usize, now: Instant) -> bool {
        while self.0.front().is_some_and(|(at, _)| now >= *at + HOUR) {
            self.0.pop_front();
        }
        if self.0.iter().any(|(_, known)| known == number) {
            return true;
        }
        let room = self.0.len() < most;
        if room {
            self.0.push_back((now, number.to_owned()));
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_amount: 500, orders_per_hour: 3, refunds_per_hour: 1 };

    #[test]
    fn an_amount_up_to_the_limit() {
        let mut meter = Meter::new(LIMITS);
        let now = Instant::now();
        assert_eq!(meter.charge("a", 500, now), Ok(()));
        assert_eq!(meter.charge("b", 501, now), Err(Over::Amount(500)));
        // What was refused has used nothing up.
        assert_eq!(meter.charges.0.len(), 1);
    }

    #[test]
    fn so_many_in_any_hour_and_a_repeat_is_free() {
        let mut meter = Meter::new(LIMITS);
        let start = Instant::now();
        let minute = |n: u64| start + Duration::from_secs(n * 60);
        assert!(meter.charge("a", 1, minute(0)).is_ok());
        assert!(meter.charge("b", 1, minute(20)).is_ok());
        for _ in 0..10 {
            assert!(meter.charge("a", 1, minute(30)).is_ok());
        }
        assert!(meter.charge("c", 1, minute(40)).is_ok());
        assert_eq!(meter.charge("d", 1, minute(59)), Err(Over::Orders(3)));
        assert!(meter.charge("d", 1, minute(60)).is_ok(), "the first is an hour old");
        assert_eq!(meter.charge("e", 1, minute(61)), Err(Over::Orders(3)), "the second is not");
    }

    #[test]
    fn refunds_have_a_count_of_their_own_and_a_refused_one_comes_through_later() {
        let mut meter = Meter::new(LIMITS);
        let now = Instant::now();
        for charge in ["a", "b", "c"] {
            assert!(meter.charge(charge, 1, now).is_ok());
        }
        assert!(meter.refund("r1", now).is_ok());
        assert_eq!(meter.refund("r2", now), Err(Over::Refunds(1)));
        assert!(meter.refund("r1", now).is_ok());
        assert!(meter.refund("r2", now + HOUR).is_ok());
    }
}
