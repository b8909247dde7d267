//! The whole machine in numbers, beside a peer where there is one. `cargo bench --bench machine`.
//!
//! The daemon is a real `kioskd run` in the demo's world; state is once in memory (no disk behind the fsync) and once
//! on disk. The peer for memory is the usual way to build a kiosk: Chromium showing one page, measured in the same run. What a
//! technician asks of a ledger of years is compared with the same of a tenth of it.

#[path = "../tests/ledger/big.rs"]
mod big;
#[allow(dead_code, reason = "a test does more with its shop than is measured here")]
#[path = "../tests/ledger/kit.rs"]
mod kit;

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kioskd::demo::machine::Timing;
use kioskd::demo::wallet::{Action, Wallet};
use kioskd::demo::world::{Parts, SimulatedWorld};
use kioskd::ledger::Reader;
use kioskd::vocabulary::Point;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
const SALES: usize = 60;

struct Rig {
    world: Arc<SimulatedWorld>,
    kiosk: Child,
    folder: tempfile::TempDir,
    /// From the start of the process to its first frame.
    lit: Duration,
}

impl Rig {
    fn start(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).expect("a folder");
        let socket = folder.path().join("world.sock");
        let world = SimulatedWorld::new(Parts {
            wallet: Arc::new(Wallet::open(&folder.path().join("wallet.db")).expect("a wallet")),
            till: 0,
            panel: (1280, 800),
            paper_columns: 384,
            door: Some("door".into()),
            timing: Timing { turn: Duration::from_millis(20), fall: Duration::from_millis(4) },
            proxy: None,
        })
        .expect("a world");
        world.listen(UnixListener::bind(&socket).expect("a socket")).expect("the world listens");
        // Short times, so that sixty sales do not take minutes.
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/vending.toml");
        let text = std::fs::read_to_string(config).expect("the demo's configuration");
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let text = text
            .replace("../assets", &assets.to_string_lossy())
            .replace("fall_time = \"300ms\"", "fall_time = \"20ms\"")
            .replace("result_timeout = \"15s\"", "result_timeout = \"500ms\"")
            .replace("capacity = 8", "capacity = 800")
            .replace("stock = 8", "stock = 800");
        let file = folder.path().join("kiosk.toml");
        std::fs::write(&file, text).expect("a configuration");
        let begin = Instant::now();
        let kiosk = Command::new(env!("CARGO_BIN_EXE_kioskd"))
            .args(["run", "--broker", "none", "--config"])
            .arg(&file)
            .arg("--world")
            .arg(&socket)
            .arg("--state")
            .arg(folder.path().join("state"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("kioskd");
        until(|| (world.state()["page"] == "attract").then_some(()));
        let lit = begin.elapsed();
        Self { world, kiosk, folder, lit }
    }

    fn tap(&self, name: &str) {
        let (x, y) = until(|| {
            let state = self.world.state();
            let target =
                state["targets"].as_array()?.iter().find(|t| t["name"] == name && t["enabled"] == true)?.clone();
            let at = |key: &str| target[key].as_i64().map(|n| n as i32);
            Some((at("x")? + at("w")? / 2, at("y")? + at("h")? / 2))
        });
        self.world.touch(Point { x, y });
    }

    /// One sale; from the payer's tap to the relay.
    fn sale(&self) -> Duration {
        until(|| (self.world.state()["page"] == "attract").then_some(()));
        for name in ["start", "product:cola", "pay"] {
            self.tap(name);
        }
        // The code is up: the provider can be paid.
        let payload = until(|| {
            let state = self.world.state();
            let (id, code) = (state["order"]["id"].as_str()?, state["order"]["short_code"].as_str()?);
            let payload = format!("kioskpay://sandbox/{id}_1?code={code}");
            (state["page"] == "pay").then_some(payload)
        });
        let (mut news, _) = self.world.listen_to_news();
        let begin = until(|| {
            let begin = Instant::now();
            let outcome = self.world.act(&payload, Action::Pay).expect("the provider's book");
            let told = serde_json::to_value(outcome).unwrap_or_default();
            (told["result"] == "accepted").then_some(begin)
        });
        loop {
            let said = news.blocking_recv().expect("news");
            let said: Value = serde_json::from_str(&said).unwrap_or_default();
            if said.to_string().contains("relay-on") {
                break;
            }
        }
        let took = begin.elapsed();
        until(|| (self.world.state()["page"] == "thanks").then_some(()));
        self.tap("done");
        took
    }

    fn pss_kib(&self) -> u64 {
        pss_kib(self.kiosk.id())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.kiosk.kill());
        drop(self.kiosk.wait());
    }
}

fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited too long");
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Proportional set size: shared pages are shared out.
fn pss_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// User and system time in clock ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().filter_map(|index| fields.get(*index)?.parse::<u64>().ok()).sum()
}

fn report(what: &str, mut times: Vec<Duration>, reach: &str) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!("{what:<52} p50 {:>9.2?}  p99 {:>9.2?}   to reach {reach}", at(0.5), at(0.99));
}

/// Chromium with one page on it, the whole family of processes; `None` where there is no Chromium.
fn chromium_kib() -> Option<u64> {
    let profile = tempfile::tempdir().ok()?;
    let mut browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--window-size=1280,800"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("data:text/html,<h1>kiosk</h1>")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    std::thread::sleep(Duration::from_secs(5));
    let mark = profile.path().to_string_lossy().into_owned();
    let family = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(&mark).then_some(pid)
    });
    // Zygotes do not name the profile; they are the parents of those who do, and small.
    let sum = family.map(pss_kib).sum();
    drop(browser.kill());
    drop(browser.wait());
    Some(sum)
}

