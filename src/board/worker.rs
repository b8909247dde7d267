//! The board's thread: commands in order, and between them the question whether the board still answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use embedded_hal::digital::InputPin;

use super::{
    Backend, BoardError, BoardEvent, Command, DropSensor, EventCounter, Inputs, Job, LightBarrier, PulseError, Relay,
    Report,
};
use crate::config;
use crate::vocabulary::{DeliveryId, Evidence, SlotId};

/// Between two looks at the counter while a relay is on.
const WATCH: Duration = Duration::from_millis(10);

/// A board that does not answer is asked at least that often: a relay may be on that should not.
const RETRY: Duration = Duration::from_millis(500);

/// Deliveries remembered as energised in this run; the order's intent on disk is the real guard.
const REMEMBERED: usize = 1_000;

type Sensor<B> = DropSensor<<B as Backend>::Output, <B as Backend>::Input, <B as Backend>::Bus>;

pub(super) struct Worker<B: Backend> {
    relays: BTreeMap<SlotId, Relay<B::Output>>,
    sensor: Option<Sensor<B>>,
    /// In the order of [`Inputs::watched`].
    input_pins: Vec<B::Input>,
    inputs: Arc<Inputs>,
    fall_time: Duration,
    heartbeat: Duration,
    report: Report,
    stop: Arc<AtomicBool>,
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
        report: &Report,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, BoardError> {
        let relays = slots
            .iter()
            .map(|slot| Ok((slot.name.clone(), Relay::new(backend.output(&slot.line)?, slot.pulse.0))))
            .collect::<Result<_, BoardError>>()?;
        let sensor = match &config.drop_sensor {
            Some(sensor) => {
                let barrier = LightBarrier::new(backend.output(&sensor.emitter)?, backend.input(&sensor.beam)?);
                Some(DropSensor::new(barrier, EventCounter::new(backend.bus()?, sensor.counter)))
            }
            None => None,
        };
        let input_pins = inputs.watched.iter().map(|(line, _)| backend.input(line)).collect::<Result<_, _>>()?;
        Ok(Self {
            relays,
            sensor,
            input_pins,
            inputs: Arc::clone(inputs),
            fall_time: config.drop_sensor.as_ref().map_or(Duration::ZERO, |sensor| sensor.fall_time.0),
            heartbeat: config.heartbeat.0,
            report: Arc::clone(report),
            stop: Arc::clone(stop),
            answers: None,
            energised: BTreeSet::new(),
            prepared: None,
        })
    }

    pub fn run(mut self, todo: &mpsc::Receiver<Job>) {
        self.rest();
        if let Some(sensor) = &mut self.sensor {
            sensor.light();
        }
        self.beat();
        loop {
            let pause = if self.answers == Some(true) { self.heartbeat } else { self.heartbeat.min(RETRY) };
            match todo.recv_timeout(pause) {
                Ok(Job::Do(command)) => self.execute(command),
                Ok(Job::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => self.beat(),
            }
        }
        self.rest();
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Prepare { delivery } => {
                let none = crate::vocabulary::Reading { counter: None, self_tested: false };
                let reading = self.sensor.as_mut().map_or(none, Sensor::<B>::prepare);
                self.prepared = Some((delivery, reading.self_tested));
                (self.report)(BoardEvent::Prepared { delivery, reading });
            }
            Command::Deliver { delivery, slot, before } => self.deliver(delivery, &slot, before),
            Command::Recall { delivery, before } => self.tell(delivery, |sensor| sensor.recall(before)),
        }
    }

