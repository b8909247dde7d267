//! `kioskd tariff` as somebody types it.

use std::path::Path;
use std::process::Output;

use kioskd_tests::child::command;
use serde_json::Value;

use super::root;

const CITY: &str = "configs/tariffs/city.toml";

fn run(words: &[&str]) -> Output {
    command(env!("CARGO_BIN_EXE_kioskd")).current_dir(root()).arg("tariff").args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
}

/// What it says where it ends well.
fn said(words: &[&str]) -> String {
    let done = run(words);
    assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

/// What it complains about, and that it ends with 1.
fn refused(words: &[&str]) -> String {
    let done = run(words);
    assert_eq!(done.status.code(), Some(1), "{words:?}: {}", text(&done.stdout));
    assert_eq!(text(&done.stdout), "", "{words:?}");
    text(&done.stderr)
}

const STAY: [&str; 4] = ["--entry", "2026-11-30T08:00:00+08:00", "--exit", "2026-11-30T10:30:59+08:00"];

#[test]
fn explains_to_programs_and_to_people() {
    let words = [&["explain", CITY][..], &STAY, &["--json", "--validation", "shop-half"]].concat();
    let bill: Value = serde_json::from_str(&said(&words)).unwrap();
    assert_eq!((&bill["amount"], &bill["currency"], &bill["tax"]), (&900.into(), &"CNY".into(), &51.into()));
    let lines = bill["lines"].as_array().unwrap();
    let line = |nth: usize| ["text", "from", "to", "amount"].map(|key| lines[nth][key].to_string().replace('"', ""));
    assert_eq!(line(0), ["Day: 1 × 1 h at ¥6.00", "2026-11-30T08:00:00+08:00", "2026-11-30T09:00:00+08:00", "600"]);
    assert_eq!(line(1)[2..], ["2026-11-30T10:30:00+08:00", "1200"]);
    assert_eq!(line(2)[3], "-900");
    assert_eq!(lines.len(), 3);

    let told = said(&[&["explain", CITY][..], &STAY, &["--language", "zh-Hant", "--class", "motorcycle"]].concat());
    assert!(told.contains("Mon 2026-11-30 08:00 – Mon 2026-11-30 10:30"), "{told}");
    assert!(told.contains("電單車：3 × 1 小時，每次 ¥1.00"), "{told}");
    assert!(told.trim_end().ends_with("3.00 CNY, of it 0.17 CNY tax"), "{told}");
    let lost = said(&["explain", CITY, "--lost", "--exit", "2026-11-30T10:30:00+08:00"]);
    assert!(lost.contains("Lost ticket"), "{lost}");
}

#[test]
fn passes_and_earlier_visits_are_explained() {
    let season = said(&[&["explain", CITY][..], &STAY, &["--season", "office"]].concat());
    assert!(season.contains("Season pass office\n0.00 CNY"), "{season}");
    // It left a quarter of an hour before, and had paid 6.00 for its first hour.
    let visit = "2026-11-30T06:45:00+08:00,2026-11-30T07:45:00+08:00,600";
    let back = said(&[&["explain", CITY][..], &STAY, &["--visit", visit]].concat());
    assert!(back.contains("Mon 2026-11-30 06:45") && back.contains("-6.00 CNY  Already paid"), "{back}");
    for wrong in ["2026-11-30T06:45:00+08:00", "a,b,1", "2026-11-30T06:45:00+08:00,2026-11-30T07:45:00+08:00,-1"] {
        let told = refused(&[&["explain", CITY][..], &STAY, &["--visit", wrong]].concat());
        assert!(told.contains("is no visit; write ENTRY,EXIT,PAID"), "{told}");
    }
    let told = refused(&[&["explain", CITY][..], &STAY, &["--season", "gold"]].concat());
    assert!(told.contains("no season pass `gold`; there is: office"), "{told}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "name = { en = \"A\" }\ncurrency = \"CNY\"\nzone = \"Asia/Peking\"\n").unwrap();
    let name = file.to_str().unwrap();
    for verb in [&["explain", name, "--entry", STAY[1], "--exit", STAY[3]][..], &["check", name], &["table", name]] {
        let told = refused(verb);
        assert!(told.contains(&format!("{name}:3:8: unknown time zone; write its IANA name")), "{told}");
        assert!(told.lines().all(|line| line.starts_with(name)), "{told}");
    }
    let gone = refused(&["table", "no/such.toml"]);
    assert!(gone.starts_with("no/such.toml:1:1: can't be read"), "{gone}");
    let backwards = refused(&["explain", CITY, "--entry", STAY[3], "--exit", STAY[1]]);
    assert!(backwards.contains("the exit is before the entry"), "{backwards}");
    let class = refused(&[&["explain", CITY][..], &STAY, &["--class", "tram"]].concat());
    assert!(class.contains("no class `tram`; there is: car, motorcycle"), "{class}");
}

#[test]
fn warnings_end_with_one_and_a_calm_file_with_nought() {
    let folder = tempfile::tempdir().unwrap();
    let calm = folder.path().join("calm.toml");
    let rules = "name = { en = \"A\" }\ncurrency = \"CNY\"\nzone = \"Asia/Shanghai\"\n[[rate]]\nsteps = [{ minutes = 60, price = 100 }]\n";
    std::fs::write(&calm, rules).unwrap();
    for file in [calm.to_str().unwrap(), CITY] {
        assert_eq!(said(&["check", file, "--from", "2026-11-30T00:00:00Z"]), "");
    }
    let text_of = std::fs::read_to_string(root().join(CITY)).unwrap();
    let falls = folder.path().join("falls.toml");
    std::fs::write(&falls, text_of.replace("may_fall = true\n", "")).unwrap();
    let done = run(&["check", falls.to_str().unwrap(), "--from", "2026-11-30T00:00:00Z"]);
    let told = text(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(
        told.contains("falls: car, in ") && told.contains("14:59 costs") && told.contains("15:00 only 35.00 CNY"),
        "{told}"
    );
}

#[test]
fn two_tariffs_are_compared_over_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (new, stays) = (folder.path().join("new.toml"), folder.path().join("stays.csv"));
    let rules = std::fs::read_to_string(root().join(CITY)).unwrap();
    // The first hour becomes dearer, motorcycles cheaper.
    std::fs::write(&new, rules.replace("price = 600", "price = 700").replace("price = 100 }", "price = 80 }")).unwrap();
    let car = "2026-11-30T10:00:00+08:00,2026-11-30T11:00:00+08:00\n";
    let lines = format!(
        "entry,exit,class\n{car}{car}2026-11-30T10:00:00+08:00,2026-11-30T12:00:00+08:00,motorcycle\n2026-11-30T10:00:00+08:00,2026-11-30T10:05:00+08:00,car\n"
    );
    std::fs::write(&stays, &lines).unwrap();
    let diff = ["diff", CITY, new.to_str().unwrap(), "--stays", stays.to_str().unwrap()];
    assert_eq!(
        said(&diff).trim_end(),
        "4 stays: 14.00 CNY before, 15.60 CNY after\n2 pay more, at most 1.00 CNY more\n1 pay less, at most 0.40 CNY less\n1 pay the same"
    );
    std::fs::write(&stays, format!("{car}yesterday\n")).unwrap();
    let told = refused(&diff);
    assert!(told.contains("stays.csv:2:1: no stay; write ENTRY,EXIT"), "{told}");
}

#[test]
fn amounts_of_two_currencies_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (new, stays) = (folder.path().join("new.toml"), folder.path().join("stays.csv"));
    let rules = std::fs::read_to_string(root().join(CITY)).unwrap();
    std::fs::write(&new, rules.replace("\"CNY\"", "\"HKD\"")).unwrap();
    std::fs::write(&stays, "2026-11-30T10:00:00+08:00,2026-11-30T11:00:00+08:00\n").unwrap();
    let (name, picture) = (new.to_str().unwrap(), folder.path().join("fee.svg"));
    let diff = refused(&["diff", CITY, name, "--stays", stays.to_str().unwrap()]);
    let plot = refused(&["plot", CITY, "--against", name, "--entry", STAY[1], "--output", picture.to_str().unwrap()]);
    for told in [diff, plot] {
        assert!(told.contains(&format!("{name} is in HKD, and {CITY} in CNY")), "{told}");
    }
    assert!(!picture.exists());
}

#[test]
fn a_day_without_prices_is_refused() {
    for from in ["1999-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let told = refused(&["check", CITY, "--from", from]);
        assert!(told.contains("not between the years 2000 and 2100"), "{told}");
    }
}

#[test]
fn ten_years_take_no_more_memory_than_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("minutes.toml");
    let head = "name = { en = \"A\" }\ncurrency = \"CNY\"\nzone = \"Asia/Shanghai\"\nrestart = \"day\"\n";
    std::fs::write(&file, format!("{head}[[rate]]\nsteps = [{{ minutes = 1, price = 1 }}]\n")).unwrap();
    // A minute each took 400 MB.
    let within = |entry: &str| {
        let mut shell = command("/bin/sh");
        shell.args(["-c", "ulimit -v 300000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kioskd"), "tariff", "explain"]);
        shell.args([file.to_str().unwrap(), "--entry", entry, "--exit", "2026-11-30T00:00:00Z", "--json"]);
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
        let bill: Value = serde_json::from_slice(&done.stdout).unwrap();
        (bill["amount"].as_i64().unwrap(), bill["lines"].as_array().unwrap().len())
    };
    assert_eq!(within("2026-11-29T00:00:00Z"), (1_440, 1));
    assert_eq!(within("2016-12-01T00:00:00Z"), (3_651 * 1_440, 1));
}

