//! From paid to delivered, one unit after the other: choose a slot, read the sensor, write the intent, energise, record
//! what the sensor says.
//!
//! Policy (P1): an intent is energised by the step that wrote it and by no other. Another slot follows only after a
//! self-tested sensor said "nothing fell", in the same run of the daemon. Whatever can't be told is `Unknown` and is
//! settled by the operator's policy.

use super::event::{Effect, Illegal};
use super::order::Receipt;
use super::record::{Record, Settling};
use super::view::Outcome;
use super::{Order, Turn};
use crate::vocabulary::{DeliveryId, Evidence, OrderId, Reading, SlotId, UnknownDelivery};

/// The next thing to do for a paid order.
enum Next {
    /// An answer is on its way.
    Wait,
    Prepare {
        delivery: DeliveryId,
        slot: SlotId,
    },
    GiveUp {
        item: u32,
        why: String,
    },
    Finish,
}

impl Turn<'_> {
    /// Goes on with a paid order until an answer has to come or everything is resolved.
    pub(super) fn deliver_on(&mut self, id: OrderId) {
        loop {
            let Some(order) = self.state.orders.get(&id) else { return };
            match self.next_for(order) {
                Next::Wait => return,
                Next::GiveUp { item, why } => {
                    self.record(Record::ItemNotDelivered { order: id, item, slot: None, why, last: true });
                }
                Next::Prepare { delivery, slot } => {
                    if let Some(order) = self.state.orders.get_mut(&id) {
                        order.preparing = Some((delivery, slot));
                    }
                    self.effect(Effect::Prepare { delivery });
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
        let give_up = |why: &str| Next::GiveUp { item: index, why: why.to_owned() };
        if order.bought.as_ref().and_then(|id| order.charge(id)).is_some_and(|charge| charge.returned > 0) {
            return give_up("the provider has given the money back");
        }
        if let Some(reason) = self.state.delivery_stop() {
            return give_up(&format!("the machine could not deliver: {reason:?}"));
        }
        if item.attempts.iter().any(|attempt| !attempt.this_boot) {
            return give_up("energised before a restart");
        }
        if item.attempts.len() >= self.state.policy.attempts as usize {
            return give_up("nothing fell from any slot tried");
        }
        let tried: Vec<SlotId> = item.attempts.iter().map(|attempt| attempt.slot.clone()).collect();
        match self.state.planogram.choose(&item.product, &tried) {
            Some(slot) => Next::Prepare {
                delivery: DeliveryId { order: order.id, item: index, attempt: item.attempts.len() as u32 + 1 },
                slot,
            },
            None => give_up("no slot with this product is left"),
        }
    }

    pub(super) fn prepared(&mut self, delivery: DeliveryId, reading: Reading) -> Result<(), Illegal> {
        let order = self.state.orders.get_mut(&delivery.order).ok_or(Illegal::NoOrder(delivery.order))?;
        let Some((_, slot)) = order.preparing.take_if(|(open, _)| *open == delivery) else {
            return Err(Illegal::NoDelivery(delivery));
        };
        let blind = self.state.policy.sensor && !(reading.self_tested && reading.counter.is_some());
        if blind {
            // Without eyes nothing is energised: the goods would fall and the money go back.
            let why = "the drop sensor failed its self-test".to_owned();
            let (order, item) = (delivery.order, delivery.item);
            self.record(Record::ItemNotDelivered { order, item, slot: Some(slot), why, last: true });
        } else if self.state.delivery_stop().is_none() {
            self.record(Record::DeliveryIntended {
                order: delivery.order,
                item: delivery.item,
                attempt: delivery.attempt,
                slot: slot.clone(),
                counter: reading.counter,
            });
            if let Some(attempt) = self.attempt(delivery) {
                attempt.this_boot = true;
            }
            self.effect(Effect::Deliver { delivery, slot, before: reading.counter });
        }
        self.deliver_on(delivery.order);
        Ok(())
    }

    pub(super) fn not_energised(&mut self, delivery: DeliveryId, why: String) -> Result<(), Illegal> {
        let open = self.state.orders.get_mut(&delivery.order);
        let preparing = open.and_then(|order| order.preparing.take_if(|(open, _)| *open == delivery));
        let slot = match preparing {
            // It was not even prepared, so there is no intent.
            Some((_, slot)) => slot,
            None => self.open_slot(delivery)?,
        };
        let (order, item) = (delivery.order, delivery.item);
        self.record(Record::ItemNotDelivered { order, item, slot: Some(slot), why, last: true });
        self.deliver_on(order);
        Ok(())
    }

    pub(super) fn evidence(&mut self, delivery: DeliveryId, evidence: Evidence) -> Result<(), Illegal> {
        let slot = self.open_slot(delivery)?;
        let DeliveryId { order, item, attempt } = delivery;
        match evidence {
            Evidence::Dropped { count } => {
                self.record(Record::ItemDelivered { order, item, attempt, slot, count });
            }
            Evidence::Nothing { self_tested: true } => {
                let again = self.attempt(delivery).is_some_and(|attempt| attempt.this_boot)
                    && attempt < self.state.policy.attempts
                    && self.state.delivery_stop().is_none();
                let why = "nothing fell".to_owned();
                self.record(Record::ItemNotDelivered { order, item, slot: Some(slot.clone()), why, last: !again });
                // After a restart the motor may have been stopped halfway; that is no fault of the slot.
                if self.attempt(delivery).is_some_and(|attempt| attempt.this_boot) {
                    self.record(Record::SlotFaulty { slot, why: "energised and nothing fell".into() });
                }
            }
            Evidence::Nothing { self_tested: false } => {
                self.unknown(delivery, slot, "the drop sensor did not pass its self-test".into());
            }
            Evidence::Silent { why } => self.unknown(delivery, slot, why),
        }
        self.deliver_on(order);
        Ok(())
    }

    fn unknown(&mut self, delivery: DeliveryId, slot: SlotId, why: String) {
        let DeliveryId { order, item, .. } = delivery;
        let settled_by = match self.state.policy.unknown_delivery {
            UnknownDelivery::Refund => Settling::Refund,
            UnknownDelivery::Hold => Settling::Claim,
            UnknownDelivery::AssumeDelivered => Settling::AssumedDelivered,
        };
        self.record(Record::ItemUnknown { order, item, slot, why: why.clone(), settled_by });
        if settled_by == Settling::Claim {
            let price = |order: &Order| order.items.get(item as usize).map(|item| item.price);
            let amount = self.state.orders.get(&order).and_then(price).unwrap_or_default();
            self.claim(order, amount, format!("delivery unknown: {why}"));
        }
    }

    fn attempt(&mut self, delivery: DeliveryId) -> Option<&mut super::order::Attempt> {
        let item = self.state.orders.get_mut(&delivery.order)?.items.get_mut(delivery.item as usize)?;
        item.attempts.get_mut((delivery.attempt as usize).checked_sub(1)?)
    }

    /// The slot of a delivery whose evidence is still wanted.
    fn open_slot(&mut self, delivery: DeliveryId) -> Result<SlotId, Illegal> {
        let attempt = self.attempt(delivery).filter(|attempt| !attempt.done);
        attempt.map(|attempt| attempt.slot.clone()).ok_or(Illegal::NoDelivery(delivery))
    }

    /// One slip for an order that was paid, when nothing is left to deliver.
    fn print_receipt(&mut self, id: OrderId) {
        let unprinted = |order: &Order| order.receipt == Receipt::NotYet && order.printing.is_none();
        if self.state.orders.get(&id).is_some_and(unprinted) {
            self.print(id);
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
            Err(why) => Record::ReceiptNotPrinted { order, slip, why },
        });
        Ok(())
    }
}
