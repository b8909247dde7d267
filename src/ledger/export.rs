//! The ledger as tables for other people's programs: as JSON, and as CSV (RFC 4180) for spreadsheets.
//!
//! Policy: a column's name and meaning stay. Amounts are minor units beside their currency, times are UTC, and nothing that
//! the kiosk does not know is guessed: its cell is empty. A spreadsheet takes a text that begins like a formula for one, so such a
//! text gets an apostrophe in front of it in CSV.

use std::fmt::Write as _;

use rusqlite::types::ValueRef;
use serde_json::{Map, Value};

use super::{LedgerError, OperationLine, Reader};
use crate::vocabulary::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// One line an order, the oldest first.
    Orders,
    /// One line a unit of an order.
    Items,
    /// One line a refund that the kiosk has asked for.
    Refunds,
    /// One line an open claim, the oldest first.
    Claims,
    /// One line a slot, as it is now.
    Stock,
    /// One line an operation that people have asked for, the oldest first.
    Operations,
}

/// The lines of a table, each with a cell for every column.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

const TIME: &str = "strftime('%Y-%m-%dT%H:%M:%SZ', wall / 1000, 'unixepoch')";

impl Table {
    /// `None`: it is not a query alone.
    fn query(self) -> Option<String> {
        let begun = format!("(SELECT {TIME} FROM record WHERE order_id = orders.id ORDER BY seq LIMIT 1) AS time");
        Some(match self {
            Table::Orders => format!(
                "SELECT id, short_code, {begun}, state, granted, currency, amount, paid, refunded, outstanding,
                        fee_estimate, net_estimate, claim
                 FROM orders ORDER BY id"
            ),
            Table::Items => format!(
                "SELECT order_id, unit, {begun}, goods, outlet, outcome, granted, currency, price
                 FROM items JOIN orders ON orders.id = order_id ORDER BY order_id, unit"
            ),
            Table::Refunds => "SELECT refunds.id, charge_id, order_id, rail, currency, refunds.amount, refunds.state
                               FROM refunds JOIN charges ON charges.id = charge_id JOIN orders ON orders.id = order_id
                               ORDER BY order_id, charge_id, refunds.id"
                .into(),
            Table::Claims => format!(
                "SELECT id, short_code, {begun}, currency, outstanding, claim AS why
                 FROM orders WHERE claim IS NOT NULL ORDER BY id"
            ),
            Table::Stock => "SELECT slot, product, capacity, count, why AS fault
                             FROM stock LEFT JOIN faults ON outlet = 'slot:' || slot ORDER BY slot"
                .into(),
            Table::Operations => return None,
        })
    }
}

impl Reader {
    /// All of a table, as of one moment.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn table(&self, table: Table) -> Result<Rows, LedgerError> {
        let Some(query) = table.query() else { return self.operations_table() };
        let wrap = LedgerError::sqlite(&self.path);
        let mut query = self.connection.prepare(&query).map_err(&wrap)?;
        let columns: Vec<String> = query.column_names().map(str::to_owned).collect();
        let cells = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| row.get_ref(at).map(cell)).collect();
        let rows = query.query_map([], cells).and_then(Iterator::collect).map_err(&wrap)?;
        Ok(Rows { columns, rows })
    }

    fn operations_table(&self) -> Result<Rows, LedgerError> {
        let columns = ["time", "id", "by", "asked", "outcome"].map(str::to_owned).to_vec();
        let row = |line: &OperationLine| {
            let time = line.wall.and_then(|wall| Wall(wall).timestamp());
            let time = time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            let outcome = line.outcome.as_ref().map(ToString::to_string);
            vec![
                time.into(),
                line.id.as_str().into(),
                line.by.to_string().into(),
                line.asked.to_string().into(),
                outcome.into(),
            ]
        };
        // SQLite's own limit is the largest that it can count to.
        let lines = self.operations(i64::MAX as usize)?;
        Ok(Rows { columns, rows: lines.iter().rev().map(row).collect() })
    }
}

fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned().into(),
    }
}

impl Rows {
    /// One object a line.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Value>| Map::from_iter(self.columns.iter().cloned().zip(row.iter().cloned()));
        self.rows.iter().map(object).collect()
    }

    /// With the names of the columns first.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            for (at, cell) in cells.enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{cell}");
            }
            text.push_str("\r\n");
        };
        line(&mut self.columns.iter().cloned());
        for row in &self.rows {
            line(&mut row.iter().map(csv));
        }
        text
    }
}

/// One cell.
pub fn csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let text = if formula { format!("'{text}") } else { text.clone() };
            match text.contains([',', '"', '\r', '\n']) {
                true => format!("\"{}\"", text.replace('"', "\"\"")),
                false => text,
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_cell_and_is_no_formula() {
        let rows = Rows {
            columns: vec!["a".into(), "b".into()],
            rows: vec![
                vec!["one, \"two\"\nthree".into(), 3.into()],
                vec!["=HYPERLINK(1)".into(), (-3).into()],
                vec![Value::Null, "-,".into()],
            ],
        };
        assert_eq!(rows.csv(), "a,b\r\n\"one, \"\"two\"\"\nthree\",3\r\n'=HYPERLINK(1),-3\r\n,\"'-,\"\r\n");
        assert_eq!(rows.json()[2], serde_json::json!({ "a": null, "b": "-," }));
    }
}
