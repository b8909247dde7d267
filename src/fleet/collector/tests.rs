//! What the database decides by itself, whoever asks it.

use std::collections::BTreeSet;

use super::batch::{Batch, BookId, Continued, Fork, Status};
use super::database::{Cell, Database, DatabaseError, Dialect, Row};
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

/// Asks SQLite of every statement how it would go about it, and does it then.
struct Explained {
    database: Sqlite,
    /// What it looks up and walks through, and for which statement.
    plans: Vec<(String, String)>,
}

impl Database for Explained {
    fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Row>, DatabaseError> {
        let steps = self.database.query(&format!("EXPLAIN QUERY PLAN {statement}"), parameters)?;
        self.plans.extend(steps.iter().map(|step| (step[3].string(), statement.to_owned())));
        self.database.query(statement, parameters)
    }

    fn run(&mut self, statements: &str) -> Result<(), DatabaseError> {
        self.database.run(statements)
    }

    fn reconnect(&mut self) -> Result<(), DatabaseError> {
        self.database.reconnect()
    }
}

/// Each line that a batch changes is found by its key. Where a statement goes through all of a fleet for each of them, a
/// collector of ten thousand machines stands still.
#[test]
fn what_a_batch_costs_does_not_grow_with_the_fleet() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Explained { database: open(&directory), plans: Vec::new() };
    let mut all = batch(0, 3);
    all.said(&name("K1"), false).online = Some(true);
    all.alarms.insert((name("K1"), name("door")), Some("{}".into()));
    all.alarms.insert((name("K1"), name("paper")), None);
    let status = Status { document: "{}".into(), verified: true };
    all.statuses.insert((name("K1"), name("lock"), name("c1")), status);
    let fork = Fork { id: id(), seq: 2, hash: "another".into(), message: "{}".into() };
    (all.forks, all.old) = (vec![fork.clone()], vec![fork]);
    let done = store::commit(&mut database, &name("f"), &all).unwrap();
    assert_eq!((done.elsewhere.len(), done.forks.len()), (0, 1));
    store::books(&mut database, &name("f"), &name("K1")).unwrap();
    let tables = ["book", "event", "kiosk", "alarm", "command", "fork"];
    let mut searched = BTreeSet::new();
    for (step, statement) in &database.plans {
        let Some(table) = tables.iter().find(|table| step.split(' ').nth(1) == Some(**table)) else { continue };
        searched.insert(*table);
        let by_key = step.starts_with("SEARCH") && step.contains("(fleet=? AND kiosk=?");
        assert!(by_key, "{step}: {statement}");
    }
    assert!(["book", "event", "alarm"].iter().all(|table| searched.contains(table)), "{:?}", database.plans);
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
