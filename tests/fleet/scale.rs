//! A whole fleet on one broker: simulated machines that sell, mosquitto by the configuration that ships, and one collector on
//! SQLite. The broker is killed once, and the collector once, in the middle of a commit. In the end each machine's ledger is
//! held against the database: nothing is lost, and nothing is there twice. What was measured is printed.
//!
//! The small one is ended while customers stand before the machines, who would keep it half a minute longer. So the last events
//! may not have been sent, and the database has the beginning of each ledger: all that was acknowledged, and no gap.
//!
//! The long one is ten thousand machines for ten minutes; `KIOSKD_MACHINES`, `KIOSKD_SECONDS`, `KIOSKD_EVERY` (seconds between
//! two customers of a machine), `KIOSKD_SPREAD` (seconds over which they connect) and `KIOSKD_TLS=1` make another of it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kioskd::ledger::Reader;
use kioskd_tests::wait_for;
use rusqlite::Connection;
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use serde_json::Value;

use crate::collector::kit::{Collector, FLEET, Store, memory, processors, signal};
use crate::kit::Mosquitto;
use crate::kit::simulation::{Simulation, folder, hear_within};
use crate::tls::Authority;

/// More events than any ledger here has.
const EVERYTHING: usize = 1 << 20;

struct Size {
    machines: u64,
    /// From when all are connected to when they come to rest.
    seconds: u64,
    /// Between two customers of a machine.
    every: f64,
    /// Over which they connect.
    spread: u64,
    tls: bool,
    /// The broker is away so long.
    away: Duration,
    /// In the end all of it comes to rest.
    rest: bool,
}

impl Size {
    /// Whatever is waited for comes within this, or it is broken.
    fn patience(&self) -> Duration {
        Duration::from_secs(60 + 4 * self.spread + self.machines / 20)
    }
}

fn asked<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn a_hundred_machines_lose_nothing_when_broker_and_collector_are_killed() {
    run(&Size { machines: 100, seconds: 3, every: 4.0, spread: 1, tls: false, away: Duration::ZERO, rest: false });
}

#[test]
#[ignore = "ten minutes and more, and the whole machine; tests/run --long has it"]
fn ten_thousand_machines_lose_nothing_when_broker_and_collector_are_killed() {
    run(&Size {
        machines: asked("KIOSKD_MACHINES", 10_000),
        seconds: asked("KIOSKD_SECONDS", 600),
        every: asked("KIOSKD_EVERY", 40.0),
        spread: asked("KIOSKD_SPREAD", 60),
        tls: asked("KIOSKD_TLS", 0) != 0,
        away: Duration::from_secs(5),
        rest: true,
    });
}

/// What is seen of the fleet, second by second.
struct Fleet {
    simulation: Simulation,
    machines: u64,
    patience: Duration,
    last: Value,
    /// Of the seconds since it was taken last, the one with the most connects.
    connects: u64,
    /// Events that are made and not acknowledged, now and at most.
    waiting: u64,
    most_waiting: u64,
}

impl Fleet {
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Instant {
        let number = |line: &Value, key: &str| line[key].as_u64().unwrap_or_default();
        let line = hear_within(&self.simulation.said, self.patience, what, |line| {
            assert_eq!((&line["dead"], &line["failed"]), (&0.into(), &0.into()), "{line}");
            self.connects = self.connects.max(number(line, "connects_peak"));
            self.waiting = number(line, "made").saturating_sub(number(line, "acknowledged"));
            self.most_waiting = self.most_waiting.max(self.waiting);
            holds(line)
        });
        self.last = line;
        Instant::now()
    }

    fn number(&self, key: &str) -> u64 {
        self.last[key].as_u64().unwrap()
    }

    fn all_connected(&mut self) -> Instant {
        let all = self.machines;
        self.until("that all are connected", |line| line["connected"] == all)
    }

    fn for_so_long(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until("how it goes", |_| Instant::now() >= end);
    }

    fn take_connects(&mut self) -> u64 {
        std::mem::take(&mut self.connects)
    }
}

