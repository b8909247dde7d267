//! Cars that drive through, come back, follow too closely, or come from the other side.

use super::*;

#[test]
fn a_car_that_may_pass_does_and_the_gate_closes_behind_it() {
    let mut story = Story::whole(Way::Out);
    story.car_comes();
    assert!(story.lane.armed(Mono(story.now)));
    let step = story.event(Event::Authorised { delivery: delivery(1) });
    assert!(matches!(step.records[..], [Record::GateIntended { attempt: 1, .. }]), "{step:?}");
    assert_eq!(step.at_once, [], "nothing is energised before the intent is on disk");
    assert_eq!(step.effects, [Effect::Energise { relay: Relay::Raise, pulse: Duration::from_millis(500) }]);
    story.arm_goes_up();
    story.car_comes_under();
    assert_eq!((story.answers(), story.lowered()), (vec![], 0));
    story.car_drives_on();
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
    assert_eq!(story.lowered(), 0, "its tail is over the closing loop a moment ago");
    story.pass(600);
    assert_eq!(story.lowered(), 1);
    story.arm_goes_down();
    story.pass(600_000);
    assert_eq!((story.raised(), story.lowered(), story.calls(), story.alarms()), (1, 1, vec![], vec![]));
    assert_eq!(story.wrote(&Record::GateClosed {}), 1);
    assert_eq!(story.lane.position(), gate::Position::Closed);
}

#[test]
fn the_same_delivery_again_raises_nothing_and_hears_the_same() {
    let mut story = Story::whole(Way::Out);
    story.car_comes();
    for _ in 0..3 {
        story.event(Event::Authorised { delivery: delivery(1) });
    }
    assert_eq!((story.raised(), story.answers()), (1, vec![]), "its answer is on its way");
    story.arm_goes_up();
    story.car_drives_through();
    story.arm_goes_down();
    story.event(Event::Authorised { delivery: delivery(1) });
    story.pass(20_000);
    assert_eq!((story.raised(), story.answers()), (1, vec![(delivery(1), Answer::Delivered); 2]));
}

#[test]
fn where_the_open_gate_counts_it_is_answered_before_the_car_has_passed_and_the_car_is_waited_for() {
    let mut story = Story::begins(Settings { delivered: Delivered::Opened, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.arm_goes_up();
    story.event(Event::Authorised { delivery: delivery(1) });
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered); 2]);
    story.pass(30_000);
    assert_eq!(story.lowered(), 0);
    story.car_drives_through();
    assert_eq!((story.lowered(), story.answers().len()), (1, 2));
}

#[test]
fn a_car_that_stands_under_the_arm_is_waited_for_and_one_that_comes_sends_it_up_again() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_comes_under();
    story.pass(300_000);
    assert_eq!(story.lowered(), 0);
    story.car_drives_on();
    story.pass(600);
    assert_eq!(story.lowered(), 1);
    story.off(Input::Opened);
    story.pass(200);
    let step = story.says(Input::Safety, Level::Active);
    assert_eq!(
        step.at_once,
        [
            Effect::Rest { relay: Relay::Lower },
            Effect::Energise { relay: Relay::Raise, pulse: Duration::from_millis(500) }
        ],
        "before anything is written"
    );
    assert_eq!(step.records, [Record::GateReopened {}]);
    story.pass(1_000);
    story.on(Input::Opened);
    story.pass(60_000);
    assert_eq!(story.lowered(), 1, "it stands there still");
    story.off(Input::Safety);
    story.pass(5_000);
    assert_eq!(story.lowered(), 2);
}

#[test]
fn an_arm_that_loops_send_up_again_and_again_waits_longer_each_time() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.event(Event::Authorised { delivery: delivery(2) });
    story.arm_goes_up();
    story.pass(61_000);
    assert_eq!(story.lowered(), 2, "nobody came");
    for _ in 0..200 {
        story.on(Input::Closing);
        story.pass(50);
        story.off(Input::Closing);
        story.pass(2_950);
    }
    let down = story.lowered();
    assert!((4..8).contains(&down), "{down} times down in ten minutes");
}

