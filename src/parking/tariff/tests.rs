//! Each key by itself: what it does to a price, and what is said where it can't be understood.

use super::*;
use crate::vocabulary::Problem;

/// `rules` behind a head, in Berlin.
fn read(rules: &str) -> Result<Tariff, Vec<Problem>> {
    parse(format!("name = {{ en = \"Test\" }}\ncurrency = \"EUR\"\nzone = \"Europe/Berlin\"\n{rules}").as_bytes())
}

fn tariff(rules: &str) -> Tariff {
    read(rules).unwrap_or_else(|problems| panic!("{problems:?}\n{rules}"))
}

const HALF_HOURS: &str = "[[rate]]\nsteps = [{ minutes = 30, price = 100 }]\n";
/// By day in half hours, by night in hours.
const DAY_AND_NIGHT: &str = "[[rate]]\nfrom = \"08:00\"\nuntil = \"18:00\"\nsteps = [{ minutes = 30, price = 100 }]\n\
    [[rate]]\nsteps = [{ minutes = 60, price = 120 }]\n";

fn at(tariff: &Tariff, text: &str) -> Wall {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    Wall(u64::try_from(civil.to_zoned(tariff.zone.clone()).unwrap().timestamp().as_millisecond()).unwrap())
}

fn stay(tariff: &Tariff, entry: &str, exit: &str) -> Stay {
    Stay::new(at(tariff, entry), at(tariff, exit))
}

fn price(rules: &str, entry: &str, exit: &str) -> Minor {
    let tariff = tariff(rules);
    fee(&tariff, &stay(&tariff, entry, exit)).unwrap().amount
}

/// On a Monday.
fn monday(rules: &str, entry: &str, exit: &str) -> Minor {
    price(rules, &format!("2026-11-30 {entry}"), &format!("2026-11-30 {exit}"))
}

#[test]
fn the_last_step_is_rounded() {
    let rules = |rounding: &str| format!("rounding = \"{rounding}\"\n{HALF_HOURS}");
    for (rounding, prices) in
        [("up", [100, 100, 200, 200]), ("down", [0, 100, 100, 100]), ("minute", [33, 100, 103, 197])]
    {
        for (exit, wanted) in ["09:10", "09:30", "09:31", "09:59"].iter().zip(prices) {
            assert_eq!(monday(&rules(rounding), "09:00", exit), wanted, "{rounding} until {exit}");
        }
    }
    assert_eq!(monday(HALF_HOURS, "09:00", "09:00"), 0);
    let included = format!("last_minute = \"included\"\n{HALF_HOURS}");
    assert_eq!(["09:00", "09:29", "09:30"].map(|exit| monday(&included, "09:00", exit)), [100, 100, 200]);
}

#[test]
fn a_step_over_a_boundary() {
    let rules = |crossing: &str| format!("crossing = \"{crossing}\"\n{DAY_AND_NIGHT}");
    // The step of 17:50 goes past 18:00.
    assert_eq!(monday(&rules("runs-on"), "17:50", "18:20"), 100);
    assert_eq!(monday(&rules("runs-on"), "17:50", "18:21"), 220);
    assert_eq!(monday(&rules("cut"), "17:50", "18:01"), 220);
    assert_eq!(monday(&rules("split"), "17:50", "18:01"), 33 + 120);
    assert_eq!(monday(&rules("split"), "17:50", "18:00"), 100, "the car leaves in that step, which is rounded up");
    let down = format!("rounding = \"down\"\ncrossing = \"cut\"\n{DAY_AND_NIGHT}");
    assert_eq!(monday(&down, "17:50", "19:00"), 120);
}

