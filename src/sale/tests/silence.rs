//! Providers that say nothing for long, kiosks that nobody pays at, and rails that take no more.

use super::desk::{Desk, policy, rail, refunds, wallet};
use crate::operation::{Operation, Outcome, Refusal};
use crate::sale::dialogue::Page;
use crate::sale::record::Closed;
use crate::sale::view::{OrderState, StopReason};
use crate::sale::{Effect, Policy, Record};
use crate::vocabulary::{ClaimSettlement, Created, Evidence, Mono, OrderId, RailError, RefundReport, Wall};

const HOUR: u64 = 3_600;

/// A refund is asked for and nobody ever answers for certain.
fn silent() -> (Desk, OrderId) {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Silent { why: "dust".into() });
    (desk, order)
}

/// Time in which every question of the refund comes to nothing.
fn nobody_confirms(desk: &mut Desk, order: OrderId, seconds: u64) -> usize {
    let end = desk.now + seconds * 1_000;
    let mut asked = 0;
    while desk.now < end {
        let unknown = Err(RailError::Unknown("time-out".into()));
        if desk.refund_asked(order) {
            desk.refund_answered(order, 1, unknown);
        }
        let effects = desk.wait(60);
        asked += effects.iter().filter(|e| matches!(e, Effect::QueryRefund { .. } | Effect::Refund { .. })).count();
    }
    asked
}

fn claims(desk: &Desk) -> usize {
    desk.records.iter().filter(|record| record.kind() == "claim-opened").count()
}

#[test]
fn a_refund_that_nobody_confirms_becomes_a_claim_and_is_asked_after_all_the_while() {
    let (mut desk, order) = silent();
    nobody_confirms(&mut desk, order, 5 * HOUR);
    assert_eq!(claims(&desk), 0);
    nobody_confirms(&mut desk, order, HOUR + 120);
    assert_eq!(claims(&desk), 1);
    assert_eq!(desk.order(order).state(), OrderState::Claim);
    let asked = nobody_confirms(&mut desk, order, HOUR);
    assert!(asked >= 50, "{asked} questions in an hour");
    assert_eq!(claims(&desk), 1);
    // The provider's word ends it, without a person.
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    let settled = |record: &Record| matches!(record, Record::ClaimSettled { how: ClaimSettlement::ByProvider, .. });
    settle_charge(&mut desk, order);
    assert!(desk.records.iter().any(settled), "{:?}", desk.records);
    assert_eq!(desk.order(order).state(), OrderState::Refunded);
}

/// The provider's last word about a charge, past every time-out.
fn settle_charge(desk: &mut Desk, order: OrderId) {
    let payments = desk.order(order).charges[0].payments.clone();
    for _ in 0..2 {
        let report = crate::vocabulary::ChargeReport {
            standing: crate::vocabulary::Standing::Closed,
            payments: payments.clone(),
            returned: 0,
            attach: None,
        };
        desk.reported(order, Ok(report), true);
        desk.wait(600);
    }
}

#[test]
fn restarts_do_not_make_the_silence_shorter_where_the_wall_is_known() {
    let asked_at = 1_800_000_000_000;
    // Where the wall was not known when it was asked for, only this run's own time counts.
    for (wall, later, claimed) in [(None, 7, 0), (Some(asked_at), 5, 0), (Some(asked_at), 6, 1)] {
        let mut desk = Desk::new();
        desk.wall = wall;
        let order = desk.offer(&["cola"]);
        desk.pay(order, 300);
        desk.deliver(order, 0, 1, Evidence::Silent { why: "dust".into() });
        desk.wall = Some(asked_at + later * HOUR * 1_000);
        desk.restart();
        assert_eq!(claims(&desk), claimed, "asked for at {wall:?}, {later} h before");
    }
}

#[test]
fn an_operator_hears_of_a_pending_refund_after_minutes() {
    let (mut desk, order) = silent();
    assert_eq!(desk.state.pending_refunds(Mono(desk.now), desk.wall.map(Wall)), None);
    nobody_confirms(&mut desk, order, 180);
    let pending = desk.state.pending_refunds(Mono(desk.now), desk.wall.map(Wall)).unwrap();
    assert_eq!((pending.count, pending.amount, pending.oldest.as_secs()), (1, 300, 180));
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    assert_eq!(desk.state.pending_refunds(Mono(desk.now), desk.wall.map(Wall)), None);
}

