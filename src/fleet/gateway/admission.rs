//! Admission control for requests: the rate limit, the limit of requests in flight, the age, and replay protection.
//!
//! Policy: whoever owns the broker can replay everything that a kiosk ever sent, as often as he likes. So the number of
//! requests in flight is bounded, in total and for each kiosk, and each kiosk has a rate limit. A message over a limit
//! is dropped after its topic was read and before its signature is checked; the kiosk sends the request again. A
//! request is good once and for [`LIFE_MS`] by the gateway's clock, and not at all when it was sent before this gateway
//! started, because the gateway doesn't know any more what it answered then. A request that is too old is answered with
//! the time and nothing else; a repeated one isn't answered. Nor is anything begun for a request whose minute has
//! passed meanwhile: a kiosk that has waited that long knows that a close which nobody answered is not carried out any
//! more.
//!
//! Each gateway has its own memory. A request that is replayed to another gateway within the minute is handled once
//! more, which does nothing that the kiosk did not ask for: see [`handler`](super::handler).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::kiosks::Rejected;
use crate::fleet::topic::Name;

/// A request is good for so many milliseconds.
pub(super) const LIFE_MS: u64 = 60_000;
/// So far ahead of this gateway's clock may a request be: a kiosk may have the time from another gateway.
const AHEAD_MS: u64 = 5_000;
/// This many requests of all kiosks may be in flight.
const IN_FLIGHT: usize = 1024;
/// This many requests of one kiosk may be in flight: those that are handled, and as many that are answered as too many.
const PER_KIOSK: usize = 16;
/// The least time between two requests of a kiosk, on average; a correct kiosk has four in flight and waits for
/// answers.
const PACE: Duration = Duration::from_millis(50);
/// A kiosk that has been quiet may send this many at once.
const BURST: u32 = 100;
/// This many nonces of one kiosk are remembered: what the rate limit lets through while a request is good, and a few
/// more.
const NONCES: usize = 2048;

pub(super) struct Admission {
    /// The latest time seen; it never goes back, so that a request that was too old stays too old.
    clock: AtomicU64,
    started: u64,
    permits: Arc<Semaphore>,
    kiosks: BTreeMap<Name, PerKiosk>,
}

struct PerKiosk {
    permits: Arc<Semaphore>,
    history: Mutex<History>,
}

#[derive(Debug)]
struct History {
    /// The token bucket of the rate limit, measured in time: each request takes [`PACE`].
    credit: Duration,
    updated: Instant,
    /// The nonces of the last minute with the time they were sent, in the order of arrival.
    nonces: VecDeque<(u64, u128)>,
}

/// Permission to handle one request, held while the request is in flight.
pub(super) struct Permit {
    _total: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// The request is good for so long.
    Fresh(Duration),
    /// The request is too old, from before the gateway's start, or from the future.
    Stale,
}

impl Admission {
    pub fn new<'a>(kiosks: impl IntoIterator<Item = &'a Name>) -> Self {
        let kiosk = || PerKiosk {
            permits: Arc::new(Semaphore::new(PER_KIOSK)),
            history: Mutex::new(History::new(Instant::now())),
        };
        let started = wall();
        Self {
            clock: AtomicU64::new(started),
            started,
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            kiosks: kiosks.into_iter().map(|name| (name.clone(), kiosk())).collect(),
        }
    }

    /// Milliseconds since 1970, by the machine's clock, which a back end keeps right.
    pub fn now(&self) -> u64 {
        let wall = wall();
        self.clock.fetch_max(wall, Relaxed).max(wall)
    }

    /// Applies the limits to a message of which only the topic has been read.
    ///
    /// # Errors
    /// The kiosk is unknown, or a limit is reached.
    pub fn admit(&self, kiosk: &Name) -> Result<Permit, Rejected> {
        let kiosk = self.kiosks.get(kiosk).ok_or(Rejected::Topic)?;
        let permit = || {
            let own = Arc::clone(&kiosk.permits).try_acquire_owned().ok()?;
            let total = Arc::clone(&self.permits).try_acquire_owned().ok()?;
            kiosk.history().within_rate(Instant::now()).then_some(Permit { _total: total, _own: own })
        };
        permit().ok_or(Rejected::Flood)
    }

    /// Checks the age of a request, whose signature is verified, and that it is not a replay. `sent` is in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// The kiosk is unknown, or its request has come before.
    pub fn check(&self, kiosk: &Name, nonce: u128, sent: u64) -> Result<Age, Rejected> {
        let kiosk = self.kiosks.get(kiosk).ok_or(Rejected::Topic)?;
        kiosk.history().check(nonce, sent, self.now(), self.started)
    }
}

impl PerKiosk {
    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn new(now: Instant) -> Self {
        Self { credit: PACE * BURST, updated: now, nonces: VecDeque::new() }
    }

