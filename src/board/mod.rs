//! The board: relays, the drop sensor, door and tamper, buttons, the thermometer.
//!
//! Policy: one thread executes one command after the other, so two deliveries never overlap. A relay is energised at
//! most once for a delivery, for at most its slot's pulse, and goes off even when everything else fails. What fell is
//! read from a counter that outlives the kiosk; where nobody can know, the evidence says so. Every question is answered
//! within its deadline, if need be in the place of a thread that hangs. Nothing here decides what a delivery means for
//! the money.
//!
//! The drivers are generic over embedded-hal, so a real board is only another [`Backend`]. Which one is used is chosen
//! at run time by [`LineDriver`].

mod claims;
mod counter;
mod expander;
mod gpiochip;
mod inputs;
mod lane;
mod listen;
mod pi;
mod probe;
mod questions;
mod real;
mod relay;
mod safe;
mod sensor;
mod simulated;
#[cfg(test)]
mod tests;
mod thermometer;
mod worker;

pub use claims::{Claims, ClaimsError};
pub use counter::{Counter, CounterError, EventCounter, OwnCounter};
pub use expander::{Expander, ExpanderError, Pins};
pub use lane::{GateButton, GateCommand, GateEvent};
pub use listen::Listening;
pub use probe::{Probe, ProbedBus, ProbedChip, ProbedLine, probe};
pub use real::{LineFault, Real, RealInput, RealOutput};
pub use relay::{HARD_LIMIT, Interlock, PulseError, Relay};
pub use safe::{MadeSafe, SafeReport, relays_safe};
pub use sensor::{BarrierFault, DropSensor, LightBarrier};
pub use simulated::{Simulated, SimulatedError, SimulatedI2c, SimulatedPin};
pub use thermometer::Thermometer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::I2c;

use crate::config::{self, Config, LineDriver, Wiring};
use crate::service::{Heartbeat, Part, Supervisor, Thread};
use crate::vocabulary::{DeliveryId, Evidence, Reading, SlotId};
use crate::world::{LineName, SlotWiring, World};
use inputs::Inputs;
use questions::{GRACE, Limits, Question, Questions};

/// For a thread of the board to end: the pulse under way ends at once, and every relay is made inactive once more.
const STOP: Duration = Duration::from_secs(2);

/// What the kiosk asks of the board. Executed in order, and each answered once: by `Prepared`, `Evidence` or
/// `NotEnergised`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Self-test and read the drop sensor before an intent is written. Nothing moves.
    Prepare { delivery: DeliveryId },
    /// Energise the slot's relay once, end the pulse when the counter moves or the pulse has passed, wait for what is
    /// still falling, say what fell since `before`. The same delivery again energises nothing and is only answered.
    Deliver { delivery: DeliveryId, slot: SlotId, before: Option<u32> },
    /// After a restart: what has fallen since `before`. Nothing is energised.
    Recall { delivery: DeliveryId, before: Option<u32> },
}

/// What the board says. Called from the board's thread, and from the caller's in [`Board::input_changed`]; must not
/// block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoardEvent {
    Prepared {
        delivery: DeliveryId,
        reading: Reading,
    },
    Evidence {
        delivery: DeliveryId,
        evidence: Evidence,
    },
    /// It is certain that nothing was energised, and that nothing will be.
    NotEnergised {
        delivery: DeliveryId,
        why: String,
    },
    Door {
        open: bool,
    },
    Tamper {
        active: bool,
    },
    /// The key of the service menu was turned on or off.
    ServiceKey {
        on: bool,
    },
    /// A slot's button was pressed.
    Button {
        slot: SlotId,
    },
    /// Its motor has not come home: the slot may not be used until a person has looked.
    NotHome {
        slot: SlotId,
    },
    /// In thousandths of a degree Celsius, every ten seconds; `None` where the thermometer does not answer.
    Temperature {
        milli: Option<i32>,
    },
    /// Of the gate of a lane.
    Gate(GateEvent),
    /// Whether every relay can be driven, and every input read that is not a gate's; said at the start and when it changes.
    Answers {
        answers: bool,
    },
}

/// Where lines and buses come from.
pub trait Backend {
    type Output: OutputPin + Send + 'static;
    type Input: InputPin + Send + 'static;
    type Bus: I2c + Send + 'static;

    /// Claims an output: inactive from the first moment on a real board, unmoved in a simulated one. High is active.
    fn output(&self, line: &str) -> Result<Self::Output, BoardError>;

    /// Claims an input. High is active: the door open, the beam broken.
    fn input(&self, line: &str) -> Result<Self::Input, BoardError>;

    /// Claims an input and tells of its changes once [`listen`](Self::listen) was called. A world tells by itself,
    /// through [`Board::input_changed`].
    fn watch(&self, line: &str, _purpose: Purpose, _tell: Tell) -> Result<Self::Input, BoardError> {
        self.input(line)
    }

    /// Tells of changes until what it answers is dropped.
    fn listen(&self, _supervisor: &Supervisor) -> Result<Option<Listening>, BoardError> {
        Ok(None)
    }

