//! The service PIN, on its way from the fingers to its check.

use std::fmt;

use zeroize::Zeroize as _;

/// Digits, as far as they were typed. No digit is in what `Debug` says, and the memory is cleared when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pin {
    digits: [u8; Pin::MOST],
    length: usize,
}

impl Pin {
    pub const LEAST: usize = 4;
    pub const MOST: usize = 12;

    /// A whole PIN: 4 to 12 digits and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut pin = Self::default();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= Self::MOST;
        if digits {
            text.bytes().for_each(|byte| pin.push(byte - b'0'));
        }
        pin.whole().then_some(pin)
    }

    /// One more digit, 0 to 9; what does not fit any more is left out.
    pub fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.length) {
            *place = b'0' + digit.min(9);
            self.length += 1;
        }
    }

    pub fn typed(&self) -> usize {
        self.length
    }

    /// So many digits that it can be one.
    pub fn whole(&self) -> bool {
        self.length >= Self::LEAST
    }

    /// ASCII digits.
    pub fn bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_to_twelve_digits_and_nothing_else() {
        for good in ["0000", "2468", "123456789012"] {
            assert_eq!(Pin::parse(good).unwrap().bytes(), good.as_bytes());
        }
        for bad in ["", "246", "1234567890123", "246a", "２４６８", " 2468", "2468\n"] {
            assert_eq!(Pin::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_digit_is_told() {
        let said = format!("{:?} {:#?}", Pin::parse("8642"), Pin::parse("8642"));
        assert!(!said.contains(|c: char| c.is_ascii_digit()), "{said}");
    }
}
