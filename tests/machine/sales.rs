//! Sales as a customer makes them, and everything that can come between.

use std::time::{Duration, Instant};

use serde_json::json;

use kioskd_tests::machine::{Machine, Setup};

/// The paper's picture must not be blank where a receipt is.
fn inked_rows(machine: &Machine) -> usize {
    let paper = image::load_from_memory(&machine.bytes("/api/printer.png")).unwrap().into_luma8();
    paper.rows().filter(|row| row.clone().any(|pixel| pixel.0[0] < 128)).count()
}

#[test]
fn from_tap_to_receipt_in_every_language_and_orientation() {
    for panel in ["1280x800", "800x1280"] {
        let machine = Machine::start(&Setup { panel, ..Setup::default() });
        for (sale, language) in ["zh-Hant", "zh-Hans", "en"].into_iter().enumerate() {
            let sale = sale as i64 + 1;
            machine.until("attract");
            let before = inked_rows(&machine);
            machine.tap(&format!("language:{language}"));
            machine.tap("start");
            machine.tap("product:water");
            machine.tap("pay");
            let state = machine.until("pay");
            assert_eq!((&state["order"]["state"], &state["order"]["amount"]), (&json!("waiting-payment"), &json!(200)));
            let payload = machine.scan();
            machine.wallet(&payload, "pay");
            let state = machine.until("thanks");
            assert_eq!(state["order"]["state"], "delivered", "{state:#}");
            assert_eq!((machine.pulses(), machine.dropped()), (sale, sale), "one pulse, one drop");
            machine.wait("the receipt", || (inked_rows(&machine) > before + 200).then_some(()));
            machine.tap("done");
        }
        machine.books_agree();
        machine.verify();
    }
}

#[test]
fn a_payment_after_the_order_was_cancelled_goes_back() {
    let machine = Machine::start(&Setup::default());
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay-late");
    machine.tap("cancel");
    machine.until_any(&["cancelled", "refunded"]);
    let order = machine.until_state("refunded");
    assert_eq!((&order["paid"], &order["refunded"]), (&json!(300), &json!(300)));
    assert_eq!((machine.pulses(), machine.dropped()), (0, 0));
    machine.books_agree();
}

#[test]
fn a_payment_after_the_time_was_up_goes_back() {
    let machine = Machine::start(&Setup::fast());
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay-late");
    let order = machine.until_state("refunded");
    assert_eq!(order["refunded"], 300);
    assert_eq!(machine.pulses(), 0);
    machine.until_settled();
    machine.books_agree();
}

#[test]
fn paid_twice_delivers_once_and_the_second_goes_back() {
    let machine = Machine::start(&Setup::default());
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay-twice");
    machine.until("thanks");
    let order = machine.wait("the second payment back", || {
        let order = machine.newest();
        (order["refunded"] == 300).then_some(order)
    });
    assert_eq!((&order["paid"], &order["state"]), (&json!(600), &json!("delivered")));
    assert_eq!((machine.pulses(), machine.dropped()), (1, 1));
    machine.books_agree();
}

#[test]
fn a_wrong_amount_delivers_nothing_and_goes_back() {
    let machine = Machine::start(&Setup::default());
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay-wrong-amount");
    let order = machine.until_state("refunded");
    assert_eq!((&order["paid"], &order["refunded"]), (&json!(299), &json!(299)));
    machine.until("refunded");
    assert_eq!(machine.pulses(), 0);
    machine.books_agree();
}

#[test]
fn scanned_and_abandoned_expires_unpaid() {
    let mut setup = Setup::fast();
    // Long enough to be looked at.
    setup.config.push(("result_timeout = \"1s\"", "result_timeout = \"15s\""));
    let machine = Machine::start(&setup);
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "abandon");
    machine.until("expired");
    machine.until_state("expired");
    machine.until_settled();
    assert_eq!((machine.pulses(), machine.newest()["paid"].as_i64()), (0, Some(0)));
    machine.until("attract");
}

#[test]
fn a_jam_is_delivered_from_another_slot_of_the_same_product() {
    let machine = Machine::start(&Setup::default());
    machine.world(json!({ "slot": { "name": "A1", "motor": "jam" } }));
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    let state = machine.until("thanks");
    assert_eq!(state["order"]["state"], "delivered");
    assert_eq!(machine.newest()["items"][0]["slot"], "A2");
    assert_eq!((machine.pulses(), machine.dropped()), (2, 1));
    let faults = machine.get("/api/state")["faults"].clone();
    assert_eq!(faults[0]["slot"], "A1", "{faults}");
    machine.books_agree();
}

#[test]
fn a_jam_of_the_only_slot_gives_the_money_back() {
    let machine = Machine::start(&Setup::default());
    machine.world(json!({ "slot": { "name": "B1", "motor": "jam" } }));
    let payload = machine.offer(&["tea"]);
    machine.wallet(&payload, "pay");
    machine.until("refunded");
    let order = machine.until_state("refunded");
    assert_eq!((&order["paid"], &order["refunded"]), (&json!(450), &json!(450)));
    assert_eq!((machine.pulses(), machine.dropped()), (1, 0));
    machine.books_agree();
}

