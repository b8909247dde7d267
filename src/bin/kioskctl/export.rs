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
use kioskd::ledger::{Machine, Reader, Selection, Table};
use kioskd::vocabulary::Language;

/// The data file of the machine that the configuration describes, by the ledger in `state`.
pub fn audit(state: &Path, config: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let machine = machine(config)?;
    let now = Zoned::now().with_time_zone(machine.zone.clone());
    let file = Reader::open(state)?.eva_dts(&machine, &now)?;
    put(output, &file)
}

/// A table of the ledger in `state`.
pub fn table(state: &Path, table: Table, json: bool) -> anyhow::Result<ExitCode> {
    let rows = Reader::open(state)?.table(table)?;
    match json {
        true => say(format_args!("{:#}", rows.json()))?,
        false => return put(None, &rows.csv()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The same for people.
pub fn show(state: &Path, what: Table, json: bool) -> anyhow::Result<ExitCode> {
    let rows = Reader::open(state)?.table(what)?;
    match json {
        true => say(format_args!("{:#}", rows.json()))?,
        false if rows.rows.is_empty() => say("there are none")?,
        false => say(rows)?,
    }
    Ok(ExitCode::SUCCESS)
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
