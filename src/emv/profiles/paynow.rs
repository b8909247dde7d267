//! PayNow in the Singapore Quick Response Code: SGQR specification by the Monetary Authority of Singapore, PayNow by the
//! Association of Banks in Singapore.

use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::payload::{Format, GUID, Label, Payload, value};
use super::super::tlv::Object;
use super::super::{EmvError, Merchant, NewChargeFacts, Scheme};
use super::{Found, ascii, category, is_digits, label, no_category, shaped};

pub(in super::super) const SCHEME: Scheme = Scheme { name: "PayNow", currency: "SGD", country: "SG" };

const ACCOUNT: u8 = 26;
const OWNER: &str = "SG.PAYNOW";
const PROXY: u8 = 1;
const PROXY_VALUE: u8 = 2;
const EDITABLE: u8 = 3;
const EXPIRY: u8 = 4;

/// PayNow. The reference is the bill number, 62.01, and arrives with the credit. The terminal is 62.07. `expires` is
/// written as Singapore time, to the second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paynow {
    pub proxy: PaynowProxy,
    /// UEN with PayNow's suffix if it has one (8 to 13 capitals and digits), or the telephone (`+6591234567`).
    #[schemars(extend("examples" = ["201403121W"], "pattern" = "^([+]65[0-9]{8}|[0-9A-Z]{8,13})$"))]
    pub account: String,
    /// Lets the payer change the amount.
    #[serde(default)]
    pub editable: bool,
    /// The merchant, in Latin letters.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["Demo Drinks"]))]
    pub name: String,
    /// Object 60.
    #[serde(default = "singapore")]
    #[schemars(length(min = 1, max = 15), extend("examples" = ["Singapore"]))]
    pub city: String,
    /// Merchant category, four digits.
    #[serde(default = "no_category")]
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: String,
}

/// Under what a PayNow account is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaynowProxy {
    /// A telephone number.
    Mobile,
    /// A company's Unique Entity Number.
    Uen,
}

fn singapore() -> String {
    "Singapore".to_owned()
}

impl Paynow {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        let text = self.account.as_str();
        let (proxy, fits, write) = match self.proxy {
            PaynowProxy::Mobile => {
                let fits = text.strip_prefix("+65").is_some_and(|number| is_digits(number, 8..=8));
                ("0", fits, "the telephone as +65 and eight digits")
            }
            PaynowProxy::Uen => {
                let capitals = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
                ("2", (8..=13).contains(&text.len()) && capitals, "the UEN: 8 to 13 capitals and digits")
            }
        };
        let mut account = vec![
            Object::new(GUID, OWNER),
            Object::new(PROXY, proxy),
            Object::new(PROXY_VALUE, shaped("account", text, fits, write)?),
            Object::new(EDITABLE, if self.editable { "1" } else { "0" }),
        ];
        if let Some(expires) = charge.expires {
            account.push(Object::new(EXPIRY, expires.strftime("%Y%m%d%H%M%S").to_string()));
        }
        payload.accounts.push(Object::template(ACCOUNT, &account)?);
        payload.category = Some(category(&self.category)?);
        payload.name = Some(ascii("name", &self.name, 25)?);
        payload.city = Some(ascii("city", &self.city, 15)?);
        label(&mut payload, Label::Bill, charge);
        Ok(payload)
    }
}

pub(super) fn read(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, account) = payload.account(OWNER)?;
    let found = || {
        SCHEME.owns(payload, Format::V1)?;
        let proxy = match value(&account, PROXY) {
            Some("0") => PaynowProxy::Mobile,
            Some("2") => PaynowProxy::Uen,
            _ => return Err(SCHEME.fault("neither a telephone, 0, nor a UEN, 2")),
        };
        let editable = match value(&account, EDITABLE) {
            Some("0") => false,
            Some("1") => true,
            _ => return Err(SCHEME.fault("whether the amount can be changed is neither 0 nor 1")),
        };
        let merchant = Merchant::Paynow(Paynow {
            proxy,
            account: SCHEME.need(value(&account, PROXY_VALUE), "no account")?,
            editable,
            name: SCHEME.need(payload.name.as_deref(), "no merchant name, 59")?,
            city: SCHEME.need(payload.city.as_deref(), "no city, 60")?,
            category: SCHEME.need(payload.category.as_deref(), "no merchant category, 52")?,
        });
        let reference = payload.additional.get(Label::Bill).map(str::to_owned);
        Ok(Found { merchant, reference, expires: value(&account, EXPIRY).map(expiry).transpose()? })
    };
    Some(found())
}

/// `YYYYMMDDhhmmss`, or `YYYYMMDD` for the end of that day.
fn expiry(text: &str) -> Result<DateTime, EmvError> {
    let whole = match text.len() {
        8 => format!("{text}235959"),
        _ => text.to_owned(),
    };
    if !is_digits(&whole, 14..=14) {
        return Err(SCHEME.fault("an expiry that is not YYYYMMDD or YYYYMMDDhhmmss"));
    }
    DateTime::strptime("%Y%m%d%H%M%S", &whole).map_err(|_| SCHEME.fault("an expiry on no day of the calendar"))
}
