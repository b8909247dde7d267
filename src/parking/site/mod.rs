//! What the lanes of a site share, so that each of them can answer for all: who is inside, what was paid, what was used.
//!
//! Policy: no lane is master. A lane speaks of what it has done itself, in one signed document that replaces its last one, and
//! keeps the newest of every other lane; all answers follow from these, and nothing from the order in which they came. Nobody
//! waits for another: a lane that hears nothing answers by what it knows, by the code that is shown, and in the customer's
//! favour. What was done twice meanwhile is found when they hear of each other, and is reported by every lane once. What a
//! payment is known by, be it a document or a pass that is shown, is not asked for again. A lane and a key count for as long as
//! they are listed, and so does what was heard by them.
//!
//! Pure: it signs and opens, and sends nothing. What is here goes to disk before a document is sent or a gate is opened.
//!
//! - `fact` what a lane tells · `document` how it says so, and what was heard of all · `own` what is told and when it is
//!   forgotten · `seasons`, `ended` what is remembered then · `conflict` what was done twice · `stay` what is known of one stay
//! - `parts` the state in parts · `written` as they are on disk

mod conflict;
mod document;
mod ended;
mod fact;
mod own;
mod parts;
mod seasons;
mod stay;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use self::ended::Ended;
use self::own::{Around, Own};
use self::parts::{Part, Revisions};
use super::ticket::{
    KeyNumber, LaneNumber, Minute, Nearness, Pass, Plate, SiteKeys, TicketNumber, ValidationNumber, near,
};
use crate::vocabulary::{Minor, Wall};

pub use conflict::{Conflict, Side};
pub use document::{BadDocument, BadRoster, Document, Heard, Known, MOST_LANES, Member, Roster};
pub use fact::{Before, Entered, Fact, How, Left, Once, Paid, SeasonUsed, Stay, ValidationUsed, Voided};
pub use own::{MOST_FACTS, MOST_INSIDE, NotRecorded, TooLarge};
pub use stay::{Leaving, Over, Payments, Until};
pub use written::BadState;

/// A lane's part of the site.
#[derive(Debug, Clone)]
pub struct Site {
    roster: Roster,
    /// The keys that sign validations, where they were said.
    shops: Option<BTreeSet<KeyNumber>>,
    state: State,
}

/// What is on disk.
#[derive(Debug, Clone)]
pub struct State {
    own: Own,
    known: Known,
    ended: Ended,
    /// This lane was heard to have said more than this disk knows of.
    older_disk: bool,
    /// Conflicts that were reported and can still be seen.
    reported: BTreeSet<Conflict>,
    revisions: Revisions,
}

impl State {
    /// Whose it is.
    pub fn me(&self) -> LaneNumber {
        self.own.me
    }
}

/// What came of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// It said something new.
    pub new: bool,
    /// What was done twice, and was not reported here before. It goes on record with the state.
    pub conflicts: Vec<Conflict>,
}

/// What is known of a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub number: TicketNumber,
    pub entered: Entered,
    pub paid: Option<Payments>,
}

impl Site {
    /// A lane that has done nothing yet. A board that is replaced begins under a number that was not used before.
    pub fn new(me: LaneNumber, roster: Roster) -> Self {
        let state = State {
            own: Own::new(me),
            known: Known::default(),
            ended: Ended::default(),
            older_disk: false,
            reported: BTreeSet::new(),
            revisions: Revisions::default(),
        };
        Self { roster, shops: None, state }
    }

    /// As it was, of the lanes and keys that are listed now.
    pub fn restored(roster: Roster, state: State) -> Self {
        let own = state.own.indexed();
        let mut site = Self { roster: roster.clone(), shops: None, state: State { own, ..state } };
        site.list_lanes(roster);
        site
    }

    /// The lanes and their keys are these from now on. What was heard of a lane that is not listed, or was signed by a key that is
    /// not, counts no more; it is heard anew when it is signed anew.
    pub fn list_lanes(&mut self, roster: Roster) {
        self.state.known.keep_listed(&roster);
        self.state.own.listed_anew();
        self.roster = roster;
    }

