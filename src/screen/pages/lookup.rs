//! The page of the look-up.

use super::super::sheet::{Cut, Ink, TextLook, space, type_scale};
use super::{Composer, Touch};
use crate::sale::dialogue::LookupPage;
use crate::vocabulary::{Rect, ShortCode};

impl Composer<'_> {
    pub(super) fn lookup(&mut self, body: Rect, page: &LookupPage) {
        let LookupPage::Lookup { entered, found, not_found } = page;
        let main = self.with_keypad(body, (Touch::Done, "done"), true);
        let (title, rest) = main.top(self.px(72));
        self.sheet.text(title, self.words.say("lookup-title"), TextLook::new(type_scale::LEAD).bold());
        let (field, rest) = rest.top(self.px(88));
        self.typed(field, entered, ShortCode::DIGITS);
        let gap = self.px(space::M);
        let rest = Rect { y: rest.y + gap, h: rest.h - gap, ..rest };
        match found {
            Some(order) => {
                let (state, rest) = rest.top(self.px(64));
                let say = self.words.became(order);
                self.sheet.text(state, say, TextLook::new(40.0).bold());
                let (list, money) = rest.bottom(self.px(60));
                self.items(list, order);
                self.money(money, order);
            }
            None => {
                let (key, ink) = if *not_found { ("lookup-nothing", Ink::Error) } else { ("lookup-hint", Ink::Soft) };
                let say = self.words.say(key);
                self.sheet.text(rest, say, TextLook::new(type_scale::BODY).ink(ink));
            }
        }
    }
}
