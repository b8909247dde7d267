//! The sale: a pure state machine. [`next`] takes what happened and answers with the records to commit and the effects to
//! carry out after that; it does no I/O, reads no clock and knows no device.
//!
//! Policy, in the order it matters:
//! - Nothing is energised but for a verified payment of exactly the order's amount, each intent once (P1, P8).
//! - What was paid and did not fall goes back, by refunds that are records before they are requests (P2, P3).
//! - Unknown is neither paid nor unpaid: it is asked again until the provider has said, or past every time-out.
//! - The QR is on the glass only while the machine can deliver (P6).
//!
//! State is two things: the current order, at most one, on the glass; and every other order on which something is still
//! open, which settles in the background and never stops selling.
//!
//! Where to look: [`record`] what is written down · [`order`] what an order is, as a fold of its records · [`dialogue`]
//! the customer's pages · `codes` order numbers · [`shop`] what is sold and where it comes out · `offer` from a basket to a
//! charge · [`presented`] what is held before the scanner, and what it costs · `operate` what people ask of it · `gate` what they wish of a lane · `pulse` a relay
//! that is tried · `reboot` of the board · `configuration` that is tried · [`update`] of the [`software`] · `deliver` ·
//! `settle` charges and refunds · `recover` after a restart ·
//! `conditions` when it may sell · [`view`] an order as people see it.

pub mod codes;
mod conditions;
pub mod configuration;
mod deliver;
pub mod dialogue;
pub mod event;
mod gate;
mod offer;
mod operate;
pub mod order;
pub mod policy;
pub mod presented;
mod pulse;
mod reboot;
pub mod record;
pub mod recover;
mod settle;
pub mod shop;
pub mod software;
#[cfg(test)]
mod tests;
pub mod update;
pub mod view;

use std::collections::BTreeMap;

pub use conditions::Conditions;
pub use configuration::Configuration;
pub use dialogue::{Dialogue, Key, PinGuard, Touch};
pub use event::{Condition, Effect, Event, GateAsk, Illegal, SelfCheck};
pub use gate::Wish;
pub use offer::ORDER_NOTE;
pub use order::Order;
pub use policy::Policy;
use presented::LetThrough;
pub use pulse::Pulse;
pub use reboot::Reboot;
pub use record::Record;

pub use settle::PendingRefunds;
pub use shop::Shop;
pub use update::Updates;

use crate::operation::{Actor, KeyName, ReplayWindow, RequestId};
use crate::vocabulary::{Language, Mono, OrderId, Outlet, Stamp};

/// What the kiosk knows. Everything durable in it is in the ledger too.
#[derive(Debug, Clone)]
pub struct State {
    pub policy: Policy,
    pub shop: Box<dyn Shop>,
    pub conditions: Conditions,
    pub dialogue: Dialogue,
    /// Orders on which something is open, and the one whose result is on the glass.
    pub orders: BTreeMap<OrderId, Order>,
    /// The order on the glass that waits for its payment or is being delivered.
    pub current: Option<OrderId>,
    /// The newest order number given out; the next is greater whatever the clock says.
    pub last_order: Option<OrderId>,
    pub codes: codes::Codes,
    /// The ledger's last word was that sales are stopped.
    pub announced_stop: bool,
    /// Orders in a row that nobody paid.
    pub unpaid_in_a_row: u32,
    /// Begun in an earlier run and not ended.
    pub open_operations: Vec<RequestId>,
    /// Which commands of each of the fleet's keys were taken.
    pub windows: BTreeMap<KeyName, ReplayWindow>,
    /// A relay that is being tried.
    pub pulse: Option<Pulse>,
    /// What people wish of the gate and the lane has not answered, the oldest first.
    pub wishes: Vec<Wish>,
    /// What is known of the stay about which this kiosk could not decide last.
    pub undecided: LetThrough,
    pub reboot: Reboot,
    /// The number of the last report; 0 before the first.
    pub last_report: u32,
    pub pin: PinGuard,
    /// What is under way about the configuration.
    pub configuration: Configuration,
    /// By a person; empty where nobody has. One that the configuration has no more is passed over.
    pub chosen_languages: Vec<Language>,
    pub updates: Updates,
}

/// The outcome of one event: first `records` are committed, all or none, then `effects` happen in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub records: Vec<Record>,
    pub effects: Vec<Effect>,
}

impl State {
    pub fn new(policy: Policy, shop: impl Shop + 'static) -> Self {
        Self::of(policy, Box::new(shop))
    }

