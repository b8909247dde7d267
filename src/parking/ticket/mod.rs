//! Codes of a car park: the ticket that a car comes in with, the pass that it leaves with, what a shop gives it, and the season pass of
//! who comes often.
//!
//! Policy: a code says by itself all that a lane needs, so that every lane of the site believes, prices and answers it without a
//! network. It is signed; the size is looked at first, then every part of it, and only what is exactly as it was written is
//! accepted. A code proves where it comes from and not that it is used for the first time: that is what the lanes tell each
//! other ([`site`](super::site)). Doubt about the time is in the code, is bounded, and is the customer's.
//!
//! - `number` sites, lanes and tickets · `minute` time · `keys` whose signature counts · `code` from text to what it
//!   says · `digits` how it is written · `plate` number plates, and those that are nearly the same

mod code;
mod digits;
mod keys;
mod minute;
mod number;
mod plate;

use super::tariff::Worth;
use crate::vocabulary::{Minor, Wall};

pub use code::{BadCode, Code, Kind, LONGEST, MayNot};
pub use keys::{BadKeys, Issuer, KeyNumber, Owner, SiteKey, SiteKeys};
pub use minute::{BadMinute, Minute};
pub use number::{BadNumber, BadTicketNumber, LaneNumber, SiteNumber, TicketNumber};
pub use plate::{BadPlate, Nearness, Plate, near};

/// Which of the tariff's classes a vehicle is of, from 0; at most 15.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct ClassNumber(u8);

impl ClassNumber {
    pub fn new(number: u8) -> Option<Self> {
        (number < 16).then_some(Self(number))
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for ClassNumber {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, &'static str> {
        Self::new(number).ok_or("a class of vehicles has a number from 0 to 15")
    }
}

impl From<ClassNumber> for u8 {
    fn from(class: ClassNumber) -> u8 {
        class.0
    }
}

/// When a car came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "(Minute, u8)", into = "(Minute, u8)")]
pub enum EntryTime {
    Known(Minute),
    /// The lane's clock was not believed. It was this minute, or up to so many quarters of an hour later (from 1).
    Doubtful {
        earliest: Minute,
        quarters: u8,
    },
}

impl EntryTime {
    /// The longest doubt, in minutes: 63 hours and three quarters.
    pub const MOST_DOUBT: u32 = 255 * 15;

    /// What a lane writes on a ticket. `sure`: the last instant that it knows to be over, such as its newest record; `doubt`: the
    /// minutes for which it may have stood still since, as the operator bounds them. `None` where neither the clock nor
    /// what is sure is an instant that a ticket can have.
    pub fn of(clock: Option<Wall>, sure: Wall, doubt: u32) -> Option<Self> {
        if let Some(known) = clock.and_then(Minute::of) {
            return Some(Self::Known(known));
        }
        let quarters = doubt.clamp(1, Self::MOST_DOUBT).div_ceil(15);
        Minute::of(sure).map(|earliest| Self::Doubtful { earliest, quarters: quarters as u8 })
    }

    pub fn earliest(self) -> Minute {
        match self {
            Self::Known(at) | Self::Doubtful { earliest: at, .. } => at,
        }
    }

    /// The end of the doubt, and so the customer's entry unless that is still to come.
    pub fn latest(self) -> Minute {
        self.earliest().later(self.doubt())
    }

    /// Minutes that may be given away, which go on record with the payment.
    pub fn doubt(self) -> u32 {
        match self {
            Self::Known(_) => 0,
            Self::Doubtful { quarters, .. } => u32::from(quarters) * 15,
        }
    }

    /// The entry of which the stay is priced that is paid `now`: the latest that it can have been.
    pub fn charged_from(self, now: Minute) -> Minute {
        self.latest().min(now)
    }
}

impl From<(Minute, u8)> for EntryTime {
    fn from((earliest, quarters): (Minute, u8)) -> Self {
        if quarters == 0 { Self::Known(earliest) } else { Self::Doubtful { earliest, quarters } }
    }
}

impl From<EntryTime> for (Minute, u8) {
    fn from(entry: EntryTime) -> Self {
        match entry {
            EntryTime::Known(at) => (at, 0),
            EntryTime::Doubtful { earliest, quarters } => (earliest, quarters),
        }
    }
}

/// A car came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub number: TicketNumber,
    pub entry: EntryTime,
    pub class: ClassNumber,
}

