//! What somebody with the right to it asks of the machine, from the page: done once, answered alike, and on record with
//! who it was.

use serde_json::{Value, json};

use crate::bus::kit::Bus;
use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup};

/// The answer, and the same once more after the plug was pulled.
fn operate(machine: &Machine, id: &str, asked: &Value) -> Value {
    let body = json!({ "id": id, "asked": asked });
    let (status, first) = machine.post("/api/operations", &body);
    assert_eq!(status, 200, "{body}: {first}");
    machine.world(json!({ "power": "cut" }));
    let (status, again) = machine.post("/api/operations", &body);
    assert_eq!((status, &again), (200, &first), "{body}: the same number, the same answer");
    first
}

fn kioskctl(machine: &Machine, words: &[&str]) -> String {
    let told = command(env!("CARGO_BIN_EXE_kioskctl"))
        .args(["--state", machine.state.to_str().unwrap()])
        .args(words)
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

#[test]
fn each_is_done_once_answered_alike_and_told_with_who_asked() {
    let machine = Machine::start(&Setup::default());
    let done = json!({ "result": "changed" });

    assert_eq!(operate(&machine, "lock-1", &json!({ "do": "lock", "reason": "cleaning" })), done);
    machine.until("out-of-service");
    assert_eq!(machine.get("/api/state")["reasons"][0], json!({ "kind": "locked", "detail": "cleaning" }));
    assert_eq!(operate(&machine, "unlock-1", &json!({ "do": "unlock" })), done);
    machine.until("attract");

    assert_eq!(operate(&machine, "stock-1", &json!({ "do": "set-stock", "slot": "A1", "count": 0 })), done);
    assert_eq!(machine.get("/api/state")["stock"]["A1"]["count"], 0);
    assert_eq!(operate(&machine, "refill-1", &json!({ "do": "refill" })), done);
    let a1 = machine.get("/api/state")["stock"]["A1"].clone();
    assert_eq!(a1["count"], a1["capacity"]);

    // Given away and tested: once each, whatever the plug does, and no revenue.
    for (id, asked, granted) in [
        ("vend-1", json!({ "do": "vend", "product": "cola" }), "free"),
        ("test-1", json!({ "do": "test-vend", "slot": "B1" }), "test"),
    ] {
        machine.until("attract");
        let before = machine.pulses();
        let (status, answer) = machine.post("/api/operations", &json!({ "id": id, "asked": asked }));
        assert_eq!((status, &answer["result"]), (200, &json!("changed")), "{answer}");
        let order = machine.until_state("delivered");
        assert_eq!((&order["id"], &order["granted"]), (&answer["order"], &json!(granted)));
        assert_eq!((&order["amount"], &order["paid"]), (&json!(0), &json!(0)));
        assert_eq!(operate(&machine, id, &asked), answer);
        assert_eq!(machine.pulses(), before + 1, "energised once");
        let why = machine.get(&format!("/api/why?order={}", order["id"].as_str().unwrap()));
        assert!(why["text"].as_str().unwrap().contains("granted by the demo's page"), "{why:#}");
    }

    // A refund that fails becomes a claim, which a person settles.
    machine.until("attract");
    machine.world(json!({ "provider": { "refund_failed": true }, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("claim");
    let settle = json!({ "do": "settle-claim", "order": order["id"], "how": "paid-outside" });
    assert_eq!(operate(&machine, "settle-1", &settle), done);
    let why = kioskctl(&machine, &["why", order["id"].as_str().unwrap()]);
    assert!(why.contains("claim settled by the demo's page: paid back by other means"), "{why}");

    // Refused on record, with no effect.
    let refused = operate(&machine, "stock-2", &json!({ "do": "set-stock", "slot": "Z9", "count": 1 }));
    assert_eq!(refused, json!({ "result": "refused", "why": { "refusal": "no-such-slot" } }));
    let taken = json!({ "id": "lock-1", "asked": { "do": "unlock" } });
    let taken = machine.post("/api/operations", &taken).1;
    assert_eq!(taken["why"]["refusal"], "number-taken");
    for wrong in [json!({ "id": "a b", "asked": { "do": "refill" } }), json!({ "id": "x", "asked": { "do": "open" } })]
    {
        assert_eq!(machine.post("/api/operations", &wrong).0, 400, "{wrong}");
    }

    let audit = kioskctl(&machine, &["operations", "--limit", "50"]);
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let lines: Vec<Vec<String>> = audit.lines().skip(1).map(cells).collect();
    for (asked, came) in [
        ("lock: cleaning", "done"),
        ("give away one cola", "done, see order"),
        ("set the stock of Z9 to 1", "refused: there is no such slot"),
    ] {
        let told = lines.iter().filter(|line| line[2] == asked && line[3].starts_with(came)).count();
        assert_eq!(told, 1, "{asked}: {audit}");
    }
    assert!(lines.iter().all(|line| line[1] == "the demo's page"), "{audit}");
    machine.verify();
}

/// The codes of the reports on the paper, as an independent decoder reads them.
fn reports(machine: &Machine) -> Vec<String> {
    let picture = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    std::fs::write(picture.path(), machine.bytes("/api/printer.png")).unwrap();
    let read = command("zbarimg").args(["--raw", "-q"]).arg(picture.path()).output().unwrap();
    let codes = String::from_utf8(read.stdout).unwrap();
    let mut reports: Vec<String> = codes.lines().filter(|code| code.contains("report")).map(str::to_owned).collect();
    reports.sort_unstable();
    reports
}

/// Once for each number, whatever the plug does; again when somebody asks for it; and nothing of the sale waits for it.
#[test]
fn a_cash_up_has_a_number_and_is_on_the_paper() {
    let machine = Machine::start(&Setup::default());
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("delivered");
    let ask = |id: &str, asked: Value| machine.post("/api/operations", &json!({ "id": id, "asked": asked }));
    let cash_up = || json!({ "do": "cash-up" });
    let made = |number: u32| (200, json!({ "result": "changed", "report": number }));
    assert_eq!(ask("cash-1", cash_up()), made(1));
    let paper = machine.wait("the report", || Some(reports(&machine)).filter(|reports| reports.len() == 1));
    let told = kioskctl(&machine, &["--json", "settle", "--show", "1"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let (end, hash) = (&told["last_record"], told["hash"].as_str().unwrap());
    assert!(paper[0].starts_with("kioskd report 1 of K0001: after 0 "), "{paper:?}");
    assert!(paper[0].ends_with(&format!(" to {end} {hash}")), "{paper:?}");
    assert_eq!(told["totals"][0]["paid"], order["paid"]);

    // The same request again has the same number, and makes neither a cut nor a paper.
    assert_eq!(operate(&machine, "cash-1", &cash_up()), made(1).1);
    assert_eq!(ask("cash-2", cash_up()), made(2));
    let paper = machine.wait("the second", || Some(reports(&machine)).filter(|reports| reports.len() == 2));
    assert!(paper[1].starts_with(&format!("kioskd report 2 of K0001: after {end} {hash} to ")), "{paper:?}");
    assert_eq!(ask("again-1", json!({ "do": "print-report", "number": 1 })), made(1));
    let paper = machine.wait("the copy", || Some(reports(&machine)).filter(|reports| reports.len() == 3));
    assert_eq!(paper[0], paper[1]);
    let (_, refused) = ask("again-9", json!({ "do": "print-report", "number": 9 }));
    assert_eq!(refused["why"]["refusal"], "no-such-report");

    machine.world(json!({ "paper": "out" }));
    assert_eq!(ask("cash-3", cash_up()), made(3));
    machine.wait("the journal", || machine.log().contains("a report is not on paper").then_some(()));
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    machine.verify();
}

/// The plug is pulled at each point of a request's way: whoever asks again under its number gets the one order that it
/// began, which moves something once at most.
#[test]
fn killed_over_a_request_it_is_done_once() {
    let machine = Machine::start(&Setup::fast());
    let points = ["operation-sent", "operation-answered", "relay-on", "drop", "relay-off"];
    for (point, before) in points.iter().zip(0..) {
        machine.world(json!({ "stock": "full" }));
        let boot = ready(&machine, &Value::Null);
        let pulses = machine.pulses();
        machine.world(json!({ "power": "cut", "at": point }));
        let body = json!({ "id": point, "asked": { "do": "vend", "product": "cola" } });
        let (status, unheard) = machine.post("/api/operations", &body);
        let answered = status == 200;
        assert_eq!(answered, !point.starts_with("operation"), "{point}: {unheard}");
        ready(&machine, &boot);
        machine.until_settled();
        let (status, first) = machine.post("/api/operations", &body);
        assert_eq!((status, &first["result"]), (200, &json!("changed")), "{point}: {first}");
        assert!(!answered || unheard == first, "{point}: the same answer: {unheard} {first}");
        machine.until_settled();
        assert_eq!(machine.post("/api/operations", &body), (200, first), "{point}");
        let orders = machine.get("/api/orders");
        let granted = orders["orders"].as_array().unwrap().iter().filter(|order| order["granted"] == "free").count();
        assert_eq!(granted, before + 1, "{point}: one order a request");
        assert!(machine.pulses() <= pulses + 1, "{point}: energised once");
    }
    machine.verify();
}

/// The run of the daemon, once it is another than `former` and can deliver. By the nonce, because the world shows the
/// last state of the dead one for a moment after its death.
fn ready(machine: &Machine, former: &Value) -> Value {
    machine.wait("a kiosk that can deliver", || {
        let state = machine.get("/api/state");
        let alive = state["page"] == "attract" && state["devices"]["board"]["state"] == "ok";
        (alive && state["boot"].is_string() && state["boot"] != *former).then(|| state["boot"].clone())
    })
}

/// A difference is added once whatever becomes of its answer: the plug is pulled around each request, and what lies in the slot is
/// what was put in.
#[test]
fn units_are_added_once_though_the_plug_is_pulled() {
    let bus = Bus::start();
    let machine = Machine::start(&bus.setup());
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    operate(&machine, "empty", &json!({ "do": "set-stock", "slot": "A1", "count": 0 }));
    let (mut added, mut cut_in_the_middle) = (0, 0);
    // From before the call has reached the kiosk to after the answer, also where everything takes long.
    for after in [0, 3, 6, 9, 12, 20, 100, 2_000] {
        let mut asks = command(env!("CARGO_BIN_EXE_kioskctl"));
        asks.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).args(["refill", "--add", "A1=1"]);
        let asked = std::thread::scope(|scope| {
            let asked = scope.spawn(|| asks.output().unwrap());
            std::thread::sleep(std::time::Duration::from_millis(after));
            machine.world(json!({ "power": "cut" }));
            asked.join().unwrap()
        });
        bus.wait_property("Status", "Selling", |selling| *selling == true);
        let says = String::from_utf8_lossy(&asked.stderr).into_owned();
        match asked.status.code() {
            Some(0) => added += 1,
            // Nobody was there to be asked, so nothing was.
            code => assert!(code == Some(2) && says.contains("no kiosk is on this bus"), "{after}: {code:?} {says}"),
        }
        let lies = bus.property("Status", "Stock").unwrap()["A1"][1].clone();
        assert_eq!(lies, added, "after {after} ms: {says}");
        let boots = machine.log().matches("boot-started").count();
        cut_in_the_middle += usize::from(boots > 1);
    }
    assert!(added > 0 && cut_in_the_middle > 0, "{added} were added");
    let told: Value = serde_json::from_str(&kioskctl(&machine, &["operations", "--json"])).unwrap();
    let units = told["operations"].as_array().unwrap().iter().filter(|line| line["asked"]["do"] == "add-stock").count();
    assert_eq!(units, added);
    machine.verify();
}
