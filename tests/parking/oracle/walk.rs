//! What time costs by rates and caps: the fourth step of the order of things. The stay is laid out as a row of minutes, each
//! with what holds at it, and walked from the entry on.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::site::{Clock, DAY, Site};
use super::terms::{CapPer, Crossing, Exceeded, FreePer, Restart, Rounding, Step, Terms};
use super::when::When;

/// A part of the explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub what: String,
    pub from: i64,
    pub until: i64,
    pub amount: i64,
}

/// The time to be priced, in minutes of UTC.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub entry: i64,
    /// With the last minute, where that is included.
    pub exit: i64,
    pub class: usize,
    pub free_used: i64,
    /// Nothing is free before it is charged.
    pub bare: bool,
    /// A season pass, by the place of a rule with its name.
    pub pass: Option<usize>,
}

pub struct Walker {
    pub site: Rc<Site>,
    rates: Vec<When>,
    caps: Vec<When>,
    seasons: Vec<When>,
    /// By class: the rates and the caps that are for it.
    rates_of: Vec<Vec<usize>>,
    caps_of: Vec<Vec<usize>>,
    seasons_of: Vec<Vec<usize>>,
}

/// What is in force where a season pass covers.
const PASS: u8 = u8::MAX;

#[derive(Clone, Copy, PartialEq)]
struct Minute {
    free: bool,
    rate: u8,
    /// Of a flat rate; else nothing.
    occurrence: i32,
    boundary: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stretch {
    Free,
    Rate(usize),
}

/// Where a rate's list of steps stands.
#[derive(Clone, Copy)]
struct Place {
    begun: i64,
    day: i64,
    round: i64,
}

struct Charge {
    at: i64,
    amount: i64,
}

type Block = Option<(i64, i64)>;

impl Walker {
    pub fn new(terms: &Terms, site: Rc<Site>) -> Self {
        let rates = terms.rate.iter().map(|rate| {
            assert_eq!([rate.free, rate.flat.is_some(), rate.steps.is_some()].iter().filter(|has| **has).count(), 1);
            let hours = (rate.from.as_ref(), rate.until.as_ref());
            When::new(terms, rate.days.as_ref(), hours, (rate.first.as_ref(), rate.last.as_ref()))
        });
        let caps = terms.cap.iter().map(|cap| {
            let hours = (cap.from.as_ref(), cap.until.as_ref());
            When::new(terms, cap.days.as_ref(), hours, (cap.first.as_ref(), cap.last.as_ref()))
        });
        let seasons = terms.season.iter().map(|season| {
            let hours = (season.from.as_ref(), season.until.as_ref());
            When::new(terms, season.days.as_ref(), hours, (season.first.as_ref(), season.last.as_ref()))
        });
        // Of each class, the rules that are for it.
        let of = |lists: Vec<Option<&Vec<String>>>| -> Vec<Vec<usize>> {
            let is_for = |class, rule: usize| lists[rule].is_none_or(|list| list.contains(class));
            let of_class = |class| (0..lists.len()).filter(|rule| is_for(class, *rule)).collect();
            terms.classes.iter().map(of_class).collect()
        };
        Self {
            rates: rates.collect(),
            caps: caps.collect(),
            seasons: seasons.collect(),
            seasons_of: of(terms.season.iter().map(|season| season.classes.as_ref()).collect()),
            rates_of: of(terms.rate.iter().map(|rate| rate.classes.as_ref()).collect()),
            caps_of: of(terms.cap.iter().map(|cap| cap.classes.as_ref()).collect()),
            site,
        }
    }

