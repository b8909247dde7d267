//! A lane on GPIO lines of the kernel's simulator: its loops are driven by a car, and its arm by a control whose limit switches
//! answer as they should, late, wrong, or not at all. The lane's own state machine, the board and its drivers are the real ones.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kioskd::board::{BoardEvent, GateCommand, GateEvent};
use kioskd::config::Config;
use kioskd::kiosk::check;
use kioskd::parking::lane::{
    self, Alarm, Answer, Delivered, Effect, Ended, Event, Record, Relay, Settings, State, Times, Undecided, Way,
};
use kioskd::vocabulary::{DeliveryId, Mono, OrderId};

use super::lines::{self, Chip, Running, eventually, relays_safe, said};

const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of the chip, by offset.
const NAMES: [&str; 10] = [
    "gate-raise",
    "gate-lower",
    "sign-full",
    "loop-presence",
    "loop-safety",
    "loop-closing",
    "gate-opened",
    "gate-closed",
    "fire",
    "slot-A1",
];
const RAISE: u32 = 0;
const LOWER: u32 = 1;
const PRESENCE: u32 = 3;
const SAFETY: u32 = 4;
const CLOSING: u32 = 5;
const OPENED: u32 = 6;
const CLOSED: u32 = 7;

/// The arm's way from one end to the other.
const TRAVEL: Duration = Duration::from_millis(600);

const GATE: &str = r#"
[gate]
name = "entry-1"
raise = "gate-raise"
lower = "gate-lower"
sign = "sign-full"
presence = "loop-presence"
safety = "loop-safety"
closing = "loop-closing"
opened = "gate-opened"
closed = "gate-closed"
fire = "fire"
pulse = "200ms"
rest = "100ms"
travel = "1s"
pass = "10s"
clear = "300ms"
"#;

fn text() -> String {
    lines::text("", "") + GATE
}

fn chip() -> Arc<Chip> {
    let chip = Chip::new("pinctrl-bcm2835", &NAMES);
    chip.drive(CLOSED, true);
    Arc::new(chip)
}

