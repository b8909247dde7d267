//! Reading a tariff's file.
//!
//! What the TOML and its types don't fit is one problem, the first; what is wrong with the meaning is told all at once.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::keys::{
    CapFile, CapWord, Edge, File, FixedFile, HolidaysFile, LostFile, Number, RateFile, SeasonFile, Text, ValidationFile,
};
use super::window::{DAY, MonthDay, day_of};
use super::{
    Calendar, Cap, CapPer, Classes, Dates, Days, Fixed, Free, Grace, Hours, Label, Lost, Price, Rate, Rounding, Season,
    Step, Tariff, Tax, Validation, When, Worth,
};
use crate::vocabulary::{Currency, Localized, Problem};

/// A larger file is not a tariff.
pub const LIMIT: usize = 256 << 10;
const MOST: i64 = 1_000_000_000;
const RULES: usize = 64;
const CLASSES: usize = 16;
const DATES: usize = 2_000;

/// Reads `bytes` as a tariff.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn parse(bytes: &[u8]) -> Result<Tariff, Vec<Problem>> {
    let one = |text: &str, at: usize, what: String| Problem::all(text, vec![(at, what)]);
    if bytes.len() > LIMIT {
        return Err(one("", 0, "larger than 256 KiB; write one tariff and nothing else".into()));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            return Err(one(&good, good.len(), "not UTF-8 from here; save the file as UTF-8".into()));
        }
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        one(text, start, advice(error.message()))
    })?;
    let mut reader = Reader { wrong: Vec::new(), classes: Vec::new() };
    // Of a file that is far too long nothing else is looked at.
    let tariff = if reader.short(&file) { reader.tariff(file) } else { None };
    match tariff {
        Some(tariff) if reader.wrong.is_empty() => Ok(tariff),
        _ => Err(Problem::all(text, reader.wrong)),
    }
}

/// What the parser says, on one line, and what to write instead.
fn advice(message: &str) -> String {
    let message = message.replace('\n', " ");
    let message = message.replace("unknown field", "unknown key").replace("missing field", "missing key");
    let message = message.replace("unknown variant", "unknown value");
    match message.split_once(", expected ") {
        Some((what, wanted)) => format!("{what}; write {wanted}"),
        None => format!("{message}; docs/tariff.md has every key"),
    }
}

struct Reader {
    wrong: Vec<(usize, String)>,
    classes: Vec<Label>,
}

/// What the keys of a window say, before they are checked.
struct Window<'f> {
    days: &'f Option<Spanned<Vec<Text>>>,
    from: &'f Option<Text>,
    until: &'f Option<Text>,
    first: &'f Option<Spanned<Edge>>,
    last: &'f Option<Spanned<Edge>>,
}

macro_rules! window {
    ($file:expr) => {
        Window { days: &$file.days, from: &$file.from, until: &$file.until, first: &$file.first, last: &$file.last }
    };
}

impl Reader {
    fn add(&mut self, span: Range<usize>, what: impl Into<String>) {
        self.wrong.push((span.start, what.into()));
    }

    /// Whether no list has more than it may.
    fn short(&mut self, file: &File) -> bool {
        let steps = file.rates.iter().filter_map(|rate| rate.get_ref().steps.as_ref());
        let lists = [
            (file.classes.get(CLASSES).map(Spanned::span), CLASSES, "classes"),
            (file.rates.get(RULES).map(Spanned::span), RULES, "rates"),
            (file.fixed.get(RULES).map(Spanned::span), RULES, "fixed prices"),
            (file.caps.get(RULES).map(Spanned::span), RULES, "caps"),
            (file.validations.get(RULES).map(Spanned::span), RULES, "validations"),
            (file.seasons.get(RULES).map(Spanned::span), RULES, "season passes"),
            (file.holidays.yearly.get(366).map(Spanned::span), 366, "holidays of every year"),
            (file.holidays.dates.get(DATES).map(|_| 0..0), DATES, "dates of holidays"),
        ];
        let long =
            steps.filter(|steps| steps.get_ref().len() > RULES).map(|steps| (Some(steps.span()), RULES, "steps"));
        for (at, most, what) in lists.into_iter().chain(long.take(RULES)) {
            if let Some(at) = at {
                self.add(at, format!("more than {most} {what}; keep {most}"));
            }
        }
        self.wrong.is_empty()
    }

