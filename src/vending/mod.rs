//! Products in slots: prices, stock, slot health, and which slot delivers the next unit. Pure.
//!
//! Policy: a slot that was energised and proved to have delivered nothing is faulty until a person says otherwise; it is
//! never tried again in between. Among healthy slots the fullest one goes first, so that they empty evenly.

mod warmth;

pub use warmth::Warmth;

use std::collections::BTreeMap;

use crate::vocabulary::{CategoryId, Localized, Minor, ProductId, SlotId};

/// Products in slots with price and stock.
#[derive(Debug, Clone, Default)]
pub struct Planogram {
    products: Vec<Product>,
    slots: BTreeMap<SlotId, Slot>,
}

#[derive(Debug, Clone)]
pub struct Product {
    pub id: ProductId,
    pub name: Localized,
    pub price: Minor,
    pub picture: Option<std::path::PathBuf>,
    pub category: Option<CategoryId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub product: ProductId,
    pub stock: u32,
    pub capacity: u32,
    /// Why it may not be used until a person has looked.
    pub faulty: Option<String>,
}

impl Planogram {
    pub fn new(products: Vec<Product>, slots: impl IntoIterator<Item = (SlotId, Slot)>) -> Self {
        Self { products, slots: slots.into_iter().collect() }
    }

    /// In the order of the configuration.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    pub fn product(&self, id: &ProductId) -> Option<&Product> {
        self.products.iter().find(|product| product.id == *id)
    }

    pub fn slots(&self) -> &BTreeMap<SlotId, Slot> {
        &self.slots
    }

    /// Units of a product that healthy slots still hold.
    pub fn available(&self, product: &ProductId) -> u32 {
        self.sellable(product).map(|(_, slot)| slot.stock).sum()
    }

    pub fn sold_out(&self) -> bool {
        self.products.iter().all(|product| self.available(&product.id) == 0)
    }

    /// The slot for the next unit of `product`, other than those already tried for it.
    pub fn choose(&self, product: &ProductId, tried: &[SlotId]) -> Option<SlotId> {
        self.sellable(product)
            .filter(|(name, slot)| slot.stock > 0 && !tried.contains(name))
            .max_by(|(a, x), (b, y)| x.stock.cmp(&y.stock).then(b.cmp(a)))
            .map(|(name, _)| name.clone())
    }

    pub fn take(&mut self, slot: &SlotId, count: u32) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.stock = slot.stock.saturating_sub(count);
        }
    }

    pub fn set_stock(&mut self, slot: &SlotId, count: u32) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.stock = count;
        }
    }

    pub fn set_fault(&mut self, slot: &SlotId, fault: Option<String>) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.faulty = fault;
        }
    }

    fn sellable(&self, product: &ProductId) -> impl Iterator<Item = (&SlotId, &Slot)> {
        self.slots.iter().filter(move |(_, slot)| slot.product == *product && slot.faulty.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planogram(stocks: &[(&str, u32)]) -> Planogram {
        let cola = ProductId::parse("cola").unwrap();
        let slots = stocks.iter().map(|(name, stock)| {
            let slot = Slot { product: cola.clone(), stock: *stock, capacity: 9, faulty: None };
            (SlotId::parse(name).unwrap(), slot)
        });
        Planogram::new(
            vec![Product { id: cola.clone(), name: Localized::default(), price: 300, picture: None, category: None }],
            slots,
        )
    }

    #[test]
    fn the_fullest_healthy_untried_slot_goes_first() {
        let (cola, a1, a2) =
            (ProductId::parse("cola").unwrap(), SlotId::parse("A1").unwrap(), SlotId::parse("A2").unwrap());
        let mut plan = planogram(&[("A1", 2), ("A2", 2)]);
        assert_eq!(plan.choose(&cola, &[]), Some(a1.clone()), "equal stock: by name");
        plan.take(&a1, 1);
        assert_eq!(plan.choose(&cola, &[]), Some(a2.clone()));
        assert_eq!(plan.choose(&cola, std::slice::from_ref(&a2)), Some(a1.clone()));
        plan.set_fault(&a1, Some("jam".into()));
        assert_eq!(plan.choose(&cola, &[a2]), None);
        assert_eq!(plan.available(&cola), 2);
        plan.take(&a1, 9);
        assert_eq!(plan.slots()[&a1].stock, 0, "a double drop never makes stock negative");
    }
}
