//! DuitNow QR, by PayNet (Malaysia): "DuitNow QR specification". Its payload format, 00, is 02.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::payload::{Format, GUID, Label, Payload, value};
use super::super::tlv::Object;
use super::super::{EmvError, Merchant, NewChargeFacts, Scheme};
use super::{Found, ascii, category, is_alphanumeric, is_digits, label, shaped};

pub(in super::super) const SCHEME: Scheme = Scheme { name: "DuitNow", currency: "MYR", country: "MY" };

const ACCOUNT: u8 = 26;
const OWNER: &str = "A0000006150001";
const ACQUIRER: u8 = 1;
const QR: u8 = 2;

/// DuitNow QR. The reference is the label 62.05, which the acquirer reports with the payment; the terminal is 62.07.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duitnow {
    /// The acquirer's number.
    #[schemars(extend("examples" = ["501664"], "pattern" = "^[0-9]{6}$"))]
    pub acquirer: String,
    /// The QR number that the acquirer gave.
    #[schemars(extend("examples" = ["123456789"], "pattern" = "^[0-9A-Za-z]{1,30}$"))]
    pub qr: String,
    /// The merchant.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["QRCSDNBHD"]))]
    pub name: String,
    /// The city.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["BANGI"]))]
    pub city: String,
    /// Postal code, five digits.
    #[schemars(extend("examples" = ["43000"], "pattern" = "^[0-9]{5}$"))]
    pub postal: Option<String>,
    /// Merchant category, four digits.
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: String,
}

impl Duitnow {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        let Self { acquirer, qr, postal, .. } = self;
        payload.format = Format::V2;
        let account = [
            Object::new(GUID, OWNER),
            Object::new(ACQUIRER, shaped("acquirer", acquirer, is_digits(acquirer, 6..=6), "six digits")?),
            Object::new(QR, shaped("qr", qr, is_alphanumeric(qr, 1..=30), "1 to 30 letters and digits")?),
        ];
        payload.accounts.push(Object::template(ACCOUNT, &account)?);
        payload.category = Some(category(&self.category)?);
        payload.name = Some(ascii("name", &self.name, 25)?);
        payload.city = Some(ascii("city", &self.city, 15)?);
        payload.postal = postal
            .as_deref()
            .map(|code| shaped("postal", code, is_digits(code, 5..=5), "the five digits of the postal code"))
            .transpose()?;
        label(&mut payload, Label::Reference, charge);
        Ok(payload)
    }
}

pub(super) fn read(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, account) = payload.account(OWNER)?;
    let found = || {
        SCHEME.owns(payload, Format::V2)?;
        let merchant = Merchant::Duitnow(Duitnow {
            acquirer: SCHEME.need(value(&account, ACQUIRER), "no acquirer")?,
            qr: SCHEME.need(value(&account, QR), "no QR number")?,
            name: SCHEME.need(payload.name.as_deref(), "no merchant name, 59")?,
            city: SCHEME.need(payload.city.as_deref(), "no city, 60")?,
            postal: payload.postal.clone(),
            category: SCHEME.need(payload.category.as_deref(), "no merchant category, 52")?,
        });
        let reference = payload.additional.get(Label::Reference).map(str::to_owned);
        Ok(Found { merchant, reference, expires: None })
    };
    Some(found())
}