#[test]
fn a_car_that_follows_closely_is_on_record_and_the_gate_closes_when_the_loops_are_clear() {
    let mut story = Story::whole(Way::In);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_comes_under();
    story.off(Input::Presence);
    story.pass(300);
    story.on(Input::Closing);
    story.pass(300);
    story.off(Input::Safety);
    story.on(Input::Presence);
    story.pass(550);
    // The second is under the arm before the first has left the closing loop.
    story.on(Input::Safety);
    story.pass(300);
    story.off(Input::Presence);
    story.off(Input::Closing);
    story.pass(600);
    story.on(Input::Closing);
    story.pass(300);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!((story.lowered(), story.alarms()), (0, vec![Alarm::Tailgated]));
    story.off(Input::Closing);
    story.pass(600);
    assert_eq!((story.lowered(), story.raised()), (1, 1));
    assert_eq!(story.wrote(&Record::CarPassed { authorised: true }), 1);
    assert_eq!(story.wrote(&Record::CarPassed { authorised: false }), 1);
    assert_eq!(story.wrote(&Record::Tailgated { sure: true }), 1);
    story.arm_goes_down();
    assert_eq!(story.alarms(), []);
}

#[test]
fn two_that_are_bumper_to_bumper_are_a_doubt() {
    let mut story = Story::whole(Way::In);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_comes_under();
    story.off(Input::Presence);
    story.pass(600);
    story.car_comes();
    story.on(Input::Closing);
    story.off(Input::Presence);
    story.pass(600);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!(story.wrote(&Record::CarPassed { authorised: true }), 1);
    assert_eq!(story.wrote(&Record::Tailgated { sure: false }), 1);
    assert_eq!(story.alarms(), [Alarm::Tailgated]);
}

#[test]
fn a_car_that_took_a_ticket_and_goes_back_has_none_any_more() {
    let mut story = Story::whole(Way::In);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.off(Input::Presence);
    story.pass(4_900);
    assert_eq!(story.answers(), []);
    story.pass(200);
    assert_eq!(story.answers(), [(delivery(1), Answer::Withdrawn)]);
    assert_eq!(story.lowered(), 1);
    let void = Record::PassageEnded {
        authorisation: Authorisation::Delivery { delivery: delivery(1) },
        how: Ended::Withdrawn,
    };
    assert_eq!((story.wrote(&void), story.calls()), (1, vec![]));
    story.event(Event::Authorised { delivery: delivery(1) });
    assert_eq!(story.raised(), 1);
}

#[test]
fn a_car_that_is_slow_between_two_loops_has_not_gone_back() {
    let mut story = Story::whole(Way::In);
    story.car_may_pass(1);
    story.arm_goes_up();
    story.off(Input::Presence);
    story.pass(4_000);
    story.on(Input::Safety);
    story.pass(60_000);
    story.on(Input::Closing);
    story.pass(500);
    story.off(Input::Safety);
    story.pass(600);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
}

#[test]
fn a_car_that_comes_under_the_arm_and_goes_back_has_not_passed() {
    for closing in [true, false] {
        let mut story = Story::begins(Settings { closing, ..Settings::whole(Way::In) });
        story.car_may_pass(1);
        story.arm_goes_up();
        story.car_comes_under();
        story.off(Input::Safety);
        story.pass(5_000);
        assert_eq!((story.answers(), story.lowered()), (vec![], 0));
        story.off(Input::Presence);
        story.pass(6_000);
        let answer = if closing { Answer::Withdrawn } else { Answer::Unknown };
        assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), answer)], 1));
        assert_eq!(story.wrote(&Record::CarPassed { authorised: true }), 0);
    }
}

