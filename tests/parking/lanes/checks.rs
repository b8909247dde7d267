//! What must hold of every run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kioskd::operation::RequestId;
use kioskd::parking::lane::gate::Position;
use kioskd::parking::lane::{
    Alarm, Answer, Authorisation, AuthorisationId, Delivered, Effect, Fault, Level, Record, Relay, Settings, State, Way,
};
use kioskd::vocabulary::DeliveryId;

use super::run::{INPUTS, Run, fitted};
use super::world::Plan;

/// What a wire has said.
#[derive(Debug, Default)]
struct Heard {
    level: Option<Level>,
    /// The last moment at which it was anything but inactive.
    not_clear: Option<u64>,
    active: Option<u64>,
    changes: VecDeque<u64>,
    flickered: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Checks {
    pub broken: Option<String>,
    /// The lane has just been started, and nothing new has come.
    pub quiet_start: bool,
    /// The run of the lane that sent the arm down last.
    pub lowered_in: Option<u64>,
    /// An alarm was raised after which the lane leaves the arm where it is until a person has released it.
    pub gave_up: bool,
    pub kept_in: Option<u64>,
    heard: [Heard; 6],
    intended: BTreeMap<AuthorisationId, u32>,
    pub raised_for: BTreeSet<DeliveryId>,
    /// While these waited for an answer the arm went up.
    moved_for: BTreeSet<DeliveryId>,
    /// The run of the lane that sent the arm up last.
    pub raised_in: Option<u64>,
    /// What persons asked for in this run, and have not heard of.
    pub unanswered: BTreeSet<RequestId>,
    /// What the sign says.
    pub sign: Option<bool>,
    /// Loops have not seen what was there, or the presence loop has seen a car that was not.
    blinded: bool,
    seen_passed: u32,
    seen_unauthorised: u32,
    tailgated: u32,
    /// Pulses for lowering since the arm was to be raised, found closed, or released by a person.
    pub lowers: u32,
    pulses: VecDeque<u64>,
    on_since: [Option<u64>; 2],
    fire_since: Option<u64>,
    pub loop_faults: bool,
    pub blind: bool,
    pub other_faults: bool,
    /// Since when each car has waited before a gate that is not open.
    waits: BTreeMap<usize, u64>,
    episode: Episode,
}

/// What crossed the loop under the arm between two times when it was clear for long enough to be told.
#[derive(Debug, Default)]
struct Episode {
    on: bool,
    clear_since: u64,
    cars: u32,
    unauthorised: u32,
    done: u32,
    done_unauthorised: u32,
    known: Vec<usize>,
    ambiguous: bool,
    /// Two were told as one, which leaves the second's authorisation to the next.
    rows: bool,
    held_until: u64,
    /// It came under the arm while that was held up for everybody.
    let_in: bool,
    behind: bool,
    reached: bool,
}

impl Checks {
    fn fail(run: &mut Run, what: impl Into<String>) {
        let (now, what) = (run.world.now, what.into());
        run.say(|| format!("BROKEN: {what}"));
        run.checks.broken.get_or_insert(format!("at {now} ms: {what}"));
    }

    pub fn heard(&mut self, nth: usize, level: Level, now: u64) {
        let heard = &mut self.heard[nth];
        if level != Level::Inactive {
            heard.not_clear = Some(now);
        }
        if level == Level::Active {
            heard.active = Some(now);
        }
        let before = heard.level.replace(level);
        if before != Some(level) && ![before, Some(level)].contains(&Some(Level::Unknown)) {
            heard.changes.push_back(now);
            if heard.changes.len() > 9 {
                heard.changes.pop_front();
            }
            if heard.changes.len() == 9 && heard.changes.front().is_some_and(|at| now - at <= 2_000) {
                heard.flickered = Some(now);
            }
        }
    }

    /// What flickered before a restart is forgotten with it.
    pub fn begins_anew(&mut self) {
        self.lowers = 0;
        for heard in &mut self.heard {
            heard.changes.clear();
            heard.flickered = None;
        }
    }

