//! The list of driven lines, in a file that outlives the daemon: whoever makes the relays safe after its death needs no
//! configuration, which may have been changed or broken meanwhile.
//!
//! Policy: the file is written before a relay can move, whole or not at all, with every line as it was found. A line
//! that was made safe is removed from it; one that could not be made safe stays in it, through later runs too, until
//! the machine boots.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::config::Wiring;
use crate::service;

/// As the unit's RuntimeDirectory= has it.
const HERE: &str = "/run/kioskd";

const NAME: &str = "relays.json";

/// Far more than any board's lines take.
const LONGEST: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} is damaged: {source}", path = .path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
}

pub struct Claims {
    path: PathBuf,
}

impl Claims {
    /// In the folder that systemd made for this run; by hand in the same one, where there is one. `instance` says which of several
    /// kiosks on one board it is, and is asked only then.
    pub fn here(instance: impl FnOnce() -> Option<String>) -> Option<Self> {
        let by_hand = || {
            let mut directory = PathBuf::from(HERE);
            directory.extend(instance());
            directory.is_dir().then_some(directory)
        };
        let directory = service::runtime_directory().or_else(by_hand)?;
        Some(Self::at(&directory))
    }

    pub fn at(directory: &Path) -> Self {
        Self { path: directory.join(NAME) }
    }

    /// The newest run's first; nothing where there is no file.
    ///
    /// # Errors
    /// The file can't be read, or is not what was written.
    pub fn read(&self) -> Result<Vec<Wiring>, ClaimsError> {
        let mut text = Vec::new();
        match File::open(&self.path).and_then(|file| file.take(LONGEST).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ClaimsError::File { path: self.path.clone(), source }),
        }
        serde_json::from_slice(&text).map_err(|source| ClaimsError::Damaged { path: self.path.clone(), source })
    }

    /// # Errors
    /// The file is as it was then.
    pub fn write(&self, all: &[Wiring]) -> Result<(), ClaimsError> {
        let put = || {
            if all.is_empty() {
                return match std::fs::remove_file(&self.path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                };
            }
            service::replace(&self.path, &serde_json::to_vec_pretty(all)?)
        };
        put().map_err(|source| ClaimsError::File { path: self.path.clone(), source })
    }
}
