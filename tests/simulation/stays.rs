//! An entry and an exit of the real car park: its shop, with what the lanes have told each other on the same disk as the records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use kioskd::operation::{Operation, Reason, TicketText};
use kioskd::parking::shop::{CarPark, Parts, Settings, Wording};
use kioskd::parking::site::{Member, Roster, Site};
use kioskd::parking::tariff::{self, Line, Tariff};
use kioskd::parking::ticket::{
    ClassNumber, Code, EntryTime, Issuer, KeyNumber, LaneNumber, Minute, Owner, SiteKey, SiteKeys, SiteNumber, Ticket,
    TicketNumber,
};
use kioskd::sale::dialogue::{Page, StayPage};
use kioskd::sale::event::Event;
use kioskd::sale::presented::{Presented, TicketDeed};
use kioskd::sale::view::OrderState;
use kioskd::sale::{ORDER_NOTE, Record, Shop, State, Touch};
use kioskd::signed::jws::Signer;
use kioskd::vocabulary::{LaneId, Localized, OrderId, Outlet, Wall};

use crate::chance::Chance;
use crate::mutants::Mutant;
use crate::trade::Trade;

pub struct Stays;

/// The clock of a run begins here.
const BEGIN: u64 = 1_795_000_000_000;
/// Of the lane whose tickets are shown at the exit; the exit has never heard of it.
const ENTRY: u8 = 1;
const HERE: u8 = 3;
/// So many tickets there are. The first are of cars that came just now and owe nothing.
const TICKETS: u64 = 12;
const FREE: u64 = 3;

#[derive(Debug)]
struct NoWords;

impl Wording for NoWords {
    fn line(&self, _: &Tariff, _: &Line) -> Localized {
        Localized::default()
    }

    fn stay(&self, _: &str) -> Localized {
        Localized::default()
    }
}

