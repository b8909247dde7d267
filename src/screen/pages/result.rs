//! The pages of an order: paying, delivering, and what became of it. Each says cause, money, order code and what to do.

use super::super::sheet::{Cut, Draw, Look, TextLook, palette};
use super::{Composer, FINGER, grouped};
use crate::sale::view::{ItemView, OrderState, OrderView, Outcome, RailTab, ReceiptView, StopReason};
use crate::vocabulary::ShortCode;
use crate::world::Rect;

/// Seconds from which the count-down is shown in red.
const HURRY: u64 = 20;
/// Rails beside each other, each wide enough for its name.
const RAILS_ACROSS: usize = 3;

/// Units alike in name and outcome as one: how many, and the first of them.
fn alike(order: &OrderView) -> Vec<(usize, &ItemView)> {
    let mut groups: Vec<(usize, &ItemView)> = Vec::new();
    for item in &order.items {
        match groups.iter_mut().find(|(_, first)| (&first.name, first.outcome) == (&item.name, item.outcome)) {
            Some((count, _)) => *count += 1,
            None => groups.push((1, item)),
        }
    }
    groups
}

fn counted(count: usize, name: &str) -> String {
    if count == 1 { name.to_owned() } else { format!("{count} × {name}") }
}

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
        let square = if self.wide { body.h.min(body.w * 14 / 25) } else { body.w.min(body.h / 2) };
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
        let side = self.rails(side, rails);
        let rows =
            if self.wide { side.shares(&[4, 112, 84, 44, 132, 8]) } else { side.shares(&[4, 96, 76, 40, 140, 8]) };
        let (amount, left) = rows[1].left(side.w * 58 / 100);
        self.sheet.text(amount, self.words.money(order.amount), TextLook::new(96.0).bold());
        let time = self.words.with("pay-seconds", "seconds", &seconds_left.to_string());
        let color = if seconds_left <= HURRY { palette::ERROR } else { palette::TEXT };
        self.sheet.text(left, time, TextLook::new(44.0).bold().color(color).right());
        self.sheet.text(rows[2], self.words.say("pay-steps"), TextLook::new(34.0));
        let names: Vec<String> = alike(order).into_iter().map(|(count, item)| counted(count, &item.name)).collect();
        self.sheet.text(rows[3], self.words.list(&names), TextLook::new(32.0).soft());
        self.code(rows[4], order);
    }

    /// A single rail is only named; more are to choose from, with a finger.
    fn rails(&mut self, side: Rect, rails: &[RailTab]) -> Rect {
        let rows = rails.len().div_ceil(RAILS_ACROSS);
        let (height, gap) = (if rails.len() > 1 { FINGER } else { 56 }, 16);
        let (tabs, rest) = side.top(self.px(rows as i32 * (height + gap) - gap));
        for (row, rails) in tabs.rows(rows, self.px(gap)).into_iter().zip(rails.chunks(RAILS_ACROSS)) {
            for (cell, rail) in row.columns(rails.len(), self.px(gap)).into_iter().zip(rails) {
                self.rail(cell, rail);
            }
        }
        rest
    }

    fn rail(&mut self, cell: Rect, rail: &RailTab) {
        let border = if rail.chosen { palette::PRIMARY } else { palette::BORDER };
        self.sheet.add(cell, Draw::Card { fill: palette::GROUND, border });
        let look = TextLook::new(32.0).center();
        let (label, look) =
            if rail.chosen { (format!("✓ {}", rail.label), look.bold()) } else { (rail.label.clone(), look) };
        let look = if rail.up { look } else { look.soft() };
        self.sheet.text(cell.inset(self.px(8)), label, look);
        self.sheet.target(format!("rail:{}", rail.name), cell, rail.up);
    }

    fn code(&mut self, area: Rect, order: &OrderView) {
        self.sheet.card(area);
        let (line, hint) = area.inset(self.px(8)).top(area.h * 9 / 25);
        let label = format!("{} {}", self.words.say("pay-code-label"), grouped(order.short_code.as_str()));
        self.sheet.text(line, label, TextLook::new(40.0).bold());
        let say = self.words.say("pay-code-hint");
        self.sheet.text(hint, say, TextLook::new(28.0).soft());
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
        let lines = alike(order)
            .into_iter()
            .map(|(count, item)| (counted(count, &item.name), self.words.outcome(item.outcome)));
        let lines = lines.collect::<Vec<_>>();
        self.two_columns(area.inset(self.px(16)), &lines);
    }

    fn order_code(&mut self, area: Rect, order: &OrderView) {
        let text = self.words.with("order-code", "code", &grouped(order.short_code.as_str()));
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
        let any = |outcome| order.items.iter().any(|item| item.outcome == outcome);
        let hint = match () {
            () if any(Outcome::NotDelivered) => "thanks-partly",
            () if any(Outcome::Unknown) => "thanks-unsure",
            () => "thanks-hint",
        };
        let say = self.words.say(hint);
        let (hint, rest) = rest.top(self.px(60));
        self.sheet.text(hint, say, TextLook::new(40.0));
        let (rest, code) = rest.bottom(self.px(60));
        let (list, money) = rest.bottom(self.px(52));
        self.items(list, order);
        self.money(money, order);
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
        let because = why.map(|reason| {
            let reason = self.words.reason(reason);
            self.words.with("cancelled-why", "reason", &reason)
        });
        let lines: Vec<String> = because.into_iter().chain([self.words.say(money)]).collect();
        let rows = rest.top(self.px(120) * (lines.len() as i32 + 1)).0.rows(lines.len() + 1, 0);
        for (row, line) in rows.iter().zip(&lines) {
            self.sheet.text(*row, line.clone(), TextLook::new(40.0));
        }
        self.order_code(rows[lines.len()], order);
    }

    pub(super) fn refunded(&mut self, body: Rect, order: &OrderView, receipt: &ReceiptView) {
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
        self.message(body, title, palette::TEXT, &lines, order, receipt);
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
            // A whole receipt in a code needs room.
            ReceiptView::Code(_) => self.halves(body, if self.wide { 0.52 } else { 0.54 }),
            _ => self.halves(body, 0.6),
        }
    }

    fn heading(&mut self, area: Rect, text: String, color: u32) -> Rect {
        let (line, rest) = area.top(self.px(104));
        self.sheet.text(line, text, TextLook::new(64.0).bold().color(color));
        rest
    }

    /// What was paid, what has come back, what is on its way back.
    fn money_texts(&self, order: &OrderView) -> Vec<String> {
        let parts = [
            ("order-paid", Some(order.paid)),
            ("order-refunded", Some(order.refunded).filter(|amount| *amount > 0)),
            ("order-refund-pending", Some(order.refund_pending).filter(|amount| *amount > 0)),
        ];
        let texts = parts.into_iter().filter_map(|(key, amount)| Some((key, amount?)));
        texts.map(|(key, amount)| self.words.with(key, "amount", &self.words.money(amount))).collect()
    }

    fn money(&mut self, area: Rect, order: &OrderView) {
        let texts = self.words.list(&self.money_texts(order));
        self.sheet.text(area, texts, TextLook::new(36.0));
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
        let (line, rest) = area.top(self.px(80));
        self.sheet.text(line, say, TextLook::new(32.0).center());
        self.sheet.add(rest, Draw::Qr(text.clone()));
    }

    pub(super) fn lookup(&mut self, body: Rect, entered: &str, found: Option<&OrderView>, not_found: bool) {
        let (main, side) = self.with_keypad(body);
        let main = self.buttons(main, &[("done", "done", Look::Plain, true)]);
        let (title, rest) = main.top(self.px(80));
        self.sheet.text(title, self.words.say("lookup-title"), TextLook::new(48.0).bold());
        let (field, rest) = rest.top(self.px(88));
        self.typed(field, entered, ShortCode::DIGITS);
        let rest = Rect { y: rest.y + self.px(8), h: rest.h - self.px(8), ..rest };
        match found {
            Some(order) => {
                let (state, rest) = rest.top(self.px(60));
                let say = self.words.state(order.state);
                self.sheet.text(state, say, TextLook::new(40.0).bold());
                let (list, money) = rest.bottom(self.px(52));
                self.items(list, order);
                self.money(money, order);
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
        let because = self.words.with("cancelled-why", "reason", &self.words.list(&reasons));
        self.sheet.text(rows[1], because, TextLook::new(40.0));
        let call = self.words.with("out-call", "phone", &self.words.view.phone);
        self.sheet.text(rows[2], call, TextLook::new(44.0).bold());
        if let Some(code) = claim {
            let kept = self.words.with("out-claim", "code", &grouped(code.as_str()));
            self.sheet.text(rows[3], kept, TextLook::new(44.0).bold());
        }
    }

    /// The customer's part above, large; below what a technician reads.
    pub(super) fn not_started(&mut self, body: Rect, why: &str) {
        let title = format!("! {}", self.words.say("out-title"));
        let rest = self.heading(body, title, palette::ERROR);
        let (top, bottom) = rest.top(rest.h * 2 / 5);
        let rows = top.rows(2, self.px(8));
        self.sheet.text(rows[0], self.words.say("out-sorry"), TextLook::new(44.0));
        if !self.words.view.phone.is_empty() {
            let call = self.words.with("out-call", "phone", &self.words.view.phone);
            self.sheet.text(rows[1], call, TextLook::new(44.0).bold());
        }
        self.sheet.text(bottom, why, TextLook::new(26.0).soft());
    }
}
