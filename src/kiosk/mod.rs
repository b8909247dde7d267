//! The composition root: everything is put together in [`run`], and one event loop owns the kiosk's state.
//!
//! Policy: the loop takes one event, calls the pure [`sale::next`], commits its records, and only then hands its
//! effects to the edges. Edges never touch the state; they answer with events. Reads go round the loop. The first named
//! part to die ends the process, and whoever started it starts it again from disk.

pub mod banner;
mod broken;
mod bus;
pub mod check;
pub(crate) mod clock;
pub(crate) mod commands;
pub(crate) mod configuration;
pub mod contract;
pub mod devices;
pub(crate) mod edges;
pub(crate) mod figures;
mod files;
mod gateway;
mod glass;
mod input;
pub(crate) mod inspection;
mod lane;
mod media;
mod notices;
pub(crate) mod outbox;
pub mod parking;
mod pin;
mod print_queue;
mod reads;
mod reboot;
mod receipts;
mod reports;
mod scene;
mod self_check;
mod sensors;
mod software;
pub(crate) mod start;
pub mod status;
pub(crate) mod tell;
pub mod turn;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::board::BoardEvent;
use crate::config::{self, Config, Span};
use crate::dbus::{self, Served};
use crate::fleet::command::{self, CommandDesk};
use crate::fleet::link::{FleetEvent, Link};
use crate::ledger::{CashUp, DirectoryLock, Ledger, LedgerError};
use crate::operation::{Known, Request, RequestId};
use crate::payment::gateway::Rejections;
use crate::printer::PrinterStatus;
use crate::sale::event::{Condition, Effect, Event};
use crate::sale::order::Receipt;
use crate::sale::record::Slip;
use crate::sale::{Order, Record, State};
use crate::service::{self, Heartbeat, Log, Notification};
use crate::vending::TemperatureWatch;
use crate::vocabulary::{BootId, Cause, Mono, OrderId, Outlet, Point};
use crate::world::{Question, World};

pub use bus::writer;

use banner::Banner;
use broken::Explained;
use clock::Clock;
use configuration::{Chosen, InForce};
use devices::{Devices, LinkStatus};
use edges::Edges;
use glass::{GlassContent, GlassHandle};
use lane::Lane;
use media::{Media, Sweep};
use notices::Notice;
use reads::Reads;
use receipts::ReceiptHeader;
use status::Status;
use turn::TurnError;

/// How often room on the disk and in the outbox is looked at, while anything happens at all.
const ROOM_EVERY: Duration = Duration::from_secs(1);

/// Somebody who was called to the kiosk is told of it for so long, if nobody is known to have come before.
const HELP_WANTED: Duration = Duration::from_secs(600);

/// What `kioskd run` was told beside its configuration.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub config: PathBuf,
    /// Where the simulated drivers find their world.
    pub world: Option<PathBuf>,
    /// In place of the configuration's.
    pub state: Option<PathBuf>,
    pub panel: Option<(u32, u32)>,
    pub broker: Option<String>,
    /// Holds `kiosk.key` and `back-end.pem`, for where the configuration names neither.
    pub keys: Option<PathBuf>,
    /// What is logged, for who asks over the fleet.
    pub log: Log,
}

