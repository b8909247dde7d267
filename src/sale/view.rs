//! What the glass shows, without a pixel: a page and the facts on it, in the customer's language where they are the
//! merchant's words. The interface's own words are the screen's business.

use serde::{Deserialize, Serialize};

pub use crate::vocabulary::StopReason;
use crate::vocabulary::{Currency, Language, Minor, ProductId, RailName, ShortCode};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub language: Language,
    /// The switch on every page, in the order of the configuration.
    pub languages: Vec<Language>,
    /// Where the machine stands and whom to call, on every page.
    pub place: String,
    pub phone: String,
    pub currency: Currency,
    pub ease: Ease,
    /// Soon nobody is believed to be there; so many seconds until the first page comes back.
    pub idle_left: Option<u64>,
    pub page: Page,
}

/// What somebody asked for to see better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ease {
    pub large: bool,
    pub contrast: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    Attract {
        tiles: Vec<Tile>,
    },
    Choose {
        /// Those of this page of the shelf.
        tiles: Vec<Tile>,
        /// None where products have no categories; else the first is all of them.
        categories: Vec<CategoryTab>,
        /// From 0.
        page: u32,
        pages: u32,
        basket: Vec<BasketLine>,
        total: Minor,
    },
    /// One product opened, with the basket as it is.
    Basket {
        product: Tile,
        basket: Vec<BasketLine>,
        total: Minor,
        can_add: bool,
    },
    /// Type the code shown, to prove that somebody is here.
    Confirm {
        code: String,
        entered: String,
        total: Minor,
        wrong: bool,
    },
    /// `qr` is `None` while the provider has not answered yet, and the moment the machine can no longer deliver.
    Pay {
        order: OrderView,
        qr: Option<String>,
        rails: Vec<RailTab>,
        seconds_left: u64,
        /// What the count-down began with.
        of_seconds: u64,
        can_extend: bool,
    },
    Delivering {
        order: OrderView,
    },
    Thanks {
        order: OrderView,
        receipt: ReceiptView,
    },
    Expired {
        order: OrderView,
    },
    Cancelled {
        order: OrderView,
        why: Option<StopReason>,
    },
    /// Money is on its way back (`refunded` confirmed so far).
    Refunded {
        order: OrderView,
        receipt: ReceiptView,
    },
    Claim {
        order: OrderView,
        receipt: ReceiptView,
    },
    /// Type a short code, see what became of the order.
    Lookup {
        entered: String,
        found: Option<OrderView>,
        not_found: bool,
    },
    OutOfService {
        reasons: Vec<StopReason>,
        last_claim: Option<ShortCode>,
    },
    /// The kiosk can't start; `why` is for who mends it, in English.
    NotStarted {
        why: String,
    },
}

impl Page {
    /// The page's name in the `state` document and in tests.
    pub fn name(&self) -> &'static str {
        match self {
            Page::Attract { .. } => "attract",
            Page::Choose { .. } => "choose",
            Page::Basket { .. } => "basket",
            Page::Confirm { .. } => "confirm",
            Page::Pay { .. } => "pay",
            Page::Delivering { .. } => "delivering",
            Page::Thanks { .. } => "thanks",
            Page::Expired { .. } => "expired",
            Page::Cancelled { .. } => "cancelled",
            Page::Refunded { .. } => "refunded",
            Page::Claim { .. } => "claim",
            Page::Lookup { .. } => "lookup",
            Page::OutOfService { .. } => "out-of-service",
            Page::NotStarted { .. } => "not-started",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    pub product: ProductId,
    pub name: String,
    pub price: Minor,
    /// How many can still be sold; 0 is shown as sold out.
    pub available: u32,
    /// A picture's file, as the configuration names it.
    pub picture: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryTab {
    /// `all`, or the category's id.
    pub name: String,
    /// Empty for all of them.
    pub label: String,
    pub chosen: bool,
}

impl CategoryTab {
    /// The name of the tab with all products.
    pub const ALL: &str = crate::vocabulary::CategoryId::ALL;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasketLine {
    pub product: ProductId,
    pub name: String,
    pub quantity: u32,
    /// Of one unit.
    pub price: Minor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RailTab {
    pub name: RailName,
    pub label: String,
    pub chosen: bool,
    /// Its provider answers.
    pub up: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    pub short_code: ShortCode,
    /// What is called out where goods are handed over.
    pub pickup: Option<String>,
    pub state: OrderState,
    pub amount: Minor,
    pub paid: Minor,
    /// Confirmed by the provider.
    pub refunded: Minor,
    /// Asked for or still to be asked for, not confirmed; of a claim, what has not come back.
    pub refund_pending: Minor,
    pub items: Vec<ItemView>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemView {
    pub name: String,
    pub price: Minor,
    /// The last place where it was tried.
    pub outlet: Option<String>,
    pub outcome: Outcome,
}

/// What became of one unit of the basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pending,
    Delivered,
    NotDelivered,
    /// No sensor could tell; policy settles it.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// Nothing is ordered yet: the customer chooses.
    Choosing,
    /// Offered, and neither paid nor closed yet.
    WaitingPayment,
    /// Paid or granted, and nothing was energised yet.
    Paid,
    /// Units were energised, and some are not resolved.
    Delivering,
    /// Money has still to go back.
    Refunding,
    /// A person must settle it.
    Claim,
    /// Every unit came out, or counts as if it had.
    Delivered,
    /// Some units came out, and the rest went back.
    PartlyDelivered,
    /// Nothing is kept: all that was paid went back.
    Refunded,
    /// Nobody paid in time.
    Expired,
    /// Closed before anything was paid, for another reason than time.
    Cancelled,
    /// Granted, and nothing came out.
    NotDelivered,
}

/// The receipt as the customer can get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptView {
    Printing,
    Printed,
    /// Not on paper: this QR's text is the receipt, or says where it is.
    Code(String),
    /// The kiosk gives no receipt for this order.
    None,
}
