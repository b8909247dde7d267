//! Fees and bills over a real ledger, as the operator types it: `kioskctl fees` and `kioskctl reconcile`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kioskd::ledger::Reader;
use kioskd::sale::Touch;
use kioskd::sale::policy::RailPolicy;
use kioskd::vocabulary::{ChargeId, Evidence, Minor, OrderId, RailName};
use serde_json::Value;

use crate::kit::{BASE, Shop};

/// Midnight in Beijing, after the day on which everything here is sold.
const MIDNIGHT: u64 = 1_795_017_600_000;

/// A shop that has sold, and is still open while the technician looks.
struct Sold {
    directory: tempfile::TempDir,
    shop: Shop,
    /// Paid and delivered: 3.00.
    plain: OrderId,
    /// Paid too late, given back: 3.00.
    late: OrderId,
    /// Paid twice, one given back: 9.00 and 4.50.
    double: OrderId,
    /// One of two fell, the other given back: 6.00 and 3.00.
    partial: OrderId,
}

fn sold() -> Sold {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.start();
    let plain = shop.sell();
    let late = shop.offer(&["cola"]);
    shop.pass(61_000);
    shop.pay(late, 300);
    shop.pass(10_000);
    let double = shop.offer(&["tea"]);
    shop.pay(double, 450);
    shop.pay(double, 450);
    shop.pass(10_000);
    let nothing = Evidence::Nothing { self_tested: true };
    shop.drops = [Evidence::Dropped { count: 1 }, nothing.clone(), nothing].into();
    let partial = shop.offer(&["cola", "cola"]);
    shop.pay(partial, 600);
    shop.pass(20_000);
    // Offered and never paid.
    shop.offer(&["cola"]);
    shop.pass(200_000);
    Sold { directory, shop, plain, late, double, partial }
}

fn charge(order: OrderId) -> String {
    ChargeId::of(order, 1).to_string()
}

fn refund(order: OrderId) -> String {
    format!("R_{}_1", charge(order))
}

/// A row of a bill: the charge, the amount, and the refund's number where it is one.
#[derive(Debug, Clone)]
struct Row {
    charge: String,
    amount: Minor,
    refund: Option<String>,
    state: &'static str,
    time: &'static str,
}

fn paid(charge: impl Into<String>, amount: Minor) -> Row {
    Row { charge: charge.into(), amount, refund: None, state: "SUCCESS", time: "2026-11-18 19:10:00" }
}

fn back(charge: impl Into<String>, refund: impl Into<String>, amount: Minor) -> Row {
    Row { refund: Some(refund.into()), ..paid(charge, amount) }
}

fn yuan(amount: Minor) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

/// In WeChat Pay's form; the header row is the sample's.
fn wechat(rows: &[Row]) -> Vec<u8> {
    let sample = golden("wechat-all.csv");
    let sample = String::from_utf8(sample).unwrap();
    let header = sample.lines().next().unwrap();
    let mut bill = format!("{header}\r\n");
    for (nth, row) in rows.iter().enumerate() {
        let Row { charge, amount, refund, state, time } = row;
        let amount = yuan(*amount);
        let head = format!("`{time},`wx1,`1900000001,`0,`,`42000000002026111800000{nth:05},`{charge},`o1,`NATIVE");
        let (kind, total, back, number, fee) = match refund {
            None => ("SUCCESS", amount.as_str(), "0.00", "0", "0.02000"),
            Some(refund) => ("REFUND", "0.00", amount.as_str(), refund.as_str(), "-0.01000"),
        };
        let state = if refund.is_some() { *state } else { "" };
        let middle = format!("`{kind},`OTHERS,`CNY,`{total},`0.00,`503{nth:05},`{number},`{back},`0.00,`,`{state}");
        write!(bill, "{head},{middle},`Cola,`,`{fee},`0.60%,`{total},`{back},`\r\n").unwrap();
    }
    let names = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
    write!(bill, "{names}\r\n`{},`0.00,`0.00,`0.00,`0.00000,`0.00,`0.00\r\n", rows.len()).unwrap();
    bill.into_bytes()
}

