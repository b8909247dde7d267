//! The glass by its pixels: every page as a golden picture, codes read by an independent decoder, and incremental painting
//! compared with painting anew. `KIOSKD_WRITE=1` accepts what is drawn now.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use kioskd::sale::view::*;
use kioskd::screen::text::Typesetter;
use kioskd::screen::{Glass, Shown};
use kioskd::vocabulary::{Currency, Language, ProductId, RailName, ShortCode};
use proptest::prelude::*;

const SIZES: [(u32, u32); 2] = [(1280, 800), (800, 1280)];
const LANGUAGES: [&str; 3] = ["zh-Hant", "zh-Hans", "en"];
const PAYLOAD: &str = "kioskpay://sandbox/01JAQ3Z5T4E8Q2W6R9Y1U3I5O7_1?code=204857";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn glass(width: u32, height: u32) -> Glass {
    let fonts = root().join("assets/fonts");
    let type_ = Typesetter::load(&fonts.join("kioskd-sans-sc.otf"), &fonts.join("kioskd-sans-tc.otf")).unwrap();
    Glass::new(width, height, type_)
}

fn pick<'a>(language: &str, texts: [&'a str; 3]) -> &'a str {
    texts[LANGUAGES.iter().position(|tag| *tag == language).unwrap()]
}

fn tiles(language: &str) -> Vec<Tile> {
    let tile = |id: &str, names: [&str; 3], price, available| Tile {
        product: ProductId::parse(id).unwrap(),
        name: pick(language, names).into(),
        price,
        available,
        picture: None,
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
        slot: Some("A1".into()),
        outcome,
    });
    let short_code = ShortCode::parse("204857").unwrap();
    OrderView { short_code, state, amount: 500, paid: 500, refunded, refund_pending, items: items.collect() }
}

