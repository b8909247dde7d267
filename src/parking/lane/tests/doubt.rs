//! Cars that loops lose or take for two, and what must not be concluded from that.

use super::*;

/// A car with a ticket before the open gate of an entry.
fn may_come_in() -> Story {
    let mut story = Story::whole(Way::In);
    story.car_may_pass(1);
    story.arm_goes_up();
    story
}

/// It has come under the arm, and another is before the gate, which may pass too.
fn another_waits_behind() -> Story {
    let mut story = may_come_in();
    story.car_comes_under();
    story.off(Input::Presence);
    story.pass(600);
    story.car_may_pass(2);
    story
}

#[test]
fn a_car_that_the_loop_under_the_arm_has_lost_keeps_its_ticket() {
    for flickers in [false, true] {
        let mut story = may_come_in();
        story.car_comes_under();
        if flickers {
            for _ in 0..5 {
                story.off(Input::Safety);
                story.on(Input::Safety);
            }
            story.pass(6_000);
        } else {
            story.says(Input::Safety, Level::Unknown);
            story.on(Input::Safety);
            story.pass(500);
        }
        story.car_drives_on();
        story.pass(8_000);
        assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Unknown)], 1));
    }
}

#[test]
fn a_car_that_only_the_closing_loop_has_seen_keeps_its_ticket() {
    let mut story = may_come_in();
    story.off(Input::Presence);
    story.on(Input::Closing);
    story.pass(700);
    story.off(Input::Closing);
    story.pass(8_000);
    assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Unknown)], 1));
}

#[test]
fn who_comes_after_a_car_that_has_passed_can_go_back() {
    let mut story = another_waits_behind();
    story.on(Input::Closing);
    story.pass(400);
    story.off(Input::Safety);
    story.pass(600);
    story.off(Input::Closing);
    story.off(Input::Presence);
    story.pass(6_000);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered), (delivery(2), Answer::Withdrawn)]);
}

#[test]
fn what_may_have_been_a_second_car_uses_up_nothing_of_one_before_the_gate() {
    let mut story = another_waits_behind();
    // It rolls back a little, and comes again.
    story.off(Input::Presence);
    story.pass(600);
    story.on(Input::Presence);
    story.pass(600);
    story.on(Input::Closing);
    story.pass(300);
    story.off(Input::Safety);
    story.pass(600);
    story.off(Input::Closing);
    story.pass(3_000);
    assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Delivered)], 0));
    assert_eq!(story.wrote(&Record::Tailgated { sure: false }), 1);
    story.car_drives_through();
    assert_eq!(story.answers().last(), Some(&(delivery(2), Answer::Delivered)));
    assert_eq!(story.lowered(), 1);
}

#[test]
fn who_walks_over_the_presence_loop_again_and_again_is_one_doubt() {
    let mut story = may_come_in();
    story.car_comes_under();
    for _ in 0..100 {
        story.off(Input::Presence);
        story.pass(600);
        story.on(Input::Presence);
        story.pass(600);
    }
    story.car_drives_on();
    assert_eq!(story.wrote(&Record::Tailgated { sure: false }), 1);
}

#[test]
fn a_person_who_raises_for_a_car_that_was_called_for_gives_it_no_second_passage() {
    let former =
        Record::PassageEnded { authorisation: Authorisation::Delivery { delivery: delivery(1) }, how: Ended::Unknown };
    for restarts in [false, true] {
        let mut story = Story::whole(Way::Out);
        story.car_may_pass(1);
        if restarts {
            story.restarts();
            story.starts();
            story.car_comes();
        } else {
            story.pass(8_100);
            assert_eq!(story.calls(), [Call::GateDoesNotMove]);
        }
        story.asks(Ask::Raise);
        assert_eq!((story.lane.passages().len(), story.wrote(&former)), (1, 1));
        story.arm_goes_up();
        story.car_drives_through();
        assert_eq!((story.lane.passages().len(), story.lowered()), (0, 1));
    }
}

#[test]
fn who_has_paid_and_backs_off_may_come_again() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.off(Input::Presence);
    story.pass(20_000);
    assert_eq!((story.answers(), story.lowered()), (vec![], 0));
    story.car_comes();
    story.car_drives_through();
    assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Delivered)], 1));
}

