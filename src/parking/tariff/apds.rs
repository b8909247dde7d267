//! A tariff as rate tables of ISO TS 5206-1 (APDS), and what such a table can't say.
//!
//! Policy: nothing is lost silently. Whatever of the file is not in the tables, or is read otherwise by somebody who has only them,
//! is one [`Unsaid`]. Of a tariff without any the tables price every stay to the minor unit, by what section 10 of
//! `docs/tariff.md` says of their keys.

use std::fmt;

use serde_json::{Map, Value, json};

use super::table::{clock, time, window};
use super::window::date_of;
use super::{
    Applies, CapPer, Classes, Crossing, Dates, Days, Exceeded, FreePer, LastMinute, Lost, Price, Rate, Restart,
    Rounding, Step, Tariff, When,
};
use crate::vocabulary::{Language, Minor, Money, decimal};

/// Something of the tariff that the tables don't say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaid {
    pub rule: String,
    pub why: &'static str,
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.why)
    }
}

#[derive(Debug, Clone)]
pub struct Export {
    /// The tables, one for each class, and the warnings once more.
    pub json: Value,
    pub unsaid: Vec<Unsaid>,
}

/// The tariff's rate tables; `id` names them, with the class behind it where there are several.
pub fn export(tariff: &Tariff, id: &str) -> Export {
    let mut unsaid = whole(tariff);
    let mut tables = Vec::new();
    for (nth, class) in tariff.classes.iter().enumerate() {
        let of = Of { tariff, class: 1 << nth, unsaid: &mut unsaid };
        let (collections, daily) = of.collections();
        let several = tariff.classes.len() > 1;
        let names = tariff.name.0.iter().map(|(language, text)| json!({ "language": language, "text": text }));
        let mut table = json!({
            "id": if several { format!("{id}-{class}") } else { id.to_owned() },
            "version": 1,
            "rateTableName": names.collect::<Vec<_>>(),
            "rateType": if daily { "daily" } else { "hourly" },
            "timeZone": tariff.zone.iana_name(),
            "rateLineCollections": collections,
        });
        if several {
            table["eligibility"] = json!({ "vehicleType": class });
        }
        tables.push(table);
    }
    let warnings: Vec<String> = unsaid.iter().map(ToString::to_string).collect();
    Export { json: json!({ "rateTables": tables, "warnings": warnings }), unsaid }
}

/// What no table of any class says.
fn whole(tariff: &Tariff) -> Vec<Unsaid> {
    let mut all = Vec::new();
    let mut say = |rule: String, why| all.push(Unsaid { rule, why });
    if tariff.last_minute == LastMinute::Included {
        say("last_minute".into(), "a table does not say whether the minute of leaving is one of the stay");
    }
    if tariff.grace.leaving > 0 {
        say(
            format!("grace.leaving, {}", time(tariff.grace.leaving)),
            "a table has no minutes at the end that are not charged",
        );
    }
    if tariff.grace.payment > 0 {
        let rule = format!("grace.payment, {}, and grace.late", time(tariff.grace.payment));
        say(rule, "a table says nothing about the time after a payment");
    }
    if let Some(free) = tariff.free.filter(|free| free.per == FreePer::Day) {
        say(format!("free, {} of each day", time(free.minutes)), "a table has no free minutes of a day");
    }
    let windows = tariff.rates.iter().map(|rate| &rate.when).chain(tariff.caps.iter().map(|cap| &cap.when));
    let holidays = !tariff.holidays.dates.is_empty() || !tariff.holidays.yearly.is_empty();
    if holidays && windows.chain(tariff.fixed.iter().map(|fixed| &fixed.when)).any(|when| when.days != Days::ALL) {
        say("holidays".into(), "a table does not say which days they are");
    }
    match tariff.lost {
        None => {}
        Some(Lost::Price(price)) => {
            say(format!("lost, {}", money(tariff, price)), "a table has no price of a lost ticket");
        }
        Some(Lost::Since { minute, .. }) => {
            let rule = format!("lost, since {}", clock(i64::from(minute)));
            say(rule, "a table has no price of a lost ticket");
        }
    }
    for validation in &tariff.validations {
        let why = "a table does not say what a validation takes away, nor in which order";
        say(format!("validation `{}`", validation.name), why);
    }
    for season in &tariff.seasons {
        let rule = format!("season pass `{}`, {}", season.name, window(&season.when));
        say(rule, "a table does not say what a pass covers");
    }
    if let Some(within) = tariff.re_entry {
        say(format!("re_entry within {}", time(within)), "a table knows no stay that goes on with the one before");
    }
    all
}

fn money(tariff: &Tariff, amount: Minor) -> Money {
    Money { amount, currency: tariff.currency }
}

