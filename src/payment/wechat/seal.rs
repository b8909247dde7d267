//! Signatures and encryption of API v3, over exact bytes. The rules are those of "signature generation", "signature
//! verification" and "certificate and callback decryption" in WeChat Pay's API v3 guide.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::payment::http::Method;
use crate::signed::keys::{SigningKey, VerifyingKey};

pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// Between the time in a signature and the provider's.
const TOLERANCE_SECONDS: i64 = 300;
/// Signatures that WeChat Pay makes wrong on purpose, to see whether they are checked.
const PROBE: &str = "WECHATPAY/SIGNTEST/";
const NONCE_BYTES: usize = 12;

/// What signs our requests.
pub struct Signer<'a> {
    pub mchid: &'a str,
    pub serial_no: &'a str,
    pub key: &'a SigningKey,
}

impl Signer<'_> {
    /// The `Authorization` of a request.
    pub fn authorization(&self, method: Method, target: &str, body: &[u8], at: Timestamp, nonce: &str) -> String {
        let time = at.as_second().to_string();
        let signature = self.key.sign(&request_message(method, target, &time, nonce, body));
        format!(
            r#"{SCHEME} mchid="{}",nonce_str="{nonce}",timestamp="{time}",serial_no="{}",signature="{signature}""#,
            self.mchid, self.serial_no
        )
    }
}

/// Five lines, each with its end.
pub(super) fn request_message(method: Method, target: &str, time: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut message = format!("{}\n{target}\n{time}\n{nonce}\n", method.as_str()).into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    message
}

/// Why an answer or a notification is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("its signature's time is {0} s off the provider's")]
    Stale(i64),
    #[error("its signature is a probe, wrong on purpose")]
    Probe,
    /// It may be a certificate we have not fetched yet.
    #[error("it is signed with {0}, which is none of the provider's keys known here")]
    UnknownKey(String),
    #[error("its signature does not hold")]
    Forged,
}

/// The headers of a signature.
pub struct Seal {
    time: String,
    nonce: String,
    signature: String,
    pub serial: String,
}

impl Seal {
    /// # Errors
    /// When one of the headers is missing.
    pub fn of(header: &dyn Fn(&str) -> Option<String>) -> Result<Self, Unverified> {
        let need = |name| header(name).filter(|value| !value.is_empty()).ok_or(Unverified::Missing(name));
        Ok(Self {
            signature: need("Wechatpay-Signature")?,
            serial: need("Wechatpay-Serial")?,
            time: need("Wechatpay-Timestamp")?,
            nonce: need("Wechatpay-Nonce")?,
        })
    }

    /// Whether it is `key`'s over `body`, and made about `now`.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, body: &[u8], key: Option<&VerifyingKey>, now: Timestamp) -> Result<(), Unverified> {
        let made: i64 = self.time.parse().map_err(|_| Unverified::Missing("time in its signature"))?;
        let off = made.saturating_sub(now.as_second());
        if off.saturating_abs() >= TOLERANCE_SECONDS {
            return Err(Unverified::Stale(off));
        }
        if self.signature.starts_with(PROBE) {
            return Err(Unverified::Probe);
        }
        let key = key.ok_or_else(|| Unverified::UnknownKey(self.serial.chars().take(64).collect()))?;
        let mut message = format!("{}\n{}\n", self.time, self.nonce).into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        if key.verifies(&message, &self.signature) { Ok(()) } else { Err(Unverified::Forged) }
    }
}

/// The merchant's API v3 key: 32 characters, chosen in WeChat Pay's console. Decrypts certificates and notifications.
pub struct ApiV3Key(Zeroizing<[u8; 32]>);

impl fmt::Debug for ApiV3Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiV3Key(..)")
    }
}

impl ApiV3Key {
    /// The key as it stands in its file; white space around it does not count. `None` unless it has 32 bytes: a shorter
    /// one would be another cipher.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = text.trim_ascii().try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// AEAD_AES_256_GCM with the tag behind the text. `None` when anything about it is wrong.
    pub fn open(&self, nonce: &str, associated_data: &str, ciphertext: &str) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = nonce.as_bytes().try_into().ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.0.as_slice()).ok()?);
        let mut text = BASE64_STANDARD.decode(ciphertext).ok()?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = key.open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}
