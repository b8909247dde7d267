//! From the configuration to the panel.

use std::sync::Arc;

use super::drm::{DrmPanel, Machine, Wanted, WantedMode};
use super::fbdev::FbdevPanel;
use super::panel::{NoPanel, Panel, PanelError, SimulatedPanel};
use super::rotation::Rotation;
use crate::config;
use crate::world::World;

/// The panel that the configuration names.
///
/// # Errors
/// With what the configuration has to say instead; [`PanelError::NoWorld`] where the driver is simulated and there is no
/// world. A panel that is not plugged in is none.
pub fn open_panel(panel: &config::Panel, world: Option<&Arc<World>>) -> Result<Box<dyn Panel>, PanelError> {
    // The configuration was checked: what does not parse is not written there.
    let turned = |degrees: u32| Rotation::degrees(degrees).unwrap_or_default();
    Ok(match panel {
        config::Panel::Simulated { width, height } => {
            let world = world.ok_or(PanelError::NoWorld)?;
            Box::new(SimulatedPanel::new(Arc::clone(world), *width, *height))
        }
        config::Panel::Drm { card, connector, mode, rotation } => {
            let mode = mode.as_deref().and_then(WantedMode::parse);
            let (card, connector) = (card.clone(), connector.clone());
            let wanted = Wanted { card, connector, mode, rotation: turned(*rotation) };
            Box::new(DrmPanel::open(Machine { legacy: false }, wanted)?)
        }
        config::Panel::None => Box::new(NoPanel),
        config::Panel::Fbdev { device, rotation } => Box::new(FbdevPanel::open(device, turned(*rotation))?),
    })
}
