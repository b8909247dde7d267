//! The whole machine with WeChat Pay and Alipay on its glass, against doubles whose cryptography is not ours: sales,
//! switches, late payments, unknown results, refunds and kills; at the end every book agrees to the cent.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use kioskd_tests::double::Double;
use kioskd_tests::machine::{Machine, Setup, wait_at_most};

/// A charge lives a minute at least, and is watched a while after that.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// How the doubles misbehave in this test: WeChat Pay's word and Alipay's for about the same. Each was carried out, or not,
/// and nobody is told.
const TROUBLE: [(&str, &str); 10] = [
    ("drop-after", "drop"),
    ("drop-before", "drop-before"),
    ("truncated", "truncated"),
    ("oversized", "oversized"),
    ("non-json", "not-json"),
    ("forged", "wrong-key"),
    ("unsigned", "unsigned"),
    ("redirect", "redirect"),
    ("error-after", "unknown"),
    ("stale", "empty-sign"),
];

struct Street {
    machine: Machine,
    wechat: Double,
    alipay: Double,
    _keys: TempDir,
}

impl Street {
    fn open() -> Self {
        let keys = tempfile::tempdir().unwrap();
        let (wechat_state, alipay_state) = (keys.path().join("wechat"), keys.path().join("alipay"));
        let wechat = Double::start("wechat/double.py", &wechat_state);
        let alipay = Double::start("alipay/double.py", &alipay_state);
        let rails = rails(&wechat, &wechat_state, &alipay, &alipay_state);
        let mut setup = Setup { rails: Some(rails), ..Setup::fast() };
        setup.config.retain(|(key, _)| {
            !["qr_life", "more_time", "grace", "poll", "timeout"].iter().any(|first| key.starts_with(first))
        });
        setup.config.extend([
            ("qr_life = \"90s\"", "qr_life = \"6s\""),
            ("more_time = \"60s\"", "more_time = \"54s\""),
            ("grace = \"30s\"", "grace = \"12s\""),
            ("# confirm_above", "# nothing above"),
        ]);
        Self { machine: Machine::start(&setup), wechat, alipay, _keys: keys }
    }

    /// The first book with this order's charge, and the charge.
    fn payer(&self, code: &str, late: bool) -> Value {
        if code.starts_with("weixin://") {
            self.wechat.post("/_pay", json!({ "payload": code, "late": late }))
        } else {
            let action = if late { "pay-late" } else { "pay" };
            self.alipay.post("/_pay", json!({ "payload": code, "action": action }))
        }
    }

    fn pay(&self, code: &str) {
        let answer = self.payer(code, false);
        assert_eq!(answer["result"], "accepted", "{code}: {answer}");
    }

    fn trouble(&self, what: usize, ask: usize) {
        let (wechat, alipay) = TROUBLE[what % TROUBLE.len()];
        let on = ["create", "query", "close", "refund", "query_refund"];
        let methods = ["precreate", "query", "cancel", "refund", "fastpay.refund.query"];
        let index = ask % on.len();
        self.wechat.post("/_control", json!({ "next": [{ "on": on[index], "fault": wechat }] }));
        let method = format!("alipay.trade.{}", methods[index]);
        self.alipay.post("/_control", json!({ "method": method, "how": alipay, "times": 1 }));
    }

    fn calm(&self) {
        self.wechat.post("/_control", json!({ "clear": true }));
        self.alipay.post("/_control", json!({ "clear": true }));
    }

    /// Nothing open any more; then every book agrees, and no request was ever wrongly signed.
    fn settle(&self) {
        self.calm();
        let settled = wait_at_most(SETTLED_WITHIN, || (self.machine.get("/api/state")["settling"] == 0).then_some(()));
        settled.unwrap_or_else(|| panic!("never settled: {:#}", self.machine.get("/api/orders")));
        let books = [self.wechat.get("/_book"), self.alipay.get("/_book")];
        self.machine.books_agree_with(&books);
        assert_eq!(books[1]["wrong"], json!([]), "Alipay's double refused a request");
        assert_eq!(self.wechat.post("/_control", json!({}))["bad_requests"], 0, "so did WeChat Pay's");
        self.machine.verify();
    }
}

fn rails(wechat: &Double, wechat_state: &Path, alipay: &Double, alipay_state: &Path) -> String {
    format!(
        r#"[[rail]]
kind = "wechat"
label = {{ "zh-Hant" = "微信支付", "zh-Hans" = "微信支付", en = "WeChat Pay" }}
base_url = "{wechat_url}"
appid = "{appid}"
mchid = "{mchid}"
serial_no = "{serial_no}"
private_key = "file:{wechat_state}/merchant.key"
api_v3_key = "file:{wechat_state}/api_v3.key"
notify_url = "https://pay.example.com/wechat"
poll_seconds = 1
timeout = "2s"
[[rail.fee]]
from = 2026-01-01
rate = "0.60%"

[[rail]]
kind = "alipay"
label = {{ "zh-Hant" = "支付寶", "zh-Hans" = "支付宝", en = "Alipay" }}
base_url = "{alipay_url}/gateway.do"
app_id = "{app_id}"
private_key = "file:{alipay_state}/app_private.pem"
alipay_public_key = "file:{alipay_state}/alipay_public.pem"
poll_seconds = 1
timeout = "2s"

"#,
        wechat_url = wechat.url(),
        appid = wechat.said("appid"),
        mchid = wechat.said("mchid"),
        serial_no = wechat.said("serial_no"),
        wechat_state = wechat_state.display(),
        alipay_url = alipay.url(),
        app_id = alipay.said("app_id"),
        alipay_state = alipay_state.display(),
    )
}

