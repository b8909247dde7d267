//! Money: an integer of minor units and its ISO 4217 currency, never a float.

use serde::{Deserialize, Serialize};

/// An amount in minor units (cents, fen). Sums are checked by the build (`overflow-checks`); a kiosk's amounts are far
/// from the limit because [`config`](crate::config) bounds every price.
pub type Minor = i64;

/// An ISO 4217 currency, written as its alphabetic code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// ISO 4217's "no currency", where no amount is shown.
    pub const NONE: Self = Self(iso_currency::Currency::XXX);

    pub fn from_code(code: &str) -> Option<Self> {
        iso_currency::Currency::from_code(code).map(Self)
    }

    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// ISO 4217's number: 156 for CNY.
    pub fn numeric(self) -> u16 {
        self.0.numeric()
    }

    /// `¥`, `€`, `$`.
    pub fn symbol(self) -> String {
        self.0.symbol().to_string()
    }

    /// Digits after the decimal point: 2 for CNY, 0 for JPY, 3 for KWD.
    pub fn digits(self) -> usize {
        self.0.exponent().map_or(0, usize::from)
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::from_code(&code).ok_or_else(|| format!("`{code}` is not an ISO 4217 currency code"))
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: Minor,
    pub currency: Currency,
}

impl std::fmt::Display for Money {
    /// `3.00 CNY`; `¥` and the like are the glass's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.amount < 0 { "-" } else { "" };
        let digits = self.currency.digits();
        write!(f, "{sign}{} {}", decimal(self.amount.unsigned_abs(), digits), self.currency.code())
    }
}

/// Minor units with `digits` of them behind the point: 1050 with 2 is `10.50`, with 0 it is `1050`.
pub fn decimal(units: u64, digits: usize) -> String {
    let padded = format!("{units:0width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_the_currencys_digits() {
        let money = |amount, code| Money { amount, currency: Currency::from_code(code).unwrap() }.to_string();
        assert_eq!(money(300, "CNY"), "3.00 CNY");
        assert_eq!(money(-5, "EUR"), "-0.05 EUR");
        assert_eq!(money(120, "JPY"), "120 JPY");
        assert_eq!(money(1_234, "KWD"), "1.234 KWD");
    }
}
