use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::parking::ticket::{ClassNumber, EntryTime, KeyNumber, SiteNumber};
use crate::signed::jws::{BadMessage, LONGEST, Purpose, Signer};
use crate::vocabulary::LaneId;

mod apart;
mod listed;
mod refusals;
mod room;
mod written;

/// A private key of this seed, as `openssl genpkey -algorithm ed25519` writes it.
fn signer(seed: u8, kid: &str) -> Signer {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&head[..], &[seed; 32]].concat();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
    Signer::from_pem(pem.as_bytes(), kid).unwrap()
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::new(number).unwrap()
}

fn member(number: u8) -> Member {
    let name = LaneId::parse(&format!("lane-{number}")).unwrap();
    Member { name, keys: vec![signer(number, "").public()], retired: false }
}

fn roster(lanes: u8) -> Roster {
    let lanes = (1..=lanes).map(|number| (lane(number), member(number))).collect();
    Roster::new(SiteNumber::new(7).unwrap(), lanes).unwrap()
}

const NOON: Minute = match Minute::new(14_155_920) {
    Some(noon) => noon,
    None => panic!("a minute"),
};

fn now(later: u32) -> Option<Wall> {
    Some(NOON.later(later).wall())
}

/// All that is on disk of a lane.
fn stored(site: &Site) -> BTreeMap<String, String> {
    site.parts().map(|(key, _)| (key.clone(), site.part(&key).unwrap().unwrap())).collect()
}

fn read(parts: BTreeMap<String, String>) -> State {
    State::from_parts(parts).unwrap()
}

/// Lanes 1 to so many, and what each has reported.
struct CarPark {
    lanes: Vec<Site>,
    reported: Vec<Vec<String>>,
}

impl CarPark {
    fn new(count: u8) -> Self {
        let lanes = (1..=count).map(|number| Site::new(lane(number), roster(count))).collect();
        Self { lanes, reported: vec![Vec::new(); usize::from(count)] }
    }

    /// Four lanes that all know of a car which came in at the first and paid at the second.
    fn with_one_paid() -> (Self, TicketNumber, Pass) {
        let mut park = Self::new(4);
        let ticket = park.enter(1, None);
        park.settle();
        let pass = park.pay(2, ticket, 300);
        park.settle();
        (park, ticket, pass)
    }

    fn at(&mut self, number: u8) -> &mut Site {
        &mut self.lanes[usize::from(number) - 1]
    }

    fn record(&mut self, number: u8, fact: Fact) {
        let found = self.at(number).record(fact).unwrap();
        self.report(number, &found);
    }

    fn report(&mut self, number: u8, found: &[Conflict]) {
        let roster = self.at(number).roster().clone();
        self.reported[usize::from(number) - 1].extend(found.iter().map(|conflict| conflict.told(&roster)));
    }

    /// A car comes in there, with this plate.
    fn enter(&mut self, number: u8, plate: Option<&str>) -> TicketNumber {
        let ticket = self.at(number).next_ticket().unwrap();
        let plate = plate.map(|plate| Plate::typed(plate).unwrap());
        let (serial, entry) = (ticket.serial(), EntryTime::Known(NOON));
        self.record(
            number,
            Fact::Entered(Entered { serial, entry, class: ClassNumber::default(), plate, before: None }),
        );
        ticket
    }

    /// Its pass.
    fn pay(&mut self, number: u8, ticket: TicketNumber, amount: u32) -> Pass {
        let before = self.at(number).paid(ticket, &[]);
        let nth = before.as_ref().map_or(0, |before| before.next().unwrap());
        let at = Some(NOON.later(60));
        let paid = Paid { stay: Stay(ticket), nth, at, grace: 15, amount, doubt: 0, lane: None };
        self.record(number, Fact::Paid(paid));
        paid.pass(lane(number), before.map_or(0, |before| before.amount()))
    }

    fn leave(&mut self, number: u8, ticket: TicketNumber, shown: &[Pass]) -> bool {
        let Leaving::Yes { how, .. } = self.at(number).may_leave(ticket, shown, now(70)) else { return false };
        self.record(number, Fact::Left(Left { stay: Stay(ticket), at: Some(NOON.later(70)), how }));
        true
    }

    /// The signed document of one, where it has anything new to say.
    fn publish(&mut self, number: u8) -> Option<Vec<u8>> {
        let document = self.at(number).publish().unwrap()?;
        Some(document.sign(&signer(number, &format!("7/{number}"))).unwrap())
    }

    /// What one has to say is heard by these.
    fn tell(&mut self, number: u8, to: &[u8]) -> bool {
        let Some(message) = self.publish(number) else { return false };
        for hearer in to.iter().filter(|hearer| **hearer != number) {
            self.give(*hearer, number, &message);
        }
        true
    }

