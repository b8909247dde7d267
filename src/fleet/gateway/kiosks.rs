//! The kiosks of the fleet, and the verification of their requests.
//!
//! Policy: a kiosk is a public key in a directory, `KIOSK.pem`. A request is valid when its signature holds and the
//! same name stands in three places: the signing key's `kid`, the request's `kiosk`, and the topic it came on. Any
//! other message is counted and logged as a number; it gets no answer, because an answer would help whoever guesses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fleet::topic::{Address, Leaf, Name, Topic};
use crate::payment::gateway::wire::Request;
use crate::signed::jws::{BadMessage, Keys, PublicKey, Purpose};

/// A nonce has so many hexadecimal digits.
const NONCE: usize = 32;
/// Every provider keeps at least so many characters of a charge's `attach`.
const ATTACH: usize = 127;

#[derive(Debug)]
pub(super) struct Kiosks {
    fleet: Name,
    keys: Keys,
    /// The kiosks' names by `fleet/kiosk`.
    names: BTreeMap<String, Name>,
}

/// A mistake in the directory of the kiosks' keys.
#[derive(Debug, thiserror::Error)]
pub enum KiosksError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: the file's name before .pem is no kiosk's (letters, digits, `_` and `-`, at most 64)", path = path.display())]
    Name { path: PathBuf },
    #[error("{path}: fleet and kiosk together are longer than {ATTACH} characters, which a provider would cut", path = path.display())]
    Long { path: PathBuf },
    #[error("{path} is not an Ed25519 public key in PEM; make one with: kioskfleet keygen", path = path.display())]
    Key { path: PathBuf },
    #[error("{path} has no KIOSK.pem in it: nobody could ask this gateway", path = path.display())]
    Nobody { path: PathBuf },
}

/// Why a message is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejected {
    #[error("not on a kiosk's topic")]
    Topic,
    #[error("{0}")]
    Message(#[from] BadMessage),
    #[error("signed by another kiosk than the topic's")]
    Signer,
    #[error("speaks for another kiosk than the topic's")]
    Kiosk,
    #[error("the nonce is not {NONCE} hexadecimal digits, or the rail's name is none")]
    Form,
    #[error("the kiosk's rate limit is exceeded")]
    Flood,
    #[error("it has come before")]
    Repeated,
}

