//! What people ask of the machine: who may, when, once, and with which answer.

use super::desk::{Desk, answers, lock, outlet, planogram, policy, product, slot};
use crate::operation::{
    Actor, CheckResult, Finding, Findings, KeyName, KeysetText, Known, LanguageTag, Operation, Outcome, PartName,
    Refusal, Request, RequestId, Right, Rights, Seen,
};
use crate::sale::recover::Recovered;
use crate::sale::view::{OrderState, StopReason};
use crate::sale::{Effect, Event, Policy, Record, State, Step};
use crate::vocabulary::{Cause, Evidence, Grant, Language, Mono, OrderId};

fn technician(id: &str, asked: Operation) -> Request {
    let by = Actor::Technician { uid: 1000 };
    Request { id: RequestId::parse(id).unwrap(), by, rights: Rights::ALL, live: true, expired: false, asked }
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.records.iter().map(Record::kind).collect()
}

#[test]
fn it_is_begun_done_and_ended_in_one_commit_and_answered_after_it() {
    let mut desk = Desk::new();
    let request = technician("r1", lock("cleaning"));
    let step = desk.hear(Event::Asked { request: request.clone(), known: None });
    assert_eq!(kinds(&step)[..3], ["operation-begun", "kiosk-locked", "operation-ended"]);
    let begun = Record::OperationBegun { id: request.id.clone(), by: request.by, asked: request.asked };
    assert_eq!(step.records[0], begun, "the audit says who");
    let outcome = Outcome::Changed { order: None, report: None };
    assert!(step.effects.contains(&Effect::Answer { id: request.id, outcome }));
    assert_eq!(desk.outcome(lock("cleaning")), Outcome::Unchanged);
    assert_eq!(desk.outcome(lock("repair")), Outcome::Changed { order: None, report: None }, "another reason is news");
    assert_eq!(desk.state.stop_reasons(), [StopReason::Locked("repair".into())]);
    assert_eq!(desk.outcome(Operation::Unlock), Outcome::Changed { order: None, report: None });
    assert_eq!(desk.outcome(Operation::Unlock), Outcome::Unchanged);
}

#[test]
fn the_same_number_again_is_answered_and_nothing_is_done() {
    let mut desk = Desk::new();
    let request = technician("r1", lock("cleaning"));
    let outcome = Outcome::Changed { order: None, report: None };
    let known = |outcome| Some(Known { asked: request.asked.clone(), by: request.by.clone(), outcome });
    let again = desk.hear(Event::Asked { request: request.clone(), known: known(Some(outcome.clone())) });
    assert_eq!((kinds(&again).len(), answers(&again)), (0, vec![outcome.clone()]));
    assert_eq!(desk.state.conditions.locked, None);
    let open = desk.hear(Event::Asked { request: request.clone(), known: known(None) });
    assert_eq!((kinds(&open).len(), answers(&open)), (0, vec![]), "who asked first is answered when it ends");
    let other = Request { asked: Operation::Unlock, ..request.clone() };
    let somebody = Request { by: Actor::Fleet { kid: KeyName::parse("k").unwrap(), counter: 1 }, ..request.clone() };
    for foreign in [other, somebody] {
        let step = desk.hear(Event::Asked { request: foreign, known: known(Some(outcome.clone())) });
        assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NumberTaken }]);
        assert!(step.records.is_empty());
    }
}

