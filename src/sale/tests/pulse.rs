//! A relay that is tried without a sale.

use super::desk::{Desk, answers, delivers, slot};
use crate::operation::{Operation, Outcome, Refusal};
use crate::sale::view::StopReason;
use crate::sale::{Condition, Effect, Event, Record};
use crate::vocabulary::{Cause, DeliveryId, Evidence, Outlet, Reading};

const ON: Operation = Operation::Maintenance { on: true };
const OFF: Operation = Operation::Maintenance { on: false };
const DONE: Outcome = Outcome::Changed { order: None, report: None };

fn outlet(name: &str) -> Outlet {
    Outlet::named(name).unwrap()
}

fn pulse() -> Operation {
    Operation::Pulse { outlet: outlet("A1") }
}

fn energised(counted: Option<u32>) -> Outcome {
    Outcome::Energised { outlet: outlet("A1"), counted }
}

fn refused(why: Refusal) -> Outcome {
    Outcome::Refused { why }
}

/// Asks for a pulse, up to the relay; nobody has been answered.
fn begun(desk: &mut Desk) -> DeliveryId {
    let step = desk.operate(pulse());
    assert_eq!(step.records.iter().map(Record::kind).collect::<Vec<_>>(), ["operation-begun"]);
    let Some(Effect::Prepare { delivery, .. }) = step.effects.first().cloned() else { panic!("{step:?}") };
    assert!(answers(&step).is_empty());
    let step = desk.prepared(delivery, 7);
    assert_eq!(delivers(&step), [(delivery, slot("A1"))]);
    assert!(answers(&step).is_empty());
    delivery
}

#[test]
fn nothing_is_sold_in_maintenance_and_it_survives_a_restart() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    assert_eq!(desk.outcome(ON), DONE);
    assert_eq!(desk.qr(), None, "the code goes at once");
    assert_eq!(desk.outcome(ON), Outcome::Unchanged);
    assert_eq!(desk.state.stop_reasons(), [StopReason::Maintenance]);
    assert!(desk.order(order).closed.is_some());
    desk.touch("done");
    desk.touch("start");
    desk.touch("product:tea");
    desk.refused("pay");
    assert_eq!(desk.outcome(OFF), DONE);
    assert_eq!(desk.outcome(OFF), Outcome::Unchanged);
    assert!(desk.state.stop_reasons().is_empty());
}

#[test]
fn a_relay_is_tried_in_maintenance_alone_and_answered_when_the_sensor_has_spoken() {
    let mut desk = Desk::new();
    assert_eq!(desk.outcome(pulse()), refused(Refusal::NotInMaintenance));
    desk.operate(ON);
    desk.door(true);
    let delivery = begun(&mut desk);
    let step = desk.evidence(delivery, Evidence::Nothing { self_tested: true });
    assert_eq!(answers(&step), [energised(Some(0))]);
    assert!(matches!(
        &step.records[..],
        [Record::OperationEnded { outcome: Outcome::Energised { counted: Some(0), .. }, .. }]
    ));
    assert_eq!(desk.slot("A1").count, 3);
    let again = desk.try_hear(Event::Evidence { delivery, evidence: Evidence::Dropped { count: 1 } });
    assert!(again.is_err(), "it is answered once");
}

#[test]
fn what_falls_is_taken_from_the_stock_and_an_empty_slot_can_be_tried_too() {
    let mut desk = Desk::new();
    desk.operate(ON);
    let delivery = begun(&mut desk);
    let step = desk.evidence(delivery, Evidence::Dropped { count: 2 });
    assert_eq!(step.records.len(), 1, "the end of the operation says it: {step:?}");
    assert_eq!(desk.slot("A1").count, 1);
    assert_eq!(answers(&step), [energised(Some(2))]);
    let delivery = begun(&mut desk);
    desk.evidence(delivery, Evidence::Dropped { count: 2 });
    assert_eq!(desk.slot("A1").count, 0);
    let delivery = begun(&mut desk);
    desk.evidence(delivery, Evidence::Dropped { count: 1 });
    assert_eq!(desk.slot("A1").count, 0, "there was nothing to count down");
}

#[test]
fn who_can_not_know_says_so_and_a_board_that_did_nothing_has_failed() {
    let mut desk = Desk::new();
    desk.operate(ON);
    for blind in [Evidence::Nothing { self_tested: false }, Evidence::Silent { why: "no sensor".into() }] {
        let delivery = begun(&mut desk);
        let step = desk.evidence(delivery, blind);
        assert_eq!(answers(&step), [energised(None)]);
        assert_eq!(desk.slot("A1").count, 3);
    }
    let failed = Outcome::Failed { why: Cause::Board { detail: "no answer".into() } };
    let delivery = begun(&mut desk);
    let step = desk.hear(Event::NotEnergised { delivery, why: "no answer".into() });
    assert_eq!(answers(&step), [failed]);
    begun(&mut desk);
}

#[test]
fn one_relay_at_a_time_and_none_without_a_board_or_a_slot() {
    let mut desk = Desk::new();
    desk.operate(ON);
    let at = |name: &str| Operation::Pulse { outlet: outlet(name) };
    assert_eq!(desk.outcome(at("Z9")), refused(Refusal::NoSuchSlot));
    assert_eq!(desk.outcome(at("gate:exit-1")), refused(Refusal::NoSuchGate));
    assert_eq!(
        desk.outcome(Operation::Pulse { outlet: Outlet::Pass }),
        refused(Refusal::NoSuchGate),
        "nothing moves there"
    );
    let delivery = begun(&mut desk);
    for asked in [pulse(), Operation::TestVend { slot: slot("A2") }, OFF] {
        assert_eq!(desk.outcome(asked), refused(Refusal::RelayIsTried));
    }
    // A sensor that sees nothing beforehand is what somebody may be looking for.
    desk.hear(Event::NotEnergised { delivery, why: "stop".into() });
    let step = desk.operate(pulse());
    let Some(Effect::Prepare { delivery, .. }) = step.effects.first().cloned() else { panic!("{step:?}") };
    let reading = Reading { counter: None, self_tested: false };
    assert_eq!(delivers(&desk.hear(Event::Prepared { delivery, reading })).len(), 1);
    desk.evidence(delivery, Evidence::Silent { why: "no counter".into() });
    desk.hear(Event::Condition(Condition::Board { answers: false }));
    assert_eq!(desk.outcome(pulse()), refused(Refusal::NotReady));
}
