//! Detects another kiosk under the same name: a copied card, or an id given twice. It is pure: the caller passes the
//! time.
//!
//! Policy: a broker accepts only one client of a name, so the two kiosks disconnect each other in turn, and each finds
//! the other's `state` where it left its own. A state alone proves little, because a broker may bring back an old one:
//! it counts when our own was there before, and when it has happened on two connections. An acknowledgement that the
//! back end has signed, of an event that this ledger does not hold, proves that the ledger has been copied.
//!
//! A duplicate is reported and stops nothing, because a hostile broker could fake one. While it lasts the kiosk
//! connects more rarely, because neither gains by disconnecting the other more often.

use std::time::{Duration, Instant};

use serde::Deserialize;

/// Longer state documents, in bytes, are ignored.
const LONGEST: usize = 64 << 10;
/// On so many connections must another kiosk's state be found in place of ours.
const ENOUGH: u32 = 2;

const SAME_NAME: &str =
    "another kiosk with this kiosk's id is on the broker: give each its own, and each its own storage";
const COPIED: &str =
    "the back end holds other events under this ledger's number: the storage was copied, or an old copy was put back";

#[derive(Debug)]
pub(super) struct DuplicateDetector {
    /// Our own boot nonce.
    boot: String,
    /// A connection that lasted so long without a sign of another kiosk proves that there is none.
    quiet: Duration,
    /// The connection is to the second broker.
    away: bool,
    /// Our state has been on the first broker, and on the second.
    shown: [bool; 2],
    /// Looked at on this connection already.
    looked: bool,
    sightings: u32,
    copied: bool,
    reported: Option<&'static str>,
    last: Option<Instant>,
}

#[derive(Deserialize)]
struct State {
    boot: String,
}

impl DuplicateDetector {
    pub fn new(boot: String, quiet: Duration) -> Self {
        Self {
            boot,
            quiet,
            away: false,
            shown: [false; 2],
            looked: false,
            sightings: 0,
            copied: false,
            reported: None,
            last: None,
        }
    }

    /// `away`: to the second broker, where our own state may be one of long ago.
    pub fn connected(&mut self, away: bool) {
        (self.away, self.looked) = (away, false);
    }

    /// Takes a state that came on our own topic. Answers whether it is ours: then nothing more can be learnt from
    /// states on this connection.
    pub fn state(&mut self, payload: &[u8], now: Instant) -> bool {
        if payload.len() > LONGEST {
            return false;
        }
        let Ok(State { boot }) = serde_json::from_slice(payload) else { return false };
        if boot == self.boot {
            self.shown[usize::from(self.away)] = true;
            return true;
        }
        if self.shown[usize::from(self.away)] && !self.looked {
            self.looked = true;
            self.sightings = self.sightings.saturating_add(1);
            self.last = Some(now);
        }
        false
    }

    /// The back end has acknowledged, with its signature, an event that this ledger does not hold.
    pub fn contradicted(&mut self, now: Instant) {
        self.copied = true;
        self.last = Some(now);
    }

    /// Whether there may be a duplicate; while it holds no connection counts as good.
    pub fn suspected(&self) -> bool {
        self.sightings > 0 || self.copied
    }

    /// When [`change`](Self::change) may have something to say by time alone.
    pub fn deadline(&self, up: Option<Instant>) -> Option<Instant> {
        up.filter(|_| self.suspected()).map(|up| self.last.map_or(up, |last| last.max(up)) + self.quiet)
    }

    /// What has changed since the last call: there is a duplicate, and why that is believed; or there is none any more.
    pub fn change(&mut self, up: Option<Instant>, now: Instant) -> Option<Option<&'static str>> {
        if self.deadline(up).is_some_and(|at| now >= at) {
            (self.sightings, self.copied) = (0, false);
        }
        let why = match self.copied {
            true => Some(COPIED),
            false if self.sightings >= ENOUGH => Some(SAME_NAME),
            // It was reported and seen once more, or seen once and not reported yet.
            false if self.suspected() => self.reported,
            false => None,
        };
        (why != self.reported).then(|| {
            self.reported = why;
            why
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(600);

    fn state(boot: &str) -> Vec<u8> {
        format!(r#"{{"selling":true,"boot":"{boot}"}}"#).into_bytes()
    }

    #[test]
    fn a_restart_or_an_old_state_is_no_twin_and_two_takeovers_are() {
        let now = Instant::now();
        let mut duplicates = DuplicateDetector::new("b2".into(), QUIET);
        duplicates.connected(false);
        // Our own former run, on the first connection.
        assert!(!duplicates.state(&state("b1"), now));
        assert!(duplicates.state(&state("b2"), now));
        assert!(!duplicates.suspected());
        // A broker that has lost its newest messages shows it once more.
        duplicates.connected(false);
        assert!(!duplicates.state(&state("b1"), now));
        assert!(!duplicates.state(&state("b1"), now));
        assert!(duplicates.suspected());
        assert_eq!(duplicates.change(Some(now), now), None);
        duplicates.connected(false);
        assert!(!duplicates.state(&state("x"), now));
        assert_eq!(duplicates.change(Some(now), now), Some(Some(SAME_NAME)));
        assert_eq!(duplicates.change(Some(now), now), None);
        // Nobody has come between for long.
        let up = now + Duration::from_secs(5);
        assert_eq!(duplicates.deadline(Some(up)), Some(up + QUIET));
        assert_eq!(duplicates.change(Some(up), up + QUIET - Duration::from_secs(1)), None);
        assert_eq!(duplicates.change(None, up + QUIET), None);
        assert_eq!(duplicates.change(Some(up), up + QUIET), Some(None));
        assert!(!duplicates.suspected());
    }

    #[test]
    fn each_broker_has_its_own_memory() {
        let now = Instant::now();
        let mut duplicates = DuplicateDetector::new("b2".into(), QUIET);
        duplicates.connected(false);
        assert!(duplicates.state(&state("b2"), now));
        // What a former run has left at the second broker is no other kiosk's.
        duplicates.connected(true);
        assert!(!duplicates.state(&state("b1"), now));
        assert!(!duplicates.suspected());
        assert!(duplicates.state(&state("b2"), now));
        duplicates.connected(true);
        assert!(!duplicates.state(&state("b1"), now));
        assert!(duplicates.suspected());
    }

    #[test]
    fn what_is_no_state_says_nothing() {
        let now = Instant::now();
        let mut duplicates = DuplicateDetector::new("b".into(), QUIET);
        duplicates.connected(false);
        duplicates.state(&state("b"), now);
        for garbage in [&b""[..], b"{", br#"{"selling":true}"#, &vec![b' '; LONGEST + 1]] {
            duplicates.connected(false);
            assert!(!duplicates.state(garbage, now));
        }
        assert!(!duplicates.suspected());
        duplicates.contradicted(now);
        assert_eq!(duplicates.change(None, now), Some(Some(COPIED)));
    }
}
