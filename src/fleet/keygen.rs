//! Key pairs for kiosks, gateways and back ends: Ed25519, in the forms that openssl reads.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::fleet::topic::Name;
use crate::signed::jws::PublicKey;

/// RFC 8410 §7: PrivateKeyInfo, version 1; the 32 bytes of the seed follow.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// RFC 8410 §4: SubjectPublicKeyInfo; the 32 bytes of the key follow.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[derive(Debug, thiserror::Error)]
pub enum KeygenError {
    #[error("the system gives no random numbers")]
    Random,
    #[error("{path}: {source}", path = path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// Where the two halves are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// `NAME.key`, readable by its owner only.
    pub private: PathBuf,
    /// `NAME.pem`.
    pub public: PathBuf,
}

/// Writes a new pair into `directory`. A key that is there is never overwritten.
///
/// # Errors
/// When one of the files exists or can't be written.
pub fn keygen(directory: &Path, name: &Name) -> Result<Pair, KeygenError> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(seed.as_mut_slice()).map_err(|_| KeygenError::Random)?;
    let (private_pem, public_pem) = pems(&seed).ok_or(KeygenError::Random)?;
    let pair = Pair { private: directory.join(format!("{name}.key")), public: directory.join(format!("{name}.pem")) };
    write(&pair.private, 0o600, &private_pem)?;
    write(&pair.public, 0o644, &public_pem).inspect_err(|_| {
        // Half a pair is worth nothing, and would be in the way of the next try.
        drop(std::fs::remove_file(&pair.private));
    })?;
    Ok(pair)
}

/// The private and the public key of a seed; `None` for a seed that is none, which 32 bytes always are.
fn pems(seed: &[u8; 32]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let key = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    let private = Zeroizing::new([PKCS8_HEAD.as_slice(), seed].concat());
    Some((pem("PRIVATE KEY", &private), spki(key.public_key().as_ref())))
}

fn spki(key: &[u8]) -> Zeroizing<String> {
    pem("PUBLIC KEY", &[SPKI_HEAD.as_slice(), key].concat())
}

/// A public key as [`keygen`] writes it.
pub fn public_pem(key: &PublicKey) -> String {
    spki(key.bytes()).to_string()
}

/// Both kinds of key fit on one line of base64.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    Zeroizing::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", *body))
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), KeygenError> {
    let failed = |source| KeygenError::Write { path: path.to_owned(), source };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::signed::jws::{Keys, Purpose, Signer};

    #[test]
    fn the_key_of_rfc_8037() {
        // Appendix A: the seed of its example, in the forms openssl writes.
        let seed = base64::prelude::BASE64_URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap()
            .try_into()
            .unwrap();
        let (private, public) = pems(&seed).unwrap();
        assert_eq!(
            *private,
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"
        );
        assert_eq!(
            *public,
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"
        );
    }

    #[test]
    fn a_pair_that_works_is_private_and_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let name = Name::parse("K1").unwrap();
        let pair = keygen(directory.path(), &name).unwrap();
        assert_eq!(std::fs::metadata(&pair.private).unwrap().permissions().mode() & 0o777, 0o600);
        let private = std::fs::read(&pair.private).unwrap();
        let signer = Signer::from_pem(&private, "k").unwrap();
        let pem = std::fs::read_to_string(&pair.public).unwrap();
        let public = PublicKey::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(public_pem(&public), pem);
        let message = signer.sign(Purpose::PayReply, &"yes").unwrap();
        let opened = Keys::new([("k".into(), public)]).open::<String>(Purpose::PayReply, &message).unwrap();
        assert_eq!(opened.0, "yes");
        assert!(keygen(directory.path(), &name).unwrap_err().to_string().contains("K1.key"));
        std::fs::remove_file(&pair.private).unwrap();
        assert!(keygen(directory.path(), &name).unwrap_err().to_string().contains("K1.pem"));
        assert!(!pair.private.exists());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
