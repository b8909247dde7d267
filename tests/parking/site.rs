//! Lanes that hear of each other late, twice, in another order or not at all, and start again from disk: whatever happens, nobody who
//! shows what he has pays twice, and once everybody has heard everything, every lane has reported every double use once.

use std::collections::{BTreeMap, BTreeSet};

use kioskd::parking::site::{
    Before, Conflict, Entered, Fact, Known, Leaving, Left, Member, Once, Paid, Roster, Site, State, Stay,
    ValidationUsed, Voided,
};
use kioskd::parking::ticket::{
    ClassNumber, EntryTime, KeyNumber, LaneNumber, Minute, Pass, SiteNumber, TicketNumber, ValidationNumber,
};
use kioskd::signed::jws::Signer;
use kioskd::vocabulary::{LaneId, Wall};
use proptest::prelude::*;

use super::codes::signer;

fn lane(nth: usize) -> LaneNumber {
    LaneNumber::new(nth as u8 + 1).unwrap()
}

fn key(nth: usize) -> Signer {
    signer(nth as u8 + 1, &format!("7/{}", nth + 1))
}

fn roster(count: usize) -> Roster {
    let lanes = (0..count).map(|nth| {
        let name = LaneId::parse(&format!("lane-{}", nth + 1)).unwrap();
        (lane(nth), Member { name, keys: vec![key(nth).public()], retired: false })
    });
    Roster::new(SiteNumber::new(7).unwrap(), lanes.collect()).unwrap()
}

fn now() -> Option<Wall> {
    Minute::new(14_154_635).map(Minute::wall)
}

/// One of these, at this lane, with this car or message.
#[derive(Debug, Clone)]
enum Action {
    Enter(usize),
    /// The customer shows the ticket, and of the passes that he has all, the newest or none. Who has stayed longer than was paid for
    /// pays the difference.
    Pay(usize, usize, Shows),
    /// Likewise at an exit. Somebody who has a copy of everything may try the same elsewhere.
    Leave(usize, usize),
    Validate(usize, usize, u32),
    Season(usize, u32),
    Void(usize, usize),
    Correct(usize, i32),
    Publish(usize),
    /// A message of all that were ever sent comes to a lane, again or at last.
    Hear(usize, usize),
    /// As [`Action::Hear`], of the newest of each lane that can be heard.
    Meet(usize),
    /// From what is on disk.
    Restart(usize),
    /// Which lanes hear each other: those with the same bit.
    Part(u8),
}

