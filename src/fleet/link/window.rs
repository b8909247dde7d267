//! Which events may go out next, and what an acknowledgement does to that. Pure: time comes in.
//!
//! Policy: the cursor is the back end's word, so it follows that word forward at once, and back as well: what the back
//! end says it lacks is sent again. Going back costs a window of repeats, so it is done at most once per `first`
//! time-out; a claim that comes sooner is kept, the lowest of them, and carried out when its time has come. So stale or
//! replayed acknowledgements cost a bounded number of repeats and can't hide the back end's true word.
//!
//! While nobody acknowledges only one event is repeated, ever more rarely: a back end that is down for a week must not
//! cost a kiosk's data plan. One acknowledgement opens the window again.

use std::time::{Duration, Instant};

/// What an acknowledgement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// The cursor has moved, forward or back.
    To(u64),
    /// Said before.
    Nowhere,
    /// Back, but too soon after the last time; kept for later.
    Later,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The first repeat comes after this long without progress; also the least time between two moves back.
    pub first: Duration,
    /// Repeats get rarer up to this.
    pub last: Duration,
    /// With nothing to send, how often the last event is repeated to hear whether the back end still has it.
    pub probe: Duration,
}

/// Invariants: `cursor <= sent + 1` (one less than the cursor is a probe) and `sent <= cursor + open`, `open <= size`.
#[derive(Debug)]
pub(super) struct Window {
    pace: Pace,
    size: u64,
    open: u64,
    cursor: u64,
    sent: u64,
    patience: Duration,
    /// Last progress, or the last time it started over.
    since: Instant,
    went_back: Option<Instant>,
    claim: Option<u64>,
}

impl Window {
    pub fn new(cursor: u64, size: u16, pace: Pace, now: Instant) -> Self {
        let size = u64::from(size.max(1));
        Self {
            pace,
            size,
            open: size,
            cursor,
            sent: cursor,
            patience: pace.first,
            since: now,
            went_back: None,
            claim: None,
        }
    }

    /// A new connection: what went into the old one may be lost. Starts one before the cursor, so that a back end that
    /// has lost its memory, or a cursor that a forged acknowledgement moved, shows even when there is nothing new.
    pub fn connected(&mut self, now: Instant) {
        self.sent = self.cursor.saturating_sub(1);
        self.since = now;
    }

    /// The back end's word, as it is believed.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// After which event to go on, and how many may go.
    pub fn room(&self) -> Option<(u64, usize)> {
        let free = (self.cursor + self.open).saturating_sub(self.sent);
        // A batch of one for every acknowledgement would be a query each; wait for a quarter.
        let worthwhile = (self.open / 4).max(1).min(self.open);
        (free >= worthwhile).then(|| (self.sent, usize::try_from(free).unwrap_or(usize::MAX)))
    }

    pub fn published(&mut self, seq: u64, now: Instant) {
        if self.sent <= self.cursor {
            self.since = now;
        }
        self.sent = seq;
    }

    /// The back end holds everything up to `seq`, and the ledger agrees that there is such an event.
    pub fn acknowledged(&mut self, seq: u64, now: Instant) -> Moved {
        if seq == self.cursor {
            return Moved::Nowhere;
        }
        if seq > self.cursor {
            self.cursor = seq;
            self.sent = self.sent.max(seq);
            return self.progress(now);
        }
        if self.went_back.is_some_and(|at| now < at + self.pace.first) {
            self.claim = Some(self.claim.map_or(seq, |claim| claim.min(seq)));
            return Moved::Later;
        }
        self.go_back(seq, now)
    }

