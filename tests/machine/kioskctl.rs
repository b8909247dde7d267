//! Every verb of `kioskctl` on a running demo and beside a dead one, word by word as a technician reads it. What is committed in
//! `tests/golden/kioskctl` is compared; `KIOSKD_WRITE=1` writes it anew.

mod lost;
mod placeholders;
mod shells;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bus::kit::Bus;
use kioskd_tests::child::{Running, command};
use kioskd_tests::machine::{Machine, Setup};
use kioskd_tests::repository;
use placeholders::Placeholders;

/// Somebody who types, and what was on their screen, by the file that it belongs in.
struct Shell<'b> {
    bus: &'b Bus,
    folder: tempfile::TempDir,
    machine: Option<Machine>,
    screens: BTreeMap<String, String>,
    typed: BTreeSet<String>,
    placeholders: Placeholders,
    columns: Option<&'static str>,
}

impl<'b> Shell<'b> {
    fn new(bus: &'b Bus) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        // So that the answer says what journalctl is asked.
        let journalctl = folder.path().join("journalctl");
        std::fs::write(&journalctl, "#!/bin/sh\necho journalctl \"$@\"\n").unwrap();
        std::fs::set_permissions(&journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self {
            bus,
            folder,
            machine: None,
            screens: BTreeMap::new(),
            typed: BTreeSet::new(),
            placeholders: Placeholders::default(),
            columns: None,
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("it runs")
    }

    /// Types `kioskctl WORDS`, and keeps what comes in `file`.
    fn type_into(&mut self, file: &str, words: &[&str], input: &str) -> Value {
        self.typed.extend(words.iter().map(|word| (*word).to_owned()));
        let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
        kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address());
        let path = std::env::var("PATH").unwrap();
        kioskctl.env("PATH", format!("{}:{path}", self.folder.path().display())).current_dir(repository());
        match self.columns {
            Some(columns) => kioskctl.env("COLUMNS", columns),
            None => kioskctl.env_remove("COLUMNS"),
        };
        let told = Running::answer(kioskctl.arg("--state").arg(self.state()).args(words), input.as_bytes());
        self.learn_codes();
        let (out, err) = (String::from_utf8(told.stdout).unwrap(), String::from_utf8(told.stderr).unwrap());
        let columns = self.columns.map_or(String::new(), |columns| format!("COLUMNS={columns} "));
        let quoted = words
            .iter()
            .map(|word| if word.is_empty() || word.contains(' ') { format!("\"{word}\"") } else { word.to_string() });
        let mut screen = format!("$ {columns}kioskctl {}\n", quoted.collect::<Vec<_>>().join(" "));
        screen.push_str(&out);
        err.lines().for_each(|line| screen.push_str(&format!("stderr: {line}\n")));
        let folder = self.folder.path().to_str().unwrap();
        let screen = screen.replace(self.state().to_str().unwrap(), "/var/lib/kioskd").replace(folder, "/folder");
        let screen = match screen.split_once("p=1$") {
            // Salt and hash.
            Some((pin, rest)) => format!("{pin}p=1$SALT$HASH{}", &rest[rest.find('"').unwrap()..]),
            None => screen,
        };
        let screen = behind(&screen, "G85*", "CRC");
        let screen = behind(&screen, "\"uptime_s\": ", "0");
        let screen = behind(&screen, "\"uid\": ", "0");
        let screen = squeezed(behind(&screen, "(user ", "UID"));
        let screen = format!("{}exit status {}\n\n", self.placeholders.put(&screen), told.status.code().unwrap());
        self.screens.entry(file.to_owned()).or_default().push_str(&screen);
        serde_json::from_str(&out).unwrap_or_default()
    }

    /// The same for people and for programs, in the file of the verb's name.
    fn both(&mut self, words: &[&str]) -> Value {
        self.type_into(words[0], words, "");
        self.json(words)
    }

    fn text(&mut self, words: &[&str]) {
        self.type_into(words[0], words, "");
    }

    fn json(&mut self, words: &[&str]) -> Value {
        self.type_into(words[0], &[words, &["--json"]].concat(), "")
    }

    fn learn_codes(&mut self) {
        let Some(machine) = &self.machine else { return };
        let orders = machine.get("/api/orders");
        for (nth, order) in orders["orders"].as_array().into_iter().flatten().rev().enumerate() {
            // As long as a code is.
            self.placeholders.learn(order["short_code"].as_str().unwrap(), format!("CODE{:02}", nth + 1));
        }
    }

    /// Waits until nothing changes any more by itself.
    fn settle_down(&self, page: &str) {
        self.machine().until(page);
        self.bus.wait_property("Status", "FleetLink", |link| *link == json!(["connected", ""]));
        self.bus.wait_property("Status", "Devices", |devices| devices["printer"][0] == "ok");
    }

    /// Waits until the newest order's story has these words.
    fn until_told(&self, words: &str) {
        let machine = self.machine();
        machine.wait(words, || machine.get("/api/why")["text"].as_str()?.contains(words).then_some(()));
    }

    fn compare(&self) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kioskctl");
        if std::env::var_os("KIOSKD_WRITE").is_some() {
            std::fs::remove_dir_all(&golden).unwrap();
            std::fs::create_dir(&golden).unwrap();
            for (file, screen) in &self.screens {
                std::fs::write(golden.join(format!("{file}.txt")), screen).unwrap();
            }
        }
        let mut different = Vec::new();
        for entry in std::fs::read_dir(&golden).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = name.strip_suffix(".txt").is_some_and(|name| self.screens.contains_key(name));
            different.extend((!known).then(|| format!("{name} is of nothing that was typed")));
        }
        for (file, screen) in &self.screens {
            let written = std::fs::read_to_string(golden.join(format!("{file}.txt"))).unwrap_or_default();
            let line = written.lines().zip(screen.lines()).position(|(written, is)| written != is);
            if written != *screen {
                let at = line.unwrap_or(written.lines().count().min(screen.lines().count()));
                let [was, is] = [&written, screen].map(|text| text.lines().nth(at).unwrap_or("(the end)").to_owned());
                different.push(format!("{file}.txt:{}:\n  was {was}\n  is  {is}", at + 1));
            }
        }
        assert!(different.is_empty(), "look, and write it anew with KIOSKD_WRITE=1:\n{}", different.join("\n"));
    }
}

