//! One run: a lane, its ledger, who sells, and the ground, from one seed. Power is cut before a commit, after it, between two
//! effects, inside recovery, and at any other time; and a commit may fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kioskd::operation::{Actor, Reason, RequestId};
use kioskd::parking::lane::{
    Answer, Ask, Authorisation, Call, CantDecide, Effect, Event, Input, Kept, Level, Record, Relay, Settings, State,
    Step, next,
};
use kioskd::vocabulary::{DeliveryId, Mono, OrderId};
use kioskd_tests::chance::Chance;

use super::checks::Checks;
use super::setup::{Deed, Setup};
use super::world::{Plan, STEP, World};

/// Faults planted between the lane and its surroundings: what careless wiring would do. Each must be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    IntentNotOnDisk,
    UsedForgotten,
    EffectsBeforeCommit,
    DeliveredAgainAfterRestart,
    AtOnceWaitsAndIsLost,
    SafetyNotTold,
    SilenceToldAsClear,
    FireNotTold,
    CallsLost,
    AnswersLost,
    PulseWithoutEnd,
    RestLost,
    TicksLost,
}

impl Mutant {
    pub const ALL: [Self; 13] = [
        Self::IntentNotOnDisk,
        Self::UsedForgotten,
        Self::EffectsBeforeCommit,
        Self::DeliveredAgainAfterRestart,
        Self::AtOnceWaitsAndIsLost,
        Self::SafetyNotTold,
        Self::SilenceToldAsClear,
        Self::FireNotTold,
        Self::CallsLost,
        Self::AnswersLost,
        Self::PulseWithoutEnd,
        Self::RestLost,
        Self::TicksLost,
    ];
}

/// What who sells has on disk about a delivery.
#[derive(Debug, Clone, Default)]
pub struct Sold {
    pub answer: Option<Answer>,
    /// When the lane was asked in this run.
    pub asked: Option<u64>,
}

#[derive(Debug)]
pub struct Outcome {
    pub crashes: u32,
    pub broken: Option<String>,
    pub passed: u32,
    pub settings: Settings,
    pub ledger: Vec<Record>,
}

pub struct Run {
    pub settings: Settings,
    pub world: World,
    chance: Chance,
    pub ledger: Vec<Record>,
    /// What was kept of the lane, as JSON, and of how many records.
    kept: Option<(String, usize)>,
    pub lane: Option<State>,
    /// When this run of the lane began, and the number of the run.
    pub boot: u64,
    restart: u64,
    pub told: [Option<Level>; 6],
    pub sold: BTreeMap<DeliveryId, Sold>,
    waiting: VecDeque<usize>,
    orders: u64,
    pub requests: u64,
    crash_points: VecDeque<u64>,
    pub crashes: u32,
    failing_relay: u64,
    failing_commit: u64,
    /// The disk is broken: no commit succeeds until the daemon has been started again, which is then.
    pub broken_until: Option<u64>,
    at_once: usize,
    pub kept_open: bool,
    pub checks: Checks,
    mutant: Option<Mutant>,
    tell: bool,
    /// When the lane wants to be woken, in its own time.
    wake: Option<u64>,
}

pub const INPUTS: [Input; 6] =
    [Input::Presence, Input::Safety, Input::Closing, Input::Opened, Input::Closed, Input::Fire];

pub fn fitted(settings: &Settings, input: Input) -> bool {
    match input {
        Input::Presence => settings.presence,
        Input::Safety => settings.safety,
        Input::Closing => settings.closing,
        Input::Opened => settings.opened,
        Input::Closed => settings.closed,
        Input::Fire => settings.fire,
    }
}

