//! One run: a seed played from its first customer to the last open order.

use std::time::Duration;

use kioskd::config::{PaidWithoutIntent, UnknownDelivery};
use kioskd::sale::event::{Effect, Event};
use kioskd::sale::policy::{Policy, RailPolicy};
use kioskd::sale::view::Page;
use kioskd::sale::{self, Condition, Key, Order, State, Touch};
use kioskd::vending::{Planogram, Product, Slot};
use kioskd::vocabulary::{
    BootId, Currency, Evidence, Language, Localized, Mono, ProductId, RailName, SlotId, Stamp, Wall,
};

use crate::chance::Chance;
use crate::checks;
use crate::journal::{self, Memory};
use crate::mutants::{self, Mutant};
use crate::world::{Paying, Weather, World};

/// Virtual time after which an order that is still open will never end.
const FOR_EVER: u64 = 72 * 3_600_000;

pub struct Outcome {
    pub crashes: u32,
    pub broken: Option<String>,
}

pub struct Run {
    pub world: World,
    pub journal: Memory,
    pub policy: Policy,
    state: State,
    mutant: Option<Mutant>,
    story: bool,
    boot_at: u64,
    /// Numbers of the points where the kiosk dies, in order.
    crash_at: Vec<u64>,
    point: u64,
    crashes: u32,
}

/// The kiosk has just died.
struct Died;

pub fn simulate(seed: u64, mutant: Option<Mutant>, story: bool) -> Outcome {
    let mut run = Run::new(seed, mutant, story);
    run.play();
    run.settle();
    if run.world.broken.is_none() {
        checks::at_the_end(&mut run);
    }
    Outcome { crashes: run.crashes, broken: run.world.broken }
}

impl Run {
    fn new(seed: u64, mutant: Option<Mutant>, story: bool) -> Self {
        let mut chance = Chance::new(seed);
        let weather = Weather {
            lost: chance.pick(&[0, 5, 15, 35]),
            sensor: chance.pick(&[0, 0, 4, 12]),
            notices: chance.pick(&[0, 60, 100]),
            absent_until_scanned: chance.percent(25),
            closes_hold: chance.percent(70),
            cancel_returns: chance.percent(12),
            refunds_fail: chance.percent(5),
        };
        let policy = policy(&mut chance);
        let slots: Vec<(SlotId, u32)> =
            ["A1", "A2", "B1"].map(|name| (SlotId::parse(name).unwrap(), chance.below(4) as u32)).to_vec();
        let mut crash_at: Vec<u64> = (0..1 + chance.below(3)).map(|_| chance.below(70)).collect();
        crash_at.sort_unstable();
        let mut world = World::new(chance, weather, &slots);
        for (slot, _) in &slots {
            let motor = world.chance.below(10);
            world.jammed.insert(slot.clone(), motor == 0);
            world.double.insert(slot.clone(), motor == 1);
        }
        let state = State::new(policy.clone(), planogram(&slots));
        let journal = Memory::default();
        Self { world, journal, policy, state, mutant, story, boot_at: 1_000, crash_at, point: 0, crashes: 0 }
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.story {
            println!("{:>9.3} s  {}", self.world.now as f64 / 1_000.0, text());
        }
    }

    fn stamp(&mut self) -> Stamp {
        let wall = self.world.chance.percent(80).then_some(Wall(1_795_000_000_000 + self.world.now));
        let entropy = u128::from(self.world.chance.next()) << 64 | u128::from(self.world.chance.next());
        Stamp { now: self.mono(), wall, entropy }
    }

    fn mono(&self) -> Mono {
        Mono(self.world.now - self.boot_at)
    }

    /// A point where the power may go.
    fn survives(&mut self) -> Result<(), Died> {
        self.point += 1;
        if self.crash_at.first().is_some_and(|at| *at <= self.point) {
            self.crash_at.remove(0);
            return Err(Died);
        }
        Ok(())
    }

