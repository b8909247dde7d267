//! The fleet's back end: stores every kiosk's events without a gap, acknowledges them, and knows how each machine is.
//!
//! Policy: the broker is a postman and the database the truth. What is acknowledged is committed; what is committed was
//! proved, by the kiosk's key where it is known. Any number of collectors share a fleet by leases in the database; no
//! retained message, no shared subscription and no session of a broker's is needed for anything.
//!
//! - [`desk`] checks, stores, acknowledges · [`session`] speaks with the brokers · [`keys`] are the kiosks'
//! - [`store`] has the tables · [`lease`] parts the kiosks among collectors · [`database`] is SQLite or PostgreSQL
//! - [`reading`] is what `ls` and `show` tell · [`audit`] makes the books again · [`export`] writes files

mod audit;
mod batch;
mod collected;
mod database;
mod desk;
mod export;
mod keys;
mod lease;
mod place;
mod postgres;
mod reading;
mod session;
mod sqlite;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::desk::Desk;
use self::keys::Keyring;
use self::session::{SessionConfig, Sessions, Stop};
use super::link::{BadBroker, Broker};
use super::tls::{self, ClientTls, TlsError};
use super::topic::Name;
use crate::signed::keys::{KeyError, KeySource};

pub use self::audit::{Audited, InCurrency, Proof};
pub use self::collected::{Collected, NoFleet, Wanted};
pub use self::database::DatabaseError;
pub use self::export::{ExportError, Format};
pub use self::place::Place;
pub use self::reading::{Alarm, Command, Inspected, Ledger, Line, Machine, Presence};

/// Messages between the connections and the desk; each is bounded.
const INBOX: usize = 500;
/// How long the last batch may take.
const END: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Settings {
    /// Each a broker, or the nodes of one cluster with commas between them.
    pub brokers: Vec<String>,
    pub ca: Option<PathBuf>,
    pub identity: Option<(PathBuf, KeySource)>,
    pub fleet: Name,
    /// Another of each collector of the fleet.
    pub name: Name,
    /// `KIOSK.pem` of each kiosk.
    pub keys: Option<PathBuf>,
    /// Signs acknowledgements, under its file's name.
    pub sign: Option<KeySource>,
    pub place: Place,
}

#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Broker(#[from] BadBroker),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{path}: {source}", path = path.display())]
    Keys { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the collector can't be started")]
    Start(#[source] std::io::Error),
}

/// Collects until SIGTERM or SIGINT.
///
/// # Errors
/// Why it can't be started.
pub fn collect(settings: &Settings) -> Result<(), CollectError> {
    let configs = sessions(settings)?;
    if let Some(path) = &settings.keys {
        std::fs::read_dir(path).map_err(|source| CollectError::Keys { path: path.clone(), source })?;
    } else {
        tracing::warn!("no --keys: whoever may publish in a kiosk's name is believed as long as the chain fits");
    }
    let signer = settings.sign.as_ref().map(KeySource::own_signer).transpose()?;
    let mut database = settings.place.open(true)?;
    lease::make(&mut *database, &settings.fleet)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CollectError::Start)?;
    let (stop, (inbox, queue)) = (Stop::default(), mpsc::channel(INBOX));
    let sessions = {
        let _entered = runtime.enter();
        Sessions::start(configs, settings.fleet.clone(), &inbox, stop.clone())
    };
    // The sessions have it; when they end, so does the desk.
    drop(inbox);
    let names = (settings.fleet.clone(), settings.name.to_string());
    let desk = Desk::new(names, Keyring::new(settings.keys.clone()), signer, database, sessions);
    tracing::info!(fleet = %settings.fleet, name = %settings.name, "the collector starts");
    let (done, ended) = tokio::sync::oneshot::channel();
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name("desk".into()).spawn(move || {
        desk.run(&handle, queue);
        // Nobody waits any more where the time was up.
        let _ = done.send(());
    });
    let thread = thread.map_err(CollectError::Start)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(CollectError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CollectError::Start)?;
        let mut ended = std::pin::pin!(ended);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = &mut ended => return Ok(()),
        }
        stop.stop();
        drop(tokio::time::timeout(END, ended).await);
        Ok::<(), CollectError>(())
    })?;
    if thread.is_finished() {
        drop(thread.join());
    }
    runtime.shutdown_background();
    Ok(())
}

fn sessions(settings: &Settings) -> Result<Vec<SessionConfig>, CollectError> {
    let Settings { brokers, ca, identity, fleet, name, .. } = settings;
    let mut configs = Vec::new();
    for nodes in brokers {
        let nodes: Vec<Broker> = nodes.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let tls = if nodes.iter().any(|node| node.tls) {
            let (ca, identity) = (ca.clone(), identity.clone());
            let made = move || tls::client(ca.as_deref(), identity.as_ref().map(|(cert, key)| (cert.as_path(), key)));
            Some(ClientTls::made(made)?)
        } else {
            None
        };
        let client_id = format!("kioskfleet.collect.{fleet}.{name}");
        configs.push(SessionConfig { nodes, tls, client_id, fleet: fleet.clone() });
    }
    Ok(configs)
}

#[cfg(test)]
mod tests;
