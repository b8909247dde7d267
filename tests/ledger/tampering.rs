//! Whatever is changed in the file by other hands is found.

use std::path::Path;

use kioskd::ledger::{LedgerError, Reader};
use rusqlite::Connection;

use crate::kit::{self, Shop};

/// What `verify` and a start say after `change`, made by hand on a copy.
fn after(original: &Path, change: &str) -> (Result<(), LedgerError>, Result<(), LedgerError>) {
    let copy = kit::copy_of(original);
    let raw = Connection::open(kit::db_of(copy.path())).unwrap();
    raw.execute_batch(change).unwrap_or_else(|error| panic!("{change}: {error}"));
    drop(raw);
    let verified = Reader::open(copy.path()).and_then(|reader| reader.verify().map(|_| ()));
    (verified, kit::open(copy.path()).map(|_| ()))
}

fn corrupt(result: &Result<(), LedgerError>) -> Option<u64> {
    match result {
        Err(LedgerError::Corrupt { seq, .. }) => Some(*seq),
        _ => None,
    }
}

#[test]
fn changes_in_the_chain_are_found_by_verify_and_at_the_start() {
    let original = kit::varied();
    let swap = "UPDATE record SET seq = -1 WHERE seq = 7; UPDATE record SET seq = 7 WHERE seq = 8;
                UPDATE record SET seq = 8 WHERE seq = -1;";
    let insert =
        "INSERT INTO record SELECT (SELECT max(seq) FROM record) + 1, boot, mono, wall, order_id, kind, body, hash
                  FROM record WHERE seq = 9";
    let last = kit::open(original.path()).unwrap().seq();
    for (change, found_at) in [
        ("UPDATE record SET body = replace(body, '300', '301') WHERE kind = 'order-paid' AND seq < 10", None),
        ("UPDATE record SET body = body || ' ' WHERE seq = 5", Some(5)),
        ("UPDATE record SET wall = wall + 1 WHERE seq = 5", Some(5)),
        ("UPDATE record SET wall = NULL WHERE seq = 5", Some(5)),
        ("UPDATE record SET mono = mono + 1 WHERE seq = 5", Some(5)),
        ("UPDATE record SET boot = 'other' WHERE seq = 5", Some(5)),
        ("UPDATE record SET kind = 'order-ended' WHERE seq = 5", Some(5)),
        ("UPDATE record SET order_id = NULL WHERE seq = 5", Some(5)),
        ("UPDATE record SET hash = '00' WHERE seq = 5", Some(5)),
        ("DELETE FROM record WHERE seq = 6", Some(6)),
        ("DELETE FROM record WHERE seq = 1", Some(1)),
        (swap, Some(7)),
        (insert, Some(last + 1)),
        ("INSERT INTO record SELECT 0, boot, mono, wall, order_id, kind, body, hash FROM record WHERE seq = 1", None),
        ("INSERT INTO record SELECT -4, boot, mono, wall, order_id, kind, body, hash FROM record WHERE seq = 3", None),
    ] {
        let (verified, started) = after(original.path(), change);
        let (by_verify, by_start) = (corrupt(&verified), corrupt(&started));
        assert!(by_verify.is_some(), "verify after {change}: {verified:?}");
        assert!(by_start.is_some(), "a start after {change}: {started:?}");
        if found_at.is_some() {
            assert_eq!((by_verify, by_start), (found_at, found_at), "{change}");
        }
    }
}

#[test]
fn tables_that_do_not_say_what_the_records_say_are_found() {
    let original = kit::varied();
    let one = "(SELECT min(id) FROM orders)";
    for change in [
        format!("UPDATE orders SET paid = paid + 1 WHERE id = {one}"),
        format!("UPDATE orders SET refunded = refunded + 1 WHERE id = {one}"),
        format!("UPDATE orders SET outstanding = 5 WHERE id = {one}"),
        format!("UPDATE orders SET ended = 1 - ended WHERE id = {one}"),
        format!("UPDATE orders SET state = 'refunded' WHERE id = {one}"),
        format!("UPDATE orders SET amount = 1 WHERE id = {one}"),
        format!("UPDATE orders SET currency = 'EUR' WHERE id = {one}"),
        format!("UPDATE orders SET short_code = '000000' WHERE id = {one}"),
        format!("UPDATE orders SET id = '01ARZ3NDEKTSV4RRFFQ69G5FAV' WHERE id = {one}"),
        format!("DELETE FROM orders WHERE id = {one}"),
        "DELETE FROM orders".into(),
        // Cut off at the end, the chain itself still holds.
        "DELETE FROM record WHERE seq >= (SELECT max(seq) FROM record WHERE kind = 'order-ended')".into(),
    ] {
        let (verified, _) = after(original.path(), &change);
        assert!(corrupt(&verified).is_some(), "{change}: {verified:?}");
    }
}

#[test]
fn a_start_verifies_the_last_256_records() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    while shop.ledger.seq() < 300 {
        shop.sell();
        shop.command(kioskd::sale::Command::Refill);
    }
    let last = shop.ledger.seq();
    drop(shop);
    let change = |seq: u64| format!("UPDATE record SET body = body || ' ' WHERE seq = {seq}");
    for seq in [last, last - 1, last - 128, last - 255] {
        let (verified, started) = after(directory.path(), &change(seq));
        assert_eq!((corrupt(&verified), corrupt(&started)), (Some(seq), Some(seq)));
        let told = started.unwrap_err().to_string();
        assert!(told.contains("kiosk.db") && told.contains(&seq.to_string()), "{told}");
    }
    let (verified, started) = after(directory.path(), &change(last - 256));
    assert_eq!(corrupt(&verified), Some(last - 256), "verify reads them all");
    assert!(started.is_ok(), "a start stays quick");
}
