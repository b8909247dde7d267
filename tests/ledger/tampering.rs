//! Whatever is changed in the file by other hands is found.

use std::path::Path;

use kioskd::ledger::{LedgerError, Reader};
use rusqlite::Connection;

use crate::kit::{self, Dice, Shop};

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
        ("UPDATE record SET body = replace(body, '300', '301') WHERE kind = 'order-paid' AND seq < 15", None),
        ("UPDATE record SET body = body || ' ' WHERE seq = 5", Some(5)),
        ("UPDATE record SET wall = wall + 1 WHERE seq = 5", Some(5)),
        ("UPDATE record SET wall = NULL WHERE seq = 5", Some(5)),
        ("UPDATE record SET mono = mono + 1 WHERE seq = 5", Some(5)),
        ("UPDATE record SET boot = 'other' WHERE seq = 5", Some(5)),
        ("UPDATE record SET kind = 'order-ended' WHERE seq = 5", Some(5)),
        ("UPDATE record SET order_id = NULL WHERE seq = 9", Some(9)),
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

/// What `verify` says to people after a change.
fn told(original: &Path, change: &str) -> String {
    let (verified, _) = after(original, change);
    verified.expect_err(change).to_string()
}

#[test]
fn rows_that_are_missing_too_many_or_changed_are_named() {
    let original = kit::varied();
    let (first, orders): (String, u64) = {
        let raw = Connection::open(kit::db_of(original.path())).unwrap();
        raw.query_row("SELECT min(id), count(*) FROM orders", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let order = |end: &str| format!("table orders, id \"{first}\": {end}");
    for (change, what) in [
        ("UPDATE orders SET paid = 301 WHERE id = ?", order("paid is 301, and the records add up to 300")),
        ("UPDATE orders SET state = 'refunded' WHERE id = ?", order("state is \"refunded\"")),
        (
            "UPDATE orders SET claim = 'mine' WHERE id = ?",
            order("claim is \"mine\", and the records add up to nothing"),
        ),
        ("UPDATE orders SET id = '01ARZ3NDEKTSV4RRFFQ69G5FAV' WHERE id = ?", order("is missing")),
        ("DELETE FROM orders WHERE id = ?", order("is missing")),
        ("DELETE FROM orders", format!("; and {} more", orders - 5)),
        ("DELETE FROM charges WHERE order_id = ?", format!("table charges, id \"{first}_1\": is missing")),
        ("DELETE FROM items WHERE order_id = ?", format!("table items, order_id \"{first}\", unit 0: is missing")),
        ("INSERT INTO refunds VALUES ('R', 'C', 5, 'confirmed')", "table refunds, id \"R\": is in no record".into()),
        ("INSERT INTO stock VALUES ('Z9', 'cola', 9, 5)", "table stock, slot \"Z9\": is in no record".into()),
        ("UPDATE stock SET count = count + 1 WHERE slot = 'B1'", "table stock, slot \"B1\": count is ".into()),
        ("UPDATE meta SET value = '0' WHERE key = 'ledger'", "table meta, key \"ledger\": value is \"0\"".into()),
        ("INSERT INTO meta VALUES ('more', '1')", "table meta, key \"more\": is in no record".into()),
        ("UPDATE meta SET value = '1000' WHERE key = 'acknowledged'", "value is \"1000\", of ".into()),
        ("UPDATE meta SET value = '01' WHERE key = 'acknowledged'", "value is \"01\"".into()),
        ("DELETE FROM meta WHERE key = 'acknowledged'", "value is missing".into()),
        ("CREATE TABLE more (a)", "schema, type \"table\", name \"more\": is in no record".into()),
        ("DROP INDEX orders_by_code", "schema, type \"index\", name \"orders_by_code\": is missing".into()),
        (
            "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM refunds; END",
            "schema, type \"trigger\", name \"t\"".into(),
        ),
        ("DROP VIEW outbox; CREATE VIEW outbox AS SELECT 1", "schema, type \"view\", name \"outbox\": sql is ".into()),
        ("ALTER TABLE orders ADD COLUMN more", "schema, type \"table\", name \"orders\": sql is ".into()),
    ] {
        let told = told(original.path(), &change.replace('?', &format!("'{first}'")));
        assert!(told.contains(&what) && told.contains("kiosk.db") && told.lines().count() == 1, "{change}: {told}");
    }
    // Cut off at the end, the chain itself still holds.
    let cut = "DELETE FROM record WHERE seq >= (SELECT max(seq) FROM record WHERE kind = 'order-ended')";
    assert!(told(original.path(), cut).contains("table orders"));
    let told_all = "UPDATE meta SET value = (SELECT max(seq) FROM record) WHERE key = 'acknowledged'";
    for (change, why) in
        [("ANALYZE", "SQLite's own tables are nobody's business"), (told_all, "the back end may have all there is")]
    {
        let (verified, _) = after(original.path(), change);
        assert!(verified.is_ok(), "{why}: {verified:?}");
    }
}

/// What no record says, so that nothing can be held against it: table, key and column, and why.
const FREE: [(&str, &str, &str, &str); 1] = [(
    "meta",
    "acknowledged",
    "value",
    "what the back end has told; within the records any number may be true, and a wrong one only sends events again or \
     waits for the back end's next word",
)];

/// Every column of every table there is, asked of the file, so that none is forgotten when one is added.
#[test]
fn a_value_changed_in_any_column_of_any_table_is_noticed() {
    let original = kit::varied();
    let raw = Connection::open(kit::db_of(original.path())).unwrap();
    let texts = |query: &str| -> Vec<String> {
        let mut query = raw.prepare(query).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let tables = texts(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
             AND name <> 'memory'",
    );
    assert!(tables.len() >= 7, "{tables:?}");
    let (mut noticed, mut free) = (0, Vec::new());
    for table in &tables {
        let names = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY pk = 0, pk, cid");
        let columns = texts(&names);
        let keys = texts(&format!("SELECT CAST({} AS TEXT) FROM {table} ORDER BY 1", columns[0]));
        assert!(!keys.is_empty(), "no row of {table} to change: let the shop have one");
        // All of the few rows that say different things; else the first and the last.
        let all = matches!(table.as_str(), "meta" | "stock");
        let some = keys.iter().enumerate().filter(|(nth, _)| all || *nth == 0 || nth + 1 == keys.len());
        for (key, column) in some.flat_map(|(_, key)| columns.iter().map(move |column| (key, column))) {
            let other = format!(
                "CASE typeof({column}) WHEN 'integer' THEN {column} + 1 WHEN 'null' THEN 1
                                       ELSE CASE WHEN {column} GLOB '[0-9]' THEN {column} + 1 ELSE {column} || 'x' END END"
            );
            let first = &columns[0];
            let row = format!("rowid = (SELECT rowid FROM {table} WHERE CAST({first} AS TEXT) = '{key}' LIMIT 1)");
            let without_rowid = raw.prepare(&format!("SELECT rowid FROM {table}")).is_err();
            let row = if without_rowid { format!("CAST({first} AS TEXT) = '{key}'") } else { row };
            // A row moved onto its neighbour's key takes its place.
            let change = format!("UPDATE OR REPLACE {table} SET {column} = {other} WHERE {row}");
            match after(original.path(), &change).0 {
                Err(_) => noticed += 1,
                Ok(()) => free.push((table.clone(), key.clone(), column.clone())),
            }
        }
    }
    let known = FREE.map(|(table, key, column, _)| (table.to_owned(), key.to_owned(), column.to_owned()));
    assert_eq!(free, known, "changed and not noticed");
    assert!(noticed > 80, "{noticed}");
}

#[test]
fn a_start_verifies_the_last_256_records() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    while shop.ledger.seq() < 300 {
        shop.sell();
        shop.operate(kioskd::operation::Operation::Refill);
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

/// One value of the file.
struct Cell {
    table: String,
    column: String,
    /// By which its row is found: the row's number, or its key where a table has none.
    by: String,
    row: String,
    number: bool,
    /// Of a record.
    seq: Option<u64>,
    value: String,
}

fn cells(raw: &Connection) -> Vec<Cell> {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let columns = format!(
        "SELECT t.name, c.name, (SELECT name FROM pragma_table_info(t.name) WHERE pk = 1)
         FROM ({tables}) t, pragma_table_info(t.name) c"
    );
    let mut query = raw.prepare(&columns).unwrap();
    let columns = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let columns: Vec<(String, String, Option<String>)> = columns.collect::<Result<_, _>>().unwrap();
    let mut cells = Vec::new();
    for (table, column, key) in columns {
        let numbered = raw.prepare(&format!("SELECT rowid FROM {table}")).is_ok();
        let by = if numbered { "rowid".to_owned() } else { key.expect("a table without numbers has a key") };
        let seq = if table == "record" { "seq" } else { "NULL" };
        let values = format!("SELECT CAST({by} AS TEXT), typeof({column}), {seq}, CAST({column} AS TEXT) FROM {table}");
        let mut query = raw.prepare(&values).unwrap();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (kind, value): (String, Option<String>) = (row.get(1).unwrap(), row.get(3).unwrap());
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let (table, column, by) = (table.clone(), column.clone(), by.clone());
            let (row, number, seq) = (row.get(0).unwrap(), kind == "integer", row.get(2).unwrap());
            cells.push(Cell { table, column, by, row, number, seq, value });
        }
    }
    let free = |cell: &Cell| {
        FREE.iter().any(|(table, key, column, _)| {
            (cell.table.as_str(), cell.row.as_str(), cell.column.as_str()) == (*table, *key, *column)
        })
    };
    cells.retain(|cell| !free(cell));
    cells
}

impl Cell {
    /// Its value with one byte changed; a number stays one.
    fn other(&self, dice: &mut Dice) -> String {
        let mut bytes = self.value.clone().into_bytes();
        loop {
            let at = dice.below(bytes.len());
            let other = if self.number { b'0' + dice.below(10) as u8 } else { b' ' + dice.below(95) as u8 };
            if other != bytes[at] && bytes[at].is_ascii() && !(self.number && at == 0 && other == b'0') {
                bytes[at] = other;
                return String::from_utf8(bytes).unwrap();
            }
        }
    }

    /// Whether the file took another value in place of `from`.
    fn set(&self, raw: &Connection, from: &str, to: &str) -> bool {
        let Self { table, column, by, .. } = self;
        let kind = if self.number { "INTEGER" } else { "TEXT" };
        // The number of a row is its key where that is a number: then it changes with it.
        let is_key = format!("SELECT NOT EXISTS (SELECT 1 FROM {table} WHERE {by} IS NOT {column})");
        let row = raw.query_row(&is_key, [], |row| row.get(0));
        let row = if row.unwrap() { from } else { &self.row };
        let update = format!("UPDATE {table} SET {column} = CAST(?1 AS {kind}) WHERE CAST({by} AS TEXT) = ?2");
        raw.execute_batch("BEGIN").unwrap();
        // A part of a key may be of more than one row.
        let one = raw.execute(&update, rusqlite::params![to, row]).is_ok_and(|rows| rows == 1);
        raw.execute_batch(if one { "COMMIT" } else { "ROLLBACK" }).unwrap();
        one
    }
}

/// Ten thousand with `tests/run --long`.
#[test]
fn one_byte_changed_anywhere_is_noticed_and_it_is_said_where() {
    let original = kit::varied();
    let raw = Connection::open(kit::db_of(original.path())).unwrap();
    raw.pragma_update(None, "synchronous", "OFF").unwrap();
    let cells = cells(&raw);
    let reader = Reader::open(original.path()).unwrap();
    let (mut dice, mut tries, mut tables) = (Dice(5), 0, std::collections::BTreeSet::new());
    let wanted = if std::env::var_os("KIOSKD_LONG").is_some() { 10_000 } else { 500 };
    while tries < wanted {
        let cell = &cells[dice.below(cells.len())];
        let other = cell.other(&mut dice);
        // What is there once only can't be there twice.
        if !cell.set(&raw, &cell.value, &other) {
            continue;
        }
        let Cell { table, column, value, .. } = cell;
        let change = format!("{table}.{column}: {value} became {other}");
        match (reader.verify(), cell.seq) {
            (Ok(_), _) => panic!("{change}, and it is not noticed"),
            // A record with another number is missing where it was, or one too many where it is.
            (Err(LedgerError::Corrupt { seq, .. }), Some(is)) => {
                assert!(seq == is || column == "seq", "{change}: found at {seq}, it is at {is}");
            }
            (Err(error), _) => {
                let said = error.to_string();
                assert!(said.contains(table.as_str()), "{change}: {said}");
            }
        }
        assert!(cell.set(&raw, &other, value), "{change}: it can't be changed back");
        tables.insert(table.clone());
        tries += 1;
    }
    reader.verify().unwrap();
    assert!(tables.len() >= 7, "{tables:?}");
}
