use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn entry(rate: &str) -> FeeEntry {
    let rate = Rate::parse(rate).unwrap();
    FeeEntry { from: Day(date(2026, 1, 1)), rate, minimum: None, cap: None, rounding: Rounding::HalfUp }
}

fn schedule(entry: FeeEntry) -> FeeSchedule {
    FeeSchedule::new(vec![entry]).unwrap()
}

fn on() -> Option<Date> {
    Some(date(2026, 11, 23))
}

/// The boundaries of "rounded half up to the fen, and below 0.01 none".
#[test]
fn boundaries_of_half_up() {
    let cases = [
        ("0.60%", vec![(0, 0), (83, 0), (84, 1), (249, 1), (250, 2), (750, 5)]),
        ("0.38%", vec![(131, 0), (132, 1), (394, 1), (395, 2)]),
        ("0.40%", vec![(125, 1)]),
    ];
    for (rate, amounts) in cases {
        for (amount, fee) in amounts {
            assert_eq!(schedule(entry(rate)).estimate(amount, on()), Some(fee), "{rate} of {amount}");
        }
    }
}

#[test]
fn boundaries_of_the_other_roundings() {
    use Rounding::{Down, HalfEven, HalfUp, Up};
    let cases = [
        ("0.60%", 750, [5, 4, 5, 4]),
        ("0.40%", 125, [1, 0, 1, 0]),
        // Exactly 1.5: the even neighbour is above.
        ("0.60%", 250, [2, 2, 2, 1]),
        ("0.60%", 83, [0, 0, 1, 0]),
        ("0.60%", 84, [1, 1, 1, 0]),
        ("0.60%", 500, [3, 3, 3, 3]),
        ("0.0001%", 1, [0, 0, 1, 0]),
        ("100%", 7, [7, 7, 7, 7]),
        ("0%", 700, [0, 0, 0, 0]),
    ];
    for (rate, amount, fees) in cases {
        for (rounding, fee) in [HalfUp, HalfEven, Up, Down].into_iter().zip(fees) {
            let schedule = schedule(FeeEntry { rounding, ..entry(rate) });
            assert_eq!(schedule.estimate(amount, on()), Some(fee), "{rate} of {amount}, {rounding:?}");
        }
    }
}

#[test]
fn minimum_and_cap() {
    let schedule = schedule(FeeEntry { minimum: Some(2), cap: Some(13), ..entry("0.60%") });
    for (amount, fee) in [(-5, 0), (0, 0), (1, 2), (416, 2), (417, 3), (2_249, 13), (2_250, 13), (1_000_000, 13)] {
        assert_eq!(schedule.estimate(amount, on()), Some(fee), "{amount}");
    }
}

#[test]
fn the_rate_of_the_day() {
    let later = |month, rate| FeeEntry { from: Day(date(2026, month, 1)), ..entry(rate) };
    let schedule = FeeSchedule::new(vec![later(7, "1%"), later(3, "2%"), later(12, "3%")]).unwrap();
    let fee = |month, day| schedule.estimate(1_000, Some(date(2026, month, day)));
    assert_eq!(
        [fee(2, 28), fee(3, 1), fee(6, 30), fee(7, 1), fee(11, 30)],
        [None, Some(20), Some(20), Some(10), Some(10)]
    );
    assert_eq!(schedule.estimate(1_000, None), Some(30), "of an unknown day, the last");
    assert_eq!(schedule.after_refund(1_000, 0, Some(date(2026, 1, 1))), None);
    assert_eq!(FeeSchedule::default().estimate(1_000, None), None);
}

#[test]
fn a_refund_gives_back_its_share() {
    let plain = schedule(entry("0.60%"));
    // 750 fen cost 5; 250 of them give 2 back, 83 of them nothing, all of them all.
    for (refunded, kept) in [(0, 5), (83, 5), (84, 4), (250, 3), (500, 2), (749, 1), (750, 0), (900, 0)] {
        assert_eq!(plain.after_refund(750, refunded, on()), Some(kept), "{refunded}");
    }
    // A capped fee is never given back twice over, and a minimum stays until everything goes back.
    let bounded = schedule(FeeEntry { minimum: Some(2), cap: Some(13), ..entry("0.60%") });
    assert_eq!(bounded.after_refund(10_000, 5_000, on()), Some(0));
    assert_eq!(bounded.after_refund(100, 50, on()), Some(2));
    assert_eq!(bounded.after_refund(100, 100, on()), Some(0));
}

