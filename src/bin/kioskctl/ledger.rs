//! What a ledger says, whether its kiosk runs or not.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use jiff::tz::TimeZone;
use kioskd::console::say;
use kioskd::ledger::{Ask, ChargeLine, Days, FeeReport, Reader, Verified, reconcile};
use kioskd::payment::bill::{self, Period};
use kioskd::payment::rates::Rates;
use kioskd::vocabulary::{Currency, Money};
use serde_json::{Value, json};

use crate::{Arguments, Verb};

/// What is in the ledger.
pub fn read(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&arguments.state)?;
    match &arguments.verb {
        Verb::Why { order } => {
            let story = reader.why(order.as_deref())?.context("no such order in this ledger")?;
            match arguments.json {
                true => say(format_args!("{:#}", story.json()))?,
                false => say(story)?,
            }
        }
        Verb::Orders { limit } => {
            let orders = reader.orders(*limit)?;
            match arguments.json {
                true => say(format_args!("{orders:#}"))?,
                false => say(table(&orders))?,
            }
        }
        Verb::Operations { limit } => {
            let lines = reader.operations(*limit)?;
            match arguments.json {
                true => say(format_args!("{:#}", json!({ "operations": lines })))?,
                false if lines.is_empty() => say("nobody has asked for anything")?,
                false => lines.iter().try_for_each(say)?,
            }
        }
        Verb::Verify => {
            let end = reader.verify()?;
            match arguments.json {
                true => {
                    let answer = json!({ "records": end.seq, "orders": end.orders, "hash": end.hash });
                    say(format_args!("{answer:#}"))?;
                }
                false => {
                    let Verified { seq, orders, hash } = end;
                    say(format_args!("{seq} records and {orders} orders hold; the chain ends in {hash}"))?;
                }
            }
        }
        Verb::Settle { show: Some(number), .. } => {
            let report = reader.cash_up(*number)?.with_context(|| format!("no report {number} in this ledger"))?;
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

fn table(orders: &Value) -> String {
    let line = |[id, code, state, amount, paid, back]: [&str; 6]| {
        format!("{id:26}  {code:6}  {state:16}  {amount:>12}  {paid:>12}  {back:>12}")
    };
    let mut lines = vec![line(["ORDER", "CODE", "STATE", "AMOUNT", "PAID", "GIVEN BACK"])];
    for order in orders["orders"].as_array().into_iter().flatten() {
        let text = |key: &str| order[key].as_str().unwrap_or("?").to_owned();
        let money = |key: &str| {
            let amount = order[key].as_i64().unwrap_or_default();
            match Currency::from_code(&text("currency")) {
                Some(currency) => Money { amount, currency }.to_string(),
                None => amount.to_string(),
            }
        };
        let [id, code, state] = ["id", "short_code", "state"].map(text);
        let [amount, paid, back] = ["amount", "paid", "refunded"].map(money);
        lines.push(line([&id, &code, &state, &amount, &paid, &back]));
    }
    lines.join("\n")
}
