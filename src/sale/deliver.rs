//! From paid to delivered, one unit after the other: choose an outlet, read the sensor, write the intent, energise, record
//! what the sensor says.
//!
//! Policy (P1): an intent is energised by the step that wrote it and by no other. Another outlet follows only after a
//! self-tested sensor said "nothing fell", in the same run of the daemon. Whatever can't be told is `Unknown` and is
//! settled by the operator's policy.

use super::event::{Effect, Illegal};
use super::order::Receipt;
use super::presented::CodeKind;
use super::record::{Record, Settling, Slip};
use super::view::Outcome;
use super::{Order, Turn};
use crate::vocabulary::{Cause, DeliveryId, Evidence, Grant, OrderId, Outlet, Reading, UnknownDelivery};

/// The next thing to do for an order that may be delivered.
enum Next {
    /// An answer is on its way.
    Wait,
    Prepare {
        delivery: DeliveryId,
        outlet: Outlet,
    },
    /// Nothing has to move for it.
    Pass {
        item: u32,
    },
    GiveUp {
        item: u32,
        why: Cause,
    },
    Finish,
}

impl Turn<'_> {
    /// Goes on with an order that may be delivered until an answer has to come or everything is resolved.
    pub(super) fn deliver_on(&mut self, id: OrderId) {
        loop {
            let Some(order) = self.state.orders.get(&id) else { return };
            match self.next_for(order) {
                Next::Wait => return,
                Next::GiveUp { item, why } => {
                    self.record(Record::ItemNotDelivered { order: id, item, outlet: None, why, last: true });
                }
                Next::Pass { item } => {
                    let outlet = Outlet::Pass;
                    self.record(Record::ItemDelivered { order: id, item, attempt: 1, outlet, count: 1 });
                }
                Next::Prepare { delivery, outlet } => {
                    if let Some(order) = self.state.orders.get_mut(&id) {
                        order.preparing = Some((delivery, outlet.clone()));
                    }
                    self.effect(Effect::Prepare { delivery, outlet });
                    return;
                }
                Next::Finish => {
                    self.leave_order(id);
                    return self.print_receipt(id);
                }
            }
        }
    }

    fn next_for(&self, order: &Order) -> Next {
        if order.preparing.is_some() {
            return Next::Wait;
        }
        let Some((index, item)) = order.items.iter().enumerate().find(|(_, item)| item.outcome == Outcome::Pending)
        else {
            return Next::Finish;
        };
        if item.open_attempt().is_some() {
            return Next::Wait;
        }
        let index = index as u32;
        let give_up = |why| Next::GiveUp { item: index, why };
        if order.bought().and_then(|id| order.charge(id)).is_some_and(|charge| charge.returned > 0) {
            return give_up(Cause::MoneyReturned);
        }
        if let Some(reason) = self.state.delivery_stop() {
            return give_up(Cause::Stopped { reason });
        }
        if item.attempts.iter().any(|attempt| !attempt.this_boot) {
            return give_up(Cause::EnergisedBeforeRestart);
        }
        if item.attempts.len() >= self.state.policy.attempts as usize {
            return give_up(Cause::NothingFellAnywhere);
        }
        let tried: Vec<Outlet> = item.attempts.iter().map(|attempt| attempt.outlet.clone()).collect();
        let next = match &order.only {
            // A test is of a faulty one too.
            Some(only) => Some(only.clone()).filter(|only| {
                let usable = || self.state.outlet(only).is_none_or(|known| known.fault.is_none());
                !tried.contains(only) && (order.grant() == Some(Grant::Test) || usable())
            }),
            None => self.state.shop.outlet(&item.goods, &tried),
        };
        match next {
            Some(Outlet::Pass) => Next::Pass { item: index },
            Some(outlet) => Next::Prepare {
                delivery: DeliveryId { order: order.id, item: index, attempt: item.attempts.len() as u32 + 1 },
                outlet,
            },
            None => give_up(Cause::NoOutletLeft),
        }
    }

    pub(super) fn prepared(&mut self, delivery: DeliveryId, reading: Reading) -> Result<(), Illegal> {
        let order = self.state.orders.get_mut(&delivery.order).ok_or(Illegal::NoOrder(delivery.order))?;
        let Some((_, outlet)) = order.preparing.take_if(|(open, _)| *open == delivery) else {
            return Err(Illegal::NoDelivery(delivery));
        };
        let eyes = reading.self_tested && reading.counter.is_some();
        // The drop sensor tells of what falls, not of what opens.
        let blind = self.state.policy.sensor && outlet.slot().is_some() && !eyes;
        if blind {
            // Without eyes nothing is energised: the goods would fall and the money go back.
            let (order, item, why) = (delivery.order, delivery.item, Cause::SensorFailed);
            self.record(Record::ItemNotDelivered { order, item, outlet: Some(outlet), why, last: true });
        } else if self.state.delivery_stop().is_none() {
            self.record(Record::DeliveryIntended {
                order: delivery.order,
                item: delivery.item,
                attempt: delivery.attempt,
                outlet: outlet.clone(),
                counter: reading.counter,
            });
            if let Some(attempt) = self.attempt(delivery) {
                attempt.this_boot = true;
            }
            self.effect(Effect::Deliver { delivery, outlet, before: reading.counter });
        }
        self.deliver_on(delivery.order);
        Ok(())
    }

    pub(super) fn not_energised(&mut self, delivery: DeliveryId, detail: String) -> Result<(), Illegal> {
        let open = self.state.orders.get_mut(&delivery.order);
        let preparing = open.and_then(|order| order.preparing.take_if(|(open, _)| *open == delivery));
        let outlet = match preparing {
            // It was not even prepared, so there is no intent.
            Some((_, outlet)) => outlet,
            None => self.open_outlet(delivery)?,
        };
        let (order, item, why) = (delivery.order, delivery.item, Cause::Board { detail });
        self.record(Record::ItemNotDelivered { order, item, outlet: Some(outlet), why, last: true });
        self.deliver_on(order);
        Ok(())
    }

    pub(super) fn evidence(&mut self, delivery: DeliveryId, evidence: Evidence) -> Result<(), Illegal> {
        let outlet = self.open_outlet(delivery)?;
        let DeliveryId { order, item, attempt } = delivery;
        match evidence {
            Evidence::Dropped { count } => {
                self.record(Record::ItemDelivered { order, item, attempt, outlet, count });
            }
            Evidence::Nothing { self_tested: true } => {
                let again = self.attempt(delivery).is_some_and(|attempt| attempt.this_boot)
                    && attempt < self.state.policy.attempts
                    && self.state.delivery_stop().is_none();
                let why = Cause::NothingFell;
                self.record(Record::ItemNotDelivered { order, item, outlet: Some(outlet.clone()), why, last: !again });
                // After a restart the motor may have been stopped halfway; that is no fault of the outlet.
                if self.attempt(delivery).is_some_and(|attempt| attempt.this_boot) {
                    self.record(Record::OutletFaulty { outlet, why: Cause::NothingFell });
                }
            }
            Evidence::Withdrawn => {
                let why = Cause::Withdrawn;
                self.record(Record::ItemNotDelivered { order, item, outlet: Some(outlet), why, last: true });
            }
            Evidence::Nothing { self_tested: false } => {
                self.unknown(delivery, outlet, Cause::SensorFailed);
            }
            Evidence::Silent { why } => self.unknown(delivery, outlet, Cause::Board { detail: why }),
        }
        self.deliver_on(order);
        Ok(())
    }

    fn unknown(&mut self, delivery: DeliveryId, outlet: Outlet, why: Cause) {
        let DeliveryId { order, item, .. } = delivery;
        let granted = self.state.orders.get(&order).is_some_and(|order| order.grant().is_some());
        let settled_by = match self.state.policy.unknown_delivery {
            // Nobody has paid, so there is nothing to settle.
            _ if granted => Settling::AssumedDelivered,
            // Who has driven out is not given back what it cost.
            _ if matches!(outlet, Outlet::Gate(_)) => Settling::AssumedDelivered,
            UnknownDelivery::Refund => Settling::Refund,
            UnknownDelivery::Hold => Settling::Claim,
            UnknownDelivery::AssumeDelivered => Settling::AssumedDelivered,
        };
        self.record(Record::ItemUnknown { order, item, outlet, why: why.clone(), settled_by });
        if settled_by == Settling::Claim {
            let price = |order: &Order| order.items.get(item as usize).map(|item| item.price);
            let amount = self.state.orders.get(&order).and_then(price).unwrap_or_default();
            self.claim(order, amount, Cause::DeliveryUnknown { detail: Box::new(why) });
        }
    }

    fn attempt(&mut self, delivery: DeliveryId) -> Option<&mut super::order::Attempt> {
        let item = self.state.orders.get_mut(&delivery.order)?.items.get_mut(delivery.item as usize)?;
        item.attempts.get_mut((delivery.attempt as usize).checked_sub(1)?)
    }

    /// The outlet of a delivery whose evidence is still wanted.
    fn open_outlet(&mut self, delivery: DeliveryId) -> Result<Outlet, Illegal> {
        let attempt = self.attempt(delivery).filter(|attempt| !attempt.done);
        attempt.map(|attempt| attempt.outlet.clone()).ok_or(Illegal::NoDelivery(delivery))
    }

    /// One slip for an order that was paid, when nothing is left to deliver.
    fn print_receipt(&mut self, id: OrderId) {
        let unprinted =
            |order: &Order| order.bought().is_some() && order.receipt == Receipt::NotYet && order.printing.is_none();
        if self.state.orders.get(&id).is_some_and(unprinted) {
            self.print(id);
        }
    }

    /// What the customer takes away of an order that was granted, before anything is handed over.
    pub(super) fn print_ticket(&mut self, id: OrderId) {
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        if self.state.shop.code(order).is_some_and(|code| code.kind == CodeKind::Ticket) {
            order.printing = Some(Slip::Ticket);
            self.effect(Effect::Print { order: id });
        }
    }

    /// And one more where it becomes a claim after that. What was printed is on disk, so that a restart prints what is
    /// still due and nothing twice.
    pub(super) fn print_claims(&mut self) {
        let due = self.state.orders.values().filter(|order| order.wants_claim_slip());
        for id in due.map(|order| order.id).collect::<Vec<_>>() {
            self.print(id);
        }
    }

    fn print(&mut self, id: OrderId) {
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        order.printing = Some(order.slip());
        self.effect(Effect::Print { order: id });
    }

    pub(super) fn receipt_done(&mut self, order: OrderId, result: Result<(), String>) -> Result<(), Illegal> {
        let printing = &mut self.state.orders.get_mut(&order).ok_or(Illegal::NoOrder(order))?.printing;
        let slip = printing.take().ok_or(Illegal::Refused("no slip of this order is being printed"))?;
        self.record(match result {
            Ok(()) => Record::ReceiptPrinted { order, slip },
            Err(detail) => Record::ReceiptNotPrinted { order, slip, why: Cause::Printer { detail } },
        });
        Ok(())
    }
}
