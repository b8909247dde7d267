//! `kioskfleet collect` as a process, by Debian's mosquitto: what it stores, acknowledges and tells, on SQLite.

mod figures;
pub mod kit;
mod many;
mod rabbit;
mod refused;

use std::time::Instant;

use kioskd::fleet::link::LinkConfig;
use kioskd::fleet::topic::Leaf;
use kioskd_tests::PATIENCE;
use rusqlite::Connection;
use serde_json::{Value, json};

use self::kit::*;
use super::access::Site;
use super::kit::{self as fleet, Fake, Kiosk, Mosquitto, Subscriber, publish, settings, until};

/// A product's name as nobody should have one.
const NASTY: &str = "<script>alert(1)</script>\u{1b}[2J\u{7}=cmd()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_are_seen_over_tls_with_the_access_list() {
    let (site, safe, state) = (Site::start(), Safe::new(), tempfile::tempdir().unwrap());
    let store = Store::directory(state.path());
    let (cert, _) = site.certified("back-end");
    let file = |path: &std::path::Path| path.display().to_string();
    let (url, keys, sign) = (site.url(), file(&safe.public()), file(&safe.sign()));
    let (ca, key) = (file(site.ca()), file(&cert.with_extension("key")));
    let cert = file(cert);
    let words = ["--broker", &url, "--ca", &ca, "--cert", &cert, "--key", &key, "--keys", &keys, "--sign", &sign];
    let mut collector = Collector::start(&store, &words.map(str::to_owned));
    let mut kiosks: Vec<Real> = ["K1", "K2"]
        .into_iter()
        .map(|kiosk| {
            let over = site.link(kiosk);
            Real::with(kiosk, LinkConfig { signer: Some(safe.kiosk(kiosk)), back_end: Some(safe.back_end()), ..over })
        })
        .collect();
    for (nth, kiosk) in kiosks.iter_mut().enumerate() {
        kiosk.link.state(json!({
            "kiosk": kiosk.name, "version": "0.1.0", "selling": nth == 0,
            "reasons": if nth == 0 { json!([]) } else { json!([{ "kind": "door-open" }]) },
            "stock": { "A1": { "product": NASTY, "count": 3, "capacity": 8 } },
            "claims": [{ "order": "01J", "short_code": "AB12", "why": NASTY, "cause": "x" }], "settling": 2,
        }));
        kiosk.link.telemetry(json!({ "uptime_seconds": 5 }));
        for _ in 0..3 {
            kiosk.sell();
        }
    }
    kiosks[1].link.alarm("sales-stopped", Some(json!({ "reasons": [] })));
    kiosks.iter_mut().for_each(Real::wait);
    assert_same(&table(&sqlite(state.path(), EVENTS)), &kiosks);
    assert_totals(&store, &safe, &kiosks);

    let lines = || documents("ls", &store, &[]);
    let of = |line: &Value| json!([line["kiosk"], line["presence"], line["selling"], line["reasons"], line["alarms"]]);
    let expected =
        [json!(["K1", "online", true, [], []]), json!(["K2", "online", false, ["door-open"], ["sales-stopped"]])];
    until("both are seen", || lines().iter().map(of).eq(expected.iter().cloned()));
    assert!(lines().iter().all(|line| line["claims"] == 1 && line["settling"] == 2 && line["version"] == "0.1.0"));
    assert_eq!(lines()[0]["seq"], kiosks[0].heads());
    let only = documents("ls", &store, &["--only", "not-selling", "--only", "offline"]);
    assert_eq!(only.iter().map(|line| &line["kiosk"]).collect::<Vec<_>>(), ["K2"]);
    let people = said("ls", &store, &[]);
    assert!(people.starts_with("KIOSK  PRESENCE"), "{people}");
    assert!(people.contains("no: door-open") && people.lines().count() == 3, "{people}");

    // Telemetry comes by itself, after what was waited for or before.
    let document = || documents("show", &store, &["K1"]).swap_remove(0);
    until("the figures are there", || document()["telemetry"]["uptime_seconds"] == 5);
    let shown = said("show", &store, &["K1"]);
    assert!(shown.contains("slot A1      <script>alert(1)</script> [2J =cmd() 3 of 8"), "{shown}");
    assert!(shown.contains("signed") && shown.contains("order-paid"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    assert_eq!(document()["state"]["stock"]["A1"]["product"], NASTY);
    assert_eq!(answered("show", &store, &["K3"]).status.code(), Some(1));

    let second = kiosks.pop().unwrap();
    second.link.alarm("sales-stopped", None);
    kiosks.pop().unwrap().link.stop().await;
    until("the alarm is over and one is gone", || {
        lines()[0]["presence"] == "offline" && lines()[1]["alarms"] == json!([])
    });
    collector.stop();
    second.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_killed_again_and_again_has_each_event_once() {
    const ALL: u64 = 1500;
    let (broker, state) = (Mosquitto::start(), tempfile::tempdir().unwrap());
    let url = format!("mqtt://{}", broker.addr);
    let mut collector = Collector::start(&Store::directory(state.path()), &["--broker".into(), url]);
    let outbox = Fake::default();
    let mut kiosk = Kiosk::start(settings(broker.addr), &outbox);
    let stored = || sqlite(state.path(), "SELECT count(*), max(seq), count(DISTINCT seq) FROM event");
    for round in 1..=5 {
        outbox.head.store(ALL * round / 5, std::sync::atomic::Ordering::SeqCst);
        kiosk.link.wake();
        // In the middle of it.
        until("some more", || {
            state.path().join("fleet.db").exists()
                && Connection::open(state.path().join("fleet.db"))
                    .and_then(|db| db.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, u64>(0)))
                    .is_ok_and(|count| count >= (ALL * round / 5).saturating_sub(150))
        });
        collector.restart();
    }
    kiosk.acknowledged(ALL);
    assert_eq!(stored().trim(), format!("{ALL}|{ALL}|{ALL}"));
    let hashes = sqlite(state.path(), "SELECT hash FROM event ORDER BY seq");
    assert!(hashes.lines().eq((1..=ALL).map(fleet::hash)));
    collector.stop();
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_follows_the_fleet_in_a_terminal() {
    let (broker, safe, state) = (Mosquitto::start(), Safe::new(), tempfile::tempdir().unwrap());
    let store = Store::directory(state.path());
    let _collector = Collector::start(&store, &plain(broker.addr, &safe));
    let kiosks = ["K1", "K2"].map(|kiosk| Real::start(kiosk, &safe, broker.addr));
    for kiosk in &kiosks {
        kiosk.link.state(json!({ "selling": true, "version": NASTY }));
    }
    until("both are there", || {
        state.path().join("fleet.db").exists()
            && answered("ls", &store, &[]).status.success()
            && documents("ls", &store, &[]).iter().filter(|line| line["selling"] == true).count() == 2
    });
    let terminal = terminal(&store, &["watch"]);
    terminal.until(&["2 machines, 2 online, 2 selling", "K1     online", "<script>alert(1)</script> [2J =cmd()"]);
    kiosks[0].link.state(json!({ "selling": false, "reasons": [{ "kind": "door-open" }] }));
    terminal.until(&["2 machines, 2 online, 1 selling", "no: door-open"]);
    let [first, second] = kiosks;
    first.link.stop().await;
    terminal.until(&["2 machines, 1 online, 1 selling", "K1     offline"]);
    terminal.press("q");
    terminal.until(&["ended with 0"]);
    second.link.stop().await;
}

/// Who holds the database's lock holds everything back, and nothing is acknowledged that is not on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_before_it_is_committed() {
    let (broker, safe, state) = (Mosquitto::start(), Safe::new(), tempfile::tempdir().unwrap());
    let collector = Collector::start(&Store::directory(state.path()), &plain(broker.addr, &safe));
    let mut kiosk = Real::start("K1", &safe, broker.addr);
    kiosk.wait();
    let before = kiosk.heads();
    let held = Connection::open(state.path().join("fleet.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let acks = Subscriber::start(broker.addr, &address("K1").topic(Leaf::Ack).to_string());
    (0..5).for_each(|_| kiosk.sell());
    // The collector says that it can't, after its patience with the lock.
    collector.until("the database is away");
    assert_eq!(kiosk.acknowledged(), before);
    let told: Vec<String> = acks.lines.try_iter().collect();
    assert!(told.is_empty(), "{told:?}");
    held.execute_batch("ROLLBACK").unwrap();
    kiosk.wait();
    assert!(acks.lines.recv_timeout(PATIENCE).is_ok(), "who heard nothing before has listened");
    collector.until("the database is back");
    assert_same(&table(&sqlite(state.path(), EVENTS)), &[kiosk]);
}

/// Messages of nobody, of somebody else, of two who are one, and of the right one in the wrong order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_not_stored_and_not_acknowledged() {
    let (broker, state) = (Mosquitto::start(), tempfile::tempdir().unwrap());
    let (store, url) = (Store::directory(state.path()), format!("mqtt://{}", broker.addr));
    let mut collector = Collector::start(&store, &["--broker".into(), url.clone()]);
    collector.until("the collector listens");
    let topic = fleet::topic(Leaf::Event(fleet::name("order-paid")));
    let acks =
        Subscriber::start(broker.addr, &fleet::topic(Leaf::Ack)).listening(broker.addr, &fleet::topic(Leaf::Ack));
    let tell = |payload: &str| publish(broker.addr, &topic, &[], payload.as_bytes());
    let ack = |seq: u64| {
        let hash = if seq == 0 { String::new() } else { fleet::hash(seq) };
        let told = format!(r#"{{"ledger":"{}","seq":{seq},"hash":"{hash}"}}"#, fleet::LEDGER);
        acks.expect(&fleet::topic(Leaf::Ack), &told);
    };
    tell(&fleet::payload(1));
    ack(1);
    tell(&fleet::payload(2));
    ack(2);
    // A gap is answered with what is there.
    tell(&fleet::payload(4));
    ack(2);
    tell(&fleet::payload(3));
    ack(3);
    let other = fleet::event_with(2, &fleet::hash(1), r#"{"kind":"order-paid","order":"01JTESTORDER0000000000000"}"#);
    tell(&other);
    let count = |table: &str| sqlite(state.path(), &format!("SELECT count(*) FROM {table}")).trim().to_owned();
    until("the other is kept apart", || count("fork") == "1");
    // After a restart it is the database that remembers.
    collector.restart();
    let third = fleet::event_with(1, &"0".repeat(64), r#"{"kind":"order-paid","order":"01JTESTORDER0000000000000"}"#);
    until("a second one is kept apart", || {
        tell(&third);
        count("fork") == "2"
    });
    collector.until("another event was sent in the place of a stored one");
    // Not events, and of nobody: too large, with numbers that no database has, with a name that has an end in it.
    for bad in [
        // It would be the next event, were it not longer than what is looked at.
        format!("{}{}", fleet::payload(4), " ".repeat(128 << 10)),
        fleet::payload(4).replace("\"seq\":4", "\"seq\":18446744073709551615"),
        fleet::payload(4).replace(fleet::LEDGER, "a\\u0000b"),
        "{}".into(),
    ] {
        tell(&bad);
    }
    for (leaf, bad) in [(Leaf::State, "[]"), (Leaf::Telemetry, r#"{"a":{}}"#), (Leaf::Presence, "perhaps")] {
        publish(broker.addr, &fleet::topic(leaf), &[], bad.as_bytes());
    }
    let machine = || documents("ls", &store, &["--only", "doubtful"]).pop().unwrap_or_default();
    until("all are refused", || machine()["refused"].as_u64() >= Some(7));
    assert_eq!((&machine()["seq"], &machine()["forks"], &machine()["selling"]), (&json!(3), &json!(2), &Value::Null));
    assert_eq!(sqlite(state.path(), "SELECT group_concat(seq) FROM event").trim(), "1,2,3");
    collector.stop();

    // With keys only the kiosks' own count, and of a kiosk without one nothing does.
    let (safe, strict) = (Safe::new(), tempfile::tempdir().unwrap());
    let collector = Collector::start(&Store::directory(strict.path()), &plain(broker.addr, &safe));
    collector.until("the collector listens");
    let mut kiosk = Real::start("K2", &safe, broker.addr);
    kiosk.sell();
    until("they are refused", || {
        tell(&fleet::payload(1));
        collector.log().contains("its key is not known")
    });
    kiosk.wait();
    assert_same(&table(&sqlite(strict.path(), EVENTS)), &[kiosk]);
}

/// Its key is put in the place of the former while the collector runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_board_was_replaced_is_believed_by_its_new_key() {
    let (broker, safe, state) = (Mosquitto::start(), Safe::new(), tempfile::tempdir().unwrap());
    let mut collector = Collector::start(&Store::directory(state.path()), &plain(broker.addr, &safe));
    let mut former = Real::start("K1", &safe, broker.addr);
    former.sell();
    former.wait();
    let heads = former.heads();
    former.link.stop().await;
    let replaced = Safe::new();
    let keys =
        LinkConfig { signer: Some(replaced.kiosk("K1")), back_end: Some(safe.back_end()), ..settings(broker.addr) };
    let mut kiosk = Real::with("K1", keys);
    collector.until("a message in a kiosk's name is not believed");
    std::fs::copy(replaced.public().join("K1.pem"), safe.public().join("K1.pem")).unwrap();
    kiosk.sell();
    kiosk.wait();
    collector.until("this kiosk has another key");
    let stored = sqlite(state.path(), "SELECT count(*), count(DISTINCT ledger) FROM event");
    assert_eq!(stored.trim(), format!("{}|2", heads + kiosk.heads()));
    collector.stop();
}

/// A broker without a limit keeps what somebody has put there; it comes with every connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_that_the_broker_keeps_does_not_keep_the_collector_away() {
    let (broker, safe, state) = (Mosquitto::start(), Safe::new(), tempfile::tempdir().unwrap());
    let large = vec![b'x'; 6 << 20];
    publish(broker.addr, &address("K2").topic(Leaf::State).to_string(), &["-r"], &large);
    let store = Store::directory(state.path());
    let mut collector = Collector::start(&store, &plain(broker.addr, &safe));
    let mut kiosk = Real::start("K1", &safe, broker.addr);
    kiosk.sell();
    kiosk.wait();
    until("it is refused", || {
        documents("ls", &store, &["--only", "doubtful"]).iter().any(|line| line["kiosk"] == "K2")
    });
    collector.stop();
}

/// Somebody has written in the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_the_database_is_told_by_its_place() {
    let (broker, safe, state) = (Mosquitto::start(), Safe::new(), tempfile::tempdir().unwrap());
    let store = Store::directory(state.path());
    let mut collector = Collector::start(&store, &plain(broker.addr, &safe));
    let mut kiosks: Vec<Real> = ["K1", "K2"].iter().map(|kiosk| Real::start(kiosk, &safe, broker.addr)).collect();
    for kiosk in &mut kiosks {
        kiosk.sell();
        kiosk.wait();
    }
    collector.stop();
    let keys = safe.public().display().to_string();
    let verify = |words: &[&str]| answered("verify", &store, &[&["--keys", &keys], words].concat());
    let told = |words: &[&str]| String::from_utf8(verify(words).stderr).unwrap();
    assert!(verify(&[]).status.success(), "{}", told(&[]));
    let db = Connection::open(state.path().join("fleet.db")).unwrap();
    let change = |statement: &str| {
        db.execute_batch("BEGIN").unwrap();
        db.execute_batch(statement).unwrap();
        db.execute_batch("COMMIT").unwrap();
    };
    change("UPDATE event SET text = replace(text, '300', '301') WHERE kiosk = 'K1' AND kind = 'order-paid'");
    let why = told(&[]);
    assert!(why.contains("K1 ledger") && why.contains("the event's hash is not its own"), "{why}");
    assert!(why.contains("2 ledgers, 1 not as they should be"), "{why}");
    assert_eq!(verify(&[]).status.code(), Some(1));
    assert!(verify(&["--kiosk", "K2"]).status.success());
    // The last ones cut off, with the book set back: the chain is whole, and the kiosk has not signed for that.
    let cut = "DELETE FROM event WHERE kiosk = 'K2' AND seq > 2;
               UPDATE book SET seq = 2, hash = (SELECT hash FROM event WHERE kiosk = 'K2' AND seq = 2) WHERE kiosk = 'K2'";
    change(cut);
    let why = told(&["--kiosk", "K2"]);
    assert!(why.contains("the checkpoint is of another kiosk or of another event"), "{why}");
    std::fs::remove_file(safe.public().join("K2.pem")).unwrap();
    assert!(told(&["--kiosk", "K2"]).contains("the kiosk's key is not known"));
}

/// The same events in each format, read by other people's programs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_exported_as_files_for_others() {
    let (broker, safe, state) = (Mosquitto::start(), Safe::new(), tempfile::tempdir().unwrap());
    let store = Store::directory(state.path());
    let _collector = Collector::start(&store, &plain(broker.addr, &safe));
    let mut kiosks: Vec<Real> = ["K1", "K2"].iter().map(|kiosk| Real::start(kiosk, &safe, broker.addr)).collect();
    kiosks[0].varied();
    for kiosk in &mut kiosks {
        kiosk.sell();
        kiosk.wait();
    }
    let all: usize = kiosks.iter().map(|kiosk| kiosk.events().len()).sum();
    let lines = documents("export", &store, &[]);
    assert_eq!(lines.len(), all);
    assert!(lines.iter().any(|line| line["ts"].is_null() && line["time"].is_null()), "one without a time");
    let paid = documents("export", &store, &["--kind", "order-paid", "--kiosk", "K2"]);
    assert!(paid.len() == 1 && paid[0]["kiosk"] == "K2" && paid[0]["fleet"] == FLEET, "{paid:?}");
    let days = |since: &str, until: &str| documents("export", &store, &["--since", since, "--until", until]).len();
    assert_eq!(days("2026-11-18", "2026-11-19") + days("2026-11-19", "2027-11-19"), {
        lines.iter().filter(|line| !line["ts"].is_null()).count()
    });
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    for (format, name) in [("csv", "events.csv"), ("parquet", "events.parquet"), ("jsonl", "events.jsonl")] {
        said("export", &store, &["--format", format, "-o", &file(name)]);
    }
    let script = "
import csv, duckdb, json, sys
folder = sys.argv[1]
columns = ['fleet', 'kiosk', 'ledger', 'seq', 'time', 'ts', 'kind', 'order', 'boot', 'mono', 'hash', 'text']
lines = [json.loads(line) for line in open(folder + '/events.jsonl')]
want = [['' if line[c] is None else str(line[c]) for c in columns] for line in lines]
with open(folder + '/events.csv', newline='') as file:
    rows = list(csv.reader(file))
assert rows[0] == columns, rows[0]
assert rows[1:] == want, (rows[1], want[0])
names = ', '.join('\"' + c + '\"' if c != 'ts' else 'epoch_ms(ts)' for c in columns)
read = duckdb.sql(f\"SELECT {names} FROM '{folder}/events.parquet'\").fetchall()
assert [['' if v is None else str(v) for v in row] for row in read] == want, (read[0], want[0])
print(len(read))
";
    let mut python = kioskd_tests::child::command(kioskd_tests::double::python());
    let done = python.args(["-c", script]).arg(directory.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8(done.stdout).unwrap().trim(), all.to_string());
}

/// A flood while the database does not answer: the collector holds it back and does not grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_makes_nothing_grow() {
    const ALL: u64 = 20_000;
    let (broker, state) = (Mosquitto::start(), tempfile::tempdir().unwrap());
    let url = format!("mqtt://{}", broker.addr);
    let mut collector = Collector::start(&Store::directory(state.path()), &["--broker".into(), url]);
    collector.until("the collector listens");
    let held = Connection::open(state.path().join("fleet.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = memory(collector.pid());
    let mut lines = Vec::new();
    for seq in 1..=ALL {
        lines.extend(format!("{}\n", fleet::payload(seq)).into_bytes());
    }
    let topic = fleet::topic(Leaf::Event(fleet::name("order-paid")));
    let mut flood = fleet::client("mosquitto_pub", broker.addr);
    let done = kioskd_tests::child::Running::answer(flood.args(["-t", &topic, "-l"]), &lines);
    assert!(done.status.success(), "{done:?}");
    collector.until("the database is away");
    let grown = memory(collector.pid()).saturating_sub(before);
    println!("{} MB of events offered; the collector has grown by {grown} KiB", lines.len() >> 20);
    assert!(grown << 10 < lines.len() as u64 / 2, "{grown} KiB of {} bytes", lines.len());
    held.execute_batch("ROLLBACK").unwrap();
    // What the flood has brought is stored in order; what the broker has dropped would come again from a kiosk.
    let begin = Instant::now();
    until("it goes on", || sqlite(state.path(), "SELECT count(*) FROM event").trim() != "0");
    println!("it went on after {:?}", begin.elapsed());
    collector.stop();
}
