//! Number plates: what is the same plate however it is typed, and what is nearly the same.
//!
//! Policy: a plate only helps to find a stay. It opens no gate by itself, and a near one is shown to a person, who chooses.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::text::read_and_written;

/// Bytes that are looked at of what was typed.
const TYPED: usize = 96;

/// A plate without what does not count: letters and digits, capitals, 2 to 10 characters, at most 20 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Plate(String);

/// Why a text is no plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPlate {
    #[error("a plate has 2 to 10 letters and digits; type it as it is on the car")]
    Length,
    #[error("a plate has letters and digits only; `{0}` is neither")]
    Character(char),
}

impl Plate {
    pub const MOST: usize = 10;
    pub const BYTES: usize = 20;

    /// Of what a person has typed or a camera has read. Spaces, dashes, dots and the like between its parts count nothing; small
    /// and full-width letters are capitals.
    ///
    /// # Errors
    /// It is no plate.
    pub fn typed(text: &str) -> Result<Self, BadPlate> {
        if text.len() > TYPED {
            return Err(BadPlate::Length);
        }
        let mut plate = String::new();
        for c in text.chars().map(half_width) {
            if c.is_whitespace() || matches!(c, '-' | '.' | '_' | '·' | '•' | '・' | '‐' | '–' | '—') {
                continue;
            }
            if !c.is_alphanumeric() {
                return Err(BadPlate::Character(if c.is_control() { ' ' } else { c }));
            }
            // A sharp s has no single capital and stays as it is; no plate has one.
            let mut capital = c.to_uppercase();
            plate.push(if capital.len() == 1 { capital.next().unwrap_or(c) } else { c });
        }
        let count = plate.chars().count();
        if !(2..=Self::MOST).contains(&count) || plate.len() > Self::BYTES {
            return Err(BadPlate::Length);
        }
        Ok(Self(plate))
    }

    fn parse(text: &str) -> Option<Self> {
        Self::typed(text).ok().filter(|plate| plate.0 == text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

read_and_written!(Plate, "number plate in capitals, without spaces", 40);

/// Of a full-width letter, digit or sign, as Chinese input methods write them, the usual one.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// How near a plate is to what was typed; the nearer is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    Same,
    /// Only O and 0, I and 1, or B and 8 are taken for each other, as often as may be.
    LooksAlike,
    /// Besides, two neighbours are swapped.
    Swapped,
    /// Besides, one character is another.
    OneOther,
}

/// What looks alike is the same here.
fn folded(c: char) -> char {
    match c {
        'O' => '0',
        'I' => '1',
        'B' => '8',
        other => other,
    }
}

fn nearness(typed: &Plate, plate: &Plate) -> Option<Nearness> {
    if typed == plate {
        return Some(Nearness::Same);
    }
    let (mut ones, mut others) = (typed.0.chars().map(folded), plate.0.chars().map(folded));
    // At most two differ, or it is none.
    let mut different = [None; 2];
    let mut count = 0;
    for at in 0.. {
        match (ones.next(), others.next()) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => (),
            (Some(one), Some(other)) => {
                *different.get_mut(count)? = Some((at, one, other));
                count += 1;
            }
            _ => return None,
        }
    }
    match different {
        [None, _] => Some(Nearness::LooksAlike),
        [Some(_), None] => Some(Nearness::OneOther),
        [Some((first, a, b)), Some((second, c, d))] if second == first + 1 && a == d && b == c => {
            Some(Nearness::Swapped)
        }
        _ => None,
    }
}

/// At most so many are shown.
pub const MOST_NEAR: usize = 8;

/// The plates that were perhaps meant, the nearest first and each once, at most [`MOST_NEAR`]. The work is one look at each plate, whose
/// length is bounded; nothing is kept but the answer.
pub fn near<'p>(typed: &Plate, plates: impl IntoIterator<Item = &'p Plate>) -> Vec<(Nearness, &'p Plate)> {
    let mut best: Vec<(Nearness, &Plate)> = Vec::with_capacity(MOST_NEAR + 1);
    for plate in plates {
        let Some(nearness) = nearness(typed, plate) else { continue };
        if let Err(at) = best.binary_search(&(nearness, plate)) {
            best.insert(at, (nearness, plate));
            best.truncate(MOST_NEAR);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate(text: &str) -> Plate {
        Plate::typed(text).unwrap()
    }

    #[test]
    fn the_same_plate_however_it_is_typed() {
        for (typed, plate) in [
            (" kn-ab 123 ", "KNAB123"),
            ("京A·12345", "京A12345"),
            ("粤ｂ１２３４５", "粤B12345"),
            ("abc-1234", "ABC1234"),
            ("wü.x 1", "WÜX1"),
            ("1 • 2", "12"),
        ] {
            assert_eq!(Plate::typed(typed).unwrap().as_str(), plate, "{typed}");
            let json = serde_json::to_string(&self::plate(typed)).unwrap();
            assert_eq!(serde_json::from_str::<Plate>(&json).unwrap().as_str(), plate);
        }
        assert!(serde_json::from_str::<Plate>("\"ab 12\"").is_err());
    }

    #[test]
    fn rubbish_is_no_plate() {
        for typed in ["", "A", " - ", "ABCDEFGHIJK", &"A".repeat(1 << 20), &"京".repeat(7)] {
            assert_eq!(Plate::typed(typed), Err(BadPlate::Length), "{typed:.20}");
        }
        for (typed, c) in [("AB/12", '/'), ("AB\x1b[2J", ' '), ("AB'12", '\''), ("🚗12", '🚗')] {
            assert_eq!(Plate::typed(typed), Err(BadPlate::Character(c)), "{typed}");
        }
    }

    #[test]
    fn near_plates_are_ranked() {
        let all: Vec<Plate> =
            ["AB120", "A8I2O", "AB102", "AB129", "BA120", "AB1200", "XB129", "AB021"].map(plate).to_vec();
        let found: Vec<(Nearness, &str)> =
            near(&plate("ab 120"), &all).into_iter().map(|(near, plate)| (near, plate.as_str())).collect();
        use Nearness::{LooksAlike, OneOther, Same, Swapped};
        let wanted =
            [(Same, "AB120"), (LooksAlike, "A8I2O"), (Swapped, "AB102"), (Swapped, "BA120"), (OneOther, "AB129")];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_answer_is_short_and_does_not_depend_on_the_order() {
        let mut all: Vec<Plate> = (0..1_000).map(|nth| plate(&format!("KN{nth:03}"))).collect();
        let typed = plate("KN500");
        let first: Vec<_> = near(&typed, &all).into_iter().map(|(near, plate)| (near, plate.clone())).collect();
        all.reverse();
        let second: Vec<_> = near(&typed, &all).into_iter().map(|(near, plate)| (near, plate.clone())).collect();
        assert_eq!((first.len(), &first), (MOST_NEAR, &second));
        assert_eq!(first[0], (Nearness::Same, typed));
        assert!(first.is_sorted());
    }
}