    /// Customers and mishaps, for some minutes.
    fn play(&mut self) {
        if self.start().is_err() {
            self.crash_and_restart();
        }
        for _ in 0..1 + self.world.chance.below(3) {
            self.mishaps();
            for _ in 0..14 {
                if self.world.broken.is_some() {
                    return;
                }
                if self.customer().is_err() {
                    self.crash_and_restart();
                }
                let long = self.world.chance.pick(&[40, 40, 400, 2_000]);
                self.pass(self.world.now + long);
            }
            let long = self.world.chance.pick(&[5_000, 30_000, 100_000, 200_000]);
            self.pass(self.world.now + long);
        }
    }

    fn mishaps(&mut self) {
        let world = &mut self.world;
        if world.chance.percent(20) {
            let rail = world.chance.below(2) as usize;
            let until = world.now + world.chance.below(90_000);
            world.rail_down_until.insert(mutants::rails()[rail].clone(), until);
        }
        if world.chance.percent(20) {
            world.network_down_until = world.now + world.chance.below(90_000);
        }
        if world.chance.percent(20) {
            let (wait, long) = (world.chance.below(30_000), 500 + world.chance.below(20_000));
            world.open_door(wait, long);
        }
        if world.chance.percent(8) {
            let (wait, long) = (world.chance.below(30_000), 500 + world.chance.below(20_000));
            world.silence_board(wait, long);
        }
    }

    /// The world is kind from here on; everything open must come to an end.
    fn settle(&mut self) {
        self.world.calm = true;
        self.world.network_down_until = 0;
        self.world.rail_down_until.clear();
        self.crash_at.clear();
        let end = self.world.now + FOR_EVER;
        let mut turns = 0u32;
        while self.world.broken.is_none() && self.world.now < end {
            let open = self.state.orders.values().any(|order| !order.ended && !stuck_with_a_person(order));
            if !open && self.world.next_due().is_none() {
                return;
            }
            turns += 1;
            if turns > 20_000 {
                return self.world.breaks("progress", "20,000 events without an end".into());
            }
            if self.turn().is_err() {
                return self.world.breaks("harness", "a crash after the calm".into());
            }
        }
        if self.world.broken.is_none() {
            let open: Vec<_> = self.state.orders.values().filter(|o| !o.ended).collect();
            let open = format!("{open:?}");
            self.world.breaks("P2", format!("still open after {} h: {open}", FOR_EVER / 3_600_000));
        }
    }

    /// Lets time pass until `until`, with crashes and restarts as they fall.
    fn pass(&mut self, until: u64) {
        while self.world.broken.is_none() {
            let next = self.next_time();
            if next.is_none_or(|next| next > until) {
                self.world.now = self.world.now.max(until);
                return;
            }
            if self.turn().is_err() {
                self.crash_and_restart();
            }
        }
    }

    fn wake(&self) -> Option<u64> {
        self.state.next_wake(self.mono()).map(|at| (at.0 + self.boot_at).max(self.world.now))
    }

    fn next_time(&self) -> Option<u64> {
        [self.wake(), self.world.next_due()].into_iter().flatten().min()
    }

    /// The next thing that happens.
    fn turn(&mut self) -> Result<(), Died> {
        let wake = self.wake();
        match (wake, self.world.next_due()) {
            (Some(wake), due) if due.is_none_or(|due| wake < due) => {
                self.world.now = wake;
                self.step(Event::Tick)
            }
            (_, Some(_)) => match self.world.happen() {
                Some(event) => self.step(event),
                None => Ok(()),
            },
            (None, None) => Ok(()),
            (Some(_), None) => unreachable!("the first arm takes it"),
        }
    }

    fn customer(&mut self) -> Result<(), Died> {
        let page = self.state.view(self.mono(), |_| None).page;
        let chance = &mut self.world.chance;
        let product = |chance: &mut Chance| ProductId::parse(chance.pick(&["cola", "tea"])).unwrap();
        let touch = match &page {
            Page::Attract { .. } => Touch::Start,
            Page::Choose { .. } => Touch::Product(product(chance)),
            Page::Basket { .. } => match chance.below(10) {
                0 => Touch::Cancel,
                1..=2 => Touch::Add,
                3 => Touch::Done,
                4 => Touch::Product(product(chance)),
                _ => Touch::Pay,
            },
            Page::Confirm { code, entered, .. } => match code.chars().nth(entered.len()) {
                Some(digit) => Touch::Key(Key::Digit(digit as u8 - b'0')),
                None => Touch::Key(Key::Ok),
            },
            Page::Pay { can_extend, rails, .. } => match chance.below(30) {
                0 => Touch::Cancel,
                1 if *can_extend => Touch::MoreTime,
                2..=4 if rails.len() > 1 => Touch::Rail(rails[chance.below(2) as usize].name.clone()),
                _ => return Ok(()),
            },
            _ => Touch::Done,
        };
        self.step(Event::Touch(touch))
    }