    pub fn committed(&mut self, record: &Record, settings: &Settings) {
        match record {
            Record::GateIntended { authorisation, attempt } => {
                let before = self.intended.entry(authorisation.id()).or_default();
                if *attempt != *before + 1 {
                    let id = authorisation.id();
                    self.broken.get_or_insert(format!("{id:?}: attempt {attempt} after {before}"));
                }
                *before = *attempt;
                if *attempt > settings.tries {
                    self.broken.get_or_insert(format!("attempt {attempt} where {} are allowed", settings.tries));
                }
            }
            Record::AlarmRaised(Alarm::GateDoesNotClose | Alarm::OpenedByOthers | Alarm::KeptOpenIsClosed) => {
                self.gave_up = true;
            }
            Record::CarPassed { authorised } => {
                self.seen_passed += 1;
                self.seen_unauthorised += u32::from(!authorised);
            }
            Record::GateClosed {} | Record::Released { .. } => self.lowers = 0,
            Record::Tailgated { sure: true } => self.tailgated += 1,
            _ => {}
        }
    }

    fn energised(run: &mut Run, relay: Relay) {
        let now = run.world.now;
        let other = if relay == Relay::Raise { Relay::Lower } else { Relay::Raise };
        if run.world.energised(other) {
            Self::fail(run, "both relays are energised");
        }
        let lowers = if relay == Relay::Lower { run.checks.lowers + 1 } else { 0 };
        run.checks.lowers = lowers;
        if lowers > run.settings.tries {
            Self::fail(run, "the arm is sent down more often than it may be");
        }
        let pulses = &mut run.checks.pulses;
        pulses.push_back(now);
        while pulses.front().is_some_and(|at| at + 60_000 < now) {
            pulses.pop_front();
        }
        if pulses.len() > 60 {
            Self::fail(run, "more than sixty pulses in a minute");
        }
    }

    pub fn before_at_once(run: &mut Run, effect: &Effect, records: &[Record]) {
        let Effect::Energise { relay, .. } = effect else { return };
        Self::energised(run, *relay);
        let reopens = records.contains(&Record::GateReopened {}) && run.checks.lowered_in == Some(run.boot);
        let fire = run.world.fire || run.checks.heard[5].level == Some(Level::Active);
        if *relay == Relay::Lower || !(reopens || fire) {
            Self::fail(run, format!("{relay:?} at once, without a fire or an arm on its way down"));
        }
    }

    pub fn before(run: &mut Run, effect: &Effect, records: &[Record]) {
        let Effect::Energise { relay, .. } = effect else { return };
        Self::energised(run, *relay);
        if run.checks.quiet_start {
            Self::fail(run, "a relay is energised by a start");
        }
        match relay {
            Relay::Raise => Self::before_raise(run, records),
            Relay::Lower => Self::before_lower(run),
        }
    }

    fn before_raise(run: &mut Run, records: &[Record]) {
        let intents: Vec<_> = records.iter().filter(|record| matches!(record, Record::GateIntended { .. })).collect();
        let on_disk = |run: &Run, record: &Record| run.ledger.iter().rev().take(20).any(|known| known == record);
        if intents.iter().any(|record| !on_disk(run, record)) {
            return Self::fail(run, "raised without its intent on disk");
        }
        let again = intents.iter().any(|record| matches!(record, Record::GateIntended { attempt: 2.., .. }));
        if again && run.world.moved {
            return Self::fail(run, "raised again although the arm had moved");
        }
        for record in intents.iter() {
            if let Record::GateIntended { authorisation: Authorisation::Delivery { delivery }, attempt } = record {
                if *attempt > 1 && run.checks.moved_for.contains(delivery) {
                    return Self::fail(run, "raised again although the arm had moved since it was first asked");
                }
                run.checks.raised_for.insert(*delivery);
            }
        }
        if intents.is_empty() && !(run.kept_open && run.checks.kept_in == Some(run.boot)) {
            Self::fail(run, "raised for nobody");
        }
    }

