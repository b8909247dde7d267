//! The service menu, for who has typed the PIN: what is wrong with the machine, and the operations of `kioskctl`.
//!
//! Policy: the menu decides nothing about an operation. It asks for it as everybody else does, by the same way, and says
//! what came of it. What it can ask is listed in [`Place::asks`]; a verb there has a text `menu-VERB` in every language.
//! Money, and a restart of the board, is asked about once more. While the menu is on the glass the shop is not, so nothing is sold.

use std::time::Duration;

use super::{Look, Page, Part, Patience, Touch};
use crate::operation::{Actor, Operation, Outcome, Reason, Refusal, Request, RequestId, Rights};
use crate::sale::dialogue::MenuVerb;
use crate::sale::event::Illegal;
use crate::sale::order::Order;
use crate::sale::shop::OutletStatus;
use crate::sale::view::{OrderView, Outcome as UnitOutcome, StopReason};
use crate::sale::{State, Turn};
use crate::vocabulary::{Cause, ClaimSettlement, Goods, OrderId, Outlet, SlotId};

/// Nobody is believed to be there after so long without a touch.
const PATIENCE: Duration = Duration::from_secs(3 * 60);
/// On a page of the list; half as many with large type.
const SLOTS: usize = 8;
const CLAIMS: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct At {
    place: Place,
    said: Option<LastOperation>,
}

#[derive(Debug, Clone)]
enum Place {
    Main,
    Slots(usize),
    Slot(SlotId),
    Claims(usize),
    Claim(OrderId),
    /// Really? And where to go without it.
    Sure {
        verb: MenuVerb,
        asked: Operation,
        from: Box<Place>,
    },
}

/// The last operation from here.
#[derive(Debug, Clone)]
struct LastOperation {
    verb: MenuVerb,
    id: RequestId,
    /// `None`: under way.
    outcome: Option<Outcome>,
}

