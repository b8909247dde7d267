//! Who may pass, and who has.
//!
//! Policy: an authorisation is one car's. Cars that pass use them up in order, and one without any has tailgated. An id that
//! was used is remembered: the newest by name with how it ended, all orders before them by their age.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::record::{Authorisation, AuthorisationId, Ended};
use super::settings::Settings;
use super::signal::{Edge, Level};
use crate::operation::RequestId;
use crate::vocabulary::{DeliveryId, Mono, OrderId};

/// A car that may pass and has not yet, as far as anybody has seen.
#[derive(Debug, Clone)]
pub struct Passage {
    pub authorisation: Authorisation,
    pub attempt: u32,
    /// In this run.
    pub since: Mono,
    /// It was intended in an earlier run, and nothing is raised for it again.
    pub former: bool,
    /// A car stood before the gate for it.
    pub arrived: bool,
    /// When the gate was open for it.
    pub opened: Option<Mono>,
    /// Who delivers waits for what came of it.
    pub wanted: bool,
    /// What was answered.
    pub answered: Option<Ended>,
    /// Somebody was called for it.
    pub called: bool,
    /// A loop under or behind the arm has not been quiet, and nobody has seen yet what that was.
    pub crossed: bool,
}

impl Passage {
    pub fn new(authorisation: Authorisation, since: Mono, arrived: bool) -> Self {
        Self {
            authorisation,
            attempt: 1,
            since,
            former: false,
            arrived,
            opened: None,
            wanted: true,
            answered: None,
            called: false,
            crossed: false,
        }
    }

    /// It was intended in this run, and the gate was not open for it yet.
    pub fn waits_for_the_gate(&self) -> bool {
        self.opened.is_none() && !self.former
    }

    /// From when on its car has time to pass. Whoever waits for an answer has it in time, also where another's authorisation has
    /// opened the gate late.
    pub fn passes_from(&self, settings: &Settings) -> Mono {
        let moved = settings.times.moved();
        self.opened.unwrap_or(self.since + moved).min(self.since + moved * settings.tries)
    }
}

/// So many are remembered by name, which with the longest names is 40 KB. An order's number is greater than those before it, so those are refused by their age; a
/// request's is refused by the ledger, which knows all of them.
const REMEMBERED: usize = 500;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Used {
    by_id: BTreeMap<AuthorisationId, Option<Ended>>,
    oldest_first: VecDeque<AuthorisationId>,
    /// No order up to this one may raise anything.
    until: Option<DeliveryId>,
}

/// As it is stored: oldest first, a row each.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    rows: Vec<Row>,
    until: Option<DeliveryId>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Row {
    Delivery(OrderId, u32, u32, Option<Ended>),
    Operation(RequestId, Option<Ended>),
    Undecided(u64, Option<Ended>),
}

impl From<Used> for Stored {
    fn from(used: Used) -> Self {
        let Used { by_id, oldest_first, until } = used;
        let row = |id: AuthorisationId| {
            let ended = by_id.get(&id).copied().flatten();
            match id {
                AuthorisationId::Delivery(DeliveryId { order, item, attempt }) => {
                    Row::Delivery(order, item, attempt, ended)
                }
                AuthorisationId::Operation(request) => Row::Operation(request, ended),
                AuthorisationId::Undecided(number) => Row::Undecided(number, ended),
            }
        };
        Self { rows: oldest_first.into_iter().map(row).collect(), until }
    }
}

impl From<Stored> for Used {
    fn from(stored: Stored) -> Self {
        let mut used = Self { until: stored.until, ..Self::default() };
        for row in stored.rows {
            let (id, ended) = match row {
                Row::Delivery(order, item, attempt, ended) => {
                    (AuthorisationId::Delivery(DeliveryId { order, item, attempt }), ended)
                }
                Row::Operation(request, ended) => (AuthorisationId::Operation(request), ended),
                Row::Undecided(number, ended) => (AuthorisationId::Undecided(number), ended),
            };
            used.intend(id.clone());
            if let Some(ended) = ended {
                used.end(&id, ended);
            }
        }
        used
    }
}

impl Used {
    pub fn intend(&mut self, id: AuthorisationId) {
        if self.by_id.contains_key(&id) {
            return;
        }
        self.oldest_first.push_back(id.clone());
        self.by_id.insert(id, None);
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_id.remove(&oldest);
            if let AuthorisationId::Delivery(delivery) = oldest {
                self.until = self.until.max(Some(delivery));
            }
        }
    }

    pub fn end(&mut self, id: &AuthorisationId, how: Ended) {
        if let Some(ended) = self.by_id.get_mut(id) {
            *ended = Some(how);
        }
    }

    /// `None` for one that was never used; how it ended, as far as that is remembered.
    pub fn get(&self, id: &AuthorisationId) -> Option<Option<Ended>> {
        let aged = || match id {
            AuthorisationId::Delivery(delivery) if self.until.is_some_and(|until| *delivery <= until) => {
                Some(Some(Ended::Unknown))
            }
            _ => None,
        };
        self.by_id.get(id).copied().or_else(aged)
    }
}

/// What the loops say of a car under the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// So many cars have driven through; more than one where it looked like one.
    Passed {
        cars: u32,
    },
    BackedOut,
    /// Something was under the arm, and nobody knows which way it went.
    Unclear,
    WrongWay,
}

