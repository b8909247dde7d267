//! What `check` says, and what it says nothing about.

use super::*;

fn warnings(tariff: &Tariff, from: &str) -> Vec<String> {
    let found = check(tariff, at(tariff, from), &mut |_| ()).unwrap();
    found.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn warnings_name_the_minute_and_the_amounts() {
    let said = |rules: &str| -> Vec<String> {
        let tariff = tariff(rules);
        warnings(&tariff, "2026-11-30 12:00")
    };
    let nights = |line: &String| line.starts_with("clock: car, in ");
    let calm: Vec<String> = said(HALF_HOURS).into_iter().filter(|line| !nights(line)).collect();
    assert_eq!(calm, Vec::<String>::new());
    let of = |rules: &str, what: &str| {
        let all = said(rules);
        assert!(all.iter().any(|line| line.contains(what)), "{what} is not in {all:#?}");
    };
    of(HALF_HOURS, "in Sat 2027-03-27 20:00, out Sun 2027-03-28 08:00 costs 22.00 EUR, and a week before 24.00 EUR");
    let early = format!("{HALF_HOURS}[[fixed]]\nout_from = \"15:00\"\nprice = 200\napplies = \"when-lower\"\n");
    of(&early, "14:59 costs");
    of(&early, "15:00 only 2.00 EUR");
    let lost = format!("[free]\nminutes = 120\nexceeded = \"lost\"\n{HALF_HOURS}");
    of(&lost, "02:00 costs 0.00 EUR, and a minute later 5.00 EUR");
    let overlap = "[[rate]]\nname = { en = \"One\" }\nfrom = \"08:00\"\nuntil = \"12:00\"\nflat = 1\n\
        [[rate]]\nname = { en = \"Two\" }\nfrom = \"11:00\"\nuntil = \"14:00\"\nflat = 2\n[[rate]]\nfree = true\n";
    of(overlap, "2026-11-30 11:00: `One` and `Two` both hold; `One` counts");
    let past = "[[rate]]\nfirst = 2020-01-01\nlast = 2020-12-31\nflat = 1\n[[rate]]\nfree = true\n";
    of(past, "never: [[rate]] 1");
    let night = "[[rate]]\nfrom = \"02:30\"\nuntil = \"05:00\"\nflat = 1\n[[rate]]\nfree = true\n";
    of(night, "2027-03-28 02:30 is left out");
    of(night, "2027-10-31 02:30 comes twice");
    let holidays =
        "holidays = { dates = [2026-12-25] }\n[[rate]]\ndays = [\"holiday\"]\nflat = 1\n[[rate]]\nfree = true\n";
    of(holidays, "the last date in the file is 2026-12-25");
}

#[test]
fn a_price_with_added_tax_is_no_jump() {
    let rules = |included: bool| tariff(&format!("tax = {{ rate = \"19%\", included = {included} }}\n{HALF_HOURS}"));
    for tariff in [rules(true), rules(false)] {
        let told = warnings(&tariff, "2026-11-30 12:00");
        assert!(told.iter().all(|line| !line.starts_with("jumps")), "{told:#?}");
    }
    let lost = "tax = { rate = \"19%\", included = false }\n[free]\nminutes = 120\nexceeded = \"lost\"\n";
    let told = warnings(&tariff(&format!("{lost}{HALF_HOURS}")), "2026-11-30 12:00");
    assert!(told.iter().any(|line| line.contains("costs 0.00 EUR, and a minute later 5.95 EUR")), "{told:#?}");
    // Of the cars, not of the buses.
    let classes = "classes = [\"car\", \"bus\"]\n[free]\nminutes = 120\nexceeded = \"lost\"\n[[rate]]\nclasses = [\"bus\"]\nflat = 9000\n";
    let told = warnings(&tariff(&format!("{classes}{HALF_HOURS}classes = [\"car\"]\n")), "2026-11-30 12:00");
    assert!(told.iter().any(|line| line.starts_with("jumps: car")), "{told:#?}");
}

#[test]
fn holidays_that_end_are_told_wherever_they_matter() {
    let ends = |holidays: &str, rules: &str| {
        let tariff = tariff(&format!("holidays = {holidays}\n{rules}"));
        let told = warnings(&tariff, "2026-11-30 12:00");
        let of = |what: &str| told.iter().any(|line| line.starts_with("holidays: ") && line.contains(what));
        (of("the last date in the file is 2027-02-06"), of("no rule names them"))
    };
    let (dates, both) = ("{ dates = [2027-02-06] }", "{ dates = [2027-02-06], yearly = [\"12-25\"] }");
    // Who charges from Monday to Friday charges nothing on a holiday.
    let workdays = "[[rate]]\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nflat = 1\n[[rate]]\nfree = true\n";
    let named = "[[rate]]\ndays = [\"holiday\"]\nflat = 1\n[[rate]]\nfree = true\n";
    for rules in [workdays, named] {
        assert_eq!([ends(dates, rules), ends(both, rules)], [(true, false); 2], "{rules}");
        assert_eq!(ends("{ dates = [2027-02-06, 2028-01-26] }", rules), (false, false));
        assert_eq!(ends("{ yearly = [\"12-25\"] }", rules), (false, false));
    }
    assert_eq!([ends(dates, HALF_HOURS), ends("{ yearly = [\"12-25\"] }", HALF_HOURS)], [(false, true); 2]);
}

#[test]
fn only_an_edge_that_is_left_out_or_comes_twice_is_told() {
    let clocks = |zone: &str, rules: &str| -> Vec<String> {
        let tariff = Tariff { zone: TimeZone::get(zone).unwrap(), ..tariff(rules) };
        let all = warnings(&tariff, "2026-11-30 12:00").into_iter();
        all.filter(|line| line.contains("left out") || line.contains("twice")).collect()
    };
    let window = |from: &str, until: &str| {
        format!("[[rate]]\nfrom = \"{from}\"\nuntil = \"{until}\"\nflat = 1\n[[rate]]\nfree = true\n")
    };
    let daily = format!("restart = \"day\"\n{HALF_HOURS}[[cap]]\nper = \"day\"\namount = 500\n");
    // There, clocks change at midnight.
    for zone in ["Africa/Cairo", "America/Havana", "Asia/Beirut", "America/Santiago", "Europe/Berlin"] {
        for rules in
            [HALF_HOURS, &daily, &window("08:00", "18:00"), &window("00:00", "08:00"), &window("18:00", "24:00")]
        {
            assert_eq!(clocks(zone, rules), Vec::<String>::new(), "{zone}\n{rules}");
        }
    }
    let told = clocks("America/Havana", &window("00:30", "08:00"));
    assert!(
        told.contains(&"clock: 2027-03-14 00:30 is left out that day, and a rule begins or ends then".into()),
        "{told:#?}"
    );
    assert!(told.iter().any(|line| line.contains("2027-11-07 00:30 comes twice")), "{told:#?}");
    // Of an hour that somebody must be out at, the first is meant.
    let out = format!("{HALF_HOURS}[[fixed]]\nprice = 1\napplies = \"always\"\nout_until = \"02:00\"\n");
    assert_eq!(clocks("Europe/Berlin", &out).len(), 2, "in two autumns");
}

#[test]
fn two_years_are_looked_at_and_every_class() {
    // Only in the second year, and only for buses.
    let second = "classes = [\"car\", \"bus\"]\n[[rate]]\nclasses = [\"bus\"]\nfirst = 2028-05-01\nlast = 2028-05-31\n\
        steps = [{ minutes = 600, price = 900 }]\n[[rate]]\nsteps = [{ minutes = 600, price = 900 }]\n\
        [[fixed]]\nclasses = [\"bus\"]\nfirst = 2028-05-01\nlast = 2028-05-31\nout_from = \"15:00\"\nprice = 2\napplies = \"always\"\n";
    let told = warnings(&tariff(second), "2026-11-30 12:00");
    assert!(told.iter().any(|line| line.starts_with("falls: bus, in ") && line.contains("2028-05")), "{told:#?}");
    // Cars are free at night, and buses are not.
    let night = "classes = [\"car\", \"bus\"]\n[[rate]]\nclasses = [\"car\"]\nfree = true\n\
        [[rate]]\nclasses = [\"bus\"]\nsteps = [{ minutes = 30, price = 100 }]\n";
    let told = warnings(&tariff(night), "2026-11-30 12:00");
    assert!(told.iter().any(|line| line.starts_with("clock: bus, in Sat 2027-03-27 20:00")), "{told:#?}");
}

#[test]
fn what_is_tried_is_bounded_and_told() {
    let few = tariff(HALF_HOURS);
    let mut steps = Vec::new();
    let found = check(&few, at(&few, "2026-11-30 12:00"), &mut |all| steps.push(all)).unwrap();
    assert!(found.tried == found.entries && steps == vec![found.tried; found.tried], "{steps:?}");
    let mut rules = String::from("classes = [\"a\", \"b\", \"c\", \"d\"]\n");
    for nth in 0..63 {
        let minute = nth % 60;
        rules += &format!(
            "[[rate]]\nfrom = \"{:02}:{minute:02}\"\nuntil = \"{:02}:{minute:02}\"\ndays = [\"mon\"]\nflat = 5\n",
            nth % 23,
            nth % 23 + 1
        );
        rules += &format!(
            "[[cap]]\nper = \"window\"\nfrom = \"{:02}:{minute:02}\"\nuntil = \"23:{:02}\"\namount = {}\n",
            nth % 22,
            59 - minute,
            nth + 1
        );
    }
    let many = tariff(&format!("{rules}{HALF_HOURS}"));
    let first = window::day_of(jiff::civil::date(2026, 11, 30));
    let plan = check::plan(&many, first, &[]);
    let mut all = std::collections::BTreeSet::<i64>::new();
    for tried in &plan.tried {
        assert!((2..300).contains(&tried.len()) && tried.is_sorted(), "{}", tried.len());
        all.extend(tried);
    }
    // Of each class others, and at many hours.
    let hours: std::collections::BTreeSet<i64> = all.iter().map(|at| *at / 60 % 24).collect();
    assert!(all.len() == plan.tried.iter().map(Vec::len).sum::<usize>() && hours.len() > all.len() / 2, "{hours:?}");
    assert!(plan.entries > 4 * 300);
    for from in ["1999-12-31 12:00", "2099-06-01 12:00"] {
        assert_eq!(check(&few, at(&few, from), &mut |_| ()), Err(FeeError::NoSuchTime), "{from}");
    }
}

#[test]
fn what_is_meant_is_not_told_and_a_night_away_is() {
    let told = |rules: &str| warnings(&tariff(&format!("{rules}\n{HALF_HOURS}")), "2026-11-30 12:00");
    assert!(told("").iter().any(|line| line.contains("write may_differ = true")), "{:#?}", told(""));
    assert_eq!(told("may_differ = true"), Vec::<String>::new());
    let away = |within: i64| {
        warnings(
            &tariff(&format!("may_differ = true\n{HALF_HOURS}[re_entry]\nwithin = {within}\n")),
            "2026-11-30 12:00",
        )
    };
    assert_eq!(away(720), Vec::<String>::new());
    assert!(
        away(721).iter().any(|line| line.starts_with("re_entry: who comes back within 721 minutes")),
        "{:#?}",
        away(721)
    );
}
