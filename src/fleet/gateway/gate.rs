//! What comes in before anything is done for it: how much at a time, how often, how old, and each request once.
//!
//! Policy: whoever owns the broker can send everything that a kiosk ever said, as often as he likes. So a message costs
//! nothing but a look at its topic once its kiosk has had its share: there is a place for so many under way, of all and
//! of each kiosk, and a pace; what is over it is dropped before its signature is looked at, and the kiosk asks again. A
//! request is good once and for [`LIFE_MS`] by the gateway's clock, and not at all when it was sent before this gateway
//! started, which has forgotten what it answered then. What is old gets the time as its answer and nothing else; what
//! came before gets none. Nor is anything begun for a request whose minute has passed meanwhile: a kiosk that has waited
//! that long knows that a close which nobody answered is not carried out any more.
//!
//! Each gateway remembers for itself. What is sent again to another one within the minute is looked at once more, and
//! does nothing that was not asked for: see [`clerk`](super::clerk).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::kiosks::Rejected;
use crate::fleet::topic::Name;

/// How long a request is good.
pub(super) const LIFE_MS: u64 = 60_000;
/// A kiosk may have the time from another gateway, whose clock is ahead.
const AHEAD_MS: u64 = 5_000;
/// Requests under way, of all kiosks.
const AT_A_TIME: usize = 1024;
/// Of one kiosk: those that are looked at, and as many that are told that it has enough.
const OF_ONE: usize = 16;
/// Between two requests of a kiosk, in the long run; an honest one asks four at a time and waits for answers.
const PACE: Duration = Duration::from_millis(50);
/// So many at once after a rest.
const BURST: u32 = 100;
/// Nonces of one kiosk: what the pace lets through while a request is good, and a few more.
const NONCES: usize = 2048;

pub(super) struct Gate {
    /// Never goes back: what was too old stays so.
    clock: AtomicU64,
    opened: u64,
    room: Arc<Semaphore>,
    kiosks: BTreeMap<Name, Wicket>,
}

struct Wicket {
    room: Arc<Semaphore>,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// What may be asked without waiting, in time.
    credit: Duration,
    counted: Instant,
    /// Nonces of this minute, with when they were sent; as they came in.
    nonces: VecDeque<(u64, u128)>,
}

/// Held while a request is under way.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// And for how long.
    Fresh(Duration),
    /// Old, from before the start, or of a time to come.
    Stale,
}

impl Gate {
    pub fn new<'a>(kiosks: impl IntoIterator<Item = &'a Name>) -> Self {
        let wicket = || Wicket { room: Arc::new(Semaphore::new(OF_ONE)), book: Mutex::new(Book::new(Instant::now())) };
        let opened = wall();
        Self {
            clock: AtomicU64::new(opened),
            opened,
            room: Arc::new(Semaphore::new(AT_A_TIME)),
            kiosks: kiosks.into_iter().map(|name| (name.clone(), wicket())).collect(),
        }
    }

    /// Milliseconds since 1970, by the machine's clock, which a back end keeps right.
    pub fn now(&self) -> u64 {
        let wall = wall();
        self.clock.fetch_max(wall, Relaxed).max(wall)
    }

    /// Before anything of a message but its topic is looked at.
    pub fn enter(&self, kiosk: &Name) -> Result<Place, Rejected> {
        let wicket = self.kiosks.get(kiosk).ok_or(Rejected::Topic)?;
        let place = || {
            let of_one = Arc::clone(&wicket.room).try_acquire_owned().ok()?;
            let of_all = Arc::clone(&self.room).try_acquire_owned().ok()?;
            wicket.book().pace(Instant::now()).then_some(Place { _of_all: of_all, _of_one: of_one })
        };
        place().ok_or(Rejected::Flood)
    }

    /// Whether a request, which is this kiosk's by its signature, is new.
    pub fn look(&self, kiosk: &Name, nonce: u128, sent: u64) -> Result<Age, Rejected> {
        let wicket = self.kiosks.get(kiosk).ok_or(Rejected::Topic)?;
        wicket.book().take(nonce, sent, self.now(), self.opened)
    }
}

impl Wicket {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn new(now: Instant) -> Self {
        Self { credit: PACE * BURST, counted: now, nonces: VecDeque::new() }
    }

