//! Views to paint: every page once with something on it, and the same with the most that it can be asked to hold.

use jiff::civil::date;
use kioskd::operation::Refusal;
use kioskd::sale::dialogue::*;
use kioskd::sale::presented::{CodeKind, TicketCounter, TicketDeed};
use kioskd::sale::view::*;
use kioskd::vocabulary::{CategoryId, Cause, Currency, Language, OrderId, ProductId, RailName, ShortCode, SlotId};

use crate::{LANGUAGES, PAYLOAD, root};

fn pick<'a>(language: &str, texts: [&'a str; 3]) -> &'a str {
    texts[LANGUAGES.iter().position(|tag| *tag == language).unwrap()]
}

fn tiles(language: &str) -> Vec<Tile> {
    let tile = |id: &str, names: [&str; 3], price, available| Tile {
        product: ProductId::parse(id).unwrap(),
        name: pick(language, names).into(),
        price,
        available,
        picture: Some(root().join("assets/pictures").join(format!("{id}.png"))),
    };
    vec![
        tile("cola", ["可樂 330 毫升", "可乐 330 毫升", "Cola 330 ml"], 300, 16),
        tile("water", ["礦泉水 500 毫升", "矿泉水 500 毫升", "Water 500 ml"], 200, 8),
        tile("tea", ["烏龍茶", "乌龙茶", "Oolong tea"], 450, 0),
        tile("chips", ["洋芋片", "薯片", "Potato chips"], 550, 6),
        tile("noodles", ["速食麵", "方便面", "Instant noodles"], 680, 6),
        tile("umbrella", ["摺傘", "折叠伞", "Umbrella"], 2_900, 4),
    ]
}

fn order(language: &str, state: OrderState, outcomes: [Outcome; 2], refunded: i64, refund_pending: i64) -> OrderView {
    let items = tiles(language).into_iter().zip(outcomes).map(|(tile, outcome)| ItemView {
        name: tile.name,
        price: tile.price,
        outlet: Some("A1".into()),
        outcome,
    });
    let short_code = ShortCode::parse("204857").unwrap();
    OrderView {
        short_code,
        pickup: None,
        state,
        amount: 500,
        paid: 500,
        refunded,
        refund_pending,
        items: items.collect(),
        stay: None,
        settled: None,
    }
}

fn counter(does: TicketDeed) -> TicketCounter {
    TicketCounter { does, free: Some(12), full: false, typed: true, lost: true }
}

fn advice(text: &'static str, call: bool) -> AdviceView {
    let at = ToldView::At(date(2026, 11, 30).at(14, 5, 0, 0));
    AdviceView { text, with: vec![("lane", ToldView::Text("exit-1".into())), ("at", at)], call }
}

fn stay(language: &str) -> StayView {
    let line = |texts: [&str; 3], amount| LineView { text: pick(language, texts).into(), amount };
    StayView {
        number: Some("01-0000001-1".into()),
        plate: Some("B48271".into()),
        class: None,
        entry: Some(date(2026, 11, 30).at(12, 5, 0, 0)),
        doubt: 0,
        asked: date(2026, 11, 30).at(14, 35, 0, 0),
        minutes: 150,
        lines: vec![
            line(["日間：1 × 1 小時，每次 ¥6.00", "白天：1 × 1 小时，每次 ¥6.00", "Day: 1 × 1 h at ¥6.00"], 600),
            line(["日間：3 × 30 分鐘，每次 ¥4.00", "白天：3 × 30 分钟，每次 ¥4.00", "Day: 3 × 30 min at ¥4.00"], 1_200),
            line(["優惠：50%", "优惠：50%", "Validated: 50%"], -900),
        ],
        paid: 0,
        amount: 900,
        until: None,
    }
}

