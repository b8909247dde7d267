//! The tables, and how an older file becomes a newer one. Written to be read with `sqlite3 kiosk.db`.

use std::path::Path;

use rusqlite::Connection;

use super::LedgerError;

/// "kios", so that a stranger's database is not taken for ours.
pub const APPLICATION_ID: i64 = 0x6b69_6f73;

/// Each entry takes the file one version up. Never edited once released; new ones are added at the end.
const MIGRATIONS: &[&str] = &[
    "
    -- Which ledger this is, where it lives, and how far the back end has acknowledged it.
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- Everything that happened, in order. `wall` is milliseconds since 1970 UTC, NULL while the clock was unknown;
    -- `mono` milliseconds since the boot `boot` of the daemon. `hash` covers the row and the hash before it.
    CREATE TABLE record (
        seq INTEGER PRIMARY KEY,
        boot TEXT NOT NULL,
        mono INTEGER NOT NULL,
        wall INTEGER,
        order_id TEXT,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        hash TEXT NOT NULL
    );
    CREATE INDEX record_of_order ON record (order_id, seq) WHERE order_id IS NOT NULL;
    CREATE INDEX record_of_kiosk ON record (kind, seq) WHERE order_id IS NULL;

    -- What the records add up to, for people and for a quick start. Amounts in minor units.
    CREATE TABLE orders (
        id TEXT PRIMARY KEY,
        short_code TEXT NOT NULL,
        state TEXT NOT NULL,
        currency TEXT NOT NULL,
        amount INTEGER NOT NULL,
        paid INTEGER NOT NULL,
        refunded INTEGER NOT NULL,
        outstanding INTEGER NOT NULL,
        claim TEXT,
        ended INTEGER NOT NULL
    );
    CREATE INDEX orders_open ON orders (id) WHERE ended = 0;
    CREATE INDEX orders_by_code ON orders (short_code, id);
    CREATE TABLE items (
        order_id TEXT NOT NULL,
        unit INTEGER NOT NULL,
        product TEXT NOT NULL,
        price INTEGER NOT NULL,
        slot TEXT,
        outcome TEXT NOT NULL,
        PRIMARY KEY (order_id, unit)
    ) WITHOUT ROWID;
    CREATE TABLE charges (
        id TEXT PRIMARY KEY,
        order_id TEXT NOT NULL,
        rail TEXT NOT NULL,
        amount INTEGER NOT NULL,
        paid INTEGER NOT NULL,
        returned INTEGER NOT NULL,
        settled INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE refunds (
        id TEXT PRIMARY KEY,
        charge_id TEXT NOT NULL,
        amount INTEGER NOT NULL,
        state TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE stock (slot TEXT PRIMARY KEY, count INTEGER NOT NULL, faulty TEXT) WITHOUT ROWID;

    -- What the back end has not acknowledged.
    CREATE VIEW outbox AS
        SELECT * FROM record
        WHERE seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'acknowledged');
    CREATE VIEW story AS
        SELECT seq, strftime('%Y-%m-%d %H:%M:%S', wall / 1000, 'unixepoch') AS utc, order_id, kind, body
        FROM record;
",
    "
    -- Estimates by the configured rates: what the provider keeps of the order's payment, and what it leaves.
    ALTER TABLE orders ADD COLUMN fee_estimate INTEGER;
    ALTER TABLE orders ADD COLUMN net_estimate INTEGER;
",
];

/// The version of a file's tables, if this kioskd knows it.
pub fn known_version(connection: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let (found, known) = (version.map_err(LedgerError::sqlite(path))?, MIGRATIONS.len() as i64);
    if found > known { Err(LedgerError::Newer { path: path.into(), found, known }) } else { Ok(found) }
}

/// Brings a file up to this version.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let wrap = LedgerError::sqlite(path);
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id").map_err(&wrap)?, pragma("user_version").map_err(&wrap)?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&wrap)?;
    let empty = tables == 0 && version == 0;
    if application != APPLICATION_ID && !(empty && application == 0) {
        return Err(LedgerError::Foreign { path: path.into() });
    }
    if known_version(connection, path)? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    let change = connection.transaction().map_err(&wrap)?;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        change.execute_batch(migration).map_err(&wrap)?;
        change.pragma_update(None, "user_version", index as i64 + 1).map_err(&wrap)?;
    }
    if empty {
        change.pragma_update(None, "application_id", APPLICATION_ID).map_err(&wrap)?;
        change.execute("INSERT INTO meta (key, value) VALUES ('acknowledged', '0')", []).map_err(&wrap)?;
    }
    change.commit().map_err(&wrap)
}