pub fn simulate(seed: u64, mutant: Option<Mutant>, tell: bool) -> Outcome {
    let mut chance = Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let Setup { settings, world, script, crash_points, failing_relay, failing_commit, at_once } =
        Setup::draw(&mut chance);
    if tell {
        println!("{settings:?}\ncrash points {crash_points:?}");
    }
    let mut run = Run {
        lane: None,
        ledger: Vec::new(),
        kept: None,
        boot: 0,
        restart: 0,
        told: [None; 6],
        sold: BTreeMap::new(),
        waiting: VecDeque::new(),
        orders: 0,
        requests: 0,
        crash_points,
        crashes: 0,
        failing_relay,
        failing_commit,
        broken_until: None,
        at_once,
        kept_open: false,
        checks: Checks::default(),
        settings,
        world,
        chance,
        mutant,
        tell,
        wake: None,
    };
    run.go(script);
    let broken = run.checks.broken.take();
    let passed = run.world.cars.iter().filter(|car| car.passed).count() as u32;
    Outcome { crashes: run.crashes, broken, passed, settings: run.settings, ledger: run.ledger }
}

impl Run {
    fn go(&mut self, script: Vec<(u64, Deed)>) {
        let calm = script.last().map_or(0, |(at, _)| *at) + 20_000;
        let end = calm + 150_000;
        let mut script = VecDeque::from(script);
        let mut calmed = false;
        while self.world.now < end && self.checks.broken.is_none() {
            if self.lane.is_none() && self.world.now >= self.restart {
                self.start();
            }
            while script.front().is_some_and(|(at, _)| *at <= self.world.now) {
                if let Some((_, deed)) = script.pop_front() {
                    self.deed(deed);
                }
            }
            if self.broken_until.is_some_and(|at| self.world.now >= at) {
                self.broken_until = None;
                if self.lane.is_some() {
                    self.crash("because the disk is broken");
                }
            }
            if !calmed && self.world.now >= calm && self.lane.is_some() && self.broken_until.is_none() {
                calmed = true;
                self.calm_down();
            }
            self.tell_inputs();
            self.sell();
            self.tick();
            self.step(script.front().map(|(at, _)| *at), calm, end);
        }
        if self.checks.broken.is_none() {
            Checks::at_the_end(self);
        }
    }

    /// Milliseconds of this run of the lane.
    fn now(&self) -> u64 {
        self.world.now - self.boot
    }

    /// At the very moments that the lane wants, up to the ground's next step.
    fn tick(&mut self) {
        while let Some(wake) = self.wake.filter(|wake| *wake < self.now() + STEP) {
            self.wake = None;
            if self.mutant != Some(Mutant::TicksLost) {
                self.event_at(Event::Tick, wake.max(self.now()));
            }
        }
    }

    fn step(&mut self, deed: Option<u64>, calm: u64, end: u64) {
        if self.world.still() && self.waiting.is_empty() {
            let now = self.world.now;
            let restart = if self.lane.is_none() { Some(self.restart) } else { None };
            let calm = (now < calm).then_some(calm);
            let next = [self.wake.map(|at| at + self.boot), deed, restart, calm, self.broken_until, Some(end)];
            let next = next.into_iter().flatten().min().unwrap_or(end) / STEP * STEP;
            self.world.now = now.max(next.saturating_sub(STEP));
        }
        let open_for_all = self.kept_open || self.world.fire;
        let asks = self.world.step(open_for_all);
        self.waiting.extend(asks);
        Checks::after_a_step(self);
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.tell {
            println!("{:>8} {}", self.world.now, what());
        }
    }

    fn start(&mut self) {
        self.boot = self.world.now;
        self.told = [None; 6];
        let forgets = self.mutant == Some(Mutant::UsedForgotten);
        let of_passages =
            |record: &&Record| matches!(record, Record::GateIntended { .. } | Record::PassageEnded { .. });
        let known = self.ledger.iter().filter(|record| !(forgets && of_passages(record)));
        let lane = State::recover(self.settings.clone(), known, Mono(0));
        if self.mutant.is_none() {
            self.resumes_as(&lane);
        }
        self.lane = Some(lane);
        self.say(|| "the lane starts".into());
        self.checks.quiet_start = true;
        self.checks.begins_anew();
        self.event(Event::Started);
        self.tell_inputs();
        let open: Vec<DeliveryId> =
            self.sold.iter().filter(|(_, sold)| sold.answer.is_none()).map(|(delivery, _)| *delivery).collect();
        for delivery in open {
            if self.lane.is_some() {
                self.ask_again(delivery);
            }
        }
        self.checks.quiet_start = false;
    }

