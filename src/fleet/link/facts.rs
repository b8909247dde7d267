//! What the lanes of a site tell each other, as far as a link is concerned: whose, how often ours is told, and how often theirs
//! are handed on. It is pure: the caller passes the time.
//!
//! Policy: a lane's document replaces its last one, so only the newest counts on its way out and in. Ours goes when nothing of
//! it is on its way any more, and not often. Whoever may write on a lane's topic may write there all the time: of what comes
//! the newest of each lane waits, the lanes take turns, and the kiosk is given no more than it can look at. So a lane that
//! floods keeps no other from being heard, and what waits fills no memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::fleet::rate_limiter::RateLimiter;
use crate::signed::jws;

/// Bytes of a document; a longer one is neither told nor handed on.
pub(super) const LONGEST: usize = jws::LONGEST;
/// Between two of ours. A full document is 128 KiB, so a lane with a car a second would have a slow line to itself; two seconds
/// are less than a car takes from one lane to the next. The first of a connection waits as long, so that what the broker has
/// kept of this lane is heard before it is replaced: by that an older disk is noticed.
pub(super) const EVERY: Duration = Duration::from_secs(2);
/// The newest is told again after so long: not every broker keeps it for whoever comes later.
pub(super) const AGAIN: Duration = Duration::from_secs(600);
/// So many connections in a row that ended over ours are chance. A broker that will not have it would end each, and the events
/// would hardly get through, so after them it waits.
const ENDED_OVER_IT: u32 = 3;
/// For so long, after which a connection counts as good.
const WAIT: Duration = Duration::from_secs(60);

/// So many are handed on at once, as when a connection begins; a site has at most 32 lanes.
const AT_ONCE: u32 = 64;
/// Then one in so long: of 128 KiB each a small board verifies far more.
const ONE_IN: Duration = Duration::from_millis(100);

/// The lane of a site that a kiosk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteTopics {
    /// From 1.
    pub site: u16,
    /// 1 to 99.
    pub lane: u8,
}

/// How our own document is told.
#[derive(Debug)]
pub(super) struct Telling {
    /// When it was told last on this connection, or the connection began.
    last: Instant,
    /// It is on its way.
    under_way: bool,
    ended_over_it: u32,
}

impl Telling {
    pub fn new(now: Instant) -> Self {
        Self { last: now, under_way: false, ended_over_it: 0 }
    }

    pub fn connected(&mut self, now: Instant) {
        (self.last, self.under_way) = (now, false);
    }

    /// The connection has ended. Answers whether too many have ended over ours by now.
    pub fn disconnected(&mut self) -> bool {
        let over_it = std::mem::take(&mut self.under_way);
        self.ended_over_it = self.ended_over_it.saturating_add(u32::from(over_it));
        over_it && self.ended_over_it == ENDED_OVER_IT
    }

    /// When it may go. `due`: there is a new one, or a new connection.
    pub fn at(&self, due: bool) -> Option<Instant> {
        let pause = match due {
            true if self.ended_over_it >= ENDED_OVER_IT => WAIT,
            true => EVERY,
            false => AGAIN,
        };
        (!self.under_way).then(|| self.last + pause)
    }

    pub fn told(&mut self, now: Instant) {
        (self.last, self.under_way) = (now, true);
    }

    /// There was no room for it.
    pub fn put_off(&mut self, now: Instant) {
        self.last = now;
    }

    /// The broker has taken it.
    pub fn taken(&mut self) {
        (self.under_way, self.ended_over_it) = (false, 0);
    }
}

/// What has come of the lanes, and waits for its turn.
#[derive(Debug)]
pub(super) struct Hearing {
    waiting: BTreeMap<u8, Vec<u8>>,
    /// The lane whose turn was last.
    last: u8,
    pace: RateLimiter,
}

impl Hearing {
    pub fn new(now: Instant) -> Self {
        Self { waiting: BTreeMap::new(), last: 0, pace: RateLimiter::new(AT_ONCE, ONE_IN, now) }
    }

    /// A lane's newest.
    pub fn put(&mut self, lane: u8, message: Vec<u8>) {
        self.waiting.insert(lane, message);
    }

    /// What is to be handed on now.
    pub fn next(&mut self, now: Instant) -> Option<(u8, Vec<u8>)> {
        let after = self.waiting.keys().find(|lane| **lane > self.last);
        let lane = *after.or_else(|| self.waiting.keys().next())?;
        if !self.pace.allowed(now) {
            return None;
        }
        self.last = lane;
        self.waiting.remove_entry(&lane)
    }

    /// When [`next`](Self::next) may have something, after it had nothing.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.pace.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_goes_every_few_seconds_and_one_after_the_other() {
        let start = Instant::now();
        let mut telling = Telling::new(start);
        telling.connected(start);
        assert_eq!(telling.at(true), Some(start + EVERY), "the kept one is heard first");
        assert_eq!(telling.at(false), Some(start + AGAIN));
        let then = start + EVERY;
        telling.told(then);
        assert_eq!(telling.at(true), None, "the broker has not taken the last");
        telling.taken();
        assert_eq!(telling.at(true), Some(then + EVERY));
    }

    #[test]
    fn a_broker_that_will_not_have_it_is_not_asked_on_every_connection() {
        let start = Instant::now();
        let mut telling = Telling::new(start);
        for nth in 1..=ENDED_OVER_IT {
            telling.connected(start);
            assert_eq!(telling.at(true), Some(start + EVERY));
            telling.told(start + EVERY);
            assert_eq!(telling.disconnected(), nth == ENDED_OVER_IT);
        }
        telling.connected(start);
        assert_eq!(telling.at(true), Some(start + WAIT));
        assert!(!telling.disconnected(), "this one did not end over it");
        telling.connected(start);
        telling.told(start + WAIT);
        telling.taken();
        assert_eq!(telling.at(true), Some(start + WAIT + EVERY));
    }

    #[test]
    fn lanes_take_turns_and_the_newest_of_each_waits() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        assert_eq!((hearing.next(start), hearing.deadline()), (None, None));
        // One lane floods.
        let heard = (0..1000u32).filter(|n| {
            hearing.put(5, n.to_be_bytes().to_vec());
            hearing.next(start).is_some()
        });
        assert_eq!(heard.count(), AT_ONCE as usize);
        hearing.put(9, b"nine".to_vec());
        hearing.put(2, b"two".to_vec());
        assert_eq!(hearing.next(start), None);
        assert_eq!(hearing.deadline(), Some(start + ONE_IN));
        let mut at = start;
        let mut next = || {
            at += ONE_IN;
            hearing.put(5, b"five".to_vec());
            hearing.next(at)
        };
        assert_eq!(next(), Some((9, b"nine".to_vec())), "after the lane whose turn was last");
        assert_eq!(next(), Some((2, b"two".to_vec())));
        assert_eq!(next(), Some((5, b"five".to_vec())));
        assert_eq!(hearing.next(at + ONE_IN), None, "an older one is gone");
    }
}
