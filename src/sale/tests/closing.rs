//! A close that may give back what was paid, and payments that come while one is under way.

use super::desk::{Desk, policy, rail, refunds};
use crate::operation::Operation;
use crate::sale::dialogue::{OrderPage, Page};
use crate::sale::record::{Closed, Surplus};
use crate::sale::view::OrderState;
use crate::sale::{Effect, Event, Illegal, Policy, Record, Step};
use crate::vocabulary::{
    ChargeId, ChargeReport, ClaimSettlement, Created, DeliveryId, Evidence, OrderId, Payment, RailError, Standing,
};

/// The first charge is being closed, because the customer chose another rail.
fn switched() -> (Desk, OrderId) {
    let mut desk = Desk::with(Policy { rails: vec![rail("alipay"), rail("wechat")], ..policy() });
    let order = desk.offer(&["cola"]);
    desk.touch("rail:wechat");
    desk.created(order, 2, Ok(Created { payload: "second".into() }));
    (desk, order)
}

fn first(order: OrderId) -> ChargeId {
    ChargeId::of(order, 1)
}

fn says(payments: &[Payment], returned: i64) -> ChargeReport {
    let standing = if payments.is_empty() { Standing::Open } else { Standing::Closed };
    ChargeReport { standing, payments: payments.into(), returned, attach: None }
}

/// What the provider says of the first charge, `asked` or by itself.
fn hear(desk: &mut Desk, order: OrderId, report: ChargeReport, asked: bool) -> Step {
    desk.hear(Event::Reported { charge: first(order), result: Ok(report), asked })
}

fn unanswered() -> RailError {
    RailError::Unknown("system error".into())
}

fn questions(effects: &[Effect], order: OrderId) -> Vec<&'static str> {
    let about = |effect: &Effect| match effect {
        Effect::Query { charge, .. } if charge.charge == first(order) => Some("query"),
        Effect::Close { charge, .. } if charge.charge == first(order) => Some("close"),
        _ => None,
    };
    effects.iter().filter_map(about).collect()
}

fn bought(step: &Step) -> bool {
    step.records.iter().any(|record| record.kind() == "order-paid")
}

/// Keeps the second code alive on the glass until `seconds` have passed.
fn wait_beside_the_second(desk: &mut Desk, order: OrderId, seconds: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in 0..seconds.div_ceil(5) {
        effects.extend(desk.wait(5));
        let open = ChargeReport { standing: Standing::Open, payments: Vec::new(), returned: 0, attach: None };
        desk.hear(Event::Reported { charge: ChargeId::of(order, 2), result: Ok(open), asked: true });
    }
    effects
}

#[test]
fn a_payment_that_overtakes_the_answer_to_a_close_waits_for_it() {
    let (mut desk, order) = switched();
    let payment = desk.payment(order, 300);
    let step = hear(&mut desk, order, says(std::slice::from_ref(&payment), 0), false);
    assert!(step.records.is_empty(), "{step:?}");
    assert_eq!(desk.qr(), None, "who has paid must not pay again");
    assert_eq!(desk.refused("rail:alipay"), Illegal::Refused("a payment is being looked at"));
    let step = desk.close_answered(order, 1, Ok(None));
    assert!(!bought(&step) && questions(&step.effects, order) == ["query"], "{step:?}");
    assert!(bought(&hear(&mut desk, order, says(&[payment], 0), true)), "the money stayed");
}

#[test]
fn a_payment_that_the_close_gave_back_buys_nothing() {
    let (mut desk, order) = switched();
    let payment = desk.payment(order, 300);
    hear(&mut desk, order, says(std::slice::from_ref(&payment), 0), false);
    desk.close_answered(order, 1, Ok(None));
    // A notice from before the close, late on its way.
    assert!(!bought(&hear(&mut desk, order, says(std::slice::from_ref(&payment), 0), false)));
    let step = hear(&mut desk, order, says(&[payment], 300), true);
    assert!(!bought(&step) && refunds(&step).is_empty(), "{step:?}");
    let order = desk.order(order);
    assert_eq!((order.state(), order.closed), (OrderState::Refunded, Some(Closed::WrongPayment)));
    assert!(matches!(
        desk.records.iter().rev().find(|r| r.kind() == "payment-surplus"),
        Some(Record::PaymentSurplus { why: Surplus::Returned, .. })
    ));
}

