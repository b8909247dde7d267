//! A configuration that came from somebody: when it is tried, kept and given up, and who hears of it.

use std::time::Duration;

use super::desk::{Desk, answers, outlet, planogram, policy, product, slot};
use crate::operation::{Assignment, ConfigText, Digest, MediaUrl, Medium, Operation, Outcome, Refusal};
use crate::sale::event::{Checked, NotUsed};
use crate::sale::view::StopReason;
use crate::sale::{Condition, Effect, Event, Policy, Record, Step};
use crate::vending::{Planogram, Slot};
use crate::vocabulary::Cause;

const DONE: Outcome = Outcome::Changed { order: None, report: None };

fn digest(digit: char) -> Digest {
    Digest::parse(&digit.to_string().repeat(64)).unwrap()
}

fn apply() -> Operation {
    Operation::ApplyConfig { config: ConfigText::parse("[kiosk]").unwrap() }
}

fn checked() -> Checked {
    Checked { config: digest('b'), base: digest('f'), text: None }
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.records.iter().map(Record::kind).collect()
}

fn starts_anew(step: &Step) -> bool {
    step.effects.contains(&Effect::StartAnew)
}

fn answer(desk: &mut Desk, result: Result<Option<Checked>, NotUsed>) -> Step {
    desk.hear(Event::ConfigChecked { result })
}

/// Up to the start with it; the board has answered, and nothing else.
fn tried(desk: &mut Desk) -> Step {
    let step = desk.operate(apply());
    assert!(step.effects.contains(&Effect::CheckConfig { asked: apply() }) && answers(&step).is_empty());
    let step = answer(desk, Ok(Some(checked())));
    assert!(kinds(&step) == ["config-tried"] && starts_anew(&step), "{step:?}");
    desk.restart()
}

fn lit(desk: &mut Desk) -> Step {
    desk.hear(Event::Condition(Condition::Glass { dark: None }))
}

fn given_up(step: &Step) -> Option<Cause> {
    let rejected = step.records.iter().find_map(|record| match record {
        Record::ConfigRejected { config, why } if *config == digest('b') => Some(why.clone()),
        _ => None,
    })?;
    assert_eq!(answers(step), [Outcome::Failed { why: rejected.clone() }], "who asked hears the same");
    Some(rejected)
}

#[test]
fn it_is_kept_once_an_order_could_be_taken_and_the_fleet_is_reached_and_who_asked_hears_of_it_then() {
    let mut desk = Desk::new();
    let step = tried(&mut desk);
    assert_eq!(kinds(&step), ["boot-started"], "what is on trial is neither ended nor failed by a start");
    for (nth, missing) in ["glass", "rail", "fleet"].into_iter().enumerate() {
        let step = match nth {
            0 => desk.hear(Event::Tick),
            1 => lit(&mut desk),
            _ => desk.probed(),
        };
        assert!(answers(&step).is_empty() && !kinds(&step).contains(&"config-kept"), "without the {missing}: {step:?}");
    }
    let step = desk.hear(Event::Condition(Condition::Fleet { connected: true }));
    assert_eq!((kinds(&step), answers(&step)), (vec!["config-kept", "operation-ended"], vec![DONE]));
    assert!(!starts_anew(&step) && desk.wait(600).iter().all(|effect| *effect != Effect::StartAnew));
    let again = desk.restart();
    assert!(!kinds(&again).contains(&"operation-ended"), "it is over: {again:?}");
}

#[test]
fn with_what_the_machine_can_not_sell_it_is_given_up_and_the_daemon_starts_without_it() {
    let mut desk = Desk::new();
    tried(&mut desk);
    lit(&mut desk);
    desk.hear(Event::Condition(Condition::Fleet { connected: true }));
    desk.now = 59_999;
    let step = desk.hear(Event::Tick);
    assert!(given_up(&step).is_none(), "there is time yet");
    desk.now = 60_000;
    let step = desk.hear(Event::Tick);
    assert_eq!(given_up(&step), Some(Cause::CantSell { reasons: vec![StopReason::RailDown] }));
    assert!(starts_anew(&step));
    let after = desk.restart();
    assert!(!kinds(&after).contains(&"operation-ended") && desk.state.configuration.trial.is_none());

    let mut desk = Desk::new();
    tried(&mut desk);
    lit(&mut desk);
    desk.probed();
    desk.now = 60_000;
    assert_eq!(given_up(&desk.hear(Event::Tick)), Some(Cause::FleetNotReached), "nobody could mend it from afar");
}

