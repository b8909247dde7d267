//! A technician who has only the glass: finds the way in, is refused, gets in, does what there is to do, and leaves. Whoever
//! asked is on record, and no digit of a PIN is anywhere.

use std::time::Duration;

use serde_json::{Value, json};

use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup, wait_at_most};

/// Typed by nobody else: no number of the machine's own has these digits.
const WRONG: [&str; 2] = ["907356418", "518273649"];

/// Five touches within three seconds, which take longer on a busy machine now and then.
fn knock(machine: &Machine) {
    let asks = || (machine.get("/api/state")["page"] == "service-pin").then_some(());
    machine.wait("the question for the PIN", || {
        if asks().is_some() {
            return Some(());
        }
        let (x, y) = machine.place("service")?;
        for _ in 0..5 {
            machine.post("/api/touch", &json!({ "x": x, "y": y }));
        }
        wait_at_most(Duration::from_secs(2), asks)
    });
}

fn type_pin(machine: &Machine, pin: &str) {
    for digit in pin.chars() {
        machine.tap(&format!("key:{digit}"));
    }
    machine.tap("key:ok");
}

fn events(machine: &Machine) -> Vec<String> {
    let told = command(env!("CARGO_BIN_EXE_kioskctl"))
        .args(["--state", machine.state.to_str().unwrap(), "--json", "operations", "--limit", "50"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let done = |line: &Value| {
        assert_eq!(line["by"], json!({ "actor": "menu" }), "{line}");
        format!("{} {}", line["asked"]["do"].as_str().unwrap(), line["outcome"]["result"].as_str().unwrap())
    };
    told["operations"].as_array().unwrap().iter().rev().map(done).collect()
}

/// Everything that was written down, as the fleet gets it.
fn records(machine: &Machine) -> Vec<(String, String)> {
    let ledger = rusqlite::Connection::open(machine.state.join("kiosk.db")).unwrap();
    let mut query = ledger.prepare("SELECT kind, body FROM record ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn who_knows_the_pin_does_everything_from_the_glass() {
    let machine = Machine::start(&Setup::fast());
    // A refund that fails is a claim to settle.
    machine.world(json!({ "provider": { "refund_failed": true }, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let claim = machine.until_state("claim");
    let claim = claim["id"].as_str().unwrap();
    machine.until("attract");

    let mut said = Vec::new();
    let mut look = || said.push(machine.get("/api/state").to_string());
    knock(&machine);
    for (pin, refused) in WRONG.into_iter().zip(1..) {
        type_pin(&machine, pin);
        look();
        machine.wait("the refusal", || {
            (records(&machine).iter().filter(|(kind, _)| kind == "service-pin-refused").count() == refused)
                .then_some(())
        });
        machine.until("service-pin");
    }
    type_pin(&machine, "2468");
    look();
    machine.until("service");

    machine.tap("menu:lock");
    machine.wait("the lock", || (machine.get("/api/state")["reasons"][0]["kind"] == "locked").then_some(()));
    // A slot is tried though nothing is sold.
    machine.tap("menu:slots");
    machine.tap("slot:A1");
    let (pulses, stock) = (machine.pulses(), machine.get("/api/state")["stock"]["A1"]["count"].clone());
    machine.tap("menu:test");
    let tried = machine.until_state("delivered");
    assert_eq!((&tried["granted"], machine.pulses()), (&json!("test"), pulses + 1));
    machine.until("service-slot");
    machine.tap("menu:less");
    let fewer = json!(stock.as_i64().unwrap() - 2);
    machine.wait("the stock", || (machine.get("/api/state")["stock"]["A1"]["count"] == fewer).then_some(()));
    machine.tap("menu:back");
    machine.until("service-slots");
    machine.tap("menu:back");
    machine.until("service");
    machine.tap("menu:unlock");
    machine.wait("no lock", || (machine.get("/api/state")["selling"] == true).then_some(()));
    machine.tap("menu:refill");
    machine.wait("repair", || (machine.get("/api/state")["faults"].as_array()?.is_empty()).then_some(()));

    machine.tap("menu:claims");
    machine.tap(&format!("claim:{claim}"));
    machine.tap("menu:paid-outside");
    machine.until("service-sure");
    machine.tap("menu:yes");
    machine.wait("no claim", || (machine.get("/api/state")["claims"].as_array()?.is_empty()).then_some(()));
    machine.until("service-claims");
    machine.tap("menu:back");
    machine.until("service");
    machine.tap("done");
    machine.until("attract");

    let done =
        ["lock", "test-vend", "set-stock", "unlock", "refill", "settle-claim"].map(|verb| format!("{verb} changed"));
    assert_eq!(events(&machine), done);
    let records = records(&machine);
    let service: Vec<&str> =
        records.iter().map(|(kind, _)| kind.as_str()).filter(|k| k.starts_with("service")).collect();
    assert_eq!(service, ["service-pin-refused", "service-pin-refused", "service-opened"]);
    let everything: String = records.into_iter().map(|(_, body)| body).chain(said).chain([machine.log()]).collect();
    for digits in WRONG {
        assert!(!everything.contains(digits), "{digits}");
    }
    for digit in 0..10 {
        assert!(!machine.log().contains(&format!("key:{digit}")), "{digit}");
    }
    machine.verify();
}

#[test]
fn a_key_beside_the_glass_asks_for_the_pin_and_closes_the_menu() {
    let machine = Machine::start(&Setup::fast());
    let key = |on: bool| {
        let (status, said) = machine.post("/api/board/service-key", &json!({ "active": on }));
        assert_eq!((status, &said["active"]), (200, &json!(on)));
    };
    machine.until("attract");
    key(true);
    machine.until("service-pin");
    type_pin(&machine, "2468");
    machine.until("service");
    key(false);
    machine.until("attract");

    machine.offer(&["cola"]);
    key(true);
    // Whoever stands before the code keeps it.
    machine.wait("the key", || {
        let board = machine.get("/api/board");
        let mut lines = board["lines"].as_array()?.iter();
        lines.any(|line| line["name"] == "service-key" && line["active"] == true).then_some(())
    });
    assert_eq!(machine.get("/api/state")["page"], "pay");
    machine.tap("cancel");
    machine.until_any(&["cancelled", "attract"]);

    // A key that was forgotten opens nothing at the next start.
    machine.world(json!({ "power": "cut" }));
    machine.wait("a kiosk that sells", || (machine.get("/api/state")["selling"] == true).then_some(()));
    machine.until("attract");
    key(false);
    key(true);
    machine.until("service-pin");
}