/// The code on the glass once it is of that provider.
fn code_of(machine: &Machine, begins: &str) -> String {
    machine.wait(&format!("a code {begins}"), || Some(machine.scan()).filter(|code| code.starts_with(begins)))
}

/// A customer who touches again what did not react: providers that come and go take the page away under the finger.
fn order_tea(machine: &Machine) {
    machine.wait("an order", || {
        let page = machine.get("/api/state")["page"].clone();
        let target = match page.as_str() {
            Some("attract") => "start",
            Some("choose") => "product:tea",
            Some("basket") => "pay",
            Some("out-of-service") => return None,
            _ => return Some(()),
        };
        let (x, y) = machine.place(target)?;
        machine.post("/api/touch", &json!({ "x": x, "y": y }));
        // No second touch before the first had its second: it would fall on the next page.
        wait_at_most(Duration::from_secs(1), || (machine.get("/api/state")["page"] != page).then_some(()));
        None
    });
}

const WECHAT: &str = "weixin://";
const ALIPAY: &str = "https://qr.alipay";

#[test]
fn sales_switches_late_payments_and_refunds_on_both_rails() {
    let street = Street::open();
    let machine = &street.machine;

    let code = machine.offer(&["cola"]);
    assert!(code.starts_with(WECHAT), "the first rail of the configuration: {code}");
    street.pay(&code);
    machine.until_state("delivered");

    // A customer who would rather pay the other way; the first code is dead then.
    let first = machine.offer(&["water"]);
    machine.tap("rail:alipay");
    let second = code_of(machine, ALIPAY);
    machine.wait("the first code dead", || (street.payer(&first, false)["result"] == "refused").then_some(()));
    street.pay(&second);
    let order = machine.until_state("delivered");
    assert_eq!((order["paid"].as_i64(), order["refunded"].as_i64()), (Some(200), Some(0)));

    // Both are paid: the close of the first was answered and did not hold.
    street.wechat.post("/_control", json!({ "set": { "closes_hold": false } }));
    let first = machine.offer(&["tea"]);
    machine.tap("rail:alipay");
    let second = code_of(machine, ALIPAY);
    street.pay(&second);
    street.pay(&first);
    machine.wait("one goes back", || {
        let order = machine.newest();
        (order["paid"] == 900 && order["refunded"] == 450).then_some(())
    });
    street.wechat.post("/_control", json!({ "set": { "closes_hold": true } }));

    // Paid after the end, on each rail.
    for (rail, begins) in [("wechat", WECHAT), ("alipay", ALIPAY)] {
        machine.offer(&["cola"]);
        if rail == "alipay" {
            machine.tap("rail:alipay");
        }
        let code = code_of(machine, begins);
        machine.tap("cancel");
        machine.until_any(&["cancelled", "attract"]);
        let answer = street.payer(&code, true);
        assert_eq!(answer["result"], "accepted", "{answer}");
        let order = machine.until_state("refunded");
        assert_eq!(order["items"][0]["outcome"], "pending", "late money buys nothing: {order}");
    }

    // Jammed: what does not fall goes back by the rail that took it.
    machine.world(json!({ "slot": { "name": "B1", "motor": "jam" } }));
    let code = machine.offer(&["tea"]);
    street.pay(&code);
    machine.until_state("refunded");
    street.settle();
}

#[test]
fn whatever_the_providers_answer_nothing_is_lost() {
    let street = Street::open();
    let machine = &street.machine;
    let share = if std::env::var_os("KIOSKD_LONG").is_some() { 10 } else { 1 };
    for sale in 0..share * TROUBLE.len() {
        machine.wait("a free machine", || {
            let state = machine.get("/api/state");
            (state["page"] == "attract" && state["selling"] == true).then_some(())
        });
        // Half of the machine's goods jam, so that there are refunds to go wrong.
        let motor = if sale % 2 == 0 { "jam" } else { "ok" };
        machine.world(json!({ "stock": "full", "slot": { "name": "B1", "motor": motor } }));
        // Without a charge there is nothing to go wrong later, so most are made.
        for ask in if sale % 5 == 0 { 0..5 } else { 1..5 } {
            street.trouble(sale + ask, ask);
        }
        order_tea(machine);
        let scanned = wait_at_most(Duration::from_secs(8), || {
            let (status, body) = machine.post("/api/scan", &json!({}));
            (status == 200).then(|| body["payload"].as_str().map(str::to_owned)).flatten()
        });
        // No charge could be made, and the customer was told so.
        let Some(code) = scanned else { continue };
        match sale % 4 {
            3 => {
                // Kills: the machine when it has just been paid, and each provider.
                street.payer(&code, false);
                machine.world(json!({ "power": "cut" }));
            }
            _ => drop(street.payer(&code, false)),
        }
    }
    street.settle();
    let kept: i64 = machine.get("/api/orders")["orders"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|order| order["state"] == "delivered")
        .count() as i64;
    assert!(kept > 0, "some sales must have come to an end: {:#}", machine.get("/api/orders"));
}

#[test]
fn a_provider_killed_in_mid_sale_costs_nobody_anything() {
    let mut street = Street::open();
    for rail in ["wechat", "alipay"] {
        let code = {
            let machine = &street.machine;
            machine.offer(&["water"]);
            if rail == "alipay" {
                machine.tap("rail:alipay");
            }
            code_of(machine, if rail == "wechat" { WECHAT } else { ALIPAY })
        };
        street.pay(&code);
        let double = if rail == "wechat" { &mut street.wechat } else { &mut street.alipay };
        double.kill();
        double.start_again();
        street.machine.until_any(&["thanks", "refunded", "cancelled", "expired", "attract"]);
    }
    street.settle();
}
