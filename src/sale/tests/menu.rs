//! The service menu: who gets in, how often somebody may guess, and what is asked from there.

use super::desk::{Desk, answers, delivers, lock, outlet, policy, slot};
use crate::operation::{Actor, Operation, Outcome, Refusal};
use crate::sale::dialogue::{Came, LookupPage, MenuButton, MenuPage, Page, PinPage, PinState};
use crate::sale::record::Record;
use crate::sale::recover::Recovered;
use crate::sale::view::{OrderState, Outcome as Unit, StopReason};
use crate::sale::{Condition, Effect, Event, Illegal, Policy, State, Step};
use crate::vending::{Planogram, Slot};
use crate::vocabulary::{
    Cause, ChargeReport, ClaimSettlement, DeliveryId, Evidence, Mono, OrderId, Pin, RefundReport, Standing,
};

impl Desk {
    fn knock(&mut self) {
        for _ in 0..5 {
            self.touch("service");
        }
    }

    fn type_pin(&mut self, digits: &str) -> Step {
        for digit in digits.chars() {
            self.touch(&format!("key:{digit}"));
        }
        self.touch("key:ok")
    }

    /// The whole way in, with the right one or a wrong one.
    fn pin(&mut self, right: bool) -> Step {
        if self.name() != "service-pin" {
            self.knock();
        }
        let step = self.type_pin("2468");
        assert!(step.effects.contains(&Effect::CheckPin { pin: Pin::parse("2468").unwrap() }), "{step:?}");
        self.hear(Event::PinChecked { right })
    }

    fn enter(&mut self) {
        self.pin(true);
        assert_eq!(self.name(), "service");
    }

    fn name(&self) -> &'static str {
        self.page().name()
    }

    fn pin_state(&self) -> PinState {
        match self.page() {
            Page::Pin(PinPage::Pin { state, .. }) => state,
            other => panic!("{other:?}"),
        }
    }

    fn came(&self) -> Option<Came> {
        let said = match self.page() {
            Page::Menu(MenuPage::Menu { said, .. } | MenuPage::Slot { said, .. } | MenuPage::Claims { said, .. }) => {
                said
            }
            other => panic!("{other:?}"),
        };
        said.map(|said| said.came)
    }

    /// A refund that the provider can't make becomes a claim.
    fn claim(&mut self) -> OrderId {
        let order = self.offer(&["tea"]);
        self.pay(order, 450);
        self.deliver(order, 0, 1, Evidence::Nothing { self_tested: true });
        self.close_answered(order, 1, Ok(None));
        self.refund_answered(order, 1, Ok(RefundReport::Failed));
        self.wait(60);
        let payments = self.order(order).charges[0].payments.clone();
        let report = ChargeReport { standing: Standing::Closed, payments, returned: 0, attach: None };
        self.reported(order, Ok(report), true);
        assert!(self.state.orders[&order].claim_open() && self.name() == "attract");
        order
    }

    /// What the look-up shows of how the order's claim was settled.
    fn looked_up(&mut self, order: OrderId) -> Option<ClaimSettlement> {
        self.touch("lookup");
        let code = order.short_code();
        self.type_pin(code.as_str());
        self.hear(Event::Found { code: code.as_str().into(), order: Some(Box::new(self.order(order))) });
        match self.page() {
            Page::Lookup(LookupPage::Lookup { found: Some(found), .. }) => found.settled,
            other => panic!("{other:?}"),
        }
    }
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.records.iter().map(Record::kind).collect()
}

#[test]
fn five_touches_in_three_seconds_ask_for_the_pin_and_fewer_do_nothing() {
    let mut desk = Desk::new();
    for _ in 0..4 {
        desk.touch("service");
    }
    desk.wait(4);
    for _ in 0..4 {
        desk.touch("service");
    }
    assert_eq!(desk.name(), "attract", "eight, and never five within three seconds");
    desk.touch("service");
    assert_eq!(desk.name(), "service-pin");
    desk.wait(61);
    assert_eq!(desk.name(), "attract", "nobody is there");
}