    /// One hears what another said last.
    fn hear(&mut self, number: u8, from: u8) {
        let document = self.at(from).last().unwrap().clone();
        let message = document.sign(&signer(from, &format!("7/{from}"))).unwrap();
        self.give(number, from, &message);
    }

    fn give(&mut self, number: u8, from: u8, message: &[u8]) {
        let taken = self.at(number).take(message, lane(from), now(70)).unwrap();
        self.report(number, &taken.conflicts);
    }

    /// Everybody hears everybody until nobody has anything to say; answers with how often that was.
    fn settle(&mut self) -> usize {
        let all: Vec<u8> = (1..=self.lanes.len() as u8).collect();
        for round in 0.. {
            let mut told = false;
            for number in &all {
                told |= self.tell(*number, &all);
            }
            if !told {
                return round;
            }
            assert!(round < 50, "they never stop");
        }
        0
    }

    fn occupancies(&self) -> Vec<u64> {
        self.lanes.iter().map(Site::occupancy).collect()
    }
}

#[test]
fn a_stay_from_entry_to_exit_is_known_everywhere_and_then_forgotten() {
    let mut park = CarPark::new(3);
    let ticket = park.enter(1, Some("ABC 123"));
    park.settle();
    assert_eq!(park.occupancies(), [1, 1, 1]);
    assert_eq!(park.at(3).may_leave(ticket, &[], now(10)), Leaving::NotPaid);
    assert_eq!(park.at(2).may_pay(ticket, &[]), Ok(None));
    park.pay(2, ticket, 300);
    park.settle();
    for number in 1..=3 {
        let found = park.at(number).find(ticket).unwrap();
        let paid = found.paid.unwrap();
        assert_eq!((paid.amount(), paid.until(), paid.next()), (300, Until::At(NOON.later(75)), Some(1)));
        let near = park.at(number).plate(&Plate::typed("A8C123").unwrap());
        assert_eq!(near, [(Nearness::LooksAlike, Plate::typed("ABC123").unwrap(), ticket)]);
    }
    assert!(park.leave(3, ticket, &[]));
    assert!(!park.leave(3, ticket, &[]), "it has left");
    let rounds = park.settle();
    assert!(rounds <= 6, "{rounds} rounds");
    assert_eq!(park.occupancies(), [0, 0, 0]);
    for number in 1..=3 {
        let site = park.at(number);
        assert_eq!(site.over(ticket), Some(Over::Finished { lane: lane(1) }));
        assert_eq!((site.find(ticket), site.plate(&Plate::typed("ABC123").unwrap())), (None, vec![]));
        let last = site.last().unwrap();
        assert!(last.entered.is_empty() && last.paid.is_empty() && last.left.is_empty(), "{last:?}");
    }
    assert!(park.reported.iter().all(Vec::is_empty));
}

#[test]
fn a_copied_ticket_leaves_twice_only_apart_and_everybody_says_so_once() {
    let (mut park, ticket, pass) = CarPark::with_one_paid();
    // Exits 3 and 4 hear nothing of each other.
    assert!(park.leave(3, ticket, &[pass]) && park.leave(4, ticket, &[pass]));
    park.settle();
    let told = "ticket 01-0000001-1 let a car out twice: lane-3 at 2026-11-30 13:10Z, and lane-4 at 2026-11-30 13:10Z";
    assert_eq!(park.reported, vec![vec![told.to_owned()]; 4]);
    park.settle();
    assert_eq!(park.reported, vec![vec![told.to_owned()]; 4]);
    assert_eq!(park.occupancies(), [0; 4]);
    assert!(!park.leave(2, ticket, &[pass]), "nowhere any more");
}

#[test]
fn a_lane_that_hears_last_still_names_both_sides() {
    let (mut park, ticket, pass) = CarPark::with_one_paid();
    assert!(park.leave(3, ticket, &[pass]) && park.leave(4, ticket, &[pass]));
    // 2 hears 3 and not 4, of which the others hear again and again.
    park.tell(3, &[1, 2, 4]);
    for _ in 0..5 {
        park.tell(2, &[1, 3, 4]);
        park.tell(4, &[1, 3]);
        park.tell(1, &[2, 3, 4]);
        park.tell(3, &[1, 2, 4]);
    }
    assert_eq!(park.reported[1], Vec::<String>::new());
    park.hear(2, 4);
    assert_eq!(park.reported[1].len(), 1);
    park.settle();
    assert!(park.reported.iter().all(|told| told.len() == 1), "{:?}", park.reported);
}

