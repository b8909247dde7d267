//! Payment QRs that a bank account stands behind: EMVCo's merchant-presented form in seven national profiles, and UPI's
//! link. Pure: text in, text out.
//!
//! Policy: a code is shown only when every field fits its scheme; nothing is cut to fit, and an error says what to write
//! instead. Each profile knows its currency and refuses another. What is read is limited to [`tlv::LIMIT`] bytes and
//! refused with a typed error, and errors never repeat an account.
//!
//! Such a code starts a transfer. It tells the kiosk nothing: that the money came must be heard from the bank, by the
//! reference in the code, and where a profile's reference is not carried to the bank statement its documentation says
//! so.
//!
//! Sources: EMV QR Code Specification for Payment Systems, Merchant-Presented Mode, v1.1 (EMVCo, 2020), and the scheme's
//! own document, named at each profile.

mod decimal;
mod payload;
mod profiles;
mod reference;
#[cfg(test)]
mod tests;
pub mod tlv;
pub mod upi;

use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use payload::{Additional, Format, Initiation, Label, Local, Payload, Tip, value};
pub use profiles::{
    Duitnow, Paynow, PaynowProxy, Pix, PixDynamic, Promptpay, PromptpayBill, PromptpayProxy, Qris, QrisCriteria,
    Vietqr, VietqrService,
};
pub use reference::{LENGTH as REFERENCE_LENGTH, charge, reference};
pub use tlv::TlvError;
pub use upi::Upi;

use crate::vocabulary::{Currency, Minor};

/// Who is paid, and by which scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "profile", rename_all = "kebab-case")]
pub enum Merchant {
    /// Brazil, to a key, in BRL.
    Pix(Pix),
    /// Brazil, to a charge at the payment institution's address, in BRL.
    PixDynamic(PixDynamic),
    /// Thailand, to a person's or company's number, in THB.
    Promptpay(Promptpay),
    /// Thailand, to a biller, in THB.
    PromptpayBill(PromptpayBill),
    /// Singapore, in SGD.
    Paynow(Paynow),
    /// Indonesia, in IDR.
    Qris(Qris),
    /// Malaysia, in MYR.
    Duitnow(Duitnow),
    /// Viet Nam, in VND.
    Vietqr(Vietqr),
    /// India, in INR.
    Upi(Upi),
}

/// What a code says about one charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewChargeFacts<'a> {
    /// By which the bank's word is matched to the charge: 1 to 25 letters and digits; [`reference()`] makes one.
    pub reference: &'a str,
    /// More than zero.
    pub amount: Minor,
    pub currency: Currency,
    /// What the scheme may show as the terminal: 1 to 25 printable ASCII characters, or empty for none.
    pub terminal: &'a str,
    /// When the code stops to be payable, in the scheme's local time. Only PayNow can say it in the code.
    pub expires: Option<DateTime>,
}

/// What a code was found to say. Fields that the scheme does not carry are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// As the code has it: another maker's code may hold what [`Merchant::check`] refuses.
    pub merchant: Merchant,
    pub reference: Option<String>,
    pub amount: Option<Minor>,
    pub currency: Currency,
    pub terminal: Option<String>,
    pub expires: Option<DateTime>,
}

impl Merchant {
    /// The text of the QR.
    pub fn payload(&self, charge: &NewChargeFacts<'_>) -> Result<String, EmvError> {
        match self {
            Merchant::Pix(profile) => profile.payload(charge)?.encode(),
            Merchant::PixDynamic(profile) => profile.payload(charge)?.encode(),
            Merchant::Promptpay(profile) => profile.payload(charge)?.encode(),
            Merchant::PromptpayBill(profile) => profile.payload(charge)?.encode(),
            Merchant::Paynow(profile) => profile.payload(charge)?.encode(),
            Merchant::Qris(profile) => profile.payload(charge)?.encode(),
            Merchant::Duitnow(profile) => profile.payload(charge)?.encode(),
            Merchant::Vietqr(profile) => profile.payload(charge)?.encode(),
            Merchant::Upi(profile) => profile.payload(charge),
        }
    }

