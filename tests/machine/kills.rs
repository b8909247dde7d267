//! The real binary killed, at named points and at random, in the middle of random sales (level 3 of the proof). SIGKILL
//! keeps the kernel's page cache; what a real power cut does to the disk is not shown here.

use std::time::Duration;

use serde_json::json;

use kioskd_tests::chance::{Chance, seed};
use kioskd_tests::machine::{Machine, Setup};

/// Where the world can pull the plug: before the kiosk hears of what just happened.
const POINTS: [&str; 12] = [
    "charge-create-received",
    "charge-created",
    "payment-booked",
    "notice-sent",
    "relay-on",
    "drop",
    "relay-off",
    "printer-byte",
    "refund-received",
    "refund-booked",
    "close-received",
    "frame-pay",
];

/// The code on the glass by the demo's own phone, if it comes soon.
fn scanned(machine: &Machine) -> Option<String> {
    kioskd_tests::machine::wait_at_most(Duration::from_secs(2), || {
        let (status, body) = machine.post("/api/scan", &json!({}));
        (status == 200).then(|| body["payload"].as_str().map(str::to_owned)).flatten()
    })
}

/// What the customer does, whether or not the machine lives.
fn customer(machine: &Machine, chance: &mut Chance) -> Option<()> {
    let tap = |target: &str| -> Option<()> {
        let (x, y) = kioskd_tests::machine::wait_at_most(Duration::from_secs(2), || machine.place(target))?;
        (machine.post("/api/touch", &json!({ "x": x, "y": y })).0 == 200).then_some(())
    };
    tap("start")?;
    for more in 0..=chance.below(2) {
        if more > 0 {
            tap("done")?;
        }
        tap(&format!("product:{}", chance.pick(&["cola", "water", "tea", "chips"])))?;
    }
    tap("pay")?;
    let payload = scanned(machine)?;
    let action = chance.pick(&["pay", "pay", "pay", "pay", "pay-twice", "pay-wrong-amount", "pay-late", "abandon"]);
    machine.post("/api/wallet", &json!({ "payload": payload, "action": action }));
    if matches!(action, "pay-late" | "abandon") {
        tap("cancel")?;
    }
    Some(())
}

fn back_to_life(machine: &Machine) {
    machine.wait("the kiosk back", || {
        let state = machine.get("/api/state");
        (state["page"] != "dark" && state["selling"] == true).then_some(())
    });
}

/// What came of random sales.
#[derive(Debug, Default)]
struct Came {
    paid: u64,
    refunded: u64,
    fell: u64,
}

/// `sales` random sales with a kill in each; then the books must agree.
fn sell_and_kill(seed: u64, sales: u64) -> Came {
    let machine = Machine::start(&Setup::fast());
    let mut chance = Chance(seed);
    for sale in 0..sales {
        machine.wait("a free machine", || {
            let state = machine.get("/api/state");
            match state["page"].as_str() {
                Some("attract") => Some(()),
                // Somebody before has left; the page would go by itself.
                Some("choose" | "basket" | "pay") => {
                    if let Some((x, y)) = machine.place("cancel") {
                        machine.post("/api/touch", &json!({ "x": x, "y": y }));
                    }
                    None
                }
                _ => None,
            }
        });
        if sale % 10 == 0 {
            machine.world(json!({ "stock": "full" }));
        }
        if chance.below(8) == 0 {
            let motor = chance.pick(&["jam", "ok"]);
            machine.world(json!({ "slot": { "name": chance.pick(&["A1", "B1"]), "motor": motor } }));
        }
        if chance.below(2) == 0 {
            machine.world(json!({ "power": "cut", "at": chance.pick(&POINTS) }));
            customer(&machine, &mut chance);
            // The point may not have come in this sale; then the plug is pulled at a random moment.
            std::thread::sleep(Duration::from_millis(chance.below(400)));
        } else {
            std::thread::scope(|scope| {
                let wait = Duration::from_millis(chance.below(900));
                let machine = &machine;
                scope.spawn(move || {
                    std::thread::sleep(wait);
                    machine.world(json!({ "power": "cut" }));
                });
                customer(machine, &mut chance);
            });
        }
        // One in three comes to its end before the next cut.
        if chance.below(3) == 0 {
            machine.wait("the end of a sale", || {
                let state = machine.get("/api/state");
                let over = ["attract", "thanks", "refunded", "cancelled", "expired", "claim", "choose", "basket"];
                over.iter().any(|page| state["page"] == *page).then_some(())
            });
        }
        machine.world(json!({ "power": "cut" }));
        back_to_life(&machine);
    }
    machine.until_settled();
    machine.books_agree();
    machine.verify();
    let orders = machine.get("/api/orders");
    let with =
        |key: &str| orders["orders"].as_array().unwrap().iter().filter(|o| o[key].as_i64() > Some(0)).count() as u64;
    Came { paid: with("paid"), refunded: with("refunded"), fell: machine.dropped() as u64 }
}

fn share(of: u64) -> u64 {
    if std::env::var_os("KIOSKD_LONG").is_some() { of * 10 } else { of }
}

/// Four at once, 50 each: 200 kills and more, ten times that in the long run.
#[test]
fn random_kills() {
    let seed = seed("random kills", || 20_261_123);
    let sales = share(50);
    let came: Vec<Came> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4).map(|part| scope.spawn(move || sell_and_kill(seed + part, sales))).collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let sum = |of: fn(&Came) -> u64| came.iter().map(of).sum::<u64>();
    let (paid, refunded, fell) = (sum(|came| came.paid), sum(|came| came.refunded), sum(|came| came.fell));
    println!("{} sales: {paid} paid, {refunded} of them refunded, {fell} products fell", 4 * sales);
    // Where nobody buys nothing can go wrong. On a busy machine most are cut off before they can pay.
    assert!(paid >= sales / 2 && refunded >= sales / 8 && fell >= sales / 10, "they have come to too little: {came:?}");
}

/// Each named point in sales that pass it; three machines at once.
#[test]
fn killed_at_every_named_point() {
    std::thread::scope(|scope| {
        for points in POINTS.chunks(4) {
            scope.spawn(|| points.iter().for_each(|point| kill_at(point)));
        }
    });
}

fn kill_at(point: &str) {
    let machine = Machine::start(&Setup::fast());
    if point.starts_with("refund") {
        machine.world(json!({ "slot": { "name": "B1", "motor": "jam" } }));
    }
    for _ in 0..share(2) {
        machine.world(json!({ "stock": "full" }));
        machine.until("attract");
        let boot = machine.get("/api/state")["boot"].clone();
        machine.world(json!({ "power": "cut", "at": point }));
        machine.tap("start");
        machine.tap("product:tea");
        // The plug may be pulled before the finger's answer is back.
        let (x, y) = machine.wait("the pay button", || machine.place("pay"));
        machine.post("/api/touch", &json!({ "x": x, "y": y }));
        if let Some(payload) = scanned(&machine) {
            if point == "close-received" {
                let (x, y) = machine.wait("the cancel button", || machine.place("cancel"));
                machine.post("/api/touch", &json!({ "x": x, "y": y }));
            } else {
                machine.post("/api/wallet", &json!({ "payload": payload, "action": "pay" }));
            }
        }
        // By the nonce, because the world shows the last state of the dead one for a moment after its death.
        machine.wait(&format!("the plug pulled at {point}"), || {
            let now = machine.get("/api/state")["boot"].clone();
            (now.is_string() && now != boot).then_some(())
        });
        back_to_life(&machine);
    }
    machine.until_settled();
    machine.books_agree();
    machine.verify();
}
