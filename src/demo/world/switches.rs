//! The world's switches: one request sets any of them, and either all of it makes sense or nothing is done.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::machine::Motor;
use super::super::paper::PaperLevel;
use super::super::wallet::Behaviour;
use super::{CutPoint, SimulatedWorld, lock};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    Up,
    Down,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperSwitch {
    #[default]
    Ok,
    NearEnd,
    Out,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenClosed {
    Open,
    #[default]
    Closed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnOff {
    #[default]
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MotorSwitch {
    Ok,
    Jam,
    Double,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSwitch {
    pub name: String,
    pub motor: MotorSwitch,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrinterSwitch {
    pub cover: Option<OpenClosed>,
    pub power: Option<OnOff>,
}

/// The body of `POST /api/world`. What is not named stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switches {
    pub network: Option<Network>,
    pub paper: Option<PaperSwitch>,
    pub printer: Option<PrinterSwitch>,
    pub door: Option<OpenClosed>,
    pub stock: Option<Full>,
    pub slot: Option<SlotSwitch>,
    /// The drop sensor's plug.
    pub sensor: Option<OnOff>,
    /// Takes the place of whatever misbehaviour there was.
    pub provider: Option<Behaviour>,
    pub power: Option<Cut>,
    /// Cut there, not now.
    pub at: Option<CutPoint>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error(
        "nothing to switch: name at least one of network, paper, printer, door, stock, slot, sensor, provider, power"
    )]
    Empty,
    #[error("`at` says where to cut the power; add \"power\":\"cut\"")]
    AtWithoutPower,
    #[error("there is no slot `{0}`")]
    NoSlot(String),
    #[error("the configuration names no door, or no kiosk has connected yet")]
    NoDoor,
    #[error("{0}")]
    Refused(String),
}

/// What the switches were last set to.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    paper: PaperSwitch,
    cover: OpenClosed,
    printer: OnOff,
    sensor: OnOff,
    slots: BTreeMap<String, MotorSwitch>,
}

impl SimulatedWorld {
    /// Checks all of `wanted`, then does it, the power last. Blocks until a kiosk that was cut is dead. Who fills the
    /// slots tells the kiosk as well, by [`Question::Refill`](crate::world::Question::Refill).
    ///
    /// # Errors
    /// What does not fit; nothing was done.
    pub fn switch(&self, wanted: &Switches) -> Result<(), Wrong> {
        self.check(wanted)?;
        if let Some(network) = wanted.network {
            self.set_network(network == Network::Up);
        }
        self.set_printer(wanted);
        if let (Some(door), Some(line)) = (wanted.door, &self.door) {
            self.machine.set_input(line, door == OpenClosed::Open).map_err(Wrong::Refused)?;
        }
        if let Some(SlotSwitch { name, motor }) = &wanted.slot {
            let how = match motor {
                MotorSwitch::Ok => Motor::Ok,
                MotorSwitch::Jam => Motor::Jam,
                MotorSwitch::Double => Motor::Double,
            };
            self.machine.set_motor(name, how).map_err(Wrong::Refused)?;
            lock(&self.switches).slots.insert(name.clone(), *motor);
        }
        if let Some(sensor) = wanted.sensor {
            self.machine.set_sensor(sensor == OnOff::On);
            lock(&self.switches).sensor = sensor;
        }
        if let Some(behaviour) = &wanted.provider {
            self.wallet.set_behaviour(behaviour.clone());
        }
        if wanted.stock.is_some() {
            self.machine.refill();
        }
        match (wanted.power, wanted.at) {
            (Some(Cut::Cut), None) => self.cut(),
            (Some(Cut::Cut), point) => *lock(&self.armed) = point,
            (None, _) => {}
        }
        self.tell(&json!({ "kind": "world" }));
        Ok(())
    }

    fn check(&self, wanted: &Switches) -> Result<(), Wrong> {
        if *wanted == Switches::default() {
            return Err(Wrong::Empty);
        }
        if wanted.at.is_some() && wanted.power.is_none() {
            return Err(Wrong::AtWithoutPower);
        }
        let board = self.machine.report();
        if let Some(slot) = &wanted.slot
            && board["dropped"].get(&slot.name).is_none()
        {
            return Err(Wrong::NoSlot(slot.name.clone()));
        }
        if wanted.door.is_some() {
            let lines = board["lines"].as_array().map_or(&[][..], Vec::as_slice);
            let wired = self.door.as_deref().is_some_and(|door| lines.iter().any(|line| line["name"] == door));
            if !wired {
                return Err(Wrong::NoDoor);
            }
        }
        Ok(())
    }

    pub(in crate::demo) fn set_network(&self, up: bool) {
        self.network.store(up, Ordering::Release);
        self.set_broker(up);
    }

    /// The way to the broker alone; a provider can be reached by another.
    pub(in crate::demo) fn set_broker(&self, up: bool) {
        if let Some(proxy) = &self.proxy {
            if up {
                proxy.restore();
            } else {
                proxy.cut();
            }
        }
    }

    fn set_printer(&self, wanted: &Switches) {
        let mut shown = lock(&self.switches);
        if let Some(paper) = wanted.paper {
            shown.paper = paper;
            self.paper.set_paper(match paper {
                PaperSwitch::Ok => PaperLevel::Ok,
                PaperSwitch::NearEnd => PaperLevel::NearEnd,
                PaperSwitch::Out => PaperLevel::Out,
            });
        }
        if let Some(cover) = wanted.printer.as_ref().and_then(|printer| printer.cover) {
            shown.cover = cover;
            self.paper.set_cover(cover == OpenClosed::Open);
        }
        if let Some(power) = wanted.printer.as_ref().and_then(|printer| printer.power) {
            shown.printer = power;
            self.paper.set_power(power == OnOff::On);
        }
    }

    /// The switches as they are, for `GET /api/world`.
    pub fn switches(&self) -> Value {
        let shown = lock(&self.switches).clone();
        let door = self.door.as_deref().and_then(|line| self.machine.get_line(line).ok());
        let door = door.map(|open| if open { OpenClosed::Open } else { OpenClosed::Closed });
        let network = if self.network_is_up() { Network::Up } else { Network::Down };
        json!({
            "network": network,
            "paper": shown.paper,
            "printer": { "cover": shown.cover, "power": shown.printer },
            "door": door,
            "sensor": shown.sensor,
            "slots": shown.slots,
            "provider": self.wallet.behaviour(),
            "kiosk": { "running": self.process.running(), "starts": self.process.starts(), "cut_at": *lock(&self.armed) },
        })
    }
}
