//! `kioskfleet collect`.

use std::path::PathBuf;

use clap::Args;
use kioskd::fleet::collector::{self, Settings};
use kioskd::fleet::topic::Name;
use kioskd::signed::keys::KeySource;

use crate::broker::{Tls, key_source};
use crate::name;
use crate::place::PlaceArguments;

#[derive(Args)]
pub struct Arguments {
    /// mqtts://HOST:PORT, or mqtt://HOST:PORT without TLS; the nodes of one cluster with commas between them. Once for each of
    /// several brokers.
    #[arg(long = "broker", value_name = "URL", required = true)]
    brokers: Vec<String>,
    #[command(flatten)]
    tls: Tls,
    /// The fleet's name, as in the topics.
    #[arg(long, value_parser = name)]
    fleet: Name,
    /// This collector's own name: of several each has another. Without it, the machine's.
    #[arg(long, value_parser = name)]
    name: Option<Name>,
    /// Where the kiosks' public keys are, KIOSK.pem each. With it only what the kiosks have signed for is believed.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The private key that signs acknowledgements; its file's name is the key's. Or credential:NAME, from systemd.
    #[arg(long, value_name = "FILE", value_parser = key_source)]
    sign: Option<KeySource>,
    #[command(flatten)]
    place: PlaceArguments,
}

impl Arguments {
    pub fn collect(self) -> anyhow::Result<()> {
        let place = self.place.place()?;
        let Self { brokers, tls, fleet, name, keys, sign, .. } = self;
        let name = name.unwrap_or_else(machine);
        let identity = tls.identity();
        Ok(collector::collect(&Settings { brokers, ca: tls.ca, identity, fleet, name, keys, sign, place })?)
    }
}

/// What this machine is called, as a name.
fn machine() -> Name {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let plain: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(Name::MAX).collect();
    Name::parse(&plain).unwrap_or_else(|_| Name::parse("collector").expect("letters are a name"))
}
