//! Names and numbers. Whatever reaches a provider is `[0-9A-Za-z_]`, 6 to 32 characters; order numbers sort by age.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::{is_name, read_and_written, text};

macro_rules! schema {
    ($type:ident, $pattern:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// An order's number: a ULID, 26 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId(ulid::Ulid);

impl OrderId {
    /// `millis` since 1970 as far as known, `entropy` of which 80 bits are used.
    pub fn from_parts(millis: u64, entropy: u128) -> Self {
        Self(ulid::Ulid::from_parts(millis, entropy))
    }

    pub fn parse(text: &str) -> Option<Self> {
        ulid::Ulid::from_string(text).ok().map(Self)
    }

    pub fn millis(self) -> u64 {
        self.0.timestamp_ms()
    }

    /// A later number, near this one and not to be guessed from it; used when the clock does not give a later one. 64 bits
    /// of `entropy` are used: a small part of a millisecond's numbers, and far more than there are short codes.
    pub fn later(self, entropy: u128) -> Self {
        let step = 1 + (entropy & u128::from(u64::MAX));
        Self(ulid::Ulid(self.0.0.wrapping_add(step)))
    }

    /// Six digits that stand for the order on the glass, on paper and in the payer's app.
    pub fn short_code(self) -> ShortCode {
        ShortCode(format!("{:06}", self.0.0 % 1_000_000))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

read_and_written!(OrderId, "order number", usize::MAX);
schema!(OrderId, "^[0-9A-HJKMNP-TV-Z]{26}$");

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:literal, $allowed:literal) => {
        text!($(#[$doc])* $type, $what, usize::MAX, |text| is_name(text, $max, $allowed));

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": $max })
            }
        }
    };
}

name!(
    /// A product's key in the planogram: `cola`.
    ProductId, "product key (letters, digits, `_` and `-`, at most 32)", 32, b"_-"
);
name!(
    /// A category's key on the shelf: `drinks`.
    CategoryId, "category key (letters, digits, `_` and `-`, at most 32)", 32, b"_-"
);

impl CategoryId {
    /// No category's key: it means all of them.
    pub const ALL: &str = "all";
}

name!(
    /// A slot's name as printed on the machine: `A1`.
    SlotId, "slot name (letters, digits, `_` and `-`, at most 16)", 16, b"_-"
);
name!(
    /// A lane of a car park, and with it its gate: `exit-1`.
    LaneId, "lane name (letters, digits, `_` and `-`, at most 16)", 16, b"_-"
);
name!(
    /// One car's stay.
    StayId, "stay number (letters, digits, `_` and `-`, at most 32)", 32, b"_-"
);
name!(
    /// A payment method's name on this kiosk: `wechat`. Its kind, where the configuration says nothing else.
    RailName, "name of a rail (letters, digits, `_` and `-`, at most 24)", 24, b"_-"
);
name!(
    /// A charge's number at its provider: the order's, `_`, and the attempt.
    ChargeId, "charge number", 32, b"_"
);
name!(
    /// A refund's number at its provider: `R_`, the charge's, `_`, and which one. Never made anew for a repeat.
    RefundId, "refund number", 64, b"_"
);
name!(
    /// The provider's own number of one payment.
    PaymentId, "payment number", 64, b"_-"
);
name!(
    /// One run of the daemon. Monotonic times and "same boot" mean this.
    BootId, "boot number", 36, b"-"
);

impl ChargeId {
    pub fn of(order: OrderId, attempt: usize) -> Self {
        Self(format!("{order}_{attempt}"))
    }

    /// The order it was made for, told from the number alone.
    pub fn order(&self) -> Option<OrderId> {
        OrderId::parse(self.0.split_once('_')?.0)
    }
}

impl RefundId {
    pub fn of(charge: &ChargeId, nth: usize) -> Self {
        Self(format!("R_{charge}_{nth}"))
    }

    /// The charge that it gives back, told from the number alone.
    pub fn charge(&self) -> Option<ChargeId> {
        let (charge, nth) = self.0.strip_prefix("R_")?.rsplit_once('_')?;
        let charge = ChargeId::parse(charge)?;
        (Self::of(&charge, nth.parse().ok()?) == *self).then_some(charge)
    }
}

/// Six digits; see [`OrderId::short_code`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShortCode(String);

schema!(ShortCode, "^[0-9]{6}$");

impl ShortCode {
    pub const DIGITS: usize = 6;

    /// Its last three digits, short enough to be called out.
    pub fn pickup(&self) -> &str {
        &self.as_str()[Self::DIGITS - 3..]
    }

    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == Self::DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_numbers_fit_every_provider() {
        let order = OrderId::from_parts(u64::MAX >> 16, u128::MAX);
        let charge = ChargeId::of(order, 9);
        for id in [charge.as_str(), RefundId::of(&charge, 9).as_str()] {
            assert!((6..=32).contains(&id.len()), "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{id}");
        }
        assert_eq!(charge.order(), Some(order));
        assert_eq!(RefundId::of(&charge, 9).charge(), Some(charge.clone()));
        for bad in ["1", "R_1", "R__1", "R_C", "R_C_x", "R_C_01", "R_C_", "S_C_1"] {
            assert_eq!(RefundId::parse(bad).unwrap().charge(), None, "{bad}");
        }
        assert_eq!(order.short_code().as_str().len(), ShortCode::DIGITS);
    }

    #[test]
    fn names_refuse_what_a_path_or_topic_could_misread() {
        for bad in ["", "a/b", "a b", "+", "#", "..", "ä", "x123456789012345678901234567890123"] {
            assert!(ProductId::parse(bad).is_none(), "{bad}");
        }
    }
}
