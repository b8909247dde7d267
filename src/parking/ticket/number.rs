//! What sites, lanes and tickets are called in a code and between lanes: numbers, because they are short.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::text::read_and_written;

/// A car park of the operator's. From 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct SiteNumber(u16);

/// A lane or pay station of a site: 1 to 99. A replaced board goes on under a number that was not used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct LaneNumber(u8);

/// Why a number is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{number} is not a {what} number; write one from 1 to {most}")]
pub struct BadNumber {
    what: &'static str,
    number: u64,
    most: u64,
}

macro_rules! number {
    ($type:ident, $inner:ty, $what:literal, $most:literal) => {
        impl $type {
            pub fn new(number: $inner) -> Option<Self> {
                (1..=$most).contains(&number).then_some(Self(number))
            }

            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl TryFrom<$inner> for $type {
            type Error = BadNumber;

            fn try_from(number: $inner) -> Result<Self, BadNumber> {
                Self::new(number).ok_or(BadNumber { what: $what, number: number.into(), most: $most })
            }
        }

        impl From<$type> for $inner {
            fn from(number: $type) -> $inner {
                number.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(SiteNumber, u16, "site", 65_535);
number!(LaneNumber, u8, "lane", 99);

/// A ticket's number at its site: the lane that gave it out, and which of that lane's it is. Never given twice. Written, and typed
/// by a customer, as two, seven and one digit: `03-0004567-9`, of which the last is a check digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketNumber {
    lane: LaneNumber,
    serial: u32,
}

/// Why what was typed is no ticket's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTicketNumber {
    #[error("a ticket's number has digits only; type the ten digits under its code")]
    NotDigits,
    #[error("a ticket's number has ten digits; type all of those under its code")]
    Length,
    #[error("a digit is wrong or two are swapped; compare them with those under the code")]
    Check,
    #[error("no lane gives out such a number; compare it with the one under the code")]
    NoSuch,
}

/// The most characters that are looked at, separators and all.
const TYPED: usize = 24;

impl TicketNumber {
    pub(crate) const FIRST_OF_ALL: Self = Self { lane: LaneNumber(1), serial: 1 };
    pub(crate) const LAST_OF_ALL: Self = Self { lane: LaneNumber(99), serial: Self::LAST };
    /// The last ticket of a lane.
    pub const LAST: u32 = 9_999_999;

    pub fn new(lane: LaneNumber, serial: u32) -> Option<Self> {
        (1..=Self::LAST).contains(&serial).then_some(Self { lane, serial })
    }

    /// The lane that gave it out.
    pub fn lane(self) -> LaneNumber {
        self.lane
    }

    /// Which of that lane's it is, from 1.
    pub fn serial(self) -> u32 {
        self.serial
    }

    /// Both in one: its digits without the last.
    pub fn packed(self) -> u32 {
        u32::from(self.lane.0) * (Self::LAST + 1) + self.serial
    }

    pub fn unpacked(packed: u32) -> Option<Self> {
        let lane = u8::try_from(packed / (Self::LAST + 1)).ok().and_then(LaneNumber::new)?;
        Self::new(lane, packed % (Self::LAST + 1))
    }

    /// What a customer has typed: its ten digits; zeros before them may be missing, and spaces, dots and dashes may be between.
    ///
    /// # Errors
    /// It is no ticket's number.
    pub fn typed(text: &str) -> Result<Self, BadTicketNumber> {
        if text.len() > TYPED {
            return Err(BadTicketNumber::Length);
        }
        let mut digits = Vec::new();
        for c in text.chars().filter(|c| !matches!(c, ' ' | '-' | '.')) {
            digits.push(c.to_digit(10).ok_or(BadTicketNumber::NotDigits)?);
        }
        if !(2..=10).contains(&digits.len()) {
            return Err(BadTicketNumber::Length);
        }
        if damm(digits.iter().copied()) != 0 {
            return Err(BadTicketNumber::Check);
        }
        digits.pop();
        let number = digits.into_iter().fold(0u64, |number, digit| number * 10 + u64::from(digit));
        u32::try_from(number).ok().and_then(Self::unpacked).ok_or(BadTicketNumber::NoSuch)
    }

    fn parse(text: &str) -> Option<Self> {
        // As it is written, and not only as it may be typed.
        Self::typed(text).ok().filter(|number| number.to_string() == text)
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:09}", self.packed());
        let check = damm(digits.bytes().map(|digit| u32::from(digit - b'0')));
        write!(f, "{}-{}-{check}", &digits[..2], &digits[2..])
    }
}

read_and_written!(TicketNumber, "ticket's number, such as `03-0004567-9`", 40);

/// Damm's check digit (2004): it finds every wrong digit and every two neighbours that are swapped. Zeros at the beginning change
/// nothing. Zero for digits whose last is the check digit of the others.
fn damm(digits: impl Iterator<Item = u32>) -> u32 {
    const TABLE: [[u32; 10]; 10] = [
        [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
        [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
        [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
        [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
        [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
        [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
        [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
        [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
        [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
        [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
    ];
    digits.fold(0, |interim, digit| TABLE[interim as usize][digit as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(lane: u8, serial: u32) -> TicketNumber {
        TicketNumber::new(LaneNumber::new(lane).unwrap(), serial).unwrap()
    }

    #[test]
    fn the_check_digit_is_damms() {
        // The example of the literature: 572 has the check digit 4.
        assert_eq!(damm([5, 7, 2].into_iter()), 4);
        assert_eq!(damm([5, 7, 2, 4].into_iter()), 0);
    }

    #[test]
    fn a_number_is_read_as_it_is_written_and_as_it_is_typed() {
        for (lane, serial) in [(1, 1), (3, 4567), (99, TicketNumber::LAST), (12, 1_000_000)] {
            let number = number(lane, serial);
            let written = number.to_string();
            assert_eq!(written.len(), 12);
            let plain = written.replace('-', "");
            for typed in [&written, &plain, &format!(" {}", written.replace('-', " "))] {
                assert_eq!(TicketNumber::typed(typed), Ok(number), "{typed}");
            }
            assert_eq!(TicketNumber::typed(plain.trim_start_matches('0')), Ok(number));
            assert_eq!(serde_json::from_str::<TicketNumber>(&serde_json::to_string(&number).unwrap()).unwrap(), number);
        }
        assert!(
            serde_json::from_str::<TicketNumber>(&format!("\"{}\"", number(3, 4567).to_string().replace('-', "")))
                .is_err()
        );
        assert_eq!(number(3, 4567).to_string(), "03-0004567-9");
    }

    #[test]
    fn every_wrong_digit_and_every_swap_is_found() {
        let written = number(37, 1_204_958).to_string().replace('-', "");
        for at in 0..written.len() {
            for digit in '0'..='9' {
                let mut typed: Vec<char> = written.chars().collect();
                let before = std::mem::replace(&mut typed[at], digit);
                let typed: String = typed.into_iter().collect();
                assert_eq!(TicketNumber::typed(&typed).is_ok(), before == digit, "{typed}");
            }
            if at > 0 {
                let mut typed: Vec<char> = written.chars().collect();
                typed.swap(at - 1, at);
                let typed: String = typed.into_iter().collect();
                assert_eq!(TicketNumber::typed(&typed).is_ok(), typed == written, "{typed}");
            }
        }
    }

    #[test]
    fn what_is_no_number_says_so() {
        for (typed, wrong) in [
            ("", BadTicketNumber::Length),
            ("0", BadTicketNumber::Length),
            ("00000000000", BadTicketNumber::Length),
            (&"0".repeat(1 << 16), BadTicketNumber::Length),
            ("0300O45679", BadTicketNumber::NotDigits),
            ("٣٣٣", BadTicketNumber::NotDigits),
            ("0300045671", BadTicketNumber::Check),
            ("0000000000", BadTicketNumber::NoSuch),
        ] {
            assert_eq!(TicketNumber::typed(typed), Err(wrong), "{typed:.20}");
        }
        assert_eq!(TicketNumber::new(LaneNumber::new(1).unwrap(), 0), None);
        assert_eq!(LaneNumber::new(100), None);
        let error = serde_json::from_str::<LaneNumber>("100").unwrap_err().to_string();
        assert!(error.starts_with("100 is not a lane number; write one from 1 to 99"), "{error}");
    }
}
