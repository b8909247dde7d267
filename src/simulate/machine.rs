//! One simulated machine: the real sale, a real ledger, the real link to the fleet; what stands around it is pretended.
//!
//! A run of it is everything that a power cut takes away. It is opened from its folder again, as a daemon would be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::surroundings::{Due, Surroundings};
use crate::config::{self, Config, ConfigError, LineDriver};
use crate::fleet::command::{CommandDesk, CommandStatus, Rejections};
use crate::fleet::link::{self, FleetEvent, Link, LinkConfig};
use crate::fleet::tls::ClientTls;
use crate::kiosk::clock::Clock;
use crate::kiosk::configuration::{self, Chosen, InForce, TrialNote};
use crate::kiosk::devices::Devices;
use crate::kiosk::outbox::LedgerOutbox;
use crate::kiosk::status::{Facts, Status};
use crate::kiosk::turn::turn;
use crate::kiosk::{KioskError, Options, commands, edges, inspection, start, tell};
use crate::ledger::{Ledger, Reader};
use crate::operation::{Actor, Digest, Operation, Outcome, Request, RequestId, Rights};
use crate::sale::dialogue::{OrderPage, Page, ShopPage};
use crate::sale::event::{Condition, Effect, Event};
use crate::sale::{Key, Record, State, Touch};
use crate::service::Supervisor;
use crate::signed::statement::NO_KEY;
use crate::vocabulary::{BootId, StopReason, Wall};

/// A customer's finger comes so often, in milliseconds.
const TAP: u64 = 400;
/// Until somebody comes who fills an empty machine.
const REFILL: u64 = 10_000;
/// Without power or network, in milliseconds: this and up to as much more.
const AWAY: u64 = 5_000;
/// Pages of a ledger's log before it is folded in: thousands of logs share one disk.
const LOG_PAGES: u32 = 64;

/// What all machines of a process share.
pub struct Shared {
    pub supervisor: Supervisor,
    pub runtime: Handle,
    /// In place of the machine's own.
    pub broker: String,
    pub tls: Option<ClientTls>,
    pub spread: Option<Duration>,
    /// Of the process.
    pub start: Instant,
    /// Where a link's events go: the machine, its run, and what it heard.
    pub hear: Arc<dyn Fn(usize, u64, FleetEvent) + Send + Sync>,
}

impl Shared {
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a machine has counted since the process began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Of its ledger: events made, and those that the back end has acknowledged.
    pub made: u64,
    pub acknowledged: u64,
    pub sold: u64,
    pub connects: u64,
    pub cuts: u64,
    pub losses: u64,
    pub commands: u64,
    /// Steps that the ledger would not take.
    pub failed: u64,
}

pub struct Machine {
    index: usize,
    folder: PathBuf,
    around: Surroundings,
    /// It hears no command.
    silent: bool,
    run: Option<Run>,
    /// How often it was started.
    runs: u64,
    pub counts: Counts,
    pub connected: bool,
    /// Why it could not be started.
    pub dead: Option<String>,
    /// When its sale wants to be woken, in milliseconds of the process.
    wake: Option<u64>,
    /// Its next due as the clock of the process knows it.
    pub scheduled: Option<u64>,
}

struct Run {
    config: Config,
    in_force: InForce,
    /// Milliseconds of the process.
    began: u64,
    clock: Clock,
    boot: BootId,
    state: State,
    ledger: Ledger,
    desk: Option<Arc<CommandDesk>>,
    link: Option<Link>,
    devices: Devices,
    told: Option<Status>,
    rejections: Rejections,
    recorded: bool,
    /// Commands under way, with their verbs.
    waits: BTreeMap<RequestId, &'static str>,
    /// As soon as this step is over.
    starts_anew: bool,
}

impl Machine {
    pub fn new(index: usize, folder: PathBuf, around: Surroundings, silent: bool) -> Self {
        Self {
            index,
            folder,
            around,
            silent,
            run: None,
            runs: 0,
            counts: Counts::default(),
            connected: false,
            dead: None,
            wake: None,
            scheduled: None,
        }
    }