#[test]
fn there_is_no_way_in_without_a_pin_or_from_a_page_that_somebody_uses() {
    let mut desk = Desk::with(Policy { service: false, ..policy() });
    assert!(matches!(desk.refused("service"), Illegal::NotOnPage { .. }));
    assert!(!desk.state.view(Mono(desk.now), |_| None).service);
    let mut desk = Desk::new();
    assert!(desk.state.view(Mono(desk.now), |_| None).service);
    desk.touch("start");
    assert!(matches!(desk.refused("service"), Illegal::NotOnPage { page: "choose", .. }));
    desk.touch("product:cola");
    desk.touch("pay");
    assert!(matches!(desk.refused("service"), Illegal::NotOnPage { page: "pay", .. }));
    desk.touch("cancel");
    assert!(matches!(desk.refused("service"), Illegal::NotOnPage { page: "cancelled", .. }));
    desk.touch("done");
    desk.door(true);
    desk.knock();
    assert_eq!(desk.name(), "service-pin", "a machine that does not sell has need of it");
    desk.touch("cancel");
    desk.hear(Event::Condition(Condition::LedgerFailed { why: "io".into() }));
    assert!(matches!(desk.refused("service"), Illegal::NotOnPage { .. }), "nothing could be written down");
}

#[test]
fn the_page_knows_how_many_digits_were_typed_and_nothing_else_does() {
    let mut desk = Desk::new();
    desk.knock();
    for key in ["8", "6", "4"] {
        desk.touch(&format!("key:{key}"));
    }
    assert!(desk.touch("key:ok").effects.iter().all(|effect| !matches!(effect, Effect::CheckPin { .. })), "too few");
    let said = format!("{:?} {:?}", desk.state.dialogue, desk.page());
    assert!(!said.contains("864"), "{said}");
    assert!(said.contains("typed: 3"), "{said}");
    desk.touch("key:clear");
    let step = desk.type_pin("864213579864213");
    let asked = Effect::CheckPin { pin: Pin::parse("864213579864").unwrap() };
    assert!(step.effects.contains(&asked), "twelve at most");
    assert!(!format!("{step:?}").contains("864"), "{step:?}");
    assert_eq!(desk.pin_state(), PinState::Checking);
    desk.touch("key:1");
    assert!(matches!(desk.page(), Page::Pin(PinPage::Pin { typed: 0, .. })), "no digit is taken meanwhile");
    desk.hear(Event::PinChecked { right: false });
    desk.touch("cancel");
    let late = desk.refused("key:7").to_string();
    assert_eq!(late, "`key:digit` is not on the page attract", "who types on when the page has gone is not told on");
}

#[test]
fn wrong_pins_are_on_record_and_wait_longer_and_longer() {
    let mut desk = Desk::new();
    for in_a_row in [1, 2] {
        let step = desk.pin(false);
        assert_eq!(step.records, [Record::ServicePinRefused { in_a_row }]);
        assert_eq!(desk.pin_state(), PinState::Wrong, "the first two cost nothing");
        desk.touch("key:2");
        assert_eq!(desk.pin_state(), PinState::Typing, "it is another try");
        desk.touch("key:clear");
    }
    for (in_a_row, seconds) in [(3, 5), (4, 10), (5, 20), (6, 40)] {
        assert_eq!(desk.pin(false).records, [Record::ServicePinRefused { in_a_row }]);
        assert_eq!(desk.pin_state(), PinState::Waiting { seconds });
        desk.touch("key:2");
        assert!(matches!(desk.page(), Page::Pin(PinPage::Pin { typed: 0, .. })), "no digits");
        desk.wait(seconds - 1);
        assert_eq!(desk.pin_state(), PinState::Waiting { seconds: 1 }, "it counts");
        desk.wait(1);
        assert_eq!(desk.pin_state(), PinState::Wrong, "it takes digits again");
    }
    let step = desk.pin(true);
    assert_eq!(step.records, [Record::ServiceOpened {}]);
    assert_eq!(desk.name(), "service");
    desk.touch("done");
    desk.pin(false);
    assert_eq!(desk.pin_state(), PinState::Wrong, "a right one ends the count");
}

