//! Several rails for one order, and what a payment costs.

use super::desk::{Desk, delivers, policy, rail, refunds};
use crate::sale::dialogue::{OrderPage, Page};
use crate::sale::record::{Closed, Surplus};
use crate::sale::view::OrderState;
use crate::sale::{Effect, Event, Illegal, Policy, Record, Step};
use crate::vocabulary::fee::{FeeEntry, FeeSchedule};
use crate::vocabulary::{
    ChargeId, ChargeReport, Created, DeliveryId, Evidence, OrderId, RailError, RailName, Standing,
};

fn two() -> Policy {
    Policy { rails: vec![rail("wechat"), rail("alipay")], ..policy() }
}

fn named(name: &str) -> RailName {
    RailName::parse(name).unwrap()
}

fn made(payload: &str) -> Result<Created, RailError> {
    Ok(Created { payload: payload.into() })
}

fn nobody() -> RailError {
    RailError::Unknown("time-out".into())
}

/// Which charges are closed and which is asked for, in order.
fn asked(step: &Step) -> Vec<(&'static str, usize, RailName)> {
    let nth = |charge: &ChargeId| charge.as_str().rsplit('_').next().unwrap().parse().unwrap();
    let told = |effect: &Effect| match effect {
        Effect::Create { rail, charge } => Some(("create", nth(&charge.charge), rail.clone())),
        Effect::Close { rail, charge } => Some(("close", nth(&charge.charge), rail.clone())),
        _ => None,
    };
    step.effects.iter().filter_map(told).collect()
}

/// The provider tells of a payment by itself, or because it was `asked`.
fn paid(desk: &mut Desk, order: OrderId, nth: usize, asked: bool) -> Step {
    let payments = vec![desk.payment(order, 300)];
    let report = ChargeReport { standing: Standing::Closed, payments, returned: 0, attach: None };
    desk.hear(Event::Reported { charge: ChargeId::of(order, nth), result: Ok(report), asked })
}

fn pay(desk: &mut Desk, order: OrderId, nth: usize) -> Step {
    paid(desk, order, nth, false)
}

fn tabs(desk: &Desk) -> Vec<(String, bool, bool)> {
    let Page::Order(OrderPage::Pay { rails, .. }) = desk.page() else { panic!("not on the pay page") };
    rails.into_iter().map(|tab| (tab.name.to_string(), tab.chosen, tab.up)).collect()
}

#[test]
fn switching_closes_the_former_charge_and_asks_for_another() {
    let mut desk = Desk::with(two());
    let order = desk.offer(&["cola"]);
    assert_eq!(tabs(&desk), [("wechat".into(), true, true), ("alipay".into(), false, true)]);
    let step = desk.touch("rail:alipay");
    assert!(matches!(&step.records[..], [Record::ChargeOffered { rail, .. }] if *rail == named("alipay")));
    let mut todo = asked(&step);
    todo.sort();
    assert_eq!(todo, [("close", 1, named("wechat")), ("create", 2, named("alipay"))]);
    assert_eq!(desk.qr(), None, "the former code is gone at once");
    desk.created(order, 2, made("https://qr.alipay.com/x"));
    assert_eq!(desk.qr().as_deref(), Some("https://qr.alipay.com/x"));
    assert_eq!(tabs(&desk), [("wechat".into(), false, true), ("alipay".into(), true, true)]);
    assert!(desk.touch("rail:alipay").records.is_empty(), "it is chosen already");
    assert_eq!(desk.refused("rail:paypal"), Illegal::Refused("no such payment method"));
}

#[test]
fn a_charge_that_is_made_after_the_switch_is_closed_and_never_shown() {
    let mut desk = Desk::with(two());
    let order = desk.ordered(&["cola"]);
    desk.touch("rail:alipay");
    let step = desk.created(order, 1, made("late"));
    assert_eq!(asked(&step), [("close", 1, named("wechat"))]);
    assert_eq!(desk.qr(), None);
}

