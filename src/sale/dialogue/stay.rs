//! The pages of a kiosk to which customers come with something in the hand: what to present, a stay with its bill, and what to
//! do without a ticket.

use jiff::civil::DateTime;

use super::{Key, Look, Page, Part, Patience, Touch};
use crate::operation::Refusal;
use crate::sale::event::{Effect, Illegal};
use crate::sale::presented::{
    Advice, Answer, CodeKind, Counter, LET_THROUGH_NOTE, LONGEST, LetThrough, Match, OrderCode, Presented, Quote,
    TicketCounter, TicketDeed, Told, Unable,
};
use crate::sale::record::Record;
use crate::sale::shop::Shop;
use crate::sale::{State, Turn};
use crate::vocabulary::{Goods, Minor, OrderId, StopReason, Wall};

/// Under this is noted that a customer has called for a person.
const HELP_NOTE: &str = "help";
/// What is said to somebody for whom the gate opens because nobody can decide.
const LET_THROUGH: &str = "stay-let-through";
/// Digits of a ticket's number, and characters of a plate.
const NUMBER: usize = 10;
const PLATE: usize = 10;

/// Which page, and what has to be known of it.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// The first page; for a while with why nothing came of what was presented last.
    Ticket(Option<Advice>),
    Number {
        entered: String,
        advice: Option<Advice>,
    },
    Plate {
        entered: String,
        /// The keys are digits; else letters.
        digits: bool,
        found: Vec<Match>,
        advice: Option<Advice>,
    },
    Stay {
        quote: Box<Quote>,
        advice: Option<Advice>,
    },
    /// The price of a lost ticket stands there, and whoever has lost it agrees.
    Lost(Box<Quote>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StayPage {
    Ticket {
        counter: TicketCounter,
        advice: Option<AdviceView>,
    },
    /// No ticket is given out, and why: every place is taken.
    Full {
        advice: Option<AdviceView>,
    },
    Number {
        entered: String,
        advice: Option<AdviceView>,
    },
    Plate {
        entered: String,
        digits: bool,
        found: Vec<MatchView>,
        advice: Option<AdviceView>,
    },
    Stay {
        stay: StayView,
        advice: Option<AdviceView>,
    },
    Lost {
        stay: StayView,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StayView {
    pub number: Option<String>,
    pub plate: Option<String>,
    pub class: Option<String>,
    /// In the site's civil time, like all times here.
    pub entry: Option<DateTime>,
    /// Minutes that were given away because nobody knew the time then.
    pub doubt: u32,
    pub asked: DateTime,
    pub minutes: u64,
    pub lines: Vec<LineView>,
    pub paid: Minor,
    /// What is due.
    pub amount: Minor,
    /// Until when nothing is due, where nothing is.
    pub until: Option<DateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineView {
    pub text: String,
    pub amount: Minor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchView {
    pub plate: String,
    pub number: String,
    pub entry: Option<DateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdviceView {
    pub text: &'static str,
    pub with: Vec<(&'static str, ToldView)>,
    pub call: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldView {
    Text(String),
    Refusal(Refusal),
    At(DateTime),
}

/// A code to take away, on the glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeView {
    pub kind: CodeKind,
    pub code: String,
    pub number: String,
    pub until: Option<DateTime>,
}

impl StayPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            StayPage::Ticket { .. } => "ticket",
            StayPage::Full { .. } => "full",
            StayPage::Number { .. } => "ticket-number",
            StayPage::Plate { .. } => "plate",
            StayPage::Stay { .. } => "stay",
            StayPage::Lost { .. } => "lost-ticket",
        }
    }
}

/// The page that customers find, by what they come with.
pub(super) fn first(shop: &dyn Shop) -> super::At {
    match shop.counter() {
        Counter::Shelf => super::At::Shop(super::shop::At::Attract),
        Counter::Tickets(_) => super::At::Stay(At::Ticket(None)),
    }
}

impl Part for At {
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal> {
        let Counter::Tickets(counter) = turn.state.shop.counter() else { return Err(turn.not_here(touch)) };
        if turn.state.closed_to_tickets(&counter).is_some() {
            return Err(turn.not_here(touch));
        }
        match (self, touch) {
            (At::Ticket(_), Touch::TakeTicket) if counter.does == TicketDeed::GiveOut => {
                turn.present(&Presented::NoTicketYet)?;
            }
            (At::Ticket(_), Touch::TypeNumber) if counter.typed => {
                turn.stay(At::Number { entered: String::new(), advice: None });
            }
            (At::Ticket(_), Touch::TypePlate) if counter.typed => {
                turn.stay(At::Plate { entered: String::new(), digits: false, found: Vec::new(), advice: None });
            }
            (At::Ticket(_) | At::Number { .. } | At::Plate { .. }, Touch::LostTicket) if counter.lost => {
                turn.present(&Presented::LostTicket)?;
            }
            (At::Ticket(_), Touch::Lookup) if counter.does == TicketDeed::Pay => turn.look_up(),
            (_, Touch::Help) => turn.call_for_help(),
            (At::Ticket(_), touch) => return Err(turn.not_here(touch)),
            (_, Touch::Cancel | Touch::Done) => turn.begin_anew(),
            (At::Number { entered, .. }, Touch::Key(key)) => {
                let mut entered = entered.clone();
                match key.types(&mut entered, NUMBER) {
                    true => turn.present(&Presented::Number(entered))?,
                    false => turn.stay(At::Number { entered, advice: None }),
                }
            }
            (At::Plate { entered, digits, .. }, Touch::OtherKeys) => {
                let (entered, digits) = (entered.clone(), !digits);
                turn.stay(At::Plate { entered, digits, found: Vec::new(), advice: None });
            }
            (At::Plate { entered, digits, .. }, Touch::Letter(letter)) => {
                let mut entered = entered.clone();
                if entered.chars().count() < PLATE {
                    entered.push(letter.get());
                }
                turn.stay(At::Plate { entered, digits: *digits, found: Vec::new(), advice: None });
            }
            (At::Plate { entered, digits, .. }, Touch::Key(Key::Digit(digit))) => {
                let mut entered = entered.clone();
                Key::Digit(digit).types(&mut entered, PLATE);
                turn.stay(At::Plate { entered, digits: *digits, found: Vec::new(), advice: None });
            }
            (At::Plate { .. }, Touch::Key(Key::Clear)) => {
                turn.stay(At::Plate { entered: String::new(), digits: false, found: Vec::new(), advice: None });
            }
            (At::Plate { entered, .. }, Touch::Key(Key::Ok)) => turn.present(&Presented::Plate(entered.clone()))?,
            (At::Plate { found, .. }, Touch::Stay(number)) => {
                let number = number.to_string();
                if !found.iter().any(|one| one.number == number) {
                    return Err(Illegal::Refused("no such ticket stands there"));
                }
                turn.present(&Presented::Number(number))?;
            }
            (At::Stay { quote, .. } | At::Lost(quote), Touch::Pay) if quote.unit.price > 0 => {
                turn.pay_quoted(quote)?;
            }
            (_, touch) => return Err(turn.not_here(touch)),
        }
        Ok(())
    }

    fn patience(&self, state: &State) -> Patience {
        match self {
            At::Ticket(None) if state.changed() => Patience::For(state.policy.browse_timeout),
            At::Ticket(None) => Patience::Endless,
            At::Ticket(Some(_)) => Patience::For(state.policy.result_timeout),
            At::Number { .. } | At::Plate { .. } | At::Stay { .. } | At::Lost(_) => {
                Patience::Warning(state.policy.browse_timeout)
            }
        }
    }

    fn show(&self, state: &State, _: &Look<'_>) -> Page {
        let Counter::Tickets(counter) = state.shop.counter() else { return state.out_of_service(Vec::new()) };
        // Who is let through although it is closed is told so.
        let through = matches!(self, At::Ticket(Some(advice)) if advice.text == LET_THROUGH);
        if let Some(reasons) = state.closed_to_tickets(&counter).filter(|_| !through) {
            return state.out_of_service(reasons);
        }
        let advice = |advice: &Option<Advice>| advice.as_ref().map(|advice| state.advice(advice));
        Page::Stay(match self {
            At::Ticket(why) if counter.full => StayPage::Full { advice: advice(why) },
            At::Ticket(why) => StayPage::Ticket { counter, advice: advice(why) },
            At::Number { entered, advice: why } => StayPage::Number { entered: entered.clone(), advice: advice(why) },
            At::Plate { entered, digits, found, advice: why } => StayPage::Plate {
                entered: entered.clone(),
                digits: *digits,
                found: found.iter().map(|one| state.matched(one)).collect(),
                advice: advice(why),
            },
            At::Stay { quote, advice: why } => StayPage::Stay { stay: state.stay(quote), advice: advice(why) },
            At::Lost(quote) => StayPage::Lost { stay: state.stay(quote) },
        })
    }
}

impl State {
    /// Why nobody is served at all. Who leaves or comes without paying here needs no provider.
    fn closed_to_tickets(&self, counter: &TicketCounter) -> Option<Vec<StopReason>> {
        let reasons = match counter.does {
            TicketDeed::Pay => self.reasons_to_show(),
            TicketDeed::GiveOut => self.reasons_against_tickets(false),
            TicketDeed::Leave => self.reasons_against_tickets(true),
        };
        (!reasons.is_empty()).then_some(reasons)
    }

    fn civil(&self, wall: Wall) -> DateTime {
        let zoned = wall.timestamp().map(|at| at.to_zoned(self.policy.zone.clone()));
        zoned.map_or(DateTime::ZERO, |zoned| zoned.datetime())
    }

    fn stay(&self, quote: &Quote) -> StayView {
        let language = &self.dialogue.language;
        StayView {
            number: quote.number.clone(),
            plate: quote.plate.clone(),
            class: quote.class.as_ref().map(|class| class.get(language).to_owned()),
            entry: quote.entry.map(|at| self.civil(at)),
            doubt: quote.doubt,
            asked: self.civil(quote.asked),
            minutes: quote.entry.map_or(0, |entry| quote.asked.0.saturating_sub(entry.0) / 60_000),
            lines: quote
                .bill
                .iter()
                .map(|line| LineView { text: line.text.get(language).to_owned(), amount: line.amount })
                .collect(),
            paid: quote.paid,
            amount: quote.unit.price,
            until: quote.until.map(|at| self.civil(at)),
        }
    }

    fn matched(&self, one: &Match) -> MatchView {
        let entry = one.entry.map(|at| self.civil(at));
        MatchView { plate: one.plate.clone(), number: one.number.clone(), entry }
    }

    fn advice(&self, advice: &Advice) -> AdviceView {
        let told = |told: &Told| match told {
            Told::Text(text) => ToldView::Text(text.clone()),
            Told::Refusal(why) => ToldView::Refusal(why.clone()),
            Told::At(at) => ToldView::At(self.civil(*at)),
        };
        AdviceView {
            text: advice.text,
            with: advice.with.iter().map(|(name, value)| (*name, told(value))).collect(),
            call: advice.call,
        }
    }

    pub(super) fn order_code(&self, code: &OrderCode) -> CodeView {
        CodeView {
            kind: code.kind,
            code: code.code.clone(),
            number: code.number.clone(),
            until: code.until.map(|at| self.civil(at)),
        }
    }
}

impl Turn<'_> {
    fn stay(&mut self, at: At) {
        self.go(super::At::Stay(at));
    }

    /// From the scanner, a button or a camera: whoever is before the glass means it, whatever page is there.
    pub(in crate::sale) fn presented(&mut self, what: &Presented) -> Result<(), Illegal> {
        if *what == Presented::Help {
            self.call_for_help();
            return Ok(());
        }
        let Counter::Tickets(counter) = self.state.shop.counter() else {
            return Err(Illegal::Refused("nothing is presented here"));
        };
        self.nobody_else()?;
        if let Some(reasons) = self.state.closed_to_tickets(&counter) {
            // Whoever has closed it for another reason has decided, and what is shown at an entry lets nobody in.
            let unable: Option<Vec<Unable>> = reasons.iter().map(|reason| Unable::by(reason, counter.does)).collect();
            let asks = counter.does != TicketDeed::GiveOut || *what == Presented::NoTicketYet;
            let waits = self.state.conditions.car_waits == Some(true);
            if let Some(why) = unable.filter(|_| asks && waits).and_then(|all| all.first().copied()) {
                self.cant_decide(why, None, None);
                return Ok(());
            }
            return reasons.into_iter().next().map_or(Ok(()), |reason| Err(Illegal::NotSelling(reason)));
        }
        self.present(what)?;
        self.probe_rails(true);
        Ok(())
    }

    /// What a camera has read is remembered by the shop, and presented as soon as its car is there and can be served.
    pub(in crate::sale) fn plate_seen(&mut self, plate: &str) -> Result<(), Illegal> {
        if !matches!(self.state.shop.counter(), Counter::Tickets(_)) {
            return Err(Illegal::Refused("nothing is presented here"));
        }
        if plate.len() > LONGEST {
            return Err(Illegal::Refused("what was presented is too long"));
        }
        self.state.shop.plate_seen(plate);
        Ok(())
    }

    /// What stands on the glass is not the next car's.
    pub(in crate::sale) fn car_has_gone(&mut self) {
        if matches!(self.state.dialogue.at, super::At::Stay(At::Stay { .. } | At::Lost(_))) {
            self.begin_anew();
        }
    }

    /// A car whose plate was read needs no button and no code. Who is in the middle of something is let out by the plate, and
    /// otherwise left alone.
    pub(in crate::sale) fn serve_the_car(&mut self) {
        let amid = match &self.state.dialogue.at {
            super::At::Stay(At::Ticket(_)) => false,
            super::At::Stay(At::Stay { .. } | At::Lost(_)) => true,
            super::At::Order(_) if self.state.current.is_none() => false,
            _ => return,
        };
        let Counter::Tickets(counter) = self.state.shop.counter() else { return };
        let served = self.state.conditions.car_waits != Some(false)
            && self.nobody_else().is_ok()
            && self.state.closed_to_tickets(&counter).is_none();
        if !served || !self.state.shop.car_came() {
            return;
        }
        let answer = self.state.shop.presented(&Presented::Car, None);
        if !amid || matches!(answer, Answer::Granted { .. }) {
            self.answered(&Presented::Car, None, answer);
            self.probe_rails(true);
        }
    }

    /// It is on record, and the fleet hears of it.
    fn call_for_help(&mut self) {
        self.record(Record::ShopNoted { key: HELP_NOTE.to_owned(), value: Some(true.into()) });
        self.effect(Effect::CallForHelp);
    }

    /// Nobody can say whether the car before the gate may pass, because of the kiosk. `ticket`, `due`: what is known of its stay.
    fn cant_decide(&mut self, why: Unable, ticket: Option<String>, due: Option<Minor>) {
        if self.state.conditions.car_waits == Some(true) {
            self.state.undecided = LetThrough { number: 0, ticket, due };
            self.effect(Effect::CantDecide { why });
        }
    }

    /// No provider takes the money for an order that lets a car out.
    pub(in crate::sale) fn cant_take(&mut self, order: OrderId) {
        let Counter::Tickets(TicketCounter { does: TicketDeed::Leave, .. }) = self.state.shop.counter() else { return };
        let Some(order) = self.state.orders.get(&order) else { return };
        let ticket = order.items.iter().find_map(|item| match &item.goods {
            Goods::Stay(number) => Some(number.to_string()),
            Goods::Product(_) => None,
        });
        let due = order.amount();
        self.cant_decide(Unable::Payment, ticket, Some(due));
    }

    /// The lane has let the car pass: who was at the glass hears it, and what was known of the stay is on record.
    pub(in crate::sale) fn let_through(&mut self, number: u64) {
        let known = LetThrough { number, ..std::mem::take(&mut self.state.undecided) };
        let value = serde_json::to_value(known).expect("numbers and texts with text keys always become JSON");
        self.record(Record::ShopNoted { key: LET_THROUGH_NOTE.to_owned(), value: Some(value) });
        let free = !self.state.busy() && !self.state.dialogue.in_service();
        if free && matches!(self.state.shop.counter(), Counter::Tickets(_)) {
            self.stay(At::Ticket(Some(Advice::new(LET_THROUGH))));
        }
    }

    fn present(&mut self, what: &Presented) -> Result<(), Illegal> {
        if let Presented::Code(text) | Presented::Number(text) | Presented::Plate(text) = what
            && text.len() > LONGEST
        {
            return Err(Illegal::Refused("what was presented is too long"));
        }
        let quoted = match &self.state.dialogue.at {
            super::At::Stay(At::Stay { quote, .. } | At::Lost(quote)) => Some(quote.clone()),
            _ => None,
        };
        // Nobody walks in, and nobody takes tickets for others.
        if self.state.conditions.car_waits == Some(false) {
            self.advise(what, quoted, Advice::new("stay-drive-up"));
            return Ok(());
        }
        let answer = self.state.shop.presented(what, quoted.as_deref());
        self.answered(what, quoted, answer);
        Ok(())
    }

    fn answered(&mut self, what: &Presented, quoted: Option<Box<Quote>>, answer: Answer) {
        match answer {
            Answer::Quote(quote) => self.quoted(quote),
            Answer::Perhaps(found) => {
                let entered = if let Presented::Plate(typed) = what { typed.clone() } else { String::new() };
                self.stay(At::Plate { entered, digits: false, found, advice: None });
            }
            Answer::Granted { quote, grant } => {
                let ticket = quote.number.clone();
                if let Err(refusal) = self.grant_quoted(*quote, grant) {
                    self.unable_by(&refusal, ticket, None);
                    self.stay(At::Ticket(Some(Advice::refused(refusal))));
                }
            }
            Answer::Refused(advice) => {
                if let Some(why) = advice.unable {
                    self.cant_decide(why, advice.ticket.clone(), None);
                }
                self.advise(what, quoted, advice);
            }
            Answer::Nothing => {}
        }
    }

    /// The bill. Where something is due and nothing can be paid here, that is told beside it, and the lane hears of it.
    fn quoted(&mut self, quote: Box<Quote>) {
        let mut advice = None;
        if let Counter::Tickets(TicketCounter { does: does @ TicketDeed::Leave, .. }) = self.state.shop.counter()
            && quote.unit.price > 0
            && let Some(reason) = self.state.stop_reasons().into_iter().find(|why| Unable::by(why, does).is_some())
        {
            let refusal = Refusal::CannotDeliver { reason };
            self.unable_by(&refusal, quote.number.clone(), Some(quote.unit.price));
            advice = Some(Advice::refused(refusal));
        }
        self.stay(match quote.lost {
            true if advice.is_some() => At::Ticket(advice),
            true => At::Lost(quote),
            false => At::Stay { quote, advice },
        });
    }

    fn unable_by(&mut self, refusal: &Refusal, ticket: Option<String>, due: Option<Minor>) {
        let Counter::Tickets(TicketCounter { does, .. }) = self.state.shop.counter() else { return };
        if let Some(why) = Unable::by_refusal(refusal, does) {
            self.cant_decide(why, ticket, due);
        }
    }

    /// What keeps it from being paid is told beside the bill, which stays as it is.
    fn pay_quoted(&mut self, quote: &Quote) -> Result<(), Illegal> {
        let refusal = match self.sell_quoted(quote.clone()) {
            Err(Illegal::NotSelling(reason)) => Refusal::CannotDeliver { reason },
            Err(Illegal::NotSold(refusal)) => refusal,
            result => return result,
        };
        self.unable_by(&refusal, quote.number.clone(), Some(quote.unit.price));
        let advice = Some(Advice::refused(refusal));
        self.stay(if quote.lost { At::Ticket(advice) } else { At::Stay { quote: Box::new(quote.clone()), advice } });
        Ok(())
    }

    /// It is told where the customer is: beside the bill that stands there, or where the number was typed.
    fn advise(&mut self, what: &Presented, quoted: Option<Box<Quote>>, advice: Advice) {
        let advice = Some(advice);
        let at = self.state.dialogue.at.clone();
        self.stay(match (what, quoted, at) {
            (Presented::Code(_), Some(quote), super::At::Stay(At::Stay { .. })) => At::Stay { quote, advice },
            (Presented::Number(_), _, super::At::Stay(At::Number { .. })) => {
                At::Number { entered: String::new(), advice }
            }
            (Presented::Plate(typed), ..) => {
                At::Plate { entered: typed.clone(), digits: false, found: Vec::new(), advice }
            }
            _ => At::Ticket(advice),
        });
    }
}