#[test]
fn the_end_of_a_wait_is_the_end_of_it() {
    let mut desk = Desk::new();
    (0..3).for_each(|_| drop(desk.pin(false)));
    assert_eq!(desk.pin_state(), PinState::Waiting { seconds: 5 });
    // A touch at its end, before the machine has woken for anything else.
    desk.now += 4_999;
    desk.touch("key:2");
    assert!(matches!(desk.page(), Page::Pin(PinPage::Pin { typed: 0, .. })));
    desk.now += 1;
    desk.touch("key:2");
    assert!(matches!(desk.page(), Page::Pin(PinPage::Pin { typed: 1, state: PinState::Typing })));
    // While it waits its own seconds are counted; from now on those are told after which the page goes.
    let left = |desk: &Desk| desk.state.view(Mono(desk.now), |_| None).idle_left;
    desk.wait(45);
    assert_eq!((left(&desk), desk.name()), (Some(15), "service-pin"));
}

#[test]
fn going_away_or_pulling_the_plug_makes_no_wait_shorter() {
    let mut desk = Desk::new();
    (0..2).for_each(|_| drop(desk.pin(false)));
    desk.type_pin("1111");
    desk.touch("cancel");
    assert_eq!(
        kinds(&desk.hear(Event::PinChecked { right: false })),
        ["service-pin-refused"],
        "it counts all the same"
    );
    desk.knock();
    assert_eq!(desk.pin_state(), PinState::Waiting { seconds: 5 });
    desk.touch("cancel");
    desk.wait(6);
    desk.knock();
    desk.type_pin("1111");
    desk.touch("cancel");
    desk.knock();
    assert!(desk.hear(Event::PinChecked { right: true }).records.is_empty());
    assert_eq!(desk.name(), "service-pin", "who waits for nothing is not let in");
    assert!(desk.try_hear(Event::PinChecked { right: true }).is_err(), "nobody asked");
    desk.touch("cancel");
    (0..2).for_each(|_| {
        desk.pin(false);
        desk.wait(60);
    });
    desk.state = State::new(policy(), super::desk::planogram());
    desk.state.restore(Recovered { pins_refused: 5, ..Recovered::default() });
    desk.now = 0;
    desk.knock();
    assert_eq!(desk.pin_state(), PinState::Waiting { seconds: 20 }, "the whole wait anew");
    desk.wait(20);
    assert_eq!(desk.pin(false).records, [Record::ServicePinRefused { in_a_row: 6 }]);
}

/// By the machine itself, in simulated time: every digit is a touch, every wait is waited for.
#[test]
fn ten_thousand_guesses_take_months() {
    let mut desk = Desk::new();
    for guess in 0..10_000 {
        if desk.name() != "service-pin" {
            desk.knock();
        }
        if let PinState::Waiting { seconds } = desk.pin_state() {
            // One wake in place of one for each second that is counted.
            desk.now += seconds * 1_000;
            desk.hear(Event::Tick);
            if desk.name() != "service-pin" {
                desk.knock();
            }
        }
        desk.type_pin(&format!("{guess:04}"));
        let step = desk.hear(Event::PinChecked { right: false });
        assert!(matches!(step.records[..], [Record::ServicePinRefused { .. }]), "{guess}: {step:?}");
    }
    let days = desk.now as f64 / 86_400_000.0;
    println!("10,000 guesses take {days:.1} days without the time for typing");
    assert!(days > 100.0, "{days}");
}

#[test]
fn it_asks_as_everybody_does_and_says_what_came_of_it() {
    let mut desk = Desk::new();
    desk.enter();
    let step = desk.touch("menu:lock");
    assert_eq!(kinds(&step)[..3], ["operation-begun", "kiosk-locked", "operation-ended"]);
    assert!(matches!(&step.records[0], Record::OperationBegun { by: Actor::Menu, .. }));
    assert_eq!(answers(&step), [Outcome::Changed { order: None, report: None }]);
    assert_eq!(desk.came(), Some(Came::Done));
    assert_eq!(desk.state.stop_reasons(), [StopReason::Locked("service menu".into())]);
    assert!(matches!(desk.refused("menu:lock"), Illegal::NotOnPage { .. }), "it is locked");
    desk.touch("menu:unlock");
    assert_eq!(desk.state.stop_reasons(), []);
    desk.touch("menu:refill");
    assert_eq!((desk.came(), desk.slot("A1").count), (Some(Came::Done), 8));
    desk.touch("menu:refill");
    assert_eq!(desk.came(), Some(Came::Unchanged));

    desk.touch("menu:slots");
    desk.touch("slot:A1");
    assert!(matches!(desk.refused("menu:more"), Illegal::Refused(_)), "it is full");
    desk.touch("menu:less");
    assert_eq!((desk.came(), desk.slot("A1").count), (Some(Came::Done), 7));
    desk.touch("menu:full");
    assert_eq!(desk.slot("A1").count, 8);
    assert!(matches!(desk.refused("slot:Z9"), Illegal::NotOnPage { .. }));
    desk.touch("menu:back");
    desk.touch("menu:back");
    assert_eq!(desk.name(), "service");
    let operations = |desk: &Desk| desk.records.iter().filter(|r| r.kind() == "operation-begun").count();
    assert_eq!(operations(&desk), 6);
    desk.touch("done");
    assert_eq!(desk.name(), "attract");
    assert!(matches!(desk.refused("menu:lock"), Illegal::NotOnPage { .. }), "the menu is closed");
    assert_eq!(operations(&desk), 6);
}

