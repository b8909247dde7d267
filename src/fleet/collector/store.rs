//! The tables, and what a batch changes in them.
//!
//! Policy
//! - `book` has one line a ledger: how far its events are stored without a gap. It decides what is new: a batch goes on from
//!   where it says, or stores nothing of that ledger. The line is locked by its own change, so of two collectors that have
//!   the same events one stores them. So each event is in `event` once, whoever stores it and in whatever partition.
//! - On PostgreSQL `event` is partitioned by the month of the event's own time, so that old months can be moved away
//!   whole. An event always has the same time, so it always has the same partition; without a time it is in that of month 0.
//! - All of a batch is one transaction.
//! - A statement on the lines of a batch finds each by its whole key, so what a batch costs does not grow with the fleet.
//!   SQLite guesses that a fleet is a handful of lines and would go through all of them for each of the batch; where the
//!   fleet's name comes from the line it can't, and begins with the lines.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::batch::{Batch, BookId, Fork, Inspected};
use super::database::{Cell, Database, DatabaseError, Dialect, Kind, transaction};
use crate::fleet::inspection::Inspection;
use crate::fleet::proof::Position;
use crate::fleet::topic::Name;
use crate::ledger::EventDocument;
use crate::vocabulary::Wall;

const VERSION: i64 = 1;
/// Hash shares of a fleet's kiosks; each is held by one collector.
pub const SHARES: u16 = 64;
/// Of a ledger that was copied; more says nothing more.
const FORKS: i64 = 100;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS kioskfleet (version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS book (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, ledger TEXT NOT NULL,
    seq BIGINT NOT NULL, hash TEXT NOT NULL, seal TEXT NOT NULL, stored_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, kiosk, ledger));
CREATE TABLE IF NOT EXISTS kiosk (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, heard_ms BIGINT NOT NULL,
    online BIGINT, online_ms BIGINT, state TEXT, state_ms BIGINT, telemetry TEXT, telemetry_ms BIGINT,
    refused BIGINT NOT NULL, refused_why TEXT,
    PRIMARY KEY (fleet, kiosk));
CREATE TABLE IF NOT EXISTS alarm (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL, heard_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, kiosk, kind));
CREATE TABLE IF NOT EXISTS inspection (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, ledger TEXT NOT NULL, seq BIGINT NOT NULL, uptime_s BIGINT NOT NULL, time_ms BIGINT,
    message TEXT NOT NULL, heard_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, kiosk));
CREATE TABLE IF NOT EXISTS command (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, verb TEXT NOT NULL, id TEXT NOT NULL,
    document TEXT NOT NULL, verified BIGINT NOT NULL, heard_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, kiosk, verb, id));
CREATE TABLE IF NOT EXISTS fork (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, ledger TEXT NOT NULL, seq BIGINT NOT NULL, hash TEXT NOT NULL,
    message TEXT NOT NULL, heard_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, kiosk, ledger, seq, hash));
CREATE TABLE IF NOT EXISTS collector (
    fleet TEXT NOT NULL, name TEXT NOT NULL, seen_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, name));
CREATE TABLE IF NOT EXISTS lease (
    fleet TEXT NOT NULL, share BIGINT NOT NULL, holder TEXT NOT NULL, until_ms BIGINT NOT NULL,
    PRIMARY KEY (fleet, share));
CREATE TABLE IF NOT EXISTS event (
    fleet TEXT NOT NULL, kiosk TEXT NOT NULL, ledger TEXT NOT NULL, seq BIGINT NOT NULL, month BIGINT NOT NULL,
    hash TEXT NOT NULL, prev TEXT NOT NULL, boot TEXT NOT NULL, mono BIGINT NOT NULL, ts BIGINT,
    order_id TEXT, kind TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (fleet, kiosk, ledger, seq, month))";

/// Two collectors may come to the same empty database at once.
const ALONE: &str = "SELECT pg_advisory_xact_lock(8243107)";

/// Makes the tables where there are none.
pub fn make(database: &mut dyn Database) -> Result<(), DatabaseError> {
    transaction(database, |db| {
        let postgres = db.dialect() == Dialect::Postgres;
        if postgres {
            db.run(ALONE)?;
        }
        let month = if postgres { " PARTITION BY LIST (month)" } else { " WITHOUT ROWID" };
        db.run(&format!("{TABLES}{month};"))?;
        if postgres {
            db.run("CREATE TABLE IF NOT EXISTS event_other PARTITION OF event DEFAULT")?;
        }
        match version(db)? {
            None => db.query("INSERT INTO kioskfleet (version) VALUES ($1)", &[VERSION.into()]).map(drop),
            Some(newer) if newer > VERSION => Err(DatabaseError::Newer(newer)),
            Some(_) => Ok(()),
        }
    })
}

