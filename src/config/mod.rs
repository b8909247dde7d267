//! The configuration: typed TOML. What does not fit is refused at start with file, line, column and what to write
//! instead; nothing is started on a configuration that is half right.
//!
//! [`load`] reads and checks a file; the types below are what the rest of the house is built from. Their doc comments,
//! ranges and examples become the [`schema`]; [`load`] checks a file against that same schema, and the reference in
//! `docs/configuration.md` is made from it. What a schema can't say (one line, two slots) is in `rules`.

mod bus;
mod change;
mod defaults;
mod devices;
mod document;
mod gate;
mod input;
mod load;
mod media;
mod parking;
mod partial;
pub mod rail;
mod rules;
mod schema;
mod service;
mod shape;
mod shown;
mod syntax;
mod theme;
mod units;
mod update;
mod wiring;
mod words;

pub use bus::{Bus, Dbus};
pub use change::{Enrolled, enrolled, foreign_changes, with_media, with_planogram, with_prices};
pub use devices::{
    Board, DropSensor, Faces, Flow, Glass, LineDriver, Night, Panel, PaperText, PortDriver, Printer, RebootBy,
    Temperature,
};
pub use document::Problem;
pub use gate::{Gate, GateDelivered, Undecided};
pub use input::{Calibration, Keypad, Scanner, Touch};
pub use load::{ConfigError, LIMIT, Missing, Typeset, load, load_wiring, parse, rails_in, read, wrong_at};
pub use media::{Media, media_in};
pub use parking::{CodeKey, LaneKey, ListedPass, Mode, Parking, Tickets};
pub use partial::{PartialConfig, load_partial};
pub use rail::{Provider, Rail};
pub use schema::schema;
pub use service::ServiceMenu;
pub use shown::{Redaction, shown};
pub use theme::{Color, Hours, Palette, Slide, SlideFile, Theme, contrast};
pub use units::{Bytes, Span};
pub use update::{InstallBy, Update};
pub use wiring::{Bias, Expander, ExpanderChip, Line, Wired, WiredRelay, Wiring};
pub(crate) use words::nearest;

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signed::keys::KeySource;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{
    CategoryId, Currency, Language, Localized, Minor, PaidWithoutIntent, ProductId, SlotId, UnknownDelivery,
};

/// The languages the interface speaks by itself; a theme may add others.
pub const LANGUAGES: [&str; 3] = ["zh-Hant", "zh-Hans", "en"];

/// Their tags and texts.
pub const SHIPPED: &[(&str, &str)] = &[
    ("en", include_str!("../../assets/locales/en.ftl")),
    ("zh-Hant", include_str!("../../assets/locales/zh-Hant.ftl")),
    ("zh-Hans", include_str!("../../assets/locales/zh-Hans.ftl")),
];

/// A picture larger than this, in pixels a side, is not shown.
pub(crate) const MAX_PICTURE: u32 = 4_096;

/// Everything `kioskd run` needs to know.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kiosk: Kiosk,
    pub state: State,
    #[serde(default)]
    pub sale: Sale,
    pub glass: Glass,
    pub touch: Option<Touch>,
    pub keypad: Option<Keypad>,
    pub scanner: Option<Scanner>,
    pub board: Board,
    pub gate: Option<Gate>,
    pub printer: Printer,
    /// Without it the kiosk sells, and nobody hears of it.
    pub fleet: Option<Fleet>,
    pub metrics: Option<Metrics>,
    #[serde(default)]
    pub dbus: Dbus,
    pub service: Option<ServiceMenu>,
    #[serde(default)]
    pub update: Update,
    #[serde(default)]
    pub media: Media,
    pub parking: Option<Parking>,
    /// How people pay; one to eight, each name once. An entry or exit of a car park may have none.
    #[serde(rename = "rail", default)]
    pub rails: Vec<Rail>,
    /// Of the shelf, where there is more than one look can take in; the products of one are shown together. Eleven at
    /// most.
    #[serde(rename = "category", default)]
    pub categories: Vec<Category>,
    /// What is sold, one at least; each is in at least one slot. None at a car park.
    #[serde(rename = "product", default)]
    pub products: Vec<Product>,
    /// What delivers it, one at least. None at a car park.
    #[serde(rename = "slot", default)]
    pub slots: Vec<Slot>,
    /// Which wires the names of lines mean; a name without one is the kernel's own.
    #[serde(rename = "line", default)]
    pub lines: Vec<Line>,
    /// Port expanders on an I²C bus that kioskd drives itself.
    #[serde(rename = "expander", default)]
    pub expanders: Vec<Expander>,
}

