//! The edges the loop hands its effects to: rails, board, printer, glass, fleet. Each answers with events and decides
//! nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::glass::{Face, Night};
use super::outbox::LedgerOutbox;
use super::print_queue::{Paper, PrintJob, PrintQueue};
use super::reboot::{self, Reboot};
use super::{GlassHandle, Input, KioskError, glass};
use crate::board::{self, Board, Claims, Lines};
use crate::config::Faces;
use crate::config::{Config, Panel};
use crate::fleet::command::CommandDesk;
use crate::fleet::link::{self, Link, LinkConfig, SiteTopics};
use crate::fleet::tls::ClientTls;
use crate::fleet::topic::Name;
use crate::payment::gateway::GatewayClient;
use crate::payment::{self, Rail};
use crate::printer::{self, CashUpSlip, Printer, PrinterStatus, Receipt, TestPage, Ticket};
use crate::sale::event::{Condition, Effect, Event};
use crate::screen::language::Texts;
use crate::screen::open_panel;
use crate::screen::text::{TextError, Typesetter};
use crate::service::{End, Supervisor};
use crate::signed::pin::PinHash;
use crate::update::{Trial, Updater};
use crate::vocabulary::{BootId, Evidence, OrderId, Outlet, RailError, RailName};
use crate::world::{ToWorld, World};

/// A customer who reads the first page needs no longer, and who comes wakes it.
const NIGHT_AFTER: Duration = Duration::from_secs(60);

/// Until then who asked for a restart of the board has heard that it comes.
const HEARD: Duration = Duration::from_millis(500);
/// A board that is there so long after its restart was begun does not go down any more.
const DOWN_BY: Duration = Duration::from_secs(120);

pub(super) struct Edges {
    pub runtime: Runtime,
    pub board: Board,
    pub glass: GlassHandle,
    rails: BTreeMap<RailName, Arc<dyn Rail>>,
    /// Speaks with the gateway.
    pub gateway: Option<Arc<GatewayClient>>,
    printer: Sender<PrintJob>,
    reboot: Arc<dyn Reboot>,
    updater: Arc<Updater>,
    pub trial: Trial,
    /// Whom the service menu opens for.
    pin: Option<PinHash>,
    pub supervisor: Supervisor,
    pub inputs: Sender<Input>,
}

impl Edges {
    /// Relays first: they are inactive before anything else is looked at (P7).
    pub fn start(
        config: &Config,
        world: Option<&Arc<World>>,
        supervisor: &Supervisor,
        inputs: Sender<Input>,
    ) -> Result<Self, KioskError> {
        let start = |what| move |source| KioskError::Start { what, source };
        if let Some(world) = world {
            let panel = match config.glass.panel {
                Panel::Simulated { width, height } => (width, height),
                // Not the world's to show.
                Panel::Drm { .. } | Panel::Fbdev { .. } | Panel::None => (0, 0),
            };
            let (lines, slots) = Board::hello(config);
            if let Err(error) = world.tell(&ToWorld::Hello { lines, slots, panel }, &[]) {
                return Err(KioskError::Died { part: "the world", why: error.to_string() });
            }
        }
        let to_board = inputs.clone();
        let report = move |event| drop(to_board.send(Input::Board(event)));
        let lines = Lines::open(config, world)?;
        if let Some(claims) = Claims::here(|| config.dbus.instance.clone()) {
            lines.announce(&claims)?;
        }
        let board = board::start(config, lines, supervisor, report)?;

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(start("the runtime"))?;
        let glass = start_glass(config, world, supervisor, &inputs)?;
        super::input::start(config, supervisor, &runtime, &inputs);
        let printer = start_printer(config, world, supervisor, &inputs).map_err(start("the printer"))?;
        let gateway = super::gateway::client(config, &inputs)?;
        let rails = payment::open::rails(&config.rails, world, gateway.as_ref())?;
        let reboot = reboot::open(&config.board, world);
        let (state, room) = (&config.state.directory, config.state.min_free.0);
        let updater = Arc::new(Updater::new(&config.update, &config.board.lines, world, state, room));
        let trial = Trial::new(state);
        let pin = config.service.as_ref().map(|service| service.pin.clone());
        let supervisor = supervisor.clone();
        Ok(Self { runtime, board, glass, rails, gateway, printer, reboot, updater, trial, pin, supervisor, inputs })
    }

