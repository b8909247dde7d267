//! `kioskfleet send`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kioskd::console::{complain, say};
use kioskd::fleet::office::{self, Sent, Target, Wanted};
use kioskd::fleet::topic::Name;

use crate::broker::Broker;
use crate::name;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    broker: Broker,
    /// The fleet's name, as in the topics.
    #[arg(long, value_parser = name)]
    fleet: Name,
    /// The kiosk's name, or `all`.
    #[arg(long, value_name = "KIOSK", value_parser = target)]
    kiosk: Target,
    /// The private key that signs; its counter stands beside it, in FILE.counter.
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// The key's name in the keyset, where it is not the file's.
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// The kiosk's public key; then what it has not signed is ignored.
    #[arg(long, value_name = "FILE")]
    kiosk_key: Option<PathBuf>,
    /// Seconds to wait for the end of it, or for the next part of a file.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Seconds after which the kiosk refuses it, if it knows the time.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires: u64,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
    /// Of `screenshot`, `logs` and `bundle`: where the file goes that comes with the answer; `-` is standard output, and what is
    /// said of the command goes to standard error then.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// What it is to do: lock, unlock, set-stock, vend and others.
    verb: String,
    /// What the verb has beside it.
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
}

impl Arguments {
    pub fn send(self) -> anyhow::Result<ExitCode> {
        let Self { broker, fleet, kiosk, sign, kid, kiosk_key, timeout, expires, .. } = self;
        let wanted = Wanted {
            access: broker.access(),
            fleet,
            target: kiosk,
            sign,
            kid,
            kiosk_key,
            verb: self.verb,
            arguments: self.arguments,
            timeout: Duration::from_secs(timeout),
            expires: Duration::from_secs(expires),
            json: self.json,
            save: self.save,
        };
        let print = |line: &str| match wanted.to_standard_output() {
            true => {
                complain(format_args!("{line}"));
                Ok(())
            }
            false => say(format_args!("{line}")),
        };
        match office::send(&wanted, print)? {
            Sent::Successful => return Ok(ExitCode::SUCCESS),
            Sent::Failed => {}
            Sent::Silent => complain(format_args!(
                "kioskfleet: {} has not said within {timeout} s how it ended; it may have been done: look at its state and \
                 its events before you send it again",
                wanted.target
            )),
        }
        Ok(ExitCode::FAILURE)
    }
}

fn target(text: &str) -> Result<Target, String> {
    if text == "all" { Ok(Target::All) } else { name(text).map(Target::Kiosk) }
}