    /// Counts one more, when it is not too many.
    fn pace(&mut self, now: Instant) -> bool {
        let rest = now.saturating_duration_since(self.counted);
        self.credit = self.credit.saturating_add(rest).min(PACE * BURST);
        self.counted = now;
        let left = self.credit.checked_sub(PACE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    fn take(&mut self, nonce: u128, sent: u64, now: u64, opened: u64) -> Result<Age, Rejected> {
        let good_at = |sent: u64| sent.saturating_add(LIFE_MS) >= now;
        if sent < opened || !good_at(sent) || sent > now.saturating_add(AHEAD_MS) {
            return Ok(Age::Stale);
        }
        self.nonces.retain(|(sent, _)| good_at(*sent));
        if self.nonces.iter().any(|(_, known)| *known == nonce) {
            return Err(Rejected::Repeated);
        }
        // More than the pace lets through only when the clock was set back, and then the oldest go.
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

    const OPENED: u64 = 1_800_000_000_000;

    #[test]
    fn a_request_is_good_once_and_for_a_minute() {
        let mut book = Book::new(Instant::now());
        let mut take = |nonce, sent, now| book.take(nonce, OPENED + sent, OPENED + now, OPENED);
        assert_eq!(take(0, 1_000, 61_000), Ok(Age::Fresh(Duration::ZERO)));
        assert_eq!(take(1, 1_000, 1_000), Ok(Age::Fresh(Duration::from_secs(60))));
        assert_eq!(take(1, 1_000, 1_000), Err(Rejected::Repeated));
        assert_eq!(take(1, 1_000, 61_000), Err(Rejected::Repeated), "to the last moment");
        assert_eq!(take(1, 1_000, 61_001), Ok(Age::Stale));
        assert_eq!(take(2, 1_000, 61_001), Ok(Age::Stale));
        // By a clock that is ahead, it is good for as much longer, and remembered for as long.
        assert_eq!(take(3, 75_001, 70_000), Ok(Age::Stale));
        assert_eq!(take(3, 75_000, 70_000), Ok(Age::Fresh(Duration::from_secs(65))));
        assert_eq!(take(3, 75_000, 135_000), Err(Rejected::Repeated));
        assert_eq!(take(3, 75_000, 135_001), Ok(Age::Stale));
        assert_eq!(book.nonces.len(), 1, "what has gone by is forgotten with the next");
    }

    #[test]
    fn what_was_sent_before_the_start_is_not_taken_after_it() {
        let mut book = Book::new(Instant::now());
        assert_eq!(book.take(1, OPENED - 1, OPENED, OPENED), Ok(Age::Stale));
        assert_eq!(book.take(1, 0, OPENED, OPENED), Ok(Age::Stale), "a kiosk that does not know the time");
        assert!(matches!(book.take(1, OPENED, OPENED, OPENED), Ok(Age::Fresh(_))));
    }

    #[test]
    fn the_memory_is_bounded_and_holds_what_the_pace_lets_through() {
        let minute = Duration::from_millis(LIFE_MS + AHEAD_MS).div_duration_f64(PACE) as usize + BURST as usize;
        assert!(minute < NONCES, "{minute}");
        let mut book = Book::new(Instant::now());
        for nonce in 0..2 * NONCES {
            assert!(matches!(book.take(nonce as u128, OPENED, OPENED, OPENED), Ok(Age::Fresh(_))));
        }
        assert_eq!(book.nonces.len(), NONCES);
    }

    #[test]
    fn a_burst_and_then_a_pace() {
        let start = Instant::now();
        let mut book = Book::new(start);
        let mut let_in = |at: Duration| (0..1000).filter(|_| book.pace(start + at)).count();
        assert_eq!(let_in(Duration::ZERO), 100);
        assert_eq!(let_in(Duration::from_millis(49)), 0);
        assert_eq!(let_in(Duration::from_millis(100)), 2);
        assert_eq!(let_in(Duration::from_secs(3600)), 100, "a rest is worth a burst, however long");
    }

    #[test]
    fn so_many_at_a_time() {
        let names = ["K1", "K2"].map(|name| Name::parse(name).unwrap());
        let gate = Gate::new(&names);
        let mut places: Vec<Place> = (0..OF_ONE).map(|_| gate.enter(&names[0]).ok().unwrap()).collect();
        assert_eq!(gate.enter(&names[0]).err(), Some(Rejected::Flood));
        assert!(gate.enter(&names[1]).is_ok(), "another kiosk has its own");
        places.pop();
        assert!(gate.enter(&names[0]).is_ok());
        assert_eq!(gate.enter(&Name::parse("K3").unwrap()).err(), Some(Rejected::Topic));
    }
}
