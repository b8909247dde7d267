//! A shop in small: the core, a ledger in a directory, and a kind world that answers every effect at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kioskd::ledger::{DirectoryLock, FILE, Journal, Ledger, LedgerError};
use kioskd::operation::{Actor, KeyName, Operation, Reason, Request, RequestId, Rights};
use kioskd::sale::event::{Effect, Event, Illegal};
use kioskd::sale::order::Watch;
use kioskd::sale::policy::{Policy, RailPolicy};
use kioskd::sale::record::Offered;
use kioskd::sale::recover::Recovered;
use kioskd::sale::shop::Product;
use kioskd::sale::{self, Condition, Order, Record, State, Touch};
use kioskd::vending::{Planogram, Slot};
use kioskd::vocabulary::{
    BootId, Cause, ChargeId, ChargeReport, Created, Currency, Evidence, Language, Localized, Minor, Mono, OrderId,
    Outlet, PaidWithoutIntent, Payment, PaymentId, ProductId, RailError, RailName, Reading, RefundReport, SlotId,
    Stamp, Standing, UnknownDelivery, Wall,
};

/// 2026-11-18, about noon UTC.
pub const BASE: u64 = 1_795_000_000_000;

/// Records of a ledger's beginning: which it is.
pub const BEGUN: u64 = 1;

pub struct Shop {
    pub directory: PathBuf,
    pub ledger: Ledger,
    pub state: State,
    pub now: u64,
    /// The clock is known.
    pub wall: bool,
    /// What the sensor says next; one thing fell where nothing is said.
    pub drops: VecDeque<Evidence>,
    /// What lay on the disk after every step, where it is kept.
    pub trail: Option<Vec<Kept>>,
    /// What comes of the next refunds; confirmed where nothing is said.
    pub refunds: VecDeque<Result<RefundReport, RailError>>,
    /// What the provider has given back by itself.
    pub returned: BTreeMap<ChargeId, Minor>,
    /// Reports that were to be printed, and whether as a copy.
    pub printed: Vec<(u32, bool)>,
    paid: BTreeMap<ChargeId, Vec<Payment>>,
    closed: BTreeSet<ChargeId>,
    entropy: u128,
}

/// The files and what was true when they looked so.
pub struct Kept {
    pub records: usize,
    pub seq: u64,
    pub state: State,
    pub db: Vec<u8>,
    pub wal: Vec<u8>,
}

impl Shop {
    pub fn open(directory: &Path) -> Self {
        Self::with(directory, open(directory).unwrap(), UnknownDelivery::Refund)
    }

    /// A started kiosk that has taken up what the ledger holds.
    pub fn with(directory: &Path, ledger: Ledger, unknown: UnknownDelivery) -> Self {
        Self::selling(directory, ledger, policy(unknown), planogram())
    }

    /// The same with another shop behind the counter.
    pub fn selling(
        directory: &Path,
        mut ledger: Ledger,
        policy: Policy,
        shop: impl kioskd::sale::Shop + 'static,
    ) -> Self {
        let mut state = State::new(policy, shop);
        state.restore(ledger.recover().unwrap());
        ledger.begin(&Stamp { now: Mono(0), wall: Some(Wall(BASE)), entropy: 0 }, &state).unwrap();
        Self {
            directory: directory.to_owned(),
            ledger,
            state,
            now: 1_000,
            wall: true,
            drops: VecDeque::new(),
            trail: None,
            refunds: VecDeque::new(),
            returned: BTreeMap::new(),
            printed: Vec::new(),
            paid: BTreeMap::new(),
            closed: BTreeSet::new(),
            entropy: 0,
        }
    }

    /// The power came back: the same files and the same world, and another run with a shop that remembers nothing.
    pub fn again(self, shop: impl kioskd::sale::Shop + 'static) -> Self {
        let Self { directory, ledger, state, now, paid, returned, closed, entropy, drops, .. } = self;
        let policy = state.policy.clone();
        drop((ledger, state));
        let mut new = Self::selling(&directory, open(&directory).unwrap(), policy, shop);
        (new.now, new.paid, new.closed, new.entropy, new.drops) = (now, paid, closed, entropy, drops);
        new.returned = returned;
        new
    }

