//! The gate of a lane at the board: its relays and its lamp, the loops and switches, the buttons.
//!
//! Policy: a thread of its own, which waits for no delivery. A pulse ends by itself after its time, at the latest after the
//! configuration's, and at once where the other relay is asked for: the two are never energised together. Before the arm is
//! lowered the loops and the fire contact are read once more, and one that is not quiet withholds the pulse. Inputs are told as
//! levels, each once at the start and then with every change; one that can't be read is unknown. What any of it means is decided
//! elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use embedded_hal::digital::{InputPin, OutputPin};

use super::worker::hurry;
use super::{Backend, BoardError, BoardEvent, Interlock, PulseError, Purpose, Relay, Report, lock};
use crate::config;
use crate::parking::lane::{self, Level};
use crate::service::{End, Heartbeat, Part, Supervisor, Thread};

/// While the arm may move the inputs are read so often, whatever their edges say.
const MOVING: Duration = Duration::from_millis(100);
/// It moves for no longer after a pulse.
const MOVES: Duration = Duration::from_secs(40);
/// After a read or a relay that failed.
const RETRY: Duration = Duration::from_millis(500);
/// A pulse for lowering that begins later was decided by what is no longer so.
const STALE: Duration = Duration::from_secs(1);

/// What the kiosk asks of the gate. Executed in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateCommand {
    /// Once, for this time. The other relay's pulse ends first.
    Energise { relay: lane::Relay, pulse: Duration },
    /// Its pulse ends now.
    Rest { relay: lane::Relay },
    /// The lamp that says full.
    Sign { full: bool },
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateEvent {
    Input {
        input: lane::Input,
        level: Level,
    },
    /// It is certain that it was not energised, and will not be.
    NotEnergised {
        relay: lane::Relay,
    },
    /// The relay that lowers was not energised, because a loop or the fire contact is not quiet. Its level is told after this.
    NotLowered,
    /// Told once for each press.
    Pressed {
        button: GateButton,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateButton {
    Ticket,
    Help,
}

enum Job {
    Do { command: GateCommand, asked: Instant },
    Nudge,
    Stop,
}

#[derive(Debug, Clone, Copy)]
enum Watched {
    Lane(lane::Input),
    Button(GateButton),
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    level: Option<Level>,
    changes: u64,
}

/// The last known level of each input. A change that comes while a reading is under way wins, because the reading may be older.
struct Levels {
    watched: Vec<(String, Watched)>,
    seen: Mutex<Vec<Seen>>,
    report: Report,
}

impl Levels {
    fn of(gate: &config::Gate, report: Report) -> Self {
        let means = |key| match key {
            "presence" => Watched::Lane(lane::Input::Presence),
            "safety" => Watched::Lane(lane::Input::Safety),
            "closing" => Watched::Lane(lane::Input::Closing),
            "opened" => Watched::Lane(lane::Input::Opened),
            "closed" => Watched::Lane(lane::Input::Closed),
            "fire" => Watched::Lane(lane::Input::Fire),
            "ticket_button" => Watched::Button(GateButton::Ticket),
            _ => Watched::Button(GateButton::Help),
        };
        let watched: Vec<_> = gate.inputs().map(|(key, line)| (line.to_owned(), means(key))).collect();
        let seen = Mutex::new(vec![Seen::default(); watched.len()]);
        Self { watched, seen, report }
    }

    /// By its name, from a world.
    fn changed(&self, line: &str, active: bool) {
        for (nth, _) in self.watched.iter().enumerate().filter(|(_, (name, _))| name == line) {
            self.nth_changed(nth, active);
        }
    }

    fn nth_changed(&self, nth: usize, active: bool) {
        let mut seen = lock(&self.seen);
        seen[nth].changes += 1;
        self.set(&mut seen[nth], nth, if active { Level::Active } else { Level::Inactive });
    }

    /// Reads one input with `read`, tells of a level that was not known, and answers with the newest.
    fn poll<E>(&self, nth: usize, read: impl FnOnce() -> Result<bool, E>) -> Level {
        let changes = lock(&self.seen)[nth].changes;
        let level = match read() {
            Ok(true) => Level::Active,
            Ok(false) => Level::Inactive,
            Err(_) => Level::Unknown,
        };
        let mut seen = lock(&self.seen);
        if seen[nth].changes == changes {
            self.set(&mut seen[nth], nth, level);
        }
        seen[nth].level.unwrap_or(level)
    }

    /// With the lock held, so that reports come in the order of the changes.
    fn set(&self, seen: &mut Seen, nth: usize, level: Level) {
        let before = seen.level.replace(level);
        if before == Some(level) {
            return;
        }
        let event = match self.watched[nth].1 {
            Watched::Lane(input) => GateEvent::Input { input, level },
            // One that is found pressed may be stuck.
            Watched::Button(button) if before == Some(Level::Inactive) && level == Level::Active => {
                GateEvent::Pressed { button }
            }
            Watched::Button(_) => return,
        };
        (self.report)(BoardEvent::Gate(event));
    }
}

/// What its thread shares with who asks it.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    heartbeat: Heartbeat,
}

/// The running gate. Dropping it ends the pulse under way, and leaves every relay and the lamp inactive.
pub(super) struct Gate {
    jobs: mpsc::Sender<Job>,
    levels: Arc<Levels>,
    shared: Arc<Shared>,
    thread: Thread,
}

impl Gate {
    pub fn command(&self, command: GateCommand) {
        // A thread that has ended has been reported.
        drop(self.jobs.send(Job::Do { command, asked: Instant::now() }));
    }

    pub fn input_changed(&self, line: &str, active: bool) {
        self.levels.changed(line, active);
    }

    pub fn part(&self) -> Part {
        let jobs = self.jobs.clone();
        Part {
            name: "the gate",
            heartbeat: self.shared.heartbeat.clone(),
            nudge: Box::new(move || drop(jobs.send(Job::Nudge))),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(self.jobs.send(Job::Stop));
        if !self.thread.wait(super::STOP) {
            tracing::error!("the gate's thread hangs; its relays are left to `kioskd relays-safe`");
        }
    }
}

/// Its lines, claimed: the outputs are inactive from then on.
pub(super) struct Claimed<B: Backend> {
    raise: Relay<B::Output>,
    lower: Option<Relay<B::Output>>,
    sign: Option<B::Output>,
    pins: Vec<(usize, B::Input)>,
    levels: Arc<Levels>,
    heartbeat: Duration,
    report: Report,
}

impl<B: Backend + 'static> Claimed<B> {
    pub fn claim(backend: &B, gate: &config::Gate, heartbeat: Duration, report: Report) -> Result<Self, BoardError> {
        // One of the two at any time, whatever is asked.
        let interlock = Interlock::new(1);
        let relay = |line: &String| Ok::<_, BoardError>(Relay::new(backend.output(line)?, gate.pulse.0, &interlock));
        let (raise, lower) = (relay(&gate.raise)?, gate.lower.as_ref().map(relay).transpose()?);
        let sign = gate.sign.as_ref().map(|line| backend.output(line)).transpose()?;
        let levels = Arc::new(Levels::of(gate, Arc::clone(&report)));
        let mut pins = Vec::new();
        for (nth, (line, _)) in levels.watched.iter().enumerate() {
            let told = Arc::clone(&levels);
            let tell = Box::new(move |active| told.nth_changed(nth, active));
            pins.push((nth, backend.watch(line, Purpose::Switch, tell)?));
        }
        Ok(Self { raise, lower, sign, pins, levels, heartbeat, report })
    }

    pub fn start(self, supervisor: &Supervisor) -> std::io::Result<Gate> {
        let (jobs, todo) = mpsc::channel();
        let (levels, shared) = (Arc::clone(&self.levels), Arc::new(Shared::default()));
        let worker = Worker {
            shared: Arc::clone(&shared),
            at: self,
            full: false,
            answers: None,
            next: None,
            moves_until: Instant::now(),
        };
        let thread = supervisor.thread("the gate", move || worker.run(&todo))?;
        Ok(Gate { jobs, levels, shared, thread })
    }
}

struct Worker<B: Backend> {
    at: Claimed<B>,
    shared: Arc<Shared>,
    /// What the lamp is to say.
    full: bool,
    answers: Option<bool>,
    /// What has ended a pulse.
    next: Option<Job>,
    moves_until: Instant,
}

impl<B: Backend> Worker<B> {
    fn run(mut self, todo: &mpsc::Receiver<Job>) -> End {
        hurry();
        self.look();
        let mut looked = Instant::now();
        loop {
            self.shared.heartbeat.beat();
            let pause = match self.answers {
                _ if Instant::now() < self.moves_until => MOVING,
                Some(true) => self.at.heartbeat,
                _ => self.at.heartbeat.min(RETRY),
            };
            let job = match self.next.take() {
                Some(job) => Ok(job),
                None => todo.recv_timeout(pause.saturating_sub(looked.elapsed())),
            };
            match job {
                Ok(Job::Do { command, asked }) => self.execute(command, asked, todo),
                Ok(Job::Nudge) => {}
                Ok(Job::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.look();
                    looked = Instant::now();
                }
            }
        }
        self.full = false;
        self.rest();
        End::Told
    }

    fn execute(&mut self, command: GateCommand, asked: Instant, todo: &mpsc::Receiver<Job>) {
        match command {
            GateCommand::Energise { relay: lane::Relay::Lower, .. } if asked.elapsed() >= STALE || !self.quiet() => {
                self.say(GateEvent::NotLowered);
                self.poll();
            }
            GateCommand::Energise { relay, pulse } => self.pulse(relay, pulse, todo),
            // No pulse is under way.
            GateCommand::Rest { .. } => {}
            GateCommand::Sign { full } => {
                self.full = full;
                self.light();
            }
        }
    }

    fn pulse(&mut self, relay: lane::Relay, pulse: Duration, todo: &mpsc::Receiver<Job>) {
        let (at, next, full) = (&mut self.at, &mut self.next, &mut self.full);
        let (ours, other) = match relay {
            lane::Relay::Raise => (Some(&mut at.raise), at.lower.as_mut()),
            lane::Relay::Lower => (at.lower.as_mut(), Some(&mut at.raise)),
        };
        let Some(ours) = ours else {
            return self.say(GateEvent::NotEnergised { relay });
        };
        // One that could not be switched off has the interlock's permit still, and keeps this one off.
        let _ = other.map(Relay::rest);
        self.moves_until = Instant::now() + MOVES;
        let (began, shared) = (Instant::now(), &self.shared);
        let mut lamp = false;
        let result = ours.pulse(|slice| {
            shared.heartbeat.beat();
            let left = pulse.saturating_sub(began.elapsed());
            if left.is_zero() || shared.stop.load(Ordering::Relaxed) {
                return true;
            }
            match todo.recv_timeout(slice.min(left)) {
                Err(mpsc::RecvTimeoutError::Timeout) | Ok(Job::Nudge) => false,
                // Driving it may take longer than the pulse may.
                Ok(Job::Do { command: GateCommand::Sign { full: wanted }, .. }) => {
                    (*full, lamp) = (wanted, true);
                    false
                }
                Ok(Job::Do { command: GateCommand::Rest { relay: which }, .. }) => which == relay,
                Ok(job) => {
                    *next = Some(job);
                    true
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => true,
            }
        });
        if let Err(error) = result {
            tracing::error!(?relay, %error, "a relay of the gate could not be switched");
            let untouched = match &error {
                PulseError::On(cause) => B::untouched(cause),
                PulseError::Interlocked => true,
                PulseError::Off(_) => false,
            };
            if untouched {
                self.say(GateEvent::NotEnergised { relay });
            }
            self.answers(false);
        }
        if lamp {
            self.light();
        }
    }

    /// Whether everything that keeps the arm up is known to be inactive.
    fn quiet(&mut self) -> bool {
        let keeps_up = |watched: &Watched| {
            matches!(watched, Watched::Lane(lane::Input::Safety | lane::Input::Closing | lane::Input::Fire))
        };
        let Claimed { pins, levels, .. } = &mut self.at;
        // What is not quiet is told after it is said that the arm was not lowered: read and not taken over.
        pins.iter_mut().filter(|(nth, _)| keeps_up(&levels.watched[*nth].1)).all(|(nth, pin)| {
            let known = lock(&levels.seen)[*nth].level;
            pin.is_high().is_ok_and(|active| !active) && known == Some(Level::Inactive)
        })
    }

    fn poll(&mut self) {
        let Claimed { pins, levels, .. } = &mut self.at;
        for (nth, pin) in pins {
            self.shared.heartbeat.beat();
            levels.poll(*nth, || pin.is_high());
        }
    }

    /// Whether its relays can be driven; and each inactive, once more. An input that can't be read is a level of its own.
    fn look(&mut self) {
        let relays = self.rest();
        self.poll();
        self.answers(relays);
    }

    /// Every relay inactive, and the lamp as it should be.
    fn rest(&mut self) -> bool {
        let mut all = true;
        for relay in [Some(&mut self.at.raise), self.at.lower.as_mut()].into_iter().flatten() {
            self.shared.heartbeat.beat();
            all &= relay.rest().is_ok();
        }
        all & self.light()
    }

    fn light(&mut self) -> bool {
        let Some(sign) = &mut self.at.sign else { return true };
        if self.full { sign.set_high() } else { sign.set_low() }.is_ok()
    }

    fn answers(&mut self, answers: bool) {
        if self.answers.replace(answers) != Some(answers) {
            if !answers {
                tracing::error!("a relay of the gate does not answer");
            }
            (self.at.report)(BoardEvent::Answers { answers });
        }
    }

    fn say(&self, event: GateEvent) {
        (self.at.report)(BoardEvent::Gate(event));
    }
}

/// Two threads say whether their lines answer: it is told as one, once both have said so.
pub(super) fn joined(report: &Report) -> [Report; 2] {
    let said = Arc::new(Mutex::new([None; 2]));
    [0, 1].map(|nth| {
        let (said, report) = (Arc::clone(&said), Arc::clone(report));
        Arc::new(move |event| match event {
            BoardEvent::Answers { answers } => {
                let mut said = lock(&said);
                said[nth] = Some(answers);
                if let [Some(one), Some(other)] = *said {
                    report(BoardEvent::Answers { answers: one && other });
                }
            }
            other => report(other),
        }) as Report
    })
}

#[cfg(test)]
mod tests;
