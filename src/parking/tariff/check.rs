//! What the author of a tariff may not have meant. Each warning names the minute and the amounts.
//!
//! The parser has refused gaps already. What is looked at here is tried out: entries around every edge of a rule, on a day of
//! each kind that the year has, and stays of every minute of a day and of every hour of a week.

use std::collections::BTreeSet;
use std::fmt;

use jiff::tz::TimeZone;

use super::bill::{minute, wall};
use super::table::clock;
use super::timeline::{at_civil, civil};
use super::window::{DAY, date_of};
use super::{Calendar, CapPer, Days, Label, Price, Rate, Stay, Tariff, When, fee};
use crate::vocabulary::{Currency, Language, Minor, Money, Wall};

/// So many of one kind; others like them follow from the same rule.
const MOST: usize = 8;
/// Entries that are tried out, of each class.
const ENTRIES: usize = 300;
/// Days that are looked at.
const AHEAD: i64 = 731;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A longer stay costs less.
    Falls { class: Label, entry: String, exit: String, before: Money, later: String, after: Money },
    /// One minute more costs more than any single price of the file.
    Jumps { class: Label, entry: String, exit: String, before: Money, after: Money },
    /// Two rates with hours, days or dates hold at the same minute.
    Overlap { class: Label, at: String, counts: String, other: String },
    /// In two years no minute is found where it counts.
    Never { rule: String },
    /// An edge of a rule is left out, or comes twice, when clocks change.
    Clock { at: String, twice: bool },
    /// The same times of the clock cost something else in the night in which clocks change.
    Night { entry: String, exit: String, amount: Money, week_before: Money },
    /// Rules for holidays go on, and the list of them does not.
    HolidaysEnd { last: String },
    /// There are holidays, and no rule for them.
    HolidaysUnused,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Falls { class, entry, exit, before, later, after } => write!(
                f,
                "falls: {class}, in {entry}: out {exit} costs {before}, out {later} only {after}; write may_fall = true \
                 if that is meant"
            ),
            Self::Jumps { class, entry, exit, before, after } => write!(
                f,
                "jumps: {class}, in {entry}: out {exit} costs {before}, and a minute later {after}, which is more than \
                 any one price"
            ),
            Self::Overlap { class, at, counts, other } => {
                write!(
                    f,
                    "overlap: {class}, {at}: {counts} and {other} both hold; {counts} counts, because it is first"
                )
            }
            Self::Never { rule } => write!(f, "never: {rule} holds at no minute of the next two years"),
            Self::Clock { at, twice: true } => {
                write!(f, "clock: {at} comes twice that day, and a rule begins or ends then")
            }
            Self::Clock { at, twice: false } => {
                write!(f, "clock: {at} is left out that day, and a rule begins or ends then")
            }
            Self::Night { entry, exit, amount, week_before } => write!(
                f,
                "clock: in {entry}, out {exit} costs {amount}, and a week before {week_before}, because clocks change"
            ),
            Self::HolidaysEnd { last } => {
                write!(f, "holidays: the last one in the file is {last}; write those that follow")
            }
            Self::HolidaysUnused => write!(f, "holidays: no rule names them; write days = [\"holiday\"] in one"),
        }
    }
}

/// Warnings about the two years after `from`; none if it is no time of a stay.
pub fn check(tariff: &Tariff, from: Wall) -> Vec<Warning> {
    let Some(from) = minute(from) else { return Vec::new() };
    let (first, _) = civil(tariff, from);
    let mut all = holidays(tariff, first);
    all.extend(overlaps(tariff, first));
    all.extend(clocks(tariff, first));
    for (nth, class) in tariff.classes.iter().enumerate() {
        all.extend(walk(tariff, nth, class, first));
    }
    all
}

fn rules(tariff: &Tariff) -> impl Iterator<Item = (String, &When)> {
    let rates = tariff.rates.iter().enumerate().map(|(nth, rate)| (named("rate", nth, rate), &rate.when));
    let fixed = tariff.fixed.iter().enumerate().map(|(nth, fixed)| (format!("[[fixed]] {}", nth + 1), &fixed.when));
    let caps = tariff.caps.iter().enumerate().map(|(nth, cap)| (format!("[[cap]] {}", nth + 1), &cap.when));
    rates.chain(fixed).chain(caps)
}

