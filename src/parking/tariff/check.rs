//! What the author of a tariff may not have meant. Each warning names the minute and the amounts.
//!
//! The parser has refused gaps already. What is looked at here is tried out: entries around every edge of a rule, on a day of
//! each kind that two years have, and stays of every minute of a day and of every hour of a week. How many entries there are
//! depends on the file alone, so that it finds the same on every machine.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::bill::{minute, wall};
use super::table::clock;
use super::timeline::{at_civil, civil};
use super::window::{DAY, date_of};
use super::{
    Calendar, CapPer, Classes, Dates, Days, FeeError, FreePer, Label, Lost, Price, Rate, Restart, Stay, Tariff, When,
    fee,
};
use crate::vocabulary::{Currency, Language, Minor, Money, Wall};

/// So many of one kind; others like them follow from the same rule.
const MOST: usize = 8;
/// Entries that are tried out, of each class: where rules are few, where they are very many, and how much may be looked at in
/// between, in rules that are asked. The most takes some seconds.
const ENTRIES: usize = 300;
const LEAST: usize = 2;
const BUDGET: usize = 400_000_000;
/// Who parks every working day is away longer than so many minutes.
const AWAY: i64 = 12 * 60;
/// Days that are looked at.
const AHEAD: i64 = 731;

/// What was found, and in how many of the entries that the rules make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub warnings: Vec<Warning>,
    pub tried: usize,
    pub entries: usize,
}

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
    Night { class: Label, entry: String, exit: String, amount: Money, week_before: Money },
    /// Who comes back after so long has been away for a night or more, and pays for it.
    ReEntry { within: i64 },
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
            Self::Night { class, entry, exit, amount, week_before } => write!(
                f,
                "clock: {class}, in {entry}, out {exit} costs {amount}, and a week before {week_before}, because clocks \
                 change; write may_differ = true if that is meant"
            ),
            Self::ReEntry { within } => write!(
                f,
                "re_entry: who comes back within {within} minutes pays for the time away too, and that can be a night; write within = \
                 {AWAY} or less"
            ),
            Self::HolidaysEnd { last } => {
                write!(f, "holidays: the last date in the file is {last}; write those that follow")
            }
            Self::HolidaysUnused => write!(f, "holidays: no rule names them; write days = [\"holiday\"] in one"),
        }
    }
}

/// Warnings about the two years after `from`. `more` is told of each entry that was tried, and how many there will be.
///
/// # Errors
/// A stay in these years has no price.
pub fn check(tariff: &Tariff, from: Wall, more: &mut dyn FnMut(usize)) -> Result<Report, FeeError> {
    let last = Wall(from.0.saturating_add(u64::try_from((AHEAD + 10) * DAY).unwrap_or_default() * 60_000));
    let (Some(from), Some(_)) = (minute(from), minute(last)) else { return Err(FeeError::NoSuchTime) };
    let (first, _) = civil(tariff, from);
    let mut warnings = holidays(tariff, first);
    warnings.extend(overlaps(tariff, first));
    let changes = changes(tariff, first);
    warnings.extend(clocks(tariff, &changes));
    warnings.extend(if tariff.may_differ { Vec::new() } else { nights(tariff, &changes) });
    warnings.extend(tariff.re_entry.filter(|within| *within > AWAY).map(|within| Warning::ReEntry { within }));
    let Plan { entries, tried } = plan(tariff, first, &changes);
    let all = tried.iter().map(Vec::len).sum();
    for (nth, (class, tried)) in tariff.classes.iter().zip(&tried).enumerate() {
        let mut walk = Walk::new(tariff, nth, class);
        for entry in tried {
            walk.from(*entry);
            more(all);
        }
        warnings.extend(walk.done());
    }
    Ok(Report { warnings, tried: all, entries })
}

/// How many entries the rules make, and which of them are tried of each class.
pub(super) struct Plan {
    pub entries: usize,
    pub tried: Vec<Vec<i64>>,
}

pub(super) fn plan(tariff: &Tariff, first: i64, changes: &[Change]) -> Plan {
    let entries = entries(tariff, first, changes);
    // Of each class others, so that where few are tried those of all classes are still many.
    let of = |nth| {
        let most = most(tariff, nth);
        spread(entries.len(), most, nth * most).into_iter().map(|place| entries[place]).collect()
    };
    Plan { entries: entries.len() * tariff.classes.len(), tried: (0..tariff.classes.len()).map(of).collect() }
}

