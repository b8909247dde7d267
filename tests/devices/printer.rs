//! Receipts on the emulator's paper, over the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kioskd::config;
use kioskd::config::Faces;
use kioskd::config::PaperText;
use kioskd::demo::machine::Timing;
use kioskd::demo::paper::PaperLevel;
use kioskd::printer::{
    CashUpSlip, Item, NotPrinted, Printer, PrinterFault, PrinterStatus, Receipt, Sums, Takings, TestPage, open_port,
};
use kioskd::sale::record::Slip;
use kioskd::sale::view::Outcome;
use kioskd::screen::language::Texts;
use kioskd::screen::text::Typesetter;
use kioskd::vocabulary::fee::Rate;
use kioskd::vocabulary::{ChargeId, Currency, Grant, Language, Money, OrderId, PaymentId};
use kioskd::world::World;

use crate::characters;
use crate::world::TestWorld;

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn config() -> config::Config {
    toml::from_str(include_str!("../../configs/vending.toml")).unwrap()
}

pub struct Bench {
    pub world: TestWorld,
    pub printer: Printer,
    _connection: Arc<World>,
}

pub fn bench(columns: u32) -> Bench {
    let world = TestWorld::with_paper(Timing::default(), columns);
    let connection = world.connect(|_| {});
    let mut config = config().printer;
    config.columns = columns;
    config.timeout.0 = Duration::from_secs(6);
    let fonts = home().join("assets/fonts");
    let typesetter = Typesetter::load(&Faces::shipped(&fonts)).unwrap();
    let port = open_port(&config.port, Some(&connection)).unwrap();
    let printer = Printer::new(&config, port, typesetter, Texts::shipped());
    Bench { world, printer, _connection: connection }
}

/// A sale of two products in the demo's words.
pub fn receipt(tag: &str) -> Receipt {
    let (config, language) = (config(), Language::new(tag));
    let order = OrderId::from_parts(1_763_858_220_000, 0x5eed_0042);
    let item = |nth: usize, quantity| Item {
        name: config.products[nth].name.get(&language).into(),
        quantity,
        price: config.products[nth].price,
        outcome: Outcome::Delivered,
    };
    Receipt {
        merchant: config.kiosk.merchant.get(&language).into(),
        place: config.kiosk.place.get(&language).into(),
        kiosk: config.kiosk.id.clone(),
        order,
        short_code: order.short_code(),
        time: Some("2025-11-23 08:37:00".into()),
        currency: Currency::from_code("CNY").unwrap(),
        items: vec![item(0, 2), item(2, 1)],
        bill: Vec::new(),
        taxes: vec![(Rate::parse("5%").unwrap(), Rate::parse("5%").unwrap().within(1_050))],
        pickup: None,
        amount: 1_050,
        paid: 1_050,
        refunded: 0,
        refund_pending: 0,
        slip: Slip::Receipt,
        rail: config.rails[0].label.get(&language).into(),
        payments: vec![PaymentId::parse(&format!("PAY-{}", ChargeId::of(order, 1))).unwrap()],
        pass: None,
        phone: config.kiosk.phone.clone(),
        language,
    }
}

/// Everything that can go wrong with one order.
fn sad_receipt(tag: &str) -> Receipt {
    let mut receipt = receipt(tag);
    let long = "Very long product name that has to be wrapped 加長加長加長加長加長加長的品名";
    receipt.items[1].outcome = Outcome::NotDelivered;
    receipt.items.push(Item { name: long.into(), quantity: 1, price: 680, outcome: Outcome::Unknown });
    receipt.time = None;
    (receipt.amount, receipt.paid) = (1_730, 3_460);
    (receipt.refunded, receipt.refund_pending, receipt.slip) = (450, 1_730, Slip::Claim);
    receipt.payments.push(PaymentId::parse("4200001234202511230987654321").unwrap());
    receipt
}

