//! Every page laid out, for wide and for tall panels. The frame is the same on all: place and languages at the top, help
//! at the bottom, so that a customer finds them without looking.

mod result;

use crate::sale::view::{BasketLine, Page, Tile, View};
use crate::vocabulary::Minor;
use crate::world::Rect;

use super::language::Texts;
use super::sheet::{Cut, Draw, Look, Sheet, TextLook, palette};
use super::words::Words;

/// Lays out `view` for a panel of `width` x `height` pixels.
pub fn compose(view: &View, texts: &Texts, width: i32, height: i32) -> Sheet {
    let scale = width.min(height) as f32 / 800.0;
    let sheet = Sheet { language: Some(view.language.clone()), scale, ..Sheet::default() };
    let mut page = Composer { sheet, words: Words { texts, view }, wide: width * 10 >= height * 9 };
    let whole = Rect { x: 0, y: 0, w: width, h: height };
    page.sheet.fill(whole, palette::GROUND);
    let body = page.frame(whole);
    match &view.page {
        Page::Attract { tiles } => page.attract(body, tiles),
        Page::Choose { tiles, basket, total } => page.choose(body, tiles, basket, *total),
        Page::Basket { product, basket, total, can_add } => page.basket(body, product, basket, *total, *can_add),
        Page::Confirm { code, entered, total, wrong } => page.confirm(body, code, entered, *total, *wrong),
        Page::Pay { order, qr, rails, seconds_left, can_extend } => {
            page.pay(body, order, qr.as_deref(), rails, *seconds_left, *can_extend);
        }
        Page::Delivering { order } => page.delivering(body, order),
        Page::Thanks { order, receipt } => page.thanks(body, order, receipt),
        Page::Expired { order } => page.not_charged(body, "expired-title", "expired-money", order, None),
        Page::Cancelled { order, why } => {
            page.not_charged(body, "cancelled-title", "cancelled-money", order, why.as_ref());
        }
        Page::Refunded { order, receipt } => page.refunded(body, order, receipt),
        Page::Claim { order, receipt } => page.claim(body, order, receipt),
        Page::Lookup { entered, found, not_found } => page.lookup(body, entered, found.as_ref(), *not_found),
        Page::NotStarted { why } => page.not_started(body, why),
        Page::OutOfService { reasons, last_claim } => page.out_of_service(body, reasons, last_claim.as_ref()),
    }
    page.sheet
}

/// In the 800-pixel design: from the panel's side, the least side of a target, the least height of a line in a list.
const EDGE: i32 = 40;
const FINGER: i32 = 120;
const LINE: i32 = 36;

/// One page in the making.
struct Composer<'a> {
    sheet: Sheet,
    words: Words<'a>,
    wide: bool,
}

