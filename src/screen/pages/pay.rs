//! The page that is paid from: the code as large as there is room for, the amount, the time left, and how it is done.

use super::super::sheet::{Cut, Draw, Ink, Look, TextLook, centered, space, type_scale};
use super::{Composer, FINGER, Icon};
use crate::sale::view::{OrderView, RailTab};
use crate::world::Rect;

/// Seconds from which the count-down is shown as urgent.
const HURRY: u64 = 20;
/// Rails beside each other, each wide enough for its name; and where that would be three rows.
const RAILS_ACROSS: usize = 3;
const MANY_RAILS_ACROSS: usize = 4;
/// A single rail is only named.
const ONE_RAIL: i32 = 64;
/// Of the short side; the code itself is at least 45 % of it.
const LEAST_CODE: f32 = 0.5;

impl Composer<'_> {
    pub(super) fn pay(
        &mut self,
        body: Rect,
        order: &OrderView,
        qr: Option<&str>,
        rails: &[RailTab],
        (seconds_left, of_seconds): (u64, u64),
        can_extend: bool,
    ) {
        let mut buttons = vec![("cancel", None, "cancel", Look::Plain, true)];
        if can_extend {
            buttons.push(("more-time", Some(Icon::Clock), "more-time", Look::Plain, true));
        }
        let gap = self.px(space::M);
        let rails_height = match rails.len() {
            0 => 0,
            1 => ONE_RAIL + space::M,
            many => (FINGER + space::M) * many.div_ceil(rails_across(many)) as i32,
        };
        let side = if self.wide {
            let (card, side) = body.left(body.h.min(body.w * 13 / 25));
            self.hero(card, qr);
            let gap = self.px(space::XL);
            Rect { x: side.x + gap, w: side.w - gap, ..side }
        } else {
            // The code has what the rest leaves.
            let below = if self.sheet.large { 116 + 24 + 132 } else { 104 + 24 + 116 + 144 };
            let below = self.px(below + rails_height + FINGER + 2 * space::M);
            let square = (body.h - below).clamp((body.w as f32 * LEAST_CODE) as i32, body.w);
            let (card, side) = body.top(square);
            self.hero(centered(card, square), qr);
            Rect { y: side.y + gap, h: side.h - gap, ..side }
        };
        let side = self.buttons(side, &buttons);
        let side = self.rails(side, rails, self.px(rails_height));
        // How it is done gives way to what must be read.
        let short = self.sheet.large || side.h < self.px(300);
        let shares: &[i32] = if short { &[116, 24, 8, 132] } else { &[104, 24, 8, 108, 8, 136] };
        let rows = side.shares(shares);
        let (amount, left) = rows[0].left(side.w * 58 / 100);
        let look = TextLook::new(type_scale::AMOUNT).bold().whole();
        self.sheet.text(amount, self.words.money(order.amount), look);
        self.time_left(left, rows[1], seconds_left, of_seconds);
        let code = rows[if short { 3 } else { 5 }];
        self.code(code, "pay-code-label", order.short_code.as_str(), "pay-code-hint");
        if !short {
            self.steps(rows[3]);
        }
    }

    /// The code on white, whatever the theme: phones read nothing else as surely.
    fn hero(&mut self, card: Rect, qr: Option<&str>) {
        match qr {
            Some(payload) => {
                let radius = self.px(super::super::sheet::RADIUS);
                let border =
                    if self.sheet.palette.ground == 0xff_ff_ff { self.sheet.palette.border } else { 0xff_ff_ff };
                self.sheet.add(card, Draw::Card { fill: 0xff_ff_ff, border, radius });
                self.sheet.add(card.inset(self.px(space::S)), Draw::Qr(payload.to_owned()));
            }
            None => {
                self.sheet.card(card);
                let (mark, words) = card.inset(self.px(48)).top(card.h / 2);
                self.sheet.icon(centered(mark, self.px(112)), Icon::Wait, Ink::Soft);
                let wait = self.words.say("pay-wait");
                self.sheet.text(words, wait, TextLook::new(type_scale::LEAD).soft().center());
            }
        }
    }

    /// Minutes and seconds, and a bar that gets shorter.
    fn time_left(&mut self, area: Rect, bar: Rect, seconds_left: u64, of_seconds: u64) {
        let ink = if seconds_left <= HURRY { Ink::Error } else { Ink::Text };
        let time = self.words.with("pay-left", "time", &format!("{}:{:02}", seconds_left / 60, seconds_left % 60));
        self.sheet.text(area, time, TextLook::new(type_scale::LEAD).bold().ink(ink).right());
        let height = self.px(12);
        let bar = Rect { y: bar.y + (bar.h - height) / 2, h: height, ..bar };
        let surface = self.sheet.palette.surface;
        let border = self.sheet.edge();
        self.sheet.add(bar, Draw::Card { fill: surface, border, radius: height / 2 });
        let left = i64::from(bar.w) * seconds_left.min(of_seconds) as i64 / of_seconds.max(1) as i64;
        let fill = self.sheet.ink(if seconds_left <= HURRY { Ink::Error } else { Ink::Primary });
        let full = Rect { w: (left as i32).max(height), ..bar };
        self.sheet.add(full, Draw::Card { fill, border: fill, radius: height / 2 });
    }

    /// How it is done, in three pictures.
    fn steps(&mut self, area: Rect) {
        let steps = [(Icon::Wallet, "pay-step-open"), (Icon::Scan, "pay-step-scan"), (Icon::Check, "pay-step-confirm")];
        for ((icon, key), cell) in steps.into_iter().zip(area.columns(3, self.px(space::S))) {
            let (mark, words) = cell.top(cell.h / 2);
            self.sheet.icon(centered(mark, mark.h), icon, Ink::Primary);
            let say = self.words.say(key);
            self.sheet.text(words, say, TextLook::new(type_scale::NOTE).center());
        }
    }

    /// Which wallets: more than one is to choose from, with a finger.
    fn rails(&mut self, side: Rect, rails: &[RailTab], height: i32) -> Rect {
        let (tabs, rest) = side.top(height);
        let gap = self.px(space::M);
        let tabs = Rect { h: tabs.h - gap, ..tabs };
        let across = rails_across(rails.len());
        let rows = rails.len().div_ceil(across);
        for (row, rails) in tabs.rows(rows, gap).into_iter().zip(rails.chunks(across)) {
            for (cell, rail) in row.columns(rails.len(), gap).into_iter().zip(rails) {
                let look = match rail.chosen {
                    true if rails.len() > 1 => Look::Primary,
                    true => Look::Quiet,
                    false => Look::Plain,
                };
                let icon = if rails.len() == 1 { Some(Icon::Wallet) } else { rail.chosen.then_some(Icon::Check) };
                self.sheet.plate(cell, icon, rail.label.clone(), look, rail.up);
                self.sheet.target(format!("rail:{}", rail.name), cell, rail.up);
            }
        }
        rest
    }
}

fn rails_across(rails: usize) -> usize {
    if rails > 2 * RAILS_ACROSS { MANY_RAILS_ACROSS } else { RAILS_ACROSS }
}
