//! The ticket of a car park. A lane reads its code, a customer its number, which they type where the code can't be read.

use super::document::{BODY, Document, LARGE, Line, Place, SMALL, TITLE, clean, middle};
use super::page::Page;
use crate::screen::language::Texts;
use crate::vocabulary::Language;

/// What is on it. The merchant's words are in `language` already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub language: Language,
    pub merchant: String,
    pub place: String,
    /// The car park's name, or its number.
    pub site: String,
    /// That gave it out.
    pub lane: String,
    /// Such as `03-0004567-9`.
    pub number: String,
    pub entry: TicketEntry,
    /// Of the vehicle; `None` where the tariff has one for all.
    pub class: Option<String>,
    /// `None` where nobody has read it.
    pub plate: Option<String>,
    /// All that a lane needs, in digits: only those make a code that is as small as docs/parking.md says.
    pub code: String,
    pub phone: String,
    /// What it costs to stay, line by line; may be empty.
    pub sign: Vec<String>,
}

/// When the car came, as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketEntry {
    Known(String),
    /// The lane's clock is not believed.
    Unknown {
        not_before: String,
        not_after: String,
    },
}

/// A longer sign belongs on the wall.
const MAX_SIGN: usize = 20;

pub(super) fn document(texts: &Texts, ticket: &Ticket) -> Document {
    let page = Page { texts, language: &ticket.language };
    let strong = |key: &str, right: &str| Line::Pair { left: page.say(key), right: clean(right), px: BODY, bold: true };
    let mut lines = vec![
        Line::Feed(16),
        middle(&ticket.merchant, TITLE, true),
        middle(&page.say("paper-ticket"), BODY, true),
        Line::Rule,
        page.pair("paper-place", &ticket.place),
        page.pair("paper-site", &ticket.site),
        page.pair("paper-lane", &ticket.lane),
    ];
    match &ticket.entry {
        TicketEntry::Known(at) => lines.push(strong("paper-entry", at)),
        TicketEntry::Unknown { not_before, not_after } => lines.extend([
            page.pair("paper-entry", &page.say("paper-clock-unknown")),
            strong("paper-not-before", not_before),
            strong("paper-not-after", not_after),
        ]),
    }
    let known = [("paper-class", &ticket.class), ("paper-plate", &ticket.plate)];
    lines.extend(known.into_iter().filter_map(|(key, text)| Some(page.pair(key, text.as_deref()?))));
    lines.extend([
        Line::Rule,
        Line::Code(ticket.code.clone()),
        middle(&ticket.number, LARGE, true),
        Line::Feed(8),
        middle(&page.say("paper-ticket-advice"), BODY, true),
        Line::Rule,
    ]);
    if !ticket.sign.is_empty() {
        lines.push(middle(&page.say("paper-tariff"), BODY, true));
        let line = |text: &str| Line::Text { text: clean(text), px: SMALL, bold: false, place: Place::Left };
        lines.extend(ticket.sign.iter().take(MAX_SIGN).map(|text| line(text)));
        if let Some(more) = ticket.sign.len().checked_sub(MAX_SIGN).filter(|more| *more > 0) {
            lines.push(line(&page.with("more-lines", "count", &more.to_string())));
        }
        lines.push(Line::Rule);
    }
    lines.extend([page.pair("paper-phone", &ticket.phone), Line::Feed(16)]);
    Document { language: ticket.language.clone(), lines }
}
