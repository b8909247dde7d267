//! How the glass looks: colours, logo, slides and texts, in a file of its own, so that an operator's look needs no code
//! and one look serves a fleet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use super::media::placed;
use crate::vocabulary::Language;

/// `0xRRGGBB`.
pub type Color = u32;

/// Everything the glass takes from a theme, checked. The default is what a kiosk without a theme shows.
#[derive(Debug, Clone)]
pub struct Theme {
    pub palette: Palette,
    /// Beside the place, on every page.
    pub logo: Option<PathBuf>,
    /// Shown while nobody is there.
    pub slides: Vec<Slide>,
    /// How long one slide stays, and one language of the invitation.
    pub slide_time: std::time::Duration,
    /// Fluent texts by language: those of a new language, or in place of the shipped ones.
    pub texts: BTreeMap<Language, String>,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            palette: Palette::LIGHT,
            logo: None,
            slides: Vec::new(),
            slide_time: ThemeFile::slide_time().0,
            texts: BTreeMap::new(),
        }
    }
}

/// A picture for the whole glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slide {
    pub picture: PathBuf,
    /// `None`: always.
    pub hours: Option<Hours>,
}

impl Slide {
    /// Whether it is shown at that minute of the day. While the time is unknown only what is always shown is.
    pub fn shown_at(&self, minute: Option<u16>) -> bool {
        self.hours.is_none_or(|hours| minute.is_some_and(|now| hours.contain(now)))
    }
}

/// A part of every day, in minutes since midnight; past midnight where `until` is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: u16,
    pub until: u16,
}

impl Hours {
    /// `None` where one of them is no time of the day, `HH:MM`.
    pub(super) fn parse(from: &str, until: &str) -> Option<Self> {
        Some(Self { from: minute_of(from)?, until: minute_of(until)? })
    }

    pub fn contain(self, minute: u16) -> bool {
        let Self { from, until } = self;
        if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
    }
}

/// The colours by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind everything.
    pub ground: Color,
    /// Of cards and keys.
    pub surface: Color,
    pub text: Color,
    /// Of less important texts.
    pub soft: Color,
    /// Of what to touch next, and of prices.
    pub primary: Color,
    pub on_primary: Color,
    pub success: Color,
    pub error: Color,
    pub warning: Color,
    /// Around what can be touched.
    pub border: Color,
}

/// WCAG 2.2, 1.4.3 (text) and 1.4.11 (what is not text).
const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;

impl Palette {
    pub const LIGHT: Self = Self {
        ground: 0x00ff_ffff,
        surface: 0x00f2_f4f7,
        text: 0x0010_1418,
        soft: 0x0047_5467,
        primary: 0x000b_57d0,
        on_primary: 0x00ff_ffff,
        success: 0x000f_6b3a,
        error: 0x00b3_261e,
        warning: 0x008a_4b00,
        border: 0x006b_7280,
    };

    pub const DARK: Self = Self {
        ground: 0x000e_1116,
        surface: 0x001b_2027,
        text: 0x00f5_f7fa,
        soft: 0x00b8_c0cc,
        primary: 0x008a_b4f8,
        on_primary: 0x000e_1116,
        success: 0x006d_d58c,
        error: 0x00ff_b4ab,
        warning: 0x00ff_c15e,
        border: 0x008a_94a3,
    };

    /// For who sees little; every text has a contrast of at least 7:1 (WCAG 2.2, 1.4.6), most of them far more.
    pub const CONTRAST: Self = Self {
        ground: 0x0000_0000,
        surface: 0x0000_0000,
        text: 0x00ff_ffff,
        soft: 0x00ff_ffff,
        primary: 0x00ff_e000,
        on_primary: 0x0000_0000,
        success: 0x007c_f59b,
        error: 0x00ff_b0a8,
        warning: 0x00ff_e000,
        border: 0x00ff_ffff,
    };

