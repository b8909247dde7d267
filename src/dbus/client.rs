//! The other end: what `kioskctl` asks a running kiosk.
//!
//! Policy: it never starts a kiosk. Whoever asks how it is wants to hear that it does not run.

use std::collections::BTreeMap;
use std::time::Duration;

use zbus::{Connection, DynamicType, OwnedVariant, fdo};

use super::error;
use super::handle::Touched;
use super::report::Report;
use super::sales::OrderLine;
use super::shown::Stock;
use super::{Address, NAME, PATH, builder};
use crate::config::Calibration;
use crate::operation::{Digest, LanguageTag, Operation, Refusal, Units};
use crate::vocabulary::{ClaimSettlement, Corner, Outlet, SlotId, Spot};

/// Longer than a kiosk takes for an answer.
const PATIENCE: Duration = Duration::from_secs(25);
/// Longer than its sale waits for a lane: by the greatest times that a gate may have, and two minutes.
const FOR_A_LANE: Duration = Duration::from_secs(1_600);

const STATUS: &str = super::status::INTERFACE;
const SERVICE: &str = "org.kioskd.Kiosk1.Service";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error("there is no bus to reach the kiosk by ({0}); is dbus running? A demo is on the session's: --bus session")]
    Bus(zbus::Error),
    #[error("no kiosk is on this bus: `systemctl status kioskd` says whether it runs, `journalctl -u kioskd` why not")]
    NoKiosk,
    /// There are others, by their instances' names; a kiosk without one is `` here.
    #[error("this kiosk is not on the bus; {}", others(.0))]
    Others(Vec<String>),
    #[error(
        "the bus does not let you speak with the kiosk; root may, and the group kiosk-tech: usermod -aG kiosk-tech NAME, \
         then log in again"
    )]
    NotLetIn,
    /// In the kiosk's words.
    #[error("{0}")]
    Refused(String),
    /// Whoever asks may not, in the kiosk's words; another might.
    #[error("{0}")]
    NotAllowed(String),
    #[error("the kiosk has given no answer: {0}")]
    Lost(zbus::Error),
}

impl NoAnswer {
    /// The kiosk is there and says no, in its words.
    pub fn no(&self) -> Option<&str> {
        match self {
            Self::Refused(says) | Self::NotAllowed(says) => Some(says),
            Self::Bus(_) | Self::NoKiosk | Self::Others(_) | Self::NotLetIn | Self::Lost(_) => None,
        }
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Something is otherwise than before, or not.
    Changed(bool),
    /// The order that has begun with it.
    Order(String),
    /// A relay was energised, and the sensor counted so many units; `None` where no sensor can say.
    Energised { outlet: Outlet, counted: Option<u32> },
    /// The number of the report that was made.
    Report(u32),
    /// The number of the request under which a test is on record.
    Recorded(String),
}

/// What to ask instead.
fn others(there: &[String]) -> String {
    let one = |name: &String| match name.as_str() {
        "" => "the one without --kiosk".to_owned(),
        name => format!("--kiosk {name}"),
    };
    format!("there is {}", there.iter().map(one).collect::<Vec<_>>().join(", "))
}

pub struct Client {
    connection: Connection,
    name: String,
}

impl Client {
    /// # Errors
    /// There is no bus, or no kiosk on it.
    pub async fn connect(address: &Address) -> Result<Self, NoAnswer> {
        let connection = builder(address.bus).method_timeout(FOR_A_LANE).build().await.map_err(NoAnswer::Bus)?;
        let (bus, name) = ("org.freedesktop.DBus", address.name());
        let names = connection.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "ListNames", &());
        let names = in_time(PATIENCE, names).await.and_then(|answer| answer.body().deserialize::<Vec<String>>());
        let names = names.map_err(NoAnswer::Bus)?;
        if names.contains(&name) {
            return Ok(Self { connection, name });
        }
        let instance = |there: &String| {
            let behind = there.strip_prefix(NAME)?;
            behind.strip_prefix('.').or_else(|| behind.is_empty().then_some("")).map(str::to_owned)
        };
        match names.iter().filter_map(instance).collect::<Vec<_>>() {
            there if there.is_empty() => Err(NoAnswer::NoKiosk),
            there => Err(NoAnswer::Others(there)),
        }
    }

