//! A simulated fleet: N machines, each with the real sale, a real ledger and the real link, for load and for trying a rollout.
//!
//! Policy: what a machine decides, writes and says is the daemon's own code; only what stands around it is pretended: customers,
//! a provider, a board, and mishaps. One thread of a process works on all of its machines. A ledger and its connections take
//! eight file descriptors, of which a process has 20,000 on most systems; so one process has at most [`SHARE`] machines, and
//! more are more processes.

mod chance;
mod folders;
mod machine;
mod parent;
mod share;
mod surroundings;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use parent::{Came, run};
pub use share::run as run_share;

use crate::fleet::office::{Access, OfficeError};
use crate::fleet::topic::Name;

/// Machines of one process.
pub const SHARE: u64 = 2_000;

/// What `kioskfleet simulate` was told.
#[derive(Debug, Clone)]
pub struct Options {
    pub machines: u64,
    pub access: Access,
    pub fleet: Name,
    /// Where keys and ledgers lie.
    pub state: PathBuf,
    /// Between two customers of a machine, on average.
    pub every: Duration,
    pub seed: u64,
    /// In place of each machine's own `start_delay`.
    pub spread: Option<Duration>,
    /// Of a hundred deliveries, those that jam.
    pub jams: f64,
    /// Power cuts and losses of the network of each machine, an hour.
    pub cuts: f64,
    pub losses: f64,
    /// Of a hundred machines, those that hear no command.
    pub silent: f64,
    /// How long it sells; `None`: until it is told to stop.
    pub long: Option<Duration>,
    /// How often it says how it goes.
    pub report: Duration,
    /// In the end it comes to rest, and everything must be acknowledged.
    pub check: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] crate::fleet::tls::TlsError),
    #[error(transparent)]
    Keygen(#[from] crate::fleet::keygen::KeygenError),
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error(transparent)]
    Name(#[from] crate::vocabulary::BadName),
    #[error("{0}")]
    Key(String),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("a process of simulated machines has ended: {0}")]
    Ended(String),
}

impl SimulateError {
    fn file(path: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        |source| Self::File { path: path.into(), source }
    }
}
