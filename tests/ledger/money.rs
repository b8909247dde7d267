//! Fees and bills over a real ledger: what the ledger answers, and that `kioskctl fees` and `kioskctl reconcile` say
//! just that, as the operator types it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::kit::{BASE, Shop};
use kioskd::ledger::{Ask, Days, FeeReport, Journal, Reader, Reconciliation, reconcile};
use kioskd::payment::bill::{Period, read_any};
use kioskd::payment::rates::Rates;
use kioskd::sale::policy::RailPolicy;
use kioskd::sale::{Record, Touch};
use kioskd::vocabulary::{ChargeId, Minor, OrderId, RailName};

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
    let late = shop.sell_late();
    let double = shop.sell_double();
    let partial = shop.sell_partly();
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

/// A bill of the sandbox, of the days it covers by its own word.
fn ask() -> Ask<'static> {
    Ask { rail: "sandbox", period: None, shared: false }
}

/// The same of these days of November.
fn of_days(first: i8, last: i8) -> Ask<'static> {
    let day = |day| jiff::civil::date(2026, 11, day);
    Ask { period: Some(Period::of_days(day(first), day(last)).unwrap()), ..ask() }
}

fn compare_for(sold: &Sold, bill: &[u8], ask: &Ask<'_>) -> Reconciliation {
    let charges = Reader::open(sold.directory.path()).unwrap().charges().unwrap();
    reconcile(&charges, &read_any(bill).unwrap(), ask).unwrap()
}

fn compare(sold: &Sold, bill: &[u8]) -> Reconciliation {
    compare_for(sold, bill, &ask())
}

