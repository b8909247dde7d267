//! Pulses that are not given, that follow each other, or that are not written down; and who hears what came of them.

use super::*;

fn raise() -> Effect {
    Effect::Energise { relay: Relay::Raise, pulse: Duration::from_millis(500) }
}

impl Story {
    fn ended(&self, wanted: &RequestId) -> Vec<Result<(), Call>> {
        let of = |effect: &Effect| match effect {
            Effect::Ended { request, result } if request == wanted => Some(*result),
            _ => None,
        };
        self.done.iter().filter_map(of).collect()
    }

    fn asks_again(&mut self, request: &RequestId, what: Ask) {
        let reason = Reason::parse("once more").unwrap();
        self.event(Event::Asked { request: request.clone(), actor: Actor::Menu, reason, what });
    }
}

#[test]
fn a_second_pulse_that_is_not_given_leaves_it_to_the_first_to_raise() {
    for fire in [false, true] {
        let mut story = Story::whole(Way::Out);
        story.car_may_pass(1);
        story.off(Input::Closed);
        story.pass(1_000);
        let rising = story.lane.position();
        if fire {
            story.on(Input::Fire);
        } else {
            story.asks(Ask::Raise);
        }
        assert_eq!(story.raised(), 2);
        story.event(Event::NotEnergised { relay: Relay::Raise });
        assert_eq!((story.answers(), story.lane.position()), (vec![], rising), "the arm is on its way up");
        assert!(story.alarms().contains(&Alarm::Relay { relay: Relay::Raise }));
        story.pass(500);
        story.on(Input::Opened);
        story.pass(100);
        story.car_drives_through();
        assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Delivered)], 0));
        assert!(!story.alarms().contains(&Alarm::Relay { relay: Relay::Raise }));
    }
}

#[test]
fn an_arm_on_its_way_up_is_not_sent_down_because_a_second_pulse_was_not_given() {
    let mut story = Story::begins(Settings { opened: false, closed: false, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.pass(1_000);
    story.asks(Ask::Raise);
    story.event(Event::NotEnergised { relay: Relay::Raise });
    story.event(Event::NotEnergised { relay: Relay::Raise });
    story.pass(10_000);
    assert_eq!((story.lowered(), story.answers(), story.lane.passages().len()), (0, vec![], 2));
}

#[test]
fn what_the_arm_has_done_since_it_was_first_asked_is_not_forgotten_with_another_pulse() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.car_may_pass(2);
    story.off(Input::Closed);
    story.pass(1_000);
    story.on(Input::Closed);
    story.pass(2_000);
    story.asks(Ask::Raise);
    story.pass(8_100);
    assert_eq!(story.answers().last(), Some(&(delivery(2), Answer::Unknown)), "it went up, and came down again");
    assert_eq!(story.raised(), 3);
}

#[test]
fn two_wishes_within_one_pulse_and_its_rest_are_one_pulse() {
    let mut story = Story::whole(Way::Out);
    story.asks(Ask::Raise);
    story.pass(700);
    story.asks(Ask::Raise);
    assert_eq!(story.raised(), 1, "the gate's input has not been released for long enough");
    story.pass(200);
    story.asks(Ask::Raise);
    assert_eq!(story.raised(), 2);
}

#[test]
fn what_could_not_be_written_leaves_the_falling_arm_protected() {
    for fire in [true, false] {
        let mut story = Story::whole(Way::Out);
        story.car_may_pass(1);
        story.arm_goes_up();
        story.car_drives_through();
        story.off(Input::Opened);
        let step = next(&mut story.lane, Event::Authorised { delivery: delivery(2) }, Mono(story.now));
        assert_eq!(step.at_once, [Effect::Rest { relay: Relay::Lower }], "the pulse ends, be the disk broken");
        assert_eq!(step.effects, [raise()]);
        // The commit has failed, and what was dropped is said.
        story.event(Event::NotEnergised { relay: Relay::Raise });
        if fire {
            assert_eq!(story.says(Input::Fire, Level::Active).at_once, [raise()]);
        } else {
            assert_eq!(story.says(Input::Safety, Level::Active).at_once, [raise()]);
        }
    }
}

#[test]
fn a_gate_that_does_not_open_for_a_fire_is_an_alarm_and_a_call() {
    for repeat in [2, 10] {
        let mut settings = Settings::whole(Way::Out);
        settings.times.fire_repeat = Duration::from_secs(repeat);
        let mut story = Story::begins(settings);
        story.on(Input::Fire);
        story.pass(7_900);
        assert_eq!(story.calls(), []);
        story.pass(200);
        assert_eq!(
            (story.calls(), story.alarms()),
            (vec![Call::GateDoesNotMove], vec![Alarm::GateDoesNotMove, Alarm::Fire])
        );
        story.pass(60_000);
        assert_eq!(story.calls().len(), 1);
        story.arm_goes_up();
        assert_eq!(story.alarms(), [Alarm::Fire]);
        // And one that has left its lower end, and does not arrive at the other.
        story.off(Input::Opened);
        story.pass(100);
        assert_eq!(
            (story.calls().last(), story.alarms()),
            (Some(&Call::GateNotSeenOpen), vec![Alarm::GateNotSeenOpen, Alarm::Fire])
        );
    }
}

#[test]
fn fire_asks_again_for_as_long_as_the_lower_switch_says_closed() {
    let mut story = Story::begins(Settings { opened: false, ..Settings::whole(Way::Out) });
    story.on(Input::Fire);
    story.pass(65_000);
    assert_eq!(story.raised(), 7);
    story.off(Input::Closed);
    story.pass(65_000);
    assert_eq!(story.raised(), 7, "nobody would see it open");
}

#[test]
fn who_asks_that_it_be_kept_open_is_answered_each_once() {
    let mut story = Story::whole(Way::Out);
    let (first, second) = (story.asks(Ask::KeepOpen), story.asks(Ask::KeepOpen));
    story.asks_again(&first, Ask::KeepOpen);
    assert_eq!((story.ended(&first), story.ended(&second)), (vec![], vec![]));
    story.arm_goes_up();
    assert_eq!((story.ended(&first), story.ended(&second)), (vec![Ok(())], vec![Ok(())]));
    let third = story.asks(Ask::KeepOpen);
    assert_eq!(story.ended(&third), [Ok(())], "it is open already");
    // A switch that says nothing, and a relay that is not energised.
    let mut story = Story::whole(Way::Out);
    story.says(Input::Opened, Level::Unknown);
    let request = story.asks(Ask::KeepOpen);
    story.off(Input::Closed);
    story.pass(8_100);
    assert_eq!(story.ended(&request), [Err(Call::GateNotSeenOpen)]);
    let mut story = Story::begins(Settings { opened: false, closed: false, ..Settings::whole(Way::Out) });
    let request = story.asks(Ask::KeepOpen);
    story.event(Event::NotEnergised { relay: Relay::Raise });
    assert_eq!((story.ended(&request), story.calls()), (vec![Err(Call::RelayFailed)], vec![Call::RelayFailed]));
}

#[test]
fn a_request_that_comes_again_hears_what_came_of_it() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    let request = story.asks(Ask::Raise);
    story.asks_again(&request, Ask::Raise);
    assert_eq!(story.ended(&request), [], "nobody knows yet");
    story.pass(16_300);
    assert_eq!(story.ended(&request), [Err(Call::GateDoesNotMove)]);
    story.asks_again(&request, Ask::Raise);
    assert_eq!((story.ended(&request), story.raised()), (vec![Err(Call::GateDoesNotMove); 2], 3));
}