/// The exit that was the last to hear of the other acknowledges and tells in one; of that the first alone hears at first.
#[test]
fn a_fact_is_kept_until_everybody_has_heard_who_contradicts_it() {
    let (mut park, ticket, pass) = CarPark::with_one_paid();
    assert!(park.leave(3, ticket, &[pass]) && park.leave(4, ticket, &[pass]));
    for _ in 0..4 {
        for number in [3, 1, 2] {
            park.tell(number, &[1, 2, 3]);
        }
    }
    for from in 1..=3 {
        park.hear(4, from);
    }
    park.tell(4, &[3]);
    assert_eq!(park.reported.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1, 1]);
    for _ in 0..4 {
        park.tell(3, &[1, 2, 4]);
    }
    park.hear(2, 4);
    park.hear(1, 4);
    assert_eq!(park.reported.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1]);
    park.settle();
    assert!(park.reported.iter().all(|told| told.len() == 1), "{:?}", park.reported);
}

#[test]
fn what_was_paid_apart_is_not_asked_for_of_who_shows_the_pass() {
    let mut park = CarPark::new(4);
    let ticket = park.enter(1, None);
    park.settle();
    let first = park.pay(2, ticket, 300);
    // Pay station 3 has not heard of it. Who shows the pass is not asked for anything.
    assert_eq!(park.at(3).may_pay(ticket, &[]), Ok(None));
    let known = park.at(3).may_pay(ticket, &[first]).unwrap().unwrap();
    assert_eq!((known.amount(), known.last(), known.until()), (300, Some(NOON.later(60)), Until::At(NOON.later(75))));
    // Who does not pays again, and is told of with both lanes when these meet.
    let second = park.pay(3, ticket, 300);
    // Both passes count, and so does each payment, once.
    assert_eq!(park.at(4).paid(ticket, &[first, second]).unwrap().amount(), 600);
    park.settle();
    assert_eq!(park.at(4).paid(ticket, &[first, second]).unwrap().amount(), 600);
    assert_eq!(park.reported, vec![park.reported[0].clone(); 4]);
    assert!(park.reported[0][0].contains("was paid twice: lane-2 at"), "{:?}", park.reported[0]);
    assert_eq!(park.reported[0].len(), 1);
    // A later payment tells the sum, and is one.
    let third = park.pay(2, ticket, 50);
    assert_eq!((third.nth, third.amount), (1, 650));
    assert_eq!(park.at(4).paid(ticket, &[first, second, third]).unwrap().amount(), 650);
    assert_eq!(park.at(4).paid(ticket, &[third]).unwrap().amount(), 650);
}

#[test]
fn a_pass_is_good_for_its_time_and_its_lane() {
    let mut park = CarPark::new(2);
    let ticket = park.enter(1, None);
    let pass = park.pay(1, ticket, 300);
    let how = How::Pass { by: lane(1), nth: 0 };
    let may = |pass: &[Pass], at: Option<Wall>| park.lanes[1].may_leave(ticket, pass, at);
    assert_eq!(may(&[], now(70)), Leaving::NotPaid);
    assert_eq!(may(&[pass], now(75)), Leaving::Yes { how, doubt: false });
    assert_eq!(may(&[pass], now(76)), Leaving::TooLate { until: NOON.later(75) });
    assert_eq!(may(&[pass], None), Leaving::Yes { how, doubt: true });
    let elsewhere = Pass { lane: Some(lane(1)), ..pass };
    assert_eq!(may(&[elsewhere], now(70)), Leaving::Elsewhere(lane(1)));
    assert_eq!(may(&[Pass { lane: Some(lane(2)), ..pass }], now(70)), Leaving::Yes { how, doubt: false });
    // Of a pay station that did not know the time: until it is used.
    assert_eq!(may(&[Pass { paid: None, ..pass }], now(1_000_000)), Leaving::Yes { how, doubt: false });
    // A pass of another stay lets nobody out.
    let other = TicketNumber::new(lane(1), 99).unwrap();
    assert_eq!(park.at(2).may_leave(other, &[pass], now(70)), Leaving::NotPaid);
    // Where it was paid, the ticket does.
    assert_eq!(park.at(1).may_leave(ticket, &[], now(70)), Leaving::Yes { how: How::Ticket, doubt: false });
}

