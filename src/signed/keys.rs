//! Keys: where they lie, who may read them, and what is done with them.
//!
//! Policy: a secret is named by its place (`file:/path` or `credential:NAME`) and read once at start. A file that others
//! may read is refused. No secret and no part of one reaches `Debug`, an error or a log. RSA and AES are ring's.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{self, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use zeroize::Zeroizing;

use super::jws::{PublicKey, Signer};

/// Larger than any key or chain of certificates.
const LARGEST: u64 = 256 << 10;

/// Where a key lies: `file:/etc/kioskd/wechat.key`, or `credential:wechat.key` for one that systemd hands to the unit
/// (`LoadCredential=`, systemd.exec(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(file|credential):.+$", "writeOnly" = true))]
pub enum KeySource {
    File(PathBuf),
    Credential(String),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a key is written `file:/path/of/the.key` or `credential:NAME`")]
    Source,
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} can be read by others than its owner (mode {mode:04o}); type: chmod 600 {path}", path = path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error(
        "there is no credential `{0}`: systemd has handed over none; write LoadCredential={0}:/path in the unit, or use file:/path"
    )]
    NoCredential(String),
    #[error("{place} is not {wanted}")]
    Malformed { place: String, wanted: &'static str },
}

impl KeySource {
    /// # Errors
    /// When it is neither form.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // A credential is one file in one directory.
            Some(("credential", name)) if !name.is_empty() && !name.contains('/') && name != ".." && name != "." => {
                Ok(Self::Credential(name.into()))
            }
            _ => Err(KeyError::Source),
        }
    }

    /// A relative file is seen from `directory`.
    pub fn resolve(&mut self, directory: &Path) {
        if let Self::File(path) = self {
            *path = directory.join(&path);
        }
    }

    fn path(&self) -> Result<PathBuf, KeyError> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
                let path = directory.map(|directory| Path::new(&directory).join(name));
                path.filter(|path| path.exists()).ok_or_else(|| KeyError::NoCredential(name.clone()))
            }
        }
    }

    /// What only its owner may read. A credential is systemd's to guard: it may carry an access list, whose mask looks like
    /// the group's rights.
    ///
    /// # Errors
    /// When it can't be read, or others may read the file.
    pub fn secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path()?;
        let failed = |source| KeyError::Read { path: path.clone(), source };
        let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 && matches!(self, Self::File(_)) {
            return Err(KeyError::Open { path, mode });
        }
        Ok(Zeroizing::new(self.public()?))
    }

    /// What everybody may read: certificates, public keys.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn public(&self) -> Result<Vec<u8>, KeyError> {
        use std::io::Read;
        let path = self.path()?;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|source| KeyError::Read { path, source })
    }

    /// # Errors
    /// When it can't be read or is no RSA private key.
    pub fn signing_key(&self) -> Result<SigningKey, KeyError> {
        SigningKey::parse(&self.secret()?).ok_or_else(|| self.malformed("an RSA private key (PKCS#8 or PKCS#1)"))
    }

    /// # Errors
    /// When it can't be read or is no RSA public key or certificate.
    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::parse(&self.public()?).ok_or_else(|| self.malformed("an RSA public key or certificate"))
    }

    /// The key's name is its file's, or `kid`.
    ///
    /// # Errors
    /// As [`signer`](Self::signer).
    pub fn named_signer(file: &Path, kid: Option<&str>) -> Result<Signer, KeyError> {
        let source = Self::File(file.into());
        source.signer(kid.unwrap_or(source.stem()))
    }

    /// The key's name is its file's or its credential's, without what follows the last dot.
    ///
    /// # Errors
    /// As [`signer`](Self::signer).
    pub fn own_signer(&self) -> Result<Signer, KeyError> {
        self.signer(self.stem())
    }

    fn stem(&self) -> &str {
        let file = match self {
            Self::File(path) => path.as_path(),
            Self::Credential(name) => Path::new(name),
        };
        file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// # Errors
    /// When it can't be read or is no Ed25519 private key.
    pub fn signer(&self, kid: impl Into<String>) -> Result<Signer, KeyError> {
        let signer = Signer::from_pem(&self.secret()?, kid);
        signer.ok_or_else(|| self.malformed("an Ed25519 private key (PEM, PKCS#8)"))
    }

    /// # Errors
    /// When it can't be read or is no Ed25519 public key.
    pub fn signers_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_pem(&self.public()?).ok_or_else(|| self.malformed("an Ed25519 public key (PEM)"))
    }

    fn malformed(&self, wanted: &'static str) -> KeyError {
        KeyError::Malformed { place: self.to_string(), wanted }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<KeySource> for String {
    fn from(source: KeySource) -> String {
        source.to_string()
    }
}

/// An RSA private key. Signs with SHA-256 and PKCS#1 v1.5 padding (RFC 8017 §8.2), as WeChat Pay and Alipay want it.
pub struct SigningKey(RsaKeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// PEM (PKCS#8 or PKCS#1), or the bare base64 of either, as Alipay's tool writes it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let der = unwrap_pem(text, &[SectionKind::PrivateKey, SectionKind::RsaPrivateKey])?;
        let der = Zeroizing::new(der);
        RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).ok().map(Self)
    }

    /// The signature in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut bytes = vec![0; self.0.public().modulus_len()];
        let signed = self.0.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut bytes);
        // Of the right length and a valid key, ring has nothing left to refuse; an empty signature is refused there.
        if signed.is_ok() { BASE64_STANDARD.encode(bytes) } else { String::new() }
    }
}

