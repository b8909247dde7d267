//! A machine with one sandbox rail for the tests: what is heard goes in, records and effects come out, all of them kept.

use std::time::Duration;

use crate::operation::{Actor, Operation, Outcome, Reason, Request, RequestId, Rights};
use crate::sale::dialogue::{OrderPage, Page};
use crate::sale::policy::RailPolicy;
use crate::sale::recover::Recovered;
use crate::sale::shop::{OutletStatus, Product};
use crate::sale::{Condition, Effect, Event, Illegal, Order, Policy, Record, State, Step, next};
use crate::vending::{Planogram, Slot};
use crate::vocabulary::{
    BootId, Cause, ChargeId, ChargeReport, Created, Currency, DeliveryId, Evidence, Language, Localized, Mono, OrderId,
    Outlet, PaidWithoutIntent, Payment, PaymentId, ProductId, RailError, RailName, Reading, RefundId, RefundReport,
    SlotId, Stamp, Standing, UnknownDelivery, Wall,
};

pub struct Desk {
    pub state: State,
    pub now: u64,
    pub wall: Option<u64>,
    pub records: Vec<Record>,
    steps: u64,
    payments: u32,
}

pub fn product(id: &str) -> ProductId {
    ProductId::parse(id).unwrap()
}

pub fn slot(name: &str) -> SlotId {
    SlotId::parse(name).unwrap()
}

pub fn outlet(name: &str) -> Outlet {
    Outlet::Slot(slot(name))
}

pub fn policy() -> Policy {
    let words = |text: &str| Localized([(Language::new("en"), text.to_owned())].into());
    Policy {
        fleet: true,
        trial: Duration::from_secs(60),
        categories: Vec::new(),
        kiosk: "K1".into(),
        attach: "main/K1".into(),
        place: words("Platform 2"),
        phone: "400".into(),
        currency: Currency::from_code("CNY").unwrap(),
        languages: vec![Language::new("en"), Language::new("zh-Hans")],
        qr_life: Duration::from_secs(90),
        more_time: Duration::from_secs(60),
        grace: Duration::from_secs(30),
        lease: Duration::from_secs(30),
        unknown_delivery: UnknownDelivery::Refund,
        paid_without_intent: PaidWithoutIntent::Refund,
        attempts: 2,
        max_units: 6,
        pickup_numbers: false,
        browse_timeout: Duration::from_secs(60),
        result_timeout: Duration::from_secs(15),
        confirm_above: None,
        confirm_after_unpaid: None,
        cool_down_after_unpaid: None,
        cool_down: Duration::from_secs(60),
        silent_claim_after: Duration::from_secs(6 * 3600),
        sensor: true,
        service: true,
        reboot: true,
        update_gate: Duration::from_secs(300),
        gate_answers: Duration::from_secs(120),
        rails: vec![rail("sandbox")],
        zone: jiff::tz::TimeZone::UTC,
    }
}

pub fn planogram() -> Planogram {
    let new = |id: &str, price| Product {
        id: product(id),
        name: Localized([(Language::new("en"), id.to_owned())].into()),
        price,
        tax: None,
        picture: None,
        category: None,
    };
    let holds =
        |name: &str, id: &str, stock| (slot(name), Slot { product: product(id), stock, capacity: 8, faulty: None });
    let slots = [holds("A1", "cola", 3), holds("A2", "cola", 2), holds("B1", "tea", 4)];
    Planogram::new(vec![new("cola", 300), new("tea", 450)], slots)
}

impl Desk {
    pub fn new() -> Self {
        Self::with(policy())
    }

    pub fn with(policy: Policy) -> Self {
        let state = State::new(policy, planogram());
        let mut desk = Self { state, now: 0, wall: Some(1_750_000_000_000), records: vec![], steps: 0, payments: 0 };
        desk.start();
        desk
    }

    fn start(&mut self) {
        self.hear(Event::Started { boot: BootId::parse("boot").unwrap(), version: "1".into() });
        self.hear(Event::Condition(Condition::Board { answers: true }));
        self.probed();
    }

    /// The power goes and comes: all that is left is what was written.
    pub fn restart(&mut self) -> Step {
        self.restart_with(planogram(), None)
    }

