//! What a run is about, drawn from its seed: how the lane is fitted out, who comes, what goes wrong, when the power is cut.

use std::collections::VecDeque;
use std::time::Duration;

use kioskd::parking::lane::{Ask, Delivered, Settings, Undecided, Way};
use kioskd_tests::chance::Chance;

use super::world::{ArmFault, Car, LoopFault, Plan, SwitchFault, World};

#[derive(Debug, Clone)]
pub enum Deed {
    Comes(Car),
    Loop(usize, Option<LoopFault>),
    Arm(Option<ArmFault>),
    Switch(usize, Option<SwitchFault>),
    Fire(bool),
    FireSilent(bool),
    Asks(Ask),
    Elsewhere,
    Cut,
    /// A delivery that was asked for before, once more.
    Again,
}

pub struct Setup {
    pub settings: Settings,
    pub world: World,
    pub script: Vec<(u64, Deed)>,
    pub crash_points: VecDeque<u64>,
    /// The how manieth pulse is not energised, plus one; 0 for none.
    pub failing_relay: u64,
    /// The how manieth commit fails, plus one; 0 for none.
    pub failing_commit: u64,
    /// So many deliveries may wait for an answer at once.
    pub at_once: usize,
}

impl Setup {
    pub fn draw(chance: &mut Chance) -> Self {
        let settings = settings(chance);
        let travel = settings.times.travel.as_millis() as u64;
        let slow = 1_000 + chance.below(travel - 999);
        let world = World::new(slow as i64, chance.below(2) == 0, !settings.lowers);
        let mut script = Vec::new();
        let mut at = 500;
        for _ in 0..1 + chance.below(4) {
            at += 500 + chance.below(15_000);
            script.push((at, Deed::Comes(car(chance))));
        }
        for _ in 0..chance.below(4) {
            trouble(chance, at, &settings, &mut script);
        }
        // What was asked for before comes once more, late.
        if chance.below(3) == 0 {
            script.push((at + 5_000 + chance.below(30_000), Deed::Again));
        }
        script.sort_by_key(|(at, _)| *at);
        let crash_points = (0..chance.below(4)).map(|_| 1 + chance.below(25)).collect();
        let failing_relay = if chance.below(10) == 0 { 2 + chance.below(4) } else { 0 };
        let failing_commit = if chance.below(8) == 0 { 2 + chance.below(12) } else { 0 };
        let at_once = if chance.below(4) == 0 { 2 } else { 1 };
        Self { settings, world, script, crash_points, failing_relay, failing_commit, at_once }
    }
}

fn settings(chance: &mut Chance) -> Settings {
    let mut settings = Settings::whole(chance.pick(&[Way::In, Way::Out]));
    let mut has = |in_ten: u64| chance.below(10) < in_ten;
    settings.presence = has(9);
    settings.closing = has(8);
    settings.opened = has(7);
    settings.closed = has(7);
    settings.fire = has(6);
    settings.lowers = has(9);
    settings.safety = settings.lowers || has(7);
    if settings.presence && has(5) {
        settings.undecided = Undecided::OpenAndRecord;
    }
    if settings.opened && has(4) {
        settings.delivered = Delivered::Opened;
    }
    settings.tries = 1 + chance.below(3) as u32;
    settings.places = chance.pick(&[None, Some(2), Some(100)]);
    let times = &mut settings.times;
    times.travel = Duration::from_millis(1_500 + chance.below(3_000));
    times.pass = Duration::from_secs(15);
    times.signal.stuck = Duration::from_secs(60);
    times.fire_release = Duration::from_secs(3);
    assert_eq!(settings.problems(), []);
    settings
}

fn car(chance: &mut Chance) -> Car {
    let plan = match chance.below(20) {
        0..10 => Plan::Drive,
        10..12 => Plan::StopUnder,
        12..14 => Plan::BackOut,
        14 => Plan::NoseBack,
        15..18 => Plan::Tailgate,
        _ => Plan::Nobody,
    };
    let length = 3_600 + chance.below(3_000) as i64;
    let speed = 1_000 + chance.below(4_000) as i64;
    let gap =
        if plan == Plan::Tailgate { 300 + chance.below(5_000) as i64 } else { 1_500 + chance.below(2_000) as i64 };
    let pause = if chance.below(8) == 0 { chance.below(40_000) } else { chance.below(5_000) };
    Car::new(length, speed, gap, pause, plan)
}

fn trouble(chance: &mut Chance, last: u64, settings: &Settings, script: &mut Vec<(u64, Deed)>) {
    let from = chance.below(last + 20_000);
    let to = from + 100 + chance.below(30_000);
    let mut between = |begins, ends| script.extend([(from, begins), (to, ends)]);
    match chance.below(13) {
        0 | 1 => {
            let nth = chance.below(3) as usize;
            let fault = chance.pick(&[LoopFault::Stuck, LoopFault::Flickers, LoopFault::Silent, LoopFault::Blind]);
            // The loop under the arm is the one that nothing stands in for.
            let fault = if nth == 1 && fault == LoopFault::Blind { LoopFault::Flickers } else { fault };
            between(Deed::Loop(nth, Some(fault)), Deed::Loop(nth, None));
        }
        2 | 3 => {
            let fault = chance.pick(&[ArmFault::Stays, ArmFault::StopsHalfway, ArmFault::StaysOpen]);
            between(Deed::Arm(Some(fault)), Deed::Arm(None));
        }
        4 | 5 => {
            let nth = chance.below(2) as usize;
            // One that says closed for ever does so from the beginning: one that has proved itself and lies is believed.
            let fault = match chance.below(5) {
                4 => SwitchFault::Flickers,
                0 => SwitchFault::Silent,
                1 => SwitchFault::Says(false),
                2 => {
                    script.push((0, Deed::Switch(nth, Some(SwitchFault::Says(true)))));
                    return;
                }
                _ => SwitchFault::Late(100 + chance.below(settings.times.travel.as_millis() as u64 * 2)),
            };
            if matches!(fault, SwitchFault::Late(_)) {
                script.push((0, Deed::Switch(nth, Some(fault))));
            } else {
                between(Deed::Switch(nth, Some(fault)), Deed::Switch(nth, None));
            }
        }
        6 | 12 => {
            if settings.fire {
                if chance.below(2) == 0 {
                    between(Deed::Fire(true), Deed::Fire(false));
                } else {
                    between(Deed::FireSilent(true), Deed::FireSilent(false));
                }
            }
        }
        7 => between(Deed::Asks(Ask::KeepOpen), Deed::Asks(Ask::Release)),
        8 => between(Deed::Elsewhere, Deed::Asks(Ask::Raise)),
        9 => between(Deed::Again, Deed::Again),
        10 => between(Deed::Cut, Deed::Again),
        _ => between(Deed::Cut, Deed::Asks(Ask::Inside { cars: 1 })),
    }
}
