//! The customer's side of the glass: which page, which basket, which keys were typed. Volatile; a restart begins at the
//! first page.

use std::time::Duration;

use super::event::{Effect, Illegal};
use super::order::Order;
use super::record::{Closed, Offered, Record};
use super::{State, Turn};
use crate::payment::NewCharge;
use crate::vocabulary::{ChargeId, Language, Mono, OrderId, ProductId, RailKind, ShortCode};

/// Digits of the code that proves somebody stands at the machine.
const CONFIRM_DIGITS: usize = 4;
/// The shortest description limit among providers is 127 bytes (WeChat Pay, Native order).
const DESCRIPTION_BYTES: usize = 120;

#[derive(Debug, Clone)]
pub struct Counter {
    pub language: Language,
    pub(super) at: At,
    pub(super) basket: Vec<(ProductId, u32)>,
    /// The last touch, or when the page came.
    pub(super) since: Mono,
}

#[derive(Debug, Clone)]
pub(super) enum At {
    Attract,
    Choose,
    Basket(ProductId),
    Confirm {
        code: String,
        entered: String,
        wrong: bool,
    },
    /// The current order's own pages.
    Order,
    /// What became of an order, for a while.
    Result(OrderId),
    Lookup {
        entered: String,
        found: Lookup,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Lookup {
    Typing,
    Asked,
    Found(Box<Order>),
    Nothing,
}

/// A touch on a target, by the target's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    Start,
    Product(ProductId),
    Add,
    Pay,
    Cancel,
    Done,
    MoreTime,
    Lookup,
    Language(Language),
    Rail(RailKind),
    Key(Key),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Digit(u8),
    Clear,
    Ok,
}

impl Touch {
    /// From a target's name (`product:cola`, `key:7`).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.split_once(':') {
            None => match name {
                "start" => Touch::Start,
                "add" => Touch::Add,
                "pay" => Touch::Pay,
                "cancel" => Touch::Cancel,
                "done" => Touch::Done,
                "more-time" => Touch::MoreTime,
                "lookup" => Touch::Lookup,
                _ => return None,
            },
            Some(("product", id)) => Touch::Product(ProductId::parse(id)?),
            Some(("language", tag)) => Touch::Language(Language::new(tag)),
            Some(("rail", kind)) => {
                Touch::Rail(serde_json::from_value(serde_json::Value::String(kind.to_owned())).ok()?)
            }
            Some(("key", "clear")) => Touch::Key(Key::Clear),
            Some(("key", "ok")) => Touch::Key(Key::Ok),
            Some(("key", digit)) => Touch::Key(Key::Digit(digit.parse().ok().filter(|digit| *digit < 10)?)),
            Some(_) => return None,
        })
    }
}

impl Counter {
    pub fn new(language: Language) -> Self {
        Self { language, at: At::Attract, basket: Vec::new(), since: Mono::default() }
    }

    /// The order whose result is on the glass.
    pub fn shown_order(&self) -> Option<OrderId> {
        match self.at {
            At::Result(order) => Some(order),
            _ => None,
        }
    }

    pub(super) fn units(&self) -> u32 {
        self.basket.iter().map(|(_, quantity)| quantity).sum()
    }

    fn in_basket(&self, product: &ProductId) -> u32 {
        self.basket.iter().find(|(id, _)| id == product).map_or(0, |(_, quantity)| *quantity)
    }
}

impl State {
    pub(super) fn can_add(&self, product: &ProductId) -> bool {
        self.counter.units() < self.policy.max_units
            && self.planogram.available(product) > self.counter.in_basket(product)
    }

    /// Products chosen so far, with how many of each.
    pub fn basket(&self) -> &[(ProductId, u32)] {
        &self.counter.basket
    }

    pub(super) fn basket_total(&self) -> i64 {
        let price = |id| self.planogram.product(id).map_or(0, |product| product.price);
        self.counter.basket.iter().map(|(id, quantity)| price(id) * i64::from(*quantity)).sum()
    }

