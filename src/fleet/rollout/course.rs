//! The course of a rollout: what was sent, what was said, and what is to be done next. Pure: time comes in, and every fact
//! is an [`Entry`], which is on disk before anything is done about it.
//!
//! Policy
//! - A wave begins only when enough machines of the wave before have said that they were successful, each in its time, and
//!   the soak after it has ended well. Nothing that was not said counts as a success.
//! - A machine that has not ended in its time has failed, whatever it says later.
//! - As soon as a wave can't have enough successes any more it halts; nothing is sent after that.
//! - One course is a fold of its entries, so after a restart it stands where it stood.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fleet::command::Stage;
use crate::fleet::topic::Name;
use crate::vocabulary::Wall;

/// Fewer sales than this in the time of a soak say nothing about how well a machine sells.
const COMPARABLE: f64 = 10.0;

/// What a plan decides, as plain numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Of a wave so many percent must say that they were successful, 1 to 100.
    pub enough: u8,
    /// From the sending on, for each machine.
    pub timeout: Duration,
    /// From the end of a wave on, until the next may begin.
    pub soak: Duration,
    /// In the soak the machines of a wave may sell so many percent less than the others, 1 to 99; `None`: not compared.
    pub sales_drop: Option<u8>,
    /// After each wave but the last a person says that it goes on.
    pub pause: bool,
}

/// How it has ended with a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    Successful,
    /// Begun and not brought to an end.
    Failed {
        reason: String,
    },
    /// It has no effect.
    Rejected {
        reason: String,
    },
    /// Nobody has said in time how it ended.
    Silent,
}

/// Why a rollout halts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Halt {
    #[error("{successful} of {machines} machines can be successful at most, {needed} must be")]
    NotEnough { machines: usize, successful: usize, needed: usize },
    #[error("its machines have sold {sold} in the soak, where the others would have sold {expected}")]
    SalesDrop { sold: u64, expected: u64 },
}

/// One fact. `at` is when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    WaveBegun {
        wave: usize,
        at: Wall,
    },
    /// With this counter and expiry, in seconds since 1970 UTC; it is sent after this is on disk, once or more often.
    Sent {
        kiosk: Name,
        ctr: u64,
        exp: u64,
        at: Wall,
    },
    Ended {
        kiosk: Name,
        #[serde(flatten)]
        end: End,
        at: Wall,
    },
    /// Enough machines were successful, and all have ended: the soak begins.
    WaveEnded {
        wave: usize,
        at: Wall,
    },
    /// The soak has ended well.
    WaveGood {
        wave: usize,
        at: Wall,
    },
    /// A person says that it goes on after this wave.
    Continued {
        wave: usize,
        at: Wall,
    },
    Halted {
        wave: usize,
        #[serde(flatten)]
        why: Halt,
        at: Wall,
    },
    Completed {
        at: Wall,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its machines are asked, or will be once it may begin.
    Waiting {
        wave: usize,
    },
    Running {
        wave: usize,
    },
    Soaking {
        wave: usize,
        since: Wall,
    },
    /// Until a person says that it goes on.
    Paused {
        wave: usize,
    },
    Halted {
        wave: usize,
    },
    Completed,
}

/// What is known of a command that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub ctr: u64,
    pub exp: u64,
    pub at: Wall,
    pub end: Option<End>,
}

/// What is to be done: the entries are to be on disk and [applied](Course::apply) first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    pub entries: Vec<Entry>,
    /// Their commands are to be made and sent, in this order; nothing was sent to them before.
    pub send: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    rules: Rules,
    waves: Vec<Vec<Name>>,
    phase: Phase,
    halt: Option<Halt>,
    sent: BTreeMap<Name, Sent>,
    /// Orders paid since the soak began, by machine. Whoever was not listening does not know them, so after a restart the
    /// soak begins anew.
    sold: BTreeMap<Name, u64>,
    soak_begun: Option<Wall>,
}

/// How many of a wave must be successful; one at least.
fn needed(machines: usize, enough: u8) -> usize {
    (machines * usize::from(enough)).div_ceil(100).max(1)
}

