//! An update over restarts, as the sale has it.

use super::desk::{Desk, answers, policy};
use crate::operation::{BundlePlace, Digest, Operation, Outcome, Refusal, Request, Rights, Version};
use crate::sale::software::{Copies, Manifest, Software, UpdateEvent, UpdateTask};
use crate::sale::{Condition, Effect, Event, Record, Step};
use crate::vocabulary::{Cause, Evidence};

const DONE: Outcome = Outcome::Changed { order: None, report: None };

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn bundle() -> BundlePlace {
    BundlePlace::parse("https://example.com/2.raucb").unwrap()
}

fn digest(digit: &str) -> Digest {
    Digest::parse(&digit.repeat(64)).unwrap()
}

fn order(to: &str) -> Operation {
    Operation::InstallUpdate {
        bundle: bundle(),
        sha256: digest("a"),
        version: version(to),
        compatible: None,
        retry: false,
        downgrade: false,
    }
}

fn again(to: &str) -> Operation {
    let Operation::InstallUpdate { bundle, sha256, version, compatible, downgrade, .. } = order(to) else {
        unreachable!()
    };
    Operation::InstallUpdate { bundle, sha256, version, compatible, downgrade, retry: true }
}

fn software(runs: &str, copy: &str, boot: u32, spare: bool) -> Software {
    let copies = Copies::Two { running: copy.into(), compatible: "lab".into(), spare };
    Software { version: Some(version(runs)), kernel_boot: boot.to_string(), copies }
}

fn see(desk: &mut Desk, runs: &str, copy: &str, boot: u32) -> Step {
    desk.hear(Event::Update(UpdateEvent::Seen(software(runs, copy, boot, true))))
}

fn frame(desk: &mut Desk) -> Step {
    desk.hear(Event::Condition(Condition::Glass { dark: None }))
}

fn broker(desk: &mut Desk, connected: bool) -> Step {
    desk.hear(Event::Condition(Condition::Fleet { connected }))
}

fn tasks(effects: &[Effect]) -> Vec<UpdateTask> {
    let task = |effect: &Effect| match effect {
        Effect::Update(task) => Some(task.clone()),
        _ => None,
    };
    effects.iter().filter_map(task).collect()
}

fn restarts(step: &Step) -> bool {
    step.effects.contains(&Effect::Reboot)
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.records.iter().map(Record::kind).collect()
}

fn answer(desk: &mut Desk, event: UpdateEvent) -> Step {
    desk.hear(Event::Update(event))
}

fn manifest(says: &str) -> UpdateEvent {
    UpdateEvent::Fetched(Ok(Manifest { version: says.into(), compatible: "lab".into() }))
}

/// Version 1 in copy A, good and connected.
fn machine() -> Desk {
    let mut desk = Desk::new();
    frame(&mut desk);
    broker(&mut desk, true);
    let step = see(&mut desk, "1", "A", 1);
    assert_eq!(tasks(&step.effects), [UpdateTask::MarkGood { next: false }]);
    assert!(answer(&mut desk, UpdateEvent::MarkedGood(Ok(()))).records.is_empty());
    desk
}

/// Up to the restart.
fn installed() -> Desk {
    let mut desk = machine();
    let step = desk.operate(order("2"));
    assert_eq!(kinds(&step), ["operation-begun", "update-begun"]);
    assert_eq!(tasks(&step.effects), [UpdateTask::Fetch { bundle: bundle(), sha256: digest("a") }]);
    let step = answer(&mut desk, manifest("2"));
    assert_eq!(kinds(&step), ["update-installing"]);
    assert_eq!(tasks(&step.effects), [UpdateTask::Install { bundle: bundle(), sha256: digest("a") }]);
    let step = answer(&mut desk, UpdateEvent::Installed(Ok(())));
    assert_eq!(kinds(&step), ["update-installed", "update-restarting"]);
    assert!(restarts(&step) && answers(&step).is_empty());
    desk
}

/// The new software comes up.
fn on_trial() -> Desk {
    let mut desk = installed();
    let step = desk.restart();
    assert!(!kinds(&step).contains(&"operation-ended"), "it is open over the restart: {step:?}");
    assert_eq!(tasks(&step.effects), [UpdateTask::Look { clean: false }]);
    let step = see(&mut desk, "2", "B", 2);
    assert_eq!((kinds(&step), tasks(&step.effects)), (vec!["update-tried"], vec![]));
    desk
}

