//! What is told of a lane: its alarms and calls, each as a word that programs compare and a sentence that people read.

use schemars::JsonSchema;
use serde::Serialize;

use crate::parking::lane::{Alarm, Call, CantDecide, Fault, Input, Relay};
use crate::vocabulary::LaneId;

/// Of the gate at which the kiosk stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneStatus {
    pub name: LaneId,
    /// What is wrong until it is cleared.
    pub alarms: Vec<Told>,
    /// Why a person was called in the last ten minutes.
    pub calls: Vec<Told>,
    /// A person keeps it open.
    pub kept_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Told {
    pub kind: String,
    pub why: String,
}

impl LaneStatus {
    pub(super) fn of<'a>(
        name: LaneId,
        alarms: impl Iterator<Item = &'a Alarm>,
        calls: impl Iterator<Item = Call>,
        kept_open: bool,
    ) -> Self {
        let told = |(kind, why): (&str, &str)| Told { kind: kind.into(), why: why.into() };
        Self { name, alarms: alarms.map(alarm).collect(), calls: calls.map(|why| told(call(why))).collect(), kept_open }
    }

    /// Somebody should look at it.
    pub fn is_well(&self) -> bool {
        self.alarms.is_empty() && self.calls.is_empty()
    }
}

fn alarm(alarm: &Alarm) -> Told {
    let told = |kind: &str, why: &str| Told { kind: kind.into(), why: why.into() };
    match alarm {
        Alarm::Input { input, fault } => {
            let (word, input) = match input {
                Input::Presence => ("presence", "the loop before the gate"),
                Input::Safety => ("safety", "the loop under the arm"),
                Input::Closing => ("closing", "the loop behind the arm"),
                Input::Opened => ("opened", "the switch at the upper end"),
                Input::Closed => ("closed", "the switch at the lower end"),
                Input::Fire => ("fire", "the contact for fire"),
            };
            let (what, fault) = match fault {
                Fault::Stuck => ("stuck", "has been active for longer than any car stands there"),
                Fault::Flickering => ("flickering", "changes more often than cars can"),
                Fault::Silent => ("silent", "can't be read"),
            };
            told(&format!("{word}-{what}"), &format!("{input} {fault}"))
        }
        Alarm::SwitchesDisagree => told("switches-disagree", "the limit switches contradict each other or the cars"),
        Alarm::GateDoesNotMove => told("gate-does-not-move", "the gate was asked to open and has not moved"),
        Alarm::GateNotSeenOpen => told("gate-not-seen-open", "the gate was asked to open and is not seen open"),
        Alarm::GateDoesNotClose => told("gate-does-not-close", "the gate does not close"),
        Alarm::KeptOpenIsClosed => told("kept-open-is-closed", "the gate is to be kept open, and is not open"),
        Alarm::OpenedByOthers => told("opened-by-others", "the gate is open, and not by the lane"),
        Alarm::Tailgated => told("tailgated", "more cars have passed than may"),
        Alarm::WrongWay => told("wrong-way", "a car came from behind the gate"),
        Alarm::Relay { relay: Relay::Raise } => told("raise-fails", "the relay that opens was not energised"),
        Alarm::Relay { relay: Relay::Lower } => told("lower-fails", "the relay that closes was not energised"),
        Alarm::Fire => told("fire", "there is fire, and the gate stays open"),
    }
}

/// The word, and the sentence.
pub(super) fn call(call: Call) -> (&'static str, &'static str) {
    match call {
        Call::GateDoesNotMove => ("gate-does-not-move", "the gate was asked to open and has not moved"),
        Call::GateNotSeenOpen => ("gate-not-seen-open", "the gate was asked to open and is not seen open"),
        Call::GateDoesNotClose => ("gate-does-not-close", "the gate does not close"),
        Call::NobodyPasses => ("nobody-passes", "the gate is open, and its car does not pass"),
        Call::Restarted => ("restarted", "a car may pass, and the gate is not raised again after a restart"),
        Call::CantDecide(CantDecide::NoTicket) => ("no-ticket", "a car waits, and tickets can't be read or given out"),
        Call::CantDecide(CantDecide::NoKey) => ("no-key", "a car waits, and there is no key to check its ticket with"),
        Call::CantDecide(CantDecide::NoPrice) => ("no-price", "a car waits, and the tariff has no price for its stay"),
        Call::CantDecide(CantDecide::NoPayment) => ("no-payment", "a car waits, and nothing can be paid here"),
        Call::KeptOpenIsClosed => ("kept-open-is-closed", "the gate is to be kept open, and is not open"),
        Call::RelayFailed => ("relay-failed", "the relay that opens was not energised"),
    }
}
