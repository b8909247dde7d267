//! Stays made by chance for a tariff, most of them near an edge: a change of the clock, a leap day, a year's end, a holiday, the
//! edge of a window, of a step, of a cap, of a grace.

use kioskd_tests::chance::Chance;

use super::reference::{Reference, Visit};
use super::site::{self, DAY};
use super::terms::{self, Bound};

pub struct Stays {
    /// Days on which something happens.
    days: Vec<i64>,
    /// Minutes of UTC at which the clock changes.
    changes: Vec<i64>,
    /// Minutes of the day at which a rule begins or ends.
    times: Vec<i64>,
    /// Minutes after the entry at which something ends.
    lengths: Vec<i64>,
    classes: Vec<String>,
    validations: Vec<String>,
    seasons: Vec<String>,
    payment: i64,
    within: Option<i64>,
    lost: bool,
}

impl Stays {
    pub fn new(reference: &Reference) -> Self {
        let terms = &reference.terms;
        let mut days = Vec::new();
        for year in 2000..=2045 {
            days.extend([(year, 12, 31), (year, 1, 1), (year, 2, 28), (year, 3, 1)].map(site::day));
        }
        let of_dates = terms.holidays.dates.iter().map(|date| site::day(terms::date(date)));
        days.extend(of_dates.clone().chain(of_dates));
        let mut bounds = Vec::new();
        let mut hours = Vec::new();
        for rate in &terms.rate {
            bounds.extend([&rate.first, &rate.last]);
            hours.extend([&rate.from, &rate.until]);
        }
        for cap in &terms.cap {
            bounds.extend([&cap.first, &cap.last]);
            hours.extend([&cap.from, &cap.until]);
        }
        for fixed in &terms.fixed {
            bounds.extend([&fixed.first, &fixed.last]);
            hours.extend([&fixed.from, &fixed.until, &fixed.out_from, &fixed.out_until]);
        }
        for season in &terms.season {
            bounds.extend([&season.first, &season.last]);
            hours.extend([&season.from, &season.until]);
        }
        hours.extend(terms.lost.as_ref().map(|lost| &lost.since));
        let yearly = |text: &str, days: &mut Vec<i64>| {
            let (month, day) = terms::month_day(text);
            let years = (2000..=2045).filter(|year| (month, day) != (2, 29) || site::leap(*year));
            days.extend(years.map(|year| site::day((year, month, day))));
        };
        for bound in bounds.into_iter().flatten() {
            match bound {
                Bound::Date(date) => days.extend([site::day(terms::date(date)); 8]),
                Bound::Yearly(text) => yearly(text, &mut days),
            }
        }
        for text in &terms.holidays.yearly {
            yearly(text, &mut days);
        }
        let mut times = hours.into_iter().flatten().map(|time| terms::minute_of_day(time)).collect::<Vec<_>>();
        times.extend([0, 0, 720]);
        let mut lengths = vec![0, 1, DAY, 2 * DAY, terms.grace.entry, terms.grace.leaving];
        for rate in &terms.rate {
            let mut sum = 0;
            for step in rate.steps.iter().flatten() {
                for _ in 0..step.times.min(4) {
                    sum += step.minutes;
                    lengths.push(sum);
                }
                lengths.push(sum + terms.grace.leaving);
            }
        }
        lengths.extend(terms.free.iter().flat_map(|free| [free.minutes, free.minutes + terms.grace.leaving]));
        lengths.extend(terms.cap.iter().filter_map(|cap| cap.hours).flat_map(|hours| [hours * 60, hours * 120]));
        lengths.extend(terms.fixed.iter().filter_map(|fixed| fixed.longest));
        lengths.extend(terms.validation.iter().filter_map(|validation| validation.minutes));
        let changes = reference.walker.site.changes().filter(|change| *change < site::day((2046, 1, 1)) * DAY);
        Self {
            changes: changes.collect(),
            days,
            times,
            lengths,
            classes: terms.classes.clone(),
            validations: terms.validation.iter().map(|validation| validation.name.clone()).collect(),
            seasons: terms.season.iter().map(|season| season.name.clone()).collect(),
            payment: terms.grace.payment,
            within: terms.re_entry.as_ref().map(|re_entry| re_entry.within),
            lost: terms.lost.is_some(),
        }
    }

    /// A minute at which something changes, or nearly.
    fn edge(&self, site: &site::Site, chance: &mut Chance) -> i64 {
        let minute = match chance.below(10) {
            0..=2 if !self.changes.is_empty() => {
                let change = chance.pick(&self.changes);
                match chance.below(4) {
                    0 => change,
                    1 => change + chance.below(240) as i64 - 120,
                    // A time on the day of the change.
                    _ => site.instant(site.clock(change).day - chance.below(2) as i64, chance.pick(&self.times)),
                }
            }
            0..=5 => {
                let day = chance.pick(&self.days) + chance.below(3) as i64 - 1;
                site.instant(day.max(site::day((2000, 1, 2))), chance.pick(&self.times))
            }
            6..=8 => {
                let day = site::day((2000, 1, 2)) + chance.below(46 * 365) as i64;
                site.instant(day, chance.pick(&self.times))
            }
            _ => site::day((2000, 1, 2)) * DAY + chance.below(46 * 365 * DAY as u64) as i64,
        };
        minute + chance.pick(&[0, 0, 0, -1, 1])
    }

