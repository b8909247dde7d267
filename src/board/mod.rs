//! The board: relays, the drop sensor, door and tamper, buttons, the thermometer.
//!
//! Policy: one thread executes one command after the other, so two deliveries never overlap. A relay is energised at
//! most once for a delivery, for at most its slot's pulse, and goes off even when everything else fails. What fell is
//! read from a counter that outlives the kiosk; where nobody can know, the evidence says so. Nothing here decides what
//! a delivery means for the money.
//!
//! The drivers are generic over embedded-hal, so a real board is only another [`Backend`]. Which one is used is chosen
//! at run time by [`LineDriver`].

mod counter;
mod expander;
mod gpiochip;
mod inputs;
mod listen;
mod pi;
mod probe;
mod real;
mod relay;
mod safe;
mod sensor;
mod simulated;
#[cfg(test)]
mod tests;
mod thermometer;
mod worker;

pub use counter::{Counter, CounterError, EventCounter, OwnCounter};
pub use expander::{Expander, ExpanderError, Pins};
pub use listen::Listening;
pub use probe::{Probe, ProbedBus, ProbedChip, ProbedLine, probe};
pub use real::{LineFault, Real, RealInput, RealOutput};
pub use relay::{HARD_LIMIT, Interlock, PulseError, Relay};
pub use safe::{Made, relays_safe};
pub use sensor::{BarrierFault, DropSensor, LightBarrier};
pub use simulated::{Simulated, SimulatedError, SimulatedI2c, SimulatedPin};
pub use thermometer::Thermometer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::I2c;

use crate::config::{self, Config, LineDriver, Wiring};
use crate::vocabulary::{DeliveryId, Evidence, Reading, SlotId};
use crate::world::{LineName, SlotWiring, World};
use inputs::Inputs;

/// What the kiosk asks of the board. Executed in order.
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
    /// It is certain that nothing was energised.
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
    /// Whether every relay can be driven and every input read; said at the start and when it changes.
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

    /// Claims an input and tells of its changes once [`listen`](Self::listen) was called. A world tells by itself, through
    /// [`Board::input_changed`].
    fn watch(&self, line: &str, _purpose: Purpose, _tell: Tell) -> Result<Self::Input, BoardError> {
        self.input(line)
    }

    /// Tells of changes until what it answers is dropped.
    fn listen(&self) -> Result<Option<Listening>, BoardError> {
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
    Do(Command),
    Stop,
}

/// The running board. Dropping it ends the pulse under way, if any, and leaves every relay inactive.
pub struct Board {
    jobs: mpsc::Sender<Job>,
    inputs: Arc<Inputs>,
    report: Report,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    thermometer: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
    listening: Option<Listening>,
}

/// Claims the lines and starts the board's thread. Its first deeds: every relay inactive, then the levels of door and
/// tamper, then whether the board answers.
///
/// # Errors
/// A line that can't be claimed, or no thread. A board that merely does not answer is reported, not an error.
pub fn start(
    config: &config::Board,
    slots: &[config::Slot],
    lines: Lines,
    report: impl Fn(BoardEvent) + Send + Sync + Clone + 'static,
) -> Result<Board, BoardError> {
    match lines {
        Lines::Simulated(world) => start_on(&Simulated::new(world), config, slots, Arc::new(report)),
        Lines::Real(board) => start_on(&*board, config, slots, Arc::new(report)),
    }
}

fn start_on<B: Backend + 'static>(
    backend: &B,
    config: &config::Board,
    slots: &[config::Slot],
    report: Report,
) -> Result<Board, BoardError> {
    let beam = config.drop_sensor.as_ref().filter(|sensor| sensor.counter.is_none());
    let count = beam.map(|sensor| OwnCounter::new(backend.beam_debounce(&sensor.beam)));
    let inputs = Arc::new(Inputs::of(config, slots, count.as_ref(), Arc::clone(&report)));
    let stop = Arc::new(AtomicBool::new(false));
    let (jobs, todo) = mpsc::channel();
    let worker = worker::Worker::claim(backend, config, slots, &inputs, count, &report, &stop)?;
    let thermometer = match &config.temperature {
        Some(config) => Some(thermometer::start(&config.sensor, Arc::clone(&report))?),
        None => None,
    };
    let listening = backend.listen()?;
    let thread = std::thread::Builder::new().name("board".into()).spawn(move || worker.run(&todo))?;
    Ok(Board { jobs, inputs, report, stop, thread: Some(thread), thermometer, listening })
}

impl Board {
    /// Queues a command; its answer comes as an event.
    pub fn command(&self, command: Command) {
        if self.jobs.send(Job::Do(command)).is_err() {
            tracing::error!("the board's thread has ended");
            (self.report)(BoardEvent::Answers { answers: false });
        }
    }

    /// An input changed by itself; reported at once, whatever the board's thread is doing.
    pub fn input_changed(&self, line: &str, active: bool) {
        self.inputs.changed(line, active);
    }

    /// What a simulated world must know: every line, and which relay turns which slot. The beam stands directly behind
    /// its emitter; that is how the world knows that they belong together. The world's slots start full, whatever the
    /// ledger counts.
    pub fn hello(config: &config::Board, slots: &[config::Slot]) -> (Vec<LineName>, Vec<SlotWiring>) {
        let line = |name: &String, kind: &str| LineName { name: name.clone(), kind: kind.into() };
        let mut lines: Vec<_> = slots.iter().map(|slot| line(&slot.line, "relay")).collect();
        let switches = slots.iter().flat_map(|slot| [&slot.home, &slot.button]);
        lines.extend(
            [&config.door, &config.tamper].into_iter().chain(switches).flatten().map(|name| line(name, "input")),
        );
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
        self.stop.store(true, Ordering::Relaxed);
        // A thread that has ended already needs no telling.
        drop(self.jobs.send(Job::Stop));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the board's thread had panicked");
        }
        drop(self.listening.take());
        if let Some((stop, thread)) = self.thermometer.take() {
            drop(stop);
            drop(thread.join());
        }
    }
}

/// A panic elsewhere while the lock was held leaves plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
