//! From a basket to a charge: the order's number is on disk before any provider hears of it, and so is every charge's.

use super::Turn;
use super::event::{Effect, Illegal};
use super::order::Order;
use super::presented::Quote;
use super::record::{Offered, Record};
use crate::operation::{Actor, Refusal};
use crate::vocabulary::{
    ChargeId, Goods, Grant, Minor, NewCharge, OrderId, Outlet, RailName, ShortCode, StopReason, counted,
};

/// The shortest description limit among providers is 127 bytes (WeChat Pay, Native order).
const DESCRIPTION_BYTES: usize = 120;

/// Under this and the order's number stands what the shop has to know of an order.
pub const ORDER_NOTE: &str = "order/";

impl Turn<'_> {
    /// Begins an order of what is in the basket, on the first rail whose provider answers.
    pub(super) fn offer(&mut self) -> Result<(), Illegal> {
        let mut items = Vec::new();
        for (id, quantity) in self.state.basket() {
            let product = self.state.product(id).ok_or(Illegal::Refused("no such product"))?;
            items.extend(std::iter::repeat_n(product.offered(), *quantity as usize));
        }
        self.sell(items, None, None)
    }

    /// Goods that were chosen elsewhere than on the shelf.
    pub(super) fn chosen(
        &mut self,
        units: Vec<Offered>,
        grant: Option<Grant>,
        outlet: Option<Outlet>,
    ) -> Result<(), Illegal> {
        if units.is_empty() {
            return Err(Illegal::Refused("nothing was chosen"));
        }
        self.nobody_else()?;
        if grant == Some(Grant::NothingDue) && due(&units) != 0 {
            return Err(Illegal::Refused("something is due for these goods"));
        }
        match grant {
            Some(grant) => self.grant(units, grant, outlet, None, None).map(drop).map_err(Illegal::NotSold),
            None => self.sell(units, outlet, None),
        }
    }

    /// What is chosen elsewhere than on the glass waits for nobody.
    pub(super) fn nobody_else(&self) -> Result<(), Illegal> {
        if self.state.busy() {
            return Err(Illegal::Refused("a sale is under way"));
        }
        if self.state.dialogue.in_service() {
            return Err(Illegal::Refused("somebody is in the service menu"));
        }
        Ok(())
    }

    /// What was asked for on the page of a stay, at the price that stands there.
    pub(super) fn sell_quoted(&mut self, quote: Quote) -> Result<(), Illegal> {
        self.sell(vec![quote.unit], quote.outlet, Some(quote.memo))
    }

    /// Something for which nothing is due.
    pub(super) fn grant_quoted(&mut self, quote: Quote, grant: Grant) -> Result<OrderId, Refusal> {
        self.grant(vec![quote.unit], grant, quote.outlet, None, Some(quote.memo))
    }

    /// The shop's own word on an order that has just begun, for when it is handed over.
    fn remember(&mut self, order: OrderId, memo: Option<serde_json::Value>) {
        if let Some(memo) = memo {
            self.record(Record::ShopNoted { key: format!("{ORDER_NOTE}{order}"), value: Some(memo) });
        }
    }

    /// Begins an order for which nothing is to be paid. `only`: where it must come out; one that is tried may be faulty or
    /// empty. `by`: who has granted it, where a person has.
    pub(super) fn grant(
        &mut self,
        items: Vec<Offered>,
        grant: Grant,
        only: Option<Outlet>,
        by: Option<Actor>,
        memo: Option<serde_json::Value>,
    ) -> Result<OrderId, Refusal> {
        if let Some(reason) = self.state.delivery_stop() {
            return Err(Refusal::CannotDeliver { reason });
        }
        if self.state.conditions.board_answers != Some(true) {
            return Err(Refusal::NotReady);
        }
        if self.state.pulse.is_some() {
            return Err(Refusal::RelayIsTried);
        }
        if !(grant == Grant::Test && only.is_some()) {
            self.all_there(&items, only.as_ref())?;
        }
        let order = self.next_order();
        let (short_code, currency) = (order.short_code(), self.state.policy.currency);
        self.record(Record::OrderGranted { order, short_code, currency, items, grant, outlet: only, by });
        self.remember(order, memo);
        self.show_order(order);
        self.print_ticket(order);
        self.deliver_on(order);
        Ok(order)
    }

    fn all_there(&self, items: &[Offered], only: Option<&Outlet>) -> Result<(), Refusal> {
        let wanted = counted(items.iter().map(|unit| (unit.goods.clone(), 1)));
        match self.state.shop.refuses(&wanted, only) {
            None => Ok(()),
            Some(StopReason::SoldOut) => Err(Refusal::NoneLeft),
            Some(reason) => Err(Refusal::CannotDeliver { reason }),
        }
    }

    fn sell(
        &mut self,
        items: Vec<Offered>,
        outlet: Option<Outlet>,
        memo: Option<serde_json::Value>,
    ) -> Result<(), Illegal> {
        if let Some(reason) = self.state.stop_reasons().into_iter().next() {
            return Err(Illegal::NotSelling(reason));
        }
        if self.state.conditions.board_answers != Some(true) {
            return Err(Illegal::NotSold(Refusal::NotReady));
        }
        self.all_there(&items, outlet.as_ref()).map_err(Illegal::NotSold)?;
        let amount = due(&items);
        if amount <= 0 {
            return Err(Illegal::Refused("nothing is due for these goods, so there is nothing to charge"));
        }
        let rails = &self.state.policy.rails;
        let rail = rails.iter().find(|rail| self.state.rail_up(&rail.name)).or(rails.first());
        let rail = rail.map(|rail| rail.name.clone()).ok_or(Illegal::Refused("no payment method"))?;

        let order = self.next_order();
        self.record(Record::OrderOffered {
            order,
            short_code: order.short_code(),
            currency: self.state.policy.currency,
            amount,
            items,
            charge: ChargeId::of(order, 1),
            rail,
            life_ms: self.charge_life_ms(),
            outlet,
        });
        self.remember(order, memo);
        self.create_charge(order);
        self.show_order(order);
        Ok(())
    }

    /// Another charge for the order on the glass, on another rail; the former is closed. Whichever is paid first buys
    /// the goods.
    pub(super) fn switch_rail(&mut self, id: OrderId, rail: RailName) {
        let (now, life_ms) = (self.at.now, self.charge_life_ms());
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        if let Some(former) = order.charges.last_mut() {
            former.watch.close(now);
        }
        let charge = ChargeId::of(id, order.charges.len() + 1);
        self.record(Record::ChargeOffered { order: id, charge, rail, life_ms });
        self.create_charge(id);
    }

    /// A rail that this order has not tried and whose provider answers.
    pub(super) fn other_rail(&self, id: OrderId) -> Option<RailName> {
        let order = self.state.orders.get(&id)?;
        let untried = |name: &RailName| !order.charges.iter().any(|charge| charge.rail == *name);
        let mut rails = self.state.policy.rails.iter().map(|rail| &rail.name);
        rails.find(|name| untried(name) && self.state.rail_up(name)).cloned()
    }

    fn charge_life_ms(&self) -> u64 {
        u64::try_from(self.state.policy.charge_life().as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks for the charge that was just offered. It has its whole time on the glass.
    fn create_charge(&mut self, id: OrderId) {
        let (now, qr_life) = (self.at.now, self.state.policy.qr_life);
        let Some(order) = self.state.orders.get(&id) else { return };
        let description = describe(&self.state.policy.kiosk, &self.goods(order), &order.short_code);
        let attach = self.state.policy.attach.clone();
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        order.deadline = order.deadline.max(now + qr_life);
        let currency = order.currency;
        let Some(charge) = order.charges.last_mut() else { return };
        charge.watch.since = now;
        // The answer to the creation is the first answer.
        charge.watch.asked = true;
        let new = NewCharge {
            charge: charge.id.clone(),
            order: id,
            amount: charge.amount,
            currency,
            life: charge.life,
            description,
            attach,
        };
        let rail = charge.rail.clone();
        self.effect(Effect::Create { rail, charge: new });
    }

    /// The goods in the customer's language: "Cola x2".
    fn goods(&self, order: &Order) -> Vec<String> {
        let language = &self.state.dialogue.language;
        let label = |goods: &Goods| order.items.iter().find(|item| item.goods == *goods).map(|item| &item.label);
        let named = |(goods, quantity): (Goods, u32)| {
            let name = label(&goods).map_or("", |label| label.get(language));
            if quantity > 1 { format!("{name} x{quantity}") } else { name.to_owned() }
        };
        order.wanted().into_iter().map(named).collect()
    }
}

/// What is to be paid for them.
fn due(items: &[Offered]) -> Minor {
    items.iter().map(|item| item.price).sum()
}

fn describe(kiosk: &str, goods: &[String], code: &ShortCode) -> String {
    let head = format!("{code} {kiosk} ");
    let mut goods = goods.join(", ");
    let room = DESCRIPTION_BYTES.saturating_sub(head.len());
    if goods.len() > room {
        let end = (0..=room.saturating_sub(3)).rev().find(|end| goods.is_char_boundary(*end)).unwrap_or(0);
        goods.truncate(end);
        goods.push('…');
    }
    head + &goods
}