/// Who and where the machine is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kiosk {
    /// One level of an MQTT topic: letters, digits, `_` and `-`, at most 64; not `all`, which means every kiosk, and not `site`,
    /// which means the lanes of a car park.
    #[schemars(extend("examples" = ["K0001"], "pattern" = "^[0-9A-Za-z_-]{1,64}$"))]
    pub id: String,
    /// The fleet it belongs to; written like `id`.
    #[schemars(extend("examples" = ["demo"], "pattern" = "^[0-9A-Za-z_-]{1,64}$"))]
    pub fleet: String,
    /// Where it stands, on every page.
    #[schemars(extend("examples" = [{"en": "Platform 2", "zh-Hant": "2 號月台"}]))]
    pub place: Localized,
    /// Printed at the head of receipts.
    #[schemars(extend("examples" = [{"en": "Demo Drinks Ltd."}]))]
    pub merchant: Localized,
    /// Whom the customer calls.
    #[schemars(length(min = 1, max = 40), extend("examples" = ["400-000-0000"]))]
    pub phone: String,
    /// ISO 4217 code.
    pub currency: Currency,
    /// On every page, in this order; the first is the one the glass wakes up in.
    #[schemars(length(min = 1), extend("examples" = [["zh-Hant", "en"]], "uniqueItems" = true))]
    pub languages: Vec<Language>,
    /// IANA name; for what people read.
    #[serde(default = "defaults::time_zone")]
    #[schemars(extend("examples" = ["Asia/Shanghai"]))]
    pub time_zone: String,
}

/// Where the ledger is and how much room it needs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Holds `kiosk.db`; made if it is not there.
    #[schemars(extend("examples" = ["/var/lib/kioskd"]))]
    pub directory: PathBuf,
    /// Kept aside on the same file system so that money records always fit.
    #[serde(default = "State::reserve")]
    #[schemars(extend("x-minimum" = "1 MiB", "x-maximum" = "1 GiB"))]
    pub reserve: Bytes,
    /// Below this much free space nothing new is sold.
    #[serde(default = "State::min_free")]
    #[schemars(extend("x-minimum" = "1 MiB", "x-maximum" = "1024 GiB"))]
    pub min_free: Bytes,
    /// Events the back end has not acknowledged; at this many sales stop.
    #[serde(default = "State::outbox_max")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub outbox_max: u64,
}

/// How a sale goes. Durations are monotonic time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sale {
    /// How long the QR stays on the glass; at least 60 s where people pay.
    #[schemars(extend("x-minimum" = "5s", "x-maximum" = "10min"))]
    pub qr_life: Span,
    /// One extension by the customer, counted in the provider's expiry from the start.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "10min"))]
    pub more_time: Span,
    /// After the provider's expiry a charge is watched that long for a late payment.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "24h"))]
    pub grace: Span,
    /// The QR goes when no verified answer came from the provider for so long. At least twice a rail's
    /// `poll_seconds`, and more than its `timeout`.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "5min"))]
    pub lease: Span,
    pub unknown_delivery: UnknownDelivery,
    pub paid_without_intent: PaidWithoutIntent,
    /// Slots tried for one unit in the same boot, each only after a self-tested sensor said "no".
    #[schemars(range(min = 1, max = 5))]
    pub attempts: u32,
    /// Units in one basket.
    #[schemars(range(min = 1, max = 20))]
    pub max_units: u32,
    /// Thank-you and receipt show a number of three digits to be called out where the goods are handed over.
    pub pickup_numbers: bool,
    /// Back to the first page when nobody has touched the glass for so long.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub browse_timeout: Span,
    /// How long thank-you and the other last pages stay.
    #[schemars(extend("x-minimum" = "500ms", "x-maximum" = "10min"))]
    pub result_timeout: Span,
    /// Minor units: above this the customer types a code from the glass first.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub confirm_above: Option<Minor>,
    /// The same after so many unpaid orders in a row; 0 is never.
    #[schemars(range(min = 0, max = 1000))]
    pub confirm_after_unpaid: Option<u32>,
    /// After so many unpaid orders in a row, and after each further one, nothing is offered for `cool_down`; 0 is
    /// never.
    #[schemars(range(min = 0, max = 1000))]
    pub cool_down_after_unpaid: Option<u32>,
    /// The pause after too many unpaid orders in a row.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10min"))]
    pub cool_down: Span,
    /// A refund that the provider has not confirmed for so long opens a claim; it is asked after all the same.
    #[schemars(extend("x-minimum" = "1min", "x-maximum" = "720h"))]
    pub silent_claim_after: Span,
}

