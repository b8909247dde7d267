//! Which input devices there are, and which of them is meant.
//!
//! Read from sysfs: opening a device only to see what it is wakes it up, and needs the right to read what is typed on
//! it.

use std::fs;
use std::path::{Path, PathBuf};

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode, KeyCode, PropType};
use serde::Serialize;

use super::{Role, sensor};

/// Where the kernel and udev say what there is.
#[derive(Debug, Clone)]
pub struct DeviceDirs {
    /// `/sys/class/input`
    pub sys: PathBuf,
    /// `/dev/input`
    pub dev: PathBuf,
    /// `/run/udev/data`; need not be there.
    pub udev: PathBuf,
}

impl Default for DeviceDirs {
    fn default() -> Self {
        Self { sys: "/sys/class/input".into(), dev: "/dev/input".into(), udev: "/run/udev/data".into() }
    }
}

/// An input device as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// `/dev/input/event3`
    pub node: PathBuf,
    pub name: String,
    /// Where it is plugged in, in the kernel's words.
    pub phys: String,
    pub ids: Ids,
    pub kind: Kind,
    /// It has places and a way to say that it is touched, whatever it is meant for.
    #[serde(skip)]
    pub touchable: bool,
}

impl Device {
    /// Whether it can be used for that, where a person named it: a person knows better what it is than its abilities
    /// say.
    fn serves(&self, role: Role) -> bool {
        self.kind.serves(role) || role == Role::Touch && self.touchable
    }
}

/// As on the bus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ids {
    pub bus: u16,
    pub vendor: u16,
    pub product: u16,
    pub version: u16,
}

/// What a device can be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A touch sensor on a screen.
    Touch,
    /// A pointer with places of its own and a button, like a virtual machine's tablet.
    Pointer,
    /// Digits and no letters.
    Keypad,
    /// Letters and digits: a keyboard, or a scanner that types.
    Keyboard,
    Other,
}

impl Kind {
    /// Whether it can be used for that, where it was named.
    fn serves(self, role: Role) -> bool {
        match role {
            Role::Touch => matches!(self, Kind::Touch | Kind::Pointer),
            Role::Keypad | Role::Scanner => matches!(self, Kind::Keypad | Kind::Keyboard),
        }
    }
}

/// A device with what only opening it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probed {
    #[serde(flatten)]
    pub device: Device,
    /// Its lasting names, `/dev/input/by-id/…` and `/dev/input/by-path/…`.
    pub links: Vec<PathBuf>,
    /// Of a touch sensor or a pointer.
    pub x: Option<Range>,
    pub y: Option<Range>,
    /// Why it can't be opened.
    pub problem: Option<String>,
}

/// What an axis announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    pub least: i32,
    pub most: i32,
}

/// Every input device, in the kernel's order.
pub fn probe(places: &DeviceDirs) -> Vec<Probed> {
    let links = links(places);
    let probed = |device: Device| {
        let links = links.iter().filter(|(_, node)| *node == device.node).map(|(link, _)| link.clone()).collect();
        let mut probed = Probed { device, links, x: None, y: None, problem: None };
        let can = open(&probed.device.node).and_then(|device| sensor::Abilities::of(&device));
        match can {
            Ok(can) if probed.device.kind.serves(Role::Touch) => {
                let range = |(least, most)| Range { least, most };
                (probed.x, probed.y) = (can.x.map(range), can.y.map(range));
            }
            Ok(_) => {}
            Err(error) => probed.problem = Some(error.to_string()),
        }
        probed
    };
    list(places).into_iter().map(probed).collect()
}

/// The device that is meant.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn find(places: &DeviceDirs, role: Role, name: Option<&str>, path: Option<&Path>) -> Result<Device, String> {
    let devices = list(places);
    if let Some(path) = path {
        let node = fs::canonicalize(path).map_err(|_| format!("{} is not there", path.display()))?;
        let device = devices.into_iter().find(|device| device.node == node);
        let device = device.ok_or_else(|| format!("{} is no input device", path.display()))?;
        return if device.serves(role) { Ok(device) } else { Err(no_use(role, &device.name)) };
    }
    if let Some(name) = name {
        // One plug is often several devices of the same name; the one of use is meant.
        let named: Vec<_> = devices.into_iter().filter(|device| device.name == name).collect();
        if named.is_empty() {
            return Err(format!("no input device is called `{name}`"));
        }
        let meant = named.iter().find(|device| device.kind.serves(role));
        let meant = meant.or_else(|| named.iter().find(|device| device.serves(role)));
        return meant.cloned().ok_or_else(|| no_use(role, name));
    }
    let kinds: &[Kind] = match role {
        Role::Touch => &[Kind::Touch, Kind::Pointer],
        Role::Keypad => &[Kind::Keypad],
        Role::Scanner => &[],
    };
    let first = |kind: &Kind| devices.iter().find(|device| device.kind == *kind).cloned();
    kinds.iter().find_map(first).ok_or_else(|| format!("no {role} device is there"))
}

