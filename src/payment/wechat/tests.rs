//! The provider's own published vectors, and what the double can't show.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::seal::{ApiV3Key, Seal, Signer, Unverified, request_message};
use super::trust::{BadCertificates, Trust};
use super::wire::{self, ErrorBody, Merchant};
use super::{Sub, beijing};
use crate::payment::http::Method;
use crate::signed::keys::{SigningKey, VerifyingKey};
use crate::vocabulary::{ChargeId, Currency, NewCharge, OrderId, RefundReport, Standing};

fn golden() -> Value {
    let text = include_str!("../../../tests/golden/payment/wechat.json");
    serde_json::from_str(&text.replace("TESTING KEY", "PRIVATE KEY")).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}

fn key(pem: &str) -> SigningKey {
    SigningKey::parse(pem.as_bytes()).unwrap()
}

fn at(seconds: &str) -> Timestamp {
    Timestamp::from_second(seconds.parse().unwrap()).unwrap()
}

#[test]
fn signs_a_request_as_the_documentation_does() {
    let golden = golden();
    let official = &golden["request_signature"];
    let key = key(text(official, "private_key_pem"));
    let signer = Signer { mchid: text(official, "mchid"), serial_no: text(official, "serial_no"), key: &key };
    let header = signer.authorization(
        Method::Post,
        text(official, "path"),
        text(official, "body").as_bytes(),
        at(text(official, "timestamp")),
        text(official, "nonce"),
    );
    assert!(header.starts_with("WECHATPAY2-SHA256-RSA2048 mchid=\"1900007291\","), "{header}");
    assert!(header.ends_with(&format!(",signature=\"{}\"", text(official, "signature"))), "{header}");
    let sample = &golden["authorization"];
    let signer = Signer { mchid: text(sample, "mchid"), serial_no: text(sample, "serial_no"), key: &key };
    let (time, nonce) = (at(text(sample, "timestamp")), text(sample, "nonce"));
    let header = signer.authorization(Method::Get, "/v3/certificates", b"", time, nonce);
    assert!(header.contains(&format!(" {}", text(sample, "until_signature"))), "{header}");
}

#[test]
fn the_signed_message_has_five_lines_and_the_bodys_own() {
    for case in golden()["request_message"].as_array().unwrap() {
        let method = if text(case, "method") == "GET" { Method::Get } else { Method::Post };
        let body = text(case, "body").as_bytes();
        let message = request_message(method, text(case, "target"), text(case, "timestamp"), text(case, "nonce"), body);
        assert_eq!(String::from_utf8(message).unwrap(), text(case, "message"));
    }
}

#[test]
fn signs_and_verifies_as_the_providers_libraries_do() {
    let golden = golden();
    let sign = &golden["sign"];
    assert_eq!(key(text(sign, "private_key_pem")).sign(b"source"), text(sign, "signature"));
    let certificate = VerifyingKey::parse(text(sign, "certificate_pem").as_bytes()).unwrap();
    assert!(certificate.verifies(b"source", text(sign, "signature")));
    assert!(!certificate.verifies(b"wrong source", text(sign, "signature")));
    assert!(!certificate.verifies(b"source", ""));
    let verify = &golden["verify"];
    let certificate = VerifyingKey::parse(text(verify, "certificate_pem").as_bytes()).unwrap();
    assert!(certificate.verifies(b"message", text(verify, "signature")));
    let other = VerifyingKey::parse(text(verify, "other_public_key_pem").as_bytes()).unwrap();
    assert!(!other.verifies(b"message", text(verify, "signature")));
}