    /// `None` only with something in `wrong`.
    fn tariff(&mut self, file: File) -> Option<Tariff> {
        let currency = Currency::from_code(file.currency.get_ref()).filter(|known| *known != Currency::NONE);
        if currency.is_none() {
            self.add(file.currency.span(), "unknown currency; write its ISO 4217 code, like \"CNY\"");
        }
        // Etc/Unknown is a name that has no clock.
        let zone = TimeZone::get(file.zone.get_ref()).ok().filter(|zone| !zone.is_unknown());
        if zone.is_none() {
            self.add(file.zone.span(), "unknown time zone; write its IANA name, like \"Asia/Shanghai\"");
        }
        for class in &file.classes {
            match Label::parse(class.get_ref()) {
                Some(label) if !self.classes.contains(&label) => self.classes.push(label),
                Some(_) => self.add(class.span(), "this class is written a second time; keep one"),
                None => self.add(class.span(), "a class is 1 to 32 letters, digits, `_` or `-`"),
            }
        }
        if self.classes.is_empty() {
            self.classes.extend(Label::parse("car"));
        }
        let holidays = self.holidays(&file.holidays);
        let name = self.name(Some(&file.name));
        let grace = &file.grace;
        let grace = Grace {
            entry: self.number(grace.entry.as_ref(), "entry", 0..=DAY).unwrap_or(0),
            leaving: self.number(grace.leaving.as_ref(), "leaving", 0..=DAY).unwrap_or(0),
            payment: self.number(grace.payment.as_ref(), "payment", 0..=DAY).unwrap_or(0),
            late: grace.late,
        };
        let free = file.free.as_ref().map(|free| Free {
            minutes: self.number(Some(&free.minutes), "minutes", 1..=7 * DAY).unwrap_or(1),
            per: free.per,
            exceeded: free.exceeded,
        });
        let rates: Vec<Rate> = file.rates.iter().filter_map(|rate| self.rate(rate, file.rounding)).collect();
        self.whole(&file, &rates);
        let fixed = file.fixed.iter().filter_map(|fixed| self.fixed(fixed)).collect();
        let caps = file.caps.iter().filter_map(|cap| self.cap(cap)).collect();
        let lost = file.lost.as_ref().and_then(|lost| self.lost(lost));
        let validations = self.validations(&file.validations);
        let seasons = file.seasons.iter().filter_map(|season| self.season(season)).collect();
        let within = file.re_entry.as_ref().map(|again| &again.within);
        let re_entry = self.number(within, "within", 1..=7 * DAY);
        let tax = file.tax.map(|tax| Tax { rate: tax.rate, included: tax.included });
        Some(Tariff {
            name,
            currency: currency?,
            zone: zone?,
            classes: std::mem::take(&mut self.classes),
            holidays,
            tax,
            last_minute: file.last_minute,
            crossing: file.crossing,
            restart: file.restart,
            may_fall: file.may_fall,
            may_differ: file.may_differ,
            grace,
            free,
            rates,
            fixed,
            caps,
            lost,
            validations,
            seasons,
            re_entry,
        })
    }

    /// A class whose rates leave a minute without a price is a gap.
    fn whole(&mut self, file: &File, rates: &[Rate]) {
        if rates.len() < file.rates.len() {
            return;
        }
        for (nth, class) in self.classes.clone().iter().enumerate() {
            let mut of = rates.iter().zip(&file.rates).filter(|(rate, _)| rate.classes & 1 << nth != 0);
            if !of.clone().any(|(rate, _)| rate.when == When::ALWAYS) {
                let at = of.next_back().map_or(0, |(_, written)| written.span().start);
                self.wrong.push((at, format!("there is a gap: no rate for `{class}` at all other times; write as the last [[rate]] one without days, hours and dates, with free = true where it costs nothing")));
            } else if let Some((_, written)) = of.find(|(rate, _)| rate.when == When::ALWAYS).and_then(|_| of.next()) {
                let what = format!("this rate never holds for `{class}`: the one before holds always; put it above");
                self.wrong.push((written.span().start, what));
            }
        }
    }