fn named(kind: &str, nth: usize, rate: &Rate) -> String {
    let name = rate.name.get(&Language::new("en"));
    if name.is_empty() { format!("[[{kind}]] {}", nth + 1) } else { format!("`{name}`") }
}

fn holidays(tariff: &Tariff, first: i64) -> Vec<Warning> {
    let Calendar { dates, yearly } = &tariff.holidays;
    let used = rules(tariff).any(|(_, when)| when.days != Days::ALL && when.days.has(Days::HOLIDAY));
    match dates.last() {
        Some(last) if used && yearly.is_empty() && *last < first + 365 => {
            vec![Warning::HolidaysEnd { last: date_of(*last).to_string() }]
        }
        None if yearly.is_empty() => Vec::new(),
        _ if !used && rules(tariff).all(|(_, when)| when.days == Days::ALL) => vec![Warning::HolidaysUnused],
        _ => Vec::new(),
    }
}

/// Minutes of the day at which something may begin or end.
fn edges(tariff: &Tariff) -> BTreeSet<u16> {
    rules(tariff).flat_map(|(_, when)| when.edges().collect::<Vec<_>>()).map(|edge| edge % 1_440).chain([0]).collect()
}

fn overlaps(tariff: &Tariff, first: i64) -> Vec<Warning> {
    let edges = edges(tariff);
    let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
    let mut all = Vec::new();
    let total = tariff.rates.len() + tariff.fixed.len() + tariff.caps.len();
    for day in first..first + AHEAD {
        for minute in &edges {
            let holds = |when: &When| when.begun(&tariff.holidays, day, *minute).is_some();
            seen.extend(rules(tariff).enumerate().filter(|(_, (_, when))| holds(when)).map(|(nth, _)| nth));
            for (class, name) in tariff.classes.iter().enumerate() {
                let of = tariff.rates.iter().enumerate().filter(|(_, rate)| rate.classes & 1 << class != 0);
                let mut of = of.filter(|(_, rate)| rate.when != When::ALWAYS && holds(&rate.when));
                let (Some((one, counts)), Some((two, other))) = (of.next(), of.next()) else { continue };
                if told.insert((one, two)) && all.len() < MOST {
                    all.push(Warning::Overlap {
                        class: name.clone(),
                        at: format!("{} {}", date_of(day), clock(i64::from(*minute))),
                        counts: named("rate", one, counts),
                        other: named("rate", two, other),
                    });
                }
            }
        }
    }
    if seen.len() < total {
        let never = rules(tariff).enumerate().filter(|(nth, _)| !seen.contains(nth));
        all.extend(never.map(|(_, (rule, _))| Warning::Never { rule }));
    }
    all
}

/// The changes of the clock.
fn clocks(tariff: &Tariff, first: i64) -> Vec<Warning> {
    let mut all = Vec::new();
    let mut nights = 0;
    for day in first..first + AHEAD {
        if at_civil(tariff, day + 1, 0) - at_civil(tariff, day, 0) == DAY {
            continue;
        }
        for edge in edges(tariff) {
            let civil = date_of(day).at(part(edge / 60), part(edge % 60), 0, 0);
            let ambiguous = tariff.zone.to_ambiguous_timestamp(civil).offset();
            let at = format!("{} {}", date_of(day), clock(i64::from(edge)));
            match ambiguous {
                jiff::tz::AmbiguousOffset::Unambiguous { .. } => {}
                jiff::tz::AmbiguousOffset::Gap { .. } => all.push(Warning::Clock { at, twice: false }),
                jiff::tz::AmbiguousOffset::Fold { .. } => all.push(Warning::Clock { at, twice: true }),
            }
        }
        let stay = |day| {
            let (entry, exit) = (at_civil(tariff, day - 1, 1_200), at_civil(tariff, day, 480));
            Some((entry, exit, fee(tariff, &Stay::new(wall(entry), wall(exit))).ok()?.amount))
        };
        if let (Some((entry, exit, amount)), Some((_, _, before))) = (stay(day), stay(day - 7))
            && amount != before
            && nights < MOST
        {
            nights += 1;
            let [amount, week_before] = [amount, before].map(|amount| money(tariff.currency, amount));
            all.push(Warning::Night { entry: shown(tariff, entry), exit: shown(tariff, exit), amount, week_before });
        }
    }
    all.truncate(2 * MOST);
    all
}

