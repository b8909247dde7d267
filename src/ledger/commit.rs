//! Writes the ledger. There is one owner with one connection.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::chain::Link;
use super::lock::{self, DirectoryLock};
use super::reserve::Reserve;
use super::{FILE, Journal, LedgerError, configuration, fingerprint, memory, project, reader, schema};
use crate::sale;
use crate::sale::record::Record;
use crate::vocabulary::{BootId, Stamp};

/// So many records at the end of the chain are verified at every start; `verify` does them all.
const TAIL: u64 = 256;

/// The kiosk's ledger, open for writing.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    /// Ends after the connection.
    _lock: DirectoryLock,
    path: PathBuf,
    id: String,
    home: String,
    /// The records say where this ledger lives, and it is here.
    at_home: bool,
    /// The number under which it was written elsewhere.
    moved: Option<String>,
    boot: BootId,
    seq: u64,
    hash: String,
    acknowledged: u64,
    reserve: Reserve,
    latched: Option<String>,
    /// The parts of the shop's memory as they are on disk, by their numbers.
    remembered: BTreeMap<String, u64>,
}

/// What of the shop's memory is to be written, with its numbers, and deleted.
#[derive(Default)]
struct Unwritten {
    changed: Vec<(String, u64)>,
    gone: Vec<String>,
}

impl Ledger {
    /// Opens or begins the ledger in the directory that is held. `reserve` and `min_free` are bytes. The tail of the
    /// chain is verified. Before anything is recorded, [`begin`](Self::begin) has to be.
    pub fn open(lock: DirectoryLock, boot: BootId, reserve: u64, min_free: u64) -> Result<Self, LedgerError> {
        let path = lock.directory().join(FILE);
        let wrap = LedgerError::sqlite(&path);
        let foreign = || LedgerError::Foreign { path: path.clone() };
        look_before_opening(&path)?;
        create_private(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
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
        schema::prepare(&mut connection, &path)?;
        make_private(&path)?;
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")] {
            connection.pragma_update(None, name, value).map_err(&wrap)?;
        }
        let [number, recorded, acknowledged] = ["ledger", "home", "acknowledged"].map(|key| meta(&connection, key));
        let (number, recorded) = (number.map_err(&wrap)?, recorded.map_err(&wrap)?);
        let home = fingerprint::of(&path).map_err(LedgerError::io(&path))?;
        let at_home = recorded.is_some_and(|recorded| fingerprint::same(&recorded, &home));
        let (id, moved) = match number {
            Some(number) if at_home => (number, None),
            // Where it was it may go on, under the number it had.
            former => (fresh_id(), former),
        };
        // Under a new number nobody has acknowledged anything.
        let acknowledged = acknowledged.map_err(&wrap)?.filter(|_| at_home).and_then(|n| n.parse().ok()).unwrap_or(0);
        let tail = reader::verify_tail(&connection, &path, TAIL)?;
        let remembered = memory::names(&connection).map_err(&wrap)?.into_iter().map(|name| (name, 0)).collect();
        let reserve = Reserve::new(lock.directory(), reserve, min_free);
        reserve.make_private()?;
        let ledger = Self {
            connection,
            _lock: lock,
            path: path.clone(),
            id,
            home,
            at_home,
            moved,
            boot,
            seq: tail.seq,
            hash: tail.hash,
            acknowledged,
            reserve,
            latched: None,
            remembered,
        };
        ledger.reserve.ready();
        Ok(ledger)
    }

    /// Records what everything else stands on, where it is not recorded yet: which ledger this is and where it lives.
    pub fn begin(&mut self, at: &Stamp, state: &sale::State) -> Result<(), LedgerError> {
        let mut records = Vec::new();
        if !self.at_home {
            let (ledger, home, before) = (self.id.clone(), self.home.clone(), self.moved.clone());
            records.push(Record::LedgerBegun { ledger, home, before });
        }
        self.commit(at, &records, state)?;
        self.at_home = true;
        Ok(())
    }

    /// This ledger's own number: a new file has a new one, and so has one that was copied or moved.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number it had elsewhere, in the run in which that was noticed.
    pub fn moved(&self) -> Option<&str> {
        self.moved.as_deref()
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
        let mut recovered = reader::recover(&self.connection, &self.path)?;
        recovered.memory = memory::read(&self.connection, &self.path)?;
        let config_tried = configuration::newest(&self.connection, &self.path)?.trial;
        Ok(sale::recover::Recovered { moved: self.moved.is_some(), config_tried, ..recovered })
    }

