//! Against what Alipay and its SDKs have published, see the sources in `tests/golden/payment/alipay.json`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::offer::subject;
use super::*;
use crate::vocabulary::OrderId;

pub(super) fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/payment/alipay.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A pair of our own.
fn keys() -> (SigningKey, VerifyingKey) {
    let golden = &golden()["ours"];
    (SigningKey::parse(text(&golden["pkcs8"]).as_bytes()).unwrap(), key(&golden["public"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn key(value: &Value) -> VerifyingKey {
    VerifyingKey::parse(text(value).as_bytes()).unwrap()
}

fn pairs(value: &Value) -> Params {
    value.as_object().unwrap().iter().map(|(k, v)| (k.clone(), text(v).to_owned())).collect()
}

fn body(pairs: &Params) -> Vec<u8> {
    let parts: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={}", form::encode(v))).collect();
    parts.join("&").into_bytes()
}

fn charge() -> ChargeId {
    ChargeId::of(OrderId::from_parts(1_700_000_000_000, 7), 1)
}

#[test]
fn a_real_answer_holds_and_no_altered_one_does() {
    let golden = &golden()["response"];
    let (key, answer) = (key(&golden["key"]), text(&golden["body"]));
    let (name, response) = wire::verified(answer.as_bytes(), &key, None).unwrap();
    assert_eq!(name, "alipay_open_file_upload_response");
    assert_eq!(response, text(&golden["response"]));
    // Only in the signed part and the signature does a byte matter.
    let signed = answer.find('{').unwrap() + 1;
    let from = signed + answer[signed..].find('{').unwrap();
    for at in (from..answer.len() - 2).step_by(3) {
        let mut altered = answer.as_bytes().to_vec();
        altered[at] ^= 1;
        assert!(wire::verified(&altered, &key, None).is_err(), "{}", String::from_utf8_lossy(&altered));
    }
}

#[test]
fn the_signed_part_is_found_as_it_came() {
    // Nobody has published the key of these, so the answers are signed anew where the signature stands.
    let pair = keys();
    for case in golden()["extraction"]["cases"].as_array().unwrap() {
        let (old, response) = (text(&case["body"]), text(&case["response"]));
        assert!(response.contains(r"\/"), "an escape that a writer of JSON would lose");
        let sign = old.rsplit('"').nth(1).unwrap();
        let body = old.replace(sign, &pair.0.sign(response.as_bytes()));
        let (name, found) = wire::verified(body.as_bytes(), &pair.1, None).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!((name.as_str(), found), ("alipay_offline_material_image_upload_response", response), "{case}");
        assert!(wire::verified(old.as_bytes(), &pair.1, None).is_err(), "{case}");
    }
}

#[test]
fn real_notifications_hold_and_altered_ones_do_not() {
    let golden = &golden()["notifications"];
    let (trades, market) = (key(&golden["key"]), key(&golden["with_sign_type_key"]));
    for (name, key) in [("paid", &trades), ("with_sign_type", &market)] {
        let real = pairs(&golden[name]);
        let holds = |pairs: &Params| notice::verified(&body(pairs), key, None).is_ok();
        assert!(holds(&real), "{name}");
        for changed in real.keys() {
            let mut altered = real.clone();
            *altered.get_mut(changed).unwrap() += "1";
            assert!(!holds(&altered), "{name} {changed}");
        }
        let mut less = real.clone();
        less.remove("sign");
        assert!(!holds(&less), "{name}");
    }
    let holds = |pairs: &Params| notice::verified(&body(pairs), &trades, None).is_ok();
    assert!(!holds(&pairs(&golden["of_another_key"])));
    // Those about trades may lack it.
    let mut without = pairs(&golden["paid"]);
    without.remove("sign_type");
    assert!(holds(&without));

    let paid = notice::trade(notice::verified(&body(&pairs(&golden["paid"])), &trades, None).unwrap()).unwrap();
    let report = report(&charge(), &paid).unwrap();
    assert_eq!(report.standing, Standing::Closed);
    assert_eq!(report.payments[0].amount, 10);
    assert_eq!(report.payments[0].id.as_str(), "2019081522001468450512505578");
    let market = notice::verified(&body(&pairs(&golden["with_sign_type"])), &market, None).unwrap();
    assert!(notice::trade(market).is_none());
}

#[test]
fn another_applications_or_systems_notification_is_no_charge() {
    let golden = &golden()["notifications"];
    let alipay = |app: &str| {
        Alipay::new(AlipayConfig {
            base_url: "http://127.0.0.1:1/gateway.do".into(),
            ca: None,
            timeout: Duration::from_secs(1),
            app_id: app.into(),
            private_key: keys().0,
            trust: Trust::Key(key(&golden["key"])),
            notify_url: None,
        })
        .unwrap()
    };
    let paid = body(&pairs(&golden["paid"]));
    // Its order number is none of a kiosk's.
    assert_eq!(alipay("2019073166072302").notification(&paid), Ok(Notification::Other));
    assert!(matches!(alipay("2019073166072303").notification(&paid), Err(RailError::Unknown(_))));
}

#[test]
fn what_is_no_answer_is_not_believed() {
    let (private, public) = keys();
    let signed = |response: &str| {
        format!(r#""alipay_trade_query_response":{response},"sign":"{}""#, private.sign(response.as_bytes()))
    };
    let ask = |body: &str, sn: Option<&str>| wire::answer(body.as_bytes(), "alipay.trade.query", &public, sn);
    let good = r#"{"code":"10000","msg":"Success","out_trade_no":"a","trade_status":"WAIT_BUYER_PAY"}"#;
    assert!(ask(&format!("{{{}}}", signed(good)), None).is_ok());
    let forged = r#"{"code":"10000","msg":"Success","out_trade_no":"a","trade_status":"TRADE_SUCCESS"}"#;
    for (what, body) in [
        ("cut short", format!("{{{}", signed(good))),
        ("more behind it", format!("{{{}}}{{}}", signed(good))),
        ("a list", format!("[{{{}}}]", signed(good))),
        ("the response twice", format!(r#"{{"alipay_trade_query_response":{forged},{}}}"#, signed(good))),
        ("another response beside it", format!(r#"{{"error_response":{forged},{}}}"#, signed(good))),
        ("the signature twice", format!(r#"{{"sign":"x",{}}}"#, signed(good))),
        (
            "a field twice",
            format!(
                "{{{}}}",
                signed(r#"{"code":"10000","trade_status":"WAIT_BUYER_PAY","trade_status":"TRADE_SUCCESS"}"#)
            ),
        ),
        ("a blank more", format!("{{{}}}", signed(good).replacen("10000\",", "10000\", ", 1))),
        ("an answer to something else", format!("{{{}}}", signed(good).replace("trade_query", "trade_cancel"))),
        (
            "a success under error_response",
            format!("{{{}}}", signed(good).replace("alipay_trade_query_response", "error_response")),
        ),
        ("no signature", format!(r#"{{"alipay_trade_query_response":{good}}}"#)),
        ("an empty signature", format!(r#"{{"alipay_trade_query_response":{good},"sign":""}}"#)),
        ("a signature of nothing", format!(r#"{{"alipay_trade_query_response":{good},"sign":null}}"#)),
        ("HTML", "<html>".into()),
        ("nothing", String::new()),
    ] {
        assert!(ask(&body, None).is_err(), "{what}: {body}");
    }
    assert!(wire::answer(b"{\"\xff\":1}", "alipay.trade.query", &public, None).is_err());
    // Certificate mode wants to be told which certificate signed.
    assert!(ask(&format!("{{{}}}", signed(good)), Some("ab")).is_err());
    assert!(ask(&format!(r#"{{"alipay_cert_sn":"cd",{}}}"#, signed(good)), Some("ab")).is_err());
    assert!(ask(&format!(r#"{{"alipay_cert_sn":"ab",{}}}"#, signed(good)), Some("ab")).is_ok());
    // The gateway's own errors, signed, are verified like the rest.
    let error = r#"{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-timestamp"}"#;
    let said =
        ask(&format!("{{{}}}", signed(error).replace("alipay_trade_query_response", "error_response")), None).unwrap();
    assert_eq!(said.verdict(), Verdict::Gate);
}

#[test]
fn codes_are_sorted_by_what_is_certain() {
    let verdict = |code: &str, sub: &str| {
        let said: Response = serde_json::from_value(json!({ "code": code, "sub_code": sub })).unwrap();
        format!("{:?}", said.verdict())
    };
    for (code, sub, expected) in [
        ("10000", "", "Done"),
        ("20000", "isp.unknow-error", "Unsure"),
        ("20000", "aop.ACQ.SYSTEM_ERROR", "Unsure"),
        ("40004", "ACQ.SYSTEM_ERROR", "Unsure"),
        ("40004", "AQC.SYSTEM_ERROR", "Unsure"),
        ("40004", "", "Unsure"),
        ("10003", "", "Unsure"),
        ("", "", "Unsure"),
        ("99999", "ACQ.TRADE_NOT_EXIST", "Unsure"),
        ("40004", "ACQ.TRADE_NOT_EXIST", "No(\"TRADE_NOT_EXIST\")"),
        ("40004", "TRADE_NOT_EXIST", "No(\"TRADE_NOT_EXIST\")"),
        ("40002", "isv.invalid-signature", "Gate"),
        ("40006", "isv.insufficient-isv-permissions", "Gate"),
    ] {
        assert_eq!(verdict(code, sub), expected, "{code} {sub}");
    }
    for exists in ["CONTEXT_INCONSISTENT", "TRADE_HAS_SUCCESS", "TRADE_HAS_CLOSE", "APPLY_PC_MERCHANT_CODE_ERROR"] {
        assert!(!never_created(exists), "{exists}");
    }
    assert!(never_created("BEYOND_PER_RECEIPT_SINGLE_RESTRICTION"));
    assert!(!never_refunded("SELLER_BALANCE_NOT_ENOUGH") && !never_refunded("SOMETHING_NEW"));
}

#[test]
fn only_a_paid_trade_is_a_payment() {
    let said = |status: &str, amount: &str| -> Response {
        let trade = json!({ "trade_status": status, "total_amount": amount, "trade_no": "2024", "terminal_id": "f/k" });
        serde_json::from_value(trade).unwrap()
    };
    for (status, paid, standing) in [
        ("TRADE_SUCCESS", true, Standing::Closed),
        ("TRADE_FINISHED", true, Standing::Closed),
        ("WAIT_BUYER_PAY", false, Standing::Open),
        ("TRADE_CLOSED", false, Standing::Closed),
    ] {
        let report = report(&charge(), &said(status, "3.00")).unwrap();
        assert_eq!((report.payments.len() == 1, report.standing, report.returned), (paid, standing, 0), "{status}");
        assert_eq!(report.attach.as_deref(), Some("f/k"));
    }
    for bad in [said("PAID", "3.00"), said("", "3.00"), said("TRADE_SUCCESS", "0.00"), said("TRADE_SUCCESS", "3.001")] {
        assert!(report(&charge(), &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn lives_are_whole_minutes_and_bounded_once_the_time_is_known() {
    let new = |life| NewCharge {
        charge: charge(),
        order: charge().order().unwrap(),
        amount: 1,
        currency: Currency::from_code("CNY").unwrap(),
        life: Duration::from_millis(life),
        description: "x".into(),
        attach: "fleet/kiosk".into(),
    };
    for (life, minutes) in
        [(1, "1m"), (60_000, "1m"), (60_001, "2m"), (90_000, "2m"), (120_000, "2m"), (600_000, "10m")]
    {
        let content = precreate(&new(life), None);
        assert_eq!((text(&content["timeout_express"]), text(&content["qr_code_timeout_express"])), (minutes, minutes));
        assert!(content.get("time_expire").is_none());
    }
    let now = "2024-12-31T15:59:00Z".parse().ok();
    assert_eq!(text(&precreate(&new(90_000), now)["time_expire"]), "2025-01-01 00:00:30");
    assert_eq!(text(&precreate(&new(1), now)["time_expire"]), "2025-01-01 00:00:00");
    let content = precreate(&new(90_000), None);
    assert_eq!((text(&content["passback_params"]), text(&content["terminal_id"])), ("fleet%2Fkiosk", "fleet/kiosk"));
    assert_eq!(text(&content["total_amount"]), "0.01");
}

#[test]
fn the_gateways_address_is_split_at_its_path() {
    assert_eq!(split("https://openapi.alipay.com/gateway.do"), ("https://openapi.alipay.com", "/gateway.do"));
    assert_eq!(split("http://127.0.0.1:81/a/b"), ("http://127.0.0.1:81", "/a/b"));
    assert_eq!(split("https://h"), ("https://h", ""));
}

proptest! {
    #[test]
    fn subjects_have_nothing_forbidden(description in "\\PC{0,300}") {
        let subject = subject(&description, &charge());
        prop_assert!((1..=256).contains(&subject.chars().count()));
        prop_assert!(!subject.contains(['/', '=', '&', '<', '>', '"', '%', '\\']), "{}", subject);
        // The payer compares the short code.
        if let Some(digits) = description.chars().take(200).find(char::is_ascii_digit) {
            prop_assert!(subject.contains(digits));
        }
    }

    #[test]
    fn nothing_unsigned_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\",:a-z_]{0,80}") {
        let (_, public) = keys();
        for body in [&bytes[..], json.as_bytes()] {
            prop_assert!(wire::answer(body, "alipay.trade.query", &public, None).is_err());
            prop_assert!(notice::verified(body, &public, None).is_err());
        }
    }

    #[test]
    fn a_request_signs_what_it_sends(values in proptest::collection::btree_map("[a-z_]{1,8}", "\\PC{0,20}", 0..8)) {
        let params: Params = values.into_iter().filter(|(key, _)| key != "sign").collect();
        let (private, public) = keys();
        let mut sent = form::parse(wire::request(&params, &private).as_bytes()).unwrap();
        let sign = sent.remove("sign").unwrap();
        let full: BTreeMap<_, _> = params.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        prop_assert_eq!(&sent, &full);
        prop_assert!(public.verifies(wire::signed_text(&sent).as_bytes(), &sign));
    }
}