/// The word behind each `mark` is to be that one.
fn behind(text: &str, mark: &str, stands: &str) -> String {
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        format!("{out}{mark}{stands}{rest}")
    })
}

/// How wide a column with a user's number is depends on who runs the test.
fn squeezed(text: String) -> String {
    if !text.contains("(user UID)  ") {
        return text;
    }
    let line =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  ");
    text.lines().map(|of| line(of) + "\n").collect()
}

/// The verbs that `--help` lists.
fn verbs() -> Vec<String> {
    let told = command(env!("CARGO_BIN_EXE_kioskctl")).arg("--help").output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let (_, list) = told.split_once("Commands:\n").expect("a list of verbs");
    let (list, _) = list.split_once("\n\n").unwrap();
    let verb =
        |line: &str| line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty()).map(str::to_owned);
    list.lines().filter_map(verb).collect()
}

#[test]
fn every_verb_says_what_is_written_down() {
    let bus = Bus::start();
    let mut shell = Shell::new(&bus);
    nobody_there(&mut shell);

    let mut setup = Setup { state: Some(shell.state()), ..bus.setup() };
    // Until then a charge is watched, so whatever was paid is not settled as long as this takes.
    setup.config.push(("qr_life = \"90s\"", "qr_life = \"10min\""));
    shell.machine = Some(Machine::start(&setup));
    shell.settle_down("attract");
    quiet(&mut shell);
    let (sold, claim) = sales(&mut shell);
    after_sales(&mut shell, &sold, &claim);
    work(&mut shell, &claim);
    refusals(&mut shell, &sold);
    narrow(&mut shell);
    report(&mut shell);
    bundle(&mut shell);
    shell.machine().verify();
    shell.machine = None;
    dead(&mut shell);

    let verbs = verbs();
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        assert!(shell.typed.contains(verb.as_str()), "no snapshot of `kioskctl {verb}`");
        shell.type_into("help", &[verb, "--help"], "");
    }
    shell.type_into("help", &["--help"], "");
    shell.compare();
}

fn nobody_there(shell: &mut Shell<'_>) {
    for words in [&["status"][..], &["lock", "cleaning"], &["orders"], &["verify"]] {
        shell.type_into("nobody-there", words, "");
    }
}

/// A machine that nobody has bought anything from.
fn quiet(shell: &mut Shell<'_>) {
    for words in
        [&["status"][..], &["why"], &["orders"], &["claims"], &["stock"], &["operations"], &["settle", "--show"]]
    {
        shell.type_into("nothing-sold-yet", words, "");
    }
    shell.text(&["settle-claim", "482913", "refund"]);
}