fn version(db: &mut dyn Database) -> Result<Option<i64>, DatabaseError> {
    let rows = db.query("SELECT max(version) FROM kioskfleet", &[])?;
    Ok(rows.first().and_then(|row| if let Cell::Number(version) = row[0] { Some(version) } else { None }))
}

/// For whoever only reads.
pub fn check(database: &mut dyn Database) -> Result<(), DatabaseError> {
    if !has_table(database, "kioskfleet")? {
        return Err(DatabaseError::Empty);
    }
    match version(database)? {
        Some(newer) if newer > VERSION => Err(DatabaseError::Newer(newer)),
        _ => Ok(()),
    }
}

/// For whoever only reads what collectors have stored only of late.
pub fn check_inspections(database: &mut dyn Database) -> Result<(), DatabaseError> {
    if has_table(database, "inspection")? { Ok(()) } else { Err(DatabaseError::NoInspections) }
}

fn has_table(database: &mut dyn Database, name: &str) -> Result<bool, DatabaseError> {
    let there = match database.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = $1",
        Dialect::Postgres => "SELECT CAST(1 AS BIGINT) WHERE to_regclass(CAST($1 AS TEXT)) IS NOT NULL",
    };
    Ok(!database.query(there, &[name.into()])?.is_empty())
}

/// A ledger as it is stored: how far it goes, and the checkpoint of that.
pub type Stored = (Position, Vec<u8>);

/// All ledgers of a kiosk.
pub fn books(db: &mut dyn Database, fleet: &Name, kiosk: &Name) -> Result<Vec<Stored>, DatabaseError> {
    let query = "SELECT ledger, seq, hash, seal FROM book WHERE fleet = $1 AND kiosk = $2";
    let rows = db.query(query, &[fleet.as_str().into(), kiosk.as_str().into()])?;
    let book = |row: &Vec<Cell>| {
        let position = Position { ledger: row[0].string(), seq: row[1].count(), hash: row[2].string() };
        (position, row[3].string().into_bytes())
    };
    Ok(rows.iter().map(book).collect())
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Committed {
    /// Ledgers that stood elsewhere: somebody else has stored events of them. Nothing of these was stored.
    pub elsewhere: Vec<BookId>,
    /// Those of the old events that are not what is stored in their places.
    pub forks: Vec<Fork>,
}

use Kind::{Number, Text};

/// All of a batch, or nothing.
pub fn commit(database: &mut dyn Database, fleet: &Name, batch: &Batch) -> Result<Committed, DatabaseError> {
    transaction(database, |db| {
        let mut done = Committed::default();
        let writer = Writer { fleet, now: batch.now };
        if !batch.books.is_empty() {
            done.elsewhere = writer.books(db, batch)?;
        }
        if !batch.old.is_empty() {
            done.forks = writer.compare(db, batch)?;
        }
        writer.forks(db, batch.forks.iter().chain(&done.forks))?;
        writer.kiosks(db, batch)?;
        writer.alarms(db, batch)?;
        writer.inspections(db, batch)?;
        writer.statuses(db, batch)?;
        Ok(done)
    })
}

struct Writer<'a> {
    fleet: &'a Name,
    now: i64,
}

