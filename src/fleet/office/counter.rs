//! The counter of a key: the last number that was used, in a file beside it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::OfficeError;
use crate::operation::ReplayWindow;
use crate::service;

/// `office.key.counter` beside `office.key`.
fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".counter");
    name.into()
}

/// The next `count` numbers of a key, of which this is the first. They are on disk as used when this returns, and nobody
/// else is given them.
///
/// Without a file it begins at the time in seconds, which is more than was used before a file that was lost.
pub(super) fn take(key: &Path, count: u64) -> Result<u64, OfficeError> {
    let path = beside(key);
    let failed = |source| OfficeError::File { path: path.clone(), source };
    // The key's file is never replaced, so whoever has the lock on it is alone.
    let lock = File::open(key).map_err(|source| OfficeError::File { path: key.into(), source })?;
    lock.lock().map_err(failed)?;
    let next = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().ok().and_then(|last| last.checked_add(1)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs().max(1)))
        }
        Err(source) => return Err(failed(source)),
    };
    let last = |next: u64| next.checked_add(count.saturating_sub(1)).filter(|last| *last <= ReplayWindow::MOST);
    let (next, last) =
        next.and_then(|next| Some((next, last(next)?))).ok_or(OfficeError::Counter { path: path.clone() })?;
    service::replace(&path, format!("{last}\n").as_bytes()).map_err(failed)?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_number_is_given_twice_however_many_ask() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("office.key");
        std::fs::write(&key, "").unwrap();
        let next = |key: &Path| take(key, 1);
        let first = next(&key).unwrap();
        assert!(first > 1_700_000_000, "more than was ever used");
        let given = std::thread::scope(|scope| {
            let asks: Vec<_> = (0..8).map(|_| scope.spawn(|| [(); 8].map(|()| next(&key).unwrap()))).collect();
            asks.into_iter().flat_map(|ask| ask.join().unwrap()).collect::<BTreeSet<u64>>()
        });
        assert_eq!(given, (first + 1..=first + 64).collect());
        // What a crash leaves behind is in nobody's way.
        std::fs::write(folder.path().join("office.key.counter.new"), "9").unwrap();
        assert_eq!(take(&key, 10).unwrap(), first + 65);
        assert_eq!(next(&key).unwrap(), first + 75);
        std::fs::write(beside(&key), "many").unwrap();
        assert!(matches!(next(&key), Err(OfficeError::Counter { .. })));
        std::fs::write(beside(&key), ReplayWindow::MOST.to_string()).unwrap();
        assert!(matches!(next(&key), Err(OfficeError::Counter { .. })));
    }
}
