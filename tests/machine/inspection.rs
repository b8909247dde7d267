//! What a whole machine says of itself, signed: by itself every so often, and when the office asks.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use kioskd::fleet::inspection::Inspection;
use kioskd::ledger::Reader;
use kioskd::operation::{CheckResult, Digest};
use kioskd::signed::jws::{PublicKey, Purpose};
use kioskd::signed::statement::Statement;
use kioskd::vocabulary::Wall;
use kioskd_tests::PATIENCE;
use kioskd_tests::child::command;
use kioskd_tests::free_port;
use kioskd_tests::machine::{Machine, Setup};
use serde_json::{Value, json};

use crate::fleet::{listen_as, mosquitto};

const TOPIC: &str = "kiosk/v1/demo/K0001/inspection";

/// The next that fits, and its message; by the machine's public key, or it is none.
fn hear(
    queue: &Receiver<(String, String)>,
    key: &PublicKey,
    fits: impl Fn(&Inspection) -> bool,
) -> (Inspection, String) {
    let by = Instant::now() + PATIENCE;
    loop {
        let left = by.saturating_duration_since(Instant::now());
        let (topic, message) = queue.recv_timeout(left).expect("an inspection");
        if topic == TOPIC {
            let (said, of) = Inspection::open(message.as_bytes(), key).unwrap();
            assert_eq!(of, "demo/K0001");
            if fits(&said) {
                return (said, message);
            }
        }
    }
}

#[test]
fn a_machine_says_signed_how_it_is_in_every_part() {
    let port = free_port();
    let _broker = mosquitto(port);
    // Each message is held against the contract as it comes.
    let (_client, queue) = listen_as(port, str::to_owned);
    let mut setup = Setup { broker: Some(format!("mqtt://127.0.0.1:{port}")), ..Setup::fast() };
    setup.config.push(("[[rail]]", "inspection_every = \"5s\"\n\n[[rail]]"));
    let machine = Machine::start(&setup);
    machine.wait("the self-check", || machine.log().contains("the self-check is passed").then_some(()));
    let file = |name: &str| machine.state.join("keys").join(name);
    let key = PublicKey::from_pem(&std::fs::read(file("kiosk.pem")).unwrap()).unwrap();

    // Nobody has asked.
    let (first, _) = hear(&queue, &key, |said| said.selling);
    let state = machine.get("/api/state");
    assert_eq!(json!(first.config_digest), state["config"]["digest"]);
    assert_eq!(
        (first.boot.as_str(), first.ledger.as_str()),
        (state["boot"].as_str().unwrap(), state["ledger"].as_str().unwrap())
    );
    assert_eq!((first.keyset_version, first.boots, first.orders_paid), (Some(1), Some(1), Some(0)));
    assert_eq!((first.door_stops, first.door_openings, first.tamper_openings), (Some(0), 0, 0));
    // What it does not know it does not say.
    let unknown = [first.test_wrong.is_none(), first.software_sha256.is_none(), first.certificate_expires_ms.is_none()];
    assert_eq!((unknown, first.clock_error_ms), ([true; 3], None));
    assert!(first.disk_free_bytes > Some(0) && first.written_bytes.is_some());
    let Wall(now) = first.time_ms.unwrap();
    assert_eq!(first.counted_since_ms, Some(Wall(now - 24 * 3_600_000)));
    assert_eq!(first.parts.count(CheckResult::Wrong), 0, "{}", first.parts);
    let (second, _) = hear(&queue, &key, |said| said.is_newer(&first));
    assert!(second.uptime_s >= first.uptime_s);

    // A sale, a door, and no paper any more.
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    machine.until("attract");
    machine.world(json!({ "door": "open" }));
    machine.until("out-of-service");
    machine.world(json!({ "door": "closed", "paper": "out" }));
    machine.wait("the printer to say so", || {
        (machine.get("/api/state")["devices"]["printer"]["state"] == "paper-out").then_some(())
    });
    machine.until("attract");

    // The office asks for it, and knows which one is the answer.
    let office = |words: &[&str]| {
        let mut send = command(env!("CARGO_BIN_EXE_kioskfleet"));
        send.args([
            "send",
            "--fleet",
            "demo",
            "--kiosk",
            "K0001",
            "--broker",
            &machine.mqtt,
            "--json",
            "--timeout",
            "60",
        ]);
        let told =
            send.arg("--sign").arg(file("office.key")).arg("--kiosk-key").arg(file("kiosk.pem")).args(words).output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let trail = office(&["inspect"]);
    let stages: Vec<&Value> = trail.iter().map(|line| &line["status"]).collect();
    assert_eq!(stages, ["accepted", "executing", "successful"], "{trail:?}");
    let named = trail[2]["inspection"].as_str().unwrap();
    let (said, message) = hear(&queue, &key, |said| said.orders_paid == Some(1) && said.door_stops == Some(1));
    let (said, message) = if Digest::of(message.as_bytes()).as_str() == named {
        (said, message)
    } else {
        std::iter::repeat_with(|| hear(&queue, &key, |_| true))
            .find(|(_, message)| Digest::of(message.as_bytes()).as_str() == named)
            .unwrap()
    };
    assert_eq!((said.orders_offered, said.units_delivered, said.refunds_confirmed), (Some(1), Some(1), Some(0)));
    assert_eq!((said.door_openings, said.tamper_stops, said.tamper_openings), (1, Some(0), 0));
    let Wall(opened) = said.door_stopped_ms.unwrap();
    assert!(opened >= now && opened <= said.time_ms.unwrap().0);
    let wrong: Vec<String> = said.wrong().map(|part| part.to_string()).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("printer") && wrong[0].contains("paper-out"), "{wrong:?}");
    assert!(said.written_bytes > first.written_bytes, "a sale is on the disk");
    // Its state comes once more with it.
    let by = Instant::now() + PATIENCE;
    let next = || queue.recv_timeout(by.saturating_duration_since(Instant::now())).ok();
    assert!(std::iter::from_fn(next).any(|(topic, _)| topic.ends_with("/state")));

    // By somebody else's program, and changed by a bit it is nobody's.
    let folder = tempfile::tempdir().unwrap();
    let document: Value = serde_json::from_str(&message).unwrap();
    let part = |name: &str| document[name].as_str().unwrap().to_owned();
    std::fs::write(folder.path().join("signed"), format!("{}.{}", part("protected"), part("payload"))).unwrap();
    let decoded = data_encoding::BASE64URL_NOPAD.decode(part("signature").as_bytes()).unwrap();
    std::fs::write(folder.path().join("signature"), decoded).unwrap();
    let mut openssl = command("openssl");
    openssl.args(["pkeyutl", "-verify", "-pubin", "-rawin", "-in", "signed", "-sigfile", "signature", "-inkey"]);
    let verified = openssl.arg(file("kiosk.pem")).current_dir(folder.path()).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let other = PublicKey::from_pem(&std::fs::read(file("back-end.pem")).unwrap()).unwrap();
    assert!(Inspection::open(message.as_bytes(), &other).is_err());
    let bad = key.open::<Inspection>(Purpose::TestReport, message.as_bytes());
    assert!(bad.is_err(), "it was signed for nothing else");

    // That nothing was sold for a moment after the start is in no record, and the door is.
    let events = Reader::open(&machine.state).unwrap().events_after(0, 10_000).unwrap();
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((count("sales-stopped"), count("sales-resumed")), (1, 1));
    machine.verify();
}
