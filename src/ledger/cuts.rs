//! Reads the reports of the ledger: where they were cut, and what is between two cuts.

use rusqlite::OptionalExtension;

use super::cash_up::{CashUp, Cut};
use super::chain::GENESIS;
use super::reader::{ENTRIES, Entry, parse};
use super::row::{COLUMNS, RecordRow, rows};
use super::{LedgerError, Reader, When};
use crate::sale::Record;

/// The orders of a report: what has a record behind its beginning, `?1`, and has begun by its end, `?2`; and of the rest what is open
/// now, because what was open at the end and is not any more has one. From the records that stand behind the beginning.
const FROM_THE_RECORDS: &str = "
    SELECT order_id FROM record WHERE seq > ?1 AND order_id IS NOT NULL
    UNION SELECT id FROM orders WHERE ended = 0 ORDER BY 1";
/// The same from the index alone, which costs the same whatever the report: less than the records where they are many.
const FROM_THE_INDEX: &str = "
    SELECT order_id FROM record WHERE order_id IS NOT NULL
        GROUP BY order_id HAVING max(seq) > ?1 AND min(seq) <= ?2
    UNION SELECT id FROM orders WHERE ended = 0 ORDER BY 1";
/// Records that are less than this part of all are few.
const FEW: u64 = 8;

/// In a moment of the file.
struct End {
    number: Option<u32>,
    by: Option<crate::operation::Actor>,
    cut: Cut,
}

impl Reader {
    /// A report by its number; 0: what has happened since the last one. `None` where there is none of that number.
    pub fn cash_up(&self, number: u32) -> Result<Option<CashUp>, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // One read transaction: a daemon may be writing.
        let _moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        let cuts = self.cuts()?;
        let now = self.newest()?;
        let newest = now.cut.seq;
        let (end, before) = match number {
            0 => (now, cuts.last()),
            number => {
                let Some(at) = cuts.iter().position(|end| end.number == Some(number)) else { return Ok(None) };
                let End { number, by, cut } = &cuts[at];
                let end = End { number: *number, by: by.clone(), cut: cut.clone() };
                (end, at.checked_sub(1).map(|before| &cuts[before]))
            }
        };
        let begin = match before {
            Some(before) => before.cut.clone(),
            None => Cut { seq: 0, hash: GENESIS.to_owned(), at: self.first_time()? },
        };
        let mut report = CashUp::new(begin, end.cut);
        (report.number, report.by) = (end.number, end.by);
        report.ledger = self.ledger_at(report.end.seq)?;
        if report.begin.seq == 0 && report.end.seq > newest / 2 {
            // Of nearly all orders each is wanted; the others make no difference.
            self.each_order(|entries| {
                report.take(entries.iter().map(|entry| (entry.seq, &entry.record)));
                Ok(())
            })?;
            return Ok(Some(report));
        }
        let (begin, end) = (report.begin.seq, report.end.seq);
        let orders = match newest - begin < newest / FEW {
            true => self.numbers(FROM_THE_RECORDS, [begin])?,
            false => self.numbers(FROM_THE_INDEX, [begin, end])?,
        };
        let mut query = self
            .connection
            .prepare_cached(&format!("{ENTRIES} WHERE order_id = ?1 AND seq <= ?2 ORDER BY seq"))
            .map_err(&wrap)?;
        for order in orders {
            let mut rows = query.query((order, end)).map_err(&wrap)?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next().map_err(&wrap)? {
                entries.extend(Entry::read(row, &self.connection, &self.path)?.0);
            }
            report.take(entries.iter().map(|entry| (entry.seq, &entry.record)));
        }
        Ok(Some(report))
    }

    fn numbers(&self, query: &str, between: impl rusqlite::Params) -> Result<Vec<String>, LedgerError> {
        let mut query = self.connection.prepare_cached(query).map_err(LedgerError::sqlite(&self.path))?;
        let found = query.query_map(between, |row| row.get(0)).and_then(Iterator::collect);
        found.map_err(LedgerError::sqlite(&self.path))
    }

    /// Whether the run before may have ended while a report or a test page was printed: one was asked for in it.
    pub fn report_may_be_half_printed(&self) -> Result<bool, LedgerError> {
        let asked = "SELECT EXISTS (SELECT 1 FROM record WHERE order_id IS NULL AND kind = 'operation-begun'
                     AND seq > (SELECT coalesce(max(seq), 0) FROM record WHERE order_id IS NULL AND kind = 'boot-started')
                     AND json_extract(body, '$.asked.do') IN ('cash-up', 'print-report', 'print-test'))";
        self.connection.query_row(asked, [], |row| row.get(0)).map_err(LedgerError::sqlite(&self.path))
    }

    /// Where each report ended, the first first.
    fn cuts(&self) -> Result<Vec<End>, LedgerError> {
        let query = format!("{COLUMNS} WHERE order_id IS NULL AND kind = ?1 ORDER BY seq");
        let found = rows(&self.connection, &query, ["cashed-up"]).map_err(LedgerError::sqlite(&self.path))?;
        let end = |row: &RecordRow| match parse(&self.connection, row, &self.path)? {
            Some(Record::CashedUp { number, by }) => Ok(End { number: Some(number), by: Some(by), cut: cut(row) }),
            _ => Err(LedgerError::Unreadable { path: self.path.clone(), what: "a report's cut can't be read" }),
        };
        found.iter().map(end).collect()
    }

    /// The newest record, where a report would be cut now.
    fn newest(&self) -> Result<End, LedgerError> {
        let found = rows(&self.connection, &format!("{COLUMNS} ORDER BY seq DESC LIMIT 1"), [])
            .map_err(LedgerError::sqlite(&self.path))?;
        let nothing = Cut { seq: 0, hash: GENESIS.to_owned(), at: None };
        Ok(End { number: None, by: None, cut: found.first().map_or(nothing, cut) })
    }

    fn first_time(&self) -> Result<When, LedgerError> {
        let first = self.connection.query_row("SELECT wall FROM record ORDER BY seq LIMIT 1", [], |row| row.get(0));
        first.optional().map(Option::flatten).map_err(LedgerError::sqlite(&self.path))
    }

    /// The number under which the ledger was written at a record.
    fn ledger_at(&self, seq: u64) -> Result<String, LedgerError> {
        let query = format!("{COLUMNS} WHERE order_id IS NULL AND kind = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1");
        let found = rows(&self.connection, &query, ("ledger-begun", seq)).map_err(LedgerError::sqlite(&self.path))?;
        match found.first().map(|row| parse(&self.connection, row, &self.path)).transpose()?.flatten() {
            Some(Record::LedgerBegun { ledger, .. }) => Ok(ledger),
            _ => Ok(String::new()),
        }
    }
}

fn cut(row: &RecordRow) -> Cut {
    Cut { seq: row.seq, hash: row.hash.clone(), at: row.wall }
}
