//! The configuration: typed TOML. What does not fit is refused at start with file, line, column and what to write
//! instead; nothing is started on a configuration that is half right.
//!
//! [`load`] reads and checks a file; the types below are what the rest of the house is built from.

mod load;
mod units;

pub use load::{ConfigError, Problem, load, schema};
pub use units::{Bytes, Span};

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::{Currency, Language, Localized, Minor, ProductId, RailKind, SlotId};

/// Everything `kioskd run` needs to know.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kiosk: Kiosk,
    pub state: State,
    #[serde(default)]
    pub sale: Sale,
    pub glass: Glass,
    pub board: Board,
    pub printer: Printer,
    pub fleet: Option<Fleet>,
    #[serde(rename = "rail")]
    pub rails: Vec<Rail>,
    #[serde(rename = "product")]
    pub products: Vec<Product>,
    #[serde(rename = "slot")]
    pub slots: Vec<Slot>,
}

/// Who and where the machine is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kiosk {
    /// One level of an MQTT topic: letters, digits, `_`, `-`.
    pub id: String,
    pub fleet: String,
    pub place: Localized,
    /// Printed at the head of receipts.
    pub merchant: Localized,
    /// Whom the customer calls.
    pub phone: String,
    pub currency: Currency,
    /// On every page, in this order; the first is the one the glass wakes up in.
    pub languages: Vec<Language>,
    /// IANA name; for what people read.
    #[serde(default = "utc")]
    pub time_zone: String,
}

/// Where the ledger is and how much room it needs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub directory: PathBuf,
    /// Kept aside on the same file system so that money records always fit; at least 1 MiB.
    #[serde(default = "State::reserve")]
    pub reserve: Bytes,
    /// Below this much free space nothing new is sold.
    #[serde(default = "State::min_free")]
    pub min_free: Bytes,
    /// Events the back end has not acknowledged; at this many sales stop.
    #[serde(default = "State::outbox_max")]
    pub outbox_max: u64,
}

/// How a sale goes. Durations are monotonic time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sale {
    /// How long the QR stays on the glass: 60 s to 10 min on a real machine.
    pub qr_life: Span,
    /// One extension by the customer, counted in the provider's expiry from the start.
    pub more_time: Span,
    /// After the provider's expiry a charge is watched that long for a late payment.
    pub grace: Span,
    /// The QR goes when no verified answer came from the provider for so long.
    pub lease: Span,
    pub unknown_delivery: UnknownDelivery,
    pub paid_without_intent: PaidWithoutIntent,
    /// Slots tried for one unit in the same boot, each only after a self-tested sensor said "no".
    pub attempts: u32,
    /// Units in one basket.
    pub max_units: u32,
    pub browse_timeout: Span,
    pub result_timeout: Span,
    /// Minor units: above this the customer types a code from the glass first.
    pub confirm_above: Option<Minor>,
    /// The same after so many unpaid orders in a row.
    pub confirm_after_unpaid: Option<u32>,
}

impl Default for Sale {
    fn default() -> Self {
        Self {
            qr_life: Span::seconds(90),
            more_time: Span::seconds(60),
            grace: Span::seconds(600),
            lease: Span::seconds(30),
            unknown_delivery: UnknownDelivery::Refund,
            paid_without_intent: PaidWithoutIntent::Refund,
            attempts: 2,
            max_units: 6,
            browse_timeout: Span::seconds(60),
            result_timeout: Span::seconds(8),
            confirm_above: None,
            confirm_after_unpaid: None,
        }
    }
}

/// What settles a delivery that no sensor can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownDelivery {
    /// Give the money back.
    Refund,
    /// Open a claim; a person settles it.
    Hold,
    /// Keep the money.
    AssumeDelivered,
}

/// What happens after a restart to an order that was paid before anything was energised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaidWithoutIntent {
    /// The customer has probably gone.
    Refund,
    /// Deliver now.
    Resume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Drawn, moved and printed by the world at the other end of `--world`.
    Simulated,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Glass {
    pub driver: Driver,
    /// Pixels, 320 to 4096.
    pub width: u32,
    pub height: u32,
    /// Simplified and Traditional Chinese faces (with Latin); one file each.
    pub font_sc: PathBuf,
    pub font_tc: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub driver: Driver,
    pub door: Option<String>,
    pub tamper: Option<String>,
    #[serde(default = "Board::heartbeat")]
    pub heartbeat: Span,
    pub drop_sensor: Option<DropSensor>,
}

/// A light barrier under the slots whose counter keeps its count through a restart of the kiosk.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropSensor {
    pub emitter: String,
    pub beam: String,
    /// 7-bit I²C address, 0x08 to 0x77.
    pub counter: u8,
    /// After the motor has stopped a product may still be falling that long.
    pub fall_time: Span,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Printer {
    pub driver: Driver,
    /// Dots across: 384 (58 mm) or 576 (80 mm).
    pub columns: u32,
    #[serde(default = "Printer::timeout")]
    pub timeout: Span,
    /// Where a receipt can be read; `{order}` is replaced. Without it the QR's text is the receipt.
    pub receipt_url: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// `mqtt://HOST:PORT`
    pub broker: String,
    /// Events sent and not yet acknowledged, 1 to 1000.
    #[serde(default = "Fleet::window")]
    pub window: u16,
    /// After a cold start the first connection waits a random part of this.
    #[serde(default = "Fleet::start_delay")]
    pub start_delay: Span,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rail {
    pub kind: RailKind,
    pub label: Localized,
    /// Between two questions while a QR is on the glass, 1 s to 10 s.
    #[serde(default = "Rail::poll")]
    pub poll: Span,
    /// For one request.
    #[serde(default = "Rail::timeout")]
    pub timeout: Span,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub id: ProductId,
    pub name: Localized,
    /// Minor units, 1 to 10,000,000.
    pub price: Minor,
    pub picture: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    pub name: SlotId,
    pub product: ProductId,
    /// The relay's line.
    pub line: String,
    /// On the first start; afterwards the ledger knows.
    pub stock: u32,
    pub capacity: u32,
    /// Longest time the relay is on, 10 ms to 10 s; a hard limit whatever the sensor says.
    pub pulse: Span,
}

fn utc() -> String {
    "UTC".into()
}

impl State {
    fn reserve() -> Bytes {
        Bytes::mib(4)
    }

    fn min_free() -> Bytes {
        Bytes::mib(16)
    }

    fn outbox_max() -> u64 {
        1_000_000
    }
}

impl Board {
    fn heartbeat() -> Span {
        Span::seconds(2)
    }
}

impl Printer {
    fn timeout() -> Span {
        Span::seconds(8)
    }
}

impl Fleet {
    fn window() -> u16 {
        64
    }

    fn start_delay() -> Span {
        Span::seconds(30)
    }
}

impl Rail {
    fn poll() -> Span {
        Span::seconds(3)
    }

    fn timeout() -> Span {
        Span::seconds(5)
    }
}
