//! Bills: what a provider says was paid and given back, read from the files it lets a merchant download.
//!
//! Policy: a bill is a stranger's file. It is read line by line within limits, columns are found by their names, and a
//! line that does not fit is a [`Finding`] with its number, never a guess and never the end. A bill whose own summary
//! does not count what was read is incomplete, which is a finding too. Amounts are exact minor units.
//!
//! [`read`] and [`read_any`] are functions of bytes alone. The formats: `wechat` and `alipay`.

mod alipay;
mod csv;
mod wechat;

use std::io::{self, BufReader, Cursor, Read};

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::vocabulary::{Currency, Minor};

/// A larger file is not a bill of kiosks.
pub const LIMIT: u64 = 256 << 20;

/// So many findings are kept; of the rest the number.
pub const FINDINGS: usize = 1_000;

/// The times in bills are Beijing's, which has no summer time.
pub const ZONE: Offset = jiff::tz::offset(8);

/// Whose bill it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Wechat,
    Alipay,
}

impl Kind {
    /// By the header row, in the first bytes of a file; some kilobytes are enough.
    pub fn of(head: &[u8]) -> Option<Self> {
        let is = |words: &str| csv::Encoding::ALL.iter().any(|encoding| encoding.lossy(head).contains(words));
        match () {
            _ if is(alipay::TRADE) => Some(Kind::Alipay),
            _ if is(wechat::TRADE) => Some(Kind::Wechat),
            _ => None,
        }
    }
}

/// What a bill says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// The time it covers; `None` where it neither says so nor has rows to tell it by.
    pub covers: Option<Period>,
    /// It would list payments; a bill of refunds does not.
    pub payments: bool,
    /// It would list refunds; a bill of payments does not.
    pub refunds: bool,
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// In the order of the file, at most [`FINDINGS`].
    pub findings: Vec<Finding>,
    /// Findings that were not kept.
    pub more_findings: u64,
}

/// From a time on and up to, not including, another; Beijing time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: DateTime,
    pub to: DateTime,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In the file, from 1.
    pub line: u64,
    /// Of the payment, or of the refund's request; Beijing time.
    pub at: DateTime,
    pub what: What,
    /// The merchant's number of the charge, as it stands there: a `ChargeId` where it is a kiosk's.
    pub charge: String,
    /// The provider's number of the payment.
    pub provider: String,
    /// Paid or given back; not negative.
    pub amount: Minor,
    pub currency: Currency,
    /// What the provider kept for it, in hundred-thousandths of the currency's unit; negative where it was given back.
    pub fee: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Payment,
    /// `number` is the merchant's, a `RefundId` where it is a kiosk's; there is none where the provider did it by
    /// itself. `failed` holds the provider's word where the money did not go back.
    Refund {
        number: Option<String>,
        failed: Option<String>,
    },
}

/// What is wrong with a line, or with the bill as a whole where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub line: u64,
    pub what: String,
}

#[derive(Debug, thiserror::Error)]
pub enum BillError {
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("larger than 256 MiB; take a bill of fewer days")]
    TooLarge,
    #[error("packed with gzip; type `gunzip < FILE > bill.csv` and take bill.csv")]
    Gzip,
    #[error("packed with zip; type `unzip FILE` and take the .csv with the single payments, not the summary (汇总)")]
    Zip,
    #[error("UTF-16, which no provider writes; save it as CSV in UTF-8, or download it again")]
    Utf16,
    #[error(
        "no bill; take the trade bill (交易账单) of WeChat Pay or the single trades (业务明细) of Alipay, as they were \
         downloaded"
    )]
    NoBill,
    #[error("no header row with {0}; take {1}")]
    NoHeader(&'static str, &'static str),
    #[error("line {line}: {what}, in the header row; take the bill as it was downloaded")]
    Header { line: u64, what: String },
    #[error("line {line}: the header row has no column {name}; take the bill as it was downloaded")]
    NoColumn { line: u64, name: &'static str },
}

/// Reads a whole bill.
///
/// # Errors
/// When it can't be read, is larger than [`LIMIT`], packed, or another kind of file. What is wrong with single lines is
/// in the bill's findings.
pub fn read(kind: Kind, from: impl Read) -> Result<Bill, BillError> {
    parse(Some(kind), from)
}

/// Reads a bill of whichever kind its header row says it is.
///
/// # Errors
/// As [`read`], and when the header row is of no bill.
pub fn read_any(from: impl Read) -> Result<Bill, BillError> {
    parse(None, from)
}

fn parse(kind: Option<Kind>, mut from: impl Read) -> Result<Bill, BillError> {
    let mut head = Vec::new();
    from.by_ref().take(1 << 16).read_to_end(&mut head)?;
    match head.as_slice() {
        [0x1f, 0x8b, ..] => return Err(BillError::Gzip),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => return Err(BillError::Zip),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(BillError::Utf16),
        _ => {}
    }
    let kind = kind.or_else(|| Kind::of(&head)).ok_or(BillError::NoBill)?;
    let lines = csv::Lines::new(BufReader::with_capacity(1 << 16, Cursor::new(head).chain(from)));
    match kind {
        Kind::Wechat => wechat::read(lines),
        Kind::Alipay => alipay::read(lines),
    }
}

impl Bill {
    fn new(payments: bool, refunds: bool) -> Self {
        Self { covers: None, payments, refunds, entries: Vec::new(), findings: Vec::new(), more_findings: 0 }
    }

    fn find(&mut self, line: u64, what: impl Into<String>) {
        match self.findings.len() < FINDINGS {
            true => self.findings.push(Finding { line, what: what.into() }),
            false => self.more_findings += 1,
        }
    }

    fn take(&mut self, line: u64, row: Result<Entry, String>) {
        match row {
            Ok(entry) => self.entries.push(entry),
            Err(what) => self.find(line, what),
        }
    }

    /// The whole days of its rows.
    fn days(&self) -> Option<Period> {
        let days = || self.entries.iter().map(|entry| entry.at.date());
        Period::of_days(days().min()?, days().max()?)
    }
}

impl Period {
    /// From the beginning of one day to the end of another; `None` where the other is earlier, or the calendar ends.
    pub fn of_days(first: jiff::civil::Date, last: jiff::civil::Date) -> Option<Self> {
        let to = last.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight());
        let from = first.to_datetime(jiff::civil::Time::midnight());
        (from < to).then_some(Self { from, to })
    }

    pub fn contains(&self, at: DateTime) -> bool {
        self.from <= at && at < self.to
    }
}

#[cfg(test)]
mod tests;
