//! A ledger in memory with the seam a disk has: what was written and not synced is gone after a crash, the power may go
//! before a commit and after it, and the disk may fail for good.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kioskd::ledger::{DirectoryLock, Journal, Ledger, LedgerError};
use kioskd::operation::{Known, RequestId};
use kioskd::sale::recover::Recovered;
use kioskd::sale::{Order, Record, Shop, State};
use kioskd::vocabulary::{BootId, OrderId, Outlet, Stamp};

use crate::mutants::Mutant;

/// When the power goes, by the number of the point where it may.
#[derive(Debug, Default)]
pub struct Power {
    pub cut_at: Vec<u64>,
    point: u64,
    /// It has gone; until somebody looks.
    died: bool,
}

impl Power {
    /// A point where it may go.
    pub fn survives(&mut self) -> bool {
        self.point += 1;
        if self.cut_at.first().is_some_and(|at| *at <= self.point) {
            self.cut_at.remove(0);
            self.died = true;
        }
        !self.died
    }

    /// It goes, whatever the plan says.
    pub fn dies(&mut self) {
        self.died = true;
    }

    pub fn take_died(&mut self) -> bool {
        std::mem::take(&mut self.died)
    }
}

#[derive(Debug, Default)]
pub struct Memory {
    records: Vec<Record>,
    /// Records up to here survive a crash.
    synced: usize,
    /// What the shop remembers beside them: each part with its number in this run.
    memory: BTreeMap<String, (u64, String)>,
    /// The same before the last commit.
    memory_before: BTreeMap<String, (u64, String)>,
    pub power: Power,
    /// The disk takes nothing more.
    pub failing: bool,
    pub mutant: Option<Mutant>,
    /// A mutant's, that says "written" and writes after the effects.
    deferred: Vec<Record>,
    /// The same once more in a real ledger, where a run wants one.
    disk: Option<Disk>,
}

/// A real ledger, which every boot opens anew.
#[derive(Debug)]
struct Disk {
    directory: PathBuf,
    boots: u32,
    /// Until the next boot none has been opened.
    ledger: Option<Ledger>,
}

impl Journal for Memory {
    fn commit(&mut self, at: &Stamp, records: &[Record], state: &State) -> Result<(), LedgerError> {
        if records.is_empty() && !self.remembers_more(state) {
            return Ok(());
        }
        if self.failing {
            return Err(LedgerError::Latched("the disk fails".into()));
        }
        if self.mutant == Some(Mutant::EffectsBeforeCommit) {
            self.deferred.extend_from_slice(records);
            return Ok(());
        }
        if !self.power.survives() {
            return Err(LedgerError::Latched("the power went before the commit".into()));
        }
        self.write(records);
        self.remember(state);
        if let Some(disk) = &mut self.disk {
            let ledger = disk.ledger();
            ledger.begin(at, state)?;
            ledger.commit(at, records, state)?;
        }
        self.power.survives();
        Ok(())
    }
}

impl Disk {
    fn ledger(&mut self) -> &mut Ledger {
        let Self { directory, boots, ledger } = self;
        ledger.get_or_insert_with(|| {
            *boots += 1;
            let boot = BootId::parse(&format!("boot-{boots}")).unwrap();
            Ledger::open(DirectoryLock::take(directory).unwrap(), boot, 4_096, 0).unwrap()
        })
    }
}

impl Memory {
    /// From now on everything is written into a real ledger too, which is made in this directory.
    pub fn keep_in(&mut self, directory: &Path) {
        self.disk = Some(Disk { directory: directory.into(), boots: 0, ledger: None });
    }

    fn write(&mut self, records: &[Record]) {
        let written = |record: &&Record| self.mutant.is_none_or(|mutant| mutant.writes(record));
        let written: Vec<Record> = records.iter().filter(written).cloned().collect();
        let lazy = self.mutant.is_some_and(|mutant| written.iter().any(|record| mutant.forgets_to_sync(record)));
        self.records.extend(written);
        if !lazy {
            self.synced = self.records.len();
        }
    }

    fn remembers_more(&self, state: &State) -> bool {
        let now = state.shop.memory();
        now.len() != self.memory.len()
            || now.iter().any(|(name, number)| self.memory.get(name).map(|(known, _)| known) != Some(number))
    }

    fn remember(&mut self, state: &State) {
        self.memory_before.clone_from(&self.memory);
        let now = state.shop.memory();
        self.memory.retain(|name, _| now.iter().any(|(there, _)| there == name));
        for (name, number) in now {
            if self.memory.get(&name).is_none_or(|(known, _)| *known != number) {
                let value = state.shop.part(&name).unwrap().expect("a part that is named is there");
                self.memory.insert(name, (number, value));
            }
        }
    }

    /// What a start finds of it.
    pub fn memory(&self) -> BTreeMap<String, String> {
        self.memory.iter().map(|(name, (_, value))| (name.clone(), value.clone())).collect()
    }

    /// What a mutant has put off.
    pub fn flush(&mut self) {
        let deferred = std::mem::take(&mut self.deferred);
        if !deferred.is_empty() && self.power.survives() {
            self.write(&deferred);
            self.power.survives();
        }
    }

    /// A mutant's record, outside of any step.
    pub fn smuggle(&mut self, record: Record) {
        self.write(&[record]);
    }

