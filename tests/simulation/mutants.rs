//! Faults planted between the core and the world: what a careless implementation would do. Each must be caught.

use kioskd::payment::{ChargeReport, RailError, Standing};
use kioskd::sale::event::{Condition, Effect, Event};
use kioskd::sale::recover::Recovered;
use kioskd::sale::{Record, State, Step};
use kioskd::vocabulary::{Evidence, Mono, RailKind};

use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    IntentNotSynced,
    RefundNotSynced,
    EffectsBeforeCommit,
    EnergisedAgainOnRecovery,
    RetryAfterUntestedSensor,
    SilenceTakenAsNothing,
    FreshRefundNumber,
    OtherRefundAmount,
    RefundWithoutRecord,
    LatePaymentDelivers,
    WrongAmountAccepted,
    WrongOrderAccepted,
    SecondPaymentIgnored,
    UnknownTakenAsPaid,
    UnknownTakenAsClosed,
    CloseTrusted,
    CrashAssumedDelivered,
    CrashAssumedNothing,
    DoorIgnored,
    LeaseIgnored,
    WaitingForgottenOnRestart,
    RefundForgottenOnRestart,
    OldOrdersForgotten,
}

impl Mutant {
    pub const ALL: [Mutant; 23] = [
        Mutant::IntentNotSynced,
        Mutant::RefundNotSynced,
        Mutant::EffectsBeforeCommit,
        Mutant::EnergisedAgainOnRecovery,
        Mutant::RetryAfterUntestedSensor,
        Mutant::SilenceTakenAsNothing,
        Mutant::FreshRefundNumber,
        Mutant::OtherRefundAmount,
        Mutant::RefundWithoutRecord,
        Mutant::LatePaymentDelivers,
        Mutant::WrongAmountAccepted,
        Mutant::WrongOrderAccepted,
        Mutant::SecondPaymentIgnored,
        Mutant::UnknownTakenAsPaid,
        Mutant::UnknownTakenAsClosed,
        Mutant::CloseTrusted,
        Mutant::CrashAssumedDelivered,
        Mutant::CrashAssumedNothing,
        Mutant::DoorIgnored,
        Mutant::LeaseIgnored,
        Mutant::WaitingForgottenOnRestart,
        Mutant::RefundForgottenOnRestart,
        Mutant::OldOrdersForgotten,
    ];

