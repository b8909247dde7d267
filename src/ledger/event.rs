//! A record as an event for the fleet: the very text that was hashed, and everything else that its hash covers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Link;

/// The JSON document of an event. Whoever has it can recompute its hash; how is in `docs/fleet.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventDocument {
    pub ledger: String,
    pub seq: u64,
    pub hash: String,
    /// The hash of the event before; 64 zeros where the chain begins.
    pub prev: String,
    pub boot: String,
    /// Milliseconds since that boot.
    pub mono: u64,
    /// Milliseconds since 1970 UTC; none while the clock was unknown.
    pub ts: Option<u64>,
    /// As the text says it.
    pub order: Option<String>,
    /// As the text says it.
    pub kind: String,
    /// The record, as it was hashed: JSON, to be hashed before it is parsed.
    pub text: String,
}

impl EventDocument {
    /// The hash that everything else in the document has.
    pub fn recomputed(&self) -> String {
        let Self { seq, boot, mono, ts, kind, text, prev, .. } = self;
        Link { seq: *seq, boot, mono: *mono, wall: *ts, kind, body: text }.hash(prev)
    }
}