    /// Likewise with these goods in the machine's file then. `given_up`: why a configuration on trial is not used.
    pub fn restart_with(&mut self, goods: Planogram, given_up: Option<Cause>) -> Step {
        let mut ids: Vec<OrderId> = self.records.iter().filter_map(Record::order).collect();
        ids.dedup();
        ids.sort_unstable();
        ids.dedup();
        let fold = |id: &OrderId| Order::fold(self.records.iter().filter(|record| record.order() == Some(*id)));
        let orders: Vec<Order> = ids.iter().filter_map(fold).filter(|order| !order.ended).collect();
        let last_order = ids.last().copied();
        self.state = State::new(self.state.policy.clone(), goods);
        let codes = ids.iter().map(|id| id.short_code()).collect();
        let shop = self.records.clone();
        let ended = |record: &&Record| matches!(record, Record::ConfigKept { .. } | Record::ConfigRejected { .. });
        let tries = |record: &&Record| matches!(record, Record::ConfigTried { .. });
        let config_tried = self.records.iter().rev().take_while(|record| !ended(record)).find(tries).cloned();
        let open = |record: &Record| match record {
            Record::OperationBegun { id, .. } => Some(id.clone()),
            _ => None,
        };
        let mut operations: Vec<RequestId> = self.records.iter().filter_map(open).collect();
        operations.retain(|open| {
            let ends = |record: &Record| matches!(record, Record::OperationEnded { id, .. } if id == open);
            !self.records.iter().any(ends)
        });
        let updates = self.records.iter().filter(|record| Record::UPDATES.contains(&record.kind())).cloned().collect();
        let left = Recovered { orders, last_order, codes, shop, operations, updates, ..Recovered::default() };
        self.state.restore(Recovered { config_tried, ..left });
        self.state.configuration.given_up = given_up;
        self.now = 0;
        let step = self.hear(Event::Started { boot: BootId::parse("boot-2").unwrap(), version: "1".into() });
        self.hear(Event::Condition(Condition::Board { answers: true }));
        step
    }

    pub fn try_hear(&mut self, event: Event) -> Result<Step, Illegal> {
        self.steps += 1;
        let entropy = u128::from(self.steps) * 0x9e37_79b9_7f4a_7c15;
        let at = Stamp { now: Mono(self.now), wall: self.wall.map(Wall), entropy };
        let step = next(&mut self.state, &at, event)?;
        self.records.extend(step.records.iter().cloned());
        let wake = self.state.next_wake(Mono(self.now));
        assert!(wake.is_none_or(|wake| wake.0 > self.now), "a wake at {wake:?} never ends");
        Ok(step)
    }

    pub fn hear(&mut self, event: Event) -> Step {
        self.try_hear(event).unwrap()
    }

    pub fn touch(&mut self, name: &str) -> Step {
        self.hear(Event::Touch(name.parse().unwrap()))
    }

    pub fn refused(&mut self, name: &str) -> Illegal {
        self.try_hear(Event::Touch(name.parse().unwrap())).unwrap_err()
    }

    /// Time passes, with every tick that is wanted.
    pub fn wait(&mut self, seconds: u64) -> Vec<Effect> {
        let until = self.now + seconds * 1_000;
        let mut effects = Vec::new();
        while let Some(wake) = self.state.next_wake(Mono(self.now)).filter(|wake| wake.0 <= until) {
            self.now = wake.0;
            effects.extend(self.hear(Event::Tick).effects);
        }
        self.now = until;
        effects
    }

    pub fn door(&mut self, open: bool) -> Step {
        self.hear(Event::Condition(Condition::Door { open }))
    }

    /// A customer chooses and wants to pay; the provider has not answered yet.
    pub fn ordered(&mut self, products: &[&str]) -> OrderId {
        self.touch("start");
        for id in products {
            self.touch(&format!("product:{id}"));
        }
        self.touch("pay");
        self.state.current.unwrap()
    }

    /// Up to the QR on the glass.
    pub fn offer(&mut self, products: &[&str]) -> OrderId {
        self.ordered(products);
        self.shown()
    }

    /// The order just made gets its QR.
    pub fn shown(&mut self) -> OrderId {
        let id = self.state.current.unwrap();
        self.created(id, 1, Ok(Created { payload: format!("pay:{id}") }));
        id
    }

    pub fn created(&mut self, order: OrderId, nth: usize, result: Result<Created, RailError>) -> Step {
        self.hear(Event::Created { charge: ChargeId::of(order, nth), result })
    }

    pub fn payment(&mut self, order: OrderId, amount: i64) -> Payment {
        self.payments += 1;
        let id = PaymentId::parse(&format!("pay{}", self.payments)).unwrap();
        Payment { id, amount, currency: Currency::from_code("CNY").unwrap(), order }
    }

    pub fn report(&mut self, order: OrderId, payments: &[Payment], returned: i64) -> Step {
        let standing = if payments.is_empty() { Standing::Open } else { Standing::Closed };
        self.reported(order, Ok(ChargeReport { standing, payments: payments.into(), returned, attach: None }), false)
    }

