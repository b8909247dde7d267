//! What the tests of the collector stand on: kiosks with real ledgers, `kioskfleet` as a process, and Debian's PostgreSQL.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, mpsc};

use kioskd::fleet::keygen::keygen;
use kioskd::fleet::link::{self, FleetEvent, Link, LinkConfig, Outbox, OutboxError, OutboxEvent};
use kioskd::fleet::topic::{Address, Name};
use kioskd::ledger::Reader;
use kioskd::sale::{Condition, event::Event};
use kioskd::service::Supervisor;
use kioskd::signed::jws::{Keys, Signer};
use kioskd_tests::child::{Running, command};
use kioskd_tests::terminal::Terminal;
use kioskd_tests::wait_for;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::kit::{PATIENCE, name, settings, until};
use crate::shop::Shop;

pub const FLEET: &str = "test";
/// More events than any ledger here has.
const EVERYTHING: usize = 1 << 20;

/// Every key of a test, as an operator has them: the kiosks' public ones in one directory.
pub struct Safe {
    pub directory: TempDir,
}

impl Safe {
    pub fn new() -> Self {
        let safe = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir(safe.public()).unwrap();
        keygen(safe.directory.path(), &name("back-end")).unwrap();
        safe
    }

    pub fn public(&self) -> PathBuf {
        self.directory.path().join("kiosks")
    }

    pub fn sign(&self) -> PathBuf {
        self.directory.path().join("back-end.key")
    }

    fn signer(&self, file: &Path, kid: &str) -> Signer {
        Signer::from_pem(&std::fs::read(file).unwrap(), kid).unwrap()
    }

    pub fn back_end(&self) -> Keys {
        let signer = self.signer(&self.sign(), "back-end");
        Keys::new([("back-end".to_owned(), signer.public())])
    }

    /// A new kiosk's key; its public half is where the collector looks.
    pub fn kiosk(&self, kiosk: &str) -> Arc<Signer> {
        let pair = keygen(self.directory.path(), &name(kiosk)).unwrap();
        std::fs::rename(&pair.public, self.public().join(format!("{kiosk}.pem"))).unwrap();
        Arc::new(self.signer(&pair.private, &format!("{FLEET}/{kiosk}")))
    }
}

struct LedgerOutbox(Reader);

impl Outbox for LedgerOutbox {
    fn ledger(&self) -> String {
        self.0.ledger().unwrap()
    }

    fn cursor(&self) -> Result<u64, OutboxError> {
        Ok(0)
    }

    fn after(&self, seq: u64, limit: usize) -> Result<Vec<OutboxEvent>, OutboxError> {
        let events = self.0.events_after(seq, limit).unwrap().into_iter();
        Ok(events.map(|e| OutboxEvent { seq: e.seq, kind: e.kind, hash: e.hash, payload: e.document }).collect())
    }

    fn hash_of(&self, seq: u64) -> Result<Option<String>, OutboxError> {
        Ok(self.0.hash_of(seq).unwrap())
    }
}

/// A kiosk with a ledger of its own, whose world is kind.
pub struct Real {
    pub name: String,
    pub shop: Shop,
    pub directory: TempDir,
    pub link: Link,
    said: mpsc::Receiver<FleetEvent>,
    acknowledged: u64,
}

impl Real {
    pub fn start(kiosk: &str, safe: &Safe, broker: SocketAddr) -> Self {
        let config = settings(broker);
        Self::with(kiosk, LinkConfig { signer: Some(safe.kiosk(kiosk)), back_end: Some(safe.back_end()), ..config })
    }

    pub fn with(kiosk: &str, config: LinkConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut shop = Shop::open(directory.path());
        shop.start();
        let address = Address { fleet: name(FLEET), kiosk: name(kiosk) };
        let config = LinkConfig { client_id: format!("kioskd.{FLEET}.{kiosk}"), address, ..config };
        let (tell, said) = mpsc::channel();
        let outbox = LedgerOutbox(Reader::open(directory.path()).unwrap());
        let link = link::start(&Supervisor::new(|_| ()), &Handle::current(), config, outbox, move |event| {
            drop(tell.send(event))
        });
        Self { name: kiosk.to_owned(), shop, directory, link, said, acknowledged: 0 }
    }

    /// All kinds of sales, and the door closed at the end.
    pub fn varied(&mut self) {
        self.shop.varied();
        self.shop.feed(Event::Condition(Condition::Door { open: false }));
    }

    pub fn sell(&mut self) {
        self.shop.sell();
        self.link.wake();
    }

