//! What is paid, what it buys, what goes back.

use super::desk::{Desk, delivers, outlet, policy, refunds, slot};
use crate::operation::{self, Operation, Refusal};
use crate::sale::dialogue::{OrderPage, Page};
use crate::sale::order::RefundState;
use crate::sale::record::{Closed, Surplus};
use crate::sale::view::{OrderState, Outcome};
use crate::sale::{Effect, Event, Illegal, Record};
use crate::vocabulary::{
    ChargeId, ChargeReport, ClaimSettlement, Currency, DeliveryId, Evidence, OrderId, RailError, RefundId,
    RefundReport, Standing, UnknownDelivery,
};

const FELL: Evidence = Evidence::Dropped { count: 1 };
const NOTHING: Evidence = Evidence::Nothing { self_tested: true };

fn surplus(desk: &Desk) -> Vec<Surplus> {
    let why = |record: &Record| match record {
        Record::PaymentSurplus { why, .. } => Some(*why),
        _ => None,
    };
    desk.records.iter().filter_map(why).collect()
}

#[test]
fn one_sale_from_tap_to_receipt() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    assert_eq!(desk.qr(), Some(format!("pay:{order}")));
    let step = desk.pay(order, 300);
    assert!(matches!(step.effects[..], [Effect::Prepare { .. }]), "the sensor first: {step:?}");
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    let step = desk.prepared(delivery, 7);
    assert!(matches!(&step.records[..], [Record::DeliveryIntended { counter: Some(7), .. }]));
    assert_eq!(delivers(&step), [(delivery, slot("A1"))], "the fullest slot, after its intent");
    let step = desk.evidence(delivery, FELL);
    assert!(step.effects.contains(&Effect::Print { order }));
    assert!(matches!(desk.page(), Page::Order(OrderPage::Thanks { .. })));
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
    assert_eq!(desk.slot("A1").count, 2);
}

#[test]
fn an_order_ends_when_nothing_more_can_happen_on_its_charge() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.deliver(order, 0, 1, FELL);
    assert!(!desk.order(order).ended, "a second payment may come until the charge's life and the grace are over");
    let paid = ChargeReport { standing: Standing::Closed, payments: vec![payment], returned: 0, attach: None };
    while desk.now < 190_000 {
        desk.wait(10);
        while desk.state.orders.get(&order).is_some_and(|order| order.charges[0].watch.asked) {
            assert!(!desk.order(order).ended, "nothing is asked after the end");
            desk.reported(order, Ok(paid.clone()), true);
        }
    }
    assert!(desk.order(order).ended);
    desk.touch("start");
    assert!(desk.state.orders.contains_key(&order), "its receipt is still being printed");
    desk.hear(crate::sale::Event::ReceiptDone { order, result: Ok(()) });
    desk.touch("cancel");
    assert!(desk.state.orders.is_empty(), "and is forgotten here; the ledger keeps it");
}

#[test]
fn the_second_payment_goes_back() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let (first, second) = (desk.payment(order, 300), desk.payment(order, 300));
    desk.report(order, &[first.clone(), second], 0);
    assert_eq!(surplus(&desk), [Surplus::Double]);
    let step = desk.deliver(order, 0, 1, FELL);
    assert_eq!(refunds(&step), [(format!("R_{order}_1_1"), 300)], "once, when all is known");
    let step = desk.report(order, &[first], 0);
    assert!(step.records.is_empty(), "a payment said again is no payment: {step:?}");
}

#[test]
fn a_payment_that_does_not_fit_buys_nothing_and_goes_back() {
    let usd = Currency::from_code("USD").unwrap();
    for (amount, why) in [(299, Surplus::WrongAmount), (301, Surplus::WrongAmount)] {
        let mut desk = Desk::new();
        let order = desk.offer(&["cola"]);
        let step = desk.pay(order, amount);
        assert_eq!(surplus(&desk), [why]);
        assert_eq!(refunds(&step), [(format!("R_{order}_1_1"), amount)]);
        assert_eq!(desk.order(order).closed, Some(Closed::WrongPayment));
        assert!(desk.qr().is_none() && delivers(&step).is_empty());
    }

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let mut payment = desk.payment(order, 300);
    payment.order = OrderId::from_parts(1, 1);
    let step = desk.report(order, &[payment], 0);
    assert_eq!((surplus(&desk), refunds(&step).len()), (vec![Surplus::WrongOrder], 1));

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let mut payment = desk.payment(order, 300);
    payment.currency = usd;
    let step = desk.report(order, &[payment], 0);
    assert_eq!(surplus(&desk), [Surplus::WrongCurrency]);
    assert!(refunds(&step).is_empty() && desk.order(order).claim_open(), "no sum holds two currencies: a person must");
}