    pub fn crash(&mut self) {
        self.records.truncate(self.synced);
        match self.mutant {
            Some(Mutant::MemoryForgotten) => self.memory.clear(),
            Some(Mutant::MemoryBehindRecords) => self.memory.clone_from(&self.memory_before),
            _ => {}
        }
        self.memory.values_mut().for_each(|(number, _)| *number = 0);
        self.deferred.clear();
        if let Some(disk) = &mut self.disk {
            disk.ledger = None;
        }
        self.failing = false;
    }

    pub fn all(&self) -> &[Record] {
        &self.records
    }

    pub fn of(&self, order: OrderId) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.order() == Some(order))
    }

    /// What is written of a request.
    pub fn operation(&self, number: &RequestId) -> Option<Known> {
        let mut known = None;
        for record in &self.records {
            match record {
                Record::OperationBegun { id, by, asked } if id == number => {
                    known = Some(Known { asked: asked.clone(), by: by.clone(), outcome: None });
                }
                Record::OperationEnded { id, outcome } if id == number => {
                    known.as_mut().expect("begun before it ends").outcome = Some(outcome.clone());
                }
                _ => {}
            }
        }
        known
    }

    pub fn order(&self, id: OrderId) -> Option<Order> {
        Order::fold(self.of(id))
    }

    pub fn orders(&self) -> Vec<OrderId> {
        let offered = |record: &Record| match record {
            Record::OrderOffered { order, .. } | Record::OrderGranted { order, .. } => Some(*order),
            _ => None,
        };
        self.records.iter().filter_map(offered).collect()
    }

    /// The shop as it was `before`, with everything that was written since.
    pub fn shop(&self, before: &dyn Shop) -> Box<dyn Shop> {
        let mut shop = before.boxed();
        self.records.iter().for_each(|record| shop.apply(record));
        shop
    }

    /// The shop as a restart would have it, of which nothing was known `before`.
    pub fn restarted(&self, before: &dyn Shop) -> Box<dyn Shop> {
        let mut shop = before.boxed();
        shop.recall(self.memory()).unwrap();
        self.sums().iter().for_each(|record| shop.apply(record));
        shop
    }

    /// What the shop's records add up to: what lies in each slot, which outlet is faulty, and the newest notes.
    fn sums(&self) -> Vec<Record> {
        let (mut stock, mut faults, mut notes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for record in &self.records {
            match record.clone() {
                Record::SlotAssigned { slot, product, capacity, count } => {
                    let before = stock.insert(slot.clone(), (product.clone(), capacity, count));
                    if before.is_some_and(|(former, ..)| former != product) {
                        faults.remove(&Outlet::Slot(slot));
                    }
                }
                Record::StockSet { slot, count } => {
                    stock.entry(slot).and_modify(|(_, _, lies)| *lies = count);
                }
                Record::OutletFaulty { outlet, why } => drop(faults.insert(outlet, why)),
                Record::OutletRepaired { outlet } => drop(faults.remove(&outlet)),
                Record::ShopNoted { key, value: Some(value) } => drop(notes.insert(key, value)),
                Record::ShopNoted { key, value: None } => drop(notes.remove(&key)),
                record => {
                    let slot = record.handed_over().and_then(|(outlet, count)| Some((outlet.slot()?, count)));
                    if let Some(((_, _, lies), count)) = slot.and_then(|(slot, n)| Some((stock.get_mut(slot)?, n))) {
                        *lies = lies.saturating_sub(count);
                    }
                }
            }
        }
        let slots = stock.into_iter().map(|(slot, (product, capacity, count))| Record::SlotAssigned {
            slot,
            product,
            capacity,
            count,
        });
        let faults = faults.into_iter().map(|(outlet, why)| Record::OutletFaulty { outlet, why });
        let notes = notes.into_iter().map(|(key, value)| Record::ShopNoted { key, value: Some(value) });
        slots.chain(faults).chain(notes).collect()
    }

    /// What a start finds: the fold of what is there.
    pub fn recover(&self) -> Recovered {
        let mut recovered = Recovered::default();
        for record in &self.records {
            match record {
                Record::OrderOffered { order, short_code, .. } | Record::OrderGranted { order, short_code, .. } => {
                    recovered.last_order = Some(*order);
                    recovered.codes.push(short_code.clone());
                }
                Record::SalesStopped { .. } => recovered.sales_stopped = true,
                Record::SalesResumed {} => recovered.sales_stopped = false,
                Record::KioskLocked { reason } => recovered.locked = Some(reason.clone()),
                Record::KioskUnlocked {} => recovered.locked = None,
                Record::MaintenanceBegun {} => recovered.maintenance = true,
                Record::MaintenanceEnded {} => recovered.maintenance = false,
                Record::ServicePinRefused { in_a_row } => recovered.pins_refused = *in_a_row,
                Record::ServiceOpened {} => recovered.pins_refused = 0,
                Record::OperationBegun { id, .. } => recovered.operations.push(id.clone()),
                Record::CashedUp { number, .. } => recovered.last_report = *number,
                Record::LanguagesChosen { languages } => recovered.languages.clone_from(languages),
                Record::ConfigTried { .. } => recovered.config_tried = Some(record.clone()),
                Record::ConfigKept { .. } | Record::ConfigRejected { .. } => recovered.config_tried = None,
                Record::OperationEnded { id, .. } => recovered.operations.retain(|open| open != id),
                _ => {}
            }
        }
        recovered.shop = self.sums();
        recovered.orders =
            self.orders().into_iter().filter_map(|id| self.order(id)).filter(|order| !order.ended).collect();
        recovered
    }
}
