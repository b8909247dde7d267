//! What the verbs that speak over the broker say of it.

use std::path::PathBuf;

use clap::Args;
use kioskd::fleet::office::Access;
use kioskd::signed::keys::{KeyError, KeySource};

#[derive(Args)]
pub struct Broker {
    /// mqtts://HOST:PORT, or mqtt://HOST:PORT without TLS.
    #[arg(long, value_name = "URL")]
    broker: String,
    #[command(flatten)]
    tls: Tls,
}

/// With what a broker is spoken to in private.
#[derive(Args)]
pub struct Tls {
    /// With TLS: the CA that certifies the broker, in place of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// With TLS: your own certificate; needs its key.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, or credential:NAME, from systemd.
    #[arg(long, value_name = "FILE", requires = "cert", value_parser = key_source)]
    key: Option<KeySource>,
}

/// A path, or `file:PATH`, or `credential:NAME`.
pub fn key_source(text: &str) -> Result<KeySource, KeyError> {
    let is_named = ["file:", "credential:"].iter().any(|kind| text.starts_with(kind));
    if is_named { KeySource::parse(text) } else { Ok(KeySource::File(text.into())) }
}

impl Broker {
    pub fn access(self) -> Access {
        let Self { broker, tls } = self;
        Access { broker, identity: tls.identity(), ca: tls.ca }
    }
}

impl Tls {
    /// The client's certificate, and where its key is.
    pub fn identity(&self) -> Option<(PathBuf, KeySource)> {
        self.cert.clone().zip(self.key.clone())
    }
}
