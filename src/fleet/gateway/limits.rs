//! The rate limiter of one kiosk's charges and refunds. It is pure: the caller passes the time.
//!
//! Policy: a stolen kiosk key must not be worth more than an hour of a busy machine's takings, and a customer who makes
//! orders and doesn't pay must not be able to close a machine. So the hourly limit counts charges that were paid.
//! Charges that were only made count for a minute, so that a faulty kiosk does not flood the provider. The ids of
//! charges and refunds are counted, not requests, so that neither a repeat nor a replay uses anything up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::vocabulary::Minor;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// The limits of one kiosk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest charge, in minor units.
    pub max_amount: Minor,
    /// Paid charges within any hour, as far as the provider has told this gateway of them.
    pub orders_per_hour: usize,
    /// New charges within any minute, paid or not; an order that is tried on two rails counts twice.
    pub charges_per_minute: usize,
    /// New refunds within any hour.
    pub refunds_per_hour: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_amount: 100_000, orders_per_hour: 120, charges_per_minute: 30, refunds_per_hour: 20 }
    }
}

/// Counts what one kiosk has used of its limits.
#[derive(Debug)]
pub(super) struct RateLimiter {
    limits: Limits,
    /// Charges made within the last minute.
    charges: Recent,
    /// Charges known to be paid within the last hour.
    paid: Recent,
    refunds: Recent,
}

/// The limit that a request would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitExceeded {
    #[error("more than {0} minor units in one order")]
    Amount(Minor),
    #[error("more than {0} paid orders within an hour")]
    Orders(usize),
    #[error("more than {0} new charges within a minute")]
    Charges(usize),
    #[error("more than {0} refunds within an hour")]
    Refunds(usize),
}

impl RateLimiter {
    pub fn new(limits: Limits) -> Self {
        Self { limits, charges: Recent::within(MINUTE), paid: Recent::within(HOUR), refunds: Recent::within(HOUR) }
    }

    /// Counts a charge that is about to be made.
    ///
    /// # Errors
    /// The charge would exceed a limit.
    pub fn charge(&mut self, number: &str, amount: Minor, now: Instant) -> Result<(), LimitExceeded> {
        let Limits { max_amount, orders_per_hour, charges_per_minute, .. } = self.limits;
        if amount > max_amount {
            Err(LimitExceeded::Amount(max_amount))
        } else if self.paid.count(now) >= orders_per_hour && !self.charges.knows(number) {
            Err(LimitExceeded::Orders(orders_per_hour))
        } else if !self.charges.admit(number, charges_per_minute, now) {
            Err(LimitExceeded::Charges(charges_per_minute))
        } else {
            Ok(())
        }
    }

    /// Counts a charge that the provider says is paid.
    pub fn paid(&mut self, number: &str, now: Instant) {
        // It is full at the limit, and more need not be counted.
        self.paid.admit(number, self.limits.orders_per_hour, now);
    }

    /// Counts a refund that is about to be requested.
    ///
    /// # Errors
    /// The refund would exceed its limit.
    pub fn refund(&mut self, number: &str, now: Instant) -> Result<(), LimitExceeded> {
        let most = self.limits.refunds_per_hour;
        self.refunds.admit(number, most, now).then_some(()).ok_or(LimitExceeded::Refunds(most))
    }
}

/// The ids of the last minute or hour, the oldest first. There are never more than the limit.
#[derive(Debug)]
struct Recent {
    window: Duration,
    numbers: VecDeque<(Instant, String)>,
}

impl Recent {
    fn within(window: Duration) -> Self {
        Self { window, numbers: VecDeque::new() }
    }

    fn count(&mut self, now: Instant) -> usize {
        while self.numbers.front().is_some_and(|(at, _)| now >= *at + self.window) {
            self.numbers.pop_front();
        }
        self.numbers.len()
    }

    fn knows(&self, number: &str) -> bool {
        self.numbers.iter().any(|(_, known)| known == number)
    }

    fn admit(&mut self, number: &str, most: usize, now: Instant) -> bool {
        let room = self.count(now) < most;
        if self.knows(number) {
            return true;
        }
        if room {
            self.numbers.push_back((now, number.to_owned()));
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_amount: 500, orders_per_hour: 3, charges_per_minute: 2, refunds_per_hour: 1 };

    #[test]
    fn an_amount_up_to_the_limit() {
        let mut limiter = RateLimiter::new(LIMITS);
        let now = Instant::now();
        assert_eq!(limiter.charge("a", 500, now), Ok(()));
        assert_eq!(limiter.charge("b", 501, now), Err(LimitExceeded::Amount(500)));
        // What was refused has used nothing up.
        assert_eq!(limiter.charges.count(now), 1);
    }

    #[test]
    fn so_many_paid_in_any_hour_and_a_repeat_is_free() {
        let mut limiter = RateLimiter::new(LIMITS);
        let start = Instant::now();
        let minute = |n: u64| start + Duration::from_secs(n * 60);
        for (number, at) in [("a", 0), ("b", 20), ("c", 40)] {
            assert!(limiter.charge(number, 1, minute(at)).is_ok());
            for later in at..at + 10 {
                limiter.paid(number, minute(later));
            }
        }
        assert!(limiter.charge("c", 1, minute(40)).is_ok(), "the same again");
        assert_eq!(limiter.charge("d", 1, minute(59)), Err(LimitExceeded::Orders(3)));
        assert!(limiter.charge("d", 1, minute(60)).is_ok(), "the first is an hour old");
        limiter.paid("d", minute(60));
        assert_eq!(limiter.charge("e", 1, minute(61)), Err(LimitExceeded::Orders(3)), "the second is not");
    }

    #[test]
    fn what_nobody_paid_is_forgotten_within_a_minute() {
        let mut limiter = RateLimiter::new(LIMITS);
        let start = Instant::now();
        let second = |n: u64| start + Duration::from_secs(n);
        for minute in 0..100 {
            let number = |n: u64| format!("{minute}-{n}");
            assert!(limiter.charge(&number(1), 1, second(minute * 60)).is_ok());
            assert!(limiter.charge(&number(2), 1, second(minute * 60 + 30)).is_ok());
            assert_eq!(limiter.charge(&number(3), 1, second(minute * 60 + 59)), Err(LimitExceeded::Charges(2)));
            assert!(limiter.charge(&number(1), 1, second(minute * 60 + 59)).is_ok(), "the same again");
        }
    }

    #[test]
    fn refunds_have_a_count_of_their_own_and_a_refused_one_comes_through_later() {
        let mut limiter = RateLimiter::new(LIMITS);
        let now = Instant::now();
        for charge in ["a", "b", "c"] {
            limiter.paid(charge, now);
        }
        assert!(limiter.refund("r1", now).is_ok());
        assert_eq!(limiter.refund("r2", now), Err(LimitExceeded::Refunds(1)));
        assert!(limiter.refund("r1", now).is_ok());
        assert!(limiter.refund("r2", now + HOUR).is_ok());
    }
}
