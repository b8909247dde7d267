//! Signed messages: flattened JWS (RFC 7515 §7.2.2) with EdDSA over Ed25519 (RFC 8037 §3.1) and nothing else.
//!
//! Policy: the broker is not trusted, so what matters is signed end to end. The header's `typ` says what a message is
//! for, and one signed as something else is refused, whoever signed it. A key is known by its `kid`. What is signed is
//! parsed only after its signature has held, and never when it is longer than [`LONGEST`].

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of a whole message; a report of many payments is a tenth of it.
pub const LONGEST: usize = 128 << 10;
/// The 32 bytes of an Ed25519 key stand at the end of its SubjectPublicKeyInfo (RFC 8410 §4), after these.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A kiosk asks the gateway.
    PayRequest,
    /// The gateway answers.
    PayReply,
    /// The gateway, or the operator's own program, says that a charge was paid.
    PayNotice,
    /// A kiosk says how its ledger's chain stands.
    Checkpoint,
    /// The back end says how much of it it holds.
    Ack,
    /// What a bundle for support has in it.
    Bundle,
    /// What a person has found when they tested a kiosk.
    TestReport,
    /// A kiosk says how it is in every part.
    Inspection,
    /// The office asks a kiosk for something.
    Command,
    /// A kiosk says how far a command has come.
    CommandStatus,
    /// The fleet's root says whose commands count.
    Keyset,
    /// A second person approves what is about to be sent to many kiosks.
    RolloutApproval,
    /// A machine asks to be let into a fleet.
    EnrollmentRequest,
    /// A car came into a car park.
    ParkingTicket,
    /// A car may leave it.
    ExitPass,
    /// A shop pays for a part of a stay.
    Validation,
    /// Somebody may come into a car park and leave it for some time.
    SeasonPass,
    /// A lane tells the others of its car park what it has done.
    LaneFacts,
}

impl Purpose {
    /// What stands before bytes that are signed without a message around them. A message's signature is over a text that begins
    /// with a letter, so neither is ever taken for the other; nor are two purposes, because a word has no zero in it.
    fn before(self) -> Vec<u8> {
        let word = serde_json::to_vec(&self).expect("it is a word");
        [&[0], word.as_slice(), &[0]].concat()
    }
}

/// Bytes of a signature.
pub const SIGNATURE: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    kid: String,
    typ: Purpose,
}

#[derive(Serialize, Deserialize)]
enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    payload: String,
    protected: String,
    signature: String,
}

/// Why a message is not believed. Nothing of the message is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    #[error("longer than {LONGEST} bytes")]
    TooLong,
    #[error("not a flattened JWS signed with EdDSA")]
    Malformed,
    #[error("signed for another purpose")]
    Purpose,
    #[error("signed by a key that is not known here")]
    UnknownKey,
    #[error("the signature does not hold")]
    Signature,
    #[error("signed, but not what such a message has to say")]
    Content,
}

/// An Ed25519 private key and the name others know it by.
pub struct Signer {
    key: Ed25519KeyPair,
    kid: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?}, ..)", self.kid)
    }
}

impl Signer {
    /// From PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it.
    pub fn from_pem(pem: &[u8], kid: impl Into<String>) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok()?;
        Some(Self { key, kid: kid.into() })
    }

    /// Whose name its messages bear.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.key.public_key().as_ref());
        PublicKey(key)
    }

    pub fn sign(&self, purpose: Purpose, content: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        let header = Header { alg: Algorithm::EdDsa, kid: self.kid.clone(), typ: purpose };
        let protected = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
        let payload = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(content)?);
        let signature = self.key.sign(format!("{protected}.{payload}").as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        serde_json::to_vec(&Flattened { payload, protected, signature })
    }

    /// The signature alone, over a few bytes: for a code on paper, which has no room for a message.
    pub fn sign_bytes(&self, purpose: Purpose, bytes: &[u8]) -> [u8; SIGNATURE] {
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(self.key.sign(&[&purpose.before(), bytes].concat()).as_ref());
        signature
    }
}

/// An Ed25519 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

impl From<[u8; 32]> for PublicKey {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl PublicKey {
    /// The key itself, without what stands around it.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From SubjectPublicKeyInfo PEM, as `openssl pkey -pubout` writes it.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        der.strip_prefix(&SPKI_HEAD)?.try_into().ok().map(Self)
    }

    /// The content and the `kid` that its signer goes by, whatever that is.
    ///
    /// # Errors
    /// When it is anything but a message for this purpose, signed by this key.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, message: &[u8]) -> Result<(T, String), BadMessage> {
        open(purpose, message, |_| Some(self))
    }

    /// Whether the signature is this key's over these bytes, for this purpose.
    #[must_use]
    pub fn holds(&self, purpose: Purpose, bytes: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(&[&purpose.before(), bytes].concat(), signature).is_ok()
    }
}

/// The keys that are believed, by `kid`.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, PublicKey>);

