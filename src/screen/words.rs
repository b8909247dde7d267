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

    /// `¥3.00`: the currency's sign and its digits.
    pub fn money(&self, amount: Minor) -> String {
        let currency = self.view.currency;
        let digits = currency.digits();
        let scale = 10u64.pow(digits as u32);
        let (sign, units) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs());
        match digits {
            0 => format!("{sign}{}{units}", currency.symbol()),
            _ => format!("{sign}{}{}.{:0digits$}", currency.symbol(), units / scale, units % scale),
        }
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
