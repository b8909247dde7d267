//! A back end on mosquitto's clients that shares no code with the one in the library.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kioskd::fleet::topic::Leaf;
use serde_json::{Value, json};

use super::{LEDGER, Subscriber, client, event, split, topic, until};
use kioskd_tests::child::Running;

/// `mosquitto_pub`, a message a line; started again when it has ended. Messages may get lost.
struct Publisher {
    broker: SocketAddr,
    topic: String,
    child: Option<(Running, ChildStdin)>,
}

impl Publisher {
    fn say(&mut self, line: &str) {
        let gone = self.child.as_mut().is_none_or(|(child, _)| child.try_wait().unwrap().is_some());
        if gone {
            let mut child = client("mosquitto_pub", self.broker);
            let mut child = Running::start(child.args(["-t", &self.topic, "-l"]).stdin(Stdio::piped()));
            let stdin = child.stdin.take().unwrap();
            self.child = Some((child, stdin));
        }
        let (_, stdin) = self.child.as_mut().unwrap();
        if writeln!(stdin, "{line}").is_err() {
            self.child = None;
        }
    }
}

/// An independent back end on mosquitto's clients: stores each event once, in order, and acknowledges.
pub struct TestBackEnd {
    stop: Arc<AtomicBool>,
    held: Arc<Mutex<Held>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
pub struct Held {
    /// In the order they were stored.
    pub events: Vec<Value>,
    pub deliveries: u64,
    pub duplicates: u64,
    pub early: u64,
}

impl TestBackEnd {
    pub fn start(broker: SocketAddr) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let held: Arc<Mutex<Held>> = Arc::default();
        let thread = std::thread::spawn({
            let (stop, held) = (Arc::clone(&stop), Arc::clone(&held));
            move || {
                let events = Subscriber::start(broker, "kiosk/v1/test/K1/event/#");
                let mut acks = Publisher { broker, topic: topic(Leaf::Ack), child: None };
                while !stop.load(Ordering::SeqCst) {
                    let Ok(first) = events.lines.recv_timeout(Duration::from_millis(50)) else { continue };
                    let mut held = held.lock().unwrap();
                    for line in std::iter::once(first).chain(events.lines.try_iter()) {
                        held.take(&line);
                    }
                    let hash = held.events.last().map_or("", |event| event["hash"].as_str().unwrap());
                    acks.say(&json!({ "ledger": LEDGER, "seq": held.events.len(), "hash": hash }).to_string());
                }
            }
        });
        Self { stop, held, thread: Some(thread) }
    }

    pub fn count(&self) -> u64 {
        self.held.lock().unwrap().events.len() as u64
    }

    pub fn wait_for(&self, count: u64) {
        until(&format!("{count} events at the back end"), || self.count() >= count);
    }

    /// Everything once and in order, as it was in the outbox.
    pub fn assert_holds(&self, count: u64) -> (u64, u64, u64) {
        let held = self.held.lock().unwrap();
        assert_eq!(held.events.len() as u64, count);
        for (at, stored) in held.events.iter().enumerate() {
            assert_eq!(*stored, event(at as u64 + 1));
        }
        (held.deliveries, held.duplicates, held.early)
    }
}

impl Held {
    fn take(&mut self, line: &str) {
        let (topic, payload) = split(line);
        assert_eq!(topic, "kiosk/v1/test/K1/event/order-paid");
        let event: Value = serde_json::from_str(&payload).unwrap();
        let next = self.events.len() as u64 + 1;
        self.deliveries += 1;
        match event["seq"].as_u64().unwrap() {
            seq if seq < next => self.duplicates += 1,
            seq if seq > next => self.early += 1,
            _ => self.events.push(event),
        }
    }
}

impl Drop for TestBackEnd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(self.thread.take().unwrap().join());
    }
}