    /// The site's keys and its shops' are these from now on. A validation whose key is not listed is taken by nobody, so nobody need
    /// know that it was used.
    pub fn list_keys(&mut self, keys: &SiteKeys) {
        self.shops = Some(keys.shops().collect());
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn me(&self) -> LaneNumber {
        self.state.own.me
    }

    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What was heard of the others.
    pub fn known(&self) -> &Known {
        &self.state.known
    }

    /// The number of the next ticket. None when this lane has given out all of its numbers, and needs a new one itself; or when its
    /// disk is an older one, so that the number may have been given out before.
    pub fn next_ticket(&self) -> Option<TicketNumber> {
        if self.state.older_disk { None } else { self.state.own.next() }
    }

    /// A number of this lane that no ticket has yet.
    pub fn is_to_come(&self, number: TicketNumber) -> bool {
        number.lane() == self.me() && self.state.own.is_to_come(number.serial())
    }

    /// Whether a payment and what goes with it can be recorded.
    pub fn has_room(&self) -> bool {
        self.state.own.has_room()
    }

    /// This lane was heard to have said more than its disk knows of. A person gives the board a number that was not used before.
    pub fn has_older_disk(&self) -> bool {
        self.state.older_disk
    }

    /// Something that this lane has done, or is about to do: on disk before a ticket is printed or a gate is opened. Tickets are recorded
    /// in their order, because one that is passed over counts as over. The same fact again changes nothing. The answer is
    /// what was done twice and not reported here before; it goes on record with the state.
    ///
    /// # Errors
    /// It can't be, or there is no room for it; nothing is changed then.
    pub fn record(&mut self, fact: Fact) -> Result<Vec<Conflict>, NotRecorded> {
        if self.state.older_disk && matches!(fact, Fact::Entered(_)) {
            return Err(NotRecorded::OlderDisk);
        }
        let (what, ended) = (fact.once(), fact.ended());
        self.state.own.record(fact)?;
        let State { own, known, ended: remembered, .. } = &mut self.state;
        remembered.add(own.me, own.me, ended.into_iter(), known);
        let seen =
            what.map(|what| conflict::conflicts_of(what, &self.state.own, &self.state.known)).unwrap_or_default();
        let new = self.new_ones(&seen);
        if !new.is_empty() {
            self.state.reported.extend(&new);
            self.state.revisions.touch(Part::Rest);
        }
        Ok(new)
    }

    /// This lane knows more about a car that came in through it: when, because its clock is set now, or its plate. Of a car that is
    /// not inside any more it changes nothing.
    ///
    /// # Errors
    /// The document has no room for more about it, or it can't be.
    pub fn amend(&mut self, serial: u32, change: impl FnOnce(&mut Entered)) -> Result<(), NotRecorded> {
        self.state.own.amend(serial, change)
    }

    /// A document that came as this lane's.
    ///
    /// # Errors
    /// It is not what that lane says now. Nothing is changed then.
    pub fn take(&mut self, message: &[u8], lane: LaneNumber, now: Option<Wall>) -> Result<Taken, BadDocument> {
        let heard = Document::open(message, lane, &self.roster)?;
        if lane == self.me() {
            return self.take_own(&heard.document);
        }
        let (acknowledged, own) = (heard.document.seen.get(&self.me()).copied().unwrap_or(0), self.state.own.stand);
        if acknowledged > own {
            return Err(BadDocument::AheadOfUs { lane, heard: acknowledged, own });
        }
        let new = self.state.known.take(heard)?;
        let mut conflicts = Vec::new();
        if new {
            let State { own, known, ended, .. } = &mut self.state;
            if let Some(document) = known.get(lane) {
                ended.add(own.me, lane, document.ended(), known);
            }
            // First what can be seen now, and then what need not be seen any more.
            conflicts = self.news();
            self.tidy(now);
        }
        Ok(Taken { new, conflicts })
    }

    /// What it has sent itself comes back. Its own signature alone proves that the disk is an older one: that another lane says so
    /// does not.
    fn take_own(&mut self, document: &Document) -> Result<Taken, BadDocument> {
        let own = &self.state.own;
        if document.seq > own.seq {
            if !std::mem::replace(&mut self.state.older_disk, true) {
                self.state.revisions.touch(Part::Rest);
            }
            return Err(BadDocument::OlderDisk { heard: document.seq, own: own.seq });
        }
        let other = own.last.as_ref().is_some_and(|mine| mine.seq == document.seq && mine != document);
        let twice = BadDocument::TwoOfOne { lane: own.me, seq: document.seq };
        if other { Err(twice) } else { Ok(Taken::default()) }
    }

    /// Forgets what is of no use to anybody any more; with every document, and from time to time.
    pub fn tidy(&mut self, now: Option<Wall>) {
        let State { own, known, ended, .. } = &mut self.state;
        own.out(known);
        ended.tidy(known);
        let around = Around { roster: &self.roster, known, ended, shops: self.shops.as_ref() };
        own.forget(&around, now.and_then(Minute::of));
    }

    fn news(&mut self) -> Vec<Conflict> {
        let seen = conflict::conflicts(&self.state.own, &self.state.known);
        let new = self.new_ones(&seen);
        // One that can't be seen any more is never seen again, because no lane goes back; but a document that does not count
        // for its key may be heard anew.
        let State { reported, known, own, revisions, .. } = &mut self.state;
        let before = reported.len();
        let heard = |side: Side| side.lane == own.me || !self.roster.has(side.lane) || known.get(side.lane).is_some();
        reported.retain(|it| seen.contains(it) || !(heard(it.sides.0) && heard(it.sides.1)));
        let retained = reported.len();
        reported.extend(seen);
        if retained != before || reported.len() != retained {
            revisions.touch(Part::Rest);
        }
        new
    }

    /// Those that were not reported before; what this lane has to do with them it tells next.
    fn new_ones(&mut self, seen: &BTreeSet<Conflict>) -> Vec<Conflict> {
        let new: Vec<Conflict> = seen.difference(&self.state.reported).copied().collect();
        let own = &mut self.state.own;
        for Conflict { what, sides } in &new {
            for side in [sides.0, sides.1] {
                if side.lane == own.me {
                    own.twice(*what, side.stay);
                }
            }
        }
        new
    }

    /// The next document, where there is something that the others have not heard. The state is on disk before it is sent. A lane
    /// with an older disk says nothing.
    ///
    /// # Errors
    /// No message has room for it.
    pub fn publish(&mut self) -> Result<Option<Document>, TooLarge> {
        if self.state.older_disk {
            return Ok(None);
        }
        self.state.own.publish(&self.roster, &self.state.known)
    }

    /// The last one, to be sent once more after a connection was lost.
    pub fn last(&self) -> Option<&Document> {
        self.state.own.last.as_ref()
    }

    fn others(&self) -> impl Iterator<Item = &Document> {
        self.state.known.documents()
    }

    /// Why this stay is over, if it is.
    pub fn over(&self, number: TicketNumber) -> Option<Over> {
        let (own, stay, me) = (&self.state.own, Stay(number), self.me());
        let lefts = own.left(stay).map(|left| (me, left));
        let mut lefts =
            lefts.into_iter().chain(self.others().filter_map(|other| Some((other.lane, other.left(stay)?))));
        if let Some((lane, left)) = lefts.next() {
            return Some(Over::Left { lane, at: left.at });
        }
        let voided = own.voided(stay).map(|voided| (me, voided));
        let mut voided =
            voided.into_iter().chain(self.others().filter_map(|other| Some((other.lane, other.voided(stay)?))));
        if let Some((lane, voided)) = voided.next() {
            return Some(Over::Voided { lane, at: voided.at });
        }
        let lane = number.lane();
        let over = match lane == me {
            true => own.is_over(number.serial()),
            false => self.state.known.get(lane).is_some_and(|document| document.is_over(number.serial())),
        };
        (over || self.state.ended.has(stay)).then_some(Over::Finished { lane })
    }

    /// What was paid for it, as far as the documents and the passes that are shown tell.
    pub fn paid(&self, number: TicketNumber, shown: &[Pass]) -> Option<Payments> {
        let stay = Stay(number);
        let own = self.state.own.paid(stay).map(|paid| (self.me(), *paid));
        let others = self.others().flat_map(|other| other.paid(stay).iter().map(|paid| (other.lane, *paid)));
        Payments::of(own.chain(others), shown.iter().filter(|pass| pass.stay == number))
    }

    /// The pass that goes with a payment here. Of what was paid before, it says as much as is known here.
    pub fn pass(&self, number: TicketNumber, nth: u8) -> Option<Pass> {
        let paid = *self.state.own.paid(Stay(number)).find(|paid| paid.nth == nth)?;
        let all = self.paid(number, &[]).map_or(0, |payments| payments.amount());
        Some(paid.pass(self.me(), (all - Minor::from(paid.amount)).max(0)))
    }

    /// Whether this ticket may be paid, and what was paid for it before.
    ///
    /// # Errors
    /// The stay is over.
    pub fn may_pay(&self, number: TicketNumber, shown: &[Pass]) -> Result<Option<Payments>, Over> {
        match self.over(number) {
            Some(over) => Err(over),
            None => Ok(self.paid(number, shown)),
        }
    }

    /// Whether its car may leave here, now.
    pub fn may_leave(&self, number: TicketNumber, shown: &[Pass], now: Option<Wall>) -> Leaving {
        if let Some(over) = self.over(number) {
            return Leaving::Over(over);
        }
        match self.paid(number, shown) {
            Some(paid) => paid.leaving(self.me(), now.and_then(Minute::of)),
            None => Leaving::NotPaid,
        }
    }

    /// Who is inside, as far as is known here.
    pub fn inside(&self) -> impl Iterator<Item = (TicketNumber, &Entered)> {
        let me = self.me();
        let own = self.state.own.inside().map(move |entered| (me, entered));
        let others = self.others().flat_map(|other| other.entered.iter().map(|entered| (other.lane, entered)));
        let all = own.chain(others);
        let all = all.filter_map(|(lane, entered)| Some((TicketNumber::new(lane, entered.serial)?, entered)));
        all.filter(|(number, _)| self.over(*number).is_none())
    }

    /// Cars that came before, in any case, and of which nobody has seen that they left: for a person to look for, and to void the
    /// tickets of those that are not there.
    pub fn inside_since(&self, before: Minute) -> impl Iterator<Item = (TicketNumber, &Entered)> {
        self.inside().filter(move |(_, entered)| entered.entry.latest() < before)
    }

    /// Cars inside: those that came and did not leave, and what was corrected. Not below nothing.
    pub fn occupancy(&self) -> u64 {
        let counted = i64::try_from(self.inside().count()).unwrap_or(i64::MAX);
        let others = self.others().map(|other| i64::from(other.untold) + i64::from(other.corrected));
        let sum = others.fold(counted.saturating_add(self.state.own.corrected()), i64::saturating_add);
        u64::try_from(sum).unwrap_or(0)
    }

    /// A stay by its ticket's number; none where it is over, or its lane has not told of it.
    pub fn find(&self, number: TicketNumber) -> Option<Found> {
        let entered = match number.lane() == self.me() {
            true => self.state.own.is_inside(number.serial()),
            false => self.state.known.get(number.lane())?.inside(number.serial()),
        };
        let entered = entered.filter(|_| self.over(number).is_none())?.clone();
        Some(Found { number, entered, paid: self.paid(number, &[]) })
    }

    /// Where this plate is, or one that is nearly the same: the nearest first. A plate can be there twice.
    pub fn plate(&self, typed: &Plate) -> Vec<(Nearness, Plate, TicketNumber)> {
        let mut all: BTreeMap<&Plate, Vec<TicketNumber>> = BTreeMap::new();
        let told = self.others().flat_map(|other| {
            let plates = other.entered.iter();
            plates.filter_map(|entered| Some((entered.plate.as_ref()?, TicketNumber::new(other.lane, entered.serial)?)))
        });
        for (plate, number) in self.state.own.plates().chain(told).filter(|(_, number)| self.over(*number).is_none()) {
            all.entry(plate).or_default().push(number);
        }
        let found = near(typed, all.keys().copied()).into_iter().flat_map(|(nearness, plate)| {
            all[plate].iter().map(move |number| (nearness, plate.clone(), *number)).collect::<Vec<_>>()
        });
        found.collect()
    }

    /// For which other stay a validation was taken, as far as is known here.
    pub fn validation(&self, number: ValidationNumber, mine: TicketNumber) -> Option<TicketNumber> {
        let own = self.state.own.facts().filter_map(|fact| match fact {
            Fact::ValidationUsed(used) => Some(used),
            _ => None,
        });
        let mut all = own.chain(self.others().flat_map(|other| &other.validations));
        all.find(|used| used.number == number && used.stay.0 != mine).map(|used| used.stay.0)
    }

    fn all_seasons(&self) -> impl Iterator<Item = &SeasonUsed> {
        let own = self.state.own.facts().filter_map(|fact| match fact {
            Fact::SeasonUsed(used) => Some(used),
            _ => None,
        });
        own.chain(self.others().flat_map(|other| &other.seasons))
    }

    fn seasons(&self, season: u32) -> impl Iterator<Item = &SeasonUsed> {
        self.all_seasons().filter(move |used| used.season == season)
    }

    /// The stay with which a season pass is inside.
    pub fn season(&self, season: u32) -> Option<TicketNumber> {
        self.seasons(season).map(|used| used.stay.0).find(|number| self.over(*number).is_none())
    }

    /// The season pass with which this stay came in.
    pub fn season_of(&self, stay: TicketNumber) -> Option<u32> {
        self.all_seasons().find(|used| used.stay.0 == stay).map(|used| used.season)
    }

    /// The fact that a season pass comes in with this ticket.
    pub fn season_used(&self, season: u32, stay: TicketNumber) -> SeasonUsed {
        let told = self.seasons(season).map(|used| used.nth);
        let counts = self.others().filter_map(|other| other.season_counts.get(&season).copied());
        let last = told.chain(counts).chain(self.state.own.season_count(season)).max();
        // A number that is too high is refused where it is recorded.
        SeasonUsed { season, nth: last.map_or(0, |last| last.saturating_add(1)), stay: Stay(stay) }
    }
}

#[cfg(test)]
mod tests;
