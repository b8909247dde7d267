//! What a person with the right to it may ask of the machine, whether over the fleet, on the bus, in the service menu or on
//! the demo's page: one list of operations for all of them. Pure.
//!
//! Policy: who asks is named, and the name is in the ledger. An operation is begun on disk before anything of it is done,
//! and ended on disk, with its outcome, before anybody is answered; the same number again gets the stored outcome and
//! does nothing. A request that does not fit (no right, in mid-sale, a slot that is not there) ends as refused, with the
//! reason, and has no effect. So the audit, "exactly once" and the answer come from one place.
//!
//! An edge makes a [`Request`] only of what it has authenticated: a signature, a user of the bus, a PIN. What that person
//! may do is in the request; whether it may be done now is for the sale to say.

mod findings;
mod media;
mod software;
mod text;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

pub use findings::{BadFindings, CheckResult, Finding, Findings, PartName, Seen};
pub use media::{MediaSlide, MediaUrl, Medium, SlideHours, TimeOfDay};
pub use software::{BundlePlace, Compatible, Digest, Version};
pub use text::{ConfigText, KeyName, KeysetText, LanguageTag, Moment, Reason, RequestId, TicketText};
pub use window::ReplayWindow;

use crate::vocabulary::{Cause, ClaimSettlement, Language, Minor, OrderId, Outlet, ProductId, SlotId, StopReason};

/// Something asked by somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Chosen by who asks; asked again under the same number, it is the same request.
    pub id: RequestId,
    pub by: Actor,
    pub rights: Rights,
    /// Meant for this moment: somebody stands there, or has proved to know this run of the daemon.
    pub live: bool,
    /// It came later than its sender has allowed.
    pub expired: bool,
    pub asked: Operation,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "actor", rename_all = "kebab-case")]
pub enum Actor {
    /// The holder of a key of the fleet's, by its counter; the fleet's root, by its keyset's version.
    Fleet { kid: KeyName, counter: u64 },
    /// A user of this machine, as the bus names it.
    Technician { uid: u32 },
    /// Somebody at the glass who knows the service PIN.
    Menu,
    /// The demo's page.
    Demo,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Take the machine out of service; the reason is on the glass and in the state.
    Lock { reason: Reason },
    /// Put it back into service.
    Unlock,
    /// So many units lie in the slot.
    SetStock { slot: SlotId, count: u32 },
    /// Every slot is full, and none is faulty any more.
    Refill,
    /// These slots are full, and none of them is faulty any more.
    RefillSlots { slots: BTreeSet<SlotId> },
    /// So many units were put into these slots, on top of what lay there.
    AddStock { units: Units },
    /// A person has decided a claim.
    SettleClaim { order: OrderId, how: ClaimSettlement },
    /// A person gives back what was paid for goods that were delivered: so much, or all that is left of it. Of what was not
    /// delivered the kiosk gives back by itself.
    Refund {
        order: OrderId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Minor>,
    },
    /// One unit of a product, given away.
    Vend { product: ProductId },
    /// One unit out of this slot, faulty or not, to see whether it works. No revenue.
    TestVend { slot: SlotId },
    /// Somebody works on the machine, or does no more: meanwhile nothing is sold.
    Maintenance { on: bool },
    /// Energise the relay of a slot or a gate once, whatever lies there and with the door open too; in maintenance alone.
    Pulse { outlet: Outlet },
    /// One car may pass the gate. It is done once the lane says what came of it.
    Raise { reason: Reason },
    /// The gate stays open until it is released.
    KeepOpen { reason: Reason },
    /// It is no longer kept open, and the lane may lower it, whoever has raised it.
    Release { reason: Reason },
    /// This ticket counts no more: it is lost, or its car is not there.
    VoidTicket { ticket: TicketText, reason: Reason },
    /// So many cars are inside: a person has counted them.
    CarsInside { cars: u32, reason: Reason },
    /// A report of what was taken since the last one; it has the next number and is printed.
    CashUp,
    /// A report that was made before is printed once more, as a copy.
    PrintReport { number: u32 },
    /// A page on which the paper's width, its characters and its code can be looked at.
    PrintTest,
    /// The glass offers these languages, in this order, from its next first page on; the first is the one that a new
    /// customer sees. Each is one of the configuration's.
    Languages { languages: Vec<LanguageTag> },
    /// Restart the board.
    Reboot,
    /// A person has tested the machine, and this is what they have found; nothing is done for it.
    RecordTest { checks: Findings },
    /// These are the fleet's keys from now on. Only the fleet's root may ask for it, whose signature the keyset bears.
    RotateKeys { version: u64, keyset: KeysetText },
    /// The events after this number are sent to the back end once more.
    ResendEvents { after: u64 },
    /// This is the configuration from now on. It is checked like a file, tried between sales, and kept once the machine
    /// sells with it.
    ApplyConfig { config: ConfigText },
    /// Likewise the configuration that is in force, with these prices in place of those in it.
    SetPrices { prices: BTreeMap<ProductId, Minor> },
    /// Likewise, with other goods in these slots.
    SetPlanogram { slots: BTreeMap<SlotId, Assignment> },
    /// Likewise, with other pictures of products, other slides or another logo. They are fetched before, each by its
    /// SHA-256.
    SetMedia {
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        products: BTreeMap<ProductId, Medium>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slides: Option<Vec<MediaSlide>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        logo: Option<Medium>,
    },
    /// Who asks sees what a customer sees now. It is on record that he has looked.
    Screenshot,
    /// Who asks gets the newest lines of the daemon's log, so many, and none from before.
    Logs {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<NonZeroU32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Moment>,
    },
    /// Who asks gets what support needs, in one file.
    Bundle,
    /// Tell the fleet, signed, how the machine is in every part.
    Inspect,
    /// Install the software in this bundle, whose file has this SHA-256 and whose manifest says this version, and restart
    /// the board when nobody buys. It has ended when the new software has proved itself, or the former runs again.
    InstallUpdate {
        bundle: BundlePlace,
        sha256: Digest,
        version: Version,
        /// The kind of machine; others refuse it.
        #[serde(default)]
        compatible: Option<Compatible>,
        /// Although this bundle fell back before.
        #[serde(default)]
        retry: bool,
        /// Although it is older than what runs.
        #[serde(default)]
        downgrade: bool,
    },
}

