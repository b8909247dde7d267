//! Orders for which nobody pays, and goods that come out of something else than a slot.

use super::desk::{Desk, delivers, outlet, policy, product};
use crate::operation::{Operation, Refusal};
use crate::sale::dialogue::{OrderPage, Page};
use crate::sale::record::Offered;
use crate::sale::recover::Recovered;
use crate::sale::shop::{Note, OutletStatus, Shop};
use crate::sale::view::{OrderState, Outcome};
use crate::sale::{Effect, Event, Illegal, Order, Policy, Record, State, Step};
use crate::vocabulary::{
    Cause, DeliveryId, Evidence, Goods, Grant, LaneId, Localized, OrderId, Outlet, PaidWithoutIntent, Reading, StayId,
    StopReason, UnknownDelivery,
};

fn cola(desk: &Desk) -> Offered {
    desk.state.product(&product("cola")).unwrap().offered()
}

fn grant(desk: &mut Desk, grant: Grant) -> (OrderId, Step) {
    let units = vec![cola(desk)];
    let step = desk.hear(Event::Chosen { units, grant: Some(grant), outlet: None });
    (desk.state.current.expect("an order"), step)
}

#[test]
fn what_is_given_away_falls_once_and_touches_no_rail() {
    let mut desk = Desk::new();
    let (order, step) = grant(&mut desk, Grant::Free);
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    assert!(matches!(step.records[..], [Record::OrderGranted { grant: Grant::Free, .. }]));
    assert_eq!(step.effects, [Effect::Prepare { delivery, outlet: outlet("A1") }]);
    assert!(matches!(desk.page(), Page::Order(OrderPage::Delivering { .. })));
    let step = desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
    assert!(step.effects.is_empty(), "no slip for what nobody paid: {:?}", step.effects);
    assert!(matches!(step.records.last(), Some(Record::OrderEnded { state: OrderState::Delivered, .. })));
    let ended = desk.order(order);
    assert_eq!((ended.amount(), ended.paid(), ended.outstanding(), ended.charges.len()), (0, 0, 0, 0));
    assert_eq!(desk.slot("A1").count, 2);
    assert_eq!(desk.state.unpaid_in_a_row, 0);
}

#[test]
fn what_did_not_come_out_is_neither_refunded_nor_a_claim() {
    for (evidence, state) in [
        (Evidence::Nothing { self_tested: true }, OrderState::NotDelivered),
        (Evidence::Silent { why: "unplugged".into() }, OrderState::Delivered),
    ] {
        let mut desk = Desk::with(Policy { attempts: 1, unknown_delivery: UnknownDelivery::Hold, ..policy() });
        let (order, _) = grant(&mut desk, Grant::Test);
        desk.deliver(order, 0, 1, evidence);
        assert_eq!(desk.order(order).state(), state);
        assert!(desk.order(order).ended && desk.order(order).claim.is_none());
    }
}

#[test]
fn a_restart_gives_nothing_away_a_second_time() {
    let resume = Policy { paid_without_intent: PaidWithoutIntent::Resume, ..policy() };
    let mut desk = Desk::with(resume);
    let (order, _) = grant(&mut desk, Grant::Free);
    let step = desk.restart();
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. })));
    assert_eq!(desk.order(order).items[0].outcome, Outcome::NotDelivered);
    assert!(desk.order(order).ended);
    assert!(step.records.iter().any(|r| matches!(r, Record::ItemNotDelivered { why: Cause::Restarted, .. })));
}

#[test]
fn nothing_is_given_away_in_mid_sale_at_an_open_door_or_without_stock() {
    let mut desk = Desk::new();
    let units = vec![cola(&desk)];
    let chosen = |units: &Vec<Offered>, grant| Event::Chosen { units: units.clone(), grant, outlet: None };
    desk.touch("start");
    desk.touch("product:cola");
    let busy = Illegal::Refused("a sale is under way");
    assert_eq!(desk.try_hear(chosen(&units, Some(Grant::Free))), Err(busy.clone()));
    desk.touch("pay");
    assert_eq!(desk.try_hear(chosen(&units, None)), Err(busy));
    desk.touch("cancel");
    desk.touch("done");
    let stopped = Illegal::NotSold(Refusal::CannotDeliver { reason: StopReason::DoorOpen });
    desk.door(true);
    assert_eq!(desk.try_hear(chosen(&units, Some(Grant::Free))), Err(stopped));
    desk.door(false);
    let many = vec![cola(&desk); 6];
    assert_eq!(desk.try_hear(chosen(&many, Some(Grant::Free))), Err(Illegal::NotSold(Refusal::NoneLeft)));
    assert!(desk.try_hear(chosen(&vec![], Some(Grant::Free))).is_err());
}