    /// Number and hash of each event, as the ledger has them.
    pub fn events(&self) -> Vec<(u64, String)> {
        let events = Reader::open(self.directory.path()).unwrap().events_after(0, EVERYTHING).unwrap();
        events.into_iter().map(|event| (event.seq, event.hash)).collect()
    }

    pub fn heads(&self) -> u64 {
        Reader::open(self.directory.path()).unwrap().events_after(0, EVERYTHING).unwrap().last().map_or(0, |e| e.seq)
    }

    /// How far the back end says it has come, until now.
    pub fn acknowledged(&mut self) -> u64 {
        for event in self.said.try_iter() {
            if let FleetEvent::Acknowledged { seq } = event {
                self.acknowledged = seq;
            }
        }
        self.acknowledged
    }

    pub fn wait(&mut self) {
        let head = self.heads();
        let what = format!("{}: all of {head} acknowledged", self.name);
        wait_for(&what, PATIENCE, || (self.acknowledged() == head).then_some(()));
    }
}

/// Where a collector stores.
#[derive(Clone)]
pub struct Store(pub Vec<String>);

impl Store {
    pub fn directory(path: &Path) -> Self {
        Self(vec!["--state".into(), path.display().to_string()])
    }
}

pub fn kioskfleet(verb: &str, store: &Store, words: &[&str]) -> Command {
    let mut fleet = command(env!("CARGO_BIN_EXE_kioskfleet"));
    fleet.arg(verb).args(&store.0).args(words);
    fleet
}