impl Writer<'_> {
    /// A statement on the lines of a batch.
    fn put(
        &self,
        db: &mut dyn Database,
        statement: impl FnOnce(Dialect) -> String,
        lines: Vec<Value>,
    ) -> Result<Vec<Vec<Cell>>, DatabaseError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let lines = Value::from(lines).to_string();
        let statement = statement(db.dialect());
        db.query(&statement, &[lines.into(), self.fleet.as_str().into(), self.now.into()])
    }

    fn books(&self, db: &mut dyn Database, batch: &Batch) -> Result<Vec<BookId>, DatabaseError> {
        let line = |(id, book): (&BookId, &super::batch::Continued)| {
            json!({
                "fleet": self.fleet, "kiosk": id.kiosk, "ledger": id.ledger,
                "was_seq": book.was.seq, "was_hash": book.was.hash,
                "seq": book.now.seq, "hash": book.now.hash, "seal": String::from_utf8_lossy(&book.seal),
            })
        };
        let lines: Vec<Value> = batch.books.iter().map(line).collect();
        let columns = [
            ("fleet", Text),
            ("kiosk", Text),
            ("ledger", Text),
            ("was_seq", Number),
            ("was_hash", Text),
            ("seq", Number),
            ("hash", Text),
            ("seal", Text),
        ];
        let begin = |dialect: Dialect| {
            format!(
                "INSERT INTO book (fleet, kiosk, ledger, seq, hash, seal, stored_ms)
                 SELECT $2, n.kiosk, n.ledger, 0, '', '', CAST($3 AS BIGINT) FROM {} WHERE n.was_seq = 0
                 ON CONFLICT (fleet, kiosk, ledger) DO NOTHING",
                dialect.incoming(&columns)
            )
        };
        self.put(db, begin, lines.clone())?;
        let go_on = |dialect: Dialect| {
            format!(
                "UPDATE book SET seq = n.seq, hash = n.hash, seal = n.seal, stored_ms = CAST($3 AS BIGINT) FROM {}
                 WHERE n.fleet = $2 AND book.fleet = n.fleet AND book.kiosk = n.kiosk AND book.ledger = n.ledger
                   AND book.seq = n.was_seq AND book.hash = n.was_hash
                 RETURNING book.kiosk, book.ledger",
                dialect.incoming(&columns)
            )
        };
        let moved = self.put(db, go_on, lines)?;
        let moved: BTreeSet<(&str, &str)> =
            moved.iter().filter_map(|row| Some((row[0].text()?, row[1].text()?))).collect();
        let is_ours = |id: &BookId| moved.contains(&(id.kiosk.as_str(), id.ledger.as_str()));
        let ours = batch.books.iter().filter(|(id, _)| is_ours(id));
        let events = ours.flat_map(|(id, book)| book.events.iter().map(move |event| (id, event)));
        let (lines, months): (Vec<Value>, BTreeSet<i64>) =
            events.map(|(id, event)| (event_line(&id.kiosk, event), month(event.ts))).unzip();
        self.partitions(db, months)?;
        self.put(db, insert_events, lines)?;
        Ok(batch.books.keys().filter(|id| !is_ours(id)).cloned().collect())
    }

    fn partitions(&self, db: &mut dyn Database, months: BTreeSet<i64>) -> Result<(), DatabaseError> {
        if db.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        for month in months.into_iter().filter(|month| *month > 0) {
            let there = "SELECT CAST(1 AS BIGINT) WHERE to_regclass(CAST($1 AS TEXT)) IS NOT NULL";
            if db.query(there, &[format!("event_{month}").into()])?.is_empty() {
                db.run(ALONE)?;
                // A partition's making locks the whole table for a moment; it is once a month.
                db.run(&format!(
                    "CREATE TABLE IF NOT EXISTS event_{month} PARTITION OF event FOR VALUES IN ({month})"
                ))?;
            }
        }
        Ok(())
    }

    fn compare(&self, db: &mut dyn Database, batch: &Batch) -> Result<Vec<Fork>, DatabaseError> {
        let lines = batch.old.iter().enumerate();
        let line = |(at, old): (usize, &Fork)| {
            json!({
                "at": at, "fleet": self.fleet, "kiosk": old.id.kiosk, "ledger": old.id.ledger, "seq": old.seq,
                "hash": old.hash,
            })
        };
        let columns =
            [("at", Number), ("fleet", Text), ("kiosk", Text), ("ledger", Text), ("seq", Number), ("hash", Text)];
        let other = |dialect: Dialect| {
            format!(
                "SELECT n.at FROM {} JOIN event ON event.fleet = n.fleet AND event.kiosk = n.kiosk
                    AND event.ledger = n.ledger AND event.seq = n.seq
                 WHERE n.fleet = $2 AND event.hash <> n.hash AND CAST($3 AS BIGINT) IS NOT NULL",
                dialect.incoming(&columns)
            )
        };
        let found = self.put(db, other, lines.map(line).collect())?;
        let fork = |row: &Vec<Cell>| batch.old.get(usize::try_from(row[0].number()).ok()?).cloned();
        Ok(found.iter().filter_map(fork).collect())
    }

    fn forks<'f>(&self, db: &mut dyn Database, forks: impl Iterator<Item = &'f Fork>) -> Result<(), DatabaseError> {
        let line = |fork: &Fork| {
            json!({
                "kiosk": fork.id.kiosk, "ledger": fork.id.ledger, "seq": fork.seq, "hash": fork.hash,
                "message": fork.message,
            })
        };
        let columns = [("kiosk", Text), ("ledger", Text), ("seq", Number), ("hash", Text), ("message", Text)];
        let keep = |dialect: Dialect| {
            format!(
                "INSERT INTO fork (fleet, kiosk, ledger, seq, hash, message, heard_ms)
                 SELECT $2, n.kiosk, n.ledger, n.seq, n.hash, n.message, CAST($3 AS BIGINT) FROM {}
                 WHERE (SELECT count(*) FROM fork AS f WHERE f.fleet = $2 AND f.kiosk = n.kiosk AND f.ledger = n.ledger)
                    < {FORKS}
                 ON CONFLICT (fleet, kiosk, ledger, seq, hash) DO NOTHING",
                dialect.incoming(&columns)
            )
        };
        self.put(db, keep, forks.map(line).collect()).map(drop)
    }

    fn kiosks(&self, db: &mut dyn Database, batch: &Batch) -> Result<(), DatabaseError> {
        let lines = batch.kiosks.iter().map(|(kiosk, said)| {
            json!({
                "kiosk": kiosk, "heard": said.heard, "online": said.online.map(i64::from), "state": said.state,
                "telemetry": said.telemetry, "refused": said.refused, "why": said.why,
            })
        });
        let columns = [
            ("kiosk", Text),
            ("heard", Number),
            ("online", Number),
            ("state", Text),
            ("telemetry", Text),
            ("refused", Number),
            ("why", Text),
        ];
        let at = |column: &str| format!("CASE WHEN n.{column} IS NULL THEN NULL ELSE n.heard END");
        let newest = |column: &str| format!("{column} = COALESCE(excluded.{column}, kiosk.{column})");
        let set = ["online", "online_ms", "state", "state_ms", "telemetry", "telemetry_ms", "refused_why"].map(newest);
        let keep = |dialect: Dialect| {
            format!(
                "INSERT INTO kiosk (fleet, kiosk, heard_ms, online, online_ms, state, state_ms, telemetry, telemetry_ms,
                                    refused, refused_why)
                 SELECT $2, n.kiosk, COALESCE(n.heard, 0), n.online, {}, n.state, {}, n.telemetry, {}, n.refused, n.why
                 FROM {} WHERE CAST($3 AS BIGINT) IS NOT NULL
                 ON CONFLICT (fleet, kiosk) DO UPDATE SET {}, heard_ms = CASE WHEN excluded.heard_ms > 0 THEN excluded.heard_ms ELSE kiosk.heard_ms END,
                    refused = kiosk.refused + excluded.refused",
                at("online"),
                at("state"),
                at("telemetry"),
                dialect.incoming(&columns),
                set.join(", ")
            )
        };
        self.put(db, keep, lines.collect()).map(drop)
    }

    fn alarms(&self, db: &mut dyn Database, batch: &Batch) -> Result<(), DatabaseError> {
        let line = |((kiosk, kind), document): (&(Name, Name), &Option<String>)| json!({ "kiosk": kiosk, "kind": kind, "document": document });
        let columns = [("kiosk", Text), ("kind", Text), ("document", Text)];
        let keep = |dialect: Dialect| {
            format!(
                "INSERT INTO alarm (fleet, kiosk, kind, document, heard_ms)
                 SELECT $2, n.kiosk, n.kind, n.document, CAST($3 AS BIGINT) FROM {} WHERE true
                 ON CONFLICT (fleet, kiosk, kind)
                 DO UPDATE SET document = excluded.document, heard_ms = excluded.heard_ms",
                dialect.incoming(&columns)
            )
        };
        let clear = |dialect: Dialect| {
            format!(
                "DELETE FROM alarm WHERE fleet = $2 AND CAST($3 AS BIGINT) IS NOT NULL
                    AND (kiosk, kind) IN (SELECT n.kiosk, n.kind FROM {})",
                dialect.incoming(&columns)
            )
        };
        let (raised, cleared): (Vec<_>, Vec<_>) = batch.alarms.iter().partition(|(_, document)| document.is_some());
        self.put(db, keep, raised.into_iter().map(line).collect())?;
        self.put(db, clear, cleared.into_iter().map(line).collect()).map(drop)
    }

    /// The newest, as [`Inspection::is_newer`](crate::fleet::inspection::Inspection::is_newer) says it: an old one that
    /// somebody repeats changes nothing, and is no sign of life.
    fn inspections(&self, db: &mut dyn Database, batch: &Batch) -> Result<(), DatabaseError> {
        let line = |(kiosk, found): (&Name, &Inspected)| {
            let Inspection { ledger, seq, uptime_s, time_ms, .. } = &found.inspection;
            let time_ms = time_ms.map(|Wall(ms)| ms);
            json!({
                "kiosk": kiosk, "ledger": ledger, "seq": seq, "uptime_s": uptime_s, "time_ms": time_ms,
                "message": found.message,
            })
        };
        let columns = [
            ("kiosk", Text),
            ("ledger", Text),
            ("seq", Number),
            ("uptime_s", Number),
            ("time_ms", Number),
            ("message", Text),
        ];
        let keep = |dialect: Dialect| {
            format!(
                "INSERT INTO inspection (fleet, kiosk, ledger, seq, uptime_s, time_ms, message, heard_ms)
                 SELECT $2, n.kiosk, n.ledger, n.seq, n.uptime_s, n.time_ms, n.message, CAST($3 AS BIGINT) FROM {} WHERE true
                 ON CONFLICT (fleet, kiosk) DO UPDATE SET ledger = excluded.ledger, seq = excluded.seq,
                    uptime_s = excluded.uptime_s, time_ms = excluded.time_ms, message = excluded.message,
                    heard_ms = excluded.heard_ms
                 WHERE CASE WHEN inspection.ledger <> excluded.ledger
                                THEN inspection.time_ms IS NULL OR COALESCE(excluded.time_ms > inspection.time_ms, false)
                            WHEN inspection.seq <> excluded.seq THEN excluded.seq > inspection.seq
                            ELSE excluded.uptime_s > inspection.uptime_s END",
                dialect.incoming(&columns)
            )
        };
        self.put(db, keep, batch.inspections.iter().map(line).collect()).map(drop)
    }

    fn statuses(&self, db: &mut dyn Database, batch: &Batch) -> Result<(), DatabaseError> {
        let lines = batch.statuses.iter().map(|((kiosk, verb, id), status)| {
            json!({
                "kiosk": kiosk, "verb": verb, "id": id, "document": status.document,
                "verified": i64::from(status.verified),
            })
        });
        let columns = [("kiosk", Text), ("verb", Text), ("id", Text), ("document", Text), ("verified", Number)];
        let keep = |dialect: Dialect| {
            format!(
                "INSERT INTO command (fleet, kiosk, verb, id, document, verified, heard_ms)
                 SELECT $2, n.kiosk, n.verb, n.id, n.document, n.verified, CAST($3 AS BIGINT) FROM {} WHERE true
                 ON CONFLICT (fleet, kiosk, verb, id) DO UPDATE SET document = excluded.document,
                    verified = excluded.verified, heard_ms = excluded.heard_ms",
                dialect.incoming(&columns)
            )
        };
        self.put(db, keep, lines.collect()).map(drop)
    }
}

