//! A bound on how often something is done that the network can ask for: so many at once, and then one each interval.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct RateLimiter {
    burst: u32,
    every: Duration,
    left: u32,
    refilled: Instant,
}

impl RateLimiter {
    pub fn new(burst: u32, every: Duration, now: Instant) -> Self {
        Self { burst, every, left: burst, refilled: now }
    }

    /// When one more is allowed, after one was not.
    pub fn next(&self) -> Instant {
        self.refilled + self.every
    }

    pub fn allowed(&mut self, now: Instant) -> bool {
        while self.left < self.burst && now >= self.refilled + self.every {
            self.left += 1;
            self.refilled += self.every;
        }
        if self.left == self.burst {
            self.refilled = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_few() {
        let start = Instant::now();
        let mut rate_limiter = RateLimiter::new(10, Duration::from_secs(1), start);
        assert_eq!((0..1000).filter(|_| rate_limiter.allowed(start)).count(), 10);
        assert_eq!(rate_limiter.next(), start + Duration::from_secs(1));
        let later = start + Duration::from_millis(3500);
        assert_eq!((0..1000).filter(|_| rate_limiter.allowed(later)).count(), 3);
        let much_later = start + Duration::from_secs(1000);
        assert_eq!((0..1000).filter(|_| rate_limiter.allowed(much_later)).count(), 10);
    }
}
