//! The office's side: it checks a request, certifies the machine, and writes its first configuration.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

use super::answer::{Answer, BadAnswer, First};
use super::machine::{EnrollError, signed_by};
use super::request::{BadRequest, Request};
use super::{common_name, files, fingerprint};
use crate::config::{Config, ConfigError, Enrolled, enrolled};
use crate::fleet::keygen::public_pem;
use crate::fleet::link::Broker;
use crate::fleet::topic::Address;
use crate::service;
use crate::signed::keys::{KeyError, KeySource};
use crate::signed::keyset::{BadKeyset, Keyset};

/// Days that a certificate may be valid.
pub const MOST_DAYS: u16 = 825;
/// Bytes of a template.
const LARGEST: u64 = 256 << 10;
/// The access list as the project has it; by its patterns a user may do what is the machine's of that name.
const ACCESS: &str = include_str!("../../../configs/mosquitto.acl");

/// What is given to a machine that is new.
#[derive(Debug, Clone)]
pub struct Setup {
    pub keyset: PathBuf,
    pub root: PathBuf,
    pub broker: Broker,
    /// Its text, as it was typed.
    pub broker_url: String,
    pub back_end: Option<PathBuf>,
    pub template: PathBuf,
}

#[derive(Debug, Clone)]
pub struct Order {
    pub ca: PathBuf,
    pub ca_key: PathBuf,
    pub request: String,
    pub days: u16,
    /// The register: `KIOSK.pem` and the folder `KIOSK` of each machine.
    pub out: PathBuf,
    /// `None` renews the certificate of a machine that is in the register.
    pub setup: Option<Setup>,
}

/// As `kioskd check` checks the bytes of a configuration of this name.
pub type Check = fn(&Path, &[u8]) -> Result<Config, ConfigError>;

