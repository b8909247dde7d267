//! What a test of the machine has found, on record and as a report that the technician leaves with: checked by other people's
//! programs, as the paper says.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};

use crate::bus::SERVICE;
use crate::bus::kit::{Bus, TECHNICIAN};
use kioskd_tests::child::{Running, command};
use kioskd_tests::machine::Machine;

/// `kioskctl WORDS` with somebody who types these lines: its exit status, what it said and what it complained of.
fn kioskctl(bus: &Bus, words: &[&str], typed: &str) -> (Option<i32>, String, String) {
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).args(words);
    let told = Running::answer(&mut kioskctl, typed.as_bytes());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (told.status.code(), text(told.stdout), text(told.stderr))
}

fn recorded(bus: &Bus, machine: &Machine) -> Vec<Value> {
    let (_, told, _) = kioskctl(bus, &["--json", "--state", machine.state.to_str().unwrap(), "operations"], "");
    let told: Value = serde_json::from_str(&told).unwrap();
    let all = told["operations"].as_array().unwrap();
    all.iter().filter(|line| line["asked"]["do"] == "record-test").cloned().collect()
}

/// The commands of docs/fleet.md, typed where `K0001.report` and `K0001.pem` are: whether they agree, and the last line.
fn by_the_paper(folder: &Path) -> (bool, Value) {
    let paper = include_str!("../../docs/fleet.md");
    let (_, part) = paper.split_once("## Check the report of a test").unwrap();
    let script = part.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let told = command("sh").arg("-ec").arg(script).current_dir(folder).output().unwrap();
    let said = String::from_utf8(told.stdout).unwrap();
    (told.status.success(), serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_default())
}