#[test]
fn what_stopped_the_machine_before_counts_for_nothing_against_it_and_what_stops_it_now_does() {
    let mut desk = Desk::new();
    desk.door(true);
    tried(&mut desk);
    desk.door(true);
    lit(&mut desk);
    desk.probed();
    assert_eq!(
        answers(&desk.hear(Event::Condition(Condition::Fleet { connected: true }))),
        [DONE],
        "somebody works on it, as before"
    );

    let mut desk = Desk::new();
    tried(&mut desk);
    desk.hear(Event::Condition(Condition::Glass { dark: Some("no panel".into()) }));
    desk.probed();
    desk.hear(Event::Condition(Condition::Fleet { connected: true }));
    desk.now = 60_000;
    let why = StopReason::GlassDark("no panel".into());
    assert_eq!(given_up(&desk.hear(Event::Tick)), Some(Cause::CantSell { reasons: vec![why] }));
}

#[test]
fn a_start_that_did_not_use_it_records_why() {
    let mut desk = Desk::new();
    desk.operate(apply());
    answer(&mut desk, Ok(Some(checked())));
    let why = Cause::NotStarted { detail: "no such panel".into() };
    let step = desk.restart_with(planogram(), Some(why.clone()));
    assert_eq!(given_up(&step), Some(why));
    assert!(!starts_anew(&step), "this run is without it already");
    assert!(answers(&answer_next(&mut desk)).is_empty(), "and the next one may come");
}

fn answer_next(desk: &mut Desk) -> Step {
    let step = desk.operate(apply());
    assert!(step.effects.contains(&Effect::CheckConfig { asked: apply() }));
    step
}

#[test]
fn what_is_wrong_or_in_force_already_changes_nothing() {
    let mut desk = Desk::new();
    desk.operate(apply());
    let problems = vec!["kiosk.toml:1:1: wrong".to_owned()];
    let step = answer(&mut desk, Err(NotUsed::Wrong(problems.clone())));
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::BadConfig { problems } }]);
    assert!(!starts_anew(&step));
    answer_next(&mut desk);
    assert_eq!(answers(&answer(&mut desk, Ok(None))), [Outcome::Unchanged]);
    let stray = desk.try_hear(Event::ConfigChecked { result: Ok(Some(checked())) });
    assert!(stray.is_err(), "nobody has asked");
}

fn picture() -> Operation {
    let url = MediaUrl::parse("https://media.example.com/cola.png").unwrap();
    let medium = Medium { sha256: digest('c'), url };
    Operation::SetMedia { products: [(product("cola"), medium)].into(), slides: None, logo: None }
}

#[test]
fn pictures_are_fetched_while_it_sells_and_shown_between_sales() {
    let mut desk = Desk::new();
    desk.offer(&["cola"]);
    let step = desk.operate(picture());
    assert!(step.effects.contains(&Effect::CheckConfig { asked: picture() }) && answers(&step).is_empty());
    assert_eq!(answers(&desk.operate(apply())), [Outcome::Refused { why: Refusal::ConfigIsTried }], "meanwhile");
    let step = answer(&mut desk, Ok(Some(checked())));
    assert!(kinds(&step).is_empty() && !starts_anew(&step), "in mid-sale: {step:?}");
    let step = desk.touch("cancel");
    let step = if starts_anew(&step) { step } else { desk.touch("done") };
    assert!(starts_anew(&step) && kinds(&step).contains(&"config-tried"), "{step:?}");
}

