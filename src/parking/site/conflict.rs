//! What was done twice while lanes did not hear of each other.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::document::{Document, Known, Roster};
use super::fact::{Fact, Once, Stay};
use super::own::Own;
use crate::parking::ticket::{LaneNumber, Minute};

/// Where, when and for which stay. It is the same one whatever time is told of it, so that nothing is reported again for that.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Side {
    pub lane: LaneNumber,
    pub stay: Stay,
    /// Where it is known and told.
    pub at: Option<Minute>,
}

impl Ord for Side {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.lane, self.stay).cmp(&(other.lane, other.stay))
    }
}

impl PartialOrd for Side {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Side {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Side {}

/// Two lanes have done it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conflict {
    pub what: Once,
    /// The smaller first, so that it is the same one for everybody.
    pub sides: (Side, Side),
}

impl Conflict {
    /// For a person, with the names of the lanes.
    pub fn told(&self, roster: &Roster) -> String {
        let side = |side: &Side| {
            let at = side.at.map_or_else(String::new, |at| format!(" at {at}"));
            format!("{}{at}", roster.name(side.lane))
        };
        let (one, other) = (side(&self.sides.0), side(&self.sides.1));
        let stays = (self.sides.0.stay.0, self.sides.1.stay.0);
        match self.what {
            Once::Leaving(stay) => format!("ticket {} let a car out twice: {one}, and {other}", stay.0),
            Once::Paying(stay, _) => {
                format!("ticket {} was paid twice: {one}, and {other}; one of the two goes back", stay.0)
            }
            Once::Validation(number) => format!(
                "validation {number} was taken twice: {one} for ticket {}, and {other} for ticket {}",
                stays.0, stays.1
            ),
            // The first may have left before the second came, at a lane of which the second had not heard.
            Once::Season(season, _) => format!(
                "season pass {season} perhaps came in twice: {one} with ticket {}, and {other} with ticket {}",
                stays.0, stays.1
            ),
        }
    }
}

#[derive(Default)]
struct Sides(BTreeMap<Once, Vec<Side>>);

impl Sides {
    fn add(&mut self, what: Once, lane: LaneNumber, stay: Stay, at: Option<Minute>) {
        self.0.entry(what).or_default().push(Side { lane, stay, at });
    }

    fn own(&mut self, lane: LaneNumber, fact: &Fact) {
        let Some(what) = fact.once() else { return };
        let (stay, at) = match fact {
            Fact::Left(left) => (left.stay, left.at),
            Fact::Paid(paid) => (paid.stay, paid.at),
            Fact::ValidationUsed(used) => (used.stay, None),
            Fact::SeasonUsed(used) => (used.stay, None),
            Fact::Entered(_) | Fact::Voided(_) | Fact::Correction(_) => return,
        };
        self.add(what, lane, stay, at);
    }

    fn document(&mut self, document: &Document) {
        let lane = document.lane;
        document.left.iter().for_each(|left| self.own(lane, &Fact::Left(*left)));
        document.paid.iter().for_each(|paid| self.own(lane, &Fact::Paid(*paid)));
        document.validations.iter().for_each(|used| self.own(lane, &Fact::ValidationUsed(*used)));
        document.seasons.iter().for_each(|used| self.own(lane, &Fact::SeasonUsed(*used)));
    }

    /// What of this one document has done it, found without looking at all of it.
    fn in_document(&mut self, what: Once, document: &Document) {
        let facts: Vec<Fact> = match what {
            Once::Leaving(stay) => document.left(stay).copied().map(Fact::Left).into_iter().collect(),
            Once::Paying(stay, _) => document.paid(stay).iter().copied().map(Fact::Paid).collect(),
            Once::Validation(_) => document.validations.iter().copied().map(Fact::ValidationUsed).collect(),
            Once::Season(..) => document.seasons.iter().copied().map(Fact::SeasonUsed).collect(),
        };
        facts.iter().filter(|fact| fact.once() == Some(what)).for_each(|fact| self.own(document.lane, fact));
    }

    fn conflicts(self) -> BTreeSet<Conflict> {
        let mut found = BTreeSet::new();
        for (what, mut sides) in self.0 {
            sides.sort_unstable();
            for (nth, one) in sides.iter().enumerate() {
                for other in &sides[nth + 1..] {
                    // A validation is taken for the same stay again when that is paid for again. What one lane has done
                    // twice it knew itself.
                    let again = matches!(what, Once::Validation(_)) && one.stay == other.stay;
                    if one.lane != other.lane && !again {
                        found.insert(Conflict { what, sides: (*one, *other) });
                    }
                }
            }
        }
        found
    }
}

/// All of them that can be seen now.
pub(super) fn conflicts(own: &Own, known: &Known) -> BTreeSet<Conflict> {
    let mut sides = Sides::default();
    known.documents().for_each(|document| sides.document(document));
    own.facts().for_each(|fact| sides.own(own.me, fact));
    sides.conflicts()
}

/// Those of one thing.
pub(super) fn conflicts_of(what: Once, own: &Own, known: &Known) -> BTreeSet<Conflict> {
    let mut sides = Sides::default();
    known.documents().for_each(|document| sides.in_document(what, document));
    own.done(what).into_iter().for_each(|fact| sides.own(own.me, fact));
    sides.conflicts()
}
