//! Panels: things that show pixels.
//!
//! Policy: a panel that can't be seen is no reason to stop. It says so, the kiosk stops selling, and whoever drives it
//! tends it until it is back: everything is presented anew then. Only what somebody has to write differently, and a world
//! that is gone, is an end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::paint::Frame;
use crate::vocabulary::Rect;
use crate::world::{Scene, ToWorld, World, WorldError};

#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// Nobody sees anything until [`Panel::tend`] has succeeded.
    #[error("{0}")]
    Dark(String),
    #[error("it is simulated and needs `--world SOCKET`")]
    NoWorld,
    #[error("{card}: permission denied; add the user to group video", card = card.display())]
    Forbidden { card: PathBuf },
    #[error("no connector `{wanted}`; write one of: {there}")]
    NoConnector { wanted: String, there: String },
    #[error("{connector} has no mode `{wanted}`; write one of: {there}")]
    NoMode { connector: String, wanted: String, there: String },
    #[error("{device}: {why}; {instead}", device = device.display())]
    Unfit { device: PathBuf, why: String, instead: &'static str },
    #[error("{device}: {error}", device = device.display())]
    Io { device: PathBuf, error: io::Error },
    #[error(transparent)]
    World(#[from] WorldError),
}

/// A panel that can be presented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Width and height in pixels, of the picture as one looks at it.
    pub size: (u32, u32),
    /// It shows nothing of ours: present, whatever the damage.
    pub blank: bool,
}

pub trait Panel: Send {
    /// How often [`tend`](Self::tend) wants to be called; `None` for once, before the first frame.
    fn tended_every(&self) -> Option<Duration>;

    /// Looks after the panel: is it there, is it ours, has it another size? Cheap while nothing has changed.
    ///
    /// # Errors
    /// [`PanelError::Dark`] while nothing can be shown.
    fn tend(&mut self) -> Result<Ready, PanelError>;

    /// Shows what lies within `damage` of a frame of the size last told, everything if the panel was blank; `scene` says
    /// what is on it.
    ///
    /// # Errors
    /// [`PanelError::Dark`] if it was not shown; the next try is after [`tend`](Self::tend).
    fn present(&mut self, frame: &Frame, damage: &[Rect], scene: &Scene) -> Result<(), PanelError>;

    /// Switches it off until the next frame, which has to be a whole one: it is blank then.
    ///
    /// # Errors
    /// As [`present`](Self::present).
    fn darken(&mut self) -> Result<(), PanelError>;
}

/// A panel that the world draws.
pub struct SimulatedPanel {
    world: Arc<World>,
    size: (u32, u32),
    blank: bool,
}

impl SimulatedPanel {
    pub fn new(world: Arc<World>, width: u32, height: u32) -> Self {
        Self { world, size: (width, height), blank: true }
    }
}

impl Panel for SimulatedPanel {
    fn tended_every(&self) -> Option<Duration> {
        None
    }

    fn tend(&mut self) -> Result<Ready, PanelError> {
        Ok(Ready { size: self.size, blank: self.blank })
    }

    fn present(&mut self, frame: &Frame, damage: &[Rect], scene: &Scene) -> Result<(), PanelError> {
        let damage = if self.blank { vec![frame.bounds()] } else { damage.to_vec() };
        let area: i32 = damage.iter().map(|rect| rect.w * rect.h).sum();
        let mut bytes = Vec::with_capacity(area as usize * 4);
        for rect in &damage {
            for y in 0..rect.h {
                bytes.extend(frame.row(*rect, y).iter().flat_map(|pixel| pixel.to_le_bytes()));
            }
        }
        self.world.tell(&ToWorld::Frame { rects: damage, scene: scene.clone() }, &bytes)?;
        self.blank = false;
        Ok(())
    }

    fn darken(&mut self) -> Result<(), PanelError> {
        let (width, height) = self.size;
        let black = Frame::black(width as i32, height as i32);
        let scene = Scene { page: "dark".into(), ..Scene::default() };
        self.present(&black, &[black.bounds()], &scene)?;
        self.blank = true;
        Ok(())
    }
}

/// Of a lane without a screen. What would be shown is drawn, so that a technician can look at it.
pub struct NoPanel;

impl Panel for NoPanel {
    fn tended_every(&self) -> Option<Duration> {
        None
    }

    fn tend(&mut self) -> Result<Ready, PanelError> {
        Ok(Ready { size: (480, 320), blank: false })
    }

    fn present(&mut self, _: &Frame, _: &[Rect], _: &Scene) -> Result<(), PanelError> {
        Ok(())
    }

    fn darken(&mut self) -> Result<(), PanelError> {
        Ok(())
    }
}
