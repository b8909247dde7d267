//! The writing end. One owner, one connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::chain::{GENESIS, Link};
use super::reserve::Reserve;
use super::{FILE, Journal, LedgerError, reader, schema};
use crate::sale::order::Charge;
use crate::sale::order::RefundState;
use crate::sale::record::Record;
use crate::sale::{self, Order};
use crate::vocabulary::{BootId, Stamp};

/// So many records at the end of the chain are verified at every start; `verify` does them all.
const TAIL: u64 = 256;

/// The kiosk's ledger, open for writing.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    id: String,
    boot: BootId,
    seq: u64,
    hash: String,
    acknowledged: u64,
    reserve: Reserve,
    latched: Option<String>,
}

impl Ledger {
    /// Opens or begins the ledger in `directory`. `reserve` and `min_free` are bytes. The tail of the chain is verified.
    pub fn open(directory: &Path, boot: BootId, reserve: u64, min_free: u64) -> Result<Self, LedgerError> {
        std::fs::create_dir_all(directory).map_err(LedgerError::io(directory))?;
        let path = directory.join(FILE);
        let wrap = LedgerError::sqlite(&path);
        let foreign = || LedgerError::Foreign { path: path.clone() };
        look_before_opening(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(&wrap)?;
        connection.busy_timeout(Duration::from_secs(2)).map_err(&wrap)?;
        // A file that is no database is found by the first question, before anything is written to it.
        let is_database = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        if let Err(rusqlite::Error::SqliteFailure(error, _)) = &is_database
            && error.code == rusqlite::ErrorCode::NotADatabase
        {
            return Err(foreign());
        }
        is_database.map_err(&wrap)?;
        schema::migrate(&mut connection, &path, &fresh_id())?;
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")] {
            connection.pragma_update(None, name, value).map_err(&wrap)?;
        }
        let id = meta(&connection, "ledger").map_err(&wrap)?.unwrap_or_default();
        let acknowledged = meta(&connection, "acknowledged").map_err(&wrap)?.and_then(|n| n.parse().ok()).unwrap_or(0);
        let tail = reader::verify_tail(&connection, &path, TAIL)?;
        let (seq, hash) = (tail.seq, tail.hash);
        let reserve = Reserve::new(directory, reserve, min_free);
        let ledger = Self { connection, path: path.clone(), id, boot, seq, hash, acknowledged, reserve, latched: None };
        ledger.reserve.ready();
        Ok(ledger)
    }

    /// This ledger's own number; a new file has a new one.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest record's number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The highest event the back end has stored, as last told to [`acknowledge`](Self::acknowledge).
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub fn latched(&self) -> Option<&str> {
        self.latched.as_deref()
    }

    /// Room for what is still to be written, and the reserve whole.
    pub fn has_room(&self) -> bool {
        self.reserve.ready()
    }

    /// What was open when the daemon last stopped.
    pub fn recover(&self) -> Result<sale::recover::Recovered, LedgerError> {
        reader::recover(&self.connection, &self.path)
    }

    /// Moves the cursor in memory. It reaches the disk with the next records: losing it only sends some events again.
    pub fn acknowledge(&mut self, seq: u64) {
        self.acknowledged = seq.min(self.seq);
    }

    /// Makes sure that every configured slot has its row; what a slot held before stays.
    pub fn stock_slots(&mut self, state: &sale::State) -> Result<(), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let change = self.connection.transaction().map_err(&wrap)?;
        for (name, slot) in state.planogram.slots() {
            change
                .execute(
                    "INSERT OR IGNORE INTO stock (slot, count) VALUES (?1, ?2)",
                    params![name.as_str(), slot.stock],
                )
                .map_err(&wrap)?;
        }
        change.commit().map_err(&wrap)
    }

    fn write(&mut self, at: &Stamp, records: &[Record], state: &sale::State) -> Result<(u64, String), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let change = self.connection.transaction().map_err(&wrap)?;
        let (mut seq, mut hash) = (self.seq, self.hash.clone());
        for record in records {
            seq += 1;
            hash = append(&change, seq, &hash, &self.boot, at, record).map_err(&wrap)?;
        }
        let mut orders: Vec<_> = records.iter().filter_map(Record::order).collect();
        orders.sort_unstable();
        orders.dedup();
        for order in orders.iter().filter_map(|id| state.orders.get(id)) {
            project(&change, order).map_err(&wrap)?;
        }
        project_stock(&change, records, state).map_err(&wrap)?;
        change
            .prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'acknowledged'")
            .and_then(|mut update| update.execute([self.acknowledged.to_string()]))
            .map_err(&wrap)?;
        change.commit().map_err(&wrap)?;
        Ok((seq, hash))
    }
}

impl Journal for Ledger {
    fn commit(&mut self, at: &Stamp, records: &[Record], state: &sale::State) -> Result<(), LedgerError> {
        if let Some(why) = &self.latched {
            return Err(LedgerError::Latched(why.clone()));
        }
        if records.is_empty() {
            return Ok(());
        }
        let mut result = self.write(at, records, state);
        if result.as_ref().is_err_and(LedgerError::disk_full) && self.reserve.release() {
            tracing::warn!(path = %self.path.display(), "no room: the reserve is given up for money records");
            result = self.write(at, records, state);
        }
        match result {
            Ok((seq, hash)) => {
                (self.seq, self.hash) = (seq, hash);
                Ok(())
            }
            Err(error) => {
                // Nobody knows what the disk holds now; only a new start reads it again.
                self.latched = Some(error.to_string());
                Err(error)
            }
        }
    }
}