/// What is in a slot from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    pub product: ProductId,
    /// So many units lie there, where the product is new in the slot; none where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<u32>,
    /// So many fit; as before where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// Units, at least one, by slot.
pub type Units = BTreeMap<SlotId, NonZeroU32>;

/// What somebody must be allowed in order to ask for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Keep the machine: lock it, fill it.
    Service,
    /// Energise something.
    Motion,
    /// Decide about money, or give goods away.
    Money,
    /// Say what the machine sells, at what price and by which devices.
    Configure,
    /// Decide which software runs.
    Update,
}

/// The rights somebody has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    pub service: bool,
    pub motion: bool,
    pub money: bool,
    pub configure: bool,
    pub update: bool,
}

/// When an operation may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    Any,
    /// Only when asked for this moment, and then even while somebody buys.
    Live,
    /// Not while somebody chooses, pays or waits for goods; and only when asked for this moment: what was on its way for
    /// a day must move nothing, and restart nothing.
    LiveBetweenSales,
}

impl Operation {
    /// The right that it needs. Giving goods away needs two, and so does a way past the gate that nobody pays for.
    pub fn needs(&self) -> &'static [Right] {
        match self {
            Self::Lock { .. }
            | Self::Unlock
            | Self::SetStock { .. }
            | Self::Refill
            | Self::RefillSlots { .. }
            | Self::AddStock { .. }
            | Self::Maintenance { .. }
            | Self::PrintTest
            | Self::Languages { .. }
            | Self::Reboot
            | Self::RecordTest { .. }
            | Self::RotateKeys { .. }
            | Self::ResendEvents { .. }
            | Self::Screenshot
            | Self::Logs { .. }
            | Self::Bundle
            | Self::Inspect => &[Right::Service],
            Self::SettleClaim { .. } | Self::Refund { .. } | Self::CashUp | Self::PrintReport { .. } => &[Right::Money],
            Self::VoidTicket { .. } | Self::CarsInside { .. } => &[Right::Money],
            Self::Vend { .. } | Self::Raise { .. } | Self::KeepOpen { .. } => &[Right::Motion, Right::Money],
            Self::TestVend { .. } | Self::Pulse { .. } | Self::Release { .. } => &[Right::Motion],
            Self::ApplyConfig { .. } | Self::SetPrices { .. } | Self::SetPlanogram { .. } | Self::SetMedia { .. } => {
                &[Right::Configure]
            }
            Self::InstallUpdate { .. } => &[Right::Update],
        }
    }

    pub fn timing(&self) -> Timing {
        match self {
            // Money goes out.
            Self::SettleClaim { how: ClaimSettlement::Refund, .. } | Self::Refund { .. } => Timing::Live,
            // Somebody stands before the gate, in mid-sale too; and who has counted has counted now.
            Self::Raise { .. } | Self::KeepOpen { .. } | Self::Release { .. } | Self::CarsInside { .. } => Timing::Live,
            // What is private now is for who asks now.
            Self::Screenshot | Self::Logs { .. } | Self::Bundle => Timing::Live,
            Self::Lock { .. }
            | Self::Unlock
            | Self::SetStock { .. }
            | Self::Refill
            | Self::RefillSlots { .. }
            | Self::AddStock { .. }
            | Self::Maintenance { .. }
            | Self::SettleClaim { .. }
            | Self::VoidTicket { .. }
            | Self::CashUp
            | Self::PrintReport { .. }
            | Self::PrintTest
            | Self::Languages { .. }
            | Self::RecordTest { .. }
            | Self::RotateKeys { .. }
            | Self::ResendEvents { .. }
            | Self::Inspect
            | Self::ApplyConfig { .. }
            | Self::SetPrices { .. }
            | Self::SetPlanogram { .. }
            | Self::SetMedia { .. }
            | Self::InstallUpdate { .. } => Timing::Any,
            Self::Vend { .. } | Self::TestVend { .. } | Self::Pulse { .. } | Self::Reboot => Timing::LiveBetweenSales,
        }
    }

    /// Whether a file comes with the answer, so that only who has a way for one can be answered.
    pub fn brings_a_file(&self) -> bool {
        matches!(self, Self::Screenshot | Self::Logs { .. } | Self::Bundle)
    }

    /// Every verb there is.
    pub const VERBS: [&str; 34] = [
        "lock",
        "unlock",
        "set-stock",
        "refill",
        "refill-slots",
        "add-stock",
        "settle-claim",
        "refund",
        "vend",
        "test-vend",
        "maintenance",
        "pulse",
        "raise",
        "keep-open",
        "release",
        "void-ticket",
        "cars-inside",
        "cash-up",
        "print-report",
        "print-test",
        "languages",
        "reboot",
        "record-test",
        "rotate-keys",
        "resend-events",
        "apply-config",
        "set-prices",
        "set-planogram",
        "set-media",
        "screenshot",
        "logs",
        "bundle",
        "inspect",
        "install-update",
    ];

    /// As in JSON.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Lock { .. } => "lock",
            Self::Unlock => "unlock",
            Self::SetStock { .. } => "set-stock",
            Self::Refill => "refill",
            Self::RefillSlots { .. } => "refill-slots",
            Self::AddStock { .. } => "add-stock",
            Self::SettleClaim { .. } => "settle-claim",
            Self::Refund { .. } => "refund",
            Self::Vend { .. } => "vend",
            Self::TestVend { .. } => "test-vend",
            Self::Maintenance { .. } => "maintenance",
            Self::Pulse { .. } => "pulse",
            Self::Raise { .. } => "raise",
            Self::KeepOpen { .. } => "keep-open",
            Self::Release { .. } => "release",
            Self::VoidTicket { .. } => "void-ticket",
            Self::CarsInside { .. } => "cars-inside",
            Self::CashUp => "cash-up",
            Self::PrintReport { .. } => "print-report",
            Self::PrintTest => "print-test",
            Self::Languages { .. } => "languages",
            Self::Reboot => "reboot",
            Self::RecordTest { .. } => "record-test",
            Self::RotateKeys { .. } => "rotate-keys",
            Self::ResendEvents { .. } => "resend-events",
            Self::ApplyConfig { .. } => "apply-config",
            Self::SetPrices { .. } => "set-prices",
            Self::SetPlanogram { .. } => "set-planogram",
            Self::SetMedia { .. } => "set-media",
            Self::Screenshot => "screenshot",
            Self::Logs { .. } => "logs",
            Self::Bundle => "bundle",
            Self::Inspect => "inspect",
            Self::InstallUpdate { .. } => "install-update",
        }
    }
}

