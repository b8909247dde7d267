//! What a ledger says, for other people's programs: the EVA-DTS file and tables.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Zoned;
use jiff::tz::TimeZone;
use kioskd::console::{Out, say};
use kioskd::kiosk::check;
use kioskd::ledger::{Machine, Reader, Selection, Table as Exported};
use kioskd::vocabulary::{Cause, Currency, Language, Money};
use serde_json::Value;

use kioskd::console::Table;

/// The data file of the machine that the configuration describes, by the ledger in `state`.
pub fn audit(state: &Path, config: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let machine = machine(config)?;
    let now = Zoned::now().with_time_zone(machine.zone.clone());
    let file = Reader::open(state)?.eva_dts(&machine, &now)?;
    put(output, &file)
}

/// A table of the ledger in `state`.
pub fn table(state: &Path, table: Exported, json: bool) -> anyhow::Result<ExitCode> {
    let rows = Reader::open(state)?.table(table)?;
    match json {
        true => say(format_args!("{:#}", rows.json()))?,
        false => return put(None, &rows.csv()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Who waits for a person's decision, and what that person types.
pub fn claims(state: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let rows = Reader::open(state)?.table(Exported::Claims)?.json();
    if json {
        say(format_args!("{rows:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let claims = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |claim: &Value| {
        let money = money(claim["outstanding"].as_i64().unwrap_or_default(), &word(claim, "currency"));
        [word(claim, "id"), word(claim, "short_code"), word(claim, "time").replace('T', " "), money, word(claim, "why")]
    };
    match claims {
        [] => say("no open claims")?,
        [first, ..] => {
            say(Table::new(["ORDER", "CODE", "TIME", " OPEN", "WHY"], claims.iter().map(row)))?;
            let code = word(first, "short_code");
            say(format_args!("-> kioskctl why {code} tells what happened; when you have decided:"))?;
            say(format_args!("   kioskctl settle-claim {code} delivered|refund|paid-outside"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What lies where, and what a person types about a slot that is not used.
pub fn stock(state: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut rows = Reader::open(state)?.table(Exported::Stock)?.json();
    let slots = rows.as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    for slot in slots.iter_mut() {
        slot["why"] = slot["fault"].as_str().map(cause).into();
    }
    if json {
        say(format_args!("{rows:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |slot: &Value| {
        let count = format!("{} of {}", slot["count"], slot["capacity"]);
        [word(slot, "slot"), word(slot, "product"), count, word(slot, "why")]
    };
    if slots.is_empty() {
        say("no slot was ever filled: the kiosk has not run yet")?;
        return Ok(ExitCode::SUCCESS);
    }
    say(Table::new(["SLOT", "PRODUCT", " UNITS", "FAULT"], slots.iter().map(row)))?;
    if let Some(faulty) = slots.iter().find(|slot| slot["why"].is_string()) {
        let slot = word(faulty, "slot");
        say(format_args!("-> take out what is stuck; kioskctl maintenance on, then kioskctl pulse {slot}"))?;
        say(format_args!(
            "   when it is well: kioskctl refill --slot {slot}, which clears the fault; kioskctl maintenance off"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// In words; a newer kiosk may have a cause that this program does not know.
fn cause(written: &str) -> String {
    serde_json::from_str(written).map_or(written.to_owned(), |cause: Cause| cause.to_string())
}

fn word(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

/// An amount of an order that the kiosk has told of; a newer one may know a currency that this program does not.
pub fn money(amount: i64, currency: &str) -> String {
    match Currency::from_code(currency) {
        Some(currency) => Money { amount, currency }.to_string(),
        None => amount.to_string(),
    }
}

fn machine(path: &Path) -> anyhow::Result<Machine> {
    let config = check::load(path)?;
    let price = |id: &_| config.products.iter().find(|product| product.id == *id).map_or(0, |product| product.price);
    let slots = config.slots.iter().map(|slot| Selection {
        slot: slot.name.to_string(),
        product: slot.product.to_string(),
        price: price(&slot.product),
        capacity: slot.capacity,
    });
    Ok(Machine {
        id: config.kiosk.id.clone(),
        place: config.kiosk.place.get(&Language::new("en")).to_owned(),
        currency: config.kiosk.currency,
        zone: TimeZone::get(&config.kiosk.time_zone).context("[kiosk] time_zone")?,
        slots: slots.collect(),
    })
}

fn put(output: Option<&Path>, text: &str) -> anyhow::Result<ExitCode> {
    match output {
        Some(path) => fs::write(path, text).with_context(|| path.display().to_string())?,
        None => Out.write_all(text.as_bytes()).and_then(|()| Out.flush())?,
    }
    Ok(ExitCode::SUCCESS)
}
