//! A whole machine to test against: `kioskd demo` as anybody starts it, and its page's API.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::{Running, command};
use crate::{PATIENCE, program, repository, spelling};

pub struct Machine {
    child: Running,
    pub page: String,
    pub mqtt: String,
    pub state: PathBuf,
    agent: ureq::Agent,
    _folder: TempDir,
}

/// How a test's machine differs from the demo's.
#[derive(Debug, Clone)]
pub struct Setup {
    pub panel: &'static str,
    /// Milliseconds a motor takes for a turn. On a busy machine a relay is switched off late; it must not be a turn late, or a
    /// second product falls.
    pub turn: u32,
    pub broker: Option<String>,
    /// Replacements in configs/vending.toml.
    pub config: Vec<(&'static str, &'static str)>,
    /// In place of the demo's rails.
    pub rails: Option<String>,
    /// A state directory that is there already.
    pub state: Option<PathBuf>,
    pub env: Vec<(&'static str, PathBuf)>,
    /// What the glass shows once it is up.
    pub first_page: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            panel: "1280x800",
            turn: 300,
            broker: None,
            config: Vec::new(),
            rails: None,
            state: None,
            env: Vec::new(),
            first_page: "attract",
        }
    }
}

impl Setup {
    /// Everything short, so that an order is settled in seconds.
    pub fn fast() -> Self {
        let config = vec![
            ("qr_life = \"90s\"", "qr_life = \"6s\""),
            ("more_time = \"60s\"", "more_time = \"0s\""),
            ("grace = \"30s\"", "grace = \"1s\""),
            ("poll_seconds = 3", "poll_seconds = 1"),
            ("result_timeout = \"15s\"", "result_timeout = \"1s\""),
            ("timeout = \"3s\"", "timeout = \"1s\""),
            ("fall_time = \"300ms\"", "fall_time = \"60ms\""),
            ("stock = 8  ", "stock = 400  "),
            ("stock = 8\n", "stock = 400\n"),
            ("stock = 6\n", "stock = 400\n"),
            ("stock = 4\n", "stock = 400\n"),
            ("capacity = 8\n", "capacity = 400\n"),
            ("capacity = 6\n", "capacity = 400\n"),
            ("capacity = 4\n", "capacity = 400\n"),
        ];
        Self { panel: "640x400", turn: 200, config, ..Self::default() }
    }
}

impl Machine {
    pub fn start(setup: &Setup) -> Self {
        let root = repository();
        let folder = tempfile::tempdir().unwrap();
        let mut config = std::fs::read_to_string(root.join("configs/vending.toml")).unwrap();
        for (from, to) in &setup.config {
            assert!(config.contains(from), "configs/vending.toml has no `{from}`");
            config = config.replace(from, to);
        }
        if let Some(rails) = &setup.rails {
            let (begin, end) = (config.find("[[rail]]").unwrap(), config.find("[[product]]").unwrap());
            config.replace_range(begin..end, rails);
        }
        config = config.replace("../assets", root.join("assets").to_str().unwrap());
        let file = folder.path().join("machine.toml");
        std::fs::write(&file, config).unwrap();

        let mut demo = command(program("kioskd"));
        demo.args(["demo", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--panel", setup.panel])
            .args(["--turn", &setup.turn.to_string()])
            .arg("--config")
            .arg(&file)
            .arg("--state")
            .arg(setup.state.clone().unwrap_or_else(|| folder.path().join("state")))
            .stdout(Stdio::piped());
        demo.envs(setup.env.iter().map(|(name, value)| (name, value)));
        if let Some(broker) = &setup.broker {
            demo.args(["--broker", broker]);
        }
        if std::env::var_os("KIOSKD_LOG").is_none() {
            demo.stderr(std::fs::File::create(folder.path().join("log")).unwrap());
        }
        let mut child = Running::start(&mut demo);
        let out = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        let told = |what: &str| {
            let line = lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("the demo has not said `{what}`; its log: {}", log(&folder)));
            line.strip_prefix(what).unwrap_or_else(|| panic!("`{line}` in place of `{what}`")).trim().to_owned()
        };
        let (page, mqtt, state) = (told("page:"), told("mqtt:"), told("state:").into());
        told("ready");
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        let machine = Self { child, page, mqtt, state, agent: config.build().into(), _folder: folder };
        machine.until(setup.first_page);
        machine
    }

    pub fn get(&self, path: &str) -> Value {
        self.answer(self.agent.get(format!("{}{path}", self.page)).call()).1
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        let mut answer = self.agent.get(format!("{}{path}", self.page)).call().unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.body_mut().read_to_vec().unwrap()
    }

    /// Status and body of a POST.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.answer(self.agent.post(format!("{}{path}", self.page)).send_json(body))
    }

