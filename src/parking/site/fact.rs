//! What a lane tells the others.

use serde::{Deserialize, Serialize};

use crate::parking::ticket::{
    CLOCKS_DIFFER, ClassNumber, EntryTime, LaneNumber, Minute, Pass, Plate, TicketNumber, ValidationNumber,
};
use crate::vocabulary::Minor;

/// In a document a fact is a row of its fields, which takes half the bytes of one with names.
macro_rules! row {
    ($fact:ident { $($field:ident),* }: $row:ty) => {
        impl From<$row> for $fact {
            fn from(($($field),*): $row) -> Self {
                Self { $($field),* }
            }
        }

        impl From<$fact> for $row {
            fn from($fact { $($field),* }: $fact) -> Self {
                ($($field),*)
            }
        }
    };
}

/// A stay in few characters: a ticket's number without its check digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Stay(pub TicketNumber);

impl Stay {
    pub(super) const FIRST: Self = Self(TicketNumber::FIRST_OF_ALL);
    pub(super) const LAST: Self = Self(TicketNumber::LAST_OF_ALL);
}

impl TryFrom<u32> for Stay {
    type Error = &'static str;

    fn try_from(packed: u32) -> Result<Self, &'static str> {
        TicketNumber::unpacked(packed).map(Self).ok_or("no ticket has this number")
    }
}

impl From<Stay> for u32 {
    fn from(stay: Stay) -> u32 {
        stay.0.packed()
    }
}

/// A car came in through the lane that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "EnteredRow", into = "EnteredRow")]
pub struct Entered {
    /// Of its ticket.
    pub serial: u32,
    pub entry: EntryTime,
    pub class: ClassNumber,
    pub plate: Option<Plate>,
    /// The stay that it goes on with.
    pub before: Option<Before>,
}

/// Without its last column where there is nothing before.
#[derive(Serialize, Deserialize)]
struct EnteredRow(
    u32,
    EntryTime,
    ClassNumber,
    Option<Plate>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Before>,
);

impl From<EnteredRow> for Entered {
    fn from(EnteredRow(serial, entry, class, plate, before): EnteredRow) -> Self {
        Self { serial, entry, class, plate, before }
    }
}

impl From<Entered> for EnteredRow {
    fn from(Entered { serial, entry, class, plate, before }: Entered) -> Self {
        Self(serial, entry, class, plate, before)
    }
}

impl Entered {
    /// Whether what it goes on with can have been before it.
    pub(super) fn is_in_order(&self) -> bool {
        self.before.is_none_or(|before| before.fits(self.entry))
    }
}

/// An earlier stay of the same car, with all that it went on with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "BeforeRow", into = "BeforeRow")]
pub struct Before {
    pub stay: Stay,
    /// The first entry of all.
    pub first: Minute,
    pub exit: Minute,
    /// For all of it.
    pub paid: u32,
}

type BeforeRow = (Stay, Minute, Minute, u32);

row!(Before { stay, first, exit, paid }: BeforeRow);

impl Before {
    /// Minutes from the first entry to the exit, so that stays do not go on with each other for ever.
    pub const LONGEST: u32 = 31 * 24 * 60;
    /// And from the exit to the next entry: the most that a tariff can say.
    const AWAY: u32 = 7 * 24 * 60;

    /// Whether somebody who came in then can have come back from it. Clocks of two lanes are not the same.
    pub fn fits(&self, entry: EntryTime) -> bool {
        self.first <= self.exit
            && self.exit <= self.first.later(Self::LONGEST)
            && self.exit <= entry.latest().later(CLOCKS_DIFFER)
            && entry.earliest() <= self.exit.later(Self::AWAY)
    }
}

/// A stay was paid here. Its exit pass is issued with it to whoever showed the ticket. Who typed a number or a plate gets a receipt
/// and no pass, because it may be another's, whose ticket opens. An amount of nothing is a stay for which nothing was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "PaidRow", into = "PaidRow")]
pub struct Paid {
    pub stay: Stay,
    /// From 0: payments for the stay that were known here **when the price was asked**, whatever came since. So two that were
    /// each asked for without the other have the same number, and are found to be one too many.
    pub nth: u8,
    pub at: Option<Minute>,
    /// Minutes in which the pass is good.
    pub grace: u16,
    /// Of this payment alone.
    pub amount: u32,
    /// Minutes of the stay that were given away because nobody knew when it began.
    pub doubt: u16,
    /// The only lane where the pass is good.
    pub lane: Option<LaneNumber>,
}

type PaidRow = (Stay, u8, Option<Minute>, u16, u32, u16, Option<LaneNumber>);

row!(Paid { stay, nth, at, grace, amount, doubt, lane }: PaidRow);

