//! Why nothing comes of what was presented, as a text of the interface.

use crate::parking::site::{Over, Roster};
use crate::parking::tariff::FeeError;
use crate::parking::ticket::{BadCode, BadPlate, BadTicketNumber};
use crate::sale::presented::{Advice, Unable};

/// A code that is none, or counts for nothing.
pub fn bad_code(why: &BadCode) -> Advice {
    match why {
        BadCode::TooLong | BadCode::NotDigits | BadCode::NotOurs => Advice::new("stay-no-code"),
        BadCode::OtherKind { .. } => Advice::new("stay-other-code"),
        BadCode::Truncated(_) | BadCode::Trailing(_) | BadCode::Damaged => Advice::new("stay-misread"),
        BadCode::ForeignSite(_) => Advice::new("stay-foreign-site"),
        BadCode::RunOut { until, .. } => Advice::new("validation-run-out").at("until", until.wall()),
        BadCode::SeasonOver { until, .. } => Advice::new("season-run-out").at("until", until.wall()),
        BadCode::TooEarly { .. } => Advice::new("validation-too-early"),
        BadCode::FutureDated { entry, .. } => Advice::new("stay-from-the-future").at("entry", entry.wall()).call(),
        // Nobody can tell a key that is not here yet from one that was made up: a code opens nothing by that.
        BadCode::UnknownKey(_)
        | BadCode::UnknownVersion(_)
        | BadCode::UnknownKind(_)
        | BadCode::WrongKey { .. }
        | BadCode::Signature
        | BadCode::Content(_) => Advice::new("stay-not-valid").call(),
    }
}

/// A stay that has ended.
pub fn over(why: &Over, roster: &Roster) -> Advice {
    let (text, lane, at) = match why {
        Over::Left { lane, at } => ("stay-left", lane, *at),
        Over::Voided { lane, at } => ("stay-void", lane, *at),
        Over::Finished { lane } => ("stay-left", lane, None),
    };
    let advice =
        Advice::new(if at.is_some() { text } else { without_time(text) }).with("lane", roster.name(*lane)).call();
    match at {
        Some(at) => advice.at("at", at.wall()),
        None => advice,
    }
}

fn without_time(text: &'static str) -> &'static str {
    if text == "stay-void" { "stay-void-somewhen" } else { "stay-left-somewhen" }
}

pub fn bad_number(why: &BadTicketNumber) -> Advice {
    Advice::new(match why {
        BadTicketNumber::NotDigits | BadTicketNumber::Length => "number-length",
        BadTicketNumber::Check | BadTicketNumber::NoSuch => "number-wrong",
    })
}

pub fn bad_plate(_: &BadPlate) -> Advice {
    Advice::new("plate-length")
}

/// The tariff has no price for it, which a person has to look at.
pub fn no_price(why: &FeeError) -> Advice {
    tracing::error!(%why, "a stay has no price");
    Advice::new("stay-no-price").unable(Unable::Price)
}