#[test]
fn who_settles_a_silent_claim_is_believed() {
    for how in [ClaimSettlement::PaidOutside, ClaimSettlement::Delivered] {
        let (mut desk, order) = silent();
        nobody_confirms(&mut desk, order, 7 * HOUR);
        let step = desk.operate(Operation::SettleClaim { order, how });
        assert!(refunds(&step).is_empty());
        assert_eq!(desk.state.pending_refunds(Mono(desk.now), desk.wall.map(Wall)), None);
        assert_eq!(desk.order(order).outstanding(), 0);
        assert_eq!(nobody_confirms(&mut desk, order, HOUR), 0, "it is not waited for any more");
    }
    let (mut desk, order) = silent();
    nobody_confirms(&mut desk, order, 7 * HOUR);
    desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::Refund });
    assert!(nobody_confirms(&mut desk, order, 5 * HOUR) > 200, "it is asked after");
    assert_eq!(claims(&desk), 1);
    nobody_confirms(&mut desk, order, HOUR + 120);
    assert_eq!(claims(&desk), 2, "another such silence is told again");
    let how = ClaimSettlement::ByProvider;
    let lie = desk.outcome(Operation::SettleClaim { order, how });
    assert_eq!(lie, Outcome::Refused { why: Refusal::OnlyByProvider });
}

#[test]
fn a_charge_of_a_rail_that_is_no_more_becomes_a_claim() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.state.policy.rails = vec![rail("other")];
    desk.touch("cancel");
    let unknown = || Err(RailError::Unknown("the rail is not configured".into()));
    desk.close_answered(order, 1, unknown());
    for _ in 0..7 * 60 {
        desk.wait(60);
        if desk.state.orders[&order].charges[0].watch.asked {
            desk.reported(order, Err(RailError::Unknown("not configured".into())), true);
        }
    }
    assert_eq!(claims(&desk), 1, "{:?}", desk.records.last());
    assert_eq!(desk.order(order).state(), OrderState::Claim);
    desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::PaidOutside });
    assert!(desk.order(order).ended, "{:?}", desk.order(order));
}

/// Orders up to the QR that nobody pays.
fn cancel(desk: &mut Desk, times: u32) {
    for _ in 0..times {
        desk.offer(&["cola"]);
        desk.touch("cancel");
        desk.touch("done");
    }
}

#[test]
fn a_finger_alone_makes_the_kiosk_slow_and_not_shut() {
    let mut desk = Desk::with(Policy { cool_down_after_unpaid: Some(3), ..policy() });
    cancel(&mut desk, 2);
    assert!(desk.state.stop_reasons().is_empty());
    cancel(&mut desk, 1);
    assert_eq!(desk.state.stop_reasons(), [StopReason::CoolingDown]);
    assert!(matches!(desk.page(), Page::OutOfService { .. }));
    desk.wait(59);
    assert_eq!(desk.state.stop_reasons(), [StopReason::CoolingDown]);
    desk.wait(1);
    assert!(desk.state.stop_reasons().is_empty(), "it ends by itself");
    desk.probed();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    assert_eq!(desk.state.unpaid_in_a_row, 0, "one who pays makes up for all");
}

#[test]
fn a_rail_at_its_limit_is_down_for_a_while_and_says_so() {
    let mut desk = Desk::new();
    let order = desk.ordered(&["cola"]);
    let limit = RailError::Refused { code: "LIMIT".into(), why: "120 orders in this hour".into() };
    desk.created(order, 1, Err(limit));
    assert!(matches!(desk.order(order).closed, Some(Closed::NoCharge(_))));
    desk.probed();
    assert_eq!(desk.state.stop_reasons(), [StopReason::RailDown], "the provider answers, and takes nothing");
    assert!(desk.state.conditions.refusing[&wallet()].contains("120 orders"));
    desk.wait(61);
    desk.probed();
    assert!(desk.state.stop_reasons().is_empty());
    let order = desk.ordered(&["cola"]);
    desk.created(order, 1, Ok(Created { payload: "again".into() }));
    assert_eq!(desk.qr().as_deref(), Some("again"));
}
