//! The slips: plain facts of an order, laid out for paper or packed into the text of a QR. The heading says what a slip is:
//! a receipt, a refund, or a claim that a person must settle. Of a claim nothing says that its money is on its way back.

use super::document::{BODY, Document, LARGE, Line, Place, SMALL, TITLE, clean, middle};
use super::page::Page;
use crate::sale::record::Slip;
use crate::sale::view::Outcome;
use crate::screen::language::Texts;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{Currency, Language, Minor, OrderId, PaymentId, ShortCode};

/// What the customer is given. The merchant's words are in `language` already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub language: Language,
    pub merchant: String,
    pub place: String,
    pub kiosk: String,
    pub order: OrderId,
    pub short_code: ShortCode,
    /// As people read it; `None` while the clock is unknown.
    pub time: Option<String>,
    pub currency: Currency,
    pub items: Vec<Item>,
    /// Why the items cost what they cost; may be empty.
    pub bill: Vec<BillLine>,
    /// Taxes within what was sold, by rate.
    pub taxes: Vec<(Rate, Minor)>,
    /// What is called out where goods are handed over.
    pub pickup: Option<String>,
    /// What the order costs.
    pub amount: Minor,
    pub paid: Minor,
    /// Confirmed by the provider.
    pub refunded: Minor,
    /// Not confirmed yet.
    pub refund_pending: Minor,
    /// What the slip says that it is.
    pub slip: Slip,
    /// The payment method as the customer knows it.
    pub rail: String,
    pub payments: Vec<PaymentId>,
    /// With which a car leaves.
    pub pass: Option<ExitPass>,
    pub phone: String,
}

/// Units of one product with the same outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    pub quantity: u32,
    /// Of one unit.
    pub price: Minor,
    pub outcome: Outcome,
}

/// A part of the amount, or of the time for which nothing is due, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    pub text: String,
    pub amount: Minor,
}

/// What an exit wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitPass {
    /// All that a lane needs, in digits: only those make a code that is as small as docs/parking.md says.
    pub code: String,
    /// As people read it; `None`: it is good until it is used.
    pub leave_before: Option<String>,
    /// The ticket's.
    pub number: String,
    /// Where it is good, as people call it; `None`: everywhere.
    pub only_at: Option<String>,
}

/// More would be a mistake somewhere, and a metre of paper.
const MAX_ITEMS: usize = 50;
const MAX_BILL: usize = 40;
const MAX_PAYMENTS: usize = 8;

/// A QR of more is hard to scan from a glass.
const MAX_CODE: usize = 400;