#[test]
fn what_does_not_fit_is_refused_on_record_and_has_no_effect() {
    let mut desk = Desk::new();
    let refused = |desk: &mut Desk, request: Request| {
        let before = desk.state.shop.outlets();
        let step = desk.hear(Event::Asked { request, known: None });
        assert_eq!(kinds(&step), ["operation-begun", "operation-ended"]);
        assert_eq!(desk.state.shop.outlets(), before);
        match &answers(&step)[..] {
            [Outcome::Refused { why }] => why.clone(),
            other => panic!("{other:?}"),
        }
    };
    let keeper = Rights { service: true, ..Rights::default() };
    let vend = Operation::Vend { product: product("cola") };
    let test = Operation::TestVend { slot: slot("A1") };
    let asked = Request { rights: keeper, ..technician("r1", vend.clone()) };
    assert_eq!(refused(&mut desk, asked), Refusal::NoRight { right: Right::Motion });
    let late = Request { live: false, ..technician("r2", test.clone()) };
    assert_eq!(refused(&mut desk, late), Refusal::NotLive);
    let none = OrderId::from_parts(1, 1);
    let settle = Operation::SettleClaim { order: none, how: crate::vocabulary::ClaimSettlement::Refund };
    assert_eq!(refused(&mut desk, technician("r3", settle)), Refusal::NoOpenClaim);
    let nothing = Operation::TestVend { slot: slot("Z9") };
    assert_eq!(refused(&mut desk, technician("r4", nothing)), Refusal::NoSuchSlot);
    let gum = Operation::Vend { product: product("gum") };
    assert_eq!(refused(&mut desk, technician("r5", gum)), Refusal::NoSuchProduct);
    desk.touch("start");
    desk.touch("product:tea");
    assert_eq!(refused(&mut desk, technician("r6", vend.clone())), Refusal::InMidSale);
    desk.touch("pay");
    assert_eq!(refused(&mut desk, technician("r7", test)), Refusal::InMidSale);
    desk.touch("cancel");
    desk.touch("done");
    for name in ["A1", "A2"] {
        desk.operate(Operation::SetStock { slot: slot(name), count: 0 });
    }
    assert_eq!(refused(&mut desk, technician("r8", vend)), Refusal::NoneLeft);
    desk.door(true);
    let reason = StopReason::DoorOpen;
    let tea = Operation::Vend { product: product("tea") };
    assert_eq!(refused(&mut desk, technician("r9", tea)), Refusal::CannotDeliver { reason });
}

#[test]
fn a_test_turns_the_slot_that_was_named_though_it_is_faulty_and_no_other() {
    let mut desk = Desk::new();
    desk.hear(Event::Condition(crate::sale::Condition::OutletFaulty {
        outlet: outlet("A2"),
        why: Cause::MotorNotHome,
    }));
    let step =
        desk.hear(Event::Asked { request: technician("r1", Operation::TestVend { slot: slot("A2") }), known: None });
    assert_eq!(kinds(&step), ["operation-begun", "order-granted", "operation-ended"]);
    let [Outcome::Changed { order: Some(order), .. }] = answers(&step)[..] else { panic!("{step:?}") };
    assert!(matches!(
        &step.records[1],
        Record::OrderGranted { grant: Grant::Test, by: Some(Actor::Technician { uid: 1000 }), .. }
    ));
    assert_eq!(desk.order(order).only, Some(outlet("A2")));
    let step = desk.deliver(order, 0, 1, Evidence::Nothing { self_tested: true });
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. })), "not from another slot");
    assert_eq!(desk.order(order).state(), OrderState::NotDelivered);
    assert_eq!((desk.order(order).paid(), desk.order(order).amount()), (0, 0), "no revenue");
}

/// A command of the key `office`.
fn command(counter: u64, asked: Operation) -> Request {
    let by = Actor::Fleet { kid: KeyName::parse("office").unwrap(), counter };
    Request { by, live: false, ..technician(&format!("c-{counter}"), asked) }
}

#[test]
fn a_counter_is_taken_once_and_in_any_order_and_no_old_one_comes_back() {
    let mut desk = Desk::new();
    let mut ask = |request: Request| {
        let step = desk.hear(Event::Asked { request, known: None });
        let [outcome] = &answers(&step)[..] else { panic!("{step:?}") };
        let on_record = kinds(&step).contains(&"operation-begun");
        (outcome.clone(), on_record)
    };
    let used = (Outcome::Refused { why: Refusal::CounterUsed }, false);
    let done = (Outcome::Unchanged, true);
    assert_eq!(ask(command(100, Operation::Unlock)), done);
    assert_eq!(ask(command(99, Operation::Unlock)), done, "it was overtaken");
    assert_eq!(ask(command(99, Operation::Unlock)), used);
    assert_eq!(ask(Request { id: RequestId::parse("other").unwrap(), ..command(100, Operation::Unlock) }), used);
    assert_eq!(ask(command(36, Operation::Unlock)), used);
    assert_eq!(ask(command(37, Operation::Unlock)), done);
    let by = Actor::Fleet { kid: KeyName::parse("office-2").unwrap(), counter: 99 };
    assert_eq!(ask(Request { by, ..command(1, Operation::Unlock) }), done, "each key counts for itself");

    // What is refused with a record has used its counter.
    let late = Request { expired: true, ..command(101, lock("late")) };
    assert_eq!(ask(late), (Outcome::Refused { why: Refusal::Expired }, true));
    let test = Operation::TestVend { slot: slot("A1") };
    assert_eq!(ask(command(102, test)), (Outcome::Refused { why: Refusal::NotLive }, true));
    let nobody = Request { rights: Rights::default(), ..command(103, lock("nobody")) };
    assert_eq!(ask(nobody), (Outcome::Refused { why: Refusal::NoRight { right: Right::Service } }, true));
    for counter in 101..=103 {
        assert_eq!(ask(Request { id: RequestId::parse("again").unwrap(), ..command(counter, lock("again")) }), used);
    }
    assert_eq!(desk.state.conditions.locked, None);
}

