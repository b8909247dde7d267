//! The glass: how long from a view to pixels. `cargo bench --bench screen`.

use std::path::Path;
use std::time::{Duration, Instant};

use kioskd::config::Faces;
use kioskd::config::Theme;
use kioskd::sale::dialogue::{Ease, OrderPage, Page, RailTab, ShopPage, Tile, View};
use kioskd::sale::view::{OrderState, OrderView};
use kioskd::screen::Glass;
use kioskd::screen::text::Typesetter;
use kioskd::vocabulary::{Currency, Language, ProductId, RailName, ShortCode};

fn glass() -> Glass {
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts");
    let type_ = Typesetter::load(&Faces::shipped(&fonts)).expect("the shipped fonts load");
    Glass::new(1280, 800, type_, Theme::default())
}

fn view(page: Page) -> View {
    View {
        language: Language::new("zh-Hant"),
        languages: ["zh-Hant", "zh-Hans", "en"].map(Language::new).to_vec(),
        place: "示範車站 2 號月台".into(),
        phone: "400-000-0000".into(),
        currency: Currency::from_code("CNY").expect("a currency"),
        ease: Ease::default(),
        idle_left: None,
        service: false,
        page,
    }
}

fn attract() -> View {
    let products = [
        ("cola", "可樂 330 毫升"),
        ("water", "礦泉水 500 毫升"),
        ("tea", "烏龍茶"),
        ("chips", "洋芋片"),
        ("noodles", "速食麵"),
        ("umbrella", "摺傘"),
    ];
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pictures");
    let tile = |(id, name): &(&str, &str)| Tile {
        product: ProductId::parse(id).expect("a product"),
        name: (*name).into(),
        price: 300,
        available: 5,
        picture: Some(pictures.join(format!("{id}.png"))),
    };
    view(Page::Shop(ShopPage::Attract { tiles: products.iter().map(tile).collect() }))
}

fn pay(order: u32, seconds_left: u64) -> View {
    let order_view = OrderView {
        stay: None,
        short_code: ShortCode::parse(&format!("{order:06}")).expect("six digits"),
        pickup: None,
        state: OrderState::WaitingPayment,
        amount: 300,
        paid: 0,
        refunded: 0,
        refund_pending: 0,
        items: Vec::new(),
        settled: None,
    };
    view(Page::Order(OrderPage::Pay {
        order: order_view,
        qr: Some(format!("weixin://wxpay/bizpayurl?pr={order:09}")),
        rails: vec![RailTab {
            name: RailName::parse("sandbox").unwrap(),
            label: "示範錢包".into(),
            chosen: true,
            up: true,
        }],
        seconds_left,
        of_seconds: 90,
        can_extend: true,
    }))
}

fn report(what: &str, limit: Duration, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (p50, p99) = (at(0.5), at(0.99));
    println!(
        "{what:<44} p50 {p50:>9.2?}  p99 {p99:>9.2?}  to reach {limit:?}  p99/limit {:.2}",
        p99.as_secs_f64() / limit.as_secs_f64()
    );
}

fn timed(runs: u32, mut run: impl FnMut(u32)) -> Vec<Duration> {
    (0..runs)
        .map(|index| {
            let start = Instant::now();
            run(index);
            start.elapsed()
        })
        .collect()
}

fn main() {
    let cold = timed(20, |_| {
        glass().show(&attract());
    });
    report("fonts, pictures and first page", Duration::from_millis(100), cold);

    let mut glass = glass();
    glass.show(&attract());
    let (mut changes, mut pages) = (Vec::new(), Vec::new());
    for order in 0..300 {
        // Alternating with another page, so that the whole page and a code never seen are painted each time.
        changes.extend(timed(1, |_| {
            glass.show(&pay(order, 90));
        }));
        pages.extend(timed(1, |_| {
            glass.show(&attract());
        }));
    }
    report("page with six pictures", Duration::from_micros(16_700), pages);
    report("new QR to pixels, 1280x800, Chinese text", Duration::from_micros(16_700), changes);

    glass.show(&pay(1, 100_000));
    let ticks = timed(500, |index| {
        glass.show(&pay(1, u64::from(99_999 - index)));
    });
    report("count-down tick", Duration::from_millis(1), ticks);

    let still = pay(1, 7);
    glass.show(&still);
    let nothing = timed(500, |_| {
        assert!(glass.show(&still).damage.is_empty());
    });
    report("the same view again", Duration::from_millis(1), nothing);
}
