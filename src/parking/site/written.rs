//! The site's state on disk, in parts, so that a change writes what it has changed and no more.
//!
//! Policy: all that a change has touched is written in one transaction, with the records that it belongs to. So the parts on disk
//! are of one moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::parts::{Part, Revisions};
use super::{Conflict, Ended, Known, Own, Site, State};

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
    /// What was written, in any order, as key and JSON. A document in it that this software does not read is left out.
    ///
    /// # Errors
    /// It is not whole, or of another version.
    pub fn from_parts(parts: impl IntoIterator<Item = (String, String)>) -> Result<Self, BadState> {
        let mut read = BTreeMap::new();
        for (key, json) in parts {
            let part = Part::parse(&key).ok_or(BadState::Unknown(key))?;
            read.insert(part, json);
        }
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
        Ok(state)
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
    /// What is to be on disk: the key of each part, at most 32 letters, digits and `/`, with a number that is another one
    /// whenever the part has changed. It is 0 while nothing has changed the part since it was read.
    pub fn parts(&self) -> impl Iterator<Item = (String, u64)> {
        self.state.parts().map(|part| (part.to_string(), self.state.revision(part)))
    }

    /// One of them, as JSON.
    ///
    /// # Errors
    /// It can't be written as JSON.
    pub fn part(&self, key: &str) -> serde_json::Result<Option<String>> {
        Part::parse(key).map(|part| self.state.part(part)).transpose()
    }
}
