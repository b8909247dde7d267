//! Reads as much as possible of a configuration that is invalid as a whole: enough to say so on the glass.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Glass, LANGUAGES, Panel, Theme};
use crate::vocabulary::{Language, Localized};

/// Where the fonts are on a machine that was installed.
const FONTS: &str = "/usr/share/kioskd/fonts";

/// Who the machine is, and what it shows itself on.
#[derive(Debug, Clone)]
pub struct PartialConfig {
    /// Empty where it is not known, as `phone`.
    pub place: Localized,
    pub phone: String,
    /// The shipped ones where they are not known.
    pub languages: Vec<Language>,
    pub glass: Glass,
}

/// Reads as much of `path` as can be read; what can't be, is as on a new machine.
pub fn load_partial(path: &Path) -> PartialConfig {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut table: toml::Table = text.parse().unwrap_or_default();
    let mut glass = take(&mut table, "glass").unwrap_or_else(|| Glass {
        font_sc: PathBuf::new(),
        font_tc: PathBuf::new(),
        font_sc_bold: None,
        font_tc_bold: None,
        font_more: Vec::new(),
        theme: None,
        logo: None,
        slides: None,
        look: Theme::default(),
        night: None,
        panel: Panel::Drm { card: None, connector: None, mode: None, rotation: 0 },
    });
    let directory = path.parent().unwrap_or(Path::new(""));
    // Whatever is wrong with the look, the shipped one can say so.
    (glass.font_sc_bold, glass.font_tc_bold, glass.font_more, glass.theme) = (None, None, Vec::new(), None);
    (glass.logo, glass.slides) = (None, None);
    for (font, installed) in [(&mut glass.font_sc, "kioskd-sans-sc.otf"), (&mut glass.font_tc, "kioskd-sans-tc.otf")] {
        *font = directory.join(&font);
        if !font.is_file() {
            *font = Path::new(FONTS).join(installed);
        }
    }
    let mut kiosk: toml::Table = take(&mut table, "kiosk").unwrap_or_default();
    PartialConfig {
        place: take(&mut kiosk, "place").unwrap_or_default(),
        phone: take(&mut kiosk, "phone").unwrap_or_default(),
        languages: take(&mut kiosk, "languages").unwrap_or_else(|| LANGUAGES.map(Language::new).into()),
        glass,
    }
}

fn take<T: DeserializeOwned>(table: &mut toml::Table, key: &str) -> Option<T> {
    table.remove(key)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> PartialConfig {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kiosk.toml");
        std::fs::write(&path, text).unwrap();
        load_partial(&path)
    }

    #[test]
    fn what_is_right_is_kept() {
        let text = include_str!("../../configs/raspberry-pi.toml");
        let wrong = text.replace("\"CNY\"", "\"RMB\"").replace("# rotation = 90", "rotation = 90");
        let partial = of(&wrong);
        assert_eq!(partial.phone, "400-000-0000");
        assert_eq!(partial.languages[0], Language::new("zh-Hans"));
        assert!(matches!(partial.glass.panel, Panel::Drm { rotation: 90, .. }));
        assert_eq!(partial.glass.font_tc, Path::new("/usr/share/kioskd/fonts/kioskd-sans-tc.otf"));
    }

    #[test]
    fn nothing_that_is_right() {
        for text in ["", "[glass]\ndriver = \"drm\"\nkiosk = 1", "no [ toml", "[kiosk]\nid = 1\n[glass]\nmode = 800"] {
            let partial = of(text);
            assert_eq!((partial.phone.as_str(), partial.languages.len()), ("", LANGUAGES.len()), "{text}");
            assert!(matches!(partial.glass.panel, Panel::Drm { connector: None, .. }), "{text}");
        }
    }
}
