//! Money that a person gives back for goods that were delivered.

use super::desk::{Desk, policy};
use crate::operation::{Operation, Outcome, Refusal};
use crate::sale::view::OrderState;
use crate::sale::{Effect, Policy, Record, Step};
use crate::vocabulary::{Evidence, Mono, OrderId, RefundReport, UnknownDelivery};

fn refund(order: OrderId, amount: Option<i64>) -> Operation {
    Operation::Refund { order, amount }
}

fn refused(why: Refusal) -> Outcome {
    Outcome::Refused { why }
}

fn asked(step: &Step) -> Vec<i64> {
    let ask = |effect: &Effect| match effect {
        Effect::Refund { refund, .. } => Some(refund.amount),
        _ => None,
    };
    step.effects.iter().filter_map(ask).collect()
}

#[test]
fn so_much_as_is_left_goes_back_through_the_provider_and_is_no_claim() {
    let mut desk = Desk::new();
    let id = desk.offer(&["cola", "tea"]);
    assert_eq!(desk.outcome(refund(id, None)), refused(Refusal::OrderIsOpen), "nobody has paid");
    desk.pay(id, 750);
    assert_eq!(desk.outcome(refund(id, None)), refused(Refusal::OrderIsOpen), "it is on its way");
    desk.deliver(id, 0, 1, Evidence::Dropped { count: 1 });
    desk.deliver(id, 1, 1, Evidence::Dropped { count: 1 });
    assert_eq!(desk.order(id).state(), OrderState::Delivered);
    for amount in [0, -1, 751] {
        assert_eq!(desk.outcome(refund(id, Some(amount))), refused(Refusal::LessIsLeft { left: 750 }));
    }

    let step = desk.operate(refund(id, Some(200)));
    let kinds: Vec<_> = step.records.iter().map(Record::kind).collect();
    assert_eq!(kinds, ["operation-begun", "refund-decided", "operation-ended", "refund-requested"]);
    assert_eq!((asked(&step), desk.order(id).state()), (vec![200], OrderState::Refunding));
    assert_eq!(desk.outcome(refund(id, Some(551))), refused(Refusal::LessIsLeft { left: 550 }), "200 are on their way");
    desk.refund_answered(id, 1, Ok(RefundReport::Done));
    let order = desk.order(id);
    assert_eq!((order.state(), order.refunded(), order.outstanding()), (OrderState::Delivered, 200, 0));

    // It is settled long since, and comes back from the ledger for the rest.
    desk.state.orders.clear();
    assert_eq!(desk.outcome(refund(id, None)), refused(Refusal::NoSuchOrder));
    desk.state.revive(desk.order(id), Mono(desk.now));
    assert_eq!(asked(&desk.operate(refund(id, None))), [550]);
    desk.refund_answered(id, 2, Ok(RefundReport::Done));
    let order = desk.order(id);
    assert_eq!((order.refunded(), order.claim.clone(), order.lost(&order.charges[0])), (750, None, 0));
    desk.state.revive(order, Mono(desk.now));
    assert_eq!(desk.outcome(refund(id, None)), refused(Refusal::LessIsLeft { left: 0 }));
}

#[test]
fn what_has_a_claim_is_settled_by_that() {
    let mut desk = Desk::with(Policy { unknown_delivery: UnknownDelivery::Hold, ..policy() });
    let id = desk.offer(&["cola"]);
    desk.pay(id, 300);
    desk.deliver(id, 0, 1, Evidence::Silent { why: "no answer".into() });
    assert!(desk.order(id).claim_open());
    assert_eq!(desk.outcome(refund(id, None)), refused(Refusal::ClaimIsOpen));
}

#[test]
fn of_what_did_not_fall_nothing_is_left_to_give_back() {
    let mut desk = Desk::new();
    let id = desk.offer(&["cola", "tea"]);
    desk.pay(id, 750);
    desk.deliver(id, 0, 1, Evidence::Dropped { count: 1 });
    desk.deliver(id, 1, 1, Evidence::Nothing { self_tested: true });
    assert_eq!(desk.order(id).outstanding(), 450, "its price goes back by itself");
    assert_eq!(desk.outcome(refund(id, Some(301))), refused(Refusal::LessIsLeft { left: 300 }));
}