    /// With other colours under their keys.
    pub(super) fn with(mut self, given: impl Fn(&str) -> Option<Color>) -> Self {
        for (key, color) in [
            ("ground", &mut self.ground),
            ("surface", &mut self.surface),
            ("text", &mut self.text),
            ("soft", &mut self.soft),
            ("primary", &mut self.primary),
            ("on_primary", &mut self.on_primary),
            ("success", &mut self.success),
            ("error", &mut self.error),
            ("warning", &mut self.warning),
            ("border", &mut self.border),
        ] {
            *color = given(key).unwrap_or(*color);
        }
        self
    }

    /// Every pair that comes to stand on each other: the key of the upper, the key of the lower, the contrast they have
    /// and the contrast they need.
    pub fn pairs(&self) -> Vec<(&'static str, &'static str, f64, f64)> {
        let grounds = [("ground", self.ground), ("surface", self.surface)];
        let texts = [
            ("text", self.text),
            ("soft", self.soft),
            ("primary", self.primary),
            ("success", self.success),
            ("error", self.error),
            ("warning", self.warning),
        ];
        let mut pairs = vec![("on_primary", "primary", contrast(self.on_primary, self.primary), TEXT)];
        for (below, ground) in grounds {
            pairs.extend(texts.iter().map(|(above, color)| (*above, below, contrast(*color, ground), TEXT)));
            pairs.push(("border", below, contrast(self.border, ground), SHAPE));
        }
        pairs
    }
}

/// The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio").
pub fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(color: Color) -> f64 {
    let channel = |shift: u32| {
        let part = f64::from(color >> shift & 0xff) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
}

/// A theme as its file says it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ThemeFile {
    /// The palette that `[colors]` changes.
    #[serde(default)]
    pub base: Base,
    /// PNG or JPEG, shown 72 pixels high on a panel of 800; best with a transparent ground.
    #[schemars(extend("examples" = ["logo.png"]))]
    pub logo: Option<PathBuf>,
    /// A folder with texts, `en.ftl` for English and so on: a new language whole, or single texts in place of the
    /// shipped ones.
    #[schemars(extend("examples" = ["texts"]))]
    pub texts: Option<PathBuf>,
    /// How long one slide stays, and one language of "touch to start".
    #[serde(default = "ThemeFile::slide_time")]
    #[schemars(extend("x-minimum" = "3s", "x-maximum" = "10min"))]
    pub slide_time: Span,
    /// Colours in place of the palette's.
    #[serde(default)]
    pub colors: Colors,
    /// Pictures for the whole glass while nobody is there, in turn; without one the products are shown.
    #[serde(rename = "slide", default)]
    pub slides: Vec<SlideFile>,
}

impl ThemeFile {
    pub fn slide_time() -> Span {
        Span(std::time::Duration::from_secs(8))
    }
}

/// A shipped palette.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Base {
    /// Dark on white.
    #[default]
    Light,
    /// Light on nearly black.
    Dark,
}

/// Each is `"#RRGGBB"`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Colors {
    /// Behind everything.
    #[schemars(extend("examples" = ["#ffffff"]))]
    pub ground: Option<String>,
    /// Of cards and keys.
    #[schemars(extend("examples" = ["#f2f4f7"]))]
    pub surface: Option<String>,
    /// Of texts.
    #[schemars(extend("examples" = ["#101418"]))]
    pub text: Option<String>,
    /// Of less important texts.
    #[schemars(extend("examples" = ["#475467"]))]
    pub soft: Option<String>,
    /// Of what to touch next, and of prices.
    #[schemars(extend("examples" = ["#0b57d0"]))]
    pub primary: Option<String>,
    /// Of texts on `primary`.
    #[schemars(extend("examples" = ["#ffffff"]))]
    pub on_primary: Option<String>,
    /// What went well.
    #[schemars(extend("examples" = ["#0f6b3a"]))]
    pub success: Option<String>,
    /// What did not.
    #[schemars(extend("examples" = ["#b3261e"]))]
    pub error: Option<String>,
    /// What needs attention.
    #[schemars(extend("examples" = ["#8a4b00"]))]
    pub warning: Option<String>,
    /// Around what can be touched.
    #[schemars(extend("examples" = ["#6b7280"]))]
    pub border: Option<String>,
}

