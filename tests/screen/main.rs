//! The glass by its pixels: every page as a golden picture, codes read by an independent decoder, and incremental painting
//! compared with painting anew. `KIOSKD_WRITE=1` accepts what is drawn now.

mod samples;

use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use kioskd::config::Faces;
use kioskd::config::{Palette, Theme};
use kioskd::kiosk::check;
use kioskd::sale::dialogue::*;
use kioskd::screen::text::Typesetter;
use kioskd::screen::{Glass, Moment, Shown};
use kioskd::vocabulary::Language;
use proptest::prelude::*;
use ring::digest::{SHA256, digest};
use samples::{pages, stretched, view};

const SIZES: [(u32, u32); 2] = [(1280, 800), (800, 1280)];
const LANGUAGES: [&str; 3] = ["zh-Hant", "zh-Hans", "en"];
const PAYLOAD: &str = "kioskpay://sandbox/01JAQ3Z5T4E8Q2W6R9Y1U3I5O7_1?code=204857";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn glass(width: u32, height: u32) -> Glass {
    glass_with(width, height, Theme::default())
}

fn glass_with(width: u32, height: u32, theme: Theme) -> Glass {
    let fonts = root().join("assets/fonts");
    let type_ = Typesetter::load(&Faces::shipped(&fonts)).unwrap();
    Glass::new(width, height, type_, theme)
}

/// What another decoder than zbar reads.
fn decoded(glass: &Glass) -> Vec<String> {
    let gray = image::DynamicImage::from(rgb(glass)).into_luma8();
    let (width, height) = (gray.width() as usize, gray.height() as usize);
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| gray.get_pixel(x as u32, y as u32).0[0]);
    picture.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect()
}

fn same_as_golden(glass: &Glass, name: &str) -> Result<(), String> {
    same_picture(&rgb(glass), name)
}

fn same_picture(drawn: &image::RgbImage, name: &str) -> Result<(), String> {
    let golden = root().join("tests/golden/screen").join(format!("{name}.png"));
    if std::env::var_os("KIOSKD_WRITE").is_some() {
        save(drawn, &golden);
        return Ok(());
    }
    let actual = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screen").join(format!("{name}.png"));
    save(drawn, &actual);
    let read =
        |path: &Path| image::open(path).map(image::DynamicImage::into_rgb8).map_err(|e| format!("{path:?}: {e}"));
    if read(&golden)? == read(&actual)? { Ok(()) } else { Err(format!("{golden:?} is not what is drawn: {actual:?}")) }
}

/// How the glass can look, beside its language and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Look {
    Light,
    Dark,
    Contrast,
    Large,
}

const LOOKS: [Look; 4] = [Look::Light, Look::Dark, Look::Contrast, Look::Large];

fn looking(look: Look, width: u32, height: u32) -> Glass {
    let palette = if look == Look::Dark { Palette::DARK } else { Palette::LIGHT };
    glass_with(width, height, Theme { palette, ..Theme::default() })
}

fn eased(look: Look, view: View) -> View {
    View { ease: Ease { large: look == Look::Large, contrast: look == Look::Contrast }, ..view }
}

fn rgb(glass: &Glass) -> image::RgbImage {
    let frame = glass.frame();
    let rgb = frame.pixels.iter().flat_map(|p| [(p >> 16) as u8, (p >> 8) as u8, *p as u8]).collect();
    image::RgbImage::from_raw(frame.width as u32, frame.height as u32, rgb).unwrap()
}

fn save(picture: &image::RgbImage, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    picture
        .write_with_encoder(PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive))
        .unwrap();
}

