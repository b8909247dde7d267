//! How bright the panel is, where the kernel knows how: the lights under `/sys/class/backlight`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Every light of the board: a kiosk has one panel, and a board that lists two has two names for its light.
pub struct Backlight {
    class: PathBuf,
    /// What went wrong last, said once.
    said: String,
}

impl Default for Backlight {
    fn default() -> Self {
        Self::under(Path::new("/sys/class/backlight"))
    }
}

impl Backlight {
    fn under(class: &Path) -> Self {
        Self { class: class.to_owned(), said: String::new() }
    }

    /// Per cent of the light's most. Most screens with a cable of their own have no light that the kernel knows; that
    /// is no error.
    pub fn set(&mut self, percent: u8) {
        let lights = fs::read_dir(&self.class).into_iter().flatten().filter_map(Result::ok).map(|light| light.path());
        let wrong = lights.filter_map(|light| Some(format!("{}: {}", light.display(), put(&light, percent).err()?)));
        let said = wrong.collect::<Vec<_>>().join(", ");
        if said != self.said && !said.is_empty() {
            tracing::warn!(said, "the panel's backlight can't be set; the udev rules must give it to the group video");
        }
        self.said = said;
    }
}

fn put(light: &Path, percent: u8) -> io::Result<()> {
    let most: u64 = fs::read_to_string(light.join("max_brightness"))?.trim().parse().map_err(io::Error::other)?;
    // A little is not nothing.
    let least = u64::from(percent > 0);
    let value = (most * u64::from(percent.min(100)) / 100).max(least).min(most);
    fs::write(light.join("brightness"), value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_most_and_a_little_is_not_nothing() {
        let class = tempfile::tempdir().unwrap();
        let light = class.path().join("panel");
        fs::create_dir(&light).unwrap();
        fs::write(light.join("max_brightness"), "31\n").unwrap();
        let mut backlight = Backlight::under(class.path());
        for (percent, value) in [(100, "31"), (50, "15"), (1, "1"), (0, "0"), (255, "31")] {
            backlight.set(percent);
            assert_eq!(fs::read_to_string(light.join("brightness")).unwrap(), value, "{percent} %");
        }
        assert_eq!(backlight.said, "");
        fs::write(light.join("max_brightness"), "bright").unwrap();
        backlight.set(50);
        assert!(backlight.said.contains("panel: "), "{}", backlight.said);
        fs::write(light.join("max_brightness"), "31").unwrap();
        backlight.set(50);
        assert_eq!(backlight.said, "");
        Backlight::under(&class.path().join("none")).set(50);
    }
}
