use jiff::civil::date;
use proptest::prelude::*;

use RefundState::{Confirmed, Failed, Requested};

use super::super::charges::PaymentLine;
use super::*;

/// Noon of the bill's day in Beijing.
const NOON: u64 = 1_794_974_400_000;
const HOUR: u64 = 3_600_000;

fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

/// Paid at once, at noon.
fn line(charge: &str, paid: Minor) -> ChargeLine {
    let payments = if paid > 0 { vec![PaymentLine { amount: paid, heard: Some(NOON) }] } else { Vec::new() };
    ChargeLine {
        charge: charge.into(),
        order: charge.into(),
        rail: "wechat".into(),
        currency: cny(),
        paid,
        returned: 0,
        offered: Some(NOON),
        returned_at: None,
        payments,
        refunds: Vec::new(),
    }
}

fn refund(number: &str, amount: Minor, state: RefundState) -> RefundLine {
    let (requested, confirmed) = (Some(NOON), (state == RefundState::Confirmed).then_some(NOON));
    RefundLine { refund: number.into(), amount, state, requested, confirmed }
}

fn paid(charge: &str, amount: Minor) -> Entry {
    Entry {
        line: 2,
        at: date(2026, 11, 18).at(12, 0, 0, 0),
        what: What::Payment,
        charge: charge.into(),
        provider: "42".into(),
        amount,
        currency: cny(),
        fee: Some(1_800),
    }
}

fn back(charge: &str, number: Option<&str>, amount: Minor, failed: Option<&str>) -> Entry {
    let what = What::Refund { number: number.map(Into::into), failed: failed.map(Into::into) };
    Entry { what, ..paid(charge, amount) }
}

fn bill(entries: Vec<Entry>) -> Bill {
    let covers = Period::of_days(date(2026, 11, 18), date(2026, 11, 18));
    Bill { covers, payments: true, refunds: true, entries, findings: Vec::new(), more_findings: 0 }
}

fn ask() -> Ask<'static> {
    Ask { rail: "wechat", period: None, shared: false }
}

fn compare(charges: &[ChargeLine], entries: Vec<Entry>) -> Reconciliation {
    reconcile(charges, &bill(entries), &ask()).unwrap()
}

fn words(answer: &Reconciliation) -> Vec<&'static str> {
    answer.differences.iter().map(|difference| difference.what.word()).collect()
}

#[test]
fn noon_is_noon() {
    let noon = ZONE.to_timestamp(date(2026, 11, 18).at(12, 0, 0, 0)).unwrap();
    assert_eq!(noon.as_millisecond(), NOON as i64);
}

/// A cancel that was also a refund: the provider's row bears no number, or one of its own.
#[test]
fn what_the_provider_gave_back_by_itself() {
    let charges = [ChargeLine { returned: 300, returned_at: Some(NOON), ..line("A_1", 300) }];
    for number in [None, Some("2026-its-own")] {
        let answer = compare(&charges, vec![paid("A_1", 300), back("A_1", number, 300, None)]);
        assert_eq!((words(&answer), answer.refunds_agree), (vec![], 1));
        let answer = compare(&charges, vec![paid("A_1", 300), back("A_1", number, 200, None)]);
        assert_eq!(words(&answer), ["refund-differs"]);
    }
    assert_eq!(words(&compare(&charges, vec![paid("A_1", 300)])), ["refund-missing-there"]);
    let none = [line("A_1", 300)];
    let answer = compare(&none, vec![paid("A_1", 300), back("A_1", None, 300, None)]);
    assert_eq!(words(&answer), ["refund-unknown-here"]);
}

#[test]
fn what_was_given_back_of_no_charge_is_of_others_on_a_shared_account_only() {
    let charges = [ChargeLine { rail: "alipay".into(), ..line("A_1", 300) }, line("B_1", 300)];
    let told = |charge: &str, shared: bool| {
        let bill = bill(vec![paid("B_1", 300), back(charge, None, 300, None)]);
        let answer = reconcile(&charges, &bill, &Ask { shared, ..ask() }).unwrap();
        (words(&answer), answer.others)
    };
    assert_eq!(told("X_1", false), (vec!["refund-unknown-here"], 0));
    assert_eq!(told("X_1", true), (vec![], 1));
    for shared in [false, true] {
        assert_eq!(told("A_1", shared), (vec!["refund-unknown-here"], 0), "it is ours, on another rail");
    }
}