    pub fn named(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name);
        known.unwrap_or_else(|| panic!("no mutant `{name}`; there are {:?}", Self::ALL))
    }

    /// Before the core sees an event. `None`: it never does.
    pub fn event(self, event: Event, state: &mut State, now: Mono) -> Option<Event> {
        if self == Mutant::LeaseIgnored {
            for health in state.conditions.rails.values_mut() {
                health.verified = Some(now);
            }
        }
        Some(match (self, event) {
            (Mutant::DoorIgnored, Event::Condition(Condition::Door { .. })) => return None,
            (
                Mutant::RetryAfterUntestedSensor,
                Event::Evidence { delivery, evidence: Evidence::Nothing { self_tested: false } },
            )
            | (Mutant::SilenceTakenAsNothing, Event::Evidence { delivery, evidence: Evidence::Silent { .. } }) => {
                Event::Evidence { delivery, evidence: Evidence::Nothing { self_tested: true } }
            }
            (Mutant::LatePaymentDelivers, Event::Reported { charge, result, asked }) => {
                if result.as_ref().is_ok_and(|report| !report.payments.is_empty())
                    && let Some(order) = charge.order().and_then(|id| state.orders.get_mut(&id))
                    && order.bought.is_none()
                {
                    order.closed = None;
                }
                Event::Reported { charge, result, asked }
            }
            (Mutant::UnknownTakenAsPaid, Event::Reported { charge, result: Err(RailError::Unknown(_)), asked }) => {
                let order = charge.order().and_then(|id| state.orders.get(&id))?;
                let payment = kioskd::payment::Payment {
                    id: kioskd::vocabulary::PaymentId::parse("guess").unwrap(),
                    amount: order.amount(),
                    currency: order.currency,
                    order: order.id,
                };
                let report =
                    ChargeReport { standing: Standing::Closed, payments: vec![payment], returned: 0, attach: None };
                Event::Reported { charge, result: Ok(report), asked }
            }
            (Mutant::UnknownTakenAsClosed, Event::Reported { charge, result: Err(RailError::Unknown(_)), asked }) => {
                let report =
                    ChargeReport { standing: Standing::Closed, payments: Vec::new(), returned: 0, attach: None };
                Event::Reported { charge, result: Ok(report), asked }
            }
            (_, Event::Reported { charge, result: Ok(mut report), asked }) => {
                let order = charge.order().and_then(|id| state.orders.get(&id));
                match (self, order) {
                    (Mutant::WrongAmountAccepted, Some(order)) => {
                        report.payments.iter_mut().for_each(|payment| payment.amount = order.amount());
                    }
                    (Mutant::WrongOrderAccepted, Some(order)) => {
                        report.payments.iter_mut().for_each(|payment| payment.order = order.id);
                    }
                    (Mutant::SecondPaymentIgnored, _) => report.payments.truncate(1),
                    _ => {}
                }
                Event::Reported { charge, result: Ok(report), asked }
            }
            (_, event) => event,
        })
    }

    /// Before the commit; true if it only reaches the page cache.
    pub fn step(self, step: &mut Step, state: &mut State) -> bool {
        let has = |kind: &str| step.records.iter().any(|record| record.kind() == kind);
        let lazy = match self {
            Mutant::IntentNotSynced => has("delivery-intended"),
            Mutant::RefundNotSynced => has("refund-requested"),
            _ => false,
        };
        if self == Mutant::RefundWithoutRecord {
            step.records.retain(|record| record.kind() != "refund-requested");
        }
        for effect in &mut step.effects {
            match (self, &mut *effect) {
                (Mutant::EnergisedAgainOnRecovery, Effect::Recall { delivery, before }) => {
                    let order = &state.orders[&delivery.order];
                    let slot = order.items[delivery.item as usize].attempts.last().unwrap().slot.clone();
                    *effect = Effect::Deliver { delivery: *delivery, slot, before: *before };
                }
                (Mutant::FreshRefundNumber, Effect::QueryRefund { rail, refund }) => {
                    let fresh = format!("{}9", refund.refund);
                    let refund = kioskd::payment::RefundRequest {
                        refund: kioskd::vocabulary::RefundId::parse(&fresh).unwrap(),
                        ..refund.clone()
                    };
                    *effect = Effect::Refund { rail: *rail, refund };
                }
                (Mutant::OtherRefundAmount, Effect::QueryRefund { rail, refund }) => {
                    let refund = kioskd::payment::RefundRequest { amount: refund.amount - 1, ..refund.clone() };
                    *effect = Effect::Refund { rail: *rail, refund };
                }
                _ => {}
            }
        }
        lazy
    }

    /// In place of asking the world. True if the effect is done with.
    pub fn effect(self, effect: &Effect, world: &mut World, state: &mut State, records: &mut Vec<Record>) -> bool {
        match (self, effect) {
            (Mutant::CrashAssumedDelivered, Effect::Recall { delivery, .. }) => {
                world.tell(5, Event::Evidence { delivery: *delivery, evidence: Evidence::Dropped { count: 1 } });
                true
            }
            (Mutant::CrashAssumedNothing, Effect::Recall { delivery, .. }) => {
                let evidence = Evidence::Nothing { self_tested: true };
                world.tell(5, Event::Evidence { delivery: *delivery, evidence });
                true
            }
            (Mutant::CloseTrusted, Effect::Close { charge, .. }) => {
                if let Some(order) = state.orders.get_mut(&charge.order)
                    && let Some(open) = order.charge_mut(&charge.charge)
                {
                    open.settled = true;
                    records.push(Record::ChargeSettled { order: charge.order, charge: charge.charge.clone() });
                }
                false
            }
            _ => false,
        }
    }

    pub fn recovered(self, recovered: &mut Recovered) {
        match self {
            Mutant::WaitingForgottenOnRestart => recovered.orders.retain(|order| order.bought.is_some()),
            Mutant::RefundForgottenOnRestart => {
                recovered.orders.retain(|order| order.charges.iter().all(|charge| charge.refunds.is_empty()));
            }
            _ => {}
        }
    }
}

/// The one rail there is.
pub const RAIL: RailKind = RailKind::Sandbox;
