//! The fleet's office commands a machine over a real broker, with `kioskfleet send` as anybody types it; and whoever else
//! is on that broker can do nothing with it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kioskd::fleet::command::{CommandContent, CommandStatus, Stage};
use kioskd::operation::{KeyName, RequestId};
use kioskd::signed::jws::{Keys, PublicKey, Purpose, Signer};
use kioskd::signed::keyset::{KeyEntry, KeysetContent, Role};
use serde_json::{Value, json};

use crate::fleet::{Listener, listen, listen_as, mosquitto, publish_all};
use kioskd_tests::PATIENCE;
use kioskd_tests::child::{Running, command};
use kioskd_tests::free_port;
use kioskd_tests::machine::{Machine, Setup};

pub struct Office {
    pub machine: Machine,
    pub port: u16,
    _broker: Running,
}

impl Office {
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        Self::by(setup, |broker| (broker, ())).0
    }

    /// The machine speaks with what is `between` it and the broker, which gives its port.
    pub fn by<T>(setup: Setup, between: impl FnOnce(u16) -> (u16, T)) -> (Self, T) {
        let port = free_port();
        let broker = mosquitto(port);
        let (road, between) = between(port);
        let setup = Setup { broker: Some(format!("mqtt://127.0.0.1:{road}")), panel: "640x400", ..setup };
        let machine = Machine::start(&setup);
        machine.at_its_broker(&Value::Null);
        (Self { machine, port, _broker: broker }, between)
    }

    pub fn key(&self, name: &str) -> String {
        self.machine.state.join("keys").join(name).to_str().unwrap().to_owned()
    }

    pub fn signer(&self, name: &str) -> Signer {
        Signer::from_pem(&std::fs::read(self.key(&format!("{name}.key"))).unwrap(), name).unwrap()
    }

    /// Whether it ended well, and the lines on standard output and standard error.
    pub fn send_with(&self, options: &[&str], words: &[&str]) -> (bool, Vec<String>, String) {
        let told = command(env!("CARGO_BIN_EXE_kioskfleet"))
            .args(["send", "--fleet", "demo", "--broker", &format!("mqtt://127.0.0.1:{}", self.port)])
            .args(options)
            .args(words)
            .output()
            .unwrap();
        let lines = String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect();
        (told.status.success(), lines, String::from_utf8(told.stderr).unwrap())
    }

    fn send(&self, words: &[&str]) -> (bool, Vec<String>) {
        let (key, kiosk) = (self.key("office.key"), self.key("kiosk.pem"));
        let (well, lines, _) = self.send_with(&["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk], words);
        (well, lines)
    }

    fn done(&self, words: &[&str], end: &str) {
        let trail = ["K0001 accepted", "K0001 executing", &format!("K0001 successful: {end}")].map(str::to_owned);
        assert_eq!(self.send(words), (true, trail.to_vec()), "{words:?}: {}", self.machine.log());
    }

    /// Without a record.
    fn rejected(&self, (well, lines): (bool, Vec<String>), why: &str) {
        assert_eq!((well, lines), (false, vec![format!("K0001 rejected: {why}")]));
    }

    /// Believed, and not done.
    fn refused(&self, words: &[&str], why: &str) {
        let trail = ["K0001 accepted", "K0001 executing", &format!("K0001 rejected: {why}")].map(str::to_owned);
        assert_eq!(self.send(words), (false, trail.to_vec()), "{words:?}");
    }

    pub fn publish(&self, topic: &str, message: &[u8]) {
        publish_all(self.port, topic, &[message.to_vec()]);
    }

    fn operations(&self) -> Vec<Value> {
        self.machine.get("/api/operations")["operations"].as_array().unwrap().clone()
    }

    pub fn state(&self) -> Value {
        self.machine.get("/api/state")
    }

    /// The plug is pulled; afterwards another run sells, and is at its broker.
    pub fn cut(&self) {
        let boot = self.state()["boot"].clone();
        self.machine.world(json!({ "power": "cut" }));
        self.machine.at_its_broker(&boot);
        self.machine.until("attract");
    }
}

/// What the kiosk says of commands, opened with its key.
pub struct Ear {
    _client: Listener,
    queue: std::sync::mpsc::Receiver<(String, String)>,
    keys: Keys,
}

impl Ear {
    pub fn of(office: &Office) -> Self {
        let (client, queue) = listen_as(office.port, str::to_owned);
        // What is retained comes first, and says that it listens.
        let listens =
            std::iter::from_fn(|| queue.recv_timeout(PATIENCE).ok()).any(|(topic, _)| topic.ends_with("/presence"));
        assert!(listens);
        let key = PublicKey::from_pem(&std::fs::read(office.key("kiosk.pem")).unwrap()).unwrap();
        Self { _client: client, queue, keys: Keys::new([("demo/K0001".to_owned(), key)]) }
    }

    pub fn next(&self, within: Duration) -> Option<CommandStatus> {
        loop {
            let (topic, payload) = self.queue.recv_timeout(within).ok()?;
            if topic.ends_with("/status") {
                let (status, _) = self.keys.open(Purpose::CommandStatus, payload.as_bytes()).unwrap();
                return Some(status);
            }
        }
    }

    /// The end of a trail.
    pub fn end(&self) -> CommandStatus {
        std::iter::from_fn(|| self.next(PATIENCE)).find(|said| said.status.is_final()).expect("the end of a command")
    }

    /// The next that is said of this command, or of what is sent under its number.
    fn answer_to(&self, id: &str) -> CommandStatus {
        std::iter::from_fn(|| self.next(PATIENCE)).find(|said| said.id == id).expect("an answer")
    }

    /// What is said of a message that is no command: of such one a second is answered. It may be sent and answered more than
    /// once.
    fn rejection(&self, office: &Office, topic: &str, message: &[u8]) -> CommandStatus {
        let (_, id) = topic.rsplit_once('/').unwrap();
        kioskd_tests::wait_for("an answer", PATIENCE, || {
            office.publish(topic, message);
            self.next(Duration::from_millis(300)).filter(|said| said.id == id)
        })
    }

    /// The bytes of the next command, and its topic.
    pub fn command(&self) -> (String, String) {
        std::iter::from_fn(|| self.queue.recv_timeout(PATIENCE).ok())
            .find(|(topic, _)| topic.contains("/cmd/") && !topic.ends_with("/status"))
            .expect("a command")
    }
}

#[test]
fn the_office_locks_fills_gives_away_and_settles() {
    let office = Office::start();
    let machine = &office.machine;
    office.done(&["lock", "reason=closed until nine"], "done");
    machine.until("out-of-service");
    assert_eq!(office.state()["reasons"][0], json!({ "kind": "locked", "detail": "closed until nine" }));
    office.done(&["lock", "reason=closed until nine"], "it was so already");
    office.done(&["unlock"], "done");
    machine.until("attract");
    office.done(&["set-stock", "slot=A1", "count=3"], "done");
    assert_eq!(office.state()["stock"]["A1"]["count"], 3);
    office.done(&["refill-slots", r#"slots=["A1"]"#], "done");
    let a1 = office.state()["stock"]["A1"].clone();
    assert_eq!(a1["count"], a1["capacity"]);
    office.refused(&["set-stock", "slot=Z9", "count=3"], "there is no such slot");
    office.refused(&["raise", "reason=paid at the office"], "this kiosk has no gate; ask the one of the lane");
    office.refused(&["void-ticket", "ticket=1000045679", "reason=lost"], "this kiosk is none of a car park");

    let before = machine.pulses();
    let (well, lines) = office.send(&["vend", "product=cola"]);
    assert!(well && lines.last().unwrap().starts_with("K0001 successful: done, see order "), "{lines:?}");
    machine.until_state("delivered");
    assert_eq!(machine.pulses(), before + 1);

    machine.until("attract");
    machine.world(json!({ "provider": { "refund_failed": true }, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("claim");
    let order = order["id"].as_str().unwrap();
    office.done(&["settle-claim", &format!("order={order}"), "how=paid-outside"], "done");
    let why = machine.get(&format!("/api/why?order={order}"))["text"].to_string();
    assert!(why.contains("claim settled by the fleet's key office (command "), "{why}");

    // Each by its own counter, one after the other.
    let counters: Vec<u64> = office.operations().iter().filter_map(|line| line["by"]["counter"].as_u64()).collect();
    assert_eq!(counters.len(), 10);
    assert!(counters.windows(2).all(|pair| pair[0] == pair[1] + 1), "{counters:?}");

    // What is typed wrong leaves nothing behind and says what to do.
    let typed = |words: &[&str]| office.send_with(&["--kiosk", "K0001", "--sign", &office.key("office.key")], words);
    for (words, says) in [
        (&["open-safe"][..], "`open-safe` is no verb; there are lock, unlock,"),
        (&["lock", "cleaning"], "an argument is written NAME=VALUE, not `cleaning`"),
        (&["lock"], "`lock` does not have these arguments; docs/fleet.md lists each verb"),
    ] {
        let (well, lines, error) = typed(words);
        assert!(!well && lines.is_empty() && error.contains(says), "{words:?}: {error}");
    }
    let (_, _, error) =
        office.send_with(&["--kiosk", "all", "--sign", &office.key("office.key")], &["vend", "product=cola"]);
    assert!(error.contains("send it to one kiosk"), "{error}");
    let absent = office.send_with(&["--kiosk", "K9", "--sign", &office.key("office.key")], &["unlock"]);
    assert!(!absent.0 && absent.2.contains("K9 is not online, so nothing was sent"), "{}", absent.2);
    assert_eq!(office.operations().len(), counters.len());

    // To every kiosk, and for programs.
    let (well, lines, _) = office.send_with(
        &["--kiosk", "all", "--sign", &office.key("office-2.key"), "--timeout", "5", "--json"],
        &["lock", "reason=holiday"],
    );
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert!(well && last["kiosk"] == "K0001" && last["status"] == "successful", "{lines:?}");
    machine.verify();
}

/// The very pixels, and whose they are is certain.
#[test]
fn the_office_sees_what_a_customer_sees() {
    let office = Office::start();
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("glass.png");
    let (key, kiosk, save) = (office.key("office.key"), office.key("kiosk.pem"), file.to_str().unwrap());
    let options = ["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk];
    let (well, lines, error) = office.send_with(&options, &["screenshot"]);
    assert!(!well && lines.is_empty() && error.contains("write --save FILE"), "{error}");
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().into_rgb8();
    let there = || pixels(&office.machine.bytes("/api/screen.png"));
    let before = there();
    let (well, lines, error) = office.send_with(&options, &["screenshot", "--save", save]);
    let trail = ["K0001 accepted", "K0001 executing", "K0001 successful: done"];
    assert_eq!((well, lines), (true, trail.map(str::to_owned).to_vec()), "{error}");
    let seen = pixels(&std::fs::read(&file).unwrap());
    assert!(seen == before || seen == there(), "the first page moves now and then");
    assert_eq!(office.operations()[0]["asked"]["do"], "screenshot", "that somebody has looked is on record");
}

/// Of an order that is settled long since, too, and each minor unit once.
#[test]
fn money_goes_back_for_goods_that_fell() {
    let office = Office::with(Setup::fast());
    let machine = &office.machine;
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("delivered")["id"].as_str().unwrap().to_owned();
    let named = format!("order={order}");
    let refunded = || machine.get("/api/wallet")["charges"][0]["refunded"].as_i64().unwrap();
    office.done(&["refund", &named, "amount=100"], "done");
    machine.wait("a part of it", || (refunded() == 100).then_some(()));
    machine.until_settled();
    office.done(&["refund", &named], "done");
    machine.wait("the rest", || (refunded() == 300).then_some(()));
    machine.until_settled();
    office.refused(&["refund", &named], "of what was paid for it 0 minor units are left");
    office.refused(&["refund", "order=01M7Q5CWN0T6N3P67VC9XJJJG9"], "there is no such order");
    let why = machine.get(&format!("/api/why?order={order}"))["text"].to_string();
    assert!(why.contains("2.00 CNY given back by the fleet's key office (command "), "{why}");
    assert!(!why.contains("claim"), "{why}");
    let known = machine.newest();
    assert_eq!((known["paid"].as_i64(), known["refunded"].as_i64()), (Some(300), Some(300)));
    machine.verify();
}

/// Whoever owns the broker has every message that was ever sent, and sends whatever he likes.
#[test]
fn who_owns_the_broker_can_do_nothing_with_what_he_has_heard() {
    let office = Office::start();
    let ear = Ear::of(&office);
    office.done(&["set-stock", "slot=A1", "count=1"], "done");
    let (topic, message) = ear.command();
    office.done(&["set-stock", "slot=A1", "count=7"], "done");
    let before = office.operations();
    for _ in 0..2 {
        ear.end();
    }

    // The recorded bytes again: the stored outcome, and nothing else.
    office.publish(&topic, message.as_bytes());
    let said = ear.next(PATIENCE).unwrap();
    assert_eq!((said.status, said.message), (Stage::Successful, None));
    assert_eq!((office.state()["stock"]["A1"]["count"].as_u64(), office.operations()), (Some(7), before.clone()));

    // Another number, another verb, another kiosk's, somebody else's, none at all.
    let (stranger, office_key) = (office.signer("kiosk"), office.signer("office"));
    let content = |aud: &str, id: &str, counter: u64| CommandContent {
        aud: aud.into(),
        jti: RequestId::parse(id).unwrap(),
        verb: "lock".into(),
        args: json!({ "reason": "mine" }).as_object().unwrap().clone(),
        ctr: counter,
        nonce: None,
        exp: None,
    };
    let sign = |signer: &Signer, content: &CommandContent| signer.sign(Purpose::Command, content).unwrap();
    let used = before[0]["by"]["counter"].as_u64().unwrap();
    let lock = |id: &str| format!("kiosk/v1/demo/K0001/cmd/lock/{id}");
    for (topic, message, why) in [
        (topic.replace("set-stock", "refill"), message.clone().into_bytes(), "its verb or number is another"),
        (format!("{topic}x"), message.clone().into_bytes(), "its verb or number is another"),
        (lock("a"), b"lock!".to_vec(), "not a flattened JWS"),
        (lock("b"), vec![b'x'; 140_000], "longer than 131072 bytes"),
        (lock("c"), sign(&stranger, &content("demo/K0001", "c", used + 1)), "not known here"),
        (lock("d"), sign(&office_key, &content("demo/K0002", "d", used + 1)), "for another kiosk"),
    ] {
        let said = ear.rejection(&office, &topic, &message);
        let reason = said.reason.unwrap();
        assert!(said.status == Stage::Rejected && said.message.is_some() && reason.contains(why), "{reason}");
    }
    // A number that was used, by the key itself: not even on record.
    office.publish(&lock("e"), &sign(&office_key, &content("demo/K0001", "e", used)));
    let said = ear.answer_to("e");
    assert_eq!(said.reason.as_deref(), Some("the key's counter was used before; take a higher one"));
    assert_eq!(office.operations(), before);

    // What is for another run of the daemon moves nothing, and its counter is used.
    let vend = |nonce: &str| CommandContent {
        verb: "vend".into(),
        args: json!({ "product": "cola" }).as_object().unwrap().clone(),
        nonce: Some(nonce.into()),
        ..content("demo/K0001", "f", 1)
    };
    let pulses = office.machine.pulses();
    let late = sign(&office.signer("office-2"), &vend("0000000000000000"));
    for _ in 0..2 {
        office.publish("kiosk/v1/demo/K0001/cmd/vend/f", &late);
        assert!(ear.end().reason.unwrap().contains("was not asked for this moment"));
    }
    assert_eq!((office.machine.pulses(), office.operations().len()), (pulses, before.len() + 1));

    // A flood: few answers, one alarm, and the office is heard all the same.
    let (log, begin) = (office.machine.log().len(), Instant::now());
    let first = ear.rejection(&office, &lock("g"), b"lock!");
    publish_all(office.port, &lock("g"), &vec![b"lock!".to_vec(); 20_000]);
    let (key, kiosk) = (office.key("office.key"), office.key("kiosk.pem"));
    let (well, lines, error) =
        office.send_with(&["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk], &["lock", "reason=flood"]);
    assert!(well, "{lines:?} {error}");
    let more = std::iter::from_fn(|| ear.next(Duration::from_secs(2)));
    let answers = std::iter::once(first).chain(more).filter(|said| said.id == "g").count();
    // One a second, however long that took.
    let most = 20 + usize::try_from(begin.elapsed().as_secs()).unwrap();
    assert!((1..most).contains(&answers), "{answers} of {most}");
    let said = office.machine.log()[log..].matches("should be a command").count();
    assert!((1..most).contains(&said), "{said} of {most}");
    let (_client, queue) = listen(office.port);
    let alarming = |alarm: &Value| {
        alarm["count"].as_u64() > Some(1_000) && alarm["reason"] == "not a flattened JWS signed with EdDSA"
    };
    let heard = std::iter::from_fn(|| queue.recv_timeout(PATIENCE).ok());
    assert!(heard.into_iter().any(|(topic, alarm)| topic.ends_with("/alarm/command-rejected") && alarming(&alarm)));
    office.machine.verify();
}

/// The plug is pulled while a relay is on: the trail ends, and asking again moves nothing.
#[test]
fn a_command_that_a_crash_has_cut_ends_as_failed() {
    let office = Office::start();
    let ear = Ear::of(&office);
    office.done(&["maintenance", "on=true"], "done");
    drop(ear.command());
    office.machine.world(json!({ "power": "cut", "at": "relay-on" }));
    // How it went may be cut with it, and how it ended may not.
    let (well, lines) = office.send(&["pulse", "outlet=slot:A1"]);
    assert!(!well && lines.last().is_some_and(|last| last.starts_with("K0001 failed: ")), "{lines:?}");
    let (topic, message) = ear.command();
    let pulses = office.machine.pulses();
    ear.end();
    while ear.next(Duration::from_secs(2)).is_some() {}
    office.publish(&topic, message.as_bytes());
    let said = ear.next(PATIENCE).unwrap();
    assert_eq!((said.status, office.machine.pulses()), (Stage::Failed, pulses));
    office.machine.verify();
}

#[test]
fn the_root_changes_the_keys_and_the_change_outlives_a_restart() {
    let office = Office::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let told = command(env!("CARGO_BIN_EXE_kioskfleet")).args(arguments).stdout(Stdio::null()).status().unwrap();
        assert!(told.success(), "{arguments:?}");
    };
    run(&["keygen", "--out", folder.path().to_str().unwrap(), "third"]);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let keep = format!("office-2={}:sell", office.key("office-2.pem"));
    let new = format!("third={}:sell", text(&at("third.pem")));
    let (root, out) = (office.key("root.key"), text(&at("next.json")));
    run(&[
        "keyset",
        "--root",
        &root,
        "--fleet",
        "demo",
        "--version",
        "2",
        "--key",
        &keep,
        "--key",
        &new,
        "--revoke",
        "office",
        "--out",
        &out,
    ]);
    office.done(&["unlock"], "it was so already");
    let rotate = || office.send_with(&["--kiosk", "K0001"], &["rotate-keys", &format!("keyset={out}")]);
    let (well, lines, error) = rotate();
    assert!(well && lines.len() == 3, "{lines:?} {error}");
    let by = |key: &str| {
        let (well, lines, _) = office.send_with(&["--kiosk", "K0001", "--sign", key], &["unlock"]);
        (well, lines)
    };
    let unknown = "signed by a key that is not known here";
    office.rejected(by(&office.key("office.key")), unknown);
    assert!(by(&text(&at("third.key"))).0);

    // The configuration still names the first; the ledger has the newer.
    office.cut();
    office.rejected(by(&office.key("office.key")), unknown);
    assert!(by(&text(&at("third.key"))).0);
    // The stored answer, once more.
    assert_eq!(rotate().1, ["K0001 successful: done"]);

    let entry = |name: &str| {
        use base64::Engine as _;
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(office.signer(name).public().bytes());
        KeyEntry { kid: KeyName::parse(name).unwrap(), key, roles: vec![Role::Sell] }
    };
    let keys = vec![entry("office"), entry("office-2")];
    let old = KeysetContent { fleet: "demo".into(), version: 1, keys, revoked: Vec::new() };
    let old = old.sign(&office.signer("root")).unwrap();
    let ear = Ear::of(&office);
    let topic = "kiosk/v1/demo/K0001/cmd/rotate-keys/keyset-1";
    let said = ear.rejection(&office, topic, old.as_str().as_bytes());
    assert_eq!(said.reason.as_deref(), Some("a keyset of this version or a later one is in force"));
    office.machine.verify();
}
