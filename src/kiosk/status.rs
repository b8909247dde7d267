//! What the kiosk is and how it is, in one document. The fleet's `state`, the line of `systemctl status` and the alarms
//! are made of it, so none of them can say anything else than the others.
//!
//! Policy: it is made when something that it shows has changed, not after every event. What only records change is
//! looked at when one was written; everything else is compared where it stands, without making anything.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::configuration::{ConfigStatus, RejectedConfig};
use super::devices::{ClockStatus, Devices, LinkStatus};
use super::lane::told::LaneStatus;
use super::software::SoftwareStatus;
use crate::config::Config;
use crate::fleet::command;
use crate::ledger::Ledger;
use crate::payment::gateway::Rejections;
use crate::printer::PrinterStatus;
use crate::sale::view::Outcome;
use crate::sale::{PendingRefunds, SelfCheck, State};
use crate::vocabulary::{
    BootId, Language, Minor, Mono, OrderId, ProductId, RailName, ShortCode, SlotId, StopReason, Wall,
};

/// Among the faults: somebody else is this kiosk, too. An alarm of its own, because no device is broken.
const TWIN: &str = "second-kiosk";

/// Whoever has forgotten the PIN stops sooner.
const PINS_REFUSED: u32 = 5;

/// Serialised it is the fleet's `state`, whose fields `docs/fleet.md` has with their units.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Status {
    pub kiosk: String,
    pub fleet: String,
    pub version: &'static str,
    /// The nonce of this run.
    pub boot: BootId,
    /// With which configuration.
    pub config: ConfigStatus,
    /// When it was so: milliseconds since 1970 UTC; `None` while the clock is unknown.
    pub time_ms: Option<Wall>,
    /// The same in seconds since this run began.
    pub uptime_s: u64,
    pub selling: bool,
    /// Why not.
    pub reasons: Vec<StopReason>,
    pub devices: Devices,
    /// Thousandths of a degree Celsius; `None` without a thermometer that can be read.
    pub temperature_milli_c: Option<i32>,
    pub stock: BTreeMap<SlotId, Stock>,
    pub faults: Vec<Fault>,
    /// Left out where the kiosk stands at no gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneStatus>,
    /// A customer has called for a person, and nobody is known to have come.
    pub help_wanted: bool,
    pub claims: Vec<Claim>,
    /// Open orders of which no sensor could tell whether the goods fell.
    pub unknown: Vec<OrderId>,
    /// Orders on which something is open.
    pub settling: u64,
    pub refunds_pending: Option<RefundsPending>,
    /// Rails whose provider answers and would not make the last charge, and what it said.
    pub rails_refusing: BTreeMap<RailName, String>,
    /// The number under which the ledger is written; `None` where it can't be.
    pub ledger: Option<String>,
    /// The number it had where it was copied or moved from, in the run that noticed.
    pub ledger_before: Option<String>,
    pub software: SoftwareStatus,
    /// What the glass offers; the first is the one that a new customer sees.
    pub languages: Vec<Language>,
    /// Of which those can be chosen.
    #[serde(skip)]
    pub languages_configured: Vec<Language>,
    /// Another kiosk uses this one's name or its ledger's number; it stands among the faults.
    #[serde(skip)]
    pub second_kiosk: Option<&'static str>,
    /// It does not sell only because it has just started; that is no alarm.
    #[serde(skip)]
    pub starting: bool,
    /// Wrong PINs in a row at the glass; told by its alarm.
    #[serde(skip)]
    pub pins_refused: u32,
    /// Told by its alarm: its number grows with every message that is not believed.
    #[serde(skip)]
    pub rejections: Option<Rejections>,
    /// Likewise, of what should be commands.
    #[serde(skip)]
    pub commands_rejected: command::Rejections,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stock {
    pub product: ProductId,
    pub count: u32,
    pub capacity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Fault {
    /// A slot, or the gate of a lane.
    Slot {
        slot: String,
        why: String,
        cause: &'static str,
    },
    Device {
        device: String,
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Claim {
    pub order: OrderId,
    pub short_code: ShortCode,
    pub why: String,
    pub cause: &'static str,
}

/// Refunds that nobody has confirmed for some minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefundsPending {
    pub count: u32,
    pub amount: Minor,
    /// In steps of 2, and from an hour on of 60, so that it is not told anew with every minute.
    pub oldest_minutes: u64,
}

impl RefundsPending {
    fn of(pending: &PendingRefunds) -> Self {
        let minutes = pending.oldest.as_secs() / 60;
        let step = if minutes < 60 { 2 } else { 60 };
        Self { count: pending.count, amount: pending.amount, oldest_minutes: minutes / step * step }
    }
}

/// Where it is made from.
pub(crate) struct Facts<'a> {
    pub config: &'a Config,
    pub in_force: &'a ConfigStatus,
    pub boot: &'a BootId,
    pub state: &'a State,
    pub ledger: Option<&'a Ledger>,
    pub devices: &'a Devices,
    pub temperature_milli_c: Option<i32>,
    pub second_kiosk: Option<&'static str>,
    pub rejections: Option<Rejections>,
    pub commands_rejected: &'a command::Rejections,
    pub update_progress: Option<&'a str>,
    pub lane: Option<LaneStatus>,
    /// A customer has called for a person, and nobody is known to have come.
    pub help_wanted: bool,
    pub now: Mono,
    pub wall: Option<Wall>,
}

impl Facts<'_> {
    fn refunds_pending(&self) -> Option<RefundsPending> {
        self.state.pending_refunds(self.now, self.wall).as_ref().map(RefundsPending::of)
    }

    fn software(&self) -> SoftwareStatus {
        SoftwareStatus::of(&self.state.updates, self.state.policy.reboot, self.update_progress)
    }
}