    pub(super) fn counter_wake(&self, now: Mono) -> Option<Mono> {
        if let Some(order) = self.current_order().filter(|order| order.waiting()) {
            // Each whole second of the count-down, and the end of the lease.
            let left = order.deadline.since(now);
            let tick = now + Duration::from_millis((left.as_millis() as u64 + 999) % 1_000 + 1);
            // Nothing is on the glass, and no lease runs, before the provider has answered.
            let shown = order.charges.last().filter(|charge| charge.watch.payload.is_some());
            let lease = shown.and_then(|charge| self.lease_ends(charge.rail));
            return Some(lease.map_or(tick, |lease| tick.min(lease)).min(order.deadline));
        }
        self.counter_deadline()
    }

    fn counter_deadline(&self) -> Option<Mono> {
        match &self.counter.at {
            At::Attract | At::Order => None,
            At::Result(_) => Some(self.counter.since + self.policy.result_timeout),
            At::Choose | At::Basket(_) | At::Confirm { .. } | At::Lookup { .. } => {
                Some(self.counter.since + self.policy.browse_timeout)
            }
        }
    }

    fn page_name(&self) -> &'static str {
        match &self.counter.at {
            At::Attract => "attract",
            At::Choose => "choose",
            At::Basket(_) => "basket",
            At::Confirm { .. } => "confirm",
            At::Order => "order",
            At::Result(_) => "result",
            At::Lookup { .. } => "lookup",
        }
    }
}

