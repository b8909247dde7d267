//! Cars that come and go with a season pass. It is Monday, and the pass covers working days from 07:00 to 19:00.

use super::*;
use crate::parking::ticket::{Plate, Season};

const DAY: u64 = 24 * 60;

fn pass_until(number: u32, minutes: u64, plate: Option<&str>) -> String {
    let keys = kiosk(1, TicketDeed::Pay).park.parts.keys;
    let site = Issuer::new(signer(1, "site"), KeyNumber(1), &keys).unwrap();
    let until = Minute::of(Wall(START + minutes * 60_000)).unwrap();
    let plate = plate.map(|plate| Plate::typed(plate).unwrap());
    site.issue(&Code::Season(Season { number, season: 0, until, plate })).unwrap()
}

fn pass(number: u32) -> String {
    pass_until(number, 30 * DAY, None)
}

fn enter_with(entry: &mut Kiosk, order: u128, pass: &str) -> TicketNumber {
    let quote = granted(entry.show(pass, None));
    let number = TicketNumber::typed(quote.number.as_ref().unwrap()).unwrap();
    let order = entry.take(order, &quote, true);
    assert_eq!(entry.park.code(&order), None, "no ticket is printed");
    number
}

fn three() -> (Kiosk, Kiosk, Kiosk) {
    (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay), kiosk(3, TicketDeed::Leave))
}

fn notes(kiosk: &mut Kiosk) -> Vec<String> {
    let told = |note: Note| note.value?["told"].as_str().map(str::to_owned);
    kiosk.park.news().into_iter().filter_map(told).collect()
}

#[test]
fn a_season_pass_comes_and_goes_and_has_one_car_inside() {
    let (mut entry, mut pay, mut exit) = three();
    let pass = pass(17);
    let number = enter_with(&mut entry, 1, &pass);
    assert_eq!(refused(entry.show(&pass, None)), "season-inside");
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    assert_eq!(exit.park.site.season(17), Some(number));
    for kiosk in [&mut pay, &mut exit] {
        kiosk.later(300);
    }
    assert_eq!(quote(pay.show(&pass, None)).unit.price, 0, "all of it is covered");
    let out = granted(exit.show(&pass, None));
    exit.take(1, &out, true);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    assert_eq!(entry.park.site.occupancy(), 0);
    entry.later(310);
    enter_with(&mut entry, 2, &pass);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    assert!([&mut entry, &mut pay, &mut exit].into_iter().all(|kiosk| notes(kiosk).is_empty()));
}

#[test]
fn what_it_does_not_cover_is_paid() {
    let (mut entry, mut pay, mut exit) = three();
    let (first, second) = (pass(17), pass(18));
    let number = enter_with(&mut entry, 1, &first);
    enter_with(&mut entry, 2, &second);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    // 19:00 is eleven hours after they came.
    for kiosk in [&mut pay, &mut exit] {
        kiosk.later(12 * 60);
    }
    let bill = quote(exit.show(&first, None));
    let whole = exit.park.quote(price::Seen { season: None, ..exit_seen(&exit, number) }, exit.at.wall.unwrap(), true);
    assert!(0 < bill.unit.price && bill.unit.price < whole.unwrap().unit.price, "an hour of twelve");
    let due = bill.unit.price;
    exit.take(1, &bill, true);
    assert_eq!(exit.park.site.paid(number, &[]).unwrap().amount(), due);

    let bill = quote(pay.show(&second, None));
    assert_eq!(bill.unit.price, due);
    let order = pay.take(1, &bill, false);
    let out = pay.park.code(&order).unwrap();
    assert_eq!(out.kind, CodeKind::ExitPass);
    granted(exit.show(&out.code, None));
    let again = quote(exit.show(&second, None));
    let less = granted(exit.show(&out.code, Some(&again)));
    assert_eq!(less.unit.price, 0, "what was paid elsewhere is shown with its pass, beside the season pass");
}

fn exit_seen(exit: &Kiosk, number: TicketNumber) -> price::Seen {
    present::seen_of(&exit.park.site.find(number).unwrap())
}

#[test]
fn an_exit_that_has_not_heard_lets_it_out_once_and_on_record() {
    let (mut entry, mut pay, mut exit) = three();
    let pass = pass(17);
    let number = enter_with(&mut entry, 1, &pass);
    pay.later(90);
    exit.later(90);
    assert_eq!(refused(pay.show(&pass, None)), "season-not-inside");
    let out = granted(exit.show(&pass, None));
    exit.take(1, &out, true);
    assert_eq!(notes(&mut exit), ["season pass 17 was let out, and no lane had told that it came in"]);
    exit.later(DAY - 1);
    assert_eq!(refused(exit.show(&pass, None)), "season-let-out");
    let mut again = kiosk(3, TicketDeed::Leave);
    again.park.recall(remembered(&exit.park)).unwrap();
    again.later(DAY);
    assert_eq!(refused(again.show(&pass, None)), "season-let-out", "a restart forgets nothing");
    let (mut one, mut two) = (again, exit);
    two.later(1);
    granted(two.show(&pass, None));

    // It hears of the entry, and ends the stay: the pass is free again, and nothing was done twice.
    meet_in(8, &mut [&mut entry, &mut pay, &mut one]);
    assert!(entry.park.site.over(number).is_some() && entry.park.site.season(17).is_none());
    assert_eq!(entry.park.site.occupancy(), 0);
    entry.later(200);
    let next = enter_with(&mut entry, 2, &pass);
    meet(&mut [&mut entry, &mut pay, &mut one]);
    assert!(one.park.site.over(next).is_none(), "who came after that is inside");
    assert!([&mut entry, &mut pay, &mut one].into_iter().all(|kiosk| notes(kiosk).is_empty()));
    assert_eq!(quote(one.show(&pass, None)).number, Some(next.to_string()), "a night is not covered");
}

