//! Bad configurations: what is said about them, that nothing panics, and that schema, reference and checks agree.

mod answers;
mod boards;
mod cases;
mod children;
mod floors;
mod papers;
mod reference;
mod themes;

use std::fs;
use std::path::{Path, PathBuf};

use kioskd::config::{self, Config, ConfigError, Span};
use kioskd::kiosk::check;
use kioskd::signed::jws::{Purpose, Signer};
use proptest::prelude::*;
use serde_json::{Value, json};

const GOOD: &str = include_str!("kiosk.toml");
const DEMO: &str = include_str!("../../configs/vending.toml");

/// RFC 8037, appendix A.
const ROOT: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const ROOT_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

/// A directory with the files that `kiosk.toml` names.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for (name, asset) in [
        ("sc.otf", "fonts/kioskd-sans-sc.otf"),
        ("tc.otf", "fonts/kioskd-sans-tc.otf"),
        ("cola.png", "pictures/cola.png"),
    ] {
        std::os::unix::fs::symlink(assets.join(asset), directory.path().join(name)).unwrap();
    }
    let root = Signer::from_pem(ROOT.as_bytes(), "root").unwrap();
    fs::write(directory.path().join("root.pem"), ROOT_PUBLIC).unwrap();
    for (fleet, file) in [("street", "keyset.json"), ("other", "other.json")] {
        let entry = |kid: &str, key: &str| json!({ "kid": kid, "key": key.repeat(43), "roles": ["sell"] });
        let content = json!({ "fleet": fleet, "version": 1, "keys": [entry("a", "A"), entry("b", "E")] });
        fs::write(directory.path().join(file), root.sign(Purpose::Keyset, &content).unwrap()).unwrap();
    }
    directory
}

