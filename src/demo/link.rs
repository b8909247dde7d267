//! One connection of a kiosk to the world: it sends messages, and keeps the questions that the kiosk has still to
//! answer.

use std::collections::HashMap;
use std::io::BufWriter;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::world::{Question, ToKiosk, send};

/// A kiosk that does not read for so long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Link {
    stream: UnixStream,
    writer: Mutex<BufWriter<UnixStream>>,
    asked: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    next: AtomicU64,
    open: AtomicBool,
}

impl Link {
    pub fn new(stream: &UnixStream) -> std::io::Result<Self> {
        let stream = stream.try_clone()?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self {
            writer: Mutex::new(BufWriter::new(stream.try_clone()?)),
            stream,
            asked: Mutex::default(),
            next: AtomicU64::new(1),
            open: AtomicBool::new(true),
        })
    }

    /// True if it was handed to the socket. A message to a kiosk that is gone is lost, like on a cut wire.
    pub fn send(&self, message: &ToKiosk) -> bool {
        if !self.is_open() {
            return false;
        }
        let sent = send(&mut *lock(&self.writer), message, &[]);
        if let Err(error) = &sent {
            tracing::debug!(%error, "the kiosk did not take a message");
            self.close();
        }
        sent.is_ok()
    }

    pub fn answer(&self, id: u64, answer: Result<Value, String>) {
        self.send(&ToKiosk::Answer { id, answer });
    }

    /// The receiver fails when the kiosk goes before it has answered.
    pub fn ask(&self, ask: Question) -> oneshot::Receiver<Value> {
        let (answer, answered) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.asked).insert(id, answer);
        if !self.send(&ToKiosk::Ask { id, ask }) {
            lock(&self.asked).remove(&id);
        }
        answered
    }

    pub fn answered(&self, id: u64, value: Value) {
        if let Some(waiting) = lock(&self.asked).remove(&id) {
            // Whoever asked may have given up.
            drop(waiting.send(value));
        }
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Nothing is sent or read from here on, and nobody waits for an answer.
    pub fn close(&self) {
        self.open.store(false, Ordering::Release);
        // Fails only where it is closed already.
        drop(self.stream.shutdown(Shutdown::Both));
        lock(&self.asked).clear();
    }
}

/// What is behind these locks is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