#[test]
fn nothing_is_charged_where_nothing_is_due_and_nothing_is_due_only_where_nothing_is_charged() {
    let mut desk = Desk::new();
    let free = vec![Offered { price: 0, ..cola(&desk) }];
    assert!(
        desk.try_hear(Event::Chosen { units: free.clone(), grant: None, outlet: None }).is_err(),
        "a charge of nothing"
    );
    let units = vec![cola(&desk), free[0].clone()];
    let chosen =
        |units: &[Offered]| Event::Chosen { units: units.to_vec(), grant: Some(Grant::NothingDue), outlet: None };
    assert!(desk.try_hear(chosen(&units)).is_err(), "3.00 are due");
    desk.hear(chosen(&free));
    let order = desk.state.current.expect("an order");
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
}

#[test]
fn a_test_of_an_empty_machine_does_not_say_that_it_sells_again() {
    let mut desk = Desk::new();
    for slot in ["A1", "A2", "B1"].map(super::desk::slot) {
        desk.operate(Operation::SetStock { slot, count: 0 });
    }
    desk.operate(Operation::TestVend { slot: super::desk::slot("A1") });
    let order = desk.state.current.expect("an order");
    desk.deliver(order, 0, 1, Evidence::Nothing { self_tested: true });
    assert!(desk.order(order).ended);
    let kinds = desk.records.iter().map(Record::kind).filter(|kind| kind.starts_with("sales-"));
    assert_eq!(kinds.collect::<Vec<_>>(), ["sales-stopped"]);
}

/// A pay station: stays are paid here and the barrier is elsewhere; or a lane with a gate of its own, which counts cars.
#[derive(Debug, Clone)]
struct Lane(Outlet, u32);

impl Shop for Lane {
    fn closed(&self) -> Option<StopReason> {
        None
    }

    fn refuses(&self, wanted: &[(Goods, u32)], only: Option<&Outlet>) -> Option<StopReason> {
        let fits = only.is_none_or(|only| *only == self.0)
            && wanted.iter().all(|(goods, count)| matches!(goods, Goods::Stay(_)) && *count == 1);
        (!fits).then_some(StopReason::Full)
    }

    fn outlet(&self, _: &Goods, tried: &[Outlet]) -> Option<Outlet> {
        Some(self.0.clone()).filter(|outlet| !tried.contains(outlet))
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::ShopNoted { key, value: Some(value) } if key == "passed" => {
                self.1 = value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
            }
            _ => self.1 += record.handed_over().map_or(0, |(_, count)| count),
        }
    }

    fn notes(&self, record: &Record, order: Option<&Order>) -> Vec<Note> {
        let passed = Note { key: "passed".into(), value: Some(self.1.into()) };
        let stay = order.is_some_and(|order| order.items.iter().any(|item| matches!(item.goods, Goods::Stay(_))));
        record.handed_over().filter(|_| stay).map(|_| passed).into_iter().collect()
    }

    fn outlets(&self) -> Vec<OutletStatus> {
        Vec::new()
    }

    fn boxed(&self) -> Box<dyn Shop> {
        Box::new(self.clone())
    }
}

fn lane(outlet: Outlet) -> Desk {
    let mut desk = Desk::new();
    desk.state = State { shop: Box::new(Lane(outlet, 0)), ..desk.state };
    desk
}

fn stay() -> Offered {
    let goods = Goods::Stay(StayId::parse("S1").unwrap());
    Offered { goods, label: Localized::default(), price: 800, tax: None }
}