/// Something that can be asked for on a page.
struct MenuItem {
    verb: &'static str,
    /// `None`: not now.
    asked: Option<Operation>,
    /// It is asked for once more.
    sure: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuPage {
    Menu {
        /// Empty where it sells as soon as nobody is in the menu.
        reasons: Vec<StopReason>,
        /// Slots that may not be used.
        faults: usize,
        claims: usize,
        buttons: Vec<MenuButton>,
        said: Option<SaidView>,
    },
    Slots {
        slots: Vec<SlotView>,
        /// From 0.
        page: usize,
        pages: usize,
    },
    Slot {
        slot: SlotView,
        buttons: Vec<MenuButton>,
        said: Option<SaidView>,
    },
    Claims {
        claims: Vec<ClaimView>,
        page: usize,
        pages: usize,
        said: Option<SaidView>,
    },
    Claim {
        claim: ClaimView,
        buttons: Vec<MenuButton>,
    },
    /// Once more, before money moves or the board goes down.
    Sure {
        verb: MenuVerb,
        /// Whose money it is about.
        claim: Option<ClaimView>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuButton {
    pub verb: MenuVerb,
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotView {
    pub slot: SlotId,
    pub product: String,
    pub count: u32,
    pub capacity: u32,
    pub fault: Option<Cause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimView {
    pub id: OrderId,
    pub order: OrderView,
    pub why: Cause,
}

/// What was asked for last, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidView {
    pub verb: MenuVerb,
    pub came: Came,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    UnderWay,
    Done,
    Unchanged,
    Refused(Refusal),
    Failed(Cause),
    /// A relay moved; so many units fell, where a sensor can say so.
    Energised(Option<u32>),
    /// What came of the unit that was tried.
    Tried(UnitOutcome),
}

impl MenuPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            MenuPage::Menu { .. } => "service",
            MenuPage::Slots { .. } => "service-slots",
            MenuPage::Slot { .. } => "service-slot",
            MenuPage::Claims { .. } => "service-claims",
            MenuPage::Claim { .. } => "service-claim",
            MenuPage::Sure { .. } => "service-sure",
        }
    }
}

impl Place {
    /// What can be asked of the machine here, in the order of the buttons.
    fn items(&self, state: &State) -> Vec<MenuItem> {
        let ask = |verb, asked| MenuItem { verb, asked, sure: false };
        match self {
            Place::Main => {
                let lock = match state.conditions.locked {
                    None => ask("lock", Reason::parse("service menu").map(|reason| Operation::Lock { reason })),
                    Some(_) => ask("unlock", Some(Operation::Unlock)),
                };
                let work = match state.conditions.maintenance {
                    false => ask("maintain", Some(Operation::Maintenance { on: true })),
                    true => ask("maintained", Some(Operation::Maintenance { on: false })),
                };
                let mut items = vec![lock, work, ask("refill", Some(Operation::Refill))];
                if state.has_gate() {
                    let why = || Reason::parse("service menu");
                    items.push(ask("raise", why().map(|reason| Operation::Raise { reason })));
                    items.push(ask("keep-open", why().map(|reason| Operation::KeepOpen { reason })));
                    items.push(ask("release", why().map(|reason| Operation::Release { reason })));
                }
                items.push(ask("cash-up", Some(Operation::CashUp)));
                items.push(ask("print-test", Some(Operation::PrintTest)));
                if state.policy.reboot {
                    let asked = Some(Operation::Reboot).filter(|_| !state.busy());
                    items.push(MenuItem { verb: "reboot", asked, sure: true });
                }
                items
            }
            Place::Slot(slot) => {
                let known = state.outlet(&Outlet::Slot(slot.clone()));
                let (count, capacity) = known.map_or((0, 0), |known| (known.count, known.capacity));
                let set = |count: Option<u32>| count.map(|count| Operation::SetStock { slot: slot.clone(), count });
                let test = Operation::TestVend { slot: slot.clone() };
                let pulse = Operation::Pulse { outlet: Outlet::Slot(slot.clone()) };
                vec![
                    ask("less", set(count.checked_sub(1))),
                    ask("more", set(Some(count + 1).filter(|count| *count <= capacity))),
                    ask("full", set(Some(capacity).filter(|capacity| *capacity > count))),
                    ask("test", Some(test).filter(|_| !state.busy())),
                    ask("pulse", Some(pulse).filter(|_| state.conditions.maintenance && state.pulse.is_none())),
                ]
            }
            Place::Claim(order) => {
                let settle = |verb, how| {
                    let asked = Some(Operation::SettleClaim { order: *order, how });
                    MenuItem { verb, asked, sure: true }
                };
                vec![
                    settle("delivered", ClaimSettlement::Delivered),
                    settle("paid-outside", ClaimSettlement::PaidOutside),
                    settle("refund", ClaimSettlement::Refund),
                ]
            }
            Place::Slots(_) | Place::Claims(_) | Place::Sure { .. } => Vec::new(),
        }
    }