#[test]
fn keys_are_changed_by_the_root_alone_and_events_are_sent_again() {
    let mut desk = Desk::new();
    let keyset = KeysetText::parse("{}").unwrap();
    let rotate = Operation::RotateKeys { version: 4, keyset };
    assert_eq!(desk.outcome(rotate.clone()), Outcome::Refused { why: Refusal::OnlyByRoot });
    let step = desk.hear(Event::Asked { request: command(1, rotate.clone()), known: None });
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::OnlyByRoot }]);
    let by = Actor::Fleet { kid: KeyName::parse(Actor::ROOT).unwrap(), counter: 4 };
    let step = desk.hear(Event::Asked { request: Request { by, ..command(2, rotate) }, known: None });
    assert_eq!(answers(&step), [Outcome::Changed { order: None, report: None }]);
    let step = desk.hear(Event::Asked { request: command(3, Operation::ResendEvents { after: 7 }), known: None });
    assert!(step.effects.contains(&Effect::ResendEvents { after: 7 }));
}

#[test]
fn only_the_fleet_is_sent_a_file_and_that_it_was_asked_for_is_on_record() {
    for (nth, verb) in
        [(1, Operation::Screenshot), (2, Operation::Logs { lines: None, since: None }), (3, Operation::Bundle)]
    {
        let mut desk = Desk::new();
        assert_eq!(desk.outcome(verb.clone()), Outcome::Refused { why: Refusal::OnlyByFleet });
        let asked = Request { live: true, ..command(nth, verb.clone()) };
        let step = desk.hear(Event::Asked { request: asked, known: None });
        let done = Outcome::Changed { order: None, report: None };
        assert_eq!(answers(&step), std::slice::from_ref(&done));
        let kinds: Vec<&str> = step.records.iter().map(|record| record.kind()).collect();
        assert_eq!(kinds, ["operation-begun", "operation-ended"]);
        // Another moment is not the one that it was signed for.
        let step = desk.hear(Event::Asked { request: command(10 + nth, verb), known: None });
        assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NotLive }]);
    }
}

#[test]
fn what_was_left_open_has_failed_after_a_restart() {
    let mut desk = Desk::new();
    let id = RequestId::parse("r1").unwrap();
    desk.state.open_operations = vec![id.clone()];
    let boot = crate::vocabulary::BootId::parse("boot-2").unwrap();
    let step = desk.hear(Event::Started { boot, version: "1".into() });
    let outcome = Outcome::Failed { why: Cause::Restarted };
    assert_eq!(step.records[1], Record::OperationEnded { id, outcome });
    assert!(desk.state.open_operations.is_empty());
}

