//! A relay that is tried without a sale, for a person who stands at the machine and wants to see it move.
//!
//! Policy: only in maintenance, for this moment, one at a time, and after `operation-begun` is on disk. No order is
//! involved, so what lies there and whether the door is open make no difference. What falls all the same, or drives through
//! a gate, the shop hears of, as of a delivery. A pulse of an earlier run is not made again.

use super::event::Effect;
use super::{Order, Turn};
use crate::operation::{Outcome, Refusal, Request, RequestId};
use crate::vocabulary::{Cause, DeliveryId, Evidence, Outlet, Reading, StopReason};

/// The one under way.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// Who is answered when it ends.
    id: RequestId,
    outlet: Outlet,
    /// No order has this number.
    pub delivery: DeliveryId,
}

impl Turn<'_> {
    pub(super) fn pulse(&mut self, outlet: &Outlet, request: &Request) -> Result<(), Refusal> {
        if !self.state.conditions.maintenance {
            return Err(Refusal::NotInMaintenance);
        }
        if self.state.pulse.is_some() {
            return Err(Refusal::RelayIsTried);
        }
        // Two that move at once can't be told apart by one counter; and a delivery's count must be its own.
        if self.state.orders.values().any(Order::unresolved) {
            return Err(Refusal::InMidSale);
        }
        if self.state.conditions.board_answers != Some(true) {
            return Err(Refusal::NotReady);
        }
        if self.state.outlet(outlet).is_none() {
            return Err(if outlet.slot().is_some() { Refusal::NoSuchSlot } else { Refusal::NoSuchGate });
        }
        let delivery = DeliveryId { order: self.next_order(), item: 0, attempt: 1 };
        self.state.pulse = Some(Pulse { id: request.id.clone(), outlet: outlet.clone(), delivery });
        self.effect(Effect::Prepare { delivery, outlet: outlet.clone() });
        Ok(())
    }

    pub(super) fn tries(&self, delivery: DeliveryId) -> bool {
        self.state.pulse.as_ref().is_some_and(|pulse| pulse.delivery == delivery)
    }

    pub(super) fn pulse_prepared(&mut self, reading: Reading) {
        let Some(pulse) = &self.state.pulse else { return };
        let (delivery, outlet) = (pulse.delivery, pulse.outlet.clone());
        if self.state.conditions.board_answers != Some(true) {
            return self.pulse_not_energised(StopReason::BoardDown.to_string());
        }
        self.effect(Effect::Deliver { delivery, outlet, before: reading.counter });
    }

    pub(super) fn pulse_not_energised(&mut self, detail: String) {
        let Some(pulse) = self.state.pulse.take() else { return };
        self.end_operation(pulse.id, Outcome::Failed { why: Cause::Board { detail } });
    }

    pub(super) fn pulse_evidence(&mut self, evidence: &Evidence) {
        let Some(Pulse { id, outlet, .. }) = self.state.pulse.take() else { return };
        let counted = match evidence {
            Evidence::Dropped { count } => Some(*count),
            Evidence::Nothing { self_tested: true } => Some(0),
            Evidence::Nothing { self_tested: false } | Evidence::Withdrawn | Evidence::Silent { .. } => None,
        };
        self.end_operation(id, Outcome::Energised { outlet, counted });
    }
}
