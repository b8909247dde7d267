//! The kiosk on the machine's bus, by other people's programs: what it shows, what may be asked and by whom, and that the
//! sale does not care.

pub mod kit;
mod polkit;
mod reboot;
mod wiring;

use serde_json::{Value, json};

use self::kit::{Bus, NAME, PATH, STRANGER, TECHNICIAN};
use kioskd_tests::PATIENCE;
use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup, wait_at_most};

const INTERFACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/org.kioskd.Kiosk1.xml");

const SALES: &str = "org.kioskd.Kiosk1.Sales";
pub const SERVICE: &str = "org.kioskd.Kiosk1.Service";
const STATUS: &str = "org.kioskd.Kiosk1.Status";
/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

fn start(bus: &Bus) -> Machine {
    let machine = Machine::start(&bus.setup());
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    machine
}

fn operations(machine: &Machine) -> Vec<Value> {
    let told = command(env!("CARGO_BIN_EXE_kioskctl"))
        .args(["--json", "--state", machine.state.to_str().unwrap(), "operations"])
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    told["operations"].as_array().unwrap().clone()
}

/// Every method there is, with arguments that fit.
fn every_call() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    vec![
        (SERVICE, "Lock", vec!["s", "cleaning"]),
        (SERVICE, "Unlock", vec![]),
        (SERVICE, "SetStock", vec!["su", "A1", "3"]),
        (SERVICE, "Refill", vec![]),
        (SERVICE, "RefillSlots", vec!["as", "2", "A1", "B2"]),
        (SERVICE, "AddStock", vec!["a{su}s", "1", "A1", "1", ""]),
        (SERVICE, "SettleClaim", vec!["ss", "01M82V7M000000000000000007", "refund"]),
        (SERVICE, "Vend", vec!["s", "cola"]),
        (SERVICE, "TestVend", vec!["s", "A1"]),
        (SERVICE, "Mark", vec!["s", "top-left"]),
        (SERVICE, "PlateSeen", vec!["s", "KN AB 123"]),
        (SERVICE, "Maintenance", vec!["b", "true"]),
        (SERVICE, "Pulse", vec!["s", "A1"]),
        (SERVICE, "Raise", vec!["s", "paid at the office"]),
        (SERVICE, "KeepOpen", vec!["s", "the concert is over"]),
        (SERVICE, "Release", vec!["s", "the road is clear"]),
        (SERVICE, "VoidTicket", vec!["ss", "03-0004567-9", "lost"]),
        (SERVICE, "CarsInside", vec!["us", "120", "counted"]),
        (SERVICE, "Screenshot", vec![]),
        (SERVICE, "CashUp", vec![]),
        (SERVICE, "PrintReport", vec!["u", "1"]),
        (SERVICE, "PrintTest", vec![]),
        (SERVICE, "Languages", vec![]),
        (SERVICE, "SetLanguages", vec!["as", "2", "en", "zh-Hant"]),
        (SERVICE, "RecordTest", vec!["a(sss)", "1", "board", "well", "ok"]),
        (SERVICE, "TestReport", vec!["s", ""]),
        (SERVICE, "SealBundle", vec!["s", EMPTY]),
        (SALES, "Report", vec!["u", "0"]),
        (SALES, "Orders", vec!["u", "10"]),
        (SALES, "Story", vec!["s", ""]),
        (SALES, "Parking", vec!["ss", "2026-11-01", "2026-11-30"]),
        (SALES, "Totals", vec![]),
        (PROPERTIES, "Get", vec!["ss", STATUS, "Selling"]),
        (PROPERTIES, "GetAll", vec!["s", SALES]),
        (PROPERTIES, "Set", vec!["ssv", STATUS, "Selling", "b", "false"]),
        ("org.freedesktop.DBus.Introspectable", "Introspect", vec![]),
        ("org.freedesktop.DBus.Peer", "Ping", vec![]),
        // The last, because it may well be done.
        (SERVICE, "Reboot", vec![]),
    ]
}