/// The loops that are there and can be believed.
#[derive(Debug, Clone, Copy)]
pub struct Eyes {
    pub presence: bool,
    pub safety: bool,
    pub closing: bool,
}

/// Follows one car at a time from loop to loop, by the order in which they come and go.
#[derive(Debug, Clone, Default)]
pub struct Track {
    presence: bool,
    safety: bool,
    closing: bool,
    /// How often the presence loop was left since a car came under the arm: twice at most, as two are a doubt already.
    left_behind: u32,
    /// It was come upon meanwhile: by the next car, or by this one on its way back; or nobody knows.
    came_behind: bool,
    /// The closing loop has become occupied since.
    reached: bool,
    /// What stands on the closing loop has come from the front.
    through: bool,
    /// The closing loop has been clear in this run; before that nobody knows which way what stands on it has come.
    known: bool,
    /// What is under the arm came from behind.
    from_behind: bool,
    /// A car was before the gate when that one left the arm, or has been since.
    before: bool,
    /// A car has left the arm and has not reached the closing loop yet: until when it may.
    between: Option<Mono>,
}

impl Track {
    /// Nobody is under the arm or between the loops.
    pub fn idle(&self) -> bool {
        !self.safety && self.between.is_none()
    }

    /// Another car has come before the gate since the one that came under the arm last had left it.
    pub fn next_waits(&self) -> bool {
        self.presence && self.left_behind > 0
    }

    pub fn wake(&self) -> Option<Mono> {
        self.between
    }

    /// What the loop under the arm has said can't be believed any more: what stood there is no car.
    pub fn forget(&mut self) {
        (self.safety, self.from_behind, self.between, self.left_behind) = (false, false, None, 0);
    }

    /// What the presence loop says can't be believed: nobody can say of what is under the arm that it has never left that loop.
    pub fn presence_is_lost(&mut self) {
        self.came_behind |= self.safety;
    }

    /// At once, not when it has settled: between two cars that are close together it is clear for a moment only.
    pub fn closing_turns(&mut self, level: Level) {
        self.known |= level == Level::Inactive;
        self.reached |= level == Level::Active && self.safety;
    }

    pub fn presence(&mut self, edge: Edge) {
        self.presence = edge == Edge::Came;
        self.before |= self.presence;
        match edge {
            Edge::Left if self.safety => self.left_behind = (self.left_behind + 1).min(2),
            Edge::Came if self.safety => self.came_behind = true,
            _ => {}
        }
    }

    /// `gap_ends`: when a car that leaves now must have reached the closing loop.
    pub fn safety(&mut self, edge: Edge, eyes: Eyes, gap_ends: Mono) -> Option<Seen> {
        match edge {
            Edge::Came => {
                // Loops are nearer to each other than a car is long, so what had left the arm has come back.
                self.between = None;
                self.safety = true;
                (self.left_behind, self.came_behind, self.reached) = (0, false, false);
                self.from_behind = eyes.closing && self.closing && !self.through;
                None
            }
            // Nothing was seen to come, so nobody knows what has gone.
            Edge::Left if !self.safety => None,
            Edge::Left => {
                self.safety = false;
                if self.from_behind {
                    self.from_behind = false;
                    return Some(Seen::WrongWay);
                }
                if !eyes.closing {
                    return Some(self.judge(eyes));
                }
                if self.closing {
                    // What stands there may be the car before, and this one has gone back.
                    let seen = match (self.reached, eyes.presence) {
                        (true, _) => self.passed(),
                        (false, true) if self.never_left() => Seen::BackedOut,
                        (false, true) => self.passed(),
                        (false, false) => Seen::Unclear,
                    };
                    self.through = true;
                    return Some(seen);
                }
                self.between = Some(gap_ends);
                self.before = self.presence;
                None
            }
        }
    }

    pub fn closing(&mut self, edge: Edge, eyes: Eyes) -> Option<Seen> {
        self.closing = edge == Edge::Came;
        if edge == Edge::Left {
            self.through = false;
            return None;
        }
        if !eyes.safety {
            // It stands there still when the loop under the arm is believed again.
            self.through = true;
            return Some(Seen::Passed { cars: 1 });
        }
        self.through = !self.known || self.safety && !self.from_behind || self.between.is_some();
        self.between.take().map(|_| self.passed())
    }

    /// A car that left the arm has not come to the closing loop.
    pub fn late(&mut self, now: Mono, eyes: Eyes) -> Option<Seen> {
        self.between.take_if(|ends| now >= *ends)?;
        Some(self.judge(eyes))
    }

    fn passed(&self) -> Seen {
        Seen::Passed { cars: self.left_behind.max(1) }
    }

    /// A car has left the arm, and no closing loop has seen it come. Where there is one, it went back if a car was before the
    /// gate. Where there is none, it went back if it never left the presence loop.
    fn judge(&self, eyes: Eyes) -> Seen {
        match (eyes.presence, eyes.closing) {
            (true, true) if self.before => Seen::BackedOut,
            (_, true) => Seen::Unclear,
            (true, false) if self.never_left() => Seen::BackedOut,
            (_, false) => self.passed(),
        }
    }

    fn never_left(&self) -> bool {
        self.presence && self.left_behind == 0 && !self.came_behind
    }
}
