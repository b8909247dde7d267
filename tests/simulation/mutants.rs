//! Faults planted between the core and the world: what a careless implementation would do. Each must be caught.

use kioskd::sale::event::{Condition, Effect, Event};
use kioskd::sale::recover::Recovered;
use kioskd::sale::{Record, State};
use kioskd::vocabulary::{Cause, ChargeId, ChargeReport, Evidence, Mono, RailError, Standing};

use crate::world::{Due, World};

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
    FormerRailForgotten,
    FormerRailLeftOpen,
    SecondRailNotOnDisk,
    PaidChargeClosed,
    NoticeOvertakesClose,
    StaleRequestTaken,
    StrangersRefundNumber,
    OutboxIgnored,
    DiskIgnored,
    DarkGlassIgnored,
    LockIgnored,
    OperationNotSynced,
    ReturnNotSeen,
    LossForgotten,
    SilentRefundForgotten,
    UnknownUnitKeptInStock,
    DoorIgnoredWhilePreparing,
    FinalByTheAnswer,
    GrantNotSynced,
    UnitGivenAwayAgain,
    RequestForgotten,
    AnswerBeforeTheDisk,
    TrialForgotten,
    MemoryForgotten,
    MemoryBehindRecords,
}

impl Mutant {
    pub const ALL: [Mutant; 46] = [
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
        Mutant::FormerRailForgotten,
        Mutant::FormerRailLeftOpen,
        Mutant::SecondRailNotOnDisk,
        Mutant::PaidChargeClosed,
        Mutant::NoticeOvertakesClose,
        Mutant::StaleRequestTaken,
        Mutant::StrangersRefundNumber,
        Mutant::OutboxIgnored,
        Mutant::DiskIgnored,
        Mutant::DarkGlassIgnored,
        Mutant::LockIgnored,
        Mutant::OperationNotSynced,
        Mutant::ReturnNotSeen,
        Mutant::LossForgotten,
        Mutant::SilentRefundForgotten,
        Mutant::UnknownUnitKeptInStock,
        Mutant::DoorIgnoredWhilePreparing,
        Mutant::FinalByTheAnswer,
        Mutant::GrantNotSynced,
        Mutant::UnitGivenAwayAgain,
        Mutant::RequestForgotten,
        Mutant::AnswerBeforeTheDisk,
        Mutant::TrialForgotten,
    ];

    /// Of a shop that remembers something beside its records.
    pub const OF_MEMORY: [Mutant; 2] = [Mutant::MemoryForgotten, Mutant::MemoryBehindRecords];

    pub fn named(name: &str) -> Self {
        let known = Self::ALL.into_iter().chain(Self::OF_MEMORY).find(|mutant| format!("{mutant:?}") == name);
        known.unwrap_or_else(|| panic!("no mutant `{name}`; there are {:?}", Self::ALL))
    }