    fn number(&mut self, number: Option<&Number>, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let number = number?;
        if range.contains(number.get_ref()) {
            return Some(*number.get_ref());
        }
        let (least, most) = range.into_inner();
        self.add(number.span(), format!("`{key}` is {}; write {least} to {most}", number.get_ref()));
        None
    }

    fn name(&mut self, name: Option<&Spanned<Localized>>) -> Localized {
        let Some(name) = name else { return Localized::default() };
        let fits =
            |text: &String| !text.trim().is_empty() && text.chars().count() <= 60 && !text.contains(char::is_control);
        if name.get_ref().0.is_empty() || !name.get_ref().0.values().all(fits) {
            self.add(name.span(), "a name is one line of 1 to 60 characters for each language, like { en = \"Day\" }");
        }
        name.get_ref().clone()
    }

    fn holidays(&mut self, file: &HolidaysFile) -> Calendar {
        let mut yearly = BTreeSet::new();
        for text in &file.yearly {
            yearly.extend(self.month_day(text.get_ref(), text.span()));
        }
        Calendar { dates: file.dates.iter().map(|day| day_of(day.0)).collect(), yearly }
    }

    fn month_day(&mut self, text: &str, span: Range<usize>) -> Option<MonthDay> {
        let read = || {
            let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let (month, day) = text.split_once('-').filter(|(month, day)| two(month) && two(day))?;
            // A leap year, so that 02-29 is one.
            jiff::civil::Date::new(2000, month.parse().ok()?, day.parse().ok()?).ok()
        };
        let date = read();
        if date.is_none() {
            self.add(span, "no day of a year; write month and day, like \"12-25\"");
        }
        date.map(|date| (date.month(), date.day()))
    }