    /// Which minutes from the entry to the exit lie in a free span.
    pub fn free(&self, terms: &Terms, case: Case) -> Vec<bool> {
        let length = case.exit - case.entry;
        let Some(free) = terms.free.as_ref().filter(|_| !case.bare) else { return vec![false; size(length)] };
        let left = (free.minutes - case.free_used).max(0);
        if free.per == FreePer::Stay {
            let count = match free.exceeded {
                Exceeded::Deducted => left,
                Exceeded::Lost if length <= left => length,
                Exceeded::Lost => 0,
            };
            return (0..length).map(|minute| minute < count).collect();
        }
        let first = self.site.clock(case.entry).day;
        let mut row = Vec::with_capacity(size(length));
        // Where clocks go back over midnight, the exit's day can be before one that has begun.
        for day in (first..).take_while(|&day| self.site.begin(day) < case.exit) {
            let until = self.site.begin(day + 1).clamp(case.entry, case.exit);
            let part = until - (case.entry + row.len() as i64);
            let allowed = if day == first { left } else { free.minutes };
            let count = match free.exceeded {
                Exceeded::Deducted => allowed,
                Exceeded::Lost if part <= allowed => part,
                Exceeded::Lost => 0,
            };
            row.extend((0..part).map(|minute| minute < count));
        }
        assert_eq!(row.len(), size(length), "the days' parts are the stay");
        row
    }

    fn block(&self, terms: &Terms, cap: usize, case: Case, minute: i64, clock: Clock) -> Block {
        let (rule, when) = (&terms.cap[cap], &self.caps[cap]);
        match rule.per {
            CapPer::Stay => Some((0, 0)),
            CapPer::Day => when.fits(clock.day).then_some((clock.day, 0)),
            CapPer::Window => when.occurrence(clock).map(|day| (day, 0)),
            CapPer::Hours => {
                let hours = rule.hours.unwrap() * 60;
                if rule.midnight {
                    let begin = case.entry.max(self.site.begin(clock.day));
                    when.fits(clock.day).then_some((clock.day, (minute - begin).div_euclid(hours)))
                } else {
                    let number = (minute - case.entry).div_euclid(hours);
                    when.fits(self.site.clock(case.entry + number * hours).day).then_some((number, 0))
                }
            }
        }
    }

    fn covered(&self, terms: &Terms, case: Case, clock: Clock) -> bool {
        let Some(pass) = case.pass else { return false };
        let mut rules = self.seasons_of[case.class].iter();
        rules.any(|&rule| {
            terms.season[rule].name == terms.season[pass].name && self.seasons[rule].occurrence(clock).is_some()
        })
    }

    /// Every minute of the stay up to the charged end, with what holds at it.
    fn lay_out(&self, terms: &Terms, case: Case, end: i64) -> Vec<Minute> {
        let free = self.free(terms, case);
        let mut row = Vec::with_capacity(size(end - case.entry));
        let mut before = None;
        for minute in case.entry..end {
            let clock = self.site.clock(minute);
            let (rate, occurrence) = if self.covered(terms, case, clock) {
                (PASS, 0)
            } else {
                let (rate, day) = self.rates_of[case.class]
                    .iter()
                    .find_map(|&rate| Some((rate, self.rates[rate].occurrence(clock)?)))
                    .expect("a rate is in force at every minute");
                (u8::try_from(rate).unwrap(), terms.rate[rate].flat.map_or(0, |_| i32::try_from(day).unwrap()))
            };
            let mut it = Minute { free: free[size(minute - case.entry)], rate, occurrence, boundary: false };
            if it.free {
                (it.rate, it.occurrence) = (0, 0);
            }
            if terms.crossing != Crossing::RunsOn {
                let round = match terms.restart {
                    Restart::Day => clock.day,
                    Restart::Hours24 => (minute - case.entry) / DAY,
                    Restart::Never | Restart::Window => 0,
                };
                let blocks = self.caps_of[case.class].iter().map(|&cap| self.block(terms, cap, case, minute, clock));
                let now = (it, round, blocks.collect::<Vec<_>>());
                it.boundary = before.is_some_and(|before| before != now);
                before = Some(now);
            }
            row.push(it);
        }
        row
    }

