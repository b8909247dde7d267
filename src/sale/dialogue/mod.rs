//! The customer's dialogue: what is on the glass, what a touch of it does, and when it gives up. Volatile; a restart begins
//! at the first page.
//!
//! Policy: the dialogue has parts, each with its own pages: `shop`, `stay`, `order`, `lookup`, `pin`, `menu`. One file says all that a part's
//! pages are: what is to be known of each, which touches it takes and what they do, how long it waits, what it shows and
//! what it is called. No part knows another. What is the same on every page is here: the language, larger type and
//! contrast, more time, and that the machine is out of service.

mod lookup;
mod menu;
mod order;
mod pin;
mod shop;
mod stay;
mod touch;

pub use lookup::LookupPage;
pub use menu::{Came, ClaimView, MenuButton, MenuPage, SaidView, SlotView};
pub use order::{OrderPage, RailTab, ReceiptView};
pub use pin::{PinGuard, PinPage, PinState};
pub use shop::{BasketLine, CategoryTab, ShopPage, Tile};
pub use stay::{AdviceView, CodeView, LineView, MatchView, StayPage, StayView, ToldView};
pub use touch::{Key, Letter, MenuVerb, Touch};

use std::time::Duration;

use super::event::Illegal;
use super::order::Order;
use super::shop::Shop;
use super::view::StopReason;
use super::{State, Turn};
use crate::operation::{Outcome, RequestId};
use crate::vocabulary::{Currency, Language, Mono, OrderId, ShortCode};

/// The longest warning before a page gives up.
const WARNING: Duration = Duration::from_secs(20);

/// With one customer, from the first touch until the first page is back.
#[derive(Debug, Clone)]
pub struct Dialogue {
    pub language: Language,
    /// Those of this visit, in the order of their switch.
    languages: Vec<Language>,
    ease: Ease,
    visit: shop::Visit,
    /// Touches of the hidden place.
    knocks: Vec<Mono>,
    at: At,
    /// The last touch, or when the page came.
    since: Mono,
}

/// What somebody asked for to see better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ease {
    pub large: bool,
    pub contrast: bool,
}

/// Which part has the glass, and with what page.
#[derive(Debug, Clone)]
enum At {
    Shop(shop::At),
    Stay(stay::At),
    Order(order::At),
    Lookup(lookup::At),
    Pin(pin::At),
    Menu(menu::At),
}

impl At {
    fn part(&self) -> &dyn Part {
        match self {
            At::Shop(at) => at,
            At::Stay(at) => at,
            At::Order(at) => at,
            At::Lookup(at) => at,
            At::Pin(at) => at,
            At::Menu(at) => at,
        }
    }
}

/// What a part says of its page.
trait Part {
    /// Does what the touch asks for. One that is not on the page changes nothing.
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal>;

    fn patience(&self, state: &State) -> Patience;

    /// Its patience has ended.
    fn give_up(&self, turn: &mut Turn<'_>) {
        turn.begin_anew();
    }

    fn show(&self, state: &State, look: &Look<'_>) -> Page;
}

/// How long a page waits.
enum Patience {
    /// Until something else than a touch happens.
    Endless,
    /// So long for a touch.
    For(Duration),
    /// The same, and something else on the page counts seconds.
    Counting(Duration),
    /// The same; towards the end it counts the seconds and offers more time.
    Warning(Duration),
    /// Until then, whatever is touched; it counts the seconds all the time.
    Until(Mono),
}

/// What a page needs that is not in the state.
struct Look<'a> {
    now: Mono,
    /// The text of the QR for a receipt that is not on paper.
    receipt_code: &'a dyn Fn(&Order) -> Option<String>,
}

/// What the glass shows, without a pixel: a page and the facts on it, in the customer's language where they are the
/// merchant's words. The interface's own words are the screen's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub language: Language,
    /// The switch on every page, in this order.
    pub languages: Vec<Language>,
    /// Where the machine stands and whom to call, on every page.
    pub place: String,
    pub phone: String,
    pub currency: Currency,
    pub ease: Ease,
    /// Soon nobody is believed to be there; so many seconds until the first page comes back.
    pub idle_left: Option<u64>,
    /// The place can be touched: it is the hidden way into the service menu.
    pub service: bool,
    pub page: Page,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    Shop(ShopPage),
    Stay(StayPage),
    Order(OrderPage),
    Lookup(LookupPage),
    Pin(PinPage),
    Menu(MenuPage),
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
            Page::Shop(page) => page.name(),
            Page::Stay(page) => page.name(),
            Page::Order(page) => page.name(),
            Page::Lookup(page) => page.name(),
            Page::Pin(page) => page.name(),
            Page::Menu(page) => page.name(),
            Page::OutOfService { .. } => "out-of-service",
            Page::NotStarted { .. } => "not-started",
        }
    }
}

impl Dialogue {
    pub fn new(languages: Vec<Language>, shop: &dyn Shop) -> Self {
        Self {
            language: first(&languages),
            languages,
            ease: Ease::default(),
            visit: shop::Visit::default(),
            knocks: Vec::new(),
            at: stay::first(shop),
            since: Mono::default(),
        }
    }

    /// The order whose result is on the glass.
    pub fn shown_order(&self) -> Option<OrderId> {
        match &self.at {
            At::Order(order::At::Result(order)) => Some(*order),
            At::Menu(at) => at.order(),
            _ => None,
        }
    }

    /// The first page is on the glass: nobody is in the middle of anything.
    pub fn at_rest(&self) -> bool {
        matches!(self.at, At::Shop(shop::At::Attract) | At::Stay(stay::At::Ticket(_)))
    }