    /// Where "back" leads; none from the first page.
    fn back(&self, state: &State) -> Option<Place> {
        match self {
            Place::Main => None,
            Place::Slots(_) | Place::Claims(_) => Some(Place::Main),
            Place::Slot(slot) => {
                let nth = state.slots().iter().position(|known| known.outlet.slot() == Some(slot));
                Some(Place::Slots(nth.unwrap_or(0) / state.a_page(SLOTS)))
            }
            Place::Claim(order) => {
                let nth = state.open_claims().iter().position(|claim| claim.id == *order);
                Some(Place::Claims(nth.unwrap_or(0) / state.a_page(CLAIMS)))
            }
            Place::Sure { from, .. } => Some((**from).clone()),
        }
    }
}

impl Part for At {
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal> {
        match (&self.place, &touch) {
            (Place::Main, Touch::Done) => turn.leave_menu(),
            (place, Touch::Menu(verb)) => {
                let way = match (place, verb.as_str()) {
                    (Place::Main, "slots") => Some(Place::Slots(0)),
                    (Place::Main, "claims") => Some(Place::Claims(0)),
                    (place, "back") => place.back(turn.state),
                    _ => None,
                };
                if let Some(place) = way {
                    turn.menu(place);
                    return Ok(());
                }
                if let (Place::Sure { verb, asked, from }, "yes") = (place, verb.as_str()) {
                    let place = from.back(turn.state).unwrap_or(Place::Main);
                    turn.ask_for(verb.clone(), asked.clone(), place);
                    return Ok(());
                }
                let ask = place.items(turn.state).into_iter().find(|ask| ask.verb == verb.as_str());
                match ask {
                    Some(MenuItem { asked: Some(asked), sure: true, .. }) => {
                        turn.menu(Place::Sure { verb: verb.clone(), asked, from: Box::new(place.clone()) });
                    }
                    Some(MenuItem { asked: Some(asked), .. }) => turn.ask_for(verb.clone(), asked, place.clone()),
                    Some(MenuItem { asked: None, .. }) => return Err(Illegal::Refused("not now")),
                    None => return Err(turn.not_here(touch)),
                }
            }
            (Place::Slots(_), Touch::Slot(slot)) if turn.state.outlet(&Outlet::Slot(slot.clone())).is_some() => {
                turn.menu(Place::Slot(slot.clone()));
            }
            (Place::Claims(_), Touch::Claim(order)) if turn.state.open_claim(*order).is_some() => {
                turn.menu(Place::Claim(*order));
            }
            (Place::Slots(page), Touch::NextPage) if turn.state.more(turn.state.slots().len(), *page, SLOTS) => {
                turn.menu(Place::Slots(page + 1));
            }
            (Place::Claims(page), Touch::NextPage)
                if turn.state.more(turn.state.open_claims().len(), *page, CLAIMS) =>
            {
                turn.menu(Place::Claims(page + 1));
            }
            (Place::Slots(page), Touch::PageBack) if *page > 0 => turn.menu(Place::Slots(page - 1)),
            (Place::Claims(page), Touch::PageBack) if *page > 0 => turn.menu(Place::Claims(page - 1)),
            _ => return Err(turn.not_here(touch)),
        }
        Ok(())
    }

    fn patience(&self, _: &State) -> Patience {
        Patience::Warning(PATIENCE)
    }

    fn give_up(&self, turn: &mut Turn<'_>) {
        turn.leave_menu();
    }

    fn show(&self, state: &State, _: &Look<'_>) -> Page {
        let said = || self.said.as_ref().map(|said| state.said(said));
        let buttons = |place: &Place| place.items(state).iter().map(MenuButton::of).collect::<Vec<_>>();
        Page::Menu(match &self.place {
            Place::Slots(page) => {
                let slots: Vec<SlotView> = state.slots().iter().filter_map(|known| state.slot_view(known)).collect();
                let (slots, page, pages) = on_page(slots, *page, state.a_page(SLOTS));
                MenuPage::Slots { slots, page, pages }
            }
            Place::Slot(slot) => match state.outlet(&Outlet::Slot(slot.clone())).and_then(|it| state.slot_view(&it)) {
                Some(slot) => MenuPage::Slot { slot, buttons: buttons(&self.place), said: said() },
                None => state.main_page(buttons(&Place::Main), said()),
            },
            Place::Claims(page) => {
                let claims = state.open_claims().into_iter().filter_map(|order| state.claim_view(order)).collect();
                let (claims, page, pages) = on_page(claims, *page, state.a_page(CLAIMS));
                MenuPage::Claims { claims, page, pages, said: said() }
            }
            Place::Claim(order) => match state.open_claim(*order).and_then(|order| state.claim_view(order)) {
                Some(claim) => MenuPage::Claim { claim, buttons: buttons(&self.place) },
                // The provider has settled it meanwhile.
                None => state.main_page(buttons(&Place::Main), said()),
            },
            Place::Sure { verb, asked, .. } => {
                let order = match asked {
                    Operation::SettleClaim { order, .. } => state.open_claim(*order),
                    _ => None,
                };
                MenuPage::Sure { verb: verb.clone(), claim: order.and_then(|order| state.claim_view(order)) }
            }
            Place::Main => state.main_page(buttons(&self.place), said()),
        })
    }
}

impl At {
    /// The order that was begun from here and is told of.
    pub(super) fn order(&self) -> Option<OrderId> {
        match self.said.as_ref()?.outcome.as_ref()? {
            Outcome::Changed { order, .. } => *order,
            _ => None,
        }
    }

