//! Certificate mode: numbers that name certificates, and whether Alipay's comes from its root.
//!
//! A certificate's number (`app_cert_sn`, `alipay_cert_sn`) is the MD5 of its issuer, written from the last part to the
//! first as `CN=…,OU=…,O=…,C=…` without blanks, followed by its serial number in decimal; the root file's
//! (`alipay_root_cert_sn`) is that of each certificate signed with RSA, joined by `_`. The rule is that of Alipay's SDKs
//! (`AntCertificationUtil` in Java, `antcertutil` in Node.js).
//!
//! Policy: Alipay's certificate must be issued, over the certificates that come in its file, by one of the root file.
//! Dates are not looked at: a board has no clock of its own, and an answer names the certificate it was signed with.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::signed::keys::VerifyingKey;

/// Longer than any chain of Alipay's.
const LONGEST_CHAIN: usize = 8;
/// PKCS #1 and everything below it: the signature algorithms with RSA (RFC 8017, appendix C).
const PKCS_1: &str = "1.2.840.113549.1.1.";

#[derive(Debug, thiserror::Error)]
#[error("the {which} certificate: {why}")]
pub struct CertificateError {
    which: &'static str,
    why: String,
}

/// What certificate mode adds to requests and asks of answers.
#[derive(Debug)]
pub(super) struct Certificates {
    pub app_cert_sn: String,
    pub root_cert_sn: String,
    pub alipay_cert_sn: String,
    /// The key in `app_cert`.
    pub app_key: VerifyingKey,
    /// The key in `alipay_cert`.
    pub alipay_key: VerifyingKey,
}

impl Certificates {
    /// Each is PEM: the application's, Alipay's with what it was issued with, Alipay's roots.
    pub fn new(app: &[u8], alipay: &[u8], root: &[u8]) -> Result<Self, CertificateError> {
        let (app, alipay, root) =
            (Bundle::read("app", app)?, Bundle::read("Alipay", alipay)?, Bundle::read("root", root)?);
        let (app, chain, roots) = (app.parse()?, alipay.parse()?, root.parse()?);
        if !descends(&chain, &roots) {
            let why = "not issued by the root certificate; use alipayCertPublicKey_RSA2.crt and alipayRootCert.crt of one \
                       download, unaltered";
            return Err(CertificateError { which: "Alipay", why: why.into() });
        }
        Ok(Self {
            app_cert_sn: number(&app[0], "app")?,
            root_cert_sn: root_number(&roots)?,
            alipay_cert_sn: number(&chain[0], "Alipay")?,
            app_key: key(&app[0], "app")?,
            alipay_key: key(&chain[0], "Alipay")?,
        })
    }
}

/// The certificates of one file, one at least.
struct Bundle {
    which: &'static str,
    certificates: Vec<CertificateDer<'static>>,
}

impl Bundle {
    fn read(which: &'static str, pem: &[u8]) -> Result<Self, CertificateError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Ok(Self { which, certificates }),
            Ok(_) => Err(CertificateError { which, why: "no PEM certificate in it".into() }),
            Err(error) => Err(CertificateError { which, why: error.to_string() }),
        }
    }

    fn parse(&self) -> Result<Vec<X509Certificate<'_>>, CertificateError> {
        let parse = |der| X509Certificate::from_der(der).map(|(_, certificate)| certificate);
        let parsed: Result<_, _> = self.certificates.iter().map(|der| parse(der)).collect();
        parsed.map_err(|error| CertificateError { which: self.which, why: error.to_string() })
    }
}

fn key(certificate: &X509Certificate<'_>, which: &'static str) -> Result<VerifyingKey, CertificateError> {
    let key = VerifyingKey::from_der(certificate.public_key().raw);
    key.ok_or_else(|| CertificateError { which, why: "its key is not RSA".into() })
}

fn number(certificate: &X509Certificate<'_>, which: &'static str) -> Result<String, CertificateError> {
    let issuer = name(certificate.issuer());
    let issuer = issuer.ok_or_else(|| CertificateError { which, why: "the name of its issuer is not text".into() })?;
    let hash = Md5::digest(format!("{issuer}{}", certificate.tbs_certificate.serial));
    Ok(HEXLOWER.encode(&hash))
}