/// As ISO 8601 has it.
fn duration(minutes: i64) -> String {
    format!("PT{minutes}M")
}

/// One class.
struct Of<'t> {
    tariff: &'t Tariff,
    class: Classes,
    unsaid: &'t mut Vec<Unsaid>,
}

impl Of<'_> {
    fn say(&mut self, rule: String, why: &'static str) {
        let unsaid = Unsaid { rule, why };
        if !self.unsaid.contains(&unsaid) {
            self.unsaid.push(unsaid);
        }
    }

    fn value(&self, amount: Minor) -> Value {
        number(&decimal(amount.unsigned_abs(), self.tariff.currency.digits()))
    }

    /// And whether the price is of a day.
    fn collections(mut self) -> (Vec<Value>, bool) {
        let tariff = self.tariff;
        let rates = tariff.rates.iter().filter(|rate| rate.classes & self.class != 0);
        // Behind one that holds always, none does.
        let rates: Vec<(usize, &Rate)> = rates.enumerate().collect();
        let tiers = self.tiers();
        if let [(_, rate)] = rates[..] {
            return (vec![self.only(rate, tiers)], matches!(rate.price, Price::Flat(_)));
        }
        let mut all = Vec::new();
        if !tiers.is_empty() {
            all.push(self.collection(1, "Whole stays", None, tiers));
        }
        self.between(rates.iter().map(|(_, rate)| *rate));
        for (nth, rate) in &rates {
            let name = rate.name.get(&Language::new("en"));
            let name = if name.is_empty() { format!("Rate {}", nth + 1) } else { name.to_owned() };
            let lines = self.lines(rate, &name, 0, Vec::new());
            let times = self.active(&rate.when, &name);
            let mut collection = self.collection(all.len() + 1, &name, times, lines);
            if matches!(rate.price, Price::Flat(_)) && rate.when.hours.is_none() {
                collection["resetTime"] = "00:00:00".into();
            }
            all.push(collection);
        }
        (all, false)
    }

    /// What can't be said where one rate follows another.
    fn between<'r>(&mut self, mut rates: impl Iterator<Item = &'r Rate>) {
        let tariff = self.tariff;
        if rates.any(|rate| matches!(rate.price, Price::Steps { .. })) {
            let rule = match tariff.crossing {
                Crossing::RunsOn => "crossing = \"runs-on\"",
                Crossing::Cut => "crossing = \"cut\"",
                Crossing::Split => "crossing = \"split\"",
            };
            self.say(rule.into(), "a table does not say what becomes of a step in which another rate begins");
            if tariff.restart != Restart::Never {
                self.say("restart".into(), "a table of several rates does not say when a list of steps begins again");
            }
        }
        if let Some(free) = tariff.free.filter(|free| free.exceeded == Exceeded::Deducted) {
            let rule = format!("free, {} deducted", time(free.minutes));
            self.say(rule, "a table of several rates can't say that the others begin later");
        }
        for nth in 0..tariff.caps.len() {
            self.cap(nth, "a table has a maximum for each of its rates only, and not for all together");
        }
    }

    /// That a cap is not said, if it is one of this class.
    fn cap(&mut self, nth: usize, why: &'static str) {
        let cap = &self.tariff.caps[nth];
        if cap.classes & self.class == 0 {
            return;
        }
        let per = match cap.per {
            CapPer::Stay => "for a stay".to_owned(),
            CapPer::Day => "a day".to_owned(),
            CapPer::Hours { hours, midnight: false } => format!("in {hours} h from the entry"),
            CapPer::Hours { hours, midnight: true } => format!("in {hours} h from the entry, anew at midnight"),
            CapPer::Window => "in a window".to_owned(),
        };
        self.say(format!("[[cap]] {}, {} {per} ({})", nth + 1, money(self.tariff, cap.amount), window(&cap.when)), why);
    }

    /// Whole stays that cost one amount, by their length: free ones, then fixed prices.
    fn tiers(&mut self) -> Vec<Value> {
        let tariff = self.tariff;
        let mut tiers = Vec::new();
        let mut tier = |value: Value, until: Option<i64>| {
            let mut line = json!({
                "rateLineType": "flatRateTier", "value": value, "durationStart": duration(0), "usageCondition": "once",
            });
            if let Some(until) = until {
                line["durationEnd"] = duration(until).into();
            }
            tiers.push(line);
        };
        let fixed: Vec<_> = tariff.fixed.iter().enumerate().filter(|(_, of)| of.classes & self.class != 0).collect();
        let simple = |of: &super::Fixed| {
            of.when == When::ALWAYS && of.out_from.is_none() && of.out_until.is_none() && of.applies == Applies::Always
        };
        let free = tariff.free.filter(|free| free.per == FreePer::Stay);
        // A zero line says deducted minutes, but a tier goes before it.
        let lost = free.filter(|free| free.exceeded == Exceeded::Lost || fixed.iter().any(|(_, of)| simple(of)));
        let nothing = tariff.grace.entry.max(lost.map_or(0, |free| free.minutes));
        if nothing > 0 {
            tier(self.value(0), Some(nothing));
        }
        for (_, of) in &fixed {
            if simple(of) {
                tier(self.value(of.price), of.longest);
            }
        }
        for (nth, of) in fixed {
            let rule = format!("[[fixed]] {}, {}", nth + 1, money(tariff, of.price));
            if of.when != When::ALWAYS || of.out_from.is_some() || of.out_until.is_some() {
                self.say(rule, "a table has no price by the hours of entry and exit");
            } else if of.applies == Applies::WhenLower {
                self.say(rule, "a table has no price that holds only when it is the lower one");
            } else if let Some(cap) =
                tariff.caps.iter().find(|cap| cap.classes & self.class != 0 && cap.amount < of.price)
            {
                let rule = format!("{rule}, and a cap of {}", money(tariff, cap.amount));
                self.say(rule, "a table does not say that the maximum does not hold for the fixed price");
            }
        }
        tiers
    }

    /// The collection of a rate that holds always.
    fn only(&mut self, rate: &Rate, tiers: Vec<Value>) -> Value {
        let tariff = self.tariff;
        let class = self.class;
        let mine = |nth: &usize| tariff.caps[*nth].classes & class != 0;
        let day = (0..tariff.caps.len()).filter(mine).find(|nth| {
            let cap = &tariff.caps[*nth];
            cap.per == CapPer::Day && cap.when == When::ALWAYS
        });
        let flat = matches!(rate.price, Price::Flat(_));
        let (restarts, rolling, several) = match &rate.price {
            Price::Steps { steps, .. } => {
                let several = steps.len() > 1;
                let matters = several || tariff.crossing != Crossing::RunsOn;
                (matters && tariff.restart == Restart::Day, matters && tariff.restart == Restart::Rolling, several)
            }
            _ => (false, false, false),
        };
        if rolling {
            self.say("restart = \"24h\"".into(), "a table does not say that steps begin again after elapsed time");
        }
        let resets = flat || restarts || day.is_some();
        let stay = (0..tariff.caps.len()).filter(mine).find(|nth| tariff.caps[*nth].per == CapPer::Stay);
        let said = day.or(stay.filter(|_| !resets));
        for nth in (0..tariff.caps.len()).filter(|nth| Some(*nth) != said) {
            let why = match tariff.caps[nth].per {
                CapPer::Hours { .. } => "a table has no maximum of elapsed hours",
                CapPer::Stay | CapPer::Day if tariff.caps[nth].when == When::ALWAYS => {
                    "a table has one maximum, which is for the time until it resets"
                }
                CapPer::Stay | CapPer::Day | CapPer::Window => "a table has no maximum for some hours or days only",
            };
            self.cap(nth, why);
        }
        let free = tariff.free.filter(|free| free.per == FreePer::Stay && free.exceeded == Exceeded::Deducted);
        if let Some(free) = free.filter(|_| resets) {
            let rule = format!("free, {} deducted", time(free.minutes));
            self.say(rule, "a table would give them again where it resets at midnight");
        }
        if let Price::Steps { steps, rounding } = &rate.price
            && resets
        {
            let cut = match tariff.crossing {
                Crossing::RunsOn => false,
                Crossing::Cut => true,
                Crossing::Split => *rounding == Rounding::Minute && whole_minutes(steps),
            };
            if !cut {
                let why = "a table that resets at midnight ends a step there, and begins another";
                self.say("crossing, at midnight".into(), why);
            }
            if several && tariff.restart != Restart::Day {
                self.say("restart".into(), "a table that resets at midnight begins its lines again");
            }
        }
        let name = rate.name.get(&Language::new("en")).to_owned();
        let free = free.map_or(0, |free| free.minutes);
        let lines = self.lines(rate, &name, free, tiers);
        let mut collection = self.collection(1, &name, None, lines);
        if resets {
            collection["resetTime"] = "00:00:00".into();
        }
        if let Some(nth) = said {
            collection["maxValueCollection"] = self.value(tariff.caps[nth].amount);
        }
        collection
    }

    /// Its lines behind those of `first`; where some minutes are free, theirs, and all others later.
    fn lines(&mut self, rate: &Rate, name: &str, free: i64, first: Vec<Value>) -> Vec<Value> {
        let mut lines = first;
        let zero = self.value(0);
        if free > 0 {
            lines.push(json!({
                "rateLineType": "incrementingRate", "value": zero, "durationStart": duration(0),
                "durationEnd": duration(free), "incrementPeriod": duration(free), "usageCondition": "once",
            }));
        }
        let flat = |value: Value| json!({ "rateLineType": "flatRate", "value": value, "durationStart": duration(free), "usageCondition": "once" });
        match &rate.price {
            Price::Free => lines.push(flat(zero)),
            Price::Flat(price) => lines.push(flat(self.value(*price))),
            Price::Steps { steps, rounding } => {
                let rule = if name.is_empty() { "rounding".to_owned() } else { format!("rounding of `{name}`") };
                match rounding {
                    Rounding::Up => {}
                    Rounding::Down => self.say(rule, "a table charges a period that has begun, and can't leave it out"),
                    Rounding::Minute if whole_minutes(steps) => {}
                    Rounding::Minute => {
                        self.say(
                            rule,
                            "the price of a minute is no whole amount, and a table does not say how it is rounded",
                        );
                    }
                }
                let mut start = free;
                for (nth, step) in steps.iter().enumerate() {
                    let last = nth + 1 == steps.len();
                    let end = start + step.minutes * i64::from(step.times);
                    let by_minute = *rounding == Rounding::Minute;
                    let exact = by_minute && whole_minutes(steps);
                    let (price, period) =
                        if exact { (step.price / step.minutes, 1) } else { (step.price, step.minutes) };
                    let usage = match (last, by_minute, step.times) {
                        (true, ..) => "unlimited",
                        (false, true, _) => "fixedDuration",
                        (false, false, 1) => "once",
                        (false, false, _) => "fixedNumber",
                    };
                    let mut line = json!({
                        "rateLineType": if by_minute { "perUnit" } else { "incrementingRate" },
                        "value": self.value(price), "durationStart": duration(start),
                        "incrementPeriod": duration(period), "usageCondition": usage,
                    });
                    if !last {
                        line["durationEnd"] = duration(end).into();
                    }
                    lines.push(line);
                    start = end;
                }
            }
        }
        lines
    }

    fn collection(&self, nth: usize, name: &str, times: Option<Value>, mut lines: Vec<Value>) -> Value {
        for (nth, line) in lines.iter_mut().enumerate() {
            line["sequence"] = (nth + 1).into();
        }
        let mut all = Map::new();
        let mut set = |key: &str, value: Value| drop(all.insert(key.into(), value));
        set("collectionSequence", nth.into());
        if !name.is_empty() {
            set("description", name.into());
        }
        set("applicableCurrency", self.tariff.currency.code().into());
        set("relativeTimes", true.into());
        if let Some(times) = times {
            set("activeTimes", times);
        }
        if let Some(tax) = self.tariff.tax {
            set("taxIncluded", tax.included.into());
            set("taxRate", number(&decimal(u64::from(tax.rate.ppm()), 4)));
        }
        set("rateLines", lines.into());
        Value::Object(all)
    }

    /// When a rate holds; none where it does always.
    fn active(&mut self, when: &When, name: &str) -> Option<Value> {
        if *when == When::ALWAYS {
            return None;
        }
        let past = when.hours.is_some_and(|hours| hours.until <= hours.from);
        if past && (when.days != Days::ALL || when.dates != Dates::Always) {
            let rule = format!("`{name}`, {}", window(when));
            self.say(rule, "a table does not say that the hours after midnight belong to the day before");
        }
        let mut time = Map::new();
        if when.days != Days::ALL {
            let all = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "holiday"];
            let days = all.into_iter().filter(|long| when.days.names().any(|name| long.starts_with(name)));
            time.insert("days".into(), days.collect());
        }
        if let Some(hours) = when.hours {
            time.insert("startTime".into(), clock(i64::from(hours.from)).into());
            time.insert("endTime".into(), clock(i64::from(hours.until)).into());
        }
        match when.dates {
            Dates::Always => {}
            Dates::Between(first, last) => {
                time.insert("startDate".into(), date_of(first).to_string().into());
                time.insert("endDate".into(), date_of(last).to_string().into());
            }
            Dates::Yearly(..) => {
                let rule = format!("`{name}`, {}", window(when));
                self.say(rule, "a table has no dates of every year");
            }
        }
        Some(json!([time]))
    }
}

/// Whether a minute of each step costs a whole amount.
fn whole_minutes(steps: &[Step]) -> bool {
    steps.iter().all(|step| step.price % step.minutes == 0)
}

/// What was written as digits is one.
fn number(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap_or_default()
}
