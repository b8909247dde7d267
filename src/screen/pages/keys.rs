//! The pages with a keypad: the code that proves somebody is here, and looking up an order.

use super::super::sheet::{Cut, Ink, Look, TextLook, space, type_scale};
use super::{Composer, FINGER, spaced};
use crate::sale::dialogue::{Page, ShopPage};
use crate::sale::view::OrderView;
use crate::vocabulary::{Minor, Rect, ShortCode};

impl Composer<'_> {
    pub(super) fn confirm(&mut self, body: Rect, code: &str, entered: &str, total: Minor, wrong: bool) {
        let (main, side) = self.with_keypad(body);
        let main = self.beside_keys(main, ("cancel", "cancel"));
        let (hint, ink) = if wrong { ("confirm-wrong", Ink::Error) } else { ("confirm-why", Ink::Soft) };
        let rows = main.shares(&[72, 72, 112, 104, 72]);
        self.sheet.text(rows[0], self.words.say("confirm-title"), TextLook::new(type_scale::LEAD).bold());
        self.sheet.text(rows[1], self.words.say(hint), TextLook::new(type_scale::LABEL).ink(ink));
        self.sheet.text(rows[2], spaced(code), TextLook::new(80.0).bold().center());
        self.typed(rows[3], entered, code.len());
        let amount = format!("{} {}", self.words.say("total"), self.words.money(total));
        self.sheet.text(rows[4], amount, TextLook::new(type_scale::LEAD).bold().center().whole());
        self.keypad(side);
    }

    /// What was typed, and a line for each digit to come.
    fn typed(&mut self, area: Rect, entered: &str, digits: usize) {
        let typed: String = entered.chars().chain(std::iter::repeat('_')).take(digits).collect();
        let palette = self.sheet.palette;
        self.sheet.boxed(area, palette.ground, palette.border);
        self.sheet.text(area.inset(self.px(space::S)), spaced(&typed), TextLook::new(60.0).center());
    }

    /// The keypad's part is high enough for four keys on a tall panel too.
    fn with_keypad(&self, body: Rect) -> (Rect, Rect) {
        let keys = self.px(4 * FINGER + 3 * space::M) as f32 / body.h.max(1) as f32;
        self.halves(body, if self.wide { 0.5 } else { 1.0 - keys.min(0.56) })
    }

    /// The way out, where a hand reaches it: on a tall panel it is the keypad's lowest row, beside which there is room.
    fn beside_keys(&mut self, main: Rect, (name, label): (&str, &str)) -> Rect {
        if self.wide { self.buttons(main, &[(name, None, label, Look::Plain, true)]) } else { main }
    }

    fn keypad(&mut self, area: Rect) {
        let gap = self.px(space::M);
        let mut area = area;
        if !self.wide {
            // The way out is a column of its own at the side of the keys.
            let (keys, way_out) = area.right(self.px(FINGER + 72));
            area = keys.inset_right(gap);
            let confirming = matches!(self.words.view.page, Page::Shop(ShopPage::Confirm { .. }));
            let (name, label) = if confirming { ("cancel", "cancel") } else { ("done", "done") };
            let label = self.words.say(label);
            let (_, cell) = way_out.bottom(way_out.rows(4, gap).last().map_or(way_out.h, |row| row.h));
            self.sheet.button(name, cell, label, Look::Plain, true);
        }
        let keys = [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"], ["clear", "0", "ok"]];
        for (row, line) in area.rows(4, gap).into_iter().zip(keys) {
            for (cell, key) in row.columns(3, gap).into_iter().zip(line) {
                let (label, look) = match key {
                    "clear" => (self.words.say("key-clear"), Look::Plain),
                    "ok" => (self.words.say("key-ok"), Look::Primary),
                    digit => (digit.to_owned(), Look::Quiet),
                };
                self.sheet.button(format!("key:{key}"), cell, label, look, true);
            }
        }
    }

    pub(super) fn lookup(&mut self, body: Rect, entered: &str, found: Option<&OrderView>, not_found: bool) {
        let (main, side) = self.with_keypad(body);
        let main = self.beside_keys(main, ("done", "done"));
        let (title, rest) = main.top(self.px(72));
        self.sheet.text(title, self.words.say("lookup-title"), TextLook::new(type_scale::LEAD).bold());
        let (field, rest) = rest.top(self.px(88));
        self.typed(field, entered, ShortCode::DIGITS);
        let gap = self.px(space::M);
        let rest = Rect { y: rest.y + gap, h: rest.h - gap, ..rest };
        match found {
            Some(order) => {
                let (state, rest) = rest.top(self.px(64));
                let say = self.words.state(order.state);
                self.sheet.text(state, say, TextLook::new(40.0).bold());
                let (list, money) = rest.bottom(self.px(60));
                self.items(list, order);
                self.money(money, order);
            }
            None => {
                let (key, ink) = if not_found { ("lookup-nothing", Ink::Error) } else { ("lookup-hint", Ink::Soft) };
                let say = self.words.say(key);
                self.sheet.text(rest, say, TextLook::new(type_scale::BODY).ink(ink));
            }
        }
        self.keypad(side);
    }
}