#[test]
fn the_interface_is_the_one_that_is_written_down() {
    let bus = Bus::start();
    let _machine = start(&bus);
    let told = bus.busctl(&["introspect", "--xml-interface", NAME, PATH]);
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    if std::env::var_os("KIOSKD_WRITE").is_some() {
        std::fs::write(INTERFACES, &told).unwrap();
    }
    let written = std::fs::read_to_string(INTERFACES).unwrap();
    assert_eq!(told.trim(), written.trim(), "write it anew with KIOSKD_WRITE=1; what is once in it stays");
    let ours: Vec<&str> = told.split("<interface name=\"org.kioskd.").skip(1).collect();
    let methods = ours.iter().flat_map(|interface| interface.split("</interface>").next().unwrap().lines());
    let methods = methods.filter(|line| line.trim_start().starts_with("<method name=")).count();
    assert_eq!(methods, every_call().iter().filter(|(interface, ..)| interface.contains("kioskd")).count());
    assert!(ours.len() == 3, "{told}");
}

#[test]
fn what_it_shows_follows_the_machine_and_is_told() {
    let bus = Bus::start();
    let machine = start(&bus);
    let (technician, stranger) = (bus.listen(TECHNICIAN), bus.listen(STRANGER));
    machine.world(json!({ "door": "open" }));
    bus.wait_property("Status", "Selling", |selling| *selling == false);
    let reasons = bus.property("Status", "Reasons").unwrap();
    assert_eq!(reasons, json!([["door-open", "the door is open"]]));
    let heard = wait_at_most(PATIENCE, || Some(technician.heard()).filter(|heard| heard.contains("the door is open")));
    let heard = heard.unwrap_or_else(|| panic!("nobody has told: {}", technician.heard()));
    for told in ["PropertiesChanged", "string \"Selling\"", "boolean false", "string \"Document\""] {
        assert!(heard.contains(told), "{told}: {heard}");
    }
    assert!(!heard.contains("string \"Version\""), "only what has changed: {heard}");

    machine.world(json!({ "door": "closed", "paper": "out" }));
    bus.wait_property("Status", "Devices", |devices| devices["printer"] == json!(["paper-out", ""]));
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    assert!(!stranger.heard().contains("PropertiesChanged"), "{}", stranger.heard());

    // All of it is the state that the fleet is told.
    let document: Value = serde_json::from_str(bus.property("Status", "Document").unwrap().as_str().unwrap()).unwrap();
    assert_eq!(document["devices"]["printer"]["state"], "paper-out");
    let stock = bus.property("Status", "Stock").unwrap();
    let a1 = &document["stock"]["A1"];
    assert_eq!(stock["A1"], json!([a1["product"], a1["count"], a1["capacity"]]));
    assert_eq!(bus.property("Status", "Kiosk").unwrap(), "K0001");
    assert_eq!(bus.property("Status", "Boot").unwrap(), document["boot"]);
    bus.wait_property("Status", "Alarms", |alarms| *alarms == json!(["printer"]));
    bus.wait_property("Status", "FleetLink", |link| *link == json!(["connected", ""]));
}

