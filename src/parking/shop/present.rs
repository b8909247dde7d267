//! From what is presented to an answer, by what this kiosk is for.

use super::memo::{Deed, Memo, StayMemo};
use super::price::Seen;
use super::{CarPark, advice};
use crate::parking::site::{Found, How, Leaving};
use crate::parking::ticket::{
    ClassNumber, Code, EntryTime, LaneNumber, Minute, Nearness, Pass, Plate, Ticket, TicketNumber, Validation,
};
use crate::sale::presented::{Advice, Answer, Match, Presented, Quote, TicketDeed, Unable};
use crate::vocabulary::{Grant, Wall};

/// Plates of which one may be meant.
const MATCHES: usize = 4;

impl CarPark {
    pub(super) fn answer(&self, what: &Presented, quote: Option<&Quote>) -> Result<Answer, Advice> {
        let does = self.parts.settings.does;
        match what {
            Presented::Code(text) => match Code::read(text, &self.parts.keys).map_err(|why| advice::bad_code(&why))? {
                Code::Ticket(ticket) => self.ticket(ticket, text, quote),
                Code::Pass(pass) => self.pass(pass, text, quote),
                Code::Validation(validation) => self.validation(validation, text, quote),
                Code::Season(season) => self.season(season, text, quote),
            },
            Presented::NoTicketYet if does == TicketDeed::GiveOut => self.give_out(),
            Presented::Car => self.car(),
            Presented::Number(typed) if does == TicketDeed::Pay => self.number(typed),
            Presented::Plate(typed) if does == TicketDeed::Pay => self.plate(typed),
            Presented::LostTicket if self.settles_lost() => self.lost(),
            _ => Err(Advice::new("stay-nothing-here")),
        }
    }

    fn asked(&self) -> Result<Wall, Advice> {
        self.wall.ok_or_else(|| Advice::new("stay-no-clock").unable(Unable::Price))
    }

    fn give_out(&self) -> Result<Answer, Advice> {
        if self.full() {
            return Err(Advice::new("stay-full"));
        }
        if let Some(with_pass) = self.listed_in() {
            return Ok(with_pass);
        }
        let none = || Advice::new("stay-no-ticket").unable(Unable::Ticket);
        let plate = self.camera.plate(self.now).cloned();
        let ticket = plate.is_none() || !self.parts.settings.by_plate;
        if ticket && self.parts.issuer.is_none() {
            return Err(none());
        }
        let number = self.site.next_ticket().ok_or_else(none)?;
        let entry = EntryTime::of(self.wall, self.sure, self.parts.settings.doubt).ok_or_else(none)?;
        let told = plate.as_ref().map(ToString::to_string);
        let deed = Deed::Enter { entry, class: ClassNumber::default(), plate, ticket, season: None };
        Ok(self.let_in(Memo { number, deed, bill: Vec::new() }, entry, told))
    }

    pub(super) fn let_in(&self, memo: Memo, entry: EntryTime, plate: Option<String>) -> Answer {
        let (entry, doubt) = (Some(entry.earliest().wall()), entry.doubt());
        let quote = Quote { entry, doubt, plate, ..self.plain(&memo) };
        Answer::Granted { quote: Box::new(quote), grant: Grant::Ticket }
    }

    /// Nobody has asked for anything yet. A plate is no signature: it lets in where an entry goes by plates, and lets out for a
    /// stay that bears exactly this one and needs no more. A season pass that is listed is let in and out by its plate everywhere.
    fn car(&self) -> Result<Answer, Advice> {
        match (self.parts.settings.does, self.parts.settings.by_plate) {
            (TicketDeed::GiveOut, true) => self.give_out(),
            (TicketDeed::GiveOut, false) => Ok(self.listed_in().unwrap_or(Answer::Nothing)),
            (TicketDeed::Leave, _) => match (self.read_stay(), self.listed()) {
                (Some(found), _) => self.stay(Seen { typed: true, by_plate: true, ..seen_of(&found) }),
                (None, Some(pass)) => self.season_out(pass, None),
                (None, None) => Ok(Answer::Nothing),
            },
            _ => Ok(Answer::Nothing),
        }
    }