    pub fn of(policy: Policy, shop: Box<dyn Shop>) -> Self {
        let dialogue = Dialogue::new(policy.languages.clone(), &*shop);
        Self {
            policy,
            shop,
            conditions: Conditions::default(),
            dialogue,
            orders: BTreeMap::new(),
            current: None,
            last_order: None,
            codes: codes::Codes::default(),
            announced_stop: false,
            unpaid_in_a_row: 0,
            open_operations: Vec::new(),
            windows: BTreeMap::new(),
            pulse: None,
            wishes: Vec::new(),
            undecided: LetThrough::default(),
            reboot: Reboot::default(),
            last_report: 0,
            pin: PinGuard::default(),
            configuration: Configuration::default(),
            chosen_languages: Vec::new(),
            updates: Updates::default(),
        }
    }

    /// What the glass offers from its next first page on, in this order: what a person has chosen, and where nothing of
    /// that is left, what the configuration has.
    pub fn languages(&self) -> Vec<Language> {
        let configured = &self.policy.languages;
        let chosen: Vec<Language> =
            self.chosen_languages.iter().filter(|language| configured.contains(language)).cloned().collect();
        if chosen.is_empty() { configured.clone() } else { chosen }
    }

    pub fn current_order(&self) -> Option<&Order> {
        self.orders.get(&self.current?)
    }

    /// What is known of an outlet.
    pub fn outlet(&self, outlet: &Outlet) -> Option<shop::OutletStatus> {
        self.shop.outlets().into_iter().find(|known| known.outlet == *outlet)
    }

    /// When [`Event::Tick`] is wanted next; `None` while nothing is timed.
    pub fn next_wake(&self, now: Mono) -> Option<Mono> {
        let (dialogue, settle) = (self.dialogue_wake(now), self.settle_wake());
        let (trial, update) = (self.trial_wake(now), self.update_wake(now));
        let (lease, probe, pause, wishes) =
            (self.lease_wake(), self.probe_wake(), self.pause_wake(), self.wishes_wake());
        [dialogue, lease, settle, probe, pause, trial, update, wishes, self.shop.wake()].into_iter().flatten().min()
    }
}

/// Takes one event. After an error nothing has changed; the error says why the event did not fit.
pub fn next(state: &mut State, at: &Stamp, event: Event) -> Result<Step, Illegal> {
    state.shop.clock(at);
    let mut turn = Turn { state, at: *at, step: Step::default() };
    match event {
        Event::Tick => {}
        Event::Touch(touch) => turn.touch(touch)?,
        Event::Chosen { units, grant, outlet } => turn.chosen(units, grant, outlet)?,
        Event::Presented(what) => turn.presented(&what)?,
        Event::PlateSeen { plate } => turn.plate_seen(&plate)?,
        Event::Heard { lane, message } => turn.heard(lane, &message)?,
        Event::Condition(condition) => turn.condition(condition),
        Event::Created { charge, result } => turn.created(&charge, result)?,
        Event::Reported { charge, result, asked } => turn.reported(&charge, result, asked)?,
        Event::CloseAnswered { charge, result } => turn.close_answered(&charge, result)?,
        Event::RefundAnswered { refund, charge, result } => turn.refund_answered(&charge, &refund, result)?,
        Event::Probed { rail, result } => turn.probed(&rail, result.is_ok()),
        Event::Prepared { delivery, reading } if turn.tries(delivery) => turn.pulse_prepared(reading),
        Event::NotEnergised { delivery, why } if turn.tries(delivery) => turn.pulse_not_energised(why),
        Event::Evidence { delivery, evidence } if turn.tries(delivery) => turn.pulse_evidence(&evidence),
        Event::Prepared { delivery, reading } => turn.prepared(delivery, reading)?,
        Event::NotEnergised { delivery, why } => turn.not_energised(delivery, why)?,
        Event::Evidence { delivery, evidence } => turn.evidence(delivery, evidence)?,
        Event::ReceiptDone { order, result } => turn.receipt_done(order, result)?,
        Event::Found { code, order } => turn.found(&code, order),
        Event::ServiceKey { on } => turn.service_key(on),
        Event::PinChecked { right } => turn.pin_checked(right)?,
        Event::Asked { request, known } => turn.asked(request, known),
        Event::GateAnswered { id, result } => turn.gate_answered(&id, result)?,
        Event::LetThrough { number } => turn.let_through(number),
        Event::RebootAnswered { result } => turn.reboot_answered(result)?,
        Event::NotRebooted => turn.not_rebooted(),
        Event::ConfigChecked { result } => turn.config_checked(result)?,
        Event::Update(event) => turn.update(event)?,
        Event::Started { boot, version } => turn.started(boot, version),
    }
    turn.conclude();
    Ok(turn.step)
}

