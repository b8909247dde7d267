//! How often a season pass came in, of those that are out: so that its next stay gets the next number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fact::SeasonUsed;

/// In a document these take at most 16,000 bytes, the longest 21 of them.
const MOST: usize = 750;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Count {
    nth: u32,
    /// Grows with each that is noted.
    age: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SeasonCounts(BTreeMap<u32, Count>);

impl SeasonCounts {
    pub fn get(&self, season: u32) -> Option<u32> {
        self.0.get(&season).map(|count| count.nth)
    }

    /// This stay is over. Where there are too many passes, the one that was used the longest ago is left out.
    pub fn note(&mut self, used: SeasonUsed) {
        let age = self.0.values().map(|count| count.age).max().map_or(0, |age| age + 1);
        let nth = self.get(used.season).map_or(used.nth, |nth| nth.max(used.nth));
        self.0.insert(used.season, Count { nth, age });
        if self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, count)| count.age).map(|(season, _)| *season);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
    }

    /// As a document has them.
    pub fn told(&self) -> BTreeMap<u32, u32> {
        self.0.iter().map(|(season, count)| (*season, count.nth)).collect()
    }
}
