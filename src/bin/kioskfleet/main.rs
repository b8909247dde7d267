//! The fleet manager's command line: one file a verb. Everything it does is in the library.

mod broker;
mod collect;
mod enroll;
mod export;
mod inspect;
mod keyset;
mod machines;
mod place;
mod rollout;
mod send;
mod simulate;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kioskd::console::{complain, say};
use kioskd::fleet::gateway::{self, RunError};
use kioskd::fleet::topic::Name;
use kioskd::kiosk::contract;
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
    /// Store what the kiosks of a fleet tell, and acknowledge it: the back end as one command. See docs/collector.md.
    Collect(collect::Arguments),
    /// List the machines, as they were last heard.
    Ls(machines::LsArguments),
    /// Tell everything that is known of one machine.
    Show(machines::ShowArguments),
    /// The list in a terminal, always new.
    Watch(machines::LsArguments),
    /// List the machines that are faulty, those that are not what they should be, and the silent.
    ///
    /// By what the collector has stored, or with --broker by what the machines answer now. Ends with 1 when one is listed.
    Inspect(inspect::Arguments),
    /// Write events to a file: CSV, JSON lines or Parquet.
    Export(export::ExportArguments),
    /// Make every ledger's books again from the stored events, by the kiosks' public keys; tell whose chain breaks where.
    ///
    /// Ends well only when nothing is broken.
    Verify(export::VerifyArguments),
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
    Keyset(keyset::Arguments),
    /// Let a machine into the fleet: certify it, write its first configuration, and print the line to paste at it.
    ///
    /// At the machine `kioskd enroll` makes the request. With --renew the machine gets a new certificate and nothing else.
    Enroll(enroll::Arguments),
    /// Send a signed command to a kiosk, or to all of a fleet, and print what comes of it.
    ///
    /// Ends well only when it was done. Verbs and their arguments are in docs/fleet.md.
    Send(send::Arguments),
    /// Send a command to many kiosks, wave by wave, as a plan says; halt when too few say that they have done it.
    ///
    /// What was done stands beside the plan, in PLAN.state: typed again it goes on from there. docs/rollout.md has plans.
    /// Ends with 0 when it is complete, with 3 when it waits for --continue, and with 1 when it has halted.
    Rollout(rollout::Arguments),
    /// Run a fleet of simulated machines: the real sale, a real ledger and a real connection each.
    ///
    /// For load, and for trying a rollout. The office's key and everybody's public keys are in DIR/keys.
    Simulate(simulate::Arguments),
    /// Approve the plan of a rollout as it stands, with your own key; somebody else starts it.
    Approve(rollout::Approval),
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
        Verb::Collect(arguments) => arguments.collect()?,
        Verb::Ls(arguments) => return arguments.list(),
        Verb::Show(arguments) => return arguments.show(),
        Verb::Watch(arguments) => return watch::watch(&arguments),
        Verb::Inspect(arguments) => return arguments.inspect(),
        Verb::Export(arguments) => return arguments.export(),
        Verb::Verify(arguments) => return arguments.verify(),
        Verb::Contract => say(contract::text().trim_end())?,
        Verb::Keygen { out, name } => {
            let gateway::Pair { private, public } = gateway::keygen(&out, &name)?;
            say(format_args!("private: {}\npublic: {}", private.display(), public.display()))?;
        }
        Verb::Keyset(arguments) => arguments.make()?,
        Verb::Enroll(arguments) => arguments.enroll()?,
        Verb::Send(arguments) => return arguments.send(),
        Verb::Rollout(arguments) => return arguments.run(),
        Verb::Simulate(arguments) => return arguments.simulate(),
        Verb::Approve(arguments) => arguments.approve()?,
    }
    Ok(ExitCode::SUCCESS)
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
