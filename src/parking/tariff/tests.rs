//! Each key by itself: what it does to a price.

mod owed;
mod passes;
mod refused;
mod warnings;

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
    // A cap's next block begins within it, and it is one line.
    let capped = tariff(&format!("{rules}[[cap]]\nper = \"hours\"\nhours = 1\namount = 400\n"));
    let bill = fee(&capped, &stay(&capped, "2026-11-30 13:30", "2026-11-30 17:00")).unwrap();
    let told: Vec<_> = bill.lines.iter().map(|line| (line.reason, (line.to.0 - line.from.0) / 60_000)).collect();
    let cap = Reason::Cap { amount: 400, per: CapPer::Hours { hours: 1, midnight: false } };
    assert_eq!(told, [(Reason::Flat { rate: 1 }, 150), (Reason::FreeRate { rate: 2 }, 60), (cap, 60)]);
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
fn the_first_fixed_price_that_fits_is_the_one() {
    let fixed = |applies: &str, price: Minor| format!("[[fixed]]\nprice = {price}\napplies = \"{applies}\"\n");
    let of = |first: String, second: String| monday(&format!("{HALF_HOURS}{first}{second}"), "09:00", "11:00");
    assert_eq!(of(fixed("when-lower", 500), fixed("always", 90)), 400, "and what comes behind is not looked at");
    assert_eq!(of(fixed("when-lower", 300), fixed("when-lower", 90)), 300);
    assert_eq!(of(fixed("always", 500), fixed("when-lower", 90)), 500);
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
fn a_bill_is_never_very_long() {
    let steps: Vec<String> = (1..=60).map(|price| format!("{{ minutes = 1, price = {price} }}")).collect();
    let steps = format!("steps = [{}]\n", steps.join(", "));
    let mut rules = String::from("restart = \"window\"\n");
    for hour in (0..24).step_by(2) {
        rules += &format!("[[rate]]\nfrom = \"{hour:02}:00\"\nuntil = \"{:02}:00\"\n{steps}", hour + 1);
    }
    rules += &format!("[[rate]]\n{steps}[[cap]]\nper = \"hours\"\nhours = 1\namount = 1000\n");
    let tariff = tariff(&rules);
    // No two minutes that follow each other cost the same: 86,400 lines, and 1,440 blocks.
    let bill = fee(&tariff, &stay(&tariff, "2026-11-30 00:00", "2027-01-29 00:00")).unwrap();
    assert_eq!((bill.amount, bill.lines.len()), (1_440 * 1_000, 11_001));
    assert_eq!(bill.lines.iter().map(|line| line.amount).sum::<Minor>(), bill.amount);
    let (further, caps) = (&bill.lines[10_000], &bill.lines[10_001..]);
    assert_eq!((further.reason, further.to), (Reason::Further, at(&tariff, "2027-01-29 00:00")));
    assert_eq!((caps[0].amount, caps[999].amount), (-830, -830 * 441));
    assert!(bill.lines[..=10_000].windows(2).all(|pair| pair[0].to == pair[1].from));
}

#[test]
fn the_sign_tells_how_long_and_for_whom() {
    let tariff = tariff(&format!(
        "classes = [\"car\", \"bus\", \"van\"]\n{HALF_HOURS}[[fixed]]\nlongest = 180\nprice = 500\napplies = \"when-lower\"\n\
         [[season]]\nname = \"office\"\nclasses = [\"car\", \"van\"]\n"
    ));
    let sign = table(&tariff, at(&tariff, "2026-11-30 09:00"));
    assert!(sign.contains("always, by the time of entry, no longer than 3 h: at most 5.00 EUR"), "{sign}");
    assert!(sign.contains("Season pass office (car, van): always"), "{sign}");
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

/// The lines of a bill with an hour free, and how many minutes each has.
fn with_an_hour_free(rules: &str, entry: &str, exit: &str) -> Vec<(Reason, u64)> {
    let tariff = tariff(&format!("[free]\nminutes = 60\n{rules}"));
    let bill = fee(&tariff, &stay(&tariff, entry, exit)).unwrap();
    bill.lines.iter().map(|line| (line.reason, (line.to.0 - line.from.0) / 60_000)).collect()
}

#[test]
fn a_stay_that_is_free_as_a_whole_says_how_long_it_was() {
    for exceeded in ["lost", "deducted"] {
        let rules = format!("exceeded = \"{exceeded}\"\n{HALF_HOURS}");
        let told = with_an_hour_free(&rules, "2026-11-30 09:00", "2026-11-30 09:45");
        assert_eq!(told, [(Reason::Free { minutes: 45 }, 45)], "{exceeded}");
    }
}

#[test]
fn free_time_at_the_beginning_says_how_long_it_is() {
    let rules = format!("exceeded = \"deducted\"\n{HALF_HOURS}");
    let steps = Reason::Steps { rate: 0, count: 1, minutes: 30, price: 100 };
    let wanted = [(Reason::Free { minutes: 60 }, 60), (steps, 30)];
    assert_eq!(with_an_hour_free(&rules, "2026-11-30 09:00", "2026-11-30 10:30"), wanted);
    // A cap's next block begins within it, and it is one line.
    let capped = format!("{rules}[[cap]]\nper = \"day\"\namount = 500\n");
    assert_eq!(with_an_hour_free(&capped, "2026-11-30 23:30", "2026-12-01 01:00"), wanted);
}

#[test]
fn a_free_day_that_has_begun_goes_on_while_clocks_show_the_day_before() {
    // At 02:31 UTC clocks went from 00:01 on the 31st back to 23:01 on the 30th.
    let rules = "[free]\nminutes = 90\nper = \"day\"\nexceeded = \"lost\"\n[[rate]]\nflat = 2490\n";
    let tariff = Tariff { zone: TimeZone::get("America/St_Johns").unwrap(), ..tariff(rules) };
    let utc = |time: &str| {
        let at: jiff::Timestamp = format!("2004-10-31T{time}:00Z").parse().unwrap();
        Wall(u64::try_from(at.as_millisecond()).unwrap())
    };
    let of = |entry: &str, exit: &str| fee(&tariff, &Stay::new(utc(entry), utc(exit))).unwrap().amount;
    assert_eq!(of("02:30", "02:31"), 0, "the minute of the 31st before clocks go back");
    assert_eq!(of("02:31", "03:00"), 0, "within the hour that comes again");
    // 90 minutes, and one more: the flat price of the day that clocks show, and then of the next.
    assert_eq!([of("02:31", "04:01"), of("02:31", "04:02")], [0, 2 * 2_490]);
}

#[test]
fn a_window_of_a_whole_day_has_a_cap_as_the_day_has() {
    let cap = |per: &str| format!("{HALF_HOURS}[[cap]]\namount = 500\n{per}\n");
    let [day, window] = ["per = \"day\"", "per = \"window\"\nfrom = \"00:00\"\nuntil = \"24:00\""].map(cap);
    for (exit, wanted) in [("2026-11-30 23:00", 500), ("2026-12-01 01:00", 700)] {
        assert_eq!([&day, &window].map(|rules| price(rules, "2026-11-30 09:00", exit)), [wanted; 2]);
    }
}

#[test]
fn lines_of_one_rule_are_counted_together_whatever_they_cost() {
    let tariff = parse(include_bytes!("../../../configs/tariffs/city.toml")).unwrap();
    let rule = |reason: Reason| reason.rule(&tariff);
    let steps = rule(Reason::Steps { rate: 2, count: 3, minutes: 60, price: 600 });
    assert_eq!(steps, rule(Reason::Minutes { rate: 2, minutes: 7, of: 60, price: 600 }));
    assert_eq!(steps, format!("rate/{}", tariff.rates[2].name.get(&crate::vocabulary::Language::new("en"))));
    assert_ne!(steps, rule(Reason::Flat { rate: 0 }));
    assert_eq!(rule(Reason::ValidatedPercent { percent: 50 }), rule(Reason::ValidatedAmount { amount: 100 }));
    assert_eq!(rule(Reason::Cap { amount: 5_000, per: CapPer::Hours { hours: 24, midnight: false } }), "cap/24h");
    assert_eq!(rule(Reason::Steps { rate: 99, count: 1, minutes: 60, price: 1 }), "rate/100", "a rate without a name");
}