#[test]
fn a_late_payment_goes_back_and_one_the_provider_gave_back_is_left_alone() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let step = desk.pay(order, 300);
    assert_eq!((surplus(&desk), refunds(&step).len()), (vec![Surplus::Late], 1));

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let payment = desk.payment(order, 300);
    let step = desk.report(order, &[payment], 300);
    assert_eq!((surplus(&desk), refunds(&step).len()), (vec![Surplus::Returned], 0));
    assert_eq!(desk.order(order).state(), OrderState::Refunded);
}

#[test]
fn a_payment_that_is_already_going_back_buys_nothing_and_all_of_it_is_asked_back() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let report = ChargeReport {
        standing: Standing::Returning,
        payments: vec![desk.payment(order, 300)],
        returned: 0,
        attach: None,
    };
    let step = desk.reported(order, Ok(report), false);
    assert_eq!(surplus(&desk), [Surplus::Returned]);
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. } | Effect::Deliver { .. })));
    assert_eq!(refunds(&step), [(format!("R_{order}_1_1"), 300)], "refused where nothing is left to give back");
}

#[test]
fn what_did_not_fall_is_refunded_and_what_fell_is_kept() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "tea"]);
    desk.pay(order, 750);
    desk.deliver(order, 0, 1, FELL);
    // The only slot with tea.
    let step = desk.deliver(order, 1, 1, NOTHING);
    assert_eq!(refunds(&step), [(format!("R_{order}_1_1"), 450)]);
    assert_eq!(desk.order(order).state(), OrderState::Refunding);
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    let outcomes: Vec<Outcome> = desk.order(order).items.iter().map(|item| item.outcome).collect();
    assert_eq!(outcomes, [Outcome::Delivered, Outcome::NotDelivered]);
    assert_eq!((desk.order(order).state(), desk.order(order).refunded()), (OrderState::PartlyDelivered, 450));
}

#[test]
fn another_slot_is_tried_after_a_proved_no_and_only_then() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let step = desk.deliver(order, 0, 1, NOTHING);
    let second = DeliveryId { order, item: 0, attempt: 2 };
    assert_eq!(step.effects, [Effect::Prepare { delivery: second, outlet: outlet("A2") }]);
    assert!(desk.slot("A1").fault.is_some(), "the first slot is out of use");
    assert_eq!(delivers(&desk.prepared(second, 7)), [(second, slot("A2"))]);
    let step = desk.evidence(second, NOTHING);
    assert_eq!(refunds(&step).len(), 1, "no third slot");

    for doubtful in [Evidence::Nothing { self_tested: false }, Evidence::Silent { why: "dust".into() }] {
        let mut desk = Desk::new();
        let order = desk.offer(&["cola"]);
        desk.pay(order, 300);
        let step = desk.deliver(order, 0, 1, doubtful);
        assert_eq!(refunds(&step).len(), 1, "unknown is settled, not tried again");
        assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. })));
    }
}

#[test]
fn without_a_self_test_nothing_moves() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    let reading = crate::vocabulary::Reading { counter: Some(1), self_tested: false };
    let step = desk.hear(crate::sale::Event::Prepared { delivery, reading });
    assert!(delivers(&step).is_empty());
    assert_eq!(refunds(&step).len(), 1);
}

/// The board has not even prepared: the unit has ended, and an answer that comes later energises nothing.
#[test]
fn a_board_that_does_not_answer_before_the_intent_ends_the_unit() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    let step = desk.hear(crate::sale::Event::NotEnergised { delivery, why: "the board does not answer".into() });
    assert!(delivers(&step).is_empty());
    assert_eq!(refunds(&step).len(), 1);
    let late = crate::vocabulary::Reading { counter: Some(1), self_tested: true };
    assert!(desk.try_hear(crate::sale::Event::Prepared { delivery, reading: late }).is_err());
}

#[test]
fn a_double_drop_is_one_sale_and_two_of_stock() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 2 });
    assert_eq!(desk.slot("A1").count, 1);
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
}

/// An order with a refund asked for: paid too late.
fn refunding() -> (Desk, OrderId) {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.pay(order, 300);
    (desk, order)
}

