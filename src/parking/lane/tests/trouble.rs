//! Gates that do not move, switches and loops that lie, and cars for which nobody can decide.

use super::*;

#[test]
fn a_gate_that_does_not_move_as_far_as_a_new_switch_says_is_unknown_and_somebody_comes() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.pass(7_900);
    assert_eq!(story.calls(), []);
    story.pass(200);
    assert_eq!(story.calls(), [Call::GateDoesNotMove]);
    assert_eq!(story.answers(), [(delivery(1), Answer::Unknown)]);
    assert_eq!(story.raised(), 1, "a switch that has not moved in this run proves nothing");
    assert!(story.alarms().contains(&Alarm::GateDoesNotMove));
    story.pass(300_000);
    assert_eq!((story.raised(), story.calls().len()), (1, 1));
}

#[test]
fn a_gate_whose_switch_has_proved_itself_is_asked_once_more_under_a_new_intent() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.car_may_pass(2);
    story.pass(8_100);
    let authorisation = Authorisation::Delivery { delivery: delivery(2) };
    assert_eq!(story.wrote(&Record::GateIntended { authorisation: authorisation.clone(), attempt: 2 }), 1);
    assert_eq!((story.raised(), story.calls()), (3, vec![]));
    story.pass(8_100);
    assert_eq!(story.wrote(&Record::PassageEnded { authorisation, how: Ended::NotMoved }), 1);
    assert_eq!((story.raised(), story.calls()), (3, vec![Call::GateDoesNotMove]));
    assert_eq!(story.answers().last(), Some(&(delivery(2), Answer::NotMoved)));
    assert_eq!(story.alarms(), [Alarm::GateDoesNotMove]);
    // The next one has an authorisation, and so tries, of its own.
    story.event(Event::Authorised { delivery: delivery(3) });
    story.arm_goes_up();
    assert_eq!((story.raised(), story.alarms()), (4, vec![]));
}

#[test]
fn a_proof_is_of_one_run() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.restarts();
    story.starts();
    story.car_may_pass(2);
    story.pass(60_000);
    assert_eq!((story.raised(), story.answers()), (1, vec![(delivery(2), Answer::Unknown)]));
}

#[test]
fn a_gate_that_is_not_seen_open_is_a_call_and_the_car_may_pass() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.off(Input::Closed);
    story.pass(8_100);
    assert_eq!((story.calls(), story.answers()), (vec![Call::GateNotSeenOpen], vec![]));
    assert_eq!(story.alarms(), [Alarm::GateNotSeenOpen]);
    story.car_drives_through();
    assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Delivered)], 1));
}

#[test]
fn without_switches_time_decides() {
    let mut story = Story::begins(Settings { opened: false, closed: false, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.pass(3_900);
    assert!(matches!(story.lane.position(), gate::Position::Raising(_)));
    story.pass(200);
    assert_eq!(story.lane.position(), gate::Position::Open);
    story.car_drives_through();
    assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Delivered)], 1));
    story.pass(6_100);
    assert_eq!((story.lane.position(), story.wrote(&Record::GateClosed {})), (gate::Position::Closed, 1));
    assert_eq!(story.alarms(), []);
}

#[test]
fn a_car_before_an_open_gate_that_does_not_drive_is_a_call_and_the_gate_stays_open() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.pass(60_000);
    assert_eq!((story.calls(), story.answers()), (vec![Call::NobodyPasses], vec![(delivery(1), Answer::Unknown)]));
    story.pass(200_000);
    assert_eq!((story.lowered(), story.calls().len()), (0, 1));
    story.car_drives_through();
    assert_eq!((story.lowered(), story.alarms()), (1, vec![]));
}

#[test]
fn a_gate_that_closes_before_its_car_by_itself_is_a_call() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.arm_goes_down();
    assert_eq!((story.calls(), story.raised()), (vec![Call::NobodyPasses], 1));
}

#[test]
fn a_gate_that_does_not_close_is_asked_a_few_times_and_somebody_comes() {
    let mut story = Story::whole(Way::In);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    story.pass(600_000);
    assert_eq!((story.lowered(), story.calls()), (2, vec![Call::GateDoesNotClose]));
    assert_eq!(story.alarms(), [Alarm::GateDoesNotClose]);
    story.asks(Ask::Release);
    assert_eq!(story.lowered(), 3, "somebody has looked");
    story.arm_goes_down();
    assert_eq!(story.alarms(), []);
}

