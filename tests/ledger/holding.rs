//! Whose the files are: one daemon at a time, their owner alone, whole without companions after a clean stop, and known
//! for a copy wherever they are found.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kioskd::ledger::{DirectoryLock, FILE, Journal, LedgerError, Reader};
use kioskd::sale::view::OrderState;
use kioskd::sale::{Event, Record};
use kioskd::vocabulary::{ChargeId, PaidWithoutIntent, Payment, PaymentId};
use serde_json::{Value, json};

use crate::kit::{self, Shop};
use crate::newer;
use kioskd_tests::child::command;

/// The file alone in a folder of its own.
fn alone(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(kit::db_of(directory), kit::db_of(copy.path())).unwrap();
    copy
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn whoever_comes_second_is_told_and_reads_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    let before = kit::files(directory.path());
    let error = DirectoryLock::take(directory.path()).expect_err("held");
    assert!(matches!(error, LedgerError::Held { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(kit::files(directory.path()) == before, "not a byte");
    let end = Reader::open(directory.path()).unwrap().verify().unwrap();
    assert_eq!(end.seq, shop.ledger.seq(), "who only reads is not hindered");
    drop(shop);
    let ledger = kit::open(directory.path()).expect("free with the first one's end");
    assert_eq!(ledger.path(), kit::db_of(directory.path()));
}

/// `rwx` of every file there, in octal.
fn modes(directory: &Path) -> Vec<(String, u32)> {
    let mode = |name: &String| std::fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
    names(directory).into_iter().map(|name| (name.clone(), mode(&name))).collect()
}

#[test]
fn the_files_are_their_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let ours = |when: &str| {
        let modes = modes(&state);
        for file in [FILE, "kiosk.db-wal", "kiosk.db-shm", "holder"] {
            assert!(modes.contains(&(file.into(), 0o600)), "{when}: {modes:?}");
        }
        assert!(modes.iter().all(|(_, mode)| *mode == 0o600), "{when}: {modes:?}");
    };
    let mut shop = Shop::open(&state);
    shop.start();
    ours("made so");
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    // A crash leaves them all, and an earlier version left them readable.
    let (db, wal) = kit::files(&state);
    drop(shop);
    std::fs::write(kit::db_of(&state), db).unwrap();
    std::fs::write(kit::wal_of(&state), wal).unwrap();
    for name in names(&state) {
        std::fs::set_permissions(state.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let mut shop = Shop::open(&state);
    shop.start();
    ours("found lax");
}

#[test]
fn after_a_clean_stop_the_file_is_the_whole_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.varied();
    let seq = shop.ledger.seq();
    let reader = Reader::open(directory.path()).unwrap();
    let Shop { ledger, .. } = shop;
    ledger.close();
    assert!(kit::files(directory.path()).1.is_empty(), "somebody reads, and the log is folded in all the same");
    assert_eq!(Reader::open(alone(directory.path()).path()).unwrap().verify().unwrap().seq, seq);
    drop(reader);

    let mut shop = Shop::open(directory.path());
    shop.start();
    let seq = shop.ledger.seq();
    let Shop { ledger, .. } = shop;
    ledger.close();
    assert_eq!(names(directory.path()), ["holder", FILE, "reserve"], "nothing else is left beside it");
    assert_eq!(Reader::open(alone(directory.path()).path()).unwrap().verify().unwrap().seq, seq);
}

#[test]
fn nothing_is_not_said_to_hold() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    shop.sell();
    // Its records are in the log still.
    let copy = alone(directory.path());
    let bare = kit::lay(b"", b"");
    for folder in [copy.path(), bare.path()] {
        let told = Reader::open(folder).and_then(|reader| reader.verify()).expect_err("nothing is there").to_string();
        assert!(told.contains("kiosk.db: is empty") && told.contains("kiosk.db-wal"), "{told}");
    }
}

#[test]
fn kioskctl_does_not_say_that_nothing_holds() {
    let bare = kit::lay(b"", b"");
    let told = command(env!("CARGO_BIN_EXE_kioskctl")).arg("--state").arg(bare.path()).arg("verify").output().unwrap();
    let errors = String::from_utf8(told.stderr).unwrap();
    assert_eq!((told.status.code(), told.stdout.len()), (Some(1), 0), "{errors}");
    assert!(errors.contains("kiosk.db: is empty"), "{errors}");
}

/// Records of one kind, oldest first.
fn records(directory: &Path, kind: &str) -> Vec<Record> {
    let raw = rusqlite::Connection::open(kit::db_of(directory)).unwrap();
    let mut query = raw.prepare("SELECT body FROM record WHERE kind = ?1 ORDER BY seq").unwrap();
    let bodies = query.query_map([kind], |row| row.get::<_, String>(0)).unwrap();
    bodies.map(|body| serde_json::from_str(&body.unwrap()).unwrap()).collect()
}

#[test]
fn a_copy_goes_on_under_a_number_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    shop.sell();
    shop.ledger.acknowledge(3);
    let paid = shop.offer(&["cola"]);
    // Energised, and the plug pulled before the sensor has said anything.
    shop.trail = Some(Vec::new());
    shop.pay(paid, 300);
    let trail = shop.trail.take().unwrap();
    let intended = trail
        .iter()
        .find(|kept| kept.state.orders.get(&paid).is_some_and(|order| order.items[0].open_attempt().is_some()));
    let intended = intended.expect("a step that ends with an intent");
    let number = shop.ledger.id().to_owned();
    drop(shop);
    let copy = kit::lay(&intended.db, &intended.wal);
    let ledger = kit::open(copy.path()).unwrap();
    assert_eq!(ledger.moved(), Some(number.as_str()));
    let new = ledger.id().to_owned();
    assert!(new != number && new.len() == 16, "{new}");
    assert_eq!(ledger.acknowledged(), 0, "under the new number nobody has anything");
    drop(ledger);
    let mut shop = Shop::open(copy.path());
    let counters = |shop: &Shop| shop.state.orders[&paid].items[0].attempts[0].counter;
    assert_eq!(counters(&shop), None, "another machine's sensor has counted otherwise");
    let new = shop.ledger.id().to_owned();
    shop.feed(Event::Started { boot: kit::boot(), version: "0".into() });
    let begun = records(copy.path(), "ledger-begun");
    assert_eq!(begun.len(), 2);
    assert!(matches!(&begun[1], Record::LedgerBegun { ledger, before: Some(before), .. }
        if *ledger == new && *before == number));
    let reader = Reader::open(copy.path()).unwrap();
    assert_eq!(reader.ledger().unwrap(), new);
    let events = reader.events_after(0, 1_000).unwrap();
    for event in &events {
        let document: Value = serde_json::from_str(&event.document).unwrap();
        assert_eq!(document["ledger"], *new, "all is told again under the new number");
    }
    reader.verify().unwrap();
    drop(shop);

    // Where it is it stays.
    let again = kit::open(copy.path()).unwrap();
    assert_eq!((again.id(), again.moved()), (new.as_str(), None));
    let first = kit::open(directory.path()).unwrap();
    assert_eq!((first.id(), first.moved(), first.acknowledged()), (number.as_str(), None, 3));
    drop((again, first));

    // A backup put back in its place is a copy too: what it writes now, the lost one may have written otherwise.
    let backup = std::fs::read(kit::db_of(copy.path())).unwrap();
    std::fs::remove_file(kit::db_of(copy.path())).unwrap();
    std::fs::write(kit::db_of(copy.path()), backup).unwrap();
    let restored = kit::open(copy.path()).unwrap();
    assert_eq!(restored.moved(), Some(new.as_str()));
}

/// A kiosk that ended between a payment and its delivery and is to deliver when it comes back: what became of the order, and
/// how often something was energised.
fn resumed(after: &str) -> (Vec<OrderState>, usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    let order = shop.offer(&["cola"]);
    let charge = ChargeId::of(order, 1);
    let payment = Payment { id: PaymentId::parse("P1").unwrap(), amount: 300, currency: kit::cny(), order };
    let record = Record::OrderPaid { order, charge, payment, fee_estimate: None };
    shop.state.orders.get_mut(&order).unwrap().apply(&record);
    let at = shop.stamp();
    shop.ledger.commit(&at, &[record], &shop.state).unwrap();
    shop.ledger.close();
    let copy = kit::copy_of(directory.path());
    if after == "newer software" {
        let raw = rusqlite::Connection::open(kit::db_of(directory.path())).unwrap();
        let order = order.to_string();
        newer::append(&raw, Some(&order), &json!({ "kind": "basket-handed-over", "order": order }));
    }
    let mut shop = Shop::open(if after == "a copy" { copy.path() } else { directory.path() });
    shop.state.policy.paid_without_intent = PaidWithoutIntent::Resume;
    let recovered = shop.ledger.recover().unwrap();
    shop.state.restore(recovered);
    shop.start();
    shop.pass(200_000);
    let orders = Reader::open(&shop.directory).unwrap().orders(9).unwrap();
    let all = orders["orders"].as_array().unwrap().iter();
    let states = all.map(|order| serde_json::from_value(order["state"].clone()).unwrap()).collect();
    let intents = records(&shop.directory, "delivery-intended").len();
    (states, intents)
}

#[test]
fn a_copy_gives_back_what_the_original_may_deliver() {
    assert_eq!(resumed("a stop"), (vec![OrderState::Delivered], 1));
    assert_eq!(resumed("a copy"), (vec![OrderState::Refunded], 0));
}

#[test]
fn what_newer_software_may_have_delivered_is_given_back() {
    assert_eq!(resumed("newer software"), (vec![OrderState::Refunded], 0));
}

#[test]
fn a_restart_where_it_was_believes_its_sensor() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    let order = shop.offer(&["cola"]);
    let at = shop.stamp();
    let records =
        [Record::DeliveryIntended { order, item: 0, attempt: 1, outlet: kit::outlet("A1"), counter: Some(9) }];
    let open = shop.state.orders.get_mut(&order).unwrap();
    records.iter().for_each(|record| open.apply(record));
    shop.ledger.commit(&at, &records, &shop.state).unwrap();
    drop(shop);
    let shop = Shop::open(directory.path());
    assert_eq!(shop.state.orders[&order].items[0].attempts[0].counter, Some(9));
}