fn fell_back(step: &Step) -> String {
    assert_eq!(kinds(step)[..2], ["update-fell-back", "operation-ended"], "{step:?}");
    assert!(tasks(&step.effects).contains(&UpdateTask::Discard));
    match &answers(step)[..] {
        [Outcome::Failed { why: Cause::FellBack { detail } }] => detail.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_successful_only_after_the_gate_in_the_new_copy() {
    let mut desk = on_trial();
    assert!(tasks(&frame(&mut desk).effects).is_empty(), "the broker is not there yet");
    let step = broker(&mut desk, true);
    assert_eq!(kinds(&step), ["update-passed"]);
    assert_eq!(tasks(&step.effects), [UpdateTask::MarkGood { next: true }]);
    assert!(answers(&step).is_empty());
    let step = answer(&mut desk, UpdateEvent::MarkedGood(Ok(())));
    assert_eq!((kinds(&step), answers(&step)), (vec!["update-good", "operation-ended"], vec![DONE]));
    assert_eq!(tasks(&step.effects), [UpdateTask::Look { clean: true }]);
    assert!(desk.state.updates.under_way.is_none() && desk.state.updates.fell_back.is_empty());
    assert!(desk.wait(3_600).iter().all(|effect| !matches!(effect, Effect::Update(_) | Effect::Reboot)));
}

#[test]
fn each_lack_of_health_fails_the_gate_and_the_former_is_started() {
    type Lack = fn(&mut Desk);
    let lacks: [(Lack, &str); 4] = [
        (|desk| drop(broker(desk, true)), "no frame is on the glass"),
        (
            |desk| {
                broker(desk, true);
                desk.hear(Event::Condition(Condition::Glass { dark: Some("no panel".into()) }));
            },
            "nobody sees the glass: no panel",
        ),
        (
            |desk| {
                desk.hear(Event::Condition(Condition::Board { answers: false }));
                frame(desk);
                broker(desk, true);
            },
            "the board does not answer",
        ),
        (|desk| drop(frame(desk)), "the fleet's broker is not reached"),
    ];
    for (lack, why) in lacks {
        let mut desk = on_trial();
        lack(&mut desk);
        assert!(tasks(&desk.wait(299)).is_empty(), "{why}");
        let effects = desk.wait(2);
        assert_eq!(tasks(&effects), [UpdateTask::Return], "{why}");
        assert!(!effects.contains(&Effect::Reboot), "the other copy is named first");
        let sick = |record: &&Record| matches!(record, Record::UpdateSick { detail, .. } if detail == why);
        assert_eq!(desk.records.iter().filter(sick).count(), 1, "{why}");
        let step = answer(&mut desk, UpdateEvent::Returns(Err("RAUC is away".into())));
        assert!(restarts(&step), "the boot loader comes to it in any case");
        desk.restart();
        assert_eq!(fell_back(&see(&mut desk, "1", "A", 3)), why);
        // It sells, and is good as ever.
        assert_eq!(tasks(&frame(&mut desk).effects), [UpdateTask::MarkGood { next: false }]);
    }
}

#[test]
fn without_the_broker_it_is_good_only_for_a_reason_that_is_on_record() {
    let mut desk = machine();
    broker(&mut desk, false);
    desk.operate(order("2"));
    answer(&mut desk, manifest("2"));
    answer(&mut desk, UpdateEvent::Installed(Ok(())));
    desk.restart();
    see(&mut desk, "2", "B", 2);
    let step = frame(&mut desk);
    let reason = |step: &Step| match &step.records[0] {
        Record::UpdatePassed { detail, .. } => detail.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&step).unwrap(), "the fleet's broker was not reached before the restart either");

    let mut desk = on_trial();
    desk.state.policy.fleet = false;
    assert_eq!(reason(&frame(&mut desk)).unwrap(), "no fleet is configured");
}

#[test]
fn a_bundle_that_fell_back_is_refused_until_it_is_asked_for_all_the_same() {
    let mut desk = on_trial();
    desk.restart();
    let why = fell_back(&see(&mut desk, "1", "A", 5));
    assert_eq!(why, "the new software did not stay up long enough to prove itself");
    let before = Outcome::Refused { why: Refusal::FellBackBefore };
    assert_eq!(desk.outcome(order("2")), before);
    desk.restart();
    see(&mut desk, "1", "A", 6);
    assert_eq!(desk.outcome(order("2")), before, "it is remembered");
    let step = desk.operate(again("2"));
    assert!(kinds(&step).contains(&"update-begun"));
    answer(&mut desk, manifest("2"));
    answer(&mut desk, UpdateEvent::Installed(Ok(())));
    desk.restart();
    see(&mut desk, "2", "B", 7);
    frame(&mut desk);
    answer(&mut desk, UpdateEvent::MarkedGood(Ok(())));
    assert!(desk.state.updates.fell_back.is_empty(), "it is good after all");
}

#[test]
fn a_power_cut_at_any_step_is_followed_by_the_next_or_by_the_same_once_more() {
    let fetch = UpdateTask::Fetch { bundle: bundle(), sha256: digest("a") };
    // Before the bundle is here, and while the other copy is written: it begins anew, in whichever copy that is.
    for cut in [0, 1] {
        for copy in ["A", "B"] {
            let mut desk = machine();
            desk.operate(order("2"));
            if cut == 1 {
                answer(&mut desk, manifest("2"));
            }
            desk.restart();
            assert_eq!(tasks(&see(&mut desk, "1", copy, 2).effects), vec![fetch.clone()]);
            assert!(tasks(&see(&mut desk, "1", copy, 2).effects).is_empty(), "once");
            answer(&mut desk, manifest("2"));
            assert!(restarts(&answer(&mut desk, UpdateEvent::Installed(Ok(())))));
        }
    }
    // After it is written, and before that is on record.
    let mut desk = machine();
    desk.operate(order("2"));
    answer(&mut desk, manifest("2"));
    desk.restart();
    assert_eq!(kinds(&see(&mut desk, "2", "B", 2)), ["update-tried"]);
    // Only the daemon was started anew: the restart is still to come.
    let mut desk = installed();
    desk.restart();
    let step = see(&mut desk, "1", "A", 1);
    assert!(restarts(&step) && kinds(&step) == ["update-restarting"], "{step:?}");
    // On trial, and after the gate, before it is marked good.
    let mut desk = on_trial();
    desk.restart();
    assert_eq!(kinds(&see(&mut desk, "2", "B", 3)), ["update-tried"]);
    frame(&mut desk);
    broker(&mut desk, true);
    desk.restart();
    assert!(see(&mut desk, "2", "B", 4).records.is_empty());
    assert_eq!(tasks(&frame(&mut desk).effects), [UpdateTask::MarkGood { next: true }]);
    assert_eq!(answers(&answer(&mut desk, UpdateEvent::MarkedGood(Ok(())))), [DONE]);
}

#[test]
fn what_never_comes_to_its_end_is_given_up() {
    let mut desk = machine();
    desk.operate(order("2"));
    for boot in 2..12 {
        answer(&mut desk, manifest("2"));
        desk.restart();
        let step = see(&mut desk, "1", "A", boot);
        if boot == 11 {
            assert!(matches!(answers(&step)[..], [Outcome::Failed { why: Cause::UpdateFailed { .. } }]), "{step:?}");
        }
    }
    // And new software that starts again and again.
    let mut desk = on_trial();
    let mut times = 1;
    loop {
        desk.restart();
        times += 1;
        if tasks(&see(&mut desk, "2", "B", 2).effects) == [UpdateTask::Return] {
            break;
        }
    }
    assert_eq!(times, 11);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_fetched() {
    let mut desk = Desk::new();
    assert_eq!(desk.outcome(order("2")), Outcome::Refused { why: Refusal::NotReady });
    for (copies, how) in
        [(Copies::One { how: "apt".into() }, "apt"), (Copies::Unknown { why: "RAUC is away".into() }, "RAUC is away")]
    {
        let software = Software { version: Some(version("1")), kernel_boot: "1".into(), copies };
        desk.hear(Event::Update(UpdateEvent::Seen(software)));
        assert_eq!(desk.outcome(order("2")), Outcome::Refused { why: Refusal::NoInstaller { how: how.into() } });
    }
    let mut desk = machine();
    let refused = |desk: &mut Desk, asked: Operation| match desk.outcome(asked) {
        Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut desk, order("0.9")), Refusal::OlderThanRuns { runs: version("1") });
    assert_eq!(desk.outcome(order("1")), Outcome::Unchanged);
    let with = |compatible: &str, downgrade: bool, to: &str| Operation::InstallUpdate {
        bundle: bundle(),
        sha256: digest("a"),
        version: version(to),
        compatible: crate::operation::Compatible::parse(compatible),
        retry: false,
        downgrade,
    };
    assert_eq!(refused(&mut desk, with("pi", false, "2")), Refusal::OtherMachine { compatible: "lab".into() });
    let request = Request {
        id: crate::operation::RequestId::parse("x").unwrap(),
        by: crate::operation::Actor::Menu,
        rights: Rights { update: false, ..Rights::ALL },
        live: true,
        expired: false,
        asked: order("2"),
    };
    let step = desk.hear(Event::Asked { request, known: None });
    let right = crate::operation::Right::Update;
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NoRight { right } }]);
    assert!(tasks(&desk.operate(with("lab", true, "0.9")).effects).len() == 1, "it is meant");
    assert_eq!(refused(&mut desk, order("2")), Refusal::UpdateUnderWay { version: version("0.9") });
    for wrong in [manifest("2"), UpdateEvent::Fetched(Err("404".into()))] {
        let mut desk = machine();
        desk.operate(order("3"));
        let step = answer(&mut desk, wrong);
        assert!(matches!(answers(&step)[..], [Outcome::Failed { why: Cause::UpdateFailed { .. } }]), "{step:?}");
        assert!(!tasks(&step.effects).iter().any(|task| matches!(task, UpdateTask::Install { .. })));
    }
    let mut desk = machine();
    desk.operate(order("2"));
    let other = Manifest { version: "2".into(), compatible: "pi".into() };
    let step = answer(&mut desk, UpdateEvent::Fetched(Ok(other)));
    assert!(matches!(answers(&step)[..], [Outcome::Failed { .. }]));
    // A relay that is tried is seen to its end first.
    let mut desk = machine();
    desk.operate(Operation::Maintenance { on: true });
    desk.operate(Operation::Pulse { outlet: super::desk::outlet("A1") });
    assert_eq!(refused(&mut desk, order("2")), Refusal::RelayIsTried);
}

