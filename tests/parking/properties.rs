//! What must hold of the bill of every tariff, in zones whose clocks change in different ways.

use jiff::civil::date;
use jiff::tz::TimeZone;
use kioskd::parking::tariff::{CapPer, Stay, Tariff, When, fee};
use kioskd::vocabulary::Wall;

use super::{all, minutes, tariff, wall};

/// Clocks that change by an hour or by half of one, at midnight, around Ramadan, and never.
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Shanghai",
];

/// Numbers that look like chance and are the same in every run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % most
    }
}

/// Every file in each zone.
fn everywhere() -> impl Iterator<Item = (String, Tariff)> {
    all().into_iter().flat_map(|(name, tariff)| {
        ZONES.map(|zone| (format!("{name} in {zone}"), Tariff { zone: TimeZone::get(zone).unwrap(), ..tariff.clone() }))
    })
}

/// The minutes around which something happens: changes of the clock to 2045, leap days, and the new years.
fn moments(tariff: &Tariff) -> Vec<Wall> {
    let start = date(2026, 1, 1).to_zoned(tariff.zone.clone()).unwrap().timestamp();
    let end = date(2046, 1, 2).to_zoned(tariff.zone.clone()).unwrap().timestamp();
    let changes = tariff.zone.following(start).map(|change| change.timestamp()).take_while(|at| *at < end);
    let days = (2026..=2045).flat_map(|year| [date(year, 2, 28), date(year, 12, 31)]);
    let days = days.map(|day| day.tomorrow().unwrap().to_zoned(tariff.zone.clone()).unwrap().timestamp());
    // One zone has a mark at the end of 32-bit time, which is no whole minute.
    changes.chain(days).map(wall).map(|at| Wall(at.0 / 60_000 * 60_000)).collect()
}

/// What must hold of one bill.
fn verify(name: &str, tariff: &Tariff, stay: &Stay, entry: Wall) -> i64 {
    let bill = fee(tariff, stay).unwrap_or_else(|error| panic!("{name}: {stay:?}: {error}"));
    let told = || format!("{name}: {stay:?}\n{bill:#?}");
    assert!(bill.amount >= 0 && (0..=bill.amount).contains(&bill.tax), "{}", told());
    assert_eq!(bill.lines.iter().map(|line| line.amount).sum::<i64>(), bill.amount, "{}", told());
    let mut at = entry;
    for line in bill.lines.iter().filter(|line| line.reason.is_time()) {
        assert_eq!(line.from, at, "no gap and no overlap: {}", told());
        assert!(line.amount >= 0 && line.to > line.from, "{}", told());
        at = line.to;
    }
    assert_eq!(at, stay.exit, "the whole stay: {}", told());
    let civil = |at: Wall| at.timestamp().unwrap().to_zoned(tariff.zone.clone()).date();
    for cap in tariff.caps.iter().filter(|cap| cap.when == When::ALWAYS && cap.classes & 1 != 0) {
        let blocks = match cap.per {
            CapPer::Stay => 1,
            CapPer::Day => i64::from(entry.timestamp().map_or(0, |_| (civil(stay.exit) - civil(entry)).get_days())) + 1,
            CapPer::Hours { hours, midnight: false } => {
                (stay.exit.0 - entry.0).div_ceil(3_600_000 * hours as u64) as i64
            }
            CapPer::Hours { .. } | CapPer::Window => continue,
        };
        assert!(bill.amount <= cap.amount * blocks.max(1), "{cap:?} does not hold: {}", told());
    }
    bill.amount
}

#[test]
fn every_bill_adds_up_and_explains_the_whole_stay() {
    let mut chance = Chance(1);
    for (name, tariff) in everywhere() {
        for moment in moments(&tariff) {
            // Up to two days before, and up to three after.
            let entry = Wall(moment.0 - chance.below(2 * 1_440) * 60_000);
            let stay = Stay::new(entry, minutes(entry, 1 + chance.below(5 * 1_440)));
            verify(&name, &tariff, &stay, entry);
        }
    }
}