fn problems(result: Result<Config, ConfigError>) -> Vec<config::Problem> {
    match result {
        Ok(_) => Vec::new(),
        Err(ConfigError::Wrong { problems, .. }) => problems,
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn every_mistake_has_its_message() {
    let directory = directory();
    let file = directory.path().join("kiosk.toml");
    let mut wrong = String::new();
    for case in [cases::SYNTAX, cases::SHAPE, cases::RULES].into_iter().flatten() {
        assert!(GOOD.contains(case.this), "{}", case.this);
        let text = GOOD.replacen(case.this, case.that, 1);
        let said = match check::parse(&file, text.as_bytes()) {
            Ok(_) => "nothing".to_owned(),
            Err(e) => e.to_string().replace(file.to_str().unwrap(), "kiosk.toml"),
        };
        if said != case.says.join("\n") {
            wrong +=
                &format!("{:?}\n=> {:?}\nwanted:\n{}\ngot:\n{said}\n\n", case.this, case.that, case.says.join("\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_good_file_is_read_and_its_paths_start_at_the_file() {
    let directory = directory();
    let file = directory.path().join("kiosk.toml");
    fs::write(&file, GOOD).unwrap();
    let config = check::load(&file).unwrap();
    assert_eq!(config.glass.font_sc, directory.path().join("sc.otf"));
    assert_eq!(config.state.directory, directory.path().join("state"));
    assert_eq!(config.products[0].picture, Some(directory.path().join("cola.png")));
    assert_eq!((config.slots.len(), config.slots[1].pulse.to_string()), (2, "1500ms".into()));
    assert_eq!(config.board.drop_sensor.unwrap().counter, Some(0x50));
    assert_eq!((config.sale.more_time, config.sale.attempts), (Span::seconds(60), 2));
    assert!(!directory.path().join("state").exists(), "checking makes nothing");

    let plain = "broker = \"mqtt://127.0.0.1:1883\"";
    let secure =
        "broker = \"mqtts://broker:8883\"\nca = \"ca.pem\"\ncert = \"/etc/kiosk.pem\"\nkey = \"file:kiosk.key\"";
    let fleet = check::parse(&file, GOOD.replacen(plain, secure, 1).as_bytes()).unwrap().fleet.unwrap();
    let (ca, key) = (directory.path().join("ca.pem"), format!("file:{}", directory.path().join("kiosk.key").display()));
    assert_eq!((fleet.ca, fleet.cert), (Some(ca), Some(PathBuf::from("/etc/kiosk.pem"))));
    assert_eq!(fleet.key.unwrap().to_string(), key);
    let commanded = format!("{plain}\nroot = \"root.pem\"\nkeyset = \"keyset.json\"");
    let fleet = check::parse(&file, GOOD.replacen(plain, &commanded, 1).as_bytes()).unwrap().fleet.unwrap();
    assert_eq!(fleet.keyset, Some(directory.path().join("keyset.json")));

    let absolute = GOOD.replacen("\"state\"", "\"/var/lib/kioskd\"", 1);
    let config = check::parse(&file, absolute.as_bytes()).unwrap();
    assert_eq!(config.state.directory, Path::new("/var/lib/kioskd"));
}

#[test]
fn what_may_be_left_out_may_be_left_out() {
    let directory = directory();
    let mut text = GOOD.replacen("[fleet]\nbroker = \"mqtt://127.0.0.1:1883\"\n", "", 1);
    text = text.replacen("[sale]\nqr_life = \"90s\"\nlease = \"30s\"\nunknown_delivery = \"refund\"\n", "", 1);
    for line in ["time_zone", "reserve", "door", "tamper", "poll_seconds", "picture"] {
        text = text.lines().filter(|l| !l.starts_with(line)).collect::<Vec<_>>().join("\n");
    }
    let config = check::parse(&directory.path().join("kiosk.toml"), text.as_bytes()).unwrap();
    assert!(config.fleet.is_none() && config.board.door.is_none() && config.products[0].picture.is_none());
    assert_eq!((config.kiosk.time_zone.as_str(), config.sale.lease), ("UTC", Span::seconds(30)));
}

#[test]
fn a_glass_has_room_for_so_many() {
    let directory = directory();
    let file = directory.path().join("kiosk.toml");
    let said = |text: String| {
        problems(check::parse(&file, text.as_bytes())).into_iter().map(|problem| problem.what).collect::<Vec<_>>()
    };
    let rail = "[[rail]]\nkind = \"sandbox\"\nlabel = { en = \"Wallet\" }\n";
    let rails = |many: usize| {
        let more: String = (1..many).map(|nth| format!("{rail}name = \"r{nth}\"\n")).collect();
        GOOD.replacen(rail, &format!("{more}{rail}"), 1)
    };
    assert_eq!(said(rails(8)), Vec::<String>::new());
    assert_eq!(said(rails(9)), ["the glass has room for 8 [[rail]], not for more; leave this out"]);

    let product = GOOD.find("[[product]]").unwrap();
    let categories = |many: usize| {
        let mut text = GOOD.to_owned();
        for nth in 0..many {
            let category = format!("[[category]]\nid = \"c{nth}\"\nname = {{ en = \"C\" }}\n");
            text.insert_str(product, &category);
        }
        text
    };
    let of_room =
        |many| said(categories(many)).into_iter().filter(|what| what.contains("has room")).collect::<Vec<_>>();
    assert_eq!(of_room(11), Vec::<String>::new());
    assert_eq!(of_room(12), ["the glass has room for 11 [[category]], not for more; leave this out"]);
}

#[test]
fn short_times_are_allowed_because_tests_use_them() {
    let text = GOOD.replacen("\"90s\"", "\"5s\"", 1).replacen("\"30s\"", "\"6s\"", 1);
    let directory = directory();
    check::parse(&directory.path().join("kiosk.toml"), text.as_bytes()).unwrap();
}

#[test]
fn a_charge_lives_a_minute_at_least_where_its_provider_says_so() {
    let rail = "kind = \"alipay\"\napp_id = \"2021\"\nprivate_key = \"file:a.key\"\nalipay_public_key = \"file:a.pem\"";
    let text = GOOD.replacen("kind = \"sandbox\"", rail, 1);
    let short = text.replacen("qr_life = \"90s\"", "qr_life = \"50s\"\nmore_time = \"9s\"", 1);
    let directory = directory();
    let parse = |text: &str| check::parse(&directory.path().join("kiosk.toml"), text.as_bytes());
    parse(&text).unwrap();
    let error = parse(&short).unwrap_err().to_string();
    assert!(error.contains(":16:11: `qr_life` and `more_time` are less than a minute together"), "{error}");
}

#[test]
fn a_lease_that_is_left_out_counts_too() {
    let text = GOOD.replacen("lease = \"30s\"\n", "", 1).replacen("poll_seconds = 3", "timeout = \"30s\"", 1);
    let directory = directory();
    let error = check::parse(&directory.path().join("kiosk.toml"), text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(":47:11: `lease` 30s is not longer than rail `sandbox`'s `timeout` of 30s"), "{error}");
}

#[test]
fn the_demos_own_file_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/vending.toml");
    assert_eq!(check::load(&file).unwrap().slots.len(), 7);
}

#[test]
fn files_that_are_no_configuration_at_all() {
    let directory = directory();
    let said = |name: &str| {
        let file = directory.path().join(name);
        check::load(&file).unwrap_err().to_string().replace(directory.path().to_str().unwrap(), "")
    };
    assert_eq!(said("none.toml"), "/none.toml:1:1: can't be read: No such file or directory (os error 2)");
    assert_eq!(said(""), "/:1:1: can't be read: Is a directory (os error 21)");

    fs::write(directory.path().join("large.toml"), vec![b'\n'; config::LIMIT + 1]).unwrap();
    let large = "/large.toml:1:1: larger than 1 MiB; write one kiosk's configuration and nothing else";
    assert_eq!(said("large.toml"), large);

    fs::write(directory.path().join("latin.toml"), b"[kiosk]\nid = \"\xe4\"\n").unwrap();
    assert_eq!(said("latin.toml"), "/latin.toml:2:7: not UTF-8 from here; save the file as UTF-8");

    fs::write(directory.path().join("empty.toml"), "").unwrap();
    let first = said("empty.toml").lines().next().unwrap().to_owned();
    assert_eq!(first, "/empty.toml:1:1: missing [[product]]; write at least one [[product]] with id, name and price");
    assert_eq!(said("empty.toml").lines().count(), 8);
}

/// An independent validator agrees with our own checks about the schema.
#[test]
fn the_schema_holds_for_what_we_accept() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("kioskd.json", config::schema()).unwrap();
    let id = compiler.compile("kioskd.json", &mut schemas).unwrap();
    let json = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    for good in [GOOD, DEMO] {
        schemas.validate(&json(good), id).unwrap_or_else(|e| panic!("{e:#}"));
    }
    // A default that is written out is still allowed.
    let directory = directory();
    let config = check::parse(&directory.path().join("kiosk.toml"), GOOD.as_bytes()).unwrap();
    let Value::Object(mut whole) = serde_json::to_value(&config).unwrap() else { panic!("a table") };
    drop_null(&mut whole);
    schemas.validate(&whole.into(), id).unwrap_or_else(|e| panic!("{e:#}"));
    for bad in [
        GOOD.replacen("price", "pirce", 1),
        GOOD.replacen("width = 1280", "width = 200", 1),
        GOOD.replacen("\"refund\"", "\"keep\"", 1),
        GOOD.replacen("\"90s\"", "90", 1),
        GOOD.replacen("[\"zh-Hant\", \"en\"]", "[\"french\"]", 1),
        GOOD.replacen("en = \"Cola\"", "french = \"Cola\"", 1),
        GOOD.replacen("id = \"K1\"", "id = \"K/1\"", 1),
    ] {
        assert!(schemas.validate(&json(&bad), id).is_err(), "{bad}");
    }
}

fn drop_null(table: &mut serde_json::Map<String, Value>) {
    table.retain(|_, value| !value.is_null());
    for value in table.values_mut() {
        let tables = match value {
            Value::Array(items) => items.iter_mut().collect(),
            one => vec![one],
        };
        tables.into_iter().filter_map(Value::as_object_mut).for_each(drop_null);
    }
}

#[test]
fn the_reference_is_the_schemas() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let wanted = reference::render(&config::schema());
    if std::env::var_os("KIOSKD_WRITE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &wanted).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == wanted, "docs/configuration.md is not what the schema says; KIOSKD_WRITE=1 writes it anew");
}

/// Whatever the bytes, there is an answer, every problem is on its own line and inside the file.
fn answers(bytes: &[u8]) {
    let result = check::parse(Path::new("kiosk.toml"), bytes);
    let Err(error) = &result else { return };
    let printed = error.to_string();
    let problems = problems(result);
    assert!(!problems.is_empty());
    assert_eq!(printed.lines().count(), problems.len(), "{printed}");
    let lines = bytes.split(|&b| b == b'\n').count();
    for problem in problems {
        assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{problem:?}");
        assert!(!problem.what.is_empty());
    }
}

/// Things that mean something in TOML or in ours, to be put where they don't belong.
const TOKENS: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    "\"",
    "'",
    "\"\"\"",
    ",",
    ".",
    "#",
    "\n",
    "\r",
    "\\u",
    "-",
    "0x",
    "1e9",
    "true",
    "inf",
    "1979-05-27",
    "\u{feff}",
    "號",
    "\0",
    "\"90s\"",
    "99999999999999999999",
    "-1",
    "[a]",
    "[[slot]]",
    "[kiosk]",
    "a.b.c",
    "\"../\"",
    "{ en = 1 }",
    "[1, [2]]",
    "\"18446744073709551615h\"",
    "\"\"",
];

fn cases() -> u32 {
    if std::env::var_os("KIOSKD_LONG").is_some() { 20_000 } else { 400 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        answers(&bytes);
    }

    #[test]
    fn any_text_gets_an_answer(text in "(\\PC|\n){0,200}") {
        answers(text.as_bytes());
    }

    #[test]
    fn a_damaged_file_gets_an_answer(
        damage in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..40_usize, any::<prop::sample::Index>(), 0..4_u8),
            1..6,
        ),
    ) {
        let mut bytes = DEMO.as_bytes().to_vec();
        for (at, length, what, how) in damage {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match how {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..end, what.get(TOKENS).bytes())),
                2 => drop(bytes.splice(at..at, what.get(TOKENS).bytes())),
                _ => {
                    let piece = bytes[at..end].to_vec();
                    let to = what.index(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        answers(&bytes);
    }

    /// The value of one key replaced by something else: these get past the parser.
    #[test]
    fn a_wrong_value_gets_an_answer(line in any::<prop::sample::Index>(), token in any::<prop::sample::Index>()) {
        let mut lines: Vec<String> = GOOD.lines().map(String::from).collect();
        let line = line.index(lines.len());
        let key = lines[line].split('=').next().unwrap().to_owned();
        lines[line] = format!("{key} = {}", token.get(TOKENS));
        answers(lines.join("\n").as_bytes());
    }
}
