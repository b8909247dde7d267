//! Rebuilds the ledger in memory from its records alone. `verify` compares the file with it, table by table and row by
//! row, in both directions. Tables, keys and columns are read from the schema, so that a new one is compared too.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::{LedgerError, memory, project, schema};
use crate::sale::{Order, Record};

/// So many differences are told; the rest is counted.
const TOLD: usize = 5;

pub struct Rebuilt {
    connection: Connection,
    path: PathBuf,
}

/// What to compare, in the order of the keys, which come first.
struct Table {
    name: String,
    columns: Vec<String>,
    keys: usize,
    query: String,
}

impl Rebuilt {
    /// Empty tables for the ledger at `path`.
    pub fn new(path: &Path) -> Result<Self, LedgerError> {
        let wrap = LedgerError::sqlite(path);
        let mut connection = Connection::open_in_memory().map_err(&wrap)?;
        schema::prepare(&mut connection, path)?;
        // Never committed: it goes with the value.
        connection.execute_batch("BEGIN").map_err(&wrap)?;
        Ok(Self { connection, path: path.into() })
    }

    /// The next record, in order.
    pub fn record(&self, record: &Record) -> Result<(), LedgerError> {
        project::record(&self.connection, record).map_err(LedgerError::sqlite(&self.path))
    }

    /// All records of one order.
    pub fn order<'a>(&self, records: impl Iterator<Item = &'a Record> + Clone) -> Result<(), LedgerError> {
        let Some(first) = records.clone().next() else { return Ok(()) };
        let Some(order) = Order::fold(records) else {
            let order = first.order().map_or_else(String::new, |id| id.to_string());
            return Err(self.differ(format!("order {order} does not begin with an offer")));
        };
        project::order(&self.connection, &order).map_err(LedgerError::sqlite(&self.path))
    }

    /// Holds the file's tables against these; `seq` is its last record. Answers with the number of orders.
    pub fn compare(&self, file: &Connection, seq: u64) -> Result<u64, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let mut found = Vec::new();
        // What newer software has added to the tables is not for us to judge.
        if !schema::is_newer(file).map_err(&wrap)? {
            self.table(file, &Table::schema(), &mut found).map_err(&wrap)?;
        }
        self.told(&found)?;
        self.cursor(file, seq)?;
        self.memory(file)?;
        for table in self.tables().map_err(&wrap)? {
            self.table(file, &table, &mut found).map_err(&wrap)?;
        }
        self.told(&found)?;
        self.orders()
    }

    /// How many there are.
    pub fn orders(&self) -> Result<u64, LedgerError> {
        let count = self.connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0));
        count.map_err(LedgerError::sqlite(&self.path))
    }

    /// How far the back end has acknowledged is in no record; it can only be a number of one. Taken over as it is.
    fn cursor(&self, file: &Connection, seq: u64) -> Result<(), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let cursor: Option<String> = file
            .query_row("SELECT value FROM meta WHERE key = 'acknowledged'", [], |row| row.get(0))
            .optional()
            .map_err(&wrap)?;
        let number = cursor.as_deref().and_then(|text| text.parse::<u64>().ok().filter(|n| n.to_string() == text));
        if number.is_none_or(|number| number > seq) {
            let said = cursor.map_or("missing".to_owned(), |text| format!("{text:?}"));
            return Err(self.differ(format!("table meta, key acknowledged: value is {said}, of {seq} records")));
        }
        self.connection.execute("UPDATE meta SET value = ?1 WHERE key = 'acknowledged'", [cursor]).map_err(&wrap)?;
        Ok(())
    }

    /// What the shop remembers is in no record; it can only be what was written. Taken over as it is.
    fn memory(&self, file: &Connection) -> Result<(), LedgerError> {
        for (name, value) in memory::read(file, &self.path)? {
            memory::write(&self.connection, &name, &value).map_err(LedgerError::sqlite(&self.path))?;
        }
        Ok(())
    }

    /// Every table but the records themselves, which the chain holds together.
    fn tables(&self) -> rusqlite::Result<Vec<Table>> {
        let mut names = self.connection.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'record'
             ORDER BY name",
        )?;
        let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        names.into_iter().map(|name| Table::of(&self.connection, name)).collect()
    }

    /// Goes through both in the order of the keys, side by side.
    fn table(&self, file: &Connection, table: &Table, found: &mut Vec<String>) -> rusqlite::Result<()> {
        let (mut theirs, mut ours) = (file.prepare(&table.query)?, self.connection.prepare(&table.query)?);
        let (mut theirs, mut ours) = (theirs.query([])?, ours.query([])?);
        let next = |rows: &mut rusqlite::Rows<'_>| -> rusqlite::Result<Option<Vec<Value>>> {
            let row = rows.next()?;
            row.map(|row| (0..table.columns.len()).map(|column| row.get(column)).collect()).transpose()
        };
        let (mut there, mut here) = (next(&mut theirs)?, next(&mut ours)?);
        loop {
            let order = match (&there, &here) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(there), Some(here)) => compare(&there[..table.keys], &here[..table.keys]),
            };
            match (order, &there, &here) {
                (Ordering::Less, Some(row), _) => found.push(format!("{}: is in no record", table.row(row))),
                (Ordering::Greater, _, Some(row)) => {
                    found.push(format!("{}: is missing, and the records have it", table.row(row)));
                }
                (_, Some(row), Some(other)) => table.columns(row, other, found),
                _ => {}
            }
            if order.is_le() {
                there = next(&mut theirs)?;
            }
            if order.is_ge() {
                here = next(&mut ours)?;
            }
        }
    }

    fn told(&self, found: &[String]) -> Result<(), LedgerError> {
        let (told, more) = found.split_at(found.len().min(TOLD));
        let told = told.join("; ");
        match (found.is_empty(), more.len()) {
            (true, _) => Ok(()),
            (false, 0) => Err(self.differ(told)),
            (false, more) => Err(self.differ(format!("{told}; and {more} more"))),
        }
    }

    fn differ(&self, what: String) -> LedgerError {
        LedgerError::Differs { path: self.path.clone(), what }
    }
}

