//! Every page laid out, for wide and for tall panels; those of each part of the dialogue in a file of their own. The frame is
//! the same on all, so that a customer finds it without looking: who this is and whom to call, and the switches for
//! language, type and contrast. They are at the top of a wide panel and at the bottom of a tall one, whose upper third is
//! out of many people's reach: nothing there is to be touched.

mod keys;
mod lookup;
mod menu;
mod order;
mod out;
mod pay;
mod pin;
mod shop;
mod stay;

use crate::config::{Palette, Theme};
use crate::sale::Touch;
use crate::sale::dialogue::{Page, ShopPage, View};
use crate::sale::view::{ItemView, OrderView};
use crate::vocabulary::{Corner, Rect, ShortCode};

use super::Moment;
use super::icon::Icon;
use super::language::Texts;
use super::sheet::{Cut, Draw, Fit, Ink, Look, Picture, Sheet, TextLook, centered, space, type_scale};
use super::words::Words;

/// Lays out `view` for a panel of `width` x `height` pixels.
pub fn compose(view: &View, texts: &Texts, theme: &Theme, moment: Moment, width: i32, height: i32) -> Sheet {
    let scale = width.min(height) as f32 / 800.0;
    let palette = if view.ease.contrast { Palette::CONTRAST } else { theme.palette };
    let sheet = Sheet {
        nodes: Vec::new(),
        targets: Vec::new(),
        language: view.language.clone(),
        palette,
        scale,
        large: view.ease.large,
    };
    let mut page =
        Composer { sheet, words: Words { texts, view }, theme, moment, wide: width * 10 >= height * 9, slide: false };
    let whole = Rect { x: 0, y: 0, w: width, h: height };
    page.sheet.fill(whole, palette.ground);
    if let (Page::Shop(ShopPage::Attract { .. }), Some(slide)) = (&view.page, page.slide()) {
        page.sheet.add(whole, Draw::Picture(Picture { path: slide, fit: Fit::Cover, opacity: 255 }));
        page.slide = true;
    }
    let body = page.frame(whole);
    match &view.page {
        Page::Shop(shop) => page.shop(body, shop),
        Page::Stay(stay) => page.stay(body, stay),
        Page::Order(order) => page.order(body, order),
        Page::Lookup(lookup) => page.lookup(body, lookup),
        Page::Pin(pin) => page.pin(body, pin),
        Page::Menu(menu) => page.menu(body, menu),
        Page::OutOfService { reasons, last_claim } => page.out_of_service(body, reasons, last_claim.as_ref()),
        Page::NotStarted { why } => page.not_started(body, why),
    }
    if let Some(corner) = moment.mark {
        page.mark(corner, whole);
    }
    page.sheet
}

/// In the 800-pixel design: the least side of a target, the head of a tall panel and the foot of a wide one, the least
/// height of a line in a list.
const FINGER: i32 = 120;
const HEAD: i32 = 104;
const FOOT: i32 = 56;
const LINE: i32 = 44;
/// Of the card with an order's code.
const CODE: i32 = 112;
/// What a finger is to hit in the middle.
const MARK: i32 = 108;
/// For the two switches of type and contrast, or for "more time".
const EASE: i32 = 240;

/// One page in the making.
struct Composer<'a> {
    sheet: Sheet,
    words: Words<'a>,
    theme: &'a Theme,
    moment: Moment,
    wide: bool,
    /// A slide is behind everything: what stands on it needs a ground of its own.
    slide: bool,
}

