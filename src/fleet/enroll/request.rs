//! What a machine asks for: a certificate request that openssl reads, its public signing key, and that key's word for both.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::hex;
use crate::fleet::topic::{Address, Name};
use crate::signed::jws::{BadMessage, PublicKey, Purpose, Signer};

/// Bytes of a whole request; a real one is a third of it.
pub const LONGEST: usize = 8 << 10;

#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    #[error("the request is longer than {LONGEST} bytes")]
    TooLong,
    #[error("there is no certificate request in it; carry all that `kioskd enroll` has printed")]
    NoCertificateRequest,
    #[error("there is no public signing key in it; carry all that `kioskd enroll` has printed")]
    NoKey,
    #[error("there is no proof for the signing key in it; carry all that `kioskd enroll` has printed")]
    NoProof,
    #[error("the proof does not hold: {0}")]
    Proof(#[from] BadMessage),
    #[error("the proof is for another certificate request")]
    OtherRequest,
    #[error("the proof is signed under another name than it is for")]
    OtherName,
}

#[derive(Debug, thiserror::Error)]
pub enum CannotAsk {
    #[error("the certificate request can't be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the proof can't be written: {0}")]
    Proof(#[from] serde_json::Error),
}

/// What the signing key signs: so nobody can put another's certificate request beside it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    fleet: Name,
    kiosk: Name,
    /// SHA-256 of the certificate request's DER, in hexadecimal digits.
    request: String,
}

/// A request whose signing key has proved itself. The certificate request's own signature is for who certifies to check.
#[derive(Debug)]
pub struct Request {
    pub of: Address,
    pub signing_key: PublicKey,
    pub certificate: CertificateSigningRequestDer<'static>,
}

/// The request of a machine with these keys, as text. `public` is the PEM of the signing key's public half.
///
/// # Errors
/// When a key can't sign.
pub fn write(of: &Address, tls: &KeyPair, signer: &Signer, public: &str) -> Result<String, CannotAsk> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, of.kiosk.as_str());
    let certificate = params.serialize_request(tls)?;
    let request = hex(digest(&SHA256, certificate.der()).as_ref());
    let proof = Proof { fleet: of.fleet.clone(), kiosk: of.kiosk.clone(), request };
    let proof = signer.sign(Purpose::EnrollmentRequest, &proof)?;
    Ok(format!("{}{public}{}\n", certificate.pem()?.replace('\r', ""), String::from_utf8_lossy(&proof)))
}

impl Request {
    /// # Errors
    /// When it is anything but a whole request whose signing key has signed it.
    pub fn parse(text: &str) -> Result<Self, BadRequest> {
        if text.len() > LONGEST {
            return Err(BadRequest::TooLong);
        }
        let certificate = CertificateSigningRequestDer::from_pem_slice(text.as_bytes())
            .map_err(|_| BadRequest::NoCertificateRequest)?;
        let signing_key = PublicKey::from_pem(text.as_bytes()).ok_or(BadRequest::NoKey)?;
        let proof = text.lines().map(str::trim).find(|line| line.starts_with('{')).ok_or(BadRequest::NoProof)?;
        let (Proof { fleet, kiosk, request }, kid) = signing_key.open(Purpose::EnrollmentRequest, proof.as_bytes())?;
        if request != hex(digest(&SHA256, &certificate).as_ref()) {
            return Err(BadRequest::OtherRequest);
        }
        let of = Address { fleet, kiosk };
        if kid != of.to_string() {
            return Err(BadRequest::OtherName);
        }
        Ok(Self { of, signing_key, certificate })
    }
}