    /// Counts one more request, and answers whether it is within the rate limit.
    fn within_rate(&mut self, now: Instant) -> bool {
        let rest = now.saturating_duration_since(self.updated);
        self.credit = self.credit.saturating_add(rest).min(PACE * BURST);
        self.updated = now;
        let left = self.credit.checked_sub(PACE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    fn check(&mut self, nonce: u128, sent: u64, now: u64, started: u64) -> Result<Age, Rejected> {
        let good_at = |sent: u64| sent.saturating_add(LIFE_MS) >= now;
        if sent < started || !good_at(sent) || sent > now.saturating_add(AHEAD_MS) {
            return Ok(Age::Stale);
        }
        self.nonces.retain(|(sent, _)| good_at(*sent));
        if self.nonces.iter().any(|(_, known)| *known == nonce) {
            return Err(Rejected::Repeated);
        }
        // Only when the clock was set back can there be more than the rate limit lets through; then the oldest go.
        if self.nonces.len() == NONCES {
            self.nonces.pop_front();
        }
        self.nonces.push_back((sent, nonce));
        Ok(Age::Fresh(Duration::from_millis(sent.saturating_add(LIFE_MS).saturating_sub(now))))
    }
}

fn wall() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: u64 = 1_800_000_000_000;

    #[test]
    fn a_request_is_good_once_and_for_a_minute() {
        let mut history = History::new(Instant::now());
        let mut check = |nonce, sent, now| history.check(nonce, STARTED + sent, STARTED + now, STARTED);
        assert_eq!(check(0, 1_000, 61_000), Ok(Age::Fresh(Duration::ZERO)));
        assert_eq!(check(1, 1_000, 1_000), Ok(Age::Fresh(Duration::from_secs(60))));
        assert_eq!(check(1, 1_000, 1_000), Err(Rejected::Repeated));
        assert_eq!(check(1, 1_000, 61_000), Err(Rejected::Repeated), "to the last moment");
        assert_eq!(check(1, 1_000, 61_001), Ok(Age::Stale));
        assert_eq!(check(2, 1_000, 61_001), Ok(Age::Stale));
        // By a clock that is ahead, it is good for as much longer, and remembered for as long.
        assert_eq!(check(3, 75_001, 70_000), Ok(Age::Stale));
        assert_eq!(check(3, 75_000, 70_000), Ok(Age::Fresh(Duration::from_secs(65))));
        assert_eq!(check(3, 75_000, 135_000), Err(Rejected::Repeated));
        assert_eq!(check(3, 75_000, 135_001), Ok(Age::Stale));
        assert_eq!(history.nonces.len(), 1, "what has gone by is forgotten with the next");
    }

    #[test]
    fn what_was_sent_before_the_start_is_not_taken_after_it() {
        let mut history = History::new(Instant::now());
        assert_eq!(history.check(1, STARTED - 1, STARTED, STARTED), Ok(Age::Stale));
        assert_eq!(history.check(1, 0, STARTED, STARTED), Ok(Age::Stale), "a kiosk that does not know the time");
        assert!(matches!(history.check(1, STARTED, STARTED, STARTED), Ok(Age::Fresh(_))));
    }

    #[test]
    fn the_memory_is_bounded_and_holds_what_the_pace_lets_through() {
        let minute = Duration::from_millis(LIFE_MS + AHEAD_MS).div_duration_f64(PACE) as usize + BURST as usize;
        assert!(minute < NONCES, "{minute}");
        let mut history = History::new(Instant::now());
        for nonce in 0..2 * NONCES {
            assert!(matches!(history.check(nonce as u128, STARTED, STARTED, STARTED), Ok(Age::Fresh(_))));
        }
        assert_eq!(history.nonces.len(), NONCES);
    }

    #[test]
    fn a_burst_and_then_a_pace() {
        let start = Instant::now();
        let mut history = History::new(start);
        let mut let_in = |at: Duration| (0..1000).filter(|_| history.within_rate(start + at)).count();
        assert_eq!(let_in(Duration::ZERO), 100);
        assert_eq!(let_in(Duration::from_millis(49)), 0);
        assert_eq!(let_in(Duration::from_millis(100)), 2);
        assert_eq!(let_in(Duration::from_secs(3600)), 100, "a rest is worth a burst, however long");
    }

    #[test]
    fn so_many_at_a_time() {
        let names = ["K1", "K2"].map(|name| Name::parse(name).unwrap());
        let admission = Admission::new(&names);
        let mut places: Vec<Permit> = (0..PER_KIOSK).map(|_| admission.admit(&names[0]).ok().unwrap()).collect();
        assert_eq!(admission.admit(&names[0]).err(), Some(Rejected::Flood));
        assert!(admission.admit(&names[1]).is_ok(), "another kiosk has its own");
        places.pop();
        assert!(admission.admit(&names[0]).is_ok());
        assert_eq!(admission.admit(&Name::parse("K3").unwrap()).err(), Some(Rejected::Topic));
    }
}