#[test]
fn lists_begin_again() {
    let rules = |restart: &str| {
        format!(
            "restart = \"{restart}\"\n[[rate]]\nfrom = \"22:00\"\nuntil = \"06:00\"\nfree = true\n\
             [[rate]]\nsteps = [{{ minutes = 60, price = 300 }}, {{ minutes = 60, price = 100 }}]\n"
        )
    };
    // Two hours in the evening, one in the morning; one the evening after, which is past 24 hours.
    let until = |restart, exit| price(&rules(restart), "2026-11-30 20:00", exit);
    assert_eq!(
        ["never", "window", "day", "24h"].map(|restart| until(restart, "2026-12-01 07:00")),
        [500, 700, 700, 500]
    );
    let second = ["never", "window", "day", "24h"].map(|restart| until(restart, "2026-12-01 21:00"));
    assert_eq!(second, [400 + 1_500, 400 + 1_700, 400 + 1_700, 400 + 1_700]);
}

#[test]
fn free_minutes_are_lost_or_deducted() {
    let rules = |more: &str| format!("[free]\nminutes = 60\n{more}\n{HALF_HOURS}");
    let lost = rules("exceeded = \"lost\"");
    let deducted = rules("exceeded = \"deducted\"");
    assert_eq!([monday(&lost, "09:00", "10:00"), monday(&lost, "09:00", "10:01")], [0, 300]);
    assert_eq!([monday(&deducted, "09:00", "10:00"), monday(&deducted, "09:00", "10:01")], [0, 100]);
    let daily = rules("per = \"day\"\nexceeded = \"deducted\"");
    assert_eq!(price(&daily, "2026-11-30 22:30", "2026-12-01 01:30"), 100 + 100, "an hour of each day");
    let daily = rules("per = \"day\"\nexceeded = \"lost\"");
    assert_eq!(price(&daily, "2026-11-30 23:00", "2026-12-01 01:00"), 0);
    assert_eq!(price(&daily, "2026-11-30 23:00", "2026-12-01 01:01"), 300);
    let tariff = tariff(&deducted);
    let used = Stay { free_used: 45, ..stay(&tariff, "2026-11-30 09:00", "2026-11-30 10:00") };
    assert_eq!(fee(&tariff, &used).unwrap().amount, 200, "15 minutes are left");
}

#[test]
fn graces() {
    let grace = format!("[grace]\nentry = 10\nleaving = 5\n{HALF_HOURS}");
    assert_eq!(["09:10", "09:11", "09:35", "09:36"].map(|exit| monday(&grace, "09:00", exit)), [0, 100, 100, 200]);
}

#[test]
fn a_flat_price_is_for_each_time_its_window_is_open() {
    let rules = "[[rate]]\nfrom = \"12:00\"\nuntil = \"13:00\"\nfree = true\n\
        [[rate]]\nfrom = \"10:00\"\nuntil = \"16:00\"\nflat = 500\n[[rate]]\nfree = true\n";
    assert_eq!(monday(rules, "15:59", "16:00"), 500);
    assert_eq!(monday(rules, "11:00", "15:00"), 500, "noon interrupts it, and it is the same window");
    assert_eq!(price(rules, "2026-11-30 11:00", "2026-12-01 11:00"), 1_000);
    let day = "[[rate]]\nflat = 500\n";
    assert_eq!(price(day, "2026-11-30 23:59", "2026-12-02 00:01"), 1_500);
}

#[test]
fn caps_hold_for_their_blocks() {
    let rules = |cap: &str| format!("{HALF_HOURS}[[cap]]\namount = 500\n{cap}");
    let two_days = |cap| price(&rules(cap), "2026-11-30 18:00", "2026-12-01 18:30");
    assert_eq!(two_days("per = \"stay\""), 500);
    assert_eq!(two_days("per = \"day\""), 1_000);
    assert_eq!(two_days("per = \"hours\"\nhours = 24"), 600);
    assert_eq!(two_days("per = \"hours\"\nhours = 24\nmidnight = true"), 1_000);
    assert_eq!(two_days("per = \"day\"\ndays = [\"mon\"]"), 500 + 3_700);
    assert_eq!(two_days("per = \"window\"\nfrom = \"22:00\"\nuntil = \"06:00\""), 800 + 500 + 2_500);
    let tariff = tariff(&rules("per = \"hours\"\nhours = 24"));
    let bill = fee(&tariff, &stay(&tariff, "2026-11-30 18:00", "2026-12-01 18:30")).unwrap();
    let caps: Vec<Minor> = bill.lines.iter().filter(|line| !line.reason.is_time()).map(|line| line.amount).collect();
    assert_eq!(caps, [-4_300]);
}

