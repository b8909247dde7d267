//! New software for a whole machine, whose two copies are the world's: fetched over HTTP, tried, kept or taken back.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kioskd::operation::Digest;
use serde_json::{Value, json};

use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup};

/// Serves one file; the first answer breaks off in its middle.
struct Server {
    port: u16,
    sha256: String,
    asked: Arc<AtomicUsize>,
    /// How much of it the second was asked for.
    resumed_at: Arc<AtomicUsize>,
}

impl Server {
    fn start(version: &str) -> Self {
        let file = format!("version={version}\ncompatible=kioskd-demo\n{}", "ballast ".repeat(200_000)).into_bytes();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            sha256: Digest::of(&file).to_string(),
            asked: Arc::default(),
            resumed_at: Arc::default(),
        };
        let (asked, resumed_at) = (Arc::clone(&server.asked), Arc::clone(&server.resumed_at));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let nth = asked.fetch_add(1, Ordering::SeqCst);
                let from = answer(stream, &file, nth == 0);
                if from > 0 {
                    resumed_at.store(from, Ordering::SeqCst);
                }
            }
        });
        server
    }

    fn words(&self, version: &str) -> Vec<String> {
        let bundle = format!("bundle=http://127.0.0.1:{}/kiosk.raucb", self.port);
        vec!["install-update".into(), bundle, format!("sha256={}", self.sha256), format!("version={version}")]
    }
}

fn answer(mut stream: TcpStream, file: &[u8], breaks: bool) -> usize {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let (status, from): (_, usize) = range.map_or(("200 OK", 0), |from| ("206 Partial Content", from));
    let rest = &file[from..];
    let sent = if breaks { &rest[..rest.len() / 2] } else { rest };
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", rest.len());
    let _ = stream.write_all(sent);
    from
}

fn start(gate: &'static str) -> Machine {
    let config = vec![("[glass]\n", gate)];
    let machine = Machine::start(&Setup { panel: "640x400", config, ..Setup::default() });
    machine.at_its_broker(&Value::Null);
    machine
}

/// What the office is told, line by line.
fn send(machine: &Machine, words: &[String]) -> Vec<String> {
    let key = |name: &str| machine.state.join("keys").join(name).to_str().unwrap().to_owned();
    let told = command(env!("CARGO_BIN_EXE_kioskfleet"))
        .args(["send", "--fleet", "demo", "--broker", &machine.mqtt, "--kiosk", "K0001", "--timeout", "120"])
        .args(["--sign", &key("update.key"), "--kiosk-key", &key("kiosk.pem")])
        .args(words)
        .output()
        .unwrap();
    let lines = String::from_utf8(told.stdout).unwrap();
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
    lines
}

fn software(machine: &Machine) -> Value {
    machine.get("/api/state")["software"].clone()
}

/// This version in this copy, with nothing under way, refused or without a fallback. The state follows what was answered, and the
/// installer is asked once more after an update.
fn settled(machine: &Machine, version: &str, copy: &str) {
    machine.wait(&format!("{version} in {copy}, and all is well"), || {
        let now = software(machine);
        let well = now["no_fallback"].is_null() && now["update"].is_null() && now["refused"] == json!([]);
        (now["version"] == version && now["copy"] == copy && well).then_some(())
    });
}

