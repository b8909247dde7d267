//! A merchant-presented payload with its fields as types (EMV QRCPS-MPM v1.1, §4.2 to §4.8).
//!
//! Reading is for payloads in the field, where names are longer than allowed and schemes leave objects out. Writing obeys
//! the same rules and more: names are printable ASCII and keep their limits, and the objects are in the order of their
//! IDs.

use std::collections::BTreeMap;

use super::tlv::{self, Object};
use super::{EmvError, decimal};
use crate::vocabulary::{Currency, Minor};

mod id {
    pub const FORMAT: u8 = 0;
    pub const INITIATION: u8 = 1;
    pub const CATEGORY: u8 = 52;
    pub const CURRENCY: u8 = 53;
    pub const AMOUNT: u8 = 54;
    pub const TIP: u8 = 55;
    pub const TIP_FIXED: u8 = 56;
    pub const TIP_PERCENT: u8 = 57;
    pub const COUNTRY: u8 = 58;
    pub const NAME: u8 = 59;
    pub const CITY: u8 = 60;
    pub const POSTAL: u8 = 61;
    pub const ADDITIONAL: u8 = 62;
    pub const LOCAL: u8 = 64;
}

/// The identifier of a template's owner, inside the template.
pub const GUID: u8 = 0;

/// Lists of objects are in the order of their IDs, whatever it was in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub format: Format,
    pub initiation: Option<Initiation>,
    /// 02 to 51: to whom, one object a scheme. 26 to 51 are templates with a [`GUID`].
    pub accounts: Vec<Object>,
    /// 52, the ISO 18245 merchant category: four digits.
    pub category: Option<String>,
    /// 53
    pub currency: Currency,
    /// 54; without it the payer types one.
    pub amount: Option<Minor>,
    /// 55 to 57
    pub tip: Option<Tip>,
    /// 58, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// 59; written with at most 25 characters.
    pub name: Option<String>,
    /// 60; written with at most 15 characters.
    pub city: Option<String>,
    /// 61; written with at most 10 characters.
    pub postal: Option<String>,
    /// 62
    pub additional: Additional,
    /// 64
    pub local: Option<Local>,
    /// 65 to 79, reserved, and 80 to 99, templates that schemes made for themselves.
    pub others: Vec<Object>,
}

/// 00. Everybody's is `01`; DuitNow has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    V1,
    V2,
}

/// 01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiation {
    /// The same code for every payer.
    Static,
    /// A code for one payment.
    Dynamic,
}

/// What the payer adds to the amount. A kiosk asks for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tip {
    /// The payer's app asks.
    Prompt,
    Fixed(Minor),
    /// In hundredths of a percent.
    Percent(Minor),
}

/// 57: 99.99 % (EMVCo merchant-presented mode, data object 57), in hundredths of a percent.
const LARGEST_SHARE: Minor = 9_999;

/// 62: what the two ends call the payment. `***` asks the payer's app to fill the label in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additional {
    /// At most 25 characters each.
    pub labels: BTreeMap<Label, String>,
    /// 10 to 49, reserved, and 50 to 99, templates of payment systems.
    pub others: Vec<Object>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Label {
    Bill = 1,
    Mobile = 2,
    Store = 3,
    Loyalty = 4,
    Reference = 5,
    Customer = 6,
    Terminal = 7,
    Purpose = 8,
    /// Which of address, mobile and e-mail the payer's app should tell: `A`, `M`, `E`.
    ConsumerRequest = 9,
}

impl Label {
    const ALL: [Label; 9] = [
        Label::Bill,
        Label::Mobile,
        Label::Store,
        Label::Loyalty,
        Label::Reference,
        Label::Customer,
        Label::Terminal,
        Label::Purpose,
        Label::ConsumerRequest,
    ];

    fn of(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|label| *label as u8 == id)
    }
}

/// 64: the merchant in the script of the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// ISO 639, two letters.
    pub language: String,
    /// At most 25 characters.
    pub name: String,
    /// At most 15 characters.
    pub city: Option<String>,
    /// 03 to 99, reserved.
    pub others: Vec<Object>,
}

impl Payload {
    pub fn new(currency: Currency) -> Self {
        Self {
            format: Format::V1,
            initiation: None,
            accounts: Vec::new(),
            category: None,
            currency,
            amount: None,
            tip: None,
            country: None,
            name: None,
            city: None,
            postal: None,
            additional: Additional::default(),
            local: None,
            others: Vec::new(),
        }
    }

