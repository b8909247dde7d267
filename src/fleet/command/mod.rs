//! Commands: what the fleet's office asks of a kiosk, and what the kiosk answers.
//!
//! Policy: a command counts for its signature, by a key of the keyset in force, and for nothing else; who owns the broker
//! can keep one back and no more. It is for one kiosk or for all of a fleet, it has a number of its own and a counter of
//! its key, and each counter is taken once. What is believed becomes a [`Request`](crate::operation::Request) and takes the
//! road of every operation: its counter is on disk before anything is done. What moves goods or money has to name the run
//! of the daemon that it is meant for.
//!
//! - `desk` is the kiosk's side: it opens messages, and counts those that it rejects.
//! - `file` is what comes with an answer and is larger than a message.

mod desk;
mod file;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use desk::{Addressee, CommandDesk, Rejected, Rejections};
pub use file::{Collected, FileOfParts, LARGEST, Part, Sending};

use super::topic::Address;
use crate::operation::{Digest, Operation, Outcome, RequestId};

/// Longer messages, in bytes, are rejected unread.
pub const LONGEST: usize = crate::signed::jws::LONGEST;

/// What a command's signature covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandContent {
    /// `FLEET/KIOSK`, or `FLEET/all`.
    pub aud: String,
    /// The command's number, as in its topic.
    #[schemars(with = "String")]
    pub jti: RequestId,
    /// As in its topic.
    pub verb: String,
    /// What the operation has beside its verb.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Its key's counter: each is used once, the next is higher.
    pub ctr: u64,
    /// The run of the daemon that it is for, as the kiosk's state says it in `boot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Seconds since 1970 UTC; later it is refused, if the kiosk knows the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
}

/// The audience of a command to every kiosk of a fleet.
pub fn everyone(fleet: &super::topic::Name) -> String {
    format!("{fleet}/all")
}

/// The audience of a command to one kiosk.
pub fn one(address: &Address) -> String {
    address.to_string()
}

/// An operation from its verb and what it has beside it; `None` for what is none, or has more.
pub fn operation(verb: &str, args: &Map<String, Value>) -> Option<Operation> {
    if args.contains_key("do") {
        return None;
    }
    let mut document = args.clone();
    document.insert("do".into(), verb.into());
    let asked: Operation = serde_json::from_value(Value::Object(document)).ok()?;
    // Of an operation that has nothing beside its verb serde would ignore what stands there.
    let written = serde_json::to_value(&asked).ok()?;
    args.keys().all(|key| written.get(key).is_some()).then_some(asked)
}

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Believed, and on disk.
    Accepted,
    Executing,
    Successful,
    /// Begun and not brought to an end.
    Failed,
    /// It has no effect.
    Rejected,
}

impl Stage {
    /// Whether nothing comes after it.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Executing)
    }
}

/// What a kiosk says about a command. It stands on `cmd/VERB/ID/status`, signed where the kiosk has a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandStatus {
    pub id: String,
    pub verb: String,
    pub status: Stage,
    /// Why it was rejected or has failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What came of it, as in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub outcome: Option<Outcome>,
    /// Of a message that was not believed: its SHA-256 in hexadecimal. Anybody may have sent one under this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// With `executing`: a part of a file that belongs to the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// With `successful`: the file that was sent in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileOfParts>,
    /// Of `inspect`, with `successful`: the SHA-256 of the inspection's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub inspection: Option<Digest>,
}

impl CommandStatus {
    pub fn new(verb: impl Into<String>, id: impl Into<String>, status: Stage) -> Self {
        Self {
            id: id.into(),
            verb: verb.into(),
            status,
            reason: None,
            outcome: None,
            message: None,
            part: None,
            file: None,
            inspection: None,
        }
    }

    /// What came of a command.
    pub fn ended(verb: impl Into<String>, id: impl Into<String>, outcome: &Outcome) -> Self {
        let (status, reason) = match outcome {
            Outcome::Changed { .. } | Outcome::Energised { .. } | Outcome::Unchanged => (Stage::Successful, None),
            Outcome::Refused { why } => (Stage::Rejected, Some(why.to_string())),
            Outcome::Failed { why } => (Stage::Failed, Some(why.to_string())),
        };
        Self { reason, outcome: Some(outcome.clone()), ..Self::new(verb, id, status) }
    }

    /// Nothing was done, and nothing is on record.
    pub fn rejected(verb: impl Into<String>, id: impl Into<String>, why: impl Into<String>) -> Self {
        Self { reason: Some(why.into()), ..Self::new(verb, id, Stage::Rejected) }
    }
}

/// The name of a message, by which its sender knows it.
pub fn digest(message: &[u8]) -> String {
    Digest::of(message).to_string()
}
