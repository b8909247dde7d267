//! Reads the ledger, for the start of the daemon, the fleet's outbox, and `kioskctl`, whether a daemon runs or not. It
//! never writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row};
use serde_json::{Value, json};

use super::chain::GENESIS;
use super::rebuild::Rebuilt;
use super::row::{COLUMNS, RecordRow, rows};
use super::story::Story;
use super::understood::{fits, understood};
use super::{EventDocument, FILE, LedgerError, project, schema};
use crate::operation::{KeyName, RequestId};
use crate::parking::report;
use crate::sale::codes::REACH;
use crate::sale::recover::Recovered;
use crate::sale::{Order, Record};
use crate::vocabulary::{Cause, Goods, OrderId, Outlet, ProductId, ShortCode, SlotId};

/// Milliseconds since 1970 UTC; `None` while the kiosk's clock was unknown.
pub type When = Option<u64>;

const MISSING: &str = "is not there; name the kiosk's state directory with --state";
const DENIED: &str = "this user may not read it; take sudo";
const LOCKED_IN: &str = "its log kiosk.db-wal holds records that are not in it yet, and this folder can't be written to; \
                         copy both into another folder and name that";
const EMPTY: &str = "is empty: not one record is in it, and it proves nothing; a file copied while its daemon ran, without \
                     kiosk.db-wal, may look like this";

/// A second connection on the same file, read-only.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// A record as the back end gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine {
    pub seq: u64,
    pub kind: String,
    pub hash: String,
    /// The whole JSON document, an [`EventDocument`].
    pub document: String,
}

/// One record of an order, with its number and its time.
pub(super) struct Entry {
    pub seq: u64,
    pub wall: When,
    pub record: Record,
}

/// What an [`Entry`] is read from.
pub(super) const ENTRIES: &str = "SELECT seq, wall, order_id, body FROM record";

impl Entry {
    /// From a row of [`ENTRIES`], with the order's number. A ledger has many, so nothing is copied for it. `None` where
    /// another version of kioskd has written it.
    pub fn read<'r>(
        row: &'r Row<'_>,
        connection: &Connection,
        path: &Path,
    ) -> Result<(Option<Self>, &'r str), LedgerError> {
        let wrap = LedgerError::sqlite(path);
        let text = |column: usize| row.get_ref(column).and_then(|text| Ok(text.as_str()?)).map_err(&wrap);
        let (seq, wall) = (row.get(0).map_err(&wrap)?, row.get(1).map_err(&wrap)?);
        let record = understood(connection, path, seq, text(3)?)?;
        Ok((record.map(|record| Self { seq, wall, record }), text(2)?))
    }
}

/// The end of a chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub seq: u64,
    pub hash: String,
    pub orders: u64,
    /// Of these records another version of kioskd has written so many that this one does not know; with any of them the
    /// tables can't be compared.
    pub passed_over: u64,
}

impl Verified {
    pub fn json(&self) -> Value {
        let mut verified = json!({ "records": self.seq, "orders": self.orders, "hash": self.hash });
        if self.passed_over > 0 {
            verified["passed_over"] = self.passed_over.into();
        }
        verified
    }
}