    /// Joins the fleet, where one is configured.
    pub fn fleet(
        &self,
        config: &Config,
        boot: &BootId,
        commands: Option<Arc<CommandDesk>>,
    ) -> Result<Option<Link>, KioskError> {
        if config.fleet.is_none() {
            return Ok(None);
        }
        let outbox = match LedgerOutbox::open(&config.state.directory) {
            Ok(outbox) => outbox,
            Err(error) => return Err(KioskError::Died { part: "the outbox", why: error.to_string() }),
        };
        let Some(settings) = link_settings(config, boot, commands)? else { return Ok(None) };
        if settings.tls.is_none() && !settings.broker.is_here() {
            let broker = &settings.broker;
            tracing::warn!(%broker, "the connection to the broker has no TLS: anybody on its way can read it and keep the kiosk offline");
        }
        let settings = LinkConfig { pay: self.gateway.is_some(), ..settings };
        let inputs = self.inputs.clone();
        let client = self.gateway.clone();
        let link = link::start(&self.supervisor, self.runtime.handle(), settings, outbox, move |event| {
            if let Some(input) = super::gateway::route(client.as_ref(), event) {
                drop(inputs.send(input));
            }
        });
        if let Some(client) = &self.gateway {
            let sender = link.request_sender();
            client.connect(move |message| sender.ask(message));
        }
        Ok(Some(link))
    }

    /// A provider's time less ours, where one has told it.
    pub fn clock_error_ms(&self) -> Option<i64> {
        let error = self.rails.values().find_map(|rail| rail.clock_error())?;
        i64::try_from(error.as_millis()).ok()
    }

    /// An event for the loop itself.
    pub fn post(&self, event: Event) {
        drop(self.inputs.send(Input::Event(event)));
    }

    /// `after_a_crash`: the run before may have ended in the middle of a receipt.
    pub fn print(&self, order: OrderId, receipt: Receipt, after_a_crash: bool) {
        let paper = Paper::Slip { order, receipt: Box::new(receipt) };
        if self.printer.send(PrintJob { paper, after_a_crash }).is_err() {
            self.post(Event::ReceiptDone { order, result: Err("the printer's thread has ended".into()) });
        }
    }

    /// Likewise a ticket.
    pub fn print_ticket(&self, order: OrderId, ticket: Ticket, after_a_crash: bool) {
        let paper = Paper::Ticket { order, ticket: Box::new(ticket) };
        if self.printer.send(PrintJob { paper, after_a_crash }).is_err() {
            self.post(Event::ReceiptDone { order, result: Err("the printer's thread has ended".into()) });
        }
    }

    /// Likewise a report, of which nobody waits to hear.
    pub fn print_report(&self, slip: CashUpSlip, after_a_crash: bool) {
        // Without its thread the kiosk is about to end.
        drop(self.printer.send(PrintJob { paper: Paper::Report(Box::new(slip)), after_a_crash }));
    }

    /// Likewise a test page.
    pub fn print_test(&self, page: TestPage, after_a_crash: bool) {
        drop(self.printer.send(PrintJob { paper: Paper::Test(Box::new(page)), after_a_crash }));
    }

