//! When a rule holds: days, hours and dates, all of the site's civil time.
//!
//! Days are counted from 1970-01-01, minutes of a day from midnight, so nothing here knows a time zone.

use std::collections::BTreeSet;

use jiff::civil::Date;

/// Minutes in a civil day that no clock change touches.
pub(super) const DAY: i64 = 1_440;

/// A set of kinds of days: the seven weekdays, and the holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    pub const ALL: Self = Self(0xff);
    pub const NONE: Self = Self(0);
    /// As the file writes them, Monday first.
    pub const NAMES: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];

    pub fn with(self, name: &str) -> Option<Self> {
        let nth = Self::NAMES.iter().position(|known| *known == name)?;
        Some(Self(self.0 | 1 << nth))
    }

    pub(super) fn of_weekday(day: i64) -> Self {
        // 1970-01-01 was a Thursday.
        Self(1 << (day + 3).rem_euclid(7))
    }

    pub const HOLIDAY: Self = Self(1 << 7);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().enumerate().filter(move |(nth, _)| self.0 & 1 << nth != 0).map(|(_, name)| name)
    }
}

/// Month and day, for every year.
pub type MonthDay = (i8, i8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    Always,
    /// Days since 1970, both included.
    Between(i64, i64),
    /// Both included; past new year where the second is the smaller.
    Yearly(MonthDay, MonthDay),
}

/// Minutes of the day: `from` is in, `until` is not. Past midnight where `until` is not later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: u16,
    pub until: u16,
}

/// Days, hours and dates that must all fit. Of hours past midnight, days and dates are those of the evening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    pub days: Days,
    pub hours: Option<Hours>,
    pub dates: Dates,
}

impl When {
    pub const ALWAYS: Self = Self { days: Days::ALL, hours: None, dates: Dates::Always };

    /// The day on which the window begins that this minute is in.
    pub(super) fn begun(&self, calendar: &Calendar, day: i64, minute: u16) -> Option<i64> {
        let begun = day - self.open(minute)?;
        self.on(calendar, begun).then_some(begun)
    }

    /// How many days ago the window has begun that this minute of the day is in, whatever the day.
    pub(super) fn open(&self, minute: u16) -> Option<i64> {
        match self.hours {
            None => Some(0),
            Some(Hours { from, until }) if from < until => (from..until).contains(&minute).then_some(0),
            Some(Hours { from, .. }) if minute >= from => Some(0),
            Some(Hours { until, .. }) => (minute < until).then_some(1),
        }
    }

    /// Whether days and dates fit.
    pub(super) fn on(&self, calendar: &Calendar, day: i64) -> bool {
        let dates = match self.dates {
            Dates::Always => true,
            Dates::Between(first, last) => (first..=last).contains(&day),
            Dates::Yearly(first, last) => {
                let date = date_of(day);
                let today = (date.month(), date.day());
                if first <= last { first <= today && today <= last } else { today >= first || today <= last }
            }
        };
        dates && (self.days == Days::ALL || self.days.has(calendar.kind(day)))
    }

    /// Minutes of the day at which it may begin or end.
    pub(super) fn edges(&self) -> impl Iterator<Item = u16> {
        self.hours.into_iter().flat_map(|hours| [hours.from, hours.until])
    }
}

/// The holidays. A holiday is no weekday.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Days since 1970.
    pub dates: BTreeSet<i64>,
    pub yearly: BTreeSet<MonthDay>,
}

impl Calendar {
    pub(super) fn kind(&self, day: i64) -> Days {
        let yearly = || {
            let date = date_of(day);
            self.yearly.contains(&(date.month(), date.day()))
        };
        let holiday = self.dates.contains(&day) || !self.yearly.is_empty() && yearly();
        if holiday { Days::HOLIDAY } else { Days::of_weekday(day) }
    }
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

pub(super) fn day_of(date: Date) -> i64 {
    EPOCH.duration_until(date).as_secs() / 86_400
}

/// Stays are bounded, so every day of one is in the calendar.
pub(super) fn date_of(day: i64) -> Date {
    EPOCH.saturating_add(jiff::SignedDuration::from_secs(day.saturating_mul(86_400)))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn window(days: &[&str], from: u16, until: u16) -> When {
        let days = days.iter().fold(Days::NONE, |days, name| days.with(name).unwrap());
        When { days, hours: Some(Hours { from, until }), dates: Dates::Always }
    }

    #[test]
    fn days_and_dates() {
        for (of, day) in [(date(1970, 1, 1), 0), (date(2000, 2, 29), 11_016), (date(2045, 12, 31), 27_758)] {
            assert_eq!((day_of(of), date_of(day)), (day, of));
        }
        assert!(Days::of_weekday(day_of(date(2026, 11, 30))).names().eq(["mon"]));
    }

    #[test]
    fn of_hours_past_midnight_the_evenings_day_counts() {
        let calendar = Calendar::default();
        let friday = day_of(date(2026, 11, 27));
        let night = window(&["fri"], 1_350, 420);
        assert_eq!(night.begun(&calendar, friday, 1_349), None);
        assert_eq!(night.begun(&calendar, friday, 1_350), Some(friday));
        assert_eq!(night.begun(&calendar, friday + 1, 419), Some(friday));
        assert_eq!(night.begun(&calendar, friday + 1, 420), None);
        assert_eq!(night.begun(&calendar, friday, 0), None, "that is Thursday's night");
        let day = window(&["fri"], 420, 1_440);
        assert_eq!(day.begun(&calendar, friday, 1_439), Some(friday));
        assert_eq!(day.begun(&calendar, friday + 1, 0), None);
    }

    #[test]
    fn a_holiday_is_no_weekday() {
        let friday = day_of(date(2026, 12, 25));
        let calendar = Calendar { dates: BTreeSet::new(), yearly: [(12, 25)].into() };
        assert!(!window(&["fri"], 0, 1_440).on(&calendar, friday));
        assert!(window(&["holiday"], 0, 1_440).on(&calendar, friday));
        assert!(!window(&["holiday"], 0, 1_440).on(&calendar, friday + 7));
    }

    #[test]
    fn a_season_goes_past_new_year() {
        let winter = When { dates: Dates::Yearly((11, 1), (2, 29)), ..When::ALWAYS };
        let on = |y, m, d| winter.on(&Calendar::default(), day_of(date(y, m, d)));
        assert!(on(2026, 11, 1) && on(2026, 12, 31) && on(2027, 1, 1) && on(2027, 2, 28) && on(2028, 2, 29));
        assert!(!on(2026, 10, 31) && !on(2027, 3, 1));
    }
}
