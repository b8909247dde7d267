//! The keys of a tariff's file, as serde reads them.

use serde::Deserialize;
use toml::Spanned;

use super::{Applies, Crossing, Exceeded, FreePer, LastMinute, Late, Restart, Rounding, Share};
use crate::vocabulary::Localized;
use crate::vocabulary::fee::Day;

pub type Text = Spanned<String>;
pub type Number = Spanned<i64>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: Spanned<Localized>,
    pub currency: Text,
    pub zone: Text,
    #[serde(default)]
    pub classes: Vec<Text>,
    pub tax: Option<TaxFile>,
    #[serde(default)]
    pub holidays: HolidaysFile,
    #[serde(default)]
    pub last_minute: LastMinute,
    #[serde(default)]
    pub crossing: Crossing,
    #[serde(default)]
    pub restart: Restart,
    #[serde(default)]
    pub may_fall: bool,
    #[serde(default)]
    pub may_differ: bool,
    #[serde(default)]
    pub rounding: Rounding,
    #[serde(default)]
    pub grace: GraceFile,
    pub free: Option<FreeFile>,
    #[serde(default, rename = "rate")]
    pub rates: Vec<Spanned<RateFile>>,
    #[serde(default)]
    pub fixed: Vec<Spanned<FixedFile>>,
    #[serde(default, rename = "cap")]
    pub caps: Vec<Spanned<CapFile>>,
    pub lost: Option<Spanned<LostFile>>,
    #[serde(default, rename = "validation")]
    pub validations: Vec<Spanned<ValidationFile>>,
    #[serde(default, rename = "season")]
    pub seasons: Vec<Spanned<SeasonFile>>,
    pub re_entry: Option<ReEntryFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxFile {
    pub rate: Share,
    pub included: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct HolidaysFile {
    #[serde(default)]
    pub dates: Vec<Day>,
    #[serde(default)]
    pub yearly: Vec<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct GraceFile {
    pub entry: Option<Number>,
    pub leaving: Option<Number>,
    pub payment: Option<Number>,
    #[serde(default)]
    pub late: Late,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeFile {
    pub minutes: Number,
    #[serde(default)]
    pub per: FreePer,
    pub exceeded: Exceeded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateFile {
    pub name: Option<Spanned<Localized>>,
    pub days: Option<Spanned<Vec<Text>>>,
    pub from: Option<Text>,
    pub until: Option<Text>,
    pub first: Option<Spanned<Edge>>,
    pub last: Option<Spanned<Edge>>,
    pub classes: Option<Spanned<Vec<Text>>>,
    pub free: Option<bool>,
    pub flat: Option<Number>,
    pub steps: Option<Spanned<Vec<StepFile>>>,
    pub rounding: Option<Spanned<Rounding>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    pub minutes: Number,
    pub price: Number,
    pub times: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedFile {
    pub name: Option<Spanned<Localized>>,
    pub days: Option<Spanned<Vec<Text>>>,
    pub from: Option<Text>,
    pub until: Option<Text>,
    pub first: Option<Spanned<Edge>>,
    pub last: Option<Spanned<Edge>>,
    pub classes: Option<Spanned<Vec<Text>>>,
    pub price: Number,
    pub applies: Applies,
    pub out_from: Option<Text>,
    pub out_until: Option<Text>,
    pub out_day: Option<Number>,
    pub longest: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapFile {
    pub amount: Number,
    pub per: Spanned<CapWord>,
    pub hours: Option<Number>,
    pub midnight: Option<Spanned<bool>>,
    pub days: Option<Spanned<Vec<Text>>>,
    pub from: Option<Text>,
    pub until: Option<Text>,
    pub first: Option<Spanned<Edge>>,
    pub last: Option<Spanned<Edge>>,
    pub classes: Option<Spanned<Vec<Text>>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CapWord {
    Stay,
    Day,
    Hours,
    Window,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostFile {
    pub price: Option<Number>,
    pub since: Option<Text>,
    pub surcharge: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationFile {
    pub name: Text,
    pub minutes: Option<Number>,
    pub percent: Option<Number>,
    pub amount: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeasonFile {
    pub name: Text,
    pub days: Option<Spanned<Vec<Text>>>,
    pub from: Option<Text>,
    pub until: Option<Text>,
    pub first: Option<Spanned<Edge>>,
    pub last: Option<Spanned<Edge>>,
    pub classes: Option<Spanned<Vec<Text>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReEntryFile {
    pub within: Number,
}

/// The first or last day of a time of the year: a date of one year, or month and day of every year.
pub enum Edge {
    Once(Day),
    Yearly(String),
}

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wrong = "write a date without quotes, 2026-05-01, or for every year month and day, \"05-01\"";
        match toml::Value::deserialize(from)? {
            toml::Value::String(text) => Ok(Self::Yearly(text)),
            value => value.try_into().map(Self::Once).map_err(|_| serde::de::Error::custom(wrong)),
        }
    }
}
