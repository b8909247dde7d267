//! What the running kiosk says, and does when asked.

use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kioskd::config::Bus;
use kioskd::console::{complain, say};
use kioskd::dbus::{Address, Client, Done, NoAnswer};
use kioskd::operation::{LanguageTag, Operation, Outcome, Reason, TicketText, Units};
use kioskd::vocabulary::{ClaimSettlement, OrderId, Outlet, ShortCode, SlotId};
use serde_json::{Value, json};

use crate::arguments::{Arguments, How, Switch, Verb, Which};

/// What a verb asks of the running kiosk.
pub fn operation(arguments: &Arguments) -> anyhow::Result<Option<Operation>> {
    let slot = |name: &str| SlotId::try_from(name.to_owned());
    let why = |reason: &str| Reason::try_from(reason.to_owned());
    Ok(Some(match &arguments.verb {
        Verb::Lock { reason } => Operation::Lock { reason: why(reason)? },
        Verb::Unlock => Operation::Unlock,
        Verb::PrintTest => Operation::PrintTest,
        Verb::Reboot { .. } => Operation::Reboot,
        Verb::Languages { languages } if !languages.is_empty() => {
            let languages = languages.iter().cloned().map(LanguageTag::try_from).collect::<Result<_, _>>()?;
            Operation::Languages { languages }
        }
        Verb::Refill { slot: names, add, .. } => match (names.as_slice(), add.as_slice()) {
            ([], []) => Operation::Refill,
            (names, []) => {
                Operation::RefillSlots { slots: names.iter().map(|name| slot(name)).collect::<Result<_, _>>()? }
            }
            (_, add) => Operation::AddStock { units: units(add)? },
        },
        Verb::SetStock { slot: name, count } => Operation::SetStock { slot: slot(name)?, count: *count },
        Verb::TestVend { slot: name } => Operation::TestVend { slot: slot(name)? },
        Verb::Pulse { outlet } => Operation::Pulse { outlet: Outlet::named(outlet)? },
        Verb::Raise { reason } => Operation::Raise { reason: why(reason)? },
        Verb::KeepOpen { reason } => Operation::KeepOpen { reason: why(reason)? },
        Verb::Release { reason } => Operation::Release { reason: why(reason)? },
        Verb::VoidTicket { ticket, reason } => {
            Operation::VoidTicket { ticket: TicketText::try_from(ticket.clone())?, reason: why(reason)? }
        }
        Verb::CarsInside { cars, reason } => Operation::CarsInside { cars: *cars, reason: why(reason)? },
        Verb::Maintenance { switch } => Operation::Maintenance { on: *switch == Switch::On },
        Verb::SettleClaim { order, how } => {
            let how = match how {
                How::Delivered => ClaimSettlement::Delivered,
                How::Refund => ClaimSettlement::Refund,
                How::PaidOutside => ClaimSettlement::PaidOutside,
            };
            Operation::SettleClaim { order: claimed(arguments, order)?, how }
        }
        Verb::Settle { show: None, print: None } => Operation::CashUp,
        Verb::Settle { show: None, print: Some(number) } => Operation::PrintReport { number: *number },
        _ => return Ok(None),
    }))
}

/// An order by its number, or by its short code where it is an open claim's.
fn claimed(arguments: &Arguments, order: &str) -> anyhow::Result<OrderId> {
    if ShortCode::parse(order).is_none() {
        return Ok(OrderId::try_from(order.to_owned())?);
    }
    let report = ask(arguments, async |kiosk| kiosk.report().await)?.json();
    let mut claims = report["claims"].as_array().into_iter().flatten();
    let claim = claims.find(|claim| claim["short_code"] == order);
    let id = claim.and_then(|claim| OrderId::parse(claim["order"].as_str()?));
    let none = || format!("no open claim has the short code {order}; kioskctl claims lists them");
    id.ok_or_else(|| NoAnswer::Refused(none()).into())
}

/// Where the running kiosk is.
pub fn address(arguments: &Arguments) -> Address {
    let bus = match arguments.bus {
        Which::System => Bus::System,
        Which::Session => Bus::Session,
    };
    Address { bus, instance: arguments.kiosk.clone() }
}

/// Asks the running kiosk.
pub fn ask<T>(arguments: &Arguments, ask: impl AsyncFnOnce(Client) -> Result<T, NoAnswer>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async { ask(Client::connect(&address(arguments)).await?).await })?)
}

