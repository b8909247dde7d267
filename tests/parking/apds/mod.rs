//! Rate tables of ISO TS 5206-1: another program prices stays from them alone, and what they don't say is told.

use std::io::{Seek as _, Write as _};

use kioskd::parking::tariff::{Stay, Tariff, export, fee};
use kioskd::vocabulary::{Minor, Wall};
use kioskd_tests::child::command;
use serde_json::{Value, json};

use super::{all, at, minutes, root, tariff};

/// Rules behind a head.
fn of(zone: &str, rules: &str) -> Tariff {
    tariff(&format!("name = {{ en = \"Test\" }}\ncurrency = \"GBP\"\nzone = \"{zone}\"\n{rules}"))
}

/// A tariff's name, the tariff, and stays in it.
type Case = (String, Tariff, Vec<(Wall, Wall)>);

/// What the reader asks for each stay of each tariff, by the first of its tables alone.
fn read(cases: &[Case]) -> Vec<Vec<Minor>> {
    let minute = |wall: Wall| wall.0 / 60_000;
    let case = |(name, tariff, stays): &Case| {
        let stays: Vec<_> = stays.iter().map(|(entry, exit)| [minute(*entry), minute(*exit)]).collect();
        json!({ "table": export(tariff, name).json["rateTables"][0], "digits": tariff.currency.digits(), "stays": stays })
    };
    let asked: Vec<Value> = cases.iter().map(case).collect();
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(json!(asked).to_string().as_bytes()).unwrap();
    input.rewind().unwrap();
    let mut reader = command("python3");
    let done = reader.arg(root().join("tests/parking/apds/reader.py")).stdin(input).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "the reader does not understand a table:\n{said}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Entries at odd and even hours around nights, month ends and changes of the clock, and lengths up to some days.
fn stays(tariff: &Tariff) -> Vec<(Wall, Wall)> {
    let mut all = Vec::new();
    for day in ["2026-11-28", "2026-11-30", "2026-12-31", "2027-02-28", "2027-03-27", "2027-10-30"] {
        for time in ["00:00", "07:59", "10:17", "17:45", "23:59"] {
            let entry = at(tariff, &format!("{day} {time}"));
            for length in [
                0, 1, 15, 16, 20, 21, 30, 31, 60, 61, 90, 120, 121, 180, 181, 239, 241, 481, 720, 1_440, 1_441, 2_879,
                4_000,
            ] {
                all.push((entry, minutes(entry, length)));
            }
        }
    }
    all
}

/// Both price alike, and this many stays.
fn agree(cases: &[Case]) -> usize {
    let mut all = 0;
    for ((name, tariff, stays), prices) in cases.iter().zip(read(cases)) {
        assert_eq!(prices.len(), stays.len());
        for ((entry, exit), price) in stays.iter().zip(&prices) {
            let bill = fee(tariff, &Stay::new(*entry, *exit)).unwrap();
            let (at, length) = (entry.timestamp().unwrap(), (exit.0 - entry.0) / 60_000);
            assert_eq!(*price, bill.amount, "{name}: {at}, {length} min\n{:#}", export(tariff, name).json);
        }
        all += prices.len();
    }
    all
}

const HALF_HOURS: &str = "[[rate]]\nsteps = [{ minutes = 30, price = 120 }]\n";
const LIST: &str = "[[rate]]\nsteps = [{ minutes = 60, price = 370 }, { minutes = 30, price = 150, times = 4 }, { minutes = 15, price = 45 }]\n";

/// Parts of a file that go together with all others of another list.
const HEADS: [&str; 6] = [
    "",
    "tax = { rate = \"17.5%\", included = false }\n",
    "tax = { rate = \"20%\", included = true }\ngrace = { entry = 15 }\n",
    "grace = { entry = 20 }\nfree = { minutes = 60, exceeded = \"lost\" }\n",
    "free = { minutes = 60, exceeded = \"deducted\" }\n",
    "crossing = \"cut\"\nrestart = \"day\"\n",
];
const RATES: [&str; 8] = [
    HALF_HOURS,
    LIST,
    "[[rate]]\nflat = 750\n",
    "[[rate]]\nfree = true\n",
    "[[rate]]\nrounding = \"minute\"\nsteps = [{ minutes = 30, price = 60, times = 3 }, { minutes = 60, price = 60 }]\n",
    // In the first hours a fixed price.
    "[[fixed]]\nlongest = 60\nprice = 100\napplies = \"always\"\n[[fixed]]\nlongest = 180\nprice = 210\napplies = \"always\"\n[[rate]]\nsteps = [{ minutes = 60, price = 90 }]\n",
    "[[rate]]\nfrom = \"18:00\"\nuntil = \"02:00\"\nflat = 400\n[[rate]]\ndays = [\"sat\", \"sun\"]\nflat = 300\n[[rate]]\nflat = 900\n",
    "[[rate]]\nfrom = \"08:00\"\nuntil = \"18:00\"\ndays = [\"mon\", \"fri\"]\nflat = 500\n[[rate]]\nfirst = 2026-11-30\nlast = 2026-12-31\nflat = 50\n[[rate]]\nfree = true\n",
];
const CAPS: [&str; 3] = ["", "[[cap]]\nper = \"stay\"\namount = 1000\n", "[[cap]]\nper = \"day\"\namount = 800\n"];

#[test]
fn another_program_prices_from_the_tables_alone() {
    let mut tariffs = all();
    for head in HEADS {
        for rates in RATES {
            for caps in CAPS {
                let rules = format!("{head}{rates}{caps}");
                tariffs.push((rules.clone(), of("Europe/London", &rules)));
            }
        }
    }
    let exact = tariffs.into_iter().filter(|(name, tariff)| export(tariff, name).unsaid.is_empty());
    let cases: Vec<Case> = exact.map(|(name, tariff)| (name, tariff.clone(), stays(&tariff))).collect();
    // Of 144 and those in files; the others have a warning.
    assert!(cases.len() >= 80, "{}", cases.len());
    println!("{} tariffs without a warning, {} stays", cases.len(), agree(&cases));
}

/// Every kind of rule, so that one that is forgotten fails here.
#[test]
fn whatever_a_table_does_not_say_is_told() {
    let cases = [
        ("last_minute = \"included\"\n", HALF_HOURS, "last_minute: "),
        ("grace = { leaving = 5 }\n", HALF_HOURS, "grace.leaving, 5 min: "),
        ("grace = { payment = 15 }\n", HALF_HOURS, "grace.payment, 15 min, and grace.late: "),
        ("free = { minutes = 30, per = \"day\", exceeded = \"lost\" }\n", HALF_HOURS, "free, 30 min of each day: "),
        ("rounding = \"down\"\n", HALF_HOURS, "rounding: a table charges a period that has begun"),
        (
            "rounding = \"minute\"\n",
            "[[rate]]\nsteps = [{ minutes = 30, price = 100 }]\n",
            "rounding: the price of a minute",
        ),
        ("restart = \"24h\"\n", LIST, "restart = \"24h\": "),
        (
            "",
            "[[cap]]\nper = \"hours\"\nhours = 24\namount = 2000\n",
            "[[cap]] 1, 20.00 GBP in 24 h from the entry (always): a table has no maximum of elapsed hours",
        ),
        (
            "",
            "[[cap]]\nper = \"window\"\nfrom = \"22:00\"\nuntil = \"06:00\"\namount = 2000\n",
            "[[cap]] 1, 20.00 GBP in a window (22:00–06:00): ",
        ),
        ("", "[[cap]]\nper = \"day\"\ndays = [\"sun\"]\namount = 2000\n", "[[cap]] 1, 20.00 GBP a day (sun): "),
        (
            "",
            "[[cap]]\nper = \"stay\"\namount = 2000\n[[cap]]\nper = \"stay\"\namount = 3000\n",
            "[[cap]] 2, 30.00 GBP for a stay (always): ",
        ),
        ("", "[[cap]]\nper = \"day\"\namount = 2000\n", "crossing, at midnight: "),
        (
            "crossing = \"cut\"\n",
            "[[rate]]\nsteps = [{ minutes = 9, price = 1 }, { minutes = 1, price = 1 }]\n[[cap]]\nper = \"day\"\namount = 2000\n",
            "restart: ",
        ),
        ("", "[[rate]]\nfrom = \"08:00\"\nuntil = \"18:00\"\nfree = true\n", "crossing = \"runs-on\": "),
        (
            "crossing = \"split\"\n",
            "[[rate]]\nfrom = \"08:00\"\nuntil = \"18:00\"\nfree = true\n",
            "crossing = \"split\": ",
        ),
        (
            "",
            "[[rate]]\nfirst = \"11-01\"\nlast = \"02-28\"\nfree = true\n",
            "`Rate 1`, 11-01 to 02-28: a table has no dates of every year",
        ),
        (
            "",
            "[[rate]]\ndays = [\"fri\"]\nfrom = \"22:00\"\nuntil = \"06:00\"\nfree = true\n",
            "`Rate 1`, fri, 22:00–06:00: ",
        ),
        ("holidays = { yearly = [\"12-25\"] }\n", "[[rate]]\ndays = [\"holiday\"]\nfree = true\n", "holidays: "),
        (
            "",
            "[[fixed]]\nfrom = \"06:00\"\nuntil = \"09:00\"\nprice = 500\napplies = \"always\"\n",
            "[[fixed]] 1, 5.00 GBP: a table has no price by the hours",
        ),
        (
            "",
            "[[fixed]]\nprice = 500\napplies = \"when-lower\"\n",
            "[[fixed]] 1, 5.00 GBP: a table has no price that holds only when",
        ),
        (
            "",
            "[[fixed]]\nlongest = 60\nprice = 500\napplies = \"always\"\n[[cap]]\nper = \"stay\"\namount = 300\n",
            "[[fixed]] 1, 5.00 GBP, and a cap of 3.00 GBP: ",
        ),
        ("", "[lost]\nprice = 2000\n", "lost, 20.00 GBP: "),
        ("", "[lost]\nsince = \"06:00\"\n", "lost, since 06:00: "),
        ("", "[[validation]]\nname = \"shop\"\npercent = 50\n", "validation `shop`: "),
        ("", "[[season]]\nname = \"office\"\n", "season pass `office`, always: "),
        ("", "[re_entry]\nwithin = 60\n", "re_entry within 1 h: "),
    ];
    for (head, rules, what) in cases {
        // The rate that holds always is the last.
        let always = if rules.contains("[[rate]]") && !rules.contains(" = true") { "" } else { HALF_HOURS };
        let tariff = of("Europe/London", &format!("{head}{rules}{}", if rules == HALF_HOURS { "" } else { always }));
        let found = export(&tariff, "test");
        let told: Vec<String> = found.unsaid.iter().map(ToString::to_string).collect();
        assert_eq!(told.iter().filter(|line| line.starts_with(what)).count(), 1, "{head}{rules}\n{told:#?}");
        assert_eq!(found.json["warnings"], json!(told));
    }
    assert!(export(&of("Europe/London", LIST), "test").unsaid.is_empty());
}

/// The two published samples.
#[test]
fn the_samples_come_out_of_tariffs_that_say_them() {
    let values = |tariff: &Tariff| -> Vec<String> {
        let found = export(tariff, "sample").json;
        let line = |line: &Value| {
            let key = |key: &str| line[key].as_str().unwrap_or("").to_owned();
            format!(
                "{} {} {}–{} {}",
                key("rateLineType"),
                line["value"],
                key("durationStart"),
                key("durationEnd"),
                key("incrementPeriod")
            )
        };
        found["rateTables"][0]["rateLineCollections"][0]["rateLines"].as_array().unwrap().iter().map(line).collect()
    };
    // The National Parking Platform's: amounts of each hour, and of the rest of the day.
    let arndale = super::published("arndale-sample");
    let lines = values(&arndale);
    assert_eq!(
        lines,
        [
            "incrementingRate 3.7 PT0M–PT60M PT60M",
            "incrementingRate 3.0 PT60M–PT120M PT60M",
            "incrementingRate 2.5 PT120M–PT180M PT60M",
            "incrementingRate 3.0 PT180M–PT300M PT60M",
            "incrementingRate 5.3 PT300M– PT1140M",
        ]
    );
    let told: Vec<String> = export(&arndale, "sample").unsaid.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].starts_with("restart = \"24h\""), "{told:?}");
    let entry = at(&arndale, "2026-11-30 09:00");
    let hours = [1, 2, 3, 4, 5, 24].map(|hours| (entry, minutes(entry, hours * 60)));
    let cumulative = vec![370, 670, 920, 1_220, 1_520, 2_050];
    assert_eq!(read(&[("arndale".into(), arndale, hours.to_vec())]), [cumulative]);
    // The traffic orders': amounts of whole stays, behind a time that is free if that is all.
    let tiers = "grace = { entry = 30 }\n".to_owned()
        + &[(60, 370), (120, 670), (180, 920)]
            .map(|(longest, price)| format!("[[fixed]]\nlongest = {longest}\nprice = {price}\napplies = \"always\"\n"))
            .concat()
        + "[[rate]]\nsteps = [{ minutes = 1440, price = 2050 }]\n";
    let tiers = of("Europe/London", &tiers);
    assert_eq!(
        values(&tiers),
        [
            "flatRateTier 0.0 PT0M–PT30M ",
            "flatRateTier 3.7 PT0M–PT60M ",
            "flatRateTier 6.7 PT0M–PT120M ",
            "flatRateTier 9.2 PT0M–PT180M ",
            "incrementingRate 20.5 PT0M– PT1440M",
        ]
    );
    let stays = [30, 31, 60, 61, 180, 181].map(|length| (entry, minutes(entry, length)));
    assert!(export(&tiers, "sample").unsaid.is_empty());
    assert_eq!(read(&[("tiers".into(), tiers, stays.to_vec())]), [[0, 370, 370, 670, 920, 2_050]]);
}

#[test]
fn every_export_is_valid() {
    let schema: Value =
        serde_json::from_slice(&std::fs::read(root().join("tests/parking/apds/schema.json")).unwrap()).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("export.json", schema).unwrap();
    let id = compiler.compile("export.json", &mut schemas).unwrap();
    for (name, tariff) in all() {
        let found = export(&tariff, &name).json;
        schemas.validate(&found, id).unwrap_or_else(|error| panic!("{name}: {error:#}\n{found:#}"));
        assert_eq!(found["rateTables"].as_array().unwrap().len(), tariff.classes.len());
    }
    let mut wrong = export(&super::published("reading-barta"), "reading").json;
    wrong["rateTables"][0]["rateLineCollections"][0]["rateLines"][0]["value"] = "2.00".into();
    assert!(schemas.validate(&wrong, id).is_err());
}
