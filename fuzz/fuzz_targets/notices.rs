//! Notifications of WeChat Pay and Alipay: any bytes, which nobody has signed; any content behind a signature that holds;
//! and the same with one bit turned.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kioskd_fuzz::signed::keys::{SigningKey, VerifyingKey};
use kioskd_fuzz::payment::wechat::{self, ApiV3Key, WechatPay};
use kioskd_fuzz::payment::{Notification, Notifies, alipay};
use libfuzzer_sys::fuzz_target;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};

/// Made for this and used by nobody.
const PROVIDER: &[u8] = include_bytes!("../keys/provider.pem");
const PROVIDER_PUBLIC: &[u8] = include_bytes!("../keys/provider.pub");
const API_V3_KEY: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const SERIAL: &str = "PUB_KEY_ID_0000000000000000000000000000000001";
const APPID: &str = "wxd678efh567hg6787";
const MCHID: &str = "1900007291";
const APP: &str = "2021000000000001";

struct Street {
    key: SigningKey,
    wechat: WechatPay,
    alipay: alipay::Alipay,
}

static STREET: LazyLock<Street> = LazyLock::new(|| {
    let private = || SigningKey::parse(PROVIDER).expect("a key");
    let public = || VerifyingKey::parse(PROVIDER_PUBLIC).expect("a key");
    let wechat = WechatPay::new(wechat::WechatConfig {
        base_url: "http://127.0.0.1:9".into(),
        backup_url: None,
        ca: None,
        timeout: Duration::from_secs(1),
        appid: APPID.into(),
        mchid: MCHID.into(),
        sub: None,
        serial_no: "00".into(),
        private_key: private(),
        api_v3_key: ApiV3Key::parse(API_V3_KEY).expect("32 bytes"),
        notify_url: "https://pay.example.com/wechat".into(),
        platform_keys: vec![(SERIAL.into(), public())],
    });
    let alipay = alipay::Alipay::new(alipay::AlipayConfig {
        base_url: "http://127.0.0.1:9/gateway.do".into(),
        ca: None,
        timeout: Duration::from_secs(1),
        app_id: APP.into(),
        private_key: private(),
        trust: alipay::Trust::Key(public()),
        notify_url: None,
    });
    Street { key: private(), wechat: wechat.expect("good settings"), alipay: alipay.expect("good settings") }
});

// The bodies that a kind of notification is made of, by the first byte; the rest is its content.
fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, content)) = bytes.split_first() else { return };
    let street = &*STREET;
    match kind % 4 {
        0 => unsigned(street, content),
        1 | 2 => from_wechat(street, if kind % 4 == 1 { "TRANSACTION.SUCCESS" } else { "REFUND.SUCCESS" }, content),
        _ => from_alipay(street, content),
    }
});

/// Nobody signs by chance, whatever the headers say.
fn unsigned(street: &Street, content: &[u8]) {
    let split = content.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (headers, body) = content.split_at(split);
    let headers: Vec<String> = String::from_utf8_lossy(headers).lines().map(str::to_owned).collect();
    let now = now();
    let header = |name: &str| match name {
        "Wechatpay-Timestamp" => Some(now.clone()),
        "Wechatpay-Serial" => Some(SERIAL.to_owned()),
        "Wechatpay-Nonce" => headers.first().cloned(),
        _ => headers.get(1).cloned(),
    };
    told_nothing(street.wechat.notification(&header, body).err());
    told_nothing(street.alipay.notification(body).err());
}

