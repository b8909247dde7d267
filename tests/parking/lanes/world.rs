//! The ground: cars, loops in the road, an arm, a fire contact. It knows nothing of the lane's logic. Lengths are millimetres
//! from the arm, forwards positive; the arm's height is thousandths; times are milliseconds.

use kioskd::parking::lane::{Input, Level, Relay};
use kioskd::vocabulary::DeliveryId;

pub const STEP: u64 = 50;

/// Where the loops lie.
const PRESENCE: (i64, i64) = (-6_500, -2_800);
const SAFETY: (i64, i64) = (-1_000, 1_000);
const CLOSING: [(i64, i64); 2] = [(500, 2_500), (1_600, 3_200)];
/// A driver stops with the bumper there.
const STOP_LINE: i64 = -3_300;
const BEGIN: i64 = -14_000;
const END: i64 = 9_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Drive,
    /// Stops under the arm for a while.
    StopUnder,
    /// Asks, and goes back before it reaches the gate.
    BackOut,
    /// Comes under the arm, and goes back.
    NoseBack,
    /// Asks nobody.
    Tailgate,
    /// Asks nobody, and waits.
    Nobody,
}

#[derive(Debug, Clone)]
pub struct Car {
    pub front: i64,
    pub length: i64,
    speed: i64,
    /// What it leaves to the one before it.
    gap: i64,
    pub plan: Plan,
    /// Thinks for so long before it asks, before it drives, or under the arm.
    pause: u64,
    pub asked: bool,
    pub order: Option<DeliveryId>,
    /// Since when it may pass, as far as the disk knows.
    pub authorised: Option<u64>,
    pub called: bool,
    pub passed: bool,
    backing: bool,
    pub gone: bool,
}

impl Car {
    pub fn new(length: i64, speed: i64, gap: i64, pause: u64, plan: Plan) -> Self {
        let (front, asked, order, authorised) = (BEGIN, false, None, None);
        Self {
            front,
            length,
            speed,
            gap,
            plan,
            pause,
            asked,
            order,
            authorised,
            called: false,
            passed: false,
            backing: false,
            gone: false,
        }
    }

    fn over(&self, (from, to): (i64, i64)) -> bool {
        !self.gone && self.front > from && self.front - self.length < to
    }

    pub fn under_arm(&self) -> bool {
        self.over((-100, 100))
    }

