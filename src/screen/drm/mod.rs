//! The panel `drm`: a real screen through the kernel's modesetting, without a display server.
//!
//! Policy:
//! - What somebody has to write differently is said at start, with what there is to choose from. A panel that is merely
//!   not plugged in is no mistake: it is dark, and lit when it comes.
//! - Two buffers, turned over at the vertical blank: no code is ever torn. The first picture comes with the mode, so
//!   nothing black is between it and what was there before.
//! - A flip that does not come, a panel that goes, another program that takes the card: dark, and tried again from the
//!   start twice a second. Whether a panel is there is read as often from what the kernel already knows, because that
//!   misses nothing that a full queue of kernel events may lose, and takes microseconds.

mod card;
#[cfg(test)]
mod fake;
mod kms;
#[cfg(test)]
mod lab;
mod screenshot;
#[cfg(test)]
mod tests;

pub use card::{Card, Cards, Connector, Mode, Status, WantedMode};
pub use kms::{Kms, Machine};
pub use screenshot::{ScreenshotError, screenshot};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::paint::Frame;
use super::panel::{Panel, PanelError, Ready};
use super::rotation::{Rotation, Surface};
use crate::vocabulary::Rect;
use crate::world::Scene;

/// A panel that has gone is noticed within it, and the rest of P6's second is for the sale.
const TENDED: Duration = Duration::from_millis(500);
/// Ten frames of the slowest panel. Longer is a card that hangs.
const FLIP: Duration = Duration::from_millis(400);
/// A card without hot-plug interrupts is asked anew every so many looks while it shows nothing.
const PROBED: u32 = 20;

/// Which panel, as the configuration has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The first with a connected panel if none is named.
    pub card: Option<PathBuf>,
    pub connector: Option<String>,
    pub mode: Option<WantedMode>,
    pub rotation: Rotation,
}

pub struct DrmPanel<C: Cards = Machine> {
    cards: C,
    wanted: Wanted,
    open: BTreeMap<PathBuf, OpenCard<C::Card>>,
    output: Option<Output>,
    /// Why there is no output, said once.
    dark: String,
}

struct OpenCard<K> {
    card: K,
    /// As last listed; `None` where that is to be done again.
    connectors: Option<Vec<Connector>>,
    looks: u32,
    /// The buffer that may be on a panel, even of an output that was lost: the next picture goes into the other.
    front: usize,
}

/// What is shown on.
struct Output {
    card: PathBuf,
    connector: Connector,
    mode: Mode,
    lit: bool,
    /// What the back buffer lacks of the frame on the panel: it is one behind.
    behind: Vec<Rect>,
}

/// Why a card was not taken.
enum Not {
    /// Somebody has to write something else.
    Mistake(PanelError),
    /// It may become better by itself.
    Yet(String),
}

impl<C: Cards> DrmPanel<C> {
    /// Chooses a panel; lights nothing yet.
    ///
    /// # Errors
    /// With what the configuration has to say instead.
    pub fn open(cards: C, wanted: Wanted) -> Result<Self, PanelError> {
        let mut panel = Self { cards, wanted, open: BTreeMap::new(), output: None, dark: String::new() };
        match panel.choose(true) {
            Err(Not::Mistake(error)) => return Err(error),
            Err(Not::Yet(why)) => panel.say_dark(why),
            Ok(()) => {}
        }
        Ok(panel)
    }

    /// Finds a panel that is there and that we may light.
    fn choose(&mut self, at_start: bool) -> Result<(), Not> {
        let paths = match &self.wanted.card {
            Some(card) => vec![card.clone()],
            None => self.cards.paths(),
        };
        self.open.retain(|path, _| paths.contains(path));
        let mut nots = Vec::new();
        let mut there = Vec::new();
        for path in &paths {
            match self.choose_on(path, at_start, &mut there) {
                Ok(output) => {
                    tracing::info!(
                        card = %path.display(), connector = output.connector.name, mode = %output.mode, "the panel was found"
                    );
                    self.output = Some(output);
                    return Ok(());
                }
                Err(not) => nots.push(not),
            }
        }
        if let Some(mistake) = nots.iter().position(|not| matches!(not, Not::Mistake(_))) {
            return Err(nots.swap_remove(mistake));
        }
        let named = |name: &String| there.iter().any(|connector| connector.name == *name);
        let list = there.iter().map(Connector::to_string).collect::<Vec<_>>().join(", ");
        if let Some(wanted) = self.wanted.connector.as_ref().filter(|name| !there.is_empty() && !named(name)) {
            return Err(Not::Mistake(PanelError::NoConnector { wanted: wanted.clone(), there: list }));
        }
        let unplugged = (!list.is_empty()).then(|| format!("no panel is plugged in: {list}"));
        let why = nots.into_iter().find_map(|not| match not {
            Not::Yet(why) if !why.is_empty() => Some(why),
            _ => None,
        });
        let absent = || "there is no card in /dev/dri".to_owned();
        Err(Not::Yet(why.or(unplugged).unwrap_or_else(absent)))
    }

