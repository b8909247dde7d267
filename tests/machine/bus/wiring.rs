//! `kioskctl test`, with somebody at the machine who answers and touches.

use std::io::{BufRead, BufReader, Seek, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use super::kit::Bus;
use super::{kioskctl, operations, start};
use kioskd_tests::PATIENCE;
use kioskd_tests::child::{Running, command};
use kioskd_tests::machine::{Machine, wait_at_most};

/// The demo's slots, the door's two positions and the paper, which are left out in the wiring test one by one.
const LEFT_OUT: &str = "n\nn\nn\nn\nn\nn\nn\nn\nn\nn\n";

/// `kioskctl test` with somebody who answers these lines.
fn wiring_test(bus: &Bus, words: &[&str], answers: &str) -> (Option<i32>, String) {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(answers.as_bytes()).unwrap();
    input.rewind().unwrap();
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).arg("test").args(words).stdin(input);
    let told = kioskctl.output().unwrap();
    (told.status.code(), String::from_utf8(told.stdout).unwrap())
}

#[test]
fn the_wiring_test_finds_what_is_wrong_and_moves_nothing_by_itself() {
    let bus = Bus::start();
    let machine = start(&bus);
    bus.wait_property("Status", "FleetLink", |link| *link == json!(["connected", ""]));
    let (code, says) = wiring_test(&bus, &["--quick"], "");
    assert_eq!(code, Some(0), "{says}");
    assert!(says.contains("well     board          ok\n") && says.ends_with(" 0 wrong\n"), "{says}");
    let (_, says) = wiring_test(&bus, &["--dry"], "");
    assert!(says.contains("  energise the relay of A1 (cola)") && machine.pulses() == 0, "{says}");
    assert!(operations(&machine).is_empty());

    // The first slot is well; of the second somebody says that it has not moved; then they have enough.
    let (code, says) = wiring_test(&bus, &[], "y\ny\ny\ny\ny\nn\nq\n");
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("well     relay A1       it moved; the sensor counted 1\n"), "{says}");
    assert!(
        says.contains("wrong    relay A2       it did not move; the sensor counted 1\n           -> look at"),
        "{says}"
    );
    assert!(says.contains("maintenance has ended\n") && says.contains(" 1 wrong\non record as bus-"), "{says}");
    assert_eq!(machine.pulses(), 2);
    machine.until("attract");

    // What is wrong without anybody's help, and a sensor that is dead.
    machine.world(json!({ "paper": "out", "slot": { "name": "A1", "motor": "jam" } }));
    bus.wait_property("Status", "Devices", |devices| devices["printer"][0] == "paper-out");
    let (code, says) = wiring_test(&bus, &[], "y\ny\ny\ny\nq\n");
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("wrong    printer        paper-out\n"), "{says}");
    assert!(says.contains("wrong    drop_sensor    something fell from A1, and it counted nothing\n"), "{says}");
    // Who goes in the middle leaves a machine that sells, and whoever was at work before is still at work.
    machine.until("attract");
    assert_eq!(kioskctl(&bus, &["maintenance", "on"]).1, "done");
    let (_, says) = wiring_test(&bus, &["--json"], "");
    let says: Value = serde_json::from_str(&says).unwrap();
    assert!(
        says["checks"].as_array().unwrap().iter().any(|check| check["part"] == "fleet" && check["result"] == "well")
    );
    assert_eq!(kioskctl(&bus, &["maintenance", "off"]).1, "done");
    machine.verify();
}

/// The same with somebody who touches each mark; `lies` says where that comes out, for a sensor that lies otherwise.
fn touch_test(bus: &Bus, machine: &Machine, lies: fn(u32, u32) -> (u32, u32)) -> (Option<i32>, String) {
    let before = glass(machine);
    let mut input = tempfile::tempfile().unwrap();
    write!(input, "y\n{LEFT_OUT}y\n").unwrap();
    input.rewind().unwrap();
    let mut out = tempfile::tempfile().unwrap();
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).arg("test");
    let mut kioskctl = Running::start(kioskctl.stdin(input).stdout(out.try_clone().unwrap()).stderr(Stdio::piped()));
    let says = BufReader::new(kioskctl.stderr.take().unwrap());
    let (width, height) = before.dimensions();
    let mut marks = 0;
    for line in says.lines().map_while(Result::ok) {
        let Some((_, corner)) = line.split_once("Touch the mark at the ") else { continue };
        let (left, top) = (!corner.starts_with("top right"), !corner.starts_with("bottom left"));
        let along = |near: bool, size: u32| if near { size / 10 } else { size - size / 10 };
        let (x, y) = (along(left, width), along(top, height));
        // The page of before is seen beside it.
        let seen = || Some(glass(machine)).filter(|now| now.get_pixel(x, y + 30) != now.get_pixel(x, y));
        assert!(wait_at_most(PATIENCE, seen).is_some(), "no mark at {corner}");
        marks += 1;
        let (x, y) = lies(x, y);
        let (status, body) = machine.post("/api/touch", &json!({ "x": x, "y": y }));
        assert_eq!(status, 200, "{body}");
    }
    let status = kioskctl.wait().unwrap();
    assert_eq!(marks, 3);
    let mut says = String::new();
    out.rewind().unwrap();
    std::io::Read::read_to_string(&mut out, &mut says).unwrap();
    (status.code(), says)
}

