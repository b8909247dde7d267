//! Charges are made once, paid only when they are, and closed without losing a payment.

use std::path::Path;
use std::time::Instant;

use kioskd::payment::wechat::WechatConfig;
use kioskd::signed::keys::VerifyingKey;
use kioskd::vocabulary::{Currency, NewCharge, OrderId, Standing};
use serde_json::json;

use kioskd_tests::double::Double;

use super::kit::*;

#[test]
fn sells_for_direct_merchants_and_service_providers_with_certificates_and_public_keys() {
    let mut bench = Bench::new();
    for sign_with in ["certificate", "public-key"] {
        for spelling in ["new", "old"] {
            bench.control(json!({ "set": { "sign_with": sign_with, "spelling": spelling } }));
            let keys = |directory: &Path, double: &Double, config: &mut WechatConfig| {
                if sign_with == "public-key" {
                    let key = VerifyingKey::parse(&std::fs::read(directory.join("public.pub")).unwrap()).unwrap();
                    config.platform_keys.push((double.said("public_key_id").into(), key));
                }
            };
            let directory = bench.directory.path().to_owned();
            bench.fresh(|double, config| keys(&directory, double, config));
            sale(&mut bench);
            bench.fresh(|double, config| {
                keys(&directory, double, config);
                partner(double, config);
            });
            sale(&mut bench);
        }
    }
}

#[test]
fn no_unusable_answer_makes_a_charge_paid_or_loses_a_payment() {
    let mut bench = Bench::new();
    let (open, paid) = (bench.charge(), bench.paid());
    let lies = ["says-paid", "other-order", "other-mchid"];
    for fault in UNUSABLE.iter().chain(SPOILED).chain(GARBLED).chain(&lies).copied() {
        bench.fault("query", fault);
        unknown(bench.query(&open), fault);
        assert_eq!(bench.query(&open).unwrap().payments, [], "{fault}");
    }
    let lies = ["other-order", "other-mchid", "other-appid"];
    for fault in UNUSABLE.iter().chain(SPOILED).chain(GARBLED).chain(&lies).copied() {
        bench.fault("query", fault);
        unknown(bench.query(&paid), fault);
        assert_eq!(amounts(&bench.query(&paid).unwrap()), [PRICE], "{fault}");
    }
    // An order that is not there gets no further than that.
    for fault in UNUSABLE.iter().chain(SPOILED).filter(|fault| !fault.starts_with("error-")) {
        bench.fault("query", fault);
        unknown(bench.probe(), fault);
    }
    bench.probe().unwrap();
}

#[test]
fn a_payment_is_reported_as_it_was() {
    let mut bench = Bench::new();
    let paid = bench.paid();
    bench.fault("query", "other-amount");
    assert_eq!(amounts(&bench.query(&paid).unwrap()), [PRICE - 1], "which is not what was asked, and buys nothing");
    bench.fault("query", "other-currency");
    assert_eq!(bench.query(&paid).unwrap().payments[0].currency.code(), "USD");
    for (how, amount) in [(json!({ "amount": 299 }), 299), (json!({ "coupon": 50 }), PRICE)] {
        let charge = bench.charge();
        bench.pay(&charge, how);
        assert_eq!(amounts(&bench.query(&charge).unwrap()), [amount]);
    }
}