    /// Minutes since midnight; `24:00` where `end`.
    fn time(&mut self, text: &Text, end: bool) -> Option<u16> {
        let read = || {
            let (hour, minute) = text.get_ref().split_once(':')?;
            let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let (hour, minute): (u16, u16) =
                (two(hour) && two(minute)).then(|| Some((hour.parse().ok()?, minute.parse().ok()?)))??;
            (hour < 24 && minute < 60 || end && (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
        };
        let time = read();
        if time.is_none() {
            let most = if end { "24:00" } else { "23:59" };
            self.add(text.span(), format!("no time of the day; write hours and minutes, \"00:00\" to \"{most}\""));
        }
        time
    }

    fn when(&mut self, window: Window<'_>) -> Option<When> {
        let mut days = Days::ALL;
        if let Some(written) = window.days {
            days = Days::NONE;
            for day in written.get_ref() {
                match days.with(day.get_ref()) {
                    Some(more) => days = more,
                    None => self.add(day.span(), "no such day; write mon, tue, wed, thu, fri, sat, sun or holiday"),
                }
            }
            if written.get_ref().is_empty() {
                self.add(written.span(), "`days` is empty; leave the key out for every day");
            }
        }
        let hours = match (window.from, window.until) {
            (None, None) => None,
            (Some(from), Some(until)) => Some(Hours { from: self.time(from, false)?, until: self.time(until, true)? }),
            (Some(one), None) | (None, Some(one)) => {
                self.add(one.span(), "`from` and `until` belong together; write both or none");
                None
            }
        };
        // The whole day, however it is written.
        let hours = hours.filter(|hours| *hours != Hours { from: 0, until: 1_440 });
        let dates = match (window.first, window.last) {
            (None, None) => Dates::Always,
            (Some(first), Some(last)) => match (first.get_ref(), last.get_ref()) {
                (Edge::Once(from), Edge::Once(to)) if from <= to => Dates::Between(day_of(from.0), day_of(to.0)),
                (Edge::Yearly(from), Edge::Yearly(to)) => {
                    Dates::Yearly(self.month_day(from, first.span())?, self.month_day(to, last.span())?)
                }
                (Edge::Once(_), Edge::Once(_)) => {
                    self.add(last.span(), "`last` is before `first`; write the later date here");
                    return None;
                }
                _ => {
                    self.add(last.span(), "`first` and `last` must both be dates, or both month and day");
                    return None;
                }
            },
            (Some(one), None) | (None, Some(one)) => {
                self.add(one.span(), "`first` and `last` belong together; write both or none");
                return None;
            }
        };
        Some(When { days, hours, dates })
    }

    fn of_classes(&mut self, written: &Option<Spanned<Vec<Text>>>) -> Classes {
        let Some(written) = written else { return (1 << self.classes.len()) - 1 };
        let mut classes = 0;
        for name in written.get_ref() {
            match self.classes.iter().position(|class| class.as_str() == name.get_ref()) {
                Some(nth) => classes |= 1 << nth,
                None => self.add(name.span(), "no such class; write one of `classes` at the top of the file"),
            }
        }
        if written.get_ref().is_empty() {
            self.add(written.span(), "`classes` is empty; leave the key out for every class");
        }
        classes
    }

    fn rate(&mut self, written: &Spanned<RateFile>, rounding: Rounding) -> Option<Rate> {
        let file = written.get_ref();
        let name = self.name(file.name.as_ref());
        let when = self.when(window!(file))?;
        let classes = self.of_classes(&file.classes);
        let price = match (file.free, &file.flat, &file.steps) {
            (Some(true), None, None) => Price::Free,
            (None | Some(false), Some(flat), None) => Price::Flat(self.number(Some(flat), "flat", 0..=MOST)?),
            (None | Some(false), None, Some(steps)) if !steps.get_ref().is_empty() => {
                let mut all = Vec::new();
                for step in steps.get_ref() {
                    all.push(Step {
                        minutes: self.number(Some(&step.minutes), "minutes", 1..=7 * DAY)?,
                        price: self.number(Some(&step.price), "price", 0..=MOST)?,
                        times: match &step.times {
                            None => 1,
                            Some(times) => u32::try_from(self.number(Some(times), "times", 1..=10_000)?).ok()?,
                        },
                    });
                }
                let own = file.rounding.as_ref().map(|rounding| *rounding.get_ref());
                Price::Steps { steps: all, rounding: own.unwrap_or(rounding) }
            }
            _ => {
                self.add(written.span(), "a rate has one price; write one of steps = [{ minutes = 30, price = 100 }], flat = 500 and free = true");
                return None;
            }
        };
        if let Some(rounding) = file.rounding.as_ref().filter(|_| !matches!(price, Price::Steps { .. })) {
            self.add(rounding.span(), "`rounding` is for steps, and this rate has none; leave it out");
        }
        Some(Rate { name, when, classes, price })
    }

    fn fixed(&mut self, written: &Spanned<FixedFile>) -> Option<Fixed> {
        let file = written.get_ref();
        let day = self.number(file.out_day.as_ref(), "out_day", 0..=30).unwrap_or(0) * DAY;
        if file.out_day.is_some() && file.out_from.is_none() && file.out_until.is_none() {
            self.add(written.span(), "`out_day` needs `out_from` or `out_until`");
        }
        let mut out = |text: &Option<Text>| Some(day + i64::from(self.time(text.as_ref()?, true)?));
        let (out_from, out_until) = (out(&file.out_from), out(&file.out_until));
        if out_from.zip(out_until).is_some_and(|(from, until)| until < from) {
            self.add(written.span(), "`out_until` is before `out_from`; write the later time there");
        }
        Some(Fixed {
            name: self.name(file.name.as_ref()),
            when: self.when(window!(file))?,
            classes: self.of_classes(&file.classes),
            price: self.number(Some(&file.price), "price", 0..=MOST)?,
            out_from,
            out_until,
            longest: self.number(file.longest.as_ref(), "longest", 1..=30 * DAY),
            applies: file.applies,
        })
    }

    fn cap(&mut self, written: &Spanned<CapFile>) -> Option<Cap> {
        let file = written.get_ref();
        let when = self.when(window!(file))?;
        let classes = self.of_classes(&file.classes);
        let amount = self.number(Some(&file.amount), "amount", 0..=MOST)?;
        let word = *file.per.get_ref();
        let hours = self.number(file.hours.as_ref(), "hours", 1..=24 * 30);
        let wrong = match word {
            CapWord::Stay if when != When::ALWAYS => {
                Some("a cap per stay holds always; leave days, hours and dates out")
            }
            // `00:00` until `24:00` is a window, too.
            CapWord::Window if file.from.is_none() => Some("a cap per window needs `from` and `until`"),
            CapWord::Day | CapWord::Hours if file.from.is_some() => {
                Some("a cap per day or hours has no `from` and `until`; write per = \"window\"")
            }
            CapWord::Hours if file.hours.is_none() => Some("a cap per hours needs to know how many; write hours = 24"),
            _ if word != CapWord::Hours && (file.hours.is_some() || file.midnight.is_some()) => {
                Some("`hours` and `midnight` belong to per = \"hours\"")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.add(file.per.span(), wrong);
            return None;
        }
        let per = match word {
            CapWord::Stay => CapPer::Stay,
            CapWord::Day => CapPer::Day,
            CapWord::Window => CapPer::Window,
            CapWord::Hours => {
                let midnight = file.midnight.as_ref().is_some_and(|midnight| *midnight.get_ref());
                CapPer::Hours { hours: hours?, midnight }
            }
        };
        Some(Cap { amount, per, when, classes })
    }

    fn lost(&mut self, written: &Spanned<LostFile>) -> Option<Lost> {
        let LostFile { price, since, surcharge } = written.get_ref();
        match (price, since, surcharge) {
            (Some(price), None, None) => Some(Lost::Price(self.number(Some(price), "price", 0..=MOST)?)),
            (None, Some(since), surcharge) => Some(Lost::Since {
                minute: self.time(since, false)?,
                surcharge: self.number(surcharge.as_ref(), "surcharge", 0..=MOST).unwrap_or(0),
            }),
            _ => {
                self.add(written.span(), "a lost ticket has one rule; write price = 2000, or since = \"06:00\" and where there is one a surcharge");
                None
            }
        }
    }

    fn season(&mut self, written: &Spanned<SeasonFile>) -> Option<Season> {
        let file = written.get_ref();
        let name = Label::parse(file.name.get_ref());
        if name.is_none() {
            self.add(file.name.span(), "a season pass's name is 1 to 32 letters, digits, `_` or `-`");
        }
        Some(Season { when: self.when(window!(file))?, classes: self.of_classes(&file.classes), name: name? })
    }

    fn validations(&mut self, written: &[Spanned<ValidationFile>]) -> Vec<Validation> {
        let mut all: Vec<Validation> = Vec::new();
        for written in written {
            let ValidationFile { name, minutes, percent, amount } = written.get_ref();
            let worth = match (minutes, percent, amount) {
                (Some(minutes), None, None) => self.number(Some(minutes), "minutes", 1..=30 * DAY).map(Worth::Minutes),
                (None, Some(percent), None) => self.number(Some(percent), "percent", 1..=100).map(Worth::Percent),
                (None, None, Some(amount)) => self.number(Some(amount), "amount", 1..=MOST).map(Worth::Amount),
                _ => {
                    self.add(
                        written.span(),
                        "a validation is worth one thing; write one of minutes, percent and amount",
                    );
                    None
                }
            };
            let label = Label::parse(name.get_ref()).filter(|label| all.iter().all(|known| known.name != *label));
            if label.is_none() {
                self.add(name.span(), "a validation's name is 1 to 32 letters, digits, `_` or `-`, and no other's");
            }
            all.extend(label.zip(worth).map(|(name, worth)| Validation { name, worth }));
        }
        all
    }
}