fn root_number(roots: &[X509Certificate<'_>]) -> Result<String, CertificateError> {
    let with_rsa = |root: &&X509Certificate<'_>| root.signature_algorithm.algorithm.to_id_string().starts_with(PKCS_1);
    let numbers: Result<Vec<_>, _> = roots.iter().filter(with_rsa).map(|root| number(root, "root")).collect();
    let joined = numbers?.join("_");
    if joined.is_empty() {
        return Err(CertificateError { which: "root", why: "none of its certificates is signed with RSA".into() });
    }
    Ok(joined)
}

/// The last part first, as RFC 2253 writes names; nothing is escaped.
fn name(name: &X509Name<'_>) -> Option<String> {
    let parts: Option<Vec<String>> = name
        .iter_attributes()
        .map(|part| Some(format!("{}={}", short(part.attr_type()), part.as_str().ok()?)))
        .collect();
    let mut parts = parts?;
    parts.reverse();
    Some(parts.join(","))
}

/// The attribute's short name (RFC 2253 §2.3), or its number.
fn short(attribute: &Oid<'_>) -> String {
    let dotted = attribute.to_id_string();
    let known = match dotted.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        _ => return dotted,
    };
    known.into()
}

/// Whether the first of `chain` was issued by one of `roots`, over authorities in `chain`.
fn descends(chain: &[X509Certificate<'_>], roots: &[X509Certificate<'_>]) -> bool {
    let mut current = &chain[0];
    for _ in 0..LONGEST_CHAIN {
        if roots.iter().any(|root| issued(root, current)) {
            return true;
        }
        match chain[1..].iter().find(|above| above.is_ca() && issued(above, current)) {
            Some(above) => current = above,
            None => return false,
        }
    }
    false
}

fn issued(above: &X509Certificate<'_>, below: &X509Certificate<'_>) -> bool {
    above.subject().as_raw() == below.issuer().as_raw()
        && VerifyingKey::from_der(above.public_key().raw).is_some_and(|key| {
            key.verifies(below.tbs_certificate.as_ref(), &BASE64_STANDARD.encode(&below.signature_value.data))
        })
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;

    #[test]
    fn certificates_have_the_numbers_the_sdks_give_them() {
        let golden = &golden()["certificates"];
        let text = |name: &str| golden[name].as_str().unwrap();
        let bundle = |name: &str| Bundle::read("test", text(name).as_bytes()).unwrap();
        let first = |name: &str| number(&bundle(name).parse().unwrap()[0], "test").unwrap();
        assert_eq!(first("app"), text("app_cert_sn"));
        assert_eq!(first("alipay"), text("alipay_cert_sn"));
        // An SM2, an RSA and an EC root: the RSA one counts.
        let roots = bundle("root");
        assert_eq!(roots.certificates.len(), 3);
        assert_eq!(root_number(&roots.parse().unwrap()).unwrap(), text("alipay_root_cert_sn"));
        let key = BASE64_STANDARD.encode(bundle("alipay").parse().unwrap()[0].public_key().raw);
        assert_eq!(key, text("alipay_key"));
    }

    #[test]
    fn what_does_not_belong_together_is_refused_in_words() {
        let golden = &golden()["certificates"];
        let pem = |name: &str| golden[name].as_str().unwrap().as_bytes();
        let refused = |app, alipay, root| Certificates::new(app, alipay, root).unwrap_err().to_string();
        // A production certificate, and the roots of the test environment.
        assert!(refused(pem("app"), pem("alipay"), pem("root")).contains("not issued by the root"));
        assert!(refused(b"", pem("alipay"), pem("root")).contains("the app certificate: no PEM"));
        assert!(refused(pem("app"), pem("alipay"), b"x").contains("the root certificate: no PEM"));
    }

    #[test]
    fn a_root_issued_itself_and_nothing_else() {
        let golden = &golden()["certificates"];
        let roots = Bundle::read("root", golden["root"].as_str().unwrap().as_bytes()).unwrap();
        let roots = roots.parse().unwrap();
        // The second is RSA's; the others' signatures are not ours to check.
        for (index, root) in roots.iter().enumerate() {
            assert_eq!(issued(&roots[1], root), index == 1);
        }
    }
}