impl Status {
    pub(crate) fn of(facts: &Facts<'_>) -> Self {
        let Facts { config, state, ledger, devices, .. } = facts;
        let reasons = state.stop_reasons();
        let open = || state.orders.values().filter(|order| !order.ended);
        let outlets = state.shop.outlets();
        let stock = outlets.iter().filter_map(|known| {
            let (slot, product) = (known.outlet.slot()?.clone(), known.goods.as_ref()?.product()?.clone());
            Some((slot, Stock { product, count: known.count, capacity: known.capacity }))
        });
        let slot_faults = outlets.iter().filter_map(|known| {
            let (slot, cause) = (known.outlet.name().to_owned(), known.fault.as_ref()?);
            Some(Fault::Slot { slot, why: cause.to_string(), cause: cause.kind() })
        });
        let device = |device: String, why: &str| Fault::Device { device, why: why.to_owned() };
        let faulty = devices.faulty().map(|(name, why)| device(name, why));
        let twin = facts.second_kiosk.map(|why| device(TWIN.to_owned(), why));
        let claims = state.orders.values().filter(|order| order.claim_open()).filter_map(|order| {
            let (short_code, why) = (order.short_code.clone(), &order.claim.as_ref()?.why);
            Some(Claim { order: order.id, short_code, why: why.to_string(), cause: why.kind() })
        });
        let unknown = open().filter(|order| order.items.iter().any(|item| item.outcome == Outcome::Unknown));
        Self {
            kiosk: config.kiosk.id.clone(),
            fleet: config.kiosk.fleet.clone(),
            version: env!("CARGO_PKG_VERSION"),
            boot: facts.boot.clone(),
            config: facts.in_force.clone(),
            time_ms: facts.wall,
            uptime_s: facts.now.0 / 1_000,
            selling: reasons.is_empty(),
            starting: reasons.len() == 1 && matches!(state.conditions.self_check, SelfCheck::Pending(_)),
            reasons,
            devices: (*devices).clone(),
            temperature_milli_c: facts.temperature_milli_c,
            stock: stock.collect(),
            faults: slot_faults.chain(faulty).chain(twin).collect(),
            lane: facts.lane.clone(),
            help_wanted: facts.help_wanted,
            claims: claims.collect(),
            unknown: unknown.map(|order| order.id).collect(),
            settling: open().count() as u64,
            refunds_pending: facts.refunds_pending(),
            rails_refusing: state.conditions.refusing.clone(),
            ledger: ledger.map(|ledger| ledger.id().to_owned()),
            ledger_before: ledger.and_then(|ledger| ledger.moved().map(str::to_owned)),
            software: facts.software(),
            languages: state.languages(),
            languages_configured: state.policy.languages.clone(),
            second_kiosk: facts.second_kiosk,
            rejections: facts.rejections,
            commands_rejected: facts.commands_rejected.clone(),
            pins_refused: state.pin.wrong,
        }
    }

