//! What this lane has done itself: what of it is told, and when it may be forgotten.
//!
//! A fact is kept until it is of no use to anybody, which takes two rounds. First every lane in use has acknowledged it, and its
//! stay is over in the document of the lane that gave out its ticket, or, where that lane is retired, as others have told (of a
//! validation: nobody takes it any more). Then every lane in use has heard all that this one had heard of lanes in use by then: so
//! whoever had done the same thing before it heard of this fact has told so by then, and everybody has seen both together. What is
//! inside is never forgotten, told or not.
//!
//! What there is no room for in a document waits, the oldest first. Nothing that was told is left out again before it may be
//! forgotten. Validations have a room of their own: a shop, or whoever has its key, can fill that and no other.

mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::document::{Document, Known, Roster};
use super::ended::Ended;
use super::fact::{Entered, Fact, Left, MOST_STAYS, Once, Paid, SeasonUsed, Stay, Voided};
use super::parts::{Part, Revisions, chunks, rows};
use super::seasons::SeasonCounts;
use crate::parking::ticket::{
    CLOCKS_DIFFER, KeyNumber, LaneNumber, Minute, Pass, Plate, TicketNumber, ValidationNumber,
};
use crate::signed::jws::LONGEST;

/// Bytes of JSON in a document for each part of it. A message is at most 131,072 bytes, of which base64 leaves three quarters,
/// 98,304; these are 80,000, season passes that are out at most 16,000, and the rest is for the head, which takes less than 1,500.
const INSIDE: usize = 36_000;
const MONEY: usize = 19_000;
const VALIDATIONS: usize = 7_000;
const OUT: usize = 13_000;
/// Of what was done twice, which does not wait for room: whoever acknowledges the one side tells the other with it.
const TWICE: usize = 5_000;
/// A whole document, so that there is room for its signature. It can't be longer, unless other software has written the state.
const WHOLE: usize = LONGEST / 4 * 3 - 300;
/// Cars inside, and other facts, that a lane remembers.
pub const MOST_INSIDE: usize = 20_000;
pub const MOST_FACTS: usize = 50_000;
/// A payment, a car that leaves, and validations that count for one stay.
const STAYS_FACTS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Paid(Stay, u8),
    Left(Stay),
    Voided(Stay),
    Validation(ValidationNumber, Stay),
    Season(u32, u32),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Inside {
    entered: Entered,
    told: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    fact: Fact,
    /// The stand of the first document that had it.
    told_in: Option<u64>,
    /// It was done twice.
    #[serde(default)]
    twice: bool,
    /// It was told in the room of those, and takes none of the others'.
    #[serde(default)]
    urgent: bool,
    /// What this lane had heard when the first round was over. After a restart that is found out anew, which takes longer and
    /// forgets nothing too early.
    #[serde(skip)]
    heard: Option<Arc<BTreeMap<LaneNumber, u64>>>,
}

/// Why something was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    #[error("ticket {0} of this lane was given out before")]
    Serial(u32),
    #[error("this lane remembers so many facts of which other lanes have not heard that it has no room for more")]
    Full,
    #[error("this lane has recorded something else of the same kind for it")]
    Twice,
    #[error("no pass can say so: a payment is one of 16, and its grace at most 1,023 minutes")]
    NoPass,
    #[error("the sum of the corrections is too large")]
    TooMuch,
    #[error("the stay that this one goes on with can't have been before it")]
    Before,
    #[error("this lane has taken the validation for {MOST_STAYS} stays before")]
    Validation,
    #[error("a season pass has at most 1,000,001 stays; give its holder another")]
    Season,
    #[error("this lane's disk is an older one, so the ticket's number may have been given out before")]
    OlderDisk,
}

/// A document that no message has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "what this lane has to tell takes {bytes} bytes, and a document has at most {WHOLE}: its state is damaged, so call for help"
)]
pub struct TooLarge {
    bytes: usize,
}

