use super::*;
use crate::sale::record::{Closed, Offered, Settling, Surplus};
use crate::vocabulary::{ChargeId, ClaimSettlement, Outlet, Payment, PaymentId, ProductId, RefundId, SlotId};

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn rail(name: &str) -> RailName {
    RailName::parse(name).unwrap()
}

fn order(number: u128) -> OrderId {
    OrderId::from_parts(1, number)
}

fn cola(price: Minor) -> Offered {
    let label = Localized([(Language::new("en"), "Cola".to_owned())].into());
    Offered { goods: Goods::Product(ProductId::parse("cola").unwrap()), label, price, tax: None }
}

fn charge(number: u128) -> ChargeId {
    ChargeId::of(order(number), 1)
}

fn slot() -> Outlet {
    Outlet::Slot(SlotId::parse("A1").unwrap())
}

/// An order of so many units at 3.00, offered on a rail.
fn offered(number: u128, units: usize, on: &str) -> Record {
    let id = order(number);
    Record::OrderOffered {
        order: id,
        short_code: id.short_code(),
        currency: currency("CNY"),
        amount: 300 * units as Minor,
        items: vec![cola(300); units],
        charge: charge(number),
        rail: rail(on),
        life_ms: 1,
        outlet: None,
    }
}

fn granted(number: u128, grant: Grant) -> Record {
    let id = order(number);
    let (short_code, items) = (id.short_code(), vec![cola(300)]);
    Record::OrderGranted { order: id, short_code, currency: currency("CNY"), items, grant, outlet: None, by: None }
}

fn payment(number: u128, name: &str, amount: Minor, code: &str) -> Payment {
    Payment { id: PaymentId::parse(name).unwrap(), amount, currency: currency(code), order: order(number) }
}

fn paid(number: u128, amount: Minor, fee_estimate: Option<Minor>) -> Record {
    let payment = payment(number, "p1", amount, "CNY");
    Record::OrderPaid { order: order(number), charge: charge(number), payment, fee_estimate }
}

fn surplus(number: u128, amount: Minor, code: &str, why: Surplus) -> Record {
    let payment = payment(number, "p2", amount, code);
    Record::PaymentSurplus { order: order(number), charge: charge(number), payment, why }
}

fn fell(number: u128, item: u32) -> [Record; 2] {
    let (order, attempt, outlet) = (order(number), 1, slot());
    [
        Record::DeliveryIntended { order, item, attempt, outlet: outlet.clone(), counter: None },
        Record::ItemDelivered { order, item, attempt, outlet, count: 1 },
    ]
}

fn nothing_fell(number: u128, item: u32) -> Record {
    Record::ItemNotDelivered { order: order(number), item, outlet: None, why: Cause::NothingFell, last: true }
}

fn refund(number: u128, amount: Minor) -> [Record; 2] {
    let (order, charge) = (order(number), charge(number));
    let refund = RefundId::of(&charge, 1);
    let asked = Record::RefundRequested { order, charge: charge.clone(), refund: refund.clone(), amount, at_ms: None };
    [asked, Record::RefundConfirmed { order, charge, refund, amount }]
}

fn returned(number: u128, total: Minor) -> Record {
    Record::ChargeReturned { order: order(number), charge: charge(number), total }
}

fn cut(seq: usize) -> Cut {
    Cut { seq: seq as u64, hash: format!("{seq:064}"), at: Some(seq as u64) }
}

/// The report of the records behind `begin` up to `end`, numbered from 1.
fn report(records: &[Record], begin: usize, end: usize) -> CashUp {
    let mut report = CashUp::new(cut(begin), cut(end));
    let mut orders: Vec<_> = records.iter().filter_map(Record::order).collect();
    orders.sort_unstable();
    orders.dedup();
    for id in orders {
        let own = records.iter().enumerate().filter(|(_, record)| record.order() == Some(id));
        report.take(own.map(|(nth, record)| (nth as u64 + 1, record)));
    }
    report
}