#[test]
fn a_double_drop_is_one_delivery_of_two_pieces() {
    let machine = Machine::start(&Setup::default());
    machine.world(json!({ "slot": { "name": "B1", "motor": "double" } }));
    let payload = machine.offer(&["tea"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    let order = machine.newest();
    assert_eq!((&order["state"], &order["refunded"]), (&json!("delivered"), &json!(0)));
    assert_eq!((machine.pulses(), machine.dropped()), (1, 2));
    let state = machine.get("/api/state");
    assert_eq!(state["stock"]["B1"]["count"], 6, "both pieces are gone from the stock");
}

#[test]
fn a_basket_with_one_failing_item_is_delivered_in_part_and_paid_in_part() {
    let machine = Machine::start(&Setup::default());
    machine.world(json!({ "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["water", "chips", "tea"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    let order = machine.until_state("partly-delivered");
    assert_eq!((&order["paid"], &order["refunded"]), (&json!(1_200), &json!(550)));
    let outcomes: Vec<_> = order["items"].as_array().unwrap().iter().map(|item| &item["outcome"]).collect();
    assert_eq!(outcomes, ["delivered", "not-delivered", "delivered"]);
    machine.books_agree();
}

#[test]
fn without_paper_the_glass_has_the_receipt() {
    let machine = Machine::start(&Setup::default());
    machine.world(json!({ "paper": "out" }));
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    let order = machine.newest();
    let text = machine.scan();
    assert!(text.contains(order["id"].as_str().unwrap()), "{text}");
    let why = machine.get("/api/why");
    assert!(why["text"].as_str().unwrap().contains("no receipt on paper"), "{why:#}");
    machine.world(json!({ "paper": "ok" }));
    machine.tap("done");
    let rows = inked_rows(&machine);
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    machine.wait("the next receipt", || (inked_rows(&machine) > rows + 200).then_some(()));
}

#[test]
fn a_door_opened_while_the_code_is_up_takes_it_away_within_a_second() {
    let machine = Machine::start(&Setup::default());
    let opened = || {
        let payload = machine.offer(&["cola"]);
        let opened = Instant::now();
        machine.world(json!({ "door": "open" }));
        machine.until_any(&["cancelled", "out-of-service"]);
        (payload, opened.elapsed())
    };
    // A busy machine is late once and again; a kiosk that is late is late each time.
    let (mut payload, mut took) = opened();
    for _ in 0..2 {
        if took >= Duration::from_secs(1) {
            machine.world(json!({ "door": "closed" }));
            machine.until("attract");
            (payload, took) = opened();
        }
    }
    assert!(took < Duration::from_secs(1), "{took:?}");
    let state = machine.get("/api/state");
    assert_eq!((&state["selling"], &state["reasons"][0]["kind"]), (&json!(false), &json!("door-open")));
    assert_eq!(machine.newest()["state"], "cancelled");
    // The provider has closed it, or takes the money and it comes back.
    let (_, told) = machine.post("/api/wallet", &json!({ "payload": payload, "action": "pay-late" }));
    assert_eq!(told["result"], "accepted", "{told}");
    let order = machine.until_state("refunded");
    assert_eq!((&order["paid"], &order["refunded"]), (&json!(300), &json!(300)));
    assert_eq!((machine.pulses(), machine.dropped()), (0, 0));
    machine.world(json!({ "door": "closed" }));
    machine.until("attract");
    machine.books_agree();
}

#[test]
fn no_network_before_the_sale_offers_nothing() {
    let machine = Machine::start(&Setup::fast());
    machine.world(json!({ "network": "down" }));
    machine.tap("start");
    // Either the machine has noticed already, or it does when it asks for the charge.
    let mut tried = false;
    machine.wait("out of service", || {
        let page = machine.get("/api/state")["page"].as_str().unwrap_or_default().to_owned();
        match page.as_str() {
            "choose" if !tried => machine.tap("product:cola"),
            "basket" if !tried => {
                tried = true;
                machine.tap("pay");
            }
            _ => {}
        }
        (page == "out-of-service").then_some(())
    });
    machine.world(json!({ "network": "up" }));
    machine.until("attract");
    machine.until_settled();
    assert_eq!((machine.pulses(), machine.get("/api/wallet")["charges"][0]["paid"].as_i64().unwrap_or(0)), (0, 0));
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");
    machine.books_agree();
}

#[test]
fn no_network_during_payment_takes_the_code_away_and_the_money_comes_back() {
    let setup = Setup { config: vec![("lease = \"30s\"", "lease = \"7s\"")], ..Setup::default() };
    let machine = Machine::start(&setup);
    let payload = machine.offer(&["cola"]);
    machine.world(json!({ "network": "down" }));
    // The payer's phone has a network of its own.
    machine.wallet(&payload, "pay");
    let state = machine.until("cancelled");
    assert_eq!(state["order"]["state"], "cancelled");
    machine.world(json!({ "network": "up" }));
    let order = machine.until_state("refunded");
    assert_eq!(order["refunded"], 300);
    assert_eq!((machine.pulses(), machine.dropped()), (0, 0));
    machine.books_agree();
}

#[test]
fn no_network_after_payment_still_delivers_and_refunds_when_it_is_back() {
    let machine = Machine::start(&Setup { turn: 800, ..Setup::default() });
    machine.world(json!({ "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["water", "chips"]);
    machine.wallet(&payload, "pay");
    machine.until("delivering");
    machine.world(json!({ "network": "down" }));
    machine.until("thanks");
    assert_eq!(machine.newest()["state"], "refunding");
    assert_eq!(machine.dropped(), 1);
    machine.world(json!({ "network": "up" }));
    let order = machine.until_state("partly-delivered");
    assert_eq!((&order["paid"], &order["refunded"]), (&json!(750), &json!(550)));
    machine.books_agree();
}

#[test]
fn the_short_code_finds_the_order_again() {
    let machine = Machine::start(&Setup::default());
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    let code = machine.newest()["short_code"].as_str().unwrap().to_owned();
    assert!(payload.contains(&code), "the payer's app shows the same code");
    machine.tap("done");
    machine.until("attract");
    machine.tap("lookup");
    for digit in code.chars() {
        machine.tap(&format!("key:{digit}"));
    }
    machine.tap("key:ok");
    machine.until("lookup");
    machine.tap("done");
    machine.until("attract");
}
