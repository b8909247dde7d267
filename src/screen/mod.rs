//! The screen: a view is laid out as a list of nodes, only what differs from the list before is painted, and a panel shows
//! it.
//!
//! Policy: the view decides what is shown, this room only how. The same view costs nothing; a count-down tick repaints
//! its own rectangle. Codes are black on white with whole pixels a module on every page, because phones have to read
//! them.

mod backlight;
pub mod bill;
pub mod drm;
mod fbdev;
mod fit;
mod icon;
pub mod language;
mod open;
mod pages;
mod paint;
mod panel;
pub mod picture;
mod rotation;
mod sheet;
pub mod text;
mod words;

pub use backlight::Backlight;
pub use drm::DrmPanel;
pub use fbdev::FbdevPanel;
pub use open::open_panel;
pub use paint::Frame;
pub use panel::{Panel, PanelError, Ready, SimulatedPanel};
pub use rotation::Rotation;

use crate::config::Theme;
use crate::sale::dialogue::View;
use crate::vocabulary::{Corner, Rect, Target};

use language::Texts;
use paint::Painter;
use sheet::{Draw, Node};
use text::Typesetter;

/// What is shown besides the view: what changes by itself while nobody is there, and a mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Counts slides, and the languages of the invitation.
    pub turn: u32,
    /// Of the day, in the kiosk's time zone; `None` while the time is unknown.
    pub minute: Option<u16>,
    /// Over everything, for a finger that shows how the touch sensor lies.
    pub mark: Option<Corner>,
}

/// The glass as a picture in memory.
pub struct Glass {
    frame: Frame,
    painter: Painter,
    texts: Texts,
    theme: Theme,
    /// What the frame shows now.
    nodes: Vec<Node>,
}

/// What a view changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Rectangles whose pixels are new; none for a view that looks the same.
    pub damage: Vec<Rect>,
    pub targets: Vec<Target>,
}

impl Glass {
    /// Black until the first view.
    pub fn new(width: u32, height: u32, type_: Typesetter, theme: Theme) -> Self {
        Self {
            frame: Frame::black(width as i32, height as i32),
            painter: Painter::new(type_),
            texts: Texts::with(&theme.texts),
            theme,
            nodes: Vec::new(),
        }
    }

    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// What the first code says that is shown.
    pub fn code(&self) -> Option<&str> {
        self.nodes.iter().find_map(|node| match &node.draw {
            Draw::Qr(payload) => Some(payload.as_str()),
            _ => None,
        })
    }

    /// Black, in another size; nothing happens where it has that size already.
    pub fn resize(&mut self, width: u32, height: u32) {
        if (self.frame.width, self.frame.height) != (width as i32, height as i32) {
            self.frame = Frame::black(width as i32, height as i32);
            self.nodes.clear();
        }
    }

    /// How long a [`Moment::turn`] takes.
    pub fn turn(&self) -> std::time::Duration {
        self.theme.slide_time
    }

    /// Lays the view out and paints what differs from the one before.
    pub fn show(&mut self, view: &View) -> Shown {
        self.show_at(view, Moment::default())
    }

    /// The same at a certain moment.
    pub fn show_at(&mut self, view: &View, moment: Moment) -> Shown {
        let sheet = pages::compose(view, &self.texts, &self.theme, moment, self.frame.width, self.frame.height);
        let damage = self.damage(&sheet.nodes);
        for clip in &damage {
            for node in &sheet.nodes {
                self.painter.paint(&mut self.frame, node, *clip);
            }
        }
        self.nodes = sheet.nodes;
        Shown { damage, targets: sheet.targets }
    }

    /// The places of nodes that came, went or changed, as rectangles that do not overlap.
    fn damage(&self, next: &[Node]) -> Vec<Rect> {
        let gone = self.nodes.iter().filter(|node| !next.contains(node));
        let new = next.iter().filter(|node| !self.nodes.contains(node));
        let bounds = self.frame.bounds();
        let mut damage: Vec<Rect> = Vec::new();
        for node in gone.chain(new) {
            let mut rect = node.rect.intersect(bounds);
            if rect.w == 0 || rect.h == 0 {
                continue;
            }
            // Overlapping pieces become one, until it overlaps none.
            let meet = |other: &Rect, rect| {
                let common = other.intersect(rect);
                common.w > 0 && common.h > 0
            };
            while let Some(index) = damage.iter().position(|other| meet(other, rect)) {
                rect = damage.swap_remove(index).union(rect);
            }
            damage.push(rect);
        }
        damage
    }
}
