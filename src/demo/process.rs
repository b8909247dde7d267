//! Runs the kiosk's process, starts it again when it dies, and kills it where a test or the page cuts the power.
//!
//! Policy: a process that dies is started again, as a service manager would, after a longer wait each time it dies
//! soon. Cutting the power is SIGKILL, and the caller goes on only when the process is dead. The process is reaped
//! under the lock that a killer holds, so that a signal never reaches another process that got its number.

use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

const BACK_OFF_FIRST: Duration = Duration::from_millis(200);
const BACK_OFF_MOST: Duration = Duration::from_secs(5);
/// Who lived that long has not died young.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);
/// After SIGTERM; then SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// Nothing runs until [`start`](Self::start).
#[derive(Clone, Default)]
pub struct KioskProcess {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: Option<Pid>,
    starts: u64,
    killed: bool,
    stopping: bool,
    supervised: bool,
}

impl KioskProcess {
    /// Starts `command`, and again whenever it has died; `report` hears of every start (true) and death (false).
    pub fn start(
        &self,
        command: impl Fn() -> Command + Send + 'static,
        report: impl Fn(bool) + Send + 'static,
    ) -> std::io::Result<()> {
        self.lock().supervised = true;
        let shared = Arc::clone(&self.shared);
        let supervisor = move || {
            shared.supervise(command, report);
            shared.lock().supervised = false;
            shared.changed.notify_all();
        };
        std::thread::Builder::new().name("supervisor".into()).spawn(supervisor).map(drop)
    }

    /// SIGKILL; it is dead when this returns, and starts again from disk at once. False if nothing was running.
    pub fn kill(&self) -> bool {
        let mut state = self.lock();
        let Some(pid) = state.running else { return false };
        state.killed = true;
        signal(pid, Signal::KILL);
        while state.running == Some(pid) {
            state = self.shared.wait(state, BACK_OFF_MOST);
        }
        true
    }

    /// SIGTERM, and SIGKILL if that does not help; it is dead when this returns, and stays so.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        self.shared.changed.notify_all();
        let since = Instant::now();
        if let Some(pid) = state.running {
            signal(pid, Signal::TERM);
        }
        let mut killed = false;
        while state.supervised {
            if let Some(pid) = state.running
                && since.elapsed() >= STOP_GRACE
                && !killed
            {
                signal(pid, Signal::KILL);
                killed = true;
            }
            state = self.shared.wait(state, STOP_GRACE.saturating_sub(since.elapsed()).max(BACK_OFF_FIRST));
        }
    }

    pub fn running(&self) -> bool {
        self.lock().running.is_some()
    }

    /// How often it was started.
    pub fn starts(&self) -> u64 {
        self.lock().starts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn supervise(&self, command: impl Fn() -> Command, report: impl Fn(bool)) {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let born = Instant::now();
            match self.spawn(command()) {
                Ok(None) => return,
                Ok(Some(child)) => {
                    report(true);
                    let why = self.mourn(child);
                    report(false);
                    tracing::info!(%why, "the kiosk's process has ended");
                }
                Err(error) => tracing::error!(%error, "the kiosk could not be started"),
            }
            let mut state = self.lock();
            if std::mem::take(&mut state.killed) {
                back_off = BACK_OFF_FIRST;
                continue;
            }
            if born.elapsed() >= HEALTHY_AFTER {
                back_off = BACK_OFF_FIRST;
            }
            let again = Instant::now() + back_off;
            if !state.stopping {
                tracing::warn!(again_in_ms = back_off.as_millis() as u64, "the kiosk died by itself");
            }
            while !state.stopping && Instant::now() < again {
                state = self.wait(state, again.saturating_duration_since(Instant::now()));
            }
            back_off = (back_off * 2).min(BACK_OFF_MOST);
        }
    }

    /// `None` when there is no need any more.
    fn spawn(&self, mut command: Command) -> std::io::Result<Option<Child>> {
        let mut state = self.lock();
        if state.stopping {
            return Ok(None);
        }
        let child = command.spawn()?;
        state.running = Some(Pid::from_child(&child));
        state.starts += 1;
        self.changed.notify_all();
        Ok(Some(child))
    }

    /// Waits for the end; says how it ended.
    fn mourn(&self, mut child: Child) -> String {
        let pid = Pid::from_child(&child);
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(error) = rustix::process::waitid(WaitId::Pid(pid), ended) {
            if error != rustix::io::Errno::INTR {
                break;
            }
        }
        let mut state = self.lock();
        let why = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        state.running = None;
        self.changed.notify_all();
        why
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Called under the lock while it is not reaped, so the number is still its own.
fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process(pid, signal) {
        tracing::warn!(%error, "the kiosk's process could not be signalled");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const SOON: Duration = Duration::from_secs(60);

    #[test]
    fn pulled_it_is_dead_and_comes_back_and_stopped_it_stays_away() {
        let process = KioskProcess::default();
        assert!(!process.kill());
        let (said, heard) = channel();
        let sleeper = || {
            let mut command = Command::new("sleep");
            command.arg("600");
            command
        };
        process.start(sleeper, move |up| said.send(up).unwrap_or(())).unwrap();
        assert_eq!(heard.recv_timeout(SOON), Ok(true));
        assert!(process.kill());
        assert_eq!(heard.recv_timeout(SOON), Ok(false));
        assert_eq!(heard.recv_timeout(SOON), Ok(true));
        assert_eq!(process.starts(), 2);
        process.stop();
        assert_eq!(heard.recv_timeout(SOON), Ok(false));
        assert!(heard.recv_timeout(SOON).is_err(), "the supervisor has ended");
        assert!(!process.running());
    }

    #[test]
    fn what_dies_by_itself_is_started_again() {
        let process = KioskProcess::default();
        let (said, heard) = channel();
        process.start(|| Command::new("true"), move |up| said.send(up).unwrap_or(())).unwrap();
        for up in [true, false, true, false, true] {
            assert_eq!(heard.recv_timeout(SOON), Ok(up));
        }
        process.stop();
        // It may have been started again before it was stopped.
        let more = heard.iter().filter(|up| *up).count();
        assert_eq!(process.starts(), 3 + more as u64);
    }
}