fn settings() -> Settings {
    let times = Times {
        pulse: Duration::from_millis(200),
        rest: Duration::from_millis(100),
        travel: Duration::from_secs(1),
        pass: Duration::from_secs(10),
        ..Times::default()
    };
    let signal = lane::signal::Times { clear: Duration::from_millis(300), ..times.signal.clone() };
    let times = Times { signal, ..times };
    let whole = Settings::whole(Way::In);
    Settings { undecided: Undecided::ClosedAndCall, delivered: Delivered::Passed, times, ..whole }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switches {
    True,
    /// By more than the arm's own time, and by less than twice the configuration's.
    Late,
    /// The lower one says all the time that the arm is there, the upper one never.
    Wrong,
    /// Neither says anything.
    Silent,
}

/// What the arm's control has seen, and done.
#[derive(Debug, Default)]
struct Seen {
    raised: u32,
    lowered: u32,
    /// It was asked to come down while something was under it.
    onto_a_car: u32,
    /// Both relays at once.
    both: u32,
    open: bool,
}

/// The control of the gate: it follows its two inputs, and moves.
struct Arm {
    seen: Arc<Mutex<Seen>>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Arm {
    fn new(chip: &Arc<Chip>, switches: Switches) -> Self {
        let (seen, end) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (chip, told, ended) = (Arc::clone(chip), Arc::clone(&seen), Arc::clone(&end));
        if switches == Switches::Silent {
            chip.drive(CLOSED, false);
        }
        let late = if switches == Switches::Late { Duration::from_millis(700) } else { Duration::ZERO };
        let thread = std::thread::spawn(move || {
            let (mut was, mut up, mut place, mut at) = ([false; 2], false, 0.0_f64, Instant::now());
            let mut since = Instant::now();
            let mut ends = (false, true);
            while !ended.load(Ordering::Relaxed) {
                let is = [chip.high(RAISE), chip.high(LOWER)];
                let mut seen = told.lock().unwrap();
                seen.both += u32::from(is == [true; 2]);
                if is[0] && !was[0] {
                    seen.raised += 1;
                    up = true;
                }
                if is[1] && !was[1] {
                    seen.lowered += 1;
                    seen.onto_a_car += u32::from(chip.high(SAFETY) || chip.high(CLOSING));
                    up = false;
                }
                was = is;
                let way = at.elapsed().as_secs_f64() / TRAVEL.as_secs_f64();
                at = Instant::now();
                place = (if up { place + way } else { place - way }).clamp(0.0, 1.0);
                seen.open = place >= 1.0;
                drop(seen);
                let now = (place >= 1.0, place <= 0.0);
                if now != ends {
                    (ends, since) = (now, Instant::now());
                }
                if since.elapsed() >= late && matches!(switches, Switches::True | Switches::Late) {
                    chip.drive(OPENED, ends.0);
                    chip.drive(CLOSED, ends.1);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { seen, end, thread: Some(thread) }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The kiosk's part: what the board says goes to the lane, and what that wants is done.
struct Lane {
    running: Running,
    state: State,
    began: Instant,
    ledger: Vec<Record>,
    answers: Vec<Answer>,
    calls: u32,
}

impl Lane {
    fn start(config: &Config, ledger: Vec<Record>) -> Self {
        let state = State::recover(settings(), &ledger, Mono(0));
        let running = lines::start_anew(config);
        let mut lane = Self { running, state, began: Instant::now(), ledger, answers: Vec::new(), calls: 0 };
        lane.event(Event::Started);
        lane
    }

    fn now(&self) -> Mono {
        Mono(self.began.elapsed().as_millis() as u64)
    }

    fn event(&mut self, event: Event) {
        let now = self.now();
        let step = lane::next(&mut self.state, event, now);
        self.ledger.extend(step.records);
        for effect in step.at_once.into_iter().chain(step.effects) {
            match effect {
                Effect::Energise { relay, pulse } => self.running.board.gate(GateCommand::Energise { relay, pulse }),
                Effect::Rest { relay } => self.running.board.gate(GateCommand::Rest { relay }),
                Effect::Sign { full } => self.running.board.gate(GateCommand::Sign { full }),
                Effect::Answer { answer, .. } => self.answers.push(answer),
                Effect::Call(_) => self.calls += 1,
                Effect::Ended { .. } => {}
            }
        }
    }

    fn until(&mut self, what: &str, there: impl Fn(&Self) -> bool) {
        let by = Instant::now() + PATIENCE;
        while !there(self) {
            assert!(Instant::now() < by, "{what}: {:#?}", self.ledger);
            let now = self.now();
            let wake = self.state.next_wake(now).map_or(PATIENCE, |at| at.since(now));
            match self.running.events.recv_timeout(wake.min(Duration::from_millis(20))) {
                Ok(BoardEvent::Gate(GateEvent::Input { input, level })) => self.event(Event::Input { input, level }),
                Ok(BoardEvent::Gate(GateEvent::NotEnergised { relay })) => self.event(Event::NotEnergised { relay }),
                Ok(BoardEvent::Gate(GateEvent::NotLowered)) => self.event(Event::NotLowered),
                Ok(_) => {}
                Err(_) => self.event(Event::Tick),
            }
        }
    }

    /// The lane has believed a loop.
    fn for_a_while(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.until("time passes", |_| Instant::now() >= until);
    }

    fn authorise(&mut self, nth: u64) {
        let delivery = DeliveryId { order: OrderId::from_parts(nth, 1), item: 0, attempt: 1 };
        self.event(Event::Authorised { delivery });
    }

    /// From before the gate to behind it.
    fn drive(&mut self, chip: &Chip) {
        let steps =
            [(PRESENCE, true), (SAFETY, true), (PRESENCE, false), (CLOSING, true), (SAFETY, false), (CLOSING, false)];
        for (offset, there) in steps {
            chip.drive(offset, there);
            self.for_a_while(Duration::from_millis(450));
        }
    }

    fn stop(self) -> Vec<Record> {
        self.running.stop();
        self.ledger
    }
}

/// How the passages ended.
fn ended(ledger: &[Record]) -> Vec<Ended> {
    let how = |record: &Record| match record {
        Record::PassageEnded { how, .. } => Some(*how),
        _ => None,
    };
    ledger.iter().filter_map(how).collect()
}

fn config() -> Config {
    let text = text();
    check::parse(Path::new("kiosk.toml"), text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a lane says of one car.
struct Told {
    ledger: Vec<Record>,
    answers: Vec<Answer>,
    calls: u32,
    alarms: Vec<Alarm>,
}

impl Told {
    fn raised(&self, alarm: Alarm) -> bool {
        self.ledger.contains(&Record::AlarmRaised(alarm))
    }
}

/// Through a gate with such switches.
fn one_car(switches: Switches) -> Told {
    let chip = chip();
    let arm = Arm::new(&chip, switches);
    let mut lane = Lane::start(&config(), Vec::new());
    chip.drive(PRESENCE, true);
    lane.for_a_while(Duration::from_millis(300));
    lane.authorise(1);
    lane.until("the arm goes up", |_| arm.seen().open);
    lane.drive(&chip);
    lane.until("its passage ends", |lane| lane.state.passages().is_empty());
    lane.until("the arm comes down", |_| arm.seen().lowered > 0);
    lane.for_a_while(settings().times.moved() + Duration::from_millis(500));
    let seen = arm.seen();
    assert_eq!((seen.onto_a_car, seen.both), (0, 0), "{seen:?}");
    assert_eq!(seen.raised, 1, "once for its authorisation: {seen:?}");
    drop(seen);
    assert_eq!(lane.ledger.iter().filter(|record| matches!(record, Record::GateIntended { .. })).count(), 1);
    let (answers, calls, alarms) = (lane.answers.clone(), lane.calls, lane.state.alarms().iter().copied().collect());
    Told { answers, calls, alarms, ledger: lane.stop() }
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_car_passes_a_gate_whose_switches_are_right() {
    let told = one_car(Switches::True);
    assert_eq!((ended(&told.ledger), told.answers, told.calls), (vec![Ended::Passed], vec![Answer::Delivered], 0));
    assert_eq!(told.alarms, []);
    assert!(told.ledger.contains(&Record::GateClosed {}));
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_car_passes_a_gate_whose_switches_answer_late() {
    let told = one_car(Switches::Late);
    assert_eq!((ended(&told.ledger), told.answers, told.calls), (vec![Ended::Passed], vec![Answer::Delivered], 0));
}

/// That it has not moved is not believed of a switch that has not proved itself: nothing goes back, and somebody comes.
#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_car_passes_a_gate_whose_switches_are_wrong() {
    let told = one_car(Switches::Wrong);
    assert!(!told.answers.contains(&Answer::NotMoved), "{:?}", told.answers);
    assert!(!ended(&told.ledger).contains(&Ended::NotMoved), "{:?}", told.ledger);
    assert!(told.raised(Alarm::GateDoesNotMove) || told.raised(Alarm::SwitchesDisagree), "{:#?}", told.ledger);
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_car_passes_a_gate_whose_switches_say_nothing() {
    let told = one_car(Switches::Silent);
    assert_eq!(ended(&told.ledger), [Ended::Passed]);
    assert!(told.raised(Alarm::GateNotSeenOpen) && told.calls > 0, "{:#?}", told.ledger);
}

/// And how long the arm falls on somebody, from the edge of the loop to that of the relay.
#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn an_arm_that_comes_down_goes_up_again_for_a_car() {
    let chip = chip();
    let arm = Arm::new(&chip, Switches::True);
    let mut lane = Lane::start(&config(), Vec::new());
    lane.for_a_while(Duration::from_millis(400));
    lane.authorise(1);
    lane.until("the arm goes up", |_| arm.seen().open);
    lane.drive(&chip);
    lane.until("it comes down", |_| arm.seen().lowered > 0);
    let watch = chip.watch(RAISE);
    let came = Instant::now();
    chip.drive(SAFETY, true);
    lane.until("it goes up again", |_| arm.seen().raised > 1);
    let seen = watch.end();
    let up = seen.iter().find(|(at, high)| *high && *at > came).expect("the relay was energised").0;
    println!("energised {:?} after the loop", up - came);
    assert!(up - came < Duration::from_millis(150), "{:?}", up - came);
    assert!(lane.ledger.contains(&Record::GateReopened {}));
    assert_eq!(arm.seen().both, 0);
    lane.stop();
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_restart_with_a_car_before_the_gate_raises_nothing_and_waits_for_it() {
    let chip = chip();
    let arm = Arm::new(&chip, Switches::True);
    let mut lane = Lane::start(&config(), Vec::new());
    chip.drive(PRESENCE, true);
    lane.for_a_while(Duration::from_millis(300));
    lane.authorise(1);
    lane.until("the arm goes up", |_| arm.seen().open);
    let ledger = lane.stop();
    let mut lane = Lane::start(&config(), ledger);
    lane.authorise(1);
    lane.drive(&chip);
    lane.until("its passage ends", |lane| lane.state.passages().is_empty());
    lane.until("the arm comes down", |_| arm.seen().lowered > 0);
    let Seen { raised, onto_a_car, both, .. } = *arm.seen();
    assert_eq!((ended(&lane.ledger), raised, onto_a_car, both), (vec![Ended::Passed], 1, 0, 0));
    lane.stop();
}

/// Only as a child of the test below.
#[test]
#[ignore = "is killed by another test"]
fn dies_while_it_raises() {
    let config = std::env::var_os("KIOSKD_VICTIM").expect("set by the test that starts this");
    let running = lines::start(&check::load(Path::new(&config)).unwrap());
    running.board.gate(GateCommand::Energise { relay: Relay::Raise, pulse: Duration::from_secs(3) });
    std::thread::sleep(PATIENCE);
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn the_gates_relays_are_made_safe_after_a_kill() {
    let chip = chip();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kiosk.toml");
    fs::write(
        &file,
        text().replace("pulse = \"200ms\"\nrest", "pulse = \"3s\"\nrest").replace("travel = \"1s\"", "travel = \"8s\""),
    )
    .unwrap();
    let mut victim = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "gate::dies_while_it_raises", "--ignored", "--nocapture"])
        .env("KIOSKD_VICTIM", &file)
        .env("RUNTIME_DIRECTORY", directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the relay never went on", || chip.high(RAISE));
    // A gate that was taken out of the file is made safe all the same.
    fs::write(&file, lines::text("", "")).unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let (output, took) = relays_safe(&file);
    assert!(output.status.success() && took < Duration::from_secs(1), "{took:?}: {}", said(&output));
    assert!(!chip.high(RAISE));
    for whose in
        ["the gate's raise: line gate-raise", "the gate's lower: line gate-lower", "the gate's sign: line sign-full"]
    {
        assert!(said(&output).contains(&format!("{whose} is inactive")), "{}", said(&output));
    }
}
