//! Lines that fail in ways no world does on purpose.

use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use embedded_hal::digital::{self, ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::{self, I2c, Operation};

use super::{Backend, Board, BoardError, BoardEvent, Command, GRACE, Interlock, PulseError, Relay, start_on};
use crate::config;
use crate::service::{Ended, Supervisor};
use crate::vocabulary::{DeliveryId, Evidence, OrderId, SlotId};

const PATIENCE: Duration = Duration::from_secs(60);

/// No part may end.
fn calm() -> Supervisor {
    Supervisor::new(|ended| panic!("{ended:?}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Refused before anything moved.
    Refused,
    /// Carried out, but the answer was lost.
    AnswerLost,
}

impl digital::Error for Fault {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

/// Remembers every level it was driven to.
#[derive(Clone, Default)]
struct Pin {
    driven: Arc<Mutex<Vec<bool>>>,
    high_fails: Option<Fault>,
    low_failures_left: Arc<Mutex<u32>>,
}

impl ErrorType for Pin {
    type Error = Fault;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Fault> {
        let mut left = self.low_failures_left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Err(Fault::Refused);
        }
        self.driven.lock().unwrap().push(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Fault> {
        if self.high_fails != Some(Fault::Refused) {
            self.driven.lock().unwrap().push(true);
        }
        self.high_fails.map_or(Ok(()), Err)
    }
}

#[test]
fn a_relay_goes_off_whatever_happens() {
    let limit = Duration::from_millis(30);

    let pin = Pin::default();
    Relay::new(pin.clone(), limit, &Interlock::new(1))
        .pulse(|slice| {
            std::thread::sleep(slice);
            false
        })
        .unwrap();
    assert_eq!(*pin.driven.lock().unwrap(), [true, false]);

    let pin = Pin { high_fails: Some(Fault::AnswerLost), ..Pin::default() };
    let result = Relay::new(pin.clone(), limit, &Interlock::new(1)).pulse(|_| unreachable!("it may not even be on"));
    assert!(matches!(result, Err(PulseError::On(Fault::AnswerLost))));
    assert_eq!(*pin.driven.lock().unwrap(), [true, false]);

    let pin = Pin { low_failures_left: Arc::new(Mutex::new(2)), ..Pin::default() };
    Relay::new(pin.clone(), limit, &Interlock::new(1)).pulse(|_| true).unwrap();
    assert_eq!(*pin.driven.lock().unwrap(), [true, false], "tried again");

    let pin = Pin { low_failures_left: Arc::new(Mutex::new(3)), ..Pin::default() };
    assert!(matches!(Relay::new(pin.clone(), limit, &Interlock::new(1)).pulse(|_| true), Err(PulseError::Off(_))));

    let pin = Pin::default();
    let mut relay = Relay::new(pin.clone(), limit, &Interlock::new(1));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| relay.pulse(|_| panic!("on purpose"))));
    assert!(panicked.is_err());
    assert_eq!(*pin.driven.lock().unwrap(), [true, false]);
}

/// One slot, no inputs; a counter that always reads what it is told.
struct Bench {
    relay: Pin,
    counter: Arc<Mutex<[u8; 4]>>,
}

struct Bus(Arc<Mutex<[u8; 4]>>);

impl i2c::ErrorType for Bus {
    type Error = i2c::ErrorKind;
}

impl I2c for Bus {
    fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        for operation in operations {
            if let Operation::Read(into) = operation {
                into.copy_from_slice(&*self.0.lock().unwrap());
            }
        }
        Ok(())
    }
}

struct Nowhere;

impl ErrorType for Nowhere {
    type Error = Infallible;
}

impl InputPin for Nowhere {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Backend for Bench {
    type Output = Pin;
    type Input = Nowhere;
    type Bus = Bus;

    fn output(&self, _: &str) -> Result<Pin, BoardError> {
        Ok(self.relay.clone())
    }

    fn input(&self, _: &str) -> Result<Nowhere, BoardError> {
        Ok(Nowhere)
    }

    fn bus(&self) -> Result<Bus, BoardError> {
        Ok(Bus(Arc::clone(&self.counter)))
    }

    fn untouched(error: &Fault) -> bool {
        *error == Fault::Refused
    }
}

/// Delivers once with a relay that fails so, while the counter reads `counter`; the events, after the start's.
fn deliver(fault: Option<Fault>, counter: [u8; 4], before: Option<u32>) -> Vec<BoardEvent> {
    let mut config: config::Config = toml::from_str(include_str!("../../configs/vending.toml")).unwrap();
    config.slots.truncate(1);
    config.slots[0].pulse.0 = Duration::from_millis(30);
    (config.board.door, config.board.tamper) = (None, None);
    config.board.drop_sensor.as_mut().unwrap().fall_time.0 = Duration::from_millis(1);
    let bench = Bench { relay: Pin { high_fails: fault, ..Pin::default() }, counter: Arc::new(Mutex::new(counter)) };
    let (tell, events) = mpsc::channel();
    let board: Board =
        start_on(&bench, &calm(), &config, GRACE, Arc::new(move |event| drop(tell.send(event)))).unwrap();
    let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 1 };
    board.command(Command::Deliver { delivery, slot: config.slots[0].name.clone(), before });
    let mut seen = Vec::new();
    while !seen.iter().any(|e| matches!(e, BoardEvent::Evidence { .. } | BoardEvent::NotEnergised { .. })) {
        seen.push(events.recv_timeout(PATIENCE).unwrap());
    }
    drop(board);
    assert_eq!(bench.relay.driven.lock().unwrap().last(), Some(&false));
    seen
}

fn evidence(fault: Option<Fault>, counter: [u8; 4], before: Option<u32>) -> Evidence {
    match deliver(fault, counter, before).pop() {
        Some(BoardEvent::Evidence { evidence, .. }) => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_certain_refusal_counts_as_not_energised() {
    let refused = deliver(Some(Fault::Refused), [0x20, 0, 0, 0], Some(0));
    assert!(matches!(refused.last(), Some(BoardEvent::NotEnergised { .. })));
    assert!(refused.contains(&BoardEvent::Answers { answers: false }));
    // Nobody knows whether it was on, so the counter says what fell.
    let lost = Some(Fault::AnswerLost);
    assert_eq!(evidence(lost, [0x20, 0x01, 0, 0], Some(0)), Evidence::Dropped { count: 1 });
    assert_eq!(evidence(lost, [0x20, 0, 0, 0], Some(0)), Evidence::Nothing { self_tested: false });
}

#[test]
fn the_counter_is_believed_only_while_it_makes_sense() {
    assert_eq!(evidence(None, [0x20, 0x01, 0, 0], Some(999_999)), Evidence::Dropped { count: 2 }, "wraps");
    assert_eq!(evidence(None, [0x20, 0x34, 0x12, 0], Some(1_233)), Evidence::Dropped { count: 1 });
    let without_power = [0, 0, 0, 0];
    for (counter, before) in
        [(without_power, Some(0)), ([0x20, 0, 0, 0], Some(5)), ([0x20, 0x0a, 0, 0], Some(0)), ([0x20, 0, 0, 0], None)]
    {
        assert!(matches!(evidence(None, counter, before), Evidence::Silent { .. }), "{counter:?} {before:?}");
    }
}

/// One relay that can't be switched off keeps every other one off until it is.
#[test]
fn no_more_relays_are_on_than_may_be() {
    let limit = Duration::from_millis(1);
    let one = Interlock::new(1);
    let (stuck, other) = (Pin { low_failures_left: Arc::new(Mutex::new(3)), ..Pin::default() }, Pin::default());
    let (mut first, mut second) = (Relay::new(stuck, limit, &one), Relay::new(other.clone(), limit, &one));
    assert!(matches!(first.pulse(|_| true), Err(PulseError::Off(_))));
    assert!(matches!(second.pulse(|_| true), Err(PulseError::Interlocked)));
    assert!(other.driven.lock().unwrap().is_empty(), "not touched");
    first.rest().unwrap();
    second.pulse(|_| true).unwrap();
    assert_eq!(*other.driven.lock().unwrap(), [true, false]);

    let two = Interlock::new(2);
    let mut relays = [(); 3].map(|()| Relay::new(Pin::default(), limit, &two));
    let [a, b, c] = &mut relays;
    a.pulse(|_| {
        let inner = b.pulse(|_| matches!(c.pulse(|_| true), Err(PulseError::Interlocked)));
        inner.is_ok()
    })
    .unwrap();
    c.pulse(|_| true).unwrap();
}

/// What an interlocked relay says is that nothing was energised, and it is true.
#[test]
fn a_relay_that_stays_on_stops_the_machine() {
    let mut config: config::Config = toml::from_str(include_str!("../../configs/vending.toml")).unwrap();
    config.slots.truncate(1);
    config.board.max_on = 0;
    (config.board.door, config.board.tamper, config.board.drop_sensor) = (None, None, None);
    let bench = Bench { relay: Pin::default(), counter: Arc::default() };
    let (tell, events) = mpsc::channel();
    let report = Arc::new(move |event| drop(tell.send(event)));
    let board = start_on(&bench, &calm(), &config, GRACE, report).unwrap();
    let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 1 };
    board.command(Command::Deliver { delivery, slot: config.slots[0].name.clone(), before: None });
    let wait = || events.recv_timeout(PATIENCE).unwrap();
    while !matches!(wait(), BoardEvent::NotEnergised { .. }) {}
    assert!(!bench.relay.driven.lock().unwrap().contains(&true));
}

/// A relay whose wire does what the test says when it is switched on, and a counter chip that answers while it is let.
struct Rig {
    on: Arc<dyn Fn() + Send + Sync>,
    bus: Gate,
    pulses: Arc<Mutex<u32>>,
}

/// Whoever passes waits while it is shut.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn shut(&self, shut: bool) {
        *self.0.0.lock().unwrap() = shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |shut| *shut).unwrap());
    }
}