#[test]
fn where_the_open_gate_counts_one_that_is_open_already_does() {
    let mut story = Story::begins(Settings { delivered: Delivered::Opened, ..Settings::whole(Way::Out) });
    story.asks(Ask::KeepOpen);
    story.arm_goes_up();
    story.car_may_pass(1);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
}

#[test]
fn a_switch_that_flickers_is_not_believed() {
    let mut story = Story::whole(Way::Out);
    let before = story.ledger.len();
    for nth in 0..100 {
        story.says(Input::Opened, if nth % 2 == 0 { Level::Active } else { Level::Inactive });
        story.pass(60);
    }
    assert!(story.ledger.len() < before + 12, "{:?}", &story.ledger[before..]);
    assert_eq!(story.alarms(), [Alarm::Input { input: Input::Opened, fault: Fault::Flickering }]);
    story.pass(5_100);
    assert_eq!((story.alarms(), story.lane.position()), (vec![], gate::Position::Closed));
}

#[test]
fn an_arm_that_sets_a_loop_off_by_itself_is_a_call() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    for nth in 1..6 {
        assert_eq!((story.lowered(), story.calls()), (nth, vec![]));
        story.on(Input::Closing);
        story.off(Input::Closing);
        story.pass((500 << nth) + 100);
    }
    assert_eq!((story.calls(), story.alarms()), (vec![Call::GateDoesNotClose], vec![Alarm::GateDoesNotClose]));
    story.arm_goes_down();
    assert_eq!(story.alarms(), []);
}

#[test]
fn the_arm_goes_down_as_soon_as_the_loops_have_been_quiet_for_long_enough() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    story.on(Input::Closing);
    story.off(Input::Closing);
    let quiet_since = story.now;
    story.pass(900);
    assert_eq!(story.lane.next_wake(Mono(story.now)), Some(Mono(quiet_since + 1_000)));
    story.pass(100);
    assert_eq!(story.lowered(), 2);
}

#[test]
fn without_a_presence_loop_nobody_is_called_for_the_same_car_all_the_time() {
    let mut story = Story::begins(Settings { presence: false, ..Settings::whole(Way::Out) });
    for _ in 0..3 {
        story.event(Event::CantDecide { why: CantDecide::NoPrice });
        story.pass(10_000);
    }
    assert_eq!(story.calls().len(), 1);
    story.pass(30_000);
    story.event(Event::CantDecide { why: CantDecide::NoPrice });
    assert_eq!(story.calls().len(), 2);
}
