//! Made-up days of a kiosk.

use jiff::civil::date;
use serde_json::json;

use super::*;
use crate::operation::RequestId;
use crate::parking::shop::StayMemo;
use crate::parking::site::How;
use crate::parking::ticket::TicketNumber;
use crate::sale::presented::{BillLine, LetThrough};
use crate::vocabulary::{DeliveryId, Localized, Outlet, Payment, PaymentId};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn of(does: TicketDeed, name: &str) -> Of {
    let gate = (does != TicketDeed::Pay).then(|| LaneId::parse("gate-1").unwrap());
    Of { kiosk: "K1".into(), does, gate, zone: zone(name), currency: Currency::from_code("CNY").unwrap() }
}

struct History(Report);

impl History {
    fn new(does: TicketDeed, zone: &str, first: Date, last: Date) -> Self {
        Self(Report::new(of(does, zone), first, last).unwrap())
    }

    /// In the site's civil time; the earlier of two.
    fn at(&self, day: Date, hour: i8, minute: i8) -> Wall {
        let at = day.at(hour, minute, 0, 0).to_zoned(self.0.of.zone.clone()).unwrap();
        Wall(at.timestamp().as_millisecond() as u64)
    }

    fn gate(&mut self, at: Wall, note: lane::Record) {
        let lane = LaneId::parse("gate-1").unwrap();
        self.0.take(Some(at), &Record::GateNoted { lane, note: serde_json::to_value(note).unwrap() });
    }

    fn inside(&mut self, at: Wall, until: Wall, cars: u64) {
        let value = Some(json!({ "until": until, "cars": cars }));
        self.0.take(Some(at), &Record::ShopNoted { key: INSIDE_NOTE.into(), value });
    }

    fn memo(&mut self, at: Wall, order: OrderId, deed: Deed, bill: Vec<BillLine>) {
        let memo = Memo { number: TicketNumber::typed("03-0004567-9").unwrap(), deed, bill };
        let value = Some(serde_json::to_value(memo).unwrap());
        self.0.take(Some(at), &Record::ShopNoted { key: format!("{ORDER_NOTE}{order}"), value });
    }

    /// A stay that is paid, or costs nothing.
    fn stay(&mut self, at: Wall, nth: u64, lines: &[(&str, Minor)]) -> OrderId {
        let order = OrderId::from_parts(nth, 1);
        let due: Minor = lines.iter().map(|(_, amount)| amount).sum();
        let line = |(rule, amount): &(&str, Minor)| BillLine {
            text: Localized::default(),
            from: at,
            to: at,
            amount: *amount,
            rule: (*rule).into(),
        };
        let bill = lines.iter().map(line).collect();
        let leaves = (self.0.of.does == TicketDeed::Leave).then_some(How::Ticket);
        let deed = Deed::Stay(StayMemo { due: u32::try_from(due).unwrap(), leaves, ..StayMemo::default() });
        if due == 0 {
            self.granted(at, order, Grant::NothingDue);
            self.memo(at, order, deed, bill);
        } else {
            self.memo(at, order, deed, bill);
            self.paid(at, order, due);
        }
        self.delivered(at, order);
        order
    }

    fn granted(&mut self, at: Wall, order: OrderId, grant: Grant) {
        let (short_code, currency) = (order.short_code(), self.0.of.currency);
        let granted =
            Record::OrderGranted { order, short_code, currency, items: Vec::new(), grant, outlet: None, by: None };
        self.0.take(Some(at), &granted);
    }

    fn paid(&mut self, at: Wall, order: OrderId, amount: Minor) {
        let id = PaymentId::parse("pay1").unwrap();
        let payment = Payment { id, amount, currency: self.0.of.currency, order };
        self.0
            .take(Some(at), &Record::OrderPaid { order, charge: ChargeId::of(order, 1), payment, fee_estimate: None });
    }

    fn delivered(&mut self, at: Wall, order: OrderId) {
        let delivered = Record::ItemDelivered { order, item: 0, attempt: 1, outlet: Outlet::Pass, count: 1 };
        self.0.take(Some(at), &delivered);
    }

    fn day(&self, day: Date) -> &Day {
        &self.0.days[&day]
    }

    /// The hours in which something happened, by their civil time: handed over, passed, unauthorised, unsure.
    fn busy(&self, day: Date) -> Vec<(String, [u64; 4])> {
        let hours = self.day(day).hours.iter();
        let counts = |hour: &Hour| [hour.cars.handed_over, hour.cars.passed, hour.cars.unauthorised, hour.cars.unsure];
        let busy = hours.filter(|hour| counts(hour) != [0; 4]);
        busy.map(|hour| (civil(hour.begins, &self.0.of.zone, "%H:%M%:z"), counts(hour))).collect()
    }
}