fn action() -> impl Strategy<Value = Action> {
    let lane = 0..8usize;
    let car = 0..64usize;
    let shows = prop_oneof![3 => Just(Shows::All), 3 => Just(Shows::Newest), 1 => Just(Shows::None)];
    prop_oneof![
        3 => lane.clone().prop_map(Action::Enter),
        6 => (lane.clone(), car.clone(), shows).prop_map(|(lane, car, shows)| Action::Pay(lane, car, shows)),
        6 => (lane.clone(), car.clone()).prop_map(|(lane, car)| Action::Leave(lane, car)),
        2 => (lane.clone(), car.clone(), 0..4u32).prop_map(|(lane, car, nth)| Action::Validate(lane, car, nth)),
        2 => (lane.clone(), 0..2u32).prop_map(|(lane, season)| Action::Season(lane, season)),
        1 => (lane.clone(), car).prop_map(|(lane, car)| Action::Void(lane, car)),
        1 => (lane.clone(), -2..3i32).prop_map(|(lane, by)| Action::Correct(lane, by)),
        8 => lane.clone().prop_map(Action::Publish),
        8 => (lane.clone(), 0..1_000usize).prop_map(|(lane, message)| Action::Hear(lane, message)),
        4 => lane.clone().prop_map(Action::Meet),
        1 => lane.prop_map(Action::Restart),
        2 => any::<u8>().prop_map(Action::Part),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    All,
    Newest,
    None,
}

struct Car {
    ticket: TicketNumber,
    before: Option<Before>,
    passes: Vec<Pass>,
    paid: i64,
    /// He did not show each time what he had, so he may have been asked again.
    forgetful: bool,
}

impl Car {
    fn shown(&self, shows: Shows) -> &[Pass] {
        match shows {
            Shows::All => &self.passes,
            Shows::Newest => &self.passes[self.passes.len().saturating_sub(1)..],
            Shows::None => &[],
        }
    }
}

/// Two lanes that did the same thing, each for a stay.
type Pair = (Once, (LaneNumber, Stay), (LaneNumber, Stay));

/// What really happened, which no lane knows.
#[derive(Default)]
struct Truth {
    once: BTreeMap<Once, BTreeSet<(LaneNumber, Stay)>>,
    over: BTreeSet<TicketNumber>,
    corrected: i64,
}

/// The parts of a lane's state, and their numbers in this run.
#[derive(Default, Clone)]
struct Disk {
    parts: BTreeMap<String, String>,
    written: BTreeMap<String, u64>,
}

impl Disk {
    fn write(&mut self, site: &Site) {
        let now: BTreeMap<String, u64> = site.parts().collect();
        self.parts.retain(|key, _| now.contains_key(key));
        for key in now.iter().filter(|(key, number)| self.written.get(*key) != Some(number)).map(|(key, _)| key) {
            assert!(key.len() <= 32);
            let json = site.part(key).unwrap();
            let before = self.parts.insert(key.clone(), json.clone().unwrap());
            assert_ne!(before, json, "{key} is written for nothing");
        }
        let all = now.keys().map(|key| (key.clone(), site.part(key).unwrap().unwrap())).collect();
        assert_eq!(self.parts, all, "what is on disk");
        self.written = now;
    }

    fn read(&mut self) -> State {
        self.written = self.parts.keys().map(|key| (key.clone(), 0)).collect();
        State::from_parts(self.parts.clone()).unwrap()
    }
}

struct World {
    lanes: Vec<Site>,
    disks: Vec<Disk>,
    cars: Vec<Car>,
    /// Who has sent it, and in which part he was then.
    messages: Vec<(usize, Vec<u8>)>,
    part: u8,
    reported: Vec<Vec<Conflict>>,
    truth: Truth,
}

impl World {
    fn new(count: usize) -> Self {
        let lanes: Vec<Site> = (0..count).map(|nth| Site::new(lane(nth), roster(count))).collect();
        let mut disks = vec![Disk::default(); count];
        lanes.iter().zip(&mut disks).for_each(|(site, disk)| disk.write(site));
        let reported = vec![Vec::new(); count];
        let (cars, messages, truth) = (Vec::new(), Vec::new(), Truth::default());
        Self { lanes, disks, cars, messages, part: 0, reported, truth }
    }

    fn save(&mut self, at: usize) {
        self.disks[at].write(&self.lanes[at]);
    }

    fn record(&mut self, at: usize, fact: Fact) {
        let once = match &fact {
            Fact::Left(left) => Some((Once::Leaving(left.stay), left.stay)),
            Fact::Paid(paid) => Some((Once::Paying(paid.stay, paid.nth), paid.stay)),
            Fact::ValidationUsed(used) => Some((Once::Validation(used.number), used.stay)),
            Fact::SeasonUsed(used) => Some((Once::Season(used.season, used.nth), used.stay)),
            _ => None,
        };
        if let Some((once, stay)) = once {
            self.truth.once.entry(once).or_default().insert((lane(at), stay));
        }
        let found = self.lanes[at].record(fact).unwrap();
        self.reported[at].extend(found);
        self.save(at);
    }

    fn hear(&mut self, at: usize, message: usize) {
        let (from, text) = self.messages[message].clone();
        if from == at || (self.part >> from & 1) != (self.part >> at & 1) {
            return;
        }
        // What is old is refused, and changes nothing.
        let before = self.lanes[at].known().clone();
        match self.lanes[at].take(&text, lane(from), now()) {
            Ok(taken) => self.reported[at].extend(taken.conflicts),
            Err(_) => assert_eq!(self.lanes[at].known(), &before),
        }
        self.save(at);
    }

    fn publish(&mut self, at: usize) -> bool {
        let Some(document) = self.lanes[at].publish().unwrap() else { return false };
        self.save(at);
        self.messages.push((at, document.sign(&key(at)).unwrap()));
        true
    }

    fn enter(&mut self, at: usize) -> TicketNumber {
        let ticket = self.lanes[at].next_ticket().unwrap();
        let (entry, class) = (EntryTime::Known(Minute::new(14_154_600).unwrap()), ClassNumber::default());
        // Now and then it is one that was here before.
        let former = self.cars.last().filter(|_| ticket.serial().is_multiple_of(3)).map(|car| Stay(car.ticket));
        let before = former.map(|stay| Before { stay, first: entry.earliest(), exit: entry.latest(), paid: 300 });
        self.record(at, Fact::Entered(Entered { serial: ticket.serial(), entry, class, plate: None, before }));
        self.cars.push(Car { ticket, before, passes: Vec::new(), paid: 0, forgetful: false });
        ticket
    }

    fn act(&mut self, action: &Action) {
        let count = self.lanes.len();
        let cars = self.cars.len().max(1);
        match *action {
            Action::Enter(at) => {
                self.enter(at % count);
            }
            Action::Pay(at, car, shows) => self.pay(at % count, car % cars, shows),
            Action::Leave(at, car) => self.leave(at % count, car % cars),
            Action::Validate(at, car, serial) => {
                let (at, Some(car)) = (at % count, self.cars.get(car % cars)) else { return };
                let number = ValidationNumber { key: KeyNumber(9), serial };
                let (stay, until) = (Stay(car.ticket), Minute::new(15_000_000).unwrap());
                if self.lanes[at].over(car.ticket).is_none() && self.lanes[at].validation(number, car.ticket).is_none()
                {
                    self.record(at, Fact::ValidationUsed(ValidationUsed { number, stay, until }));
                }
            }
            Action::Season(at, season) => {
                let at = at % count;
                if self.lanes[at].season(season).is_none() {
                    let ticket = self.enter(at);
                    let used = self.lanes[at].season_used(season, ticket);
                    self.record(at, Fact::SeasonUsed(used));
                }
            }
            Action::Void(at, car) => {
                let (at, Some(car)) = (at % count, self.cars.get(car % cars)) else { return };
                let ticket = car.ticket;
                if self.lanes[at].over(ticket).is_none() && car.passes.is_empty() {
                    self.truth.over.insert(ticket);
                    self.record(at, Fact::Voided(Voided { stay: Stay(ticket), at: None }));
                }
            }
            Action::Correct(at, by) => {
                self.truth.corrected += i64::from(by);
                self.record(at % count, Fact::Correction(by));
            }
            Action::Publish(at) => {
                self.publish(at % count);
            }
            Action::Hear(at, message) if !self.messages.is_empty() => {
                self.hear(at % count, message % self.messages.len());
            }
            Action::Hear(..) => (),
            Action::Meet(at) => {
                for from in 0..count {
                    if let Some(newest) = self.messages.iter().rposition(|(by, _)| *by == from) {
                        self.hear(at % count, newest);
                    }
                }
            }
            Action::Restart(at) => {
                let at = at % count;
                let state = self.disks[at].read();
                self.lanes[at] = Site::restored(roster(count), state);
                let parts = self.disks[at].parts.clone();
                self.save(at);
                assert_eq!(self.disks[at].parts, parts, "it is as it was");
            }
            Action::Part(part) => self.part = part,
        }
    }

    fn pay(&mut self, at: usize, nth: usize, shows: Shows) {
        let Some(car) = self.cars.get(nth) else { return };
        let (ticket, shown) = (car.ticket, car.shown(shows));
        let known = match self.lanes[at].may_pay(ticket, shown) {
            Ok(known) => known,
            Err(_) => return assert!(self.truth.over.contains(&ticket), "who has not left is not sent away"),
        };
        let before = known.as_ref().map_or(0, |known| known.amount());
        // A pass says all that was paid before it, so the newest is enough.
        let said = shown.iter().map(|pass| pass.amount).max().unwrap_or(0);
        assert!(before >= said, "lane {at} knows of {before}, and the pass says {said}");
        if !car.forgetful && shows != Shows::None {
            assert_eq!(before, car.paid, "lane {at} knows what was paid, by what was shown");
        }
        let (which, amount) = match known {
            None => (0, 300 + nth as u32),
            Some(known) if car.passes.len() < 5 => (known.next().unwrap(), 50 + nth as u32),
            Some(_) => return,
        };
        let (stay, at_minute) = (Stay(ticket), Minute::new(14_154_630));
        let paid = Paid { stay, nth: which, at: at_minute, grace: 15, amount, doubt: 0, lane: None };
        self.record(at, Fact::Paid(paid));
        let car = &mut self.cars[nth];
        car.forgetful |= before < car.paid;
        car.passes.push(paid.pass(lane(at), before));
        car.paid += i64::from(amount);
    }

    fn leave(&mut self, at: usize, nth: usize) {
        let Some(Car { ticket, passes, .. }) = self.cars.get(nth) else { return };
        let (ticket, passes) = (*ticket, passes.clone());
        match self.lanes[at].may_leave(ticket, &passes, now()) {
            Leaving::Yes { how, doubt } => {
                assert!(!doubt && !passes.is_empty());
                self.truth.over.insert(ticket);
                self.record(at, Fact::Left(Left { stay: Stay(ticket), at: Minute::new(14_154_635), how }));
            }
            Leaving::Over(_) => assert!(self.truth.over.contains(&ticket), "who is inside is let out"),
            Leaving::NotPaid => assert!(passes.is_empty(), "who has paid is let out"),
            other => panic!("{other:?}"),
        }
    }

    /// Everybody hears everybody, until nobody has anything to say.
    fn heal(&mut self) {
        self.part = 0;
        let count = self.lanes.len();
        for round in 0.. {
            assert!(round < 60, "they never stop");
            let mut said = false;
            for at in 0..count {
                self.act(&Action::Meet(at));
            }
            for at in 0..count {
                said |= self.publish(at);
            }
            if !said {
                break;
            }
        }
    }

    /// Every two that did the same thing.
    fn expected(&self) -> BTreeSet<Pair> {
        let mut expected = BTreeSet::new();
        for (once, sides) in &self.truth.once {
            for one in sides {
                for other in sides.range((std::ops::Bound::Excluded(*one), std::ops::Bound::Unbounded)) {
                    if !matches!(once, Once::Validation(_)) || one.1 != other.1 {
                        expected.insert((*once, *one, *other));
                    }
                }
            }
        }
        expected
    }

    fn check(&mut self) {
        let expected = self.expected();
        let inside = self.cars.iter().filter(|car| !self.truth.over.contains(&car.ticket)).count() as i64;
        for at in 0..self.lanes.len() {
            let told = self.reported[at]
                .iter()
                .map(|Conflict { what, sides: (one, other) }| (*what, (one.lane, one.stay), (other.lane, other.stay)));
            let all: BTreeSet<_> = told.clone().collect();
            assert_eq!(all.len(), self.reported[at].len(), "lane {at} reports something twice");
            assert_eq!(all, expected, "lane {at} reports what was done twice");
            let occupancy = self.lanes[at].occupancy();
            assert_eq!(occupancy, (inside + self.truth.corrected).max(0) as u64, "lane {at} counts");
            for car in &self.cars {
                let over = self.lanes[at].over(car.ticket).is_some();
                assert_eq!(over, self.truth.over.contains(&car.ticket), "lane {at}: {}", car.ticket);
                let before = self.lanes[at].find(car.ticket).map(|found| found.entered.before);
                assert_eq!(before, (!over).then_some(car.before), "lane {at}: {}", car.ticket);
            }
            // Of what is over nothing is kept.
            let last = self.lanes[at].last();
            assert!(last.is_none_or(|last| last.left.is_empty() && last.voided.is_empty()), "lane {at}: {last:?}");
            let over = |stay: &Stay| self.truth.over.contains(&stay.0);
            assert!(last.is_none_or(|last| !last.paid.iter().any(|paid| over(&paid.stay))), "lane {at}: {last:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_pays_twice_and_all_that_was_done_twice_is_reported_once(
        count in 2..6usize,
        actions in prop::collection::vec(action(), 0..160),
    ) {
        let mut world = World::new(count);
        actions.iter().for_each(|action| world.act(action));
        world.heal();
        world.check();
        // And nothing comes of it that they hear everything again.
        let before: Vec<usize> = world.reported.iter().map(Vec::len).collect();
        for message in 0..world.messages.len() {
            (0..count).for_each(|at| world.hear(at, message));
        }
        world.heal();
        prop_assert_eq!(before, world.reported.iter().map(Vec::len).collect::<Vec<_>>());
        world.check();
    }

    /// What was heard is the same in any order, in any grouping, and however often.
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        actions in prop::collection::vec(action(), 20..120),
        chosen in prop::collection::vec((0..3usize, any::<prop::sample::Index>()), 1..40),
    ) {
        let mut world = World::new(4);
        actions.iter().for_each(|action| world.act(action));
        prop_assume!(!world.messages.is_empty());
        let mut parts = [Known::default(), Known::default(), Known::default()];
        for (part, which) in chosen {
            let (from, text) = which.get(&world.messages);
            let document = kioskd::parking::site::Document::open(text, lane(*from), &roster(4)).unwrap();
            // One that is older than what is there is refused, and that is a merge too.
            let _ = parts[part].take(document);
        }
        let merged = |order: &[usize]| {
            let mut all = Known::default();
            order.iter().for_each(|nth| all.merge(&parts[*nth]));
            all
        };
        let all = merged(&[0, 1, 2]);
        for order in [&[2, 1, 0][..], &[1, 0, 2], &[0, 0, 1, 2, 1, 0]] {
            prop_assert_eq!(&merged(order), &all);
        }
        let mut right = parts[1].clone();
        right.merge(&parts[2]);
        let mut left = parts[0].clone();
        left.merge(&right);
        prop_assert_eq!(left, all.clone());
        let mut again = all.clone();
        again.merge(&all);
        prop_assert_eq!(again, all);
    }
}