/// Somebody else's RSA key.
#[derive(Clone)]
pub struct VerifyingKey {
    /// PKCS#1 `RSAPublicKey`, DER.
    pkcs1: Vec<u8>,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

impl VerifyingKey {
    /// PEM of a public key or a certificate, or the bare base64 of a public key.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let kinds = [SectionKind::PublicKey, SectionKind::Certificate];
        Self::from_der(&unwrap_pem(text, &kinds)?)
    }

    /// DER of a certificate, a `SubjectPublicKeyInfo` or a PKCS#1 `RSAPublicKey`.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let spki = |spki: &SubjectPublicKeyInfo<'_>| spki.subject_public_key.data.to_vec();
        let pkcs1 = if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            spki(certificate.public_key())
        } else if let Ok((_, key)) = SubjectPublicKeyInfo::from_der(der) {
            spki(&key)
        } else {
            der.to_vec()
        };
        // Both numbers of an RSA key, and nothing after them.
        let (rest, _) = x509_parser::public_key::RSAPublicKey::from_der(&pkcs1).ok()?;
        rest.is_empty().then_some(Self { pkcs1 })
    }

    /// Whether `signature` (base64) is this key's over `message`: RSA of 2048 bits and more, SHA-256, PKCS#1 v1.5.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
        let key = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &self.pkcs1);
        key.verify(message, &signature).is_ok()
    }
}

/// The DER inside: of the first section of one of these kinds, or of bare base64.
fn unwrap_pem(text: &[u8], kinds: &[SectionKind]) -> Option<Vec<u8>> {
    if text.windows(5).any(|window| window == b"-----") {
        let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text);
        return sections.find_map(|section| section.ok().filter(|(kind, _)| kinds.contains(kind)).map(|(_, der)| der));
    }
    let bare: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(bare).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_what_to_type() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wechat.key");
        std::fs::write(&path, "secret").unwrap();
        let source = KeySource::parse(&format!("file:{}", path.display())).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = source.secret().unwrap_err().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(source.secret().unwrap().as_slice(), b"secret");
        let error = source.signing_key().unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("RSA private key"), "{error}");
    }

    #[test]
    fn a_place_is_a_file_or_a_credential() {
        for bad in ["", "x", "file:", "credential:", "credential:../x", "credential:..", "https://x"] {
            assert!(KeySource::parse(bad).is_err(), "{bad}");
        }
        for good in ["file:/etc/kioskd/wechat.key", "credential:wechat.key", "file:keys/a"] {
            assert_eq!(KeySource::parse(good).unwrap().to_string(), good);
        }
        let error = KeySource::parse("credential:nothing.key").unwrap().secret().unwrap_err().to_string();
        assert!(error.contains("LoadCredential=nothing.key"), "{error}");
    }
}
