//! The slip of a cash-up: what the machine took between two cuts, for whoever visits it. Two slips show whether one is
//! missing between them: each begins with the record with which the one before has ended.

use super::document::{BODY, Document, Line, Place, SMALL, TITLE, clean, middle};
use super::page::Page;
use crate::screen::language::Texts;
use crate::vocabulary::{Currency, Grant, Language, Minor, Money, ShortCode};

/// More would be metres of paper; all of it is in the ledger.
const MAX_PRODUCTS: usize = 100;
const MAX_CLAIMS: usize = 50;

/// Of a hash so many characters are on the paper in letters. The code has all of it.
const SHOWN_HASH: usize = 16;

/// What is on it. The merchant's words are in `language` already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CashUpSlip {
    pub language: Language,
    pub merchant: String,
    pub place: String,
    pub kiosk: String,
    pub number: u32,
    /// It was asked for again.
    pub copy: bool,
    /// As people read them; `None` while the clock was unknown.
    pub since: Option<String>,
    pub until: Option<String>,
    /// The record before the first and its hash, and the last record and its.
    pub after: (u64, String),
    pub end: (u64, String),
    /// One for each currency.
    pub takings: Vec<Takings>,
    /// Payments in another currency than the order's, by payment method.
    pub foreign: Vec<(String, Money)>,
    /// Units for which nothing was paid, by why.
    pub granted: Vec<(Grant, i64)>,
    /// Orders that a person must settle, with what they are about.
    pub claims: Vec<(ShortCode, Money)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takings {
    pub currency: Currency,
    /// By payment method as the customer knows it.
    pub rails: Vec<(String, Sums)>,
    pub total: Sums,
    /// By product: units and what they cost.
    pub products: Vec<(String, i64, Minor)>,
    /// Still to go back.
    pub outstanding: Minor,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub payments: i64,
    pub paid: Minor,
    /// Refunds that were confirmed, and what went back with and without them.
    pub refunds: i64,
    pub given_back: Minor,
    /// An estimate; `None` where there is no rate.
    pub fee: Option<Minor>,
    pub net: Minor,
}

pub(super) fn document(texts: &Texts, slip: &CashUpSlip) -> Document {
    let page = Page { texts, language: &slip.language };
    let unknown = page.say("paper-clock-unknown");
    let mut lines = vec![
        Line::Feed(16),
        middle(&slip.merchant, TITLE, true),
        middle(&page.say("paper-cash-up"), BODY, true),
        middle(&page.with("paper-report-number", "number", &slip.number.to_string()), TITLE, true),
    ];
    if slip.copy {
        lines.push(middle(&page.say("paper-copy"), BODY, true));
    }
    lines.extend([
        Line::Rule,
        page.pair("paper-place", &slip.place),
        page.pair("paper-kiosk", &slip.kiosk),
        page.pair("paper-since", slip.since.as_deref().unwrap_or(&unknown)),
        page.pair("paper-until", slip.until.as_deref().unwrap_or(&unknown)),
        Line::Rule,
    ]);
    for takings in &slip.takings {
        page.takings(takings, &mut lines);
    }
    for (rail, paid) in &slip.foreign {
        let left = format!("{}: {rail}", page.say("paper-other-currency"));
        lines.push(Line::Pair { left: clean(&left), right: paid.to_string(), px: BODY, bold: false });
    }
    for (key, units) in page.granted(&slip.granted) {
        lines.push(page.pair(key, &units.to_string()));
    }
    let count = slip.claims.len().to_string();
    lines.push(Line::Pair { left: page.say("paper-claims"), right: count, px: BODY, bold: true });
    for (code, open) in slip.claims.iter().take(MAX_CLAIMS) {
        let (left, right) = (format!("  {code}"), open.to_string());
        lines.push(Line::Pair { left, right, px: BODY, bold: false });
    }
    lines.push(Line::Rule);
    for (key, (record, hash)) in [("paper-after", &slip.after), ("paper-ends", &slip.end)] {
        let shown = hash.get(..SHOWN_HASH).unwrap_or(hash);
        lines.push(Line::Pair { left: page.say(key), right: format!("{record} {shown}"), px: SMALL, bold: false });
    }
    lines.extend([Line::Code(code(slip)), Line::Feed(24)]);
    Document { language: slip.language.clone(), lines }
}