impl Reader {
    /// # Errors
    /// What is missing or can't be read, and what to do about it.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        let path = directory.join(FILE);
        match Self::connect(&path, false) {
            Err(LedgerError::Sqlite { source: rusqlite::Error::SqliteFailure(error, text), .. })
                if matches!(error.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly) =>
            {
                Self::despite(path, rusqlite::Error::SqliteFailure(error, text))
            }
            other => other,
        }
    }

    /// SQLite wants to put a file beside the ledger and may not, or there is no ledger.
    fn despite(path: PathBuf, source: rusqlite::Error) -> Result<Self, LedgerError> {
        match File::open(&path).map_err(|error| error.kind()) {
            Ok(_) => {}
            Err(ErrorKind::NotFound) => return Err(LedgerError::Unreadable { path, what: MISSING }),
            Err(ErrorKind::PermissionDenied) => return Err(LedgerError::Unreadable { path, what: DENIED }),
            Err(_) => return Err(LedgerError::Sqlite { path, source }),
        }
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        match std::fs::metadata(&log).map(|log| log.len()) {
            Ok(0) | Err(_) => Self::connect(&path, true),
            Ok(_) => Err(LedgerError::Unreadable { path, what: LOCKED_IN }),
        }
    }

    /// `immutable`: nobody writes to the file and it has no log, so nothing is needed beside it.
    fn connect(path: &Path, immutable: bool) -> Result<Self, LedgerError> {
        let (path, wrap) = (path.to_owned(), LedgerError::sqlite(path));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let opened = match immutable {
            false => Connection::open_with_flags(&path, flags),
            true => Connection::open_with_flags(uri(&path), flags.union(OpenFlags::SQLITE_OPEN_URI)),
        };
        let connection = opened.map_err(&wrap)?;
        connection.busy_timeout(std::time::Duration::from_secs(2)).map_err(&wrap)?;
        let application: Result<i64, _> = connection.query_row("PRAGMA application_id", [], |row| row.get(0));
        match application {
            Ok(schema::APPLICATION_ID) => {
                schema::known(&connection, &path)?;
                Ok(Self { connection, path })
            }
            // What SQLite makes of a file that was never written to.
            Ok(0) if std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) => {
                Err(LedgerError::Unreadable { path, what: EMPTY })
            }
            Ok(_) => Err(LedgerError::Foreign { path }),
            Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::NotADatabase => {
                Err(LedgerError::Foreign { path })
            }
            Err(source) => Err(LedgerError::Sqlite { path, source }),
        }
    }

    pub fn ledger(&self) -> Result<String, LedgerError> {
        self.meta("ledger")
    }

    /// How many there are.
    pub fn records(&self) -> Result<u64, LedgerError> {
        let newest = "SELECT coalesce(max(seq), 0) FROM record";
        self.connection.query_row(newest, [], |row| row.get(0)).map_err(LedgerError::sqlite(&self.path))
    }

    pub fn acknowledged(&self) -> Result<u64, LedgerError> {
        Ok(self.meta("acknowledged")?.parse().unwrap_or(0))
    }

    /// Events after `seq`, in order, at most `limit`.
    pub fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<EventLine>, LedgerError> {
        let ledger = self.ledger()?;
        let mut before = self.hash_of(seq)?.unwrap_or_else(|| GENESIS.to_owned());
        let rows = self.rows(&format!("{COLUMNS} WHERE seq > ?1 ORDER BY seq LIMIT ?2"), (seq, limit as u64))?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let RecordRow { seq, boot, mono, wall: ts, order, kind, body: text, hash } = row;
            let prev = std::mem::replace(&mut before, hash.clone());
            let ledger = ledger.clone();
            let event = EventDocument { ledger, seq, hash, prev, boot, mono, ts, order, kind, text };
            let document = serde_json::to_string(&event).expect("texts and numbers always become JSON");
            events.push(EventLine { seq, kind: event.kind, hash: event.hash, document });
        }
        Ok(events)
    }

    /// The hash of a record; of the chain's beginning for 0.
    pub fn hash_of(&self, seq: u64) -> Result<Option<String>, LedgerError> {
        if seq == 0 {
            return Ok(Some(GENESIS.to_owned()));
        }
        self.connection
            .prepare_cached("SELECT hash FROM record WHERE seq = ?1")
            .and_then(|mut query| query.query_row([seq], |row| row.get(0)).optional())
            .map_err(LedgerError::sqlite(&self.path))
    }

    /// The orders as `GET /api/orders` shows them, newest first, all as of one moment.
    pub fn orders(&self, limit: usize) -> Result<Value, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // A daemon may be writing.
        let moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        orders(&moment, limit).map_err(&wrap)
    }

    /// One order, from its records.
    pub fn order(&self, id: OrderId) -> Result<Option<Order>, LedgerError> {
        order(&self.connection, &self.path, id)
    }

    /// The newest order with a short code, if it is open or among the newest of all.
    pub fn by_code(&self, code: &ShortCode) -> Result<Option<Order>, LedgerError> {
        let query = format!(
            "SELECT id FROM orders WHERE short_code = ?1 AND (ended = 0 OR id >= coalesce(
                (SELECT id FROM orders ORDER BY id DESC LIMIT 1 OFFSET {}), '')) ORDER BY id DESC LIMIT 1",
            REACH - 1
        );
        self.one_order(&query, code.as_str())
    }

    /// The whole story of one order: the newest, or the one with this name, see [`named`](Self::named).
    pub fn why(&self, name: Option<&str>) -> Result<Option<Story>, LedgerError> {
        let id = match name {
            None => self.one_id("SELECT max(id) FROM orders WHERE ?1 = ''", "")?,
            Some(name) => self.named(name)?,
        };
        let Some(id) = id else { return Ok(None) };
        let rows = self.rows(&format!("{COLUMNS} WHERE order_id = ?1 ORDER BY seq"), [id.to_string()])?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut story = Story::new(id);
        story.others = self.others_of_stay(id)?;
        let (first, last) = (rows[0].seq, rows[rows.len() - 1].seq);
        let mut rows = rows;
        rows.extend(self.notes_of(id, first, last)?);
        rows.sort_by_key(|row| row.seq);
        for row in rows {
            if let Some(record) = parse(&self.connection, &row, &self.path)? {
                let tells = record.order().is_some() || report::told(&record).is_some();
                if tells {
                    story.push(row.seq, row.boot, row.mono, row.wall, record);
                }
            }
        }
        Ok(Some(story))
    }

    /// The whole chain, and that every table says what the records add up to.
    ///
    /// # Errors
    /// What does not hold. A ledger without records proves nothing, so it is one too.
    pub fn verify(&self) -> Result<Verified, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // One read transaction: a daemon may be writing.
        let moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        let again = Rebuilt::new(&self.path)?;
        let end = verify_from(&moment, &self.path, 0, |record| again.record(record))?;
        if end.seq == 0 {
            return Err(LedgerError::Unreadable { path: self.path.clone(), what: EMPTY });
        }
        self.each_order(|entries| match again.order(entries.iter().map(|entry| &entry.record)) {
            // Its offer may be among what is passed over.
            Err(LedgerError::Differs { .. }) if end.passed_over > 0 => Ok(()),
            other => other,
        })?;
        let orders = match end.passed_over {
            0 => again.compare(&moment, end.seq)?,
            _ => again.orders()?,
        };
        Ok(Verified { orders, ..end })
    }

    /// The records of every order with the number and the time of each, order by order, oldest first, all as of one moment.
    pub(super) fn each_order(
        &self,
        mut take: impl FnMut(&[Entry]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // One statement is one moment: a daemon may be writing.
        let mut query = self
            .connection
            .prepare_cached(&format!("{ENTRIES} WHERE order_id IS NOT NULL ORDER BY order_id, seq"))
            .map_err(&wrap)?;
        let mut rows = query.query([]).map_err(&wrap)?;
        let (mut order, mut entries) = (String::new(), Vec::new());
        while let Some(row) = rows.next().map_err(&wrap)? {
            let (entry, of) = Entry::read(row, &self.connection, &self.path)?;
            if of != order {
                take(&entries)?;
                entries.clear();
                of.clone_into(&mut order);
            }
            entries.extend(entry);
        }
        take(&entries)
    }

    /// The order that somebody means: by its number, by its short code, by the number of a charge, a payment or a refund as
    /// the provider knows it, by a stay's ticket number or plate, or by a moment in UTC, `2026-11-29T10:15`: then the last that had
    /// begun by its end.
    fn named(&self, name: &str) -> Result<Option<OrderId>, LedgerError> {
        if let Some(id) = OrderId::parse(name) {
            return Ok(Some(id));
        }
        if let Some(until) = end_of(name) {
            let query = "SELECT order_id FROM record INDEXED BY record_of_begin
                         WHERE kind IN ('order-offered', 'order-granted')
                         AND wall < CAST(?1 AS INTEGER) ORDER BY seq DESC LIMIT 1";
            return self.one_id(query, &until.to_string());
        }
        for query in [
            "SELECT max(id) FROM orders WHERE short_code = ?1",
            "SELECT order_id FROM charges WHERE id = ?1",
            "SELECT order_id FROM refunds JOIN charges ON charges.id = charge_id WHERE refunds.id = ?1",
            "SELECT order_id FROM record INDEXED BY record_of_payment
             WHERE kind IN ('order-paid', 'payment-surplus')
             AND CASE WHEN json_valid(body) THEN json_extract(body, '$.payment.id') END = ?1 ORDER BY seq DESC LIMIT 1",
        ] {
            if let Some(id) = self.one_id(query, name)? {
                return Ok(Some(id));
            }
        }
        self.stay(name)
    }

    fn meta(&self, key: &str) -> Result<String, LedgerError> {
        self.connection
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], |row| row.get(0)))
            .map_err(LedgerError::sqlite(&self.path))
    }

    pub(super) fn one_id(&self, query: &str, parameter: &str) -> Result<Option<OrderId>, LedgerError> {
        let id: Option<String> = self
            .connection
            .query_row(query, [parameter], |row| row.get(0))
            .optional()
            .map_err(LedgerError::sqlite(&self.path))?
            .flatten();
        Ok(id.as_deref().and_then(OrderId::parse))
    }

    fn one_order(&self, query: &str, parameter: &str) -> Result<Option<Order>, LedgerError> {
        match self.one_id(query, parameter)? {
            Some(id) => self.order(id),
            None => Ok(None),
        }
    }

    fn rows(&self, query: &str, parameters: impl rusqlite::Params) -> Result<Vec<RecordRow>, LedgerError> {
        rows(&self.connection, query, parameters).map_err(LedgerError::sqlite(&self.path))
    }
}

