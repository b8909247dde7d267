//! What a provider keeps of a payment, as an estimate: the bill has the last word.
//!
//! Policy: exact integers. A rate is whole parts per million, a fee is worked out for each payment by itself and
//! rounded once, to the minor unit; one that rounds to nothing is none. A refund gives back refund × rate, at the rate
//! of the day of the payment, and a whole refund the whole fee. Sources: WeChat Pay's page on fees of refunded orders
//! (`pay.weixin.qq.com/wechatpay_h5/pages/faq/refund.shtml`); rounding half up to the fen and "below 0.01 no fee" are
//! known from secondary texts only, so rounding is configuration.

use std::borrow::Cow;
use std::fmt;

use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Minor;

/// A payment provider's rate from a day on: one `[[rail.fee]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeeEntry {
    /// The first day it holds, in the kiosk's time zone.
    #[schemars(extend("examples" = ["2026-01-01"]))]
    pub from: Day,
    /// Of the amount paid; at most four decimals.
    #[schemars(extend("examples" = ["0.60%"]))]
    pub rate: Rate,
    /// Minor units: the least that is kept of any payment, also of one whose fee would round to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub minimum: Option<Minor>,
    /// Minor units: the most that is kept of one payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub cap: Option<Minor>,
    /// To the minor unit.
    #[serde(default)]
    pub rounding: Rounding,
}

/// What becomes of a part of a minor unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// A half and more is one: 4.5 becomes 5.
    #[default]
    HalfUp,
    /// A half goes to the even neighbour: 4.5 becomes 4.
    HalfEven,
    /// Any part is one.
    Up,
    /// Any part is nothing.
    Down,
}

/// A share of an amount, in parts per million: `0.60%` is 6000. Never more than the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u32);

/// A civil day, written as a TOML local date: `2026-01-01`, without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub Date);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    #[error("two rates begin on {0}; keep one of them")]
    SameDay(Date),
    #[error("`{key}` of the rate from {from} is {value}; write minor units from 0 on, 1 is one cent")]
    Negative { from: Date, key: &'static str, value: Minor },
    #[error("the rate from {from} keeps at least {minimum} and at most {cap}; write a `cap` of {minimum} or more")]
    CapBelowMinimum { from: Date, minimum: Minor, cap: Minor },
}

impl Rate {
    /// The whole: 100 %.
    pub const WHOLE: u32 = 1_000_000;

    pub const fn from_ppm(ppm: u32) -> Option<Self> {
        if ppm <= Self::WHOLE { Some(Self(ppm)) } else { None }
    }

    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// The part of a price that is this tax, where the price includes it: `price * rate / (1 + rate)`, halves up.
    pub fn within(self, price: Minor) -> Minor {
        let (rate, whole) = (i128::from(self.0), 1_000_000 + i128::from(self.0));
        let part = (i128::from(price) * rate * 2 + whole) / (2 * whole);
        // Less than the price it is a part of.
        Minor::try_from(part).unwrap_or(0)
    }

    /// `0.60%`, `0.6 %`, `1%`: digits, at most four decimals, a percent sign; from 0 % to 100 %.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(decimals, 4) {
            return None;
        }
        let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
        Self::from_ppm(whole.parse::<u32>().ok()? * 10_000 + decimals)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % 10_000);
        let shown = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}%", self.0 / 10_000, &decimals[..shown])
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate from 0% to 100% with at most four decimals, like \"0.60%\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                Rate::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Visitor)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,4})? *%$", "examples": ["0.60%"] })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let part = |n: i8| u8::try_from(n).map_err(serde::ser::Error::custom);
        let year = u16::try_from(self.0.year()).map_err(serde::ser::Error::custom)?;
        let date = toml::value::Date { year, month: part(self.0.month())?, day: part(self.0.day())? };
        toml::value::Datetime { date: Some(date), time: None, offset: None }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wrong = || de::Error::custom("not a day; write it without quotes and without a time, like 2026-01-01");
        let written = toml::value::Datetime::deserialize(from).map_err(|_| wrong())?;
        let toml::value::Datetime { date: Some(date), time: None, offset: None } = written else {
            return Err(wrong());
        };
        let part = |n: u8| i8::try_from(n).ok();
        let year = i16::try_from(date.year).ok();
        let day = year.zip(part(date.month)).zip(part(date.day));
        day.and_then(|((year, month), day)| Date::new(year, month, day).ok()).map(Self).ok_or_else(wrong)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })
    }
}

