//! WeChat Pay API v3.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kioskd::payment::Rail;
use kioskd::payment::wechat::{ApiV3Key, Notification, Sub, WechatConfig, WechatPay};
use kioskd::signed::keys::{SigningKey, VerifyingKey};
use kioskd::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, Currency, NewCharge, OrderId, RailError, RefundId, RefundReport,
    RefundRequest, Standing,
};
use serde_json::{Value, json};

use crate::kit::{Double, until};

const PRICE: i64 = 300;
const TIMEOUT: Duration = Duration::from_secs(3);

/// What may be wrong with an answer so that nobody can say what happened.
const UNUSABLE: &[&str] = &[
    "slow",
    "forged",
    "unsigned",
    "signtest",
    "stale",
    "headless",
    "redirect",
    "unknown-serial",
    "error-after",
    "error-unsigned",
    "drop-before",
    "drop-after",
    "frequency",
    "unsigned-no",
    "no:401:SIGN_ERROR",
];
/// The same, with its body.
const SPOILED: &[&str] = &["truncated", "oversized", "changed"];
/// Signed nonsense.
const GARBLED: &[&str] = &["non-json", "doubled", "cut-json"];

struct Bench {
    double: Double,
    rail: Arc<WechatPay>,
    runtime: tokio::runtime::Runtime,
    orders: u128,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    fn with(change: impl FnOnce(&Double, &mut WechatConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let double = Double::start("wechat/double.py", directory.path());
        let rail = rail(&double, directory.path(), change);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { double, rail, runtime, orders: 0, directory }
    }

    /// Another kiosk of the same merchant: nothing fetched or learned yet.
    fn fresh(&mut self, change: impl FnOnce(&Double, &mut WechatConfig)) {
        self.rail = rail(&self.double, self.directory.path(), change);
    }

    fn control(&self, what: Value) -> Value {
        self.double.post("/_control", what)
    }

    fn fault(&self, on: &str, fault: &str) {
        self.control(json!({ "next": [{ "on": on, "fault": fault }] }));
    }

    fn set(&self, name: &str, value: impl Into<Value>) {
        self.control(json!({ "set": { name: value.into() } }));
    }

    fn new_charge(&mut self) -> NewCharge {
        self.orders += 1;
        let order = OrderId::from_parts(1_700_000_000_000, self.orders);
        NewCharge {
            charge: ChargeId::of(order, 1),
            order,
            amount: PRICE,
            currency: cny(),
            life: Duration::from_secs(90),
            description: "123456 K0001 可樂".into(),
            attach: "main/K0001".into(),
        }
    }

    fn create(&self, new: &NewCharge) -> Result<Created, RailError> {
        self.runtime.block_on(self.rail.create(new))
    }

    /// A charge that is made, and who it is.
    fn charge(&mut self) -> ChargeRef {
        let new = self.new_charge();
        self.create(&new).unwrap();
        reference(&new)
    }

    fn paid(&mut self) -> ChargeRef {
        let charge = self.charge();
        self.pay(&charge, json!({}));
        charge
    }

    fn pay(&self, charge: &ChargeRef, how: Value) {
        let mut how = how;
        how["out_trade_no"] = json!(charge.charge);
        let said = self.double.post("/_pay", how);
        assert_eq!(said["result"], "accepted", "{said}");
    }

    fn query(&self, charge: &ChargeRef) -> Result<ChargeReport, RailError> {
        self.runtime.block_on(self.rail.query(charge))
    }

    fn close(&self, charge: &ChargeRef) -> Result<Option<ChargeReport>, RailError> {
        self.runtime.block_on(self.rail.close(charge))
    }

    fn refund(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        self.runtime.block_on(self.rail.refund(refund))
    }

    fn query_refund(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        self.runtime.block_on(self.rail.query_refund(refund))
    }

    fn probe(&self) -> Result<(), RailError> {
        self.runtime.block_on(self.rail.probe())
    }

    fn book(&self, charge: &ChargeRef) -> Option<Value> {
        let book = self.double.get("/_book");
        book["charges"].as_array().unwrap().iter().find(|known| known["id"] == json!(charge.charge)).cloned()
    }

    fn asked(&self, on: &str) -> u64 {
        self.double.get("/_book")["asked"][on].as_u64().unwrap_or(0)
    }

    /// What sale does about a refund until it knows: asks after it, and again for it where it never arrived.
    fn settle(&self, refund: &RefundRequest) -> RefundReport {
        let mut answer = self.refund(refund);
        for _ in 0..8 {
            answer = match answer {
                Ok(RefundReport::Absent) => self.refund(refund),
                Ok(RefundReport::Processing) | Err(RailError::Unknown(_)) => self.query_refund(refund),
                Ok(report) => return report,
                Err(error) => panic!("{error}"),
            };
        }
        panic!("it never settled: {answer:?}")
    }
}

fn rail(double: &Double, directory: &Path, change: impl FnOnce(&Double, &mut WechatConfig)) -> Arc<WechatPay> {
    let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
    let mut config = WechatConfig {
        base_url: double.url().into(),
        backup_url: None,
        ca: None,
        timeout: TIMEOUT,
        appid: double.said("appid").into(),
        mchid: double.said("mchid").into(),
        sub: None,
        serial_no: double.said("serial_no").into(),
        private_key: SigningKey::parse(&read("merchant.key")).unwrap(),
        api_v3_key: ApiV3Key::parse(&read("api_v3.key")).unwrap(),
        notify_url: "https://example.com/wechat".into(),
        platform_keys: vec![(
            double.said("platform_serial").into(),
            VerifyingKey::parse(&read("platform0.crt")).unwrap(),
        )],
    };
    change(double, &mut config);
    Arc::new(WechatPay::new(config).unwrap())
}

fn partner(double: &Double, config: &mut WechatConfig) {
    let (sub_mchid, sub_appid) = (double.said("sub_mchid").into(), Some(double.said("sub_appid").into()));
    config.sub = Some(Sub { sub_mchid, sub_appid });
}

fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

fn reference(new: &NewCharge) -> ChargeRef {
    ChargeRef { charge: new.charge.clone(), order: new.order, amount: new.amount, currency: new.currency }
}

fn refund_of(charge: &ChargeRef, nth: usize, amount: i64) -> RefundRequest {
    RefundRequest {
        refund: RefundId::of(&charge.charge, nth),
        charge: charge.charge.clone(),
        order: charge.order,
        amount,
        charged: charge.amount,
        currency: charge.currency,
    }
}

fn unknown<T: std::fmt::Debug>(result: Result<T, RailError>, what: &str) {
    assert!(matches!(result, Err(RailError::Unknown(_))), "{what}: {result:?}");
}

fn refused<T: std::fmt::Debug>(result: Result<T, RailError>, code_is: &str) {
    assert!(matches!(&result, Err(RailError::Refused { code, .. }) if code == code_is), "{code_is}: {result:?}");
}

fn amounts(report: &ChargeReport) -> Vec<i64> {
    report.payments.iter().map(|payment| payment.amount).collect()
}

/// Every call once, as it should go.
fn sale(bench: &mut Bench) {
    bench.probe().unwrap();
    let new = bench.new_charge();
    let charge = reference(&new);
    assert_eq!(bench.query(&charge).unwrap().standing, Standing::Absent);
    let created = bench.create(&new).unwrap();
    assert!(created.payload.starts_with("weixin://wxpay/bizpayurl?pr="), "{created:?}");
    let made = bench.book(&charge).unwrap();
    assert_eq!((&made["amount"], &made["currency"], &made["state"]), (&json!(PRICE), &json!("CNY"), &json!("NOTPAY")));
    assert_eq!((&made["attach"], &made["device"]), (&json!("main/K0001"), &json!("K0001")));
    assert_eq!(made["description"], json!(new.description));
    let open = bench.query(&charge).unwrap();
    assert_eq!((open.standing, open.payments.len()), (Standing::Open, 0));

    let said = bench.double.post("/_pay", json!({ "payload": created.payload }));
    assert_eq!(said["result"], "accepted");
    let paid = bench.query(&charge).unwrap();
    assert_eq!((paid.standing, amounts(&paid), paid.returned), (Standing::Closed, vec![PRICE], 0));
    assert_eq!((paid.payments[0].order, paid.attach.as_deref()), (charge.order, Some("main/K0001")));
    assert_eq!(bench.query(&charge).unwrap(), paid, "the same payment every time");
    let said = bench.double.post("/_pay", json!({ "payload": created.payload }));
    assert_eq!(said["result"], "refused", "there is no second payment on an order");
    assert!(matches!(bench.close(&charge), Err(RailError::Refused { .. })), "a paid order is not closed");

    let refund = refund_of(&charge, 1, 100);
    assert_eq!(bench.query_refund(&refund), Ok(RefundReport::Absent));
    bench.set("refund", "PROCESSING");
    assert_eq!(bench.refund(&refund), Ok(RefundReport::Processing), "taken on is not done");
    assert_eq!(bench.query_refund(&refund), Ok(RefundReport::Processing));
    bench.control(json!({ "refunds": { refund.refund.as_str(): "SUCCESS" }, "set": { "refund": "SUCCESS" } }));
    assert_eq!(bench.query_refund(&refund), Ok(RefundReport::Done));
    assert_eq!(bench.refund(&refund), Ok(RefundReport::Done), "the same again is the same refund");
    assert_eq!(bench.book(&charge).unwrap()["refunded"], 100);
    let after = bench.query(&charge).unwrap();
    assert_eq!((after.standing, amounts(&after), after.returned), (Standing::Returning, vec![PRICE], 0));

    let charge = bench.charge();
    assert_eq!(bench.close(&charge), Ok(None));
    let closed = bench.query(&charge).unwrap();
    assert_eq!((closed.standing, closed.payments.len()), (Standing::Closed, 0));
    assert!(bench.close(&charge).is_ok(), "closed is closed");
    assert_eq!(bench.control(json!({}))["bad_requests"], 0, "every signature of ours holds");
}

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
    assert!(begin.elapsed() < TIMEOUT + Duration::from_secs(1), "one call, one budget");
    let before = bench.asked("create");
    bench.fault("create", "frequency");
    unknown(bench.create(&bench.new_charge_of(77)), "frequency");
    assert_eq!(bench.asked("create") - before, 1, "who is told to wait does not ask at once");
}

