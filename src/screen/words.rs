//! The interface's words for what the sale calls by name: money, states, outcomes, reasons.

use crate::operation::Refusal;
use crate::sale::dialogue::{Came, MenuVerb, SaidView, View};
use crate::sale::view::{OrderState, OrderView, Outcome, StopReason};
use crate::vocabulary::{Cause, ClaimSettlement, Language, Minor};

use super::language::Texts;
use super::sheet::Ink;

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

    /// What became of an order. Of one whose claim a person has settled without the provider, how.
    pub fn became(&self, order: &OrderView) -> String {
        match order.settled {
            Some(ClaimSettlement::Delivered) => self.say("settled-delivered"),
            Some(ClaimSettlement::PaidOutside) => self.say("settled-paid-outside"),
            Some(ClaimSettlement::Refund | ClaimSettlement::ByProvider) | None => self.state(order.state),
        }
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
            StopReason::OutletFaulty => "reason-outlet-faulty",
            StopReason::CoolingDown => "reason-cooling-down",
            StopReason::SelfCheck(_) => "reason-self-check",
        };
        self.say(name)
    }

    /// For a technician: the lock's own words too.
    pub fn reason_in_full(&self, reason: &StopReason) -> String {
        match reason {
            StopReason::Locked(words) => format!("{} ({words})", self.reason(reason)),
            reason => self.reason(reason),
        }
    }

    /// What can be touched in the service menu.
    pub fn verb(&self, verb: &MenuVerb) -> String {
        self.say(&format!("menu-{verb}"))
    }

    /// What was asked for in the service menu, and what came of it.
    pub fn said(&self, said: &SaidView) -> (String, Ink) {
        let (came, ink) = match &said.came {
            Came::UnderWay => (self.say("came-under-way"), Ink::Text),
            Came::Done => (self.say("came-done"), Ink::Success),
            Came::Unchanged => (self.say("came-unchanged"), Ink::Text),
            Came::Energised(None) => (self.say("came-energised"), Ink::Success),
            Came::Energised(Some(count)) => (self.with("came-counted", "count", &count.to_string()), Ink::Success),
            Came::Refused(why) => (self.with("came-refused", "why", &self.refusal(why)), Ink::Error),
            Came::Failed(why) => (self.with("came-failed", "why", &self.cause(why)), Ink::Error),
            Came::Tried(Outcome::Pending) => (self.say("came-under-way"), Ink::Text),
            Came::Tried(outcome @ Outcome::Delivered) => (self.outcome(*outcome), Ink::Success),
            Came::Tried(outcome @ (Outcome::NotDelivered | Outcome::Unknown)) => (self.outcome(*outcome), Ink::Error),
        };
        let said = [("what", self.verb(&said.verb)), ("came", came)];
        let said = said.each_ref().map(|(name, value)| (*name, value.as_str()));
        (self.texts.get(&self.view.language, "menu-said", &said), ink)
    }

    /// Why an operation is not done.
    pub fn refusal(&self, why: &Refusal) -> String {
        match why {
            Refusal::HoldsLess { capacity } => self.with("refusal-holds-less", "capacity", &capacity.to_string()),
            Refusal::NoRoom { capacity, .. } => self.with("refusal-holds-less", "capacity", &capacity.to_string()),
            Refusal::CannotDeliver { reason } => self.reason_in_full(reason),
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
            | Refusal::OtherMachine { .. } => self.say("refusal-no-right"),
            Refusal::NotLive => self.say("refusal-not-live"),
            Refusal::InMidSale => self.say("refusal-in-mid-sale"),
            Refusal::NumberTaken => self.say("refusal-number-taken"),
            Refusal::NoSuchSlot => self.say("refusal-no-such-slot"),
            Refusal::NoSuchGate => self.say("refusal-no-such-gate"),
            Refusal::NoGate => self.say("refusal-no-gate"),
            Refusal::NotACarPark => self.say("refusal-not-a-car-park"),
            Refusal::NoSuchTicket => self.say("number-wrong"),
            Refusal::NoSuchProduct => self.say("refusal-no-such-product"),
            Refusal::NothingIsKeptHere => self.say("refusal-nothing-is-kept-here"),
            Refusal::NoneLeft => self.say("refusal-none-left"),
            Refusal::NotReady => self.say("refusal-not-ready"),
            Refusal::NoOpenClaim => self.say("refusal-no-open-claim"),
            Refusal::NotInMaintenance => self.say("refusal-not-in-maintenance"),
            Refusal::RelayIsTried => self.say("refusal-relay-is-tried"),
            Refusal::OnlyByProvider => self.say("refusal-only-by-provider"),
            Refusal::NoSuchReport => self.say("refusal-no-such-report"),
            Refusal::BadLanguages { .. } => self.say("refusal-bad-languages"),
        }
    }

    /// Why a slot is faulty, a claim is open or an operation has failed. What comes from outside stays in its words.
    pub fn cause(&self, why: &Cause) -> String {
        match why {
            Cause::MoneyReturned => self.say("cause-money-returned"),
            Cause::Stopped { reason } => self.reason(reason),
            Cause::Restarted | Cause::EnergisedBeforeRestart => self.say("cause-restarted"),
            Cause::NothingFell | Cause::NothingFellAnywhere => self.say("cause-nothing-fell"),
            Cause::NoOutletLeft => self.say("cause-no-outlet-left"),
            Cause::Withdrawn => self.say("cause-withdrawn"),
            Cause::SensorFailed => self.say("cause-sensor-failed"),
            Cause::Board { detail } => self.with("cause-board", "words", detail),
            Cause::Gate { detail } => self.with("cause-gate", "words", detail),
            Cause::MotorNotHome => self.say("cause-motor-not-home"),
            Cause::TooWarm { .. } => self.say("cause-too-warm"),
            Cause::RefundFailed | Cause::NoRefund { .. } => self.say("cause-no-refund"),
            Cause::RefundRefused { code, detail } => {
                format!("{}{}{code} {detail}", self.say("cause-no-refund"), self.say("list-separator"))
            }
            Cause::PaidInOtherCurrency { paid } => self.with("cause-other-currency", "amount", &paid.to_string()),
            Cause::DeliveryUnknown { detail } => {
                format!("{}{}{}", self.say("cause-delivery-unknown"), self.say("list-separator"), self.cause(detail))
            }
            Cause::GoodsGoneMoneyBack => self.say("cause-goods-gone-money-back"),
            Cause::RefundSilent { hours, .. } => self.with("cause-refund-silent", "hours", &hours.to_string()),
            Cause::RailRemoved { rail } => self.with("cause-rail-removed", "rail", &rail.to_string()),
            // Of a configuration: the fleet alone hears them.
            Cause::CantSell { .. } | Cause::FleetNotReached | Cause::NotStarted { .. } | Cause::FileChanged => {
                why.to_string()
            }
            Cause::Printer { detail }
            | Cause::NoReboot { detail }
            | Cause::MediaNotFetched { detail }
            | Cause::UpdateFailed { detail }
            | Cause::FellBack { detail } => detail.clone(),
        }
    }

    /// A message named after a word of the state document.
    fn named(&self, group: &str, value: &impl serde::Serialize) -> String {
        let word = serde_json::to_value(value).ok();
        let word = word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        self.say(&format!("{group}-{word}"))
    }
}
