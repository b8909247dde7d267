//! Files that are no ledger of ours are refused, with a reason, and kept as they are.

use std::path::Path;

use kioskd::ledger::{LedgerError, Reader};
use rusqlite::Connection;

use crate::kit;

/// Refused by both ends, not a byte changed.
fn refused(directory: &Path, right: fn(&LedgerError) -> bool) {
    let before = kit::files(directory);
    for _ in 0..2 {
        let error = kit::open(directory).expect_err("refused");
        assert!(right(&error), "{error:?}");
        assert!(error.to_string().contains("kiosk.db"), "{error}");
        assert!(kit::files(directory) == before, "kept as it was");
    }
}

fn foreign(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Foreign { .. })
}

#[test]
fn a_strangers_database_is_foreign() {
    for journal in ["DELETE", "WAL"] {
        let directory = tempfile::tempdir().unwrap();
        let raw = Connection::open(kit::db_of(directory.path())).unwrap();
        raw.pragma_update(None, "journal_mode", journal).unwrap();
        raw.execute_batch("CREATE TABLE birds (name TEXT); INSERT INTO birds VALUES ('wren')").unwrap();
        drop(raw);
        refused(directory.path(), foreign);
        assert!(matches!(Reader::open(directory.path()), Err(LedgerError::Foreign { .. })));
    }
}

#[test]
fn a_text_is_foreign_whatever_its_length() {
    for text in ["x".to_owned(), "not a database\n".repeat(3), "not a database\n".repeat(2_000)] {
        let directory = kit::lay(text.as_bytes(), b"");
        refused(directory.path(), foreign);
        let read = Reader::open(directory.path()).err();
        assert!(read.as_ref().is_some_and(foreign), "{} bytes: {read:?}", text.len());
    }
}

#[test]
fn a_newer_ledger_is_refused_with_both_versions() {
    let directory = kit::varied();
    let raw = Connection::open(kit::db_of(directory.path())).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    refused(directory.path(), |error| matches!(error, LedgerError::Newer { found: 99, .. }));
    // Its tables may look different: the reader must not guess either.
    assert!(matches!(Reader::open(directory.path()), Err(LedgerError::Newer { found: 99, .. })));
}

#[test]
fn an_older_ledger_is_refused_with_what_to_do() {
    let directory = kit::varied();
    let raw = Connection::open(kit::db_of(directory.path())).unwrap();
    raw.pragma_update(None, "user_version", 2).unwrap();
    drop(raw);
    refused(directory.path(), |error| {
        matches!(error, LedgerError::Older { found: 2, .. })
            && error.to_string().contains("move it away and start again")
    });
    assert!(matches!(Reader::open(directory.path()), Err(LedgerError::Older { found: 2, .. })));
}

#[test]
fn a_truncated_ledger_is_never_taken_for_a_shorter_one() {
    let directory = kit::varied();
    let (db, _) = kit::files(directory.path());
    let whole = kit::open(directory.path()).unwrap().seq();
    assert!(db.len() > 40_000, "{}", db.len());
    for length in [db.len() - 1, db.len() - 4_096, db.len() - 5_000, db.len() / 2, 8_192, 4_096, 4_000, 512, 100, 99, 1]
    {
        let copy = kit::lay(&db[..length], b"");
        let seen = kit::open(copy.path()).and_then(|ledger| ledger.recover().map(|_| ledger.seq()));
        let verified = Reader::open(copy.path()).and_then(|reader| reader.verify());
        match seen {
            Err(error) => assert!(error.to_string().contains("kiosk.db"), "{length}: {error}"),
            // A lost page that a start has no need of: verify finds it, or it held nothing.
            Ok(seq) => assert!(seq == whole || verified.is_err(), "{length} of {}: {seq} of {whole}", db.len()),
        }
        if let Ok(verified) = verified {
            assert_eq!(verified.seq, whole, "{length} of {}", db.len());
        }
        if length < db.len() / 2 {
            assert!(kit::files(copy.path()).0 == db[..length], "{length}: kept as it was");
        }
    }
}

#[test]
fn an_empty_file_is_begun() {
    let directory = kit::lay(b"", b"");
    let ledger = kit::open(directory.path()).unwrap();
    assert_eq!((ledger.seq(), ledger.acknowledged(), ledger.id().len()), (0, 0, 16));
    drop(ledger);
    let first = kit::Shop::open(directory.path()).ledger.id().to_owned();
    assert_eq!(kit::open(directory.path()).unwrap().id(), first, "its number stays");
    let other = tempfile::tempdir().unwrap();
    assert_ne!(kit::open(&other.path().join("made/for/it")).unwrap().id(), first);
}

#[test]
fn an_empty_file_beside_a_log_is_not_begun() {
    let original = tempfile::tempdir().unwrap();
    let mut shop = kit::Shop::open(original.path());
    shop.start();
    let (_, wal) = kit::files(original.path());
    assert!(!wal.is_empty());
    let directory = kit::lay(b"", &wal);
    refused(directory.path(), |_| true);
}

#[test]
fn a_lock_that_somebody_has_on_the_file_is_not_read_past() {
    let directory = kit::varied();
    let raw = Connection::open(kit::db_of(directory.path())).unwrap();
    raw.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let told = Reader::open(directory.path()).expect_err("who has it may be writing").to_string();
    assert!(told.contains("kiosk.db: database is locked"), "{told}");
}
