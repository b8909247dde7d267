//! The vending shop: products in slots with prices, stock and slot health, and which slot delivers the next unit. Pure.
//!
//! Policy: a slot that was energised and proved to have delivered nothing is faulty until a person says otherwise; it
//! is never tried again in between. Among healthy slots the fullest one goes first, so that they empty evenly. Stock
//! belongs to what is in the slot: a slot that is given another product begins anew, with the count the operator's file
//! gives and without its fault.

mod temperature;

pub use temperature::TemperatureWatch;

use std::collections::BTreeMap;

use crate::operation::Refusal;
use crate::sale::record::Record;
use crate::sale::shop::{OutletStatus, Product, Shop};
use crate::vocabulary::{Cause, Goods, Outlet, ProductId, SlotId, StopReason};

/// Products in slots with price and stock.
#[derive(Debug, Clone, Default)]
pub struct Planogram {
    products: Vec<Product>,
    slots: BTreeMap<SlotId, Slot>,
    /// What lies in each slot when its product is new there.
    fresh: BTreeMap<SlotId, u32>,
    /// What the records say lies in each slot, and how much fits: the newest `slot-assigned`.
    assigned: BTreeMap<SlotId, (ProductId, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub product: ProductId,
    pub stock: u32,
    pub capacity: u32,
    /// Why it may not be used until a person has looked.
    pub faulty: Option<Cause>,
}

impl Planogram {
    /// What the operator has put where, with what lies there when it is new.
    pub fn new(products: Vec<Product>, slots: impl IntoIterator<Item = (SlotId, Slot)>) -> Self {
        let slots: BTreeMap<SlotId, Slot> = slots.into_iter().collect();
        let fresh = slots.iter().map(|(name, slot)| (name.clone(), slot.stock)).collect();
        Self { products, slots, fresh, assigned: BTreeMap::new() }
    }

    pub fn slots(&self) -> &BTreeMap<SlotId, Slot> {
        &self.slots
    }

    fn sellable(&self, product: &ProductId) -> impl Iterator<Item = (&SlotId, &Slot)> {
        self.slots.iter().filter(move |(_, slot)| slot.product == *product && slot.faulty.is_none())
    }

    /// How many can be sold, in one outlet `only` or in all.
    fn stock(&self, product: &ProductId, only: Option<&Outlet>) -> u32 {
        let among = |slot: &SlotId| only.is_none_or(|only| only.slot() == Some(slot));
        self.sellable(product).filter(|(name, _)| among(name)).map(|(_, slot)| slot.stock).sum()
    }

    /// The slot, unless what the records say of it is about another product than the one in it now.
    fn change(&mut self, name: &SlotId, change: impl FnOnce(&mut Slot)) {
        let (assigned, slot) = (self.assigned.get(name), self.slots.get_mut(name));
        if let Some(slot) = slot.filter(|slot| assigned.is_none_or(|(product, _)| *product == slot.product)) {
            change(slot);
        }
    }

    fn take(&mut self, outlet: &Outlet, count: u32) {
        if let Outlet::Slot(name) = outlet {
            self.change(name, |slot| slot.stock = slot.stock.saturating_sub(count));
        }
    }

    fn set_fault(&mut self, outlet: &Outlet, fault: Option<Cause>) {
        if let Outlet::Slot(name) = outlet {
            self.change(name, |slot| slot.faulty = fault);
        }
    }
}

impl Shop for Planogram {
    fn closed(&self) -> Option<StopReason> {
        self.products.iter().all(|product| self.available(&product.id) == 0).then_some(StopReason::SoldOut)
    }

    fn refuses(&self, wanted: &[(Goods, u32)], only: Option<&Outlet>) -> Option<StopReason> {
        let there =
            |(goods, count): &(Goods, u32)| goods.product().map_or(0, |product| self.stock(product, only)) >= *count;
        (!wanted.iter().all(there)).then_some(StopReason::SoldOut)
    }