/// Every page in every language, size and look, by the hash of its pixels. What is accepted is drawn small on the sheets
/// in `docs/`, to be looked at.
#[test]
fn every_pixel_of_every_page_is_as_it_was_looked_at() {
    let list = root().join("tests/golden/screen/pixels.txt");
    let known = std::fs::read_to_string(&list).unwrap_or_default();
    let known: std::collections::BTreeMap<&str, &str> = known.lines().filter_map(|line| line.split_once(' ')).collect();
    let write = std::env::var_os("KIOSKD_WRITE").is_some();
    let (mut hashes, mut wrong) = (String::new(), Vec::new());
    for look in LOOKS {
        for (width, height) in SIZES {
            let (small_w, small_h) = (width / 4, height / 4);
            let count = pages("en").len() as u32;
            let mut sheet = image::RgbImage::from_pixel(
                (small_w + 8) * if look == Look::Light { 3 } else { 5 } + 8,
                (small_h + 8) * if look == Look::Light { count } else { count.div_ceil(5) } + 8,
                image::Rgb([128, 128, 128]),
            );
            for (column, language) in LANGUAGES.into_iter().enumerate() {
                for (nth, page) in pages(language).into_iter().enumerate() {
                    let name = format!("{}-{language}-{width}x{height}-{look:?}", page.name());
                    let mut glass = looking(look, width, height);
                    glass.show(&eased(look, view(language, page)));
                    let picture = rgb(&glass);
                    let hash = digest(&SHA256, picture.as_raw());
                    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                    if known.get(name.as_str()) != Some(&&hash[..16]) && !write {
                        let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screen").join(format!("{name}.png"));
                        save(&picture, &actual);
                        wrong.push(format!("{name} is drawn otherwise: {}", actual.display()));
                    }
                    hashes += &format!("{name} {}\n", &hash[..16]);
                    let place = match look {
                        Look::Light => Some((column as u32, nth as u32)),
                        _ if language == LANGUAGES[nth % 3] => Some((nth as u32 % 5, nth as u32 / 5)),
                        _ => None,
                    };
                    if let Some((x, y)) = place.filter(|_| write) {
                        let small =
                            image::imageops::resize(&picture, small_w, small_h, image::imageops::FilterType::Triangle);
                        image::imageops::replace(
                            &mut sheet,
                            &small,
                            i64::from(8 + x * (small_w + 8)),
                            i64::from(8 + y * (small_h + 8)),
                        );
                    }
                }
            }
            if write {
                let kind = if width > height { "wide" } else { "tall" };
                save(&sheet, &root().join(format!("docs/glass/{}-{kind}.png", format!("{look:?}").to_lowercase())));
            }
        }
    }
    if write {
        std::fs::write(list, hashes).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An operator's own, made of files alone: colours, logo, slides by the time of the day, an invitation, a fourth language.
#[test]
fn a_theme_of_an_operators_own() {
    let config = std::fs::read_to_string(root().join("configs/vending.toml")).unwrap();
    let config = config.replace("# theme = ", "theme = ");
    let config = config.replace("\"zh-Hans\", \"en\"]", "\"en\", \"fr\"]");
    let config = check::parse(&root().join("configs/kiosk.toml"), config.as_bytes()).unwrap();
    let (noon, night) = (
        Moment { minute: Some(720), ..Moment::default() },
        Moment { turn: 2, minute: Some(1_200), ..Moment::default() },
    );
    let mut wrong = Vec::new();
    for (width, height) in SIZES {
        for (name, language, page, moment) in [
            ("noon", "zh-Hant", 0, noon),
            ("night", "en", 0, night),
            ("choose", "fr", 1, noon),
            ("pay", "fr", 4, noon),
            ("thanks", "fr", 6, noon),
        ] {
            let mut glass = glass_with(width, height, config.glass.look.clone());
            let page = pages(if language == "fr" { "en" } else { language }).swap_remove(page);
            let languages = config.kiosk.languages.clone();
            let view = View { language: Language::new(language), languages, ..view("en", page) };
            glass.show_at(&view, moment);
            wrong.extend(same_as_golden(&glass, &format!("harbour-{name}-{width}x{height}")).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
fn the_longest_texts_break_no_page() {
    let mut wrong = Vec::new();
    for (width, height) in SIZES {
        for (look, name) in [(Look::Light, ""), (Look::Large, "-large")] {
            let pages: Vec<Page> = pages("en").into_iter().map(stretched).collect();
            let mut shown = Vec::new();
            for page in pages {
                let mut glass = looking(look, width, height);
                let targets = glass.show(&eased(look, view("en", page.clone()))).targets;
                let out = targets.iter().map(|target| target.rect).find(|r| r.x < 0 || r.y < 0 || r.w < 40 || r.h < 40);
                assert_eq!(out, None, "{}", page.name());
                shown.push(rgb(&glass));
            }
            // One sheet of them all: they are looked at for what sticks out, not pixel by pixel.
            let (w, h) = (width / 2, height / 2);
            let rows = (shown.len() as u32).div_ceil(5);
            let mut sheet = image::RgbImage::from_pixel(5 * (w + 8), rows * (h + 8), image::Rgb([0x80; 3]));
            for (index, picture) in shown.iter().enumerate() {
                let small = image::imageops::thumbnail(picture, w, h);
                let (x, y) = (index as u32 % 5 * (w + 8), index as u32 / 5 * (h + 8));
                image::imageops::replace(&mut sheet, &small, i64::from(x), i64::from(y));
            }
            wrong.extend(same_picture(&sheet, &format!("longest{name}-{width}x{height}")).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_payment_code_is_read_by_two_decoders_in_every_language_and_orientation() {
    for (width, height) in SIZES.into_iter().chain([(480, 800), (1024, 600), (1920, 1080)]) {
        for language in LANGUAGES {
            let mut glass = glass(width, height);
            let pay = pages(language).into_iter().find(|page| page.name() == "pay").unwrap();
            glass.show(&view(language, pay));
            let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
            save(&rgb(&glass), file.path());
            let read = kioskd_tests::child::command("zbarimg").args(["--raw", "-q"]).arg(file.path()).output().unwrap();
            let text = String::from_utf8_lossy(&read.stdout);
            assert_eq!(text.trim(), PAYLOAD, "{language} {width}x{height}");
            assert_eq!(decoded(&glass), [PAYLOAD], "{language} {width}x{height}");
            if (width, height) == SIZES[0] || (width, height) == SIZES[1] {
                same_as_golden(&glass, &format!("pay-{language}-{width}x{height}")).unwrap();
            }
        }
    }
}

/// In every look, and the receipt's code too.
#[test]
fn every_code_is_read_in_every_look() {
    for look in LOOKS {
        for (width, height) in SIZES {
            for language in LANGUAGES {
                for page in pages(language) {
                    let wanted = match &page {
                        Page::Order(OrderPage::Pay { qr: Some(code), .. }) => code.clone(),
                        Page::Order(OrderPage::Thanks { receipt: ReceiptView::Code(code), .. }) => code.clone(),
                        _ => continue,
                    };
                    let mut glass = looking(look, width, height);
                    glass.show(&eased(look, view(language, page)));
                    assert_eq!(decoded(&glass), [wanted], "{language} {width}x{height} {look:?}");
                }
            }
        }
    }
}

/// Nothing on a tall panel needs an arm that reaches its upper third: at least a finger of every target is below it.
#[test]
fn everything_on_a_tall_panel_is_within_reach() {
    for look in [Look::Light, Look::Large] {
        for language in LANGUAGES {
            for page in pages(language) {
                let name = page.name();
                for target in looking(look, 800, 1280).show(&eased(look, view(language, page))).targets {
                    // The hidden way of the technicians.
                    if target.name == "service" {
                        continue;
                    }
                    assert!(target.rect.y + target.rect.h - 1280 / 3 >= 120, "{name}: {target:?}");
                }
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
                    let exempt = target.name.starts_with("rail:") || target.name == "service";
                    let finger = SIZES.contains(&(width, height)) && !exempt;
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
    let Some(Page::Order(OrderPage::Pay { order, qr, rails, of_seconds, can_extend, .. })) =
        pages("en").into_iter().find(|page| page.name() == "pay")
    else {
        panic!("there is a pay page")
    };
    let at = |seconds_left| {
        let (order, qr, rails) = (order.clone(), qr.clone(), rails.clone());
        view("en", Page::Order(OrderPage::Pay { order, qr, rails, seconds_left, of_seconds, can_extend }))
    };
    assert!(!glass.show(&at(87)).damage.is_empty());
    assert_eq!(glass.show(&at(87)).damage, vec![]);
    let tick = glass.show(&at(86)).damage;
    let area: i32 = tick.iter().map(|rect| rect.w * rect.h).sum();
    assert!(tick.len() <= 3 && area < 1280 * 800 / 20, "{tick:?}");
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
        steps in proptest::collection::vec((0usize..21, 0usize..3, any::<bool>()), 2..6)
    ) {
        let mut glass = glass(640, 400);
        for (page, language, blank) in steps {
            let language = LANGUAGES[language];
            let mut page = pages(language).swap_remove(page);
            if let (Page::Order(OrderPage::Pay { qr, .. }), true) = (&mut page, blank) {
                *qr = None;
            }
            let Shown { damage, .. } = glass.show(&view(language, page.clone()));
            let mut anew = self::glass(640, 400);
            anew.show(&view(language, page.clone()));
            prop_assert!(glass.frame() == anew.frame(), "{}: {damage:?}", page.name());
        }
    }
}
