//! `kioskfleet simulate`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kioskd::console::complain;
use kioskd::fleet::topic::Name;
use kioskd::simulate::{self, Came, Options};

use crate::broker::Broker;
use crate::name;

#[derive(Args)]
pub struct Arguments {
    /// How many machines; above 2,500 they are several processes.
    #[arg(value_parser = clap::value_parser!(u64).range(1..=99_999))]
    machines: u64,
    #[command(flatten)]
    broker: Broker,
    /// The fleet's name, as in the topics.
    #[arg(long, default_value = "sim", value_parser = name)]
    fleet: Name,
    /// Where keys and ledgers lie; what is there goes on. On a disk each sale waits for the disk, on tmpfs it does not.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Seconds between two customers of a machine, on average. A sale makes five to seven events.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    every: f64,
    /// Seconds over which machines spread their connects after a start and after they have lost the broker; 60 by their
    /// configuration.
    #[arg(long, value_name = "SECONDS")]
    spread: Option<u64>,
    /// The same machines meet the same chance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Of a hundred deliveries, those that jam.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    jams: f64,
    /// Power cuts of each machine, an hour.
    #[arg(long, value_name = "AN-HOUR", default_value_t = 0.0)]
    cuts: f64,
    /// Losses of the network of each machine, an hour.
    #[arg(long, value_name = "AN-HOUR", default_value_t = 0.0)]
    losses: f64,
    /// Of a hundred machines, those that hear no command.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    silent: f64,
    /// Seconds until it ends; without it, ctrl-c does.
    #[arg(long = "for", value_name = "SECONDS")]
    long: Option<u64>,
    /// Seconds between two lines that say how it goes.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    report: u64,
    /// In the end wait until nothing is open and everything is acknowledged; fail otherwise.
    #[arg(long)]
    check: bool,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
    /// This process has the machines FIRST and so many.
    #[arg(long, value_name = "FIRST:COUNT", hide = true, value_parser = share)]
    share: Option<(u64, u64)>,
}

fn share(text: &str) -> Result<(u64, u64), String> {
    let (first, count) = text.split_once(':').ok_or("FIRST:COUNT")?;
    let number = |text: &str| text.parse().map_err(|error| format!("{error}"));
    Ok((number(first)?, number(count)?))
}

impl Arguments {
    pub fn simulate(self) -> anyhow::Result<ExitCode> {
        let options = Options {
            machines: self.machines,
            access: self.broker.access(),
            fleet: self.fleet,
            state: std::path::absolute(&self.state)?,
            every: Duration::try_from_secs_f64(self.every.max(0.001))?,
            seed: self.seed,
            spread: self.spread.map(Duration::from_secs),
            jams: self.jams,
            cuts: self.cuts,
            losses: self.losses,
            silent: self.silent,
            long: self.long.map(Duration::from_secs),
            report: Duration::from_secs(self.report.max(1)),
            check: self.check,
        };
        if let Some((first, count)) = self.share {
            simulate::run_share(&options, first, count)?;
            return Ok(ExitCode::SUCCESS);
        }
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        Ok(match simulate::run(&options, &std::env::current_exe()?, &arguments, self.json)? {
            Came::Well => ExitCode::SUCCESS,
            Came::Wrong => {
                complain("kioskfleet: something was not acknowledged, did not start or was not written");
                ExitCode::FAILURE
            }
        })
    }
}
