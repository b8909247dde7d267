//! `kioskfleet keyset`.

use std::path::PathBuf;

use clap::Args;
use kioskd::console::say;
use kioskd::fleet::office::{self, KeyChoice};
use kioskd::fleet::topic::Name;
use kioskd::operation::KeyName;

use crate::name;

#[derive(Args)]
pub struct Arguments {
    /// The root's private key, as `keygen` makes it.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Its name, as in the topics.
    #[arg(long, value_parser = name)]
    fleet: Name,
    /// Higher than that of the keyset before.
    #[arg(long, value_name = "N")]
    version: u64,
    /// A key, its public half and its roles: sell, config, update; two at least.
    #[arg(long = "key", value_name = "NAME=FILE.pem:ROLE,ROLE", required = true)]
    keys: Vec<KeyChoice>,
    /// The name of a key that is not to be used any more.
    #[arg(long, value_name = "NAME", value_parser = key_name)]
    revoke: Vec<KeyName>,
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Arguments {
    pub fn make(self) -> anyhow::Result<()> {
        let Self { root, fleet, version, keys, revoke, out } = self;
        office::make_keyset(&root, &fleet, version, &keys, revoke, &out)?;
        Ok(say(format_args!("keyset: {}", out.display()))?)
    }
}

fn key_name(text: &str) -> Result<KeyName, String> {
    KeyName::parse(text).ok_or_else(|| "write 1 to 64 letters, digits, `_`, `-` and `.`".into())
}