#[test]
fn a_refund_is_repeated_only_unchanged_and_asked_after_first() {
    let (mut desk, order) = refunding();
    desk.refund_answered(order, 1, Err(RailError::Unknown("time-out".into())));
    let asked = desk.wait(3);
    assert!(asked.iter().any(|e| matches!(e, Effect::QueryRefund { refund, .. } if refund.amount == 300)));
    assert!(!asked.iter().any(|e| matches!(e, Effect::Refund { .. })));
    desk.refund_answered(order, 1, Ok(RefundReport::Absent));
    let asked = desk.wait(5);
    let again = |e: &&Effect| matches!(e, Effect::Refund { refund, .. } if refund.refund.as_str() == format!("R_{order}_1_1") && refund.amount == 300);
    assert_eq!(asked.iter().filter(again).count(), 1, "it never arrived: the same again: {asked:?}");
    desk.refund_answered(order, 1, Ok(RefundReport::Processing));
    assert!(desk.wait(10).iter().any(|e| matches!(e, Effect::QueryRefund { .. })));
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    assert_eq!(desk.order(order).outstanding(), 0);
}

/// The provider refuses, and a query after that shows the money still there.
fn claimed() -> (Desk, OrderId) {
    let (mut desk, order) = refunding();
    let payments = desk.order(order).charges[0].payments.clone();
    let report = ChargeReport { standing: Standing::Closed, payments, returned: 0, attach: None };
    // Answers the close that is out.
    let charge = crate::vocabulary::ChargeId::of(order, 1);
    desk.hear(crate::sale::Event::CloseAnswered { charge, result: Ok(None) });
    desk.now += 10;
    desk.refund_answered(order, 1, Ok(RefundReport::Failed));
    assert!(!desk.order(order).claim_open(), "the provider may have given it back by itself");
    desk.reported(order, Ok(report.clone()), true);
    assert!(!desk.order(order).claim_open(), "that question was older than the refusal");
    assert!(desk.wait(60).iter().any(|effect| matches!(effect, Effect::Query { .. })));
    desk.reported(order, Ok(report), true);
    assert!(desk.order(order).claim_open());
    (desk, order)
}

#[test]
fn a_claim_is_settled_in_three_ways() {
    for how in [ClaimSettlement::Delivered, ClaimSettlement::PaidOutside] {
        let (mut desk, order) = claimed();
        let step = desk.operate(Operation::SettleClaim { order, how });
        assert!(refunds(&step).is_empty(), "{how:?}");
        assert_eq!(desk.order(order).outstanding(), 0, "{how:?}");
    }
    let (mut desk, order) = claimed();
    let how = ClaimSettlement::Refund;
    let step = desk.operate(Operation::SettleClaim { order, how });
    assert_eq!(refunds(&step), [(format!("R_{order}_1_2"), 300)], "a new refund: the first one has failed for good");
    desk.refund_answered(order, 2, Ok(RefundReport::Done));
    assert_eq!((desk.order(order).refunded(), desk.order(order).outstanding()), (300, 0));
    let settled = desk.outcome(Operation::SettleClaim { order, how });
    assert_eq!(settled, operation::Outcome::Refused { why: Refusal::NoOpenClaim });
}

#[test]
fn money_paid_after_a_claim_was_settled_still_goes_back() {
    let (mut desk, order) = claimed();
    desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::PaidOutside });
    let mut payments = desk.order(order).charges[0].payments.clone();
    payments.push(desk.payment(order, 300));
    let step = desk.report(order, &payments, 0);
    assert_eq!(refunds(&step), [(format!("R_{order}_1_2"), 300)]);
}

#[test]
fn a_refund_refused_because_the_money_is_back_is_no_claim() {
    let (mut desk, order) = refunding();
    let refused = RailError::Refused { code: "NOT_ENOUGH".into(), why: "returned".into() };
    desk.refund_answered(order, 1, Err(refused));
    let payments = desk.order(order).charges[0].payments.clone();
    desk.report(order, &payments, 300);
    let order = desk.order(order);
    assert_eq!(order.charges[0].refunds[0].state, RefundState::Failed);
    assert_eq!((order.outstanding(), order.claim.is_none(), order.state()), (0, true, OrderState::Refunded));
}

