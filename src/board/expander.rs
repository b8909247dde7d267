//! Port expanders on an I²C bus, driven over embedded-hal: MCP23017 and PCF8574.
//!
//! Policy: a latch is written before its pin becomes an output, so no pin ever shows a level nobody wanted; and every
//! write carries the whole of it, latches first, so a chip that lost its power meanwhile heals at the next one. The
//! published drivers (port-expander 0.6, mcp230xx 1.0) can't promise that order, and the chips have few registers.
//!
//! Registers: Microchip DS20001952C (MCP23017, table 3-1, IOCON.BANK = 0), NXP PCF8574 rev. 5 (section 7).

use std::fmt;

use embedded_hal::i2c::{self, ErrorKind, I2c, NoAcknowledgeSource};

use crate::config::ExpanderChip;

const IODIR: u8 = 0x00;
const GPPU: u8 = 0x0c;
const GPIO: u8 = 0x12;
const OLAT: u8 = 0x14;

/// What an expander's pins are for. One bit a pin; port B of an MCP23017 is the upper byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pins {
    pub outputs: u16,
    /// The outputs that are inactive while high.
    pub active_low: u16,
    pub pull_up: u16,
}

/// One chip. Nothing else may drive it.
pub struct Expander<I> {
    bus: I,
    chip: ExpanderChip,
    address: u8,
    pins: Pins,
    latch: u16,
}

/// What went wrong on the bus.
pub struct ExpanderError<E> {
    pub address: u8,
    pub cause: E,
    /// The chip did not answer to its address, so nothing in it has changed.
    pub untouched: bool,
}

impl<E: fmt::Debug> fmt::Debug for ExpanderError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the expander at {:#04x} does not answer: {:?}", self.address, self.cause)
    }
}

impl<I: I2c> Expander<I> {
    /// Moves nothing yet.
    pub fn new(bus: I, chip: ExpanderChip, address: u8, pins: Pins) -> Self {
        // A PCF8574's input is a latch that is high.
        let inputs = if chip == ExpanderChip::Pcf8574 { !pins.outputs } else { 0 };
        Self { bus, chip, address, pins, latch: inputs | pins.outputs & pins.active_low }
    }

    /// Every output inactive.
    pub fn rest(&mut self) -> Result<(), ExpanderError<I::Error>> {
        let inputs = if self.chip == ExpanderChip::Pcf8574 { !self.pins.outputs } else { 0 };
        self.latch = inputs | self.pins.outputs & self.pins.active_low;
        self.write()
    }

    /// One output, and every other one once more as it should be. Remembered even when it fails: the next write that
    /// gets through carries it.
    pub fn set(&mut self, pin: u8, high: bool) -> Result<(), ExpanderError<I::Error>> {
        let bit = 1 << pin;
        self.latch = if high { self.latch | bit } else { self.latch & !bit };
        self.write()
    }

    /// The levels of all pins.
    pub fn read(&mut self) -> Result<u16, ExpanderError<I::Error>> {
        let address = self.address;
        let fault = |cause| failed(address, false, cause);
        let mut levels = [0; 2];
        match self.chip {
            ExpanderChip::Pcf8574 => self.bus.read(address, &mut levels[..1]).map_err(fault)?,
            ExpanderChip::Mcp23017 => self.bus.write_read(address, &[GPIO], &mut levels).map_err(fault)?,
        }
        Ok(u16::from_le_bytes(levels))
    }

    /// Latches, pull-ups, directions, in that order.
    pub fn write(&mut self) -> Result<(), ExpanderError<I::Error>> {
        let (address, [low, high]) = (self.address, self.latch.to_le_bytes());
        if self.chip == ExpanderChip::Pcf8574 {
            return self.bus.write(address, &[low]).map_err(|cause| failed(address, true, cause));
        }
        self.bus.write(address, &[OLAT, low, high]).map_err(|cause| failed(address, true, cause))?;
        let pull_up = self.pins.pull_up.to_le_bytes();
        let inputs = (!self.pins.outputs).to_le_bytes();
        for (register, [low, high]) in [(GPPU, pull_up), (IODIR, inputs)] {
            self.bus.write(address, &[register, low, high]).map_err(|cause| failed(address, false, cause))?;
        }
        Ok(())
    }
}

