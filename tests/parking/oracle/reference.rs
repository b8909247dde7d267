//! The slow reference: what a stay costs and what is due, written from `docs/tariff.md` alone.

use std::collections::BTreeSet;

use super::site::{self, DAY, Site};
use super::terms::{self, Applies, Fixed, LastMinute, Late, Terms};
use super::walk::{Case, Note, Walker, halves_up};
use super::when::When;

/// Millionths of a whole.
const WHOLE: i128 = 1_000_000;

/// The longest stay for which there are prices, in minutes.
const LONGEST: i64 = 3653 * DAY;

/// A stay, as both the reference and the product are told it; instants in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// `None`: the ticket is lost.
    pub entry: Option<i64>,
    pub exit: i64,
    pub class: Option<String>,
    pub free_used: u32,
    pub validations: Vec<String>,
    pub paid: Vec<(i64, i64)>,
    pub season: Option<String>,
    /// Of a visit before: when it began, when it ended, and what was paid.
    pub before: Option<(i64, i64, i64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub amount: i64,
    pub tax: i64,
    /// From where to where the lines of time go; `None` where the page does not say.
    pub span: Option<(i64, i64)>,
    pub notes: Vec<Note>,
}

pub struct Reference {
    pub terms: Terms,
    pub walker: Walker,
    fixed: Vec<When>,
}

