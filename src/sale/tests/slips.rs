//! What is printed of an order, and when.

use super::desk::{Desk, policy};
use crate::operation::Operation;
use crate::sale::dialogue::{OrderPage, Page};
use crate::sale::record::Slip;
use crate::sale::view::OrderState;
use crate::sale::{Effect, Event, Policy, Record};
use crate::vocabulary::{ChargeReport, ClaimSettlement, Evidence, OrderId, RefundReport, Standing, UnknownDelivery};

fn prints(effects: &[Effect], order: OrderId) -> usize {
    effects.iter().filter(|effect| **effect == Effect::Print { order }).count()
}

/// Every slip of an order that is on disk.
fn printed(desk: &Desk) -> Vec<Slip> {
    let slip = |record: &Record| match record {
        Record::ReceiptPrinted { slip, .. } | Record::ReceiptNotPrinted { slip, .. } => Some(*slip),
        _ => None,
    };
    desk.records.iter().filter_map(slip).collect()
}

/// Paid, nothing fell, and the slip is in the printer.
fn refunding() -> (Desk, OrderId) {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let nothing = || Evidence::Nothing { self_tested: true };
    assert_eq!(prints(&desk.deliver(order, 0, 1, nothing()).effects, order), 0);
    assert_eq!(prints(&desk.deliver(order, 0, 2, nothing()).effects, order), 1);
    assert!(matches!(desk.page(), Page::Order(OrderPage::Refunded { .. })));
    (desk, order)
}

/// The provider refuses the refund, and a question after that finds the money still there.
fn refused(desk: &mut Desk, order: OrderId) -> Vec<Effect> {
    desk.now += 10;
    let mut effects = desk.refund_answered(order, 1, Ok(RefundReport::Failed)).effects;
    let payments = desk.order(order).charges[0].payments.clone();
    let report = ChargeReport { standing: Standing::Closed, payments, returned: 0, attach: None };
    // The first answers what was asked before the refusal.
    for _ in 0..2 {
        effects.extend(desk.wait(60));
        effects.extend(desk.reported(order, Ok(report.clone()), true).effects);
    }
    assert_eq!(desk.order(order).state(), OrderState::Claim);
    effects.extend(desk.wait(300));
    effects
}

fn done(desk: &mut Desk, order: OrderId) -> Vec<Effect> {
    desk.hear(Event::ReceiptDone { order, result: Ok(()) }).effects
}

#[test]
fn a_refund_that_becomes_a_claim_has_a_second_slip_and_no_third() {
    let (mut desk, order) = refunding();
    done(&mut desk, order);
    assert_eq!(printed(&desk), [Slip::Refund]);
    assert_eq!(prints(&refused(&mut desk, order), order), 1);
    done(&mut desk, order);
    assert_eq!(printed(&desk), [Slip::Refund, Slip::Claim]);
    assert_eq!(prints(&desk.wait(3_600), order), 0);
    assert_eq!(prints(&desk.restart().effects, order), 0, "it is on disk that it was printed");
    assert_eq!(prints(&desk.wait(3_600), order), 0);
    // Settled as a refund and refused again: the customer has a claim slip of this order.
    desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::PaidOutside });
    assert_eq!(prints(&desk.wait(600), order), 0);
    assert_eq!(printed(&desk), [Slip::Refund, Slip::Claim]);
}

#[test]
fn a_restart_in_between_loses_no_claim_slip_and_repeats_no_refund_slip() {
    // Between the two slips.
    let (mut desk, order) = refunding();
    done(&mut desk, order);
    assert_eq!(prints(&desk.restart().effects, order), 0);
    desk.refund_answered(order, 1, Ok(RefundReport::Processing));
    assert_eq!(prints(&refused(&mut desk, order), order), 1);
    // Before the second is out of the printer.
    assert_eq!(prints(&desk.restart().effects, order), 1);
    done(&mut desk, order);
    assert_eq!(printed(&desk), [Slip::Refund, Slip::Claim]);
    assert_eq!(prints(&desk.restart().effects, order), 0);
}

#[test]
fn one_after_the_other() {
    let (mut desk, order) = refunding();
    assert_eq!(prints(&refused(&mut desk, order), order), 0, "the first is still in the printer");
    assert_eq!(prints(&done(&mut desk, order), order), 1);
    desk.hear(Event::ReceiptDone { order, result: Err("there is no paper".into()) });
    assert_eq!(printed(&desk), [Slip::Refund, Slip::Claim]);
    assert_eq!(prints(&desk.wait(600), order), 0, "what could not be printed is not tried again by itself");
}

#[test]
fn a_claim_from_the_beginning_has_one_slip() {
    let mut desk = Desk::with(Policy { unknown_delivery: UnknownDelivery::Hold, ..policy() });
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    let step = desk.deliver(order, 0, 1, Evidence::Silent { why: "dust".into() });
    assert_eq!(prints(&step.effects, order), 1);
    assert_eq!(prints(&done(&mut desk, order), order) + prints(&desk.wait(600), order), 0);
    assert_eq!(printed(&desk), [Slip::Claim]);
}

#[test]
fn money_that_went_back_for_goods_that_fell_is_a_claim_without_a_slip() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    done(&mut desk, order);
    let step = desk.report(order, &[payment], 300);
    assert_eq!(desk.order(order).state(), OrderState::Claim);
    assert_eq!(prints(&step.effects, order) + prints(&desk.wait(600), order), 0, "the customer misses nothing");
}
