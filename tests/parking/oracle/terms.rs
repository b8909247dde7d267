//! A tariff's file as the oracle reads it, with nothing of the product's reader. It believes that the file is valid.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::value::Datetime;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    #[serde(rename = "name")]
    pub _name: BTreeMap<String, String>,
    #[serde(rename = "currency")]
    pub _currency: String,
    pub zone: String,
    #[serde(default = "car")]
    pub classes: Vec<String>,
    #[serde(default)]
    pub rounding: Rounding,
    #[serde(default)]
    pub crossing: Crossing,
    #[serde(default)]
    pub restart: Restart,
    #[serde(default)]
    pub last_minute: LastMinute,
    #[serde(default, rename = "may_fall")]
    pub _may_fall: bool,
    pub tax: Option<Tax>,
    #[serde(default)]
    pub holidays: Holidays,
    #[serde(default)]
    pub grace: Grace,
    pub free: Option<Free>,
    #[serde(default)]
    pub rate: Vec<Rate>,
    #[serde(default)]
    pub fixed: Vec<Fixed>,
    #[serde(default)]
    pub cap: Vec<Cap>,
    pub lost: Option<Lost>,
    #[serde(default)]
    pub validation: Vec<Validation>,
    #[serde(default)]
    pub season: Vec<Season>,
    pub re_entry: Option<ReEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    pub name: String,
    pub classes: Option<Vec<String>>,
    pub days: Option<Vec<String>>,
    pub from: Option<String>,
    pub until: Option<String>,
    pub first: Option<Bound>,
    pub last: Option<Bound>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReEntry {
    pub within: i64,
}

fn car() -> Vec<String> {
    vec!["car".to_owned()]
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    #[default]
    Up,
    Down,
    Minute,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub enum Crossing {
    #[default]
    #[serde(rename = "runs-on")]
    RunsOn,
    #[serde(rename = "cut")]
    Cut,
    #[serde(rename = "split")]
    Split,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub enum Restart {
    #[default]
    #[serde(rename = "never")]
    Never,
    #[serde(rename = "window")]
    Window,
    #[serde(rename = "day")]
    Day,
    #[serde(rename = "24h")]
    Hours24,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastMinute {
    #[default]
    Excluded,
    Included,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    pub rate: String,
    pub included: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holidays {
    #[serde(default)]
    pub dates: Vec<Datetime>,
    #[serde(default)]
    pub yearly: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grace {
    #[serde(default)]
    pub entry: i64,
    #[serde(default)]
    pub leaving: i64,
    #[serde(default)]
    pub payment: i64,
    #[serde(default)]
    pub late: Late,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Late {
    #[default]
    Difference,
    Anew,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Free {
    pub minutes: i64,
    #[serde(default)]
    pub per: FreePer,
    pub exceeded: Exceeded,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FreePer {
    #[default]
    Stay,
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exceeded {
    Lost,
    Deducted,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    Date(Datetime),
    Yearly(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    #[serde(default, rename = "name")]
    pub _name: BTreeMap<String, String>,
    pub classes: Option<Vec<String>>,
    pub days: Option<Vec<String>>,
    pub from: Option<String>,
    pub until: Option<String>,
    pub first: Option<Bound>,
    pub last: Option<Bound>,
    #[serde(default)]
    pub free: bool,
    pub flat: Option<i64>,
    pub steps: Option<Vec<Step>>,
    pub rounding: Option<Rounding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub minutes: i64,
    pub price: i64,
    #[serde(default = "once")]
    pub times: i64,
}

fn once() -> i64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    #[serde(default, rename = "name")]
    pub _name: BTreeMap<String, String>,
    pub classes: Option<Vec<String>>,
    pub days: Option<Vec<String>>,
    pub from: Option<String>,
    pub until: Option<String>,
    pub first: Option<Bound>,
    pub last: Option<Bound>,
    pub price: i64,
    pub out_from: Option<String>,
    pub out_until: Option<String>,
    #[serde(default)]
    pub out_day: i64,
    pub longest: Option<i64>,
    pub applies: Applies,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub enum Applies {
    #[serde(rename = "always")]
    Always,
    #[serde(rename = "when-lower")]
    WhenLower,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub classes: Option<Vec<String>>,
    pub days: Option<Vec<String>>,
    pub from: Option<String>,
    pub until: Option<String>,
    pub first: Option<Bound>,
    pub last: Option<Bound>,
    pub amount: i64,
    pub per: CapPer,
    pub hours: Option<i64>,
    #[serde(default)]
    pub midnight: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CapPer {
    Stay,
    Day,
    Hours,
    Window,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    pub price: Option<i64>,
    pub since: Option<String>,
    #[serde(default)]
    pub surcharge: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    pub name: String,
    pub minutes: Option<i64>,
    pub percent: Option<i64>,
    pub amount: Option<i64>,
}

/// `07:30` is 450, `24:00` is 1440.
pub fn minute_of_day(text: &str) -> i64 {
    let (hours, minutes) = text.split_once(':').unwrap();
    hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap()
}

/// `11-01` as (11, 1).
pub fn month_day(text: &str) -> (i64, i64) {
    let (month, day) = text.split_once('-').unwrap();
    (month.parse().unwrap(), day.parse().unwrap())
}

/// The days, months and years of a date without a time.
pub fn date(date: &Datetime) -> (i64, i64, i64) {
    let date = date.date.unwrap();
    (i64::from(date.year), i64::from(date.month), i64::from(date.day))
}

/// `6.25%` in millionths.
pub fn millionths(share: &str) -> i128 {
    let number = share.strip_suffix('%').unwrap();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part: i128 = format!("{part:0<4}").parse().unwrap();
    whole.parse::<i128>().unwrap() * 10_000 + part
}
