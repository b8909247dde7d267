//! `kioskfleet inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kioskd::console::{Table, say};
use kioskd::fleet::collector::{Collected, Inspected, Machine};
use kioskd::fleet::inspection::Inspection;
use kioskd::fleet::office::{self, Expected, ExpectedConfig, Judged, Known, Question};
use kioskd::fleet::topic::Name;
use kioskd::operation::Digest;
use kioskd::signed::keys::KeySource;
use kioskd::signed::statement::Statement;
use kioskd::vocabulary::{one_line, plural};
use serde_json::json;

use crate::broker::Tls;
use crate::machines::now;
use crate::name;
use crate::place::CollectedArguments;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    collected: CollectedArguments,
    #[command(flatten)]
    asked: AskArguments,
    /// The machines' public keys, KIOSK.pem each. With --broker the machines are those; without it the signatures are checked once more.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// A file with the names of the machines that there should be, one a line.
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// The version of the software that they should have.
    #[arg(long, value_name = "VERSION")]
    software: Option<String>,
    /// The configuration that they should have: its file, its SHA-256, or a directory with a KIOSK.toml of each.
    #[arg(long, value_name = "CONFIG")]
    config: Option<String>,
    /// The version of the keyset that they should have, or its file.
    #[arg(long, value_name = "KEYSET")]
    keyset: Option<String>,
    /// Hours without a message, or without an inspection, after which a machine is silent.
    #[arg(long, value_name = "HOURS", default_value_t = 48)]
    silent: u32,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
}

/// How the machines are asked themselves.
#[derive(Args)]
pub struct AskArguments {
    /// Ask the machines over this broker, by a command to all, in place of the collector's database.
    #[arg(long, value_name = "URL", requires = "sign", conflicts_with_all = ["state", "database"])]
    broker: Option<String>,
    #[command(flatten)]
    tls: Tls,
    /// With --broker: the private key that signs the command; its counter stands beside it, in FILE.counter.
    #[arg(long, value_name = "FILE", requires = "broker")]
    sign: Option<PathBuf>,
    /// The key's name in the keyset, where it is not the file's.
    #[arg(long, value_name = "NAME", requires = "sign")]
    kid: Option<String>,
    /// With --broker: seconds to wait for answers; it ends sooner when all have answered.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

impl AskArguments {
    pub fn is_wanted(&self) -> bool {
        self.broker.is_some()
    }

    /// What they ask; `None`: the database is read.
    pub fn question(&self, fleet: Option<&Name>, keys: Option<&Path>) -> anyhow::Result<Option<Question>> {
        let (Some(broker), Some(sign)) = (&self.broker, &self.sign) else { return Ok(None) };
        let access = office::Access { broker: broker.clone(), identity: self.tls.identity(), ca: self.tls.ca.clone() };
        let fleet = fleet.context("write --fleet, the fleet's name as in the topics")?.clone();
        let keys = keys.context(
            "write --keys, a directory with KIOSK.pem of each machine: what nobody has signed is not believed",
        )?;
        let wait = Duration::from_secs(self.wait);
        Ok(Some(Question { access, fleet, sign: sign.clone(), kid: self.kid.clone(), keys: keys.into(), wait }))
    }
}

impl Arguments {
    pub fn inspect(&self) -> anyhow::Result<ExitCode> {
        let expected = self.expected()?;
        let listed = self.listed()?;
        let question = self.asked.question(self.collected.fleet(), self.keys.as_deref())?;
        let mut known = match &question {
            Some(question) => answered(question)?,
            None => self.stored(&mut self.collected.open()?)?,
        };
        office::listed(&mut known, &listed);
        let silent = Duration::from_secs(u64::from(self.silent) * 3_600);
        let judged = office::judge(&known, &expected, silent, now());
        let (all, found): (usize, Vec<Judged>) =
            (judged.len(), judged.into_iter().filter(|judged| !judged.is_well()).collect());
        self.tell(all, &found)?;
        Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn tell(&self, all: usize, found: &[Judged]) -> anyhow::Result<()> {
        if self.json {
            return Ok(found.iter().try_for_each(|judged| say(json!(judged)))?);
        }
        let rows = found.iter().flat_map(|judged| {
            let rows = |what: &'static str, why: &[String]| -> Vec<[String; 3]> {
                why.iter().map(|why| [judged.kiosk.clone(), what.to_owned(), one_line(why).collect()]).collect()
            };
            let silent: Vec<String> = judged.silent.iter().cloned().collect();
            [rows("faulty", &judged.faulty), rows("non-compliant", &judged.non_compliant), rows("silent", &silent)]
                .concat()
        });
        let rows: Vec<[String; 3]> = rows.collect();
        if !rows.is_empty() {
            say(Table::new(["KIOSK", "IS", "WHY"], rows))?;
        }
        let count = |of: fn(&Judged) -> bool| found.iter().filter(|judged| of(judged)).count();
        say(format_args!(
            "{}, {} faulty, {} non-compliant, {} silent",
            plural(all as u64, "machine"),
            count(|judged| !judged.faulty.is_empty()),
            count(|judged| !judged.non_compliant.is_empty()),
            count(|judged| judged.silent.is_some())
        ))?;
        Ok(())
    }

