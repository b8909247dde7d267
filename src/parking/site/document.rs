//! What a lane publishes: everything that it has to tell, in one signed message that replaces its last one.
//!
//! Policy: the sender is known by its signature and not by its topic, and speaks of itself alone. Nothing is taken of a document of
//! which a part is wrong. It is bounded by the size of a message. What was heard counts for as long as its lane and one of the
//! keys that have signed it are listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fact::{Entered, Left, MOST_STAYS, Paid, SeasonUsed, Stay, ValidationUsed, Voided};
use super::parts::{Part, Revisions};
use crate::parking::ticket::{LaneNumber, Pass, SiteNumber, TicketNumber};
use crate::signed::jws::{BadMessage, PublicKey, Purpose, Signer};
use crate::vocabulary::LaneId;

/// A lane as the others know it.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: LaneId,
    /// One, or two while it changes its key.
    pub keys: Vec<PublicKey>,
    /// It is out of use for good: what it said still counts, and nobody waits for it.
    pub retired: bool,
}

/// The lanes of a site, this one among them.
#[derive(Debug, Clone)]
pub struct Roster {
    site: SiteNumber,
    lanes: BTreeMap<LaneNumber, Member>,
}

/// What is wrong with a list of lanes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoster {
    #[error("{0} lanes are listed; a site has at most {MOST_LANES}")]
    TooMany(usize),
    #[error("lane {0} has {1} keys; name one, or two while it changes its key")]
    Keys(LaneNumber, usize),
    #[error("lanes {0} and {1} have the same key; make one of their own for each")]
    SameKey(LaneNumber, LaneNumber),
    #[error("lanes {0} and {1} have the same name; each has its own")]
    SameName(LaneNumber, LaneNumber),
}

/// Lanes of a site, retired ones among them.
pub const MOST_LANES: usize = 32;

impl Roster {
    /// # Errors
    /// It is not what a list of lanes has to be.
    pub fn new(site: SiteNumber, lanes: BTreeMap<LaneNumber, Member>) -> Result<Self, BadRoster> {
        if lanes.len() > MOST_LANES {
            return Err(BadRoster::TooMany(lanes.len()));
        }
        for (lane, member) in &lanes {
            if !(1..=2).contains(&member.keys.len()) {
                return Err(BadRoster::Keys(*lane, member.keys.len()));
            }
            for (other, before) in lanes.range(..lane) {
                if member.keys.iter().any(|key| before.keys.contains(key)) {
                    return Err(BadRoster::SameKey(*other, *lane));
                }
                if member.name == before.name {
                    return Err(BadRoster::SameName(*other, *lane));
                }
            }
        }
        Ok(Self { site, lanes })
    }

    pub fn site(&self) -> SiteNumber {
        self.site
    }

    pub fn has(&self, lane: LaneNumber) -> bool {
        self.lanes.contains_key(&lane)
    }

    /// Whether this is a key of that lane.
    pub fn lists(&self, lane: LaneNumber, key: &PublicKey) -> bool {
        self.lanes.get(&lane).is_some_and(|member| member.keys.contains(key))
    }

    /// What a person calls it; a number where it is in no list.
    pub fn name(&self, lane: LaneNumber) -> String {
        self.lanes.get(&lane).map_or_else(|| format!("lane {lane}"), |member| member.name.to_string())
    }

    /// Which of these keys are that lane's, listed.
    fn of(&self, lane: LaneNumber, keys: &BTreeSet<[u8; 32]>) -> BTreeSet<[u8; 32]> {
        let listed = self.lanes.get(&lane).into_iter().flat_map(|member| &member.keys);
        listed.map(|key| *key.bytes()).filter(|key| keys.contains(key)).collect()
    }

    /// Whether it is listed and in use, so that it goes on to say what becomes of its tickets.
    pub(super) fn in_use(&self, lane: LaneNumber) -> bool {
        self.lanes.get(&lane).is_some_and(|member| !member.retired)
    }

    /// Those that are in use, without this one.
    pub(super) fn others(&self, me: LaneNumber) -> impl Iterator<Item = LaneNumber> {
        self.lanes.iter().filter(move |(lane, member)| **lane != me && !member.retired).map(|(lane, _)| *lane)
    }
}

/// What a lane says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub v: u8,
    pub site: SiteNumber,
    pub lane: LaneNumber,
    /// Of the document: each has the next.
    pub seq: u64,
    /// Of what it says of the car park: moves only when that changes, and is what others acknowledge.
    pub stand: u64,
    /// What it has heard: of each lane the stand.
    pub seen: BTreeMap<LaneNumber, u64>,
    /// A ticket of this lane whose serial is lower and that is not in `entered` is over.
    pub next: u32,
    /// Cars that came in and for which there is no room in `entered` yet.
    pub untold: u32,
    /// Cars that are inside and were not counted; the sum of all corrections.
    pub corrected: i32,
    /// Who is inside, by serial.
    pub entered: Vec<Entered>,
    pub paid: Vec<Paid>,
    pub left: Vec<Left>,
    pub voided: Vec<Voided>,
    pub validations: Vec<ValidationUsed>,
    pub seasons: Vec<SeasonUsed>,
    /// Of season passes whose stays are over: the highest number of a stay here.
    pub season_counts: BTreeMap<u32, u32>,
}

