//! The real binary killed, at named points and at random, in the middle of random sales (level 3 of the proof). SIGKILL
//! keeps the kernel's page cache; what a real power cut does to the disk is not shown here.

use std::time::Duration;

use serde_json::json;

use crate::kit::{Machine, Setup};

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

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// The code on the glass by the demo's own phone, if it comes soon.
fn scanned(machine: &Machine) -> Option<String> {
    crate::kit::wait_at_most(Duration::from_secs(2), || {
        let (status, body) = machine.post("/api/scan", &json!({}));
        (status == 200).then(|| body["payload"].as_str().map(str::to_owned)).flatten()
    })
}

/// What the customer does, whether or not the machine lives.
fn customer(machine: &Machine, chance: &mut Chance) -> Option<()> {
    let tap = |target: &str| -> Option<()> {
        let (x, y) = crate::kit::wait_at_most(Duration::from_secs(2), || machine.place(target))?;
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

/// How often the kiosk's process has been started.
fn starts(machine: &Machine) -> u64 {
    machine.get("/api/world")["kiosk"]["starts"].as_u64().unwrap()
}

fn back_to_life(machine: &Machine) {
    machine.wait("the kiosk back", || {
        let state = machine.get("/api/state");
        (state["page"] != "dark" && state["selling"] == true).then_some(())
    });
}

/// `sales` random sales with a kill in each; then the books must agree. Every failure names the seed.
fn sell_and_kill(seed: u64, sales: u64) {
    eprintln!("seed {seed}: {sales} sales");
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
        machine.world(json!({ "power": "cut" }));
        back_to_life(&machine);
    }
    machine.until_settled();
    machine.books_agree();
    machine.verify();
}

fn share(of: u64) -> u64 {
    if std::env::var_os("KIOSKD_LONG").is_some() { of * 10 } else { of }
}

/// Four at once, 50 each: 200 kills and more, ten times that in the long run.
#[test]
fn random_kills() {
    let seed: u64 = match std::env::var("KIOSKD_SEED") {
        Ok(seed) => seed.parse().expect("KIOSKD_SEED is a number"),
        Err(_) => 20_261_123,
    };
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || sell_and_kill(seed + part, share(50)));
        }
    });
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
        let before = starts(&machine);
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
        machine.wait(&format!("the plug pulled at {point}"), || (starts(&machine) > before).then_some(()));
        back_to_life(&machine);
    }
    machine.until_settled();
    machine.books_agree();
    machine.verify();
}
