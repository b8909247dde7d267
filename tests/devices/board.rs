//! Deliveries, honest and otherwise.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use kioskd::board::{Board, BoardEvent, Command, Lines};
use kioskd::config;
use kioskd::demo::machine::{MachineEvent, Motor, Timing};
use kioskd::service::Supervisor;
use kioskd::vocabulary::{DeliveryId, Evidence, OrderId, Reading};
use kioskd::world::{ToWorld, Unsolicited, World};

use crate::world::TestWorld;

/// A pulse is shorter than two turns, so that a busy build machine that sees a drop late does not let another fall.
const SPEED: Timing = Timing { turn: Duration::from_millis(600), fall: Duration::from_millis(30) };
const PULSE: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> config::Config {
    let mut config: config::Config = toml::from_str(include_str!("../../configs/vending.toml")).unwrap();
    for slot in &mut config.slots {
        slot.pulse.0 = PULSE;
    }
    config.board.drop_sensor.as_mut().unwrap().fall_time.0 = Duration::from_millis(90);
    config.board.heartbeat.0 = Duration::from_millis(50);
    config
}

/// One run of the kiosk, as far as the board goes.
struct Kiosk {
    board: Arc<Mutex<Option<Board>>>,
    events: mpsc::Receiver<BoardEvent>,
    held: Vec<BoardEvent>,
    _world: Arc<World>,
}

impl Kiosk {
    fn start(world: &TestWorld, config: &config::Config) -> Self {
        Self::start_wired(world, config, config)
    }

    /// `wiring` is what the world believes.
    fn start_wired(world: &TestWorld, config: &config::Config, wiring: &config::Config) -> Self {
        let board: Arc<Mutex<Option<Board>>> = Arc::default();
        let inputs = Arc::clone(&board);
        let connection = world.connect(move |what| {
            if let (Unsolicited::Input { line, active }, Some(board)) = (what, inputs.lock().unwrap().as_ref()) {
                board.input_changed(&line, active);
            }
        });
        let (lines, slots) = Board::hello(wiring);
        connection.tell(&ToWorld::Hello { lines, slots, panel: (0, 0) }, &[]).unwrap();
        let (tell, events) = mpsc::channel();
        let lines = Lines::open(config, Some(&connection)).unwrap();
        let started = kioskd::board::start(config, lines, &Supervisor::new(|_| ()), move |event| {
            let _ = tell.send(event);
        });
        *board.lock().unwrap() = Some(started.unwrap());
        let mut kiosk = Self { board, events, held: Vec::new(), _world: connection };
        // By then the world has heard the greeting too.
        let answers = kiosk.wait(|event| matches!(event, BoardEvent::Answers { .. }).then(|| event.clone()));
        kiosk.held.push(answers);
        kiosk
    }

    fn command(&self, command: Command) {
        self.board.lock().unwrap().as_ref().unwrap().command(command);
    }

