//! What a ledger says, whether its kiosk runs or not.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use kioskd::console::say;
use kioskd::kiosk::check;
use kioskd::kiosk::parking::report_of;
use kioskd::ledger::{Ask, ChargeLine, Days, FeeReport, OperationLine, Reader, Verified, When, reconcile};
use kioskd::parking::report::Report;
use kioskd::payment::bill::{self, Period};
use kioskd::payment::rates::Rates;
use kioskd::vocabulary::{Wall, plural};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Verb};
use crate::export::money;
use kioskd::console::Table;

/// What is in the ledger.
pub fn read(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&arguments.state())?;
    match &arguments.verb {
        Verb::Why { order } => {
            let story = reader.why(order.as_deref())?.with_context(|| match order {
                Some(order) => format!("no such order in this ledger: {order}; kioskctl orders lists the newest"),
                None => "no order is in this ledger yet".to_owned(),
            })?;
            match arguments.json {
                true => say(format_args!("{:#}", story.json()))?,
                false => {
                    let document = story.json();
                    say(story)?;
                    if document["state"] == "claim" {
                        let code = document["short_code"].as_str().unwrap_or_default();
                        say(format_args!(
                            "-> when you have decided: kioskctl settle-claim {code} delivered|refund|paid-outside"
                        ))?;
                    }
                }
            }
        }
        Verb::Orders { limit } => {
            let orders = reader.orders(*limit)?;
            match arguments.json {
                true => say(format_args!("{orders:#}"))?,
                false => match orders["orders"].as_array().map(Vec::as_slice).unwrap_or_default() {
                    [] => say("no orders yet")?,
                    orders => say(table(orders))?,
                },
            }
        }
        Verb::Operations { limit } => {
            let lines = reader.operations(*limit)?;
            match arguments.json {
                true => say(format_args!("{:#}", json!({ "operations": lines })))?,
                false if lines.is_empty() => say("nobody has asked for anything")?,
                false => say(operations(&lines))?,
            }
        }
        Verb::Verify { .. } => {
            let end = reader.verify()?;
            match arguments.json {
                true => {
                    say(format_args!("{:#}", end.json()))?;
                }
                false => {
                    let Verified { seq, orders, hash, passed_over } = end;
                    let (records, orders) = (plural(seq, "record"), plural(orders, "order"));
                    say(format_args!("the ledger holds: {records}, {orders}; the chain ends in {hash}"))?;
                    if passed_over > 0 {
                        let records = plural(passed_over, "record");
                        say(format_args!(
                            "{records} of another version of kioskd can't be read by this one, so the tables were not compared"
                        ))?;
                    }
                }
            }
        }
        Verb::Settle { show: Some(number), .. } => {
            let report = reader.cash_up(*number)?.with_context(|| {
                format!("no report {number} in this ledger; kioskctl operations has the cash-ups there were")
            })?;
            match arguments.json {
                true => say(format_args!("{:#}", report.json()))?,
                false => say(report)?,
            }
        }
        Verb::Fees { config, from, to, other } => {
            let rates = Rates::load(config)?;
            let other = other.as_deref().map(Rates::load).transpose()?;
            let zone = rates.zone.clone().unwrap_or(TimeZone::UTC);
            let days = Days { first: *from, last: *to, zone };
            let report = FeeReport::new(&reader.charges()?, &days, &rates, other.as_ref());
            match arguments.json {
                true => say(format_args!("{:#}", report.json()))?,
                false => say(report)?,
            }
        }
        Verb::Parking { config, from, to } => {
            let of = report_of(&check::load(config)?)
                .context("this configuration is of no car park: it has no [parking]")?;
            let last = to.unwrap_or_else(|| Zoned::now().with_time_zone(of.zone.clone()).date());
            let first = from.map_or_else(|| last.checked_sub(6.days()), Ok)?;
            let mut report = Report::new(of, first, last)?;
            reader.parking(&mut report)?;
            match arguments.json {
                true => say(format_args!("{:#}", report.json()))?,
                false => say(report)?,
            }
        }
        Verb::Reconcile { bill, rail, from, to, shared } => {
            let charges = reader.charges()?;
            known(&charges, rail)?;
            let period = match from.zip(*to) {
                Some((from, to)) => {
                    Some(Period::of_days(from, to).context("--to is before --from; write them the other way")?)
                }
                None => None,
            };
            let bill = read_bill(bill).with_context(|| bill.display().to_string())?;
            let answer = reconcile(&charges, &bill, &Ask { rail, period, shared: *shared })?;
            match arguments.json {
                true => say(format_args!("{:#}", answer.json()))?,
                false => say(&answer)?,
            }
            return Ok(ExitCode::from(if answer.agrees() { 0 } else { 1 }));
        }
        // Not a read.
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// A name nobody was ever charged on is a slip of the pen, and not a bill that is all wrong.
fn known(charges: &[ChargeLine], rail: &str) -> anyhow::Result<()> {
    let mut names: Vec<&str> = charges.iter().map(|charge| charge.rail.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let there = names.is_empty() || names.contains(&rail);
    anyhow::ensure!(there, "no charge on a rail `{rail}` in this ledger; write --rail {}", names.join(" or "));
    Ok(())
}

fn read_bill(path: &Path) -> anyhow::Result<bill::Bill> {
    Ok(bill::read_any(File::open(path)?)?)
}

fn table(orders: &[Value]) -> Table {
    let row = |order: &Value| {
        let text = |key: &str| order[key].as_str().unwrap_or("?").to_owned();
        let [id, code, state, currency] = ["id", "short_code", "state", "currency"].map(text);
        let [amount, paid, back] =
            ["amount", "paid", "refunded"].map(|key| money(order[key].as_i64().unwrap_or_default(), &currency));
        [id, code, moment(order["ts"].as_u64()), state, amount, paid, back]
    };
    Table::new(["ORDER", "CODE", "TIME", "STATE", " AMOUNT", " PAID", " GIVEN BACK"], orders.iter().map(row))
}

fn moment(wall: When) -> String {
    let time = wall.and_then(|wall| Wall(wall).timestamp());
    time.map_or("clock unknown".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn operations(lines: &[OperationLine]) -> Table {
    let row = |line: &OperationLine| {
        let came = line.outcome.as_ref().map_or("under way".to_owned(), ToString::to_string);
        [moment(line.wall), line.by.to_string(), line.asked.to_string(), came]
    };
    Table::new(["TIME", "WHO", "ASKED", "OUTCOME"], lines.iter().map(row))
}