#[test]
fn what_was_found_is_on_record_and_in_a_report_that_anybody_can_check() {
    let bus = Bus::start();
    let machine = Machine::start(&bus.setup());
    bus.wait_property("Status", "FleetLink", |link| *link == json!(["connected", ""]));
    bus.wait_property("Status", "Devices", |devices| devices["printer"][0] == "ok");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::copy(machine.state.join("keys/kiosk.pem"), at("K0001.pem")).unwrap();
    let (file, key) = (at("K0001.report"), at("K0001.pem"));

    // One relay has not moved, and then somebody has enough.
    let (code, says, _) = kioskctl(&bus, &["test", "--report", &file], "y\ny\nn\nq\n");
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("\nunknown  test           left before its end\n"), "{says}");
    let all = recorded(&bus, &machine);
    let [line] = all.as_slice() else { panic!("{all:#?}") };
    let number = line["id"].as_str().unwrap();
    assert!(says.contains(&format!(" 1 wrong\non record as {number}\n{file} has the report\n")), "{says}");
    let meta = std::fs::metadata(&file).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o644);

    // It is the record's, and the kiosk's by openssl's word.
    let (holds, report) = by_the_paper(folder.path());
    assert!(holds, "{report:#}");
    assert_eq!((&report["kiosk"], &report["fleet"], &report["clock"]), (&json!("K0001"), &json!("demo"), &json!("ok")));
    assert_eq!((&report["by"], &report["checks"]), (&line["by"], &line["asked"]["checks"]));
    assert_eq!((&report["seq"], &report["time_ms"]), (&line["seq"], &line["ts"]));
    let reader = kioskd::ledger::Reader::open(&machine.state).unwrap();
    assert_eq!(reader.hash_of(report["seq"].as_u64().unwrap()).unwrap().as_deref(), report["hash"].as_str());
    assert_eq!(report["ledger"], bus.property("Status", "Ledger").unwrap());
    assert_eq!(report["version"], bus.property("Status", "Version").unwrap());
    let of = |part: &str| report["checks"].as_array().unwrap().iter().find(|check| check["part"] == *part).cloned();
    let wanted = json!({ "part": "relay A1", "result": "wrong", "says": "it did not move; the sensor counted 1" });
    assert_eq!(of("relay A1"), Some(wanted));
    assert_eq!(of("test").unwrap()["result"], "unknown");

    let verify = |file: &str, key: &str| kioskctl(&bus, &["verify", "--report", file, "--key", key], "");
    let (code, says, _) = verify(&file, &key);
    assert_eq!(code, Some(0), "{says}");
    assert!(
        says.starts_with(&format!("{file} holds, signed by demo/K0001\ntest of kiosk K0001 of fleet demo,")),
        "{says}"
    );
    assert!(says.contains("\nwrong    relay A1       it did not move; the sensor counted 1\n"), "{says}");
    let (code, last, _) = kioskctl(&bus, &["test", "--last"], "");
    assert_eq!(code, Some(0));
    assert!(says.ends_with(&last), "{last}");

    // Never over another file, and before anybody is asked for anything.
    let before = std::fs::read(&file).unwrap();
    let (code, says, complaint) = kioskctl(&bus, &["test", "--report", &file], "y\n");
    assert_eq!((code, says.as_str()), (Some(2), ""));
    assert_eq!(complaint, format!("kioskctl: {file} is there already; name a new file\n"));
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // Another's key, a byte that was changed, another purpose.
    let other = machine.state.join("keys/back-end.pem");
    let (code, _, says) = verify(&file, other.to_str().unwrap());
    assert_eq!(code, Some(1));
    assert!(says.ends_with("does not hold: the signature does not hold\n"), "{says}");
    let changed = String::from_utf8(before).unwrap().replacen(
        "\"payload\":\"eyJraW9zayI6IkswMDAx",
        "\"payload\":\"eyJraW9zayI6IkswMDAy",
        1,
    );
    std::fs::write(&file, changed).unwrap();
    assert_eq!(verify(&file, &key).0, Some(1));
    assert!(!by_the_paper(folder.path()).0);
    let seal = bus.call(SERVICE, "SealBundle", &["s", &"0".repeat(64)]).unwrap();
    let seal = seal.strip_prefix("s \"").and_then(|seal| seal.strip_suffix('"')).unwrap().replace("\\\"", "\"");
    std::fs::write(at("seal"), seal).unwrap();
    let (code, _, says) = verify(&at("seal"), &key);
    assert!(code == Some(1) && says.contains("signed for another purpose"), "{says}");

    // What moves nothing is on record where somebody wants it, by whoever has asked.
    for words in [&["test", "--quick"][..], &["test", "--dry"]] {
        assert_eq!(kioskctl(&bus, words, "").0, Some(0));
    }
    assert_eq!(recorded(&bus, &machine).len(), 1);
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let mut technician = bus.program_by(TECHNICIAN, env!("CARGO_BIN_EXE_kioskctl"));
    let theirs = at("theirs.report");
    let told = technician.args(["--json", "test", "--quick", "--report", &theirs]).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["report"], &told["recorded"]), (&json!(theirs), &recorded(&bus, &machine)[0]["id"]));
    let meta = std::fs::metadata(&theirs).unwrap();
    assert_eq!((meta.uid(), meta.permissions().mode() & 0o777), (65_534, 0o644));
    let (_, says, _) = kioskctl(&bus, &["--json", "verify", "--report", &theirs, "--key", &key], "");
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!((&says["signed_by"], &says["report"]["by"]["uid"]), (&json!("demo/K0001"), &json!(65_534)));
    machine.verify();
}

#[test]
fn a_kiosk_without_a_key_says_that_its_report_proves_nothing() {
    let bus = Bus::start();
    let mut setup = bus.setup();
    let shipped = include_str!("../../configs/vending.toml");
    setup.config.push((&shipped[shipped.find("[fleet]").unwrap()..shipped.find("[[rail]]").unwrap()], ""));
    let machine = Machine::start(&setup);
    bus.wait_property("Status", "Devices", |devices| devices["printer"][0] == "ok");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("K0001.report").to_str().unwrap().to_owned();
    let key = machine.state.join("keys/kiosk.pem").to_str().unwrap().to_owned();
    let (code, says, _) = kioskctl(&bus, &["test", "--quick", "--report", &file], "");
    assert_eq!(code, Some(0), "{says}");
    let why = "the kiosk's configuration has no signing_key";
    assert!(says.ends_with(&format!("{file} has the report, and proves nothing: {why}\n")), "{says}");
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&document["unsigned"], &document["report"]["kiosk"]), (&json!(why), &json!("K0001")));
    assert_eq!(document["report"]["checks"], recorded(&bus, &machine)[0]["asked"]["checks"]);
    let (code, _, says) = kioskctl(&bus, &["verify", "--report", &file, "--key", &key], "");
    let wanted = format!("kioskctl: {file} does not hold: nobody has signed it, so anybody can have written it\n");
    assert_eq!((code, says), (Some(1), wanted));
    let says = bus.call(SERVICE, "SealBundle", &["s", &"0".repeat(64)]).unwrap_err();
    assert_eq!(says, format!("Call failed: Nothing was signed: {why}"));
}