#[test]
fn a_close_without_an_answer_is_not_repeated_once_a_payment_is_known_and_may_still_come_true() {
    let (mut desk, order) = switched();
    desk.close_answered(order, 1, Err(unanswered()));
    let payment = desk.payment(order, 300);
    hear(&mut desk, order, says(std::slice::from_ref(&payment), 0), false);
    let effects = wait_beside_the_second(&mut desk, order, 50);
    assert!(questions(&effects, order).is_empty(), "the close that was sent may still be carried out");
    let again = hear(&mut desk, order, says(std::slice::from_ref(&payment), 0), false);
    assert!(!bought(&again), "nor does the provider's own word count before that");
    let effects = wait_beside_the_second(&mut desk, order, 35);
    assert_eq!(questions(&effects, order), ["query"], "once, when no close can be on its way any more");
    assert!(bought(&hear(&mut desk, order, says(&[payment], 0), true)));
}

#[test]
fn who_pays_a_charge_in_doubt_and_leaves_gets_the_money_back() {
    let (mut desk, order) = switched();
    desk.close_answered(order, 1, Err(unanswered()));
    let payment = desk.payment(order, 300);
    hear(&mut desk, order, says(std::slice::from_ref(&payment), 0), false);
    let step = desk.touch("cancel");
    assert!(questions(&step.effects, order).iter().all(|asked| *asked == "query"), "{step:?}");
    let step = hear(&mut desk, order, says(&[payment], 0), true);
    assert_eq!(refunds(&step), [(format!("R_{order}_1_1"), 300)]);
}

/// Paid and delivered; then the provider says that it gave the money back.
fn returned_after_delivery(returned: i64) -> (Desk, OrderId) {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    desk.report(order, &[payment], returned);
    (desk, order)
}

#[test]
fn money_that_came_back_for_goods_that_fell_is_a_claim() {
    for returned in [300, 100] {
        let (mut desk, order) = returned_after_delivery(returned);
        let opened = |record: &Record| matches!(record, Record::ClaimOpened { amount, until_told: false, .. } if *amount == returned);
        assert!(desk.records.iter().any(opened), "{:?}", desk.records);
        assert_eq!(desk.order(order).state(), OrderState::Claim);
        desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::Delivered });
        desk.wait(3600);
        assert!(!desk.order(order).claim_open(), "a person knows of it");
        assert_eq!(desk.order(order).state(), OrderState::Delivered);
    }
}

#[test]
fn a_payment_that_the_providers_book_has_lost_has_gone_back() {
    for asked in [false, true] {
        let (mut desk, order) = returned_after_delivery(0);
        let gone = ChargeReport { standing: Standing::Closed, payments: Vec::new(), returned: 0, attach: None };
        hear(&mut desk, order, gone, asked);
        assert_eq!(desk.order(order).claim_open(), asked, "only an answer is believed so far");
        assert_eq!(desk.order(order).refunded(), if asked { 300 } else { 0 });
    }
}

#[test]
fn a_return_after_the_order_had_ended_opens_it_again_for_a_claim() {
    let (mut desk, id) = returned_after_delivery(0);
    let payment = desk.order(id).charges[0].payments[0].clone();
    desk.now += 400_000;
    desk.wait(10);
    desk.hear(Event::ReceiptDone { order: id, result: Ok(()) });
    desk.reported(id, Ok(says(std::slice::from_ref(&payment), 0)), true);
    desk.wait(30);
    desk.reported(id, Ok(says(std::slice::from_ref(&payment), 0)), true);
    let order = desk.order(id);
    assert!(order.ended, "{order:?}");
    desk.state.orders.remove(&id);
    desk.state.revive(order, crate::vocabulary::Mono(desk.now));
    desk.report(id, &[payment], 300);
    assert!(desk.order(id).claim_open() && !desk.order(id).ended);
    desk.operate(Operation::SettleClaim { order: id, how: ClaimSettlement::Delivered });
    assert!(desk.order(id).ended);
}

#[test]
fn nothing_more_is_energised_for_money_that_went_back() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "cola"]);
    let payment = desk.payment(order, 600);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.prepared(DeliveryId { order, item: 0, attempt: 1 }, 7);
    desk.report(order, &[payment], 600);
    let step = desk.evidence(DeliveryId { order, item: 0, attempt: 1 }, Evidence::Dropped { count: 1 });
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. })), "{step:?}");
    // The one that fell while the money went back is lost.
    let lost = |record: &Record| matches!(record, Record::ClaimOpened { amount: 300, .. });
    assert!(desk.records.iter().any(lost), "{:?}", desk.records);
    assert!(matches!(desk.page(), Page::Order(OrderPage::Claim { .. })));
}
