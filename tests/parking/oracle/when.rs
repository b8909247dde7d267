//! When a rule holds: days, hours and dates, in the site's civil time.

use std::cell::RefCell;

use super::site::{self, Clock};
use super::terms::{self, Bound, Holidays, Terms};

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The days that are holidays.
pub struct Calendar {
    dates: Vec<(i64, i64, i64)>,
    yearly: Vec<(i64, i64)>,
}

impl Calendar {
    pub fn new(holidays: &Holidays) -> Self {
        Self {
            dates: holidays.dates.iter().map(terms::date).collect(),
            yearly: holidays.yearly.iter().map(|text| terms::month_day(text)).collect(),
        }
    }

    fn has(&self, date: (i64, i64, i64)) -> bool {
        self.dates.contains(&date) || self.yearly.contains(&(date.1, date.2))
    }
}

pub struct When {
    days: Option<Vec<String>>,
    hours: Option<(i64, i64)>,
    dates: Option<(Bound, Bound)>,
    calendar: Calendar,
    /// What was found before, by day: 0 is not known yet, 1 no, 2 yes.
    known: RefCell<Vec<u8>>,
}

impl When {
    pub fn new(
        terms: &Terms,
        days: Option<&Vec<String>>,
        hours: (Option<&String>, Option<&String>),
        dates: (Option<&Bound>, Option<&Bound>),
    ) -> Self {
        Self {
            days: days.cloned(),
            hours: match hours {
                (Some(from), Some(until)) => Some((terms::minute_of_day(from), terms::minute_of_day(until))),
                (None, None) => None,
                _ => panic!("`from` and `until` belong together"),
            },
            dates: match dates {
                (Some(first), Some(last)) => Some((first.clone(), last.clone())),
                (None, None) => None,
                _ => panic!("`first` and `last` belong together"),
            },
            calendar: Calendar::new(&terms.holidays),
            known: RefCell::new(vec![0; usize::try_from(site::days().end).unwrap()]),
        }
    }

    /// Whether days and dates fit a civil day.
    pub fn fits(&self, day: i64) -> bool {
        let known = &mut self.known.borrow_mut()[usize::try_from(day).unwrap()];
        if *known == 0 {
            *known = if self.on(day) { 2 } else { 1 };
        }
        *known == 2
    }

    fn on(&self, day: i64) -> bool {
        let date = site::calendar(day);
        let kind = if self.calendar.has(date) { "holiday" } else { WEEK[usize::try_from(site::weekday(day)).unwrap()] };
        let kind_fits = self.days.as_ref().is_none_or(|days| days.iter().any(|day| day == kind));
        kind_fits
            && match &self.dates {
                None => true,
                Some((Bound::Date(first), Bound::Date(last))) => {
                    terms::date(first) <= date && date <= terms::date(last)
                }
                Some((Bound::Yearly(first), Bound::Yearly(last))) => {
                    let (first, last, this) = (terms::month_day(first), terms::month_day(last), (date.1, date.2));
                    if first <= last { first <= this && this <= last } else { first <= this || this <= last }
                }
                Some(_) => panic!("dates of two kinds"),
            }
    }

    /// The occurrence of the window in which a minute lies: the civil day on which it begins.
    pub fn occurrence(&self, clock: Clock) -> Option<i64> {
        let day = match self.hours {
            None => clock.day,
            Some((from, until)) if from < until => {
                if clock.minute < from || clock.minute >= until {
                    return None;
                }
                clock.day
            }
            Some((from, _)) if clock.minute >= from => clock.day,
            Some((_, until)) if clock.minute < until => clock.day - 1,
            Some(_) => return None,
        };
        self.fits(day).then_some(day)
    }
}