    /// Starts what an effect asks for. Every question gets exactly one answer.
    pub fn execute(&self, effect: Effect) {
        match effect {
            Effect::Create { rail, charge } => {
                let id = charge.charge.clone();
                let ask = self.with(rail, async move |rail| rail.create(&charge).await);
                self.answer(ask, move |result| Event::Created { charge: id, result });
            }
            Effect::Query { rail, charge } => {
                let id = charge.charge.clone();
                let ask = self.with(rail, async move |rail| rail.query(&charge).await);
                self.answer(ask, move |result| Event::Reported { charge: id, result, asked: true });
            }
            Effect::Close { rail, charge } => {
                let id = charge.charge.clone();
                let ask = self.with(rail, async move |rail| rail.close(&charge).await);
                self.answer(ask, move |result| Event::CloseAnswered { charge: id, result });
            }
            Effect::Refund { rail, refund } => {
                let (id, charge) = (refund.refund.clone(), refund.charge.clone());
                let ask = self.with(rail, async move |rail| rail.refund(&refund).await);
                self.answer(ask, move |result| Event::RefundAnswered { refund: id, charge, result });
            }
            Effect::QueryRefund { rail, refund } => {
                let (id, charge) = (refund.refund.clone(), refund.charge.clone());
                let ask = self.with(rail, async move |rail| rail.query_refund(&refund).await);
                self.answer(ask, move |result| Event::RefundAnswered { refund: id, charge, result });
            }
            Effect::Probe { rail } => {
                let ask = self.with(rail.clone(), async move |rail| rail.probe().await);
                self.answer(ask, move |result| Event::Probed { rail, result });
            }
            Effect::Prepare { delivery, outlet: Outlet::Slot(_) } => {
                self.board.command(board::Command::Prepare { delivery });
            }
            Effect::Deliver { delivery, outlet: Outlet::Slot(slot), before } => {
                self.board.command(board::Command::Deliver { delivery, slot, before });
            }
            Effect::Recall { delivery, outlet: Outlet::Slot(_), before } => {
                self.board.command(board::Command::Recall { delivery, before });
            }
            Effect::Prepare { delivery, outlet } | Effect::Deliver { delivery, outlet, .. } => {
                self.post(Event::NotEnergised { delivery, why: format!("the board has no relay for {outlet}") });
            }
            Effect::Recall { delivery, outlet, .. } => {
                let evidence = Evidence::Silent { why: format!("the board has no sensor for {outlet}") };
                self.post(Event::Evidence { delivery, evidence });
            }
            Effect::CheckPin { pin } => {
                let inputs = self.inputs.clone();
                let check = super::pin::matches(self.pin.clone(), pin);
                self.supervisor.job(self.runtime.handle(), "the check of a PIN", check, move |right| {
                    let checked = Event::PinChecked { right: right.unwrap_or(false) };
                    drop(inputs.send(Input::Event(checked)));
                });
            }
            Effect::AskReboot => {
                let (reboot, inputs) = (Arc::clone(&self.reboot), self.inputs.clone());
                let ask = async move { reboot.can().await };
                self.supervisor.job(self.runtime.handle(), "the question for a restart", ask, move |result| {
                    let result = result.unwrap_or_else(Err);
                    drop(inputs.send(Input::Event(Event::RebootAnswered { result })));
                });
            }
            Effect::Reboot => {
                let (reboot, inputs) = (Arc::clone(&self.reboot), self.inputs.clone());
                let restart = async move {
                    tokio::time::sleep(HEARD).await;
                    reboot.reboot().await?;
                    tokio::time::sleep(DOWN_BY).await;
                    Err("it was begun, and the board is there still".to_owned())
                };
                self.supervisor.job(self.runtime.handle(), "the restart", restart, move |result: Result<_, String>| {
                    if let Err(why) = result.and_then(|done: Result<(), String>| done) {
                        tracing::error!(why, "the board was not restarted, so it sells again");
                    }
                    drop(inputs.send(Input::Event(Event::NotRebooted)));
                });
            }
            Effect::Update(task) => {
                let (updater, to_loop) = (Arc::clone(&self.updater), self.inputs.clone());
                let tell = Arc::new(move |text| drop(to_loop.send(Input::UpdateProgress(text))));
                let (of, inputs) = (task.clone(), self.inputs.clone());
                let work = async move { updater.carry_out(task, tell).await };
                self.supervisor.job(self.runtime.handle(), "the update", work, move |event| {
                    let event = event.unwrap_or_else(|panic| of.failed(panic));
                    drop(inputs.send(Input::Event(Event::Update(event))));
                });
            }
            // The loop's own: they need what only it has.
            Effect::Print { .. }
            | Effect::PrintReport { .. }
            | Effect::PrintTest
            | Effect::ResendEvents { .. }
            | Effect::Find { .. }
            | Effect::Answer { .. }
            | Effect::CheckConfig { .. }
            | Effect::Gate { .. }
            | Effect::Tell { .. }
            | Effect::CallForHelp
            | Effect::CantDecide { .. }
            | Effect::StartAnew => {}
        }
    }