#[test]
fn by_the_time_of_the_entry() {
    let rules = |applies: &str| {
        format!(
            "{HALF_HOURS}[[fixed]]\nfrom = \"06:00\"\nuntil = \"09:00\"\nout_from = \"15:00\"\nout_until = \"19:00\"\n\
             price = 800\napplies = \"{applies}\"\n"
        )
    };
    let lower = rules("when-lower");
    assert_eq!(monday(&lower, "08:59", "15:00"), 800);
    assert_eq!(monday(&lower, "08:59", "19:00"), 800);
    assert_eq!(monday(&lower, "08:59", "14:59"), 1_200);
    assert_eq!(monday(&lower, "08:59", "19:01"), 2_100);
    assert_eq!(monday(&lower, "09:00", "15:00"), 1_200);
    let always = rules("always").replace("out_from = \"15:00\"\n", "");
    assert_eq!(monday(&always, "08:00", "08:30"), 800);
    assert_eq!(monday(&always.replace("[[fixed]]", "[[fixed]]\nlongest = 20"), "08:00", "08:30"), 100);
}

#[test]
fn validations_take_away_in_their_order() {
    let tariff = tariff(&format!(
        "{HALF_HOURS}[[validation]]\nname = \"hour\"\nminutes = 60\n[[validation]]\nname = \"half\"\npercent = 50\n\
         [[validation]]\nname = \"euro\"\namount = 100\n"
    ));
    let with = |names: &[&str]| {
        let mut stay = stay(&tariff, "2026-11-30 09:00", "2026-11-30 11:01");
        stay.validations = names.iter().map(|name| Label::parse(name).unwrap()).collect();
        fee(&tariff, &stay).map(|bill| bill.amount)
    };
    assert_eq!(with(&[]), Ok(500));
    assert_eq!(with(&["hour"]), Ok(300));
    assert_eq!(with(&["euro", "half", "hour"]), Ok(50), "300, then 150, then 50");
    assert_eq!(with(&["half", "half"]), Ok(250), "the same one counts once");
    assert!(with(&["other"]).unwrap_err().to_string().contains("there is: hour, half, euro"));
}

#[test]
fn classes_have_rates_of_their_own() {
    let tariff = tariff(
        "classes = [\"car\", \"bus\"]\n[[rate]]\nclasses = [\"bus\"]\nsteps = [{ minutes = 60, price = 900 }]\n\
         [[rate]]\nclasses = [\"car\"]\nsteps = [{ minutes = 60, price = 200 }]\n",
    );
    let of = |class: Option<&str>| {
        let class = class.map(|class| Label::parse(class).unwrap());
        fee(&tariff, &Stay { class, ..stay(&tariff, "2026-11-30 09:00", "2026-11-30 10:00") }).map(|bill| bill.amount)
    };
    assert_eq!([of(None), of(Some("car")), of(Some("bus"))], [Ok(200), Ok(200), Ok(900)]);
    assert!(of(Some("tram")).unwrap_err().to_string().contains("there is: car, bus"));
}

#[test]
fn tax_is_in_it_or_comes_on_top() {
    let bill = |included: bool| {
        let tariff = tariff(&format!("tax = {{ rate = \"19%\", included = {included} }}\n{HALF_HOURS}"));
        let bill = fee(&tariff, &stay(&tariff, "2026-11-30 09:00", "2026-11-30 10:00")).unwrap();
        (bill.amount, bill.tax)
    };
    assert_eq!([bill(true), bill(false)], [(200, 32), (238, 38)]);
}