impl Actor {
    /// The key name under which the fleet's root acts; no other key may have it.
    pub const ROOT: &'static str = "root";

    /// Whether it is the fleet's root.
    pub fn is_root(&self) -> bool {
        matches!(self, Self::Fleet { kid, .. } if kid.as_str() == Self::ROOT)
    }
}

impl Rights {
    pub const ALL: Self = Self { service: true, motion: true, money: true, configure: true, update: true };

    fn has(self, right: Right) -> bool {
        match right {
            Right::Service => self.service,
            Right::Motion => self.motion,
            Right::Money => self.money,
            Right::Configure => self.configure,
            Right::Update => self.update,
        }
    }
}

impl Request {
    /// Whether who asks may have it at all. `busy`: somebody chooses, pays or waits for goods.
    ///
    /// # Errors
    /// Why not.
    pub fn permitted(&self, busy: bool) -> Result<(), Refusal> {
        if let Some(right) = self.asked.needs().iter().find(|right| !self.rights.has(**right)) {
            return Err(Refusal::NoRight { right: *right });
        }
        if self.expired {
            return Err(Refusal::Expired);
        }
        match self.asked.timing() {
            Timing::Live | Timing::LiveBetweenSales if !self.live => Err(Refusal::NotLive),
            Timing::LiveBetweenSales if busy => Err(Refusal::InMidSale),
            Timing::Any | Timing::Live | Timing::LiveBetweenSales => Ok(()),
        }
    }
}

