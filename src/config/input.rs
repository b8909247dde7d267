//! `[touch]`, `[keypad]` and `[scanner]`: what people press and what they hold up.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Span;

/// The touch sensor of the glass. Left out, the first there is; with a simulated panel the world's finger alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Touch {
    /// As the kernel calls it (`/proc/bus/input/devices`); not with `path`. Without both the first touch screen, or where
    /// there is none the first pointer with places of its own.
    #[schemars(length(min = 1, max = 80), extend("examples" = ["ILITEK Multi-Touch-V5100"]))]
    pub name: Option<String>,
    /// Its node under `/dev/input`, best a lasting one.
    #[schemars(extend("examples" = ["/dev/input/by-id/usb-ILITEK_Multi-Touch-event-if00"], "pattern" = "^/dev/input/[^/].*$"))]
    pub path: Option<PathBuf>,
    /// How the sensor lies on the panel: `a b c d e f`, where a touch at x and y (0 to 1) is at a·x + b·y + c from the
    /// left and d·x + e·y + f from the top, as libinput's `LIBINPUT_CALIBRATION_MATRIX`. The panel's `rotation` comes on
    /// top of it by itself.
    pub calibration: Calibration,
    /// A finger that comes back sooner is the same touch.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1s"))]
    pub debounce: Span,
    /// Without it nothing is sold. `false` where there are buttons to choose with.
    pub required: bool,
}

/// Digits on keys, for codes. Taken for the kiosk alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keypad {
    /// As the kernel calls it (`/proc/bus/input/devices`); not with `path`. Without both the first that has digits and no
    /// letters.
    #[schemars(length(min = 1, max = 80), extend("examples" = ["SIGMACHIP USB Keypad"]))]
    pub name: Option<String>,
    /// Its node under `/dev/input`, best a lasting one.
    #[schemars(extend("examples" = ["/dev/input/by-path/platform-matrix-keypad-event"], "pattern" = "^/dev/input/[^/].*$"))]
    pub path: Option<PathBuf>,
}

/// A reader of bar codes and QR codes that types what it reads like a keyboard, US layout, and then Enter. Taken for the
/// kiosk alone. A short code that is held up before the first page opens its order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scanner {
    /// As the kernel calls it (`/proc/bus/input/devices`). Either this or `path`.
    #[schemars(length(min = 1, max = 80), extend("examples" = ["Newland Auto-ID NLS-FM430"]))]
    pub name: Option<String>,
    /// Its node under `/dev/input`, best a lasting one.
    #[schemars(extend("examples" = ["/dev/input/by-id/usb-Newland_NLS-FM430-event-kbd"], "pattern" = "^/dev/input/[^/].*$"))]
    pub path: Option<PathBuf>,
    /// Longer codes are dropped.
    #[serde(default = "Scanner::max_length")]
    #[schemars(range(min = 1, max = Scanner::LONGEST))]
    pub max_length: u32,
    /// A pause between two characters after which another code begins.
    #[serde(default = "Scanner::timeout")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "5s"))]
    pub timeout: Span,
}

impl Default for Touch {
    fn default() -> Self {
        Self {
            name: None,
            path: None,
            calibration: Calibration::default(),
            debounce: Span(std::time::Duration::from_millis(80)),
            required: true,
        }
    }
}

impl Scanner {
    /// No code is longer, whatever is configured.
    pub const LONGEST: u32 = 1024;

    fn max_length() -> u32 {
        128
    }

    fn timeout() -> Span {
        Span(std::time::Duration::from_millis(300))
    }
}

/// Six numbers, the upper two rows of a matrix for places from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration([f64; 6]);

impl Calibration {
    /// `None` for anything but six plain numbers, each from -100 to 100, that keep both directions apart.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Self::new(numbers.try_into().ok()?)
    }

    fn new(matrix: [f64; 6]) -> Option<Self> {
        let [a, b, _, d, e, _] = matrix;
        let plain = matrix.iter().all(|number| (-100.0..=100.0).contains(number));
        (plain && (a * e - b * d).abs() > 1e-6).then_some(Self(matrix))
    }

    /// Where the places `from` come to lie at `to`, each as x and y, to four decimals. `None` where no calibration does
    /// that.
    pub fn between(from: [(f64, f64); 3], to: [(f64, f64); 3]) -> Option<Self> {
        let [(x, y), (x1, y1), (x2, y2)] = from;
        let (ax, ay, bx, by) = (x1 - x, y1 - y, x2 - x, y2 - y);
        let area = ax * by - ay * bx;
        let row = |at: [f64; 3]| {
            let (first, second) = (at[1] - at[0], at[2] - at[0]);
            let (a, b) = ((first * by - second * ay) / area, (second * ax - first * bx) / area);
            // The sum takes the sign from a zero.
            [a, b, at[0] - a * x - b * y].map(|number| (number * 1e4).round() / 1e4 + 0.0)
        };
        let ([a, b, c], [d, e, f]) = (row(to.map(|(x, _)| x)), row(to.map(|(_, y)| y)));
        Self::new([a, b, c, d, e, f])
    }

    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + b * y + c, d * x + e * y + f)
    }
}

/// As it comes.
impl Default for Calibration {
    fn default() -> Self {
        Self([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|number| number.to_string()).join(" "))
    }
}

impl Serialize for Calibration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Calibration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"six numbers, like \"1 0 0 0 1 0\""))
    }
}

impl JsonSchema for Calibration {
    fn schema_name() -> Cow<'static, str> {
        "Calibration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^ *[-+0-9.eE]+( +[-+0-9.eE]+){5} *$",
            "examples": ["1 0 0 0 1 0"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back() {
        for text in ["1 0 0 0 1 0", "0 -1 1 1 0 0", "1.05 0 -0.025 0 0.98 0.01"] {
            assert_eq!(Calibration::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_puts_everything_on_a_line_is_no_calibration() {
        for bad in [
            "",
            "1 0 0 0 1",
            "1 0 0 0 1 0 0",
            "1 0 0 1 0 0",
            "0 0 0 0 0 0",
            "a 0 0 0 1 0",
            "NaN 0 0 0 1 0",
            "inf 0 0 0 1 0",
        ] {
            assert!(Calibration::parse(bad).is_none(), "{bad}");
        }
    }
}
