//! The pages of an order. To pay from there is a page in a file of its own; the others come after it was paid, or not: each
//! says cause, money, order code and what to do.

use super::super::sheet::{Cut, Draw, Ink, Look, TextLook, centered, space, type_scale};
use super::{CODE, Composer, Icon, Touch, alike, counted};
use crate::sale::dialogue::{OrderPage, ReceiptView};
use crate::sale::view::{OrderState, OrderView, Outcome, StopReason};
use crate::vocabulary::Rect;

impl Composer<'_> {
    pub(super) fn order(&mut self, body: Rect, page: &OrderPage) {
        match page {
            OrderPage::Pay { order, qr, rails, seconds_left, of_seconds, can_extend } => {
                self.pay(body, order, qr.as_deref(), rails, (*seconds_left, *of_seconds), *can_extend);
            }
            OrderPage::Delivering { order, code, receipt } if order.stay.is_some_and(|stay| stay.gate) => {
                self.at_the_gate(body, order, code.as_ref(), receipt, false);
            }
            OrderPage::Delivering { order, .. } => self.delivering(body, order),
            OrderPage::Thanks { order, receipt, code } if order.stay.is_some_and(|stay| stay.gate) => {
                self.at_the_gate(body, order, code.as_ref(), receipt, true);
            }
            OrderPage::Thanks { order, receipt, code: Some(code) } => self.pass(body, order, code, receipt),
            OrderPage::Thanks { order, receipt, code: None } => self.thanks(body, order, receipt),
            OrderPage::Expired { order } => {
                self.not_charged(body, (Icon::Clock, "expired-title", "expired-money"), order, None);
            }
            OrderPage::Cancelled { order, why } => {
                self.not_charged(body, (Icon::Cross, "cancelled-title", "cancelled-money"), order, why.as_ref());
            }
            OrderPage::Refunded { order, receipt } => self.refunded(body, order, receipt),
            OrderPage::Claim { order, receipt } => self.claim(body, order, receipt),
        }
    }

    fn delivering(&mut self, body: Rect, order: &OrderView) {
        let title = self.words.say("delivering-title");
        let rest = self.heading(body, Icon::Tray, title, Ink::Primary);
        let (hint, rest) = rest.top(self.px(72));
        let say = self.words.say("delivering-hint");
        self.sheet.text(hint, say, TextLook::new(type_scale::BODY));
        let rest = self.progress(rest, order);
        let rest = self.order_code(rest, order);
        self.items(rest, order);
    }

    /// How many of the units are settled, one piece of the bar for each.
    fn progress(&mut self, area: Rect, order: &OrderView) -> Rect {
        let (bar, rest) = area.top(self.px(48));
        let height = self.px(16);
        let bar = Rect { y: bar.y + (bar.h - height) / 2, h: height, ..bar };
        let pieces = bar.columns(order.items.len(), self.px(space::S));
        let palette = self.sheet.palette;
        for (item, piece) in order.items.iter().zip(pieces) {
            let fill = match item.outcome {
                Outcome::Pending => palette.surface,
                Outcome::Delivered => palette.success,
                Outcome::NotDelivered => palette.error,
                Outcome::Unknown => palette.warning,
            };
            let border = if item.outcome == Outcome::Pending { palette.border } else { fill };
            self.sheet.add(piece, Draw::Card { fill, border, radius: height / 2 });
        }
        rest
    }

    /// Every unit with what became of it.
    pub(super) fn items(&mut self, area: Rect, order: &OrderView) {
        self.sheet.card(area);
        let lines = alike(order)
            .into_iter()
            .map(|(count, item)| (counted(count, &item.name), self.words.outcome(item.outcome)));
        let lines = lines.collect::<Vec<_>>();
        self.two_columns(area.inset(self.px(space::M)), &lines);
    }

    /// At the bottom of `area`; answers with the rest.
    fn order_code(&mut self, area: Rect, order: &OrderView) -> Rect {
        let (rest, card) = area.bottom(self.px(CODE).min(area.h / 2));
        self.code(card, "pay-code-label", order.short_code.as_str(), "code-keep");
        Rect { h: (rest.h - self.px(space::M)).max(0), ..rest }
    }

    /// What every last page has at its bottom.
    fn last_buttons(&mut self, body: Rect) -> Rect {
        self.buttons(
            body,
            &[
                (Touch::Lookup, Some(Icon::Search), "lookup", Look::Plain, true),
                (Touch::Done, None, "done", Look::Primary, true),
            ],
        )
    }

    fn thanks(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
        let body = self.last_buttons(body);
        let (main, side) = self.result_halves(body, receipt);
        let any = |outcome| order.items.iter().any(|item| item.outcome == outcome);
        let (hint, icon, ink) = match () {
            () if any(Outcome::NotDelivered) => ("thanks-partly", Icon::Alert, Ink::Warning),
            () if any(Outcome::Unknown) => ("thanks-unsure", Icon::Question, Ink::Warning),
            () => ("thanks-hint", Icon::Check, Ink::Success),
        };
        let title = self.words.say("thanks-title");
        let rest = self.heading(main, icon, title, ink);
        let say = self.words.say(hint);
        let (hint, rest) = rest.top(self.px(if self.sheet.large { 72 } else { 56 }));
        self.sheet.text(hint, say, TextLook::new(type_scale::BODY));
        let rest = match &order.pickup {
            Some(number) => {
                let (rest, card) = rest.bottom(self.px(CODE));
                self.code(card, "pickup-label", number, "pickup-hint");
                Rect { h: (rest.h - self.px(space::M)).max(0), ..rest }
            }
            None => self.order_code(rest, order),
        };
        let (list, money) = rest.bottom(self.px(52));
        self.items(list, order);
        self.money(money, order);
        self.receipt(side, receipt);
    }

    fn not_charged(
        &mut self,
        body: Rect,
        (icon, title, money): (Icon, &str, &str),
        order: &OrderView,
        why: Option<&StopReason>,
    ) {
        let because = why.map(|reason| {
            let reason = self.words.reason(reason);
            self.words.with("cancelled-why", "reason", &reason)
        });
        let lines: Vec<String> = because.into_iter().chain([self.words.say(money)]).collect();
        let title = self.words.say(title);
        self.message(body, (icon, title, Ink::Text), &lines, order, &ReceiptView::None);
    }

    fn refunded(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
        let done = order.state == OrderState::Refunded;
        let title = if done { "refunded-done-title" } else { "refunded-title" };
        let (line, amount) = match done {
            true => ("refunded-confirmed", order.refunded),
            false => ("refunded-amount", order.refund_pending),
        };
        let amount = self.words.money(amount);
        let mut lines = vec![self.words.with(line, "amount", &amount)];
        if !done && order.refunded > 0 {
            lines.push(self.words.with("refunded-confirmed", "amount", &self.words.money(order.refunded)));
        }
        let any = |outcome| order.items.iter().any(|item| item.outcome == outcome);
        // Said only where it is known.
        match () {
            () if any(Outcome::Unknown) => lines.push(self.words.say("refunded-unsure")),
            () if any(Outcome::Delivered) => {}
            () => lines.push(self.words.say("refunded-sorry")),
        }
        let title = self.words.say(title);
        self.message(body, (Icon::Return, title, Ink::Primary), &lines, order, receipt);
    }

    fn claim(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
        let amount = self.words.money(order.paid);
        let money = self.words.with("claim-money", "amount", &amount);
        let hint = self.words.say("claim-hint");
        let title = self.words.say("claim-title");
        self.message(body, (Icon::Alert, title, Ink::Error), &[money, hint], order, receipt);
    }

    fn message(
        &mut self,
        body: Rect,
        (icon, title, ink): (Icon, String, Ink),
        lines: &[String],
        order: &OrderView,
        receipt: &ReceiptView,
    ) {
        let body = self.last_buttons(body);
        let (main, side) = self.result_halves(body, receipt);
        let rest = self.heading(main, icon, title, ink);
        let rest = self.order_code(rest, order);
        self.lines(rest, lines, if receipt == &ReceiptView::None { type_scale::LEAD } else { type_scale::BODY });
        self.receipt(side, receipt);
    }

    /// The result and, where there is a receipt to speak of, a place for it.
    fn result_halves(&self, body: Rect, receipt: &ReceiptView) -> (Rect, Rect) {
        match receipt {
            ReceiptView::None => (body, Rect { w: 0, h: 0, ..body }),
            // A whole receipt in a code needs room.
            ReceiptView::Code(_) => self.halves(body, 0.56),
            _ => self.halves(body, if self.wide { 0.66 } else { 0.74 }),
        }
    }

    /// What was paid, what has come back, what is on its way back: of a claim nobody can say that it is.
    fn money_texts(&self, order: &OrderView) -> Vec<String> {
        let open = if order.state == OrderState::Claim { "order-refund-open" } else { "order-refund-pending" };
        let parts = [
            // Of what was given away nobody wants to read that nothing was paid.
            ("order-paid", Some(order.paid).filter(|paid| *paid > 0 || order.amount > 0)),
            ("order-refunded", Some(order.refunded).filter(|amount| *amount > 0)),
            (open, Some(order.refund_pending).filter(|amount| *amount > 0)),
        ];
        let texts = parts.into_iter().filter_map(|(key, amount)| Some((key, amount?)));
        texts.map(|(key, amount)| self.words.with(key, "amount", &self.words.money(amount))).collect()
    }

    pub(super) fn money(&mut self, area: Rect, order: &OrderView) {
        let texts = self.words.list(&self.money_texts(order));
        self.sheet.text(area, texts, TextLook::new(type_scale::LABEL).bold().whole());
    }

    fn receipt(&mut self, area: Rect, receipt: &ReceiptView) {
        let (key, code) = match receipt {
            ReceiptView::None => return,
            ReceiptView::Printing => ("receipt-printing", None),
            ReceiptView::Printed => ("receipt-printed", None),
            ReceiptView::Code(text) => ("receipt-code", Some(text)),
        };
        let say = self.words.say(key);
        self.sheet.card(area);
        let inner = area.inset(self.px(space::M));
        match code {
            None if self.wide => {
                let (mark, words) = inner.top(inner.h * 3 / 5);
                self.sheet.icon(centered(mark, mark.h.min(self.px(144))), Icon::Receipt, Ink::Primary);
                self.sheet.text(words, say, TextLook::new(type_scale::BODY).center());
            }
            None => {
                let (mark, words) = inner.left(self.px(144));
                self.sheet.icon(centered(mark, mark.h.min(self.px(112))), Icon::Receipt, Ink::Primary);
                self.sheet.text(words, say, TextLook::new(type_scale::BODY));
            }
            Some(text) => {
                let (line, rest) = inner.top(self.px(80));
                self.sheet.text(line, say, TextLook::new(type_scale::LABEL).center());
                let side = rest.w.min(rest.h);
                self.sheet.add(centered(rest, side), Draw::Qr(text.clone()));
            }
        }
    }
}
