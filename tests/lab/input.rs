//! Touch sensors, a keypad and a scanner that the kernel makes for us: plugged in and out while the kiosk watches them.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evdev::raw_stream::RawDevice;
use evdev::uinput::VirtualDevice;
use evdev::{
    AbsInfo, AbsoluteAxisCode as Abs, AttributeSet, EventType, InputEvent as Raw, KeyCode, PropType, UinputAbsSetup,
};
use kioskd::config::{self, Calibration, Span};
use kioskd::input::{self, DeviceDirs, DeviceSelector, InputEvent, Kind, Role};
use kioskd::sale::Key;
use kioskd::service::Supervisor;
use kioskd::vocabulary::Spot;

/// Longer than a device is looked for, twice.
const SOON: Duration = Duration::from_secs(5);

/// The kernel's devices are everybody's.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Kiosk {
    _runtime: tokio::runtime::Runtime,
    said: Receiver<InputEvent>,
    /// Held, the kiosk reads nothing.
    gate: Arc<Mutex<()>>,
}

impl Kiosk {
    fn wants(wanted: DeviceSelector) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (report, said) = channel();
        let gate = Arc::new(Mutex::new(()));
        let passed = Arc::clone(&gate);
        input::start(&Supervisor::new(|_| ()), runtime.handle(), wanted, DeviceDirs::default(), move |event| {
            drop(passed.lock().unwrap());
            drop(report.send(event));
        });
        Self { _runtime: runtime, said, gate }
    }

    fn next(&self) -> InputEvent {
        self.said.recv_timeout(SOON).expect("nothing was said")
    }

    fn quiet(&self) {
        assert_eq!(self.said.recv_timeout(Duration::from_millis(300)), Err(RecvTimeoutError::Timeout));
    }

    #[track_caller]
    fn works(&self, role: Role) {
        assert_eq!(self.next(), InputEvent::Device { role, fault: None });
    }

    #[track_caller]
    fn fault(&self) -> String {
        match self.next() {
            InputEvent::Device { fault: Some(why), .. } => why,
            other => panic!("{other:?}"),
        }
    }
}

fn abs(axis: Abs, value: i32) -> Raw {
    Raw::new(EventType::ABSOLUTE.0, axis.0, value)
}

fn key(code: KeyCode, value: i32) -> Raw {
    Raw::new(EventType::KEY.0, code.0, value)
}

fn axis(axis: Abs, most: i32) -> UinputAbsSetup {
    UinputAbsSetup::new(axis, AbsInfo::new(0, 0, most, 0, 0, 0))
}

fn keys(codes: impl IntoIterator<Item = KeyCode>) -> AttributeSet<KeyCode> {
    codes.into_iter().collect()
}

/// A multitouch screen with ten slots.
fn screen(name: &str, most: i32) -> VirtualDevice {
    let mut device = VirtualDevice::builder().unwrap().name(name);
    for (code, most) in [
        (Abs::ABS_X, most),
        (Abs::ABS_Y, most),
        (Abs::ABS_MT_SLOT, 9),
        (Abs::ABS_MT_TRACKING_ID, 65_535),
        (Abs::ABS_MT_POSITION_X, most),
        (Abs::ABS_MT_POSITION_Y, most),
    ] {
        device = device.with_absolute_axis(&axis(code, most)).unwrap();
    }
    let direct: AttributeSet<PropType> = [PropType::DIRECT].into_iter().collect();
    device.with_keys(&keys([KeyCode::BTN_TOUCH])).unwrap().with_properties(&direct).unwrap().build().unwrap()
}

fn keyboard(name: &str) -> VirtualDevice {
    VirtualDevice::builder().unwrap().name(name).with_keys(&keys((1..=88).map(KeyCode))).unwrap().build().unwrap()
}

fn down(device: &mut VirtualDevice, id: i32, x: i32, y: i32) {
    let place = [abs(Abs::ABS_MT_POSITION_X, x), abs(Abs::ABS_MT_POSITION_Y, y)];
    let pointer = [key(KeyCode::BTN_TOUCH, 1), abs(Abs::ABS_X, x), abs(Abs::ABS_Y, y)];
    device
        .emit(&[&[abs(Abs::ABS_MT_SLOT, 0), abs(Abs::ABS_MT_TRACKING_ID, id)], &place[..], &pointer[..]].concat())
        .unwrap();
}

fn up(device: &mut VirtualDevice) {
    let up = [abs(Abs::ABS_MT_SLOT, 0), abs(Abs::ABS_MT_TRACKING_ID, -1), key(KeyCode::BTN_TOUCH, 0)];
    device.emit(&up).unwrap();
    std::thread::sleep(Duration::from_millis(100));
}

