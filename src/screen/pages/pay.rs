//! The page that is paid from: the code as large as there is room for, the amount, the time left, and how it is done.

use super::super::paint::side_for;
use super::super::sheet::{Cut, Draw, Ink, Look, TextLook, centered, space, type_scale};
use super::{Composer, FINGER, Icon, Touch, grouped};
use crate::sale::dialogue::RailTab;
use crate::sale::view::OrderView;
use crate::vocabulary::Rect;

/// Seconds from which the count-down is shown as urgent.
const HURRY: u64 = 20;
/// Rails beside each other, each wide enough for its name; and where that would be three rows.
const RAILS_ACROSS: usize = 3;
const MANY_RAILS_ACROSS: usize = 4;
/// A single rail is only named.
const ONE_RAIL: i32 = 64;
/// Of the short side, without the quiet zone: what a phone finds at arm's length.
const LEAST_CODE: f32 = 0.45;
/// A charge's payload as providers make them.
const TYPICAL: &str = "https://qr.example.com/bax00000000000000000000000000000000000";
/// How it is done, high.
const STEPS: i32 = 108;
/// On a tall panel, below the code: with less the amount and the order's code are beside it, and the sum of these parts
/// where they are below.
const LEAST_FACTS: i32 = 248;
const FACTS: i32 = 104 + 24 + 116 + 144;
const FACTS_LARGE: i32 = 116 + 24 + 132;

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
        let mut buttons = vec![(Touch::Cancel, None, "cancel", Look::Plain, true)];
        if can_extend {
            buttons.push((Touch::MoreTime, Some(Icon::Clock), "more-time", Look::Plain, true));
        }
        let gap = self.px(space::M);
        let rails_height = match rails.len() {
            0 => 0,
            1 => ONE_RAIL + space::M,
            many => (FINGER + space::M) * many.div_ceil(rails_across(many)) as i32,
        };
        let least = self.least_card(qr, body);
        if self.wide {
            let (card, side) = body.left(body.h.min((body.w * 13 / 25).max(least)));
            self.hero(card, qr);
            let gap = self.px(space::XL);
            let side = Rect { x: side.x + gap, w: (side.w - gap).max(0), ..side };
            let side = self.buttons(side, &buttons);
            let side = self.rails(side, rails, self.px(rails_height));
            return self.facts(side, order, (seconds_left, of_seconds));
        }
        let rest = self.buttons(body, &buttons);
        let room = (rest.h - least - gap).max(0);
        let rails_height = self.px(rails_height).min(room);
        let below = |square: i32| Rect { y: rest.y + square + gap, h: (rest.h - square - gap).max(0), ..rest };
        if room - rails_height >= self.px(LEAST_FACTS) {
            // The code has what the rest leaves.
            let facts = self.px(if self.sheet.large { FACTS_LARGE } else { FACTS });
            let square = (rest.h - facts - rails_height - gap).clamp(least, body.w.max(least));
            self.hero(centered(rest.top(square).0, square), qr);
            let side = self.rails(below(square), rails, rails_height);
            return self.facts(side, order, (seconds_left, of_seconds));
        }
        // With many payment methods the rest is beside the code.
        let (card, side) = rest.top(least).0.left(least);
        self.hero(card, qr);
        let side = Rect { x: side.x + gap, w: (side.w - gap).max(0), ..side };
        self.narrow_facts(side, order, (seconds_left, of_seconds));
        let rest = self.rails(below(least), rails, rails_height);
        if rest.h >= self.px(STEPS) && !self.sheet.large {
            self.steps(rest.top(self.px(STEPS)).0);
        }
    }

    /// With the code that is shown, or one as long as providers' are while it is on its way.
    fn least_card(&self, qr: Option<&str>, body: Rect) -> i32 {
        let short = (800.0 * self.sheet.scale).round() as i32;
        let least = (short as f32 * LEAST_CODE).ceil() as i32;
        let side = side_for(qr.unwrap_or(TYPICAL), least);
        (side + 2 * self.px(space::S)).min(body.w).min(body.h)
    }

    /// Amount, time, how it is done, the order's code.
    fn facts(&mut self, side: Rect, order: &OrderView, (seconds_left, of_seconds): (u64, u64)) {
        // How it is done gives way to what must be read.
        let short = self.sheet.large || side.h < self.px(340);
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

    /// The same in a column beside the code, without how it is done.
    fn narrow_facts(&mut self, side: Rect, order: &OrderView, (seconds_left, of_seconds): (u64, u64)) {
        let rows = side.shares(&[116, 60, 24, 16, 236]);
        let look = TextLook::new(type_scale::AMOUNT).bold().whole();
        self.sheet.text(rows[0], self.words.money(order.amount), look);
        self.time_left(rows[1], rows[2], seconds_left, of_seconds);
        self.sheet.card(rows[4]);
        let hint_height = if self.sheet.large { 0 } else { 60 };
        let parts = rows[4].inset(self.px(space::M)).shares(&[60, 84, hint_height]);
        let (label, hint) = (self.words.say("pay-code-label"), self.words.say("pay-code-hint"));
        self.sheet.text(parts[0], label, TextLook::new(type_scale::LABEL).bold());
        self.sheet.text(parts[1], grouped(order.short_code.as_str()), TextLook::new(type_scale::HERO).bold().whole());
        if hint_height > 0 {
            self.sheet.text(parts[2], hint, TextLook::new(type_scale::NOTE).soft());
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
                self.sheet.target(&Touch::Rail(rail.name.clone()), cell, rail.up);
            }
        }
        rest
    }
}