/// What a lane knows besides its own.
pub(super) struct Around<'s> {
    pub roster: &'s Roster,
    pub known: &'s Known,
    pub ended: &'s Ended,
    /// The keys that sign validations, where they were said.
    pub shops: Option<&'s BTreeSet<KeyNumber>>,
}

/// Durable, all of it: it is on disk before a document is sent.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub me: LaneNumber,
    pub stand: u64,
    pub seq: u64,
    next: u32,
    corrected: i32,
    inside: BTreeMap<u32, Inside>,
    /// By age.
    facts: BTreeMap<u64, Kept>,
    index: BTreeMap<Key, u64>,
    season_counts: SeasonCounts,
    /// The last document.
    pub last: Option<Document>,
    pub revisions: Revisions,
}

/// The part of it that is none of the others.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    me: LaneNumber,
    stand: u64,
    seq: u64,
    next: u32,
    corrected: i32,
}

impl Own {
    pub fn new(me: LaneNumber) -> Self {
        Self {
            me,
            stand: 0,
            seq: 0,
            next: 1,
            corrected: 0,
            inside: BTreeMap::new(),
            facts: BTreeMap::new(),
            index: BTreeMap::new(),
            season_counts: SeasonCounts::default(),
            last: None,
            revisions: Revisions::default(),
        }
    }

