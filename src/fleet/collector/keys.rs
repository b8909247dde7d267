//! The kiosks' public keys: one file each in a directory, as `kioskfleet keygen` writes them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::fleet::topic::Name;
use crate::signed::jws::PublicKey;
use crate::signed::keys::KeySource;

/// A machine whose key is put there is believed so much later at most.
const AGAIN: Duration = Duration::from_secs(5);
/// A stranger can invent names without end.
const MISSED: usize = 10_000;
/// In a name that is known anybody may publish who owns the broker.
const LOOKED: usize = 10_000;

/// What is known of a kiosk's key.
pub enum Known {
    Key(PublicKey),
    /// There are keys, and none of this kiosk: nothing in its name is believed.
    Stranger,
    /// There are no keys at all: only the chain is checked.
    Nobodys,
}

#[derive(Debug, Default)]
pub struct Keyring {
    directory: Option<PathBuf>,
    missed: HashMap<Name, Instant>,
    /// When it was looked last whether a kiosk has another key.
    looked: HashMap<Name, Instant>,
}

impl Keyring {
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, missed: HashMap::new(), looked: HashMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.directory.is_none()
    }

    /// Whether the kiosk's key is another than this by now, or none: its board was replaced, or it was sent away. Asked when
    /// something in its name does not bear its signature.
    pub fn has_changed(&mut self, kiosk: &Name, key: &PublicKey) -> bool {
        let Some(directory) = &self.directory else { return false };
        if self.looked.get(kiosk).is_some_and(|at| at.elapsed() < AGAIN) {
            return false;
        }
        if self.looked.len() >= LOOKED {
            self.looked.clear();
        }
        self.looked.insert(kiosk.clone(), Instant::now());
        KeySource::File(directory.join(format!("{kiosk}.pem"))).signers_key().ok().as_ref() != Some(key)
    }

    /// `KIOSK.pem`, read when the kiosk is first heard, so that a new machine needs no restart.
    pub fn of(&mut self, kiosk: &Name) -> Known {
        let Some(directory) = &self.directory else { return Known::Nobodys };
        if self.missed.get(kiosk).is_some_and(|at| at.elapsed() < AGAIN) {
            return Known::Stranger;
        }
        match KeySource::File(directory.join(format!("{kiosk}.pem"))).signers_key() {
            Ok(key) => {
                self.missed.remove(kiosk);
                Known::Key(key)
            }
            Err(why) => {
                if self.missed.len() >= MISSED {
                    self.missed.clear();
                }
                if self.missed.insert(kiosk.clone(), Instant::now()).is_none() {
                    tracing::warn!(%kiosk, %why, "this kiosk's events are not believed: its key is not known");
                }
                Known::Stranger
            }
        }
    }
}