    /// `there` collects the connectors.
    fn choose_on(&mut self, path: &Path, at_start: bool, there: &mut Vec<Connector>) -> Result<Output, Not> {
        let named = self.wanted.card.is_some();
        if !self.open.contains_key(path) {
            let card = self.cards.open(path).map_err(|error| opening(path, &error, named))?;
            self.open.insert(path.to_owned(), OpenCard { card, connectors: None, looks: 0, front: 1 });
        }
        let Some(open) = self.open.get_mut(path) else { return Err(Not::Yet(String::new())) };
        let failed = |what: &str, error: io::Error| Not::Yet(format!("{}: {what}: {error}", path.display()));
        // First, because nobody else may probe.
        if !open.card.is_master().map_err(|error| failed("whose it is", error))? && open.card.become_master().is_err() {
            return Err(Not::Yet(format!("{}: another program has the screen", path.display())));
        }
        let connectors = match open.look(at_start) {
            Ok(connectors) => connectors,
            Err(error) => {
                self.open.remove(path);
                return Err(Not::Yet(format!("{}: {error}", path.display())));
            }
        };
        there.extend(connectors.iter().cloned());
        let fits = |connector: &&Connector| {
            self.wanted.connector.as_ref().is_none_or(|name| connector.name == *name) && !connector.modes.is_empty()
        };
        let with = |status| connectors.iter().filter(fits).find(|connector| connector.status == status);
        let chosen = with(Status::Connected).or_else(|| with(Status::Unknown));
        let Some(connector) = chosen.cloned() else { return Err(Not::Yet(String::new())) };
        let mode = match (connector.mode(self.wanted.mode), self.wanted.mode) {
            (Some(mode), _) => mode,
            (None, Some(wanted)) if at_start => {
                return Err(Not::Mistake(PanelError::NoMode {
                    connector: format!("{} {}", path.display(), connector.name),
                    wanted: wanted.to_string(),
                    there: connector.list_modes(),
                }));
            }
            // Another panel than the one the configuration was written for: better its own mode than nothing.
            (None, wanted) => {
                let wanted = wanted.map(|mode| mode.to_string());
                tracing::warn!(
                    wanted,
                    there = connector.list_modes(),
                    "the panel lacks the configured mode, so its own is used"
                );
                let own = connector.mode(None);
                own.ok_or_else(|| Not::Yet(format!("{} has no mode", connector.name)))?
            }
        };
        open.card.make_buffers(mode.width, mode.height).map_err(|error| failed("memory for the picture", error))?;
        let output = Output { card: path.to_owned(), connector, mode, lit: false, behind: Vec::new() };
        Ok(output)
    }

    /// Is the chosen panel still there and ours?
    fn still_there(&self, output: &Output) -> Result<(), String> {
        let Some(open) = self.open.get(&output.card) else { return Err("the card is gone".into()) };
        let name = &output.connector.name;
        match open.card.status(&output.connector) {
            Ok(Status::Disconnected) => return Err(format!("{name} is not connected")),
            Ok(_) => {}
            Err(error) => return Err(format!("{name}: {error}")),
        }
        match open.card.is_master() {
            Ok(true) => Ok(()),
            Ok(false) => Err("another program has taken the screen".into()),
            Err(error) => Err(format!("{}: {error}", output.card.display())),
        }
    }

    /// Nothing is known of the panel any more; it is looked for from the start.
    fn lose(&mut self, why: String) -> PanelError {
        if let Some(output) = self.output.take()
            && let Some(open) = self.open.get_mut(&output.card)
        {
            open.connectors = None;
            // A panel that comes back wants its link made anew, and a card that hung wants to be off once. It may
            // refuse: then it is not ours any more.
            drop(open.card.darken());
        }
        self.say_dark(why);
        PanelError::Dark(self.dark.clone())
    }

    fn say_dark(&mut self, why: String) {
        if self.dark != why {
            tracing::warn!(why, "the panel is dark");
            self.dark = why;
        }
    }
}

impl<K: Card> OpenCard<K> {
    /// The connectors, listed anew where the kernel has news of one.
    fn look(&mut self, at_start: bool) -> io::Result<&[Connector]> {
        self.looks += 1;
        let card = &self.card;
        let news = |connector: &Connector| card.status(connector).map_or(true, |status| status != connector.status);
        let known =
            self.connectors.take().filter(|known| !self.looks.is_multiple_of(PROBED) && !known.iter().any(news));
        let connectors = match known {
            Some(known) => known,
            // What the boot screen was made with is good enough, and probing takes as long as a panel's answer.
            None if at_start => {
                let quick = card.connectors(false)?;
                let blind = |c: &Connector| c.status != Status::Disconnected && c.modes.is_empty();
                if quick.iter().any(blind) { card.connectors(true)? } else { quick }
            }
            None => card.connectors(true)?,
        };
        Ok(self.connectors.insert(connectors))
    }
}