pub(super) const VERSION: u8 = 1;

/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    #[error("the facts of a lane: {0}")]
    Message(#[from] BadMessage),
    #[error("lane {0} is none of this site; add it to the list of lanes, or find out who sends")]
    ForeignLane(LaneNumber),
    #[error("the facts are of site {0}")]
    ForeignSite(SiteNumber),
    #[error("a lane speaks for another: {by} has signed what lane {of} is said to say")]
    Speaks { of: LaneNumber, by: String },
    #[error("the facts are of version {0}, which this software does not read; update it")]
    Version(u64),
    #[error(
        "lane {lane} went back from document {known} to {said}: it is repeated, or the lane's disk is an older one"
    )]
    RolledBack { lane: LaneNumber, known: u64, said: u64 },
    #[error("lane {lane} has said two things as document {seq}; two machines run as this lane")]
    TwoOfOne { lane: LaneNumber, seq: u64 },
    #[error("lane {lane} has heard stand {heard} of this lane, which is at {own}: this lane's disk is an older one")]
    AheadOfUs { lane: LaneNumber, heard: u64, own: u64 },
    #[error(
        "this lane has said document {heard}, and its disk knows of {own}: the disk is an older one, or two machines run as this lane; \
         it gives out no ticket any more, so give the board a lane number that was not used before and retire the old one"
    )]
    OlderDisk { heard: u64, own: u64 },
    #[error("the facts of lane {lane} are not in order: {what}")]
    Disorder { lane: LaneNumber, what: &'static str },
}

impl Document {
    /// The name that its signer goes by.
    pub fn kid(site: SiteNumber, lane: LaneNumber) -> String {
        format!("{site}/{lane}")
    }

    /// # Errors
    /// It is not JSON.
    pub fn sign(&self, signer: &Signer) -> serde_json::Result<Vec<u8>> {
        signer.sign(Purpose::LaneFacts, self)
    }

    /// What came as this lane's.
    ///
    /// # Errors
    /// It is anything but what the lane of this site has signed, whole and in order.
    pub fn open(message: &[u8], lane: LaneNumber, roster: &Roster) -> Result<Heard, BadDocument> {
        let member = roster.lanes.get(&lane).ok_or(BadDocument::ForeignLane(lane))?;
        let mut opened = Err(BadMessage::UnknownKey);
        for key in &member.keys {
            opened = key.open::<Box<RawValue>>(Purpose::LaneFacts, message).map(|opened| (opened, *key.bytes()));
            if !matches!(opened, Err(BadMessage::Signature)) {
                break;
            }
        }
        let ((said, by), key) = opened?;
        // The version first: of a newer one nothing else can be told.
        let content = |_| BadMessage::Content;
        let Version { v } = serde_json::from_str(said.get()).map_err(content)?;
        if v != u64::from(VERSION) {
            return Err(BadDocument::Version(v));
        }
        let document: Self = serde_json::from_str(said.get()).map_err(content)?;
        if document.site != roster.site {
            return Err(BadDocument::ForeignSite(document.site));
        }
        if document.lane != lane || by != Self::kid(roster.site, lane) {
            return Err(BadDocument::Speaks { of: lane, by: by.chars().take(64).collect() });
        }
        match document.disorder() {
            Some(what) => Err(BadDocument::Disorder { lane, what }),
            None => Ok(Heard { document, keys: BTreeSet::from([key]) }),
        }
    }

