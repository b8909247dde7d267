//! Lines, encodings, columns and amounts: what both formats share.
//!
//! A record is one line. Neither provider breaks a value over lines, and so one stray quotation mark costs one line and
//! not the rest of the file. The crate `csv` reads a value over several lines, which can't be switched off, and takes text
//! behind a closing mark for a part of the value; it would have to be given one line at a time and could check less.

use std::borrow::Cow;
use std::io::{self, BufRead};

use encoding_rs::{GB18030, UTF_8};
use jiff::civil::{Date, DateTime, Time};

use super::{BillError, LIMIT};
use crate::vocabulary::Minor;

/// In bytes. The longest honest line has some hundred.
pub const LINE: usize = 1 << 16;

/// The longest number a provider gives or takes is 64 characters.
const NUMBER: usize = 64;

/// Lines of bytes, within the limits.
pub struct Lines<R> {
    from: R,
    taken: u64,
    number: u64,
    buffer: Vec<u8>,
}

/// A line without its end; `None` where it is too long.
pub struct Line<'a> {
    /// From 1.
    pub number: u64,
    pub bytes: Option<&'a [u8]>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(from: R) -> Self {
        Self { from, taken: 0, number: 0, buffer: Vec::new() }
    }

    /// The number of the line last read.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn next(&mut self) -> Result<Option<Line<'_>>, BillError> {
        self.buffer.clear();
        let (mut any, mut fits, mut ended) = (false, true, false);
        while !ended {
            let part = match self.from.fill_buf() {
                Ok([]) => break,
                Ok(part) => part,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            let end = part.iter().position(|&byte| byte == b'\n');
            let length = end.map_or(part.len(), |at| at + 1);
            fits &= self.buffer.len() + length <= LINE;
            if fits {
                self.buffer.extend_from_slice(&part[..length]);
            }
            self.from.consume(length);
            self.taken += length as u64;
            if self.taken > LIMIT {
                return Err(BillError::TooLarge);
            }
            (any, ended) = (true, end.is_some());
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(Line { number: self.number, bytes: fits.then_some(self.buffer.trim_ascii_end()) }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// GBK and GB 2312 are parts of it.
    Gb18030,
}

impl Encoding {
    pub const ALL: [Encoding; 2] = [Encoding::Utf8, Encoding::Gb18030];

    fn table(self) -> &'static encoding_rs::Encoding {
        match self {
            Encoding::Utf8 => UTF_8,
            Encoding::Gb18030 => GB18030,
        }
    }

    /// The text, if every byte of it is right.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let text = self.table().decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(match text.strip_prefix('\u{feff}') {
            Some(rest) => Cow::Owned(rest.to_owned()),
            None => text,
        })
    }

    pub fn lossy(self, bytes: &[u8]) -> Cow<'_, str> {
        self.table().decode_without_bom_handling(bytes).0
    }

    /// A line of a file whose encoding nobody has told yet.
    pub fn guess(bytes: &[u8]) -> Cow<'_, str> {
        Self::Utf8.decode(bytes).unwrap_or_else(|| Self::Gb18030.lossy(bytes))
    }
}

/// The columns of a header row, by name.
pub struct Columns {
    names: Vec<String>,
    line: u64,
    pub encoding: Encoding,
}

impl Columns {
    /// If this line is the header row, which it is if it has the column `key`. It tells the file's encoding too.
    ///
    /// # Errors
    /// The line has it and can't be split.
    pub fn find(line: &Line<'_>, key: &str) -> Result<Option<Self>, BillError> {
        let texts = Encoding::ALL.into_iter().filter_map(|encoding| Some((encoding, encoding.decode(line.bytes?)?)));
        for (encoding, text) in texts.filter(|(_, text)| text.contains(key)) {
            let names = split(&text).map_err(|what| BillError::Header { line: line.number, what })?;
            let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
            if names.iter().any(|name| name == key) {
                return Ok(Some(Self { names, line: line.number, encoding }));
            }
        }
        Ok(None)
    }

    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The place of a column.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Of the first of `names` that is there; each is an older or newer name of the same.
    pub fn any(&self, names: &[&'static str]) -> Result<usize, BillError> {
        let found = names.iter().find_map(|name| self.get(name));
        found.ok_or(BillError::NoColumn { line: self.line, name: names[0] })
    }
}

/// A column's name without the unit that some bills put behind it.
fn plain(name: &str) -> String {
    let name = name.trim();
    ["（元）", "(元)"].iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(name).to_owned()
}

/// The values of a line: between commas, in quotation marks where one holds a comma, a doubled mark for a mark.
pub fn split(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = unquote(quoted).ok_or("a quotation mark is not closed")?;
                (Cow::Owned(value), after)
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        values.push(value);
        // White space may stand between a closing mark and the comma: tabs keep spreadsheets from rounding numbers.
        match after.trim_start().strip_prefix(',') {
            Some(next) => rest = next,
            None if after.trim_start().is_empty() => return Ok(values),
            None => return Err("text behind a closing quotation mark".into()),
        }
    }
}

/// What was between the marks, and what follows; the opening one is gone already.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

/// A row's values, by place; as many as there are columns.
pub struct Row<'a>(pub Vec<Cow<'a, str>>);

