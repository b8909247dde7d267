//! The cash-up over real ledgers: whatever is sold, given back, cut and torn, each payment and each refund is in exactly one
//! report, and all reports together with what was not cut yet are what the tables say.

use std::collections::BTreeMap;
use std::path::Path;

use kioskd::ledger::{CashUp, RailSum, Reader};
use kioskd::operation::Operation;
use kioskd::sale::{Record, Touch};
use kioskd::vocabulary::fee::FeeSchedule;
use kioskd::vocabulary::{
    ChargeId, ClaimSettlement, Currency, Evidence, Grant, Minor, Mono, OrderId, ProductId, RailError, RefundReport,
    UnknownDelivery,
};
use serde_json::Value;

use crate::kit::{self, Dice, Shop};

/// One per cent, so that fees are seen.
fn rated(mut shop: Shop) -> Shop {
    let entry = toml::from_str("from = 2025-01-01\nrate = \"1%\"").unwrap();
    shop.state.policy.rails[0].fees = FeeSchedule::new(vec![entry]).unwrap();
    shop
}

fn begin(directory: &Path, unknown: UnknownDelivery) -> Shop {
    let mut shop = rated(Shop::with(directory, kit::open(directory).unwrap(), unknown));
    shop.start();
    shop
}

fn read(directory: &Path, number: u32) -> Option<CashUp> {
    Reader::open(directory).unwrap().cash_up(number).unwrap()
}

/// A report as people and programs get it, to the byte.
fn bytes(report: &CashUp) -> String {
    format!("{report}\n{}", report.json())
}

/// One history with what was read of each report right after its cut.
struct History {
    /// `None` only while it is started anew.
    shop: Option<Shop>,
    dice: Dice,
    cuts: Vec<String>,
    now: String,
}

impl History {
    /// Sales of every kind, with cuts at random places between all that happens.
    fn play(directory: &Path, seed: u64) -> Self {
        let mut dice = Dice(seed);
        dice.below(1);
        let unknown = [UnknownDelivery::Refund, UnknownDelivery::Hold, UnknownDelivery::AssumeDelivered][dice.below(3)];
        let shop = Some(begin(directory, unknown));
        let mut history = Self { shop, dice, cuts: Vec::new(), now: format!("seed {seed}") };
        for _ in 0..4 + history.dice.below(7) {
            history.act();
            history.perhaps_cut();
        }
        history
    }

    fn perhaps_cut(&mut self) {
        if self.dice.below(6) == 0 {
            self.cut();
        }
    }

    /// A cut; and now and then the machine dies before anything is on paper, or with the commit half on the disk.
    fn cut(&mut self) {
        let number = self.cuts.len() as u32 + 1;
        let directory = self.shop().directory.clone();
        let (db, before) = kit::files(&directory);
        self.shop().operate(Operation::CashUp);
        assert_eq!(self.shop().printed.pop(), Some((number, false)), "of report {number}");
        let report = read(&directory, number).unwrap();
        self.cuts.push(bytes(&report));
        if self.dice.below(3) == 0 {
            // All of the commit or nothing of it.
            let (after_db, wal) = kit::files(&directory);
            let same = after_db == db && wal.starts_with(&before);
            let from = if same { before.len() } else { wal.len() };
            for (cut, there) in [(from + self.dice.below(wal.len() - from), from == wal.len()), (wal.len(), true)] {
                let copy = kit::lay(&after_db, &wal[..cut]);
                let again = Shop::open(copy.path());
                assert_eq!(again.state.last_report, number - u32::from(!there), "{}", self.now);
                assert_eq!(read(copy.path(), number).map(|report| bytes(&report)), there.then(|| bytes(&report)));
            }
        }
        if self.dice.below(3) == 0 {
            self.restart();
            assert_eq!(self.shop().printed, [], "nothing is printed by itself");
        }
    }

    fn shop(&mut self) -> &mut Shop {
        self.shop.as_mut().expect("it is started anew")
    }

    fn restart(&mut self) {
        let shop = self.shop.take().expect("it is started anew");
        self.shop = Some(rated(shop.again(kit::planogram())));
        self.shop().start();
    }