#[test]
fn the_api_key_has_32_bytes_and_shows_itself_to_nobody() {
    let golden = golden();
    assert!(ApiV3Key::parse(text(&golden["aes128"], "key").as_bytes()).is_none(), "16 bytes are another cipher");
    assert!(ApiV3Key::parse(b"").is_none());
    let vector = &golden["aes256"];
    let secret = text(vector, "key");
    let key = ApiV3Key::parse(format!("{secret}\n").as_bytes()).unwrap();
    assert!(!format!("{key:?}").contains(&secret[..4]));
    let (nonce, aad, sealed) = (text(vector, "nonce"), text(vector, "aad"), text(vector, "ciphertext"));
    assert_eq!(key.open(nonce, aad, sealed).unwrap(), text(vector, "plaintext").as_bytes());
    for (nonce, aad, sealed) in [
        ("bad-4a9R25RW", aad, sealed),
        ("short", aad, sealed),
        (nonce, "bad-associatedData", sealed),
        (nonce, aad, "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwM="),
        (nonce, aad, "AAAA"),
        (nonce, aad, "not base64"),
        (nonce, aad, ""),
    ] {
        assert_eq!(key.open(nonce, aad, sealed), None, "{nonce} {aad} {sealed}");
    }
}

/// The headers of an answer that `key` signed.
fn seal(key: &SigningKey, serial: &str, time: &str, nonce: &str, body: &str) -> Vec<(&'static str, String)> {
    vec![
        ("Wechatpay-Signature", key.sign(format!("{time}\n{nonce}\n{body}\n").as_bytes())),
        ("Wechatpay-Serial", serial.into()),
        ("Wechatpay-Timestamp", time.into()),
        ("Wechatpay-Nonce", nonce.into()),
    ]
}