impl Row<'_> {
    pub fn text(&self, at: usize) -> &str {
        self.0.get(at).map_or("", |value| value.trim())
    }

    /// A merchant's or provider's number; it must be there.
    pub fn number(&self, at: usize, what: &str) -> Result<String, String> {
        let text = self.text(at);
        match text.chars().count() {
            0 => Err(format!("{what} is empty")),
            _ if text.chars().any(char::is_control) => Err(format!("{what} {} has control characters", said(text))),
            1..=NUMBER => Ok(text.to_owned()),
            _ => Err(format!("{what} is longer than {NUMBER} characters")),
        }
    }

    /// `what` names the column, `digits` are the currency's.
    pub fn amount(&self, at: usize, what: &str, digits: usize) -> Result<Minor, String> {
        let text = self.text(at);
        decimal(text, digits).ok_or_else(|| format!("{what} {} is not an amount", said(text)))
    }

    /// A fee in hundred-thousandths; an empty cell is none.
    pub fn fee(&self, at: Option<usize>, what: &str) -> Result<Option<i64>, String> {
        let at = at.filter(|&at| !self.text(at).is_empty());
        at.map(|at| self.amount(at, what, 5)).transpose()
    }

    pub fn time(&self, at: usize, what: &str) -> Result<DateTime, String> {
        let text = self.text(at);
        time(text).ok_or_else(|| format!("{what} {} is not a time", said(text)))
    }
}

/// A stranger's text as it is told to people: short, in marks, without control characters.
pub fn said(text: &str) -> String {
    let mut shown: String = text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A decimal number as an integer of so many digits behind the point; more of them only where they are 0. Up to nine
/// digits before the point, so that no sum of the amounts of a bill overflows.
pub fn decimal(text: &str, digits: usize) -> Option<i64> {
    let (negative, number) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, behind) = number.split_once('.').unwrap_or((number, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=9).contains(&whole.len()) || !plain(whole) || !plain(behind) || number.ends_with('.') {
        return None;
    }
    let (kept, zeros) = behind.split_at_checked(digits).unwrap_or((behind, ""));
    if digits > 5 || zeros.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let value: i64 = format!("{whole}{kept:0<digits$}").parse().ok()?;
    Some(if negative { -value } else { value })
}

/// `2026-10-03 10:00:30`, with any white space between.
fn time(text: &str) -> Option<DateTime> {
    let mut parts = text.split_whitespace();
    let (date, time) = (parts.next()?, parts.next()?);
    let date: Date = date.parse().ok().filter(|_| date.len() == 10)?;
    let time: Time = time.parse().ok().filter(|_| time.len() == 8)?;
    parts.next().is_none().then(|| date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, digits, value) in [
            ("0.01", 2, 1),
            ("12", 2, 1_200),
            ("1299.02", 2, 129_902),
            ("-35.80", 2, -3_580),
            ("0.1", 2, 10),
            ("7.79000", 2, 779),
            ("7.79000", 5, 779_000),
            ("120", 0, 120),
            ("120.00", 0, 120),
            ("999999999.99", 2, 99_999_999_999),
        ] {
            assert_eq!(decimal(text, digits), Some(value), "{text}");
        }
        for bad in
            ["", "-", ".", "1.", ".5", "0.001", "1,000.00", "+1.00", "1e3", "--1", "1.0.0", "１.00", "4.00123E+27"]
        {
            assert_eq!(decimal(bad, 2), None, "{bad}");
        }
        assert_eq!(decimal("1000000000", 2), None);
    }

    #[test]
    fn values_between_commas() {
        let values = |line| split(line).map(|row| row.iter().map(|value| value.to_string()).collect::<Vec<_>>());
        assert_eq!(values("a,b\t,,d").unwrap(), ["a", "b\t", "", "d"]);
        assert_eq!(values("a,\"b, c\"\t,\"say \"\"hi\"\"\"").unwrap(), ["a", "b, c", "say \"hi\""]);
        assert_eq!(values("5\" nail,x").unwrap(), ["5\" nail", "x"]);
        assert_eq!(values("").unwrap(), [""]);
        assert!(values("a,\"b").is_err() && values("a,\"b\"c,d").is_err());
    }

    #[test]
    fn times_of_beijing() {
        let at = jiff::civil::date(2026, 10, 3).at(10, 0, 30, 0);
        assert_eq!(time("2026-10-03 10:00:30"), Some(at));
        assert_eq!(time("2026-10-03  10:00:30"), Some(at));
        for bad in [
            "",
            "2026-10-03",
            "2026-10-0310：00：30",
            "2026-13-03 10:00:30",
            "2026-10-03 10:00:30 x",
            "2026-10-03 25:00:00",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn lines_within_their_limits() {
        let long = "x".repeat(LINE);
        let text = format!("a\r\n\n{long}\nb");
        let mut lines = Lines::new(io::BufReader::with_capacity(7, text.as_bytes()));
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push((line.number, line.bytes.map(<[u8]>::to_vec)));
        }
        assert_eq!(seen, [(1, Some(b"a".to_vec())), (2, Some(vec![])), (3, None), (4, Some(b"b".to_vec()))]);
        let mut endless = Lines::new(io::BufReader::new(io::repeat(b'x')));
        assert!(matches!(endless.next(), Err(BillError::TooLarge)));
    }

    proptest! {
        #[test]
        fn a_decimal_reads_back(value in -99_999_999_999i64..=99_999_999_999) {
            let sign = if value < 0 { "-" } else { "" };
            let units = value.unsigned_abs();
            prop_assert_eq!(decimal(&format!("{sign}{}.{:02}", units / 100, units % 100), 2), Some(value));
        }

        #[test]
        fn no_text_breaks_a_line(text in "\\PC{0,80}") {
            let _ = split(&text);
            let _ = decimal(&text, 2);
            let _ = time(&text);
            prop_assert!(said(&text).chars().count() <= 43);
        }
    }
}
