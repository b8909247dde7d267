//! The field technician's command line. These verbs read a ledger directly, whether a daemon runs or not.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kioskd::ledger::Reader;
use kioskd::vocabulary::{Currency, Money};
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
    /// Verify the whole ledger: the chain, and that the tables say what the records add up to.
    Verify,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kioskctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &Arguments) -> anyhow::Result<()> {
    let reader = Reader::open(&arguments.state)?;
    match &arguments.verb {
        Verb::Why { order } => {
            let story = reader.why(order.as_deref())?.context("no such order in this ledger")?;
            match arguments.json {
                true => println!("{:#}", story.json()),
                false => println!("{story}"),
            }
        }
        Verb::Orders { limit } => {
            let orders = reader.orders(*limit)?;
            match arguments.json {
                true => println!("{orders:#}"),
                false => table(&orders),
            }
        }
        Verb::Verify => {
            let end = reader.verify()?;
            match arguments.json {
                true => println!("{:#}", json!({ "records": end.seq, "orders": end.orders, "hash": end.hash })),
                false => println!("{} records and {} orders hold; the chain ends in {}", end.seq, end.orders, end.hash),
            }
        }
    }
    Ok(())
}

fn table(orders: &Value) {
    println!("{:26}  {:6}  {:16}  {:>12}  {:>12}  {:>12}", "ORDER", "CODE", "STATE", "AMOUNT", "PAID", "GIVEN BACK");
    for order in orders["orders"].as_array().into_iter().flatten() {
        let text = |key: &str| order[key].as_str().unwrap_or("?").to_owned();
        let money = |key: &str| {
            let amount = order[key].as_i64().unwrap_or_default();
            match Currency::from_code(&text("currency")) {
                Some(currency) => Money { amount, currency }.to_string(),
                None => amount.to_string(),
            }
        };
        println!(
            "{:26}  {:6}  {:16}  {:>12}  {:>12}  {:>12}",
            text("id"),
            text("short_code"),
            text("state"),
            money("amount"),
            money("paid"),
            money("refunded")
        );
    }
}
