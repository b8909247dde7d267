//! The field technician's command line. Some verbs read a ledger directly, whether a daemon runs or not; the others ask the
//! running one, on the bus.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kioskd::config::Bus;
use kioskd::console::{complain, say};
use kioskd::dbus::{Client, Done, NoAnswer};
use kioskd::ledger::{Ask, ChargeLine, Days, FeeReport, Reader, Verified, reconcile};
use kioskd::operation::{Operation, Reason};
use kioskd::payment::bill::{self, Period};
use kioskd::payment::rates::Rates;
use kioskd::vocabulary::{ClaimSettlement, Currency, Money, OrderId, SlotId, error_chain};
use serde_json::{Value, json};

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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    System,
    Session,
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
            let refused = matches!(error.downcast_ref(), Some(NoAnswer::Refused(_)));
            let own = match arguments.verb {
                Verb::Why { .. } | Verb::Orders { .. } | Verb::Operations { .. } | Verb::Verify | Verb::Fees { .. } => {
                    1
                }
                Verb::Reconcile { .. } => 2,
                _ if refused => 1,
                _ => 2,
            };
            ExitCode::from(own)
        }
    }
}

fn act(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match operation(&arguments.verb)? {
        Some(asked) => operate(arguments, &asked),
        None if matches!(arguments.verb, Verb::Status) => status(arguments),
        None => read(arguments),
    }
}

/// What a verb asks of the running kiosk.
fn operation(verb: &Verb) -> anyhow::Result<Option<Operation>> {
    let slot = |name: &str| SlotId::try_from(name.to_owned());
    Ok(Some(match verb {
        Verb::Lock { reason } => Operation::Lock { reason: Reason::try_from(reason.clone())? },
        Verb::Unlock => Operation::Unlock,
        Verb::Refill => Operation::Refill,
        Verb::SetStock { slot: name, count } => Operation::SetStock { slot: slot(name)?, count: *count },
        Verb::TestVend { slot: name } => Operation::TestVend { slot: slot(name)? },
        Verb::SettleClaim { order, how } => {
            let how = match how {
                How::Delivered => ClaimSettlement::Delivered,
                How::Refund => ClaimSettlement::Refund,
                How::PaidOutside => ClaimSettlement::PaidOutside,
            };
            Operation::SettleClaim { order: OrderId::try_from(order.clone())?, how }
        }
        _ => return Ok(None),
    }))
}

/// Asks the running kiosk.
fn ask<T>(arguments: &Arguments, ask: impl AsyncFnOnce(Client) -> Result<T, NoAnswer>) -> anyhow::Result<T> {
    let bus = match arguments.bus {
        Which::System => Bus::System,
        Which::Session => Bus::Session,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async { ask(Client::connect(bus).await?).await })?)
}

fn status(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = ask(arguments, async |kiosk| kiosk.report().await)?;
    match arguments.json {
        true => say(format_args!("{:#}", report.json()))?,
        false => say(&report)?,
    }
    Ok(if report.selling() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn operate(arguments: &Arguments, asked: &Operation) -> anyhow::Result<ExitCode> {
    let done = ask(arguments, async |kiosk| kiosk.operate(asked).await)?;
    match (arguments.json, done) {
        (true, Done::Changed(changed)) => say(format_args!("{:#}", json!({ "changed": changed })))?,
        (true, Done::Order(order)) => say(format_args!("{:#}", json!({ "order": order })))?,
        (false, Done::Changed(true)) => say("done")?,
        (false, Done::Changed(false)) => say("it was so already")?,
        (false, Done::Order(order)) => say(format_args!("begun; what comes of it: kioskctl why {order}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is in the ledger.
fn read(arguments: &Arguments) -> anyhow::Result<ExitCode> {
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