fn opening(path: &Path, error: &io::Error, named: bool) -> Not {
    let card = || path.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Not::Mistake(PanelError::Forbidden { card: card() }),
        // A driver may come later than we do.
        io::ErrorKind::NotFound => Not::Yet(format!("there is no {}", path.display())),
        // Of several cards those that only render are passed over.
        io::ErrorKind::Unsupported if named => Not::Mistake(PanelError::Unfit {
            device: card(),
            why: error.to_string(),
            instead: "name another card, or none",
        }),
        io::ErrorKind::Unsupported => Not::Yet(String::new()),
        _ => Not::Yet(format!("{}: {error}", path.display())),
    }
}

impl<C: Cards> Panel for DrmPanel<C> {
    fn tended_every(&self) -> Option<Duration> {
        Some(TENDED)
    }

    fn tend(&mut self) -> Result<Ready, PanelError> {
        if let Some(output) = &self.output
            && let Err(why) = self.still_there(output)
        {
            // Another connector may have a panel, or the same one already has again.
            self.lose(why);
        }
        if self.output.is_none()
            && let Err(not) = self.choose(false)
        {
            match not {
                Not::Yet(why) => self.say_dark(why),
                Not::Mistake(error) => self.say_dark(error.to_string()),
            }
        }
        match &self.output {
            Some(output) => {
                let size = self.wanted.rotation.turned((output.mode.width, output.mode.height));
                Ok(Ready { size, blank: !output.lit })
            }
            None => Err(PanelError::Dark(self.dark.clone())),
        }
    }

    fn present(&mut self, frame: &Frame, damage: &[Rect], _scene: &Scene) -> Result<(), PanelError> {
        let rotation = self.wanted.rotation;
        let Some(output) = &mut self.output else { return Err(PanelError::Dark(self.dark.clone())) };
        let Some(open) = self.open.get_mut(&output.card) else { return Err(self.lose("the card is gone".into())) };
        let new = if output.lit { damage.to_vec() } else { vec![frame.bounds()] };
        if new.is_empty() {
            return Ok(());
        }
        let back = 1 - open.front;
        let (bytes, pitch) = open.card.pixels(back);
        let mut surface = Surface { bytes, pitch };
        surface.copy(frame, &output.behind, rotation, u32::to_le_bytes);
        surface.copy(frame, &new, rotation, u32::to_le_bytes);
        let shown = if output.lit {
            let on_panel: Vec<Rect> = new.iter().map(|rect| rotation.rect(*rect, frame.width, frame.height)).collect();
            turn_over(&mut open.card, back, &on_panel)
        } else {
            open.card.light(&output.connector, &output.mode, back).map_err(|error| told(&error))
        };
        if let Err(why) = shown {
            return Err(self.lose(why));
        }
        if !output.lit {
            tracing::info!(connector = output.connector.name, "the panel is lit");
            self.dark.clear();
        }
        output.lit = true;
        open.front = back;
        output.behind = new;
        Ok(())
    }

    fn darken(&mut self) -> Result<(), PanelError> {
        let Some(output) = &mut self.output else { return Err(PanelError::Dark(self.dark.clone())) };
        let Some(open) = self.open.get_mut(&output.card) else { return Err(self.lose("the card is gone".into())) };
        output.lit = false;
        open.card.darken().map_err(|error| self.lose(told(&error)))
    }
}

/// Shows a buffer from the next vertical blank on, and waits for that.
fn turn_over(card: &mut impl Card, buffer: usize, damage: &[Rect]) -> Result<(), String> {
    card.flip(buffer, damage).map_err(|error| told(&error))?;
    match card.flipped(FLIP) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the card did not show a frame within {} ms", FLIP.as_millis())),
        Err(error) => Err(told(&error)),
    }
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "another program has taken the screen".into(),
        _ => format!("the card did not take a frame: {error}"),
    }
}

/// A card and what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardReport {
    pub path: PathBuf,
    /// The kernel's name of its driver; empty where the card could not be opened.
    pub driver: String,
    pub atomic: bool,
    pub connectors: Vec<Connector>,
    /// Why it can't show anything.
    pub problem: Option<String>,
}

/// Every card with its connectors and their modes, as they are now. Changes nothing on the screen.
pub fn probe() -> Vec<CardReport> {
    let cards = Machine { legacy: false };
    let report = |path: PathBuf| match cards.open(&path) {
        Ok(card) => {
            let (connectors, problem) = match card.connectors(false) {
                Ok(connectors) => (connectors, None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            CardReport { driver: card.driver(), atomic: card.is_atomic(), path, connectors, problem }
        }
        Err(error) => {
            let problem = match error.kind() {
                io::ErrorKind::PermissionDenied => "permission denied; add the user to group video".into(),
                _ => error.to_string(),
            };
            CardReport { path, driver: String::new(), atomic: false, connectors: Vec::new(), problem: Some(problem) }
        }
    };
    cards.paths().into_iter().map(report).collect()
}
