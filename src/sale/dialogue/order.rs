//! The pages of one order: paying, waiting for the goods, and what became of it.

use std::time::Duration;

use super::{CodeView, Look, Page, Part, Patience, Touch};
use crate::sale::event::Illegal;
use crate::sale::order::Receipt;
use crate::sale::presented::{CodeKind, Counter, TicketDeed};
use crate::sale::record::{Closed, Record, Settling, Slip};
use crate::sale::view::{ItemView, OrderState, OrderView, Outcome, StayKind, StopReason};
use crate::sale::{Order, State, Turn};
use crate::vocabulary::{Goods, OrderId, Outlet, RailName};

/// A code that is not on paper has to be photographed.
const PHOTOGRAPH: Duration = Duration::from_secs(60);
/// Charges of one order: a customer may change their mind, and a provider is not asked for ever more.
const MAX_CHARGES: usize = 6;

#[derive(Debug, Clone)]
pub(super) enum At {
    /// The current order waits for its payment or is being delivered.
    Current,
    /// What became of an order, for a while.
    Result(OrderId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderPage {
    /// `qr` is `None` while the provider has not answered yet, and the moment the machine can no longer deliver.
    Pay {
        order: OrderView,
        qr: Option<String>,
        rails: Vec<RailTab>,
        seconds_left: u64,
        /// What the count-down began with.
        of_seconds: u64,
        can_extend: bool,
    },
    /// `code`: what the customer takes away besides the receipt, here and on the next page.
    Delivering {
        order: OrderView,
        code: Option<CodeView>,
        receipt: ReceiptView,
    },
    Thanks {
        order: OrderView,
        receipt: ReceiptView,
        code: Option<CodeView>,
    },
    Expired {
        order: OrderView,
    },
    Cancelled {
        order: OrderView,
        why: Option<StopReason>,
    },
    /// Money is on its way back (`refunded` confirmed so far).
    Refunded {
        order: OrderView,
        receipt: ReceiptView,
    },
    Claim {
        order: OrderView,
        receipt: ReceiptView,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RailTab {
    pub name: RailName,
    pub label: String,
    pub chosen: bool,
    /// Its provider answers.
    pub up: bool,
}

/// The receipt as the customer can get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptView {
    Printing,
    Printed,
    /// Not on paper: this QR's text is the receipt, or says where it is.
    Code(String),
    /// The kiosk gives no receipt for this order.
    None,
}

impl OrderPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            OrderPage::Pay { .. } => "pay",
            OrderPage::Delivering { .. } => "delivering",
            OrderPage::Thanks { code: Some(CodeView { kind: CodeKind::ExitPass, .. }), .. } => "pass",
            OrderPage::Thanks { .. } => "thanks",
            OrderPage::Expired { .. } => "expired",
            OrderPage::Cancelled { .. } => "cancelled",
            OrderPage::Refunded { .. } => "refunded",
            OrderPage::Claim { .. } => "claim",
        }
    }
}

impl Part for At {
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal> {
        match (self, touch) {
            (At::Current, touch) => turn.touch_order(touch)?,
            (At::Result(_), Touch::Lookup) => turn.look_up(),
            (At::Result(_), Touch::Done) => turn.begin_anew(),
            (At::Result(_), touch) => return Err(turn.not_here(touch)),
        }
        Ok(())
    }

    fn patience(&self, state: &State) -> Patience {
        match self {
            At::Current => match state.current_order().filter(|order| order.waiting()) {
                Some(order) => Patience::Until(order.deadline),
                None => Patience::Endless,
            },
            At::Result(id) => {
                let order = state.orders.get(id);
                let unprinted = |order: &&Order| !matches!(order.receipt, Receipt::Printed(_));
                let code = order.filter(unprinted).and_then(|order| state.shop.code(order));
                let time = state.policy.result_timeout;
                Patience::For(if code.is_some() { time.max(PHOTOGRAPH) } else { time })
            }
        }
    }

    fn give_up(&self, turn: &mut Turn<'_>) {
        match (self, turn.state.current) {
            (At::Current, Some(order)) => turn.close_order(order, Closed::Expired),
            _ => turn.begin_anew(),
        }
    }

    fn show(&self, state: &State, look: &Look<'_>) -> Page {
        let page = match self {
            At::Current => state.current_order().map(|order| state.current_page(order, look)),
            At::Result(id) => state.orders.get(id).map(|order| state.result_page(order, look)),
        };
        // An order stays known as long as it is on the glass.
        page.map_or_else(|| super::stay::first(&*state.shop).part().show(state, look), Page::Order)
    }
}

