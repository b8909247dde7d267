//! PromptPay and Thai QR bill payment, by the Bank of Thailand: "Thai QR Payment Standard" (credit transfer with
//! PromptPay ID, object 29; bill payment, object 30).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::payload::{Format, GUID, Label, Payload, value};
use super::super::tlv::Object;
use super::super::{EmvError, Merchant, NewChargeFacts, Scheme};
use super::{Found, ascii, category, is_digits, label, shaped};

pub(in super::super) const SCHEME: Scheme = Scheme { name: "PromptPay", currency: "THB", country: "TH" };

const TRANSFER: u8 = 29;
const TRANSFER_OWNER: &str = "A000000677010111";
const BILL: u8 = 30;
const BILL_OWNER: &str = "A000000677010112";
const BILLER: u8 = 1;
const REF1: u8 = 2;
const REF2: u8 = 3;
/// Longest Ref1, and longest Ref2.
const REF: usize = 20;

/// PromptPay transfer. The reference is the label 62.05, which a payer's app may show and the credit does not carry: who
/// needs it back takes `promptpay-bill`. The terminal is 62.07.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promptpay {
    pub proxy: PromptpayProxy,
    /// Telephone as dialled in Thailand (`0812345678`), national or tax number (13 digits), or e-wallet (15 digits).
    #[schemars(extend("examples" = ["0812345678"], "pattern" = "^[0-9]{10,15}$"))]
    pub account: String,
    /// The merchant, in Latin letters.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["Demo Drinks"]))]
    pub name: Option<String>,
    /// The city, in Latin letters.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["BANGKOK"]))]
    pub city: Option<String>,
    /// Merchant category, four digits.
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: Option<String>,
}

/// Under what a PromptPay account is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptpayProxy {
    /// A telephone number.
    Phone,
    /// A person's national number or a company's tax number.
    NationalId,
    /// An e-wallet's number.
    EWallet,
}

impl PromptpayProxy {
    const ALL: [Self; 3] = [Self::Phone, Self::NationalId, Self::EWallet];

    fn id(self) -> u8 {
        match self {
            Self::Phone => 1,
            Self::NationalId => 2,
            Self::EWallet => 3,
        }
    }
}

/// Thai QR bill payment. The reference is Ref1, in capitals; the characters after the twentieth are Ref2, which the
/// biller must have switched on at its bank for the kiosk's own references of 25. Both are on the biller's statement. The
/// terminal is not written: its place, 62.07, is Ref3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptpayBill {
    /// Tax number (13 digits) and the bank's suffix (2 digits).
    #[schemars(extend("examples" = ["099400012345678"], "pattern" = "^[0-9]{15}$"))]
    pub biller: String,
    /// Ref3, by which some banks route their notices: capitals and digits, at most 20.
    #[schemars(extend("examples" = ["SCB"], "pattern" = "^[0-9A-Z]{1,20}$"))]
    pub ref3: Option<String>,
    /// The merchant, in Latin letters.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["Demo Drinks"]))]
    pub name: Option<String>,
    /// The city, in Latin letters.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["BANGKOK"]))]
    pub city: Option<String>,
    /// Merchant category, four digits.
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: Option<String>,
}

impl Promptpay {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        let number = self.account.as_str();
        let number = match self.proxy {
            PromptpayProxy::Phone => {
                let local = number.strip_prefix('0').filter(|rest| is_digits(rest, 9..=9));
                let write = "the telephone as dialled in Thailand, ten digits that begin with 0";
                format!("0066{}", shaped("account", local.unwrap_or_default(), local.is_some(), write)?)
            }
            PromptpayProxy::NationalId => {
                shaped("account", number, is_digits(number, 13..=13), "the 13 digits of the national or tax number")?
            }
            PromptpayProxy::EWallet => {
                shaped("account", number, is_digits(number, 15..=15), "the 15 digits of the e-wallet")?
            }
        };
        let account = [Object::new(GUID, TRANSFER_OWNER), Object::new(self.proxy.id(), number)];
        payload.accounts.push(Object::template(TRANSFER, &account)?);
        put(&mut payload, &self.name, &self.city, &self.category)?;
        label(&mut payload, Label::Reference, charge);
        Ok(payload)
    }
}