    fn outlet(&self, goods: &Goods, tried: &[Outlet]) -> Option<Outlet> {
        self.sellable(goods.product()?)
            .map(|(name, slot)| (Outlet::Slot(name.clone()), slot.stock))
            .filter(|(outlet, stock)| *stock > 0 && !tried.contains(outlet))
            .max_by(|(a, x), (b, y)| x.cmp(y).then(b.cmp(a)))
            .map(|(outlet, _)| outlet)
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::SlotAssigned { slot, product, capacity, count } => {
                self.assigned.insert(slot.clone(), (product.clone(), *capacity));
                let fresh = self.fresh.get(slot).copied().unwrap_or_default();
                if let Some(known) = self.slots.get_mut(slot) {
                    // Another product than the one in it now lay there then: of this one nothing is known.
                    let same = known.product == *product;
                    known.stock = if same { *count } else { fresh };
                    known.faulty.take_if(|_| !same);
                }
            }
            Record::StockSet { slot, count } => self.change(slot, |slot| slot.stock = *count),
            Record::OutletFaulty { outlet, why } => self.set_fault(outlet, Some(why.clone())),
            Record::OutletRepaired { outlet } => self.set_fault(outlet, None),
            _ => {
                if let Some((outlet, count)) = record.handed_over() {
                    self.take(outlet, count);
                }
            }
        }
    }

    fn opening(&self) -> Vec<Record> {
        let new = |(name, slot): (&SlotId, &Slot)| {
            let told = self.assigned.get(name);
            let same = told.is_some_and(|(product, capacity)| *product == slot.product && *capacity == slot.capacity);
            (!same).then(|| Record::SlotAssigned {
                slot: name.clone(),
                product: slot.product.clone(),
                capacity: slot.capacity,
                count: slot.stock.min(slot.capacity),
            })
        };
        self.slots.iter().filter_map(new).collect()
    }

    fn catalogue(&self) -> &[Product] {
        &self.products
    }

    fn available(&self, product: &ProductId) -> u32 {
        self.stock(product, None)
    }

    fn outlets(&self) -> Vec<OutletStatus> {
        let status = |(name, slot): (&SlotId, &Slot)| OutletStatus {
            outlet: Outlet::Slot(name.clone()),
            goods: Some(Goods::Product(slot.product.clone())),
            count: slot.stock,
            capacity: slot.capacity,
            fault: slot.faulty.clone(),
        };
        self.slots.iter().map(status).collect()
    }

    fn restock(&self, outlet: &Outlet, count: u32) -> Result<Vec<Record>, Refusal> {
        let slot = outlet.slot().ok_or(Refusal::NothingIsKeptHere)?;
        match self.slots.get(slot) {
            None => Err(Refusal::NoSuchSlot),
            Some(known) if count > known.capacity => Err(Refusal::HoldsLess { capacity: known.capacity }),
            Some(known) if count == known.stock => Ok(Vec::new()),
            Some(_) => Ok(vec![Record::StockSet { slot: slot.clone(), count }]),
        }
    }

    fn refill(&self, outlet: &Outlet) -> Vec<Record> {
        let Some((name, slot)) = outlet.slot().and_then(|name| self.slots.get_key_value(name)) else {
            return Vec::new();
        };
        let repaired = slot.faulty.is_some().then(|| Record::OutletRepaired { outlet: outlet.clone() });
        let full = Record::StockSet { slot: name.clone(), count: slot.capacity };
        repaired.into_iter().chain((slot.stock != slot.capacity).then_some(full)).collect()
    }

    fn boxed(&self) -> Box<dyn Shop> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Localized;

    fn id(name: &str) -> ProductId {
        ProductId::parse(name).unwrap()
    }

    fn slot(name: &str) -> SlotId {
        SlotId::parse(name).unwrap()
    }

    fn outlet(name: &str) -> Outlet {
        Outlet::Slot(slot(name))
    }

    fn planogram(product: &str, stocks: &[(&str, u32)]) -> Planogram {
        let slots = stocks
            .iter()
            .map(|(name, stock)| (slot(name), Slot { product: id(product), stock: *stock, capacity: 9, faulty: None }));
        let (name, price) = (Localized::default(), 300);
        Planogram::new(vec![Product { id: id(product), name, price, tax: None, picture: None, category: None }], slots)
    }

    fn fell(name: &str, count: u32) -> Record {
        let order = crate::vocabulary::OrderId::from_parts(1, 1);
        Record::ItemDelivered { order, item: 0, attempt: 1, outlet: outlet(name), count }
    }

    fn faulty(name: &str) -> Record {
        Record::OutletFaulty { outlet: outlet(name), why: Cause::NothingFell }
    }

