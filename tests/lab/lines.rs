//! The board on GPIO lines of the kernel's simulator (gpio-sim), seen from outside through sysfs: relays that pulse, die
//! in the middle and are made safe; inputs that bounce; lines that are busy, missing or named twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kioskd::board::{self, Board, BoardEvent, Claims, Command, Lines};
use kioskd::config::Config;
use kioskd::kiosk::check;
use kioskd::service::Supervisor;
use kioskd::vocabulary::{DeliveryId, Evidence, OrderId, Reading, SlotId};

const PATIENCE: Duration = Duration::from_secs(10);

/// One simulated chip; it goes when it is dropped.
pub struct Chip {
    configfs: PathBuf,
    sysfs: PathBuf,
    name: String,
}

impl Chip {
    /// `names` are the kernel's names of the first lines; there are 30.
    pub fn new(label: &str, names: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = format!("kioskd-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let configfs = PathBuf::from("/sys/kernel/config/gpio-sim").join(own);
        let bank = configfs.join("bank0");
        fs::create_dir_all(&bank).expect("gpio-sim and configfs are there");
        fs::write(bank.join("num_lines"), "30").unwrap();
        fs::write(bank.join("label"), label).unwrap();
        for (offset, name) in names.iter().enumerate() {
            let line = bank.join(format!("line{offset}"));
            fs::create_dir(&line).unwrap();
            fs::write(line.join("name"), name).unwrap();
        }
        fs::write(configfs.join("live"), "1").unwrap();
        let said = |path: PathBuf| fs::read_to_string(path).unwrap().trim().to_owned();
        let (device, name) = (said(configfs.join("dev_name")), said(bank.join("chip_name")));
        let sysfs = Path::new("/sys/devices/platform").join(device).join(&name);
        Self { configfs, sysfs, name }
    }

    fn line(&self, offset: u32, what: &str) -> PathBuf {
        self.sysfs.join(format!("sim_gpio{offset}")).join(what)
    }

    pub fn high(&self, offset: u32) -> bool {
        fs::read_to_string(self.line(offset, "value")).unwrap().trim() == "1"
    }

    pub fn drive(&self, offset: u32, high: bool) {
        fs::write(self.line(offset, "pull"), if high { "pull-up" } else { "pull-down" }).unwrap();
    }

    /// Every change of a line, with its time, until the watch is ended.
    pub fn watch(&self, offset: u32) -> Watch {
        let (path, end) = (self.line(offset, "value"), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&end);
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut file = fs::File::open(path).unwrap();
            let mut seen: Vec<(Instant, bool)> = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                use std::io::{Read, Seek};
                let mut text = String::new();
                file.rewind().unwrap();
                file.read_to_string(&mut text).unwrap();
                let high = text.trim() == "1";
                if seen.last().is_none_or(|(_, last)| *last != high) {
                    seen.push((Instant::now(), high));
                }
                let _ = ready.send(());
                // The simulator's machine has coarse timers; a sleep would miss what is short.
                std::thread::yield_now();
            }
            seen
        });
        is_ready.recv().unwrap();
        Watch { end, thread }
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = fs::write(self.configfs.join("live"), "0");
        let bank = self.configfs.join("bank0");
        for entry in fs::read_dir(&bank).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&bank);
        let _ = fs::remove_dir(&self.configfs);
    }
}

pub struct Watch {
    end: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<(Instant, bool)>>,
}

