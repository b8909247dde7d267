//! The Alipay rail against a double whose cryptography is python-alipay-sdk's (tests/support/alipay/double.py): nothing is
//! taken for paid that is not, nothing paid is lost, and the provider's book shows every refund once.

mod kit;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use kioskd::payment::alipay::{Notification, attach_matches};
use kioskd::vocabulary::{ChargeRef, Currency, RailError, RefundReport, Standing};
use kit::{Kiosk, Mode, PATIENCE, Waiting, refund_of};
use serde_json::{Value, json};

/// Answers to a query or a create that nobody may believe, whatever they were about.
const NO_ANSWERS: [&str; 18] = [
    "drop-before",
    "unknown-before",
    "drop",
    "truncated",
    "oversized",
    "not-json",
    "html",
    "redirect",
    "status",
    "unknown",
    "wrong-key",
    "unsigned",
    "empty-sign",
    "other-bytes",
    "wrong-number",
    "duplicate-response",
    "duplicate-field",
    "gateway",
];

fn fault(kiosk: &Kiosk, method: &str, how: &str) {
    kiosk.fault(json!({ "method": method, "how": how, "status": if how == "status" { 503 } else { 200 },
        "code": "40002", "sub_code": "isv.invalid-signature" }));
}

#[track_caller]
fn unknown<T: std::fmt::Debug>(what: &str, result: &Result<T, RailError>) {
    assert!(matches!(result, Err(RailError::Unknown(_))), "{what}: {result:?}");
}

#[track_caller]
fn refused<T: std::fmt::Debug>(code: &str, result: &Result<T, RailError>) {
    assert!(matches!(result, Err(RailError::Refused { code: given, .. }) if given == code), "{code}: {result:?}");
}

#[test]
fn a_sale_and_its_refund() {
    let kiosk = Kiosk::new(Mode::Key);
    kiosk.probe().unwrap();
    let off = kiosk.rail.clock().error().expect("the double says what time it is");
    assert!(off.as_secs().abs() <= 2, "{off}");

    let charge = kiosk.charge(300);
    let payload = kiosk.create(&charge).unwrap().payload;
    let book = kiosk.entry(&charge);
    assert_eq!((book["payload"].as_str(), book["amount"].as_i64()), (Some(payload.as_str()), Some(300)));
    assert!(book["subject"].as_str().unwrap().contains("123456"), "the short code: {book}");

    // Not there before the scan, open after it, closed by the payment.
    assert_eq!(kiosk.query(&charge).unwrap().standing, Standing::Absent);
    kiosk.pay(json!({ "payload": payload, "action": "scan" }));
    let open = kiosk.query(&charge).unwrap();
    assert_eq!((open.standing, open.payments.len()), (Standing::Open, 0));
    let trade_no = kiosk.pay(json!({ "payload": payload }));
    let paid = kiosk.query(&charge).unwrap();
    assert_eq!((paid.standing, paid.returned), (Standing::Closed, 0));
    let [payment] = &paid.payments[..] else { panic!("{paid:?}") };
    assert_eq!((payment.id.as_str(), payment.amount, payment.order), (trade_no.as_str(), 300, charge.order));
    assert_eq!(payment.currency.code(), "CNY");
    assert!(attach_matches(paid.attach.as_deref().unwrap(), kit::ATTACH), "{paid:?}");

    // Part of it, the same again, and the rest.
    let first = refund_of(&charge, 1, 100);
    assert_eq!(kiosk.query_refund(&first), Ok(RefundReport::Absent));
    assert_eq!(kiosk.refund(&first), Ok(RefundReport::Done));
    assert_eq!(kiosk.refund(&first), Ok(RefundReport::Processing), "no money moved");
    assert_eq!(kiosk.query_refund(&first), Ok(RefundReport::Done));
    assert_eq!(kiosk.query(&charge).unwrap().payments, paid.payments);
    let rest = refund_of(&charge, 2, 200);
    assert_eq!(kiosk.refund(&rest), Ok(RefundReport::Done));
    assert_eq!((kiosk.refunds(&charge), kiosk.entry(&charge)["refunded"].as_i64()), (2, Some(300)));
    let after = kiosk.query(&charge).unwrap();
    assert_eq!((after.standing, after.payments.len(), after.returned), (Standing::Closed, 0, 0));
    kiosk.nothing_wrong();
}

