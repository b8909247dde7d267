//! Bad input, as a technician or a broken disk gives it: refused by name, nothing lost, and said on the glass.

use std::path::Path;

use serde_json::json;

use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup};
use kioskd_tests::program;

#[test]
fn a_wrong_configuration_is_refused_where_it_stands_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/vending.toml")).unwrap();
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let good = good.replace("../assets", fonts.to_str().unwrap());
    let file = folder.path().join("kiosk.toml");
    let cases = [
        ("qr_life = \"90s\"", "qr_life = 90", "write"),
        ("merchant = ", "mercant = ", "merchant"),
        ("line = \"slot-A2\"", "line = \"slot-A1\"", "slot-A1"),
        ("kioskd-sans-sc.otf", "nothing.otf", "nothing.otf"),
    ];
    for (from, to, said) in cases {
        std::fs::write(&file, good.replace(from, to)).unwrap();
        for arguments in [vec!["check"], vec!["demo", "--listen", "127.0.0.1:0", "--mqtt", "none", "--config"]] {
            let told = command(program("kioskd")).args(&arguments).arg(&file).output().unwrap();
            let text = String::from_utf8_lossy(&told.stderr);
            assert_eq!((told.status.code(), &told.stdout[..]), (Some(1), &b""[..]), "{arguments:?} {to}: {text}");
            let line = good.lines().position(|line| line.contains(from)).unwrap() + 1;
            let place = format!("{}:", file.display());
            assert!(text.lines().any(|l| l.starts_with(&place) && l.contains(said)), "{to}: {text}");
            assert!(text.contains(&format!("{}:{line}:", file.display())) || to.contains("slot-A1"), "{line} {text}");
        }
    }
    std::fs::write(&file, good).unwrap();
    let told = command(program("kioskd")).arg("check").arg(&file).output().unwrap();
    assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn the_page_answers_nonsense_with_a_reason() {
    let machine = Machine::start(&Setup::default());
    let cases = [
        ("/api/touch", json!({ "x": 1 })),
        ("/api/touch", json!({ "x": 99_999, "y": 1 })),
        ("/api/wallet", json!({ "payload": "x", "action": "steal" })),
        ("/api/board/nothing", json!({ "active": true })),
        ("/api/world", json!({ "wheather": "fine" })),
        ("/api/world", json!({ "slot": { "name": "Z9", "motor": "jam" } })),
    ];
    for (path, body) in cases {
        let (status, told) = machine.post(path, &body);
        assert!((400..500).contains(&status) && told["error"].is_string(), "{path} {body}: {status} {told}");
    }
    let (status, told) = machine.post("/api/world", &json!({ "network": "x".repeat(100_000) }));
    assert!((400..500).contains(&status), "{status} {told}");
    assert_eq!(machine.get("/api/state")["page"], "attract");
}

#[test]
fn a_foreign_ledger_is_kept_and_nothing_is_sold() {
    for content in [
        &b"this is no database, and much longer than a header would be ................................"[..],
        b"SQLite format 3\0\x10\x00\x01\x01\x00 rubbish",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("kiosk.db"), content).unwrap();
        let setup = Setup { state: Some(state.clone()), first_page: "out-of-service", ..Setup::default() };
        let machine = Machine::start(&setup);
        let told = machine.get("/api/state");
        assert_eq!(
            (&told["selling"], &told["reasons"][0]["kind"]),
            (&json!(false), &json!("ledger-failed")),
            "{told:#}"
        );
        assert!(machine.place("start").is_none());
        assert_eq!(std::fs::read(state.join("kiosk.db")).unwrap(), content, "the file is as it was");
        assert_eq!(machine.pulses(), 0);
    }
}

#[test]
fn a_ledger_that_can_not_be_written_stops_sales_and_a_restart_settles() {
    let machine = Machine::start(&Setup::fast());
    let payload = machine.offer(&["cola"]);
    // From now on every commit finds the database locked by somebody who does not let go.
    let thief = rusqlite::Connection::open(machine.state.join("kiosk.db")).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    machine.wallet(&payload, "pay");
    let told = machine.until("out-of-service");
    assert_eq!(told["reasons"][0]["kind"], "ledger-failed", "{told:#}");
    assert_eq!(machine.pulses(), 0, "nothing is energised on a record that is not there");
    thief.execute_batch("ROLLBACK").unwrap();
    drop(thief);
    // Latched: it does not try again by itself.
    assert_eq!(machine.get("/api/state")["selling"], false);
    machine.world(json!({ "power": "cut" }));
    machine.wait("sales again", || (machine.get("/api/state")["selling"] == true).then_some(()));
    let order = machine.until_state("refunded");
    assert_eq!(order["refunded"], 300);
    machine.until_settled();
    machine.books_agree();
    machine.verify();
}
