//! The pages of a car park: what to show, the stay with its bill, what to do without a ticket, and what the customer takes
//! away.

use jiff::civil::DateTime;

use super::super::sheet::{Cut, Draw, Ink, Look, TextLook, centered, space, type_scale};
use super::keys::spaced;
use super::{Composer, FINGER, Icon, Touch};
use crate::sale::Key;
use crate::sale::dialogue::{AdviceView, CodeView, Letter, MatchView, ReceiptView, StayPage, StayView, ToldView};
use crate::sale::presented::{CodeKind, TicketCounter, TicketDeed};
use crate::sale::view::OrderView;
use crate::vocabulary::{Rect, StayId};

/// Digits of a ticket's number.
const NUMBER: usize = 10;
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Of the keys of a plate: the letters and four more.
const CELLS: usize = 30;

impl Composer<'_> {
    pub(super) fn stay(&mut self, body: Rect, page: &StayPage) {
        match page {
            StayPage::Ticket { counter, advice } => self.ticket(body, counter, advice.as_ref()),
            StayPage::Full { advice } => self.full(body, advice.as_ref()),
            StayPage::Number { entered, advice } => self.ticket_number(body, entered, advice.as_ref()),
            StayPage::Plate { entered, digits, found, advice } => {
                self.plate(body, entered, *digits, found, advice.as_ref());
            }
            StayPage::Stay { stay, advice } => self.bill(body, stay, advice.as_ref(), "stay-title"),
            StayPage::Lost { stay } => self.bill(body, stay, None, "lost-title"),
        }
    }

    fn ticket(&mut self, body: Rect, counter: &TicketCounter, advice: Option<&AdviceView>) {
        let (title, hint, icon) = match counter.does {
            TicketDeed::GiveOut => ("entry-title", "entry-hint", Icon::Ticket),
            TicketDeed::Pay => ("pay-station-title", "pay-station-hint", Icon::Scan),
            TicketDeed::Leave => ("exit-title", "exit-hint", Icon::Scan),
        };
        let mut buttons = vec![(Touch::Help, Some(Icon::Handset), "help-button", Look::Plain, true)];
        if counter.lost {
            buttons.push((Touch::LostTicket, None, "lost-button", Look::Plain, true));
        }
        if counter.typed {
            buttons.push((Touch::TypePlate, None, "plate-button", Look::Plain, true));
            buttons.push((Touch::TypeNumber, None, "number-button", Look::Plain, true));
        }
        if counter.does == TicketDeed::GiveOut {
            buttons.push((Touch::TakeTicket, Some(Icon::Ticket), "take-ticket", Look::Primary, true));
        }
        let body = self.buttons(body, &buttons);
        let body = self.advice(body, advice);
        let body = match counter.free {
            Some(free) if counter.does == TicketDeed::GiveOut => {
                let (rest, line) = body.bottom(self.px(80));
                let say = self.words.with("entry-free", "count", &free.to_string());
                self.sheet.text(line, say, TextLook::new(type_scale::LEAD).center());
                rest
            }
            _ => body,
        };
        let (mark, words) = if self.wide { body.left(body.w * 2 / 5) } else { body.top(body.h / 2) };
        self.sheet.icon(centered(mark, mark.h.min(mark.w).min(self.px(280))), icon, Ink::Primary);
        let (upper, lower) = words.top(words.h / 2);
        let (title, hint) = (self.words.say(title), self.words.say(hint));
        let (title_look, hint_look) = (TextLook::new(type_scale::HERO).bold(), TextLook::new(type_scale::LEAD));
        if self.wide {
            self.sheet.text(upper.inset_ends(self.px(space::M)), title, title_look);
            self.sheet.text(lower, hint, hint_look);
        } else {
            self.sheet.text(upper, title, title_look.center());
            self.sheet.text(lower, hint, hint_look.center());
        }
    }

    fn full(&mut self, body: Rect, advice: Option<&AdviceView>) {
        let body = self.buttons(body, &[(Touch::Help, Some(Icon::Handset), "help-button", Look::Plain, true)]);
        let body = self.advice(body, advice);
        let title = self.words.say("full-title");
        let rest = self.heading(body, Icon::Cross, title, Ink::Error);
        self.lines(rest, &[self.words.say("full-hint")], type_scale::LEAD);
    }

    /// Why nothing came of what was presented, above the page's buttons; answers with the rest.
    fn advice(&mut self, area: Rect, advice: Option<&AdviceView>) -> Rect {
        let Some(advice) = advice else { return area };
        let (rest, card) = area.bottom(self.px(if self.sheet.large { 168 } else { 136 }));
        let mut text = self.told(advice);
        if advice.call && !self.words.view.phone.is_empty() {
            text = format!("{text} {}", self.call_line());
        }
        let palette = self.sheet.palette;
        self.sheet.boxed(card, palette.surface, palette.warning);
        let (mark, words) = card.inset(self.px(space::M)).left(self.px(96));
        self.sheet.icon(centered(mark, mark.h.min(self.px(72))), Icon::Alert, Ink::Warning);
        self.sheet.text(words, text, TextLook::new(type_scale::BODY).bold());
        Rect { h: (rest.h - self.px(space::M)).max(0), ..rest }
    }

    fn told(&self, advice: &AdviceView) -> String {
        let values: Vec<(&str, String)> = advice
            .with
            .iter()
            .map(|(name, told)| match told {
                ToldView::Text(text) => (*name, text.clone()),
                ToldView::Refusal(why) => (*name, self.words.refusal(why)),
                ToldView::At(at) => (*name, self.moment_text(*at)),
            })
            .collect();
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.words.texts.get(&self.words.view.language, advice.text, &values)
    }

    /// Date and time, without seconds.
    fn moment_text(&self, at: DateTime) -> String {
        at.strftime(&self.words.say("date-minute")).to_string()
    }

    fn clock_text(&self, at: DateTime) -> String {
        at.strftime("%H:%M").to_string()
    }

    fn ticket_number(&mut self, body: Rect, entered: &str, advice: Option<&AdviceView>) {
        let main = self.with_keypad(body, (Touch::Cancel, "cancel"), true);
        let (title, rest) = main.top(self.px(72));
        self.sheet.text(title, self.words.say("number-title"), TextLook::new(type_scale::LEAD).bold());
        let (field, rest) = rest.top(self.px(88));
        self.typed(field, entered, NUMBER);
        let (text, ink) = match advice {
            Some(advice) => (self.told(advice), Ink::Error),
            None => (self.words.say("number-hint"), Ink::Soft),
        };
        let hint = rest.inset_ends(self.px(space::M));
        self.sheet.text(hint, text, TextLook::new(type_scale::BODY).ink(ink));
    }

    fn plate(&mut self, body: Rect, entered: &str, digits: bool, found: &[MatchView], advice: Option<&AdviceView>) {
        // Every key is a finger wide: as many as a row has room for, at the bottom, where a hand reaches them.
        let across = if self.wide { 10 } else { 6 };
        let rows = (CELLS / across) as i32;
        let (head, keys) = body.bottom(self.px(FINGER) * rows);
        let (title, rest) = head.top(self.px(64));
        self.sheet.text(title, self.words.say("plate-title"), TextLook::new(type_scale::LEAD).bold());
        let (field, rest) = rest.top(self.px(80));
        let palette = self.sheet.palette;
        self.sheet.boxed(field, palette.ground, palette.border);
        self.sheet.text(field.inset(self.px(space::S)), spaced(entered), TextLook::new(56.0).center());
        let (text, ink) = match (found, advice) {
            ([_, ..], _) => (self.words.say("plate-which"), Ink::Text),
            ([], Some(advice)) => (self.told(advice), Ink::Error),
            ([], None) => (self.words.say("plate-hint"), Ink::Soft),
        };
        self.sheet.text(rest, text, TextLook::new(type_scale::BODY).ink(ink));
        if found.is_empty() { self.letters(keys, across, digits) } else { self.matches(keys, found) }
    }

    /// The tickets that may be meant, and the way back.
    fn matches(&mut self, area: Rect, found: &[MatchView]) {
        let rest = self.buttons(area, &[(Touch::Cancel, None, "cancel", Look::Plain, true)]);
        let gap = self.px(space::S);
        let columns = if self.wide { 2 } else { 1 };
        let cells: Vec<Rect> = match columns {
            1 => rest.rows(4, gap),
            _ => rest.rows(2, gap).into_iter().flat_map(|row| row.columns(2, gap)).collect(),
        };
        for (one, cell) in found.iter().zip(cells) {
            let Some(number) = StayId::parse(&one.number) else { continue };
            let since = one.entry.map_or_else(String::new, |at| {
                format!("  {}", self.words.with("plate-since", "at", &self.moment_text(at)))
            });
            self.sheet.plate(cell, Some(Icon::Ticket), format!("{}{since}", one.plate), Look::Quiet, true);
            self.sheet.target(&Touch::Stay(number), cell, true);
        }
    }

    fn letters(&mut self, area: Rect, across: usize, digits: bool) {
        let letters = LETTERS.chars().filter_map(Letter::new).map(|key| (Touch::Letter(key), key.get().to_string()));
        let numbers = (0..10).map(|digit| (Touch::Key(Key::Digit(digit)), digit.to_string()));
        let mut keys: Vec<(Touch, String, Look)> = match digits {
            true => numbers.map(|(touch, label)| (touch, label, Look::Quiet)).collect(),
            false => letters.map(|(touch, label)| (touch, label, Look::Quiet)).collect(),
        };
        let other = if digits { "ABC" } else { "123" };
        keys.push((Touch::OtherKeys, other.to_owned(), Look::Plain));
        keys.push((Touch::Key(Key::Clear), self.words.say("key-clear"), Look::Plain));
        keys.push((Touch::Cancel, self.words.say("cancel"), Look::Plain));
        keys.push((Touch::Key(Key::Ok), self.words.say("key-ok"), Look::Primary));
        let rows = area.rows(CELLS / across, 0);
        let cells = rows.into_iter().flat_map(|row| row.columns(across, 0));
        for ((touch, label, look), cell) in keys.into_iter().zip(cells) {
            self.sheet.plate(cell.inset(self.px(space::S) / 2), None, label, look, true);
            self.sheet.target(&touch, cell, true);
        }
    }

    /// What is known of the stay, why it costs what it does, and the way to pay.
    fn bill(&mut self, body: Rect, stay: &StayView, advice: Option<&AdviceView>, title: &str) {
        let pay = stay.amount > 0;
        // Not where the next page has its way out: who touches twice cancels nothing.
        let leave = (Touch::Cancel, None, if pay { "cancel" } else { "done" }, Look::Plain, true);
        let agree = (Touch::Pay, Some(Icon::Wallet), "stay-pay", Look::Primary, true);
        let buttons = match (pay, self.wide) {
            (false, _) => vec![leave],
            (true, true) => vec![agree, leave],
            (true, false) => vec![leave, agree],
        };
        let body = self.buttons(body, &buttons);
        let body = self.advice(body, advice);
        let title = self.words.say(title);
        let rest = self.title(body, title);
        let (main, side) = self.halves(rest, if self.wide { 0.6 } else { 0.58 });
        self.sheet.card(main);
        let (list, sum) = main.inset(self.px(space::M)).bottom(self.px(72));
        let lines: Vec<(String, String)> =
            stay.lines.iter().map(|line| (line.text.clone(), self.words.money(line.amount))).collect();
        self.two_columns(list, &lines);
        let (text, value) = sum.left(sum.w / 2);
        let due = self.words.say("stay-due");
        self.sheet.text(text, due, TextLook::new(type_scale::LEAD).bold());
        let amount = self.words.money(stay.amount);
        self.sheet.text(value, amount, TextLook::new(type_scale::TITLE).bold().right());
        self.about(side, stay);
    }

    fn about(&mut self, area: Rect, stay: &StayView) {
        let say = |key: &str| self.words.say(key);
        let mut lines: Vec<(String, String)> = Vec::new();
        lines.extend(stay.number.clone().map(|number| (say("stay-number"), number)));
        lines.extend(stay.plate.clone().map(|plate| (say("stay-plate"), plate)));
        lines.extend(stay.class.clone().map(|class| (say("stay-class"), class)));
        if let Some(entry) = stay.entry {
            lines.push((say("stay-entry"), self.moment_text(entry)));
            lines.push((say("stay-now"), self.moment_text(stay.asked)));
            lines.push((say("stay-length"), self.length(stay.minutes)));
        }
        if stay.paid > 0 {
            lines.push((say("stay-paid"), self.words.money(stay.paid)));
        }
        let (list, note) = area.bottom(area.h * 2 / 5);
        self.two_columns(list, &lines);
        let note_text = match (stay.amount, stay.until) {
            (0, Some(until)) => self.words.with("stay-leave-before", "at", &self.clock_text(until)),
            (0, None) => self.words.say("stay-nothing-due"),
            _ if stay.doubt > 0 => self.words.with("stay-doubt", "minutes", &stay.doubt.to_string()),
            _ => self.words.say("stay-validate"),
        };
        let look = if stay.amount == 0 {
            TextLook::new(type_scale::LEAD).bold()
        } else {
            TextLook::new(type_scale::BODY).soft()
        };
        self.sheet.text(note, note_text, look);
    }

    fn length(&self, minutes: u64) -> String {
        let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
        let mut parts = Vec::new();
        for (key, count) in [("span-days", days), ("bill-hours", hours), ("bill-minutes", rest)] {
            if count > 0 {
                parts.push(self.words.with(key, "count", &count.to_string()));
            }
        }
        if parts.is_empty() { self.words.with("bill-minutes", "count", "0") } else { parts.join(" ") }
    }

    /// A gate that opens, with the ticket where it is not on paper; or the way to the car.
    pub(super) fn at_the_gate(
        &mut self,
        body: Rect,
        order: &OrderView,
        code: Option<&CodeView>,
        receipt: &ReceiptView,
        done: bool,
    ) {
        let ticket = code.is_some_and(|code| code.kind == CodeKind::Ticket);
        let comes = ticket || order.stay.is_some_and(|stay| stay.comes);
        let (title, hint) = match (comes, done) {
            (true, false) if !ticket => ("gate-opens", "gate-drive-in-without"),
            (true, true) if !ticket => ("gate-welcome", "gate-no-ticket"),
            (true, false) => ("gate-opens", "gate-drive-in"),
            (true, true) => ("gate-welcome", "gate-keep-ticket"),
            (false, false) => ("gate-opens", "gate-drive-out"),
            (false, true) => ("gate-goodbye", "gate-safe-journey"),
        };
        let body = if done { self.buttons(body, &[(Touch::Done, None, "done", Look::Primary, true)]) } else { body };
        let unprinted = code.filter(|_| !matches!(receipt, ReceiptView::Printed | ReceiptView::Printing));
        let (main, side) = match unprinted {
            Some(_) => self.halves(body, 0.5),
            None => (body, Rect { w: 0, h: 0, ..body }),
        };
        let title = self.words.say(title);
        let rest = self.heading(main, Icon::Check, title, Ink::Success);
        let mut lines = vec![self.words.say(hint)];
        if let Some(code) = code {
            lines.push(self.words.with("gate-ticket-number", "number", &code.number));
        }
        if order.stay.is_some_and(|stay| stay.paid) {
            lines.push(self.words.with("order-paid", "amount", &self.words.money(order.paid)));
        }
        self.lines(rest, &lines, type_scale::LEAD);
        if let Some(code) = unprinted {
            self.photographed(side, code, "gate-photograph");
        }
    }

    fn photographed(&mut self, area: Rect, code: &CodeView, hint: &str) {
        let hint = self.words.say(hint);
        self.sheet.card(area);
        let (line, rest) = area.inset(self.px(space::M)).top(self.px(88));
        self.sheet.text(line, hint, TextLook::new(type_scale::LABEL).center().bold());
        self.sheet.add(centered(rest, rest.w.min(rest.h)), Draw::Qr(code.code.clone()));
    }

    /// A stay that was paid: until when the car has to leave, and the pass for it.
    pub(super) fn pass(&mut self, body: Rect, order: &OrderView, code: &CodeView, receipt: &ReceiptView) {
        let body = self.buttons(
            body,
            &[
                (Touch::Lookup, Some(Icon::Search), "lookup", Look::Plain, true),
                (Touch::Done, None, "done", Look::Primary, true),
            ],
        );
        let (main, side) = self.halves(body, 0.54);
        let title = self.words.say("pass-title");
        let rest = self.heading(main, Icon::Check, title, Ink::Success);
        let (until, rest) = rest.top(self.px(FINGER));
        let until_text = match code.until {
            Some(at) => self.words.with("stay-leave-before", "at", &self.clock_text(at)),
            None => self.words.say("pass-until-used"),
        };
        self.sheet.card(until);
        self.sheet.text(until.inset(self.px(space::M)), until_text, TextLook::new(type_scale::TITLE).bold().center());
        let paper = match receipt {
            ReceiptView::Printing => "pass-printing",
            ReceiptView::Printed => "pass-printed",
            ReceiptView::Code(_) | ReceiptView::None => "pass-photograph",
        };
        let lines = [
            self.words.with("order-paid", "amount", &self.words.money(order.paid)),
            self.words.say(paper),
            self.words.with("gate-ticket-number", "number", &code.number),
        ];
        let rest = rest.inset_ends(self.px(space::M));
        self.lines(rest, &lines, type_scale::BODY);
        self.photographed(side, code, "pass-show");
    }
}
