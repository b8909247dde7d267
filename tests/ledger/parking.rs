//! A lane of a car park sells through the same counter and the same ledger as a machine with slots.

use std::path::Path;

use jiff::civil::date;
use jiff::tz::TimeZone;
use kioskd::ledger::{Journal, Reader};
use kioskd::operation::{Operation, Refusal};
use kioskd::parking::report::{Of, Report};
use kioskd::parking::shop::{Deed, INSIDE_NOTE, Memo};
use kioskd::parking::ticket::{ClassNumber, EntryTime, Minute, Plate, TicketNumber};
use kioskd::sale::event::{Event, Illegal};
use kioskd::sale::presented::TicketDeed;
use kioskd::sale::{ORDER_NOTE, Record};
use kioskd::vocabulary::{Currency, Evidence, OrderId, StopReason, UnknownDelivery, Wall};
use serde_json::{Value, json};

use crate::car_park::{CarPark, FREE_MINUTES, enters, exit, leaves};
use crate::kit::{self, BASE, Shop};

/// A car park with two places, started.
fn opened(directory: &Path) -> Shop {
    let ledger = kit::open(directory).unwrap();
    let mut lanes = Shop::selling(directory, ledger, kit::policy(UnknownDelivery::Refund), CarPark::new(2));
    lanes.start();
    lanes
}

fn restarted(lanes: Shop) -> Shop {
    let mut lanes = lanes.again(CarPark::new(2));
    lanes.start();
    lanes
}

/// What the lane asks for, and the time until the glass is free again.
fn ask(lanes: &mut Shop, event: Event) -> OrderId {
    lanes.feed(event);
    lanes.pass(10_000);
    lanes.state.last_order.unwrap()
}

/// A paid way out.
fn pay_out(lanes: &mut Shop, ticket: &str, minutes: u32, amount: i64) -> OrderId {
    lanes.feed(leaves(ticket, minutes));
    let order = lanes.state.current.expect("an order waits for its payment");
    lanes.pay(order, amount);
    lanes.pass(200_000);
    order
}

/// As many as may leave.
fn inside(lanes: &Shop) -> u32 {
    lanes.state.outlet(&exit()).unwrap().count
}

fn why(lanes: &Shop, order: OrderId) -> String {
    Reader::open(&lanes.directory).unwrap().why(Some(&order.to_string())).unwrap().expect("an order").to_string()
}

fn says(lanes: &Shop, order: OrderId, sentences: &[&str]) {
    let story = why(lanes, order);
    for sentence in sentences {
        assert!(story.contains(sentence), "{sentence} in {story}");
    }
}

fn verified(lanes: &Shop) {
    assert_eq!(Reader::open(&lanes.directory).unwrap().verify().unwrap().seq, lanes.ledger.seq());
}

#[test]
fn a_paid_and_a_free_stay_are_told_from_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    let came = ask(&mut lanes, enters("S1"));
    ask(&mut lanes, enters("S2"));
    assert_eq!(inside(&lanes), 2);
    let paid = pay_out(&mut lanes, "S1", 61, 1_000);
    assert_eq!(inside(&lanes), 1);
    let free = ask(&mut lanes, leaves("S2", FREE_MINUTES));
    assert_eq!(inside(&lanes), 0);
    says(
        &lanes,
        came,
        &["granted (ticket): entry with ticket S1 (stay S1)", "gate entry-1 has opened", "paid 0.00 CNY"],
    );
    let minutes = "offered parking, 61 min (stay S1) for 10.00 CNY";
    says(&lanes, paid, &[minutes, "paid 10.00 CNY by", "gate exit-1 has opened", "ended: delivered"]);
    says(&lanes, free, &["granted (nothing-due): parking, 15 min", "gate exit-1 has opened", "ended: delivered"]);
    verified(&lanes);
}

#[test]
fn a_full_park_refuses_an_entry_and_sells_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    ask(&mut lanes, enters("S1"));
    ask(&mut lanes, enters("S2"));
    let full = Illegal::NotSold(Refusal::CannotDeliver { reason: StopReason::Full });
    assert_eq!(lanes.refused(enters("S3")), full);
    pay_out(&mut lanes, "S1", 20, 500);
    assert_eq!(inside(&lanes), 1);
    ask(&mut lanes, enters("S3"));
    assert_eq!(inside(&lanes), 2);
    verified(&lanes);
}

#[test]
fn a_restart_knows_how_many_cars_are_inside() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    ask(&mut lanes, enters("S1"));
    ask(&mut lanes, enters("S2"));
    let mut lanes = restarted(lanes);
    assert_eq!(inside(&lanes), 2);
    lanes.refused(enters("S3"));
    // Nobody can say whether this car is out: it may be.
    lanes.drops = [Evidence::Silent { why: "no answer".into() }].into();
    pay_out(&mut lanes, "S1", 20, 500);
    let mut lanes = restarted(lanes);
    assert_eq!(inside(&lanes), 1);
    pay_out(&mut lanes, "S2", 20, 500);
    let lanes = restarted(lanes);
    assert_eq!(inside(&lanes), 0);
    verified(&lanes);
}

#[test]
fn a_gate_that_stays_shut_gives_the_fee_back_and_sells_again_once_it_is_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    ask(&mut lanes, enters("S1"));
    lanes.drops = [Evidence::Nothing { self_tested: true }].into();
    let shut = pay_out(&mut lanes, "S1", 20, 500);
    says(&lanes, shut, &["given back 5.00 CNY", "ended: refunded"]);
    let mut lanes = restarted(lanes);
    assert_eq!(inside(&lanes), 1);
    let shut = Illegal::NotSold(Refusal::CannotDeliver { reason: StopReason::OutletFaulty });
    assert_eq!(lanes.refused(leaves("S1", 20)), shut);
    lanes.operate(Operation::Refill);
    pay_out(&mut lanes, "S1", 20, 500);
    assert_eq!(inside(&lanes), 0);
    verified(&lanes);
}