/// One that is well, and one that becomes a claim.
fn sales(shell: &mut Shell<'_>) -> (Value, Value) {
    let machine = shell.machine();
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    let sold = machine.until_state("delivered");
    shell.until_told("receipt printed");
    machine.tap("done");
    machine.until("attract");
    // Slow enough that the slip is on paper before the refund fails.
    let provider = json!({ "refund_failed": true, "slow_ms": 2_000 });
    machine.world(json!({ "provider": provider, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let claim = machine.until_state("claim");
    shell.until_told("claim slip printed");
    machine.world(json!({ "provider": {} }));
    machine.tap("done");
    machine.until("attract");
    shell.bus.wait_property("Sales", "Claims", |claims| claims[0].is_array());
    (sold, claim)
}

fn after_sales(shell: &mut Shell<'_>, sold: &Value, claim: &Value) {
    shell.both(&["status"]);
    shell.both(&["orders"]);
    shell.text(&["orders", "--limit", "1"]);
    shell.both(&["claims"]);
    shell.both(&["stock"]);
    shell.both(&["why", sold["id"].as_str().unwrap()]);
    shell.text(&["why", claim["short_code"].as_str().unwrap()]);
    shell.text(&["why", "999999"]);
    shell.both(&["verify"]);
    shell.both(&["test", "--quick"]);
    shell.text(&["test", "--dry"]);
    for table in ["orders", "items", "refunds", "claims", "stock", "operations"] {
        shell.both(&["export", table]);
    }
    shell.text(&["export", "invoices"]);
    shell.text(&["audit", "--eva-dts", "--config", "configs/vending.toml"]);
    shell.text(&["audit", "--eva-dts", "--config", "configs/gone.toml"]);
    shell.both(&["fees", "--config", "configs/vending.toml"]);
    shell.text(&["parking", "--config", "configs/vending.toml"]);
    shell.text(&["reconcile", "--bill", "tests/golden/payment/wechat-all.csv", "--rail", "sandbox"]);
    shell.text(&["reconcile", "--bill", "tests/golden/payment/wechat-all.csv", "--rail", "wechat"]);
    shell.text(&["log"]);
    shell.text(&["log", sold["id"].as_str().unwrap(), "-n", "20", "--follow"]);
    shell.text(&["log", "7"]);
}

fn work(shell: &mut Shell<'_>, claim: &Value) {
    let code = claim["short_code"].as_str().unwrap();
    let claim = claim["id"].as_str().unwrap();
    shell.text(&["lock", "cleaning, back at ten"]);
    shell.text(&["lock", "cleaning, back at ten"]);
    shell.text(&["status"]);
    shell.both(&["unlock"]);
    shell.text(&["pulse", "B2"]);
    shell.text(&["refill", "--slot", "A1", "--slot", "Z9"]);
    shell.text(&["refill", "--slot", "A1"]);
    shell.json(&["refill", "--slot", "A1"]);
    shell.both(&["maintenance", "on"]);
    shell.machine().world(json!({ "slot": { "name": "B2", "motor": "ok" } }));
    shell.both(&["pulse", "B2"]);
    shell.text(&["maintenance", "off"]);
    shell.settle_down("attract");
    shell.both(&["set-stock", "A1", "2"]);
    shell.text(&["set-stock", "A1", "99"]);
    shell.text(&["refill", "--add", "A1=5", "--add", "B2=1"]);
    shell.text(&["refill", "--add", "A1=1", "--add", "B2=4"]);
    shell.text(&["refill", "--add", "A1=1", "--add", "Z9=4"]);
    shell.text(&["refill", "--add", "A1"]);
    shell.text(&["refill", "--add", "A1=0"]);
    shell.text(&["refill", "--slot", "A1", "--add", "A1=1"]);
    shell.text(&["refill", "--add", "A1=1", "--request", "ctl-1"]);
    shell.text(&["refill", "--add", "A1=1", "--request", "ctl-1"]);
    shell.text(&["refill", "--add", "A1=2", "--request", "ctl-1"]);
    shell.type_into("refill", &["stock"], "");
    shell.both(&["refill"]);
    shell.text(&["test-vend", "B2"]);
    shell.until_told("ended: delivered");
    shell.machine().until("thanks");
    shell.machine().tap("done");
    shell.machine().until("attract");
    shell.text(&["test-vend", "Z9"]);
    shell.text(&["settle-claim", claim, "forgotten"]);
    shell.text(&["settle-claim", code, "paid-outside"]);
    shell.json(&["settle-claim", claim, "paid-outside"]);
    shell.bus.wait_property("Sales", "Claims", |claims| *claims == json!([]));
    shell.text(&["settle", "--show"]);
    shell.text(&["settle"]);
    shell.json(&["settle", "--show", "1"]);
    shell.text(&["settle", "--show", "9"]);
    shell.text(&["settle", "--print", "1"]);
    shell.text(&["settle", "--print", "9"]);
    shell.both(&["print-test"]);
    shell.both(&["operations"]);
    shell.text(&["why", claim]);
    shell.text(&["claims"]);
    shell.both(&["languages"]);
    shell.text(&["languages", "zh-Hant", "en"]);
    shell.json(&["languages", "zh-Hant", "en"]);
    shell.text(&["languages", "zh-Hant", "zh-Hant"]);
    shell.text(&["languages", "fr"]);
    shell.text(&["languages", "a b"]);
    shell.text(&["languages"]);
    shell.text(&["reboot"]);
}

fn refusals(shell: &mut Shell<'_>, sold: &Value) {
    let sold = sold["id"].as_str().unwrap();
    // This machine has no gate, and no tickets.
    for verb in ["raise", "keep-open", "release"] {
        shell.text(&[verb, "--reason", "paid at the office"]);
    }
    shell.text(&["cars-inside", "120", "--reason", "counted at night"]);
    shell.text(&["plate-seen", "KN AB 123"]);
    shell.text(&["void-ticket", "03-0004567-9", "--reason", "lost"]);
    shell.text(&["void-ticket", "03/0004567", "--reason", "lost"]);
    // Somebody is about to pay.
    shell.machine().offer(&["cola"]);
    for words in [&["pulse", "A1"][..], &["test-vend", "A1"], &["reboot", "--yes"]] {
        shell.type_into("in-mid-sale", words, "");
    }
    shell.machine().tap("cancel");
    shell.machine().until_any(&["cancelled", "attract"]);
    shell.text(&["settle-claim", sold, "refund"]);
    shell.text(&["settle-claim", "7", "refund"]);
    shell.text(&["set-stock", "Z9", "1"]);
    shell.text(&["pulse", "A/1"]);
    shell.text(&["lock", ""]);
    shell.type_into("mistyped", &["stauts"], "");
    shell.type_into("mistyped", &["refil"], "");
    shell.type_into("mistyped", &["set-stock", "A1"], "");
    shell.type_into("mistyped", &["set-stock", "A1", "many"], "");
    shell.type_into("mistyped", &["raise"], "");
    shell.type_into("mistyped", &["settle", "--print"], "");
    shell.type_into("mistyped", &["orders", "--limit", "0"], "");
    shell.type_into("mistyped", &["audit"], "");
    shell.type_into("pin", &["pin"], "12ab\n");
    shell.type_into("pin", &["pin"], "2468\n");
    shell.type_into("mistyped", &["completions", "tcsh"], "");
}

/// A telephone, held upright.
fn narrow(shell: &mut Shell<'_>) {
    shell.columns = Some("40");
    for words in [&["orders"][..], &["stock"], &["operations", "--limit", "3"], &["refill", "--help"]] {
        shell.type_into("forty-columns", words, "");
    }
    shell.columns = None;
}

/// A technician leaves with it, and somebody else reads it.
fn report(shell: &mut Shell<'_>) {
    let folder = shell.folder.path().to_owned();
    let [file, other] = ["K0001.report", "other.report"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    let key = folder.join("state/keys/kiosk.pem").to_str().unwrap().to_owned();
    shell.text(&["test", "--quick", "--report", &file]);
    shell.text(&["test", "--quick", "--report", &file]);
    shell.json(&["test", "--quick", "--report", &other]);
    shell.text(&["test", "--last"]);
    shell.text(&["operations", "--limit", "1"]);
    shell.both(&["verify", "--report", &file, "--key", &key]);
    shell.text(&["verify", "--report", &file, "--key", &file]);
    std::fs::write(&file, "{}").unwrap();
    shell.text(&["verify", "--report", &file, "--key", &key]);
    shell.text(&["verify", "--report", &file]);
}

/// The bundle's own members are in `bundle.rs`.
fn bundle(shell: &mut Shell<'_>) {
    let folder = shell.folder.path().to_owned();
    let [file, again] = ["K0001.tar.gz", "dead.tar.gz"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    let picture = folder.join("glass.png").to_str().unwrap().to_owned();
    shell.text(&["screenshot", &picture]);
    shell.text(&["screenshot", "--json"]);
    // It wants a terminal; `terminal.rs` gives it one.
    shell.text(&["top"]);
    shell.text(&["bundle", &file, "--config", "configs/vending.toml"]);
    shell.text(&["bundle", &file, "--config", "configs/vending.toml"]);
    let key = folder.join("state/keys/kiosk.pem").to_str().unwrap().to_owned();
    shell.both(&["verify", "--bundle", &file, "--key", &key]);
    shell.text(&["verify", "--key", &key]);
    shell.text(&["bundle", &again, "--config", "configs/gone.toml"]);
}

/// The daemon has ended; its ledger is there.
fn dead(shell: &mut Shell<'_>) {
    for words in [
        &["status"][..],
        &["refill"],
        &["test", "--quick"],
        &["why"],
        &["orders", "--limit", "2"],
        &["claims"],
        &["verify"],
        &["settle", "--show", "1"],
        &["settle"],
    ] {
        shell.type_into("daemon-down", words, "");
    }
}
