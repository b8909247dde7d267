//! What goes to the gateway and comes back: signed form, signed JSON.
//!
//! Policy: an answer's signature is over the bytes of its one response object as they came, and what is read is read from
//! those very bytes. An answer with a name twice, an empty signature or (in certificate mode) another certificate than
//! the configured one is no answer.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::form;
use crate::signed::keys::{SigningKey, VerifyingKey};

/// By name, in the order in which they are signed.
pub(super) type Params = BTreeMap<String, String>;

/// `k=v&…` of everything but `sign` and what is empty; the values as they are.
pub(super) fn signed_text(params: &Params) -> String {
    let parts = params.iter().filter(|(key, value)| *key != "sign" && !value.is_empty());
    parts.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// The body of the request. `params` have no `sign`.
pub(super) fn request(params: &Params, key: &SigningKey) -> String {
    let sign = key.sign(signed_text(params).as_bytes());
    let full = params.iter().filter(|(_, value)| !value.is_empty());
    let signed = full.map(|(key, value)| (key.as_str(), value.as_str())).chain([("sign", sign.as_str())]);
    signed.map(|(key, value)| format!("{key}={}", form::encode(value))).collect::<Vec<_>>().join("&")
}

/// What an answer says. Alipay writes every value as text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    code: String,
    msg: String,
    sub_code: Option<String>,
    sub_msg: Option<String>,
    pub out_trade_no: Option<String>,
    pub trade_no: Option<String>,
    pub qr_code: Option<String>,
    pub trade_status: Option<String>,
    pub total_amount: Option<String>,
    pub trans_currency: Option<String>,
    pub passback_params: Option<String>,
    pub terminal_id: Option<String>,
    pub retry_flag: Option<String>,
    pub action: Option<String>,
    pub fund_change: Option<String>,
    pub refund_fee: Option<String>,
    pub out_request_no: Option<String>,
    pub refund_amount: Option<String>,
    pub refund_status: Option<String>,
}

/// What a verified answer amounts to, before its fields are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// 10000.
    Done,
    /// 40004: the business said no. Its `sub_code` without `ACQ.`, which some lack.
    No(&'a str),
    /// The gateway said no before the business heard of it.
    Gate,
    /// It may have been carried out or not: 20000, a system error, an unknown code.
    Unsure,
}

impl Response {
    pub fn verdict(&self) -> Verdict<'_> {
        let sub = self.sub_code.as_deref().unwrap_or_default();
        // `AQC.SYSTEM_ERROR` is in Alipay's own tables beside `ACQ.SYSTEM_ERROR`, and so is `isp.unknow-error`.
        let system = sub.contains("SYSTEM_ERROR") || sub.contains("unknow-error");
        match self.code.as_str() {
            "10000" => Verdict::Done,
            "40004" if !sub.is_empty() && !system => Verdict::No(sub.strip_prefix("ACQ.").unwrap_or(sub)),
            "20001" | "40001" | "40002" | "40003" | "40005" | "40006" if !system => Verdict::Gate,
            _ => Verdict::Unsure,
        }
    }

    /// The most particular code there is, and its explanation; neither long.
    pub fn why(&self) -> (String, String) {
        let short = |text: &str| text.chars().take(200).collect();
        let text =
            |text: &Option<String>, other: &str| short(text.as_deref().filter(|t| !t.is_empty()).unwrap_or(other));
        (text(&self.sub_code, &self.code), text(&self.sub_msg, &self.msg))
    }

    pub fn is_about(&self, out_trade_no: &str) -> bool {
        self.out_trade_no.as_deref() == Some(out_trade_no)
    }

    /// It may be silent about the order, but not name another.
    pub fn is_not_about_another(&self, out_trade_no: &str) -> bool {
        self.out_trade_no.as_deref().is_none_or(|number| number == out_trade_no)
    }
}

/// The parts of an answer; unknown ones are skipped.
struct Envelope<'a> {
    /// The bytes under `*_response`, of which there is one.
    response: &'a str,
    name: String,
    sign: String,
    alipay_cert_sn: Option<String>,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an answer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                use serde::de::Error;
                let (mut response, mut sign, mut alipay_cert_sn) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let twice = match key.as_str() {
                        "sign" => sign.replace(map.next_value()?).is_some(),
                        "alipay_cert_sn" => alipay_cert_sn.replace(map.next_value()?).is_some(),
                        name if name.ends_with("_response") => {
                            let raw: &RawValue = map.next_value()?;
                            response.replace((key, raw.get())).is_some()
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            false
                        }
                    };
                    if twice {
                        return Err(A::Error::custom("a name twice"));
                    }
                }
                let (name, response) = response.ok_or_else(|| A::Error::custom("no response in it"))?;
                Ok(Envelope { response, name, sign: sign.unwrap_or_default(), alipay_cert_sn })
            }
        }

        deserializer.deserialize_map(Parts)
    }
}

/// Reads the answer to `method`.
///
/// # Errors
/// With the reason for not believing it.
pub(super) fn answer(
    body: &[u8],
    method: &str,
    key: &VerifyingKey,
    alipay_cert_sn: Option<&str>,
) -> Result<Response, String> {
    let (name, response) = verified(body, key, alipay_cert_sn)?;
    let said: Response = serde_json::from_str(response).map_err(|e| format!("a response that can't be read: {e}"))?;
    let expected = format!("{}_response", method.replace('.', "_"));
    // An error of the gateway itself names no method; it can't be a success.
    if name == expected || name == "error_response" && said.verdict() != Verdict::Done {
        return Ok(said);
    }
    Err("the answer to something else".into())
}

/// The name and the bytes of the response, once its signature is found to hold.
pub(super) fn verified<'a>(
    body: &'a [u8],
    key: &VerifyingKey,
    alipay_cert_sn: Option<&str>,
) -> Result<(String, &'a str), String> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|e| format!("not an answer of Alipay: {e}"))?;
    if envelope.sign.is_empty() {
        // The gateway leaves errors of its own unsigned. What they say helps a person, and proves nothing.
        let said: Response = serde_json::from_str(envelope.response).unwrap_or_default();
        let (code, why) = said.why();
        return Err(format!("an unsigned answer, {code}: {why}"));
    }
    if alipay_cert_sn.is_some() && envelope.alipay_cert_sn.as_deref() != alipay_cert_sn {
        return Err("signed with another certificate than the configured one; download Alipay's current one".into());
    }
    if !key.verifies(envelope.response.as_bytes(), &envelope.sign) {
        return Err("the signature does not hold".into());
    }
    Ok((envelope.name, envelope.response))
}
