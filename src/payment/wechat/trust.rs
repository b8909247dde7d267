//! Whose signatures are believed: the keys the operator gave, and the platform certificates fetched since.
//!
//! Policy: WeChat Pay signs either with a public key shown in the merchant's console (`PUB_KEY_ID_…`) or with platform
//! certificates that change every few years; during a migration with both. Certificates come encrypted with the
//! merchant's API v3 key, and the answer that carries them must be signed by one of them or by a key known before. They
//! are kept in memory, and a fetch replaces those of the last one: what the provider has withdrawn is not believed.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use data_encoding::HEXUPPER;
use jiff::Timestamp;
use serde::Deserialize;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::seal::{ApiV3Key, Seal, Unverified};
use crate::signed::keys::VerifyingKey;

/// What begins the name of a key that is no certificate.
pub const PUBLIC_KEY: &str = "PUB_KEY_ID_";
/// Between two fetches. An answer may name any serial; that must not make us ask for every one.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);
const MOST_CERTIFICATES: usize = 32;

type Keys = HashMap<String, VerifyingKey>;

pub struct Trust {
    given: Keys,
    fetched: RwLock<Keys>,
    /// Held while fetching, so that one fetch serves all who wait for it.
    pub last_fetch: tokio::sync::Mutex<Option<Instant>>,
}

impl Trust {
    pub fn new(given: Vec<(String, VerifyingKey)>) -> Self {
        Self {
            given: given.into_iter().collect(),
            fetched: RwLock::default(),
            last_fetch: tokio::sync::Mutex::default(),
        }
    }

    /// What requests name so that the provider answers with it; `None` where certificates are used.
    pub fn public_key_id(&self) -> Option<&str> {
        self.given.keys().map(String::as_str).filter(|serial| serial.starts_with(PUBLIC_KEY)).max()
    }

    /// # Errors
    /// When the signature is not one of the provider's over these bytes.
    pub fn check(&self, seal: &Seal, body: &[u8], now: Timestamp) -> Result<(), Unverified> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        seal.check(body, self.given.get(&seal.serial).or_else(|| fetched.get(&seal.serial)), now)
    }

    /// Whether it is time for another fetch.
    pub fn may_fetch(last: Option<Instant>) -> bool {
        last.is_none_or(|last| last.elapsed() >= FETCH_INTERVAL)
    }

    /// Takes the certificates out of an answer, if it is signed by one of them or by a key known before.
    ///
    /// # Errors
    /// When it is not, or holds no readable certificate.
    pub fn take(&self, seal: &Seal, body: &[u8], secret: &ApiV3Key, now: Timestamp) -> Result<usize, BadCertificates> {
        let certificates = certificates(body, secret)?;
        let key = self.given.get(&seal.serial).or_else(|| certificates.get(&seal.serial));
        seal.check(body, key, now)?;
        let count = certificates.len();
        *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = certificates;
        Ok(count)
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificates {
    #[error("it is no list of certificates")]
    NotAList,
    #[error("certificate {0} can't be decrypted; is api_v3_key the one set in WeChat Pay's console?")]
    Undecryptable(String),
    #[error("certificate {0} is none, or another's")]
    Malformed(String),
    #[error(transparent)]
    Unverified(#[from] Unverified),
}

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    serial_no: String,
    encrypt_certificate: Encrypted,
}

#[derive(Deserialize)]
pub struct Encrypted {
    pub algorithm: String,
    pub nonce: String,
    #[serde(default)]
    pub associated_data: Option<String>,
    pub ciphertext: String,
}

impl Encrypted {
    pub fn open(&self, key: &ApiV3Key) -> Option<Vec<u8>> {
        let known = self.algorithm == "AEAD_AES_256_GCM";
        known.then(|| key.open(&self.nonce, self.associated_data.as_deref().unwrap_or(""), &self.ciphertext))?
    }
}

fn certificates(body: &[u8], secret: &ApiV3Key) -> Result<Keys, BadCertificates> {
    let list: List = serde_json::from_slice(body).map_err(|_| BadCertificates::NotAList)?;
    if list.data.is_empty() || list.data.len() > MOST_CERTIFICATES {
        return Err(BadCertificates::NotAList);
    }
    let mut keys = Keys::new();
    for entry in list.data {
        let name = || entry.serial_no.chars().take(64).collect::<String>();
        let pem = entry.encrypt_certificate.open(secret).ok_or_else(|| BadCertificates::Undecryptable(name()))?;
        let key = VerifyingKey::parse(&pem).filter(|_| is_numbered(&pem, &entry.serial_no));
        keys.insert(entry.serial_no.clone(), key.ok_or_else(|| BadCertificates::Malformed(name()))?);
    }
    Ok(keys)
}

/// Whether the certificate has this serial number. Some write a leading zero and some do not.
fn is_numbered(pem: &[u8], serial: &str) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&pem.contents) else { return false };
    let number = HEXUPPER.encode(certificate.raw_serial());
    number.trim_start_matches('0').eq_ignore_ascii_case(serial.trim_start_matches('0'))
}
