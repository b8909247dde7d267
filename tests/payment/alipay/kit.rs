//! The double as a child process, and a kiosk's end of it.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kioskd::payment::Rail;
use kioskd::payment::alipay::{Alipay, AlipayConfig, Trust};
use kioskd::signed::keys::{SigningKey, VerifyingKey};
use kioskd::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, Currency, NewCharge, OrderId, RailError, RefundReport, RefundRequest,
    Standing,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use kioskd_tests::child::{Running, command};

use crate::waiting;
pub use crate::waiting::{Waiting, refund_of};

/// Longer than a busy machine needs for one call.
pub const PATIENCE: Duration = Duration::from_secs(10);
pub const ATTACH: &str = "harbour/kiosk-07";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Key,
    Certificates,
}

pub struct Double {
    mode: Mode,
    state: TempDir,
    port: Cell<u16>,
    child: RefCell<Running>,
}

/// Where the packages of tests/support/requirements.txt are.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = std::env::var_os("KIOSKD_PY").map_or_else(|| root.join("target/test-tools/py"), PathBuf::from);
    let python = if place.is_dir() { place.join("bin/python") } else { place };
    assert!(
        python.exists(),
        "no Python at {}; type: python3 -m venv target/test-tools/py && target/test-tools/py/bin/pip install -r \
         tests/support/requirements.txt (Debian: python3-venv)",
        python.display()
    );
    python
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/alipay/double.py")
}

fn spawn(state: &Path, port: u16, mode: Mode) -> (Running, u16) {
    let mode = if mode == Mode::Key { "key" } else { "certificates" };
    let mut double = command(python());
    double.arg(script()).arg("--state").arg(state).args(["--port", &port.to_string(), "--mode", mode]);
    let mut child = Running::start(double.stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let hello: Value = serde_json::from_str(&line).unwrap_or_default();
    let port = hello["url"].as_str().and_then(|url| url.rsplit(':').next()).and_then(|port| port.parse().ok());
    let port = port.unwrap_or_else(|| {
        panic!(
            "the double did not start, see its words above; type: {} -m pip install -r tests/support/requirements.txt",
            python().display()
        )
    });
    (child, port)
}

/// Six RSA keys take a while; every double has the same. By name; a folder for them would stay behind.
fn keys() -> &'static [(OsString, Vec<u8>)] {
    static KEYS: OnceLock<Vec<(OsString, Vec<u8>)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        drop(spawn(directory.path(), 0, Mode::Key));
        let files = std::fs::read_dir(directory.path()).expect("the keys").map(|file| file.expect("a key"));
        files.map(|file| (file.file_name(), std::fs::read(file.path()).expect("a key"))).collect()
    })
}

impl Double {
    fn start(mode: Mode) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        for (name, key) in keys() {
            std::fs::write(state.path().join(name), key).expect("a copy");
        }
        let (child, port) = spawn(state.path(), kioskd_tests::free_port(), mode);
        Self { mode, state, port: Cell::new(port), child: RefCell::new(child) }
    }

    /// SIGKILL, if it lives.
    pub fn kill(&self) {
        self.child.borrow_mut().end();
    }

    /// With the book it left, where it was.
    pub fn restart(&self) {
        self.kill();
        let (child, port) = spawn(self.state.path(), self.port.get(), self.mode);
        assert_eq!(port, self.port.get());
        *self.child.borrow_mut() = child;
    }

    /// Starts it again if it has died, or is dying.
    pub fn revive(&self) {
        if ureq::get(format!("http://127.0.0.1:{}/_book", self.port.get())).call().is_err() {
            self.restart();
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.port.get());
        ureq::post(&url).send_json(body).expect(path).body_mut().read_json().expect(path)
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.state.path().join(name)).expect(name)
    }

    fn config(&self, timeout: Duration, trust: Trust, private: &str) -> AlipayConfig {
        AlipayConfig {
            base_url: format!("http://127.0.0.1:{}/gateway.do", self.port.get()),
            ca: None,
            timeout,
            app_id: "2021000000000001".into(),
            private_key: SigningKey::parse(&self.file(private)).expect("a private key"),
            trust,
            notify_url: Some("https://fleet.example/alipay?fleet=1&x=y".into()),
        }
    }

    fn certificates(&self, alipay: &str) -> Trust {
        let (app_cert, root_cert) = (self.file("app_cert.crt"), self.file("root_cert.crt"));
        Trust::Certificates { app_cert, alipay_cert: self.file(alipay), root_cert }
    }

    /// A rail with this certificate of Alipay's and this private key.
    pub fn setup(&self, alipay: &str, private: &str) -> Result<Alipay, String> {
        let config = self.config(PATIENCE, self.certificates(alipay), private);
        Alipay::new(config).map_err(|error| error.to_string())
    }
}

