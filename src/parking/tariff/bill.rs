//! What a stay costs, line by line.

use serde::Serialize;

use super::window::DAY;
use super::{CapPer, Tariff};
use crate::vocabulary::fee::Rate as Share;
use crate::vocabulary::{Currency, Language, Localized, Minor, Wall};

/// The amount and why it is that. The lines add up to the amount; those about time follow each other without a gap from the
/// entry on, and those that change it come behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Never negative.
    pub amount: Minor,
    pub currency: Currency,
    /// The part of the amount that is tax.
    pub tax: Minor,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub reason: Reason,
    pub from: Wall,
    pub to: Wall,
    pub amount: Minor,
}

/// Why a line is there. Rates, fixed prices and validations by their place in the tariff; durations in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Not longer than the grace at the entry.
    ShortStay {
        minutes: i64,
    },
    Free {
        minutes: i64,
    },
    /// Not charged, so that there is time to leave.
    Leaving {
        minutes: i64,
    },
    FreeRate {
        rate: usize,
    },
    /// Covered by a pass.
    Season {
        season: usize,
    },
    /// So many steps at this price each.
    Steps {
        rate: usize,
        count: i64,
        minutes: i64,
        price: Minor,
    },
    /// Some minutes of a step.
    Minutes {
        rate: usize,
        minutes: i64,
        of: i64,
        price: Minor,
    },
    /// A step that was not complete and is not charged.
    Incomplete {
        rate: usize,
        of: i64,
    },
    Flat {
        rate: usize,
    },
    /// The same window again: it is paid already.
    FlatPaid {
        rate: usize,
    },
    Fixed {
        fixed: usize,
    },
    Cap {
        amount: Minor,
        per: CapPer,
    },
    ValidatedMinutes {
        minutes: i64,
    },
    ValidatedPercent {
        percent: i64,
    },
    ValidatedAmount {
        amount: Minor,
    },
    LostTicket,
    LostSurcharge,
    Tax {
        ppm: u32,
    },
    /// Whatever comes after very many lines.
    Further,
    /// Paid, and still in time to leave.
    InTime {
        minutes: i64,
    },
    AlreadyPaid,
}

impl Reason {
    /// Which rule of the tariff its lines follow, however long the stay is: reports add up by this. A rate, a fixed price and a
    /// season pass are called as in the tariff, in English where it says that, or are counted from 1 where they have no name.
    pub fn rule(&self, tariff: &Tariff) -> String {
        let named =
            |sort: &str, name: Option<&Localized>, nth: usize| match name.map(|name| name.get(&Language::new("en"))) {
                Some(name) if !name.is_empty() => format!("{sort}/{name}"),
                _ => format!("{sort}/{}", nth + 1),
            };
        let word = match self {
            Self::FreeRate { rate }
            | Self::Steps { rate, .. }
            | Self::Minutes { rate, .. }
            | Self::Incomplete { rate, .. }
            | Self::Flat { rate }
            | Self::FlatPaid { rate } => return named("rate", tariff.rates.get(*rate).map(|rate| &rate.name), *rate),
            Self::Fixed { fixed } => return named("fixed", tariff.fixed.get(*fixed).map(|fixed| &fixed.name), *fixed),
            Self::Season { season } => {
                let name = tariff.seasons.get(*season).map(|season| season.name.to_string());
                return format!("season/{}", name.unwrap_or_else(|| (season + 1).to_string()));
            }
            Self::Cap { per: CapPer::Stay, .. } => "cap/stay",
            Self::Cap { per: CapPer::Day, .. } => "cap/day",
            Self::Cap { per: CapPer::Hours { hours, .. }, .. } => return format!("cap/{hours}h"),
            Self::Cap { per: CapPer::Window, .. } => "cap/window",
            Self::ShortStay { .. } => "short-stay",
            Self::Free { .. } => "free",
            Self::Leaving { .. } => "leaving",
            Self::ValidatedMinutes { .. } | Self::ValidatedPercent { .. } | Self::ValidatedAmount { .. } => "validated",
            Self::LostTicket => "lost-ticket",
            Self::LostSurcharge => "lost-surcharge",
            Self::Tax { .. } => "tax",
            Self::Further => "further",
            Self::InTime { .. } => "in-time",
            Self::AlreadyPaid => "already-paid",
        };
        word.to_owned()
    }

    /// Whether its lines are about time, and not a change of what time costs.
    pub fn is_time(&self) -> bool {
        !matches!(
            self,
            Self::Cap { .. }
                | Self::ValidatedMinutes { .. }
                | Self::ValidatedPercent { .. }
                | Self::ValidatedAmount { .. }
                | Self::LostSurcharge
                | Self::Tax { .. }
                | Self::AlreadyPaid
        )
    }
}

pub(super) fn tax_reason(share: Share) -> Reason {
    Reason::Tax { ppm: share.ppm() }
}

impl Serialize for CapPer {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stay => to.serialize_str("stay"),
            Self::Day => to.serialize_str("day"),
            Self::Hours { hours, .. } => to.collect_str(&format_args!("{hours}h")),
            Self::Window => to.serialize_str("window"),
        }
    }
}

/// More lines of time than these nobody reads, and ten years of a tariff that changes every minute are millions.
const MOST: usize = 10_000;

/// Adds up lines; equal ones that follow each other become one.
pub(super) struct Lines {
    pub lines: Vec<Line>,
}

impl Lines {
    pub fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// From and to in minutes since 1970.
    pub fn add(&mut self, reason: Reason, from: i64, to: i64, amount: Minor) {
        let line = Line { reason, from: wall(from), to: wall(to), amount };
        let full = self.lines.len() >= MOST;
        let Some(last) = self.lines.last_mut().filter(|last| last.to == line.from) else {
            return self.lines.push(line);
        };
        match (&mut last.reason, reason) {
            (
                Reason::Steps { rate, count, minutes, price },
                Reason::Steps { rate: other, minutes: of, price: at, count: more },
            ) if (*rate, *minutes, *price) == (other, of, at) => *count += more,
            (one @ (Reason::FreeRate { .. } | Reason::Season { .. } | Reason::FlatPaid { .. }), other)
                if *one == other => {}
            (Reason::Free { minutes }, Reason::Free { minutes: more }) => *minutes += more,
            (Reason::Further, other) if Self::goes_on(other) => {}
            (_, other) if full && Self::goes_on(other) => {
                return self.lines.push(Line { reason: Reason::Further, ..line });
            }
            _ => return self.lines.push(line),
        }
        last.to = line.to;
        last.amount += line.amount;
    }

    /// Whether it may be told together with others.
    fn goes_on(reason: Reason) -> bool {
        reason.is_time() && !matches!(reason, Reason::Leaving { .. })
    }

    /// The last line goes on until then.
    pub fn extend(&mut self, to: i64) {
        if let Some(last) = self.lines.last_mut() {
            last.to = wall(to);
        }
    }

    pub fn sum(&self) -> Minor {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

pub(super) fn wall(minute: i64) -> Wall {
    Wall(u64::try_from(minute * 60_000).unwrap_or_default())
}

/// The whole minute, since 1970.
pub(super) fn minute(wall: Wall) -> Option<i64> {
    let minute = i64::try_from(wall.0 / 60_000).ok()?;
    // From 2000 to 2100, where offsets from UTC are whole minutes.
    (10_957 * DAY..47_482 * DAY).contains(&minute).then_some(minute)
}
