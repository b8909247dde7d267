//! Whose certificates are believed.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no PEM certificate", path = path.display())]
    NoCertificate { path: PathBuf },
}

/// The certificates of the operator's CA file, or those the system trusts.
///
/// # Errors
/// When the file can't be read or holds none.
pub fn root_certificates(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let Some(path) = ca else { return Ok(rustls_native_certs::load_native_certs().certs) };
    let pem = std::fs::read(path).map_err(|source| RootsError::Read { path: path.into(), source })?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if certificates.is_empty() {
        return Err(RootsError::NoCertificate { path: path.into() });
    }
    Ok(certificates)
}