pub struct Kiosk {
    pub double: Double,
    pub rail: Alipay,
    runtime: Runtime,
    attach: String,
    orders: Cell<u128>,
}

impl Waiting for Kiosk {
    fn rail(&self) -> &dyn Rail {
        &self.rail
    }

    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Kiosk {
    pub fn new(mode: Mode) -> Self {
        Self::with(mode, PATIENCE, ATTACH)
    }

    pub fn with(mode: Mode, timeout: Duration, attach: &str) -> Self {
        let double = Double::start(mode);
        let trust = match mode {
            Mode::Key => Trust::Key(VerifyingKey::parse(&double.file("alipay_public.pem")).expect("a key")),
            Mode::Certificates => double.certificates("alipay_cert.crt"),
        };
        let rail = Alipay::new(double.config(timeout, trust, "app_private.pem")).expect("a rail");
        Self { double, rail, runtime: waiting::runtime(), attach: attach.into(), orders: Cell::new(0) }
    }

    /// A number never used before.
    pub fn charge(&self, amount: i64) -> ChargeRef {
        self.orders.set(self.orders.get() + 1);
        let order = OrderId::from_parts(1_700_000_000_000, self.orders.get());
        let currency = Currency::from_code("CNY").expect("CNY");
        ChargeRef { charge: ChargeId::of(order, 1), order, amount, currency }
    }

    pub fn create(&self, charge: &ChargeRef) -> Result<Created, RailError> {
        self.create_described(charge, "Kiosk 07 Cola #123456")
    }

    pub fn create_described(&self, of: &ChargeRef, description: &str) -> Result<Created, RailError> {
        let new = NewCharge {
            charge: of.charge.clone(),
            order: of.order,
            amount: of.amount,
            currency: of.currency,
            life: Duration::from_secs(90),
            description: description.into(),
            attach: self.attach.clone(),
        };
        self.runtime.block_on(self.rail.create(&new))
    }

    /// Until the money is back, as the sale does it: ask after what was asked for, ask again for what is absent.
    pub fn settle(&self, refund: &RefundRequest) {
        let mut ask_after = false;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            let answer = if ask_after { self.query_refund(refund) } else { self.refund(refund) };
            ask_after = match answer {
                Ok(RefundReport::Done) => return,
                Ok(RefundReport::Absent) => false,
                Ok(RefundReport::Processing) | Err(RailError::Unknown(_)) => true,
                no => panic!("{refund:?}: {no:?}"),
            };
            if ask_after {
                self.double.revive();
            }
        }
        panic!("not settled: {refund:?}");
    }

    /// A charge that somebody has paid.
    pub fn paid(&self, amount: i64) -> ChargeRef {
        let charge = self.charge(amount);
        self.create(&charge).expect("a charge");
        self.pay_charge(&charge, "pay");
        charge
    }

    /// The payer's hand; the payment's number.
    #[track_caller]
    pub fn pay(&self, ask: Value) -> String {
        let answer = self.double.post("/_pay", &ask);
        assert_eq!(answer["result"], "accepted", "{answer}");
        answer["trade_no"].as_str().expect("a number").to_owned()
    }

    #[track_caller]
    pub fn pay_charge(&self, charge: &ChargeRef, action: &str) -> String {
        self.pay(json!({ "out_trade_no": charge.charge.as_str(), "action": action }))
    }

    pub fn try_pay(&self, charge: &ChargeRef, action: &str) -> Result<(), String> {
        let answer = self.double.post("/_pay", &json!({ "out_trade_no": charge.charge.as_str(), "action": action }));
        if answer["result"] == "accepted" { Ok(()) } else { Err(answer.to_string()) }
    }

    pub fn fault(&self, fault: Value) {
        self.double.post("/_control", &fault);
    }

    pub fn book(&self) -> Value {
        let url = format!("http://127.0.0.1:{}/_book", self.double.port.get());
        ureq::get(&url).call().expect("the book").body_mut().read_json().expect("the book")
    }