    /// What the time from entry to exit costs.
    pub fn cost(&self, terms: &Terms, case: Case, notes: &mut Vec<Note>) -> i64 {
        let end = case.entry.max(case.exit - terms.grace.leaving);
        let row = self.lay_out(terms, case, end);
        let at = |minute: i64| row[size(minute - case.entry)];
        let mut charges = Vec::new();
        let mut places: BTreeMap<usize, Place> = BTreeMap::new();
        let mut paid_flats = BTreeSet::new();
        let mut last = None;
        let mut minute = case.entry;
        while minute < end {
            let here = at(minute);
            let rate = (here.rate != PASS && !here.free).then(|| &terms.rate[usize::from(here.rate)]);
            let begin = minute;
            let Some((rate, steps)) = rate.and_then(|rate| Some((rate, rate.steps.as_ref()?))) else {
                let same = |other: Minute| {
                    other.free == here.free
                        && (here.free || (other.rate == here.rate && other.occurrence == here.occurrence))
                };
                while minute < end && same(at(minute)) {
                    minute += 1;
                }
                let flat = rate.and_then(|rate| rate.flat);
                let amount = flat.filter(|_| paid_flats.insert((here.rate, here.occurrence)));
                charges.extend(amount.map(|amount| Charge { at: begin, amount }));
                let what = if here.free { "free span".to_owned() } else { format!("rate {}", here.rate) };
                notes.push(Note { what, from: begin, until: minute, amount: amount.unwrap_or(0) });
                last = Some(if here.free { Stretch::Free } else { Stretch::Rate(usize::from(here.rate)) });
                continue;
            };
            let number = usize::from(here.rate);
            let (day, round) = (self.site.clock(minute).day, (minute - case.entry) / DAY);
            let place = places.entry(number).or_insert(Place { begun: 0, day, round });
            let again = match terms.restart {
                Restart::Never => false,
                Restart::Window => last != Some(Stretch::Rate(number)),
                Restart::Day => place.day != day,
                Restart::Hours24 => place.round != round,
            };
            *place = Place { begun: if again { 1 } else { place.begun + 1 }, day, round };
            let step = step(steps, place.begun);
            let own = minute + step.minutes;
            let boundary = (minute + 1..own.min(end)).find(|&minute| at(minute).boundary);
            let rounding = rate.rounding.unwrap_or(terms.rounding);
            let amount;
            (minute, amount) = match boundary {
                Some(boundary) => {
                    let rounding = if terms.crossing == Crossing::Split { Rounding::Minute } else { rounding };
                    (boundary, part(step, boundary - begin, rounding))
                }
                None if own <= end => (own, step.price),
                None => (end, part(step, end - begin, rounding)),
            };
            charges.push(Charge { at: begin, amount });
            notes.push(Note {
                what: format!("step {} of rate {number}", place.begun),
                from: begin,
                until: minute,
                amount,
            });
            last = Some(Stretch::Rate(number));
        }
        self.cap(terms, case, &mut charges, notes);
        charges.iter().map(|charge| charge.amount).sum()
    }

    fn cap(&self, terms: &Terms, case: Case, charges: &mut [Charge], notes: &mut Vec<Note>) {
        for &cap in &self.caps_of[case.class] {
            let mut taken = BTreeMap::new();
            let most = terms.cap[cap].amount;
            for charge in &mut *charges {
                let clock = self.site.clock(charge.at);
                let Some(block) = self.block(terms, cap, case, charge.at, clock) else { continue };
                let taken = taken.entry(block).or_insert(0);
                let left = charge.amount.min(most - *taken);
                if left < charge.amount {
                    let what = format!("cap {cap}, block {block:?}");
                    notes.push(Note { what, from: charge.at, until: charge.at, amount: left - charge.amount });
                }
                charge.amount = left;
                *taken += left;
            }
        }
    }
}

/// The step that is so many-th of a list, counted from 1.
fn step(steps: &[Step], begun: i64) -> &Step {
    let mut before = 0;
    for step in steps {
        before += step.times;
        if begun <= before {
            return step;
        }
    }
    &steps[steps.len() - 1]
}

fn part(step: &Step, used: i64, rounding: Rounding) -> i64 {
    match rounding {
        Rounding::Up => step.price,
        Rounding::Down => 0,
        Rounding::Minute => halves_up(i128::from(step.price) * i128::from(used), i128::from(step.minutes)),
    }
}

/// The quotient, rounded to a whole, halves up; of what is not negative.
pub fn halves_up(amount: i128, by: i128) -> i64 {
    i64::try_from((2 * amount + by) / (2 * by)).unwrap()
}

fn size(minutes: i64) -> usize {
    usize::try_from(minutes).unwrap()
}
