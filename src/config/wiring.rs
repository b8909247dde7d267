//! `[[line]]` and `[[expander]]`: which wire a line's name means.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DropSensor, LineDriver, Slot, Span};

/// A line that is not simply the kernel's line of that name, or needs a word about how it is wired.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// As `[board]`, `[gate]` and `[[slot]]` call it.
    #[schemars(extend("examples" = ["slot-A1"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub name: String,
    /// Driver `gpiochip`: the chip's label, its name or its path. Without it every chip is searched for `line`.
    #[schemars(length(min = 1, max = 100), extend("examples" = ["pinctrl-bcm2711"]))]
    pub chip: Option<String>,
    /// Driver `gpiochip`: the line's number on its chip.
    #[schemars(range(min = 0, max = 1023), extend("examples" = [17]))]
    pub offset: Option<u32>,
    /// Driver `gpiochip`: the kernel's name of the line. Without it and without `offset` it is `name`.
    #[schemars(length(min = 1, max = 31), extend("examples" = ["GPIO17"]))]
    pub line: Option<String>,
    /// Driver `rppal`: the number by which Broadcom counts.
    #[schemars(range(min = 0, max = 53), extend("examples" = [17]))]
    pub bcm: Option<u8>,
    /// The `name` of an `[[expander]]`; needs `pin`.
    #[schemars(length(min = 1, max = 64), extend("examples" = ["relays"]))]
    pub expander: Option<String>,
    /// Of the expander, from 0; 8 is the first of an MCP23017's port B.
    #[schemars(range(min = 0, max = 15), extend("examples" = [3]))]
    pub pin: Option<u8>,
    /// A relay that is on, or a switch that is active, while the wire is low.
    #[serde(default)]
    pub active_low: bool,
    /// Of an input; `as-is` without it.
    pub bias: Option<Bias>,
    /// Of an input: a level counts when it has been steady so long. 20 ms without it, 1 ms for the drop sensor's beam;
    /// the kernel rounds up to its own ticks, which may be 4 or 10 ms.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1s", "examples" = ["5ms"]))]
    pub debounce: Option<Span>,
}

/// What holds an input's level while nothing drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// Whatever it was set to.
    #[default]
    AsIs,
    /// Nothing: a resistor on the board does.
    None,
    /// A resistor to the supply in the chip.
    PullUp,
    /// A resistor to ground in the chip.
    PullDown,
}

/// A port expander that the kernel does not drive. Where the kernel has a driver for it, it is a gpiochip like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expander {
    /// As `[[line]]` calls it.
    #[schemars(extend("examples" = ["relays"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub name: String,
    pub chip: ExpanderChip,
    /// The I²C bus.
    #[schemars(extend("examples" = ["/dev/i2c-1"]))]
    pub bus: PathBuf,
    /// 7-bit I²C address: 0x20 to 0x27, or 0x38 to 0x3f for a PCF8574A.
    #[schemars(range(min = 0x20, max = 0x3f), extend("examples" = [0x20]))]
    pub address: u8,
}

/// Which port expander.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExpanderChip {
    /// 16 lines; an input may have a pull-up.
    Mcp23017,
    /// 8 lines that are weakly high when power comes: only for relays that are active low.
    Pcf8574,
}

impl ExpanderChip {
    pub fn pins(self) -> u8 {
        match self {
            Self::Mcp23017 => 16,
            Self::Pcf8574 => 8,
        }
    }

    /// Where the address pins of such a chip can put it.
    pub fn has_address(self, address: u8) -> bool {
        (0x20..=0x27).contains(&address) || self == Self::Pcf8574 && (0x38..=0x3f).contains(&address)
    }
}

/// What is needed to drive the relays and nothing else. It can be read from a file that is wrong in other places: the
/// relays of a kiosk whose configuration was broken while it ran must be made safe all the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wiring {
    pub board: Driven,
    #[serde(default)]
    pub gate: DrivenGate,
    #[serde(rename = "slot", default)]
    pub slots: Vec<Wired>,
    #[serde(rename = "line", default)]
    pub lines: Vec<Line>,
    #[serde(rename = "expander", default)]
    pub expanders: Vec<Expander>,
}

/// As much of `[board]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Driven {
    #[serde(flatten)]
    pub lines: LineDriver,
    pub drop_sensor: Option<Emitter>,
}

/// As much of `[gate]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DrivenGate {
    pub raise: Option<String>,
    pub lower: Option<String>,
    pub sign: Option<String>,
}

/// As much of `[board.drop_sensor]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Emitter {
    pub emitter: Option<String>,
}

/// As much of a `[[slot]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wired {
    pub name: String,
    pub line: String,
}

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiredRelay {
    /// In words.
    pub whose: String,
    pub line: String,
}

impl From<&super::Config> for Wiring {
    fn from(config: &super::Config) -> Self {
        let emitter = |sensor: &DropSensor| Emitter { emitter: sensor.emitter.clone() };
        let wired = |slot: &Slot| Wired { name: slot.name.to_string(), line: slot.line.clone() };
        let gate = config.gate.as_ref().map(|gate| DrivenGate {
            raise: Some(gate.raise.clone()),
            lower: gate.lower.clone(),
            sign: gate.sign.clone(),
        });
        Self {
            gate: gate.unwrap_or_default(),
            board: Driven {
                lines: config.board.lines.clone(),
                drop_sensor: config.board.drop_sensor.as_ref().map(emitter),
            },
            slots: config.slots.iter().map(wired).collect(),
            lines: config.lines.clone(),
            expanders: config.expanders.clone(),
        }
    }
}

impl Wiring {
    /// Every line that is driven, by the name the configuration gives it.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        let emitter = self.board.drop_sensor.iter().filter_map(|sensor| sensor.emitter.as_deref());
        let gate = [&self.gate.raise, &self.gate.lower, &self.gate.sign].into_iter().filter_map(|line| line.as_deref());
        self.slots.iter().map(|slot| slot.line.as_str()).chain(gate).chain(emitter)
    }

    pub fn relays(&self) -> Vec<WiredRelay> {
        let gate = [("raise", &self.gate.raise), ("lower", &self.gate.lower), ("sign", &self.gate.sign)];
        let gate = gate.into_iter().filter_map(|(key, line)| Some((format!("the gate's {key}"), line.as_ref()?)));
        let slots = self.slots.iter().map(|slot| (format!("slot {}", slot.name), &slot.line));
        slots.chain(gate).map(|(whose, line)| WiredRelay { whose, line: line.clone() }).collect()
    }

    /// The others are no longer a part of it.
    pub fn keep(&mut self, relays: &[WiredRelay]) {
        let kept = |line: &String| relays.iter().any(|relay| relay.line == *line);
        self.slots.retain(|slot| kept(&slot.line));
        let gate = &mut self.gate;
        for line in [&mut gate.raise, &mut gate.lower, &mut gate.sign] {
            line.take_if(|line| !kept(line));
        }
    }

    /// How the line of that name is wired; the kernel's line of that name where the file says nothing.
    pub fn line(&self, name: &str) -> Line {
        let said = self.lines.iter().find(|line| line.name == name);
        said.cloned().unwrap_or_else(|| Line { name: name.into(), ..Line::default() })
    }
}
