//! What the records add up to, written into the tables: by every commit, and by `verify` once more from the beginning.
//! A table is a function of the records and of nothing else, so that it can be held against them.

use rusqlite::{Connection, params};

use crate::sale::Order;
use crate::sale::order::{Charge, RefundState};
use crate::sale::record::Record;

/// What one record changes besides its order: the ledger's number, stock and slots.
pub fn record(change: &Connection, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::LedgerBegun { ledger, home, .. } => {
            for (key, value) in [("ledger", ledger), ("home", home)] {
                change
                    .prepare_cached(
                        "INSERT INTO meta (key, value) VALUES (?1,?2) ON CONFLICT (key) DO UPDATE SET value=?2",
                    )?
                    .execute(params![key, value])?;
            }
        }
        Record::StockSet { slot, count } => {
            change
                .prepare_cached(
                    "INSERT INTO stock (slot, count) VALUES (?1,?2) ON CONFLICT (slot) DO UPDATE SET count=?2",
                )?
                .execute(params![slot.as_str(), count])?;
        }
        Record::ItemDelivered { slot, count, .. } => take(change, slot.as_str(), *count)?,
        // It may have fallen: what is not there can't be promised.
        Record::ItemUnknown { slot, .. } => take(change, slot.as_str(), 1)?,
        Record::SlotFaulty { slot, why } => fault(change, slot.as_str(), Some(why))?,
        Record::SlotRepaired { slot } => fault(change, slot.as_str(), None)?,
        _ => {}
    }
    Ok(())
}

fn take(change: &Connection, slot: &str, count: u32) -> rusqlite::Result<()> {
    change
        .prepare_cached("UPDATE stock SET count = max(0, count - ?2) WHERE slot = ?1")?
        .execute(params![slot, count])
        .map(drop)
}

fn fault(change: &Connection, slot: &str, why: Option<&String>) -> rusqlite::Result<()> {
    change.prepare_cached("UPDATE stock SET faulty = ?2 WHERE slot = ?1")?.execute(params![slot, why]).map(drop)
}

/// What an order's records add up to.
pub fn order(change: &Connection, order: &Order) -> rusqlite::Result<()> {
    let id = order.id.to_string();
    let fee = order.fee_estimate();
    change
        .prepare_cached(
            "INSERT INTO orders (id, short_code, state, currency, amount, paid, refunded, outstanding, claim, ended,
                                 fee_estimate, net_estimate)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)
             ON CONFLICT (id) DO UPDATE SET state=?3, paid=?6, refunded=?7, outstanding=?8, claim=?9, ended=?10,
                                            fee_estimate=?11, net_estimate=?12",
        )?
        .execute(params![
            id,
            order.short_code.as_str(),
            word(&order.state()),
            order.currency.code(),
            order.amount(),
            order.paid(),
            order.refunded(),
            order.outstanding(),
            order.claim.as_ref().filter(|claim| claim.settled.is_none()).map(|claim| &claim.why),
            order.ended,
            fee,
            fee.map(|fee| order.paid() - order.refunded() - fee)
        ])?;
    for (unit, item) in order.items.iter().enumerate() {
        change
            .prepare_cached(
                "INSERT INTO items (order_id, unit, product, price, slot, outcome) VALUES (?1,?2,?3,?4,?5,?6)
                 ON CONFLICT (order_id, unit) DO UPDATE SET slot=?5, outcome=?6",
            )?
            .execute(params![
                id,
                unit,
                item.product.as_str(),
                item.price,
                item.attempts.last().map(|attempt| attempt.slot.as_str()),
                word(&item.outcome)
            ])?;
    }
    order.charges.iter().try_for_each(|one| charge(change, &id, one))
}

fn charge(change: &Connection, order: &str, charge: &Charge) -> rusqlite::Result<()> {
    change
        .prepare_cached(
            "INSERT INTO charges (id, order_id, rail, amount, paid, returned, settled) VALUES (?1,?2,?3,?4,?5,?6,?7)
             ON CONFLICT (id) DO UPDATE SET paid=?5, returned=?6, settled=?7",
        )?
        .execute(params![
            charge.id.as_str(),
            order,
            charge.rail.to_string(),
            charge.amount,
            charge.paid(),
            charge.returned,
            charge.settled
        ])?;
    for refund in &charge.refunds {
        let state = match refund.state {
            RefundState::Requested => "requested",
            RefundState::Confirmed => "confirmed",
            RefundState::Failed => "failed",
        };
        change
            .prepare_cached(
                "INSERT INTO refunds (id, charge_id, amount, state) VALUES (?1,?2,?3,?4)
                 ON CONFLICT (id) DO UPDATE SET state=?4",
            )?
            .execute(params![refund.id.as_str(), charge.id.as_str(), refund.amount, state])?;
    }
    Ok(())
}

/// An enum's kebab-case word, as it stands in JSON too.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