    /// Waits for an event that fits; the others are kept for later.
    fn wait<T>(&mut self, fits: impl Fn(&BoardEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(nth) = self.held.iter().position(|event| fits(event).is_some()) {
                return fits(&self.held.remove(nth)).unwrap();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            self.held.push(event.unwrap_or_else(|_| panic!("nothing fits; came: {:?}", self.held)));
        }
    }

    fn prepare(&mut self, delivery: DeliveryId) -> Reading {
        self.command(Command::Prepare { delivery });
        self.wait(|event| match event {
            BoardEvent::Prepared { delivery: d, reading } if *d == delivery => Some(*reading),
            _ => None,
        })
    }

    fn deliver(&mut self, nth: u32, slot: &str) -> Evidence {
        let delivery = delivery(nth);
        let before = self.prepare(delivery).counter;
        self.command(Command::Deliver { delivery, slot: slot.to_owned().try_into().unwrap(), before });
        self.evidence(delivery)
    }

    /// A clean stop, with the connection still there.
    fn stop(&self) {
        drop(self.board.lock().unwrap().take());
    }

    fn evidence(&mut self, delivery: DeliveryId) -> Evidence {
        self.wait(|event| match event {
            BoardEvent::Evidence { delivery: d, evidence } if *d == delivery => Some(evidence.clone()),
            _ => None,
        })
    }
}

fn delivery(nth: u32) -> DeliveryId {
    DeliveryId { order: OrderId::from_parts(1, 1), item: nth, attempt: 1 }
}

fn line(world: &TestWorld, name: &str) -> (bool, u64) {
    let report = world.machine.report();
    let line = report["lines"].as_array().unwrap().iter().find(|line| line["name"] == name).unwrap();
    (line["active"].as_bool().unwrap(), line["pulses"].as_u64().unwrap())
}

fn dropped(world: &TestWorld, slot: &str) -> u64 {
    world.machine.report()["dropped"][slot].as_u64().unwrap()
}

/// When relays went on and off.
fn record_relays(world: &TestWorld) -> Arc<Mutex<Vec<(Instant, MachineEvent)>>> {
    let record: Arc<Mutex<Vec<_>>> = Arc::default();
    let to = Arc::clone(&record);
    world.machine.on_event(move |event| {
        if matches!(event, MachineEvent::RelayOn { .. } | MachineEvent::RelayOff { .. }) {
            to.lock().unwrap().push((Instant::now(), event.clone()));
        }
    });
    record
}

#[test]
fn each_delivery_is_one_pulse_and_one_product() {
    let (world, config) = (TestWorld::new(SPEED), config());
    let mut kiosk = Kiosk::start(&world, &config);
    for nth in 0..6 {
        assert_eq!(kiosk.deliver(nth, "A1"), Evidence::Dropped { count: 1 });
        assert_eq!(line(&world, "slot-A1"), (false, u64::from(nth) + 1));
    }
    assert_eq!(dropped(&world, "A1"), 6);
    assert_eq!(dropped(&world, "A2"), 0);

    // The same delivery again is answered from the counter, not by the motor.
    let again = delivery(5);
    let before = kiosk.prepare(again).counter;
    kiosk.command(Command::Deliver { delivery: again, slot: "A1".to_owned().try_into().unwrap(), before });
    assert!(matches!(kiosk.evidence(again), Evidence::Nothing { .. }));
    assert_eq!(line(&world, "slot-A1"), (false, 6));
}

#[test]
fn a_jam_is_a_believable_nothing_and_two_are_two() {
    let (world, config) = (TestWorld::new(SPEED), config());
    let mut kiosk = Kiosk::start(&world, &config);
    world.machine.set_motor("B1", Motor::Jam).unwrap();
    world.machine.set_motor("B2", Motor::Double).unwrap();
    assert_eq!(kiosk.deliver(0, "B1"), Evidence::Nothing { self_tested: true });
    assert_eq!(line(&world, "slot-B1"), (false, 1));
    // The test after a "nothing" has left no trace in the count.
    assert_eq!(kiosk.deliver(1, "B2"), Evidence::Dropped { count: 2 });
    assert_eq!((dropped(&world, "B1"), dropped(&world, "B2")), (0, 2));

    // An empty slot is the same as a jam, and a refill mends it.
    for nth in 2..4 {
        assert_eq!(kiosk.deliver(nth, "B2"), Evidence::Dropped { count: 2 });
    }
    assert_eq!(kiosk.deliver(4, "B2"), Evidence::Nothing { self_tested: true });
    world.machine.refill();
    assert_eq!(kiosk.deliver(5, "B2"), Evidence::Dropped { count: 2 });
}

#[test]
fn a_sensor_that_can_not_prove_itself_is_not_believed() {
    let (world, config) = (TestWorld::new(SPEED), config());
    let mut kiosk = Kiosk::start(&world, &config);
    let reading = kiosk.prepare(delivery(0));
    assert!(reading.self_tested && reading.counter.is_some());

    // Somebody's hand is in the beam.
    world.machine.set_input("drop-beam", true).unwrap();
    let reading = kiosk.prepare(delivery(1));
    assert!(!reading.self_tested && reading.counter.is_some());
    assert_eq!(kiosk.deliver(1, "A1"), Evidence::Nothing { self_tested: false });
    world.machine.set_input("drop-beam", false).unwrap();

    world.machine.set_sensor(false);
    assert_eq!(kiosk.prepare(delivery(2)), Reading { counter: None, self_tested: false });
    assert!(matches!(kiosk.deliver(2, "A2"), Evidence::Silent { .. }));
    assert_eq!(line(&world, "slot-A2"), (false, 1));
    world.machine.set_sensor(true);
    assert_eq!(kiosk.deliver(3, "A3"), Evidence::Dropped { count: 1 });
}

#[test]
fn without_a_sensor_nobody_knows() {
    let (world, mut config) = (TestWorld::new(SPEED), config());
    config.board.drop_sensor = None;
    let mut kiosk = Kiosk::start(&world, &config);
    assert!(matches!(kiosk.deliver(0, "A1"), Evidence::Silent { .. }));
    assert_eq!(line(&world, "slot-A1"), (false, 1));
}

#[test]
fn the_pulse_is_bounded_when_the_sensor_hangs() {
    let (world, config) = (TestWorld::new(SPEED), config());
    let mut kiosk = Kiosk::start(&world, &config);
    let relays = record_relays(&world);
    let before = kiosk.prepare(delivery(0)).counter;
    world.deaf.store(true, std::sync::atomic::Ordering::Relaxed);
    kiosk.command(Command::Deliver { delivery: delivery(0), slot: "A1".to_owned().try_into().unwrap(), before });
    assert!(matches!(kiosk.evidence(delivery(0)), Evidence::Silent { .. }));
    let relays = relays.lock().unwrap();
    let [(on, _), (off, MachineEvent::RelayOff { .. })] = &relays[..] else { panic!("{relays:?}") };
    let pulse = *off - *on;
    assert!((PULSE / 2..PULSE + Duration::from_millis(600)).contains(&pulse), "{pulse:?}");
}

#[test]
fn the_door_is_heard_while_a_motor_turns() {
    let slow = Timing { turn: Duration::from_secs(8), ..SPEED };
    let (world, mut config) = (TestWorld::new(slow), config());
    config.slots[0].pulse.0 = Duration::from_secs(4);
    let mut kiosk = Kiosk::start(&world, &config);
    kiosk.wait(|event| matches!(event, BoardEvent::Door { open: false }).then_some(()));
    kiosk.wait(|event| matches!(event, BoardEvent::Tamper { active: false }).then_some(()));
    let before = kiosk.prepare(delivery(0)).counter;
    let relays = record_relays(&world);
    kiosk.command(Command::Deliver { delivery: delivery(0), slot: "A1".to_owned().try_into().unwrap(), before });
    while relays.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    world.machine.set_input("door", true).unwrap();
    kiosk.wait(|event| matches!(event, BoardEvent::Door { open: true }).then_some(()));
    assert!(line(&world, "slot-A1").0, "the motor is still turning");
    kiosk.evidence(delivery(0));
}

/// The kiosk dies in the moment `dies` fits; the next one asks what became of it.
fn after_a_crash(motor: Motor, dies: impl Fn(&MachineEvent) -> bool + Send + Sync + 'static) -> (Evidence, u64) {
    let (world, config) = (Arc::new(TestWorld::new(SPEED)), config());
    let mut kiosk = Kiosk::start(&world, &config);
    let before = kiosk.prepare(delivery(0)).counter;
    world.machine.set_motor("A1", motor).unwrap();
    let (dead, died) = mpsc::channel();
    let cut = Arc::downgrade(&world);
    world.machine.on_event(move |event| {
        if dies(event) {
            cut.upgrade().unwrap().cut();
            let _ = dead.send(());
        }
    });
    kiosk.command(Command::Deliver { delivery: delivery(0), slot: "A1".to_owned().try_into().unwrap(), before });
    died.recv_timeout(PATIENCE).unwrap();
    kiosk.stop();
    let mut kiosk = Kiosk::start(&world, &config);
    kiosk.command(Command::Recall { delivery: delivery(0), before });
    let evidence = kiosk.evidence(delivery(0));
    assert_eq!(line(&world, "slot-A1"), (false, 1), "energised once, before the crash");
    (evidence, dropped(&world, "A1"))
}

#[test]
fn recall_after_a_crash_tells_the_truth() {
    let on = |event: &MachineEvent| event.name() == "relay-on";
    let left = |event: &MachineEvent| event.name() == "drop";
    let seen = |event: &MachineEvent| event.name() == "seen";
    assert_eq!(after_a_crash(Motor::Ok, on), (Evidence::Nothing { self_tested: true }, 0));
    assert_eq!(after_a_crash(Motor::Ok, left), (Evidence::Dropped { count: 1 }, 1));
    assert_eq!(after_a_crash(Motor::Ok, seen), (Evidence::Dropped { count: 1 }, 1));
    assert_eq!(after_a_crash(Motor::Double, left), (Evidence::Dropped { count: 2 }, 2));
    assert_eq!(after_a_crash(Motor::Jam, on), (Evidence::Nothing { self_tested: true }, 0));
}

/// The crash comes after the sensor has proved a "nothing" and before that was written down.
#[test]
fn the_proof_of_a_nothing_leaves_no_count() {
    let (world, config) = (TestWorld::new(SPEED), config());
    let mut kiosk = Kiosk::start(&world, &config);
    world.machine.set_motor("A1", Motor::Jam).unwrap();
    let before = kiosk.prepare(delivery(0)).counter;
    kiosk.command(Command::Deliver { delivery: delivery(0), slot: "A1".to_owned().try_into().unwrap(), before });
    assert_eq!(kiosk.evidence(delivery(0)), Evidence::Nothing { self_tested: true });
    world.cut();
    kiosk.stop();
    let mut kiosk = Kiosk::start(&world, &config);
    for _ in 0..2 {
        kiosk.command(Command::Recall { delivery: delivery(0), before });
        assert_eq!(kiosk.evidence(delivery(0)), Evidence::Nothing { self_tested: true });
    }
}

#[test]
fn recall_of_a_delivery_whose_counter_was_reset_knows_nothing() {
    let config = config();
    let before = Kiosk::start(&TestWorld::new(SPEED), &config).prepare(delivery(0)).counter;
    let another = TestWorld::new(SPEED);
    let mut kiosk = Kiosk::start(&another, &config);
    kiosk.command(Command::Recall { delivery: delivery(0), before });
    assert!(matches!(kiosk.evidence(delivery(0)), Evidence::Silent { .. }));
    // Also when the counter counts again.
    kiosk.prepare(delivery(1));
    kiosk.command(Command::Recall { delivery: delivery(0), before });
    assert!(matches!(kiosk.evidence(delivery(0)), Evidence::Silent { .. }));
}

#[test]
fn a_line_that_is_not_there_is_certain_not_to_have_moved() {
    let (world, mut config) = (TestWorld::new(SPEED), config());
    let wiring = config.clone();
    config.slots[0].line = "nowhere".into();
    let mut kiosk = Kiosk::start_wired(&world, &config, &wiring);
    kiosk.wait(|event| matches!(event, BoardEvent::Answers { answers: false }).then_some(()));
    let before = kiosk.prepare(delivery(0)).counter;
    kiosk.command(Command::Deliver { delivery: delivery(0), slot: config.slots[0].name.clone(), before });
    kiosk.wait(|event| matches!(event, BoardEvent::NotEnergised { .. }).then_some(()));
}

#[test]
fn stopping_ends_the_pulse() {
    let slow = Timing { turn: Duration::from_secs(60), ..SPEED };
    let (world, mut config) = (TestWorld::new(slow), config());
    config.slots[0].pulse.0 = Duration::from_secs(10);
    let mut kiosk = Kiosk::start(&world, &config);
    let before = kiosk.prepare(delivery(0)).counter;
    let relays = record_relays(&world);
    kiosk.command(Command::Deliver { delivery: delivery(0), slot: "A1".to_owned().try_into().unwrap(), before });
    while relays.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let began = Instant::now();
    kiosk.stop();
    assert!(began.elapsed() < Duration::from_secs(5), "half of the pulse");
    assert_eq!(line(&world, "slot-A1"), (false, 1));
}
