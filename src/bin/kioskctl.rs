//! The field technician's command line. These verbs read a ledger directly, whether a daemon runs or not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kioskd::console::{complain, say};
use kioskd::ledger::{Ask, ChargeLine, Days, FeeReport, Reader, Verified, reconcile};
use kioskd::payment::bill::{self, Period};
use kioskd::payment::rates::Rates;
use kioskd::vocabulary::{Currency, Money, told};
use serde_json::{Value, json};

/// Look into a kiosk.
#[derive(Parser)]
#[command(name = "kioskctl", version)]
struct Arguments {
    /// The kiosk's state directory.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/kioskd")]
    state: PathBuf,
    /// Answers for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The whole story of one order.
    Why {
        /// Its number or short code; the newest order without it.
        order: Option<String>,
    },
    /// The newest orders.
    Orders {
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// What people have asked of the machine, who it was, and what came of it; the newest first.
    Operations {
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Verify the whole ledger: the chain, and that every table says what the records add up to.
    Verify,
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("kioskctl: {}", told(error.as_ref())));
            ExitCode::from(if matches!(arguments.verb, Verb::Reconcile { .. }) { 2 } else { 1 })
        }
    }
}

fn act(arguments: &Arguments) -> anyhow::Result<ExitCode> {
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
