//! What was noted of lanes, for a start.

use serde_json::Value;

use super::{LedgerError, Reader};
use crate::sale::Record;
use crate::vocabulary::LaneId;

const NOTED: &str = "FROM record WHERE order_id IS NULL AND kind = 'gate-noted'";

impl Reader {
    /// Hands on each note of this lane, oldest first, beginning with the newest whose record has `first` in its text; with all of
    /// them where none has. What another version of kioskd has written, and this one can't read, is passed over.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn gate_noted(&self, lane: &LaneId, first: &str, mut each: impl FnMut(Value)) -> Result<(), LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // The second question is asked only where the answer to the first is yes.
        let its = "CASE WHEN instr(body, ?1) > 0 THEN json_extract(body, '$.lane') = ?2 END";
        let begin = format!("SELECT coalesce((SELECT seq {NOTED} AND {its} ORDER BY seq DESC LIMIT 1), 0)");
        let begin: u64 = self.connection.query_row(&begin, [first, lane.as_str()], |row| row.get(0)).map_err(&wrap)?;
        let query = format!("SELECT body {NOTED} AND seq >= ?1 ORDER BY seq");
        let mut query = self.connection.prepare_cached(&query).map_err(&wrap)?;
        let mut rows = query.query([begin]).map_err(&wrap)?;
        while let Some(row) = rows.next().map_err(&wrap)? {
            let body: String = row.get(0).map_err(&wrap)?;
            match serde_json::from_str(&body) {
                Ok(Record::GateNoted { lane: of, note }) if of == *lane => each(note),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a note of a lane is of another version and is passed over"),
            }
        }
        Ok(())
    }
}
