//! The reading end: beside a writer, over a hundred thousand orders, and as the technician's command line.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kioskd::ledger::{EventDocument, Journal, Reader};
use kioskd::operation::{Actor, Operation, Outcome, Refusal, RequestId};
use kioskd::sale::Record;
use kioskd::sale::codes::REACH;
use kioskd::vocabulary::{ChargeId, Evidence, OrderId, RefundId};
use serde_json::Value;

use crate::big::{self, sale};
use crate::kit::{self, BASE, Shop};
use kioskd_tests::child::command;

/// Records of one sale.
const SALE: u64 = 7;

#[test]
fn a_reader_follows_the_writer_record_by_record() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    let ledger = shop.ledger.id().to_owned();
    let (acknowledged, end) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            shop.start();
            for _ in 0..40 {
                shop.sell();
                shop.operate(kioskd::operation::Operation::Refill);
                acknowledged.store(shop.ledger.seq(), Ordering::SeqCst);
            }
            end.store(shop.ledger.seq(), Ordering::SeqCst);
        });
        let reader = Reader::open(directory.path()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut seq, mut prev, mut looks) = (0, "0".repeat(64), 0);
        while end.load(Ordering::SeqCst) == 0 || seq < end.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline, "at {seq}");
            let known = acknowledged.load(Ordering::SeqCst);
            let events = reader.events_after(seq, 7).unwrap();
            assert!(!events.is_empty() || seq >= known, "{known} was acknowledged, {seq} is seen");
            for event in events {
                assert_eq!(event.seq, seq + 1);
                let document: Value = serde_json::from_str(&event.document).unwrap();
                let typed: EventDocument = serde_json::from_str(&event.document).unwrap();
                assert_eq!(document["seq"], event.seq);
                assert_eq!(document["ledger"], *ledger);
                assert_eq!(document["kind"], *event.kind);
                assert_eq!(document["prev"], *prev);
                prev = document["hash"].as_str().unwrap().to_owned();
                // The document alone is enough to recompute its hash, by what docs/fleet.md says.
                let hashed = ["prev", "seq", "boot", "mono", "ts", "kind", "text"].map(|key| match &document[key] {
                    Value::Null => "-".to_owned(),
                    Value::String(text) => text.clone(),
                    number => number.to_string(),
                });
                let digest = ring::digest::digest(&ring::digest::SHA256, hashed.join("\n").as_bytes());
                assert_eq!(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>(), prev);
                assert_eq!(typed.recomputed(), prev, "as whoever receives it recomputes it");
                let text: Value = serde_json::from_str(document["text"].as_str().unwrap()).unwrap();
                assert_eq!(text["kind"], *event.kind);
                assert_eq!(text["order"], document["order"]);
                seq = event.seq;
            }
            looks += 1;
            if looks % 10 == 0 {
                let verified = reader.verify().expect("whole at any moment");
                assert!(verified.seq >= seq);
            }
        }
        assert_eq!(reader.hash_of(seq).unwrap(), Some(prev));
        assert_eq!(reader.events_after(seq, 7).unwrap(), []);
    });
}

