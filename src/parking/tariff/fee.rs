//! From a stay to its bill.

use std::collections::BTreeSet;

use super::bill::{self, Lines, Reason, tax_reason};
use super::time::{by_time, part};
use super::timeline::{Who, at_civil, begin_of, civil};
use super::window::DAY;
use super::{Applies, Bill, Classes, Entry, Exceeded, Fixed, FreePer, LastMinute, Lost, Stay, Tariff, Worth};
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
    #[error("the tariff has no season pass `{0}`; there is: {1}")]
    UnknownSeason(String, String),
    #[error("the tariff has no rule for lost tickets; write [lost] in its file")]
    NoLostRule,
}

/// What a stay costs, if it is paid as it ends.
///
/// # Errors
/// It is not a stay that this tariff has a price for.
pub fn fee(tariff: &Tariff, stay: &Stay) -> Result<Bill, FeeError> {
    seen(tariff, stay, i64::MAX)
}

/// As [`fee`]; the loss of a ticket was told at `told` or at the exit, whichever is earlier.
pub(super) fn seen(tariff: &Tariff, stay: &Stay, told: i64) -> Result<Bill, FeeError> {
    let exit = instant(stay.exit)?;
    let who = who(tariff, stay)?;
    let mut worths = stay.worths.clone();
    for name in stay.validations.iter().collect::<BTreeSet<_>>() {
        let known = tariff.validations.iter().find(|known| known.name == *name);
        let Some(known) = known else {
            let names: Vec<&str> = tariff.validations.iter().map(|known| known.name.as_str()).collect();
            return Err(FeeError::UnknownValidation(name.to_string(), list(&names)));
        };
        worths.push(known.worth);
    }
    let mut before = None;
    let (case, mut lines) = match stay.entry {
        Entry::At(entry) => {
            let entry = instant(entry)?;
            check(entry, exit)?;
            before = returned(tariff, stay, entry)?;
            let entry = before.map_or(entry, |(first, _)| first);
            check(entry, exit)?;
            let exit = counted(tariff, exit);
            let case = Case { entry, exit, who, free_used: i64::from(stay.free_used), bare: false };
            let lines = priced(tariff, &case);
            (case, lines)
        }
        Entry::Lost => lost(tariff, exit, told, who)?,
    };
    validate(tariff, &case, &worths, &mut lines);
    let bill = finish(tariff, &case, lines);
    Ok(match before {
        Some((until, paid)) => without(tariff, bill, case.entry, until.max(case.entry), paid),
        None => bill,
    })
}

/// The visit before that this one goes on with: its entry, and what was paid.
fn returned(tariff: &Tariff, stay: &Stay, entry: i64) -> Result<Option<(i64, Minor)>, FeeError> {
    let (Some(within), Some(visit)) = (tariff.re_entry, stay.visit) else { return Ok(None) };
    let (first, out) = (instant(visit.entry)?, instant(visit.exit)?);
    // Clocks of two lanes are not the same, so it may come in before it was out.
    Ok((entry - out <= within).then_some((first.min(entry), visit.paid)))
}