    pub fn reported(&mut self, order: OrderId, result: Result<ChargeReport, RailError>, asked: bool) -> Step {
        self.hear(Event::Reported { charge: ChargeId::of(order, 1), result, asked })
    }

    pub fn pay(&mut self, order: OrderId, amount: i64) -> Step {
        let payment = self.payment(order, amount);
        self.report(order, &[payment], 0)
    }

    pub fn prepared(&mut self, delivery: DeliveryId, counter: u32) -> Step {
        self.hear(Event::Prepared { delivery, reading: Reading { counter: Some(counter), self_tested: true } })
    }

    pub fn evidence(&mut self, delivery: DeliveryId, evidence: Evidence) -> Step {
        self.hear(Event::Evidence { delivery, evidence })
    }

    pub fn close_answered(
        &mut self,
        order: OrderId,
        nth: usize,
        result: Result<Option<ChargeReport>, RailError>,
    ) -> Step {
        self.hear(Event::CloseAnswered { charge: ChargeId::of(order, nth), result })
    }

    /// One unit through the board.
    pub fn deliver(&mut self, order: OrderId, item: u32, attempt: u32, evidence: Evidence) -> Step {
        let delivery = DeliveryId { order, item, attempt };
        self.prepared(delivery, 7);
        self.evidence(delivery, evidence)
    }

    pub fn refund_answered(&mut self, order: OrderId, nth: usize, result: Result<RefundReport, RailError>) -> Step {
        let charge = ChargeId::of(order, 1);
        let refund = RefundId::of(&charge, nth);
        self.hear(Event::RefundAnswered { refund, charge, result })
    }

    /// A question about its first refund is out.
    pub fn refund_asked(&self, order: OrderId) -> bool {
        let refunds = self.state.orders.get(&order).map(|order| &order.charges[0].refunds);
        refunds.is_some_and(|refunds| refunds[0].pending() && refunds[0].watch.asked)
    }

    /// The provider is there.
    pub fn probed(&mut self) -> Step {
        self.hear(Event::Probed { rail: wallet(), result: Ok(()) })
    }

    /// Somebody with every right asks for something, under a number of its own.
    pub fn operate(&mut self, asked: Operation) -> Step {
        let id = RequestId::parse(&format!("request-{}", self.steps)).unwrap();
        let request = Request { id, by: Actor::Menu, rights: Rights::ALL, live: true, expired: false, asked };
        self.hear(Event::Asked { request, known: None })
    }

    /// What comes of it.
    pub fn outcome(&mut self, asked: Operation) -> Outcome {
        answers(&self.operate(asked)).remove(0)
    }

    pub fn slot(&self, name: &str) -> OutletStatus {
        self.state.outlet(&outlet(name)).unwrap()
    }

    pub fn order(&self, id: OrderId) -> Order {
        Order::fold(self.records.iter().filter(|record| record.order() == Some(id))).unwrap()
    }

    pub fn page(&self) -> Page {
        self.state.view(Mono(self.now), |_| None).page
    }

    pub fn qr(&self) -> Option<String> {
        match self.page() {
            Page::Order(OrderPage::Pay { qr, .. }) => qr,
            _ => None,
        }
    }
}

/// The refunds a step asks for: number and amount.
pub fn refunds(step: &Step) -> Vec<(String, i64)> {
    let refund = |effect: &Effect| match effect {
        Effect::Refund { refund, .. } => Some((refund.refund.to_string(), refund.amount)),
        _ => None,
    };
    step.effects.iter().filter_map(refund).collect()
}

/// What those are told who have asked for something.
pub fn answers(step: &Step) -> Vec<Outcome> {
    let answer = |effect: &Effect| match effect {
        Effect::Answer { outcome, .. } => Some(outcome.clone()),
        _ => None,
    };
    step.effects.iter().filter_map(answer).collect()
}

pub fn lock(reason: &str) -> Operation {
    Operation::Lock { reason: Reason::parse(reason).unwrap() }
}

pub fn delivers(step: &Step) -> Vec<(DeliveryId, SlotId)> {
    let deliver = |effect: &Effect| match effect {
        Effect::Deliver { delivery, outlet: Outlet::Slot(slot), .. } => Some((*delivery, slot.clone())),
        _ => None,
    };
    step.effects.iter().filter_map(deliver).collect()
}

pub fn rail(name: &str) -> RailPolicy {
    RailPolicy {
        name: RailName::parse(name).unwrap(),
        label: Localized([(Language::new("en"), name.to_owned())].into()),
        poll: Duration::from_secs(3),
        fees: Default::default(),
    }
}

pub fn wallet() -> RailName {
    RailName::parse("sandbox").unwrap()
}