    /// By so much later than the beam its edges are told.
    fn beam_debounce(&self, _line: &str) -> Duration {
        Duration::ZERO
    }

    fn bus(&self) -> Result<Self::Bus, BoardError>;

    /// Is it certain after this error that the line did not move at all?
    fn untouched(error: &<Self::Output as ErrorType>::Error) -> bool;
}

/// A board whose wires have places.
trait Locate: Backend<Output: OutputPin<Error: std::fmt::Debug>> {
    /// Where a line is, in words; the same wire in the same words.
    ///
    /// # Errors
    /// As in claiming it.
    fn whereabouts(&self, line: &str) -> Result<String, BoardError>;
}

/// Hears whether an input has become active. Called from a thread of the backend's; must not block.
pub type Tell = Box<dyn FnMut(bool) + Send>;

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A contact that bounces.
    Switch,
    /// What falls through it is short.
    Beam,
}

/// The backends there are.
pub enum Lines {
    Simulated(Arc<World>),
    Real(Box<Real>),
}

impl Lines {
    /// # Errors
    /// [`BoardError::NoWorld`] where the driver is simulated and there is no world; a driver that does not work here.
    pub fn open(config: &Config, world: Option<&Arc<World>>) -> Result<Self, BoardError> {
        match config.board.lines {
            LineDriver::Simulated => world.cloned().map(Self::Simulated).ok_or(BoardError::NoWorld),
            LineDriver::Gpiochip { .. } | LineDriver::Rppal { .. } => {
                Ok(Self::Real(Box::new(Real::open(Wiring::from(config))?)))
            }
        }
    }
}

impl Lines {
    /// Puts down which lines will be driven, for whoever makes them safe after our death. Before [`start`].
    ///
    /// # Errors
    /// A line that is not there. That nothing could be put down is told in the log: the configuration is left then.
    pub fn announce(&self, claims: &Claims) -> Result<(), BoardError> {
        let Self::Real(board) = self else { return Ok(()) };
        if let Err(error) = safe::announce(&**board, board.found()?, Real::open, claims) {
            tracing::error!(%error, "the list of driven relays could not be written; a stop can make safe only the relays of the configuration");
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    #[error("the board is simulated and needs `--world SOCKET`")]
    NoWorld,
    #[error("line `{line}`: {why}")]
    Line { line: String, why: String },
    #[error("line `{line}` ({place}) is in use by \"{by}\"; stop that, or write another line")]
    Busy { line: String, place: String, by: String },
    #[error("{0}")]
    Bus(String),
    #[error("this is no Raspberry Pi that rppal knows; write driver = \"gpiochip\", which works on every board")]
    NotAPi,
    #[error("the Raspberry Pi's registers: {0}")]
    Pi(String),
    #[error("the temperature: {0}")]
    Temperature(String),
    #[error("the board's thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

type Report = Arc<dyn Fn(BoardEvent) + Send + Sync>;

enum Job {
    Do(Command, Arc<Question>),
    /// The watchdog asks whether the thread turns.
    Nudge,
    Stop,
}

/// What the board's thread shares with who asks it.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// It was answered for in its place: that it answers again is news.
    passed_over: AtomicBool,
    heartbeat: Heartbeat,
}

/// The running board. Dropping it ends the pulse under way, if any, and leaves every relay inactive.
pub struct Board {
    jobs: mpsc::Sender<Job>,
    inputs: Arc<Inputs>,
    report: Report,
    questions: Questions,
    shared: Arc<Shared>,
    thread: Thread,
    thermometer: Option<(mpsc::Sender<()>, Thread)>,
    gate: Option<lane::Gate>,
    listening: Option<Listening>,
}

/// Claims the lines and starts the board's thread. Its first deeds: every relay inactive, then the levels of door and
/// tamper, then whether the board answers.
///
/// # Errors
/// A line that can't be claimed, or no thread. A board that merely does not answer is reported, not an error.
pub fn start(
    config: &Config,
    lines: Lines,
    supervisor: &Supervisor,
    report: impl Fn(BoardEvent) + Send + Sync + Clone + 'static,
) -> Result<Board, BoardError> {
    match lines {
        Lines::Simulated(world) => start_on(&Simulated::new(world), supervisor, config, GRACE, Arc::new(report)),
        Lines::Real(board) => start_on(&*board, supervisor, config, GRACE, Arc::new(report)),
    }
}

/// `grace`: beside what a pulse and the falling after it take, an answer may take so long.
pub(crate) fn start_on<B: Backend + 'static>(
    backend: &B,
    supervisor: &Supervisor,
    config: &Config,
    grace: Duration,
    report: Report,
) -> Result<Board, BoardError> {
    let (slots, gate, config) = (&config.slots[..], config.gate.as_ref(), &config.board);
    // Relays before anything else: they are inactive from then on.
    let (gate, report) = match gate {
        Some(gate) => {
            let [of_gate, report] = lane::joined(&report);
            (Some(lane::Claimed::claim(backend, gate, config.heartbeat.0, of_gate)?), report)
        }
        None => (None, report),
    };
    let beam = config.drop_sensor.as_ref().filter(|sensor| sensor.counter.is_none());
    let count = beam.map(|sensor| OwnCounter::new(backend.beam_debounce(&sensor.beam)));
    let inputs = Arc::new(Inputs::of(config, slots, count.as_ref(), Arc::clone(&report)));
    let shared = Arc::new(Shared::default());
    let (jobs, todo) = mpsc::channel();
    let worker = worker::Worker::claim(backend, config, slots, &inputs, count, &report, &shared)?;
    let thermometer = match &config.temperature {
        Some(config) => Some(thermometer::start(supervisor, &config.sensor, Arc::clone(&report))?),
        None => None,
    };
    let listening = backend.listen(supervisor)?;
    let thread = supervisor.thread("the board", move || worker.run(&todo))?;
    let gate = gate.map(|gate| gate.start(supervisor)).transpose()?;
    let questions = Questions::new(Limits::of(config, slots, grace));
    Ok(Board { jobs, inputs, report, questions, shared, thread, thermometer, gate, listening })
}

impl Board {
    /// Queues a command; its answer comes as an event, at the latest from [`answer_overdue`](Self::answer_overdue).
    pub fn command(&self, command: Command) {
        let question = self.questions.ask(&command, Instant::now());
        // A thread that has ended has been reported, and its question stays open.
        drop(self.jobs.send(Job::Do(command, question)));
    }

