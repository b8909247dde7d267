//! The sign at the entrance, in English, and a window in words.

use std::fmt::Write as _;

use super::window::date_of;
use super::{
    Applies, CapPer, Dates, Days, Exceeded, FreePer, Label, LastMinute, Lost, Price, Rounding, Stay, Tariff, When,
    Worth, fee,
};
use crate::vocabulary::{Language, Localized, Minor, Money, Wall};

/// Lines of text: every rule, and what stays from `entry` on cost.
pub fn table(tariff: &Tariff, entry: Wall) -> String {
    let english = Language::new("en");
    let money = |amount: Minor| Money { amount, currency: tariff.currency }.to_string();
    let mut sign = format!("{}\n", tariff.name.get(&english));
    let mut say = |text: String| writeln!(sign, "{text}").expect("a string takes everything");
    if tariff.grace.entry > 0 {
        say(format!("Stays of no more than {}: free", time(tariff.grace.entry)));
    }
    if let Some(free) = tariff.free {
        let per = if free.per == FreePer::Day { " of each day" } else { "" };
        let lost = if free.exceeded == Exceeded::Lost { ", only if that is all" } else { ", also of longer stays" };
        say(format!("First {}{per}: free{lost}", time(free.minutes)));
    }
    for (nth, class) in tariff.classes.iter().enumerate() {
        if tariff.classes.len() > 1 {
            say(format!("\n{class}"));
        }
        let of = 1 << nth;
        for rate in tariff.rates.iter().filter(|rate| rate.classes & of != 0) {
            let price = match &rate.price {
                Price::Free => "free".to_owned(),
                Price::Flat(price) => money(*price),
                Price::Steps { steps, rounding } => {
                    let last = steps.len() - 1;
                    let step = |(nth, step): (usize, &super::Step)| {
                        let times =
                            if step.times > 1 && nth < last { format!("{} × ", step.times) } else { String::new() };
                        let each = if nth == last { "each " } else { "" };
                        let begun = if *rounding == Rounding::Up && nth == last { "started " } else { "" };
                        format!("{each}{begun}{times}{} {}", time(step.minutes), money(step.price))
                    };
                    steps.iter().enumerate().map(step).collect::<Vec<_>>().join(", then ")
                }
            };
            say(format!("{}: {price}", heading(&rate.name, &rate.when)));
        }
        for fixed in tariff.fixed.iter().filter(|fixed| fixed.classes & of != 0) {
            let out = match (fixed.out_from, fixed.out_until) {
                (None, None) => String::new(),
                (from, until) => format!(
                    ", out{}{}",
                    from.map(|from| format!(" from {}", clock(from))).unwrap_or_default(),
                    until.map(|until| format!(" until {}", clock(until))).unwrap_or_default()
                ),
            };
            let longest = fixed.longest.map_or_else(String::new, |most| format!(", no longer than {}", time(most)));
            let lower = if fixed.applies == Applies::WhenLower { " at most" } else { "" };
            say(format!(
                "{}, by the time of entry{out}{longest}:{lower} {}",
                heading(&fixed.name, &fixed.when),
                money(fixed.price)
            ));
        }
        for cap in tariff.caps.iter().filter(|cap| cap.classes & of != 0) {
            let per = match cap.per {
                CapPer::Stay => "for a stay".to_owned(),
                CapPer::Day => "a day".to_owned(),
                CapPer::Hours { hours, midnight } => {
                    format!("in {hours} h from the entry{}", if midnight { ", anew at midnight" } else { "" })
                }
                CapPer::Window => "in this time".to_owned(),
            };
            let when = if cap.when == When::ALWAYS { String::new() } else { format!(" ({})", window(&cap.when)) };
            say(format!("At most {} {per}{when}", money(cap.amount)));
        }
        let mut examples = Vec::new();
        for minutes in [15, 30, 60, 120, 240, 480, 1_440, 2_880] {
            let exit = Wall(entry.0 + minutes * 60_000);
            let stay = Stay { class: Label::parse(class.as_str()), ..Stay::new(entry, exit) };
            if let Ok(bill) = fee(tariff, &stay) {
                examples.push(format!("{} {}", time(minutes.cast_signed()), money(bill.amount)));
            }
        }
        say(format!("For example: {}", examples.join(" · ")));
    }
    match tariff.lost {
        None => {}
        Some(Lost::Price(price)) => say(format!("\nLost ticket: {}", money(price))),
        Some(Lost::Since { minute, surcharge }) => {
            let more = if surcharge > 0 { format!(" and {}", money(surcharge)) } else { String::new() };
            say(format!("\nLost ticket: from {} on{more}", clock(i64::from(minute))));
        }
    }
    for season in &tariff.seasons {
        let of = |(nth, class): (usize, &Label)| (season.classes & 1 << nth != 0).then(|| class.to_string());
        let classes: Vec<String> = tariff.classes.iter().enumerate().filter_map(of).collect();
        let all = classes.len() == tariff.classes.len();
        let classes = if all { String::new() } else { format!(" ({})", classes.join(", ")) };
        say(format!("Season pass {}{classes}: {}", season.name, window(&season.when)));
    }
    if let Some(within) = tariff.re_entry {
        say(format!("Who comes back within {} goes on with the stay before", time(within)));
    }
    for validation in &tariff.validations {
        let worth = match validation.worth {
            Worth::Minutes(minutes) => format!("{} free", time(minutes)),
            Worth::Percent(percent) => format!("{percent}% less"),
            Worth::Amount(amount) => format!("{} less", money(amount)),
        };
        say(format!("Validated by {}: {worth}", validation.name));
    }
    if tariff.grace.leaving > 0 {
        say(format!("The last {} are not charged", time(tariff.grace.leaving)));
    }
    if tariff.grace.payment > 0 {
        say(format!("Leave within {} after you have paid", time(tariff.grace.payment)));
    }
    if tariff.last_minute == LastMinute::Included {
        say("The minute in which you leave counts".into());
    }
    match tariff.tax {
        Some(tax) if tax.included => say(format!("Prices include {} tax", tax.rate)),
        Some(tax) => say(format!("{} tax is added", tax.rate)),
        None => {}
    }
    sign
}

fn heading(name: &Localized, when: &When) -> String {
    let (name, window) = (name.get(&Language::new("en")), window(when));
    if name.is_empty() { window } else { format!("{name} ({window})") }
}

/// Days, hours and dates.
pub(super) fn window(when: &When) -> String {
    let mut words = Vec::new();
    if when.days != Days::ALL {
        words.push(when.days.names().collect::<Vec<_>>().join(" "));
    }
    if let Some(hours) = when.hours {
        words.push(format!("{}–{}", clock(i64::from(hours.from)), clock(i64::from(hours.until))));
    }
    match when.dates {
        Dates::Always => {}
        Dates::Between(first, last) => words.push(format!("{} to {}", date_of(first), date_of(last))),
        Dates::Yearly(first, last) => {
            words.push(format!("{:02}-{:02} to {:02}-{:02}", first.0, first.1, last.0, last.1));
        }
    }
    if words.is_empty() { "always".into() } else { words.join(", ") }
}

/// `14:35`; `+1 09:00` on the next day.
pub(super) fn clock(minute: i64) -> String {
    let (day, minute) = if minute == 1_440 { (0, minute) } else { (minute / 1_440, minute % 1_440) };
    let day = if day > 0 { format!("+{day} ") } else { String::new() };
    format!("{day}{:02}:{:02}", minute / 60, minute % 60)
}

pub(super) fn time(minutes: i64) -> String {
    if minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") }
}
