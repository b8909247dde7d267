//! What the shop remembers beside its records, by the names of its parts. No record says what should stand there, so each
//! part has a sum by which damage is noticed.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use rusqlite::Connection;

use super::LedgerError;

/// All parts.
///
/// # Errors
/// One is not what was written.
pub fn read(connection: &Connection, path: &Path) -> Result<BTreeMap<String, String>, LedgerError> {
    let wrap = LedgerError::sqlite(path);
    let mut query = connection.prepare("SELECT name, value, sum FROM memory").map_err(&wrap)?;
    let found = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(&wrap)?;
    let mut memory = BTreeMap::new();
    for row in found {
        let (name, value, said): (String, String, String) = row.map_err(&wrap)?;
        if sum(&name, &value) != said {
            let what = format!("table memory, name {name}: it is not what was written");
            return Err(LedgerError::Differs { path: path.into(), what });
        }
        memory.insert(name, value);
    }
    Ok(memory)
}

pub fn write(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO memory (name, value, sum) VALUES (?1, ?2, ?3)")?
        .execute([name, value, &sum(name, value)])
        .map(drop)
}

pub fn delete(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM memory WHERE name = ?1")?.execute([name]).map(drop)
}

/// The names of all parts.
pub fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.prepare("SELECT name FROM memory")?.query_map([], |row| row.get(0))?.collect()
}

/// The SHA-256 of name, line feed and value.
fn sum(name: &str, value: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, format!("{name}\n{value}").as_bytes()).as_ref())
}