    /// The stay of the car before the gate, by exactly the plate that was read. Of two that bear it, the newer.
    fn read_stay(&self) -> Option<Found> {
        self.stay_with(self.camera.plate(self.now)?)
    }

    /// The newest that bears exactly this plate.
    pub(super) fn stay_with(&self, plate: &Plate) -> Option<Found> {
        let same = self.site.plate(plate).into_iter().filter(|(nearness, ..)| *nearness == Nearness::Same);
        let found = same.filter_map(|(_, _, number)| self.site.find(number));
        found.max_by_key(|found| (found.entered.entry.latest(), found.number))
    }

    /// Whoever was told what is due, by the plate, and has paid elsewhere is asked for nothing again.
    pub(super) fn plate_is_paid(&mut self) {
        let leaves = |found: Found| matches!(self.site.may_leave(found.number, &[], self.wall), Leaving::Yes { .. });
        if self.parts.settings.does == TicketDeed::Leave && self.read_stay().is_some_and(leaves) {
            self.camera.again();
        }
    }

    fn ticket(&self, ticket: Ticket, text: &str, quote: Option<&Quote>) -> Result<Answer, Advice> {
        if self.parts.settings.does == TicketDeed::GiveOut {
            return Err(Advice::new("stay-has-ticket"));
        }
        ticket.is_past(self.wall).map_err(|why| advice::bad_code(&why))?;
        let mut seen = Seen::new(ticket.number, ticket.entry, ticket.class);
        seen.plate = self.site.find(ticket.number).and_then(|found| found.entered.plate);
        // Passes of the same stay that were shown before it count with it.
        if let Some(before) = quote.and_then(|quote| self.seen(quote)).filter(|before| before.number == ticket.number) {
            let (entry, class, plate) = (ticket.entry, ticket.class, seen.plate);
            seen = Seen { typed: false, by_plate: false, entry, class, plate, ..before };
        }
        seen.has_shown(text);
        self.stay(seen)
    }

    fn pass(&self, pass: Pass, text: &str, quote: Option<&Quote>) -> Result<Answer, Advice> {
        if self.parts.settings.does == TicketDeed::GiveOut {
            return Err(Advice::new("stay-has-ticket"));
        }
        let before = quote.and_then(|quote| self.seen(quote)).filter(|before| before.number == pass.stay);
        let known = self.site.find(pass.stay).map(|found| seen_of(&found));
        match before.or(known) {
            Some(mut seen) => {
                (seen.typed, seen.by_plate) = (false, false);
                seen.passes.push(pass);
                seen.has_shown(text);
                self.stay(seen)
            }
            // When its car came stands on the ticket alone. What is paid opens all the same.
            None => {
                let leaving = self.site.may_leave(pass.stay, &[pass], self.wall);
                match (self.parts.settings.does, leaving) {
                    (TicketDeed::Leave, Leaving::Yes { how, .. }) => {
                        let entry = EntryTime::Known(pass.paid.unwrap_or(Minute::FIRST));
                        let mut seen = Seen::new(pass.stay, entry, ClassNumber::default());
                        seen.passes.push(pass);
                        seen.shown.push(text.to_owned());
                        self.let_out(seen, how)
                    }
                    (_, Leaving::Over(over)) => Err(advice::over(&over, self.site.roster())),
                    (_, Leaving::Elsewhere(lane)) => Err(self.elsewhere(lane)),
                    _ => Err(Advice::new("stay-ticket-too")),
                }
            }
        }
    }

