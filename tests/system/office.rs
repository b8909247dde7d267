//! The fleet's end of the wire, by an independent client: stores every event that is the next, acknowledges, and knows the
//! last state that it was told.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::guest::{OUTSIDE, until};

const KIOSK: &str = "kiosk/v1/demo/K0001";

pub struct Office {
    desk: Arc<Mutex<Desk>>,
    clients: [Child; 2],
}

#[derive(Default)]
struct Desk {
    /// By this office; one before may have stored more.
    stored: u64,
    state: Value,
}

impl Office {
    /// Waits for the broker.
    pub fn start() -> Self {
        drop(until("a broker", || TcpStream::connect("127.0.0.1:1883").ok()));
        let desk = Arc::new(Mutex::new(Desk::default()));
        let working = Arc::clone(&desk);
        let client = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(["-q", "1"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
            command.spawn().expect("mosquitto-clients")
        };
        let mut hears = client("mosquitto_sub", &["-v", "-t", &format!("{KIOSK}/#")]);
        let mut says = client("mosquitto_pub", &["-l", "-t", &format!("{KIOSK}/ack")]);
        let (heard, acks) = (hears.stdout.take().unwrap(), says.stdin.take().unwrap());
        std::thread::spawn(move || work(&working, heard, acks));
        Self { desk, clients: [hears, says] }
    }

    pub fn stored(&self) -> u64 {
        self.desk.lock().unwrap().stored
    }

    /// Waits until the kiosk says something like it of itself.
    pub fn state(&self, what: &str, mut fits: impl FnMut(&Value) -> bool) -> Value {
        until(what, || Some(self.desk.lock().unwrap().state.clone()).filter(|state| fits(state)))
    }
}

/// Closes for a while; the next one goes on where this has stopped.
impl Drop for Office {
    fn drop(&mut self) {
        for client in &mut self.clients {
            client.kill().unwrap();
            client.wait().unwrap();
        }
    }
}

/// Until its clients end.
fn work(desk: &Mutex<Desk>, heard: ChildStdout, mut acks: ChildStdin) {
    let shelf = Path::new(OUTSIDE).join("events");
    let before = fs::read_to_string(&shelf).unwrap_or_default();
    let mut last: Option<Value> = before.lines().last().map(|line| serde_json::from_str(line).unwrap());
    for line in BufReader::new(heard).lines() {
        let line = line.unwrap();
        let (topic, payload) = line.split_once(' ').unwrap_or((&line, ""));
        let leaf = topic.strip_prefix(KIOSK).unwrap();
        if leaf == "/state" {
            desk.lock().unwrap().state = serde_json::from_str(payload).unwrap();
        }
        if !leaf.starts_with("/event/") {
            continue;
        }
        let event: Value = serde_json::from_str(payload).unwrap();
        let next = last.as_ref().map_or(1, |last| last["seq"].as_u64().unwrap() + 1);
        if event["seq"] == next {
            let mut shelf = OpenOptions::new().create(true).append(true).open(&shelf).unwrap();
            shelf.write_all(format!("{payload}\n").as_bytes()).unwrap();
            desk.lock().unwrap().stored = next;
            last = Some(event);
        }
        // One that does not fit is answered with how far it has come.
        if let Some(last) = &last {
            let ack = json!({ "ledger": last["ledger"], "seq": last["seq"], "hash": last["hash"] });
            acks.write_all(format!("{ack}\n").as_bytes()).unwrap();
        }
    }
}
