//! The fleet link against real brokers: Debian's mosquitto with an independent back end, and the demo's own.

#![cfg(feature = "demo")]

mod access;
#[cfg(feature = "back-end")]
mod collector;
mod duplicates;
#[cfg(feature = "back-end")]
mod enroll;
mod fallback;
#[cfg(feature = "back-end")]
mod inspect;
mod kit;
mod pay;
#[cfg(feature = "back-end")]
mod rollout;
#[cfg(feature = "back-end")]
mod scale;
/// A sale in small with a ledger of its own.
#[allow(dead_code, reason = "the ledger's tests use the rest")]
#[path = "../ledger/kit.rs"]
mod shop;
mod site;
mod tls;
mod trust;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kioskd::demo::back_end::BackEnd;
use kioskd::demo::broker;
use kioskd::demo::proxy::Proxy;
use kioskd::fleet::link::{FleetEvent, LinkConfig};
use kioskd::fleet::topic::Leaf;
use serde_json::json;
use tokio::sync::broadcast::error::TryRecvError;

use kit::*;

fn ack(seq: u64) -> String {
    json!({ "ledger": LEDGER, "seq": seq, "hash": hash(seq) }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_through_a_broker_that_is_killed_again_and_again() {
    const ALL: u64 = 1000;
    let mut broker = Mosquitto::start();
    let outbox = Fake::default();
    let back_end = TestBackEnd::start(broker.addr);
    let mut kiosk = Kiosk::start(settings(broker.addr), &outbox);
    kiosk.connected();
    let started = Instant::now();
    for (round, upto) in [150, 350, 600, 850, ALL].into_iter().enumerate() {
        // Sales go on while the broker is dead.
        for seq in outbox.head.load(Ordering::SeqCst) + 1..=upto {
            outbox.head.store(seq, Ordering::SeqCst);
            kiosk.link.wake();
        }
        back_end.wait_for(if round == 4 { ALL } else { upto - 60 });
        if round < 4 {
            broker.kill();
            kiosk.disconnected();
            outbox.head.fetch_add(50, Ordering::SeqCst);
            kiosk.link.wake();
            broker.restart();
            kiosk.connected();
        }
    }
    kiosk.acknowledged(ALL);
    let (deliveries, duplicates, early) = back_end.assert_holds(ALL);
    println!(
        "{ALL} events, 4 kills: {:?}, {deliveries} deliveries, {duplicates} twice, {early} early",
        started.elapsed()
    );
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_acknowledgements_move_nothing() {
    const ALL: u64 = 30;
    let broker = Mosquitto::start();
    let outbox = Fake::with(ALL);
    let mut kiosk = Kiosk::start(settings(broker.addr), &outbox);
    kiosk.listens(broker.addr);
    let forge = |payload: &[u8]| publish(broker.addr, &topic(Leaf::Ack), &[], payload);
    let large = vec![b' '; 1 << 20];
    let forgeries = [
        json!({ "ledger": LEDGER, "seq": 20, "hash": hash(19) }).to_string(),
        json!({ "ledger": LEDGER, "seq": ALL + 1, "hash": hash(ALL + 1) }).to_string(),
        json!({ "ledger": LEDGER, "seq": u64::MAX, "hash": hash(1) }).to_string(),
        json!({ "ledger": "another", "seq": 20, "hash": hash(20) }).to_string(),
        "\0garbage\u{7f}".into(),
        String::from_utf8(large).unwrap(),
    ];
    for forgery in &forgeries {
        forge(forgery.as_bytes());
        kiosk.hear("refused", |event| matches!(event, FleetEvent::AckRejected { .. }));
    }
    // A large one that the broker keeps comes with every connection; it must not keep the kiosk out.
    publish(broker.addr, &topic(Leaf::Ack), &["-r"], &vec![b'x'; 1 << 20]);
    kiosk.hear("refused", |event| matches!(event, FleetEvent::AckRejected { .. }));
    let quiet = kiosk.heard.iter().all(|event| matches!(event, FleetEvent::Connected | FleetEvent::AckRejected { .. }));
    assert!(quiet, "{:?}", kiosk.heard);
    let mut whys: Vec<String> = Vec::new();
    for event in &kiosk.heard {
        if let FleetEvent::AckRejected { why } = event {
            whys.push(why.clone());
        }
    }
    assert_eq!(
        whys,
        [
            "the hash of event 20 is another",
            "event 31 does not exist",
            "event 18446744073709551615 does not exist",
            "for another ledger",
            "not an acknowledgement",
            "1048576 bytes long, at most 4096 are read",
            "1048576 bytes long, at most 4096 are read",
        ]
    );
    let back_end = TestBackEnd::start(broker.addr);
    kiosk.acknowledged(ALL);
    back_end.assert_holds(ALL);
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_is_true_but_not_the_back_ends_is_taken_back() {
    const ALL: u64 = 200;
    let broker = Mosquitto::start();
    let outbox = Fake::with(ALL);
    // Nobody stores anything, but somebody who reads along says it is all there.
    let quick = LinkConfig { probe: Duration::from_millis(200), ..settings(broker.addr) };
    let mut kiosk = Kiosk::start(quick, &outbox);
    kiosk.listens(broker.addr);
    publish(broker.addr, &topic(Leaf::Ack), &[], ack(ALL).as_bytes());
    kiosk.acknowledged(ALL);
    // There is nothing new to send. The real back end hears of the last event, misses the others, and says so.
    let back_end = TestBackEnd::start(broker.addr);
    kiosk.acknowledged(0);
    kiosk.acknowledged(ALL);
    back_end.assert_holds(ALL);

    // The liar goes on for every event.
    for seq in ALL + 1..=ALL + 100 {
        outbox.head.store(seq, Ordering::SeqCst);
        kiosk.link.wake();
        if seq % 20 == 0 {
            publish(broker.addr, &topic(Leaf::Ack), &[], ack(seq).as_bytes());
        }
    }
    back_end.wait_for(ALL + 100);
    back_end.assert_holds(ALL + 100);
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_that_lost_its_memory_is_sent_everything_again() {
    const ALL: u64 = 120;
    let broker = Mosquitto::start();
    let outbox = Fake::with(ALL);
    let mut kiosk = Kiosk::start(settings(broker.addr), &outbox);
    let first = TestBackEnd::start(broker.addr);
    kiosk.acknowledged(ALL);
    drop(first);
    let second = TestBackEnd::start(broker.addr);
    outbox.head.store(ALL + 1, Ordering::SeqCst);
    kiosk.link.wake();
    kiosk.acknowledged(ALL + 1);
    second.wait_for(ALL + 1);
    second.assert_holds(ALL + 1);
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_follows_the_connection() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.addr.to_string()).unwrap();
    let presence = topic(Leaf::Presence);
    let watcher = Subscriber::start(broker.addr, &presence);
    let mut kiosk = Kiosk::start(settings(proxy.addr()), &Fake::default());
    watcher.expect(&presence, "online");
    kiosk.connected();
    for _ in 0..3 {
        proxy.cut();
        assert!(proxy.is_cut());
        watcher.expect(&presence, "offline");
        kiosk.disconnected();
        proxy.restore();
        watcher.expect(&presence, "online");
        kiosk.connected();
    }
    assert_eq!(retained(broker.addr, &presence), [(presence.clone(), "online".into())]);
    // Somebody says otherwise.
    publish(broker.addr, &presence, &["-r"], b"offline");
    watcher.expect(&presence, "offline");
    watcher.expect(&presence, "online");
    kiosk.link.stop().await;
    watcher.expect(&presence, "offline");
    assert_eq!(retained(broker.addr, &presence), [(presence, "offline".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_and_alarms_are_kept_told_again_and_cleared() {
    let mut broker = Mosquitto::start();
    let everything = "kiosk/v1/test/K1/#";
    let alarm = |kind| topic(Leaf::Alarm(name(kind)));
    // Left behind by a former run.
    publish(broker.addr, &alarm("paper"), &["-r"], b"{}");
    publish(broker.addr, &alarm("tamper"), &["-r"], b"{}");
    let watcher = Subscriber::start(broker.addr, everything);
    watcher.expect(&alarm("paper"), "{}");
    let mut kiosk = Kiosk::start(settings(broker.addr), &Fake::default());
    // Said before there is a connection: the last state counts.
    for n in 0..100 {
        kiosk.link.state(json!({ "selling": n }));
    }
    kiosk.link.alarm("door", Some(json!({ "since": 1 })));
    kiosk.link.alarm("tamper", Some(json!({ "since": 2 })));
    kiosk.link.alarm("a/b", Some(json!({})));
    kiosk.connected();
    watcher.expect(&topic(Leaf::State), r#"{"selling":99}"#);
    kiosk.link.telemetry(json!({ "temperature": 21 }));
    watcher.expect(&topic(Leaf::Telemetry), r#"{"temperature":21}"#);
    watcher.expect(&alarm("paper"), "");
    kiosk.link.alarm("door", None);
    watcher.expect(&alarm("door"), "");
    let expected = [
        (alarm("tamper"), r#"{"since":2}"#.to_owned()),
        (topic(Leaf::Presence), "online".into()),
        (topic(Leaf::State), r#"{"selling":99}"#.into()),
    ];
    until("all of it is shown", || retained(broker.addr, everything) == expected);
    // A broker that has forgotten all of it is told again.
    broker.kill();
    kiosk.disconnected();
    broker.restart();
    kiosk.connected();
    until("told again", || retained(broker.addr, everything) == expected);
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_answers_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = std::thread::spawn(move || {
        // Says yes to the connection and never again anything.
        let mut kept = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut packet = [0; 512];
            assert_ne!(stream.read(&mut packet).unwrap(), 0);
            stream.write_all(&[0x20, 2, 0, 0]).unwrap();
            kept.push(stream);
        }
        kept.len()
    });
    let quick = LinkConfig { puback_timeout: Duration::from_millis(300), ..settings(addr) };
    let mut kiosk = Kiosk::start(quick, &Fake::with(10));
    kiosk.connected();
    assert_eq!(kiosk.disconnected(), "the broker does not take what is published");
    kiosk.connected();
    assert_eq!(connections.join().unwrap(), 2);
    drop(kiosk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_fails_for_a_while_loses_nothing() {
    let broker = Mosquitto::start();
    let outbox = Fake::with(100);
    outbox.broken.store(true, Ordering::SeqCst);
    let back_end = TestBackEnd::start(broker.addr);
    let mut kiosk = Kiosk::start(settings(broker.addr), &outbox);
    kiosk.connected();
    until("three tries", || outbox.reads.load(Ordering::SeqCst) >= 3);
    assert_eq!(back_end.count(), 0);
    outbox.broken.store(false, Ordering::SeqCst);
    kiosk.acknowledged(100);
    back_end.assert_holds(100);
    kiosk.link.stop().await;
}

/// The demo's broker, cable and back end, all in this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_own_broker_and_back_end() {
    const ALL: u64 = 3000;
    let broker = broker::start("127.0.0.1:0".parse().unwrap()).unwrap();
    assert!(broker::start(broker.addr).is_err(), "the port is taken");
    let proxy = Proxy::start(broker.addr.to_string()).unwrap();
    let back_end = BackEnd::start(broker.addr, kiosk().fleet);
    let mut traffic = back_end.watch();
    let outbox = Fake::default();
    let mut kiosk = Kiosk::start(settings(proxy.addr()), &outbox);
    kiosk.link.state(json!({ "selling": true }));
    kiosk.link.alarm("door", Some(json!({})));
    kiosk.connected();
    for round in 1..=10 {
        outbox.head.store(ALL * round / 10, Ordering::SeqCst);
        kiosk.link.wake();
        until("half of it", || back_end.counts().stored >= (ALL * round / 10).saturating_sub(150));
        proxy.cut();
        kiosk.disconnected();
        proxy.restore();
        kiosk.connected();
    }
    kiosk.acknowledged(ALL);
    let counts = back_end.counts();
    println!("{ALL} events, 10 cuts: {counts:?}");
    assert_eq!((counts.stored, counts.broken, counts.malformed), (ALL, 0, 0));
    let tail = back_end.events_tail(500);
    assert!(tail.iter().map(|event| event.seq).eq(ALL - 499..=ALL));
    for event in tail {
        assert_eq!((event.payload, event.kind.as_str()), (kit::payload(event.seq), "order-paid"));
    }
    // What came while nobody read is dropped at the old end.
    assert!(matches!(traffic.try_recv(), Err(TryRecvError::Lagged(_))));
    assert_eq!(traffic.len(), 1024);

    // Another client takes our name, and leaves without a word: in the end the broker shows that we are here.
    let presence = topic(Leaf::Presence);
    let id = settings(broker.addr).client_id;
    publish(broker.addr, "elsewhere", &["-i", &id], b"x");
    kiosk.disconnected();
    kiosk.connected();
    let alarm = topic(Leaf::Alarm(name("door")));
    let expected = [
        (alarm, "{}".to_owned()),
        (presence.clone(), "online".into()),
        (topic(Leaf::State), r#"{"selling":true}"#.into()),
    ];
    until("all is shown", || retained_so_far(broker.addr, "kiosk/v1/test/#") == expected);
    kiosk.link.stop().await;
    until("goodbye", || retained_so_far(broker.addr, &presence) == [(presence.clone(), "offline".into())]);
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_events_after_weeks_offline() {
    const ALL: u64 = 100_000;
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.addr.to_string()).unwrap();
    proxy.cut();
    let back_end = BackEnd::start(broker.addr, kiosk().fleet);
    let outbox = Fake::with(ALL);
    // The test's own chain is all in memory before anything is measured.
    hash(ALL);
    let mut kiosk = Kiosk::start(settings(proxy.addr()), &outbox);
    kiosk.disconnected();
    for n in 0..10_000 {
        kiosk.link.telemetry(json!({ "n": n }));
        kiosk.link.wake();
    }
    assert_eq!(outbox.reads.load(Ordering::SeqCst), 0, "nothing is read while there is nobody to send it to");
    proxy.restore();
    let started = Instant::now();
    // By then the back end's display is full, and what still grows would be the link.
    until("the first part", || back_end.counts().stored >= 30_000);
    let before = resident();
    until("everything", || back_end.counts().stored == ALL);
    let took = started.elapsed();
    let after = resident();
    kiosk.acknowledged(ALL);
    let counts = back_end.counts();
    let bytes = kit::payload(ALL).len();
    println!(
        "{ALL} events of {bytes} bytes in {took:?}: {:.0} a second, {} reads, {before} -> {after} KiB resident, {counts:?}",
        ALL as f64 / took.as_secs_f64(),
        outbox.reads.load(Ordering::SeqCst),
    );
    // Half of what came meanwhile: other tests of this program live in the same memory.
    let most = (ALL - 30_000) * bytes as u64 / 2 / 1024;
    assert!(after < before + most, "memory grew from {before} to {after} KiB, and {most} at most");
    kiosk.link.stop().await;
}