    /// A shop pays for a part of the stay that stands on the glass.
    fn validation(&self, validation: Validation, text: &str, quote: Option<&Quote>) -> Result<Answer, Advice> {
        let Some((quote, mut seen)) = quote.filter(|quote| !quote.lost).and_then(|q| Some((q, self.seen(q)?))) else {
            return Err(Advice::new("validation-first-the-ticket"));
        };
        validation.is_good(self.wall).map_err(|why| advice::bad_code(&why))?;
        if seen.validations.iter().any(|one| one.number == validation.number) {
            return Err(Advice::new("validation-counts-already"));
        }
        if self.site.validation(validation.number, seen.number).is_some() {
            return Err(Advice::new("validation-used"));
        }
        seen.validations.push(validation);
        seen.shown.push(text.to_owned());
        let leaves = self.parts.settings.does == TicketDeed::Leave;
        let (before, quote) = (quote.unit.price, self.quote(seen, quote.asked, leaves)?);
        // What the shop pays in full is a payment like any other: on record, and with a pass.
        if before > 0 && quote.unit.price == 0 {
            return Ok(Answer::Granted { quote: Box::new(quote), grant: Grant::NothingDue });
        }
        Ok(self.settled(quote))
    }

    fn number(&self, typed: &str) -> Result<Answer, Advice> {
        let number = TicketNumber::typed(typed).map_err(|why| advice::bad_number(&why))?;
        if let Some(over) = self.site.over(number) {
            return Err(advice::over(&over, self.site.roster()));
        }
        let found = self.site.find(number).ok_or_else(|| Advice::new("number-unknown"))?;
        let seen = Seen { typed: true, ..seen_of(&found) };
        self.stay(seen)
    }

    fn plate(&self, typed: &str) -> Result<Answer, Advice> {
        let plate = Plate::typed(typed).map_err(|why| advice::bad_plate(&why))?;
        let found = self.site.plate(&plate);
        match found.as_slice() {
            [] => Err(Advice::new("plate-unknown").with("plate", plate.to_string())),
            [(Nearness::Same, _, number)] => self.number(&number.to_string()),
            several => Ok(Answer::Perhaps(
                several
                    .iter()
                    .take(MATCHES)
                    .map(|(_, plate, number)| Match {
                        plate: plate.to_string(),
                        number: number.to_string(),
                        entry: self.site.find(*number).map(|found| found.entered.entry.earliest().wall()),
                    })
                    .collect(),
            )),
        }
    }

    /// The number of the ticket of which something is presented, where a code that is believed says it.
    pub(super) fn ticket_of(&self, what: &Presented, quote: Option<&Quote>) -> Option<String> {
        let said = match what {
            Presented::Code(text) => match Code::read(text, &self.parts.keys) {
                Ok(Code::Ticket(ticket)) => Some(ticket.number.to_string()),
                Ok(Code::Pass(pass)) => Some(pass.stay.to_string()),
                Ok(Code::Season(season)) => self.site.season(season.number).map(|number| number.to_string()),
                Ok(Code::Validation(_)) | Err(_) => None,
            },
            _ => None,
        };
        said.or_else(|| quote.and_then(|quote| quote.number.clone()))
    }

    /// A lost ticket is paid where stays are.
    pub(super) fn settles_lost(&self) -> bool {
        let pays = match self.parts.settings.does {
            TicketDeed::GiveOut => false,
            TicketDeed::Pay => true,
            TicketDeed::Leave => self.parts.settings.pays,
        };
        pays && self.parts.tariff.lost.is_some() && self.parts.issuer.is_some()
    }

    fn lost(&self) -> Result<Answer, Advice> {
        let none = || Advice::new("stay-no-lost-price").call();
        let number = self.site.next_ticket().ok_or_else(none)?;
        let leaves = self.parts.settings.does == TicketDeed::Leave;
        Ok(Answer::Quote(Box::new(self.lost_quote(number, self.asked()?, leaves)?)))
    }

