//! How new software comes to the machine.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Span};

/// New software, [by command](update.md).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Update {
    pub installer: InstallBy,
    /// So long new software may take to prove itself: a frame on the glass, the ledger, the board, the fleet's broker. Then
    /// the former is started again.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub gate: Span,
    /// Says which version runs, in `IMAGE_VERSION`, else in `VERSION_ID`: each copy of the software has its own.
    #[schemars(extend("examples" = ["/usr/lib/os-release"]))]
    pub release: PathBuf,
    /// A larger bundle is not fetched.
    #[schemars(extend("x-minimum" = "1 MiB", "x-maximum" = "64 GiB"))]
    pub max_size: Bytes,
    /// A PEM file with the CA of the server that has the bundles, in place of the system's.
    #[schemars(extend("examples" = ["/etc/kioskd/ca.pem"]))]
    pub ca: Option<PathBuf>,
}

/// Who installs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstallBy {
    /// RAUC, where it is set up on this machine; of a simulated board the world at the other end of `--world`.
    #[default]
    Auto,
    /// RAUC, on the system's bus.
    Rauc,
    /// Nobody.
    None,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            installer: InstallBy::Auto,
            gate: Span::seconds(600),
            release: "/etc/os-release".into(),
            max_size: Bytes::mib(1024),
            ca: None,
        }
    }
}