fn glass(machine: &Machine) -> image::RgbImage {
    image::load_from_memory(&machine.bytes("/api/screen.png")).unwrap().into_rgb8()
}

#[test]
fn a_touch_sensor_that_lies_otherwise_is_found_with_the_line_to_write() {
    let bus = Bus::start();
    let machine = start(&bus);
    let (_, says) = touch_test(&bus, &machine, |x, y| (x, y));
    assert!(says.contains("well     touch          each touch came out where it was made\n"), "{says}");
    machine.until("attract");
    let (code, says) = touch_test(&bus, &machine, |x, y| (1_279 - x, y));
    assert_eq!(code, Some(1), "{says}");
    let wanted = "wrong    touch          touches come out mirrored left to right\n           \
                  -> write calibration = \"-1 0 1 0 1 0\" under [touch] in the configuration, and systemctl restart kioskd\n";
    assert!(says.contains(wanted), "{says}");

    // No mark covers what a customer sees, and a finger on one touches nothing else: the hidden place is under the first.
    machine.until("attract");
    let says = bus.call(super::SERVICE, "Mark", &["s", "top-left"]).unwrap_err();
    assert_eq!(says, "Call failed: Refused to show a mark: the kiosk is not in maintenance; begin it first");
    assert_eq!(operations(&machine).len(), 6, "a mark is not on record; maintenance is, and what was found");
    machine.tap("start");
    machine.until("choose");
}

/// The network of the machine, its door and its paper, all at once.
#[test]
fn each_trouble_has_a_line_of_its_own() {
    let bus = Bus::start();
    let machine = start(&bus);
    machine.world(json!({ "network": "down", "paper": "out", "door": "open" }));
    bus.wait_property("Status", "FleetLink", |link| link[0] == "disconnected");
    bus.wait_property("Status", "Devices", |devices| devices["printer"][0] == "paper-out");
    bus.wait_property("Status", "Reasons", |why| why.to_string().contains("door-open"));
    let (code, says) = wiring_test(&bus, &["--quick"], "");
    assert_eq!(code, Some(1), "{says}");
    for (part, advice) in [
        ("printer        paper-out", "look at paper, cover, power and cable"),
        ("fleet          disconnected", "look at the network and [fleet] broker"),
        ("doors          the door is open", "close the door"),
    ] {
        let (_, found) = says.split_once(&format!("wrong    {part}")).unwrap_or_else(|| panic!("no {part}: {says}"));
        let next = found.lines().nth(1).unwrap();
        assert!(next.trim_start().starts_with(&format!("-> {advice}")), "{part}: {next}");
    }
}

#[test]
fn a_test_page_comes_out_and_is_asked_about() {
    let bus = Bus::start();
    let machine = start(&bus);
    assert_eq!(kioskctl(&bus, &["print-test"]), (Some(0), "done".into(), String::new()));
    let codes = || {
        let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        std::fs::write(file.path(), machine.bytes("/api/printer.png")).unwrap();
        let read = command("zbarimg").args(["--raw", "-q"]).arg(file.path()).output().unwrap();
        String::from_utf8(read.stdout).unwrap().matches("kioskd test page of K0001 ").count()
    };
    machine.wait("a test page", || (codes() == 1).then_some(()));
    // All else is left out, and the page of the wiring test is not as it should be.
    let relays_and_door = LEFT_OUT.strip_suffix("n\n").unwrap();
    let (code, says) = wiring_test(&bus, &[], &format!("y\n{relays_and_door}y\nn\nq\n"));
    assert_eq!(code, Some(1), "{says}");
    let wanted = "wrong    paper          the test page is not as it should be\n           -> look at paper and head; at its width";
    assert!(says.contains(wanted), "{says}");
    machine.wait("another", || (codes() == 2).then_some(()));
    let asked: Vec<Value> = operations(&machine).iter().map(|line| line["asked"]["do"].clone()).collect();
    assert_eq!(asked, ["record-test", "maintenance", "print-test", "maintenance", "print-test"]);
}
