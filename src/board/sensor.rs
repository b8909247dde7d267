//! The drop sensor: a light barrier under the slots, and a counter of broken beams: a chip that keeps its count while
//! the kiosk is dead, or the kiosk itself ([`super::counter`]).
//!
//! Two tests, because each has a cost. The *counting* test (emitter off and on, and the counter must have counted it)
//! proves the whole way from light to number; it moves the counter, so it comes before the reading that a delivery is
//! measured from. The *quiet* test after a delivery stops the counter meanwhile: a crash between the test and the
//! record of what it proved must not leave a count that looks like a product.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::I2c;

use super::counter::{Counter, CounterError, WRAP};
use crate::vocabulary::{Evidence, Reading};

/// More than one pulse can let fall: the counter has been disturbed.
const MAX_FELL: u32 = 100;

/// A phototransistor follows its emitter within that time, debouncing by a slow kernel's ticks included.
const BEAM_SETTLES: Duration = Duration::from_millis(150);

const READ_ATTEMPTS: u32 = 3;

/// An emitter and the receiver opposite. The input is active while the beam is broken. One whose emitter is always lit
/// can't prove anything.
pub struct LightBarrier<E, B> {
    emitter: Option<E>,
    beam: B,
}

#[derive(Debug, thiserror::Error)]
pub enum BarrierFault<E: Debug, B: Debug> {
    #[error("the emitter can't be driven: {0:?}")]
    Emitter(E),
    #[error("the beam can't be read: {0:?}")]
    Beam(B),
    #[error("its emitter is always lit: it can't be tested")]
    NoEmitter,
    #[error("the beam reads whole with its emitter off")]
    NeverBroken,
    #[error("the beam reads broken with its emitter on")]
    NeverWhole,
}

type Fault<E, B> = BarrierFault<<E as ErrorType>::Error, <B as ErrorType>::Error>;

impl<E: OutputPin, B: InputPin> LightBarrier<E, B> {
    pub fn new(emitter: Option<E>, beam: B) -> Self {
        Self { emitter, beam }
    }

    pub fn light(&mut self) -> Result<(), E::Error> {
        self.emitter.as_mut().map_or(Ok(()), E::set_high)
    }

    /// Proves that it sees a broken and a whole beam. Breaks the beam once. The emitter is on again however it ends.
    pub fn self_test(&mut self) -> Result<(), Fault<E, B>> {
        let emitter = self.emitter.as_mut().ok_or(BarrierFault::NoEmitter)?;
        let broken = match emitter.set_low() {
            Ok(()) => self.reads(true),
            Err(error) => Err(BarrierFault::Emitter(error)),
        };
        self.light().map_err(BarrierFault::Emitter)?;
        if !broken? {
            return Err(BarrierFault::NeverBroken);
        }
        if self.reads(false)? { Ok(()) } else { Err(BarrierFault::NeverWhole) }
    }

    /// Does the beam come to read so?
    fn reads(&mut self, broken: bool) -> Result<bool, Fault<E, B>> {
        let began = Instant::now();
        loop {
            if self.beam.is_high().map_err(BarrierFault::Beam)? == broken {
                return Ok(true);
            }
            if began.elapsed() > BEAM_SETTLES {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

pub struct DropSensor<E, B, I> {
    barrier: LightBarrier<E, B>,
    counter: Counter<I>,
    /// The counter began anew in this run: what it says of deliveries before this run means nothing.
    forgot: bool,
}

impl<E: OutputPin, B: InputPin, I: I2c> DropSensor<E, B, I> {
    pub fn new(barrier: LightBarrier<E, B>, counter: Counter<I>) -> Self {
        let forgot = matches!(counter, Counter::Own(_));
        Self { barrier, counter, forgot }
    }

    /// The emitter on, as it must be all the time. A beam that comes back counts nothing.
    pub fn light(&mut self) {
        if let Err(error) = self.barrier.light() {
            tracing::warn!(?error, "the drop sensor's emitter can't be driven");
        }
    }

    /// Counting test, then the reading that a delivery is measured from.
    pub fn prepare(&mut self) -> Reading {
        match self.counting_test() {
            Ok((counter, self_tested)) => Reading { counter: Some(counter), self_tested },
            Err(error) => {
                tracing::warn!(%error, "the drop counter can't be read");
                Reading { counter: None, self_tested: false }
            }
        }
    }

    fn counting_test(&mut self) -> Result<(u32, bool), CounterError<I::Error>> {
        match self.counter.read() {
            // Left held by a crash in a quiet test, perhaps.
            Ok(_) => self.counter.hold(false).map_err(CounterError::Bus)?,
            Err(CounterError::Bus(error)) => return Err(CounterError::Bus(error)),
            Err(lost) => {
                tracing::warn!(error = %lost, "the drop counter starts from 0");
                self.forgot = true;
                self.counter.restart().map_err(CounterError::Bus)?;
            }
        }
        self.light();
        let before = self.counter.read()?;
        let seen =
            self.barrier.self_test().inspect_err(|fault| tracing::warn!(%fault, "the drop sensor fails its self-test"));
        let after = self.counter.read()?;
        Ok((after, seen.is_ok() && fell(before, after) == 1))
    }

    /// Has the counter moved? An unreadable counter has not.
    pub fn moved(&mut self, before: u32) -> bool {
        self.counter.glance().is_ok_and(|now| now != before)
    }

    /// What fell since `before`. `trusted`: the counting test before this delivery had passed.
    pub fn evidence(&mut self, before: Option<u32>, trusted: bool) -> Evidence {
        let silent = |why: String| Evidence::Silent { why };
        let Some(before) = before else {
            return silent("the drop counter could not be read before the delivery".into());
        };
        match self.read_patiently() {
            Err(error) => silent(error.to_string()),
            Ok(now) => match fell(before, now) {
                0 => Evidence::Nothing { self_tested: trusted && self.quiet_test(before) },
                count @ 1..=MAX_FELL => Evidence::Dropped { count },
                _ => silent(format!("the drop counter went from {before} to {now}")),
            },
        }
    }

    /// [`evidence`](Self::evidence) of a delivery that an earlier run of the kiosk had begun.
    pub fn recall(&mut self, before: Option<u32>) -> Evidence {
        if self.forgot {
            return Evidence::Silent { why: CounterError::<I::Error>::Lost.to_string() };
        }
        self.evidence(before, true)
    }

    fn read_patiently(&mut self) -> Result<u32, CounterError<I::Error>> {
        let mut attempt = 1;
        loop {
            match self.counter.read() {
                Err(CounterError::Bus(_)) if attempt < READ_ATTEMPTS => attempt += 1,
                result => return result,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Proves that the barrier sees and the counter has missed nothing, without a trace in the count.
    fn quiet_test(&mut self, expected: u32) -> bool {
        if let Err(error) = self.counter.hold(true) {
            tracing::warn!(?error, "the drop counter can't be held");
            return false;
        }
        let seen =
            self.barrier.self_test().inspect_err(|fault| tracing::warn!(%fault, "the drop sensor fails its self-test"));
        let counts_again = self
            .counter
            .hold(false)
            .inspect_err(|error| tracing::warn!(?error, "the drop counter does not count again after a self-test"));
        seen.is_ok() && counts_again.is_ok() && self.counter.read().is_ok_and(|now| now == expected)
    }
}

/// From one count to a later one.
fn fell(before: u32, after: u32) -> u32 {
    (after + WRAP - before % WRAP) % WRAP
}