impl Paid {
    /// The last minute in which its pass is good; none: until it is used.
    pub fn until(&self) -> Option<Minute> {
        self.at.map(|at| at.later(self.grace.into()))
    }

    /// The pass that goes with it, where all that was paid before was so much.
    pub fn pass(&self, by: LaneNumber, before: Minor) -> Pass {
        let Self { stay, nth, at, grace, amount, lane, .. } = *self;
        Pass { stay: stay.0, by, nth, paid: at, grace, amount: before + Minor::from(amount), lane }
    }
}

/// What let a car out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum How {
    /// Its ticket, or its plate that a camera has read, of which the lane knew that it was paid or that nothing was due. A number
    /// that is typed opens nothing by itself.
    Ticket,
    /// A person, or the operator's policy.
    Person,
    /// An exit pass is used.
    Pass { by: LaneNumber, nth: u8 },
}

impl TryFrom<u16> for How {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Self, &'static str> {
        match number {
            0 => Ok(Self::Ticket),
            1 => Ok(Self::Person),
            _ => {
                let by = u8::try_from(number >> 4).ok().and_then(LaneNumber::new).ok_or("nothing lets a car out so")?;
                Ok(Self::Pass { by, nth: (number & 15) as u8 })
            }
        }
    }
}

impl From<How> for u16 {
    fn from(how: How) -> u16 {
        match how {
            How::Ticket => 0,
            How::Person => 1,
            How::Pass { by, nth } => u16::from(by.get()) << 4 | u16::from(nth & 15),
        }
    }
}

/// A car left through the lane that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(Stay, Option<Minute>, How)", into = "(Stay, Option<Minute>, How)")]
pub struct Left {
    pub stay: Stay,
    pub at: Option<Minute>,
    pub how: How,
}

row!(Left { stay, at, how }: (Stay, Option<Minute>, How));

/// A ticket counts no more: the car backed out, or a person says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(Stay, Option<Minute>)", into = "(Stay, Option<Minute>)")]
pub struct Voided {
    pub stay: Stay,
    pub at: Option<Minute>,
}

row!(Voided { stay, at }: (Stay, Option<Minute>));

/// A shop's validation was taken for a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(ValidationNumber, Stay, Minute)", into = "(ValidationNumber, Stay, Minute)")]
pub struct ValidationUsed {
    pub number: ValidationNumber,
    pub stay: Stay,
    /// Its last minute, after which nobody takes it any more.
    pub until: Minute,
}

row!(ValidationUsed { number, stay, until }: (ValidationNumber, Stay, Minute));

/// For so many stays one lane may have taken one validation, as when a person lets it be taken again.
pub(super) const MOST_STAYS: usize = 3;

/// A stay is a season pass's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u32, Stay)", into = "(u32, u32, Stay)")]
pub struct SeasonUsed {
    pub season: u32,
    /// Which of its stays, as far as was known here; from 0, at most [`SeasonUsed::MOST`].
    pub nth: u32,
    pub stay: Stay,
}

impl SeasonUsed {
    /// More stays than a pass can have: hundreds a day for years. A number up to it leaves room for the next.
    pub const MOST: u32 = 1_000_000;
}

row!(SeasonUsed { season, nth, stay }: (u32, u32, Stay));

/// One thing that a lane has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    Entered(Entered),
    Paid(Paid),
    Left(Left),
    Voided(Voided),
    ValidationUsed(ValidationUsed),
    SeasonUsed(SeasonUsed),
    /// So many cars more are inside than was counted.
    Correction(i32),
}

impl Fact {
    /// What of it can be done once only.
    pub(super) fn once(&self) -> Option<Once> {
        match self {
            Self::Paid(paid) => Some(Once::Paying(paid.stay, paid.nth)),
            Self::Left(left) => Some(Once::Leaving(left.stay)),
            Self::ValidationUsed(used) => Some(Once::Validation(used.number)),
            Self::SeasonUsed(used) => Some(Once::Season(used.season, used.nth)),
            Self::Entered(_) | Self::Voided(_) | Self::Correction(_) => None,
        }
    }

    /// The stay that it ends.
    pub(super) fn ended(&self) -> Option<Stay> {
        match self {
            Self::Left(left) => Some(left.stay),
            Self::Voided(voided) => Some(voided.stay),
            _ => None,
        }
    }
}

/// What can be done once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Once {
    /// A stay ends: by its ticket, or by an exit pass.
    Leaving(Stay),
    /// A payment for a stay; the second is to be given back.
    Paying(Stay, u8),
    /// A validation is good for one stay.
    Validation(ValidationNumber),
    /// A season pass has one car inside.
    Season(u32, u32),
}
