//! Cars that come and go by their number plates.

use super::*;
use crate::parking::site::Left;

impl Kiosk {
    /// A car is there, and a camera has read its plate. Whether somebody is to answer it.
    fn sees(&mut self, plate: &str) -> bool {
        self.park.car_waits(true);
        self.park.plate_seen(plate);
        self.park.car_came()
    }

    fn car(&self) -> Answer {
        self.park.presented(&Presented::Car, None)
    }

    fn drives_on(&mut self) {
        self.park.car_waits(false);
        self.later(1);
    }
}

fn by_plate() -> Kiosk {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    entry.park.parts.settings.by_plate = true;
    entry
}

fn enter_by_plate(entry: &mut Kiosk, order: u128, plate: &str) -> TicketNumber {
    assert!(entry.sees(plate));
    let quote = granted(entry.car());
    let number = TicketNumber::typed(quote.number.as_ref().unwrap()).unwrap();
    let order = entry.take(order, &quote, true);
    assert_eq!(entry.park.code(&order), None, "no ticket is printed");
    entry.drives_on();
    number
}

#[test]
fn a_plate_stands_on_the_ticket_that_is_given_out_next() {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    entry.sees("kn-ab 120");
    assert_eq!(entry.car(), Answer::Nothing, "a ticket is taken by the button");
    let ticket = granted(entry.park.presented(&Presented::NoTicketYet, None));
    let order = entry.take(1, &ticket, true);
    assert_eq!(entry.park.code(&order).unwrap().plate.as_deref(), Some("KNAB120"));
    entry.drives_on();
    let (_, second) = enter(&mut entry, 2);
    assert_eq!(entry.park.site.find(second).unwrap().entered.plate, None, "it is not the next car's too");
}

#[test]
fn a_plate_that_is_read_a_moment_late_is_told_all_the_same() {
    let (mut entry, mut pay) = (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay));
    entry.park.car_waits(true);
    let (_, number) = enter(&mut entry, 1);
    let revision = entry.park.memory();
    entry.park.plate_seen("KN AB 120");
    assert_ne!(entry.park.memory(), revision, "it goes to disk");
    meet(&mut [&mut entry, &mut pay]);
    pay.later(50);
    let typed = quote(pay.park.presented(&Presented::Plate("knab120".into()), None));
    assert_eq!((typed.number, typed.unit.price), (Some(number.to_string()), 600));
}

#[test]
fn an_entry_by_plates_gives_a_ticket_to_who_has_none_read() {
    let mut entry = by_plate();
    let number = enter_by_plate(&mut entry, 1, "KN AB 120");
    assert_eq!(entry.park.site.find(number).unwrap().entered.plate.unwrap().as_str(), "KNAB120");
    let (_, second) = enter(&mut entry, 2);
    assert_eq!(entry.park.site.find(second).unwrap().entered.plate, None);
    entry.drives_on();
    assert!(!entry.sees("XY 9"), "every place is taken, so it waits");
    let void = entry.park.void(&second.to_string(), &entry.at).unwrap();
    void.iter().for_each(|record| entry.park.apply(record));
    assert!(entry.park.car_came());
}

#[test]
fn who_goes_back_from_an_entry_by_plates_may_come_again() {
    let mut entry = by_plate();
    assert!(entry.sees("KN AB 120"));
    let quote = granted(entry.car());
    let id = OrderId::from_parts(1, 1);
    entry.park.apply(&Record::ShopNoted { key: format!("{ORDER_NOTE}{id}"), value: Some(quote.memo) });
    let gone = Record::ItemNotDelivered { order: id, item: 0, outlet: None, why: Cause::Withdrawn, last: true };
    entry.park.apply(&gone);
    entry.park.car_waits(false);
    assert_eq!(entry.park.site.occupancy(), 0);
    enter_by_plate(&mut entry, 2, "KN AB 120");
    assert_eq!(entry.park.site.occupancy(), 1);
}

