//! Locks a ledger's directory, so that one daemon writes to a ledger. The kernel releases the lock when the process
//! ends, however it ends. Readers need no lock and are not hindered by one.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::LedgerError;

/// The file whose lock is the hold. It stays: a file removed by one while another waits for it would be two files.
const HOLDER: &str = "holder";

/// For the owner alone: the ledger says who bought what.
pub(super) const PRIVATE: u32 = 0o600;

/// More than a holder writes.
const LONGEST: u64 = 200;

/// A state directory that nobody else writes to.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    _locked: File,
}

impl DirectoryLock {
    /// Takes the directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`LedgerError::Held`] says who has it; nothing was touched then.
    pub fn take(directory: &Path) -> Result<Self, LedgerError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(LedgerError::io(directory))?;
        let path = directory.join(HOLDER);
        let wrap = LedgerError::io(&path);
        let mut file = private().read(true).create(true).truncate(false).open(&path).map_err(&wrap)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::Held { path: directory.into(), by: told(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(wrap(error)),
        }
        tighten(&path)?;
        let since = jiff::Timestamp::now().strftime("%F %TZ");
        // For people only: the lock is the kernel's, and a full disk must not keep the kiosk from starting.
        let said =
            file.set_len(0).and_then(|()| writeln!(file, "process {} since {since} by its clock", std::process::id()));
        if let Err(error) = said {
            tracing::debug!(%error, path = %path.display(), "who holds the ledger could not be written down");
        }
        Ok(Self { directory: directory.into(), _locked: file })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// What the holder wrote, as one harmless line.
fn told(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    match read {
        Ok(_) if !text.is_empty() => text,
        _ => "another process".into(),
    }
}

/// Options for a file that only its owner may read, from its first moment on.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(PRIVATE);
    options
}

/// A file of an earlier time may be laxer. One that is not there is no fault.
pub(super) fn tighten(path: &Path) -> Result<(), LedgerError> {
    match std::fs::set_permissions(path, Permissions::from_mode(PRIVATE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(LedgerError::io(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_other_is_told_who() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("new").join("state");
        let lock = DirectoryLock::take(&directory).unwrap();
        let refused = DirectoryLock::take(&directory).expect_err("held").to_string();
        let holder = format!("process {} since 2", std::process::id());
        assert!(refused.contains(&holder) && refused.contains(directory.to_str().unwrap()), "{refused}");
        drop(lock);
        DirectoryLock::take(&directory).expect("free again");
    }

    #[test]
    fn what_stands_in_the_file_holds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(HOLDER);
        std::fs::write(&path, "process 1 since long ago\n\u{1b}[2J and far more text than fits").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1, "the former's words are gone");
        std::fs::write(&path, "\u{1b}[2J").unwrap();
        let refused = DirectoryLock::take(directory.path()).expect_err("held").to_string();
        assert!(refused.contains("held by [2J") && !refused.contains('\u{1b}'), "{refused}");
        std::fs::write(&path, [0xff; 300]).unwrap();
        let refused = DirectoryLock::take(directory.path()).expect_err("held").to_string();
        assert!(refused.contains("another process"), "{refused}");
        std::fs::write(&path, "\n").unwrap();
        let refused = DirectoryLock::take(directory.path()).expect_err("held").to_string();
        assert!(refused.contains("another process"), "before it has written who it is: {refused}");
        drop(lock);
    }

    #[test]
    fn rights_that_can_not_be_taken_away_are_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("below");
        let told = tighten(&below).expect_err("a file has nothing below it").to_string();
        assert!(told.contains(below.to_str().unwrap()), "{told}");
        tighten(&file.path().with_extension("none")).expect("who is not there has no rights to lose");
    }
}
