//! The interface's words for what the sale calls by name: money, states, outcomes, reasons.

use crate::sale::dialogue::View;
use crate::sale::view::{OrderState, Outcome, StopReason};
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

    pub fn say_in(&self, language: &Language, key: &str) -> String {
        self.texts.get(language, key, &[])
    }

    pub fn with(&self, key: &str, name: &str, value: &str) -> String {
        self.texts.get(&self.view.language, key, &[(name, value)])
    }

    pub fn in_its_own(&self, language: &Language) -> String {
        self.texts.get(language, "language-name", &[])
    }

    /// `¥1,203.00`: the currency's sign and its digits, as the language writes numbers.
    pub fn money(&self, amount: Minor) -> String {
        self.texts.money(&self.view.language, amount, self.view.currency)
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
            StopReason::Maintenance => "reason-maintenance",
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
            StopReason::Full => "reason-full",
            StopReason::CoolingDown => "reason-cooling-down",
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
