//! The counter chip: an event counter of the PCF8583 kind with its own supply.

const COUNT_EVENTS: u8 = 0x20;
/// The bits that must be so for it to count: event mode, neither stopped nor latched.
const MODE: u8 = 0xf0;

/// Register 0 controls, 1 to 3 count in BCD with the lowest digits first, the rest is memory. Everything is 0 after its
/// own supply was gone, and then it is a clock that counts nothing.
pub(super) struct Chip {
    registers: [u8; 256],
    pointer: u8,
}

impl Chip {
    pub fn new() -> Self {
        Self { registers: [0; 256], pointer: 0 }
    }

    /// The first byte written is the register's address; it moves on by itself and wraps.
    pub fn transfer(&mut self, write: &[u8], read: usize) -> Vec<u8> {
        if let [pointer, bytes @ ..] = write {
            self.pointer = *pointer;
            for &byte in bytes {
                self.registers[usize::from(self.pointer)] = byte;
                self.pointer = self.pointer.wrapping_add(1);
            }
        }
        (0..read)
            .map(|_| {
                let byte = self.registers[usize::from(self.pointer)];
                self.pointer = self.pointer.wrapping_add(1);
                byte
            })
            .collect()
    }

    /// A falling edge at its input.
    pub fn edge(&mut self) {
        if self.registers[0] & MODE != COUNT_EVENTS {
            return;
        }
        for register in &mut self.registers[1..=3] {
            *register = match *register {
                0x99.. => 0,
                digits if digits & 0xf >= 9 => (digits & 0xf0) + 0x10,
                digits => digits + 1,
            };
            if *register != 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_decimal_and_wraps_at_a_million() {
        let mut chip = Chip::new();
        chip.edge();
        assert_eq!(chip.transfer(&[0], 4), [0, 0, 0, 0], "a clock counts no events");
        chip.transfer(&[0, COUNT_EVENTS, 0x98, 0x99, 0x99], 0);
        let counts: Vec<_> = (0..3)
            .map(|_| {
                chip.edge();
                chip.transfer(&[1], 3)
            })
            .collect();
        assert_eq!(counts, [[0x99, 0x99, 0x99], [0, 0, 0], [1, 0, 0]]);
        chip.transfer(&[0, COUNT_EVENTS | 0x80], 0);
        chip.edge();
        assert_eq!(chip.transfer(&[1], 3), [1, 0, 0], "held");
        chip.transfer(&[0, COUNT_EVENTS, 0x09], 0);
        chip.edge();
        assert_eq!(chip.transfer(&[1], 1), [0x10]);
    }
}