struct Wire(Arc<dyn Fn() + Send + Sync>, Arc<Mutex<u32>>);

impl ErrorType for Wire {
    type Error = Fault;
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Fault> {
        *self.1.lock().unwrap() += 1;
        (self.0)();
        Ok(())
    }
}

struct SlowBus(Gate);

impl i2c::ErrorType for SlowBus {
    type Error = i2c::ErrorKind;
}

impl I2c for SlowBus {
    fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        self.0.pass();
        for operation in operations {
            if let Operation::Read(into) = operation {
                into.copy_from_slice(&[0x20, 0, 0, 0]);
            }
        }
        Ok(())
    }
}

impl Backend for Rig {
    type Output = Wire;
    type Input = Nowhere;
    type Bus = SlowBus;

    fn output(&self, _: &str) -> Result<Wire, BoardError> {
        Ok(Wire(Arc::clone(&self.on), Arc::clone(&self.pulses)))
    }

    fn input(&self, _: &str) -> Result<Nowhere, BoardError> {
        Ok(Nowhere)
    }

    fn bus(&self) -> Result<SlowBus, BoardError> {
        Ok(SlowBus(self.bus.clone()))
    }

    fn untouched(error: &Fault) -> bool {
        *error == Fault::Refused
    }
}

struct Running {
    board: Board,
    events: mpsc::Receiver<BoardEvent>,
    slot: SlotId,
}