    pub(super) fn operation_ended(&mut self, id: &RequestId, outcome: &Outcome) {
        if let Some(said) = self.said.as_mut().filter(|said| said.id == *id) {
            said.outcome = Some(outcome.clone());
        }
    }
}

impl MenuButton {
    fn of(ask: &MenuItem) -> Self {
        Self { verb: MenuVerb::of(ask.verb), enabled: ask.asked.is_some() }
    }
}

/// The part of a list that is on a page, which page that is, and how many there are.
fn on_page<T>(all: Vec<T>, page: usize, most: usize) -> (Vec<T>, usize, usize) {
    let pages = all.len().div_ceil(most).max(1);
    let page = page.min(pages - 1);
    (all.into_iter().skip(page * most).take(most).collect(), page, pages)
}

impl State {
    fn a_page(&self, most: usize) -> usize {
        if self.dialogue.ease.large { most / 2 } else { most }
    }

    /// There is a page after this one.
    fn more(&self, all: usize, page: usize, most: usize) -> bool {
        page + 1 < all.div_ceil(self.a_page(most))
    }

    fn slots(&self) -> Vec<OutletStatus> {
        self.shop.outlets().into_iter().filter(|known| known.outlet.slot().is_some()).collect()
    }

    fn open_claims(&self) -> Vec<&Order> {
        self.orders.values().filter(|order| order.claim_open()).collect()
    }

    fn open_claim(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id).filter(|order| order.claim_open())
    }

    fn main_page(&self, buttons: Vec<MenuButton>, said: Option<SaidView>) -> MenuPage {
        MenuPage::Menu {
            reasons: self.stop_reasons(),
            faults: self.shop.outlets().iter().filter(|known| known.fault.is_some()).count(),
            claims: self.open_claims().len(),
            buttons,
            said,
        }
    }

    fn slot_view(&self, known: &OutletStatus) -> Option<SlotView> {
        let product = match known.goods.as_ref() {
            Some(Goods::Product(id)) => self.product(id).map_or(id.as_str(), |it| it.name.get(&self.dialogue.language)),
            _ => "",
        };
        let (count, capacity, fault) = (known.count, known.capacity, known.fault.clone());
        Some(SlotView { slot: known.outlet.slot()?.clone(), product: product.to_owned(), count, capacity, fault })
    }

    fn claim_view(&self, order: &Order) -> Option<ClaimView> {
        Some(ClaimView { id: order.id, order: self.order_view(order), why: order.claim.as_ref()?.why.clone() })
    }

    fn said(&self, said: &LastOperation) -> SaidView {
        let tried = |order: &OrderId| Some(Came::Tried(self.orders.get(order)?.items.first()?.outcome));
        let came = match &said.outcome {
            None => Came::UnderWay,
            Some(Outcome::Changed { order, .. }) => order.as_ref().and_then(tried).unwrap_or(Came::Done),
            Some(Outcome::Energised { counted, .. }) => Came::Energised(*counted),
            Some(Outcome::Unchanged) => Came::Unchanged,
            Some(Outcome::Refused { why }) => Came::Refused(why.clone()),
            Some(Outcome::Failed { why }) => Came::Failed(why.clone()),
        };
        SaidView { verb: said.verb.clone(), came }
    }
}

impl Turn<'_> {
    fn menu(&mut self, place: Place) {
        self.go(super::At::Menu(At { place, said: None }));
    }

    pub(super) fn open_menu(&mut self) {
        self.menu(Place::Main);
    }

    /// The page of the order that was begun here and is under way, or the first page.
    pub(super) fn leave_menu(&mut self) {
        self.begin_anew();
        if self.state.current.is_some() {
            self.go_to_order();
        }
    }

    /// The work behind it is done.
    pub(in crate::sale) fn door_was_closed(&mut self) {
        if self.state.dialogue.in_service() {
            self.leave_menu();
        }
    }

    /// Asks as everybody does, and shows `place` with what comes of it.
    fn ask_for(&mut self, verb: MenuVerb, asked: Operation, place: Place) {
        let number = RequestId::parse(&format!("menu-{:032x}", self.at.entropy));
        // A name of letters and digits is always one.
        let Some(id) = number else { return };
        self.go(super::At::Menu(At { place, said: Some(LastOperation { verb, id: id.clone(), outcome: None }) }));
        let request = Request { id, by: Actor::Menu, rights: Rights::ALL, live: true, expired: false, asked };
        self.asked(request, None);
    }
}
