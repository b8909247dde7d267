//! Panels: things that show pixels.

use std::sync::Arc;

use super::paint::Frame;
use crate::world::{Rect, Scene, ToWorld, World, WorldError};

#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    #[error(transparent)]
    World(#[from] WorldError),
}

pub trait Panel: Send {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Shows what lies within `damage`; `scene` says what is on it.
    fn present(&mut self, frame: &Frame, damage: &[Rect], scene: &Scene) -> Result<(), PanelError>;
}

/// A panel that the world draws.
pub struct SimulatedPanel {
    world: Arc<World>,
    size: (u32, u32),
}

impl SimulatedPanel {
    pub fn new(world: Arc<World>, width: u32, height: u32) -> Self {
        Self { world, size: (width, height) }
    }
}

impl Panel for SimulatedPanel {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn present(&mut self, frame: &Frame, damage: &[Rect], scene: &Scene) -> Result<(), PanelError> {
        let area: i32 = damage.iter().map(|rect| rect.w * rect.h).sum();
        let mut bytes = Vec::with_capacity(area as usize * 4);
        for rect in damage {
            for y in 0..rect.h {
                bytes.extend(frame.row(*rect, y).iter().flat_map(|pixel| pixel.to_le_bytes()));
            }
        }
        self.world.tell(&ToWorld::Frame { rects: damage.to_vec(), scene: scene.clone() }, &bytes)?;
        Ok(())
    }
}
