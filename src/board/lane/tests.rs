//! A gate on lines that a test moves.

use std::collections::BTreeMap;
use std::sync::{Condvar, MutexGuard};

use embedded_hal::digital::{self, ErrorType};

use super::*;
use crate::board::{Board, GRACE, SimulatedI2c, Tell, start_on};
use crate::config::Config;
use crate::parking::lane::{Input, Relay};

const PATIENCE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3);

/// What the lines do, and have done.
#[derive(Default)]
struct Wires {
    /// Every change of an output, in order.
    driven: Vec<(String, bool)>,
    /// `None`: it can't be read.
    inputs: BTreeMap<String, Option<bool>>,
    tells: BTreeMap<String, Tell>,
    /// Switching on is refused before anything moves.
    refuses: bool,
}

impl Wires {
    fn is_on(&self, line: &str) -> bool {
        self.driven.iter().rev().find(|(name, _)| name == line).is_some_and(|(_, on)| *on)
    }
}

#[derive(Clone, Default)]
struct Rig(Arc<(Mutex<Wires>, Condvar)>);

impl Rig {
    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.0.lock().unwrap()
    }

    /// Without an edge, as where it was missed.
    fn set(&self, line: &str, level: Option<bool>) {
        self.wires().inputs.insert(line.into(), level);
    }

    fn turn(&self, line: &str, active: bool) {
        self.set(line, Some(active));
        let mut wires = self.wires();
        (wires.tells.get_mut(line).unwrap())(active);
    }

    fn until(&self, done: impl Fn(&Wires) -> bool) {
        let wires = self.wires();
        let (wires, late) = self.0.1.wait_timeout_while(wires, PATIENCE, |wires| !done(wires)).unwrap();
        assert!(!late.timed_out(), "{:?}", wires.driven);
    }
}

#[derive(Debug)]
struct Refused;

