//! Cars that come back soon: with the city's tariff, within 30 minutes. 15 minutes are free, an hour is 6.00, and each half after it 4.00.

use super::*;
use crate::parking::site::{Before, How, Left};
use crate::parking::tariff::Visit;
use crate::parking::ticket::Season;

const PLATE: &str = "KN AB 120";

/// Two entries, a pay station and an exit that hear each other.
struct Four {
    entry: Kiosk,
    other: Kiosk,
    pay: Kiosk,
    exit: Kiosk,
    orders: u128,
}

fn minute(after: u64) -> Minute {
    Minute::of(Wall(START + after * 60_000)).unwrap()
}

impl Four {
    fn new() -> Self {
        let (entry, other) = (kiosk(1, TicketDeed::GiveOut), kiosk(4, TicketDeed::GiveOut));
        Self { entry, other, pay: kiosk(2, TicketDeed::Pay), exit: kiosk(3, TicketDeed::Leave), orders: 0 }
    }

    fn meet(&mut self) {
        let Self { entry, other, pay, exit, .. } = self;
        meet_in(8, &mut [entry, other, pay, exit]);
    }

    fn later(&mut self, minutes: u64) {
        let Self { entry, other, pay, exit, .. } = self;
        [entry, other, pay, exit].into_iter().for_each(|kiosk| kiosk.later(minutes));
    }

    fn order(&mut self) -> u128 {
        self.orders += 1;
        self.orders
    }

    fn enters(&mut self, plate: &str) -> (String, TicketNumber) {
        let order = self.order();
        enter_with(&mut self.entry, order, plate)
    }

    /// Its pass.
    fn pays(&mut self, code: &str, price: i64) -> String {
        let bill = quote(self.pay.show(code, None));
        assert_eq!(bill.unit.price, price);
        let order = self.order();
        let order = self.pay.take(order, &bill, false);
        self.pay.park.code(&order).unwrap().code
    }

    fn leaves(&mut self, code: &str) {
        let out = granted(self.exit.show(code, None));
        let order = self.order();
        self.exit.take(order, &out, true);
    }

    /// In at 08:00, paid for an hour, out at 08:50, and everybody has heard it.
    fn with_one_paid() -> (Self, TicketNumber) {
        let mut four = Self::new();
        let (ticket, number) = four.enters(PLATE);
        four.meet();
        four.later(50);
        let pass = four.pays(&ticket, 600);
        four.leaves(&pass);
        four.meet();
        (four, number)
    }
}

fn enter_with(entry: &mut Kiosk, order: u128, plate: &str) -> (String, TicketNumber) {
    entry.park.car_waits(true);
    entry.park.plate_seen(plate);
    let entered = enter(entry, order);
    entry.park.car_waits(false);
    entered
}

fn before(kiosk: &Kiosk, number: TicketNumber) -> Option<Before> {
    kiosk.park.site.find(number).unwrap().entered.before
}

#[test]
fn who_comes_back_soon_goes_on_and_pays_nothing_twice() {
    let (mut four, first) = Four::with_one_paid();
    four.later(30);
    // By the other entry, at 09:20.
    let order = four.order();
    let (ticket, number) = enter_with(&mut four.other, order, PLATE);
    let goes_on = Before { stay: Number(first), first: minute(0), exit: minute(50), paid: 600 };
    assert_eq!(before(&four.other, number), Some(goes_on));
    let mut alone = kiosk(2, TicketDeed::Pay);
    four.meet();
    four.later(10);
    assert_eq!(before(&four.exit, number), Some(goes_on), "every lane knows it");
    for bill in [quote(four.pay.show(&ticket, None)), quote(four.exit.show(&ticket, None))] {
        assert_eq!(bill.unit.price, 400, "from 08:00 to 09:30 it is 10.00, of which 6.00 are paid");
        assert_eq!(bill.bill.iter().map(|line| line.amount).sum::<i64>(), 400);
        assert!(bill.bill.iter().any(|line| line.rule == "already-paid" && line.amount == -600), "{:?}", bill.bill);
    }
    let typed = quote(four.pay.park.presented(&Presented::Number(number.to_string()), None));
    assert_eq!(typed.unit.price, 400);
    // A pay station that has heard nothing has the ticket alone.
    alone.later(90);
    assert_eq!(quote(alone.show(&ticket, None)).unit.price, 0, "ten minutes by themselves");

    // And once more: the whole chain counts.
    let pass = four.pays(&ticket, 400);
    four.leaves(&pass);
    four.meet();
    four.later(20);
    let (ticket, third) = four.enters(PLATE);
    let goes_on = Before { stay: Number(number), first: minute(0), exit: minute(90), paid: 1_000 };
    assert_eq!(before(&four.entry, third), Some(goes_on));
    four.meet();
    four.later(10);
    four.pays(&ticket, 400);
}

#[test]
fn who_comes_back_late_or_is_another_begins_anew() {
    let (mut four, _) = Four::with_one_paid();
    let (_, other) = four.enters("KN AB 12O");
    assert_eq!(before(&four.entry, other), None, "nearly the same is another");
    four.later(31);
    let (ticket, number) = four.enters(PLATE);
    assert_eq!(before(&four.entry, number), None);
    four.meet();
    four.later(10);
    assert_eq!(quote(four.pay.show(&ticket, None)).unit.price, 0);
}

#[test]
fn free_minutes_are_free_once() {
    let mut four = Four::new();
    let (ticket, first) = four.enters(PLATE);
    four.meet();
    four.later(10);
    four.leaves(&ticket);
    four.meet();
    four.later(5);
    let (ticket, number) = four.enters(PLATE);
    assert_eq!(before(&four.entry, number).map(|before| (before.stay, before.paid)), Some((Number(first), 0)));
    four.meet();
    four.later(10);
    assert_eq!(quote(four.exit.show(&ticket, None)).unit.price, 600, "25 minutes");
}