impl Composer<'_> {
    fn px(&self, length: i32) -> i32 {
        self.sheet.px(length)
    }

    /// The slide of the moment.
    fn slide(&self) -> Option<std::path::PathBuf> {
        let shown: Vec<_> = self.theme.slides.iter().filter(|slide| slide.shown_at(self.moment.minute)).collect();
        let nth = self.moment.turn as usize % shown.len().max(1);
        shown.get(nth).map(|slide| slide.picture.clone())
    }

    /// Brand, switches and help; answers with what is left for the page.
    fn frame(&mut self, whole: Rect) -> Rect {
        let edge = self.px(space::EDGE);
        let sides = |rect: Rect| Rect { x: edge, w: rect.w - 2 * edge, ..rect };
        if self.wide {
            let (bar, rest) = whole.top(self.px(FINGER));
            let (body, foot) = rest.bottom(self.px(FOOT));
            let bar = sides(bar);
            let switches = self.switches_width(bar.w * 5 / 6);
            let (brand, bar) = bar.right(switches);
            self.knock(brand, whole);
            self.brand(brand);
            self.switches(bar);
            self.help(sides(foot));
            sides(body)
        } else {
            let (head, rest) = whole.top(self.px(HEAD));
            let (body, bar) = rest.bottom(self.px(FINGER));
            let (brand, help) = sides(head).left(whole.w * 9 / 20);
            self.knock(brand, whole);
            self.brand(brand);
            self.help(help);
            let bar = bar.inset_sides(self.px(space::M));
            let switches = self.switches_width(bar.w);
            self.switches(Rect { x: bar.x + (bar.w - switches) / 2, w: switches, ..bar });
            sides(body)
        }
    }

    /// For one finger, which can touch nothing else meanwhile.
    fn mark(&mut self, corner: Corner, whole: Rect) {
        let at = corner.spot().pixel((whole.w as u32, whole.h as u32));
        let palette = self.sheet.palette;
        for (side, fill) in [(MARK, palette.text), (MARK * 5 / 6, palette.primary), (MARK / 3, palette.ground)] {
            let side = self.px(side);
            let disc = Rect { x: at.x - side / 2, y: at.y - side / 2, w: side, h: side };
            self.sheet.add(disc, Draw::Card { fill, border: fill, radius: side / 2 });
        }
        self.sheet.targets.clear();
    }

    /// The hidden way into the service menu: the place, as far as the panel's edges. Nothing of it is seen.
    fn knock(&mut self, brand: Rect, whole: Rect) {
        if self.words.view.service {
            let area = Rect { x: whole.x, y: whole.y, w: brand.x + brand.w - whole.x, h: brand.y + brand.h - whole.y };
            self.sheet.target(&Touch::Service, area, true);
        }
    }

    /// The operator's logo, and the place.
    fn brand(&mut self, area: Rect) {
        let mut area = area;
        if self.slide {
            area = area.inset(self.px(space::M));
            self.sheet.card(area);
            area = area.inset_sides(self.px(space::M));
        }
        if let Some(logo) = &self.theme.logo {
            let (mark, rest) = area.left(self.px(136));
            let path = logo.clone();
            let mark = Rect { y: mark.y + (mark.h - self.px(72)) / 2, h: self.px(72), ..mark };
            self.sheet.add(mark, Draw::Picture(Picture { path, fit: Fit::Whole, opacity: 255 }));
            let gap = self.px(space::M);
            area = Rect { x: rest.x + gap, w: rest.w - gap, ..rest };
        }
        let place = self.words.view.place.clone();
        self.sheet.text(area, place, TextLook::new(type_scale::LABEL).bold());
    }

    fn help(&mut self, area: Rect) {
        if self.words.view.phone.is_empty() {
            return;
        }
        let help = self.words.with("help", "phone", &self.words.view.phone);
        let look = TextLook::new(type_scale::NOTE).soft().with(Icon::Handset);
        let mut area = area;
        if self.slide {
            area = if self.wide { area.left(area.w * 2 / 5).0 } else { area.inset(self.px(space::M)) };
            self.sheet.card(area);
            area = area.inset_sides(self.px(space::M));
        }
        self.sheet.text(area, help, if self.wide { look } else { look.right() });
    }

    fn switches_width(&self, most: i32) -> i32 {
        let languages = self.words.view.languages.len() as i32;
        if languages == 0 { 0 } else { (self.px(EASE) + languages * self.px(156)).min(most) }
    }

    /// Larger type, more contrast, languages. Before a page gives up for want of a touch, more time.
    fn switches(&mut self, area: Rect) {
        let view = self.words.view;
        if area.w == 0 {
            return;
        }
        let gap = self.px(space::S);
        let (ease, languages) = area.left(self.px(EASE));
        match view.idle_left {
            Some(seconds) => {
                let label = self.words.with("idle", "seconds", &seconds.to_string());
                let plate = ease.inset_sides(gap).inset_ends(self.px(space::M));
                self.sheet.plate(plate, Some(Icon::Clock), label, Look::Primary, true);
                self.sheet.target(&Touch::MoreTime, ease, true);
            }
            None => {
                let on = [
                    (Touch::Larger, Icon::Larger, view.ease.large),
                    (Touch::Contrast, Icon::Contrast, view.ease.contrast),
                ];
                for ((touch, icon, on), cell) in on.into_iter().zip(ease.columns(2, 0)) {
                    let look = if on { Look::Primary } else { Look::Quiet };
                    let plate = centered(cell, cell.w.min(cell.h) - 3 * self.px(space::M));
                    self.sheet.plate(plate, Some(icon), "", look, true);
                    self.sheet.target(&touch, cell, true);
                }
            }
        }
        let ground = languages.inset_ends(self.px(space::L));
        let palette = self.sheet.palette;
        self.sheet.card(ground);
        for (language, cell) in view.languages.iter().zip(languages.columns(view.languages.len(), 0)) {
            let name = self.words.in_its_own(language);
            let own = std::mem::replace(&mut self.sheet.language, language.clone());
            // The finger has the whole height up to the panel's edge; what is seen is smaller.
            let plate = cell.inset_ends(self.px(space::L));
            let chosen = *language == view.language;
            if chosen {
                self.sheet.boxed(plate, palette.primary, palette.primary);
            }
            let ink = if chosen { Ink::OnPrimary } else { Ink::Text };
            // What it is called is as large as its place allows, in large type too.
            let look = TextLook::new(type_scale::NOTE).ink(ink).center().bold();
            self.sheet.text(plate.inset_sides(self.px(space::S)), name, look);
            self.sheet.target(&Touch::Language(language.clone()), cell, true);
            self.sheet.language = own;
        }
    }

    /// A main part and a side part: beside each other, or one above the other on a tall panel.
    fn halves(&self, body: Rect, main: f32) -> (Rect, Rect) {
        let gap = self.px(space::L);
        if self.wide {
            let (left, right) = body.left((body.w as f32 * main) as i32);
            (Rect { w: left.w - gap, ..left }, right)
        } else {
            let (top, bottom) = body.top((body.h as f32 * main) as i32);
            (Rect { h: top.h - gap, ..top }, bottom)
        }
    }

    /// Buttons in a row at the bottom of `area`, at least a finger high; answers with the rest. The last is where the
    /// hand rests, and the wider where it is what to do next.
    fn buttons(&mut self, area: Rect, buttons: &[(Touch, Option<Icon>, &str, Look, bool)]) -> Rect {
        let gap = self.px(space::M);
        let (rest, row) = area.bottom(self.px(FINGER));
        for ((touch, icon, label, look, enabled), cell) in buttons.iter().zip(row.columns(buttons.len(), gap)) {
            let label = self.words.say(label);
            self.sheet.plate(cell, *icon, label, *look, *enabled);
            self.sheet.target(touch, cell, *enabled);
        }
        Rect { h: (rest.h - gap).max(0), ..rest }
    }

    fn title(&mut self, area: Rect, text: String) -> Rect {
        let (line, rest) = area.top(self.px(80));
        self.sheet.text(line, text, TextLook::new(type_scale::TITLE).bold());
        rest
    }

    /// What happened, by a sign in a circle and in words.
    fn heading(&mut self, area: Rect, icon: Icon, text: String, ink: Ink) -> Rect {
        let (line, rest) = area.top(self.px(if self.sheet.large { 104 } else { 128 }));
        let side = self.px(96);
        let (mark, words) = line.left(side + self.px(space::L));
        let circle = Rect { y: mark.y + (mark.h - side) / 2, w: side, h: side, ..mark };
        let fill = self.sheet.ink(ink);
        self.sheet.add(circle, Draw::Card { fill, border: fill, radius: side / 2 });
        let on = self.sheet.palette.ground;
        self.sheet.add(circle.inset(side / 6), Draw::Icon { icon, color: on });
        self.sheet.text(words, text, TextLook::new(type_scale::TITLE).bold().ink(ink));
        rest
    }

    /// Sentences one below the other, from the top, no further apart than they need.
    fn lines(&mut self, area: Rect, lines: &[String], px: f32) {
        let height = (area.h / lines.len().max(1) as i32).min(self.px(128));
        for (nth, line) in lines.iter().enumerate() {
            let place = Rect { y: area.y + nth as i32 * height, h: height, ..area };
            self.sheet.text(place.inset_ends(self.px(4)), line.clone(), TextLook::new(px));
        }
    }

    /// Lines with a text at the left and one at the right. What there is no room for is counted in the last line.
    fn two_columns(&mut self, area: Rect, lines: &[(String, String)]) {
        // Rather smaller than left out, down to what half the size of the type needs.
        let heights =
            if self.sheet.large { [LINE * 5 / 4, LINE, LINE * 10 / 11] } else { [LINE, LINE * 7 / 8, LINE * 3 / 4] };
        let fits = |least: &i32| self.px(*least) * lines.len() as i32 <= area.h;
        let least = heights.into_iter().find(fits).unwrap_or(heights[0]);
        let room = (area.h / self.px(least).max(1)).max(1) as usize;
        let shown = if lines.len() > room { room - 1 } else { lines.len() };
        let height = (area.h / lines.len().clamp(1, room) as i32).min(self.px(least + space::L));
        let place = |index: usize| Rect { y: area.y + index as i32 * height, h: height, ..area };
        // Few are as large as many are small.
        let roomy = lines.len() <= 3 && height >= self.px(least + space::M) && area.w > self.px(600);
        let px = if roomy { 40.0 } else { type_scale::LABEL };
        for (index, (left, right)) in lines.iter().take(shown).enumerate() {
            let (text, value) = place(index).left(area.w * 62 / 100);
            let look = TextLook::new(px);
            self.sheet.text(text.inset_right(self.px(space::S)), left.clone(), look.clone());
            self.sheet.text(value, right.clone(), look.right().whole());
        }
        if shown < lines.len() {
            let more = self.words.with("more-lines", "count", &(lines.len() - shown).to_string());
            self.sheet.text(place(shown), more, TextLook::new(type_scale::LABEL).soft());
        }
    }

    /// The order's code where everybody finds it, with what it is for.
    fn code(&mut self, area: Rect, label: &str, code: &str, hint: &str) {
        self.sheet.card(area);
        let inner = area.inset(self.px(space::M));
        let (words, digits) = inner.left(inner.w * if self.sheet.large { 46 } else { 62 } / 100);
        let (label, hint) = (self.words.say(label), self.words.say(hint));
        if hint.is_empty() || self.sheet.large {
            self.sheet.text(words, label, TextLook::new(type_scale::LABEL).bold());
        } else {
            let (upper, lower) = words.top(words.h * 2 / 5);
            self.sheet.text(upper, label, TextLook::new(type_scale::LABEL).bold());
            self.sheet.text(lower, hint, TextLook::new(type_scale::NOTE).soft());
        }
        self.sheet.text(digits, grouped(code), TextLook::new(type_scale::HERO).bold().right());
    }
}

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