#[test]
fn the_states_of_a_refund() {
    let both = |state: RefundState, there: Option<Entry>| {
        let charges = [ChargeLine { refunds: vec![refund("R", 300, state)], ..line("A_1", 300) }];
        words(&compare(&charges, [paid("A_1", 300)].into_iter().chain(there).collect()))
    };
    let there = |failed: Option<&str>| Some(back("A_1", Some("R"), 300, failed));
    assert_eq!(both(Confirmed, there(None)), Vec::<&str>::new());
    assert_eq!(both(Confirmed, there(Some("FAIL"))), ["refund-differs"]);
    assert_eq!(both(Confirmed, None), ["refund-missing-there"]);
    // Asked for and not answered yet: the bill may have it or not.
    assert_eq!(both(Requested, there(None)), Vec::<&str>::new());
    assert_eq!(both(Requested, None), Vec::<&str>::new());
    assert_eq!(both(Failed, there(None)), ["refund-differs"]);
    assert_eq!(both(Failed, there(Some("FAIL"))), Vec::<&str>::new());
    assert_eq!(both(Failed, None), Vec::<&str>::new());
}

#[test]
fn a_bill_judges_only_what_it_would_list() {
    let charges = [ChargeLine { refunds: vec![refund("R", 300, Confirmed)], ..line("A_1", 300) }];
    let payments = Bill { refunds: false, ..bill(vec![paid("A_1", 300)]) };
    let answer = reconcile(&charges, &payments, &ask()).unwrap();
    assert!(answer.agrees() && answer.payments_agree == 1, "{answer}");
    let refunds = Bill { payments: false, ..bill(vec![back("A_1", Some("R"), 300, None)]) };
    let answer = reconcile(&charges, &refunds, &ask()).unwrap();
    assert!(answer.agrees() && answer.refunds_agree == 1, "{answer}");
}

#[test]
fn another_rail_or_currency() {
    let charges = [ChargeLine { rail: "alipay".into(), ..line("A_1", 300) }, line("B_1", 300)];
    let answer = compare(&charges, vec![paid("A_1", 300), paid("B_1", 300)]);
    assert_eq!(words(&answer), ["payment-unknown-here"]);
    assert!(answer.differences[0].why.contains("a charge on alipay"));
    let shared = Ask { shared: true, ..ask() };
    let answer = reconcile(&charges, &bill(vec![paid("A_1", 300), paid("B_1", 300)]), &shared).unwrap();
    assert_eq!(words(&answer), ["payment-unknown-here"], "on a shared account too: it is ours");
    let dollars = Entry { currency: Currency::from_code("USD").unwrap(), ..paid("B_1", 300) };
    let answer = compare(&charges[1..], vec![dollars.clone()]);
    assert_eq!(words(&answer), ["amount-differs"]);
    assert_eq!(words(&compare(&charges[1..], vec![paid("B_1", 150), dollars])), ["amount-differs"]);
    let charges = [ChargeLine { refunds: vec![refund("R", 300, Confirmed)], ..line("B_1", 300) }];
    let half = back("B_1", Some("R"), 150, None);
    let dollars = Entry { currency: Currency::from_code("USD").unwrap(), line: 3, ..half.clone() };
    let answer = compare(&charges, vec![paid("B_1", 300), half, dollars]);
    assert_eq!(words(&answer), ["refund-differs"]);
    assert_eq!(answer.differences[0].why, "of two currencies (lines 2, 3)");
}

#[test]
fn only_what_lies_wholly_in_the_bills_time_is_missed() {
    // Midnights are twelve hours away from noon; the clocks may be five minutes apart.
    let day = [NOON - 12 * HOUR, NOON + 12 * HOUR];
    let told = |offered: When, heard: When| {
        let payments = vec![PaymentLine { amount: 300, heard }];
        let answer = compare(&[ChargeLine { offered, payments, ..line("A_1", 300) }], Vec::new());
        (answer.differences.len(), answer.undecided.len())
    };
    assert_eq!(told(Some(day[0] + CLOCKS), Some(day[1] - CLOCKS - 1)), (1, 0));
    assert_eq!(told(Some(day[0] + CLOCKS - 1), Some(NOON)), (0, 1));
    assert_eq!(told(Some(NOON), Some(day[1] - CLOCKS)), (0, 1));
    assert_eq!(told(Some(day[0] - 2 * HOUR), Some(day[0] - CLOCKS - 1)), (0, 0));
    assert_eq!(told(Some(day[0] - 2 * HOUR), Some(day[0] - CLOCKS)), (0, 1));
    assert_eq!(told(Some(day[1] + CLOCKS), Some(day[1] + HOUR)), (0, 0));
    assert_eq!(told(Some(day[0] - HOUR), Some(day[1] + HOUR)), (0, 1));
    assert_eq!(told(None, Some(NOON)), (0, 1));
    assert_eq!(told(None, Some(day[0] - HOUR)), (0, 0));
    assert_eq!(told(Some(NOON), None), (0, 1));
    assert_eq!(told(Some(day[1] + HOUR), None), (0, 0));
}

