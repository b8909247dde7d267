//! The customer's side of the glass: which page, which basket, which keys were typed. Volatile; a restart begins at the
//! first page.

mod touch;

pub use touch::{Key, Touch};

use std::time::Duration;

use super::event::{Effect, Illegal};
use super::order::Order;
use super::record::{Closed, Record};
use super::shop::Product;
use super::view::Ease;
use super::{State, Turn};
use crate::vocabulary::{CategoryId, Language, Minor, Mono, OrderId, ProductId, ShortCode};

/// Digits of the code that proves somebody stands at the machine.
const CONFIRM_DIGITS: usize = 4;
/// Charges of one order: a customer may change their mind, and a provider is not asked for ever more.
const MAX_CHARGES: usize = 6;
/// The longest warning before a page gives up.
const WARNING: Duration = Duration::from_secs(20);
/// Products on a page of the shelf, and with large type.
const TILES: usize = 8;
const TILES_LARGE: usize = 4;

#[derive(Debug, Clone)]
pub struct Counter {
    pub language: Language,
    pub(super) ease: Ease,
    pub(super) shelf: Shelf,
    pub(super) at: At,
    pub(super) basket: Vec<(ProductId, u32)>,
    /// The last touch, or when the page came.
    pub(super) since: Mono,
}

/// What part of the shelf is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    /// `None`: all products.
    pub category: Option<CategoryId>,
    pub page: usize,
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

impl Counter {
    pub fn new(language: Language) -> Self {
        Self {
            language,
            ease: Ease::default(),
            shelf: Shelf::default(),
            at: At::Attract,
            basket: Vec::new(),
            since: Mono::default(),
        }
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
        self.counter.units() < self.policy.max_units && self.shop.available(product) > self.counter.in_basket(product)
    }

    /// A product that customers can choose.
    pub fn product(&self, id: &ProductId) -> Option<&Product> {
        self.shop.catalogue().iter().find(|product| product.id == *id)
    }

    /// Somebody is in the middle of something: choosing, paying or waiting for goods.
    pub fn busy(&self) -> bool {
        self.current.is_some() || !self.counter.basket.is_empty()
    }

    /// Products chosen so far, with how many of each.
    pub fn basket(&self) -> &[(ProductId, u32)] {
        &self.counter.basket
    }

    /// What they cost together.
    pub fn basket_total(&self) -> Minor {
        let price = |id| self.product(id).map_or(0, |product| product.price);
        self.counter.basket.iter().map(|(id, quantity)| price(id) * i64::from(*quantity)).sum()
    }

    pub(super) fn counter_wake(&self, now: Mono) -> Option<Mono> {
        if let Some(order) = self.current_order().filter(|order| order.waiting()) {
            // Each whole second of the count-down, and the end of the lease.
            let left = order.deadline.since(now);
            let tick = now + Duration::from_millis((left.as_millis() as u64 + 999) % 1_000 + 1);
            // Nothing is on the glass, and no lease runs, before the provider has answered.
            let shown = order.live().filter(|charge| charge.watch.payload.is_some());
            let lease = shown.and_then(|charge| self.lease_ends(&charge.rail));
            return Some(lease.map_or(tick, |lease| tick.min(lease)).min(order.deadline));
        }
        let deadline = self.counter_deadline()?;
        // The warning counts down.
        let tick = match self.idle_left(now) {
            Some(_) => now + Duration::from_millis((deadline.since(now).as_millis() as u64 + 999) % 1_000 + 1),
            None if self.can_ask_for_more() => Mono(deadline.0.saturating_sub(self.warning().as_millis() as u64)),
            None => deadline,
        };
        Some(tick.min(deadline))
    }

    /// Before a page gives up for want of a touch: at least 20 seconds (WCAG 2.2, 2.2.1), or a third of what there is.
    fn warning(&self) -> Duration {
        WARNING.min(self.policy.browse_timeout / 3)
    }

    fn can_ask_for_more(&self) -> bool {
        matches!(self.counter.at, At::Choose | At::Basket(_) | At::Confirm { .. } | At::Lookup { .. })
    }

    /// Seconds until the page gives up, once that is near.
    pub(super) fn idle_left(&self, now: Mono) -> Option<u64> {
        if !self.can_ask_for_more() || self.current_order().is_some() {
            return None;
        }
        let left = self.counter_deadline()?.since(now);
        (left <= self.warning()).then(|| left.as_millis().div_ceil(1_000) as u64)
    }

    fn counter_deadline(&self) -> Option<Mono> {
        match &self.counter.at {
            // Somebody chose a language or larger type, and went away.
            At::Attract if self.touched() => Some(self.counter.since + self.policy.browse_timeout),
            At::Attract | At::Order => None,
            At::Result(_) => Some(self.counter.since + self.policy.result_timeout),
            At::Choose | At::Basket(_) | At::Confirm { .. } | At::Lookup { .. } => {
                Some(self.counter.since + self.policy.browse_timeout)
            }
        }
    }