#[test]
fn a_plate_that_is_read_late_is_of_who_comes_back() {
    let (mut four, first) = Four::with_one_paid();
    four.later(10);
    four.entry.park.car_waits(true);
    let (_, number) = enter(&mut four.entry, 50);
    assert_eq!(before(&four.entry, number), None);
    four.entry.park.plate_seen(PLATE);
    assert_eq!(before(&four.entry, number).map(|before| before.stay), Some(Number(first)));
}

#[test]
fn who_backs_out_comes_back_again_and_two_do_not_come_back_from_one() {
    let (mut four, first) = Four::with_one_paid();
    four.later(10);
    let (_, number) = four.enters(PLATE);
    assert!(before(&four.entry, number).is_some());
    let id = OrderId::from_parts(1, four.orders);
    let gone = Record::ItemNotDelivered { order: id, item: 0, outlet: None, why: Cause::Withdrawn, last: true };
    four.entry.park.apply(&gone);
    four.later(1);
    let (_, again) = four.enters(PLATE);
    assert_eq!(before(&four.entry, again).map(|before| before.stay), Some(Number(first)));
    four.later(1);
    let (_, twice) = four.enters(PLATE);
    assert_eq!(before(&four.entry, twice), None, "a car with its plate is inside");
}

/// What is paid is asked for again of nobody: where an entry does not know it, the car begins anew.
#[test]
fn a_pass_that_is_not_known_here_joins_nothing() {
    for heard in [false, true] {
        let mut four = Four::new();
        let (ticket, _) = four.enters(PLATE);
        four.meet();
        four.later(50);
        let pass = four.pays(&ticket, 600);
        four.leaves(&pass);
        let Four { entry, other, exit, .. } = &mut four;
        meet(&mut [entry, other, exit]);
        if heard {
            four.meet();
        }
        four.later(10);
        let (_, number) = four.enters(PLATE);
        assert_eq!(before(&four.entry, number).map(|before| before.paid), heard.then_some(600));
    }
}

#[test]
fn what_a_shop_or_a_person_gave_is_not_taken_back() {
    let mut four = Four::new();
    let (ticket, _) = four.enters(PLATE);
    four.meet();
    four.later(150);
    let bill = quote(four.pay.show(&ticket, None));
    let half = stamp(&four.pay, 1, Worth::Percent(50));
    let less = quote(four.pay.show(&half, Some(&bill)));
    let order = four.pay.take(90, &less, false);
    let pass = four.pay.park.code(&order).unwrap().code;
    four.leaves(&pass);
    four.meet();
    four.later(10);
    let (_, number) = four.enters(PLATE);
    assert_eq!(before(&four.entry, number), None);

    let mut four = Four::new();
    let (_, first) = four.enters(PLATE);
    four.meet();
    four.later(50);
    let at = four.exit.park.minute();
    four.exit.park.fact(Fact::Left(Left { stay: Number(first), at, how: How::Person }));
    four.exit.park.changed();
    four.meet();
    four.later(10);
    let (_, number) = four.enters(PLATE);
    assert_eq!(before(&four.entry, number), None);
}

#[test]
fn a_restart_forgets_who_has_left_and_not_who_is_inside() {
    let (mut four, _) = Four::with_one_paid();
    let (ticket, second) = four.enters("XY 9");
    four.meet();
    let mut again = kiosk(1, TicketDeed::GiveOut);
    again.park.recall(remembered(&four.entry.park)).unwrap();
    again.at = four.entry.at;
    again.park.clock(&again.at);
    four.entry = again;
    four.later(10);
    four.leaves(&ticket);
    four.meet();
    let (_, number) = four.enters(PLATE);
    assert_eq!(before(&four.entry, number), None, "in the customer's favour");
    four.later(1);
    let (_, number) = four.enters("XY 9");
    assert_eq!(before(&four.entry, number).map(|before| before.stay), Some(Number(second)));
}

#[test]
fn a_lane_that_knows_of_more_that_was_paid_believes_itself() {
    let mut four = Four::new();
    let (ticket, number) = four.enters(PLATE);
    four.later(50);
    four.pays(&ticket, 600);
    let said = |paid| Before { stay: Number(number), first: minute(0), exit: minute(55), paid };
    let visit = |paid| Visit { entry: minute(0).wall(), exit: minute(55).wall(), paid };
    assert_eq!((four.pay.park.visit(said(0)), four.pay.park.visit(said(700))), (visit(600), visit(700)));
    assert_eq!(four.exit.park.visit(said(300)), visit(300));
}

/// What a season pass has covered before it ended is not asked for by way of a stay before.
#[test]
fn a_stay_that_begins_when_its_pass_has_ended_has_none_before() {
    let mut four = Four::new();
    let (ticket, _) = four.enters(PLATE);
    four.meet();
    four.later(10);
    four.leaves(&ticket);
    four.meet();
    four.later(5);
    let (_, number) = four.enters(PLATE);
    assert!(before(&four.entry, number).is_some());
    four.later(96);
    let found = four.entry.park.site.find(number).unwrap();
    let asked = four.entry.at.wall.unwrap();
    let price = |until| {
        let season = Some(Season { number: 17, season: 0, until: minute(until), plate: None });
        let seen = price::Seen { season, ..present::seen_of(&found) };
        four.entry.park.quote(seen, asked, false).unwrap().unit.price
    };
    assert_eq!((price(60), price(500)), (600, 0), "from 09:01 to 09:51");
    assert_eq!(price(20), 1_000, "from 08:21, soon enough after the stay before");
}
