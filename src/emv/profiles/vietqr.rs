//! VietQR, by NAPAS (Viet Nam): "QR switching and account transfer service", object 38.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::payload::{Format, GUID, Label, Payload, value};
use super::super::tlv::Object;
use super::super::{EmvError, Merchant, NewChargeFacts, Scheme};
use super::{Found, ascii, is_alphanumeric, is_digits, label, shaped};

pub(in super::super) const SCHEME: Scheme = Scheme { name: "VietQR", currency: "VND", country: "VN" };

const ACCOUNT: u8 = 38;
const OWNER: &str = "A000000727";
const BENEFICIARY: u8 = 1;
const BANK: u8 = 0;
const NUMBER: u8 = 1;
const SERVICE: u8 = 2;

/// VietQR. The reference is the purpose, 62.08, which becomes the text of the transfer on the statement; banks may put
/// words of their own around it. The terminal is 62.07.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vietqr {
    /// The bank's number in NAPAS.
    #[schemars(extend("examples" = ["970416"], "pattern" = "^[0-9]{6}$"))]
    pub bin: String,
    /// Account or card number.
    #[schemars(extend("examples" = ["257678859"], "pattern" = "^[0-9A-Za-z]{1,19}$"))]
    pub account: String,
    /// What the account is.
    pub service: VietqrService,
    /// The merchant, without accents.
    #[schemars(length(min = 1, max = 25), extend("examples" = ["CONG TY DEMO"]))]
    pub name: Option<String>,
    /// The city, without accents.
    #[schemars(length(min = 1, max = 15), extend("examples" = ["HA NOI"]))]
    pub city: Option<String>,
}

/// What the number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VietqrService {
    /// QRIBFTTA
    Account,
    /// QRIBFTTC
    Card,
}

impl VietqrService {
    fn code(self) -> &'static str {
        match self {
            Self::Account => "QRIBFTTA",
            Self::Card => "QRIBFTTC",
        }
    }
}

impl Vietqr {
    pub(in super::super) fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        let mut payload = SCHEME.start(charge)?;
        let Self { bin, account, .. } = self;
        let (fits, write) = match self.service {
            VietqrService::Account => (is_alphanumeric(account, 1..=19), "1 to 19 letters and digits"),
            VietqrService::Card => (is_digits(account, 16..=19), "the card's 16 to 19 digits"),
        };
        let beneficiary = [
            Object::new(BANK, shaped("bin", bin, is_digits(bin, 6..=6), "the six digits of the bank's BIN")?),
            Object::new(NUMBER, shaped("account", account, fits, write)?),
        ];
        let account = [
            Object::new(GUID, OWNER),
            Object::template(BENEFICIARY, &beneficiary)?,
            Object::new(SERVICE, self.service.code()),
        ];
        payload.accounts.push(Object::template(ACCOUNT, &account)?);
        payload.name = self.name.as_deref().map(|text| ascii("name", text, 25)).transpose()?;
        payload.city = self.city.as_deref().map(|text| ascii("city", text, 15)).transpose()?;
        label(&mut payload, Label::Purpose, charge);
        Ok(payload)
    }
}

pub(super) fn read(payload: &Payload) -> Option<Result<Found, EmvError>> {
    let (_, account) = payload.account(OWNER)?;
    let found = || {
        SCHEME.owns(payload, Format::V1)?;
        let beneficiary =
            account.iter().find(|object| object.id == BENEFICIARY).ok_or(SCHEME.fault("no beneficiary"))?.objects()?;
        let service = match value(&account, SERVICE) {
            Some("QRIBFTTA") => VietqrService::Account,
            Some("QRIBFTTC") => VietqrService::Card,
            _ => return Err(SCHEME.fault("the service is neither QRIBFTTA nor QRIBFTTC")),
        };
        let merchant = Merchant::Vietqr(Vietqr {
            bin: SCHEME.need(value(&beneficiary, BANK), "no bank")?,
            account: SCHEME.need(value(&beneficiary, NUMBER), "no account")?,
            service,
            name: payload.name.clone(),
            city: payload.city.clone(),
        });
        let reference = payload.additional.get(Label::Purpose).map(str::to_owned);
        Ok(Found { merchant, reference, expires: None })
    };
    Some(found())
}
