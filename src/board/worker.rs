//! The board's thread: it executes commands in order, and checks in between that the board still answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use embedded_hal::digital::InputPin;

use super::inputs::Input;
use super::{
    Backend, BoardError, BoardEvent, Command, Counter, DropSensor, EventCounter, Inputs, Interlock, Job, LightBarrier,
    OwnCounter, PulseError, Question, Relay, Report, Shared,
};
use crate::config;
use crate::service::End;
use crate::vocabulary::{DeliveryId, Evidence, Reading, SlotId};

/// Between two looks at the counter, or at the home switch, while a relay is on.
const WATCH: Duration = Duration::from_millis(10);

/// A board that does not answer is asked at least that often: a relay may be on that should not.
const RETRY: Duration = Duration::from_millis(500);

/// Deliveries remembered as energised in this run; the order's intent on disk is the real guard.
const REMEMBERED: usize = 1_000;

type Sensor<B> = DropSensor<<B as Backend>::Output, <B as Backend>::Input, <B as Backend>::Bus>;

/// What turns one slot.
struct Motor<B: Backend> {
    relay: Relay<B::Output>,
    /// Active while it is home.
    home: Option<B::Input>,
}

pub(super) struct Worker<B: Backend> {
    motors: BTreeMap<SlotId, Motor<B>>,
    sensor: Option<Sensor<B>>,
    /// With their places in [`Inputs::watched`].
    input_pins: Vec<(usize, B::Input)>,
    inputs: Arc<Inputs>,
    fall_time: Duration,
    heartbeat: Duration,
    report: Report,
    shared: Arc<Shared>,
    answers: Option<bool>,
    energised: BTreeSet<DeliveryId>,
    /// The last delivery prepared for, and whether the sensor proved itself.
    prepared: Option<(DeliveryId, bool)>,
}

impl<B: Backend> Worker<B> {
    pub fn claim(
        backend: &B,
        config: &config::Board,
        slots: &[config::Slot],
        inputs: &Arc<Inputs>,
        count: Option<OwnCounter>,
        report: &Report,
        shared: &Arc<Shared>,
    ) -> Result<Self, BoardError> {
        let interlock = Interlock::new(config.max_on);
        // All relays before anything else: they are inactive from then on.
        let relay = |slot: &config::Slot| {
            let relay = Relay::new(backend.output(&slot.line)?, slot.pulse.0, &interlock);
            Ok((slot.name.clone(), Motor { relay, home: None }))
        };
        let mut motors: BTreeMap<SlotId, Motor<B>> = slots.iter().map(relay).collect::<Result<_, BoardError>>()?;
        for slot in slots {
            if let (Some(line), Some(motor)) = (&slot.home, motors.get_mut(&slot.name)) {
                motor.home = Some(backend.input(line)?);
            }
        }
        let mut input_pins = Vec::new();
        let mut beam = None;
        for (nth, (line, input)) in inputs.watched.iter().enumerate() {
            let told = Arc::clone(inputs);
            let tell = Box::new(move |active| told.nth_changed(nth, active));
            let pin = backend.watch(line, input.purpose(), tell)?;
            match input {
                Input::Beam(_) => beam = Some(pin),
                _ => input_pins.push((nth, pin)),
            }
        }
        let sensor = match &config.drop_sensor {
            Some(sensor) => {
                let emitter = sensor.emitter.as_ref().map(|line| backend.output(line)).transpose()?;
                let counter = match (sensor.counter, count) {
                    (Some(address), _) => Counter::Chip(EventCounter::new(backend.bus()?, address)),
                    (None, count) => Counter::Own(count.unwrap_or_else(|| OwnCounter::new(Duration::ZERO))),
                };
                let beam = beam.map_or_else(|| backend.input(&sensor.beam), Ok)?;
                Some(DropSensor::new(LightBarrier::new(emitter, beam), counter))
            }
            None => None,
        };
        Ok(Self {
            motors,
            sensor,
            input_pins,
            inputs: Arc::clone(inputs),
            fall_time: config.drop_sensor.as_ref().map_or(Duration::ZERO, |sensor| sensor.fall_time.0),
            heartbeat: config.heartbeat.0,
            report: Arc::clone(report),
            shared: Arc::clone(shared),
            answers: None,
            energised: BTreeSet::new(),
            prepared: None,
        })
    }