impl Rounding {
    /// `part` / `whole`, both not negative and `whole` not 0, to an integer.
    fn divide(self, part: i128, whole: i128) -> i128 {
        let (floor, rest) = (part / whole, part % whole);
        let up = match self {
            Rounding::HalfUp => rest * 2 >= whole,
            Rounding::HalfEven => rest * 2 > whole || (rest * 2 == whole && floor % 2 == 1),
            Rounding::Up => rest > 0,
            Rounding::Down => false,
        };
        floor + i128::from(up)
    }
}

impl FeeEntry {
    fn check(&self) -> Result<(), FeeError> {
        let from = self.from.0;
        for (key, value) in [("minimum", self.minimum), ("cap", self.cap)] {
            if let Some(value) = value.filter(|&value| value < 0) {
                return Err(FeeError::Negative { from, key, value });
            }
        }
        match (self.minimum, self.cap) {
            (Some(minimum), Some(cap)) if cap < minimum => Err(FeeError::CapBelowMinimum { from, minimum, cap }),
            _ => Ok(()),
        }
    }

    /// amount × rate, rounded; nothing of nothing.
    fn share(&self, amount: Minor) -> Minor {
        let share = self.rounding.divide(i128::from(amount.max(0)) * i128::from(self.rate.0), Rate::WHOLE.into());
        // At most the amount itself, because a rate is at most the whole.
        Minor::try_from(share).unwrap_or(Minor::MAX)
    }

    fn fee(&self, paid: Minor) -> Minor {
        if paid <= 0 {
            return 0;
        }
        let fee = self.share(paid).max(self.minimum.unwrap_or(0));
        fee.min(self.cap.unwrap_or(Minor::MAX))
    }
}

/// A provider's rates over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeeSchedule {
    /// By day, oldest first, no two of one day.
    entries: Vec<FeeEntry>,
}

impl FeeSchedule {
    /// # Errors
    /// Two rates from one day, a negative amount, a cap below the minimum.
    pub fn new(mut entries: Vec<FeeEntry>) -> Result<Self, FeeError> {
        entries.iter().try_for_each(FeeEntry::check)?;
        entries.sort_by_key(|entry| entry.from);
        match entries.windows(2).find(|pair| pair[0].from == pair[1].from) {
            Some(pair) => Err(FeeError::SameDay(pair[0].from.0)),
            None => Ok(Self { entries }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The rate that holds on a day: the newest that had begun; before the first there is none. Of a day nobody knows,
    /// the last rate of all: the clock is most often unknown right after a start, and new rates are entered when they
    /// come.
    pub fn rate_on(&self, on: Option<Date>) -> Option<&FeeEntry> {
        match on {
            Some(day) => self.entries.iter().rfind(|entry| entry.from.0 <= day),
            None => self.entries.last(),
        }
    }

    /// What the provider keeps of a payment of `amount` on a day; `None` where no rate is known. Nothing of an amount
    /// that is not positive.
    pub fn estimate(&self, amount: Minor, on: Option<Date>) -> Option<Minor> {
        Some(self.rate_on(on)?.fee(amount))
    }

    /// What it has kept in the end of a payment of `paid` on a day, of which `refunded` went back, on whatever day: the
    /// refund's share is given back, never more than the fee, and the whole fee with the whole payment. `None` where no
    /// rate is known.
    pub fn after_refund(&self, paid: Minor, refunded: Minor, on: Option<Date>) -> Option<Minor> {
        let entry = self.rate_on(on)?;
        if refunded >= paid {
            return Some(0);
        }
        Some((entry.fee(paid) - entry.share(refunded)).max(0))
    }
}

#[cfg(test)]
mod tests;
