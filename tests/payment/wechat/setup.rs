//! Clocks, certificates, hosts, keys, notifications and settings.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use kioskd::payment::wechat::{ApiV3Key, Notification, Sub, WechatConfig, WechatPay};
use kioskd::signed::keys::SigningKey;
use kioskd::vocabulary::{NewCharge, RailError, RefundReport};
use serde_json::{Value, json};

use super::kit::*;

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