    pub fn run(mut self, todo: &mpsc::Receiver<Job>) -> End {
        hurry();
        self.rest();
        if let Some(sensor) = &mut self.sensor {
            sensor.light();
        }
        self.look();
        let mut looked = Instant::now();
        loop {
            self.shared.heartbeat.beat();
            let pause = if self.answers == Some(true) { self.heartbeat } else { self.heartbeat.min(RETRY) };
            // A nudge does not put off the next look.
            match todo.recv_timeout(pause.saturating_sub(looked.elapsed())) {
                Ok(Job::Do(command, question)) => {
                    self.execute(command, &question);
                    looked = Instant::now();
                }
                Ok(Job::Nudge) => {}
                Ok(Job::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.look();
                    looked = Instant::now();
                }
            }
        }
        self.rest();
        End::Told
    }

    fn execute(&mut self, command: Command, question: &Question) {
        match command {
            Command::Prepare { delivery } => {
                if !question.begin() {
                    return;
                }
                let none = Reading { counter: None, self_tested: false };
                let reading = self.sensor.as_mut().map_or(none, Sensor::<B>::prepare);
                self.prepared = Some((delivery, reading.self_tested));
                self.answer(question, BoardEvent::Prepared { delivery, reading });
            }
            Command::Deliver { delivery, slot, before } => self.deliver(question, delivery, &slot, before),
            Command::Recall { delivery, before } => self.tell(question, delivery, |sensor| sensor.recall(before)),
        }
    }

    fn answer(&self, question: &Question, event: BoardEvent) {
        if question.answer() {
            (self.report)(event);
        } else {
            tracing::warn!(?event, "the board answered after its deadline; the answer is dropped");
        }
    }

    fn deliver(&mut self, question: &Question, delivery: DeliveryId, slot: &SlotId, before: Option<u32>) {
        if self.energised.contains(&delivery) {
            tracing::error!(?delivery, "the same delivery was to be energised again; it was not");
            return self.tell(question, delivery, |sensor| sensor.evidence(before, false));
        }
        let Some(motor) = self.motors.get_mut(slot) else {
            let why = format!("there is no slot {slot}");
            return self.answer(question, BoardEvent::NotEnergised { delivery, why });
        };
        self.energised.insert(delivery);
        if self.energised.len() > REMEMBERED {
            self.energised.pop_first();
        }
        let watched = self.sensor.as_mut().zip(before);
        let turned = match &mut motor.home {
            Some(home) => pulse_home::<B>(&mut motor.relay, home, question, &self.shared),
            None => pulse_watched::<B>(&mut motor.relay, watched, question, &self.shared),
        };
        match turned {
            PulseOutcome::Done => {}
            PulseOutcome::TooLate => {
                return tracing::warn!(?delivery, "a delivery's time had passed before it began; it was not energised");
            }
            PulseOutcome::Unwatched(error) => {
                let why = format!("the drop sensor can't be watched: {error}");
                return self.answer(question, BoardEvent::NotEnergised { delivery, why });
            }
            PulseOutcome::NotHome => {
                tracing::error!(%slot, "a motor has not reached its home position; look at the slot");
                (self.report)(BoardEvent::NotHome { slot: slot.clone() });
            }
            PulseOutcome::Failed(error) => {
                tracing::error!(%slot, %error, "a relay could not be switched");
                self.answers(false);
                let untouched = match &error {
                    PulseError::On(cause) => B::untouched(cause),
                    PulseError::Interlocked => true,
                    PulseError::Off(_) => false,
                };
                if untouched {
                    let why = error.to_string();
                    return self.answer(question, BoardEvent::NotEnergised { delivery, why });
                }
            }
        }
        let trusted = self.prepared == Some((delivery, true));
        self.tell(question, delivery, |sensor| sensor.evidence(before, trusted));
    }

    /// Waits for what is still falling, then reports what the sensor says. A stopping board says nothing: the next run
    /// asks the counter again.
    fn tell(&mut self, question: &Question, delivery: DeliveryId, ask: impl FnOnce(&mut Sensor<B>) -> Evidence) {
        let evidence = match &mut self.sensor {
            None => Evidence::Silent { why: "there is no drop sensor".into() },
            Some(sensor) => {
                let fallen = Instant::now() + self.fall_time;
                while let Some(left) = fallen.checked_duration_since(Instant::now()) {
                    if self.shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    self.shared.heartbeat.beat();
                    std::thread::sleep(left.min(WATCH));
                }
                ask(sensor)
            }
        };
        self.answer(question, BoardEvent::Evidence { delivery, evidence });
    }

    /// Every relay inactive; says whether all of them took it. The first that does not is reported before the next is
    /// tried, because each may take its time.
    fn rest(&mut self) -> bool {
        let mut all = true;
        for (slot, motor) in &mut self.motors {
            self.shared.heartbeat.beat();
            if let Err(error) = motor.relay.rest() {
                all = false;
                if self.answers.replace(false) != Some(false) {
                    tracing::error!(%slot, ?error, "a relay does not answer");
                    (self.report)(BoardEvent::Answers { answers: false });
                }
            }
        }
        all
    }

