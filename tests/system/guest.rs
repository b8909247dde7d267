//! Inside: a day in the street, as the plan says.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::office::Office;
use crate::street::{Board, Eye, Finger, Order, Paper, SLOTS, tell};
use crate::{Day, Plan, Result, Seen};

pub const OUTSIDE: &str = "/outside";
pub const STATE: &str = "/var/lib/kioskd";
pub const PROVIDER: &str = "http://127.0.0.1:8001";
pub const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "runs in the laboratory's machine, as a service"]
fn street() {
    let plan = fs::read(Path::new(OUTSIDE).join("plan.json")).unwrap();
    let plan: Plan = serde_json::from_slice(&plan).unwrap();
    let offline = matches!(plan.day, Day::Offline { .. });
    let mut street = Street {
        finger: Some(Finger::new(1280, 800)),
        eye: Eye::new(&plan.pages),
        paper: if offline { Paper::network() } else { Paper::usb() },
        board: Board::start(!offline),
        office: OnceCell::new(),
        slips: 0,
    };
    if !offline {
        assert!(Command::new("systemctl").args(["start", "lab-broker"]).status().unwrap().success());
        street.office();
    }
    street.eye.page(0);
    tell(&Seen::Open);
    match plan.day {
        Day::Sales { sales, kill_every } => {
            for nth in 1..=sales {
                let kill = nth % kill_every == 0;
                street.board.tell(Order::KillAtNextPulse(kill));
                street.pay();
                if kill {
                    street.board.killed();
                }
                street.receipt();
                // The kiosk puts its last page away by itself.
                street.eye.page(0);
            }
        }
        Day::UntilTheCut => loop {
            street.pay();
            street.receipt();
            street.eye.page(0);
        },
        Day::Troubles => street.troubles(),
        Day::Offline { hours, minutes } => street.offline(hours, minutes, &plan.products),
    }
    let result = result(street.office());
    fs::write(Path::new(OUTSIDE).join("result.json"), serde_json::to_vec(&result).unwrap()).unwrap();
    if matches!(plan.day, Day::Troubles) {
        street.restart();
    }
}

/// Everybody and everything around the daemon.
pub struct Street {
    /// None where the glass has no touch sensor.
    pub finger: Option<Finger>,
    pub eye: Eye,
    pub paper: Paper,
    pub board: Board,
    pub office: OnceCell<Office>,
    slips: u32,
}

impl Street {
    /// A customer chooses and pays.
    pub fn pay(&mut self) {
        let mut touched = None;
        for page in 0..self.eye.pages() {
            if let Some((x, y)) = touched
                && self.eye.page_soon(page).is_none()
            {
                self.eye.keep("touched-again.png");
                tell(&Seen::TouchedAgain { page });
                self.finger.as_mut().expect("a touch sensor").tap(x, y);
            }
            let (x, y) = self.eye.page(page);
            self.finger.as_mut().expect("a touch sensor").tap(x, y);
            touched = Some((x, y));
        }
        let payload = self.eye.code();
        let answer: Value = post("/_pay", &json!({ "payload": payload }));
        assert_eq!(answer["result"], "accepted", "{answer}");
        self.board.tell(Order::Paid);
        tell(&Seen::Paid { payload });
    }

    /// Opens with the first question to it, when there is a broker.
    pub fn office(&self) -> &Office {
        self.office.get_or_init(Office::start)
    }

    /// Takes the slip.
    pub fn receipt(&mut self) {
        self.slips += 1;
        tell(&Seen::Receipt { text: self.paper.receipt(self.slips) });
    }
}

fn result(office: &Office) -> Result {
    // A payment that came late, a refund that is under way: every book agrees in the end.
    let (orders, book) = until("the end of every order", || {
        let orders = run("kioskctl", &["--state", STATE, "--json", "orders", "--limit", "100000"]);
        let orders: Value = serde_json::from_str(&orders).unwrap();
        let book: Value = ureq::get(format!("{PROVIDER}/_book")).call().unwrap().body_mut().read_json().unwrap();
        let settled = book["charges"].as_array()?.iter().all(|charge| {
            let order =
                orders["orders"].as_array().and_then(|all| all.iter().find(|order| order["id"] == charge["order"]));
            order.is_some_and(|order| {
                let kept = order["paid"].as_i64().unwrap_or(0) - order["refunded"].as_i64().unwrap_or(0);
                let outcome = if kept > 0 { "delivered" } else { "" };
                order["paid"] == charge["paid"]
                    && order["refunded"] == charge["refunded"]
                    && order["items"]
                        .as_array()
                        .is_some_and(|items| outcome.is_empty() || items[0]["outcome"] == outcome)
            })
        });
        settled.then_some((orders, book))
    });
    let verified = run("kioskctl", &["--state", STATE, "verify"]);
    let told: Value = serde_json::from_str(&run("kioskctl", &["--state", STATE, "--json", "verify"])).unwrap();
    let records = told["records"].as_u64().unwrap();
    let memory = shown("MemoryCurrent");
    let started_anew = || {
        run("systemctl", &["restart", "kioskd"]);
        (shown("ActiveEnterTimestampMonotonic") - shown("ExecMainStartTimestampMonotonic")) / 1_000
    };
    let first_frames_ms = (0..5).map(|_| started_anew()).collect();
    let journal = run("journalctl", &["-u", "kioskd", "-o", "json", "--no-pager"]);
    let journal: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |what: &str| -> Vec<&Value> {
        journal.iter().filter(|entry| entry["MESSAGE"].as_str().is_some_and(|text| text.contains(what))).collect()
    };
    let made_safe = said(" is inactive (").len() - 5 * SLOTS.len();
    let at = |entry: &&Value| entry["__MONOTONIC_TIMESTAMP"].as_str().unwrap().parse().unwrap();
    Result {
        orders,
        verified,
        book,
        events: until("every event at the back end", || Some(office.stored()).filter(|stored| *stored >= records)),
        memory,
        first_frames_ms,
        paid_us: said("order-paid").iter().map(at).collect(),
        made_safe: made_safe as u32,
    }
}

/// A number that systemd knows about the daemon.
pub fn shown(name: &str) -> u64 {
    let said = run("systemctl", &["show", "--property", name, "--value", "kioskd"]);
    said.trim().parse().unwrap_or_else(|_| panic!("{name} is `{said}`"))
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn post(path: &str, body: &Value) -> Value {
    let answer = ureq::post(format!("{PROVIDER}{path}")).send_json(body);
    answer.unwrap_or_else(|error| panic!("{path}: {error}")).body_mut().read_json().unwrap()
}

/// Asks until there is an answer.
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_every(Duration::from_millis(50), what, ask)
}

/// The same for what takes the machine some work.
pub fn until_every<T>(pause: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it never came: {what}");
        std::thread::sleep(pause);
    }
}