#[test]
fn a_charge_whose_answer_is_lost_is_made_once() {
    let mut bench = Bench::new();
    bench.probe().unwrap();
    for fault in
        ["drop-before", "drop-after", "error-after", "error-unsigned", "forged", "unsigned", "truncated", "signtest"]
    {
        let new = bench.new_charge();
        bench.fault("create", fault);
        let created = bench.create(&new).unwrap_or_else(|e| panic!("{fault}: {e}"));
        let said = bench.double.post("/_pay", json!({ "payload": created.payload }));
        assert_eq!(said["result"], "accepted", "{fault}: the code of the very charge");
        assert_eq!(amounts(&bench.query(&reference(&new)).unwrap()), [PRICE]);

        let new = bench.new_charge();
        let before = bench.asked("create");
        bench.control(json!({ "next": [{ "on": "create", "fault": fault }, { "on": "create", "fault": fault }] }));
        unknown(bench.create(&new), fault);
        assert_eq!(bench.asked("create") - before, 2, "{fault}: repeated once and no more");
        let made = bench.query(&reference(&new)).unwrap().standing;
        assert_eq!(made == Standing::Absent, fault == "drop-before", "{fault}");
    }
    for fault in GARBLED {
        let new = bench.new_charge();
        bench.fault("create", fault);
        unknown(bench.create(&new), fault);
        assert_eq!(bench.query(&reference(&new)).unwrap().standing, Standing::Open);
    }
    let begin = Instant::now();
    let new = bench.new_charge();
    bench.fault("create", "slow");
    unknown(bench.create(&new), "slow");
    assert!(begin.elapsed() < 2 * TIMEOUT, "one call, one budget");
    let before = bench.asked("create");
    bench.fault("create", "frequency");
    unknown(bench.create(&new_charge(OrderId::from_parts(1_700_000_100_000, 77))), "frequency");
    assert_eq!(bench.asked("create") - before, 1, "who is told to wait does not ask at once");
}

#[test]
fn a_charge_is_refused_only_when_certainly_none_was_made() {
    let mut bench = Bench::new();
    for code in ["PARAM_ERROR", "APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "NO_AUTH", "NOAUTH", "RULELIMIT"] {
        let new = bench.new_charge();
        bench.fault("create", &format!("no:400:{code}"));
        refused(bench.create(&new), code);
        assert_eq!(bench.query(&reference(&new)).unwrap().standing, Standing::Absent);
        // The first attempt landed; the second was not understood.
        let new = bench.new_charge();
        let second = format!("no:400:{code}");
        bench.control(
            json!({ "next": [{ "on": "create", "fault": "drop-after" }, { "on": "create", "fault": second }] }),
        );
        unknown(bench.create(&new), code);
        assert_eq!(bench.query(&reference(&new)).unwrap().standing, Standing::Open);
    }
    for code in ["INVALID_REQUEST", "OUT_TRADE_NO_USED", "ORDERPAID", "ORDER_CLOSED", "TRADE_ERROR", "INVENTED_LATER"] {
        let new = bench.new_charge();
        bench.fault("create", &format!("no:403:{code}"));
        unknown(bench.create(&new), code);
    }
    let sent = bench.asked("create");
    let euros = NewCharge { currency: Currency::from_code("EUR").unwrap(), ..bench.new_charge() };
    refused(bench.create(&euros), "CURRENCY");
    assert_eq!(bench.asked("create"), sent);

    let mut other = bench.new_charge();
    bench.create(&other).unwrap();
    other.amount += 1;
    unknown(bench.create(&other), "the number is used");
    assert_eq!(bench.book(&reference(&other)).unwrap()["amount"], PRICE);
}

#[test]
fn a_close_that_does_not_hold_shows_and_a_payment_after_it_is_not_lost() {
    let mut bench = Bench::new();
    bench.set("closes_hold", false);
    let charge = bench.charge();
    assert_eq!(bench.close(&charge), Ok(None));
    assert_eq!(bench.query(&charge).unwrap().standing, Standing::Open, "asked is not closed");
    bench.pay(&charge, json!({}));
    assert_eq!(amounts(&bench.query(&charge).unwrap()), [PRICE]);

    bench.set("closes_hold", true);
    let charge = bench.charge();
    assert_eq!(bench.close(&charge), Ok(None));
    assert_eq!(bench.query(&charge).unwrap().standing, Standing::Closed);
    bench.pay(&charge, json!({ "late": true }));
    assert_eq!(amounts(&bench.query(&charge).unwrap()), [PRICE], "it was on its way when the order was closed");

    for fault in UNUSABLE {
        let charge = bench.charge();
        bench.fault("close", fault);
        unknown(bench.close(&charge), fault);
        bench.query(&charge).unwrap();
    }
    refused(bench.close(&reference(&new_charge(OrderId::from_parts(1_700_000_100_000, 5)))), "ORDER_NOT_EXIST");
    let paid = bench.paid();
    refused(bench.close(&paid), "ORDER_PAID");
}
