//! The field technician's command line. Some verbs read a ledger directly, whether a daemon runs or not; the others ask the
//! running one, on the bus.

mod arguments;
mod bundle;
mod export;
mod ledger;
mod manual;
mod pin;
mod report;
mod running;
mod screenshot;
mod test;
mod top;
mod verify;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Parser;
use kioskd::console::complain;
use kioskd::dbus::NoAnswer;
use kioskd::vocabulary::{OrderId, error_chain};

use arguments::{Arguments, Verb};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("kioskctl: {}", error_chain(error.as_ref())));
            if matches!(error.downcast_ref(), Some(NoAnswer::NoKiosk)) {
                complain(
                    "-> without it: kioskctl orders, why, claims, stock, operations, settle --show, verify, bundle",
                );
            }
            let refused = error.downcast_ref().is_some_and(|error: &NoAnswer| error.no().is_some());
            let own = match arguments.verb {
                Verb::Why { .. }
                | Verb::Orders { .. }
                | Verb::Claims
                | Verb::Stock
                | Verb::Operations { .. }
                | Verb::Verify { .. }
                | Verb::Audit { .. }
                | Verb::Export { .. }
                | Verb::Fees { .. }
                | Verb::Parking { .. }
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
    match running::operation(arguments)? {
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
    let (state, json) = (&arguments.state(), &arguments.json);
    match &arguments.verb {
        Verb::Status => running::status(arguments),
        Verb::Languages { .. } => running::languages(arguments),
        Verb::PlateSeen { plate } => running::plate_seen(arguments, plate),
        Verb::Test { last: true, report, .. } => report::last(arguments, report.as_deref()),
        Verb::Test { quick, dry, report, .. } => test::run(arguments, *quick, *dry, report.as_deref()),
        Verb::Verify { bundle: Some(file), key: Some(key), .. } => verify::bundle(file, key, *json),
        Verb::Verify { report: Some(file), key: Some(key), .. } => verify::report(file, key, *json),
        Verb::Log { order, follow, lines } => log(order.as_deref(), *follow, *lines, *json),
        Verb::Bundle { config, output } => bundle::make(arguments, config, output.as_deref()),
        Verb::Completions { shell } => manual::completions(*shell),
        Verb::Man { into } => manual::pages(into),
        Verb::Top => top::run(running::address(arguments)),
        Verb::Screenshot { file } => screenshot::take(arguments, file.as_deref()),
        Verb::Pin => pin::make().map(|()| ExitCode::SUCCESS),
        Verb::Claims => export::claims(state, *json),
        Verb::Stock => export::stock(state, *json),
        Verb::Audit { config, output, .. } => export::audit(state, config, output.as_deref()),
        Verb::Export { table } => export::table(state, table.table(), *json),
        _ => ledger::read(arguments),
    }
}