    fn answer(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        spelling::check("the page's API", &body);
        (answer.status().as_u16(), body)
    }

    pub fn world(&self, switches: Value) {
        let (status, body) = self.post("/api/world", &switches);
        assert_eq!(status, 200, "{switches}: {body}");
    }

    /// Waits until the broker shows the state of this run, or of another than `former`: then a command reaches it.
    pub fn at_its_broker(&self, former: &Value) {
        let (host, port) = self.mqtt.trim_start_matches("mqtt://").rsplit_once(':').unwrap();
        let mut client = command("mosquitto_sub");
        client.args(["-h", host, "-p", port, "-t", "kiosk/v1/demo/K0001/state", "-W", "60"]);
        let mut client = Running::start(client.stdout(Stdio::piped()));
        let mut states = BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok);
        let there = states.any(|text| {
            let state: Value = serde_json::from_str(&text).unwrap_or_default();
            state["boot"].is_string() && state["boot"] != *former
        });
        assert!(there, "no run has told its state at the broker; its log: {}", self.log());
    }

    /// Waits until `probe` gives something.
    pub fn wait<T>(&self, what: &str, probe: impl FnMut() -> Option<T>) -> T {
        wait_at_most(PATIENCE, probe)
            .unwrap_or_else(|| panic!("{what} did not come; now: {:#}", self.get("/api/state")))
    }

    pub fn until(&self, page: &str) -> Value {
        self.until_any(&[page])
    }

    pub fn until_any(&self, pages: &[&str]) -> Value {
        self.wait(&format!("one of {pages:?}"), || {
            let state = self.get("/api/state");
            pages.iter().any(|page| state["page"] == *page).then_some(state)
        })
    }

    /// A finger on an enabled target.
    pub fn tap(&self, target: &str) {
        let (x, y) = self.wait(&format!("target {target}"), || self.place(target));
        let (status, body) = self.post("/api/touch", &json!({ "x": x, "y": y }));
        assert_eq!(status, 200, "{body}");
    }

    /// The middle of an enabled target on the glass, in panel pixels.
    pub fn place(&self, target: &str) -> Option<(i64, i64)> {
        let state = self.get("/api/state");
        let found = state["targets"].as_array()?.iter().find(|t| t["name"] == target && t["enabled"] == true)?;
        let at = |key: &str| found[key].as_i64();
        Some((at("x")? + at("w")? / 2, at("y")? + at("h")? / 2))
    }

    /// From the first page to the QR of these products; answers with the code's text, read by zbar from the pixels.
    pub fn offer(&self, products: &[&str]) -> String {
        self.start_touched();
        for (index, product) in products.iter().enumerate() {
            if index > 0 {
                self.tap("done");
            }
            self.until("choose");
            self.tap(&format!("product:{product}"));
            self.until("basket");
        }
        self.tap("pay");
        self.until("pay");
        self.scan()
    }

    /// Touches the first page until it opens. Just after its start a kiosk may go out of service until its providers have
    /// answered, and a finger in that very moment hits nothing.
    fn start_touched(&self) {
        let opens = || {
            self.until("attract");
            self.tap("start");
            wait_at_most(Duration::from_secs(5), || (self.get("/api/state")["page"] == "choose").then_some(()))
        };
        (0..5).find_map(|_| opens()).expect("the first page opens when it is touched");
    }

    /// The code on the glass, by an independent decoder.
    pub fn scan(&self) -> String {
        self.wait("a code on the glass", || {
            let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
            std::fs::write(file.path(), self.bytes("/api/screen.png")).unwrap();
            let read = command("zbarimg").args(["--raw", "-q"]).arg(file.path()).output().unwrap();
            let text = String::from_utf8(read.stdout).unwrap().trim().to_owned();
            (!text.is_empty()).then_some(text)
        })
    }

    pub fn wallet(&self, payload: &str, action: &str) {
        let (status, body) = self.post("/api/wallet", &json!({ "payload": payload, "action": action }));
        assert_eq!((status, &body["result"]), (200, &json!("accepted")), "{action}: {body}");
    }

    pub fn newest(&self) -> Value {
        self.get("/api/orders")["orders"][0].clone()
    }

    /// Waits until the newest order is in `state`.
    pub fn until_state(&self, state: &str) -> Value {
        self.wait(&format!("order state {state}"), || {
            let order = self.newest();
            (order["state"] == state).then_some(order)
        })
    }

    pub fn dropped(&self) -> i64 {
        let board = self.get("/api/board");
        board["dropped"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_i64()).sum()
    }

    /// Activations of every slot's relay so far.
    pub fn pulses(&self) -> i64 {
        let board = self.get("/api/board");
        let lines = board["lines"].as_array().unwrap().iter().filter(|line| line["kind"] == "relay");
        lines.filter_map(|line| line["pulses"].as_i64()).sum()
    }

    /// Waits until nothing is open on any order.
    pub fn until_settled(&self) {
        self.wait("every order settled", || (self.get("/api/state")["settling"] == 0).then_some(()));
    }

    /// The provider's book and the ledger agree to the cent, order by order; what was kept is what fell.
    pub fn books_agree(&self) {
        self.books_agree_with(&[self.get("/api/wallet")]);
    }

    /// The same with the books of all providers of this machine.
    pub fn books_agree_with(&self, books: &[Value]) {
        let orders = self.get("/api/orders");
        let orders = orders["orders"].as_array().unwrap();
        let charges: Vec<&Value> = books.iter().flat_map(|book| book["charges"].as_array().unwrap()).collect();
        for charge in &charges {
            assert!(orders.iter().any(|order| order["id"] == charge["order"]), "no order for {charge}");
        }
        for order in orders {
            let made: Vec<_> = charges.iter().filter(|charge| charge["order"] == order["id"]).collect();
            let sum = |key: &str| made.iter().map(|charge| charge[key].as_i64().unwrap()).sum::<i64>();
            let known = (order["paid"].as_i64().unwrap(), order["refunded"].as_i64().unwrap());
            assert_eq!(known, (sum("paid"), sum("refunded")), "{order:#} {made:#?}");
        }
        let mut fell = 0;
        for order in orders {
            let sum = |outcome: &str| -> i64 {
                let items = order["items"].as_array().unwrap().iter().filter(|item| item["outcome"] == outcome);
                items.map(|item| item["price"].as_i64().unwrap()).sum()
            };
            let kept = order["paid"].as_i64().unwrap() - order["refunded"].as_i64().unwrap();
            assert_eq!(kept, sum("delivered"), "{order:#}");
            assert_eq!(sum("pending") * i64::from(kept != 0), 0, "{order:#}");
            fell +=
                order["items"].as_array().unwrap().iter().filter(|item| item["outcome"] == "delivered").count() as i64;
        }
        assert_eq!(
            fell,
            self.dropped(),
            "what was kept is what fell: {:#} {:#}",
            self.get("/api/board"),
            Value::from(orders.clone())
        );
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        log(&self._folder)
    }

    pub fn verify(&self) {
        let told =
            command(program("kioskctl")).args(["--state", self.state.to_str().unwrap(), "verify"]).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It may be what has ended: a second panic would hide the first, and every test after it.
            let why = self.agent.get(format!("{}/api/why", self.page)).call().ok();
            let why = why.and_then(|mut answer| answer.body_mut().read_json::<Value>().ok()).unwrap_or_default();
            eprintln!("{}\n{}", log(&self._folder), why["text"].as_str().unwrap_or("it does not answer any more"));
        }
        // Politely, so that it takes its kiosk with it and removes what it made.
        if kill_process(Pid::from_child(&self.child), Signal::TERM).is_ok() {
            wait_at_most(Duration::from_secs(10), || self.child.try_wait().ok().flatten());
        }
    }
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

pub fn wait_at_most<T>(patience: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if start.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}
