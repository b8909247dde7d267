//! The counter of broken light beams: a chip with its own supply, or the kiosk itself, which counts the kernel's edges
//! while it runs.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use embedded_hal::i2c::I2c;

/// A counter goes from 999,999 to 0.
pub(super) const WRAP: u32 = 1_000_000;

/// From an edge to its being counted, beside the debouncing: a slow kernel's ticks, and a thread that must wake up.
const TOLD: Duration = Duration::from_millis(30);

pub enum Counter<I> {
    Chip(EventCounter<I>),
    Own(OwnCounter),
}

impl<I: I2c> Counter<I> {
    /// 0 to 999,999; everything that happened before is in it.
    pub fn read(&mut self) -> Result<u32, CounterError<I::Error>> {
        match self {
            Self::Chip(chip) => chip.read(),
            Self::Own(own) => Ok(own.read()),
        }
    }

    /// Without waiting for what is on its way.
    pub(super) fn glance(&mut self) -> Result<u32, CounterError<I::Error>> {
        match self {
            Self::Chip(chip) => chip.read(),
            Self::Own(own) => Ok(own.count()),
        }
    }

    /// Counts from 0; what it knew is gone.
    pub(super) fn restart(&mut self) -> Result<(), I::Error> {
        match self {
            Self::Chip(chip) => chip.restart(),
            Self::Own(_) => Ok(()),
        }
    }

    /// While held it keeps its count and counts nothing.
    pub(super) fn hold(&mut self, held: bool) -> Result<(), I::Error> {
        match self {
            Self::Chip(chip) => chip.hold(held),
            Self::Own(own) => {
                own.hold(held);
                Ok(())
            }
        }
    }
}

/// Counts what it is told; starts from 0 with the daemon, and what fell before it never knows.
#[derive(Clone)]
pub struct OwnCounter {
    shared: Arc<Shared>,
    settle: Duration,
}

struct Shared {
    count: AtomicU32,
    held: AtomicBool,
}

impl OwnCounter {
    /// `debounce`: by so much later than the beam an edge is told.
    pub fn new(debounce: Duration) -> Self {
        let shared = Shared { count: AtomicU32::new(0), held: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), settle: debounce + TOLD }
    }

    /// The beam was broken.
    pub fn broken(&self) {
        if !self.shared.held.load(Ordering::Acquire) {
            let next = |count: u32| Some((count + 1) % WRAP);
            // It can't fail: every count has a next one.
            let _ = self.shared.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        }
    }

    fn count(&self) -> u32 {
        self.shared.count.load(Ordering::Acquire)
    }

    fn read(&self) -> u32 {
        std::thread::sleep(self.settle);
        self.count()
    }

    fn hold(&self, held: bool) {
        let was = self.shared.held.load(Ordering::Acquire);
        if was != held {
            // What happened before is counted as before.
            std::thread::sleep(self.settle);
        }
        self.shared.held.store(held, Ordering::Release);
    }
}

/// An event counter of the PCF8583 kind: register 0 controls, registers 1 to 3 hold six BCD digits, lowest first. The
/// chip has a battery or the board's standby supply.
pub struct EventCounter<I> {
    bus: I,
    address: u8,
}

#[derive(Debug, thiserror::Error)]
pub enum CounterError<E: Debug> {
    #[error("the drop counter does not answer: {0:?}")]
    Bus(E),
    /// Not in the mode it was left in: it was without power and its count means nothing.
    #[error("the drop counter has lost its count")]
    Lost,
    #[error("the drop counter reads {0:02x?}, which is no number")]
    NotBcd([u8; 3]),
}

const CONTROL: u8 = 0;
const COUNT_EVENTS: u8 = 0x20;
const HELD: u8 = 0x80;

impl<I: I2c> EventCounter<I> {
    /// `address` is 7-bit.
    pub fn new(bus: I, address: u8) -> Self {
        Self { bus, address }
    }

    /// 0 to 999,999. Control and count come in one transfer, so the count is of the mode that is checked.
    pub fn read(&mut self) -> Result<u32, CounterError<I::Error>> {
        let mut registers = [0; 4];
        self.bus.write_read(self.address, &[CONTROL], &mut registers).map_err(CounterError::Bus)?;
        let [control, digits @ ..] = registers;
        if control & !HELD != COUNT_EVENTS {
            return Err(CounterError::Lost);
        }
        let decimal =
            |bcd: u8| (bcd >> 4 < 10 && bcd & 0xf < 10).then_some(u32::from(bcd >> 4) * 10 + u32::from(bcd & 0xf));
        digits.iter().rev().try_fold(0, |sum, &bcd| Some(sum * 100 + decimal(bcd)?)).ok_or(CounterError::NotBcd(digits))
    }

    /// Counts from 0; what it knew is gone.
    fn restart(&mut self) -> Result<(), I::Error> {
        self.bus.write(self.address, &[CONTROL, COUNT_EVENTS, 0, 0, 0])
    }

    /// While held it keeps its count and counts nothing.
    fn hold(&mut self, held: bool) -> Result<(), I::Error> {
        self.bus.write(self.address, &[CONTROL, if held { COUNT_EVENTS | HELD } else { COUNT_EVENTS }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_counter_counts_nothing_while_it_is_held() {
        let own = OwnCounter::new(Duration::ZERO);
        own.broken();
        own.hold(true);
        own.broken();
        own.hold(false);
        own.broken();
        assert_eq!(own.read(), 2);
        own.shared.count.store(WRAP - 1, Ordering::Release);
        own.broken();
        assert_eq!(own.read(), 0);
    }
}
