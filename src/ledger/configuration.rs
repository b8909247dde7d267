//! Which configuration is in force, by the records: each that came from somebody is tried, and then kept or rejected.

use std::path::Path;

use rusqlite::Connection;

use super::row::{COLUMNS, rows};
use super::understood::understood;
use super::{LedgerError, Reader};
use crate::operation::{ConfigText, Digest, Known, Operation, RequestId};
use crate::sale::Record;
use crate::vocabulary::Cause;

/// What the ledger says of configurations; all of it is empty where none ever came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configurations {
    /// The newest that was kept.
    pub kept: Option<StoredConfig>,
    /// A newer one that is on trial.
    pub trial: Option<StoredConfig>,
    /// A newer one that was rejected, and why.
    pub rejected: Option<(Digest, Cause)>,
}

/// A configuration in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConfig {
    /// Of the record with which its trial began.
    pub seq: u64,
    pub id: RequestId,
    pub digest: Digest,
    /// What the file on the machine was then.
    pub base: Digest,
    pub text: ConfigText,
}

/// The newest record of each kind that counts still.
pub(super) struct Newest {
    kept: Option<Record>,
    kept_seq: u64,
    pub trial: Option<Record>,
    trial_seq: u64,
    rejected: Option<Record>,
}

pub(super) fn newest(connection: &Connection, path: &Path) -> Result<Newest, LedgerError> {
    let newest = |kind: &str, before: u64| -> Result<Option<(u64, Record)>, LedgerError> {
        let query = format!("{COLUMNS} WHERE order_id IS NULL AND kind = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT 1");
        let rows = rows(connection, &query, rusqlite::params![kind, before]).map_err(LedgerError::sqlite(path))?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(understood(connection, path, row.seq, &row.body)?.map(|record| (row.seq, record)))
    };
    let all = i64::MAX.unsigned_abs();
    let (tried, kept) = (newest("config-tried", all)?, newest("config-kept", all)?);
    let rejected = newest("config-rejected", all)?;
    let seq = |found: &Option<(u64, Record)>| found.as_ref().map_or(0, |(seq, _)| *seq);
    let (kept_at, rejected_at) = (seq(&kept), seq(&rejected));
    let kept = if kept.is_some() { newest("config-tried", kept_at)? } else { None };
    let trial = tried.filter(|(seq, _)| *seq > kept_at.max(rejected_at));
    Ok(Newest {
        kept_seq: seq(&kept),
        kept: kept.map(|(_, record)| record),
        trial_seq: seq(&trial),
        trial: trial.map(|(_, record)| record),
        rejected: rejected.filter(|(seq, _)| *seq > kept_at).map(|(_, record)| record),
    })
}

impl Reader {
    /// Which configuration is in force, on trial, and was rejected last.
    pub fn configurations(&self) -> Result<Configurations, LedgerError> {
        let Newest { kept, kept_seq, trial, trial_seq, rejected } = newest(&self.connection, &self.path)?;
        let rejected = match rejected {
            Some(Record::ConfigRejected { config, why }) => Some((config, why)),
            _ => None,
        };
        let stored = |record: Option<Record>, seq| record.map(|record| self.stored(record, seq)).transpose();
        Ok(Configurations { kept: stored(kept, kept_seq)?, trial: stored(trial, trial_seq)?, rejected })
    }

    fn stored(&self, record: Record, seq: u64) -> Result<StoredConfig, LedgerError> {
        let lost = || LedgerError::Unreadable { path: self.path.clone(), what: "a configuration can't be read" };
        let Record::ConfigTried { id, config: digest, base, text, .. } = record else { return Err(lost()) };
        let text = match text {
            Some(text) => text,
            None => match self.operation(&id)? {
                Some(Known { asked: Operation::ApplyConfig { config }, .. }) => config,
                _ => return Err(lost()),
            },
        };
        Ok(StoredConfig { seq, id, digest, base, text })
    }
}