/// What came of an operation. It is written once and never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// Done. `order`: the order that began with it. `report`: the number of the report that was made or is printed.
    Changed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<u32>,
    },
    /// A relay was energised. `counted`: so many units fell, or cars passed, where a sensor can say so.
    Energised {
        outlet: Outlet,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted: Option<u32>,
    },
    /// It was so already.
    Unchanged,
    /// Not done, and why.
    Refused { why: Refusal },
    /// Begun and not brought to an end.
    Failed { why: Cause },
}

/// Why an operation is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "kebab-case")]
pub enum Refusal {
    /// Who asks has not this right.
    NoRight {
        right: Right,
    },
    /// It is done at once or not at all, and was not asked for this moment.
    NotLive,
    /// It came later than its sender has allowed.
    Expired,
    /// Somebody chooses, pays or waits for goods.
    InMidSale,
    /// Another request had this number.
    NumberTaken,
    /// The key's command with this counter was taken before, or it is older than the newest 64.
    CounterUsed,
    /// Only the fleet's root says whose keys count.
    OnlyByRoot,
    /// Only the fleet is sent a file.
    OnlyByFleet,
    NoSuchSlot,
    NoSuchGate,
    /// This kiosk has no gate.
    NoGate,
    /// This kiosk is none of a car park.
    NotACarPark,
    /// It is no ticket's number.
    NoSuchTicket,
    NoSuchProduct,
    NothingIsKeptHere,
    /// The slot holds less.
    HoldsLess {
        capacity: u32,
    },
    /// So many lie in the slot already that the others do not fit.
    NoRoom {
        slot: SlotId,
        count: u32,
        capacity: u32,
    },
    NoneLeft,
    CannotDeliver {
        reason: StopReason,
    },
    /// The board has not answered yet.
    NotReady,
    /// The order is not open, or has no open claim.
    NoOpenClaim,
    /// Only the provider's own word settles a claim so.
    OnlyByProvider,
    /// A relay is tried in maintenance alone.
    NotInMaintenance,
    /// Another relay is being tried.
    RelayIsTried,
    /// No report has this number.
    NoSuchReport,
    /// None was named, one was named twice, or one is not among those of the configuration.
    BadLanguages {
        configured: Vec<Language>,
    },
    /// What is wrong with the configuration, a line each, as a file's check says it.
    BadConfig {
        problems: Vec<String>,
    },
    /// A picture is not what was asked for, or is none that can be shown: a line each.
    BadMedia {
        problems: Vec<String>,
    },
    /// Another configuration is being tried, or waits for the end of a sale.
    ConfigIsTried,
    NoSuchOrder,
    /// A unit of it is on its way.
    OrderIsOpen,
    /// A person settles its claim, and that says what goes back.
    ClaimIsOpen,
    /// So much is left of what was paid for it, in minor units.
    LessIsLeft {
        left: Minor,
    },
    /// Nobody here installs bundles.
    NoInstaller {
        how: String,
    },
    /// Another update is under way.
    UpdateUnderWay {
        version: Version,
    },
    /// This bundle was tried here, and the machine went back from it.
    FellBackBefore,
    /// It is older than what runs.
    OlderThanRuns {
        runs: Version,
    },
    /// The bundle is for another kind of machine.
    OtherMachine {
        compatible: String,
    },
}

