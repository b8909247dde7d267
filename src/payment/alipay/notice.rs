//! Notifications: what Alipay posts to the configured address by itself.
//!
//! A verified one is worth as much as the answer to a query at the time it was sent. It may come late, twice or out of
//! order, and the sale takes a report from any of them.

use super::wire::{Params, Response};
use super::{Alipay, form};
use crate::payment::{Notification, Notifies};
use crate::signed::keys::VerifyingKey;
use crate::vocabulary::RailError;

/// The pairs of `body`, verified to come from Alipay.
///
/// # Errors
/// With the reason for not believing it.
pub(super) fn verified(body: &[u8], key: &VerifyingKey, alipay_cert_sn: Option<&str>) -> Result<Params, String> {
    let mut pairs = form::parse(body).ok_or("not the form of a notification")?;
    let sign = pairs.remove("sign").filter(|sign| !sign.is_empty()).ok_or("a notification without a signature")?;
    if pairs.get("sign_type").is_some_and(|kind| kind != "RSA2") {
        return Err("a notification that is not signed with RSA2".into());
    }
    let named = pairs.get("alipay_cert_sn").map(String::as_str);
    if alipay_cert_sn.is_some() && named.is_some_and(|named| Some(named) != alipay_cert_sn) {
        return Err("a notification signed with another certificate than the configured one".into());
    }
    // Those about trades are signed without `sign_type`, some others with it.
    let mut without = pairs.clone();
    without.remove("sign_type");
    if [&without, &pairs].into_iter().any(|pairs| key.verifies(signed_text(pairs).as_bytes(), &sign)) {
        return Ok(pairs);
    }
    Err("the notification's signature does not hold".into())
}

/// Unlike a request's, with what is empty.
fn signed_text(pairs: &Params) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// The fields that a query's answer has too. `None` when it is about no trade.
pub(super) fn trade(mut pairs: Params) -> Option<Response> {
    if pairs.get("notify_type").is_some_and(|kind| kind != "trade_status_sync") {
        return None;
    }
    let mut said = Response::default();
    said.trade_status = Some(pairs.remove("trade_status")?);
    said.out_trade_no = pairs.remove("out_trade_no");
    said.trade_no = pairs.remove("trade_no");
    said.total_amount = pairs.remove("total_amount");
    said.trans_currency = pairs.remove("trans_currency");
    said.passback_params = pairs.remove("passback_params");
    said.terminal_id = pairs.remove("terminal_id");
    Some(said)
}

impl Notifies for Alipay {
    fn notification(&self, _: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Result<Option<Notification>, RailError> {
        Ok(match Alipay::notification(self, body)? {
            super::Notification::Charge { charge, report, .. } => Some(Notification { charge, report }),
            super::Notification::Other => None,
        })
    }

    fn taken(&self) -> &'static str {
        "success"
    }

    fn is_attach(&self, given: &str, written: &str) -> bool {
        super::attach_matches(given, written)
    }
}
