//! Everything that support needs of a kiosk, in one file.
//!
//! Policy: it never fails for one part that can't be had: the manifest says what is left out and why. Nothing of it is a secret: of
//! the configuration goes what [`kioskd::config::shown`] lets through, and of its mistakes their places alone, for the message may
//! repeat what was written.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use jiff::Timestamp;
use kioskd::config::{self, ConfigError};
use kioskd::console::{complain, say};
use kioskd::dbus::Writer;
use kioskd::kiosk::{self, check};
use kioskd::ledger::{Reader, Table};
use kioskd::operation::Digest;
use kioskd::probe::probe;
use kioskd::signed::keys::KeyError;
use rustix::system::uname;
use serde_json::{Value, json};

use crate::archive::Archive;
use crate::arguments::Arguments;
use crate::running::ask;

/// Of orders and operations so many of the newest.
const NEWEST: usize = 100;
/// Open claims are told in full up to so many.
const STORIES: usize = 50;
const JOURNAL_LINES: &str = "1000";

pub fn make(arguments: &Arguments, config: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let mut archive = Archive::default();
    let kiosk = running(arguments, &mut archive);
    match Reader::open(&arguments.state) {
        Ok(reader) => ledger(&reader, &mut archive),
        Err(error) => archive.without("ledger", error),
    }
    let (named, writer) = configuration(config, &mut archive);
    machine(&arguments.state, &mut archive);
    journal(&mut archive, "journal.txt", &["--unit", "kioskd"]);
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
    let seal = |sha256: &Digest| seal(arguments, sha256, writer);
    let manifest = archive.write(&into, facts, seal, now.as_second().unsigned_abs())?;
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

/// The running kiosk's word for the manifest, or one by its key where the caller may read it. Or why there is none.
fn seal(arguments: &Arguments, sha256: &Digest, writer: Result<Writer, String>) -> Result<String, String> {
    let by_the_kiosk = match ask(arguments, async |kiosk| kiosk.seal_bundle(sha256).await) {
        Ok(seal) => return Ok(seal),
        Err(error) => error,
    };
    let sealed = writer.and_then(|writer| {
        let seal =
            writer.seal(sha256.clone(), rustix::process::getuid().as_raw()).map_err(|error| error.to_string())?;
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
            archive.text("status.txt", format!("{report}\n"));
            document["kiosk"].as_str().map(str::to_owned)
        }
        Err(error) => {
            archive.without("status.json", error);
            None
        }
    }
}

fn ledger(reader: &Reader, archive: &mut Archive) {
    let mut put = |name: &str, answer: Result<Value, kioskd::ledger::LedgerError>| match answer {
        Ok(document) => archive.json(name, &document),
        Err(error) => archive.without(name, error),
    };
    put("orders.json", reader.orders(NEWEST));
    put("operations.json", reader.operations(NEWEST).map(|lines| json!({ "operations": lines })));
    put("stock.json", reader.table(Table::Stock).map(|rows| rows.json()));
    let claims = reader.table(Table::Claims).map(|rows| rows.json());
    let open: Vec<String> = claims
        .as_ref()
        .ok()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|claim| claim["id"].as_str().map(str::to_owned))
        .take(STORIES)
        .collect();
    put("claims.json", claims);
    put("report.json", reader.cash_up(0).map(|report| report.map_or(Value::Null, |report| report.json())));
    let verified = match reader.verify() {
        Ok(end) => {
            let mut holds = end.json();
            holds["holds"] = true.into();
            holds
        }
        Err(error) => json!({ "holds": false, "why": error.to_string() }),
    };
    put("verify.json", Ok(verified));
    for order in open {
        let name = format!("claims/{order}.txt");
        match reader.why(Some(&order)) {
            Ok(Some(story)) => archive.text(&name, format!("{story}\n")),
            Ok(None) => {}
            Err(error) => archive.without(&name, error),
        }
    }
}

/// The configuration without its secrets, the kiosk's id by it, and its key to sign the manifest with, or why that
/// can't be had.
fn configuration(path: &Path, archive: &mut Archive) -> (Option<String>, Result<Writer, String>) {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            archive.without("configuration.json", &why);
            return (None, Err(why));
        }
    };
    match config::shown(&bytes) {
        Some(shown) => archive.json("configuration.json", &shown),
        None => archive.without("configuration.json", format!("{} is no TOML", path.display())),
    }
    match check::parse(path, &bytes) {
        Ok(config) => {
            archive.json("check.json", &json!({ "file": path, "right": true }));
            let writer = kiosk::writer(&config).map_err(|error| unread(&error).to_owned());
            (Some(config.kiosk.id), writer)
        }
        Err(error) => {
            let places: Vec<Value> = match &error {
                ConfigError::Wrong { problems, .. } => {
                    problems.iter().map(|problem| json!({ "line": problem.line, "column": problem.column })).collect()
                }
                ConfigError::Read { .. } => Vec::new(),
            };
            archive.json("check.json", &json!({ "file": path, "right": false, "wrong_at": places }));
            (None, Err("the configuration is not right: kioskd check says what to write".into()))
        }
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

/// The system it runs on, and what is connected.
fn machine(state: &Path, archive: &mut Archive) {
    let name = uname();
    let kernel = [name.sysname(), name.release(), name.version(), name.machine()].map(|text| text.to_string_lossy());
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim_matches(['\0', '\n']).to_owned());
    let lines = |path: &str, wanted: &[&str]| -> Option<Vec<String>> {
        let text = read(path)?;
        let known = |line: &&str| wanted.iter().any(|key| line.starts_with(key));
        Some(text.lines().filter(known).map(str::to_owned).collect())
    };
    let disk = rustix::fs::statvfs(state).ok().map(|disk| {
        json!({ "bytes": disk.f_blocks * disk.f_frsize, "free": disk.f_bavail * disk.f_frsize, "inodes_free": disk.f_favail })
    });
    archive.json(
        "machine.json",
        &json!({
            "kernel": kernel,
            "system": lines("/etc/os-release", &["PRETTY_NAME=", "VERSION_ID="]),
            "board": read("/proc/device-tree/model"),
            "processors": std::thread::available_parallelism().ok().map(usize::from),
            "memory": lines("/proc/meminfo", &["MemTotal:", "MemAvailable:", "SwapTotal:"]),
            "load": read("/proc/loadavg"),
            "seconds_up": read("/proc/uptime"),
            "disk": disk,
        }),
    );
    // Nothing is moved by looking, and no bus is asked.
    archive.text("devices.txt", format!("{}\n", probe(false)));
}

fn journal(archive: &mut Archive, name: &str, whose: &[&str]) {
    let mut journalctl = Command::new("journalctl");
    journalctl.args(whose).args(["--lines", JOURNAL_LINES, "--no-pager", "--output", "short-iso-precise"]);
    match journalctl.stdin(Stdio::null()).output() {
        Ok(told) if told.status.success() => archive.text(name, String::from_utf8_lossy(&told.stdout)),
        Ok(told) => archive.without(name, String::from_utf8_lossy(&told.stderr).trim()),
        Err(error) => archive.without(name, format!("journalctl: {error}")),
    }
}