fn touch(name: &str) -> DeviceSelector {
    DeviceSelector::Touch { config: config::Touch { name: Some(name.into()), ..Default::default() }, rotation: 0 }
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_touch_screen_comes_goes_and_comes_again() {
    let _alone = alone();
    let kiosk = Kiosk::wants(touch("kioskd glass"));
    assert_eq!(kiosk.fault(), "no input device is called `kioskd glass`");

    for turn in 0..3 {
        let mut glass = screen("kioskd glass", 1000);
        kiosk.works(Role::Touch);
        let mut slowest = Duration::ZERO;
        for id in 0..5 {
            let began = Instant::now();
            down(&mut glass, id, 250 + id, 500);
            let pressed = Spot { x: f64::from(250 + id) / 1000.0, y: 0.5 };
            assert_eq!(kiosk.next(), InputEvent::Pressed(pressed));
            slowest = slowest.max(began.elapsed());
            up(&mut glass);
            assert_eq!(kiosk.next(), InputEvent::Lifted(pressed));
        }
        println!("turn {turn}: from the sensor to the kiosk in {slowest:?} at most");
        assert!(slowest < Duration::from_millis(50), "{slowest:?}");
        // The same place as before the plug was pulled: the kernel says it once only.
        down(&mut glass, 9, 254, 500);
        assert!(matches!(kiosk.next(), InputEvent::Pressed(_)));
        drop(glass);
        assert_eq!(kiosk.next(), InputEvent::Strayed);
        assert!(kiosk.fault().starts_with("it has gone"));
        if turn == 0 {
            assert_eq!(kiosk.fault(), "no input device is called `kioskd glass`");
        } else {
            // Left alone for longer now; nothing is said before.
            assert!(kiosk.said.recv_timeout(SOON * 2).is_ok());
        }
    }
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_screen_without_a_range_is_a_fault_and_no_panic() {
    let _alone = alone();
    let _glass = screen("kioskd flat", 0);
    let why = Kiosk::wants(touch("kioskd flat")).fault();
    assert!(why.contains("its x axis goes from 0 to 0"), "{why}");
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn values_out_of_range_are_the_edge() {
    let _alone = alone();
    let mut glass = screen("kioskd wild", 1000);
    let kiosk = Kiosk::wants(touch("kioskd wild"));
    kiosk.works(Role::Touch);
    down(&mut glass, 1, i32::MAX, i32::MIN);
    assert_eq!(kiosk.next(), InputEvent::Pressed(Spot { x: 1.0, y: 0.0 }));
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_plain_pointer_is_found_without_a_name_and_follows_the_matrix() {
    let _alone = alone();
    let pointer = VirtualDevice::builder().unwrap().name("kioskd pointer");
    let pointer = pointer.with_absolute_axis(&axis(Abs::ABS_X, 4095)).unwrap();
    let pointer = pointer.with_absolute_axis(&axis(Abs::ABS_Y, 4095)).unwrap();
    let mut pointer = pointer.with_keys(&keys([KeyCode::BTN_LEFT, KeyCode::BTN_RIGHT])).unwrap().build().unwrap();
    let config = config::Touch { calibration: Calibration::parse("-1 0 1 0 1 0").unwrap(), ..Default::default() };
    let kiosk = Kiosk::wants(DeviceSelector::Touch { config, rotation: 180 });
    kiosk.works(Role::Touch);
    pointer.emit(&[abs(Abs::ABS_X, 4095), abs(Abs::ABS_Y, 4095)]).unwrap();
    kiosk.quiet();
    pointer.emit(&[key(KeyCode::BTN_RIGHT, 1)]).unwrap();
    kiosk.quiet();
    pointer.emit(&[key(KeyCode::BTN_LEFT, 1)]).unwrap();
    let place = Spot { x: 1.0, y: 0.0 };
    assert_eq!(kiosk.next(), InputEvent::Pressed(place));
    pointer.emit(&[key(KeyCode::BTN_LEFT, 0)]).unwrap();
    assert_eq!(kiosk.next(), InputEvent::Lifted(place));
}

/// The kernel drops events that nobody reads in time.
#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_kiosk_that_was_held_up_takes_the_next_touch_and_not_the_lost_one() {
    let _alone = alone();
    let mut glass = screen("kioskd busy", 1000);
    let kiosk = Kiosk::wants(touch("kioskd busy"));
    kiosk.works(Role::Touch);
    {
        let _held = kiosk.gate.lock().unwrap();
        down(&mut glass, 1, 100, 100);
        std::thread::sleep(Duration::from_millis(100));
        for nth in 0..5_000 {
            glass.emit(&[abs(Abs::ABS_MT_POSITION_X, 100 + nth % 800)]).unwrap();
        }
        up(&mut glass);
    }
    let lost = kiosk.next();
    assert!(matches!(lost, InputEvent::Pressed(_)), "{lost:?}");
    let lost = kiosk.next();
    assert_eq!(lost, InputEvent::Strayed);
    kiosk.quiet();
    down(&mut glass, 2, 700, 300);
    assert_eq!(kiosk.next(), InputEvent::Pressed(Spot { x: 0.7, y: 0.3 }));
    up(&mut glass);
    assert_eq!(kiosk.next(), InputEvent::Lifted(Spot { x: 0.7, y: 0.3 }));
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_scanner_types_into_the_kiosk_and_nowhere_else() {
    let _alone = alone();
    let mut reader = keyboard("kioskd reader");
    let node = reader.enumerate_dev_nodes_blocking().unwrap().next().unwrap().unwrap();
    let open = || RawDevice::from_fd(std::fs::File::open(&node).unwrap().into()).unwrap();
    let mut thief = open();
    thief.grab().unwrap();

    let config = config::Scanner {
        name: Some("kioskd reader".into()),
        path: None,
        max_length: 8,
        timeout: Span(Duration::from_millis(300)),
    };
    let kiosk = Kiosk::wants(DeviceSelector::Scanner(config));
    assert!(kiosk.fault().ends_with("another program has taken it for itself"));
    thief.ungrab().unwrap();
    kiosk.works(Role::Scanner);

    let heard = Arc::new(Mutex::new(Vec::new()));
    let (hears, mut console) = (Arc::clone(&heard), open());
    std::thread::spawn(move || {
        while let Ok(events) = console.fetch_events() {
            hears.lock().unwrap().extend(events.filter(|event| event.event_type() == EventType::KEY));
        }
    });
    let codes = [KeyCode::KEY_1, KeyCode::KEY_2, KeyCode::KEY_A, KeyCode::KEY_ENTER];
    for code in codes {
        reader.emit(&[key(code, 1)]).unwrap();
        reader.emit(&[key(code, 0)]).unwrap();
    }
    assert_eq!(kiosk.next(), InputEvent::Scanned("12a".into()));
    assert!(heard.lock().unwrap().is_empty(), "typed elsewhere too");

    // Without the kiosk it is a keyboard again, so the listener does listen.
    drop(kiosk);
    reader.emit(&[key(KeyCode::KEY_1, 1)]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!heard.lock().unwrap().is_empty());
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_keypad_is_found_by_what_it_has() {
    let _alone = alone();
    let _letters = keyboard("kioskd letters");
    let kiosk = Kiosk::wants(DeviceSelector::Keypad(config::Keypad::default()));
    assert_eq!(kiosk.fault(), "no keypad device is there");
    let codes = [KeyCode::KEY_KP0, KeyCode::KEY_KP1, KeyCode::KEY_KP9, KeyCode::KEY_KPENTER, KeyCode::KEY_BACKSPACE];
    let mut pad =
        VirtualDevice::builder().unwrap().name("kioskd pad").with_keys(&keys(codes)).unwrap().build().unwrap();
    kiosk.works(Role::Keypad);
    for (code, wanted) in codes.into_iter().zip([Key::Digit(0), Key::Digit(1), Key::Digit(9), Key::Ok, Key::Clear]) {
        pad.emit(&[key(code, 1)]).unwrap();
        pad.emit(&[key(code, 2)]).unwrap();
        pad.emit(&[key(code, 0)]).unwrap();
        assert_eq!(kiosk.next(), InputEvent::Key(wanted));
        std::thread::sleep(Duration::from_millis(30));
    }
    kiosk.quiet();
    drop(pad);
    assert!(kiosk.fault().starts_with("it has gone"));
}

#[test]
#[ignore = "needs /dev/uinput: the lab's kernel has it"]
fn a_probe_tells_what_there_is() {
    let _alone = alone();
    let _devices = (screen("kioskd glass", 1000), keyboard("kioskd reader"));
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    let probed = input::probe(&DeviceDirs::default());
    println!("{} devices in {:?}", probed.len(), began.elapsed());
    let glass = probed.iter().find(|probed| probed.device.name == "kioskd glass").unwrap();
    assert_eq!((glass.device.kind, glass.problem.as_deref()), (Kind::Touch, None));
    assert_eq!(glass.x.map(|range| (range.least, range.most)), Some((0, 1000)));
    let reader = probed.iter().find(|probed| probed.device.name == "kioskd reader").unwrap();
    assert_eq!((reader.device.kind, reader.x), (Kind::Keyboard, None));
}