fn read(headers: &[(&'static str, String)]) -> Result<Seal, Unverified> {
    Seal::of(&|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
}

#[test]
fn an_answer_is_believed_only_whole_fresh_and_signed() {
    let golden = golden();
    let sign = &golden["sign"];
    let (signer, serial) = (key(text(sign, "private_key_pem")), text(sign, "serial"));
    let certificate = VerifyingKey::parse(text(sign, "certificate_pem").as_bytes()).unwrap();
    let trust = Trust::new(vec![(serial.to_owned(), certificate)]);
    let now = at("1624523846");
    let check = |headers: &[(&'static str, String)], body: &str| trust.check(&read(headers)?, body.as_bytes(), now);
    let made = |off: i64, body: &str| {
        let time = (now.as_second() + off).to_string();
        seal(&signer, serial, &time, "NONCE1234567890", body)
    };

    for off in [0, 299, -299] {
        assert_eq!(check(&made(off, "BODY"), "BODY"), Ok(()), "{off}");
    }
    assert_eq!(check(&made(0, ""), ""), Ok(()), "204 has no body");
    for off in [300, -300, 86_400, -86_400, i64::MAX - now.as_second(), -now.as_second()] {
        assert!(matches!(check(&made(off, "BODY"), "BODY"), Err(Unverified::Stale(_))), "{off}");
    }
    assert_eq!(check(&made(0, "BODY"), "BODY "), Err(Unverified::Forged));
    for missing in 0..4 {
        let mut headers = made(0, "BODY");
        let name = headers.remove(missing).0;
        assert_eq!(check(&headers, "BODY"), Err(Unverified::Missing(name)));
    }
    let changed = |index: usize, value: &str| {
        let mut headers = made(0, "BODY");
        headers[index].1 = value.into();
        check(&headers, "BODY")
    };
    assert_eq!(changed(0, "not base64!"), Err(Unverified::Forged));
    assert_eq!(changed(0, "AAAA"), Err(Unverified::Forged));
    assert_eq!(changed(1, "OTHER"), Err(Unverified::UnknownKey("OTHER".into())));
    assert!(matches!(changed(2, "invalid timestamp"), Err(Unverified::Missing(_))));
    assert_eq!(changed(2, "1624523847"), Err(Unverified::Forged));
    assert_eq!(changed(3, "NONCE"), Err(Unverified::Forged));
}

#[test]
fn certificates_are_taken_only_from_an_answer_that_one_of_them_or_a_known_key_signed() {
    let golden = golden();
    let published = &golden["certificates"];
    let secret = ApiV3Key::parse(text(published, "key").as_bytes()).unwrap();
    let body = text(published, "body");
    let sign = &golden["sign"];
    let (signer, serial) = (key(text(sign, "private_key_pem")), text(sign, "serial"));
    let now = at("1724523846");
    let known = VerifyingKey::parse(text(sign, "certificate_pem").as_bytes()).unwrap();
    let take = |trust: &Trust, serial: &str, body: &str, secret: &ApiV3Key| {
        let headers = seal(&signer, serial, "1724523846", "NONCE1234567890", body);
        trust.take(&read(&headers).unwrap(), body.as_bytes(), secret, now)
    };

    let trust = Trust::new(vec![(serial.to_owned(), known)]);
    assert_eq!(take(&trust, serial, body, &secret), Ok(1));
    // Its private key is not published: that it is known now shows in what is wrong with a signature of somebody else.
    let taken = seal(&signer, text(published, "serial"), "1724523846", "NONCE1234567890", "BODY");
    assert_eq!(trust.check(&read(&taken).unwrap(), b"BODY", now), Err(Unverified::Forged));

    let stranger = Trust::new(Vec::new());
    let nobody = Err(BadCertificates::Unverified(Unverified::UnknownKey(serial.to_owned())));
    assert_eq!(take(&stranger, serial, body, &secret), nobody);
    let forged = Err(BadCertificates::Unverified(Unverified::Forged));
    assert_eq!(take(&stranger, text(published, "serial"), body, &secret), forged);
    let other = ApiV3Key::parse(b"0123456789abcdef0123456789abcdef").unwrap();
    let serial_there = text(published, "serial");
    assert_eq!(take(&trust, serial, body, &other), Err(BadCertificates::Undecryptable(serial_there.into())));
    let padded = body.replace(serial_there, &format!("0{serial_there}"));
    assert_eq!(take(&trust, serial, &padded, &secret), Ok(1), "the same number");
    let renamed = body.replace(serial_there, "5DEA10EF55877E3CF6C33255C2E7DEFFF7E427ED");
    assert!(matches!(take(&trust, serial, &renamed, &secret), Err(BadCertificates::Malformed(_))));
    for bad in ["", "{}", r#"{"data":[]}"#, r#"{"data":null}"#] {
        assert_eq!(take(&trust, serial, bad, &secret), Err(BadCertificates::NotAList), "{bad}");
    }
}

fn merchant(sub: Option<Sub>) -> Merchant {
    Merchant { appid: "wxd678efh567hg6787".into(), mchid: "1900007291".into(), sub }
}

fn charge() -> (OrderId, ChargeId) {
    let order = OrderId::from_parts(1_700_000_000_000, 7);
    (order, ChargeId::of(order, 1))
}

fn transaction() -> Value {
    json!({ "appid": "wxd678efh567hg6787", "mchid": "1900007291", "out_trade_no": charge().1.as_str(),
        "transaction_id": "4200001234202311230123456789", "trade_state": "SUCCESS", "attach": "main/K1",
        "amount": { "total": 300, "payer_total": 300, "currency": "CNY", "payer_currency": "CNY" } })
}

fn report(change: Value) -> Result<Option<(ChargeId, crate::vocabulary::ChargeReport)>, String> {
    let mut said = transaction();
    for (name, value) in change.as_object().unwrap() {
        if value == "absent" {
            said.as_object_mut().unwrap().remove(name);
        } else {
            said[name] = value.clone();
        }
    }
    wire::report(&merchant(None), said.to_string().as_bytes())
}

#[test]
fn every_state_of_an_order_is_one_standing() {
    for (state, standing, paid) in [
        ("SUCCESS", Standing::Closed, true),
        ("REFUND", Standing::Returning, true),
        ("NOTPAY", Standing::Open, false),
        ("USERPAYING", Standing::Open, false),
        ("ACCEPT", Standing::Open, false),
        ("INVENTED_LATER", Standing::Open, false),
        ("CLOSED", Standing::Closed, false),
        ("REVOKED", Standing::Closed, false),
        ("PAYERROR", Standing::Closed, false),
    ] {
        let (of, report) = report(json!({ "trade_state": state })).unwrap().unwrap();
        assert_eq!((of, report.standing, report.returned), (charge().1, standing, 0), "{state}");
        assert_eq!(!report.payments.is_empty(), paid, "{state}");
        assert_eq!(report.attach.as_deref(), Some("main/K1"));
    }
}

#[test]
fn a_payment_counts_only_with_everything_that_makes_it_one() {
    let (_, good) = report(json!({})).unwrap().unwrap();
    let payment = &good.payments[0];
    assert_eq!((payment.amount, payment.currency.code(), payment.order), (300, "CNY", charge().0));
    let amount = |total: i64, payer: Option<i64>, currency: &str| json!({ "amount": { "total": total, "payer_total": payer, "currency": currency } });
    let coupon = report(amount(300, Some(250), "CNY")).unwrap().unwrap().1;
    assert_eq!(coupon.payments[0].amount, 300, "a coupon is the provider's money and ours all the same");
    assert_eq!(report(amount(299, None, "CNY")).unwrap().unwrap().1.payments[0].amount, 299);
    assert_eq!(report(amount(300, None, "USD")).unwrap().unwrap().1.payments[0].currency.code(), "USD");
    for bad in [
        amount(0, None, "CNY"),
        amount(-300, None, "CNY"),
        amount(300, Some(301), "CNY"),
        amount(300, Some(-1), "CNY"),
        amount(300, None, "???"),
        json!({ "amount": "absent" }),
        json!({ "amount": { "total": 300.5, "currency": "CNY" } }),
        json!({ "transaction_id": "absent" }),
        json!({ "transaction_id": "" }),
        json!({ "mchid": "1900007292" }),
        json!({ "mchid": "absent" }),
        json!({ "appid": "wx0000000000000000" }),
        json!({ "appid": "absent" }),
        json!({ "trade_state": "absent" }),
        json!({ "out_trade_no": "absent" }),
    ] {
        assert!(report(bad.clone()).is_err(), "{bad}");
    }
    assert_eq!(report(json!({ "out_trade_no": "somebody-elses" })), Ok(None));
    assert!(report(json!({ "trade_state": "NOTPAY", "appid": "absent" })).is_ok());
}

#[test]
fn a_service_provider_checks_both_merchants() {
    let sub = Sub { sub_mchid: "1900009999".into(), sub_appid: Some("wxsub".into()) };
    let ours = merchant(Some(sub));
    let said = |change: &[(&str, &str)]| {
        let mut said = transaction();
        let object = said.as_object_mut().unwrap();
        object.remove("appid");
        object.remove("mchid");
        let own = [("sp_appid", "wxd678efh567hg6787"), ("sp_mchid", "1900007291"), ("sub_mchid", "1900009999")];
        for (name, value) in own.iter().chain(&[("sub_appid", "wxsub")]).chain(change) {
            said[*name] = json!(value);
        }
        wire::report(&ours, said.to_string().as_bytes())
    };
    assert!(said(&[]).unwrap().is_some());
    for wrong in ["sp_appid", "sp_mchid", "sub_mchid", "sub_appid"] {
        assert!(said(&[(wrong, "1")]).is_err(), "{wrong}");
    }
    assert!(wire::report(&ours, transaction().to_string().as_bytes()).is_err(), "a direct merchant's answer");
}

#[test]
fn what_is_too_long_is_cut_between_characters() {
    let new = NewCharge {
        charge: charge().1,
        order: charge().0,
        amount: 300,
        currency: Currency::from_code("CNY").unwrap(),
        life: std::time::Duration::from_secs(90),
        description: "可".repeat(60),
        attach: format!("{}/{}", "f".repeat(64), "k".repeat(64)),
    };
    let body = merchant(None).create_body(&new, "https://example.com/wechat", "2026-01-01T00:00:00+08:00");
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(text(&said, "description"), "可".repeat(42), "127 bytes are 42 characters and a third");
    assert_eq!(text(&said, "attach").len(), 128);
    assert_eq!(text(&said["scene_info"], "device_id").len(), 32);
    assert_eq!(said["amount"], json!({ "total": 300, "currency": "CNY" }));
}

#[test]
fn codes_are_known_in_both_spellings_and_only_with_their_status() {
    let no = |status: u16, code: &str| ErrorBody { status, code: code.into(), message: String::new() };
    for (code, list) in [
        ("ORDERNOTEXIST", wire::ORDER_ABSENT),
        ("ORDER_NOT_EXIST", wire::ORDER_ABSENT),
        ("ORDERPAID", wire::ORDER_PAID),
        ("ORDER_PAID", wire::ORDER_PAID),
        ("ORDERCLOSED", wire::ORDER_CLOSED),
        ("ORDER_CLOSED", wire::ORDER_CLOSED),
        ("NOAUTH", wire::CREATE_REFUSED),
        ("RULELIMIT", wire::CREATE_REFUSED),
    ] {
        assert!(no(400, code).is(list) && no(404, code).is(list), "{code}");
        assert!(!no(500, code).is(list) && !no(200, code).is(list), "{code}");
    }
    for unsure in
        ["INVALID_REQUEST", "OUT_TRADE_NO_USED", "ORDERPAID", "SYSTEM_ERROR", "SIGN_ERROR", "FREQUENCY_LIMITED"]
    {
        assert!(!no(400, unsure).is(wire::CREATE_REFUSED), "{unsure} does not say that nothing was made");
    }
    let said = ErrorBody::parse(400, br#"{"code":"PARAM_ERROR","message":"a\nb"}"#).unwrap();
    assert_eq!(said.to_string(), "400 PARAM_ERROR: ab", "one line in the log");
    assert_eq!(ErrorBody::parse(400, b"<html>"), None);
}

#[test]
fn a_refund_is_done_only_when_it_says_so() {
    let body = |status: &str, total: i64, refund: i64| {
        json!({ "out_refund_no": format!("R_{}_1", charge().1), "out_trade_no": charge().1.as_str(), "status": status,
            "amount": { "total": total, "refund": refund, "currency": "CNY" } })
        .to_string()
    };
    let asked = crate::vocabulary::RefundRequest {
        refund: crate::vocabulary::RefundId::of(&charge().1, 1),
        charge: charge().1,
        order: charge().0,
        amount: 100,
        charged: 300,
        currency: Currency::from_code("CNY").unwrap(),
    };
    let report = |status: &str, total, refund| wire::refund_of(&asked, body(status, total, refund).as_bytes());
    for (status, report_is) in [
        ("SUCCESS", RefundReport::Done),
        ("PROCESSING", RefundReport::Processing),
        ("INVENTED_LATER", RefundReport::Processing),
        ("CLOSED", RefundReport::Failed),
        ("ABNORMAL", RefundReport::Failed),
    ] {
        assert_eq!(report(status, 300, 100), Ok(report_is), "{status}");
    }
    for (total, refund) in [(300, 101), (301, 100), (99, 100), (300, 0), (300, -100)] {
        assert!(report("SUCCESS", total, refund).is_err(), "{total} {refund}");
    }
}

#[test]
fn times_are_beijings() {
    let start: Timestamp = "2026-12-31T16:00:00.9Z".parse().unwrap();
    assert_eq!(beijing(start), "2027-01-01T00:00:00+08:00");
    assert_eq!(beijing(start + SignedDuration::from_secs(90)), "2027-01-01T00:01:30+08:00");
}
