//! The pages of the service menu: on a wide panel what is known at the left and what can be touched at the right; on a tall
//! one above and below.

use super::super::sheet::{Cut, Ink, Look, TextLook, space, type_scale};
use super::{Composer, FINGER, Icon, Touch, grouped};
use crate::sale::dialogue::{ClaimView, MenuButton, MenuPage, MenuVerb, SaidView, SlotView};
use crate::sale::view::StopReason;
use crate::vocabulary::Rect;

/// A button of the grid.
struct Plate {
    touch: Touch,
    label: String,
    look: Look,
    enabled: bool,
}

impl Composer<'_> {
    pub(super) fn menu(&mut self, body: Rect, page: &MenuPage) {
        match page {
            MenuPage::Menu { reasons, faults, claims, buttons, said } => {
                self.menu_main(body, (reasons, *faults, *claims), buttons, said.as_ref());
            }
            MenuPage::Slots { slots, page, pages } => self.menu_slots(body, slots, (*page, *pages)),
            MenuPage::Slot { slot, buttons, said } => self.menu_slot(body, slot, buttons, said.as_ref()),
            MenuPage::Claims { claims, page, pages, said } => {
                self.menu_claims(body, claims, (*page, *pages), said.as_ref());
            }
            MenuPage::Claim { claim, buttons } => self.menu_claim(body, claim, buttons),
            MenuPage::Sure { verb, claim } => self.menu_sure(body, verb, claim.as_ref()),
        }
    }

    /// What is known, and what can be touched: `rows` of it on a tall panel, the last the way back.
    fn menu_halves(&self, body: Rect, rows: i32) -> (Rect, Rect) {
        if self.wide {
            return self.halves(body, 0.44);
        }
        let gap = self.px(space::M);
        let touched = self.px(FINGER + 8) * rows + gap * (rows - 1);
        let (above, below) = body.bottom(touched.min(body.h * 2 / 3));
        (Rect { h: above.h - gap, ..above }, below)
    }

    fn menu_button(&self, button: &MenuButton) -> Plate {
        let label = self.words.verb(&button.verb);
        Plate { touch: Touch::Menu(button.verb.clone()), label, look: Look::Plain, enabled: button.enabled }
    }

    fn menu_way(&self, verb: &'static str) -> Plate {
        let verb = MenuVerb::of(verb);
        let label = self.words.verb(&verb);
        Plate { touch: Touch::Menu(verb), label, look: Look::Quiet, enabled: true }
    }

    fn menu_grid(&mut self, area: Rect, across: usize, plates: Vec<Plate>) {
        let gap = self.px(space::M);
        let rows = area.rows(plates.len().div_ceil(across), gap);
        for (row, line) in rows.into_iter().zip(plates.chunks(across)) {
            for (cell, plate) in row.columns(line.len(), gap).into_iter().zip(line) {
                self.sheet.button(&plate.touch, cell, plate.label.clone(), plate.look, plate.enabled);
            }
        }
    }

    /// What was asked for last and what came of it, at the bottom of `area`; answers with the rest.
    fn menu_said(&mut self, area: Rect, said: Option<&SaidView>) -> Rect {
        let (rest, card) = area.bottom(self.px(112).min(area.h / 3));
        if let Some(said) = said {
            let (text, ink) = self.words.said(said);
            self.sheet.card(card);
            self.sheet.text(card.inset(self.px(space::M)), text, TextLook::new(type_scale::LABEL).bold().ink(ink));
        }
        Rect { h: (rest.h - self.px(space::M)).max(0), ..rest }
    }

    fn menu_main(
        &mut self,
        body: Rect,
        (reasons, faults, claims): (&[StopReason], usize, usize),
        buttons: &[MenuButton],
        said: Option<&SaidView>,
    ) {
        let mut plates: Vec<Plate> = buttons.iter().map(|button| self.menu_button(button)).collect();
        plates.extend(["slots", "claims"].map(|way| self.menu_way(way)));
        let across = if plates.len() > 8 { 3 } else { 2 };
        let rows = plates.len().div_ceil(across) as i32 + 1;
        let (main, side) = self.menu_halves(body, rows);
        let leave = [(Touch::Done, None, "menu-leave", Look::Primary, true)];
        let (main, side) = match self.wide {
            true => (self.buttons(main, &leave), side),
            false => (main, self.buttons(side, &leave)),
        };
        self.menu_grid(side, across, plates);
        let rest = self.title(main, self.words.say("menu-title"));
        let rest = self.menu_said(rest, said);
        let sells = match reasons {
            [] => (self.words.say("menu-sells"), Ink::Success),
            reasons => {
                let reasons: Vec<String> = reasons.iter().map(|reason| self.words.reason_in_full(reason)).collect();
                (self.words.with("menu-stopped", "reasons", &self.words.list(&reasons)), Ink::Error)
            }
        };
        let counted = |key: &str, count: usize| {
            let ink = if count > 0 { Ink::Warning } else { Ink::Soft };
            (self.words.with(key, "count", &count.to_string()), ink)
        };
        let lines = [sells, counted("menu-faults", faults), counted("menu-open-claims", claims)];
        let rows = rest.shares(&[2, 1, 1]);
        for ((text, ink), row) in lines.into_iter().zip(rows) {
            let row = Rect { h: row.h.min(self.px(144)), ..row };
            self.sheet.text(row, text, TextLook::new(type_scale::BODY).ink(ink));
        }
    }

    /// A list with its way back and, where it has more pages, the way to them; answers with the place of the list. What
    /// was done last stands in place of the hint.
    fn menu_list(
        &mut self,
        body: Rect,
        title: &str,
        hint: &str,
        (page, pages): (usize, usize),
        said: Option<&SaidView>,
    ) -> Rect {
        let gap = self.px(space::M);
        let (rest, row) = body.bottom(self.px(FINGER));
        let row = match pages {
            ..=1 => row,
            pages => self.turner(row, page as u32, pages as u32),
        };
        let way = self.menu_way("back");
        let (back, _) = row.left(row.w.min(self.px(320)));
        self.sheet.button(&way.touch, back, way.label, way.look, true);
        let rest = Rect { h: rest.h - gap, ..rest };
        let title = self.words.say(title);
        let (hint, ink) = said.map_or_else(|| (self.words.say(hint), Ink::Soft), |said| self.words.said(said));
        let (head, list) = if self.wide { rest.top(self.px(80)) } else { rest.top(rest.h * 3 / 8) };
        let list = Rect { y: list.y + gap, h: list.h - gap, ..list };
        let (line, below) = head.top(self.px(80));
        if self.wide {
            let (left, right) = line.left(line.w / 3);
            self.sheet.text(left, title, TextLook::new(type_scale::TITLE).bold());
            self.sheet.text(right, hint, TextLook::new(type_scale::LABEL).ink(ink).right());
        } else {
            self.sheet.text(line, title, TextLook::new(type_scale::TITLE).bold());
            let below = Rect { h: below.h.min(self.px(96)), ..below };
            self.sheet.text(below, hint, TextLook::new(type_scale::LABEL).ink(ink));
        }
        list
    }

    fn menu_slots(&mut self, body: Rect, slots: &[SlotView], pages: (usize, usize)) {
        let list = self.menu_list(body, "menu-slots", "menu-slots-hint", pages, None);
        let gap = self.px(space::M);
        let (across, down) = match self.wide {
            _ if self.sheet.large => (2, 2),
            true => (4, 2),
            false => (2, 4),
        };
        for (row, line) in list.rows(down, gap).into_iter().zip(slots.chunks(across)) {
            for (cell, slot) in row.columns(across, gap).into_iter().zip(line) {
                self.sheet.target(&Touch::Slot(slot.slot.clone()), cell, true);
                self.sheet.card(cell);
                let inner = cell.inset(self.px(space::M));
                let (name, rest) = inner.top(inner.h * 2 / 5);
                let (name, count) = name.left(name.w / 2);
                self.sheet.text(name, slot.slot.to_string(), TextLook::new(type_scale::LEAD).bold());
                let ink = if slot.count == 0 { Ink::Error } else { Ink::Text };
                let count_of = format!("{}/{}", slot.count, slot.capacity);
                self.sheet.text(count, count_of, TextLook::new(40.0).ink(ink).right().whole());
                let fault = slot.fault.as_ref().map(|why| format!("× {}", self.words.cause(why)));
                let (text, ink) = fault.map_or((slot.product.clone(), Ink::Soft), |why| (why, Ink::Error));
                self.sheet.text(rest, text, TextLook::new(type_scale::NOTE).ink(ink));
            }
        }
    }

    fn menu_slot(&mut self, body: Rect, slot: &SlotView, buttons: &[MenuButton], said: Option<&SaidView>) {
        let mut plates: Vec<Plate> = buttons.iter().map(|button| self.menu_button(button)).collect();
        plates.push(self.menu_way("back"));
        let rows = plates.len().div_ceil(2) as i32;
        let (main, side) = self.menu_halves(body, rows);
        self.menu_grid(side, 2, plates);
        let rest = self.menu_said(main, said);
        self.sheet.card(rest);
        let inner = rest.inset(self.px(space::L));
        let rows = inner.shares(&[4, 3, 3, 4]);
        let (name, count) = rows[0].left(rows[0].w / 2);
        self.sheet.text(name, slot.slot.to_string(), TextLook::new(type_scale::HERO).bold());
        let count_of = format!("{}/{}", slot.count, slot.capacity);
        self.sheet.text(count, count_of, TextLook::new(type_scale::HERO).right().whole());
        self.sheet.text(rows[1], slot.product.clone(), TextLook::new(type_scale::BODY));
        let (key, ink) = match slot.fault {
            None => ("menu-slot-good", Ink::Success),
            Some(_) => ("menu-slot-faulty", Ink::Error),
        };
        self.sheet.text(rows[2], self.words.say(key), TextLook::new(type_scale::BODY).bold().ink(ink));
        let why = slot.fault.as_ref().map(|why| self.words.cause(why)).unwrap_or_default();
        self.sheet.text(rows[3], why, TextLook::new(type_scale::LABEL));
    }

    fn menu_claims(&mut self, body: Rect, claims: &[ClaimView], pages: (usize, usize), said: Option<&SaidView>) {
        let hint = if claims.is_empty() { "menu-claims-none" } else { "menu-claims-hint" };
        let list = self.menu_list(body, "menu-claims", hint, pages, said);
        let gap = self.px(space::M);
        let (across, down) = if self.wide { (2, 2) } else { (1, 4) };
        let down = if self.sheet.large { down / 2 } else { down };
        for (row, line) in list.rows(down, gap).into_iter().zip(claims.chunks(across)) {
            for (cell, claim) in row.columns(across, gap).into_iter().zip(line) {
                self.sheet.target(&Touch::Claim(claim.id), cell, true);
                self.sheet.card(cell);
                let inner = cell.inset(self.px(space::M));
                let (head, why) = inner.top(inner.h / 2);
                let (code, amount) = head.left(head.w / 2);
                let digits = grouped(claim.order.short_code.as_str());
                self.sheet.text(code, digits, TextLook::new(type_scale::LEAD).bold());
                let money = self.words.money(claim.order.paid - claim.order.refunded);
                self.sheet.text(amount, money, TextLook::new(type_scale::LEAD).right().whole());
                self.sheet.text(why, self.words.cause(&claim.why), TextLook::new(type_scale::NOTE).soft());
            }
        }
    }

    fn menu_claim(&mut self, body: Rect, claim: &ClaimView, buttons: &[MenuButton]) {
        let mut plates: Vec<Plate> = buttons.iter().map(|button| self.menu_button(button)).collect();
        plates.push(self.menu_way("back"));
        let (main, side) = self.menu_halves(body, plates.len() as i32);
        self.menu_grid(side, 1, plates);
        self.menu_about(main, claim);
    }

    /// What happened.
    fn menu_about(&mut self, area: Rect, claim: &ClaimView) {
        let (head, rest) = area.top(self.px(72));
        let digits = grouped(claim.order.short_code.as_str());
        self.sheet.text(head, digits, TextLook::new(type_scale::TITLE).bold());
        let (why, rest) = rest.top(self.px(if self.sheet.large { 128 } else { 88 }));
        self.sheet.text(why, self.words.cause(&claim.why), TextLook::new(type_scale::LABEL).ink(Ink::Error));
        let (items, money) = rest.bottom(self.px(72));
        let gap = self.px(space::S);
        self.items(Rect { y: items.y + gap, h: items.h - gap, ..items }, &claim.order);
        self.money(money, &claim.order);
    }

    fn menu_sure(&mut self, body: Rect, verb: &MenuVerb, claim: Option<&ClaimView>) {
        let gap = self.px(space::M);
        let (rest, row) = body.bottom(self.px(FINGER));
        let plates = vec![self.menu_way("back"), Plate { look: Look::Primary, ..self.menu_way("yes") }];
        self.menu_grid(row, 2, plates);
        let rest = Rect { h: rest.h - gap, ..rest };
        let (main, about) = match claim {
            Some(_) => self.halves(rest, if self.wide { 0.5 } else { 0.4 }),
            None => (rest, Rect { h: 0, ..rest }),
        };
        let main = self.heading(main, Icon::Question, self.words.say("menu-sure"), Ink::Warning);
        let (what, _) = main.top(self.px(144));
        self.sheet.text(what, self.words.verb(verb), TextLook::new(type_scale::LEAD).bold());
        if let Some(claim) = claim {
            self.menu_about(about, claim);
        }
    }
}