#[test]
fn a_copy_of_a_pass_is_found_when_the_lanes_hear_each_other() {
    let (mut entry, mut other) = (kiosk(1, TicketDeed::GiveOut), kiosk(4, TicketDeed::GiveOut));
    let pass = pass(17);
    enter_with(&mut entry, 1, &pass);
    enter_with(&mut other, 1, &pass);
    meet(&mut [&mut entry, &mut other]);
    for kiosk in [&mut entry, &mut other] {
        let told = notes(kiosk);
        assert!(told.len() == 1 && told[0].starts_with("season pass 17 perhaps came in twice"), "{told:?}");
    }
}

#[test]
fn it_ends_and_what_comes_after_that_is_a_stay_of_its_own() {
    let (mut entry, mut pay, mut exit) = three();
    let pass = pass_until(17, 120, None);
    enter_with(&mut entry, 1, &pass);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    entry.later(121);
    assert_eq!(refused(entry.show(&pass, None)), "season-run-out");
    exit.later(121 + 50);
    let bill = quote(exit.show(&pass, None));
    assert_eq!(bill.unit.price, 600, "as fifty minutes are");
    assert_eq!(refused(exit.show(&pass_until(18, 120, None), None)), "season-run-out");
    let foreign = Season { number: 1, season: 9, until: Minute::of(Wall(START + 60_000)).unwrap(), plate: None };
    let foreign = exit.park.parts.issuer.as_ref().unwrap().issue(&Code::Season(foreign)).unwrap();
    assert_eq!(refused(exit.show(&foreign, None)), "stay-not-valid", "the tariff has no such pass");
}

#[test]
fn who_goes_back_has_the_pass_free_again() {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    let pass = pass(17);
    let quote = granted(entry.show(&pass, None));
    let id = OrderId::from_parts(1, 1);
    entry.park.apply(&Record::ShopNoted { key: format!("{ORDER_NOTE}{id}"), value: Some(quote.memo) });
    assert_eq!(refused(entry.show(&pass, None)), "season-inside");
    let gone = Record::ItemNotDelivered { order: id, item: 0, outlet: None, why: Cause::Withdrawn, last: true };
    entry.park.apply(&gone);
    enter_with(&mut entry, 2, &pass);
}

#[test]
fn a_pass_with_a_plate_is_for_that_car() {
    let (mut entry, mut pay, mut exit) = three();
    let pass = pass_until(17, 30 * DAY, Some("KN AB 120"));
    entry.park.car_waits(true);
    entry.park.plate_seen("XY 9");
    assert_eq!(refused(entry.show(&pass, None)), "season-other-plate");
    entry.park.plate_seen("KN AB 12O");
    let number = enter_with(&mut entry, 1, &pass);
    let told = entry.park.site.find(number).unwrap().entered.plate.unwrap();
    assert_eq!(told.as_str(), "KNAB120", "a camera misreads, the pass does not");
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    let typed = pay.park.presented(&Presented::Plate("KNAB120".into()), None);
    assert_eq!(refused(typed), "season-show-pass", "what it covers stands on the pass");
    exit.park.car_waits(true);
    exit.park.plate_seen("KN AB 120");
    assert!(exit.park.car_came());
    assert_eq!(exit.park.presented(&Presented::Car, None), Answer::Nothing);
    granted(exit.show(&pass, None));
}

#[test]
fn a_pass_covers_a_stay_that_its_plate_began() {
    let (mut entry, mut exit) = (kiosk(1, TicketDeed::GiveOut), kiosk(3, TicketDeed::Leave));
    entry.park.parts.settings.by_plate = true;
    entry.park.car_waits(true);
    entry.park.plate_seen("KN AB 120");
    let quote = granted(entry.park.presented(&Presented::Car, None));
    entry.take(1, &quote, true);
    meet(&mut [&mut entry, &mut exit]);
    exit.later(300);
    let out = granted(exit.show(&pass_until(17, 30 * DAY, Some("KN AB 120")), None));
    assert_eq!((out.number, out.unit.price), (quote.number, 0));
}