#[test]
fn a_lost_ticket() {
    let rules = |rule: &str| tariff(&format!("[grace]\nentry = 600\n{HALF_HOURS}{rule}"));
    let of = |tariff: &Tariff, exit: &str| {
        let exit = at(tariff, exit);
        fee(tariff, &Stay { entry: Entry::Lost, ..Stay::new(exit, exit) }).map(|bill| bill.amount)
    };
    assert_eq!(of(&rules(""), "2026-11-30 10:00"), Err(FeeError::NoLostRule));
    assert_eq!(of(&rules("[lost]\nprice = 2000\n"), "2026-11-30 10:00"), Ok(2_000));
    let since = rules("[lost]\nsince = \"06:00\"\nsurcharge = 300\n");
    assert_eq!(of(&since, "2026-11-30 07:00"), Ok(200 + 300), "no grace");
    assert_eq!(of(&since, "2026-11-30 06:00"), Ok(4_800 + 300), "since yesterday");
}

#[test]
fn who_has_paid_has_time_to_leave() {
    let rules = |late: &str| {
        tariff(&format!(
            "[grace]\npayment = 10\nlate = \"{late}\"\n[free]\nminutes = 20\nexceeded = \"lost\"\n{HALF_HOURS}"
        ))
    };
    let owed = |tariff: &Tariff, exit: &str, paid: &[(&str, Minor)]| {
        let paid = paid.iter().map(|(when, amount)| Paid { at: at(tariff, when), amount: *amount });
        let paid: Vec<Paid> = paid.collect();
        due(tariff, &stay(tariff, "2026-11-30 09:00", exit), &paid).unwrap().amount
    };
    let (difference, anew) = (rules("difference"), rules("anew"));
    let paid = ("2026-11-30 10:00", 200);
    for tariff in [&difference, &anew] {
        assert_eq!(owed(tariff, "2026-11-30 10:00", &[]), 200);
        assert_eq!(owed(tariff, "2026-11-30 10:10", &[paid]), 0);
        assert_eq!(owed(tariff, "2026-11-30 10:11", &[paid]), 100, "nothing is free");
    }
    assert_eq!(owed(&difference, "2026-11-30 11:20", &[paid, ("2026-11-30 11:00", 200)]), 100);
    assert_eq!(owed(&anew, "2026-11-30 11:20", &[paid, ("2026-11-30 11:00", 200)]), 100);
    assert_eq!(owed(&difference, "2026-11-30 10:11", &[("2026-11-30 10:00", 900)]), 0, "and nothing back");
}

#[test]
fn a_length_is_counted_and_a_clock_is_read() {
    let rules = |fixed: &str| {
        tariff(&format!(
            "last_minute = \"included\"\n{HALF_HOURS}[[fixed]]\nprice = 9\napplies = \"always\"\n{fixed}\n"
        ))
    };
    let of = |tariff: &Tariff, exit: &str| {
        fee(tariff, &stay(tariff, "2026-11-30 09:00", &format!("2026-11-30 {exit}"))).unwrap().amount
    };
    let longest = rules("longest = 60");
    assert_eq!([of(&longest, "09:59"), of(&longest, "10:00")], [9, 300], "61 minutes, as the bill counts them");
    let out = rules("out_until = \"10:00\"");
    assert_eq!([of(&out, "10:00"), of(&out, "10:01")], [9, 300]);
}

#[test]
fn who_comes_after_midnight_must_be_out_with_those_of_the_evening() {
    let rules = "[[rate]]\nsteps = [{ minutes = 60, price = 100 }]\n[[fixed]]\nfrom = \"18:00\"\nuntil = \"02:00\"\nout_until = \"08:00\"\n\
        out_day = 1\nprice = 250\napplies = \"always\"\n";
    for (entry, exit, wanted) in [
        ("2026-11-30 20:00", "2026-12-01 08:00", 250),
        ("2026-11-30 20:00", "2026-12-01 08:01", 1_300),
        ("2026-12-01 01:00", "2026-12-01 08:00", 250),
        ("2026-12-01 01:00", "2026-12-01 08:01", 800),
    ] {
        assert_eq!(price(rules, entry, exit), wanted, "{entry} to {exit}");
    }
}