fn during(hour: &str, counts: [u64; 4]) -> (String, [u64; 4]) {
    (hour.to_owned(), counts)
}

fn undecided(number: u64) -> Authorisation {
    Authorisation::Undecided { number, why: CantDecide::NoPrice }
}

#[test]
fn days_are_in_order_and_not_too_many() {
    let new = |first, last| Report::new(of(TicketDeed::Pay, "UTC"), first, last).map(|report| report.days.len());
    assert_eq!(new(date(2026, 11, 2), date(2026, 11, 1)), Err(BadDays::Backwards));
    assert_eq!(new(date(2026, 1, 1), date(2027, 1, 1)), Ok(366));
    assert_eq!(new(date(2026, 1, 1), date(2027, 1, 2)), Err(BadDays::TooMany));
    assert_eq!(new(date(9999, 12, 31), date(9999, 12, 31)), Err(BadDays::None));
}

#[test]
fn a_car_counts_in_the_hour_and_day_of_the_site() {
    let (first, last) = (date(2026, 11, 30), date(2026, 12, 1));
    let mut entry = History::new(TicketDeed::GiveOut, "Asia/Shanghai", first, last);
    for (day, hour, minute) in [(first, 0, 0), (first, 0, 59), (first, 23, 59), (last, 0, 0)] {
        let at = entry.at(day, hour, minute);
        entry.gate(at, lane::Record::CarPassed { authorised: true });
    }
    let tomorrow = entry.at(date(2026, 12, 2), 0, 0);
    entry.gate(tomorrow, lane::Record::CarPassed { authorised: true });
    assert_eq!(entry.busy(first), [during("00:00+08:00", [0, 2, 0, 0]), during("23:00+08:00", [0, 1, 0, 0])]);
    assert_eq!(entry.busy(last), [during("00:00+08:00", [0, 1, 0, 0])]);
}

#[test]
fn a_night_in_which_clocks_change_has_an_hour_more_or_less() {
    let (spring, autumn) = (date(2026, 3, 29), date(2026, 10, 25));
    let mut entry = History::new(TicketDeed::GiveOut, "Europe/Berlin", spring, autumn);
    assert_eq!(entry.day(spring).hours.len(), 23);
    assert_eq!(entry.day(autumn).hours.len(), 25);
    assert_eq!(entry.day(date(2026, 6, 1)).hours.len(), 24);
    let two = entry.at(autumn, 2, 30);
    for at in [two, Wall(two.0 + HOUR), Wall(two.0 + 2 * HOUR)] {
        entry.gate(at, lane::Record::CarPassed { authorised: true });
    }
    let once = [0, 1, 0, 0];
    let expected = [during("02:00+02:00", once), during("02:00+01:00", once), during("03:00+01:00", once)];
    assert_eq!(entry.busy(autumn), expected);
    // Half an hour, too: the last hour of the day is cut, and nothing is lost.
    let howe = History::new(TicketDeed::GiveOut, "Australia/Lord_Howe", date(2026, 4, 5), date(2026, 4, 5));
    let hours = &howe.day(date(2026, 4, 5)).hours;
    assert_eq!(hours.iter().map(|hour| hour.ends.0 - hour.begins.0).sum::<u64>(), 24 * HOUR + HOUR / 2);
    assert!(hours.windows(2).all(|two| two[0].ends == two[1].begins));
}

#[test]
fn what_loops_say_is_told_apart_and_another_gate_does_not_count() {
    let day = date(2026, 11, 30);
    let mut exit = History::new(TicketDeed::Leave, "UTC", day, day);
    let at = exit.at(day, 8, 10);
    exit.gate(at, lane::Record::CarPassed { authorised: true });
    exit.gate(at, lane::Record::CarPassed { authorised: false });
    // One that was seen for sure is counted as passed already.
    exit.gate(at, lane::Record::Tailgated { sure: true });
    exit.gate(at, lane::Record::Tailgated { sure: false });
    let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 1 };
    let authorisation = Authorisation::Delivery { delivery };
    exit.gate(at, lane::Record::PassageEnded { authorisation, how: Ended::Unknown });
    exit.gate(at, lane::Record::GateClosed {});
    let other = LaneId::parse("gate-2").unwrap();
    let note = serde_json::to_value(lane::Record::CarPassed { authorised: true }).unwrap();
    exit.0.take(Some(at), &Record::GateNoted { lane: other, note });
    assert_eq!(exit.busy(day), [during("08:00+00:00", [0, 2, 1, 2])]);
}

