//! WeChat Pay's trade bill (交易账单: ALL, SUCCESS or REFUND), as its API gives it.
//!
//! A header row; rows whose every value begins with a backtick, so that spreadsheets leave them alone; a header and one
//! row of sums. Source: `pay.weixin.qq.com/docs/merchant/products/bill-download/format-trade.html` (2024-11-25), which
//! lists the columns of all three and says that few merchants still have the older names (总金额 for 订单金额). Rows with
//! real values are in the tests of public clients, for instance of wechatpay's v2 sandbox in
//! `github.com/TheNorthMemory/wechatpay-axios-plugin`.
//!
//! A row of state REFUND appears when the refund is accepted, and its state is never brought up to date. In a bill of
//! refunds 交易时间 is the time of the payment, and the refund's own is 退款申请时间.

use std::borrow::Cow;
use std::io::BufRead;

use super::csv::{Columns, Lines, Row, said, split};
use super::{Bill, BillError, Entry, What};
use crate::vocabulary::Currency;

/// The column that makes a header row this bill's.
pub const TRADE: &str = "微信订单号";

/// The first column of the sums: the number of rows.
const COUNT: &str = "总交易单数";

struct ColumnIndexes {
    at: usize,
    requested: Option<usize>,
    charge: usize,
    provider: usize,
    state: usize,
    currency: usize,
    amount: usize,
    refund: Option<Refund>,
    fee: Option<usize>,
}

struct Refund {
    number: usize,
    amount: usize,
    state: usize,
}

impl ColumnIndexes {
    fn of(columns: &Columns) -> Result<Self, BillError> {
        let number = columns.get("商户退款单号");
        let refund = |number| {
            let (amount, state) = (columns.any(&["申请退款金额", "退款金额"])?, columns.any(&["退款状态"])?);
            Ok::<_, BillError>(Refund { number, amount, state })
        };
        Ok(Self {
            at: columns.any(&["交易时间"])?,
            requested: columns.get("退款申请时间"),
            charge: columns.any(&["商户订单号"])?,
            provider: columns.any(&[TRADE])?,
            state: columns.any(&["交易状态"])?,
            currency: columns.any(&["货币种类"])?,
            amount: columns.any(&["订单金额", "总金额"])?,
            refund: number.map(refund).transpose()?,
            fee: columns.get("手续费"),
        })
    }

    fn entry(&self, line: u64, row: &Row<'_>) -> Result<Entry, String> {
        let code = row.text(self.currency);
        let currency = Currency::from_code(code).ok_or_else(|| format!("货币种类 {} is no currency", said(code)))?;
        let digits = currency.digits();
        let state = row.text(self.state);
        let (what, amount) = match (state, &self.refund) {
            ("SUCCESS", _) => (What::Payment, row.amount(self.amount, "订单金额", digits)?),
            ("REFUND", Some(refund)) => {
                let number = row.number(refund.number, "商户退款单号").map(given)?;
                let failed = failure(row.text(refund.state))?;
                (What::Refund { number, failed }, row.amount(refund.amount, "申请退款金额", digits)?)
            }
            // Taken back whole by a cancel; what there is of a number is not the merchant's.
            ("REVOKED", Some(refund)) => {
                let amount = row.amount(refund.amount, "申请退款金额", digits)?;
                let amount = if amount == 0 { row.amount(self.amount, "订单金额", digits)? } else { amount };
                (What::Refund { number: None, failed: None }, amount)
            }
            _ => return Err(format!("交易状态 {} is not known", said(state))),
        };
        if amount < 0 {
            return Err("an amount below nothing".into());
        }
        let at = match (self.requested, &what) {
            (Some(requested), What::Refund { .. }) => row.time(requested, "退款申请时间")?,
            _ => row.time(self.at, "交易时间")?,
        };
        let fee = row.fee(self.fee, "手续费")?;
        let (charge, provider) = (row.number(self.charge, "商户订单号")?, row.number(self.provider, TRADE)?);
        Ok(Entry { line, at, what, charge, provider, amount, currency, fee })
    }
}

/// A column without a number holds 0.
fn given(number: String) -> Option<String> {
    (number != "0").then_some(number)
}

/// The word for money that did not go back; an empty cell and the words for success and "under way" are none.
fn failure(state: &str) -> Result<Option<String>, String> {
    match state {
        "" | "SUCCESS" | "PROCESSING" => Ok(None),
        "FAIL" | "CHANGE" | "ABNORMAL" | "CLOSED" | "REFUNDCLOSE" => Ok(Some(state.to_owned())),
        _ => Err(format!("退款状态 {} is not known", said(state))),
    }
}

/// Every value begins with a backtick, so "comma, backtick" stands between two, and a comma within one does no harm.
fn values(line: &str) -> Result<Row<'_>, String> {
    match line.strip_prefix('`') {
        Some(rest) => Ok(Row(rest.split(",`").map(Cow::Borrowed).collect())),
        None => {
            let bare = |value: Cow<'_, str>| Cow::Owned(value.strip_prefix('`').unwrap_or(&value).to_owned());
            Ok(Row(split(line)?.into_iter().map(bare).collect()))
        }
    }
}

pub fn read<R: BufRead>(mut lines: Lines<R>) -> Result<Bill, BillError> {
    let columns = loop {
        let Some(line) = lines.next()? else {
            return Err(BillError::NoHeader(
                TRADE,
                "the trade bill (交易账单) of WeChat Pay, not that of funds (资金账单)",
            ));
        };
        if let Some(columns) = Columns::find(&line, TRADE)? {
            break columns;
        }
    };
    let places = ColumnIndexes::of(&columns)?;
    // A bill of refunds has the column of their times and no payments.
    let mut bill = Bill::new(places.requested.is_none(), places.refund.is_some());
    let mut rows = 0;
    let mut sums = false;
    let mut counted = None;
    while let Some(line) = lines.next()? {
        let number = line.number;
        if line.bytes.is_some_and(<[u8]>::is_empty) {
            continue;
        }
        let Some(text) = line.bytes.and_then(|bytes| columns.encoding.decode(bytes)) else {
            rows += u64::from(!sums);
            bill.find(number, "too long, or not in the encoding of the header row");
            continue;
        };
        if text.starts_with(COUNT) {
            sums = true;
            continue;
        }
        match values(&text) {
            Ok(row) if sums => match row.text(0).parse::<u64>() {
                Ok(count) if counted.is_none() => counted = Some(count),
                _ => bill.find(number, "a row behind the sums"),
            },
            _ if sums => bill.find(number, "a row behind the sums"),
            row => {
                rows += 1;
                let fitting = row.and_then(|row| match row.0.len() == columns.count() {
                    true => Ok(row),
                    false => Err(format!("{} values, {} columns", row.0.len(), columns.count())),
                });
                bill.take(number, fitting.and_then(|row| places.entry(number, &row)));
            }
        }
    }
    match counted {
        Some(count) if count == rows => {}
        Some(count) => {
            bill.find(lines.number(), format!("the bill counts {count} rows and has {rows}; download it again"))
        }
        None => bill.find(lines.number(), "the bill ends without its sums; download it again"),
    }
    bill.covers = bill.days();
    Ok(bill)
}
