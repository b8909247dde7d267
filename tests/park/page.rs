//! The car park's page in a real browser, at two sizes.

use kioskd_tests::{Browser, PATIENCE, wait_for};
use serde_json::{Value, json};

use super::kit::Park;

/// For people who want to look: `KIOSKD_PICTURES` names a folder.
fn picture(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("KIOSKD_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(name).with_extension("png"), browser.screenshot()).unwrap();
    }
}

/// It drives as fast as the page draws, so only in the long form of the tests.
#[test]
#[ignore = "slow; tests/run --long"]
fn a_visit_with_the_mouse() {
    let park = Park::open();
    let browser = Browser::open(1400, 1700);
    browser.go(&park.demo.page);
    for kiosk in ["entry-1", "pay-1", "exit-1"] {
        browser.wait_for_text(&format!("#kiosk-{kiosk} .page-name"), "ticket");
    }
    let said = browser.text("#clock");
    browser.click("[data-clock='+2h']");
    wait_for("the clock", PATIENCE, || (browser.text("#clock") != said).then_some(()));

    browser.click("#new-car");
    let car = wait_for("a car", PATIENCE, || park.site()["cars"][0]["id"].as_str().map(str::to_owned));
    park.at_the_arm(&car);
    let drawn = format!("#draw-{car}");
    let lit = || browser.run("return document.querySelectorAll('.loop.on').length", json!([])).as_i64();
    wait_for("a loop that is lit", PATIENCE, || lit().filter(|lit| *lit == 1));
    browser.click("[data-do=take-ticket]");
    browser.wait_for_text("#driver-said", "a ticket was taken");
    browser.wait_for_text("#holds", "ticket");
    picture(&browser, "park-entry");
    browser.drag(&drawn, "[data-zone=lot]");
    park.is(&car, "inside");
    browser.wait_for_text("#count", "1 car inside");
    browser.click("[data-clock='+2h']");
    wait_for("it stands in its place", PATIENCE, || {
        let class = browser.run("return document.querySelector(arguments[0]).getAttribute('class')", json!([drawn]));
        class.as_str().is_some_and(|class| class.contains("parked")).then_some(())
    });
    browser.drag(&drawn, "[data-zone=pay]");
    browser.wait_for_text("#kiosk-pay-1 .page-name", "stay");
    picture(&browser, "park-stay");
    park.tap("pay-1", "pay");
    browser.wait_for_text("#kiosk-pay-1 .page-name", "pay");
    wait_for("an offer", PATIENCE, || {
        browser.click("#kiosk-pay-1 .scan");
        browser.text("#app-state").contains("open").then_some(())
    });
    picture(&browser, "park-pay");
    browser.click("[data-action=pay]");
    browser.wait_for_text("#phone-said", "accepted");
    browser.wait_for_text("#holds", "exit pass");
    browser.click("[data-do=leave]");
    park.at_the_arm(&car);
    picture(&browser, "park-exit");
    browser.click("#holds .pass button");
    wait_for("an open gate", PATIENCE, || (park.gate("exit-1")["open"] == true).then_some(()));
    browser.drag(&drawn, "[data-zone=street]");
    park.is(&car, "gone");
    park.no_arm_fell_on_a_car();

    // A season pass.
    browser.click("#cameras [aria-label='cameras on']");
    browser.click("#new-season");
    browser.wait_for_text("#holds", "season pass");
    let newest = || park.site()["cars"].as_array().unwrap().last().unwrap().clone();
    let id = |car: &Value| car["id"].as_str().unwrap().to_owned();
    let resident = id(&newest());
    park.at_the_arm(&resident);
    let read = || browser.run("return document.querySelector('.camera.reads .readout-text')?.textContent", json!([]));
    wait_for("a plate that is read", PATIENCE, || (read() == newest()["plate"]).then_some(()));
    browser.click("#holds .season button");
    browser.wait_for_text("#driver-said", "held the season");
    browser.drag(&format!("#draw-{resident}"), "[data-zone=lot]");
    park.is(&resident, "inside");
    picture(&browser, "park-season");

    // A plate that is typed, and opens the exit.
    park.closed("entry-1");
    browser.click("#new-car");
    let car = wait_for("another car", PATIENCE, || (id(&newest()) != resident).then(|| id(&newest())));
    park.at_the_arm(&car);
    browser.click("[data-do=take-ticket]");
    browser.wait_for_text("#driver-said", "a ticket was taken");
    browser.click("[data-do=drive]");
    park.is(&car, "inside");
    browser.click("[data-clock='+2h']");
    browser.click("[data-do=type-plate]");
    browser.wait_for_text("#kiosk-pay-1 .page-name", "stay");
    picture(&browser, "park-plate");
    park.pay_at("pay-1");
    browser.wait_for_text("#kiosk-pay-1 .page-name", "thanks");
    browser.click("[data-do=leave]");
    wait_for("an open gate", PATIENCE, || (park.gate("exit-1")["open"] == true).then_some(()));
    browser.click("[data-do=drive]");
    park.is(&car, "gone");
    park.no_arm_fell_on_a_car();

    // A power cut and the network, by their buttons.
    browser.click("#kiosk-exit-1 .cut");
    wait_for("another start", PATIENCE, || {
        (park.demo.json(&Park::at("exit-1", "world"))["kiosk"]["starts"] == 2).then_some(())
    });
    browser.click("#network-all [data-site*=down]");
    browser.wait_for_text("#kiosk-entry-1 .network button.on", "down");
    browser.choose("[data-lane='entry-1'] [data-fault=gate]", "stuck");
    wait_for("a stuck gate", PATIENCE, || (park.gate("entry-1")["faults"]["gate"] == "stuck").then_some(()));
    // The browser itself notes answers that are no success.
    let expected =
        |complaint: &String| ["/scan", "status of 503", "status of 409"].iter().any(|known| complaint.contains(known));
    let complaints: Vec<_> = browser.complaints().into_iter().filter(|complaint| !expected(complaint)).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn every_control_has_a_name_and_nothing_sticks_out_of_a_narrow_window() {
    let park = Park::open();
    for (width, name) in [(1400, "park-wide"), (480, "park-narrow")] {
        let browser = Browser::open(width, 1600);
        browser.go(&park.demo.page);
        browser.wait_for_text("#kiosk-exit-1 .page-name", "ticket");
        browser.click("#new-car");
        browser.wait_for_text("#where", "at the entry");
        let script = "return [...document.querySelectorAll('button, select, a, [role=button], img')].filter(one => \
            !(one.getAttribute('aria-label') || one.alt || one.labels?.[0]?.textContent || one.textContent).trim()).map(one => one.outerHTML)";
        assert_eq!(browser.run(script, json!([])), json!([]), "{name}");
        let wide = browser.run("return document.documentElement.scrollWidth - innerWidth", json!([]));
        assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "{name}: {wide}");
        picture(&browser, name);
    }
}

#[test]
fn a_kiosks_own_page_is_beside_it() {
    let park = Park::open();
    let browser = Browser::open(1280, 2000);
    browser.go(&format!("{}/kiosk/entry-1/", park.demo.page));
    browser.wait_for_text("#page-name", "ticket");
    let lines = browser.wait_for_text("#board", "loop-presence");
    assert!(lines.contains("gate-raise"), "{lines}");
    let state: Value = park.state("entry-1");
    assert_eq!(state["kiosk"], "entry-1");
}