/// The one difference of a bill, as `what charge refund there here`.
fn only_difference(sold: &Sold, rows: &[Row]) -> String {
    let told = compare(sold, &wechat(rows));
    let answer = told.json();
    assert_eq!((told.agrees(), &answer["agrees"]), (false, &false.into()));
    let [difference] = answer["differences"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
    assert_eq!(answer["findings"].as_array().unwrap().len(), 0, "{answer:#}");
    let spoken = told.to_string();
    assert!(spoken.contains(difference["what"].as_str().unwrap()), "{spoken}");
    assert!(spoken.contains(difference["why"].as_str().unwrap()), "{spoken}");
    let word = |key: &str| difference[key].as_str().unwrap_or("-").to_owned();
    format!("{} {} {} {} {}", word("what"), word("charge"), word("refund"), difference["there"], difference["here"])
}

/// What `kioskctl` answers.
struct Answer {
    code: i32,
    text: String,
    errors: String,
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

/// The same bill by `kioskctl reconcile`.
fn typed(sold: &Sold, bill: &[u8], more: &[&str]) -> Answer {
    let path = write(sold, "bill.csv", bill);
    let base = ["reconcile", "--bill", path.to_str().unwrap(), "--rail", "sandbox"];
    kioskctl(sold.directory.path(), &[base.as_slice(), more].concat())
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

/// The provider gives back of one payment without being asked, for goods that fell.
#[test]
fn what_went_back_by_itself_is_given_back_too() {
    let mut sold = sold();
    let charge = ChargeId::of(sold.plain, 1);
    let at = sold.shop.stamp();
    let returned = Record::ChargeReturned { order: sold.plain, charge: charge.clone(), total: 100 };
    sold.shop.ledger.commit(&at, &[returned], &sold.shop.state).unwrap();
    let charges = Reader::open(sold.directory.path()).unwrap().charges().unwrap();
    let line = charges.iter().find(|line| line.charge == charge.as_str()).unwrap();
    assert_eq!((line.paid, line.returned, line.refunded()), (300, 100, 100));
    assert_eq!(line.returned_at, at.wall.map(|wall| wall.0));
}

#[test]
fn a_bill_that_agrees() {
    let sold = sold();
    for bill in [wechat(&agreeing(&sold)), alipay(&agreeing(&sold))] {
        let answer = compare(&sold, &bill).json();
        assert_eq!(answer["agrees"], true, "{answer:#}");
        assert_eq!((&answer["payments_agree"], &answer["refunds_agree"]), (&4.into(), &3.into()));
        assert_eq!(answer["undecided"].as_array().unwrap().len(), 0, "{answer:#}");
        assert_eq!((&answer["from"], &answer["to"]), (&"2026-11-18T00:00:00".into(), &"2026-11-19T00:00:00".into()));
    }
    // Five payments at 0.02 and three refunds at -0.01, by the bill's own word.
    assert_eq!(
        compare(&sold, &wechat(&agreeing(&sold))).to_string(),
        "from 2026-11-18 00:00:00 to before 2026-11-19 00:00:00, Beijing time\n\
         4 payments and 3 refunds agree\n\
         fees by the bill: 0.07000 CNY\n\
         they agree"
    );
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
    let two = compare(&sold, &wechat(&[&without(0)[..], &[paid(stranger, 300)]].concat())).to_string();
    assert!(two.ends_with("\nthey differ in 2"), "{two}");
}

#[test]
fn an_account_shared_with_others() {
    let sold = sold();
    let others = [paid("SHOP-1", 900), back("SHOP-1", "SHOP-R1", 900)];
    let rows = [&agreeing(&sold)[..], &others].concat();
    let shared = |rows: &[Row]| compare_for(&sold, &wechat(rows), &Ask { shared: true, ..ask() });
    let answer = shared(&rows);
    assert_eq!((answer.agrees(), &answer.json()["rows_of_others"]), (true, &2.into()), "{answer}");
    assert!(answer.to_string().contains("\n2 rows are of others on this account\n"), "{answer}");
    assert!(!compare(&sold, &wechat(&rows)).agrees());
    let short = [&agreeing(&sold)[1..], &others].concat();
    assert!(!shared(&short).agrees(), "what is ours is still missed");
}

#[test]
fn a_line_that_can_not_be_read_is_never_agreement() {
    let sold = sold();
    let rows = [&agreeing(&sold)[..], &[paid("SHOP-1", 7_777)]].concat();
    let bill = String::from_utf8(wechat(&rows)).unwrap().replace("`77.77", "`seventy");
    let told = compare_for(&sold, bill.as_bytes(), &Ask { shared: true, ..ask() });
    let answer = told.json();
    assert_eq!(answer["findings"], serde_json::json!([{ "line": 10, "what": "订单金额 `seventy` is not an amount" }]));
    assert_eq!((&answer["agrees"], answer["differences"].as_array().unwrap().len()), (&false.into(), 0));
    let spoken = told.to_string();
    assert!(spoken.contains("\nline 10: 订单金额"), "{spoken}");
    assert!(spoken.ends_with("\nnothing that could be read differs"), "{spoken}");
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
    let told = compare(&sold, &wechat(&rows));
    assert!(told.agrees(), "{told}");
    assert_eq!(told.json()["undecided"][0]["charge"], charge(across));
    assert!(told.json()["undecided"][0]["why"].as_str().unwrap().contains("the day before or after"));
    assert!(told.to_string().contains(&format!("\nnot decided: payment-missing-there   {}", charge(across))), "{told}");
    // Nothing of the day is expected in the next day's bill, where the payment is.
    let next = Row { time: "2026-11-19 00:00:09", ..paid(charge(across), 450) };
    let told = compare(&sold, &wechat(std::slice::from_ref(&next)));
    assert_eq!((told.agrees(), told.payments_agree), (true, 1), "{told}");
    // Both days in one go: now it must be there.
    assert!(!compare_for(&sold, &wechat(&rows), &of_days(18, 19)).agrees());
    let told = compare_for(&sold, &wechat(&[rows, vec![next]].concat()), &of_days(18, 19));
    assert_eq!((told.agrees(), told.payments_agree), (true, 5), "{told}");
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

    let other = |rows: &[Row]| compare_for(&sold, &wechat(rows), &Ask { rail: "other", ..of_days(18, 18) });
    let answer = other(&[]).json();
    assert_eq!(answer["differences"][0]["what"], "payment-missing-there");
    assert_eq!(answer["differences"][0]["charge"], second.as_str());
    assert_eq!(answer["undecided"].as_array().unwrap().len(), 0, "{answer:#}");
    assert!(other(&[paid(second.as_str(), 450)]).agrees());
}

#[test]
fn kioskctl_says_of_a_bill_what_the_ledger_says() {
    let sold = sold();
    let others = [paid("SHOP-1", 900), back("SHOP-1", "SHOP-R1", 900)];
    let rows = agreeing(&sold);
    let shared = Ask { shared: true, ..ask() };
    let days = ["--from", "2026-11-18", "--to", "2026-11-18"];
    for (rows, more, ask, code) in [
        (rows.clone(), &[][..], ask(), 0),
        (rows[1..].to_vec(), &[], ask(), 1),
        (vec![], &days, of_days(18, 18), 1),
        ([&rows[..], &others].concat(), &[], ask(), 1),
        ([&rows[..], &others].concat(), &["--shared"], shared, 0),
    ] {
        let bill = wechat(&rows);
        let answer = compare_for(&sold, &bill, &ask);
        let told = typed(&sold, &bill, more);
        assert_eq!((told.code, told.text, told.errors), (code, format!("{answer}\n"), String::new()), "{more:?}");
        let told = typed(&sold, &bill, &[more, &["--json"]].concat());
        assert_eq!((told.code, told.text), (code, format!("{:#}\n", answer.json())), "{more:?}");
    }
}

#[test]
fn kioskctl_tells_an_unreadable_row_before_what_it_leaves_open() {
    let sold = sold();
    let one = wechat(&agreeing(&sold)[..1]);
    let broken = String::from_utf8(one).unwrap().replace("`3.00", "`three");
    let told = typed(&sold, broken.as_bytes(), &[]);
    assert_eq!((told.code, told.text.as_str()), (2, ""));
    assert!(told.errors.contains("line 2: 订单金额 `three` is not an amount"), "{}", told.errors);
    assert!(told.errors.contains("--from and --to") && !told.errors.contains("no rows"), "{}", told.errors);
    // With days to compare the rest is judged, and the line keeps it from agreeing.
    let told = typed(&sold, broken.as_bytes(), &["--from", "2026-11-18", "--to", "2026-11-18"]);
    assert!(told.code == 1 && told.text.contains("line 2: 订单金额 `three`"), "{}{}", told.text, told.errors);

    // A header row that can't be read is no missing one.
    let header = String::from_utf8(wechat(&agreeing(&sold))).unwrap().replacen("微信订单号,", "微信订单号,\"", 1);
    let told = typed(&sold, header.as_bytes(), &[]);
    assert!(told.errors.contains("line 1: a quotation mark is not closed"), "{}", told.errors);
}

#[test]
fn kioskctl_wants_the_days_of_an_empty_bill() {
    let sold = sold();
    let empty = wechat(&[]);
    let told = typed(&sold, &empty, &[]);
    assert_eq!(told.code, 2);
    assert!(told.errors.contains("write --from and --to"), "{}", told.errors);
    let day = |day: &str| typed(&sold, &empty, &["--from", day, "--to", day]).code;
    assert_eq!((day("2026-11-17"), day("2026-11-18"), day("2026-11-19")), (0, 1, 0));
}

#[test]
fn kioskctl_ends_errors_with_two_and_says_what_to_do() {
    let sold = sold();
    let state = sold.directory.path();
    let good = wechat(&agreeing(&sold));
    let says = |told: Answer, what: &str| {
        assert_eq!((told.code, told.text.as_str()), (2, ""), "{}", told.errors);
        assert!(told.errors.contains(what), "{}", told.errors);
    };
    says(typed(&sold, b"\x1f\x8b\x08\0", &[]), "bill.csv: packed with gzip; type `gunzip < FILE");
    says(typed(&sold, b"PK\x03\x04", &[]), "unzip FILE");
    says(typed(&sold, b"a,b\n1,2\n", &[]), "bill.csv: no bill; take the trade bill");
    says(typed(&sold, &good, &["--from", "2026-11-19", "--to", "2026-11-18"]), "write them the other way");
    says(typed(&sold, &good, &["--from", "2026-11-19"]), "--to");
    says(typed(&sold, &good, &["--from", "19.11.2026", "--to", "2026-11-19"]), "19.11.2026");
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

const OTHER: &str = "[[rail]]
name = \"sandbox\"
[[rail.fee]]
from = 2026-01-01
rate = \"0.38%\"
";

/// The estimate by a file of rates, with another file's beside it, for these days of November.
fn fees(sold: &Sold, rates: &str, other: Option<&str>, [first, last]: [Option<i8>; 2]) -> FeeReport {
    let [rates, other] = [Some(rates), other]
        .map(|text| text.map(|text| Rates::parse(Path::new("rates.toml"), text.as_bytes()).unwrap()));
    let day = |day| jiff::civil::date(2026, 11, day);
    let rates = rates.unwrap();
    let days = Days { first: first.map(day), last: last.map(day), zone: rates.zone.clone().unwrap() };
    let charges = Reader::open(sold.directory.path()).unwrap().charges().unwrap();
    FeeReport::new(&charges, &days, &rates, other.as_ref())
}

const EVER: [Option<i8>; 2] = [None; 2];

#[test]
fn fees_and_other_rates() {
    let sold = sold();
    // 3.00 → 0.02; 3.00 and 4.50 given back → 0; 4.50 → 0.03; 6.00 → 0.04, of which 0.02 came back with 3.00.
    let answer = fees(&sold, RATES, None, EVER).json();
    let sums = serde_json::json!({
        "rail": "sandbox", "currency": "CNY", "payments": 5, "paid": 2_100, "refunded": 1_050, "fee_estimate": 7,
        "net_estimate": 1_043, "payments_without_rate": 0,
    });
    let mut totals = sums.clone();
    totals.as_object_mut().unwrap().remove("rail");
    let whole =
        serde_json::json!({ "estimate": true, "rails": [sums], "totals": [totals], "payments_without_time": 0 });
    assert_eq!(answer, whole);

    // 0.38 %: 3.00 → 0.01; 4.50 → 0.02; 6.00 → 0.02, of which 0.01 came back.
    let answer = fees(&sold, RATES, Some(OTHER), [Some(18), Some(18)]).json();
    let compared = ["if_fee_estimate", "if_payments_without_rate", "difference_estimate"];
    assert_eq!(compared.map(|key| answer["rails"][0][key].as_i64().unwrap()), [4, 0, -3]);
    assert_eq!(
        fees(&sold, RATES, Some(OTHER), EVER).to_string(),
        "RAIL              PAYMENTS            PAID      GIVEN BACK  FEE (estimate)  NET (estimate)   IF (estimate)      DIFFERENCE\n\
         sandbox                  5       21.00 CNY       10.50 CNY        0.07 CNY       10.43 CNY        0.04 CNY       -0.03 CNY\n\
         total                    5       21.00 CNY       10.50 CNY        0.07 CNY       10.43 CNY        0.04 CNY       -0.03 CNY\n\
         an estimate by the configured rates; the provider's bill has the last word"
    );

    assert_eq!(
        fees(&sold, RATES, None, EVER).to_string().lines().count(),
        4,
        "without another file nothing is said of one"
    );
    for days in [[Some(19), None], [None, Some(17)]] {
        assert_eq!(fees(&sold, RATES, None, days).json()["rails"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn payments_without_a_rate_are_in_no_estimate() {
    let sold = sold();
    for rates in [RATES.replace("2026-01-01", "2026-12-01"), RATES.replace("\"sandbox\"", "\"wechat\"")] {
        let told = fees(&sold, &rates, None, EVER);
        let spoken = told.to_string();
        assert!(spoken.contains("\n5 payments on sandbox have no rate") && spoken.contains("no rate "), "{spoken}");
        let answer = told.json();
        assert_eq!(answer["rails"][0]["payments_without_rate"], 5);
        assert_eq!((&answer["rails"][0]["fee_estimate"], &answer["rails"][0]["net_estimate"]), (&0.into(), &0.into()));
        // Neither are they in the other one's, nor in what lies between the two.
        let told = fees(&sold, RATES, Some(&rates), EVER);
        let (spoken, sums) = (told.to_string(), &told.json()["rails"][0]);
        assert!(spoken.contains("\n5 payments have no rate in the other file and are not in IF\n"), "{spoken}");
        assert_eq!([&sums["if_payments_without_rate"], &sums["difference_estimate"]], [5, 0]);
    }
}

#[test]
fn a_payment_at_an_unknown_time() {
    let mut sold = sold();
    sold.shop.wall = false;
    let dark = sold.shop.offer(&["tea"]);
    sold.shop.pay(dark, 450);
    sold.shop.pass(20_000);
    assert_eq!(fees(&sold, RATES, None, EVER).json()["rails"][0]["fee_estimate"], 10, "by the last rate");
    for days in [[Some(1), Some(30)], [Some(1), None], [None, Some(30)]] {
        let told = fees(&sold, RATES, None, days);
        let answer = told.json();
        assert_eq!((&answer["rails"][0]["fee_estimate"], &answer["payments_without_time"]), (&7.into(), &1.into()));
        assert!(told.to_string().contains("\n1 payments came while the clock was unknown"), "{told}");
    }
    // A bill without it decides nothing, one with it agrees.
    let told = compare(&sold, &wechat(&agreeing(&sold)));
    assert_eq!((told.agrees(), &told.json()["undecided"][0]["charge"]), (true, &charge(dark).into()), "{told}");
    let told = compare(&sold, &wechat(&[agreeing(&sold), vec![paid(charge(dark), 450)]].concat()));
    assert_eq!((told.agrees(), told.payments_agree), (true, 5), "{told}");
}

#[test]
fn kioskctl_says_of_fees_what_the_ledger_says() {
    let sold = sold();
    let [config, other] = [("kiosk.toml", RATES), ("other.toml", OTHER)]
        .map(|(name, text)| write(&sold, name, text.as_bytes()).to_str().unwrap().to_owned());
    for (more, other, days) in [
        (&[][..], None, EVER),
        (&["--if", &other], Some(OTHER), EVER),
        (&["--from", "2026-11-18", "--to", "2026-11-18"], None, [Some(18), Some(18)]),
        (&["--from", "2026-11-19"], None, [Some(19), None]),
    ] {
        let answer = fees(&sold, RATES, other, days);
        let typed = |words: &[&str]| {
            let told = kioskctl(sold.directory.path(), &[&["fees", "--config", &config], more, words].concat());
            assert_eq!((told.code, told.errors.as_str()), (0, ""), "{more:?}");
            told.text
        };
        assert_eq!(typed(&[]), format!("{answer}\n"), "{more:?}");
        assert_eq!(typed(&["--json"]), format!("{:#}\n", answer.json()), "{more:?}");
    }
}

#[test]
fn kioskctl_tells_a_wrong_file_of_rates_by_its_line() {
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