#[test]
fn a_long_list_has_pages_and_the_way_back_leads_to_the_one_it_came_from() {
    let mut desk = Desk::new();
    let slots = (0..10).map(|nth| {
        let known = Slot { product: super::desk::product("cola"), stock: 1, capacity: 8, faulty: None };
        (slot(&format!("S{nth}")), known)
    });
    let products = desk.state.shop.catalogue().to_vec();
    desk.state.shop = Box::new(Planogram::new(products, slots.collect::<Vec<_>>()));
    let shown = |desk: &Desk| match desk.page() {
        Page::Menu(MenuPage::Slots { slots, page, pages }) => (slots[0].slot.to_string(), slots.len(), page, pages),
        other => panic!("{other:?}"),
    };
    desk.enter();
    desk.touch("menu:slots");
    assert_eq!(shown(&desk), ("S0".into(), 8, 0, 2));
    desk.refused("page:back");
    desk.touch("page:next");
    assert_eq!(shown(&desk), ("S8".into(), 2, 1, 2));
    desk.refused("page:next");
    desk.touch("slot:S8");
    desk.touch("menu:back");
    assert_eq!(shown(&desk), ("S8".into(), 2, 1, 2));
    desk.touch("page:back");
    assert_eq!(shown(&desk), ("S0".into(), 8, 0, 2));
    desk.refused("slot:Z9");
    let Page::Menu(MenuPage::Slots { slots, .. }) = desk.page() else { panic!() };
    assert_eq!((slots[0].product.as_str(), slots[0].count, slots[0].capacity), ("cola", 1, 8));
    desk.touch("page:next");
    desk.touch("ease:large");
    assert_eq!(shown(&desk), ("S4".into(), 4, 1, 3), "fewer in large type");
}

#[test]
fn claims_have_pages_like_slots() {
    let mut desk = Desk::new();
    let claims: Vec<OrderId> = (0..5)
        .map(|_| {
            let claim = desk.claim();
            desk.operate(Operation::Refill);
            claim
        })
        .collect();
    let shown = |desk: &Desk| match desk.page() {
        Page::Menu(MenuPage::Claims { claims, page, pages, .. }) => (claims[0].id, claims.len(), page, pages),
        other => panic!("{other:?}"),
    };
    desk.enter();
    desk.touch("menu:claims");
    assert_eq!(shown(&desk), (claims[0], 4, 0, 2));
    desk.refused("page:back");
    desk.touch("page:next");
    assert_eq!(shown(&desk), (claims[4], 1, 1, 2));
    desk.refused("page:next");
    desk.touch(&format!("claim:{}", claims[4]));
    desk.touch("menu:back");
    assert_eq!(shown(&desk), (claims[4], 1, 1, 2), "the way back leads to the page it came from");
    desk.touch("page:back");
    assert_eq!(shown(&desk), (claims[0], 4, 0, 2));
    // What is not in the list can't be touched.
    desk.refused(&format!("claim:{}", OrderId::from_parts(1, 1)));
    // The last one is settled by somebody else meanwhile.
    desk.touch("page:next");
    desk.operate(Operation::SettleClaim { order: claims[4], how: ClaimSettlement::Delivered });
    assert_eq!(shown(&desk), (claims[0], 4, 0, 1));
}