    /// Finds what would stop every charge, when the configuration is read and not when somebody wants to pay: the
    /// longest reference, terminal and amount are tried.
    pub fn check(&self) -> Result<(), EmvError> {
        let currency = self.currency();
        let charge = NewChargeFacts {
            reference: "9999999999999999999999999",
            amount: 9_999_999_999 * 10i64.pow(currency.digits() as u32),
            currency,
            terminal: "9999999999999999999999999",
            expires: Some(DateTime::constant(2099, 12, 31, 23, 59, 59, 0)),
        };
        self.payload(&charge).map(drop)
    }

    /// The only one the scheme settles in.
    pub fn currency(&self) -> Currency {
        self.scheme().currency()
    }

    /// A code of any of the profiles.
    pub fn read(text: &str) -> Result<Reading, EmvError> {
        if upi::is_link(text) { upi::read(text) } else { profiles::read(&Payload::parse(text)?) }
    }

    fn scheme(&self) -> &'static Scheme {
        match self {
            Merchant::Pix(_) | Merchant::PixDynamic(_) => &profiles::PIX,
            Merchant::Promptpay(_) | Merchant::PromptpayBill(_) => &profiles::PROMPTPAY,
            Merchant::Paynow(_) => &profiles::PAYNOW,
            Merchant::Qris(_) => &profiles::QRIS,
            Merchant::Duitnow(_) => &profiles::DUITNOW,
            Merchant::Vietqr(_) => &profiles::VIETQR,
            Merchant::Upi(_) => &upi::SCHEME,
        }
    }
}

/// Where a scheme pays, and in what.
struct Scheme {
    name: &'static str,
    currency: &'static str,
    country: &'static str,
}

impl Scheme {
    fn currency(&self) -> Currency {
        Currency::from_code(self.currency).expect("a scheme's currency is an ISO 4217 code")
    }

    /// What holds of a charge in every scheme.
    fn check(&self, charge: &NewChargeFacts<'_>) -> Result<(), EmvError> {
        if charge.currency.code() != self.currency {
            let got = charge.currency.code();
            return Err(EmvError::Currency { scheme: self.name, takes: self.currency, got });
        }
        let NewChargeFacts { reference, terminal, .. } = charge;
        if !(1..=25).contains(&reference.len()) || !reference.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(EmvError::Reference { scheme: self.name, takes: "1 to 25 letters and digits" });
        }
        if terminal.len() > 25 || !payload::printable(terminal) {
            return Err(field("terminal", "at most 25 printable ASCII characters"));
        }
        Ok(())
    }
}

/// Why there is no code, or none that could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmvError {
    /// A field of the configuration or of the charge.
    #[error("`{field}`: write {write}")]
    Field { field: &'static str, write: String },
    #[error("{scheme} pays in {takes}, not in {got}")]
    Currency { scheme: &'static str, takes: &'static str, got: &'static str },
    #[error("a reference for {scheme} has {takes}")]
    Reference { scheme: &'static str, takes: &'static str },
    #[error("the amount {0}")]
    Amount(&'static str),
    #[error(transparent)]
    Structure(#[from] TlvError),
    #[error("object {id:02} {why}")]
    Object { id: u8, why: &'static str },
    #[error("object {id:02} is missing")]
    Missing { id: u8 },
    #[error("no account to pay to, objects 02 to 51")]
    NoAccount,
    #[error("a code of none of the schemes that are known here")]
    UnknownScheme,
    /// Of that scheme by its name, and not by what is in it.
    #[error("not a {scheme} code: {why}")]
    NotScheme { scheme: &'static str, why: &'static str },
    #[error("not a UPI link: {0}")]
    Link(&'static str),
}

fn field(field: &'static str, write: impl Into<String>) -> EmvError {
    EmvError::Field { field, write: write.into() }
}
