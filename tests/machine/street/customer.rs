//! People at the machines: they choose, change their minds about the rail while the code is on the glass or while they are
//! paying, pay the code that was taken away, pay both, pay late, walk away. And the providers, who tell of it when they
//! like.
//!
//! Nobody pays later than a code lives, however long this test is kept waiting: what is paid on a code whose time and
//! grace have passed is the provider's fault, and no machine's.

use std::thread::Scope;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Street;
use kioskd_tests::chance::Chance;
use kioskd_tests::machine::Machine;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rail {
    WeChat,
    Alipay,
}

impl Rail {
    fn button(self) -> &'static str {
        match self {
            Rail::WeChat => "rail:wechat",
            Rail::Alipay => "rail:alipay",
        }
    }

    fn other(self) -> Self {
        match self {
            Rail::WeChat => Rail::Alipay,
            Rail::Alipay => Rail::WeChat,
        }
    }
}

/// As it was on the glass.
#[derive(Debug, Clone)]
struct Code {
    rail: Rail,
    payload: String,
    seen: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Story {
    Pays,
    SwitchesAndPays,
    PaysWhileSwitching,
    PaysWhatWasTakenAway,
    PaysBoth,
    SwitchesTwice,
    CancelsAndPaysLate,
    Cancels,
    Leaves,
}

const STORIES: [Story; 22] = [
    Story::Pays,
    Story::Pays,
    Story::Pays,
    Story::Pays,
    Story::Pays,
    Story::SwitchesAndPays,
    Story::SwitchesAndPays,
    Story::SwitchesAndPays,
    Story::PaysWhileSwitching,
    Story::PaysWhileSwitching,
    Story::PaysWhileSwitching,
    Story::PaysWhileSwitching,
    Story::PaysWhatWasTakenAway,
    Story::PaysWhatWasTakenAway,
    Story::PaysWhatWasTakenAway,
    Story::PaysBoth,
    Story::PaysBoth,
    Story::SwitchesTwice,
    Story::SwitchesTwice,
    Story::CancelsAndPaysLate,
    Story::Cancels,
    Story::Leaves,
];

/// Slots by product; only the first of cola's.
const PRODUCTS: [(&str, &str); 5] =
    [("cola", "A1"), ("water", "A3"), ("tea", "B1"), ("chips", "B2"), ("noodles", "B3")];

const GLANCE: Duration = Duration::from_millis(60);

pub struct Customers<'s, 'scope> {
    pub street: &'s Street,
    pub machine: &'s Machine,
    pub chance: Chance,
    /// The first one pays while the close is under way, and is told of before it is answered: what must always be met.
    pub first: bool,
    pub scope: &'scope Scope<'scope, 's>,
}

/// Asks until there is an answer, or it takes too long: then the customer gives up, and no test fails.
fn patiently<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let by = Instant::now() + patience;
    loop {
        if let Some(found) = ask() {
            return Some(found);
        }
        if Instant::now() > by {
            return None;
        }
        std::thread::sleep(GLANCE);
    }
}