    /// What is due for it here, or that it may leave.
    pub(super) fn stay(&self, seen: Seen) -> Result<Answer, Advice> {
        let seen = self.with_listed(seen);
        let without = self.needs_its_pass(&seen);
        let show_it = || Err(Advice::new("season-show-pass"));
        if self.parts.settings.does == TicketDeed::Pay && without {
            return show_it();
        }
        if self.parts.settings.does == TicketDeed::Pay {
            return Ok(Answer::Quote(Box::new(self.quote(seen, self.asked()?, false)?)));
        }
        match self.site.may_leave(seen.number, &seen.passes, self.wall) {
            Leaving::Yes { how, .. } => self.let_out(seen, how),
            Leaving::Over(over) => Err(advice::over(&over, self.site.roster())),
            Leaving::Elsewhere(lane) => Err(self.elsewhere(lane)),
            Leaving::NotPaid | Leaving::TooLate { .. } if without && seen.by_plate => Ok(Answer::Nothing),
            Leaving::NotPaid | Leaving::TooLate { .. } if without => show_it(),
            Leaving::NotPaid | Leaving::TooLate { .. } => {
                let quote = self.quote(seen, self.asked()?, true)?;
                match quote.unit.price {
                    0 => Ok(self.settled(quote)),
                    _ if self.parts.settings.pays => Ok(Answer::Quote(Box::new(quote))),
                    _ => Err(Advice::new("stay-pay-first")),
                }
            }
        }
    }

    /// At an exit, a stay for which nothing is due is over.
    fn settled(&self, quote: Quote) -> Answer {
        let quote = Box::new(quote);
        match self.parts.settings.does {
            TicketDeed::Leave if quote.unit.price == 0 => Answer::Granted { quote, grant: Grant::NothingDue },
            _ => Answer::Quote(quote),
        }
    }

    /// It was paid, and its car leaves here.
    fn let_out(&self, seen: Seen, how: How) -> Result<Answer, Advice> {
        let Seen { typed, by_plate, shown, .. } = seen;
        let season = seen.season.map(|season| season.number);
        let stay = StayMemo { typed, by_plate, season, leaves: Some(how), shown, ..StayMemo::default() };
        let memo = Memo { number: seen.number, deed: Deed::Stay(stay), bill: Vec::new() };
        let plate = seen.plate.map(|plate| plate.to_string());
        let quote = Quote { plate, ..self.plain(&memo) };
        Ok(Answer::Granted { quote: Box::new(quote), grant: Grant::Ticket })
    }

    fn elsewhere(&self, lane: LaneNumber) -> Advice {
        Advice::new("stay-elsewhere").with("lane", self.site.roster().name(lane))
    }

    /// What is known of the stay on the glass, from the codes that were shown for it.
    pub(super) fn seen(&self, quote: &Quote) -> Option<Seen> {
        let memo: Memo = serde_json::from_value(quote.memo.clone()).ok()?;
        let Deed::Stay(stay) = memo.deed else { return None };
        let found = self.site.find(memo.number);
        let mut seen = found.as_ref().map(seen_of);
        for text in &stay.shown {
            match Code::read(text, &self.parts.keys).ok()? {
                Code::Ticket(ticket) => {
                    let before = seen.take().unwrap_or_else(|| Seen::new(ticket.number, ticket.entry, ticket.class));
                    seen = Some(Seen { entry: ticket.entry, class: ticket.class, ..before });
                }
                Code::Pass(pass) => seen.as_mut()?.passes.push(pass),
                Code::Validation(validation) => seen.as_mut()?.validations.push(validation),
                Code::Season(season) if self.parts.passes.is_withdrawn(season.number) => {}
                Code::Season(season) => seen.as_mut()?.season = Some(season),
            }
        }
        let seen = seen?;
        Some(self.with_listed(Seen { typed: stay.typed, by_plate: stay.by_plate, shown: stay.shown, ..seen }))
    }
}

pub(super) fn seen_of(found: &Found) -> Seen {
    let Found { number, entered, .. } = found;
    Seen { plate: entered.plate.clone(), ..Seen::new(*number, entered.entry, entered.class) }
}
