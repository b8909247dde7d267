//! UPI's payment link, which India's codes hold instead of EMV objects: `upi://pay?pa=…&pn=…` (NPCI, "UPI Linking
//! Specifications", 1.6).
//!
//! Written with every reserved character percent-encoded and a space as `%20`; a `+` that is read is a plus.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EmvError, Merchant, NewChargeFacts, Reading, Scheme, decimal, field, payload, tlv};

pub(super) const SCHEME: Scheme = Scheme { name: "UPI", currency: "INR", country: "IN" };

const START: &str = "upi://pay?";

/// UPI. The reference is `tr`, which comes back with the credit; the terminal is the note, `tn`, which the payer reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upi {
    /// The payee's virtual payment address.
    #[schemars(extend("examples" = ["demo.drinks@bank"], "pattern" = "^[0-9A-Za-z._-]{1,64}@[0-9A-Za-z]{2,64}$"))]
    pub address: String,
    /// The payee.
    #[schemars(length(min = 1, max = 99), extend("examples" = ["Demo Drinks"]))]
    pub name: String,
    /// Merchant category, four digits; a merchant's code must have it.
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: Option<String>,
}

impl Upi {
    pub(super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<String, EmvError> {
        SCHEME.check(charge)?;
        if !is_address(&self.address) {
            return Err(field("address", "name@provider, with letters, digits, `.`, `-` and `_` before the @"));
        }
        if !(1..=99).contains(&self.name.len()) || !payload::printable(&self.name) || self.name.trim() != self.name {
            return Err(field("name", "1 to 99 characters of printable ASCII, without spaces at the ends"));
        }
        if self.category.as_deref().is_some_and(|code| code.len() != 4 || !code.bytes().all(|b| b.is_ascii_digit())) {
            return Err(field("category", "the four digits of the merchant category"));
        }
        let amount = decimal::write(charge.amount, charge.currency.digits())?;
        let pairs = [
            ("pa", Some(self.address.as_str())),
            ("pn", Some(self.name.as_str())),
            ("mc", self.category.as_deref()),
            ("tr", Some(charge.reference)),
            ("tn", Some(charge.terminal).filter(|text| !text.is_empty())),
            ("am", Some(amount.as_str())),
            ("cu", Some(SCHEME.currency)),
        ];
        let mut text = START.to_owned();
        for (name, value) in pairs.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if !text.ends_with('?') {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            encode(value, &mut text);
        }
        if text.len() > tlv::LIMIT { Err(tlv::TlvError::TooLong.into()) } else { Ok(text) }
    }
}

/// Whether a text claims to be one; a code that does is never taken for EMV objects.
pub(super) fn is_link(text: &str) -> bool {
    text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("upi:"))
}

/// The parameters in their order, decoded; each name once.
pub fn parameters(link: &str) -> Result<Vec<(String, String)>, EmvError> {
    if link.len() > tlv::LIMIT {
        return Err(tlv::TlvError::TooLong.into());
    }
    let head = link.get(..START.len()).filter(|head| head.eq_ignore_ascii_case(START));
    let query = head.map(|head| &link[head.len()..]).ok_or(EmvError::Link("it begins with upi://pay?"))?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or(EmvError::Link("a parameter without a value"))?;
        let (name, value) = (decode(name)?, decode(value)?);
        if name.is_empty() || pairs.iter().any(|(other, _)| *other == name) {
            return Err(EmvError::Link("a parameter without a name, or there twice"));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

pub(super) fn read(link: &str) -> Result<Reading, EmvError> {
    let pairs = parameters(link)?;
    // NPCI's own sample writes `mam=null` for "none".
    let get = |name: &str| {
        let (_, value) = pairs.iter().find(|(other, _)| other == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty() && *value != "null")
    };
    let address = get("pa").filter(|address| is_address(address)).ok_or(EmvError::Link("no payee's address, pa"))?;
    let name = get("pn").ok_or(EmvError::Link("no payee's name, pn"))?;
    if get("cu").is_some_and(|currency| currency != SCHEME.currency) {
        return Err(EmvError::Link("a currency, cu, other than INR"));
    }
    let currency = SCHEME.currency();
    Ok(Reading {
        merchant: Merchant::Upi(Upi {
            address: address.to_owned(),
            name: name.to_owned(),
            category: get("mc").map(str::to_owned),
        }),
        reference: get("tr").map(str::to_owned),
        amount: get("am").map(|text| decimal::read(text, currency.digits())).transpose()?,
        currency,
        terminal: get("tn").map(str::to_owned),
        expires: None,
    })
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, provider)| {
        (1..=64).contains(&name.len())
            && (2..=64).contains(&provider.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            && provider.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// RFC 3986: unreserved characters stand for themselves. So does the `@` of an address, which a query may have and
/// readers in the field look for.
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

fn decode(text: &str) -> Result<String, EmvError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(EmvError::Link("a % without two hexadecimal digits"));
        };
        bytes.push((high * 16 + low) as u8);
    }
    let text = String::from_utf8(bytes).map_err(|_| EmvError::Link("text that is not UTF-8"))?;
    if text.chars().any(char::is_control) { Err(EmvError::Link("a control character")) } else { Ok(text) }
}
