//! Reads what a kiosk of a car park has done, for its report and for the story of a stay.

use rusqlite::params_from_iter;

use super::reader::Entry;
use super::row::{COLUMNS, RecordRow, rows};
use super::{LedgerError, Reader, When};
use crate::parking::report::Report;
use crate::parking::shop::INSIDE_NOTE;
use crate::parking::ticket::{Plate, TicketNumber};
use crate::sale::ORDER_NOTE;
use crate::vocabulary::{Goods, OrderId, StayId, Wall};

/// The kinds of records that a report is made of.
const KINDS: &str = "('gate-noted', 'shop-noted', 'order-granted', 'order-paid', 'refund-confirmed', 'charge-returned', \
                     'item-delivered', 'item-unknown', 'order-ended')";
/// A lane's notes about an order are written no later than so many records after its last.
const NOTES: u64 = 64;

impl Reader {
    /// Fills a report.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn parking(&self, report: &mut Report) -> Result<(), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // All as of one moment: a daemon may be writing.
        let moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        let until: When = moment
            .query_row("SELECT max(wall) FROM record WHERE seq > (SELECT max(seq) FROM record) - 64", [], |row| {
                row.get(0)
            })
            .map_err(&wrap)?;
        report.reaches(until.map(Wall));
        let (begins, ends) = report.wants();
        let inside = format!("\"key\":\"{INSIDE_NOTE}\"");
        let before = "SELECT seq, wall, coalesce(order_id, ''), body FROM record
                      WHERE order_id IS NULL AND kind = 'shop-noted' AND wall < ?1 AND instr(body, ?2) > 0
                      ORDER BY seq DESC LIMIT 1";
        // A provider tells each time all that it has given back so far.
        let within = format!(
            "SELECT seq, wall, coalesce(order_id, ''), body FROM record
             WHERE kind IN {KINDS} AND (wall IS NULL OR (wall >= ?1 OR kind = 'charge-returned') AND wall < ?2) ORDER BY seq"
        );
        let mut query = moment.prepare_cached(before).map_err(&wrap)?;
        let mut found = query.query((begins.0, inside)).map_err(&wrap)?;
        while let Some(row) = found.next().map_err(&wrap)? {
            if let (Some(Entry { wall, record, .. }), _) = Entry::read(row, &moment, &self.path)? {
                report.take(wall.map(Wall), &record);
            }
        }
        let mut query = moment.prepare_cached(&within).map_err(&wrap)?;
        let mut found = query.query((begins.0, ends.0)).map_err(&wrap)?;
        while let Some(row) = found.next().map_err(&wrap)? {
            if let (Some(Entry { wall, record, .. }), _) = Entry::read(row, &moment, &self.path)? {
                report.take(wall.map(Wall), &record);
            }
        }
        Ok(())
    }

    /// The newest order about the stay that somebody means: by its ticket's number, as it is printed or typed, or by its car's
    /// plate where that was noted.
    pub(super) fn stay(&self, name: &str) -> Result<Option<OrderId>, LedgerError> {
        if let Some(goods) = TicketNumber::typed(name).ok().and_then(stay) {
            let query = "SELECT max(order_id) FROM items WHERE goods = ?1";
            if let Some(id) = self.one_id(query, &goods.to_string())? {
                return Ok(Some(id));
            }
        }
        let Ok(plate) = Plate::typed(name) else { return Ok(None) };
        let query = format!(
            "SELECT substr(json_extract(body, '$.key'), {}) FROM record
             WHERE order_id IS NULL AND kind = 'shop-noted' AND json_valid(body)
             AND json_extract(body, '$.value.deed.enter.plate') = ?1 ORDER BY seq DESC LIMIT 1",
            ORDER_NOTE.len() + 1
        );
        self.one_id(&query, &plate.to_string())
    }

    /// The other orders about the same stay, the oldest first.
    pub(super) fn others_of_stay(&self, id: OrderId) -> Result<Vec<OrderId>, LedgerError> {
        let texts = |query: &str, parameters: &[&str]| -> Result<Vec<String>, LedgerError> {
            self.connection
                .prepare_cached(query)
                .and_then(|mut query| query.query_map(params_from_iter(parameters), |row| row.get(0))?.collect())
                .map_err(LedgerError::sqlite(&self.path))
        };
        let id = id.to_string();
        let own = texts("SELECT goods FROM items WHERE order_id = ?1 AND goods LIKE 'stay:%' LIMIT 1", &[&id])?;
        let Some(goods) = own.first() else { return Ok(Vec::new()) };
        let others = "SELECT DISTINCT order_id FROM items WHERE goods = ?1 AND order_id <> ?2 ORDER BY order_id";
        Ok(texts(others, &[goods, &id])?.iter().filter_map(|id| OrderId::parse(id)).collect())
    }

    /// What was noted about an order between these records and shortly after: what the shop has to know of it, with the lines of
    /// its bill, and what its lane has said.
    pub(super) fn notes_of(&self, id: OrderId, first: u64, last: u64) -> Result<Vec<RecordRow>, LedgerError> {
        let query = format!(
            "{COLUMNS} WHERE order_id IS NULL AND kind IN ('shop-noted', 'gate-noted') AND seq > ?1 AND seq <= ?2
             AND instr(body, ?3) > 0 ORDER BY seq"
        );
        rows(&self.connection, &query, (first, last.saturating_add(NOTES), id.to_string()))
            .map_err(LedgerError::sqlite(&self.path))
    }
}

/// As the order's goods are written.
fn stay(number: TicketNumber) -> Option<Goods> {
    StayId::parse(&number.to_string()).map(Goods::Stay)
}