    pub fn parse(text: &str) -> Result<Self, EmvError> {
        let mut objects = tlv::open(text)?;
        objects.sort_by_key(|object| object.id);
        for object in &objects {
            check(object)?;
        }
        let mut take = |id: u8| {
            let index = objects.iter().position(|object| object.id == id)?;
            Some(objects.remove(index).value)
        };
        let format = if take(id::FORMAT).as_deref() == Some("02") { Format::V2 } else { Format::V1 };
        let initiation = take(id::INITIATION).map(|v| if v == "12" { Initiation::Dynamic } else { Initiation::Static });
        let code = take(id::CURRENCY).ok_or(EmvError::Missing { id: id::CURRENCY })?;
        let currency = numbered(&code).ok_or(EmvError::Object { id: id::CURRENCY, why: CURRENCY })?;
        let digits = currency.digits();
        let amount = take(id::AMOUNT).map(|text| decimal::read(&text, digits)).transpose()?;
        let tip = tip(take(id::TIP), take(id::TIP_FIXED), take(id::TIP_PERCENT), digits)?;
        let category = take(id::CATEGORY);
        let (country, name, city, postal) = (take(id::COUNTRY), take(id::NAME), take(id::CITY), take(id::POSTAL));
        let additional = take(id::ADDITIONAL).map(|text| Additional::parse(&text)).transpose()?.unwrap_or_default();
        let local = take(id::LOCAL).map(|text| Local::parse(&text)).transpose()?;
        // Whatever is left has the ID of an account or one above 64: every other was taken.
        let (accounts, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object.id < id::CATEGORY);
        if accounts.is_empty() {
            return Err(EmvError::NoAccount);
        }
        Ok(Self {
            format,
            initiation,
            accounts,
            category,
            currency,
            amount,
            tip,
            country,
            name,
            city,
            postal,
            additional,
            local,
            others,
        })
    }

    pub fn encode(&self) -> Result<String, EmvError> {
        if self.accounts.is_empty() {
            return Err(EmvError::NoAccount);
        }
        let texts = [
            (id::NAME, &self.name, 25, "must be at most 25 characters of printable ASCII"),
            (id::CITY, &self.city, 15, "must be at most 15 characters of printable ASCII"),
            (id::POSTAL, &self.postal, 10, "must be at most 10 characters of printable ASCII"),
        ];
        for (id, text, most, why) in texts {
            if text.as_deref().is_some_and(|text| text.len() > most || !printable(text)) {
                return Err(EmvError::Object { id, why });
            }
        }
        let mut objects = self.accounts.clone();
        objects.extend(self.others.iter().cloned());
        let mut put = |id: u8, value: Option<&str>| objects.extend(value.map(|value| Object::new(id, value)));
        put(id::FORMAT, Some(if self.format == Format::V2 { "02" } else { "01" }));
        put(id::INITIATION, self.initiation.map(|i| if i == Initiation::Dynamic { "12" } else { "11" }));
        put(id::CURRENCY, Some(&format!("{:03}", iso(self.currency).numeric())));
        let digits = self.currency.digits();
        put(id::AMOUNT, self.amount.map(|minor| decimal::write(minor, digits)).transpose()?.as_deref());
        match self.tip {
            None => {}
            Some(Tip::Prompt) => put(id::TIP, Some("01")),
            Some(Tip::Fixed(minor)) => {
                put(id::TIP, Some("02"));
                put(id::TIP_FIXED, Some(&decimal::write(minor, digits)?));
            }
            Some(Tip::Percent(hundredths)) => {
                put(id::TIP, Some("03"));
                put(id::TIP_PERCENT, Some(&decimal::write(hundredths, 2)?));
            }
        }
        put(id::CATEGORY, self.category.as_deref());
        put(id::COUNTRY, self.country.as_deref());
        put(id::NAME, self.name.as_deref());
        put(id::CITY, self.city.as_deref());
        put(id::POSTAL, self.postal.as_deref());
        objects.extend(self.additional.object()?);
        objects.extend(self.local.as_ref().map(Local::object).transpose()?);
        objects.sort_by_key(|object| object.id);
        for object in &objects {
            check(object)?;
        }
        Ok(tlv::seal(&objects)?)
    }

    /// The account template of the scheme called `guid`, in capitals or not (`br.gov.bcb.pix`, `BR.GOV.BCB.PIX`).
    pub fn account(&self, guid: &str) -> Option<(u8, Vec<Object>)> {
        self.accounts.iter().filter(|object| object.id >= 26).find_map(|object| {
            let inside = object.objects().ok()?;
            let owner = value(&inside, GUID)?;
            owner.eq_ignore_ascii_case(guid).then_some((object.id, inside))
        })
    }
}

impl Additional {
    pub fn get(&self, label: Label) -> Option<&str> {
        self.labels.get(&label).map(String::as_str)
    }

    fn parse(text: &str) -> Result<Self, EmvError> {
        let mut additional = Self::default();
        let mut objects = Object::new(id::ADDITIONAL, text).objects()?;
        objects.sort_by_key(|object| object.id);
        for object in objects {
            match Label::of(object.id) {
                Some(label) => drop(additional.labels.insert(label, object.value)),
                None => additional.others.push(object),
            }
        }
        Ok(additional)
    }

    fn object(&self) -> Result<Option<Object>, EmvError> {
        let mut objects: Vec<Object> =
            self.labels.iter().map(|(label, text)| Object::new(*label as u8, text.as_str())).collect();
        objects.extend(self.others.iter().cloned());
        objects.sort_by_key(|object| object.id);
        if objects.is_empty() { Ok(None) } else { Ok(Some(Object::template(id::ADDITIONAL, &objects)?)) }
    }
}