#[test]
fn an_exit_opens_for_a_plate_whose_stay_is_paid_and_bills_the_others() {
    let (mut entry, mut pay, mut exit) = (by_plate(), kiosk(2, TicketDeed::Pay), kiosk(3, TicketDeed::Leave));
    let number = enter_by_plate(&mut entry, 1, "KN AB 120");
    exit.later(60);
    assert!(exit.sees("KN AB 120"));
    assert_eq!(exit.car(), Answer::Nothing, "it has not heard of it");
    exit.drives_on();
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    for near in ["KN AB 12O", "KN AB 102", "KN AB 121", "XY 9"] {
        assert!(exit.sees(near), "{near}");
        assert_eq!(exit.car(), Answer::Nothing, "{near} opens nothing and shows nothing of another's");
        exit.drives_on();
    }
    assert!(exit.sees("KN AB 120"));
    let bill = quote(exit.car());
    assert_eq!((bill.unit.price > 0, bill.plate.as_deref()), (true, Some("KNAB120")));

    pay.later(65);
    let typed = quote(pay.park.presented(&Presented::Plate("KN AB 120".into()), None));
    let order = pay.take(1, &typed, false);
    assert_eq!(pay.park.code(&order), None, "whoever types a plate gets no pass");
    assert!(!exit.park.car_came());
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    // It stands there still.
    exit.park.plate_seen("KN AB 120");
    assert!(exit.park.car_came(), "what was paid meanwhile is not asked for again");
    let out = granted(exit.car());
    assert_eq!((out.unit.price, out.number.clone()), (0, Some(number.to_string())));
    exit.take(1, &out, true);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    assert_eq!(entry.park.site.occupancy(), 0);
    exit.drives_on();
    assert!(exit.sees("KN AB 120"));
    assert_eq!(exit.car(), Answer::Nothing, "a second car with this plate");
}

#[test]
fn the_bill_of_a_plate_is_paid_at_the_exit() {
    let (mut entry, mut exit) = (by_plate(), kiosk(3, TicketDeed::Leave));
    let number = enter_by_plate(&mut entry, 1, "KN AB 120");
    meet(&mut [&mut entry, &mut exit]);
    exit.later(150);
    assert!(exit.sees("KN AB 120"));
    let bill = quote(exit.car());
    let half = stamp(&exit, 1, Worth::Percent(50));
    let less = quote(exit.show(&half, Some(&bill)));
    assert_eq!(less.unit.price * 2, bill.unit.price, "a shop's code counts for it");
    exit.take(1, &less, true);
    assert!(exit.park.site.over(number).is_some());
    assert_eq!(exit.park.site.paid(number, &[]).unwrap().amount(), less.unit.price);
}

#[test]
fn of_two_stays_with_one_plate_the_newer_is_asked() {
    let (mut entry, mut other, mut exit) = (by_plate(), kiosk(4, TicketDeed::GiveOut), kiosk(3, TicketDeed::Leave));
    other.park.parts.settings.by_plate = true;
    let old = enter_by_plate(&mut other, 1, "KN AB 120");
    entry.later(30);
    let new = enter_by_plate(&mut entry, 1, "KN AB 120");
    meet(&mut [&mut entry, &mut other, &mut exit]);
    exit.later(32);
    assert!(exit.sees("KN AB 120"));
    let out = granted(exit.car());
    assert_eq!(out.number, Some(new.to_string()));
    exit.take(1, &out, true);
    assert!(exit.park.site.over(new).is_some() && exit.park.site.over(old).is_none());
}

/// A plate is no signature: whoever has painted another's on his car leaves what a ticket would have to leave, too.
#[test]
fn a_plate_lets_nobody_out_whom_its_ticket_would_not() {
    let (mut entry, mut exit) = (by_plate(), kiosk(3, TicketDeed::Leave));
    let number = enter_by_plate(&mut entry, 1, "KN AB 120");
    meet(&mut [&mut entry, &mut exit]);
    exit.park.parts.settings.pays = false;
    exit.later(150);
    assert!(exit.sees("KN AB 120"));
    assert_eq!(refused(exit.car()), "stay-pay-first");
    let left = Fact::Left(Left { stay: Number(number), at: None, how: crate::parking::site::How::Person });
    exit.park.fact(left);
    assert_eq!(exit.car(), Answer::Nothing);
}
