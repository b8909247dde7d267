//! A lane whose time a test turns.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Rig {
    lane: Lane,
    now: Duration,
    left: Vec<Left>,
}

impl Rig {
    fn new() -> Self {
        Self { lane: Lane::new(), now: Duration::ZERO, left: Vec::new() }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            let left = self.lane.advance(self.now);
            self.left.extend(left);
            self.look();
        }
    }

    /// What is true of every lane at any time.
    fn look(&self) {
        for car in &self.lane.cars {
            let over = car.rear() < 0.0 && car.front > 0.0;
            assert!(!over || self.lane.arm > 0.5, "the arm is at {} over {car:?}", self.lane.arm);
        }
        for pair in self.lane.cars.windows(2) {
            assert!(pair[0].rear() - pair[1].front > GAP - 0.001, "{pair:?} have met");
        }
    }

    fn pulse(&mut self, relay: Relay) {
        self.lane.relay(relay, true);
        self.wait(SECOND / 2);
        self.lane.relay(relay, false);
    }

    fn levels(&self) -> [bool; 5] {
        [Input::Presence, Input::Safety, Input::Closing, Input::Opened, Input::Closed]
            .map(|input| self.lane.level(input))
    }
}

#[test]
fn a_car_waits_for_the_arm_and_is_seen_on_each_loop_in_turn() {
    let mut rig = Rig::new();
    rig.lane.join(1, 4.4);
    rig.wait(5 * SECOND);
    assert_eq!(rig.levels(), [true, false, false, false, true]);
    assert!(!rig.lane.moves());
    rig.lane.wish(1, Wish::Through);
    rig.wait(5 * SECOND);
    assert_eq!((rig.lane.cars[0].front, rig.lane.at_the_column()), (HALT, Some(1)), "the arm is down");
    rig.pulse(Relay::Raise);
    let mut seen = vec![rig.levels()];
    while rig.left.is_empty() {
        rig.wait(STEP);
        if seen.last() != Some(&rig.levels()) {
            seen.push(rig.levels());
        }
    }
    assert_eq!(rig.left, [Left::Through(1)]);
    let loops: Vec<[bool; 3]> = seen.iter().map(|[a, b, c, ..]| [*a, *b, *c]).collect();
    let mut turns = loops.clone();
    turns.dedup();
    let (yes, no) = (true, false);
    assert_eq!(
        turns,
        [[yes, no, no], [yes, yes, no], [yes, yes, yes], [no, yes, yes], [no, no, yes], [no, no, no]],
        "{loops:?}"
    );
    assert_eq!((rig.lane.openings(), rig.lane.saved()), (1, 0));
    rig.pulse(Relay::Lower);
    rig.wait(SECOND);
    assert_eq!(rig.levels(), [false, false, false, false, true]);
}

#[test]
fn the_gates_own_control_holds_the_arm_up_and_says_that_it_had_to() {
    let mut rig = Rig::new();
    rig.lane.join(1, 4.4);
    rig.pulse(Relay::Raise);
    rig.wait(SECOND);
    rig.lane.wish(1, Wish::Through);
    while !rig.lane.level(Input::Safety) {
        rig.wait(STEP);
    }
    rig.pulse(Relay::Lower);
    assert_eq!((rig.lane.saved(), rig.lane.is_open()), (1, true));
    rig.wait(5 * SECOND);
    rig.lane.set_fire(true);
    rig.pulse(Relay::Lower);
    assert_eq!((rig.lane.saved(), rig.lane.is_open(), rig.lane.level(Input::Fire)), (2, true, true));
    rig.lane.set_fire(false);
    rig.pulse(Relay::Lower);
    rig.wait(SECOND);
    assert_eq!((rig.lane.saved(), rig.lane.arm()), (2, 0.0));
    rig.lane.set_fire(true);
    rig.wait(SECOND);
    assert!(rig.lane.is_open(), "without the kiosk");
}

#[test]
fn a_car_stops_before_an_arm_that_comes_down_and_backs_out() {
    let mut rig = Rig::new();
    rig.lane.join(1, 4.4);
    rig.lane.join(2, 2.2);
    rig.wait(5 * SECOND);
    rig.pulse(Relay::Raise);
    rig.wait(SECOND);
    rig.lane.wish(1, Wish::Through);
    rig.lane.wish(2, Wish::Through);
    rig.wait(SECOND * 6 / 5);
    assert!(rig.lane.level(Input::Closing));
    rig.wait(SECOND * 8);
    assert_eq!(rig.left, [Left::Through(1), Left::Through(2)], "it has tailgated");
    rig.lane.join(3, 4.4);
    rig.pulse(Relay::Lower);
    rig.lane.wish(3, Wish::Through);
    rig.wait(5 * SECOND);
    assert_eq!(rig.lane.cars[0].front, HALT);
    rig.lane.join(4, 4.4);
    rig.wait(5 * SECOND);
    rig.lane.wish(3, Wish::Back);
    rig.wait(5 * SECOND);
    assert_eq!(rig.left.len(), 2, "somebody stands behind it");
    rig.lane.wish(4, Wish::Back);
    rig.wait(5 * SECOND);
    assert_eq!(rig.left[2..], [Left::Back(4), Left::Back(3)]);
}