    /// Opens it from its folder.
    pub fn power_on(&mut self, shared: &Shared) {
        self.runs += 1;
        let mut trial = None;
        match self.open(shared, &mut trial) {
            Ok(run) => {
                self.dead = None;
                self.run = Some(run);
                self.begin(shared);
            }
            // The next start is without it.
            Err(error) if trial.is_some_and(|trial| trial.failed(&error)) => {
                self.around.later(shared.now(), Due::PowerBack);
            }
            Err(error) => {
                tracing::debug!(folder = %self.folder.display(), %error, "a simulated machine does not start");
                self.dead = Some(error.to_string());
            }
        }
    }

    /// `trial`: the note of the configuration it was opened with, where that is on trial.
    fn open(&self, shared: &Shared, trial: &mut Option<TrialNote>) -> Result<Run, KioskError> {
        // TLS is the process's own: each machine's would be read anew for each connection.
        let broker = shared.broker.replacen("mqtts:", "mqtt:", 1);
        let file = self.folder.join("kiosk.toml");
        let options = Options { config: file, broker: Some(broker), ..Options::default() };
        let Chosen { mut config, mut in_force, lock } = configuration::choose(&options, parse)?;
        *trial = in_force.trial();
        if !matches!(config.board.lines, LineDriver::Simulated) {
            let why = "a simulated machine has none but a simulated one".into();
            return Err(KioskError::Died { part: "the board", why });
        }
        // Thousands of reserves would fill the disk that they share.
        config.state.reserve.0 = 0;
        let clock = Clock::start();
        let boot = start::new_boot();
        let mut state = State::new(start::policy(&config), start::planogram(&config));
        let (ledger, reader) = start::open_ledger(lock, &config, &boot, &clock.stamp(), &mut state)?;
        ledger.fold_log_after(LOG_PAGES)?;
        state.configuration.given_up = in_force.why_not_tried(&state);
        let desk = if self.silent { None } else { commands::desk(&config, &boot, &reader)? };
        let mut run = Run {
            devices: Devices::of(&config),
            config,
            in_force,
            began: shared.now(),
            clock,
            boot,
            state,
            ledger,
            desk,
            link: None,
            told: None,
            rejections: Rejections::default(),
            recorded: true,
            waits: BTreeMap::new(),
            starts_anew: false,
        };
        run.link = self.join(&run, shared)?;
        if let (Some(link), Some(_)) = (&run.link, &run.desk) {
            let trial = run.state.configuration.trial.as_ref().map(|trial| &trial.id);
            let goes_on: Vec<_> = trial.into_iter().chain(run.state.updates.operation()).collect();
            for status in commands::told_again(&reader, &run.state.open_operations, &goes_on)? {
                link.status_sender().tell(status);
            }
        }
        Ok(run)
    }

    /// Connects to the fleet.
    fn join(&self, run: &Run, shared: &Shared) -> Result<Option<Link>, KioskError> {
        let mut config = run.config.clone();
        if let Some(fleet) = &mut config.fleet {
            fleet.start_delay.0 = shared.spread.unwrap_or(fleet.start_delay.0);
        }
        let Some(settings) = edges::link_settings(&config, &run.boot, run.desk.clone())? else { return Ok(None) };
        let mut settings = LinkConfig { tls: shared.tls.clone(), ..settings };
        settings.broker.tls = shared.tls.is_some();
        let outbox = LedgerOutbox::open(&run.config.state.directory)?;
        let (index, number) = (self.index, self.runs);
        let hear = Arc::clone(&shared.hear);
        let on = move |event| hear(index, number, event);
        Ok(Some(link::start(&shared.supervisor, &shared.runtime, settings, outbox, on)))
    }

    fn begin(&mut self, shared: &Shared) {
        let Some(run) = &self.run else { return };
        let (boot, version) = (run.boot.clone(), env!("CARGO_PKG_VERSION").to_owned());
        self.step(shared, Event::Started { boot, version });
        for condition in [Condition::Door { open: false }, Condition::Glass { dark: None }] {
            self.step(shared, Event::Condition(condition));
        }
        self.step(shared, Event::Condition(Condition::Board { answers: true }));
    }

    /// Everything volatile is gone.
    fn power_off(&mut self) {
        self.look();
        self.connected = false;
        self.run = None;
    }

    /// Nothing new begins; `true` once nothing is open and everything is acknowledged.
    pub fn rest(&mut self, shared: &Shared) {
        self.around.rest(shared.now());
    }