#[test]
fn a_payment_by_a_clock_that_is_ahead_lets_out() {
    for late in ["difference", "anew"] {
        let tariff = tariff(&format!("[grace]\npayment = 10\nlate = \"{late}\"\n{HALF_HOURS}"));
        let owed = |exit: &str, paid: &str| {
            let paid = [Paid { at: at(&tariff, paid), amount: 100 }];
            due(&tariff, &stay(&tariff, "2026-11-30 09:00", exit), &paid).map(|bill| bill.amount)
        };
        assert_eq!(owed("2026-11-30 10:00", "2026-11-30 10:01"), Ok(0), "paid a minute after it has left");
        // Paid before it came: the time to leave is from the entry on.
        assert_eq!(owed("2026-11-30 09:10", "2026-11-30 08:00"), Ok(0));
        let wanted = if late == "difference" { 100 } else { 200 };
        assert_eq!(owed("2026-11-30 09:40", "2026-11-30 08:00"), Ok(wanted), "anew from the entry on");
        assert_eq!(owed("2026-11-30 08:59", "2026-11-30 10:00"), Err(FeeError::Backwards));
        assert_eq!(owed("2026-11-30 10:00", "1999-11-30 10:00"), Err(FeeError::NoSuchTime));
    }
}

#[test]
fn a_lost_ticket_that_is_paid_is_seen_from_the_first_payment() {
    let rules = |late: &str| {
        tariff(&format!(
            "[grace]\npayment = 10\nlate = \"{late}\"\n{HALF_HOURS}[lost]\nsince = \"06:00\"\nsurcharge = 300\n"
        ))
    };
    let owed = |tariff: &Tariff, exit: &str, paid: &[(&str, Minor)]| {
        let exit = at(tariff, exit);
        let paid: Vec<Paid> =
            paid.iter().map(|(when, amount)| Paid { at: at(tariff, when), amount: *amount }).collect();
        due(tariff, &Stay { entry: Entry::Lost, ..Stay::new(exit, exit) }, &paid).unwrap().amount
    };
    let (difference, anew) = (rules("difference"), rules("anew"));
    let paid = ("2026-11-30 05:30", 4_700 + 300);
    for tariff in [&difference, &anew] {
        assert_eq!(owed(tariff, "2026-11-30 05:30", &[]), 4_700 + 300);
        assert_eq!(owed(tariff, "2026-11-30 05:40", &[paid]), 0);
    }
    // Not from this morning on, which would be less than it has paid.
    assert_eq!(owed(&difference, "2026-11-30 06:31", &[paid]), 300);
    assert_eq!(owed(&difference, "2026-11-30 07:31", &[paid, ("2026-11-30 06:31", 300)]), 200);
    assert_eq!(owed(&anew, "2026-11-30 06:31", &[paid]), 300, "no surcharge");
}

#[test]
fn the_first_fixed_price_that_fits_is_the_one() {
    let fixed = |applies: &str, price: Minor| format!("[[fixed]]\nprice = {price}\napplies = \"{applies}\"\n");
    let of = |first: String, second: String| monday(&format!("{HALF_HOURS}{first}{second}"), "09:00", "11:00");
    assert_eq!(of(fixed("when-lower", 500), fixed("always", 90)), 400, "and what comes behind is not looked at");
    assert_eq!(of(fixed("when-lower", 300), fixed("when-lower", 90)), 300);
    assert_eq!(of(fixed("always", 500), fixed("when-lower", 90)), 500);
}

