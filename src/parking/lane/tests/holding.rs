//! People who raise and keep open, fire, and hands other than ours.

use super::*;

#[test]
fn a_person_raises_it_for_one_car_with_name_and_reason() {
    let mut story = Story::whole(Way::Out);
    let request = story.asks(Ask::Raise);
    let reason = Reason::parse("the driver has called").unwrap();
    let authorisation = Authorisation::Operation { request: request.clone(), actor: Actor::Menu, reason };
    assert_eq!(story.wrote(&Record::GateIntended { authorisation: authorisation.clone(), attempt: 1 }), 1);
    story.arm_goes_up();
    story.car_comes();
    story.car_drives_through();
    assert_eq!((story.raised(), story.lowered()), (1, 1));
    assert_eq!(story.wrote(&Record::PassageEnded { authorisation, how: Ended::Passed }), 1);
    assert!(story.done.contains(&Effect::Ended { request: request.clone(), result: Ok(()) }));
    story.arm_goes_down();
    let reason = Reason::parse("once more").unwrap();
    story.event(Event::Asked { request, actor: Actor::Menu, reason, what: Ask::Raise });
    assert_eq!(story.raised(), 1, "the same request again");
}

#[test]
fn a_gate_that_was_raised_by_a_person_waits_a_while_for_a_car() {
    let mut story = Story::whole(Way::Out);
    story.asks(Ask::Raise);
    story.arm_goes_up();
    story.pass(59_000);
    assert_eq!(story.lowered(), 0);
    story.pass(2_000);
    assert_eq!((story.lowered(), story.calls()), (1, vec![]));
}

#[test]
fn a_gate_that_is_kept_open_lets_everybody_pass_until_it_is_released() {
    let mut story = Story::whole(Way::In);
    let request = story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    assert!(story.done.contains(&Effect::Ended { request, result: Ok(()) }));
    for _ in 0..3 {
        story.car_comes();
        story.car_drives_through();
        story.pass(10_000);
    }
    assert_eq!((story.raised(), story.lowered(), story.alarms()), (1, 0, vec![]));
    assert_eq!(story.wrote(&Record::CarPassed { authorised: true }), 3);
    story.asks(Ask::Release);
    assert_eq!(story.lowered(), 1);
}

#[test]
fn a_gate_that_does_not_stay_open_is_asked_a_few_times_and_somebody_comes() {
    let mut story = Story::whole(Way::In);
    let request = story.asks(Ask::KeepOpen);
    for _ in 0..5 {
        story.pass(30_000);
    }
    assert_eq!((story.raised(), story.calls()), (2, vec![Call::KeptOpenIsClosed]));
    assert!(story.alarms().contains(&Alarm::KeptOpenIsClosed));
    assert!(story.done.contains(&Effect::Ended { request, result: Err(Call::KeptOpenIsClosed) }));
}

#[test]
fn what_was_kept_open_is_not_raised_again_after_a_restart_and_is_told() {
    let mut story = Story::whole(Way::In);
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.restarts();
    story.starts();
    story.pass(60_000);
    assert_eq!((story.raised(), story.calls()), (0, vec![Call::KeptOpenIsClosed]));
    // And one that is still open stays so.
    let mut story = Story::whole(Way::In);
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.restarts();
    for input in [Input::Presence, Input::Safety, Input::Closing, Input::Closed, Input::Fire] {
        story.off(input);
    }
    story.on(Input::Opened);
    story.pass(600_000);
    assert_eq!((story.raised(), story.lowered(), story.calls()), (0, 0, vec![]));
}

#[test]
fn fire_opens_at_once_and_nothing_closes_against_it() {
    let mut story = Story::whole(Way::Out);
    let step = story.says(Input::Fire, Level::Active);
    assert_eq!(step.at_once, [Effect::Energise { relay: Relay::Raise, pulse: Duration::from_millis(500) }]);
    assert_eq!(step.records, [Record::FireBegun {}, Record::AlarmRaised(Alarm::Fire)]);
    story.arm_goes_up();
    story.car_comes();
    story.car_drives_through();
    story.asks(Ask::Release);
    story.pass(3_600_000);
    assert_eq!((story.raised(), story.lowered(), story.alarms()), (1, 0, vec![Alarm::Fire]));
    story.off(Input::Fire);
    story.pass(9_000);
    assert_eq!(story.lowered(), 0);
    story.pass(2_000);
    assert_eq!((story.lowered(), story.alarms()), (1, vec![]));
}