#[test]
fn no_false_answer_to_a_query_is_believed() {
    let kiosk = Kiosk::new(Mode::Key);
    let other = kiosk.paid(500);
    let (absent, open, paid) = (kiosk.charge(300), kiosk.charge(300), kiosk.charge(300));
    for charge in [&absent, &open, &paid] {
        kiosk.create(charge).unwrap();
    }
    kiosk.pay_charge(&open, "scan");
    kiosk.pay_charge(&paid, "pay");
    for (charge, standing, payments) in
        [(&absent, Standing::Absent, 0), (&open, Standing::Open, 0), (&paid, Standing::Closed, 1)]
    {
        for how in NO_ANSWERS {
            fault(&kiosk, "alipay.trade.query", how);
            unknown(&format!("{how} {standing:?}"), &kiosk.query(charge));
            let truth = kiosk.query(charge).unwrap();
            assert_eq!((truth.standing, truth.payments.len()), (standing, payments), "after {how}");
        }
        kiosk.fault(json!({ "method": "alipay.trade.query", "how": "replay", "of": other.charge.as_str() }));
        unknown("another order's answer", &kiosk.query(charge));
        for sub_code in ["ACQ.SYSTEM_ERROR", "AQC.SYSTEM_ERROR", "ACQ.INVALID_PARAMETER"] {
            kiosk.fault(json!({ "method": "alipay.trade.query", "how": "refuse", "sub_code": sub_code }));
            unknown(sub_code, &kiosk.query(charge));
        }
    }
    // What was paid is told as it is; whether it buys anything is for the sale to judge.
    kiosk.fault(json!({ "method": "alipay.trade.query", "how": "wrong-amount", "amount": "0.01" }));
    assert_eq!(kiosk.query(&paid).unwrap().payments[0].amount, 1);
    for amount in ["", "0.00", "-3.00", "3.001", "3e0", "3,00"] {
        kiosk.fault(json!({ "method": "alipay.trade.query", "how": "wrong-amount", "amount": amount }));
        unknown(amount, &kiosk.query(&paid));
    }
    let short = kiosk.charge(300);
    kiosk.create(&short).unwrap();
    kiosk.pay(json!({ "out_trade_no": short.charge.as_str(), "amount": "2.99" }));
    assert_eq!(kiosk.query(&short).unwrap().payments[0].amount, 299);
    kiosk.nothing_wrong();
}

#[test]
fn a_probe_wants_a_verified_answer() {
    let kiosk = Kiosk::new(Mode::Key);
    for how in NO_ANSWERS {
        fault(&kiosk, "*", how);
        unknown(how, &kiosk.probe());
        kiosk.probe().unwrap();
    }
    kiosk.double.kill();
    unknown("nobody there", &kiosk.probe());
    kiosk.double.restart();
    kiosk.probe().unwrap();
    kiosk.nothing_wrong();
}