    fn before_lower(run: &mut Run) {
        let (now, clear) = (run.world.now, run.settings.times.signal.clear.as_millis() as u64);
        let calm = run.settings.times.signal.calm.as_millis() as u64;
        for (nth, input) in INPUTS.into_iter().enumerate().skip(1).take(2) {
            if !fitted(&run.settings, input) {
                continue;
            }
            let heard = &run.checks.heard[nth];
            // The lane counts to the millisecond, and the ground in steps.
            let clear = heard.not_clear.is_none_or(|at| now + 100 >= at + clear);
            let steady = heard.flickered.is_none_or(|at| now + 100 >= at + calm);
            if heard.level != Some(Level::Inactive) || !clear || !steady {
                return Self::fail(run, format!("the arm is sent down while {input:?} is not clear"));
            }
        }
        if run.settings.fire && run.checks.heard[5].level != Some(Level::Inactive) {
            Self::fail(run, "the arm is sent down while there is fire");
        }
        let release = run.settings.times.fire_release.as_millis() as u64;
        let burnt = run.checks.heard[5].active.filter(|at| *at >= run.boot && run.settings.fire);
        if burnt.is_some_and(|at| now + 100 < at + release) {
            Self::fail(run, "the arm is sent down too soon after a fire");
        }
        if run.lane.as_ref().is_some_and(|lane| !lane.passages().is_empty()) {
            Self::fail(run, "the arm is sent down before somebody who may pass");
        }
        // A release that is not on disk is no release, and it was asked for all the same.
        if run.kept_open && run.broken_until.is_none() {
            Self::fail(run, "the arm is sent down although a person keeps it open");
        }
    }

    pub fn answered(run: &mut Run, delivery: DeliveryId, answer: Answer) {
        // What was answered before is only said again.
        let known = run.sold.get(&delivery).is_some_and(|sold| sold.answer.is_some());
        match answer {
            Answer::NotMoved if !known && run.checks.moved_for.contains(&delivery) => {
                Self::fail(run, "it is said that the gate did not move, and it has");
            }
            Answer::NotMoved
                if !known && run.world.rises && !run.world.closes_itself && run.checks.raised_in == Some(run.boot) =>
            {
                Self::fail(run, "it is said that the gate did not move, and it moves");
            }
            Answer::Withdrawn if !known && !run.checks.blinded => {
                let car = run.world.cars.iter().find(|car| car.order == Some(delivery));
                if car.is_some_and(|car| car.passed || car.under_arm()) {
                    Self::fail(run, "a ticket is void of a car that has driven in");
                }
                if run.settings.way == Way::Out {
                    Self::fail(run, "what was paid for is taken back from who drives out");
                }
            }
            Answer::Delivered if !run.checks.loop_faults && run.settings.closing && run.settings.safety => {
                let delivered = run.sold.values().filter(|sold| sold.answer == Some(Answer::Delivered)).count();
                let passed = run.world.cars.iter().filter(|car| car.passed).count();
                if run.settings.delivered == Delivered::Passed && !known && passed <= delivered {
                    Self::fail(run, "a car is said to have passed that has not");
                }
            }
            _ => {}
        }
    }

    pub fn after_a_step(run: &mut Run) {
        Self::note_faults(run);
        Self::look_at_relays(run);
        Self::look_at_fire(run);
        Self::look_at_cars(run);
        let on = [run.world.on_loop(1), run.world.on_loop(2)];
        // A fire is not over while its contact says nothing.
        let held = run.kept_open || run.world.fire || run.world.fire_silent;
        run.checks.follow(on, run.world.now, &run.world.cars, held);
        let driven = std::mem::take(&mut run.world.driven_down_on_a_car);
        if driven && run.lane.is_some() && run.checks.lowered_in == Some(run.boot) {
            Self::fail(run, "the arm comes down on a car");
        }
        let within = State::answers_within(&run.settings).as_millis() as u64 + 5_000;
        let now = run.world.now;
        if run.lane.is_some()
            && let Some((delivery, _)) = run
                .sold
                .iter()
                .find(|(_, sold)| sold.answer.is_none() && sold.asked.is_some_and(|at| now > at + within))
        {
            let delivery = delivery.order;
            Self::fail(run, format!("delivery {delivery} is not answered"));
        }
    }

