//! The interface's words for what the sale calls by name: money, states, outcomes, reasons.

use crate::sale::view::{OrderState, Outcome, StopReason, View};
use crate::vocabulary::{Language, Minor};

use super::language::Texts;

/// The texts in the language of one view.
pub struct Words<'a> {
    pub texts: &'a Texts,
    pub view: &'a View,
}

impl Words<'_> {
    pub fn say(&self, key: &str) -> String {
        self.texts.get(&self.view.language, key, &[])
    }

    pub fn with(&self, key: &str, name: &str, value: &str) -> String {
        self.texts.get(&self.view.language, key, &[(name, value)])
    }

    pub fn in_its_own(&self, language: &Language) -> String {
        self.texts.get(language, "language-name", &[])
    }

    /// `¥3.00`: the currency's sign and its digits. A sign that the faces may lack is written as the code: `3.00 INR`.
    pub fn money(&self, amount: Minor) -> String {
        let currency = self.view.currency;
        let digits = currency.digits();
        let scale = 10u64.pow(digits as u32);
        let (minus, units) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs());
        let number = match digits {
            0 => units.to_string(),
            _ => format!("{}.{:0digits$}", units / scale, units % scale),
        };
        let sign = currency.symbol();
        match sign.chars().all(|c| c.is_ascii() || "¥€£".contains(c)) {
            true if !sign.is_empty() => format!("{minus}{sign}{number}"),
            _ => format!("{minus}{number} {}", currency.code()),
        }
    }

    /// Names one after the other, as the language strings them.
    pub fn list(&self, names: &[String]) -> String {
        names.join(&self.say("list-separator"))
    }

    pub fn state(&self, state: OrderState) -> String {
        self.named("state", &state)
    }

    pub fn outcome(&self, outcome: Outcome) -> String {
        self.named("outcome", &outcome)
    }

    pub fn reason(&self, reason: &StopReason) -> String {
        let name = match reason {
            StopReason::Locked(_) => "reason-locked",
            StopReason::DoorOpen => "reason-door-open",
            StopReason::Tamper => "reason-tamper",
            StopReason::BoardDown => "reason-board-down",
            StopReason::GlassDark(_) => "reason-glass-dark",
            StopReason::TouchDown(_) => "reason-touch-down",
            StopReason::RailDown => "reason-rail-down",
            StopReason::LedgerFailed(_) => "reason-ledger-failed",
            StopReason::DiskFull => "reason-disk-full",
            StopReason::OutboxFull => "reason-outbox-full",
            StopReason::SoldOut => "reason-sold-out",
        };
        self.say(name)
    }

    /// A message named after a word of the state document.
    fn named(&self, group: &str, value: &impl serde::Serialize) -> String {
        let word = serde_json::to_value(value).ok();
        let word = word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        self.say(&format!("{group}-{word}"))
    }
}
