//! From a stay to its bill.

use std::collections::{BTreeMap, BTreeSet};

use super::bill::{self, Lines, Reason, tax_reason};
use super::timeline::{NONE, State, Timeline, at_civil, begin_of, civil};
use super::window::DAY;
use super::{
    Applies, Bill, Classes, Crossing, Entry, Exceeded, Fixed, FreePer, LastMinute, Lost, Price, Restart, Rounding,
    Stay, Step, Tariff, Worth,
};
use crate::vocabulary::{Minor, Wall};

/// Ten years.
const LONGEST: i64 = 3_653 * DAY;

/// Why a stay has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    #[error("the exit is before the entry; write the later instant as the exit")]
    Backwards,
    #[error("a stay of more than ten years has no price; look at the entry")]
    TooLong,
    #[error("an instant is not between the years 2000 and 2100; look at the clock")]
    NoSuchTime,
    #[error("the tariff has no class `{0}`; there is: {1}")]
    UnknownClass(String, String),
    #[error("the tariff has no validation `{0}`; there is: {1}")]
    UnknownValidation(String, String),
    #[error("the tariff has no rule for lost tickets; write [lost] in its file")]
    NoLostRule,
}

/// What a stay costs, if it is paid as it ends.
///
/// # Errors
/// It is not a stay that this tariff has a price for.
pub fn fee(tariff: &Tariff, stay: &Stay) -> Result<Bill, FeeError> {
    let exit = instant(stay.exit)?;
    let class = class_of(tariff, stay)?;
    let mut worths = Vec::new();
    for name in stay.validations.iter().collect::<BTreeSet<_>>() {
        let known = tariff.validations.iter().find(|known| known.name == *name);
        let Some(known) = known else {
            let names: Vec<&str> = tariff.validations.iter().map(|known| known.name.as_str()).collect();
            return Err(FeeError::UnknownValidation(name.to_string(), list(&names)));
        };
        worths.push(known.worth);
    }
    let (case, mut lines) = match stay.entry {
        Entry::At(entry) => {
            let entry = instant(entry)?;
            check(entry, exit)?;
            let exit = counted(tariff, exit);
            let case = Case { entry, exit, class, free_used: i64::from(stay.free_used), bare: false };
            let lines = priced(tariff, &case);
            (case, lines)
        }
        Entry::Lost => lost(tariff, exit, class)?,
    };
    validate(tariff, &case, &worths, &mut lines);
    Ok(finish(tariff, &case, lines))
}

/// The end of the stay as it is counted.
pub(super) fn counted(tariff: &Tariff, exit: i64) -> i64 {
    exit + i64::from(tariff.last_minute == LastMinute::Included)
}

/// A stay in minutes since 1970, without the minute that `exit` is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub entry: i64,
    pub exit: i64,
    pub class: Classes,
    pub free_used: i64,
    /// Nothing is free but what a rate says, and no fixed price counts.
    pub bare: bool,
}

pub(super) fn instant(wall: Wall) -> Result<i64, FeeError> {
    bill::minute(wall).ok_or(FeeError::NoSuchTime)
}

pub(super) fn check(entry: i64, exit: i64) -> Result<(), FeeError> {
    match exit - entry {
        ..0 => Err(FeeError::Backwards),
        0..=LONGEST => Ok(()),
        _ => Err(FeeError::TooLong),
    }
}