    /// Asks it of the gate, where there is one. What was not energised comes as an event.
    pub fn gate(&self, command: GateCommand) {
        match &self.gate {
            Some(gate) => gate.command(command),
            None => tracing::error!(?command, "the board has no gate"),
        }
    }

    /// When a question is overdue, if nobody answers before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.questions.next()
    }

    /// Answers what the board's thread has not answered in time, and what it answers later is not passed on.
    pub fn answer_overdue(&self, now: Instant) {
        let overdue = self.questions.overdue(now);
        if !overdue.is_empty() {
            self.shared.passed_over.store(true, Ordering::Release);
            // First, so that nothing else is asked of it.
            (self.report)(BoardEvent::Answers { answers: false });
        }
        overdue.into_iter().for_each(|event| (self.report)(event));
    }

    /// What the watchdog looks at: the board's threads beat between any two words with a device, so one that never
    /// comes back is seen, and a long pulse is not taken for one.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        let jobs = self.jobs.clone();
        let own = Part {
            name: "the board",
            heartbeat: self.shared.heartbeat.clone(),
            nudge: Box::new(move || drop(jobs.send(Job::Nudge))),
        };
        [own].into_iter().chain(self.gate.as_ref().map(lane::Gate::part))
    }

    /// An input changed by itself; reported at once, whatever the board's thread is doing.
    pub fn input_changed(&self, line: &str, active: bool) {
        self.inputs.changed(line, active);
        if let Some(gate) = &self.gate {
            gate.input_changed(line, active);
        }
    }

    /// What a simulated world must know: every line, and which relay turns which slot. The beam stands directly behind
    /// its emitter; that is how the world knows that they belong together. The world's slots start full, whatever the
    /// ledger counts.
    pub fn hello(config: &Config) -> (Vec<LineName>, Vec<SlotWiring>) {
        let (slots, gate, config) = (&config.slots, &config.gate, &config.board);
        let line = |name: &String, kind: &str| LineName { name: name.clone(), kind: kind.into() };
        let mut lines: Vec<_> = slots.iter().map(|slot| line(&slot.line, "relay")).collect();
        let switches = slots.iter().flat_map(|slot| [&slot.home, &slot.button]);
        lines.extend(
            [&config.door, &config.tamper, &config.service_key]
                .into_iter()
                .chain(switches)
                .flatten()
                .map(|name| line(name, "input")),
        );
        if let Some(gate) = gate {
            let named = |(_, name): (_, &str), kind: &str| LineName { name: name.into(), kind: kind.into() };
            lines.extend(gate.outputs().map(|output| named(output, "relay")));
            lines.extend(gate.inputs().map(|input| named(input, "input")));
        }
        if let Some(sensor) = &config.drop_sensor {
            lines.extend(sensor.emitter.iter().map(|name| line(name, "output")));
            lines.push(line(&sensor.beam, "input"));
        }
        let wiring = |slot: &config::Slot| SlotWiring {
            slot: slot.name.to_string(),
            line: slot.line.clone(),
            stock: slot.capacity,
        };
        (lines, slots.iter().map(wiring).collect())
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // A thread that has ended already needs no telling.
        drop(self.jobs.send(Job::Stop));
        if !self.thread.wait(STOP) {
            tracing::error!("the board's thread hangs; its relays are left to `kioskd relays-safe`");
        }
        drop(self.gate.take());
        drop(self.listening.take());
        // Reading a sensor may hang, and holds nothing that must be given back.
        drop(self.thermometer.take());
    }
}

/// A panic elsewhere while the lock was held leaves plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
