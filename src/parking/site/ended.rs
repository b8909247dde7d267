//! Stays that have ended, as lanes have told, while the lane that gave out the ticket has not said so itself.
//!
//! A lane in use says so soon, and then the stay is left out here. A retired one never does: its last document has the car inside for
//! ever, or had not heard of the ticket at all. So every lane remembers by itself, and what is known of such a stay can be
//! forgotten by those that told it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::document::Known;
use super::fact::Stay;
use crate::parking::ticket::LaneNumber;

/// So many are remembered. What is told beyond is not forgotten by those that tell it.
const MOST: usize = 100_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ended(BTreeSet<Stay>);

impl Ended {
    pub fn has(&self, stay: Stay) -> bool {
        self.0.contains(&stay)
    }

    /// Of other lanes than this one, which knows its own.
    pub fn add(&mut self, me: LaneNumber, stays: impl Iterator<Item = Stay>) {
        for stay in stays.filter(|stay| stay.0.lane() != me) {
            if self.0.len() < MOST {
                self.0.insert(stay);
            }
        }
    }

    /// Leaves out those of which the lane itself says so.
    pub fn tidy(&mut self, known: &Known) {
        self.0.retain(|stay| !known.get(stay.0.lane()).is_some_and(|document| document.is_over(stay.0.serial())));
    }
}