impl PromptpayBill {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        let capitals = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !capitals(charge.reference) {
            return Err(EmvError::Reference { scheme: SCHEME.name, takes: "1 to 25 capitals and digits" });
        }
        let (ref1, ref2) = charge.reference.split_at(charge.reference.len().min(REF));
        let biller = shaped(
            "biller",
            &self.biller,
            is_digits(&self.biller, 15..=15),
            "15 digits: the 13 of the tax number and the 2 of the bank's suffix",
        )?;
        let mut account = vec![Object::new(GUID, BILL_OWNER), Object::new(BILLER, biller), Object::new(REF1, ref1)];
        if !ref2.is_empty() {
            account.push(Object::new(REF2, ref2));
        }
        payload.accounts.push(Object::template(BILL, &account)?);
        put(&mut payload, &self.name, &self.city, &self.category)?;
        if let Some(ref3) = &self.ref3 {
            let fits = (1..=REF).contains(&ref3.len()) && capitals(ref3);
            let ref3 = shaped("ref3", ref3, fits, "1 to 20 capitals and digits, as the bank gave it")?;
            payload.additional.labels.insert(Label::Terminal, ref3);
        }
        Ok(payload)
    }
}

fn put(
    payload: &mut Payload,
    name: &Option<String>,
    city: &Option<String>,
    code: &Option<String>,
) -> Result<(), EmvError> {
    payload.name = name.as_deref().map(|text| ascii("name", text, 25)).transpose()?;
    payload.city = city.as_deref().map(|text| ascii("city", text, 15)).transpose()?;
    payload.category = code.as_deref().map(category).transpose()?;
    Ok(())
}

pub(super) fn read(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, account) = payload.account(TRANSFER_OWNER)?;
    let found = || {
        SCHEME.owns(payload, Format::V1)?;
        let mut numbers = PromptpayProxy::ALL.into_iter().filter_map(|p| Some((p, value(&account, p.id())?)));
        let (proxy, number) = numbers.next().ok_or(SCHEME.fault("no telephone, national number or e-wallet"))?;
        if numbers.next().is_some() {
            return Err(SCHEME.fault("more than one account"));
        }
        let account = match proxy {
            PromptpayProxy::Phone => {
                let local = number.strip_prefix("0066").filter(|local| is_digits(local, 9..=9));
                format!("0{}", local.ok_or(SCHEME.fault("the telephone is not 0066 and nine digits"))?)
            }
            PromptpayProxy::NationalId | PromptpayProxy::EWallet => number.to_owned(),
        };
        let Payload { name, city, category, .. } = payload.clone();
        Ok(Found {
            merchant: Merchant::Promptpay(Promptpay { proxy, account, name, city, category }),
            reference: payload.additional.get(Label::Reference).map(str::to_owned),
            expires: None,
        })
    };
    Some(found())
}

pub(super) fn read_bill(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, account) = payload.account(BILL_OWNER)?;
    let found = || {
        SCHEME.owns(payload, Format::V1)?;
        let biller = SCHEME.need(value(&account, BILLER), "no biller")?;
        let ref1 = SCHEME.need(value(&account, REF1), "no Ref1")?;
        let reference = ref1 + value(&account, REF2).unwrap_or_default();
        let ref3 = payload.additional.get(Label::Terminal).map(str::to_owned);
        let Payload { name, city, category, .. } = payload.clone();
        let merchant = Merchant::PromptpayBill(PromptpayBill { biller, ref3, name, city, category });
        Ok(Found { merchant, reference: Some(reference), expires: None })
    };
    Some(found())
}
