//! Watches whether every part of the kiosk still makes progress.
//!
//! Each part is nudged in the same way as its work reaches it, and answers when it comes to the nudge. So an answer
//! means that work is being done, not only that a thread exists; a part that hangs never answers, however often it is
//! nudged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{End, Supervisor, Thread};

/// For the watch to end: it does nothing that takes time.
const STOP: Duration = Duration::from_secs(1);

/// A part's answers.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Called by the part where it takes up its next work.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that is watched.
pub struct Part {
    pub name: &'static str,
    pub heartbeat: Heartbeat,
    /// Makes it beat as soon as it can; must not wait for it.
    pub nudge: Box<dyn Fn() + Send>,
}

/// Ends the watch when it is dropped.
pub struct Watch {
    stop: Option<Sender<()>>,
    thread: Thread,
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.wait(STOP);
    }
}

/// Asks every part several times within `limit`, and calls `alive` whenever all have answered since the last time.
///
/// # Errors
/// No thread for it.
pub fn watch(
    supervisor: &Supervisor,
    parts: Vec<Part>,
    limit: Duration,
    alive: impl Fn() + Send + 'static,
) -> std::io::Result<Watch> {
    let (stop, stopped) = channel();
    let run = move || {
        let mut heard: Vec<u64> = parts.iter().map(|part| part.heartbeat.count()).collect();
        let mut late = vec![false; parts.len()];
        loop {
            parts.iter().for_each(|part| (part.nudge)());
            // A third: one answer may come too late for its round and still be in time for the limit.
            match stopped.recv_timeout(limit / 3) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return End::Told,
            }
            for ((part, heard), late) in parts.iter().zip(&heard).zip(&mut late) {
                let silent = part.heartbeat.count() == *heard;
                if silent && !*late {
                    tracing::warn!(part = part.name, "a part makes no progress");
                }
                *late = silent;
            }
            if !late.contains(&true) {
                heard = parts.iter().map(|part| part.heartbeat.count()).collect();
                alive();
            }
        }
    };
    let thread = supervisor.thread("the watchdog", run)?;
    Ok(Watch { stop: Some(stop), thread })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn alive_is_said_only_while_every_part_answers() {
        let (works, other) = (Heartbeat::default(), Heartbeat::default());
        let hangs = Arc::new(AtomicBool::new(false));
        let (said, heard) = channel();
        let answers = |heartbeat: &Heartbeat, hangs: &Arc<AtomicBool>| {
            let (heartbeat, hangs) = (heartbeat.clone(), Arc::clone(hangs));
            Box::new(move || {
                if !hangs.load(Ordering::Relaxed) {
                    heartbeat.beat()
                }
            }) as Box<dyn Fn() + Send>
        };
        let never = Arc::new(AtomicBool::new(false));
        let parts = vec![
            Part { name: "works", nudge: answers(&works, &never), heartbeat: works },
            Part { name: "other", nudge: answers(&other, &hangs), heartbeat: other },
        ];
        let limit = Duration::from_millis(30);
        let supervisor = Supervisor::new(|_| ());
        let watch = watch(&supervisor, parts, limit, move || said.send(()).unwrap_or(())).unwrap();
        let patience = Duration::from_secs(60);
        heard.recv_timeout(patience).expect("both answer");
        hangs.store(true, Ordering::Relaxed);
        // What was said before goes first, and one may be on its way.
        while heard.try_recv().is_ok() {}
        let late = std::iter::from_fn(|| heard.recv_timeout(limit * 5).ok()).take(10).count();
        assert!(late < 5, "one that hangs is enough");
        hangs.store(false, Ordering::Relaxed);
        heard.recv_timeout(patience).expect("it came back");
        drop(watch);
        while heard.try_recv().is_ok() {}
        assert!(heard.recv_timeout(limit).is_err(), "it has ended");
    }
}