#[test]
fn a_create_is_refused_only_when_there_is_no_charge() {
    let kiosk = Kiosk::new(Mode::Key);
    for how in NO_ANSWERS.into_iter().filter(|how| *how != "gateway") {
        let charge = kiosk.charge(300);
        fault(&kiosk, "alipay.trade.precreate", how);
        unknown(how, &kiosk.create(&charge));
        // Its QR was never shown. Somebody pays it all the same, where there is one: the payment is seen.
        let there = !kiosk.entry(&charge).is_null();
        assert_eq!(there, !how.ends_with("-before"), "{how}");
        assert_eq!(kiosk.query(&charge).unwrap().standing, Standing::Absent, "{how}");
        if there {
            kiosk.pay_charge(&charge, "pay");
            assert_eq!(kiosk.query(&charge).unwrap().payments.len(), 1, "{how}");
        }
        // After a close nobody can pay it, whatever became of the create.
        let charge = kiosk.charge(300);
        fault(&kiosk, "alipay.trade.precreate", how);
        unknown(how, &kiosk.create(&charge));
        assert_eq!(kiosk.close(&charge), Ok(None), "{how}");
        assert!(kiosk.try_pay(&charge, "pay").is_err(), "{how}");
    }
    for sub_code in
        ["ACQ.INVALID_PARAMETER", "ACQ.ACCESS_FORBIDDEN", "ACQ.TOTAL_FEE_EXCEED", "ACQ.EXIST_FORBIDDEN_WORD"]
    {
        kiosk.fault(json!({ "how": "refuse", "sub_code": sub_code }));
        refused(sub_code, &kiosk.create(&kiosk.charge(300)));
    }
    for sub_code in ["ACQ.CONTEXT_INCONSISTENT", "ACQ.TRADE_HAS_SUCCESS", "ACQ.SYSTEM_ERROR", "ACQ.WHATEVER_COMES_NEXT"]
    {
        kiosk.fault(json!({ "how": "refuse", "sub_code": sub_code }));
        unknown(sub_code, &kiosk.create(&kiosk.charge(300)));
    }
    kiosk.fault(json!({ "how": "gateway", "code": "40006", "sub_code": "isv.insufficient-isv-permissions" }));
    refused("isv.insufficient-isv-permissions", &kiosk.create(&kiosk.charge(300)));
    // A number is good for one QR; the double refuses the second, which says nothing about the first.
    let charge = kiosk.charge(300);
    kiosk.create(&charge).unwrap();
    unknown("again", &kiosk.create(&charge));
    // Nobody is asked for what Alipay can't do.
    kiosk.double.kill();
    for amount in [0, -1, 10_000_000_001, i64::MAX] {
        refused("amount", &kiosk.create(&kiosk.charge(amount)));
    }
    let mut dollars = kiosk.charge(300);
    dollars.currency = Currency::from_code("USD").unwrap();
    refused("currency", &kiosk.create(&dollars));
    kiosk.double.restart();
    kiosk.nothing_wrong();
}

#[test]
fn a_board_that_is_years_off_makes_charges_by_the_providers_time() {
    for off in [365 * 86_400, -365 * 86_400] {
        let kiosk = Kiosk::new(Mode::Key);
        kiosk.fault(json!({ "clock": off }));
        // Refused for its time, which says nothing about the charge; the answer tells the time.
        let lost = kiosk.charge(300);
        fault(&kiosk, "alipay.trade.query", "drop-before");
        unknown("nobody knows what time it is there", &kiosk.create(&lost));
        assert!(kiosk.entry(&lost).is_null());
        kiosk.create(&kiosk.charge(300)).unwrap();
    }
    let kiosk = Kiosk::new(Mode::Key);
    kiosk.fault(json!({ "clock": 365 * 86_400 }));
    kiosk.create(&kiosk.charge(300)).unwrap();
}

