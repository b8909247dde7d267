//! The fleet manager's command line. Everything it does is in the library.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use kioskd::console::{complain, say};
use kioskd::fleet::gateway::{self, RunError};
use kioskd::fleet::office::{self, KeyChoice, Sent, Target, Wanted};
use kioskd::fleet::topic::Name;
use kioskd::kiosk::contract;
use kioskd::operation::KeyName;
use kioskd::signed::keys::KeySource;
use kioskd::vocabulary::error_chain;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The back end of a fleet of kiosks.
#[derive(Parser)]
#[command(name = "kioskfleet", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Hold the merchant's keys, and ask the providers for the kiosks.
    Gateway {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print the contract between kiosks and their back end: every message, as an AsyncAPI 3 document.
    Contract,
    /// Make an Ed25519 key pair: NAME.key, which stays where it is used, and NAME.pem, which everybody may have.
    Keygen {
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A kiosk's name, or any other.
        #[arg(value_parser = name)]
        name: Name,
    },
    /// Make a keyset: whose commands the kiosks of a fleet obey. The root signs it; keep the root off every network.
    Keyset {
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
    },
    /// Send a signed command to a kiosk, or to all of a fleet, and print what comes of it.
    ///
    /// Ends well only when it was done. Verbs and their arguments are in docs/fleet.md.
    Send(SendArguments),
}

#[derive(Args)]
struct SendArguments {
    /// mqtts://HOST:PORT, or mqtt://HOST:PORT without TLS.
    #[arg(long, value_name = "URL")]
    broker: String,
    /// With TLS: the CA that certifies the broker, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With TLS: your own certificate; needs its key.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
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
    /// Seconds to wait for the end of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Seconds after which the kiosk refuses it, if it knows the time.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires: u64,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
    /// What it is to do: lock, unlock, set-stock, vend and others.
    verb: String,
    /// What the verb has beside it.
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
}

fn key_name(text: &str) -> Result<KeyName, String> {
    KeyName::parse(text).ok_or_else(|| "write 1 to 64 letters, digits, `_`, `-` and `.`".into())
}

fn target(text: &str) -> Result<Target, String> {
    if text == "all" { Ok(Target::All) } else { name(text).map(Target::Kiosk) }
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    log_to_stderr();
    match act(verb) {
        Ok(code) => code,
        Err(error) => {
            match error.downcast_ref() {
                // The report is in the form FILE:LINE:COL; nothing is put before it.
                Some(RunError::Config(error)) => complain(error),
                _ => complain(format_args!("kioskfleet: {}", error_chain(error.as_ref()))),
            }
            ExitCode::FAILURE
        }
    }
}

fn act(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Gateway { config } => gateway::run(&config)?,
        Verb::Contract => say(contract::text().trim_end())?,
        Verb::Keygen { out, name } => {
            let gateway::Pair { private, public } = gateway::keygen(&out, &name)?;
            say(format_args!("private: {}\npublic: {}", private.display(), public.display()))?;
        }
        Verb::Keyset { root, fleet, version, keys, revoke, out } => {
            office::make_keyset(&root, &fleet, version, &keys, revoke, &out)?;
            say(format_args!("keyset: {}", out.display()))?;
        }
        Verb::Send(arguments) => return command(arguments),
    }
    Ok(ExitCode::SUCCESS)
}

fn command(arguments: SendArguments) -> anyhow::Result<ExitCode> {
    let SendArguments { broker, ca, cert, key, fleet, kiosk, sign, kid, kiosk_key, timeout, expires, .. } = arguments;
    let wanted = Wanted {
        broker,
        ca,
        identity: cert.zip(key.map(KeySource::File)),
        fleet,
        target: kiosk,
        sign,
        kid,
        kiosk_key,
        verb: arguments.verb,
        arguments: arguments.arguments,
        timeout: Duration::from_secs(timeout),
        expires: Duration::from_secs(expires),
        json: arguments.json,
    };
    match office::send(&wanted, |line| say(format_args!("{line}")))? {
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

fn log_to_stderr() {
    // Libraries speak only when something is wrong with them.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("kioskd", LevelFilter::INFO);
    let writer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // There is nowhere else to say that standard error can't be written.
        .log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(writer).init();
}