/// `KIOSKD_BLESS=1` writes the pictures anew; a person looks at them before they are committed.
pub fn assert_golden(name: &str, png: &[u8]) {
    let golden = home().join("tests/golden/paper").join(name);
    if std::env::var_os("KIOSKD_BLESS").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        return std::fs::write(golden, png).unwrap();
    }
    let dots = |png: &[u8]| image::load_from_memory(png).unwrap().into_luma8();
    let expected = std::fs::read(&golden).unwrap_or_else(|e| panic!("{}: {e}", golden.display()));
    if dots(&expected) != dots(png) {
        let actual = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&actual, png).unwrap();
        panic!("{} differs; what was printed: {}", golden.display(), actual.display());
    }
}

pub fn cuts(bin: &[u8]) -> usize {
    bin.windows(3).filter(|w| w == &[0x1d, b'V', b'B']).count()
}

#[test]
fn the_paper_shows_every_line_in_every_language_and_width() {
    for columns in [384, 576] {
        for tag in ["zh-Hant", "zh-Hans", "en"] {
            let mut bench = bench(columns);
            bench.printer.print(&receipt(tag)).unwrap();
            assert_golden(&format!("{tag}-{columns}.png"), &bench.world.paper.png());
            assert_eq!(cuts(&bench.world.paper.bin()), 1);
            if columns == 384 {
                assert_last_is(&mut bench, &receipt(tag));
            }
        }
    }
    for tag in ["zh-Hant", "en"] {
        let mut bench = bench(384);
        bench.printer.print(&sad_receipt(tag)).unwrap();
        assert_golden(&format!("{tag}-384-claim.png"), &bench.world.paper.png());
    }
}

/// An order of which nothing was kept.
fn refund_receipt(tag: &str) -> Receipt {
    let mut receipt = receipt(tag);
    receipt.items.iter_mut().for_each(|item| item.outcome = Outcome::NotDelivered);
    receipt.taxes.clear();
    (receipt.refund_pending, receipt.slip) = (receipt.paid, Slip::Refund);
    receipt
}

#[test]
fn a_slip_says_what_it_is() {
    for tag in ["zh-Hans", "en"] {
        let mut bench = bench(384);
        bench.printer.print(&refund_receipt(tag)).unwrap();
        assert_golden(&format!("{tag}-384-refund.png"), &bench.world.paper.png());
    }
}

/// What was taken on two rails, with everything a report can have.
fn cash_up(tag: &str) -> CashUpSlip {
    let (config, language) = (config(), Language::new(tag));
    let cny = config.kiosk.currency;
    let sums = |payments, paid, refunds, given_back, fee: Option<i64>| Sums {
        payments,
        paid,
        refunds,
        given_back,
        fee,
        net: paid - given_back - fee.unwrap_or(0),
    };
    let products = config
        .products
        .iter()
        .zip([820, 214, 96])
        .map(|(product, units)| (product.name.get(&language).into(), units, product.price * units));
    let rails = vec![
        ("WeChat Pay".into(), sums(1_180, 512_300, 4, 1_150, Some(3_067))),
        (config.rails[0].label.get(&language).into(), sums(24, 20_000, 0, 0, None)),
    ];
    let code = |number| OrderId::from_parts(1_763_858_220_000, number).short_code();
    CashUpSlip {
        merchant: config.kiosk.merchant.get(&language).into(),
        place: config.kiosk.place.get(&language).into(),
        kiosk: "K0001".into(),
        number: 7,
        copy: false,
        since: Some("2026-11-23 06:00".into()),
        until: None,
        after: (12_061, "4f".repeat(32)),
        end: (24_970, "a07".repeat(22)[..64].into()),
        takings: vec![Takings {
            currency: cny,
            rails,
            total: sums(1_204, 532_300, 4, 1_150, Some(3_067)),
            products: products.collect(),
            outstanding: 300,
        }],
        foreign: vec![("WeChat Pay".into(), Money { amount: 50, currency: Currency::from_code("EUR").unwrap() })],
        granted: vec![(Grant::Free, 2), (Grant::Test, 3)],
        claims: vec![
            (code(1), Money { amount: 300, currency: cny }),
            (code(2), Money { amount: 50, currency: Currency::from_code("EUR").unwrap() }),
        ],
        language,
    }
}