fn rules(tariff: &Tariff) -> impl Iterator<Item = (String, &When)> {
    let rates = tariff.rates.iter().enumerate().map(|(nth, rate)| (named("rate", nth, rate), &rate.when));
    let fixed = tariff.fixed.iter().enumerate().map(|(nth, fixed)| (format!("[[fixed]] {}", nth + 1), &fixed.when));
    let caps = tariff.caps.iter().enumerate().map(|(nth, cap)| (format!("[[cap]] {}", nth + 1), &cap.when));
    let seasons = tariff.seasons.iter().enumerate();
    let seasons = seasons.map(|(nth, season)| (format!("[[season]] {}", nth + 1), &season.when));
    rates.chain(fixed).chain(caps).chain(seasons)
}

fn named(kind: &str, nth: usize, rate: &Rate) -> String {
    let name = rate.name.get(&Language::new("en"));
    if name.is_empty() { format!("[[{kind}]] {}", nth + 1) } else { format!("`{name}`") }
}

fn holidays(tariff: &Tariff, first: i64) -> Vec<Warning> {
    let Calendar { dates, yearly } = &tariff.holidays;
    // A rule for some days is one for holidays too, or is not for them.
    let used = rules(tariff).any(|(_, when)| when.days != Days::ALL);
    match dates.last() {
        // Those of every year don't say when the others are.
        Some(last) if used && *last < first + 365 => vec![Warning::HolidaysEnd { last: date_of(*last).to_string() }],
        None if yearly.is_empty() => Vec::new(),
        _ if !used => vec![Warning::HolidaysUnused],
        _ => Vec::new(),
    }
}

/// Minutes of the day at which a window may begin or end.
fn edges(tariff: &Tariff) -> BTreeSet<u16> {
    rules(tariff).flat_map(|(_, when)| when.edges().collect::<Vec<_>>()).map(|edge| edge % 1_440).collect()
}

fn overlaps(tariff: &Tariff, first: i64) -> Vec<Warning> {
    let mut edges = edges(tariff);
    edges.insert(0);
    let rules: Vec<(String, &When)> = rules(tariff).collect();
    let (mut seen, mut told) = (vec![false; rules.len()], BTreeSet::new());
    let mut all = Vec::new();
    let on = |day: i64| -> Vec<bool> { rules.iter().map(|(_, when)| when.on(&tariff.holidays, day)).collect() };
    let (mut before, mut today) = (on(first - 1), on(first));
    for day in first..first + AHEAD {
        for minute in &edges {
            // Who has which class already, and the rates are the first of the rules.
            let mut taken: Vec<(usize, Classes)> = Vec::new();
            for (nth, (_, when)) in rules.iter().enumerate() {
                let holds = match when.open(*minute) {
                    Some(0) => today[nth],
                    Some(_) => before[nth],
                    None => false,
                };
                if !holds {
                    continue;
                }
                seen[nth] = true;
                let Some(rate) = tariff.rates.get(nth).filter(|_| *when != &When::ALWAYS) else { continue };
                for (other, classes) in &taken {
                    let both = classes & rate.classes;
                    if both == 0 || all.len() == MOST || !told.insert((*other, nth)) {
                        continue;
                    }
                    let class = tariff.classes.get(both.trailing_zeros() as usize);
                    all.extend(class.map(|class| Warning::Overlap {
                        class: class.clone(),
                        at: format!("{} {}", date_of(day), clock(i64::from(*minute))),
                        counts: rules[*other].0.clone(),
                        other: rules[nth].0.clone(),
                    }));
                }
                taken.push((nth, rate.classes));
            }
        }
        (before, today) = (today, on(day + 1));
    }
    let never = rules.into_iter().zip(seen).filter(|(_, seen)| !seen);
    all.extend(never.map(|((rule, _), _)| Warning::Never { rule }));
    all
}

/// A change of the clock: its instant, and what was and is added to UTC.
pub(super) struct Change {
    at: i64,
    before: i64,
    after: i64,
}

fn changes(tariff: &Tariff, first: i64) -> Vec<Change> {
    let (from, to) = (at_civil(tariff, first, 0), at_civil(tariff, first + AHEAD, 0));
    let timestamp = |minute: i64| Timestamp::from_second(minute * 60).unwrap_or(Timestamp::MAX);
    let offset = |minute: i64| i64::from(tariff.zone.to_offset(timestamp(minute)).seconds()).div_euclid(60);
    let all = tariff.zone.following(timestamp(from)).map(|change| change.timestamp().as_second().div_euclid(60));
    let all = all.take_while(|at| *at < to).map(|at| Change { at, before: offset(at - 1), after: offset(at) });
    all.filter(|change| change.before != change.after).collect()
}