impl Kiosks {
    pub fn load(fleet: Name, directory: &Path) -> Result<Self, KiosksError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| KiosksError::Read { path, source }
        };
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
            let path = entry.map_err(failed(directory))?.path();
            if path.extension().is_none_or(|end| end != "pem") {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let Some(kiosk) = stem.and_then(|stem| Name::parse(stem).ok()) else {
                return Err(KiosksError::Name { path });
            };
            let address = Address { fleet: fleet.clone(), kiosk: kiosk.clone() };
            if address.to_string().len() > ATTACH {
                return Err(KiosksError::Long { path });
            }
            let pem = std::fs::read(&path).map_err(failed(&path))?;
            let Some(key) = PublicKey::from_pem(&pem) else { return Err(KiosksError::Key { path }) };
            keys.push((kiosk, key));
        }
        if keys.is_empty() {
            return Err(KiosksError::Nobody { path: directory.to_owned() });
        }
        Ok(Self::new(fleet, keys))
    }

    fn new(fleet: Name, keys: Vec<(Name, PublicKey)>) -> Self {
        let full = |kiosk: &Name| Address { fleet: fleet.clone(), kiosk: kiosk.clone() }.to_string();
        let names = keys.iter().map(|(kiosk, _)| (full(kiosk), kiosk.clone())).collect();
        let keys = Keys::new(keys.into_iter().map(|(kiosk, key)| (full(&kiosk), key)));
        Self { fleet, keys, names }
    }

    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.values()
    }

    /// The kiosk with this `fleet/kiosk`.
    pub fn find(&self, full: &str) -> Option<Address> {
        Some(self.address(self.names.get(full)?))
    }

    /// The first kiosk whose `fleet/kiosk` fits.
    pub fn find_where(&self, fits: impl Fn(&str) -> bool) -> Option<Address> {
        let (_, kiosk) = self.names.iter().find(|(full, _)| fits(full))?;
        Some(self.address(kiosk))
    }

    fn address(&self, kiosk: &Name) -> Address {
        Address { fleet: self.fleet.clone(), kiosk: kiosk.clone() }
    }

    /// The kiosk on whose `pay/request` topic a message came.
    ///
    /// # Errors
    /// It is no such topic, or no kiosk of this fleet.
    pub fn of_topic(&self, topic: &str) -> Result<Address, Rejected> {
        let Ok(Topic::Kiosk(address, Leaf::PayRequest)) = topic.parse() else { return Err(Rejected::Topic) };
        if self.names.contains_key(&address.to_string()) { Ok(address) } else { Err(BadMessage::UnknownKey.into()) }
    }

    /// Verifies a message of the kiosk of its topic; answers with the request, and its nonce as a number.
    ///
    /// # Errors
    /// The signature does not hold, or the message is another kiosk's or malformed.
    pub fn open(&self, address: &Address, message: &[u8]) -> Result<(Request, u128), Rejected> {
        let full = address.to_string();
        let (request, kid) = self.keys.open::<Request>(Purpose::PayRequest, message)?;
        if kid != full {
            return Err(Rejected::Signer);
        }
        if request.kiosk != full {
            return Err(Rejected::Kiosk);
        }
        let digits = request.nonce.len() == NONCE && request.nonce.bytes().all(|b| b.is_ascii_hexdigit());
        let nonce = u128::from_str_radix(&request.nonce, 16).ok().filter(|_| digits);
        match nonce.filter(|_| Name::parse(&request.rail).is_ok()) {
            Some(nonce) => Ok((request, nonce)),
            None => Err(Rejected::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::keygen;
    use crate::payment::gateway::wire::Ask;
    use crate::signed::jws::Signer;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn one_name_in_three_places() {
        let directory = tempfile::tempdir().unwrap();
        for kiosk in ["K1", "K2"] {
            keygen::keygen(directory.path(), &name(kiosk)).unwrap();
        }
        let kiosks = Kiosks::load(name("street"), directory.path()).unwrap();
        assert_eq!(kiosks.names().map(Name::as_str).collect::<Vec<_>>(), ["K1", "K2"]);
        let signer = |file: &str, kid: &str| {
            let pem = std::fs::read(directory.path().join(format!("{file}.key"))).unwrap();
            Signer::from_pem(&pem, kid).unwrap()
        };
        let request = |kiosk: &str| Request {
            kiosk: kiosk.into(),
            rail: "wechat".into(),
            nonce: "0123456789abcdef0123456789abcdef".into(),
            sent: 0,
            ask: Ask::Probe,
        };
        let open = |signer: &Signer, purpose, request: &Request, topic: &str| {
            let address = kiosks.of_topic(topic)?;
            kiosks.open(&address, &signer.sign(purpose, request).unwrap()).map(|_| address.to_string())
        };
        let ask = Purpose::PayRequest;
        let (k1, k2) = (signer("K1", "street/K1"), signer("K2", "street/K2"));
        let topic = "kiosk/v1/street/K1/pay/request";
        let unknown = Rejected::Message(BadMessage::UnknownKey);
        assert_eq!(open(&k1, ask, &request("street/K1"), topic), Ok("street/K1".into()));
        assert_eq!(open(&k2, ask, &request("street/K1"), topic), Err(Rejected::Signer));
        assert_eq!(open(&k2, ask, &request("street/K2"), topic), Err(Rejected::Signer));
        assert_eq!(open(&k1, ask, &request("street/K2"), topic), Err(Rejected::Kiosk));
        assert_eq!(open(&k1, ask, &request("street/K1"), "kiosk/v1/street/K9/pay/request"), Err(unknown));
        let elsewhere = "kiosk/v1/street/K2/pay/request";
        assert_eq!(open(&k1, ask, &request("street/K1"), elsewhere), Err(Rejected::Signer));
        let other_fleet = "kiosk/v1/other/K1/pay/request";
        assert_eq!(open(&k1, ask, &request("street/K1"), other_fleet), Err(unknown));
        let reply = "kiosk/v1/street/K1/pay/reply";
        assert_eq!(open(&k1, ask, &request("street/K1"), reply), Err(Rejected::Topic));
        let forged = open(&signer("K2", "street/K1"), ask, &request("street/K1"), topic);
        assert_eq!(forged, Err(Rejected::Message(BadMessage::Signature)));
        assert_eq!(open(&signer("K2", "street/K9"), ask, &request("street/K1"), topic), Err(unknown));
        let notice = open(&k1, Purpose::PayNotice, &request("street/K1"), topic);
        assert_eq!(notice, Err(Rejected::Message(BadMessage::Purpose)));
        for bad in [
            Request { nonce: "1".into(), ..request("street/K1") },
            Request { nonce: "x".repeat(NONCE), ..request("street/K1") },
            Request { rail: "a b\n".into(), ..request("street/K1") },
        ] {
            assert_eq!(open(&k1, ask, &bad, topic), Err(Rejected::Form));
        }
    }

    #[test]
    fn a_directory_of_keys_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let load = || Kiosks::load(name("street"), directory.path()).map(|_| ()).map_err(|error| error.to_string());
        assert!(load().unwrap_err().contains("nobody could ask"));
        keygen::keygen(directory.path(), &name("K1")).unwrap();
        assert_eq!(load(), Ok(()));
        std::fs::write(directory.path().join("a b.pem"), "").unwrap();
        assert!(load().unwrap_err().contains("no kiosk's"));
        std::fs::remove_file(directory.path().join("a b.pem")).unwrap();
        std::fs::write(directory.path().join("K2.pem"), "not a key").unwrap();
        assert!(load().unwrap_err().contains("K2.pem is not an Ed25519 public key"));
    }
}
