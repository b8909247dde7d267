//! One lane of the simulated car park: a gate with its motor and limit switches, loops in the ground, and the cars on it.
//!
//! Policy: this is physics and the gate's own control, and no manners. Distances are metres from the arm along the way that
//! cars drive; time is handed in. A car never drives against an arm that is not up. The control takes momentary inputs, holds
//! the arm up over a car and while there is fire, as the hardware's has to, and counts how often it had to: a kiosk that
//! lowers the arm then has made a mistake, which the control may hide from the car and not from a test.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::contact::{Contact, LoopFault, SwitchFault};

/// Which car; at one site no number comes twice.
pub type CarNumber = u32;

/// Everything moves in steps of this.
const STEP: Duration = Duration::from_millis(10);
/// From one end to the other, and with a motor that is worn.
const TRAVEL: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(6);
/// A finger on a button.
const PRESS: Duration = Duration::from_millis(400);
/// Metres a second.
const FORWARDS: f64 = 4.0;
const BACKWARDS: f64 = 2.5;
/// Where a car's front stops before the arm, and how near one comes to another.
const HALT: f64 = -1.2;
const GAP: f64 = 0.9;
/// Nobody goes on from there under an arm that is not up.
const POINT_OF_NO_RETURN: f64 = 0.3;
/// Where the front of a car comes upon the lane, and where its tail leaves it.
pub const BEGIN: f64 = -12.0;
pub const END: f64 = 7.0;
/// Gone back so far, it has left the way that it came.
const TURNED: f64 = BEGIN - 1.0;
/// High enough for a car.
const UP: f64 = 0.95;

/// Where the loops lie, in [`Input`]'s order.
pub const LOOPS: [(f64, f64); 3] = [(-5.0, -1.8), (-1.0, 1.0), (1.8, 4.8)];

/// What a board can be wired to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    Presence,
    Safety,
    Closing,
    Opened,
    Closed,
    Fire,
    TicketButton,
    HelpButton,
}

impl Input {
    pub const ALL: [Self; 8] = [
        Self::Presence,
        Self::Safety,
        Self::Closing,
        Self::Opened,
        Self::Closed,
        Self::Fire,
        Self::TicketButton,
        Self::HelpButton,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    Raise,
    Lower,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    Ticket,
    Help,
}

/// What is wrong with the motor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateFault {
    #[default]
    Ok,
    Stuck,
    Slow,
}

/// Where a driver wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Up to the arm, and no further, whatever it does.
    ToTheArm,
    Through,
    Back,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnLane {
    pub car: CarNumber,
    pub front: f64,
    pub length: f64,
    pub wish: Wish,
}

impl OnLane {
    pub fn rear(&self) -> f64 {
        self.front - self.length
    }

    fn covers(&self, (from, to): (f64, f64)) -> bool {
        self.rear() < to && from < self.front
    }
}

/// A car has left the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Through(CarNumber),
    Back(CarNumber),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Motion {
    Still,
    Up,
    Down,
}

#[derive(Debug, Clone)]
pub struct Lane {
    now: Duration,
    /// 0 is down, 1 is up.
    arm: f64,
    motion: Motion,
    /// It has been down since it was up last.
    counted: bool,
    openings: u64,
    saved: u64,
    fault: GateFault,
    raise: bool,
    lower: bool,
    fire: bool,
    opened: Contact,
    closed: Contact,
    loops: [LoopFault; 3],
    /// Until when a finger is on them: ticket, help.
    pressed: [Duration; 2],
    /// The one nearest to its end first.
    cars: Vec<OnLane>,
}

impl Lane {
    /// Closed, and nobody there.
    pub fn new() -> Self {
        Self {
            now: Duration::ZERO,
            arm: 0.0,
            motion: Motion::Still,
            counted: false,
            openings: 0,
            saved: 0,
            fault: GateFault::Ok,
            raise: false,
            lower: false,
            fire: false,
            opened: Contact::new(false),
            closed: Contact::new(true),
            loops: [LoopFault::Ok; 3],
            pressed: [Duration::ZERO; 2],
            cars: Vec::new(),
        }
    }

