//! What time costs: steps and flat prices, less what caps take away.
//!
//! Equal steps within one segment are one piece, and a cap keeps few blocks at a time; so memory follows the lines of the bill and
//! not the length of the stay.

use std::collections::BTreeSet;

use super::bill::{Lines, Reason};
use super::timeline::{NONE, Segment, State, Timeline, Who};
use super::window::DAY;
use super::{Cap, Crossing, Price, Restart, Rounding, Step, Tariff};
use crate::vocabulary::Minor;

/// Blocks of a cap that something may still be charged in: where clocks are put back over midnight, yesterday's comes again.
const OPEN: usize = 4;
/// What a cap takes away in more blocks than these is one line.
const BLOCKS: usize = 1_000;

/// From `entry` to `exit`; `free` are spans that cost nothing, in order, and don't touch.
pub(super) fn by_time(tariff: &Tariff, who: Who, entry: i64, exit: i64, free: &[(i64, i64)]) -> Lines {
    let end = (exit - tariff.grace.leaving).max(entry);
    let timeline = Timeline::new(tariff, who, entry, end, free);
    let caps = timeline.caps.iter().map(|cap| Limit::new(&tariff.caps[*cap])).collect();
    let mut meter = Meter { tariff, season: who.season.unwrap_or_default(), lines: Lines::new(), caps };
    meter.run(timeline, entry, end);
    let Meter { mut lines, caps, .. } = meter;
    if end < exit {
        lines.add(Reason::Leaving { minutes: tariff.grace.leaving }, end, exit, 0);
    }
    for cap in caps {
        cap.finish(&mut lines);
    }
    lines
}

/// Of one block of a cap: what was asked so far, what is too much, and when.
struct Block {
    sum: Minor,
    over: Minor,
    from: i64,
    to: i64,
}

struct Limit<'t> {
    cap: &'t Cap,
    /// By their names, in order; few, and mostly the last is asked for.
    open: Vec<(i64, Block)>,
    closed: Vec<Block>,
}

impl<'t> Limit<'t> {
    fn new(cap: &'t Cap) -> Self {
        Self { cap, open: Vec::with_capacity(OPEN + 1), closed: Vec::new() }
    }

    /// What is left of `amount`.
    fn take(&mut self, name: i64, from: i64, to: i64, amount: Minor) -> Minor {
        if name == NONE {
            return amount;
        }
        let place = self.open.iter().rposition(|(known, _)| *known <= name);
        let place = match place {
            Some(place) if self.open[place].0 == name => place,
            before => {
                let place = before.map_or(0, |before| before + 1);
                self.open.insert(place, (name, Block { sum: 0, over: 0, from, to }));
                place
            }
        };
        let block = &mut self.open[place].1;
        let over = (block.sum + amount - self.cap.amount).max(0);
        block.sum += amount - over;
        block.over += over;
        block.to = to;
        if self.open.len() > OPEN {
            self.close();
        }
        amount - over
    }

    fn close(&mut self) {
        let (_, block) = self.open.remove(0);
        let many = self.closed.len() >= BLOCKS;
        match self.closed.last_mut() {
            _ if block.over == 0 => {}
            Some(last) if many => {
                last.over += block.over;
                last.to = last.to.max(block.to);
            }
            _ => self.closed.push(block),
        }
    }

    fn finish(mut self, lines: &mut Lines) {
        while !self.open.is_empty() {
            self.close();
        }
        let Cap { amount, per, .. } = *self.cap;
        for Block { over, from, to, .. } in self.closed {
            lines.add(Reason::Cap { amount, per }, from, to, -over);
        }
    }
}

/// Where a rate is in its list: at which step, and how many of it have begun.
#[derive(Clone, Copy, Default)]
struct Position {
    step: usize,
    begun: i64,
    restart: i64,
}

struct Meter<'t> {
    tariff: &'t Tariff,
    /// Where time is covered.
    season: usize,
    lines: Lines,
    caps: Vec<Limit<'t>>,
}