#[test]
fn many_orders_start_quickly_and_are_found_quickly() {
    let long = std::env::var_os("KIOSKD_LONG").is_some();
    let total: u64 = if long { 100_000 } else { 20_000 };
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    let filling = Instant::now();
    big::fill(&mut shop.ledger, &mut shop.state, total, None);
    drop(shop);
    let filling = filling.elapsed();
    let size = kit::files(directory.path()).0.len();

    let starting = Instant::now();
    let ledger = kit::open(directory.path()).unwrap();
    let recovered = ledger.recover().unwrap();
    let starting = starting.elapsed();
    assert_eq!(ledger.seq(), total * SALE + kit::BEGUN);
    assert_eq!((recovered.orders.len(), recovered.last_order), (0, Some(sale(total - 1).0)));

    let reader = Reader::open(directory.path()).unwrap();
    let middle = sale(total / 2).0;
    // A busy machine is late now and then; what takes long takes long each time.
    let timed = |name: Option<&str>| {
        let look = || {
            let begun = Instant::now();
            let story = reader.why(name).unwrap().expect("an order");
            (begun.elapsed(), story.to_string())
        };
        (0..3).map(|_| look()).min().expect("three looks")
    };
    let (by_number, story) = timed(Some(&middle.to_string()));
    let (by_code, _) = timed(Some(middle.short_code().as_str()));
    let (newest, _) = timed(None);
    let (by_payment, same) = timed(Some(&format!("p{}", total / 2)));
    assert_eq!(same, story);
    // The last of the first thousand, which were written at one time.
    let (by_time, long_ago) = timed(Some("2026-11-19T03:46"));
    assert!(long_ago.contains(&sale(999).0.to_string()), "{long_ago}");
    assert!(story.contains(&middle.to_string()) && story.lines().count() == 9, "{story}");
    // On the glass an order is found while it is open or among the newest, whose codes are not given again.
    assert_eq!(recovered.codes.len(), REACH);
    assert_eq!(recovered.codes.last(), Some(&sale(total - 1).0.short_code()));
    assert_eq!(recovered.codes[0], sale(total - REACH as u64).0.short_code());
    let begun = Instant::now();
    let found = |number| {
        let id = sale(number).0;
        reader.by_code(&id.short_code()).unwrap().map(|order| order.id) == Some(id)
    };
    assert!(found(total - 1) && found(total - REACH as u64) && !found(total - REACH as u64 - 1));
    let looked_up = begun.elapsed() / 3;
    let begun = Instant::now();
    let verified = reader.verify().unwrap();
    let verifying = begun.elapsed();
    assert_eq!((verified.seq, verified.orders), (total * SALE + kit::BEGUN, total));
    println!(
        "{total} orders, {} MiB, written in {filling:?}: start {starting:?}, why by number {by_number:?}, by code \
         {by_code:?}, newest {newest:?}, by payment {by_payment:?}, by time {by_time:?}, verify {verifying:?}",
        size >> 20
    );
    assert!(starting <= Duration::from_secs(3), "{starting:?}");
    for why in [by_number, by_code, newest, by_payment, by_time, looked_up] {
        assert!(why <= Duration::from_millis(200), "{why:?}");
    }
}

/// A day's report of a ledger of years is found as quickly as if there were no other day, however old it is.
#[test]
fn a_report_of_a_day_costs_no_more_than_a_day() {
    const DAY: u64 = 200;
    let total: u64 = if std::env::var_os("KIOSKD_LONG").is_some() { 100_000 } else { 10_000 };
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    big::fill(&mut shop.ledger, &mut shop.state, total + DAY / 2, Some(DAY));
    let reader = Reader::open(directory.path()).unwrap();
    let last = u32::try_from(total / DAY).unwrap();
    for (number, orders) in [(1, DAY), (last / 2, DAY), (last, DAY), (0, DAY / 2)] {
        let begun = Instant::now();
        let report = reader.cash_up(number).unwrap().unwrap();
        let took = begun.elapsed();
        println!("report {number} of {last}, {total} orders: {took:?}");
        assert_eq!(report.currencies["CNY"].total().orders, orders as i64, "{report}");
        assert!(took <= Duration::from_secs(1), "report {number}: {took:?}");
    }
    assert!(reader.cash_up(last + 1).unwrap().is_none());
    drop(shop);
    // Without any cut it is all of them.
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    big::fill(&mut shop.ledger, &mut shop.state, total, None);
    let begun = Instant::now();
    let report = Reader::open(directory.path()).unwrap().cash_up(0).unwrap().unwrap();
    println!("the first report ever, of {total} orders: {:?}", begun.elapsed());
    assert_eq!(report.currencies["CNY"].total().orders, total as i64);
}

/// Two colas, of which one does not fall; a restart of the clock in between.
fn partly(directory: &Path) -> OrderId {
    let mut shop = Shop::open(directory);
    shop.start();
    let order = shop.offer(&["cola", "cola"]);
    shop.wall = false;
    shop.now = 5_250;
    let nothing = Evidence::Nothing { self_tested: true };
    shop.drops = [Evidence::Dropped { count: 1 }, nothing.clone(), nothing].into();
    shop.pay(order, 600);
    shop.now = 6_000;
    shop.wall = true;
    shop.feed(kioskd::sale::Event::Tick);
    shop.pass(200_000);
    order
}

