//! Who is believed: a back end that knows the kiosk's key, a kiosk that knows the back end's, and everybody else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kioskd::demo::back_end::{BackEnd, Counts, Trust};
use kioskd::fleet::link::{FleetEvent, LinkConfig};
use kioskd::fleet::proof::Position;
use kioskd::fleet::topic::Leaf;
use kioskd::signed::jws::{Keys, Purpose, Signer};
use serde_json::json;

use super::kit::*;
use kioskd_tests::child::Running;

/// As the kiosk calls its key.
pub const KID: &str = "test/K1";

fn here(seq: u64) -> Position {
    Position { ledger: LEDGER.into(), seq, hash: hash(seq) }
}

pub fn keys(signer: &Signer) -> Keys {
    Keys::new([(signer.kid().to_owned(), signer.public())])
}

fn ack(signer: &Signer, seq: u64) -> Vec<u8> {
    signer.sign(Purpose::Ack, &here(seq)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forged_is_refused_and_throws_nobody_out_of_step() {
    let broker = Mosquitto::start();
    let (kiosk_key, back_end_key, stranger) = (key(KID), key("back-end"), key(KID));
    let trust = Trust { kiosks: [(name("K1"), kiosk_key.public())].into(), signer: Some(key("x")) };
    let trust = Trust { signer: Some(back_end_key), ..trust };
    let believed = keys(trust.signer.as_ref().unwrap());
    let back_end = BackEnd::start_with(broker.addr.into(), None, kiosk().fleet, trust);
    let outbox = Fake::with(100);
    let signing = LinkConfig { signer: Some(Arc::new(kiosk_key)), back_end: Some(believed), ..settings(broker.addr) };
    let mut kiosk = Kiosk::start(signing, &outbox);
    kiosk.acknowledged(100);
    let before = back_end.counts();
    assert_eq!((before.stored, before.forged, before.forked), (100, 0, 0), "{before:?}");

    let forge = |payload: &str| publish(broker.addr, &topic(Leaf::Event(name("order-paid"))), &[], payload.as_bytes());
    let lie = r#"{"kind":"order-paid","order":"01JTESTORDER0000000000000","amount":1}"#;
    // The next in the chain with a right hash, and one far ahead: held, and never the kiosk's.
    forge(&event_with(101, &hash(100), lie));
    forge(&event_with(500, &hash(499), lie));
    // Another in the place of one that is stored, one that was changed on the way, one of another ledger.
    forge(&event_with(100, &hash(99), lie));
    forge(&payload(101).replace("amount", "amouNt"));
    forge(&payload(101).replace(LEDGER, "01JOTHERLEDGER"));
    let checkpoint = topic(Leaf::Checkpoint);
    publish(broker.addr, &checkpoint, &[], &stranger.sign(Purpose::Checkpoint, &here(101)).unwrap());
    publish(broker.addr, &checkpoint, &[], json!(here(101)).to_string().as_bytes());
    until("five refusals", || back_end.counts().forged == 5);
    assert_eq!(back_end.counts().stored, 100);

    outbox.head.store(150, Ordering::SeqCst);
    kiosk.link.wake();
    kiosk.acknowledged(150);
    let after = back_end.counts();
    // With the event that stood in the place of the true 101.
    assert_eq!(after, Counts { stored: 150, forged: 6, ..after });
    for event in back_end.events_tail(150) {
        assert_eq!(event.payload, payload(event.seq));
    }
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_back_ends_key_is_known_only_its_word_counts() {
    const ALL: u64 = 30;
    let broker = Mosquitto::start();
    let (back_end, stranger) = (key("back-end"), key("back-end"));
    let trusting = LinkConfig { back_end: Some(keys(&back_end)), ..settings(broker.addr) };
    let mut kiosk = Kiosk::start(trusting, &Fake::with(ALL));
    kiosk.listens(broker.addr);
    let told = back_end.sign(Purpose::Checkpoint, &here(ALL)).unwrap();
    let forgeries = [json!(here(ALL)).to_string().into_bytes(), ack(&stranger, ALL), ack(&key("other"), ALL), told];
    let whys = forgeries.map(|forgery| {
        publish(broker.addr, &topic(Leaf::Ack), &[], &forgery);
        match kiosk.hear("refused", |event| matches!(event, FleetEvent::AckRejected { .. })) {
            FleetEvent::AckRejected { why } => why,
            other => unreachable!("{other:?}"),
        }
    });
    let expected = [
        "not the back end's: not a flattened JWS signed with EdDSA",
        "not the back end's: the signature does not hold",
        "not the back end's: signed by a key that is not known here",
        "not the back end's: signed for another purpose",
    ];
    assert_eq!(whys, expected);
    assert!(!kiosk.heard.iter().any(|event| matches!(event, FleetEvent::Acknowledged { .. })));
    publish(broker.addr, &topic(Leaf::Ack), &[], &ack(&back_end, ALL));
    kiosk.acknowledged(ALL);
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_flood_of_acknowledgements_the_kiosk_hears_the_newest() {
    const ALL: u64 = 20_000;
    let broker = Mosquitto::start();
    let every = Duration::from_millis(200);
    // Nobody says "again" in between.
    let quiet = LinkConfig { report_every: every, retry_first: PATIENCE, ..settings(broker.addr) };
    let mut kiosk = Kiosk::start(quiet, &Fake::with(ALL));
    kiosk.listens(broker.addr);
    let mut lines = Vec::new();
    for seq in 1..=ALL {
        lines.extend(format!("{}\n", json!(here(seq))).into_bytes());
    }
    let started = Instant::now();
    let flood = Running::answer(client("mosquitto_pub", broker.addr).args(["-t", &topic(Leaf::Ack), "-l"]), &lines);
    assert!(flood.status.success(), "{flood:?}");
    kiosk.acknowledged(ALL);
    let took = started.elapsed();
    let told = kiosk.heard.iter().filter(|event| matches!(event, FleetEvent::Acknowledged { .. })).count();
    println!("{ALL} acknowledgements in {took:?}: the kiosk was told {told} times");
    let most = took.as_millis() / every.as_millis() + 2;
    assert!(told as u128 <= most, "told {told} times in {took:?}");
    kiosk.link.stop().await;
}
