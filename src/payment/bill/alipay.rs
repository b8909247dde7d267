//! Alipay's bill of single trades (业务明细, `bill_type=trade`), as it is in the downloaded zip.
//!
//! GB18030 or UTF-8. Lines of `#` say the account, the time covered, where the list ends, and the sums; in between a
//! header row and rows whose numbers are padded with tabs. Sources: the API
//! `alipay.data.dataservice.bill.downloadurl.query`
//! (`opendocs.alipay.com/apis/api_15/alipay.data.dataservice.bill.downloadurl.query`; its encoding is told on
//! `developer.aliyun.com/article/707638`); the columns and a whole day's rows are in the tests of public clients:
//! refunds are rows of their own with the payment's numbers, a negative amount, and the merchant's refund number in
//! 退款批次号/请求号.

use std::io::BufRead;

use jiff::civil::{Date, DateTime, Time};

use super::csv::{Columns, Encoding, Lines, Row, said, split};
use super::{Bill, BillError, Entry, Period, What};
use crate::vocabulary::Currency;

/// The column that makes a header row this bill's.
pub const TRADE: &str = "支付宝交易号";

/// In the line of `#` behind the last row.
const END: &str = "业务明细列表结束";

struct ColumnIndexes {
    provider: usize,
    charge: usize,
    kind: usize,
    at: usize,
    amount: usize,
    refund: usize,
    fee: Option<usize>,
}

impl ColumnIndexes {
    fn of(columns: &Columns) -> Result<Self, BillError> {
        Ok(Self {
            provider: columns.any(&[TRADE])?,
            charge: columns.any(&["商户订单号"])?,
            kind: columns.any(&["业务类型"])?,
            at: columns.any(&["完成时间"])?,
            amount: columns.any(&["订单金额"])?,
            refund: columns.any(&["退款批次号/请求号", "退款批次号"])?,
            fee: columns.get("服务费"),
        })
    }

    fn entry(&self, line: u64, row: &Row<'_>, currency: Currency) -> Result<Entry, String> {
        // Payments stand there with a plus and refunds with a minus, fees the other way round; the kind of the row says
        // it all.
        let amount = row.amount(self.amount, "订单金额", currency.digits())?.abs();
        let fee = row.fee(self.fee, "服务费")?.map(i64::abs);
        let kind = row.text(self.kind);
        let (what, fee) = match kind {
            "交易" => (What::Payment, fee),
            "退款" => {
                let number = row.text(self.refund);
                let number = (!number.is_empty()).then(|| row.number(self.refund, "退款批次号/请求号")).transpose()?;
                (What::Refund { number, failed: None }, fee.map(|fee| -fee))
            }
            _ => return Err(format!("业务类型 {} is not known", said(kind))),
        };
        let at = row.time(self.at, "完成时间")?;
        let (charge, provider) = (row.number(self.charge, "商户订单号")?, row.number(self.provider, TRADE)?);
        Ok(Entry { line, at, what, charge, provider, amount, currency, fee })
    }
}

pub fn read<R: BufRead>(mut lines: Lines<R>) -> Result<Bill, BillError> {
    let mut covers = None;
    let columns = loop {
        let Some(line) = lines.next()? else {
            return Err(BillError::NoHeader(TRADE, "the single trades (业务明细) of Alipay, not the summary (汇总)"));
        };
        if let Some(columns) = Columns::find(&line, TRADE)? {
            break columns;
        }
        covers = covers.or_else(|| period(&Encoding::guess(line.bytes?)));
    };
    let places = ColumnIndexes::of(&columns)?;
    let Some(currency) = Currency::from_code("CNY") else { return Err(BillError::NoHeader(TRADE, "a bill in CNY")) };
    let mut bill = Bill::new(true, true);
    let mut rows = Sums::default();
    let (mut ended, mut counted) = (false, Sums::default());
    while let Some(line) = lines.next()? {
        let number = line.number;
        if line.bytes.is_some_and(<[u8]>::is_empty) {
            continue;
        }
        let Some(text) = line.bytes.and_then(|bytes| columns.encoding.decode(bytes)) else {
            bill.find(number, "too long, or not in the encoding of the header row");
            continue;
        };
        if let Some(remark) = text.strip_prefix('#') {
            ended |= remark.contains(END);
            counted.payments = counted.payments.or(count(remark, "交易合计：").filter(|_| ended));
            counted.refunds = counted.refunds.or(count(remark, "退款合计：").filter(|_| ended));
            continue;
        }
        if ended {
            bill.find(number, "a row behind the end of the list");
            continue;
        }
        let row = split(&text).map(Row).and_then(|row| match row.0.len() == columns.count() {
            true => places.entry(number, &row, currency),
            false => Err(format!("{} values, {} columns", row.0.len(), columns.count())),
        });
        if let Ok(entry) = &row {
            rows.add(&entry.what);
        }
        bill.take(number, row);
    }
    let end = lines.number();
    if !ended {
        bill.find(end, "the bill ends without its last line (业务明细列表结束); download it again");
    }
    for (what, count, seen) in
        [("payments", counted.payments, rows.payments), ("refunds", counted.refunds, rows.refunds)]
    {
        if let Some(count) = count.filter(|&count| count != seen.unwrap_or(0)) {
            let seen = seen.unwrap_or(0);
            bill.find(end, format!("the bill counts {count} {what}, {seen} could be read; download it again"));
        }
    }
    bill.covers = covers.or_else(|| bill.days());
    Ok(bill)
}

/// How many there are of each.
#[derive(Default)]
struct Sums {
    payments: Option<u64>,
    refunds: Option<u64>,
}

impl Sums {
    fn add(&mut self, what: &What) {
        let sum = if *what == What::Payment { &mut self.payments } else { &mut self.refunds };
        *sum = Some(sum.unwrap_or(0) + 1);
    }
}

/// `6` of `交易合计：6笔，…`.
fn count(remark: &str, name: &str) -> Option<u64> {
    remark.trim_start_matches('#').strip_prefix(name)?.split_once('笔')?.0.trim().parse().ok()
}

/// `#起始日期：[2026年10月03日 00:00:00]   终止日期：[2026年10月04日 00:00:00]`: the second is the first moment behind it.
fn period(remark: &str) -> Option<Period> {
    let after = |name: &str| {
        let rest = remark.split_once(name)?.1.trim_start();
        moment(rest.strip_prefix('[')?.split_once(']')?.0)
    };
    let (from, to) = (after("起始日期：")?, after("终止日期：")?);
    (from < to).then_some(Period { from, to })
}

fn moment(text: &str) -> Option<DateTime> {
    let (year, rest) = text.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let (day, time) = rest.split_once('日')?;
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    let time: Time = time.trim().parse().ok()?;
    Some(date.to_datetime(time))
}