    pub fn has_come_to_rest(&self) -> bool {
        let Some(run) = &self.run else { return self.dead.is_some() };
        self.counts.made == self.counts.acknowledged && run.state.orders.values().all(|order| order.ended)
    }

    /// Closes the ledger as a daemon that was told to stop does.
    pub fn close(&mut self) {
        self.look();
        if let Some(Run { link, ledger, .. }) = self.run.take() {
            drop(link);
            ledger.close();
        }
    }

    /// Brings its counts up to date.
    pub fn look(&mut self) {
        if let Some(run) = &self.run {
            (self.counts.made, self.counts.acknowledged) = (run.ledger.seq(), run.ledger.acknowledged());
        }
    }

    /// When it wants to be called next, in milliseconds of the process.
    pub fn next_due(&mut self) -> Option<u64> {
        let run = self.run.as_ref();
        self.wake = run.and_then(|run| Some(run.began + run.state.next_wake(run.clock.now())?.0));
        self.wake.into_iter().chain(self.around.next_due()).min()
    }

    /// Does what is due by now.
    pub fn happen(&mut self, shared: &Shared) {
        let now = shared.now();
        while let Some(due) = self.around.happen(now) {
            self.due(shared, due);
        }
        // As it was known before: what is over is not among the next any more.
        if self.wake.take_if(|wake| *wake <= now).is_some() {
            self.step(shared, Event::Tick);
        }
        self.tell();
    }

    fn due(&mut self, shared: &Shared, due: Due) {
        let now = shared.now();
        match due {
            Due::Tell { run, event } if run == self.runs => self.step(shared, *event),
            Due::Tell { .. } => {}
            Due::Customer => self.customer(shared),
            Due::Technician => self.refill(shared),
            Due::PowerCut => {
                self.counts.cuts += 1;
                self.power_off();
                let wait = AWAY + self.around.chance.below(AWAY);
                self.around.later(now + wait, Due::PowerBack);
            }
            Due::PowerBack => {
                self.power_on(shared);
                self.around.next_mishaps(now);
            }
            Due::NetworkLost => {
                self.counts.losses += 1;
                self.connected = false;
                if let Some(run) = &mut self.run {
                    run.link = None;
                }
                let wait = AWAY + self.around.chance.below(AWAY);
                self.around.later(now + wait, Due::NetworkBack);
            }
            Due::NetworkBack => {
                self.rejoin(shared);
                self.around.next_mishaps(now);
            }
        }
    }

    fn rejoin(&mut self, shared: &Shared) {
        let Some(run) = self.run.as_ref().filter(|run| run.link.is_none()) else { return };
        match self.join(run, shared) {
            Ok(link) => {
                if let Some(run) = &mut self.run {
                    // A new link knows nothing of what the one before was told.
                    (run.link, run.told) = (link, None);
                }
            }
            Err(error) => tracing::warn!(%error, "a simulated machine can't join its fleet again"),
        }
    }

    fn customer(&mut self, shared: &Shared) {
        let now = shared.now();
        let Some(run) = &self.run else { return self.around.next_customer(now) };
        let page = run.state.view(run.clock.now(), |_| None).page;
        let touch = match page {
            Page::Shop(ShopPage::Attract { .. }) if self.around.is_resting() => return,
            Page::Shop(ShopPage::Attract { .. }) => Touch::Start,
            Page::Shop(ShopPage::Choose { tiles, .. }) => {
                let there: Vec<_> = tiles.into_iter().filter(|tile| tile.available > 0).collect();
                let nth = self.around.chance.below(there.len() as u64);
                match usize::try_from(nth).ok().and_then(|nth| there.into_iter().nth(nth)) {
                    Some(tile) => Touch::Product(tile.product),
                    None => Touch::Done,
                }
            }
            Page::Shop(ShopPage::Basket { .. }) => Touch::Pay,
            Page::Shop(ShopPage::Confirm { code, entered, .. }) => match code.as_bytes().get(entered.len()).copied() {
                Some(digit) => Touch::Key(Key::Digit(digit.saturating_sub(b'0'))),
                None => Touch::Key(Key::Ok),
            },
            // The wallet is in their other hand.
            Page::Order(OrderPage::Pay { .. } | OrderPage::Delivering { .. }) => {
                return self.around.stays(now, 4 * TAP);
            }
            Page::OutOfService { reasons, .. } => {
                if reasons.contains(&StopReason::SoldOut) {
                    self.around.later(now + REFILL, Due::Technician);
                }
                return self.around.next_customer(now);
            }
            _ => {
                self.step(shared, Event::Touch(Touch::Done));
                return self.around.next_customer(now);
            }
        };
        self.step(shared, Event::Touch(touch));
        self.around.stays(now, TAP);
    }

