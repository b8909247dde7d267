//! A small file is replaced, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Puts `contents` in the place of the file at `path`, for its owner alone. They are on disk when this returns.
///
/// # Errors
/// The file is as it was.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
