//! A kiosk at a gate that can't decide says so to its lane, and one that has decided does not.

use super::desk::{Desk, lock, policy, wallet};
use crate::sale::dialogue::{Page, StayPage};
use crate::sale::presented::{
    Advice, Answer, Counter, LET_THROUGH_NOTE, Presented, Quote, TicketCounter, TicketDeed, Unable,
};
use crate::sale::record::{Closed, Offered};
use crate::sale::shop::OutletStatus;
use crate::sale::{Condition, Effect, Event, Illegal, Record, Shop, State, Step};
use crate::vocabulary::{Goods, LaneId, Localized, Outlet, RailError, StayId, StopReason, Wall};

const TICKET: &str = "03-0004567-9";

/// A kiosk of a car park that always answers the same.
#[derive(Debug, Clone)]
struct Park {
    does: TicketDeed,
    answer: Answer,
}

impl Shop for Park {
    fn closed(&self) -> Option<StopReason> {
        None
    }

    fn refuses(&self, _: &[(Goods, u32)], _: Option<&Outlet>) -> Option<StopReason> {
        None
    }

    fn outlet(&self, _: &Goods, _: &[Outlet]) -> Option<Outlet> {
        None
    }

    fn apply(&mut self, _: &Record) {}

    fn counter(&self) -> Counter {
        Counter::Tickets(TicketCounter { does: self.does, free: None, full: false, typed: false, lost: false })
    }

    fn presented(&self, _: &Presented, _: Option<&Quote>) -> Answer {
        self.answer.clone()
    }

    fn outlets(&self) -> Vec<OutletStatus> {
        vec![OutletStatus { outlet: gate(), goods: None, count: 0, capacity: 0, fault: None }]
    }

    fn boxed(&self) -> Box<dyn Shop> {
        Box::new(self.clone())
    }
}

fn gate() -> Outlet {
    Outlet::Gate(LaneId::parse("exit-1").unwrap())
}

/// A car stands before the gate of a kiosk that does this.
fn kiosk(does: TicketDeed, answer: Answer) -> Desk {
    let mut desk = Desk::with(policy());
    desk.state = State { shop: Box::new(Park { does, answer }), ..desk.state };
    desk.hear(Event::Condition(Condition::CarWaits { there: true }));
    desk
}

fn bill(price: i64) -> Answer {
    let unit =
        Offered { goods: Goods::Stay(StayId::parse(TICKET).unwrap()), label: Localized::default(), price, tax: None };
    Answer::Quote(Box::new(Quote {
        unit,
        outlet: Some(gate()),
        number: Some(TICKET.into()),
        plate: None,
        class: None,
        entry: None,
        doubt: 0,
        asked: Wall(1_750_000_000_000),
        bill: Vec::new(),
        paid: 0,
        until: None,
        lost: false,
        memo: serde_json::json!({}),
    }))
}

fn show(desk: &mut Desk) -> Step {
    desk.hear(Event::Presented(Presented::Code("1".into())))
}

fn unable(step: &Step) -> Vec<Unable> {
    let why = |effect: &Effect| match effect {
        Effect::CantDecide { why } => Some(*why),
        _ => None,
    };
    step.effects.iter().filter_map(why).collect()
}

fn advice(desk: &Desk) -> Option<&'static str> {
    match desk.page() {
        Page::Stay(StayPage::Ticket { advice, .. } | StayPage::Stay { advice, .. }) => advice.map(|advice| advice.text),
        other => panic!("{other:?}"),
    }
}

/// What is noted of the stay whose car was let through.
fn noted(step: &Step) -> Vec<serde_json::Value> {
    let note = |record: &Record| match record {
        Record::ShopNoted { key, value } if key == LET_THROUGH_NOTE => value.clone(),
        _ => None,
    };
    step.records.iter().filter_map(note).collect()
}

#[test]
fn an_advice_that_means_we_can_not_reaches_the_lane_and_one_that_means_you_may_not_does_not() {
    let can_not = Advice { ticket: Some(TICKET.into()), ..Advice::new("stay-no-price").unable(Unable::Price) };
    let mut desk = kiosk(TicketDeed::Leave, Answer::Refused(can_not.clone()));
    assert_eq!(unable(&show(&mut desk)), [Unable::Price]);
    assert_eq!(advice(&desk), Some("stay-no-price"), "until the lane lets the car pass");
    let step = desk.hear(Event::LetThrough { number: 7 });
    assert_eq!(noted(&step), [serde_json::json!({ "number": 7, "ticket": TICKET })]);
    assert_eq!(advice(&desk), Some("stay-let-through"));
    desk.wait(60);
    assert_eq!(advice(&desk), None, "it goes by itself");

    desk.hear(Event::Condition(Condition::CarWaits { there: false }));
    assert_eq!(unable(&show(&mut desk)), [], "nobody waits before the gate");
    for may_not in [Advice::new("stay-pay-first"), Advice::new("stay-left").call()] {
        let mut desk = kiosk(TicketDeed::Leave, Answer::Refused(may_not));
        assert_eq!(unable(&show(&mut desk)), []);
    }
}

