//! What stands in the street before the machine, and what is in its case: all of it from outside of the daemon.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use evdev::uinput::VirtualDevice;
use evdev::{AbsInfo, AbsoluteAxisCode as Abs, AttributeSet, EventType, InputEvent, KeyCode, PropType, UinputAbsSetup};
use image::{DynamicImage, RgbImage};
use kioskd::demo::paper;
use kioskd::screen::drm::screenshot;

use crate::guest::{OUTSIDE, until, until_every};
use crate::{Seen, Sign};

/// Where the configuration has the relays, and the light barrier.
pub const SLOTS: [(&str, u32); 7] = [("A1", 4), ("A2", 17), ("A3", 27), ("B1", 22), ("B2", 5), ("B3", 6), ("C1", 13)];
pub const BEAM: u32 = 23;
pub const EMITTER: u32 = 24;
pub const DOOR: u32 = 25;
pub const TAMPER: u32 = 12;

/// Between two looks at the screen.
const LOOK: Duration = Duration::from_millis(200);
/// After which a customer touches again.
const NOTHING_HAPPENS: Duration = Duration::from_secs(15);
/// A motor has turned far enough.
const TURN: Duration = Duration::from_millis(150);
/// Turns of the loop below for which what falls keeps the beam dark. By turns and not by time: a machine that stood still
/// for a while has not looked at its lines meanwhile.
const FALL: u32 = 8;
/// In which a motor turns, where nobody looks longer; and after something fell, until the machine has seen it.
const AFTER_PAYMENT: Duration = Duration::from_secs(20);
const AFTER_FALL: Duration = Duration::from_secs(1);
/// Into a pulse, where the daemon is killed in one.
const KILL_AFTER: Duration = Duration::from_millis(50);