impl Running {
    fn start(rig: &Rig, supervisor: &Supervisor) -> Self {
        let mut config: config::Config = toml::from_str(include_str!("../../configs/vending.toml")).unwrap();
        config.slots.truncate(1);
        config.slots[0].pulse.0 = Duration::from_millis(30);
        (config.board.door, config.board.tamper) = (None, None);
        let sensor = config.board.drop_sensor.as_mut().unwrap();
        (sensor.emitter, sensor.fall_time.0) = (None, Duration::from_millis(1));
        let (tell, events) = mpsc::channel();
        let report = Arc::new(move |event| drop(tell.send(event)));
        let board = start_on(rig, supervisor, &config, GRACE, report).unwrap();
        let running = Self { board, events, slot: config.slots[0].name.clone() };
        running.hear(|event| *event == BoardEvent::Answers { answers: true });
        running
    }

    fn deliver(&self, nth: u32) {
        self.board.command(Command::Deliver { delivery: delivery(nth), slot: self.slot.clone(), before: Some(0) });
    }

    /// What is said until it fits, and that.
    fn hear(&self, fits: impl Fn(&BoardEvent) -> bool) -> Vec<BoardEvent> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(&fits) {
            heard.push(self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("after {heard:?}")));
        }
        heard
    }

    fn overdue(&self) -> Vec<BoardEvent> {
        self.board.answer_overdue(Instant::now() + Duration::from_secs(3_600));
        self.events.try_iter().collect()
    }
}