#[test]
fn each_cash_up_has_the_next_number_and_is_printed_and_a_report_is_printed_again_as_a_copy() {
    let mut desk = Desk::new();
    let printed = |step: &Step| {
        let print = |effect: &Effect| match effect {
            Effect::PrintReport { number, copy } => Some((*number, *copy)),
            _ => None,
        };
        step.effects.iter().filter_map(print).collect::<Vec<_>>()
    };
    let again = |desk: &mut Desk, id, number| {
        desk.hear(Event::Asked { request: technician(id, Operation::PrintReport { number }), known: None })
    };
    let step = again(&mut desk, "r0", 1);
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NoSuchReport }], "there is none yet");
    for number in 1..=2 {
        let request = technician(&format!("c{number}"), Operation::CashUp);
        let step = desk.hear(Event::Asked { request: request.clone(), known: None });
        let outcome = Outcome::Changed { order: None, report: Some(number) };
        let cut = Record::CashedUp { number, by: request.by.clone() };
        assert_eq!(kinds(&step), ["operation-begun", "cashed-up", "operation-ended"]);
        assert_eq!((&step.records[1], answers(&step)), (&cut, vec![outcome.clone()]));
        assert_eq!(printed(&step), [(number, false)]);
        // Asked again under its number it makes no cut, and no paper.
        let known = Known { asked: request.asked.clone(), by: request.by.clone(), outcome: Some(outcome.clone()) };
        let step = desk.hear(Event::Asked { request, known: Some(known) });
        assert_eq!((kinds(&step), answers(&step), printed(&step)), (vec![], vec![outcome], vec![]));
    }
    let step = again(&mut desk, "p1", 1);
    assert_eq!(answers(&step), [Outcome::Changed { order: None, report: Some(1) }]);
    assert_eq!((kinds(&step), printed(&step)), (vec!["operation-begun", "operation-ended"], vec![(1, true)]));
    for (id, number) in [("p2", 0), ("p3", 3)] {
        let step = again(&mut desk, id, number);
        assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NoSuchReport }], "{number}");
        assert_eq!(printed(&step), []);
    }
}

#[test]
fn a_test_page_is_printed_once_and_on_record() {
    let mut desk = Desk::new();
    let request = technician("t1", Operation::PrintTest);
    let step = desk.hear(Event::Asked { request: request.clone(), known: None });
    let outcome = Outcome::Changed { order: None, report: None };
    assert_eq!((kinds(&step), answers(&step)), (vec!["operation-begun", "operation-ended"], vec![outcome.clone()]));
    let pages = |step: &Step| step.effects.iter().filter(|effect| matches!(effect, Effect::PrintTest)).count();
    assert_eq!(pages(&step), 1);
    let known = Known { asked: request.asked.clone(), by: request.by.clone(), outcome: Some(outcome) };
    assert_eq!(pages(&desk.hear(Event::Asked { request, known: Some(known) })), 0);
}

#[test]
fn a_test_is_on_record_and_changes_nothing_also_in_mid_sale() {
    let mut desk = Desk::new();
    let finding = Finding {
        part: PartName::parse("slot A1").unwrap(),
        result: CheckResult::Wrong,
        says: Seen::parse("nothing fell").unwrap(),
    };
    let asked = Operation::RecordTest { checks: Findings::new(vec![finding]).unwrap() };
    let outcome = Outcome::Changed { order: None, report: None };
    let request = technician("t1", asked.clone());
    let step = desk.hear(Event::Asked { request: request.clone(), known: None });
    assert_eq!((kinds(&step), answers(&step)), (vec!["operation-begun", "operation-ended"], vec![outcome.clone()]));
    assert_eq!(step.records[0], Record::OperationBegun { id: request.id, by: request.by, asked: asked.clone() });
    assert_eq!(step.effects.len(), 1, "the answer, and nothing else: {step:?}");
    let nobody = Request { rights: Rights::default(), ..technician("t2", asked.clone()) };
    let refused = Outcome::Refused { why: Refusal::NoRight { right: Right::Service } };
    assert_eq!(answers(&desk.hear(Event::Asked { request: nobody, known: None })), [refused]);
    desk.offer(&["cola"]);
    let shop = desk.state.shop.outlets();
    assert_eq!(desk.outcome(asked), outcome);
    assert_eq!(desk.state.shop.outlets(), shop);
}

#[test]
fn a_restart_goes_on_counting_reports_and_prints_none_by_itself() {
    let mut desk = Desk::new();
    desk.state.restore(crate::sale::recover::Recovered { last_report: 7, ..Default::default() });
    let boot = crate::vocabulary::BootId::parse("boot-2").unwrap();
    let step = desk.hear(Event::Started { boot, version: "1".into() });
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::PrintReport { .. })), "{step:?}");
    assert_eq!(desk.outcome(Operation::CashUp), Outcome::Changed { order: None, report: Some(8) });
}

fn languages(tags: &[&str]) -> Vec<Language> {
    tags.iter().map(|tag| Language::new(*tag)).collect()
}