#[test]
fn a_validation_is_good_for_one_stay_and_a_season_pass_for_one_car() {
    let mut park = CarPark::new(3);
    let (one, two) = (park.enter(1, None), park.enter(1, None));
    park.settle();
    let number = ValidationNumber { key: KeyNumber(9), serial: 5 };
    let used = |ticket| Fact::ValidationUsed(ValidationUsed { number, stay: Stay(ticket), until: NOON.later(500) });
    park.record(2, used(one));
    assert_eq!((park.at(2).validation(number, one), park.at(2).validation(number, two)), (None, Some(one)));
    assert_eq!(park.at(3).validation(number, two), None, "lane 3 has not heard of it");
    park.record(3, used(two));
    // Taken for the same stay once more: not twice.
    park.record(1, used(one));
    park.settle();
    for told in &park.reported {
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|told| told.contains("validation 9/5 was taken twice: lane-")), "{told:?}");
    }

    let mut park = CarPark::new(3);
    for stay in 0..3u32 {
        for number in 1..=3 {
            assert_eq!(park.at(number).season(44), None);
        }
        let ticket = park.enter(1, None);
        let used = park.at(1).season_used(44, ticket);
        assert_eq!(used.nth, stay);
        park.record(1, Fact::SeasonUsed(used));
        assert_eq!((park.at(1).season(44), park.at(2).season(44)), (Some(ticket), None));
        if stay == 2 {
            let copied = park.enter(2, None);
            let used = park.at(2).season_used(44, copied);
            park.record(2, Fact::SeasonUsed(used));
        }
        park.settle();
        assert!(park.at(2).season(44).is_some() && park.at(3).season(44).is_some());
        park.record(3, Fact::Left(Left { stay: Stay(ticket), at: None, how: How::Ticket }));
        park.settle();
    }
    for told in &park.reported {
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("season pass 44 perhaps came in twice: lane-1 with ticket 01-"), "{told:?}");
    }
}

/// Whoever comes back says so in a column more, and whoever does not has none.
#[test]
fn what_a_car_goes_on_with_is_told_and_kept() {
    let mut park = CarPark::new(2);
    let (first, second) = (park.enter(1, Some("ABC 123")), park.enter(1, Some("ABC 124")));
    let before = Before { stay: Stay(first), first: NOON, exit: NOON, paid: 600 };
    park.at(1).amend(second.serial(), |entered| entered.before = Some(before)).unwrap();
    let later = Before { exit: NOON.later(6), ..before };
    let wrong = park.at(1).amend(second.serial(), |entered| entered.before = Some(later));
    assert_eq!(wrong, Err(NotRecorded::Before));
    park.settle();
    let document = park.at(1).last().unwrap().clone();
    let told = serde_json::to_value(&document).unwrap();
    let rows = serde_json::json!([
        [1, [14_155_920, 0], 0, "ABC123"],
        [2, [14_155_920, 0], 0, "ABC124", [10_000_001, 14_155_920, 14_155_920, 600]],
    ]);
    assert_eq!(told["entered"], rows);
    assert_eq!(serde_json::from_value::<Document>(told).unwrap(), document);
    let row = |row: serde_json::Value| serde_json::from_value::<Entered>(row).ok();
    assert!(row(serde_json::json!([2, [14_155_920, 0], 0, null, [1, 2, 3]])).is_none());
    assert!(row(serde_json::json!([2, [14_155_920, 0], 0, null, null, null])).is_none());
    assert!(row(serde_json::json!([2, [14_155_920, 0], 0])).is_none());
    assert_eq!(park.at(2).find(second).unwrap().entered.before, Some(before));
    let parts = stored(park.at(1));
    let mut again = Site::restored(roster(2), read(parts.clone()));
    assert_eq!((stored(&again), again.find(second).unwrap().entered.before), (parts, Some(before)));
    let entered = Entered { serial: 3, before: Some(later), ..again.find(first).unwrap().entered };
    assert_eq!(again.record(Fact::Entered(entered)), Err(NotRecorded::Before));
}

#[test]
fn what_was_counted_wrong_is_corrected_by_any_lane() {
    let mut park = CarPark::new(3);
    park.enter(1, None);
    park.record(2, Fact::Correction(5));
    park.record(3, Fact::Correction(-2));
    park.settle();
    assert_eq!(park.occupancies(), [4, 4, 4]);
    park.record(3, Fact::Correction(-90));
    park.settle();
    assert_eq!(park.occupancies(), [0, 0, 0]);
    assert_eq!(park.at(1).record(Fact::Correction(i32::MAX)), Ok(vec![]));
    assert_eq!(park.at(1).record(Fact::Correction(1)), Err(NotRecorded::TooMuch));
}