#[test]
fn every_operation_is_done_for_who_the_bus_says_has_called() {
    let bus = Bus::start();
    let machine = start(&bus);
    assert_eq!(bus.call_by(TECHNICIAN, SERVICE, "Lock", &["s", "cleaning"]), Ok("b true".into()));
    machine.until("out-of-service");
    assert_eq!(machine.get("/api/state")["reasons"][0], json!({ "kind": "locked", "detail": "cleaning" }));
    assert_eq!(bus.call_by(TECHNICIAN, SERVICE, "Lock", &["s", "cleaning"]), Ok("b false".into()));
    assert_eq!(bus.call(SERVICE, "Unlock", &[]), Ok("b true".into()));
    machine.until("attract");
    assert_eq!(bus.call(SERVICE, "SetStock", &["su", "A1", "0"]), Ok("b true".into()));
    bus.wait_property("Status", "Stock", |stock| stock["A1"][1] == 0);
    assert_eq!(bus.call(SERVICE, "Refill", &[]), Ok("b true".into()));
    bus.wait_property("Status", "Stock", |stock| stock["A1"][1] == stock["A1"][2]);

    let by = |number: u32| json!({ "actor": "technician", "uid": number });
    let all = operations(&machine);
    let own = by(rustix::process::getuid().as_raw());
    let users: Vec<&Value> = all.iter().rev().map(|line| &line["by"]).collect();
    assert_eq!(users, [&by(65_534), &by(65_534), &own, &own, &own], "{all:#?}");
    let numbers: std::collections::BTreeSet<_> = all.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), all.len(), "each call is a request of its own");

    for (method, argument, granted) in [("Vend", "cola", "free"), ("TestVend", "B1", "test")] {
        machine.until("attract");
        let answer = bus.call(SERVICE, method, &["s", argument]).unwrap();
        let order = machine.until_state("delivered");
        assert_eq!(answer, format!("s \"{}\"", order["id"].as_str().unwrap()));
        assert_eq!(order["granted"], granted);
    }
    machine.until("attract");

    // A claim is seen, told and settled; the sales are read.
    machine.world(json!({ "provider": { "refund_failed": true }, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("claim");
    let id = order["id"].as_str().unwrap();
    let claims = bus.wait_property("Sales", "Claims", |claims| claims[0].is_array());
    assert_eq!((&claims[0][0], &claims[0][1]), (&order["id"], &order["short_code"]));
    let orders = bus.call(SALES, "Orders", &["u", "1"]).unwrap();
    let (amount, paid) = (&order["amount"], &order["paid"]);
    let code = order["short_code"].as_str().unwrap();
    assert_eq!(orders, format!("a(ssssxxx) 1 \"{id}\" \"{code}\" \"claim\" \"CNY\" {amount} {paid} 0"));
    let totals = bus.call(SALES, "Totals", &[]).unwrap();
    assert_eq!(totals, format!("a(sttxxx) 1 \"CNY\" 3 1 {paid} 0 {paid}"));
    assert_eq!(bus.call(SERVICE, "SettleClaim", &["ss", id, "paid-outside"]), Ok("b true".into()));
    assert_eq!(bus.wait_property("Sales", "Claims", |claims| *claims == json!([])), json!([]));
    let story = bus.call(SALES, "Story", &["s", id]).unwrap();
    let told = format!("claim settled by a technician (user {})", rustix::process::getuid().as_raw());
    assert!(story.starts_with("ss ") && story.contains(&told), "{story}");
    assert_eq!(bus.call(SALES, "Story", &["s", ""]).unwrap(), story, "it is the newest");
    machine.verify();
}

#[test]
fn a_relay_is_tried_in_maintenance_with_the_door_open() {
    let bus = Bus::start();
    let machine = start(&bus);
    let says = bus.call(SERVICE, "Pulse", &["s", "A1"]).unwrap_err();
    assert_eq!(
        says,
        "Call failed: Refused to energise the relay of A1: the kiosk is not in maintenance; begin it first"
    );
    assert_eq!(bus.call(SERVICE, "Maintenance", &["b", "true"]), Ok("b true".into()));
    machine.until("out-of-service");
    machine.world(json!({ "door": "open" }));
    bus.wait_property("Status", "Reasons", |why| why[1][0] == "door-open");
    assert_eq!(bus.property("Status", "Reasons").unwrap()[0], json!(["maintenance", "somebody works on it"]));
    assert_eq!(bus.call(SERVICE, "Pulse", &["s", "A1"]), Ok("bu true 1".into()));
    bus.wait_property("Status", "Stock", |stock| stock["A1"][1] == 7);
    machine.world(json!({ "slot": { "name": "A1", "motor": "jam" } }));
    let (code, says, _) = kioskctl(&bus, &["pulse", "A1"]);
    assert_eq!((code, says.as_str()), (Some(0), "energised; the sensor counted 0"));
    assert_eq!(machine.pulses(), 2);
    machine.world(json!({ "door": "closed", "slot": { "name": "A1", "motor": "ok" } }));

    // Somebody may leave it, and the power may go meanwhile.
    machine.world(json!({ "power": "cut" }));
    bus.wait_property("Status", "Reasons", |why| why[0][0] == "maintenance");
    let (code, says, _) = kioskctl(&bus, &["status"]);
    assert_eq!(code, Some(1));
    assert!(
        says.contains("\n  somebody works on it\n    -> when the work is done: kioskctl maintenance off\n"),
        "{says}"
    );
    assert_eq!(kioskctl(&bus, &["maintenance", "off"]), (Some(0), "done".into(), String::new()));
    machine.until("attract");
    let orders = machine.get("/api/orders");
    assert_eq!(orders["orders"], json!([]), "a pulse is no order");
    let results: Vec<Value> = operations(&machine).iter().map(|line| line["outcome"]["result"].clone()).collect();
    assert_eq!(results, ["changed", "energised", "energised", "changed", "refused"]);
    machine.verify();
}

#[test]
fn what_is_refused_or_makes_no_sense_is_said_in_a_sentence() {
    let bus = Bus::start();
    let machine = start(&bus);
    let refused = |method, arguments: &[&str]| bus.call(SERVICE, method, arguments).unwrap_err();
    let says = refused("SetStock", &["su", "Z9", "1"]);
    assert_eq!(says, "Call failed: Refused to set the stock of Z9 to 1: there is no such slot");
    let says = refused("SetStock", &["su", "A1", "4000000000"]);
    assert!(says.contains("Refused to set the stock of A1 to 4000000000: the slot holds at most"), "{says}");
    let says = refused("SettleClaim", &["ss", "01M82V7M000000000000000007", "refund"]);
    assert!(says.contains("01M82V7M000000000000000007: the order has no open claim"), "{says}");
    for (method, doing) in
        [("Raise", "raise the gate"), ("KeepOpen", "keep the gate open"), ("Release", "release the gate")]
    {
        let says = refused(method, &["s", "paid at the office"]);
        assert_eq!(says, format!("Call failed: Refused to {doing}: this kiosk has no gate; ask the one of the lane"));
    }
    let says = refused("CarsInside", &["us", "120", "counted"]);
    assert!(says.contains("Refused to set the cars inside to 120: this kiosk is none of a car park"), "{says}");
    let says = refused("VoidTicket", &["ss", "03-0004567-9", "lost"]);
    assert_eq!(says, "Call failed: Refused to void ticket 03-0004567-9: this kiosk is none of a car park");
    let says = refused("PlateSeen", &["s", "KN AB 123"]);
    assert_eq!(says, "Call failed: Refused to take a plate: this kiosk is none of a car park");
    machine.world(json!({ "door": "open" }));
    bus.wait_property("Status", "Selling", |selling| *selling == false);
    let says = refused("Vend", &["s", "cola"]);
    assert!(says.contains("Refused to give away one cola: the machine can't deliver: the door is open"), "{says}");
    machine.world(json!({ "door": "closed" }));
    let on_record = operations(&machine);
    assert_eq!(on_record.len(), 9, "{on_record:#?}");
    assert!(on_record.iter().all(|line| line["outcome"]["result"] == "refused"));

    // What can't be read is not on record: nothing was asked.
    let long = "x".repeat(100_000);
    for (interface, method, arguments, says) in [
        (SERVICE, "Lock", vec!["s", ""], "is not a reason (one line of 1 to 200 characters)"),
        (SERVICE, "Lock", vec!["s", "a\nb"], "`a\\nb` is not a reason"),
        (SERVICE, "Lock", vec!["s", &long], "x…` is not a reason"),
        (SERVICE, "Lock", vec!["u", "5"], "Signature mismatch"),
        (SERVICE, "Lock", vec![], "Signature mismatch"),
        (SERVICE, "SetStock", vec!["su", "A/1", "1"], "`A/1` is not a slot name"),
        (SERVICE, "SetStock", vec!["su", &long, "1"], "x…` is not a slot name"),
        (SERVICE, "SetStock", vec!["si", "A1", "-1"], "Signature mismatch"),
        (SERVICE, "Raise", vec!["s", ""], "is not a reason (one line of 1 to 200 characters)"),
        (SERVICE, "VoidTicket", vec!["ss", "A1", "lost"], "`A1` is not a ticket's number"),
        (SERVICE, "CarsInside", vec!["is", "-1", "counted"], "Signature mismatch"),
        (SERVICE, "SettleClaim", vec!["ss", "7", "refund"], "`7` is not an order number"),
        (SERVICE, "SettleClaim", vec!["ss", "01M82V7M000000000000000007", "by-provider"], "write delivered, refund or"),
        (SERVICE, "Vend", vec!["s", "a b"], "is not a product key"),
        (SERVICE, "Mark", vec!["s", "middle"], "write top-left, top-right or bottom-left"),
        (SERVICE, "PlateSeen", vec!["s", "AB/12"], "No plate was taken: a plate has letters and digits only"),
        (SERVICE, "PlateSeen", vec!["s", &long], "No plate was taken: a plate has 2 to 10 letters and digits"),
        (SERVICE, "Open", vec![], "Unknown method"),
        (SERVICE, "RecordTest", vec!["a(sss)", "0"], "Nothing was recorded: a test without a check is none"),
        (
            SERVICE,
            "RecordTest",
            vec!["a(sss)", "1", "board", "fine", "ok"],
            "is well, unknown or wrong, and nothing else",
        ),
        (SERVICE, "RecordTest", vec!["a(sss)", "1", "a\nb", "well", "ok"], "`a\\nb` is not a part's name"),
        (SERVICE, "RecordTest", vec!["a(sss)", "1", "board", "well", &long], "x…` is not a sentence about a part"),
        (
            SERVICE,
            "RecordTest",
            [&["a(sss)", "401"][..], &["board", "well", "ok"].repeat(401)].concat(),
            "401 checks are more",
        ),
        (SERVICE, "TestReport", vec!["s", "a/b"], "`a/b` is not a number of a request"),
        (SERVICE, "TestReport", vec!["s", "bus-1"], "There is no test bus-1 in the ledger"),
        (SERVICE, "TestReport", vec!["s", ""], "There is no test in the ledger yet"),
        (
            SERVICE,
            "SealBundle",
            vec!["s", &EMPTY.to_uppercase()],
            "is not a SHA-256 (64 hexadecimal digits in lower case)",
        ),
        (SERVICE, "SealBundle", vec!["s", &long], "x…` is not a SHA-256"),
        (SALES, "Orders", vec!["u", "0"], "ask for 1 to 1000"),
        (SALES, "Orders", vec!["u", "1001"], "ask for 1 to 1000"),
        (SALES, "Report", vec!["u", "1"], "There is no report 1 in the ledger"),
        (SALES, "Story", vec!["s", "'; DROP"], "not an order's number or short code, nor"),
        (SALES, "Story", vec!["s", &long], "not an order's number or short code, nor"),
        (SALES, "Story", vec!["s", "999999"], "There is no order 999999 in the ledger"),
        (SALES, "Story", vec!["s", ""], "There is no order in the ledger yet"),
        (PROPERTIES, "Set", vec!["ssv", STATUS, "Selling", "b", "false"], "Unknown property"),
    ] {
        let told = bus.call(interface, method, &arguments).unwrap_err();
        assert!(told.contains(says) && told.len() < 400, "{method}: {told:.500}, not {says}");
    }
    assert_eq!(operations(&machine).len(), 9);
    machine.until("attract");
}

/// `kioskctl`, and its exit status, output and complaints.
fn kioskctl(bus: &Bus, words: &[&str]) -> (Option<i32>, String, String) {
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).args(words);
    let told = kioskctl.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    (told.status.code(), text(told.stdout), text(told.stderr))
}

#[test]
fn kioskctl_says_how_it_is_and_what_to_do_and_does_it() {
    let bus = Bus::start();
    let (code, _, says) = kioskctl(&bus, &["status"]);
    assert_eq!(code, Some(2));
    assert!(says.contains("no kiosk is on this bus: `systemctl status kioskd` says whether it runs"), "{says}");
    let machine = start(&bus);
    bus.wait_property("Status", "FleetLink", |link| *link == json!(["connected", ""]));
    let (code, says, _) = kioskctl(&bus, &["status"]);
    assert_eq!(code, Some(0), "{says}");
    assert!(says.starts_with("K0001 of demo sells\ndevices   board ok"), "{says}");
    assert!(says.contains("A1 cola 8/8") && says.contains("fleet     connected"), "{says}");

    let done = (Some(0), "done".to_owned(), String::new());
    assert_eq!(kioskctl(&bus, &["lock", "cleaning"]), done);
    machine.until("out-of-service");
    let (code, says, _) = kioskctl(&bus, &["status"]);
    assert_eq!(code, Some(1), "{says}");
    let wanted = "does not sell\n  it is locked: cleaning\n    -> when the work is done: kioskctl unlock\n";
    assert!(says.contains(wanted), "{says}");
    let (code, says, _) = kioskctl(&bus, &["status", "--json"]);
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!((code, &says["selling"], &says["reasons"][0]["kind"]), (Some(1), &json!(false), &json!("locked")));
    assert_eq!(says["advice"]["locked"], "when the work is done: kioskctl unlock");
    assert_eq!(kioskctl(&bus, &["lock", "cleaning"]).1, "it was so already");
    assert_eq!(kioskctl(&bus, &["unlock"]), done);
    assert_eq!(kioskctl(&bus, &["set-stock", "A1", "2"]), done);
    let (_, says, _) = kioskctl(&bus, &["--json", "refill"]);
    assert_eq!(serde_json::from_str::<Value>(&says).unwrap(), json!({ "changed": true }));
    machine.until("attract");
    let (code, says, _) = kioskctl(&bus, &["test-vend", "B1"]);
    let order = machine.until_state("delivered");
    assert_eq!(says, format!("begun; what comes of it: kioskctl why {}", order["id"].as_str().unwrap()));
    assert_eq!((code, &order["granted"]), (Some(0), &json!("test")));

    let (code, _, says) = kioskctl(&bus, &["set-stock", "Z9", "1"]);
    let hint = "-> there is no Z9; the slots are A1, A2, A3, B1, B2, B3, C1";
    assert_eq!(says, format!("kioskctl: Refused to set the stock of Z9 to 1: there is no such slot\n{hint}"));
    assert_eq!(code, Some(1));
    let (code, _, says) = kioskctl(&bus, &["settle-claim", order["id"].as_str().unwrap(), "paid-outside"]);
    assert!(code == Some(1) && says.contains("the order has no open claim"), "{says}");
    let (code, _, says) = kioskctl(&bus, &["lock", "a\nb"]);
    assert!(code == Some(2) && says.contains("is not a reason"), "{says}");

    let mut stranger = bus.program_by(STRANGER, env!("CARGO_BIN_EXE_kioskctl"));
    let told = stranger.arg("status").output().unwrap();
    let says = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(2) && says.contains("root may, and the group kiosk-tech"), "{says}");
}

