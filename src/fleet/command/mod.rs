//! Commands: what the fleet's office asks of a kiosk, and what the kiosk answers.
//!
//! Policy: a command counts for its signature, by a key of the keyset in force, and for nothing else; who owns the broker
//! can keep one back and no more. It is for one kiosk or for all of a fleet, it has a number of its own and a counter of
//! its key, and each counter is taken once. What is believed becomes a [`Request`](crate::operation::Request) and takes the
//! road of every operation: its counter is on disk before anything is done. What moves goods or money has to name the run
//! of the daemon that it is meant for.
//!
//! - `desk` is the kiosk's side: it opens messages, and counts those that it rejects.

mod desk;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use desk::{Addressee, CommandDesk, Rejected, Rejections};

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
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// In base64, at most 48 KiB of the file, which are 64 KiB here; so the message stays below what any broker takes.
    pub data: String,
}

/// A file that was sent in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileOfParts {
    pub parts: u32,
    /// Of the whole, in hexadecimal.
    #[schemars(with = "String")]
    pub sha256: Digest,
}

/// So many bytes of a file are in one part, and so many parts does a file have at most: they wait for the connection with
/// everything else that is said of commands.
const PART: usize = 48 << 10;
const MOST_PARTS: usize = 24;

/// A file as the statuses that carry it, and what the last status says of it; `None` for one that is too large.
pub fn in_parts(verb: &str, id: &str, file: &[u8]) -> Option<(Vec<CommandStatus>, FileOfParts)> {
    let parts: Vec<CommandStatus> = (1..)
        .zip(file.chunks(PART))
        .map(|(number, data)| {
            let part = Some(Part { number, data: BASE64_STANDARD.encode(data) });
            CommandStatus { part, ..CommandStatus::new(verb, id, Stage::Executing) }
        })
        .collect();
    let whole = FileOfParts { parts: u32::try_from(parts.len()).ok()?, sha256: Digest::of(file) };
    (parts.len() <= MOST_PARTS).then_some((parts, whole))
}

/// The parts of a file as they come, in whatever order and however often.
#[derive(Debug, Clone, Default)]
pub struct Collected(BTreeMap<u32, Vec<u8>>);

impl Collected {
    pub fn take(&mut self, part: &Part) {
        if self.0.len() < MOST_PARTS
            && let Ok(data) = BASE64_STANDARD.decode(&part.data)
            && data.len() <= PART
        {
            self.0.insert(part.number, data);
        }
    }

    /// The file, once all of it has come and it is what was said.
    pub fn whole(&self, file: &FileOfParts) -> Option<Vec<u8>> {
        let all: Vec<u8> = (1..=file.parts).map_while(|number| self.0.get(&number)).flatten().copied().collect();
        (Digest::of(&all) == file.sha256).then_some(all)
    }
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
