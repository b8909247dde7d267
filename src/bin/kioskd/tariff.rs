//! `kioskd tariff`: the verbs of a car park's tariff.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use kioskd::console::tariff::{self, Question, TariffError};
use kioskd::console::{complain, say};
use kioskd::parking;
use kioskd::vocabulary::Language;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// What a stay costs, line by line.
    Explain {
        file: PathBuf,
        /// As RFC 3339, like 2026-11-30T08:00:00+08:00.
        #[arg(long, value_name = "RFC3339", required_unless_present = "lost")]
        entry: Option<Timestamp>,
        #[arg(long, value_name = "RFC3339")]
        exit: Timestamp,
        /// The first of the file where it is left out.
        #[arg(long, value_name = "NAME")]
        class: Option<String>,
        /// A validation of the file; may be given several times.
        #[arg(long, value_name = "NAME")]
        validation: Vec<String>,
        /// A season pass of the file.
        #[arg(long, value_name = "NAME")]
        season: Option<String>,
        /// The visit before, and what was paid for it in minor units, of a car that comes back.
        #[arg(long, value_name = "ENTRY,EXIT,PAID", conflicts_with = "lost")]
        visit: Option<String>,
        /// The ticket is lost, and nobody knows the entry.
        #[arg(long, conflicts_with = "entry")]
        lost: bool,
        /// Of the texts: en, zh-Hant or zh-Hans.
        #[arg(long, value_name = "TAG", default_value = "en")]
        language: String,
        /// For programs; amounts in minor units.
        #[arg(long)]
        json: bool,
    },
    /// Where the file may not say what its author meant: a fee that falls or jumps, an overlap, a clock that changes.
    /// Ends with 1 if there is a warning.
    Check {
        file: PathBuf,
        /// The two years from that day on; today where it is left out.
        #[arg(long, value_name = "RFC3339")]
        from: Option<Timestamp>,
    },
    /// The sign at the entrance.
    Table {
        file: PathBuf,
        /// When the examples enter; now where it is left out.
        #[arg(long, value_name = "RFC3339")]
        entry: Option<Timestamp>,
    },
    /// Draw the fee over the length of a stay.
    Plot {
        file: PathBuf,
        /// Another tariff in the same picture.
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        /// When the stays begin; now where it is left out.
        #[arg(long, value_name = "RFC3339")]
        entry: Option<Timestamp>,
        #[arg(long, value_name = "NAME")]
        class: Option<String>,
        /// The longest stay.
        #[arg(long, default_value = "24", value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
        /// Ends in .svg or .png.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// The rate tables of ISO TS 5206-1 (APDS), and on standard error what they can't say.
    Export {
        file: PathBuf,
        /// Standard output where it is left out.
        #[arg(long, value_name = "JSON")]
        output: Option<PathBuf>,
    },
    /// Who pays more and who pays less when NEW takes the place of OLD.
    Diff {
        old: PathBuf,
        new: PathBuf,
        /// A stay a line: ENTRY,EXIT or ENTRY,EXIT,CLASS.
        #[arg(long, value_name = "FILE")]
        stays: PathBuf,
    },
}

pub fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    match act(verb) {
        // Reports of files are in the form FILE:LINE:COL; nothing is put before them.
        Err(error) if reports(&error) => {
            complain(&error);
            Ok(ExitCode::FAILURE)
        }
        other => other,
    }
}

fn reports(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TariffError::File(_) | TariffError::Stays { .. }))
}

fn act(verb: &Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Explain { file, entry, exit, class, validation, season, visit, lost: _, language, json } => {
            let of = tariff::load(file)?;
            let question = Question {
                entry: *entry,
                exit: *exit,
                class: class.as_deref(),
                validations: validation,
                season: season.as_deref(),
                visit: visit.as_deref(),
            };
            let bill = tariff::bill(&of, &question)?;
            let language = Language::new(language);
            if *json {
                let bill = tariff::bill_for_programs(&of, &bill, &language);
                say(serde_json::to_string_pretty(&bill).context("the bill")?)?;
            } else {
                say(tariff::bill_for_people(&of, &bill, &language))?;
            }
        }
        Verb::Check { file, from } => {
            let of = tariff::load(file)?;
            let found = tariff::check(&of, from.unwrap_or_else(Timestamp::now))?;
            for warning in &found.warnings {
                say(format_args!("{}: {warning}", file.display()))?;
            }
            if found.tried < found.entries {
                let (tried, entries) = (found.tried, found.entries);
                complain(format_args!(
                    "{}: tried {tried} of the {entries} entries that its rules make",
                    file.display()
                ));
            }
            if !found.warnings.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Verb::Table { file, entry } => {
            let of = tariff::load(file)?;
            say(parking::tariff::table(&of, tariff::wall(entry.unwrap_or_else(Timestamp::now))?).trim_end())?;
        }
        Verb::Plot { file, against, entry, class, hours, output } => {
            let name = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let mut all = vec![(name(file), tariff::load(file)?)];
            if let Some(other) = against {
                all.push((name(other), tariff::load_against(other, file, &all[0].1)?));
            }
            tariff::plot(&all, entry.unwrap_or_else(Timestamp::now), class.as_deref(), *hours, output)?;
        }
        Verb::Export { file, output } => {
            let of = tariff::load(file)?;
            let (text, unsaid) = tariff::export(&of, file, output.as_deref())?;
            for what in unsaid {
                complain(format_args!("{}: not said: {what}", file.display()));
            }
            if let Some(text) = text {
                say(text)?;
            }
        }
        Verb::Diff { old, new, stays } => {
            let of = tariff::load(old)?;
            let with = tariff::load_against(new, old, &of)?;
            let found = tariff::differ(&of, &with, stays)?;
            say(tariff::difference_for_people(&of, &with, &found))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