#[test]
fn what_stands_behind_when_the_loop_under_the_arm_is_believed_again_came_from_the_front() {
    let mut story = may_come_in();
    story.says(Input::Safety, Level::Unknown);
    story.off(Input::Presence);
    story.on(Input::Closing);
    story.pass(700);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
    story.off(Input::Safety);
    story.car_may_pass(2);
    story.pass(900);
    story.car_comes_under();
    story.off(Input::Closing);
    story.pass(600);
    story.car_drives_on();
    assert_eq!((story.wrote(&Record::WrongWay {}), story.answers().len()), (0, 2));
}

#[test]
fn what_was_taken_out_of_the_configuration_is_not_wrong_any_more() {
    let mut story = Story::whole(Way::Out);
    story.on(Input::Fire);
    story.arm_goes_up();
    story.says(Input::Closing, Level::Unknown);
    story.pass(4_000);
    assert_eq!(story.alarms(), [Alarm::Input { input: Input::Closing, fault: Fault::Silent }, Alarm::Fire]);
    let settings = Settings { fire: false, closing: false, ..Settings::whole(Way::Out) };
    (story.now, story.lane) = (0, State::recover(settings, &story.ledger, Mono(0)));
    story.event(Event::Started);
    assert_eq!((story.alarms(), story.wrote(&Record::FireEnded {})), (vec![], 1));
    for input in [Input::Presence, Input::Safety, Input::Closed] {
        story.off(input);
    }
    story.on(Input::Opened);
    story.pass(2_000);
    assert_eq!(story.lowered(), 1);
}

#[test]
fn a_release_ends_the_alarm_about_what_was_kept_open() {
    let mut story = Story::whole(Way::Out);
    story.asks(Ask::KeepOpen);
    story.pass(60_000);
    assert!(story.alarms().contains(&Alarm::KeptOpenIsClosed));
    story.asks(Ask::Release);
    assert!(!story.alarms().contains(&Alarm::KeptOpenIsClosed));
}

#[test]
fn a_car_that_has_used_up_what_was_left_of_another_keeps_its_ticket() {
    let mut story = may_come_in();
    story.pass(61_000);
    assert_eq!(story.answers(), [(delivery(1), Answer::Unknown)], "it stands there still, and does not drive");
    story.event(Event::Authorised { delivery: delivery(2) });
    story.car_drives_through();
    story.pass(20_000);
    assert!(!story.answers().contains(&(delivery(2), Answer::Withdrawn)), "{:?}", story.answers());
}

#[test]
fn a_car_that_closed_up_to_one_under_the_arm_keeps_its_ticket() {
    let mut story = Story::whole(Way::In);
    story.on(Input::Fire);
    story.arm_goes_up();
    story.car_comes();
    story.car_comes_under();
    story.event(Event::Authorised { delivery: delivery(1) });
    // Two have driven in, and look like one.
    story.car_drives_on();
    story.pass(10_000);
    assert_eq!(story.answers(), [(delivery(1), Answer::Unknown)]);
}

#[test]
fn one_car_that_goes_back_voids_one_ticket() {
    let mut story = may_come_in();
    story.pass(1_000);
    story.event(Event::Authorised { delivery: delivery(2) });
    story.off(Input::Presence);
    story.pass(6_000);
    let ended =
        |order, how| Record::PassageEnded { authorisation: Authorisation::Delivery { delivery: delivery(order) }, how };
    assert_eq!((story.wrote(&ended(1, Ended::Unknown)), story.wrote(&ended(2, Ended::Withdrawn))), (1, 1));
}

#[test]
fn what_the_presence_loop_said_before_it_fell_silent_is_not_believed_of_a_car_under_the_arm() {
    let mut story = Story::begins(Settings { closing: false, ..Settings::whole(Way::In) });
    story.car_may_pass(1);
    story.arm_goes_up();
    story.says(Input::Presence, Level::Unknown);
    story.car_comes_under();
    story.off(Input::Safety);
    story.pass(100);
    story.off(Input::Presence);
    story.pass(8_000);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
}

#[test]
fn what_may_have_been_a_second_car_is_not_said_to_have_passed() {
    let mut story = another_waits_behind();
    story.on(Input::Closing);
    // It goes back, or has closed up.
    story.off(Input::Presence);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered), (delivery(2), Answer::Unknown)]);
}
