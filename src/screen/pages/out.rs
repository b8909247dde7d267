//! The pages of a machine that does not sell.

use super::super::sheet::{Cut, Ink, Look, TextLook, space, type_scale};
use super::{CODE, Composer, Icon, Touch};
use crate::sale::view::StopReason;
use crate::vocabulary::{Rect, ShortCode};

impl Composer<'_> {
    pub(super) fn out_of_service(&mut self, body: Rect, reasons: &[StopReason], claim: Option<&ShortCode>) {
        let body = self.buttons(body, &[(Touch::Lookup, Some(Icon::Search), "lookup", Look::Plain, true)]);
        let title = self.words.say("out-title");
        let mut rest = self.heading(body, Icon::Wrench, title, Ink::Error);
        if let Some(code) = claim {
            let (above, card) = rest.bottom(self.px(CODE));
            self.code(card, "out-claim", code.as_str(), "out-claim-hint");
            rest = Rect { h: above.h - self.px(space::M), ..above };
        }
        let reasons: Vec<String> = reasons.iter().map(|reason| self.words.reason(reason)).collect();
        let because = self.words.with("cancelled-why", "reason", &self.words.list(&reasons));
        self.lines(rest, &[self.words.say("out-sorry"), because, self.call_line()], type_scale::LEAD);
    }

    pub(super) fn call_line(&self) -> String {
        self.words.with("out-call", "phone", &self.words.view.phone)
    }

    /// The customer's part above, large; below what a technician reads.
    pub(super) fn not_started(&mut self, body: Rect, why: &str) {
        let title = self.words.say("out-title");
        let rest = self.heading(body, Icon::Wrench, title, Ink::Error);
        let (top, bottom) = rest.top(rest.h * 2 / 5);
        let mut lines = vec![self.words.say("out-sorry")];
        if !self.words.view.phone.is_empty() {
            lines.push(self.call_line());
        }
        self.lines(top, &lines, type_scale::LEAD);
        self.sheet.card(bottom);
        self.sheet.text(bottom.inset(self.px(space::M)), why, TextLook::new(type_scale::NOTE).soft());
    }
}
