//! The state of each device of the kiosk, with the reason of its fault.
//!
//! Policy: a device that has not reported yet is neither well nor faulty, so it is no fault.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Config, Panel};
use crate::input::Role;
use crate::printer::PrinterStatus;
use crate::sale::Conditions;
use crate::vocabulary::{Reading, Wall};

/// Those that this kiosk has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Devices {
    pub printer: PrinterStatus,
    pub board: BoardStatus,
    pub glass: GlassStatus,
    pub clock: ClockStatus,
    /// What people press, type and hold up.
    #[serde(flatten)]
    pub inputs: BTreeMap<Role, InputStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_sensor: Option<DropSensorStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thermometer: Option<ThermometerStatus>,
    /// Not told to the fleet, which would hear of it only when it is well.
    #[serde(skip)]
    pub link: Option<LinkStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum BoardStatus {
    /// It has not answered yet.
    Starting,
    Ok,
    /// No relay answers.
    Unreachable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum GlassStatus {
    /// No frame has been shown yet.
    Starting,
    Ok,
    /// Nobody sees it; in the panel's words.
    Dark {
        why: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ClockStatus {
    Ok,
    /// What it says can't be right: nobody has set it since the power came.
    Unset,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum InputStatus {
    /// Nobody has found it yet.
    Starting,
    Ok,
    /// It is not there, or can't be used.
    Unusable {
        why: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum DropSensorStatus {
    /// No delivery has asked it yet.
    Unknown,
    Ok,
    /// Its counter can't be read.
    Unreadable,
    FailedSelfTest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ThermometerStatus {
    /// Not read yet.
    Unknown,
    Ok,
    Unreadable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkStatus {
    Connecting,
    Connected,
    Disconnected { why: String },
}

impl Devices {
    pub fn of(config: &Config) -> Self {
        // A real panel has a touch sensor even where nothing is said about one.
        let real = !matches!(config.glass.panel, Panel::Simulated { .. } | Panel::None);
        let wanted = [
            (Role::Touch, real || config.touch.is_some()),
            (Role::Keypad, config.keypad.is_some()),
            (Role::Scanner, config.scanner.is_some()),
        ];
        let inputs = wanted.into_iter().filter(|(_, wanted)| *wanted);
        Self {
            printer: PrinterStatus::Unknown,
            board: BoardStatus::Starting,
            glass: GlassStatus::Starting,
            clock: ClockStatus::Unset,
            inputs: inputs.map(|(role, _)| (role, InputStatus::Starting)).collect(),
            drop_sensor: config.board.drop_sensor.as_ref().map(|_| DropSensorStatus::Unknown),
            thermometer: config.board.temperature.as_ref().map(|_| ThermometerStatus::Unknown),
            link: config.fleet.as_ref().map(|_| LinkStatus::Connecting),
        }
    }

    /// Takes over what the sale knows of the board and the glass, and what the clock says. `lit`: the glass has
    /// reported once.
    pub(crate) fn follow(&mut self, conditions: &Conditions, lit: bool, wall: Option<Wall>) {
        self.board = match conditions.board_answers {
            None => BoardStatus::Starting,
            Some(true) => BoardStatus::Ok,
            Some(false) => BoardStatus::Unreachable,
        };
        self.glass = match &conditions.glass_dark {
            Some(why) => GlassStatus::Dark { why: why.clone() },
            None if lit => GlassStatus::Ok,
            None => GlassStatus::Starting,
        };
        self.clock = if wall.is_some() { ClockStatus::Ok } else { ClockStatus::Unset };
    }

    pub(super) fn input(&mut self, role: Role, fault: Option<String>) {
        let is = fault.map_or(InputStatus::Ok, |why| InputStatus::Unusable { why });
        let told = self.inputs.insert(role, is.clone()).unwrap_or(InputStatus::Starting);
        tell(&role, told.why(), is.why());
    }

    /// `milli`: thousandths of a degree Celsius.
    pub(super) fn measured(&mut self, milli: Option<i32>) {
        let is = if milli.is_some() { ThermometerStatus::Ok } else { ThermometerStatus::Unreadable };
        let told = self.thermometer.replace(is).unwrap_or(ThermometerStatus::Unknown);
        tell(&"thermometer", told.why(), is.why());
    }

    /// Before a delivery. A sensor without an `emitter` can't test itself, and is not broken for that.
    pub(super) fn sensed(&mut self, reading: &Reading, emitter: bool) {
        let is = match reading {
            Reading { counter: None, .. } => DropSensorStatus::Unreadable,
            Reading { self_tested: false, .. } if emitter => DropSensorStatus::FailedSelfTest,
            Reading { .. } => DropSensorStatus::Ok,
        };
        let told = self.drop_sensor.replace(is).unwrap_or(DropSensorStatus::Unknown);
        tell(&"drop-sensor", told.why(), is.why());
    }

    /// Those that a person should look at and that stop no sale by themselves, with the reason; not the printer.
    pub(super) fn faulty(&self) -> impl Iterator<Item = (String, &str)> {
        let inputs = self.inputs.iter().filter_map(|(role, is)| Some((role.to_string(), is.why()?)));
        let drop = self.drop_sensor.as_ref().and_then(DropSensorStatus::why);
        let warm = self.thermometer.as_ref().and_then(ThermometerStatus::why);
        let sensors = [("drop-sensor", drop), ("thermometer", warm)];
        inputs.chain(sensors.into_iter().filter_map(|(name, why)| Some((name.to_owned(), why?))))
    }
}

fn tell(device: &impl fmt::Display, told: Option<&str>, is: Option<&str>) {
    match (told, is) {
        (told, Some(why)) if told != Some(why) => tracing::warn!(%device, why, "a device has a fault"),
        (Some(_), None) => tracing::info!(%device, "the fault of a device has ended"),
        _ => {}
    }
}

impl InputStatus {
    fn why(&self) -> Option<&str> {
        match self {
            Self::Unusable { why } => Some(why),
            Self::Starting | Self::Ok => None,
        }
    }
}

impl DropSensorStatus {
    fn why(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable => Some("its counter can't be read"),
            Self::FailedSelfTest => Some("it has failed its self-test"),
            Self::Unknown | Self::Ok => None,
        }
    }
}

impl ThermometerStatus {
    fn why(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable => Some("it can't be read"),
            Self::Unknown | Self::Ok => None,
        }
    }
}