#[test]
fn rates_as_they_are_written() {
    for (text, ppm) in
        [("0.60%", 6_000), ("0.6 %", 6_000), ("1%", 10_000), ("0.0001%", 1), ("100.0000%", 1_000_000), ("0%", 0)]
    {
        assert_eq!(Rate::parse(text).map(Rate::ppm), Some(ppm), "{text}");
    }
    for bad in [
        "",
        "%",
        "0.6",
        ".6%",
        "0.%",
        "-0.6%",
        "+0.6%",
        "0.60000%",
        "100.0001%",
        "101%",
        "1000%",
        "0,6%",
        "0.6%%",
        "0.6‰",
        "1e1%",
        "0 .6%",
        " 0.6%",
        "六%",
        "4294967297%",
    ] {
        assert!(Rate::parse(bad).is_none(), "{bad}");
    }
    for (ppm, text) in [(6_000, "0.60%"), (1, "0.0001%"), (1_000_000, "100.00%"), (12_345, "1.2345%")] {
        assert_eq!(Rate::from_ppm(ppm).unwrap().to_string(), text);
    }
    assert!(Rate::from_ppm(1_000_001).is_none());
}

#[test]
fn what_can_not_hold_is_refused() {
    let same = FeeSchedule::new(vec![entry("1%"), entry("2%")]);
    assert_eq!(same, Err(FeeError::SameDay(date(2026, 1, 1))));
    let negative = FeeEntry { minimum: Some(-1), ..entry("1%") };
    assert!(matches!(FeeSchedule::new(vec![negative]), Err(FeeError::Negative { key: "minimum", value: -1, .. })));
    let crossed = FeeEntry { minimum: Some(3), cap: Some(2), ..entry("1%") };
    assert!(matches!(FeeSchedule::new(vec![crossed]), Err(FeeError::CapBelowMinimum { minimum: 3, cap: 2, .. })));
}

#[test]
fn an_entry_written_and_read_back() {
    let text = "from = 2026-01-01\nrate = \"0.60%\"\ncap = 1300\nrounding = \"half-even\"\n";
    let entry: FeeEntry = toml::from_str(text).unwrap();
    assert_eq!(entry.from.0, date(2026, 1, 1));
    assert_eq!((entry.rate.ppm(), entry.minimum, entry.cap), (6_000, None, Some(1_300)));
    assert_eq!(entry.rounding, Rounding::HalfEven);
    assert_eq!(toml::to_string(&entry).unwrap(), text);
}

fn roundings() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::HalfUp), Just(Rounding::HalfEven), Just(Rounding::Up), Just(Rounding::Down)]
}

proptest! {
    #[test]
    fn a_fee_is_within_one_unit_of_the_share_and_never_more_than_was_paid(
        amount in 0..=Minor::MAX, ppm in 0..=Rate::WHOLE, rounding in roundings(),
    ) {
        let entry = FeeEntry { rate: Rate(ppm), rounding, ..entry("0%") };
        let fee = schedule(entry).estimate(amount, None).unwrap();
        prop_assert!((0..=amount).contains(&fee));
        let million = i128::from(Rate::WHOLE);
        let off = i128::from(fee) * million - i128::from(amount) * i128::from(ppm);
        match rounding {
            Rounding::HalfUp => prop_assert!(-million < 2 * off && 2 * off <= million),
            Rounding::HalfEven => prop_assert!(2 * off.abs() < million || (2 * off.abs() == million && fee % 2 == 0)),
            Rounding::Up => prop_assert!((0..million).contains(&off)),
            Rounding::Down => prop_assert!((0..million).contains(&-off)),
        }
    }

    #[test]
    fn more_given_back_never_leaves_a_larger_fee(
        paid in 1..=1_000_000_000i64, first in 0..=1_000_000_000i64, more in 0..=1_000_000_000i64,
        ppm in 0..=Rate::WHOLE, rounding in roundings(), minimum in proptest::option::of(0..100i64),
        cap in proptest::option::of(100..10_000i64),
    ) {
        let schedule = schedule(FeeEntry { rate: Rate(ppm), rounding, minimum, cap, ..entry("0%") });
        let kept = |refunded| schedule.after_refund(paid, refunded, None).unwrap();
        prop_assert_eq!(kept(0), schedule.estimate(paid, None).unwrap());
        prop_assert!(kept(first) >= kept(first + more));
        prop_assert!(kept(first) >= 0);
        prop_assert_eq!(kept(paid), 0);
    }

    #[test]
    fn a_rate_reads_back_as_it_is_printed(ppm in 0..=Rate::WHOLE) {
        let rate = Rate(ppm);
        prop_assert_eq!(Rate::parse(&rate.to_string()), Some(rate));
    }

    #[test]
    fn no_text_breaks_the_rate(text in ".{0,12}") {
        if let Some(rate) = Rate::parse(&text) {
            prop_assert!(rate.ppm() <= Rate::WHOLE);
        }
    }
}
