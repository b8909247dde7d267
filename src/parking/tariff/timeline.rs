//! A stay cut where anything changes: the rate in force, a free time, a day, a block of a cap.
//!
//! Instants are minutes of UTC since 1970. Between two changes of the zone's offset, civil time is one addition away.

use jiff::Timestamp;

use super::window::{DAY, date_of};
use super::{CapPer, Classes, Price, Restart, Tariff};

/// No block: the cap does not hold here.
pub(super) const NONE: i64 = i64::MIN;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// By its place, and the day on which a flat one's window began.
    Rate(usize, i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub start: i64,
    pub end: i64,
    pub state: State,
    /// Steps begin anew where it differs.
    pub restart: i64,
    /// Something is not as it was in the segment before.
    pub boundary: bool,
}

pub(super) struct Timeline {
    pub segments: Vec<Segment>,
    /// By their place in the tariff.
    pub caps: Vec<usize>,
    /// A row of caps a segment.
    blocks: Vec<i64>,
}

impl Timeline {
    /// From `origin`, which is the entry, to `to`; `free` are spans in order that don't touch.
    pub fn new(tariff: &Tariff, class: Classes, origin: i64, to: i64, free: &[(i64, i64)]) -> Self {
        let caps = (0..tariff.caps.len()).filter(|cap| tariff.caps[*cap].classes & class != 0).collect();
        let mut line = Self { segments: Vec::new(), caps, blocks: Vec::new() };
        let rates = tariff.rates.iter().enumerate().filter(|(_, rate)| rate.classes & class != 0);
        let rates: Vec<usize> = rates.map(|(nth, _)| nth).collect();
        let mut edges: Vec<u16> = rates.iter().flat_map(|rate| tariff.rates[*rate].when.edges()).collect();
        edges.extend(line.caps.iter().flat_map(|cap| tariff.caps[*cap].when.edges()));
        edges.sort_unstable();
        edges.dedup();
        let mut row = Vec::new();
        let mut day_start = (NONE, 0);
        let mut t = origin;
        while t < to {
            let (offset, end) = offset(tariff, t);
            let end = end.min(to);
            while t < end {
                let local = t + offset;
                let (day, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY));
                let minute = u16::try_from(minute).unwrap_or_default();
                let later = edges.get(edges.partition_point(|edge| *edge <= minute)).copied();
                let mut next = end.min(t + i64::from(later.unwrap_or(1_440).min(1_440)) - i64::from(minute));
                let mut every = |base: i64, minutes: i64| {
                    let start = base + (t - base) / minutes * minutes;
                    next = next.min(start + minutes);
                    start
                };
                let restart = match tariff.restart {
                    Restart::Never | Restart::Window => 0,
                    Restart::Day => day,
                    Restart::Rolling => every(origin, DAY),
                };
                row.clear();
                for cap in &line.caps {
                    let cap = &tariff.caps[*cap];
                    row.push(match cap.per {
                        CapPer::Stay => 0,
                        CapPer::Day if cap.when.on(&tariff.holidays, day) => day,
                        CapPer::Day => NONE,
                        CapPer::Window => cap.when.begun(&tariff.holidays, day, minute).unwrap_or(NONE),
                        CapPer::Hours { hours, midnight: true } => {
                            if day_start.0 != day {
                                day_start = (day, begin_of(tariff, day));
                            }
                            let start = every(origin.max(day_start.1), hours * 60);
                            if cap.when.on(&tariff.holidays, day) { start } else { NONE }
                        }
                        CapPer::Hours { hours, midnight: false } => {
                            let start = every(origin, hours * 60);
                            if cap.when.on(&tariff.holidays, civil(tariff, start).0) { start } else { NONE }
                        }
                    });
                }
                let span = free.get(free.partition_point(|(_, end)| *end <= t));
                let state = match span {
                    Some((start, end)) if *start <= t => {
                        next = next.min(*end);
                        State::Free
                    }
                    other => {
                        next = next.min(other.map_or(i64::MAX, |(start, _)| *start));
                        in_force(tariff, &rates, day, minute)
                    }
                };
                line.add(Segment { start: t, end: next, state, restart, boundary: true }, &row);
                t = next;
            }
        }
        line
    }

    fn add(&mut self, mut segment: Segment, row: &[i64]) {
        if let Some(last) = self.segments.last_mut() {
            let before = &self.blocks[self.blocks.len() - row.len()..];
            segment.boundary = last.state != segment.state || last.restart != segment.restart || before != row;
            if !segment.boundary {
                last.end = segment.end;
                return;
            }
        }
        self.segments.push(segment);
        self.blocks.extend_from_slice(row);
    }

    /// The block of the `nth` of [`Self::caps`].
    pub fn block(&self, segment: usize, nth: usize) -> i64 {
        self.blocks[segment * self.caps.len() + nth]
    }
}

/// The first rate that fits. The last of a class always does.
fn in_force(tariff: &Tariff, rates: &[usize], day: i64, minute: u16) -> State {
    let fits = |rate: &usize| Some((*rate, tariff.rates[*rate].when.begun(&tariff.holidays, day, minute)?));
    match rates.iter().find_map(fits) {
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
