//! A test on record, and the file that proves what was found.
//!
//! Policy: the file is new, and everybody may read it: it is made to be given away.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use kioskd::console::say;
use kioskd::dbus::{Check, Done};
use kioskd::operation::{Findings, Operation};
use kioskd::signed::statement::NO_KEY;
use serde_json::Value;

use crate::arguments::Arguments;
use crate::running::ask;

/// The number under which it is on record.
pub fn record(arguments: &Arguments, checks: &[Check]) -> anyhow::Result<String> {
    let checks = Findings::new(checks.iter().filter_map(Check::finding).collect())?;
    match ask(arguments, async |kiosk| kiosk.operate(&Operation::RecordTest { checks }).await)? {
        Done::Recorded(request) => Ok(request),
        other => anyhow::bail!("the kiosk has answered {other:?}"),
    }
}

/// Puts the report of a test that is on record into a file, and says so.
pub fn keep(arguments: &Arguments, request: &str, file: &Path) -> anyhow::Result<String> {
    let (_, document) = ask(arguments, async |kiosk| kiosk.test_report(request).await)?;
    write(file, &document)
}

/// The newest test that is on record.
pub fn last(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    file.map(new_file).transpose()?;
    let (text, document) = ask(arguments, async |kiosk| kiosk.test_report("").await)?;
    let written = file.map(|file| write(file, &document)).transpose()?;
    match arguments.json {
        true => say(format_args!("{:#}", serde_json::from_str::<Value>(&document)?))?,
        false => {
            say(text)?;
            written.map(say).transpose()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// Something is there already.
pub fn new_file(file: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(file.symlink_metadata().is_err(), "{} is there already; name a new file", file.display());
    Ok(())
}

fn write(file: &Path, document: &str) -> anyhow::Result<String> {
    let name = file.display();
    let mut new =
        OpenOptions::new().write(true).create_new(true).mode(0o644).open(file).with_context(|| {
            format!("{name}: the test is on record, and kioskctl test --last --report FILE writes it")
        })?;
    new.write_all(format!("{document}\n").as_bytes())
        .and_then(|()| new.sync_all())
        .with_context(|| name.to_string())?;
    let signed = serde_json::from_str::<Value>(document)?["signature"].is_string();
    Ok(match signed {
        true => format!(
            "{name} has the report\n-> who has the kiosk's public key: kioskctl verify --report {name} --key KEY.pem"
        ),
        false => format!("{name} has the report, and proves nothing: {NO_KEY}"),
    })
}
