//! What is written down. Every durable change of the machine is one of these; they are never changed or removed, and
//! the fleet's back end gets each of them as an event of the same name.

use serde::{Deserialize, Serialize};

use super::view::OrderState;
use crate::operation::{Actor, BundlePlace, Compatible, ConfigText, Digest, Operation, Outcome, RequestId, Version};
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{
    BootId, Cause, ChargeId, ClaimSettlement, Currency, Goods, Grant, LaneId, Language, Localized, Minor, OrderId,
    Outlet, Payment, ProductId, RailName, RefundId, ShortCode, SlotId, StopReason, Wall,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The number under which this ledger is written from now on, and a fingerprint of where it lives. `before` is the
    /// number it had where it was copied or moved from: all its events are told again, under the new one.
    LedgerBegun {
        ledger: String,
        home: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// The daemon was started; its monotonic clock begins at 0 with this boot.
    BootStarted { boot: BootId, version: String },
    /// The id is on disk before its QR is on the glass.
    OrderOffered {
        order: OrderId,
        short_code: ShortCode,
        currency: Currency,
        amount: Minor,
        items: Vec<Offered>,
        charge: ChargeId,
        rail: RailName,
        life_ms: u64,
        /// It may come out there and nowhere else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outlet: Option<Outlet>,
    },
    /// An order that begins without a charge: nothing is to be paid for it, and why. `outlet`: it may come out there and
    /// nowhere else.
    OrderGranted {
        order: OrderId,
        short_code: ShortCode,
        currency: Currency,
        items: Vec<Offered>,
        grant: Grant,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outlet: Option<Outlet>,
        /// Who has granted it, where a person has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// The customer chose another rail: another charge for the same order, on disk before it is asked for. The former
    /// is closed.
    ChargeOffered { order: OrderId, charge: ChargeId, rail: RailName, life_ms: u64 },
    /// A verified payment of exactly this order's amount, in time.
    OrderPaid {
        order: OrderId,
        charge: ChargeId,
        payment: Payment,
        /// What the provider keeps of it, by the configured rates: an estimate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fee_estimate: Option<Minor>,
    },
    /// A verified payment that buys nothing and goes back.
    PaymentSurplus { order: OrderId, charge: ChargeId, payment: Payment, why: Surplus },
    /// The order ended for the customer without a payment that counts.
    OrderClosed { order: OrderId, why: Closed },
    /// The provider gave back by itself; the total so far.
    ChargeReturned { order: OrderId, charge: ChargeId, total: Minor },
    /// Nothing more can happen on this charge.
    ChargeSettled { order: OrderId, charge: ChargeId },
    /// On disk before the relay moves; `counter` is the drop sensor's count before.
    DeliveryIntended { order: OrderId, item: u32, attempt: u32, outlet: Outlet, counter: Option<u32> },
    /// The unit came out: the sensor says so, or nothing had to move for it.
    ItemDelivered { order: OrderId, item: u32, attempt: u32, outlet: Outlet, count: u32 },
    /// `last`: no other outlet will be tried for this unit.
    ItemNotDelivered { order: OrderId, item: u32, outlet: Option<Outlet>, why: Cause, last: bool },
    /// The unit was energised, and no sensor can say whether it fell.
    ItemUnknown { order: OrderId, item: u32, outlet: Outlet, why: Cause, settled_by: Settling },
    /// On disk before the provider is asked. `at_ms` is the wall clock, where it is known: by it a restart knows how
    /// long nobody has confirmed it.
    RefundRequested {
        order: OrderId,
        charge: ChargeId,
        refund: RefundId,
        amount: Minor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_ms: Option<Wall>,
    },
    /// The provider has said that the money went back.
    RefundConfirmed { order: OrderId, charge: ChargeId, refund: RefundId, amount: Minor },
    /// The provider will not do it.
    RefundFailed { order: OrderId, charge: ChargeId, refund: RefundId, amount: Minor, why: Cause },
    /// `until_told`: only because the provider says nothing. Once it has said, and nothing else is open, the claim is
    /// settled by that.
    ClaimOpened {
        order: OrderId,
        amount: Minor,
        why: Cause,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        until_told: bool,
    },
    /// A person, or the provider's own word, has ended the claim.
    ClaimSettled {
        order: OrderId,
        how: ClaimSettlement,
        /// Nobody where the provider's own word has settled it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// A person gives back so much of what was paid for goods that were delivered.
    RefundDecided { order: OrderId, amount: Minor, by: Actor },
    /// By the printer's word the slip is on paper and cut.
    ReceiptPrinted { order: OrderId, slip: Slip },
    /// Nobody can say that the slip is on paper; it is not printed again.
    ReceiptNotPrinted { order: OrderId, slip: Slip, why: Cause },
    /// Nothing is open on the order any more.
    OrderEnded { order: OrderId, state: OrderState },
    /// It may not be used until a person has looked.
    OutletFaulty { outlet: Outlet, why: Cause },
    /// A person has looked, and it may be used again.
    OutletRepaired { outlet: Outlet },
    /// What the operator has put into a slot. With another product than before, what was known of the slot is of no
    /// use any more: neither its count nor its fault.
    SlotAssigned { slot: SlotId, product: ProductId, capacity: u32, count: u32 },
    /// A person says so many units lie there.
    StockSet { slot: SlotId, count: u32 },
    /// Something of which only the shop knows the meaning, for example how many cars are inside. The newest of each key
    /// holds; without a value the key is forgotten.
    ShopNoted {
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<serde_json::Value>,
    },
    /// Something that happened at the gate of this lane, in the lane's own words. All of a lane's together are what it knows
    /// after a restart.
    GateNoted { lane: LaneId, note: serde_json::Value },
    /// The machine does not sell any more, and why.
    SalesStopped { reasons: Vec<StopReason> },
    /// It sells again.
    SalesResumed {},
    /// A person has taken the machine out of service.
    KioskLocked { reason: String },
    /// A person has put it back.
    KioskUnlocked {},
    /// A person works on the machine: nothing is sold, and relays may be tried.
    MaintenanceBegun {},
    /// The work is done.
    MaintenanceEnded {},
    /// A wrong PIN was typed at the glass, the last of so many in a row. Its digits are nowhere.
    ServicePinRefused { in_a_row: u32 },
    /// The right PIN was typed at the glass, and the service menu is open.
    ServiceOpened {},
    /// Somebody has asked for something; on disk before anything of it is done.
    OperationBegun { id: RequestId, by: Actor, asked: Operation },
    /// What came of it; on disk before anybody is answered.
    OperationEnded { id: RequestId, outcome: Outcome },
    /// The report of this number ends here, and the next one begins. Numbers go up by one, from 1.
    CashedUp { number: u32, by: Actor },
    /// The glass offers these languages, in this order, from its next first page on.
    LanguagesChosen { languages: Vec<Language> },
    /// The daemon starts anew with this configuration, for an operation that ends when it is kept or rejected. `base`: what
    /// the file on the machine was then. `text`: where it is another than the operation has. `stopped`: why nothing was
    /// sold before it, and `held` what was where.
    ConfigTried {
        id: RequestId,
        config: Digest,
        base: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<ConfigText>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stopped: Vec<StopReason>,
        held: Vec<Held>,
    },
    /// The machine sells with it, so it stays.
    ConfigKept { config: Digest },
    /// The one before it is in force again, and why.
    ConfigRejected { config: Digest, why: Cause },
    /// An update is under way; on disk before anything of it is fetched. `from`: the version that runs. `copy`: which of
    /// the machine's copies of its software that is.
    UpdateBegun {
        operation: RequestId,
        bundle: BundlePlace,
        sha256: Digest,
        version: Version,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compatible: Option<Compatible>,
        from: Version,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<String>,
    },
    /// The bundle is here and is what was asked for; on disk before the copy that does not run is written. `connected`: the
    /// fleet's broker was there.
    UpdateInstalling { operation: RequestId, connected: bool },
    /// The copy that does not run is written, and is the one that starts next. `kernel_boot`: the run of the board's
    /// kernel in which that was.
    UpdateInstalled { operation: RequestId, kernel_boot: String },
    /// Nobody buys, and the board is restarted for the update.
    UpdateRestarting { operation: RequestId },
    /// The new software runs, for trial: it has to pass the health gate.
    UpdateTried {
        operation: RequestId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<String>,
    },
    /// The health gate was not passed in time, and the former software is started again.
    UpdateSick { operation: RequestId, detail: String },
    /// The health gate is passed; on disk before the new software is marked good. `detail`: why it was passed without the
    /// fleet's broker.
    UpdatePassed {
        operation: RequestId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The new software is marked good, and is the one that starts from now on.
    UpdateGood { operation: RequestId, version: Version, sha256: Digest },
    /// The former software runs again. The bundle is refused from now on, until it is asked for in spite of that.
    UpdateFellBack { operation: RequestId, version: Version, sha256: Digest, detail: String },
}

/// What was in an outlet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub outlet: Outlet,
    pub goods: Goods,
    pub count: u32,
    pub capacity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Cause>,
}

/// One unit of what an order is for, as it was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    pub goods: Goods,
    /// What they were called when they were offered.
    pub label: Localized,
    pub price: Minor,
    /// Within the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Rate>,
}

/// Why a payment buys nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surplus {
    /// The order was closed before.
    Late,
    /// The order had been paid or granted before.
    Double,
    /// It is not the amount that was asked for.
    WrongAmount,
    /// It is another currency than the order's, and a person must settle it.
    WrongCurrency,
    /// The provider says that it was for another order.
    WrongOrder,
    /// Paid and already given back by the provider.
    Returned,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason", content = "detail")]
pub enum Closed {
    /// Nobody paid in time.
    Expired,
    /// The customer gave it up.
    ByCustomer,
    /// The machine could no longer deliver (P6).
    Stopped(StopReason),
    /// The provider would not make the charge, or nobody knows whether it did.
    NoCharge(String),
    /// The daemon started anew while the order was waiting.
    Restart,
    /// A payment came that buys nothing.
    WrongPayment,
    /// The provider closed it while it was on the glass.
    ByProvider,
}

/// What settles a delivery that no sensor can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settling {
    /// The unit counts as not delivered, and its price goes back.
    Refund,
    /// A person decides.
    Claim,
    /// The unit counts as delivered, and its price stays.
    AssumedDelivered,
}

/// What a printed slip says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slip {
    Receipt,
    /// With the code that a car comes in with.
    Ticket,
    /// Nothing is kept: the money goes back.
    Refund,
    /// A person must settle the order.
    Claim,
}

