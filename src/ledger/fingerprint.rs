//! A fingerprint of where a ledger lives: of the board, the storage and the file. By it a ledger that was copied,
//! restored from a backup or moved to another board notices that it is no longer where it was.
//!
//! Policy: a part that can't be read, then or now, does not count: a disk behind a mapper has no number, and is the
//! same disk. Nothing is asked of the network or of a clock that may be wrong. Only what every user may read is used,
//! so that the answer does not depend on who asks. The file counts by its inode and its birth, which are new in a copy;
//! the disk and the board count by their serial numbers, which are different on a card that was copied block by block.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

/// Of the board and its system, from the root of the file system.
const BOARD: [&str; 2] = ["proc/device-tree/serial-number", "etc/machine-id"];

/// Of a disk, from its directory in sysfs: cards, NVMe and SCSI, virtual disks.
const DISK: [&str; 4] = ["device/cid", "wwid", "device/wwid", "serial"];

/// A part that can't be read.
const UNTOLD: &str = "-";

/// More than any serial number has.
const LONGEST: usize = 256;

/// The fingerprint for `file` on this machine: board, disk and file, each eight hex digits, or `-` where nothing tells.
/// No serial number can be read out of it.
pub fn of(file: &Path) -> std::io::Result<String> {
    Ok(fingerprint(Path::new("/"), &std::fs::metadata(file)?))
}

/// Whether two fingerprints are of one place: of what both could tell, nothing differs.
pub fn same(one: &str, other: &str) -> bool {
    let mut parts = one.split(' ').zip(other.split(' '));
    one.split(' ').count() == other.split(' ').count() && parts.all(|(a, b)| a == b || a == UNTOLD || b == UNTOLD)
}

fn fingerprint(root: &Path, file: &Metadata) -> String {
    let birth = file.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let born = birth.map_or(0, |time| time.as_nanos()).to_le_bytes();
    let board = BOARD.map(|name| text(&root.join(name)));
    let parts =
        [digest(&board), digest(&[disk(root, file.dev())]), digest(&[file.ino().to_le_bytes().into(), born.into()])];
    parts.join(" ")
}

fn digest(of: &[Vec<u8>]) -> String {
    if of.iter().all(Vec::is_empty) {
        return UNTOLD.into();
    }
    let mut context = Context::new(&SHA256);
    for value in of {
        // Lengths keep two neighbours from running into one another.
        context.update(format!("{} ", value.len()).as_bytes());
        context.update(value);
    }
    HEXLOWER.encode(&context.finish().as_ref()[..4])
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
        assert!(!same(&here, &fingerprint(board("10000000abcdef02\0", "0123").path(), &meta)));
        assert!(!same(&here, &fingerprint(board("10000000abcdef01\0", "0124").path(), &meta)));
        let copy = tempfile::NamedTempFile::new().unwrap();
        let copied = fingerprint(board("10000000abcdef01\0", "0123").path(), &copy.as_file().metadata().unwrap());
        assert!(!same(&here, &copied));
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
        assert!(same(&disk("one"), &disk("one")));
        assert!(!same(&disk("one"), &disk("two")));
        // Behind a mapper the same disk has no number.
        assert_ne!(disk("one"), here);
        assert!(same(&disk("one"), &here) && same(&here, &disk("one")));
        assert!(!same("", &here) && !same(&here, "0 1"), "what is no fingerprint is no home");
    }

    #[test]
    fn a_file_written_to_is_the_same_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = of(file.path()).unwrap();
        std::fs::write(file.path(), "longer").unwrap();
        assert_eq!(of(file.path()).unwrap(), before);
        assert_eq!(before.split(' ').count(), 3, "{before}");
    }
}