impl Watch {
    pub fn end(self) -> Vec<(Instant, bool)> {
        // What has just happened is seen too.
        std::thread::sleep(Duration::from_millis(50));
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The demo's machine with one slot, `[board]` and what follows replaced.
pub fn text(board: &str, slot: &str) -> String {
    let demo =
        include_str!("../../configs/vending.toml").replace("../assets", concat!(env!("CARGO_MANIFEST_DIR"), "/assets"));
    let (before, rest) = demo.split_once("[board]\n").unwrap();
    let printer = rest.find("[printer]").unwrap();
    let first = rest.find("[[product]]").unwrap();
    let product = "[[product]]\nid = \"cola\"\nname = { en = \"Cola\" }\nprice = 300\n";
    let slot = format!(
        "[[slot]]\nname = \"A1\"\nproduct = \"cola\"\nline = \"slot-A1\"\nstock = 8\ncapacity = 8\npulse = \"200ms\"\n{slot}"
    );
    format!("{before}[board]\ndriver = \"gpiochip\"\n{board}\n{}\n{product}\n{slot}", &rest[printer..first])
}

pub fn config(board: &str, slot: &str) -> Config {
    let text = text(board, slot);
    check::parse(Path::new("kiosk.toml"), text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub struct Running {
    pub board: Board,
    pub events: mpsc::Receiver<BoardEvent>,
}

fn try_start(config: &Config) -> Result<Running, board::BoardError> {
    let (tell, events) = mpsc::channel();
    let lines = Lines::open(config, None)?;
    if let Some(claims) = Claims::here(|| None) {
        lines.announce(&claims)?;
    }
    let board = board::start(config, lines, &Supervisor::new(|_| ()), move |event| drop(tell.send(event)))?;
    Ok(Running { board, events })
}

/// With everything that it says from the first moment.
pub fn start_anew(config: &Config) -> Running {
    try_start(config).unwrap_or_else(|error| panic!("{error}"))
}

pub fn start(config: &Config) -> Running {
    let running = start_anew(config);
    running.until(|event| matches!(event, BoardEvent::Answers { .. }));
    running
}

fn refusal(config: &Config) -> String {
    try_start(config).err().expect("it must be refused").to_string()
}

impl Running {
    pub fn stop(self) {
        drop(self.board);
    }

    pub fn until(&self, wanted: impl Fn(&BoardEvent) -> bool) -> Vec<BoardEvent> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|event| !wanted(event)) {
            seen.push(self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not after {seen:?}")));
        }
        seen
    }

    fn quiet_for(&self, time: Duration) -> Vec<BoardEvent> {
        std::thread::sleep(time);
        self.events.try_iter().collect()
    }

    pub fn deliver(&self, attempt: u32, before: Option<u32>) -> DeliveryId {
        let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt };
        let slot = SlotId::parse("A1").unwrap();
        self.board.command(Command::Deliver { delivery, slot, before });
        delivery
    }

    pub fn evidence(&self) -> Evidence {
        match self.until(|event| matches!(event, BoardEvent::Evidence { .. })).pop() {
            Some(BoardEvent::Evidence { evidence, .. }) => evidence,
            other => panic!("{other:?}"),
        }
    }

    fn prepare(&self) -> Reading {
        let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 1 };
        self.board.command(Command::Prepare { delivery });
        match self.until(|event| matches!(event, BoardEvent::Prepared { .. })).pop() {
            Some(BoardEvent::Prepared { reading, .. }) => reading,
            other => panic!("{other:?}"),
        }
    }
}

/// One pulse, measured from outside; the line may show nothing else from before it is claimed until after it is given up.
fn pulse_of(active_low: bool) {
    let chip = Chip::new("pinctrl-bcm2835", &[]);
    // As a pull on the relay's input would hold it.
    chip.drive(17, active_low);
    let watch = chip.watch(17);
    let wire =
        format!("[[line]]\nname = \"slot-A1\"\nchip = \"{}\"\noffset = 17\nactive_low = {active_low}\n", chip.name);
    let running = start(&config("", &wire));
    std::thread::sleep(Duration::from_millis(50));
    let asked = Instant::now();
    running.deliver(1, None);
    assert!(matches!(running.evidence(), Evidence::Silent { .. }), "there is no sensor");
    running.deliver(1, None);
    assert!(matches!(running.evidence(), Evidence::Silent { .. }), "the same delivery again");
    running.stop();
    let seen = watch.end();
    let levels: Vec<bool> = seen.iter().map(|(_, high)| *high != active_low).collect();
    assert_eq!(levels, [false, true, false], "inactive, one pulse, inactive");
    let (late, length) = (seen[1].0 - asked, seen[2].0 - seen[1].0);
    println!("active_low {active_low}: on after {late:?}, for {length:?}");
    assert!(length >= Duration::from_millis(180) && length <= Duration::from_millis(250), "{length:?}");
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_pulse_has_its_length_and_nothing_else_is_seen() {
    pulse_of(false);
    pulse_of(true);
}

/// The whole machine is of no use here: a process that holds the line and is killed in the middle of a pulse.
fn victim(config: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    Process::new(this)
        .args(["--exact", "lines::dies_in_the_middle_of_a_pulse", "--ignored", "--nocapture"])
        .env("KIOSKD_VICTIM", config)
        // As systemd does it, for both.
        .env("RUNTIME_DIRECTORY", config.parent().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Only as a child of the tests below.
#[test]
#[ignore = "is killed by another test"]
fn dies_in_the_middle_of_a_pulse() {
    let config = std::env::var_os("KIOSKD_VICTIM").expect("set by the tests that start this");
    let running = start(&check::load(Path::new(&config)).unwrap());
    running.deliver(1, None);
    running.evidence();
}

pub fn relays_safe(config: &Path) -> (Output, Duration) {
    let began = Instant::now();
    let mut command = Process::new(env!("CARGO_BIN_EXE_kioskd"));
    command.args(["relays-safe", "--config"]).arg(config).env("RUNTIME_DIRECTORY", config.parent().unwrap());
    (command.output().unwrap(), began.elapsed())
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub fn eventually(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_relay_is_made_safe_after_a_kill_in_the_middle_of_a_pulse() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kiosk.toml");
    fs::write(&file, text("", "").replace("pulse = \"200ms\"", "pulse = \"10s\"")).unwrap();
    let mut victim = victim(&file);
    eventually("the relay never went on", || chip.high(0));
    victim.kill().unwrap();
    victim.wait().unwrap();
    println!("after the kill the line is {}", if chip.high(0) { "still high" } else { "low" });
    let (output, took) = relays_safe(&file);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!chip.high(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let place = format!("offset 0 of /dev/{} (pinctrl-bcm2835)", chip.name);
    assert_eq!(said(&output), format!("slot A1: line slot-A1 is inactive ({place})\n"));
    // A file that is wrong elsewhere does not leave a relay on.
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("columns = 384", "columns = 400")).unwrap();
    assert!(relays_safe(&file).0.status.success());
}

/// What the dead one had claimed is made safe, whatever has become of its configuration; also when the chip is called
/// otherwise in it by then.
#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn neither_a_typo_nor_a_slot_taken_out_leaves_a_relay_on() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kiosk.toml");
    let good = text("", "").replace("pulse = \"200ms\"", "pulse = \"10s\"");
    let without = good[..good.find("[[slot]]").unwrap()].to_owned();
    let renamed = good.replace("line = \"slot-A1\"", "line = \"slot-A9\"");
    let safe = format!("slot A1: line slot-A1 is inactive (offset 0 of /dev/{} (pinctrl-bcm2835))", chip.name);
    for (text, fine) in [(good.replace("[[slot]]", "[[slot]"), true), (without, true), (renamed, false)] {
        fs::write(&file, &good).unwrap();
        let mut victim = victim(&file);
        eventually("the relay never went on", || chip.high(0));
        fs::write(&file, text).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        let (output, took) = relays_safe(&file);
        assert!(said(&output).starts_with(&safe), "{}", said(&output));
        assert_eq!(output.status.success(), fine, "{}", said(&output));
        assert!(!chip.high(0) && took < Duration::from_secs(1), "{took:?}");
        assert!(!directory.path().join("relays.json").exists());
    }
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn relays_safe_waits_for_a_daemon_that_is_going_and_names_one_that_stays() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kiosk.toml");
    fs::write(&file, text("", "").replace("pulse = \"200ms\"", "pulse = \"10s\"")).unwrap();
    let mut stays = victim(&file);
    eventually("the relay never went on", || chip.high(0));
    let (output, took) = relays_safe(&file);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("slot A1: line slot-A1 COULD NOT BE MADE INACTIVE")
            && said(&output).contains("in use by \"kioskd\""),
        "{}",
        said(&output)
    );
    assert!(took >= Duration::from_millis(800) && took < Duration::from_millis(1_500), "{took:?}");
    let going = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stays.kill().unwrap();
        stays.wait().unwrap();
    });
    let (output, took) = relays_safe(&file);
    going.join().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(!chip.high(0));
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn inputs_are_told_at_once_and_bouncing_is_not() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1", "door", "tamper", "button-A1"]);
    chip.drive(2, true);
    let board = "door = \"door\"\ntamper = \"tamper\"\nheartbeat = \"1min\"\n";
    let wire = "button = \"button-A1\"\n[[line]]\nname = \"tamper\"\nactive_low = true\nbias = \"pull-up\"\n[[line]]\nname = \"door\"\ndebounce = \"50ms\"\n";
    let running = try_start(&config(board, wire)).unwrap_or_else(|error| panic!("{error}"));
    let at_start = running.until(|event| matches!(event, BoardEvent::Answers { .. }));
    let wanted =
        [BoardEvent::Door { open: false }, BoardEvent::Tamper { active: false }, BoardEvent::Answers { answers: true }];
    assert_eq!(at_start, wanted);

    let began = Instant::now();
    chip.drive(1, true);
    assert_eq!(running.until(|_| true), [BoardEvent::Door { open: true }]);
    println!("a door with 50 ms of debouncing is told after {:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_millis(45) && began.elapsed() < Duration::from_millis(500));
    for high in [false, true, false, true] {
        chip.drive(1, high);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(running.quiet_for(Duration::from_millis(200)), [], "it bounced and stayed open");

    chip.drive(2, false);
    assert_eq!(running.until(|_| true), [BoardEvent::Tamper { active: true }], "active while low");
    chip.drive(2, true);
    assert_eq!(running.until(|_| true), [BoardEvent::Tamper { active: false }]);

    let slot = SlotId::parse("A1").unwrap();
    for _ in 0..2 {
        chip.drive(3, true);
        assert_eq!(running.until(|_| true), [BoardEvent::Button { slot: slot.clone() }]);
        chip.drive(3, false);
        assert_eq!(running.quiet_for(Duration::from_millis(100)), [], "letting go is no press");
    }
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_line_that_is_busy_missing_ambiguous_or_used_twice_is_named() {
    let one = Chip::new("pinctrl-bcm2835", &["slot-A1", "GPIO17", "elsewhere"]);
    let wire = |said: &str| config("", &format!("[[line]]\nname = \"slot-A1\"\n{said}\n"));
    let holder = gpiocdev::Request::builder()
        .on_chip(format!("/dev/{}", one.name))
        .with_consumer("coin-acceptor")
        .with_line(0)
        .as_input()
        .request()
        .unwrap();
    let busy = refusal(&config("", ""));
    let place = format!("offset 0 of /dev/{} (pinctrl-bcm2835)", one.name);
    assert_eq!(
        busy,
        format!("line `slot-A1` ({place}) is in use by \"coin-acceptor\"; stop that, or write another line")
    );
    drop(holder);

    let missing = refusal(&wire("chip = \"pinctrl-bcm2711\"\noffset = 0"));
    assert!(missing.starts_with("line `slot-A1`: there is no chip `pinctrl-bcm2711`; write one of: "), "{missing}");
    assert!(missing.contains("(pinctrl-bcm2835)"), "{missing}");
    let far = refusal(&wire("chip = \"pinctrl-bcm2835\"\noffset = 30"));
    assert!(far.contains("has no offset 30; write 0 to 29"), "{far}");
    let unknown = refusal(&wire("line = \"GPI17\""));
    assert_eq!(unknown, "line `slot-A1`: no line is called `GPI17`; did you mean `GPIO17`?");
    drop(start(&wire("line = \"GPIO17\"")));

    let board = "door = \"door\"\n";
    let same = config(board, &format!("[[line]]\nname = \"door\"\nchip = \"/dev/{}\"\noffset = 0\n", one.name));
    let twice = refusal(&same);
    assert_eq!(
        twice,
        format!("line `door`: it is on the same wire as line `slot-A1`: {place}; write another one for one of them")
    );

    let other = Chip::new("expander", &["slot-A1"]);
    let ambiguous = refusal(&config("", ""));
    for chip in [&one, &other] {
        assert!(ambiguous.contains(&format!("offset 0 of /dev/{}", chip.name)), "{ambiguous}");
    }
    drop(start(&wire("chip = \"expander\"\nline = \"slot-A1\"")));
}

/// Products that fall while the motor runs break the beam; nobody else counts them.
#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn what_falls_is_counted_without_a_counter_chip() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1", "emitter", "beam"]);
    chip.drive(2, false);
    let sensor = "[board.drop_sensor]\nemitter = \"emitter\"\nbeam = \"beam\"\nfall_time = \"100ms\"\n";
    // The emitter lights the beam: dark, the beam is broken.
    let (emitter, pull) = (chip.line(1, "value"), chip.line(2, "pull"));
    let stop = Arc::new(AtomicBool::new(false));
    let (falls, stopped) = (Arc::new(AtomicBool::new(false)), Arc::clone(&stop));
    let falling = Arc::clone(&falls);
    let world = std::thread::spawn(move || {
        let mut last = None;
        while !stopped.load(Ordering::Relaxed) {
            let lit = fs::read_to_string(&emitter).unwrap().trim() == "1";
            let broken = !lit || falling.load(Ordering::Relaxed);
            if last.replace(broken) != Some(broken) {
                fs::write(&pull, if broken { "pull-up" } else { "pull-down" }).unwrap();
            }
            std::thread::yield_now();
        }
    });
    let running = start(&config(sensor, ""));
    let reading = running.prepare();
    assert!(reading.counter.is_some());
    assert!(reading.self_tested, "the beam was broken once by its own emitter, and counted");
    running.deliver(1, reading.counter);
    assert_eq!(running.evidence(), Evidence::Nothing { self_tested: true });

    let reading = running.prepare();
    running.deliver(2, reading.counter);
    eventually("the relay never went on", || chip.high(0));
    falls.store(true, Ordering::Relaxed);
    let began = Instant::now();
    std::thread::sleep(Duration::from_millis(50));
    falls.store(false, Ordering::Relaxed);
    eventually("the drop did not end the pulse", || !chip.high(0));
    assert!(began.elapsed() < Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(running.evidence(), Evidence::Dropped { count: 1 });

    drop(running);
    let running = start(&config(sensor, ""));
    let delivery = DeliveryId { order: OrderId::from_parts(1, 1), item: 0, attempt: 2 };
    running.board.command(Command::Recall { delivery, before: reading.counter });
    assert!(matches!(running.evidence(), Evidence::Silent { .. }), "what fell before it started it can't know");
    stop.store(true, Ordering::Relaxed);
    world.join().unwrap();
}

/// The pulse is as long as one turn; a motor that does not come home is reported, and its relay is off all the same.
#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_motor_runs_until_it_is_home() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1", "home-A1"]);
    chip.drive(1, true);
    let running = start(&config("", "home = \"home-A1\"\n[[line]]\nname = \"home-A1\"\ndebounce = \"2ms\"\n"));
    let watch = chip.watch(0);
    running.deliver(1, None);
    eventually("the relay never went on", || chip.high(0));
    std::thread::sleep(Duration::from_millis(40));
    chip.drive(1, false);
    std::thread::sleep(Duration::from_millis(40));
    chip.drive(1, true);
    let events = running.until(|event| matches!(event, BoardEvent::Evidence { .. }));
    assert!(!events.iter().any(|event| matches!(event, BoardEvent::NotHome { .. })), "{events:?}");
    let seen = watch.end();
    let turn = seen[2].0 - seen[1].0;
    println!("one turn of 80 ms took {turn:?}");
    assert!(turn < Duration::from_millis(150), "{turn:?}");

    running.deliver(2, None);
    let events = running.until(|event| matches!(event, BoardEvent::Evidence { .. }));
    assert!(events.iter().any(|event| matches!(event, BoardEvent::NotHome { .. })), "it never left: {events:?}");
    assert!(!chip.high(0));
}

#[test]
#[ignore = "needs gpio-sim: tests/lab runs it"]
fn a_person_is_told_what_there_is() {
    let chip = Chip::new("pinctrl-bcm2835", &["slot-A1"]);
    let running = start(&config("", ""));
    let probe = board::probe(false);
    let path = format!("/dev/{}", chip.name);
    let known = probe.chips.iter().find(|known| known.path.to_str() == Some(&path)).expect("the chip is found");
    assert_eq!((known.label.as_str(), known.lines.len()), ("pinctrl-bcm2835", 30));
    let line = &known.lines[0];
    assert_eq!((line.name.as_str(), line.consumer.as_deref(), line.output), ("slot-A1", Some("kioskd"), true));
    assert_eq!(known.lines[1].consumer, None);
    drop(running);
}