/// What is known of a request that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub asked: Operation,
    pub by: Actor,
    /// `None`: begun and not ended.
    pub outcome: Option<Outcome>,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet { kid, counter } => write!(f, "the fleet's key {kid} (command {counter})"),
            Self::Technician { uid } => write!(f, "a technician (user {uid})"),
            Self::Menu => f.write_str("the service menu"),
            Self::Demo => f.write_str("the demo's page"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock { reason } => write!(f, "lock: {reason}"),
            Self::Unlock | Self::Refill => f.write_str(self.verb()),
            Self::SetStock { slot, count } => write!(f, "set the stock of {slot} to {count}"),
            Self::RefillSlots { slots } => {
                let slots: Vec<String> = slots.iter().map(|slot| format!(" {slot}")).collect();
                write!(f, "refill{}", slots.join(","))
            }
            Self::AddStock { units } => {
                let units: Vec<String> = units.iter().map(|(slot, count)| format!(" {count} to {slot}")).collect();
                write!(f, "add{}", units.join(","))
            }
            Self::SettleClaim { order, how } => {
                let how = match how {
                    ClaimSettlement::Delivered => "the customer has the goods",
                    ClaimSettlement::Refund => "the rest goes back through the provider",
                    ClaimSettlement::PaidOutside => "paid back by other means",
                    ClaimSettlement::ByProvider => "by the provider's word",
                };
                write!(f, "settle the claim of order {order}: {how}")
            }
            Self::Refund { order, amount: Some(amount) } => {
                write!(f, "give back {amount} minor units of order {order}")
            }
            Self::Refund { order, amount: None } => write!(f, "give back what is left of order {order}"),
            Self::Vend { product } => write!(f, "give away one {product}"),
            Self::TestVend { slot } => write!(f, "test {slot}"),
            Self::Maintenance { on: true } => f.write_str("begin maintenance"),
            Self::Maintenance { on: false } => f.write_str("end maintenance"),
            Self::Pulse { outlet } => write!(f, "energise the relay of {}", outlet.name()),
            Self::Raise { reason } => write!(f, "raise the gate for one car: {reason}"),
            Self::KeepOpen { reason } => write!(f, "keep the gate open: {reason}"),
            Self::Release { reason } => write!(f, "release the gate: {reason}"),
            Self::VoidTicket { ticket, reason } => write!(f, "void ticket {ticket}: {reason}"),
            Self::CarsInside { cars, reason } => write!(f, "set the cars inside to {cars}: {reason}"),
            Self::CashUp => f.write_str("cash up"),
            Self::PrintReport { number } => write!(f, "print report {number} again"),
            Self::PrintTest => f.write_str("print a test page"),
            Self::Languages { languages } => write!(f, "offer the languages {}", strung(languages)),
            Self::Reboot => f.write_str("restart the board"),
            Self::Screenshot => f.write_str("a picture of the glass"),
            Self::Logs { lines, since } => {
                f.write_str("the newest")?;
                lines.iter().try_for_each(|lines| write!(f, " {lines}"))?;
                f.write_str(" lines of the log")?;
                since.iter().try_for_each(|since| write!(f, " since {since}"))
            }
            Self::Bundle => f.write_str("a bundle for support"),
            Self::Inspect => f.write_str("inspect the machine"),
            Self::RecordTest { checks } => write!(f, "record a test: {checks}"),
            Self::RotateKeys { version, .. } => write!(f, "use the keys of keyset {version}"),
            Self::ResendEvents { after } => write!(f, "send the events after {after} again"),
            Self::ApplyConfig { config } => write!(f, "apply a configuration of {} bytes", config.as_str().len()),
            Self::SetPrices { prices } => {
                let prices: Vec<String> =
                    prices.iter().map(|(product, price)| format!(" of {product} to {price}")).collect();
                write!(f, "set the price{}", prices.join(","))
            }
            Self::SetPlanogram { slots } => {
                let slots: Vec<String> =
                    slots.iter().map(|(slot, new)| format!(" {} in {slot}", new.product)).collect();
                write!(f, "sell{}", slots.join(","))
            }
            Self::SetMedia { products, slides, logo } => {
                let products = products.keys().map(|product| format!("the picture of {product}"));
                let slides = slides.iter().map(|slides| format!("{} slides", slides.len()));
                let logo = logo.iter().map(|_| "the logo".to_owned());
                let all: Vec<String> = products.chain(slides).chain(logo).collect();
                write!(f, "show other pictures: {}", all.join(", "))
            }
            Self::InstallUpdate { version, .. } => write!(f, "install version {version}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { order: Some(order), .. } => write!(f, "done, see order {order}"),
            Self::Changed { report: Some(report), .. } => write!(f, "done, see report {report}"),
            Self::Changed { order: None, report: None } => f.write_str("done"),
            Self::Energised { counted: Some(counted), .. } => write!(f, "energised; the sensor counted {counted}"),
            Self::Energised { counted: None, .. } => f.write_str("energised; no sensor can say what came of it"),
            Self::Unchanged => f.write_str("it was so already"),
            Self::Refused { why } => write!(f, "refused: {why}"),
            Self::Failed { why } => write!(f, "failed: {why}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRight { right } => {
                let may = match right {
                    Right::Service => "keep the machine",
                    Right::Motion => "move anything",
                    Right::Money => "decide about money",
                    Right::Configure => "change the configuration",
                    Right::Update => "decide which software runs",
                };
                write!(f, "who asks may not {may}")
            }
            Self::NotLive => f.write_str("it is done at once or not at all, and was not asked for this moment"),
            Self::Expired => f.write_str("it came too late"),
            Self::InMidSale => f.write_str("a sale is under way; ask again when it is over"),
            Self::NumberTaken => f.write_str("another request had this number; take a new one"),
            Self::CounterUsed => f.write_str("the key's counter was used before; take a higher one"),
            Self::OnlyByFleet => f.write_str(
                "only the fleet is sent a file; on the machine it is kioskctl screenshot, kioskctl log or kioskctl bundle",
            ),
            Self::OnlyByRoot => f.write_str("only the fleet's root says whose keys count"),
            Self::NoSuchSlot => f.write_str("there is no such slot"),
            Self::NoSuchGate => f.write_str("there is no such gate"),
            Self::NoGate => f.write_str("this kiosk has no gate; ask the one of the lane"),
            Self::NotACarPark => f.write_str("this kiosk is none of a car park"),
            Self::NoSuchTicket => f.write_str("this is no ticket's number; compare it with the ten digits under the code"),
            Self::NoSuchProduct => f.write_str("there is no such product"),
            Self::NothingIsKeptHere => f.write_str("nothing is kept here"),
            Self::HoldsLess { capacity } => write!(f, "the slot holds at most {capacity}"),
            Self::NoRoom { slot, count, capacity } => {
                write!(f, "{slot} has {count} already and holds at most {capacity}; nothing was added anywhere")
            }
            Self::NoneLeft => f.write_str("no more of these goods"),
            Self::CannotDeliver { reason } => write!(f, "the machine can't deliver: {reason}"),
            Self::NotReady => f.write_str("the board has not answered yet"),
            Self::NoOpenClaim => f.write_str("the order has no open claim"),
            Self::OnlyByProvider => f.write_str("only the provider's own word settles a claim so"),
            Self::NotInMaintenance => f.write_str("the kiosk is not in maintenance; begin it first"),
            Self::RelayIsTried => f.write_str("another relay is being tried; ask again in a moment"),
            Self::NoSuchReport => f.write_str("there is no report of that number"),
            Self::BadLanguages { configured } => {
                write!(f, "name at least one of {}, and each once", strung(configured))
            }
            Self::BadConfig { problems } | Self::BadMedia { problems } => f.write_str(&problems.join("; ")),
            Self::NoSuchOrder => f.write_str("there is no such order"),
            Self::OrderIsOpen => f.write_str("the order is not over yet; ask again when it is"),
            Self::ClaimIsOpen => f.write_str("the order has an open claim; settle that"),
            Self::LessIsLeft { left } => write!(f, "of what was paid for it {left} minor units are left"),
            Self::ConfigIsTried => f.write_str("another configuration is being tried; ask again when that has ended"),
            Self::NoInstaller { how } => write!(f, "no bundle is installed here: {how}"),
            Self::UpdateUnderWay { version } => {
                write!(f, "an update to {version} is under way; send it when that has ended")
            }
            Self::FellBackBefore => {
                f.write_str("the machine went back from this very bundle before; send another, or add retry=true")
            }
            Self::OlderThanRuns { runs } => {
                write!(f, "{runs} runs here, which is newer; add downgrade=true if it is meant")
            }
            Self::OtherMachine { compatible } => {
                write!(f, "the bundle is for another machine than this `{compatible}`")
            }
        }
    }
}

fn strung(names: &[impl fmt::Display]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
