//! What other people's programs read of a ledger: the EVA-DTS file, by a reader in another language, and tables.

use std::io::{Seek, Write};

use jiff::tz::TimeZone;
use kioskd::ledger::{Machine, Reader, Selection, Table};
use kioskd::operation::{Operation, Reason};
use kioskd::sale::Touch;
use kioskd::vocabulary::{Currency, Evidence, ProductId, UnknownDelivery};
use kioskd_tests::child::command;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::kit::{Dice, Shop, cny, slot};

fn machine() -> Machine {
    let slots = [("A1", "cola", 300), ("A2", "cola", 300), ("A3", "cola", 300), ("B1", "tea", 450)];
    let selection = |(slot, product, price): (&str, &str, i64)| Selection {
        slot: slot.into(),
        product: product.into(),
        price,
        capacity: 9,
    };
    Machine {
        id: "K0001".into(),
        place: "Pier*3".into(),
        currency: cny(),
        zone: TimeZone::UTC,
        slots: slots.map(selection).into(),
    }
}

fn file(reader: &Reader) -> String {
    let now = jiff::Timestamp::from_second(1_795_900_000).unwrap().to_zoned(TimeZone::UTC);
    reader.eva_dts(&machine(), &now).unwrap()
}

/// What a reader that knows nothing of kioskd makes of each.
fn read_by_another(files: &[String]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ledger/eva_dts.py");
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(files.join("\0").as_bytes()).unwrap();
    input.rewind().unwrap();
    let told = command("python3").arg(script).stdin(input).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Sales with good and bad ends, tests, gifts and refills, as the seed says.
fn history(shop: &mut Shop, dice: &mut Dice) {
    let nothing = Evidence::Nothing { self_tested: true };
    for _ in 0..4 + dice.below(12) {
        let products: &[&str] = [&["cola"][..], &["tea"], &["cola", "tea"], &["cola", "cola"]][dice.below(4)];
        let drops: &[Evidence] = match dice.below(6) {
            0 => &[nothing.clone(), nothing.clone(), nothing.clone(), nothing.clone()],
            1 => std::slice::from_ref(&nothing),
            2 => &[Evidence::Silent { why: "unplugged".into() }],
            _ => &[],
        };
        let product = ProductId::parse(["cola", "tea"][dice.below(2)]).unwrap();
        let name = slot(["A1", "A2", "A3", "B1"][dice.below(4)]);
        match dice.below(8) {
            0 => shop.operate(Operation::TestVend { slot: name }),
            1 => shop.operate(Operation::Vend { product }),
            2 => {
                shop.offer(products);
                shop.touch(Touch::Cancel);
            }
            3 => shop.operate(Operation::Refill),
            nth => {
                shop.drops = drops.to_vec().into();
                let amount = products.iter().map(|id| if *id == "tea" { 450 } else { 300 }).sum();
                let order = shop.offer(products);
                shop.pay(order, amount);
                if nth == 4 {
                    shop.pay(order, amount);
                }
            }
        }
        shop.pass(200_000);
        shop.drops.clear();
        // Nothing is sold out or out of order for long.
        shop.operate(Operation::Refill);
    }
}

#[test]
fn for_two_hundred_histories_the_data_files_totals_are_the_ledgers() {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for seed in 0..200 {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let ledger = crate::kit::open(folder.path()).unwrap();
        let mut shop = Shop::with(folder.path(), ledger, UnknownDelivery::AssumeDelivered);
        shop.start();
        history(&mut shop, &mut Dice(seed));
        files.push(file(&Reader::open(folder.path()).unwrap()));
        folders.push(folder);
    }
    let (mut sold, mut tested, mut given) = (0, 0, 0);
    for (seed, (folder, told)) in folders.iter().zip(read_by_another(&files)).enumerate() {
        let tables = Connection::open(folder.path().join(kioskd::ledger::FILE)).unwrap();
        // What the customer has, by the tables: what fell, and what counts as fallen because nobody saw it.
        let sums = |which: &str, outlet: &str| -> (i64, i64) {
            let query = format!(
                "SELECT count(*), coalesce(sum(price), 0) FROM items JOIN orders ON orders.id = order_id
                 WHERE outcome IN ('delivered', 'unknown') AND {which} AND (?1 = '' OR outlet = ?1)"
            );
            tables.query_row(&query, [outlet], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let counted = |of: &Value| (of["number_init"].as_i64().unwrap(), of["value_init"].as_i64().unwrap());
        for (name, which) in [
            ("paid", "granted IS NULL"),
            ("test", "granted = 'test'"),
            ("free", "granted IS NOT NULL AND granted <> 'test'"),
        ] {
            assert_eq!(counted(&told[name]), sums(which, ""), "seed {seed}: {name}");
            for slot in ["A1", "A2", "A3", "B1"] {
                let product = &told["products"][slot];
                assert_eq!(counted(&product[name]), sums(which, &format!("slot:{slot}")), "seed {seed}: {slot} {name}");
                assert_eq!(product["paid"], product["cashless"]);
            }
        }
        assert_eq!((&told["paid"], &told["cash"]["value_init"]), (&told["cashless"], &json!(0)), "seed {seed}");
        let kept: i64 = tables.query_row("SELECT sum(paid - refunded) FROM orders", [], |row| row.get(0)).unwrap();
        assert_eq!(told["paid"]["value_init"], kept, "seed {seed}: what was vended is what was kept");
        sold += told["paid"]["number_init"].as_i64().unwrap();
        tested += told["test"]["number_init"].as_i64().unwrap();
        given += told["free"]["number_init"].as_i64().unwrap();
    }
    assert!(sold > 500 && tested > 50 && given > 50, "{sold} sold, {tested} tested, {given} given away");
}

#[test]
fn the_data_file_says_which_machine_it_is_of_and_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(folder.path());
    shop.start();
    shop.sell();
    let reader = Reader::open(folder.path()).unwrap();
    let text = file(&reader);
    let told = read_by_another(std::slice::from_ref(&text)).remove(0);
    assert_eq!(
        (&told["serial"], &told["asset"], &told["place"]),
        (&json!("K0001"), &json!("K0001"), &json!("Pier^2A^3"))
    );
    assert_eq!(told["currency"], json!(["2", "1156", "CNY"]));
    let a1 = &told["products"]["A1"];
    assert_eq!(
        (&a1["price"], &a1["name"], &a1["capacity"], &a1["fill"]),
        (&json!(300), &json!("COLA"), &json!(9), &json!(7))
    );
    assert_eq!(told["says"], "open claims 0 refunds 0");
    assert!(
        text.starts_with("DXS*KIO0000001*VA*V0/6*1\r\nST*001*0001\r\nID1*K0001*KIOSKD*0100*Pier^2A^3**K0001*6*1\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nID5*20261128*"), "{text}");
    // A change anywhere is noticed by who reads it.
    let changed = text.replacen("VA1*300", "VA1*301", 1);
    assert!(std::panic::catch_unwind(|| read_by_another(&[changed])).is_err());
}

/// A slot that was taken out, another currency, money that went back, and a claim.
#[test]
fn the_data_file_keeps_what_the_machine_has_no_place_for_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = crate::kit::open(folder.path()).unwrap();
    let mut shop = Shop::with(folder.path(), ledger, UnknownDelivery::Hold);
    shop.start();
    shop.sell_double();
    shop.drops = [Evidence::Silent { why: "unplugged".into() }].into();
    let unknown = shop.offer(&["cola"]);
    shop.pay(unknown, 300);
    shop.pass(200_000);
    let reader = Reader::open(folder.path()).unwrap();
    let now = jiff::Timestamp::from_second(1_795_900_000).unwrap().to_zoned(TimeZone::UTC);
    let told = |machine: &Machine| read_by_another(&[reader.eva_dts(machine, &now).unwrap()]).remove(0);
    let mut changed = machine();
    changed.slots.pop();
    let known = told(&changed);
    assert_eq!(known["says"], "open claims 1 refunds 1");
    let tea = &known["products"]["B1"];
    assert_eq!((&tea["name"], &tea["paid"]["number_init"]), (&json!("FORMER"), &json!(1)));
    assert_eq!(known["products"]["A1"]["name"], "COLA");
    changed.currency = Currency::from_code("EUR").unwrap();
    let foreign = told(&changed);
    assert_eq!(foreign["says"], "open claims 0 refunds 0 orders in another currency 2");
    assert_eq!(foreign["paid"]["number_init"], 0, "no counter mixes currencies");
}

#[test]
fn a_cash_up_resets_what_is_counted_since_the_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(folder.path());
    shop.start();
    shop.sell();
    shop.operate(Operation::TestVend { slot: slot("B1") });
    shop.pass(200_000);
    shop.operate(Operation::CashUp);
    let reader = Reader::open(folder.path()).unwrap();
    let counts = |told: &Value, name: &str| {
        ["number_init", "value_init", "number_reset", "value_reset"].map(|key| told[name][key].as_i64().unwrap())
    };
    let cut = read_by_another(&[file(&reader)]).remove(0);
    assert_eq!((counts(&cut, "paid"), counts(&cut, "test")), ([1, 300, 0, 0], [1, 450, 0, 0]));
    assert_eq!(cut["reads"][0], "1");
    let order = shop.offer(&["tea"]);
    shop.pay(order, 450);
    shop.pass(200_000);
    let told = read_by_another(&[file(&reader)]).remove(0);
    assert_eq!((counts(&told, "paid"), counts(&told, "test")), ([2, 750, 1, 450], [1, 450, 0, 0]));
    assert_eq!(counts(&told["products"]["B1"], "paid"), [1, 450, 1, 450]);
    assert_eq!(counts(&told["products"]["A1"], "paid"), [1, 300, 0, 0]);
}