fn from_wechat(street: &Street, kind: &str, content: &[u8]) {
    let mut text = content.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY).expect("32 bytes"));
    let nonce = Nonce::assume_unique_for_key(*b"abcdefghijkl");
    key.seal_in_place_append_tag(nonce, Aad::from(b"transaction"), &mut text).expect("room");
    let body = json!({ "event_type": kind, "resource": { "algorithm": "AEAD_AES_256_GCM", "nonce": "abcdefghijkl",
        "associated_data": "transaction", "ciphertext": BASE64_STANDARD.encode(&text) } });
    let body = body.to_string();
    let now = now();
    let signature = street.key.sign(format!("{now}\nn\n{body}\n").as_bytes());
    let header = |name: &str| match name {
        "Wechatpay-Timestamp" => Some(now.clone()),
        "Wechatpay-Serial" => Some(SERIAL.to_owned()),
        "Wechatpay-Nonce" => Some("n".to_owned()),
        _ => Some(signature.clone()),
    };
    match Notifies::notification(&street.wechat, &header, body.as_bytes()) {
        Ok(Some(Notification { charge, report })) => {
            assert_eq!(kind, "TRANSACTION.SUCCESS");
            // What nobody reads may be broken: then there is nothing to compare with.
            let Ok(said) = serde_json::from_slice::<Value>(content) else { return };
            assert_eq!((&said["mchid"], &said["out_trade_no"]), (&MCHID.into(), &charge.as_str().into()));
            for payment in &report.payments {
                assert_eq!((&said["appid"], &said["amount"]["total"]), (&APPID.into(), &payment.amount.into()));
                assert!(payment.amount > 0 && (said["trade_state"] == "SUCCESS" || said["trade_state"] == "REFUND"));
            }
        }
        Ok(None) => {}
        Err(error) => told_nothing(Some(error)),
    }
    told_nothing(Notifies::notification(&street.wechat, &header, &turned(body.as_bytes(), content)).err());
}

fn from_alipay(street: &Street, content: &[u8]) {
    let text = String::from_utf8_lossy(content);
    let pairs: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let signed = pairs.iter().filter(|(key, _)| !matches!(**key, "sign" | "sign_type"));
    let signed = signed.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
    let sign = street.key.sign(signed.as_bytes());
    let all = pairs.iter().filter(|(key, _)| **key != "sign").map(|(key, value)| (*key, *value));
    let all = all.chain([("sign", sign.as_str())]).map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
    let body = all.collect::<Vec<_>>().join("&");
    match Notifies::notification(&street.alipay, &|_| None, body.as_bytes()) {
        Ok(Some(Notification { charge, report })) => {
            assert_eq!((pairs["app_id"], pairs["out_trade_no"]), (APP, charge.as_str()));
            for payment in &report.payments {
                assert!(matches!(pairs["trade_status"], "TRADE_SUCCESS" | "TRADE_FINISHED"));
                let fen = pairs["total_amount"].split_once('.').unwrap_or((pairs["total_amount"], ""));
                let fen: i64 = format!("{}{:0<2}", fen.0, fen.1).parse().expect("an amount");
                assert_eq!(payment.amount, fen);
            }
        }
        Ok(None) => {}
        Err(error) => told_nothing(Some(error)),
    }
    // `sign` has many spellings of one value; what it is over has one.
    let (over, sign) = body.rsplit_once("sign=").unwrap_or_default();
    if !over.is_empty() && !pairs.contains_key("sign_type") {
        let other = [turned(over.as_bytes(), content), b"&sign=".to_vec(), sign.as_bytes().to_vec()].concat();
        if let Ok(told) = Notifies::notification(&street.alipay, &|_| None, &other) {
            // One bit can turn `%4a` into `%4A`, which is the same.
            assert_eq!(told, Notifies::notification(&street.alipay, &|_| None, body.as_bytes()).expect("it was believed"));
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// One bit is another, at a place the content chooses.
fn turned(body: &[u8], content: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    let sum = content.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let at = sum % body.len().max(1);
    if let Some(byte) = body.get_mut(at) {
        *byte ^= 1 << (sum / 7 % 7);
    }
    body
}

/// It is an error, of one bounded line, without a secret.
fn told_nothing(error: Option<impl std::fmt::Display>) {
    let error = error.expect("nobody has signed this").to_string();
    assert!(error.len() < 2000 && !error.contains("0123456789abcdefghijklmnopqrstuv"), "{error}");
}

fn now() -> String {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().to_string()
}