    fn disorder(&self) -> Option<&'static str> {
        fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> bool {
            let mut last = None;
            for item in items {
                if last.as_ref().is_some_and(|last| *last >= item) {
                    return false;
                }
                last = Some(item);
            }
            true
        }
        if !(1..=TicketNumber::LAST + 1).contains(&self.next) {
            return Some("no ticket can be the next");
        }
        if !self.entered.iter().all(|entered| (1..self.next).contains(&entered.serial)) {
            return Some("a ticket is inside that was not given out yet");
        }
        if !self.entered.iter().all(Entered::is_in_order) {
            return Some("a car came back from where it can't have been");
        }
        if self.paid.iter().any(|paid| paid.nth > Pass::MOST || paid.grace > Pass::LONGEST_GRACE) {
            return Some("no pass can say so");
        }
        let most = SeasonUsed::MOST;
        if self.seasons.iter().any(|used| used.nth > most) || self.season_counts.values().any(|nth| *nth > most) {
            return Some("a season pass came in more often than one can");
        }
        // Each pair of stays of two lanes is looked at, so there may not be any number of them.
        if self.validations.chunk_by(|one, other| one.number == other.number).any(|stays| stays.len() > MOST_STAYS) {
            return Some("a validation was taken for more stays than one lane takes it for");
        }
        let in_order = sorted(self.entered.iter().map(|entered| entered.serial))
            && sorted(self.paid.iter().map(|paid| (paid.stay, paid.nth)))
            && sorted(self.left.iter().map(|left| left.stay))
            && sorted(self.voided.iter().map(|voided| voided.stay))
            && sorted(self.validations.iter().map(|used| (used.number, used.stay)))
            && sorted(self.seasons.iter().map(|used| (used.season, used.nth)));
        (!in_order).then_some("something stands there twice, or before what it should follow")
    }

    /// Whether it is said that this car is inside.
    pub(super) fn inside(&self, serial: u32) -> Option<&Entered> {
        let at = self.entered.binary_search_by_key(&serial, |entered| entered.serial).ok()?;
        self.entered.get(at)
    }

    /// Whether a ticket of this lane is over, as the lane itself says.
    pub(super) fn is_over(&self, serial: u32) -> bool {
        serial < self.next && self.inside(serial).is_none()
    }

    /// The stays of which it says that they have ended.
    pub(super) fn ended(&self) -> impl Iterator<Item = Stay> {
        self.left.iter().map(|left| left.stay).chain(self.voided.iter().map(|voided| voided.stay))
    }

    pub(super) fn left(&self, stay: Stay) -> Option<&Left> {
        let at = self.left.binary_search_by_key(&stay, |left| left.stay).ok()?;
        self.left.get(at)
    }

    pub(super) fn voided(&self, stay: Stay) -> Option<&Voided> {
        let at = self.voided.binary_search_by_key(&stay, |voided| voided.stay).ok()?;
        self.voided.get(at)
    }

    /// The payments for a stay.
    pub(super) fn paid(&self, stay: Stay) -> &[Paid] {
        let from = self.paid.partition_point(|paid| paid.stay < stay);
        let to = self.paid.partition_point(|paid| paid.stay <= stay);
        &self.paid[from..to]
    }
}

/// The version, whatever else it says.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// A document that was opened, and the keys of its lane that have signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub document: Document,
    keys: BTreeSet<[u8; 32]>,
}

/// What was heard of each lane: of every lane the newest document. The smaller is a part of the larger, and merging two gives the
/// least that has both: in any order, in any grouping, and as often as may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    heard: BTreeMap<LaneNumber, Heard>,
    pub(super) revisions: Revisions,
}

impl Known {
    /// Whether it is new.
    ///
    /// # Errors
    /// It is not newer than what is known, and not the same.
    pub fn take(&mut self, heard: Heard) -> Result<bool, BadDocument> {
        let document = &heard.document;
        let (lane, seq) = (document.lane, document.seq);
        match self.heard.get_mut(&lane) {
            Some(known) if known.document.seq == seq => match known.document == *document {
                true => {
                    // The same, perhaps signed anew.
                    if !heard.keys.is_subset(&known.keys) {
                        known.keys.extend(heard.keys);
                        self.revisions.touch(Part::Known(lane));
                    }
                    Ok(false)
                }
                false => Err(BadDocument::TwoOfOne { lane, seq }),
            },
            Some(Heard { document: known, .. }) if known.seq > seq || known.stand > document.stand => {
                Err(BadDocument::RolledBack { lane, known: known.seq, said: seq })
            }
            _ => {
                self.heard.insert(lane, heard);
                self.revisions.touch(Part::Known(lane));
                Ok(true)
            }
        }
    }

    /// All that the other has heard too. What is older there changes nothing.
    pub fn merge(&mut self, other: &Self) {
        for heard in other.heard.values() {
            // An older one is the other's past, which is part of what is known.
            let _ = self.take(heard.clone());
        }
    }

    /// What a lane has said that is not listed any more, or by a key that is not, does not count: whoever stole a key is not
    /// believed for longer than the key is.
    pub(super) fn keep_listed(&mut self, roster: &Roster) {
        let Self { heard, revisions } = self;
        heard.retain(|lane, heard| {
            let keys = roster.of(*lane, &heard.keys);
            if keys != heard.keys {
                heard.keys = keys;
                revisions.touch(Part::Known(*lane));
            }
            !heard.keys.is_empty()
        });
    }

    /// The parts that it has.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        self.heard.keys().map(|lane| Part::Known(*lane))
    }

    /// One of them, as JSON.
    pub(super) fn part(&self, lane: LaneNumber) -> serde_json::Result<String> {
        serde_json::to_string(&self.heard.get(&lane))
    }

    /// Takes one of them from disk. One that this software does not read, because another version
    /// of it has written it, is left out: it is heard again.
    pub(super) fn put(&mut self, lane: LaneNumber, json: &str) {
        if let Ok(heard) = serde_json::from_str::<Heard>(json)
            && heard.document.lane == lane
        {
            self.heard.insert(lane, heard);
        }
    }

    pub fn get(&self, lane: LaneNumber) -> Option<&Document> {
        self.heard.get(&lane).map(|heard| &heard.document)
    }

    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.heard.values().map(|heard| &heard.document)
    }
}
