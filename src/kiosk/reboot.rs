//! Who restarts the board: logind, the simulated world, or nobody.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::{self, LineDriver, RebootBy};
use crate::dbus::logind;
use crate::world::{Ask, DEVICE_TIMEOUT, World};

pub(super) type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Both answer within some seconds. An error says why not, and what to do about it.
pub(super) trait Reboot: Send + Sync {
    /// Whether it can be done now. Nothing is done.
    fn can(&self) -> Answer<'_>;

    /// Asks for it. The board goes down in a moment, or some seconds after the answer.
    fn reboot(&self) -> Answer<'_>;
}

pub(super) fn open(config: &config::Board, world: Option<&Arc<World>>) -> Arc<dyn Reboot> {
    match (config.reboot, &config.lines, world) {
        (RebootBy::Auto, LineDriver::Simulated, Some(world)) => Arc::new(Simulated(Arc::clone(world))),
        (RebootBy::Auto, LineDriver::Simulated, None) => {
            Arc::new(Nobody("the board is simulated, and no world is there"))
        }
        (RebootBy::Auto | RebootBy::Logind, ..) => Arc::new(Logind),
        (RebootBy::None, ..) => Arc::new(Nobody("the configuration has [board] reboot = \"none\"")),
    }
}

struct Logind;

impl Reboot for Logind {
    fn can(&self) -> Answer<'_> {
        Box::pin(logind::can_reboot())
    }

    fn reboot(&self) -> Answer<'_> {
        Box::pin(logind::reboot())
    }
}

/// The world takes the plug out and puts it in again.
struct Simulated(Arc<World>);

impl Reboot for Simulated {
    fn can(&self) -> Answer<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn reboot(&self) -> Answer<'_> {
        Box::pin(async {
            self.0.ask_async(Ask::Reboot, DEVICE_TIMEOUT).await.map(drop).map_err(|error| error.to_string())
        })
    }
}

struct Nobody(&'static str);

impl Reboot for Nobody {
    fn can(&self) -> Answer<'_> {
        Box::pin(std::future::ready(Err(self.0.to_owned())))
    }

    fn reboot(&self) -> Answer<'_> {
        self.can()
    }
}
