//! What is written down of a lane. Who stores it adds which lane it is of.

use serde::{Deserialize, Serialize};

use super::signal::Fault;
use crate::operation::{Actor, Reason, RequestId};
use crate::vocabulary::DeliveryId;

/// Why the gate may be raised, each once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Authorisation {
    /// An order: a ticket that was given out, a stay that is paid.
    Delivery { delivery: DeliveryId },
    /// A person.
    Operation { request: RequestId, actor: Actor, reason: Reason },
    /// Nobody could say, and the policy lets the car pass. It owes.
    Undecided { number: u64, why: CantDecide },
}

/// What makes two authorisations the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthorisationId {
    Delivery(DeliveryId),
    Operation(RequestId),
    Undecided(u64),
}

impl Authorisation {
    pub fn id(&self) -> AuthorisationId {
        match self {
            Self::Delivery { delivery } => AuthorisationId::Delivery(*delivery),
            Self::Operation { request, .. } => AuthorisationId::Operation(request.clone()),
            Self::Undecided { number, .. } => AuthorisationId::Undecided(*number),
        }
    }
}

/// Why nobody can say whether a car may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CantDecide {
    /// Tickets can't be read, or none can be given out.
    NoTicket,
    /// No key is there to check a ticket with.
    NoKey,
    /// No tariff is in force, or it has no price for this stay.
    NoPrice,
    /// Nothing can be paid here now.
    NoPayment,
}

/// How a passage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    Passed,
    /// The car went back before it reached the gate of an entry: a ticket that was given out for it is void.
    Withdrawn,
    /// A switch that has proved itself in this run says that the gate did not move; or the board, that no relay was energised.
    NotMoved,
    /// Nobody has seen a car pass, and nobody knows that none did.
    Unknown,
}

/// What stays wrong until it is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "alarm", rename_all = "kebab-case")]
pub enum Alarm {
    Input {
        input: Input,
        fault: Fault,
    },
    /// Open and closed at once, or closed while cars pass.
    SwitchesDisagree,
    GateDoesNotMove,
    /// It has left its closed end and has not reached the other, as far as its switches say.
    GateNotSeenOpen,
    GateDoesNotClose,
    /// It has to stay open, and is not.
    KeptOpenIsClosed,
    /// Nobody here has raised it. The lane does not lower it.
    OpenedByOthers,
    /// More cars than authorisations.
    Tailgated,
    /// A car came from behind the gate.
    WrongWay,
    Relay {
        relay: Relay,
    },
    Fire,
}

/// Why a person is called to the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", content = "detail", rename_all = "kebab-case")]
pub enum Call {
    GateDoesNotMove,
    GateNotSeenOpen,
    GateDoesNotClose,
    /// The gate is open, and its car does not pass.
    NobodyPasses,
    /// A car may pass, and a restart has come between: nothing is raised again.
    Restarted,
    CantDecide(CantDecide),
    KeptOpenIsClosed,
    RelayFailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The loop before the gate, where a car stands when it asks.
    Presence,
    /// The loop under the arm.
    Safety,
    /// The loop behind the arm.
    Closing,
    /// The gate's limit switches.
    Opened,
    Closed,
    Fire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relay {
    Raise,
    Lower,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// On disk before the relay moves. Another attempt only in the same run, after a switch that has proved itself said that
    /// the gate did not move.
    GateIntended {
        authorisation: Authorisation,
        attempt: u32,
    },
    PassageEnded {
        authorisation: Authorisation,
        how: Ended,
    },
    /// `authorised`: by one of its own, or through a gate that is kept open.
    CarPassed {
        authorised: bool,
    },
    /// A car passed without an authorisation. `sure` is false where two that were close together looked like one.
    Tailgated {
        sure: bool,
    },
    WrongWay {},
    /// The arm was on its way down, and a loop was not clear any more.
    GateReopened {},
    /// What was raised here is closed again.
    GateClosed {},
    KeptOpen {
        request: RequestId,
        actor: Actor,
        reason: Reason,
    },
    Released {
        request: RequestId,
        actor: Actor,
        reason: Reason,
    },
    FireBegun {},
    FireEnded {},
    AlarmRaised(Alarm),
    AlarmCleared(Alarm),
    Called(Call),
    /// So many cars are inside; the newest holds.
    CarsInside {
        inside: u32,
    },
    /// What all records before this one have come to: they need not be read.
    Standing(Box<Standing>),
}

/// What outlives a restart of a lane through which nobody may pass at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The newest deliveries, with how they ended.
    pub ended: Vec<(DeliveryId, Ended)>,
    /// No other up to this one may raise anything.
    pub until: Option<DeliveryId>,
    /// The gate is open, or may be, because of the lane.
    pub ours: bool,
    /// Since the gate was closed last it was held open for everybody, at one time or another.
    pub was_held: bool,
    pub undecided: u64,
    pub kept_open: Option<RequestId>,
    pub alarms: Vec<Alarm>,
    pub inside: u32,
    /// The sign says full.
    pub full: bool,
}
