//! A file beside the ledger as long as new software is on trial, for when that can't open the ledger.
//!
//! Policy: everything about an update is in the ledger. But who can't read it must not stay for ever: then this file says
//! that the board is to be restarted, so that the boot loader comes back to the former software. It counts how often that
//! was done, so that a ledger that is really broken does not restart the board for ever.

use std::io::Write;
use std::path::{Path, PathBuf};

/// More than a boot loader starts new software.
const MOST: u64 = 6;

/// The file.
#[derive(Debug, Clone)]
pub struct Trial(PathBuf);

impl Trial {
    pub fn new(state: &Path) -> Self {
        Self(state.join("update").join("trial"))
    }

    /// Before the board is restarted for an update; empty, for nothing was counted.
    ///
    /// # Errors
    /// It is not on disk.
    pub fn begin(&self) -> std::io::Result<()> {
        if let Some(folder) = self.0.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::File::create(&self.0)?.sync_all()
    }

    /// Nothing is on trial.
    pub fn end(&self) {
        drop(std::fs::remove_file(&self.0));
    }

    /// Whether the board is to be restarted because this software can't use the ledger. It is counted.
    pub fn gives_up(&self) -> bool {
        let counted = std::fs::metadata(&self.0).map(|file| file.len());
        counted.is_ok_and(|times| times < MOST) && self.count().is_ok()
    }

    fn count(&self) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.0)?;
        file.write_all(b"!")?;
        file.sync_all()
    }
}
