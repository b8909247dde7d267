//! What all orders add up to.

use super::{LedgerError, Reader};
use crate::vocabulary::Minor;

/// In one currency; money in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    pub currency: String,
    pub orders: u64,
    /// On which something is open.
    pub open: u64,
    pub paid: Minor,
    pub refunded: Minor,
    /// Still to go back.
    pub outstanding: Minor,
}

impl Reader {
    /// By currency, all as of one moment.
    pub fn totals(&self) -> Result<Vec<Totals>, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        self.connection
            .prepare_cached(
                "SELECT currency, count(*) AS orders, sum(ended = 0) AS open, sum(paid) AS paid,
                        sum(refunded) AS refunded, sum(outstanding) AS outstanding
                 FROM orders GROUP BY currency ORDER BY currency",
            )
            .and_then(|mut query| {
                let totals = query.query_map([], |row| {
                    Ok(Totals {
                        currency: row.get("currency")?,
                        orders: row.get("orders")?,
                        open: row.get("open")?,
                        paid: row.get("paid")?,
                        refunded: row.get("refunded")?,
                        outstanding: row.get("outstanding")?,
                    })
                })?;
                totals.collect()
            })
            .map_err(wrap)
    }
}