impl Reference {
    pub fn new(text: &str) -> Self {
        let terms: Terms = toml::from_str(text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        let fixed = terms.fixed.iter().map(|fixed| {
            let hours = (fixed.from.as_ref(), fixed.until.as_ref());
            When::new(&terms, fixed.days.as_ref(), hours, (fixed.first.as_ref(), fixed.last.as_ref()))
        });
        Self { fixed: fixed.collect(), walker: Walker::new(&terms, Site::of(&terms.zone)), terms }
    }

    /// The minute that is added to the stay.
    fn later(&self) -> i64 {
        i64::from(self.terms.last_minute == LastMinute::Included)
    }

    /// The minute of an instant for which there are prices.
    fn priced(&self, instant: i64) -> Option<i64> {
        let minute = instant.div_euclid(60_000);
        let years = site::day((2000, 1, 1)) * DAY..site::day((2100, 1, 1)) * DAY;
        years.contains(&minute).then_some(minute)
    }

    fn class(&self, visit: &Visit) -> Option<usize> {
        let Some(named) = &visit.class else { return Some(0) };
        self.terms.classes.iter().position(|known| known == named)
    }

    /// The season pass; no inner `Some`: none is named.
    fn pass(&self, visit: &Visit) -> Option<Option<usize>> {
        let Some(named) = &visit.season else { return Some(None) };
        self.terms.season.iter().position(|known| known.name == *named).map(Some)
    }

    /// The visit before, if this stay goes on with it: its entry, and what was paid. No outer `Some`: it is refused.
    fn before(&self, visit: &Visit, entry: i64) -> Option<Option<(i64, i64)>> {
        let (Some((began, ended, paid)), Some(re_entry)) = (visit.before, &self.terms.re_entry) else {
            return Some(None);
        };
        let (began, ended) = (self.priced(began)?, self.priced(ended)?);
        Some((entry - ended <= re_entry.within).then_some((began, paid)))
    }

    /// What the stay costs; `None`: it is refused.
    pub fn fee(&self, visit: &Visit) -> Option<Answer> {
        self.fee_seen(visit, visit.exit)
    }

    /// The entry of a lost ticket is as it was seen at an instant.
    fn fee_seen(&self, visit: &Visit, seen: i64) -> Option<Answer> {
        let real = self.priced(visit.exit)?;
        let exit = real + self.later();
        let (class, pass) = (self.class(visit)?, self.pass(visit)?);
        let mut before = None;
        if visit.validations.iter().any(|name| self.terms.validation.iter().all(|known| known.name != *name)) {
            return None;
        }
        let mut notes = Vec::new();
        let (price, worth, begin) = match visit.entry {
            Some(entry) => {
                let entry = self.priced(entry)?;
                if real < entry {
                    return None;
                }
                before = self.before(visit, entry)?;
                let entry = before.map_or(entry, |before| entry.min(before.0));
                if real - entry > LONGEST {
                    return None;
                }
                let case = Case { entry, exit, class, free_used: visit.free_used.into(), bare: false, pass };
                let price = self.lower(case, &mut notes, &|case, notes| self.price(case, notes));
                let worth = |case| self.lower(case, &mut Vec::new(), &|case, notes| self.price(case, notes));
                (price, self.worth(visit, case, &worth), entry)
            }
            None => {
                let lost = self.terms.lost.as_ref()?;
                if let Some(price) = lost.price {
                    (price, 0, exit)
                } else {
                    let entry = self.since(seen.div_euclid(60_000) + self.later());
                    if real - entry > LONGEST {
                        return None;
                    }
                    let case = Case { entry, exit, class, free_used: 0, bare: true, pass };
                    let cost = |case, notes: &mut _| self.lower(case, notes, &|case, notes| self.cost(case, notes));
                    let price = cost(case, &mut notes) + lost.surcharge;
                    notes.push(Note { what: "lost".to_owned(), from: entry, until: exit, amount: lost.surcharge });
                    (price, self.worth(visit, case, &|case| cost(case, &mut Vec::new())), entry)
                }
            }
        };
        let price = self.validated(visit, price, worth, &mut notes);
        let (mut amount, mut tax) = self.taxed(price);
        if let Some((_, paid)) = before {
            amount = (amount - paid).max(0);
            tax = self.contained(amount);
        }
        Some(Answer { amount, tax, span: Some((begin, exit)), notes })
    }

    /// What is due at the exit after what was paid; `None`: it is refused.
    pub fn due(&self, visit: &Visit) -> Option<Answer> {
        let Some(latest) = visit.paid.iter().map(|paid| paid.0).max() else { return self.fee(visit) };
        let earliest = visit.paid.iter().map(|paid| paid.0).min().unwrap_or(latest);
        if self.priced(earliest).is_none() || self.priced(latest).is_none() {
            return None;
        }
        let real = self.priced(visit.exit)?;
        let entry = match visit.entry {
            Some(entry) => self.priced(entry)?,
            None => i64::MIN,
        };
        if real < entry || (visit.entry.is_some() && real - entry > LONGEST) {
            return None;
        }
        let last = latest.div_euclid(60_000).clamp(entry, real);
        if real - last <= self.terms.grace.payment {
            return Some(Answer { amount: 0, tax: 0, span: None, notes: Vec::new() });
        }
        if self.terms.grace.late == Late::Difference {
            let whole = self.fee_seen(visit, earliest.min(visit.exit))?;
            let amount = (whole.amount - visit.paid.iter().map(|paid| paid.1).sum::<i64>()).max(0);
            return Some(Answer { amount, tax: self.contained(amount), span: None, notes: whole.notes });
        }
        if real - last > LONGEST {
            return None;
        }
        let mut notes = Vec::new();
        let (class, pass, exit) = (self.class(visit)?, self.pass(visit)?, real + self.later());
        let case = Case { entry: last, exit, class, free_used: 0, bare: true, pass };
        let (amount, tax) = self.taxed(self.lower(case, &mut notes, &|case, notes| self.cost(case, notes)));
        Some(Answer { amount, tax, span: None, notes })
    }

    /// With the season pass or without it, whichever is lower.
    fn lower(&self, case: Case, notes: &mut Vec<Note>, price: &dyn Fn(Case, &mut Vec<Note>) -> i64) -> i64 {
        let with = price(case, notes);
        if case.pass.is_none() {
            return with;
        }
        let mut other = Vec::new();
        let without = price(Case { pass: None, ..case }, &mut other);
        if without < with {
            *notes = other;
        }
        with.min(without)
    }

    fn cost(&self, case: Case, notes: &mut Vec<Note>) -> i64 {
        self.walker.cost(&self.terms, case, notes)
    }

    /// What a stay costs before validations.
    fn price(&self, case: Case, notes: &mut Vec<Note>) -> i64 {
        if case.exit - case.entry <= self.terms.grace.entry {
            return 0;
        }
        if self.terms.free.is_some() && self.walker.free(&self.terms, case).iter().all(|free| *free) {
            return 0;
        }
        let fixed = (0..self.fixed.len()).find(|&number| self.fits(number, case));
        let fixed = fixed.map(|number| &self.terms.fixed[number]);
        if let Some(&Fixed { applies: Applies::Always, price, .. }) = fixed.filter(|_| case.pass.is_none()) {
            notes.push(Note { what: "fixed".to_owned(), from: case.entry, until: case.exit, amount: price });
            return price;
        }
        let cost = self.walker.cost(&self.terms, case, notes);
        match fixed {
            Some(&Fixed { price, .. }) if price < cost => {
                let what = format!("fixed in place of {cost}");
                notes.push(Note { what, from: case.entry, until: case.exit, amount: price });
                price
            }
            _ => cost,
        }
    }

    fn fits(&self, number: usize, case: Case) -> bool {
        let (fixed, site) = (&self.terms.fixed[number], &self.walker.site);
        let entered = site.clock(case.entry);
        let real = case.exit - self.later();
        let class = &self.terms.classes[case.class];
        let Some(day) = self.fixed[number].occurrence(entered) else { return false };
        let out = |time: &String| site.instant(day + fixed.out_day, terms::minute_of_day(time));
        fixed.classes.as_ref().is_none_or(|classes| classes.contains(class))
            && fixed.out_from.as_ref().is_none_or(|time| out(time) <= real)
            && fixed.out_until.as_ref().is_none_or(|time| real <= out(time))
            && fixed.longest.is_none_or(|most| case.exit - case.entry <= most)
    }

    /// When it was last the time from which a lost ticket is charged.
    fn since(&self, exit: i64) -> i64 {
        let site = &self.walker.site;
        let time = terms::minute_of_day(self.terms.lost.as_ref().unwrap().since.as_ref().unwrap());
        let days = (0..).map(|back| site.instant(site.clock(exit).day - back, time));
        days.into_iter().find(|since| *since < exit).unwrap()
    }

    fn worths(&self, visit: &Visit) -> impl Iterator<Item = &terms::Validation> {
        let names = visit.validations.iter().collect::<BTreeSet<_>>();
        names.into_iter().map(|name| self.terms.validation.iter().find(|known| known.name == *name).unwrap())
    }

    /// What the minutes of the validations are worth.
    fn worth(&self, visit: &Visit, case: Case, price: &dyn Fn(Case) -> i64) -> i64 {
        let minutes = self.worths(visit).filter_map(|worth| worth.minutes).sum::<i64>();
        if minutes == 0 {
            return 0;
        }
        price(Case { exit: case.exit.min(case.entry + minutes), ..case })
    }

    fn validated(&self, visit: &Visit, price: i64, worth: i64, notes: &mut Vec<Note>) -> i64 {
        let left = price - worth.min(price);
        let percent = self.worths(visit).filter_map(|worth| worth.percent).sum::<i64>().min(100);
        let left = left - halves_up(i128::from(left) * i128::from(percent), 100);
        let amount = self.worths(visit).filter_map(|worth| worth.amount).sum::<i64>();
        let left = left - amount.min(left);
        let what = format!("validated: minutes worth {worth}, {percent} %, {amount}");
        notes.extend((left < price).then_some(Note { what, from: 0, until: 0, amount: left - price }));
        left
    }

    /// The amount to be paid, and the tax in it.
    fn taxed(&self, price: i64) -> (i64, i64) {
        match &self.terms.tax {
            Some(tax) if !tax.included => {
                let added = halves_up(i128::from(price) * terms::millionths(&tax.rate), WHOLE);
                (price + added, added)
            }
            _ => (price, self.contained(price)),
        }
    }

    /// The tax that an amount contains.
    fn contained(&self, amount: i64) -> i64 {
        let Some(tax) = &self.terms.tax else { return 0 };
        let rate = terms::millionths(&tax.rate);
        halves_up(i128::from(amount) * rate, WHOLE + rate)
    }
}
