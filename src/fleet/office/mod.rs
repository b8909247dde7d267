//! The office's side of the commands: it makes keysets, and sends one command and listens to what comes of it.
//!
//! Policy: the broker is believed in nothing. What a kiosk says of a command counts for its signature where its key is
//! known. The counter of a key is on disk before a command with it leaves, so no crash uses one twice.

mod access;
mod ask;
mod counter;
mod inspect;
mod keyset;
mod send;
mod signing;

use std::path::PathBuf;

pub use access::Access;
pub(super) use access::RECONNECT;
pub use ask::{Answer, Question, ask};
pub use inspect::{Expected, ExpectedConfig, Judged, Known, judge, listed};
pub use keyset::{KeyChoice, make_keyset};
pub use send::{Sent, Target, Wanted, send};
pub use signing::{SigningKey, keyset_version, names_the_run, status, unverified};

use super::link::BadBroker;
use super::tls::TlsError;
use crate::signed::keys::KeyError;
use crate::signed::keyset::BadKeyset;

#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    #[error("--broker: {0}")]
    Broker(#[from] BadBroker),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the keyset: {0}")]
    Keyset(#[from] BadKeyset),
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} does not hold a counter; it holds the last number that its key has used: write that, or remove it", path = path.display())]
    Counter { path: PathBuf },
    #[error("`{0}` is no verb; there are {1}")]
    Verb(String, String),
    #[error("`{0}` does not have these arguments; docs/fleet.md lists each verb with its own, written NAME=VALUE")]
    Arguments(String),
    #[error("an argument is written NAME=VALUE, not `{0}`")]
    Argument(String),
    #[error("`{0}` moves goods or money: send it to one kiosk, by its name")]
    LiveToAll(String),
    #[error("a file comes with the answer: write --save FILE, or --save - for standard output")]
    NowhereToSave,
    #[error("{0} has done it and sends its file no more; ask for it again, with a new command")]
    NoFile(String),
    #[error("not every part of the file has come; ask for it again")]
    PartsMissing,
    #[error("{path} has no KIOSK.pem of any machine", path = .0.display())]
    NoKeys(PathBuf),
    #[error("a command is signed: write --sign NAME.key")]
    Unsigned,
    #[error("the command can't be written")]
    Json(#[from] serde_json::Error),
    #[error("the system gives no random numbers")]
    Random,
    #[error("the broker can't be reached: {0}")]
    Unreachable(String),
    #[error("{0} is not online, so nothing was sent: look at its presence, and at --fleet and --kiosk")]
    Offline(String),
    #[error("the broker has no state of {0}, whose run the command would have to name; nothing was sent")]
    NoState(String),
    #[error("could not start the MQTT client: {0}")]
    Start(#[source] std::io::Error),
    #[error("the answer can't be printed")]
    Print(#[source] std::io::Error),
}