/// The kinds of what was written about updates.
fn written(machine: &Machine) -> Vec<String> {
    let ledger = rusqlite::Connection::open(machine.state.join("kiosk.db")).unwrap();
    let mut kinds = ledger.prepare("SELECT kind FROM record WHERE kind LIKE 'update-%' ORDER BY seq").unwrap();
    kinds.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

const GOOD: [&str; 7] = [
    "update-begun",
    "update-installing",
    "update-installed",
    "update-restarting",
    "update-tried",
    "update-passed",
    "update-good",
];

#[test]
fn an_update_is_successful_when_the_new_copy_has_proved_itself() {
    let machine = start("[update]\ngate = \"60s\"\n\n[glass]\n");
    let own = env!("CARGO_PKG_VERSION");
    machine.wait("what runs", || (software(&machine)["version"] == own).then_some(()));
    assert_eq!(software(&machine)["copy"], "A");
    let server = Server::start("9.1.0");
    let lines = send(&machine, &server.words("9.1.0"));
    assert_eq!(lines.last().unwrap(), "K0001 successful: done", "{}", machine.log());
    assert_eq!(written(&machine), GOOD);
    assert!(server.asked.load(Ordering::SeqCst) == 2 && server.resumed_at.load(Ordering::SeqCst) > 100_000);
    settled(&machine, "9.1.0", "B");
    let left = || std::fs::read_dir(machine.state.join("update")).unwrap().count();
    machine.wait("that nothing of it is kept", || (left() == 0).then_some(()));
    assert_eq!(send(&machine, &server.words("9.1.0")).last().unwrap(), "K0001 successful: it was so already");
    let older = send(&machine, &server.words("9.0.9"));
    assert!(older.last().unwrap().contains("9.1.0 runs here, which is newer"), "{older:?}");
    // A power cut is no new software, and takes nothing back.
    for _ in 0..4 {
        machine.world(json!({ "power": "cut" }));
        machine.until("attract");
        machine.wait("what runs", || (software(&machine)["version"] == "9.1.0").then_some(()));
    }
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    machine.verify();
}

#[test]
fn what_does_not_prove_itself_is_taken_back_and_refused_until_it_is_meant() {
    let machine = start("[update]\ngate = \"20s\"\n\n[glass]\n");
    machine.wait("what runs", || software(&machine)["copy"].as_str().map(drop));
    let server = Server::start("9.1.0");
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| send(&machine, &server.words("9.1.0")));
        machine.wait("the installation", || written(&machine).contains(&"update-installing".into()).then_some(()));
        // The new software will not find the broker.
        machine.world(json!({ "network": "down" }));
        machine.wait("the way back", || written(&machine).contains(&"update-fell-back".into()).then_some(()));
        machine.world(json!({ "network": "up" }));
        let lines = sent.join().unwrap();
        let end = lines.last().unwrap();
        let why = "K0001 failed: the former software runs again: the fleet's broker is not reached";
        assert_eq!(end, why, "{lines:?}");
    });
    machine.wait("the former software", || {
        let now = software(&machine);
        let lacks = now["no_fallback"].as_str().is_some_and(|why| why.starts_with("no fallback: "));
        (now["copy"] == "A" && now["refused"] == json!([server.sha256]) && lacks).then_some(())
    });
    let refused = send(&machine, &server.words("9.1.0"));
    assert!(refused.last().unwrap().contains("went back from this very bundle before"), "{refused:?}");
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    machine.until("attract");
    let mut retry = server.words("9.1.0");
    retry.push("retry=true".into());
    assert_eq!(send(&machine, &retry).last().unwrap(), "K0001 successful: done");
    settled(&machine, "9.1.0", "B");
    machine.verify();
}

#[test]
fn what_is_not_what_was_asked_for_is_not_installed() {
    let machine = start("[update]\nmax_size = \"1 MiB\"\n\n[glass]\n");
    machine.wait("what runs", || software(&machine)["copy"].as_str().map(drop));
    let server = Server::start("9.1.0");
    let large = send(&machine, &server.words("9.1.0"));
    assert!(large.last().unwrap().contains("larger than [update] max_size, 1 MiB"), "{large:?}");
    let file = machine.state.join("bundle");
    std::fs::write(&file, "version=9.1.0\ncompatible=kioskd-other\n").unwrap();
    let sum = Digest::of(&std::fs::read(&file).unwrap()).to_string();
    let from_file = |sum: &str, version: &str| {
        let words = ["install-update".to_owned(), format!("bundle={}", file.display()), format!("sha256={sum}")];
        send(&machine, &[&words[..], &[format!("version={version}")]].concat()).pop().unwrap()
    };
    assert!(from_file(&"0".repeat(64), "9.1.0").contains(&format!("its SHA-256 is {sum}")));
    assert!(from_file(&sum, "9.2.0").contains("the bundle has version 9.1.0, and 9.2.0 was asked for"));
    assert!(from_file(&sum, "9.1.0").contains("the bundle is for `kioskd-other`, and this machine is `kioskd-demo`"));
    let kinds = written(&machine);
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind == "update-begun"), "{kinds:?}");
    assert!(file.exists(), "somebody else's file is not ours to remove");
    settled(&machine, env!("CARGO_PKG_VERSION"), "A");
}

#[test]
fn a_machine_with_one_copy_says_how_it_is_updated() {
    let machine = start("[update]\ninstaller = \"none\"\n\n[glass]\n");
    let server = Server::start("9.1.0");
    machine.wait("what it is", || software(&machine)["no_installer"].as_str()?.contains("apt install").then_some(()));
    let refused = send(&machine, &server.words("9.1.0"));
    assert!(refused.last().unwrap().contains("no bundle is installed here: the configuration has"), "{refused:?}");
    assert!(refused.last().unwrap().contains("apt install ./kioskd_"), "{refused:?}");
}