    /// How it is.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn report(&self) -> Result<Report, NoAnswer> {
        let document: String = self.property("Document").await?;
        let link: (String, String) = self.property("FleetLink").await?;
        Report::read(&document, link).ok_or(NoAnswer::Lost(zbus::Error::InvalidReply))
    }

    /// Whether it does not sell for a reason of this kind.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn reason(&self, kind: &str) -> Result<bool, NoAnswer> {
        let reasons: Vec<(String, String)> = self.property("Reasons").await?;
        Ok(reasons.iter().any(|(known, _)| known == kind))
    }

    /// Each slot with its product and the units in it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn slots(&self) -> Result<Vec<(String, String, u32)>, NoAnswer> {
        let stock: BTreeMap<String, Stock> = self.property("Stock").await?;
        Ok(stock.into_iter().map(|(slot, (product, count, _))| (slot, product, count)).collect())
    }

    /// The languages that the glass offers, and those of which they are chosen.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn languages(&self) -> Result<(Vec<String>, Vec<String>), NoAnswer> {
        self.call(SERVICE, "Languages", &()).await?.body().deserialize().map_err(NoAnswer::Lost)
    }

    /// Whether the network sets this machine's clock; `None` where no service of the bus can say.
    pub async fn clock_is_set_by_the_network(&self) -> Option<bool> {
        let (name, path) = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1");
        let asked = (name, "NTPSynchronized");
        let properties = Some("org.freedesktop.DBus.Properties");
        let answer = self.connection.call_method(Some(name), path, properties, "Get", &asked).await.ok()?;
        bool::try_from(answer.body().deserialize::<OwnedVariant>().ok()?).ok()
    }

    /// Asks for an operation, and waits until it is done and on disk.
    ///
    /// # Errors
    /// It was refused, or there is no answer.
    pub async fn operate(&self, asked: &Operation) -> Result<Done, NoAnswer> {
        match asked {
            Operation::Lock { reason } => self.change("Lock", &reason.as_str()).await,
            Operation::Unlock => self.change("Unlock", &()).await,
            Operation::SetStock { slot, count } => self.change("SetStock", &(slot.as_str(), count)).await,
            Operation::Refill => self.change("Refill", &()).await,
            Operation::RefillSlots { slots } => {
                self.change("RefillSlots", &slots.iter().map(SlotId::as_str).collect::<Vec<_>>()).await
            }
            Operation::AddStock { units } => self.add_stock(units, "").await,
            Operation::SettleClaim { order, how } => {
                let how = match how {
                    ClaimSettlement::Delivered => "delivered",
                    ClaimSettlement::Refund => "refund",
                    ClaimSettlement::PaidOutside => "paid-outside",
                    ClaimSettlement::ByProvider => "by-provider",
                };
                self.change("SettleClaim", &(order.to_string(), how)).await
            }
            Operation::Vend { product } => self.begin("Vend", product.as_str()).await,
            Operation::TestVend { slot } => self.begin("TestVend", slot.as_str()).await,
            Operation::Maintenance { on } => self.change("Maintenance", on).await,
            Operation::Pulse { outlet } => {
                let answer = self.call(SERVICE, "Pulse", &outlet.to_string()).await?;
                let (known, fell) = answer.body().deserialize().map_err(NoAnswer::Lost)?;
                Ok(Done::Energised { outlet: outlet.clone(), counted: Some(fell).filter(|_| known) })
            }
            Operation::Raise { reason } => self.wish("Raise", &reason.as_str()).await,
            Operation::KeepOpen { reason } => self.wish("KeepOpen", &reason.as_str()).await,
            Operation::Release { reason } => self.wish("Release", &reason.as_str()).await,
            Operation::CarsInside { cars, reason } => self.wish("CarsInside", &(cars, reason.as_str())).await,
            Operation::VoidTicket { ticket, reason } => {
                self.change("VoidTicket", &(ticket.as_str(), reason.as_str())).await
            }
            Operation::CashUp => {
                let answer = self.call(SERVICE, "CashUp", &()).await?;
                answer.body().deserialize().map(Done::Report).map_err(NoAnswer::Lost)
            }
            Operation::PrintTest => {
                self.call(SERVICE, "PrintTest", &()).await?;
                Ok(Done::Changed(true))
            }
            Operation::PrintReport { number } => {
                self.call(SERVICE, "PrintReport", number).await?;
                Ok(Done::Changed(true))
            }
            Operation::Reboot => {
                self.call(SERVICE, "Reboot", &()).await?;
                Ok(Done::Changed(true))
            }
            Operation::Languages { languages } => {
                self.change("SetLanguages", &languages.iter().map(LanguageTag::as_str).collect::<Vec<_>>()).await
            }
            Operation::RecordTest { checks } => {
                let checks: Vec<(&str, &str, &str)> =
                    checks.iter().map(|of| (of.part.as_str(), of.result.word(), of.says.as_str())).collect();
                let answer = self.call(SERVICE, "RecordTest", &checks).await?;
                answer.body().deserialize().map(Done::Recorded).map_err(NoAnswer::Lost)
            }
            Operation::Screenshot | Operation::Logs { .. } | Operation::Bundle => {
                Err(NoAnswer::Refused(Refusal::OnlyByFleet.to_string()))
            }
            Operation::RotateKeys { .. }
            | Operation::ResendEvents { .. }
            | Operation::Refund { .. }
            | Operation::Inspect
            | Operation::ApplyConfig { .. }
            | Operation::SetPrices { .. }
            | Operation::SetPlanogram { .. }
            | Operation::SetMedia { .. }
            | Operation::InstallUpdate { .. } => {
                Err(NoAnswer::Refused("only the fleet asks for that, by a signed command".into()))
            }
        }
    }

    /// The newest orders, at most so many (1 to 1000), the newest first.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn orders(&self, limit: u32) -> Result<Vec<OrderLine>, NoAnswer> {
        self.call(super::sales::INTERFACE, "Orders", &limit).await?.body().deserialize().map_err(NoAnswer::Lost)
    }

    /// What happened on one order: for people, and as JSON.
    ///
    /// # Errors
    /// There is no such order, or no answer.
    pub async fn story(&self, order: &str) -> Result<(String, String), NoAnswer> {
        self.call(super::sales::INTERFACE, "Story", &order).await?.body().deserialize().map_err(NoAnswer::Lost)
    }

    /// A PNG file of what is on the glass, and what the code says that is shown there.
    ///
    /// # Errors
    /// Nobody sees anything there, or there is no answer.
    pub async fn screenshot(&self) -> Result<(Vec<u8>, Option<String>), NoAnswer> {
        let answer = self.call(SERVICE, "Screenshot", &()).await?;
        let (png, code): (Vec<u8>, String) = answer.body().deserialize().map_err(NoAnswer::Lost)?;
        Ok((png, Some(code).filter(|code| !code.is_empty())))
    }

    /// Adds to the stock once, however often it is asked under the same `request`.
    ///
    /// # Errors
    /// It was refused, or there is no answer.
    pub async fn add_stock(&self, units: &Units, request: &str) -> Result<Done, NoAnswer> {
        let units: BTreeMap<&str, u32> = units.iter().map(|(slot, count)| (slot.as_str(), count.get())).collect();
        self.change("AddStock", &(units, request)).await
    }

    /// Shows a mark on the glass until a finger comes; `None` where none does.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn mark(&self, corner: Corner) -> Result<Option<Touched>, NoAnswer> {
        let answer = self.call(SERVICE, "Mark", &corner.name()).await?;
        let (touched, x, y, rotation, calibration): (bool, f64, f64, u32, String) =
            answer.body().deserialize().map_err(NoAnswer::Lost)?;
        if !touched {
            return Ok(None);
        }
        let calibration = Calibration::parse(&calibration).ok_or(NoAnswer::Lost(zbus::Error::InvalidReply))?;
        Ok(Some(Touched { spot: Spot { x, y }, calibration, rotation }))
    }

    /// What a camera has read of a car at the gate.
    ///
    /// # Errors
    /// It is no plate, no car comes or goes there, or there is no answer.
    pub async fn plate_seen(&self, plate: &str) -> Result<(), NoAnswer> {
        self.call(SERVICE, "PlateSeen", &plate).await.map(drop)
    }

    /// A report for people and as JSON; 0: what has happened since the last one.
    ///
    /// # Errors
    /// There is no such report, or no answer.
    pub async fn cash_up(&self, number: u32) -> Result<(String, String), NoAnswer> {
        let answer = self.call(super::sales::INTERFACE, "Report", &number).await?;
        answer.body().deserialize().map_err(NoAnswer::Lost)
    }

    /// What a kiosk of a car park has done in these days, both included: for people and as JSON.
    ///
    /// # Errors
    /// It is none of a car park, these are no days, or there is no answer.
    pub async fn parking(&self, from: &str, to: &str) -> Result<(String, String), NoAnswer> {
        let answer = self.call(super::sales::INTERFACE, "Parking", &(from, to)).await?;
        answer.body().deserialize().map_err(NoAnswer::Lost)
    }

    /// A test by the number of its request, the newest where that is empty: for people, and the file that proves it.
    ///
    /// # Errors
    /// There is no such test, or no answer.
    pub async fn test_report(&self, request: &str) -> Result<(String, String), NoAnswer> {
        self.call(SERVICE, "TestReport", &request).await?.body().deserialize().map_err(NoAnswer::Lost)
    }

    /// The kiosk's signed word that the caller has a bundle with this manifest.
    ///
    /// # Errors
    /// The kiosk has no key, or there is no answer.
    pub async fn seal_bundle(&self, sha256: &Digest) -> Result<String, NoAnswer> {
        self.call(SERVICE, "SealBundle", &sha256.as_str()).await?.body().deserialize().map_err(NoAnswer::Lost)
    }

    async fn change<A: serde::Serialize + DynamicType>(&self, method: &str, arguments: &A) -> Result<Done, NoAnswer> {
        let answer = self.call(SERVICE, method, arguments).await?;
        answer.body().deserialize().map(Done::Changed).map_err(NoAnswer::Lost)
    }

    /// Likewise where the lane's word is waited for: a car passes when its driver likes.
    async fn wish<A: serde::Serialize + DynamicType>(&self, method: &str, arguments: &A) -> Result<Done, NoAnswer> {
        let answer = self.answer(FOR_A_LANE, SERVICE, method, arguments).await?;
        answer.body().deserialize().map(Done::Changed).map_err(NoAnswer::Lost)
    }

    async fn begin(&self, method: &str, what: &str) -> Result<Done, NoAnswer> {
        let answer = self.call(SERVICE, method, &what).await?;
        answer.body().deserialize().map(Done::Order).map_err(NoAnswer::Lost)
    }

    async fn property<T: TryFrom<OwnedVariant, Error: Into<zbus::Error>>>(&self, name: &str) -> Result<T, NoAnswer> {
        let answer = self.call("org.freedesktop.DBus.Properties", "Get", &(STATUS, name)).await?;
        let value: OwnedVariant = answer.body().deserialize().map_err(NoAnswer::Lost)?;
        T::try_from(value).map_err(|error| NoAnswer::Lost(error.into()))
    }

    async fn call<A: serde::Serialize + DynamicType>(
        &self,
        interface: &str,
        method: &str,
        arguments: &A,
    ) -> Result<zbus::Message, NoAnswer> {
        self.answer(PATIENCE, interface, method, arguments).await
    }

    async fn answer<A: serde::Serialize + DynamicType>(
        &self,
        patience: Duration,
        interface: &str,
        method: &str,
        arguments: &A,
    ) -> Result<zbus::Message, NoAnswer> {
        let call = self.connection.call_method(Some(self.name.as_str()), PATH, Some(interface), method, arguments);
        in_time(patience, call).await.map_err(|error| match error {
            zbus::Error::MethodError(name, Some(says), _) if name.starts_with(NAME) => match error::may_not(&name) {
                true => NoAnswer::NotAllowed(says),
                false => NoAnswer::Refused(says),
            },
            zbus::Error::FDO(error) => match *error {
                fdo::Error::AccessDenied(_) => NoAnswer::NotLetIn,
                fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => NoAnswer::NoKiosk,
                error => NoAnswer::Lost(error.into()),
            },
            error => NoAnswer::Lost(error),
        })
    }
}

/// The connection waits for the slowest answer of all.
async fn in_time<T>(patience: Duration, call: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    tokio::time::timeout(patience, call).await.unwrap_or_else(late)
}
