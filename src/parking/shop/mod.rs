//! The car park behind the sale's counter: tickets are given out, stays are paid and cars are let out.
//!
//! Policy: the kiosk is one lane or pay station of its site ([`site`](super::site)); what it does is a fact of the site as soon as it
//! is on record, and before a ticket is printed or a gate is opened. A car is inside from when its ticket is on record; a
//! payment and a car's leaving count when they were handed over, or may have been. What a code says is believed for its
//! signature, what was typed is believed only as far as to pay for it. Doubt is the customer's, and is on record.
//!
//! - `camera` which plate was read of the car at the gate · `memo` what is remembered of an order · `present` from what is presented to an answer · `price` from a stay to its quote ·
//!   `season` who comes with a season pass · `passes` those that the configuration lists · `departed` who comes back ·
//!   `tally` how many are inside · `advice` why nothing comes of it

mod advice;
mod camera;
mod departed;
mod memo;
mod passes;
mod present;
mod price;
mod season;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use camera::Camera;
use departed::Departed;
pub use memo::{Deed, Memo, StayMemo};
pub use passes::{BadPasses, Passes};
use season::SeasonExits;
use tally::Tally;
pub use tally::{INSIDE_NOTE, Inside};

use super::site::{Conflict, Fact, Site, State as SiteState, Stay as Number, Voided};
use super::tariff::{Line, Tariff};
use super::ticket::{Code, Issuer, Minute, Plate, SiteKeys, Ticket, TicketNumber};
use crate::operation::Refusal;
use crate::sale::presented::{
    Answer, BillLine, CodeKind, Counter, OrderCode, Presented, Quote, TicketCounter, TicketDeed,
};
use crate::sale::record::Record;
use crate::sale::shop::{Note, OutletStatus, Shop};
use crate::sale::{ORDER_NOTE, Order};
use crate::signed::jws::Signer;
use crate::vocabulary::{Cause, Goods, LaneId, Localized, Mono, OrderId, Outlet, Stamp, StopReason, Wall};

/// A busy lane tells its site what it has done so often, and not after each car.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// So many orders are remembered beside their records: more than can be open at a lane, and enough for what is on the glass.
const ORDERS: usize = 32;
/// What was done twice is noted under so many keys in turn; the ledger keeps all of it.
const CONFLICTS: u64 = 64;
/// What the parts of the site's state are called in memory, each with its key behind it; and what is remembered besides.
const SITE: &str = "site/";
const LANE: &str = "lane";
/// Under this is noted the last ticket that a person has declared void.
const VOID_NOTE: &str = "void";
/// Under this is noted what was done twice.
const CONFLICT_NOTE: &str = "conflict/";

/// What a kiosk of a car park is for.
#[derive(Debug, Clone)]
pub struct Settings {
    pub does: TicketDeed,
    /// Of an entry or an exit.
    pub gate: Option<LaneId>,
    /// Cars that may be inside.
    pub places: Option<u32>,
    /// Minutes for which it may have stood still without a clock.
    pub doubt: u32,
    /// Something can be paid here.
    pub pays: bool,
    /// A car whose plate was read gets no ticket.
    pub by_plate: bool,
    /// A loop says whether a car stands before the gate.
    pub sees_cars: bool,
}

/// What only the interface's texts can say, in each of the kiosk's languages.
pub trait Wording: std::fmt::Debug + Send + Sync {
    /// Why a line is on the bill.
    fn line(&self, tariff: &Tariff, line: &Line) -> Localized;

    /// What a stay is called on a receipt and at the provider.
    fn stay(&self, number: &str) -> Localized;
}

/// Everything that is given to it once.
#[derive(Debug, Clone)]
pub struct Parts {
    pub settings: Settings,
    pub tariff: Arc<Tariff>,
    pub keys: Arc<SiteKeys>,
    /// Season passes that are listed.
    pub passes: Arc<Passes>,
    /// Signs tickets and passes.
    pub issuer: Option<Arc<Issuer>>,
    /// Signs what this lane tells the others.
    pub signer: Option<Arc<Signer>>,
    pub wording: Arc<dyn Wording>,
}