    /// Whether it shows the facts still, as long as no record was written: stock, claims and orders change with a record.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        self.devices == *facts.devices
            && self.second_kiosk == facts.second_kiosk
            && self.lane == facts.lane
            && self.help_wanted == facts.help_wanted
            && self.rejections == facts.rejections
            && self.commands_rejected == *facts.commands_rejected
            && self.rails_refusing == facts.state.conditions.refusing
            && self.refunds_pending == facts.refunds_pending()
            && self.reasons == facts.state.stop_reasons()
            && self.software == facts.software()
    }

    /// Whether it says the same as another, whenever that was. How warm it is changes all the time, and is said when
    /// something else has changed.
    pub(super) fn says(&self, other: &Self) -> bool {
        let then = Self {
            time_ms: other.time_ms,
            uptime_s: other.uptime_s,
            temperature_milli_c: other.temperature_milli_c,
            ..self.clone()
        };
        then == *other
    }

    /// The same for the fleet, which is not told everything.
    pub(crate) fn says_to_fleet(&self, other: &Self) -> bool {
        let mut then = self.clone();
        (then.rejections, then.devices.link) = (other.rejections, other.devices.link.clone());
        then.commands_rejected = other.commands_rejected.clone();
        then.says(other)
    }

    /// The fleet's `state`.
    pub fn document(&self) -> Value {
        serde_json::to_value(self).expect("texts and numbers with text keys always become JSON")
    }

    /// What somebody should look at.
    pub fn alarms(&self) -> BTreeMap<&'static str, Alarm> {
        let slots: Vec<Fault> =
            self.faults.iter().filter(|fault| matches!(fault, Fault::Slot { .. })).cloned().collect();
        let broken = |fault: &&Fault| matches!(fault, Fault::Device { device, .. } if device != TWIN);
        let devices: Vec<Fault> = self.faults.iter().filter(broken).cloned().collect();
        let printer = !matches!(self.devices.printer, PrinterStatus::Ok | PrinterStatus::Unknown);
        let moved = self.ledger.clone().zip(self.ledger_before.clone());
        let all = [
            self.rejections.and_then(|rejected| {
                let (reason, last_ms) = rejected.last?;
                Some(Alarm::PayRejected { reason: reason.to_string(), count: rejected.count, last_ms })
            }),
            self.commands_rejected.last.as_ref().map(|(reason, last_ms)| Alarm::CommandRejected {
                reason: reason.to_string(),
                count: self.commands_rejected.count,
                last_ms: *last_ms,
            }),
            (!self.reasons.is_empty() && !self.starting).then(|| Alarm::SalesStopped { reasons: self.reasons.clone() }),
            printer.then(|| Alarm::Printer(self.devices.printer.clone())),
            (!self.rails_refusing.is_empty()).then(|| Alarm::RailRefused { rails: self.rails_refusing.clone() }),
            self.refunds_pending.map(Alarm::RefundPending),
            (!self.claims.is_empty()).then(|| Alarm::Claim { orders: self.claims.clone() }),
            (!slots.is_empty()).then_some(Alarm::SlotFaulty { slots }),
            self.second_kiosk.map(|why| Alarm::SecondKiosk { why }),
            (!devices.is_empty()).then_some(Alarm::DeviceFaulty { devices }),
            self.lane.clone().filter(|lane| !lane.is_well()).map(|lane| Alarm::Lane { lane }),
            self.help_wanted.then_some(Alarm::HelpWanted {}),
            (!self.unknown.is_empty()).then(|| Alarm::DeliveryUnknown { orders: self.unknown.clone() }),
            (self.pins_refused >= PINS_REFUSED).then_some(Alarm::ServicePin { in_a_row: self.pins_refused }),
            moved.map(|(ledger, before)| Alarm::LedgerMoved { ledger, before }),
            self.config.rejected.clone().map(Alarm::ConfigRejected),
        ];
        all.into_iter().flatten().map(|alarm| (alarm.kind(), alarm)).collect()
    }

    /// An alarm's document, which says when as the `state` does.
    pub fn alarm(&self, alarm: &Alarm) -> Value {
        let mut document = serde_json::to_value(alarm).expect("texts and numbers with text keys always become JSON");
        document["time_ms"] = self.time_ms.map_or(Value::Null, |wall| wall.0.into());
        document["uptime_s"] = self.uptime_s.into();
        document
    }
}