fn part(number: u16) -> i8 {
    i8::try_from(number).unwrap_or_default()
}

fn money(currency: Currency, amount: Minor) -> Money {
    Money { amount, currency }
}

fn shown(tariff: &Tariff, minute: i64) -> String {
    let zone: &TimeZone = &tariff.zone;
    let at = wall(minute).timestamp().map(|at| at.to_zoned(zone.clone()));
    at.map(|at| at.strftime("%a %Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

/// A day of each kind: the same rules hold on it and on the next.
fn kinds(tariff: &Tariff, first: i64) -> Vec<i64> {
    let mut seen = BTreeSet::new();
    let on = |day: i64| -> Vec<bool> { rules(tariff).map(|(_, when)| when.on(&tariff.holidays, day)).collect() };
    let new = |day: &i64| seen.insert((on(*day - 1), on(*day), on(*day + 1)));
    (first..first + 366).filter(new).take(12).collect()
}

fn greatest(tariff: &Tariff) -> Minor {
    let rates = tariff.rates.iter().map(|rate| match &rate.price {
        Price::Free => 0,
        Price::Flat(price) => *price,
        Price::Steps { steps, .. } => steps.iter().map(|step| step.price).max().unwrap_or(0),
    });
    rates.chain(tariff.fixed.iter().map(|fixed| fixed.price)).max().unwrap_or(0)
}

fn walk(tariff: &Tariff, nth: usize, class: &Label, first: i64) -> Vec<Warning> {
    let greatest = greatest(tariff);
    let mut entries = BTreeSet::new();
    for edge in edges(tariff) {
        entries.extend([edge, (edge + 1_439) % 1_440, (edge + 1_393) % 1_440]);
    }
    let (mut falls, mut jumps) = (Vec::new(), Vec::new());
    let hours = tariff.caps.iter().any(|cap| matches!(cap.per, CapPer::Hours { .. }));
    let days = if hours || tariff.fixed.iter().any(|fixed| fixed.out_until.is_some()) { 8 } else { 3 };
    let kinds = kinds(tariff, first);
    let all = kinds.iter().flat_map(|day| entries.iter().map(move |minute| (*day, *minute)));
    for (day, minute) in all.take(ENTRIES) {
        let entry = at_civil(tariff, day, minute);
        let lengths = (0..=26 * 60).chain((27..=days * 24).map(|hour| hour * 60));
        let mut before: Option<(i64, Minor)> = None;
        let mut found = (false, false);
        for length in lengths {
            let stay = Stay { class: tariff.classes.get(nth).cloned(), ..Stay::new(wall(entry), wall(entry + length)) };
            let Ok(bill) = fee(tariff, &stay) else { break };
            let (exit, amount) = (entry + length, bill.amount);
            if let Some((last, was)) = before {
                let told = || (class.clone(), shown(tariff, entry), shown(tariff, last));
                let [before, after] = [was, amount].map(|amount| money(tariff.currency, amount));
                if amount < was && !tariff.may_fall && !found.0 {
                    found.0 = true;
                    let later = shown(tariff, exit);
                    let (class, entry, exit) = told();
                    falls.push(Warning::Falls { class, entry, exit, before, later, after });
                }
                if exit == last + 1 && amount - was > greatest && !found.1 {
                    found.1 = true;
                    let (class, entry, exit) = told();
                    jumps.push(Warning::Jumps { class, entry, exit, before, after });
                }
            }
            before = Some((exit, amount));
        }
    }
    falls.truncate(MOST);
    jumps.truncate(MOST);
    falls.append(&mut jumps);
    falls
}
