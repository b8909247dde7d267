//! What needs no bus; `tests/machine/bus.rs` has the rest.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use zbus::DBusError;

use super::error::{Error, parsed};
use super::handle::{Ask, KioskHandle};
use crate::operation::{Actor, Operation, Outcome, Reason, Refusal, Request, RequestId, Right, Rights};
use crate::parking::ticket::Plate;
use crate::vocabulary::{Cause, Language, OrderId, SlotId, StopReason};

fn request(number: usize) -> Request {
    Request {
        id: RequestId::parse(&format!("bus-{number}")).unwrap(),
        by: Actor::Technician { uid: 1000 },
        rights: Rights::ALL,
        live: true,
        expired: false,
        asked: Operation::Refill,
    }
}

#[test]
fn so_many_calls_wait_and_the_next_is_refused_until_one_is_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&waiting);
    let kiosk = KioskHandle::new(move |ask| asked.lock().unwrap().push(ask));
    runtime.block_on(async {
        let calls: Vec<_> = (0..16)
            .map(|number| {
                let kiosk = kiosk.clone();
                tokio::spawn(async move { kiosk.operate(request(number)).await })
            })
            .collect();
        while waiting.lock().unwrap().len() < 16 {
            tokio::task::yield_now().await;
        }
        let one_more = tokio::time::timeout(Duration::from_secs(60), kiosk.operate(request(16))).await;
        assert_eq!(one_more, Ok(Err(Error::busy())));
        assert_eq!(kiosk.read(|reader| reader.totals()).await.unwrap_err(), Error::busy());
        let first = waiting.lock().unwrap().remove(0);
        let Ask::Operate { request: asked, answered } = first else { panic!("it was an operation") };
        assert_eq!(asked, request(0));
        answered(Ok(Outcome::Unchanged));
        let mut calls = calls.into_iter();
        assert_eq!(calls.next().unwrap().await.unwrap(), Ok(Outcome::Unchanged));
        // A kiosk that drops the rest has answered them, too.
        waiting.lock().unwrap().clear();
        for call in calls {
            assert_eq!(call.await.unwrap(), Err(Error::no_answer()));
        }
    });
}

#[test]
fn every_refusal_has_a_name_in_the_paper_and_a_sentence() {
    let paper = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dbus.md")).unwrap();
    let refusals = [
        Refusal::NoRight { right: Right::Money },
        Refusal::NotLive,
        Refusal::InMidSale,
        Refusal::NumberTaken,
        Refusal::NoSuchSlot,
        Refusal::NoSuchGate,
        Refusal::NoGate,
        Refusal::NotACarPark,
        Refusal::NoSuchTicket,
        Refusal::NoSuchProduct,
        Refusal::NothingIsKeptHere,
        Refusal::HoldsLess { capacity: 8 },
        Refusal::NoRoom { slot: SlotId::parse("A1").unwrap(), count: 7, capacity: 8 },
        Refusal::NoneLeft,
        Refusal::CannotDeliver { reason: StopReason::DoorOpen },
        Refusal::NotReady,
        Refusal::NoOpenClaim,
        Refusal::OnlyByProvider,
        Refusal::NotInMaintenance,
        Refusal::RelayIsTried,
        Refusal::NoSuchReport,
        Refusal::BadLanguages { configured: vec![Language::new("en")] },
    ];
    let asked = Operation::SetStock { slot: SlotId::parse("A1").unwrap(), count: 9 };
    let mut all: Vec<Error> = refusals.iter().map(|why| Error::refused(&asked, why)).collect();
    for (error, why) in all.iter().zip(&refusals) {
        let kind = serde_json::to_value(why).unwrap()["refusal"].as_str().unwrap().replace('-', "");
        assert_eq!(error.name().rsplit('.').next().unwrap().to_lowercase(), kind);
        assert_eq!(error.description(), Some(format!("Refused to set the stock of A1 to 9: {why}").as_str()));
    }
    all.push(Error::failed(&asked, &Cause::Restarted));
    all.push(Error::argument("what"));
    all.push(Error::no_such_order(""));
    all.push(Error::busy());
    all.push(Error::no_answer());
    all.push(Error::nobody(&zbus::Error::MissingField));
    all.push(Error::no_polkit(&zbus::Error::MissingField));
    all.push(Error::authentication_needed());
    for error in &all {
        let name = error.name();
        let short = name.strip_prefix("org.kioskd.Kiosk1.Error.").expect("a name of ours");
        assert!(paper.contains(&format!("| `{short}` |")), "docs/dbus.md has no row for {short}");
        let says = error.description().unwrap();
        assert!(says.contains(' ') || says == "what", "{says}");
    }
}

#[test]
fn a_plate_is_taken_as_the_kiosk_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let kiosk = KioskHandle::new(|ask| {
        let Ask::PlateSeen { plate, taken } = ask else { panic!("it was a plate") };
        let told = if plate.as_str() == "AB120" { Ok(()) } else { Err(Refusal::NoGate) };
        taken.send(told).unwrap();
    });
    runtime.block_on(async {
        assert_eq!(kiosk.plate_seen(Plate::typed("ab-120").unwrap()).await, Ok(()));
        let refused = kiosk.plate_seen(Plate::typed("XY 9").unwrap()).await.unwrap_err();
        assert_eq!(refused.name().as_str(), "org.kioskd.Kiosk1.Error.NoGate");
        let dropped = KioskHandle::new(drop);
        assert_eq!(dropped.plate_seen(Plate::typed("XY 9").unwrap()).await, Err(Error::no_answer()));
    });
}

#[test]
fn a_strangers_text_is_repeated_in_part() {
    let long = "x".repeat(1 << 20);
    let error = parsed::<SlotId>(&long).unwrap_err();
    assert!(error.description().unwrap().len() < 200, "{error:?}");
    assert!(parsed::<Reason>(&long).unwrap_err().description().unwrap().len() < 250);
    assert!(parsed::<OrderId>(&long).unwrap_err().description().unwrap().len() < 200);
    let told = parsed::<Reason>("two\nlines").unwrap_err();
    assert_eq!(told.description(), Some("`two\\nlines` is not a reason (one line of 1 to 200 characters)"));
    assert_eq!(parsed::<SlotId>("A1"), Ok(SlotId::parse("A1").unwrap()));
}