#[test]
fn a_stay_is_paid_and_its_pass_is_delivered_when_it_is_written() {
    let mut desk = lane(Outlet::Pass);
    desk.hear(Event::Chosen { units: vec![stay()], grant: None, outlet: None });
    let order = desk.state.current.unwrap();
    assert!(matches!(desk.page(), Page::Order(OrderPage::Pay { .. })));
    let step = desk.pay(order, 800);
    let kinds: Vec<&str> = step.records.iter().map(Record::kind).collect();
    assert_eq!(kinds, ["order-paid", "item-delivered", "shop-noted"], "in one commit");
    assert_eq!(delivers(&step), []);
    assert!(matches!(step.records[1], Record::ItemDelivered { outlet: Outlet::Pass, .. }));
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
}

#[test]
fn a_gate_opens_for_a_grant_and_needs_no_drop_sensor() {
    let gate = Outlet::Gate(LaneId::parse("entry-1").unwrap());
    let mut desk = lane(gate.clone());
    desk.hear(Event::Chosen { units: vec![stay()], grant: Some(Grant::Ticket), outlet: None });
    let order = desk.state.current.unwrap();
    let delivery = DeliveryId { order, item: 0, attempt: 1 };
    let blind = Reading { counter: None, self_tested: false };
    let step = desk.hear(Event::Prepared { delivery, reading: blind });
    assert_eq!(step.effects, [Effect::Deliver { delivery, outlet: gate, before: None }]);
    desk.hear(Event::Evidence { delivery, evidence: Evidence::Dropped { count: 1 } });
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
}

#[test]
fn where_nothing_is_kept_nothing_is_left_and_nothing_can_be_filled_in() {
    let mut desk = lane(Outlet::Pass);
    assert_eq!(desk.state.shop.available(&product("cola")), 0);
    let why = Refusal::NothingIsKeptHere;
    let set = Operation::SetStock { slot: super::desk::slot("A1"), count: 1 };
    assert_eq!(desk.outcome(set), crate::operation::Outcome::Refused { why });
    assert_eq!(desk.outcome(Operation::Refill), crate::operation::Outcome::Unchanged);
}

#[test]
fn what_a_shop_has_noted_is_handed_to_it_again() {
    let mut desk = lane(Outlet::Pass);
    for _ in 0..2 {
        desk.hear(Event::Chosen { units: vec![stay()], grant: Some(Grant::Season), outlet: None });
        desk.wait(60);
    }
    let noted: Vec<Record> = desk.records.into_iter().filter(|record| record.kind() == "shop-noted").collect();
    let value = |n: u32| Record::ShopNoted { key: "passed".into(), value: Some(n.into()) };
    assert_eq!(noted, [value(1), value(2)]);
    let mut new = lane(Outlet::Pass);
    new.state.restore(Recovered { shop: noted[1..].to_vec(), ..Recovered::default() });
    new.hear(Event::Chosen { units: vec![stay()], grant: Some(Grant::Season), outlet: None });
    assert_eq!(new.records.iter().filter(|record| **record == value(3)).count(), 1);
}

#[test]
fn what_is_chosen_at_a_lane_comes_out_there_or_not_at_all() {
    let gate = |name: &str| Outlet::Gate(LaneId::parse(name).unwrap());
    let mut desk = lane(gate("exit-1"));
    let at = |outlet: Outlet, grant| Event::Chosen { units: vec![stay()], grant, outlet: Some(outlet) };
    assert!(
        desk.try_hear(at(gate("exit-2"), None)).is_err()
            && desk.try_hear(at(gate("exit-2"), Some(Grant::Ticket))).is_err()
    );
    desk.hear(at(gate("exit-1"), None));
    let order = desk.state.current.unwrap();
    let Some(Record::OrderOffered { outlet, .. }) = desk.records.last() else { panic!("{:?}", desk.records) };
    assert_eq!(*outlet, Some(gate("exit-1")), "also after a restart");
    // Another shop behind the counter, as after a change of the configuration: not at another gate.
    desk.state = State { shop: Box::new(Lane(gate("exit-2"), 0)), ..desk.state };
    let step = desk.pay(order, 800);
    assert!(
        !step
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Prepare { outlet, .. } if *outlet != gate("exit-1")))
    );
}