#[test]
fn a_cash_up_is_on_paper_with_every_figure() {
    for (tag, columns, copy) in [("zh-Hant", 384, false), ("zh-Hans", 384, true), ("en", 576, false)] {
        let mut bench = bench(columns);
        bench.printer.print_report(&CashUpSlip { copy, ..cash_up(tag) }).unwrap();
        assert_golden(&format!("{tag}-{columns}-cash-up.png"), &bench.world.paper.png());
        assert_eq!(cuts(&bench.world.paper.bin()), 1);
    }
    // Nothing was taken, and no rail was asked.
    let mut bench = bench(384);
    let mut nothing = cash_up("en");
    let takings = Takings {
        rails: Vec::new(),
        total: Sums { fee: Some(0), ..Sums::default() },
        products: Vec::new(),
        outstanding: 0,
        ..nothing.takings[0].clone()
    };
    nothing.takings = vec![takings];
    (nothing.foreign, nothing.granted, nothing.claims) = (Vec::new(), Vec::new(), Vec::new());
    bench.printer.print_report(&nothing).unwrap();
    assert_golden("en-384-cash-up-empty.png", &bench.world.paper.png());
}

#[test]
fn a_test_page_shows_both_edges_every_kind_of_character_and_a_code() {
    for (tag, columns) in [("zh-Hant", 384), ("en", 576)] {
        let mut bench = bench(columns);
        let page = TestPage {
            language: Language::new(tag),
            kiosk: "K0001".into(),
            place: "Platform 2".into(),
            time: Some("2026-11-29 12:00".into()),
            samples: vec!["Demo Drinks Ltd.".into(), "示範飲料有限公司".into()],
        };
        bench.printer.print_test(&page).unwrap();
        assert_golden(&format!("{tag}-{columns}-test-page.png"), &bench.world.paper.png());
        assert_eq!(cuts(&bench.world.paper.bin()), 1);
    }
}

/// The paper of a printer that is sent characters.
pub fn by_characters(columns: u32, print: impl FnOnce(&mut Printer)) -> characters::Paper {
    let fonts = home().join("assets/fonts");
    let world = TestWorld::with_paper(Timing::default(), columns);
    let connection = world.connect(|_| {});
    let mut config = config().printer;
    (config.columns, config.text) = (columns, PaperText::Gb18030);
    let own = Typesetter::load(&Faces::shipped(&fonts)).unwrap();
    let port = open_port(&config.port, Some(&connection)).unwrap();
    print(&mut Printer::new(&config, port, own, Texts::shipped()));
    let bytes = world.paper.bin();
    let begin = bytes.windows(2).position(|w| w == [0x1b, b'@']).unwrap();
    // Questions about its state come before and after, not in between.
    let end = begin + bytes[begin..].windows(4).rposition(|w| w == [0x1d, b'V', b'B', 0]).unwrap() + 4;
    let mut typesetter = Typesetter::load(&Faces::shipped(&fonts)).unwrap();
    characters::print(&bytes[begin..end], columns, &mut typesetter)
}

/// As characters in place of pictures: what a printer with a Chinese face makes of the bytes.
#[test]
fn characters_stand_in_columns_too() {
    for (tag, columns, receipt) in
        [("zh-Hans", 384, receipt("zh-Hans")), ("zh-Hant", 576, sad_receipt("zh-Hant")), ("en", 384, sad_receipt("en"))]
    {
        let paper = by_characters(columns, |printer| printer.print(&receipt).unwrap());
        let cells = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
        let sums: Vec<usize> = paper.lines.iter().filter(|line| line.contains('×')).map(|line| cells(line)).collect();
        assert!(sums.len() >= 2 && sums.iter().all(|end| *end == columns as usize / 12), "{sums:?}");
        assert_golden(&format!("{tag}-{columns}-gb18030.png"), &paper.png());
    }
}