#[test]
fn a_close_stops_payment_or_tells_what_was_given_back() {
    let kiosk = Kiosk::new(Mode::Key);
    let fresh = |action: Option<&str>| {
        let charge = kiosk.charge(300);
        kiosk.create(&charge).unwrap();
        if let Some(action) = action {
            kiosk.pay_charge(&charge, action);
        }
        charge
    };
    for action in [None, Some("scan")] {
        let charge = fresh(action);
        assert_eq!(kiosk.close(&charge), Ok(None));
        assert!(kiosk.try_pay(&charge, "pay").is_err(), "{action:?}");
        let expected = if action.is_some() { Standing::Closed } else { Standing::Absent };
        assert_eq!(kiosk.query(&charge).unwrap().standing, expected);
        assert_eq!(kiosk.close(&charge), Ok(None), "again");
    }
    let cancel = |how: &str, more: Value| {
        let mut fault = json!({ "method": "alipay.trade.cancel", "how": how });
        fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        kiosk.fault(fault);
    };
    let query = |how: &str, then_pay: bool| {
        kiosk.fault(json!({ "method": "alipay.trade.query", "how": how, "then_pay": then_pay }));
    };
    // Known to be paid: not closed, however often.
    let kept = |charge: &ChargeRef, what: &str| {
        for _ in 0..2 {
            let report = kiosk.close(charge).unwrap().unwrap_or_else(|| panic!("{what}: the payment is lost"));
            assert_eq!((report.payments.len(), report.payments[0].amount, report.returned), (1, 300, 0), "{what}");
            assert_eq!(kiosk.entry(charge)["refunded"], 0, "{what}");
        }
    };
    kept(&fresh(Some("pay")), "paid before");
    // Paid between the query and the cancel: given back, and both are told.
    let given_back = |charge: &ChargeRef, what: &str| {
        let report = kiosk.close(charge).unwrap().unwrap_or_else(|| panic!("{what}: the payment is lost"));
        assert_eq!((report.payments.len(), report.payments[0].amount, report.returned), (1, 300, 300), "{what}");
        assert_eq!(kiosk.entry(charge)["refunded"], 300, "{what}");
        report
    };
    for action in [None, Some("scan")] {
        let charge = fresh(action);
        query("", true);
        let report = given_back(&charge, "paid");
        assert_eq!(report.standing, Standing::Closed);
        assert_eq!(given_back(&charge, "again"), report, "the same payment");
    }
    // The answer gets lost, or says nothing: the next close tells.
    for how in NO_ANSWERS.into_iter().filter(|how| !matches!(*how, "unknown" | "unknown-before")) {
        let charge = fresh(Some("scan"));
        query("", true);
        fault(&kiosk, "alipay.trade.cancel", how);
        unknown(how, &kiosk.close(&charge));
        if matches!(how, "drop-before" | "gateway") { kept(&charge, how) } else { drop(given_back(&charge, how)) }
    }
    // Whoever can't find out whether it is paid does not cancel.
    for how in NO_ANSWERS {
        let charge = fresh(Some("scan"));
        fault(&kiosk, "alipay.trade.query", how);
        unknown(how, &kiosk.close(&charge));
        kiosk.pay_charge(&charge, "pay");
        kept(&charge, how);
    }
    // Asked again at once where Alipay wants that.
    let again = [
        ("retry", ""),
        ("unknown", ""),
        ("unknown-before", ""),
        ("sub-code", "AQC.SYSTEM_ERROR"),
        ("refuse", "ACQ.SYSTEM_ERROR"),
    ];
    for (how, sub_code) in again {
        let charge = fresh(Some("scan"));
        query("", true);
        cancel(how, json!({ "sub_code": sub_code }));
        if matches!(how, "unknown" | "sub-code") {
            given_back(&charge, how);
        } else {
            // Nothing was done, as the query before the repetition tells; but nobody knows that.
            unknown(how, &kiosk.close(&charge));
            kept(&charge, how);
        }
        // The payment comes between the cancel that did nothing and its repetition.
        if !matches!(how, "unknown" | "sub-code") {
            let charge = fresh(Some("scan"));
            cancel(how, json!({ "sub_code": sub_code, "then_pay": true }));
            unknown(how, &kiosk.close(&charge));
            kept(&charge, how);
        }
        // Nobody pays.
        let charge = fresh(Some("scan"));
        cancel(how, json!({ "sub_code": sub_code, "times": 2 }));
        assert_eq!(kiosk.close(&charge), Ok(None), "{how}");
    }
    // The look-up after the return fails: the cancel's own words have to do.
    for how in ["drop", "wrong-key", "unknown"] {
        let charge = fresh(Some("scan"));
        query("", true);
        query(how, false);
        given_back(&charge, how);
        // A refund of it is asked for in vain, and is no claim: the money is back.
        let refund = refund_of(&charge, 1, 300);
        assert_eq!(kiosk.query_refund(&refund), Ok(RefundReport::Done), "{how}");
        assert_eq!(kiosk.refund(&refund), Ok(RefundReport::Done), "{how}");
    }
    // What can't be cancelled: a day later the unpaid is closed, and of the paid a query tells.
    let charge = fresh(Some("scan"));
    cancel("refuse", json!({ "sub_code": "ACQ.TRADE_CANCEL_TIME_OUT" }));
    assert_eq!(kiosk.close(&charge), Ok(None));
    assert_eq!(kiosk.entry(&charge)["state"], "TRADE_CLOSED");
    for (sub_code, said) in [
        ("ACQ.TRADE_CANCEL_TIME_OUT", "ACQ.TRADE_STATUS_ERROR"),
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "ACQ.SELLER_BALANCE_NOT_ENOUGH"),
        ("ACQ.REASON_TRADE_BEEN_FREEZEN", "ACQ.REASON_TRADE_BEEN_FREEZEN"),
        ("ACQ.TRADE_HAS_FINISHED", "ACQ.TRADE_HAS_FINISHED"),
    ] {
        let charge = fresh(Some("scan"));
        query("", true);
        cancel("refuse", json!({ "sub_code": sub_code }));
        refused(said, &kiosk.close(&charge));
        assert_eq!(kiosk.query(&charge).unwrap().payments.len(), 1);
    }
    // Told to be closed, and paid all the same.
    for how in ["not-held", "late"] {
        let charge = fresh(Some("scan"));
        if how == "not-held" {
            fault(&kiosk, "alipay.trade.cancel", how);
        }
        assert_eq!(kiosk.close(&charge), Ok(None));
        kiosk.pay_charge(&charge, if how == "late" { "pay-late" } else { "pay" });
        assert_eq!(kiosk.query(&charge).unwrap().payments.len(), 1, "{how}");
    }
    kiosk.nothing_wrong();
}