    pub fn start(&mut self) {
        self.feed(Event::Started { boot: boot(), version: "0".into() });
        self.feed(Event::Condition(Condition::Door { open: false }));
        self.feed(Event::Condition(Condition::Board { answers: true }));
    }

    pub fn stamp(&mut self) -> Stamp {
        self.entropy += 7_919;
        Stamp { now: Mono(self.now), wall: self.wall.then_some(Wall(BASE + self.now)), entropy: self.entropy }
    }

    /// One event and every answer to it; panics where the ledger fails.
    pub fn feed(&mut self, event: Event) {
        self.try_feed(event).unwrap();
    }

    pub fn try_feed(&mut self, event: Event) -> Result<(), LedgerError> {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            let at = self.stamp();
            let told = format!("{event:?}");
            let step = sale::next(&mut self.state, &at, event).unwrap_or_else(|illegal| panic!("{told}: {illegal}"));
            self.ledger.commit(&at, &step.records, &self.state)?;
            self.keep(step.records.len());
            for effect in step.effects {
                queue.extend(self.answer(effect));
            }
        }
        Ok(())
    }

    /// Why the sale does not take this; nothing is otherwise afterwards.
    pub fn refused(&mut self, event: Event) -> Illegal {
        let (at, told) = (self.stamp(), format!("{event:?}"));
        match sale::next(&mut self.state.clone(), &at, event) {
            Ok(step) => panic!("{told}: it is taken, with {step:?}"),
            Err(illegal) => illegal,
        }
    }

    /// What lies on the disk now, after a step of so many records.
    fn keep(&mut self, records: usize) {
        if let Some(trail) = &mut self.trail {
            let (db, wal) = files(&self.directory);
            trail.push(Kept { records, seq: self.ledger.seq(), state: self.state.clone(), db, wal });
        }
    }

    /// Keeps what lies on the disk from now on, which is what a beginning leaves there.
    pub fn keep_all(&mut self) {
        self.trail = Some(Vec::new());
        self.keep(BEGUN as usize);
    }

    fn answer(&mut self, effect: Effect) -> Option<Event> {
        Some(match effect {
            Effect::Create { charge, .. } => {
                Event::Created { charge: charge.charge, result: Ok(Created { payload: "pay here".into() }) }
            }
            Effect::Query { charge, .. } => self.report(&charge.charge, true),
            Effect::Close { charge, .. } => {
                self.closed.insert(charge.charge.clone());
                Event::CloseAnswered { charge: charge.charge, result: Ok(None) }
            }
            Effect::Refund { refund, .. } | Effect::QueryRefund { refund, .. } => {
                let result = self.refunds.pop_front().unwrap_or(Ok(RefundReport::Done));
                Event::RefundAnswered { refund: refund.refund, charge: refund.charge, result }
            }
            Effect::Probe { rail } => Event::Probed { rail, result: Ok(()) },
            Effect::Prepare { delivery, .. } => {
                Event::Prepared { delivery, reading: Reading { counter: Some(4), self_tested: true } }
            }
            Effect::Deliver { delivery, .. } | Effect::Recall { delivery, .. } => {
                let evidence = self.drops.pop_front().unwrap_or(Evidence::Dropped { count: 1 });
                Event::Evidence { delivery, evidence }
            }
            Effect::Print { order } => Event::ReceiptDone { order, result: Ok(()) },
            Effect::PrintReport { number, copy } => {
                self.printed.push((number, copy));
                return None;
            }
            Effect::CheckPin { .. } => Event::PinChecked { right: false },
            Effect::Gate { id, .. } => Event::GateAnswered { id, result: Ok(()) },
            Effect::AskReboot => Event::RebootAnswered { result: Ok(()) },
            Effect::Find { .. }
            | Effect::PrintTest
            | Effect::ResendEvents { .. }
            | Effect::Answer { .. }
            | Effect::Reboot
            | Effect::CheckConfig { .. }
            | Effect::Tell { .. }
            | Effect::CallForHelp
            | Effect::CantDecide { .. }
            | Effect::StartAnew
            | Effect::Update(_) => return None,
        })
    }

    pub fn report(&self, charge: &ChargeId, asked: bool) -> Event {
        let standing = if self.closed.contains(charge) { Standing::Closed } else { Standing::Open };
        let payments = self.paid.get(charge).cloned().unwrap_or_default();
        let returned = self.returned.get(charge).copied().unwrap_or_default();
        Event::Reported {
            charge: charge.clone(),
            result: Ok(ChargeReport { standing, payments, returned, attach: None }),
            asked,
        }
    }

    pub fn touch(&mut self, touch: Touch) {
        self.feed(Event::Touch(touch));
    }

    /// The service menu asks for something, under a number of its own.
    pub fn operate(&mut self, asked: Operation) {
        let id = RequestId::parse(&format!("request-{}", self.entropy)).unwrap();
        let request = Request { id, by: Actor::Menu, rights: Rights::ALL, live: true, expired: false, asked };
        self.feed(Event::Asked { request, known: None });
    }

    /// The fleet's office asks for something, by the next counter of its key.
    pub fn command(&mut self, asked: Operation) {
        let kid = KeyName::parse("office").unwrap();
        let counter = self.state.windows.get(&kid).map_or(7, |window| window.highest + 3);
        let id = RequestId::parse(&format!("command-{counter}")).unwrap();
        let by = Actor::Fleet { kid, counter };
        let request = Request { id, by, rights: Rights::ALL, live: false, expired: false, asked };
        self.feed(Event::Asked { request, known: None });
    }

    /// A customer chooses; the QR is on the glass afterwards.
    pub fn offer(&mut self, products: &[&str]) -> OrderId {
        self.touch(Touch::Start);
        for product in products {
            self.touch(Touch::Product(ProductId::parse(product).unwrap()));
        }
        self.touch(Touch::Pay);
        self.state.current.expect("an order waits")
    }

    /// The provider tells of one more payment.
    pub fn pay(&mut self, order: OrderId, amount: Minor) {
        self.try_pay(order, amount).unwrap();
    }

    pub fn try_pay(&mut self, order: OrderId, amount: Minor) -> Result<(), LedgerError> {
        self.pay_on(ChargeId::of(order, 1), order, amount)
    }

    /// The same on any charge of the order.
    pub fn pay_on(&mut self, charge: ChargeId, order: OrderId, amount: Minor) -> Result<(), LedgerError> {
        self.pay_in(charge, order, amount, cny())
    }

    /// And in any currency.
    pub fn pay_in(
        &mut self,
        charge: ChargeId,
        order: OrderId,
        amount: Minor,
        currency: Currency,
    ) -> Result<(), LedgerError> {
        let payments = self.paid.entry(charge.clone()).or_default();
        let id = PaymentId::parse(&format!("p{}-{}", payments.len() + 1, order.short_code())).unwrap();
        payments.push(Payment { id, amount, currency, order });
        let report = self.report(&charge, false);
        self.try_feed(report)
    }

    /// A whole sale with a good end.
    pub fn sell(&mut self) -> OrderId {
        let order = self.offer(&["cola"]);
        self.pay(order, 300);
        self.pass(200_000);
        order
    }

    /// A sale that is paid after its time: all of it goes back.
    pub fn sell_late(&mut self) -> OrderId {
        let late = self.offer(&["cola"]);
        self.pass(61_000);
        self.pay(late, 300);
        self.pass(10_000);
        late
    }

    /// A sale that is paid twice: the second payment goes back.
    pub fn sell_double(&mut self) -> OrderId {
        let double = self.offer(&["tea"]);
        self.pay(double, 450);
        self.pay(double, 450);
        self.pass(10_000);
        double
    }

    /// The fullest slot gives nothing and neither does the second: one unit of two.
    pub fn sell_partly(&mut self) -> OrderId {
        let nothing = Evidence::Nothing { self_tested: true };
        self.drops = [Evidence::Dropped { count: 1 }, nothing.clone(), nothing].into();
        let partial = self.offer(&["cola", "cola"]);
        self.pay(partial, 600);
        partial
    }

    /// As a shop does that has something to know again.
    pub fn note(&mut self, key: &str, value: Option<u32>) {
        let at = self.stamp();
        let noted = Record::ShopNoted { key: key.into(), value: value.map(Into::into) };
        self.ledger.commit(&at, &[noted], &self.state).unwrap();
    }

    /// Lets time pass with every tick that is wanted.
    pub fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        while let Some(wake) = self.state.next_wake(Mono(self.now)).filter(|wake| wake.0 <= until) {
            self.now = self.now.max(wake.0);
            self.feed(Event::Tick);
        }
        self.now = until;
    }

    /// Paid and delivered, late, double, partly delivered, cancelled, unknown, locked, refilled, faulty.
    pub fn varied(&mut self) {
        self.start();
        self.sell();
        self.sell_late();
        self.sell_double();
        self.wall = false;
        self.sell_partly();
        self.pass(20_000);
        self.wall = true;
        self.operate(Operation::Lock { reason: Reason::parse("cleaning").unwrap() });
        self.pass(1_000);
        self.command(Operation::Unlock);
        self.operate(Operation::Refill);
        self.command(Operation::SetStock { slot: slot("A1"), count: 5 });
        self.offer(&["cola"]);
        self.touch(Touch::Cancel);
        self.pass(10_000);
        self.drops = [Evidence::Silent { why: "no answer".into() }].into();
        let unknown = self.offer(&["cola"]);
        self.pay(unknown, 300);
        self.pass(200_000);
        self.feed(Event::Condition(Condition::OutletFaulty { outlet: outlet("B1"), why: Cause::MotorNotHome }));
        self.feed(Event::Condition(Condition::Door { open: true }));
    }
}

