//! The provider's book: SQLite in a file of its own, so that it lives through everything, whoever is unplugged.
//!
//! Payments and refunds are only ever added; a charge's state is worked out from them and from the time.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use crate::vocabulary::{
    ChargeId, ChargeReport, Currency, Minor, OrderId, Payment, PaymentId, RefundId, RefundReport, Standing,
};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS charges (
    id TEXT PRIMARY KEY, order_id TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL,
    life_ms INTEGER NOT NULL, description TEXT NOT NULL, payload TEXT NOT NULL UNIQUE,
    expires_ms INTEGER NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    pays_late INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY, charge TEXT NOT NULL REFERENCES charges, amount INTEGER NOT NULL, at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS refunds (
    id TEXT PRIMARY KEY, charge TEXT NOT NULL REFERENCES charges, amount INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'processing', 'failed')),
    asks_left INTEGER NOT NULL DEFAULT 0,
    by_itself INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS payments_of ON payments (charge);
CREATE INDEX IF NOT EXISTS refunds_of ON refunds (charge);
";

#[derive(Debug, thiserror::Error)]
pub enum BookError {
    #[error("the wallet's book: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// A charge as it was created, with the marks made on it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub id: ChargeId,
    pub order: OrderId,
    pub amount: Minor,
    pub currency: Currency,
    pub life_ms: i64,
    pub description: String,
    pub payload: String,
    pub expires_ms: i64,
    pub closed: bool,
    pub pays_late: bool,
}

/// Sums over a charge's payments and refunds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub paid: Minor,
    pub refunded: Minor,
    /// Refunds taken on and not done yet; they count against what may still be given back.
    pub under_way: Minor,
    pub returned: Minor,
}

pub struct Refund {
    pub charge: ChargeId,
    pub amount: Minor,
    pub report: RefundReport,
    pub asks_left: u32,
}

pub struct Book {
    db: Connection,
}