impl Meter<'_> {
    fn add(&mut self, segment: &Segment, reason: Reason, from: i64, to: i64, amount: Minor) {
        self.lines.add(reason, from, to, amount);
        let mut left = amount;
        for (cap, block) in self.caps.iter_mut().zip(&segment.blocks) {
            left = cap.take(*block, from, to, left);
        }
    }

    fn run(&mut self, timeline: Timeline<'_>, entry: i64, end: i64) {
        let tariff = self.tariff;
        let mut positions = vec![Position::default(); tariff.rates.len()];
        let mut flats = BTreeSet::new();
        // The rate before, and the flat price whose line still goes on.
        let (mut before, mut flat) = (None, None);
        let mut t = entry;
        for segment in timeline {
            // A step may have gone on into it, or past it.
            while t < segment.end {
                let (rate, begun) = match segment.state {
                    State::Free => {
                        self.add(&segment, Reason::Free { minutes: segment.end - t }, t, segment.end, 0);
                        (t, before, flat) = (segment.end, None, None);
                        continue;
                    }
                    State::Season => {
                        self.add(&segment, Reason::Season { season: self.season }, t, segment.end, 0);
                        (t, before, flat) = (segment.end, None, None);
                        continue;
                    }
                    State::Rate(rate, begun) => (rate, begun),
                };
                t = match &tariff.rates[rate].price {
                    Price::Free => {
                        self.add(&segment, Reason::FreeRate { rate }, t, segment.end, 0);
                        flat = None;
                        segment.end
                    }
                    Price::Flat(price) => {
                        if flats.insert((rate, begun)) {
                            self.add(&segment, Reason::Flat { rate }, t, segment.end, *price);
                        } else if flat == Some((rate, begun)) {
                            self.lines.extend(segment.end);
                        } else {
                            self.add(&segment, Reason::FlatPaid { rate }, t, segment.end, 0);
                        }
                        flat = Some((rate, begun));
                        segment.end
                    }
                    Price::Steps { steps, rounding } => {
                        let position = &mut positions[rate];
                        let again = tariff.restart == Restart::Window && before != Some(rate);
                        if again || position.restart != segment.restart {
                            *position = Position { restart: segment.restart, ..Position::default() };
                        }
                        flat = None;
                        let run = steps_from(steps, position, segment.end - t);
                        self.steps(&segment, rate, run, *rounding, t, end)
                    }
                };
                before = Some(rate);
            }
        }
    }

    /// Charges steps that begin at `t`, and says where they end.
    fn steps(&mut self, segment: &Segment, rate: usize, run: Run, rounding: Rounding, t: i64, end: i64) -> i64 {
        let Run { minutes, price, count } = run;
        let own = t + minutes * count;
        let boundary = segment.end < own && segment.end < end;
        let (to, rounding) = match self.tariff.crossing {
            Crossing::Cut if boundary => (segment.end, rounding),
            Crossing::Split if boundary => (segment.end, Rounding::Minute),
            _ if own <= end => (own, Rounding::Up),
            _ => (end, rounding),
        };
        let (reason, amount) = match rounding {
            Rounding::Up => (Reason::Steps { rate, count, minutes, price }, price * count),
            Rounding::Down => (Reason::Incomplete { rate, of: minutes }, 0),
            Rounding::Minute => {
                (Reason::Minutes { rate, minutes: to - t, of: minutes, price }, part(price, to - t, minutes))
            }
        };
        self.add(segment, reason, t, to, amount);
        to
    }
}

/// Equal steps one after the other.
struct Run {
    minutes: i64,
    price: Minor,
    count: i64,
}

/// As many steps as are equal and end within `room`, and one where none does.
fn steps_from(steps: &[Step], position: &mut Position, room: i64) -> Run {
    let last = steps.len().saturating_sub(1);
    if position.step < last && position.begun >= i64::from(steps[position.step].times) {
        (position.step, position.begun) = (position.step + 1, 0);
    }
    // The parser wants at least one.
    let step = steps.get(position.step).copied().unwrap_or(Step { minutes: DAY, price: 0, times: 1 });
    let Step { minutes, price, times } = step;
    let left = if position.step < last { i64::from(times) - position.begun } else { i64::MAX };
    let count = (room / minutes).clamp(1, left);
    position.begun += count;
    Run { minutes, price, count }
}

/// A part of a price, halves up.
pub(super) fn part(price: Minor, minutes: i64, of: i64) -> Minor {
    let (part, of) = (i128::from(price) * i128::from(minutes), i128::from(of));
    Minor::try_from((part * 2 + of) / (of * 2)).unwrap_or_default()
}