/// Every page once, with something on it.
fn pages(language: &str) -> Vec<Page> {
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
    let rails = vec![RailTab {
        name: RailName::parse("sandbox").unwrap(),
        up: true,
        label: pick(language, ["示範錢包", "示范钱包", "Demo Wallet"]).into(),
        chosen: true,
    }];
    let receipt = "kioskd K0001 204857 500 CNY cola 300 water 200 2026-11-23 12:00:00 https://example.com/r/204857";
    vec![
        Page::Attract { tiles: tiles.clone() },
        Page::Choose { tiles: tiles.clone(), basket: basket.clone(), total: 1_150 },
        Page::Basket { product: tiles[0].clone(), basket, total: 1_150, can_add: true },
        Page::Confirm { code: "7306".into(), entered: "73".into(), total: 1_150, wrong: false },
        Page::Pay { order: waiting, qr: Some(PAYLOAD.into()), rails, seconds_left: 87, can_extend: true },
        Page::Delivering { order: order(OrderState::Delivering, [Delivered, Pending], 0, 0) },
        Page::Thanks {
            order: order(OrderState::PartlyDelivered, [Delivered, NotDelivered], 0, 200),
            receipt: ReceiptView::Code(receipt.into()),
        },
        Page::Expired { order: order(OrderState::Expired, [Pending; 2], 0, 0) },
        Page::Cancelled { order: order(OrderState::Cancelled, [Pending; 2], 0, 0), why: Some(StopReason::DoorOpen) },
        Page::Refunded {
            order: order(OrderState::Refunding, [NotDelivered; 2], 0, 500),
            receipt: ReceiptView::Printed,
        },
        Page::Claim {
            order: order(OrderState::Claim, [Outcome::Unknown, Delivered], 0, 0),
            receipt: ReceiptView::Printing,
        },
        Page::Lookup {
            entered: "204857".into(),
            found: Some(order(OrderState::PartlyDelivered, [Delivered, NotDelivered], 200, 0)),
            not_found: false,
        },
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

fn view(language: &str, page: Page) -> View {
    View {
        language: Language::new(language),
        languages: LANGUAGES.map(Language::new).to_vec(),
        place: pick(language, ["示範車站 2 號月台", "示范车站 2 号站台", "Platform 2, Demo Station"]).into(),
        phone: "400-000-0000".into(),
        currency: Currency::from_code("CNY").unwrap(),
        page,
    }
}

fn png(glass: &Glass, path: &Path) {
    let frame = glass.frame();
    let rgb = frame.pixels.iter().flat_map(|p| [(p >> 16) as u8, (p >> 8) as u8, *p as u8]).collect();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = image::RgbImage::from_raw(frame.width as u32, frame.height as u32, rgb).unwrap();
    let file = std::fs::File::create(path).unwrap();
    // Flat pages are small this way; the goldens are part of the repository.
    let (compression, filter) = (CompressionType::Best, FilterType::NoFilter);
    picture.write_with_encoder(PngEncoder::new_with_quality(file, compression, filter)).unwrap();
}

fn same_as_golden(glass: &Glass, name: &str) -> Result<(), String> {
    let golden = root().join("tests/golden/screen").join(format!("{name}.png"));
    if std::env::var_os("KIOSKD_WRITE").is_some() {
        png(glass, &golden);
        return Ok(());
    }
    let actual = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screen").join(format!("{name}.png"));
    png(glass, &actual);
    let read =
        |path: &Path| image::open(path).map(image::DynamicImage::into_rgb8).map_err(|e| format!("{path:?}: {e}"));
    if read(&golden)? == read(&actual)? { Ok(()) } else { Err(format!("{golden:?} is not what is drawn: {actual:?}")) }
}

/// Wide in Traditional Chinese, tall in English, and the pay page in every language and both.
#[test]
fn every_page_looks_as_it_did() {
    let mut wrong = Vec::new();
    for ((width, height), language) in SIZES.into_iter().zip(["zh-Hant", "en"]) {
        for page in pages(language) {
            let name = format!("{}-{language}-{width}x{height}", page.name());
            let mut glass = glass(width, height);
            glass.show(&view(language, page));
            wrong.extend(same_as_golden(&glass, &name).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_payment_code_is_read_by_zbar_in_every_language_and_orientation() {
    for (width, height) in SIZES.into_iter().chain([(480, 800), (1024, 600), (1920, 1080)]) {
        for language in LANGUAGES {
            let mut glass = glass(width, height);
            let pay = pages(language).into_iter().find(|page| page.name() == "pay").unwrap();
            glass.show(&view(language, pay));
            let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
            png(&glass, file.path());
            let read = Command::new("zbarimg").args(["--raw", "-q"]).arg(file.path()).output().expect("zbar-tools");
            let text = String::from_utf8_lossy(&read.stdout);
            assert_eq!(text.trim(), PAYLOAD, "{language} {width}x{height}");
            if (width, height) == SIZES[0] || (width, height) == SIZES[1] {
                same_as_golden(&glass, &format!("pay-{language}-{width}x{height}")).unwrap();
            }
        }
    }
}

#[test]
fn targets_lie_on_the_panel_and_do_not_overlap() {
    for (width, height) in
        SIZES.into_iter().chain([(480, 800), (480, 320), (640, 480), (640, 640), (800, 720), (4096, 2160)])
    {
        for language in LANGUAGES {
            for page in pages(language) {
                let name = page.name();
                let targets = glass(width, height).show(&view(language, page)).targets;
                for (index, target) in targets.iter().enumerate() {
                    let r = target.rect;
                    let inside = r.x >= 0 && r.y >= 0 && r.x + r.w <= width as i32 && r.y + r.h <= height as i32;
                    assert!(inside && r.w >= 40 && r.h >= 20, "{name}: {target:?}");
                    // A finger's width on a 10-inch panel; the name of the only rail needs no touching.
                    let finger = SIZES.contains(&(width, height)) && !target.name.starts_with("rail:");
                    assert!(!finger || (r.w >= 120 && r.h >= 120), "{name}: {target:?} is small");
                    for other in &targets[index + 1..] {
                        let o = other.rect;
                        let apart = r.x + r.w <= o.x || o.x + o.w <= r.x || r.y + r.h <= o.y || o.y + o.h <= r.y;
                        assert!(apart, "{name}: {target:?} and {other:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_same_view_costs_nothing_and_a_tick_only_its_own_place() {
    let mut glass = glass(1280, 800);
    let Some(Page::Pay { order, qr, rails, can_extend, .. }) =
        pages("en").into_iter().find(|page| page.name() == "pay")
    else {
        panic!("there is a pay page")
    };
    let at = |seconds_left| {
        let (order, qr, rails) = (order.clone(), qr.clone(), rails.clone());
        view("en", Page::Pay { order, qr, rails, seconds_left, can_extend })
    };
    assert!(!glass.show(&at(87)).damage.is_empty());
    assert_eq!(glass.show(&at(87)).damage, vec![]);
    let tick = glass.show(&at(86)).damage;
    let area: i32 = tick.iter().map(|rect| rect.w * rect.h).sum();
    assert!(tick.len() == 1 && area < 1280 * 800 / 20, "{tick:?}");
}

/// A panel with another mode was plugged in.
#[test]
fn a_glass_of_another_size_looks_like_a_new_one() {
    let mut changing = glass(1280, 800);
    for (width, height) in [(640, 480), (640, 480), (800, 1280), (1280, 800)] {
        changing.resize(width, height);
        for page in pages("zh-Hant").into_iter().take(3) {
            changing.show(&view("zh-Hant", page.clone()));
            let mut new = glass(width, height);
            new.show(&view("zh-Hant", page));
            assert!(changing.frame() == new.frame(), "{width}x{height}");
        }
    }
    assert!(changing.show(&view("zh-Hant", pages("zh-Hant").swap_remove(2))).damage.is_empty());
    changing.resize(1280, 800);
    assert!(changing.show(&view("zh-Hant", pages("zh-Hant").swap_remove(2))).damage.is_empty(), "the same size");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However a page came to be on the glass, it looks as if painted on an empty one.
    #[test]
    fn incremental_painting_leaves_nothing_behind(
        steps in proptest::collection::vec((0usize..13, 0usize..3, any::<bool>()), 2..6)
    ) {
        let mut glass = glass(640, 400);
        for (page, language, blank) in steps {
            let language = LANGUAGES[language];
            let mut page = pages(language).swap_remove(page);
            if let (Page::Pay { qr, .. }, true) = (&mut page, blank) {
                *qr = None;
            }
            let Shown { damage, .. } = glass.show(&view(language, page.clone()));
            let mut anew = self::glass(640, 400);
            anew.show(&view(language, page.clone()));
            prop_assert!(glass.frame() == anew.frame(), "{}: {damage:?}", page.name());
        }
    }
}
