//! What the panel needs of a graphics card, in words of its own: the real one is [`Kms`](super::kms::Kms), the tests have
//! another that can be unplugged.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::vocabulary::Rect;

/// Where cards come from.
pub trait Cards: Send {
    type Card: Card;

    /// The cards there are now, in the kernel's order.
    fn paths(&self) -> Vec<PathBuf>;

    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a card without connectors, like one that only renders.
    fn open(&self, path: &Path) -> io::Result<Self::Card>;
}

/// An open card: two buffers of its own and at most one lit connector.
pub trait Card: Send {
    /// Every connector as the kernel last saw it, or `probed` anew, which is slow and knows a new panel's modes.
    fn connectors(&self, probe: bool) -> io::Result<Vec<Connector>>;

    /// What the kernel last knew of one connector; costs next to nothing.
    fn status(&self, connector: &Connector) -> io::Result<Status>;

    /// Whether this process may light anything: one at a time may.
    fn is_master(&self) -> io::Result<bool>;

    fn become_master(&self) -> io::Result<()>;

    /// Two buffers of that size, whatever is in them; keeps those it has if they fit.
    fn make_buffers(&mut self, width: u32, height: u32) -> io::Result<()>;

    /// A buffer's memory, XRGB8888 little-endian, and its bytes a row. Empty before [`make_buffers`](Self::make_buffers).
    fn pixels(&mut self, buffer: usize) -> (&mut [u8], usize);

    /// Lights the connector in that mode with a buffer on it, and waits until it is.
    fn light(&mut self, connector: &Connector, mode: &Mode, buffer: usize) -> io::Result<()>;

    /// Asks for the other buffer from the next vertical blank on; `damage`, on the panel, is what differs.
    fn flip(&mut self, buffer: usize, damage: &[Rect]) -> io::Result<()>;

    /// Waits until the flip is done; false if it is not after `timeout`.
    fn flipped(&mut self, timeout: Duration) -> io::Result<bool>;

    /// No signal on the connector until it is lit again.
    fn darken(&mut self) -> io::Result<()>;
}

/// A socket or a ribbon that a panel can be on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connector {
    #[serde(skip)]
    pub id: u32,
    /// As the kernel writes it: `HDMI-A-1`.
    pub name: String,
    pub status: Status,
    /// Best first, as the kernel orders them.
    pub modes: Vec<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Connected,
    Disconnected,
    /// The card can't tell: some ribbons.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mode {
    pub width: u32,
    pub height: u32,
    /// In mHz: 59940.
    pub refresh: u32,
    pub interlaced: bool,
    /// The panel's own choice.
    pub preferred: bool,
}

impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Connected => "connected",
            Status::Disconnected => "not connected",
            Status::Unknown => "connected or not, it can't tell",
        };
        write!(f, "{} ({status})", self.name)
    }
}

/// As the configuration writes it, with the rate in whole Hz.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, .. } = self;
        let i = if self.interlaced { "i" } else { "" };
        write!(f, "{width}x{height}{i}@{}", self.hertz())
    }
}

impl Mode {
    /// Rounded: 59.94 Hz is 60.
    pub fn hertz(&self) -> u32 {
        (self.refresh + 500) / 1_000
    }
}

/// What the configuration wants of a connector, `1280x800` or `1280x800@60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedMode {
    pub width: u32,
    pub height: u32,
    /// In whole Hz.
    pub refresh: Option<u32>,
}

impl WantedMode {
    pub fn parse(text: &str) -> Option<Self> {
        let (size, refresh) = match text.split_once('@') {
            Some((size, refresh)) => (size, Some(number(refresh)?)),
            None => (text, None),
        };
        let (width, height) = size.split_once('x')?;
        Some(Self { width: number(width)?, height: number(height)?, refresh })
    }

    fn fits(&self, mode: &Mode) -> bool {
        let Self { width, height, refresh } = *self;
        (mode.width, mode.height) == (width, height) && refresh.is_none_or(|refresh| refresh == mode.hertz())
    }
}

impl fmt::Display for WantedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)?;
        self.refresh.map_or(Ok(()), |refresh| write!(f, "@{refresh}"))
    }
}

/// Digits only: no sign, no space.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Connector {
    /// The panel's own choice, or the wanted mode; a picture in two halves only where there is no other.
    pub fn mode(&self, wanted: Option<WantedMode>) -> Option<Mode> {
        let mut fit: Vec<&Mode> = self.modes.iter().filter(|mode| wanted.is_none_or(|w| w.fits(mode))).collect();
        // Stable: otherwise the kernel's order, best first.
        fit.sort_by_key(|mode| (mode.interlaced, !mode.preferred));
        fit.first().copied().copied()
    }

    /// Its modes for a message, each once.
    pub fn list_modes(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for mode in &self.modes {
            let name = mode.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }
}
