//! The demo as a person meets it: what it prints, what it leaves behind, and its page in a real browser.

#![cfg(feature = "demo")]

use kioskd_tests::{Browser, Demo, PATIENCE, wait_for};
use serde_json::{Value, json};

/// Clicks a touchable thing on the page's picture of the glass.
fn click_glass(demo: &Demo, browser: &Browser, name: &str) {
    let (x, y) = demo.target(name);
    // A picture that is just being fetched has no size.
    let size = wait_for("the glass on the page", PATIENCE, || {
        let size = browser.run("const g = document.getElementById('glass'); return [g.naturalWidth, g.naturalHeight, g.clientWidth, g.clientHeight]", json!([]));
        let size: Vec<i64> = size.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
        (size[0] > 0 && size[2] > 0).then_some(size)
    });
    browser.click_at("#glass", x * size[2] / size[0] - size[2] / 2, y * size[3] / size[1] - size[3] / 2);
}

/// For people who want to look: `KIOSKD_PICTURES` names a folder.
fn picture(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("KIOSKD_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(name).with_extension("png"), browser.screenshot()).unwrap();
    }
}

#[test]
fn a_drink_is_bought_on_the_page_and_the_plug_pulled() {
    let demo = Demo::start(&[]);
    let browser = Browser::open(1280, 2000);
    browser.go(&demo.page);
    browser.wait_for_text("#page-name", "attract");
    browser.wait_for_text("#status", "selling");
    wait_for("the glass", PATIENCE, || {
        browser.run("return document.getElementById('glass').naturalWidth", json!([])).as_i64().filter(|w| *w == 1280)
    });

    // Nothing to scan yet.
    browser.click("#scan");
    browser.wait_for_text("#phone-said", "no QR");

    for name in ["start", "product:cola", "pay"] {
        click_glass(&demo, &browser, name);
    }
    browser.wait_for_text("#page-name", "pay");
    let code = demo.state()["order"]["short_code"].as_str().unwrap().to_owned();
    demo.qr();
    browser.click("#scan");
    browser.wait_for_text("#app-description", &code);
    browser.wait_for_text("#app-amount", "3.00");
    browser.wait_for_text("#app-state", "open");
    picture(&browser, "paying");
    browser.click("[data-action=pay]");
    browser.wait_for_text("#phone-said", "accepted");
    browser.wait_for_text("#page-name", "thanks");
    demo.last_order(&["delivered"]);
    browser.wait_for_text("#orders", "delivered");
    browser.wait_for_text("#charges", "paid");
    browser.wait_for_text("#events", "event/item-delivered");
    browser.wait_for_text("#story", "3.00 CNY");
    wait_for("paper", PATIENCE, || {
        browser.run("return document.getElementById('paper').naturalHeight", json!([])).as_i64().filter(|h| *h > 100)
    });
    let slot = demo.orders()[0]["items"][0]["slot"].as_str().unwrap().to_owned();
    let board = browser.wait_for_text("#board", &format!("slot-{slot}\trelay\t–\t1"));
    assert_eq!(board.matches("relay\t–\t0").count(), 6, "{board}");
    assert_eq!(browser.text("#dropped tbody"), "1\t0\t0\t0\t0\t0\t0");

    // The plug, in the middle of the next sale.
    click_glass(&demo, &browser, "done");
    browser.wait_for_text("#page-name", "attract");
    demo.choose("water");
    demo.qr();
    browser.click("#cut");
    wait_for("another start", PATIENCE, || (demo.json("/api/world")["kiosk"]["starts"] == 2).then_some(()));
    demo.last_order(&["cancelled", "expired"]);
    browser.wait_for_text("#orders", "water");

    for (button, said) in [("[data-world*=down]", "down"), ("[data-world*=up]", "up")] {
        browser.click(&format!("#network {button}"));
        wait_for(said, PATIENCE, || (demo.json("/api/world")["network"] == said).then_some(()));
        browser.wait_for_text("#network button.on", said);
    }
    browser.choose("#slot", "A1");
    browser.choose("#motor", "jam");
    wait_for("a jammed motor", PATIENCE, || (demo.json("/api/world")["slots"]["A1"] == "jam").then_some(()));
    picture(&browser, "bought");
    // The browser itself notes the answer 404 to the scan of a glass without a QR, and 503 of a kiosk without power.
    let expected = |complaint: &String| complaint.contains("/api/scan") || complaint.contains("status of 503");
    let complaints: Vec<_> = browser.complaints().into_iter().filter(|complaint| !expected(complaint)).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn in_every_language_and_orientation_a_browser_is_enough() {
    let browser = Browser::open(1280, 2000);
    for panel in ["1280x800", "800x1280"] {
        let demo = Demo::start(&["--panel", panel]);
        browser.go(&demo.page);
        for (sale, language) in ["zh-Hant", "zh-Hans", "en"].into_iter().enumerate() {
            browser.wait_for_text("#page-name", "attract");
            wait_for("the glass", PATIENCE, || {
                browser
                    .run("return document.getElementById('glass').naturalWidth", json!([]))
                    .as_i64()
                    .filter(|w| *w > 0)
            });
            let paper = demo.get("/api/printer.bin").1.len();
            for name in [&format!("language:{language}"), "start", "product:water", "pay"] {
                click_glass(&demo, &browser, name);
            }
            browser.wait_for_text("#page-name", "pay");
            // Read from the glass's pixels by an independent decoder, and paid with what it says.
            let payload = demo.qr();
            demo.wallet(&payload, "pay");
            browser.wait_for_text("#page-name", "thanks");
            demo.last_order(&["delivered"]);
            assert_eq!((demo.pulses("slot-A3"), demo.fell()), (sale as u64 + 1, sale as u64 + 1), "{panel} {language}");
            wait_for("the receipt", PATIENCE, || (demo.get("/api/printer.bin").1.len() > paper + 2_000).then_some(()));
            click_glass(&demo, &browser, "done");
        }
    }
}

#[test]
fn it_prints_four_lines_and_leaves_nothing_behind() {
    let mut demo = Demo::launch(&[]);
    assert!(demo.page.starts_with("http://127.0.0.1:") && !demo.page.ends_with(":0"));
    assert!(demo.mqtt.starts_with("mqtt://127.0.0.1:") && !demo.mqtt.ends_with(":0"));
    assert!(demo.state.is_absolute());
    assert_eq!(demo.next_line(), "ready");
    assert!(demo.state.join("kiosk.db").is_file());
    assert_eq!(demo.state()["page"], "attract");
    assert_eq!(demo.stop().code(), Some(0));
    assert_eq!(demo.other_lines(), Vec::<String>::new());
    assert!(!demo.state.exists(), "a folder nobody asked for");
}

#[test]
fn a_state_folder_is_kept_and_a_demo_without_a_broker_sells() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let arguments = ["--panel", "800x1280", "--mqtt", "none", "--state", state.to_str().unwrap()];
    let mut demo = Demo::start(&arguments);
    assert_eq!(demo.mqtt, "none");
    assert_eq!(image::load_from_memory(&demo.screen()).unwrap().to_rgb8().dimensions(), (800, 1280));
    demo.choose("tea");
    demo.wallet(&demo.qr(), "pay");
    let order = demo.last_order(&["delivered"]);
    assert_eq!(demo.stop().code(), Some(0));
    drop(demo);

    let demo = Demo::start(&arguments[2..]);
    assert_eq!(demo.orders(), [order]);
    assert_eq!(demo.charges()[0]["paid"], 450);
}

#[test]
fn a_cut_at_a_named_point_loses_nothing() {
    let demo = Demo::start(&[]);
    for point in ["relay-on", "payment-booked", "refund-booked"] {
        demo.choose("cola");
        let payload = demo.qr();
        if point == "refund-booked" {
            demo.world(json!({ "slot": { "name": "A1", "motor": "jam" } }));
            demo.world(json!({ "slot": { "name": "A2", "motor": "jam" } }));
        }
        let starts = demo.json("/api/world")["kiosk"]["starts"].as_u64().unwrap();
        demo.world(json!({ "power": "cut", "at": point }));
        demo.wallet(&payload, "pay");
        wait_for(point, PATIENCE, || {
            let kiosk = &demo.json("/api/world")["kiosk"];
            (kiosk["starts"].as_u64() > Some(starts) && kiosk["cut_at"].is_null()).then_some(())
        });
        let order = demo.last_order(&["delivered", "refunded", "claim"]);
        let charges = demo.charges();
        let charge = charges.last().unwrap();
        let sums = |of: &Value| (of["paid"].clone(), of["refunded"].clone());
        assert_eq!(sums(&order), sums(charge), "{point}: {order} {charge}");
        assert_eq!(charge["paid"], 300, "{point}");
    }
}
