//! The pages of an order: paying, delivering, and what became of it. Each says cause, money, order code and what to do.

use super::super::sheet::{Cut, Draw, Look, TextLook, palette};
use super::{Composer, spaced};
use crate::sale::view::{OrderState, OrderView, Outcome, RailTab, ReceiptView, StopReason};
use crate::vocabulary::ShortCode;
use crate::world::Rect;

impl Composer<'_> {
    pub(super) fn pay(
        &mut self,
        body: Rect,
        order: &OrderView,
        qr: Option<&str>,
        rails: &[RailTab],
        seconds_left: u64,
        can_extend: bool,
    ) {
        let square = if self.wide { body.h } else { body.w.min(body.h * 56 / 100) };
        let (card, side) = if self.wide {
            let (card, side) = body.left(square);
            (card, Rect { x: side.x + self.px(32), w: side.w - self.px(32), ..side })
        } else {
            let (card, side) = body.top(square);
            (Rect { x: body.x + (body.w - square) / 2, w: square, ..card }, side)
        };
        match qr {
            Some(payload) => self.sheet.add(card, Draw::Qr(payload.to_owned())),
            None => {
                self.sheet.card(card);
                let wait = self.words.say("pay-wait");
                self.sheet.text(card.inset(self.px(48)), wait, TextLook::new(44.0).soft().center());
            }
        }
        let mut buttons = vec![("cancel", "cancel", Look::Plain, true)];
        if can_extend {
            buttons.push(("more-time", "more-time", Look::Plain, true));
        }
        let side = self.buttons(side, &buttons);
        let (tabs, side) = side.top(self.px(if self.wide { 72 } else { 64 }));
        for (cell, rail) in tabs.columns(rails.len(), self.px(12)).into_iter().zip(rails) {
            let border = if rail.chosen { palette::PRIMARY } else { palette::BORDER };
            self.sheet.add(cell, Draw::Card { fill: palette::GROUND, border });
            let look = TextLook::new(32.0).center();
            self.sheet.text(cell.inset(4), rail.label.clone(), if rail.chosen { look.bold() } else { look });
            self.sheet.target(format!("rail:{}", rail.kind), cell, true);
        }
        let mut rows = side.rows(if self.wide { 20 } else { 14 }, 0);
        // The larger pieces take several of the small rows.
        let mut take = |count: usize| {
            let part: Vec<Rect> = rows.drain(..count.min(rows.len())).collect();
            let first = part.first().copied().unwrap_or(side);
            Rect { h: part.iter().map(|row| row.h).sum(), ..first }
        };
        if self.wide {
            let (amount, left) = (take(5), take(2));
            self.amount_and_time(amount, left, order, seconds_left);
            self.steps(take(6));
            self.goods(take(2), order);
            self.code(take(5), order);
        } else {
            let (line, code, goods) = (take(4), take(5), take(5));
            let (amount, left) = line.left(line.w * 55 / 100);
            self.amount_and_time(amount, left, order, seconds_left);
            self.code(code, order);
            self.steps(goods);
        }
    }

    fn amount_and_time(&mut self, amount: Rect, left: Rect, order: &OrderView, seconds: u64) {
        let money = self.words.money(order.amount);
        self.sheet.text(amount, money, TextLook::new(96.0).bold().color(palette::TEXT));
        let time = self.words.with("pay-seconds", "seconds", &seconds.to_string());
        self.sheet.text(left, time, TextLook::new(40.0).soft());
    }

    fn steps(&mut self, area: Rect) {
        let keys = ["pay-step-open", "pay-step-scan", "pay-step-confirm"];
        for (line, key) in area.rows(keys.len(), 0).into_iter().zip(keys) {
            let step = self.words.say(key);
            self.sheet.text(line, step, TextLook::new(36.0));
        }
    }

    fn goods(&mut self, area: Rect, order: &OrderView) {
        let names: Vec<&str> = order.items.iter().map(|item| item.name.as_str()).collect();
        self.sheet.text(area, names.join(", "), TextLook::new(32.0).soft());
    }

    fn code(&mut self, area: Rect, order: &OrderView) {
        self.sheet.card(area);
        let (line, hint) = area.inset(self.px(12)).top(area.h * 9 / 20);
        let label = format!("{} {}", self.words.say("pay-code-label"), spaced(order.short_code.as_str()));
        self.sheet.text(line, label, TextLook::new(40.0).bold());
        let say = self.words.say("pay-code-hint");
        self.sheet.text(hint, say, TextLook::new(30.0).soft());
    }

    pub(super) fn delivering(&mut self, body: Rect, order: &OrderView) {
        let title = self.words.say("delivering-title");
        let rest = self.title(body, title);
        let (hint, rest) = rest.top(self.px(72));
        let say = self.words.say("delivering-hint");
        self.sheet.text(hint, say, TextLook::new(40.0).soft());
        let (list, code) = rest.bottom(self.px(72));
        self.items(list, order);
        self.order_code(code, order);
    }

    /// Every unit with what became of it.
    fn items(&mut self, area: Rect, order: &OrderView) {
        self.sheet.card(area);
        let lines = order.items.iter().map(|item| (item.name.clone(), self.words.outcome(item.outcome)));
        let lines = lines.collect::<Vec<_>>();
        self.two_columns(area.inset(self.px(16)), &lines);
    }

    fn order_code(&mut self, area: Rect, order: &OrderView) {
        let text = self.words.with("order-code", "code", &spaced(order.short_code.as_str()));
        self.sheet.text(area, text, TextLook::new(40.0).bold());
    }

    /// What every last page has at its bottom.
    fn last_buttons(&mut self, body: Rect) -> Rect {
        self.buttons(body, &[("lookup", "lookup", Look::Plain, true), ("done", "done", Look::Primary, true)])
    }

    pub(super) fn thanks(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
        let body = self.last_buttons(body);
        let (main, side) = self.result_halves(body, receipt);
        let title = format!("✓ {}", self.words.say("thanks-title"));
        let rest = self.heading(main, title, palette::SUCCESS);
        let whole = order.items.iter().all(|item| item.outcome == Outcome::Delivered);
        let (hint, rest) = rest.top(self.px(72));
        let say = self.words.say(if whole { "thanks-hint" } else { "thanks-partly" });
        self.sheet.text(hint, say, TextLook::new(40.0));
        let (rest, code) = rest.bottom(self.px(72));
        let (list, money) = rest.bottom(self.px(120));
        self.items(list, order);
        self.money_lines(money, order);
        self.order_code(code, order);
        self.receipt(side, receipt);
    }

    pub(super) fn not_charged(
        &mut self,
        body: Rect,
        title: &str,
        money: &str,
        order: &OrderView,
        why: Option<&StopReason>,
    ) {
        let body = self.last_buttons(body);
        let title = self.words.say(title);
        let rest = self.heading(body, title, palette::TEXT);
        let rows = rest.rows(4, self.px(8));
        if let Some(reason) = why {
            let reason = self.words.reason(reason);
            let because = self.words.with("cancelled-why", "reason", &reason);
            self.sheet.text(rows[0], because, TextLook::new(40.0));
        }
        let say = self.words.say(money);
        self.sheet.text(rows[1], say, TextLook::new(40.0));
        self.order_code(rows[2], order);
    }

    pub(super) fn refunded(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
        let done = order.state == OrderState::Refunded;
        let title = if done { "refunded-done-title" } else { "refunded-title" };
        let (line, amount) = match done {
            true => ("refunded-confirmed", order.refunded),
            false => ("refunded-amount", order.refund_pending),
        };
        let amount = self.words.money(amount);
        let line = self.words.with(line, "amount", &amount);
        let sorry = self.words.say("refunded-sorry");
        let title = self.words.say(title);
        self.message(body, title, palette::TEXT, &[line, sorry], order, receipt);
    }

    pub(super) fn claim(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
        let amount = self.words.money(order.paid);
        let money = self.words.with("claim-money", "amount", &amount);
        let hint = self.words.say("claim-hint");
        let title = format!("! {}", self.words.say("claim-title"));
        self.message(body, title, palette::ERROR, &[money, hint], order, receipt);
    }

    fn message(
        &mut self,
        body: Rect,
        title: String,
        color: u32,
        lines: &[String],
        order: &OrderView,
        receipt: &ReceiptView,
    ) {
        let body = self.last_buttons(body);
        let (main, side) = self.result_halves(body, receipt);
        let rest = self.heading(main, title, color);
        let rows = rest.rows(lines.len() + 2, self.px(8));
        for (row, line) in rows.iter().zip(lines) {
            self.sheet.text(*row, line.clone(), TextLook::new(40.0));
        }
        self.order_code(rows[lines.len()], order);
        let call = self.words.with("out-call", "phone", &self.words.view.phone);
        self.sheet.text(rows[lines.len() + 1], call, TextLook::new(36.0).soft());
        self.receipt(side, receipt);
    }

    /// The result and, where there is a receipt to speak of, a place for it.
    fn result_halves(&self, body: Rect, receipt: &ReceiptView) -> (Rect, Rect) {
        match receipt {
            ReceiptView::None => (body, Rect { w: 0, h: 0, ..body }),
            _ => self.halves(body, 0.6),
        }
    }

    fn heading(&mut self, area: Rect, text: String, color: u32) -> Rect {
        let (line, rest) = area.top(self.px(120));
        self.sheet.text(line, text, TextLook::new(64.0).bold().color(color));
        rest
    }

    fn money_lines(&mut self, area: Rect, order: &OrderView) {
        let mut lines = vec![self.words.with("order-paid", "amount", &self.words.money(order.paid))];
        if order.refunded > 0 {
            lines.push(self.words.with("order-refunded", "amount", &self.words.money(order.refunded)));
        }
        if order.refund_pending > 0 {
            lines.push(self.words.with("order-refund-pending", "amount", &self.words.money(order.refund_pending)));
        }
        for (row, line) in area.rows(lines.len().max(2), 0).into_iter().zip(lines) {
            self.sheet.text(row, line, TextLook::new(36.0));
        }
    }

    fn receipt(&mut self, area: Rect, receipt: &ReceiptView) {
        let (key, code) = match receipt {
            ReceiptView::None => return,
            ReceiptView::Printing => ("receipt-printing", None),
            ReceiptView::Printed => ("receipt-printed", None),
            ReceiptView::Code(text) => ("receipt-code", Some(text)),
        };
        let say = self.words.say(key);
        let Some(text) = code else {
            self.sheet.card(area);
            return self.sheet.text(area.inset(self.px(24)), say, TextLook::new(44.0).center());
        };
        let (line, rest) = area.top(self.px(96));
        self.sheet.text(line, say, TextLook::new(32.0).center());
        self.sheet.add(rest, Draw::Qr(text.clone()));
    }

    pub(super) fn lookup(&mut self, body: Rect, entered: &str, found: Option<&OrderView>, not_found: bool) {
        let (main, side) = self.halves(body, 0.5);
        let main = self.buttons(main, &[("done", "done", Look::Plain, true)]);
        let title = self.words.say("lookup-title");
        let main = self.title(main, title);
        let (field, rest) = main.top(self.px(120));
        let typed: String = entered.chars().chain("______".chars()).take(ShortCode::DIGITS).collect();
        self.sheet.add(field, Draw::Card { fill: palette::GROUND, border: palette::BORDER });
        self.sheet.text(field, spaced(&typed), TextLook::new(72.0).center());
        let rest = Rect { y: rest.y + self.px(16), h: rest.h - self.px(16), ..rest };
        match found {
            Some(order) => {
                let (state, rest) = rest.top(rest.h / 4);
                let say = self.words.state(order.state);
                self.sheet.text(state, say, TextLook::new(44.0).bold());
                let (list, money) = rest.top(rest.h / 2);
                self.items(list, order);
                self.money_lines(money, order);
            }
            None if not_found => {
                let say = self.words.say("lookup-nothing");
                self.sheet.text(rest, say, TextLook::new(44.0).color(palette::ERROR));
            }
            None => {}
        }
        self.keypad(side);
    }

    pub(super) fn out_of_service(&mut self, body: Rect, reasons: &[StopReason], claim: Option<&ShortCode>) {
        let body = self.buttons(body, &[("lookup", "lookup", Look::Plain, true)]);
        let title = format!("! {}", self.words.say("out-title"));
        let rest = self.heading(body, title, palette::ERROR);
        let rows = rest.rows(5, self.px(8));
        let say = self.words.say("out-sorry");
        self.sheet.text(rows[0], say, TextLook::new(44.0));
        let reasons: Vec<String> = reasons.iter().map(|reason| self.words.reason(reason)).collect();
        let because = self.words.with("cancelled-why", "reason", &reasons.join(" · "));
        self.sheet.text(rows[1], because, TextLook::new(40.0));
        let call = self.words.with("out-call", "phone", &self.words.view.phone);
        self.sheet.text(rows[2], call, TextLook::new(44.0).bold());
        if let Some(code) = claim {
            let kept = self.words.with("out-claim", "code", code.as_str());
            self.sheet.text(rows[3], kept, TextLook::new(44.0).bold());
        }
    }
}
