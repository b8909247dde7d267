//! The link's channel to the gateway: questions go out beside the events, answers come in whatever their size.

use std::io::Write;
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use kioskd::demo::broker;
use kioskd::demo::proxy::Proxy;
use kioskd::fleet::link::{FleetEvent, LinkConfig, Pay};
use kioskd::fleet::topic::Leaf;
use kioskd::signed::jws::LONGEST;

use super::kit::*;
use kioskd_tests::child::Running;

fn is_pay(event: &FleetEvent) -> bool {
    matches!(event, FleetEvent::Pay { .. })
}

fn paying(settings: LinkConfig) -> LinkConfig {
    LinkConfig { pay: true, ..settings }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_go_out_and_answers_come_in() {
    let mut broker = Mosquitto::start();
    let (requests, everyones) = (topic(Leaf::PayRequest), "kiosk/v1/+/+/pay/request");
    let gateway = Subscriber::start(broker.addr, everyones).listening(broker.addr, &requests);
    let mut kiosk = Kiosk::start(paying(settings(broker.addr)), &Fake::default());
    let request_sender = kiosk.link.request_sender();
    kiosk.listens(broker.addr);
    assert!(request_sender.ask(b"{\"n\":1}".to_vec()));
    gateway.expect(&requests, "{\"n\":1}");
    assert!(retained(broker.addr, "kiosk/v1/+/+/pay/#").is_empty());

    for (leaf, channel) in [(Leaf::PayReply, Pay::Reply), (Leaf::PayNotice, Pay::Notice)] {
        publish(broker.addr, &topic(leaf.clone()), &[], b"yes");
        assert_eq!(kiosk.hear("an answer", is_pay), FleetEvent::Pay { channel, message: b"yes".to_vec() });
        // More than may be believed is cut before anybody looks at it.
        publish(broker.addr, &topic(leaf), &[], &vec![b'x'; 1 << 20]);
        let FleetEvent::Pay { message, .. } = kiosk.hear("a long one", is_pay) else { unreachable!() };
        assert_eq!(message.len(), LONGEST + 1);
    }
    // Another kiosk's answer is none of ours.
    publish(broker.addr, "kiosk/v1/test/K2/pay/reply", &[], b"no");
    publish(broker.addr, &topic(Leaf::PayReply), &[], b"last");
    assert_eq!(kiosk.hear("the last", is_pay), FleetEvent::Pay { channel: Pay::Reply, message: b"last".to_vec() });

    broker.kill();
    kiosk.disconnected();
    assert!(!request_sender.ask(b"lost".to_vec()), "there is no connection");
    broker.restart();
    kiosk.connected();
    let gateway = gateway.listening(broker.addr, &requests);
    assert!(request_sender.ask(b"again".to_vec()));
    let line = gateway.lines.recv_timeout(PATIENCE).unwrap();
    assert_eq!(split(&line), (requests, "again".into()), "what was refused is never sent");
    kiosk.link.stop().await;
    assert!(!request_sender.ask(b"after the end".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kiosk_without_a_gateway_does_not_listen() {
    let broker = Mosquitto::start();
    let mut kiosk = Kiosk::start(settings(broker.addr), &Fake::default());
    kiosk.listens(broker.addr);
    for leaf in [Leaf::PayReply, Leaf::PayNotice, Leaf::Ack] {
        publish(broker.addr, &topic(leaf), &[], b"x");
    }
    kiosk.hear("what came last", |event| matches!(event, FleetEvent::AckRejected { .. }));
    assert!(!kiosk.heard.iter().any(is_pay), "{:?}", kiosk.heard);
    kiosk.link.stop().await;
}

/// A long line every half millisecond, for twenty seconds or until nobody reads; how many. What the broker does not
/// take piles up in the client: 80 MB at most.
fn pour(mut into: ChildStdin) -> u32 {
    let lines = format!("{}\n", "n".repeat(2_000)).repeat(20);
    for burst in 0..2_000 {
        if into.write_all(lines.as_bytes()).is_err() {
            return burst * 20;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    2_000 * 20
}

/// Questions as fast as they are taken, two thousand answers a second, and cuts: every event arrives, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_questions_and_answers_holds_up_no_event() {
    const ALL: u64 = 2000;
    let broker = broker::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = Proxy::start(broker.addr.to_string()).unwrap();
    let back_end = TestBackEnd::start(broker.addr);
    let outbox = Fake::default();
    let mut kiosk = Kiosk::start(paying(settings(proxy.addr())), &outbox);
    kiosk.connected();
    let request_sender = kiosk.link.request_sender();
    let mut asked = 0u64;
    let mut refused = 0u64;
    let mut flood = client("mosquitto_pub", broker.addr);
    let mut flood = Running::start(flood.args(["-t", &topic(Leaf::PayNotice), "-l"]).stdin(Stdio::piped()));
    let noise = flood.stdin.take().unwrap();
    let noise = std::thread::spawn(move || pour(noise));
    for round in 1..=4 {
        outbox.head.store(ALL * round / 4, Ordering::SeqCst);
        kiosk.link.wake();
        until("half of it", || {
            for _ in 0..50 {
                if request_sender.ask(vec![b'q'; 500]) { asked += 1 } else { refused += 1 }
            }
            back_end.count() >= (ALL * round / 4).saturating_sub(200)
        });
        proxy.cut();
        kiosk.disconnected();
        proxy.restore();
        kiosk.connected();
    }
    kiosk.acknowledged(ALL);
    back_end.assert_holds(ALL);
    drop(flood);
    let poured = noise.join().unwrap();
    let heard = kiosk.heard.iter().filter(|event| is_pay(event)).count();
    println!("{ALL} events, 4 cuts; {asked} questions taken, {refused} refused; {heard} of {poured} messages heard");
    assert!(asked > 100 && refused > 100 && heard > 100);
    kiosk.link.stop().await;
}
