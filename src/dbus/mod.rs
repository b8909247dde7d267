//! `org.kioskd.Kiosk1` on the machine's bus: what a technician, and every program on the machine, may see and ask.
//!
//! Policy
//! - Who may call is the bus's to say, by `systemd/org.kioskd.Kiosk1.conf`: root and the group `kiosk-tech`, who have all
//!   rights, unless the operator wants polkit asked what they may do. Who has called, the bus is asked; what a message
//!   says about it counts for nothing.
//! - Properties are made of the kiosk's one status, and told where they differ from what was told last.
//! - What comes in is read into the types at once, and only so many calls are under way; the next is refused.
//! - The bus is a convenience. The connection is made beside the sale, and made again, with rarer tries, when the bus is
//!   away, is started anew or does not give the name; nothing waits for it.
//! - What is once in the interface stays: names, arguments and their types. New things may come.

mod checkup;
mod client;
mod error;
mod handle;
pub mod logind;
mod polkit;
mod report;
mod sales;
mod service;
mod shown;
mod signed;
mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use zbus::connection::Builder;
use zbus::fdo::{self, RequestNameFlags, RequestNameReply};
use zbus::object_server::Interface;
use zbus::{Connection, OwnedVariant, Variant};

pub use checkup::{Check, CheckResult, checks};
pub use client::{Client, Done, NoAnswer};
pub use handle::{Answered, Ask, Mark, Picture, Read, Screenshot, Touched};
pub use report::Report;
pub use sales::OrderLine;
pub use shown::{Claim, Device, Fault, Reason, Refunds, Shown, Stock};
pub use signed::Writer;

use crate::config::{self, Bus};
use crate::parking::report::Of;
use crate::service::Supervisor;
use handle::KioskHandle;
use polkit::Polkit;
use sales::Sales;
use service::Service;
use status::Status;

/// What the kiosk is called on the bus.
pub const NAME: &str = "org.kioskd.Kiosk1";
/// The one object.
pub const PATH: &str = "/org/kioskd/Kiosk1";

/// Where a kiosk is found.
#[derive(Debug, Clone)]
pub struct Address {
    pub bus: Bus,
    /// Which of several on one board.
    pub instance: Option<String>,
}

impl Address {
    /// The kiosk's name on the bus: [`NAME`], with the instance's behind it.
    pub fn name(&self) -> String {
        self.instance.as_ref().map_or_else(|| NAME.to_owned(), |instance| format!("{NAME}.{instance}"))
    }
}

/// The next try to reach the bus comes after so long, later each time it fails.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MOST: Duration = Duration::from_secs(30);
/// A bus that does not answer for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// The kiosk's end. Dropped, the name is given back.
#[derive(Debug)]
pub struct Served(watch::Sender<Arc<Shown>>);

impl Served {
    /// The kiosk's status has changed. Nothing is served before the first.
    pub fn show(&self, shown: Shown) {
        self.0.send_replace(Arc::new(shown));
    }
}

/// Serves the kiosk beside everything else; `ask` must not block. `parking`: whose reports of a car park are. `None`: on no bus.
pub fn start(
    supervisor: &Supervisor,
    runtime: &Handle,
    &config::Dbus { bus, ref instance, polkit }: &config::Dbus,
    writer: Writer,
    parking: Option<Of>,
    ask: impl Fn(Ask) + Send + Sync + 'static,
) -> Option<Served> {
    if bus == Bus::None {
        return None;
    }
    let (tell, news) = watch::channel(Arc::default());
    let kiosk = KioskHandle::new(ask);
    let polkit = polkit.then(|| Arc::new(Polkit::new()));
    let service = Service::new(kiosk.clone(), news.clone(), polkit, writer);
    let sales = Sales::new(kiosk, news.clone(), parking);
    let address = Address { bus, instance: instance.clone() };
    supervisor.job(runtime, "the bus", serve(address, sales, service, news), |end| {
        if let Err(panic) = end {
            tracing::error!(panic, "the kiosk is not on the bus any more, until it is started anew");
        }
    });
    Some(Served(tell))
}

/// Why the kiosk is not on the bus.
#[derive(Debug, thiserror::Error)]
enum NotServed {
    #[error("{0}")]
    Bus(#[from] zbus::Error),
    #[error("the bus does not answer")]
    Silent,
    #[error("the bus has ended the connection")]
    Ended,
    #[error(
        "the name {name} belongs to another program already ({by}); of several kiosks on one board each has its own [dbus] instance"
    )]
    Taken { name: String, by: String },
    #[error("the bus does not let this user have the name {name}; is its policy, {NAME}.conf, installed? ({why})")]
    Denied { name: String, why: String },
}

async fn serve(address: Address, sales: Sales, service: Service, mut news: watch::Receiver<Arc<Shown>>) {
    if news.changed().await.is_err() {
        return;
    }
    let bus = address.bus;
    let (mut wait, mut told) = (WAIT_FIRST, String::new());
    loop {
        let mut served = false;
        let Err(why) = on_the_bus(&address, sales.clone(), service.clone(), &mut news, &mut served).await else {
            return;
        };
        if served {
            (wait, told) = (WAIT_FIRST, String::new());
        }
        let wants_somebody = matches!(why, NotServed::Taken { .. } | NotServed::Denied { .. });
        let why = why.to_string();
        if why != told {
            match wants_somebody {
                true => tracing::warn!(%bus, why, "the kiosk is not on the bus; it tries again by itself"),
                false => tracing::info!(%bus, why, "the kiosk is not on the bus; it tries again by itself"),
            }
            told = why;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(WAIT_MOST),
            () = gone(&mut news) => return,
        }
    }
}