#[test]
fn fire_asks_again_for_as_long_as_the_gate_is_not_open() {
    let mut story = Story::whole(Way::Out);
    story.on(Input::Fire);
    story.pass(65_000);
    assert_eq!(story.raised(), 7);
    story.arm_goes_up();
    story.pass(65_000);
    assert_eq!(story.raised(), 7);
}

#[test]
fn fire_turns_an_arm_round_that_is_on_its_way_down() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    assert_eq!((story.lowered(), story.raised()), (1, 1));
    let step = story.says(Input::Fire, Level::Active);
    assert_eq!(step.at_once.first(), Some(&Effect::Rest { relay: Relay::Lower }));
    assert_eq!(story.raised(), 2);
}

#[test]
fn a_fire_that_burns_over_a_restart_keeps_it_open_and_one_that_is_over_ends() {
    let mut story = Story::whole(Way::Out);
    story.on(Input::Fire);
    story.arm_goes_up();
    let before = story.ledger.clone();
    story.restarts();
    story.pass(5_000);
    assert_eq!(story.raised(), 0, "nobody has said yet that there is fire");
    story.on(Input::Fire);
    assert_eq!(story.raised(), 1);
    story.ledger = before;
    story.restarts();
    for input in [Input::Presence, Input::Safety, Input::Closing, Input::Closed, Input::Fire] {
        story.off(input);
    }
    story.on(Input::Opened);
    story.pass(9_000);
    assert_eq!((story.raised(), story.lowered()), (0, 0));
    story.pass(2_000);
    assert_eq!((story.lowered(), story.alarms()), (1, vec![]));
}

#[test]
fn while_nobody_knows_whether_there_is_fire_the_arm_stays_up() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.says(Input::Fire, Level::Unknown);
    story.car_drives_through();
    story.pass(60_000);
    assert_eq!(story.lowered(), 0);
    assert_eq!(story.alarms(), [Alarm::Input { input: Input::Fire, fault: Fault::Silent }]);
}

#[test]
fn an_arm_that_others_have_raised_is_left_to_them() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.arm_goes_up();
    story.pass(600_000);
    assert_eq!((story.lowered(), story.alarms()), (1, vec![Alarm::OpenedByOthers]));
    story.restarts();
    for input in [Input::Presence, Input::Safety, Input::Closing, Input::Closed, Input::Fire] {
        story.off(input);
    }
    story.on(Input::Opened);
    story.pass(600_000);
    assert_eq!((story.lowered(), story.alarms()), (0, vec![Alarm::OpenedByOthers]));
    story.asks(Ask::Release);
    assert_eq!((story.lowered(), story.alarms()), (1, vec![]));
}

#[test]
fn an_input_of_the_gate_is_released_before_the_other_is_taken() {
    let mut story = Story::whole(Way::In);
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.asks(Ask::KeepOpen);
    story.asks(Ask::Release);
    story.pass(790);
    assert_eq!((story.raised(), story.lowered()), (2, 0), "half a second of pulse, and some rest");
    story.pass(20);
    assert_eq!(story.lowered(), 1);
}

#[test]
fn who_drove_in_while_it_was_kept_open_uses_up_nothing_of_the_next() {
    let mut story = Story::whole(Way::In);
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.car_comes();
    story.car_comes_under();
    story.asks(Ask::Release);
    story.event(Event::Authorised { delivery: delivery(1) });
    story.car_drives_on();
    assert_eq!((story.answers(), story.alarms()), (vec![], vec![]));
    story.car_comes();
    story.car_drives_through();
    assert_eq!((story.answers(), story.alarms()), (vec![(delivery(1), Answer::Delivered)], vec![]));
}
