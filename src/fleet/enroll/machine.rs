//! The machine's side: it makes its keys and asks, and takes what the office has answered.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Deserialize;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::answer::{Answer, BadAnswer, First};
use super::request::{self, CannotAsk};
use super::{common_name, files, fingerprint};
use crate::fleet::keygen::{KeygenError, keygen};
use crate::fleet::topic::{Address, Name};
use crate::service;
use crate::signed::jws::PublicKey;
use crate::signed::keys::{KeyError, KeySource};
use crate::signed::keyset::{BadKeyset, Keyset};

#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} belongs to another user, and the keys in it would not be kioskd's; type this as its owner: sudo -u kioskd kioskd enroll ...", path = path.display())]
    Owner { path: PathBuf },
    #[error(transparent)]
    Keygen(#[from] KeygenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{path} is not a private key that can be used here; move it away and ask again", path = path.display())]
    NotAKey { path: PathBuf },
    #[error("a machine can't be called `{0}`: a file of that name is the fleet's; choose another")]
    TakenName(String),
    #[error(transparent)]
    Ask(#[from] CannotAsk),
    #[error(transparent)]
    Answer(#[from] BadAnswer),
    #[error("the answer is for {of}, and {path} is not there: this machine has not asked under that name", path = path.display())]
    NeverAsked { of: Address, path: PathBuf },
    #[error("what the answer calls {0} is not one")]
    Malformed(&'static str),
    #[error(
        "the certificate in the answer is for another key than this machine's own; ask again with what this machine prints"
    )]
    OtherKey,
    #[error("the certificate in the answer is for another name than {0}")]
    OtherName(Address),
    #[error("the CA in the answer has not signed the certificate: {0}")]
    NotSigned(String),
    #[error("the keyset in the answer does not count: {0}")]
    Keyset(#[from] BadKeyset),
    #[error("the configuration in the answer is not for {0}")]
    Configuration(Address),
    #[error("{path} is there and is another; nothing was changed. With --replace it is kept as {path}.before", path = path.display())]
    There { path: PathBuf },
}

/// What a machine says to be let in.
#[derive(Debug)]
pub struct Asked {
    pub text: String,
    pub fingerprint: String,
    /// The private keys that were made now, and those that were there.
    pub made: Vec<PathBuf>,
    pub kept: Vec<PathBuf>,
}

/// What came of an answer.
#[derive(Debug)]
pub struct Accepted {
    pub of: Address,
    pub written: Vec<PathBuf>,
    /// The configuration, where there is one to check.
    pub configuration: PathBuf,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> EnrollError {
    move |source| EnrollError::File { path: path.into(), source }
}

/// The keys are for the user who runs kioskd, and that is whose folder it is.
fn own(out: &Path) -> Result<(), EnrollError> {
    let owner = fs::metadata(out).map_err(failed(out))?.uid();
    if owner == rustix::process::geteuid().as_raw() { Ok(()) } else { Err(EnrollError::Owner { path: out.into() }) }
}

/// Makes the private keys that are not in `out` yet, and the request for both.
///
/// # Errors
/// When a key can't be read or written.
pub fn ask(out: &Path, of: &Address) -> Result<Asked, EnrollError> {
    if files::are_named(of.kiosk.as_str()) {
        return Err(EnrollError::TakenName(of.kiosk.to_string()));
    }
    own(out)?;
    let (key, signing) = (out.join(files::KEY), out.join(format!("{}.key", of.kiosk)));
    let (mut made, mut kept) = (Vec::new(), Vec::new());
    if signing.exists() {
        kept.push(signing.clone());
    } else {
        made.push(keygen(out, &of.kiosk)?.private);
    }
    if key.exists() {
        kept.push(key.clone());
    } else {
        write_key(&key)?;
        made.push(key.clone());
    }
    let tls = tls_key(&key)?;
    let signer = KeySource::File(signing).signer(of.to_string())?;
    let public = KeySource::File(out.join(format!("{}.pem", of.kiosk)));
    let public = String::from_utf8(public.public()?).map_err(|_| EnrollError::Malformed("the public key"))?;
    if PublicKey::from_pem(public.as_bytes()) != Some(signer.public()) {
        return Err(EnrollError::Malformed("the public key of the signing key"));
    }
    let text = request::write(of, &tls, &signer, &public)?;
    let fingerprint = fingerprint(&tls.subject_public_key_info(), signer.public().bytes());
    Ok(Asked { text, fingerprint, made, kept })
}

fn write_key(path: &Path) -> Result<(), EnrollError> {
    let key = KeyPair::generate().map_err(CannotAsk::from)?;
    let pem = Zeroizing::new(key.serialize_pem());
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed(path))?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(path))
}

fn tls_key(path: &Path) -> Result<KeyPair, EnrollError> {
    let not_a_key = || EnrollError::NotAKey { path: path.into() };
    let pem = KeySource::File(path.into()).secret()?;
    let pem = std::str::from_utf8(&pem).map_err(|_| not_a_key())?;
    KeyPair::from_pem(pem).map_err(|_| not_a_key())
}

/// Checks an answer against this machine's own keys and writes its files, all or, where one is refused, none of them.
///
/// # Errors
/// When the answer is not whole, not for this machine, or would put something else in the place of what is there.
pub fn accept(out: &Path, text: &str, replace: bool) -> Result<Accepted, EnrollError> {
    own(out)?;
    let answer = Answer::parse(text)?;
    let of = answer.of();
    let signing = out.join(format!("{}.key", of.kiosk));
    if !signing.exists() {
        return Err(EnrollError::NeverAsked { of, path: signing });
    }
    KeySource::File(signing).signer(of.to_string())?;
    certified(&answer, &tls_key(&out.join(files::KEY))?)?;
    let mut lasting: Vec<(&str, &str)> = Vec::new();
    if let Some(First { root, keyset, back_end, configuration }) = &answer.first {
        let key = PublicKey::from_pem(root.as_bytes()).ok_or(EnrollError::Malformed("the fleet's root"))?;
        Keyset::open(&key, of.fleet.as_str(), keyset.as_bytes())?;
        lasting.extend([(files::ROOT, root.as_str()), (files::KEYSET, keyset)]);
        if let Some(back_end) = back_end {
            PublicKey::from_pem(back_end.as_bytes()).ok_or(EnrollError::Malformed("the back end's key"))?;
            lasting.push((files::BACK_END, back_end));
        }
        configured(configuration, &of)?;
        // Last, so that what it names is there before it.
        lasting.push((files::CONFIGURATION, configuration));
    }
    let mut old = Vec::new();
    for (name, text) in &lasting {
        let path = out.join(name);
        match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => {}
            Ok(there) if replace => old.push((out.join(format!("{name}.before")), there)),
            Ok(_) => return Err(EnrollError::There { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path)(error)),
        }
    }
    for (path, there) in old {
        service::replace(&path, &there).map_err(failed(&path))?;
    }
    let mut written = Vec::new();
    let renewed = [(files::CA, answer.ca.as_str()), (files::CERTIFICATE, &answer.certificate)];
    for (name, text) in renewed.into_iter().chain(lasting) {
        let path = out.join(name);
        service::replace(&path, text.as_bytes()).map_err(failed(&path))?;
        written.push(path);
    }
    Ok(Accepted { of, written, configuration: out.join(files::CONFIGURATION) })
}