#[test]
fn a_switch_that_says_closed_while_cars_pass_is_not_believed() {
    let mut story = Story::begins(Settings { opened: false, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.pass(8_100);
    story.car_drives_through();
    assert_eq!(story.alarms(), [Alarm::SwitchesDisagree, Alarm::GateDoesNotMove]);
    assert_eq!(story.lowered(), 1, "the arm is up, whatever the switch says");
}

#[test]
fn both_ends_at_once_are_believed_of_neither() {
    let mut story = Story::whole(Way::Out);
    story.on(Input::Opened);
    story.pass(100);
    assert_eq!((story.alarms(), story.lane.position()), (vec![Alarm::SwitchesDisagree], gate::Position::Closed));
    story.off(Input::Opened);
    story.pass(100);
    assert_eq!(story.alarms(), []);
}

#[test]
fn a_relay_that_is_not_energised_has_moved_nothing() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.event(Event::NotEnergised { relay: Relay::Raise });
    assert_eq!(story.answers(), [(delivery(1), Answer::NotMoved)]);
    assert_eq!((story.calls(), story.raised()), (vec![Call::RelayFailed], 1));
    assert_eq!(story.alarms(), [Alarm::Relay { relay: Relay::Raise }]);
    story.pass(60_000);
    assert_eq!(story.raised(), 1);
}

#[test]
fn an_arm_on_its_way_down_is_sent_up_until_the_relay_answers() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    story.off(Input::Opened);
    story.on(Input::Safety);
    assert_eq!(story.raised(), 2);
    story.event(Event::NotEnergised { relay: Relay::Raise });
    assert_eq!(story.raised(), 3, "once more at once");
    for raised in 4..7 {
        let step = story.event(Event::NotEnergised { relay: Relay::Raise });
        assert_eq!(
            (step.at_once, story.raised()),
            (vec![], raised - 1),
            "a board that answers at once is not asked at once"
        );
        story.pass(300);
        assert_eq!(story.raised(), raised, "the car is there still");
    }
}

#[test]
fn a_stuck_loop_is_an_alarm_and_the_arm_stays_up() {
    for input in [Input::Safety, Input::Closing] {
        let mut story = Story::whole(Way::Out);
        story.car_may_pass(1);
        story.arm_goes_up();
        story.car_drives_through();
        story.on(input);
        story.pass(599_000);
        assert_eq!(story.alarms(), []);
        story.pass(2_000);
        assert_eq!(story.alarms(), [Alarm::Input { input, fault: Fault::Stuck }]);
        story.pass(3_600_000);
        assert_eq!((story.lowered(), story.raised()), (1, 2), "it was on its way down");
        story.off(input);
        story.pass(2_000);
        assert_eq!((story.lowered(), story.alarms()), (2, vec![]));
    }
}

#[test]
fn a_flickering_loop_counts_no_car_and_keeps_the_arm_up() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    let before = story.ledger.len();
    for nth in 0..40 {
        story.says(Input::Safety, if nth % 2 == 0 { Level::Active } else { Level::Inactive });
        story.pass(150);
    }
    assert_eq!(story.alarms(), [Alarm::Input { input: Input::Safety, fault: Fault::Flickering }]);
    assert_eq!(story.ledger.len(), before + 1, "{:?}", &story.ledger[before..]);
    assert!(story.lane.passages().is_empty());
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.asks(Ask::Release);
    story.says(Input::Safety, Level::Active);
    story.off(Input::Safety);
    story.pass(4_900);
    assert_eq!(story.lowered(), 1);
    story.pass(200);
    assert_eq!(story.lowered(), 2, "{:?}", story.alarms());
}

#[test]
fn between_two_flickers_the_arm_stays_up() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_comes_under();
    for nth in 0..100 {
        story.says(Input::Closing, if nth % 2 == 0 { Level::Active } else { Level::Inactive });
        story.pass(40);
    }
    story.car_drives_on();
    story.pass(4_000);
    assert_eq!(story.lowered(), 0, "it was clear for longer than a car needs, and flickered a moment ago");
    story.pass(2_000);
    assert_eq!(story.lowered(), 1);
}

#[test]
fn a_loop_of_which_nobody_knows_keeps_the_arm_up_and_sends_it_up() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    assert_eq!(story.lowered(), 1);
    let step = story.says(Input::Closing, Level::Unknown);
    assert_eq!(step.records, [Record::GateReopened {}]);
    story.on(Input::Opened);
    story.pass(600_000);
    assert_eq!(story.lowered(), 1);
    assert_eq!(story.alarms(), [Alarm::Input { input: Input::Closing, fault: Fault::Silent }]);
}