fn no_use(role: Role, name: &str) -> String {
    format!("`{name}` can't be used as {role}")
}

pub(super) fn open(node: &Path) -> std::io::Result<RawDevice> {
    RawDevice::from_fd(fs::File::open(node)?.into())
}

fn list(places: &DeviceDirs) -> Vec<Device> {
    let entries = fs::read_dir(&places.sys).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let number: u32 = name.strip_prefix("event")?.parse().ok()?;
        Some((number, describe(places, &entry.path(), &places.dev.join(name))?))
    });
    let mut devices: Vec<_> = numbered.collect();
    devices.sort_by_key(|(number, _)| *number);
    devices.into_iter().map(|(_, device)| device).collect()
}

/// `None` where it has just gone.
fn describe(places: &DeviceDirs, at: &Path, node: &Path) -> Option<Device> {
    let said = |file: &str| {
        let text = fs::read_to_string(at.join("device").join(file)).unwrap_or_default();
        text.trim_end_matches('\n').to_owned()
    };
    let number = |file| u16::from_str_radix(&said(file), 16).unwrap_or_default();
    let major_minor = fs::read_to_string(at.join("dev")).ok()?;
    let udev = fs::read_to_string(places.udev.join(format!("c{}", major_minor.trim()))).unwrap_or_default();
    let abilities = Abilities {
        keys: Bits::read(&said("capabilities/key")),
        axes: Bits::read(&said("capabilities/abs")),
        properties: Bits::read(&said("properties")),
        udev_touch: udev.lines().any(|line| line == "E:ID_INPUT_TOUCHSCREEN=1"),
    };
    Some(Device {
        node: node.to_owned(),
        name: said("name"),
        phys: said("phys"),
        ids: Ids {
            bus: number("id/bustype"),
            vendor: number("id/vendor"),
            product: number("id/product"),
            version: number("id/version"),
        },
        kind: abilities.kind(),
        touchable: abilities.touchable(),
    })
}

/// Symbolic links with the node that each leads to.
fn links(places: &DeviceDirs) -> Vec<(PathBuf, PathBuf)> {
    let folders = ["by-id", "by-path"].into_iter();
    let entries = folders.flat_map(|folder| fs::read_dir(places.dev.join(folder)).into_iter().flatten().flatten());
    let mut links: Vec<_> =
        entries.filter_map(|entry| Some((entry.path(), fs::canonicalize(entry.path()).ok()?))).collect();
    links.sort();
    links
}

struct Abilities {
    keys: Bits,
    axes: Bits,
    properties: Bits,
    /// udev says so, perhaps by a rule of the operator's.
    udev_touch: bool,
}

impl Abilities {
    fn key(&self, code: KeyCode) -> bool {
        self.keys.has(code.0)
    }

    fn places(&self) -> bool {
        let axes = |x: AbsoluteAxisCode, y: AbsoluteAxisCode| self.axes.has(x.0) && self.axes.has(y.0);
        axes(AbsoluteAxisCode::ABS_X, AbsoluteAxisCode::ABS_Y) || self.contacts()
    }

    fn contacts(&self) -> bool {
        let [x, y] = [AbsoluteAxisCode::ABS_MT_POSITION_X, AbsoluteAxisCode::ABS_MT_POSITION_Y];
        self.axes.has(x.0) && self.axes.has(y.0)
    }

    fn touchable(&self) -> bool {
        self.contacts() || self.places() && (self.key(KeyCode::BTN_TOUCH) || self.key(KeyCode::BTN_LEFT))
    }

    /// As udev's `input_id` sees it, for what matters here. What udev says itself, perhaps by a rule of the operator's,
    /// counts for more than what can be concluded.
    fn kind(&self) -> Kind {
        let key = |code: KeyCode| self.key(code);
        let places = self.places();
        let direct = self.properties.has(PropType::DIRECT.0);
        let touch_pad = key(KeyCode::BTN_TOOL_FINGER) && !direct;
        let pen = key(KeyCode::BTN_TOOL_PEN) || key(KeyCode::BTN_STYLUS);
        if self.udev_touch && self.touchable() {
            return Kind::Touch;
        }
        if places && !pen && (direct || key(KeyCode::BTN_TOUCH) && !touch_pad) {
            return Kind::Touch;
        }
        if places && !pen && !touch_pad && key(KeyCode::BTN_LEFT) {
            return Kind::Pointer;
        }
        let row = |codes: &[KeyCode]| codes.iter().all(|code| key(*code));
        let digits = row(&[KeyCode::KEY_0, KeyCode::KEY_1, KeyCode::KEY_9])
            || row(&[KeyCode::KEY_KP0, KeyCode::KEY_KP1, KeyCode::KEY_KP9])
            || row(&[KeyCode::KEY_NUMERIC_0, KeyCode::KEY_NUMERIC_1, KeyCode::KEY_NUMERIC_9]);
        match (digits, row(&[KeyCode::KEY_A, KeyCode::KEY_Z])) {
            (true, true) => Kind::Keyboard,
            (true, false) => Kind::Keypad,
            (false, _) => Kind::Other,
        }
    }
}

