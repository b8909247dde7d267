//! Events as files for other people's programs.
//!
//! Policy: a column's name and meaning stay. The record's text is as the kiosk has hashed it, in every format; `time` is the
//! same as `ts` for people, in UTC.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use super::database::DatabaseError;
use crate::ledger::{EventDocument, csv};

/// Rows that a Parquet file has in memory before they are written.
const GROUP: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with the names of the columns first.
    Csv,
    /// One object a line.
    JsonLines,
    Parquet,
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the file can't be written")]
    Write(#[from] io::Error),
    #[error("the Parquet file can't be written")]
    Parquet(#[from] ParquetError),
}

/// Whose event it is.
pub struct Owner<'a> {
    pub fleet: &'a str,
    pub kiosk: &'a str,
}

const COLUMNS: [&str; 12] =
    ["fleet", "kiosk", "ledger", "seq", "time", "ts", "kind", "order", "boot", "mono", "hash", "text"];
const TEXTS: [&str; 9] = ["fleet", "kiosk", "ledger", "time", "kind", "order", "boot", "hash", "text"];
const SCHEMA: &str = "message event {
    required binary fleet (UTF8); required binary kiosk (UTF8); required binary ledger (UTF8);
    required int64 seq; optional binary time (UTF8); optional int64 ts (TIMESTAMP_MILLIS);
    required binary kind (UTF8); optional binary order (UTF8); required binary boot (UTF8); required int64 mono;
    required binary hash (UTF8); required binary text (UTF8);
}";

fn time(event: &EventDocument) -> Option<String> {
    let at = Timestamp::from_millisecond(i64::try_from(event.ts?).ok()?).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Writes events in a format.
pub enum Writer<W: Write + Send> {
    Csv(W),
    JsonLines(W),
    Parquet(Box<Columns<W>>),
}

impl<W: Write + Send> Writer<W> {
    /// # Errors
    /// It can't be written.
    pub fn new(format: Format, mut out: W) -> Result<Self, ExportError> {
        Ok(match format {
            Format::Csv => {
                write!(out, "{}\r\n", COLUMNS.join(","))?;
                Self::Csv(out)
            }
            Format::JsonLines => Self::JsonLines(out),
            Format::Parquet => {
                let schema = Arc::new(parse_message_type(SCHEMA)?);
                let properties = WriterProperties::builder().set_compression(Compression::UNCOMPRESSED);
                let writer = SerializedFileWriter::new(out, schema, Arc::new(properties.build()))?;
                Self::Parquet(Box::new(Columns { writer, group: Group::default() }))
            }
        })
    }

    /// # Errors
    /// It can't be written.
    pub fn put(&mut self, owner: &Owner<'_>, event: &EventDocument) -> Result<(), ExportError> {
        let Owner { fleet, kiosk } = owner;
        let EventDocument { ledger, seq, hash, boot, mono, ts, order, kind, text, prev } = event;
        match self {
            Self::Csv(out) => {
                let cells: [Value; 12] = [
                    (*fleet).into(),
                    (*kiosk).into(),
                    ledger.as_str().into(),
                    (*seq).into(),
                    time(event).into(),
                    (*ts).into(),
                    kind.as_str().into(),
                    order.as_deref().into(),
                    boot.as_str().into(),
                    (*mono).into(),
                    hash.as_str().into(),
                    text.as_str().into(),
                ];
                let line: Vec<String> = cells.iter().map(csv).collect();
                write!(out, "{}\r\n", line.join(","))?;
            }
            Self::JsonLines(out) => {
                let line = json!({
                    "fleet": fleet, "kiosk": kiosk, "ledger": ledger, "seq": seq, "time": time(event), "ts": ts,
                    "kind": kind, "order": order, "boot": boot, "mono": mono, "prev": prev, "hash": hash, "text": text,
                });
                writeln!(out, "{line}")?;
            }
            Self::Parquet(columns) => columns.put(owner, event)?,
        }
        Ok(())
    }

    /// # Errors
    /// It can't be written.
    pub fn finish(self) -> Result<(), ExportError> {
        match self {
            Self::Csv(mut out) | Self::JsonLines(mut out) => Ok(out.flush()?),
            Self::Parquet(mut columns) => {
                columns.flush()?;
                columns.writer.close()?;
                Ok(())
            }
        }
    }
}

/// A Parquet file.
pub struct Columns<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    group: Group,
}

/// Rows by column. An optional column has a level for each row: 1 where there is a value.
#[derive(Default)]
struct Group {
    texts: [Vec<ByteArray>; TEXTS.len()],
    numbers: [Vec<i64>; 3],
    levels: [Vec<i16>; 3],
    rows: usize,
}

impl<W: Write + Send> Columns<W> {
    fn put(&mut self, owner: &Owner<'_>, event: &EventDocument) -> Result<(), ParquetError> {
        let Group { texts, numbers, levels, rows } = &mut self.group;
        let time = time(event);
        let of = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let plain =
            [owner.fleet, owner.kiosk, &event.ledger, "", &event.kind, "", &event.boot, &event.hash, &event.text];
        for (at, text) in plain.into_iter().enumerate() {
            match TEXTS[at] {
                "time" => texts[at].extend(time.as_deref().map(of)),
                "order" => texts[at].extend(event.order.as_deref().map(of)),
                _ => texts[at].push(of(text)),
            }
        }
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        numbers[0].push(number(event.seq));
        numbers[1].extend(event.ts.map(number));
        numbers[2].push(number(event.mono));
        levels[0].push(i16::from(time.is_some()));
        levels[1].push(i16::from(event.ts.is_some()));
        levels[2].push(i16::from(event.order.is_some()));
        *rows += 1;
        if *rows == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let Group { texts, numbers, levels, rows } = std::mem::take(&mut self.group);
        if rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        // In the schema's order.
        for name in COLUMNS {
            let Some(mut column) = group.next_column()? else { break };
            let level = match name {
                "time" => Some(levels[0].as_slice()),
                "ts" => Some(levels[1].as_slice()),
                "order" => Some(levels[2].as_slice()),
                _ => None,
            };
            let number = ["seq", "ts", "mono"].iter().position(|number| *number == name);
            match (number, TEXTS.iter().position(|text| *text == name)) {
                (Some(at), _) => column.typed::<Int64Type>().write_batch(&numbers[at], level, None)?,
                (None, Some(at)) => column.typed::<ByteArrayType>().write_batch(&texts[at], level, None)?,
                (None, None) => 0,
            };
            column.close()?;
        }
        group.close().map(drop)
    }
}
