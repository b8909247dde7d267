//! QRIS, by Bank Indonesia and ASPI: "Standar Nasional QR Code Pembayaran". The acquirer's own template is in 26 to 45,
//! the national merchant number in 51.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::payload::{Format, GUID, Label, Payload, value};
use super::super::tlv::Object;
use super::super::{EmvError, Merchant, NewChargeFacts, Scheme};
use super::{Found, ascii, category, is_alphanumeric, is_digits, label, shaped};

pub(in super::super) const SCHEME: Scheme = Scheme { name: "QRIS", currency: "IDR", country: "ID" };

const ACQUIRER: u8 = 26;
const NATIONAL: u8 = 51;
const NATIONAL_OWNER: &str = "ID.CO.QRIS.WWW";
const PAN: u8 = 1;
const MERCHANT: u8 = 2;
const CRITERIA: u8 = 3;

/// QRIS. The reference is the label 62.05, which the acquirer reports with the payment; the terminal is 62.07.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qris {
    /// The acquirer's identifier, a domain name backwards in capitals.
    #[schemars(extend("examples" = ["ID.CO.BANK.WWW"], "pattern" = "^[0-9A-Z.-]{5,32}$"))]
    pub acquirer: String,
    /// The merchant's number in the network, 16 to 19 digits that begin with 9360.
    #[schemars(extend("examples" = ["936000140000001234"], "pattern" = "^9360[0-9]{12,15}$"))]
    pub pan: String,
    /// The merchant's number at the acquirer.
    #[schemars(extend("examples" = ["000001234"], "pattern" = "^[0-9A-Za-z]{1,15}$"))]
    pub merchant: String,
    /// The National Merchant ID: `ID` and 13 digits.
    #[schemars(extend("examples" = ["ID1020000000012"], "pattern" = "^ID[0-9]{13}$"))]
    pub nmid: String,
    /// The merchant's size, as registered.
    /// How large the merchant is.
    pub criteria: QrisCriteria,
    /// The merchant.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["Kopi Demo"]))]
    pub name: String,
    /// The city.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["JAKARTA"]))]
    pub city: String,
    /// Postal code, five digits.
    #[schemars(extend("examples" = ["10110"], "pattern" = "^[0-9]{5}$"))]
    pub postal: String,
    /// Merchant category, four digits.
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: String,
}

/// A merchant's size in QRIS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum QrisCriteria {
    /// Micro
    #[serde(rename = "UMI")]
    Micro,
    /// Small
    #[serde(rename = "UKE")]
    Small,
    /// Medium
    #[serde(rename = "UME")]
    Medium,
    /// Large
    #[serde(rename = "UBE")]
    Large,
    /// Regular
    #[serde(rename = "URE")]
    Regular,
}

impl QrisCriteria {
    const ALL: [Self; 5] = [Self::Micro, Self::Small, Self::Medium, Self::Large, Self::Regular];

    fn code(self) -> &'static str {
        match self {
            Self::Micro => "UMI",
            Self::Small => "UKE",
            Self::Medium => "UME",
            Self::Large => "UBE",
            Self::Regular => "URE",
        }
    }
}

impl Qris {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        let Self { acquirer, pan, merchant, nmid, postal, .. } = self;
        let named = (5..=32).contains(&acquirer.len())
            && acquirer.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
            && acquirer.contains('.')
            && acquirer != NATIONAL_OWNER;
        let write = "the acquirer's identifier, such as ID.CO.BANK.WWW";
        let network = is_digits(pan, 16..=19) && pan.starts_with("9360");
        let national = nmid.strip_prefix("ID").is_some_and(|number| is_digits(number, 13..=13));
        let criteria = Object::new(CRITERIA, self.criteria.code());
        let account = [
            Object::new(GUID, shaped("acquirer", acquirer, named, write)?),
            Object::new(PAN, shaped("pan", pan, network, "16 to 19 digits that begin with 9360")?),
            Object::new(
                MERCHANT,
                shaped("merchant", merchant, is_alphanumeric(merchant, 1..=15), "1 to 15 letters and digits")?,
            ),
            criteria.clone(),
        ];
        payload.accounts.push(Object::template(ACQUIRER, &account)?);
        let account = [
            Object::new(GUID, NATIONAL_OWNER),
            Object::new(MERCHANT, shaped("nmid", nmid, national, "ID and 13 digits")?),
            criteria,
        ];
        payload.accounts.push(Object::template(NATIONAL, &account)?);
        payload.category = Some(category(&self.category)?);
        payload.name = Some(ascii("name", &self.name, 25)?);
        payload.city = Some(ascii("city", &self.city, 15)?);
        payload.postal =
            Some(shaped("postal", postal, is_digits(postal, 5..=5), "the five digits of the postal code")?);
        label(&mut payload, Label::Reference, charge);
        Ok(payload)
    }
}

pub(super) fn read(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, national) = payload.account(NATIONAL_OWNER)?;
    let found = || {
        SCHEME.owns(payload, Format::V1)?;
        let account = payload
            .accounts
            .iter()
            .find(|object| (26..=45).contains(&object.id))
            .ok_or(SCHEME.fault("no acquirer, 26 to 45"))?
            .objects()?;
        let criteria = QrisCriteria::ALL.into_iter().find(|c| value(&national, CRITERIA) == Some(c.code()));
        let merchant = Merchant::Qris(Qris {
            acquirer: SCHEME.need(value(&account, GUID), "no acquirer's identifier")?,
            pan: SCHEME.need(value(&account, PAN), "no merchant number in the network")?,
            merchant: SCHEME.need(value(&account, MERCHANT), "no merchant number at the acquirer")?,
            nmid: SCHEME.need(value(&national, MERCHANT), "no NMID")?,
            criteria: criteria.ok_or(SCHEME.fault("the merchant's size is none of UMI, UKE, UME, UBE and URE"))?,
            name: SCHEME.need(payload.name.as_deref(), "no merchant name, 59")?,
            city: SCHEME.need(payload.city.as_deref(), "no city, 60")?,
            postal: SCHEME.need(payload.postal.as_deref(), "no postal code, 61")?,
            category: SCHEME.need(payload.category.as_deref(), "no merchant category, 52")?,
        });
        let reference = payload.additional.get(Label::Reference).map(str::to_owned);
        Ok(Found { merchant, reference, expires: None })
    };
    Some(found())
}
