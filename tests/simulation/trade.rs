//! What is sold in a run, and what people want of it. The world, the provider, the ledger and the promises are the same
//! whatever it is.

use std::collections::BTreeMap;

use kioskd::operation::Operation;
use kioskd::sale::dialogue::{Page, ShopPage};
use kioskd::sale::event::Event;
use kioskd::sale::shop::Product;
use kioskd::sale::{Record, Shop, State, Touch};
use kioskd::vending::{Planogram, Slot};
use kioskd::vocabulary::{Grant, Localized, Outlet, ProductId, SlotId};

use crate::chance::Chance;

pub trait Trade: Sync {
    /// The shop as its operator has set it up, and how many units truly come out of each outlet that moves.
    fn open(&self, chance: &mut Chance) -> (Box<dyn Shop>, Vec<(Outlet, u32)>);

    /// What a customer does who has no order yet, be it that something is granted to them. `page` is what they see.
    fn chooses(&self, state: &State, page: &Page, chance: &mut Chance) -> Event;

    /// Somebody has a right to goods without paying for them here.
    fn is_granted(&self, state: &State, chance: &mut Chance) -> Event;

    /// What an operator wants of these goods: give some away, say what lies where.
    fn asks(&self, chance: &mut Chance) -> Operation;

    /// The shop's own promises, when all is over. `out`: what truly came out of each outlet.
    fn check(&self, _state: &State, _records: &[Record], _out: &BTreeMap<Outlet, u32>) -> Result<(), String> {
        Ok(())
    }
}

/// Two products in three slots.
pub struct Vending;

fn product(name: &str) -> ProductId {
    ProductId::parse(name).unwrap()
}

impl Trade for Vending {
    fn open(&self, chance: &mut Chance) -> (Box<dyn Shop>, Vec<(Outlet, u32)>) {
        let sold = |id: &str, price| Product {
            id: product(id),
            name: Localized::default(),
            price,
            tax: None,
            picture: None,
            category: None,
        };
        let stocks = ["A1", "A2", "B1"].map(|name| (SlotId::parse(name).unwrap(), chance.below(4) as u32));
        let slots = stocks.iter().map(|(name, stock)| {
            let product = product(if name.as_str() == "B1" { "tea" } else { "cola" });
            // Planned with one more than is there: an empty slot is found by selling from it.
            (name.clone(), Slot { product, stock: stock + 1, capacity: 9, faulty: None })
        });
        let shop = Planogram::new(vec![sold("cola", 300), sold("tea", 450)], slots);
        (Box::new(shop), stocks.into_iter().map(|(name, stock)| (Outlet::Slot(name), stock)).collect())
    }

    fn chooses(&self, _: &State, page: &Page, chance: &mut Chance) -> Event {
        let product = |chance: &mut Chance| product(chance.pick(&["cola", "tea"]));
        Event::Touch(match page {
            Page::Shop(ShopPage::Attract { .. }) => Touch::Start,
            Page::Shop(ShopPage::Choose { .. }) => Touch::Product(product(chance)),
            Page::Shop(ShopPage::Basket { .. }) => match chance.below(10) {
                0 => Touch::Cancel,
                1..=2 => Touch::Add,
                3 => Touch::Done,
                4 => Touch::Product(product(chance)),
                _ => Touch::Pay,
            },
            _ => Touch::Done,
        })
    }

    fn is_granted(&self, state: &State, chance: &mut Chance) -> Event {
        let product = product(chance.pick(&["cola", "tea"]));
        let grant = chance.pick(&[Grant::Free, Grant::Test, Grant::Season]);
        let units = state.product(&product).map(Product::offered);
        Event::Chosen { units: units.into_iter().collect(), grant: Some(grant), outlet: None }
    }

    fn asks(&self, chance: &mut Chance) -> Operation {
        let slot = SlotId::parse(chance.pick(&["A1", "A2", "B1", "Z9"])).unwrap();
        match chance.below(6) {
            0 | 1 => Operation::SetStock { slot, count: chance.below(11) as u32 },
            2 | 3 => Operation::Vend { product: product(chance.pick(&["cola", "tea"])) },
            _ => Operation::TestVend { slot },
        }
    }
}
