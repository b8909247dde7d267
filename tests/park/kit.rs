//! A car park of its own for each test, and what drivers do there.

use std::time::{Duration, Instant};

use kioskd_tests::{Demo, PATIENCE, wait_for};
use serde_json::{Value, json};

pub struct Park {
    pub demo: Demo,
}

impl Park {
    pub fn open() -> Self {
        let park = Self { demo: Demo::start(&["--mode", "parking"]) };
        for kiosk in ["entry-1", "pay-1", "exit-1"] {
            park.page(kiosk, &["ticket"]);
        }
        park
    }

    pub fn site(&self) -> Value {
        self.demo.json("/api/site")
    }

    pub fn car(&self, id: &str) -> Value {
        let site = self.site();
        let cars = site["cars"].as_array().unwrap();
        cars.iter().find(|car| car["id"] == id).unwrap_or_else(|| panic!("no {id} in {site:#}")).clone()
    }

    pub fn gate(&self, lane: &str) -> Value {
        let site = self.site();
        site["gates"].as_array().unwrap().iter().find(|gate| gate["lane"] == lane).unwrap().clone()
    }

    pub fn opened(&self, lane: &str) -> u64 {
        self.gate(lane)["opened"].as_u64().unwrap()
    }

    pub fn ask(&self, errand: Value) -> (u16, Value) {
        self.demo.post("/api/site", errand)
    }

    /// It must be done.
    pub fn run(&self, errand: Value) -> Value {
        let (status, answer) = self.ask(errand.clone());
        assert_eq!(status, 200, "{errand}: {answer}\n{}", self.demo.log());
        answer
    }

    /// It must be refused, with a reason.
    pub fn refused(&self, errand: Value) -> u16 {
        let (status, answer) = self.ask(errand.clone());
        assert!(status >= 400 && !answer["error"].as_str().unwrap_or_default().is_empty(), "{errand}: {answer}");
        status
    }

    pub fn at(kiosk: &str, path: &str) -> String {
        format!("/api/kiosk/{kiosk}/{path}")
    }

    pub fn state(&self, kiosk: &str) -> Value {
        self.demo.json(&Self::at(kiosk, "state"))
    }

