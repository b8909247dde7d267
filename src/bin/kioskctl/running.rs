//! What the running kiosk says, and does when asked.

use std::process::ExitCode;

use kioskd::config::Bus;
use kioskd::console::say;
use kioskd::dbus::{Client, Done, NoAnswer};
use kioskd::operation::{Operation, Outcome, Reason};
use kioskd::vocabulary::{ClaimSettlement, OrderId, Outlet, SlotId};
use serde_json::{Value, json};

use crate::{Arguments, How, Switch, Verb, Which};

/// What a verb asks of the running kiosk.
pub fn operation(verb: &Verb) -> anyhow::Result<Option<Operation>> {
    let slot = |name: &str| SlotId::try_from(name.to_owned());
    Ok(Some(match verb {
        Verb::Lock { reason } => Operation::Lock { reason: Reason::try_from(reason.clone())? },
        Verb::Unlock => Operation::Unlock,
        Verb::PrintTest => Operation::PrintTest,
        Verb::Refill => Operation::Refill,
        Verb::SetStock { slot: name, count } => Operation::SetStock { slot: slot(name)?, count: *count },
        Verb::TestVend { slot: name } => Operation::TestVend { slot: slot(name)? },
        Verb::Pulse { outlet } => Operation::Pulse { outlet: Outlet::named(outlet)? },
        Verb::Maintenance { switch } => Operation::Maintenance { on: *switch == Switch::On },
        Verb::SettleClaim { order, how } => {
            let how = match how {
                How::Delivered => ClaimSettlement::Delivered,
                How::Refund => ClaimSettlement::Refund,
                How::PaidOutside => ClaimSettlement::PaidOutside,
            };
            Operation::SettleClaim { order: OrderId::try_from(order.clone())?, how }
        }
        Verb::Settle { show: None, print: None } => Operation::CashUp,
        Verb::Settle { show: None, print: Some(number) } => Operation::PrintReport { number: *number },
        _ => return Ok(None),
    }))
}

/// Where the running kiosk is.
pub fn bus(arguments: &Arguments) -> Bus {
    match arguments.bus {
        Which::System => Bus::System,
        Which::Session => Bus::Session,
    }
}

/// Asks the running kiosk.
pub fn ask<T>(arguments: &Arguments, ask: impl AsyncFnOnce(Client) -> Result<T, NoAnswer>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async { ask(Client::connect(bus(arguments)).await?).await })?)
}

pub fn status(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = ask(arguments, async |kiosk| kiosk.report().await)?;
    match arguments.json {
        true => say(format_args!("{:#}", report.json()))?,
        false => say(&report)?,
    }
    Ok(if report.selling() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn operate(arguments: &Arguments, asked: &Operation) -> anyhow::Result<ExitCode> {
    let done = ask(arguments, async |kiosk| kiosk.operate(asked).await)?;
    match (arguments.json, done) {
        (json, Done::Report(number)) => {
            let (text, document) = ask(arguments, async |kiosk| kiosk.cash_up(number).await)?;
            match json {
                true => say(format_args!("{:#}", serde_json::from_str::<Value>(&document)?))?,
                false => say(text)?,
            }
        }
        (true, Done::Changed(changed)) => say(format_args!("{:#}", json!({ "changed": changed })))?,
        (true, Done::Energised { counted, .. }) => say(format_args!("{:#}", json!({ "fell": counted })))?,
        (true, Done::Order(order)) => say(format_args!("{:#}", json!({ "order": order })))?,
        (false, Done::Energised { outlet, counted }) => say(Outcome::Energised { outlet, counted })?,
        (false, Done::Changed(true)) => say("done")?,
        (false, Done::Changed(false)) => say("it was so already")?,
        (false, Done::Order(order)) => say(format_args!("begun; what comes of it: kioskctl why {order}"))?,
    }
    Ok(ExitCode::SUCCESS)
}
