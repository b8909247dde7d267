//! The car park as the sale asks it: a ticket is given out, shown, paid and let out, by three kiosks of one site.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::parking::site::{Document, Member, Over, Roster};
use crate::parking::tariff::{self, Label, Worth};
use crate::parking::ticket::{
    ClassNumber, EntryTime, KeyNumber, LaneNumber, Owner, SiteKey, SiteNumber, TicketNumber, Validation,
    ValidationNumber,
};
use crate::sale::presented::{Answer, LET_THROUGH_NOTE, LetThrough, Presented};
use crate::signed::jws::Signer;
use crate::vocabulary::{Grant, Language};

mod plates;
mod returns;
mod seasons;

#[derive(Debug)]
struct Plain;

impl Wording for Plain {
    fn line(&self, _: &Tariff, line: &Line) -> Localized {
        Localized([(Language::new("en"), format!("{:?}", line.reason))].into())
    }

    fn stay(&self, number: &str) -> Localized {
        Localized([(Language::new("en"), format!("Parking, ticket {number}"))].into())
    }
}

const START: u64 = 1_795_996_800_000; // 2026-11-30 08:00 in Shanghai

fn signer(seed: u8, kid: &str) -> Signer {
    // An Ed25519 private key in PKCS#8 (RFC 8410): the header is fixed, the seed is 32 bytes.
    let mut der = data_encoding::HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap();
    der.extend([seed; 32]);
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", data_encoding::BASE64.encode(&der));
    Signer::from_pem(pem.as_bytes(), kid).unwrap()
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::new(number).unwrap()
}

struct Kiosk {
    park: CarPark,
    at: Stamp,
}

fn kiosk(number: u8, does: TicketDeed) -> Kiosk {
    let site = SiteNumber::new(7).unwrap();
    let key = |n: u8, owner, seed| SiteKey { number: KeyNumber(n), owner, key: signer(seed, "x").public() };
    let shop = Owner::Shop(Label::parse("bakery").unwrap());
    let keys = SiteKeys::new(site, vec![key(1, Owner::Site, 1), key(9, shop, 9)]).unwrap();
    let lanes = (1..=4).map(|n| {
        let name = LaneId::parse(&format!("lane-{n}")).unwrap();
        (lane(n), Member { name, keys: vec![signer(100 + n, "x").public()], retired: false })
    });
    let roster = Roster::new(site, lanes.collect::<BTreeMap<_, _>>()).unwrap();
    let gate = (does != TicketDeed::Pay).then(|| LaneId::parse(&format!("lane-{number}")).unwrap());
    let parts = Parts {
        settings: Settings { does, gate, places: Some(2), doubt: 240, pays: true, by_plate: false, sees_cars: true },
        tariff: Arc::new(tariff::parse(include_bytes!("../../../configs/tariffs/city.toml")).unwrap()),
        issuer: Some(Arc::new(Issuer::new(signer(1, "site"), KeyNumber(1), &keys).unwrap())),
        keys: Arc::new(keys),
        passes: Arc::default(),
        signer: Some(Arc::new(signer(100 + number, &Document::kid(site, lane(number))))),
        wording: Arc::new(Plain),
    };
    let at = Stamp { now: Mono(1), wall: Some(Wall(START)), entropy: 0 };
    let mut park = CarPark::new(parts, Site::new(lane(number), roster));
    park.clock(&at);
    Kiosk { park, at }
}

impl Kiosk {
    fn later(&mut self, minutes: u64) {
        self.at.now = self.at.now + Duration::from_secs(60 * minutes);
        self.at.wall = self.at.wall.map(|wall| Wall(wall.0 + 60_000 * minutes));
        self.park.clock(&self.at);
    }

    fn show(&self, text: &str, quote: Option<&Quote>) -> Answer {
        self.park.presented(&Presented::Code(text.into()), quote)
    }

