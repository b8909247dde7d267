//! What one kiosk of a car park has done in some days, by the records of its ledger: cars by the hour, what was paid by the lines of
//! the bills, and who was let through while nobody could decide.
//!
//! Policy: only what is on record counts. The facts that lanes tell each other are forgotten when nobody needs them any more, and are
//! no source: what another lane has done stands in that lane's report. Cars inside are the exception; each kiosk notes the site's count,
//! as far as it knows it, at the end of an hour in which that has changed. Days and hours are the site's: where clocks change, a day has
//! 23 hours or 25.
//!
//! - `text` for people, and as JSON

#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::lane::{self, Authorisation, CantDecide, Ended};
use super::shop::{Deed, INSIDE_NOTE, Inside, Memo};
use crate::sale::presented::{LET_THROUGH_NOTE, LetThrough, TicketDeed};
use crate::sale::{ORDER_NOTE, Record};
use crate::vocabulary::{ChargeId, Currency, Grant, LaneId, Minor, OrderId, Wall};

/// Days of one report.
pub const MOST_DAYS: i32 = 366;
/// What an order is about may be on record so long before it is paid.
const BEFORE: u64 = 24 * HOUR;
const HOUR: u64 = 3_600_000;

/// Whose report it is.
#[derive(Debug, Clone)]
pub struct Of {
    /// The kiosk.
    pub kiosk: String,
    pub does: TicketDeed,
    /// Its gate, where it has one.
    pub gate: Option<LaneId>,
    /// Of days and hours.
    pub zone: TimeZone,
    /// Of all money.
    pub currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDays {
    #[error("the last day is before the first; write them the other way")]
    Backwards,
    #[error("these are more than {MOST_DAYS} days; ask for fewer")]
    TooMany,
    #[error("no calendar has these days")]
    None,
}

#[derive(Debug, Clone)]
pub struct Report {
    pub of: Of,
    pub days: BTreeMap<Date, Day>,
    /// What happened while the clock was unknown, and is in no day.
    pub undated: u64,
    begins: Wall,
    ends: Wall,
    /// Cars inside, by the end of the hour.
    inside: BTreeMap<Wall, u64>,
    /// Up to when the ledger says anything.
    until: Option<Wall>,
    memos: BTreeMap<OrderId, Memo>,
    granted: BTreeMap<OrderId, Grant>,
    returned: BTreeMap<ChargeId, Minor>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    pub hours: Vec<Hour>,
    /// Paid here, or settled for nothing.
    pub stays: u64,
    /// By what bought something.
    pub paid: Minor,
    pub given_back: Minor,
    /// What was settled, by the rule of the tariff; together what was paid.
    pub lines: BTreeMap<String, Line>,
    /// Let through while nobody could decide; at an exit that is an unpaid one.
    pub undecided: Vec<Undecided>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    pub begins: Wall,
    pub ends: Wall,
    pub cars: Cars,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cars {
    /// Orders: tickets at an entry, stays that were let out at an exit, stays that were settled at a pay station.
    pub handed_over: u64,
    /// Cars that loops saw pass.
    pub passed: u64,
    /// Of these without being authorised.
    pub unauthorised: u64,
    /// Passages of which no loop could tell whether, or how many.
    pub unsure: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Line {
    /// So many times on a bill.
    pub count: u64,
    pub sum: Minor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    pub at: Wall,
    /// Which of the lane's it is.
    pub number: u64,
    pub why: CantDecide,
    /// `None` while it is under way.
    pub how: Option<Ended>,
    /// What was known of the stay.
    pub known: Option<LetThrough>,
}

impl Report {
    /// Of these days, both included.
    ///
    /// # Errors
    /// There are none, or too many.
    pub fn new(of: Of, first: Date, last: Date) -> Result<Self, BadDays> {
        if last < first {
            return Err(BadDays::Backwards);
        }
        if first.until(last).map_err(|_| BadDays::None)?.get_days() >= MOST_DAYS {
            return Err(BadDays::TooMany);
        }
        let mut days = BTreeMap::new();
        let mut day = first;
        while day <= last {
            days.insert(day, Day { hours: hours(day, &of.zone).ok_or(BadDays::None)?, ..Day::default() });
            day = day.tomorrow().map_err(|_| BadDays::None)?;
        }
        let all = || days.values().flat_map(|day| &day.hours);
        let begins = all().next().map_or(Wall(0), |hour| hour.begins);
        let ends = all().next_back().map_or(Wall(0), |hour| hour.ends);
        let empty = Self {
            of,
            days: BTreeMap::new(),
            undated: 0,
            begins,
            ends,
            inside: BTreeMap::new(),
            until: None,
            memos: BTreeMap::new(),
            granted: BTreeMap::new(),
            returned: BTreeMap::new(),
        };
        Ok(Self { days, ..empty })
    }

    /// Records of this time are wanted, the first included and the last not; and the newest note of [`INSIDE_NOTE`] before it.
    pub fn wants(&self) -> (Wall, Wall) {
        (Wall(self.begins.0.saturating_sub(BEFORE)), self.ends)
    }

    /// The newest instant of which the ledger has a record.
    pub fn reaches(&mut self, until: Option<Wall>) {
        self.until = until;
    }

    /// Takes the next record.
    pub fn take(&mut self, at: Option<Wall>, record: &Record) {
        match record {
            Record::ShopNoted { key, value: Some(value) } => self.noted(key, value),
            Record::OrderGranted { order, grant, .. } => drop(self.granted.insert(*order, *grant)),
            Record::OrderPaid { order, payment, .. } => {
                if let Some(day) = self.day(at) {
                    day.paid += payment.amount;
                    self.settled(*order, at);
                }
            }
            Record::RefundConfirmed { amount, .. } => self.given_back(at, *amount),
            Record::ChargeReturned { charge, total, .. } => {
                let before = self.returned.insert(charge.clone(), *total).unwrap_or(0);
                self.given_back(at, total - before);
            }
            Record::OrderEnded { order, .. } => {
                self.memos.remove(order);
                self.granted.remove(order);
            }
            Record::GateNoted { lane, note } if Some(lane) == self.of.gate.as_ref() => {
                // One of another version says nothing here.
                if let Ok(note) = serde_json::from_value(note.clone()) {
                    self.passed(at, &note);
                }
            }
            _ => {
                if let (Some(_), Some(order)) = (record.handed_over(), record.order()) {
                    self.handed_over(order, at);
                }
            }
        }
    }

    fn noted(&mut self, key: &str, value: &serde_json::Value) {
        if key == INSIDE_NOTE {
            if let Ok(Inside { until, cars }) = serde_json::from_value(value.clone()) {
                self.inside.insert(until, cars);
            }
        } else if key == LET_THROUGH_NOTE {
            if let Ok(known) = serde_json::from_value::<LetThrough>(value.clone())
                && let Some(of) = self.undecided(known.number)
            {
                of.known = Some(known);
            }
        } else if let Some(order) = key.strip_prefix(ORDER_NOTE).and_then(OrderId::parse)
            && let Ok(memo) = serde_json::from_value(value.clone())
        {
            self.memos.insert(order, memo);
        }
    }

    fn undecided(&mut self, number: u64) -> Option<&mut Undecided> {
        let all = self.days.values_mut().rev().flat_map(|day| day.undecided.iter_mut().rev());
        all.into_iter().find(|one| one.number == number)
    }

    fn day(&mut self, at: Option<Wall>) -> Option<&mut Day> {
        let Some(at) = at else {
            self.undated += 1;
            return None;
        };
        let date = at.timestamp()?.to_zoned(self.of.zone.clone()).date();
        self.days.get_mut(&date)
    }

    /// Of its hour.
    fn cars(&mut self, at: Option<Wall>) -> Option<&mut Cars> {
        let mut hours = self.day(at)?.hours.iter_mut();
        hours.find(|hour| Some(hour.begins) <= at && at < Some(hour.ends)).map(|hour| &mut hour.cars)
    }

    fn given_back(&mut self, at: Option<Wall>, amount: Minor) {
        if let Some(day) = self.day(at) {
            day.given_back += amount;
        }
    }

    /// It is paid, or nothing is due for it: the lines of its bill count.
    fn settled(&mut self, order: OrderId, at: Option<Wall>) {
        let lines = self.memos.get(&order).map_or_else(Vec::new, |memo| memo.bill.clone());
        let Some(day) = self.day(at) else { return };
        day.stays += 1;
        for line in lines {
            let sum = day.lines.entry(line.rule).or_default();
            sum.count += 1;
            sum.sum += line.amount;
        }
    }

    fn handed_over(&mut self, order: OrderId, at: Option<Wall>) {
        let Some(memo) = self.memos.get(&order) else { return };
        let free = matches!(&memo.deed, Deed::Stay(stay) if stay.due == 0) && !memo.bill.is_empty();
        let Some(cars) = self.cars(at) else { return };
        cars.handed_over += 1;
        if free && self.granted.get(&order) == Some(&Grant::NothingDue) {
            self.settled(order, at);
        }
    }

    fn passed(&mut self, at: Option<Wall>, note: &lane::Record) {
        match note {
            lane::Record::CarPassed { authorised } => {
                if let Some(cars) = self.cars(at) {
                    cars.passed += 1;
                    cars.unauthorised += u64::from(!authorised);
                }
            }
            lane::Record::Tailgated { sure: false } => self.unsure(at),
            lane::Record::GateIntended { authorisation: Authorisation::Undecided { number, why }, attempt: 1 } => {
                let (number, why) = (*number, *why);
                if let (Some(day), Some(at)) = (self.day(at), at) {
                    day.undecided.push(Undecided { at, number, why, how: None, known: None });
                }
            }
            lane::Record::PassageEnded { authorisation, how } => {
                if let Authorisation::Undecided { number, .. } = authorisation
                    && let Some(of) = self.undecided(*number)
                {
                    of.how = Some(*how);
                }
                if *how == Ended::Unknown {
                    self.unsure(at);
                }
            }
            _ => {}
        }
    }

    fn unsure(&mut self, at: Option<Wall>) {
        if let Some(cars) = self.cars(at) {
            cars.unsure += 1;
        }
    }

    /// Cars inside at the end of this hour, as far as the kiosk knew; `None` where its ledger does not say.
    pub fn inside(&self, hour: &Hour) -> Option<u64> {
        self.until.filter(|until| *until >= hour.ends)?;
        self.inside.range(..=hour.ends).next_back().map(|(_, cars)| *cars)
    }
}

impl Undecided {
    /// A car may have passed for it.
    pub fn counts(&self) -> bool {
        !matches!(self.how, Some(Ended::NotMoved | Ended::Withdrawn))
    }
}

/// What stands in a record, in words; `None` where it has nothing to say about a stay.
pub fn told(record: &Record) -> Option<String> {
    text::told(record)
}

/// The hours of a day: 24, and 23 or 25 where clocks change.
fn hours(day: Date, zone: &TimeZone) -> Option<Vec<Hour>> {
    let start = |day: Date| -> Option<u64> {
        let first = day.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
        u64::try_from(first.timestamp().as_millisecond()).ok()
    };
    let (mut begins, end) = (start(day)?, start(day.checked_add(1.day()).ok()?)?);
    let mut hours = Vec::new();
    while begins < end {
        let ends = (begins + HOUR).min(end);
        hours.push(Hour { begins: Wall(begins), ends: Wall(ends), cars: Cars::default() });
        begins = ends;
    }
    Some(hours)
}

/// The civil time of an instant, with what it is ahead of UTC: in the night in which clocks change an hour comes twice.
fn civil(at: Wall, zone: &TimeZone, format: &str) -> String {
    let time: Option<Timestamp> = at.timestamp();
    time.map_or_else(String::new, |time| time.to_zoned(zone.clone()).strftime(format).to_string())
}