/// The line of `systemctl status`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selling {
            true => f.write_str("selling")?,
            false => {
                let reasons: Vec<&str> = self.reasons.iter().map(StopReason::kind).collect();
                write!(f, "not selling: {}", reasons.join(", "))?;
            }
        }
        write!(f, "; orders to settle: {}", self.settling)?;
        if let Some(trouble) = self.devices.printer.trouble() {
            write!(f, "; printer: {trouble}")?;
        }
        for fault in &self.faults {
            match fault {
                Fault::Slot { slot, why, .. } => write!(f, "; slot {slot}: {why}")?,
                Fault::Device { device, why } => write!(f, "; {device}: {why}")?,
            }
        }
        if let Some(lane) = &self.lane {
            for told in lane.alarms.iter().chain(&lane.calls) {
                write!(f, "; gate {}: {}", lane.name, told.why)?;
            }
        }
        if self.devices.clock == ClockStatus::Unset {
            f.write_str("; the clock is not set")?;
        }
        match &self.devices.link {
            Some(LinkStatus::Disconnected { why }) => write!(f, "; not connected to the fleet: {why}"),
            Some(LinkStatus::Connecting) => f.write_str("; not yet connected to the fleet"),
            Some(LinkStatus::Connected) | None => Ok(()),
        }
    }
}

/// What somebody should look at. Serialised it is the alarm's document without its time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Alarm {
    /// Messages in the gateway's name that were not believed. `last_ms`: milliseconds since 1970 UTC.
    PayRejected {
        reason: String,
        count: u64,
        last_ms: Option<Wall>,
    },
    /// Messages that should be commands and were not believed, likewise.
    CommandRejected {
        reason: String,
        count: u64,
        last_ms: Option<Wall>,
    },
    SalesStopped {
        reasons: Vec<StopReason>,
    },
    Printer(PrinterStatus),
    RailRefused {
        rails: BTreeMap<RailName, String>,
    },
    RefundPending(RefundsPending),
    Claim {
        orders: Vec<Claim>,
    },
    Lane {
        lane: LaneStatus,
    },
    /// A customer has called for a person in the last ten minutes, and nobody is known to have come.
    HelpWanted {},
    SlotFaulty {
        slots: Vec<Fault>,
    },
    SecondKiosk {
        why: &'static str,
    },
    DeviceFaulty {
        devices: Vec<Fault>,
    },
    DeliveryUnknown {
        orders: Vec<OrderId>,
    },
    /// Somebody tries PINs at the glass.
    ServicePin {
        in_a_row: u32,
    },
    /// The ledger was begun on another machine, or is a copy.
    LedgerMoved {
        ledger: String,
        before: String,
    },
    /// A configuration was tried and not kept.
    ConfigRejected(RejectedConfig),
}

impl Alarm {
    /// A level of the topic.
    pub fn kind(&self) -> &'static str {
        match self {
            Alarm::PayRejected { .. } => "pay-rejected",
            Alarm::CommandRejected { .. } => "command-rejected",
            Alarm::SalesStopped { .. } => "sales-stopped",
            Alarm::Printer(_) => "printer",
            Alarm::RailRefused { .. } => "rail-refused",
            Alarm::RefundPending(_) => "refund-pending",
            Alarm::Claim { .. } => "claim",
            Alarm::Lane { .. } => "lane",
            Alarm::HelpWanted {} => "help-wanted",
            Alarm::SlotFaulty { .. } => "slot-faulty",
            Alarm::SecondKiosk { .. } => TWIN,
            Alarm::DeviceFaulty { .. } => "device-faulty",
            Alarm::DeliveryUnknown { .. } => "delivery-unknown",
            Alarm::ServicePin { .. } => "service-pin",
            Alarm::LedgerMoved { .. } => "ledger-moved",
            Alarm::ConfigRejected(_) => "config-rejected",
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
