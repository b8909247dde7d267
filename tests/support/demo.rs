//! A `kioskd demo` of its own for each test, on free ports, and what a customer does with it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::child::{Running, command};
use crate::{PATIENCE, agent, program, spelling, wait_for};

pub struct Demo {
    child: Running,
    agent: ureq::Agent,
    /// `http://127.0.0.1:PORT`
    pub page: String,
    /// `mqtt://127.0.0.1:PORT`, or `none`
    pub mqtt: String,
    pub state: PathBuf,
    lines: Receiver<String>,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// Status and JSON.
type Reply = (u16, Value);

impl Demo {
    /// Free ports for page and broker unless `arguments` say else; returns once the first frame is up.
    pub fn start(arguments: &[&str]) -> Self {
        let demo = Self::launch(arguments);
        assert_eq!(demo.next_line(), "ready");
        demo
    }

    /// [`start`](Self::start) without waiting for the first frame.
    pub fn launch(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut demo = command(program("kioskd"));
        demo.args(["demo", "--listen", "127.0.0.1:0"])
            .args(if arguments.contains(&"--mqtt") { &[][..] } else { &["--mqtt", "127.0.0.1:0"] })
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap());
        let mut child = Running::start(&mut demo);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let mut demo = Self {
            child,
            agent: agent(),
            page: String::new(),
            mqtt: String::new(),
            state: PathBuf::new(),
            lines,
            log,
            _folder: folder,
        };
        demo.page = demo.labelled("page: ");
        demo.mqtt = demo.labelled("mqtt: ");
        demo.state = demo.labelled("state: ").into();
        demo
    }

    pub fn next_line(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("the demo says no more ({error}); its log:\n{}", self.log()),
        }
    }

    /// Whatever else it has said on standard output; call it after the end.
    pub fn other_lines(&self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => all.push(line),
                Err(RecvTimeoutError::Disconnected) => return all,
                Err(RecvTimeoutError::Timeout) => panic!("its standard output is still open"),
            }
        }
    }

    fn labelled(&self, label: &str) -> String {
        let line = self.next_line();
        line.strip_prefix(label).unwrap_or_else(|| panic!("`{line}` where `{label}` should be")).to_owned()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it the polite way.
    pub fn stop(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        wait_for("the demo's end", PATIENCE, || self.child.try_wait().unwrap())
    }

    pub fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut reply = self.agent.get(format!("{}{path}", self.page)).call().unwrap();
        let body = reply.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        (reply.status().as_u16(), body)
    }

    /// The JSON at `path`, which must be there.
    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        let document = serde_json::from_slice(&body).unwrap();
        spelling::check(path, &document);
        document
    }

    pub fn post(&self, path: &str, body: Value) -> Reply {
        let mut reply = self.agent.post(format!("{}{path}", self.page)).send_json(body).unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap())
    }

    /// A `POST` that must succeed.
    pub fn set(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub fn world(&self, switches: Value) -> Value {
        self.set("/api/world", switches)
    }

    pub fn state(&self) -> Value {
        self.json("/api/state")
    }

    pub fn screen(&self) -> Vec<u8> {
        self.get("/api/screen.png").1
    }

    /// The middle of a touchable thing, once it is on the glass and enabled.
    pub fn target(&self, name: &str) -> (i64, i64) {
        let mut seen = Value::Null;
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            seen = self.state();
            let found =
                seen["targets"].as_array().into_iter().flatten().find(|t| t["name"] == name && t["enabled"] == true);
            if let Some(target) = found {
                let middle =
                    |from: &str, length: &str| target[from].as_i64().unwrap() + target[length].as_i64().unwrap() / 2;
                return (middle("x", "w"), middle("y", "h"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing to touch called `{name}`: {seen:#}\n{}", self.log());
    }

    /// Waits for a touchable thing and touches its middle.
    pub fn tap(&self, name: &str) {
        let (x, y) = self.target(name);
        self.set("/api/touch", json!({ "x": x, "y": y }));
    }

    /// Waits for one of the pages, and gives the state document.
    pub fn page(&self, names: &[&str]) -> Value {
        self.page_within(names, PATIENCE)
    }

    pub fn page_within(&self, names: &[&str], within: Duration) -> Value {
        let by = Instant::now() + within;
        loop {
            let state = self.state();
            if names.iter().any(|name| state["page"] == *name) {
                return state;
            }
            assert!(Instant::now() < by, "page `{}`, not one of {names:?}; log:\n{}", state["page"], self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// From whatever page: this product, once, on to its QR.
    pub fn choose(&self, product: &str) {
        let idle = ["attract", "choose", "thanks", "expired", "cancelled", "refunded", "claim"];
        let state = self.page(&idle);
        match state["page"].as_str() {
            Some("attract") => self.tap("start"),
            Some("choose") => {}
            _ => {
                self.tap("done");
                if self.page(&["attract", "choose"])["page"] == "attract" {
                    self.tap("start");
                }
            }
        }
        self.tap(&format!("product:{product}"));
        self.page(&["basket"]);
        self.tap("pay");
        self.page(&["pay"]);
    }

    /// What an independent decoder reads from the glass now.
    pub fn decode_qr(&self) -> Option<String> {
        let picture = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        std::fs::write(picture.path(), self.screen()).unwrap();
        let out = command("zbarimg").args(["--raw", "-q"]).arg(picture.path()).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.lines().next().map(str::to_owned)
    }

    /// The payload of the QR, once it is on the glass.
    pub fn qr(&self) -> String {
        wait_for("a QR on the glass", PATIENCE, || self.decode_qr())
    }

    /// The phone.
    pub fn wallet(&self, payload: &str, action: &str) -> Value {
        self.set("/api/wallet", json!({ "payload": payload, "action": action }))
    }

    /// Waits for a kiosk that is just starting: its orders are its own to tell.
    pub fn orders(&self) -> Vec<Value> {
        let by = Instant::now() + PATIENCE;
        while self.get("/api/orders").0 == 503 && Instant::now() < by {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.json("/api/orders")["orders"].as_array().unwrap().clone()
    }

    pub fn charges(&self) -> Vec<Value> {
        self.json("/api/wallet")["charges"].as_array().unwrap().clone()
    }

    /// Waits until the newest order is in one of the states, and gives it.
    pub fn last_order(&self, states: &[&str]) -> Value {
        let mut seen = Value::Null;
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            seen = self.orders().into_iter().next().unwrap_or_default();
            if states.iter().any(|state| seen["state"] == *state) {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the newest order is not one of {states:?}: {seen:#}\n{}", self.log());
    }

    /// How often the relay of a line went on.
    pub fn pulses(&self, line: &str) -> u64 {
        let board = self.json("/api/board");
        let line = board["lines"].as_array().unwrap().iter().find(|l| l["name"] == line).expect("a line of the board");
        line["pulses"].as_u64().unwrap()
    }

    /// What really fell, from all slots together.
    pub fn fell(&self) -> u64 {
        self.json("/api/board")["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the demo's log\n{}\n---", self.log());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // Politely, so that it stops its own kiosk and removes what it made.
            kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap_or(());
            let by = Instant::now() + Duration::from_secs(10);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < by {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
