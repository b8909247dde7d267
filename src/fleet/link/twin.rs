//! Another kiosk under the same name: a copied card, or an id given twice. Pure: time comes in.
//!
//! Policy: the broker lets only one client of a name in, so the two throw each other out in turn, and each finds the
//! other's `state` where it left its own. A state alone proves little, because a broker may bring back an old one: it counts
//! when ours had been shown there before, and when it has happened on two connections. An acknowledgement that the back
//! end has signed, of an event that this ledger does not hold, proves that the ledger has been copied.
//!
//! It is told and stops nothing: a hostile broker could say it too. While it lasts the connections get rarer, because
//! nobody gains by throwing the other out more often.

use std::time::{Duration, Instant};

use serde::Deserialize;

/// Bytes of a state document that is looked at.
const LONGEST: usize = 64 << 10;
/// Connections on which another's state was found in place of ours.
const ENOUGH: u32 = 2;

const SAME_NAME: &str =
    "another kiosk with this kiosk's id is on the broker: give each its own, and each its own storage";
const COPIED: &str =
    "the back end holds other events under this ledger's number: the storage was copied, or an old copy was put back";

#[derive(Debug)]
pub(super) struct Twins {
    /// Our own boot nonce.
    boot: String,
    /// A connection that lasted so long without a sign of another is proof that there is none.
    quiet: Duration,
    /// Our state has been on the broker.
    shown: bool,
    /// Looked at on this connection already.
    looked: bool,
    sightings: u32,
    copied: bool,
    told: Option<&'static str>,
    last: Option<Instant>,
}

#[derive(Deserialize)]
struct State {
    boot: String,
}

impl Twins {
    pub fn new(boot: String, quiet: Duration) -> Self {
        Self { boot, quiet, shown: false, looked: false, sightings: 0, copied: false, told: None, last: None }
    }

    pub fn connected(&mut self) {
        self.looked = false;
    }

    /// A state on our own topic. Answers whether nothing more is to be learnt from states on this connection: the broker
    /// shows ours.
    pub fn state(&mut self, payload: &[u8], now: Instant) -> bool {
        if payload.len() > LONGEST {
            return false;
        }
        let Ok(State { boot }) = serde_json::from_slice(payload) else { return false };
        if boot == self.boot {
            self.shown = true;
            return true;
        }
        if self.shown && !self.looked {
            self.looked = true;
            self.sightings = self.sightings.saturating_add(1);
            self.last = Some(now);
        }
        false
    }

    /// The back end has acknowledged, signed, what this ledger does not hold.
    pub fn contradicted(&mut self, now: Instant) {
        self.copied = true;
        self.last = Some(now);
    }

    /// A connection is not a good one while this holds.
    pub fn suspected(&self) -> bool {
        self.sightings > 0 || self.copied
    }

    /// When [`news`](Self::news) may have something to say by time alone.
    pub fn deadline(&self, up: Option<Instant>) -> Option<Instant> {
        up.filter(|_| self.suspected()).map(|up| self.last.map_or(up, |last| last.max(up)) + self.quiet)
    }

    /// What has changed since it was last asked: there is another, and why; or there is none any more.
    pub fn news(&mut self, up: Option<Instant>, now: Instant) -> Option<Option<&'static str>> {
        if self.deadline(up).is_some_and(|at| now >= at) {
            (self.sightings, self.copied) = (0, false);
        }
        let why = match self.copied {
            true => Some(COPIED),
            false if self.sightings >= ENOUGH => Some(SAME_NAME),
            // Told and seen once more, or not yet told and seen once.
            false if self.suspected() => self.told,
            false => None,
        };
        (why != self.told).then(|| {
            self.told = why;
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
        let mut twins = Twins::new("b2".into(), QUIET);
        twins.connected();
        // Our own former run, on the first connection.
        assert!(!twins.state(&state("b1"), now));
        assert!(twins.state(&state("b2"), now));
        assert!(!twins.suspected());
        // A broker that has lost its newest messages shows it once more.
        twins.connected();
        assert!(!twins.state(&state("b1"), now));
        assert!(!twins.state(&state("b1"), now));
        assert!(twins.suspected());
        assert_eq!(twins.news(Some(now), now), None);
        twins.connected();
        assert!(!twins.state(&state("x"), now));
        assert_eq!(twins.news(Some(now), now), Some(Some(SAME_NAME)));
        assert_eq!(twins.news(Some(now), now), None);
        // Nobody has come between for long.
        let up = now + Duration::from_secs(5);
        assert_eq!(twins.deadline(Some(up)), Some(up + QUIET));
        assert_eq!(twins.news(Some(up), up + QUIET - Duration::from_secs(1)), None);
        assert_eq!(twins.news(None, up + QUIET), None);
        assert_eq!(twins.news(Some(up), up + QUIET), Some(None));
        assert!(!twins.suspected());
    }

    #[test]
    fn what_is_no_state_says_nothing() {
        let now = Instant::now();
        let mut twins = Twins::new("b".into(), QUIET);
        twins.connected();
        twins.state(&state("b"), now);
        for garbage in [&b""[..], b"{", br#"{"selling":true}"#, &vec![b' '; LONGEST + 1]] {
            twins.connected();
            assert!(!twins.state(garbage, now));
        }
        assert!(!twins.suspected());
        twins.contradicted(now);
        assert_eq!(twins.news(None, now), Some(Some(COPIED)));
    }
}
