//! A power cut before, between and after.

use super::*;

#[test]
fn a_start_energises_nothing_and_knows_nothing() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.restarts();
    story.pass(600_000);
    assert_eq!((story.raised(), story.lowered()), (0, 0));
    assert_eq!(story.calls()[0], Call::Restarted);
}

#[test]
fn who_may_pass_and_stands_before_a_gate_that_was_not_raised_is_called_for() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.restarts();
    story.starts();
    story.on(Input::Presence);
    story.event(Event::Recalled { delivery: delivery(1) });
    assert_eq!(story.answers(), []);
    story.pass(8_100);
    assert_eq!(story.calls(), [Call::Restarted]);
    story.event(Event::Authorised { delivery: delivery(1) });
    story.pass(600_000);
    assert_eq!((story.raised(), story.answers()), (0, vec![(delivery(1), Answer::Unknown)]));
}

#[test]
fn a_car_that_was_on_its_way_through_is_seen_to_pass() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_comes_under();
    story.restarts();
    for (input, level) in [
        (Input::Closing, Level::Active),
        (Input::Safety, Level::Active),
        (Input::Presence, Level::Inactive),
        (Input::Closed, Level::Inactive),
        (Input::Opened, Level::Active),
        (Input::Fire, Level::Inactive),
    ] {
        story.says(input, level);
    }
    story.event(Event::Recalled { delivery: delivery(1) });
    story.pass(30_000);
    assert_eq!((story.lowered(), story.calls()), (0, vec![]), "a car under the arm is waited for");
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
    story.off(Input::Closing);
    story.pass(600);
    assert_eq!((story.raised(), story.lowered(), story.alarms()), (0, 1, vec![]));
}

#[test]
fn what_ended_before_is_answered_from_the_records() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.restarts();
    story.starts();
    story.event(Event::Recalled { delivery: delivery(1) });
    story.event(Event::Authorised { delivery: delivery(1) });
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered); 2]);
    assert_eq!(story.raised(), 0);
}

#[test]
fn a_delivery_that_never_came_to_the_lane_raises_nothing_ever() {
    let mut story = Story::whole(Way::Out);
    story.event(Event::Recalled { delivery: delivery(1) });
    assert_eq!((story.answers(), story.calls()), (vec![(delivery(1), Answer::Unknown)], vec![Call::Restarted]));
    story.event(Event::Authorised { delivery: delivery(1) });
    assert_eq!(story.raised(), 0);
    story.restarts();
    story.event(Event::Authorised { delivery: delivery(1) });
    assert_eq!(story.raised(), 0);
}

#[test]
fn a_number_is_refused_by_its_age_when_its_name_is_forgotten() {
    let mut ledger = Vec::new();
    for number in 1..=1_500 {
        let authorisation = Authorisation::Delivery { delivery: delivery(number) };
        ledger.push(Record::GateIntended { authorisation: authorisation.clone(), attempt: 1 });
        ledger.push(Record::PassageEnded { authorisation, how: Ended::Passed });
    }
    let mut story = Story::whole(Way::Out);
    story.ledger = ledger;
    story.restarts();
    for number in [1, 499, 500, 501, 1_500] {
        story.event(Event::Authorised { delivery: delivery(number) });
    }
    assert_eq!(story.raised(), 0);
    let answers: Vec<Answer> = story.answers().into_iter().map(|(_, answer)| answer).collect();
    use Answer::{Delivered, Unknown};
    assert_eq!(answers, [Unknown, Unknown, Unknown, Delivered, Delivered]);
    story.event(Event::Authorised { delivery: delivery(1_501) });
    assert_eq!(story.raised(), 1);
}

#[test]
fn an_arm_that_was_left_up_is_lowered_once_every_input_has_spoken() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_comes_under();
    story.off(Input::Presence);
    story.on(Input::Closing);
    story.pass(200);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!((story.answers().len(), story.lowered()), (1, 0));
    story.restarts();
    for input in [Input::Presence, Input::Safety, Input::Closed, Input::Fire] {
        story.off(input);
    }
    story.on(Input::Opened);
    story.pass(60_000);
    assert_eq!(story.lowered(), 0, "nobody has spoken for the closing loop");
    story.off(Input::Closing);
    story.pass(600);
    assert_eq!((story.lowered(), story.raised()), (1, 0));
}

/// The gate is open, and a car under it and behind it; nobody is before it.
fn comes_back_with_a_car_under_the_arm(story: &mut Story) {
    story.restarts();
    for (input, level) in [
        (Input::Safety, Level::Active),
        (Input::Presence, Level::Inactive),
        (Input::Closing, Level::Active),
        (Input::Closed, Level::Inactive),
        (Input::Opened, Level::Active),
        (Input::Fire, Level::Inactive),
    ] {
        story.says(input, level);
    }
}

#[test]
fn who_was_let_in_before_uses_nothing_up_that_is_meant_for_the_next() {
    let mut story = Story::whole(Way::In);
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.car_comes();
    story.car_comes_under();
    story.off(Input::Presence);
    story.asks(Ask::Release);
    comes_back_with_a_car_under_the_arm(&mut story);
    story.pass(1_000);
    // The next car may pass before it has left.
    story.car_may_pass(1);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!(story.wrote(&Record::CarPassed { authorised: true }), 1);
    assert_eq!((story.answers(), story.lane.passages().len()), (vec![], 1), "the next has not passed");
    story.off(Input::Closing);
    story.pass(5_000);
    assert_eq!(story.lowered(), 0);
    story.car_drives_through();
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
    assert_eq!((story.lane.passages().len(), story.alarms(), story.calls()), (0, vec![], vec![]));
}

#[test]
fn who_may_have_been_let_in_is_only_where_the_gate_was_held_open_since_it_was_closed() {
    let mut story = Story::whole(Way::In);
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.asks(Ask::Release);
    story.pass(1_000);
    story.arm_goes_down();
    assert_eq!(story.wrote(&Record::GateClosed {}), 1);
    comes_back_with_a_car_under_the_arm(&mut story);
    story.pass(1_000);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!(story.wrote(&Record::Tailgated { sure: true }), 1);
}
