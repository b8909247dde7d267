//! Input devices of the kernel: the touch sensor of the glass, a keypad, a scanner; and the simulated touch sensor.
//!
//! Policy: a device that is not there is a named fault, never an error: it is looked for once a second and works as
//! soon as it is there. Whatever it sends, it can only press what is on the glass, type what a key pad has, or hand
//! over a short printable text. A keypad and a scanner are taken for the kiosk alone, so that they type into nothing
//! else on the machine; a touch sensor may be watched by others.
//!
//! A pressed place and where it was let go are told one by one: what that means is decided by whoever knows the page.

mod aim;
mod find;
mod fingers;
mod keypad;
mod place;
mod scanner;
mod sensor;
mod simulated;
mod watch;

pub use aim::{Aim, Aimed};
pub use find::{Device, DeviceDirs, Ids, Kind, Probed, Range, probe};
pub use scanner::can_be_scanned;
pub use simulated::Simulated;

use std::fmt;

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode, KeyCode};

use crate::config;
use crate::sale::Key;
use crate::service::Supervisor;
use crate::vocabulary::Spot;

/// What a person did, or what became of a device. Called from a task; must not block.
#[derive(Debug, Clone, PartialEq)]
pub enum InputEvent {
    /// A finger came down. Exactly one of the next two follows before another comes.
    Pressed(Spot),
    /// It was lifted there; the same place where it has not moved.
    Lifted(Spot),
    /// Nothing comes of it.
    Strayed,
    Key(Key),
    /// Printable ASCII, from 1 character to the configured number.
    Scanned(String),
    /// Why a device can't be used; `None` once it can. Said at the start and when it changes.
    Device {
        role: Role,
        fault: Option<String>,
    },
}

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Touch,
    Keypad,
    Scanner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Touch => "touch",
            Role::Keypad => "keypad",
            Role::Scanner => "scanner",
        })
    }
}

/// A device that the kiosk wants.
#[derive(Debug, Clone)]
pub enum DeviceSelector {
    Touch {
        config: config::Touch,
        /// Degrees by which the picture is turned on the panel, clockwise: 0, 90, 180 or 270.
        rotation: u32,
    },
    Keypad(config::Keypad),
    Scanner(config::Scanner),
}

/// Watches a device until the runtime ends.
pub fn start(
    supervisor: &Supervisor,
    runtime: &tokio::runtime::Handle,
    wanted: DeviceSelector,
    places: DeviceDirs,
    report: impl Fn(InputEvent) + Send + Sync + 'static,
) {
    let part = match wanted.role() {
        Role::Touch => "the touch sensor",
        Role::Keypad => "the keypad",
        Role::Scanner => "the scanner",
    };
    supervisor.task(runtime, part, watch::tend(wanted, places, report));
}

type Report<'a> = dyn FnMut(InputEvent) + 'a;

/// What the kernel knows of a device besides its events.
#[derive(Debug, Clone, Copy, Default)]
struct Snapshot {
    /// Which slot the next contact event is about.
    slot: Option<i32>,
    x: Option<i32>,
    y: Option<i32>,
    /// Something touches it.
    pressed: bool,
}

impl Snapshot {
    fn of(device: &RawDevice) -> std::io::Result<Self> {
        let mut is = Self::default();
        if device.supported_absolute_axes().is_some() {
            for (axis, info) in device.get_absinfo()? {
                match axis {
                    AbsoluteAxisCode::ABS_MT_SLOT => is.slot = Some(info.value()),
                    AbsoluteAxisCode::ABS_X => is.x = Some(info.value()),
                    AbsoluteAxisCode::ABS_Y => is.y = Some(info.value()),
                    _ => {}
                }
            }
        }
        if device.supported_keys().is_some() {
            let down = device.get_key_state()?;
            is.pressed = down.contains(KeyCode::BTN_TOUCH) || down.contains(KeyCode::BTN_LEFT);
        }
        Ok(is)
    }
}