/// `first`: nothing of this change had been written yet.
fn failed<E: i2c::Error>(address: u8, first: bool, cause: E) -> ExpanderError<E> {
    let refused = cause.kind() == ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    ExpanderError { address, untouched: first && refused, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::i2c::Operation;

    /// A chip as the datasheet has it, as far as it is used; and the trace of levels that its pins showed.
    struct Fake {
        registers: [u8; 0x16],
        /// Answers so many transfers, then none.
        answers: usize,
        shown: Vec<(u16, u16)>,
    }

    impl i2c::ErrorType for Fake {
        type Error = ErrorKind;
    }

    impl I2c for Fake {
        fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            if address != 0x21 || self.answers == 0 {
                return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
            }
            self.answers -= 1;
            let mut at = 0;
            for operation in operations {
                match operation {
                    Operation::Write([register, values @ ..]) => {
                        at = usize::from(*register);
                        for value in values {
                            self.registers[at] = *value;
                            at += 1;
                        }
                        let word = |at: usize| u16::from_le_bytes([self.registers[at], self.registers[at + 1]]);
                        let driven = !word(usize::from(IODIR));
                        self.shown.push((driven, word(usize::from(OLAT)) & driven));
                    }
                    Operation::Read(into) => into.copy_from_slice(&self.registers[at..at + into.len()]),
                    Operation::Write([]) => {}
                }
            }
            Ok(())
        }
    }

    fn fresh() -> Fake {
        let mut registers = [0; 0x16];
        registers[..2].fill(0xff);
        Fake { registers, answers: usize::MAX, shown: Vec::new() }
    }

    const PINS: Pins = Pins { outputs: 0x0103, active_low: 0x0002, pull_up: 0x8000 };

    /// No pin that is driven ever shows the level at which its relay is on.
    fn never_on(shown: &[(u16, u16)]) -> bool {
        shown.iter().all(|&(driven, level)| (level ^ PINS.active_low) & driven == 0)
    }

    #[test]
    fn latches_come_before_directions() {
        let mut chip = Expander::new(fresh(), ExpanderChip::Mcp23017, 0x21, PINS);
        chip.rest().unwrap();
        let registers = chip.bus.registers;
        assert_eq!(registers[usize::from(IODIR)..][..2], [0xfc, 0xfe]);
        assert_eq!(registers[usize::from(OLAT)..][..2], [0x02, 0x00]);
        assert_eq!(registers[usize::from(GPPU)..][..2], [0x00, 0x80]);
        assert!(never_on(&chip.bus.shown), "{:x?}", chip.bus.shown);
        chip.bus.shown.clear();
        chip.set(8, true).unwrap();
        assert_eq!(chip.bus.shown.last(), Some(&(0x0103, 0x0102)));
        assert!(!never_on(&chip.bus.shown), "or the check above can't fail");
    }

    /// The chip was without power: inputs, latches low. The next write of anything puts everything back, without a relay
    /// that blinks.
    #[test]
    fn a_chip_that_lost_its_power_heals() {
        let mut chip = Expander::new(fresh(), ExpanderChip::Mcp23017, 0x21, PINS);
        chip.rest().unwrap();
        let before = chip.bus.registers;
        chip.bus = fresh();
        chip.set(0, false).unwrap();
        assert_eq!(chip.bus.registers, before);
        assert!(never_on(&chip.bus.shown), "{:x?}", chip.bus.shown);
    }

    /// What failed to be switched off is off when the chip is back, whoever writes first.
    #[test]
    fn off_is_not_forgotten() {
        let mut chip = Expander::new(fresh(), ExpanderChip::Mcp23017, 0x21, PINS);
        chip.rest().unwrap();
        chip.set(0, true).unwrap();
        chip.bus.answers = 0;
        assert!(chip.set(0, false).unwrap_err().untouched);
        chip.bus.answers = usize::MAX;
        chip.set(8, false).unwrap();
        assert_eq!(chip.bus.shown.last(), Some(&(0x0103, 0x0002)));
    }

    /// Only a change of which nothing was written left everything as it was.
    #[test]
    fn a_write_that_broke_off_may_have_moved() {
        let mut chip = Expander::new(fresh(), ExpanderChip::Mcp23017, 0x21, PINS);
        for (answers, untouched) in [(0, true), (1, false), (2, false)] {
            chip.bus.answers = answers;
            assert_eq!(chip.set(0, true).unwrap_err().untouched, untouched, "after {answers}");
        }
    }

    struct Latch(u8, Vec<u8>);

    impl i2c::ErrorType for Latch {
        type Error = ErrorKind;
    }

    impl I2c for Latch {
        fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => self.1.extend_from_slice(bytes),
                    Operation::Read(into) => into.fill(self.0),
                }
            }
            Ok(())
        }
    }

    #[test]
    fn a_pcf8574_keeps_its_inputs_high() {
        let pins = Pins { outputs: 0x03, active_low: 0x03, pull_up: 0 };
        let mut chip = Expander::new(Latch(0x7f, Vec::new()), ExpanderChip::Pcf8574, 0x38, pins);
        chip.rest().unwrap();
        chip.set(1, false).unwrap();
        chip.set(1, true).unwrap();
        assert_eq!(chip.bus.1, [0xff, 0xfd, 0xff]);
        assert_eq!(chip.read().unwrap(), 0x007f);
    }
}
