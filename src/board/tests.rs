//! Lines that fail in ways no world does on purpose.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use embedded_hal::digital::{self, ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::{self, I2c, Operation};

use super::{Backend, Board, BoardError, BoardEvent, Command, Interlock, PulseError, Relay, start_on};
use crate::config;
use crate::vocabulary::{DeliveryId, Evidence, OrderId};

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
        start_on(&bench, &config.board, &config.slots, Arc::new(move |event| drop(tell.send(event)))).unwrap();
    let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 1 };
    board.command(Command::Deliver { delivery, slot: config.slots[0].name.clone(), before });
    let mut seen = Vec::new();
    while !seen.iter().any(|e| matches!(e, BoardEvent::Evidence { .. } | BoardEvent::NotEnergised { .. })) {
        seen.push(events.recv_timeout(Duration::from_secs(10)).unwrap());
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
    let board = start_on(&bench, &config.board, &config.slots, Arc::new(move |event| drop(tell.send(event)))).unwrap();
    let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 1 };
    board.command(Command::Deliver { delivery, slot: config.slots[0].name.clone(), before: None });
    let wait = || events.recv_timeout(Duration::from_secs(10)).unwrap();
    while !matches!(wait(), BoardEvent::NotEnergised { .. }) {}
    assert!(!bench.relay.driven.lock().unwrap().contains(&true));
}