#[test]
fn the_sign_and_the_pictures() {
    let sign = said(&["table", CITY, "--entry", "2026-11-30T09:00:00+08:00"]);
    assert!(sign.starts_with("City car park\n") && sign.contains("8 h 60.00 CNY"), "{sign}");
    let folder = tempfile::tempdir().unwrap();
    let draw = |name: &str| {
        let path = folder.path().join(name);
        let words = ["plot", CITY, "--against", "tests/parking/tariffs/beijing-class-1.toml", "--entry", STAY[1]];
        let done = run(&[&words[..], &["--output", path.to_str().unwrap()]].concat());
        (done, path)
    };
    let (done, svg) = draw("fee.svg");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(std::fs::read_to_string(svg).unwrap().contains("beijing-class-1</text>"));
    let (done, png) = draw("fee.png");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(&std::fs::read(png).unwrap()[..4], b"\x89PNG");
    let (done, other) = draw("fee.jpg");
    assert!(done.status.code() == Some(1) && !Path::new(&other).exists(), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains(".svg or .png"));
}

#[test]
fn rate_tables_are_written_and_what_they_do_not_say_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.json");
    let done = run(&["export", CITY, "--output", path.to_str().unwrap()]);
    assert!(done.status.success() && done.stdout.is_empty(), "{}", text(&done.stderr));
    let told = text(&done.stderr);
    let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let warnings = written["warnings"].as_array().unwrap();
    let lines: Vec<String> =
        warnings.iter().map(|what| format!("{CITY}: not said: {}", what.as_str().unwrap())).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), lines);
    assert!(told.contains("[[cap]] 1, 60.00 CNY in 24 h from the entry"), "{told}");
    assert_eq!(written["rateTables"][1]["id"], "city-motorcycle");
    let calm = run(&["export", "tests/parking/tariffs/exercise-long-stay.toml"]);
    assert_eq!((text(&calm.stderr).as_str(), calm.status.code()), ("", Some(0)));
    let shown: Value = serde_json::from_slice(&calm.stdout).unwrap();
    assert_eq!(shown["rateTables"][0]["rateLineCollections"][0]["rateLines"][0]["value"], 7.5);
    let told = refused(&["export", CITY, "--output", "/no/such/place.json"]);
    assert!(told.contains("/no/such/place.json can't be written"), "{told}");
}