fn buttons(verbs: &[&'static str]) -> Vec<MenuButton> {
    verbs
        .iter()
        .map(|verb| MenuButton { verb: MenuVerb::of(verb), enabled: !["full", "pulse"].contains(verb) })
        .collect()
}

/// A full page of slots, the second of them faulty.
fn slots(language: &str) -> Vec<SlotView> {
    let names = ["A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2"].into_iter();
    let slot = |(name, tile): (&str, Tile)| SlotView {
        slot: SlotId::parse(name).unwrap(),
        product: tile.name,
        count: tile.available.min(8),
        capacity: 8,
        fault: (name == "A2").then_some(Cause::MotorNotHome),
    };
    names.zip(tiles(language).into_iter().cycle()).map(slot).collect()
}

/// Every page once, with something on it.
pub fn pages(language: &str) -> Vec<Page> {
    use Outcome::{Delivered, NotDelivered, Pending};
    let tiles = tiles(language);
    let line = |index: usize, quantity| BasketLine {
        product: tiles[index].product.clone(),
        name: tiles[index].name.clone(),
        quantity,
        price: tiles[index].price,
    };
    let basket = vec![line(0, 2), line(3, 1)];
    let order = |state, outcomes, refunded, pending| order(language, state, outcomes, refunded, pending);
    let waiting = order(OrderState::WaitingPayment, [Pending; 2], 0, 0);
    let claim = |nth: u128| ClaimView {
        id: OrderId::from_parts(1_795_392_000_000, nth),
        order: OrderView { ..order(OrderState::Claim, [Outcome::Unknown, Delivered], 0, 300) },
        why: Cause::DeliveryUnknown { detail: Box::new(Cause::SensorFailed) },
    };
    let rails = vec![RailTab {
        name: RailName::parse("sandbox").unwrap(),
        up: true,
        label: pick(language, ["示範錢包", "示范钱包", "Demo Wallet"]).into(),
        chosen: true,
    }];
    let receipt = "kioskd K0001 204857 500 CNY cola 300 water 200 2026-11-23 12:00:00 https://example.com/r/204857";
    vec![
        Page::Shop(ShopPage::Attract { tiles: tiles.clone() }),
        Page::Shop(ShopPage::Choose {
            tiles: tiles.clone(),
            categories: Vec::new(),
            page: 0,
            pages: 1,
            basket: basket.clone(),
            total: 1_150,
        }),
        Page::Shop(ShopPage::Basket { product: tiles[0].clone(), basket, total: 1_150, can_add: true }),
        Page::Shop(ShopPage::Confirm { code: "7306".into(), entered: "73".into(), total: 1_150, wrong: false }),
        Page::Order(OrderPage::Pay {
            order: waiting,
            qr: Some(PAYLOAD.into()),
            rails,
            seconds_left: 87,
            of_seconds: 90,
            can_extend: true,
        }),
        Page::Order(OrderPage::Delivering {
            order: order(OrderState::Delivering, [Delivered, Pending], 0, 0),
            code: None,
            receipt: ReceiptView::None,
        }),
        Page::Order(OrderPage::Thanks {
            order: order(OrderState::PartlyDelivered, [Delivered, NotDelivered], 0, 200),
            receipt: ReceiptView::Code(receipt.into()),
            code: None,
        }),
        Page::Order(OrderPage::Thanks {
            order: OrderView {
                stay: Some(StayKind { comes: false, gate: false, paid: true }),
                ..order(OrderState::Delivered, [Delivered, Delivered], 0, 0)
            },
            receipt: ReceiptView::Printed,
            code: Some(CodeView {
                kind: CodeKind::ExitPass,
                code: "5067649209925632".repeat(13)[..202].into(),
                number: "01-0000001-1".into(),
                until: Some(date(2026, 11, 30).at(14, 35, 0, 0)),
            }),
        }),
        Page::Stay(StayPage::Ticket { counter: counter(TicketDeed::Pay), advice: Some(advice("stay-left", true)) }),
        Page::Stay(StayPage::Full { advice: None }),
        Page::Stay(StayPage::Number { entered: "010000".into(), advice: Some(advice("number-wrong", false)) }),
        Page::Stay(StayPage::Plate { entered: "B48271".into(), digits: false, found: Vec::new(), advice: None }),
        Page::Stay(StayPage::Stay { stay: stay(language), advice: None }),
        Page::Stay(StayPage::Lost { stay: StayView { number: None, entry: None, ..stay(language) } }),
        Page::Order(OrderPage::Expired { order: order(OrderState::Expired, [Pending; 2], 0, 0) }),
        Page::Order(OrderPage::Cancelled {
            order: order(OrderState::Cancelled, [Pending; 2], 0, 0),
            why: Some(StopReason::DoorOpen),
        }),
        Page::Order(OrderPage::Refunded {
            order: order(OrderState::Refunding, [NotDelivered; 2], 0, 500),
            receipt: ReceiptView::Printed,
        }),
        Page::Order(OrderPage::Claim {
            order: order(OrderState::Claim, [Outcome::Unknown, Delivered], 0, 0),
            receipt: ReceiptView::Printing,
        }),
        Page::Lookup(LookupPage::Lookup {
            entered: "204857".into(),
            found: Some(order(OrderState::PartlyDelivered, [Delivered, NotDelivered], 200, 0)),
            not_found: false,
        }),
        Page::Pin(PinPage::Pin { typed: 3, state: PinState::Typing }),
        Page::Menu(MenuPage::Menu {
            reasons: vec![StopReason::Locked("service menu".into()), StopReason::DoorOpen],
            faults: 1,
            claims: 2,
            buttons: buttons(&["unlock", "maintain", "refill", "cash-up", "print-test", "reboot"]),
            said: Some(SaidView { verb: MenuVerb::of("lock"), came: Came::Done }),
        }),
        Page::Menu(MenuPage::Slots { slots: slots(language), page: 0, pages: 3 }),
        Page::Menu(MenuPage::Slot {
            slot: slots(language).swap_remove(1),
            buttons: buttons(&["less", "more", "full", "test", "pulse"]),
            said: Some(SaidView {
                verb: MenuVerb::of("test"),
                came: Came::Refused(Refusal::CannotDeliver { reason: StopReason::DoorOpen }),
            }),
        }),
        Page::Menu(MenuPage::Claims {
            claims: vec![claim(1), claim(2), claim(3)],
            page: 0,
            pages: 2,
            said: Some(SaidView { verb: MenuVerb::of("paid-outside"), came: Came::Done }),
        }),
        Page::Menu(MenuPage::Claim { claim: claim(1), buttons: buttons(&["delivered", "paid-outside", "refund"]) }),
        Page::Menu(MenuPage::Sure { verb: MenuVerb::of("refund"), claim: Some(claim(1)) }),
        Page::OutOfService {
            reasons: vec![StopReason::DoorOpen, StopReason::RailDown],
            last_claim: ShortCode::parse("204857"),
        },
        Page::NotStarted {
            why: "/etc/kioskd/kiosk.toml:7:12: unknown currency `RMB`; write its ISO 4217 code, like \"CNY\"\n\
                  /etc/kioskd/kiosk.toml:28:8: line `slot-A11` is used nowhere; did you mean `slot-A1`?"
                .into(),
        },
    ]
}

pub fn view(language: &str, page: Page) -> View {
    View {
        language: Language::new(language),
        languages: LANGUAGES.map(Language::new).to_vec(),
        place: pick(language, ["示範車站 2 號月台", "示范车站 2 号站台", "Platform 2, Demo Station"]).into(),
        phone: "400-000-0000".into(),
        currency: Currency::from_code("CNY").unwrap(),
        ease: Ease::default(),
        idle_left: None,
        service: matches!(page, Page::Shop(ShopPage::Attract { .. }) | Page::OutOfService { .. }),
        page,
    }
}

/// What the configuration allows at most: names of 200 characters in one word, in Chinese and mixed, amounts of ten digits,
/// eight payment methods, eleven categories.
pub fn stretched(mut page: Page) -> Page {
    let names =
        ["W".repeat(200), "很長的商品名稱".repeat(29)[..597].to_owned(), "Long 長い \u{2068}ab\u{2069} ".repeat(14)];
    let name = |index: usize| names[index % 3].clone();
    const PRICE: i64 = 9_999_999_999;
    let order = |order: &mut OrderView| {
        (order.amount, order.paid, order.pickup) = (PRICE, PRICE, Some("A-9999".into()));
        order.refunded = order.refunded.signum() * PRICE;
        order.refund_pending = order.refund_pending.signum() * PRICE;
        let item = order.items[0].clone();
        order.items = (0..12).map(|index| ItemView { name: name(index), price: PRICE, ..item.clone() }).collect();
    };
    let basket_of = |basket: &mut Vec<BasketLine>| {
        let line = basket[0].clone();
        *basket =
            (0..12).map(|index| BasketLine { name: name(index), price: PRICE, quantity: 99, ..line.clone() }).collect();
    };
    match &mut page {
        Page::Shop(ShopPage::Attract { tiles }) => {
            tiles.iter_mut().enumerate().for_each(|(index, tile)| (tile.name, tile.price) = (name(index), PRICE));
        }
        Page::Shop(ShopPage::Choose { tiles, basket, total, categories, pages, .. }) => {
            tiles.iter_mut().enumerate().for_each(|(index, tile)| (tile.name, tile.price) = (name(index), PRICE));
            basket_of(basket);
            (*total, *pages) = (PRICE * 1_200, 99);
            let id = |index: usize| CategoryId::parse(&format!("c{index}"));
            let tab = |index: usize| CategoryTab { category: id(index), label: name(index), chosen: index == 0 };
            *categories = (0..12).map(tab).collect();
        }
        Page::Shop(ShopPage::Basket { product, basket, total, .. }) => {
            (product.name, product.price, *total) = (name(1), PRICE, PRICE * 1_200);
            basket_of(basket);
        }
        Page::Shop(ShopPage::Confirm { total, .. }) => *total = PRICE * 1_200,
        Page::Order(OrderPage::Pay { order: shown, rails, .. }) => {
            order(shown);
            let rail = rails[0].clone();
            let tab = |index: usize| RailTab {
                name: RailName::parse(&format!("r{index}")).unwrap(),
                label: name(index),
                chosen: index == 0,
                ..rail.clone()
            };
            *rails = (0..8).map(tab).collect();
        }
        Page::Order(OrderPage::Delivering { order: shown, .. })
        | Page::Order(OrderPage::Thanks { order: shown, .. })
        | Page::Order(OrderPage::Expired { order: shown })
        | Page::Order(OrderPage::Cancelled { order: shown, .. })
        | Page::Order(OrderPage::Refunded { order: shown, .. })
        | Page::Order(OrderPage::Claim { order: shown, .. })
        | Page::Lookup(LookupPage::Lookup { found: Some(shown), .. }) => order(shown),
        Page::Lookup(LookupPage::Lookup { found: None, .. }) => {}
        Page::Stay(StayPage::Stay { stay, .. } | StayPage::Lost { stay }) => {
            stay.lines = (0..40).map(|index| LineView { text: name(index), amount: PRICE }).collect();
            (stay.amount, stay.paid, stay.minutes) = (PRICE, PRICE, 3_000_000);
            (stay.plate, stay.class) = (Some("WWWWWWWWWW".into()), Some(name(0)));
        }
        Page::Stay(StayPage::Plate { found, .. }) => {
            let one = |index: usize| MatchView {
                plate: "WWWWWWWWWW".into(),
                number: format!("01-000000{index}-1"),
                entry: Some(date(2026, 11, 30).at(12, 5, 0, 0)),
            };
            *found = (1..5).map(one).collect();
        }
        Page::Stay(StayPage::Ticket { .. } | StayPage::Full { .. } | StayPage::Number { .. }) => {}
        Page::Pin(PinPage::Pin { typed, .. }) => *typed = 12,
        Page::Menu(menu) => match menu {
            MenuPage::Menu { reasons, faults, claims, buttons, .. } => {
                *reasons = vec![StopReason::Locked(name(2)), StopReason::DoorOpen, StopReason::GlassDark(name(0))];
                (*faults, *claims) = (999, 999);
                // Where there is a gate.
                let gate = ["raise", "keep-open", "release"].map(MenuVerb::of);
                buttons.extend(gate.map(|verb| MenuButton { verb, enabled: true }));
            }
            MenuPage::Slots { slots, pages, .. } => {
                *pages = 99;
                for (index, slot) in slots.iter_mut().enumerate() {
                    slot.slot = SlotId::parse(&format!("S{index}-{}", "W".repeat(13))).unwrap();
                    (slot.product, slot.count, slot.capacity) = (name(index), 1_000, 1_000);
                }
            }
            MenuPage::Slot { slot, said, .. } => {
                slot.slot = SlotId::parse(&"W".repeat(16)).unwrap();
                (slot.product, slot.count, slot.capacity) = (name(1), 1_000, 1_000);
                slot.fault = Some(Cause::Board { detail: name(2) });
                let came = Came::Failed(Cause::Board { detail: name(0) });
                *said = Some(SaidView { verb: MenuVerb::of("paid-outside"), came });
            }
            MenuPage::Claims { claims, .. } => {
                let one = claims[0].clone();
                *claims = vec![one; 4];
                for (index, claim) in claims.iter_mut().enumerate() {
                    order(&mut claim.order);
                    claim.id = OrderId::from_parts(1, index as u128);
                    claim.why = Cause::RefundRefused { code: name(0), detail: name(2) };
                }
            }
            MenuPage::Claim { claim, .. } | MenuPage::Sure { claim: Some(claim), .. } => {
                order(&mut claim.order);
                claim.why = Cause::RefundRefused { code: name(0), detail: name(2) };
            }
            MenuPage::Sure { claim: None, .. } => {}
        },
        Page::OutOfService { reasons, .. } => {
            let (word, sentence) = (name(0), name(2));
            *reasons = vec![
                StopReason::Locked(sentence),
                StopReason::DoorOpen,
                StopReason::Tamper,
                StopReason::BoardDown,
                StopReason::GlassDark(word.clone()),
                StopReason::TouchDown(word),
                StopReason::RailDown,
                StopReason::OutboxFull,
            ];
        }
        Page::NotStarted { why } => *why = vec![why.clone(); 20].join("\n"),
    }
    page
}
