//! Keysets: whose commands count, and for what. A root key that is kept off every network signs them.
//!
//! Policy: a keyset is a JWS whose signer is `root`; nothing else makes a key count. Its version says which is the newer.
//! There are at least two keys, so that one that is lost can be replaced by the holder of another.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jws::{BadMessage, Keys, PublicKey, Purpose, Signer};
use crate::operation::{Actor, KeyName, KeysetText, ReplayWindow, Rights};

const FEWEST: usize = 2;
const MOST: usize = 16;
const MOST_REVOKED: usize = 64;

/// What a key may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything about stock, goods, claims and whether it sells.
    Sell,
    /// The configuration: what is sold at what price, and by which devices.
    Config,
    /// Which software runs.
    Update,
}

impl Role {
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_value(text.into()).ok()
    }
}

/// One key, as its keyset writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    #[schemars(with = "String")]
    pub kid: KeyName,
    /// The 32 bytes of an Ed25519 key, in base64url.
    pub key: String,
    pub roles: Vec<Role>,
}

impl KeyEntry {
    pub fn new(kid: KeyName, key: &PublicKey, roles: Vec<Role>) -> Self {
        Self { kid, key: BASE64_URL_SAFE_NO_PAD.encode(key.bytes()), roles }
    }
}

/// What a keyset says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysetContent {
    pub fleet: String,
    /// From 1; the highest is in force.
    pub version: u64,
    pub keys: Vec<KeyEntry>,
    /// Names that are not to be given again, because somebody else may have their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub revoked: Vec<KeyName>,
}

/// Why a keyset does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyset {
    #[error("longer than 8192 characters, or not text")]
    Text,
    #[error("{0}")]
    Message(#[from] BadMessage),
    #[error("it is for the fleet `{0}`")]
    Fleet(String),
    #[error("its version is not 1 or more")]
    Version,
    #[error("it has {0} keys; a keyset has 2 to 16, so that one can replace another")]
    Count(usize),
    #[error("it revokes more than {MOST_REVOKED} keys")]
    TooManyRevoked,
    #[error("two of its keys are called `{0}`")]
    Twice(KeyName),
    #[error("the same key stands in it under two names, `{0}` and `{1}`")]
    SameKey(KeyName, KeyName),
    #[error("a key can't be called `root`")]
    Root,
    #[error("the key `{0}` is not 32 bytes in base64url")]
    Key(KeyName),
    #[error("the key `{0}` is revoked in the same keyset")]
    Revoked(KeyName),
}

/// A keyset that its root has signed.
#[derive(Debug, Clone)]
pub struct Keyset {
    version: u64,
    keys: Keys,
    rights: BTreeMap<String, Rights>,
    text: KeysetText,
}