#[test]
fn what_was_paid_is_split_by_the_rules_of_the_bills() {
    let (day, next) = (date(2026, 11, 30), date(2026, 12, 1));
    let mut pay = History::new(TicketDeed::Pay, "UTC", day, next);
    let at = pay.at(day, 9, 0);
    pay.stay(at, 1, &[("rate/Day", 600), ("rate/Day", 1_200), ("validated", -900)]);
    let order = pay.stay(at, 2, &[("rate/Day", 600), ("rate/Night", 100)]);
    // A shop has paid all of it.
    pay.stay(at, 3, &[("rate/Day", 600), ("validated", -600)]);
    let line = |count, sum| Line { count, sum };
    let lines = [("rate/Day", line(4, 3_000)), ("rate/Night", line(1, 100)), ("validated", line(2, -1_500))];
    let of = pay.day(day);
    assert_eq!((of.stays, of.paid, of.given_back), (3, 1_600, 0));
    assert_eq!(of.lines, lines.map(|(rule, line)| (rule.to_owned(), line)).into());
    assert_eq!(of.lines.values().map(|line| line.sum).sum::<Minor>(), of.paid);
    // What goes back stands in its own day, and a provider tells the total each time.
    let later = pay.at(next, 9, 0);
    let charge = ChargeId::of(order, 1);
    for total in [200, 500] {
        pay.0.take(Some(later), &Record::ChargeReturned { order, charge: charge.clone(), total });
    }
    assert_eq!((pay.day(day).given_back, pay.day(next).given_back, pay.day(next).stays), (0, 500, 0));
    assert_eq!(pay.busy(day), [during("09:00+00:00", [3, 0, 0, 0])]);
}

#[test]
fn an_order_from_before_midnight_that_is_paid_after_it_has_its_lines() {
    let day = date(2026, 12, 1);
    let mut pay = History::new(TicketDeed::Pay, "UTC", day, day);
    let (before, after) = (pay.at(date(2026, 11, 30), 23, 59), pay.at(day, 0, 1));
    assert!(pay.0.wants().0 <= before && before < pay.0.wants().1);
    let order = OrderId::from_parts(1, 1);
    let line = BillLine { text: Localized::default(), from: before, to: before, amount: 600, rule: "rate/Day".into() };
    pay.memo(before, order, Deed::Stay(StayMemo { due: 600, ..StayMemo::default() }), vec![line]);
    pay.paid(after, order, 600);
    assert_eq!(pay.day(day).lines["rate/Day"], Line { count: 1, sum: 600 });
}

#[test]
fn tickets_and_stays_that_were_let_out_count_when_they_are_handed_over() {
    let day = date(2026, 11, 30);
    let mut exit = History::new(TicketDeed::Leave, "UTC", day, day);
    let at = exit.at(day, 8, 0);
    let order = OrderId::from_parts(7, 1);
    exit.granted(at, order, Grant::Ticket);
    exit.memo(at, order, Deed::Stay(StayMemo { leaves: Some(How::Ticket), ..StayMemo::default() }), Vec::new());
    assert_eq!(exit.busy(day), []);
    exit.delivered(at, order);
    assert_eq!(exit.busy(day), [during("08:00+00:00", [1, 0, 0, 0])]);
    assert_eq!(exit.day(day).stays, 0, "it was paid elsewhere");
    // Somebody tries the gate: no stay.
    exit.granted(at, OrderId::from_parts(8, 1), Grant::Test);
    exit.delivered(at, OrderId::from_parts(8, 1));
    assert_eq!(exit.busy(day), [during("08:00+00:00", [1, 0, 0, 0])]);
}

#[test]
fn cars_inside_hold_until_the_next_note_and_not_beyond_the_ledger() {
    let day = date(2026, 11, 30);
    let mut pay = History::new(TicketDeed::Pay, "UTC", day, day);
    let (eight, nine, twelve) = (pay.at(day, 8, 0), pay.at(day, 9, 0), pay.at(day, 12, 0));
    // It is written with the next event, be it an hour later.
    pay.inside(eight, eight, 3);
    pay.inside(twelve, nine, 5);
    let inside = |pay: &History| pay.day(day).hours.iter().map(|hour| pay.0.inside(hour)).collect::<Vec<_>>();
    assert_eq!(inside(&pay), [None; 24], "nobody has said up to when the ledger goes");
    pay.0.reaches(Some(twelve));
    let known = inside(&pay);
    assert_eq!(known[6..13], [None, Some(3), Some(5), Some(5), Some(5), Some(5), None]);
}