pub fn boot() -> BootId {
    BootId::parse("boot-1").unwrap()
}

pub fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

pub fn slot(name: &str) -> SlotId {
    SlotId::parse(name).unwrap()
}

pub fn outlet(name: &str) -> Outlet {
    Outlet::Slot(slot(name))
}

/// One unit, as the planogram of these tests offers it.
pub fn cola() -> Offered {
    kioskd::sale::Shop::catalogue(&planogram())[0].offered()
}

/// With neither a reserve nor a wanted minimum, for tests that are not about room.
/// Nobody else has it: whatever still does has let go in a moment. The children of parallel tests have a copy of every open
/// file, and with it of a lock, from their fork to their exec.
pub fn open(directory: &Path) -> Result<Ledger, LedgerError> {
    let by = Instant::now() + Duration::from_secs(60);
    let lock = loop {
        match DirectoryLock::take(directory) {
            Err(LedgerError::Held { .. }) if Instant::now() < by => std::thread::sleep(Duration::from_millis(1)),
            taken => break taken?,
        }
    };
    Ledger::open(lock, boot(), 0, 0)
}

pub fn db_of(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

pub fn wal_of(directory: &Path) -> PathBuf {
    directory.join(format!("{FILE}-wal"))
}

/// The database and its log as they lie there.
pub fn files(directory: &Path) -> (Vec<u8>, Vec<u8>) {
    (std::fs::read(db_of(directory)).unwrap(), std::fs::read(wal_of(directory)).unwrap_or_default())
}

/// A directory with just these files.
pub fn lay(db: &[u8], wal: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(db_of(directory.path()), db).unwrap();
    if !wal.is_empty() {
        std::fs::write(wal_of(directory.path()), wal).unwrap();
    }
    directory
}

/// A ledger of varied sales, closed.
pub fn varied() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.varied();
    for (key, value) in [("gone", Some(1)), ("inside", Some(40)), ("gone", None), ("inside", Some(41))] {
        shop.note(key, value);
    }
    directory
}