    #[test]
    fn the_fullest_healthy_untried_slot_goes_first() {
        let cola = Goods::Product(id("cola"));
        let mut plan = planogram("cola", &[("A1", 2), ("A2", 2)]);
        assert_eq!(plan.outlet(&cola, &[]), Some(outlet("A1")), "equal stock: by name");
        plan.apply(&fell("A1", 1));
        assert_eq!(plan.outlet(&cola, &[]), Some(outlet("A2")));
        assert_eq!(plan.outlet(&cola, &[outlet("A2")]), Some(outlet("A1")));
        plan.apply(&faulty("A1"));
        assert_eq!(plan.outlet(&cola, &[outlet("A2")]), None);
        let refuses = |count, only: Option<&Outlet>| plan.refuses(&[(cola.clone(), count)], only);
        let gone = Some(StopReason::SoldOut);
        assert_eq!((refuses(2, None), refuses(3, None)), (None, gone.clone()));
        let from = |slot: &str, count| refuses(count, Some(&outlet(slot)));
        assert_eq!((from("A2", 2), from("A2", 3)), (None, gone.clone()));
        assert_eq!(from("A1", 1), gone, "A1 is faulty");
        let stay = Goods::Stay(crate::vocabulary::StayId::parse("S1").unwrap());
        assert_eq!(plan.refuses(&[(stay, 1)], None), gone, "no slot has a stay");
        assert_eq!(plan.closed(), None);
        plan.apply(&fell("A1", 9));
        assert_eq!(plan.slots()[&slot("A1")].stock, 0, "a double drop never makes stock negative");
        plan.apply(&fell("A2", 2));
        assert_eq!(plan.closed(), Some(StopReason::SoldOut));
        let both = planogram("cola", &[("A1", 0), ("A2", 0)]);
        assert_eq!(both.outlet(&Goods::Product(id("cola")), &[]), None, "nothing comes out of an empty slot");
    }

    /// The records as a restart hears them, with the operator's file as it is then.
    fn restarted(records: &[Record], file: Planogram) -> Planogram {
        let mut plan = file;
        records.iter().for_each(|record| plan.apply(record));
        plan
    }

    #[test]
    fn stock_and_fault_belong_to_what_is_in_the_slot() {
        let mut plan = planogram("cola", &[("A1", 5)]);
        let mut records = plan.opening();
        let first = Record::SlotAssigned { slot: slot("A1"), product: id("cola"), capacity: 9, count: 5 };
        assert_eq!(records, [first], "the first count is a record like any other");
        records.extend([fell("A1", 2), faulty("A1")]);
        records.iter().for_each(|record| plan.apply(record));
        assert!(plan.opening().is_empty(), "said already");

        let same = restarted(&records, planogram("cola", &[("A1", 7)]));
        assert!(same.opening().is_empty(), "the file's count is of a new slot only");
        assert_eq!(same.slots()[&slot("A1")].stock, 3);
        assert!(same.slots()[&slot("A1")].faulty.is_some());

        let mut other = restarted(&records, planogram("tea", &[("A1", 7)]));
        let opening = other.opening();
        let assigned = Record::SlotAssigned { slot: slot("A1"), product: id("tea"), capacity: 9, count: 7 };
        assert_eq!(opening, [assigned]);
        opening.iter().for_each(|record| other.apply(record));
        assert_eq!(other.available(&id("tea")), 7, "neither the old count nor the old fault");

        records.extend(opening);
        let again = restarted(&records, planogram("cola", &[("A1", 4)]));
        assert_eq!(again.available(&id("cola")), 4, "and when the first product comes back, it is new too");
    }

    #[test]
    fn a_refill_fills_and_repairs_and_says_only_what_it_changes() {
        let mut plan = planogram("cola", &[("A1", 9), ("A2", 1)]);
        plan.apply(&faulty("A1"));
        let all = |plan: &Planogram| -> Vec<Record> {
            plan.outlets().iter().flat_map(|known| plan.refill(&known.outlet)).collect()
        };
        let refill = all(&plan);
        let full = Record::StockSet { slot: slot("A2"), count: 9 };
        assert_eq!(refill, [Record::OutletRepaired { outlet: outlet("A1") }, full]);
        refill.iter().for_each(|record| plan.apply(record));
        assert_eq!(plan.available(&id("cola")), 18);
        assert!(all(&plan).is_empty() && plan.refill(&Outlet::Pass).is_empty());
        assert!(plan.restock(&outlet("A1"), 10).is_err() && plan.restock(&outlet("A9"), 1).is_err());
        assert!(plan.restock(&Outlet::Pass, 1).is_err());
    }
}