    /// What the sale does with an answer that was agreed to.
    fn take(&mut self, order: u128, quote: &Quote, gate: bool) -> Order {
        let id = OrderId::from_parts(1, order);
        let key = format!("{ORDER_NOTE}{id}");
        self.park.apply(&Record::ShopNoted { key, value: Some(quote.memo.clone()) });
        let outlet = if gate { self.park.gate().unwrap() } else { Outlet::Pass };
        let granted = Record::OrderGranted {
            order: id,
            short_code: id.short_code(),
            currency: crate::vocabulary::Currency::from_code("CNY").unwrap(),
            items: vec![quote.unit.clone()],
            grant: Grant::Ticket,
            outlet: None,
            by: None,
        };
        let mut fold = Order::begun(&granted).unwrap();
        let handed = Record::ItemDelivered { order: id, item: 0, attempt: 1, outlet, count: 1 };
        self.park.apply(&handed);
        fold.apply(&handed);
        fold
    }
}

fn quote(answer: Answer) -> Quote {
    match answer {
        Answer::Quote(quote) => *quote,
        other => panic!("{other:?}"),
    }
}

fn granted(answer: Answer) -> Quote {
    match answer {
        Answer::Granted { quote, .. } => *quote,
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Answer) -> &'static str {
    match answer {
        Answer::Refused(advice) => advice.text,
        other => panic!("{other:?}"),
    }
}

/// What is on disk of it beside its records.
fn remembered(park: &CarPark) -> BTreeMap<String, String> {
    park.memory().into_iter().map(|(name, _)| (name.clone(), park.part(&name).unwrap().unwrap())).collect()
}

/// All hear each other, and then nobody has anything to say any more.
fn meet(kiosks: &mut [&mut Kiosk]) {
    meet_in(5, kiosks);
}

fn meet_in(rounds: usize, kiosks: &mut [&mut Kiosk]) {
    for round in 1..=rounds {
        let mut said = Vec::new();
        for kiosk in kiosks.iter_mut() {
            kiosk.later(0);
            kiosk.at.now = kiosk.at.now + TELL_EVERY;
            kiosk.park.clock(&kiosk.at);
            said.extend(kiosk.park.tells().map(|message| (kiosk.park.site.me().get(), message)));
        }
        assert!(round < rounds || said.is_empty(), "they go on telling each other that they have heard");
        for kiosk in kiosks.iter_mut() {
            let me = kiosk.park.site.me().get();
            for (from, message) in said.iter().filter(|(from, _)| *from != me) {
                kiosk.park.heard(*from, message).unwrap();
            }
        }
    }
}

/// A shop's code, good for a day.
fn stamp(pay: &Kiosk, serial: u32, worth: Worth) -> String {
    let shop = Issuer::new(signer(9, "bakery"), KeyNumber(9), &pay.park.parts.keys).unwrap();
    let until = Minute::of(Wall(START + 86_400_000)).unwrap();
    let number = ValidationNumber { key: KeyNumber(9), serial };
    shop.issue(&Code::Validation(Validation { number, worth, until })).unwrap()
}

/// What it has found that was done twice.
fn conflicts(kiosk: &mut Kiosk) -> Vec<Note> {
    let notes = kiosk.park.news().into_iter();
    notes.filter(|note| note.key.starts_with(CONFLICT_NOTE)).collect()
}

fn enter(entry: &mut Kiosk, order: u128) -> (String, TicketNumber) {
    let ticket = granted(entry.park.presented(&Presented::NoTicketYet, None));
    let order = entry.take(order, &ticket, true);
    let code = entry.park.code(&order).unwrap();
    assert_eq!(code.kind, CodeKind::Ticket);
    (code.code, TicketNumber::typed(&code.number).unwrap())
}