#[test]
fn held_for_a_person_when_the_operator_says_so() {
    let held = || {
        let mut desk = Desk::with(crate::sale::Policy { unknown_delivery: UnknownDelivery::Hold, ..policy() });
        let order = desk.offer(&["cola"]);
        desk.pay(order, 300);
        let step = desk.deliver(order, 0, 1, Evidence::Silent { why: "dust".into() });
        assert!(refunds(&step).is_empty() && matches!(desk.page(), Page::Order(OrderPage::Claim { .. })));
        (desk, order)
    };
    let (mut desk, order) = held();
    desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::Delivered });
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
    let (mut desk, order) = held();
    let step = desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::Refund });
    assert_eq!(refunds(&step).len(), 1);
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    assert_eq!(desk.order(order).state(), OrderState::Refunded);
}

#[test]
fn what_is_known_to_be_paid_is_not_closed() {
    let (mut desk, order) = refunding();
    let charge = crate::vocabulary::ChargeId::of(order, 1);
    desk.hear(crate::sale::Event::CloseAnswered { charge, result: Err(RailError::Unknown("time-out".into())) });
    let asked = desk.wait(100);
    assert!(!asked.iter().any(|effect| matches!(effect, Effect::Close { .. })), "{asked:?}");
}

#[test]
fn a_refusal_after_the_charge_was_final_is_asked_about_until_it_is_a_claim() {
    let (mut desk, order) = refunding();
    let payments = desk.order(order).charges[0].payments.clone();
    let report = ChargeReport { standing: Standing::Closed, payments, returned: 0, attach: None };
    let charge = crate::vocabulary::ChargeId::of(order, 1);
    desk.hear(crate::sale::Event::CloseAnswered { charge, result: Ok(None) });
    desk.refund_answered(order, 1, Ok(RefundReport::Processing));
    desk.reported(order, Ok(report.clone()), true);
    for _ in 0..40 {
        if desk.wait(30).iter().any(|effect| matches!(effect, Effect::Query { .. })) {
            desk.reported(order, Ok(report.clone()), true);
        }
        if desk.refund_asked(order) {
            desk.refund_answered(order, 1, Ok(RefundReport::Processing));
        }
    }
    assert!(desk.order(order).charges[0].settled);
    desk.refund_answered(order, 1, Ok(RefundReport::Failed));
    desk.wait(1);
    desk.reported(order, Ok(report), true);
    assert!(desk.order(order).claim_open(), "a person decides about the money that is still at the provider");
}

#[test]
fn a_claim_that_a_person_was_called_for_is_not_settled_by_what_comes_back_later() {
    let (mut desk, order) = claimed();
    let payments = desk.order(order).charges[0].payments.clone();
    let report = ChargeReport { standing: Standing::Closed, payments, returned: 300, attach: None };
    for _ in 0..40 {
        desk.reported(order, Ok(report.clone()), true);
        desk.wait(60);
    }
    assert!(desk.order(order).charges[0].settled);
    assert_eq!((desk.order(order).refunded(), desk.order(order).outstanding()), (300, 0));
    assert!(desk.order(order).claim_open(), "whoever was called says what became of it");
}

#[test]
fn what_a_refund_has_come_to_is_told_once() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.pay(order, 300);
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    let charge = ChargeId::of(order, 1);
    let refund = RefundId::of(&charge, 1);
    let again = Event::RefundAnswered { refund: refund.clone(), charge, result: Ok(RefundReport::Done) };
    assert_eq!(desk.try_hear(again), Err(Illegal::NoRefund(refund)));
    assert_eq!(desk.records.iter().filter(|record| record.kind() == "refund-confirmed").count(), 1);
}

#[test]
fn a_claim_names_the_refund_that_was_refused_and_not_a_later_one() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let payments = [desk.payment(order, 300), desk.payment(order, 300)];
    desk.report(order, &payments[..1], 0);
    let step = desk.report(order, &payments, 0);
    assert_eq!(refunds(&step), [(format!("R_{order}_1_2"), 300)], "each payment goes back by itself");
    desk.refund_answered(order, 1, Ok(RefundReport::Failed));
    desk.wait(1);
    let report = ChargeReport { standing: Standing::Closed, payments: payments.into(), returned: 0, attach: None };
    desk.reported(order, Ok(report), true);
    let claim = desk.order(order).claim.expect("a claim");
    assert_eq!(claim.why, crate::vocabulary::Cause::NoRefund { refund: RefundId::of(&ChargeId::of(order, 1), 1) });
}