impl Bench {
    fn new_charge_of(&self, nth: u128) -> NewCharge {
        let order = OrderId::from_parts(1_700_000_100_000, nth);
        NewCharge {
            charge: ChargeId::of(order, 1),
            order,
            amount: PRICE,
            currency: cny(),
            life: Duration::from_secs(90),
            description: "d".into(),
            attach: String::new(),
        }
    }
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
    refused(bench.close(&reference(&bench.new_charge_of(5))), "ORDER_NOT_EXIST");
    let paid = bench.paid();
    refused(bench.close(&paid), "ORDER_PAID");
}

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

#[test]
fn a_clock_that_is_wrong_by_hours_or_years_ends_well() {
    let mut bench = Bench::new();
    for off in [7_200, -7_200, 10 * 365 * 86_400, 299, -86_400 * 365 * 5] {
        bench.set("clock", off);
        bench.fresh(|_, _| {});
        let new = bench.new_charge();
        bench.create(&new).unwrap_or_else(|e| panic!("{off} s off: {e}"));
        let expires: jiff::Timestamp =
            bench.book(&reference(&new)).unwrap()["expires"].as_str().unwrap().parse().unwrap();
        let there = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(off);
        let life = expires.duration_since(there).as_secs();
        assert!((85..=95).contains(&life), "{off} s off: the charge lives {life} s");
        bench.pay(&reference(&new), json!({}));
        assert_eq!(amounts(&bench.query(&reference(&new)).unwrap()), [PRICE]);
        let known = bench.rail.clock().error().unwrap().as_secs();
        assert!((known - off).abs() <= 2, "{known} for {off}");
        bench.fault("query", "stale");
        unknown(bench.query(&reference(&new)), "an answer of five minutes ago");
    }
    let expires = |bench: &mut Bench, life| {
        let new = NewCharge { life: Duration::from_secs(life), ..bench.new_charge() };
        bench.create(&new).unwrap();
        let expires: jiff::Timestamp =
            bench.book(&reference(&new)).unwrap()["expires"].as_str().unwrap().parse().unwrap();
        expires.duration_since(bench.rail.clock().now()).as_secs()
    };
    assert!((57..=60).contains(&expires(&mut bench, 10)), "never less than a minute");
    assert!((117..=120).contains(&expires(&mut bench, 120)));
}