/// The last piece of the paper is this receipt, whole. A few dots may be added so that no picture holds a command.
fn assert_last_is(bench: &mut Bench, receipt: &Receipt) {
    const TAIL: u32 = 33;
    let picture = bench.printer.picture(receipt);
    let png = image::load_from_memory(&bench.world.paper.png()).unwrap().into_luma8();
    let top = png.height() - TAIL - picture.rows() as u32;
    let dot =
        |x: u32, y: u32| picture.bytes()[y as usize * picture.row_bytes() + x as usize / 8] & (0x80 >> (x % 8)) != 0;
    let (mut missing, mut added) = (0, 0);
    for y in 0..picture.rows() as u32 {
        for x in 0..384 {
            match (dot(x, y), png.get_pixel(24 + x, top + y).0[0] == 0) {
                (true, false) => missing += 1,
                (false, true) => added += 1,
                _ => {}
            }
        }
    }
    assert!(missing == 0 && added < 20, "{missing} dots missing, {added} added");
}

#[test]
fn refused_before_a_dot_is_printed() {
    let mut bench = bench(384);
    let blank = bench.world.paper.png();
    let mut refused = |what: &dyn Fn(&TestWorld), trouble| {
        what(&bench.world);
        assert_eq!(bench.printer.print(&receipt("en")), Err(NotPrinted::Refused(trouble)));
        assert_eq!(bench.printer.status().trouble(), Some(trouble));
        assert!(bench.world.paper.png() == blank);
    };
    refused(&|world| world.paper.set_paper(PaperLevel::Out), PrinterFault::PaperOut);
    refused(&|world| world.paper.set_cover(true), PrinterFault::CoverOpen);
    refused(&|world| world.paper.set_power(false), PrinterFault::NoAnswer);
    bench.world.paper.set_power(true);
    bench.world.paper.set_cover(false);
    bench.world.paper.set_paper(PaperLevel::NearEnd);
    assert_eq!(bench.printer.status(), PrinterStatus::PaperNearEnd);
    assert_eq!(bench.printer.print(&receipt("en")), Ok(()), "near the end is only a warning");
}

#[test]
fn paper_that_ends_in_the_middle_is_no_receipt_and_the_next_one_is_whole() {
    let mut bench = bench(384);
    let picture = bench.printer.picture(&receipt("en"));
    bench.world.paper.out_after_lines(300);
    let began = Instant::now();
    assert_eq!(bench.printer.print(&receipt("en")), Err(NotPrinted::MidJob(PrinterFault::PaperOut)));
    assert!(began.elapsed() < Duration::from_secs(4), "said as soon as the printer is off line");

    // The rest does not come out for whoever puts paper in.
    let half = bench.world.paper.png();
    bench.world.paper.set_paper(PaperLevel::Ok);
    assert!(bench.world.paper.png() == half);

    assert_eq!(bench.printer.print(&receipt("zh-Hant")), Ok(()));
    let png = image::load_from_memory(&bench.world.paper.png()).unwrap().into_luma8();
    let other = bench.printer.picture(&receipt("zh-Hant"));
    // Head, half a receipt, cut; the whole one, cut.
    let expected = 24 + 300 + 33 + other.rows() + 33;
    assert_eq!(png.height() as usize, expected);
    assert!(picture.rows() > 300);
    assert_last_is(&mut bench, &receipt("zh-Hant"));
    assert_golden("after-paper-out.png", &bench.world.paper.png());
}

#[test]
fn a_printer_switched_off_in_the_middle_is_not_believed() {
    let mut bench = bench(384);
    let world = &bench.world;
    world.paper.out_after_lines(100);
    std::thread::scope(|scope| {
        let job = scope.spawn(|| bench.printer.print(&receipt("en")));
        // As soon as the job is in the printer, somebody pulls its plug.
        let deadline = Instant::now() + Duration::from_secs(60);
        while world.paper.bin().len() < 20_000 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        world.paper.set_power(false);
        assert!(matches!(job.join().unwrap(), Err(NotPrinted::MidJob(_))));
    });
    bench.world.paper.set_power(true);
    bench.world.paper.set_paper(PaperLevel::Ok);
    assert_eq!(bench.printer.print(&receipt("en")), Ok(()));
    assert_last_is(&mut bench, &receipt("en"));
}