#[test]
fn a_longer_stay_never_costs_less_where_the_file_says_so() {
    let mut chance = Chance(2);
    let mut rises = 0;
    for (name, tariff) in everywhere().filter(|(_, tariff)| !tariff.may_fall) {
        let moments = moments(&tariff);
        for _ in 0..3 {
            let moment = moments[chance.below(moments.len() as u64) as usize];
            let entry = Wall(moment.0 - chance.below(1_440) * 60_000);
            let mut before = 0;
            for stay in 1..=1_560 {
                let amount = verify(&name, &tariff, &Stay::new(entry, minutes(entry, stay)), entry);
                assert!(amount >= before, "{name}: in at {entry:?}, {before} falls to {amount} after {stay} minutes");
                rises += u32::from(amount > before);
                before = amount;
            }
        }
    }
    assert!(rises > 1_000, "only {rises}");
}

#[test]
fn where_clocks_never_change_a_week_later_costs_the_same() {
    let mut chance = Chance(3);
    for (name, mut tariff) in all() {
        tariff.zone = TimeZone::fixed(jiff::tz::offset(8));
        tariff.holidays = Default::default();
        for _ in 0..200 {
            let entry = Wall(1_790_000_040_000 + chance.below(1_000_000) * 60_000);
            let stay = Stay::new(entry, minutes(entry, 1 + chance.below(4 * 1_440)));
            let later = Stay::new(minutes(entry, 7 * 1_440), minutes(stay.exit, 7 * 1_440));
            assert_eq!(verify(&name, &tariff, &stay, entry), verify(&name, &tariff, &later, minutes(entry, 7 * 1_440)));
        }
    }
}

#[test]
fn seconds_are_cut_off() {
    let (_, tariff) = all().remove(0);
    for second in [0, 1, 59] {
        let entry = Wall(1_790_000_040_000 + second * 1_000);
        let stay = Stay::new(entry, Wall(1_790_000_040_000 + 1_800_000 + (59 - second) * 1_000));
        let whole = Stay::new(Wall(1_790_000_040_000), Wall(1_790_000_040_000 + 1_800_000));
        assert_eq!(fee(&tariff, &stay), fee(&tariff, &whole));
    }
}

#[test]
fn a_car_that_stays_two_years_is_priced_at_once() {
    // Twenty rules, steps of one minute, a cap of every kind.
    let mut text = String::from(
        "name = { en = \"Long\" }\ncurrency = \"EUR\"\nzone = \"Europe/Berlin\"\ncrossing = \"split\"\nrestart = \"day\"\n",
    );
    for hour in 0..20 {
        text += &format!(
            "[[rate]]\ndays = [\"mon\", \"wed\", \"holiday\"]\nfrom = \"{hour:02}:10\"\nuntil = \"{hour:02}:50\"\nsteps = [{{ minutes = 1, price = {hour} }}]\n"
        );
    }
    text += "[[rate]]\nsteps = [{ minutes = 1, price = 1 }]\n";
    text +=
        "[[cap]]\nper = \"day\"\namount = 1000\n[[cap]]\nper = \"hours\"\nhours = 5\nmidnight = true\namount = 500\n";
    let long = tariff(&text);
    let entry = Wall(1_790_000_040_000);
    let started = std::time::Instant::now();
    let amount = fee(&long, &Stay::new(entry, minutes(entry, 731 * 1_440))).unwrap().amount;
    let took = started.elapsed();
    assert!(amount > 731 * 500, "{amount}");
    // A debug build on a busy machine takes less than a tenth of it.
    assert!(took.as_secs() < 10, "{took:?}");
    let too_long = Stay::new(entry, minutes(entry, 11 * 366 * 1_440));
    assert!(fee(&long, &too_long).unwrap_err().to_string().contains("ten years"));
}
