//! A reader that hangs beside a loop that does not.

use std::io::BufReader;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;

use serde_json::Value;

use super::super::Input;
use super::super::edges::tests::{Rig, rig, sell};
use super::super::notices::Notice;
use super::*;
use crate::board::BoardEvent;
use crate::sale::event::Event;
use crate::vocabulary::{ChargeReport, Standing};
use crate::world::{Question, ToWorld, World, receive};

const PATIENCE: Duration = Duration::from_secs(20);

/// The reading thread does nothing else until the sender is dropped.
fn hang(rig: &Rig) -> Sender<()> {
    let (release, held) = channel();
    rig.kiosk.reads.as_ref().unwrap().own(move |_| held.recv().unwrap_or(()));
    release
}

fn touch(rig: &mut Rig, names: &[&str]) {
    for name in names {
        rig.kiosk.take(Input::Event(Event::Touch(name.parse().unwrap())));
    }
}

#[test]
fn a_read_that_does_not_end_delays_no_door() {
    let mut rig = rig(|| ());
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("world")).unwrap();
    rig.kiosk.world = Some(World::connect(&folder.path().join("world"), &rig.kiosk.edges.supervisor, |_| ()).unwrap());
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut page = BufReader::new(stream);
    let mut told = || receive::<ToWorld>(&mut page).unwrap().unwrap().0;

    let release = hang(&rig);
    rig.kiosk.take(Input::Question { id: 7, ask: Question::Orders });
    touch(&mut rig, &["lookup", "key:1", "key:2", "key:3", "key:4", "key:5", "key:6", "key:ok"]);
    rig.kiosk.take(Input::Board(BoardEvent::Door { open: true }));
    rig.kiosk.show();
    let ToWorld::State { document } = told() else { panic!("the door comes before what is read") };
    assert_eq!(document["reasons"][0]["kind"], "door-open");
    let early = rig.queue.try_iter().any(|input| matches!(input, Input::Event(Event::Found { .. })));
    assert!(!early, "nothing was read on the loop");

    drop(release);
    let ToWorld::Answer { id: 7, answer } = told() else { panic!("then what was asked first is answered") };
    assert_eq!(answer["orders"], Value::Array(Vec::new()));
    let found = std::iter::from_fn(|| rig.queue.recv_timeout(PATIENCE).ok()).find_map(|input| {
        if let Input::Event(Event::Found { code, order }) = input { Some((code, order)) } else { None }
    });
    assert_eq!(found, Some(("123456".into(), None)));
    rig.kiosk.end();
}

#[test]
fn of_strangers_questions_only_so_many_wait_and_the_loops_own_always_do() {
    let rig = rig(|| ());
    let reads = rig.kiosk.reads.as_ref().unwrap();
    let release = hang(&rig);
    let (done, all) = channel();
    for _ in 0..WAITING {
        let done = done.clone();
        assert_eq!(reads.ask(move |_| done.send("asked").unwrap()), Ok(()));
    }
    assert_eq!(reads.ask(|_| panic!("refused")), Err(Busy));
    let last = done.clone();
    reads.own(move |_| last.send("own").unwrap());
    drop(release);
    let answers: Vec<_> = (0..=WAITING).map(|_| all.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!((answers[0], answers[WAITING]), ("asked", "own"));
    assert_eq!(reads.ask(move |_| done.send("again").unwrap()), Ok(()), "there is room again");
    assert_eq!(all.recv_timeout(PATIENCE), Ok("again"));
    rig.kiosk.end();
}

#[test]
fn an_old_order_is_read_once_for_all_its_notices() {
    let mut rig = rig(|| ());
    // Nothing can happen on its charge any more after so long.
    let policy = &mut rig.kiosk.state.policy;
    (policy.qr_life, policy.more_time, policy.grace) = (Duration::from_secs(1), Duration::ZERO, Duration::ZERO);
    sell(&mut rig);
    rig.until(|kiosk| kiosk.state.orders.values().any(|order| order.ended));
    let (id, charge) = {
        let order = rig.kiosk.state.orders.values().next().unwrap();
        (order.id, order.charges[0].id.clone())
    };
    touch(&mut rig, &["done"]);
    rig.until(|kiosk| kiosk.state.orders.is_empty());

    let release = hang(&rig);
    for returned in [1, 2] {
        let report = ChargeReport { standing: Standing::Closed, payments: Vec::new(), returned, attach: None };
        rig.kiosk.take(Input::Notice(Notice::Rail { charge: charge.clone(), report }));
    }
    assert!(rig.kiosk.state.orders.is_empty(), "it is still being read");
    let (done, all) = channel();
    rig.kiosk.reads.as_ref().unwrap().own(move |_| done.send(()).unwrap());
    drop(release);
    all.recv_timeout(PATIENCE).expect("whatever was asked before has been read");
    let old: Vec<_> = rig.queue.try_iter().filter(|input| matches!(input, Input::Old { .. })).collect();
    assert_eq!(old.len(), 1);
    old.into_iter().for_each(|input| rig.kiosk.take(input));
    assert_eq!(rig.kiosk.state.orders[&id].charges[0].returned, 2, "both were taken, in order");
    rig.kiosk.end();
}
