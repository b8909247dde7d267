//! The operations in the ledger: the stored outcome for a request that was made before, and the audit.

use rusqlite::{OptionalExtension, Row};
use serde::Serialize;

use super::reader::parse;
use super::row::{COLUMNS, rows};
use super::{LedgerError, Reader, When};
use crate::operation::{Actor, Findings, KeysetText, Known, Operation, Outcome, RequestId};

/// One operation of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationLine {
    pub seq: u64,
    /// When it began; `None` while the clock was unknown.
    #[serde(rename = "ts")]
    pub wall: When,
    pub id: RequestId,
    pub by: Actor,
    pub asked: Operation,
    /// `None`: under way.
    pub outcome: Option<Outcome>,
}

/// A test of the machine, and where it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedTest {
    pub ledger: String,
    pub seq: u64,
    pub hash: String,
    /// `None` while the clock was unknown.
    pub wall: When,
    /// Of the daemon that wrote it.
    pub version: String,
    pub by: Actor,
    pub checks: Findings,
}

/// The columns of one operation, as JSON.
struct Written {
    actor: String,
    asked: String,
    outcome: Option<String>,
}

impl Written {
    /// From the columns `actor`, `asked` and `outcome`.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { actor: row.get("actor")?, asked: row.get("asked")?, outcome: row.get("outcome")? })
    }

    fn known(&self) -> serde_json::Result<Known> {
        Ok(Known {
            asked: serde_json::from_str(&self.asked)?,
            by: serde_json::from_str(&self.actor)?,
            outcome: self.outcome.as_deref().map(serde_json::from_str).transpose()?,
        })
    }
}

impl Reader {
    /// What is known of a request, by its number.
    pub fn operation(&self, id: &RequestId) -> Result<Option<Known>, LedgerError> {
        let written = self
            .connection
            .prepare_cached("SELECT actor, asked, outcome FROM operations WHERE id = ?1")
            .and_then(|mut query| query.query_row([id.as_str()], Written::read).optional())
            .map_err(LedgerError::sqlite(&self.path))?;
        written.map(|written| written.known().map_err(|_| self.unreadable())).transpose()
    }

    /// What people have asked of the machine, the newest first, with when each began and what came of it.
    pub fn operations(&self, limit: usize) -> Result<Vec<OperationLine>, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // One statement is one moment: a daemon may be writing.
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT seq, wall, id, actor, asked, outcome
                 FROM record JOIN operations ON id = json_extract(body, '$.id')
                 WHERE order_id IS NULL AND kind = 'operation-begun' ORDER BY seq DESC LIMIT ?1",
            )
            .map_err(&wrap)?;
        let rows = query
            .query_map([limit as u64], |row| {
                Ok((row.get("seq")?, row.get("wall")?, row.get::<_, String>("id")?, Written::read(row)?))
            })
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(&wrap)?;
        let line = |(seq, wall, id, written): (u64, When, String, Written)| {
            let id = RequestId::parse(&id).ok_or_else(|| self.unreadable())?;
            let Known { asked, by, outcome } = match written.known() {
                Ok(known) => known,
                // Newer software has done it, which knows more of them.
                Err(_) if self.is_foreign(&id)? => return Ok(None),
                Err(_) => return Err(self.unreadable()),
            };
            Ok(Some(OperationLine { seq, wall, id, by, asked, outcome }))
        };
        let lines: Result<Vec<_>, _> = rows.into_iter().map(line).collect();
        Ok(lines?.into_iter().flatten().collect())
    }

    /// The test that was recorded under this number, or the newest.
    pub fn test(&self, id: Option<&RequestId>) -> Result<Option<RecordedTest>, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let found = self
            .connection
            .prepare_cached(
                "SELECT seq, hash, wall, actor, asked, outcome,
                        (SELECT json_extract(boot.body, '$.version') FROM record AS boot
                         WHERE boot.order_id IS NULL AND boot.kind = 'boot-started' AND boot.seq < record.seq
                         ORDER BY boot.seq DESC LIMIT 1) AS version
                 FROM record JOIN operations ON id = json_extract(body, '$.id')
                 WHERE order_id IS NULL AND kind = 'operation-begun' AND (?1 IS NULL OR id = ?1)
                     AND json_extract(asked, '$.do') = 'record-test' AND json_extract(outcome, '$.result') = 'changed'
                 ORDER BY seq DESC LIMIT 1",
            )
            .and_then(|mut query| {
                let row = |row: &Row<'_>| {
                    let version = row.get::<_, Option<String>>("version")?.unwrap_or_default();
                    Ok((row.get("seq")?, row.get("hash")?, row.get("wall")?, version, Written::read(row)?))
                };
                query.query_row([id.map(RequestId::as_str)], row).optional()
            })
            .map_err(&wrap)?;
        let Some((seq, hash, wall, version, written)) = found else { return Ok(None) };
        match written.known().map_err(|_| self.unreadable())? {
            Known { asked: Operation::RecordTest { checks }, by, .. } => {
                Ok(Some(RecordedTest { ledger: self.ledger()?, seq, hash, wall, version, by, checks }))
            }
            _ => Err(self.unreadable()),
        }
    }

    /// The keyset of the highest version that the fleet's root has put in force here.
    pub fn keyset(&self) -> Result<Option<KeysetText>, LedgerError> {
        let text: Option<String> = self
            .connection
            .query_row(
                "SELECT json_extract(asked, '$.keyset') FROM operations
                 WHERE id >= 'keyset-' AND id < 'keyset.' AND json_extract(asked, '$.do') = 'rotate-keys'
                 AND json_extract(outcome, '$.result') = 'changed'
                 ORDER BY json_extract(asked, '$.version') DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(LedgerError::sqlite(&self.path))?;
        Ok(text.as_deref().and_then(KeysetText::parse))
    }

    /// Whether another version of kioskd has begun or ended this operation, in words of its own.
    fn is_foreign(&self, id: &RequestId) -> Result<bool, LedgerError> {
        let query = format!(
            "{COLUMNS} WHERE order_id IS NULL AND kind IN ('operation-begun', 'operation-ended')
             AND json_extract(body, '$.id') = ?1"
        );
        let found = rows(&self.connection, &query, [id.as_str()]).map_err(LedgerError::sqlite(&self.path))?;
        for row in &found {
            if parse(&self.connection, row, &self.path)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn unreadable(&self) -> LedgerError {
        LedgerError::Unreadable { path: self.path.clone(), what: "an operation can't be read" }
    }
}
