//! `kioskfleet inspect` and `ls`, by what a collector has stored and by what the machines answer themselves. The machines are
//! simulated ones with real ledgers and keys; what is said in their names by others is said with mosquitto's own client.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc::{self, Receiver};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kioskd::fleet::inspection::Inspection;
use kioskd::operation::Digest;
use kioskd::signed::jws::{PublicKey, Purpose, Signer};
use kioskd::signed::statement::Statement;
use kioskd::vocabulary::Wall;
use kioskd_tests::child::{Running, command};
use serde_json::{Value, json};

use super::collector::kit::{Collector, FLEET, Server, Store, address, answered, documents, plain_with, sqlite};
use super::kit::{Mosquitto, Subscriber, publish, until};
use kioskd::fleet::topic::Leaf;

const MACHINES: [&str; 3] = ["K00001", "K00002", "K00003"];

/// Three machines of which the second has another configuration than the office thinks, and the register.
struct Street {
    broker: Mosquitto,
    folder: tempfile::TempDir,
    _simulation: Running,
    _said: Receiver<()>,
}

impl Street {
    fn open() -> Self {
        let (broker, folder) = (Mosquitto::start(), tempfile::tempdir().unwrap());
        let mut simulation = command(env!("CARGO_BIN_EXE_kioskfleet"));
        let count = MACHINES.len().to_string();
        simulation.args(["simulate", &count, "--fleet", FLEET, "--json", "--report", "1", "--spread", "1"]);
        simulation.args(["--every", "3600", "--broker", &format!("mqtt://{}", broker.addr), "--state"]);
        let mut simulation = Running::start(simulation.arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let out = std::io::BufReader::new(simulation.stdout.take().unwrap());
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            use std::io::BufRead as _;
            for line in out.lines().map_while(Result::ok) {
                if line.contains("all-connected") {
                    let _ = tell.send(());
                }
            }
        });
        said.recv_timeout(super::kit::PATIENCE).expect("all are connected");
        let street = Self { broker, folder, _simulation: simulation, _said: said };
        std::fs::create_dir(street.register()).unwrap();
        std::fs::create_dir(street.wanted()).unwrap();
        for kiosk in MACHINES {
            let (pem, toml) = (format!("{kiosk}.pem"), format!("{kiosk}.toml"));
            std::fs::copy(street.at("keys").join(&pem), street.register().join(&pem)).unwrap();
            std::fs::copy(street.at(kiosk).join("kiosk.toml"), street.wanted().join(toml)).unwrap();
        }
        street
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The machines' public keys.
    fn register(&self) -> PathBuf {
        self.at("register")
    }

    /// The configurations that they should have.
    fn wanted(&self) -> PathBuf {
        self.at("wanted")
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.broker.addr)
    }

    fn signer(&self, kiosk: &str) -> Signer {
        let pem = std::fs::read(self.at("keys").join(format!("{kiosk}.key"))).unwrap();
        Signer::from_pem(&pem, format!("{FLEET}/{kiosk}")).unwrap()
    }

    fn office(&self) -> String {
        self.at("keys").join("office.key").display().to_string()
    }

    fn send(&self, kiosk: &str, words: &[&str]) -> Vec<Value> {
        let mut send = command(env!("CARGO_BIN_EXE_kioskfleet"));
        send.args(["send", "--fleet", FLEET, "--broker", &self.url(), "--sign", &self.office(), "--kiosk", kiosk]);
        // Of all of them nobody knows when the last has answered.
        let timeout = if kiosk == "all" { "20" } else { "60" };
        let told = send.args(["--json", "--timeout", timeout]).args(words).output().unwrap();
        assert!(told.status.success(), "{told:?}");
        String::from_utf8(told.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asks the machines themselves.
    fn ask(&self, verb: &str, words: &[&str]) -> Output {
        let mut ask = command(env!("CARGO_BIN_EXE_kioskfleet"));
        ask.args([verb, "--fleet", FLEET, "--broker", &self.url(), "--sign", &self.office(), "--keys"]);
        ask.arg(self.register()).args(words).output().unwrap()
    }

    fn say(&self, kiosk: &str, message: &[u8]) {
        publish(self.broker.addr, &address(kiosk).topic(Leaf::Inspection).to_string(), &[], message);
    }
}

fn content(message: &str) -> Inspection {
    let message: Value = serde_json::from_str(message).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(message["payload"].as_str().unwrap()).unwrap()).unwrap()
}