fn whole(records: &[Record]) -> CashUp {
    report(records, 0, records.len())
}

fn on(report: &CashUp, name: &str) -> RailSum {
    report.currencies["CNY"].rails.get(&rail(name)).copied().unwrap_or_default()
}

/// Paid and delivered; paid twice, one back; half delivered, the rest back; late; in another currency; given back by the
/// provider in two steps; given away; tested.
fn history() -> Vec<Record> {
    let mut all = vec![offered(1, 1, "wechat"), paid(1, 300, Some(2))];
    all.extend(fell(1, 0));
    all.extend([offered(2, 1, "alipay"), paid(2, 300, None)]);
    all.push(surplus(2, 300, "CNY", Surplus::Double));
    all.extend(fell(2, 0));
    all.extend(refund(2, 300));
    all.extend([offered(3, 2, "wechat"), paid(3, 600, Some(4))]);
    all.extend(fell(3, 0));
    all.push(nothing_fell(3, 1));
    all.extend(refund(3, 300));
    all.extend([offered(4, 1, "wechat"), Record::OrderClosed { order: order(4), why: Closed::Expired }]);
    all.push(surplus(4, 300, "CNY", Surplus::Late));
    all.extend([offered(5, 1, "wechat"), surplus(5, 50, "EUR", Surplus::WrongCurrency)]);
    let why = Cause::PaidInOtherCurrency { paid: Money { amount: 50, currency: currency("EUR") } };
    all.push(Record::ClaimOpened { order: order(5), amount: 50, why, until_told: false });
    all.extend([offered(6, 1, "wechat"), paid(6, 300, Some(2))]);
    all.extend(fell(6, 0));
    all.extend([returned(6, 100), returned(6, 300)]);
    all.push(granted(7, Grant::Free));
    all.extend(fell(7, 0));
    all.push(granted(8, Grant::Test));
    all.extend(fell(8, 0));
    all
}

#[test]
fn each_figure_is_what_the_records_say() {
    let report = whole(&history());
    let wechat = RailSum {
        orders: 3,
        payments: 4,
        paid: 1_500,
        refunds: 1,
        refunded: 300,
        returned: 300,
        // 2 of the first, and 4 of the second less the half that went back; all went back of the last.
        fee: 4,
        unrated: 0,
    };
    assert_eq!(on(&report, "wechat"), wechat);
    assert_eq!((wechat.given_back(), wechat.net()), (600, 896));
    let alipay =
        RailSum { orders: 1, payments: 2, paid: 600, refunds: 1, refunded: 300, returned: 0, fee: 0, unrated: 1 };
    assert_eq!(on(&report, "alipay"), alipay);
    assert_eq!((alipay.fee_known(), wechat.fee_known()), (None, Some(4)));
    let cny = &report.currencies["CNY"];
    let cola = &cny.products[&cola(300).goods];
    assert_eq!((cola.units, cola.sum, cola.label.get(&Language::new("en"))), (4, 1_200, "Cola"));
    assert_eq!(cny.outstanding, 300, "the late payment");
    assert_eq!(report.granted, [(Grant::Free, 1), (Grant::Test, 1)].into(), "no revenue, and apart");
    let euros = Foreign { currency: currency("EUR"), payments: 1, paid: 50 };
    assert_eq!(report.foreign, [((rail("wechat"), "EUR"), euros)].into());
    let [claim] = &report.claims[..] else { panic!("{:?}", report.claims) };
    assert_eq!((claim.order, claim.open.to_string()), (order(5), "0.50 EUR".to_owned()));
}