    fn note_faults(run: &mut Run) {
        let checks = &mut run.checks;
        if run.world.rises {
            let waits = |delivery: &&DeliveryId| run.sold.get(*delivery).is_some_and(|sold| sold.answer.is_none());
            let waiting: Vec<DeliveryId> = checks.raised_for.iter().filter(waits).copied().collect();
            checks.moved_for.extend(waiting);
        }
        // Who stands on a loop for longer than any car does is not seen to go.
        let stuck = |alarm: &Alarm| matches!(alarm, Alarm::Input { fault: Fault::Stuck, .. });
        checks.loop_faults |= run.lane.as_ref().is_some_and(|lane| lane.alarms().iter().any(stuck));
        checks.blinded |= run.world.loops.contains(&Some(super::world::LoopFault::Blind))
            || run.world.loops[0] == Some(super::world::LoopFault::Stuck);
        checks.blind |= run.world.loops[0] == Some(super::world::LoopFault::Blind);
        checks.other_faults |= run.world.arm_fault.is_some() || run.world.switches.iter().any(Option::is_some);
    }

    fn look_at_relays(run: &mut Run) {
        let now = run.world.now;
        let on = [Relay::Raise, Relay::Lower].map(|relay| run.world.energised(relay));
        for (nth, on) in on.into_iter().enumerate() {
            let since = &mut run.checks.on_since[nth];
            *since = if on { since.or(Some(now)) } else { None };
            if since.is_some_and(|at| now > at + 4_000) {
                Self::fail(run, "a relay stays energised");
            }
        }
        if on == [true, true] {
            Self::fail(run, "both relays are energised");
        }
    }

    /// Who works sees fire within the lane's bound: the gate is open, and stays so.
    fn look_at_fire(run: &mut Run) {
        let well = run.world.arm_fault.is_none() && run.lane.is_some() && !run.world.closes_itself;
        let told = run.world.fire && !run.world.fire_silent && run.settings.fire && well;
        let now = run.world.now;
        let since = &mut run.checks.fire_since;
        *since = if told { since.or(Some(now)) } else { None };
        let bound = (run.settings.times.fire_repeat + run.settings.times.travel * 2).as_millis() as u64 + 2_000;
        let sees = run.settings.opened || run.settings.tries > 1;
        if since.is_some_and(|at| now > at + bound) && run.world.arm < 900 && sees && !run.checks.other_faults {
            Self::fail(run, "there is fire, and the gate is not open");
        }
    }

    fn look_at_cars(run: &mut Run) {
        let now = run.world.now;
        let bound = State::answers_within(&run.settings).as_millis() as u64 + 5_000;
        let passed = run.world.cars.iter().filter(|car| car.passed).count() as u32;
        // Loops that lie have shown a car that was not there; and a car that is not seen has gone.
        let misled = run.checks.blind || run.checks.loop_faults && run.checks.seen_passed > passed;
        for nth in 0..run.world.cars.len() {
            let car = &run.world.cars[nth];
            let shut = car.waits() && car.authorised.is_some() && run.world.arm < 900 && run.lane.is_some();
            if !shut || car.called {
                run.checks.waits.remove(&nth);
                continue;
            }
            let since = *run.checks.waits.entry(nth).or_insert(now);
            if now > since + bound && !misled {
                return Self::fail(
                    run,
                    format!("car {nth} may pass, waits before a closed gate, and nobody is called"),
                );
            }
        }
    }

