//! The kiosk's end of the world's socket, shared by all simulated drivers.

use std::collections::HashMap;
use std::io::{BufReader, BufWriter};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Ask, Question, ToKiosk, ToWorld, WireError, begin, put, receive};
use crate::service::{End, Supervisor};
use crate::vocabulary::Point;

/// What the world says without being asked.
#[derive(Debug, Clone)]
pub enum Unsolicited {
    Finger {
        at: Option<Point>,
        ms: u64,
    },
    Input {
        line: String,
        active: bool,
    },
    RailNotice {
        body: Value,
    },
    Scanned {
        text: String,
    },
    Clock {
        offset_ms: i64,
    },
    Question {
        id: u64,
        ask: Question,
    },
    /// The socket has ended; the kiosk ends too.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    #[error("the world did not answer within {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("the world refused: {0}")]
    Refused(String),
    #[error("the world is gone: {0}")]
    Gone(String),
}

type Reply = Result<Value, String>;
type Waiting = Box<dyn FnOnce(Reply) + Send>;

/// A connection to the world. Cheap to share; every call is independent of the others.
pub struct World {
    writer: Mutex<BufWriter<UnixStream>>,
    waiting: Arc<Mutex<HashMap<u64, Waiting>>>,
    next: AtomicU64,
}

impl World {
    /// Connects and starts the reader; `unsolicited` is called from its thread.
    pub fn connect(
        socket: &Path,
        supervisor: &Supervisor,
        unsolicited: impl Fn(Unsolicited) + Send + 'static,
    ) -> Result<Arc<Self>, WireError> {
        let stream = UnixStream::connect(socket)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let waiting: Arc<Mutex<HashMap<u64, Waiting>>> = Arc::default();
        let world = Arc::new(Self {
            writer: Mutex::new(BufWriter::with_capacity(1 << 16, stream)),
            waiting: Arc::clone(&waiting),
            next: AtomicU64::new(1),
        });
        supervisor.thread("the world", move || {
            loop {
                let message = match receive::<ToKiosk>(&mut reader) {
                    Ok(Some((message, _))) => message,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "the world's socket broke");
                        break;
                    }
                };
                match message {
                    ToKiosk::Answer { id, answer } => {
                        let waiting = lock(&waiting).remove(&id);
                        // An answer after its time-out has nobody waiting; it is as if it never came.
                        if let Some(done) = waiting {
                            done(answer);
                        }
                    }
                    ToKiosk::Finger { at, ms } => unsolicited(Unsolicited::Finger { at, ms }),
                    ToKiosk::Input { line, active } => unsolicited(Unsolicited::Input { line, active }),
                    ToKiosk::RailNotice { body } => unsolicited(Unsolicited::RailNotice { body }),
                    ToKiosk::Scanned { text } => unsolicited(Unsolicited::Scanned { text }),
                    ToKiosk::Clock { offset_ms } => unsolicited(Unsolicited::Clock { offset_ms }),
                    ToKiosk::Ask { id, ask } => unsolicited(Unsolicited::Question { id, ask }),
                }
            }
            unsolicited(Unsolicited::Gone);
            End::Told
        })?;
        Ok(world)
    }

    /// Says something that wants no answer.
    pub fn tell(&self, message: &ToWorld, bytes: &[u8]) -> Result<(), WorldError> {
        let begin = begin(message, bytes).map_err(|e| WorldError::Gone(e.to_string()))?;
        put(&mut *lock(&self.writer), &begin, bytes).map_err(|e| WorldError::Gone(e.to_string()))
    }

    /// Asks and waits, at most `timeout`.
    pub fn ask(&self, ask: Ask, timeout: Duration) -> Result<Value, WorldError> {
        let (done, answer) = mpsc::sync_channel(1);
        // The receiver may have given up: then nobody is there to be told.
        let id = self.post(ask, Box::new(move |reply| drop(done.send(reply))))?;
        let reply = answer.recv_timeout(timeout);
        self.conclude(id, reply.ok(), timeout)
    }

    /// [`ask`](Self::ask) for callers that must not block their thread.
    pub async fn ask_async(&self, ask: Ask, timeout: Duration) -> Result<Value, WorldError> {
        let (done, answer) = oneshot::channel();
        let id = self.post(ask, Box::new(move |reply| drop(done.send(reply))))?;
        let reply = tokio::time::timeout(timeout, answer).await;
        self.conclude(id, reply.ok().and_then(Result::ok), timeout)
    }

    fn post(&self, ask: Ask, done: Waiting) -> Result<u64, WorldError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.waiting).insert(id, done);
        self.tell(&ToWorld::Ask { id, ask }, &[]).inspect_err(|_| {
            lock(&self.waiting).remove(&id);
        })?;
        Ok(id)
    }

    fn conclude(&self, id: u64, reply: Option<Reply>, timeout: Duration) -> Result<Value, WorldError> {
        match reply {
            Some(reply) => reply.map_err(WorldError::Refused),
            None => {
                lock(&self.waiting).remove(&id);
                Err(WorldError::Silent(timeout))
            }
        }
    }
}

/// A panic elsewhere while the lock was held leaves plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
