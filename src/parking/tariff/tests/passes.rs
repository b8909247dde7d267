//! Season passes, and cars that come back.

use super::*;

/// Who works from Monday to Friday, and on Saturday mornings.
const OFFICE: &str = "[[season]]\nname = \"office\"\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nfrom = \"08:00\"\nuntil = \"18:00\"\n\
    [[season]]\nname = \"office\"\ndays = [\"sat\"]\nfrom = \"08:00\"\nuntil = \"12:00\"\n\
    [[season]]\nname = \"night\"\nfrom = \"18:00\"\nuntil = \"08:00\"\n";

#[test]
fn a_season_pass_covers_its_hours_and_the_rest_is_charged() {
    let of = |rules: &str, season: &str, entry: &str, exit: &str| {
        let tariff = tariff(&format!("{rules}{OFFICE}"));
        let season = Some(Label::parse(season).unwrap());
        fee(&tariff, &Stay { season, ..stay(&tariff, entry, exit) }).map(|bill| bill.amount)
    };
    let monday = |rules: &str, entry: &str, exit: &str| {
        of(rules, "office", &format!("2026-11-30 {entry}"), &format!("2026-11-30 {exit}"))
    };
    assert_eq!(monday(HALF_HOURS, "08:00", "18:00"), Ok(0));
    assert_eq!(monday(HALF_HOURS, "07:00", "19:00"), Ok(400));
    assert_eq!(monday(HALF_HOURS, "07:50", "08:20"), Ok(100), "a step that began before");
    assert_eq!(of(HALF_HOURS, "office", "2026-11-28 08:00", "2026-11-28 13:00"), Ok(200), "a Saturday");
    assert_eq!(of(HALF_HOURS, "office", "2026-11-30 17:00", "2026-12-01 09:00"), Ok(2_800), "a night");
    assert_eq!(of(HALF_HOURS, "night", "2026-11-30 17:00", "2026-12-01 09:00"), Ok(400));
    let other = of(HALF_HOURS, "gold", "2026-11-30 08:00", "2026-11-30 09:00");
    assert!(other.unwrap_err().to_string().contains("no season pass `gold`; there is: night, office"));
    // Counted from the entry on, as for everybody.
    assert_eq!(monday(&format!("[grace]\nentry = 15\n{HALF_HOURS}"), "17:00", "18:10"), Ok(100));
    let fixed = format!("{HALF_HOURS}[[fixed]]\nprice = 700\napplies = \"always\"\n");
    assert_eq!(["18:00", "19:00", "23:00"].map(|exit| monday(&fixed, "12:00", exit)), [Ok(0), Ok(200), Ok(700)]);
    // A list that begins again behind the pass would cost more than without it.
    let again =
        "restart = \"window\"\n[[rate]]\nsteps = [{ minutes = 60, price = 500 }, { minutes = 60, price = 10 }]\n";
    assert_eq!(monday(again, "07:00", "19:00"), Ok(500 + 11 * 10));
    assert_eq!(monday(again, "07:00", "18:00"), Ok(500));
}

#[test]
fn a_season_pass_holds_where_time_alone_is_charged() {
    let tariff = tariff(&format!(
        "[grace]\nlate = \"anew\"\n[lost]\nsince = \"07:00\"\n{HALF_HOURS}{OFFICE}[[validation]]\nname = \"hour\"\nminutes = 60\n"
    ));
    let season = Label::parse("office");
    let exit = at(&tariff, "2026-11-30 18:30");
    let lost = Stay { entry: Entry::Lost, season: season.clone(), ..Stay::new(exit, exit) };
    assert_eq!(fee(&tariff, &lost).unwrap().amount, 200 + 100);
    let paid = [Paid { at: at(&tariff, "2026-11-30 17:30"), amount: 200 }];
    let late = Stay { season: season.clone(), ..stay(&tariff, "2026-11-30 07:00", "2026-11-30 18:30") };
    assert_eq!(due(&tariff, &late, &paid).unwrap().amount, 100);
    let shop = Stay { validations: Label::parse("hour").into_iter().collect(), ..late };
    assert_eq!(fee(&tariff, &shop).unwrap().amount, 100, "the first hour is what is taken away");
    let bill = fee(&tariff, &Stay { season, ..stay(&tariff, "2026-11-30 07:00", "2026-11-30 19:00") }).unwrap();
    let told: Vec<_> = bill.lines.iter().map(|line| (line.reason, line.amount)).collect();
    let steps = Reason::Steps { rate: 0, count: 2, minutes: 30, price: 100 };
    assert_eq!(told, [(steps, 200), (Reason::Season { season: 0 }, 0), (steps, 200)]);
}

#[test]
fn who_comes_back_goes_on_with_the_stay_before() {
    let rules = |more: &str| {
        tariff(&format!(
            "tax = {{ rate = \"25%\", included = true }}\n[grace]\nentry = 60\npayment = 5\n{HALF_HOURS}{more}"
        ))
    };
    let (again, never) = (rules("[re_entry]\nwithin = 60\n"), rules(""));
    let back = |tariff: &Tariff, entry: &str, exit: &str, paid: Minor| Stay {
        visit: Some(Visit { entry: at(tariff, "2026-11-30 09:00"), exit: at(tariff, "2026-11-30 10:00"), paid }),
        ..stay(tariff, &format!("2026-11-30 {entry}"), &format!("2026-11-30 {exit}"))
    };
    let owed = |tariff: &Tariff, entry: &str, exit: &str, paid: Minor| {
        fee(tariff, &back(tariff, entry, exit, paid)).map(|bill| (bill.amount, bill.tax))
    };
    // An hour is free, and another is not.
    assert_eq!(owed(&again, "10:30", "11:20", 0), Ok((500, 100)));
    assert_eq!(owed(&never, "10:30", "11:20", 0), Ok((0, 0)));
    assert_eq!(owed(&again, "11:00", "11:20", 0), Ok((500, 100)), "an hour after it, which is included");
    assert_eq!(owed(&again, "11:01", "11:20", 0), Ok((0, 0)));
    assert_eq!(owed(&again, "10:30", "11:20", 200), Ok((300, 60)), "what is paid is not asked for again");
    assert_eq!(owed(&again, "10:30", "11:20", 900), Ok((0, 0)), "and nothing goes back");
    assert_eq!(owed(&again, "09:59", "11:20", 200), Ok((300, 60)), "by a clock that is behind");
    let stay = back(&again, "10:30", "12:10", 200);
    let paid = [Paid { at: at(&again, "2026-11-30 11:20"), amount: 300 }];
    assert_eq!(due(&again, &stay, &paid).map(|bill| (bill.amount, bill.tax)), Ok((200, 40)));
    let old = Visit { entry: at(&again, "2016-11-01 00:00"), ..stay.visit.unwrap() };
    assert_eq!(fee(&again, &Stay { visit: Some(old), ..stay }), Err(FeeError::TooLong));
}