#[test]
fn tables_hold_what_happened_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(folder.path());
    shop.varied();
    shop.operate(Operation::Lock { reason: Reason::parse("=1+1, \"now\"").unwrap() });
    let reader = Reader::open(folder.path()).unwrap();
    let table = |table| reader.table(table).unwrap();
    let orders = table(Table::Orders);
    let all = reader.orders(100).unwrap();
    let ids: Vec<&Value> = all["orders"].as_array().unwrap().iter().rev().map(|order| &order["id"]).collect();
    let json = orders.json();
    let exported: Vec<&Value> = json.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(exported, ids);
    assert_eq!(json[0]["time"], "2026-11-18T11:06:41Z");
    assert_eq!((&json[0]["paid"], &json[0]["currency"]), (&json!(300), &json!("CNY")));
    let items = table(Table::Items).json();
    assert_eq!((&items[0]["outlet"], &items[0]["outcome"]), (&json!("slot:A1"), &json!("delivered")));
    let refunds = table(Table::Refunds).json();
    assert_eq!(
        (&refunds[0]["amount"], &refunds[0]["state"], &refunds[0]["rail"]),
        (&json!(300), &json!("confirmed"), &json!("sandbox"))
    );
    let stock = table(Table::Stock);
    assert_eq!(stock.columns, ["slot", "product", "capacity", "count", "fault"]);
    assert!(stock.csv().contains("B1,tea,9,9,\"{\"\"cause\"\":\"\"motor-not-home\"\"}\"\r\n"), "{stock:?}");
    let csv = table(Table::Operations).csv();
    let last = csv.trim_end().lines().last().unwrap();
    assert!(last.contains(",the service menu,\"lock: =1+1, \"\"now\"\"\",done"), "{last}");
    assert_eq!(table(Table::Claims).rows.len(), 0);
}