    fn refill(&mut self, shared: &Shared) {
        let Some(id) = RequestId::parse(&format!("refill-{}-{}", self.runs, shared.now())) else { return };
        let by = Actor::Technician { uid: 0 };
        let asked = Operation::Refill;
        let request = Request { id, by, rights: Rights::ALL, live: true, expired: false, asked };
        self.step(shared, Event::Asked { request, known: None });
    }

    /// What the link has heard. `run`: for which start of the machine.
    pub fn heard(&mut self, shared: &Shared, number: u64, event: FleetEvent) {
        if number != self.runs {
            return;
        }
        let Some(run) = &mut self.run else { return };
        match event {
            FleetEvent::Connected => {
                self.connected = true;
                self.counts.connects += 1;
                self.step(shared, Event::Condition(Condition::Fleet { connected: true }));
            }
            FleetEvent::Disconnected { .. } => {
                self.connected = false;
                self.step(shared, Event::Condition(Condition::Fleet { connected: false }));
            }
            FleetEvent::Acknowledged { seq } => run.ledger.acknowledge(seq),
            FleetEvent::Command(request) => self.command(shared, *request),
            FleetEvent::CommandRejected => {
                run.rejections = run.desk.as_ref().map(|desk| desk.rejections()).unwrap_or_default();
            }
            // A machine here is no lane of a site.
            FleetEvent::Facts { .. }
            | FleetEvent::FactsRejected { .. }
            | FleetEvent::PlateSeen { .. }
            | FleetEvent::PlateRejected { .. } => {}
            FleetEvent::AckRejected { .. } | FleetEvent::Duplicate { .. } | FleetEvent::Pay { .. } => {}
        }
        self.tell();
    }

    fn command(&mut self, shared: &Shared, request: Request) {
        self.counts.commands += 1;
        let Some(run) = &mut self.run else { return };
        let (id, verb) = (request.id.clone(), request.asked.verb());
        let known = Reader::open(&run.config.state.directory).and_then(|reader| {
            // What a person asks about an order that is settled needs that order.
            let settled = match &request.asked {
                Operation::Refund { order, .. } if !run.state.orders.contains_key(order) => reader.order(*order)?,
                _ => None,
            };
            Ok((reader.operation(&id)?, settled))
        });
        match known {
            Ok((known, settled)) => {
                if let Some(order) = settled {
                    run.state.revive(order, run.clock.now());
                }
                run.waits.insert(id, verb);
                self.step(shared, Event::Asked { request, known });
            }
            Err(error) => self.say(CommandStatus::rejected(verb, id.as_str(), error.to_string())),
        }
    }

    fn say(&self, status: CommandStatus) {
        if let Some(link) = self.run.as_ref().and_then(|run| run.link.as_ref()) {
            link.status_sender().tell(status);
        }
    }

    /// One event, whole: decide, commit, then act.
    fn step(&mut self, shared: &Shared, event: Event) {
        let Some(run) = &mut self.run else { return };
        let at = run.clock.stamp();
        let step = match turn(&mut run.state, Some(&mut run.ledger), &at, event) {
            Ok(step) => step,
            Err(crate::kiosk::turn::TurnError::Illegal(_)) => return,
            Err(error) => {
                self.counts.failed += 1;
                return tracing::error!(%error, folder = %self.folder.display(), "a step was not taken");
            }
        };
        run.recorded |= !step.records.is_empty();
        if step.records.iter().any(|record| matches!(record, Record::ConfigKept { .. })) {
            run.in_force.kept();
        }
        let sold = step.records.iter().filter(|record| matches!(record, Record::OrderPaid { .. })).count();
        self.counts.sold += sold as u64;
        if let Some(link) = &run.link
            && !step.records.is_empty()
        {
            commands::tell_begun(link, &step.records);
            link.wake();
        }
        for effect in step.effects {
            match self.around.answer(shared.now(), self.runs, effect) {
                None => {}
                Some(Effect::Answer { id, outcome }) => self.answer(&id, &outcome),
                Some(Effect::CheckConfig { asked }) => self.check(shared, asked),
                Some(Effect::StartAnew) => {
                    if let Some(run) = &mut self.run {
                        run.starts_anew = true;
                    }
                }
                Some(Effect::ResendEvents { after }) => {
                    if let Some(link) = self.run.as_ref().and_then(|run| run.link.as_ref()) {
                        link.resend(after);
                    }
                }
                Some(other) => tracing::debug!(?other, "nothing of a simulated machine does this"),
            }
        }
        if self.run.as_ref().is_some_and(|run| run.starts_anew) {
            self.close();
            self.connected = false;
            self.power_on(shared);
        }
    }