#[test]
fn the_board_is_restarted_when_nobody_buys_and_tried_again_where_it_is_not() {
    let mut desk = machine();
    desk.operate(order("2"));
    let sold = desk.offer(&["cola"]);
    assert!(!restarts(&answer(&mut desk, manifest("2"))));
    let step = answer(&mut desk, UpdateEvent::Installed(Ok(())));
    assert!(!restarts(&step) && kinds(&step) == ["update-installed"], "{step:?}");
    desk.pay(sold, 300);
    assert!(!restarts(&desk.deliver(sold, 0, 1, Evidence::Dropped { count: 1 })));
    assert!(!restarts(&desk.touch("done")), "the receipt is printed");
    let step = desk.hear(Event::ReceiptDone { order: sold, result: Ok(()) });
    assert!(restarts(&step) && kinds(&step).ends_with(&["update-restarting"]), "{step:?}");
    assert!(!desk.state.stop_reasons().is_empty());
    desk.hear(Event::NotRebooted);
    assert!(desk.state.stop_reasons().is_empty(), "it sells meanwhile");
    assert!(!desk.wait(599).contains(&Effect::Reboot));
    assert!(desk.wait(2).contains(&Effect::Reboot));

    let mut desk = Desk::with(crate::sale::Policy { reboot: false, ..policy() });
    frame(&mut desk);
    see(&mut desk, "1", "A", 1);
    desk.operate(order("2"));
    answer(&mut desk, manifest("2"));
    assert!(!restarts(&answer(&mut desk, UpdateEvent::Installed(Ok(())))), "nobody is configured who does it");
    assert!(!desk.wait(7_200).contains(&Effect::Reboot));
}

