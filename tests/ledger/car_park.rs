//! A small car park behind the sale's counter, in place of a machine with slots: two lanes with a gate each.
//!
//! Policy: a stay comes in at one lane, granted by the ticket that the lane gives out, and goes out at the other, paid, or
//! granted where nothing is due. The lane where the car stands says which gate opens, and the shop opens no other. A car
//! counts as soon as it passed a gate or may have, and the count is a note: after a restart nothing else tells it.

use std::collections::BTreeMap;

use kioskd::sale::event::Event;
use kioskd::sale::record::{Offered, Record};
use kioskd::sale::shop::{Note, OutletStatus};
use kioskd::sale::view::StopReason;
use kioskd::sale::{Order, Shop};
use kioskd::vocabulary::{Cause, Goods, Grant, LaneId, Language, Localized, Minor, Outlet, StayId};

pub const FREE_MINUTES: u32 = 15;
const FEE_OF_AN_HOUR: Minor = 500;
const INSIDE: &str = "cars";

#[derive(Debug, Clone)]
pub struct CarPark {
    places: u32,
    inside: u32,
    faults: BTreeMap<Outlet, Cause>,
}

impl CarPark {
    pub fn new(places: u32) -> Self {
        Self { places, inside: 0, faults: BTreeMap::new() }
    }

    fn free(&self) -> u32 {
        self.places.saturating_sub(self.inside)
    }
}

pub fn entry() -> Outlet {
    Outlet::Gate(LaneId::parse("entry-1").unwrap())
}

pub fn exit() -> Outlet {
    Outlet::Gate(LaneId::parse("exit-1").unwrap())
}

/// A car stands before the entry and has taken a ticket.
pub fn enters(ticket: &str) -> Event {
    let unit = stay(ticket, format!("entry with ticket {ticket}"), 0);
    Event::Chosen { units: vec![unit], grant: Some(Grant::Ticket), outlet: Some(entry()) }
}

/// A ticket was read at the exit, so many minutes after the entry.
pub fn leaves(ticket: &str, minutes: u32) -> Event {
    let hours = if minutes <= FREE_MINUTES { 0 } else { minutes.div_ceil(60) };
    let price = Minor::from(hours) * FEE_OF_AN_HOUR;
    let unit = stay(ticket, format!("parking, {minutes} min"), price);
    Event::Chosen { units: vec![unit], grant: (price == 0).then_some(Grant::NothingDue), outlet: Some(exit()) }
}

fn stay(ticket: &str, text: String, price: Minor) -> Offered {
    let (goods, label) = (Goods::Stay(StayId::parse(ticket).unwrap()), Localized([(Language::new("en"), text)].into()));
    Offered { goods, label, price, tax: None }
}

impl Shop for CarPark {
    /// Never: who is inside must get out, be it full.
    fn closed(&self) -> Option<StopReason> {
        None
    }

    fn refuses(&self, wanted: &[(Goods, u32)], only: Option<&Outlet>) -> Option<StopReason> {
        let gate = only?;
        if self.faults.contains_key(gate) {
            return Some(StopReason::OutletFaulty);
        }
        let most = if *gate == entry() { self.free() } else { 1 };
        (wanted.iter().map(|(_, cars)| cars).sum::<u32>() > most).then_some(StopReason::Full)
    }

    /// Without a lane nobody knows which way the car goes.
    fn outlet(&self, _: &Goods, _: &[Outlet]) -> Option<Outlet> {
        None
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::OutletFaulty { outlet, why } => {
                self.faults.insert(outlet.clone(), why.clone());
            }
            Record::OutletRepaired { outlet } => {
                self.faults.remove(outlet);
            }
            Record::ShopNoted { key, value: Some(value) } if key == INSIDE => {
                self.inside = value.as_u64().and_then(|cars| cars.try_into().ok()).unwrap_or(self.places);
            }
            _ => {}
        }
    }

    /// The count changes by its note alone, so that a restart can't know another one.
    fn notes(&self, record: &Record, _: Option<&Order>) -> Vec<Note> {
        let inside = match record.handed_over() {
            Some((gate, cars)) if *gate == entry() => self.inside + cars,
            Some((gate, cars)) if *gate == exit() => self.inside.saturating_sub(cars),
            _ => return Vec::new(),
        };
        vec![Note { key: INSIDE.into(), value: Some(inside.into()) }]
    }

    /// `count` is how many cars may still pass: the free places, and the cars inside.
    fn outlets(&self) -> Vec<OutletStatus> {
        [(entry(), self.free()), (exit(), self.inside)]
            .map(|(outlet, count)| OutletStatus {
                fault: self.faults.get(&outlet).cloned(),
                outlet,
                goods: None,
                count,
                capacity: self.places,
            })
            .into()
    }

    /// What no record says.
    fn memory(&self) -> Vec<(String, u64)> {
        vec![("told".into(), self.inside.into())]
    }

    fn part(&self, name: &str) -> Result<Option<String>, serde_json::Error> {
        Ok((name == "told").then(|| format!("{{\"cars\":{}}}", self.inside)))
    }

    fn refill(&self, gate: &Outlet) -> Vec<Record> {
        self.faults
            .get_key_value(gate)
            .map(|(gate, _)| Record::OutletRepaired { outlet: gate.clone() })
            .into_iter()
            .collect()
    }

    fn boxed(&self) -> Box<dyn Shop> {
        Box::new(self.clone())
    }
}