/// A bitmap of sysfs: hexadecimal words of the machine's size, the highest first.
struct Bits(Vec<u64>);

impl Bits {
    fn read(text: &str) -> Self {
        Self(text.split_whitespace().rev().map(|word| u64::from_str_radix(word, 16).unwrap_or_default()).collect())
    }

    fn has(&self, bit: u16) -> bool {
        let (word, bit) = (u32::from(bit) / usize::BITS, u32::from(bit) % usize::BITS);
        self.0.get(word as usize).is_some_and(|word| word >> bit & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up `/sys/class/input` with `/dev/input` beside it.
    struct Machine {
        root: tempfile::TempDir,
        places: DeviceDirs,
    }

    fn bits(set: &[u16]) -> String {
        let size = usize::BITS as u16;
        let words = set.iter().max().map_or(1, |most| most / size + 1);
        let word = |nth: u16| {
            let here = set.iter().filter(|bit| **bit / size == nth);
            format!("{:x}", here.fold(0_u64, |word, bit| word | 1 << (bit % size)))
        };
        (0..words).rev().map(word).collect::<Vec<_>>().join(" ")
    }

    impl Machine {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let dev = fs::canonicalize(root.path()).unwrap();
            let places = DeviceDirs { sys: dev.join("sys"), dev: dev.join("dev"), udev: dev.join("udev") };
            for folder in [&places.sys, &places.dev, &places.udev, &places.dev.join("by-id")] {
                fs::create_dir(folder).unwrap();
            }
            Self { root, places }
        }

        fn plug(&self, number: u32, name: &str, keys: &[u16], axes: &[u16], properties: &[u16]) -> &Self {
            let at = self.places.sys.join(format!("event{number}"));
            fs::create_dir_all(at.join("device/capabilities")).unwrap();
            fs::create_dir_all(at.join("device/id")).unwrap();
            for (file, text) in [
                ("dev", format!("13:{}", 64 + number)),
                ("device/name", name.to_owned()),
                ("device/phys", "usb-1/input0".to_owned()),
                ("device/id/vendor", "04e7".to_owned()),
                ("device/properties", bits(properties)),
                ("device/capabilities/key", bits(keys)),
                ("device/capabilities/abs", bits(axes)),
            ] {
                fs::write(at.join(file), text + "\n").unwrap();
            }
            fs::write(self.places.dev.join(format!("event{number}")), "").unwrap();
            self
        }

        fn find(&self, role: Role, name: Option<&str>, path: Option<&Path>) -> Result<String, String> {
            let found = find(&self.places, role, name, path)?;
            Ok(found.node.file_name().unwrap().to_str().unwrap().to_owned())
        }
    }

    const DIGITS: std::ops::RangeInclusive<u16> = 2..=11;

    fn keyboard() -> Vec<u16> {
        (1..=88).collect()
    }

    fn full_house() -> Machine {
        let machine = Machine::new();
        let (touch, left, finger) = (KeyCode::BTN_TOUCH.0, KeyCode::BTN_LEFT.0, KeyCode::BTN_TOOL_FINGER.0);
        machine
            .plug(0, "Power Button", &[116], &[], &[])
            .plug(1, "Laptop pad", &[touch, left, finger], &[0, 1, 0x2f, 0x35, 0x36], &[0])
            .plug(2, "Tablet", &[left], &[0, 1], &[])
            .plug(10, "Glass", &[touch], &[0, 1, 0x2f, 0x35, 0x36], &[1])
            .plug(9, "Old glass", &[touch], &[0, 1], &[])
            .plug(11, "Pen", &[touch, KeyCode::BTN_TOOL_PEN.0], &[0, 1], &[1])
            .plug(12, "Reader", &[113], &[], &[])
            .plug(13, "Reader", &keyboard(), &[], &[])
            .plug(14, "Pad", &DIGITS.chain([28]).collect::<Vec<_>>(), &[], &[]);
        machine
    }

    #[test]
    fn what_a_device_is() {
        let machine = full_house();
        let kinds: Vec<_> = list(&machine.places).into_iter().map(|device| (device.name, device.kind)).collect();
        let kinds: Vec<_> = kinds.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        assert_eq!(
            kinds,
            [
                ("Power Button", Kind::Other),
                ("Laptop pad", Kind::Other),
                ("Tablet", Kind::Pointer),
                ("Old glass", Kind::Touch),
                ("Glass", Kind::Touch),
                ("Pen", Kind::Other),
                ("Reader", Kind::Other),
                ("Reader", Kind::Keyboard),
                ("Pad", Kind::Keypad),
            ]
        );
        assert_eq!(list(&machine.places)[0].ids.vendor, 0x04e7);
    }

    #[test]
    fn the_first_of_its_kind_unless_one_is_named() {
        let machine = full_house();
        let find = |role, name| machine.find(role, name, None);
        assert_eq!(find(Role::Touch, None).as_deref(), Ok("event9"));
        assert_eq!(find(Role::Touch, Some("Glass")).as_deref(), Ok("event10"));
        assert_eq!(find(Role::Touch, Some("Tablet")).as_deref(), Ok("event2"));
        assert_eq!(find(Role::Keypad, None).as_deref(), Ok("event14"));
        assert_eq!(find(Role::Scanner, Some("Reader")).as_deref(), Ok("event13"), "the one that types");
        assert_eq!(find(Role::Scanner, Some("reader")), Err("no input device is called `reader`".into()));
        assert_eq!(find(Role::Touch, Some("Reader")), Err("`Reader` can't be used as touch".into()));
        assert_eq!(find(Role::Scanner, None), Err("no scanner device is there".into()), "no keyboard is guessed");
    }

    #[test]
    fn a_tablet_serves_where_there_is_nothing_better() {
        let machine = Machine::new();
        assert_eq!(machine.find(Role::Touch, None, None), Err("no touch device is there".into()));
        machine.plug(0, "Tablet", &[KeyCode::BTN_LEFT.0], &[0, 1], &[]);
        assert_eq!(machine.find(Role::Touch, None, None).as_deref(), Ok("event0"));
        // A rule of the operator's says what it is.
        machine.plug(1, "Odd", &[KeyCode::BTN_TOUCH.0, KeyCode::BTN_TOOL_FINGER.0], &[0, 1], &[]);
        assert_eq!(machine.find(Role::Touch, None, None).as_deref(), Ok("event0"));
        fs::write(machine.places.udev.join("c13:65"), "I:1\nE:ID_INPUT=1\nE:ID_INPUT_TOUCHSCREEN=1\n").unwrap();
        assert_eq!(machine.find(Role::Touch, None, None).as_deref(), Ok("event1"));
    }

    #[test]
    fn a_persons_word_counts_for_more_than_abilities() {
        let machine = full_house();
        let find = |name| machine.find(Role::Touch, name, None);
        // A resistive panel whose controller calls its finger a pen; a pad that somebody wants to use.
        assert_eq!(find(Some("Pen")).as_deref(), Ok("event11"));
        assert_eq!(find(Some("Laptop pad")).as_deref(), Ok("event1"));
        assert_eq!(find(Some("Power Button")), Err("`Power Button` can't be used as touch".into()));
        assert_eq!(find(None).as_deref(), Ok("event9"), "none of it is guessed");
        let machine = Machine::new();
        machine.plug(3, "Resistive", &[KeyCode::BTN_TOUCH.0, KeyCode::BTN_TOOL_PEN.0], &[0, 1], &[]);
        assert_eq!(machine.find(Role::Touch, None, None), Err("no touch device is there".into()));
        fs::write(machine.places.udev.join("c13:67"), "E:ID_INPUT_TOUCHSCREEN=1\n").unwrap();
        assert_eq!(machine.find(Role::Touch, None, None).as_deref(), Ok("event3"));
        assert_eq!(list(&machine.places)[0].kind, Kind::Touch);
    }

    #[test]
    fn by_a_path_that_lasts() {
        let machine = full_house();
        let link = machine.places.dev.join("by-id/usb-reader");
        let find = || machine.find(Role::Scanner, None, Some(&link));
        assert_eq!(find(), Err(format!("{} is not there", link.display())));
        std::os::unix::fs::symlink("../event13", &link).unwrap();
        assert_eq!(find().as_deref(), Ok("event13"));
        let touch = machine.find(Role::Touch, None, Some(&link));
        assert_eq!(touch, Err("`Reader` can't be used as touch".into()));
        let other = machine.root.path().join("udev");
        assert_eq!(
            machine.find(Role::Touch, None, Some(&other)),
            Err(format!("{} is no input device", other.display()))
        );

        let probed = probe(&machine.places);
        assert_eq!((probed[7].links.as_slice(), probed.len()), ([link].as_slice(), 9));
        assert!(probed.iter().all(|probed| probed.problem.is_some()), "plain files are no devices");
    }

    #[test]
    fn a_machine_without_input_has_none() {
        let nowhere = PathBuf::from("/nonexistent");
        let places = DeviceDirs { sys: nowhere.clone(), dev: nowhere.clone(), udev: nowhere };
        assert_eq!(probe(&places), []);
    }
}
