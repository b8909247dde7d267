//! The machine's moving parts: motors that take time to turn, products that take time to fall, a light barrier with
//! its counter chip, and the lines between them and the kiosk.
//!
//! Policy: this is physics, not manners. A motor turns while its relay is on, whoever forgot it; a product that has
//! left its slot falls, whoever has died meanwhile; the counter chip has its own supply and remembers. Nothing moves
//! because time passes alone, and the machine's thread sleeps until the next thing is due.

mod chip;
mod state;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{LineName, SlotWiring};
use state::{Kind, State};

/// How fast things move.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// One whole turn of a motor.
    pub turn: Duration,
    /// From the slot to the light barrier.
    pub fall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { turn: Duration::from_millis(600), fall: Duration::from_millis(120) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motor {
    Ok,
    /// Does not turn.
    Jam,
    /// Lets two fall in one turn.
    Double,
}

/// What happened, in the moment it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineEvent {
    RelayOn {
        line: String,
    },
    RelayOff {
        line: String,
    },
    /// A product has left its slot; from here it falls.
    Drop {
        slot: String,
    },
    /// It passes the light barrier.
    Seen {
        slot: String,
    },
}

impl MachineEvent {
    /// `relay-on`, `relay-off`, `drop`, `seen`.
    pub fn name(&self) -> &'static str {
        match self {
            MachineEvent::RelayOn { .. } => "relay-on",
            MachineEvent::RelayOff { .. } => "relay-off",
            MachineEvent::Drop { .. } => "drop",
            MachineEvent::Seen { .. } => "seen",
        }
    }
}

type Listener = Arc<dyn Fn(&MachineEvent) + Send + Sync>;

/// Owns a thread, which ends with it.
pub struct Machine {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    listeners: Mutex<Vec<Listener>>,
    notify: Box<dyn Fn(String, bool) + Send + Sync>,
}

impl Machine {
    /// `notify` is told of every input that changes by itself (line, level); it is called from whichever thread caused
    /// it, without a lock.
    pub fn new(notify: impl Fn(String, bool) + Send + Sync + 'static, speed: Timing) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(speed)),
            changed: Condvar::new(),
            listeners: Mutex::default(),
            notify: Box::new(notify),
        });
        let turning = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("machine".into())
            .spawn(move || turning.run())
            .expect("a process that is only starting has room for a thread");
        Self { shared }
    }

    /// Called in the moment something happens, before the kiosk can learn of it; a relay's events from the thread that
    /// switches it.
    pub fn on_event(&self, listener: impl Fn(&MachineEvent) + Send + Sync + 'static) {
        lock(&self.shared.listeners).push(Arc::new(listener));
    }

    /// The kiosk says how it is wired. Stock, counter, pulses and levels of what is known already stay.
    pub fn hello(&self, lines: &[LineName], slots: &[SlotWiring]) {
        self.shared.change(|state, _| state.wire(lines, slots));
    }

    /// # Errors
    /// No such output; nothing was moved.
    pub fn set_line(&self, line: &str, active: bool) -> Result<(), String> {
        self.shared.change(|state, events| state.drive(line, active, Instant::now(), events))
    }

    /// # Errors
    /// No such line.
    pub fn get_line(&self, line: &str) -> Result<bool, String> {
        self.shared.change(|state, _| state.level(line))
    }

    /// One transfer: `write`, then `read` bytes. The counter chip answers at 0x50 and 0x51.
    ///
    /// # Errors
    /// Nobody at that address.
    pub fn i2c(&self, address: u8, write: &[u8], read: usize) -> Result<Vec<u8>, String> {
        self.shared.change(|state, _| state.transfer(address, write, read))
    }

    /// The kiosk's socket has ended: its lines float, and the pull-downs win.
    pub fn drop_all_relays(&self) {
        self.shared.change(|state, events| {
            for line in state.relays() {
                // It is a relay of this machine, so it can be driven.
                drop(state.drive(&line, false, Instant::now(), events));
            }
        });
    }

    /// A person's hand: opens the door, shakes the machine, covers the beam.
    ///
    /// # Errors
    /// No such input.
    pub fn set_input(&self, name: &str, active: bool) -> Result<(), String> {
        if self.shared.change(|state, _| state.touch(name, active))? {
            (self.shared.notify)(name.to_owned(), active);
        }
        Ok(())
    }

    /// As [`set_input`](Self::set_input), and for an input that no kiosk has been wired to yet: it has that level from the
    /// beginning.
    pub fn wire_input(&self, name: &str, active: bool) {
        if self.shared.change(|state, _| state.begin_at(name, active)) {
            (self.shared.notify)(name.to_owned(), active);
        }
    }

    /// # Errors
    /// No such slot.
    pub fn set_motor(&self, slot: &str, motor: Motor) -> Result<(), String> {
        self.shared.change(|state, _| state.set_motor(slot, motor))
    }

    /// The sensor's plug: out, the beam reads broken for ever and the counter does not answer. It keeps its count.
    pub fn set_sensor(&self, plugged: bool) {
        self.shared.change(|state, _| state.plug(plugged));
    }

    /// Every slot as full as its wiring says.
    pub fn refill(&self) {
        self.shared.change(|state, _| state.refill());
    }

    /// `{"lines":[{"name","kind","active","pulses"}],"dropped":{SLOT:COUNT}}`: every line, and what really fell.
    pub fn report(&self) -> Value {
        self.shared.change(|state, _| {
            let kind = |kind| match kind {
                Kind::Relay => "relay",
                Kind::Output => "output",
                Kind::Input | Kind::Beam => "input",
            };
            let lines: Vec<_> = state
                .lines()
                .map(|line| {
                    json!({
                        "name": line.name, "kind": kind(line.kind), "active": line.active, "pulses": line.pulses
                    })
                })
                .collect();
            let dropped: serde_json::Map<_, _> =
                state.dropped().map(|(slot, count)| (slot.into(), count.into())).collect();
            json!({ "lines": lines, "dropped": dropped })
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.shared.change(|state, _| state.ended = true);
    }
}

impl Shared {
    /// Brings the machine up to now, lets `what` happen, and tells the listeners, all of it before anybody is answered.
    fn change<T>(&self, what: impl FnOnce(&mut State, &mut Vec<MachineEvent>) -> T) -> T {
        let mut events = Vec::new();
        let result = {
            let mut state = lock(&self.state);
            state.advance(Instant::now(), &mut events);
            what(&mut state, &mut events)
        };
        self.changed.notify_all();
        self.tell(&events);
        result
    }

    fn run(&self) {
        let mut state = lock(&self.state);
        while !state.ended {
            let mut events = Vec::new();
            state.advance(Instant::now(), &mut events);
            if !events.is_empty() {
                drop(state);
                self.tell(&events);
                state = lock(&self.state);
                continue;
            }
            state = match state.next_due() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn tell(&self, events: &[MachineEvent]) {
        if events.is_empty() {
            return;
        }
        let listeners = lock(&self.listeners).clone();
        for event in events {
            for listener in &listeners {
                listener(event);
            }
        }
    }
}

/// A panic in a listener elsewhere leaves plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