#[test]
fn a_refund_is_one_whatever_becomes_of_the_answers() {
    let kiosk = Kiosk::new(Mode::Key);
    for how in NO_ANSWERS.into_iter().chain(["silent"]) {
        let charge = kiosk.paid(300);
        let refund = refund_of(&charge, 1, 200);
        fault(&kiosk, "alipay.trade.refund", how);
        let first = kiosk.refund(&refund);
        assert!(matches!(first, Err(RailError::Unknown(_)) | Ok(RefundReport::Processing)), "{how}: {first:?}");
        fault(&kiosk, "alipay.trade.fastpay.refund.query", if how == "silent" { "drop" } else { how });
        unknown(how, &kiosk.query_refund(&refund));
        // Not to be seen yet: the same refund is asked for again.
        fault(&kiosk, "alipay.trade.fastpay.refund.query", "lag");
        assert_eq!(kiosk.query_refund(&refund), Ok(RefundReport::Absent), "{how}");
        kiosk.settle(&refund);
        assert_eq!((kiosk.refunds(&charge), kiosk.entry(&charge)["refunded"].as_i64()), (1, Some(200)), "{how}");
        // All of it: that shows in the trade before it does in the refund.
        let rest = refund_of(&charge, 2, 100);
        assert_eq!(kiosk.refund(&rest), Ok(RefundReport::Done), "{how}");
        fault(&kiosk, "alipay.trade.fastpay.refund.query", "lag");
        assert_eq!(kiosk.query_refund(&rest), Ok(RefundReport::Done), "{how}");
    }
    // Done, and answered with a refusal: the refund itself is what counts.
    for sub_code in ["ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_REFUND_FEE_ERR", "ACQ.TRADE_HAS_FINISHED"] {
        let charge = kiosk.paid(300);
        let refund = refund_of(&charge, 1, 100);
        kiosk.fault(json!({ "method": "alipay.trade.refund", "how": "sub-code", "sub_code": sub_code }));
        assert_eq!(kiosk.refund(&refund), Ok(RefundReport::Done), "{sub_code}");
        // While that can't be found out, nothing is certain.
        kiosk.fault(json!({ "method": "alipay.trade.refund", "how": "sub-code", "sub_code": sub_code }));
        fault(&kiosk, "alipay.trade.fastpay.refund.query", "drop");
        unknown(sub_code, &kiosk.refund(&refund));
        assert_eq!(kiosk.refunds(&charge), 1);
    }
    // Refused for good.
    let charge = kiosk.paid(300);
    refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", &kiosk.refund(&refund_of(&charge, 1, 301)));
    kiosk.settle(&refund_of(&charge, 2, 200));
    let mut other = refund_of(&charge, 2, 100);
    unknown("another amount under the number", &kiosk.query_refund(&other));
    other.amount = 200;
    assert_eq!(kiosk.query_refund(&other), Ok(RefundReport::Done));
    let open = kiosk.charge(300);
    kiosk.create(&open).unwrap();
    refused("ACQ.TRADE_NOT_EXIST", &kiosk.refund(&refund_of(&open, 1, 300)));
    kiosk.pay_charge(&open, "scan");
    refused("ACQ.TRADE_STATUS_ERROR", &kiosk.refund(&refund_of(&open, 1, 300)));
    // Not now: nothing was done, and the same will do later.
    let charge = kiosk.paid(300);
    let refund = refund_of(&charge, 1, 300);
    kiosk.fault(
        json!({ "method": "alipay.trade.refund", "how": "refuse", "sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH" }),
    );
    assert_eq!(kiosk.refund(&refund), Ok(RefundReport::Absent));
    assert_eq!(kiosk.refund(&refund), Ok(RefundReport::Done));
    // A cancel has given it back and nobody heard; then the payment becomes known, and a refund is asked for.
    let charge = kiosk.charge(300);
    kiosk.create(&charge).unwrap();
    kiosk.fault(json!({ "method": "alipay.trade.query", "then_pay": true }));
    fault(&kiosk, "alipay.trade.cancel", "drop");
    unknown("cancel", &kiosk.close(&charge));
    assert_eq!(kiosk.query_refund(&refund_of(&charge, 1, 300)), Ok(RefundReport::Done));
    assert_eq!(kiosk.refund(&refund_of(&charge, 1, 300)), Ok(RefundReport::Done));
    assert_eq!((kiosk.refunds(&charge), kiosk.entry(&charge)["refunded"].as_i64()), (0, Some(300)));
    kiosk.nothing_wrong();
}

