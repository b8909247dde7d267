//! From state to [`View`].

use std::time::Duration;

use super::dialogue::{At, Lookup};
use super::order::Receipt;
use super::record::{Closed, Settling};
use super::shop::Product;
use super::view::{
    BasketLine, CategoryTab, ItemView, OrderState, OrderView, Outcome, Page, RailTab, ReceiptView, StopReason, Tile,
    View,
};
use super::{Order, State};
use crate::vocabulary::{Mono, ProductId};

impl State {
    /// What the glass shows now. `receipt_code` gives the text of the QR for a receipt that is not on paper.
    pub fn view(&self, now: Mono, receipt_code: impl Fn(&Order) -> Option<String>) -> View {
        View {
            language: self.counter.language.clone(),
            languages: self.policy.languages.clone(),
            place: self.policy.place.get(&self.counter.language).to_owned(),
            phone: self.policy.phone.clone(),
            currency: self.policy.currency,
            ease: self.counter.ease,
            idle_left: self.idle_left(now),
            page: self.page(now, receipt_code),
        }
    }

    fn page(&self, now: Mono, receipt_code: impl Fn(&Order) -> Option<String>) -> Page {
        let reasons = self.stop_reasons();
        if self.conditions.ledger_failed.is_some() {
            return self.out_of_service(reasons);
        }
        if let Some(order) = self.current_order() {
            return self.order_page(order, now);
        }
        match &self.counter.at {
            At::Result(id) => match self.orders.get(id) {
                Some(order) => self.result_page(order, receipt_code),
                None => Page::Attract { tiles: self.tiles() },
            },
            At::Lookup { entered, found } => Page::Lookup {
                entered: entered.clone(),
                found: match found {
                    // The newest knowledge, where the order is still open.
                    Lookup::Found(order) => Some(self.order_view(self.orders.get(&order.id).unwrap_or(order))),
                    _ => None,
                },
                not_found: matches!(found, Lookup::Nothing),
            },
            _ if !reasons.is_empty() => self.out_of_service(reasons),
            At::Attract | At::Order => Page::Attract { tiles: self.tiles() },
            At::Choose => self.shelf_page(),
            At::Basket(product) => match self.tiles().into_iter().find(|tile| tile.product == *product) {
                Some(tile) => Page::Basket {
                    can_add: self.can_add(product),
                    product: tile,
                    basket: self.basket_lines(),
                    total: self.basket_total(),
                },
                None => Page::Attract { tiles: self.tiles() },
            },
            At::Confirm { code, entered, wrong } => Page::Confirm {
                code: code.clone(),
                entered: entered.clone(),
                total: self.basket_total(),
                wrong: *wrong,
            },
        }
    }

    fn shelf_page(&self) -> Page {
        let (pages, page) = self.shelf_pages();
        let shelf = self.on_shelf();
        let on_page = shelf.chunks(self.tiles_a_page()).nth(page).unwrap_or_default();
        Page::Choose {
            tiles: on_page.iter().map(|product| self.tile(product)).collect(),
            categories: self.categories(),
            page: page as u32,
            pages: pages as u32,
            basket: self.basket_lines(),
            total: self.basket_total(),
        }
    }

    fn categories(&self) -> Vec<CategoryTab> {
        if self.policy.categories.is_empty() {
            return Vec::new();
        }
        let at = self.counter.shelf.category.as_ref();
        let all = CategoryTab { name: CategoryTab::ALL.into(), label: String::new(), chosen: at.is_none() };
        let tabs = self.policy.categories.iter().map(|(id, label)| CategoryTab {
            name: id.to_string(),
            label: label.get(&self.counter.language).to_owned(),
            chosen: at == Some(id),
        });
        std::iter::once(all).chain(tabs).collect()
    }

