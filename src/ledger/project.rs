//! Writes the tables that follow from the records: at every commit, and for `verify` once more from the beginning. A
//! table is a function of the records and of nothing else, so that it can be compared with them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::operation::{Actor, KeyName, ReplayWindow};
use crate::sale::Order;
use crate::sale::order::{Charge, RefundState};
use crate::sale::record::Record;
use crate::vocabulary::{Grant, Outlet};

/// What one record changes besides its order: the ledger's number, stock, faults, the shop's notes and operations.
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
        Record::SlotAssigned { slot, product, capacity, count } => {
            // Another product: the fault was the former's.
            change
                .prepare_cached(
                    "DELETE FROM faults WHERE outlet = ?1
                     AND EXISTS (SELECT 1 FROM stock WHERE slot = ?2 AND product <> ?3)",
                )?
                .execute(params![Outlet::Slot(slot.clone()).to_string(), slot.as_str(), product.as_str()])?;
            change
                .prepare_cached(
                    "INSERT INTO stock (slot, product, capacity, count) VALUES (?1,?2,?3,?4)
                     ON CONFLICT (slot) DO UPDATE SET product=?2, capacity=?3, count=?4",
                )?
                .execute(params![slot.as_str(), product.as_str(), capacity, count])?;
        }
        Record::StockSet { slot, count } => {
            change
                .prepare_cached("UPDATE stock SET count = ?2 WHERE slot = ?1")?
                .execute(params![slot.as_str(), count])?;
        }
        Record::OutletFaulty { outlet, why } => {
            change
                .prepare_cached(
                    "INSERT INTO faults (outlet, why) VALUES (?1,?2) ON CONFLICT (outlet) DO UPDATE SET why=?2",
                )?
                .execute(params![outlet.to_string(), json(why)])?;
        }
        Record::ShopNoted { key, value: Some(value) } => {
            change
                .prepare_cached(
                    "INSERT INTO notes (key, value) VALUES (?1,?2) ON CONFLICT (key) DO UPDATE SET value=?2",
                )?
                .execute(params![key, json(value)])?;
        }
        Record::ShopNoted { key, value: None } => {
            change.prepare_cached("DELETE FROM notes WHERE key = ?1")?.execute([key])?;
        }
        Record::OutletRepaired { outlet } => {
            change.prepare_cached("DELETE FROM faults WHERE outlet = ?1")?.execute([outlet.to_string()])?;
        }
        Record::OperationBegun { id, by, asked } => {
            change.prepare_cached("INSERT INTO operations (id, actor, asked) VALUES (?1,?2,?3)")?.execute(params![
                id.as_str(),
                json(by),
                json(asked)
            ])?;
            if let Actor::Fleet { kid, counter } = by {
                take_counter(change, kid, *counter)?;
            }
        }
        Record::OperationEnded { id, outcome } => {
            change
                .prepare_cached("UPDATE operations SET outcome = ?2 WHERE id = ?1")?
                .execute(params![id.as_str(), json(outcome)])?;
        }
        _ => {}
    }
    match record.handed_over() {
        Some((outlet, count)) => take(change, outlet, count),
        None => Ok(()),
    }
}

fn take_counter(change: &Connection, kid: &KeyName, counter: u64) -> rusqlite::Result<()> {
    let known = change
        .prepare_cached("SELECT kid, highest, seen FROM windows WHERE kid = ?1")?
        .query_row([kid.as_str()], window)
        .optional()?;
    let mut window = known.map(|(_, window)| window).unwrap_or_default();
    window.take(counter);
    change
        .prepare_cached(
            "INSERT INTO windows (kid, highest, seen) VALUES (?1,?2,?3) ON CONFLICT (kid) DO UPDATE SET highest=?2, seen=?3",
        )?
        .execute(params![kid.as_str(), window.highest, format!("{:016x}", window.seen)])
        .map(drop)
}

/// From the columns `kid`, `highest` and `seen`.
pub(super) fn window(row: &Row<'_>) -> rusqlite::Result<(String, ReplayWindow)> {
    let seen: String = row.get("seen")?;
    // Other hands may have been at it; then no older number counts as new, and `verify` finds it.
    let seen = u64::from_str_radix(&seen, 16).unwrap_or(u64::MAX);
    Ok((row.get("kid")?, ReplayWindow { highest: row.get("highest")?, seen }))
}

fn take(change: &Connection, outlet: &Outlet, count: u32) -> rusqlite::Result<()> {
    let Some(slot) = outlet.slot() else { return Ok(()) };
    change
        .prepare_cached("UPDATE stock SET count = max(0, count - ?2) WHERE slot = ?1")?
        .execute(params![slot.as_str(), count])
        .map(drop)
}

/// What an order's records add up to.
pub fn order(change: &Connection, order: &Order) -> rusqlite::Result<()> {
    let id = order.id.to_string();
    let fee = order.fee_estimate();
    change
        .prepare_cached(
            "INSERT INTO orders (id, short_code, state, currency, amount, paid, refunded, outstanding, claim, ended,
                                 fee_estimate, net_estimate, granted)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)
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
            order.claim.as_ref().filter(|claim| claim.settled.is_none()).map(|claim| claim.why.to_string()),
            order.ended,
            fee,
            fee.map(|fee| order.paid() - order.refunded() - fee),
            order.grant().map(Grant::word)
        ])?;
    for (unit, item) in order.items.iter().enumerate() {
        change
            .prepare_cached(
                "INSERT INTO items (order_id, unit, goods, price, outlet, outcome) VALUES (?1,?2,?3,?4,?5,?6)
                 ON CONFLICT (order_id, unit) DO UPDATE SET outlet=?5, outcome=?6",
            )?
            .execute(params![
                id,
                unit,
                item.goods.to_string(),
                item.price,
                item.attempts.last().map(|attempt| attempt.outlet.to_string()),
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

/// As it stands in the record.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// An enum's kebab-case word, as it stands in JSON too.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