#[test]
fn a_provider_that_dies_after_carrying_out_loses_nothing() {
    let kiosk = Kiosk::new(Mode::Key);
    let die = |method: &str| kiosk.fault(json!({ "method": method, "how": "die" }));
    let charge = kiosk.charge(300);
    die("alipay.trade.precreate");
    unknown("create", &kiosk.create(&charge));
    unknown("dead", &kiosk.query(&charge));
    kiosk.double.restart();
    kiosk.pay_charge(&charge, "pay");
    die("alipay.trade.query");
    unknown("query", &kiosk.query(&charge));
    kiosk.double.restart();
    assert_eq!(kiosk.query(&charge).unwrap().payments.len(), 1);

    let refund = refund_of(&charge, 1, 300);
    die("alipay.trade.refund");
    unknown("refund", &kiosk.refund(&refund));
    unknown("dead", &kiosk.query_refund(&refund));
    kiosk.double.restart();
    kiosk.settle(&refund);
    assert_eq!((kiosk.refunds(&charge), kiosk.entry(&charge)["refunded"].as_i64()), (1, Some(300)));

    let charge = kiosk.charge(300);
    kiosk.create(&charge).unwrap();
    kiosk.fault(json!({ "method": "alipay.trade.query", "then_pay": true }));
    die("alipay.trade.cancel");
    unknown("close", &kiosk.close(&charge));
    kiosk.double.restart();
    let report = kiosk.close(&charge).unwrap().expect("the payment and its return");
    assert_eq!((report.payments[0].amount, report.returned), (300, 300));
    kiosk.nothing_wrong();
}

