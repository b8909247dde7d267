//! `[service]`: the service menu on the glass.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signed::pin::PinHash;

/// The service menu, for a technician who has only the glass. Without it there is none. Five touches of the place, within
/// three seconds, ask for the PIN ([the service menu](glass.md#the-service-menu)).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceMenu {
    /// The PIN's hash, as `kioskctl pin` prints it: Argon2id in PHC form, 7 to 64 MiB, 1 to 10 passes, 1 to 4 lanes.
    #[schemars(extend("examples" = ["$argon2id$v=19$m=19456,t=2,p=1$…"]))]
    pub pin: PinHash,
}