#[test]
fn no_charge_is_made_by_the_boards_own_time() {
    let mut bench = Bench::new();
    // The board is a year behind, or ahead, and knows it not; what would tell it is lost on the way.
    for off in [365 * 86_400, -365 * 86_400] {
        bench.set("clock", off);
        bench.fresh(|_, _| {});
        let (new, asked) = (bench.new_charge(), bench.asked("create"));
        bench.fault("query", "drop-before");
        unknown(bench.create(&new).map(drop), "nobody knows what time it is there");
        assert_eq!((bench.asked("create"), bench.book(&reference(&new))), (asked, None));
        bench.create(&new).unwrap();
        let expires: jiff::Timestamp =
            bench.book(&reference(&new)).unwrap()["expires"].as_str().unwrap().parse().unwrap();
        let there = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(off);
        assert!((85..=95).contains(&expires.duration_since(there).as_secs()), "{expires} at {there}");
    }
}

#[test]
fn certificates_are_fetched_when_an_answer_names_a_new_one_and_not_for_every_name() {
    let mut bench = Bench::new();
    // Nothing but the API v3 key to begin with.
    bench.fresh(|_, config| config.platform_keys.clear());
    sale(&mut bench);
    assert_eq!(bench.asked("certificates"), 1);
    for _ in 0..3 {
        bench.fault("query", "unknown-serial");
        unknown(bench.probe(), "unknown-serial");
    }
    assert_eq!(bench.asked("certificates"), 1, "any name may stand in an answer");

    bench.fresh(|_, _| {});
    bench.probe().unwrap();
    bench.control(json!({ "rotate": true }));
    sale(&mut bench);
    assert_eq!(bench.asked("certificates"), 2, "once for the new one");

    let paid = bench.paid();
    for fault in
        ["badly-encrypted", "forged", "unsigned", "stale", "non-json", "truncated", "drop-after", "unknown-serial"]
    {
        bench.fresh(|_, _| {});
        bench.fault("certificates", fault);
        unknown(bench.query(&paid), fault);
    }
    bench.fresh(|_, config| config.api_v3_key = ApiV3Key::parse(&[b'x'; 32]).unwrap());
    unknown(bench.query(&paid), "another API v3 key");
    bench.fresh(|_, _| {});
    assert_eq!(amounts(&bench.query(&paid).unwrap()), [PRICE]);
}

