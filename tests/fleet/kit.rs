//! What the tests of the fleet link stand on: an outbox without a ledger, Debian's mosquitto, and an independent back
//! end.

mod back_end;
#[cfg(feature = "back-end")]
pub mod simulation;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kioskd::fleet::keygen::keygen;
use kioskd::fleet::link::{self, FleetEvent, Link, LinkConfig, Outbox, OutboxError, OutboxEvent};
use kioskd::fleet::topic::{Address, Leaf, Name};
use kioskd::service::Supervisor;
use kioskd::signed::jws::Signer;
use serde_json::Value;
use tokio::runtime::Handle;

pub use back_end::TestBackEnd;

use kioskd_tests::child::Running;

pub const LEDGER: &str = "01JTESTLEDGER";
/// Nothing in these tests takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn kiosk() -> Address {
    Address { fleet: name("test"), kiosk: name("K1") }
}

pub fn topic(leaf: Leaf) -> String {
    kiosk().topic(leaf).to_string()
}

const ORDER: &str = "01JTESTORDER0000000000000";

fn text(seq: u64) -> String {
    format!(r#"{{"kind":"order-paid","order":"{ORDER}","amount":{seq},"note":"{}"}}"#, "x".repeat(120))
}

/// By the recipe of docs/fleet.md.
pub fn chained(prev: &str, seq: u64, ts: u64, text: &str) -> String {
    let hashed = format!("{prev}\n{seq}\nb0\n{seq}\n{ts}\norder-paid\n{text}");
    let digest = ring::digest::digest(&ring::digest::SHA256, hashed.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ts(seq: u64) -> u64 {
    1_700_000_000_000 + seq
}

/// The chain's hash after event `seq`; what was computed once is kept.
pub fn hash(seq: u64) -> String {
    static CHAIN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut chain = CHAIN.lock().unwrap();
    if chain.is_empty() {
        chain.push("0".repeat(64));
    }
    for next in chain.len() as u64..=seq {
        let hash = chained(chain.last().unwrap(), next, ts(next), &text(next));
        chain.push(hash);
    }
    chain[usize::try_from(seq).unwrap()].clone()
}

/// An event as it is published, and as it is compared.
pub fn payload(seq: u64) -> String {
    event_with(seq, &hash(seq - 1), &text(seq))
}

pub fn event_with(seq: u64, prev: &str, text: &str) -> String {
    let (hash, ts) = (chained(prev, seq, ts(seq), text), ts(seq));
    let text = Value::from(text);
    format!(
        r#"{{"ledger":"{LEDGER}","seq":{seq},"hash":"{hash}","prev":"{prev}","boot":"b0","mono":{seq},"ts":{ts},"order":"{ORDER}","kind":"order-paid","text":{text}}}"#
    )
}

pub fn event(seq: u64) -> Value {
    serde_json::from_str(&payload(seq)).unwrap()
}

/// An outbox whose events are made when they are asked for, so that it weighs nothing.
#[derive(Clone, Default)]
pub struct Fake {
    pub head: Arc<AtomicU64>,
    pub reads: Arc<AtomicU64>,
    pub broken: Arc<AtomicBool>,
}

impl Fake {
    pub fn with(head: u64) -> Self {
        let fake = Self::default();
        fake.head.store(head, Ordering::SeqCst);
        fake
    }
}

impl Outbox for Fake {
    fn ledger(&self) -> String {
        LEDGER.into()
    }

    fn cursor(&self) -> Result<u64, OutboxError> {
        Ok(0)
    }

    fn after(&self, seq: u64, limit: usize) -> Result<Vec<OutboxEvent>, OutboxError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(OutboxError("the disk is on fire".into()));
        }
        let last = self.head.load(Ordering::SeqCst).min(seq + limit as u64);
        Ok((seq + 1..=last)
            .map(|seq| OutboxEvent { seq, kind: "order-paid".into(), hash: hash(seq), payload: payload(seq) })
            .collect())
    }

    fn hash_of(&self, seq: u64) -> Result<Option<String>, OutboxError> {
        let known = seq <= self.head.load(Ordering::SeqCst);
        Ok(known.then(|| hash(seq)))
    }
}

/// A real machine's settings with short times.
pub fn settings(broker: SocketAddr) -> LinkConfig {
    let Address { fleet, kiosk } = kiosk();
    let ms = Duration::from_millis;
    LinkConfig {
        start_delay: Duration::ZERO,
        retry_first: ms(300),
        retry_last: ms(1000),
        back_off_unit: ms(20),
        back_off_max: ms(200),
        // A broker that has to wait for a processor is not away.
        puback_timeout: ms(10_000),
        keep_alive: ms(10_000),
        alarm_grace: ms(300),
        report_every: ms(0),
        ..LinkConfig::new(fleet, kiosk, broker.into())
    }
}

/// A key pair made for one test.
pub fn key(kid: &str) -> Signer {
    let directory = tempfile::tempdir().unwrap();
    let pair = keygen(directory.path(), &name("k")).unwrap();
    Signer::from_pem(&std::fs::read(pair.private).unwrap(), kid).unwrap()
}

/// A link and what it said.
pub struct Kiosk {
    pub link: Link,
    pub said: mpsc::Receiver<FleetEvent>,
    pub heard: Vec<FleetEvent>,
}

impl Kiosk {
    pub fn start(settings: LinkConfig, outbox: &Fake) -> Self {
        let (tell, said) = mpsc::channel();
        let link = link::start(&Supervisor::new(|_| ()), &Handle::current(), settings, outbox.clone(), move |event| {
            drop(tell.send(event))
        });
        Self { link, said, heard: Vec::new() }
    }

    /// Waits for the first that fits; the others are remembered in `heard`.
    pub fn hear(&mut self, what: &str, fits: impl Fn(&FleetEvent) -> bool) -> FleetEvent {
        let by = Instant::now() + PATIENCE;
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let event = self
                .said
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{what} was not heard, but {:?}", tail(&self.heard)));
            self.heard.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    pub fn connected(&mut self) {
        self.hear("connected", |event| *event == FleetEvent::Connected);
    }

    /// [`connected`](Self::connected) for the first time, and what is said to it from now on reaches it: what it says of
    /// itself comes after what it subscribes to.
    pub fn listens(&mut self, broker: SocketAddr) {
        self.connected();
        let presence = topic(Leaf::Presence);
        until("its presence at the broker", || {
            retained(broker, &presence) == [(presence.clone(), "online".to_owned())]
        });
    }

    pub fn disconnected(&mut self) -> String {
        match self.hear("disconnected", |event| matches!(event, FleetEvent::Disconnected { .. })) {
            FleetEvent::Disconnected { why } => why,
            other => unreachable!("{other:?}"),
        }
    }

    pub fn acknowledged(&mut self, upto: u64) {
        self.hear("acknowledged", |event| *event == FleetEvent::Acknowledged { seq: upto });
    }
}

fn tail(heard: &[FleetEvent]) -> &[FleetEvent] {
    &heard[heard.len().saturating_sub(10)..]
}

/// Waits until it holds, looking often.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < by, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Debian's broker, without persistence.
pub struct Mosquitto {
    child: Option<Running>,
    pub addr: SocketAddr,
    /// Beside the plain one, where only those get in whom it knows.
    pub secure: Option<SocketAddr>,
    directory: tempfile::TempDir,
}

fn free() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, kioskd_tests::free_port()).into()
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::with(None, "")
    }

    /// It ends a connection over a longer packet.
    pub fn narrow(most: usize) -> Self {
        Self::with(None, &format!("max_packet_size {most}\n"))
    }

    /// `ca` certifies the clients, `cert` is the broker's own.
    pub fn with_tls(ca: &Path, cert: &Path, key: &Path) -> Self {
        let secure = free();
        let more = format!(
            "listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
            secure.port(),
            ca.display(),
            cert.display(),
            key.display()
        );
        Self::with(Some(secure), &more)
    }

    /// The same, and what each may say and hear stands in `acl`.
    pub fn with_access(ca: &Path, cert: &Path, key: &Path, acl: &Path) -> Self {
        let secure = free();
        let more = format!(
            "listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n\
             use_identity_as_username true\nacl_file {}\n",
            secure.port(),
            ca.display(),
            cert.display(),
            key.display(),
            acl.display()
        );
        Self::with(Some(secure), &more)
    }

    fn with(secure: Option<SocketAddr>, more: &str) -> Self {
        let addr = free();
        let conf = format!(
            "allow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlistener {} 127.0.0.1\n{more}",
            addr.port()
        );
        Self::configured(addr, secure, &conf)
    }

    /// By configs/mosquitto.conf. `files` are the CA's, the broker's certificate and key, and the access list; without them
    /// everybody gets in, and without TLS.
    pub fn shipped(files: Option<[&Path; 4]>) -> Self {
        let addr = free();
        let mut conf = include_str!("../../configs/mosquitto.conf").to_owned();
        let mut put = |line: &str, other: String| {
            let found = conf.lines().find(|known| *known == line || known.starts_with(&format!("{line} ")));
            let found = found.unwrap_or_else(|| panic!("there is no {line} in configs/mosquitto.conf")).to_owned();
            conf = conf.replacen(&found, &other, 1);
        };
        put("listener", format!("listener {} 127.0.0.1", addr.port()));
        for (nth, name) in ["cafile", "certfile", "keyfile", "acl_file"].into_iter().enumerate() {
            put(name, files.map(|files| format!("{name} {}", files[nth].display())).unwrap_or_default());
        }
        if files.is_none() {
            put("require_certificate", String::new());
            put("use_identity_as_username", String::new());
            put("allow_anonymous", "allow_anonymous true".into());
        }
        Self::configured(addr, files.map(|_| addr), &conf)
    }

    fn configured(addr: SocketAddr, secure: Option<SocketAddr>, conf: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // As root it would become another user, who may not read the keys.
        let conf = format!("user root\npersistence false\n{conf}");
        std::fs::write(directory.path().join("conf"), conf).unwrap();
        let mut broker = Self { child: None, addr, secure, directory };
        broker.restart();
        broker
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL: nothing is written, nobody is told.
    pub fn kill(&mut self) {
        self.child = None;
    }

    pub fn restart(&mut self) {
        self.kill();
        let mut broker = kioskd_tests::child::command("mosquitto");
        broker.arg("-c").arg(self.directory.path().join("conf")).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(Running::start(&mut broker));
        for addr in std::iter::once(self.addr).chain(self.secure) {
            until("mosquitto listening", || TcpStream::connect(addr).is_ok());
        }
    }
}

