//! Car parks from outside: published tariffs with their published examples, what must hold of every tariff, codes on paper, lanes that
//! lose sight of each other, rate tables for other programs, and a lane on simulated ground.

mod apds;
mod codes;
mod command;
mod lanes;
mod oracle;
mod properties;
mod published;
mod site;

use std::path::Path;

use kioskd::parking::tariff::{Bill, Stay, Tariff, fee, parse};
use kioskd::vocabulary::{Minor, Wall};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders with files that are tariffs.
const FOLDERS: [&str; 2] = ["configs/tariffs", "tests/parking/tariffs"];

fn tariff(text: &str) -> Tariff {
    parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

fn published(name: &str) -> Tariff {
    tariff(&std::fs::read_to_string(root().join(format!("tests/parking/tariffs/{name}.toml"))).unwrap())
}

/// Every file, with its name.
fn all() -> Vec<(String, Tariff)> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            all.push((
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                tariff(&std::fs::read_to_string(&path).unwrap()),
            ));
        }
    }
    all
}

/// A civil time at the tariff's site, such as `2026-11-30 08:00`.
fn at(tariff: &Tariff, text: &str) -> Wall {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    wall(civil.to_zoned(tariff.zone.clone()).unwrap().timestamp())
}

fn wall(at: jiff::Timestamp) -> Wall {
    Wall(u64::try_from(at.as_millisecond()).unwrap())
}

fn minutes(from: Wall, minutes: u64) -> Wall {
    Wall(from.0 + minutes * 60_000)
}

fn bill(tariff: &Tariff, entry: &str, exit: &str) -> Bill {
    fee(tariff, &Stay::new(at(tariff, entry), at(tariff, exit))).unwrap()
}

fn amount(tariff: &Tariff, entry: &str, exit: &str) -> Minor {
    bill(tariff, entry, exit).amount
}