#[test]
fn what_is_owed_has_its_part_of_the_tax() {
    for included in [true, false] {
        let head = format!("tax = {{ rate = \"25%\", included = {included} }}\n[grace]\npayment = 5\n");
        let tariff = tariff(&format!("{head}{HALF_HOURS}"));
        let first = if included { 200 } else { 250 };
        let paid = [Paid { at: at(&tariff, "2026-11-30 10:00"), amount: first }];
        let bill = due(&tariff, &stay(&tariff, "2026-11-30 09:00", "2026-11-30 10:20"), &paid).unwrap();
        assert_eq!((bill.amount, bill.tax), if included { (100, 20) } else { (125, 25) });
    }
}

#[test]
fn equal_steps_are_one_line_however_many_they_are() {
    let minute = "[[rate]]\nsteps = [{ minutes = 7, price = 50, times = 3 }, { minutes = 1, price = 2 }]\n";
    let tariff = tariff(&format!("{minute}[[cap]]\nper = \"stay\"\namount = 9000000\n"));
    let bill = fee(&tariff, &stay(&tariff, "2017-01-01 00:00", "2026-12-31 00:00")).unwrap();
    let told: Vec<_> = bill.lines.iter().map(|line| (line.reason, line.amount)).collect();
    let minutes = 3_651 * 1_440 - 21;
    let steps = |count, minutes, price| Reason::Steps { rate: 0, count, minutes, price };
    let cap = Reason::Cap { amount: 9_000_000, per: CapPer::Stay };
    let over = 150 + 2 * minutes - 9_000_000;
    assert_eq!(told, [(steps(3, 7, 50), 150), (steps(minutes, 1, 2), 2 * minutes), (cap, -over)]);
}

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

#[test]
fn time_is_of_utc_and_windows_are_of_the_site() {
    // 02:00 to 03:00 is left out on 2026-03-29, and comes twice on 2026-10-25.
    assert_eq!(price(HALF_HOURS, "2026-03-29 01:00", "2026-03-29 04:00"), 400);
    assert_eq!(price(HALF_HOURS, "2026-10-25 01:00", "2026-10-25 04:00"), 800);
    let night = "[[rate]]\nfrom = \"02:00\"\nuntil = \"03:00\"\nsteps = [{ minutes = 30, price = 700 }]\n[[rate]]\nfree = true\n";
    assert_eq!(price(night, "2026-03-29 01:00", "2026-03-29 04:00"), 0);
    assert_eq!(price(night, "2026-10-25 01:00", "2026-10-25 04:00"), 2_800);
    assert_eq!(
        price(&format!("{HALF_HOURS}[[cap]]\nper = \"day\"\namount = 300\n"), "2026-10-24 12:00", "2026-10-26 00:00"),
        600
    );
}

#[test]
fn clocks_that_are_put_back_bring_no_price_back() {
    let tariff =
        tariff(&format!("{HALF_HOURS}[[fixed]]\nout_until = \"02:30\"\nprice = 250\napplies = \"when-lower\"\n"));
    let entry = at(&tariff, "2026-10-25 00:00");
    let after = |minutes: u64| fee(&tariff, &Stay::new(entry, Wall(entry.0 + minutes * 60_000))).unwrap().amount;
    // 02:30 for the first time, the minute after it, and for the second time.
    assert_eq!([150, 151, 210].map(after), [250, 600, 700]);
}

#[test]
fn what_is_no_stay_is_refused() {
    let tariff = tariff(HALF_HOURS);
    let (one, two) = (at(&tariff, "2026-11-30 09:00"), at(&tariff, "2026-11-30 10:00"));
    assert_eq!(fee(&tariff, &Stay::new(two, one)), Err(FeeError::Backwards));
    assert_eq!(fee(&tariff, &Stay::new(Wall(0), one)), Err(FeeError::NoSuchTime));
    assert_eq!(fee(&tariff, &Stay::new(one, Wall(u64::MAX))), Err(FeeError::NoSuchTime));
    assert_eq!(fee(&tariff, &Stay::new(at(&tariff, "2016-11-01 00:00"), one)), Err(FeeError::TooLong));
}