impl Keys {
    pub fn new(keys: impl IntoIterator<Item = (String, PublicKey)>) -> Self {
        Self(keys.into_iter().collect())
    }

    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    /// The content and the `kid` of its signer.
    ///
    /// # Errors
    /// When it is anything but a message for this purpose, signed by one of these keys.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, message: &[u8]) -> Result<(T, String), BadMessage> {
        open(purpose, message, |kid| self.0.get(kid))
    }
}

fn open<'k, T: DeserializeOwned>(
    purpose: Purpose,
    message: &[u8],
    known: impl FnOnce(&str) -> Option<&'k PublicKey>,
) -> Result<(T, String), BadMessage> {
    if message.len() > LONGEST {
        return Err(BadMessage::TooLong);
    }
    let flat: Flattened = serde_json::from_slice(message).map_err(|_| BadMessage::Malformed)?;
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadMessage::Malformed);
    let header: Header = serde_json::from_slice(&decode(&flat.protected)?).map_err(|_| BadMessage::Malformed)?;
    if header.typ != purpose {
        return Err(BadMessage::Purpose);
    }
    let key = known(&header.kid).ok_or(BadMessage::UnknownKey)?;
    let signed = format!("{}.{}", flat.protected, flat.payload);
    let key = UnparsedPublicKey::new(&ED25519, &key.0);
    key.verify(signed.as_bytes(), &decode(&flat.signature)?).map_err(|_| BadMessage::Signature)?;
    let content = serde_json::from_slice(&decode(&flat.payload)?).map_err(|_| BadMessage::Content)?;
    Ok((content, header.kid))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// RFC 8037, appendix A: the key of its example, as PKCS#8 and SPKI.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

    fn signer(kid: &str) -> Signer {
        Signer::from_pem(PRIVATE.as_bytes(), kid).unwrap()
    }

    fn keys(kid: &str) -> Keys {
        Keys::new([(kid.to_owned(), PublicKey::from_pem(PUBLIC.as_bytes()).unwrap())])
    }

    #[test]
    fn the_signature_of_rfc_8037() {
        // Appendix A.4.
        let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(signer("x").key.sign(signed)), expected);
    }

    #[test]
    fn holds_for_its_purpose_and_signer_only() {
        let said = json!({ "charge": "x", "amount": 300 });
        let message = signer("gateway").sign(Purpose::PayReply, &said).unwrap();
        let (heard, kid): (Value, _) = keys("gateway").open(Purpose::PayReply, &message).unwrap();
        assert_eq!((heard, kid.as_str()), (said, "gateway"));
        let open = |keys: &Keys, purpose, message: &[u8]| keys.open::<Value>(purpose, message).unwrap_err();
        assert_eq!(open(&keys("gateway"), Purpose::PayNotice, &message), BadMessage::Purpose);
        assert_eq!(open(&keys("other"), Purpose::PayReply, &message), BadMessage::UnknownKey);
        assert_eq!(open(&keys("gateway"), Purpose::PayReply, &vec![b' '; LONGEST + 1]), BadMessage::TooLong);
    }

    #[test]
    fn bytes_are_signed_for_one_purpose_and_are_no_message() {
        let (signer, bytes) = (signer("k"), b"twelve bytes");
        let signature = signer.sign_bytes(Purpose::ParkingTicket, bytes);
        let key = signer.public();
        assert!(key.holds(Purpose::ParkingTicket, bytes, &signature));
        assert!(!key.holds(Purpose::ExitPass, bytes, &signature));
        assert!(!key.holds(Purpose::ParkingTicket, &bytes[1..], &signature));
        assert!(!key.holds(Purpose::ParkingTicket, bytes, &signature[1..]));
        assert!(!PublicKey::from([9; 32]).holds(Purpose::ParkingTicket, bytes, &signature));
        // Whoever could choose the bytes could still not make a message of them, nor bytes of a message.
        assert_eq!(Purpose::ExitPass.before(), b"\0\"exit-pass\"\0");
        let message = signer.sign(Purpose::ExitPass, &json!({})).unwrap();
        let flat: Flattened = serde_json::from_slice(&message).unwrap();
        let signed = format!("{}.{}", flat.protected, flat.payload);
        let signature = BASE64_URL_SAFE_NO_PAD.decode(flat.signature).unwrap();
        assert!(!key.holds(Purpose::ExitPass, signed.as_bytes(), &signature));
    }

    #[test]
    fn any_change_breaks_it() {
        let message = signer("k").sign(Purpose::PayNotice, &json!({ "amount": 300 })).unwrap();
        let keys = keys("k");
        for at in 0..message.len() {
            for bit in [1, 4] {
                let mut changed = message.clone();
                changed[at] ^= bit;
                assert!(keys.open::<Value>(Purpose::PayNotice, &changed).is_err(), "byte {at}");
            }
            assert!(keys.open::<Value>(Purpose::PayNotice, &message[..at]).is_err());
        }
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k","typ":"pay-notice"}"#);
        let forged = json!({ "payload": "e30", "protected": none, "signature": "" }).to_string();
        assert_eq!(keys.open::<Value>(Purpose::PayNotice, forged.as_bytes()).unwrap_err(), BadMessage::Malformed);
    }
}