    /// Somebody is in the service menu.
    pub fn in_service(&self) -> bool {
        matches!(self.at, At::Menu(_))
    }

    /// For who has asked for it from here.
    pub(super) fn operation_ended(&mut self, id: &RequestId, outcome: &Outcome) {
        if let At::Menu(at) = &mut self.at {
            at.operation_ended(id, outcome);
        }
    }
}

/// The one the glass wakes up in.
fn first(languages: &[Language]) -> Language {
    languages.first().cloned().unwrap_or_else(|| Language::new("en"))
}

impl State {
    /// What the glass shows now. `receipt_code` gives the text of the QR for a receipt that is not on paper.
    pub fn view(&self, now: Mono, receipt_code: impl Fn(&Order) -> Option<String>) -> View {
        let page = self.page(&Look { now, receipt_code: &receipt_code });
        View {
            language: self.dialogue.language.clone(),
            languages: self.dialogue.languages.clone(),
            place: self.policy.place.get(&self.dialogue.language).to_owned(),
            phone: self.policy.phone.clone(),
            currency: self.policy.currency,
            ease: self.dialogue.ease,
            idle_left: self.idle_left(now),
            service: self.can_knock(&page),
            page,
        }
    }

    fn page(&self, look: &Look<'_>) -> Page {
        if self.conditions.ledger_failed.is_some() {
            return self.out_of_service(self.stop_reasons());
        }
        self.dialogue.at.part().show(self, look)
    }

    fn out_of_service(&self, reasons: Vec<StopReason>) -> Page {
        let claim = self.orders.values().rev().find(|order| {
            // A ledger that failed in the middle leaves a paid order that only a restart can settle.
            order.claim_open()
                || self.conditions.ledger_failed.is_some() && order.outstanding() > 0
                || order.unresolved()
        });
        Page::OutOfService { reasons, last_claim: claim.map(|order| order.short_code.clone()) }
    }

    /// When the page gives up, and from when on it counts the seconds until then.
    fn end(&self) -> Option<(Mono, Option<Mono>)> {
        match self.dialogue.at.part().patience(self) {
            Patience::Endless => None,
            Patience::For(time) => Some((self.dialogue.since + time, None)),
            Patience::Counting(time) => Some((self.dialogue.since + time, Some(Mono::default()))),
            Patience::Warning(time) => {
                let end = self.dialogue.since + time;
                // At least 20 seconds (WCAG 2.2, 2.2.1), or a third of what there is.
                let warning = WARNING.min(time / 3);
                Some((end, Some(Mono(end.0.saturating_sub(warning.as_millis() as u64)))))
            }
            Patience::Until(end) => Some((end, Some(Mono::default()))),
        }
    }

    /// Each whole second that is counted on the glass, and the end of the page's patience.
    pub(super) fn dialogue_wake(&self, now: Mono) -> Option<Mono> {
        let (end, counted_from) = self.end()?;
        let tick = match counted_from {
            Some(from) if now < from => from,
            Some(_) => now + Duration::from_millis((end.since(now).as_millis() as u64 + 999) % 1_000 + 1),
            None => end,
        };
        Some(tick.min(end))
    }

    /// Seconds until the page gives up, once that is near.
    fn idle_left(&self, now: Mono) -> Option<u64> {
        let Patience::Warning(_) = self.dialogue.at.part().patience(self) else { return None };
        let (end, from) = self.end()?;
        (from? <= now).then(|| end.since(now).as_millis().div_ceil(1_000) as u64)
    }
}

impl Turn<'_> {
    pub(super) fn touch(&mut self, touch: Touch) -> Result<(), Illegal> {
        let now = self.at.now;
        let warned = self.state.idle_left(now).is_some();
        let dialogue = &mut self.state.dialogue;
        match touch {
            Touch::Language(language) => {
                if !dialogue.languages.contains(&language) {
                    return Err(Illegal::Refused("not a language of this kiosk"));
                }
                dialogue.language = language;
            }
            Touch::Larger => dialogue.ease.large = !dialogue.ease.large,
            Touch::Contrast => dialogue.ease.contrast = !dialogue.ease.contrast,
            Touch::Service => self.knock()?,
            // Any touch starts the time anew; this one has nothing else to do.
            Touch::MoreTime if warned => self.probe_rails(true),
            touch => {
                let at = dialogue.at.clone();
                at.part().touch(self, touch)?;
                // Last, because a touch that is refused must leave no question open.
                self.probe_rails(true);
            }
        }
        self.state.dialogue.since = now;
        Ok(())
    }

    /// What a part says of a touch that its page does not take.
    fn not_here(&self, touch: Touch) -> Illegal {
        let look = Look { now: self.at.now, receipt_code: &|_| None };
        Illegal::NotOnPage { touch, page: self.state.page(&look).name() }
    }

    fn go(&mut self, at: At) {
        self.state.dialogue.at = at;
        self.state.dialogue.since = self.at.now;
    }

    /// The first page, for whoever comes next: nothing is chosen, in the first language.
    fn begin_anew(&mut self) {
        self.state.dialogue =
            Dialogue { since: self.at.now, ..Dialogue::new(self.state.languages(), &*self.state.shop) };
    }

    /// The first page shows them at once; whoever is further on keeps what they have.
    pub(super) fn languages_were_chosen(&mut self) {
        if self.state.dialogue.at_rest() {
            self.begin_anew();
        }
    }

    pub(super) fn dialogue_timers(&mut self) {
        if self.state.end().is_some_and(|(end, _)| self.at.now >= end) {
            let at = self.state.dialogue.at.clone();
            at.part().give_up(self);
        }
    }
}