#[test]
fn a_file_is_refused_where_it_is_wrong() {
    let cases = [
        ("rate = 1\n", "4:8: ", "invalid type"),
        ("[[rate]]\nflat = 1\nsteps = [{ minutes = 1, price = 1 }]\n", "4:1: ", "write one of steps"),
        ("[[rate]]\nsteps = [{ minutes = 0, price = 1 }]\n", "5:22: ", "`minutes` is 0; write 1 to 10080"),
        ("[[rate]]\nsteps = [{ minutes = 30, price = -1 }]\n", "5:34: ", "`price` is -1; write 0 to 1000000000"),
        ("[[rate]]\nsteps = []\n", "4:1: ", "write one of steps"),
        ("[[rate]]\nfrom = \"8:00\"\nuntil = \"18:00\"\nfree = true\n", "5:8: ", "no time of the day"),
        ("[[rate]]\nfrom = \"08:00\"\nfree = true\n", "5:8: ", "belong together"),
        ("[[rate]]\nfrom = \"08:00\"\nuntil = \"18:00\"\nfree = true\n", "4:1: ", "there is a gap"),
        ("[[rate]]\nfree = true\n[[rate]]\nflat = 1\n", "6:1: ", "never holds"),
        ("[[rate]]\nfree = true\ndays = [\"someday\"]\n", "6:9: ", "no such day"),
        ("[[rate]]\nfree = true\nfirst = 2026-05-02\nlast = 2026-05-01\n", "7:8: ", "`last` is before `first`"),
        ("[[rate]]\nfree = true\nfirst = \"02-30\"\nlast = \"03-01\"\n", "6:9: ", "no day of a year"),
        ("[[rate]]\nfree = true\nclasses = [\"bus\"]\n", "6:12: ", "no such class"),
        ("[holidays]\nyearly = [\"xmas\"]\n[[rate]]\nfree = true\n", "5:11: ", "no day of a year"),
        ("[re_enter]\nwithin = 60\n[[rate]]\nfree = true\n", "4:2: ", "unknown key `re_enter`; write one of `name`"),
        ("[re_entry]\nwithin = 0\n[[rate]]\nfree = true\n", "5:10: ", "`within` is 0; write 1 to 10080"),
        ("[[rate]]\nfree = true\n[[season]]\nname = \"a b\"\n", "7:8: ", "season pass's name"),
        ("[[rate]]\nfree = true\n[[cap]]\nper = \"hours\"\namount = 1\n", "7:7: ", "write hours = 24"),
        ("[[rate]]\nfree = true\n[[cap]]\nper = \"window\"\namount = 1\n", "7:7: ", "needs `from` and `until`"),
        ("[[rate]]\nfree = true\n[lost]\n", "6:1: ", "one rule"),
        ("[[rate]]\nfree = true\n[[validation]]\nname = \"a b\"\npercent = 101\n", "7:8: ", "validation's name"),
        ("", "1:1: ", "there is a gap"),
        ("name = = 1", "4:8: ", ""),
    ];
    for (rules, place, what) in cases {
        let problems = read(rules).map(|_| "nothing").unwrap_err();
        let told: Vec<String> =
            problems.iter().map(|problem| format!("{}:{}: {}", problem.line, problem.column, problem.what)).collect();
        assert!(told.iter().any(|line| line.starts_with(place) && line.contains(what)), "{rules}\n{told:#?}");
        assert!(told.iter().all(|line| !line.contains('\n')), "{told:#?}");
    }
    let head = |head: &str| parse(format!("{head}\n{HALF_HOURS}").as_bytes()).unwrap_err()[0].what.clone();
    assert!(head("name = { en = \"A\" }\ncurrency = \"RMB\"\nzone = \"Asia/Shanghai\"").contains("unknown currency"));
    assert!(head("name = { en = \"A\" }\ncurrency = \"CNY\"\nzone = \"Asia/Peking\"").contains("unknown time zone"));
    assert!(head("currency = \"CNY\"\nzone = \"Asia/Shanghai\"").contains("missing key `name`"));
    assert!(parse(&vec![b'#'; LIMIT + 1]).unwrap_err()[0].what.contains("larger"));
    assert!(parse(b"# \xff").unwrap_err()[0].what.contains("UTF-8"));
    let seventeen: Vec<String> = (0..1_000).map(|nth| format!("\"c{nth}\"")).collect();
    assert!(read(&format!("classes = [{}]\n{HALF_HOURS}", seventeen.join(","))).unwrap_err()[0].what.contains("16"));
}

