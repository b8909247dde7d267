//! The daemon's command line. Everything it does is in the library.

#[path = "kioskd/season.rs"]
mod season;
#[path = "kioskd/tariff.rs"]
mod tariff;

use std::io::{IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kioskd::board::SafeReport;
use kioskd::console::{self, complain, say};
use kioskd::fleet::enroll;
use kioskd::fleet::topic::{Address, Name};
use kioskd::payment::probe::{Ending, ProbeRequest};
use kioskd::service::Log;
use kioskd::vocabulary::error_chain;
use kioskd::{board, config, kiosk, payment, probe, screen};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// An unattended point of sale: QR payment, relays, receipt, fleet.
#[derive(Parser)]
#[command(name = "kioskd", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Drive the machine that a configuration describes.
    Run {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The world of the simulated drivers.
        #[arg(long, value_name = "SOCKET")]
        world: Option<PathBuf>,
        /// The state directory, in place of the configuration's.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// The panel's size, in place of the configuration's.
        #[arg(long, value_name = "WxH", value_parser = panel)]
        panel: Option<(u32, u32)>,
        /// `mqtt://HOST:PORT` or `none`, in place of the configuration's.
        #[arg(long, value_name = "URL")]
        broker: Option<String>,
        /// A folder with `kiosk.key` and `back-end.pem`, for where the configuration has no `signing_key` or
        /// `back_end`.
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
    },
    /// A whole machine in a box, on a web page.
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// Check a configuration; nothing is started.
    Check { file: PathBuf },
    /// Make every relay inactive, whoever has died: for ExecStopPost. First what the last run has claimed, then what
    /// the configuration names. Says what it did, and ends with 1 if one may be on.
    RelaysSafe {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// What this machine has - screens, touch sensors, printers, lines, buses - each with a block of configuration
    /// ready to paste.
    Probe {
        /// Ask who answers on the I²C buses: reads one byte from each address. Not while a kiosk runs.
        #[arg(long)]
        i2c: bool,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Save what is on the screen as a PNG picture; root only.
    Screenshot { file: PathBuf },
    /// Ask to be let into a fleet, and take the answer. Private keys are made here, stay here, and are never overwritten.
    ///
    /// Without --accept it makes the keys that are not there and prints the request, which is no secret, for
    /// `kioskfleet enroll`. With it the office's answer is checked and written. docs/enroll.md tells the whole way.
    Enroll {
        #[arg(long, value_parser = name, required_unless_present = "accept", requires = "kiosk")]
        fleet: Option<Name>,
        /// What the machine is called.
        #[arg(long, value_name = "ID", value_parser = name, requires = "fleet")]
        kiosk: Option<Name>,
        /// Where keys, certificate and configuration are.
        #[arg(long, value_name = "DIR", default_value = "/etc/kioskd")]
        out: PathBuf,
        /// Write the request there, in place of standard output.
        #[arg(long, value_name = "FILE", requires = "fleet")]
        output: Option<PathBuf>,
        /// The office's answer; `-` is standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "fleet")]
        accept: Option<PathBuf>,
        /// Put the answer in the place of another configuration, keyset or root that is there.
        #[arg(long, requires = "accept")]
        replace: bool,
    },
    /// Print the JSON schema of the configuration.
    Schema,
    /// What a car park's tariff asks, and why.
    #[command(subcommand)]
    Tariff(tariff::Verb),
    /// Issue a season pass of a car park: the digits of its code, signed by the site's key, and the code to scan.
    ///
    /// Give each pass a number that none had; docs/parking.md says what a pass is good for.
    SeasonPass(season::Arguments),
    /// Make one smallest charge on a rail with its own keys, show its QR, poll, and close it or give it back: for the
    /// day the keys arrive.
    PayProbe {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The rail's kind, or its name.
        #[arg(long, value_name = "KIND")]
        rail: String,
        /// Seconds to wait for somebody to pay.
        #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(0..=120))]
        wait: u64,
    },
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let log = log();
    match act(verb, log) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("kioskd: {}", error_chain(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

fn act(verb: Verb, log: Log) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run { config, world, state, panel, broker, keys } => {
            match kiosk::run(&kiosk::Options { config, world, state, panel, broker, keys, log }) {
                Ok(kiosk::Ended::Stopped) => Ok(ExitCode::SUCCESS),
                Ok(kiosk::Ended::StartAnew) => Err(start_anew()).context("the kiosk could not start anew"),
                // The report is in the form FILE:LINE:COL; nothing is put before it.
                Err(kiosk::KioskError::Config(error)) => Ok(report(&error)),
                Err(error) => Err(error.into()),
            }
        }
        #[cfg(feature = "demo")]
        Verb::Demo(arguments) => demo::run(arguments),
        Verb::Check { file } => Ok(match kiosk::check::load(&file) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => report(&error),
        }),
        Verb::RelaysSafe { config } => Ok(relays_safe(&config)),
        Verb::Probe { i2c, json } => {
            let found = probe::probe(i2c);
            if json {
                say(serde_json::to_string_pretty(&found).context("what was found")?)?;
            } else {
                say(found.to_string().trim_end())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Screenshot { file } => {
            let picture = screen::drm::screenshot().context("the screen")?;
            picture.save(&file).with_context(|| format!("{}", file.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Enroll { fleet, kiosk, out, output, accept, replace } => match (accept, fleet.zip(kiosk)) {
            (Some(answer), _) => accepted(&out, &answer, replace),
            (None, Some((fleet, kiosk))) => ask(&out, &Address { fleet, kiosk }, output.as_deref()),
            (None, None) => anyhow::bail!("write --fleet and --kiosk, or --accept"),
        },
        Verb::Tariff(verb) => tariff::run(&verb),
        Verb::SeasonPass(arguments) => arguments.issue(),
        Verb::PayProbe { config, rail, wait } => pay_probe(&config, &rail, Duration::from_secs(wait)),
        Verb::Schema => {
            let schema = serde_json::to_string_pretty(&config::schema()).context("the schema")?;
            say(schema)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The same process, as it was started. Returns only where that fails; a service manager starts it then.
fn start_anew() -> std::io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    std::process::Command::new(program).args(std::env::args_os().skip(1)).exec()
}

fn relays_safe(config: &Path) -> ExitCode {
    if let Some(mut banner) = kiosk::banner::Banner::here() {
        banner.ended();
    }
    // By hand nobody says where the run's folder is but the configuration.
    let claims = board::Claims::here(|| kiosk::check::load(config).ok()?.dbus.instance);
    let safe = board::relays_safe(claims.as_ref(), config, |told| match told {
        // Whoever hears it or not: the next relay is to be made safe.
        SafeReport::Relay(relay) if relay.safe.is_ok() => drop(say(relay)),
        SafeReport::Relay(relay) => complain(relay),
        SafeReport::Claims(error) => complain(error),
        SafeReport::Config(error) => complain(error),
    });
    if safe { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Exit status 0 when every step went well.
fn pay_probe(file: &Path, name: &str, wait: Duration) -> anyhow::Result<ExitCode> {
    let config = match kiosk::check::load(file) {
        Ok(config) => config,
        Err(error) => return Ok(report(&error)),
    };
    let wanted = |rail: &&config::Rail| rail.name().as_str() == name || rail.provider.kind().as_str() == name;
    let names: Vec<String> = config.rails.iter().map(|rail| rail.name().to_string()).collect();
    let rail = config.rails.iter().find(wanted);
    let rail = rail.with_context(|| format!("there is no rail `{name}`; there are: {}", names.join(", ")))?;
    let rail = payment::open::provider(rail)?;
    let asked = ProbeRequest {
        currency: config.kiosk.currency,
        attach: format!("{}/{}", config.kiosk.fleet, config.kiosk.id),
        wait,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(match runtime.block_on(payment::probe::run(&*rail, &asked, &mut console::Out))? {
        Ending::Good => ExitCode::SUCCESS,
        Ending::Bad => ExitCode::FAILURE,
    })
}

/// Prints the request; all that is said beside it is for people.
fn ask(out: &Path, of: &Address, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let asked = enroll::machine::ask(out, of)?;
    for key in &asked.made {
        complain(format_args!("made: {}, which never leaves this machine", key.display()));
    }
    for key in &asked.kept {
        complain(format_args!("there already, and used: {}", key.display()));
    }
    complain(format_args!("fingerprint: {}", asked.fingerprint));
    match output {
        Some(path) => {
            std::fs::write(path, &asked.text).with_context(|| format!("{}", path.display()))?;
            complain(format_args!("carry {} to the office: kioskfleet enroll --request ...", path.display()));
        }
        None => {
            complain("carry what follows to the office: kioskfleet enroll --request ...");
            say(asked.text.trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Exit status 0 when the machine can be started with what came.
fn accepted(out: &Path, answer: &Path, replace: bool) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    // Twice what a line may have, for white space, and one byte more.
    let most = 2 * enroll::answer::LONGEST as u64 + 1;
    if answer == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut text).context("standard input")?;
    } else {
        let file = std::fs::File::open(answer).with_context(|| format!("{}", answer.display()))?;
        file.take(most).read_to_end(&mut text).with_context(|| format!("{}", answer.display()))?;
    }
    let accepted = enroll::machine::accept(out, &String::from_utf8_lossy(&text), replace)?;
    for path in &accepted.written {
        say(format_args!("written: {}", path.display()))?;
    }
    let file = &accepted.configuration;
    if let Err(error) = kiosk::check::load(file) {
        complain(&error);
        complain(format_args!(
            "{} is not ready: put that right, then type: kioskd check {}",
            accepted.of,
            file.display()
        ));
        return Ok(ExitCode::FAILURE);
    }
    say(format_args!("{} is ready; a new certificate counts from the next connection on", accepted.of))?;
    say("where the configuration is new, type: sudo systemctl restart kioskd")?;
    Ok(ExitCode::SUCCESS)
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn report(error: &config::ConfigError) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

fn panel(text: &str) -> Result<(u32, u32), String> {
    let (width, height) = text.split_once('x').ok_or("write WxH, like 1280x800")?;
    let side = |text: &str| match text.parse() {
        Ok(side @ 320..=4096) => Ok(side),
        _ => Err(format!("`{text}` is not a number of pixels from 320 to 4096")),
    };
    Ok((side(width)?, side(height)?))
}

/// To the journal where systemd has started it, else to standard error; and kept, the newest of it.
fn log() -> Log {
    // Libraries speak only when something is wrong with them.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("kioskd", LevelFilter::INFO);
    // The demo's broker logs every connection that ends as an error.
    let filter = filter.with_target("rumqttd", LevelFilter::OFF);
    let kept = Log::default();
    let log = tracing_subscriber::registry().with(filter).with(kept.clone());
    #[cfg(feature = "systemd")]
    if kioskd::service::journal::is_connected() {
        log.with(kioskd::service::journal::Journal).init();
        return kept;
    }
    let writer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // There is nowhere else to say that standard error can't be written.
        .log_internal_errors(false);
    log.with(writer).init();
    kept
}

#[cfg(feature = "demo")]
mod demo {
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::time::Duration;

    use kioskd::demo::{DemoError, DemoOptions, Mode};

    #[derive(clap::Args)]
    pub struct Arguments {
        #[arg(long, value_enum, default_value = "vending")]
        mode: Mode,
        /// Where the page is served; port 0 takes a free one.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Where the demo's own broker listens, or `none`.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1883", value_parser = mqtt)]
        mqtt: Mqtt,
        /// Another broker in its place.
        #[arg(long, value_name = "URL")]
        broker: Option<String>,
        /// Keep the state here; without it a temporary directory.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        #[arg(long, value_name = "WxH", value_parser = super::panel)]
        panel: Option<(u32, u32)>,
        /// Another configuration than configs/vending.toml.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Milliseconds that a slot's motor takes for one turn.
        #[arg(long, value_name = "MS", default_value = "600", value_parser = clap::value_parser!(u64).range(1..=10_000))]
        turn: u64,
    }

    #[derive(Debug, Clone, Copy)]
    struct Mqtt(Option<SocketAddr>);

    fn mqtt(text: &str) -> Result<Mqtt, String> {
        match text {
            "none" => Ok(Mqtt(None)),
            _ => text.parse().map(|address| Mqtt(Some(address))).map_err(|_| "write ADDRESS:PORT or none".into()),
        }
    }

    pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
        let Arguments { mode, listen, mqtt: Mqtt(mqtt), broker, state, panel, config, turn } = arguments;
        let turn = Duration::from_millis(turn);
        let options = DemoOptions { mode, listen, mqtt, broker, state, panel, config, turn };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match runtime.block_on(kioskd::demo::run(options)) {
            Err(DemoError::Config(error)) => Ok(super::report(&error)),
            other => other.map(|()| ExitCode::SUCCESS).map_err(Into::into),
        }
    }
}