#[test]
fn without_a_closing_loop_a_car_has_passed_when_it_has_left_the_arm_and_the_presence_loop() {
    let mut story = Story::begins(Settings { closing: false, ..Settings::whole(Way::Out) });
    story.car_may_pass(1);
    story.arm_goes_up();
    story.car_drives_through();
    assert_eq!((story.answers(), story.lowered()), (vec![(delivery(1), Answer::Delivered)], 1));
}

#[test]
fn a_motorcycle_that_is_on_one_loop_at_a_time_passes() {
    let mut story = Story::whole(Way::Out);
    story.car_may_pass(1);
    story.arm_goes_up();
    for input in [Input::Presence, Input::Safety] {
        story.off(Input::Presence);
        story.on(input);
        story.pass(400);
        story.off(input);
        story.pass(800);
    }
    assert_eq!(story.lowered(), 0, "it is between two loops");
    story.on(Input::Closing);
    story.pass(400);
    assert_eq!(story.answers(), [(delivery(1), Answer::Delivered)]);
    assert_eq!(story.lowered(), 0);
    story.off(Input::Closing);
    story.pass(600);
    assert_eq!(story.lowered(), 1);
}

#[test]
fn a_car_from_behind_is_no_passage() {
    let mut story = Story::whole(Way::Out);
    story.one_car(1);
    story.event(Event::Authorised { delivery: delivery(2) });
    story.arm_goes_up();
    for (input, level) in [
        (Input::Closing, Level::Active),
        (Input::Safety, Level::Active),
        (Input::Closing, Level::Inactive),
        (Input::Presence, Level::Active),
        (Input::Safety, Level::Inactive),
    ] {
        story.says(input, level);
        story.pass(700);
    }
    assert_eq!((story.wrote(&Record::WrongWay {}), story.alarms()), (1, vec![Alarm::WrongWay]));
    assert_eq!(story.answers().len(), 1, "whose car has not passed");
}

#[test]
fn the_sign_says_full_when_the_last_place_is_taken_and_free_once_there_is_some_room() {
    let mut story = Story::begins(Settings { places: Some(2), free_again: 2, ..Settings::whole(Way::In) });
    let signs = |story: &mut Story| {
        let signs = std::mem::take(&mut story.done).into_iter().filter_map(|effect| match effect {
            Effect::Sign { full } => Some(full),
            _ => None,
        });
        signs.collect::<Vec<_>>()
    };
    assert_eq!(signs(&mut story), [false], "it is told at the start");
    story.one_car(1);
    assert_eq!(signs(&mut story), vec![false; 0]);
    story.one_car(2);
    assert_eq!((signs(&mut story), story.lane.inside(), story.lane.full()), (vec![true], 2, true));
    // Who is authorised is not kept out by a count.
    story.one_car(3);
    assert_eq!((signs(&mut story), story.lane.inside()), (vec![], 3));
    story.event(Event::Elsewhere { came: 0, left: 2 });
    assert_eq!(signs(&mut story), vec![false; 0], "one place is not enough");
    story.event(Event::Elsewhere { came: 0, left: 9 });
    assert_eq!((signs(&mut story), story.lane.inside()), (vec![false], 0));
    story.asks(Ask::Inside { cars: 2 });
    assert_eq!(signs(&mut story), [true]);
    story.restarts();
    assert_eq!((signs(&mut story), story.lane.inside()), (vec![true], 2));
}

#[test]
fn a_loop_opens_nothing() {
    let mut story = Story::whole(Way::In);
    let all = [Input::Presence, Input::Safety, Input::Closing];
    for first in all {
        for then in all {
            for level in [Level::Active, Level::Inactive, Level::Unknown] {
                story.says(first, level);
                story.pass(400);
                story.says(then, Level::Active);
                story.pass(700);
                story.says(then, Level::Inactive);
                story.pass(30);
            }
        }
    }
    assert_eq!(story.raised() + story.lowered(), 0);
}
