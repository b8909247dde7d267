//! From a stay to its quote: what is due now, and why.

use super::memo::{Deed, Memo, StayMemo, Taken};
use super::{CarPark, advice};
use crate::operation::Refusal;
use crate::parking::site::{How, Until};
use crate::parking::tariff::{self, Bill, Entry, Label, Line, Worth};
use crate::parking::ticket::{ClassNumber, EntryTime, Minute, Pass, Plate, Season, TicketNumber, Validation};
use crate::sale::presented::{Advice, BillLine, Quote, Unable};
use crate::sale::record::Offered;
use crate::vocabulary::{Goods, Language, Localized, Minor, Outlet, StayId, StopReason, Wall};

/// What was shown or typed of one stay.
#[derive(Debug, Clone)]
pub struct Seen {
    pub number: TicketNumber,
    pub entry: EntryTime,
    pub class: ClassNumber,
    pub plate: Option<Plate>,
    /// No code proves that it is the customer's.
    pub typed: bool,
    /// A camera has read its plate.
    pub by_plate: bool,
    pub passes: Vec<Pass>,
    pub validations: Vec<Validation>,
    /// With this pass it came in.
    pub season: Option<Season>,
    /// The texts of the codes.
    pub shown: Vec<String>,
}

impl Seen {
    pub fn new(number: TicketNumber, entry: EntryTime, class: ClassNumber) -> Self {
        Self {
            number,
            entry,
            class,
            plate: None,
            typed: false,
            by_plate: false,
            passes: Vec::new(),
            validations: Vec::new(),
            season: None,
            shown: Vec::new(),
        }
    }

    /// The same code again says nothing new.
    pub fn has_shown(&mut self, text: &str) {
        if !self.shown.iter().any(|shown| shown == text) {
            self.shown.push(text.to_owned());
        }
    }
}

impl CarPark {
    /// What is due for it at `asked`. `leaves`: the car is to leave here.
    pub(super) fn quote(&self, seen: Seen, asked: Wall, leaves: bool) -> Result<Quote, Advice> {
        let roster = self.site.roster();
        let payments = self.site.may_pay(seen.number, &seen.passes).map_err(|over| advice::over(&over, roster))?;
        let now = Minute::of(asked).ok_or_else(|| Advice::new("stay-no-clock").unable(Unable::Price))?;
        // A lane that has learned the time has told it.
        let told = self.site.find(seen.number).map(|found| found.entered);
        let before = told.as_ref().and_then(|told| told.before);
        let entry = told.map(|told| told.entry).filter(|entry| entry.doubt() == 0).unwrap_or(seen.entry);
        let came = entry.charged_from(now);
        let (season, from) = match &seen.season {
            None => (None, came),
            // What comes after its last minute is a stay of its own.
            Some(pass) if pass.ended(Some(asked)).is_some() => (None, came.max(pass.until.later(1))),
            Some(pass) => (Some(self.season_name(pass)?), came),
        };
        // One that began when its pass had ended has none before it.
        let visit = before.filter(|_| from == came).map(|before| self.visit(before));
        let from = from.wall();
        let stay = tariff::Stay {
            season,
            visit,
            class: self.class(seen.class)?,
            worths: seen.validations.iter().map(|validation| validation.worth).collect::<Vec<Worth>>(),
            ..tariff::Stay::new(from, now.wall())
        };
        let tariff = &*self.parts.tariff;
        let bill = match &payments {
            None => tariff::fee(tariff, &stay),
            Some(payments) => {
                let at = payments.last().map_or(from, Minute::wall);
                tariff::due(tariff, &stay, &[tariff::Paid { at, amount: payments.amount() }])
            }
        };
        let bill = bill.map_err(|why| advice::no_price(&why))?;
        // A pass says itself how long it is good, whatever the tariff says now.
        let in_time = payments.as_ref().is_some_and(|payments| match payments.until() {
            Until::At(until) => now <= until,
            Until::Used => true,
        });
        let amount = if in_time { 0 } else { bill.amount };
        // Money is taken only for what can be recorded.
        if amount > 0 && !self.site.has_room() {
            return Err(no_room());
        }
        let nth = match &payments {
            None => 0,
            Some(payments) => {
                payments.next().ok_or_else(|| Advice::new("stay-too-many-payments").unable(Unable::Payment))?
            }
        };
        let until = payments.as_ref().filter(|_| amount == 0).and_then(|payments| match payments.until() {
            Until::At(until) if in_time => Some(until.wall()),
            _ => None,
        });
        let memo = StayMemo {
            nth,
            due: due(amount)?,
            grace: self.grace(),
            doubt: u16::try_from(entry.doubt()).unwrap_or(u16::MAX),
            typed: seen.typed,
            by_plate: seen.by_plate,
            season: seen.season.as_ref().map(|season| season.number),
            untold: false,
            lost: None,
            leaves: leaves.then_some(How::Ticket),
            shown: seen.shown,
            validations: seen.validations.iter().map(|one| Taken { number: one.number, until: one.until }).collect(),
        };
        let plain = self.billed(seen.number, memo, amount, &bill);
        Ok(Quote {
            plate: seen.plate.map(|plate| plate.to_string()),
            class: self.class_name(seen.class),
            entry: Some(came.wall()),
            doubt: entry.doubt(),
            asked,
            paid: payments.as_ref().map_or(0, |payments| payments.amount()),
            until,
            ..plain
        })
    }

