//! What a kiosk has told the fleet, checked by whoever has its public key.
//!
//! Policy: an event proves itself by nothing. Its hash covers it and the chain before it, and a checkpoint signed by the
//! kiosk covers the hash; so an event counts once a checkpoint after it is reached through events that are all there. What
//! anybody may send is held within bounds until then, and what the kiosk did not sign changes nothing, however well it
//! fits.

mod totals;
mod verifier;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use totals::{Sums, Totals};
pub use verifier::{Proved, Refused, Verdict, Verifier};

/// A point in the chain of one ledger's events: a checkpoint is one said by the kiosk, an acknowledgement one said by the
/// back end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    pub ledger: String,
    pub seq: u64,
    pub hash: String,
}