    fn pay(&mut self, order: OrderId, amount: Minor) {
        self.shop().pay(order, amount);
        self.perhaps_cut();
    }

    fn offer(&mut self, products: &[&str]) -> OrderId {
        let order = self.shop().offer(products);
        self.perhaps_cut();
        // A cut may have ended in a restart, and with it the order; whoever pays now pays late.
        order
    }

    fn pass(&mut self, millis: u64) {
        self.shop().pass(millis);
        self.perhaps_cut();
    }

    fn act(&mut self) {
        let nothing = || Evidence::Nothing { self_tested: true };
        self.shop().operate(Operation::Refill);
        match self.dice.below(12) {
            0 => {
                let order = self.offer(&["cola"]);
                self.pay(order, 300);
            }
            1 => {
                let order = self.offer(&["tea"]);
                self.pass(61_000);
                self.pay(order, 450);
            }
            2 => {
                let order = self.offer(&["tea"]);
                self.pay(order, 450);
                self.pay(order, 450);
            }
            3 => {
                self.shop().drops = [Evidence::Dropped { count: 1 }, nothing(), nothing()].into();
                let order = self.offer(&["cola", "cola"]);
                self.pay(order, 600);
            }
            4 => self.shop().operate(Operation::TestVend { slot: kit::slot("B1") }),
            5 => self.shop().operate(Operation::Vend { product: ProductId::parse("cola").unwrap() }),
            6 => {
                self.shop().drops = [Evidence::Silent { why: "no answer".into() }].into();
                let order = self.offer(&["cola"]);
                self.pay(order, 300);
            }
            7 => {
                // Money back by itself, in two steps.
                let order = self.offer(&["cola", "cola"]);
                self.pay(order, 600);
                self.pass(3_000);
                for total in [200, 600] {
                    self.give_back(order, total);
                }
            }
            8 => {
                // Refused, because the provider has given it back already.
                self.shop().drops = [nothing(), nothing()].into();
                let refused = RailError::Refused { code: "GONE".into(), why: "given back".into() };
                self.shop().refunds = [Err(refused)].into();
                let order = self.offer(&["cola"]);
                self.shop().returned.insert(ChargeId::of(order, 1), 0);
                self.pay(order, 300);
                if self.dice.below(2) == 0 {
                    self.give_back(order, 300);
                }
            }
            9 => {
                let order = self.offer(&["cola"]);
                let euros = Currency::from_code("EUR").unwrap();
                self.shop().pay_in(ChargeId::of(order, 1), order, 50, euros).unwrap();
            }
            10 => {
                // A refund that takes its time.
                self.shop().refunds = vec![Ok(RefundReport::Processing); 2].into();
                self.shop().drops = [nothing(), nothing()].into();
                let order = self.offer(&["cola"]);
                self.pay(order, 300);
            }
            _ => {
                self.offer(&["cola"]);
                if self.shop().state.current.is_some() {
                    self.shop().touch(Touch::Cancel);
                }
            }
        }
        let long = [1_000, 20_000, 200_000][self.dice.below(3)];
        self.pass(long);
        self.shop().refunds.clear();
        self.shop().drops.clear();
        let state = &self.shop().state;
        if state.current.is_some() || state.dialogue.shown_order().is_some() {
            self.pass(90_000);
        }
        self.settle_a_claim();
    }

    fn give_back(&mut self, order: OrderId, total: Minor) {
        let charge = ChargeId::of(order, 1);
        self.shop().returned.insert(charge.clone(), total);
        let shop = self.shop();
        if !shop.state.orders.contains_key(&order) {
            let order = Reader::open(&shop.directory).unwrap().order(order).unwrap().unwrap();
            shop.state.revive(order, Mono(shop.now));
        }
        let report = shop.report(&charge, true);
        shop.feed(report);
        self.perhaps_cut();
    }