#[test]
fn a_car_that_backs_out_is_gone_and_its_ticket_counts_no_more() {
    let mut park = CarPark::new(2);
    let ticket = park.enter(1, None);
    park.record(1, Fact::Voided(Voided { stay: Stay(ticket), at: Some(NOON) }));
    park.settle();
    assert_eq!(park.occupancies(), [0, 0]);
    assert!(park.at(2).over(ticket).is_some());
    assert!(park.at(2).may_pay(ticket, &[]).is_err());
    assert_ne!(park.at(1).next_ticket(), Some(ticket), "no number is given twice");
}

#[test]
fn a_clock_that_is_set_later_narrows_the_doubt() {
    let mut park = CarPark::new(2);
    let ticket = park.at(1).next_ticket().unwrap();
    let entry = EntryTime::Doubtful { earliest: NOON, quarters: 40 };
    let (serial, class) = (ticket.serial(), ClassNumber::default());
    park.record(1, Fact::Entered(Entered { serial, entry, class, plate: None, before: None }));
    park.settle();
    park.at(1).amend(serial, |entered| entered.entry = EntryTime::Known(NOON.later(30))).unwrap();
    park.settle();
    assert_eq!(park.at(2).find(ticket).unwrap().entered.entry, EntryTime::Known(NOON.later(30)));
}

#[test]
fn a_lane_goes_on_as_it_was() {
    let mut park = CarPark::new(3);
    let ticket = park.enter(1, Some("京A12345"));
    park.settle();
    let pass = park.pay(2, ticket, 300);
    park.settle();
    assert!(park.leave(3, ticket, &[pass]) && park.leave(2, ticket, &[pass]));
    park.tell(3, &[2]);
    let told = park.reported[1].clone();
    assert_eq!(told.len(), 1);
    let parts = stored(park.at(2));
    *park.at(2) = Site::restored(roster(3), read(parts.clone()));
    assert_eq!(stored(park.at(2)), parts);
    assert!(!park.leave(2, ticket, &[pass]));
    park.settle();
    assert_eq!(park.reported[1], told, "it was reported before the restart");
    assert_eq!(park.reported[0], told);
    let last = park.at(2).last().unwrap();
    assert!(last.left.is_empty() && last.paid.is_empty(), "{last:?}");
}

#[test]
fn the_same_again_changes_nothing_and_something_else_is_refused() {
    let mut park = CarPark::new(1);
    let ticket = park.enter(1, None);
    let left = Left { stay: Stay(ticket), at: Some(NOON), how: How::Ticket };
    let paid = Paid { stay: Stay(ticket), nth: 0, at: None, grace: 15, amount: 1, doubt: 0, lane: None };
    for _ in 0..2 {
        park.record(1, Fact::Paid(paid));
        park.record(1, Fact::Left(left));
    }
    let site = park.at(1);
    assert_eq!(site.record(Fact::Paid(Paid { amount: 2, ..paid })), Err(NotRecorded::Twice));
    assert_eq!(site.record(Fact::Left(Left { at: None, ..left })), Err(NotRecorded::Twice));
    assert_eq!(site.record(Fact::Paid(Paid { nth: 16, ..paid })), Err(NotRecorded::NoPass));
    let entered =
        Entered { serial: 1, entry: EntryTime::Known(NOON), class: ClassNumber::default(), plate: None, before: None };
    assert_eq!(site.record(Fact::Entered(entered)), Err(NotRecorded::Serial(1)));
    // Alone there is nobody to wait for.
    site.publish().unwrap();
    site.tidy(now(0));
    let document = site.publish().unwrap().unwrap();
    assert!(document.left.is_empty() && document.paid.is_empty());
}

#[test]
fn a_retired_lane_keeps_nobody_waiting_and_its_tickets_count() {
    let mut park = CarPark::new(3);
    let (first, second) = (park.enter(1, None), park.enter(1, None));
    park.settle();
    // Its board breaks: it gives out one more ticket of which nobody hears.
    let unheard = park.enter(1, None);
    let mut lanes: BTreeMap<LaneNumber, Member> = (1..=3).map(|number| (lane(number), member(number))).collect();
    lanes.get_mut(&lane(1)).unwrap().retired = true;
    let roster = Roster::new(SiteNumber::new(7).unwrap(), lanes).unwrap();
    for number in [2, 3] {
        let state = park.at(number).state().clone();
        *park.at(number) = Site::restored(roster.clone(), state);
    }
    for ticket in [first, unheard] {
        let pass = park.pay(2, ticket, 300);
        assert!(park.leave(3, ticket, &[pass]));
    }
    for _ in 0..6 {
        park.tell(2, &[3]);
        park.tell(3, &[2]);
    }
    assert!(!park.leave(2, first, &[]) && !park.leave(2, unheard, &[]));
    assert_eq!((park.at(2).occupancy(), park.at(2).may_pay(second, &[])), (1, Ok(None)));
}
