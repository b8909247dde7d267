//! A record as a row of its table.

use rusqlite::{Connection, Row};

use super::chain::Link;

pub struct RecordRow {
    pub seq: u64,
    pub boot: String,
    pub mono: u64,
    pub wall: Option<u64>,
    pub order: Option<String>,
    pub kind: String,
    pub body: String,
    pub hash: String,
}

pub const COLUMNS: &str = "SELECT seq, boot, mono, wall, order_id, kind, body, hash FROM record";

impl RecordRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            boot: row.get(1)?,
            mono: row.get(2)?,
            wall: row.get(3)?,
            order: row.get(4)?,
            kind: row.get(5)?,
            body: row.get(6)?,
            hash: row.get(7)?,
        })
    }

    pub fn link(&self) -> Link<'_> {
        let Self { seq, boot, mono, wall, kind, body, .. } = self;
        Link { seq: *seq, boot, mono: *mono, wall: *wall, kind, body }
    }
}

pub fn rows(
    connection: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<RecordRow>> {
    connection.prepare_cached(query)?.query_map(parameters, RecordRow::read)?.collect()
}