/// An order's digits in threes, easier to compare and to say. Pick-up numbers are as the operator writes them.
fn grouped(code: &str) -> String {
    match code.split_at_checked(3) {
        Some((first, rest)) if ShortCode::parse(code).is_some() => format!("{first}\u{a0}{rest}"),
        _ => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sheet::Draw;
    use super::*;
    use crate::sale::dialogue::{Ease, LookupPage, OrderPage, ReceiptView};
    use crate::sale::view::{ItemView, OrderState, OrderView, Outcome};
    use crate::vocabulary::{ClaimSettlement, Currency, Language};

    fn said(page: Page, currency: &str) -> String {
        said_in("en", page, currency)
    }

    fn said_in(language: &str, page: Page, currency: &str) -> String {
        let view = View {
            language: Language::new(language),
            languages: vec![Language::new("en")],
            place: "Here".into(),
            phone: "400".into(),
            currency: Currency::from_code(currency).unwrap(),
            ease: Ease::default(),
            idle_left: None,
            service: false,
            page,
        };
        let (theme, moment) = (Theme::default(), Moment::default());
        let texts =
            compose(&view, &Texts::shipped(), &theme, moment, 1280, 800).nodes.into_iter().filter_map(
                |node| match node.draw {
                    Draw::Text(text) => Some(text.text),
                    _ => None,
                },
            );
        texts.collect::<Vec<_>>().join("\n")
    }

    fn order(outcomes: &[Outcome]) -> OrderView {
        let item = |outcome: &Outcome| ItemView { name: "Cola".into(), price: 300, outlet: None, outcome: *outcome };
        OrderView {
            short_code: ShortCode::parse("204857").unwrap(),
            pickup: None,
            state: OrderState::Refunding,
            amount: 600,
            paid: 600,
            refunded: 300,
            refund_pending: 300,
            items: outcomes.iter().map(item).collect(),
            stay: None,
            settled: None,
        }
    }

    #[test]
    fn a_refund_says_only_what_is_known_of_the_goods() {
        let refunded = |outcomes: &[Outcome]| {
            said(Page::Order(OrderPage::Refunded { order: order(outcomes), receipt: ReceiptView::None }), "CNY")
        };
        let nothing = "nothing was delivered";
        assert!(refunded(&[Outcome::NotDelivered; 2]).contains(nothing));
        assert!(!refunded(&[Outcome::Unknown, Outcome::NotDelivered]).contains(nothing));
        let text = refunded(&[Outcome::Delivered, Outcome::NotDelivered]);
        assert!(!text.contains(nothing));
        assert!(text.contains("¥3.00 is being refunded") && text.contains("¥3.00 has been refunded"), "{text}");
    }

    /// Neither that its money is on its way back, nor anything else than that a person must look at it.
    #[test]
    fn a_claim_is_called_a_claim() {
        for (language, claim, open, under_way) in [
            ("en", "laim: a person has to look at", "Not given back yet ¥3.00", "efunded ¥3.00"),
            ("zh-Hant", "待處理", "尚未退還 ¥3.00", "退款中"),
            ("zh-Hans", "待处理", "尚未退还 ¥3.00", "退款中"),
        ] {
            let order = OrderView { state: OrderState::Claim, refunded: 0, ..order(&[Outcome::NotDelivered]) };
            let found = Some(order.clone());
            let text = said_in(
                language,
                Page::Lookup(LookupPage::Lookup { entered: "204857".into(), found, not_found: false }),
                "CNY",
            );
            assert!(text.contains(claim) && text.contains(open) && !text.contains(under_way), "{language}: {text}");
            let text = said_in(language, Page::Order(OrderPage::Claim { order, receipt: ReceiptView::None }), "CNY");
            assert!(text.contains(claim) && !text.contains(under_way), "{language}: {text}");
        }
    }

    #[test]
    fn a_settled_claim_says_how_it_was_settled() {
        for (how, said) in [
            (ClaimSettlement::Delivered, "the goods were handed over"),
            (ClaimSettlement::PaidOutside, "given back in another way"),
            (ClaimSettlement::Refund, "the refund is on its way"),
        ] {
            let order = OrderView { settled: Some(how), ..order(&[Outcome::NotDelivered]) };
            let page = LookupPage::Lookup { entered: "204857".into(), found: Some(order), not_found: false };
            let text = super::tests::said(Page::Lookup(page), "CNY");
            assert!(text.contains(said), "{how:?}: {text}");
        }
    }

    #[test]
    fn units_alike_are_one_line_and_money_is_written_with_its_currency() {
        let thanks = |currency| {
            let order = order(&[Outcome::Delivered, Outcome::Delivered, Outcome::NotDelivered]);
            said(Page::Order(OrderPage::Thanks { order, receipt: ReceiptView::None, code: None }), currency)
        };
        let text = thanks("CNY");
        assert!(text.contains("2 × Cola\n") && text.contains("204\u{a0}857"), "{text}");
        for (currency, paid) in [("JPY", "Paid ¥600,"), ("KWD", "Paid 0.600 KWD,"), ("INR", "Paid 6.00 INR,")] {
            assert!(thanks(currency).contains(paid), "{}", thanks(currency));
        }
    }
}