    /// Whether it answers; and every relay inactive, once more.
    fn look(&mut self) {
        let relays = self.rest();
        let mut inputs = true;
        for (nth, pin) in &mut self.input_pins {
            self.shared.heartbeat.beat();
            inputs &= self.inputs.poll(*nth, || pin.is_high()).is_ok();
        }
        for home in self.motors.values_mut().filter_map(|motor| motor.home.as_mut()) {
            inputs &= home.is_high().is_ok();
        }
        self.answers(relays && inputs);
    }

    fn answers(&mut self, answers: bool) {
        let back = answers && self.shared.passed_over.swap(false, Ordering::AcqRel);
        if self.answers.replace(answers) != Some(answers) || back {
            (self.report)(BoardEvent::Answers { answers });
        }
    }
}

/// What has become of a pulse.
enum PulseOutcome<E: std::fmt::Debug> {
    Done,
    /// It was energised, and its home switch has not seen it come back.
    NotHome,
    Failed(PulseError<E>),
    /// There is nobody to watch the counter; nothing was energised.
    Unwatched(std::io::Error),
    /// It may not be energised any more, and was not.
    TooLate,
}

/// One turn: ends when the motor has left home and is home again; a switch that can't be read has not seen it. A
/// stopping board says nothing of a motor that it has stopped halfway.
fn pulse_home<B: Backend>(
    relay: &mut Relay<B::Output>,
    home: &mut B::Input,
    question: &Question,
    shared: &Shared,
) -> PulseOutcome<PinError<B>> {
    if !question.begin() {
        return PulseOutcome::TooLate;
    }
    let (mut left, mut back) = (false, false);
    let result = relay.pulse(|slice| {
        shared.heartbeat.beat();
        std::thread::sleep(slice.min(WATCH / 2));
        match home.is_high() {
            Ok(false) => left = true,
            Ok(true) => back = left,
            Err(_) => {}
        }
        back || shared.stop.load(Ordering::Relaxed)
    });
    match result {
        Err(error) => PulseOutcome::Failed(error),
        Ok(()) if back || shared.stop.load(Ordering::Relaxed) => PulseOutcome::Done,
        Ok(()) => PulseOutcome::NotHome,
    }
}

/// Ends the watch over a pulse, also when the pulse ends in a panic: the scope waits for its watcher then.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One pulse that ends when the counter moves. The counter is watched by a thread of its own, because a sensor that
/// hangs must not hold the relay.
fn pulse_watched<B: Backend>(
    relay: &mut Relay<B::Output>,
    watched: Option<(&mut Sensor<B>, u32)>,
    question: &Question,
    shared: &Shared,
) -> PulseOutcome<PinError<B>> {
    let over = AtomicBool::new(false);
    let (moved, seen) = mpsc::channel();
    std::thread::scope(|scope| {
        let _over = Over(&over);
        if let Some((sensor, before)) = watched {
            let (moved, over) = (moved.clone(), &over);
            let watch = move || {
                while !over.load(Ordering::Relaxed) {
                    if sensor.moved(before) {
                        // The pulse may have ended by itself meanwhile.
                        let _ = moved.send(());
                        return;
                    }
                    std::thread::sleep(WATCH);
                }
            };
            if let Err(error) = std::thread::Builder::new().name("board-watch".into()).spawn_scoped(scope, watch) {
                return PulseOutcome::Unwatched(error);
            }
        }
        if !question.begin() {
            return PulseOutcome::TooLate;
        }
        let result = relay.pulse(|slice| {
            shared.heartbeat.beat();
            shared.stop.load(Ordering::Relaxed) || seen.recv_timeout(slice).is_ok()
        });
        // Without a watcher this keeps the channel open, so that the wait above is a wait.
        drop(moved);
        result.map_or_else(PulseOutcome::Failed, |()| PulseOutcome::Done)
    })
}

/// Before whatever else runs: a pulse must end in time on a busy machine too. Without the right to it (CAP_SYS_NICE or
/// LimitRTPRIO=) it is a thread like any other, which is enough on a machine that is not overloaded.
pub(super) fn hurry() {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let lowest = ThreadPriority::from_posix(thread_priority::ScheduleParams { sched_priority: 1 });
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), lowest, policy) {
        tracing::debug!(?error, "the board's thread has no priority over others");
    }
}

type PinError<B> = <<B as Backend>::Output as embedded_hal::digital::ErrorType>::Error;
