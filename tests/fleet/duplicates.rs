//! Two kiosks with one id on one broker, and a ledger that somebody else has gone on with.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kioskd::fleet::link::{FleetEvent, LinkConfig};
use kioskd::fleet::proof::Position;
use kioskd::fleet::topic::Leaf;
use kioskd::signed::jws::Purpose;
use serde_json::json;

use super::kit::*;
use super::trust::keys;

fn is_told(event: &FleetEvent) -> bool {
    matches!(event, FleetEvent::Duplicate { why: Some(_) })
}

fn start(broker: &Mosquitto, boot: &str, outbox: &Fake) -> Kiosk {
    let ms = Duration::from_millis;
    let settings = LinkConfig { boot: boot.into(), back_off_max: ms(1500), ..settings(broker.addr) };
    let kiosk = Kiosk::start(settings, outbox);
    kiosk.link.state(json!({ "selling": true, "boot": boot }));
    kiosk
}

/// Connects under a name, which throws out whoever has it, and goes.
fn take_over(broker: SocketAddr, id: &str) {
    let mut packet = vec![0x10, 12 + id.len() as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, id.len() as u8];
    packet.extend(id.as_bytes());
    let mut stream = TcpStream::connect(broker).unwrap();
    stream.write_all(&packet).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_kiosks_with_one_id_both_notice_and_leave_the_broker_in_peace() {
    let broker = Mosquitto::start();
    // There is always something to send, so every connection makes progress: as a good one the next try would come at
    // once.
    let _back_end = TestBackEnd::start(broker.addr);
    let outbox = Fake::with(1);
    let mut one = start(&broker, "b1", &outbox);
    one.connected();
    let mut two = start(&broker, "b2", &outbox);
    let why = two.hear("another", is_told);
    assert_eq!(one.hear("another", is_told), why);
    // From here on the waits grow to random parts of a second and a half.
    let (begin, mut connections) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(4) {
        let both = one.said.try_iter().chain(two.said.try_iter());
        outbox.head.fetch_add(1, Ordering::SeqCst);
        one.link.wake();
        two.link.wake();
        connections += both.filter(|event| *event == FleetEvent::Connected).count();
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = begin.elapsed();
    println!("{connections} connections in {took:?}");
    assert!(connections as u64 <= 6 * (took.as_secs() + 1), "{connections} connections in {took:?}");
    // The other goes home; who stays finds that it is alone.
    two.link.stop().await;
    one.hear("alone", |event| *event == FleetEvent::Duplicate { why: None });
    one.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kiosk_that_restarts_is_no_second_one() {
    let broker = Mosquitto::start();
    for boot in ["b1", "b2", "b3"] {
        let mut kiosk = start(&broker, boot, &Fake::default());
        kiosk.connected();
        let state = topic(Leaf::State);
        until("shown", || retained(broker.addr, &state).iter().any(|(_, text)| text.contains(boot)));
        // Thrown out by somebody who is no kiosk, again and again.
        for _ in 0..3 {
            take_over(broker.addr, &settings(broker.addr).client_id);
            kiosk.disconnected();
            kiosk.connected();
        }
        kiosk.link.stop().await;
        kiosk.heard.extend(kiosk.said.try_iter());
        assert!(!kiosk.heard.iter().any(is_told), "{:?}", kiosk.heard);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_acknowledgement_of_events_that_are_not_ours_tells_of_a_copy() {
    let broker = Mosquitto::start();
    let back_end = key("back-end");
    let trusting = LinkConfig { back_end: Some(keys(&back_end)), ..settings(broker.addr) };
    let mut kiosk = Kiosk::start(trusting, &Fake::with(10));
    kiosk.listens(broker.addr);
    // Unsigned it could be anybody's word.
    let further = Position { ledger: LEDGER.into(), seq: 20, hash: hash(20) };
    publish(broker.addr, &topic(Leaf::Ack), &[], json!(further).to_string().as_bytes());
    kiosk.hear("refused", |event| matches!(event, FleetEvent::AckRejected { .. }));
    assert!(!kiosk.heard.iter().any(is_told));
    publish(broker.addr, &topic(Leaf::Ack), &[], &back_end.sign(Purpose::Ack, &further).unwrap());
    kiosk.hear("a copy", is_told);
    kiosk.link.stop().await;
}
