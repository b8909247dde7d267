//! The field technician's command line. Some verbs read a ledger directly, whether a daemon runs or not; the others ask the
//! running one, on the bus.

mod export;
mod ledger;
mod pin;
mod running;
mod screenshot;
mod test;
mod top;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use kioskd::console::complain;
use kioskd::dbus::NoAnswer;
use kioskd::ledger::Table;
use kioskd::vocabulary::{OrderId, error_chain};

/// Look into a kiosk.
#[derive(Parser)]
#[command(name = "kioskctl", version)]
struct Arguments {
    /// The kiosk's state directory.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/kioskd")]
    state: PathBuf,
    /// Where the running kiosk is: a demo is on the session's bus.
    #[arg(long, global = true, value_enum, default_value = "system")]
    bus: Which,
    /// Answers for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Does it sell, and if not, why, and what is there to do. Exits with 0 where it sells, 1 where it does not, 2 where
    /// nobody can say.
    Status,
    /// Take the kiosk out of service; the reason is on the glass. This and the following exit with 0 when it is done, 1 when
    /// the kiosk has refused it, 2 when it could not be asked.
    Lock {
        /// One line of at most 200 characters.
        reason: String,
    },
    /// Put it back into service.
    Unlock,
    /// Every slot is full, and none is faulty any more.
    Refill,
    /// So many units lie in a slot.
    SetStock { slot: String, count: u32 },
    /// A person has decided a claim.
    SettleClaim {
        /// Its number.
        order: String,
        #[arg(value_enum)]
        how: How,
    },
    /// One unit out of a slot, faulty or not, to see whether it works; no revenue.
    TestVend { slot: String },
    /// Somebody works on the machine, or does no more: meanwhile nothing is sold.
    Maintenance {
        #[arg(value_enum)]
        switch: Switch,
    },
    /// Test every part and wire: what the kiosk says of each, then with you each relay, the drop sensor, the door, the
    /// paper and the touch of the glass, in maintenance. Exits with 0 where nothing is wrong, 1 where something is, 2
    /// where the kiosk could not be asked.
    Test {
        /// Without a person: nothing moves.
        #[arg(long)]
        quick: bool,
        /// Say what would be done with a person, and do nothing.
        #[arg(long, conflicts_with = "quick")]
        dry: bool,
    },
    /// Energise a relay once, whatever lies in its slot and with the door open too; in maintenance alone.
    Pulse {
        /// A slot's name, or gate:LANE.
        outlet: String,
    },
    /// Print a page on which the paper's width, its characters and its code can be looked at.
    PrintTest,
    /// The cash-up: make a report of what was taken since the last one, print it on the kiosk's printer, and show it.
    Settle {
        /// Make none, and read a report in the ledger, whether a kiosk runs or not; without a number what has happened since
        /// the last report. Exits with 1 where there is none.
        #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "0")]
        show: Option<u32>,
        /// Make none, and print one once more on the kiosk's printer, as a copy.
        #[arg(long, value_name = "NUMBER", conflicts_with = "show")]
        print: Option<u32>,
    },
    /// The running kiosk on one screen: how it is, what the customer sees, its orders, and the common tasks on keys.
    Top,
    /// What the customer sees on the glass now, as a PNG file or in this terminal.
    Screenshot {
        /// Without it the picture is drawn in the terminal, or goes to a pipe as it is.
        file: Option<PathBuf>,
    },
    /// The configuration's line for a service PIN, which is read twice from a terminal, or once from a pipe, and not shown.
    Pin,
    /// The whole story of one order.
    Why {
        /// Its number or short code, the number of a charge, a payment or a refund as the provider knows it, or a time in
        /// UTC, 2026-11-29T10:15, for the last order begun by then; the newest order without it.
        order: Option<String>,
    },
    /// The newest orders.
    Orders {
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Open claims, with the short codes that their customers have.
    Claims,
    /// What lies in each slot, and which may not be used, and why.
    Stock,
    /// The daemon's journal, by `journalctl`: of one order, or all of it.
    Log {
        /// Its number.
        order: Option<String>,
        /// Go on with what is written from now on.
        #[arg(long, short)]
        follow: bool,
        /// So many of the newest lines.
        #[arg(long, short = 'n', default_value_t = 200)]
        lines: u32,
    },
    /// What people have asked of the machine, who it was, and what came of it; the newest first.
    Operations {
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Verify the whole ledger: the chain, and that every table says what the records add up to.
    Verify,
    /// The ledger's audit for other people's programs: an EVA-DTS data file.
    Audit {
        /// EVA-DTS 6.1, the only form there is.
        #[arg(long, required = true)]
        eva_dts: bool,
        /// Says what the machine and its slots are called.
        #[arg(long, value_name = "FILE", default_value = "/etc/kioskd/kiosk.toml")]
        config: PathBuf,
        /// Standard output without it.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// A table of the ledger as CSV, or with --json as JSON.
    Export {
        #[arg(value_enum)]
        table: Export,
    },
    /// What the rails kept of what was paid: an estimate by the configured rates.
    Fees {
        /// Has the rates, as [[rail.fee]] under its rails.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The first day, in the configuration's time zone: 2026-11-01.
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// The last day.
        #[arg(long, value_name = "DATE")]
        to: Option<Date>,
        /// Other rates to try: a file with the same [[rail]] and [[rail.fee]] entries.
        #[arg(long = "if", value_name = "FILE")]
        other: Option<PathBuf>,
    },
    /// Compare a provider's bill with the ledger: exits with 0 where they agree, 1 where they differ, 2 on errors.
    Reconcile {
        /// WeChat Pay's trade bill (交易账单) or Alipay's single trades (业务明细), unpacked.
        #[arg(long, value_name = "FILE")]
        bill: PathBuf,
        /// The rail whose bill it is.
        #[arg(long, value_name = "NAME")]
        rail: String,
        /// The first day to compare, Beijing time; all that the bill covers without it.
        #[arg(long, value_name = "DATE", requires = "to")]
        from: Option<Date>,
        /// The last day.
        #[arg(long, value_name = "DATE", requires = "from")]
        to: Option<Date>,
        /// Others are paid on this account too: what is unknown here is theirs.
        #[arg(long)]
        shared: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    System,
    Session,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Export {
    Orders,
    /// The units of all orders.
    Items,
    Refunds,
    Claims,
    Stock,
    Operations,
}

impl Export {
    fn table(self) -> Table {
        match self {
            Self::Orders => Table::Orders,
            Self::Items => Table::Items,
            Self::Refunds => Table::Refunds,
            Self::Claims => Table::Claims,
            Self::Stock => Table::Stock,
            Self::Operations => Table::Operations,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// The customer has the goods.
    Delivered,
    /// The rest goes back through the provider.
    Refund,
    /// Paid back by other means.
    PaidOutside,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("kioskctl: {}", error_chain(error.as_ref())));
            let refused = matches!(error.downcast_ref(), Some(NoAnswer::Refused(_) | NoAnswer::NotAllowed(_)));
            let own = match arguments.verb {
                Verb::Why { .. }
                | Verb::Orders { .. }
                | Verb::Claims
                | Verb::Stock
                | Verb::Operations { .. }
                | Verb::Verify
                | Verb::Audit { .. }
                | Verb::Export { .. }
                | Verb::Fees { .. }
                | Verb::Settle { show: Some(_), .. } => 1,
                Verb::Reconcile { .. } => 2,
                _ if refused => 1,
                _ => 2,
            };
            ExitCode::from(own)
        }
    }
}

fn act(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match running::operation(&arguments.verb)? {
        Some(asked) => running::operate(arguments, &asked),
        None => answer(arguments),
    }
}

/// Becomes `journalctl`, which knows how to page, to follow and to say what it may not read.
fn log(order: Option<&str>, follow: bool, lines: u32, json: bool) -> anyhow::Result<ExitCode> {
    let order = order.map(|order| OrderId::try_from(order.to_owned())).transpose()?;
    let mut journalctl = Command::new("journalctl");
    journalctl.args(["--unit", "kioskd", "--lines", &lines.to_string()]);
    journalctl.args(["--output", if json { "json" } else { "short-precise" }]);
    if follow {
        journalctl.arg("--follow");
    }
    journalctl.args(order.map(|order| format!("ORDER={order}")));
    Err(journalctl.exec()).context("journalctl could not be started")
}

/// What needs no operation.
fn answer(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { state, json, .. } = arguments;
    match &arguments.verb {
        Verb::Status => running::status(arguments),
        Verb::Test { quick, dry } => test::run(arguments, *quick, *dry),
        Verb::Log { order, follow, lines } => log(order.as_deref(), *follow, *lines, *json),
        Verb::Top => top::run(running::bus(arguments)),
        Verb::Screenshot { file } => screenshot::take(arguments, file.as_deref()),
        Verb::Pin => pin::make().map(|()| ExitCode::SUCCESS),
        Verb::Claims => export::show(state, Table::Claims, *json),
        Verb::Stock => export::show(state, Table::Stock, *json),
        Verb::Audit { config, output, .. } => export::audit(state, config, output.as_deref()),
        Verb::Export { table } => export::table(state, table.table(), *json),
        _ => ledger::read(arguments),
    }
}