/// The way to the back end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// `mqtts://HOST:PORT`; or `mqtt://HOST:PORT` without TLS, for a broker on this machine or on a wire of its own.
    #[schemars(extend("examples" = ["mqtts://broker.example.com:8883"], "pattern" = "^mqtts?://[^@/ ]+:[0-9]+$"))]
    pub broker: String,
    /// Another broker, for while the first can't be reached. It is spoken to in the same way, with the same CA, certificate and
    /// key, and whoever listens to the fleet listens there too.
    #[schemars(extend("examples" = ["mqtts://broker-2.example.com:8883"], "pattern" = "^mqtts?://[^@/ ]+:[0-9]+$"))]
    pub fallback: Option<String>,
    /// With TLS: a PEM file with the CA that certifies the broker, in place of the system's. This, `cert` and `key` are read
    /// for each connection, so a renewed certificate counts from the next one on.
    #[schemars(extend("examples" = ["/etc/kioskd/ca.pem"]))]
    pub ca: Option<PathBuf>,
    /// With TLS: the kiosk's own certificate (PEM), with those between it and its CA; needs `key`.
    #[schemars(extend("examples" = ["/etc/kioskd/kiosk.pem"]))]
    pub cert: Option<PathBuf>,
    /// The private key of `cert` (PEM), which only its owner may read.
    #[schemars(extend("examples" = ["file:/etc/kioskd/kiosk.key"]))]
    pub key: Option<KeySource>,
    /// This kiosk's own Ed25519 key (PEM, PKCS#8), as `kioskfleet keygen` makes it: it signs checkpoints of the ledger,
    /// and what the gateway is asked. Others have its public half.
    #[schemars(extend("examples" = ["file:/etc/kioskd/K0001.key"]))]
    pub signing_key: Option<KeySource>,
    /// Whose acknowledgements count. Without one anybody counts who may publish on the topic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub back_end: Vec<TrustedKey>,
    /// The public key of the fleet's root (PEM), which signs keysets. With `keyset` the fleet's office can send commands.
    #[schemars(extend("examples" = ["/etc/kioskd/root.pem"]))]
    pub root: Option<PathBuf>,
    /// Whose commands count, as `kioskfleet keyset` writes it; a newer one comes as a command. Needs `root`.
    #[schemars(extend("examples" = ["/etc/kioskd/keyset.json"]))]
    pub keyset: Option<PathBuf>,
    /// Who holds the merchant's keys in the back end, for rails of kind `gateway` and `emv`; needs `signing_key`.
    pub gateway: Option<TrustedGateway>,
    /// Events sent and not yet acknowledged.
    #[serde(default = "Fleet::window")]
    #[schemars(range(min = 1, max = 1000))]
    pub window: u16,
    /// After a start, and after the broker was lost, the kiosk waits a random part of this or longer before it connects, so that
    /// a street does not come back as one. Brokers take some hundred connections with TLS a second: `"60s"` for 10,000 kiosks.
    #[serde(default = "Fleet::start_delay")]
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub start_delay: Span,
    /// The longest wait before the next try to reach a broker that is away; the wait is a random part of it.
    #[serde(default = "Fleet::reconnect_max")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub reconnect_max: Span,
    /// How often `telemetry` is sent. What reads it takes a kiosk for silent after five minutes.
    #[serde(default = "Fleet::telemetry_every")]
    #[schemars(extend("x-minimum" = "5s", "x-maximum" = "2min"))]
    pub telemetry_every: Span,
    /// How often an [inspection](fleet.md#the-inspection) is sent; the first a minute after a start, or sooner. Needs `signing_key`.
    #[serde(default = "Fleet::inspection_every")]
    #[schemars(extend("x-minimum" = "5s", "x-maximum" = "168h"))]
    pub inspection_every: Span,
    /// A configuration that came as a command is kept when the kiosk sells with it and reaches the broker. When that has not
    /// come true after so long, the one before is in force again.
    #[serde(default = "Fleet::trial")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub trial: Span,
}

