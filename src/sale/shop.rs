//! The shop behind the counter: what the sale must know of it, and nothing of how it works.
//!
//! Policy: a shop answers three questions: may it sell, which outlet is next, what does this record change. It is asked
//! with what the sale knows and decides nothing about money. Everything it remembers it has from records. A restart hands
//! it what they add up to, in [`Recovered::shop`](super::recover::Recovered::shop): what lies in each slot, which outlet is
//! faulty, and the newest of its own notes. Whatever else it has to know again it writes down as a [`Note`].

use std::collections::BTreeMap;

use super::order::Order;
use super::presented::{Advice, Answer, BillLine, Counter, OrderCode, Presented, Quote};
use super::record::{Offered, Record};
use super::view::StopReason;
use crate::operation::Refusal;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{CategoryId, Cause, Goods, Localized, Minor, Mono, Outlet, ProductId, Stamp};

pub trait Shop: std::fmt::Debug + Send {
    /// May it sell? A reason that keeps it from selling anything at all: sold out, full. No paid order begins as long as
    /// there is one, so a car park with an exit at this kiosk has none when it is full: its entry
    /// [`refuses`](Self::refuses). A granted order is not kept off by it.
    fn closed(&self) -> Option<StopReason>;

    /// May it sell these? Why not all of the goods, each as often as said, can be handed over now, with what is known of the
    /// outlets' faults; `None` where they can. `only`: they must come out there, as at the lane where a car stands.
    fn refuses(&self, wanted: &[(Goods, u32)], only: Option<&Outlet>) -> Option<StopReason>;

    /// Which outlet is next? Where one unit of the goods comes out, other than where it was tried already. It is not asked
    /// about an order that says itself where it comes out.
    fn outlet(&self, goods: &Goods, tried: &[Outlet]) -> Option<Outlet>;

    /// What does this record change? Every record that is written comes by, in order; after a start those of
    /// [`Recovered::shop`](super::recover::Recovered::shop) come first. What was handed over, or may have been, is told by
    /// [`Record::handed_over`].
    fn apply(&mut self, record: &Record);

    /// What has to be noted with this record, which has just been applied, and which has been applied to its `order` too,
    /// where it is of one: the record of a delivery names an outlet, and the order has the goods. It is written in the same
    /// commit, as `shop-noted`, and is applied before any other record. What is to be noted with a note is not asked. So a
    /// shop may keep all it knows in notes, and change only by them.
    fn notes(&self, _record: &Record, _order: Option<&Order>) -> Vec<Note> {
        Vec::new()
    }

    /// What time it is from now on; before every event.
    fn clock(&mut self, _at: &Stamp) {}

    /// When something of it is to be told that time alone brings about.
    fn wake(&self) -> Option<Mono> {
        None
    }

    /// What customers begin with.
    fn counter(&self) -> Counter {
        Counter::Shelf
    }

    /// Somebody presents this. `quote`: what is on the glass of the same customer, where it is to be added to that.
    fn presented(&self, _what: &Presented, _quote: Option<&Quote>) -> Answer {
        Answer::Refused(Advice::new("stay-nothing-here"))
    }

    /// A camera has read this plate of a car at the gate.
    fn plate_seen(&mut self, _plate: &str) {}

    /// Whether a car stands before the gate, as far as anybody can know.
    fn car_waits(&mut self, _there: bool) {}

    /// A car stands there whose plate was read: true once, and then it is [presented](Presented::Car). It is asked when somebody
    /// can be served.
    fn car_came(&mut self) -> bool {
        false
    }

    /// What the customer takes away of an order besides its receipt.
    fn code(&self, _order: &Order) -> Option<OrderCode> {
        None
    }

    /// Why an order costs what it does, as far as that is told line by line.
    fn bill(&self, _order: &Order) -> Vec<BillLine> {
        Vec::new()
    }

    /// What it remembers beside its records, in parts by name, each with a number that is another one when the part has changed, and
    /// 0 while the part is as it was recalled. What has changed is written, and what is gone deleted, in the commit of the step, be it
    /// one without records. A shop that remembers nothing leaves alone what another has remembered.
    fn memory(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// One of these parts, as JSON.
    ///
    /// # Errors
    /// It can't be written as JSON.
    fn part(&self, _name: &str) -> Result<Option<String>, serde_json::Error> {
        Ok(None)
    }

    /// After a start: the parts as they were written last, before any record.
    ///
    /// # Errors
    /// They can't be read, and why.
    fn recall(&mut self, _parts: BTreeMap<String, String>) -> Result<(), String> {
        Ok(())
    }

    /// A message of another lane of the shop's site.
    ///
    /// # Errors
    /// It is not believed, and why.
    fn heard(&mut self, _lane: u8, _message: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// What the other lanes have not heard of this one; it is sent when it is on disk.
    fn tells(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// What was found out without a record being written, and has to be noted.
    fn news(&mut self) -> Vec<Note> {
        Vec::new()
    }

    /// What has to be written when the machine starts, for example what the operator has put where.
    fn opening(&self) -> Vec<Record> {
        Vec::new()
    }

    /// What customers choose from on the glass, in the operator's order.
    fn catalogue(&self) -> &[Product] {
        &[]
    }

    /// How many units of a product could be handed over now.
    fn available(&self, _product: &ProductId) -> u32 {
        0
    }

    /// Where things come out, and what is known of it, by name.
    fn outlets(&self) -> Vec<OutletStatus>;

    /// A person has counted so many cars inside: what has to be written for it.
    ///
    /// # Errors
    /// Nobody counts cars here.
    fn counted(&self, _cars: u32, _at: &Stamp) -> Result<Vec<Record>, Refusal> {
        Err(Refusal::NotACarPark)
    }

    /// A ticket, by its number as a person has typed it, counts no more: what has to be written for it; nothing where it
    /// counted no more before.
    ///
    /// # Errors
    /// Why it is not done.
    fn void(&self, _ticket: &str, _at: &Stamp) -> Result<Vec<Record>, Refusal> {
        Err(Refusal::NotACarPark)
    }

    /// So many units lie there now, somebody says.
    ///
    /// # Errors
    /// There is no such outlet, or it holds less.
    fn restock(&self, _outlet: &Outlet, _count: u32) -> Result<Vec<Record>, Refusal> {
        Err(Refusal::NothingIsKeptHere)
    }

    /// This outlet is full and not faulty any more, somebody says. A shop whose outlets may become faulty must give an
    /// `outlet-repaired` for one that is: nothing but a refill repairs it.
    fn refill(&self, _outlet: &Outlet) -> Vec<Record> {
        Vec::new()
    }

    fn boxed(&self) -> Box<dyn Shop>;
}

/// Something the shop has to know again after a restart. The newest of a key holds; without a value it is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub key: String,
    pub value: Option<serde_json::Value>,
}

impl Clone for Box<dyn Shop> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}

/// Something customers can choose on the glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    pub name: Localized,
    pub price: Minor,
    /// Within the price.
    pub tax: Option<Rate>,
    pub picture: Option<std::path::PathBuf>,
    pub category: Option<CategoryId>,
}

impl Product {
    /// One unit, as it is offered now.
    pub fn offered(&self) -> Offered {
        Offered { goods: Goods::Product(self.id.clone()), label: self.name.clone(), price: self.price, tax: self.tax }
    }
}

/// One outlet as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutletStatus {
    pub outlet: Outlet,
    /// What lies in it; `None` where nothing is kept, as behind a gate.
    pub goods: Option<Goods>,
    pub count: u32,
    pub capacity: u32,
    /// It may not be used until a person has looked.
    pub fault: Option<Cause>,
}