/// `url` is the configuration's `receipt_url`: `{order}` becomes the order's number.
pub(super) fn document(texts: &Texts, receipt: &Receipt, url: Option<&str>) -> Document {
    let say = |key: &str| texts.get(&receipt.language, key, &[]);
    let pair = |left: String, right: &str| Line::Pair { left, right: clean(right), px: BODY, bold: false };
    let strong = |left: String, right: String, px| Line::Pair { left, right, px, bold: true };
    // Long numbers, which machines read more often than people.
    let number = |left: String, right: &str| Line::Pair { left, right: right.into(), px: SMALL, bold: false };
    let heading = say(receipt.heading());
    let mut lines =
        vec![Line::Feed(16), middle(&receipt.merchant, TITLE, true), middle(&heading, BODY, true), Line::Rule];

    lines.push(pair(say("paper-place"), &receipt.place));
    lines.push(pair(say("paper-kiosk"), &receipt.kiosk));
    let unknown = say("paper-clock-unknown");
    lines.push(pair(say("paper-time"), receipt.time.as_deref().unwrap_or(&unknown)));
    lines.push(number(say("paper-order"), &receipt.order.to_string()));
    lines.push(strong(say("paper-short-code"), receipt.short_code.as_str().into(), BODY));
    if let Some(pickup) = &receipt.pickup {
        lines.push(strong(say("paper-pickup"), pickup.clone(), TITLE));
    }
    lines.push(Line::Rule);

    let (name, quantity, sum) = (say("paper-item"), say("paper-quantity"), say("paper-sum"));
    lines.push(Line::Row { name, quantity, sum, bold: true });
    for item in receipt.items.iter().take(MAX_ITEMS) {
        lines.push(Line::Row {
            name: clean(&item.name),
            quantity: format!("{} × {}", item.quantity, receipt.number(texts, item.price)),
            sum: receipt.number(texts, item.price.saturating_mul(item.quantity.into())),
            bold: false,
        });
        if let Some(note) = note(item.outcome) {
            let text = format!("  – {}", say(note));
            lines.push(Line::Text { text, px: BODY, bold: true, place: Place::Left });
        }
    }
    lines.extend(receipt.explained(texts));
    lines.push(Line::Rule);

    lines.push(strong(say("paper-total"), receipt.money(texts, receipt.amount), TITLE));
    for (rate, amount) in &receipt.taxes {
        let label = texts.get(&receipt.language, "paper-tax", &[("rate", &percent(*rate))]);
        lines.push(pair(label, &receipt.money(texts, *amount)));
    }
    lines.push(pair(say("paper-paid"), &receipt.money(texts, receipt.paid)));
    for (label, amount) in receipt.returned() {
        lines.push(strong(say(label), receipt.money(texts, amount), BODY));
    }
    lines.push(pair(say("paper-rail"), &receipt.rail));
    for payment in receipt.payments.iter().take(MAX_PAYMENTS) {
        lines.push(number(say("paper-payment"), payment.as_str()));
    }
    lines.push(Line::Rule);
    if let Some(pass) = &receipt.pass {
        lines.extend(pass.lines(texts, &receipt.language));
    }

    let advice = match receipt.slip {
        Slip::Claim => Some("paper-claim"),
        Slip::Refund => Some("paper-refund"),
        Slip::Receipt | Slip::Ticket => (receipt.refund_pending > 0).then_some("paper-refund"),
    };
    if let Some(advice) = advice {
        lines.push(Line::Text { text: say(advice), px: BODY, bold: true, place: Place::Left });
        lines.push(Line::Feed(8));
    }
    lines.push(pair(say("paper-phone"), &receipt.phone));
    lines.push(Line::Code(address(receipt, url).unwrap_or_else(|| receipt.order.to_string())));
    lines.push(middle(&say("paper-not-an-invoice"), SMALL, false));
    Document { language: receipt.language.clone(), lines }
}

/// `5%`, `0.6%`: without the zeros that nobody writes.
fn percent(rate: Rate) -> String {
    let text = rate.to_string();
    let number = text.trim_end_matches('%').trim_end_matches('0').trim_end_matches('.');
    format!("{number}%")
}

/// The text of a QR that stands for the receipt where there is no paper: its address if there is one, else the receipt
/// itself, at most 400 bytes; items that do not fit are counted.
pub fn code_text(texts: &Texts, receipt: &Receipt, url_template: Option<&str>) -> String {
    if let Some(address) = address(receipt, url_template) {
        return address;
    }
    let say = |key: &str| texts.get(&receipt.language, key, &[]);
    let kiosk = format!("{} {}", say("paper-kiosk"), shorten(&receipt.kiosk, 32));
    let mut head = vec![shorten(&receipt.merchant, 48)];
    if receipt.slip != Slip::Receipt {
        head.push(say(receipt.heading()));
    }
    head.push(kiosk);
    let unknown = say("paper-clock-unknown");
    head.push(shorten(receipt.time.as_deref().unwrap_or(&unknown), 32));
    head.push(format!("{} {}", say("paper-order"), receipt.order));
    let money = |amount| receipt.money(texts, amount);
    let mut tail = vec![format!("{} {}", say("paper-total"), money(receipt.amount))];
    tail.push(format!("{} {}", say("paper-paid"), money(receipt.paid)));
    tail.extend(receipt.returned().map(|(label, amount)| format!("{} {}", say(label), money(amount))));
    tail.push(format!("{} {}", say("paper-phone"), shorten(&receipt.phone, 24)));
    tail.push(say("paper-not-an-invoice"));

    let length = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    // Room for "+99" at the end of the items.
    let mut left = MAX_CODE.saturating_sub(length(&head) + length(&tail) + 4);
    let mut items = Vec::new();
    for (nth, item) in receipt.items.iter().enumerate() {
        let note = note(item.outcome).map(|note| format!(" {}", say(note))).unwrap_or_default();
        let line =
            format!("{} ×{} {}{note}", shorten(&item.name, 40), item.quantity, receipt.number(texts, item.price));
        if line.len() + 1 > left {
            items.push(format!("+{}", (receipt.items.len() - nth).min(99)));
            break;
        }
        left -= line.len() + 1;
        items.push(line);
    }
    [head, items, tail].concat().join("\n")
}