    /// It takes a while, and this process's other machines wait for it.
    fn check(&mut self, shared: &Shared, asked: Operation) {
        let Some(run) = &self.run else { return };
        // There is no glass on which a picture would be missed.
        let result = run.in_force.check(asked, Box::new(|_| true))();
        let event = Box::new(Event::ConfigChecked { result });
        self.around.later(shared.now(), Due::Tell { run: self.runs, event });
    }

    fn answer(&mut self, id: &RequestId, outcome: &Outcome) {
        let Some(run) = &mut self.run else { return };
        if let Some(verb) = run.waits.remove(id) {
            if verb == Operation::Inspect.verb() && matches!(outcome, Outcome::Changed { .. }) {
                return self.say(inspection::ended(id, outcome, self.inspect()));
            }
            return self.say(CommandStatus::ended(verb, id.as_str(), outcome));
        }
        // It was begun in an earlier run.
        match (&run.link, Reader::open(&run.config.state.directory)) {
            (Some(link), Ok(reader)) => commands::tell_ended(&link.status_sender(), &reader, id),
            (None, _) => {}
            (_, Err(error)) => tracing::warn!(%error, "what a command has come to could not be read"),
        }
    }

    /// As a daemon makes it, of what a machine without devices knows; sent before the end of its command.
    fn inspect(&self) -> Result<Digest, String> {
        let run = self.run.as_ref().ok_or("it has no power")?;
        let link = run.link.as_ref().ok_or("it has no network")?;
        let settings = edges::link_settings(&run.config, &run.boot, None).map_err(|error| error.to_string())?;
        let signer = settings.and_then(|settings| settings.signer).ok_or(NO_KEY)?;
        let known = inspection::Known {
            status: Status::of(&run.facts(Clock::wall())),
            keyset_version: run.desk.as_ref().map(|desk| desk.keyset_version()),
            openings: (0, 0),
            clock_error_ms: None,
            directory: run.config.state.directory.clone(),
            certificate: None,
        };
        let reader = Reader::open(&run.config.state.directory).map_err(|error| error.to_string())?;
        let (message, digest) = inspection::signed(known, &signer, &reader)?;
        link.inspection_sender().send(message);
        Ok(digest)
    }

    /// The fleet hears of what has changed.
    fn tell(&mut self) {
        let Some(run) = &mut self.run else { return };
        let Some(link) = &run.link else { return };
        let wall = Clock::wall();
        run.devices.follow(&run.state.conditions, true, wall);
        let facts = run.facts(wall);
        if !run.recorded && run.told.as_ref().is_some_and(|told| told.holds(&facts)) {
            return;
        }
        let status = Status::of(&facts);
        run.recorded = false;
        tell::tell_fleet(link, run.told.as_ref(), &status);
        run.told = Some(status);
    }
}

impl Run {
    fn facts(&self, wall: Option<Wall>) -> Facts<'_> {
        Facts {
            config: &self.config,
            in_force: &self.in_force.status,
            boot: &self.boot,
            state: &self.state,
            ledger: Some(&self.ledger),
            devices: &self.devices,
            temperature_milli_c: None,
            second_kiosk: None,
            rejections: None,
            commands_rejected: &self.rejections,
            update_progress: None,
            lane: None,
            help_wanted: false,
            now: self.clock.now(),
            wall,
        }
    }
}

/// Nobody looks at its glass, so no face is opened.
fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    config::parse(path, bytes, |_| Ok(Box::new(|_, _| BTreeSet::new())))
}