    fn settle_a_claim(&mut self) {
        let claim = self.shop().state.orders.values().find(|order| order.claim_open()).map(|order| order.id);
        let hows = [ClaimSettlement::Delivered, ClaimSettlement::PaidOutside, ClaimSettlement::Refund];
        if let Some(order) = claim.filter(|_| self.dice.below(2) == 0) {
            let how = hows[self.dice.below(3)];
            self.shop().operate(Operation::SettleClaim { order, how });
            self.perhaps_cut();
        }
    }
}

/// In memory, where there is such a folder: what is proven by many histories is not about the disk, and they would wait for
/// it most of the time.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Every record with its number.
fn records(directory: &Path) -> Vec<(u64, Record)> {
    let ledger = rusqlite::Connection::open(kit::db_of(directory)).unwrap();
    let mut query = ledger.prepare("SELECT seq, body FROM record ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.map(|row| row.map(|(seq, body)| (seq, serde_json::from_str(&body).unwrap())).unwrap()).collect()
}

/// What the records of a stretch say by themselves, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    payments: i64,
    paid: Minor,
    refunds: i64,
    refunded: Minor,
    returned: Minor,
    foreign: i64,
    free: i64,
    tests: i64,
}

fn counted(all: &[(u64, Record)], behind: u64, to: u64) -> Counted {
    let mut sum = Counted::default();
    let mut returned: BTreeMap<ChargeId, Minor> = BTreeMap::new();
    let mut grants: BTreeMap<OrderId, Grant> = BTreeMap::new();
    for (seq, record) in all {
        let counts = *seq > behind && *seq <= to;
        match record {
            Record::OrderPaid { payment, .. } | Record::PaymentSurplus { payment, .. } if counts => {
                let own = payment.currency == kit::cny();
                sum.payments += i64::from(own);
                sum.paid += if own { payment.amount } else { 0 };
                sum.foreign += i64::from(!own);
            }
            Record::RefundConfirmed { amount, .. } if counts => {
                sum.refunds += 1;
                sum.refunded += amount;
            }
            Record::ChargeReturned { charge, total, .. } => {
                let before = returned.insert(charge.clone(), *total).unwrap_or(0);
                sum.returned += if counts { total - before } else { 0 };
            }
            Record::OrderGranted { order, grant, .. } => drop(grants.insert(*order, *grant)),
            Record::ItemDelivered { order, .. } if counts => match grants.get(order) {
                Some(Grant::Test) => sum.tests += 1,
                Some(_) => sum.free += 1,
                None => {}
            },
            _ => {}
        }
    }
    sum
}

fn total(report: &CashUp) -> RailSum {
    report.currencies.get("CNY").map(|sums| sums.total()).unwrap_or_default()
}

fn said(report: &CashUp) -> Counted {
    let RailSum { payments, paid, refunds, refunded, returned, .. } = total(report);
    let units = |grant| report.granted.get(&grant).copied().unwrap_or(0);
    let foreign = report.foreign.values().map(|foreign| foreign.payments).sum();
    let (free, tests) = (units(Grant::Free), units(Grant::Test));
    Counted { payments, paid, refunds, refunded, returned, foreign, free, tests }
}

/// What the tables hold, which `verify` has held against the records.
fn tables(directory: &Path, query: &str) -> i64 {
    let ledger = rusqlite::Connection::open(kit::db_of(directory)).unwrap();
    ledger.query_row(query, [], |row| row.get::<_, Option<i64>>(0)).unwrap().unwrap_or(0)
}