pub fn client(program: &str, broker: SocketAddr) -> Command {
    let mut command = kioskd_tests::child::command(program);
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-q", "1"]);
    command.stderr(Stdio::null());
    command
}

/// One message by `mosquitto_pub`.
pub fn publish(broker: SocketAddr, topic: &str, arguments: &[&str], payload: &[u8]) {
    let mut client = client("mosquitto_pub", broker);
    let done = Running::answer(client.args(["-t", topic, "-s"]).args(arguments), payload);
    assert!(done.status.success(), "{done:?}");
}

/// What mosquitto shows to a newcomer, by topic: all of it, however long that takes.
pub fn retained(broker: SocketAddr, filter: &str) -> Vec<(String, String)> {
    // What is retained comes in the order in which it is subscribed to, so this comes after everything else.
    const LAST: &str = "test/last";
    publish(broker, LAST, &["-r"], b"last");
    let mut client = client("mosquitto_sub", broker);
    client.args(["-t", filter, "-t", LAST, "--retained-only", "-F", "%t %p"]).stdout(Stdio::piped());
    let mut client = Running::start(client.args(["-W", &PATIENCE.as_secs().to_string()]));
    let mut shown = Vec::new();
    for line in BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let line = split(&line);
        if line.0 == LAST {
            shown.sort();
            return shown;
        }
        shown.push(line);
    }
    panic!("the broker does not answer; it has shown {shown:?}");
}

