//! The durable record: SQLite in WAL mode with `synchronous=FULL`, so that what was committed survives a power cut.
//!
//! Policy: one commit a step, all or nothing, records and what is derived from them together; none on idle. Records are
//! append-only and hash-chained. After a write that failed nothing more is written in this run: the ledger latches and
//! sales stop, because nobody knows what the disk holds. A full disk is the exception that was planned for: a reserve
//! file is given up so that money records still fit, and nothing new is sold until there is room again.
//!
//! One daemon a ledger: whoever writes holds the directory, and whoever copied it or moved it to another board gets a
//! number of its own, so that no number of a ledger is ever written on by two. Its files are their owner's alone.
//!
//! The tables are what the records add up to and nothing else; `verify` adds up again and compares.
//!
//! The fleet's outbox is the records themselves, from the cursor of what the back end has acknowledged. Nothing is ever
//! deleted because somebody acknowledged it.

mod cash_up;
mod chain;
mod charges;
mod commit;
mod configuration;
mod cuts;
mod eva_dts;
mod event;
mod export;
mod fees;
mod fingerprint;
mod lane;
mod lock;
mod memory;
mod operations;
mod parking;
mod project;
mod reader;
mod rebuild;
mod recent;
mod reconcile;
mod reserve;
mod row;
mod schema;
mod story;
mod totals;
mod understood;

use std::path::{Path, PathBuf};

pub use cash_up::{CashUp, ClaimLine, Cut, Foreign, InCurrency, ProductSum, RailSum};
pub use chain::GENESIS;
pub use charges::{ChargeLine, PaymentLine, RefundLine};
pub use commit::Ledger;
pub use configuration::{Configurations, StoredConfig};
pub use eva_dts::{Machine, Selection};
pub use event::EventDocument;
pub use export::{Rows, Table, csv};
pub use fees::{Days, FeeReport, Sum};
pub use lock::DirectoryLock;
pub use operations::{OperationLine, RecordedTest};
pub use reader::{EventLine, Reader, Verified, When};
pub use recent::{Counted, Recent, Stops};
pub use reconcile::{Ask, Difference, Disagreement, NoPeriod, Reconciliation, reconcile};
pub use story::Story;
pub use totals::Totals;

use crate::sale::{self, Record};
use crate::vocabulary::Stamp;

/// The file in the state directory.
pub const FILE: &str = "kiosk.db";

/// Where records go: the kiosk's is [`Ledger`]. A test's may forget what was not synced, or fail when told to.
pub trait Journal {
    /// Writes the records of one step, and what they changed in `state`, durably and all or none.
    fn commit(&mut self, at: &Stamp, records: &[Record], state: &sale::State) -> Result<(), LedgerError>;
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{path}: {source}", path = path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: not a kioskd ledger; move it away and start again to begin a new one", path = path.display())]
    Foreign { path: PathBuf },
    #[error("{path}: written by a newer kioskd (schema {found}, this one knows {known}); install that version", path = path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{path}: written by an older kioskd (schema {found}, this one knows {known}); move it away and start again to begin a new one", path = path.display())]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error("{path}: record {seq} {what}; keep the file, a person must look", path = path.display())]
    Corrupt { path: PathBuf, seq: u64, what: String },
    #[error("{path}: {what}; keep the file, a person must look", path = path.display())]
    Differs { path: PathBuf, what: String },
    #[error("{path}: {what}", path = path.display())]
    Unreadable { path: PathBuf, what: &'static str },
    #[error("{}: what the shop remembers can't be read: {what}", path.display())]
    Forgotten { path: PathBuf, what: String },
    #[error("{path} is held by {by}; one daemon a ledger, so stop that one first", path = path.display())]
    Held { path: PathBuf, by: String },
    #[error("the ledger is latched after a failed write: {0}")]
    Latched(String),
}

impl LedgerError {
    fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> LedgerError + '_ {
        |source| LedgerError::Sqlite { path: path.into(), source }
    }

    fn io(path: &Path) -> impl Fn(std::io::Error) -> LedgerError + '_ {
        |source| LedgerError::Io { path: path.into(), source }
    }

    /// No room on the file system, by SQLite's word.
    fn disk_full(&self) -> bool {
        matches!(self, LedgerError::Sqlite { source: rusqlite::Error::SqliteFailure(error, _), .. }
            if error.code == rusqlite::ErrorCode::DiskFull)
    }
}