/// What is listed, by kiosk: faulty, non-compliant, silent. And whether it ended with 1, as it must when anything is.
fn listed(output: &Output) -> Vec<(String, Value, Value, Value)> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(output.status.code(), Some(i32::from(!lines.is_empty())), "{output:?}");
    let of = |line: Value| {
        let kiosk = line["kiosk"].as_str().unwrap().to_owned();
        (kiosk, line["faulty"].clone(), line["non_compliant"].clone(), line["silent"].clone())
    };
    lines.into_iter().map(of).collect()
}

fn none() -> Value {
    json!([])
}

fn by_the_collector(street: &Street, store: &Store, ask: &dyn Fn(&str) -> String) {
    let mut collector = Collector::start(store, &plain_with(street.broker.addr, &street.register()));
    collector.until("the collector listens");
    let stored =
        |kiosk: &str| ask(&format!("SELECT message FROM inspection WHERE kiosk = '{kiosk}'")).trim().to_owned();
    let trail = street.send("all", &["inspect"]);
    let ends: Vec<&Value> = trail.iter().filter(|line| line["status"] == "successful").collect();
    assert_eq!(ends.len(), MACHINES.len(), "{trail:?}");
    for end in &ends {
        let (kiosk, digest) = (end["kiosk"].as_str().unwrap(), end["inspection"].as_str().unwrap());
        until("it is stored as it was sent", || Digest::of(stored(kiosk).as_bytes()).as_str() == digest);
        let key = PublicKey::from_pem(&std::fs::read(street.register().join(format!("{kiosk}.pem"))).unwrap()).unwrap();
        let (said, by) = Inspection::open(stored(kiosk).as_bytes(), &key).unwrap();
        assert_eq!((by, said.keyset_version, said.boots), (format!("{FLEET}/{kiosk}"), Some(1), Some(1)));
    }
    let (keys, wanted) = (street.register().display().to_string(), street.wanted().display().to_string());
    let inspect = |words: &[&str]| listed(&answered("inspect", store, &[words, &["--json", "--keys", &keys]].concat()));
    assert_eq!(inspect(&[]), [], "each has its own configuration, and everything else is the same");
    assert_eq!(inspect(&["--software", env!("CARGO_PKG_VERSION"), "--keyset", "1", "--config", &wanted]), []);

    // The office wants another configuration of the second one, and there should be a fourth machine.
    std::fs::write(street.wanted().join("K00002.toml"), "another").unwrap();
    let names = street.at("names");
    std::fs::write(&names, "K00001\nK00004\n").unwrap();
    let found = inspect(&["--config", &wanted, "--machines", names.to_str().unwrap()]);
    let has = content(&stored("K00002")).config_digest;
    let other = format!("configuration {has}, not {}", Digest::of(b"another"));
    assert_eq!(
        found,
        [
            ("K00002".to_owned(), none(), json!([other]), Value::Null),
            ("K00004".to_owned(), none(), none(), json!("it was never heard")),
        ]
    );
    std::fs::copy(street.at("K00002").join("kiosk.toml"), street.wanted().join("K00002.toml")).unwrap();
    let keyset = inspect(&["--keyset", "2"]);
    assert!(keyset.len() == 3 && keyset[0].2 == json!(["keyset 1, not 2"]), "{keyset:?}");

    // Forged: by another machine's key, of another machine, and nonsense. None of it is believed, and it is told.
    let before = stored("K00002");
    let lie = Inspection { kiosk: "K00002".into(), seq: 1 << 40, ..content(&stored("K00002")) };
    street.say("K00002", street.signer("K00001").sign(Purpose::Inspection, &lie).unwrap().as_slice());
    street.say("K00002", stored("K00001").as_bytes());
    street.say("K00002", b"{}");
    // And signed for by its own key with numbers that no database has: the batch it is in must not fail.
    let endless = Inspection { seq: u64::MAX, ..lie.clone() };
    street.say("K00002", street.signer("K00002").sign(Purpose::Inspection, &endless).unwrap().as_slice());
    // And from another ledger, in a time after which nothing would be newer.
    let late = Inspection { ledger: "8d30".into(), time_ms: Some(Wall(1 << 52)), ..lie };
    street.say("K00002", street.signer("K00002").sign(Purpose::Inspection, &late).unwrap().as_slice());
    until("all five are refused", || ask("SELECT refused FROM kiosk WHERE kiosk = 'K00002'").trim() == "5");
    assert_eq!(stored("K00002"), before);
    let found = inspect(&[]);
    let why =
        json!(["5 messages in its name not believed, the last: an inspection that is dated more than a day ahead"]);
    assert_eq!(found, [("K00002".to_owned(), none(), why, Value::Null)]);

    // One that was true is repeated when there is a newer one: it changes nothing, and is no sign of life.
    let old = stored("K00001");
    street.send("K00001", &["inspect"]);
    until("there is a newer one", || stored("K00001") != old);
    let times = || ask("SELECT message, heard_ms FROM inspection WHERE kiosk = 'K00001'");
    let newest = times();
    street.say("K00001", old.as_bytes());
    street.say("K00001", content_of(&newest).as_bytes());
    // By then the desk has taken what came before.
    street.say("K00001", b"{}");
    until("the last of them is refused", || ask("SELECT refused FROM kiosk WHERE kiosk = 'K00001'").trim() == "1");
    assert_eq!(times(), newest);

    // A part that is wrong, by the machine's own word.
    let said = content(&stored("K00003"));
    let mut faulty = json!(said);
    faulty["parts"][0] =
        json!({ "part": "printer", "result": "wrong", "says": "paper-out\u{7f}".trim_end_matches('\u{7f}') });
    faulty["uptime_s"] = json!(said.uptime_s + 1);
    street.say("K00003", street.signer("K00003").sign(Purpose::Inspection, &faulty).unwrap().as_slice());
    until("it is stored", || stored("K00003").len() > 2 && json!(content(&stored("K00003"))) == faulty);
    let found = inspect(&[]);
    assert_eq!(found.last(), Some(&("K00003".to_owned(), json!(["printer: paper-out"]), none(), Value::Null)));
    let people = answered("inspect", store, &[]);
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(
        text.contains("K00003  faulty") && text.contains("3 machines, 1 faulty, 2 non-compliant, 0 silent"),
        "{text}"
    );
    assert_eq!(people.status.code(), Some(1));

    // Its board is replaced: what the new key signs is believed, before there is a checkpoint by it.
    std::fs::create_dir(street.at("replaced")).unwrap();
    let pair = kioskd::fleet::keygen::keygen(&street.at("replaced"), &super::kit::name("K00003")).unwrap();
    std::fs::copy(&pair.public, street.register().join("K00003.pem")).unwrap();
    let by = Signer::from_pem(&std::fs::read(&pair.private).unwrap(), format!("{FLEET}/K00003")).unwrap();
    let anew = Inspection { ledger: "77aa".into(), time_ms: said.time_ms.map(|Wall(ms)| Wall(ms + 60_000)), ..said };
    let message = by.sign(Purpose::Inspection, &anew).unwrap();
    until("it is stored", || {
        street.say("K00003", message.as_slice());
        stored("K00003").as_bytes() == message.as_slice()
    });
    collector.stop();
}