/// What a program needs to hold slips against each other and against the ledger.
fn code(slip: &CashUpSlip) -> String {
    let CashUpSlip { kiosk, number, after: (after, prev), end: (end, hash), .. } = slip;
    format!("kioskd report {number} of {kiosk}: after {after} {prev} to {end} {hash}")
}

impl Page<'_> {
    fn plain(&self, amount: Minor, currency: Currency) -> String {
        let minus = if amount < 0 { "-" } else { "" };
        format!("{minus}{}", self.texts.number(self.language, amount.unsigned_abs(), currency))
    }

    fn takings(&self, takings: &Takings, lines: &mut Vec<Line>) {
        let currency = takings.currency;
        if !takings.products.is_empty() {
            let (name, quantity, sum) = (self.say("paper-item"), self.say("paper-units"), self.say("paper-sum"));
            lines.push(Line::Row { name, quantity, sum, bold: true });
            for (name, units, sum) in takings.products.iter().take(MAX_PRODUCTS) {
                let (quantity, sum) = (units.to_string(), self.plain(*sum, currency));
                lines.push(Line::Row { name: clean(name), quantity, sum, bold: false });
            }
            lines.push(Line::Rule);
        }
        for (rail, sums) in &takings.rails {
            lines.push(Line::Text { text: clean(rail), px: BODY, bold: true, place: Place::Left });
            self.sums(sums, lines, |amount| self.plain(amount, currency));
            let right = self.plain(sums.net, currency);
            lines.extend([Line::Pair { left: self.say("paper-net"), right, px: BODY, bold: false }, Line::Rule]);
        }
        let money = |amount| format!("{} {}", self.plain(amount, currency), currency.code());
        let text = self.say("paper-total");
        lines.push(Line::Text { text, px: BODY, bold: true, place: Place::Left });
        self.sums(&takings.total, lines, money);
        let (left, right) = (self.say("paper-net"), money(takings.total.net));
        lines.push(Line::Pair { left, right, px: TITLE, bold: true });
        lines.extend([self.pair("paper-outstanding", &money(takings.outstanding)), Line::Rule]);
    }

    fn sums(&self, sums: &Sums, lines: &mut Vec<Line>, written: impl Fn(Minor) -> String) {
        let counted = |key, count: i64, amount| {
            let left = self.with(key, "count", &count.to_string());
            Line::Pair { left, right: written(amount), px: BODY, bold: false }
        };
        // A fee nobody knows is not a fee of nothing.
        let fee = sums.fee.map_or_else(|| self.say("paper-no-rate"), |fee| written(-fee));
        lines.push(counted("paper-payments", sums.payments, sums.paid));
        lines.push(counted("paper-given-back", sums.refunds, -sums.given_back));
        lines.push(self.pair("paper-fees", &fee));
    }

    /// Tests and gifts always, so that nobody has to wonder; other reasons where there are any.
    fn granted(&self, granted: &[(Grant, i64)]) -> Vec<(&'static str, i64)> {
        let of =
            |wanted: &[Grant]| granted.iter().filter(|(why, _)| wanted.contains(why)).map(|(_, units)| units).sum();
        let entitled = of(&[Grant::Ticket, Grant::Season, Grant::NothingDue]);
        let mut lines = vec![("paper-tests", of(&[Grant::Test])), ("paper-given-away", of(&[Grant::Free]))];
        lines.extend((entitled != 0).then_some(("paper-entitled", entitled)));
        lines
    }
}