#[test]
fn a_copy_that_could_not_be_written_is_no_fallback_until_one_is() {
    let mut desk = machine();
    desk.operate(order("2"));
    answer(&mut desk, manifest("2"));
    let step = answer(&mut desk, UpdateEvent::Installed(Err("data block is corrupted".into())));
    let why = Cause::UpdateFailed { detail: "data block is corrupted".into() };
    assert_eq!(answers(&step), [Outcome::Failed { why }]);
    assert_eq!(tasks(&step.effects), [UpdateTask::Look { clean: true }]);
    answer(&mut desk, UpdateEvent::Seen(software("1", "A", 1, false)));
    assert!(desk.state.updates.lacks_a_spare());
    // The very version that runs may be installed now: the other copy tells whether it was.
    desk.operate(order("1"));
    answer(&mut desk, manifest("1"));
    assert!(restarts(&answer(&mut desk, UpdateEvent::Installed(Ok(())))));
    desk.restart();
    assert_eq!(kinds(&see(&mut desk, "1", "B", 2)), ["update-tried"]);
    assert!(!desk.state.updates.lacks_a_spare());
    let mut back = on_trial();
    back.restart();
    fell_back(&see(&mut back, "1", "A", 3));
}

#[test]
fn who_has_no_other_copy_stays() {
    let mut desk = installed();
    desk.restart();
    answer(&mut desk, UpdateEvent::Seen(software("2", "B", 2, false)));
    frame(&mut desk);
    let effects = desk.wait(301);
    assert!(!tasks(&effects).contains(&UpdateTask::Return) && !effects.contains(&Effect::Reboot));
    let failed = |record: &Record| matches!(record, Record::OperationEnded { outcome: Outcome::Failed { .. }, .. });
    assert!(desk.records.iter().any(failed));
}