pub fn status(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = ask(arguments, async |kiosk| kiosk.report().await)?;
    match arguments.json {
        true => say(format_args!("{:#}", report.json()))?,
        false => say(&report)?,
    }
    Ok(if report.selling() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn languages(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (languages, configured) = ask(arguments, async |kiosk| kiosk.languages().await)?;
    match arguments.json {
        true => say(format_args!("{:#}", json!({ "languages": languages, "configured": configured })))?,
        false => {
            say(format_args!("offered     {}", languages.join(", ")))?;
            say(format_args!("configured  {}", configured.join(", ")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn plate_seen(arguments: &Arguments, plate: &str) -> anyhow::Result<ExitCode> {
    ask(arguments, async |kiosk| kiosk.plate_seen(plate).await)?;
    match arguments.json {
        true => say(format_args!("{:#}", json!({ "taken": plate })))?,
        false => say("the kiosk has taken it")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `A1=5`, each slot once or several times.
fn units(add: &[String]) -> anyhow::Result<Units> {
    let mut units = Units::new();
    for text in add {
        let read = text.split_once('=').and_then(|(slot, count)| Some((slot, count.parse::<NonZeroU32>().ok()?)));
        let (slot, count) =
            read.with_context(|| format!("`{text}` is no slot with a number of units; write --add A1=5"))?;
        let slot = SlotId::try_from(slot.to_owned())?;
        let before = units.get(&slot).map_or(0, |count| count.get());
        let sum = count.checked_add(before).with_context(|| format!("{slot}: so many units are in no machine"))?;
        units.insert(slot, sum);
    }
    Ok(units)
}

/// So often, and so long after one another, a request is made again whose answer was lost.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_secs(2);

/// What is added twice is wrong, so it is asked for under one number until there is an answer.
fn add_stock(arguments: &Arguments, units: &Units, request: Option<&str>) -> anyhow::Result<Done> {
    let number = match request {
        Some(number) => number.to_owned(),
        None => {
            let random =
                getrandom::u64().map_err(|error| anyhow::anyhow!("the kernel has no random numbers: {error}"))?;
            format!("ctl-{random:016x}")
        }
    };
    let (mut lost, mut tries) = (false, 0);
    loop {
        let asked = ask(arguments, async |kiosk| kiosk.add_stock(units, &number).await);
        let error = match asked {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match error.downcast_ref() {
            Some(NoAnswer::Lost(_)) => lost = true,
            // It may have been done before the kiosk or the bus went away.
            Some(NoAnswer::NoKiosk | NoAnswer::Bus(_)) if lost => {}
            _ => return Err(error),
        }
        tries += 1;
        if tries == TRIES {
            let words = units.iter().map(|(slot, count)| format!(" --add {slot}={count}")).collect::<String>();
            return Err(error.context(format!(
                "nobody knows whether it was done; when the kiosk runs, this adds nothing twice: kioskctl refill{words} \
                 --request {number}"
            )));
        }
        std::thread::sleep(BETWEEN);
    }
}

/// What to do after a refusal, where there is something.
fn hint(arguments: &Arguments, asked: &Operation) -> Option<String> {
    let named: Vec<&SlotId> = match asked {
        Operation::SettleClaim { .. } => return Some("kioskctl claims lists the open ones".into()),
        Operation::SetStock { slot, .. } | Operation::TestVend { slot } => vec![slot],
        Operation::Pulse { outlet } => outlet.slot().into_iter().collect(),
        Operation::RefillSlots { slots } => slots.iter().collect(),
        Operation::AddStock { units } => units.keys().collect(),
        _ => return None,
    };
    let slots = ask(arguments, async |kiosk| kiosk.slots().await).ok()?;
    let known: Vec<&str> = slots.iter().map(|(slot, ..)| slot.as_str()).collect();
    let missing: Vec<&str> = named.iter().map(|slot| slot.as_str()).filter(|slot| !known.contains(slot)).collect();
    if !missing.is_empty() {
        return Some(format!("there is no {}; the slots are {}", missing.join(", no "), known.join(", ")));
    }
    let pulse = matches!(asked, Operation::Pulse { .. });
    let begun = !pulse || ask(arguments, async |kiosk| kiosk.reason("maintenance").await).unwrap_or(true);
    (!begun).then(|| "kioskctl maintenance on".into())
}

/// Nobody restarts a board by mistake.
fn restart_is_meant() -> anyhow::Result<bool> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "nobody can be asked whether it is meant; write --yes");
    say("Restart the board? Nothing is sold until it is up again. y = yes")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "yes"))
}

pub fn operate(arguments: &Arguments, asked: &Operation) -> anyhow::Result<ExitCode> {
    if matches!(arguments.verb, Verb::Reboot { yes: false }) && !restart_is_meant()? {
        complain("kioskctl: nothing was done");
        return Ok(ExitCode::FAILURE);
    }
    let done = match (asked, &arguments.verb) {
        (Operation::AddStock { units }, Verb::Refill { request, .. }) => {
            add_stock(arguments, units, request.as_deref())
        }
        _ => ask(arguments, async |kiosk| kiosk.operate(asked).await),
    };
    if let Some(NoAnswer::Refused(says)) = done.as_ref().err().and_then(|error| error.downcast_ref()) {
        complain(format_args!("kioskctl: {says}"));
        if let Some(hint) = hint(arguments, asked) {
            complain(format_args!("-> {hint}"));
        }
        return Ok(ExitCode::FAILURE);
    }
    let done = done?;
    match (arguments.json, done) {
        (json, Done::Report(number)) => {
            let (text, document) = ask(arguments, async |kiosk| kiosk.cash_up(number).await)?;
            match json {
                true => say(format_args!("{:#}", serde_json::from_str::<Value>(&document)?))?,
                false => say(text)?,
            }
        }
        (false, Done::Changed(true)) if *asked == Operation::Reboot => say("the board restarts")?,
        (true, Done::Changed(changed)) => say(format_args!("{:#}", json!({ "changed": changed })))?,
        (true, Done::Energised { counted, .. }) => say(format_args!("{:#}", json!({ "fell": counted })))?,
        (true, Done::Order(order)) => say(format_args!("{:#}", json!({ "order": order })))?,
        (false, Done::Energised { outlet, counted }) => say(Outcome::Energised { outlet, counted })?,
        // No verb is for this alone.
        (_, Done::Recorded(request)) => say(format_args!("on record as {request}"))?,
        (false, Done::Changed(true)) => say("done")?,
        (false, Done::Changed(false)) => say("it was so already")?,
        (false, Done::Order(order)) => say(format_args!("begun; what comes of it: kioskctl why {order}"))?,
    }
    Ok(ExitCode::SUCCESS)
}