/// What SQLite would take for a new database and write over.
fn look_before_opening(path: &Path) -> Result<(), LedgerError> {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match length(path) {
        // It would remove the log, and with it what was committed.
        0 if length(Path::new(&log)) > 0 => {
            let what = "is lost: the file is empty and its log is not".into();
            Err(LedgerError::Corrupt { path: path.into(), seq: 1, what })
        }
        1 => Err(LedgerError::Foreign { path: path.into() }),
        _ => Ok(()),
    }
}

fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

fn append(
    change: &Transaction<'_>,
    seq: u64,
    prev: &str,
    boot: &BootId,
    at: &Stamp,
    record: &Record,
) -> rusqlite::Result<String> {
    let body = serde_json::to_string(record).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let wall = at.wall.map(|wall| wall.0);
    let prev = if seq == 1 { GENESIS } else { prev };
    let link = Link { seq, boot: boot.as_str(), mono: at.now.0, wall, kind: record.kind(), body: &body };
    let hash = link.hash(prev);
    change
        .prepare_cached(
            "INSERT INTO record (seq, boot, mono, wall, order_id, kind, body, hash) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
        )?
        .execute(params![
            seq,
            boot.as_str(),
            at.now.0,
            wall,
            record.order().map(|id| id.to_string()),
            record.kind(),
            body,
            hash
        ])?;
    Ok(hash)
}

/// What an order's records add up to.
fn project(change: &Transaction<'_>, order: &Order) -> rusqlite::Result<()> {
    let id = order.id.to_string();
    let fee = order.fee_estimate();
    change
        .prepare_cached(
            "INSERT INTO orders (id, short_code, state, currency, amount, paid, refunded, outstanding, claim, ended,
                                 fee_estimate, net_estimate)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)
             ON CONFLICT (id) DO UPDATE SET state=?3, paid=?6, refunded=?7, outstanding=?8, claim=?9, ended=?10,
                                            fee_estimate=?11, net_estimate=?12",
        )?
        .execute(params![
            id,
            order.short_code.as_str(),
            word(&order.state()),
            order.currency.code(),
            order.amount(),
            order.paid(),
            order.refunded(),
            order.outstanding(),
            order.claim.as_ref().filter(|claim| claim.settled.is_none()).map(|claim| &claim.why),
            order.ended,
            fee,
            fee.map(|fee| order.paid() - order.refunded() - fee)
        ])?;
    for (unit, item) in order.items.iter().enumerate() {
        change
            .prepare_cached(
                "INSERT INTO items (order_id, unit, product, price, slot, outcome) VALUES (?1,?2,?3,?4,?5,?6)
                 ON CONFLICT (order_id, unit) DO UPDATE SET slot=?5, outcome=?6",
            )?
            .execute(params![
                id,
                unit,
                item.product.as_str(),
                item.price,
                item.attempts.last().map(|attempt| attempt.slot.as_str()),
                word(&item.outcome)
            ])?;
    }
    order.charges.iter().try_for_each(|charge| project_charge(change, &id, charge))
}

fn project_charge(change: &Transaction<'_>, order: &str, charge: &Charge) -> rusqlite::Result<()> {
    change
        .prepare_cached(
            "INSERT INTO charges (id, order_id, rail, amount, paid, returned, settled) VALUES (?1,?2,?3,?4,?5,?6,?7)
             ON CONFLICT (id) DO UPDATE SET paid=?5, returned=?6, settled=?7",
        )?
        .execute(params![
            charge.id.as_str(),
            order,
            charge.rail.to_string(),
            charge.amount,
            charge.paid(),
            charge.returned,
            charge.settled
        ])?;
    for refund in &charge.refunds {
        let state = match refund.state {
            RefundState::Requested => "requested",
            RefundState::Confirmed => "confirmed",
            RefundState::Failed => "failed",
        };
        change
            .prepare_cached(
                "INSERT INTO refunds (id, charge_id, amount, state) VALUES (?1,?2,?3,?4)
                 ON CONFLICT (id) DO UPDATE SET state=?4",
            )?
            .execute(params![refund.id.as_str(), charge.id.as_str(), refund.amount, state])?;
    }
    Ok(())
}

fn project_stock(change: &Transaction<'_>, records: &[Record], state: &sale::State) -> rusqlite::Result<()> {
    for record in records {
        let (Record::ItemDelivered { slot, .. }
        | Record::ItemUnknown { slot, .. }
        | Record::SlotFaulty { slot, .. }
        | Record::SlotRepaired { slot }
        | Record::StockSet { slot, .. }) = record
        else {
            continue;
        };
        if let Some(known) = state.planogram.slots().get(slot) {
            change
                .prepare_cached(
                    "INSERT INTO stock (slot, count, faulty) VALUES (?1,?2,?3)
                     ON CONFLICT (slot) DO UPDATE SET count=?2, faulty=?3",
                )?
                .execute(params![slot.as_str(), known.stock, known.faulty])?;
        }
    }
    Ok(())
}

/// An enum's kebab-case word, as it stands in JSON too.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn fresh_id() -> String {
    let mut bytes = [0u8; 8];
    // Without entropy the number is only less unique; it names a file, it guards nothing.
    getrandom::fill(&mut bytes).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