    /// Folds the log in whenever it has so many pages; for where many ledgers share a small disk.
    ///
    /// # Errors
    /// SQLite will not.
    pub fn fold_log_after(&self, pages: u32) -> Result<(), LedgerError> {
        let set = self.connection.pragma_update(None, "wal_autocheckpoint", pages);
        set.map_err(LedgerError::sqlite(&self.path))
    }

    /// Folds the log into the file and closes it, so that the file alone is the whole ledger. After a failed write
    /// nothing is written any more, this neither.
    pub fn close(self) {
        let Self { connection, path, latched, .. } = self;
        if latched.is_some() {
            return;
        }
        let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        match folded {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!(path = %path.display(), "somebody reads the ledger, so its write-ahead log stays beside it")
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the ledger's write-ahead log could not be folded in and stays beside it")
            }
        }
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, path = %path.display(), "the ledger could not be closed cleanly");
        }
    }

    /// Moves the cursor in memory. It reaches the disk with the next records: losing it only sends some events again.
    pub fn acknowledge(&mut self, seq: u64) {
        self.acknowledged = seq.min(self.seq);
    }

    /// What of the shop's memory is not on disk as it is.
    fn unwritten(&self, state: &sale::State) -> Unwritten {
        let memory = state.shop.memory();
        if memory.is_empty() {
            return Unwritten::default();
        }
        let there: BTreeSet<&str> = memory.iter().map(|(name, _)| name.as_str()).collect();
        let gone = self.remembered.keys().filter(|name| !there.contains(name.as_str())).cloned().collect();
        let changed =
            memory.iter().filter(|(name, number)| self.remembered.get(name) != Some(number)).cloned().collect();
        Unwritten { changed, gone }
    }

    fn write(
        &mut self,
        at: &Stamp,
        records: &[Record],
        state: &sale::State,
        memory: &Unwritten,
    ) -> Result<(u64, String), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let change = self.connection.transaction().map_err(&wrap)?;
        let (mut seq, mut hash) = (self.seq, self.hash.clone());
        for record in records {
            seq += 1;
            hash = append(&change, seq, &hash, &self.boot, at, record).map_err(&wrap)?;
            project::record(&change, record).map_err(&wrap)?;
        }
        let mut orders: Vec<_> = records.iter().filter_map(Record::order).collect();
        orders.sort_unstable();
        orders.dedup();
        for order in orders.iter().filter_map(|id| state.orders.get(id)) {
            project::order(&change, order).map_err(&wrap)?;
        }
        for (name, _) in &memory.changed {
            let value =
                state.shop.part(name).map_err(|why| wrap(rusqlite::Error::ToSqlConversionFailure(Box::new(why))))?;
            if let Some(value) = value {
                memory::write(&change, name, &value).map_err(&wrap)?;
            }
        }
        for name in &memory.gone {
            memory::delete(&change, name).map_err(&wrap)?;
        }
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
        let memory = self.unwritten(state);
        if records.is_empty() && memory.changed.is_empty() && memory.gone.is_empty() {
            return Ok(());
        }
        let mut result = self.write(at, records, state, &memory);
        if result.as_ref().is_err_and(LedgerError::disk_full) && self.reserve.release() {
            tracing::warn!(path = %self.path.display(), "the disk is full: the reserve file was deleted to make room for money records");
            result = self.write(at, records, state, &memory);
        }
        match result {
            Ok((seq, hash)) => {
                (self.seq, self.hash) = (seq, hash);
                self.remembered.retain(|name, _| !memory.gone.contains(name));
                self.remembered.extend(memory.changed);
                Ok(())
            }
            Err(error) => {
                // Nobody knows what the disk holds now; only a new start reads it again.
                self.latched = Some(error.to_string());
                let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
                if let Err(error) = self.connection.set_db_config(keep, true) {
                    tracing::warn!(%error, "the ledger's write-ahead log may be folded in only when the daemon ends");
                }
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

/// Made before SQLite would make it: what it puts beside it later gets the same rights.
fn create_private(path: &Path) -> Result<(), LedgerError> {
    lock::private().create(true).truncate(false).open(path).map(drop).map_err(LedgerError::io(path))
}

/// A ledger of an earlier time may be laxer.
fn make_private(path: &Path) -> Result<(), LedgerError> {
    for part in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(part);
        lock::tighten(Path::new(&name))?;
    }
    Ok(())
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

fn fresh_id() -> String {
    let mut bytes = [0u8; 8];
    // Without entropy the number is only less unique; it names a file, it guards nothing.
    getrandom::fill(&mut bytes).unwrap_or_default();
    HEXLOWER.encode(&bytes)
}
