//! `kioskfleet rollout` and `kioskfleet approve`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kioskd::console::{complain, say};
use kioskd::fleet::office::SigningKey;
use kioskd::fleet::rollout::{self, Came, Progress, Wanted, Watch};
use serde_json::Value;

use crate::broker::Broker;

/// It waits for a person.
const PAUSED: u8 = 3;
/// Of the bar on a terminal, in characters.
const WIDTH: usize = 30;

#[derive(Args)]
pub struct Arguments {
    /// The plan, a TOML file.
    plan: PathBuf,
    #[command(flatten)]
    broker: Broker,
    /// The private key that signs; its counter stands beside it, in FILE.counter.
    #[arg(long, value_name = "FILE")]
    sign: PathBuf,
    /// The key's name in the keyset, where it is not the file's.
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// Send what undoes it to every machine that may have been changed.
    #[arg(long)]
    undo: bool,
    /// Go on after the wave it has paused after.
    #[arg(long = "continue", conflicts_with = "undo")]
    proceed: bool,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Approval {
    /// The plan, a TOML file.
    plan: PathBuf,
    /// Your private key; the plan has its public half among its approval.keys.
    #[arg(long, value_name = "FILE")]
    sign: PathBuf,
    /// The key's name in the plan, where it is not the file's.
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
}

impl Arguments {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { plan, broker, sign, kid, undo, proceed, json } = self;
        let wanted = Wanted { plan, access: broker.access(), sign, kid, undo, proceed };
        let bar = std::io::stderr().is_terminal() && !json;
        let mut teller = Teller { json, bar, shown: None };
        let came = rollout::run(&wanted, &mut teller);
        teller.wipe();
        Ok(match came? {
            Came::Completed => ExitCode::SUCCESS,
            Came::Paused => PAUSED.into(),
            Came::Incomplete => {
                complain("kioskfleet: some have not said that it was undone; with --undo these are asked again");
                ExitCode::FAILURE
            }
            Came::Halted => {
                complain("kioskfleet: the rollout has halted; --undo takes back what was changed");
                ExitCode::FAILURE
            }
        })
    }
}

impl Approval {
    pub fn approve(self) -> anyhow::Result<()> {
        let Self { plan, sign, kid } = self;
        let digest = rollout::approve(&plan, &SigningKey::open(&sign, kid.as_deref())?)?;
        Ok(say(format_args!("approved: {digest}"))?)
    }
}

/// Says on standard output what stays, and on a terminal how far it is.
struct Teller {
    json: bool,
    bar: bool,
    shown: Option<Progress>,
}

impl Teller {
    fn wipe(&mut self) {
        if self.shown.take().is_some() {
            drop(write!(std::io::stderr(), "\r\x1b[K"));
        }
    }
}

impl Watch for Teller {
    fn say(&mut self, line: Option<&str>, document: &Value) -> std::io::Result<()> {
        if self.json {
            return say(document);
        }
        let Some(line) = line else { return Ok(()) };
        self.wipe();
        say(line)
    }

    fn progress(&mut self, progress: Progress) {
        if !self.bar || self.shown == Some(progress) {
            return;
        }
        let Progress { wave, waves, machines, asked, ended, successful } = progress;
        let full = WIDTH * ended / machines.max(1);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
        let text =
            format!("wave {wave} of {waves} [{bar}] asked {asked} of {machines}, successful {successful} of {ended}");
        drop(write!(std::io::stderr(), "\r\x1b[K{text}"));
        self.shown = Some(progress);
    }
}
