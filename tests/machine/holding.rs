//! Whose a state directory is, with real daemons: a second one touches nothing, a stopped one leaves one whole file, and a
//! copied one does not write on under the same number.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use kioskd_tests::child::{Running, command};
use kioskd_tests::machine::{Machine, Setup, wait_at_most};
use kioskd_tests::{PATIENCE, program};

/// Number and words of the daemon that was started on this state directory.
fn daemon_on(state: &Path) -> Option<(u32, Vec<String>)> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let words = |pid: u32| -> Option<Vec<String>> {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    };
    let ours = |words: &[String]| {
        words.get(1).is_some_and(|verb| verb == "run") && words.iter().any(|word| Path::new(word) == state)
    };
    all.filter_map(|pid| Some((pid, words(pid)?))).find(|(_, words)| ours(words))
}

#[test]
fn a_second_daemon_while_the_first_delivers_touches_nothing() {
    // Long enough for a whole second start to fall into one turn.
    let mut setup = Setup { turn: 6_000, ..Setup::fast() };
    setup.config.push(("pulse = \"1000ms\"", "pulse = \"9000ms\""));
    let machine = Machine::start(&setup);
    let qr = machine.offer(&["cola"]);
    machine.wallet(&qr, "pay");
    machine.until_state("delivering");
    let (pid, words) = daemon_on(&machine.state).expect("the kiosk's own process");
    let mut second =
        Running::start(command(program("kioskd")).args(&words[1..]).stdin(Stdio::null()).stderr(Stdio::piped()));
    let ended = wait_at_most(PATIENCE, || second.try_wait().unwrap());
    let mut told = String::new();
    let mut said = second.stderr.take().unwrap();
    second.end();
    said.read_to_string(&mut told).unwrap();
    assert_eq!(machine.newest()["state"], "delivering", "the second came and went while the first was at it");
    assert_eq!(ended.expect("the second ends by itself").code(), Some(1), "{told}");
    assert!(told.contains(&format!("held by process {pid} since ")), "{told}");
    let order = machine.until_state("delivered");
    assert_eq!((&order["paid"], &order["refunded"]), (&Value::from(300), &Value::from(0)), "{order:#}");
    machine.until_settled();
    assert_eq!(machine.dropped(), 1);
    machine.books_agree();
    machine.verify();
    // The first has noticed nothing.
    machine.offer(&["cola"]);
}

fn kioskctl(state: &Path, words: &[&str]) -> Value {
    let out = command(env!("CARGO_BIN_EXE_kioskctl")).arg("--state").arg(state).args(words).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The alarm `ledger-moved` of a machine, by its broker.
fn alarm(machine: &Machine) -> Value {
    let broker = machine.mqtt.trim_start_matches("mqtt://");
    let (host, port) = broker.rsplit_once(':').unwrap();
    let told = command("mosquitto_sub")
        .args(["-h", host, "-p", port, "-t", "kiosk/v1/demo/+/alarm/ledger-moved", "-C", "1", "-W", "60"])
        .output()
        .expect("mosquitto-clients");
    serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}"))
}

#[test]
fn a_stopped_daemon_leaves_one_whole_file_and_its_copy_has_another_number() {
    let state = tempfile::tempdir().unwrap();
    let machine = Machine::start(&Setup { state: Some(state.path().join("state")), ..Setup::fast() });
    let qr = machine.offer(&["cola"]);
    machine.wallet(&qr, "pay");
    machine.until_state("delivered");
    machine.until_settled();
    let first = machine.get("/api/orders")["orders"][0]["id"].clone();
    let number = machine.get("/api/state")["ledger"].clone();
    let (pid, _) = daemon_on(&machine.state).expect("the kiosk's own process");
    drop(machine);
    let gone = || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(());
    wait_at_most(PATIENCE, gone).expect("the kiosk has ended");
    let stopped = state.path().join("state");
    let left: Vec<String> = std::fs::read_dir(&stopped)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("kiosk.db"))
        .collect();
    assert_eq!(left, ["kiosk.db"], "the log is folded in");
    let whole = kioskctl(&stopped, &["verify", "--json"]);
    assert!(whole["records"].as_u64() > Some(10), "{whole}");

    let copied = state.path().join("copied");
    std::fs::create_dir(&copied).unwrap();
    std::fs::copy(stopped.join("kiosk.db"), copied.join("kiosk.db")).unwrap();
    assert_eq!(kioskctl(&copied, &["verify", "--json"]), whole, "the file alone is the whole ledger");

    // Both at once, each on its own: what was sold before is known to both, and no number is shared.
    let original = Machine::start(&Setup { state: Some(stopped), ..Setup::fast() });
    let copy = Machine::start(&Setup { state: Some(copied), ..Setup::fast() });
    assert_eq!(original.get("/api/state")["ledger"], number);
    let other = copy.get("/api/state")["ledger"].clone();
    assert!(other.is_string() && other != number, "{other} and {number}");
    for machine in [&original, &copy] {
        assert_eq!(machine.newest()["id"], first);
    }
    let alarm = alarm(&copy);
    assert_eq!((&alarm["ledger"], &alarm["before"]), (&other, &number));
    original.verify();
    copy.verify();
}