/// Written down outside of the machine, where no power cut reaches it.
pub fn tell(seen: &Seen) {
    let line = serde_json::to_string(seen).unwrap() + "\n";
    let file = OpenOptions::new().create(true).append(true).open(Path::new(OUTSIDE).join("world"));
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// A touch sensor, and the finger on it.
pub struct Finger {
    sensor: VirtualDevice,
    /// Where a place of the picture is on the sensor.
    lies: Box<dyn Fn(u32, u32) -> (u32, u32)>,
}

impl Finger {
    /// A sensor as large as the picture.
    pub fn new(width: u32, height: u32) -> Self {
        Self::on(width, height, |x, y| (x, y))
    }

    /// On a sensor that was mounted turned by a quarter, clockwise.
    pub fn turned(width: u32, height: u32) -> Self {
        Self::on(height, width, move |x, y| (y, width - x))
    }

    /// On a sensor of that size.
    fn on(width: u32, height: u32, lies: impl Fn(u32, u32) -> (u32, u32) + 'static) -> Self {
        let axis = |axis, size: u32| UinputAbsSetup::new(axis, AbsInfo::new(0, 0, size as i32, 0, 0, 0));
        let keys: AttributeSet<KeyCode> = [KeyCode::BTN_TOUCH].into_iter().collect();
        let direct: AttributeSet<PropType> = [PropType::DIRECT].into_iter().collect();
        let device = VirtualDevice::builder().unwrap().name("Street glass").with_keys(&keys).unwrap();
        let device = device.with_properties(&direct).unwrap();
        let device = device.with_absolute_axis(&axis(Abs::ABS_X, width)).unwrap();
        let sensor = device.with_absolute_axis(&axis(Abs::ABS_Y, height)).unwrap().build().unwrap();
        Self { sensor, lies: Box::new(lies) }
    }

    pub fn tap(&mut self, x: u32, y: u32) {
        let touch = |value| InputEvent::new(EventType::KEY.0, KeyCode::BTN_TOUCH.0, value);
        let at = |axis: Abs, value: u32| InputEvent::new(EventType::ABSOLUTE.0, axis.0, value as i32);
        let (x, y) = (self.lies)(x, y);
        self.sensor.emit(&[at(Abs::ABS_X, x), at(Abs::ABS_Y, y), touch(1)]).unwrap();
        std::thread::sleep(Duration::from_millis(120));
        self.sensor.emit(&[touch(0)]).unwrap();
        std::thread::sleep(Duration::from_millis(120));
    }
}

/// Sees the pixels that are on the screen.
pub struct Eye {
    signs: Vec<RgbImage>,
    places: Vec<(u32, u32)>,
}

impl Eye {
    pub fn new(pages: &[Sign]) -> Self {
        let picture = |sign: &Sign| image::open(Path::new(OUTSIDE).join(&sign.picture)).unwrap().into_rgb8();
        Self { signs: pages.iter().map(picture).collect(), places: pages.iter().map(|sign| (sign.x, sign.y)).collect() }
    }

    /// As many as a customer meets on the way to pay.
    pub fn pages(&self) -> usize {
        self.signs.len()
    }

    /// Where there is something to touch on each of them.
    pub fn known(&self) -> Vec<(u32, u32)> {
        let middle = |(sign, (left, top)): (&RgbImage, &(u32, u32))| (left + sign.width() / 2, top + sign.height() / 2);
        self.signs.iter().zip(&self.places).map(middle).collect()
    }

    /// Waits for the page with that sign, and gives the place to touch.
    pub fn page(&self, nth: usize) -> (u32, u32) {
        until_every(LOOK, &format!("page {nth}"), || self.look_for(nth))
    }

    /// The same, where nobody waits longer than a customer would.
    pub fn page_soon(&self, nth: usize) -> Option<(u32, u32)> {
        let began = Instant::now();
        loop {
            let found = self.look_for(nth);
            if found.is_some() || began.elapsed() > NOTHING_HAPPENS {
                return found;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn look_for(&self, nth: usize) -> Option<(u32, u32)> {
        let (sign, (left, top)) = (&self.signs[nth], self.places[nth]);
        let screen = screenshot().ok()?;
        let here = |(x, y, pixel): (u32, u32, &image::Rgb<u8>)| screen.get_pixel(left + x, top + y) == pixel;
        sign.enumerate_pixels().all(here).then_some((left + sign.width() / 2, top + sign.height() / 2))
    }

    /// Keeps what is seen, outside.
    pub fn keep(&self, name: &str) {
        if let Ok(screen) = screenshot() {
            screen.save(Path::new(OUTSIDE).join(name)).unwrap();
        }
    }

    /// Waits for a code to pay.
    pub fn code(&self) -> String {
        // The decoder takes seconds here; it need not begin with the page before.
        std::thread::sleep(Duration::from_millis(500));
        until_every(LOOK, "a code", || decode(&screenshot().ok()?.into()).filter(|text| text.starts_with("weixin://")))
    }
}

/// The code in a picture, by an independent decoder.
fn decode(picture: &DynamicImage) -> Option<String> {
    // By hand: what the decoder loads fastest.
    let file = "/run/eye.pgm";
    let (width, height) = (picture.width(), picture.height());
    let pixels = picture.to_luma8().into_raw();
    fs::write(file, [format!("P5 {width} {height} 255\n").into_bytes(), pixels].concat()).unwrap();
    let read =
        Command::new("zbarimg").args(["--raw", "-q", "--nodbus", "--oneshot", file]).output().expect("zbar-tools");
    Some(String::from_utf8(read.stdout).unwrap().trim().to_owned()).filter(|text| !text.is_empty())
}

/// The printer's other end: prints, and answers as a printer does.
pub struct Paper {
    roll: Arc<Mutex<Roll>>,
}

struct Roll {
    paper: paper::Paper,
    /// When something was printed on it.
    last: Option<Instant>,
}

/// A printer that is never off; answers what it has been asked.
fn print(roll: &Mutex<Roll>, bytes: &[u8]) -> Vec<u8> {
    let mut roll = roll.lock().unwrap();
    roll.paper.write(bytes).unwrap();
    // It is asked for its status all the time.
    if bytes.len() > 16 {
        roll.last = Some(Instant::now());
    }
    roll.paper.read(Duration::ZERO)
}

impl Roll {
    fn new() -> Self {
        Self { paper: paper::Paper::new(384), last: None }
    }
}

impl Paper {
    /// The other end of a USB cable.
    pub fn usb() -> Self {
        let paper = Self { roll: Arc::new(Mutex::new(Roll::new())) };
        let printing = Arc::clone(&paper.roll);
        std::thread::spawn(move || {
            let open = || {
                let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
                OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open("/dev/g_printer0").ok()
            };
            let mut port: File = until("the printer", open);
            let mut bytes = vec![0; 4096];
            loop {
                let length = port.read(&mut bytes).unwrap_or(0);
                // The host may not be reading; a printer does not care.
                let _ = port.write(&print(&printing, &bytes[..length]));
                if length == 0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        paper
    }

    /// A printer on the network; it waits without looking.
    pub fn network() -> Self {
        let paper = Self { roll: Arc::new(Mutex::new(Roll::new())) };
        let printing = Arc::clone(&paper.roll);
        let listener = TcpListener::bind("127.0.0.1:9100").unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut bytes = vec![0; 4096];
                while let Ok(length @ 1..) = connection.read(&mut bytes) {
                    let _ = connection.write_all(&print(&printing, &bytes[..length]));
                }
            }
        });
        paper
    }

    /// Waits for a slip that is all out, tears it off, and gives what its code says. It is kept outside.
    pub fn receipt(&self, nth: u32) -> String {
        let roll = until("a slip", || {
            let mut roll = self.roll.lock().unwrap();
            let out = roll.last.is_some_and(|last| last.elapsed() > Duration::from_millis(700));
            out.then(|| std::mem::replace(&mut *roll, Roll::new()))
        });
        let png = roll.paper.png();
        fs::write(Path::new(OUTSIDE).join(format!("slip-{nth:03}.png")), &png).unwrap();
        decode(&image::load_from_memory(&png).unwrap()).expect("a code on the slip")
    }

    /// Takes the paper out, and puts it back.
    pub fn set_roll(&self, roll: paper::PaperLevel) {
        self.roll.lock().unwrap().paper.set_paper(roll);
    }

    /// Throws away what was printed since; whether that was anything.
    pub fn tear_off(&self) -> bool {
        std::mem::replace(&mut *self.roll.lock().unwrap(), Roll::new()).last.is_some()
    }

    /// Something was printed.
    pub fn is_printed(&self) -> bool {
        self.roll.lock().unwrap().last.is_some()
    }
}

/// The case: motors behind relays, and a light barrier.
pub struct Board {
    orders: mpsc::Sender<Order>,
    killed: mpsc::Receiver<()>,
}

/// What the case is told.
pub enum Order {
    Paid,
    KillAtNextPulse(bool),
    /// No motor turns.
    Jam(bool),
    /// The wire of this slot's motor is off.
    Unplug(Option<&'static str>),
    /// The light barrier sees nothing of what falls, nor that its light goes out.
    Blind(bool),
    /// Somebody has taken out what lay in the slots.
    Empty(bool),
    /// An input, by its offset.
    Drive(u32, bool),
}

/// The lines as they are seen from outside of the chip.
struct Lines {
    chip: PathBuf,
    /// Held open: a look is one question to the kernel then.
    values: BTreeMap<u32, File>,
}

impl Lines {
    fn open(chip: PathBuf) -> Self {
        let offsets = SLOTS.iter().map(|(_, offset)| *offset).chain([EMITTER]);
        let value = |offset: u32| File::open(chip.join(format!("sim_gpio{offset}/value"))).unwrap();
        Self { values: offsets.map(|offset| (offset, value(offset))).collect(), chip }
    }

    fn high(&self, offset: u32) -> bool {
        let mut value = [0];
        self.values[&offset].read_exact_at(&mut value, 0).unwrap();
        value == *b"1"
    }

    fn drive(&self, offset: u32, high: bool) {
        fs::write(self.chip.join(format!("sim_gpio{offset}/pull")), if high { "pull-up" } else { "pull-down" })
            .unwrap();
    }
}

impl Board {
    /// `always`: watch the lines all the time; else only for a while after each payment.
    pub fn start(always: bool) -> Self {
        let said = |file: &str| {
            let text = fs::read_to_string(Path::new("/sys/kernel/config/gpio-sim/board").join(file));
            text.unwrap().trim().to_owned()
        };
        let lines =
            Lines::open(Path::new("/sys/devices/platform").join(said("dev_name")).join(said("bank0/chip_name")));
        let (orders, todo) = mpsc::channel();
        let (tell_killed, killed) = mpsc::channel();
        std::thread::spawn(move || {
            // Light is faster than a busy machine with one processor.
            let this = rustix::thread::gettid().as_raw_pid().to_string();
            assert!(Command::new("chrt").args(["--fifo", "--pid", "50", &this]).status().unwrap().success());
            case(&lines, &todo, &tell_killed, always);
        });
        Self { orders, killed }
    }

    pub fn tell(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    /// Waits until the daemon was killed and its relay is off.
    pub fn killed(&self) {
        self.killed.recv_timeout(Duration::from_secs(60)).expect("there was no pulse to kill the daemon in");
    }
}

fn case(lines: &Lines, todo: &mpsc::Receiver<Order>, killed: &mpsc::Sender<()>, always: bool) {
    let (mut look_until, mut kill, mut jam) = (None::<Instant>, false, false);
    let (mut unplugged, mut blind, mut empty) = (None, false, false);
    let mut on: BTreeMap<&str, Instant> = BTreeMap::new();
    let (mut turned, mut falling, mut killed_at) = (BTreeMap::new(), 0, None::<Instant>);
    let mut broken = None;
    loop {
        let busy = always || look_until.is_some_and(|until| Instant::now() < until) || !on.is_empty();
        let first = if busy { None } else { todo.recv().ok() };
        for order in first.into_iter().chain(todo.try_iter()) {
            match order {
                Order::Paid => look_until = Some(Instant::now() + AFTER_PAYMENT),
                Order::KillAtNextPulse(wanted) => kill = wanted,
                Order::Jam(wanted) => jam = wanted,
                Order::Unplug(wanted) => unplugged = wanted,
                Order::Blind(wanted) => blind = wanted,
                Order::Empty(wanted) => empty = wanted,
                Order::Drive(offset, high) => lines.drive(offset, high),
            }
        }
        let now = Instant::now();
        for (slot, offset) in SLOTS {
            let since = on.get(slot).copied();
            match (since, lines.high(offset)) {
                (None, true) => {
                    on.insert(slot, now);
                    let at = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                    let at_us = at.tv_sec as u64 * 1_000_000 + at.tv_nsec as u64 / 1_000;
                    tell(&Seen::RelayOn { slot: slot.into(), at_us });
                }
                (Some(since), false) => {
                    on.remove(slot);
                    if turned.remove(slot).is_some() {
                        look_until = Some(now + AFTER_FALL);
                    }
                    tell(&Seen::RelayOff { slot: slot.into(), on_ms: since.elapsed().as_millis() as u64 });
                    if let Some(at) = killed_at.take() {
                        tell(&Seen::Killed { off_after_ms: at.elapsed().as_millis() as u64 });
                        killed.send(()).unwrap();
                    }
                }
                (Some(since), true) if kill && since.elapsed() >= KILL_AFTER => {
                    kill = false;
                    killed_at = Some(now);
                    let asked = Command::new("systemctl").args(["kill", "-s", "KILL", "kioskd"]).status().unwrap();
                    assert!(asked.success());
                }
                (Some(since), true)
                    if !jam
                        && unplugged != Some(slot)
                        && since.elapsed() >= TURN
                        && turned.insert(slot, ()).is_none() =>
                {
                    tell(&Seen::Turned { slot: slot.into() });
                    if !empty {
                        tell(&Seen::Fell { slot: slot.into() });
                        falling = FALL;
                    }
                }
                _ => {}
            }
        }
        // Without its light the barrier is dark too.
        let dark = !blind && (falling > 0 || !lines.high(EMITTER));
        falling = falling.saturating_sub(1);
        if broken.replace(dark) != Some(dark) {
            lines.drive(BEAM, dark);
        }
        // The machine's clock ticks every ten.
        std::thread::sleep(Duration::from_millis(5));
    }
}