impl<'scope, 's: 'scope> Customers<'s, 'scope> {
    /// So many who come as far as a code.
    pub fn shop(&mut self, sales: u64) {
        let mut left = sales;
        for _ in 0..2 * sales {
            if left > 0 {
                // Whoever gives up makes room for the next.
                left -= u64::from(self.one().is_some());
            }
        }
    }

    fn one(&mut self) -> Option<()> {
        self.free()?;
        let (product, slot) = self.chance.pick(&PRODUCTS);
        let jam = self.chance.below(10) == 0;
        if jam {
            self.machine.world(json!({ "slot": { "name": slot, "motor": "jam" } }));
        }
        let done = self.buy(product);
        if self.chance.below(8) > 0 {
            // The others are pushed away by the next one, who finds the code still on the glass.
            let _ = self.left();
        }
        if jam {
            // A technician comes when the customer has gone.
            let _ = self.free();
            self.machine.world(json!({ "slot": { "name": slot, "motor": "ok" } }));
            self.machine.world(json!({ "stock": "full" }));
        }
        done
    }

    fn buy(&mut self, product: &str) -> Option<()> {
        self.tap("start")?;
        self.tap(&format!("product:{product}"))?;
        if self.chance.below(4) == 0 {
            self.tap("done")?;
            let (another, _) = self.chance.pick(&PRODUCTS);
            self.tap(&format!("product:{another}"))?;
        }
        self.tap("pay")?;
        let code = self.code(None)?;
        // Whatever comes of it.
        let _ = self.pay_somehow(code);
        Some(())
    }

    fn pay_somehow(&mut self, mut code: Code) -> Option<()> {
        let first = std::mem::take(&mut self.first);
        let story = if first { Story::PaysWhileSwitching } else { self.chance.pick(&STORIES) };
        // At Alipay a close can give money back.
        let dangerous = matches!(story, Story::PaysWhileSwitching | Story::PaysWhatWasTakenAway);
        if code.rail == Rail::WeChat && (first || self.chance.below(if dangerous { 8 } else { 2 }) > 0) {
            code = self.switch(&code);
        }
        match story {
            Story::Pays => self.pay(&code),
            Story::SwitchesAndPays => {
                let next = self.switch(&code);
                self.pay(&next);
            }
            Story::PaysWhileSwitching => {
                let number = self.scan(&code);
                let finger = self.chance.below(5);
                if let Some(number) = &number {
                    match finger {
                        _ if first => self.deaf_to_cancels(number, "unknown-before", 4),
                        0 => {}
                        1 | 2 => return self.pays_behind_the_question(&code, number),
                        _ => self.deaf_for_a_while(number),
                    }
                }
                let wait = self.chance.time(Duration::from_millis(if first { 200 } else { 600 }));
                let (street, machine, former) = (self.street, self.machine, &code);
                let paid = std::thread::scope(|both| {
                    let paying = both.spawn(move || {
                        std::thread::sleep(wait);
                        pay(street, former, false)
                    });
                    touch(machine, code.rail.other().button());
                    paying.join().unwrap()
                });
                match paid {
                    // Told at once, for the most part: then it overtakes the close's answer.
                    Some(number) if first || self.chance.below(3) > 0 => {
                        self.tell_after(code.rail, &number, Duration::ZERO)
                    }
                    Some(number) => self.tell(code.rail, &number),
                    None => {
                        let next = self.code(Some(&code.payload))?;
                        self.pay(&next);
                    }
                }
            }
            Story::PaysWhatWasTakenAway => {
                let number = self.scan(&code);
                if let Some(number) = &number
                    && self.chance.below(4) > 0
                {
                    self.deaf_for_a_while(number);
                }
                let next = self.switch(&code);
                let late = self.chance.below(2) == 0;
                self.pay_how(&code, late);
                if self.chance.below(2) == 0 {
                    std::thread::sleep(self.chance.time(Duration::from_millis(1500)));
                    self.pay(&next);
                }
            }
            Story::PaysBoth => {
                self.pay(&code);
                // Before the machine has noticed, if it is quick.
                let next = self.switch(&code);
                self.pay(&next);
            }
            Story::SwitchesTwice => {
                let second = self.switch(&code);
                let third = self.switch(&second);
                for _ in 0..=self.chance.below(2) {
                    let code = self.chance.pick(&[&code, &second, &third]);
                    self.pay(code);
                }
            }
            Story::CancelsAndPaysLate => {
                self.tap("cancel")?;
                std::thread::sleep(self.chance.time(Duration::from_millis(1200)));
                self.pay_how(&code, true);
            }
            Story::Cancels => self.tap("cancel")?,
            Story::Leaves => {
                self.left()?;
                self.pay(&code);
            }
        }
        Some(())
    }

    /// Waits for a machine that nobody uses.
    fn free(&mut self) -> Option<()> {
        patiently(Duration::from_secs(90), || on_first_page(self.machine))
    }

    /// Until the code is off the glass.
    fn left(&self) -> Option<()> {
        patiently(Duration::from_secs(60), || (self.machine.get("/api/state")["page"] != "pay").then_some(()))
    }

    fn tap(&self, target: &str) -> Option<()> {
        touch(self.machine, target)
    }

    /// What is on the glass, once it is not the `former`.
    fn code(&self, former: Option<&str>) -> Option<Code> {
        patiently(Duration::from_secs(12), || {
            if self.machine.get("/api/state")["page"] != "pay" {
                return None;
            }
            let (status, seen) = self.machine.post("/api/scan", &json!({}));
            let payload = seen["payload"].as_str().filter(|payload| status == 200 && Some(*payload) != former)?;
            let rail = if payload.starts_with("weixin://") { Rail::WeChat } else { Rail::Alipay };
            Some(Code { rail, payload: payload.to_owned(), seen: Instant::now() })
        })
    }

    /// The other rail's code; the same one where there is none.
    fn switch(&self, code: &Code) -> Code {
        let switched = self.tap(code.rail.other().button()).and_then(|()| self.code(Some(&code.payload)));
        switched.unwrap_or_else(|| code.clone())
    }

    fn pay(&mut self, code: &Code) {
        self.pay_how(code, false);
    }

    /// `late`: the provider takes it although the code was closed, as it may when both come at once.
    fn pay_how(&mut self, code: &Code, late: bool) {
        if let Some(number) = pay(self.street, code, late) {
            self.tell(code.rail, &number);
        }
    }

    /// Opens the trade at Alipay, as whoever scans it does; its number.
    fn scan(&self, code: &Code) -> Option<String> {
        if code.rail != Rail::Alipay {
            return None;
        }
        let scanned = self.street.alipay.post("/_pay", json!({ "payload": code.payload, "action": "scan" }));
        scanned["out_trade_no"].as_str().map(str::to_owned)
    }

    fn deaf_for_a_while(&mut self, number: &str) {
        let how =
            self.chance.pick(&["unknown-before", "unknown-before", "unknown-before", "drop-before", "unknown", "drop"]);
        let times = 1 + self.chance.below(6);
        self.deaf_to_cancels(number, how, times);
    }

    /// Alipay answers this trade's cancels with an error, not carried out or carried out all the same.
    fn deaf_to_cancels(&mut self, number: &str, how: &str, times: u64) {
        let fault = json!({ "method": "alipay.trade.cancel", "how": how, "times": times, "out_trade_no": number,
            "for": 8, "then_pay": self.chance.below(8) == 0 });
        self.street.alipay.post("/_control", fault);
    }

    /// Switches, and pays right after the gateway was told that nothing is paid, before it cancels.
    fn pays_behind_the_question(&mut self, code: &Code, number: &str) -> Option<()> {
        self.tap(code.rail.other().button())?;
        let fault = json!({ "method": "alipay.trade.query", "how": "nothing", "out_trade_no": number, "for": 8,
            "then_pay": true });
        self.street.alipay.post("/_control", fault);
        let next = self.code(Some(&code.payload))?;
        self.tell(code.rail, number);
        self.pay(&next);
        Some(())
    }

    /// The provider tells of a payment: at once, later, late, or never. What Alipay says late it has written at once.
    fn tell(&mut self, rail: Rail, number: &str) {
        let wait = match self.chance.below(10) {
            0..3 => return,
            3..6 => self.chance.time(Duration::from_millis(300)),
            6..9 => Duration::from_secs(1) + self.chance.time(Duration::from_secs(5)),
            _ => Duration::from_secs(8) + self.chance.time(Duration::from_secs(12)),
        };
        self.tell_after(rail, number, wait);
    }

    fn tell_after(&mut self, rail: Rail, number: &str, wait: Duration) {
        let street = self.street;
        let door = self.chance.below(2) as usize;
        let written = match rail {
            Rail::WeChat => json!({ "out_trade_no": number }),
            Rail::Alipay => {
                let made = street.alipay.post("/_notify", json!({ "out_trade_no": number, "first": true }));
                made["body"].clone()
            }
        };
        if written.is_null() {
            return;
        }
        self.scope.spawn(move || {
            std::thread::sleep(wait);
            // A provider that is not heard says it again.
            for again in 0..3 {
                if street.notify(rail == Rail::WeChat, door + again, &written) {
                    return;
                }
                std::thread::sleep(Duration::from_secs(2));
            }
        });
    }
}