    /// 0 is down, 1 is up.
    pub fn arm(&self) -> f64 {
        self.arm
    }

    pub fn is_open(&self) -> bool {
        self.arm >= 1.0
    }

    /// How often the arm has come up since it was down.
    pub fn openings(&self) -> u64 {
        self.openings
    }

    /// How often the gate's own control has kept the arm from falling on a car, or in a fire.
    pub fn saved(&self) -> u64 {
        self.saved
    }

    pub fn cars(&self) -> &[OnLane] {
        &self.cars
    }

    pub fn fire(&self) -> bool {
        self.fire
    }

    pub fn gate_fault(&self) -> GateFault {
        self.fault
    }

    pub fn switch_faults(&self) -> [SwitchFault; 2] {
        [self.opened.fault(), self.closed.fault()]
    }

    pub fn loop_faults(&self) -> [LoopFault; 3] {
        self.loops
    }

    /// Who stands where tickets are taken and codes are held up.
    pub fn at_the_column(&self) -> Option<CarNumber> {
        self.cars.iter().find(|car| car.covers(LOOPS[0])).map(|car| car.car)
    }

    pub fn level(&self, input: Input) -> bool {
        let pressed = |nth: usize| self.now < self.pressed[nth];
        match input {
            Input::Presence => self.loop_level(0),
            Input::Safety => self.loop_level(1),
            Input::Closing => self.loop_level(2),
            Input::Opened => self.opened.says(),
            Input::Closed => self.closed.says(),
            Input::Fire => self.fire,
            Input::TicketButton => pressed(0),
            Input::HelpButton => pressed(1),
        }
    }

    fn loop_level(&self, nth: usize) -> bool {
        self.loops[nth].says(self.cars.iter().any(|car| car.covers(LOOPS[nth])), self.now)
    }

    /// Something goes on by itself, so that there is more to see soon.
    pub fn moves(&self) -> bool {
        let wants = |car: &OnLane| car.wish != Wish::ToTheArm || car.front < HALT - 0.01;
        self.motion != Motion::Still
            || self.cars.iter().any(wants)
            || self.opened.waits()
            || self.closed.waits()
            || self.loops.contains(&LoopFault::Flickering)
            || self.pressed.iter().any(|until| self.now < *until)
    }

    pub fn set_gate_fault(&mut self, fault: GateFault) {
        self.fault = fault;
    }

    /// The upper limit switch, and the lower.
    pub fn set_switch_faults(&mut self, opened: SwitchFault, closed: SwitchFault) {
        self.opened.set_fault(opened, self.now);
        self.closed.set_fault(closed, self.now);
    }

    /// Presence, safety, closing.
    pub fn set_loop_faults(&mut self, faults: [LoopFault; 3]) {
        self.loops = faults;
    }

    /// Wired to the gate's own control as well.
    pub fn set_fire(&mut self, fire: bool) {
        self.fire = fire;
        if fire && self.arm < 1.0 {
            self.motion = Motion::Up;
        }
    }

    pub fn press(&mut self, button: Button) {
        let nth = match button {
            Button::Ticket => 0,
            Button::Help => 1,
        };
        self.pressed[nth] = self.now + PRESS;
    }

    /// A relay is energised or not. The control takes the beginning of a pulse; "close" counts for nothing while there is "open".
    pub fn relay(&mut self, relay: Relay, active: bool) {
        match relay {
            Relay::Raise => {
                let begins = active && !self.raise;
                self.raise = active;
                if begins && self.arm < 1.0 {
                    self.motion = Motion::Up;
                }
            }
            Relay::Lower => {
                let begins = active && !self.lower;
                self.lower = active;
                if !begins || self.raise || self.arm <= 0.0 {
                    return;
                }
                if self.fire || self.blocked() {
                    self.saved += 1;
                } else {
                    self.motion = Motion::Down;
                }
            }
        }
    }

    /// A car comes upon the lane, behind those that wait.
    pub fn join(&mut self, car: CarNumber, length: f64) {
        let front = self.cars.last().map_or(BEGIN, |last| BEGIN.min(last.rear() - GAP));
        self.cars.push(OnLane { car, front, length, wish: Wish::ToTheArm });
    }

