//! The board: relays, the drop sensor, door and tamper.
//!
//! Policy: one thread executes one command after the other, so two deliveries never overlap. A relay is energised at
//! most once for a delivery, for at most its slot's pulse, and goes off even when everything else fails. What fell is
//! read from a counter that outlives the kiosk; where nobody can know, the evidence says so. Nothing here decides what
//! a delivery means for the money.
//!
//! The drivers are generic over embedded-hal, so a real board is only another [`Backend`]. Which one is used is chosen
//! at run time by [`LineDriver`].

mod relay;
mod sensor;
mod simulated;
#[cfg(test)]
mod tests;
mod worker;

pub use relay::{HARD_LIMIT, PulseError, Relay};
pub use sensor::{BarrierFault, CounterError, DropSensor, EventCounter, LightBarrier};
pub use simulated::{Simulated, SimulatedError, SimulatedI2c, SimulatedPin};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::I2c;

use crate::config::{self, LineDriver};
use crate::vocabulary::{DeliveryId, Evidence, Reading, SlotId};
use crate::world::{LineName, SlotWiring, World};

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

    /// Claims an output without moving it. High is active.
    fn output(&self, line: &str) -> Result<Self::Output, BoardError>;

    /// Claims an input. High is active: the door open, the beam broken.
    fn input(&self, line: &str) -> Result<Self::Input, BoardError>;

    fn bus(&self) -> Result<Self::Bus, BoardError>;

    /// Is it certain after this error that the line did not move at all?
    fn untouched(error: &<Self::Output as ErrorType>::Error) -> bool;
}

/// The backends there are.
pub enum Lines {
    Simulated(Arc<World>),
}

impl Lines {
    /// # Errors
    /// [`BoardError::NoWorld`] where the driver is simulated and there is no world.
    pub fn open(driver: &LineDriver, world: Option<&Arc<World>>) -> Result<Self, BoardError> {
        match driver {
            LineDriver::Simulated => world.cloned().map(Self::Simulated).ok_or(BoardError::NoWorld),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    #[error("the board is simulated and needs `--world SOCKET`")]
    NoWorld,
    #[error("line `{line}`: {why}")]
    Line { line: String, why: String },
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
    }
}

fn start_on<B: Backend + 'static>(
    backend: &B,
    config: &config::Board,
    slots: &[config::Slot],
    report: Report,
) -> Result<Board, BoardError> {
    let watched = [(config.door.as_ref(), Input::Door), (config.tamper.as_ref(), Input::Tamper)];
    let inputs: Vec<_> = watched.into_iter().filter_map(|(line, input)| Some((line?.clone(), input))).collect();
    let inputs = Arc::new(Inputs::new(inputs, Arc::clone(&report)));
    let stop = Arc::new(AtomicBool::new(false));
    let (jobs, todo) = mpsc::channel();
    let worker = worker::Worker::claim(backend, config, slots, &inputs, &report, &stop)?;
    let thread = std::thread::Builder::new().name("board".into()).spawn(move || worker.run(&todo))?;
    Ok(Board { jobs, inputs, report, stop, thread: Some(thread) })
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
        lines.extend([&config.door, &config.tamper].into_iter().flatten().map(|name| line(name, "input")));
        if let Some(sensor) = &config.drop_sensor {
            lines.extend([line(&sensor.emitter, "output"), line(&sensor.beam, "input")]);
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
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Door,
    Tamper,
}

/// The last known levels of door and tamper. They change by themselves and are read now and then; a change that comes
/// while a reading is under way wins, because the reading may be older.
struct Inputs {
    watched: Vec<(String, Input)>,
    levels: Mutex<Vec<Level>>,
    report: Report,
}

#[derive(Debug, Clone, Copy, Default)]
struct Level {
    active: Option<bool>,
    changes: u64,
}

impl Inputs {
    fn new(watched: Vec<(String, Input)>, report: Report) -> Self {
        let levels = Mutex::new(vec![Level::default(); watched.len()]);
        Self { watched, levels, report }
    }

    fn changed(&self, line: &str, active: bool) {
        let mut levels = lock(&self.levels);
        for (nth, (_, input)) in self.watched.iter().enumerate().filter(|(_, (name, _))| name == line) {
            levels[nth].changes += 1;
            self.set(&mut levels[nth], *input, active);
        }
    }

    /// Reads one input with `read` and reports a level that was not known.
    fn poll<E>(&self, nth: usize, read: impl FnOnce() -> Result<bool, E>) -> Result<(), E> {
        let changes = lock(&self.levels)[nth].changes;
        let active = read()?;
        let mut levels = lock(&self.levels);
        if levels[nth].changes == changes {
            self.set(&mut levels[nth], self.watched[nth].1, active);
        }
        Ok(())
    }

    /// With the lock held, so that reports come in the order of the changes.
    fn set(&self, level: &mut Level, input: Input, active: bool) {
        if level.active.replace(active) == Some(active) {
            return;
        }
        (self.report)(match input {
            Input::Door => BoardEvent::Door { open: active },
            Input::Tamper => BoardEvent::Tamper { active },
        });
    }
}

/// A panic elsewhere while the lock was held leaves plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