#[test]
fn unpaid_exits_have_what_was_known_of_them_unless_the_gate_did_not_move() {
    let day = date(2026, 11, 30);
    let mut exit = History::new(TicketDeed::Leave, "UTC", day, day);
    let at = exit.at(day, 8, 12);
    for number in [1, 2, 3] {
        exit.gate(at, lane::Record::GateIntended { authorisation: undecided(number), attempt: 1 });
    }
    // Asked once more, it is the same car.
    exit.gate(at, lane::Record::GateIntended { authorisation: undecided(1), attempt: 2 });
    let (ticket, due) = (Some("03-0004567-9".to_owned()), Some(1_800));
    let known = LetThrough { number: 1, ticket, due };
    let value = Some(serde_json::to_value(&known).unwrap());
    exit.0.take(Some(at), &Record::ShopNoted { key: LET_THROUGH_NOTE.into(), value });
    exit.gate(at, lane::Record::PassageEnded { authorisation: undecided(1), how: Ended::Passed });
    exit.gate(at, lane::Record::PassageEnded { authorisation: undecided(2), how: Ended::NotMoved });
    let request = RequestId::parse("r1").unwrap();
    let actor = crate::operation::Actor::Menu;
    let reason = crate::operation::Reason::parse("paid at the office").unwrap();
    let authorisation = Authorisation::Operation { request, actor, reason };
    exit.gate(at, lane::Record::GateIntended { authorisation, attempt: 1 });
    let of = &exit.day(day).undecided;
    assert_eq!(of.iter().map(|one| (one.number, one.counts())).collect::<Vec<_>>(), [(1, true), (2, false), (3, true)]);
    assert_eq!((&of[0].known, of[0].how, of[2].how), (&Some(known), Some(Ended::Passed), None));
    let text = exit.0.to_string();
    assert!(text.contains("unpaid exits, because nobody could decide: 2\n"), "{text}");
    assert!(
        text.contains("  08:12:00+00:00  no price for the stay, ticket 03-0004567-9, 18.00 CNY due; passed\n"),
        "{text}"
    );
}

#[test]
fn what_happened_without_a_clock_is_in_no_day_and_is_told() {
    let day = date(2026, 11, 30);
    let mut entry = History::new(TicketDeed::GiveOut, "UTC", day, day);
    let note = serde_json::to_value(lane::Record::CarPassed { authorised: true }).unwrap();
    entry.0.take(None, &Record::GateNoted { lane: LaneId::parse("gate-1").unwrap(), note });
    assert_eq!((entry.busy(day), entry.0.undated), (vec![], 1));
    assert!(entry.0.to_string().ends_with("1 happened while the clock was unknown, and are in no day"));
}

#[test]
fn the_report_is_read_by_people_and_by_programs() {
    let day = date(2026, 11, 30);
    let mut pay = History::new(TicketDeed::Pay, "UTC", day, day);
    let at = pay.at(day, 9, 30);
    pay.stay(at, 1, &[("rate/Day", 600), ("validated", -200)]);
    pay.inside(at, pay.at(day, 9, 0), 4);
    pay.0.reaches(Some(pay.at(day, 10, 30)));
    let expected = "\
K1 (pay-station), by its own ledger; times of UTC

2026-11-30
HOUR          SETTLED    PASSED  UNAUTHORISED    UNSURE    INSIDE
08:00+00:00         0         0             0         0         4
09:00+00:00         1         0             0         0         4
10:00+00:00         0         0             0         0         -
day                 1         0             0         0
LINE                                 TIMES             SUM
rate/Day                                 1        6.00 CNY
validated                                1       -2.00 CNY
paid                                     1        4.00 CNY
cars inside at the end of the day: the ledger does not say";
    assert_eq!(pay.0.to_string(), expected);
    let document = pay.0.json();
    let one = &document["days"][0];
    assert_eq!(
        (&one["day"], &one["paid"], one["hours"].as_array().unwrap().len()),
        (&json!("2026-11-30"), &json!(400), 24)
    );
    let nine = json!({
        "ts": pay.at(day, 9, 0), "hour": "09:00+00:00", "handed_over": 1, "passed": 0, "unauthorised": 0, "unsure": 0,
        "inside": 4,
    });
    assert_eq!(one["hours"][9], nine);
    assert_eq!(one["lines"][1], json!({ "rule": "validated", "count": 1, "sum": -200 }));
}
