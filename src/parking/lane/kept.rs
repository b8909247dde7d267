//! What a lane's records add up to, so that a start need not read all that were ever written.
//!
//! Policy: who starts from it and from the records after it is the same, in everything, as who starts from all records. It is
//! bounded, however long the lane has run. It is taken when the records of a step are on disk, never before, and is stored with
//! the number of the last of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::passage::Used;
use super::{Alarm, Authorisation, Count, Gate, Passage, Record, Settings, Signal, State, Track};
use crate::operation::RequestId;
use crate::vocabulary::Mono;

/// As JSON at most 64 KiB, in use about half of that. Read only in its own version; of another, or of none, the lane is made from
/// all its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    #[serde(deserialize_with = "this_version")]
    v: u64,
    used: Used,
    /// Oldest first.
    passages: Vec<Authorisation>,
    kept_open: Option<RequestId>,
    on_fire: bool,
    ours: bool,
    was_held: bool,
    alarms: BTreeSet<Alarm>,
    inside: u32,
    full: bool,
    undecided: u64,
}

const VERSION: u64 = 1;

fn this_version<'de, D: serde::Deserializer<'de>>(stored: D) -> Result<u64, D::Error> {
    let v = u64::deserialize(stored)?;
    let other = format_args!("what is kept of the lane is of version {v}, which this software does not read");
    if v == VERSION { Ok(v) } else { Err(serde::de::Error::custom(other)) }
}

impl State {
    /// What its records add up to, all of which are on disk.
    pub fn kept(&self) -> Kept {
        Kept {
            v: VERSION,
            used: self.used.clone(),
            passages: self.passages.iter().map(|passage| passage.authorisation.clone()).collect(),
            kept_open: self.kept_open.clone(),
            on_fire: self.on_fire,
            ours: self.gate.ours,
            was_held: self.was_held,
            alarms: self.alarms.clone(),
            inside: self.count.inside,
            full: self.count.full(),
            undecided: self.undecided,
        }
    }

    /// A lane as its records have left it, oldest first. Nothing is known of its inputs yet.
    pub fn recover<'r>(settings: Settings, records: impl IntoIterator<Item = &'r Record>, now: Mono) -> Self {
        Self::resume(settings, None, records, now)
    }

    /// The same, from what was kept and the records that were written since, oldest first; without it these are all.
    pub fn resume<'r>(
        settings: Settings,
        kept: Option<Kept>,
        since: impl IntoIterator<Item = &'r Record>,
        now: Mono,
    ) -> Self {
        let mut state = Self::anew(settings, now);
        if let Some(kept) = kept {
            state.used = kept.used;
            state.passages = kept.passages.into_iter().map(|authorisation| former(authorisation, now)).collect();
            (state.kept_open, state.on_fire) = (kept.kept_open, kept.on_fire);
            (state.gate.ours, state.was_held) = (kept.ours, kept.was_held);
            (state.alarms, state.undecided) = (kept.alarms, kept.undecided);
            state.count.resume(kept.inside, kept.full);
        }
        for record in since {
            if let Record::GateIntended { authorisation, attempt: 1 } = record {
                state.passages.push(former(authorisation.clone(), now));
            }
            state.apply(record);
        }
        state
    }

    fn anew(settings: Settings, now: Mono) -> Self {
        let signal = |fitted: bool| fitted.then(|| Signal::new(now));
        Self {
            presence: signal(settings.presence),
            safety: signal(settings.safety),
            closing: signal(settings.closing),
            fire: signal(settings.fire),
            gate: Gate::new(&settings, now),
            track: Track::default(),
            passages: Vec::new(),
            used: Used::default(),
            kept_open: None,
            keeping: Vec::new(),
            on_fire: false,
            burns_since: None,
            held_at: None,
            held_tries: 0,
            was_held: false,
            let_in: None,
            alarms: BTreeSet::new(),
            count: Count::new(settings.places, settings.free_again),
            undecided: 0,
            undecided_here: false,
            called_here: false,
            called_at: None,
            lower_tries: 0,
            reopened: 0,
            sign: None,
            settings,
        }
    }
}

/// One that was intended in an earlier run.
fn former(authorisation: Authorisation, now: Mono) -> Passage {
    Passage { former: true, wanted: false, ..Passage::new(authorisation, now, false) }
}