impl Composer<'_> {
    fn px(&self, length: i32) -> i32 {
        self.sheet.px(length)
    }

    /// Place, languages and help; answers with what is left for the page.
    fn frame(&mut self, whole: Rect) -> Rect {
        let (edge, gap) = (self.px(EDGE), self.px(16));
        let (head, rest) = whole.top(self.px(FINGER));
        let (body, foot) = rest.bottom(self.px(56));
        let head = Rect { w: head.w - edge, ..head };
        let view = self.words.view;
        let width = (self.px(168) * view.languages.len() as i32).min(head.w * 3 / 4);
        let (place, languages) = head.left(head.w - width);
        let place = Rect { x: edge, w: place.w - edge - gap, ..place };
        self.sheet.text(place, view.place.clone(), TextLook::new(32.0).soft());
        for (language, cell) in view.languages.iter().zip(languages.columns(view.languages.len(), 0)) {
            let look = if *language == view.language { Look::Primary } else { Look::Plain };
            let name = self.words.in_its_own(language);
            let own = self.sheet.language.replace(language.clone());
            // The finger has the whole height up to the panel's edge; what is seen is smaller.
            let (left, height) = (cell.x + gap, cell.h - 2 * gap);
            self.sheet.plate(Rect { x: left, y: cell.y + gap, w: cell.w - gap, h: height }, name, look, true);
            self.sheet.target(format!("language:{language}"), cell, true);
            self.sheet.language = own;
        }
        let foot = Rect { x: edge, w: foot.w - 2 * edge, ..foot };
        if !view.phone.is_empty() {
            let help = self.words.with("help", "phone", &view.phone);
            self.sheet.text(foot, help, TextLook::new(32.0).soft());
        }
        Rect { x: edge, w: body.w - 2 * edge, ..body }
    }

    /// A main part and a side part: beside each other, or one above the other on a tall panel.
    fn halves(&self, body: Rect, main: f32) -> (Rect, Rect) {
        let gap = self.px(24);
        if self.wide {
            let (left, right) = body.left((body.w as f32 * main) as i32);
            (Rect { w: left.w - gap, ..left }, right)
        } else {
            let (top, bottom) = body.top((body.h as f32 * main) as i32);
            (Rect { h: top.h - gap, ..top }, bottom)
        }
    }

    /// Buttons in a row at the bottom of `area`, at least a finger high; answers with the rest.
    fn buttons(&mut self, area: Rect, buttons: &[(&str, &str, Look, bool)]) -> Rect {
        let gap = self.px(16);
        let (rest, row) = area.bottom(self.px(FINGER));
        for ((name, label, look, enabled), cell) in buttons.iter().zip(row.columns(buttons.len(), gap)) {
            let label = self.words.say(label);
            self.sheet.button(*name, cell, label, *look, *enabled);
        }
        Rect { h: (rest.h - gap).max(0), ..rest }
    }

    fn title(&mut self, area: Rect, text: String) -> Rect {
        let (line, rest) = area.top(self.px(88));
        self.sheet.text(line, text, TextLook::new(56.0).bold());
        rest
    }

    fn attract(&mut self, body: Rect, tiles: &[Tile]) {
        let body = self.buttons(body, &[("lookup", "lookup", Look::Plain, true)]);
        self.sheet.target("start", body, true);
        let (shelf, call) = self.halves(body, if self.wide { 0.55 } else { 0.6 });
        self.tiles(shelf, tiles, false);
        self.sheet.add(call, Draw::Card { fill: palette::PRIMARY, border: palette::PRIMARY });
        let (upper, lower) = call.inset(self.px(24)).top(call.h / 2);
        let on = |px: f32| TextLook::new(px).color(palette::ON_PRIMARY).center();
        self.sheet.text(upper, self.words.say("start"), on(72.0).bold());
        self.sheet.text(lower, self.words.say("start-hint"), on(44.0));
    }

    fn choose(&mut self, body: Rect, tiles: &[Tile], basket: &[BasketLine], total: Minor) {
        let (shelf, side) = self.halves(body, if self.wide { 0.62 } else { 0.56 });
        let shelf = {
            let title = self.words.say("choose-title");
            self.title(shelf, title)
        };
        self.tiles(shelf, tiles, true);
        let side =
            self.buttons(side, &[("cancel", "cancel", Look::Plain, true), ("lookup", "lookup", Look::Plain, true)]);
        let side = self.buttons(side, &[("pay", "pay", Look::Primary, !basket.is_empty())]);
        self.basket_list(side, basket, total);
    }

    /// Products in a grid. `touchable` tiles are targets.
    fn tiles(&mut self, area: Rect, tiles: &[Tile], touchable: bool) {
        // As many across as keeps the tiles nearest to a good tile's width for their height.
        let shape = |across: usize| {
            let (w, h) = (area.w / across as i32, area.h / tiles.len().div_ceil(across).max(1) as i32);
            (w * 3 / 4).min(h)
        };
        let across = (2..=10).rev().max_by_key(|across| shape(*across)).unwrap_or(2);
        let gap = self.px(16);
        let rows = area.rows(tiles.len().div_ceil(across), gap);
        for (row, line) in rows.into_iter().zip(tiles.chunks(across)) {
            for (cell, tile) in row.columns(across, gap).into_iter().zip(line) {
                self.tile(cell, tile);
                if touchable {
                    self.sheet.target(format!("product:{}", tile.product), cell, tile.available > 0);
                }
            }
        }
    }

    fn tile(&mut self, cell: Rect, tile: &Tile) {
        let sold_out = tile.available == 0;
        let border = if sold_out { palette::SURFACE } else { palette::BORDER };
        self.sheet.add(cell, Draw::Card { fill: palette::SURFACE, border });
        let mut inner = cell.inset(self.px(12));
        if let Some(picture) = &tile.picture {
            let (top, rest) = inner.top(inner.h / 2);
            self.sheet.add(top, Draw::Picture(picture.clone()));
            inner = rest;
        }
        let (name, price) = inner.top(inner.h * 11 / 20);
        self.sheet.text(name, tile.name.clone(), TextLook::new(34.0).bold());
        if sold_out {
            self.sheet.text(price, self.words.say("sold-out"), TextLook::new(34.0).color(palette::ERROR));
        } else {
            self.sheet.text(price, self.words.money(tile.price), TextLook::new(40.0).color(palette::PRIMARY).bold());
        }
    }

    fn basket_list(&mut self, area: Rect, basket: &[BasketLine], total: Minor) {
        self.sheet.card(area);
        let inner = area.inset(self.px(16));
        let (list, sum) = inner.bottom(self.px(64));
        if basket.is_empty() {
            self.sheet.text(list, self.words.say("basket-empty"), TextLook::new(34.0).soft().center());
        } else {
            let lines = basket.iter().map(|line| {
                (format!("{} × {}", line.quantity, line.name), self.words.money(line.price * i64::from(line.quantity)))
            });
            let lines = lines.collect::<Vec<_>>();
            self.two_columns(list, &lines);
        }
        let look = TextLook::new(44.0).bold();
        let (word, money) = sum.left(sum.w * 2 / 5);
        self.sheet.text(word, self.words.say("total"), look.clone());
        self.sheet.text(money, self.words.money(total), look.right());
    }

    /// Lines with a text at the left and one at the right. What there is no room for is counted in the last line.
    fn two_columns(&mut self, area: Rect, lines: &[(String, String)]) {
        let room = (area.h / self.px(LINE).max(1)).max(1) as usize;
        let shown = if lines.len() > room { room - 1 } else { lines.len() };
        let height = (area.h / lines.len().clamp(1, room) as i32).min(self.px(56));
        let place = |index: usize| Rect { y: area.y + index as i32 * height, h: height, ..area };
        for (index, (left, right)) in lines.iter().take(shown).enumerate() {
            let (text, value) = place(index).left(area.w * 62 / 100);
            self.sheet.text(text, left.clone(), TextLook::new(34.0));
            self.sheet.text(value, right.clone(), TextLook::new(34.0).right());
        }
        if shown < lines.len() {
            let more = self.words.with("more-lines", "count", &(lines.len() - shown).to_string());
            self.sheet.text(place(shown), more, TextLook::new(34.0).soft());
        }
    }

    fn basket(&mut self, body: Rect, product: &Tile, basket: &[BasketLine], total: Minor, can_add: bool) {
        let (main, side) = self.halves(body, if self.wide { 0.5 } else { 0.4 });
        self.sheet.card(main);
        let mut inner = main.inset(self.px(32));
        if let Some(picture) = &product.picture {
            let (top, rest) = inner.top(inner.h / 2);
            self.sheet.add(top, Draw::Picture(picture.clone()));
            inner = rest;
        }
        let rows = inner.rows(3, self.px(8));
        self.sheet.text(rows[0], product.name.clone(), TextLook::new(56.0).bold());
        let price = self.words.money(product.price);
        self.sheet.text(rows[1], price, TextLook::new(72.0).color(palette::PRIMARY).bold());
        let left = self.words.with("available", "count", &product.available.to_string());
        self.sheet.text(rows[2], left, TextLook::new(34.0).soft());

        let side = self.buttons(side, &[("cancel", "cancel", Look::Plain, true), ("pay", "pay", Look::Primary, true)]);
        let side =
            self.buttons(side, &[("add", "add", Look::Plain, can_add), ("done", "choose-more", Look::Plain, true)]);
        let title = self.words.say("basket-title");
        let side = self.title(side, title);
        self.basket_list(side, basket, total);
    }

    fn confirm(&mut self, body: Rect, code: &str, entered: &str, total: Minor, wrong: bool) {
        let (main, side) = self.with_keypad(body);
        let main = self.buttons(main, &[("cancel", "cancel", Look::Plain, true)]);
        let (hint, look) = if wrong {
            ("confirm-wrong", TextLook::new(34.0).color(palette::ERROR))
        } else {
            ("confirm-why", TextLook::new(34.0).soft())
        };
        let rows = main.shares(&[72, 72, 104, 96, 72]);
        self.sheet.text(rows[0], self.words.say("confirm-title"), TextLook::new(48.0).bold());
        self.sheet.text(rows[1], self.words.say(hint), look);
        self.sheet.text(rows[2], spaced(code), TextLook::new(80.0).bold().center());
        self.typed(rows[3], entered, code.len());
        self.sheet.text(rows[4], self.words.money(total), TextLook::new(44.0).center());
        self.keypad(side);
    }

    /// What was typed, and a line for each digit to come.
    fn typed(&mut self, area: Rect, entered: &str, digits: usize) {
        let typed: String = entered.chars().chain(std::iter::repeat('_')).take(digits).collect();
        self.sheet.add(area, Draw::Card { fill: palette::GROUND, border: palette::BORDER });
        self.sheet.text(area.inset(self.px(4)), spaced(&typed), TextLook::new(60.0).center());
    }

    /// The keypad's part is high enough for four keys on a tall panel too.
    fn with_keypad(&self, body: Rect) -> (Rect, Rect) {
        let keys = self.px(4 * FINGER + 3 * 16) as f32 / body.h.max(1) as f32;
        self.halves(body, if self.wide { 0.5 } else { 1.0 - keys.min(0.5) })
    }

    fn keypad(&mut self, area: Rect) {
        let gap = self.px(16);
        let keys = [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"], ["clear", "0", "ok"]];
        for (row, line) in area.rows(4, gap).into_iter().zip(keys) {
            for (cell, key) in row.columns(3, gap).into_iter().zip(line) {
                let (label, look) = match key {
                    "clear" => (self.words.say("key-clear"), Look::Plain),
                    "ok" => (self.words.say("key-ok"), Look::Primary),
                    digit => (digit.to_owned(), Look::Plain),
                };
                self.sheet.button(format!("key:{key}"), cell, label, look, true);
            }
        }
    }
}