fn check(directory: &Path, cuts: &[String], when: &str) -> (usize, Counted) {
    let reader = Reader::open(directory).unwrap();
    reader.verify().unwrap();
    let all = records(directory);
    let numbers = (1..=cuts.len() as u32).chain([0]);
    let reports: Vec<CashUp> = numbers.map(|number| reader.cash_up(number).unwrap().unwrap()).collect();
    assert_eq!(reader.cash_up(cuts.len() as u32 + 1).unwrap(), None, "{when}");
    for (report, then) in reports.iter().zip(cuts) {
        assert_eq!(&bytes(report), then, "{when}: made again, it is the same to the byte");
    }
    for (nth, report) in reports.iter().enumerate() {
        let when = format!("{when}, report {}", nth + 1);
        assert_eq!(said(report), counted(&all, report.begin.seq, report.end.seq), "{when}");
        let hash = reader.hash_of(report.end.seq).unwrap().unwrap();
        assert_eq!(report.end.hash, hash, "{when}");
        let cut = matches!(all[report.end.seq as usize - 1].1, Record::CashedUp { .. });
        assert!(cut == report.number.is_some(), "{when}: it ends with its cut");
    }
    let first = (reports[0].begin.seq, reports[0].begin.hash.as_str(), reports[0].begin.at);
    assert_eq!(first, (0, kioskd::ledger::GENESIS, Some(kit::BASE)), "{when}: it begins with the ledger");
    assert!(reports.iter().all(|report| report.ledger == reader.ledger().unwrap()), "{when}: {reports:?}");
    for pair in reports.windows(2) {
        let (end, begin) = (&pair[0].end, &pair[1].begin);
        assert_eq!(end, begin, "{when}: each begins where the one before has ended");
    }
    let mut sum = RailSum::default();
    let (mut units, mut worth) = (0, 0);
    for report in &reports {
        let RailSum { orders, paid, refunded, returned, fee, .. } = total(report);
        (sum.orders, sum.paid, sum.fee) = (sum.orders + orders, sum.paid + paid, sum.fee + fee);
        sum.refunded += refunded + returned;
        let products = report.currencies.get("CNY").into_iter().flat_map(|sums| sums.products.values());
        products.for_each(|sold| (units, worth) = (units + sold.units, worth + sold.sum));
    }
    let of = |query: &str| tables(directory, query);
    let currencies = reader.totals().unwrap();
    let [known] = &currencies[..] else { panic!("{when}: {currencies:?}") };
    assert_eq!((sum.paid, sum.refunded), (known.paid, known.refunded), "{when}");
    let open = &reports[cuts.len()];
    let outstanding = open.currencies.get("CNY").map_or(0, |sums| sums.outstanding);
    assert_eq!(outstanding, known.outstanding, "{when}");
    assert_eq!(open.claims.len() as i64, of("SELECT count(*) FROM orders WHERE claim IS NOT NULL"), "{when}");
    assert_eq!(sum.fee, of("SELECT sum(fee_estimate) FROM orders"), "{when}");
    assert_eq!(
        sum.orders,
        of("SELECT count(*) FROM record WHERE kind = 'order-paid'"),
        "{when}: of every order that was paid"
    );
    let fell = "FROM items JOIN orders ON id = order_id WHERE granted IS NULL AND outcome = 'delivered'";
    let assumed = all.iter().filter(|(_, record)| matches!(record, Record::ItemUnknown { .. })).count() as i64;
    let delivered = of(&format!("SELECT count(*) {fell}"));
    assert!((delivered..=delivered + assumed).contains(&units), "{when}: {units} of {delivered}");
    if assumed == 0 {
        assert_eq!(worth, of(&format!("SELECT sum(price) {fell}")), "{when}");
    }
    (reports.len(), counted(&all, 0, u64::MAX))
}

#[test]
fn each_payment_and_each_refund_is_in_exactly_one_report_whatever_is_cut_and_torn() {
    let (mut cuts, mut seen) = (0, Counted::default());
    for seed in 1..=200 {
        let directory = folder();
        let mut history = History::play(directory.path(), seed);
        let (reports, all) = check(directory.path(), &history.cuts, &history.now);
        cuts += reports - 1;
        seen.payments += all.payments;
        seen.refunds += all.refunds;
        seen.returned += all.returned;
        (seen.tests, seen.free, seen.foreign) =
            (seen.tests + all.tests, seen.free + all.free, seen.foreign + all.foreign);
        // Twice in a row: nothing is in the second.
        history.dice = Dice(u64::MAX);
        for nth in [1, 2] {
            history.shop().operate(Operation::CashUp);
            let report = read(directory.path(), history.cuts.len() as u32 + nth).unwrap();
            assert_eq!(read(directory.path(), 0).map(|open| said(&open)), Some(Counted::default()));
            assert!(nth == 1 || said(&report) == Counted::default(), "{}: {report}", history.now);
            assert!(nth == 1 || total(&report) == RailSum::default(), "{}: {report}", history.now);
        }
    }
    println!("{cuts} cuts, {seen:?}");
    assert!(cuts > 400 && seen.payments > 700 && seen.refunds > 150 && seen.returned > 5_000, "{cuts} {seen:?}");
    assert!(seen.tests > 50 && seen.free > 50 && seen.foreign > 50, "{seen:?}");
}

