//! What can happen to a sale, and what it can want done.

use super::dialogue::Touch;
use super::order::Order;
use super::presented::{Presented, Unable};
use super::record::Offered;
use super::software::{UpdateEvent, UpdateTask};
use crate::operation::{Actor, ConfigText, Digest, Known, Operation, Outcome, Reason, Refusal, Request, RequestId};
use crate::vocabulary::{
    BootId, Cause, ChargeId, ChargeRef, ChargeReport, Created, DeliveryId, Evidence, Grant, NewCharge, OrderId, Outlet,
    Pin, RailError, RailName, Reading, RefundId, RefundReport, RefundRequest, ShortCode, StopReason,
};

// One lives at a time, and what somebody asks for has many words.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Event {
    /// Time has passed; see [`State::next_wake`](super::State::next_wake).
    Tick,
    Started {
        boot: BootId,
        version: String,
    },
    Touch(Touch),
    /// Goods that were chosen elsewhere than on the shelf, for example by a ticket that was read; one for each unit.
    /// Refused in mid-sale, because a kiosk has one order at a time: each lane of a car park is a kiosk of its own.
    /// `grant`: nothing is to be paid for them, and why. Goods whose prices add up to nothing need one, whichever;
    /// [`Grant::NothingDue`] is for them alone.
    /// `outlet`: they come out there and nowhere else, as at the lane where a car stands.
    Chosen {
        units: Vec<Offered>,
        grant: Option<Grant>,
        outlet: Option<Outlet>,
    },
    /// Something is held before the kiosk, typed or wanted that only the shop can read.
    Presented(Presented),
    /// A camera has read this number plate of a car at the gate. It counts for the car that stands there or comes next.
    PlateSeen {
        plate: String,
    },
    /// What another lane of the site says of itself.
    Heard {
        lane: u8,
        message: Vec<u8>,
    },
    Condition(Condition),
    /// Answers of a rail. Every effect that asks gets exactly one, be it a time-out.
    Created {
        charge: ChargeId,
        result: Result<Created, RailError>,
    },
    /// `asked` is false for what the provider said by itself.
    Reported {
        charge: ChargeId,
        result: Result<ChargeReport, RailError>,
        asked: bool,
    },
    CloseAnswered {
        charge: ChargeId,
        result: Result<Option<ChargeReport>, RailError>,
    },
    RefundAnswered {
        refund: RefundId,
        charge: ChargeId,
        result: Result<RefundReport, RailError>,
    },
    Probed {
        rail: RailName,
        result: Result<(), RailError>,
    },
    /// Answers of the board.
    Prepared {
        delivery: DeliveryId,
        reading: Reading,
    },
    /// Also in the place of `Prepared`, by a board that does not answer.
    NotEnergised {
        delivery: DeliveryId,
        why: String,
    },
    Evidence {
        delivery: DeliveryId,
        evidence: Evidence,
    },
    ReceiptDone {
        order: OrderId,
        result: Result<(), String>,
    },
    /// The ledger's answer to [`Effect::Find`].
    Found {
        code: String,
        order: Option<Box<Order>>,
    },
    /// The answer to [`Effect::CheckPin`].
    PinChecked {
        right: bool,
    },
    /// The key of the service menu was turned on or off.
    ServiceKey {
        on: bool,
    },
    /// Somebody asks for something. `known`: what the ledger has under the request's number.
    Asked {
        request: Request,
        known: Option<Known>,
    },
    /// The answer to [`Effect::Gate`]: what came of it, in the lane's words where it failed.
    GateAnswered {
        id: RequestId,
        result: Result<(), String>,
    },
    /// The lane has let the car before the gate pass because of [`Effect::CantDecide`]; its intent is on disk. `number`: which of
    /// those it is.
    LetThrough {
        number: u64,
    },
    /// The answer to [`Effect::AskReboot`]: why it can't be done, and what is there to do about it.
    RebootAnswered {
        result: Result<(), String>,
    },
    /// Nothing came of [`Effect::Reboot`], and the journal says why.
    NotRebooted,
    /// The answer to [`Effect::CheckConfig`]: nothing where it is in force already, or why it is not used.
    ConfigChecked {
        result: Result<Option<Checked>, NotUsed>,
    },
    /// From who installs software.
    Update(UpdateEvent),
}

/// A configuration with which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub config: Digest,
    /// What the file on the machine is.
    pub base: Digest,
    /// Where it was made of the one in force.
    pub text: Option<ConfigText>,
}

/// Why a configuration that somebody asked for is not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotUsed {
    /// What is wrong with it, a line each.
    Wrong(Vec<String>),
    /// What is wrong with its pictures, a line each.
    BadMedia(Vec<String>),
    /// A picture could not be fetched. It may be another time.
    NotFetched(String),
}