    /// The first page is not as it is for somebody who comes.
    fn touched(&self) -> bool {
        self.counter.language != self.policy.first_language() || self.counter.ease != Ease::default()
    }

    /// Products of the category that is looked at.
    pub(super) fn on_shelf(&self) -> Vec<&Product> {
        let category = self.counter.shelf.category.as_ref();
        let products = self.shop.catalogue().iter();
        products.filter(|product| category.is_none() || product.category.as_ref() == category).collect()
    }

    /// Large tiles need more room.
    pub(super) fn tiles_a_page(&self) -> usize {
        if self.counter.ease.large { TILES_LARGE } else { TILES }
    }

    /// How many pages the shelf has, and which is shown.
    pub(super) fn shelf_pages(&self) -> (usize, usize) {
        let pages = self.on_shelf().len().div_ceil(self.tiles_a_page()).max(1);
        (pages, self.counter.shelf.page.min(pages - 1))
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
    pub(super) fn go(&mut self, at: At) {
        if matches!(at, At::Attract) {
            self.state.counter.basket.clear();
            self.state.counter.ease = Ease::default();
            self.state.counter.shelf = Shelf::default();
            self.state.counter.language = self.state.policy.first_language();
        }
        self.state.counter.at = at;
        self.state.counter.since = self.at.now;
    }

    pub(super) fn touch(&mut self, touch: Touch) -> Result<(), Illegal> {
        let counter = &mut self.state.counter;
        match touch {
            Touch::Language(language) => {
                if !self.state.policy.languages.contains(&language) {
                    return Err(Illegal::Refused("not a language of this kiosk"));
                }
                counter.language = language;
                counter.since = self.at.now;
                return Ok(());
            }
            Touch::Larger | Touch::Contrast => {
                let switch = if touch == Touch::Larger { &mut counter.ease.large } else { &mut counter.ease.contrast };
                *switch = !*switch;
                counter.since = self.at.now;
                return Ok(());
            }
            _ => {}
        }
        let page = self.state.counter.at.clone();
        match (page, touch) {
            (At::Order, touch) => self.touch_order(touch)?,
            (At::Attract | At::Choose | At::Result(_), Touch::Lookup) => self.lookup(),
            (At::Attract, Touch::Start) => self.go(At::Choose),
            (At::Choose | At::Basket(_), Touch::Product(product)) => self.put(product)?,
            (At::Choose | At::Basket(_), Touch::Pay) => self.pay()?,
            (At::Choose | At::Basket(_) | At::Confirm { .. }, Touch::Cancel) => self.go(At::Attract),
            (At::Choose, Touch::Category(category)) => self.look_at(category)?,
            (At::Choose, Touch::NextPage) => self.turn_page(|page| Some(page + 1))?,
            (At::Choose, Touch::PageBack) => self.turn_page(|page| page.checked_sub(1))?,
            // Any touch starts the time anew; this one has nothing else to do.
            (_, Touch::MoreTime) if self.state.idle_left(self.at.now).is_some() => {}
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

    fn look_at(&mut self, category: Option<CategoryId>) -> Result<(), Illegal> {
        let known = |id: &CategoryId| self.state.policy.categories.iter().any(|(known, _)| known == id);
        if !category.as_ref().is_none_or(known) {
            return Err(Illegal::Refused("no such category"));
        }
        self.state.counter.shelf = Shelf { category, page: 0 };
        Ok(())
    }

    fn turn_page(&mut self, turn: impl Fn(usize) -> Option<usize>) -> Result<(), Illegal> {
        let (pages, page) = self.state.shelf_pages();
        let page = turn(page).filter(|page| *page < pages).ok_or(Illegal::Refused("no such page"))?;
        self.state.counter.shelf.page = page;
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
            (Some(order), Touch::Rail(name)) if order.live().is_some_and(|charge| charge.rail == name) => {}
            (Some(order), Touch::Rail(_)) if order.held() => {
                return Err(Illegal::Refused("a payment is being looked at"));
            }
            (Some(order), Touch::Rail(name)) if order.charges.len() < MAX_CHARGES => {
                if self.state.policy.rail(&name).is_none() {
                    return Err(Illegal::Refused("no such payment method"));
                }
                self.switch_rail(id, name);
            }
            (_, touch) => return Err(Illegal::NotOnPage { touch, page: "order" }),
        }
        Ok(())
    }

    fn put(&mut self, product: ProductId) -> Result<(), Illegal> {
        if self.state.product(&product).is_none() {
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

    /// The order is over for the customer and was not paid: its QR goes, its charge is closed and watched.
    pub(super) fn close_order(&mut self, id: OrderId, why: Closed) {
        if matches!(why, Closed::Expired | Closed::ByCustomer) {
            self.unpaid();
        }
        self.record(Record::OrderClosed { order: id, why });
        let now = self.at.now;
        if let Some(order) = self.state.orders.get_mut(&id) {
            order.charges.iter_mut().for_each(|charge| charge.watch.close(now));
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
