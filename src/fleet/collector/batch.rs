//! What many messages bring, gathered for one transaction.

use std::collections::BTreeMap;

use crate::fleet::inspection::Inspection;
use crate::fleet::proof::Position;
use crate::fleet::topic::Name;
use crate::ledger::EventDocument;

/// Messages of one batch, at most.
pub const MESSAGES: usize = 2000;

/// One kiosk's ledger; a kiosk whose storage was replaced has a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookId {
    pub kiosk: Name,
    pub ledger: String,
}

/// How a ledger goes on.
#[derive(Debug, Clone)]
pub struct Continued {
    /// Where it stood; whoever finds it elsewhere stores nothing of this.
    pub was: Position,
    pub now: Position,
    /// The kiosk's checkpoint of `now`; empty where its key is not known.
    pub seal: Vec<u8>,
    /// From `was` to `now`, without a gap.
    pub events: Vec<EventDocument>,
}

/// What a kiosk has said of itself, the newest of each; `None`: nothing.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// When any of its messages came last, milliseconds since 1970; `None`: only what the broker had kept.
    pub heard: Option<i64>,
    pub online: Option<bool>,
    /// JSON.
    pub state: Option<String>,
    pub telemetry: Option<String>,
    /// Messages in its name that were not believed, more than before, and why the last was not.
    pub refused: i64,
    pub why: Option<String>,
}

/// A second chain of the same ledger, or an event in the place of another.
#[derive(Debug, Clone)]
pub struct Fork {
    pub id: BookId,
    pub seq: u64,
    pub hash: String,
    /// As it came: an event or a signed checkpoint.
    pub message: String,
}

/// What a kiosk says of a command.
#[derive(Debug, Clone)]
pub struct Status {
    /// JSON.
    pub document: String,
    /// The kiosk has signed it.
    pub verified: bool,
}

/// What a kiosk has said, signed, of every part of itself.
#[derive(Debug, Clone)]
pub struct Inspected {
    pub inspection: Inspection,
    /// As it came, with the signature.
    pub message: String,
}

#[derive(Debug, Default)]
pub struct Batch {
    /// Milliseconds since 1970, by this machine's clock.
    pub now: i64,
    pub books: BTreeMap<BookId, Continued>,
    pub kiosks: BTreeMap<Name, Said>,
    /// By kind; `None`: cleared.
    pub alarms: BTreeMap<(Name, Name), Option<String>>,
    pub inspections: BTreeMap<Name, Inspected>,
    /// By verb and number.
    pub statuses: BTreeMap<(Name, Name, Name), Status>,
    pub forks: Vec<Fork>,
    /// Events that nobody remembers, to be compared with what is stored in their places.
    pub old: Vec<Fork>,
    /// Events in `books`.
    pub events: usize,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
            && self.kiosks.is_empty()
            && self.alarms.is_empty()
            && self.inspections.is_empty()
            && self.statuses.is_empty()
            && self.forks.is_empty()
            && self.old.is_empty()
    }

    /// `kept`: the broker had it, whenever it was said.
    pub fn said(&mut self, kiosk: &Name, kept: bool) -> &mut Said {
        let now = self.now;
        let said = self.kiosks.entry(kiosk.clone()).or_default();
        if !kept {
            said.heard = Some(now);
        }
        said
    }
}
