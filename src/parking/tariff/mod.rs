//! A tariff as data, and the pure function from a stay to a bill that explains itself.
//!
//! Policy: one file is one tariff. What can't be computed can't be written: [`parse`] refuses it with line and column. Amounts
//! are whole minor units, instants whole minutes of UTC; only windows of a rule are in the site's civil time. The exact meaning
//! of every key is in `docs/tariff.md`, which another author's oracle is written from; where the two differ, one of them is
//! wrong.

mod apds;
mod bill;
mod check;
mod curve;
mod fee;
mod file;
mod keys;
mod late;
mod table;
mod time;
mod timeline;
mod window;

use jiff::tz::TimeZone;

use crate::vocabulary::fee::Rate as Share;
use crate::vocabulary::text::text;
use crate::vocabulary::{Currency, Localized, Minor, Wall};

pub use apds::{Export, Unsaid, export};
pub use bill::{Bill, Line, Reason};
pub use check::{Report, Warning, check};
pub use curve::{Difference, Point, curve};
pub use fee::{FeeError, fee};
pub use file::{LIMIT, parse};
pub use late::{Paid, due};
pub use table::table;
pub use window::{Calendar, Dates, Days, Hours, When};

text! {
    /// A kind of vehicle, or what a validation is called: 1 to 32 letters, digits, `_` or `-`.
    Label, "name of 1 to 32 letters, digits, `_` or `-`", 40,
    |text| crate::vocabulary::text::is_name(text, 32, b"_-")
}

/// A bit for each place in [`Tariff::classes`].
pub type Classes = u32;

/// What a car park asks for a stay.
#[derive(Debug, Clone)]
pub struct Tariff {
    pub name: Localized,
    pub currency: Currency,
    /// Of windows, days and dates.
    pub zone: TimeZone,
    /// At least one; the first is what a stay is of that names none.
    pub classes: Vec<Label>,
    pub holidays: Calendar,
    pub tax: Option<Tax>,
    pub last_minute: LastMinute,
    pub crossing: Crossing,
    pub restart: Restart,
    /// The operator knows that a longer stay can cost less.
    pub may_fall: bool,
    /// The operator knows that the night in which clocks change can cost something else.
    pub may_differ: bool,
    pub grace: Grace,
    pub free: Option<Free>,
    /// The first that fits a minute holds; the last of each class always fits.
    pub rates: Vec<Rate>,
    /// The first that fits a stay counts.
    pub fixed: Vec<Fixed>,
    /// One after the other.
    pub caps: Vec<Cap>,
    pub lost: Option<Lost>,
    pub validations: Vec<Validation>,
    /// What season passes cover; those with the same name are one pass.
    pub seasons: Vec<Season>,
    /// Who comes back within so many minutes goes on with the visit before.
    pub re_entry: Option<i64>,
}

/// Times that cost nothing for who has the pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Season {
    pub name: Label,
    pub when: When,
    pub classes: Classes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tax {
    pub rate: Share,
    /// Prices contain it; else it is added to the amount.
    pub included: bool,
}

/// Whether the minute in which a car leaves is one of its stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastMinute {
    #[default]
    Excluded,
    Included,
}

/// What becomes of a step while another rate, or another block of a cap or a restart, begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crossing {
    /// It ends when it would have ended, at its own price.
    #[default]
    RunsOn,
    /// It ends there, and is rounded like the step in which the car leaves.
    Cut,
    /// It ends there, and its minutes are paid.
    Split,
}

/// When the list of steps begins from its first step again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    Never,
    /// When another rate or free time lay between.
    Window,
    /// On every civil day.
    Day,
    /// Every 24 hours after the entry.
    #[serde(rename = "24h")]
    Rolling,
}

/// Minutes that cost nothing, for different reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grace {
    /// A stay that is not longer costs nothing.
    pub entry: i64,
    /// The last minutes of a stay.
    pub leaving: i64,
    /// To get out, from the payment on.
    pub payment: i64,
    pub late: Late,
}

/// What somebody owes who has paid and left too late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Late {
    /// What the whole stay costs, less what was paid.
    #[default]
    Difference,
    /// A stay that began with the last payment, without anything free.
    Anew,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    pub minutes: i64,
    pub per: FreePer,
    pub exceeded: Exceeded,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreePer {
    #[default]
    Stay,
    Day,
}

/// What becomes of free minutes in a longer stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exceeded {
    Lost,
    Deducted,
}

/// A price for time.
#[derive(Debug, Clone)]
pub struct Rate {
    pub name: Localized,
    pub when: When,
    pub classes: Classes,
    pub price: Price,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Price {
    Free,
    /// For each time that the window is open, however long.
    Flat(Minor),
    Steps {
        steps: Vec<Step>,
        rounding: Rounding,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub minutes: i64,
    pub price: Minor,
    /// So many of them; of the last, more and more.
    pub times: u32,
}

/// What the step in which a car leaves costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// The whole.
    #[default]
    Up,
    /// Nothing.
    Down,
    /// Its minutes, halves of a minor unit up.
    Minute,
}

/// A price by the time of the entry, in place of all rates and caps.
#[derive(Debug, Clone)]
pub struct Fixed {
    pub name: Localized,
    /// The entry's minute is in it.
    pub when: When,
    pub classes: Classes,
    pub price: Minor,
    /// The civil time of leaving, in minutes from the midnight before the entry; both included.
    pub out_from: Option<i64>,
    pub out_until: Option<i64>,
    pub longest: Option<i64>,
    pub applies: Applies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    Always,
    WhenLower,
}

/// The most that is asked for a part of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub amount: Minor,
    pub per: CapPer,
    pub when: When,
    pub classes: Classes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapPer {
    Stay,
    /// A civil day.
    Day,
    /// So many hours from the entry, and again; at midnight from the beginning where it says so.
    Hours {
        hours: i64,
        midnight: bool,
    },
    /// Each time that its window is open.
    Window,
}

/// What is asked of somebody without a ticket. Nothing is free then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    Price(Minor),
    /// As if the car had come when it was last that time of the day, and this in addition.
    Since {
        minute: u16,
        surcharge: Minor,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    pub name: Label,
    pub worth: Worth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// What the first minutes of the stay cost.
    Minutes(i64),
    Percent(i64),
    Amount(Minor),
}

/// One car's time in the car park.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    pub entry: Entry,
    pub exit: Wall,
    /// `None`: the tariff's first.
    pub class: Option<Label>,
    /// Free minutes that the same car has used up before; on the same day where they are per day.
    pub free_used: u32,
    /// By name; the same one twice counts once.
    pub validations: Vec<Label>,
    /// What others are worth that say so themselves.
    pub worths: Vec<Worth>,
    /// The pass that the car has.
    pub season: Option<Label>,
    /// The one before, of the same car.
    pub visit: Option<Visit>,
}

/// An earlier stay of the same car, together with those that it went on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The first of all.
    pub entry: Wall,
    pub exit: Wall,
    /// For all of it.
    pub paid: Minor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    At(Wall),
    /// The ticket is lost, and nobody knows when the car came.
    Lost,
}

impl Stay {
    pub fn new(entry: Wall, exit: Wall) -> Self {
        Self {
            entry: Entry::At(entry),
            exit,
            class: None,
            free_used: 0,
            validations: Vec::new(),
            worths: Vec::new(),
            season: None,
            visit: None,
        }
    }
}

#[cfg(test)]
mod tests;