fn delivery(item: u32) -> DeliveryId {
    DeliveryId { order: OrderId::from_parts(1, 1), item, attempt: 1 }
}

#[test]
fn a_board_that_panics_in_the_middle_of_a_pulse_is_named() {
    let (tell, ended) = mpsc::channel();
    let rig = Rig { on: Arc::new(|| panic!("on purpose")), bus: Gate::default(), pulses: Arc::default() };
    let running = Running::start(&rig, &Supervisor::new(move |end| drop(tell.send(end))));
    running.deliver(0);
    let named = Ended { part: "the board", why: "it has panicked: on purpose".into() };
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(named), "also while its counter is watched");
    // Whoever waits for the delivery is told at its deadline, in the place of a thread that is not there.
    assert!(running.board.next_deadline().is_some());
    let said = running.overdue();
    assert_eq!(said[0], BoardEvent::Answers { answers: false });
    assert!(matches!(&said[1..], [BoardEvent::Evidence { evidence: Evidence::Silent { .. }, .. }]), "{said:?}");
    assert!(running.board.next_deadline().is_none());
}

/// The bus hangs. What was asked is answered at its deadline, and the delivery that was told as not energised stays so
/// when the bus comes back.
#[test]
fn what_was_told_as_not_energised_never_is() {
    let rig = Rig { on: Arc::new(|| ()), bus: Gate::default(), pulses: Arc::default() };
    let running = Running::start(&rig, &calm());
    rig.bus.shut(true);
    running.board.command(Command::Prepare { delivery: delivery(0) });
    running.deliver(1);
    running.board.answer_overdue(Instant::now());
    assert_eq!(running.events.try_iter().next(), None, "nothing is overdue yet");
    let soon = running.board.next_deadline().unwrap();
    assert!(soon > Instant::now() && soon <= Instant::now() + GRACE, "the first question has its own time");
    let said = running.overdue();
    assert_eq!(said[0], BoardEvent::Answers { answers: false }, "before anything else is asked");
    for (said, nth) in said[1..].iter().zip([0, 1]) {
        assert!(matches!(said, BoardEvent::NotEnergised { delivery: d, .. } if *d == delivery(nth)), "{said:?}");
    }
    assert_eq!(said.len(), 3);

    rig.bus.shut(false);
    running.board.command(Command::Recall { delivery: delivery(2), before: Some(0) });
    let said = running.hear(|event| matches!(event, BoardEvent::Evidence { delivery: d, .. } if *d == delivery(2)));
    assert_eq!(said.len(), 1, "the late answers are not passed on: {said:?}");
    running.hear(|event| *event == BoardEvent::Answers { answers: true });
    assert_eq!(*rig.pulses.lock().unwrap(), 0);
}

/// The wire hangs while the relay is switched on: nobody knows, and it is said at the deadline.
#[test]
fn a_delivery_that_hangs_in_the_middle_is_silence() {
    let (gate, entered) = (Gate::default(), mpsc::channel());
    gate.shut(true);
    let wire = gate.clone();
    let on = move || {
        entered.0.send(()).unwrap();
        wire.pass();
    };
    let rig = Rig { on: Arc::new(on), bus: Gate::default(), pulses: Arc::default() };
    let running = Running::start(&rig, &calm());
    running.deliver(0);
    entered.1.recv_timeout(PATIENCE).unwrap();

    let part = running.board.parts().next().unwrap();
    let beats = part.heartbeat.count();
    (part.nudge)();
    assert_eq!(part.heartbeat.count(), beats, "a watchdog that nudges it hears nothing");
    let said = running.overdue();
    assert_eq!(said[0], BoardEvent::Answers { answers: false });
    assert!(matches!(&said[1..], [BoardEvent::Evidence { evidence: Evidence::Silent { .. }, .. }]), "{said:?}");

    gate.shut(false);
    let said = running.hear(|event| *event == BoardEvent::Answers { answers: true });
    assert_eq!(said.len(), 1, "its evidence came too late: {said:?}");
    assert!(part.heartbeat.count() > beats, "and it turns again");
    running.deliver(0);
    running.hear(|event| matches!(event, BoardEvent::Evidence { .. }));
    assert_eq!(*rig.pulses.lock().unwrap(), 1, "the same delivery is not energised again");
}