impl Keyset {
    /// Opens the message of a keyset for this fleet.
    ///
    /// # Errors
    /// When the root has not signed it, or it is not what a keyset has to be.
    pub fn open(root: &PublicKey, fleet: &str, message: &[u8]) -> Result<Self, BadKeyset> {
        let text = std::str::from_utf8(message).ok().map(str::trim_ascii_end).and_then(KeysetText::parse);
        let text = text.ok_or(BadKeyset::Text)?;
        let root = Keys::new([(Actor::ROOT.to_owned(), root.clone())]);
        let (content, _) = root.open::<KeysetContent>(Purpose::Keyset, text.as_str().as_bytes())?;
        if content.fleet != fleet {
            return Err(BadKeyset::Fleet(content.fleet.chars().take(64).collect()));
        }
        let keys = content.keys()?;
        let rights = content.keys.iter().map(|entry| {
            let has = |role| entry.roles.contains(&role);
            let sell = has(Role::Sell);
            let (configure, update) = (has(Role::Config), has(Role::Update));
            (entry.kid.to_string(), Rights { service: sell, motion: sell, money: sell, configure, update })
        });
        Ok(Self { version: content.version, keys: Keys::new(keys), rights: rights.collect(), text })
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// Its message.
    pub fn text(&self) -> &KeysetText {
        &self.text
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What a key of this name may ask for; `None` where there is none.
    pub fn rights(&self, kid: &str) -> Option<Rights> {
        self.rights.get(kid).copied()
    }
}

impl KeysetContent {
    /// The message of the keyset, by its root.
    ///
    /// # Errors
    /// When it is not what a keyset has to be.
    pub fn sign(&self, root: &Signer) -> Result<KeysetText, BadKeyset> {
        self.keys()?;
        let message = root.sign(Purpose::Keyset, self).map_err(|_| BadKeyset::Text)?;
        String::from_utf8(message).ok().and_then(|text| KeysetText::parse(&text)).ok_or(BadKeyset::Text)
    }

    /// Its keys by name, once everything about it is right.
    fn keys(&self) -> Result<Vec<(String, PublicKey)>, BadKeyset> {
        if !(1..=ReplayWindow::MOST).contains(&self.version) {
            return Err(BadKeyset::Version);
        }
        if !(FEWEST..=MOST).contains(&self.keys.len()) {
            return Err(BadKeyset::Count(self.keys.len()));
        }
        if self.revoked.len() > MOST_REVOKED {
            return Err(BadKeyset::TooManyRevoked);
        }
        let mut keys = Vec::new();
        for (nth, KeyEntry { kid, key, .. }) in self.keys.iter().enumerate() {
            if kid.as_str() == Actor::ROOT {
                return Err(BadKeyset::Root);
            }
            if self.revoked.contains(kid) {
                return Err(BadKeyset::Revoked(kid.clone()));
            }
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
            let bytes: [u8; 32] = bytes.ok_or_else(|| BadKeyset::Key(kid.clone()))?;
            for other in &self.keys[..nth] {
                if other.kid == *kid {
                    return Err(BadKeyset::Twice(kid.clone()));
                }
                if other.key == *key {
                    return Err(BadKeyset::SameKey(other.kid.clone(), kid.clone()));
                }
            }
            keys.push((kid.to_string(), PublicKey::from(bytes)));
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

    fn root() -> Signer {
        Signer::from_pem(PRIVATE.as_bytes(), Actor::ROOT).unwrap()
    }

    fn entry(kid: &str, byte: u8) -> KeyEntry {
        let key = BASE64_URL_SAFE_NO_PAD.encode([byte; 32]);
        KeyEntry { kid: KeyName::parse(kid).unwrap(), key, roles: vec![Role::Sell] }
    }

    fn content(keys: Vec<KeyEntry>) -> KeysetContent {
        KeysetContent { fleet: "demo".into(), version: 3, keys, revoked: Vec::new() }
    }

    /// Whatever the content says, signed by the root.
    fn signed(content: &KeysetContent) -> Vec<u8> {
        root().sign(Purpose::Keyset, content).unwrap()
    }

    fn open(message: &[u8]) -> Result<Keyset, BadKeyset> {
        Keyset::open(&root().public(), "demo", message)
    }

    #[test]
    fn a_keyset_says_what_each_key_may() {
        let watcher = KeyEntry { roles: vec![Role::Config, Role::Update], ..entry("b", 2) };
        let content = content(vec![entry("a", 1), watcher]);
        let text = content.sign(&root()).unwrap();
        let keyset = open(format!("{text}\n").as_bytes()).unwrap();
        assert_eq!((keyset.version(), keyset.text()), (3, &text));
        assert_eq!(keyset.rights("a"), Some(Rights { configure: false, update: false, ..Rights::ALL }));
        assert_eq!(keyset.rights("b"), Some(Rights { configure: true, update: true, ..Rights::default() }));
        assert_eq!(keyset.rights("root"), None);
    }

    #[test]
    fn what_is_wrong_with_a_keyset_is_said() {
        let good = content(vec![entry("a", 1), entry("b", 2)]);
        let name = |text: &str| KeyName::parse(text).unwrap();
        let many = (0..17).map(|n| entry(&format!("k{n}"), n)).collect();
        let cases = [
            (content(vec![entry("a", 1)]), BadKeyset::Count(1)),
            (content(many), BadKeyset::Count(17)),
            (content(vec![entry("a", 1), entry("a", 2)]), BadKeyset::Twice(name("a"))),
            (content(vec![entry("a", 1), entry("b", 1)]), BadKeyset::SameKey(name("a"), name("b"))),
            (content(vec![entry("a", 1), entry("root", 2)]), BadKeyset::Root),
            (content(vec![entry("a", 1), KeyEntry { key: "AQ".into(), ..entry("b", 2) }]), BadKeyset::Key(name("b"))),
            (KeysetContent { version: 0, ..good.clone() }, BadKeyset::Version),
            (KeysetContent { revoked: vec![name("b")], ..good.clone() }, BadKeyset::Revoked(name("b"))),
            (KeysetContent { revoked: vec![name("c"); 65], ..good.clone() }, BadKeyset::TooManyRevoked),
        ];
        for (content, wrong) in cases {
            assert_eq!(open(&signed(&content)).unwrap_err(), wrong);
            assert_eq!(content.sign(&root()).unwrap_err(), wrong);
        }
        let other = KeysetContent { fleet: "street".into(), ..good.clone() };
        assert_eq!(open(&signed(&other)).unwrap_err(), BadKeyset::Fleet("street".into()));

        let stranger = PublicKey::from([9; 32]);
        let unsigned = Keyset::open(&stranger, "demo", &signed(&good)).unwrap_err();
        assert_eq!(unsigned, BadKeyset::Message(BadMessage::Signature));
        let as_command = root().sign(Purpose::Command, &good).unwrap();
        assert_eq!(open(&as_command).unwrap_err(), BadKeyset::Message(BadMessage::Purpose));
        let other_name = Signer::from_pem(PRIVATE.as_bytes(), "office").unwrap().sign(Purpose::Keyset, &good).unwrap();
        assert_eq!(open(&other_name).unwrap_err(), BadKeyset::Message(BadMessage::UnknownKey));
        for broken in [&b"\xff"[..], b"", &[b' '; 9000], b"{\n}"] {
            assert_eq!(open(broken).unwrap_err(), BadKeyset::Text);
        }
    }
}
