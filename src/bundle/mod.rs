//! Everything that support needs of a kiosk, in one file.
//!
//! Policy: it never fails for one part that can't be had: the manifest says what is left out and why. Nothing of it is a secret: of
//! the configuration goes what [`config::shown`] lets through, whatever it keeps back goes nowhere else either, and of a
//! configuration's mistakes go their places alone, for the message may repeat what was written.
//!
//! `kioskctl` makes one of what its user may read, and the daemon one of what it may read itself, for the fleet.

mod archive;

use std::fs;
use std::path::Path;

use rustix::system::uname;
use serde_json::{Value, json};

pub use archive::{Archive, FOLDER, MANIFEST, Packed, SEAL, SYSTEM};

use crate::config::{self, Config, ConfigError, Redaction};
use crate::ledger::{LedgerError, OperationLine, Reader, Table};
use crate::operation::{Operation, Outcome, Refusal};
use crate::probe::probe;

/// Of orders and operations so many of the newest.
const NEWEST: usize = 100;
/// Open claims are told in full up to so many.
const STORIES: usize = 50;

/// What is kept back: what the configuration keeps back, and each that somebody has sent lately, for what became of it may repeat
/// what was written in it.
pub fn redaction(configuration: &[u8], reader: Option<&Reader>) -> Redaction {
    let sent = reader.and_then(|reader| reader.operations(NEWEST).ok()).into_iter().flatten();
    sent.fold(Redaction::of(configuration), |redaction, line| match &line.asked {
        Operation::ApplyConfig { config } => redaction.and(config.as_str().as_bytes()),
        _ => redaction,
    })
}

/// What the ledger tells. `checked`: with more records than this it is not checked, because that takes long.
pub fn ledger(reader: &Reader, checked: u64, archive: &mut Archive) {
    let mut put = |name: &str, answer: Result<Value, LedgerError>| match answer {
        Ok(document) => archive.json(name, &document),
        Err(error) => archive.without(name, error),
    };
    put("orders.json", reader.orders(NEWEST));
    let operations = reader.operations(NEWEST);
    put("operations.json", operations.map(|lines| json!({ "operations": lines.iter().map(told).collect::<Value>() })));
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
    match reader.records() {
        Ok(records) if records > checked => {
            let why = format!("the ledger has {records} records, and checking them takes long: kioskctl verify does");
            archive.without("verify.json", why);
        }
        _ => archive.json("verify.json", &verified(reader)),
    }
    for order in open {
        let name = format!("claims/{order}.txt");
        match reader.why(Some(&order)) {
            Ok(Some(story)) => archive.text(&name, &format!("{story}\n")),
            Ok(None) => {}
            Err(error) => archive.without(&name, error),
        }
    }
}

fn verified(reader: &Reader) -> Value {
    match reader.verify() {
        Ok(end) => {
            let mut holds = end.json();
            holds["holds"] = true.into();
            holds
        }
        Err(error) => json!({ "holds": false, "why": error.to_string() }),
    }
}

/// Of a configuration that somebody has sent, what may be shown; and of its mistakes their places.
fn told(line: &OperationLine) -> Value {
    let mut told = json!(line);
    if let Operation::ApplyConfig { config } = &line.asked {
        told["asked"]["config"] = config::shown(config.as_str().as_bytes()).unwrap_or_else(|| "(no TOML)".into());
    }
    if let Some(Outcome::Refused { why: Refusal::BadConfig { problems } }) = &line.outcome {
        told["outcome"]["why"]["problems"] = problems.iter().map(|problem| place(problem)).collect();
    }
    told
}

/// Of `FILE:LINE:COL: what is wrong`.
fn place(problem: &str) -> &str {
    let place = problem.find(": ").map_or("", |end| &problem[..end]);
    let numbers = place.rsplit(':').take(2);
    let known = numbers.filter(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()));
    if known.count() == 2 { place } else { "" }
}

/// The configuration without its secrets, and what a check says of it.
pub fn configuration(path: &Path, text: &[u8], checked: Result<&Config, &ConfigError>, archive: &mut Archive) {
    match config::shown(text) {
        Some(shown) => archive.json("configuration.json", &shown),
        None => archive.without("configuration.json", format!("{} is no TOML", path.display())),
    }
    match checked {
        Ok(_) => archive.json("check.json", &json!({ "file": path, "right": true })),
        Err(error) => {
            let places: Vec<Value> = match error {
                ConfigError::Wrong { problems, .. } => {
                    problems.iter().map(|problem| json!({ "line": problem.line, "column": problem.column })).collect()
                }
                ConfigError::Read { .. } => Vec::new(),
            };
            archive.json("check.json", &json!({ "file": path, "right": false, "wrong_at": places }));
        }
    }
}

/// The system it runs on, and what is connected.
pub fn machine(state: &Path, archive: &mut Archive) {
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
    archive.text("devices.txt", &format!("{}\n", probe(false)));
}
