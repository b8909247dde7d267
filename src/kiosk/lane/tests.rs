//! A kiosk at a gate: its board is a test's, its ledger a real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::super::edges::tests::{Rig, rig_in};
use super::*;
use crate::config;
use crate::parking::lane::gate::Position;
use crate::parking::lane::{Authorisation, Ended, Input, Level};
use crate::sale::event::Effect;
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
        let counted = Arc::clone(&self.0);
        let mut rig = rig_in(state, at_gate, move || {
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
