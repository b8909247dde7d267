//! A fee: what a stay of 30 days costs with a tariff of 20 rules, and what many short stays do. `cargo bench --bench tariff`.
//!
//! `cargo bench --bench tariff -- CALLS` prices the long stay so many times and nothing else, for a program that counts instructions.

use std::hint::black_box;
use std::time::Instant;

use kioskd::parking::tariff::{Stay, Tariff, fee, parse};
use kioskd::vocabulary::Wall;

/// Twelve rates, two fixed prices, six caps.
fn twenty_rules() -> Tariff {
    let mut text = String::from(
        "name = { en = \"Twenty rules\" }\ncurrency = \"EUR\"\nzone = \"Europe/Berlin\"\nrestart = \"day\"\n\
         holidays = { yearly = [\"01-01\", \"05-01\", \"12-25\", \"12-26\"] }\n\
         [grace]\nentry = 10\n[free]\nminutes = 30\nexceeded = \"deducted\"\n",
    );
    let workdays = "days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n";
    for nth in 0..11 {
        let days = if nth % 2 == 0 { workdays } else { "" };
        let hours = format!(
            "from = \"{:02}:{:02}\"\nuntil = \"{:02}:{:02}\"\n",
            nth * 2,
            nth * 5 % 60,
            nth * 2 + 2,
            nth * 3 % 60
        );
        text += &format!(
            "[[rate]]\n{days}{hours}steps = [{{ minutes = 60, price = {} }}, {{ minutes = 20, price = 50 }}]\n",
            100 + nth
        );
    }
    text += "[[rate]]\nsteps = [{ minutes = 60, price = 80 }]\n";
    for (from, until, price) in [("06:00", "09:00", 900), ("17:00", "22:00", 500)] {
        text += &format!(
            "[[fixed]]\n{workdays}from = \"{from}\"\nuntil = \"{until}\"\nout_until = \"20:00\"\nprice = {price}\napplies = \"when-lower\"\n"
        );
    }
    for cap in [
        "per = \"day\"\namount = 2500",
        "per = \"day\"\ndays = [\"sun\", \"holiday\"]\namount = 1200",
        "per = \"hours\"\nhours = 24\namount = 2400",
        "per = \"window\"\nfrom = \"20:00\"\nuntil = \"08:00\"\namount = 600",
        "per = \"window\"\nfrom = \"08:00\"\nuntil = \"20:00\"\namount = 1800",
        "per = \"hours\"\nhours = 168\namount = 12000",
    ] {
        text += &format!("[[cap]]\n{cap}\n");
    }
    parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// 2026-11-02 08:17 in Berlin.
const ENTRY: u64 = 1_793_603_820_000;

fn stay(minutes: u64) -> Stay {
    Stay::new(Wall(ENTRY), Wall(ENTRY + minutes * 60_000))
}

fn timed(what: &str, calls: u32, tariff: &Tariff, stay: &Stay) {
    let started = Instant::now();
    for _ in 0..calls {
        black_box(fee(black_box(tariff), black_box(stay)).expect("it has a price"));
    }
    println!("{what:28} {:8.1} µs a call", started.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
}

fn main() {
    let tariff = twenty_rules();
    let month = stay(30 * 1_440);
    // `cargo bench` says `--bench` to everybody.
    if let Some(calls) = std::env::args().find_map(|word| word.parse::<u32>().ok()) {
        (0..calls).for_each(|_| drop(black_box(fee(&tariff, black_box(&month)))));
        return;
    }
    let bill = fee(&tariff, &month).expect("it has a price");
    println!("30 days: {} lines, {} {}", bill.lines.len(), bill.amount, bill.currency.code());
    timed("30 days, 20 rules", 2_000, &tariff, &month);
    timed("2 hours, 20 rules", 100_000, &tariff, &stay(120));
    timed("10 years, 20 rules", 20, &tariff, &stay(3_650 * 1_440));
}
