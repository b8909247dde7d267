//! A kiosk at a gate: its board is a test's, its ledger a real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::super::edges::tests::{Rig, rig_in};
use super::*;
use crate::config;
use crate::parking::lane::gate::Position;
use crate::parking::lane::{Ended, Input, Level};
use crate::sale::event::Effect;
use crate::sale::presented::Unable;
use crate::vocabulary::OrderId;

/// The shortest there is: the test waits for what comes of it.
const GATE: &str = r#"
name = "entry-1"
raise = "gate-raise"
lower = "gate-lower"
presence = "loop-presence"
safety = "loop-safety"
closing = "loop-closing"
pulse = "100ms"
rest = "100ms"
travel = "500ms"
clear = "200ms"
"#;

fn at_gate(config: &mut Config) {
    config.slots.clear();
    config.gate = Some(toml::from_str::<config::Gate>(GATE).unwrap());
}

/// How often a relay was energised, whichever.
#[derive(Clone, Default)]
struct Pulses(Arc<AtomicU32>);

impl Pulses {
    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    fn rig(&self, state: &Arc<tempfile::TempDir>) -> Rig {
        self.rig_by(state, at_gate)
    }

    fn rig_by(&self, state: &Arc<tempfile::TempDir>, change: impl FnOnce(&mut Config)) -> Rig {
        let counted = Arc::clone(&self.0);
        let mut rig = rig_in(state, change, move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        // Every loop was told once by then.
        rig.until(|kiosk| kiosk.state.conditions.board_answers == Some(true));
        rig
    }
}

fn folder() -> Arc<tempfile::TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

fn delivery(nth: u64) -> DeliveryId {
    DeliveryId { order: OrderId::from_parts(nth, 1), item: 0, attempt: 1 }
}

fn deliver(rig: &mut Rig, nth: u64) {
    let outlet = Outlet::Gate(LaneId::parse("entry-1").unwrap());
    rig.kiosk.execute(Effect::Deliver { delivery: delivery(nth), outlet, before: None });
}

fn turn(rig: &mut Rig, input: Input, level: Level) {
    rig.kiosk.gate_event(GateEvent::Input { input, level });
}

fn lane(kiosk: &Kiosk) -> &Lane {
    kiosk.lane.as_ref().unwrap()
}

/// A loop sees a car, or none, and has settled.
fn settle(rig: &mut Rig, input: Input, level: Level) {
    turn(rig, input, level);
    let at = rig.kiosk.clock.now();
    // As long as the longest that the lane takes to believe a loop.
    rig.until(|kiosk| kiosk.clock.now().since(at) >= Duration::from_millis(250));
}

fn drive_through(rig: &mut Rig) {
    settle(rig, Input::Presence, Level::Active);
    settle(rig, Input::Safety, Level::Active);
    settle(rig, Input::Presence, Level::Inactive);
    settle(rig, Input::Closing, Level::Active);
    settle(rig, Input::Safety, Level::Inactive);
    settle(rig, Input::Closing, Level::Inactive);
}

/// The notes in the ledger that a start reads, oldest first.
fn notes(state: &Arc<tempfile::TempDir>) -> Vec<lane::Record> {
    let mut notes = Vec::new();
    let name = LaneId::parse("entry-1").unwrap();
    let note = |note| notes.push(serde_json::from_value(note).unwrap());
    Reader::open(state.path()).unwrap().gate_noted(&name, STANDING, note).unwrap();
    notes
}

fn ended(notes: &[lane::Record], nth: u64) -> Option<Ended> {
    let of = Authorisation::Delivery { delivery: delivery(nth) };
    notes.iter().find_map(|note| match note {
        lane::Record::PassageEnded { authorisation, how } if *authorisation == of => Some(*how),
        _ => None,
    })
}

#[test]
fn a_delivery_opens_the_gate_once_and_ends_when_its_car_has_passed() {
    let (state, pulses) = (folder(), Pulses::default());
    let mut rig = pulses.rig(&state);
    deliver(&mut rig, 1);
    rig.until(|_| pulses.count() == 1);
    assert!(matches!(notes(&state)[..], [lane::Record::GateIntended { attempt: 1, .. }]), "it is on disk before");
    deliver(&mut rig, 1);
    drive_through(&mut rig);
    rig.until(|kiosk| lane(kiosk).state.passages().is_empty());
    assert_eq!(ended(&notes(&state), 1), Some(Ended::Passed));
    // Down again, and that is all.
    rig.until(|_| notes(&state).contains(&lane::Record::GateClosed {}));
    assert_eq!(pulses.count(), 2);
    assert!(lane(&rig.kiosk).status().is_well());
    rig.kiosk.end();
}

#[test]
fn after_a_restart_nothing_is_raised_and_who_waits_is_called_for() {
    let (state, pulses) = (folder(), Pulses::default());
    let mut rig = pulses.rig(&state);
    deliver(&mut rig, 1);
    rig.until(|_| pulses.count() == 1);
    settle(&mut rig, Input::Presence, Level::Active);
    // The power goes with the car before the gate.
    rig.kiosk.end();
    let pulses = Pulses::default();
    let mut rig = pulses.rig(&state);
    assert_eq!(lane(&rig.kiosk).state.passages().len(), 1);
    deliver(&mut rig, 1);
    rig.until(|kiosk| !lane(kiosk).status().calls.is_empty());
    let calls: Vec<_> = lane(&rig.kiosk).status().calls.into_iter().map(|call| call.kind).collect();
    assert_eq!(calls, ["restarted"]);
    assert_eq!(pulses.count(), 0, "what was raised before is not raised again");
    let alarms = crate::kiosk::status::Status::of(&rig.kiosk.facts(rig.kiosk.clock.now(), None)).alarms();
    assert!(alarms.contains_key("lane"), "the fleet hears of it: {alarms:?}");
    rig.kiosk.end();
}

#[test]
fn without_its_records_nothing_is_raised_but_what_falls_on_a_car() {
    let (state, pulses) = (folder(), Pulses::default());
    let mut rig = pulses.rig(&state);
    deliver(&mut rig, 1);
    rig.until(|_| pulses.count() == 1);
    drive_through(&mut rig);
    rig.until(|_| pulses.count() == 2);
    rig.kiosk.state.conditions.ledger_failed = Some("the disk is broken".into());
    turn(&mut rig, Input::Safety, Level::Active);
    rig.until(|_| pulses.count() == 3);
    rig.until(|kiosk| lane(kiosk).state.position() == Position::Open);
    deliver(&mut rig, 2);
    let told = lane(&rig.kiosk).status();
    assert!(told.alarms.iter().any(|alarm| alarm.kind == "raise-fails"), "{told:?}");
    assert!(!notes(&state).iter().any(|note| matches!(note, lane::Record::GateReopened {})));
    assert_eq!((pulses.count(), ended(&notes(&state), 2)), (3, None));
    rig.kiosk.end();
}

#[test]
fn after_many_notes_one_stands_for_all_before_it() {
    let (state, pulses) = (folder(), Pulses::default());
    let mut rig = pulses.rig(&state);
    rig.kiosk.lane.as_mut().unwrap().notes = NOTES;
    deliver(&mut rig, 1);
    rig.until(|_| pulses.count() == 1);
    assert!(matches!(notes(&state)[..], [lane::Record::GateIntended { .. }]), "not while somebody may pass");
    drive_through(&mut rig);
    rig.until(|_| notes(&state).contains(&lane::Record::GateClosed {}));
    let noted = notes(&state);
    assert!(matches!(noted.first(), Some(lane::Record::Standing(_))), "{noted:?}");
    assert_eq!(ended(&noted, 1), None, "what was before it is not read");
    assert_eq!(lane(&rig.kiosk).notes as usize, noted.len() - 1);
    rig.kiosk.end();
    let pulses = Pulses::default();
    let mut rig = pulses.rig(&state);
    deliver(&mut rig, 1);
    assert_eq!(notes(&state), noted, "and is known all the same");
    deliver(&mut rig, 2);
    rig.until(|_| pulses.count() == 1);
    assert!(lane(&rig.kiosk).state.passages().len() == 1);
    rig.kiosk.end();
}

/// What the sale has noted of who was let through.
fn let_through_notes(state: &Arc<tempfile::TempDir>) -> Vec<serde_json::Value> {
    let events = Reader::open(state.path()).unwrap().events_after(0, 10_000).unwrap();
    let text = |event: crate::ledger::EventLine| {
        let document: serde_json::Value = serde_json::from_str(&event.document).unwrap();
        serde_json::from_str::<serde_json::Value>(document["text"].as_str().unwrap()).unwrap()
    };
    events.into_iter().map(text).filter(|body| body["key"] == "let-through").map(|body| body["value"].clone()).collect()
}

#[test]
fn a_car_about_which_the_sale_can_not_decide_passes_once_and_owes_where_the_operator_wants_that() {
    let (state, pulses) = (folder(), Pulses::default());
    let open = |config: &mut Config| {
        at_gate(config);
        config.gate.as_mut().unwrap().undecided = config::Undecided::OpenAndRecord;
    };
    let mut rig = pulses.rig_by(&state, open);
    settle(&mut rig, Input::Presence, Level::Active);
    rig.kiosk.execute(Effect::CantDecide { why: Unable::Price });
    rig.until(|_| pulses.count() == 1);
    let authorisation = Authorisation::Undecided { number: 1, why: CantDecide::NoPrice };
    assert_eq!(notes(&state), [lane::Record::GateIntended { authorisation, attempt: 1 }], "it is on disk before");
    rig.until(|_| !let_through_notes(&state).is_empty());
    assert_eq!(let_through_notes(&state), [serde_json::json!({ "number": 1 })], "the sale has heard of it");
    // The same car asks again: somebody comes.
    rig.kiosk.execute(Effect::CantDecide { why: Unable::Price });
    let calls: Vec<_> = lane(&rig.kiosk).status().calls.into_iter().map(|call| call.kind).collect();
    assert_eq!((calls, pulses.count()), (vec!["no-price".to_owned()], 1));
    assert_eq!(let_through_notes(&state).len(), 1);
    rig.kiosk.end();
}

#[test]
fn a_car_about_which_the_sale_can_not_decide_is_called_for_and_waits_where_that_is_wanted() {
    let (state, pulses) = (folder(), Pulses::default());
    let mut rig = pulses.rig(&state);
    settle(&mut rig, Input::Presence, Level::Active);
    for (why, word) in [(Unable::Payment, "no-payment"), (Unable::Price, "no-payment")] {
        rig.kiosk.execute(Effect::CantDecide { why });
        let calls: Vec<_> = lane(&rig.kiosk).status().calls.into_iter().map(|call| call.kind).collect();
        assert_eq!(calls, [word], "once for a car");
    }
    assert_eq!(notes(&state), [lane::Record::Called(Call::CantDecide(CantDecide::NoPayment))]);
    assert_eq!((pulses.count(), let_through_notes(&state).len()), (0, 0));
    rig.kiosk.end();
}