    /// One event, as the kiosk's loop takes it: decide, commit, act.
    fn step(&mut self, event: Event) -> Result<(), Died> {
        let now = self.mono();
        let event = match self.mutant {
            None => event,
            Some(mutant) => match mutant.event(event, &mut self.state, now) {
                Some(event) => event,
                None => return Ok(()),
            },
        };
        if let Event::Reported { charge, .. } = &event {
            self.revive(charge.order());
        }
        let at = self.stamp();
        let told = self.story.then(|| format!("{event:?}"));
        let mut step = match sale::next(&mut self.state, &at, event) {
            Ok(step) => step,
            Err(illegal) => {
                self.say(|| format!("   {illegal}"));
                return Ok(());
            }
        };
        if let Some(told) = told
            && told != "Tick"
        {
            self.say(|| told);
        }
        let lazy = self.mutant.is_some_and(|mutant| mutant.step(&mut step, &mut self.state));
        if self.mutant == Some(Mutant::EffectsBeforeCommit) {
            self.act(std::mem::take(&mut step.effects))?;
        }
        if !step.records.is_empty() {
            self.survives()?;
            self.journal.lazy = lazy;
            journal::commit(&mut self.journal, &at, &step, &self.state);
            for record in &step.records {
                self.say(|| format!("      record {record:?}"));
            }
            self.survives()?;
        }
        self.act(step.effects)?;
        checks::after_a_step(self, &step.records);
        Ok(())
    }

    fn revive(&mut self, order: Option<kioskd::vocabulary::OrderId>) {
        let Some(id) = order.filter(|id| !self.state.orders.contains_key(id)) else { return };
        if self.mutant == Some(Mutant::OldOrdersForgotten) {
            return;
        }
        if let Some(order) = self.journal.order(id) {
            self.state.revive(order, self.mono());
        }
    }

