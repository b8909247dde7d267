//! The receipt: plain facts of an order, laid out for paper or packed into the text of a QR.

use super::document::{Document, Line, Place};
use super::words::{Words, words};
use crate::sale::view::Outcome;
use crate::vocabulary::{Currency, Language, Minor, Money, OrderId, PaymentId, ShortCode};

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
    /// What the order costs.
    pub amount: Minor,
    pub paid: Minor,
    /// Confirmed by the provider.
    pub refunded: Minor,
    /// Not confirmed yet.
    pub refund_pending: Minor,
    /// A person must settle the order.
    pub claim: bool,
    /// The payment method as the customer knows it.
    pub rail: String,
    pub payments: Vec<PaymentId>,
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

/// Sizes of type in dots; 8 dots are a millimetre.
const TITLE: f32 = 32.0;
const BODY: f32 = 24.0;
const SMALL: f32 = 20.0;

/// More would be a mistake somewhere, and a metre of paper.
const MAX_ITEMS: usize = 50;
const MAX_PAYMENTS: usize = 8;
const MAX_TEXT: usize = 160;

/// A QR of more is hard to scan from a glass.
const MAX_CODE: usize = 400;

/// `url` is the configuration's `receipt_url`: `{order}` becomes the order's number.
pub(super) fn document(receipt: &Receipt, url: Option<&str>) -> Document {
    let words = words(&receipt.language);
    let middle = |text: &str, px, bold| Line::Text { text: clean(text), px, bold, place: Place::Middle };
    let pair = |left: &str, right: &str| Line::Pair { left: left.into(), right: clean(right), px: BODY, bold: false };
    // Long numbers, which machines read more often than people.
    let number =
        |left: &str, right: &str| Line::Pair { left: left.into(), right: right.into(), px: SMALL, bold: false };
    let mut lines =
        vec![Line::Feed(16), middle(&receipt.merchant, TITLE, true), middle(words.receipt, BODY, false), Line::Rule];

    lines.push(pair(words.place, &receipt.place));
    lines.push(pair(words.kiosk, &receipt.kiosk));
    lines.push(pair(words.time, receipt.time.as_deref().unwrap_or(words.clock_unknown)));
    lines.push(number(words.order, &receipt.order.to_string()));
    let code = receipt.short_code.as_str();
    lines.push(Line::Pair { left: words.short_code.into(), right: code.into(), px: BODY, bold: true });
    lines.push(Line::Rule);

    for item in receipt.items.iter().take(MAX_ITEMS) {
        let sum = receipt.number(item.price.saturating_mul(item.quantity.into()));
        let right = format!("{} × {}   {sum}", item.quantity, receipt.number(item.price));
        lines.push(pair(&clean(&item.name), &right));
        if let Some(note) = note(words, item.outcome) {
            lines.push(Line::Text { text: format!("  – {note}"), px: BODY, bold: true, place: Place::Left });
        }
    }
    lines.push(Line::Rule);

    let total = receipt.money(receipt.amount);
    lines.push(Line::Pair { left: words.total.into(), right: total, px: TITLE, bold: true });
    lines.push(pair(words.paid, &receipt.money(receipt.paid)));
    for (label, amount) in receipt.returned(words) {
        lines.push(Line::Pair { left: label.into(), right: receipt.money(amount), px: BODY, bold: true });
    }
    lines.push(pair(words.rail, &receipt.rail));
    for payment in receipt.payments.iter().take(MAX_PAYMENTS) {
        lines.push(number(words.payment, payment.as_str()));
    }
    lines.push(Line::Rule);

    if receipt.claim {
        lines.push(Line::Text { text: words.claim.into(), px: BODY, bold: true, place: Place::Left });
        lines.push(Line::Feed(8));
    }
    lines.push(pair(words.phone, &receipt.phone));
    lines.push(Line::Code(address(receipt, url).unwrap_or_else(|| receipt.order.to_string())));
    lines.push(middle(words.not_an_invoice, SMALL, false));
    Document { language: receipt.language.clone(), lines }
}

/// The text of a QR that stands for the receipt where there is no paper: its address if there is one, else the receipt
/// itself, at most 400 bytes; items that do not fit are counted.
pub fn code_text(receipt: &Receipt, url_template: Option<&str>) -> String {
    if let Some(address) = address(receipt, url_template) {
        return address;
    }
    let words = words(&receipt.language);
    let mut head = vec![shorten(&receipt.merchant, 48), format!("{} {}", words.kiosk, shorten(&receipt.kiosk, 32))];
    head.push(shorten(receipt.time.as_deref().unwrap_or(words.clock_unknown), 32));
    head.push(format!("{} {}", words.order, receipt.order));
    let mut tail = vec![format!("{} {}", words.total, receipt.money(receipt.amount))];
    tail.push(format!("{} {}", words.paid, receipt.money(receipt.paid)));
    tail.extend(receipt.returned(words).map(|(label, amount)| format!("{label} {}", receipt.money(amount))));
    tail.push(format!("{} {}", words.phone, shorten(&receipt.phone, 24)));
    tail.push(words.not_an_invoice.into());

    let length = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    // Room for "+99" at the end of the items.
    let mut left = MAX_CODE.saturating_sub(length(&head) + length(&tail) + 4);
    let mut items = Vec::new();
    for (nth, item) in receipt.items.iter().enumerate() {
        let note = note(words, item.outcome).map(|note| format!(" {note}")).unwrap_or_default();
        let line = format!("{} ×{} {}{note}", shorten(&item.name, 40), item.quantity, receipt.number(item.price));
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
    fn money(&self, amount: Minor) -> String {
        Money { amount, currency: self.currency }.to_string()
    }

    /// Without the currency.
    fn number(&self, amount: Minor) -> String {
        let money = self.money(amount);
        money.split_once(' ').map_or(money.clone(), |(number, _)| number.to_owned())
    }

    fn returned(&self, words: &Words) -> impl Iterator<Item = (&'static str, Minor)> + use<> {
        [(words.refunded, self.refunded), (words.refund_pending, self.refund_pending)]
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
    }
}

fn note(words: &Words, outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::NotDelivered => Some(words.not_delivered),
        Outcome::Unknown => Some(words.not_confirmed),
        Outcome::Pending => Some(words.pending),
    }
}

fn address(receipt: &Receipt, template: Option<&str>) -> Option<String> {
    template.map(|template| template.replace("{order}", &receipt.order.to_string()))
}

/// One line, of a length that a person would have written.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

/// At most so many bytes, whole characters.
fn shorten(text: &str, bytes: usize) -> String {
    let mut text = clean(text);
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}
