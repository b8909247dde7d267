//! What a person wishes of a gate: on disk before the lane hears of it, told to it once, and ended by its word or by none.

use super::desk::{Desk, answers, policy};
use crate::operation::{
    Actor, Known, Operation, Outcome, Reason, Refusal, Request, RequestId, Right, Rights, TicketText,
};
use crate::sale::dialogue::{Came, MenuPage, Page};
use crate::sale::record::Offered;
use crate::sale::shop::OutletStatus;
use crate::sale::view::StopReason;
use crate::sale::{Condition, Effect, Event, GateAsk, Policy, Record, Shop, State, Step};
use crate::vocabulary::{BootId, Cause, Goods, LaneId, Localized, Outlet, Stamp, StayId};

/// A lane with its gate, whose tickets can be declared void.
#[derive(Debug, Clone, Default)]
struct Lane(Vec<String>);

const NOTED: &str = "void";

impl Shop for Lane {
    fn closed(&self) -> Option<StopReason> {
        None
    }

    fn refuses(&self, _: &[(Goods, u32)], _: Option<&Outlet>) -> Option<StopReason> {
        None
    }

    fn outlet(&self, _: &Goods, _: &[Outlet]) -> Option<Outlet> {
        None
    }

    fn apply(&mut self, record: &Record) {
        if let Record::ShopNoted { key, value: Some(value) } = record
            && key == NOTED
        {
            self.0.extend(value.as_str().map(str::to_owned));
        }
    }

    fn outlets(&self) -> Vec<OutletStatus> {
        vec![OutletStatus { outlet: exit(), goods: None, count: 0, capacity: 0, fault: None }]
    }

    fn void(&self, ticket: &str, _: &Stamp) -> Result<Vec<Record>, Refusal> {
        let noted = Record::ShopNoted { key: NOTED.into(), value: Some(ticket.into()) };
        Ok(Some(noted).filter(|_| !self.0.iter().any(|known| known == ticket)).into_iter().collect())
    }

    fn counted(&self, cars: u32, _: &Stamp) -> Result<Vec<Record>, Refusal> {
        Ok(vec![Record::ShopNoted { key: "counted".into(), value: Some(cars.into()) }])
    }

    fn boxed(&self) -> Box<dyn Shop> {
        Box::new(self.clone())
    }
}

fn exit() -> Outlet {
    Outlet::Gate(LaneId::parse("exit-1").unwrap())
}

fn lane() -> Desk {
    let mut desk = Desk::new();
    desk.state = State { shop: Box::new(Lane::default()), ..desk.state };
    desk
}

fn reason() -> Reason {
    Reason::parse("paid at the office").unwrap()
}

fn void() -> Operation {
    Operation::VoidTicket { ticket: TicketText::parse("03-0004567-9").unwrap(), reason: reason() }
}

fn count() -> Operation {
    Operation::CarsInside { cars: 120, reason: reason() }
}

fn wishes() -> [(Operation, GateAsk); 3] {
    [
        (Operation::Raise { reason: reason() }, GateAsk::Raise),
        (Operation::KeepOpen { reason: reason() }, GateAsk::KeepOpen),
        (Operation::Release { reason: reason() }, GateAsk::Release),
    ]
}

fn id(text: &str) -> RequestId {
    RequestId::parse(text).unwrap()
}

fn technician(number: &str, asked: Operation) -> Request {
    let by = Actor::Technician { uid: 1000 };
    Request { id: id(number), by, rights: Rights::ALL, live: true, expired: false, asked }
}

fn ask(desk: &mut Desk, number: &str, asked: Operation) -> Step {
    desk.hear(Event::Asked { request: technician(number, asked), known: None })
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.records.iter().map(Record::kind).collect()
}

fn done() -> Outcome {
    Outcome::Changed { order: None, report: None }
}

fn failed(detail: &str) -> Outcome {
    Outcome::Failed { why: Cause::Gate { detail: detail.into() } }
}

fn answered(number: &str, result: Result<(), &str>) -> Event {
    Event::GateAnswered { id: id(number), result: result.map_err(str::to_owned) }
}