#[test]
fn the_story_of_a_partly_delivered_sale() {
    let directory = tempfile::tempdir().unwrap();
    let order = partly(directory.path());
    let story = Reader::open(directory.path()).unwrap().why(None).unwrap().unwrap();
    let expected = "\
order 01M7Q5CRF80000000000001XVR (239352)
       7  2026-11-18 11:06:41.000Z  offered cola, cola for 6.00 CNY, charge 01M7Q5CRF80000000000001XVR_1 on sandbox
       8  clock unknown +5.250s  paid 6.00 CNY by p1-239352
       9  clock unknown +5.250s  unit 1: slot A1 is energised, attempt 1, counter 4
      10  clock unknown +5.250s  unit 1: fell from A1
      11  clock unknown +5.250s  unit 2: slot A2 is energised, attempt 1, counter 4
      12  clock unknown +5.250s  unit 2: not delivered from A2: nothing fell; another outlet is tried
      14  clock unknown +5.250s  unit 2: slot A3 is energised, attempt 2, counter 4
      15  clock unknown +5.250s  unit 2: not delivered from A3: nothing fell
      17  clock unknown +5.250s  refund R_01M7Q5CRF80000000000001XVR_1_1 of 3.00 CNY asked for
      18  clock unknown +5.250s  receipt printed
      19  clock unknown +5.250s  refund R_01M7Q5CRF80000000000001XVR_1_1 of 3.00 CNY confirmed by the provider
      20  2026-11-18 11:08:11.000Z  nothing more can happen on charge 01M7Q5CRF80000000000001XVR_1
      21  2026-11-18 11:08:11.000Z  ended: partly-delivered
   now: partly-delivered; paid 6.00 CNY, given back 3.00 CNY, still to go back 0.00 CNY";
    assert_eq!(story.to_string(), expected);
    let json = story.json();
    assert_eq!(json["order"], order.to_string());
    assert_eq!(json["state"], "partly-delivered");
    assert_eq!((&json["paid"], &json["refunded"]), (&Value::from(600), &Value::from(300)));
    assert_eq!(json["lines"].as_array().unwrap().len(), expected.lines().count() - 2);
    assert_eq!(json["lines"][1]["ts"], Value::Null);
    assert_eq!(json["lines"][1]["body"]["kind"], "order-paid");
}

#[test]
fn an_order_is_found_by_each_of_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    let partly = shop.sell_partly();
    shop.pass(200_000);
    let whole = shop.sell();
    let reader = Reader::open(directory.path()).unwrap();
    let found = |name: &str| {
        let story = reader.why(Some(name)).unwrap()?;
        Some(story.json()["order"].as_str().unwrap().to_owned())
    };
    for order in [partly, whole] {
        let (code, charge) = (order.short_code(), ChargeId::of(order, 1));
        for name in [order.to_string(), code.to_string(), charge.to_string(), format!("p1-{code}")] {
            assert_eq!(found(&name), Some(order.to_string()), "{name}");
        }
        let looked_up = reader.by_code(&code).unwrap().map(|known| (known.id, known.paid()));
        assert_eq!(looked_up, Some((order, if order == partly { 600 } else { 300 })), "as the glass does");
    }
    let refund = RefundId::of(&ChargeId::of(partly, 1), 1);
    assert_eq!(found(refund.as_str()), Some(partly.to_string()));
    for strange in ["123456", "p9-123456", &OrderId::from_parts(1, 1).to_string()] {
        assert_eq!(found(strange), None, "{strange}");
    }
    // They began at 11:06:41 and 11:10:01.
    for (moment, order) in [
        ("2020-01-01T00:00", None),
        ("2026-11-18T11:05", None),
        ("2026-11-18T11:06:40", None),
        ("2026-11-18T11:06:41Z", Some(partly)),
        ("2026-11-18T11:06", Some(partly)),
        ("2026-11-18T11:09", Some(partly)),
        ("2026-11-18T11:10", Some(whole)),
        ("2030-01-01", Some(whole)),
    ] {
        assert_eq!(found(moment), order.map(|order| order.to_string()), "{moment}");
    }
    let newest = reader.why(None).unwrap().unwrap();
    assert_eq!(newest.json()["order"], whole.to_string());
}