    /// Waits for one of the pages; which it is.
    pub fn page(&self, kiosk: &str, pages: &[&str]) -> String {
        let by = Instant::now() + PATIENCE;
        loop {
            let state = self.state(kiosk);
            if let Some(page) = state["page"].as_str().filter(|page| pages.contains(page)) {
                return page.to_owned();
            }
            let (page, reasons) = (&state["page"], &state["reasons"]);
            assert!(Instant::now() < by, "{kiosk} is at {page} ({reasons}), not {pages:?}\n{}", self.demo.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn tap(&self, kiosk: &str, target: &str) {
        let (x, y) = wait_for(target, PATIENCE, || {
            let state = self.state(kiosk);
            let all = state["targets"].as_array()?;
            let found = all.iter().find(|there| there["name"] == target && there["enabled"] == true)?;
            let middle = |from: &str, length: &str| Some(found[from].as_i64()? + found[length].as_i64()? / 2);
            Some((middle("x", "w")?, middle("y", "h")?))
        });
        self.demo.set(&Self::at(kiosk, "touch"), json!({ "x": x, "y": y }));
    }

    pub fn is(&self, car: &str, place: &str) {
        wait_for(&format!("{car} {place}"), PATIENCE, || (self.car(car)["where"] == place).then_some(()));
    }

    pub fn closed(&self, lane: &str) {
        wait_for(&format!("{lane} closed"), PATIENCE, || (self.gate(lane)["arm"] == 0.0).then_some(()));
    }

    /// Waits until the car's front is before the arm.
    pub fn at_the_arm(&self, car: &str) {
        let stands = || self.car(car)["front"].as_f64().filter(|front| (-1.3..0.0).contains(front));
        wait_for(&format!("{car} before the arm"), PATIENCE, stands);
    }

    pub fn holds(&self, car: &str, kind: &str) -> usize {
        let car = self.car(car);
        car["holds"].as_array().unwrap().iter().filter(|held| held["kind"] == kind).count()
    }

    pub fn new_car(&self, does: &str) -> String {
        self.run(json!({ "car": "new", "do": does }))["car"].as_str().unwrap().to_owned()
    }

    /// A new car takes a ticket and drives in; the gate has closed behind it.
    pub fn enter(&self) -> String {
        let car = self.new_car("arrive");
        self.at_the_arm(&car);
        let ticket = self.run(json!({ "car": car, "do": "take-ticket" }))["ticket"].clone();
        assert_eq!(ticket, self.car(&car)["ticket"]);
        self.run(json!({ "car": car, "do": "drive" }));
        self.is(&car, "inside");
        self.closed("entry-1");
        car
    }

    pub fn wind(&self, by: &str) {
        self.run(json!({ "clock": by }));
    }

    /// What is on the glass is paid; the amount.
    pub fn pay_at(&self, kiosk: &str) -> i64 {
        self.tap(kiosk, "pay");
        self.page(kiosk, &["pay"]);
        let scanned = wait_for("a QR", PATIENCE, || {
            let (status, seen) = self.demo.post(&Self::at(kiosk, "scan"), json!({}));
            (status == 200 && seen["offer"]["state"] == "open").then_some(seen)
        });
        let paid = self.demo.set(&Self::at(kiosk, "wallet"), json!({ "payload": scanned["payload"], "action": "pay" }));
        assert_eq!(paid["result"], "accepted", "{paid}");
        scanned["offer"]["amount"].as_i64().unwrap()
    }

    /// Pays at the pay station with the ticket and takes the pass; the amount.
    pub fn pay(&self, car: &str) -> i64 {
        let before = self.holds(car, "pass");
        self.page("pay-1", &["ticket"]);
        self.run(json!({ "car": car, "do": "show", "kiosk": "pay-1", "what": "ticket" }));
        self.page("pay-1", &["stay"]);
        let amount = self.pay_at("pay-1");
        wait_for("an exit pass", PATIENCE, || (self.holds(car, "pass") > before).then_some(()));
        self.done_at_the_pay_station();
        amount
    }

    pub fn done_at_the_pay_station(&self) {
        if self.page("pay-1", &["pass", "thanks", "ticket"]) != "ticket" {
            self.tap("pay-1", "done");
        }
    }

    /// Types it at the pay station until that has heard of a stay with this plate, or one like it.
    pub fn types(&self, car: &str, plate: &str, target: &str) {
        wait_for(&format!("{target} for {plate}"), PATIENCE, || {
            let there = || {
                let state = self.state("pay-1");
                state["targets"].as_array().unwrap().iter().any(|there| there["name"] == target)
            };
            if !there() {
                drop(self.ask(json!({ "car": car, "do": "type-plate", "text": plate })));
            }
            there().then_some(())
        });
    }

    pub fn to_the_exit(&self, car: &str) {
        self.run(json!({ "car": car, "do": "leave" }));
        self.at_the_arm(car);
    }

    /// Shows the pass, or without any the ticket, and drives out; the gate has closed behind it.
    pub fn out(&self, car: &str) {
        self.run(json!({ "car": car, "do": "show" }));
        self.run(json!({ "car": car, "do": "drive" }));
        self.is(car, "gone");
        self.closed("exit-1");
    }

    /// Drives on without showing anything.
    pub fn drives_out(&self, car: &str) {
        self.run(json!({ "car": car, "do": "drive" }));
        self.is(car, "gone");
    }

    /// What every test may say at its end: no gate's own control has had to keep an arm from falling on a car.
    pub fn no_arm_fell_on_a_car(&self) {
        for gate in self.site()["gates"].as_array().unwrap() {
            assert_eq!(gate["saved"], 0, "{gate}");
        }
    }

    /// All that was paid and not given back.
    pub fn taken(&self) -> i64 {
        let book = self.demo.json(&Self::at("pay-1", "wallet"));
        let left = |charge: &Value| charge["paid"].as_i64().unwrap() - charge["refunded"].as_i64().unwrap();
        book["charges"].as_array().unwrap().iter().map(left).sum()
    }
}