/// Edges that are left out or come twice. Where the first minute of that is an edge, nothing is left out: what begins or ends then does
/// so at that instant, and is not interrupted when that minute comes again.
fn clocks(tariff: &Tariff, changes: &[Change]) -> Vec<Warning> {
    let mut within = edges(tariff);
    if by_days(tariff) {
        within.insert(0);
    }
    // Of an instant that is asked for the first counts, also where it is the first minute.
    let out = tariff.fixed.iter().flat_map(|fixed| [fixed.out_from, fixed.out_until]).flatten();
    let since = tariff.lost.and_then(|lost| if let Lost::Since { minute, .. } = lost { Some(minute) } else { None });
    let asked = out.filter_map(|out| u16::try_from(out % DAY).ok()).chain(since).collect::<BTreeSet<u16>>();
    let mut all = Vec::new();
    for Change { at, before, after } in changes {
        let (start, end) = (at + before.min(after), at + before.max(after));
        for local in start..end {
            let minute = u16::try_from(local.rem_euclid(DAY)).unwrap_or_default();
            let twice = after < before;
            if local > start && within.contains(&minute) || (local > start || twice) && asked.contains(&minute) {
                let at = format!("{} {}", date_of(local.div_euclid(DAY)), clock(i64::from(minute)));
                all.push(Warning::Clock { at, twice });
            }
        }
    }
    all.truncate(MOST);
    all
}

/// Whether something changes when a civil day ends.
fn by_days(tariff: &Tariff) -> bool {
    let days = |when: &When| when.days != Days::ALL || when.dates != Dates::Always;
    let flat = |rate: &Rate| matches!(rate.price, Price::Flat(_)) && rate.when.hours.is_none();
    rules(tariff).any(|(_, when)| days(when))
        || tariff.rates.iter().any(flat)
        || tariff.caps.iter().any(|cap| matches!(cap.per, CapPer::Day | CapPer::Hours { midnight: true, .. }))
        || tariff.free.is_some_and(|free| free.per == FreePer::Day)
        || tariff.restart == Restart::Day
}

/// The night in which clocks change, and the same one a week before.
fn nights(tariff: &Tariff, changes: &[Change]) -> Vec<Warning> {
    let mut all = Vec::new();
    for class in &tariff.classes {
        for change in changes {
            let (day, _) = civil(tariff, change.at);
            let stay = |day| {
                let (entry, exit) = (at_civil(tariff, day - 1, 1_200), at_civil(tariff, day, 480));
                let stay = Stay { class: Some(class.clone()), ..Stay::new(wall(entry), wall(exit)) };
                Some((entry, exit, fee(tariff, &stay).ok()?.amount))
            };
            if let (Some((entry, exit, amount)), Some((_, _, before))) = (stay(day), stay(day - 7))
                && amount != before
            {
                let [amount, week_before] = [amount, before].map(|amount| money(tariff.currency, amount));
                let [entry, exit] = [entry, exit].map(|at| shown(tariff, at));
                all.push(Warning::Night { class: class.clone(), entry, exit, amount, week_before });
            }
        }
    }
    all.truncate(MOST);
    all
}

fn money(currency: Currency, amount: Minor) -> Money {
    Money { amount, currency }
}

