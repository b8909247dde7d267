//! What WeChat Pay's verified answers mean: nothing is read into them that they do not say.
#![no_main]

use std::sync::LazyLock;

use kioskd_fuzz::vocabulary::{ChargeId, ChargeRef, Currency, RefundId, RefundReport, RefundRequest, Standing};
use kioskd_fuzz::wechat_wire::{self as wire, ErrorBody, Merchant};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const APPID: &str = "wxd678efh567hg6787";
const MCHID: &str = "1900007291";
const CHARGE: &str = "01K0000000000000000000000A_1";
const REFUND: &str = "01K0000000000000000000000A_1r1";

static ASKED: LazyLock<(Merchant, ChargeRef, RefundRequest)> = LazyLock::new(|| {
    let charge = ChargeId::parse(CHARGE).expect("a charge's number");
    let order = charge.order().expect("of an order of ours");
    let currency = Currency::from_code("CNY").expect("a currency");
    let merchant = Merchant { appid: APPID.into(), mchid: MCHID.into(), sub: None };
    let refund = RefundId::parse(REFUND).expect("a refund's number");
    let asked = ChargeRef { charge: charge.clone(), order, amount: 300, currency };
    (merchant, asked, RefundRequest { refund, charge, order, amount: 100, charged: 300, currency })
});

fuzz_target!(|body: &[u8]| {
    let (merchant, asked, refund) = &*ASKED;
    // What nobody reads may be broken: then there is nothing to compare with.
    let Ok(said) = serde_json::from_slice::<Value>(body) else {
        drop((wire::report_of(merchant, asked, body), wire::refund_of(refund, body), ErrorBody::parse(400, body)));
        return;
    };
    if let Ok(report) = wire::report_of(merchant, asked, body) {
        assert_eq!((&said["out_trade_no"], &said["mchid"]), (&CHARGE.into(), &MCHID.into()));
        match &report.payments[..] {
            [] => assert!(report.standing != Standing::Returning),
            [payment] => {
                assert!(said["trade_state"] == "SUCCESS" || said["trade_state"] == "REFUND", "{said}");
                assert_eq!(said["appid"], APPID);
                assert_eq!(said["amount"]["total"], payment.amount);
                assert_eq!(said["amount"]["currency"], payment.currency.code());
                assert!(payment.amount > 0 && payment.order == asked.order);
            }
            more => panic!("{} payments of one transaction", more.len()),
        }
    }
    if let Ok(report) = wire::refund_of(refund, body) {
        assert_eq!((&said["out_refund_no"], &said["out_trade_no"]), (&REFUND.into(), &CHARGE.into()));
        assert_eq!((&said["amount"]["refund"], &said["amount"]["total"]), (&100.into(), &300.into()));
        let done = said["status"] == "SUCCESS" || said["refund_status"] == "SUCCESS";
        assert_eq!(report == RefundReport::Done, done, "{said}");
    }
    if let Ok(Some(news)) = wire::refund_notice(merchant, body) {
        assert!(news.amount > 0 && news.charge.order().is_some());
    }
    if let Some(payload) = wire::payload(body) {
        // A table may be written as the list of its values, too.
        assert!(said["code_url"] == payload.as_str() || said[0] == payload.as_str(), "{said}");
        assert!((1..=512).contains(&payload.len()) && payload.is_ascii());
    }
    if let Some(no) = ErrorBody::parse(400, body) {
        let one_line = |text: &str| text.chars().count() <= 200 && !text.contains(char::is_control);
        assert!(one_line(&no.code) && one_line(&no.message));
    }
});