#[test]
fn a_stay_is_paid_without_a_network_and_its_pass_opens_the_exit_once() {
    let (mut entry, mut pay, mut exit) =
        (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay), kiosk(3, TicketDeed::Leave));
    let (ticket, _) = enter(&mut entry, 1);
    pay.later(150);
    let bill = quote(pay.show(&ticket, None));
    assert_eq!((bill.unit.price, bill.bill.iter().map(|line| line.amount).sum::<i64>()), (1_800, 1_800));
    let order = pay.take(1, &bill, false);
    let pass = pay.park.code(&order).unwrap();
    assert_eq!((pass.kind, pass.until), (CodeKind::ExitPass, pay.at.wall.map(|wall| Wall(wall.0 + 15 * 60_000))));

    exit.later(155);
    assert_eq!(quote(exit.show(&ticket, None)).unit.price, 2_200, "it has not heard of the payment");
    let out = granted(exit.show(&pass.code, None));
    exit.take(1, &out, true);
    assert_eq!(refused(exit.show(&pass.code, None)), "stay-left", "a copy of the pass");
    assert_eq!(refused(exit.show(&ticket, None)), "stay-left", "and the ticket");

    meet(&mut [&mut entry, &mut pay, &mut exit]);
    assert_eq!(refused(pay.show(&ticket, None)), "stay-left");
    assert_eq!((entry.park.site.occupancy(), pay.park.site.occupancy(), exit.park.site.occupancy()), (0, 0, 0));
    assert!([&mut entry, &mut pay, &mut exit].iter_mut().all(|kiosk| conflicts(kiosk).is_empty()), "nothing twice");
}

#[test]
fn who_leaves_late_pays_the_difference_and_no_more() {
    let (mut entry, mut pay, mut exit) =
        (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay), kiosk(3, TicketDeed::Leave));
    let (ticket, number) = enter(&mut entry, 1);
    pay.later(50);
    let bill = quote(pay.show(&ticket, None));
    assert_eq!(bill.unit.price, 600);
    let order = pay.take(1, &bill, false);
    let pass = pay.park.code(&order).unwrap();
    meet(&mut [&mut entry, &mut pay, &mut exit]);

    exit.later(60);
    let leaves = granted(exit.show(&ticket, None));
    assert_eq!(leaves.unit.price, 0, "the ticket opens where the payment is known");
    exit.later(30);
    let late = quote(exit.show(&pass.code, None));
    assert_eq!((late.unit.price, late.paid), (400, 600), "90 minutes are 10.00");
    assert_eq!(late.outlet, exit.park.gate());
    exit.take(2, &late, true);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    assert!(entry.park.site.over(number).is_some());
    assert_eq!(exit.park.site.pass(number, 1).map(|pass| pass.amount), Some(1_000));
}

#[test]
fn a_copied_ticket_opens_once_at_each_lane_that_has_not_heard_and_is_found_later() {
    let (mut entry, mut one, mut other) =
        (kiosk(1, TicketDeed::GiveOut), kiosk(3, TicketDeed::Leave), kiosk(4, TicketDeed::Leave));
    let (ticket, _) = enter(&mut entry, 1);
    for exit in [&mut one, &mut other] {
        exit.later(10);
        let free = granted(exit.show(&ticket, None));
        exit.take(1, &free, true);
        assert_eq!(refused(exit.show(&ticket, None)), "stay-left");
    }
    meet(&mut [&mut entry, &mut one, &mut other]);
    for kiosk in [&mut entry, &mut one, &mut other] {
        let news = conflicts(kiosk);
        assert_eq!(news.len(), 1, "{news:?}");
        let told = news[0].value.as_ref().unwrap()["told"].as_str().unwrap().to_owned();
        assert!(told.contains("let a car out twice: lane-3") && told.contains("lane-4"), "{told}");
        assert!(conflicts(kiosk).is_empty(), "once");
    }
}

#[test]
fn a_shop_pays_for_a_part_of_the_stay_that_stands_on_the_glass() {
    let (mut entry, mut pay) = (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay));
    let (ticket, _) = enter(&mut entry, 1);
    let (half, five) = (stamp(&pay, 1, Worth::Percent(50)), stamp(&pay, 2, Worth::Amount(500)));
    pay.later(150);
    assert_eq!(refused(pay.show(&half, None)), "validation-first-the-ticket");
    let bill = quote(pay.show(&ticket, None));
    let less = quote(pay.show(&half, Some(&bill)));
    assert_eq!(less.unit.price, 900);
    assert_eq!(refused(pay.show(&half, Some(&less))), "validation-counts-already");
    let least = quote(pay.show(&five, Some(&less)));
    assert_eq!(least.unit.price, 400, "percent, then amounts");
    pay.take(1, &least, false);

    let (second, _) = enter(&mut entry, 2);
    let other = quote(pay.show(&second, None));
    assert_eq!(refused(pay.show(&half, Some(&other))), "validation-used");
}

