//! `kioskfleet simulate` as a process, and what programs say line by line.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kioskd_tests::child::{Running, command};
use serde_json::Value;

use super::PATIENCE;

/// Documents that a program prints, one a line.
pub fn lines(child: &mut Running) -> mpsc::Receiver<Value> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            drop(tell.send(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))));
        }
    });
    said
}

/// Waits for the first that fits.
pub fn hear(said: &mpsc::Receiver<Value>, what: &str, fits: impl FnMut(&Value) -> bool) -> Value {
    hear_within(said, PATIENCE, what, fits)
}

/// How it goes from now on: what was said before may be of before what the test has done.
pub fn hear_how_it_goes(said: &mpsc::Receiver<Value>) -> Value {
    said.try_iter().for_each(drop);
    hear(said, "how it goes", |line| line["said"] == "running")
}

pub fn hear_within(
    said: &mpsc::Receiver<Value>,
    patience: Duration,
    what: &str,
    mut fits: impl FnMut(&Value) -> bool,
) -> Value {
    let by = Instant::now() + patience;
    let mut last = Value::Null;
    loop {
        let left = by.saturating_duration_since(Instant::now());
        let line = said.recv_timeout(left).unwrap_or_else(|_| panic!("{what} was not said, but {last}"));
        if fits(&line) {
            return line;
        }
        last = line;
    }
}

/// A folder on which no disk holds anybody up, where there is such a place: each sale would wait for it, and so would every
/// other test.
pub fn folder() -> tempfile::TempDir {
    let shared = std::path::Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap()
}

pub struct Simulation {
    pub child: Running,
    /// Every second how it goes, and more.
    pub said: mpsc::Receiver<Value>,
}

impl Simulation {
    /// `more` are its words besides how many machines there are.
    pub fn start(machines: u64, more: impl FnOnce(&mut Command)) -> Self {
        let mut simulation = command(env!("CARGO_BIN_EXE_kioskfleet"));
        simulation.args(["simulate", &machines.to_string(), "--json", "--report", "1"]);
        more(&mut simulation);
        let mut child = Running::start(simulation.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let said = lines(&mut child);
        Self { child, said }
    }
}