    /// By what the collector has stored.
    fn stored(&self, collected: &mut Collected) -> anyhow::Result<BTreeMap<String, Known>> {
        let mut all = BTreeMap::new();
        collected.machines::<anyhow::Error>(|machine| {
            let known = Known { heard_ms: machine.heard_ms, inspection: None, doubts: doubts(&machine) };
            all.insert(machine.kiosk, known);
            Ok(())
        })?;
        collected.inspections::<anyhow::Error>(|Inspected { kiosk, message, heard_ms }| {
            let known: &mut Known = all.entry(kiosk.clone()).or_default();
            let opened = match &self.keys {
                None => {
                    office::unverified(message.as_bytes()).and_then(|content| serde_json::from_slice(&content).ok())
                }
                Some(keys) => {
                    let key = KeySource::File(keys.join(format!("{kiosk}.pem"))).signers_key();
                    key.ok().and_then(|key| Inspection::open(message.as_bytes(), &key).ok()).map(|(said, _)| said)
                }
            };
            match opened {
                Some(inspection) => known.inspection = Some((inspection, heard_ms)),
                None => known.doubts.push("its stored inspection is not signed by its key".into()),
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn expected(&self) -> anyhow::Result<Expected> {
        let config = self.config.as_ref().map(|config| -> anyhow::Result<ExpectedConfig> {
            let path = Path::new(config);
            Ok(match Digest::parse(config) {
                Some(digest) => ExpectedConfig::All(digest),
                None if path.is_dir() => ExpectedConfig::Each(path.into()),
                None => ExpectedConfig::All(Digest::of(&std::fs::read(path).with_context(|| config.clone())?)),
            })
        });
        let keyset = self.keyset.as_ref().map(|keyset| -> anyhow::Result<u64> {
            if let Ok(version) = keyset.parse() {
                return Ok(version);
            }
            let message = std::fs::read(keyset).with_context(|| keyset.clone())?;
            office::keyset_version(&message).with_context(|| format!("{keyset} is no keyset"))
        });
        Ok(Expected { software: self.software.clone(), config: config.transpose()?, keyset: keyset.transpose()? })
    }

    fn listed(&self) -> anyhow::Result<BTreeSet<String>> {
        let Some(file) = &self.machines else { return Ok(BTreeSet::new()) };
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| name(line).map(|name| name.to_string()).map_err(anyhow::Error::msg)).collect()
    }
}

/// Why a machine's key or ledger is doubtful.
fn doubts(machine: &Machine) -> Vec<String> {
    let mut doubts = Vec::new();
    if machine.refused > 0 {
        let why = machine.refused_why.as_deref().unwrap_or_default();
        let count = machine.refused.unsigned_abs();
        doubts.push(format!("{} in its name not believed, the last: {why}", plural(count, "message")));
    }
    if machine.ledgers.iter().any(|ledger| ledger.forks > 0) {
        doubts.push("its ledger was copied".into());
    }
    doubts
}

/// By what the machines answer now.
fn answered(question: &Question) -> anyhow::Result<BTreeMap<String, Known>> {
    let now = now();
    let known = office::ask(question)?.into_iter().map(|(kiosk, answer)| {
        let heard = answer.is_heard();
        let refused = answer.refused.map(|why| format!("it does not let itself be inspected: {why}"));
        let forged = (answer.forged > 0)
            .then(|| format!("{} in its name not signed by its key", plural(answer.forged, "message")));
        let known = Known {
            heard_ms: if heard { now } else { 0 },
            inspection: answer.inspection.map(|inspection| (inspection, now)),
            doubts: refused.into_iter().chain(forged).collect(),
        };
        (kiosk.to_string(), known)
    });
    Ok(known.collect())
}
