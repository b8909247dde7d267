//! The page that asks for the service PIN.

use super::super::sheet::{Cut, Ink, TextLook, space, type_scale};
use super::keys::spaced;
use super::{Composer, Touch};
use crate::sale::dialogue::{PinPage, PinState};
use crate::vocabulary::Rect;

impl Composer<'_> {
    pub(super) fn pin(&mut self, body: Rect, page: &PinPage) {
        let PinPage::Pin { typed, state } = page;
        let takes = matches!(state, PinState::Typing | PinState::Wrong);
        let main = self.with_keypad(body, (Touch::Cancel, "cancel"), takes);
        let (title, rest) = main.top(self.px(72));
        self.sheet.text(title, self.words.say("pin-title"), TextLook::new(type_scale::LEAD).bold());
        let (field, rest) = rest.top(self.px(88));
        let palette = self.sheet.palette;
        self.sheet.boxed(field, palette.ground, palette.border);
        let asterisks = spaced(&"*".repeat(*typed));
        // An asterisk stands high above its line.
        let inner = field.inset(self.px(space::S));
        let lower = Rect { y: inner.y + self.px(14), ..inner };
        self.sheet.text(lower, asterisks, TextLook::new(60.0).center());
        let gap = self.px(space::M);
        let rest = Rect { y: rest.y + gap, h: rest.h - gap, ..rest };
        let (say, ink) = match state {
            PinState::Typing => (self.words.say("pin-hint"), Ink::Soft),
            PinState::Wrong => (self.words.say("pin-wrong"), Ink::Error),
            PinState::Checking => (self.words.say("pin-checking"), Ink::Text),
            PinState::Waiting { seconds } => {
                let time = format!("{}:{:02}", seconds / 60, seconds % 60);
                (self.words.with("pin-wait", "time", &time), Ink::Error)
            }
        };
        self.sheet.text(rest, say, TextLook::new(type_scale::BODY).ink(ink));
    }
}