#[test]
fn the_totals_are_what_the_orders_add_up_to() {
    let directory = kit::varied();
    let reader = Reader::open(directory.path()).unwrap();
    let [totals] = reader.totals().unwrap().try_into().expect("one currency");
    let listed = reader.orders(1_000).unwrap();
    let listed = listed["orders"].as_array().unwrap();
    let sum = |key: &str| listed.iter().map(|order| order[key].as_i64().unwrap()).sum::<i64>();
    assert_eq!((totals.currency.as_str(), totals.orders), ("CNY", listed.len() as u64));
    assert_eq!((totals.paid, totals.refunded), (sum("paid"), sum("refunded")));
    assert_eq!((totals.paid, totals.open, totals.outstanding), (2_400, 0, 0));

    let empty = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(empty.path());
    let reader = Reader::open(empty.path()).unwrap();
    assert_eq!(reader.totals().unwrap(), []);
    shop.start();
    let order = shop.offer(&["cola"]);
    let open = &reader.totals().unwrap()[0];
    assert_eq!((open.orders, open.open, open.paid), (1, 1, 0));
    let live = &shop.state.orders[&order];
    assert_eq!(reader.order(order).unwrap().map(|known| known.charges[0].id.clone()), Some(live.charges[0].id.clone()));
}

#[test]
fn what_people_asked_is_told_with_what_came_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.operations(9).unwrap(), []);
    shop.operate(Operation::Refill);
    shop.wall = false;
    shop.operate(Operation::SetStock { slot: kit::slot("A1"), count: 99 });
    let told = reader.operations(9).unwrap();
    let refused = Operation::SetStock { slot: kit::slot("A1"), count: 99 };
    let why = Outcome::Refused { why: Refusal::HoldsLess { capacity: 9 } };
    let lines: Vec<_> = told.iter().map(|line| (line.wall, &line.by, &line.asked, line.outcome.as_ref())).collect();
    let filled = Outcome::Changed { order: None, report: None };
    assert_eq!(told[1].wall.map(|wall| wall / 1_000), Some(BASE / 1_000 + 1));
    assert_eq!(
        lines,
        [(None, &Actor::Menu, &refused, Some(&why)), (told[1].wall, &Actor::Menu, &Operation::Refill, Some(&filled)),],
        "the clock was unknown when the last was asked for"
    );
    assert_eq!(reader.operations(1).unwrap(), told[..1], "the newest first");
    // Who asks once more under the same number is told the same.
    let known = reader.operation(&told[0].id).unwrap().expect("asked for");
    assert_eq!((known.asked, known.by, known.outcome), (refused.clone(), Actor::Menu, Some(why)));
    let other = RequestId::parse("another").unwrap();
    assert!(reader.operation(&other).unwrap().is_none());

    // Begun, and then the power went.
    let at = shop.stamp();
    let begun = Record::OperationBegun { id: other.clone(), by: Actor::Menu, asked: refused };
    shop.ledger.commit(&at, &[begun], &shop.state).unwrap();
    assert_eq!(reader.operations(1).unwrap()[0].outcome, None, "under way");
    assert_eq!(shop.ledger.recover().unwrap().operations, [other]);

    let raw = rusqlite::Connection::open(kit::db_of(directory.path())).unwrap();
    raw.execute_batch("UPDATE operations SET asked = '{'").unwrap();
    let unread = reader.operation(&told[0].id).unwrap_err().to_string();
    assert!(unread.contains("kiosk.db: an operation can't be read"), "{unread}");
    assert_eq!(reader.operations(1).unwrap_err().to_string(), unread);
}

struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