/// What a shop pays in full is on record as what a customer pays is: once, and with a pass.
#[test]
fn a_shop_that_pays_for_all_of_it_lets_the_car_out() {
    let (mut entry, mut pay, mut exit) =
        (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay), kiosk(3, TicketDeed::Leave));
    let (ticket, _) = enter(&mut entry, 1);
    pay.later(150);
    let whole = stamp(&pay, 3, Worth::Percent(100));
    let bill = quote(pay.show(&ticket, None));
    let paid = granted(pay.show(&whole, Some(&bill)));
    assert_eq!((paid.unit.price, bill.unit.price), (0, 1_800));
    let order = pay.take(1, &paid, false);
    let pass = pay.park.code(&order).unwrap();
    exit.later(155);
    granted(exit.show(&pass.code, None));
    let (other, _) = enter(&mut entry, 2);
    let bill = quote(pay.show(&other, None));
    assert_eq!(refused(pay.show(&whole, Some(&bill))), "validation-used");
}

#[test]
fn what_is_typed_pays_and_gets_no_pass_and_a_lost_ticket_gets_one_of_its_own() {
    let (mut entry, mut pay, mut exit) =
        (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay), kiosk(3, TicketDeed::Leave));
    let (ticket, number) = enter(&mut entry, 1);
    assert_eq!(refused(pay.park.presented(&Presented::Number(number.to_string()), None)), "number-unknown");
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    pay.later(50);
    let typed = quote(pay.park.presented(&Presented::Number(number.to_string()), None));
    assert_eq!(typed.unit.price, 600);
    let order = pay.take(1, &typed, false);
    assert_eq!(pay.park.code(&order), None);
    meet(&mut [&mut entry, &mut pay, &mut exit]);
    exit.later(55);
    granted(exit.show(&ticket, None));

    let lost = quote(pay.park.presented(&Presented::LostTicket, None));
    assert_eq!((lost.unit.price, lost.lost), (6_000, true));
    let order = pay.take(2, &lost, false);
    let pass = pay.park.code(&order).unwrap();
    granted(exit.show(&pass.code, None));
}

#[test]
fn a_full_car_park_gives_out_no_ticket_and_who_goes_back_makes_room() {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    enter(&mut entry, 1);
    let ticket = granted(entry.park.presented(&Presented::NoTicketYet, None));
    let id = OrderId::from_parts(1, 2);
    entry.park.apply(&Record::ShopNoted { key: format!("{ORDER_NOTE}{id}"), value: Some(ticket.memo) });
    assert_eq!(entry.park.closed(), Some(StopReason::Full));
    assert_eq!(refused(entry.park.presented(&Presented::NoTicketYet, None)), "stay-full");
    let gone = Record::ItemNotDelivered { order: id, item: 0, outlet: None, why: Cause::Withdrawn, last: true };
    entry.park.apply(&gone);
    assert_eq!((entry.park.closed(), entry.park.site.occupancy()), (None, 1));
}

#[test]
fn what_a_person_has_counted_corrects_the_count_once_and_a_void_ticket_counts_no_more() {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    let (ticket, number) = enter(&mut entry, 1);
    let counted = entry.park.counted(5, &entry.at).unwrap();
    for _ in 0..2 {
        counted.iter().for_each(|record| entry.park.apply(record));
    }
    assert_eq!(entry.park.site.occupancy(), 5);
    let void = entry.park.void(&number.to_string(), &entry.at).unwrap();
    void.iter().for_each(|record| entry.park.apply(record));
    assert_eq!(entry.park.site.occupancy(), 4);
    assert_eq!(entry.park.void(&number.to_string(), &entry.at), Ok(Vec::new()));
    let next = entry.park.site.next_ticket().unwrap();
    assert_eq!(entry.park.void(&next.to_string(), &entry.at), Err(Refusal::NoSuchTicket), "nobody has it yet");
    assert_eq!(entry.park.void("01-0000001-2", &entry.at), Err(Refusal::NoSuchTicket));
    let mut pay = kiosk(2, TicketDeed::Pay);
    meet(&mut [&mut entry, &mut pay]);
    assert_eq!(refused(pay.show(&ticket, None)), "stay-void");
}