    /// Before the core sees an event. `None`: it never does.
    pub fn event(self, event: Event, state: &mut State, now: Mono) -> Option<Event> {
        if self == Mutant::LeaseIgnored {
            for health in state.conditions.rails.values_mut() {
                health.verified = Some(now);
            }
        }
        if let (Mutant::NoticeOvertakesClose | Mutant::FinalByTheAnswer, Event::Reported { charge, .. }) =
            (self, &event)
            && let Some(charge) = charge.order().and_then(|id| state.orders.get_mut(&id)?.charge_mut(charge))
        {
            match self {
                Mutant::NoticeOvertakesClose => (charge.watch.closing, charge.watch.trusted_from) = (false, None),
                _ => charge.watch.sent = now,
            }
        }
        Some(match (self, event) {
            (Mutant::DoorIgnored, Event::Condition(Condition::Door { .. }))
            | (Mutant::OutboxIgnored, Event::Condition(Condition::Outbox { .. }))
            | (Mutant::DiskIgnored, Event::Condition(Condition::Disk { .. }))
            | (Mutant::DarkGlassIgnored, Event::Condition(Condition::Glass { .. })) => return None,
            (Mutant::DoorIgnoredWhilePreparing, Event::Condition(Condition::Door { open: true }))
                if state.orders.values().any(|order| order.preparing.is_some()) =>
            {
                return None;
            }
            (Mutant::RequestForgotten, Event::Asked { request, .. }) => Event::Asked { request, known: None },
            (Mutant::LockIgnored, Event::Asked { request, .. }) if request.asked.verb() == "lock" => return None,
            (
                Mutant::RetryAfterUntestedSensor,
                Event::Evidence { delivery, evidence: Evidence::Nothing { self_tested: false } },
            )
            | (Mutant::SilenceTakenAsNothing, Event::Evidence { delivery, evidence: Evidence::Silent { .. } }) => {
                Event::Evidence { delivery, evidence: Evidence::Nothing { self_tested: true } }
            }
            (Mutant::FormerRailForgotten, Event::Reported { charge, asked: false, .. }) if former(state, &charge) => {
                return None;
            }
            (Mutant::FormerRailForgotten, Event::Reported { charge, asked: true, .. }) if former(state, &charge) => {
                let report =
                    ChargeReport { standing: Standing::Closed, payments: Vec::new(), returned: 0, attach: None };
                Event::Reported { charge, result: Ok(report), asked: true }
            }
            (Mutant::LatePaymentDelivers, Event::Reported { charge, result, asked }) => {
                if result.as_ref().is_ok_and(|report| !report.payments.is_empty())
                    && let Some(order) = charge.order().and_then(|id| state.orders.get_mut(&id))
                    && order.bought().is_none()
                {
                    order.closed = None;
                }
                Event::Reported { charge, result, asked }
            }
            (Mutant::UnknownTakenAsPaid, Event::Reported { charge, result: Err(RailError::Unknown(_)), asked }) => {
                let order = charge.order().and_then(|id| state.orders.get(&id))?;
                let payment = kioskd::vocabulary::Payment {
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
                    (Mutant::ReturnNotSeen, _) => report.returned = 0,
                    _ => {}
                }
                Event::Reported { charge, result: Ok(report), asked }
            }
            (_, event) => event,
        })
    }

    /// Whether it writes a record that it should.
    pub fn writes(self, record: &Record) -> bool {
        !match self {
            Mutant::RefundWithoutRecord => matches!(record, Record::RefundRequested { .. }),
            Mutant::SilentRefundForgotten => matches!(record, Record::ClaimOpened { until_told: true, .. }),
            Mutant::LossForgotten => {
                matches!(record, Record::ClaimOpened { why: Cause::GoodsGoneMoneyBack, .. })
            }
            _ => false,
        }
    }

    /// Whether the commit of a record reaches the page cache only.
    pub fn forgets_to_sync(self, record: &Record) -> bool {
        match self {
            Mutant::IntentNotSynced => matches!(record, Record::DeliveryIntended { .. }),
            Mutant::AnswerBeforeTheDisk => matches!(record, Record::OperationEnded { .. }),
            Mutant::GrantNotSynced => matches!(record, Record::OrderGranted { .. }),
            Mutant::RefundNotSynced => matches!(record, Record::RefundRequested { .. }),
            Mutant::SecondRailNotOnDisk => matches!(record, Record::ChargeOffered { .. }),
            Mutant::OperationNotSynced => matches!(record, Record::KioskLocked { .. } | Record::ClaimSettled { .. }),
            _ => false,
        }
    }