/// Comes back when the kiosk has ended.
async fn gone(news: &mut watch::Receiver<Arc<Shown>>) {
    while news.changed().await.is_ok() {}
}

/// Who is on no bus asks the system's.
fn builder(bus: Bus) -> Builder<'static> {
    match bus {
        Bus::Session => Builder::session(),
        Bus::System | Bus::None => Builder::system(),
    }
}

/// Serves until the connection ends, or the kiosk. `served`: it had the name.
async fn on_the_bus(
    address: &Address,
    sales: Sales,
    service: Service,
    news: &mut watch::Receiver<Arc<Shown>>,
    served: &mut bool,
) -> Result<(), NotServed> {
    let (bus, name) = (address.bus, address.name());
    let status = Status::new(news.clone());
    let builder = builder(bus).serve_at(PATH, status).serve_at(PATH, sales).serve_at(PATH, service);
    let connecting = builder.method_timeout(PATIENCE).build();
    let connection = tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| NotServed::Silent)??;
    // From here on every change is told.
    news.mark_unchanged();
    let mut told = Told::default();
    told.news(&connection).await?;
    // Who finds the name finds everything behind it.
    take_name(&connection, &name).await?;
    *served = true;
    tracing::info!(%bus, name, "the kiosk is on the bus");
    loop {
        tokio::select! {
            () = connection.closed() => return Err(NotServed::Ended),
            changed = news.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                for (interface, changed, invalid) in told.news(&connection).await? {
                    let emitter = zbus::object_server::SignalEmitter::new(&connection, PATH)?;
                    let value = |value: &OwnedVariant| Variant::try_clone(value);
                    let changed = changed.iter().map(|(name, is)| Ok((name.as_str(), value(is)?)));
                    let changed = changed.collect::<zbus::Result<_>>()?;
                    let name = zbus::names::InterfaceName::from_static_str(interface)?;
                    fdo::Properties::properties_changed(&emitter, name, changed, invalid.into()).await?;
                }
            }
        }
    }
}

async fn take_name(connection: &Connection, name: &str) -> Result<(), NotServed> {
    let flags = RequestNameFlags::DO_NOT_QUEUE;
    match connection.request_name_with_flags(name, flags).await {
        Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => Ok(()),
        Ok(RequestNameReply::InQueue | RequestNameReply::Exists) | Err(zbus::Error::NameTaken) => {
            let process = ask_bus(connection, "GetConnectionUnixProcessID", name).await;
            let user = ask_bus(connection, "GetConnectionUnixUser", name).await;
            let number = |asked: zbus::Result<u32>| asked.map_or("unknown".to_owned(), |number| number.to_string());
            let by = format!("process {} of user {}", number(process), number(user));
            Err(NotServed::Taken { name: name.to_owned(), by })
        }
        Err(zbus::Error::FDO(error)) if matches!(*error, fdo::Error::AccessDenied(_)) => {
            Err(NotServed::Denied { name: name.to_owned(), why: error.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// What the bus knows of one who is connected, by any of their names.
async fn ask_bus(connection: &Connection, method: &str, who: &str) -> zbus::Result<u32> {
    let bus = "org.freedesktop.DBus";
    let answer = connection.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), method, &who).await?;
    answer.body().deserialize()
}

/// The properties as they were told last, by interface.
#[derive(Default)]
struct Told(HashMap<&'static str, Properties>);

type Properties = HashMap<String, OwnedVariant>;

/// An interface, what of it has changed with the new values, and what has changed too and must be asked for.
type News = (&'static str, Properties, Vec<&'static str>);

impl Told {
    async fn news(&mut self, connection: &Connection) -> zbus::Result<Vec<News>> {
        let mut all = Vec::new();
        all.extend(self.compare::<Status>(connection, status::INTERFACE).await?);
        all.extend(self.compare::<Sales>(connection, sales::INTERFACE).await?);
        Ok(all)
    }

    async fn compare<I: Interface>(
        &mut self,
        connection: &Connection,
        name: &'static str,
    ) -> zbus::Result<Option<News>> {
        let server = connection.object_server();
        let served = server.interface::<_, I>(PATH).await?;
        let now = served.get().await.get_all(server, connection, None, served.signal_emitter()).await?;
        let Some(was) = self.0.get(name) else {
            self.0.insert(name, now);
            return Ok(None);
        };
        let mut changed = Properties::new();
        for (property, value) in now.iter().filter(|(property, value)| was.get(*property) != Some(value)) {
            changed.insert(property.clone(), value.try_clone()?);
        }
        self.0.insert(name, now);
        let invalid = changed.remove(status::DOCUMENT).map(|_| status::DOCUMENT);
        Ok((!changed.is_empty() || invalid.is_some()).then(|| (name, changed, invalid.into_iter().collect())))
    }
}

#[cfg(test)]
mod tests;