impl Book {
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db })
    }

    /// All of `work` or nothing of it; on disk when it returns.
    pub fn commit<T>(&self, work: impl FnOnce(&Self) -> Result<T, BookError>) -> Result<T, BookError> {
        // `unchecked`: the wallet's lock lets nobody else in between.
        let transaction = self.db.unchecked_transaction()?;
        let result = work(self)?;
        transaction.commit()?;
        Ok(result)
    }

    pub fn add_charge(&self, charge: &Charge) -> Result<(), BookError> {
        self.db.execute(
            "INSERT INTO charges (id, order_id, amount, currency, life_ms, description, payload, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                charge.id.as_str(),
                charge.order.to_string(),
                charge.amount,
                charge.currency.code(),
                charge.life_ms,
                charge.description,
                charge.payload,
                charge.expires_ms
            ],
        )?;
        Ok(())
    }

    pub fn charge(&self, id: &ChargeId) -> Result<Option<Charge>, BookError> {
        self.one("SELECT * FROM charges WHERE id = ?1", id.as_str())
    }

    pub fn scanned(&self, payload: &str) -> Result<Option<Charge>, BookError> {
        self.one("SELECT * FROM charges WHERE payload = ?1", payload)
    }

    fn one(&self, sql: &str, key: &str) -> Result<Option<Charge>, BookError> {
        Ok(self.db.prepare_cached(sql)?.query_row([key], charge).optional()?)
    }

    /// Charges somebody will pay as soon as they can't be paid any more, and that is now.
    pub fn late_and_due(&self, now_ms: i64) -> Result<Vec<Charge>, BookError> {
        let sql = "SELECT * FROM charges WHERE pays_late AND (closed OR expires_ms <= ?1)";
        Ok(self.db.prepare_cached(sql)?.query_map([now_ms], charge)?.collect::<Result<_, _>>()?)
    }

    pub fn any_late(&self) -> Result<bool, BookError> {
        Ok(self.db.query_row("SELECT EXISTS (SELECT 1 FROM charges WHERE pays_late)", [], |row| row.get(0))?)
    }

    pub fn close(&self, id: &ChargeId) -> Result<(), BookError> {
        self.db.execute("UPDATE charges SET closed = 1 WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    pub fn set_pays_late(&self, id: &ChargeId, late: bool) -> Result<(), BookError> {
        self.db.execute("UPDATE charges SET pays_late = ?2 WHERE id = ?1", params![id.as_str(), late])?;
        Ok(())
    }

    /// Adds a payment; nobody who has paid waits to pay late.
    pub fn pay(&self, id: &ChargeId, amount: Minor, now_ms: i64) -> Result<(), BookError> {
        self.db.execute(
            "INSERT INTO payments (id, charge, amount, at_ms)
             SELECT 'P_' || ?1 || '_' || (count(*) + 1), ?1, ?2, ?3 FROM payments WHERE charge = ?1",
            params![id.as_str(), amount, now_ms],
        )?;
        self.set_pays_late(id, false)
    }

    pub fn refund(&self, id: &RefundId) -> Result<Option<Refund>, BookError> {
        let sql = "SELECT charge, amount, state, asks_left FROM refunds WHERE id = ?1";
        let found = self.db.prepare_cached(sql)?.query_row([id.as_str()], |row| {
            let report = match row.get_ref(2)?.as_str()? {
                "done" => RefundReport::Done,
                "processing" => RefundReport::Processing,
                _ => RefundReport::Failed,
            };
            let charge = text(row, 0, ChargeId::parse)?;
            Ok(Refund { charge, amount: row.get(1)?, report, asks_left: row.get(3)? })
        });
        Ok(found.optional()?)
    }

    pub fn add_refund(&self, id: &str, refund: &Refund, by_itself: bool) -> Result<(), BookError> {
        self.db.execute(
            "INSERT INTO refunds (id, charge, amount, state, asks_left, by_itself) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, refund.charge.as_str(), refund.amount, state_of(refund.report), refund.asks_left, by_itself],
        )?;
        Ok(())
    }

    pub fn update_refund(&self, id: &RefundId, refund: &Refund) -> Result<(), BookError> {
        self.db.execute(
            "UPDATE refunds SET state = ?2, asks_left = ?3 WHERE id = ?1",
            params![id.as_str(), state_of(refund.report), refund.asks_left],
        )?;
        Ok(())
    }

    pub fn sums(&self, id: &ChargeId) -> Result<Sums, BookError> {
        let sql = "SELECT (SELECT coalesce(sum(amount), 0) FROM payments WHERE charge = ?1),
                          coalesce(sum(amount) FILTER (WHERE state = 'done'), 0),
                          coalesce(sum(amount) FILTER (WHERE state = 'processing'), 0),
                          coalesce(sum(amount) FILTER (WHERE by_itself), 0)
                   FROM refunds WHERE charge = ?1";
        Ok(self.db.prepare_cached(sql)?.query_row([id.as_str()], |row| {
            Ok(Sums { paid: row.get(0)?, refunded: row.get(1)?, under_way: row.get(2)?, returned: row.get(3)? })
        })?)
    }

    pub fn report(&self, of: &Charge, now_ms: i64) -> Result<ChargeReport, BookError> {
        let mut statement =
            self.db.prepare_cached("SELECT id, amount FROM payments WHERE charge = ?1 ORDER BY rowid")?;
        let payments = statement.query_map([of.id.as_str()], |row| {
            let id = text(row, 0, PaymentId::parse)?;
            Ok(Payment { id, amount: row.get(1)?, currency: of.currency, order: of.order })
        })?;
        let payments = payments.collect::<Result<Vec<_>, _>>()?;
        let open = payments.is_empty() && !of.closed && now_ms < of.expires_ms;
        let standing = if open { Standing::Open } else { Standing::Closed };
        Ok(ChargeReport { standing, payments, returned: self.sums(&of.id)?.returned, attach: None })
    }

    /// Every charge, oldest first, as `GET /api/wallet` shows it.
    pub fn all(&self, now_ms: i64) -> Result<Value, BookError> {
        let mut statement = self.db.prepare_cached("SELECT * FROM charges ORDER BY rowid")?;
        let charges = statement.query_map([], charge)?.collect::<Result<Vec<_>, _>>()?;
        let mut list = Vec::with_capacity(charges.len());
        for charge in charges {
            let sums = self.sums(&charge.id)?;
            list.push(json!({
                "id": charge.id, "order": charge.order, "amount": charge.amount, "currency": charge.currency,
                "state": state(&charge, sums, now_ms), "paid": sums.paid, "refunded": sums.refunded
            }));
        }
        Ok(json!({ "charges": list }))
    }
}

/// `open`, `paid`, `closed`, `expired`, or `refunded` once all of what was paid is back.
pub fn state(charge: &Charge, sums: Sums, now_ms: i64) -> &'static str {
    match sums {
        Sums { paid: 1.., .. } if sums.refunded == sums.paid => "refunded",
        Sums { paid: 1.., .. } => "paid",
        _ if charge.closed => "closed",
        _ if now_ms >= charge.expires_ms => "expired",
        _ => "open",
    }
}

fn state_of(report: RefundReport) -> &'static str {
    match report {
        RefundReport::Done => "done",
        RefundReport::Processing => "processing",
        RefundReport::Failed | RefundReport::Absent => "failed",
    }
}

fn charge(row: &Row<'_>) -> rusqlite::Result<Charge> {
    Ok(Charge {
        id: text(row, 0, ChargeId::parse)?,
        order: text(row, 1, OrderId::parse)?,
        amount: row.get(2)?,
        currency: text(row, 3, Currency::from_code)?,
        life_ms: row.get(4)?,
        description: row.get(5)?,
        payload: row.get(6)?,
        expires_ms: row.get(7)?,
        closed: row.get(8)?,
        pays_late: row.get(9)?,
    })
}

fn text<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| {
        let why = format!("`{text}` is not what belongs here");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
    })
}