/// The end of a minute or second in UTC, in milliseconds since 1970.
fn end_of(time: &str) -> Option<i64> {
    let time: jiff::civil::DateTime = time.trim_end_matches('Z').parse().ok()?;
    let exact = time.second() != 0;
    let end = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(end + if exact { 1_000 } else { 60_000 })
}

/// The file's name for SQLite, escaped, because some characters mean something else there.
fn uri(path: &Path) -> String {
    let path: String = path.as_os_str().as_bytes().iter().map(|byte| format!("%{byte:02X}")).collect();
    format!("file:{path}?immutable=1")
}

/// `None` where another version of kioskd has written it.
pub(super) fn parse(connection: &Connection, row: &RecordRow, path: &Path) -> Result<Option<Record>, LedgerError> {
    understood(connection, path, row.seq, &row.body)
}

fn order(connection: &Connection, path: &Path, id: OrderId) -> Result<Option<Order>, LedgerError> {
    let found = rows(connection, &format!("{COLUMNS} WHERE order_id = ?1 ORDER BY seq"), [id.to_string()])
        .map_err(LedgerError::sqlite(path))?;
    let records = found.iter().map(|row| parse(connection, row, path)).collect::<Result<Vec<_>, _>>()?;
    let unread = records.contains(&None);
    Ok(Order::fold(records.iter().flatten()).map(|order| Order { unread, ..order }))
}

