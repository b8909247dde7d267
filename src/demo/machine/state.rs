//! The machine's state, and how it changes with time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::chip::Chip;
use super::{MachineEvent, Motor, Timing};
use crate::world::{LineName, SlotWiring};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Relay,
    /// An emitter.
    Output,
    Input,
    /// The input that stands behind an emitter.
    Beam,
}

pub(super) struct Line {
    pub name: String,
    pub kind: Kind,
    pub active: bool,
    /// How often it went from inactive to active.
    pub pulses: u64,
}

struct Slot {
    name: String,
    line: String,
    full: u32,
    stock: u32,
    motor: Motor,
    /// Of the turn under way, up to `since`.
    turned: Duration,
    /// Turning since then.
    since: Option<Instant>,
    dropped: u32,
}

impl Slot {
    /// A partial turn stays where it is; the rest comes when the relay is on again.
    fn keep_turned(&mut self, now: Instant) {
        if let Some(since) = &mut self.since {
            if self.motor != Motor::Jam {
                self.turned += now.saturating_duration_since(*since);
            }
            *since = now;
        }
    }
}

struct Falling {
    passes: Instant,
    slot: String,
}

pub(super) struct State {
    speed: Timing,
    lines: Vec<Line>,
    slots: Vec<Slot>,
    /// Levels of inputs that are not wired yet.
    begin: BTreeMap<String, bool>,
    falling: Vec<Falling>,
    chip: Chip,
    plugged: bool,
    /// Somebody's hand is in the beam.
    covered: bool,
    broken: bool,
    pub ended: bool,
}

enum Due {
    Turn(usize),
    Pass(usize),
}

impl State {
    pub fn new(speed: Timing) -> Self {
        // A motor that needs no time would never stop dropping.
        let speed = Timing { turn: speed.turn.max(Duration::from_millis(1)), ..speed };
        Self {
            speed,
            lines: Vec::new(),
            slots: Vec::new(),
            begin: BTreeMap::new(),
            falling: Vec::new(),
            chip: Chip::new(),
            plugged: true,
            covered: false,
            broken: true,
            ended: false,
        }
    }

    pub fn wire(&mut self, lines: &[LineName], slots: &[SlotWiring]) {
        let mut known = std::mem::take(&mut self.lines);
        let mut behind_emitter = false;
        for LineName { name, kind } in lines {
            let kind = match kind.as_str() {
                "relay" => Kind::Relay,
                "output" => Kind::Output,
                _ if behind_emitter => Kind::Beam,
                _ => Kind::Input,
            };
            behind_emitter = kind == Kind::Output;
            let before = known.iter().position(|line| line.name == *name).map(|nth| known.swap_remove(nth));
            let begins = || self.begin.get(name).copied().unwrap_or(false);
            let (active, pulses) = before.map_or_else(|| (begins(), 0), |line| (line.active, line.pulses));
            self.lines.push(Line { name: name.clone(), kind, active, pulses });
        }
        let mut known = std::mem::take(&mut self.slots);
        for wiring in slots {
            let before = known.iter().position(|slot| slot.name == wiring.slot).map(|nth| known.swap_remove(nth));
            let mut slot = before.unwrap_or_else(|| Slot {
                name: wiring.slot.clone(),
                line: String::new(),
                full: 0,
                stock: wiring.stock,
                motor: Motor::Ok,
                turned: Duration::ZERO,
                since: None,
                dropped: 0,
            });
            slot.line.clone_from(&wiring.line);
            slot.full = wiring.stock;
            self.slots.push(slot);
        }
        self.look();
    }

    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    pub fn relays(&self) -> Vec<String> {
        self.lines.iter().filter(|line| line.kind == Kind::Relay).map(|line| line.name.clone()).collect()
    }