/// In Alipay's form and encoding; everything but the rows is the sample's.
fn alipay(rows: &[Row]) -> Vec<u8> {
    let sample = golden("alipay-detail.csv");
    let (sample, _, broken) = encoding_rs::GB18030.decode(&sample);
    assert!(!broken);
    let mut bill: String = sample.lines().take(5).map(|line| format!("{line}\r\n")).collect();
    for (nth, Row { charge, amount, refund, time, .. }) in rows.iter().enumerate() {
        let (kind, sign) = if refund.is_some() { ("退款", "-") } else { ("交易", "") };
        let (amount, refund) = (yuan(*amount), refund.as_deref().unwrap_or(""));
        let head = format!("20261118220000{nth:05}\t,{charge}\t,{kind}\t,可樂,{time},{time},\t,\t,\t,\t,*华\t");
        let money = format!("{sign}{amount},{sign}{amount},0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00");
        write!(bill, "{head},{money},{refund}\t,-0.02,0.00,\r\n").unwrap();
    }
    let refunds = rows.iter().filter(|row| row.refund.is_some()).count();
    let payments = rows.len() - refunds;
    bill += "#----业务明细列表结束----\r\n";
    write!(bill, "#交易合计：{payments}笔，商家实收共0.00元\r\n").unwrap();
    write!(bill, "#退款合计：{refunds}笔，商家实收退款共0.00元\r\n").unwrap();
    encoding_rs::GB18030.encode(&bill).0.into_owned()
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/payment").join(name)).unwrap()
}

/// What the rail's provider would say of it.
fn agreeing(sold: &Sold) -> Vec<Row> {
    vec![
        paid(charge(sold.plain), 300),
        paid(charge(sold.late), 300),
        back(charge(sold.late), refund(sold.late), 300),
        paid(charge(sold.double), 450),
        paid(charge(sold.double), 450),
        back(charge(sold.double), refund(sold.double), 450),
        paid(charge(sold.partial), 600),
        back(charge(sold.partial), refund(sold.partial), 300),
    ]
}

struct Answer {
    code: i32,
    text: String,
    errors: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}{}", self.text, self.errors))
    }
}

fn kioskctl(state: &Path, arguments: &[&str]) -> Answer {
    let out = kioskd_tests::child::command(env!("CARGO_BIN_EXE_kioskctl"))
        .arg("--state")
        .arg(state)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { code: out.status.code().unwrap(), text: text(out.stdout), errors: text(out.stderr) }
}