pub(super) fn class_of(tariff: &Tariff, stay: &Stay) -> Result<Classes, FeeError> {
    let Some(class) = &stay.class else { return Ok(1) };
    let nth = tariff.classes.iter().position(|known| known == class);
    nth.map(|nth| 1 << nth).ok_or_else(|| {
        let names: Vec<&str> = tariff.classes.iter().map(super::Label::as_str).collect();
        FeeError::UnknownClass(class.to_string(), list(&names))
    })
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Tax, and the sum.
pub(super) fn finish(tariff: &Tariff, case: &Case, mut lines: Lines) -> Bill {
    let tax = tariff.tax.map_or(0, |tax| {
        let net = lines.sum();
        if tax.included {
            return tax.rate.within(net);
        }
        let part = (i128::from(net) * i128::from(tax.rate.ppm()) * 2 + 1_000_000) / 2_000_000;
        let part = Minor::try_from(part).unwrap_or_default();
        lines.add(tax_reason(tax.rate), case.entry, case.exit, part);
        part
    });
    Bill { amount: lines.sum(), currency: tariff.currency, tax, lines: lines.lines }
}

/// A part of a price, halves up.
fn part(price: Minor, minutes: i64, of: i64) -> Minor {
    let (part, of) = (i128::from(price) * i128::from(minutes), i128::from(of));
    Minor::try_from((part * 2 + of) / (of * 2)).unwrap_or_default()
}

fn lost(tariff: &Tariff, exit: i64, class: Classes) -> Result<(Case, Lines), FeeError> {
    let end = counted(tariff, exit);
    let case = |entry| Case { entry, exit: end, class, free_used: 0, bare: true };
    match tariff.lost {
        None => Err(FeeError::NoLostRule),
        Some(Lost::Price(price)) => {
            let mut lines = Lines::new();
            lines.add(Reason::LostTicket, end, end, price);
            Ok((case(end), lines))
        }
        Some(Lost::Since { minute, surcharge }) => {
            let (day, _) = civil(tariff, end);
            let today = at_civil(tariff, day, minute);
            let entry = if today < end { today } else { at_civil(tariff, day - 1, minute) };
            let case = case(entry);
            let mut lines = priced(tariff, &case);
            if surcharge > 0 {
                lines.add(Reason::LostSurcharge, entry, end, surcharge);
            }
            Ok((case, lines))
        }
    }
}

/// Minutes, then percent, then amounts; never below nothing.
fn validate(tariff: &Tariff, case: &Case, worths: &[Worth], lines: &mut Lines) {
    let sum = |of: fn(&Worth) -> Option<i64>| worths.iter().filter_map(of).sum::<i64>();
    let minutes = sum(|worth| if let Worth::Minutes(minutes) = worth { Some(*minutes) } else { None });
    if minutes > 0 {
        let first = Case { exit: case.exit.min(case.entry + minutes), ..*case };
        let worth = priced(tariff, &first).sum().min(lines.sum());
        lines.add(Reason::ValidatedMinutes { minutes }, first.entry, first.exit, -worth);
    }
    let percent = sum(|worth| if let Worth::Percent(percent) = worth { Some(*percent) } else { None }).min(100);
    if percent > 0 {
        let worth = part(lines.sum(), percent, 100);
        lines.add(Reason::ValidatedPercent { percent }, case.entry, case.exit, -worth);
    }
    let amount = sum(|worth| if let Worth::Amount(amount) = worth { Some(*amount) } else { None });
    if amount > 0 {
        let worth = amount.min(lines.sum());
        lines.add(Reason::ValidatedAmount { amount }, case.entry, case.exit, -worth);
    }
}

/// Without validations and tax.
pub(super) fn priced(tariff: &Tariff, case: &Case) -> Lines {
    let Case { entry, exit, bare, .. } = *case;
    let mut lines = Lines::new();
    if entry == exit {
        return lines;
    }
    if !bare && tariff.grace.entry > 0 && exit - entry <= tariff.grace.entry {
        lines.add(Reason::ShortStay { minutes: tariff.grace.entry }, entry, exit, 0);
        return lines;
    }
    let free = if bare { Vec::new() } else { free(tariff, case) };
    if free.first().is_some_and(|(from, to)| *from <= entry && *to >= exit) {
        lines.add(Reason::Free { minutes: exit - entry }, entry, exit, 0);
        return lines;
    }
    let fixed = tariff.fixed.iter().enumerate().find(|(_, fixed)| !bare && fits(tariff, fixed, case));
    if let Some((nth, Fixed { price, applies, .. })) = fixed {
        let by_time = if *applies == Applies::Always { None } else { Some(by_time(tariff, case, &free)) };
        match by_time {
            Some(by_time) if by_time.sum() <= *price => return by_time,
            _ => lines.add(Reason::Fixed { fixed: nth }, entry, exit, *price),
        }
        return lines;
    }
    by_time(tariff, case, &free)
}

fn fits(tariff: &Tariff, fixed: &Fixed, case: &Case) -> bool {
    let (day, minute) = civil(tariff, case.entry);
    let exit = case.exit - i64::from(tariff.last_minute == LastMinute::Included);
    // An instant, so that clocks that are put back bring no price back.
    let instant = |out: i64| at_civil(tariff, day + out / DAY, u16::try_from(out % DAY).unwrap_or_default());
    fixed.classes & case.class != 0
        && fixed.when.begun(&tariff.holidays, day, minute).is_some()
        && fixed.out_from.is_none_or(|from| exit >= instant(from))
        && fixed.out_until.is_none_or(|until| exit <= instant(until))
        && fixed.longest.is_none_or(|longest| exit - case.entry <= longest)
}

/// The spans that cost nothing, in order.
fn free(tariff: &Tariff, case: &Case) -> Vec<(i64, i64)> {
    let Some(free) = tariff.free else { return Vec::new() };
    let Case { entry, exit, free_used, .. } = *case;
    let left = (free.minutes - free_used).max(0);
    let span = |from: i64, to: i64, minutes: i64| match free.exceeded {
        Exceeded::Deducted => (from, to.min(from + minutes)),
        Exceeded::Lost if to - from <= minutes => (from, to),
        Exceeded::Lost => (from, from),
    };
    let mut spans = Vec::new();
    match free.per {
        FreePer::Stay => spans.push(span(entry, exit, left)),
        FreePer::Day => {
            let (first, last) = (civil(tariff, entry).0, civil(tariff, exit).0);
            for day in first..=last {
                let from = begin_of(tariff, day).max(entry);
                let to = begin_of(tariff, day + 1).min(exit);
                let minutes = if day == first { left } else { free.minutes };
                if from < to {
                    spans.push(span(from, to, minutes));
                }
            }
        }
    }
    spans.retain(|(from, to)| from < to);
    // Days that are free as a whole touch each other.
    spans.dedup_by(|later, earlier| {
        let touch = earlier.1 == later.0;
        if touch {
            earlier.1 = later.1;
        }
        touch
    });
    spans
}

struct Piece {
    reason: Reason,
    from: i64,
    to: i64,
    amount: Minor,
    /// Of its beginning.
    segment: usize,
}

/// By rates and caps.
fn by_time(tariff: &Tariff, case: &Case, free: &[(i64, i64)]) -> Lines {
    let Case { entry, exit, class, .. } = *case;
    let end = (exit - tariff.grace.leaving).max(entry);
    let timeline = Timeline::new(tariff, class, entry, end, free);
    let mut pieces = pieces(tariff, &timeline, entry, end);
    let mut lines = Lines::new();
    for Piece { reason, from, to, amount, .. } in &pieces {
        lines.add(*reason, *from, *to, *amount);
    }
    if end < exit {
        lines.add(Reason::Leaving { minutes: tariff.grace.leaving }, end, exit, 0);
    }
    for (nth, cap) in timeline.caps.iter().enumerate() {
        let cap = &tariff.caps[*cap];
        /// Of one block: what was asked so far, what is too much, and when.
        struct Block {
            sum: Minor,
            over: Minor,
            from: i64,
            to: i64,
        }
        let mut blocks: BTreeMap<i64, Block> = BTreeMap::new();
        for piece in &mut pieces {
            let block = timeline.block(piece.segment, nth);
            if block == NONE {
                continue;
            }
            let block = blocks.entry(block).or_insert(Block { sum: 0, over: 0, from: piece.from, to: piece.to });
            let over = (block.sum + piece.amount - cap.amount).max(0);
            piece.amount -= over;
            block.sum += piece.amount;
            block.over += over;
            block.to = piece.to;
        }
        for Block { over, from, to, .. } in blocks.into_values().filter(|block| block.over > 0) {
            lines.add(Reason::Cap { amount: cap.amount, per: cap.per }, from, to, -over);
        }
    }
    lines
}

/// Where a rate is in its list.
#[derive(Clone, Copy, Default)]
struct Position {
    begun: u64,
    restart: i64,
}

fn pieces(tariff: &Tariff, timeline: &Timeline, entry: i64, end: i64) -> Vec<Piece> {
    let segments = &timeline.segments;
    let mut pieces = Vec::new();
    let mut positions = vec![Position::default(); tariff.rates.len()];
    let mut flats = BTreeSet::new();
    let mut before = None;
    let (mut t, mut at) = (entry, 0);
    while t < end {
        while segments[at].end <= t {
            at += 1;
        }
        let segment = segments[at];
        let mut piece = |reason, to: i64, amount| pieces.push(Piece { reason, from: t, to, amount, segment: at });
        let same = |other: &super::timeline::Segment| other.state == segment.state;
        let until = || segments[at..].iter().take_while(|other| same(other)).last().map_or(end, |last| last.end);
        let rate = match segment.state {
            State::Free => {
                piece(Reason::Free { minutes: segment.end - t }, segment.end, 0);
                (t, before) = (segment.end, None);
                continue;
            }
            State::Rate(rate, begun) => match &tariff.rates[rate].price {
                Price::Steps { steps, rounding } => (rate, steps, *rounding),
                Price::Free => {
                    piece(Reason::FreeRate { rate }, segment.end, 0);
                    (t, before) = (segment.end, Some(rate));
                    continue;
                }
                Price::Flat(price) => {
                    let until = until();
                    if flats.insert((rate, begun)) {
                        piece(Reason::Flat { rate }, until, *price);
                    } else {
                        piece(Reason::FlatPaid { rate }, until, 0);
                    }
                    (t, before) = (until, Some(rate));
                    continue;
                }
            },
        };
        let (rate, steps, rounding) = rate;
        let position = &mut positions[rate];
        let again = tariff.restart == Restart::Window && before != Some(rate);
        if again || position.restart != segment.restart {
            *position = Position { begun: 0, restart: segment.restart };
        }
        let Step { minutes, price, .. } = step(steps, position.begun);
        position.begun += 1;
        before = Some(rate);
        let whole = t + minutes;
        let cut = match tariff.crossing {
            Crossing::RunsOn => None,
            Crossing::Cut | Crossing::Split => {
                segments[at + 1..].iter().take_while(|next| next.start < whole).find(|next| next.boundary)
            }
        };
        let (to, rounding) = match cut {
            Some(next) if tariff.crossing == Crossing::Split => (next.start, Rounding::Minute),
            Some(next) => (next.start, rounding),
            None if whole <= end => (whole, Rounding::Up),
            None => (end, rounding),
        };
        match rounding {
            Rounding::Up => piece(Reason::Steps { rate, count: 1, minutes, price }, to, price),
            Rounding::Down => piece(Reason::Incomplete { rate, of: minutes }, to, 0),
            Rounding::Minute => {
                let amount = part(price, to - t, minutes);
                piece(Reason::Minutes { rate, minutes: to - t, of: minutes, price }, to, amount);
            }
        }
        t = to;
    }
    pieces
}

/// The step after so many; the last again and again.
fn step(steps: &[Step], begun: u64) -> Step {
    let mut passed = 0;
    for step in steps {
        passed += u64::from(step.times);
        if begun < passed {
            return *step;
        }
    }
    // The parser wants at least one.
    steps.last().copied().unwrap_or(Step { minutes: DAY, price: 0, times: 1 })
}