impl Course {
    /// Every wave has a machine, and no machine is in two.
    pub fn new(rules: Rules, waves: Vec<Vec<Name>>) -> Self {
        let phase = if waves.is_empty() { Phase::Completed } else { Phase::Waiting { wave: 0 } };
        let (sent, sold) = (BTreeMap::new(), BTreeMap::new());
        Self { rules, waves, phase, halt: None, sent, sold, soak_begun: None }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    pub fn waves(&self) -> &[Vec<Name>] {
        &self.waves
    }

    pub fn sent(&self) -> &BTreeMap<Name, Sent> {
        &self.sent
    }

    /// Commands that were sent and have not ended.
    pub fn open(&self) -> impl Iterator<Item = (&Name, &Sent)> {
        self.sent.iter().filter(|(_, sent)| sent.end.is_none())
    }

    /// How many of a wave were asked, have ended and were successful.
    pub fn count(&self, wave: usize) -> (usize, usize, usize) {
        let sent = || self.wave(wave).iter().filter_map(|kiosk| self.sent.get(kiosk));
        let ended = sent().filter(|sent| sent.end.is_some()).count();
        (sent().count(), ended, sent().filter(|sent| sent.end == Some(End::Successful)).count())
    }

    fn wave(&self, wave: usize) -> &[Name] {
        self.waves.get(wave).map_or(&[], Vec::as_slice)
    }

    /// Takes over what is on disk.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::WaveBegun { wave, .. } => self.phase = Phase::Running { wave: *wave },
            Entry::Sent { kiosk, ctr, exp, at } => {
                self.sent.insert(kiosk.clone(), Sent { ctr: *ctr, exp: *exp, at: *at, end: None });
            }
            Entry::Ended { kiosk, end, .. } => {
                if let Some(sent) = self.sent.get_mut(kiosk) {
                    sent.end = Some(end.clone());
                }
            }
            Entry::WaveEnded { wave, at } => {
                self.phase = Phase::Soaking { wave: *wave, since: *at };
                (self.sold, self.soak_begun) = (BTreeMap::new(), None);
            }
            Entry::WaveGood { wave, .. } if self.rules.pause && wave + 1 < self.waves.len() => {
                self.phase = Phase::Paused { wave: *wave };
            }
            Entry::WaveGood { wave, .. } | Entry::Continued { wave, .. } => {
                self.phase = Phase::Waiting { wave: wave + 1 };
            }
            Entry::Halted { wave, why, .. } => {
                (self.phase, self.halt) = (Phase::Halted { wave: *wave }, Some(why.clone()));
            }
            Entry::Completed { .. } => self.phase = Phase::Completed,
        }
    }

    /// A machine has said how far its command has come. What comes too late is not taken, and so is what was said before.
    #[must_use]
    pub fn heard(&self, kiosk: &Name, stage: Stage, reason: Option<&str>, at: Wall) -> Option<Entry> {
        self.sent.get(kiosk).filter(|sent| sent.end.is_none() && !self.overdue(sent, at))?;
        let reason = reason.unwrap_or_default().to_owned();
        let end = match stage {
            Stage::Accepted | Stage::Executing => return None,
            Stage::Successful => End::Successful,
            Stage::Failed => End::Failed { reason },
            Stage::Rejected => End::Rejected { reason },
        };
        Some(Entry::Ended { kiosk: kiosk.clone(), end, at })
    }

    /// A machine has sold something.
    pub fn sold(&mut self, kiosk: &Name) {
        if matches!(self.phase, Phase::Soaking { .. }) {
            *self.sold.entry(kiosk.clone()).or_default() += 1;
        }
    }

    /// A person says that it goes on; `None` where nobody waits for that. It ends a soak too that finds nothing to compare.
    #[must_use]
    pub fn proceed(&self, at: Wall) -> Option<Entry> {
        match self.phase {
            Phase::Paused { wave } => Some(Entry::Continued { wave, at }),
            Phase::Soaking { wave, since } if self.soaked(since, at) => Some(Entry::Continued { wave, at }),
            _ => None,
        }
    }

    fn overdue(&self, sent: &Sent, now: Wall) -> bool {
        since(sent.at, now) >= self.rules.timeout
    }

    fn soaked(&self, since_when: Wall, now: Wall) -> bool {
        since(self.soak_begun.unwrap_or(since_when), now) >= self.rules.soak
    }

    /// What is to be done now. `may_begin`: a wave may begin at this time of the day. `at_most` machines are asked at once.
    #[must_use]
    pub fn decide(&mut self, now: Wall, may_begin: bool, at_most: usize) -> Decision {
        let silent = self.open().filter(|(_, sent)| self.overdue(sent, now));
        let silent = silent.map(|(kiosk, _)| Entry::Ended { kiosk: kiosk.clone(), end: End::Silent, at: now });
        let entries: Vec<Entry> = silent.collect();
        if !entries.is_empty() {
            return Decision { entries, send: Vec::new() };
        }
        let one = |entry| Decision { entries: vec![entry], send: Vec::new() };
        match self.phase {
            Phase::Waiting { wave } if wave >= self.waves.len() => one(Entry::Completed { at: now }),
            Phase::Waiting { wave } if may_begin => one(Entry::WaveBegun { wave, at: now }),
            Phase::Running { wave } => self.in_wave(wave, now, at_most),
            Phase::Soaking { wave, since } => match self.after_soak(wave, since, now) {
                Some(entry) => one(entry),
                None => Decision::default(),
            },
            Phase::Waiting { .. } | Phase::Paused { .. } | Phase::Halted { .. } | Phase::Completed => {
                Decision::default()
            }
        }
    }

    fn in_wave(&self, wave: usize, now: Wall, at_most: usize) -> Decision {
        let machines = self.wave(wave).len();
        let (asked, ended, successful) = self.count(wave);
        let (needed, possible) = (needed(machines, self.rules.enough), machines - (ended - successful));
        if possible < needed {
            let why = Halt::NotEnough { machines, successful: possible, needed };
            return Decision { entries: vec![Entry::Halted { wave, why, at: now }], send: Vec::new() };
        }
        // All have ended, so as many were successful as could be.
        if ended == machines {
            return Decision { entries: vec![Entry::WaveEnded { wave, at: now }], send: Vec::new() };
        }
        if asked == machines {
            return Decision::default();
        }
        let unasked = self.wave(wave).iter().filter(|kiosk| !self.sent.contains_key(*kiosk));
        Decision { entries: Vec::new(), send: unasked.take(at_most).cloned().collect() }
    }

    fn after_soak(&mut self, wave: usize, since: Wall, now: Wall) -> Option<Entry> {
        // Whoever was not listening when the wave ended has not counted what was sold since.
        if self.rules.sales_drop.is_some() {
            self.soak_begun.get_or_insert(now);
        }
        if !self.soaked(since, now) {
            return None;
        }
        let Some(drop) = self.rules.sales_drop else { return Some(Entry::WaveGood { wave, at: now }) };
        let kept = f64::from(100 - drop.min(99)) / 100.0;
        let sold: u64 = self.wave(wave).iter().filter_map(|kiosk| self.sold.get(kiosk)).sum();
        let others = self.expected(wave);
        if let Some(expected) = others.iter().copied().find(|expected| (sold as f64) < expected * kept) {
            let why = Halt::SalesDrop { sold, expected: expected.round() as u64 };
            return Some(Entry::Halted { wave, why, at: now });
        }
        // A single wave has nobody to be compared with.
        let comparable = !others.is_empty() || self.waves.len() == 1;
        comparable.then_some(Entry::WaveGood { wave, at: now })
    }

    /// What the machines of a wave would have sold in the soak if they sold like those of the waves before, and like those
    /// of the waves after; only what is enough to tell.
    fn expected(&self, wave: usize) -> Vec<f64> {
        let machines = self.wave(wave).len() as f64;
        let like = |others: &[Vec<Name>]| {
            let all: BTreeSet<&Name> = others.iter().flatten().collect();
            let sold: u64 = all.iter().filter_map(|kiosk| self.sold.get(*kiosk)).sum();
            (!all.is_empty()).then(|| sold as f64 / all.len() as f64 * machines)
        };
        let (before, after) =
            (self.waves.get(..wave).unwrap_or_default(), self.waves.get(wave + 1..).unwrap_or_default());
        [like(before), like(after)].into_iter().flatten().filter(|expected| *expected >= COMPARABLE).collect()
    }

    /// Those that may have been changed: they were asked and have not said that it had no effect.
    pub fn changed(&self) -> BTreeSet<Name> {
        let changed = self.sent.iter().filter(|(_, sent)| !matches!(sent.end, Some(End::Rejected { .. })));
        changed.map(|(kiosk, _)| kiosk.clone()).collect()
    }

    /// Those that were asked and were not successful, by how it ended; `None`: not yet.
    pub fn unsuccessful(&self) -> impl Iterator<Item = (&Name, Option<&End>)> {
        self.sent
            .iter()
            .filter(|(_, sent)| sent.end != Some(End::Successful))
            .map(|(kiosk, sent)| (kiosk, sent.end.as_ref()))
    }
}

fn since(then: Wall, now: Wall) -> Duration {
    Duration::from_millis(now.0.saturating_sub(then.0))
}

#[cfg(test)]
mod tests;