/// What is left of a bill after `paid`, and its part of the tax.
pub(super) fn without(tariff: &Tariff, bill: Bill, from: i64, to: i64, paid: Minor) -> Bill {
    let mut lines = Lines { lines: bill.lines };
    lines.add(Reason::AlreadyPaid, from, to, -paid.clamp(0, bill.amount));
    let amount = lines.sum();
    let tax = tariff.tax.map_or(0, |tax| tax.rate.within(amount));
    Bill { amount, tax, lines: lines.lines, ..bill }
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
    pub who: Who,
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

pub(super) fn who(tariff: &Tariff, stay: &Stay) -> Result<Who, FeeError> {
    let class = class_of(tariff, stay)?;
    let Some(name) = &stay.season else { return Ok(Who { class, season: None }) };
    let season = tariff.seasons.iter().position(|known| known.name == *name).ok_or_else(|| {
        let names: BTreeSet<&str> = tariff.seasons.iter().map(|known| known.name.as_str()).collect();
        FeeError::UnknownSeason(name.to_string(), list(&names.into_iter().collect::<Vec<_>>()))
    })?;
    Ok(Who { class, season: Some(season) })
}

fn class_of(tariff: &Tariff, stay: &Stay) -> Result<Classes, FeeError> {
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

fn lost(tariff: &Tariff, exit: i64, told: i64, who: Who) -> Result<(Case, Lines), FeeError> {
    let end = counted(tariff, exit);
    let case = |entry| Case { entry, exit: end, who, free_used: 0, bare: true };
    match tariff.lost {
        None => Err(FeeError::NoLostRule),
        Some(Lost::Price(price)) => {
            let mut lines = Lines::new();
            lines.add(Reason::LostTicket, end, end, price);
            Ok((case(end), lines))
        }
        Some(Lost::Since { minute, surcharge }) => {
            let entry = since(tariff, counted(tariff, exit.min(told)), minute);
            check(entry, exit)?;
            let case = case(entry);
            let mut lines = priced(tariff, &case);
            if surcharge > 0 {
                lines.add(Reason::LostSurcharge, entry, end, surcharge);
            }
            Ok((case, lines))
        }
    }
}

/// When it was last that time of the day before `end`.
fn since(tariff: &Tariff, end: i64, minute: u16) -> i64 {
    let (day, _) = civil(tariff, end);
    // A site that moves over the date line leaves a day out.
    let mut last = (0..3).map(|back| at_civil(tariff, day - back, minute));
    last.find(|at| *at < end).unwrap_or(end)
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

/// Without validations and tax. Nobody pays more for having a pass.
pub(super) fn priced(tariff: &Tariff, case: &Case) -> Lines {
    let lines = as_it_is(tariff, case);
    if case.who.season.is_none() {
        return lines;
    }
    let other = as_it_is(tariff, &Case { who: Who { season: None, ..case.who }, ..*case });
    if other.sum() < lines.sum() { other } else { lines }
}

fn as_it_is(tariff: &Tariff, case: &Case) -> Lines {
    let Case { entry, exit, who, bare, .. } = *case;
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
        // What a pass covers costs nothing, whatever is asked for the whole.
        let always = *applies == Applies::Always && who.season.is_none();
        let by_time = if always { None } else { Some(by_time(tariff, who, entry, exit, &free)) };
        match by_time {
            Some(by_time) if by_time.sum() <= *price => return by_time,
            _ => lines.add(Reason::Fixed { fixed: nth }, entry, exit, *price),
        }
        return lines;
    }
    by_time(tariff, who, entry, exit, &free)
}

fn fits(tariff: &Tariff, fixed: &Fixed, case: &Case) -> bool {
    let (day, minute) = civil(tariff, case.entry);
    let begun = fixed.when.begun(&tariff.holidays, day, minute).filter(|_| fixed.classes & case.who.class != 0);
    let Some(day) = begun else { return false };
    // What somebody reads on a clock is the real exit; a length is the counted one.
    let exit = case.exit - i64::from(tariff.last_minute == LastMinute::Included);
    // An instant, so that clocks that are put back bring no price back.
    let instant = |out: i64| at_civil(tariff, day + out / DAY, u16::try_from(out % DAY).unwrap_or_default());
    fixed.out_from.is_none_or(|from| exit >= instant(from))
        && fixed.out_until.is_none_or(|until| exit <= instant(until))
        && fixed.longest.is_none_or(|longest| case.exit - case.entry <= longest)
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
            let mut day = civil(tariff, entry).0;
            let (mut from, mut minutes) = (entry, left);
            // Not to the exit's day: where clocks go back over midnight, a later one can have begun.
            while from < exit {
                day += 1;
                let to = begin_of(tariff, day).clamp(from, exit);
                spans.push(span(from, to, minutes));
                (from, minutes) = (to, free.minutes);
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
