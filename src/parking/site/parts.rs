//! The parts of a site's state. Each has a revision, which grows in a run with whatever changes the part.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use crate::parking::ticket::LaneNumber;

/// So many numbers in a row share a part, which takes some kilobytes.
const ROWS: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Its version, and what is in no other.
    Rest,
    /// What this lane counts.
    Own,
    Seasons,
    /// Its last document.
    Last,
    /// Cars inside, by serial.
    Inside(u64),
    /// What it has done, by age.
    Facts(u64),
    /// What another lane has said.
    Known(LaneNumber),
    /// Stays that have ended.
    Ended(u64),
}

impl Part {
    pub fn inside(serial: u32) -> Self {
        Self::Inside(u64::from(serial) / ROWS)
    }

    pub fn fact(age: u64) -> Self {
        Self::Facts(age / ROWS)
    }

    pub fn ended(stay: u32) -> Self {
        Self::Ended(u64::from(stay) / ROWS)
    }

    pub fn parse(key: &str) -> Option<Self> {
        let part = match key.rsplit_once('/') {
            None if key == "rest" => Self::Rest,
            None if key == "own" => Self::Own,
            Some(("own", "seasons")) => Self::Seasons,
            Some(("own", "last")) => Self::Last,
            Some(("own/inside", chunk)) => Self::Inside(chunk.parse().ok()?),
            Some(("own/facts", chunk)) => Self::Facts(chunk.parse().ok()?),
            Some(("known", lane)) => Self::Known(LaneNumber::new(lane.parse().ok()?)?),
            Some(("ended", chunk)) => Self::Ended(chunk.parse().ok()?),
            _ => return None,
        };
        // As it is written, so that none has two keys.
        (part.to_string() == key).then_some(part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rest => f.write_str("rest"),
            Self::Own => f.write_str("own"),
            Self::Seasons => f.write_str("own/seasons"),
            Self::Last => f.write_str("own/last"),
            Self::Inside(chunk) => write!(f, "own/inside/{chunk}"),
            Self::Facts(chunk) => write!(f, "own/facts/{chunk}"),
            Self::Known(lane) => write!(f, "known/{lane}"),
            Self::Ended(chunk) => write!(f, "ended/{chunk}"),
        }
    }
}

/// The parts that a map has.
pub(super) fn chunks<K: Copy + Ord + Into<u64> + TryFrom<u64>, V>(map: &BTreeMap<K, V>) -> impl Iterator<Item = u64> {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let first = K::try_from(from?).ok()?;
        let chunk = map.range(first..).next().map(|(key, _)| Into::<u64>::into(*key) / ROWS);
        from = chunk.and_then(|chunk| (chunk + 1).checked_mul(ROWS));
        chunk
    })
}

/// What a map has in one of them.
pub(super) fn rows<K: Copy + Ord + TryFrom<u64>, V>(
    map: &BTreeMap<K, V>,
    chunk: u64,
) -> impl Iterator<Item = (&K, &V)> {
    range::<K>(chunk).into_iter().flat_map(move |range| map.range(range))
}

fn range<K: TryFrom<u64>>(chunk: u64) -> Option<RangeInclusive<K>> {
    let first = chunk.checked_mul(ROWS)?;
    Some(K::try_from(first).ok()?..=K::try_from(first + (ROWS - 1)).ok()?)
}

/// The revisions of parts that have been changed in this run. What was never changed has revision 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Revisions {
    last: u64,
    of: BTreeMap<Part, u64>,
}

impl Revisions {
    pub fn touch(&mut self, part: Part) {
        self.last += 1;
        self.of.insert(part, self.last);
    }

    pub fn of(&self, part: Part) -> u64 {
        self.of.get(&part).copied().unwrap_or(0)
    }

    /// Parts that are not there any more. One that comes back gets a revision that it never had.
    pub fn forget(&mut self, is_there: impl Fn(Part) -> bool) {
        self.of.retain(|part, _| is_there(*part));
    }
}

/// What is the same is so however it came about.
impl PartialEq for Revisions {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Revisions {}
