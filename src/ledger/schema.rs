//! The tables. Written to be read with `sqlite3 kiosk.db`.
//!
//! Policy: an older file is refused, because nothing is released yet. One that is newer by one version is opened and gone
//! on with, because a machine may go back from an update and must sell then. So whoever changes the tables adds to them
//! and nothing else: a table, or a column that has a default or may be NULL, and never one that an insert from before
//! would miss. What is new about an order is a record more, never one in place of a payment's, a delivery's or a refund's,
//! and an order about which a record can't be read is not delivered after a start. What a newer kind of record would have
//! changed in the tables stays undone until the newer software runs again.

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::Connection;

use super::LedgerError;

/// "kios", so that a stranger's database is not taken for ours.
pub const APPLICATION_ID: i64 = 0x6b69_6f73;

/// Raised with every change of the tables. Records need no number: who does not know one passes it over.
const VERSION: i64 = 10;

const TABLES: &str = "
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
    -- An order is found by the provider's number of a payment, and by a time, in a ledger of years too.
    CREATE INDEX record_of_payment ON record (CASE WHEN json_valid(body) THEN json_extract(body, '$.payment.id') END)
        WHERE kind IN ('order-paid', 'payment-surplus');
    CREATE INDEX record_of_begin ON record (seq, wall) WHERE kind IN ('order-offered', 'order-granted');

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
        ended INTEGER NOT NULL,
        -- Estimates by the configured rates: what the provider keeps of the order's payment, and what it leaves.
        fee_estimate INTEGER,
        net_estimate INTEGER,
        -- Why nothing was to be paid; NULL where something was.
        granted TEXT
    );
    CREATE INDEX orders_open ON orders (id) WHERE ended = 0;
    CREATE INDEX orders_by_code ON orders (short_code, id);
    CREATE TABLE items (
        order_id TEXT NOT NULL,
        unit INTEGER NOT NULL,
        goods TEXT NOT NULL,
        price INTEGER NOT NULL,
        outlet TEXT,
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
    CREATE TABLE stock (
        slot TEXT PRIMARY KEY,
        product TEXT NOT NULL,
        capacity INTEGER NOT NULL,
        count INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- What may not be used until a person has looked, and why.
    CREATE TABLE faults (outlet TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
    -- What only the shop knows the meaning of, as JSON: the newest of each key.
    CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    -- What the shop remembers that is not in the records, as JSON: what the lanes of a car park have told each other. `sum` is
    -- of name and value: no record says what should stand there, and damage must be noticed all the same.
    CREATE TABLE memory (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum TEXT NOT NULL) WITHOUT ROWID;

    -- What people have asked of the machine, and what came of it; `outcome` is NULL while it is under way.
    CREATE TABLE operations (id TEXT PRIMARY KEY, actor TEXT NOT NULL, asked TEXT NOT NULL, outcome TEXT) WITHOUT ROWID;
    CREATE INDEX operations_open ON operations (id) WHERE outcome IS NULL;
    -- Which commands of each of the fleet's keys were taken: the highest counter, and of the 64 up to it each as a bit, in
    -- hexadecimal, the highest last.
    CREATE TABLE windows (kid TEXT PRIMARY KEY, highest INTEGER NOT NULL, seen TEXT NOT NULL) WITHOUT ROWID;

    -- What the back end has not acknowledged.
    CREATE VIEW outbox AS
        SELECT * FROM record
        WHERE seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'acknowledged');
    CREATE VIEW story AS
        SELECT seq, strftime('%Y-%m-%d %H:%M:%S', wall / 1000, 'unixepoch') AS utc, order_id, kind, body
        FROM record;
";

/// Whether this kioskd can read the tables of a file that is a ledger.
pub fn known(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let found = version.map_err(LedgerError::sqlite(path))?;
    match found.cmp(&VERSION) {
        Ordering::Equal => Ok(()),
        Ordering::Greater if found == VERSION + 1 => Ok(()),
        Ordering::Greater => Err(LedgerError::Newer { path: path.into(), found, known: VERSION }),
        Ordering::Less => Err(LedgerError::Older { path: path.into(), found, known: VERSION }),
    }
}

/// Whether newer software has changed the tables.
pub fn is_newer(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? > VERSION)
}

/// Makes the tables of an empty file, and refuses one that is not a ledger of this version.
pub fn prepare(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let wrap = LedgerError::sqlite(path);
    let number = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0)).map_err(&wrap);
    let application = number("PRAGMA application_id")?;
    if application == APPLICATION_ID {
        return known(connection, path);
    }
    let empty = number("SELECT count(*) FROM sqlite_schema")? == 0 && number("PRAGMA user_version")? == 0;
    if application != 0 || !empty {
        return Err(LedgerError::Foreign { path: path.into() });
    }
    let change = connection.transaction().map_err(&wrap)?;
    change.execute_batch(TABLES).map_err(&wrap)?;
    change.pragma_update(None, "user_version", VERSION).map_err(&wrap)?;
    change.pragma_update(None, "application_id", APPLICATION_ID).map_err(&wrap)?;
    change.execute("INSERT INTO meta (key, value) VALUES ('acknowledged', '0')", []).map_err(&wrap)?;
    change.commit().map_err(&wrap)
}