    fn length(&self, site: &site::Site, entry: i64, chance: &mut Chance) -> i64 {
        let edge = chance.pick(&self.lengths) + chance.pick(&[0, 0, -1, 1]);
        let days = match chance.below(4000) {
            0 => chance.below(3640) as i64,
            1..=3 => chance.below(800) as i64,
            4..=300 => chance.below(9) as i64,
            301..=1000 => 1,
            _ => 0,
        };
        let length = match chance.below(8) {
            0..=3 => edge,
            // To a time of the clock.
            4 | 5 => {
                let day = site.clock(entry).day + days + chance.below(2) as i64;
                return (site.instant(day, chance.pick(&self.times)) - entry + chance.pick(&[0, 0, -1, 1])).max(0);
            }
            6 => chance.below(300) as i64,
            _ => chance.below(3 * DAY as u64) as i64,
        };
        (length + days * DAY).max(0)
    }

    pub fn make(&self, reference: &Reference, chance: &mut Chance) -> Visit {
        let site = &reference.walker.site;
        // The edge is where the stay begins, where it ends, or in its middle.
        let edge = self.edge(site, chance);
        let length = self.length(site, edge, chance);
        let entry = match chance.below(4) {
            0 | 1 => edge,
            2 => edge - length,
            _ => edge - chance.below(length as u64 + 1) as i64,
        };
        let exit = entry + length;
        let instant =
            |minute: i64, chance: &mut Chance| minute * 60_000 + chance.pick(&[0, 0, 1000, 30_000, 59_000, 59_999]);
        let lost = self.lost && chance.below(12) == 0;
        let class = match chance.below(3) {
            0 => None,
            _ => Some(self.classes[chance.below(self.classes.len() as u64) as usize].clone()),
        };
        let free_used = match chance.below(6) {
            0 => chance.pick(&[1, 5, 15, 30, 60, 2000]),
            _ => 0,
        };
        let mut validations = Vec::new();
        if !self.validations.is_empty() && chance.below(2) == 0 {
            for _ in 0..=chance.below(3) {
                validations.push(self.validations[chance.below(self.validations.len() as u64) as usize].clone());
            }
        }
        let mut paid = Vec::new();
        if chance.below(3) == 0 {
            for _ in 0..=chance.pick(&[0, 0, 0, 1, 2]) {
                let before = match chance.below(4) {
                    0 => chance.below(length as u64 + 30) as i64 - 10,
                    1 => chance.pick(&self.lengths),
                    _ => self.payment + chance.pick(&[0, 1, 2, 30]),
                };
                paid.push((instant(exit - before, chance), chance.below(3000) as i64));
            }
        }
        let mut season = None;
        if !self.seasons.is_empty() && chance.below(2) == 0 {
            season = Some(self.seasons[chance.below(self.seasons.len() as u64) as usize].clone());
        }
        let mut before = None;
        if chance.below(if self.within.is_some() { 3 } else { 40 }) == 0 {
            let ended = entry - self.within.unwrap_or(30) + chance.pick(&[0, 0, -1, 1, 2, 10_000]);
            let began = ended - chance.pick(&self.lengths) - chance.below(60) as i64;
            before = Some((instant(began, chance), instant(ended, chance), chance.below(2000) as i64));
        }
        let mut visit = Visit {
            season,
            before,
            entry: (!lost).then(|| instant(entry, chance)),
            exit: instant(exit, chance),
            class,
            free_used,
            validations,
            paid,
        };
        // Some have no price.
        match chance.below(400) {
            0 => visit.class = Some("bus".to_owned()),
            7 => visit.season = Some("nobody".to_owned()),
            8 => visit.before = Some((visit.exit, site::day((1999, 12, 31)) * DAY * 60_000, 100)),
            1 => visit.validations.push("nobody".to_owned()),
            2 => visit.exit = visit.entry.unwrap_or(visit.exit) - chance.pick(&[1, 1000, 60_000, 86_400_000]),
            3 => visit.entry = None,
            4 => visit.exit += 3653 * DAY * 60_000 - chance.below(3) as i64 * 60_000,
            5 => {
                let end = site::day((2100, 1, 1)) * DAY * 60_000 - 60_000;
                (visit.entry, visit.exit) = (Some(end - length * 60_000), end + chance.pick(&[0, 59_999, 60_000]));
            }
            6 => {
                let begin = site::day((2000, 1, 1)) * DAY * 60_000;
                (visit.entry, visit.exit) = (Some(begin - chance.pick(&[0, 1, 60_000])), begin + length * 60_000);
            }
            _ => (),
        }
        visit
    }
}