/// Wherever the cut is: each record's money is on one side of it.
#[test]
fn a_cut_anywhere_leaves_nothing_out_and_counts_nothing_twice() {
    let all = history();
    let together = whole(&all);
    for at in 0..=all.len() {
        let (first, second) = (report(&all, 0, at), report(&all, at, all.len()));
        for name in ["wechat", "alipay"] {
            let mut sum = RailSum::default();
            for part in [&first, &second] {
                let part = part.currencies.get("CNY").and_then(|sums| sums.rails.get(&rail(name)));
                sum.add(&part.copied().unwrap_or_default(), 1);
            }
            assert_eq!(sum, on(&together, name), "{name}, cut behind record {at}");
        }
        for (part, records) in [(&first, &all[..at]), (&second, &all[at..])] {
            let total = part.currencies.get("CNY").map(InCurrency::total).unwrap_or_default();
            let own = |payment: &Payment| payment.currency.code() == "CNY";
            let payments = records.iter().filter(|record| match record {
                Record::OrderPaid { payment, .. } | Record::PaymentSurplus { payment, .. } => own(payment),
                _ => false,
            });
            assert_eq!(total.payments, payments.count() as i64, "cut behind record {at}");
            let refunds = records.iter().filter(|record| matches!(record, Record::RefundConfirmed { .. }));
            assert_eq!(total.refunds, refunds.count() as i64, "cut behind record {at}");
            let units =
                part.currencies.get("CNY").map_or(0, |sums| sums.products.values().map(|sold| sold.units).sum());
            let fell = records.iter().filter(|record| matches!(record, Record::ItemDelivered { .. })).count() as i64;
            assert_eq!(units + part.granted.values().sum::<i64>(), fell, "cut behind record {at}");
        }
        assert_eq!(second.claims, together.claims, "what is open is open, whenever it began");
        assert_eq!(second.currencies.get("CNY").map_or(0, |sums| sums.outstanding), 300);
    }
}

#[test]
fn what_came_after_the_end_changes_nothing() {
    let mut all = history();
    let end = all.len();
    let before = report(&all, 3, end);
    all.extend(refund(4, 300));
    let how = ClaimSettlement::PaidOutside;
    all.push(Record::ClaimSettled { order: order(5), how, by: None });
    let after = report(&all, 3, end);
    assert_eq!(before.json().to_string(), after.json().to_string());
    assert_eq!(before.to_string(), after.to_string());
    let next = report(&all, end, all.len());
    assert_eq!((on(&next, "wechat").refunded, next.claims.len()), (300, 0));
}

#[test]
fn what_nobody_knows_is_sold_when_that_is_decided() {
    let unknown = |settled_by| {
        let why = Cause::SensorFailed;
        Record::ItemUnknown { order: order(1), item: 0, outlet: slot(), why, settled_by }
    };
    let begin = [offered(1, 1, "wechat"), paid(1, 300, None)];
    let units = |report: &CashUp| {
        let sold = report.currencies.get("CNY").map(|sums| sums.products.values().map(|sold| sold.units).sum::<i64>());
        sold.unwrap_or_default()
    };
    for (settled_by, sold) in [(Settling::AssumedDelivered, 1), (Settling::Refund, 0), (Settling::Claim, 0)] {
        let all = [&begin[..], &[unknown(settled_by)]].concat();
        assert_eq!(units(&whole(&all)), sold, "{settled_by:?}");
    }
    let why = Cause::DeliveryUnknown { detail: Box::new(Cause::SensorFailed) };
    let opened = Record::ClaimOpened { order: order(1), amount: 300, why, until_told: false };
    let decided = |how| Record::ClaimSettled { order: order(1), how, by: None };
    for (how, sold) in [(ClaimSettlement::Delivered, 1), (ClaimSettlement::Refund, 0)] {
        let all = [&begin[..], &[unknown(Settling::Claim), opened.clone(), decided(how)]].concat();
        let (first, second) = (report(&all, 0, 4), report(&all, 4, 5));
        assert_eq!((units(&first), units(&second)), (0, sold), "{how:?}");
        assert_eq!((first.claims.len(), second.claims.len()), (1, 0));
        assert_eq!(first.claims[0].open.to_string(), "3.00 CNY", "what it was opened over");
    }
}

