//! A rollout: one command to many machines, wave by wave.
//!
//! Policy: the next wave begins only when enough machines of the one before have said that they were successful. Silence is a
//! failure, and so is what comes too late. Whatever is done is on disk before, so that whoever takes a rollout up again sends
//! the same commands: a machine that has done its own answers what came of it, and does nothing.
//!
//! - `plan` is what a person has written.
//! - `course` says what is to be done next, and is pure.
//! - `journal` is what was done, on disk.
//! - `stands` is what its lines add up to.
//! - `approval` is a second person's word.
//! - `run` puts them together with the broker.

mod approval;
mod course;
mod journal;
mod plan;
mod run;
mod stands;

use std::path::PathBuf;

pub use approval::approve;
pub use course::{End, Halt};
pub use run::{Came, Progress, Wanted, Watch, run};

use super::office::OfficeError;
use super::topic::Name;
use crate::signed::jws::BadMessage;
use crate::signed::keys::KeyError;

#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    #[error("{path}: {why}", path = path.display())]
    Plan { path: PathBuf, why: String },
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: line {line} can't be read, so nobody knows what was done: {source}", path = path.display())]
    State { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("another process works on this rollout; it has {path}", path = path.display())]
    Held { path: PathBuf },
    #[error("`{0}` is no file that the plan names")]
    NoText(String),
    #[error("`{0}` is no verb; docs/fleet.md lists them")]
    Verb(String),
    #[error("`{0}` does not have these arguments; docs/fleet.md lists each verb with its own")]
    Arguments(String),
    #[error("`{0}` is for one machine and one moment: send it with `kioskfleet send`")]
    OneByOne(String),
    #[error("what {kiosk} would be sent has {bytes} bytes, and a command has no room for it")]
    TooLong { kiosk: Name, bytes: usize },
    #[error(
        "the plan, or a file that it names, is another than when this rollout began; \
             take it back, or write a new plan under another name"
    )]
    Changed,
    #[error("this rollout is being undone, so it does not go on")]
    Undone,
    #[error("this rollout has not begun, so there is nothing to undo")]
    NotBegun,
    #[error("the plan has no [undo], so nobody knows what would undo it")]
    NoUndo,
    #[error("nobody waits for --continue: {0}")]
    NotWaiting(&'static str),
    #[error("no machine of the fleet is online")]
    NobodyOnline,
    #[error("the plan has no [approval], so nobody needs to approve it")]
    NoApproval,
    #[error("the plan needs an approval, and {path} is not there: another person types `kioskfleet approve`", path = path.display())]
    Unapproved { path: PathBuf },
    #[error("the approval does not count: {0}")]
    NotApproved(BadMessage),
    #[error("what was approved is another plan than this one, or its files have changed since")]
    OtherApproval,
    #[error("`{0}` is the key that signs the commands: another person approves")]
    OwnApproval(String),
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("it can't be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("it can't be printed")]
    Print(#[source] std::io::Error),
}