/// The message before `|`.
fn content_of(line: &str) -> String {
    line.split_once('|').unwrap().0.to_owned()
}

#[test]
fn the_collector_has_the_last_inspection_of_each_and_the_office_lists_what_is_wrong() {
    let (street, state) = (Street::open(), tempfile::tempdir().unwrap());
    by_the_collector(&street, &Store::directory(state.path()), &|query| sqlite(state.path(), query));
    // Somebody writes in the database: with the keys it is found.
    let db = rusqlite::Connection::open(state.path().join("fleet.db")).unwrap();
    let other = "UPDATE inspection SET message = (SELECT message FROM inspection WHERE kiosk = 'K00001') WHERE kiosk = 'K00002'";
    assert_eq!(db.execute(other, []).unwrap(), 1);
    let keys = street.register().display().to_string();
    let found = listed(&answered("inspect", &Store::directory(state.path()), &["--json", "--keys", &keys]));
    let second = found.iter().find(|(kiosk, ..)| kiosk == "K00002").unwrap();
    assert!(second.2.to_string().contains("its stored inspection is not signed by its key"), "{second:?}");
    db.execute("DROP TABLE inspection", []).unwrap();
    from_before(&Store::directory(state.path()));
}

/// The database is of a collector that stored no inspections.
fn from_before(store: &Store) {
    let output = answered("inspect", store, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no inspection was ever stored in the database") && !output.status.success(), "{said}");
    assert_eq!(documents("ls", store, &[]).len(), 3, "the rest is read as ever");
}

#[test]
fn on_postgresql_it_is_the_same() {
    let (street, server) = (Street::open(), Server::start());
    by_the_collector(&street, &server.store(), &|query| server.ask(query));
    server.ask("DROP TABLE inspection");
    from_before(&server.store());
}

/// Without a collector, and at a broker that need not keep anything.
#[test]
fn the_machines_answer_for_themselves() {
    let street = Street::open();
    let well = street.ask("inspect", &["--keyset", "1", "--config", street.wanted().to_str().unwrap()]);
    let text = String::from_utf8(well.stdout.clone()).unwrap();
    assert_eq!(
        (text.as_str(), well.status.code()),
        ("3 machines, 0 faulty, 0 non-compliant, 0 silent\n", Some(0)),
        "{well:?}"
    );

    // A fourth is in the register and says nothing but what somebody has kept of it, and repeats.
    let pair = kioskd::fleet::keygen::keygen(&street.at("keys"), &super::kit::name("K00004")).unwrap();
    std::fs::copy(&pair.public, street.register().join("K00004.pem")).unwrap();
    let heard = Subscriber::start(street.broker.addr, &address("K00001").topic(Leaf::Inspection).to_string())
        .listening(street.broker.addr, &address("K00001").topic(Leaf::Inspection).to_string());
    street.send("K00001", &["inspect"]);
    let (_, message) = super::kit::split(&heard.lines.recv_timeout(super::kit::PATIENCE).unwrap());
    let old = Inspection { kiosk: "K00004".into(), ..content(&message) };
    let old = street.signer("K00004").sign(Purpose::Inspection, &old).unwrap();
    let topic = address("K00004").topic(Leaf::Inspection).to_string();
    publish(street.broker.addr, &topic, &["-r"], &old);
    let repeat = Running::start(
        super::kit::client("mosquitto_pub", street.broker.addr)
            .args(["-t", &topic, "--repeat", "200", "--repeat-delay", "0.2", "-m"])
            .arg(String::from_utf8(old).unwrap()),
    );
    let found = listed(&street.ask("inspect", &["--json", "--wait", "20"]));
    drop(repeat);
    assert_eq!(found, [("K00004".to_owned(), none(), none(), json!("it was never heard"))]);

    let lines = street.ask("ls", &["--json", "--wait", "20"]);
    assert!(lines.status.success(), "{lines:?}");
    let text = String::from_utf8(lines.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |line: &Value| json!([line["kiosk"], line["presence"], line["selling"], line["version"]]);
    let version = env!("CARGO_PKG_VERSION");
    let mut wanted: Vec<Value> = MACHINES.iter().map(|kiosk| json!([kiosk, "online", true, version])).collect();
    wanted.push(json!(["K00004", "unknown", null, null]));
    assert_eq!(lines.iter().map(of).collect::<Vec<_>>(), wanted);

    // What is typed wrong says what to write.
    let mut alone = command(env!("CARGO_BIN_EXE_kioskfleet"));
    let alone = alone.args(["inspect", "--broker", &street.url(), "--sign", &street.office(), "--fleet", FLEET]);
    let says = String::from_utf8(alone.output().unwrap().stderr).unwrap();
    assert!(says.contains("write --keys"), "{says}");
    let nobody = Path::new("/nowhere");
    let missing = answered("inspect", &Store::directory(nobody), &[]);
    assert!(String::from_utf8(missing.stderr).unwrap().contains("nothing was collected there"));
}