    /// From what was kept and the records since it is the same lane.
    fn resumes_as(&mut self, lane: &State) {
        let Some((kept, of)) = &self.kept else { return };
        let kept: Kept = serde_json::from_str(kept).unwrap();
        let resumed = State::resume(self.settings.clone(), Some(kept), &self.ledger[*of..], Mono(0));
        if format!("{resumed:?}") != format!("{lane:?}") {
            self.checks.broken.get_or_insert(format!("resumed it is {resumed:?}, and by its records {lane:?}"));
        }
    }

    fn ask_again(&mut self, delivery: DeliveryId) {
        let now = self.world.now;
        if let Some(sold) = self.sold.get_mut(&delivery) {
            sold.asked = Some(now);
        }
        if self.mutant == Some(Mutant::DeliveredAgainAfterRestart) {
            // Careless: the same car once more, under a new number.
            self.orders += 1;
            let order = OrderId::from_parts(self.orders, 1 << 79);
            self.event(Event::Authorised { delivery: DeliveryId { order, ..delivery } });
        }
        self.event(Event::Recalled { delivery });
    }

    fn crash(&mut self, whence: &str) {
        self.say(|| format!("power is cut {whence}"));
        self.crashes += 1;
        (self.lane, self.wake, self.broken_until) = (None, None, None);
        // What a person asked for is told by the ledger of operations then.
        (self.checks.sign, self.checks.unanswered) = (None, BTreeSet::new());
        self.restart = self.world.now + 1_000 + self.chance.below(9_000);
        self.world.rest(Relay::Raise);
        self.world.rest(Relay::Lower);
        self.sold.values_mut().for_each(|sold| sold.asked = None);
    }

    /// Is the power cut here?
    fn cut(&mut self, whence: &str) -> bool {
        let Some(left) = self.crash_points.front_mut() else { return false };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        self.crash_points.pop_front();
        self.crash(whence);
        true
    }

    fn tell_inputs(&mut self) {
        for (nth, input) in INPUTS.into_iter().enumerate() {
            if self.lane.is_none() {
                return;
            }
            let mut level = self.world.level(input);
            match self.mutant {
                Some(Mutant::SafetyNotTold) if input == Input::Safety => level = Level::Inactive,
                Some(Mutant::FireNotTold) if input == Input::Fire => level = Level::Inactive,
                Some(Mutant::SilenceToldAsClear) if level == Level::Unknown => level = Level::Inactive,
                _ => {}
            }
            // The lane is judged by what the wire says.
            self.checks.heard(nth, self.world.level(input), self.world.now);
            if self.told[nth] != Some(level) && fitted(&self.settings, input) {
                self.told[nth] = Some(level);
                self.say(|| format!("{input:?} is {level:?}"));
                self.event(Event::Input { input, level });
            }
        }
    }

    fn event(&mut self, event: Event) {
        let at = self.now();
        self.event_at(event, at);
    }

