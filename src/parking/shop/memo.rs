//! What is remembered of an order until it is handed over, and as long as its code may be wanted. It is a note in the ledger.

use serde::{Deserialize, Serialize};

use crate::parking::site::{Entered, Fact, How, Left, Paid, Stay as Number, ValidationUsed, Voided};
use crate::parking::ticket::{ClassNumber, EntryTime, LaneNumber, Minute, Plate, TicketNumber, ValidationNumber};
use crate::sale::presented::BillLine;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memo {
    pub number: TicketNumber,
    pub deed: Deed,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bill: Vec<BillLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// A car comes in under this number.
    Enter {
        entry: EntryTime,
        class: ClassNumber,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plate: Option<Plate>,
        /// It is given a ticket.
        #[serde(default = "with_ticket")]
        ticket: bool,
        /// With the season pass of this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        season: Option<u32>,
    },
    /// A stay is paid, or ends, or both.
    Stay(StayMemo),
}

fn with_ticket() -> bool {
    true
}

/// What is not said is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayMemo {
    /// Which payment for the stay it is.
    pub nth: u8,
    /// What is due for it here.
    pub due: u32,
    /// Minutes to leave in, after the payment.
    pub grace: u16,
    /// Minutes that were given away.
    pub doubt: u16,
    /// Its number or plate was typed, so no pass is given out.
    pub typed: bool,
    /// A camera has read its plate, and nothing was shown.
    pub by_plate: bool,
    /// The ticket is lost, and this number stands for it from now on.
    pub lost: Option<ClassNumber>,
    /// The season pass that it was shown with.
    pub season: Option<u32>,
    /// No lane has told that this season pass came in, and a number of this lane stands for its stay.
    pub untold: bool,
    /// What lets the car out here.
    pub leaves: Option<How>,
    /// What the codes said that were shown for it, for another question.
    pub shown: Vec<String>,
    pub validations: Vec<Taken>,
}

/// A validation that counts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub number: ValidationNumber,
    pub until: Minute,
}

impl Memo {
    /// The car that is inside as soon as this is on record.
    pub fn entered(&self) -> Option<Entered> {
        match &self.deed {
            Deed::Enter { entry, class, plate, .. } => Some(Entered {
                serial: self.number.serial(),
                entry: *entry,
                class: *class,
                plate: plate.clone(),
                before: None,
            }),
            Deed::Stay(_) => None,
        }
    }

    /// What its being handed over means for the site.
    pub fn facts(&self, me: LaneNumber, at: Option<Minute>) -> Vec<Fact> {
        let Deed::Stay(stay) = &self.deed else { return Vec::new() };
        let (number, mut facts) = (Number(self.number), Vec::new());
        let own = stay.lost.or(stay.untold.then(ClassNumber::default));
        if let (Some(class), true) = (own, self.number.lane() == me) {
            // Nobody knows when it came; nothing more is asked for it, so that counts no more.
            let entry = at.map_or(EntryTime::Doubtful { earliest: Minute::FIRST, quarters: 255 }, EntryTime::Known);
            facts.push(Fact::Entered(Entered {
                serial: self.number.serial(),
                entry,
                class,
                plate: None,
                before: None,
            }));
        }
        if stay.due > 0 || stay.leaves.is_none() {
            let (nth, grace, doubt) = (stay.nth, stay.grace, stay.doubt);
            facts.push(Fact::Paid(Paid { stay: number, nth, at, grace, amount: stay.due, doubt, lane: None }));
        }
        for Taken { number: validation, until } in &stay.validations {
            let used = ValidationUsed { number: *validation, stay: number, until: *until };
            facts.push(Fact::ValidationUsed(used));
        }
        if let Some(how) = stay.leaves {
            facts.push(Fact::Left(Left { stay: number, at, how }));
        }
        facts
    }

    /// A season pass that comes in with it.
    pub fn season_in(&self) -> Option<u32> {
        if let Deed::Enter { season, .. } = &self.deed { *season } else { None }
    }

    /// A season pass that leaves though no lane has told that it came in.
    pub fn season_untold(&self) -> Option<u32> {
        if let Deed::Stay(stay) = &self.deed { stay.season.filter(|_| stay.untold) } else { None }
    }

    /// Its car has gone back before it came in.
    pub fn voided(&self, at: Option<Minute>) -> Option<Fact> {
        matches!(self.deed, Deed::Enter { .. }).then_some(Fact::Voided(Voided { stay: Number(self.number), at }))
    }
}
