//! A restart of the board that somebody asks for.

use super::desk::{Desk, answers};
use crate::operation::{Actor, Operation, Outcome, Refusal, Request, RequestId, Rights};
use crate::sale::view::StopReason;
use crate::sale::{Effect, Event, Record, Step};
use crate::vocabulary::{Cause, Evidence};

const DONE: Outcome = Outcome::Changed { order: None, report: None };

fn restarts(step: &Step) -> bool {
    step.effects.contains(&Effect::Reboot)
}

/// Up to the question whether it can be done; nobody has been answered.
fn ask(desk: &mut Desk) {
    let step = desk.operate(Operation::Reboot);
    assert_eq!(step.records.iter().map(Record::kind).collect::<Vec<_>>(), ["operation-begun"]);
    assert!(step.effects.contains(&Effect::AskReboot) && answers(&step).is_empty() && !restarts(&step), "{step:?}");
}

fn answer(desk: &mut Desk, result: Result<(), &str>) -> Step {
    desk.hear(Event::RebootAnswered { result: result.map_err(str::to_owned) })
}

#[test]
fn it_is_promised_when_it_can_be_done_and_done_when_the_promise_is_on_disk() {
    let mut desk = Desk::new();
    ask(&mut desk);
    let step = answer(&mut desk, Ok(()));
    assert!(matches!(&step.records[0], Record::OperationEnded { outcome, .. } if *outcome == DONE), "{step:?}");
    let place = |wanted: &dyn Fn(&Effect) -> bool| step.effects.iter().position(wanted).unwrap();
    let answered = place(&|effect| matches!(effect, Effect::Answer { outcome, .. } if *outcome == DONE));
    assert!(answered < place(&|effect| matches!(effect, Effect::Reboot)), "who asks hears of it before");

    // Until the board is down.
    assert_eq!(desk.state.stop_reasons(), [StopReason::Locked("the board is restarted".into())]);
    assert_eq!(desk.page().name(), "out-of-service");
    desk.touch("start");
    desk.touch("product:cola");
    desk.refused("pay");
    desk.touch("cancel");
    let again = desk.operate(Operation::Reboot);
    assert_eq!((answers(&again), restarts(&again)), (vec![Outcome::Unchanged], false));
    assert_eq!(desk.outcome(Operation::Unlock), Outcome::Unchanged, "nobody has locked it");
    assert!(!desk.state.stop_reasons().is_empty());

    desk.hear(Event::NotRebooted);
    assert!(desk.state.stop_reasons().is_empty() && desk.page().name() == "attract");
    ask(&mut desk);
}

#[test]
fn what_can_not_be_done_is_not_promised() {
    let mut desk = Desk::new();
    ask(&mut desk);
    let step = answer(&mut desk, Err("polkit says no"));
    let why = Cause::NoReboot { detail: "polkit says no".into() };
    assert_eq!((answers(&step), restarts(&step)), (vec![Outcome::Failed { why }], false));
    assert!(desk.state.stop_reasons().is_empty());
    assert!(desk.try_hear(Event::RebootAnswered { result: Ok(()) }).is_err(), "nobody waits any more");
}

#[test]
fn two_who_ask_are_both_told_and_the_board_is_restarted_once() {
    let mut desk = Desk::new();
    ask(&mut desk);
    let second = desk.operate(Operation::Reboot);
    assert!(!second.effects.contains(&Effect::AskReboot) && answers(&second).is_empty());
    let step = answer(&mut desk, Ok(()));
    assert_eq!(answers(&step), [DONE, DONE]);
    assert_eq!(step.effects.iter().filter(|effect| matches!(effect, Effect::Reboot)).count(), 1);
}

#[test]
fn it_waits_for_nobody_and_disturbs_no_sale() {
    let in_mid_sale = vec![Outcome::Refused { why: Refusal::InMidSale }];
    let mut desk = Desk::new();
    // Somebody begins to choose while it is asked whether it can be done.
    ask(&mut desk);
    desk.touch("start");
    desk.touch("product:cola");
    let step = answer(&mut desk, Ok(()));
    assert_eq!((answers(&step), restarts(&step)), (in_mid_sale.clone(), false));
    assert!(desk.state.stop_reasons().is_empty());
    for touch in ["pay", "cancel"] {
        let step = desk.operate(Operation::Reboot);
        assert_eq!((answers(&step), step.effects.contains(&Effect::AskReboot)), (in_mid_sale.clone(), false));
        desk.touch(touch);
    }
    desk.touch("done");
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    assert_eq!(answers(&desk.operate(Operation::Reboot)), in_mid_sale);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    desk.touch("done");
    let id = RequestId::parse("late").unwrap();
    let late =
        Request { id, by: Actor::Menu, rights: Rights::ALL, live: false, expired: false, asked: Operation::Reboot };
    let step = desk.hear(Event::Asked { request: late, known: None });
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NotLive }], "it was on its way for a day");
    ask(&mut desk);
    // A relay that moves is seen to its end.
    desk.hear(Event::RebootAnswered { result: Err("later".into()) });
    desk.operate(Operation::Maintenance { on: true });
    desk.operate(Operation::Pulse { outlet: super::desk::outlet("A1") });
    let step = desk.operate(Operation::Reboot);
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::RelayIsTried }]);
}
