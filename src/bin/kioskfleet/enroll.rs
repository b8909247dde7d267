//! `kioskfleet enroll`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use kioskd::console::{complain, say};
use kioskd::fleet::enroll::issue::{self, Issued, Order, Setup};
use kioskd::fleet::enroll::request;
use kioskd::fleet::link::Broker;
use kioskd::kiosk::check;

#[derive(Args)]
pub struct Arguments {
    /// The CA that the broker believes.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Its private key.
    #[arg(long, value_name = "FILE")]
    ca_key: PathBuf,
    /// What `kioskd enroll` has printed at the machine; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Whose commands the machine is to obey.
    #[arg(long, value_name = "FILE", required_unless_present = "renew")]
    keyset: Option<PathBuf>,
    /// The public key of who signs keysets.
    #[arg(long, value_name = "FILE", required_unless_present = "renew")]
    root: Option<PathBuf>,
    /// mqtts://HOST:PORT, as the machine reaches it.
    #[arg(long, value_name = "URL", required_unless_present = "renew")]
    broker: Option<String>,
    /// The public key of the back end, whose acknowledgements count; its file's name is the key's.
    #[arg(long, value_name = "FILE")]
    back_end: Option<PathBuf>,
    /// A configuration, of which the machine gets its own.
    #[arg(long, value_name = "FILE", required_unless_present = "renew")]
    template: Option<PathBuf>,
    /// How long the certificate is valid.
    #[arg(long, value_name = "N", default_value_t = 397, value_parser = clap::value_parser!(u16).range(1..=i64::from(issue::MOST_DAYS)))]
    days: u16,
    /// The register of machines: KIOSK.pem of each, and a folder with what it was given.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Renew the certificate of a machine that is in the register, and nothing else.
    #[arg(long, conflicts_with_all = ["keyset", "root", "broker", "back_end", "template"])]
    renew: bool,
}

impl Arguments {
    pub fn enroll(self) -> anyhow::Result<()> {
        let Self { ca, ca_key, request, keyset, root, broker, back_end, template, days, out, renew } = self;
        let setup = match (keyset, root, broker, template) {
            (Some(keyset), Some(root), Some(broker_url), Some(template)) if !renew => {
                let broker: Broker = broker_url.parse().context("--broker")?;
                Some(Setup { keyset, root, broker, broker_url, back_end, template })
            }
            _ => None,
        };
        let request = read(&request).context("--request")?;
        let issued = issue::issue(&Order { ca, ca_key, request, days, out, setup }, check::parse)?;
        let Issued { of, fingerprint, line, folder, until, unchecked } = issued;
        for what in unchecked {
            complain(format_args!("to be checked on the machine: {what}"));
        }
        complain(format_args!("machine: {of}, certified until {until}"));
        complain(format_args!("fingerprint: {fingerprint}; it must be the one that the machine shows"));
        complain(format_args!("folder: {}", folder.display()));
        if !renew {
            complain(format_args!(
                "access list: nothing to add where it has the patterns of configs/mosquitto.acl; else add {}",
                folder.join("access.acl").display()
            ));
        }
        complain("paste this line at the machine:");
        Ok(say(format_args!("echo {line} | sudo -u kioskd kioskd enroll --accept -"))?)
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than allowed is enough to know.
    let most = request::LONGEST as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}
