//! Reads the temperature inside the machine from the kernel's hwmon and IIO devices, through sysfs.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::{BoardError, BoardEvent, Report};
use crate::service::{End, Supervisor, Thread};

const EVERY: Duration = Duration::from_secs(10);

/// Outside of it a reading is a broken sensor's, in thousandths of a degree Celsius.
const SANE: std::ops::RangeInclusive<i64> = -40_000..=85_000;

/// One input of one device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Thermometer {
    /// The device's name.
    pub device: String,
    /// What the input is called, where it is.
    pub label: Option<String>,
    /// The file that is read.
    pub path: PathBuf,
    #[serde(skip)]
    scale: Scale,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scale {
    /// The file holds thousandths of a degree.
    Milli,
    /// (value + offset) × scale is thousandths of a degree; the scale in billionths.
    Raw { offset: i64, scale: i64 },
}

impl Thermometer {
    /// Thousandths of a degree Celsius; `None` where it can't be read or makes no sense.
    pub fn read(&self) -> Option<i32> {
        let value: i64 = said(&self.path)?.parse().ok()?;
        let milli = match self.scale {
            Scale::Milli => value,
            Scale::Raw { offset, scale } => {
                let exact = i128::from(value.checked_add(offset)?) * i128::from(scale) / 1_000_000_000;
                i64::try_from(exact).ok()?
            }
        };
        i32::try_from(milli).ok().filter(|_| SANE.contains(&milli))
    }
}

/// All there are below `sys`, which is /sys.
pub fn all(sys: &Path) -> Vec<Thermometer> {
    let mut all = Vec::new();
    for device in files(&sys.join("class/hwmon")) {
        let Some(name) = said(&device.join("name")) else { continue };
        for path in files(&device) {
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            if let Some(input) = file.strip_suffix("_input").filter(|input| input.starts_with("temp")) {
                let label = said(&device.join(format!("{input}_label")));
                all.push(Thermometer { device: name.clone(), label, path, scale: Scale::Milli });
            }
        }
    }
    for device in files(&sys.join("bus/iio/devices")) {
        let Some(name) = said(&device.join("name")) else { continue };
        for path in files(&device) {
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            let Some(channel) = file.strip_prefix("in_temp") else { continue };
            let (channel, scale) = if let Some(channel) = channel.strip_suffix("_input") {
                (channel, Scale::Milli)
            } else if let Some(channel) = channel.strip_suffix("_raw") {
                // A device has one value for all its channels, or each its own.
                let of = |what: &str| {
                    let own = device.join(format!("in_temp{channel}_{what}"));
                    said(&own).or_else(|| said(&device.join(format!("in_temp_{what}"))))
                };
                let offset = of("offset").and_then(|text| billionths(&text)).unwrap_or(0) / 1_000_000_000;
                let Some(scale) = of("scale").and_then(|text| billionths(&text)) else { continue };
                (channel, Scale::Raw { offset, scale })
            } else {
                continue;
            };
            let label = said(&device.join(format!("in_temp{channel}_label")));
            all.push(Thermometer { device: name.clone(), label, path, scale });
        }
    }
    all
}

