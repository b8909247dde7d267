//! Makes a receipt's contents of an order.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::printer::{Item, Receipt, code_text};
use crate::sale::{self, Order};
use crate::screen::language::Texts;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{Language, Minor, Wall, counted};

use super::clock::Clock;

/// What every receipt of this kiosk has in common.
pub struct ReceiptHeader {
    config: Config,
    texts: Texts,
}

impl ReceiptHeader {
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), texts: Texts::with(&config.glass.look.texts) }
    }

    /// The order's receipt in the language the glass has now.
    pub fn receipt(&self, order: &Order, state: &sale::State) -> Receipt {
        let language = &state.dialogue.language;
        let kiosk = &self.config.kiosk;
        let charge = order.bought().and_then(|id| order.charge(id)).or(order.charges.last());
        let rail = charge.map(|charge| &charge.rail);
        let label = self.config.rails.iter().find(|known| Some(&known.name()) == rail).map(|rail| &rail.label);
        Receipt {
            merchant: kiosk.merchant.get(language).to_owned(),
            place: kiosk.place.get(language).to_owned(),
            kiosk: kiosk.id.clone(),
            order: order.id,
            short_code: order.short_code.clone(),
            time: Clock::wall().and_then(|wall| self.written(wall, language)),
            items: items(order, language),
            taxes: taxes(order),
            pickup: self.config.sale.pickup_numbers.then(|| order.short_code.pickup().to_owned()),
            amount: order.amount(),
            paid: order.paid(),
            refunded: order.refunded(),
            refund_pending: order.outstanding(),
            slip: order.slip(),
            rail: label.map(|label| label.get(language).to_owned()).unwrap_or_default(),
            payments: order.charges.iter().flat_map(|c| &c.payments).map(|p| p.id.clone()).collect(),
            phone: kiosk.phone.clone(),
            language: language.clone(),
            currency: order.currency,
        }
    }

    /// The text of the QR for a receipt that is not on paper.
    pub fn code(&self, order: &Order, state: &sale::State) -> String {
        code_text(&self.texts, &self.receipt(order, state), self.config.printer.receipt_url.as_deref())
    }

    /// Local time for people.
    fn written(&self, wall: Wall, language: &Language) -> Option<String> {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(wall.0).ok()?).ok()?;
        let local = time.in_tz(&self.config.kiosk.time_zone).ok()?;
        Some(local.strftime(&self.texts.get(language, "date-time", &[])).to_string())
    }
}

/// Within the prices of what the customer keeps, by rate.
fn taxes(order: &Order) -> Vec<(Rate, Minor)> {
    let mut sold: BTreeMap<Rate, Minor> = BTreeMap::new();
    for item in order.items.iter().filter(|item| item.outcome != sale::view::Outcome::NotDelivered) {
        if let Some(rate) = item.tax {
            *sold.entry(rate).or_default() += item.price;
        }
    }
    sold.into_iter().map(|(rate, price)| (rate, rate.within(price))).collect()
}

/// Units of the same goods, price and fate on one line.
fn items(order: &Order, language: &Language) -> Vec<Item> {
    let units = order.items.iter().map(|item| ((&item.goods, item.label.get(language), item.price, item.outcome), 1));
    let line = |((_, name, price, outcome), quantity)| Item { name: str::to_owned(name), quantity, price, outcome };
    counted(units).into_iter().map(line).collect()
}
