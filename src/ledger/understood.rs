//! Reading a record, which another version of kioskd may have written.
//!
//! Policy: the machine may have gone back from newer software, and goes on with the ledger that this has written. A record
//! that can't be read here and that the chain vouches for was written by another version: it is kept as it is, passed
//! over, and makes nothing stop. One for which the chain does not vouch is no record.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::LedgerError;
use super::chain::GENESIS;
use super::row::{COLUMNS, RecordRow, rows};
use crate::sale::Record;

/// A record by its number and body; `None` where another version has written it.
pub fn understood(connection: &Connection, path: &Path, seq: u64, body: &str) -> Result<Option<Record>, LedgerError> {
    match serde_json::from_str(body) {
        Ok(record) => Ok(Some(record)),
        Err(_) if is_chained(connection, seq).map_err(LedgerError::sqlite(path))? => Ok(None),
        Err(error) => Err(LedgerError::Corrupt { path: path.into(), seq, what: format!("can't be read: {error}") }),
    }
}

/// Whether what stands beside the body of a record that can't be read is what the body says.
pub fn fits(row: &RecordRow) -> bool {
    let body: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
    body["kind"] == *row.kind && body["order"].as_str() == row.order.as_deref()
}

fn is_chained(connection: &Connection, seq: u64) -> rusqlite::Result<bool> {
    let Some(row) = rows(connection, &format!("{COLUMNS} WHERE seq = ?1"), [seq])?.pop() else { return Ok(false) };
    let before: Option<String> = connection
        .prepare_cached("SELECT hash FROM record WHERE seq = ?1")?
        .query_row([seq.saturating_sub(1)], |row| row.get(0))
        .optional()?;
    let before = match seq {
        1 => Some(GENESIS.to_owned()),
        _ => before,
    };
    Ok(before.is_some_and(|before| row.link().hash(&before) == row.hash) && fits(&row))
}
