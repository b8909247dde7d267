//! The charges of a ledger with their money and their times: what fees are estimated on and bills are compared with.
//!
//! Amounts come from the tables, which `verify` holds against the records; times and single payments from the records.
//! The times are the kiosk's: of an offer before, of a payment when it was heard of, which may be long after it was
//! made.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{LedgerError, Reader};
use crate::vocabulary::{Currency, Minor};

/// Milliseconds since 1970 UTC; `None` while the kiosk's clock was unknown.
pub type When = Option<u64>;

/// One charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeLine {
    pub charge: String,
    pub order: String,
    pub rail: String,
    pub currency: Currency,
    /// In the charge's currency, all payments together.
    pub paid: Minor,
    /// Given back by the provider without our asking.
    pub returned: Minor,
    pub offered: When,
    /// When the provider was last heard to have given back by itself.
    pub returned_at: When,
    /// In the charge's currency, in the order they were heard of.
    pub payments: Vec<PaymentLine>,
    pub refunds: Vec<RefundLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentLine {
    pub amount: Minor,
    pub heard: When,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundLine {
    pub refund: String,
    pub amount: Minor,
    /// `requested`, `confirmed` or `failed`.
    pub state: String,
    pub requested: When,
    pub confirmed: When,
}

impl RefundLine {
    pub fn is_confirmed(&self) -> bool {
        self.state == "confirmed"
    }
}

impl ChargeLine {
    /// Given back for certain.
    pub fn refunded(&self) -> Minor {
        let confirmed = self.refunds.iter().filter(|refund| refund.is_confirmed());
        confirmed.map(|refund| refund.amount).sum::<Minor>() + self.returned
    }
}

impl Reader {
    /// Every charge, oldest order first, all as of one moment.
    pub fn charges(&self) -> Result<Vec<ChargeLine>, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // One read transaction: a daemon may be writing.
        let moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        let mut lines = charges(&moment).map_err(&wrap)?;
        let index: HashMap<String, usize> =
            lines.iter().enumerate().map(|(nth, line)| (line.charge.clone(), nth)).collect();
        refunds(&moment, &index, &mut lines).map_err(&wrap)?;
        times(&moment, &index, &mut lines).map_err(&wrap)?;
        Ok(lines)
    }
}

fn charges(connection: &Connection) -> rusqlite::Result<Vec<ChargeLine>> {
    let mut query = connection.prepare(
        "SELECT c.id, c.order_id, c.rail, o.currency, c.paid, c.returned
         FROM charges c JOIN orders o ON o.id = c.order_id ORDER BY c.order_id, c.id",
    )?;
    let lines = query.query_map([], |row| {
        let code: String = row.get(3)?;
        let unknown = || rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, code.clone().into());
        Ok(ChargeLine {
            charge: row.get(0)?,
            order: row.get(1)?,
            rail: row.get(2)?,
            currency: Currency::from_code(&code).ok_or_else(unknown)?,
            paid: row.get(4)?,
            returned: row.get(5)?,
            offered: None,
            returned_at: None,
            payments: Vec::new(),
            refunds: Vec::new(),
        })
    })?;
    lines.collect()
}

fn refunds(connection: &Connection, index: &HashMap<String, usize>, lines: &mut [ChargeLine]) -> rusqlite::Result<()> {
    let mut query = connection.prepare("SELECT charge_id, id, amount, state FROM refunds ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(&nth) = index.get(&row.get::<_, String>(0)?) {
            let (refund, amount, state) = (row.get(1)?, row.get(2)?, row.get(3)?);
            lines[nth].refunds.push(RefundLine { refund, amount, state, requested: None, confirmed: None });
        }
    }
    Ok(())
}

/// Single payments, and when things were heard of.
fn times(connection: &Connection, index: &HashMap<String, usize>, lines: &mut [ChargeLine]) -> rusqlite::Result<()> {
    let mut query = connection.prepare(
        "SELECT kind, wall, body ->> '$.charge', body ->> '$.refund',
                body ->> '$.payment.amount', body ->> '$.payment.currency'
         FROM record
         WHERE kind IN ('order-offered', 'order-paid', 'payment-surplus', 'charge-returned',
                        'refund-requested', 'refund-confirmed')
         ORDER BY seq",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, wall): (String, When) = (row.get(0)?, row.get(1)?);
        let Some(charge) = row.get::<_, Option<String>>(2)? else { continue };
        let Some(line) = index.get(&charge).map(|&nth| &mut lines[nth]) else { continue };
        match kind.as_str() {
            "order-offered" => line.offered = wall,
            "charge-returned" => line.returned_at = wall,
            "order-paid" | "payment-surplus" => {
                let (amount, currency): (Minor, String) = (row.get(4)?, row.get(5)?);
                // A payment in another currency is a claim, and in no sum.
                if currency == line.currency.code() {
                    line.payments.push(PaymentLine { amount, heard: wall });
                }
            }
            _ => {
                let number: Option<String> = row.get(3)?;
                let known = line.refunds.iter_mut().find(|refund| Some(&refund.refund) == number.as_ref());
                match (known, kind == "refund-requested") {
                    (Some(refund), true) => refund.requested = wall,
                    (Some(refund), false) => refund.confirmed = wall,
                    (None, _) => {}
                }
            }
        }
    }
    Ok(())
}