/// The one that `sensor` means: a path, a device's name, or an input's label.
///
/// # Errors
/// None such, or several; all of them named.
pub fn find(sys: &Path, sensor: &str) -> Result<Thermometer, BoardError> {
    if sensor.starts_with('/') {
        let path = PathBuf::from(sensor);
        let known = all(sys).into_iter().find(|known| known.path == path);
        let plain = || Thermometer { device: sensor.into(), label: None, path: path.clone(), scale: Scale::Milli };
        let found = known.unwrap_or_else(plain);
        return match said(&found.path) {
            Some(_) => Ok(found),
            None => Err(BoardError::Temperature(format!(
                "`{sensor}` can't be read; write the path of a file that holds thousandths of a degree, or a sensor's name"
            ))),
        };
    }
    let known = all(sys);
    let mut meant: Vec<_> =
        known.iter().filter(|one| one.device == sensor || one.label.as_deref() == Some(sensor)).collect();
    let list = |all: &[&Thermometer]| {
        let each = |one: &&Thermometer| match &one.label {
            Some(label) => format!("{} ({label}, {})", one.device, one.path.display()),
            None => format!("{} ({})", one.device, one.path.display()),
        };
        all.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    match (meant.len(), known.is_empty()) {
        (1, _) => Ok(meant.remove(0).clone()),
        (0, true) => Err(BoardError::Temperature(format!(
            "there is no sensor `{sensor}`: the kernel has none; is its driver loaded?"
        ))),
        (0, false) => {
            let there = list(&known.iter().collect::<Vec<_>>());
            Err(BoardError::Temperature(format!("there is no sensor `{sensor}`; write one of: {there}")))
        }
        _ => {
            let which = list(&meant);
            Err(BoardError::Temperature(format!("`{sensor}` is more than one sensor: {which}; write the path of one")))
        }
    }
}

/// Reports at once and then every ten seconds, from a thread of its own because a sensor may hang; until what it
/// answers is dropped.
pub(super) fn start(
    supervisor: &Supervisor,
    sensor: &str,
    report: Report,
) -> Result<(mpsc::Sender<()>, Thread), BoardError> {
    let thermometer = find(Path::new("/sys"), sensor)?;
    let (stop, stopped) = mpsc::channel();
    let thread = supervisor.thread("the thermometer", move || {
        loop {
            report(BoardEvent::Temperature { milli: thermometer.read() });
            if stopped.recv_timeout(EVERY) != Err(mpsc::RecvTimeoutError::Timeout) {
                return End::Told;
            }
        }
    })?;
    Ok((stop, thread))
}

/// Sorted, so that a list is the same every time.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// What a file of sysfs says, on its one line.
fn said(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(256).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

/// A decimal number as a whole one of billionths.
fn billionths(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("000000000".chars()).take(9).collect();
    let whole: i64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(part.parse().ok()?)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = sys.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        sys
    }

    #[test]
    fn sensors_are_found_by_name_label_and_path() {
        let sys = tree(&[
            ("class/hwmon/hwmon0/name", "cpu\n"),
            ("class/hwmon/hwmon0/temp1_input", "48000\n"),
            ("class/hwmon/hwmon1/name", "tmp102\n"),
            ("class/hwmon/hwmon1/temp1_input", "-1500\n"),
            ("class/hwmon/hwmon1/temp1_label", "cabinet\n"),
            ("bus/iio/devices/iio:device0/name", "mcp9600\n"),
            ("bus/iio/devices/iio:device0/in_temp_raw", "64\n"),
            ("bus/iio/devices/iio:device0/in_temp_scale", "62.5\n"),
        ]);
        let read = |sensor: &str| find(sys.path(), sensor).unwrap().read();
        assert_eq!(read("tmp102"), Some(-1_500));
        assert_eq!(read("cabinet"), Some(-1_500));
        assert_eq!(read("mcp9600"), Some(4_000));
        assert_eq!(read(sys.path().join("class/hwmon/hwmon0/temp1_input").to_str().unwrap()), Some(48_000));
        let error = find(sys.path(), "fridge").unwrap_err().to_string();
        assert!(error.contains("cpu") && error.contains("cabinet") && error.contains("mcp9600"), "{error}");
        assert!(find(sys.path(), "/no/such/file").is_err());
    }

    #[test]
    fn two_of_a_name_are_both_named() {
        let sys = tree(&[
            ("class/hwmon/hwmon0/name", "tmp102"),
            ("class/hwmon/hwmon0/temp1_input", "1000"),
            ("class/hwmon/hwmon1/name", "tmp102"),
            ("class/hwmon/hwmon1/temp1_input", "2000"),
        ]);
        let error = find(sys.path(), "tmp102").unwrap_err().to_string();
        assert!(error.contains("hwmon0/temp1_input") && error.contains("hwmon1/temp1_input"), "{error}");
    }

    #[test]
    fn a_broken_sensor_says_nothing() {
        for said in ["85001", "-40001", "warm", "", "99999999999999999999"] {
            let sys = tree(&[("class/hwmon/hwmon0/name", "tmp102"), ("class/hwmon/hwmon0/temp1_input", said)]);
            assert_eq!(find(sys.path(), "tmp102").unwrap().read(), None, "{said}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(billionths("62.5"), Some(62_500_000_000));
        assert_eq!(billionths("-0.000001"), Some(-1_000));
        assert_eq!(billionths("x"), None);
    }
}
