//! After a start: what the ledger holds is taken up where it stood.
//!
//! Policy: an order that was waiting is closed, because its QR is gone. Paid and nothing energised: refund, or deliver now
//! where the operator says so and this software can read all that is on record about the order. Energised and nothing
//! recorded: never energise again; ask the latched sensor what fell. Everything asked of a provider is asked anew. Expiries
//! are counted from the start of the daemon: with no trusted clock the later bound is the safe one. What was written on
//! another machine is settled and never delivered here.

use std::collections::BTreeMap;

use super::configuration::Trial;
use super::event::Effect;
use super::record::{Closed, Record};
use super::view::Outcome;
use super::{Dialogue, Order, PinGuard, State, Turn};
use crate::operation::{KeyName, ReplayWindow, RequestId};
use crate::vocabulary::{BootId, Cause, DeliveryId, Language, Mono, OrderId, PaidWithoutIntent, ShortCode};

/// What the ledger knows when the daemon starts.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// Every order that has not ended.
    pub orders: Vec<Order>,
    /// Records that say what the shop's records add up to: what lies in each slot, which outlet is faulty, and the newest
    /// of each key that it has noted. They are not the records that were written, and no delivery is among them.
    pub shop: Vec<Record>,
    /// What the shop remembers beside its records, by the names of its parts. Whoever restores gives it to
    /// [`Shop::recall`](super::Shop::recall) before.
    pub memory: BTreeMap<String, String>,
    pub last_order: Option<OrderId>,
    /// Of the newest orders, at most [`REACH`](super::codes::REACH), the newest last.
    pub codes: Vec<ShortCode>,
    pub locked: Option<String>,
    pub maintenance: bool,
    /// Wrong PINs in a row at the glass.
    pub pins_refused: u32,
    /// Begun and not ended.
    pub operations: Vec<RequestId>,
    /// Which commands of each of the fleet's keys were taken.
    pub windows: BTreeMap<KeyName, ReplayWindow>,
    pub sales_stopped: bool,
    /// The number of the last report; 0 before the first.
    pub last_report: u32,
    /// Chosen by a person; empty where nobody has.
    pub languages: Vec<Language>,
    /// The configuration on trial, by the record with which that began.
    pub config_tried: Option<Record>,
    /// What was written about updates, in order.
    pub updates: Vec<Record>,
    /// The ledger was written elsewhere, where somebody may take up the same orders.
    pub moved: bool,
}

impl State {
    /// Takes over what the ledger knows; before the first event.
    pub fn restore(&mut self, mut recovered: Recovered) {
        if recovered.moved {
            // A refund that two ask for is one refund, and a delivery of two is two.
            self.policy.paid_without_intent = PaidWithoutIntent::Refund;
            // Counted by a sensor elsewhere: what this one says now tells nothing about it.
            let items = recovered.orders.iter_mut().flat_map(|order| &mut order.items);
            items.flat_map(|item| &mut item.attempts).for_each(|attempt| attempt.counter = None);
        }
        recovered.shop.iter().for_each(|record| self.shop.apply(record));
        self.last_order = recovered.last_order;
        recovered.codes.into_iter().for_each(|code| self.codes.remember(code));
        self.conditions.locked = recovered.locked;
        self.conditions.maintenance = recovered.maintenance;
        self.pin = PinGuard::after(recovered.pins_refused, Mono::default());
        self.open_operations = recovered.operations;
        self.windows = recovered.windows;
        self.announced_stop = recovered.sales_stopped;
        self.last_report = recovered.last_report;
        self.chosen_languages = recovered.languages;
        self.configuration.trial = recovered.config_tried.as_ref().and_then(Trial::of);
        self.updates.restore(&recovered.updates, &self.open_operations, recovered.moved);
        self.dialogue = Dialogue::new(self.languages(), &*self.shop);
        self.orders = recovered.orders.into_iter().map(|order| (order.id, order)).collect();
    }

    /// An order that had ended comes back because its provider has something to say. `now` restarts its timers.
    pub fn revive(&mut self, order: Order, now: Mono) {
        let order = restart_timers(order, now);
        self.orders.entry(order.id).or_insert(order);
    }
}

impl Turn<'_> {
    pub(super) fn started(&mut self, boot: BootId, version: String) {
        self.record(Record::BootStarted { boot, version });
        self.resume_trial();
        self.end_open_operations();
        self.look_at_the_software();
        for record in self.state.shop.opening() {
            self.record(record);
        }
        let now = self.at.now;
        for id in self.state.orders.keys().copied().collect::<Vec<_>>() {
            if let Some(order) = self.state.orders.remove(&id) {
                self.state.orders.insert(id, restart_timers(order, now));
            }
            self.resume(id);
        }
    }

    fn resume(&mut self, id: OrderId) {
        let Some(order) = self.state.orders.get(&id) else { return };
        if order.waiting() {
            return self.close_order(id, Closed::Restart);
        }
        if !order.unresolved() {
            return;
        }
        // What was granted is granted once more by whoever granted it, and not by a restart.
        let granted = order.grant().is_some();
        // And what newer software has done for it may have been a delivery.
        let refund = granted || order.unread || self.state.policy.paid_without_intent == PaidWithoutIntent::Refund;
        let mut give_up = Vec::new();
        let mut recall = None;
        for (index, item) in order.items.iter().enumerate().filter(|(_, item)| item.outcome == Outcome::Pending) {
            let item_index = index as u32;
            match item.open_attempt() {
                Some(attempt) => {
                    let delivery = DeliveryId { order: id, item: item_index, attempt: item.attempts.len() as u32 };
                    let (outlet, before) = (attempt.outlet.clone(), attempt.counter);
                    recall = Some(Effect::Recall { delivery, outlet, before });
                }
                None if refund || !item.attempts.is_empty() => give_up.push(item_index),
                None => {}
            }
        }
        for item in give_up {
            let why = Cause::Restarted;
            self.record(Record::ItemNotDelivered { order: id, item, outlet: None, why, last: true });
        }
        // On the glass until it is resolved, so that no other delivery moves the counter this one is told by.
        if self.state.orders.get(&id).is_some_and(Order::unresolved) && self.state.current.is_none() {
            self.show_order(id);
        }
        match recall {
            Some(recall) => self.effect(recall),
            None => self.deliver_on(id),
        }
    }
}

fn restart_timers(mut order: Order, now: Mono) -> Order {
    order.preparing = None;
    for charge in &mut order.charges {
        charge.watch = super::order::Watch { since: now, next: now, ..Default::default() };
        charge.watch.want_close = charge.payments.is_empty();
        for refund in &mut charge.refunds {
            // Whether it was asked for before is not known: ask after it first.
            refund.watch = super::order::Watch { since: now, next: now, ask_after: true, ..Default::default() };
        }
    }
    order
}