#[test]
fn a_wish_is_on_disk_before_the_lane_hears_of_it_and_ends_by_its_word() {
    for (asked, wanted) in wishes() {
        let mut desk = lane();
        let by = Actor::Technician { uid: 1000 };
        let step = ask(&mut desk, "r1", asked.clone());
        let begun = Record::OperationBegun { id: id("r1"), by: by.clone(), asked: asked.clone() };
        assert_eq!(step.records, [begun], "with the reason");
        assert_eq!(step.effects, [Effect::Gate { id: id("r1"), by: by.clone(), reason: reason(), ask: wanted }]);

        // Under way: nobody is answered, and the lane hears nothing a second time.
        let known = Known { asked: asked.clone(), by, outcome: None };
        let step = desk.hear(Event::Asked { request: technician("r1", asked.clone()), known: Some(known) });
        assert_eq!(step, Step::default());

        let step = desk.hear(answered("r1", Ok(())));
        assert_eq!(step.records, [Record::OperationEnded { id: id("r1"), outcome: done() }]);
        assert_eq!(step.effects, [Effect::Answer { id: id("r1"), outcome: done() }]);
        assert!(desk.try_hear(answered("r1", Ok(()))).is_err(), "once");

        ask(&mut desk, "r2", asked);
        let step = desk.hear(answered("r2", Err("the gate does not move")));
        assert_eq!(answers(&step), [failed("the gate does not move")]);
    }
}

#[test]
fn a_lane_that_does_not_answer_has_failed_and_what_it_says_later_counts_no_more() {
    let mut desk = lane();
    // The rail is asked whether it is there, too.
    let told = |desk: &mut Desk, seconds| {
        let answer = |effect: &Effect| matches!(effect, Effect::Answer { .. });
        desk.wait(seconds).into_iter().filter(answer).collect::<Vec<_>>()
    };
    ask(&mut desk, "r1", wishes()[0].0.clone());
    told(&mut desk, 60);
    ask(&mut desk, "r2", wishes()[1].0.clone());
    assert_eq!(told(&mut desk, 59), [], "the bound is two minutes here");
    let late = |number: &str| Effect::Answer { id: id(number), outcome: failed("the lane did not answer") };
    assert_eq!(told(&mut desk, 1), [late("r1")]);
    assert_eq!(told(&mut desk, 59), []);
    assert_eq!(told(&mut desk, 1), [late("r2")], "each has its own time");
    assert!(desk.try_hear(answered("r1", Ok(()))).is_err());
    assert_eq!(told(&mut desk, 300), []);
    let ended = desk.records.iter().filter(|record| record.kind() == "operation-ended").count();
    assert_eq!((ended, desk.state.wishes.len()), (2, 0));
}

#[test]
fn who_stands_before_a_gate_is_helped_in_mid_sale_and_when_nothing_is_sold() {
    let mut desk = lane();
    let goods = Goods::Stay(StayId::parse("S1").unwrap());
    let unit = Offered { goods, label: Localized::default(), price: 800, tax: None };
    desk.hear(Event::Chosen { units: vec![unit], grant: None, outlet: Some(exit()) });
    assert!(desk.state.busy());
    ask(&mut desk, "r", wishes()[0].0.clone());
    assert!(desk.state.busy(), "the sale goes on");
    desk.touch("cancel");
    desk.door(true);
    desk.hear(Event::Condition(Condition::Board { answers: false }));
    desk.operate(super::desk::lock("cleaning"));
    for (nth, (asked, _)) in wishes().into_iter().enumerate() {
        let step = ask(&mut desk, &format!("r{nth}"), asked);
        let told = step.effects.iter().filter(|effect| matches!(effect, Effect::Gate { .. })).count();
        assert_eq!((told, answers(&step).len()), (1, 0), "{step:?}");
    }
}

#[test]
fn a_wish_of_another_moment_or_without_the_right_is_refused_and_no_lane_hears_of_it() {
    let refused = |request: Request, why: Refusal| {
        let mut desk = lane();
        let step = desk.hear(Event::Asked { request, known: None });
        assert_eq!(kinds(&step), ["operation-begun", "operation-ended"]);
        assert_eq!(answers(&step), [Outcome::Refused { why }]);
        assert_eq!(step.effects.len(), 1, "{step:?}");
    };
    for (asked, _) in wishes() {
        let request = technician("r1", asked);
        refused(Request { live: false, ..request.clone() }, Refusal::NotLive);
        let right = request.asked.needs()[0];
        refused(Request { rights: Rights::default(), ..request }, Refusal::NoRight { right });
    }
    let rights = Rights { money: false, ..Rights::ALL };
    refused(Request { rights, ..technician("r1", void()) }, Refusal::NoRight { right: Right::Money });
}