pub fn copy_of(directory: &Path) -> tempfile::TempDir {
    let (db, wal) = files(directory);
    lay(&db, &wal)
}

/// What a restart on a copy must find of what is live.
pub fn same(live: &State, found: &Recovered, when: &str) {
    let open: Vec<Order> = live.orders.values().filter(|order| !order.ended).map(durable).collect();
    assert_eq!(found.orders.iter().map(durable).collect::<Vec<_>>(), open, "{when}");
    let mut again: Box<dyn kioskd::sale::Shop> = Box::new(planogram());
    found.shop.iter().for_each(|record| again.apply(record));
    assert_eq!(again.outlets(), live.shop.outlets(), "{when}");
    assert_eq!(found.last_order, live.last_order, "{when}");
    assert_eq!(found.locked, live.conditions.locked, "{when}");
    assert_eq!(found.maintenance, live.conditions.maintenance, "{when}");
    assert_eq!(found.sales_stopped, live.announced_stop, "{when}");
    assert_eq!(found.languages, live.chosen_languages, "{when}");
    assert_eq!(found.pins_refused, live.pin.wrong, "{when}");
    assert_eq!(found.windows, live.windows, "{when}");
}

/// An order without its timers and open questions, and without the sensor's counts: a copy does not believe in those.
fn durable(order: &Order) -> Order {
    let mut order = order.clone();
    (order.preparing, order.deadline, order.extended) = (None, Mono::default(), false);
    order.printing = None;
    for charge in &mut order.charges {
        charge.watch = Watch::default();
        charge.refunds.iter_mut().for_each(|refund| refund.watch = Watch::default());
    }
    order.items.iter_mut().flat_map(|item| &mut item.attempts).for_each(|attempt| {
        (attempt.this_boot, attempt.counter) = (false, None);
    });
    order
}