    fn act(&mut self, effects: Vec<Effect>) -> Result<(), Died> {
        for effect in effects {
            self.say(|| format!("      effect {effect:?}"));
            checks::before_an_effect(self, &effect);
            let mut late = Vec::new();
            let done = match self.mutant {
                Some(mutant) => mutant.effect(&effect, &mut self.world, &mut self.state, &mut late),
                None => false,
            };
            if !late.is_empty() {
                let (at, step) = (self.stamp(), sale::Step { records: late, effects: Vec::new() });
                journal::commit(&mut self.journal, &at, &step, &self.state);
            }
            if !done {
                self.carry_out(effect);
            }
            self.survives()?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) {
        let world = &mut self.world;
        match effect {
            Effect::Create { charge, rail } => {
                let plan = match world.chance.below(20) {
                    0..=10 => Paying::Right,
                    11..=12 => Paying::Twice,
                    13..=14 => Paying::Late,
                    15 => Paying::VeryLate,
                    16 => Paying::WrongAmount,
                    17 => world.chance.pick(&[Paying::WrongCurrency, Paying::WrongOrder]),
                    _ => Paying::Nothing,
                };
                world.create(&charge, rail, plan);
            }
            Effect::Query { charge, rail } => world.query(&charge.charge, rail),
            Effect::Close { charge, rail } => world.close(&charge.charge, rail),
            Effect::Refund { refund, .. } => world.refund(&refund),
            Effect::QueryRefund { refund, .. } => world.query_refund(&refund),
            Effect::Probe { rail } => world.probe(rail),
            Effect::Prepare { delivery } => world.prepare(delivery),
            Effect::Deliver { delivery, slot, before } => world.deliver(delivery, &slot, before),
            Effect::Recall { delivery, before } => world.recall(delivery, before),
            Effect::Print { order } => {
                let result = if world.chance.percent(80) { Ok(()) } else { Err("no paper".into()) };
                world.tell(300, Event::ReceiptDone { order, result });
            }
            Effect::Find { .. } => {}
        }
    }

    fn start(&mut self) -> Result<(), Died> {
        let boot = BootId::parse(&format!("{}", self.world.boot)).unwrap();
        let (open, answers) = (self.world.door_open, true);
        self.step(Event::Started { boot, version: "0".into() })?;
        self.step(Event::Condition(Condition::Door { open }))?;
        self.step(Event::Condition(Condition::Board { answers }))
    }

    fn crash_and_restart(&mut self) {
        loop {
            self.crashes += 1;
            self.say(|| "~~ the power is cut ~~".into());
            self.journal.crash();
            self.world.crash();
            self.boot_at = self.world.now;
            let fresh = State::new(self.policy.clone(), planogram_of(&self.state.planogram));
            let mut recovered = self.journal.recover(&fresh);
            if let Some(mutant) = self.mutant {
                mutant.recovered(&mut recovered);
            }
            self.state = fresh;
            self.state.restore(recovered);
            if self.start().is_ok() {
                return;
            }
        }
    }

    pub fn live(&self) -> &State {
        &self.state
    }

    pub fn mutated(&self) -> bool {
        self.mutant.is_some()
    }

    pub fn now(&self) -> Mono {
        self.mono()
    }
}

fn stuck_with_a_person(order: &Order) -> bool {
    order.claim_open() && order.charges.iter().all(|charge| charge.settled)
}

fn policy(chance: &mut Chance) -> Policy {
    let seconds = Duration::from_secs;
    let rail = |name: &RailName| RailPolicy {
        name: name.clone(),
        label: Localized::default(),
        poll: seconds(3),
        fees: Default::default(),
    };
    Policy {
        categories: Vec::new(),
        pickup_numbers: false,
        kiosk: "K1".into(),
        attach: "main/K1".into(),
        place: Localized::default(),
        phone: "1".into(),
        currency: Currency::from_code("CNY").unwrap(),
        languages: vec![Language::new("en")],
        qr_life: seconds(90),
        more_time: seconds(chance.pick(&[0, 60])),
        grace: seconds(chance.pick(&[30, 600])),
        lease: seconds(30),
        unknown_delivery: chance.pick(&[
            UnknownDelivery::Refund,
            UnknownDelivery::Hold,
            UnknownDelivery::AssumeDelivered,
        ]),
        paid_without_intent: chance.pick(&[PaidWithoutIntent::Refund, PaidWithoutIntent::Resume]),
        attempts: chance.pick(&[1, 2, 3]),
        max_units: 4,
        browse_timeout: seconds(60),
        result_timeout: seconds(8),
        confirm_above: chance.pick(&[None, Some(700)]),
        confirm_after_unpaid: chance.pick(&[None, Some(1)]),
        sensor: true,
        zone: jiff::tz::TimeZone::UTC,
        rails: mutants::rails()[..chance.pick(&[1, 2, 2])].iter().map(rail).collect(),
    }
}

fn planogram(slots: &[(SlotId, u32)]) -> Planogram {
    let product = |id: &str, price| Product {
        id: ProductId::parse(id).unwrap(),
        name: Localized::default(),
        price,
        picture: None,
        category: None,
    };
    let slots = slots.iter().map(|(name, stock)| {
        let product = if name.as_str() == "B1" { "tea" } else { "cola" };
        let product = ProductId::parse(product).unwrap();
        // Planned with one more than is there: an empty slot is found by selling from it.
        (name.clone(), Slot { product, stock: stock + 1, capacity: 9, faulty: None })
    });
    Planogram::new(vec![product("cola", 300), product("tea", 450)], slots)
}

/// As the configuration has it: what was sold since is the journal's to say.
fn planogram_of(known: &Planogram) -> Planogram {
    let slots =
        known.slots().iter().map(|(name, slot)| (name.clone(), Slot { stock: 2, faulty: None, ..slot.clone() }));
    Planogram::new(known.products().to_vec(), slots)
}

/// Used by the checks: what the board truly said.
pub fn is_tested_no(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Nothing { self_tested: true })
}