    /// The price of a lost ticket. The stay goes on under a number of this lane's own.
    pub(super) fn lost_quote(&self, number: TicketNumber, asked: Wall, leaves: bool) -> Result<Quote, Advice> {
        let class = ClassNumber::default();
        if !self.site.has_room() {
            return Err(no_room());
        }
        let stay = tariff::Stay { entry: Entry::Lost, class: self.class(class)?, ..tariff::Stay::new(asked, asked) };
        let bill = tariff::fee(&self.parts.tariff, &stay).map_err(|why| advice::no_price(&why))?;
        let memo = StayMemo {
            due: due(bill.amount)?,
            grace: self.grace(),
            lost: Some(class),
            leaves: leaves.then_some(How::Ticket),
            ..StayMemo::default()
        };
        let class = self.class_name(class);
        Ok(Quote { class, asked, lost: true, ..self.billed(number, memo, bill.amount, &bill) })
    }

    /// With why it costs that.
    fn billed(&self, number: TicketNumber, memo: StayMemo, amount: Minor, bill: &Bill) -> Quote {
        let tariff = &*self.parts.tariff;
        let line = |line: &Line| BillLine {
            text: self.parts.wording.line(tariff, line),
            from: line.from,
            to: line.to,
            amount: line.amount,
            rule: line.reason.rule(tariff),
        };
        let bill = bill.lines.iter().map(line).collect();
        let plain = self.plain(&Memo { number, deed: Deed::Stay(memo), bill });
        Quote { unit: Offered { tax: tariff.tax.map(|tax| tax.rate), price: amount, ..plain.unit }, ..plain }
    }

    /// What is remembered of it, and nothing due. It comes out at the gate where there is one, else as a pass.
    pub(super) fn plain(&self, memo: &Memo) -> Quote {
        Quote {
            unit: self.unit(memo.number),
            outlet: Some(self.gate().unwrap_or(Outlet::Pass)),
            number: Some(memo.number.to_string()),
            plate: None,
            class: None,
            entry: None,
            doubt: 0,
            asked: self.wall.unwrap_or(self.sure),
            bill: memo.bill.clone(),
            paid: 0,
            until: None,
            lost: false,
            memo: serde_json::to_value(memo).expect("numbers and texts with text keys always become JSON"),
        }
    }

    /// Minutes to leave in, as a pass can say them.
    fn grace(&self) -> u16 {
        let minutes = self.parts.tariff.grace.payment;
        u16::try_from(minutes).unwrap_or(Pass::LONGEST_GRACE).min(Pass::LONGEST_GRACE)
    }

    fn unit(&self, number: TicketNumber) -> Offered {
        let written = number.to_string();
        let id = StayId::parse(&written).expect("a ticket's number has digits and dashes");
        Offered { goods: Goods::Stay(id), label: self.parts.wording.stay(&written), price: 0, tax: None }
    }

    /// The tariff's name for a class that stands in a code.
    pub(super) fn class(&self, class: ClassNumber) -> Result<Option<Label>, Advice> {
        let classes = &self.parts.tariff.classes;
        let name = classes.get(usize::from(class.get())).cloned();
        name.map(Some).ok_or_else(|| Advice::new("stay-no-price").unable(Unable::Price))
    }

    pub(super) fn class_name(&self, class: ClassNumber) -> Option<Localized> {
        let classes = &self.parts.tariff.classes;
        let name = classes.get(usize::from(class.get())).filter(|_| classes.len() > 1)?;
        Some(Localized([(Language::new("en"), name.to_string())].into()))
    }
}

/// As a fact of the site says it.
fn due(amount: Minor) -> Result<u32, Advice> {
    u32::try_from(amount).map_err(|_| Advice::new("stay-no-price").unable(Unable::Price))
}

pub(super) fn no_room() -> Advice {
    Advice::refused(Refusal::CannotDeliver { reason: StopReason::OutboxFull }).unable(Unable::Payment)
}
