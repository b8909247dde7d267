//! `[gate]`: the lane of a car park that this kiosk stands in, its loops and its gate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::vocabulary::LaneId;

/// The gate of an entry or an exit of a car park, and what sees cars there: how it is wired, and what is lost without each
/// input, is in [car parks](parking.md#lanes).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Of the lane: letters, digits, `_` and `-`, at most 16.
    #[schemars(extend("examples" = ["entry-1"]))]
    pub name: LaneId,
    /// The line of the relay that opens.
    #[schemars(extend("examples" = ["gate-raise"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub raise: String,
    /// The line of the relay that closes; needs `safety`. Without it the gate's own control closes it.
    #[schemars(extend("examples" = ["gate-lower"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub lower: Option<String>,
    /// The output of a lamp that says full.
    #[schemars(extend("examples" = ["sign-full"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub sign: Option<String>,
    /// The input that is active while a car stands where tickets are taken and read.
    #[schemars(extend("examples" = ["loop-presence"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub presence: Option<String>,
    /// The input that is active while something is under the arm.
    #[schemars(extend("examples" = ["loop-safety"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub safety: Option<String>,
    /// The input that is active while something is directly behind the arm.
    #[schemars(extend("examples" = ["loop-closing"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub closing: Option<String>,
    /// The input that is active while the arm is at its upper end.
    #[schemars(extend("examples" = ["gate-opened"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub opened: Option<String>,
    /// The input that is active while the arm is at its lower end.
    #[schemars(extend("examples" = ["gate-closed"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub closed: Option<String>,
    /// The input that is active while there is fire.
    #[schemars(extend("examples" = ["fire"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub fire: Option<String>,
    /// The input of the button for a ticket, active while it is pressed.
    #[schemars(extend("examples" = ["ticket-button"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub ticket_button: Option<String>,
    /// The input of the button that calls for help, active while it is pressed.
    #[schemars(extend("examples" = ["help-button"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub help_button: Option<String>,
    /// What happens to a car for which nobody can say whether it may pass.
    #[serde(default)]
    pub undecided: Undecided,
    /// What counts as delivered.
    #[serde(default)]
    pub delivered: GateDelivered,
    /// How often the gate is asked to move before somebody is called.
    #[serde(default = "Gate::tries")]
    #[schemars(range(min = 1, max = 5))]
    pub tries: u32,
    /// So many places must be free before a sign that said full goes out; at most `places`.
    #[serde(default = "Gate::free_again")]
    #[schemars(range(min = 1, max = 10_000))]
    pub free_again: u32,
    /// How long a relay is energised; a hard limit.
    #[serde(default = "Gate::pulse")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "3s"))]
    pub pulse: Span,
    /// A relay is released for so long before one is energised again; shorter than `travel`, together with `pulse`.
    #[serde(default = "Gate::rest")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "3s"))]
    pub rest: Span,
    /// The arm's way from one end to the other at its slowest, in the cold.
    #[serde(default = "Gate::travel")]
    #[schemars(extend("x-minimum" = "500ms", "x-maximum" = "20s"))]
    pub travel: Span,
    /// From the open gate to the car that has passed.
    #[serde(default = "Gate::pass")]
    #[schemars(extend("x-minimum" = "10s", "x-maximum" = "10min"))]
    pub pass: Span,
    /// At an entry: a car that no loop has seen for so long has gone back.
    #[serde(default = "Gate::back_out")]
    #[schemars(extend("x-minimum" = "2s", "x-maximum" = "1min"))]
    pub back_out: Span,
    /// From one loop to the next for a car that is on neither.
    #[serde(default = "Gate::gap")]
    #[schemars(extend("x-minimum" = "500ms", "x-maximum" = "30s"))]
    pub gap: Span,
    /// A loop that is active for so long sees a car.
    #[serde(default = "Gate::occupied")]
    #[schemars(extend("x-minimum" = "20ms", "x-maximum" = "1s"))]
    pub occupied: Span,
    /// A loop that is inactive for so long sees none any more.
    #[serde(default = "Gate::clear")]
    #[schemars(extend("x-minimum" = "200ms", "x-maximum" = "10s"))]
    pub clear: Span,
    /// An input that has flickered must be quiet for so long before it is believed.
    #[serde(default = "Gate::calm")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1min"))]
    pub calm: Span,
    /// A loop that is active for so long is an alarm.
    #[serde(default = "Gate::stuck")]
    #[schemars(extend("x-minimum" = "1min", "x-maximum" = "2h"))]
    pub stuck: Span,
    /// An input whose level nobody has known for so long is an alarm.
    #[serde(default = "Gate::silent")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1min"))]
    pub silent: Span,
    /// Between two pulses while there is fire and the gate is not open.
    #[serde(default = "Gate::fire_repeat")]
    #[schemars(extend("x-minimum" = "2s", "x-maximum" = "1min"))]
    pub fire_repeat: Span,
    /// The contact for fire has been released for so long, and the fire is over.
    #[serde(default = "Gate::fire_release")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10min"))]
    pub fire_release: Span,
}

/// What happens to a car for which nobody can say whether it may pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Undecided {
    /// The gate stays closed, and somebody is called.
    #[default]
    ClosedAndCall,
    /// It passes, and it is on record that it owes; needs `presence`.
    OpenAndRecord,
}

/// What counts as delivered at a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateDelivered {
    /// A car drove through.
    #[default]
    Passed,
    /// The gate's own switch says open; needs `opened`.
    Opened,
}

impl Gate {
    /// Every output with the key that names it.
    pub fn outputs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("raise", Some(&self.raise)), ("lower", self.lower.as_ref()), ("sign", self.sign.as_ref())];
        all.into_iter().filter_map(|(key, line)| Some((key, line?.as_str())))
    }

    /// Every input with the key that names it.
    pub fn inputs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("presence", &self.presence),
            ("safety", &self.safety),
            ("closing", &self.closing),
            ("opened", &self.opened),
            ("closed", &self.closed),
            ("fire", &self.fire),
            ("ticket_button", &self.ticket_button),
            ("help_button", &self.help_button),
        ];
        all.into_iter().filter_map(|(key, line)| Some((key, line.as_deref()?)))
    }
}