#[test]
fn a_car_for_which_nobody_can_decide_passes_and_owes_once_for_each_car() {
    let mut story = Story::begins(Settings { undecided: Undecided::OpenAndRecord, ..Settings::whole(Way::Out) });
    story.event(Event::CantDecide { why: CantDecide::NoKey });
    assert_eq!((story.raised(), story.calls().len()), (0, 1), "nobody is there");
    story.car_comes();
    story.event(Event::CantDecide { why: CantDecide::NoKey });
    let owes = |number| Record::GateIntended {
        authorisation: Authorisation::Undecided { number, why: CantDecide::NoKey },
        attempt: 1,
    };
    assert_eq!((story.wrote(&owes(1)), story.raised()), (1, 1));
    story.event(Event::CantDecide { why: CantDecide::NoKey });
    assert_eq!((story.raised(), story.calls().len()), (1, 2));
    story.arm_goes_up();
    story.car_drives_through();
    story.arm_goes_down();
    story.car_comes();
    story.event(Event::CantDecide { why: CantDecide::NoKey });
    assert_eq!((story.wrote(&owes(2)), story.raised()), (1, 2));
}

#[test]
fn a_presence_loop_that_can_not_be_believed_opens_for_nobody() {
    let mut story = Story::begins(Settings { undecided: Undecided::OpenAndRecord, ..Settings::whole(Way::Out) });
    story.on(Input::Presence);
    story.pass(601_000);
    story.event(Event::CantDecide { why: CantDecide::NoKey });
    assert_eq!((story.raised(), story.calls()), (0, vec![Call::CantDecide(CantDecide::NoKey)]));
    assert!(story.lane.armed(Mono(story.now)), "who comes is served all the same");
}

#[test]
fn where_the_gate_stays_closed_somebody_is_called() {
    let mut story = Story::whole(Way::Out);
    story.car_comes();
    story.event(Event::CantDecide { why: CantDecide::NoPrice });
    story.event(Event::CantDecide { why: CantDecide::NoPrice });
    assert_eq!((story.raised(), story.calls()), (0, vec![Call::CantDecide(CantDecide::NoPrice)]));
    story.off(Input::Presence);
    story.pass(1_000);
    story.car_comes();
    story.event(Event::CantDecide { why: CantDecide::NoPrice });
    assert_eq!(story.calls().len(), 2, "once for each car");
}

#[test]
fn a_gate_that_closes_by_its_own_control_is_only_looked_at() {
    let mut story = Story::begins(Settings { lowers: false, safety: false, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.arm_goes_up();
    story.off(Input::Presence);
    story.on(Input::Closing);
    story.pass(700);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
    story.off(Input::Closing);
    story.pass(1_000);
    story.arm_goes_down();
    assert_eq!((story.lowered(), story.wrote(&Record::GateClosed {}), story.alarms()), (0, 1, vec![]));
}

#[test]
fn an_arm_for_which_no_relay_was_energised_is_not_taken_for_closed() {
    let mut story = Story::begins(Settings { closed: false, opened: false, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.pass(5_000);
    story.car_drives_through();
    for tries in 1..3 {
        assert_eq!(story.lowered(), tries);
        story.event(Event::NotEnergised { relay: Relay::Lower });
        story.pass(2_000);
    }
    story.pass(60_000);
    assert_eq!((story.lowered(), story.wrote(&Record::GateClosed {})), (2, 0));
    assert_eq!(story.calls(), [Call::GateDoesNotClose]);
    story.asks(Ask::Release);
    story.pass(20_000);
    assert_eq!((story.lowered(), story.alarms()), (3, vec![]));
}

#[test]
fn a_gate_that_went_up_and_came_down_again_has_moved() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.car_may_pass(2);
    story.off(Input::Closed);
    story.pass(1_000);
    story.on(Input::Closed);
    story.pass(8_000);
    assert_eq!((story.raised(), story.calls()), (2, vec![Call::GateDoesNotMove]));
    assert_eq!(story.answers().last(), Some(&(delivery(2), Answer::Unknown)));
}

#[test]
fn one_car_owes_once_also_where_the_gate_did_not_open_for_it() {
    let mut story = Story::begins(Settings { undecided: Undecided::OpenAndRecord, ..Settings::whole(Way::Out) });
    story.car_comes();
    story.event(Event::CantDecide { why: CantDecide::NoTicket });
    story.event(Event::NotEnergised { relay: Relay::Raise });
    story.event(Event::CantDecide { why: CantDecide::NoTicket });
    assert_eq!((story.raised(), story.calls()), (1, vec![Call::RelayFailed, Call::CantDecide(CantDecide::NoTicket)]));
}