/// Runs a verb to its end, well.
pub fn said(verb: &str, store: &Store, words: &[&str]) -> String {
    let output = answered(verb, store, words);
    assert!(output.status.success(), "{verb} {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn answered(verb: &str, store: &Store, words: &[&str]) -> Output {
    kioskfleet(verb, store, words).output().unwrap()
}

/// A line a document.
pub fn documents(verb: &str, store: &Store, words: &[&str]) -> Vec<Value> {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    said(verb, store, &words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `kioskfleet collect` as a process.
pub struct Collector {
    child: Option<Running>,
    words: Vec<String>,
    store: Store,
    log: PathBuf,
    _directory: TempDir,
}

impl Collector {
    pub fn start(store: &Store, words: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut collector =
            Self { child: None, words: words.to_vec(), store: store.clone(), log, _directory: directory };
        collector.restart();
        collector
    }

    pub fn restart(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let mut command = kioskfleet("collect", &self.store, &words);
        command.args(["--fleet", FLEET]).stdout(Stdio::null()).stderr(log);
        self.child = Some(Running::start(&mut command));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child = None;
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal(child.id(), rustix::process::Signal::TERM);
        wait_for("its end", PATIENCE, || child.try_wait().unwrap());
        assert!(child.wait().unwrap().success(), "{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn until(&self, line: &str) {
        wait_for(&format!("`{line}` in its log"), PATIENCE, || self.log().contains(line).then_some(()));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the collector's log:\n{}", self.log());
        }
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Resident, in KiB.
pub fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Seconds on processors, until now.
pub fn processors(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // User and system, in hundredths.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// What words a collector on this broker without TLS needs.
pub fn plain(broker: SocketAddr, safe: &Safe) -> Vec<String> {
    let (keys, sign) = (safe.public().display().to_string(), safe.sign().display().to_string());
    ["--broker", &format!("mqtt://{broker}"), "--keys", &keys, "--sign", &sign].map(str::to_owned).to_vec()
}

/// The same for one that acknowledges without a signature, with these keys of kiosks.
pub fn plain_with(broker: SocketAddr, keys: &Path) -> Vec<String> {
    let keys = keys.display().to_string();
    ["--broker", &format!("mqtt://{broker}"), "--keys", &keys].map(str::to_owned).to_vec()
}

/// What is stored, by an independent client: number and hash by kiosk, in no order.
pub type Table = BTreeMap<String, Vec<(u64, String)>>;

pub fn table(lines: &str) -> Table {
    let mut table = Table::new();
    for line in lines.lines() {
        let [kiosk, seq, hash] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        table.entry(kiosk.to_owned()).or_default().push((seq.parse().unwrap(), hash.to_owned()));
    }
    table
}

pub fn sqlite(state: &Path, query: &str) -> String {
    read(&state.join("fleet.db"), query)
}

/// By an independent client, which waits where a program has just been started on the file and has it for itself.
fn read(file: &Path, query: &str) -> String {
    let output =
        command("sqlite3").args(["-readonly", "-cmd", ".timeout 60000"]).arg(file).arg(query).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub const EVENTS: &str = "SELECT kiosk, seq, hash FROM event ORDER BY kiosk, seq";

/// Each event of each ledger is there once, with its hash, and nothing else.
pub fn assert_same(table: &Table, kiosks: &[Real]) {
    for kiosk in kiosks {
        assert_eq!(table.get(&kiosk.name), Some(&kiosk.events()), "{}", kiosk.name);
    }
    assert_eq!(table.len(), kiosks.len());
}

/// The totals that the database proves are those of the kiosks' own tables.
pub fn assert_totals(store: &Store, safe: &Safe, kiosks: &[Real]) {
    let audited = documents("verify", store, &["--keys", safe.public().to_str().unwrap()]);
    assert_eq!(audited.len(), kiosks.len());
    for kiosk in kiosks {
        let found = audited.iter().find(|audited| audited["kiosk"] == kiosk.name.as_str()).unwrap();
        assert_eq!(found["proof"], "signed", "{found}");
        let file = kiosk.directory.path().join(kioskd::ledger::FILE);
        let query = "SELECT count(*), sum(ended), sum(paid), sum(refunded), sum(outstanding) FROM orders";
        let own = read(&file, query);
        let sums = &found["totals"][0];
        let told = ["orders", "ended", "paid", "refunded", "outstanding"].map(|key| sums[key].to_string()).join("|");
        assert_eq!(told, own.trim(), "{}", kiosk.name);
    }
}

/// Debian's PostgreSQL, as nobody, on a socket in a directory of its own.
pub struct Server {
    child: Option<Running>,
    directory: TempDir,
    more: Vec<String>,
    port: String,
}

const NOBODY: u32 = 65534;

impl Server {
    pub fn start() -> Self {
        Self::on(&["-c", "listen_addresses="].map(str::to_owned), "5432")
    }

    /// With these words on its command line; the port is in its socket's name.
    pub fn on(more: &[String], port: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let mut init = postgres("initdb");
        init.args(["--auth=trust", "--username=office", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        let made = init.arg(directory.path().join("data")).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut server = Self { child: None, directory, more: more.to_vec(), port: port.to_owned() };
        server.restart();
        server
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn store(&self) -> Store {
        let socket = self.path().display().to_string().replace('/', "%2F");
        Store(vec!["--database".into(), format!("postgresql://office@{socket}/postgres")])
    }

    /// SIGKILL to the server; its children notice.
    pub fn kill(&mut self) {
        self.child = None;
    }

    pub fn restart(&mut self) {
        self.kill();
        let log = self.path().join("log");
        until("PostgreSQL answers", || {
            let gone = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            if gone {
                let mut server = postgres("postgres");
                server.arg("-D").arg(self.directory.path().join("data"));
                server.arg("-k").arg(self.directory.path()).args(&self.more);
                let log = File::options().create(true).append(true).open(&log).unwrap();
                server.stdout(Stdio::null()).stderr(log);
                self.child = Some(Running::start(&mut server));
            }
            self.asked("SELECT 1").is_some()
        });
    }

    pub fn asked(&self, query: &str) -> Option<String> {
        let mut psql = command("psql");
        psql.arg("-h").arg(self.path()).args(["-p", &self.port, "-U", "office", "-d", "postgres", "-AtX", "-c", query]);
        let output = psql.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    pub fn ask(&self, query: &str) -> String {
        self.asked(query).unwrap_or_else(|| panic!("{query}"))
    }

    pub fn table(&self) -> Table {
        table(&self.ask(EVENTS))
    }
}

/// A program of the newest PostgreSQL that is installed, as nobody: it refuses to be root.
fn postgres(program: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed");
    let newest = versions.map(|version| version.unwrap().path()).max().unwrap();
    let mut command = command("setpriv");
    // The kernel forgets who is to be killed with whom when the user changes, so it is said once more.
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig", "KILL", "--"]);
    command.arg(newest.join("bin").join(program)).current_dir("/");
    command
}

pub fn address(kiosk: &str) -> Address {
    Address { fleet: name(FLEET), kiosk: Name::parse(kiosk).unwrap() }
}

/// A terminal with one verb in it.
pub fn terminal(store: &Store, words: &[&str]) -> Terminal {
    let words: Vec<&str> = words.iter().copied().chain(store.0.iter().map(String::as_str)).collect();
    Terminal::start((120, 20), &[], Path::new(env!("CARGO_BIN_EXE_kioskfleet")), &words)
}