impl Local {
    fn parse(text: &str) -> Result<Self, EmvError> {
        let mut others = Object::new(id::LOCAL, text).objects()?;
        others.sort_by_key(|object| object.id);
        let mut take = |id: u8| {
            let index = others.iter().position(|object| object.id == id)?;
            Some(others.remove(index).value)
        };
        let bad = || EmvError::Object { id: id::LOCAL, why: LOCAL };
        Ok(Self { language: take(0).ok_or_else(bad)?, name: take(1).ok_or_else(bad)?, city: take(2), others })
    }

    fn object(&self) -> Result<Object, EmvError> {
        let mut objects = vec![Object::new(0, self.language.as_str()), Object::new(1, self.name.as_str())];
        objects.extend(self.city.as_deref().map(|city| Object::new(2, city)));
        objects.extend(self.others.iter().cloned());
        Ok(Object::template(id::LOCAL, &objects)?)
    }
}

/// The value of `id` among `objects`.
pub fn value(objects: &[Object], id: u8) -> Option<&str> {
    objects.iter().find(|object| object.id == id).map(|object| object.value.as_str())
}

/// EMV's "alphanumeric special": ASCII without control characters.
pub(super) fn printable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

const CURRENCY: &str = "must be the three digits of an ISO 4217 currency";
const LOCAL: &str =
    "must hold a language of two letters, a name of at most 25 characters and perhaps a city of at most 15";
const TIP: &str = "must be 01, 02 with a fixed amount in 56, or 03 with a percentage in 57";

/// What every object must be, read or written. Amounts are [`decimal`]'s business.
fn check(object: &Object) -> Result<(), EmvError> {
    let Object { id, value } = object;
    let digits = |n: usize| value.len() == n && value.bytes().all(|b| b.is_ascii_digit());
    let fault = match *id {
        id::FORMAT => (!matches!(value.as_str(), "01" | "02")).then_some("must be 01 or 02"),
        id::INITIATION => (!matches!(value.as_str(), "11" | "12")).then_some("must be 11 or 12"),
        26..=51 => guid(object)?,
        id::CATEGORY => (!digits(4)).then_some("must be four digits"),
        id::CURRENCY => (!digits(3)).then_some(CURRENCY),
        id::COUNTRY => (value.len() != 2 || !value.bytes().all(|b| b.is_ascii_uppercase()))
            .then_some("must be the two capitals of an ISO 3166 country"),
        id::ADDITIONAL => labels(object)?,
        id::LOCAL => local(object)?,
        80..=99 => guid(object)?,
        _ => None,
    };
    fault.map_or(Ok(()), |why| Err(EmvError::Object { id: *id, why }))
}

fn guid(object: &Object) -> Result<Option<&'static str>, EmvError> {
    let owner = object.objects()?.first().map_or(99, |first| first.id);
    Ok((owner != GUID).then_some("must be a template that begins with its owner's identifier, 00"))
}

fn labels(object: &Object) -> Result<Option<&'static str>, EmvError> {
    for Object { id, value } in object.objects()? {
        let characters = value.chars().count();
        match Label::of(id) {
            Some(Label::ConsumerRequest) if characters > 3 || !value.chars().all(|c| "AME".contains(c)) => {
                return Ok(Some("09 must be of the letters A, M and E"));
            }
            Some(_) if characters > 25 => return Ok(Some("a label must have at most 25 characters")),
            _ => {}
        }
    }
    Ok(None)
}

fn local(object: &Object) -> Result<Option<&'static str>, EmvError> {
    let inside = object.objects()?;
    let at_most = |id: u8, most: usize| value(&inside, id).map(|text| text.chars().count() <= most);
    let language = value(&inside, 0).is_some_and(|tag| tag.len() == 2 && tag.bytes().all(|b| b.is_ascii_alphabetic()));
    let fits = language && at_most(1, 25) == Some(true) && at_most(2, 15) != Some(false);
    Ok((!fits).then_some(LOCAL))
}

fn tip(
    kind: Option<String>,
    fixed: Option<String>,
    percent: Option<String>,
    digits: usize,
) -> Result<Option<Tip>, EmvError> {
    match (kind.as_deref(), fixed, percent) {
        (None, None, None) => Ok(None),
        (Some("01"), None, None) => Ok(Some(Tip::Prompt)),
        (Some("02"), Some(text), None) => Ok(Some(Tip::Fixed(decimal::read(&text, digits)?))),
        (Some("03"), None, Some(text)) => match decimal::read(&text, 2)? {
            share if share <= LARGEST_SHARE => Ok(Some(Tip::Percent(share))),
            _ => Err(EmvError::Object { id: id::TIP, why: TIP }),
        },
        _ => Err(EmvError::Object { id: id::TIP, why: TIP }),
    }
}

fn iso(currency: Currency) -> iso_currency::Currency {
    iso_currency::Currency::from_code(currency.code()).expect("a Currency's code is an ISO 4217 code")
}

fn numbered(digits: &str) -> Option<Currency> {
    Currency::from_code(iso_currency::Currency::from_numeric(digits.parse().ok()?)?.code())
}
