//! Sales through the gateway over mosquitto: two gateways, one killed in mid-sale; forged, replayed, foreign and wrong
//! messages rejected and alarmed; the kiosk holds no key of the merchant's.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use kioskd::signed::jws::{Purpose, Signer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use kioskd_tests::machine::wait_at_most;
use kioskd_tests::site::{Site, alipay_notification, last_charge};

const REPLY: &str = "kiosk/v1/demo/K0001/pay/reply";
const NOTICE: &str = "kiosk/v1/demo/K0001/pay/notice";

/// What a signed message says.
fn opened(envelope: &str) -> Value {
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// A message that the gateway's own key signs.
fn signed(site: &Site, purpose: Purpose, content: &Value) -> Vec<u8> {
    Signer::from_pem(&site.gateway_key(), "gateway-1").unwrap().sign(purpose, content).unwrap()
}

fn count(alarm: &Value) -> u64 {
    alarm["count"].as_u64().unwrap_or(0)
}

#[test]
fn sales_over_two_gateways_one_killed_in_mid_sale_and_nothing_false_believed() {
    let mut site = Site::open(None, 1);
    let (replies, alarms) = (site.listen(REPLY), site.listen("kiosk/v1/demo/K0001/alarm/pay-rejected"));

    // A sale on each rail, told by polling alone.
    let code = site.machine.offer(&["cola"]);
    assert!(code.starts_with("weixin://"), "{code}");
    assert_eq!(site.wechat.post("/_pay", json!({ "payload": code }))["result"], "accepted");
    site.machine.until_state("delivered");
    let book = site.wechat.get("/_book");
    assert_eq!(book["charges"][0]["attach"], "demo/K0001", "whose it is stands on the charge: {book}");

    // The other one, with a gateway killed between the code and the payment, told by a notification.
    site.machine.offer(&["water"]);
    site.machine.tap("rail:alipay");
    let code = site.machine.wait("Alipay's code", || Some(site.machine.scan()).filter(|code| code.contains("alipay")));
    site.kill_gateway(0);
    assert_eq!(site.alipay.post("/_pay", json!({ "payload": code }))["result"], "accepted");
    let body = alipay_notification(&site.alipay, &last_charge(&site.alipay));
    let webhook = format!("{}/alipay", site.gateways[1].1);
    let answer = ureq::post(&webhook).send(body.as_str()).unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(answer, "success", "only when the kiosk has it on disk");
    site.machine.until_state("delivered");
    site.replace_gateway(0);

    // A jam: the refund goes the same way.
    site.machine.world(json!({ "slot": { "name": "B1", "motor": "jam" } }));
    let code = site.machine.offer(&["tea"]);
    assert_eq!(site.wechat.post("/_pay", json!({ "payload": code }))["result"], "accepted");
    site.machine.until_state("refunded");

    // What is false is rejected, counted and alarmed, each time.
    let genuine = site.machine.wait("an answer", || replies.all().last().cloned());
    let charge = json!({ "charge": "01K0000000000000000000000A_1", "order": "01K0000000000000000000000A", "amount": 300, "currency": "CNY" });
    let now = jiff::Timestamp::now().as_millisecond();
    let reply = |kiosk: &str, nonce: &str| json!({ "kiosk": kiosk, "rail": "wechat", "nonce": nonce, "sent": now, "expires": now + 60_000, "says": "here" });
    let mut forged: Value = serde_json::from_str(&genuine).unwrap();
    forged["payload"] = json!(forged["payload"].as_str().unwrap().replacen('e', "f", 1));
    let false_ones: [(&str, &str, Vec<u8>); 5] = [
        ("forged", REPLY, forged.to_string().into_bytes()),
        ("replayed", REPLY, genuine.clone().into_bytes()),
        ("for another kiosk", REPLY, signed(&site, Purpose::PayReply, &reply("demo/K0002", "00"))),
        ("never asked", REPLY, signed(&site, Purpose::PayReply, &reply("demo/K0001", "00"))),
        ("garbage", NOTICE, b"\xff{".to_vec()),
    ];
    for (what, topic, message) in false_ones {
        let before = alarms.last().as_ref().map_or(0, count);
        // The alarm follows within a second or with the kiosk's next event; the count holds every one.
        site.publish(topic, &message);
        site.machine.wait(what, || alarms.last().filter(|alarm| count(alarm) > before));
    }

    // A notice that the gateway's own key has signed, of a wrong amount and of a charge that is not ours.
    let code = site.machine.offer(&["cola"]);
    let real = last_charge(&site.wechat);
    let order = real.rsplit_once('_').unwrap().0;

    // An answer to the very question that is open, signed by the gateway's key, of a wrong amount. The gateways are
    // held meanwhile, or theirs would come first.
    let hold = |signal| site.gateways.iter().for_each(|(g, _)| kill_process(Pid::from_child(g), signal).unwrap());
    hold(Signal::STOP);
    let requests = site.listen("kiosk/v1/demo/K0001/pay/request");
    let (asked, nonce) = site.machine.wait("a question that nobody answers", || {
        // Former charges are asked about too, until they are settled.
        let about_it = |request: &Value| request["ask"]["query"]["charge"] == real;
        let request = requests.all().iter().rev().map(|text| opened(text)).find(about_it)?;
        Some((request["ask"]["query"].as_object()?.clone(), request["nonce"].clone()))
    });
    let mut asked = Value::from(asked);
    assert_eq!((&asked["charge"], &asked["amount"]), (&json!(real), &json!(300)));
    asked["amount"] = json!(1);
    let payment = json!({ "id": "P1", "amount": 1, "currency": "CNY", "order": order });
    let report = json!({ "standing": "closed", "payments": [payment], "returned": 0, "attach": "demo/K0001" });
    let answer = json!({ "kiosk": "demo/K0001", "rail": "wechat", "nonce": nonce, "sent": now, "expires": now + 600_000,
        "says": { "charge": { "charge": asked, "report": report } } });
    let before = alarms.last().as_ref().map_or(0, count);
    site.publish(REPLY, &signed(&site, Purpose::PayReply, &answer));
    let alarm = site.machine.wait("a wrong amount", || alarms.last().filter(|alarm| count(alarm) > before));
    assert_eq!(alarm["reason"], "about another amount");
    hold(Signal::CONT);

    for (charge, why) in [
        (json!({ "charge": real, "order": order, "amount": 1, "currency": "CNY" }), "about another amount"),
        (charge, "about another charge"),
    ] {
        let payment = json!({ "id": "P1", "amount": charge["amount"], "currency": "CNY", "order": charge["order"] });
        let report = json!({ "standing": "closed", "payments": [payment], "returned": 0, "attach": "demo/K0001" });
        let notice = json!({ "kiosk": "demo/K0001", "rail": "wechat", "id": why.replace(' ', "-"), "sent": now,
            "expires": now + 600_000, "charge": charge, "report": report });
        site.publish(NOTICE, &signed(&site, Purpose::PayNotice, &notice));
        site.machine.wait(why, || alarms.last().filter(|alarm| alarm["reason"] == why));
        assert_eq!(site.machine.get("/api/state")["page"], "pay", "nothing false buys anything");
    }
    assert_eq!(site.wechat.post("/_pay", json!({ "payload": code }))["result"], "accepted");
    site.machine.until_state("delivered");

    let settled =
        wait_at_most(Duration::from_secs(180), || (site.machine.get("/api/state")["settling"] == 0).then_some(()));
    settled.unwrap_or_else(|| panic!("never settled: {:#}", site.machine.get("/api/orders")));
    site.machine.books_agree_with(&[site.wechat.get("/_book"), site.alipay.get("/_book")]);
    site.machine.verify();
}
