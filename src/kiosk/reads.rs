//! Reads of the ledger go round the loop: on a connection and a thread of their own.
//!
//! Policy: the loop asks and goes on; what was read comes back as an input, or goes straight to whoever wanted it. A read
//! sees everything that was committed when it was asked for. The loop's own reads are few and always taken; of strangers'
//! questions only so many wait, and the next is refused at once. However long a read takes, a door is heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::ledger::Reader;
use crate::service::{End, Supervisor, Thread};

/// Strangers' questions that are asked and not answered.
const WAITING: usize = 16;
/// How long the end waits for the read that is under way.
const STOP: Duration = Duration::from_secs(2);

type Read = Box<dyn FnOnce(&Reader) + Send>;

pub(super) struct Reads {
    asked: Sender<Read>,
    waiting: Arc<AtomicUsize>,
    thread: Thread,
}

/// Too many questions wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many questions at once; ask again")]
pub(super) struct Busy;

impl Reads {
    /// # Errors
    /// No thread for it.
    pub fn start(reader: Reader, supervisor: &Supervisor) -> std::io::Result<Self> {
        let (asked, reads) = channel::<Read>();
        let thread = supervisor.thread("the ledger's reader", move || {
            for read in reads {
                read(&reader);
            }
            End::Told
        })?;
        Ok(Self { asked, waiting: Arc::default(), thread })
    }

    /// For the loop itself. `read` runs on the reading thread, one after the other.
    pub fn own(&self, read: impl FnOnce(&Reader) + Send + 'static) {
        // Without its thread the kiosk is about to end.
        drop(self.asked.send(Box::new(read)));
    }

    /// For whoever asks from outside.
    pub fn ask(&self, read: impl FnOnce(&Reader) + Send + 'static) -> Result<(), Busy> {
        // Only the loop adds to it, so it can't pass the limit in between.
        if self.waiting.load(Ordering::Relaxed) >= WAITING {
            return Err(Busy);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Arc::clone(&self.waiting);
        self.own(move |reader| {
            read(reader);
            waiting.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(())
    }

    /// Closes the connection, unless a read hangs.
    pub fn stop(self) {
        drop(self.asked);
        if !self.thread.wait(STOP) {
            tracing::warn!("a read of the ledger did not end in time");
        }
    }
}

#[cfg(test)]
mod tests;
