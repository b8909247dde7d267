//! What the lanes of a site tell each other over the link: bytes, as they were told, the newest of each lane.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kioskd::fleet::link::{FleetEvent, LinkConfig, SiteTopics};
use kioskd::fleet::topic::{Address, Leaf, Topic};
use kioskd::signed::jws::LONGEST;
use kioskd_tests::child::Running;

use super::kit::*;

const SITE: u16 = 7;

fn facts_of(lane: u8) -> String {
    Topic::Facts { fleet: name("test"), site: SITE, lane }.to_string()
}

/// A lane is a kiosk of its own.
fn lane(broker: &Mosquitto, lane: u8) -> LinkConfig {
    let id = format!("L{lane}");
    LinkConfig {
        client_id: format!("kioskd.test.{id}"),
        address: Address { kiosk: name(&id), ..kiosk() },
        site: Some(SiteTopics { site: SITE, lane }),
        ..settings(broker.addr)
    }
}

fn start(settings: LinkConfig) -> Kiosk {
    Kiosk::start(settings, &Fake::default())
}

fn facts(lane: u8, message: &[u8]) -> FleetEvent {
    FleetEvent::Facts { lane, message: message.to_vec() }
}

impl Kiosk {
    fn hears(&mut self, lane: u8, message: &[u8]) {
        let what = format!("{:?} of lane {lane}", String::from_utf8_lossy(&message[..message.len().min(40)]));
        self.hear(&what, |event| *event == facts(lane, message));
    }

    /// Now, or before.
    fn has_heard(&mut self, lane: u8, message: &[u8]) {
        if !self.heard.contains(&facts(lane, message)) {
            self.hears(lane, message);
        }
    }

    /// Says it until it is heard, at most a hundred times.
    fn hears_at_last(&mut self, lane: u8, message: &[u8], say: impl Fn()) {
        for _ in 0..100 {
            say();
            while let Ok(event) = self.said.recv_timeout(Duration::from_millis(500)) {
                let last = event == facts(lane, message);
                self.heard.push(event);
                if last {
                    return;
                }
            }
        }
        panic!("{:?} of lane {lane} was not heard", String::from_utf8_lossy(message));
    }

    fn rejects(&mut self, part: &str) -> u64 {
        let rejected =
            |event: &FleetEvent| matches!(event, FleetEvent::FactsRejected { why, .. } if why.contains(part));
        match self.hear(part, rejected) {
            FleetEvent::FactsRejected { count, .. } => count,
            other => unreachable!("{other:?}"),
        }
    }
}