/// An order's digits in threes, easier to compare and to say.
fn grouped(digits: &str) -> String {
    let halves = digits.split_at_checked(3).filter(|(_, rest)| !rest.is_empty());
    halves.map_or_else(|| digits.to_owned(), |(first, rest)| format!("{first} {rest}"))
}

/// Digits a little apart, as they are typed.
fn spaced(digits: &str) -> String {
    digits.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::sheet::Draw;
    use super::*;
    use crate::sale::view::{ItemView, OrderState, OrderView, Outcome, ReceiptView};
    use crate::vocabulary::{Currency, Language, ShortCode};

    fn said(page: Page, currency: &str) -> String {
        let view = View {
            language: Language::new("en"),
            languages: vec![Language::new("en")],
            place: "Here".into(),
            phone: "400".into(),
            currency: Currency::from_code(currency).unwrap(),
            page,
        };
        let texts = compose(&view, &Texts::shipped(), 1280, 800).nodes.into_iter().filter_map(|node| match node.draw {
            Draw::Text(text) => Some(text.text),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    fn order(outcomes: &[Outcome]) -> OrderView {
        let item = |outcome: &Outcome| ItemView { name: "Cola".into(), price: 300, slot: None, outcome: *outcome };
        OrderView {
            short_code: ShortCode::parse("204857").unwrap(),
            state: OrderState::Refunding,
            amount: 600,
            paid: 600,
            refunded: 300,
            refund_pending: 300,
            items: outcomes.iter().map(item).collect(),
        }
    }

    #[test]
    fn a_refund_says_only_what_is_known_of_the_goods() {
        let refunded =
            |outcomes: &[Outcome]| said(Page::Refunded { order: order(outcomes), receipt: ReceiptView::None }, "CNY");
        let nothing = "nothing was delivered";
        assert!(refunded(&[Outcome::NotDelivered; 2]).contains(nothing));
        assert!(!refunded(&[Outcome::Unknown, Outcome::NotDelivered]).contains(nothing));
        let text = refunded(&[Outcome::Delivered, Outcome::NotDelivered]);
        assert!(!text.contains(nothing));
        assert!(text.contains("¥3.00 is being refunded") && text.contains("¥3.00 has been refunded"), "{text}");
    }

    #[test]
    fn units_alike_are_one_line_and_money_is_written_with_its_currency() {
        let thanks = |currency| {
            let order = order(&[Outcome::Delivered, Outcome::Delivered, Outcome::NotDelivered]);
            said(Page::Thanks { order, receipt: ReceiptView::None }, currency)
        };
        let text = thanks("CNY");
        assert!(text.contains("2 × Cola\n") && text.contains("Order 204 857"), "{text}");
        for (currency, paid) in [("JPY", "Paid ¥600,"), ("KWD", "Paid 0.600 KWD,"), ("INR", "Paid 6.00 INR,")] {
            assert!(thanks(currency).contains(paid), "{}", thanks(currency));
        }
    }
}