/// Kiosks that list pass 17 for the car KN AB 120, and that pass 18 counts no more.
fn with_list() -> (Kiosk, Kiosk, Kiosk) {
    let until = Minute::of(Wall(START + 30 * DAY * 60_000)).unwrap();
    let mut passes = Passes::default();
    let plate = Some(Plate::typed("KN AB 120").unwrap());
    passes.list(Season { number: 17, season: 0, until, plate }).unwrap();
    passes.withdraw(18).unwrap();
    let (mut entry, mut pay, mut exit) = three();
    for kiosk in [&mut entry, &mut pay, &mut exit] {
        kiosk.park.parts.passes = Arc::new(passes.clone());
    }
    (entry, pay, exit)
}

fn sees(kiosk: &mut Kiosk, plate: &str) -> Answer {
    kiosk.park.car_waits(true);
    kiosk.park.plate_seen(plate);
    assert!(kiosk.park.car_came());
    kiosk.park.presented(&Presented::Car, None)
}

fn leaves(kiosk: &mut Kiosk) {
    kiosk.park.car_waits(false);
    kiosk.later(1);
}

#[test]
fn a_listed_pass_needs_no_code() {
    let (mut entry, mut pay, mut exit) = with_list();
    let came = granted(sees(&mut entry, "KN AB 120"));
    let order = entry.take(1, &came, true);
    assert_eq!(entry.park.code(&order), None, "no ticket is printed");
    leaves(&mut entry);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    let number = exit.park.site.season(17).unwrap();
    // Another car with the same plate comes in as any car does.
    assert_eq!(sees(&mut entry, "KN AB 120"), Answer::Nothing);
    let second = granted(entry.park.presented(&Presented::NoTicketYet, None));
    assert_ne!(second.number, Some(number.to_string()));
    for kiosk in [&mut pay, &mut exit] {
        kiosk.later(300);
    }
    let typed = quote(pay.park.presented(&Presented::Number(number.to_string()), None));
    assert_eq!(typed.unit.price, 0, "all of it is covered");
    let out = granted(sees(&mut exit, "KN AB 120"));
    assert_eq!((out.number.clone(), out.unit.price), (Some(number.to_string()), 0));
    exit.take(1, &out, true);
    assert!(exit.park.site.over(number).is_some());
}

#[test]
fn what_a_listed_pass_does_not_cover_is_paid() {
    let (mut entry, mut pay, mut exit) = with_list();
    let came = granted(sees(&mut entry, "KN AB 120"));
    entry.take(1, &came, true);
    let first = came.number.unwrap();
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    // 19:00 is eleven hours after it came.
    for kiosk in [&mut pay, &mut exit] {
        kiosk.later(12 * 60);
    }
    let bill = quote(sees(&mut exit, "KN AB 120"));
    assert_eq!(bill.number.as_ref(), Some(&first));
    let typed = quote(pay.park.presented(&Presented::Plate("KNAB120".into()), None));
    assert_eq!(typed.unit.price, bill.unit.price);
    let number = TicketNumber::typed(&first).unwrap();
    let whole = exit.park.quote(price::Seen { season: None, ..exit_seen(&exit, number) }, exit.at.wall.unwrap(), true);
    assert!(0 < bill.unit.price && bill.unit.price < whole.unwrap().unit.price, "an hour of twelve");
    // A shop pays for a part of what stands there: the pass covers the rest all the same.
    let shop = stamp(&exit, 3, Worth::Minutes(1));
    let again = exit.show(&shop, Some(&bill));
    assert!(quote(again).unit.price <= bill.unit.price);
}

#[test]
fn a_listed_pass_of_which_nothing_was_heard_is_let_out_once_a_day() {
    let (_, _, mut exit) = with_list();
    let out = granted(sees(&mut exit, "KN AB 120"));
    exit.take(1, &out, true);
    leaves(&mut exit);
    assert_eq!(notes(&mut exit).len(), 1, "it is on record");
    exit.later(60);
    assert_eq!(refused(sees(&mut exit, "KN AB 120")), "season-let-out");
}

#[test]
fn a_pass_that_was_withdrawn_lets_nobody_in_and_covers_nothing() {
    let (mut entry, mut pay, mut exit) = with_list();
    let pass = pass(18);
    assert_eq!(refused(entry.show(&pass, None)), "season-withdrawn");
    assert_eq!(refused(exit.show(&pass, None)), "season-withdrawn");
    // It came in before the lists said so.
    let listed = std::mem::take(&mut entry.park.parts.passes);
    let number = enter_with(&mut entry, 1, &pass);
    entry.park.parts.passes = listed;
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    for kiosk in [&mut pay, &mut exit] {
        kiosk.later(300);
    }
    let whole = pay.park.quote(exit_seen(&pay, number), pay.at.wall.unwrap(), false).unwrap().unit.price;
    assert!(whole > 0);
    let bill = quote(exit.show(&pass, None));
    assert_eq!(bill.unit.price, whole);
    let typed = quote(pay.park.presented(&Presented::Number(number.to_string()), None));
    assert_eq!(typed.unit.price, whole);
    let shop = stamp(&exit, 3, Worth::Minutes(1));
    assert!(quote(exit.show(&shop, Some(&bill))).unit.price > 0, "nor when something else is shown");
}
