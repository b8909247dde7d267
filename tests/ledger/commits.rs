//! One commit a step, and a copy of the files taken at any moment holds exactly what was live.

use kioskd::ledger::{Journal, Reader};
use kioskd::sale::Record;

use crate::kit::{self, Log, Shop};

#[test]
fn after_every_commit_a_restart_finds_what_was_live() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.keep_all();
    shop.varied();
    let trail = shop.trail.take().unwrap();
    assert!(trail.iter().filter(|kept| kept.records > 0).count() > 40, "a run worth the name");
    let mut acknowledged = 0;
    for (number, kept) in trail.iter().enumerate().filter(|(_, kept)| kept.records > 0) {
        let when = format!("after step {number}, record {}", kept.seq);
        assert_eq!(kept.seq, acknowledged + kept.records as u64, "{when}");
        acknowledged = kept.seq;
        let copy = kit::lay(&kept.db, &kept.wal);
        let ledger = kit::open(copy.path()).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(ledger.seq(), kept.seq, "{when}");
        kit::same(&kept.state, &ledger.recover().unwrap(), &when);
        let verified = Reader::open(copy.path()).unwrap().verify().unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(verified.seq, kept.seq, "{when}");
    }
}

#[test]
fn one_commit_a_step_and_none_on_idle() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    let mut before = Log::of(&kit::files(directory.path()).1);
    shop.trail = Some(Vec::new());
    shop.varied();
    let trail = shop.trail.take().unwrap();
    let idle = trail.iter().filter(|kept| kept.records == 0).count();
    assert!(idle > 40, "ticks and answers that change nothing: {idle}");
    for (number, kept) in trail.iter().enumerate() {
        let now = Log::of(&kept.wal);
        // After a checkpoint the log begins anew, with other salts.
        let already = if now.salts == before.salts { before.ends.len() } else { 0 };
        assert_eq!(now.ends.len() - already, usize::from(kept.records > 0), "step {number}, {} records", kept.records);
        before = now;
    }
}

#[test]
fn an_idle_hour_leaves_the_disk_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    shop.sell();
    let other = rusqlite::Connection::open(kit::db_of(directory.path())).unwrap();
    let version = || other.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let (before, files) = (version(), kit::files(directory.path()));
    shop.pass(3_600_000);
    shop.ledger.acknowledge(3);
    assert_eq!(version(), before);
    assert!(kit::files(directory.path()) == files, "not a byte");
    shop.offer(&["cola"]);
    assert_ne!(version(), before, "the measure works");
    drop(shop);
    assert_eq!(Reader::open(directory.path()).unwrap().acknowledged().unwrap(), 3);
    assert_eq!(kit::open(directory.path()).unwrap().acknowledged(), 3, "the cursor went with the next records");
}

#[test]
fn a_restart_goes_on_where_the_chain_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    let mut last = kit::BEGUN;
    for _ in 0..3 {
        let mut shop = Shop::open(directory.path());
        assert_eq!(shop.ledger.seq(), last);
        shop.start();
        ids.push(shop.sell());
        last = shop.ledger.seq();
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let verified = Reader::open(directory.path()).unwrap().verify().unwrap();
    assert_eq!((verified.seq, verified.orders), (last, 3));
}

#[test]
fn a_restart_finds_the_newest_of_each_note() {
    let directory = kit::varied();
    let recovered = kit::open(directory.path()).unwrap().recover().unwrap();
    let notes: Vec<_> = recovered.shop.iter().filter(|record| record.kind() == "shop-noted").collect();
    let inside = Record::ShopNoted { key: "inside".into(), value: Some(41.into()) };
    assert_eq!(notes, [&inside], "and none that was forgotten");
}

#[test]
fn a_restart_finds_how_many_wrong_pins_were_typed_in_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    let again = |shop: &Shop| {
        let copy = kit::copy_of(directory.path());
        let found = kit::open(copy.path()).unwrap().recover().unwrap();
        kit::same(&shop.state, &found, "pins");
        found.pins_refused
    };
    assert_eq!(again(&shop), 0);
    let guess = |shop: &mut Shop| {
        (0..5).for_each(|_| shop.touch("service".parse().unwrap()));
        "1357".chars().for_each(|digit| shop.touch(format!("key:{digit}").parse().unwrap()));
        shop.touch("key:ok".parse().unwrap());
        shop.touch("cancel".parse().unwrap());
    };
    (0..3).for_each(|_| guess(&mut shop));
    assert_eq!(again(&shop), 3);
    let at = shop.stamp();
    shop.ledger.commit(&at, &[Record::ServiceOpened {}], &shop.state).unwrap();
    shop.state.pin = Default::default();
    assert_eq!(again(&shop), 0, "the right one ends it");
}