    fn event_at(&mut self, event: Event, at: u64) {
        let Some(lane) = &mut self.lane else { return };
        let told = self.tell.then(|| format!("{event:?}"));
        let Step { at_once, records, effects } = next(lane, event, Mono(at));
        // Nothing else changes what it waits for.
        self.wake = lane.next_wake(Mono(at)).map(|wake| wake.0);
        self.world.moving = true;
        if let Some(told) = told.filter(|_| !at_once.is_empty() || !records.is_empty() || !effects.is_empty()) {
            self.say(|| format!("{told}: at once {at_once:?}, records {records:?}, effects {effects:?}"));
        }
        let lost = self.mutant == Some(Mutant::AtOnceWaitsAndIsLost);
        for effect in at_once {
            if !(lost && matches!(effect, Effect::Energise { .. })) {
                Checks::before_at_once(self, &effect, &records);
                self.effect(effect);
            }
        }
        let early = self.mutant == Some(Mutant::EffectsBeforeCommit);
        if early {
            for effect in &effects {
                Checks::before(self, effect, &records);
                self.effect(effect.clone());
            }
        }
        if (!records.is_empty() || !effects.is_empty()) && self.cut("before the commit") {
            return;
        }
        if !records.is_empty() && self.fails() {
            // What was not energised is said of each; the rest is lost until the daemon is started again.
            for effect in effects {
                if let Effect::Energise { relay, .. } = effect {
                    if relay == Relay::Raise {
                        self.checks.lowers = 0;
                    }
                    self.event(Event::NotEnergised { relay });
                }
            }
            return;
        }
        let kept = |record: &&Record| {
            !(self.mutant == Some(Mutant::IntentNotOnDisk) && matches!(record, Record::GateIntended { .. }))
        };
        self.ledger.extend(records.iter().filter(kept).cloned());
        for record in &records {
            self.committed(record);
        }
        if let Some(lane) = self.lane.as_ref().filter(|_| self.ledger.len() % 7 < 2) {
            self.kept = Some((serde_json::to_string(&lane.kept()).unwrap(), self.ledger.len()));
        }
        if !records.is_empty() && self.cut("after the commit") {
            return;
        }
        for effect in if early { Vec::new() } else { effects } {
            Checks::before(self, &effect, &records);
            self.effect(effect);
            if self.lane.is_none() || self.cut("after an effect") {
                return;
            }
        }
    }

    /// Does this commit fail?
    fn fails(&mut self) -> bool {
        self.failing_commit = self.failing_commit.saturating_sub(1);
        if self.failing_commit == 1 {
            self.say(|| "the disk is broken".into());
            self.broken_until = Some(self.world.now + 2_000);
            // An arm that went up meanwhile is nobody's after the start; a person looks at it.
            self.checks.gave_up = true;
        }
        self.broken_until.is_some()
    }

