//! Reports the kiosk's state to the glass, the fleet, the bus, the service manager, the login banner and the world.
//!
//! Policy: what each of them should know is made from the state, and sent where it differs from what was sent last.
//! Nothing is sent because something happened, so nothing can be forgotten.

use std::sync::Arc;

use serde_json::Value;

use super::HELP_WANTED;
use super::glass::GlassContent;
use super::lane::Lane;
use super::notices::Notice;
use super::status::{Facts, Status};
use super::{Clock, Input, Kiosk, bus, scene};
use crate::dbus::Answered;
use crate::fleet::link::Link;
use crate::ledger::{LedgerError, Reader};
use crate::operation::{Actor, Known, Operation, Outcome, Refusal, Request, RequestId, Rights};
use crate::sale;
use crate::sale::event::Event;
use crate::service::{self, Notification};
use crate::vocabulary::{Mono, Wall};
use crate::world::{Question, ToWorld, World};

/// Orders that the page is told of, the newest: what the world's socket carries in one message.
const NEWEST: usize = 5_000;

/// So many of the newest operations are told.
const OPERATIONS: usize = 50;

/// A request whose outcome somebody waits for.
pub(super) struct PendingOperation {
    request: Request,
    waits: Vec<Answered>,
}

impl Kiosk {
    /// State document, status line, alarms and glass follow the state. The glass comes last: who sees a page there and
    /// asks for the state gets one that is not older.
    pub(super) fn show(&mut self) {
        self.check_itself();
        let now = self.clock.now();
        self.light_the_sign();
        self.follow(now);
        self.tally.follow(now, self.told.as_ref().is_some_and(|told| told.selling), &self.state);
        let code = |order: &sale::Order| Some(self.receipt_header.code(order, &self.state));
        let mark = self.touch.shown_mark(self.state.conditions.maintenance);
        let showing = GlassContent { view: self.state.view(now, code), mark, order: scene::order(&self.state) };
        if self.shown.as_ref() != Some(&showing) {
            self.edges.glass.show(showing.clone());
            self.shown = Some(showing);
        }
    }

    fn follow(&mut self, now: Mono) {
        self.turns += 1;
        let wall = Clock::wall();
        self.devices.follow(&self.state.conditions, self.ready, wall);
        let facts = self.facts(now, wall);
        let told = self.told.as_ref();
        if !self.recorded && told.is_some_and(|told| told.holds(&facts)) {
            debug_assert!(told.is_some_and(|told| told.says(&Status::of(&facts))), "something else has changed");
            return;
        }
        let status = Status::of(&facts);
        self.recorded = false;
        self.made += 1;
        self.tell_status(status);
    }