#[test]
fn a_car_that_is_let_through_undecided_counts_once() {
    let through = |kiosk: &mut Kiosk, number: u64, ticket: Option<TicketNumber>| {
        let known = LetThrough { number, ticket: ticket.map(|ticket| ticket.to_string()), due: None };
        let value = Some(serde_json::to_value(known).unwrap());
        kiosk.park.apply(&Record::ShopNoted { key: LET_THROUGH_NOTE.into(), value });
    };
    let (mut entry, mut exit) = (kiosk(1, TicketDeed::GiveOut), kiosk(3, TicketDeed::Leave));
    let (_, number) = enter(&mut entry, 1);
    through(&mut entry, 1, None);
    let mut again = kiosk(1, TicketDeed::GiveOut);
    again.park.recall(remembered(&entry.park)).unwrap();
    for _ in 0..2 {
        through(&mut again, 1, None);
    }
    assert_eq!((again.park.site.occupancy(), again.park.inside), (2, 2), "told again after a restart");
    meet(&mut [&mut again, &mut exit]);
    through(&mut exit, 1, Some(number));
    assert!(matches!(exit.park.site.over(number), Some(Over::Left { .. })), "its ticket is of no use any more");
    through(&mut exit, 2, None);
    meet(&mut [&mut again, &mut exit]);
    assert_eq!((again.park.site.occupancy(), exit.park.inside), (0, 0));
}

/// A key that is not listed may be one that was made up.
#[test]
fn a_code_of_a_strange_key_is_refused_and_leaves_nothing_undecided() {
    let exit = kiosk(3, TicketDeed::Leave);
    let key = SiteKey { number: KeyNumber(2), owner: Owner::Site, key: signer(2, "x").public() };
    let strange = SiteKeys::new(SiteNumber::new(7).unwrap(), vec![key]).unwrap();
    let issuer = Issuer::new(signer(2, "x"), KeyNumber(2), &strange).unwrap();
    let entry = EntryTime::Known(Minute::of(Wall(START)).unwrap());
    let ticket = Ticket { number: TicketNumber::new(lane(1), 5).unwrap(), entry, class: ClassNumber::default() };
    let answer = exit.show(&issuer.issue(&Code::Ticket(ticket)).unwrap(), None);
    let Answer::Refused(advice) = answer else { panic!("{answer:?}") };
    assert_eq!((advice.text, advice.call, advice.unable), ("stay-not-valid", true, None));
}

#[test]
fn what_it_remembers_outlives_a_restart() {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    let (_, number) = enter(&mut entry, 1);
    let mut again = kiosk(1, TicketDeed::GiveOut);
    again.park.recall(remembered(&entry.park)).unwrap();
    assert!(again.park.memory().iter().all(|(_, number)| *number == 0), "nothing of it is written again");
    assert!(again.park.site.find(number).is_some());
    let (_, next) = enter(&mut again, 1);
    assert_ne!(next, number, "a number is given out once");
    let mut torn = remembered(&entry.park);
    torn.remove("lane");
    assert!(kiosk(1, TicketDeed::GiveOut).park.recall(torn).unwrap_err().contains("damaged"));
    let other = kiosk(2, TicketDeed::Pay).park.recall(remembered(&entry.park)).unwrap_err();
    assert!(other.contains("is of lane 1") && other.contains("write lane = 1"), "{other}");
}

#[test]
fn a_lane_without_a_clock_gives_the_doubt_to_the_customer() {
    let (mut entry, mut pay) = (kiosk(1, TicketDeed::GiveOut), kiosk(2, TicketDeed::Pay));
    entry.at.wall = None;
    entry.park.clock(&entry.at);
    let (ticket, _) = enter(&mut entry, 1);
    pay.later(5 * 60);
    let bill = quote(pay.show(&ticket, None));
    assert_eq!((bill.unit.price, bill.doubt), (600, 240), "four hours are given away, one is charged");
    pay.at.wall = None;
    pay.park.clock(&pay.at);
    assert_eq!(refused(pay.show(&ticket, None)), "stay-no-clock");
}

