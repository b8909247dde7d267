//! The power of each kiosk is cut while cars come, pay and leave.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kioskd_tests::{PATIENCE, chance, wait_for};
use serde_json::json;

use super::kit::Park;

const KIOSKS: [&str; 3] = ["entry-1", "pay-1", "exit-1"];

/// One try of something that a cut may undo.
fn tries(park: &Park, what: &str, mut once: impl FnMut() -> bool) {
    let by = Instant::now() + 4 * PATIENCE;
    while !once() {
        assert!(Instant::now() < by, "{what} never came to be\n{}", park.demo.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Somebody comes and raises the gate, as a customer's call makes them.
fn raise(park: &Park, lane: &str, nth: u64) {
    let asked = json!({ "id": format!("help-{lane}-{nth}"), "asked": { "do": "raise", "reason": "a customer calls" } });
    drop(park.demo.post(&Park::at(lane, "operations"), asked));
}

/// Minutes, so only in the long form of the tests.
#[test]
#[ignore = "minutes; tests/run --long"]
fn whatever_kiosk_dies_and_whenever_every_car_gets_out_and_pays_once() {
    let cars = if std::env::var_os("KIOSKD_LONG").is_some() { 100 } else { 4 };
    let mut chance = chance::Chance(chance::seed("power cuts", || 20_261_130));
    let park = Park::open();
    for nth in 0..cars {
        let victim = chance.pick(&KIOSKS);
        let (after, step) = (chance.time(Duration::from_secs(2)), chance.below(3));
        let cut = |now: u64| (now == step).then(|| cut_after(&park, victim, after));
        let before = park.taken();

        let car = park.run(json!({ "car": "new", "do": "arrive" }))["car"].as_str().unwrap().to_owned();
        park.at_the_arm(&car);
        let dying = cut(0);
        tries(&park, "a ticket", || park.ask(json!({ "car": car, "do": "take-ticket" })).0 == 200);
        park.run(json!({ "car": car, "do": "drive" }));
        let since = Instant::now();
        tries(&park, "an open entry", || {
            if since.elapsed() > Duration::from_secs(8) {
                raise(&park, "entry-1", nth);
            }
            park.car(&car)["where"] == "inside"
        });
        died(dying);
        park.wind("+2h");

        let mut amount = 0;
        let dying = cut(1);
        tries(&park, "a paid stay", || {
            if park.holds(&car, "pass") > 0 {
                return true;
            }
            go_on(&park, &car, "pay-1", &mut amount);
            park.taken() > before && park.state("pay-1")["page"] == "ticket"
        });
        died(dying);

        park.to_the_exit(&car);
        let dying = cut(2);
        let since = Instant::now();
        tries(&park, "an open exit", || {
            go_on(&park, &car, "exit-1", &mut amount);
            drop(park.ask(json!({ "car": car, "do": "drive" })));
            if since.elapsed() > Duration::from_secs(12) {
                raise(&park, "exit-1", nth);
            }
            park.car(&car)["where"] == "gone"
        });
        died(dying);
        for lane in ["entry-1", "exit-1"] {
            park.closed(lane);
        }
        let once = format!("{amount} for the stay of {car}; {victim} was cut at step {step}");
        wait_for(&once, PATIENCE, || (park.taken() - before == amount).then_some(()));
        park.no_arm_fell_on_a_car();
    }
}

fn cut_after(park: &Park, victim: &str, after: Duration) -> JoinHandle<()> {
    let world = format!("{}{}", park.demo.page, Park::at(victim, "world"));
    std::thread::spawn(move || {
        std::thread::sleep(after);
        ureq::post(&world).send_json(json!({ "power": "cut" })).unwrap();
    })
}

fn died(dying: Option<JoinHandle<()>>) {
    if let Some(dying) = dying {
        dying.join().unwrap();
    }
}

/// Whatever a driver does before the page that is there.
fn go_on(park: &Park, car: &str, kiosk: &str, amount: &mut i64) {
    match park.state(kiosk)["page"].as_str() {
        Some("ticket") => drop(park.ask(json!({ "car": car, "do": "show", "kiosk": kiosk }))),
        Some("stay") => touch(park, kiosk, "pay"),
        // What was paid and not delivered comes back, and is paid anew.
        Some("pay") => *amount = pay(park, kiosk).unwrap_or(*amount),
        Some("pass" | "thanks") => drop(park.ask(json!({ "car": car, "do": "look", "kiosk": kiosk }))),
        _ => {}
    }
}

fn touch(park: &Park, kiosk: &str, target: &str) {
    let state = park.state(kiosk);
    let found = state["targets"].as_array().into_iter().flatten().find(|there| there["name"] == target);
    let Some(found) = found else { return };
    let middle = |from: &str, length: &str| found[from].as_i64().unwrap() + found[length].as_i64().unwrap() / 2;
    drop(park.demo.post(&Park::at(kiosk, "touch"), json!({ "x": middle("x", "w"), "y": middle("y", "h") })));
}

/// What is on the glass, once; the amount.
fn pay(park: &Park, kiosk: &str) -> Option<i64> {
    let (status, seen) = park.demo.post(&Park::at(kiosk, "scan"), json!({}));
    if status != 200 || seen["offer"]["state"] != "open" {
        return None;
    }
    let paid = json!({ "payload": seen["payload"], "action": "pay" });
    let (_, answer) = park.demo.post(&Park::at(kiosk, "wallet"), paid);
    (answer["result"] == "accepted").then(|| seen["offer"]["amount"].as_i64()).flatten()
}