    /// What is due: `Some` when the cursor has moved back to a kept claim, or sending starts over.
    pub fn tick(&mut self, now: Instant) -> Option<Due> {
        if let Some(claim) = self.claim
            && self.went_back.is_none_or(|at| now >= at + self.pace.first)
        {
            self.claim = None;
            if claim < self.cursor {
                self.go_back(claim, now);
                return Some(Due::WentBack(claim));
            }
        }
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        if self.sent > self.cursor {
            self.sent = self.cursor;
            self.open = 1;
            self.patience = (self.patience * 2).min(self.pace.last);
        } else {
            self.sent = self.cursor.saturating_sub(1);
        }
        self.since = now;
        Some(Due::Again)
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn deadline(&self) -> Option<Instant> {
        let claim = self.claim.and(self.went_back).map(|at| at + self.pace.first);
        let wait = if self.sent > self.cursor { self.patience } else { self.pace.probe };
        let quiet = (self.sent > self.cursor || self.cursor > 0).then(|| self.since + wait);
        claim.into_iter().chain(quiet).min()
    }

    fn go_back(&mut self, seq: u64, now: Instant) -> Moved {
        self.cursor = seq;
        self.sent = seq;
        self.went_back = Some(now);
        self.progress(now)
    }

    /// The back end is alive.
    fn progress(&mut self, now: Instant) -> Moved {
        self.open = self.size;
        self.patience = self.pace.first;
        self.since = now;
        Moved::To(self.cursor)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The cursor moved back to here.
    WentBack(u64),
    /// The same again, from the cursor.
    Again,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACE: Pace =
        Pace { first: Duration::from_secs(5), last: Duration::from_secs(60), probe: Duration::from_secs(3600) };

    /// Sends what may be sent, of a ledger with `head` events; answers with the numbers.
    fn send(window: &mut Window, head: u64, now: Instant) -> Vec<u64> {
        let mut out = Vec::new();
        while let Some((after, limit)) = window.room() {
            let last = head.min(after + limit as u64);
            if last <= after {
                break;
            }
            for seq in after + 1..=last {
                window.published(seq, now);
                out.push(seq);
            }
        }
        out
    }

    #[test]
    fn sends_a_window_and_goes_on_with_each_acknowledgement() {
        let now = Instant::now();
        let mut window = Window::new(10, 4, PACE, now);
        assert_eq!(send(&mut window, 100, now), [11, 12, 13, 14]);
        assert_eq!(window.acknowledged(12, now), Moved::To(12));
        assert_eq!(send(&mut window, 100, now), [15, 16]);
        assert_eq!(window.acknowledged(12, now), Moved::Nowhere);
        assert!(send(&mut window, 100, now).is_empty());
    }

    #[test]
    fn a_new_connection_repeats_the_last_acknowledged_and_all_after_it() {
        let now = Instant::now();
        let mut window = Window::new(10, 3, PACE, now);
        send(&mut window, 100, now);
        window.connected(now);
        assert_eq!(send(&mut window, 100, now), [10, 11, 12, 13]);
        let mut empty = Window::new(0, 3, PACE, now);
        empty.connected(now);
        assert_eq!(send(&mut empty, 1, now), [1]);
    }

    #[test]
    fn silence_repeats_one_event_ever_more_rarely_and_one_answer_opens_the_window() {
        let mut now = Instant::now();
        let mut window = Window::new(0, 64, PACE, now);
        assert_eq!(send(&mut window, 100, now).len(), 64);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let at = window.deadline().unwrap();
            assert_eq!(window.tick(at - Duration::from_millis(1)), None);
            waits.push((at - now).as_secs());
            now = at;
            assert_eq!(window.tick(now), Some(Due::Again));
            assert_eq!(send(&mut window, 100, now), [1]);
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(window.acknowledged(1, now), Moved::To(1));
        assert_eq!(send(&mut window, 100, now), (2..=65).collect::<Vec<_>>());
        assert_eq!(window.deadline(), Some(now + PACE.first));
    }

    #[test]
    fn goes_back_at_once_but_not_twice_in_a_row() {
        let start = Instant::now();
        let mut window = Window::new(20, 4, PACE, start);
        assert_eq!(window.acknowledged(10, start), Moved::To(10));
        assert_eq!(send(&mut window, 30, start), [11, 12, 13, 14]);
        // Forged or stale, forward and back: the lowest claim is kept and carried out when it may be.
        assert_eq!(window.acknowledged(20, start), Moved::To(20));
        assert_eq!(window.acknowledged(14, start), Moved::Later);
        assert_eq!(window.acknowledged(16, start), Moved::Later);
        assert_eq!(window.acknowledged(20, start), Moved::Nowhere);
        assert_eq!(window.tick(start + Duration::from_secs(4)), None);
        assert_eq!(window.deadline(), Some(start + PACE.first));
        assert_eq!(window.tick(start + PACE.first), Some(Due::WentBack(14)));
        assert_eq!(send(&mut window, 30, start), [15, 16, 17, 18]);
    }

    #[test]
    fn an_idle_link_asks_about_the_last_event_now_and_then() {
        let now = Instant::now();
        let mut window = Window::new(7, 4, PACE, now);
        assert_eq!(window.deadline(), Some(now + PACE.probe));
        assert_eq!(window.tick(now + PACE.probe), Some(Due::Again));
        assert_eq!(send(&mut window, 7, now), [7]);
    }

    proptest! {
        /// Whatever is lost, acknowledged falsely or late: the honest back end gets everything in the end, and no more
        /// than the window is ever on its way.
        #[test]
        fn the_back_end_gets_everything(
            size in 1u16..20,
            head in 1u64..60,
            steps in proptest::collection::vec((0u8..6, 0u64..80), 0..200),
        ) {
            let mut now = Instant::now();
            let mut window = Window::new(0, size, PACE, now);
            let mut held = 0;
            let deliver = |held: &mut u64, seqs: Vec<u64>, lost: bool| {
                for seq in seqs {
                    if !lost && seq == *held + 1 {
                        *held = seq;
                    }
                }
            };
            for (what, n) in steps {
                match what {
                    0 => { window.acknowledged(n.min(head), now); }
                    1 => window.connected(now),
                    2 => { now += Duration::from_secs(n); window.tick(now); }
                    3 => { window.acknowledged(held, now); }
                    _ => {
                        let seqs = send(&mut window, head, now);
                        prop_assert!(seqs.len() <= usize::from(size) + 1);
                        deliver(&mut held, seqs, what == 4);
                    }
                }
                prop_assert!(window.cursor <= window.sent + 1);
                prop_assert!(window.sent <= window.cursor + u64::from(size));
            }
            // The weather clears up. The back end answers each batch with what it holds.
            window.connected(now);
            for _ in 0..400 {
                if held == head { break; }
                let seqs = send(&mut window, head, now);
                if seqs.is_empty() {
                    now = window.deadline().expect("an unfinished window always has something to wait for").max(now);
                    window.tick(now);
                } else {
                    deliver(&mut held, seqs, false);
                    window.acknowledged(held, now);
                }
            }
            prop_assert_eq!(held, head);
        }
    }
}
