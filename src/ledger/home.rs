//! Where a ledger lives: a fingerprint of the board, the storage and the file, by which a ledger that was copied, put back
//! from a backup or moved to another board knows that it is no longer where it was.
//!
//! Policy: what can't be read does not count, and nothing here is asked of the network or of a clock that may be wrong.
//! What everybody may read is taken and nothing else, so that the answer does not depend on who asks. The file counts by
//! its inode and its birth, which a copy has anew; the disk and the board by their serial numbers, which a card copied
//! block by block leaves behind.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ring::digest::{Context, SHA256};

/// Of the board and its system, from the root of the file system.
const BOARD: [&str; 2] = ["proc/device-tree/serial-number", "etc/machine-id"];

/// Of a disk, from its directory in sysfs: cards, NVMe and SCSI, virtual disks.
const DISK: [&str; 4] = ["device/cid", "wwid", "device/wwid", "serial"];

/// More than any serial number has.
const LONGEST: usize = 256;

/// The fingerprint for `file` on this machine, sixteen hex digits; no serial number can be read out of it.
pub fn of(file: &Path) -> std::io::Result<String> {
    Ok(fingerprint(Path::new("/"), &std::fs::metadata(file)?))
}

fn fingerprint(root: &Path, file: &Metadata) -> String {
    let mut context = Context::new(&SHA256);
    let mut add = |name: &str, value: &[u8]| {
        // Lengths keep two neighbours from running into one another.
        context.update(format!("{name} {} ", value.len()).as_bytes());
        context.update(value);
    };
    for name in BOARD {
        add(name, &text(&root.join(name)));
    }
    add("disk", &disk(root, file.dev()));
    add("inode", &file.ino().to_le_bytes());
    let birth = file.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    add("birth", &birth.map_or(0, |time| time.as_nanos()).to_le_bytes());
    context.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The serial number of the disk on which a file system lies; nothing where it lies on none.
fn disk(root: &Path, device: u64) -> Vec<u8> {
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let Ok(part) = root.join("sys/dev/block").join(number).canonicalize() else { return Vec::new() };
    // The whole disk has the numbers, and a partition's directory lies in its.
    let places = [Some(part.as_path()), part.parent()].into_iter().flatten();
    let files = places.flat_map(|place| DISK.map(|name| place.join(name)));
    files.map(|file: PathBuf| text(&file)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn text(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap_or_default();
    bytes.truncate(LONGEST);
    bytes.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(serial: &str, machine: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, value) in BOARD.into_iter().zip([serial, machine]) {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value).unwrap();
        }
        root
    }

    #[test]
    fn another_board_another_file_another_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let meta = file.as_file().metadata().unwrap();
        let here = fingerprint(board("10000000abcdef01\0", "0123").path(), &meta);
        assert_eq!(here, fingerprint(board("10000000abcdef01\0", "0123").path(), &meta), "the same at every start");
        assert_ne!(here, fingerprint(board("10000000abcdef02\0", "0123").path(), &meta));
        assert_ne!(here, fingerprint(board("10000000abcdef01\0", "0124").path(), &meta));
        let copy = tempfile::NamedTempFile::new().unwrap();
        assert_ne!(here, fingerprint(board("10000000abcdef01\0", "0123").path(), &copy.as_file().metadata().unwrap()));
        let disk = |cid: &str| {
            let root = board("10000000abcdef01\0", "0123");
            let number = format!("{}:{}", rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
            let card = root.path().join("sys/devices/mmc/block/mmcblk0");
            std::fs::create_dir_all(card.join("device")).unwrap();
            std::fs::create_dir_all(card.join("mmcblk0p2")).unwrap();
            std::fs::write(card.join("device/cid"), cid).unwrap();
            std::fs::create_dir_all(root.path().join("sys/dev/block")).unwrap();
            std::os::unix::fs::symlink(card.join("mmcblk0p2"), root.path().join("sys/dev/block").join(number)).unwrap();
            fingerprint(root.path(), &meta)
        };
        assert_eq!(disk("one"), disk("one"));
        assert_ne!(disk("one"), disk("two"));
        assert_ne!(disk("one"), here);
    }

    #[test]
    fn a_file_written_to_is_the_same_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = of(file.path()).unwrap();
        std::fs::write(file.path(), "longer").unwrap();
        assert_eq!(of(file.path()).unwrap(), before);
        assert_eq!(before.len(), 16);
    }
}