    pub(super) fn facts(&self, now: Mono, wall: Option<Wall>) -> Facts<'_> {
        Facts {
            config: &self.config,
            in_force: &self.in_force.status,
            boot: &self.boot,
            state: &self.state,
            ledger: self.ledger.as_ref(),
            devices: &self.devices,
            temperature_milli_c: self.temperature_milli_c,
            second_kiosk: self.second_kiosk,
            rejections: self.rejections,
            commands_rejected: &self.commands_rejected,
            update_progress: self.update_progress.as_deref(),
            lane: self.lane.as_ref().map(Lane::status),
            help_wanted: self.help_called.is_some_and(|at| now.since(at) < HELP_WANTED),
            now,
            wall,
        }
    }

    /// Each of those who listen is told where it differs from what they were told last.
    fn tell_status(&mut self, status: Status) {
        let told = self.told.take();
        if let Some(bus) = &self.bus {
            bus.show(bus::shown(&status));
        }
        if told.as_ref().is_none_or(|told| !told.says_to_fleet(&status)) {
            self.tell(&ToWorld::State { document: status.document() });
        }
        if let Some(link) = &self.link {
            tell_fleet(link, told.as_ref(), &status);
        }
        if let Some(banner) = &mut self.banner {
            banner.tell(&status, &self.config.kiosk.time_zone);
        }
        let line = status.to_string();
        if told.as_ref().is_none_or(|told| told.to_string() != line) {
            service::notify(&Notification::Status(&line));
        }
        self.told = Some(status);
    }

    /// What only the kiosk knows, for the world's page. Who reads the ledger is answered once that is done.
    pub(super) fn answer(&mut self, id: u64, ask: Question) {
        if let Question::Operate { id: number, asked } = ask {
            let request =
                Request { id: number, by: Actor::Demo, rights: Rights::ALL, live: true, expired: false, asked };
            let Some(world) = self.world.clone() else { return };
            let inspects = matches!(request.asked, Operation::Inspect).then(|| self.edges.inputs.clone());
            let answered = move |outcome: Result<Outcome, String>| {
                if let (Some(inputs), Ok(Outcome::Changed { .. })) = (inspects, &outcome) {
                    drop(inputs.send(Input::Inspect(Box::new(|_| ()))));
                }
                let answer = outcome.map_or_else(|why| told_error(&why), |outcome| serde_json::json!(outcome));
                say(&world, &ToWorld::Answer { id, answer });
            };
            return self.operate(request, Box::new(answered));
        }
        let (Some(reads), Some(world)) = (&self.reads, &self.world) else {
            return self.tell(&ToWorld::Answer { id, answer: Value::Null });
        };
        let world = Arc::clone(world);
        let read = move |reader: &Reader| {
            let answer = read(reader, &ask).unwrap_or_else(|error| told_error(&error));
            say(&world, &ToWorld::Answer { id, answer });
        };
        if let Err(busy) = reads.ask(read) {
            self.tell(&ToWorld::Answer { id, answer: told_error(&busy) });
        }
    }

    /// Somebody out there asks for something, and waits. Whether the ledger knows the request is read first; whoever asks
    /// the same meanwhile waits with them.
    pub(super) fn operate(&mut self, request: Request, answered: Answered) {
        if let Some(asking) = self.pending_operations.get_mut(&request.id) {
            if asking.request == request {
                return asking.waits.push(answered);
            }
            return answered(Ok(Outcome::Refused { why: Refusal::NumberTaken }));
        }
        let Some(reads) = &self.reads else {
            return answered(Err("the ledger can't be used; nothing can be asked of the machine".into()));
        };
        let (inputs, wanted) = (self.edges.inputs.clone(), request.clone());
        reads.own(move |reader| {
            let known = reader.operation(&wanted.id);
            drop(inputs.send(Input::Asked { request: wanted, known }));
        });
        self.pending_operations.insert(request.id.clone(), PendingOperation { request, waits: vec![answered] });
    }

    /// What the ledger knows of a request has been read.
    pub(super) fn asked(&mut self, request: Request, known: Result<Option<Known>, LedgerError>) {
        let number = request.id.clone();
        if !self.still_counts(&request.by) {
            return self.answer_all(&number, &Err("the key is revoked".into()));
        }
        match (known, &request.asked) {
            (Err(error), _) => self.answer_all(&number, &Err(error.to_string())),
            (Ok(known), Operation::Refund { order, .. }) => {
                let order = *order;
                self.notice(Notice::Refund { order, asked: Box::new((request, known)) });
            }
            (Ok(known), _) => self.decide(request, known),
        }
    }

    /// Everything that has to be read has been read.
    pub(super) fn decide(&mut self, request: Request, known: Option<Known>) {
        let number = request.id.clone();
        if let Err(not) = self.try_step(Event::Asked { request, known }) {
            self.answer_all(&number, &Err(not.to_string()));
        }
    }

    /// What came of it; whoever has gone meanwhile finds it in the ledger.
    pub(super) fn answered(&mut self, number: &RequestId, outcome: &Outcome) {
        match outcome {
            // What is wrong may repeat what was written; the office is told, and it is on record.
            Outcome::Refused { why: Refusal::BadConfig { problems } } => {
                tracing::info!(%number, problems = problems.len(), "an operation has ended: its configuration is wrong");
            }
            _ => tracing::info!(%number, %outcome, "an operation has ended"),
        }
        if !self.pending_operations.contains_key(number) {
            self.tell_ended(number);
        }
        self.answer_all(number, &Ok(outcome.clone()));
    }

    pub(super) fn answer_all(&mut self, number: &RequestId, answer: &Result<Outcome, String>) {
        let waits = self.pending_operations.remove(number).map(|asking| asking.waits).unwrap_or_default();
        waits.into_iter().for_each(|answered| answered(answer.clone()));
    }

    fn tell(&self, message: &ToWorld) {
        if let Some(world) = &self.world {
            say(world, message);
        }
    }
}

/// The fleet hears its state and its alarms where they differ from what was `told` last.
pub(crate) fn tell_fleet(link: &Link, told: Option<&Status>, status: &Status) {
    if told.is_none_or(|told| !told.says_to_fleet(status)) {
        link.state(status.document());
    }
    let (was, is) = (told.map(Status::alarms).unwrap_or_default(), status.alarms());
    for (kind, alarm) in &is {
        if was.get(kind) != Some(alarm) {
            link.alarm(kind, Some(status.alarm(alarm)));
        }
    }
    for kind in was.keys().filter(|kind| !is.contains_key(*kind)) {
        link.alarm(kind, None);
    }
}

fn say(world: &World, message: &ToWorld) {
    if let Err(error) = world.tell(message, &[]) {
        tracing::debug!(%error, "the simulated world did not take a message");
    }
}

fn read(reader: &Reader, ask: &Question) -> Result<Value, LedgerError> {
    match ask {
        Question::Orders => reader.orders(NEWEST),
        Question::Why { order } => Ok(reader.why(order.as_deref())?.map_or(Value::Null, |story| {
            let mut told = story.json();
            told["text"] = story.to_string().into();
            told
        })),
        Question::Operations => Ok(serde_json::json!({ "operations": reader.operations(OPERATIONS)? })),
        // Not a read.
        Question::Operate { .. } => Ok(Value::Null),
    }
}

fn told_error(error: &impl std::fmt::Display) -> Value {
    serde_json::json!({ "error": error.to_string() })
}
