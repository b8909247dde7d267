//! How many cars are inside, where tickets do not tell: what a person has counted, and who was let through undecided. And what goes on
//! record of it at the end of an hour.

use serde::{Deserialize, Serialize};

use super::CarPark;
use crate::parking::site::{Fact, How, Left, Stay as Number};
use crate::parking::ticket::TicketNumber;
use crate::sale::presented::{LET_THROUGH_NOTE, LetThrough, TicketDeed};
use crate::sale::record::Record;
use crate::sale::shop::Note;
use crate::vocabulary::{Stamp, Wall};

/// Under this is noted how many cars a person has counted inside.
const COUNTED_NOTE: &str = "counted";
/// And here how many cars were inside at the end of an hour, where that has changed since the last of these notes. A fact of the
/// site is forgotten; the notes of this one stay in the records, for reports.
pub const INSIDE_NOTE: &str = "inside";

/// What stands under [`INSIDE_NOTE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The end of the hour, in milliseconds since 1970.
    pub until: Wall,
    pub cars: u64,
}

/// What counts already: a note may be told again after a restart, and must not count twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// A person's last count.
    counted: Option<String>,
    /// The last car that was let through undecided.
    #[serde(default)]
    let_through: Option<u64>,
    /// As it was noted last.
    #[serde(skip)]
    inside: Option<u64>,
    /// Of an hour that has ended, and not on record yet.
    #[serde(skip)]
    hour_ended: Option<Inside>,
}

impl Tally {
    pub fn news(&mut self) -> Option<Note> {
        let Inside { until, cars } = self.hour_ended.take()?;
        let value = serde_json::json!({ "until": until, "cars": cars });
        Some(Note { key: INSIDE_NOTE.to_owned(), value: Some(value) })
    }
}

/// A person has counted so many.
pub(super) fn counted(cars: u32, at: &Stamp) -> Record {
    let value = serde_json::json!({ "cars": cars, "number": format!("{:032x}", at.entropy) });
    Record::ShopNoted { key: COUNTED_NOTE.to_owned(), value: Some(value) }
}

impl CarPark {
    /// Takes a note about how many are inside. False: it is about something else.
    pub(super) fn tallied(&mut self, key: &str, value: &serde_json::Value) -> bool {
        match key {
            COUNTED_NOTE => {
                let number = value["number"].as_str().map(str::to_owned);
                let cars = value["cars"].as_i64();
                if let (true, Some(cars)) = (number != self.tally.counted, cars) {
                    let inside = i64::try_from(self.inside).unwrap_or(i64::MAX);
                    self.tally.counted = number;
                    self.fact(Fact::Correction(i32::try_from(cars - inside).unwrap_or_default()));
                    self.changed();
                }
            }
            LET_THROUGH_NOTE => {
                if let Ok(known) = serde_json::from_value(value.clone()) {
                    self.let_through(&known);
                }
            }
            INSIDE_NOTE => {
                self.tally.inside = serde_json::from_value(value.clone()).ok().map(|noted: Inside| noted.cars);
            }
            _ => return false,
        }
        true
    }

    /// A car has passed of which nothing could be decided: it counts, under its ticket where that is known.
    fn let_through(&mut self, known: &LetThrough) {
        if self.tally.let_through == Some(known.number) {
            return;
        }
        self.tally.let_through = Some(known.number);
        let number = known.ticket.as_deref().and_then(|text| TicketNumber::typed(text).ok());
        let leaves = self.parts.settings.does == TicketDeed::Leave;
        match number.filter(|number| leaves && self.site.over(*number).is_none()) {
            Some(number) => self.fact(Fact::Left(Left { stay: Number(number), at: self.minute(), how: How::Person })),
            None => self.fact(Fact::Correction(if leaves { -1 } else { 1 })),
        }
        self.changed();
    }

    /// It is `at` now. Nothing has changed the count since the latest instant that this lane is sure of, be it in an earlier run.
    pub(super) fn end_hour(&mut self, at: &Stamp) {
        let until = self.end_of_hour(self.sure);
        if self.sure > Wall(0) && at.wall.is_some_and(|wall| wall >= until) && self.tally.inside != Some(self.inside) {
            self.tally.hour_ended = Some(Inside { until, cars: self.inside });
        }
    }

    /// The end of the hour in which this is, where the tariff is in force. Clocks change by whole hours, or by half of one.
    pub(super) fn end_of_hour(&self, at: Wall) -> Wall {
        const HOUR: i64 = 3_600_000;
        let zone = &self.parts.tariff.zone;
        let offset = at.timestamp().map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1_000);
        let local = i64::try_from(at.0).unwrap_or(i64::MAX - HOUR).saturating_add(offset.rem_euclid(HOUR));
        let end = (local / HOUR + 1) * HOUR - offset.rem_euclid(HOUR);
        Wall(u64::try_from(end).unwrap_or_default())
    }
}