fn offer(tags: &[&str]) -> Operation {
    Operation::Languages { languages: tags.iter().map(|tag| LanguageTag::parse(tag).unwrap()).collect() }
}

/// The switch of the page, and the language that it is in.
fn spoken(desk: &Desk) -> (Vec<Language>, Language) {
    let view = desk.state.view(Mono(desk.now), |_| None);
    (view.languages, view.language)
}

fn changed() -> Outcome {
    Outcome::Changed { order: None, report: None }
}

#[test]
fn the_first_page_takes_the_languages_at_once_and_a_customer_keeps_theirs() {
    let mut desk = Desk::new();
    assert_eq!(spoken(&desk), (languages(&["en", "zh-Hans"]), Language::new("en")));
    let step = desk.hear(Event::Asked { request: technician("l1", offer(&["zh-Hans", "en"])), known: None });
    assert_eq!(kinds(&step), ["operation-begun", "languages-chosen", "operation-ended"]);
    assert_eq!(spoken(&desk), (languages(&["zh-Hans", "en"]), Language::new("zh-Hans")));
    assert_eq!(desk.outcome(offer(&["zh-Hans", "en"])), Outcome::Unchanged);

    // A machine that does not sell shows them, too.
    desk.door(true);
    assert_eq!(desk.outcome(offer(&["en"])), changed());
    assert_eq!((spoken(&desk), desk.page().name()), ((languages(&["en"]), Language::new("en")), "out-of-service"));
    desk.door(false);

    desk.operate(offer(&["en", "zh-Hans"]));
    desk.touch("start");
    desk.touch("product:cola");
    desk.touch("language:zh-Hans");
    assert_eq!(desk.outcome(offer(&["en"])), changed(), "at any time");
    assert_eq!(desk.state.languages(), languages(&["en"]), "so it is told");
    assert_eq!(spoken(&desk), (languages(&["en", "zh-Hans"]), Language::new("zh-Hans")));
    desk.touch("language:en");
    desk.touch("language:zh-Hans");
    desk.touch("pay");
    assert_eq!(spoken(&desk).1, Language::new("zh-Hans"), "their basket is there still");
    desk.touch("cancel");
    desk.touch("done");
    assert_eq!(spoken(&desk), (languages(&["en"]), Language::new("en")), "the next customer");
    desk.refused("language:zh-Hans");
}

#[test]
fn languages_that_make_no_sense_are_refused() {
    let mut desk = Desk::new();
    let why = Refusal::BadLanguages { configured: languages(&["en", "zh-Hans"]) };
    for tags in [&[][..], &["fr"], &["en", "fr"], &["en", "en"], &["en", "zh-Hans", "en"], &["EN"]] {
        assert_eq!(desk.outcome(offer(tags)), Outcome::Refused { why: why.clone() }, "{tags:?}");
    }
    assert_eq!(spoken(&desk), (languages(&["en", "zh-Hans"]), Language::new("en")));
    assert_eq!(desk.outcome(offer(&["en", "zh-Hans"])), Outcome::Unchanged, "the configuration's own");
    assert!(!desk.records.iter().any(|record| record.kind() == "languages-chosen"));
}

#[test]
fn the_languages_hold_over_a_restart_as_far_as_the_configuration_has_them() {
    let restarted = |chosen: &[&str], configured: &[&str]| {
        let mut state = State::new(Policy { languages: languages(configured), ..policy() }, planogram());
        state.restore(Recovered { languages: languages(chosen), ..Recovered::default() });
        let view = state.view(Mono(0), |_| None);
        assert_eq!((&view.languages, Some(&view.language)), (&state.languages(), state.languages().first()));
        view.languages
    };
    assert_eq!(restarted(&["zh-Hans", "en"], &["en", "fr", "zh-Hans"]), languages(&["zh-Hans", "en"]));
    assert_eq!(restarted(&["zh-Hans", "en"], &["en", "fr"]), languages(&["en"]), "one is left out");
    assert_eq!(restarted(&["zh-Hans"], &["en", "fr"]), languages(&["en", "fr"]), "none is left");
    assert_eq!(restarted(&[], &["en", "fr"]), languages(&["en", "fr"]), "nobody has chosen");
}
