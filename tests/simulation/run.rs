//! One run: a seed played from its first customer to the last open order.

use std::collections::{BTreeMap, BTreeSet};

use kioskd::kiosk::turn::{TurnError, turn};
use kioskd::operation::{
    Actor, ConfigText, Digest, LanguageTag, Operation, Outcome as Told, Reason, Request, RequestId, Rights,
};
use kioskd::sale::dialogue::{OrderPage, Page, ShopPage};
use kioskd::sale::event::{Checked, Effect, Event, NotUsed};
use kioskd::sale::policy::Policy;
use kioskd::sale::view::OrderState;
use kioskd::sale::{Condition, Key, Order, Record, Shop, State, Touch};
use kioskd::vending::Planogram;
use kioskd::vocabulary::{BootId, Cause, ClaimSettlement, Evidence, Mono, OrderId, Outlet, Stamp, Wall};

use crate::chance::Chance;
use crate::checks;
use crate::journal::Memory;
use crate::mutants::Mutant;
use crate::setup;
use crate::trade::Trade;
use crate::world::{Paying, World};

/// Virtual time after which an order that is still open will never end.
const FOR_EVER: u64 = 72 * 3_600_000;
/// Events after which a run that has not ended never will: the longest are below a third of it.
const EVENTS: u32 = 60_000;

pub struct Outcome {
    pub crashes: u32,
    /// Orders that ended delivered.
    pub sold: usize,
    pub broken: Option<String>,
}

pub struct Run<'a> {
    pub trade: &'a dyn Trade,
    pub world: World,
    pub journal: Memory,
    pub policy: Policy,
    /// As it was before anything was written of it.
    pub shop: Box<dyn Shop>,
    pub said: Said,
    /// Conditions of the machine that forbid a sale, as the world has made them.
    pub blocked: BTreeMap<&'static str, bool>,
    state: State,
    mutant: Option<Mutant>,
    story: bool,
    pub boot_at: u64,
    /// It has died in order to start anew.
    starts_anew: bool,
    crashes: u32,
    events: u32,
}

/// What operators were answered, which has to hold whatever crashes.
#[derive(Debug, Default)]
pub struct Said {
    /// `None` while nobody can know: the machine died over the question.
    pub locked: Option<bool>,
    pub asked: Vec<Request>,
    pub answers: BTreeMap<RequestId, Told>,
    /// Of these wishes the lane has heard.
    pub wishes: BTreeSet<RequestId>,
}

/// The kiosk has just died.
struct Died;

pub fn simulate(trade: &dyn Trade, seed: u64, mutant: Option<Mutant>, story: bool) -> Outcome {
    let mut run = Run::new(trade, seed, mutant, story);
    run.play_out();
    if run.world.broken.is_none() {
        checks::at_the_end(&mut run);
    }
    let sold = |record: &&Record| matches!(record, Record::OrderEnded { state: OrderState::Delivered, .. });
    let sold = run.journal.all().iter().filter(sold).count();
    Outcome { crashes: run.crashes, sold, broken: run.world.broken }
}

/// A machine that has just been started and has not read its ledger.
fn blank(policy: &Policy, shop: &dyn Shop) -> State {
    State { shop: shop.boxed(), ..State::new(policy.clone(), Planogram::default()) }
}

impl<'a> Run<'a> {
    pub fn new(trade: &'a dyn Trade, seed: u64, mutant: Option<Mutant>, story: bool) -> Self {
        let mut chance = Chance::new(seed);
        let weather = setup::weather(&mut chance);
        let policy = setup::policy(&mut chance);
        let (shop, stocks) = trade.open(&mut chance);
        let mut journal = Memory::default();
        journal.mutant = mutant;
        journal.power.cut_at = (0..1 + chance.below(3)).map(|_| chance.below(70)).collect();
        journal.power.cut_at.sort_unstable();
        let mut world = World::new(chance, weather, &stocks);
        world.grace = policy.grace.as_millis() as u64;
        for (outlet, _) in &stocks {
            let motor = world.chance.below(10);
            world.jammed.insert(outlet.clone(), motor == 0);
            world.double.insert(outlet.clone(), motor == 1 && outlet.slot().is_some());
        }
        let state = blank(&policy, shop.as_ref());
        let said = Said { locked: Some(false), ..Said::default() };
        let blocked = BTreeMap::new();
        let (boot_at, crashes, events) = (1_000, 0, 0);
        Self {
            trade,
            world,
            journal,
            policy,
            shop,
            said,
            blocked,
            state,
            mutant,
            story,
            boot_at,
            starts_anew: false,
            crashes,
            events,
        }
    }