    fn with<T: Send + 'static, F>(
        &self,
        name: RailName,
        ask: impl FnOnce(Arc<dyn Rail>) -> F + Send + 'static,
    ) -> impl Future<Output = Result<T, RailError>> + Send + 'static
    where
        F: Future<Output = Result<T, RailError>> + Send + 'static,
    {
        let rail = self.rails.get(&name).cloned();
        async move {
            match rail {
                Some(rail) => ask(rail).await,
                // An order of an earlier configuration; nothing can be asked, and nothing is assumed.
                None => Err(RailError::Unknown(format!("the rail {name} is not configured"))),
            }
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        ask: impl Future<Output = Result<T, RailError>> + Send + 'static,
        event: impl FnOnce(Result<T, RailError>) -> Event + Send + 'static,
    ) {
        let inputs = self.inputs.clone();
        self.supervisor.job(self.runtime.handle(), "a question to a rail", ask, move |result| {
            // A rail that panics is a rail that did not answer.
            let result = result.unwrap_or_else(|panic| Err(RailError::Unknown(panic)));
            drop(inputs.send(Input::Event(event(result))));
        });
    }

    /// The board is restarted then, whatever is told to anybody.
    pub fn restart_after(&self, wait: Duration) {
        let reboot = Arc::clone(&self.reboot);
        let restart = async move {
            tokio::time::sleep(wait).await;
            reboot.reboot().await
        };
        self.supervisor.job(self.runtime.handle(), "the restart", restart, move |result: Result<_, String>| {
            if let Err(why) = result.and_then(|done: Result<(), String>| done) {
                tracing::error!(why, "the board was not restarted");
            }
        });
    }

    /// SIGTERM and SIGINT end the loop.
    pub fn stop_on_signal(&self) {
        use tokio::signal::unix::{SignalKind, signal};
        let inputs = self.inputs.clone();
        self.supervisor.task(self.runtime.handle(), "the signal handler", async move {
            match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
                (Ok(mut term), Ok(mut int)) => {
                    tokio::select! {
                        _ = term.recv() => {}
                        _ = int.recv() => {}
                    }
                    drop(inputs.send(Input::Stop));
                }
                _ => tracing::warn!("the daemon can't catch signals, so a stop will look like a kill"),
            }
            // It has one thing to say.
            End::Told
        });
    }

    /// Relays off, glass dark, presence offline.
    pub fn stop(self, link: Option<Link>) {
        drop(self.board);
        self.glass.close();
        if let Some(link) = link {
            self.runtime.block_on(link.stop());
        }
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

fn start_glass(
    config: &Config,
    world: Option<&Arc<World>>,
    supervisor: &Supervisor,
    inputs: &Sender<Input>,
) -> Result<GlassHandle, KioskError> {
    let handle = GlassHandle::default();
    let panel = open_panel(&config.glass.panel, world)?;
    let (faces, theme) = (config.glass.faces(), config.glass.look.clone());
    let zone = config.kiosk.time_zone.clone();
    let night = config
        .glass
        .night
        .as_ref()
        .and_then(|night| Some(Night { hours: night.hours()?, brightness: night.brightness, after: NIGHT_AFTER }));
    let face = move || Ok::<_, TextError>(Face { type_: Typesetter::load(&faces)?, theme, zone, night });
    let to_loop = inputs.clone();
    let seen = move |dark| drop(to_loop.send(Input::Event(Event::Condition(Condition::Glass { dark }))));
    glass::start(handle.clone(), panel, face, seen, supervisor)
        .map_err(|source| KioskError::Start { what: "the glass", source })?;
    Ok(handle)
}

/// The printer's own thread: paper is slow, and a printer that hangs must not hold up a sale.
fn start_printer(
    config: &Config,
    world: Option<&Arc<World>>,
    supervisor: &Supervisor,
    inputs: &Sender<Input>,
) -> std::io::Result<Sender<PrintJob>> {
    let (jobs, todo) = channel::<PrintJob>();
    let port = printer::open_port(&config.printer.port, world).map_err(std::io::Error::other)?;
    // Paper is set in the regular faces: bold type on it is a dot wider.
    let faces = Faces { sc_bold: None, tc_bold: None, ..config.glass.faces() };
    let texts = config.glass.look.texts.clone();
    let (config, inputs) = (config.printer.clone(), inputs.clone());
    supervisor.thread("the printer", move || {
        // Fonts are loaded after everything that the customer waits for.
        let mut todo = PrintQueue::new(todo);
        let mut next = todo.next(config.status_every.0);
        let mut printer = match Typesetter::load(&faces) {
            Ok(type_) => Printer::new(&config, port, type_, Texts::with(&texts)),
            Err(error) => return End::Failed(error.to_string()),
        };
        let mut told = None;
        let mut first_job = true;
        loop {
            let status = match next {
                Ok(PrintJob { paper, after_a_crash }) => {
                    if std::mem::take(&mut first_job) && after_a_crash {
                        printer.distrust();
                    }
                    let result = match &paper {
                        Paper::Slip { receipt, .. } => printer.print(receipt),
                        Paper::Ticket { ticket, .. } => printer.print_ticket(ticket),
                        Paper::Report(slip) => printer.print_report(slip),
                        Paper::Test(page) => printer.print_test(page),
                    };
                    let status = match result {
                        Err(not) => not.trouble().into(),
                        // It prints on, and the warning stands until it is asked again.
                        Ok(()) if told == Some(PrinterStatus::PaperNearEnd) => PrinterStatus::PaperNearEnd,
                        Ok(()) => PrinterStatus::Ok,
                    };
                    match (paper, result.map_err(|not| not.to_string())) {
                        (Paper::Slip { order, .. } | Paper::Ticket { order, .. }, result) => {
                            drop(inputs.send(Input::Event(Event::ReceiptDone { order, result })));
                        }
                        (Paper::Report(slip), Ok(())) => tracing::info!(number = slip.number, "a report is printed"),
                        (Paper::Test(_), Ok(())) => tracing::info!("a test page is printed"),
                        (Paper::Test(_), Err(why)) => tracing::warn!(why, "a test page is not on paper"),
                        (Paper::Report(slip), Err(why)) => {
                            let number = slip.number;
                            tracing::warn!(number, why, "a report is not on paper; kioskctl settle --print {number}");
                        }
                    }
                    status
                }
                Err(RecvTimeoutError::Timeout) => printer.status(),
                Err(RecvTimeoutError::Disconnected) => return End::Told,
            };
            if told.as_ref() != Some(&status) {
                told = Some(status.clone());
                drop(inputs.send(Input::Printer(status)));
            }
            next = todo.next(config.status_every.0);
        }
    })?;
    Ok(jobs)
}

/// What the configuration says of the connection to the fleet; `None` where it has none.
///
/// # Errors
/// A name, a broker or a key in it is not what it should be.
pub(crate) fn link_settings(
    config: &Config,
    boot: &BootId,
    commands: Option<Arc<CommandDesk>>,
) -> Result<Option<LinkConfig>, KioskError> {
    let Some(fleet) = &config.fleet else { return Ok(None) };
    let wrong = |why: String| KioskError::Broker(fleet.broker.clone(), why);
    let name = |text: &str| Name::parse(text).map_err(|e| wrong(e.to_string()));
    let (fleet_name, kiosk) = (name(&config.kiosk.fleet)?, name(&config.kiosk.id)?);
    let broker: link::Broker = fleet.broker.parse().map_err(|e: link::BadBroker| wrong(e.to_string()))?;
    let fallback = fleet.fallback.as_ref().map(|text| text.parse()).transpose();
    let fallback = fallback.map_err(|e: link::BadBroker| wrong(e.to_string()))?;
    let tls = if broker.tls { Some(ClientTls::of(fleet)?) } else { None };
    let back_end = Some(&fleet.back_end).filter(|keys| !keys.is_empty());
    Ok(Some(LinkConfig {
        boot: boot.to_string(),
        signer: super::gateway::signer(config)?.map(Arc::new),
        back_end: back_end.map(|keys| super::gateway::keys(keys)).transpose()?,
        site: config.parking.as_ref().map(|parking| SiteTopics { site: parking.site, lane: parking.lane }),
        plates: config.parking.is_some() && config.gate.is_some(),
        commands,
        fallback,
        tls,
        window: fleet.window,
        start_delay: fleet.start_delay.0,
        back_off_max: fleet.reconnect_max.0,
        ..LinkConfig::new(fleet_name, kiosk, broker)
    }))
}

#[cfg(test)]
pub(super) mod tests;