/// Clocks of two lanes may differ by so many minutes.
pub const CLOCKS_DIFFER: u32 = 5;

impl Ticket {
    /// Whether it can have been given out by now; a lane that does not know the time believes it.
    ///
    /// # Errors
    /// It is from the future.
    pub fn is_past(&self, now: Option<Wall>) -> Result<(), BadCode> {
        let now = now.and_then(Minute::of);
        match now {
            Some(now) if self.entry.earliest() > now.later(CLOCKS_DIFFER) => {
                Err(BadCode::FutureDated { entry: self.entry.earliest(), now })
            }
            _ => Ok(()),
        }
    }
}

/// A stay was paid, and its car may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub stay: TicketNumber,
    /// Who has given it out.
    pub by: LaneNumber,
    /// Which payment for the stay it belongs to, from 0; at most [`Pass::MOST`].
    pub nth: u8,
    /// When it was paid; none where the clock was not believed, and then it is good until it is used.
    pub paid: Option<Minute>,
    /// Minutes from then on in which it is good; at most [`Pass::LONGEST_GRACE`].
    pub grace: u16,
    /// All that was paid for the stay so far, 0 to [`Pass::MOST_PAID`].
    pub amount: Minor,
    /// The only lane where it is good; else any.
    pub lane: Option<LaneNumber>,
}

impl Pass {
    pub const MOST: u8 = 15;
    pub const LONGEST_GRACE: u16 = 1_023;
    pub const MOST_PAID: Minor = u32::MAX as Minor;

    /// The last minute in which it is good; none: until it is used.
    pub fn until(&self) -> Option<Minute> {
        self.paid.map(|paid| paid.later(self.grace.into()))
    }
}

/// Which validation it is: the shop's key, and the number that the shop gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "(KeyNumber, u32)", into = "(KeyNumber, u32)")]
pub struct ValidationNumber {
    pub key: KeyNumber,
    pub serial: u32,
}

impl From<(KeyNumber, u32)> for ValidationNumber {
    fn from((key, serial): (KeyNumber, u32)) -> Self {
        Self { key, serial }
    }
}

impl From<ValidationNumber> for (KeyNumber, u32) {
    fn from(ValidationNumber { key, serial }: ValidationNumber) -> Self {
        (key, serial)
    }
}

impl std::fmt::Display for ValidationNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.key, self.serial)
    }
}

/// A shop pays for a part of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validation {
    pub number: ValidationNumber,
    /// 1 to a million minutes, 1 to 100 percent, or 1 to a milliard minor units.
    pub worth: Worth,
    /// The last minute in which it can be used.
    pub until: Minute,
}

impl Validation {
    /// It is taken at most so many minutes before it runs out: 31 days. That it was taken is remembered until it has run out, so a
    /// shop can't have lanes remember for ever.
    pub const LONGEST: u32 = 31 * 24 * 60;

    /// Whether it can be used now; a lane that does not know the time believes it.
    ///
    /// # Errors
    /// It has run out, or runs out later than one may.
    pub fn is_good(&self, now: Option<Wall>) -> Result<(), BadCode> {
        let until = self.until;
        match now.and_then(Minute::of) {
            Some(now) if now > until => Err(BadCode::RunOut { until, now }),
            Some(now) if until > now.later(Self::LONGEST + CLOCKS_DIFFER) => Err(BadCode::TooEarly { until }),
            _ => Ok(()),
        }
    }
}

/// Somebody may come and go for some time, and pays for what it does not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Season {
    /// Of the pass, as whoever issues it counts.
    pub number: u32,
    /// Which season pass of the tariff: the place of the first `[[season]]` of its name, from 0.
    pub season: u8,
    /// The last minute in which it can come in, and that it covers.
    pub until: Minute,
    /// The only car for which it is good; else any.
    pub plate: Option<Plate>,
}

impl Season {
    /// Whether it can be used now; a lane that does not know the time believes it.
    ///
    /// # Errors
    /// It has run out.
    pub fn is_good(&self, now: Option<Wall>) -> Result<(), BadCode> {
        match self.ended(now) {
            Some(now) => Err(BadCode::SeasonOver { until: self.until, now }),
            None => Ok(()),
        }
    }

    /// The minute that it is, where that is after its last.
    pub fn ended(&self, now: Option<Wall>) -> Option<Minute> {
        now.and_then(Minute::of).filter(|now| *now > self.until)
    }
}

#[cfg(test)]
mod tests;