#[derive(Debug, Clone)]
pub struct CarPark {
    parts: Parts,
    site: Site,
    /// Grows with each change of the site.
    revision: u64,
    /// Cars inside, by all that is known here: counted when something changes, as every look at the glass asks for it.
    inside: u64,
    now: Mono,
    wall: Option<Wall>,
    /// The latest instant that this lane is sure to be over.
    sure: Wall,
    orders: BTreeMap<OrderId, Memo>,
    faults: BTreeMap<Outlet, Cause>,
    /// Found, and not on record yet.
    conflicts: VecDeque<Conflict>,
    noted: u64,
    tally: Tally,
    camera: Camera,
    season_exits: SeasonExits,
    departed: Departed,
    /// When the others were told last in this run.
    told: Option<Mono>,
    /// Something has changed since that they may not have heard.
    untold: bool,
}

impl CarPark {
    /// A lane that has done nothing yet, or whose [memory](Shop::recall) comes after.
    pub fn new(parts: Parts, mut site: Site) -> Self {
        site.list_keys(&parts.keys);
        Self {
            camera: Camera::new(parts.settings.sees_cars),
            season_exits: SeasonExits::default(),
            departed: Departed::default(),
            parts,
            inside: site.occupancy(),
            site,
            revision: 1,
            now: Mono::default(),
            wall: None,
            sure: Wall(0),
            orders: BTreeMap::new(),
            faults: BTreeMap::new(),
            conflicts: VecDeque::new(),
            noted: 0,
            tally: Tally::default(),
            told: None,
            untold: true,
        }
    }

    pub fn site(&self) -> &Site {
        &self.site
    }

    fn minute(&self) -> Option<Minute> {
        self.wall.and_then(Minute::of)
    }

    fn gate(&self) -> Option<Outlet> {
        self.parts.settings.gate.clone().map(Outlet::Gate)
    }

    fn full(&self) -> bool {
        self.parts.settings.places.is_some_and(|places| self.inside >= u64::from(places))
    }

    /// It is a fact of the site from now on. One that can't be recorded again was recorded before. [`changed`](Self::changed) follows
    /// the last of a step.
    fn fact(&mut self, fact: Fact) {
        match self.site.record(fact) {
            Ok(conflicts) => self.conflicts.extend(conflicts),
            Err(why) => tracing::error!(%why, "the site has not recorded what this lane did"),
        }
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.inside = self.site.occupancy();
        self.look_who_left();
        self.untold = true;
    }

    /// An order was handed over, or may have been.
    fn handed_over(&mut self, order: OrderId) {
        let Some(memo) = self.orders.get(&order).cloned() else { return };
        let (me, at) = (self.site.me(), self.minute());
        memo.facts(me, at).into_iter().for_each(|fact| self.fact(fact));
        if let Some(season) = memo.season_untold() {
            self.season_exits.left(season, at.or(Minute::of(self.sure)));
        }
        self.changed();
    }

    fn remember(&mut self, order: OrderId, memo: Memo) {
        // After a restart its car is known already.
        if self.site.next_ticket() == Some(memo.number)
            && let Some(mut entered) = memo.entered()
        {
            entered.before = self.comes_back(&entered);
            self.camera.lets_in(entered.serial, entered.plate.clone(), self.now);
            self.fact(Fact::Entered(entered));
            if let Some(season) = memo.season_in() {
                self.fact(Fact::SeasonUsed(self.site.season_used(season, memo.number)));
            }
            self.changed();
        }
        self.orders.insert(order, memo);
    }
}

impl Shop for CarPark {
    /// A full car park gives out no tickets. Who is inside pays and leaves all the same.
    fn closed(&self) -> Option<StopReason> {
        (self.parts.settings.does == TicketDeed::GiveOut && self.full()).then_some(StopReason::Full)
    }

    fn refuses(&self, _: &[(Goods, u32)], only: Option<&Outlet>) -> Option<StopReason> {
        only.is_some_and(|gate| self.faults.contains_key(gate)).then_some(StopReason::OutletFaulty)
    }

