//! Whether what a kiosk has given away is as it was, and whose it is: the report of a test. No kiosk is
//! asked, and no ledger.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use kioskd::console::say;
use kioskd::signed::jws::{LONGEST, PublicKey};
use kioskd::signed::statement::TestReport;
use kioskd::vocabulary::one_line;
use serde_json::json;

pub fn report(file: &Path, key: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let key = public_key(key)?;
    // One byte more than a report has is enough to see that it is none.
    let document = read(file, LONGEST as u64 + 1)?;
    let (report, by) =
        TestReport::read(&document, &key).with_context(|| format!("{} does not hold", file.display()))?;
    match json {
        true => say(format_args!("{:#}", json!({ "signed_by": by, "report": report })))?,
        false => {
            say(format_args!("{} holds, signed by {}\n{}", file.display(), plain(&by), plain(&report.to_string())))?
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A kiosk that is somebody else's by now commands no terminal.
fn plain(text: &str) -> String {
    text.lines().map(|line| one_line(line).collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// Of one kiosk, as `kioskfleet keygen` and openssl write it.
fn public_key(file: &Path) -> anyhow::Result<PublicKey> {
    let pem = read(file, LONGEST as u64)?;
    PublicKey::from_pem(&pem).with_context(|| {
        format!("{} is no Ed25519 public key in PEM; the kiosk's is beside its signing_key, K0001.pem", file.display())
    })
}

fn read(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes));
    opened.with_context(|| file.display().to_string())?;
    Ok(bytes)
}