#[test]
fn a_fee_is_unknown_only_where_no_order_had_a_rate() {
    let sold = |number, fee| [offered(number, 1, "wechat"), paid(number, 300, fee)];
    let fee = |report: &CashUp| {
        let text = report.to_string();
        let line = text.lines().find(|line| line.starts_with("wechat")).expect("the rail has its line");
        let told = line.split("  ").filter(|cell| !cell.is_empty()).nth(5).unwrap_or_default().trim().to_owned();
        (told, text.contains("without a rate"))
    };
    let told = |told: &str, without| (told.to_owned(), without);
    assert_eq!(fee(&whole(&sold(1, None))), told("no rate", true));
    assert_eq!(fee(&whole(&sold(1, Some(0)))), told("0.00 CNY", false), "a rate of nothing is one");
    let both = [sold(1, None), sold(2, Some(0))].concat();
    assert_eq!(fee(&whole(&both)), told("0.00 CNY", true), "what is known is told");
    // The first is sold before the report, and its money goes back in it.
    let (earlier, later) = (sold(1, Some(4)), sold(2, None));
    let back = [&earlier[..], &refund(1, 300)].concat();
    assert_eq!(fee(&report(&back, 2, back.len())), told("-0.04 CNY", false));
    let beside = [&back[..], &later].concat();
    assert_eq!(fee(&report(&beside, 2, beside.len())), told("-0.04 CNY", true));
    let again = [&sold(1, None)[..], &refund(1, 300)].concat();
    assert_eq!(fee(&report(&again, 2, again.len())), told("0.00 CNY", false), "nothing was sold");
}

#[test]
fn it_says_between_which_moments_it_is() {
    let mut report = CashUp::new(cut(0), cut(12));
    (report.begin.at, report.end.at) = (None, Some(1_795_000_001_000));
    let text = report.to_string();
    let [_, begin, end, ..] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(begin, format!("from   clock unknown         behind record        0  {}", cut(0).hash));
    assert_eq!(end, format!("until  2026-11-18 11:06:41Z  with record         12  {}", cut(12).hash));
}

#[test]
fn nothing_makes_an_empty_report() {
    let all = history();
    let settled: Vec<Record> = all[..4].to_vec();
    let empty = report(&settled, 4, 4);
    let CashUp { currencies, foreign, granted, claims, .. } = &empty;
    assert!(currencies.is_empty() && foreign.is_empty() && granted.is_empty() && claims.is_empty(), "{empty}");
}

#[test]
fn people_and_programs_are_told_the_same() {
    let mut report = whole(&history());
    report.number = Some(7);
    report.by = Some(Actor::Technician { uid: 1000 });
    let (text, document) = (report.to_string(), report.json());
    for told in [
        "report 7, by a technician (user 1000)",
        "wechat                   4       15.00 CNY         1        6.00 CNY        0.04 CNY        8.96 CNY",
        "alipay                   2        6.00 CNY         1        3.00 CNY         no rate        3.00 CNY",
        "total                    6       21.00 CNY         2        9.00 CNY        0.04 CNY       11.96 CNY",
        "the provider gave 3.00 CNY by itself",
        "paid on a rail without a rate, and no fee is taken off for them: 1 order\n",
        "Cola                                     4       12.00 CNY",
        "1 payment on wechat in another currency than the order's, in no sum: 0.50 EUR",
        "1 unit for which nothing was paid (test)",
        "still to go back: 3.00 CNY",
        "open claims: 1",
    ] {
        assert!(text.contains(told), "{told} is not in\n{text}");
    }
    assert_eq!(document["rails"][0]["rail"], "alipay");
    assert_eq!(document["totals"][0]["net_estimate"], 1_196);
    assert_eq!(document["totals"][0]["outstanding"], 300);
    assert_eq!(document["products"][0]["units"], 4);
    assert_eq!(document["claims"][0]["cause"], "paid-in-other-currency");
    assert_eq!((&document["prev"], &document["hash"]), (&cut(0).hash.into(), &report.end.hash.clone().into()));
}