#[test]
fn a_gate_can_be_stuck_or_slow_and_its_switches_late_wrong_or_dead() {
    let mut rig = Rig::new();
    rig.lane.set_gate_fault(GateFault::Stuck);
    rig.pulse(Relay::Raise);
    rig.wait(SECOND);
    assert_eq!(rig.lane.arm(), 0.0);
    rig.lane.set_gate_fault(GateFault::Slow);
    rig.pulse(Relay::Raise);
    rig.wait(SECOND);
    assert!((0.2..0.3).contains(&rig.lane.arm()), "{}", rig.lane.arm());
    rig.lane.set_gate_fault(GateFault::Ok);
    rig.wait(SECOND);
    let switches = |rig: &Rig| (rig.lane.level(Input::Opened), rig.lane.level(Input::Closed));
    assert_eq!(switches(&rig), (true, false));
    rig.lane.set_switch_faults(SwitchFault::Wrong, SwitchFault::Dead);
    assert_eq!(switches(&rig), (false, false));
    rig.lane.set_switch_faults(SwitchFault::Late, SwitchFault::Late);
    rig.pulse(Relay::Lower);
    rig.wait(SECOND * 2);
    assert_eq!((switches(&rig), rig.lane.moves()), ((true, false), true));
    rig.wait(SECOND * 2);
    assert_eq!((switches(&rig), rig.lane.moves()), ((false, true), false));
    rig.lane.set_switch_faults(SwitchFault::Ok, SwitchFault::Dead);
    assert_eq!(switches(&rig), (false, false));
}

#[test]
fn loops_can_be_stuck_blind_or_flickering_and_buttons_come_back() {
    let mut rig = Rig::new();
    rig.lane.set_loop_faults([LoopFault::Stuck, LoopFault::Flickering, LoopFault::Ok]);
    let mut changes = 0;
    let mut before = rig.lane.level(Input::Safety);
    for _ in 0..100 {
        rig.wait(STEP);
        changes += u32::from(before != rig.lane.level(Input::Safety));
        before = rig.lane.level(Input::Safety);
    }
    assert_eq!((changes, rig.lane.level(Input::Presence)), (10, true));
    rig.lane.set_loop_faults([LoopFault::Blind, LoopFault::Ok, LoopFault::Ok]);
    rig.lane.join(1, 4.4);
    rig.wait(5 * SECOND);
    assert_eq!((rig.lane.level(Input::Presence), rig.lane.at_the_column()), (false, Some(1)));
    rig.lane.press(Button::Ticket);
    assert!(rig.lane.level(Input::TicketButton) && !rig.lane.level(Input::HelpButton) && rig.lane.moves());
    rig.wait(SECOND);
    assert!(!rig.lane.level(Input::TicketButton));
}

#[derive(Debug, Clone, Copy)]
enum Do {
    Join(bool),
    Wish(CarNumber, u8),
    Relay(bool, bool),
    Fire(bool),
    Gate(u8),
    Wait(u64),
}

fn anything() -> impl Strategy<Value = Do> {
    prop_oneof![
        any::<bool>().prop_map(Do::Join),
        (0u32..6, 0u8..3).prop_map(|(car, wish)| Do::Wish(car, wish)),
        any::<(bool, bool)>().prop_map(|(raise, on)| Do::Relay(raise, on)),
        any::<bool>().prop_map(Do::Fire),
        (0u8..3).prop_map(Do::Gate),
        (1u64..150).prop_map(Do::Wait),
    ]
}

proptest! {
    /// Whatever is done, no car drives against the arm, none meets another, and each leaves once.
    #[test]
    fn no_car_meets_the_arm(all in prop::collection::vec(anything(), 1..120)) {
        let mut rig = Rig::new();
        let mut cars = 0;
        for what in all {
            match what {
                Do::Join(long) => {
                    rig.lane.join(cars, if long { 4.4 } else { 2.2 });
                    cars += 1;
                }
                Do::Wish(car, wish) => {
                    rig.lane.wish(car, [Wish::ToTheArm, Wish::Through, Wish::Back][usize::from(wish)]);
                }
                Do::Relay(raise, on) => rig.lane.relay(if raise { Relay::Raise } else { Relay::Lower }, on),
                Do::Fire(fire) => rig.lane.set_fire(fire),
                Do::Gate(fault) => {
                    rig.lane.set_gate_fault([GateFault::Ok, GateFault::Stuck, GateFault::Slow][usize::from(fault)]);
                }
                Do::Wait(steps) => rig.wait(STEP * steps as u32),
            }
            rig.look();
            prop_assert_eq!(rig.lane.cars.len() + rig.left.len(), cars as usize);
        }
    }
}
