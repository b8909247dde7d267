//! Reserves room for money records on a full disk: a file of real blocks beside the ledger, deleted when SQLite finds
//! no room.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{LedgerError, lock};

const FILE: &str = "reserve";

#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
    min_free: u64,
}

impl Reserve {
    /// `bytes` are kept aside in `directory`; below `min_free` bytes besides them nothing new is sold.
    pub fn new(directory: &Path, bytes: u64, min_free: u64) -> Self {
        Self { path: directory.join(FILE), bytes, min_free }
    }

    /// Takes away the rights that others have on it.
    pub fn make_private(&self) -> Result<(), LedgerError> {
        lock::tighten(&self.path)
    }

    /// The reserve is whole and there is room besides it. Takes it up again when there is.
    pub fn ready(&self) -> bool {
        let Ok(free) = self.free() else { return false };
        if self.held() {
            return free >= self.min_free;
        }
        free >= self.min_free.saturating_add(self.bytes) && self.take().is_ok()
    }

    /// Gives the room back; true if there was some.
    pub fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }

    fn held(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() == self.bytes)
    }

    /// Free bytes for an ordinary user.
    fn free(&self) -> Result<u64, LedgerError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let stat = rustix::fs::statvfs(directory).map_err(|e| LedgerError::io(directory)(e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn take(&self) -> Result<(), LedgerError> {
        let wrap = LedgerError::io(&self.path);
        let mut file = lock::private().create(true).truncate(true).open(&self.path).map_err(&wrap)?;
        // Written, not only sized: a sparse file reserves nothing.
        if let Err(error) = std::io::copy(&mut std::io::repeat(0).take(self.bytes), &mut file) {
            self.release();
            return Err(wrap(error));
        }
        file.sync_all().map_err(&wrap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_released_and_taken_again() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(directory.path(), 200_000, 0);
        assert!(reserve.ready() && reserve.held());
        assert!(reserve.release() && !reserve.held());
        assert!(!reserve.release(), "nothing left to give up");
        assert!(reserve.ready() && reserve.held());
    }

    #[test]
    fn no_room_is_not_ready() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!Reserve::new(directory.path(), 1, u64::MAX).ready());
    }
}