#[test]
fn a_slot_is_tried_though_it_is_faulty_and_the_machine_locked() {
    let mut desk = Desk::new();
    desk.operate(lock("repair"));
    desk.hear(Event::Condition(Condition::OutletFaulty { outlet: outlet("A2"), why: Cause::MotorNotHome }));
    desk.enter();
    let Page::Menu(MenuPage::Menu { reasons, faults: 1, claims: 0, .. }) = desk.page() else { panic!() };
    assert_eq!(reasons, [StopReason::Locked("repair".into())]);
    desk.touch("menu:slots");
    desk.touch("slot:A2");
    let step = desk.touch("menu:test");
    assert_eq!(kinds(&step)[..3], ["operation-begun", "order-granted", "operation-ended"]);
    let order = desk.state.current.unwrap();
    assert_eq!((desk.name(), desk.came()), ("service-slot", Some(Came::Tried(Unit::Pending))));
    assert!(matches!(desk.refused("menu:test"), Illegal::Refused(_)), "one at a time");
    let prepared = desk.prepared(DeliveryId { order, item: 0, attempt: 1 }, 7);
    assert_eq!(delivers(&prepared), [(DeliveryId { order, item: 0, attempt: 1 }, slot("A2"))]);
    desk.evidence(DeliveryId { order, item: 0, attempt: 1 }, Evidence::Nothing { self_tested: true });
    assert_eq!((desk.name(), desk.came()), ("service-slot", Some(Came::Tried(Unit::NotDelivered))));
    desk.touch("menu:test");
    let order = desk.state.current.unwrap();
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    // Any event: orders on which nothing is open are forgotten with the next one.
    desk.hear(Event::Tick);
    assert_eq!(desk.came(), Some(Came::Tried(Unit::Delivered)), "as long as it is told of, the order is known");
    desk.door(true);
    desk.touch("menu:test");
    let refused = Refusal::CannotDeliver { reason: StopReason::DoorOpen };
    assert_eq!(desk.came(), Some(Came::Refused(refused)), "said on the page");
    desk.touch("menu:back");
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
}

#[test]
fn a_motor_is_turned_in_maintenance_and_what_the_board_says_later_is_shown() {
    let mut desk = Desk::new();
    desk.enter();
    desk.touch("menu:slots");
    desk.touch("slot:A1");
    assert!(matches!(desk.refused("menu:pulse"), Illegal::Refused(_)), "in maintenance alone");
    desk.touch("menu:back");
    desk.touch("menu:back");
    desk.touch("menu:maintain");
    assert_eq!((desk.came(), desk.state.stop_reasons()), (Some(Came::Done), vec![StopReason::Maintenance]));
    desk.touch("menu:slots");
    desk.touch("slot:A1");
    let step = desk.touch("menu:pulse");
    let Some(Effect::Prepare { delivery, .. }) = step.effects.first().cloned() else { panic!("{step:?}") };
    assert_eq!(desk.came(), Some(Came::UnderWay));
    desk.prepared(delivery, 7);
    desk.evidence(delivery, Evidence::Nothing { self_tested: true });
    assert_eq!(desk.came(), Some(Came::Energised(Some(0))));
    desk.touch("menu:back");
    desk.touch("menu:back");
    desk.touch("menu:maintained");
    assert_eq!((desk.came(), desk.state.stop_reasons()), (Some(Came::Done), vec![]));
}

#[test]
fn it_closes_with_the_door_after_three_minutes_and_not_under_an_order_that_is_under_way() {
    let mut desk = Desk::new();
    desk.enter();
    desk.door(true);
    assert_eq!(desk.name(), "service", "the work begins");
    desk.door(false);
    assert_eq!(desk.name(), "attract", "the work is done");
    desk.enter();
    desk.door(false);
    assert_eq!(desk.name(), "service", "it was closed all the time");
    desk.wait(170);
    assert_eq!(desk.name(), "service");
    assert!(desk.state.view(Mono(desk.now), |_| None).idle_left.is_some());
    desk.wait(11);
    assert_eq!(desk.name(), "attract");
    desk.enter();
    desk.touch("menu:slots");
    desk.touch("slot:B1");
    desk.touch("menu:test");
    let order = desk.state.current.unwrap();
    desk.wait(181);
    assert_eq!(desk.name(), "delivering", "what was begun goes on");
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    assert_eq!(desk.name(), "thanks");
}

