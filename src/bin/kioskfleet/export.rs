//! `kioskfleet export` and `kioskfleet verify`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kioskd::console::{Out, Progress, Table, complain, say};
use kioskd::fleet::collector::{Audited, Format, Proof, Wanted};
use kioskd::fleet::topic::Name;
use serde_json::json;

use crate::name;
use crate::place::CollectedArguments;

#[derive(Args)]
pub struct ExportArguments {
    #[command(flatten)]
    collected: CollectedArguments,
    #[arg(long, value_enum, default_value_t = As::Csv)]
    format: As,
    /// JSON lines.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// In place of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only this kiosk's.
    #[arg(long, value_parser = name)]
    kiosk: Option<Name>,
    /// Only of this kind: order-paid; may be written several times.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// From this day on, in UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Date>,
    /// Before this day, in UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    Csv,
    Jsonl,
    Parquet,
}

impl ExportArguments {
    pub fn export(&self) -> anyhow::Result<ExitCode> {
        let format = match self.format {
            _ if self.json => Format::JsonLines,
            As::Csv => Format::Csv,
            As::Jsonl => Format::JsonLines,
            As::Parquet => Format::Parquet,
        };
        let at = |date: &Option<Date>| date.map(milliseconds).transpose();
        let wanted = Wanted {
            kiosk: self.kiosk.clone(),
            kinds: self.kind.clone(),
            since: at(&self.since)?,
            until: at(&self.until)?,
        };
        let mut collected = self.collected.open()?;
        let mut progress = Progress::new("events", collected.count(self.kiosk.as_ref())?);
        let read = |events| progress.more(events);
        let written = match &self.output {
            None => {
                let terminal = std::io::stdout().is_terminal();
                ensure!(format != Format::Parquet || !terminal, "a Parquet file is not for a terminal; write -o FILE");
                collected.export(&wanted, format, BufWriter::new(Out), read)?
            }
            Some(path) => {
                // Whoever finds the file finds all of it.
                let part = path.with_extension("part");
                let told = || format!("{}", part.display());
                let file = File::create(&part).with_context(told)?;
                let written = collected.export(&wanted, format, BufWriter::new(&file), read)?;
                file.sync_all().with_context(told)?;
                std::fs::rename(&part, path).with_context(|| format!("{}", path.display()))?;
                written
            }
        };
        drop(progress);
        if let Some(path) = &self.output {
            complain(format_args!("{written} events in {}", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn milliseconds(date: Date) -> anyhow::Result<u64> {
    let at = date.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond();
    u64::try_from(at).context("a day since 1970")
}

#[derive(Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    collected: CollectedArguments,
    /// Where the kiosks' public keys are, KIOSK.pem each. Without it only the chains are checked.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Only this kiosk's ledgers.
    #[arg(long, value_parser = name)]
    kiosk: Option<Name>,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
}

impl VerifyArguments {
    pub fn verify(&self) -> anyhow::Result<ExitCode> {
        if let Some(keys) = &self.keys {
            std::fs::read_dir(keys).with_context(|| format!("{}", keys.display()))?;
        }
        let mut collected = self.collected.open()?;
        let mut progress = Progress::new("events", collected.count(self.kiosk.as_ref())?);
        let (mut rows, mut broken, mut ledgers) = (Vec::new(), Vec::new(), 0_u64);
        let each = |audited: Audited| -> anyhow::Result<()> {
            ledgers += 1;
            if self.json {
                say(json!(audited))?;
            }
            if audited.proof == Proof::Broken {
                broken.push(format!(
                    "{} ledger {}: {}",
                    audited.kiosk,
                    audited.ledger,
                    audited.why.as_deref().unwrap_or_default()
                ));
            }
            rows.extend(lines(&audited));
            Ok(())
        };
        collected.audit(self.kiosk.as_ref(), self.keys.as_deref(), |events| progress.more(events), each)?;
        drop(progress);
        if !self.json && !rows.is_empty() {
            let heads = [
                "KIOSK",
                "LEDGER",
                " EVENTS",
                "PROOF",
                "CURRENCY",
                " ORDERS",
                " PAID",
                " REFUNDED",
                " OPEN",
                " DELIVERED",
            ];
            say(Table::new(heads, rows))?;
        }
        for why in &broken {
            complain(format_args!("kioskfleet: {why}"));
        }
        if !self.json {
            std::io::stderr().flush()?;
            complain(format_args!("{ledgers} ledgers, {} not as they should be", broken.len()));
        }
        Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A line a currency.
fn lines(audited: &Audited) -> Vec<[String; 10]> {
    let proof = match audited.proof {
        Proof::Signed => "signed",
        Proof::Unsigned => "chain only",
        Proof::Broken => "BROKEN",
    };
    let begin = [audited.kiosk.clone(), audited.ledger.clone(), audited.seq.to_string(), proof.to_owned()];
    let line = |rest: [String; 6]| {
        let mut all = begin.iter().cloned().chain(rest);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    };
    if audited.totals.is_empty() {
        return vec![line(Default::default())];
    }
    let sums = audited.totals.iter().map(|total| {
        let sums = &total.sums;
        line([
            total.currency.to_owned(),
            sums.orders.to_string(),
            sums.paid.to_string(),
            sums.refunded.to_string(),
            sums.outstanding.to_string(),
            sums.delivered.to_string(),
        ])
    });
    sums.collect()
}
