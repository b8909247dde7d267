//! Every refund is made once, whatever is answered, and a provider that dies in between loses nothing.

use kioskd::payment::Rail;
use kioskd::vocabulary::{RefundReport, Standing};
use serde_json::json;

use kioskd_tests::double::until;

use super::kit::*;

#[test]
fn a_refund_is_made_once_whatever_its_answers_are() {
    let mut bench = Bench::new();
    let lies = ["other-refund", "other-amount"];
    for fault in UNUSABLE.iter().chain(SPOILED).chain(GARBLED).chain(&lies).copied() {
        let charge = bench.paid();
        let refund = refund_of(&charge, 1, PRICE);
        bench.fault("refund", fault);
        unknown(bench.refund(&refund), fault);
        bench.fault("query_refund", fault);
        unknown(bench.query_refund(&refund), fault);
        assert_eq!(bench.settle(&refund), RefundReport::Done, "{fault}");
        assert_eq!(bench.book(&charge).unwrap()["refunded"], PRICE, "{fault}");
    }
    let refunds = bench.double.get("/_book")["refunds"].as_array().unwrap().len();
    assert_eq!(refunds, UNUSABLE.len() + SPOILED.len() + GARBLED.len() + lies.len());
}

#[test]
fn a_refund_is_refused_only_when_certainly_none_was_made() {
    let mut bench = Bench::new();
    let charge = bench.paid();
    let refund = refund_of(&charge, 1, PRICE);
    // The refund is there, and the answer to it is a no that means another: the number is asked after.
    bench.fault("refund", "drop-after");
    unknown(bench.refund(&refund), "drop-after");
    for code in ["INVALID_REQUEST", "PARAM_ERROR", "NO_AUTH", "RESOURCE_NOT_EXISTS"] {
        bench.fault("refund", &format!("no:400:{code}"));
        assert_eq!(bench.refund(&refund), Ok(RefundReport::Done), "{code}");
        bench.control(json!({ "next": [
            { "on": "refund", "fault": format!("no:400:{code}") }, { "on": "query_refund", "fault": "unsigned" }] }));
        unknown(bench.refund(&refund), code);
    }
    let charge = bench.paid();
    let refund = refund_of(&charge, 1, PRICE);
    bench.fault("refund", "no:403:USER_ACCOUNT_ABNORMAL");
    refused(bench.refund(&refund), "USER_ACCOUNT_ABNORMAL");
    for code in ["TRADE_ERROR", "SIGN_ERROR", "RULE_LIMIT", "INVENTED_LATER"] {
        bench.fault("refund", &format!("no:403:{code}"));
        unknown(bench.refund(&refund), code);
    }
    bench.set("refund", "NOT_ENOUGH");
    assert_eq!(bench.refund(&refund), Ok(RefundReport::Absent), "nothing was done; asking again will help");
    for (status, report) in [("ABNORMAL", RefundReport::Failed), ("CLOSED", RefundReport::Failed)] {
        bench.set("refund", status);
        let charge = bench.paid();
        let refund = refund_of(&charge, 1, PRICE);
        assert_eq!(bench.refund(&refund), Ok(report));
        assert_eq!(bench.query_refund(&refund), Ok(report));
    }
}

#[test]
fn what_somebody_else_gave_back_is_never_given_twice() {
    let mut bench = Bench::new();
    for theirs in [100, PRICE] {
        let charge = bench.paid();
        bench.double.post("/_refund", json!({ "out_trade_no": charge.charge, "amount": theirs }));
        let report = bench.query(&charge).unwrap();
        assert_eq!((report.standing, amounts(&report), report.returned), (Standing::Returning, vec![PRICE], 0));
        refused(bench.refund(&refund_of(&charge, 1, PRICE)), "INVALID_REQUEST");
        assert_eq!(bench.book(&charge).unwrap()["refunded"], theirs, "a person decides about the rest");
    }
}

/// The double carries it out, and dies before it answers.
fn dies(bench: &mut Bench, on: &str, ask: impl FnOnce(&mut Bench)) {
    bench.fault(on, "die-after");
    ask(bench);
    bench.double.wait();
    bench.double.start_again();
}

#[test]
fn a_provider_that_dies_between_doing_and_saying_loses_nothing() {
    let mut bench = Bench::new();
    let new = bench.new_charge();
    let charge = reference(&new);
    dies(&mut bench, "create", |bench| unknown(bench.create(&new), "create"));
    assert_eq!(bench.query(&charge).unwrap().standing, Standing::Open);
    bench.pay(&charge, json!({}));
    dies(&mut bench, "query", |bench| unknown(bench.query(&charge), "query"));
    assert_eq!(amounts(&bench.query(&charge).unwrap()), [PRICE]);
    let refund = refund_of(&charge, 1, PRICE);
    dies(&mut bench, "refund", |bench| unknown(bench.refund(&refund), "refund"));
    assert_eq!(bench.settle(&refund), RefundReport::Done);
    assert_eq!(bench.book(&charge).unwrap()["refunded"], PRICE);
    let other = bench.charge();
    dies(&mut bench, "close", |bench| unknown(bench.close(&other), "close"));
    assert_eq!(bench.query(&other).unwrap().standing, Standing::Closed);

    // From outside, while the answer is on its way.
    let new = bench.new_charge();
    let charge = reference(&new);
    bench.fault("create", "hold");
    let rail = bench.rail.clone();
    let waiting = bench.runtime.spawn(async move { rail.create(&new).await });
    until("the charge is in the book", || bench.book(&charge).is_some());
    bench.double.kill();
    unknown(bench.runtime.block_on(waiting).unwrap(), "killed");
    bench.double.start_again();
    assert_eq!(bench.query(&charge).unwrap().standing, Standing::Open);
    bench.pay(&charge, json!({}));
    assert_eq!(amounts(&bench.query(&charge).unwrap()), [PRICE]);

    let refund = refund_of(&charge, 1, PRICE);
    bench.fault("refund", "hold");
    let (rail, asked) = (bench.rail.clone(), refund.clone());
    let waiting = bench.runtime.spawn(async move { rail.refund(&asked).await });
    until("the refund is in the book", || bench.book(&charge).is_some_and(|known| known["refunded"] == PRICE));
    bench.double.kill();
    unknown(bench.runtime.block_on(waiting).unwrap(), "killed");
    bench.double.start_again();
    assert_eq!(bench.settle(&refund), RefundReport::Done);
    assert_eq!(bench.refund(&refund), Ok(RefundReport::Done));
    assert_eq!(bench.book(&charge).unwrap()["refunded"], PRICE);
}