#[test]
fn every_call_ends_in_time() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let kiosk = Kiosk::with(Mode::Key, TIMEOUT, kit::ATTACH);
    let charge = kiosk.paid(300);
    let refund = refund_of(&charge, 1, 300);
    let calls: [(&str, &dyn Fn() -> bool); 4] = [
        ("query", &|| matches!(kiosk.query(&charge), Err(RailError::Unknown(_)))),
        ("probe", &|| matches!(kiosk.probe(), Err(RailError::Unknown(_)))),
        ("refund", &|| matches!(kiosk.refund(&refund), Err(RailError::Unknown(_)))),
        ("create", &|| matches!(kiosk.create(&kiosk.charge(1)), Err(RailError::Unknown(_)))),
    ];
    for (name, call) in calls {
        kiosk.fault(json!({ "how": "slow", "seconds": 10 }));
        let begin = Instant::now();
        assert!(call(), "{name}");
        // Before the answer comes, and before a second budget is used up.
        assert!(begin.elapsed() < 2 * TIMEOUT, "{name} took {:?}", begin.elapsed());
    }
    // A cancel that wants to be repeated for ever.
    let charge = kiosk.charge(300);
    kiosk.create(&charge).unwrap();
    kiosk.fault(json!({ "method": "alipay.trade.cancel", "how": "retry", "times": 1000 }));
    let begin = Instant::now();
    unknown("close", &kiosk.close(&charge));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    kiosk.fault(json!({ "clear": true }));
    kiosk.settle(&refund);
    assert_eq!(kiosk.book()["refunds"].as_array().unwrap().len(), 1);
}

#[test]
fn with_certificates() {
    let kiosk = Kiosk::new(Mode::Certificates);
    kiosk.probe().unwrap();
    let charge = kiosk.paid(300);
    assert_eq!(kiosk.query(&charge).unwrap().payments.len(), 1);
    for how in ["other-certificate", "wrong-key", "unsigned", "duplicate-response"] {
        fault(&kiosk, "*", how);
        unknown(how, &kiosk.query(&charge));
    }
    kiosk.settle(&refund_of(&charge, 1, 300));
    kiosk.nothing_wrong();

    let error = kiosk.double.setup("stranger_cert.crt", "app_private.pem").err().unwrap();
    assert!(error.contains("not issued by the root"), "{error}");
    let error = kiosk.double.setup("alipay_cert.crt", "other_private.pem").err().unwrap();
    assert!(error.contains("does not belong to the private key"), "{error}");
    // Without the authority between it and the root.
    let error = kiosk.double.setup("app_cert.crt", "app_private.pem").err().unwrap();
    assert!(error.contains("not issued by the root"), "{error}");
    kiosk.double.setup("alipay_cert.crt", "app_private_pkcs1.pem").map(|_| ()).unwrap();
}