#[test]
fn a_kiosk_without_a_gate_says_so_and_one_that_is_no_car_park_has_no_tickets() {
    let mut desk = Desk::new();
    for (asked, _) in wishes() {
        let step = desk.operate(asked);
        assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NoGate }]);
        assert_eq!((step.effects.len(), kinds(&step)), (1, vec!["operation-begun", "operation-ended"]));
    }
    for asked in [void(), count()] {
        assert_eq!(desk.outcome(asked), Outcome::Refused { why: Refusal::NotACarPark });
    }
}

#[test]
fn a_ticket_is_declared_void_and_cars_are_counted_in_one_commit_and_by_no_lane() {
    let mut desk = lane();
    let queued = Request { live: false, ..technician("v1", void()) };
    let step = desk.hear(Event::Asked { request: queued, known: None });
    assert_eq!(kinds(&step), ["operation-begun", "shop-noted", "operation-ended"]);
    assert_eq!(step.effects, [Effect::Answer { id: id("v1"), outcome: done() }]);
    assert_eq!(desk.outcome(void()), Outcome::Unchanged, "it counted no more");
    let step = ask(&mut desk, "c1", count());
    assert_eq!(kinds(&step), ["operation-begun", "shop-noted", "operation-ended"]);
    assert_eq!(step.effects, [Effect::Answer { id: id("c1"), outcome: done() }]);
    let late = Request { live: false, ..technician("c2", count()) };
    let step = desk.hear(Event::Asked { request: late, known: None });
    assert_eq!(answers(&step), [Outcome::Refused { why: Refusal::NotLive }]);
}

#[test]
fn a_wish_of_an_earlier_run_has_failed_and_nothing_is_raised_for_it() {
    let mut desk = lane();
    let step = ask(&mut desk, "r1", wishes()[0].0.clone());
    let mut new = lane();
    new.state.open_operations = vec![id("r1")];
    assert_eq!(kinds(&step), ["operation-begun"]);
    let step = new.hear(Event::Started { boot: BootId::parse("boot-2").unwrap(), version: "1".into() });
    let outcome = Outcome::Failed { why: Cause::Restarted };
    assert!(step.records.contains(&Record::OperationEnded { id: id("r1"), outcome }), "{step:?}");
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Gate { .. })), "{step:?}");
    assert!(new.try_hear(answered("r1", Ok(()))).is_err());
}

#[test]
fn the_service_menu_asks_a_gate_where_there_is_one() {
    let verbs = |desk: &Desk| match desk.page() {
        Page::Menu(MenuPage::Menu { buttons, .. }) => {
            let gate = buttons.iter().map(|button| button.verb.to_string());
            gate.filter(|verb| ["raise", "keep-open", "release"].contains(&verb.as_str())).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let enter = |desk: &mut Desk| {
        (0..5).for_each(|_| drop(desk.touch("service")));
        "2468".chars().for_each(|digit| drop(desk.touch(&format!("key:{digit}"))));
        desk.touch("key:ok");
        desk.hear(Event::PinChecked { right: true });
    };
    let mut vending = Desk::with(Policy { reboot: false, ..policy() });
    enter(&mut vending);
    assert!(verbs(&vending).is_empty());

    let mut desk = lane();
    enter(&mut desk);
    assert_eq!(verbs(&desk), ["raise", "keep-open", "release"]);
    for (verb, wanted) in [("raise", GateAsk::Raise), ("keep-open", GateAsk::KeepOpen), ("release", GateAsk::Release)] {
        let step = desk.touch(&format!("menu:{verb}"));
        let [Effect::Gate { id, by: Actor::Menu, reason, ask }] = &step.effects[..] else { panic!("{step:?}") };
        assert_eq!((reason.as_str(), *ask), ("service menu", wanted));
        let came = |desk: &Desk| match desk.page() {
            Page::Menu(MenuPage::Menu { said, .. }) => said.map(|said| said.came),
            other => panic!("{other:?}"),
        };
        assert_eq!(came(&desk), Some(Came::UnderWay));
        desk.hear(Event::GateAnswered { id: id.clone(), result: Ok(()) });
        assert_eq!(came(&desk), Some(Came::Done));
    }
}
