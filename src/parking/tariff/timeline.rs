//! A stay cut where anything changes: the rate in force, a free time, a day, a block of a cap.
//!
//! Instants are minutes of UTC since 1970. Between two changes of the zone's offset, civil time is one addition away.

use jiff::Timestamp;

use super::window::{DAY, date_of};
use super::{Calendar, CapPer, Classes, Price, Restart, Season, Tariff, When};

/// No block: the cap does not hold here.
pub(super) const NONE: i64 = i64::MIN;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// Covered by the season pass.
    Season,
    /// By its place, and the day on which a flat one's window began.
    Rate(usize, i64),
}

/// Whose stay it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub class: Classes,
    /// The first place of its season pass.
    pub season: Option<usize>,
}

impl Who {
    /// The windows of the pass.
    fn covered(self, tariff: &Tariff) -> impl Iterator<Item = &When> {
        let name = self.season.map(|season| &tariff.seasons[season].name);
        let of = move |season: &&Season| Some(&season.name) == name && season.classes & self.class != 0;
        tariff.seasons.iter().filter(of).map(|season| &season.when)
    }
}

/// Minutes that are all alike. Where the next one begins, something is not as it was before.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub end: i64,
    pub state: State,
    /// Steps begin anew where it differs.
    pub restart: i64,
    /// Of each cap of the class.
    pub blocks: Vec<i64>,
}

impl Segment {
    fn like(&self, other: &Self) -> bool {
        self.state == other.state && self.restart == other.restart && self.blocks == other.blocks
    }
}

/// Yields segment by segment, so that a stay of years takes no more memory than one of a day.
pub(super) struct Timeline<'t> {
    tariff: &'t Tariff,
    covered: Vec<&'t When>,
    rates: Vec<usize>,
    /// By their place in the tariff.
    pub caps: Vec<usize>,
    /// Minutes of the day at which a window may begin or end, in order.
    edges: Vec<u16>,
    free: &'t [(i64, i64)],
    origin: i64,
    to: i64,
    at: i64,
    /// What is added to UTC, and until when.
    offset: (i64, i64),
    /// A civil day and where it begins, for caps that count from there.
    day: (i64, i64),
    known: Known,
    read: Option<Segment>,
}

impl<'t> Timeline<'t> {
    /// From `origin`, which is the entry, to `to`; `free` are spans in order that don't touch.
    pub fn new(tariff: &'t Tariff, who: Who, origin: i64, to: i64, free: &'t [(i64, i64)]) -> Self {
        let class = who.class;
        let covered: Vec<&When> = who.covered(tariff).collect();
        let caps: Vec<usize> = (0..tariff.caps.len()).filter(|cap| tariff.caps[*cap].classes & class != 0).collect();
        let rates = tariff.rates.iter().enumerate().filter(|(_, rate)| rate.classes & class != 0);
        let rates: Vec<usize> = rates.map(|(nth, _)| nth).collect();
        let mut edges: Vec<u16> = rates.iter().flat_map(|rate| tariff.rates[*rate].when.edges()).collect();
        edges.extend(caps.iter().flat_map(|cap| tariff.caps[*cap].when.edges()));
        edges.extend(covered.iter().flat_map(|when| when.edges()));
        edges.sort_unstable();
        edges.dedup();
        let (offset, day) = ((0, NONE), (NONE, 0));
        let known = Known::new(rates.len() + caps.len() + covered.len());
        Self { tariff, covered, rates, caps, edges, free, origin, to, at: origin, offset, day, known, read: None }
    }

    /// Up to the next edge of anything, whether or not something changes there.
    fn read(&mut self) -> Option<Segment> {
        let (t, tariff) = (self.at, self.tariff);
        if t >= self.to {
            return None;
        }
        if t >= self.offset.1 {
            self.offset = offset(tariff, t);
        }
        let local = t + self.offset.0;
        let (day, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let minute = u16::try_from(minute).unwrap_or_default();
        let later = self.edges.get(self.edges.partition_point(|edge| *edge <= minute)).copied();
        let mut next = t + i64::from(later.unwrap_or(1_440).min(1_440)) - i64::from(minute);
        next = next.min(self.offset.1).min(self.to);
        let mut every = |base: i64, minutes: i64| {
            let passed = (t - base) / minutes;
            next = next.min(base + (passed + 1) * minutes);
            passed
        };
        let restart = match tariff.restart {
            Restart::Never | Restart::Window => 0,
            Restart::Day => day,
            Restart::Rolling => every(self.origin, DAY),
        };
        self.known.go_to(day);
        let (known, calendar) = (&mut self.known, &tariff.holidays);
        let mut blocks = Vec::with_capacity(self.caps.len());
        for (nth, cap) in self.caps.iter().enumerate() {
            let (place, cap) = (self.rates.len() + nth, &tariff.caps[*cap]);
            blocks.push(match cap.per {
                CapPer::Stay => 0,
                CapPer::Day if known.on(place, &cap.when, calendar, 0) => day,
                CapPer::Day => NONE,
                CapPer::Window => known.begun(place, &cap.when, calendar, minute).unwrap_or(NONE),
                CapPer::Hours { hours, midnight: true } => {
                    if self.day.0 != day {
                        self.day = (day, begin_of(tariff, day));
                    }
                    let nth = every(self.origin.max(self.day.1), hours * 60);
                    // No day has so many hours that two of them would meet.
                    if known.on(place, &cap.when, calendar, 0) { day * 1_000 + nth } else { NONE }
                }
                CapPer::Hours { hours, midnight: false } => {
                    let nth = every(self.origin, hours * 60);
                    let begun = self.origin + nth * hours * 60;
                    let on = cap.when == When::ALWAYS || cap.when.on(&tariff.holidays, civil(tariff, begun).0);
                    if on { nth } else { NONE }
                }
            });
        }
        let span = self.free.get(self.free.partition_point(|(_, end)| *end <= t));
        let state = match span {
            Some((start, end)) if *start <= t => {
                next = next.min(*end);
                State::Free
            }
            other => {
                next = next.min(other.map_or(i64::MAX, |(start, _)| *start));
                let passes = self.rates.len() + self.caps.len();
                let mut covered = self.covered.iter().enumerate();
                if covered.any(|(nth, when)| known.begun(passes + nth, when, calendar, minute).is_some()) {
                    State::Season
                } else {
                    in_force(tariff, &self.rates, known, minute)
                }
            }
        };
        self.at = next;
        Some(Segment { end: next, state, restart, blocks })
    }
}

impl Iterator for Timeline<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let mut segment = self.read.take().or_else(|| self.read())?;
        while let Some(more) = self.read() {
            if !segment.like(&more) {
                self.read = Some(more);
                break;
            }
            segment.end = more.end;
        }
        Some(segment)
    }
}