/// The same figures as in `telemetry`, for a Prometheus on this machine: `GET /metrics`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// On the loopback, for nobody is asked who they are.
    #[schemars(extend("examples" = ["127.0.0.1:9464"], "pattern" = "^(127\\.[0-9.]+|\\[::1\\]):[0-9]+$"))]
    pub listen: SocketAddr,
}

/// The gateway asks the providers; what it says is believed for its signature.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedGateway {
    /// Whose answers and notices are believed.
    #[schemars(length(min = 1))]
    pub trusted: Vec<TrustedKey>,
    /// Who may only say that a charge was paid, on rails of kind `emv`: the operator's own programs.
    #[serde(default)]
    pub operator: Vec<TrustedKey>,
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// The name its messages give it.
    #[schemars(length(min = 1, max = 64), extend("examples" = ["gateway"]))]
    pub kid: String,
    /// PEM.
    #[schemars(extend("examples" = ["/etc/kioskd/gateway.pub"]))]
    pub file: PathBuf,
}

/// A part of the shelf.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Letters, digits, `_` and `-`, at most 32; not `all`, which is all of them.
    #[schemars(extend("examples" = ["drinks"]))]
    pub id: CategoryId,
    /// On its tab.
    #[schemars(extend("examples" = [{"en": "Drinks", "zh-Hant": "飲料"}]))]
    pub name: Localized,
}

/// One thing that is sold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Letters, digits, `_` and `-`, at most 32.
    #[schemars(extend("examples" = ["cola"]))]
    pub id: ProductId,
    /// What the customer sees; a language that is left out shows English, else the first.
    #[schemars(extend("examples" = [{"en": "Cola 330 ml", "zh-Hant": "可樂 330 毫升"}]))]
    pub name: Localized,
    /// Of one unit, in minor units: 300 is 3.00 CNY.
    #[schemars(range(min = 1, max = 10_000_000), extend("examples" = [300]))]
    pub price: Minor,
    /// PNG or JPEG; or `sha256:` and the SHA-256 of a picture that has come [from the fleet](fleet.md#pictures).
    #[schemars(extend("examples" = ["pictures/cola.png"]))]
    pub picture: Option<PathBuf>,
    /// The tax within the price, shown on the receipt.
    #[schemars(extend("examples" = ["5%"]))]
    pub tax: Option<Rate>,
    /// The `id` of a category; without it the product is shown among all of them only.
    #[schemars(extend("examples" = ["drinks"]))]
    pub category: Option<CategoryId>,
    /// Degrees Celsius: not sold after it was warmer for `max_temperature_for`, until the slots are refilled.
    #[schemars(range(min = -30, max = 60), extend("examples" = [8]))]
    pub max_temperature: Option<i32>,
    /// Longer than loading takes.
    #[serde(default = "Product::max_temperature_for")]
    #[schemars(extend("x-minimum" = "10s", "x-maximum" = "24h"))]
    pub max_temperature_for: Span,
}

/// The position that delivers it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// As printed on the machine: letters, digits, `_` and `-`, at most 16.
    #[schemars(extend("examples" = ["A1"]))]
    pub name: SlotId,
    /// The `id` of a product.
    #[schemars(extend("examples" = ["cola"]))]
    pub product: ProductId,
    /// The relay's line; no other slot or input has it.
    #[schemars(extend("examples" = ["slot-A1"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub line: String,
    /// On the first start; afterwards the ledger knows. At most `capacity`.
    #[schemars(range(min = 0, max = 1000), extend("examples" = [8]))]
    pub stock: u32,
    /// Units it holds when full.
    #[schemars(range(min = 1, max = 1000), extend("examples" = [8]))]
    pub capacity: u32,
    /// Longest time the relay is on; a hard limit whatever the sensor says.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10s", "examples" = ["1500ms"]))]
    pub pulse: Span,
    /// The input that is active while the motor is home. The pulse then ends when the motor is home again, and a motor
    /// that is not takes the slot out of use.
    #[schemars(extend("examples" = ["home-A1"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub home: Option<String>,
    /// The input of a button that chooses this slot's product, as touching it on the glass does.
    #[schemars(extend("examples" = ["button-A1"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub button: Option<String>,
}