fn rails_across(rails: usize) -> usize {
    if rails > 2 * RAILS_ACROSS { MANY_RAILS_ACROSS } else { RAILS_ACROSS }
}

#[cfg(test)]
mod tests {
    use super::super::{Theme, View, compose};
    use super::*;
    use crate::sale::dialogue::{Ease, OrderPage, Page};
    use crate::sale::view::OrderState;
    use crate::screen::Moment;
    use crate::screen::language::Texts;
    use crate::screen::paint::drawn;
    use crate::vocabulary::{Currency, Language, RailName, ShortCode};

    fn view(language: &str, ease: Ease, payload: &str, rails: usize) -> View {
        let rail = |nth: usize| RailTab {
            name: RailName::parse(&format!("r{nth}")).unwrap(),
            label: format!("A wallet, {nth}"),
            chosen: nth == 0,
            up: true,
        };
        let order = OrderView {
            stay: None,
            short_code: ShortCode::parse("204857").unwrap(),
            pickup: None,
            state: OrderState::WaitingPayment,
            amount: 1_234_567,
            paid: 0,
            refunded: 0,
            refund_pending: 0,
            items: Vec::new(),
            settled: None,
        };
        View {
            language: Language::new(language),
            languages: ["zh-Hant", "zh-Hans", "en"].map(Language::new).to_vec(),
            place: "Platform 2, Demo Station".into(),
            phone: "400-000-0000".into(),
            currency: Currency::from_code("CNY").unwrap(),
            ease,
            idle_left: None,
            service: false,
            page: Page::Order(OrderPage::Pay {
                order,
                qr: Some(payload.into()),
                rails: (0..rails).map(rail).collect(),
                seconds_left: 87,
                of_seconds: 90,
                can_extend: rails.is_multiple_of(2),
            }),
        }
    }

    /// From the shortest address to more than any provider's payload, on every panel, with few rails and many.
    #[test]
    fn the_code_is_at_least_45_hundredths_of_the_short_side_with_its_quiet_zone() {
        let texts = Texts::shipped();
        let sizes = [(800, 1280), (480, 800), (768, 1024), (1080, 1920), (1280, 800), (1024, 768), (640, 640)];
        let payloads: Vec<String> =
            (15..=450).step_by(31).map(|length| "https://pay.cn/".repeat(31)[..length].to_owned()).collect();
        let plain = Ease::default();
        let large = Ease { large: true, ..plain };
        let everything = payloads.iter().flat_map(|payload| [("en", plain, payload), ("en", large, payload)]);
        let looks = [plain, large, Ease { contrast: true, ..plain }];
        let languages = ["zh-Hant", "zh-Hans", "en"];
        let looks = languages.into_iter().flat_map(|tag| looks.map(|ease| (tag, ease, &payloads[2])));
        let cases: Vec<_> = everything.chain(looks).collect();
        for (width, height) in sizes {
            for (&(language, ease, payload), rails) in
                cases.iter().flat_map(|case| [1, 3, 8].map(|rails| (case, rails)))
            {
                let view = view(language, ease, payload, rails);
                let sheet = compose(&view, &texts, &Theme::default(), Moment::default(), width, height);
                let code = sheet.nodes.iter().find(|node| matches!(node.draw, Draw::Qr(_))).unwrap().rect;
                let what = format!("{width}x{height} {language} {ease:?} {rails} rails {}", payload.len());
                let inside = code.x >= 0 && code.y >= 0 && code.x + code.w <= width && code.y + code.h <= height;
                assert!(inside, "{what}: {code:?}");
                let (unit, side) = drawn(payload, code.w.min(code.h)).unwrap();
                assert!(side * 100 >= width.min(height) * 45, "{what}: {side} pixels");
                assert!(side + 8 * unit <= code.w.min(code.h), "{what}");
            }
        }
    }

    /// The larger the code, the less is left for fingers; on common panels it is enough.
    #[test]
    fn every_payment_method_can_be_touched() {
        for (width, height) in [(800, 1280), (1280, 800), (600, 1024), (1080, 1920)] {
            for large in [false, true] {
                for rails in 2..=8 {
                    let view = view("en", Ease { large, contrast: false }, &"x".repeat(62), rails);
                    let (texts, theme) = (Texts::shipped(), Theme::default());
                    let sheet = compose(&view, &texts, &theme, Moment::default(), width, height);
                    let finger = width.min(height) * 120 / 800 - 1;
                    let named = sheet.targets.iter().filter(|target| target.name.starts_with("rail:"));
                    assert_eq!(named.clone().count(), rails);
                    for target in sheet.targets.iter() {
                        let rect = target.rect;
                        assert!(rect.w >= finger && rect.h >= finger, "{width}x{height} {rails}: {target:?}");
                        let code = sheet.nodes.iter().find(|node| matches!(node.draw, Draw::Qr(_))).unwrap().rect;
                        let apart = rect.y >= code.y + code.h || rect.x >= code.x + code.w || rect.y + rect.h <= code.y;
                        assert!(apart, "{width}x{height} {rails}: {target:?} and {code:?}");
                    }
                }
            }
        }
    }
}
