//! The site's state on disk, in parts, so that a change writes what it has changed and no more.
//!
//! Policy: all that a change has touched is written in one transaction, with the records that it belongs to. So the parts on disk
//! are of one moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::parts::{Part, Revisions};
use super::{Conflict, Ended, Known, Own, Site, State};

/// What of a site is on disk: its parts in the revisions of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<Part, u64>);

/// What is to be written, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    pub changes: Vec<Change>,
    /// What is on disk then.
    pub written: Written,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// At most 32 letters, digits and `/`.
    pub key: String,
    /// None: it is deleted.
    pub json: Option<String>,
}

/// Why what is on disk is no state of a site.
#[derive(Debug, thiserror::Error)]
pub enum BadState {
    #[error("`{0}` is no part of a lane's state that this software knows; update it")]
    Unknown(String),
    #[error("the lane's state has no part `{0}`: its disk is damaged")]
    Missing(&'static str),
    #[error("the part `{0}` of the lane's state: {1}")]
    Part(String, #[source] serde_json::Error),
}

const VERSION: u64 = 1;

fn this_version<'de, D: serde::Deserializer<'de>>(stored: D) -> Result<u64, D::Error> {
    let v = u64::deserialize(stored)?;
    let other = format_args!("the lane's state is of version {v}, which this software does not read; update it");
    if v == VERSION { Ok(v) } else { Err(serde::de::Error::custom(other)) }
}

/// The part that is none of the others.
#[derive(Serialize, Deserialize)]
struct Rest {
    #[serde(deserialize_with = "this_version")]
    v: u64,
    older_disk: bool,
    reported: BTreeSet<Conflict>,
}

impl State {
    /// What was written, in any order, as key and JSON; and that this is on disk. A document in it that this software does not
    /// read is left out.
    ///
    /// # Errors
    /// It is not whole, or of another version.
    pub fn from_parts(parts: impl IntoIterator<Item = (String, String)>) -> Result<(Self, Written), BadState> {
        let mut read = BTreeMap::new();
        for (key, json) in parts {
            let part = Part::parse(&key).ok_or(BadState::Unknown(key))?;
            read.insert(part, json);
        }
        let written = Written(read.keys().map(|part| (*part, 0)).collect());
        let rest = read.remove(&Part::Rest).ok_or(BadState::Missing("rest"))?;
        let bad = |part: Part| move |err| BadState::Part(part.to_string(), err);
        // The version first: of a newer one nothing else can be told.
        let Rest { older_disk, reported, .. } = serde_json::from_str(&rest).map_err(bad(Part::Rest))?;
        let own = read.remove(&Part::Own).ok_or(BadState::Missing("own"))?;
        let own = Own::read(&own).map_err(bad(Part::Own))?;
        let (known, ended) = (Known::default(), Ended::default());
        let mut state = Self { own, known, ended, older_disk, reported, revisions: Revisions::default() };
        for (part, json) in read {
            match part {
                Part::Known(lane) => state.known.put(lane, &json),
                Part::Ended(_) => state.ended.put(&json).map_err(bad(part))?,
                part => state.own.put(part, &json).map_err(bad(part))?,
            }
        }
        Ok((state, written))
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        std::iter::once(Part::Rest).chain(self.own.parts()).chain(self.known.parts()).chain(self.ended.parts())
    }

    fn revision(&self, part: Part) -> u64 {
        let revisions = match part {
            Part::Rest => &self.revisions,
            Part::Known(_) => &self.known.revisions,
            Part::Ended(_) => &self.ended.revisions,
            _ => &self.own.revisions,
        };
        revisions.of(part)
    }

    fn part(&self, part: Part) -> serde_json::Result<String> {
        match part {
            Part::Rest => {
                let (older_disk, reported) = (self.older_disk, self.reported.clone());
                serde_json::to_string(&Rest { v: VERSION, older_disk, reported })
            }
            Part::Known(lane) => self.known.part(lane),
            Part::Ended(chunk) => self.ended.part(chunk),
            own => self.own.part(own),
        }
    }
}

impl Site {
    /// What is to be written besides what is on disk. `written` is of this run: none for a new site, else what came with the state.
    ///
    /// # Errors
    /// A part is not JSON.
    pub fn unwritten(&self, written: &Written) -> serde_json::Result<Unwritten> {
        let now: BTreeMap<Part, u64> = self.state.parts().map(|part| (part, self.state.revision(part))).collect();
        let gone = written.0.keys().filter(|part| !now.contains_key(part));
        let mut changes: Vec<Change> = gone.map(|part| Change { key: part.to_string(), json: None }).collect();
        for (part, _) in now.iter().filter(|(part, revision)| written.0.get(part) != Some(revision)) {
            changes.push(Change { key: part.to_string(), json: Some(self.state.part(*part)?) });
        }
        Ok(Unwritten { changes, written: Written(now) })
    }
}