/// What any broker has shown to a newcomer within a second. It may not be all, so it is asked until it is what it should be.
pub fn retained_so_far(broker: SocketAddr, filter: &str) -> Vec<(String, String)> {
    let output = client("mosquitto_sub", broker)
        .args(["-t", filter, "--retained-only", "-W", "1", "-F", "%t %p"])
        .output()
        .unwrap();
    let mut shown: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(split).collect();
    shown.sort();
    shown
}

pub fn split(line: &str) -> (String, String) {
    let (topic, payload) = line.split_once(' ').unwrap_or((line, ""));
    (topic.to_owned(), payload.to_owned())
}

/// `mosquitto_sub`, line by line; started again when it ends.
pub struct Subscriber {
    child: Arc<Mutex<Option<Running>>>,
    stop: Arc<AtomicBool>,
    pub lines: mpsc::Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Subscriber {
    pub fn start(broker: SocketAddr, filter: &str) -> Self {
        let slot: Arc<Mutex<Option<Running>>> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let (tell, lines) = mpsc::channel();
        let filter = filter.to_owned();
        let thread = std::thread::spawn({
            let (slot, stop) = (Arc::clone(&slot), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let mut child = client("mosquitto_sub", broker);
                    child.args(["-t", &filter, "-F", "%t %p"]).stdout(Stdio::piped());
                    let mut child = Running::start(&mut child);
                    let out = BufReader::new(child.stdout.take().unwrap());
                    *slot.lock().unwrap() = Some(child);
                    for line in out.lines().map_while(Result::ok) {
                        drop(tell.send(line));
                    }
                    reap(&slot);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self { child: slot, stop, lines, thread: Some(thread) }
    }

    /// Waits until it listens, which messages on `topic` tell.
    pub fn listening(self, broker: SocketAddr, topic: &str) -> Self {
        until("a subscriber listens", || {
            publish(broker, topic, &[], b"listening");
            self.lines.recv_timeout(Duration::from_millis(200)).is_ok()
        });
        publish(broker, topic, &[], b"listened");
        self.expect(topic, "listened");
        self
    }

    /// Waits for a message.
    pub fn expect(&self, topic: &str, payload: &str) {
        let by = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {topic} {payload}, but {others:?}"));
            if split(&line) == (topic.to_owned(), payload.to_owned()) {
                return;
            }
            others.push(line);
        }
    }
}

fn reap(slot: &Mutex<Option<Running>>) {
    drop(slot.lock().unwrap().take());
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Its output ends with it, and then the thread does; one that is just being started is seen the next time.
        let thread = self.thread.take().unwrap();
        while !thread.is_finished() {
            reap(&self.child);
            std::thread::sleep(Duration::from_millis(10));
        }
        thread.join().unwrap();
    }
}
