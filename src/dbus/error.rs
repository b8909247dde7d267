//! What a caller is told when something is not done: a name that programs compare, and a sentence that stands by itself,
//! for `busctl` shows nothing else.

use zbus::DBusError;
use zbus::message::{Header, Message};
use zbus::names::ErrorName;

use crate::operation::{Operation, Refusal};
use crate::signed::statement::NO_KEY;
use crate::vocabulary::{BadName, Cause};

/// Of a stranger's text so many characters are repeated.
const TOLD: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    name: &'static str,
    says: String,
}

/// A name of ours.
macro_rules! named {
    ($name:literal) => {
        concat!("org.kioskd.Kiosk1.Error.", $name)
    };
}

impl Error {
    /// An argument is not what it has to be.
    pub fn argument(says: impl Into<String>) -> Self {
        Self { name: named!("InvalidArgument"), says: says.into() }
    }

    pub fn refused(asked: &Operation, why: &Refusal) -> Self {
        Self { name: refusal(why), says: format!("Refused to {}: {why}", doing(asked)) }
    }

    pub fn not_shown(why: &Refusal) -> Self {
        Self { name: refusal(why), says: format!("Refused to show a mark: {why}") }
    }

    pub fn no_plate(why: &Refusal) -> Self {
        Self { name: refusal(why), says: format!("Refused to take a plate: {why}") }
    }

    /// It was begun and did not come to an end.
    pub fn failed(asked: &Operation, why: &Cause) -> Self {
        Self { name: named!("Failed"), says: format!("Failed to {}: {why}", doing(asked)) }
    }

    pub fn no_such_order(order: &str) -> Self {
        let says = match order {
            "" => "There is no order in the ledger yet".to_owned(),
            order => format!("There is no order {order} in the ledger"),
        };
        Self { name: named!("NoSuchOrder"), says }
    }

    pub fn no_such_report(number: u32) -> Self {
        Self { name: named!("NoSuchReport"), says: format!("There is no report {number} in the ledger") }
    }

    pub fn not_a_car_park() -> Self {
        Self {
            name: named!("NotACarPark"),
            says: "This kiosk is none of a car park, so there is no such report".into(),
        }
    }

    pub fn no_such_test(request: &str) -> Self {
        let says = match request {
            "" => "There is no test in the ledger yet".to_owned(),
            request => format!("There is no test {request} in the ledger"),
        };
        Self { name: named!("NoSuchTest"), says }
    }

    pub fn no_signing_key() -> Self {
        Self { name: named!("NoSigningKey"), says: format!("Nothing was signed: {NO_KEY}") }
    }

    pub fn busy() -> Self {
        Self { name: named!("Busy"), says: "Too many calls are under way; call again in a moment".into() }
    }

    /// The kiosk can't say, in its words.
    pub fn unavailable(why: impl std::fmt::Display) -> Self {
        Self { name: named!("Unavailable"), says: format!("The kiosk can't answer: {why}") }
    }

    pub fn no_answer() -> Self {
        Self::unavailable("its ledger can't be used, or it has too much to do; look at Reasons, or call again")
    }

    pub fn no_polkit(why: &zbus::Error) -> Self {
        let says = format!(
            "Nothing was done: [dbus] polkit is on, and polkit can't be asked ({why}); look at systemctl status polkit \
             and whether org.kioskd.policy is installed, call as root, or leave [dbus] polkit out of the configuration"
        );
        Self { name: named!("NoPolkit"), says }
    }

    pub fn authentication_needed() -> Self {
        let says = "Nothing was done: polkit wants somebody to authenticate for this, and nobody could be asked for a \
                    password; call as root, or have an administrator write a rule for you";
        Self { name: named!("AuthenticationNeeded"), says: says.into() }
    }

    /// The bus does not know who has called; nothing is done for them.
    pub fn nobody(why: &zbus::Error) -> Self {
        let says = format!("Nothing was done: the bus can't say who has called ({why})");
        Self { name: named!("UnknownCaller"), says }
    }
}