/// The sales on which `kioskctl fees` is tested, by the same rate, and cut in the middle: both say the same.
#[test]
fn kioskctl_tells_the_fees_of_all_reports() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = begin(directory.path(), UnknownDelivery::Refund);
    shop.sell();
    shop.sell_late();
    shop.operate(Operation::CashUp);
    shop.sell_double();
    shop.sell_partly();
    shop.pass(200_000);
    shop.operate(Operation::CashUp);
    let rates = directory.path().join("rates.toml");
    std::fs::write(&rates, "[[rail]]\nname = \"sandbox\"\n[[rail.fee]]\nfrom = 2025-01-01\nrate = \"1%\"\n").unwrap();
    let fees = kioskctl(directory.path(), &["--json", "fees", "--config", rates.to_str().unwrap()]);
    let fees: Value = serde_json::from_str(&fees.1).unwrap();
    let reports = [1, 2].map(|number| read(directory.path(), number).unwrap().json());
    for key in ["payments", "paid", "fee_estimate", "net_estimate"] {
        let sum: i64 = reports.iter().map(|report| report["totals"][0][key].as_i64().unwrap()).sum();
        assert_eq!(fees["totals"][0][key], sum, "{key}");
    }
    let back = |report: &Value| {
        ["refunded", "returned"].iter().map(|key| report["totals"][0][key].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(fees["totals"][0]["refunded"], reports.iter().map(back).sum::<i64>());
}

/// The printer may hold the rest of a report where the run before was asked for one: then, and only then, it is emptied.
#[test]
fn a_run_that_was_asked_for_a_report_may_have_died_over_it() {
    for asked in [Operation::CashUp, Operation::PrintReport { number: 1 }, Operation::PrintTest, Operation::Refill] {
        let directory = folder();
        let mut shop = begin(directory.path(), UnknownDelivery::Refund);
        let half = || Reader::open(directory.path()).unwrap().report_may_be_half_printed().unwrap();
        shop.operate(asked.clone());
        shop.sell();
        let prints = asked != Operation::Refill;
        let mut shop = shop.again(kit::planogram());
        assert_eq!(half(), prints, "{asked}");
        shop.start();
        let shop = shop.again(kit::planogram());
        assert!(!half(), "{asked}: it was not this run");
        drop(shop);
    }
}

/// Exit status, what it said and what it complained of.
fn kioskctl(state: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = kioskd_tests::child::command(env!("CARGO_BIN_EXE_kioskctl"));
    let out = command.arg("--state").arg(state).args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

#[test]
fn kioskctl_shows_a_report_of_a_kiosk_that_does_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = begin(directory.path(), UnknownDelivery::Refund);
    shop.sell();
    shop.operate(Operation::CashUp);
    shop.offer(&["tea"]);
    let report = read(directory.path(), 1).unwrap();
    drop(shop);
    let (code, text, _) = kioskctl(directory.path(), &["settle", "--show", "1"]);
    assert_eq!((code, text), (0, format!("{report}\n")));
    let (code, text, _) = kioskctl(directory.path(), &["settle", "--show", "1", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), report.json());
    kioskd_tests::spelling::check("a report", &report.json());
    assert_eq!(report.json()["rails"][0]["paid"], 300);
    assert!(text.contains("menu"), "who has asked for it: {text}");

    let (code, text, _) = kioskctl(directory.path(), &["settle", "--show"]);
    assert!(code == 0 && text.starts_with("since the last report, and in none yet"), "{text}");
    let (code, text, complaint) = kioskctl(directory.path(), &["settle", "--show", "2"]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(complaint.contains("no report 2 in this ledger"), "{complaint}");
}