#[test]
fn nothing_is_sold_meanwhile_and_old_orders_settle() {
    let mut desk = Desk::new();
    let order = desk.claim();
    let late = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.touch("done");
    desk.enter();
    for touch in ["start", "product:cola", "pay", "lookup"] {
        assert!(matches!(desk.refused(touch), Illegal::NotOnPage { page: "service", .. }), "{touch}");
    }
    let units = vec![desk.state.product(&super::desk::product("cola")).unwrap().offered()];
    let chosen = Event::Chosen { units, grant: None, outlet: None };
    assert_eq!(desk.try_hear(chosen).unwrap_err(), Illegal::Refused("somebody is in the service menu"));
    let step = desk.pay(late, 300);
    assert!(kinds(&step).contains(&"payment-surplus") && kinds(&step).contains(&"refund-requested"), "{step:?}");
    assert_eq!(desk.name(), "service");
    assert!(desk.state.orders[&order].claim_open());
}

#[test]
fn a_claim_is_settled_after_it_was_asked_about_once_more() {
    for (verb, how) in [
        ("delivered", ClaimSettlement::Delivered),
        ("paid-outside", ClaimSettlement::PaidOutside),
        ("refund", ClaimSettlement::Refund),
    ] {
        let mut desk = Desk::new();
        let order = desk.claim();
        desk.enter();
        desk.touch("menu:claims");
        let Page::Menu(MenuPage::Claims { claims, .. }) = desk.page() else { panic!() };
        assert_eq!(claims.iter().map(|claim| (claim.id, claim.order.paid)).collect::<Vec<_>>(), [(order, 450)]);
        desk.touch(&format!("claim:{order}"));
        assert!(desk.touch(&format!("menu:{verb}")).records.is_empty(), "it asks once more");
        let Page::Menu(MenuPage::Sure { claim: Some(claim), .. }) = desk.page() else { panic!() };
        assert_eq!(claim.id, order, "whose money it is about");
        desk.touch("menu:back");
        assert_eq!(desk.name(), "service-claim");
        desk.touch(&format!("menu:{verb}"));
        let step = desk.touch("menu:yes");
        let settled = Record::ClaimSettled { order, how, by: Some(Actor::Menu) };
        assert_eq!(step.records[1], settled);
        assert_eq!((desk.name(), desk.came()), ("service-claims", Some(Came::Done)));
        assert_eq!(kinds(&step).contains(&"refund-requested"), how == ClaimSettlement::Refund, "{step:?}");
        // The look-up says how it ended.
        desk.touch("menu:back");
        desk.touch("done");
        if how == ClaimSettlement::Refund {
            desk.refund_answered(order, 2, Ok(RefundReport::Done));
        }
        let found = desk.looked_up(order);
        assert_eq!(found, Some(how));
    }
}

/// The provider may settle a claim while somebody looks at it.
#[test]
fn a_claim_that_is_not_open_any_more_is_not_settled() {
    let mut desk = Desk::new();
    let order = desk.claim();
    desk.enter();
    desk.touch("menu:claims");
    desk.touch(&format!("claim:{order}"));
    desk.touch("menu:paid-outside");
    desk.operate(Operation::SettleClaim { order, how: ClaimSettlement::Delivered });
    desk.touch("menu:yes");
    assert_eq!(desk.came(), Some(Came::Refused(Refusal::NoOpenClaim)));
}

/// Whoever adds a verb adds its words.
#[test]
fn everything_that_can_be_touched_has_words_in_every_language() {
    let mut desk = Desk::new();
    let order = desk.claim();
    let mut verbs: Vec<String> = ["slots", "claims", "back", "leave", "yes"].map(String::from).to_vec();
    let note = |buttons: Vec<MenuButton>| buttons.into_iter().map(|button| button.verb.to_string());
    desk.enter();
    for locked in [false, true] {
        let Page::Menu(MenuPage::Menu { buttons, .. }) = desk.page() else { panic!() };
        verbs.extend(note(buttons));
        if !locked {
            desk.touch("menu:lock");
            desk.touch("menu:maintain");
        }
    }
    desk.touch("menu:slots");
    desk.touch("slot:A1");
    let Page::Menu(MenuPage::Slot { buttons, .. }) = desk.page() else { panic!() };
    verbs.extend(note(buttons));
    desk.touch("menu:back");
    desk.touch("menu:back");
    desk.touch("menu:claims");
    desk.touch(&format!("claim:{order}"));
    let Page::Menu(MenuPage::Claim { buttons, .. }) = desk.page() else { panic!() };
    verbs.extend(note(buttons));
    for language in ["en", "zh-Hant", "zh-Hans"] {
        let file = format!("{}/assets/locales/{language}.ftl", env!("CARGO_MANIFEST_DIR"));
        let texts = std::fs::read_to_string(file).unwrap();
        for verb in &verbs {
            let key = format!("menu-{verb} = ");
            assert!(texts.lines().any(|line| line.starts_with(&key)), "{language}: {key}");
        }
    }
}