/// Whether what the machine needs in order to sell has proved itself since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SelfCheck {
    #[default]
    Passed,
    /// It takes a moment, and this has not said anything yet. It is no news, and no customer's business.
    Pending(String),
    /// Until the daemon is started anew, or what is late has come.
    Failed(String),
}

/// Something the machine needs in order to sell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Door {
        open: bool,
    },
    Tamper {
        active: bool,
    },
    Board {
        answers: bool,
    },
    /// Why nobody sees the glass; `None` once somebody does.
    Glass {
        dark: Option<String>,
    },
    /// Why nobody can touch the glass; `None` once it can be touched.
    Touch {
        fault: Option<String>,
    },
    Disk {
        full: bool,
    },
    Outbox {
        full: bool,
    },
    /// Found out beside a delivery; on disk until a person has refilled.
    OutletFaulty {
        outlet: Outlet,
        why: Cause,
    },
    /// What the machine needs in order to sell has to prove itself once after a start.
    SelfCheck(SelfCheck),
    /// Latched until the daemon is started anew.
    LedgerFailed {
        why: String,
    },
    /// A car stands before the gate, as far as anybody can know.
    CarWaits {
        there: bool,
    },
    /// Whether the fleet's broker is there. It stops no sale.
    Fleet {
        connected: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Create {
        rail: RailName,
        charge: NewCharge,
    },
    Query {
        rail: RailName,
        charge: ChargeRef,
    },
    Close {
        rail: RailName,
        charge: ChargeRef,
    },
    Refund {
        rail: RailName,
        refund: RefundRequest,
    },
    QueryRefund {
        rail: RailName,
        refund: RefundRequest,
    },
    Probe {
        rail: RailName,
    },
    Prepare {
        delivery: DeliveryId,
        outlet: Outlet,
    },
    /// Energise, once. Its intent is on disk.
    Deliver {
        delivery: DeliveryId,
        outlet: Outlet,
        before: Option<u32>,
    },
    /// What fell since `before`? Nothing moves.
    Recall {
        delivery: DeliveryId,
        outlet: Outlet,
        before: Option<u32>,
    },
    Print {
        order: OrderId,
    },
    /// The report that ended with this number's cut. `copy`: it was asked for again. Nothing of the sale waits for it, and
    /// nobody answers.
    PrintReport {
        number: u32,
        copy: bool,
    },
    /// The test page, likewise.
    PrintTest,
    /// The events after this number go to the back end once more.
    ResendEvents {
        after: u64,
    },
    /// What came of a request, for who asked. It is on disk.
    Answer {
        id: RequestId,
        outcome: Outcome,
    },
    /// Look the order up in the ledger.
    Find {
        code: ShortCode,
    },
    /// Is it the service PIN? It takes a while.
    CheckPin {
        pin: Pin,
    },
    /// A person's wish at this kiosk's gate, whose begin is on disk. The lane answers with [`Event::GateAnswered`].
    Gate {
        id: RequestId,
        by: Actor,
        reason: Reason,
        ask: GateAsk,
    },
    /// Can the board be restarted now?
    AskReboot,
    /// Restart it. What came of the request is on disk, and who asked is told.
    Reboot,
    /// Is the configuration right that this operation asks for? It takes a while.
    CheckConfig {
        asked: Operation,
    },
    /// The daemon ends and starts anew, with the configuration that the ledger says.
    StartAnew,
    /// For who installs software; it answers with one [`UpdateEvent`].
    Update(UpdateTask),
    /// To the other lanes of the site; it takes the place of what was told before. It is on disk.
    Tell {
        message: Vec<u8>,
    },
    /// Somebody at the kiosk asks for a person.
    CallForHelp,
    /// Nobody can say whether the car before the gate may pass: the lane does what the operator wants then.
    CantDecide {
        why: Unable,
    },
}

/// What a person may wish of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateAsk {
    /// One car may pass.
    Raise,
    /// The gate stays open until it is released.
    KeepOpen,
    /// It is no longer kept open, and the lane may lower it.
    Release,
}

/// An event that does not fit. Not an error of the machine: answers arrive late and fingers miss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("no open charge {0}")]
    NoCharge(ChargeId),
    #[error("no open refund {0}")]
    NoRefund(RefundId),
    #[error("order {0} is not open")]
    NoOrder(OrderId),
    #[error("no delivery is open for unit {item} of order {order}, attempt {attempt}", order = .0.order, item = .0.item, attempt = .0.attempt)]
    NoDelivery(DeliveryId),
    #[error("`{}` is not on the page {page}", touch.without_digit())]
    NotOnPage { touch: Touch, page: &'static str },
    #[error("{0}")]
    Refused(&'static str),
    #[error("nothing is sold now: {0}")]
    NotSelling(StopReason),
    #[error("what lane {lane} says is not believed: {why}")]
    NotBelieved { lane: u8, why: String },
    /// These goods can't be had now.
    #[error("{0}")]
    NotSold(Refusal),
}