#[test]
fn kioskctl_cashes_up_and_shows_and_prints_what_was_taken() {
    let bus = Bus::start();
    let machine = start(&bus);
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    let (code, says, _) = kioskctl(&bus, &["settle"]);
    let own = rustix::process::getuid().as_raw();
    assert_eq!(code, Some(0), "{says}");
    assert!(says.starts_with(&format!("report 1, by a technician (user {own})\n")), "{says}");
    let state = machine.state.to_str().unwrap();
    let shown = kioskctl(&bus, &["--state", state, "settle", "--show", "1"]);
    assert_eq!(shown, (Some(0), says, String::new()), "the ledger says the same");
    let (_, document, _) = kioskctl(&bus, &["--state", state, "--json", "settle", "--show", "1"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    let paid = &machine.get("/api/orders")["orders"][0]["paid"];
    assert_eq!((&document["totals"][0]["paid"], &document["totals"][0]["payments"]), (paid, &json!(1)));

    let (code, second, _) = kioskctl(&bus, &["--json", "settle"]);
    let second: Value = serde_json::from_str(&second).unwrap();
    assert_eq!((code, &second["number"], &second["rails"]), (Some(0), &json!(2), &json!([])));
    assert_eq!((&second["prev"], &second["after_record"]), (&document["hash"], &document["last_record"]));
    assert_eq!(kioskctl(&bus, &["settle", "--print", "1"]), (Some(0), "done".into(), String::new()));
    let (code, _, says) = kioskctl(&bus, &["settle", "--print", "9"]);
    assert_eq!(says, "kioskctl: Refused to print report 9 again: there is no report of that number");
    assert_eq!(code, Some(1));
    let open = bus.call(SALES, "Report", &["u", "0"]).unwrap();
    assert!(open.contains("since the last report, and in none yet"), "{open}");
    assert_eq!(bus.call(SERVICE, "CashUp", &[]), Ok("u 3".into()));
    machine.verify();
}

#[test]
fn the_languages_of_the_glass_are_chosen_and_hold_over_a_power_cut() {
    let bus = Bus::start();
    let machine = start(&bus);
    let switch = || {
        let state = machine.get("/api/state");
        let targets = state["targets"].as_array().into_iter().flatten().filter_map(|target| target["name"].as_str());
        targets.filter_map(|name| name.strip_prefix("language:").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(switch(), ["zh-Hant", "zh-Hans", "en"]);
    let all = r#"asas 3 "zh-Hant" "zh-Hans" "en" 3 "zh-Hant" "zh-Hans" "en""#;
    assert_eq!(bus.call(SERVICE, "Languages", &[]), Ok(all.into()));
    let (code, _, says) = kioskctl(&bus, &["languages", "en", "fr"]);
    let wanted =
        "kioskctl: Refused to offer the languages en, fr: name at least one of zh-Hant, zh-Hans, en, and each once";
    assert_eq!((code, says.as_str()), (Some(1), wanted));
    assert_eq!(
        bus.error_name(TECHNICIAN, SERVICE, &["SetLanguages", "array:string:fr"]),
        format!("{NAME}.Error.BadLanguages")
    );
    assert_eq!(kioskctl(&bus, &["languages", "en", "zh-Hant"]), (Some(0), "done".into(), String::new()));
    machine.wait("the switch", || (switch() == ["en", "zh-Hant"]).then_some(()));
    bus.wait_property("Status", "Languages", |languages| *languages == json!(["en", "zh-Hant"]));

    machine.world(json!({ "power": "cut" }));
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    assert_eq!(bus.property("Status", "Languages"), Some(json!(["en", "zh-Hant"])));
    machine.until("attract");
    assert_eq!(switch(), ["en", "zh-Hant"]);
    let (_, says, _) = kioskctl(&bus, &["languages"]);
    assert_eq!(says, "offered     en, zh-Hant\nconfigured  zh-Hant, zh-Hans, en");
    assert!(kioskctl(&bus, &["status"]).1.contains("\nlanguages en, zh-Hant\n"));
    assert_eq!(kioskctl(&bus, &["languages", "en", "zh-Hant"]).1, "it was so already");
    machine.verify();
}

#[test]
fn a_stranger_gets_nothing() {
    let bus = Bus::start();
    let machine = start(&bus);
    let owner = bus.busctl(&["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s", NAME]);
    let owner = String::from_utf8(owner.stdout).unwrap();
    let owner = owner.split('"').nth(1).expect("somebody has the name");
    for (interface, method, arguments) in every_call() {
        // By its own name, too.
        for name in [NAME, owner] {
            let words = [&["call", name, PATH, interface, method], arguments.as_slice()].concat();
            let told = bus.busctl_by(STRANGER, &words);
            let says = String::from_utf8_lossy(&told.stderr);
            assert!(!told.status.success(), "{name} {method}: {told:?}");
            assert!(says.contains("Access denied") || says.contains("Sender is not authorized"), "{method}: {says}");
        }
        let told = bus.call_by(TECHNICIAN, interface, method, &arguments);
        let let_in =
            told.as_ref().err().is_none_or(|says| !says.contains("ccess denied") && !says.contains("authorized"));
        assert!(let_in, "{method}: {told:?}");
    }
    let by: Vec<Value> = operations(&machine).iter().map(|line| line["by"]["uid"].clone()).collect();
    // As many as are shown.
    assert_eq!(by, vec![json!(65_534); 20], "what the technician asked, and nothing else");
    let says = bus.busctl_by(
        STRANGER,
        &["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su", NAME, "0"],
    );
    assert!(!says.status.success(), "the name is the kiosk's alone: {says:?}");
    let names = bus.busctl(&["list", "--activatable", "--no-legend"]);
    assert!(String::from_utf8(names.stdout).unwrap().contains(NAME), "a call to it starts it");
}

#[test]
fn it_comes_back_to_a_bus_that_is_started_anew_and_sells_meanwhile() {
    let mut bus = Bus::start();
    let machine = start(&bus);
    bus.kill();
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    bus.again();
    let orders = wait_at_most(PATIENCE, || bus.call(SALES, "Orders", &["u", "5"]).ok());
    assert!(orders.expect("the name comes back").contains("\"delivered\""));
    assert_eq!(bus.call(SERVICE, "Lock", &["s", "cleaning"]), Ok("b true".into()));
    machine.until("out-of-service");
    // And a kiosk that is started anew comes back to its bus.
    let boot = bus.property("Status", "Boot").unwrap();
    machine.world(json!({ "power": "cut" }));
    bus.wait_property("Status", "Boot", |now| *now != boot);
    assert_eq!(bus.wait_property("Status", "Reasons", |why| why[0].is_array())[0][0], "locked");
    let log = machine.log();
    assert_eq!(log.matches("the bus has ended the connection").count(), 1, "{log}");
}

#[test]
fn a_name_that_is_not_given_is_said_in_a_sentence_and_taken_when_it_is() {
    let bus = Bus::start();
    let first = start(&bus);
    let boot = bus.property("Status", "Boot").unwrap();
    let second = Machine::start(&bus.setup());
    let taken = "the name org.kioskd.Kiosk1 belongs to another program already (process ";
    second.wait("the sentence", || second.log().contains(taken).then_some(()));
    assert_eq!(bus.property("Status", "Boot").unwrap(), boot);
    drop(first);
    bus.wait_property("Status", "Boot", |now| *now != boot);
    assert_eq!(second.log().matches(taken).count(), 1, "{}", second.log());

    let bare = Bus::without_policy();
    let third = Machine::start(&bare.setup());
    let denied =
        "does not let this user have the name org.kioskd.Kiosk1; is its policy, org.kioskd.Kiosk1.conf, installed?";
    third.wait("the sentence", || third.log().contains(denied).then_some(()));
    third.offer(&["cola"]);
}

#[test]
fn several_kiosks_of_one_board_are_on_one_bus() {
    let bus = Bus::start();
    let setup = |instance| Setup { config: vec![("bus = \"session\"", instance)], ..bus.setup() };
    let entry = Machine::start(&setup("bus = \"system\"\ninstance = \"entry\""));
    let exit = Machine::start(&setup("bus = \"system\"\ninstance = \"exit-1\""));
    for (name, machine) in [("entry", &entry), ("exit-1", &exit)] {
        let sells = || kioskctl(&bus, &["--kiosk", name, "status"]).0 == Some(0);
        machine.wait("it is on the bus and sells", || sells().then_some(()));
    }
    let (code, _, says) = kioskctl(&bus, &["--kiosk", "exit-1", "lock", "cleaning"]);
    assert_eq!(code, Some(0), "{says}");
    assert_eq!(kioskctl(&bus, &["--kiosk", "exit-1", "status"]).0, Some(1));
    assert_eq!(kioskctl(&bus, &["--kiosk", "entry", "status"]).0, Some(0), "that is another kiosk");
    let (code, _, says) = kioskctl(&bus, &["status"]);
    assert_eq!(code, Some(2));
    assert!(says.contains("this kiosk is not on the bus; there is --kiosk entry, --kiosk exit-1"), "{says}");
    let (code, _, says) = kioskctl(&bus, &["--kiosk", "1st", "status"]);
    assert!(code == Some(2) && says.contains("begins with"), "{says}");
    // The policy is for all of them.
    let entry = "org.kioskd.Kiosk1.entry";
    let asked = ["--", "call", entry, PATH, SERVICE, "Unlock"];
    let denied = bus.busctl_by(STRANGER, &asked);
    assert!(!denied.status.success(), "{denied:?}");
    assert!(bus.busctl_by(TECHNICIAN, &asked).status.success());
}

#[test]
fn without_a_bus_the_demo_says_so_once_and_sells() {
    let nowhere = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}/bus", nowhere.path().display());
    let env = vec![("DBUS_SESSION_BUS_ADDRESS", address.into())];
    let machine = Machine::start(&Setup { env, ..Setup::default() });
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    let log = machine.log();
    let about: Vec<&str> = log.lines().filter(|line| line.contains("bus")).collect();
    assert_eq!(about.len(), 1, "{log}");
    assert!(about[0].contains("INFO") && about[0].contains("not on the bus"), "{about:?}");

    // A session's bus is as good as the system's.
    let bus = Bus::start();
    let env = vec![("DBUS_SESSION_BUS_ADDRESS", bus.address().into())];
    let machine = Machine::start(&Setup { env, ..Setup::default() });
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    drop(machine);
    let gone = wait_at_most(PATIENCE, || bus.property("Status", "Selling").is_none().then_some(()));
    assert!(gone.is_some(), "who ends gives the name back");
}