fn refusal(why: &Refusal) -> &'static str {
    match why {
        // Of these all but the first are said to the fleet alone.
        Refusal::NoRight { .. }
        | Refusal::Expired
        | Refusal::CounterUsed
        | Refusal::OnlyByRoot
        | Refusal::OnlyByFleet
        | Refusal::BadConfig { .. }
        | Refusal::BadMedia { .. }
        | Refusal::NoSuchOrder
        | Refusal::OrderIsOpen
        | Refusal::ClaimIsOpen
        | Refusal::LessIsLeft { .. }
        | Refusal::ConfigIsTried
        | Refusal::NoInstaller { .. }
        | Refusal::UpdateUnderWay { .. }
        | Refusal::FellBackBefore
        | Refusal::OlderThanRuns { .. }
        | Refusal::OtherMachine { .. } => named!("NoRight"),
        Refusal::NotLive => named!("NotLive"),
        Refusal::InMidSale => named!("InMidSale"),
        Refusal::NumberTaken => named!("NumberTaken"),
        Refusal::NoSuchSlot => named!("NoSuchSlot"),
        Refusal::NoSuchGate => named!("NoSuchGate"),
        Refusal::NoGate => named!("NoGate"),
        Refusal::NotACarPark => named!("NotACarPark"),
        Refusal::NoSuchTicket => named!("NoSuchTicket"),
        Refusal::NoSuchProduct => named!("NoSuchProduct"),
        Refusal::NothingIsKeptHere => named!("NothingIsKeptHere"),
        Refusal::HoldsLess { .. } => named!("HoldsLess"),
        Refusal::NoRoom { .. } => named!("NoRoom"),
        Refusal::NoneLeft => named!("NoneLeft"),
        Refusal::CannotDeliver { .. } => named!("CannotDeliver"),
        Refusal::NotReady => named!("NotReady"),
        Refusal::NoOpenClaim => named!("NoOpenClaim"),
        Refusal::OnlyByProvider => named!("OnlyByProvider"),
        Refusal::NotInMaintenance => named!("NotInMaintenance"),
        Refusal::RelayIsTried => named!("RelayIsTried"),
        Refusal::NoSuchReport => named!("NoSuchReport"),
        Refusal::BadLanguages { .. } => named!("BadLanguages"),
    }
}

/// Whether an error of this name is about who has called.
pub fn may_not(name: &str) -> bool {
    [named!("NoRight"), named!("AuthenticationNeeded"), named!("NoPolkit")].contains(&name)
}

/// What was asked, as it follows "refused to".
fn doing(asked: &Operation) -> String {
    match asked {
        Operation::Lock { .. } => "lock the kiosk".into(),
        Operation::Raise { .. } => "raise the gate".into(),
        Operation::KeepOpen { .. } => "keep the gate open".into(),
        Operation::Release { .. } => "release the gate".into(),
        Operation::VoidTicket { ticket, .. } => format!("void ticket {ticket}"),
        Operation::CarsInside { cars, .. } => format!("set the cars inside to {cars}"),
        Operation::Unlock => "unlock the kiosk".into(),
        Operation::Refill => "note that every slot is full".into(),
        Operation::SettleClaim { order, .. } => format!("settle the claim of order {order}"),
        other => other.to_string(),
    }
}

/// No argument has more characters, so what is behind them makes no difference.
const LONGEST: usize = 1_000;

/// An argument as its type, or a sentence that repeats only a part of it.
pub fn parsed<T: TryFrom<String, Error = BadName>>(text: &str) -> Result<T, Error> {
    parsed_by(text, |text| T::try_from(text.to_owned()))
}

/// The same by a way of its own.
pub fn parsed_by<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, BadName>) -> Result<T, Error> {
    parse(&text.chars().take(LONGEST).collect::<String>()).map_err(|name| {
        let told = text.chars().take(TOLD).collect::<String>();
        let more = if told.len() < text.len() { "…" } else { "" };
        Error::argument(format!("`{}{more}` is not {}", told.escape_debug(), name.wanted()))
    })
}

impl DBusError for Error {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.name()).build(&self.says.as_str())
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.name)
    }

    fn description(&self) -> Option<&str> {
        Some(&self.says)
    }
}
