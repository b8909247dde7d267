//! The operator's policies about deliveries and restarts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What settles a delivery that no sensor can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownDelivery {
    /// Give the money back.
    Refund,
    /// Open a claim; a person settles it.
    Hold,
    /// Keep the money.
    AssumeDelivered,
}

/// What happens after a restart to an order that was paid before anything was energised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaidWithoutIntent {
    /// The customer has probably gone.
    Refund,
    /// Deliver now.
    Resume,
}