fn kioskctl(directory: &Path, words: &[&str]) -> Told {
    let done = kioskd_tests::child::command(env!("CARGO_BIN_EXE_kioskctl"))
        .arg("--state")
        .arg(directory)
        .args(words)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

#[test]
fn kioskctl_reads_a_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let order = partly(directory.path());
    let reader = Reader::open(directory.path()).unwrap();
    let verified = reader.verify().unwrap();
    let (id, code) = (order.to_string(), order.short_code().to_string());
    let before = std::fs::read(kit::db_of(directory.path())).unwrap();

    let story = reader.why(None).unwrap().unwrap();
    for name in [&id, &code, "2026-11-18T11:07:00Z"] {
        let told = kioskctl(directory.path(), &["why", name]);
        assert_eq!((told.code, told.out, told.err), (Some(0), format!("{story}\n"), String::new()), "{name}");
    }
    assert_eq!(kioskctl(directory.path(), &["why"]).out, format!("{story}\n"));
    let json = |words: &[&str]| -> Value {
        let told = kioskctl(directory.path(), words);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{words:?}");
        serde_json::from_str(&told.out).unwrap()
    };
    assert_eq!(json(&["why", "--json"]), story.json());
    assert_eq!(json(&["orders", "--json"]), reader.orders(20).unwrap());
    let end = json(&["--json", "verify"]);
    assert_eq!((&end["records"], &end["orders"]), (&Value::from(verified.seq), &Value::from(1)));
    assert_eq!(end["hash"], *verified.hash);

    let told = kioskctl(directory.path(), &["orders"]);
    let row = told.out.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(row, format!("{id} {code} 2026-11-18 11:06:41Z partly-delivered 6.00 CNY 6.00 CNY 3.00 CNY"));
    let told = kioskctl(directory.path(), &["verify"]);
    let line = format!("the ledger holds: {} records, 1 order; the chain ends in {}\n", verified.seq, verified.hash);
    assert_eq!((told.code, told.out), (Some(0), line));
    let told = kioskctl(directory.path(), &["why", "p9-123456"]);
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
    assert!(told.err.contains("no such order"), "{}", told.err);
    assert!(std::fs::read(kit::db_of(directory.path())).unwrap() == before, "nothing was written");
}

#[test]
fn kioskctl_names_the_file_that_is_missing_or_corrupt() {
    let missing = tempfile::tempdir().unwrap();
    let gone = missing.path().join("gone");
    let original = kit::varied();
    let corrupt = kit::copy_of(original.path());
    let raw = rusqlite::Connection::open(kit::db_of(corrupt.path())).unwrap();
    raw.execute_batch("UPDATE record SET body = '{' WHERE order_id IS NOT NULL").unwrap();
    drop(raw);
    let text = kit::lay(&b"hello ".repeat(500), b"");
    for words in
        [&["why"][..], &["orders"], &["verify"], &["why", "--json"], &["orders", "--json"], &["verify", "--json"]]
    {
        for directory in [gone.as_path(), text.path(), corrupt.path()] {
            // A list of orders comes from the table, which is whole.
            if directory == corrupt.path() && words[0] == "orders" {
                continue;
            }
            let told = kioskctl(directory, words);
            assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{words:?} {directory:?}");
            let file = kit::db_of(directory);
            assert!(told.err.contains(file.to_str().unwrap()), "{words:?}: {}", told.err);
            assert_eq!(told.err.lines().count(), 1, "{}", told.err);
        }
        assert!(!gone.exists(), "looking makes nothing");
    }
}

/// Ends of `program | head -0`: nobody reads what it says.
fn unread(program: &str, words: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = command(program).args(words).stdout(writer).output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn a_reader_who_has_left_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    partly(directory.path());
    let state = directory.path().to_str().unwrap();
    let [kioskctl, kioskd] = [env!("CARGO_BIN_EXE_kioskctl"), env!("CARGO_BIN_EXE_kioskd")];
    for verb in ["orders", "verify", "why"] {
        for words in [&["--state", state, verb][..], &["--state", state, verb, "--json"]] {
            assert_eq!(unread(kioskctl, words), (Some(0), String::new()), "{words:?}");
        }
    }
    for words in [&["schema"][..], &["probe"], &["probe", "--json"], &["--help"]] {
        assert_eq!(unread(kioskd, words), (Some(0), String::new()), "{words:?}");
    }
    // Neither is one who does not want to hear complaints.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let told = command(kioskctl).args(["--state", "/nowhere", "verify"]).stderr(writer).output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    // A full disk is one.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let told = command(kioskd).arg("schema").stdout(full).output().unwrap();
    let errors = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(1) && errors.contains("No space left"), "{errors}");
}
