//! What a restart takes up, order by order.

use super::desk::{Desk, delivers, outlet, policy, refunds, slot};
use crate::sale::dialogue::{OrderPage, Page, ShopPage};
use crate::sale::record::Closed;
use crate::sale::view::OrderState;
use crate::sale::{Effect, Illegal, Policy, Record};
use crate::vocabulary::{DeliveryId, Evidence, PaidWithoutIntent, RefundReport};

#[test]
fn a_waiting_order_is_closed_and_its_charge_too() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let step = desk.restart();
    assert_eq!(desk.order(order).closed, Some(Closed::Restart));
    assert!(step.effects.iter().any(|effect| matches!(effect, Effect::Close { .. })));
    let step = desk.pay(order, 300);
    assert_eq!(refunds(&step).len(), 1, "the QR had gone: too late");
}

#[test]
fn paid_and_nothing_energised_goes_back_or_is_delivered_as_the_operator_says() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let step = desk.restart();
    assert_eq!(refunds(&step), [(format!("R_{order}_1_1"), 300)]);
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })), "nobody waits for it on the glass");

    let mut desk = Desk::with(Policy { paid_without_intent: PaidWithoutIntent::Resume, ..policy() });
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let step = desk.restart();
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    assert!(step.effects.contains(&Effect::Prepare { delivery, outlet: outlet("A1") }));
    assert!(matches!(desk.page(), Page::Order(OrderPage::Delivering { .. })));
    assert_eq!(delivers(&desk.prepared(delivery, 3)), [(delivery, slot("A1"))]);
}

#[test]
fn what_was_energised_is_never_energised_again_but_asked_of_the_counter() {
    for (fell, state) in [
        (Evidence::Dropped { count: 1 }, OrderState::Delivered),
        (Evidence::Nothing { self_tested: true }, OrderState::Refunding),
        (Evidence::Silent { why: "dust".into() }, OrderState::Refunding),
    ] {
        let mut desk = Desk::with(Policy { paid_without_intent: PaidWithoutIntent::Resume, ..policy() });
        let order = desk.offer(&["cola"]);
        desk.pay(order, 300);
        let delivery = DeliveryId { order, item: 0, attempt: 1 };
        desk.prepared(delivery, 7);
        let step = desk.restart();
        assert!(step.effects.contains(&Effect::Recall { delivery, outlet: outlet("A1"), before: Some(7) }));
        assert!(delivers(&step).is_empty());
        assert!(desk.state.current == Some(order), "nobody else buys while the counter is asked");
        let step = desk.evidence(delivery, fell.clone());
        assert!(!step.effects.iter().any(|e| matches!(e, Effect::Prepare { .. })), "no second try after a restart");
        assert_eq!(desk.order(order).state(), state, "{fell:?}");
        assert!(desk.slot("A1").fault.is_none(), "it may have been stopped halfway");
    }
}

#[test]
fn a_retry_that_had_not_begun_is_not_begun_in_another_boot() {
    let mut desk = Desk::with(Policy { paid_without_intent: PaidWithoutIntent::Resume, ..policy() });
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Nothing { self_tested: true });
    let step = desk.restart();
    assert_eq!(refunds(&step).len(), 1);
}

#[test]
fn a_refund_asked_for_before_is_asked_after_first() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.pay(order, 300);
    let step = desk.restart();
    assert!(refunds(&step).is_empty());
    assert!(step.effects.iter().any(|effect| matches!(effect, Effect::QueryRefund { .. })));
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    assert_eq!(desk.order(order).refunded(), 300);
}

#[test]
fn starting_twice_writes_nothing_twice() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "tea"]);
    desk.pay(order, 750);
    desk.restart();
    let step = desk.restart();
    assert!(matches!(step.records[..], [Record::BootStarted { .. }]), "{step:?}");
}

#[test]
fn an_order_that_had_ended_is_revived_by_money() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let mut old = desk.order(order);
    old.apply(&Record::ChargeSettled { order, charge: old.charges[0].id.clone() });
    old.apply(&Record::OrderEnded { order, state: OrderState::Cancelled });
    desk.state.orders.clear();
    desk.touch("done");
    let payment = desk.payment(order, 300);
    let report = |payments| crate::vocabulary::ChargeReport {
        standing: crate::vocabulary::Standing::Closed,
        payments,
        returned: 0,
        attach: None,
    };
    let event = |payments| crate::sale::Event::Reported {
        charge: crate::vocabulary::ChargeId::of(order, 1),
        result: Ok(report(payments)),
        asked: false,
    };
    assert!(matches!(desk.try_hear(event(vec![payment.clone()])), Err(Illegal::NoCharge(_))));
    desk.state.revive(old, crate::vocabulary::Mono(desk.now));
    let step = desk.hear(event(vec![payment]));
    assert_eq!(refunds(&step).len(), 1);
}
