//! One process of simulated machines: one thread works on all of them, and their links share a runtime.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::machine::{Machine, Shared};
use super::surroundings::{Habits, Surroundings};
use super::{Options, SimulateError, folders};
use crate::console::say;
use crate::fleet::link::FleetEvent;
use crate::fleet::tls::{self, ClientTls};
use crate::kiosk::figures::resident;
use crate::service::{End, Supervisor};

/// So much is heard before the clock is looked at again.
const AT_ONCE: usize = 256;

/// What one process says every second, as a line of JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Seconds since 1970 UTC: what `connects` were made in.
    pub second: u64,
    pub machines: u64,
    pub started: u64,
    pub connected: u64,
    /// Those that were connected once at least.
    pub reached: u64,
    /// New connections in this second.
    pub connects: u64,
    pub made: u64,
    pub acknowledged: u64,
    pub sold: u64,
    pub cuts: u64,
    pub losses: u64,
    pub commands: u64,
    pub failed: u64,
    pub dead: u64,
    /// One of those that could not be started, and why.
    pub why: Option<String>,
    /// Machines with something open or unacknowledged, once they are to rest.
    pub restless: u64,
    /// Resident, in bytes.
    pub memory: u64,
}

enum Input {
    Heard { index: usize, run: u64, event: FleetEvent },
    Rest,
    Stop,
}

/// Runs the machines `first` to `first + count - 1` until standard input ends.
///
/// # Errors
/// It could not begin.
pub fn run(options: &Options, first: u64, count: u64) -> Result<(), SimulateError> {
    // Most shells give a process 1,024 open files until it asks for all that it may have.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).map_err(std::io::Error::from)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (tell, inputs) = channel();
    let broken = tell.clone();
    let supervisor = Supervisor::new(move |ended| {
        tracing::error!(part = ended.part, why = ended.why, "a part has ended");
        drop(broken.send(Input::Stop));
    });
    let listens = tell.clone();
    supervisor.thread("the parent's ear", move || listen(&listens))?;
    let tls = if options.access.broker.starts_with("mqtts:") {
        let identity = options.access.identity.as_ref().map(|(cert, key)| (cert.as_path(), key));
        Some(ClientTls::from(tls::client(options.access.ca.as_deref(), identity)?))
    } else {
        None
    };
    let shared = Shared {
        supervisor,
        runtime: runtime.handle().clone(),
        broker: options.access.broker.clone(),
        tls,
        start: Instant::now(),
        spread: options.spread,
        hear: Arc::new(move |index, run, event| drop(tell.send(Input::Heard { index, run, event }))),
    };
    let mut share = Share { shared, machines: Vec::new(), calendar: BinaryHeap::new(), resting: false, said: None };
    share.build(options, first, count, &inputs)?;
    share.turn(&inputs)
}

/// The parent says `rest`, and goes.
fn listen(tell: &Sender<Input>) -> End {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == "rest" {
            drop(tell.send(Input::Rest));
        }
    }
    drop(tell.send(Input::Stop));
    End::Told
}

struct Share {
    shared: Shared,
    machines: Vec<Machine>,
    /// When which machine wants to be called; an entry that is not its newest is passed over.
    calendar: BinaryHeap<Reverse<(u64, usize)>>,
    resting: bool,
    said: Option<Said>,
}

struct Said {
    second: u64,
    connects: u64,
}

impl Share {
    /// Machines begin to sell while the others are still being made.
    fn build(
        &mut self,
        options: &Options,
        first: u64,
        count: u64,
        inputs: &Receiver<Input>,
    ) -> Result<(), SimulateError> {
        let hour = 3_600_000.0;
        let every = |per_hour: f64| (per_hour > 0.0).then(|| hour / per_hour);
        let habits = Habits {
            customer: options.every.as_secs_f64() * 1_000.0,
            jams: options.jams,
            cut: every(options.cuts),
            loss: every(options.losses),
        };
        for number in first..first + count {
            let mut chance = Chance::new(options.seed, number);
            let silent = chance.percent(options.silent);
            let around = Surroundings::new(habits, chance);
            let folder = folders::machine(&options.state, &folders::name(number));
            let index = self.machines.len();
            let mut machine = Machine::new(index, folder, around, silent);
            machine.power_on(&self.shared);
            self.machines.push(machine);
            self.plan(index);
            while let Ok(input) = inputs.try_recv() {
                if !self.take(input) {
                    return Ok(());
                }
            }
            self.tick(count)?;
        }
        Ok(())
    }

    fn turn(&mut self, inputs: &Receiver<Input>) -> Result<(), SimulateError> {
        let count = self.machines.len() as u64;
        'turns: loop {
            self.tick(count)?;
            let now = self.shared.now();
            let next = self.calendar.peek().map_or(200, |Reverse((at, _))| at.saturating_sub(now).min(200));
            match inputs.recv_timeout(Duration::from_millis(next)) {
                Ok(input) => {
                    for input in std::iter::once(input).chain(inputs.try_iter().take(AT_ONCE)) {
                        if !self.take(input) {
                            break 'turns;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.machines.iter_mut().for_each(Machine::close);
        self.say(count, true)
    }

    /// `false`: it is to end.
    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::Heard { index, run, event } => {
                if let Some(machine) = self.machines.get_mut(index) {
                    machine.heard(&self.shared, run, event);
                    self.plan(index);
                }
            }
            Input::Rest => {
                self.resting = true;
                for index in 0..self.machines.len() {
                    self.machines[index].rest(&self.shared);
                    self.plan(index);
                }
            }
            Input::Stop => return false,
        }
        true
    }

    fn plan(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let next = machine.next_due();
        if machine.scheduled != next {
            machine.scheduled = next;
            self.calendar.extend(next.map(|at| Reverse((at, index))));
        }
    }

    /// What is due, and the figures once a second.
    fn tick(&mut self, count: u64) -> Result<(), SimulateError> {
        let now = self.shared.now();
        let mut done = 0;
        while done < AT_ONCE
            && let Some(Reverse((at, index))) = self.calendar.peek().copied()
            && at <= now
        {
            self.calendar.pop();
            if self.machines[index].scheduled == Some(at) {
                self.machines[index].scheduled = None;
                self.machines[index].happen(&self.shared);
                self.plan(index);
                done += 1;
            }
        }
        self.say(count, false)
    }

    fn say(&mut self, count: u64, anyway: bool) -> Result<(), SimulateError> {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let said = self.said.get_or_insert(Said { second, connects: 0 });
        if said.second == second && !anyway {
            return Ok(());
        }
        let mut figures = Figures {
            second: said.second,
            machines: count,
            memory: resident().unwrap_or_default(),
            ..Figures::default()
        };
        let mut connects = 0;
        for machine in &mut self.machines {
            machine.look();
            let counts = machine.counts;
            figures.started += 1;
            figures.connected += u64::from(machine.connected);
            figures.reached += u64::from(counts.connects > 0);
            figures.made += counts.made;
            figures.acknowledged += counts.acknowledged;
            figures.sold += counts.sold;
            figures.cuts += counts.cuts;
            figures.losses += counts.losses;
            figures.commands += counts.commands;
            figures.failed += counts.failed;
            connects += counts.connects;
            if let Some(why) = &machine.dead {
                figures.dead += 1;
                figures.why = Some(why.clone());
            }
            figures.restless += u64::from(!self.resting || !machine.has_come_to_rest());
        }
        figures.connects = connects - said.connects;
        *said = Said { second, connects };
        say(serde_json::to_string(&figures)?)?;
        Ok(())
    }
}
