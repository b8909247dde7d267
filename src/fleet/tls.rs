//! TLS to the broker: whom the client believes, and who it is. And the other side, for what the gateway serves.
//!
//! Policy: the broker's certificate is verified against the operator's CA, or the system's roots; nothing switches that
//! off. The client's own certificate says to the broker who may say and hear what; it makes nothing true.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config;
use crate::signed::keys::{KeyError, KeySource};
use crate::signed::{RootsError, root_certificates};

/// Larger than any chain of certificates.
const LARGEST: u64 = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Ca(#[from] RootsError),
    #[error("{path} holds a certificate that can't be a CA's: {source}", path = path.display())]
    BadCa { path: PathBuf, source: rustls::Error },
    #[error("this system trusts no CA; install ca-certificates, or write ca = \"/path/of/the/ca.pem\"")]
    NoRoots,
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a chain of certificates in PEM, its owner's first", path = path.display())]
    Chain { path: PathBuf },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{place} is not a private key in PEM; write one with: openssl genpkey -algorithm ed25519")]
    NotAKey { place: String },
    #[error("the certificate {path} does not go with the key {key}: {source}", path = path.display())]
    Mismatch { path: PathBuf, key: String, source: rustls::Error },
    #[error("TLS can't be set up: {0}")]
    Provider(rustls::Error),
}

/// `ca`: a PEM file with the CAs that are believed, in place of the system's. `identity`: a PEM file with the client's
/// certificate and those between it and its CA, and the private key of the first.
///
/// # Errors
/// When a file can't be read or is not what it should be; the error says which and what to write.
pub fn client(ca: Option<&Path>, identity: Option<(&Path, &KeySource)>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let certificates = root_certificates(ca)?;
    match ca {
        Some(path) => {
            for certificate in certificates {
                roots.add(certificate).map_err(|source| TlsError::BadCa { path: path.into(), source })?;
            }
        }
        // The system's file may hold an old one that nobody understands any more.
        None => drop(roots.add_parsable_certificates(certificates)),
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((path, key)) => builder
            .with_client_auth_cert(chain(path)?, private_key(key)?)
            .map_err(|source| TlsError::Mismatch { path: path.into(), key: key.to_string(), source })?,
    };
    Ok(Arc::new(config))
}

/// A client's TLS, made anew for each connection: a certificate that was renewed meanwhile counts from the next one on.
#[derive(Clone)]
pub struct ClientTls(Arc<dyn Fn() -> Result<Arc<ClientConfig>, TlsError> + Send + Sync>);

impl ClientTls {
    /// What a kiosk's configuration says about its broker.
    ///
    /// # Errors
    /// Those of [`client`], as the files are now.
    pub fn of(fleet: &config::Fleet) -> Result<Self, TlsError> {
        let (ca, cert, key) = (fleet.ca.clone(), fleet.cert.clone(), fleet.key.clone());
        Self::made(move || client(ca.as_deref(), cert.as_deref().zip(key.as_ref())))
    }

    /// As `make` makes it each time.
    ///
    /// # Errors
    /// Those of `make`, now.
    pub fn made(
        make: impl Fn() -> Result<Arc<ClientConfig>, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let made = Self(Arc::new(make));
        made.now().map(|_| made)
    }

    /// # Errors
    /// Those of [`client`].
    pub fn now(&self) -> Result<Arc<ClientConfig>, TlsError> {
        self.0()
    }
}

/// One that stays as it is.
impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(Arc::new(move || Ok(Arc::clone(&config))))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls(..)")
    }
}

/// A server that anybody may connect to. `chain_file`: a PEM file with its certificate and those between it and its CA.
///
/// # Errors
/// When a file can't be read or is not what it should be.
pub fn server(chain_file: &Path, key: &KeySource) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_no_client_auth();
    let config = builder.with_single_cert(chain(chain_file)?, private_key(key)?);
    let mismatch = |source| TlsError::Mismatch { path: chain_file.into(), key: key.to_string(), source };
    Ok(Arc::new(config.map_err(mismatch)?))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    use std::io::Read;
    let mut pem = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut pem));
    read.map_err(|source| TlsError::Read { path: path.into(), source })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::Chain { path: path.into() })
}

fn private_key(source: &KeySource) -> Result<PrivateKeyDer<'static>, TlsError> {
    // What the parser says could repeat a part of the key.
    PrivateKeyDer::from_pem_slice(&source.secret()?).map_err(|_| TlsError::NotAKey { place: source.to_string() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        }

        fn key(&self, name: &str, text: &str) -> KeySource {
            KeySource::File(self.write(name, text))
        }
    }

    fn certificate() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["kiosk".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_and_nothing_of_the_key() {
        let files = Files(tempfile::tempdir().unwrap());
        let ((pem, key), (other, other_key)) = (certificate(), certificate());
        let ca = files.write("ca.pem", &other);
        let cert = files.write("kiosk.pem", &pem);
        let good = files.key("kiosk.key", &key);
        client(Some(&ca), Some((&cert, &good))).unwrap();
        client(Some(&ca), None).unwrap();
        server(&cert, &good).unwrap();

        let said = |ca: &Path, cert: &Path, key: &KeySource| {
            let error = client(Some(ca), Some((cert, key))).unwrap_err().to_string();
            assert!(!error.contains(&other_key[40..60]) && error.contains(files.0.path().to_str().unwrap()), "{error}");
            error
        };
        let empty = files.write("empty.pem", "");
        let nothing = files.0.path().join("nothing.pem");
        assert!(said(&nothing, &cert, &good).contains("nothing.pem: No such file"));
        assert!(said(&empty, &cert, &good).contains("empty.pem holds no PEM certificate"));
        assert!(said(&ca, &nothing, &good).contains("nothing.pem: No such file"));
        assert!(said(&ca, &empty, &good).contains("empty.pem is not a chain of certificates"));
        let wrong = files.key("other.key", &other_key);
        assert!(said(&ca, &cert, &wrong).contains("does not go with the key"));
        assert!(server(&cert, &wrong).unwrap_err().to_string().contains("does not go with the key"));
        let broken = files.key("broken.key", &other_key.replacen('M', "!", 1));
        assert!(said(&ca, &cert, &broken).contains("broken.key is not a private key in PEM"));
        fs::set_permissions(files.0.path().join("kiosk.key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(said(&ca, &cert, &good).contains("chmod 600"));
    }
}