fn shown(tariff: &Tariff, minute: i64) -> String {
    let zone: &TimeZone = &tariff.zone;
    let at = wall(minute).timestamp().map(|at| at.to_zoned(zone.clone()));
    at.map(|at| at.strftime("%a %Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

/// Around each edge, on a day of each kind (the same rules hold on it, on the day before and on the next), and where years
/// and clocks change.
fn entries(tariff: &Tariff, first: i64, changes: &[Change]) -> Vec<i64> {
    let on = |day: i64| -> Vec<bool> { rules(tariff).map(|(_, when)| when.on(&tariff.holidays, day)).collect() };
    let mut last = [on(first - 1), on(first)];
    let mut seen = BTreeSet::new();
    let mut days: BTreeSet<i64> = changes.iter().map(|change| civil(tariff, change.at).0).collect();
    for day in first..first + AHEAD {
        let [before, today] = last;
        let next = on(day + 1);
        let date = date_of(day);
        if seen.insert([before, today.clone(), next.clone()])
            || [(2, 28), (12, 31)].contains(&(date.month(), date.day()))
        {
            days.insert(day);
        }
        last = [today, next];
    }
    let mut minutes = BTreeSet::new();
    for edge in edges(tariff).into_iter().chain([0]) {
        minutes.extend([edge, (edge + 1_439) % 1_440, (edge + 1_393) % 1_440]);
    }
    days.iter().flat_map(|day| minutes.iter().map(|minute| at_civil(tariff, *day, *minute))).collect()
}

/// `most` of so many places, or all, from one on, in order and without a pattern that could miss the same minute of each day.
fn spread(places: usize, most: usize, from: usize) -> Vec<usize> {
    let shared = |mut one: usize, mut other: usize| {
        while other > 0 {
            (one, other) = (other, one % other);
        }
        one
    };
    // The golden section, and without a common divisor, so that no place comes twice.
    let stride = (places * 618 / 1_000..places).find(|stride| shared(*stride, places) == 1).unwrap_or(1);
    let mut all: Vec<usize> = (0..places.min(most)).map(|nth| (from + nth) * stride % places).collect();
    all.sort_unstable();
    all
}

/// How many entries of a class are tried, by how much each of them asks for.
fn most(tariff: &Tariff, nth: usize) -> usize {
    let of = |classes: &Classes| classes & 1 << nth != 0;
    let rates = tariff.rates.iter().filter(|rate| of(&rate.classes)).count();
    let caps: Vec<_> = tariff.caps.iter().filter(|cap| of(&cap.classes)).collect();
    let hours = |per| if let CapPer::Hours { hours, .. } = per { 24 / hours.clamp(1, 24) } else { 0 };
    // Edges of blocks coincide: there are no more than a half of an hour apart.
    let blocks = caps.iter().map(|cap| hours(cap.per)).sum::<i64>().min(48);
    // Of one stay, and in each of its days.
    let a_day = edges(tariff).len() + usize::try_from(blocks).unwrap_or_default() + 1;
    let (stays, days) = lengths(tariff).fold((0, 0), |(stays, minutes), length| (stays + 1, minutes + length));
    let days = usize::try_from(days / DAY).unwrap_or_default();
    let work = (stays + days * a_day) * (rates + caps.len() + 1) * tariff.classes.len();
    (BUDGET / work).clamp(LEAST, ENTRIES)
}

/// Every minute of 26 hours, and then every hour.
fn lengths(tariff: &Tariff) -> impl Iterator<Item = i64> {
    let hours = tariff.caps.iter().any(|cap| matches!(cap.per, CapPer::Hours { .. }));
    let out = tariff.fixed.iter().flat_map(|fixed| [fixed.out_from, fixed.out_until]).flatten().max();
    let days = out.map_or(3, |out| (out / DAY + 2).max(3)).max(if hours { 8 } else { 3 });
    (0..=26 * 60).chain((27..=days * 24).map(|hour| hour * 60))
}

/// The greatest price that a single minute may begin.
fn greatest(tariff: &Tariff, class: Classes) -> Minor {
    let rates = tariff.rates.iter().filter(|rate| rate.classes & class != 0).map(|rate| match &rate.price {
        Price::Free => 0,
        Price::Flat(price) => *price,
        Price::Steps { steps, .. } => steps.iter().map(|step| step.price).max().unwrap_or(0),
    });
    let fixed = tariff.fixed.iter().filter(|fixed| fixed.classes & class != 0).map(|fixed| fixed.price);
    rates.chain(fixed).max().unwrap_or(0)
}

/// Stays of one class that become longer and longer.
struct Walk<'t> {
    tariff: &'t Tariff,
    class: &'t Label,
    greatest: Minor,
    falls: Vec<Warning>,
    jumps: Vec<Warning>,
}

impl<'t> Walk<'t> {
    fn new(tariff: &'t Tariff, nth: usize, class: &'t Label) -> Self {
        Self { tariff, class, greatest: greatest(tariff, 1 << nth), falls: Vec::new(), jumps: Vec::new() }
    }

    fn from(&mut self, entry: i64) {
        let tariff = self.tariff;
        let mut stay = Stay { class: Some(self.class.clone()), ..Stay::new(wall(entry), wall(entry)) };
        let mut before: Option<(i64, Minor, Minor)> = None;
        let mut found = (false, false);
        for length in lengths(tariff) {
            let exit = entry + length;
            stay.exit = wall(exit);
            let Ok(bill) = fee(tariff, &stay) else { break };
            // Prices are compared with prices, and tax that is added is none.
            let net = bill.amount - if tariff.tax.is_some_and(|tax| !tax.included) { bill.tax } else { 0 };
            if let Some((last, was, was_net)) = before {
                let falls = bill.amount < was && !tariff.may_fall && !found.0;
                let jumps = exit == last + 1 && net - was_net > self.greatest && !found.1;
                if falls || jumps {
                    let [entry, then, now] = [entry, last, exit].map(|at| shown(tariff, at));
                    let [before, after] = [was, bill.amount].map(|amount| money(tariff.currency, amount));
                    let class = self.class.clone();
                    if falls {
                        found.0 = true;
                        self.falls.push(Warning::Falls { class, entry, exit: then, before, later: now, after });
                    } else {
                        found.1 = true;
                        self.jumps.push(Warning::Jumps { class, entry, exit: then, before, after });
                    }
                }
            }
            before = Some((exit, bill.amount, net));
        }
    }

    fn done(mut self) -> Vec<Warning> {
        self.falls.truncate(MOST);
        self.jumps.truncate(MOST);
        self.falls.append(&mut self.jumps);
        self.falls
    }
}