#[test]
fn notifications_are_reports() {
    for mode in [Mode::Key, Mode::Certificates] {
        let kiosk = Kiosk::new(mode);
        let charge = kiosk.paid(300);
        let body = |change: Value| {
            let ask = json!({ "out_trade_no": charge.charge.as_str(), "change": change });
            kiosk.double.post("/_notify", &ask)["body"].as_str().unwrap().to_owned()
        };
        let genuine = body(json!({}));
        let Ok(Notification::Charge { charge: of, report, attach }) = kiosk.rail.notification(genuine.as_bytes())
        else {
            panic!("{:?}", kiosk.rail.notification(genuine.as_bytes()))
        };
        assert_eq!((&of, report.payments.len(), report.payments[0].amount), (&charge.charge, 1, 300));
        assert_eq!(report, kiosk.query(&charge).unwrap());
        assert!(attach_matches(&attach.unwrap(), kit::ATTACH));
        for change in [
            json!({ "total_amount": "0.01" }),
            json!({ "trade_status": "TRADE_FINISHED" }),
            json!({ "out_trade_no": "x" }),
            json!({ "app_id": "2021000000000002" }),
            json!({ "passback_params": "other%2Fkiosk" }),
            json!({ "sign": "" }),
            json!({ "sign": "AAAA" }),
            json!({ "sign_type": "RSA" }),
            json!({ "more": "1" }),
        ] {
            let result = kiosk.rail.notification(body(change.clone()).as_bytes());
            assert!(matches!(result, Err(RailError::Unknown(_))), "{change}: {result:?}");
        }
        for bad in [&genuine[..genuine.len() - 9], &format!("{genuine}&total_amount=3.00"), "", "sign=x", "a=%"] {
            assert!(kiosk.rail.notification(bad.as_bytes()).is_err(), "{bad}");
        }
    }
    // Over the wire, as Alipay sends it.
    let kiosk = Kiosk::new(Mode::Key);
    let charge = kiosk.paid(300);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/notify", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let n = peer.read(&mut chunk).unwrap();
            got.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&got).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.to_ascii_lowercase().split("content-length: ").nth(1).unwrap().to_owned();
            if body.len() >= length.split("\r\n").next().unwrap().parse().unwrap() {
                peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsuccess").unwrap();
                return body.to_owned();
            }
        }
    });
    let sent = kiosk.double.post("/_notify", &json!({ "out_trade_no": charge.charge.as_str(), "url": url }));
    assert_eq!(sent["answer"], "success");
    let body = server.join().unwrap();
    assert!(matches!(kiosk.rail.notification(body.as_bytes()), Ok(Notification::Charge { .. })), "{body}");
}

#[test]
fn every_byte_sent_is_what_the_sdk_would_send() {
    // The double compares each request with python-alipay-sdk's own for the same parameters.
    let long = "长".repeat(300);
    for attach in ["", "f/k", "前海 车库+1/甲&乙=%", &"a/".repeat(300)] {
        let kiosk = Kiosk::with(Mode::Key, PATIENCE, attach);
        for description in
            ["", "可乐 ¥3.00 #123456", "a/b=c&d?e+f%20~'\"<>\\", "\u{1F964} soda\n\t!", &long, "x=1&sign=2"]
        {
            let charge = kiosk.charge(1);
            kiosk.create_described(&charge, description).unwrap();
            let trade = kiosk.pay_charge(&charge, "pay");
            let report = kiosk.query(&charge).unwrap();
            assert_eq!(report.payments[0].id.as_str(), trade);
            assert_eq!(report.attach.is_some_and(|given| attach_matches(&given, attach)), !attach.is_empty());
        }
        kiosk.nothing_wrong();
    }
}

/// Many charges under many faults, each settled as the sale settles: closed, asked until nothing is open, given back.
#[test]
fn in_any_weather_the_books_agree() {
    let long = std::env::var_os("KIOSKD_LONG").is_some();
    let seeds = if long { 20 } else { 2 };
    for seed in 0..seeds {
        let mut chance = kit::Chance(0x9E37_79B9_7F4A_7C15 ^ (seed * 0x5851_F42D_4C95_7F2D + 1));
        let kiosk = Kiosk::new(if seed % 2 == 0 { Mode::Key } else { Mode::Certificates });
        for turn in 0..20 {
            kit::weather(&kiosk, &mut chance, &format!("seed {seed}, charge {turn}"));
        }
        kiosk.nothing_wrong();
    }
}