/// One slide, always or at certain hours.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlideFile {
    /// PNG or JPEG; cut at its edges where it has another shape than the glass.
    #[schemars(extend("examples" = ["morning.jpg"]))]
    pub(super) picture: PathBuf,
    /// From this time of the day, in the kiosk's time zone; needs `until`.
    #[schemars(extend("examples" = ["06:00"], "pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub(super) from: Option<String>,
    /// Until this time; past midnight where it is the earlier.
    #[schemars(extend("examples" = ["10:30"], "pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub(super) until: Option<String>,
}

impl SlideFile {
    fn hours(&self) -> Option<Hours> {
        Hours::parse(self.from.as_deref()?, self.until.as_deref()?)
    }

    /// `directory` is that of the file in which it stands.
    pub(super) fn slide(&self, directory: &Path) -> Slide {
        Slide { picture: placed(directory, &self.picture), hours: self.hours() }
    }
}

/// `#RRGGBB`.
pub(super) fn color_of(text: &str) -> Option<Color> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    // A sign would be taken for a digit.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Minutes since midnight.
pub(super) fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5)?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str, below: u16| text.parse::<u16>().ok().filter(|number| digits(text) && *number < below);
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

impl ThemeFile {
    /// `directory` is the file's own.
    pub fn theme(&self, directory: &Path, palette: Palette, texts: BTreeMap<Language, String>) -> Theme {
        Theme {
            palette,
            logo: self.logo.as_ref().map(|logo| directory.join(logo)),
            slides: self.slides.iter().map(|slide| slide.slide(directory)).collect(),
            slide_time: self.slide_time.0,
            texts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_the_shipped_palettes_can_be_read() {
        for palette in [Palette::LIGHT, Palette::DARK, Palette::CONTRAST] {
            for (above, below, has, needs) in palette.pairs() {
                assert!(has >= needs, "{above} on {below}: {has:.2}, needs {needs}");
            }
        }
        for (above, below, has, needs) in Palette::CONTRAST.pairs() {
            assert!(has >= 7.0 || needs < TEXT, "{above} on {below}: {has:.2}");
        }
        // The standard's own examples.
        assert!((contrast(0x00ff_ffff, 0) - 21.0).abs() < 0.001);
        assert!((contrast(0x0077_7777, 0x00ff_ffff) - 4.48).abs() < 0.01);
    }

    #[test]
    fn a_slide_has_its_hours() {
        let slide = |hours: Option<(u16, u16)>| Slide {
            picture: PathBuf::new(),
            hours: hours.map(|(from, until)| Hours { from, until }),
        };
        let night = slide(Some((22 * 60, 6 * 60)));
        let shown = |slide: &Slide| [0, 359, 360, 720, 1_319, 1_320].map(|minute| slide.shown_at(Some(minute)));
        assert_eq!(shown(&night), [true, true, false, false, false, true]);
        assert_eq!(shown(&slide(Some((360, 1_320)))), [false, false, true, true, true, false]);
        assert!(slide(None).shown_at(None) && !night.shown_at(None));
    }

    #[test]
    fn colours_and_times_are_read_as_they_are_written() {
        assert_eq!(color_of("#0b57D0"), Some(0x000b_57d0));
        for wrong in ["0b57d0", "#0b57d", "#0b57d00", "#+b57d0", "#xyzxyz", "", "#"] {
            assert_eq!(color_of(wrong), None, "{wrong}");
        }
        assert_eq!(minute_of("23:59"), Some(1_439));
        for wrong in ["24:00", "7:30", "07:60", "0730", "+7:30", "07:3 "] {
            assert_eq!(minute_of(wrong), None, "{wrong}");
        }
    }
}