    pub fn waits(&self) -> bool {
        !self.gone && !self.backing && !self.under_arm() && self.over(PRESENCE) && !self.passed
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopFault {
    Stuck,
    Flickers,
    Silent,
    /// Sees nothing. The loop under the arm has this fault never: no software could know.
    Blind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmFault {
    Stays,
    /// Stops on its way up, and moves again when asked again.
    StopsHalfway,
    StaysOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchFault {
    Late(u64),
    Says(bool),
    Flickers,
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Motor {
    Rests,
    Up,
    Down,
}

#[derive(Debug, Clone)]
pub struct World {
    pub now: u64,
    pub cars: Vec<Car>,
    pub arm: i64,
    motor: Motor,
    /// Milliseconds from end to end.
    travel: i64,
    far_closing: bool,
    raise_until: u64,
    lower_until: u64,
    pub loops: [Option<LoopFault>; 3],
    pub arm_fault: Option<ArmFault>,
    pub switches: [Option<SwitchFault>; 2],
    switch_changed: [(bool, u64); 2],
    pub fire: bool,
    pub fire_silent: bool,
    /// The gate closes by its own control; it has loops of its own, which work.
    pub closes_itself: bool,
    clear_since: u64,
    noise: u64,
    /// The arm has gone up since it was last asked for this.
    pub moved: bool,
    /// It goes up in this step.
    pub rises: bool,
    pub driven_down_on_a_car: bool,
    /// A car has moved, or its driver thinks of it.
    pub moving: bool,
}

impl World {
    pub fn new(travel: i64, far_closing: bool, closes_itself: bool) -> Self {
        Self {
            now: 0,
            cars: Vec::new(),
            arm: 0,
            motor: Motor::Rests,
            travel,
            far_closing,
            raise_until: 0,
            lower_until: 0,
            loops: [None; 3],
            arm_fault: None,
            switches: [None; 2],
            switch_changed: [(false, 0), (true, 0)],
            fire: false,
            fire_silent: false,
            closes_itself,
            clear_since: 0,
            noise: 0,
            moved: false,
            rises: false,
            driven_down_on_a_car: false,
            moving: true,
        }
    }

    pub fn energise(&mut self, relay: Relay, pulse: u64) {
        match relay {
            Relay::Raise => self.raise_until = self.now + pulse,
            Relay::Lower => self.lower_until = self.now + pulse,
        }
    }

    pub fn rest(&mut self, relay: Relay) {
        match relay {
            Relay::Raise => self.raise_until = self.now,
            Relay::Lower => self.lower_until = self.now,
        }
    }

    pub fn energised(&self, relay: Relay) -> bool {
        self.now < if relay == Relay::Raise { self.raise_until } else { self.lower_until }
    }

    /// What was asked of an arm that did not move is forgotten when it can move again.
    pub fn arm_becomes(&mut self, fault: Option<ArmFault>) {
        if matches!(self.arm_fault, Some(ArmFault::Stays | ArmFault::StaysOpen)) {
            self.motor = Motor::Rests;
        }
        self.arm_fault = fault;
    }

    fn zone(&self, nth: usize) -> (i64, i64) {
        [PRESENCE, SAFETY, CLOSING[usize::from(self.far_closing)]][nth]
    }

    /// A car is on the loop, whatever the loop says.
    pub fn on_loop(&self, nth: usize) -> bool {
        self.cars.iter().any(|car| car.over(self.zone(nth)))
    }

    pub fn level(&self, input: Input) -> Level {
        let nth = match input {
            Input::Presence => 0,
            Input::Safety => 1,
            Input::Closing => 2,
            Input::Opened => return self.switch(0),
            Input::Closed => return self.switch(1),
            Input::Fire if self.fire_silent => return Level::Unknown,
            Input::Fire => return if self.fire { Level::Active } else { Level::Inactive },
        };
        let active = |active| if active { Level::Active } else { Level::Inactive };
        match self.loops[nth] {
            Some(LoopFault::Stuck) => Level::Active,
            Some(LoopFault::Silent) => Level::Unknown,
            Some(LoopFault::Blind) => Level::Inactive,
            // The loop under the arm is never blind, not even for a moment.
            Some(LoopFault::Flickers) => active(self.noise.is_multiple_of(2) || nth == 1 && self.on_loop(nth)),
            None => active(self.on_loop(nth)),
        }
    }

    fn switch(&self, nth: usize) -> Level {
        let active = |active| if active { Level::Active } else { Level::Inactive };
        let (is, since) = self.switch_changed[nth];
        match self.switches[nth] {
            Some(SwitchFault::Silent) => Level::Unknown,
            Some(SwitchFault::Says(says)) => active(says),
            Some(SwitchFault::Flickers) => active(is != self.noise.is_multiple_of(2)),
            Some(SwitchFault::Late(by)) if self.now < since + by => active(!is),
            _ => active(is),
        }
    }

    /// Nothing moves, so time may pass at once.
    pub fn still(&self) -> bool {
        let arm = self.motor == Motor::Rests || self.arm_fault == Some(ArmFault::Stays);
        let turned = |nth: usize, by: u64| self.now < self.switch_changed[nth].1 + by;
        let late = |nth: usize| matches!(self.switches[nth], Some(SwitchFault::Late(by)) if turned(nth, by));
        let relays = self.energised(Relay::Raise) || self.energised(Relay::Lower);
        let flickers =
            self.loops.contains(&Some(LoopFault::Flickers)) || self.switches.contains(&Some(SwitchFault::Flickers));
        let own = self.closes_itself && self.arm > 0;
        arm && !relays && !flickers && !late(0) && !late(1) && !own && !self.moving
    }

    /// One step of time. Cars that reach the line and want to ask, by number.
    pub fn step(&mut self, everybody_may_pass: bool) -> Vec<usize> {
        self.now += STEP;
        self.noise += 1 + self.now / 1_000 % 2;
        self.move_arm();
        let asks = self.move_cars(everybody_may_pass);
        for nth in 0..2 {
            let is = if nth == 0 { self.arm >= 980 } else { self.arm <= 20 };
            if self.switch_changed[nth].0 != is {
                self.switch_changed[nth] = (is, self.now);
            }
        }
        asks
    }

    fn move_arm(&mut self) {
        // The gate's own control: up goes before down.
        if self.energised(Relay::Raise) {
            self.motor = Motor::Up;
        } else if self.energised(Relay::Lower) {
            self.motor = Motor::Down;
        }
        if self.on_loop(1) || self.on_loop(2) {
            self.clear_since = self.now;
            // Its own edge and loops turn it round.
            if self.closes_itself && self.motor == Motor::Down {
                self.motor = Motor::Up;
            }
        } else if self.closes_itself
            && self.arm > 0
            && self.motor == Motor::Rests
            && self.now > self.clear_since + 15_000
        {
            self.motor = Motor::Down;
        }
        let by = 1_000 * STEP as i64 / self.travel;
        self.rises = false;
        match (self.motor, self.arm_fault) {
            (_, Some(ArmFault::Stays)) | (Motor::Rests, _) | (Motor::Down, Some(ArmFault::StaysOpen)) => {}
            (Motor::Up, Some(ArmFault::StopsHalfway)) if (400..450).contains(&self.arm) => {
                (self.motor, self.arm_fault) = (Motor::Rests, None);
            }
            (Motor::Up, _) => {
                self.arm = (self.arm + by).min(1_000);
                // Within the play of its lower switch it has not gone anywhere.
                self.rises = self.arm > 20;
                self.moved |= self.rises;
                self.clear_since = self.now;
            }
            (Motor::Down, _) => {
                if self.arm < 700 && self.cars.iter().any(Car::under_arm) && !self.closes_itself {
                    self.driven_down_on_a_car = true;
                }
                self.arm = (self.arm - by).max(0);
            }
        }
        if self.arm == 1_000 && self.motor == Motor::Up || self.arm == 0 && self.motor == Motor::Down {
            self.motor = Motor::Rests;
        }
    }

    fn move_cars(&mut self, everybody_may_pass: bool) -> Vec<usize> {
        let mut asks = Vec::new();
        let mut ahead = i64::MAX;
        self.moving = false;
        let coming_down = self.motor == Motor::Down;
        for (nth, car) in self.cars.iter_mut().enumerate() {
            if car.gone {
                continue;
            }
            let by = car.speed * STEP as i64 / 1_000;
            let (front, pause) = (car.front, car.pause);
            if car.backing {
                car.front -= by;
                car.gone = car.front <= BEGIN;
            } else {
                let may = car.authorised.is_some() || everybody_may_pass || car.plan == Plan::Tailgate && ahead < END;
                let follows = car.plan == Plan::Tailgate && self.arm >= 500;
                let open = may && (self.arm >= 900 || follows) && !(coming_down && self.arm < 800);
                let most = match car.front {
                    // Nobody drives into an arm that he sees.
                    front if front <= STOP_LINE && !open => STOP_LINE,
                    front if front < -300 && self.arm < 500 => front,
                    _ => i64::MAX,
                };
                let before = ahead.saturating_sub(car.gap);
                let to = (car.front + by).min(most).min(before.max(car.front));
                let pauses = match car.plan {
                    Plan::StopUnder => car.front >= 800,
                    _ => car.front >= STOP_LINE - 200 && (!car.asked || car.front <= STOP_LINE),
                };
                if pauses && car.pause > 0 {
                    car.pause = car.pause.saturating_sub(STEP);
                } else {
                    car.front = to;
                }
                if car.front >= STOP_LINE - 200 && !car.asked && (car.pause == 0 || car.plan == Plan::StopUnder) {
                    car.asked = true;
                    asks.push(nth);
                }
                // It has its ticket, and goes back.
                car.backing |= car.plan == Plan::BackOut && car.authorised.is_some() && self.arm > 300;
                car.backing |= car.plan == Plan::NoseBack && car.front >= -500;
                car.passed |= car.front - car.length > 1_000;
                car.gone |= car.front - car.length > END;
            }
            ahead = car.front - car.length;
            self.moving |= (car.front, car.pause) != (front, pause);
        }
        self.moving |= !asks.is_empty();
        asks
    }
}