impl Receipt {
    /// With the currency's code: a sign may mean several.
    fn money(&self, texts: &Texts, amount: Minor) -> String {
        format!("{} {}", self.number(texts, amount), self.currency.code())
    }

    fn number(&self, texts: &Texts, amount: Minor) -> String {
        let minus = if amount < 0 { "-" } else { "" };
        format!("{minus}{}", texts.number(&self.language, amount.unsigned_abs(), self.currency))
    }

    /// The bill. Its amounts add up to the same where it is too long for the paper.
    fn explained(&self, texts: &Texts) -> Vec<Line> {
        let line = |text: &str, amount| {
            let (left, right) = (clean(text), self.number(texts, amount));
            Line::Pair { left, right, px: SMALL, bold: false }
        };
        let (shown, rest) = self.bill.split_at(self.bill.len().min(MAX_BILL));
        let mut lines: Vec<_> = shown.iter().map(|part| line(&part.text, part.amount)).collect();
        if !rest.is_empty() {
            let more = texts.get(&self.language, "more-lines", &[("count", &rest.len().to_string())]);
            lines.push(line(&more, rest.iter().fold(0, |sum, part| part.amount.saturating_add(sum))));
        }
        lines
    }

    fn heading(&self) -> &'static str {
        match self.slip {
            Slip::Receipt | Slip::Ticket => "paper-receipt",
            Slip::Refund => "paper-refund-slip",
            Slip::Claim => "paper-claim-slip",
        }
    }

    /// What went back and what is still to go, by the names of their texts.
    fn returned(&self) -> impl Iterator<Item = (&'static str, Minor)> + use<> {
        let open = if self.slip == Slip::Claim { "paper-refund-open" } else { "paper-refund-pending" };
        [("paper-refunded", self.refunded), (open, self.refund_pending)].into_iter().filter(|(_, amount)| *amount != 0)
    }
}

impl ExitPass {
    /// It stands before the receipt's own code and says what it is for, so that nobody shows the other one.
    fn lines(&self, texts: &Texts, language: &Language) -> Vec<Line> {
        let page = Page { texts, language };
        let until = match &self.leave_before {
            Some(time) => page.with("paper-leave-before", "time", time),
            None => page.say("paper-until-used"),
        };
        let mut lines = vec![
            middle(&page.say("paper-pass"), TITLE, true),
            middle(&until, LARGE, true),
            middle(&page.say("paper-show-at-exit"), BODY, true),
            Line::Code(self.code.clone()),
            page.pair("paper-ticket-number", &self.number),
        ];
        lines.extend(self.only_at.as_ref().map(|at| page.pair("paper-only-at", at)));
        lines.push(Line::Rule);
        lines
    }
}

fn note(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::NotDelivered => Some("paper-not-delivered"),
        Outcome::Unknown => Some("paper-not-confirmed"),
        Outcome::Pending => Some("paper-pending"),
    }
}

fn address(receipt: &Receipt, template: Option<&str>) -> Option<String> {
    template.map(|template| template.replace("{order}", &receipt.order.to_string()))
}

/// At most so many bytes, whole characters.
fn shorten(text: &str, bytes: usize) -> String {
    let mut text = clean(text);
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}