#[test]
fn the_other_host_is_asked_when_the_first_is_away() {
    let mut bench = Bench::new();
    let away = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    bench.fresh(|double, config| {
        config.backup_url = Some(double.url().into());
        config.base_url = away.clone();
    });
    sale(&mut bench);
    bench.fresh(|_, config| config.base_url = away);
    unknown(bench.probe(), "nobody there");
}

#[test]
fn a_key_that_is_not_the_merchants_does_nothing() {
    let mut bench = Bench::new();
    let forger = std::fs::read(bench.directory.path().join("forger.key")).unwrap();
    bench.fresh(|_, config| config.private_key = SigningKey::parse(&forger).unwrap());
    let new = bench.new_charge();
    let Err(RailError::Unknown(why)) = bench.create(&new) else { panic!("a forger has made a charge") };
    assert!(why.contains("SIGN_ERROR"), "{why}");
    unknown(bench.probe(), "forger");
    assert!(bench.book(&reference(&new)).is_none());
    assert!(bench.control(json!({}))["bad_requests"].as_u64().unwrap() > 0);
}

/// One request as it came.
fn hear(listener: &TcpListener) -> (Vec<(String, String)>, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = head {
            let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let headers = text.lines().skip(1).filter_map(|line| line.split_once(": "));
            let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.unwrap().1.parse().unwrap();
            if bytes.len() >= end + 4 + length {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
                return (headers, bytes.split_off(end + 4));
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the notification ended early");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

impl Bench {
    fn notified(&self, what: Value) -> Result<Notification, RailError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut what = what;
        what["url"] = json!(format!("http://{}/wechat", listener.local_addr().unwrap()));
        let heard = std::thread::spawn(move || hear(&listener));
        assert_eq!(self.double.post("/_notify", what)["status"], 204);
        let (headers, body) = heard.join().unwrap();
        let header = |name: &str| {
            headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        self.rail.notification(&header, &body)
    }
}

#[test]
fn a_notification_says_what_a_query_says() {
    let mut bench = Bench::new();
    let charge = bench.paid();
    let of = |change: Value| {
        let mut what = json!({ "out_trade_no": charge.charge });
        what.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        what
    };
    let report = bench.query(&charge).unwrap();
    let attach = Some("main/K0001".to_owned());
    let said = Notification::Charge { charge: charge.charge.clone(), report, attach };
    assert_eq!(bench.notified(of(json!({}))), Ok(said.clone()));
    assert_eq!(bench.notified(of(json!({}))), Ok(said), "twice says the same");
    for fault in ["forged", "unsigned", "signtest", "stale", "unknown-serial", "badly-encrypted", "changed"] {
        unknown(bench.notified(of(json!({ "fault": fault }))), fault);
    }
    for change in [json!({ "mchid": "1900000001" }), json!({ "appid": "wx1" }), json!({ "amount": Value::Null })] {
        unknown(bench.notified(of(json!({ "change": change }))), &change.to_string());
    }
    let others = of(json!({ "change": { "out_trade_no": "a-web-shops-order" } }));
    assert_eq!(bench.notified(others), Ok(Notification::Other));
    let payout = of(json!({ "event_type": "MCHTRANSFER.BATCH.FINISHED" }));
    assert_eq!(bench.notified(payout), Ok(Notification::Other));

    for (status, report) in [("SUCCESS", RefundReport::Done), ("ABNORMAL", RefundReport::Failed)] {
        bench.set("refund", status);
        let charge = bench.paid();
        let refund = refund_of(&charge, 1, 100);
        bench.refund(&refund).unwrap();
        let said =
            Notification::Refund { charge: charge.charge.clone(), refund: refund.refund.clone(), amount: 100, report };
        assert_eq!(bench.notified(json!({ "out_refund_no": refund.refund })), Ok(said));
        let other = json!({ "out_refund_no": refund.refund, "change": { "mchid": "1900000001" } });
        unknown(bench.notified(other), "another merchant's refund");
    }
}

#[test]
fn settings_that_the_provider_would_not_take_are_refused() {
    let bench = Bench::new();
    let directory = bench.directory.path();
    let new = |change: fn(&mut WechatConfig)| {
        let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
        let mut config = WechatConfig {
            base_url: "https://api.mch.weixin.qq.com".into(),
            backup_url: Some("https://api2.mch.weixin.qq.com".into()),
            ca: None,
            timeout: TIMEOUT,
            appid: "wxd678efh567hg6787".into(),
            mchid: "1900007291".into(),
            sub: None,
            serial_no: "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB".into(),
            private_key: SigningKey::parse(&read("merchant.key")).unwrap(),
            api_v3_key: ApiV3Key::parse(&read("api_v3.key")).unwrap(),
            notify_url: "https://example.com/wechat".into(),
            platform_keys: Vec::new(),
        };
        change(&mut config);
        WechatPay::new(config).map(|_| ())
    };
    new(|_| {}).unwrap();
    let bad: &[fn(&mut WechatConfig)] = &[
        |s| s.base_url = "http://api.mch.weixin.qq.com".into(),
        |s| s.backup_url = Some("ftp://api2.mch.weixin.qq.com".into()),
        |s| s.mchid = "190000729x".into(),
        |s| s.mchid = String::new(),
        |s| s.appid = "wx&mchid=1".into(),
        |s| s.serial_no = "serial\"".into(),
        |s| s.notify_url = "http://example.com/wechat".into(),
        |s| s.notify_url = "https://example.com/wechat?kiosk=1".into(),
        |s| s.notify_url = format!("https://example.com/{}", "x".repeat(255)),
        |s| s.sub = Some(Sub { sub_mchid: "../1".into(), sub_appid: None }),
        |s| s.sub = Some(Sub { sub_mchid: "1900009999".into(), sub_appid: Some("wx 1".into()) }),
    ];
    for (nth, change) in bad.iter().enumerate() {
        assert!(new(*change).is_err(), "bad setting {nth}");
    }
}