/// One event being worked on. Every durable change goes through [`record`](Turn::record), so that what is remembered is
/// exactly what was written.
struct Turn<'a> {
    state: &'a mut State,
    at: Stamp,
    step: Step,
}

impl Turn<'_> {
    fn record(&mut self, record: Record) {
        match &record {
            Record::OrderOffered { order, .. } | Record::OrderGranted { order, .. } => {
                if let Some(new) = Order::begun(&record) {
                    self.state.last_order = Some(*order);
                    self.state.codes.remember(new.short_code.clone());
                    self.state.orders.insert(*order, new);
                }
            }
            Record::SalesStopped { .. } => self.state.announced_stop = true,
            Record::SalesResumed {} => self.state.announced_stop = false,
            Record::KioskLocked { reason } => self.state.conditions.locked = Some(reason.clone()),
            Record::KioskUnlocked {} => self.state.conditions.locked = None,
            Record::MaintenanceBegun {} => self.state.conditions.maintenance = true,
            Record::MaintenanceEnded {} => self.state.conditions.maintenance = false,
            Record::CashedUp { number, .. } => self.state.last_report = *number,
            Record::LanguagesChosen { languages } => {
                self.state.chosen_languages.clone_from(languages);
                self.languages_were_chosen();
            }
            Record::ServicePinRefused { in_a_row } => self.state.pin = PinGuard::after(*in_a_row, self.at.now),
            Record::ServiceOpened {} => self.state.pin = PinGuard::default(),
            Record::OperationBegun { by: Actor::Fleet { kid, counter }, .. } => {
                self.state.windows.entry(kid.clone()).or_default().take(*counter);
            }
            Record::ConfigKept { .. } | Record::ConfigRejected { .. } => self.state.configuration.trial = None,
            Record::OperationEnded { id, outcome } => self.state.dialogue.operation_ended(id, outcome),
            _ => {}
        }
        self.state.updates.apply(&record);
        if let Some(order) = record.order().and_then(|id| self.state.orders.get_mut(&id)) {
            order.apply(&record);
        }
        self.state.shop.apply(&record);
        let notes = self.state.shop.notes(&record, record.order().and_then(|id| self.state.orders.get(&id)));
        self.step.records.push(record);
        for shop::Note { key, value } in notes {
            let noted = Record::ShopNoted { key, value };
            self.state.shop.apply(&noted);
            self.step.records.push(noted);
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    /// What every event may have made true: conditions lost, times passed, money owed, orders done.
    fn conclude(&mut self) {
        self.end_pauses();
        self.end_wishes();
        self.hold_lease();
        self.dialogue_timers();
        self.serve_the_car();
        self.settle_all();
        self.print_claims();
        self.announce();
        self.configure();
        self.go_on_with_the_update();
        self.tell_the_site();
        self.sweep();
    }

    /// Another lane of the site has spoken.
    fn heard(&mut self, lane: u8, message: &[u8]) -> Result<(), Illegal> {
        self.state.shop.heard(lane, message).map_err(|why| Illegal::NotBelieved { lane, why })
    }

    /// What the shop has found out is noted, and what other lanes of the site have not heard is told; it is on disk then.
    fn tell_the_site(&mut self) {
        for shop::Note { key, value } in self.state.shop.news() {
            self.record(Record::ShopNoted { key, value });
        }
        if let Some(message) = self.state.shop.tells() {
            self.effect(Effect::Tell { message });
        }
    }

    /// Forgets orders on which nothing is open, that are not on the glass and whose receipt is not under way. The ledger
    /// keeps them. What this step wrote about stays until the next step: its commit still reads it.
    fn sweep(&mut self) {
        let shown = self.state.dialogue.shown_order();
        let current = self.state.current;
        let written: Vec<_> = self.step.records.iter().filter_map(Record::order).collect();
        self.state.orders.retain(|id, order| {
            let open = !order.ended || order.printing.is_some();
            open || Some(*id) == shown || Some(*id) == current || written.contains(id)
        });
    }
}