    /// False where it is not on this lane.
    pub fn wish(&mut self, car: CarNumber, wish: Wish) -> bool {
        let found = self.cars.iter_mut().find(|other| other.car == car);
        found.map(|car| car.wish = wish).is_some()
    }

    /// Everything up to `now`, in small steps.
    pub fn advance(&mut self, now: Duration) -> Vec<Left> {
        let mut left = Vec::new();
        while self.now + STEP <= now {
            self.now += STEP;
            self.move_arm();
            self.move_cars(&mut left);
        }
        left
    }

    /// A car is under the arm, or about to be: the control has a loop of its own there, which does not fail here.
    fn blocked(&self) -> bool {
        self.cars.iter().any(|car| car.covers(LOOPS[1]))
    }

    fn clear(&self) -> bool {
        self.arm >= UP && self.motion != Motion::Down
    }

    fn move_arm(&mut self) {
        if self.motion == Motion::Down && (self.fire || self.blocked()) {
            self.motion = Motion::Up;
            self.saved += 1;
        }
        let travel = match self.fault {
            GateFault::Ok => Some(TRAVEL),
            GateFault::Slow => Some(SLOW),
            GateFault::Stuck => None,
        };
        match travel.map(|travel| STEP.as_secs_f64() / travel.as_secs_f64()) {
            None => self.motion = Motion::Still,
            Some(way) => match self.motion {
                Motion::Still => {}
                Motion::Up => self.arm = (self.arm + way).min(1.0),
                Motion::Down => self.arm = (self.arm - way).max(0.0),
            },
        }
        let (up, down) = (self.arm >= 1.0, self.arm <= 0.0);
        match self.motion {
            Motion::Up if up => {
                self.motion = Motion::Still;
                self.openings += u64::from(!self.counted);
                self.counted = true;
            }
            Motion::Down if down => {
                self.motion = Motion::Still;
                self.counted = false;
            }
            _ => {}
        }
        self.opened.follow(up, self.now);
        self.closed.follow(down, self.now);
    }

    fn move_cars(&mut self, left: &mut Vec<Left>) {
        let clear = self.clear();
        for nth in 0..self.cars.len() {
            let ahead = nth.checked_sub(1).map(|ahead| self.cars[ahead].rear() - GAP);
            let behind = self.cars.get(nth + 1).map(|behind| behind.front + GAP);
            let car = self.cars[nth];
            let front = match car.wish {
                Wish::Back => back(&car, clear, behind) + car.length,
                Wish::ToTheArm | Wish::Through => forth(&car, clear, ahead),
            };
            self.cars[nth].front = front;
        }
        self.cars.retain(|car| {
            let gone = match car.wish {
                _ if car.rear() >= END => Left::Through(car.car),
                Wish::Back if car.front <= TURNED => Left::Back(car.car),
                _ => return true,
            };
            left.push(gone);
            false
        });
    }
}

/// Where the front is after one step.
fn forth(car: &OnLane, clear: bool, ahead: Option<f64>) -> f64 {
    let mut to = car.front + FORWARDS * STEP.as_secs_f64();
    let goes = car.wish == Wish::Through && clear;
    if !goes && car.front <= HALT {
        to = to.min(HALT);
    } else if !goes && car.front < -POINT_OF_NO_RETURN {
        // It has passed the line, and can still stop.
        to = car.front;
    }
    to.min(ahead.unwrap_or(f64::INFINITY)).max(car.front)
}

/// Where the rear is after one step backwards.
fn back(car: &OnLane, clear: bool, behind: Option<f64>) -> f64 {
    let mut to = car.rear() - BACKWARDS * STEP.as_secs_f64();
    if !clear && car.rear() >= -HALT {
        to = to.max(-HALT);
    } else if !clear && car.rear() > POINT_OF_NO_RETURN {
        to = car.rear();
    }
    to.max(behind.unwrap_or(f64::NEG_INFINITY)).min(car.rear())
}

#[cfg(test)]
mod tests;