/// Of each rule, whether days and dates fit, looked up once for a day: a day has many edges, and a calendar many dates.
struct Known {
    day: i64,
    /// On this day, and on the one before.
    on: Vec<[Option<bool>; 2]>,
}

impl Known {
    fn new(rules: usize) -> Self {
        Self { day: NONE, on: vec![[None; 2]; rules] }
    }

    fn go_to(&mut self, day: i64) {
        if self.day == day {
            return;
        }
        let next = self.day.checked_add(1) == Some(day);
        for on in &mut self.on {
            *on = [None, on[0].filter(|_| next)];
        }
        self.day = day;
    }

    /// Whether days and dates of the rule at this place fit the day, or the one before it.
    fn on(&mut self, place: usize, when: &When, calendar: &Calendar, back: usize) -> bool {
        let day = self.day - i64::from(back > 0);
        *self.on[place][back].get_or_insert_with(|| when.on(calendar, day))
    }

    /// As [`When::begun`].
    fn begun(&mut self, place: usize, when: &When, calendar: &Calendar, minute: u16) -> Option<i64> {
        let ago = when.open(minute)?;
        self.on(place, when, calendar, usize::from(ago > 0)).then_some(self.day - ago)
    }
}

/// The first rate that fits. The last of a class always does.
fn in_force(tariff: &Tariff, rates: &[usize], known: &mut Known, minute: u16) -> State {
    let mut fits = |(place, rate): (usize, &usize)| {
        Some((*rate, known.begun(place, &tariff.rates[*rate].when, &tariff.holidays, minute)?))
    };
    match rates.iter().enumerate().find_map(&mut fits) {
        Some((rate, begun)) if matches!(tariff.rates[rate].price, Price::Flat(_)) => State::Rate(rate, begun),
        Some((rate, _)) => State::Rate(rate, 0),
        None => State::Free,
    }
}

fn timestamp(minute: i64) -> Timestamp {
    // Stays are from 2000 to 2100.
    Timestamp::from_second(minute * 60).unwrap_or(Timestamp::MAX)
}

/// What is to be added to UTC for civil time, in minutes, and until when.
fn offset(tariff: &Tariff, t: i64) -> (i64, i64) {
    let at = timestamp(t);
    let offset = i64::from(tariff.zone.to_offset(at).seconds()).div_euclid(60);
    let end = tariff.zone.following(at).next().map_or(i64::MAX, |next| next.timestamp().as_second().div_euclid(60));
    (offset, end.max(t + 1))
}

/// Day and minute of the day at the site.
pub(super) fn civil(tariff: &Tariff, t: i64) -> (i64, u16) {
    let local = t + i64::from(tariff.zone.to_offset(timestamp(t)).seconds()).div_euclid(60);
    (local.div_euclid(DAY), u16::try_from(local.rem_euclid(DAY)).unwrap_or_default())
}

/// The first minute of a civil day.
pub(super) fn begin_of(tariff: &Tariff, day: i64) -> i64 {
    at_civil(tariff, day, 0)
}

/// When it is that time on that day. A time that is left out is as much later as clocks are put forward; of one that comes
/// twice the first.
pub(super) fn at_civil(tariff: &Tariff, day: i64, minute: u16) -> i64 {
    let minute = i8::try_from(minute / 60).ok().zip(i8::try_from(minute % 60).ok());
    let (hour, minute) = minute.unwrap_or_default();
    let civil = date_of(day).at(hour, minute, 0, 0);
    let at = tariff.zone.to_ambiguous_timestamp(civil).compatible();
    at.map_or(i64::MAX / 120, |at| at.as_second().div_euclid(60))
}
