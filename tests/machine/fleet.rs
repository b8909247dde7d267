//! The fleet's side, by a real broker and an independent client.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::{Running, command};
use crate::kit::{Machine, PATIENCE, Setup};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn mosquitto(port: u16) -> Running {
    let mut broker = command("mosquitto");
    let broker = broker.args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let broker = Running::start(broker);
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < PATIENCE, "mosquitto does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    broker
}

/// `mosquitto_sub`, line by line: topic and payload.
fn listen(port: u16) -> (Running, Receiver<(String, Value)>) {
    let mut client = command("mosquitto_sub");
    client.args(["-p", &port.to_string(), "-q", "1", "-t", "kiosk/v1/demo/#", "-F", "%t %p"]).stdout(Stdio::piped());
    let mut client = Running::start(&mut client);
    let lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let (heard, queue) = channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let (topic, payload) = line.split_once(' ').unwrap_or((&line, ""));
            let payload = serde_json::from_str(payload).unwrap_or_else(|_| json!(payload));
            if heard.send((topic.to_owned(), payload)).is_err() {
                return;
            }
        }
    });
    (client, queue)
}

/// Events of the kiosk's ledger from `queue` until one of `kind` has come, in order and without repeats.
fn events(queue: &Receiver<(String, Value)>, known: &mut Vec<Value>, kind: &str) {
    let begin = Instant::now();
    while known.last().is_none_or(|event| event["kind"] != kind) {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        let (topic, payload) = queue.recv_timeout(left).unwrap_or_else(|_| panic!("no {kind} in {known:#?}"));
        let Some(name) = topic.strip_prefix("kiosk/v1/demo/K0001/event/") else { continue };
        assert_eq!(payload["kind"], name);
        let next = known.last().map_or(1, |event| event["seq"].as_u64().unwrap() + 1);
        match payload["seq"].as_u64().unwrap() {
            seq if seq == next => known.push(payload),
            seq => assert!(seq < next, "event {seq} before {next}"),
        }
    }
}

#[test]
fn every_event_of_a_sale_arrives_in_order_across_a_broker_that_dies() {
    let port = free_port();
    let broker = mosquitto(port);
    let (client, queue) = listen(port);
    let setup = Setup { broker: Some(format!("mqtt://127.0.0.1:{port}")), ..Setup::default() };
    let machine = Machine::start(&setup);
    assert_eq!(machine.mqtt, format!("mqtt://127.0.0.1:{port}"));
    let mut known = Vec::new();
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    events(&queue, &mut known, "receipt-printed");
    drop((broker, client));

    // Offline: sales go on, and nothing is lost with the broker's memory.
    machine.tap("done");
    let payload = machine.offer(&["water"]);
    machine.wallet(&payload, "pay");
    machine.until("thanks");
    machine.tap("done");
    let payload = machine.offer(&["tea"]);
    machine.tap("cancel");
    machine.wallet(&payload, "pay-late");
    machine.until_state("refunded");

    let _broker = mosquitto(port);
    let (_client, queue) = listen(port);
    // The back end in the box lost its connection too; what it holds it still holds, and this client hears the rest.
    let last = known.len() as u64;
    let mut rest = Vec::new();
    let begin = Instant::now();
    while !rest.iter().any(|event: &Value| event["kind"] == "refund-confirmed") {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        let (topic, payload) = queue.recv_timeout(left).expect("the rest of the events");
        let new = topic.contains("/event/") && payload["seq"].as_u64().unwrap() > last;
        if new && !rest.iter().any(|event: &Value| event["seq"] == payload["seq"]) {
            rest.push(payload);
        }
    }
    let numbers: Vec<u64> = rest.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    let wanted: Vec<u64> = (last + 1..=last + rest.len() as u64).collect();
    assert_eq!(numbers, wanted, "in order, nothing missing");
    for pair in known.iter().chain(&rest).collect::<Vec<_>>().windows(2) {
        assert_eq!(pair[0]["hash"], pair[1]["prev"], "{pair:#?}");
    }
    for kind in ["order-offered", "order-paid", "delivery-intended", "item-delivered", "refund-requested"] {
        assert!(rest.iter().any(|event| event["kind"] == kind), "{kind}");
    }
}

#[test]
fn presence_state_and_alarms_are_retained() {
    let port = free_port();
    let _broker = mosquitto(port);
    let setup = Setup { broker: Some(format!("mqtt://127.0.0.1:{port}")), ..Setup::default() };
    let machine = Machine::start(&setup);
    machine.world(json!({ "door": "open" }));
    machine.until("out-of-service");
    let (_client, queue) = listen(port);
    let (mut presence, mut state, mut alarm) = (false, false, false);
    let begin = Instant::now();
    while !(presence && state && alarm) {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        let (topic, payload) = queue.recv_timeout(left).expect("presence, state and alarm");
        match topic.strip_prefix("kiosk/v1/demo/K0001/") {
            Some("presence") => presence |= payload == "online",
            Some("state") => state |= payload["selling"] == false && payload["reasons"][0]["kind"] == "door-open",
            Some("alarm/sales-stopped") => alarm |= payload["reasons"][0]["kind"] == "door-open",
            _ => {}
        }
    }
    machine.world(json!({ "door": "closed" }));
    let cleared = std::iter::from_fn(|| queue.recv_timeout(PATIENCE).ok())
        .any(|(topic, payload)| topic.ends_with("/alarm/sales-stopped") && payload == "");
    assert!(cleared);
    // Presence ends with the kiosk.
    drop(machine);
    let offline = std::iter::from_fn(|| queue.recv_timeout(PATIENCE).ok())
        .any(|(topic, payload)| topic.ends_with("/presence") && payload == "offline");
    assert!(offline);
}