    fn deliver(&mut self, delivery: DeliveryId, slot: &SlotId, before: Option<u32>) {
        if self.energised.contains(&delivery) {
            tracing::error!(?delivery, "asked to energise the same delivery again; not done");
            return self.tell(delivery, |sensor| sensor.evidence(before, false));
        }
        let Some(relay) = self.relays.get_mut(slot) else {
            let why = format!("there is no slot {slot}");
            return (self.report)(BoardEvent::NotEnergised { delivery, why });
        };
        self.energised.insert(delivery);
        if self.energised.len() > REMEMBERED {
            self.energised.pop_first();
        }
        let watched = self.sensor.as_mut().zip(before);
        match pulse_watched::<B>(relay, watched, &self.stop) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%slot, %error, "relay");
                self.answers(false);
                if let PulseError::On(cause) = &error
                    && B::untouched(cause)
                {
                    return (self.report)(BoardEvent::NotEnergised { delivery, why: error.to_string() });
                }
            }
            Err(error) => {
                let why = format!("the drop sensor can't be watched: {error}");
                return (self.report)(BoardEvent::NotEnergised { delivery, why });
            }
        }
        let trusted = self.prepared == Some((delivery, true));
        self.tell(delivery, |sensor| sensor.evidence(before, trusted));
    }

    /// Waits for what is still falling, then reports what the sensor says. A stopping board says nothing: the next run
    /// asks the counter again.
    fn tell(&mut self, delivery: DeliveryId, ask: impl FnOnce(&mut Sensor<B>) -> Evidence) {
        let evidence = match &mut self.sensor {
            None => Evidence::Silent { why: "there is no drop sensor".into() },
            Some(sensor) => {
                let fallen = Instant::now() + self.fall_time;
                while let Some(left) = fallen.checked_duration_since(Instant::now()) {
                    if self.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(left.min(WATCH));
                }
                ask(sensor)
            }
        };
        (self.report)(BoardEvent::Evidence { delivery, evidence });
    }

    /// Every relay inactive; says whether all of them took it. The first that does not is reported before the next is
    /// tried, because each may take its time.
    fn rest(&mut self) -> bool {
        let mut all = true;
        for (slot, relay) in &mut self.relays {
            if let Err(error) = relay.rest() {
                all = false;
                if self.answers.replace(false) != Some(false) {
                    tracing::error!(%slot, ?error, "a relay does not answer");
                    (self.report)(BoardEvent::Answers { answers: false });
                }
            }
        }
        all
    }

    fn beat(&mut self) {
        let relays = self.rest();
        let mut inputs = true;
        for (nth, pin) in self.input_pins.iter_mut().enumerate() {
            inputs &= self.inputs.poll(nth, || pin.is_high()).is_ok();
        }
        self.answers(relays && inputs);
    }

    fn answers(&mut self, answers: bool) {
        if self.answers.replace(answers) != Some(answers) {
            (self.report)(BoardEvent::Answers { answers });
        }
    }
}

/// One pulse that ends when the counter moves. The counter is watched by a thread of its own, because a sensor that
/// hangs must not hold the relay. `Err`: there is no such thread, and nothing was energised.
fn pulse_watched<B: Backend>(
    relay: &mut Relay<B::Output>,
    watched: Option<(&mut Sensor<B>, u32)>,
    stop: &AtomicBool,
) -> std::io::Result<Result<(), PulseError<PinError<B>>>> {
    let over = AtomicBool::new(false);
    let (moved, seen) = mpsc::channel();
    std::thread::scope(|scope| {
        if let Some((sensor, before)) = watched {
            let (moved, over) = (moved.clone(), &over);
            std::thread::Builder::new().name("board-watch".into()).spawn_scoped(scope, move || {
                while !over.load(Ordering::Relaxed) {
                    if sensor.moved(before) {
                        // The pulse may have ended by itself meanwhile.
                        let _ = moved.send(());
                        return;
                    }
                    std::thread::sleep(WATCH);
                }
            })?;
        }
        let result = relay.pulse(|slice| stop.load(Ordering::Relaxed) || seen.recv_timeout(slice).is_ok());
        over.store(true, Ordering::Relaxed);
        // Without a watcher this keeps the channel open, so that the wait above is a wait.
        drop(moved);
        Ok(result)
    })
}

type PinError<B> = <<B as Backend>::Output as embedded_hal::digital::ErrorType>::Error;
