//! What proved events add up to: the ledger's own totals, made again from what the fleet was told.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ledger::EventDocument;
use crate::sale::view::Outcome;
use crate::sale::{Order, Record};
use crate::vocabulary::{Minor, OrderId};

/// The orders of one ledger, folded from their records as the kiosk itself does. An order that has ended is kept: money may
/// come to it later.
#[derive(Debug, Default)]
pub struct Totals {
    orders: BTreeMap<OrderId, Order>,
    unread: u64,
}

/// In one currency; money in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    pub orders: u64,
    pub ended: u64,
    /// Claims that nobody has settled.
    pub claims: u64,
    pub paid: Minor,
    pub refunded: Minor,
    pub outstanding: Minor,
    /// Units.
    pub delivered: u64,
    pub not_delivered: u64,
    pub unknown: u64,
}

impl Totals {
    /// The next proved event of the ledger.
    pub fn take(&mut self, event: &EventDocument) {
        let Ok(record) = serde_json::from_str::<Record>(&event.text) else {
            // Of a newer kiosk. It is stored, and adds up once this program knows it.
            self.unread += 1;
            return;
        };
        let Some(id) = record.order() else { return };
        match self.orders.get_mut(&id) {
            Some(order) => order.apply(&record),
            None => self.orders.extend(Order::begun(&record).map(|order| (id, order))),
        }
    }

    /// Events whose text means nothing to this program.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// By currency.
    pub fn sums(&self) -> BTreeMap<&'static str, Sums> {
        let mut all: BTreeMap<&'static str, Sums> = BTreeMap::new();
        for order in self.orders.values() {
            let units = |outcome| order.items.iter().filter(|item| item.outcome == outcome).count() as u64;
            let sums = all.entry(order.currency.code()).or_default();
            sums.orders += 1;
            sums.ended += u64::from(order.ended);
            sums.claims += u64::from(order.claim_open());
            sums.paid += order.paid();
            sums.refunded += order.refunded();
            sums.outstanding += order.outstanding();
            sums.delivered += units(Outcome::Delivered);
            sums.not_delivered += units(Outcome::NotDelivered);
            sums.unknown += units(Outcome::Unknown);
        }
        all
    }
}