#[test]
fn a_gate_that_a_technician_opens_lets_a_car_through_that_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    ask(&mut lanes, enters("S1"));
    lanes.operate(Operation::Maintenance { on: true });
    lanes.drops = [Evidence::Nothing { self_tested: true }].into();
    lanes.operate(Operation::Pulse { outlet: exit() });
    assert_eq!(inside(&lanes), 1, "it has opened, and nobody has gone");
    lanes.operate(Operation::Pulse { outlet: exit() });
    lanes.operate(Operation::Maintenance { on: false });
    let lanes = restarted(lanes);
    assert_eq!(inside(&lanes), 0);
    verified(&lanes);
}

/// What no record says is on disk with the records of its step, comes back, and is noticed where it is another.
#[test]
fn what_the_shop_remembers_beside_its_records_is_verified_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    ask(&mut lanes, enters("T1"));
    verified(&lanes);
    let memory = lanes.ledger.recover().unwrap().memory;
    assert_eq!(memory.get("told").map(String::as_str), Some("{\"cars\":1}"));
    drop(lanes);
    for change in ["name = 'other'", "value = '{\"cars\":2}'", "sum = 'x' || sum"] {
        let copy = kit::copy_of(directory.path());
        let raw = rusqlite::Connection::open(kit::db_of(copy.path())).unwrap();
        assert_eq!(raw.execute(&format!("UPDATE memory SET {change}"), []), Ok(1));
        drop(raw);
        let verified = Reader::open(copy.path()).and_then(|reader| reader.verify().map(|_| ()));
        assert!(verified.is_err_and(|error| error.to_string().contains("table memory")), "{change}");
    }
}

const TICKET: &str = "03-0004567-9";

/// A note of the shop's, as a car park writes it.
fn note(lanes: &mut Shop, key: &str, value: Value) {
    let at = lanes.stamp();
    let noted = Record::ShopNoted { key: key.into(), value: Some(value) };
    lanes.ledger.commit(&at, &[noted], &lanes.state).unwrap();
}

/// A car came in with a ticket, and paid on its way out.
fn whole_stay(lanes: &mut Shop) -> (OrderId, OrderId) {
    let came = ask(lanes, enters(TICKET));
    let (entry, plate) = (EntryTime::Known(Minute::of(Wall(BASE)).unwrap()), Plate::typed("京A12345").ok());
    let deed = Deed::Enter { entry, class: ClassNumber::default(), plate, ticket: true, season: None };
    let memo = Memo { number: TicketNumber::typed(TICKET).unwrap(), deed, bill: Vec::new() };
    note(lanes, &format!("{ORDER_NOTE}{came}"), serde_json::to_value(memo).unwrap());
    (came, pay_out(lanes, TICKET, 61, 1_000))
}

#[test]
fn a_stay_is_found_by_its_ticket_however_it_is_typed_and_by_its_plate() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    let (came, paid) = whole_stay(&mut lanes);
    ask(&mut lanes, enters("S2"));
    let reader = Reader::open(directory.path()).unwrap();
    let found = |name: &str| reader.why(Some(name)).unwrap().map(|story| story.json());
    for name in [TICKET, "0300045679", "03 0004567 9"] {
        let story = found(name).unwrap_or_else(|| panic!("{name} is not found"));
        assert_eq!((&story["order"], &story["orders_of_stay"]), (&json!(paid), &json!([came])), "{name}: the newest");
    }
    for name in ["京A12345", "京 a-12345"] {
        assert_eq!(found(name).unwrap()["order"], json!(came), "{name}");
    }
    says(&lanes, came, &["ticket 03-0004567-9 for 京A12345", &format!("the same stay: order {paid}")]);
    // One digit is wrong, and another car.
    assert_eq!((found("03-0004567-8"), found("沪B12345")), (None, None));
    verified(&lanes);
}

#[test]
fn the_report_of_a_car_park_is_read_from_its_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let mut lanes = opened(directory.path());
    note(&mut lanes, INSIDE_NOTE, json!({ "until": BASE - 3_600_000, "cars": 41 }));
    whole_stay(&mut lanes);
    let of = Of {
        kiosk: "K1".into(),
        does: TicketDeed::GiveOut,
        gate: None,
        zone: TimeZone::UTC,
        currency: Currency::from_code("CNY").unwrap(),
    };
    let reader = Reader::open(directory.path()).unwrap();
    let day = date(2026, 11, 18);
    let read = |first, last| {
        let mut report = Report::new(of.clone(), first, last).unwrap();
        reader.parking(&mut report).unwrap();
        report
    };
    let report = read(day, day);
    let hour = &report.days[&day].hours[11];
    assert!(hour.begins.0 <= BASE && BASE < hour.ends.0);
    assert_eq!((report.days[&day].stays, report.days[&day].paid), (1, 1_000));
    assert_eq!(report.inside(&report.days[&day].hours[10]), Some(41));
    let before = read(date(2026, 11, 1), date(2026, 11, 17));
    assert!(before.days.values().all(|day| day.paid == 0));
    // What was noted before the first day holds on it.
    note(&mut lanes, "other", json!(1));
    lanes.now += 3 * 86_400_000;
    note(&mut lanes, "other", json!(2));
    let after = read(date(2026, 11, 20), date(2026, 11, 20));
    assert_eq!(after.inside(&after.days[&date(2026, 11, 20)].hours[0]), Some(41));
}