/// Orders of 90 days without a back end, and of each day.
const ORDERS: u64 = 100_000;
const DAY: u64 = 1_100;

/// A ledger of so many orders; `reported`: with a report of what was taken every day.
fn ledger(orders: u64, reported: bool) -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut shop = kit::Shop::open(folder.path());
    big::fill(&mut shop.ledger, &mut shop.state, orders, reported.then_some(DAY));
    drop(shop);
    let reader = Reader::open(folder.path()).expect("the ledger");
    (folder, reader)
}

/// The best of some, for others are at work on this machine.
fn best(read: impl Fn()) -> Duration {
    let timed = || {
        let begin = Instant::now();
        read();
        begin.elapsed()
    };
    (0..5).map(|_| timed()).min().unwrap_or_default()
}

/// What people ask of a ledger, and how much longer it takes where ten times as much is in it.
fn asked(reader: &Reader, orders: u64) -> Vec<(&'static str, Duration, &'static str)> {
    let middle = big::sale(orders / 2).0;
    let why = |name: &str| drop(reader.why(Some(name)).expect("the ledger").expect("an order"));
    let settle = |number: u32| drop(reader.cash_up(number).expect("the ledger").expect("a report"));
    let last = u32::try_from(orders / DAY).expect("days");
    vec![
        ("why, by short code", best(|| why(middle.short_code().as_str())), "50 ms"),
        ("why, by a payment's number", best(|| why(&format!("p{}", orders / 2))), "50 ms"),
        ("why, by a time long ago", best(|| why("2026-11-20T12:00")), "50 ms"),
        ("orders --limit 1000", best(|| drop(reader.orders(1_000).expect("the ledger"))), "1 s"),
        ("settle, the newest of daily reports", best(|| settle(last)), "1 s"),
        ("settle --show, the first of them", best(|| settle(1)), "1 s"),
        ("settle --show, since the newest", best(|| settle(0)), "1 s"),
    ]
}

fn ledgers() {
    let [(_many, many), (_few, few)] = [ORDERS, ORDERS / 10].map(|orders| ledger(orders, true));
    for ((what, long, reach), (_, short, _)) in asked(&many, ORDERS).into_iter().zip(asked(&few, ORDERS / 10)) {
        let what = format!("{what}, {ORDERS} orders");
        let times = long.as_secs_f64() / short.as_secs_f64();
        println!("{what:<52} {long:>9.2?}   to reach {reach}; {times:.1} times as long as of a tenth");
    }
    let [(_many, many), (_few, few)] = [ORDERS, ORDERS / 10].map(|orders| ledger(orders, false));
    let whole = |reader: &Reader| best(|| drop(reader.cash_up(0).expect("the ledger")));
    let (long, short) = (whole(&many), whole(&few));
    let (what, times) = (format!("settle, the first ever, {ORDERS} orders"), long.as_secs_f64() / short.as_secs_f64());
    println!("{what:<52} {long:>9.2?}   to reach 1 s; {times:.1} times as long as of a tenth");
}

fn main() {
    ledgers();
    let memory = Path::new("/dev/shm");
    let memory = if memory.is_dir() { memory } else { Path::new("/tmp") };
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(disk).expect("the target folder");

    let starts: Vec<Duration> = (0..8).map(|_| Rig::start(disk).lit).collect();
    report("process start to first frame", starts, "100 ms");

    for (what, parent, reach) in [
        ("payer's tap to relay, state in memory", memory, "5 ms at p99"),
        ("payer's tap to relay, state on this disk", disk, "-"),
    ] {
        let rig = Rig::start(parent);
        let times = (0..SALES).map(|_| rig.sale()).collect();
        report(what, times, reach);
        if parent == disk {
            let ledger = rusqlite::Connection::open(rig.folder.path().join("state/kiosk.db")).expect("the ledger");
            let commits: i64 = ledger
                .query_row(
                    "SELECT count(DISTINCT boot || '-' || mono) FROM record WHERE order_id IS NOT NULL",
                    [],
                    |r| r.get(0),
                )
                .expect("the records");
            println!(
                "{:<52} {:.1}   to reach 10",
                "ledger commits a sale (charges not yet settled)",
                commits as f64 / SALES as f64
            );

            std::thread::sleep(Duration::from_secs(3));
            let newest = |ledger: &rusqlite::Connection| -> i64 {
                ledger.query_row("SELECT max(seq) FROM record", [], |r| r.get(0)).expect("the records")
            };
            let (before, ticks) = (newest(&ledger), cpu_ticks(rig.kiosk.id()));
            std::thread::sleep(Duration::from_secs(10));
            let (after, used) = (newest(&ledger), cpu_ticks(rig.kiosk.id()) - ticks);
            println!(
                "{:<52} {:.2} % of a core   to reach 0.5 %",
                "idle CPU over 10 s, sixty charges still watched",
                used as f64 / 10.0
            );
            println!("{:<52} {}   to reach 0", "ledger records on idle", after - before);
            let own = rig.pss_kib();
            println!("{:<52} {:.1} MiB   to reach 40 MiB", "memory (PSS), glass on", own as f64 / 1024.0);
            match chromium_kib() {
                Some(peer) if peer > 0 => println!(
                    "{:<52} {:.1} MiB, {:.1} times as much",
                    "  the peer: Chromium with one page",
                    peer as f64 / 1024.0,
                    peer as f64 / own as f64
                ),
                _ => println!("{:<52} no chromium here", "  the peer: Chromium with one page"),
            }
        }
    }
}
