//! From an order to its receipt's facts.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::printer::{Item, Receipt};
use crate::sale::{self, Order};
use crate::vocabulary::{Language, Minor, ProductId, Wall};

use super::clock::Clock;

/// What every receipt of this kiosk has in common.
#[derive(Debug, Clone)]
pub struct Letterhead {
    config: Config,
}

impl Letterhead {
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone() }
    }

    /// The order's receipt in the language the glass has now.
    pub fn receipt(&self, order: &Order, state: &sale::State) -> Receipt {
        let language = &state.counter.language;
        let kiosk = &self.config.kiosk;
        let charge = order.bought.as_ref().and_then(|id| order.charge(id)).or(order.charges.last());
        let rail = charge.map(|charge| &charge.rail);
        let label = self.config.rails.iter().find(|known| Some(&known.name()) == rail).map(|rail| &rail.label);
        Receipt {
            merchant: kiosk.merchant.get(language).to_owned(),
            place: kiosk.place.get(language).to_owned(),
            kiosk: kiosk.id.clone(),
            order: order.id,
            short_code: order.short_code.clone(),
            time: Clock::wall().and_then(|wall| self.written(wall)),
            items: self.items(order, state, language),
            amount: order.amount(),
            paid: order.paid(),
            refunded: order.refunded(),
            refund_pending: order.outstanding(),
            claim: order.claim_open(),
            rail: label.map(|label| label.get(language).to_owned()).unwrap_or_default(),
            payments: order.charges.iter().flat_map(|c| &c.payments).map(|p| p.id.clone()).collect(),
            phone: kiosk.phone.clone(),
            language: language.clone(),
            currency: order.currency,
        }
    }

    /// Local time for people.
    fn written(&self, wall: Wall) -> Option<String> {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(wall.0).ok()?).ok()?;
        let local = time.in_tz(&self.config.kiosk.time_zone).ok()?;
        Some(local.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    /// Units of the same product, price and fate on one line.
    fn items(&self, order: &Order, state: &sale::State, language: &Language) -> Vec<Item> {
        let mut lines: BTreeMap<usize, Item> = BTreeMap::new();
        let mut seen: Vec<(ProductId, Minor, sale::view::Outcome)> = Vec::new();
        for item in &order.items {
            let key = (item.product.clone(), item.price, item.outcome);
            let index = seen.iter().position(|known| *known == key).unwrap_or_else(|| {
                seen.push(key);
                seen.len() - 1
            });
            let name = state.planogram.product(&item.product).map_or(item.product.as_str(), |p| p.name.get(language));
            lines
                .entry(index)
                .or_insert_with(|| Item {
                    name: name.to_owned(),
                    quantity: 0,
                    price: item.price,
                    outcome: item.outcome,
                })
                .quantity += 1;
        }
        lines.into_values().collect()
    }
}