impl digital::Error for Refused {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

struct Pin(Rig, String);

impl Pin {
    fn drive(&self, on: bool) {
        let mut wires = self.0.wires();
        if wires.is_on(&self.1) != on {
            wires.driven.push((self.1.clone(), on));
            let both = wires.is_on("gate-raise") && wires.is_on("gate-lower");
            assert!(!both, "both relays are energised: {:?}", wires.driven);
        }
        self.0.0.1.notify_all();
    }
}

impl ErrorType for Pin {
    type Error = Refused;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Refused> {
        self.drive(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Refused> {
        if self.0.wires().refuses {
            return Err(Refused);
        }
        self.drive(true);
        Ok(())
    }
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Refused> {
        self.0.wires().inputs.get(&self.1).copied().unwrap_or(Some(false)).ok_or(Refused)
    }

    fn is_low(&mut self) -> Result<bool, Refused> {
        self.is_high().map(|high| !high)
    }
}

impl Backend for Rig {
    type Output = Pin;
    type Input = Pin;
    type Bus = SimulatedI2c;

    fn output(&self, line: &str) -> Result<Pin, BoardError> {
        Ok(Pin(self.clone(), line.into()))
    }

    fn input(&self, line: &str) -> Result<Pin, BoardError> {
        Ok(Pin(self.clone(), line.into()))
    }

    fn watch(&self, line: &str, _: Purpose, tell: Tell) -> Result<Pin, BoardError> {
        self.wires().tells.insert(line.into(), tell);
        self.input(line)
    }

    fn bus(&self) -> Result<SimulatedI2c, BoardError> {
        Err(BoardError::NoWorld)
    }

    fn untouched(_: &Refused) -> bool {
        true
    }
}

const GATE: &str = r#"
name = "entry-1"
raise = "gate-raise"
lower = "gate-lower"
sign = "sign-full"
presence = "loop-presence"
safety = "loop-safety"
opened = "gate-opened"
ticket_button = "ticket-button"
pulse = "3s"
"#;

struct Running {
    board: Board,
    events: mpsc::Receiver<BoardEvent>,
}

impl Running {
    fn start(rig: &Rig, change: impl FnOnce(&mut config::Gate)) -> Self {
        let mut config: Config = toml::from_str(include_str!("../../../configs/vending.toml")).unwrap();
        config.slots.clear();
        (config.board.door, config.board.tamper, config.board.drop_sensor) = (None, None, None);
        let mut gate: config::Gate = toml::from_str(GATE).unwrap();
        change(&mut gate);
        config.gate = Some(gate);
        let (tell, events) = mpsc::channel();
        let report = Arc::new(move |event| drop(tell.send(event)));
        let calm = Supervisor::new(|ended| panic!("{ended:?}"));
        Self { board: start_on(rig, &calm, &config, GRACE, report).unwrap(), events }
    }

    /// Started, with every input told once.
    fn calm(rig: &Rig) -> Self {
        let running = Self::start(rig, |_| ());
        running.hear(|event| matches!(event, GateEvent::Input { input: Input::Opened, .. }));
        running
    }

    /// Of the gate, up to the first that fits.
    fn hear(&self, fits: impl Fn(&GateEvent) -> bool) -> Vec<GateEvent> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(&fits) {
            if let BoardEvent::Gate(event) = self.events.recv_timeout(PATIENCE).unwrap() {
                heard.push(event);
            }
        }
        heard
    }

    fn energise(&self, relay: Relay, pulse: Duration) {
        self.board.gate(GateCommand::Energise { relay, pulse });
    }
}

fn input(input: Input, level: Level) -> GateEvent {
    GateEvent::Input { input, level }
}

fn on_and_off(line: &str) -> [(String, bool); 2] {
    [true, false].map(|on| (line.into(), on))
}

#[test]
fn a_pulse_ends_by_itself() {
    let rig = Rig::default();
    let running = Running::calm(&rig);
    running.energise(Relay::Raise, Duration::from_millis(1));
    rig.until(|wires| wires.driven == on_and_off("gate-raise"));
    // Whatever is asked, the configuration has the last word.
    let rig = Rig::default();
    let running = Running::start(&rig, |gate| gate.pulse.0 = Duration::from_millis(10));
    running.energise(Relay::Raise, Duration::MAX);
    rig.until(|wires| wires.driven == on_and_off("gate-raise"));
}

#[test]
fn a_pulse_ends_when_that_is_asked() {
    let rig = Rig::default();
    let running = Running::start(&rig, |gate| gate.pulse.0 = PATIENCE);
    running.hear(|event| matches!(event, GateEvent::Input { input: Input::Opened, .. }));
    let began = Instant::now();
    running.energise(Relay::Lower, PATIENCE);
    rig.until(|wires| wires.is_on("gate-lower"));
    // Of the other relay: nothing of this one.
    running.board.gate(GateCommand::Rest { relay: Relay::Raise });
    running.board.gate(GateCommand::Sign { full: true });
    running.board.gate(GateCommand::Rest { relay: Relay::Lower });
    rig.until(|wires| wires.is_on("sign-full"));
    assert!(!rig.wires().is_on("gate-lower") && began.elapsed() < crate::board::HARD_LIMIT);
}

#[test]
fn the_two_relays_are_never_energised_together() {
    let rig = Rig::default();
    let running = Running::calm(&rig);
    running.energise(Relay::Lower, LONG);
    rig.until(|wires| wires.is_on("gate-lower"));
    running.energise(Relay::Raise, LONG);
    rig.until(|wires| wires.is_on("gate-raise"));
    let [on, off] = on_and_off("gate-lower");
    assert_eq!(rig.wires().driven, [on, off, ("gate-raise".into(), true)]);
    drop(running);
    assert!(!rig.wires().is_on("gate-raise"), "a stop ends the pulse");
}

/// The edge of a car that came was missed, or nobody knows.
#[test]
fn the_loops_are_looked_at_before_the_arm_is_lowered() {
    for (level, told) in [(Some(true), Level::Active), (None, Level::Unknown)] {
        let rig = Rig::default();
        let running = Running::calm(&rig);
        rig.set("loop-safety", level);
        running.energise(Relay::Lower, LONG);
        let heard = running.hear(|event| *event == input(Input::Safety, told));
        assert_eq!(heard, [GateEvent::NotLowered, input(Input::Safety, told)]);
        // Another loop is nothing to it.
        rig.turn("loop-safety", false);
        rig.set("loop-presence", Some(true));
        running.energise(Relay::Lower, LONG);
        rig.until(|wires| wires.is_on("gate-lower"));
        assert_eq!(rig.wires().driven.len(), 1, "and not before");
    }
}

#[test]
fn inputs_are_told_once_at_the_start_and_then_as_they_change() {
    let rig = Rig::default();
    rig.set("loop-presence", Some(true));
    rig.set("loop-safety", None);
    rig.set("ticket-button", Some(true));
    let running = Running::start(&rig, |_| ());
    let mut heard = running.hear(|event| matches!(event, GateEvent::Input { input: Input::Opened, .. }));
    let start = [(Input::Presence, Level::Active), (Input::Safety, Level::Unknown), (Input::Opened, Level::Inactive)];
    assert_eq!(
        heard,
        start.map(|(which, level)| input(which, level)),
        "and no press of a button that is found pressed"
    );
    rig.turn("loop-safety", true);
    rig.turn("loop-safety", true);
    rig.turn("loop-presence", false);
    rig.turn("ticket-button", false);
    rig.turn("ticket-button", true);
    let pressed = GateEvent::Pressed { button: GateButton::Ticket };
    heard = running.hear(|event| *event == pressed);
    assert_eq!(heard, [input(Input::Safety, Level::Active), input(Input::Presence, Level::Inactive), pressed]);
}

#[test]
fn what_is_not_energised_is_said_where_it_is_certain() {
    let rig = Rig::default();
    let running = Running::calm(&rig);
    rig.wires().refuses = true;
    running.energise(Relay::Raise, LONG);
    let not = GateEvent::NotEnergised { relay: Relay::Raise };
    assert_eq!(running.hear(|event| *event == not), [not]);
    // And where there is no such relay.
    let rig = Rig::default();
    let running = Running::start(&rig, |gate| gate.lower = None);
    running.energise(Relay::Lower, LONG);
    running.hear(|event| *event == GateEvent::NotEnergised { relay: Relay::Lower });
    assert!(rig.wires().driven.is_empty());
}

#[test]
fn a_relay_that_fails_is_a_board_that_does_not_answer() {
    let rig = Rig::default();
    let running = Running::calm(&rig);
    rig.wires().refuses = true;
    running.energise(Relay::Raise, LONG);
    let mut said = Vec::new();
    while said.last() != Some(&false) {
        if let BoardEvent::Answers { answers } = running.events.recv_timeout(PATIENCE).unwrap() {
            said.push(answers);
        }
    }
    assert!(said.len() <= 2, "{said:?}: both threads speak as one");
}