fn run(size: &Size) {
    // A connection is an open file, of the broker's, and a ledger several, of the machines'.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let (begin, patience) = (Instant::now(), size.patience());
    let (folder, state, secrets) = (folder(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut broker, access) = place(secrets.path(), size.tls);
    let keys = folder.path().join("keys");
    let simulation = Simulation::start(size.machines, |simulation| {
        simulation.args(access("machines")).args(["--fleet", FLEET]).arg("--state").arg(folder.path());
        simulation.args(size.rest.then_some("--check"));
        simulation.args(["--every", &size.every.to_string(), "--spread", &size.spread.to_string()]);
    });
    wait_for("the back end's key", patience, || keys.join("keyset.json").exists().then_some(()));
    let mut words = access("back-end");
    words.extend(["--keys".into(), keys.display().to_string()]);
    words.extend(["--sign".into(), keys.join("back-end.key").display().to_string()]);
    let mut collector = Collector::start(&Store::directory(state.path()), &words);
    collector.until("the collector listens");
    let (machines, last) = (size.machines, Value::Null);
    let mut fleet = Fleet { simulation, machines, patience, last, connects: 0, waiting: 0, most_waiting: 0 };

    let connected = fleet.all_connected();
    let third = Duration::from_secs(size.seconds) / 3;
    let (before, busy) = (fleet.number("acknowledged"), processors(collector.pid()));
    fleet.for_so_long(third);
    let (steady, took) = (fleet.number("acknowledged") - before, connected.elapsed());
    let busy = processors(collector.pid()) - busy;
    println!(
        "{machines} machines, all connected after {:.0?}, at most {} connects/s",
        connected - begin,
        fleet.take_connects()
    );
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (rate, each) = (steady as f64 / took.as_secs_f64(), busy * 1e6 / steady.max(1) as f64);
    println!(
        "{rate:.0} events/s acknowledged, {each:.0} us of a processor each in the collector, {} wait now; {}",
        fleet.waiting,
        lag(state.path(), third)
    );
    println!(
        "memory: {} KiB a machine, mosquitto {} KiB, the collector {} KiB",
        fleet.number("memory_each_kib"),
        memory(broker.pid()),
        memory(collector.pid())
    );
    let usual = fleet.waiting.max(machines / 10) * 2;

    broker.kill();
    let killed = Instant::now();
    fleet.until("that all have noticed", |line| line["connected"] == 0 && killed.elapsed() >= size.away);
    broker.restart();
    let restarted = Instant::now();
    let back = fleet.all_connected();
    let caught_up = fleet.until("that the collector has caught up", |line| waiting(line) <= usual);
    fleet.for_so_long(third);
    println!(
        "broker killed, away for {:.0?}: all back {:.0?} later, at most {} connects/s, caught up after {:.0?}",
        restarted - killed,
        back - restarted,
        fleet.take_connects(),
        caught_up - restarted
    );

    kill_in_a_commit(&mut collector, &mut fleet, state.path());
    assert_not_ahead(folder.path(), state.path(), machines);
    fleet.most_waiting = 0;
    collector.restart();
    let restarted = Instant::now();
    let caught_up = fleet.until("that the collector has caught up", |line| waiting(line) <= usual);
    println!(
        "collector killed: at most {} events waited, caught up {:.0?} after its start; {}",
        fleet.most_waiting,
        caught_up - restarted,
        lag(state.path(), restarted.elapsed())
    );
    fleet.for_so_long(third);

    signal(fleet.simulation.child.id(), Signal::INT);
    fleet.patience = Duration::from_secs(240);
    fleet.until("its end", |line| line["said"] == "ended");
    assert!(!size.rest || (fleet.waiting, fleet.number("restless")) == (0, 0), "{}", fleet.last);
    let ended = wait_for("its end", patience, || fleet.simulation.child.try_wait().unwrap());
    assert!(ended.success(), "{}", fleet.last);
    collector.stop();
    assert_not_ahead(folder.path(), state.path(), machines);
    let (made, stored) = assert_same(folder.path(), state.path(), machines);
    assert!(made == stored || !size.rest, "{made} made, {stored} stored");
    println!(
        "{stored} of {made} events of {machines} ledgers, none lost and none twice; {:.0?} in all",
        begin.elapsed()
    );
}

/// The words with which a user of the broker's comes there.
type Words = Box<dyn Fn(&str) -> Vec<String>>;

/// The broker, and how who comes there.
fn place(secrets: &Path, tls: bool) -> (Mosquitto, Words) {
    if !tls {
        let broker = Mosquitto::shipped(None);
        let url = format!("mqtt://{}", broker.addr);
        return (broker, Box::new(move |_| vec!["--broker".into(), url.clone()]));
    }
    let authority = Authority::new(secrets, "operator");
    let (cert, _) = authority.certify("broker", &["127.0.0.1"]);
    // All machines share one certificate here, whose user may say what any of them may.
    let users = ["machines", "back-end"].map(|user| (user.to_owned(), authority.certify(user, &[]).0));
    let acl = secrets.join("acl");
    let rules = include_str!("../../configs/mosquitto.acl").replace("/street/", &format!("/{FLEET}/"));
    std::fs::write(&acl, format!("{rules}\nuser machines\ntopic readwrite kiosk/v1/{FLEET}/#\n")).unwrap();
    let broker = Mosquitto::shipped(Some([&authority.file, &cert, &cert.with_extension("key"), &acl]));
    let (url, ca) = (format!("mqtts://{}", broker.addr), authority.file);
    let words = move |who: &str| {
        let (_, cert) = users.iter().find(|(user, _)| user == who).unwrap();
        let key = cert.with_extension("key");
        let file = |path: &Path| path.display().to_string();
        ["--broker", &url, "--ca", &file(&ca), "--cert", &file(cert), "--key", &file(&key)].map(str::to_owned).to_vec()
    };
    (broker, Box::new(words))
}

fn waiting(line: &Value) -> u64 {
    line["made"].as_u64().unwrap().saturating_sub(line["acknowledged"].as_u64().unwrap())
}

/// While somebody else has the database's lock it can store nothing, and then it is gone.
fn kill_in_a_commit(collector: &mut Collector, fleet: &mut Fleet, state: &Path) {
    let held = Connection::open(state.join("fleet.db")).unwrap();
    held.busy_timeout(fleet.patience).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let made = fleet.number("made") + fleet.machines / 4;
    fleet.until("that more is made", |line| line["made"].as_u64() >= Some(made));
    collector.kill();
    held.execute_batch("ROLLBACK").unwrap();
}

/// Nothing was acknowledged that is not stored.
fn assert_not_ahead(folder: &Path, state: &Path, machines: u64) {
    let database = Connection::open(state.join("fleet.db")).unwrap();
    let mut query = database.prepare("SELECT sum(seq) FROM book WHERE fleet = ?1 AND kiosk = ?2").unwrap();
    for name in names(machines) {
        let acknowledged = Reader::open(&folder.join(&name)).unwrap().acknowledged().unwrap();
        let stored = query.query_row([FLEET, &name], |row| row.get::<_, Option<u64>>(0)).unwrap().unwrap_or_default();
        assert!(acknowledged <= stored, "{name}: {acknowledged} acknowledged, {stored} stored");
    }
}

/// Each event that is stored is the ledger's own, once and in its place, from the first one on; how many were made, and how
/// many are stored.
fn assert_same(folder: &Path, state: &Path, machines: u64) -> (u64, u64) {
    let database = Connection::open(state.join("fleet.db")).unwrap();
    let mut query =
        database.prepare("SELECT seq, hash FROM event WHERE fleet = ?1 AND kiosk = ?2 ORDER BY seq").unwrap();
    let (mut made, mut there) = (0, 0);
    for name in names(machines) {
        let events = Reader::open(&folder.join(&name)).unwrap().events_after(0, EVERYTHING).unwrap();
        let own: Vec<(u64, String)> = events.into_iter().map(|event| (event.seq, event.hash)).collect();
        let rows = query.query_map([FLEET, &name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let stored: Vec<(u64, String)> = rows.map(Result::unwrap).collect();
        let differs = own.iter().zip(&stored).find(|(own, stored)| own != stored);
        assert!(own.starts_with(&stored), "{name}: {} made, {} stored, {differs:?}", own.len(), stored.len());
        assert!(!stored.is_empty(), "nothing of {name} is stored");
        made += own.len() as u64;
        there += stored.len() as u64;
    }
    let stored = database.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(stored, there, "events of nobody");
    (made, stored)
}

fn names(machines: u64) -> impl Iterator<Item = String> {
    (1..=machines).map(|number| format!("K{number:05}"))
}

/// From when each machine has made its newest stored event to when it was stored, of those that have made one within `time`.
fn lag(state: &Path, time: Duration) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().saturating_sub(time);
    let database = Connection::open(state.join("fleet.db")).unwrap();
    let query = "SELECT book.stored_ms - event.ts FROM book CROSS JOIN event ON event.fleet = book.fleet
                 AND event.kiosk = book.kiosk AND event.ledger = book.ledger AND event.seq = book.seq
                 WHERE event.ts > ?1";
    let mut query = database.prepare(query).unwrap();
    let mut lags: Vec<i64> = query
        .query_map([i64::try_from(since.as_millis()).unwrap()], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    lags.sort_unstable();
    let at = |part: usize| lags.get((lags.len().saturating_sub(1)) * part / 100).copied().unwrap_or_default();
    format!(
        "a machine's newest event was stored after {} ms (half), {} ms (99 %), {} ms (all)",
        at(50),
        at(99),
        at(100)
    )
}
