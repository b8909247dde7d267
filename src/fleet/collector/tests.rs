//! What the database decides by itself, whoever asks it.

use std::collections::BTreeSet;

use super::batch::{Batch, BookId, Continued};
use super::database::{Database, DatabaseError};
use super::reading;
use super::sqlite::Sqlite;
use super::{lease, store};
use crate::fleet::proof::Position;
use crate::fleet::topic::Name;
use crate::ledger::{EventDocument, GENESIS};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn id() -> BookId {
    BookId { kiosk: name("K1"), ledger: "L".into() }
}

/// Events up to `last`, chained.
fn chain(last: u64) -> Vec<EventDocument> {
    let mut prev = GENESIS.to_owned();
    let event = |seq| {
        let text = format!(r#"{{"kind":"noted","n":{seq}}}"#);
        let mut event = EventDocument {
            ledger: "L".into(),
            seq,
            hash: String::new(),
            prev: std::mem::take(&mut prev),
            boot: "b".into(),
            mono: seq,
            ts: (seq % 2 == 0).then_some(1_795_000_000_000),
            order: None,
            kind: "noted".into(),
            text,
        };
        event.hash = event.recomputed();
        prev.clone_from(&event.hash);
        event
    };
    (1..=last).map(event).collect()
}

fn position(events: &[EventDocument], seq: u64) -> Position {
    let hash = seq.checked_sub(1).and_then(|at| events.get(usize::try_from(at).unwrap()));
    Position { ledger: "L".into(), seq, hash: hash.map(|event| event.hash.clone()).unwrap_or_default() }
}

/// The events after `from` up to `to`.
fn batch(from: u64, to: u64) -> Batch {
    let all = chain(to);
    let (was, now) = (position(&all, from), position(&all, to));
    let events = all.into_iter().filter(|event| event.seq > from).collect();
    let book = Continued { was, now, seal: b"seal".to_vec(), events };
    Batch { now: 1, books: [(id(), book)].into(), ..Batch::default() }
}

fn open(directory: &tempfile::TempDir) -> Sqlite {
    let mut database = Sqlite::open(directory.path(), true).unwrap();
    store::make(&mut database).unwrap();
    lease::make(&mut database, &name("f")).unwrap();
    database
}

fn stored(database: &mut dyn Database) -> Vec<u64> {
    reading::events_after(database, ("f", "K1", "L"), 0, 100).unwrap().iter().map(|event| event.seq).collect()
}

#[test]
fn a_ledger_goes_on_from_where_it_stands_and_from_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = open(&directory);
    let mut commit = |batch: &Batch| {
        let done = store::commit(&mut database, &name("f"), batch).unwrap();
        (done.elsewhere, stored(&mut database))
    };
    let (ours, elsewhere) = (vec![], vec![id()]);
    assert_eq!(commit(&batch(0, 3)), (ours.clone(), vec![1, 2, 3]));
    // The same once more, by another collector; a gap; what overlaps; and another chain.
    assert_eq!(commit(&batch(0, 3)), (elsewhere.clone(), vec![1, 2, 3]));
    assert_eq!(commit(&batch(4, 6)), (elsewhere.clone(), vec![1, 2, 3]));
    assert_eq!(commit(&batch(2, 5)), (elsewhere.clone(), vec![1, 2, 3]));
    let mut other = batch(3, 4);
    other.books.get_mut(&id()).unwrap().was.hash = "another".into();
    assert_eq!(commit(&other), (elsewhere, vec![1, 2, 3]));
    assert_eq!(commit(&batch(3, 5)), (ours, vec![1, 2, 3, 4, 5]));
    let books = store::books(&mut database, &name("f"), &name("K1")).unwrap();
    assert_eq!(books, [(position(&chain(5), 5), b"seal".to_vec())]);
    let again = reading::events_after(&mut database, ("f", "K1", "L"), 0, 100).unwrap();
    assert_eq!(again, chain(5), "as they came");
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = open(&directory);
    // The second number twice: the table refuses it.
    let mut bad = batch(0, 2);
    let book = bad.books.get_mut(&id()).unwrap();
    book.events.push(book.events[1].clone());
    let refused = store::commit(&mut database, &name("f"), &bad).err().unwrap();
    assert!(matches!(refused, DatabaseError::Sqlite(_)) && refused.is_final(), "{refused}");
    assert_eq!(stored(&mut database), [0; 0]);
    assert_eq!(store::books(&mut database, &name("f"), &name("K1")).unwrap(), []);
}

#[test]
fn leases_are_shared_out_and_given_back_and_nobody_holds_anothers() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = open(&directory);
    let mut renew = |who: &str| lease::renew(&mut database, &name("f"), who).unwrap();
    assert_eq!(renew("a").len(), 64);
    assert!(renew("b").is_empty(), "all are taken");
    let a = renew("a");
    let b = renew("b");
    assert_eq!((a.len(), b.len()), (32, 32));
    assert!(a.is_disjoint(&b));
    renew("c");
    let (a, b, c) = (renew("a"), renew("b"), renew("c"));
    let all: BTreeSet<u16> = a.iter().chain(&b).chain(&c).copied().collect();
    assert_eq!((a.len(), b.len(), all.len()), (22, 22, 64), "{}", c.len());
    lease::release(&mut database, &name("f"), "b").unwrap();
    let mut renew = |who: &str| lease::renew(&mut database, &name("f"), who).unwrap();
    assert_eq!(renew("a").len() + renew("c").len(), 64);
}

#[test]
fn the_longest_event_of_a_kiosk_is_believed() {
    // As long a configuration as a command may bring, each end of its lines quoted twice.
    let config =
        crate::operation::ConfigText::parse(&format!("{}{}", "\n".repeat(18_000), "x".repeat(40_000))).unwrap();
    let text = serde_json::json!({ "kind": "config-tried", "config": config }).to_string();
    let mut event = EventDocument { text, kind: "config-tried".into(), ..chain(1).remove(0) };
    event.hash = event.recomputed();
    let document = serde_json::to_string(&event).unwrap();
    assert!(document.len() > 90 << 10, "{}", document.len());
    let taken = crate::fleet::proof::Verifier::unsigned().event(&name("config-tried"), document.as_bytes());
    assert!(taken.is_ok(), "{taken:?}");
}

#[test]
fn kiosks_are_spread_over_all_shares() {
    let mut counts = [0_u32; store::SHARES as usize];
    for nth in 0..6_400 {
        counts[usize::from(lease::share(&name(&format!("K{nth:05}"))))] += 1;
    }
    assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
}

#[test]
fn a_month_is_of_the_events_own_time_and_nothing_else() {
    for (ts, month) in [
        (None, 0),
        (Some(0), 0),
        (Some(1_795_000_000_000), 202_611),
        (Some(1_798_761_599_999), 202_612),
        (Some(1_798_761_600_000), 202_701),
        (Some(u64::MAX), 0),
        (Some(253_402_300_800_000), 0),
    ] {
        assert_eq!(store::month(ts), month, "{ts:?}");
    }
}