/// The certificate is this machine's, and a broker that believes the CA will believe it.
fn certified(answer: &Answer, key: &KeyPair) -> Result<(), EnrollError> {
    let der = CertificateDer::from_pem_slice(answer.certificate.as_bytes());
    let der = der.map_err(|_| EnrollError::Malformed("the certificate"))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| EnrollError::Malformed("the certificate"))?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err(EnrollError::OtherKey);
    }
    if common_name(certificate.subject()) != Some(answer.kiosk.as_str()) {
        return Err(EnrollError::OtherName(answer.of()));
    }
    // A board's clock may be wrong: it is not the one to say when a certificate ends.
    let begins = u64::try_from(certificate.validity().not_before.timestamp()).unwrap_or_default();
    signed_by(&answer.ca, &der, UnixTime::since_unix_epoch(Duration::from_secs(begins)))
}

/// Whether a broker that believes these CAs lets a client with this certificate in.
pub(super) fn signed_by(ca: &str, certificate: &CertificateDer<'_>, at: UnixTime) -> Result<(), EnrollError> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        let ca = ca.map_err(|_| EnrollError::Malformed("the CA"))?;
        roots.add(ca).map_err(|_| EnrollError::Malformed("the CA"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|_| EnrollError::Malformed("the CA"))?;
    let verified = verifier.verify_client_cert(certificate, &[], at);
    verified.map(drop).map_err(|why| EnrollError::NotSigned(why.to_string()))
}

/// The check of a configuration does not know who its machine is.
fn configured(text: &str, of: &Address) -> Result<(), EnrollError> {
    #[derive(Deserialize)]
    struct Whose {
        kiosk: Kiosk,
    }
    #[derive(Deserialize)]
    struct Kiosk {
        id: Name,
        fleet: Name,
    }
    let whose: Option<Whose> = toml::from_str(text).ok();
    match whose {
        Some(Whose { kiosk }) if kiosk.id == of.kiosk && kiosk.fleet == of.fleet => Ok(()),
        _ => Err(EnrollError::Configuration(of.clone())),
    }
}