    pub fn dropped(&self) -> impl Iterator<Item = (&str, u32)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), slot.dropped))
    }

    pub fn drive(
        &mut self,
        name: &str,
        active: bool,
        now: Instant,
        events: &mut Vec<MachineEvent>,
    ) -> Result<(), String> {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.name == name && matches!(line.kind, Kind::Relay | Kind::Output))
            .ok_or_else(|| format!("there is no output `{name}`"))?;
        if line.active == active {
            return Ok(());
        }
        line.active = active;
        line.pulses += u64::from(active);
        if line.kind == Kind::Output {
            self.look();
            return Ok(());
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.line == name) {
            slot.keep_turned(now);
            slot.since = active.then_some(now);
        }
        let line = name.to_owned();
        events.push(if active { MachineEvent::RelayOn { line } } else { MachineEvent::RelayOff { line } });
        Ok(())
    }

    pub fn level(&self, name: &str) -> Result<bool, String> {
        let line =
            self.lines.iter().find(|line| line.name == name).ok_or_else(|| format!("there is no line `{name}`"))?;
        Ok(line.active)
    }

    pub fn transfer(&mut self, address: u8, write: &[u8], read: usize) -> Result<Vec<u8>, String> {
        if !self.plugged || !matches!(address, 0x50 | 0x51) {
            return Err(format!("nobody answers at {address:#04x}"));
        }
        if read > 256 {
            return Err(format!("{read} bytes are more than the chip has"));
        }
        Ok(self.chip.transfer(write, read))
    }

    /// Says whether an input changed that is there.
    pub fn begin_at(&mut self, name: &str, active: bool) -> bool {
        self.begin.insert(name.to_owned(), active);
        self.touch(name, active).unwrap_or(false)
    }

    /// Says whether the input changed.
    pub fn touch(&mut self, name: &str, active: bool) -> Result<bool, String> {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.name == name && matches!(line.kind, Kind::Input | Kind::Beam))
            .ok_or_else(|| format!("there is no input `{name}`"))?;
        let was = line.active;
        if line.kind == Kind::Beam {
            self.covered = active;
            self.look();
        } else {
            line.active = active;
        }
        Ok(self.level(name)? != was)
    }

    pub fn set_motor(&mut self, slot: &str, motor: Motor) -> Result<(), String> {
        let slot =
            self.slots.iter_mut().find(|s| s.name == slot).ok_or_else(|| format!("there is no slot `{slot}`"))?;
        slot.keep_turned(Instant::now());
        slot.motor = motor;
        Ok(())
    }

    pub fn plug(&mut self, plugged: bool) {
        self.plugged = plugged;
        self.look();
    }

    pub fn refill(&mut self) {
        for slot in &mut self.slots {
            slot.stock = slot.full;
        }
    }

    /// The beam as it is now; the counter counts when it comes to be broken. A chip whose plug is out sees nothing.
    fn look(&mut self) {
        let lit = self.lines.iter().any(|line| line.kind == Kind::Output && line.active);
        let broken = !lit || self.covered;
        if broken && !self.broken && self.plugged {
            self.chip.edge();
        }
        self.broken = broken;
        let reads = broken || !self.plugged;
        for line in self.lines.iter_mut().filter(|line| line.kind == Kind::Beam) {
            line.pulses += u64::from(reads && !line.active);
            line.active = reads;
        }
    }

    /// A product passes: the beam is broken for a moment.
    fn pass(&mut self) {
        if self.broken || !self.plugged {
            return;
        }
        self.chip.edge();
        for line in self.lines.iter_mut().filter(|line| line.kind == Kind::Beam) {
            line.pulses += 1;
        }
    }

    /// When something happens next, if nobody touches anything.
    pub fn next_due(&self) -> Option<Instant> {
        self.next().map(|(due, _)| due)
    }

    fn next(&self) -> Option<(Instant, Due)> {
        let turns =
            self.slots.iter().enumerate().filter(|(_, slot)| slot.motor != Motor::Jam).filter_map(|(nth, slot)| {
                Some((slot.since? + self.speed.turn.saturating_sub(slot.turned), Due::Turn(nth)))
            });
        let passes = self.falling.iter().enumerate().map(|(nth, falling)| (falling.passes, Due::Pass(nth)));
        turns.chain(passes).min_by_key(|(due, _)| *due)
    }

    /// Everything that is due by `now`, in order.
    pub fn advance(&mut self, now: Instant, events: &mut Vec<MachineEvent>) {
        while let Some((due, what)) = self.next().filter(|(due, _)| *due <= now) {
            match what {
                Due::Turn(nth) => self.turn(nth, due, events),
                Due::Pass(nth) => {
                    let falling = self.falling.swap_remove(nth);
                    self.pass();
                    events.push(MachineEvent::Seen { slot: falling.slot });
                }
            }
        }
    }

    fn turn(&mut self, nth: usize, at: Instant, events: &mut Vec<MachineEvent>) {
        let slot = &mut self.slots[nth];
        slot.turned = Duration::ZERO;
        slot.since = Some(at);
        let falls = slot.stock.min(if slot.motor == Motor::Double { 2 } else { 1 });
        slot.stock -= falls;
        slot.dropped += falls;
        for behind in 0..falls {
            // The second comes a little later, or it would hide behind the first.
            let passes = at + self.speed.fall + self.speed.fall / 4 * behind;
            self.falling.push(Falling { passes, slot: slot.name.clone() });
            events.push(MachineEvent::Drop { slot: slot.name.clone() });
        }
    }
}
