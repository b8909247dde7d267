//! What the clock at a site shows in each minute of UTC, as a table: pieces of time in which it is a constant away from UTC.
//! The calendar is worked out here; of the time zone only its offsets are asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// All that is in the table, in days since 1970; a stay needs 2000 to 2100.
const FIRST_DAY: i64 = 10_950 - 10;
const LAST_DAY: i64 = 47_482 + 10;
/// Minutes of a day.
pub const DAY: i64 = 1440;

pub struct Site {
    /// From this minute of UTC on the clock is so many minutes ahead.
    pieces: Vec<(i64, i64)>,
    /// Of each day, its first minute; of a day that was left out, that of the next.
    begins: Vec<i64>,
}

/// What the clock shows: the day, counted from 1970, and the minute of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    pub day: i64,
    pub minute: i64,
}

impl Site {
    /// Each table is made once.
    pub fn of(zone: &str) -> Rc<Self> {
        thread_local! {
            static SITES: RefCell<BTreeMap<String, Rc<Site>>> = const { RefCell::new(BTreeMap::new()) };
        }
        SITES.with_borrow_mut(|sites| sites.entry(zone.to_owned()).or_insert_with(|| Rc::new(Self::new(zone))).clone())
    }

    fn new(zone: &str) -> Self {
        let zone = TimeZone::get(zone).unwrap();
        let offset = |minute: i64| {
            let seconds = zone.to_offset(Timestamp::from_second(minute * 60).unwrap()).seconds();
            assert_eq!(seconds % 60, 0, "whole minutes since 2000");
            i64::from(seconds / 60)
        };
        let mut pieces = vec![(FIRST_DAY * DAY, offset(FIRST_DAY * DAY))];
        // Nobody puts a clock forward and back within three hours.
        let mut at = FIRST_DAY * DAY;
        while at < LAST_DAY * DAY {
            let (mut before, mut after) = (at, at + 180);
            if offset(after) != offset(before) {
                while after - before > 1 {
                    let middle = i64::midpoint(before, after);
                    if offset(middle) == offset(at) { before = middle } else { after = middle }
                }
                pieces.push((after, offset(after)));
            }
            at += 180;
        }
        let mut site = Self { pieces, begins: vec![i64::MAX; usize::try_from(LAST_DAY - FIRST_DAY).unwrap() + 2] };
        for piece in 0..site.pieces.len() {
            let (from, offset) = site.pieces[piece];
            let until = site.pieces.get(piece + 1).map_or(LAST_DAY * DAY, |next| next.0);
            for day in (from + offset).div_euclid(DAY)..=(until - 1 + offset).div_euclid(DAY) {
                let minute = from.max(day * DAY - offset);
                if let Some(begin) = site.begins.get_mut(usize::try_from(day - FIRST_DAY).unwrap_or(usize::MAX)) {
                    *begin = minute.min(*begin);
                }
            }
        }
        for day in (1..site.begins.len()).rev() {
            site.begins[day - 1] = site.begins[day - 1].min(site.begins[day]);
        }
        site
    }

    /// Each change of the clock: the first minute after it.
    pub fn changes(&self) -> impl Iterator<Item = i64> {
        self.pieces.iter().skip(1).map(|piece| piece.0)
    }

    pub fn clock(&self, minute: i64) -> Clock {
        let piece = self.pieces.partition_point(|piece| piece.0 <= minute) - 1;
        let shown = minute + self.pieces[piece].1;
        Clock { day: shown.div_euclid(DAY), minute: shown.rem_euclid(DAY) }
    }

    /// The first minute whose date is that day, or a later one.
    pub fn begin(&self, day: i64) -> i64 {
        self.begins[usize::try_from(day - FIRST_DAY).unwrap()]
    }

    /// The instant of a civil time: of one that comes twice the first, of one that is left out as much later as clocks are
    /// put forward.
    pub fn instant(&self, day: i64, minute: i64) -> i64 {
        let shown = day * DAY + minute;
        for (number, &(from, offset)) in self.pieces.iter().enumerate() {
            let until = self.pieces.get(number + 1).map_or(i64::MAX, |next| next.0);
            if shown - offset < until {
                // Before this piece's own beginning it was left out, and the piece before tells how much.
                let offset = if shown - offset < from { self.pieces[number - 1].1 } else { offset };
                return shown - offset;
            }
        }
        unreachable!("the last piece has no end")
    }
}

/// Year, month and day of a day counted from 1970.
pub fn calendar(day: i64) -> (i64, i64, i64) {
    let mut year = 1970 + day.div_euclid(366);
    while first_of(year + 1) <= day {
        year += 1;
    }
    let mut left = day - first_of(year);
    for (month, days) in (1..).zip(months(year)) {
        if left < days {
            return (year, month, left + 1);
        }
        left -= days;
    }
    unreachable!("a year has twelve months")
}

/// The day, counted from 1970, of a date.
pub fn day((year, month, day): (i64, i64, i64)) -> i64 {
    first_of(year) + months(year).iter().take(usize::try_from(month - 1).unwrap()).sum::<i64>() + day - 1
}

/// Monday is 0.
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

fn first_of(year: i64) -> i64 {
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

pub fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn months(year: i64) -> [i64; 12] {
    [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// The days that the table has.
pub fn days() -> std::ops::Range<i64> {
    FIRST_DAY + 1..LAST_DAY
}

#[test]
fn the_calendar_is_that_of_the_rest_of_the_world() {
    for number in days() {
        let (year, month, of_month) = calendar(number);
        let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(number);
        assert_eq!((i64::from(date.year()), i64::from(date.month()), i64::from(date.day())), (year, month, of_month));
        assert_eq!(i64::from(date.weekday().to_monday_zero_offset()), weekday(number));
        assert_eq!(day((year, month, of_month)), number);
    }
}
