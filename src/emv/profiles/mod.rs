//! The national profiles: which objects a scheme wants, and what each field must look like.

mod duitnow;
mod paynow;
mod pix;
mod promptpay;
mod qris;
mod vietqr;

use std::ops::RangeInclusive;

pub use duitnow::Duitnow;
pub use paynow::{Paynow, PaynowProxy};
pub use pix::{Pix, PixDynamic};
pub use promptpay::{Promptpay, PromptpayBill, PromptpayProxy};
pub use qris::{Qris, QrisCriteria};
pub use vietqr::{Vietqr, VietqrService};

pub(super) use duitnow::SCHEME as DUITNOW;
pub(super) use paynow::SCHEME as PAYNOW;
pub(super) use pix::SCHEME as PIX;
pub(super) use promptpay::SCHEME as PROMPTPAY;
pub(super) use qris::SCHEME as QRIS;
pub(super) use vietqr::SCHEME as VIETQR;

use jiff::civil::DateTime;

use super::payload::{Format, Initiation, Label, Payload, printable};
use super::{EmvError, Merchant, NewChargeFacts, Reading, Scheme, field};

/// What a profile found in a payload that is its own.
struct Found {
    merchant: Merchant,
    reference: Option<String>,
    expires: Option<DateTime>,
}

/// `None` when the payload has no account of the profile's scheme.
type Reader = fn(&Payload) -> Option<Result<Found, EmvError>>;

pub(super) fn read(payload: &Payload) -> Result<Reading, EmvError> {
    const READERS: [Reader; 7] =
        [pix::read, promptpay::read, promptpay::read_bill, paynow::read, qris::read, duitnow::read, vietqr::read];
    let found = READERS.iter().find_map(|reader| reader(payload)).ok_or(EmvError::UnknownScheme)?;
    let Found { merchant, reference, expires } = found?;
    let terminal = payload.additional.get(Label::Terminal).map(str::to_owned);
    Ok(Reading { merchant, reference, amount: payload.amount, currency: payload.currency, terminal, expires })
}

impl Scheme {
    /// A payload for one charge, with all that does not depend on the merchant.
    fn start(&self, charge: &NewChargeFacts<'_>) -> Result<Payload, EmvError> {
        self.check(charge)?;
        let mut payload = Payload::new(charge.currency);
        payload.initiation = Some(Initiation::Dynamic);
        payload.country = Some(self.country.to_owned());
        payload.amount = Some(charge.amount);
        Ok(payload)
    }

    fn fault(&self, why: &'static str) -> EmvError {
        EmvError::NotScheme { scheme: self.name, why }
    }

    /// A payload that names the scheme must also be of its version, country and currency.
    fn owns(&self, payload: &Payload, format: Format) -> Result<(), EmvError> {
        if payload.format != format {
            return Err(self.fault("another payload format, 00"));
        }
        if payload.currency.code() != self.currency {
            return Err(self.fault("another currency, 53"));
        }
        if payload.country.as_deref() != Some(self.country) {
            return Err(self.fault("another country, 58"));
        }
        Ok(())
    }

    /// `value` as text, or what the code lacks.
    fn need(&self, value: Option<&str>, why: &'static str) -> Result<String, EmvError> {
        value.map(str::to_owned).ok_or(self.fault(why))
    }
}

/// Puts the charge's reference and terminal where most schemes have them.
fn label(payload: &mut Payload, at: Label, charge: &NewChargeFacts<'_>) {
    payload.additional.labels.insert(at, charge.reference.to_owned());
    if !charge.terminal.is_empty() {
        payload.additional.labels.insert(Label::Terminal, charge.terminal.to_owned());
    }
}

/// `text` if it fits, else an error that says what to write.
fn shaped(name: &'static str, text: &str, fits: bool, write: &str) -> Result<String, EmvError> {
    if fits { Ok(text.to_owned()) } else { Err(field(name, write)) }
}

/// A name as EMV wants it.
fn ascii(name: &'static str, text: &str, most: usize) -> Result<String, EmvError> {
    let fits = (1..=most).contains(&text.len()) && printable(text) && text.trim() == text;
    shaped(name, text, fits, &format!("1 to {most} characters of printable ASCII, without spaces at the ends"))
}

fn is_digits(text: &str, lengths: RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_alphanumeric(text: &str, lengths: RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn category(text: &str) -> Result<String, EmvError> {
    let write = "the four digits of the merchant category (5814 fast food, 5499 food, 7523 parking, 0000 none)";
    shaped("category", text, is_digits(text, 4..=4), write)
}

fn no_category() -> String {
    "0000".to_owned()
}