#[test]
fn a_bill_that_nobody_takes_money_for_is_no_refusal_to_pay() {
    let mut desk = kiosk(TicketDeed::Leave, bill(800));
    assert_eq!(unable(&show(&mut desk)), [], "its provider is there");
    assert_eq!(advice(&desk), None);

    let down = || Event::Probed { rail: wallet(), result: Err(RailError::Unknown("no route".into())) };
    let mut desk = kiosk(TicketDeed::Leave, bill(800));
    desk.hear(down());
    assert_eq!(unable(&show(&mut desk)), [Unable::Payment]);
    assert_eq!(advice(&desk), Some("stay-not-now"), "beside the bill");
    let step = desk.hear(Event::LetThrough { number: 1 });
    assert_eq!(noted(&step), [serde_json::json!({ "number": 1, "ticket": TICKET, "due": 800 })]);
    // What was known is of that car, and of no other.
    let step = desk.hear(Event::LetThrough { number: 2 });
    assert_eq!(noted(&step), [serde_json::json!({ "number": 2 })]);

    // It goes away while the bill stands there.
    let mut desk = kiosk(TicketDeed::Leave, bill(800));
    show(&mut desk);
    desk.hear(down());
    assert_eq!(unable(&desk.touch("pay")), [Unable::Payment]);

    // A pay station has no gate, and its customers have time.
    let mut desk = kiosk(TicketDeed::Pay, bill(800));
    desk.hear(down());
    assert!(desk.try_hear(Event::Presented(Presented::Code("1".into()))).is_err());
}

#[test]
fn a_charge_that_no_provider_makes_reaches_the_lane_and_one_that_the_customer_gives_up_does_not() {
    let mut desk = kiosk(TicketDeed::Leave, bill(800));
    show(&mut desk);
    desk.touch("pay");
    let order = desk.state.current.unwrap();
    let step = desk.created(order, 1, Err(RailError::Unknown("no answer".into())));
    let closed = |record: &Record| matches!(record, Record::OrderClosed { why: Closed::NoCharge(_), .. });
    assert!(step.records.iter().any(closed), "{step:?}");
    assert_eq!(unable(&step), [Unable::Payment]);
    let step = desk.hear(Event::LetThrough { number: 3 });
    assert_eq!(noted(&step), [serde_json::json!({ "number": 3, "ticket": TICKET, "due": 800 })]);
    assert_eq!(advice(&desk), Some("stay-let-through"));

    let mut desk = kiosk(TicketDeed::Leave, bill(800));
    show(&mut desk);
    desk.touch("pay");
    desk.shown();
    assert_eq!(unable(&desk.touch("cancel")), []);
}

#[test]
fn a_kiosk_that_is_out_of_order_can_not_decide_and_one_that_a_person_has_closed_has_decided() {
    let full = || Event::Condition(Condition::Disk { full: true });
    let mut desk = kiosk(TicketDeed::Leave, bill(800));
    desk.hear(full());
    assert_eq!(unable(&show(&mut desk)), [Unable::Ticket]);
    assert!(matches!(desk.page(), Page::OutOfService { .. }), "{:?}", desk.page());
    desk.hear(Event::LetThrough { number: 1 });
    assert_eq!(advice(&desk), Some("stay-let-through"), "who is let through is told so all the same");
    desk.operate(lock("cleaning"));
    let closed = desk.try_hear(Event::Presented(Presented::Code("1".into())));
    assert!(matches!(closed, Err(Illegal::NotSelling(_))), "{closed:?}");

    let ticket = Answer::Refused(Advice::new("stay-no-ticket").unable(Unable::Ticket));
    let mut desk = kiosk(TicketDeed::GiveOut, ticket);
    let dark = Some("its cable is out".to_owned());
    desk.hear(Event::Condition(Condition::Glass { dark }));
    assert_eq!(unable(&desk.hear(Event::Presented(Presented::NoTicketYet))), [Unable::Ticket]);
    let shown = desk.try_hear(Event::Presented(Presented::Code("1".into())));
    assert!(shown.is_err(), "what is shown at an entry lets nobody in");
}