/// Orders not ended, stock, and what else outlives a restart.
pub fn recover(connection: &Connection, path: &Path) -> Result<Recovered, LedgerError> {
    let wrap = LedgerError::sqlite(path);
    let ids: Vec<String> = connection
        .prepare("SELECT id FROM orders WHERE ended = 0 ORDER BY id")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .map_err(&wrap)?;
    let mut recovered = Recovered::default();
    let mut updates = BTreeMap::new();
    for id in ids.iter().filter_map(|id| OrderId::parse(id)) {
        recovered.orders.extend(order(connection, path, id)?);
    }
    recovered.shop = shop(connection, path)?;
    let last: Option<String> =
        connection.query_row("SELECT max(id) FROM orders", [], |row| row.get(0)).map_err(&wrap)?;
    recovered.last_order = last.as_deref().and_then(OrderId::parse);
    let codes: Vec<String> = connection
        .prepare("SELECT short_code FROM orders ORDER BY id DESC LIMIT ?1")
        .and_then(|mut query| query.query_map([REACH as u64], |row| row.get(0))?.collect())
        .map_err(&wrap)?;
    recovered.codes = codes.iter().rev().filter_map(|code| ShortCode::parse(code)).collect();
    let first = |found: &[RecordRow]| -> Result<Option<Record>, LedgerError> {
        Ok(found.first().map(|row| parse(connection, row, path)).transpose()?.flatten())
    };
    // One kind a question, so that each is answered by the index and none by reading the whole chain.
    let query = format!("{COLUMNS} WHERE order_id IS NULL AND kind = ?1 ORDER BY seq DESC LIMIT 1");
    let newest = |kinds: [Record; 2]| -> Result<Option<Record>, LedgerError> {
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(rows(connection, &query, [kind.kind()]).map_err(&wrap)?);
        }
        let newest = found.iter().max_by_key(|row| row.seq).map(|row| parse(connection, row, path)).transpose()?;
        Ok(newest.flatten())
    };
    let sales = newest([Record::SalesStopped { reasons: Vec::new() }, Record::SalesResumed {}])?;
    recovered.sales_stopped = matches!(sales, Some(Record::SalesStopped { .. }));
    let cut = rows(connection, &query, ["cashed-up"]).map_err(&wrap)?;
    if let Some(Record::CashedUp { number, .. }) = first(&cut)? {
        recovered.last_report = number;
    }
    let chosen = rows(connection, &query, ["languages-chosen"]).map_err(&wrap)?;
    if let Some(Record::LanguagesChosen { languages }) = first(&chosen)? {
        recovered.languages = languages;
    }
    for kind in Record::UPDATES {
        let query = format!("{COLUMNS} WHERE order_id IS NULL AND kind = ?1 ORDER BY seq");
        let found = rows(connection, &query, [kind]).map_err(&wrap)?;
        updates.extend(found.into_iter().map(|row| (row.seq, row)));
    }
    let updates = updates.values().map(|row| parse(connection, row, path)).collect::<Result<Vec<_>, _>>()?;
    recovered.updates = updates.into_iter().flatten().collect();
    let open: Vec<String> = connection
        .prepare("SELECT id FROM operations WHERE outcome IS NULL ORDER BY id")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .map_err(&wrap)?;
    recovered.operations = open.iter().filter_map(|id| RequestId::parse(id)).collect();
    let windows: Vec<_> = connection
        .prepare("SELECT kid, highest, seen FROM windows")
        .and_then(|mut query| query.query_map([], project::window)?.collect())
        .map_err(&wrap)?;
    let named = |(kid, window): (String, _)| Some((KeyName::parse(&kid)?, window));
    recovered.windows = windows.into_iter().filter_map(named).collect();
    recovered.locked = match newest([Record::KioskLocked { reason: String::new() }, Record::KioskUnlocked {}])? {
        Some(Record::KioskLocked { reason }) => Some(reason),
        _ => None,
    };
    let work = newest([Record::MaintenanceBegun {}, Record::MaintenanceEnded {}])?;
    recovered.maintenance = matches!(work, Some(Record::MaintenanceBegun {}));
    recovered.pins_refused = match newest([Record::ServicePinRefused { in_a_row: 0 }, Record::ServiceOpened {}])? {
        Some(Record::ServicePinRefused { in_a_row }) => in_a_row,
        _ => 0,
    };
    Ok(recovered)
}

