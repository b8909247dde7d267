//! A kiosk goes to its second broker when the first is away, and back.

use std::time::Duration;

use kioskd::fleet::link::LinkConfig;
use kioskd::fleet::topic::Leaf;

use super::kit::{Fake, Kiosk, Mosquitto, TestBackEnd, retained, settings, topic, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_the_back_end_by_the_second_broker_until_the_first_is_back() {
    let (mut first, mut second) = (Mosquitto::start(), Mosquitto::start());
    let presence = |broker: &Mosquitto| retained(broker.addr, &topic(Leaf::Presence)).pop().map(|(_, told)| told);
    let outbox = Fake::with(100);
    let settings = LinkConfig {
        fallback: Some(second.addr.into()),
        home_every: Duration::from_millis(400),
        ..settings(first.addr)
    };
    let mut kiosk = Kiosk::start(settings, &outbox);
    kiosk.connected();
    until("its presence at the first", || presence(&first).as_deref() == Some("online"));
    assert_eq!(presence(&second), None, "it is at one broker only");

    // The back end listens at the second.
    let back_end = TestBackEnd::start(second.addr);
    first.kill();
    kiosk.disconnected();
    kiosk.acknowledged(100);
    back_end.assert_holds(100);
    assert_eq!(presence(&second).as_deref(), Some("online"));

    // It goes back by itself, and is missed at the second.
    first.restart();
    until("its presence at the first again", || presence(&first).as_deref() == Some("online"));
    until("its last will at the second", || presence(&second).as_deref() == Some("offline"));

    // With both away it goes on trying both.
    first.kill();
    second.kill();
    outbox.head.store(150, std::sync::atomic::Ordering::SeqCst);
    second.restart();
    drop(back_end);
    let back_end = TestBackEnd::start(second.addr);
    kiosk.acknowledged(150);
    back_end.assert_holds(150);
    kiosk.link.stop().await;
}
