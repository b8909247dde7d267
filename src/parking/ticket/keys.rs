//! Whose signature counts on a code of a site: two keys of the site's at a time, and two of each shop's.
//!
//! Policy: the site's keys sign tickets and exit passes, a shop's keys sign validations, and neither the other's. Every lane has
//! the public half of all of them. Two are live so that one can follow the other: the new one is known everywhere before it
//! signs, and the old one is known until what it signed is used up.

use std::collections::BTreeMap;
use std::fmt;

use super::number::SiteNumber;
use crate::parking::tariff::Label;
use crate::signed::jws::{PublicKey, Signer};

/// What a key is called in a code: 0 to 255. Another key gets another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct KeyNumber(pub u8);

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Site,
    Shop(Label),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("the site"),
            Self::Shop(name) => write!(f, "the shop `{name}`"),
        }
    }
}

/// One key, as every lane knows it.
#[derive(Debug, Clone)]
pub struct SiteKey {
    pub number: KeyNumber,
    pub owner: Owner,
    pub key: PublicKey,
}

/// All keys that count at a site.
#[derive(Debug, Clone)]
pub struct SiteKeys {
    site: SiteNumber,
    keys: BTreeMap<KeyNumber, (Owner, PublicKey)>,
}

/// What is wrong with a site's keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("the site has no key of its own; name one, which signs its tickets")]
    None,
    #[error("there are {0} keys; a site has at most 64, its shops' among them")]
    TooMany(usize),
    #[error("{0} has three keys; two are live at a time, so remove the oldest")]
    Three(String),
    #[error("two keys have the number {0}; give the new one a number that none had")]
    SameNumber(KeyNumber),
    #[error("the same key stands there twice, as {0} and {1}; make a new one")]
    SameKey(KeyNumber, KeyNumber),
    #[error("key {0} is not among the site's keys; add its public half there first, and to every lane")]
    Unknown(KeyNumber),
    #[error("the private key is not that of key {0}; compare the files")]
    OtherKey(KeyNumber),
}

impl SiteKeys {
    pub const MOST: usize = 64;
    /// Of one owner.
    pub const LIVE: usize = 2;

    /// # Errors
    /// They are not what a site's keys have to be.
    pub fn new(site: SiteNumber, keys: Vec<SiteKey>) -> Result<Self, BadKeys> {
        if keys.len() > Self::MOST {
            return Err(BadKeys::TooMany(keys.len()));
        }
        let mut known = BTreeMap::<KeyNumber, (Owner, PublicKey)>::new();
        for SiteKey { number, owner, key } in keys {
            if known.contains_key(&number) {
                return Err(BadKeys::SameNumber(number));
            }
            if let Some((other, _)) = known.iter().find(|(_, (_, other))| *other == key) {
                return Err(BadKeys::SameKey(*other, number));
            }
            if known.values().filter(|(other, _)| *other == owner).count() == Self::LIVE {
                return Err(BadKeys::Three(owner.to_string()));
            }
            known.insert(number, (owner, key));
        }
        match known.values().any(|(owner, _)| *owner == Owner::Site) {
            true => Ok(Self { site, keys: known }),
            false => Err(BadKeys::None),
        }
    }

    pub fn site(&self) -> SiteNumber {
        self.site
    }

    /// The keys that sign validations.
    pub fn shops(&self) -> impl Iterator<Item = KeyNumber> {
        self.keys.iter().filter(|(_, (owner, _))| *owner != Owner::Site).map(|(number, _)| *number)
    }

    pub fn get(&self, number: KeyNumber) -> Option<(&Owner, &PublicKey)> {
        self.keys.get(&number).map(|(owner, key)| (owner, key))
    }
}

/// Who signs codes of a site.
#[derive(Debug)]
pub struct Issuer {
    pub(super) signer: Signer,
    pub(super) number: KeyNumber,
    pub(super) owner: Owner,
    pub(super) site: SiteNumber,
}

impl Issuer {
    /// # Errors
    /// Nobody would believe its signature.
    pub fn new(signer: Signer, number: KeyNumber, keys: &SiteKeys) -> Result<Self, BadKeys> {
        let (owner, key) = keys.get(number).ok_or(BadKeys::Unknown(number))?;
        match *key == signer.public() {
            true => Ok(Self { signer, number, owner: owner.clone(), site: keys.site }),
            false => Err(BadKeys::OtherKey(number)),
        }
    }

    pub fn number(&self) -> KeyNumber {
        self.number
    }
}
