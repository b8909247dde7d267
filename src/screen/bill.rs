//! The lines of a parking bill in words.

use super::language::Texts;
use crate::parking::tariff::{CapPer, Line, Reason, Tariff};
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{Language, Localized};

/// Why `line` is on the bill, in `language`.
pub fn reason(texts: &Texts, language: &Language, tariff: &Tariff, line: &Line) -> String {
    let say = |key: &str, args: &[(&str, &str)]| texts.get(language, key, args);
    let money = |amount| texts.money(language, amount, tariff.currency);
    let named = |name: Option<&Localized>| match name {
        Some(name) if !name.0.is_empty() => name.get(language).to_owned(),
        _ => say("bill-rate", &[]),
    };
    let rate = |rate: usize| named(tariff.rates.get(rate).map(|rate| &rate.name));
    let time = |minutes: i64| {
        let (key, count) = if minutes % 60 == 0 { ("bill-hours", minutes / 60) } else { ("bill-minutes", minutes) };
        say(key, &[("count", &count.to_string())])
    };
    match line.reason {
        Reason::ShortStay { minutes } => say("bill-short-stay", &[("time", &time(minutes))]),
        Reason::Free { minutes } => say("bill-free", &[("time", &time(minutes))]),
        Reason::Leaving { minutes } => say("bill-leaving", &[("time", &time(minutes))]),
        Reason::FreeRate { rate: nth } => say("bill-free-rate", &[("name", &rate(nth))]),
        Reason::Season { season } => {
            let name = tariff.seasons.get(season).map(|season| season.name.to_string());
            say("bill-season", &[("name", &name.unwrap_or_default())])
        }
        Reason::Steps { rate: nth, count, minutes, price } => {
            let (name, count) = (rate(nth), count.to_string());
            let (time, price) = (time(minutes), money(price));
            say("bill-steps", &[("name", &name), ("count", &count), ("time", &time), ("price", &price)])
        }
        Reason::Minutes { rate: nth, minutes, of, price } => {
            let (name, part) = (rate(nth), time(minutes));
            let (time, price) = (time(of), money(price));
            say("bill-part", &[("name", &name), ("part", &part), ("time", &time), ("price", &price)])
        }
        Reason::Incomplete { rate: nth, of } => say("bill-incomplete", &[("name", &rate(nth)), ("time", &time(of))]),
        Reason::Flat { rate: nth } => say("bill-flat", &[("name", &rate(nth))]),
        Reason::FlatPaid { rate: nth } => say("bill-flat-paid", &[("name", &rate(nth))]),
        Reason::Fixed { fixed } => named(tariff.fixed.get(fixed).map(|fixed| &fixed.name)),
        Reason::Cap { amount, per } => {
            let amount = money(amount);
            match per {
                CapPer::Stay => say("bill-cap-stay", &[("amount", &amount)]),
                CapPer::Day => say("bill-cap-day", &[("amount", &amount)]),
                CapPer::Hours { hours, .. } => {
                    say("bill-cap-hours", &[("amount", &amount), ("time", &time(hours * 60))])
                }
                CapPer::Window => say("bill-cap-window", &[("amount", &amount)]),
            }
        }
        Reason::ValidatedMinutes { minutes } => say("bill-validated", &[("worth", &time(minutes))]),
        Reason::ValidatedPercent { percent } => say("bill-validated", &[("worth", &format!("{percent}%"))]),
        Reason::ValidatedAmount { amount } => say("bill-validated", &[("worth", &money(amount))]),
        Reason::LostTicket => say("bill-lost", &[]),
        Reason::LostSurcharge => say("bill-lost-surcharge", &[]),
        Reason::Tax { ppm } => {
            let rate = Rate::from_ppm(ppm).map(|rate| rate.to_string());
            say("bill-tax", &[("rate", &rate.unwrap_or_default())])
        }
        Reason::Further => say("bill-further", &[]),
        Reason::InTime { minutes } => say("bill-in-time", &[("time", &time(minutes))]),
        Reason::AlreadyPaid => say("bill-paid", &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SHIPPED;
    use crate::parking::tariff::{CapPer, Label, Stay, fee, parse};
    use crate::vocabulary::{Minor, Wall};

    #[test]
    fn every_reason_has_its_words_in_every_language() {
        let tariff = parse(include_bytes!("../../configs/tariffs/city.toml")).unwrap();
        let (minutes, amount, price) = (90, 500 as Minor, 600 as Minor);
        let cap = |per| Reason::Cap { amount, per };
        let reasons = [
            Reason::ShortStay { minutes },
            Reason::Free { minutes },
            Reason::Leaving { minutes },
            Reason::FreeRate { rate: 0 },
            Reason::Season { season: 0 },
            Reason::Steps { rate: 2, count: 3, minutes: 60, price },
            Reason::Minutes { rate: 2, minutes, of: 60, price },
            Reason::Incomplete { rate: 2, of: 60 },
            Reason::Flat { rate: 2 },
            Reason::FlatPaid { rate: 2 },
            Reason::Fixed { fixed: 0 },
            cap(CapPer::Stay),
            cap(CapPer::Day),
            cap(CapPer::Hours { hours: 24, midnight: false }),
            cap(CapPer::Window),
            Reason::ValidatedMinutes { minutes },
            Reason::ValidatedPercent { percent: 50 },
            Reason::ValidatedAmount { amount },
            Reason::LostTicket,
            Reason::LostSurcharge,
            Reason::Tax { ppm: 60_000 },
            Reason::Further,
            Reason::InTime { minutes },
            Reason::AlreadyPaid,
        ];
        let texts = Texts::shipped();
        for (tag, _) in SHIPPED {
            let words = reasons.map(|reason| {
                let line = Line { reason, from: Wall(0), to: Wall(0), amount: 0 };
                super::reason(&texts, &Language::new(*tag), &tariff, &line)
            });
            for (nth, text) in words.iter().enumerate() {
                let reason = reasons[nth];
                assert!(!text.contains("bill-") && !text.contains('{'), "{tag}: {reason:?}: {text}");
                assert!(!words[..nth].contains(text), "{tag}: {reason:?} is told like another: {text}");
            }
        }
    }

    #[test]
    fn a_bill_is_read_aloud() {
        let tariff = parse(include_bytes!("../../configs/tariffs/city.toml")).unwrap();
        // 2026-11-30 08:00 in Shanghai.
        let entry = Wall(1_795_996_800_000);
        let mut stay = Stay::new(entry, Wall(entry.0 + 150 * 60_000));
        stay.validations.extend(Label::parse("shop-half"));
        let bill = fee(&tariff, &stay).unwrap();
        let texts = Texts::shipped();
        let told = |tag| -> Vec<String> {
            bill.lines.iter().map(|line| reason(&texts, &Language::new(tag), &tariff, line)).collect()
        };
        assert_eq!(told("en"), ["Day: 1 × 1 h at ¥6.00", "Day: 3 × 30 min at ¥4.00", "Validated: 50%"]);
        assert_eq!(told("zh-Hans")[0], "白天：1 × 1 小时，每次 ¥6.00");
        assert_eq!(bill.amount, 900);
    }
}