impl Record {
    /// The kinds that are about updates.
    pub const UPDATES: [&str; 9] = [
        "update-begun",
        "update-installing",
        "update-installed",
        "update-restarting",
        "update-tried",
        "update-sick",
        "update-passed",
        "update-good",
        "update-fell-back",
    ];

    /// The kind as it stands in the ledger and in the event's topic.
    pub fn kind(&self) -> &'static str {
        match self {
            Record::LedgerBegun { .. } => "ledger-begun",
            Record::BootStarted { .. } => "boot-started",
            Record::OrderOffered { .. } => "order-offered",
            Record::OrderGranted { .. } => "order-granted",
            Record::ChargeOffered { .. } => "charge-offered",
            Record::OrderPaid { .. } => "order-paid",
            Record::PaymentSurplus { .. } => "payment-surplus",
            Record::OrderClosed { .. } => "order-closed",
            Record::ChargeReturned { .. } => "charge-returned",
            Record::ChargeSettled { .. } => "charge-settled",
            Record::DeliveryIntended { .. } => "delivery-intended",
            Record::ItemDelivered { .. } => "item-delivered",
            Record::ItemNotDelivered { .. } => "item-not-delivered",
            Record::ItemUnknown { .. } => "item-unknown",
            Record::RefundRequested { .. } => "refund-requested",
            Record::RefundConfirmed { .. } => "refund-confirmed",
            Record::RefundFailed { .. } => "refund-failed",
            Record::ClaimOpened { .. } => "claim-opened",
            Record::ClaimSettled { .. } => "claim-settled",
            Record::RefundDecided { .. } => "refund-decided",
            Record::ReceiptPrinted { .. } => "receipt-printed",
            Record::ReceiptNotPrinted { .. } => "receipt-not-printed",
            Record::OrderEnded { .. } => "order-ended",
            Record::OutletFaulty { .. } => "outlet-faulty",
            Record::OutletRepaired { .. } => "outlet-repaired",
            Record::SlotAssigned { .. } => "slot-assigned",
            Record::StockSet { .. } => "stock-set",
            Record::ShopNoted { .. } => "shop-noted",
            Record::GateNoted { .. } => "gate-noted",
            Record::SalesStopped { .. } => "sales-stopped",
            Record::SalesResumed { .. } => "sales-resumed",
            Record::KioskLocked { .. } => "kiosk-locked",
            Record::KioskUnlocked { .. } => "kiosk-unlocked",
            Record::MaintenanceBegun { .. } => "maintenance-begun",
            Record::MaintenanceEnded { .. } => "maintenance-ended",
            Record::ServicePinRefused { .. } => "service-pin-refused",
            Record::ServiceOpened { .. } => "service-opened",
            Record::OperationBegun { .. } => "operation-begun",
            Record::OperationEnded { .. } => "operation-ended",
            Record::CashedUp { .. } => "cashed-up",
            Record::LanguagesChosen { .. } => "languages-chosen",
            Record::ConfigTried { .. } => "config-tried",
            Record::ConfigKept { .. } => "config-kept",
            Record::ConfigRejected { .. } => "config-rejected",
            Record::UpdateBegun { .. } => "update-begun",
            Record::UpdateInstalling { .. } => "update-installing",
            Record::UpdateInstalled { .. } => "update-installed",
            Record::UpdateRestarting { .. } => "update-restarting",
            Record::UpdateTried { .. } => "update-tried",
            Record::UpdateSick { .. } => "update-sick",
            Record::UpdatePassed { .. } => "update-passed",
            Record::UpdateGood { .. } => "update-good",
            Record::UpdateFellBack { .. } => "update-fell-back",
        }
    }

    /// What has come out of an outlet, sold or not, or may have: what is not there can't be promised.
    pub fn handed_over(&self) -> Option<(&Outlet, u32)> {
        match self {
            Record::ItemDelivered { outlet, count, .. } => Some((outlet, *count)),
            Record::ItemUnknown { outlet, .. } => Some((outlet, 1)),
            Record::OperationEnded { outcome: Outcome::Energised { outlet, counted: Some(count) }, .. } => {
                Some((outlet, *count))
            }
            _ => None,
        }
    }

    pub fn order(&self) -> Option<OrderId> {
        match self {
            Record::OrderOffered { order, .. }
            | Record::OrderGranted { order, .. }
            | Record::ChargeOffered { order, .. }
            | Record::OrderPaid { order, .. }
            | Record::PaymentSurplus { order, .. }
            | Record::OrderClosed { order, .. }
            | Record::ChargeReturned { order, .. }
            | Record::ChargeSettled { order, .. }
            | Record::DeliveryIntended { order, .. }
            | Record::ItemDelivered { order, .. }
            | Record::ItemNotDelivered { order, .. }
            | Record::ItemUnknown { order, .. }
            | Record::RefundRequested { order, .. }
            | Record::RefundConfirmed { order, .. }
            | Record::RefundFailed { order, .. }
            | Record::ClaimOpened { order, .. }
            | Record::ClaimSettled { order, .. }
            | Record::RefundDecided { order, .. }
            | Record::ReceiptPrinted { order, .. }
            | Record::ReceiptNotPrinted { order, .. }
            | Record::OrderEnded { order, .. } => Some(*order),
            Record::LedgerBegun { .. }
            | Record::BootStarted { .. }
            | Record::OutletFaulty { .. }
            | Record::OutletRepaired { .. }
            | Record::SlotAssigned { .. }
            | Record::StockSet { .. }
            | Record::ShopNoted { .. }
            | Record::GateNoted { .. }
            | Record::SalesStopped { .. }
            | Record::SalesResumed { .. }
            | Record::KioskLocked { .. }
            | Record::KioskUnlocked { .. }
            | Record::MaintenanceBegun { .. }
            | Record::MaintenanceEnded { .. }
            | Record::ServicePinRefused { .. }
            | Record::ServiceOpened { .. }
            | Record::OperationBegun { .. }
            | Record::OperationEnded { .. }
            | Record::CashedUp { .. }
            | Record::LanguagesChosen { .. }
            | Record::ConfigTried { .. }
            | Record::ConfigKept { .. }
            | Record::ConfigRejected { .. }
            | Record::UpdateBegun { .. }
            | Record::UpdateInstalling { .. }
            | Record::UpdateInstalled { .. }
            | Record::UpdateRestarting { .. }
            | Record::UpdateTried { .. }
            | Record::UpdateSick { .. }
            | Record::UpdatePassed { .. }
            | Record::UpdateGood { .. }
            | Record::UpdateFellBack { .. } => None,
        }
    }
}