#[test]
fn rows_outside_the_time_asked_for_are_passed_over() {
    let charges = [line("A_1", 300)];
    let period = Period::of_days(date(2026, 11, 17), date(2026, 11, 17));
    let strangers = bill(vec![paid("A_1", 1), paid("X", 5), back("X", Some("Y"), 5, None)]);
    let answer = reconcile(&charges, &strangers, &Ask { period, ..ask() }).unwrap();
    assert!(answer.agrees() && answer.fees.is_empty(), "{answer}");
}

#[test]
fn fees_by_the_bill_are_exact() {
    let charges = [line("A_1", 300)];
    let entries = vec![Entry { fee: Some(7), ..paid("A_1", 300) }, Entry { fee: Some(100_000), ..paid("X", 1) }];
    assert_eq!(compare(&charges, entries).json()["fees_by_bill"]["CNY"], "0.00007", "of this kiosk's rows only");
    assert_eq!([exact(-123_456), exact(0)], ["-1.23456", "0.00000"]);
}

#[test]
fn of_a_bill_of_unknown_days_all_lines_are_told_that_may_be_why() {
    let told = |findings: Vec<Finding>, more_findings| {
        let bill = Bill { covers: None, findings, more_findings, ..bill(Vec::new()) };
        reconcile(&[], &bill, &ask()).unwrap_err().to_string()
    };
    assert!(told(Vec::new(), 0).starts_with("the bill has no rows"));
    let odd = |line| Finding { line, what: "is odd".into() };
    let rest = "; of the rest nothing tells which days the bill covers: mend the line, or write --from and --to";
    assert_eq!(told(vec![odd(2)], 0), format!("line 2: is odd{rest}"));
    let many = told(vec![odd(2), odd(3), odd(4)], 5);
    assert_eq!(many, format!("line 2: is odd, and 7 more lines do not fit{rest}"));
}

#[test]
fn lines_that_are_only_counted_keep_it_from_agreeing() {
    let bill = Bill { more_findings: 3, ..bill(vec![paid("A_1", 300)]) };
    let answer = reconcile(&[line("A_1", 300)], &bill, &ask()).unwrap();
    assert!(!answer.agrees() && answer.json()["more_findings"] == 3);
    let told = answer.to_string();
    assert!(told.ends_with("\nand 3 more lines that do not fit\nnothing that could be read differs"), "{told}");
}

#[test]
fn what_a_sum_is_made_of_is_told_up_to_five_rows() {
    let charges = [line("A_1", 100)];
    let why = |count: u64| {
        let entries = (0..count).map(|nth| Entry { line: nth + 2, ..paid("A_1", 300) }).collect();
        compare(&charges, entries).differences[0].why.clone()
    };
    assert_eq!(why(1), "3.00 CNY there and 1.00 CNY here");
    assert_eq!(why(2), "6.00 CNY there and 1.00 CNY here (lines 2, 3)");
    assert!(why(5).ends_with("(lines 2, 3, 4, 5, 6)"), "{}", why(5));
    assert!(why(6).ends_with("(lines 2, 3, 4, 5, 6 and more)"), "{}", why(6));
}

/// A ledger and the bill of the same sales.
fn sales() -> impl Strategy<Value = (Vec<ChargeLine>, Vec<Entry>)> {
    let one = (0..5_000i64, proptest::option::of(1..=5_000i64));
    proptest::collection::vec(one, 1..12).prop_map(|sales| {
        let (mut charges, mut entries) = (Vec::new(), Vec::new());
        for (nth, (amount, returned)) in sales.into_iter().enumerate() {
            let charge = format!("C{nth}_1");
            let mut here = line(&charge, amount);
            if amount > 0 {
                entries.push(paid(&charge, amount));
                if let Some(returned) = returned.map(|part| part.min(amount)) {
                    let number = format!("R_{charge}_1");
                    entries.push(back(&charge, Some(&number), returned, None));
                    here.refunds.push(refund(&number, returned, Confirmed));
                }
            }
            charges.push(here);
        }
        (charges, entries)
    })
}

proptest! {
    #[test]
    fn the_same_sales_agree_and_any_change_is_found(
        (charges, entries) in sales(), at in any::<prop::sample::Index>(), change in 0..4u8,
    ) {
        let answer = compare(&charges, entries.clone());
        prop_assert!(answer.agrees() && answer.undecided.is_empty(), "{answer}");
        let payments = entries.iter().filter(|entry| entry.what == What::Payment).count();
        prop_assert_eq!(answer.payments_agree + answer.refunds_agree, entries.len() as u64);
        prop_assert_eq!(answer.payments_agree, payments as u64);
        if !entries.is_empty() {
            let mut entries = entries;
            let at = at.index(entries.len());
            match change {
                0 => drop(entries.remove(at)),
                1 => entries[at].amount += 1,
                2 => entries[at].charge.push('x'),
                _ => entries.push(entries[at].clone()),
            }
            let answer = compare(&charges, entries);
            prop_assert!(!answer.agrees(), "{answer}");
        }
    }
}