fn event_line(kiosk: &Name, event: &EventDocument) -> Value {
    let EventDocument { ledger, seq, hash, prev, boot, mono, ts, order, kind, text } = event;
    json!({
        "kiosk": kiosk, "ledger": ledger, "seq": seq, "month": month(*ts), "hash": hash, "prev": prev, "boot": boot,
        "mono": mono, "ts": ts, "order_id": order, "kind": kind, "text": text,
    })
}

fn insert_events(dialect: Dialect) -> String {
    let columns = [
        ("kiosk", Text),
        ("ledger", Text),
        ("seq", Number),
        ("month", Number),
        ("hash", Text),
        ("prev", Text),
        ("boot", Text),
        ("mono", Number),
        ("ts", Number),
        ("order_id", Text),
        ("kind", Text),
        ("text", Text),
    ];
    let names = columns.map(|(name, _)| name);
    // No conflict is expected: the line in `book` has decided. One that comes must fail the whole batch.
    format!(
        "INSERT INTO event (fleet, {}) SELECT $2, n.{} FROM {} WHERE CAST($3 AS BIGINT) IS NOT NULL",
        names.join(", "),
        names.join(", n."),
        dialect.incoming(&columns)
    )
}

/// 202611; 0 without a time that a kiosk of ours can have.
pub fn month(ts: Option<u64>) -> i64 {
    let at = ts.and_then(|ts| i64::try_from(ts).ok()).and_then(|ts| Timestamp::from_millisecond(ts).ok());
    let date = at.map(|at| TimeZone::UTC.to_datetime(at).date());
    date.filter(|date| (2025..2100).contains(&date.year()))
        .map_or(0, |date| i64::from(date.year()) * 100 + i64::from(date.month()))
}