    fn committed(&mut self, record: &Record) {
        match record {
            Record::GateIntended {
                authorisation: Authorisation::Undecided { .. } | Authorisation::Operation { .. },
                attempt: 1,
            } => {
                let now = self.world.now;
                // Who is before the gate is meant, also where it may pass already.
                if let Some(car) = self.world.cars.iter_mut().find(|car| car.waits()) {
                    car.authorised = car.authorised.or(Some(now));
                }
            }
            Record::KeptOpen { .. } => (self.kept_open, self.checks.kept_in) = (true, Some(self.boot)),
            Record::Released { .. } => self.kept_open = false,
            _ => {}
        }
        self.checks.committed(record, &self.settings);
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Energise { relay, pulse } => {
                self.failing_relay = self.failing_relay.saturating_sub(1);
                if self.failing_relay == 1 {
                    self.say(|| format!("{relay:?} is not energised"));
                    return self.event(Event::NotEnergised { relay });
                }
                let pulse =
                    if self.mutant == Some(Mutant::PulseWithoutEnd) { 600_000 } else { pulse.as_millis() as u64 };
                self.world.energise(relay, pulse);
                if relay == Relay::Lower {
                    self.checks.lowered_in = Some(self.boot);
                } else {
                    self.world.moved = false;
                    self.checks.raised_in = Some(self.boot);
                }
            }
            Effect::Rest { relay } if self.mutant != Some(Mutant::RestLost) => self.world.rest(relay),
            Effect::Answer { delivery, answer } if self.mutant != Some(Mutant::AnswersLost) => {
                Checks::answered(self, delivery, answer);
                if let Some(sold) = self.sold.get_mut(&delivery) {
                    sold.answer = sold.answer.or(Some(answer));
                }
            }
            // Who comes because the gate does not close, or because nobody can decide, comes for another car.
            Effect::Call(call)
                if self.mutant != Some(Mutant::CallsLost)
                    && !matches!(call, Call::GateDoesNotClose | Call::CantDecide(_)) =>
            {
                let waiting = self.world.cars.iter_mut().filter(|car| car.authorised.is_some() && !car.passed);
                waiting.for_each(|car| car.called = true);
            }
            Effect::Ended { request, .. } => {
                self.checks.unanswered.remove(&request);
            }
            Effect::Sign { full } => self.checks.sign = Some(full),
            _ => {}
        }
    }

    /// One order at a time: the next car's turn comes when the last delivery is answered.
    fn sell(&mut self) {
        if self.lane.is_none() || self.sold.values().filter(|sold| sold.answer.is_none()).count() >= self.at_once {
            return;
        }
        let Some(nth) = self.waiting.pop_front() else { return };
        match self.world.cars[nth].plan {
            Plan::Tailgate => {}
            // It has driven on, through a gate that was open for everybody.
            _ if !self.world.cars[nth].waits() => {}
            Plan::Nobody if self.chance.below(2) == 0 => self.ask(Ask::Raise),
            Plan::Nobody => self.event(Event::CantDecide { why: CantDecide::NoKey }),
            _ => {
                self.orders += 1;
                let order = OrderId::from_parts(self.orders, 0);
                let delivery = DeliveryId { order, item: 0, attempt: 1 };
                let now = self.world.now;
                self.sold.insert(delivery, Sold { asked: Some(now), ..Sold::default() });
                (self.world.cars[nth].order, self.world.cars[nth].authorised) = (Some(delivery), Some(now));
                self.say(|| format!("car {nth} may pass: {}", self.orders));
                if !self.cut("between the delivery and the lane") {
                    self.event(Event::Authorised { delivery });
                }
            }
        }
    }

    fn ask(&mut self, what: Ask) {
        self.requests += 1;
        let request = RequestId::parse(&format!("r{}", self.requests)).unwrap();
        let reason = Reason::parse("the driver has called").unwrap();
        if self.lane.is_some() {
            self.checks.unanswered.insert(request.clone());
        }
        self.event(Event::Asked { request, actor: Actor::Demo, reason, what });
    }

    fn deed(&mut self, deed: Deed) {
        self.say(|| format!("{deed:?}"));
        self.world.moving = true;
        match deed {
            Deed::Comes(car) => self.world.cars.push(car),
            Deed::Loop(nth, fault) => (self.world.loops[nth], self.checks.loop_faults) = (fault, true),
            Deed::Arm(fault) => self.world.arm_becomes(fault),
            Deed::Switch(nth, fault) => self.world.switches[nth] = fault,
            Deed::Fire(on) => self.world.fire = on,
            Deed::FireSilent(on) => self.world.fire_silent = on,
            Deed::Asks(what) => self.ask(what),
            Deed::Elsewhere => self.event(Event::Elsewhere { came: 1, left: 2 }),
            Deed::Cut => {
                if self.lane.is_some() {
                    self.crash("by itself");
                }
            }
            Deed::Again => {
                let known: Vec<DeliveryId> = self.sold.keys().copied().collect();
                if !known.is_empty() {
                    let delivery = self.chance.pick(&known);
                    self.event(Event::Authorised { delivery });
                }
            }
        }
    }

    /// Everything is repaired, and nobody new comes.
    fn calm_down(&mut self) {
        self.say(|| "everything is repaired".into());
        self.crash_points.clear();
        self.failing_relay = 0;
        self.world.loops = [None; 3];
        self.world.switches = [None; 2];
        self.world.arm_becomes(None);
        (self.world.fire, self.world.fire_silent) = (false, false);
        self.failing_commit = 0;
        if self.kept_open || self.checks.gave_up {
            self.ask(Ask::Release);
        }
    }
}