impl Table {
    fn of(connection: &Connection, name: String) -> rusqlite::Result<Self> {
        let mut info = connection.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY pk = 0, pk, cid")?;
        let info = info.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns: Vec<(String, i64)> = info.collect::<rusqlite::Result<_>>()?;
        let keys = columns.iter().filter(|(_, key)| *key > 0).count();
        let columns: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        // Without a key of its own, the whole row is it.
        let keys = if keys == 0 { columns.len() } else { keys };
        let order = columns[..keys].join(", ");
        let query = format!("SELECT {} FROM {name} ORDER BY {order}", columns.join(", "));
        Ok(Self { name: format!("table {name}"), columns, keys, query })
    }

    /// Tables, indices, views, and triggers, of which there are none.
    fn schema() -> Self {
        let query = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY type, name";
        let columns = ["type", "name", "sql"].map(String::from).to_vec();
        Self { name: "schema".into(), columns, keys: 2, query: query.into() }
    }

    fn row(&self, row: &[Value]) -> String {
        let keys = self.columns.iter().zip(row).take(self.keys);
        let keys: Vec<String> = keys.map(|(name, value)| format!("{name} {}", said(value))).collect();
        format!("{}, {}", self.name, keys.join(", "))
    }

    fn columns(&self, row: &[Value], other: &[Value], found: &mut Vec<String>) {
        for (name, (there, here)) in self.columns.iter().zip(row.iter().zip(other)) {
            if there != here {
                let (there, here) = (said(there), said(here));
                found.push(format!("{}: {name} is {there}, and the records add up to {here}", self.row(row)));
            }
        }
    }
}

/// As SQLite orders them: nothing, numbers, texts, bytes.
fn compare(one: &[Value], other: &[Value]) -> Ordering {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    let number = |value: &Value| match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        _ => 0.0,
    };
    let pair = |(one, other): (&Value, &Value)| match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (Value::Blob(one), Value::Blob(other)) => one.cmp(other),
        _ => class(one).cmp(&class(other)).then(number(one).total_cmp(&number(other))),
    };
    one.iter().zip(other).map(pair).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// A value for people: short, on one line.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => {
            let short: String = text.chars().take(60).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("{short:?}{more}")
        }
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_as_sqlite_orders_them() {
        let texts = ["", "a", "b"].map(|text| Value::Text(text.into()));
        let blobs = [&b""[..], b"\x00", b"\x01"].map(|bytes| Value::Blob(bytes.into()));
        let [low, one, two] = [i64::MIN, 1, 2].map(Value::Integer);
        // As a float these two are one.
        let high = [i64::MAX - 1, i64::MAX].map(Value::Integer);
        let [minus, half] = [-0.5, 1.5].map(Value::Real);
        let sorted = [[Value::Null, low, minus, one, half, two].as_slice(), &high, &texts, &blobs].concat();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE value (value)").unwrap();
        for value in sorted.iter().rev() {
            connection.execute("INSERT INTO value VALUES (?1)", [value]).unwrap();
        }
        let mut query = connection.prepare("SELECT value FROM value ORDER BY value").unwrap();
        let theirs = query.query_map([], |row| row.get::<_, Value>(0)).unwrap();
        assert_eq!(theirs.collect::<Result<Vec<_>, _>>().unwrap(), sorted);
        for (nth, value) in sorted.iter().enumerate() {
            for (place, other) in sorted.iter().enumerate() {
                let pair = [value, other].map(std::slice::from_ref);
                assert_eq!(compare(pair[0], pair[1]), nth.cmp(&place), "{value:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_where_that_is_said() {
        let said = |length: usize| said(&Value::Text("x".repeat(length)));
        assert_eq!(said(60), format!("\"{}\"", "x".repeat(60)));
        assert_eq!(said(61), format!("\"{}\"…", "x".repeat(60)));
    }
}