    fn order_page(&self, order: &Order, now: Mono) -> Page {
        let view = self.order_view(order);
        if !order.waiting() {
            return Page::Delivering { order: view };
        }
        let charge = order.live();
        Page::Pay {
            order: view,
            // Who has paid on another charge, of which it is not told yet whether it counts, must not pay again.
            qr: charge.filter(|_| !order.held()).and_then(|charge| charge.watch.payload.clone()),
            rails: self
                .policy
                .rails
                .iter()
                .map(|rail| RailTab {
                    name: rail.name.clone(),
                    label: rail.label.get(&self.counter.language).to_owned(),
                    chosen: charge.is_some_and(|charge| charge.rail == rail.name),
                    up: self.rail_up(&rail.name),
                })
                .collect(),
            of_seconds: (self.policy.qr_life + if order.extended { self.policy.more_time } else { Duration::ZERO })
                .as_secs(),
            seconds_left: order.deadline.since(now).as_millis().div_ceil(1_000) as u64,
            can_extend: !order.extended && !self.policy.more_time.is_zero(),
        }
    }

    fn result_page(&self, order: &Order, receipt_code: impl Fn(&Order) -> Option<String>) -> Page {
        let view = self.order_view(order);
        let receipt = match &order.receipt {
            _ if order.printing.is_some() => ReceiptView::Printing,
            Receipt::NotYet => ReceiptView::None,
            Receipt::Printed(_) => ReceiptView::Printed,
            Receipt::NotPrinted(..) => receipt_code(order).map_or(ReceiptView::None, ReceiptView::Code),
        };
        let fell = order.items.iter().any(|item| item.outcome == Outcome::Delivered);
        match view.state {
            OrderState::Claim => Page::Claim { order: view, receipt },
            OrderState::Delivered | OrderState::PartlyDelivered => Page::Thanks { order: view, receipt },
            OrderState::Refunding if fell => Page::Thanks { order: view, receipt },
            OrderState::Refunding | OrderState::Refunded => Page::Refunded { order: view, receipt },
            OrderState::Expired => Page::Expired { order: view },
            OrderState::Cancelled | OrderState::NotDelivered => Page::Cancelled { order: view, why: stop_of(order) },
            OrderState::Choosing | OrderState::WaitingPayment | OrderState::Paid | OrderState::Delivering => {
                Page::Delivering { order: view }
            }
        }
    }

    fn out_of_service(&self, reasons: Vec<StopReason>) -> Page {
        let claim = self.orders.values().rev().find(|order| {
            // A ledger that failed in the middle leaves a paid order that only a restart can settle.
            order.claim_open()
                || self.conditions.ledger_failed.is_some() && order.outstanding() > 0
                || order.unresolved()
        });
        Page::OutOfService { reasons, last_claim: claim.map(|order| order.short_code.clone()) }
    }

    pub fn order_view(&self, order: &Order) -> OrderView {
        let outstanding = order.outstanding();
        OrderView {
            short_code: order.short_code.clone(),
            pickup: self.policy.pickup_numbers.then(|| order.short_code.pickup().to_owned()),
            state: order.state(),
            amount: order.amount(),
            paid: order.paid(),
            refunded: order.refunded(),
            refund_pending: outstanding,
            items: order
                .items
                .iter()
                .map(|item| ItemView {
                    name: item.label.get(&self.counter.language).to_owned(),
                    price: item.price,
                    outlet: item.attempts.last().map(|attempt| attempt.outlet.name().to_owned()),
                    outcome: match (item.outcome, item.settled_by) {
                        (Outcome::Unknown, Some(Settling::AssumedDelivered)) => Outcome::Delivered,
                        (outcome, _) => outcome,
                    },
                })
                .collect(),
        }
    }

    fn tiles(&self) -> Vec<Tile> {
        self.shop.catalogue().iter().map(|product| self.tile(product)).collect()
    }

    fn tile(&self, product: &Product) -> Tile {
        Tile {
            product: product.id.clone(),
            name: product.name.get(&self.counter.language).to_owned(),
            price: product.price,
            available: self.shop.available(&product.id),
            picture: product.picture.clone(),
        }
    }

    fn basket_lines(&self) -> Vec<BasketLine> {
        let line = |(id, quantity): &(ProductId, u32)| {
            let product = self.product(id)?;
            let name = product.name.get(&self.counter.language).to_owned();
            Some(BasketLine { product: id.clone(), name, quantity: *quantity, price: product.price })
        };
        self.counter.basket.iter().filter_map(line).collect()
    }
}

fn stop_of(order: &Order) -> Option<StopReason> {
    match &order.closed {
        Some(Closed::Stopped(reason)) => Some(reason.clone()),
        Some(Closed::NoCharge(_)) => Some(StopReason::RailDown),
        _ => None,
    }
}