    /// Everything, until nothing is open that anybody but a person could end.
    pub fn play_out(&mut self) {
        self.play();
        self.settle();
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

    /// Customers, operators and mishaps, for some minutes.
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
                let done = match self.world.chance.below(40) {
                    0 => self.operator(),
                    1 => self.trouble(),
                    2 => self.give_away(),
                    3 => self.ask_again(),
                    _ => self.customer(),
                };
                if done.is_err() || self.failed() && self.world.chance.percent(20) {
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
            world.rail_down_until.insert(setup::rails()[rail].clone(), until);
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
        self.journal.failing |= self.world.chance.percent(2);
    }

    /// Somebody with the right to it asks for something.
    fn operator(&mut self) -> Result<(), Died> {
        let claim = self.state.orders.values().find(|order| order.claim_open()).map(|order| order.id);
        let chance = &mut self.world.chance;
        let how = chance.pick(&[ClaimSettlement::Delivered, ClaimSettlement::Refund, ClaimSettlement::PaidOutside]);
        let maintenance = self.state.conditions.maintenance;
        let asked = match (claim, chance.below(10)) {
            (Some(order), 0..=5) => Operation::SettleClaim { order, how },
            (_, 0) => Operation::Lock { reason: Reason::parse("repair").unwrap() },
            // A machine that nobody sells from shows little.
            (_, 1 | 2) if maintenance => Operation::Maintenance { on: false },
            (_, 1 | 2) => Operation::Unlock,
            (_, 3..=6) => match self.trade.asks(chance) {
                Operation::TestVend { slot } if chance.percent(if maintenance { 90 } else { 5 }) => {
                    Operation::Pulse { outlet: Outlet::Slot(slot) }
                }
                other => other,
            },
            (_, 7) if chance.percent(30) => Operation::Maintenance { on: !maintenance },
            (_, 8) => Operation::CashUp,
            (_, 9) if chance.percent(10) => Operation::Reboot,
            (_, 9) if chance.percent(20) => {
                let tags: &[&str] = chance.pick(&[&["zh-Hans", "en"][..], &["en"], &["en", "zh-Hans"], &["fr"]]);
                Operation::Languages { languages: tags.iter().map(|tag| LanguageTag::parse(tag).unwrap()).collect() }
            }
            (_, 9) if chance.percent(30) => Operation::ApplyConfig { config: ConfigText::parse("[kiosk]").unwrap() },
            (_, 9) if chance.percent(30) => {
                let orders: Vec<OrderId> = self.state.orders.keys().copied().collect();
                match orders.is_empty() {
                    true => Operation::Refill,
                    false => Operation::Refund {
                        order: chance.pick(&orders),
                        amount: chance.pick(&[None, Some(100), Some(300)]),
                    },
                }
            }
            _ => Operation::Refill,
        };
        let id = RequestId::parse(&format!("r-{}", chance.next())).unwrap();
        let (rights, live) = (Rights { money: chance.percent(90), ..Rights::ALL }, chance.percent(90));
        let request = Request { id, by: Actor::Menu, rights, live, expired: false, asked };
        self.said.asked.push(request.clone());
        self.ask(request)
    }

    /// Somebody who has had no answer asks again, and so does somebody who has.
    fn ask_again(&mut self) -> Result<(), Died> {
        let count = self.said.asked.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let index = self.world.chance.below(count) as usize;
        self.ask(self.said.asked[index].clone())
    }

    fn ask(&mut self, request: Request) -> Result<(), Died> {
        let known = self.journal.operation(&request.id);
        let locks = match &request.asked {
            // Asked again it does nothing, however it was answered.
            _ if known.is_some() => None,
            Operation::Lock { .. } => Some(true),
            Operation::Unlock => Some(false),
            _ => None,
        };
        let before = self.said.locked;
        if locks.is_some() {
            self.said.locked = None;
        }
        let taken = self.step(Event::Asked { request, known })?;
        match (taken, locks) {
            (true, Some(locks)) => self.said.locked = Some(locks),
            (false, Some(_)) => self.said.locked = before,
            _ => {}
        }
        Ok(())
    }

    /// Somebody is told what came of what they asked for: the same, as often as they ask.
    fn told(&mut self, id: RequestId, outcome: Told) {
        let on_disk = self.journal.operation(&id).and_then(|known| known.outcome);
        if on_disk.as_ref() != Some(&outcome) {
            self.world.breaks("P4", format!("request {id} was answered {outcome:?}, on disk is {on_disk:?}"));
        }
        let before = self.said.answers.insert(id.clone(), outcome.clone());
        if before.as_ref().is_some_and(|before| *before != outcome) {
            self.world.breaks("P4", format!("request {id} was answered {before:?} and then {outcome:?}"));
        }
    }

    /// Goods for which nobody pays.
    fn give_away(&mut self) -> Result<(), Died> {
        let event = self.trade.is_granted(&self.state, &mut self.world.chance);
        self.step(event).map(|_| ())
    }

    /// A condition of the machine comes or goes.
    fn trouble(&mut self) -> Result<(), Died> {
        let which = self.world.chance.pick(&["tamper", "disk", "outbox", "glass", "touch"]);
        let on = !self.blocked.get(which).copied().unwrap_or_default();
        self.trouble_of(which, on)
    }

    fn trouble_of(&mut self, which: &'static str, on: bool) -> Result<(), Died> {
        self.blocked.insert(which, on);
        let why = on.then(|| "unplugged".to_owned());
        self.step(Event::Condition(match which {
            "tamper" => Condition::Tamper { active: on },
            "disk" => Condition::Disk { full: on },
            "outbox" => Condition::Outbox { full: on },
            "glass" => Condition::Glass { dark: why },
            _ => Condition::Touch { fault: why },
        }))
        .map(|_| ())
    }

    /// The world is kind from here on; everything open must come to an end.
    fn settle(&mut self) {
        self.world.calm = true;
        self.world.network_down_until = 0;
        self.world.rail_down_until.clear();
        self.journal.power.cut_at.clear();
        if self.failed() || self.journal.failing {
            self.crash_and_restart();
        }
        let end = self.world.now + FOR_EVER;
        while self.world.broken.is_none() && self.world.now < end {
            let open = self.state.orders.values().any(|order| !order.ended && !stuck_with_a_person(order))
                || self.state.configuration.trial.is_some()
                || !self.state.wishes.is_empty();
            if !open && self.world.next_due().is_none() {
                return;
            }
            if self.turn().is_err() {
                if !self.starts_anew {
                    return self.world.breaks("harness", "a crash after the calm".into());
                }
                self.crash_and_restart();
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
        self.events += 1;
        if self.events > EVENTS {
            self.world.breaks("progress", format!("{EVENTS} events without an end"));
            return Ok(());
        }
        let wake = self.wake();
        match (wake, self.world.next_due()) {
            (Some(wake), due) if due.is_none_or(|due| wake < due) => {
                self.world.now = wake;
                self.step(Event::Tick).map(|_| ())
            }
            (_, Some(_)) => match self.world.happen() {
                Some(event) => self.step(event).map(|_| ()),
                None => Ok(()),
            },
            (None, None) => Ok(()),
            (Some(_), None) => unreachable!("the first arm takes it"),
        }
    }

    fn customer(&mut self) -> Result<(), Died> {
        let page = self.state.view(self.mono(), |_| None).page;
        let chance = &mut self.world.chance;
        let touch = match &page {
            Page::Shop(ShopPage::Attract { .. })
            | Page::Shop(ShopPage::Choose { .. })
            | Page::Shop(ShopPage::Basket { .. })
            | Page::Stay(_) => {
                let event = self.trade.chooses(&self.state, &page, chance);
                return self.step(event).map(|_| ());
            }
            Page::Shop(ShopPage::Confirm { code, entered, .. }) => match code.chars().nth(entered.len()) {
                Some(digit) => Touch::Key(Key::Digit(digit as u8 - b'0')),
                None => Touch::Key(Key::Ok),
            },
            Page::Order(OrderPage::Pay { can_extend, rails, .. }) => match chance.below(30) {
                0 => Touch::Cancel,
                1 if *can_extend => Touch::MoreTime,
                2..=6 if rails.len() > 1 => Touch::Rail(rails[chance.below(2) as usize].name.clone()),
                _ => return Ok(()),
            },
            _ => Touch::Done,
        };
        self.step(Event::Touch(touch)).map(|_| ())
    }

    /// One event, by the kiosk's own turn; then its effects. Whether it was taken.
    fn step(&mut self, event: Event) -> Result<bool, Died> {
        let now = self.mono();
        let event = match self.mutant {
            None => event,
            Some(mutant) => match mutant.event(event, &mut self.state, now) {
                Some(event) => event,
                None => return Ok(true),
            },
        };
        if let Event::Reported { charge, .. } = &event {
            self.revive(charge.order());
        }
        let at = self.stamp();
        let told = self.story.then(|| format!("{event:?}"));
        let taken = turn(&mut self.state, Some(&mut self.journal), &at, event);
        if let Some(told) = told
            && told != "Tick"
        {
            self.say(|| told);
        }
        let mut step = match taken {
            Ok(step) => step,
            Err(TurnError::Failed(_)) if self.journal.power.take_died() => return Err(Died),
            Err(not) => {
                self.say(|| format!("   {not}"));
                return Ok(false);
            }
        };
        for record in &step.records {
            self.say(|| format!("      record {record:?}"));
        }
        if self.journal.power.take_died() {
            return Err(Died);
        }
        if let Some(mutant) = self.mutant {
            mutant.effects(&mut step.effects, &mut self.state, &step.records);
        }
        self.act(step.effects)?;
        self.journal.flush();
        if self.journal.power.take_died() {
            return Err(Died);
        }
        checks::after_a_step(self, &step.records);
        Ok(true)
    }

    fn revive(&mut self, order: Option<OrderId>) {
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
            late.into_iter().for_each(|record: Record| self.journal.smuggle(record));
            if !done {
                self.execute(effect);
            }
            self.journal.power.survives();
            if self.journal.power.take_died() {
                return Err(Died);
            }
        }
        Ok(())
    }

    fn execute(&mut self, effect: Effect) {
        let world = &mut self.world;
        match effect {
            Effect::Create { charge, rail } => {
                let plan = match world.chance.below(26) {
                    0..=10 => Paying::Right,
                    11..=12 => Paying::Twice,
                    13 => Paying::TwiceApart,
                    14..=15 => Paying::Late,
                    16 => Paying::VeryLate,
                    17..=20 => Paying::Last,
                    21 => Paying::WrongAmount,
                    22 => world.chance.pick(&[Paying::WrongCurrency, Paying::WrongOrder]),
                    _ => Paying::Nothing,
                };
                world.create(&charge, rail, plan);
            }
            Effect::Query { charge, rail } => world.query(&charge.charge, rail),
            Effect::Close { charge, rail } => world.close(&charge.charge, rail),
            Effect::Refund { refund, .. } => world.refund(&refund),
            Effect::QueryRefund { refund, .. } => world.query_refund(&refund),
            Effect::Probe { rail } => world.probe(rail),
            Effect::Prepare { delivery, .. } => {
                if !world.calm && world.chance.percent(2) {
                    // Between the sensor's reading and the relay.
                    let wait = 1 + world.chance.below(3);
                    world.open_door(wait, 800);
                }
                world.prepare(delivery);
            }
            Effect::Deliver { delivery, outlet, before } => {
                world.deliver(delivery, &outlet, before);
            }
            Effect::Recall { delivery, before, .. } => world.recall(delivery, before),
            Effect::Print { order } => {
                let result = if world.chance.percent(80) { Ok(()) } else { Err("no paper".into()) };
                world.tell(300, Event::ReceiptDone { order, result });
            }
            Effect::Answer { id, outcome } => self.told(id, outcome),
            // A lane answers when the car has passed, and now and then not at all.
            Effect::Gate { id, .. } => {
                let wait = world.chance.pick(&[0, 3_000, 60_000, 119_000, 121_000]);
                let result = if world.chance.percent(80) { Ok(()) } else { Err("the gate does not move".into()) };
                if world.calm || world.chance.percent(80) {
                    world.tell(wait, Event::GateAnswered { id, result });
                }
            }
            Effect::AskReboot => {
                let result = if world.chance.percent(80) { Ok(()) } else { Err("polkit says no".into()) };
                let wait = world.chance.below(3_000);
                world.tell(wait, Event::RebootAnswered { result });
            }
            // Now and then the board stays up after all.
            Effect::Reboot if world.calm || world.chance.percent(20) => world.tell(120_000, Event::NotRebooted),
            Effect::Reboot => self.journal.power.dies(),
            Effect::CheckConfig { .. } => {
                let digest = || Digest::of(&[]);
                let result = match world.chance.below(10) {
                    0 => Ok(None),
                    1 => Err(NotUsed::Wrong(vec!["it is wrong".into()])),
                    2 => Err(NotUsed::NotFetched("nobody has the picture".into())),
                    _ => Ok(Some(Checked { config: digest(), base: digest(), text: None })),
                };
                let wait = world.chance.below(3_000);
                world.tell(wait, Event::ConfigChecked { result });
            }
            // This machine has one copy of its software.
            Effect::Update(_) => {}
            // The daemon that starts anew forgets as much as one that is cut off.
            Effect::StartAnew => {
                self.starts_anew = true;
                self.journal.power.dies();
            }
            Effect::Find { .. }
            | Effect::PrintReport { .. }
            | Effect::PrintTest
            | Effect::ResendEvents { .. }
            | Effect::CheckPin { .. }
            | Effect::Tell { .. }
            | Effect::CallForHelp
            | Effect::CantDecide { .. } => {}
        }
    }

    fn start(&mut self) -> Result<(), Died> {
        let boot = BootId::parse(&format!("{}", self.world.boot)).unwrap();
        let (open, answers) = (self.world.door_open, !self.world.board_silent);
        self.step(Event::Started { boot, version: "0".into() })?;
        self.step(Event::Condition(Condition::Door { open }))?;
        for (which, on) in self.blocked.clone() {
            self.trouble_of(which, on)?;
        }
        self.step(Event::Condition(Condition::Board { answers }))?;
        // Nothing else waits for these.
        if self.state.configuration.trial.is_some() {
            if !self.blocked.get("glass").copied().unwrap_or_default() {
                self.step(Event::Condition(Condition::Glass { dark: None }))?;
            }
            if self.world.chance.percent(80) {
                self.step(Event::Condition(Condition::Fleet { connected: true }))?;
            }
        }
        Ok(())
    }

    fn crash_and_restart(&mut self) {
        loop {
            self.crashes += 1;
            self.starts_anew = false;
            self.say(|| "~~ the power is cut ~~".into());
            self.journal.crash();
            self.world.crash();
            self.boot_at = self.world.now;
            let mut recovered = self.journal.recover();
            if let Some(mutant) = self.mutant {
                mutant.recovered(&mut recovered);
            }
            self.state = blank(&self.policy, self.shop.as_ref());
            self.state.shop.recall(self.journal.memory()).expect("it was written by the shop");
            self.state.restore(recovered);
            if self.state.configuration.trial.is_some() && self.world.chance.percent(20) {
                let why = Cause::NotStarted { detail: "it has died".into() };
                self.state.configuration.given_up = Some(why);
            }
            if self.start().is_ok() {
                return checks::after_a_start(self);
            }
        }
    }

    /// The ledger takes nothing more in this boot.
    pub fn failed(&self) -> bool {
        self.state.conditions.ledger_failed.is_some()
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
    let waits = order.claim.as_ref().is_some_and(|claim| claim.until_told);
    order.claim_open() && !waits && order.charges.iter().all(|charge| charge.settled)
}

/// Used by the checks: what the board truly said.
pub fn is_tested_no(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Nothing { self_tested: true })
}