#[derive(Debug)]
pub struct Issued {
    pub of: Address,
    pub fingerprint: String,
    /// To be pasted at the machine.
    pub line: String,
    pub folder: PathBuf,
    /// The certificate's last day.
    pub until: String,
    /// What of the configuration can only be checked on the machine.
    pub unchecked: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("the request: {0}")]
    Request(#[from] BadRequest),
    #[error("the certificate request's own signature does not hold: who sent it does not have the key")]
    Possession,
    #[error("the certificate request is for a key of another kind; `kioskd enroll` makes P-256")]
    KeyKind,
    #[error("the certificate request is for another name than {0}")]
    Name(Address),
    #[error(
        "a machine can't be called `{0}`: by the broker's access list, or in the machine's own folder, that is somebody else"
    )]
    Reserved(String),
    #[error("{of} is in the register already ({path}). With --renew its certificate is renewed; where its board was replaced, \
             move {path} and its folder away first", path = path.display())]
    Taken { of: Address, path: PathBuf },
    #[error("{of} is not in the register, so nothing is renewed: {path} is not there", path = path.display())]
    Unknown { of: Address, path: PathBuf },
    #[error("the request is signed by another key than {path}: it is not the machine that is known as {of}", path = path.display())]
    OtherMachine { of: Address, path: PathBuf },
    #[error("a certificate is valid for 1 to {MOST_DAYS} days")]
    Days,
    #[error("{path} is not a CA's certificate in PEM", path = path.display())]
    Ca { path: PathBuf },
    #[error("{path} is not a private key in PKCS#8; write it so: openssl pkcs8 -topk8 -nodes -in OLD -out {path}", path = path.display())]
    CaKey { path: PathBuf },
    #[error("the certificate would not be believed, so nothing was written; does the key belong to the CA? {0}")]
    Signed(#[source] EnrollError),
    #[error("the CA ends on {0}, before the certificate would; write fewer --days, or renew the CA")]
    CaEnds(String),
    #[error("the certificate can't be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the keyset does not count: {0}")]
    Keyset(#[from] BadKeyset),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("a private key is in {path}; write the file with the public half alone", path = path.display())]
    Secret { path: PathBuf },
    #[error("the broker has no TLS, so a certificate is for nothing; write --broker mqtts://HOST:PORT")]
    NoTls,
    #[error("{path} is larger than {LARGEST} bytes", path = path.display())]
    Large { path: PathBuf },
    #[error("the template: {}", .0.join("\nthe template: "))]
    Template(Vec<String>),
    #[error("the template does not make a configuration:\n{0}")]
    Check(ConfigError),
    #[error(transparent)]
    Answer(#[from] BadAnswer),
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the system has no clock or no random numbers")]
    System,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> IssueError {
    move |source| IssueError::File { path: path.into(), source }
}

/// Everything is checked before anything is written.
///
/// # Errors
/// When the request is not to be believed, or the CA, the keyset or the template does not fit.
pub fn issue(order: &Order, check: Check) -> Result<Issued, IssueError> {
    let request = Request::parse(&order.request)?;
    let of = &request.of;
    let asked = possessed(&request)?;
    let access = ACCESS.lines().any(|line| line.trim() == format!("user {}", of.kiosk));
    if access || files::are_named(of.kiosk.as_str()) {
        return Err(IssueError::Reserved(of.kiosk.to_string()));
    }
    registered(order, &request)?;
    let ca = KeySource::File(order.ca.clone()).public()?;
    let ca = String::from_utf8(ca).map_err(|_| IssueError::Ca { path: order.ca.clone() })?;
    let (certificate, until) = certify(order, &ca, of, &asked)?;
    let mut unchecked = Vec::new();
    let first = match &order.setup {
        Some(setup) => Some(first(setup, of, &order.out, check, &mut unchecked)?),
        None => None,
    };
    let answer = Answer { fleet: of.fleet.clone(), kiosk: of.kiosk.clone(), certificate, ca, first };
    let line = answer.line()?;
    let folder = order.out.join(of.kiosk.as_str());
    write(order, &request, &answer, &line, &folder)?;
    let fingerprint = fingerprint(&asked.subject_public_key_info(), request.signing_key.bytes());
    Ok(Issued { of: of.clone(), fingerprint, line, folder, until, unchecked })
}

/// Whoever asks has the private key, and asks for this name. Nothing else of the certificate request counts.
fn possessed(request: &Request) -> Result<rcgen::PublicKey, IssueError> {
    let asked = CertificateSigningRequestParams::from_der(&request.certificate).map_err(|_| IssueError::Possession)?;
    let (_, parsed) = X509CertificationRequest::from_der(&request.certificate).map_err(|_| IssueError::Possession)?;
    if common_name(&parsed.certification_request_info.subject) != Some(request.of.kiosk.as_str()) {
        return Err(IssueError::Name(request.of.clone()));
    }
    if *asked.public_key.algorithm() != PKCS_ECDSA_P256_SHA256 {
        return Err(IssueError::KeyKind);
    }
    Ok(asked.public_key)
}

fn registered(order: &Order, request: &Request) -> Result<(), IssueError> {
    let of = request.of.clone();
    let path = order.out.join(format!("{}.pem", of.kiosk));
    if order.setup.is_some() {
        let taken = path.exists() || order.out.join(of.kiosk.as_str()).exists();
        return if taken { Err(IssueError::Taken { of, path }) } else { Ok(()) };
    }
    if !path.exists() {
        return Err(IssueError::Unknown { of, path });
    }
    let known = KeySource::File(path.clone()).signers_key()?;
    if known == request.signing_key { Ok(()) } else { Err(IssueError::OtherMachine { of, path }) }
}

/// The certificate in PEM, and its last day.
fn certify(order: &Order, ca: &str, of: &Address, asked: &rcgen::PublicKey) -> Result<(String, String), IssueError> {
    if !(1..=MOST_DAYS).contains(&order.days) {
        return Err(IssueError::Days);
    }
    let no_ca = || IssueError::Ca { path: order.ca.clone() };
    let der = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|_| no_ca())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| no_ca())?;
    if !parsed.is_ca() {
        return Err(no_ca());
    }
    if ca.contains("PRIVATE KEY") {
        return Err(IssueError::Secret { path: order.ca.clone() });
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| IssueError::System)?;
    let today = Timestamp::from_second(i64::try_from(now.as_secs()).map_err(|_| IssueError::System)?)
        .map_err(|_| IssueError::System)?
        .to_zoned(TimeZone::UTC)
        .date();
    // Whole days; a machine's clock may be some hours behind.
    let begin = today.checked_sub(1.day()).map_err(|_| IssueError::System)?;
    let end = today.checked_add(i64::from(order.days).days()).map_err(|_| IssueError::System)?;
    let ends = parsed.validity().not_after.timestamp();
    let last = end.to_zoned(TimeZone::UTC).map_err(|_| IssueError::System)?.timestamp().as_second();
    if ends < last {
        return Err(IssueError::CaEnds(parsed.validity().not_after.to_string()));
    }
    let pem = KeySource::File(order.ca_key.clone()).secret()?;
    let no_key = || IssueError::CaKey { path: order.ca_key.clone() };
    let key = KeyPair::from_pem(std::str::from_utf8(&pem).map_err(|_| no_key())?).map_err(|_| no_key())?;
    let issuer = Issuer::from_ca_cert_der(&der, key)?;
    let day = |date: jiff::civil::Date| {
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| IssueError::System)?;
    // RFC 5280 §4.1.2.2: positive, and without a leading zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, of.kiosk.as_str());
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = day(begin);
    params.not_after = day(end);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(asked, &issuer)?;
    signed_by(ca, certificate.der(), UnixTime::since_unix_epoch(now)).map_err(IssueError::Signed)?;
    Ok((certificate.pem().replace('\r', ""), end.to_string()))
}

/// The first configuration and whom the machine is to believe.
fn first(
    setup: &Setup,
    of: &Address,
    out: &Path,
    check: Check,
    unchecked: &mut Vec<String>,
) -> Result<First, IssueError> {
    if !setup.broker.tls {
        return Err(IssueError::NoTls);
    }
    let text = |path: &Path| {
        let bytes = KeySource::File(path.into()).public()?;
        let text = String::from_utf8(bytes).map_err(|_| failed(path)(ErrorKind::InvalidData.into()))?;
        // It is carried to the machine as it is.
        if text.contains("PRIVATE KEY") { Err(IssueError::Secret { path: path.into() }) } else { Ok(text) }
    };
    let (root_pem, keyset) = (text(&setup.root)?, text(&setup.keyset)?);
    let root = KeySource::File(setup.root.clone()).signers_key()?;
    Keyset::open(&root, of.fleet.as_str(), keyset.as_bytes())?;
    let back_end = match &setup.back_end {
        Some(path) => {
            KeySource::File(path.clone()).signers_key()?;
            Some((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), text(path)?))
        }
        None => None,
    };
    let signing_key = format!("file:{}.key", of.kiosk);
    let machine = Enrolled {
        id: of.kiosk.as_str(),
        fleet: of.fleet.as_str(),
        link: vec![
            ("broker", setup.broker_url.clone()),
            ("ca", files::CA.into()),
            ("cert", files::CERTIFICATE.into()),
            ("key", format!("file:{}", files::KEY)),
            ("signing_key", signing_key),
            ("root", files::ROOT.into()),
            ("keyset", files::KEYSET.into()),
        ],
        back_end: back_end.as_ref().map(|(kid, _)| (kid.as_str(), files::BACK_END)),
    };
    if fs::metadata(&setup.template).map_err(failed(&setup.template))?.len() > LARGEST {
        return Err(IssueError::Large { path: setup.template.clone() });
    }
    let template = fs::read_to_string(&setup.template).map_err(failed(&setup.template))?;
    let configuration = enrolled(&template, &machine).map_err(IssueError::Template)?;
    let first = First { root: root_pem, keyset, back_end: back_end.map(|(_, pem)| pem), configuration };
    *unchecked = checked(&first, out, check)?;
    Ok(first)
}

