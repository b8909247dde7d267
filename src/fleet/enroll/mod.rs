//! How a machine comes into a fleet: it asks, the office answers, and what is carried between them is text.
//!
//! Policy: a private key never leaves the machine that made it, and none is ever overwritten. Whatever is carried is
//! limited in size and believed for what can be checked: a request for the signatures of both its keys, an answer for its
//! digest, for the machine's own key in the certificate, and for the CA that signed it. Who stands at the machine and
//! pastes is trusted with the root of the fleet.
//!
//! - [`request`] what the machine asks for, as text.
//! - [`answer`] what it gets, as one line.
//! - [`machine`] the machine's side.
//! - `issue` the office's side.

pub mod answer;
#[cfg(feature = "back-end")]
pub mod issue;
pub mod machine;
pub mod request;

use ring::digest::{SHA256, digest};

/// What lies in the machine's folder, beside its own `ID.key` and `ID.pem`.
pub mod files {
    /// The key of the certificate.
    pub const KEY: &str = "kiosk.key";
    pub const CERTIFICATE: &str = "kiosk.pem";
    pub const CA: &str = "ca.pem";
    pub const ROOT: &str = "root.pem";
    pub const KEYSET: &str = "keyset.json";
    pub const BACK_END: &str = "back-end.pem";
    pub const CONFIGURATION: &str = "kiosk.toml";

    /// Whether the own files of a machine of this name would be among these.
    pub fn are_named(kiosk: &str) -> bool {
        [CERTIFICATE, CA, ROOT, KEYSET, BACK_END]
            .iter()
            .any(|file| file.split_once('.').is_some_and(|(name, _)| name == kiosk))
    }
}

/// Twenty digits that two people can compare by telephone: of both public keys of a machine, and the same for as long as
/// it has them.
pub fn fingerprint(tls: &[u8], signing: &[u8; 32]) -> String {
    let digits = hex(digest(&SHA256, &[tls, signing].concat()).as_ref());
    let groups: Vec<&str> = (0..5).filter_map(|nth| digits.get(nth * 4..nth * 4 + 4)).collect();
    groups.join("-")
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The one common name of a certificate's subject.
fn common_name<'a>(subject: &'a x509_parser::x509::X509Name<'_>) -> Option<&'a str> {
    let mut names = subject.iter_common_name();
    let name = names.next()?.as_str().ok()?;
    names.next().is_none().then_some(name)
}