/// Verifies the last `count` records.
pub fn verify_tail(connection: &Connection, path: &Path, count: u64) -> Result<Verified, LedgerError> {
    let newest: u64 = connection
        .query_row("SELECT max(0, coalesce(max(seq), 0)) FROM record", [], |row| row.get(0))
        .map_err(LedgerError::sqlite(path))?;
    verify_from(connection, path, newest.saturating_sub(count), |_| Ok(()))
}

/// Verifies every record after `seq`, and hands each on.
fn verify_from(
    connection: &Connection,
    path: &Path,
    seq: u64,
    mut take: impl FnMut(&Record) -> Result<(), LedgerError>,
) -> Result<Verified, LedgerError> {
    const BATCH: u64 = 4096;
    let wrap = LedgerError::sqlite(path);
    let corrupt = |seq: u64, what: &str| LedgerError::Corrupt { path: path.into(), seq, what: what.into() };
    // Below the first record there is nothing to chain to.
    let below: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM record WHERE seq < 1)", [], |row| row.get(0))
        .map_err(&wrap)?;
    if below {
        return Err(corrupt(0, "was never written"));
    }
    let first: Option<String> = connection
        .query_row("SELECT hash FROM record WHERE seq = ?1", [seq], |row| row.get(0))
        .optional()
        .map_err(&wrap)?;
    let hash = first.unwrap_or_else(|| GENESIS.to_owned());
    let mut end = Verified { seq, hash, orders: 0, passed_over: 0 };
    loop {
        let batch = rows(connection, &format!("{COLUMNS} WHERE seq > ?1 ORDER BY seq LIMIT ?2"), (end.seq, BATCH))
            .map_err(&wrap)?;
        if batch.is_empty() {
            return Ok(end);
        }
        for row in batch {
            if row.seq != end.seq + 1 {
                return Err(corrupt(end.seq + 1, "is missing"));
            }
            if row.link().hash(&end.hash) != row.hash {
                return Err(corrupt(row.seq, "is not what was written"));
            }
            // The chain vouches for it.
            let record = serde_json::from_str::<Record>(&row.body).ok();
            let fits = match &record {
                Some(record) => record.order().map(|id| id.to_string()) == row.order && record.kind() == row.kind,
                None => fits(&row),
            };
            if !fits {
                return Err(corrupt(row.seq, "stands under another order or kind than its own"));
            }
            match record {
                Some(record) => take(&record)?,
                None => end.passed_over += 1,
            }
            (end.seq, end.hash) = (row.seq, row.hash);
        }
    }
}