#[test]
fn a_bad_picture_is_refused_and_one_that_was_not_fetched_has_failed_and_both_leave_nothing_open() {
    let mut desk = Desk::new();
    desk.operate(picture());
    let problems = vec!["the picture of cola: it is not a PNG or JPEG picture".to_owned()];
    let step = answer(&mut desk, Err(NotUsed::BadMedia(problems.clone())));
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::BadMedia { problems } }]);
    assert_eq!((kinds(&step), starts_anew(&step)), (vec!["operation-ended"], false));
    desk.operate(picture());
    let detail = "the picture of cola: the server answers 404".to_owned();
    let step = answer(&mut desk, Err(NotUsed::NotFetched(detail.clone())));
    assert_eq!(answers(&step), [Outcome::Failed { why: Cause::MediaNotFetched { detail } }]);
    assert_eq!((kinds(&step), starts_anew(&step)), (vec!["operation-ended"], false));
    // A power cut in the middle of it.
    desk.operate(picture());
    let step = desk.restart();
    assert!(step.records.iter().any(|record| matches!(
        record,
        Record::OperationEnded { outcome: Outcome::Failed { why: Cause::Restarted }, .. }
    )));
    assert!(desk.state.configuration.trial.is_none());
    assert!(answers(&desk.operate(picture())).is_empty(), "and the next begins");
}

#[test]
fn one_at_a_time() {
    let mut desk = Desk::new();
    desk.operate(apply());
    let tried_already = [Outcome::Refused { why: Refusal::ConfigIsTried }];
    assert_eq!(answers(&desk.operate(apply())), tried_already);
    answer(&mut desk, Ok(Some(checked())));
    desk.restart();
    assert_eq!(answers(&desk.operate(apply())), tried_already, "one that is on trial");
}

#[test]
fn a_customer_is_served_before_the_daemon_starts_anew_and_before_a_trial_ends_badly() {
    let mut desk = Desk::with(Policy { trial: Duration::from_secs(10), ..policy() });
    desk.offer(&["cola"]);
    desk.operate(apply());
    let step = answer(&mut desk, Ok(Some(checked())));
    assert!(kinds(&step).is_empty() && !starts_anew(&step), "in mid-sale: {step:?}");
    let step = desk.touch("cancel");
    let step = if starts_anew(&step) { step } else { desk.touch("done") };
    assert!(starts_anew(&step) && kinds(&step).contains(&"config-tried"), "{step:?}");

    desk.restart();
    desk.probed();
    // The fleet is away: it can sell, and is on trial still.
    lit(&mut desk);
    desk.offer(&["cola"]);
    desk.now = 11_000;
    let step = desk.hear(Event::Tick);
    assert!(given_up(&step).is_none() && !starts_anew(&step), "{step:?}");
    let mut effects = desk.touch("cancel").effects;
    effects.extend(desk.wait(120));
    assert!(effects.contains(&Effect::StartAnew));
}

fn with_tea(stock: u32) -> Planogram {
    let mut goods = planogram();
    let slots = goods.slots().clone();
    let products = crate::sale::shop::Shop::catalogue(&goods).to_vec();
    let mut slots: Vec<(_, Slot)> = slots.into_iter().collect();
    for (name, known) in &mut slots {
        if *name == slot("A1") {
            (known.product, known.stock) = (product("tea"), stock);
        }
    }
    goods = Planogram::new(products, slots);
    goods
}

#[test]
fn a_slot_holds_what_it_held_when_its_goods_come_back_after_a_trial() {
    let mut desk = Desk::new();
    let set = Operation::SetStock { slot: slot("A1"), count: 2 };
    desk.outcome(set);
    let new = Assignment { product: product("tea"), stock: None, capacity: None };
    let asked = Operation::SetPlanogram { slots: [(slot("A1"), new)].into() };
    desk.operate(asked);
    answer(&mut desk, Ok(Some(checked())));
    desk.restart_with(with_tea(0), None);
    assert_eq!(desk.state.outlet(&outlet("A1")).unwrap().count, 0);
    desk.now = 60_000;
    assert!(starts_anew(&desk.hear(Event::Tick)));
    desk.restart();
    assert_eq!(desk.state.outlet(&outlet("A1")).unwrap().count, 2, "and not what the file says of a new slot");

    // And where that run did not last until somebody could say so.
    let new = Assignment { product: product("tea"), stock: None, capacity: None };
    desk.operate(Operation::SetPlanogram { slots: [(slot("A1"), new)].into() });
    answer(&mut desk, Ok(Some(checked())));
    desk.restart_with(with_tea(0), None);
    desk.restart_with(planogram(), Some(Cause::NotStarted { detail: "it died".into() }));
    assert_eq!(desk.state.outlet(&outlet("A1")).unwrap().count, 2);
}