fn write(sold: &Sold, name: &str, bytes: &[u8]) -> PathBuf {
    let path = sold.directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn compare(sold: &Sold, bill: &[u8], more: &[&str]) -> Answer {
    let path = write(sold, "bill.csv", bill);
    let base = ["reconcile", "--bill", path.to_str().unwrap(), "--rail", "sandbox"];
    kioskctl(sold.directory.path(), &[base.as_slice(), more].concat())
}

/// The one difference of a bill, as `what charge refund there here`.
fn only_difference(sold: &Sold, rows: &[Row]) -> String {
    let told = compare(sold, &wechat(rows), &["--json"]);
    assert_eq!(told.code, 1, "{}{}", told.text, told.errors);
    let answer = told.json();
    assert_eq!(answer["agrees"], false);
    let [difference] = answer["differences"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
    assert_eq!(answer["findings"].as_array().unwrap().len(), 0, "{answer:#}");
    let spoken = compare(sold, &wechat(rows), &[]);
    assert_eq!(spoken.code, 1);
    assert!(spoken.text.contains(difference["what"].as_str().unwrap()), "{}", spoken.text);
    assert!(spoken.text.contains(difference["why"].as_str().unwrap()), "{}", spoken.text);
    let word = |key: &str| difference[key].as_str().unwrap_or("-").to_owned();
    format!("{} {} {} {} {}", word("what"), word("charge"), word("refund"), difference["there"], difference["here"])
}

#[test]
fn the_ledger_tells_its_charges() {
    let sold = sold();
    let charges = Reader::open(sold.directory.path()).unwrap().charges().unwrap();
    let line = |order| charges.iter().find(|line| line.order == OrderId::to_string(order)).unwrap();
    let money =
        |order| (line(order).paid, line(order).refunded(), line(order).payments.len(), line(order).refunds.len());
    assert_eq!(charges.len(), 5);
    assert_eq!(money(&sold.plain), (300, 0, 1, 0));
    assert_eq!(money(&sold.late), (300, 300, 1, 1));
    assert_eq!(money(&sold.double), (900, 450, 2, 1));
    assert_eq!(money(&sold.partial), (600, 300, 1, 1));
    assert_eq!(charges[4].paid, 0);
    let late = line(&sold.late);
    let (offered, heard) = (late.offered.unwrap(), late.payments[0].heard.unwrap());
    assert!(offered > BASE && heard - offered == 61_000, "{late:?}");
    let refund = &late.refunds[0];
    assert!(refund.is_confirmed() && refund.requested >= Some(heard) && refund.confirmed >= refund.requested);
    assert_eq!((late.rail.as_str(), late.currency.code()), ("sandbox", "CNY"));
}

#[test]
fn a_bill_that_agrees() {
    let sold = sold();
    for bill in [wechat(&agreeing(&sold)), alipay(&agreeing(&sold))] {
        let told = compare(&sold, &bill, &["--json"]);
        assert_eq!(told.code, 0, "{}{}", told.text, told.errors);
        let answer = told.json();
        assert_eq!(answer["agrees"], true);
        assert_eq!((&answer["payments_agree"], &answer["refunds_agree"]), (&4.into(), &3.into()));
        assert_eq!(answer["undecided"].as_array().unwrap().len(), 0, "{answer:#}");
        assert_eq!((&answer["from"], &answer["to"]), (&"2026-11-18T00:00:00".into(), &"2026-11-19T00:00:00".into()));
    }
    let told = compare(&sold, &wechat(&agreeing(&sold)), &[]);
    assert!(told.code == 0 && told.text.ends_with("they agree\n"), "{}", told.text);
    // Five payments at 0.02 and three refunds at -0.01, by the bill's own word.
    assert!(told.text.contains("fees by the bill: 0.07000 CNY"), "{}", told.text);
}

#[test]
fn every_disagreement_is_named() {
    let sold = sold();
    let rows = agreeing(&sold);
    let without = |nth: usize| [&rows[..nth], &rows[nth + 1..]].concat();
    let with = |row: Row| [&rows[..], &[row]].concat();
    let changed = |nth: usize, row: Row| [&rows[..nth], &[row], &rows[nth + 1..]].concat();
    let (plain, late, partial) = (charge(sold.plain), charge(sold.late), charge(sold.partial));
    let stranger = "01ARZ3NDEKTSV4RRFFQ69G5FAV_1";
    let charges = Reader::open(sold.directory.path()).unwrap().charges().unwrap();
    let unpaid = charges.iter().find(|line| line.paid == 0).unwrap().charge.clone();
    let (late_refund, partial_refund) = (refund(sold.late), refund(sold.partial));

    let cases = [
        (with(paid(stranger, 300)), format!("payment-unknown-here {stranger} - 300 null")),
        (with(paid(&unpaid, 300)), format!("payment-missing-here {unpaid} - 300 null")),
        (without(0), format!("payment-missing-there {plain} - null 300")),
        (changed(0, paid(&plain, 301)), format!("amount-differs {plain} - 301 300")),
        (with(paid(&plain, 300)), format!("amount-differs {plain} - 600 300")),
        (without(2), format!("refund-missing-there {late} {late_refund} null 300")),
        (changed(2, back(&late, &late_refund, 299)), format!("refund-differs {late} {late_refund} 299 300")),
        (
            changed(2, Row { state: "CHANGE", ..back(&late, &late_refund, 300) }),
            format!("refund-differs {late} {late_refund} 300 300"),
        ),
        (changed(2, back(&plain, &late_refund, 300)), format!("refund-differs {late} {late_refund} 300 300")),
        (with(back(&partial, "X1", 100)), format!("refund-unknown-here {partial} X1 100 null")),
        (
            changed(7, back(&partial, &partial_refund, 600)),
            format!("refund-differs {partial} {partial_refund} 600 300"),
        ),
    ];
    for (rows, expected) in cases {
        assert_eq!(only_difference(&sold, &rows), expected);
    }
    // Two at once are both told.
    let two = compare(&sold, &wechat(&[&without(0)[..], &[paid(stranger, 300)]].concat()), &[]);
    assert!(two.code == 1 && two.text.ends_with("they differ in 2\n"), "{}", two.text);
}

#[test]
fn an_account_shared_with_others() {
    let sold = sold();
    let others = [paid("SHOP-1", 900), back("SHOP-1", "SHOP-R1", 900)];
    let rows = [&agreeing(&sold)[..], &others].concat();
    let told = compare(&sold, &wechat(&rows), &["--shared", "--json"]);
    assert_eq!((told.code, &told.json()["rows_of_others"]), (0, &2.into()), "{}", told.text);
    assert_eq!(compare(&sold, &wechat(&rows), &[]).code, 1);
    let short = [&agreeing(&sold)[1..], &others].concat();
    assert_eq!(compare(&sold, &wechat(&short), &["--shared"]).code, 1, "what is ours is still missed");
}

#[test]
fn a_line_that_can_not_be_read_is_never_agreement() {
    let sold = sold();
    let rows = [&agreeing(&sold)[..], &[paid("SHOP-1", 7_777)]].concat();
    let bill = String::from_utf8(wechat(&rows)).unwrap().replace("`77.77", "`seventy");
    let told = compare(&sold, bill.as_bytes(), &["--shared", "--json"]);
    assert_eq!(told.code, 1, "{}{}", told.text, told.errors);
    let answer = told.json();
    assert_eq!(answer["findings"], serde_json::json!([{ "line": 10, "what": "订单金额 `seventy` is not an amount" }]));
    assert_eq!((&answer["agrees"], answer["differences"].as_array().unwrap().len()), (&false.into(), 0));
    let spoken = compare(&sold, bill.as_bytes(), &["--shared"]);
    assert!(spoken.text.contains("line 10: 订单金额"), "{}", spoken.text);
    assert!(spoken.text.ends_with("nothing that could be read differs\n"), "{}", spoken.text);
}

#[test]
fn payments_around_midnight_are_left_to_the_other_bill() {
    let mut sold = sold();
    let shop = &mut sold.shop;
    shop.pass(MIDNIGHT - 30_000 - (BASE + shop.now));
    let across = shop.offer(&["tea"]);
    shop.pass(40_000);
    shop.pay(across, 450);
    shop.pass(20_000);
    let rows = agreeing(&sold);
    let told = compare(&sold, &wechat(&rows), &["--json"]);
    assert_eq!(told.code, 0, "{}{}", told.text, told.errors);
    assert_eq!(told.json()["undecided"][0]["charge"], charge(across));
    assert!(told.json()["undecided"][0]["why"].as_str().unwrap().contains("the day before or after"));
    // Nothing of the day is expected in the next day's bill, where the payment is.
    let next = Row { time: "2026-11-19 00:00:09", ..paid(charge(across), 450) };
    let told = compare(&sold, &wechat(std::slice::from_ref(&next)), &["--json"]);
    assert_eq!((told.code, &told.json()["payments_agree"]), (0, &1.into()), "{}{}", told.text, told.errors);
    // Both days in one go: now it must be there.
    let days = ["--from", "2026-11-18", "--to", "2026-11-19", "--json"];
    assert_eq!(compare(&sold, &wechat(&rows), &days).code, 1);
    let told = compare(&sold, &wechat(&[rows, vec![next]].concat()), &days);
    assert_eq!((told.code, &told.json()["payments_agree"]), (0, &5.into()), "{}{}", told.text, told.errors);
}

/// The customer switches to the other rail and pays there; its charge comes from a record of another kind.
#[test]
fn a_payment_on_a_switched_rail_is_missed_too() {
    let mut sold = sold();
    let shop = &mut sold.shop;
    let rail = |name: &str| RailName::parse(name).unwrap();
    let other = RailPolicy { name: rail("other"), ..shop.state.policy.rails[0].clone() };
    shop.state.policy.rails.push(other);
    let switched = shop.offer(&["tea"]);
    shop.touch(Touch::Rail(rail("other")));
    let second = ChargeId::of(switched, 2);
    shop.pay_on(second.clone(), switched, 450).unwrap();
    shop.pass(20_000);
    let line = Reader::open(sold.directory.path()).unwrap().charges().unwrap();
    let line = line.into_iter().find(|line| line.charge == second.as_str()).expect("the second charge");
    assert_eq!((line.rail.as_str(), line.paid, line.payments.len()), ("other", 450, 1));
    assert!(line.offered.is_some_and(|at| at > BASE) && line.offered <= line.payments[0].heard, "{line:?}");

    let bill = |rows: &[Row]| write(&sold, "other.csv", &wechat(rows)).to_str().unwrap().to_owned();
    let days = ["--from", "2026-11-18", "--to", "2026-11-18", "--json"];
    let compare = |rows: &[Row]| {
        let bill = bill(rows);
        let base = ["reconcile", "--bill", &bill, "--rail", "other"];
        kioskctl(sold.directory.path(), &[&base[..], &days].concat())
    };
    let told = compare(&[]);
    assert_eq!(told.code, 1, "{}{}", told.text, told.errors);
    let answer = told.json();
    assert_eq!(answer["differences"][0]["what"], "payment-missing-there");
    assert_eq!(answer["differences"][0]["charge"], second.as_str());
    assert_eq!(answer["undecided"].as_array().unwrap().len(), 0, "{answer:#}");
    assert_eq!(compare(&[paid(second.as_str(), 450)]).code, 0);
}

#[test]
fn an_unreadable_row_is_told_before_what_it_leaves_open() {
    let sold = sold();
    let one = wechat(&agreeing(&sold)[..1]);
    let broken = String::from_utf8(one).unwrap().replace("`3.00", "`three");
    let told = compare(&sold, broken.as_bytes(), &[]);
    assert_eq!((told.code, told.text.as_str()), (2, ""));
    assert!(told.errors.contains("line 2: 订单金额 `three` is not an amount"), "{}", told.errors);
    assert!(told.errors.contains("--from and --to") && !told.errors.contains("no rows"), "{}", told.errors);
    // With days to compare the rest is judged, and the line keeps it from agreeing.
    let told = compare(&sold, broken.as_bytes(), &["--from", "2026-11-18", "--to", "2026-11-18"]);
    assert!(told.code == 1 && told.text.contains("line 2: 订单金额 `three`"), "{}{}", told.text, told.errors);

    // A header row that can't be read is no missing one.
    let header = String::from_utf8(wechat(&agreeing(&sold))).unwrap().replacen("微信订单号,", "微信订单号,\"", 1);
    let told = compare(&sold, header.as_bytes(), &[]);
    assert!(told.errors.contains("line 1: a quotation mark is not closed"), "{}", told.errors);
}

#[test]
fn an_empty_day() {
    let sold = sold();
    let empty = wechat(&[]);
    let told = compare(&sold, &empty, &[]);
    assert_eq!(told.code, 2);
    assert!(told.errors.contains("write --from and --to"), "{}", told.errors);
    let day = |day: &str| compare(&sold, &empty, &["--from", day, "--to", day]).code;
    assert_eq!((day("2026-11-17"), day("2026-11-18"), day("2026-11-19")), (0, 1, 0));
}

#[test]
fn errors_end_with_two_and_say_what_to_do() {
    let sold = sold();
    let state = sold.directory.path();
    let good = wechat(&agreeing(&sold));
    let says = |told: Answer, what: &str| {
        assert_eq!((told.code, told.text.as_str()), (2, ""), "{}", told.errors);
        assert!(told.errors.contains(what), "{}", told.errors);
    };
    says(compare(&sold, b"\x1f\x8b\x08\0", &[]), "bill.csv: packed with gzip; type `gunzip < FILE");
    says(compare(&sold, b"PK\x03\x04", &[]), "unzip FILE");
    says(compare(&sold, b"a,b\n1,2\n", &[]), "bill.csv: no bill; take the trade bill");
    says(compare(&sold, &good, &["--from", "2026-11-19", "--to", "2026-11-18"]), "write them the other way");
    says(compare(&sold, &good, &["--from", "2026-11-19"]), "--to");
    says(compare(&sold, &good, &["--from", "19.11.2026", "--to", "2026-11-19"]), "19.11.2026");
    let path = write(&sold, "good.csv", &good);
    let path = path.to_str().unwrap();
    says(kioskctl(state, &["reconcile", "--bill", path, "--rail", "wechta"]), "write --rail sandbox");
    says(kioskctl(state, &["reconcile", "--bill", "/nowhere.csv", "--rail", "sandbox"]), "/nowhere.csv");
    says(kioskctl(Path::new("/nowhere"), &["reconcile", "--bill", path, "--rail", "sandbox"]), "/nowhere/kiosk.db");
}

const RATES: &str = "[kiosk]
id = \"K1\"
time_zone = \"Asia/Shanghai\"

[[rail]]
kind = \"sandbox\"
poll = \"3s\"
[[rail.fee]]
from = 2026-01-01
rate = \"0.60%\"
";

#[test]
fn fees_and_other_rates() {
    let sold = sold();
    let config = write(&sold, "kiosk.toml", RATES.as_bytes());
    let other = write(
        &sold,
        "other.toml",
        b"[[rail]]\nname = \"sandbox\"\n[[rail.fee]]\nfrom = 2026-01-01\nrate = \"0.38%\"\n",
    );
    let (config, other) = (config.to_str().unwrap(), other.to_str().unwrap());
    let fees = |more: &[&str]| kioskctl(sold.directory.path(), &[&["fees", "--config", config], more].concat());

    // 3.00 → 0.02; 3.00 and 4.50 given back → 0; 4.50 → 0.03; 6.00 → 0.04, of which 0.02 came back with 3.00.
    let told = fees(&["--json"]);
    assert_eq!(told.code, 0, "{}", told.errors);
    let answer = told.json();
    assert_eq!(answer["estimate"], true);
    let rail = &answer["rails"][0];
    let numbers = ["payments", "paid", "refunded", "fee_estimate", "net_estimate", "payments_without_rate"];
    assert_eq!(numbers.map(|key| rail[key].as_i64().unwrap()), [5, 2_100, 1_050, 7, 1_043, 0]);
    assert_eq!((&rail["rail"], &rail["currency"]), (&"sandbox".into(), &"CNY".into()));
    assert_eq!(answer["totals"][0]["net_estimate"], 1_043);

    // 0.38 %: 3.00 → 0.01; 4.50 → 0.02; 6.00 → 0.02, of which 0.01 came back.
    let told = fees(&["--if", other, "--json", "--from", "2026-11-18", "--to", "2026-11-18"]);
    let rail = &told.json()["rails"][0];
    assert_eq!(["if_fee_estimate", "difference_estimate"].map(|key| rail[key].as_i64().unwrap()), [4, -3]);
    let told = fees(&["--if", other]);
    let line = told.text.lines().find(|line| line.starts_with("sandbox")).unwrap();
    for amount in ["21.00 CNY", "10.50 CNY", "0.07 CNY", "10.43 CNY", "0.04 CNY", "-0.03 CNY"] {
        assert!(line.contains(amount), "{amount}: {line}");
    }
    assert!(told.text.lines().next().unwrap().contains("FEE (estimate)"), "{}", told.text);
    assert!(told.text.contains("an estimate by the configured rates"), "{}", told.text);

    let none = fees(&["--json", "--from", "2026-11-19"]).json();
    assert_eq!(none["rails"].as_array().unwrap().len(), 0);
}

#[test]
fn payments_without_a_rate_are_in_no_estimate() {
    let sold = sold();
    for (text, what) in [
        (RATES.replace("2026-01-01", "2026-12-01"), "5 payments on sandbox have no rate"),
        (RATES.replace("\"sandbox\"", "\"wechat\""), "5 payments on sandbox have no rate"),
    ] {
        let config = write(&sold, "kiosk.toml", text.as_bytes());
        let fees = ["fees", "--config", config.to_str().unwrap()];
        let told = kioskctl(sold.directory.path(), &fees);
        assert!(told.code == 0 && told.text.contains(what) && told.text.contains("no rate "), "{}", told.text);
        let answer = kioskctl(sold.directory.path(), &[&fees[..], &["--json"]].concat()).json();
        assert_eq!(answer["rails"][0]["payments_without_rate"], 5);
        assert_eq!((&answer["rails"][0]["fee_estimate"], &answer["rails"][0]["net_estimate"]), (&0.into(), &0.into()));
    }
}

#[test]
fn a_payment_at_an_unknown_time() {
    let mut sold = sold();
    sold.shop.wall = false;
    let dark = sold.shop.offer(&["tea"]);
    sold.shop.pay(dark, 450);
    sold.shop.pass(20_000);
    let config = write(&sold, "kiosk.toml", RATES.as_bytes());
    let fees = |more: &[&str]| {
        let base = ["fees", "--config", config.to_str().unwrap(), "--json"];
        kioskctl(sold.directory.path(), &[&base[..], more].concat()).json()
    };
    assert_eq!(fees(&[])["rails"][0]["fee_estimate"], 10, "by the last rate");
    let days = fees(&["--from", "2026-11-01", "--to", "2026-11-30"]);
    assert_eq!((&days["rails"][0]["fee_estimate"], &days["payments_without_time"]), (&7.into(), &1.into()));
    // A bill without it decides nothing, one with it agrees.
    let told = compare(&sold, &wechat(&agreeing(&sold)), &["--json"]);
    assert_eq!((told.code, &told.json()["undecided"][0]["charge"]), (0, &charge(dark).into()), "{}", told.text);
    let rows = [agreeing(&sold), vec![paid(charge(dark), 450)]].concat();
    let told = compare(&sold, &wechat(&rows), &["--json"]);
    assert_eq!((told.code, &told.json()["payments_agree"]), (0, &5.into()), "{}", told.text);
}

#[test]
fn a_wrong_file_of_rates_is_told_by_its_line() {
    let sold = sold();
    let wrong = write(&sold, "kiosk.toml", RATES.replace("\"0.60%\"", "0.6").as_bytes());
    let good = write(&sold, "good.toml", RATES.as_bytes());
    let (wrong, good) = (wrong.to_str().unwrap(), good.to_str().unwrap());
    for arguments in [vec!["fees", "--config", wrong], vec!["fees", "--config", good, "--if", wrong]] {
        let told = kioskctl(sold.directory.path(), &arguments);
        assert_eq!((told.code, told.text.as_str()), (1, ""));
        assert!(told.errors.contains("kiosk.toml:10:8: ") && told.errors.contains("like \"0.60%\""), "{}", told.errors);
    }
}