impl Turn<'_> {
    fn go(&mut self, at: At) {
        if matches!(at, At::Attract) {
            self.state.counter.basket.clear();
            self.state.counter.language = self.state.policy.first_language();
        }
        self.state.counter.at = at;
        self.state.counter.since = self.at.now;
    }

    pub(super) fn touch(&mut self, touch: Touch) -> Result<(), Illegal> {
        if let Touch::Language(language) = touch {
            if !self.state.policy.languages.contains(&language) {
                return Err(Illegal::Refused("not a language of this kiosk"));
            }
            self.state.counter.language = language;
            self.state.counter.since = self.at.now;
            return Ok(());
        }
        let page = self.state.counter.at.clone();
        match (page, touch) {
            (At::Order, touch) => self.touch_order(touch)?,
            (At::Attract | At::Choose | At::Result(_), Touch::Lookup) => self.lookup(),
            (At::Attract, Touch::Start) => self.go(At::Choose),
            (At::Choose | At::Basket(_), Touch::Product(product)) => self.put(product)?,
            (At::Choose | At::Basket(_), Touch::Pay) => self.pay()?,
            (At::Choose | At::Basket(_) | At::Confirm { .. }, Touch::Cancel) => self.go(At::Attract),
            (At::Basket(product), Touch::Add) => self.put(product)?,
            (At::Basket(_), Touch::Done) => self.go(At::Choose),
            (At::Confirm { code, entered, .. }, Touch::Key(key)) => self.confirm_key(code, entered, key)?,
            (At::Result(_) | At::Lookup { .. }, Touch::Done) => self.go(At::Attract),
            (At::Lookup { entered, .. }, Touch::Key(key)) => self.lookup_key(entered, key),
            (_, touch) => return Err(Illegal::NotOnPage { touch, page: self.state.page_name() }),
        }
        // Last, because a touch that is refused must leave no question open.
        self.probe_rails(true);
        self.state.counter.since = self.at.now;
        Ok(())
    }

    fn lookup(&mut self) {
        self.go(At::Lookup { entered: String::new(), found: Lookup::Typing });
    }

    fn touch_order(&mut self, touch: Touch) -> Result<(), Illegal> {
        let now = self.at.now;
        let more_time = self.state.policy.more_time;
        let Some(id) = self.state.current else { return Err(Illegal::Refused("no order")) };
        let order = self.state.orders.get_mut(&id).filter(|order| order.waiting());
        match (order, touch) {
            (Some(_), Touch::Cancel) => self.close_order(id, Closed::ByCustomer),
            (Some(order), Touch::MoreTime) if !order.extended && now < order.deadline => {
                order.extended = true;
                order.deadline = order.deadline + more_time;
            }
            (Some(order), Touch::Rail(kind)) if order.charges.last().is_some_and(|c| c.rail == kind) => {}
            (_, touch) => return Err(Illegal::NotOnPage { touch, page: "order" }),
        }
        Ok(())
    }

    fn put(&mut self, product: ProductId) -> Result<(), Illegal> {
        if self.state.planogram.product(&product).is_none() {
            return Err(Illegal::Refused("no such product"));
        }
        if !self.state.can_add(&product) {
            return Err(Illegal::Refused("no more of this product"));
        }
        match self.state.counter.basket.iter_mut().find(|(id, _)| *id == product) {
            Some((_, quantity)) => *quantity += 1,
            None => self.state.counter.basket.push((product.clone(), 1)),
        }
        self.go(At::Basket(product));
        Ok(())
    }

    fn pay(&mut self) -> Result<(), Illegal> {
        if self.state.counter.basket.is_empty() {
            return Err(Illegal::Refused("the basket is empty"));
        }
        let policy = &self.state.policy;
        let above = policy.confirm_above.is_some_and(|limit| self.state.basket_total() > limit);
        let often = policy.confirm_after_unpaid.is_some_and(|limit| self.state.unpaid_in_a_row >= limit);
        if above || often {
            let code = format!("{:0CONFIRM_DIGITS$}", self.at.entropy % 10u128.pow(CONFIRM_DIGITS as u32));
            self.go(At::Confirm { code, entered: String::new(), wrong: false });
            return Ok(());
        }
        self.offer()
    }

    fn confirm_key(&mut self, code: String, mut entered: String, key: Key) -> Result<(), Illegal> {
        let mut wrong = false;
        match key {
            Key::Digit(digit) if entered.len() < CONFIRM_DIGITS => entered.push(char::from(b'0' + digit)),
            Key::Digit(_) => {}
            Key::Clear => entered.clear(),
            Key::Ok if entered == code => return self.offer(),
            Key::Ok => {
                entered.clear();
                wrong = true;
            }
        }
        self.go(At::Confirm { code, entered, wrong });
        Ok(())
    }

    fn lookup_key(&mut self, mut entered: String, key: Key) {
        let mut found = Lookup::Typing;
        match key {
            Key::Digit(digit) if entered.len() < ShortCode::DIGITS => entered.push(char::from(b'0' + digit)),
            Key::Digit(_) => {}
            Key::Clear => entered.clear(),
            Key::Ok => {
                if let Some(code) = ShortCode::parse(&entered) {
                    self.effect(Effect::Find { code });
                    found = Lookup::Asked;
                } else {
                    found = Lookup::Nothing;
                }
            }
        }
        self.go(At::Lookup { entered, found });
    }

    pub(super) fn found(&mut self, code: &str, order: Option<Box<Order>>) {
        if let At::Lookup { entered, found } = &mut self.state.counter.at
            && entered == code
            && matches!(found, Lookup::Asked)
        {
            *found = order.map_or(Lookup::Nothing, Lookup::Found);
        }
    }

    /// Begins the order: its number is on disk before any provider hears of it.
    fn offer(&mut self) -> Result<(), Illegal> {
        if !self.state.stop_reasons().is_empty() || self.state.conditions.board_answers != Some(true) {
            return Err(Illegal::Refused("not selling"));
        }
        let mut items = Vec::new();
        let mut goods = Vec::new();
        for (id, quantity) in &self.state.counter.basket {
            let product = self.state.planogram.product(id).ok_or(Illegal::Refused("no such product"))?;
            if self.state.planogram.available(id) < *quantity {
                return Err(Illegal::Refused("no more of this product"));
            }
            let offered = Offered { product: id.clone(), price: product.price };
            items.extend(std::iter::repeat_n(offered, *quantity as usize));
            let name = product.name.get(&self.state.counter.language);
            goods.push(if *quantity > 1 { format!("{name} x{quantity}") } else { name.to_owned() });
        }
        let rails = &self.state.policy.rails;
        let up = |kind: RailKind| !self.state.conditions.rails.get(&kind).is_some_and(|health| health.down);
        let rail = rails.iter().find(|rail| up(rail.kind)).or(rails.first()).map(|rail| rail.kind);
        let rail = rail.ok_or(Illegal::Refused("no payment method"))?;

        let order = self.next_order();
        let short_code = order.short_code();
        let charge = ChargeId::of(order, 1);
        let amount = items.iter().map(|item| item.price).sum();
        let currency = self.state.policy.currency;
        let life = self.state.policy.charge_life();
        let description = describe(&self.state.policy.kiosk, &goods, &short_code);
        self.record(Record::OrderOffered {
            order,
            short_code,
            currency,
            amount,
            items,
            charge: charge.clone(),
            rail,
            life_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
        });
        let (now, qr_life) = (self.at.now, self.state.policy.qr_life);
        if let Some(offered) = self.state.orders.get_mut(&order) {
            offered.deadline = now + qr_life;
            for charge in &mut offered.charges {
                charge.watch.since = now;
                // The answer to the creation is the first answer.
                charge.watch.asked = true;
            }
        }
        let attach = self.state.policy.attach.clone();
        let charge = NewCharge { charge, order, amount, currency, life, description, attach };
        self.effect(Effect::Create { rail, charge });
        self.state.current = Some(order);
        self.state.counter.basket.clear();
        self.go(At::Order);
        Ok(())
    }

    /// A number greater than every one before, near the wall clock where it is known.
    fn next_order(&self) -> OrderId {
        let last = self.state.last_order;
        let millis = self.at.wall.map(|wall| wall.0).or(last.map(OrderId::millis)).unwrap_or(0);
        let fresh = OrderId::from_parts(millis, self.at.entropy);
        match last {
            Some(last) if fresh <= last => last.successor(),
            _ => fresh,
        }
    }

    /// The order is over for the customer and was not paid: its QR goes, its charge is closed and watched.
    pub(super) fn close_order(&mut self, id: OrderId, why: Closed) {
        if matches!(why, Closed::Expired | Closed::ByCustomer) {
            self.state.unpaid_in_a_row = self.state.unpaid_in_a_row.saturating_add(1);
        }
        self.record(Record::OrderClosed { order: id, why });
        let now = self.at.now;
        if let Some(order) = self.state.orders.get_mut(&id) {
            for charge in &mut order.charges {
                charge.watch.payload = None;
                charge.watch.want_close = true;
                charge.watch.next = now;
                charge.watch.tries = 0;
            }
        }
        self.leave_order(id);
    }

    /// The current order leaves the counter; what became of it stays on the glass for a while.
    pub(super) fn leave_order(&mut self, id: OrderId) {
        if self.state.current == Some(id) {
            self.state.current = None;
            self.go(At::Result(id));
        }
    }

    /// The current order's pages come up for an order that a restart found paid.
    pub(super) fn show_order(&mut self, id: OrderId) {
        self.state.current = Some(id);
        self.go(At::Order);
    }

    pub(super) fn counter_timers(&mut self) {
        let now = self.at.now;
        if let Some(order) = self.state.current_order().filter(|order| order.waiting()) {
            if now >= order.deadline {
                self.close_order(order.id, Closed::Expired);
            }
        } else if self.state.counter_deadline().is_some_and(|deadline| now >= deadline) {
            self.go(At::Attract);
        }
    }
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