    /// After the commit, before its effects.
    pub fn effects(self, effects: &mut Vec<Effect>, state: &mut State, records: &[Record]) {
        for record in records {
            match (self, record) {
                (Mutant::UnknownUnitKeptInStock, Record::ItemUnknown { outlet, .. }) => {
                    let count = state.outlet(outlet).unwrap().count + 1;
                    // There is no stock behind a gate.
                    if let Some(slot) = outlet.slot().cloned() {
                        state.shop.apply(&Record::StockSet { slot, count });
                    }
                }
                (Mutant::SilentRefundForgotten, Record::ClaimOpened { order, until_told: true, .. }) => {
                    state.orders.get_mut(order).unwrap().claim = None;
                }
                (Mutant::LossForgotten, Record::ClaimOpened { order, why: Cause::GoodsGoneMoneyBack, .. }) => {
                    let order = state.orders.get_mut(order).unwrap();
                    order.claim = None;
                    order.charges.iter_mut().for_each(|charge| charge.written_off = charge.returned);
                }
                _ => {}
            }
        }
        for effect in effects {
            match (self, &mut *effect) {
                (Mutant::EnergisedAgainOnRecovery, Effect::Recall { delivery, outlet, before }) => {
                    *effect = Effect::Deliver { delivery: *delivery, outlet: outlet.clone(), before: *before };
                }
                (Mutant::FreshRefundNumber, Effect::QueryRefund { rail, refund }) => {
                    let fresh = format!("{}9", refund.refund);
                    let refund = kioskd::vocabulary::RefundRequest {
                        refund: kioskd::vocabulary::RefundId::parse(&fresh).unwrap(),
                        ..refund.clone()
                    };
                    *effect = Effect::Refund { rail: rail.clone(), refund };
                }
                (Mutant::OtherRefundAmount, Effect::QueryRefund { rail, refund }) => {
                    let refund = kioskd::vocabulary::RefundRequest { amount: refund.amount - 1, ..refund.clone() };
                    *effect = Effect::Refund { rail: rail.clone(), refund };
                }
                _ => {}
            }
        }
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
            (Mutant::FormerRailLeftOpen, Effect::Close { charge, .. }) if former(state, &charge.charge) => {
                world.tell(5, Event::CloseAnswered { charge: charge.charge.clone(), result: Ok(None) });
                true
            }
            // Closes what is known to be paid: at the provider nobody looks first.
            (Mutant::PaidChargeClosed, Effect::Query { charge, .. }) => {
                let order = state.orders.get(&charge.order);
                if order
                    .and_then(|order| order.charge(&charge.charge))
                    .is_some_and(|charge| !charge.payments.is_empty())
                {
                    world.carry_out_close(&charge.charge);
                }
                false
            }
            // A gateway that takes a request of any age, and carries it out without a look.
            (Mutant::StaleRequestTaken, Effect::Close { charge, .. }) => {
                world.later(20_000, Due::Close { charge: charge.charge.clone() });
                false
            }
            // Somebody else's refund has taken the number at the provider.
            (Mutant::StrangersRefundNumber, Effect::Refund { refund, .. }) => {
                let taken = RailError::Refused { code: "taken".into(), why: "another refund has this number".into() };
                world.refund_answer(refund, Err(taken), false);
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
            Mutant::WaitingForgottenOnRestart => recovered.orders.retain(|order| order.bought().is_some()),
            // Takes a granted order up anew, as if nothing of it had been energised.
            Mutant::UnitGivenAwayAgain => {
                let granted = recovered.orders.iter_mut().filter(|order| order.grant().is_some());
                granted.flat_map(|order| &mut order.items).for_each(|item| item.attempts.clear());
            }
            Mutant::TrialForgotten => recovered.config_tried = None,
            Mutant::RefundForgottenOnRestart => {
                recovered.orders.retain(|order| order.charges.iter().all(|charge| charge.refunds.is_empty()));
            }
            _ => {}
        }
    }
}

/// Another charge was offered after it.
fn former(state: &State, charge: &ChargeId) -> bool {
    let order = charge.order().and_then(|id| state.orders.get(&id));
    order.is_some_and(|order| order.charges.last().is_some_and(|last| last.id != *charge))
}