/// What the broker keeps of the site, by an independent client.
fn kept(broker: &Mosquitto) -> Vec<(String, String)> {
    retained(broker.addr, "kiosk/v1/test/site/#")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_hear_each_other_and_themselves_and_who_comes_later_hears_the_newest() {
    let broker = Mosquitto::start();
    let listener =
        Subscriber::start(broker.addr, "kiosk/v1/test/site/#").listening(broker.addr, "kiosk/v1/test/site/x");
    let (mut entry, mut exit) = (start(lane(&broker, 1)), start(lane(&broker, 3)));
    entry.link.tell_facts(b"in 1".to_vec());
    exit.link.tell_facts(b"out 1".to_vec());
    for kiosk in [&mut entry, &mut exit] {
        kiosk.hears(1, b"in 1");
    }
    for kiosk in [&mut entry, &mut exit] {
        kiosk.has_heard(3, b"out 1");
    }
    listener.expect(&facts_of(1), "in 1");
    // Of a hundred at once the first may still go, and the last does.
    for n in 2..=100 {
        entry.link.tell_facts(format!("in {n}").into_bytes());
    }
    exit.hears(1, b"in 100");
    let told = exit.heard.iter().filter(|event| matches!(event, FleetEvent::Facts { lane: 1, .. })).count();
    assert!(told <= 3, "{told} documents for a hundred changes within a moment");
    assert_eq!(kept(&broker), [(facts_of(1), "in 100".to_owned()), (facts_of(3), "out 1".to_owned())]);

    // What belongs to another site or fleet is not heard, nor what comes from a kiosk that is no lane.
    for other in ["kiosk/v1/test/site/8/lane/1/facts", "kiosk/v1/other/site/7/lane/1/facts"] {
        publish(broker.addr, other, &["-r"], b"other");
    }
    let mut later = start(lane(&broker, 5));
    let mut vending = start(LinkConfig { site: None, ..lane(&broker, 6) });
    vending.connected();
    vending.link.tell_facts(b"none".to_vec());
    later.hears(1, b"in 100");
    later.has_heard(3, b"out 1");
    later.link.tell_facts(b"pay 1".to_vec());
    later.hears(5, b"pay 1");
    // Taking away what is kept says nothing; what is no document is carried all the same.
    let taken_away = client("mosquitto_pub", broker.addr).args(["-t", &facts_of(3), "-r", "-n"]).status().unwrap();
    assert!(taken_away.success());
    publish(broker.addr, &facts_of(9), &[], b"\xff\0rubbish");
    later.hears(9, b"\xff\0rubbish");
    for kiosk in [&later, &vending] {
        let strange = |event: &FleetEvent| match event {
            FleetEvent::Facts { message, .. } => message.is_empty() || message == b"other" || message == b"none",
            FleetEvent::FactsRejected { .. } => true,
            _ => false,
        };
        assert!(!kiosk.heard.iter().chain(&kiosk.said.try_iter().collect::<Vec<_>>()).any(strange));
    }
    assert!(!vending.heard.iter().any(|event| matches!(event, FleetEvent::Facts { .. })));
    assert!(!kept(&broker).iter().any(|(topic, _)| *topic == facts_of(6)));
    for kiosk in [entry, exit, later, vending] {
        kiosk.link.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_hears_what_the_broker_has_kept_of_it_before_it_tells_more() {
    let broker = Mosquitto::start();
    // Of this lane, before its disk was put back.
    publish(broker.addr, &facts_of(1), &["-r"], b"later");
    let mut entry = start(lane(&broker, 1));
    entry.link.tell_facts(b"earlier".to_vec());
    entry.hears(1, b"later");
    assert!(!entry.heard.contains(&facts(1, b"earlier")));
    entry.hears(1, b"earlier");
    // When it stops it tells its newest, however new it is.
    entry.link.tell_facts(b"newest".to_vec());
    entry.link.stop().await;
    assert_eq!(kept(&broker), [(facts_of(1), "newest".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_is_told_again_to_a_broker_that_was_killed_and_to_the_second_one() {
    let (mut broker, second) = (Mosquitto::start(), Mosquitto::start());
    let config = LinkConfig { fallback: Some(second.addr.into()), ..lane(&broker, 1) };
    // A broker that is dead does not hold up what is told.
    broker.kill();
    let mut entry = start(config);
    entry.link.tell_facts(b"1".to_vec());
    entry.link.tell_facts(b"2".to_vec());
    entry.hears(1, b"2");
    assert_eq!(kept(&second), [(facts_of(1), "2".to_owned())], "at the second broker");
    assert!(!entry.heard.contains(&facts(1, b"1")), "the newest alone waits");
    entry.link.stop().await;

    broker.restart();
    let mut entry = start(lane(&broker, 1));
    let mut exit = start(lane(&broker, 3));
    exit.connected();
    entry.link.tell_facts(b"3".to_vec());
    exit.hears(1, b"3");
    // This broker keeps nothing on its disk.
    broker.kill();
    entry.disconnected();
    exit.disconnected();
    broker.restart();
    exit.hears(1, b"3");
    assert_eq!(kept(&broker), [(facts_of(1), "3".to_owned())]);
    // What is told while it is dead replaces that.
    broker.kill();
    entry.disconnected();
    entry.link.tell_facts(b"4".to_vec());
    broker.restart();
    exit.hears(1, b"4");
    let after: BTreeSet<&[u8]> = (exit.heard.iter().rev())
        .take_while(|event| !matches!(event, FleetEvent::Disconnected { .. }))
        .filter_map(|event| if let FleetEvent::Facts { message, .. } = event { Some(message.as_slice()) } else { None })
        .collect();
    assert_eq!(after, BTreeSet::from([b"4".as_slice()]));
    entry.link.stop().await;
    exit.link.stop().await;
}

/// Another lane floods, and somebody says what is too long: events are acknowledged, and the other lanes are heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_and_what_is_too_long_hold_up_nothing() {
    const ALL: u64 = 1000;
    const FLOOD: usize = 4000;
    let broker = Mosquitto::start();
    let back_end = TestBackEnd::start(broker.addr);
    let outbox = Fake::default();
    // The events of the tests' back end are this kiosk's.
    let config = LinkConfig { site: Some(SiteTopics { site: SITE, lane: 1 }), ..settings(broker.addr) };
    let mut entry = Kiosk::start(config, &outbox);
    let mut exit = start(lane(&broker, 3));
    entry.connected();
    exit.connected();

    // The longest that may be is carried in both directions, one more byte is not.
    let longest = vec![b'x'; LONGEST];
    exit.link.tell_facts(longest.clone());
    entry.hears(3, &longest);
    exit.link.tell_facts(vec![b'y'; LONGEST + 1]);
    publish(broker.addr, &facts_of(4), &["-r"], &vec![b'z'; LONGEST + 1]);
    assert_eq!(entry.rejects("131073 bytes, at most 131072"), 1);
    for (nth, bad) in ["0", "100", "03", "x"].into_iter().enumerate() {
        publish(broker.addr, &format!("kiosk/v1/test/site/{SITE}/lane/{bad}/facts"), &[], b"x");
        assert_eq!(entry.rejects(&format!("/lane/{bad}/facts` is no lane's")), nth as u64 + 2);
    }
    // Each connection meets again what is too long and kept, and goes on.
    let mut late = start(lane(&broker, 5));
    late.rejects("131073 bytes");
    late.has_heard(3, &longest);

    let mut flood = client("mosquitto_pub", broker.addr);
    let mut flood = Running::start(flood.args(["-t", &facts_of(9), "-l"]).stdin(Stdio::piped()));
    let mut into = flood.stdin.take().unwrap();
    let pouring = std::thread::spawn(move || {
        (0..FLOOD).for_each(|n| writeln!(into, "{n} {}", "n".repeat(2_000)).unwrap());
    });
    for round in 1..=4 {
        outbox.head.store(ALL * round / 4, Ordering::SeqCst);
        entry.link.wake();
        entry.link.tell_facts(vec![b'0' + round as u8; LONGEST]);
        entry.acknowledged(ALL * round / 4);
    }
    exit.hears(1, &[b'4'; LONGEST]);
    exit.link.tell_facts(b"out".to_vec());
    entry.hears(3, b"out");
    // What is said after the flood is heard, and of the flood by far not all. The broker drops what it has no room for, so it is
    // said until then.
    pouring.join().unwrap();
    entry.hears_at_last(9, b"last", || publish(broker.addr, &facts_of(9), &["-r"], b"last"));
    back_end.assert_holds(ALL);
    let heard = entry.heard.iter().filter(|event| matches!(event, FleetEvent::Facts { lane: 9, .. })).count();
    println!("{ALL} events beside {FLOOD} messages of another lane, of which {heard} were handed on");
    assert!(heard < FLOOD / 4, "{heard} of {FLOOD}");
    let too_long = |event: &FleetEvent| matches!(event, FleetEvent::Facts { message, .. } if message.len() > LONGEST);
    assert!(!entry.heard.iter().chain(&exit.heard).any(too_long));
    for kiosk in [entry, exit, late] {
        kiosk.link.stop().await;
    }
}

/// Some brokers end the connection over a message that is too long for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_will_not_have_the_facts_gets_the_events_all_the_same() {
    let broker = Mosquitto::narrow(60_000);
    let back_end = TestBackEnd::start(broker.addr);
    let outbox = Fake::default();
    let config = LinkConfig { site: Some(SiteTopics { site: SITE, lane: 1 }), ..settings(broker.addr) };
    let mut entry = Kiosk::start(config, &outbox);
    entry.link.tell_facts(vec![b'x'; LONGEST]);
    for _ in 0..3 {
        entry.connected();
        entry.disconnected();
    }
    entry.connected();
    // For longer than the others lasted.
    let (begun, mut seq) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(5) {
        seq += 1;
        outbox.head.store(seq, Ordering::SeqCst);
        entry.link.wake();
        entry.acknowledged(seq);
    }
    let ended = entry.heard.iter().filter(|event| matches!(event, FleetEvent::Disconnected { .. })).count();
    assert_eq!(ended, 3, "{:?}", entry.heard);
    back_end.assert_holds(seq);
    assert_eq!(kept(&broker), []);
    entry.link.stop().await;
}

/// What a camera says counts for the car that is there now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cameras_plates_are_heard_and_none_that_the_broker_has_kept() {
    let broker = Mosquitto::start();
    let plates = topic(Leaf::Plate);
    publish(broker.addr, &plates, &["-r"], b"OLD 1");
    let mut entry = start(LinkConfig { plates: true, ..settings(broker.addr) });
    entry.listens(broker.addr);
    let kept =
        |event: &FleetEvent| matches!(event, FleetEvent::PlateRejected { why, count: 1 } if why.contains("kept"));
    entry.hear("what was kept", kept);
    publish(broker.addr, &plates, &[], b"kn-ab 120");
    let seen = entry.hear("a plate", |event| matches!(event, FleetEvent::PlateSeen { .. }));
    assert!(matches!(seen, FleetEvent::PlateSeen { plate } if plate.as_str() == "KNAB120"));
    // One that is no lane's listens to no camera.
    let mut vending = start(lane(&broker, 6));
    vending.connected();
    publish(broker.addr, &Address { kiosk: name("L6"), ..kiosk() }.topic(Leaf::Plate).to_string(), &[], b"KN AB 120");
    vending.link.tell_facts(b"told".to_vec());
    vending.hears(6, b"told");
    assert!(!vending.heard.iter().any(|event| matches!(event, FleetEvent::PlateSeen { .. })));
    for kiosk in [entry, vending] {
        kiosk.link.stop().await;
    }
}
