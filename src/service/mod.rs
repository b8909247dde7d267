//! The service manager: it is told when the kiosk is ready and that it is alive, and its journal gets what is logged.
//!
//! Policy: `READY=1` goes out with the first frame, so that what is started after the kiosk finds a lit glass. The
//! watchdog is fed by progress and by nothing else: every part that must not hang is asked, and only their answers
//! together are passed on. Without systemd, or in a build without the feature `systemd`, nobody is told. Every part is
//! started by the [`Supervisor`], which hears of its end.

#[cfg(feature = "systemd")]
pub mod journal;
pub mod log;
mod progress;
mod replace;
mod supervisor;

pub use log::Log;
pub use progress::{Heartbeat, Part, Watch, watch};
pub use replace::replace;
pub use supervisor::{End, Ended, Supervisor, Thread};

use std::path::PathBuf;
use std::time::Duration;

/// What systemd is told; see `sd_notify(3)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification<'a> {
    /// The first frame is up. The text is for `systemctl status`.
    Ready(&'a str),
    Status(&'a str),
    /// Every part has made progress.
    Alive,
    Stopping,
}

#[cfg(feature = "systemd")]
pub fn notify(what: &Notification<'_>) {
    use systemd::daemon;
    let state: &[(&str, &str)] = match *what {
        Notification::Ready(status) => &[(daemon::STATE_READY, "1"), (daemon::STATE_STATUS, status)],
        Notification::Status(status) => &[(daemon::STATE_STATUS, status)],
        Notification::Alive => &[(daemon::STATE_WATCHDOG, "1")],
        Notification::Stopping => &[(daemon::STATE_STOPPING, "1")],
    };
    if let Err(error) = daemon::notify(state.iter()) {
        tracing::warn!(%error, ?what, "systemd could not be notified");
    }
}

#[cfg(not(feature = "systemd"))]
pub fn notify(_: &Notification<'_>) {}

/// The folder that systemd has made for this run (`RuntimeDirectory=`, `systemd.exec(5)`).
pub fn runtime_directory() -> Option<PathBuf> {
    let made = std::env::var_os("RUNTIME_DIRECTORY")?;
    std::env::split_paths(&made).next()
}

/// A service manager has started this process, and waits to hear that it is ready.
pub fn managed() -> bool {
    cfg!(feature = "systemd") && std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The time within which systemd wants to hear [`Notification::Alive`], where it watches this process (`WatchdogSec=`).
#[cfg(feature = "systemd")]
pub fn watchdog() -> Option<Duration> {
    match systemd::daemon::watchdog_enabled() {
        Ok(0) => None,
        Ok(micros) => Some(Duration::from_micros(micros)),
        Err(error) => {
            tracing::warn!(%error, "systemd's watchdog can't be queried");
            None
        }
    }
}

#[cfg(not(feature = "systemd"))]
pub fn watchdog() -> Option<Duration> {
    None
}
