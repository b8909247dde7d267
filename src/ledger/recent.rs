//! What the ledger has of the last day, counted, for an inspection.
//!
//! Policy: it is read from the newest record back, so a ledger of years takes no longer than one of days; and only so far that a
//! busy day can't hold up other reads.

use super::{LedgerError, Reader};
use crate::operation::Digest;
use crate::sale::Record;
use crate::vocabulary::StopReason;

/// More records than a machine makes in a day that sells without a pause.
const MOST: usize = 50_000;

/// Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    pub ledger: String,
    /// The newest record.
    pub seq: u64,
    pub hash: String,
    /// `None` where nobody knows what time it is.
    pub counted: Option<Counted>,
    /// The newest bundle that has proved itself, and its version.
    pub bundle: Option<(String, Digest)>,
    /// The newest test by a person: when, and how many parts were wrong.
    pub test: Option<(Option<u64>, u64)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    pub since: u64,
    pub door: Stops,
    pub tamper: Stops,
    pub offered: u64,
    pub paid: u64,
    pub unpaid: u64,
    pub delivered: u64,
    pub not_delivered: u64,
    pub unknown: u64,
    pub refunds: u64,
    pub claims: u64,
    pub boots: u64,
}

/// How often sales stopped for a reason, and when that was last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stops {
    pub count: u64,
    pub last: Option<u64>,
}

impl Stops {
    /// From the newest back.
    fn more(&mut self, wall: Option<u64>) {
        self.count += 1;
        self.last = self.last.or(wall);
    }
}

impl Counted {
    fn take(&mut self, wall: Option<u64>, kind: &str, body: Option<&str>) {
        let record = || serde_json::from_str::<Record>(body?).ok();
        match kind {
            "sales-stopped" => {
                let Some(Record::SalesStopped { reasons }) = record() else { return };
                if reasons.contains(&StopReason::DoorOpen) {
                    self.door.more(wall);
                }
                if reasons.contains(&StopReason::Tamper) {
                    self.tamper.more(wall);
                }
            }
            "item-not-delivered" => {
                if let Some(Record::ItemNotDelivered { last: true, .. }) = record() {
                    self.not_delivered += 1;
                }
            }
            "order-offered" => self.offered += 1,
            "order-paid" => self.paid += 1,
            "order-closed" => self.unpaid += 1,
            "item-delivered" => self.delivered += 1,
            "item-unknown" => self.unknown += 1,
            "refund-confirmed" => self.refunds += 1,
            "claim-opened" => self.claims += 1,
            "boot-started" => self.boots += 1,
            _ => {}
        }
    }
}

impl Reader {
    /// Counts from `since` on, all as of one moment.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn recent(&self, since: Option<u64>) -> Result<Recent, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // A daemon may be writing.
        let moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        let newest = "SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1";
        let (seq, hash) = moment.query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(&wrap)?;
        let counted = since.map(|since| self.counted(since)).transpose()?;
        let test = self.test(None)?;
        let wrong = |checks: &crate::operation::Findings| checks.count(crate::operation::CheckResult::Wrong) as u64;
        Ok(Recent {
            ledger: self.ledger()?,
            seq,
            hash,
            counted,
            bundle: self.bundle()?,
            test: test.map(|test| (test.wall, wrong(&test.checks))),
        })
    }

    fn counted(&self, since: u64) -> Result<Counted, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT wall, kind, CASE WHEN kind IN ('sales-stopped', 'item-not-delivered') THEN body END
                 FROM record ORDER BY seq DESC LIMIT ?1",
            )
            .map_err(&wrap)?;
        let mut rows = query.query([MOST as u64]).map_err(&wrap)?;
        let (mut counted, mut looked_at, mut oldest) = (Counted { since, ..Counted::default() }, 0, None);
        while let Some(row) = rows.next().map_err(&wrap)? {
            let wall: Option<u64> = row.get(0).map_err(&wrap)?;
            if wall.is_some_and(|wall| wall < since) {
                return Ok(counted);
            }
            let text = |column| row.get_ref(column).and_then(|text| Ok(text.as_str_or_null()?)).map_err(&wrap);
            counted.take(wall, text(1)?.unwrap_or_default(), text(2)?);
            (looked_at, oldest) = (looked_at + 1, wall.or(oldest));
        }
        if looked_at == MOST {
            counted.since = oldest.unwrap_or(since);
        }
        Ok(counted)
    }

    fn bundle(&self) -> Result<Option<(String, Digest)>, LedgerError> {
        let query = format!(
            "{} WHERE order_id IS NULL AND kind = 'update-good' ORDER BY seq DESC LIMIT 1",
            super::row::COLUMNS
        );
        let rows = super::row::rows(&self.connection, &query, []).map_err(LedgerError::sqlite(&self.path))?;
        let record = rows.first().map(|row| super::reader::parse(&self.connection, row, &self.path)).transpose()?;
        Ok(match record.flatten() {
            Some(Record::UpdateGood { version, sha256, .. }) => Some((version.to_string(), sha256)),
            _ => None,
        })
    }
}