    /// Where no car stands before a gate, a stay comes out as a pass.
    fn outlet(&self, goods: &Goods, _: &[Outlet]) -> Option<Outlet> {
        matches!(goods, Goods::Stay(_)).then_some(Outlet::Pass)
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::OutletFaulty { outlet, why } => {
                self.faults.insert(outlet.clone(), why.clone());
            }
            Record::OutletRepaired { outlet } => {
                self.faults.remove(outlet);
            }
            Record::ShopNoted { key, value: Some(value) } if self.tallied(key, value) => {}
            Record::ShopNoted { key, value: Some(value) } if key == VOID_NOTE => {
                let number = value.as_str().and_then(|text| TicketNumber::typed(text).ok());
                if let Some(number) = number.filter(|number| self.site.over(*number).is_none()) {
                    self.fact(Fact::Voided(Voided { stay: Number(number), at: self.minute() }));
                    self.changed();
                }
            }
            Record::ShopNoted { key, value } => {
                let Some(order) = key.strip_prefix(ORDER_NOTE).and_then(OrderId::parse) else { return };
                match value.as_ref().map(|value| serde_json::from_value(value.clone())) {
                    Some(Ok(memo)) => self.remember(order, memo),
                    Some(Err(why)) => tracing::error!(%order, %why, "what was noted of an order can't be read"),
                    None => drop(self.orders.remove(&order)),
                }
            }
            Record::ItemNotDelivered { order, why: Cause::Withdrawn, .. } => {
                let gone = self.orders.get(order).and_then(|memo| memo.voided(self.minute()));
                if let Some(fact) = gone {
                    self.camera.went_back();
                    self.fact(fact);
                    self.changed();
                }
            }
            _ => {
                if let (Some(_), Some(order)) = (record.handed_over(), record.order()) {
                    self.handed_over(order);
                }
            }
        }
    }

    /// With an order that begins, the oldest is forgotten.
    fn notes(&self, record: &Record, _: Option<&Order>) -> Vec<Note> {
        let begins = matches!(record, Record::OrderOffered { .. } | Record::OrderGranted { .. });
        let old = self.orders.keys().take(self.orders.len().saturating_sub(ORDERS - 1));
        let forget = |order: &OrderId| Note { key: format!("{ORDER_NOTE}{order}"), value: None };
        old.filter(|_| begins).map(forget).collect()
    }

    fn clock(&mut self, at: &Stamp) {
        self.end_hour(at);
        (self.now, self.wall) = (at.now, at.wall);
        self.sure = self.sure.max(at.wall.unwrap_or(self.sure));
    }

    fn wake(&self) -> Option<Mono> {
        self.told.filter(|_| self.untold && self.parts.signer.is_some()).map(|at| at + TELL_EVERY)
    }

    fn counter(&self) -> Counter {
        let Settings { does, places, .. } = &self.parts.settings;
        Counter::Tickets(TicketCounter {
            does: *does,
            free: places.map(|places| u64::from(places).saturating_sub(self.inside)),
            full: *does == TicketDeed::GiveOut && self.full(),
            typed: *does == TicketDeed::Pay,
            lost: self.settles_lost(),
        })
    }

    fn presented(&self, what: &Presented, quote: Option<&Quote>) -> Answer {
        self.answer(what, quote).unwrap_or_else(|mut advice| {
            // What is shown at an entry lets nobody in.
            let asks = self.parts.settings.does != TicketDeed::GiveOut || *what == Presented::NoTicketYet;
            advice.unable = advice.unable.filter(|_| asks);
            if advice.unable.is_some() {
                advice.ticket = self.ticket_of(what, quote);
            }
            Answer::Refused(advice)
        })
    }

    fn plate_seen(&mut self, plate: &str) {
        let Ok(plate) = Plate::typed(plate) else { return };
        if let Some((serial, plate)) = self.camera.read(plate, self.now) {
            let before = self.came_back(serial, &plate);
            match self.site.amend(serial, |entered| (entered.plate, entered.before) = (Some(plate), before)) {
                Ok(()) => self.changed(),
                Err(why) => tracing::warn!(%why, "a plate was read too late to be told"),
            }
        }
    }

    fn car_waits(&mut self, there: bool) {
        self.camera.car(there, self.now);
    }

    /// While every place is taken a car waits, and is let in when there is one.
    fn car_came(&mut self) -> bool {
        let waits = self.parts.settings.does == TicketDeed::GiveOut && self.full();
        !waits && self.camera.came(self.now)
    }

    fn code(&self, order: &Order) -> Option<OrderCode> {
        let (memo, issuer) = (self.orders.get(&order.id)?, self.parts.issuer.as_ref()?);
        let (mut came, mut car, mut vehicle) = (None, None, None);
        let (kind, code, until) = match &memo.deed {
            Deed::Enter { ticket: false, .. } => return None,
            Deed::Enter { entry, class, plate, .. } => {
                let latest = (entry.doubt() > 0).then(|| entry.latest().wall());
                came = Some((entry.earliest().wall(), latest));
                (car, vehicle) = (plate.as_ref().map(ToString::to_string), self.class_name(*class));
                let ticket = Ticket { number: memo.number, entry: *entry, class: *class };
                (CodeKind::Ticket, Code::Ticket(ticket), None)
            }
            Deed::Stay(stay) if !stay.typed && stay.leaves.is_none() => {
                let pass = self.site.pass(memo.number, stay.nth)?;
                (CodeKind::ExitPass, Code::Pass(pass), pass.until())
            }
            Deed::Stay(_) => return None,
        };
        let code = issuer.issue(&code).inspect_err(|why| tracing::error!(%why, "a code can't be signed")).ok()?;
        Some(OrderCode {
            kind,
            code,
            number: memo.number.to_string(),
            until: until.map(Minute::wall),
            entry: came,
            plate: car,
            class: vehicle,
            site: self.site.roster().site().to_string(),
            lane: self.site.roster().name(self.site.me()),
        })
    }

    fn bill(&self, order: &Order) -> Vec<BillLine> {
        self.orders.get(&order.id).map_or_else(Vec::new, |memo| memo.bill.clone())
    }

    fn memory(&self) -> Vec<(String, u64)> {
        let site = self.site.parts().map(|(key, number)| (format!("{SITE}{key}"), number));
        std::iter::once((LANE.to_owned(), self.revision)).chain(site).collect()
    }

    fn part(&self, name: &str) -> Result<Option<String>, serde_json::Error> {
        match name.strip_prefix(SITE) {
            Some(key) => self.site.part(key),
            None if name == LANE => {
                let (tally, season_exits) = (self.tally.clone(), self.season_exits.clone());
                serde_json::to_string(&Kept { sure: self.sure, tally, season_exits }).map(Some)
            }
            None => Ok(None),
        }
    }

    fn recall(&mut self, mut parts: BTreeMap<String, String>) -> Result<(), String> {
        let Some(text) = parts.remove(LANE) else {
            let rest = parts.keys().any(|name| name.starts_with(SITE));
            return if rest {
                Err("what the lane remembers has no part `lane`: its disk is damaged".into())
            } else {
                Ok(())
            };
        };
        let kept: Kept = serde_json::from_str(&text).map_err(|why| why.to_string())?;
        let of_site = parts.into_iter().filter_map(|(name, json)| Some((name.strip_prefix(SITE)?.to_owned(), json)));
        let state = SiteState::from_parts(of_site).map_err(|why| why.to_string())?;
        let (now, me) = (self.site.me(), state.me());
        if now != me {
            return Err(format!(
                "this ledger is of lane {me} of the site, and the configuration says lane {now}; write lane = {me}, or begin a new ledger"
            ));
        }
        self.site = Site::restored(self.site.roster().clone(), state);
        self.site.list_keys(&self.parts.keys);
        self.inside = self.site.occupancy();
        self.sure = kept.sure;
        self.tally = kept.tally;
        self.season_exits = kept.season_exits;
        self.look_who_left();
        self.revision = 0;
        Ok(())
    }

    fn heard(&mut self, lane: u8, message: &[u8]) -> Result<(), String> {
        let lane = super::ticket::LaneNumber::new(lane).ok_or_else(|| format!("there is no lane {lane}"))?;
        let older = self.site.has_older_disk();
        let taken = self.site.take(message, lane, self.wall);
        match taken {
            Ok(taken) => {
                self.conflicts.extend(taken.conflicts);
                if taken.new {
                    self.end_seasons();
                    self.changed();
                    self.plate_is_paid();
                }
                Ok(())
            }
            Err(why) => {
                if self.site.has_older_disk() != older {
                    self.changed();
                }
                Err(why.to_string())
            }
        }
    }

    fn tells(&mut self) -> Option<Vec<u8>> {
        let signer = self.parts.signer.clone()?;
        let due = self.told.is_none_or(|at| self.now.since(at) >= TELL_EVERY);
        if !self.untold || !due {
            return None;
        }
        let first = self.told.is_none();
        self.untold = false;
        let next = self.site.publish().unwrap_or_else(|why| {
            tracing::error!(%why, "the other lanes can't be told");
            None
        });
        // Whether the last one was sent before a restart nobody knows.
        let document = next.or_else(|| self.site.last().filter(|_| first).cloned())?;
        self.told = Some(self.now);
        document.sign(&signer).inspect_err(|why| tracing::error!(%why, "the other lanes can't be told")).ok()
    }

    fn news(&mut self) -> Vec<Note> {
        let mut notes: Vec<Note> = self.season_exits.news().collect();
        while let Some(conflict) = self.conflicts.pop_front() {
            let told = conflict.told(self.site.roster());
            tracing::warn!("{told}");
            let value = serde_json::json!({ "conflict": conflict, "told": told });
            notes.push(Note { key: format!("{CONFLICT_NOTE}{}", self.noted % CONFLICTS), value: Some(value) });
            self.noted += 1;
        }
        notes.extend(self.tally.news());
        notes
    }

    /// `count` is how many cars may still pass: the free places, and the cars inside.
    fn outlets(&self) -> Vec<OutletStatus> {
        let inside = u32::try_from(self.inside).unwrap_or(u32::MAX);
        let places = self.parts.settings.places.unwrap_or(0);
        let count = match self.parts.settings.does {
            TicketDeed::GiveOut => places.saturating_sub(inside),
            TicketDeed::Pay | TicketDeed::Leave => inside,
        };
        let status = |outlet: Outlet| OutletStatus {
            fault: self.faults.get(&outlet).cloned(),
            outlet,
            goods: None,
            count,
            capacity: places,
        };
        self.gate().into_iter().map(status).collect()
    }

    fn counted(&self, cars: u32, at: &Stamp) -> Result<Vec<Record>, Refusal> {
        Ok(vec![tally::counted(cars, at)])
    }

    fn void(&self, ticket: &str, _: &Stamp) -> Result<Vec<Record>, Refusal> {
        let number = TicketNumber::typed(ticket).map_err(|_| Refusal::NoSuchTicket)?;
        // Whoever gets it later has done nothing wrong.
        if self.site.is_to_come(number) {
            return Err(Refusal::NoSuchTicket);
        }
        if self.site.over(number).is_some() {
            return Ok(Vec::new());
        }
        Ok(vec![Record::ShopNoted { key: VOID_NOTE.to_owned(), value: Some(number.to_string().into()) }])
    }

    fn refill(&self, outlet: &Outlet) -> Vec<Record> {
        let faulty = self.faults.contains_key(outlet);
        faulty.then(|| Record::OutletRepaired { outlet: outlet.clone() }).into_iter().collect()
    }

    fn boxed(&self) -> Box<dyn Shop> {
        Box::new(self.clone())
    }
}

/// What is remembered besides the site's parts.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    sure: Wall,
    #[serde(flatten)]
    tally: Tally,
    #[serde(default)]
    season_exits: SeasonExits,
}