    /// The parts that it has.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        let inside = chunks(&self.inside).map(Part::Inside);
        let facts = chunks(&self.facts).map(Part::Facts);
        let last = self.last.iter().map(|_| Part::Last);
        [Part::Own, Part::Seasons].into_iter().chain(last).chain(inside).chain(facts)
    }

    /// One of them, as JSON.
    pub fn part(&self, part: Part) -> serde_json::Result<String> {
        let Self { me, stand, seq, next, corrected, .. } = *self;
        match part {
            Part::Inside(chunk) => serde_json::to_string(&rows(&self.inside, chunk).collect::<Vec<_>>()),
            Part::Facts(chunk) => serde_json::to_string(&rows(&self.facts, chunk).collect::<Vec<_>>()),
            Part::Seasons => serde_json::to_string(&self.season_counts),
            Part::Last => serde_json::to_string(&self.last),
            _ => serde_json::to_string(&Head { me, stand, seq, next, corrected }),
        }
    }

    /// From its own part on disk, without the others.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        let Head { me, stand, seq, next, corrected } = serde_json::from_str(json)?;
        Ok(Self { stand, seq, next, corrected, ..Self::new(me) })
    }

    /// Takes one of the others.
    pub fn put(&mut self, part: Part, json: &str) -> serde_json::Result<()> {
        match part {
            Part::Inside(_) => self.inside.extend(serde_json::from_str::<Vec<(u32, Inside)>>(json)?),
            Part::Facts(_) => self.facts.extend(serde_json::from_str::<Vec<(u64, Kept)>>(json)?),
            Part::Seasons => self.season_counts = serde_json::from_str(json)?,
            // One that this software does not read is made anew.
            Part::Last => self.last = serde_json::from_str(json).ok(),
            _ => (),
        }
        Ok(())
    }

    /// After it was read from disk.
    pub fn indexed(mut self) -> Self {
        let keys = self.facts.iter().filter_map(|(age, kept)| Some((key(&kept.fact)?, *age)));
        self.index = keys.collect();
        self
    }

    /// The number of the next ticket; none when the lane has given out all of its numbers.
    pub fn next(&self) -> Option<TicketNumber> {
        // Of a car that is not remembered nobody would know that it is inside.
        TicketNumber::new(self.me, self.next).filter(|_| self.inside.len() < MOST_INSIDE)
    }

    /// Whether what one more stay brings about can be recorded.
    pub fn has_room(&self) -> bool {
        self.facts.len() + STAYS_FACTS <= MOST_FACTS
    }

    pub fn corrected(&self) -> i64 {
        self.corrected.into()
    }

    pub fn record(&mut self, fact: Fact) -> Result<(), NotRecorded> {
        match fact {
            Fact::Entered(entered) => self.enter(entered),
            Fact::Correction(by) => {
                if by != 0 {
                    self.corrected = self.corrected.checked_add(by).ok_or(NotRecorded::TooMuch)?;
                    self.revisions.touch(Part::Own);
                }
                Ok(())
            }
            Fact::Paid(paid) if paid.nth > Pass::MOST || paid.grace > Pass::LONGEST_GRACE => Err(NotRecorded::NoPass),
            Fact::SeasonUsed(used) if used.nth > SeasonUsed::MOST => Err(NotRecorded::Season),
            Fact::ValidationUsed(used)
                if self.fact(Key::Validation(used.number, used.stay)).is_none()
                    && self.done(Once::Validation(used.number)).len() >= MOST_STAYS =>
            {
                Err(NotRecorded::Validation)
            }
            fact => {
                let out = fact.ended().map(|stay| stay.0).filter(|stay| stay.lane() == self.me);
                self.keep(fact)?;
                if let Some(stay) = out {
                    self.goes(stay.serial());
                }
                Ok(())
            }
        }
    }

    fn goes(&mut self, serial: u32) {
        if self.inside.remove(&serial).is_some() {
            self.revisions.touch(Part::inside(serial));
        }
    }

    fn enter(&mut self, entered: Entered) -> Result<(), NotRecorded> {
        let serial = entered.serial;
        if !entered.is_in_order() {
            return Err(NotRecorded::Before);
        }
        if let Some(known) = self.inside.get(&serial) {
            return if known.entered == entered { Ok(()) } else { Err(NotRecorded::Twice) };
        }
        if !(self.next..=TicketNumber::LAST).contains(&serial) {
            return Err(NotRecorded::Serial(serial));
        }
        if self.inside.len() >= MOST_INSIDE {
            return Err(NotRecorded::Full);
        }
        self.inside.insert(serial, Inside { entered, told: false });
        self.next = serial + 1;
        self.revisions.touch(Part::inside(serial));
        self.revisions.touch(Part::Own);
        Ok(())
    }

    fn keep(&mut self, fact: Fact) -> Result<(), NotRecorded> {
        let Some(key) = key(&fact) else { return Ok(()) };
        if let Some(known) = self.index.get(&key).and_then(|age| self.facts.get(age)) {
            return if known.fact == fact { Ok(()) } else { Err(NotRecorded::Twice) };
        }
        if self.facts.len() >= MOST_FACTS {
            return Err(NotRecorded::Full);
        }
        let age = self.facts.last_key_value().map_or(0, |(age, _)| age + 1);
        self.facts.insert(age, Kept { fact, told_in: None, twice: false, urgent: false, heard: None });
        self.index.insert(key, age);
        self.revisions.touch(Part::fact(age));
        Ok(())
    }

    /// Another lane has done the same.
    pub fn twice(&mut self, what: Once, stay: Stay) {
        let key = match what {
            Once::Leaving(stay) => Key::Left(stay),
            Once::Paying(stay, nth) => Key::Paid(stay, nth),
            Once::Validation(number) => Key::Validation(number, stay),
            Once::Season(season, nth) => Key::Season(season, nth),
        };
        if let Some(age) = self.index.get(&key)
            && let Some(kept) = self.facts.get_mut(age)
            && !kept.twice
        {
            kept.twice = true;
            self.revisions.touch(Part::fact(*age));
        }
    }

    fn fact(&self, key: Key) -> Option<&Fact> {
        self.index.get(&key).and_then(|age| self.facts.get(age)).map(|kept| &kept.fact)
    }

    pub fn left(&self, stay: Stay) -> Option<&Left> {
        if let Some(Fact::Left(left)) = self.fact(Key::Left(stay)) { Some(left) } else { None }
    }

    pub fn voided(&self, stay: Stay) -> Option<&Voided> {
        if let Some(Fact::Voided(voided)) = self.fact(Key::Voided(stay)) { Some(voided) } else { None }
    }

    pub fn paid(&self, stay: Stay) -> impl Iterator<Item = &Paid> {
        let ages = self.index.range(Key::Paid(stay, 0)..=Key::Paid(stay, u8::MAX)).map(|(_, age)| age);
        ages.filter_map(|age| if let Fact::Paid(paid) = &self.facts.get(age)?.fact { Some(paid) } else { None })
    }

    /// What of it was done here.
    pub fn done(&self, what: Once) -> Vec<&Fact> {
        let (first, last) = match what {
            Once::Leaving(stay) => (Key::Left(stay), Key::Left(stay)),
            Once::Paying(stay, nth) => (Key::Paid(stay, nth), Key::Paid(stay, nth)),
            Once::Season(season, nth) => (Key::Season(season, nth), Key::Season(season, nth)),
            Once::Validation(number) => (Key::Validation(number, Stay::FIRST), Key::Validation(number, Stay::LAST)),
        };
        self.index.range(first..=last).filter_map(|(_, age)| self.facts.get(age)).map(|kept| &kept.fact).collect()
    }

    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.values().map(|kept| &kept.fact)
    }

    pub fn season_count(&self, season: u32) -> Option<u32> {
        self.season_counts.get(season)
    }

    pub fn inside(&self) -> impl Iterator<Item = &Entered> {
        self.inside.values().map(|inside| &inside.entered)
    }

    pub fn is_inside(&self, serial: u32) -> Option<&Entered> {
        self.inside.get(&serial).map(|inside| &inside.entered)
    }

    pub fn is_to_come(&self, serial: u32) -> bool {
        serial >= self.next
    }

    pub fn is_over(&self, serial: u32) -> bool {
        serial < self.next && !self.inside.contains_key(&serial)
    }

    /// Its clock is set, and so it knows when a car came whose ticket was in doubt; or a camera has read the plate.
    pub fn amend(&mut self, serial: u32, change: impl FnOnce(&mut Entered)) -> Result<(), NotRecorded> {
        let told: usize = self.inside.values().filter(|inside| inside.told).map(|inside| size(&inside.entered)).sum();
        let Some(inside) = self.inside.get_mut(&serial) else { return Ok(()) };
        let mut entered = inside.entered.clone();
        change(&mut entered);
        entered.serial = serial;
        if !entered.is_in_order() {
            return Err(NotRecorded::Before);
        }
        // What was told stays told, and so it grows only where there is room.
        if inside.told && told + size(&entered) > INSIDE + size(&inside.entered) {
            return Err(NotRecorded::Full);
        }
        inside.entered = entered;
        self.revisions.touch(Part::inside(serial));
        Ok(())
    }

    /// Cars of this lane that have left elsewhere.
    pub fn out(&mut self, known: &Known) {
        let me = self.me;
        for Stay(ticket) in known.documents().flat_map(Document::ended).filter(|stay| stay.0.lane() == me) {
            self.goes(ticket.serial());
        }
    }

    /// What is to be heard before anything is forgotten is found out anew, because other lanes or keys are listed.
    pub fn listed_anew(&mut self) {
        self.facts.values_mut().for_each(|kept| kept.heard = None);
    }

    /// Forgets what is of no use to anybody any more.
    pub fn forget(&mut self, around: &Around<'_>, now: Option<Minute>) {
        let me = self.me;
        let Around { roster, known, ended, shops } = *around;
        let Some(others) = roster.others(me).map(|lane| known.get(lane)).collect::<Option<Vec<&Document>>>() else {
            // Somebody has not said a word yet.
            return;
        };
        // Of those alone that go on: a retired lane acknowledges nothing, and one that is added later may never hear it.
        let mut heard: BTreeMap<LaneNumber, u64> =
            others.iter().map(|document| (document.lane, document.stand)).collect();
        heard.insert(me, self.stand);
        let heard = Arc::new(heard);
        let has = |document: &Document, lane: LaneNumber, stand: u64| {
            document.lane == lane || document.seen.get(&lane).is_some_and(|seen| *seen >= stand)
        };
        let gone = |stay: Stay| match stay.0.lane() {
            lane if lane == me => self.is_over(stay.0.serial()),
            lane if known.get(lane).is_some_and(|document| document.is_over(stay.0.serial())) => true,
            lane => !roster.in_use(lane) && ended.has(stay),
        };
        // A clock that is late takes it for so much longer.
        let past = |until: Minute| now.is_some_and(|now| now > until.later(CLOCKS_DIFFER));
        let refused = |number: ValidationNumber| shops.is_some_and(|shops| !shops.contains(&number.key));
        let mut forgotten = Vec::new();
        let mut ready = Vec::new();
        for (age, Kept { fact, told_in, heard: then, .. }) in &self.facts {
            let Some(told_in) = told_in else { continue };
            let useless = match fact {
                Fact::ValidationUsed(used) => past(used.until) || refused(used.number),
                _ => stay(fact).is_none_or(gone),
            };
            if !useless || !others.iter().all(|document| has(document, me, *told_in)) {
                continue;
            }
            let all = |then: &BTreeMap<LaneNumber, u64>| {
                then.iter().all(|(lane, stand)| others.iter().all(|document| has(document, *lane, *stand)))
            };
            match then {
                Some(then) if all(then) => forgotten.push(*age),
                // Alone, or everybody has heard everything already.
                None if all(&heard) => forgotten.push(*age),
                None => ready.push(*age),
                Some(_) => (),
            }
        }
        for age in ready {
            if let Some(kept) = self.facts.get_mut(&age) {
                kept.heard = Some(Arc::clone(&heard));
            }
        }
        for age in forgotten {
            let Some(Kept { fact, .. }) = self.facts.remove(&age) else { continue };
            self.revisions.touch(Part::fact(age));
            if let Some(key) = key(&fact) {
                self.index.remove(&key);
            }
            if let Fact::SeasonUsed(used) = fact {
                self.season_counts.note(used);
                self.revisions.touch(Part::Seasons);
            }
        }
        let there: BTreeSet<Part> = self.parts().collect();
        self.revisions.forget(|part| there.contains(&part));
    }

    /// Whose plates it knows.
    pub fn plates(&self) -> impl Iterator<Item = (&Plate, TicketNumber)> {
        self.inside().filter_map(|entered| Some((entered.plate.as_ref()?, TicketNumber::new(self.me, entered.serial)?)))
    }
}

fn key(fact: &Fact) -> Option<Key> {
    Some(match fact {
        Fact::Paid(paid) => Key::Paid(paid.stay, paid.nth),
        Fact::Left(left) => Key::Left(left.stay),
        Fact::Voided(voided) => Key::Voided(voided.stay),
        Fact::ValidationUsed(used) => Key::Validation(used.number, used.stay),
        Fact::SeasonUsed(used) => Key::Season(used.season, used.nth),
        Fact::Entered(_) | Fact::Correction(_) => return None,
    })
}

fn stay(fact: &Fact) -> Option<Stay> {
    match fact {
        Fact::Paid(paid) => Some(paid.stay),
        Fact::SeasonUsed(used) => Some(used.stay),
        Fact::ValidationUsed(used) => Some(used.stay),
        Fact::Entered(_) | Fact::Correction(_) => None,
        ends => ends.ended(),
    }
}

/// In a document, with the comma behind it. A fact of another list is written with its kind, which a document has once: that is
/// some bytes too many and never too few.
fn size(fact: &impl Serialize) -> usize {
    serde_json::to_string(fact).map_or(usize::MAX, |text| text.len() + 1)
}