#[test]
fn the_first_payment_buys_on_whichever_charge_and_the_second_goes_back() {
    let mut desk = Desk::with(two());
    let order = desk.offer(&["cola"]);
    desk.touch("rail:alipay");
    desk.created(order, 2, made("x"));
    // The former charge was being closed: its payment counts once the close is answered and the money is still there.
    let held = pay(&mut desk, order, 1);
    assert!(held.records.is_empty() && desk.qr().is_none(), "{held:?}");
    desk.close_answered(order, 1, Ok(None));
    let step = paid(&mut desk, order, 1, true);
    assert!(step.records.iter().any(|record| record.kind() == "order-paid"));
    assert_eq!(asked(&step), [("close", 2, named("alipay"))], "nobody may pay the other one any more");
    let step = pay(&mut desk, order, 2);
    let double = |record: &Record| matches!(record, Record::PaymentSurplus { why: Surplus::Double, .. });
    assert!(step.records.iter().any(double), "{step:?}");
    let back = refunds(&step);
    assert_eq!(back.len(), 1);
    assert_eq!(back[0], (format!("R_{order}_2_1"), 300));
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    let step = desk.prepared(delivery, 7);
    assert_eq!(delivers(&step).len(), 1);
    desk.evidence(delivery, Evidence::Dropped { count: 1 });
    assert_eq!(desk.order(order).kept(desk.order(order).charge(&ChargeId::of(order, 1)).unwrap()), 300);
}

#[test]
fn a_provider_that_makes_no_charge_gives_way_to_the_next_and_the_last_one_ends_the_order() {
    let mut desk = Desk::with(two());
    let order = desk.ordered(&["cola"]);
    let step = desk.created(order, 1, Err(nobody()));
    assert!(asked(&step).contains(&("create", 2, named("alipay"))), "{step:?}");
    assert!(asked(&step).contains(&("close", 1, named("wechat"))), "nobody knows whether it was made");
    assert_eq!(tabs(&desk), [("wechat".into(), false, false), ("alipay".into(), true, true)]);
    desk.created(order, 2, Err(nobody()));
    assert!(matches!(desk.order(order).closed, Some(Closed::NoCharge(_))));
    assert_eq!(desk.order(order).state(), OrderState::Cancelled);
}

#[test]
fn the_lease_is_that_of_the_code_on_the_glass() {
    let mut desk = Desk::with(two());
    let order = desk.offer(&["cola"]);
    desk.wait(20);
    desk.touch("rail:alipay");
    desk.created(order, 2, made("x"));
    // The former provider has been silent for long; the one on the glass has just spoken.
    desk.wait(15);
    assert!(desk.qr().is_some());
    desk.wait(16);
    assert!(desk.order(order).closed.is_some(), "35 s after the last word about this code");
}

#[test]
fn a_customer_who_can_not_decide_is_not_asked_for_ever() {
    let mut desk = Desk::with(two());
    let order = desk.offer(&["cola"]);
    for nth in 2..=6 {
        desk.touch(if nth % 2 == 0 { "rail:alipay" } else { "rail:wechat" });
        desk.created(order, nth, made("x"));
    }
    assert!(matches!(desk.refused("rail:wechat"), Illegal::NotOnPage { .. }));
    assert!(desk.qr().is_some(), "the last one stays");
}

#[test]
fn what_the_provider_keeps_is_written_beside_the_payment() {
    let entry: FeeEntry = toml::from_str("from = 2025-01-01\nrate = \"0.60%\"").unwrap();
    let mut policy = policy();
    policy.rails[0].fees = FeeSchedule::new(vec![entry]).unwrap();
    let mut desk = Desk::with(policy);
    let order = desk.offer(&["cola", "tea"]);
    let step = desk.pay(order, 750);
    let fee = step.records.iter().find_map(|record| match record {
        Record::OrderPaid { fee_estimate, .. } => *fee_estimate,
        _ => None,
    });
    assert_eq!((fee, desk.order(order).fee_estimate()), (Some(5), Some(5)), "4.5 fen, rounded half up");
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    for attempt in 1..=2 {
        if desk.order(order).unresolved() {
            desk.deliver(order, 1, attempt, Evidence::Nothing { self_tested: true });
        }
    }
    desk.refund_answered(order, 1, Ok(crate::vocabulary::RefundReport::Done));
    assert_eq!(desk.order(order).refunded(), 450);
    assert_eq!(desk.order(order).fee_estimate(), Some(2), "the refund gave its share back");
}