pub fn policy(unknown_delivery: UnknownDelivery) -> Policy {
    let seconds = Duration::from_secs;
    Policy {
        fleet: false,
        trial: Duration::from_secs(60),
        update_gate: Duration::from_secs(300),
        gate_answers: Duration::from_secs(120),
        categories: Vec::new(),
        pickup_numbers: false,
        kiosk: "K1".into(),
        attach: "main/K1".into(),
        place: Localized::default(),
        phone: "1".into(),
        currency: cny(),
        languages: vec![Language::new("en")],
        qr_life: seconds(60),
        more_time: seconds(0),
        grace: seconds(30),
        lease: seconds(30),
        unknown_delivery,
        paid_without_intent: PaidWithoutIntent::Refund,
        attempts: 2,
        max_units: 4,
        browse_timeout: seconds(60),
        result_timeout: seconds(8),
        confirm_above: None,
        confirm_after_unpaid: None,
        cool_down_after_unpaid: None,
        cool_down: seconds(60),
        silent_claim_after: seconds(6 * 3600),
        sensor: true,
        service: true,
        reboot: true,
        zone: jiff::tz::TimeZone::UTC,
        rails: vec![RailPolicy {
            name: RailName::parse("sandbox").unwrap(),
            label: Localized::default(),
            poll: seconds(3),
            fees: Default::default(),
        }],
    }
}

pub fn planogram() -> Planogram {
    let product = |id: &str, price| Product {
        id: ProductId::parse(id).unwrap(),
        name: Localized([(Language::new("en"), id.to_owned())].into()),
        price,
        tax: None,
        picture: None,
        category: None,
    };
    let slots = [("A1", "cola"), ("A2", "cola"), ("A3", "cola"), ("B1", "tea")].map(|(name, product)| {
        let product = ProductId::parse(product).unwrap();
        (slot(name), Slot { product, stock: 8, capacity: 9, faulty: None })
    });
    Planogram::new(vec![product("cola", 300), product("tea", 450)], slots)
}

/// A small generator of numbers; a failure is replayed by its seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

/// The commits in a write-ahead log: the salts it began with, and where each ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Log {
    pub salts: [u8; 8],
    pub ends: Vec<usize>,
}

impl Log {
    pub fn of(wal: &[u8]) -> Self {
        let Some(head) = wal.get(..32) else { return Self { salts: [0; 8], ends: Vec::new() } };
        let page = u32::from_be_bytes(head[8..12].try_into().unwrap()) as usize;
        let salts: [u8; 8] = head[16..24].try_into().unwrap();
        let mut ends = Vec::new();
        for (index, frame) in wal[32..].chunks_exact(24 + page).enumerate() {
            if frame[8..16] != salts {
                break;
            }
            if frame[4..8] != [0; 4] {
                ends.push(32 + (index + 1) * (24 + page));
            }
        }
        Self { salts, ends }
    }
}
