//! The machine went back from an update: software of the release before goes on with the ledger that the newer has written.

use std::path::Path;

use kioskd::ledger::{LedgerError, Reader};
use kioskd::operation::{Digest, Operation, Reason};
use kioskd::sale::view::OrderState;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::kit::{self, Shop};

/// Another program's record at the end of the chain.
pub fn append(raw: &Connection, order: Option<&str>, body: &Value) {
    let (seq, boot, mono, prev): (u64, String, u64, String) = raw
        .query_row("SELECT seq + 1, boot, mono + 5, hash FROM record ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    let (kind, text) = (body["kind"].as_str().unwrap(), body.to_string());
    let hash = Digest::of(format!("{prev}\n{seq}\n{boot}\n{mono}\n-\n{kind}\n{text}").as_bytes()).to_string();
    raw.execute(
        "INSERT INTO record VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, ?7)",
        params![seq, boot, mono, order, kind, text, hash],
    )
    .unwrap();
}

/// What software of the next release leaves behind: tables and columns of its own, a kind of record that is unknown here, of
/// the kiosk and of an order that is open, and known kinds with words that are unknown here.
fn as_the_next_release(directory: &Path, open: &str) {
    let raw = Connection::open(kit::db_of(directory)).unwrap();
    raw.execute_batch(
        "ALTER TABLE orders ADD COLUMN tip INTEGER;
         ALTER TABLE record ADD COLUMN zone TEXT;
         CREATE TABLE loyalty (card TEXT PRIMARY KEY, points INTEGER NOT NULL);
         CREATE INDEX loyalty_points ON loyalty (points);
         INSERT INTO loyalty VALUES ('c', 3);
         CREATE VIEW tips AS SELECT id, tip FROM orders;",
    )
    .unwrap();
    let version: i64 = raw.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    raw.pragma_update(None, "user_version", version + 1).unwrap();
    raw.execute_batch("ALTER TABLE record DROP COLUMN zone").unwrap();
    append(&raw, None, &json!({ "kind": "card-read", "card": "c", "points": 3 }));
    append(&raw, Some(open), &json!({ "kind": "tip-given", "order": open, "amount": 50 }));
    let asked = json!({ "do": "open-shutter", "how": "slowly" });
    let by = json!({ "actor": "fleet", "kid": "office", "counter": 4 });
    append(&raw, None, &json!({ "kind": "operation-begun", "id": "shutter", "by": by, "asked": asked }));
    raw.execute(
        "INSERT INTO operations (id, actor, asked) VALUES ('shutter', ?1, ?2)",
        [by.to_string(), asked.to_string()],
    )
    .unwrap();
    append(&raw, None, &json!({ "kind": "sales-stopped", "reasons": [{ "kind": "eclipse" }] }));
    raw.execute("INSERT INTO faults VALUES ('slot:B1', '{\"cause\":\"eclipse\"}')", []).unwrap();
}

#[test]
fn software_of_the_release_before_goes_on_with_a_newer_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    shop.operate(Operation::Lock { reason: Reason::parse("for a moment").unwrap() });
    shop.operate(Operation::Unlock);
    let open = shop.offer(&["cola"]);
    let seq = shop.ledger.seq();
    drop(shop);
    as_the_next_release(directory.path(), &open.to_string());

    let mut shop = Shop::open(directory.path());
    assert_eq!(shop.ledger.seq(), seq + 4);
    shop.start();
    assert!(shop.state.stop_reasons().is_empty(), "it sells: {:?}", shop.state.stop_reasons());
    assert!(shop.state.outlet(&kit::outlet("B1")).unwrap().fault.is_some(), "a fault is one, whatever it is called");
    assert!(shop.state.open_operations.is_empty());
    let order = shop.offer(&["cola"]);
    shop.pay(order, 300);
    assert_eq!(shop.state.orders[&order].state(), OrderState::Delivered);
    drop(shop);

    let reader = Reader::open(directory.path()).unwrap();
    let end = reader.verify().unwrap();
    assert_eq!((end.passed_over, end.orders), (4, 2));
    assert_eq!(end.json()["passed_over"], 4);
    let why = reader.why(Some(&open.to_string())).unwrap().unwrap().to_string();
    assert!(why.contains("now: cancelled"), "the order that was open is settled: {why}");
    assert_eq!(reader.orders(9).unwrap()["orders"].as_array().unwrap().len(), 2);
    // What it does not know of the operations is left out.
    let verbs: Vec<&str> = reader.operations(9).unwrap().iter().map(|line| line.asked.verb()).collect();
    assert_eq!(verbs, ["unlock", "lock"]);
    // Everything is still there, for the newer and for the back end.
    let kinds: Vec<String> = reader.events_after(seq, 4).unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["card-read", "tip-given", "operation-begun", "sales-stopped"]);
    let raw = Connection::open(kit::db_of(directory.path())).unwrap();
    let points: i64 = raw.query_row("SELECT points FROM loyalty", [], |row| row.get(0)).unwrap();
    let ended: String =
        raw.query_row("SELECT outcome FROM operations WHERE id = 'shutter'", [], |row| row.get(0)).unwrap();
    assert!(points == 3 && ended.contains("restarted"), "{points} {ended}");
}

#[test]
fn what_no_chain_vouches_for_is_no_other_versions_record() {
    let after = |change: &str| {
        let directory = tempfile::tempdir().unwrap();
        let mut shop = Shop::open(directory.path());
        shop.start();
        let order = shop.offer(&["cola"]).to_string();
        drop(shop);
        let raw = Connection::open(kit::db_of(directory.path())).unwrap();
        append(&raw, Some(&order), &json!({ "kind": "tip-given", "order": order, "amount": 50 }));
        raw.execute_batch(change).unwrap();
        drop(raw);
        let reader = || Reader::open(directory.path());
        let verified = reader().and_then(|reader| reader.verify().map(drop));
        let read = reader().and_then(|reader| reader.why(Some(&order)).map(drop));
        [kit::open(directory.path()).map(drop), verified, read]
    };
    assert!(after("").iter().all(Result::is_ok));
    let corrupt = |result: &Result<(), LedgerError>| matches!(result, Err(LedgerError::Corrupt { .. }));
    for change in ["body = replace(body, '50', '51')", "kind = 'tip-taken'", "hash = '00'"] {
        let after = after(&format!("UPDATE record SET {change} WHERE kind = 'tip-given'"));
        assert!(after.iter().all(corrupt), "{change}: {after:?}");
    }
}

#[test]
fn two_releases_back_is_refused() {
    let directory = kit::varied();
    let raw = Connection::open(kit::db_of(directory.path())).unwrap();
    let version: i64 = raw.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    raw.pragma_update(None, "user_version", version + 2).unwrap();
    drop(raw);
    let is_newer = |result: Result<(), LedgerError>| matches!(result, Err(LedgerError::Newer { .. }));
    assert!(is_newer(kit::open(directory.path()).map(drop)) && is_newer(Reader::open(directory.path()).map(drop)));
}