#[test]
fn rubbish_is_told_and_changes_nothing() {
    let (mut entry, exit) = (kiosk(1, TicketDeed::GiveOut), kiosk(3, TicketDeed::Leave));
    let (ticket, _) = enter(&mut entry, 1);
    let mut wrong = ticket.clone().into_bytes();
    wrong[100] = if wrong[100] == b'1' { b'2' } else { b'1' };
    let wrong = String::from_utf8(wrong).unwrap();
    for (text, why) in [
        ("https://example.com", &["stay-no-code"][..]),
        ("", &["stay-no-code"]),
        (&ticket[..120], &["stay-misread"]),
        (&wrong, &["stay-misread", "stay-not-valid"]),
    ] {
        let told = refused(exit.show(text, None));
        assert!(why.contains(&told), "{text}: {told}");
    }
    assert_eq!(refused(entry.show(&ticket, None)), "stay-has-ticket");
    let mut early = kiosk(3, TicketDeed::Leave);
    early.at.wall = Some(Wall(START - 3_600_000));
    early.park.clock(&early.at);
    assert_eq!(refused(early.show(&ticket, None)), "stay-from-the-future");
}

/// The notes of cars inside: until when, and how many.
fn insides(kiosk: &mut Kiosk) -> Vec<(u64, u64)> {
    let notes = kiosk.park.news().into_iter().filter(|note| note.key == INSIDE_NOTE);
    let read = |note: Note| {
        let record = Record::ShopNoted { key: note.key, value: note.value.clone() };
        kiosk.park.apply(&record);
        let Inside { until, cars } = serde_json::from_value(note.value.unwrap()).unwrap();
        (until.0, cars)
    };
    notes.map(read).collect()
}

#[test]
fn the_cars_inside_are_noted_once_for_an_hour_in_which_they_have_changed() {
    let mut entry = kiosk(1, TicketDeed::GiveOut);
    enter(&mut entry, 1);
    entry.later(59);
    assert_eq!(insides(&mut entry), [], "the hour is not over");
    entry.later(1);
    let hour = 3_600_000;
    assert_eq!(insides(&mut entry), [(START + hour, 1)]);
    entry.later(300);
    assert_eq!(insides(&mut entry), [], "nothing has changed");
    let (_, number) = enter(&mut entry, 2);
    // It says what was at the end of that hour, however late it is written, and whatever has happened since.
    entry.later(60 * 30);
    entry.park.apply(&Record::ShopNoted { key: VOID_NOTE.into(), value: Some(number.to_string().into()) });
    assert_eq!(insides(&mut entry), [(START + 7 * hour, 2)]);
    // What has changed before a restart is of the hour before it.
    enter(&mut entry, 3);
    let mut again = kiosk(1, TicketDeed::GiveOut);
    again.park.recall(remembered(&entry.park)).unwrap();
    let noted = serde_json::json!({ "until": START + 7 * hour, "cars": 1 });
    again.park.apply(&Record::ShopNoted { key: INSIDE_NOTE.into(), value: Some(noted) });
    again.at = entry.at;
    again.later(60 * 5);
    assert_eq!(insides(&mut again), [(START + 37 * hour, 2)]);
}

#[test]
fn hours_end_where_they_do_at_the_site() {
    let mut kiosk = kiosk(1, TicketDeed::GiveOut);
    assert_eq!(kiosk.park.end_of_hour(Wall(START)), Wall(START + 3_600_000));
    assert_eq!(kiosk.park.end_of_hour(Wall(START - 1)), Wall(START));
    let mut parts = kiosk.park.parts.clone();
    let tariff = Tariff { zone: jiff::tz::TimeZone::get("Asia/Kolkata").unwrap(), ..(*parts.tariff).clone() };
    parts.tariff = Arc::new(tariff);
    kiosk.park.parts = parts;
    // 05:30 there.
    assert_eq!(kiosk.park.end_of_hour(Wall(START)), Wall(START + 1_800_000));
}