fn signer(seed: u8) -> Signer {
    // An Ed25519 private key in PKCS#8 (RFC 8410): the header is fixed, the seed is 32 bytes.
    let mut der = data_encoding::HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap();
    der.extend([seed; 32]);
    let text = data_encoding::BASE64.encode(&der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    Signer::from_pem(pem.as_bytes(), "site").unwrap()
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::new(number).unwrap()
}

fn gate() -> Outlet {
    Outlet::Gate(LaneId::parse("lane-3").unwrap())
}

/// What does not differ between runs, and takes long to make.
struct Site7 {
    parts: Parts,
    roster: Roster,
    tickets: Vec<String>,
}

static SITE: LazyLock<Site7> = LazyLock::new(|| {
    let site = SiteNumber::new(7).unwrap();
    let key = SiteKey { number: KeyNumber(1), owner: Owner::Site, key: signer(1).public() };
    let keys = SiteKeys::new(site, vec![key]).unwrap();
    let member = |number: u8| Member {
        name: LaneId::parse(&format!("lane-{number}")).unwrap(),
        keys: vec![signer(100 + number).public()],
        retired: false,
    };
    let lanes = [ENTRY, HERE].map(|number| (lane(number), member(number)));
    let issuer = Issuer::new(signer(1), KeyNumber(1), &keys).unwrap();
    let ticket = |nth: u64| {
        let came = if nth < FREE { BEGIN - 60_000 } else { BEGIN - 5_400_000 };
        let entry = EntryTime::Known(Minute::of(Wall(came)).unwrap());
        let number = TicketNumber::new(lane(ENTRY), nth as u32 + 1).unwrap();
        issuer.issue(&Code::Ticket(Ticket { number, entry, class: ClassNumber::default() })).unwrap()
    };
    let tickets = (0..TICKETS).map(ticket).collect();
    let parts = Parts {
        settings: Settings {
            does: TicketDeed::Leave,
            gate: gate_lane(),
            places: None,
            doubt: 240,
            pays: true,
            by_plate: false,
            sees_cars: true,
        },
        tariff: Arc::new(tariff::parse(include_bytes!("../../configs/tariffs/city.toml")).unwrap()),
        issuer: Some(Arc::new(issuer)),
        keys: Arc::new(keys),
        passes: Arc::default(),
        signer: None,
        wording: Arc::new(NoWords),
    };
    Site7 { parts, roster: Roster::new(site, lanes.into()).unwrap(), tickets }
});

fn gate_lane() -> Option<LaneId> {
    match gate() {
        Outlet::Gate(lane) => Some(lane),
        _ => None,
    }
}

fn shows(chance: &mut Chance, of: std::ops::Range<u64>) -> Event {
    let nth = of.start + chance.below(of.end - of.start);
    Event::Presented(Presented::Code(SITE.tickets[nth as usize].clone()))
}

/// Of each order for a stay: its ticket's number.
fn numbers(records: &[Record]) -> BTreeMap<OrderId, String> {
    let noted = |record: &Record| match record {
        Record::ShopNoted { key, value: Some(memo) } => {
            let order = key.strip_prefix(ORDER_NOTE).and_then(OrderId::parse)?;
            Some((order, memo["number"].to_string()))
        }
        _ => None,
    };
    records.iter().filter_map(noted).collect()
}

impl Trade for Stays {
    fn open(&self, chance: &mut Chance) -> (Box<dyn Shop>, Vec<(Outlet, u32)>) {
        let mut parts = SITE.parts.clone();
        if chance.percent(30) {
            parts.settings.does = TicketDeed::GiveOut;
        }
        let park = CarPark::new(parts, Site::new(lane(HERE), SITE.roster.clone()));
        (Box::new(park), vec![(gate(), 10_000)])
    }

    fn chooses(&self, _: &State, page: &Page, chance: &mut Chance) -> Event {
        match page {
            Page::Stay(StayPage::Ticket { counter, .. }) if counter.does == TicketDeed::GiveOut => {
                Event::Touch(Touch::TakeTicket)
            }
            Page::Stay(StayPage::Stay { .. }) => match chance.below(10) {
                0 => Event::Touch(Touch::Cancel),
                1 => shows(chance, FREE..TICKETS),
                _ => Event::Touch(Touch::Pay),
            },
            _ => shows(chance, FREE..TICKETS),
        }
    }

    fn is_granted(&self, _: &State, chance: &mut Chance) -> Event {
        if chance.percent(30) { Event::Presented(Presented::NoTicketYet) } else { shows(chance, 0..FREE) }
    }

    fn asks(&self, chance: &mut Chance) -> Operation {
        let reason = Reason::parse("counted").unwrap();
        match chance.below(6) {
            0 => Operation::Raise { reason },
            1 => Operation::Release { reason },
            2 => Operation::CarsInside { cars: 2, reason },
            3 => {
                let number = TicketNumber::new(lane(ENTRY), chance.below(TICKETS) as u32 + 1).unwrap();
                Operation::VoidTicket { ticket: TicketText::parse(&number.to_string()).unwrap(), reason }
            }
            _ => Operation::Pulse { outlet: gate() },
        }
    }

    /// A ticket is of one car: it comes in with it once, is paid once, and leaves once, be it known or not whether the gate moved.
    fn check(&self, _: &State, records: &[Record], _: &BTreeMap<Outlet, u32>) -> Result<(), String> {
        let numbers = numbers(records);
        let (mut used, mut sold) = (BTreeSet::new(), BTreeMap::new());
        for record in records {
            let Some(order) = record.order() else { continue };
            let Some(number) = numbers.get(&order) else { continue };
            if record.handed_over().is_some() && !used.insert(number) {
                return Err(format!("ticket {number} has opened the gate twice"));
            }
            let kept = matches!(record, Record::OrderEnded { state: OrderState::Delivered, .. });
            // An order of which there is late news ends once more.
            if kept && *sold.entry(number).or_insert(order) != order {
                return Err(format!("ticket {number} was sold twice"));
            }
        }
        let orders: BTreeSet<OrderId> = records.iter().filter_map(Record::order).collect();
        match orders.iter().find(|order| !numbers.contains_key(order)) {
            Some(order) => Err(format!("of order {order} nobody knows the ticket")),
            None => Ok(()),
        }
    }
}

#[test]
fn no_promise_breaks_in_ten_thousand_crashed_runs() {
    let (crashed, failed) = crate::hunt(&Stays, None, 1, 10_000 * crate::long());
    assert!(failed.is_none(), "after {crashed} crashed runs: {failed:?}");
    assert!(crashed >= 10_000);
}

#[test]
fn planted_mutants_are_caught() {
    let mutants = [
        Mutant::MemoryForgotten,
        Mutant::MemoryBehindRecords,
        Mutant::CrashAssumedDelivered,
        Mutant::UnitGivenAwayAgain,
        Mutant::WrongAmountAccepted,
    ];
    for mutant in mutants {
        let (crashed, failed) = crate::hunt(&Stays, Some(mutant), 1, 10_000);
        assert!(failed.is_some(), "{mutant:?} is not caught in {crashed} crashed runs");
        println!("{mutant:?}: {failed:?}");
    }
}