/// The charge's number, where the provider has taken the money.
fn pay(street: &Street, code: &Code, late: bool) -> Option<String> {
    if !street.on_time(code.seen) {
        return None;
    }
    let answer = match code.rail {
        Rail::WeChat => street.wechat.post("/_pay", json!({ "payload": code.payload, "late": late })),
        Rail::Alipay => {
            let action = if late { "pay-late" } else { "pay" };
            street.alipay.post("/_pay", json!({ "payload": code.payload, "action": action }))
        }
    };
    let number = match code.rail {
        Rail::WeChat => &answer["why"],
        Rail::Alipay => &answer["out_trade_no"],
    };
    (answer["result"] == "accepted").then(|| number.as_str().map(str::to_owned)).flatten()
}

fn touch(machine: &Machine, target: &str) -> Option<()> {
    patiently(Duration::from_secs(5), || touch_now(machine, target))
}

fn touch_now(machine: &Machine, target: &str) -> Option<()> {
    let (x, y) = machine.place(target)?;
    (machine.post("/api/touch", &json!({ "x": x, "y": y })).0 == 200).then_some(())
}

/// Whoever finds somebody's order on the glass, or another page, ends that.
fn on_first_page(machine: &Machine) -> Option<()> {
    let state = machine.get("/api/state");
    if state["page"] == "attract" {
        return Some(());
    }
    // One tap, because the next may meet another page.
    let _ = ["cancel", "done", "back"].iter().find_map(|button| touch_now(machine, button));
    None
}

/// The last sale of all, when the street is calm: it must simply be one.
pub fn calm_sale(street: &Street, machine: &Machine) -> Value {
    machine.wait("a free machine", || on_first_page(machine));
    machine.world(json!({ "stock": "full" }));
    let payload = machine.offer(&["umbrella"]);
    let provider = if payload.starts_with("weixin://") { &street.wechat } else { &street.alipay };
    assert_eq!(provider.post("/_pay", json!({ "payload": payload }))["result"], "accepted");
    machine.until_state("delivered")
}
