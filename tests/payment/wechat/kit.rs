//! A rail of WeChat Pay, its double, and what the tests ask and expect of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kioskd::payment::Rail;
use kioskd::payment::wechat::{ApiV3Key, Sub, WechatConfig, WechatPay};
use kioskd::signed::keys::{SigningKey, VerifyingKey};
use kioskd::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, Currency, NewCharge, OrderId, RailError, RefundReport, RefundRequest,
    Standing,
};
use serde_json::{Value, json};

use kioskd_tests::double::Double;
use tokio::runtime::Runtime;

use crate::waiting;
pub use crate::waiting::{Waiting, refund_of};

pub const PRICE: i64 = 300;
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// What may be wrong with an answer so that nobody can say what happened.
pub const UNUSABLE: &[&str] = &[
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
pub const SPOILED: &[&str] = &["truncated", "oversized", "changed"];
/// Signed nonsense.
pub const GARBLED: &[&str] = &["non-json", "doubled", "cut-json"];

pub struct Bench {
    pub double: Double,
    pub rail: Arc<WechatPay>,
    pub runtime: tokio::runtime::Runtime,
    pub orders: u128,
    pub directory: tempfile::TempDir,
}

impl Waiting for Bench {
    fn rail(&self) -> &dyn Rail {
        &*self.rail
    }

    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub fn with(change: impl FnOnce(&Double, &mut WechatConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let double = Double::start("wechat/double.py", directory.path());
        let rail = rail(&double, directory.path(), change);
        Self { double, rail, runtime: waiting::runtime(), orders: 0, directory }
    }

    /// Another kiosk of the same merchant: nothing fetched or learned yet.
    pub fn fresh(&mut self, change: impl FnOnce(&Double, &mut WechatConfig)) {
        self.rail = rail(&self.double, self.directory.path(), change);
    }

    pub fn control(&self, what: Value) -> Value {
        self.double.post("/_control", what)
    }

    pub fn fault(&self, on: &str, fault: &str) {
        self.control(json!({ "next": [{ "on": on, "fault": fault }] }));
    }

    pub fn set(&self, name: &str, value: impl Into<Value>) {
        self.control(json!({ "set": { name: value.into() } }));
    }

    pub fn new_charge(&mut self) -> NewCharge {
        self.orders += 1;
        new_charge(OrderId::from_parts(1_700_000_000_000, self.orders))
    }

    pub fn create(&self, new: &NewCharge) -> Result<Created, RailError> {
        self.runtime.block_on(self.rail.create(new))
    }

    /// A charge that is made, and who it is.
    pub fn charge(&mut self) -> ChargeRef {
        let new = self.new_charge();
        self.create(&new).unwrap();
        reference(&new)
    }

    pub fn paid(&mut self) -> ChargeRef {
        let charge = self.charge();
        self.pay(&charge, json!({}));
        charge
    }

    pub fn pay(&self, charge: &ChargeRef, how: Value) {
        let mut how = how;
        how["out_trade_no"] = json!(charge.charge);
        let said = self.double.post("/_pay", how);
        assert_eq!(said["result"], "accepted", "{said}");
    }

    pub fn book(&self, charge: &ChargeRef) -> Option<Value> {
        let book = self.double.get("/_book");
        book["charges"].as_array().unwrap().iter().find(|known| known["id"] == json!(charge.charge)).cloned()
    }

    pub fn asked(&self, on: &str) -> u64 {
        self.double.get("/_book")["asked"][on].as_u64().unwrap_or(0)
    }

    /// What sale does about a refund until it knows: asks after it, and again for it where it never arrived.
    pub fn settle(&self, refund: &RefundRequest) -> RefundReport {
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

pub fn rail(double: &Double, directory: &Path, change: impl FnOnce(&Double, &mut WechatConfig)) -> Arc<WechatPay> {
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

pub fn partner(double: &Double, config: &mut WechatConfig) {
    let (sub_mchid, sub_appid) = (double.said("sub_mchid").into(), Some(double.said("sub_appid").into()));
    config.sub = Some(Sub { sub_mchid, sub_appid });
}

pub fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

pub fn reference(new: &NewCharge) -> ChargeRef {
    ChargeRef { charge: new.charge.clone(), order: new.order, amount: new.amount, currency: new.currency }
}

pub fn new_charge(order: OrderId) -> NewCharge {
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

pub fn unknown<T: std::fmt::Debug>(result: Result<T, RailError>, what: &str) {
    assert!(matches!(result, Err(RailError::Unknown(_))), "{what}: {result:?}");
}

pub fn refused<T: std::fmt::Debug>(result: Result<T, RailError>, code_is: &str) {
    assert!(matches!(&result, Err(RailError::Refused { code, .. }) if code == code_is), "{code_is}: {result:?}");
}

pub fn amounts(report: &ChargeReport) -> Vec<i64> {
    report.payments.iter().map(|payment| payment.amount).collect()
}

/// Every call once, as it should go.
pub fn sale(bench: &mut Bench) {
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
