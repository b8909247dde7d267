//! A keypad, and what pages with one have in common.

use super::super::sheet::{Cut, Look, TextLook, space};
use super::{Composer, FINGER, Touch};
use crate::sale::Key;
use crate::vocabulary::Rect;

const KEYS: [[Key; 3]; 4] = [
    [Key::Digit(1), Key::Digit(2), Key::Digit(3)],
    [Key::Digit(4), Key::Digit(5), Key::Digit(6)],
    [Key::Digit(7), Key::Digit(8), Key::Digit(9)],
    [Key::Clear, Key::Digit(0), Key::Ok],
];

impl Composer<'_> {
    /// What was typed, and a line for each digit to come.
    pub(super) fn typed(&mut self, area: Rect, entered: &str, digits: usize) {
        let typed: String = entered.chars().chain(std::iter::repeat('_')).take(digits).collect();
        let palette = self.sheet.palette;
        self.sheet.boxed(area, palette.ground, palette.border);
        self.sheet.text(area.inset(self.px(space::S)), spaced(&typed), TextLook::new(60.0).center());
    }

    /// A main part and a keypad; answers with what is left of the main part. The way out is where a hand reaches it: below
    /// the main part of a wide panel, and on a tall one the keypad's lowest row, beside which there is room.
    /// `takes`: a key does something now.
    pub(super) fn with_keypad(&mut self, body: Rect, (way_out, label): (Touch, &str), takes: bool) -> Rect {
        // High enough for four keys on a tall panel too.
        let keys = self.px(4 * FINGER + 3 * space::M) as f32 / body.h.max(1) as f32;
        let (main, side) = self.halves(body, if self.wide { 0.5 } else { 1.0 - keys.min(0.56) });
        if self.wide {
            let main = self.buttons(main, &[(way_out, None, label, Look::Plain, true)]);
            self.keys(side, takes);
            return main;
        }
        let gap = self.px(space::M);
        let (keys, column) = side.right(self.px(FINGER + 72));
        let label = self.words.say(label);
        let (_, cell) = column.bottom(column.rows(4, gap).last().map_or(column.h, |row| row.h));
        self.sheet.button(&way_out, cell, label, Look::Plain, true);
        self.keys(keys.inset_right(gap), takes);
        main
    }

    fn keys(&mut self, area: Rect, takes: bool) {
        let gap = self.px(space::M);
        for (row, line) in area.rows(4, gap).into_iter().zip(KEYS) {
            for (cell, key) in row.columns(3, gap).into_iter().zip(line) {
                let (label, look) = match key {
                    Key::Clear => (self.words.say("key-clear"), Look::Plain),
                    Key::Ok => (self.words.say("key-ok"), Look::Primary),
                    Key::Digit(digit) => (digit.to_string(), Look::Quiet),
                };
                self.sheet.button(&Touch::Key(key), cell, label, look, takes);
            }
        }
    }
}

/// Digits a little apart, as they are typed.
pub(super) fn spaced(digits: &str) -> String {
    digits.chars().map(String::from).collect::<Vec<_>>().join(" ")
}