/// Checks the configuration in a folder that looks like the machine's. Answers with what only the machine can say: whether
/// it has the files that the configuration names.
fn checked(first: &First, out: &Path, check: Check) -> Result<Vec<String>, IssueError> {
    fs::create_dir_all(out).map_err(failed(out))?;
    // Names of machines have no dot.
    let folder = out.join(".checked");
    let path = folder.join(files::CONFIGURATION);
    let look = || -> Result<_, IssueError> {
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).map_err(failed(&folder))?;
        for (name, text) in [(files::ROOT, &first.root), (files::KEYSET, &first.keyset)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(failed(&path))?;
        }
        Ok(check(&path, first.configuration.as_bytes()))
    };
    let looked = look();
    drop(fs::remove_dir_all(&folder));
    match looked? {
        Ok(_) => Ok(Vec::new()),
        Err(ConfigError::Wrong { path, problems }) => {
            let absent = |what: &str| what.contains("does not exist; write the path") || what.contains("can't be read");
            let (unchecked, wrong): (Vec<_>, Vec<_>) = problems.into_iter().partition(|one| absent(&one.what));
            if wrong.is_empty() {
                Ok(unchecked.into_iter().map(|one| one.what).collect())
            } else {
                Err(IssueError::Check(ConfigError::Wrong { path, problems: wrong }))
            }
        }
        Err(error) => Err(IssueError::Check(error)),
    }
}

/// The register is written last: without its line a machine that was half written is enrolled again.
fn write(order: &Order, request: &Request, answer: &Answer, line: &str, folder: &Path) -> Result<(), IssueError> {
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let access = access(&request.of);
    let mut all = vec![
        (files::CERTIFICATE, answer.certificate.clone()),
        (files::CA, answer.ca.clone()),
        ("answer", format!("{line}\n")),
    ];
    if let Some(first) = &answer.first {
        all.push((files::CONFIGURATION, first.configuration.clone()));
        all.push(("access.acl", access));
    }
    for (name, text) in all {
        let path = folder.join(name);
        service::replace(&path, text.as_bytes()).map_err(failed(&path))?;
    }
    if order.setup.is_some() {
        let path = order.out.join(format!("{}.pem", request.of.kiosk));
        let pem = public_pem(&request.signing_key);
        service::replace(&path, pem.as_bytes()).map_err(failed(&path))?;
    }
    Ok(())
}

/// The same rights as by the patterns of the project's access list, for a broker that has no patterns.
fn access(of: &Address) -> String {
    let rights = ACCESS.lines().filter_map(|line| line.strip_prefix("pattern "));
    let own =
        rights.map(|right| right.replace("/street/", &format!("/{}/", of.fleet)).replace("%u", of.kiosk.as_str()));
    own.fold(format!("user {}\n", of.kiosk), |all, right| format!("{all}topic {right}\n"))
}

#[cfg(test)]
mod tests;
