//! `kioskctl bundle`: of what its user may read, whether a daemon runs or not.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use jiff::Timestamp;
use kioskd::bundle::{self, Archive, Packed};
use kioskd::console::{Out, complain, say};
use kioskd::dbus::Writer;
use kioskd::kiosk::{self, check};
use kioskd::ledger::Reader;
use kioskd::operation::Digest;
use kioskd::signed::keys::KeyError;
use kioskd::signed::statement::Holder;
use serde_json::json;

use crate::arguments::Arguments;
use crate::running::ask;

const JOURNAL_LINES: &str = "1000";

pub fn make(arguments: &Arguments, config: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    // What can't be read is said when its turn comes.
    let reader = Reader::open(&arguments.state());
    let text = fs::read(config);
    let known = text.as_deref().unwrap_or_default();
    let redaction = bundle::redaction(known, reader.as_ref().ok());
    let mut archive = Archive::new(redaction);
    let kiosk = running(arguments, &mut archive);
    match reader {
        Ok(reader) => bundle::ledger(&reader, u64::MAX, &mut archive),
        Err(error) => archive.without("ledger", error),
    }
    let (named, writer) = configuration(config, text, &mut archive);
    bundle::machine(&arguments.state(), &mut archive);
    let unit = arguments.kiosk.as_ref().map_or_else(|| "kioskd".to_owned(), |name| format!("kioskd@{name}"));
    journal(&mut archive, "journal.txt", &["--unit", &unit]);
    journal(&mut archive, "kernel-log.txt", &["--dmesg"]);

    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let kiosk = kiosk.or(named);
    let name = kiosk.as_deref().unwrap_or("kiosk");
    let into = output.map_or_else(|| PathBuf::from(format!("kioskd-{name}-{time}.tar.gz")), Path::to_owned);
    let facts = json!({
        "at": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "by_user": rustix::process::getuid().as_raw(),
        "kiosk": kiosk,
        "kioskctl": env!("CARGO_PKG_VERSION"),
    });
    let left_out = archive.left_out().clone();
    let seal = |sha256: &Digest| seal(arguments, sha256, &writer);
    let packed = archive.pack(&facts, seal, now.as_second().unsigned_abs(), usize::MAX)?;
    let Packed { file, manifest } = packed;
    write(&into, &file)?;
    if into == Path::new("-") {
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.json {
        say(format_args!("{:#}", json!({ "file": into, "manifest": manifest })))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (part, why) in &left_out {
        complain(format_args!("without {part}: {}", why.as_str().unwrap_or_default()));
    }
    if let Some(why) = manifest["unsigned"].as_str() {
        complain(format_args!("not signed: {why}"));
    }
    say(format_args!("{}\n-> it has no key and no password; list it with: tar -tzf {0}", into.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Into a new file that only its owner may read, or to standard output where `into` is `-`.
fn write(into: &Path, bundle: &[u8]) -> anyhow::Result<()> {
    if into == Path::new("-") {
        return Ok(Out.write_all(bundle).and_then(|()| Out.flush())?);
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("{} is there already; name a new file", into.display()),
        _ => anyhow::anyhow!("{}: {error}", into.display()),
    })?;
    file.write_all(bundle).and_then(|()| file.sync_all()).with_context(|| into.display().to_string())
}

/// The running kiosk's word for the manifest, or one by its key where the caller may read it. Or why there is none.
fn seal(arguments: &Arguments, sha256: &Digest, writer: &Result<Writer, String>) -> Result<String, String> {
    let by_the_kiosk = match ask(arguments, async |kiosk| kiosk.seal_bundle(sha256).await) {
        Ok(seal) => return Ok(seal),
        Err(error) => error,
    };
    let sealed = writer.as_ref().map_err(Clone::clone).and_then(|writer| {
        let holder = Holder::User { uid: rustix::process::getuid().as_raw() };
        let seal = writer.seal(sha256.clone(), holder).map_err(|error| error.to_string())?;
        seal.ok_or_else(|| "the configuration has no signing_key".into())
    });
    sealed.map_err(|why| format!("{why}; {by_the_kiosk}"))
}

/// What the running kiosk says of itself, and its id.
fn running(arguments: &Arguments, archive: &mut Archive) -> Option<String> {
    match ask(arguments, async |kiosk| kiosk.report().await) {
        Ok(report) => {
            let document = report.json();
            archive.json("status.json", &document);
            archive.text("status.txt", &format!("{report}\n"));
            document["kiosk"].as_str().map(str::to_owned)
        }
        Err(error) => {
            archive.without("status.json", error);
            None
        }
    }
}

/// The configuration without its secrets, the kiosk's id by it, and its key to sign the manifest with, or why that
/// can't be had.
fn configuration(
    path: &Path,
    text: std::io::Result<Vec<u8>>,
    archive: &mut Archive,
) -> (Option<String>, Result<Writer, String>) {
    let bytes = match text {
        Ok(bytes) => bytes,
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            archive.without("configuration.json", &why);
            return (None, Err(why));
        }
    };
    let checked = check::parse(path, &bytes);
    bundle::configuration(path, &bytes, checked.as_ref(), archive);
    match checked {
        Ok(config) => {
            let writer = kiosk::writer(&config).map_err(|error| unread(&error).to_owned());
            (Some(config.kiosk.id), writer)
        }
        Err(_) => (None, Err("the configuration is not right: kioskd check says what to write".into())),
    }
}

/// Without the key's place, which may be the key itself, written where its place belongs.
fn unread(error: &KeyError) -> &'static str {
    match error {
        KeyError::NoCredential(_) => "systemd hands the signing_key to the daemon alone",
        KeyError::Open { .. } => "others than its owner may read the signing_key, so it is not used",
        KeyError::Read { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "this user may not read the signing_key; take sudo"
        }
        KeyError::Read { .. } => "the signing_key can't be read",
        KeyError::Source | KeyError::Malformed { .. } => "the signing_key is not what it should be",
    }
}

fn journal(archive: &mut Archive, name: &str, whose: &[&str]) {
    let mut journalctl = Command::new("journalctl");
    journalctl.args(whose).args(["--lines", JOURNAL_LINES, "--no-pager", "--output", "short-iso-precise"]);
    match journalctl.stdin(Stdio::null()).output() {
        Ok(told) if told.status.success() => archive.text(name, &String::from_utf8_lossy(&told.stdout)),
        Ok(told) => archive.without(name, String::from_utf8_lossy(&told.stderr).trim()),
        Err(error) => archive.without(name, format!("journalctl: {error}")),
    }
}