#[test]
fn a_key_asks_for_the_pin_where_the_hidden_place_would_and_closes_what_it_opened() {
    let key = |desk: &mut Desk, on| {
        desk.hear(Event::ServiceKey { on });
        desk.name()
    };
    let mut desk = Desk::new();
    assert_eq!(key(&mut desk, true), "service-pin");
    assert_eq!(key(&mut desk, false), "attract");
    key(&mut desk, true);
    desk.type_pin("2468");
    assert_eq!(key(&mut desk, false), "attract", "while it is checked");
    desk.hear(Event::PinChecked { right: true });
    assert_eq!(desk.name(), "attract", "who has taken the key away is not let in");
    key(&mut desk, true);
    desk.type_pin("2468");
    desk.hear(Event::PinChecked { right: true });
    desk.touch("menu:slots");
    assert_eq!(key(&mut desk, false), "attract");
    // It closes the menu, too, that was opened otherwise.
    desk.enter();
    assert_eq!(key(&mut desk, true), "service");
    assert_eq!(key(&mut desk, false), "attract");
    desk.door(true);
    assert_eq!(key(&mut desk, true), "service-pin", "a machine that does not sell has need of it");
    assert_eq!(key(&mut desk, false), "out-of-service");
    desk.door(false);

    // In mid-sale nothing comes of it, then and later.
    for (touch, page) in [("start", "choose"), ("product:cola", "basket"), ("pay", "pay"), ("cancel", "cancelled")] {
        desk.touch(touch);
        assert_eq!((key(&mut desk, true), key(&mut desk, false)), (page, page));
    }
    desk.touch("done");
    desk.touch("start");
    key(&mut desk, true);
    desk.touch("cancel");
    assert_eq!(desk.name(), "attract");

    let mut desk = Desk::with(Policy { service: false, ..policy() });
    assert_eq!(key(&mut desk, true), "attract", "there is no menu");
    let mut desk = Desk::new();
    desk.hear(Event::Condition(Condition::LedgerFailed { why: "io".into() }));
    assert_eq!(key(&mut desk, true), "out-of-service", "what the menu does is written down first");
}

#[test]
fn a_test_page_is_printed_and_the_board_restarted_after_it_was_asked_about_once_more() {
    let mut desk = Desk::new();
    desk.enter();
    let step = desk.touch("menu:print-test");
    assert!(step.effects.contains(&Effect::PrintTest), "{step:?}");
    assert_eq!(desk.came(), Some(Came::Done));

    assert!(desk.touch("menu:reboot").records.is_empty(), "it asks once more");
    assert!(matches!(desk.page(), Page::Menu(MenuPage::Sure { claim: None, .. })));
    desk.touch("menu:back");
    assert_eq!(desk.name(), "service");
    desk.touch("menu:reboot");
    let step = desk.touch("menu:yes");
    assert!(step.effects.contains(&Effect::AskReboot), "{step:?}");
    assert_eq!((desk.name(), desk.came()), ("service", Some(Came::UnderWay)));
    let why = || "polkit says no".to_owned();
    desk.hear(Event::RebootAnswered { result: Err(why()) });
    assert_eq!(desk.came(), Some(Came::Failed(Cause::NoReboot { detail: why() })), "said on the page");
    desk.touch("menu:reboot");
    desk.touch("menu:yes");
    let step = desk.hear(Event::RebootAnswered { result: Ok(()) });
    assert!(step.effects.contains(&Effect::Reboot), "{step:?}");
    assert_eq!(desk.came(), Some(Came::Done));
}

#[test]
fn where_nobody_restarts_the_board_there_is_no_button_for_it() {
    let mut desk = Desk::with(Policy { reboot: false, ..policy() });
    desk.enter();
    assert!(matches!(desk.refused("menu:reboot"), Illegal::NotOnPage { page: "service", .. }));
}