    pub fn at_the_end(run: &mut Run) {
        if run.lane.is_none() {
            return Self::fail(run, "the lane is not running at the end");
        }
        if run.sold.values().any(|sold| sold.answer.is_none()) {
            return Self::fail(run, "a delivery has no answer at the end");
        }
        if run.checks.tailgated != run.checks.seen_unauthorised {
            return Self::fail(run, "a car that nobody authorised has passed, and is not said to have tailgated");
        }
        if let Some(request) = run.checks.unanswered.first().cloned() {
            return Self::fail(run, format!("a person has not heard of {request:?}"));
        }
        let Some(lane) = &run.lane else { return };
        if run.settings.places.is_some() && run.checks.sign != Some(lane.full()) {
            return Self::fail(run, "the sign does not say what the lane counts");
        }
        let counted = run.ledger.iter().rev().find_map(|record| match record {
            Record::CarsInside { inside } => Some(*inside),
            _ => None,
        });
        if lane.inside() != counted.unwrap_or(0) {
            return Self::fail(run, "the lane does not count what is on record");
        }
        let counts = run.settings.places.is_some() && run.settings.way == Way::In && run.requests == 0;
        if counts && lane.inside() != run.checks.seen_passed {
            return Self::fail(run, "the lane does not count the cars that came in");
        }
        let lasts = |alarm: &&Alarm| match alarm {
            Alarm::Input { fault: Fault::Stuck, .. } => (0..3).all(|nth| !run.world.on_loop(nth)),
            Alarm::Input { .. } | Alarm::Fire => true,
            Alarm::KeptOpenIsClosed => !run.kept_open,
            _ => false,
        };
        if let Some(alarm) = lane.alarms().iter().find(lasts).copied() {
            return Self::fail(run, format!("{alarm:?} is an alarm at the end"));
        }
        let (position, by_others) = (lane.position(), lane.alarms().contains(&Alarm::OpenedByOthers));
        // An arm that stuck where no switch told of it, or whose switch lied, is where nobody knows it to be.
        let unknowable = position == Position::Closed || by_others || !run.settings.closed;
        let fooled = run.checks.other_faults && unknowable;
        let left = lane.passages().len();
        if left > 0 {
            return Self::fail(run, format!("{left} passages are open at the end"));
        }
        let occupied = run.world.on_loop(1) || run.world.on_loop(2);
        if run.world.arm > 0 && !fooled && !occupied && !run.kept_open {
            return Self::fail(run, format!("the arm is not closed at the end, and the lane says {position:?}"));
        }
        let plain = !run.checks.loop_faults && run.crashes == 0 && run.settings.closing && run.settings.safety;
        let episode = &run.checks.episode;
        if plain && run.settings.presence && !episode.ambiguous {
            let (seen, real) = (run.checks.seen_passed, episode.done);
            let (owing, really) = (run.checks.seen_unauthorised, episode.done_unauthorised);
            // What a person has raised for nobody is another's.
            let straight = run.requests == 0
                && !run.world.cars.iter().any(|car| matches!(car.plan, Plan::BackOut | Plan::NoseBack));
            if seen != real {
                return Self::fail(run, format!("{real} cars, or rows of them, have passed, and {seen} were seen"));
            }
            if straight && !episode.rows && owing < really {
                Self::fail(run, format!("{really} have tailgated, and {owing} were seen"));
            }
        }
    }

    fn follow(&mut self, [on, behind]: [bool; 2], now: u64, cars: &[super::world::Car], held: bool) {
        let episode = &mut self.episode;
        // A fire holds the gate for a while after it is over.
        if held {
            episode.held_until = now + 5_000;
        }
        let held = now < episode.held_until;
        // In a tight row the next loop does not tell one from the other.
        episode.reached |= behind && !episode.behind;
        episode.behind = behind;
        if on != episode.on {
            episode.ambiguous |= !on && behind && !std::mem::take(&mut episode.reached);
            episode.reached &= !on;
            episode.on = on;
            if on {
                episode.let_in = held;
                let clear = now - episode.clear_since;
                episode.ambiguous |= (400..=700).contains(&clear) && episode.clear_since > 0;
                if clear > 500 {
                    episode.close();
                }
            } else {
                episode.clear_since = now;
            }
        }
        for (nth, car) in cars.iter().enumerate() {
            if car.passed && !episode.known.contains(&nth) {
                episode.known.push(nth);
                episode.cars += 1;
                episode.unauthorised += u32::from(car.authorised.is_none() && !held && !episode.let_in);
            }
        }
        if !episode.on && now > episode.clear_since + 1_000 {
            episode.close();
        }
    }
}

impl Episode {
    fn close(&mut self) {
        self.rows |= self.cars > 1;
        self.done += u32::from(self.cars > 0);
        self.done_unauthorised += u32::from(self.cars > 0 && self.unauthorised == self.cars);
        (self.cars, self.unauthorised) = (0, 0);
    }
}
