//! PIX, by the Banco Central do Brasil: "Manual de Padrões para Iniciação do Pix" and "Manual do BR Code".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::payload::{Format, GUID, Label, Payload, value};
use super::super::tlv::Object;
use super::super::{EmvError, Merchant, NewChargeFacts, Scheme, field};
use super::{Found, ascii, category, no_category, shaped};

pub(in super::super) const SCHEME: Scheme = Scheme { name: "PIX", currency: "BRL", country: "BR" };

const OWNER: &str = "br.gov.bcb.pix";
const ACCOUNT: u8 = 26;
const KEY: u8 = 1;
const INFO: u8 = 2;
const URL: u8 = 25;
/// Of a template's 99 characters, what the owner and one more object's header leave.
const ROOM: usize = 99 - (4 + OWNER.len()) - 4;
/// Where the reference goes in [`PixDynamic::url`].
const PLACE: &str = "{reference}";
/// Asks the payer's institution for a number of its own.
const NO_REFERENCE: &str = "***";

/// PIX to a key. The reference is the `txid`, object 62.05, and comes back with the payment. The terminal is not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pix {
    /// CPF (11 digits), CNPJ (14), telephone (`+5561912345678`), e-mail in small letters, or a random key (a UUID).
    #[schemars(length(min = 5, max = 77), extend("examples" = ["123e4567-e12b-12d1-a456-426655440000"]))]
    pub key: String,
    /// A word to the payer; key and this together have at most 73 characters.
    #[schemars(length(min = 1, max = 72), extend("examples" = ["Bebidas"]))]
    pub info: Option<String>,
    /// The merchant, without accents.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["Fulano de Tal"]))]
    pub name: String,
    /// The city, without accents.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["BRASILIA"]))]
    pub city: String,
    /// CEP, eight digits.
    #[schemars(extend("examples" = ["70074900"], "pattern" = "^[0-9]{8}$"))]
    pub postal: Option<String>,
    /// Merchant category, four digits.
    #[serde(default = "no_category")]
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: String,
}

/// PIX by an address at the payment institution, which answers it with the signed charge: amount, expiry and number are
/// there and not in the code. The reference is the part of the address that `{reference}` stands for; the terminal is
/// not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PixDynamic {
    /// Without `https://`, with `{reference}` once where the charge's reference goes; at most 77 characters then.
    #[schemars(extend("examples" = ["pix.example.com/qr/v2/{reference}"]))]
    pub url: String,
    /// The merchant, without accents.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["Fulano de Tal"]))]
    pub name: String,
    /// The city, without accents.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["BRASILIA"]))]
    pub city: String,
    /// CEP, eight digits.
    #[schemars(extend("examples" = ["70074900"], "pattern" = "^[0-9]{8}$"))]
    pub postal: Option<String>,
    /// Merchant category, four digits.
    #[serde(default = "no_category")]
    #[schemars(extend("examples" = ["5814"], "pattern" = "^[0-9]{4}$"))]
    pub category: String,
}

impl Pix {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        // 12 would make it an address to ask; the manual's codes with a key leave the object out.
        payload.initiation = None;
        let write = "a CPF (11 digits), CNPJ (14), telephone (+55…), e-mail in small letters or random key (UUID)";
        let mut account =
            vec![Object::new(GUID, OWNER), Object::new(KEY, shaped("key", &self.key, is_key(&self.key), write)?)];
        if let Some(info) = &self.info {
            account.push(Object::new(INFO, ascii("info", info, ROOM.saturating_sub(4 + self.key.len()))?));
        }
        payload.accounts.push(Object::template(ACCOUNT, &account)?);
        let place = Place { name: &self.name, city: &self.city, postal: self.postal.as_deref() };
        place.put(&mut payload, &self.category)?;
        payload.additional.labels.insert(Label::Reference, charge.reference.to_owned());
        Ok(payload)
    }
}

impl PixDynamic {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        payload.amount = None;
        let url = self.url.replacen(PLACE, charge.reference, 1);
        let fits = self.url.matches(PLACE).count() == 1
            && url.len() <= ROOM
            && url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'{' | b'}' | b'"' | b'<' | b'>' | b'\\'))
            && !url.contains("://")
            && url.split_once('/').is_some_and(|(host, path)| host.contains('.') && !path.is_empty());
        if !fits {
            let write = format!("host and path without https://, with {PLACE} once, at most {ROOM} characters with it");
            return Err(field("url", write));
        }
        payload.accounts.push(Object::template(ACCOUNT, &[Object::new(GUID, OWNER), Object::new(URL, url)])?);
        let place = Place { name: &self.name, city: &self.city, postal: self.postal.as_deref() };
        place.put(&mut payload, &self.category)?;
        payload.additional.labels.insert(Label::Reference, NO_REFERENCE.to_owned());
        Ok(payload)
    }
}

/// What both kinds say of the merchant.
struct Place<'a> {
    name: &'a str,
    city: &'a str,
    postal: Option<&'a str>,
}

impl Place<'_> {
    fn put(&self, payload: &mut Payload, code: &str) -> Result<(), EmvError> {
        payload.category = Some(category(code)?);
        payload.name = Some(ascii("name", self.name, 25)?);
        payload.city = Some(ascii("city", self.city, 15)?);
        payload.postal = self
            .postal
            .map(|cep| shaped("postal", cep, super::is_digits(cep, 8..=8), "the eight digits of the CEP"))
            .transpose()?;
        Ok(())
    }
}

/// By shape; whether a key belongs to anybody only the central directory knows.
fn is_key(key: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if let Some(telephone) = key.strip_prefix('+') {
        return (10..=14).contains(&telephone.len()) && digits(telephone) && !telephone.starts_with('0');
    }
    if let Some((local, domain)) = key.split_once('@') {
        let plain = key.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase());
        return plain && key.len() <= ROOM && !local.is_empty() && domain.contains('.') && !domain.contains('@');
    }
    match key.len() {
        11 => digits(key),
        // From July 2026 a CNPJ's first twelve may be letters too.
        14 => {
            let (body, check) = key.as_bytes().split_at(12);
            body.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) && check.iter().all(u8::is_ascii_digit)
        }
        36 => key.bytes().enumerate().all(|(index, b)| match index {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        }),
        _ => false,
    }
}

pub(super) fn read(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, account) = payload.account(OWNER)?;
    Some(found(payload, &account))
}

fn found(payload: &Payload, account: &[Object]) -> Result<Found, EmvError> {
    SCHEME.owns(payload, Format::V1)?;
    let name = SCHEME.need(payload.name.as_deref(), "no merchant name, 59")?;
    let city = SCHEME.need(payload.city.as_deref(), "no city, 60")?;
    let category = SCHEME.need(payload.category.as_deref(), "no merchant category, 52")?;
    let postal = payload.postal.clone();
    let merchant = match (value(account, KEY), value(account, URL)) {
        (Some(key), None) => {
            let info = value(account, INFO).map(str::to_owned);
            Merchant::Pix(Pix { key: key.to_owned(), info, name, city, postal, category })
        }
        (None, Some(url)) => Merchant::PixDynamic(PixDynamic { url: url.to_owned(), name, city, postal, category }),
        (Some(_), Some(_)) => return Err(SCHEME.fault("both a key and an address")),
        (None, None) => return Err(SCHEME.fault("neither a key nor an address")),
    };
    let reference = payload.additional.get(Label::Reference).filter(|text| *text != NO_REFERENCE);
    Ok(Found { merchant, reference: reference.map(str::to_owned), expires: None })
}