impl State {
    fn current_page(&self, order: &Order, look: &Look<'_>) -> OrderPage {
        let view = self.order_view(order);
        if !order.waiting() {
            let code = self.shop.code(order).map(|code| self.order_code(&code));
            return OrderPage::Delivering { order: view, code, receipt: self.receipt_view(order, look) };
        }
        let charge = order.live();
        OrderPage::Pay {
            order: view,
            // Who has paid on another charge, of which it is not told yet whether it counts, must not pay again.
            qr: charge.filter(|_| !order.held()).and_then(|charge| charge.watch.payload.clone()),
            rails: self
                .policy
                .rails
                .iter()
                .map(|rail| RailTab {
                    name: rail.name.clone(),
                    label: rail.label.get(&self.dialogue.language).to_owned(),
                    chosen: charge.is_some_and(|charge| charge.rail == rail.name),
                    up: self.rail_up(&rail.name),
                })
                .collect(),
            of_seconds: (self.policy.qr_life + if order.extended { self.policy.more_time } else { Duration::ZERO })
                .as_secs(),
            seconds_left: order.deadline.since(look.now).as_millis().div_ceil(1_000) as u64,
            can_extend: !order.extended && !self.policy.more_time.is_zero(),
        }
    }

    fn result_page(&self, order: &Order, look: &Look<'_>) -> OrderPage {
        let view = self.order_view(order);
        let receipt = self.receipt_view(order, look);
        let code = self.shop.code(order).map(|code| self.order_code(&code));
        let fell = order.items.iter().any(|item| item.outcome == Outcome::Delivered);
        match view.state {
            OrderState::Claim => OrderPage::Claim { order: view, receipt },
            OrderState::Delivered | OrderState::PartlyDelivered => OrderPage::Thanks { order: view, receipt, code },
            OrderState::Refunding if fell => OrderPage::Thanks { order: view, receipt, code },
            OrderState::Refunding | OrderState::Refunded => OrderPage::Refunded { order: view, receipt },
            OrderState::Expired => OrderPage::Expired { order: view },
            OrderState::Cancelled | OrderState::NotDelivered => {
                OrderPage::Cancelled { order: view, why: stop_of(order) }
            }
            OrderState::Choosing | OrderState::WaitingPayment | OrderState::Paid | OrderState::Delivering => {
                OrderPage::Delivering { order: view, code, receipt }
            }
        }
    }

    fn receipt_view(&self, order: &Order, look: &Look<'_>) -> ReceiptView {
        match &order.receipt {
            _ if order.printing.is_some() => ReceiptView::Printing,
            Receipt::NotYet => ReceiptView::None,
            Receipt::Printed(_) => ReceiptView::Printed,
            // A ticket's code is on the glass itself.
            Receipt::NotPrinted(Slip::Ticket, _) => ReceiptView::None,
            Receipt::NotPrinted(..) => (look.receipt_code)(order).map_or(ReceiptView::None, ReceiptView::Code),
        }
    }

    pub(super) fn order_view(&self, order: &Order) -> OrderView {
        OrderView {
            short_code: order.short_code.clone(),
            pickup: self.policy.pickup_numbers.then(|| order.short_code.pickup().to_owned()),
            state: order.state(),
            amount: order.amount(),
            paid: order.paid(),
            refunded: order.refunded(),
            refund_pending: order.outstanding(),
            stay: order.items.iter().any(|item| matches!(item.goods, Goods::Stay(_))).then(|| StayKind {
                comes: matches!(self.shop.counter(), Counter::Tickets(counter) if counter.does == TicketDeed::GiveOut),
                gate: matches!(order.only, Some(Outlet::Gate(_))),
                paid: order.bought().is_some(),
            }),
            settled: order.claim.as_ref().and_then(|claim| claim.settled),
            items: order
                .items
                .iter()
                .map(|item| ItemView {
                    name: item.label.get(&self.dialogue.language).to_owned(),
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
}

fn stop_of(order: &Order) -> Option<StopReason> {
    match &order.closed {
        Some(Closed::Stopped(reason)) => Some(reason.clone()),
        Some(Closed::NoCharge(_)) => Some(StopReason::RailDown),
        _ => None,
    }
}

impl Turn<'_> {
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
            (_, touch) => return Err(self.not_here(touch)),
        }
        Ok(())
    }

    /// The order is over for the customer and was not paid: its QR goes, its charge is closed and watched.
    pub(in crate::sale) fn close_order(&mut self, id: OrderId, why: Closed) {
        if matches!(why, Closed::Expired | Closed::ByCustomer) {
            self.unpaid();
        }
        let unable = matches!(why, Closed::NoCharge(_) | Closed::Stopped(StopReason::RailDown));
        self.record(Record::OrderClosed { order: id, why });
        let now = self.at.now;
        if let Some(order) = self.state.orders.get_mut(&id) {
            order.charges.iter_mut().for_each(|charge| charge.watch.close(now));
        }
        self.leave_order(id);
        if unable {
            self.cant_take(id);
        }
    }

    /// The current order leaves the glass; what became of it stays there for a while, unless somebody is in the service
    /// menu.
    pub(in crate::sale) fn leave_order(&mut self, id: OrderId) {
        if self.state.current == Some(id) {
            self.state.current = None;
            if !self.state.dialogue.in_service() {
                self.go(super::At::Order(At::Result(id)));
            }
        }
    }

    /// The order comes on the glass, and nothing is chosen beside it. The service menu stays before it.
    pub(in crate::sale) fn show_order(&mut self, id: OrderId) {
        self.state.current = Some(id);
        self.state.dialogue.visit.basket.clear();
        if !self.state.dialogue.in_service() {
            self.go_to_order();
        }
    }

    pub(super) fn go_to_order(&mut self) {
        self.go(super::At::Order(At::Current));
    }
}
