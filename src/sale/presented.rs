//! What people hold before the kiosk in place of choosing from a shelf, and what the shop says to it.
//!
//! Policy: only the shop reads it; the sale shows the answer and, where the customer agrees, begins an order of it. A price is
//! asked once and stays as it is until it is paid or given up: whoever reads the bill pays what stands on it.

use serde::{Deserialize, Serialize};

use super::record::Offered;
use crate::operation::Refusal;
use crate::vocabulary::{Grant, Localized, Minor, Outlet, StopReason, Wall};

/// The longest code or typed text that is looked at, in bytes.
pub const LONGEST: usize = 1_024;

/// What somebody wants, and not by touching a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// The text of a code before the scanner.
    Code(String),
    /// A ticket's number, as it was typed.
    Number(String),
    /// A number plate, as it was typed.
    Plate(String),
    /// The car before the gate, by its plate, which a camera has read and the shop has been told.
    Car,
    /// A ticket is wanted, at an entry.
    NoTicketYet,
    /// There is no ticket any more.
    LostTicket,
    /// A person is wanted.
    Help,
}

/// What the shop says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This is meant, and so much is due for it.
    Quote(Box<Quote>),
    /// One of these is meant, perhaps; whoever typed it chooses.
    Perhaps(Vec<Match>),
    /// Nothing is due: it is handed over now.
    Granted {
        quote: Box<Quote>,
        grant: Grant,
    },
    Refused(Advice),
    /// Nothing comes of it, and nothing is said: nobody has asked for anything.
    Nothing,
}

/// A price that was asked for, with why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The goods, and what is due for them.
    pub unit: Offered,
    /// It comes out there and nowhere else.
    pub outlet: Option<Outlet>,
    /// A ticket's number.
    pub number: Option<String>,
    pub plate: Option<String>,
    /// The kind of vehicle, where there are several.
    pub class: Option<Localized>,
    /// When the car came; `None` where nobody knows.
    pub entry: Option<Wall>,
    /// Minutes that were given away because nobody knew the time then.
    pub doubt: u32,
    /// When the price was asked.
    pub asked: Wall,
    pub bill: Vec<BillLine>,
    /// Paid before.
    pub paid: Minor,
    /// Where nothing is due: until when that holds.
    pub until: Option<Wall>,
    /// The price is that of a lost ticket.
    pub lost: bool,
    /// What the shop has to know of it again when it is paid.
    pub memo: serde_json::Value,
}

/// A part of an amount, in the words of the rule that it follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine {
    pub text: Localized,
    pub from: Wall,
    pub to: Wall,
    pub amount: Minor,
    /// By which lines are added up whatever stands in their texts: `rate/Day`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

/// Something that is nearly what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub plate: String,
    /// Of its ticket; presenting this one means it.
    pub number: String,
    pub entry: Option<Wall>,
}

/// Why nothing comes of it, and what to do: a text of the interface by its name, with what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub text: &'static str,
    pub with: Vec<(&'static str, Told)>,
    /// A person has to help.
    pub call: bool,
    /// It is the kiosk that can't decide, and not the customer who may not.
    pub unable: Option<Unable>,
    /// The number of the ticket that was shown, where that is known.
    pub ticket: Option<String>,
}

/// Why nobody can say whether a car may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unable {
    /// Tickets can't be read or recorded, or none can be given out.
    Ticket,
    /// The stay has no price.
    Price,
    /// Nothing can be paid here now.
    Payment,
}

impl Unable {
    /// Why a kiosk that does this can't decide for this reason; `None` where it has decided, as when a person has locked it, or
    /// where time alone ends it.
    pub fn by(reason: &StopReason, does: TicketDeed) -> Option<Self> {
        match (reason, does) {
            (_, TicketDeed::Pay) => None,
            (StopReason::LedgerFailed(_) | StopReason::DiskFull, _) => Some(Self::Ticket),
            (StopReason::OutboxFull | StopReason::GlassDark(_), TicketDeed::GiveOut) => Some(Self::Ticket),
            (
                StopReason::RailDown | StopReason::OutboxFull | StopReason::GlassDark(_) | StopReason::TouchDown(_),
                TicketDeed::Leave,
            ) => Some(Self::Payment),
            _ => None,
        }
    }

    /// The same of what was refused.
    pub fn by_refusal(refusal: &Refusal, does: TicketDeed) -> Option<Self> {
        match refusal {
            Refusal::CannotDeliver { reason } => Self::by(reason, does),
            _ => None,
        }
    }
}

/// What stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Text(String),
    Refusal(Refusal),
    At(Wall),
}

impl Advice {
    pub fn new(text: &'static str) -> Self {
        Self { text, with: Vec::new(), call: false, unable: None, ticket: None }
    }

    /// It can't be done now, and why; a person has to help.
    pub fn refused(why: Refusal) -> Self {
        Self { with: vec![("why", Told::Refusal(why))], ..Self::new("stay-not-now").call() }
    }

    /// The kiosk can't decide; a person has to help.
    #[must_use]
    pub fn unable(self, why: Unable) -> Self {
        Self { unable: Some(why), ..self.call() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.with.push((name, Told::Text(value.into())));
        self
    }

    #[must_use]
    pub fn at(mut self, name: &'static str, at: Wall) -> Self {
        self.with.push((name, Told::At(at)));
        self
    }

    #[must_use]
    pub fn call(mut self) -> Self {
        self.call = true;
        self
    }
}

/// Under this is noted what was known of a stay whose car was let through because nobody could decide.
pub const LET_THROUGH_NOTE: &str = "let-through";

/// What stands there, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetThrough {
    /// Which of the lane's passages without a decision it is.
    pub number: u64,
    /// The ticket's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Minor>,
}

/// What customers begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Counter {
    /// They choose from the shelf.
    #[default]
    Shelf,
    /// They show something.
    Tickets(TicketCounter),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketCounter {
    pub does: TicketDeed,
    /// Free places, where they are counted and shown.
    pub free: Option<u64>,
    /// No ticket is given out, because every place is taken.
    pub full: bool,
    /// A number or a plate may be typed.
    pub typed: bool,
    /// There is a price for a lost ticket.
    pub lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketDeed {
    /// Tickets are given out here.
    GiveOut,
    /// Stays are paid here.
    Pay,
    /// Cars leave here.
    Leave,
}

/// A code that belongs to an order: what the customer takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderCode {
    pub kind: CodeKind,
    /// What stands in the code.
    pub code: String,
    /// The ticket's number.
    pub number: String,
    /// The last minute in which it is good; `None`: until it is used.
    pub until: Option<Wall>,
    /// Of a ticket: when the car came, and where nobody knows, when at the latest.
    pub entry: Option<(Wall, Option<Wall>)>,
    pub plate: Option<String>,
    pub class: Option<Localized>,
    /// The car park, and the lane or pay station that gave it out.
    pub site: String,
    pub lane: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    Ticket,
    ExitPass,
}
