//! Stays that have ended, as lanes have told, while the lane that gave out the ticket has not said so itself.
//!
//! A lane in use says so soon, and then the stay is left out here. A retired one never does: its last document has the car inside for
//! ever, or had not heard of the ticket at all. So every lane remembers by itself, and what is known of such a stay can be
//! forgotten by those that told it. Each lane that tells has a part of the room, so that who has stolen one key fills that and no
//! more.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Known;
use super::fact::Stay;
use super::parts::{Part, Revisions, chunks, rows};
use crate::parking::ticket::{LaneNumber, TicketNumber};

/// So many are remembered, and so many that one lane has told. What is told beyond is not forgotten by those that tell it.
const MOST: usize = 100_000;
const MOST_OF_ONE: usize = 25_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Ended {
    /// Who has told it first, by the stay's number.
    told_by: BTreeMap<u32, LaneNumber>,
    /// How many each has told.
    of_one: BTreeMap<LaneNumber, usize>,
    pub revisions: Revisions,
}

impl Ended {
    pub fn has(&self, stay: Stay) -> bool {
        self.told_by.contains_key(&stay.into())
    }

    /// Those that a lane has told, but for this lane's own, which knows better, and those of which their lane says so.
    pub fn add(&mut self, me: LaneNumber, by: LaneNumber, stays: impl Iterator<Item = Stay>, known: &Known) {
        let of_one = self.of_one.entry(by).or_default();
        for stay in stays.filter(|stay| stay.0.lane() != me && !is_over(known, stay.0)) {
            if !self.told_by.contains_key(&stay.into()) && self.told_by.len() < MOST && *of_one < MOST_OF_ONE {
                *of_one += 1;
                self.told_by.insert(stay.into(), by);
                self.revisions.touch(Part::ended(stay.into()));
            }
        }
    }

    /// Leaves out those of which the lane itself says so.
    pub fn tidy(&mut self, known: &Known) {
        let Self { told_by, of_one, revisions } = self;
        told_by.retain(|packed, by| {
            let useless = TicketNumber::unpacked(*packed).is_none_or(|ticket| is_over(known, ticket));
            if useless {
                revisions.touch(Part::ended(*packed));
                of_one.entry(*by).and_modify(|of_one| *of_one -= 1);
            }
            !useless
        });
        let there: BTreeSet<Part> = self.parts().collect();
        self.revisions.forget(|part| there.contains(&part));
    }

    /// The parts that it has.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        chunks(&self.told_by).map(Part::Ended)
    }

    /// One of them, as JSON.
    pub fn part(&self, chunk: u64) -> serde_json::Result<String> {
        serde_json::to_string(&rows(&self.told_by, chunk).collect::<Vec<_>>())
    }

    /// Takes one of them from disk.
    pub fn put(&mut self, json: &str) -> serde_json::Result<()> {
        for (stay, by) in serde_json::from_str::<Vec<(Stay, LaneNumber)>>(json)? {
            if self.told_by.insert(stay.into(), by).is_none() {
                *self.of_one.entry(by).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// Whether the lane that gave out this ticket says itself that its stay is over.
fn is_over(known: &Known, ticket: TicketNumber) -> bool {
    known.get(ticket.lane()).is_some_and(|document| document.is_over(ticket.serial()))
}