#[derive(Debug, thiserror::Error)]
pub enum KioskError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error("{path}: {source}", path = path.display())]
    World { path: PathBuf, source: crate::world::WireError },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Rail(#[from] crate::payment::open::OpenError),
    #[error("[fleet]: {0}")]
    Keys(#[from] crate::signed::keys::KeyError),
    #[error("the glass")]
    Panel(#[from] crate::screen::PanelError),
    #[error("the board: {0}")]
    Board(#[from] crate::board::BoardError),
    #[error("the broker `{0}`: {1}")]
    Broker(String, String),
    #[error(transparent)]
    Parking(#[from] parking::ParkingError),
    #[error("the fleet: {0}")]
    Tls(#[from] crate::fleet::tls::TlsError),
    #[error("could not start {what}: {source}")]
    Start { what: &'static str, source: std::io::Error },
    #[error("{part} has ended: {why}")]
    Died { part: &'static str, why: String },
}

/// What reaches the loop.
pub(crate) enum Input {
    Event(Event),
    /// The world's finger: where it is on the panel that the world draws, in pixels, and when by the world's clock.
    Finger {
        at: Option<Point>,
        ms: u64,
    },
    /// A provider, or the gateway, spoke by itself; verified, and not taken before.
    Notice(Notice),
    /// An order that was settled and has news, as the ledger has it.
    Old {
        id: OrderId,
        order: Result<Option<Box<Order>>, String>,
    },
    /// How far an update has come, in the installer's words.
    UpdateProgress(String),
    /// From an input device of the kernel.
    Device(crate::input::InputEvent),
    Board(BoardEvent),
    Line {
        line: String,
        active: bool,
    },
    Fleet(FleetEvent),
    /// What was said in the gateway's name and not believed.
    PayRejected(Rejections),
    Question {
        id: u64,
        ask: Question,
    },
    /// What the ledger knows of a request has been read.
    Asked {
        request: Request,
        known: Result<Option<Known>, LedgerError>,
    },
    /// A report has been read, to be printed.
    Report {
        report: Box<CashUp>,
        copy: bool,
    },
    /// Somebody on the machine's bus.
    Bus(dbus::Ask),
    Printer(PrinterStatus),
    /// Somebody wants to know how the kiosk is, in numbers.
    Figures(figures::Wants),
    /// It is time for an inspection, or somebody has asked for one.
    Inspect(inspection::Told),
    /// The watchdog asks whether the loop turns.
    Nudge,
    Stop,
    /// The world's socket has ended: there is nothing left to drive.
    WorldGone,
    Died {
        part: &'static str,
        why: String,
    },
}

/// How a run ended that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// It is to be started anew at once, from disk: another configuration is in force.
    StartAnew,
}

/// Runs the kiosk until it is told to stop, or has to start anew.
///
/// # Errors
/// It could not start, or a part of it has died. A service manager's kiosk that could not start has said so on the glass.
pub fn run(options: &Options) -> Result<Ended, KioskError> {
    let mut trial = None;
    let chosen = configuration::choose(options, check::parse);
    let begun = chosen.and_then(|chosen| {
        trial = chosen.in_force.trial();
        begin(options, chosen)
    });
    let (mut kiosk, queue, _watch) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            if trial.is_some_and(|trial| trial.failed(&error)) {
                return Ok(Ended::StartAnew);
            }
            return match broken::explain(options, &error) {
                Explained::Yes => Ok(Ended::Stopped),
                Explained::No => Err(error),
            };
        }
    };
    let trial = kiosk.in_force.trial();
    let end = kiosk.turn_until_stopped(&queue).or_else(|error| match trial.is_some_and(|trial| trial.failed(&error)) {
        true => Ok(Ended::StartAnew),
        false => Err(error),
    });
    // Whoever starts anew is the same process, and does not stop for its service manager.
    if !matches!(end, Ok(Ended::StartAnew)) {
        service::notify(&Notification::Stopping);
    }
    kiosk.end();
    end
}

/// Puts everything together; the first page is on its way to the glass then.
fn begin(
    options: &Options,
    Chosen { config, in_force, lock }: Chosen,
) -> Result<(Kiosk, Receiver<Input>, Option<service::Watch>), KioskError> {
    #[cfg(feature = "systemd")]
    service::journal::name_kiosk(&config.kiosk.fleet, &config.kiosk.id);
    let clock = Clock::start();
    let (inputs, queue) = channel();
    let lock = match lock {
        Err(held @ LedgerError::Held { .. }) => return Err(held.into()),
        other => other,
    };
    let supervisor = start::supervisor(inputs.clone());

    // Only simulated drivers miss it, and they say so.
    let world = options.world.as_ref();
    let world = world.map(|socket| start::connect(socket, &supervisor, inputs.clone())).transpose()?;
    let edges = Edges::start(&config, world.as_ref(), &supervisor, inputs.clone())?;
    edges.stop_on_signal();
    let heartbeat = Heartbeat::default();
    let watch = start::watch(&supervisor, &edges, &heartbeat, inputs)?;

    let mut kiosk = Kiosk::open(lock, config, in_force, clock, world, edges, heartbeat)?;
    kiosk.log = options.log.clone();
    Ok((kiosk, queue, watch))
}

struct Kiosk {
    /// The service manager knows.
    ready: bool,
    /// The self-check is passed.
    checked: bool,
    heartbeat: Heartbeat,
    log: Log,
    config: Config,
    in_force: InForce,
    receipt_header: ReceiptHeader,
    clock: Clock,
    boot: BootId,
    state: State,
    /// `None` where the file could not be opened.
    ledger: Option<Ledger>,
    reads: Option<Reads>,
    waiting_notices: notices::WaitingNotices,
    world: Option<Arc<World>>,
    edges: Edges,
    link: Option<Link>,
    bus: Option<Served>,
    banner: Option<Banner>,
    shown: Option<GlassContent>,
    touch: input::TouchState,
    devices: Devices,
    /// Of the last measurement.
    temperature_milli_c: Option<i32>,
    second_kiosk: Option<&'static str>,
    /// A record was written since the status was last looked at.
    recorded: bool,
    told: Option<Status>,
    /// As soon as this turn is over.
    starts_anew: bool,
    tally: figures::Tally,
    /// How often the loop has turned, and how often the status was made.
    turns: u64,
    made: u64,
    room_looked_at: Option<Mono>,
    /// The run before ended with a receipt not accounted for, or one in which a report was asked for: it may have ended in
    /// the middle of it.
    unprinted: bool,
    rejections: Option<Rejections>,
    /// Who opens the fleet's commands.
    desk: Option<Arc<CommandDesk>>,
    commands_rejected: command::Rejections,
    warmth: TemperatureWatch,
    /// The gate at which the kiosk stands.
    lane: Option<Lane>,
    /// When a customer called for a person last, until somebody has come.
    help_called: Option<Mono>,
    /// The installer's last words.
    update_progress: Option<String>,
    /// Requests whose outcome somebody waits for.
    pending_operations: BTreeMap<RequestId, tell::PendingOperation>,
}

impl Kiosk {
    /// Takes the ledger up where it stood, and joins the fleet.
    fn open(
        lock: Result<DirectoryLock, LedgerError>,
        config: Config,
        mut in_force: InForce,
        clock: Clock,
        world: Option<Arc<World>>,
        edges: Edges,
        heartbeat: Heartbeat,
    ) -> Result<Self, KioskError> {
        let boot = start::new_boot();
        let mut state = State::of(start::policy(&config), start::shop(&config)?);
        let opened = start::open_ledger(lock, &config, &boot, &clock.stamp(), &mut state);
        let (ledger, reader, failure) = match opened {
            Ok((ledger, reader)) => {
                let media = Media::new(&config);
                in_force.look_for_media(&media);
                in_force.sweep_at_start(&media, &reader);
                state.configuration.given_up = in_force.why_not_tried(&state);
                (Some(ledger), Some(reader), None)
            }
            Err(error) => {
                tracing::error!(%error, "the ledger can't be used, so nothing is sold");
                (None, None, Some(error.to_string()))
            }
        };
        let lane = Lane::recover(&config, reader.as_ref(), clock.now())?;
        let mut unprinted = false;
        let mut desk = None;
        let (link, reads) = match reader {
            Some(reader) => {
                desk = commands::desk(&config, &boot, &reader)?;
                let trial = state.configuration.trial.as_ref().map(|trial| &trial.id);
                let goes_on: Vec<&RequestId> = trial.into_iter().chain(state.updates.operation()).collect();
                let told_again =
                    commands::told_again(&reader, &state.open_operations, &goes_on).unwrap_or_else(|error| {
                        tracing::warn!(%error, "what the newest commands have come to could not be read");
                        Vec::new()
                    });
                // In doubt the printer throws away what it holds.
                unprinted = reader.report_may_be_half_printed().unwrap_or(true);
                let reads = Reads::start(reader, &edges.supervisor);
                let reads = reads.map_err(|source| KioskError::Start { what: "the ledger's reader", source })?;
                let link = edges.fleet(&config, &boot, desk.clone())?;
                if let Some(link) = link.as_ref().filter(|_| desk.is_some()) {
                    told_again.into_iter().for_each(|status| link.status_sender().tell(status));
                }
                (link, Some(reads))
            }
            None => (None, None),
        };
        unprinted |= state
            .orders
            .values()
            .any(|order| order.bought().is_some() && order.receipt == Receipt::NotYet || order.wants_claim_slip());
        let mut kiosk = Kiosk {
            ready: false,
            checked: false,
            heartbeat,
            log: Log::default(),
            unprinted,
            rejections: None,
            desk,
            commands_rejected: command::Rejections::default(),
            update_progress: None,
            pending_operations: BTreeMap::new(),
            warmth: start::warmth(&config),
            lane,
            help_called: None,
            receipt_header: ReceiptHeader::new(&config),
            shown: None,
            touch: input::TouchState::new(&config),
            devices: Devices::of(&config),
            temperature_milli_c: None,
            second_kiosk: None,
            recorded: true,
            told: None,
            starts_anew: false,
            tally: figures::Tally::default(),
            turns: 0,
            made: 0,
            room_looked_at: None,
            clock,
            boot,
            state,
            ledger,
            reads,
            waiting_notices: notices::WaitingNotices::default(),
            world,
            bus: bus::start(&config, &edges)?,
            banner: Banner::here(),
            config,
            in_force,
            edges,
            link,
        };
        kiosk.begin(failure);
        Ok(kiosk)
    }

    fn begin(&mut self, failure: Option<String>) {
        match failure {
            Some(why) => {
                self.ledger_failed();
                self.step(Event::Condition(Condition::LedgerFailed { why }));
                self.begin_lane();
            }
            None => {
                self.begin_lane();
                let version = env!("CARGO_PKG_VERSION").to_owned();
                self.step(Event::Started { boot: self.boot.clone(), version });
            }
        }
        self.look_at_room();
        self.show();
        self.end_the_self_check();
        self.tell_figures();
        self.tell_inspections();
    }

    /// The event loop.
    fn turn_until_stopped(&mut self, queue: &Receiver<Input>) -> Result<Ended, KioskError> {
        loop {
            if self.starts_anew {
                return Ok(Ended::StartAnew);
            }
            let now = self.clock.now();
            self.heartbeat.beat();
            self.tick_lane();
            let of_lane = self.lane.as_ref().and_then(Lane::next_wake);
            let help = self.help_called.map(|at| at + HELP_WANTED).filter(|at| *at > now);
            let wake = self.state.next_wake(now).into_iter().chain(of_lane).chain(help).min().map(|at| at.since(now));
            let overdue = self.edges.board.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
            let input = match wake.into_iter().chain(overdue).min() {
                Some(wait) => queue.recv_timeout(wait),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.edges.board.answer_overdue(Instant::now());
            match input {
                Ok(Input::Stop) => return Ok(Ended::Stopped),
                Ok(Input::WorldGone) => {
                    tracing::info!("the simulated world has closed its socket");
                    return Ok(Ended::Stopped);
                }
                Ok(Input::Died { part, why }) => return Err(KioskError::Died { part, why }),
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Timeout) => self.step(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(KioskError::Died {
                        part: "the event queue",
                        why: "nobody is left to write to it".into(),
                    });
                }
            }
            self.look_at_room();
            self.show();
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => {
                // The glass's first word, lit or dark: a kiosk without a screen is ready too, and says what it lacks.
                if !self.ready && matches!(event, Event::Condition(Condition::Glass { .. })) {
                    self.ready = true;
                    let dark = matches!(event, Event::Condition(Condition::Glass { dark: Some(_) }));
                    service::notify(&Notification::Ready(if dark {
                        "started, with a dark glass"
                    } else {
                        "first frame shown"
                    }));
                }
                if matches!(event, Event::ConfigChecked { .. }) {
                    self.in_force.look_for_media(&Media::new(&self.config));
                    self.recorded = true;
                }
                self.step(event);
            }
            Input::Nudge => {}
            Input::UpdateProgress(text) => {
                tracing::info!(text, "an update goes on");
                self.update_progress = Some(text);
            }
            Input::Finger { at, ms } => self.finger(at, ms),
            Input::Notice(notice) => self.notice(notice),
            Input::Old { id, order } => self.revive(id, order),
            Input::Device(event) => self.input(event),
            Input::Board(BoardEvent::Button { slot }) => self.pressed(&slot),
            Input::Board(BoardEvent::Temperature { milli }) => self.measured(milli),
            Input::Board(BoardEvent::Gate(event)) => self.gate_event(event),
            Input::Board(event) => {
                if let BoardEvent::Prepared { reading, .. } = &event {
                    self.sensed(reading);
                }
                if let Some(event) = board_event(event) {
                    self.step(event);
                }
            }
            Input::Line { line, active } => self.edges.board.input_changed(&line, active),
            Input::Fleet(event) => self.fleet_event(event),
            Input::PayRejected(rejections) => self.rejections = Some(rejections),
            Input::Question { id, ask } => self.answer(id, ask),
            Input::Asked { request, known } => self.asked(request, known),
            Input::Report { report, copy } => self.print_report(&report, copy),
            Input::Bus(ask) => self.asked_on_the_bus(ask),
            Input::Printer(status) => self.devices.printer = status,
            Input::Figures(wants) => self.wanted(wants),
            Input::Inspect(told) => self.inspect(told),
            Input::Stop | Input::WorldGone | Input::Died { .. } => {}
        }
    }

    /// One event, whole: decide, commit, then act.
    fn step(&mut self, event: Event) {
        let result = self.try_step(event);
        self.stepped(result);
    }

    /// What came of one event.
    fn stepped(&mut self, result: Result<(), TurnError>) {
        match result {
            Ok(()) => {}
            Err(not @ TurnError::Failed(_)) => {
                tracing::error!("{not}");
                self.ledger_failed();
            }
            Err(not) => tracing::debug!(%not, "an event had no effect"),
        }
    }

    fn try_step(&mut self, event: Event) -> Result<(), TurnError> {
        let at = self.clock.stamp();
        let step = turn::turn(&mut self.state, self.ledger.as_mut(), &at, event).inspect_err(|not| {
            // What was not written may have changed the state all the same.
            self.recorded |= !matches!(not, TurnError::Illegal(_));
        })?;
        for record in &step.records {
            self.tally.count(record);
            tracing::info!(order = record.order().map(|id| id.to_string()), "{}", record.kind());
            if matches!(record, Record::ConfigKept { .. }) {
                self.in_force.kept();
                self.in_force.sweep(&Media::new(&self.config), Sweep::Now);
            }
        }
        self.recorded |= !step.records.is_empty();
        self.tell_begun(&step.records);
        for effect in step.effects {
            self.execute(effect);
        }
        if !step.records.is_empty()
            && let Some(link) = &self.link
        {
            link.wake();
        }
        Ok(())
    }

    fn execute(&mut self, effect: Effect) {
        self.watch_the_trial(&effect);
        match effect {
            Effect::Print { order } => {
                if let Some(order) = self.state.orders.get(&order) {
                    if order.printing == Some(Slip::Ticket) {
                        let ticket = self.receipt_header.ticket(order, &self.state);
                        return match ticket {
                            Some(ticket) => self.edges.print_ticket(order.id, ticket, self.unprinted),
                            None => {
                                let result = Err("there is no code for it".to_owned());
                                self.edges.post(Event::ReceiptDone { order: order.id, result });
                            }
                        };
                    }
                    let receipt = self.receipt_header.receipt(order, &self.state);
                    self.edges.print(order.id, receipt, self.unprinted);
                }
            }
            Effect::Find { code } => match &self.reads {
                Some(reads) => {
                    let inputs = self.edges.inputs.clone();
                    reads.own(move |reader| {
                        let order = reader.by_code(&code).unwrap_or_else(|error| {
                            tracing::error!(%error, "the ledger could not be read for a look-up");
                            None
                        });
                        let found = Event::Found { code: code.to_string(), order: order.map(Box::new) };
                        drop(inputs.send(Input::Event(found)));
                    });
                }
                None => self.edges.post(Event::Found { code: code.to_string(), order: None }),
            },
            Effect::PrintReport { number, copy } => self.read_report(number, copy),
            Effect::PrintTest => self.edges.print_test(self.receipt_header.test_page(), self.unprinted),
            Effect::ResendEvents { after } => {
                if let Some(link) = &self.link {
                    link.resend(after);
                }
            }
            Effect::Answer { id, outcome } => self.answered(&id, &outcome),
            Effect::Prepare { delivery, outlet } if self.stands_at(&outlet) => self.prepare_at_gate(delivery),
            Effect::Deliver { delivery, outlet, .. } if self.stands_at(&outlet) => self.deliver_at_gate(delivery),
            Effect::Recall { delivery, outlet, .. } if self.stands_at(&outlet) => self.recall_at_gate(delivery),
            Effect::CheckConfig { asked } => self.check_config(asked),
            Effect::StartAnew => self.starts_anew = true,
            Effect::Gate { id, by, reason, ask } => self.ask_lane(id, by, reason, ask),
            Effect::Tell { message } => self.tell_the_site(message),
            Effect::CallForHelp => self.call_for_help(),
            Effect::CantDecide { why } => self.cant_decide_at_gate(why),
            other => self.edges.execute(other),
        }
    }

    fn fleet_event(&mut self, event: FleetEvent) {
        match event {
            FleetEvent::Acknowledged { seq } => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.acknowledge(seq);
                }
                // A full outbox may have room again.
                self.room_looked_at = None;
            }
            FleetEvent::Duplicate { why } => self.twin(why),
            FleetEvent::Connected => {
                tracing::info!("the kiosk is connected to the fleet's broker");
                self.devices.link = Some(LinkStatus::Connected);
                self.step(Event::Condition(Condition::Fleet { connected: true }));
                self.tally.connected();
            }
            FleetEvent::Disconnected { why } => {
                tracing::info!(why, "the kiosk is not connected to the fleet's broker");
                self.devices.link = Some(LinkStatus::Disconnected { why });
                self.step(Event::Condition(Condition::Fleet { connected: false }));
            }
            FleetEvent::AckRejected { why } => tracing::warn!(why, "an acknowledgement was refused"),
            FleetEvent::Command(request) => self.commanded(*request),
            FleetEvent::CommandRejected => {
                self.count_rejected_commands();
                let rejected = &self.commands_rejected;
                let reason = rejected.last.as_ref().map(|(why, _)| why.to_string());
                tracing::warn!(reason, count = rejected.count, "a message that should be a command is rejected");
            }
            FleetEvent::Facts { lane, message } => self.heard_of_lane(lane, message),
            FleetEvent::FactsRejected { why, count } => {
                tracing::warn!(why, count, "a message that should be a lane's is rejected");
            }
            FleetEvent::PlateSeen { plate } => drop(self.plate_seen(&plate)),
            FleetEvent::PlateRejected { why, count } => {
                tracing::warn!(why, count, "a message that should be a camera's is rejected");
            }
            // Taken where it arrives, see `gateway::route`.
            FleetEvent::Pay { .. } => {}
        }
    }

    fn count_rejected_commands(&mut self) {
        self.commands_rejected = self.desk.as_ref().map(|desk| desk.rejections()).unwrap_or_default();
    }

    fn twin(&mut self, why: Option<&'static str>) {
        match why {
            Some(why) => tracing::warn!(why, "another kiosk seems to use this one's id or ledger"),
            None => tracing::info!("no other kiosk uses this one's id or ledger any more"),
        }
        self.second_kiosk = why;
    }

    /// Room for what has to be written, and fewer events waiting than may wait.
    fn look_at_room(&mut self) {
        let now = self.clock.now();
        if self.room_looked_at.is_some_and(|at| now.since(at) < ROOM_EVERY) {
            return;
        }
        self.room_looked_at = Some(now);
        // Of a flood the client tells little; here is what it has counted since.
        self.rejections = self.edges.gateway.as_ref().map(|client| client.rejections());
        self.count_rejected_commands();
        let Some(ledger) = &self.ledger else { return };
        let full = !ledger.has_room();
        let waiting = ledger.seq().saturating_sub(ledger.acknowledged());
        let outbox_full = self.link.is_some() && waiting >= self.config.state.outbox_max;
        if full != self.state.conditions.disk_full {
            self.step(Event::Condition(Condition::Disk { full }));
        }
        if outbox_full != self.state.conditions.outbox_full {
            self.step(Event::Condition(Condition::Outbox { full: outbox_full }));
        }
    }

    fn end(self) {
        tracing::debug!(turns = self.turns, made = self.made, "the loop has turned and the status was made this often");
        let Self { edges, link, bus, reads, ledger, .. } = self;
        drop(bus);
        edges.stop(link);
        // Readers first: the last to close it folds the log in.
        if let Some(reads) = reads {
            reads.stop();
        }
        if let Some(ledger) = ledger {
            ledger.close();
        }
    }
}

/// `None` for what is more than one event of the sale.
fn board_event(event: BoardEvent) -> Option<Event> {
    Some(match event {
        BoardEvent::Prepared { delivery, reading } => Event::Prepared { delivery, reading },
        BoardEvent::Evidence { delivery, evidence } => Event::Evidence { delivery, evidence },
        BoardEvent::NotEnergised { delivery, why } => Event::NotEnergised { delivery, why },
        BoardEvent::Door { open } => Event::Condition(Condition::Door { open }),
        BoardEvent::ServiceKey { on } => Event::ServiceKey { on },
        BoardEvent::Tamper { active } => Event::Condition(Condition::Tamper { active }),
        BoardEvent::Answers { answers } => Event::Condition(Condition::Board { answers }),
        BoardEvent::NotHome { slot } => {
            Event::Condition(Condition::OutletFaulty { outlet: Outlet::Slot(slot), why: Cause::MotorNotHome })
        }
        BoardEvent::Button { .. } | BoardEvent::Temperature { .. } | BoardEvent::Gate(_) => return None,
    })
}