#[test]
fn a_file_that_is_far_too_long_is_refused_at_once() {
    let started = std::time::Instant::now();
    let file = |list: &str, one: &str| {
        let room = LIMIT - 200;
        read(&format!("{list} = [{}]\n", format!("{one},").repeat(room / (one.len() + 1)))).unwrap_err()
    };
    for (list, one, what) in [
        ("rate", "{}", "more than 64 rates; keep 64"),
        ("classes", "\"\"", "more than 16 classes; keep 16"),
        ("holidays.dates", "2026-02-17", "more than 2000 dates of holidays; keep 2000"),
        ("holidays.yearly", "\"\"", "more than 366 holidays of every year; keep 366"),
        ("rate = [{ days", "\"x\"", ""),
    ] {
        let problems = if what.is_empty() {
            let days = "\"x\",".repeat(60_000);
            read(&format!("[[rate]]\nfree = true\ndays = [{days}]\n")).unwrap_err()
        } else {
            file(list, one)
        };
        assert!(problems.len() <= 101, "{list}: {} problems", problems.len());
        assert!(problems.iter().any(|problem| problem.what.contains(what)), "{list}: {:?}", problems[0]);
    }
    // A debug build on a busy machine takes a twentieth of it; a problem looked for in the whole text each time took minutes.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let steps = "{ minutes = 1, price = 1 },".repeat(65);
    assert!(read(&format!("[[rate]]\nsteps = [{steps}]\n")).unwrap_err()[0].what.contains("more than 64 steps"));
}

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
    for tried in &plan.tried {
        assert!((12..300).contains(&tried.len()) && tried.is_sorted(), "{}", tried.len());
        // From all of the two years, and at all hours.
        let hours: std::collections::BTreeSet<i64> = tried.iter().map(|at| at / 60 % 24).collect();
        assert!(tried[0] / 1_440 < first + 10 && hours.len() > 8, "{hours:?}");
    }
    assert!(plan.entries > 4 * 300);
    for from in ["1999-12-31 12:00", "2099-06-01 12:00"] {
        assert_eq!(check(&few, at(&few, from), &mut |_| ()), Err(FeeError::NoSuchTime), "{from}");
    }
}

#[test]
fn the_sign_tells_every_rule() {
    let tariff = parse(include_bytes!("../../../configs/tariffs/city.toml")).unwrap();
    let sign = table(&tariff, at(&tariff, "2026-11-30 09:00"));
    for text in [
        "City car park",
        "Stays of no more than 15 min: free",
        "Day (mon tue wed thu fri, 07:00–21:00): 1 h 6.00 CNY, then each started 30 min 4.00 CNY",
        "Weekend and holiday (sat sun holiday, 07:00–21:00)",
        "Early bird (mon tue wed thu fri, 06:00–09:00), by the time of entry, out from 15:00 until 20:00: at most 35.00 CNY",
        "At most 60.00 CNY in 24 h from the entry",
        "motorcycle",
        "Lost ticket: 60.00 CNY",
        "Season pass office: mon tue wed thu fri, 07:00–19:00",
        "Who comes back within 30 min goes on with the stay before",
        "Validated by cinema: 3 h free",
        "Leave within 15 min after you have paid",
        "Prices include 6.00% tax",
        "For example: 15 min 0.00 CNY · 30 min 6.00 CNY · 1 h 6.00 CNY · 2 h 14.00 CNY",
    ] {
        assert!(sign.contains(text), "{text} is not in\n{sign}");
    }
}