    /// The provider's entry of the charge, or null.
    pub fn entry(&self, charge: &ChargeRef) -> Value {
        let book = self.book();
        let charges = book["charges"].as_array().expect("charges");
        charges.iter().find(|entry| entry["id"] == charge.charge.as_str()).cloned().unwrap_or_default()
    }

    /// How many refunds the provider's book has for the charge.
    pub fn refunds(&self, charge: &ChargeRef) -> usize {
        let book = self.book();
        let refunds = book["refunds"].as_array().expect("refunds");
        refunds.iter().filter(|refund| refund["out_trade_no"] == charge.charge.as_str()).count()
    }

    /// No request was other than it should be.
    #[track_caller]
    pub fn nothing_wrong(&self) {
        assert_eq!(self.book()["wrong"], json!([]));
    }
}

/// Splitmix64: the same walk for the same seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap_or(0)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// What the kiosk has heard of one charge.
#[derive(Default)]
struct Known {
    paid: Option<i64>,
    returned: i64,
    standing: Option<Standing>,
}

impl Known {
    fn take(&mut self, charge: &ChargeRef, report: &ChargeReport) {
        for payment in &report.payments {
            assert_eq!((payment.order, payment.amount), (charge.order, charge.amount));
            assert!(self.paid.is_none_or(|paid| paid == payment.amount), "paid twice");
            self.paid = Some(payment.amount);
        }
        self.returned = self.returned.max(report.returned);
        self.standing = Some(report.standing);
    }
}

/// One charge from its making to its end in whatever weather; the payer pays when it suits nobody.
pub fn weather(kiosk: &Kiosk, chance: &mut Chance, what: &str) {
    const FAULTS: [&str; 16] = [
        "drop-before",
        "unknown-before",
        "drop",
        "truncated",
        "html",
        "redirect",
        "unknown",
        "wrong-key",
        "unsigned",
        "other-bytes",
        "wrong-number",
        "duplicate-response",
        "die",
        "die",
        "lag",
        "silent",
    ];
    let charge = kiosk.charge(300);
    let mut known = Known::default();
    let step = |chance: &mut Chance, stormy: bool| {
        kiosk.double.revive();
        if !stormy {
            kiosk.fault(json!({ "clear": true }));
        } else if chance.below(3) == 0 {
            kiosk.fault(json!({ "how": chance.pick(&FAULTS), "times": 1 + chance.below(2) }));
        }
        // The payer's code is refused when it is dead; that is for the double to judge.
        if stormy && chance.below(3) == 0 {
            _ = kiosk.try_pay(&charge, chance.pick(&["scan", "pay", "pay", "pay-late"]));
        }
    };
    step(chance, true);
    let created = kiosk.create(&charge);
    assert!(!matches!(created, Err(RailError::Refused { .. })), "{what}: {created:?}");
    for _ in 0..chance.below(4) {
        step(chance, true);
        if let Ok(report) = kiosk.query(&charge) {
            known.take(&charge, &report);
        }
    }
    // Closed and asked, as long as it is open or unknown; the weather calms down after a while.
    let mut want_close = true;
    for turn in 0.. {
        assert!(turn < 100, "{what}: no end");
        step(chance, turn < 6);
        // What is known to be paid is not closed.
        if want_close && known.paid.is_none() {
            let closed = kiosk.close(&charge);
            want_close = matches!(closed, Err(RailError::Unknown(_)));
            if let Ok(Some(report)) = closed {
                known.take(&charge, &report);
            }
        } else if let Ok(report) = kiosk.query(&charge) {
            known.take(&charge, &report);
            want_close = report.standing == Standing::Open;
            if turn >= 6 && !want_close {
                break;
            }
        }
    }
    let entry = kiosk.entry(&charge);
    let really = entry["paid"].as_i64().unwrap_or(0);
    if let Some(paid) = known.paid {
        assert_eq!(paid, really, "{what}: {entry}");
        if known.returned == 0 {
            step(chance, true);
            kiosk.settle(&refund_of(&charge, 1, paid));
        }
    }
    kiosk.double.revive();
    kiosk.fault(json!({ "clear": true }));
    // Known or not: whatever came in has gone back, once.
    let entry = kiosk.entry(&charge);
    assert_eq!(entry["refunded"].as_i64().unwrap_or(0), really, "{what}: {entry}");
    assert!(kiosk.refunds(&charge) <= 1, "{what}");
}
