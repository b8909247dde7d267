//! A ledger in memory with the seam a disk has: what was written and not synced is gone after a crash.

use kioskd::ledger::{Journal, LedgerError};
use kioskd::sale::recover::Recovered;
use kioskd::sale::{self, Order, Record, State};
use kioskd::vocabulary::{OrderId, Stamp};

#[derive(Debug, Default)]
pub struct Memory {
    records: Vec<Record>,
    /// Records up to here survive a crash.
    synced: usize,
    /// The next commit reaches the page cache only.
    pub lazy: bool,
}

impl Journal for Memory {
    fn commit(&mut self, _: &Stamp, records: &[Record], _: &State) -> Result<(), LedgerError> {
        self.records.extend_from_slice(records);
        if !std::mem::take(&mut self.lazy) {
            self.synced = self.records.len();
        }
        Ok(())
    }
}

impl Memory {
    pub fn crash(&mut self) {
        self.records.truncate(self.synced);
    }

    pub fn of(&self, order: OrderId) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.order() == Some(order))
    }

    pub fn order(&self, id: OrderId) -> Option<Order> {
        Order::fold(self.of(id))
    }

    pub fn orders(&self) -> Vec<OrderId> {
        let offered = |record: &Record| match record {
            Record::OrderOffered { order, .. } => Some(*order),
            _ => None,
        };
        self.records.iter().filter_map(offered).collect()
    }

    /// What a start finds: the fold of what is there.
    pub fn recover(&self, fresh: &State) -> Recovered {
        let mut planogram = fresh.planogram.clone();
        let mut recovered = Recovered::default();
        for record in &self.records {
            match record {
                Record::OrderOffered { order, .. } => recovered.last_order = Some(*order),
                Record::ItemDelivered { slot, count, .. } => planogram.take(slot, *count),
                Record::ItemUnknown { slot, .. } => planogram.take(slot, 1),
                Record::StockSet { slot, count } => planogram.set_stock(slot, *count),
                Record::SlotFaulty { slot, why } => planogram.set_fault(slot, Some(why.clone())),
                Record::SlotRepaired { slot } => planogram.set_fault(slot, None),
                Record::SalesStopped { .. } => recovered.sales_stopped = true,
                Record::SalesResumed {} => recovered.sales_stopped = false,
                Record::KioskLocked { reason } => recovered.locked = Some(reason.clone()),
                Record::KioskUnlocked {} => recovered.locked = None,
                _ => {}
            }
        }
        recovered.stock = planogram.slots().iter().map(|(name, slot)| (name.clone(), slot.stock)).collect();
        let faulty = planogram.slots().iter().filter_map(|(name, slot)| Some((name.clone(), slot.faulty.clone()?)));
        recovered.faulty = faulty.collect();
        recovered.orders =
            self.orders().into_iter().filter_map(|id| self.order(id)).filter(|order| !order.ended).collect();
        recovered
    }
}

/// So that the trait's signature is what the kiosk uses.
pub fn commit(journal: &mut impl Journal, at: &Stamp, step: &sale::Step, state: &State) {
    journal.commit(at, &step.records, state).expect("memory does not fail");
}