#[test]
fn software_that_was_good_is_marked_at_every_start_and_asked_again_where_that_fails() {
    let mut desk = machine();
    for boot in 2..5 {
        desk.restart();
        assert!(tasks(&see(&mut desk, "1", "A", boot).effects).is_empty(), "not before it is up");
        assert_eq!(tasks(&frame(&mut desk).effects), [UpdateTask::MarkGood { next: false }]);
        answer(&mut desk, UpdateEvent::MarkedGood(Err("busy".into())));
        assert_eq!(tasks(&desk.wait(11)), [UpdateTask::MarkGood { next: false }]);
        answer(&mut desk, UpdateEvent::MarkedGood(Ok(())));
        assert!(tasks(&desk.wait(100)).is_empty());
    }
    // Broken devices are no fault of software that was good before.
    desk.restart();
    desk.hear(Event::Condition(Condition::Board { answers: false }));
    see(&mut desk, "1", "A", 9);
    let step = desk.hear(Event::Condition(Condition::Glass { dark: Some("no panel".into()) }));
    assert_eq!(tasks(&step.effects), [UpdateTask::MarkGood { next: false }]);
}

#[test]
fn nothing_is_decided_before_it_is_known_what_runs() {
    let mut desk = on_trial();
    desk.restart();
    let unknown = Software { version: None, kernel_boot: "".into(), copies: Copies::Unknown { why: "away".into() } };
    let step = answer(&mut desk, UpdateEvent::Seen(unknown));
    assert!(step.records.is_empty() && answers(&step).is_empty());
    assert_eq!(tasks(&desk.wait(11)), [UpdateTask::Look { clean: false }]);
    // Which version runs is enough, where it is another.
    let away = |runs: &str| Software {
        version: Some(version(runs)),
        kernel_boot: "3".into(),
        copies: Copies::Unknown { why: "away".into() },
    };
    fell_back(&answer(&mut desk, UpdateEvent::Seen(away("1"))));
    // RAUC that is away in the new software is a part of its sickness.
    let mut desk = installed();
    desk.restart();
    assert_eq!(kinds(&answer(&mut desk, UpdateEvent::Seen(away("2")))), ["update-tried"]);
    frame(&mut desk);
    broker(&mut desk, true);
    let effects = desk.wait(301);
    assert!(tasks(&effects).contains(&UpdateTask::Return), "{effects:?}");
}

/// Whatever an image calls itself: the copy that was written is the new software, and the other is the former.
#[test]
fn an_image_of_another_version_is_sick_and_the_former_copy_stays_good() {
    for says in [Some("3"), None] {
        let mut desk = installed();
        desk.restart();
        let runs = Software { version: says.map(version), ..software("2", "B", 2, true) };
        let step = answer(&mut desk, UpdateEvent::Seen(runs));
        assert_eq!((kinds(&step), tasks(&step.effects)), (vec!["update-tried"], vec![]), "{says:?}");
        frame(&mut desk);
        broker(&mut desk, true);
        let effects = desk.wait(301);
        assert!(!desk.records.iter().any(|record| record.kind() == "update-passed"));
        assert_eq!(tasks(&effects), [UpdateTask::Return], "{says:?}");
        answer(&mut desk, UpdateEvent::Returns(Ok(())));
        desk.restart();
        let why = fell_back(&see(&mut desk, "1", "A", 3));
        assert!(why.contains("and 2 was asked for"), "{why}");
    }
}

/// The former software finds the trial in the ledger, and must not pass its gate.
#[test]
fn the_gate_is_passed_by_nobody_of_whom_it_is_not_known_which_he_is() {
    let mut desk = on_trial();
    desk.restart();
    for step in [frame(&mut desk), broker(&mut desk, true)] {
        assert!(!kinds(&step).contains(&"update-passed"), "{step:?}");
    }
    fell_back(&see(&mut desk, "1", "A", 3));
}
