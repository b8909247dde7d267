//! One input: a loop's presence contact, a limit switch, the fire contact. What the wire says, how long it has said so, and
//! whether it can be believed.
//!
//! Policy: occupied holds at once wherever a car could be hurt, and counts as a car only after a time. Clear is believed only
//! after a longer one. A wire that changes too often, or of which nobody knows, is neither: it is not clear, and it is no car.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::vocabulary::Mono;

/// What the board says of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Active,
    Inactive,
    /// The board does not answer, or has not yet.
    Unknown,
}

/// What is wrong with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Active for longer than any car stands there.
    Stuck,
    /// It changes more often than cars can.
    Flickering,
    /// Nobody knows its level.
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Active for so long, it is a car.
    pub occupied: Duration,
    /// Inactive for so long, the car has gone.
    pub clear: Duration,
    /// A limit switch or the fire contact has the same level for so long.
    pub bounce: Duration,
    /// After flickering it must be quiet for so long.
    pub calm: Duration,
    pub stuck: Duration,
    /// Unknown for so long, it is a fault.
    pub silent: Duration,
}

/// So many changes within [`FLICKER`] are no cars.
const CHANGES: usize = 8;
const FLICKER: Duration = Duration::from_secs(2);

impl Default for Times {
    fn default() -> Self {
        Self {
            occupied: Duration::from_millis(100),
            clear: Duration::from_millis(500),
            bounce: Duration::from_millis(50),
            calm: Duration::from_secs(5),
            stuck: Duration::from_secs(600),
            silent: Duration::from_secs(3),
        }
    }
}

/// A car came, or has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Came,
    Left,
}

#[derive(Debug, Clone)]
pub struct Signal {
    pub level: Level,
    since: Mono,
    /// A car is there; by time, so later than `level`.
    occupied: bool,
    /// It was found active at the first word after a silence: nobody has seen what is there come.
    found: bool,
    changes: VecDeque<Mono>,
    flickers_until: Option<Mono>,
}

impl Signal {
    /// Nobody knows yet.
    pub fn new(now: Mono) -> Self {
        Self {
            level: Level::Unknown,
            since: now,
            occupied: false,
            found: false,
            changes: VecDeque::new(),
            flickers_until: None,
        }
    }

    pub fn set(&mut self, level: Level, now: Mono, times: &Times) {
        if level == self.level {
            return;
        }
        self.found = level == Level::Active && self.level == Level::Unknown;
        // The first word after a silence is no change of the wire.
        if self.level != Level::Unknown && level != Level::Unknown {
            self.changes.push_back(now);
            if self.changes.len() > CHANGES {
                self.changes.pop_front();
            }
            let many =
                self.changes.len() == CHANGES && self.changes.front().is_some_and(|at| now.since(*at) <= FLICKER);
            if many || self.flickers(now) {
                self.flickers_until = Some(now + times.calm);
            }
        }
        self.level = level;
        self.since = now;
    }

    pub fn flickers(&self, now: Mono) -> bool {
        self.flickers_until.is_some_and(|until| now < until)
    }

    /// What time has made of the level since the last question.
    pub fn settle(&mut self, now: Mono, times: &Times) -> Option<Edge> {
        if self.flickers(now) {
            return None;
        }
        let held = now.since(self.since);
        match self.level {
            Level::Active if !self.occupied && held >= times.occupied => {
                self.occupied = true;
                Some(Edge::Came)
            }
            Level::Inactive if self.occupied && held >= times.clear => {
                self.occupied = false;
                Some(Edge::Left)
            }
            _ => None,
        }
    }

    /// Since when it has been active, where nobody has seen what is there come.
    pub fn found(&self) -> Option<Mono> {
        self.found.then_some(self.since)
    }

    /// It is certain that no car is there.
    pub fn clear(&self, now: Mono, times: &Times) -> bool {
        self.level == Level::Inactive && !self.flickers(now) && now.since(self.since) >= times.clear
    }

    /// Nothing says that a car may have come: for an arm on its way down.
    pub fn quiet(&self, now: Mono) -> bool {
        self.level == Level::Inactive && !self.flickers(now)
    }

    /// A car is there, and the loop can be believed.
    pub fn car(&self, now: Mono, times: &Times) -> bool {
        self.occupied && self.fault(now, times).is_none()
    }

    /// The level once it has stopped bouncing; `None` where nobody knows, and while it flickers.
    pub fn steady(&self, now: Mono, times: &Times) -> Option<bool> {
        let believed = self.level != Level::Unknown && !self.flickers(now);
        (believed && now.since(self.since) >= times.bounce).then_some(self.level == Level::Active)
    }

    /// It has been inactive for so long.
    pub fn inactive_for(&self, time: Duration, now: Mono) -> bool {
        self.level == Level::Inactive && now.since(self.since) >= time
    }

    pub fn fault(&self, now: Mono, times: &Times) -> Option<Fault> {
        let held = now.since(self.since);
        match self.level {
            _ if self.flickers(now) => Some(Fault::Flickering),
            Level::Active if held >= times.stuck => Some(Fault::Stuck),
            Level::Unknown if held >= times.silent => Some(Fault::Silent),
            _ => None,
        }
    }

    /// When time alone changes something of it.
    pub fn wake(&self, now: Mono, times: &Times, also: Duration) -> Option<Mono> {
        let waits: &[Duration] = match self.level {
            Level::Active => &[times.bounce, times.occupied, times.stuck],
            Level::Inactive => &[times.bounce, times.clear, also],
            Level::Unknown => &[times.silent],
        };
        let of_level = waits.iter().map(|wait| self.since + *wait);
        of_level.chain(self.flickers_until).filter(|at| *at > now).min()
    }
}
