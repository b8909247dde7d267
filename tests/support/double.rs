//! A provider's double: a Python program whose cryptography is not kioskd's, started on a free port, killed and started
//! again as it was.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::{Running, command};
use crate::{free_port, repository};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Double {
    child: Running,
    script: PathBuf,
    state: PathBuf,
    /// What it said when it listened.
    pub hello: Value,
}

impl Double {
    /// `script` under `tests/support`; it is given `--state DIR --port N` and says one line of JSON with its `url`.
    pub fn start(script: &str, state: &Path) -> Self {
        let script = repository().join("tests/support").join(script);
        let (child, hello) = launch(&script, state, free_port());
        Self { child, script, state: state.into(), hello }
    }

    pub fn said(&self, name: &str) -> &str {
        self.hello[name].as_str().unwrap_or_else(|| panic!("the double has said no `{name}`: {}", self.hello))
    }

    pub fn url(&self) -> &str {
        self.said("url")
    }

    /// SIGKILL, to its process and no other.
    pub fn kill(&mut self) {
        self.child.end();
    }

    /// Until it has gone by itself.
    pub fn wait(&mut self) {
        self.child.wait().expect("it was started here");
    }

    /// On the same port, with the same state.
    pub fn start_again(&mut self) {
        let port = self.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL with its port");
        (self.child, self.hello) = launch(&self.script, &self.state, port);
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        let answer = ureq::post(format!("{}{path}", self.url())).send_json(body);
        answer.unwrap_or_else(|e| panic!("{path}: {e}")).body_mut().read_json().unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = ureq::get(format!("{}{path}", self.url())).call();
        answer.unwrap_or_else(|e| panic!("{path}: {e}")).body_mut().read_json().unwrap()
    }
}

fn launch(script: &Path, state: &Path, port: u16) -> (Running, Value) {
    let mut double = command(python());
    double
        .arg(script)
        .arg("--state")
        .arg(state)
        .args(["--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = Running::start(&mut double);
    let out = child.stdout.take().expect("it is piped");
    let (send, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(out).read_line(&mut text);
        let _ = send.send(text);
    });
    let text = line.recv_timeout(PATIENCE).unwrap_or_default();
    let hello = serde_json::from_str(&text);
    (
        child,
        hello.unwrap_or_else(|_| {
            panic!(
                "{} did not start; it said `{text}`. For a missing package type: {} -m pip install -r \
             tests/support/requirements.txt",
                script.display(),
                python().display()
            )
        }),
    )
}

/// The interpreter with the doubles' packages: the virtual environment at `$KIOSKD_PY`, else `target/test-tools/py`.
pub fn python() -> PathBuf {
    let place = std::env::var_os("KIOSKD_PY").map_or_else(|| repository().join("target/test-tools/py"), PathBuf::from);
    let python = place.join("bin/python3");
    assert!(
        python.exists(),
        "there is no Python with the doubles' packages at {place}; type\n  python3 -m venv {place}\n  {place}/bin/pip \
         install -r tests/support/requirements.txt",
        place = place.display()
    );
    python
}

/// Until it is so; fails loudly when it never is.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "it never came about: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
