//! Where technicians and other programs on the machine find the kiosk.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `org.kioskd.Kiosk1` on D-Bus: for technicians and programs on this machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dbus {
    pub bus: Bus,
    /// Which of several kiosks on one board it is: letters, digits, `_` and `-`, the first no digit. It is
    /// `org.kioskd.Kiosk1.NAME` then, and its unit `kioskd@NAME.service`; see [several lanes](parking.md#several-lanes-on-one-board).
    #[schemars(extend("examples" = ["entry"], "pattern" = "^[A-Za-z_][0-9A-Za-z_-]{0,31}$"))]
    pub instance: Option<String>,
    /// Ask polkit, too, whether who calls may move something or decide about money
    /// ([what it is asked](dbus.md#polkit)). Without it whoever the bus lets in may do everything.
    pub polkit: bool,
}

/// Which bus the kiosk is on. One that is away is tried again, and holds nothing up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// The machine's; its policy says who may call.
    #[default]
    System,
    /// That of whoever has started the kiosk; all their programs may call.
    Session,
    /// On no bus.
    None,
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Session => "session",
            Self::None => "none",
        })
    }
}