/// What the shop's records add up to, as records.
fn shop(connection: &Connection, path: &Path) -> Result<Vec<Record>, LedgerError> {
    let wrap = LedgerError::sqlite(path);
    let unreadable = || LedgerError::Unreadable {
        path: path.into(),
        what: "a slot's stock, an outlet's fault or a shop's note can't be read",
    };
    let mut records = Vec::new();
    let stock: Vec<(String, String, u32, u32)> = connection
        .prepare("SELECT slot, product, capacity, count FROM stock")
        .and_then(|mut query| {
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
        })
        .map_err(&wrap)?;
    for (slot, product, capacity, count) in stock {
        let (slot, product) = SlotId::parse(&slot).zip(ProductId::parse(&product)).ok_or_else(unreadable)?;
        records.push(Record::SlotAssigned { slot, product, capacity, count });
    }
    let pairs = |query: &str| -> Result<Vec<(String, String)>, LedgerError> {
        let mut query = connection.prepare(query).map_err(&wrap)?;
        let found = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect);
        found.map_err(&wrap)
    };
    for (outlet, why) in pairs("SELECT outlet, why FROM faults")? {
        let outlet = Outlet::parse(&outlet).ok_or_else(unreadable)?;
        // A fault stays one, whatever a newer version calls it.
        let why = serde_json::from_str(&why).unwrap_or(Cause::Board { detail: why });
        records.push(Record::OutletFaulty { outlet, why });
    }
    for (key, value) in pairs("SELECT key, value FROM notes")? {
        let value = Some(serde_json::from_str(&value).map_err(|_| unreadable())?);
        records.push(Record::ShopNoted { key, value });
    }
    Ok(records)
}

fn orders(connection: &Connection, limit: usize) -> rusqlite::Result<Value> {
    let mut query = connection.prepare_cached(
        "SELECT id, short_code, state, amount, currency, paid, refunded, granted,
                (SELECT wall FROM record WHERE order_id = orders.id ORDER BY seq LIMIT 1) AS ts
         FROM orders ORDER BY id DESC LIMIT ?1",
    )?;
    let found = query.query_map([limit as u64], |row| {
        Ok(json!({
            "id": row.get::<_, String>(0)?,
            "short_code": row.get::<_, String>(1)?,
            "state": row.get::<_, String>(2)?,
            "amount": row.get::<_, i64>(3)?,
            "currency": row.get::<_, String>(4)?,
            "paid": row.get::<_, i64>(5)?,
            "refunded": row.get::<_, i64>(6)?,
            "granted": row.get::<_, Option<String>>(7)?,
            "ts": row.get::<_, When>(8)?,
        }))
    })?;
    let mut orders = found.collect::<rusqlite::Result<Vec<Value>>>()?;
    let mut items = connection
        .prepare_cached("SELECT goods, price, outlet, outcome FROM items WHERE order_id = ?1 ORDER BY unit")?;
    for order in &mut orders {
        let id = order["id"].as_str().unwrap_or_default().to_owned();
        let units = items.query_map([id], |row| {
            let (goods, outlet) = (row.get::<_, String>(0)?, row.get::<_, Option<String>>(2)?);
            let (product, slot) = (Goods::parse(&goods), outlet.as_deref().and_then(Outlet::parse));
            Ok(json!({
                "goods": goods,
                "product": product.as_ref().and_then(Goods::product),
                "price": row.get::<_, i64>(1)?,
                "outlet": outlet,
                "slot": slot.as_ref().and_then(Outlet::slot),
                "outcome": row.get::<_, String>(3)?,
            }))
        })?;
        order["items"] = Value::Array(units.collect::<rusqlite::Result<_>>()?);
    }
    Ok(json!({ "orders": orders }))
}
