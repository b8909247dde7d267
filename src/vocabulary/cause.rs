//! Why something came out otherwise than it should: in records, on paper, in alarms and answers. Each has a name that
//! programs compare and a sentence that people read; free text from outside stands beside the name, never in place of it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Money, RailName, RefundId};

/// Why the machine does not sell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "detail")]
pub enum StopReason {
    /// Taken out of service by a person, with the reason given.
    Locked(String),
    /// A person works on it.
    Maintenance,
    DoorOpen,
    Tamper,
    /// No relay answers.
    BoardDown,
    /// Nobody sees the glass, with the panel's words.
    GlassDark(String),
    /// Nobody can touch the glass, with the reason.
    TouchDown(String),
    /// No verified answer from any payment provider.
    RailDown,
    /// The ledger can't be written; latched until a person has looked.
    LedgerFailed(String),
    /// Less free space than money records need.
    DiskFull,
    /// More events wait for the back end than the ledger may hold.
    OutboxFull,
    SoldOut,
    /// Every place is taken.
    Full,
    /// Where it would come out, nothing may come out until a person has looked, as at a gate that does not open.
    OutletFaulty,
    /// Too many orders in a row were not paid; it ends by itself.
    CoolingDown,
    /// What the machine needs in order to sell has not proved itself since the start, with what that is.
    SelfCheck(String),
}

impl StopReason {
    /// As in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Locked(_) => "locked",
            Self::Maintenance => "maintenance",
            Self::DoorOpen => "door-open",
            Self::Tamper => "tamper",
            Self::BoardDown => "board-down",
            Self::GlassDark(_) => "glass-dark",
            Self::TouchDown(_) => "touch-down",
            Self::RailDown => "rail-down",
            Self::LedgerFailed(_) => "ledger-failed",
            Self::DiskFull => "disk-full",
            Self::OutboxFull => "outbox-full",
            Self::SoldOut => "sold-out",
            Self::Full => "full",
            Self::OutletFaulty => "outlet-faulty",
            Self::CoolingDown => "cooling-down",
            Self::SelfCheck(_) => "self-check",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(why) => write!(f, "it is locked: {why}"),
            Self::Maintenance => f.write_str("somebody works on it"),
            Self::DoorOpen => f.write_str("the door is open"),
            Self::Tamper => f.write_str("the tamper contact is open"),
            Self::BoardDown => f.write_str("no relay answers"),
            Self::GlassDark(why) => write!(f, "nobody sees the glass: {why}"),
            Self::TouchDown(why) => write!(f, "nobody can touch the glass: {why}"),
            Self::RailDown => f.write_str("no payment provider answers"),
            Self::LedgerFailed(why) => write!(f, "the ledger can't be written: {why}"),
            Self::DiskFull => f.write_str("the disk is full"),
            Self::OutboxFull => f.write_str("too many events wait for the back end"),
            Self::SoldOut => f.write_str("it is sold out"),
            Self::Full => f.write_str("every place is taken"),
            Self::OutletFaulty => f.write_str("where it comes out is faulty"),
            Self::CoolingDown => f.write_str("too many orders in a row were not paid"),
            Self::SelfCheck(what) => write!(f, "the self-check after the start: {what}"),
        }
    }
}

/// Why a unit was not delivered, an outlet is faulty, a refund failed, a claim was opened or a slip was not printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "cause")]
pub enum Cause {
    /// A unit: the provider has given the order's money back, so nothing more is handed over.
    MoneyReturned,
    /// A unit: what the machine needs in order to deliver was lost.
    Stopped { reason: StopReason },
    /// A unit: the machine started anew before anything was energised for it.
    Restarted,
    /// A unit: it was energised before a restart and nothing came out.
    EnergisedBeforeRestart,
    /// A unit or an outlet: energised, and the sensor, which had passed its self-test, saw nothing.
    NothingFell,
    /// A unit: nothing fell from any outlet tried.
    NothingFellAnywhere,
    /// A unit: no outlet with these goods is left.
    NoOutletLeft,
    /// A unit: whoever was to have it has gone away, as a car that backs out of an entry.
    Withdrawn,
    /// A unit: the drop sensor did not pass its self-test.
    SensorFailed,
    /// A unit: the board did not energise, or gave no evidence; `detail` has its words.
    Board { detail: String },
    /// An outlet: its motor has not come home.
    MotorNotHome,
    /// An outlet: its goods were not known to be at most `max_milli_c` thousandths of a degree Celsius for `minutes`.
    TooWarm { max_milli_c: i32, minutes: u64 },
    /// A refund: the provider tried, and it failed there.
    RefundFailed,
    /// A refund: the provider will not do it, with its code and its words.
    RefundRefused { code: String, detail: String },
    /// A claim: paid in another currency than asked for.
    PaidInOtherCurrency { paid: Money },
    /// A claim: nobody knows whether a unit was delivered, and a person decides.
    DeliveryUnknown { detail: Box<Cause> },
    /// A claim: the provider refused this refund and has the money still.
    NoRefund { refund: RefundId },
    /// A claim: the money went back although the goods fell.
    GoodsGoneMoneyBack,
    /// A claim: nobody has confirmed this refund for so many hours.
    RefundSilent { refund: RefundId, hours: u64 },
    /// A claim: the rail is not configured any more, and nobody can say what was paid on it.
    RailRemoved { rail: RailName },
    /// A slip: the printer's words.
    Printer { detail: String },
    /// A restart of the board that was asked for: it can't be done, and what is there to do about it.
    NoReboot { detail: String },
    /// A person's wish at a gate: what its lane says, or that it has not answered.
    Gate { detail: String },
    /// A configuration: the kiosk did not sell with it in time.
    CantSell { reasons: Vec<StopReason> },
    /// A configuration: the fleet's broker was not reached with it in time.
    FleetNotReached,
    /// A configuration: the kiosk did not start with it, in the words of what failed.
    NotStarted { detail: String },
    /// A picture: it could not be fetched, and why.
    MediaNotFetched { detail: String },
    /// A configuration: the file on the machine was changed while it was being tried.
    FileChanged,
    /// An update that is not installed, and why.
    UpdateFailed { detail: String },
    /// An update after which the former software runs again, and why.
    FellBack { detail: String },
}

impl Cause {
    /// As in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MoneyReturned => "money-returned",
            Self::Stopped { .. } => "stopped",
            Self::Restarted => "restarted",
            Self::EnergisedBeforeRestart => "energised-before-restart",
            Self::NothingFell => "nothing-fell",
            Self::NothingFellAnywhere => "nothing-fell-anywhere",
            Self::NoOutletLeft => "no-outlet-left",
            Self::Withdrawn => "withdrawn",
            Self::SensorFailed => "sensor-failed",
            Self::Board { .. } => "board",
            Self::MotorNotHome => "motor-not-home",
            Self::TooWarm { .. } => "too-warm",
            Self::RefundFailed => "refund-failed",
            Self::RefundRefused { .. } => "refund-refused",
            Self::PaidInOtherCurrency { .. } => "paid-in-other-currency",
            Self::DeliveryUnknown { .. } => "delivery-unknown",
            Self::NoRefund { .. } => "no-refund",
            Self::GoodsGoneMoneyBack => "goods-gone-money-back",
            Self::RefundSilent { .. } => "refund-silent",
            Self::RailRemoved { .. } => "rail-removed",
            Self::Printer { .. } => "printer",
            Self::NoReboot { .. } => "no-reboot",
            Self::Gate { .. } => "gate",
            Self::CantSell { .. } => "cant-sell",
            Self::FleetNotReached => "fleet-not-reached",
            Self::NotStarted { .. } => "not-started",
            Self::MediaNotFetched { .. } => "media-not-fetched",
            Self::FileChanged => "file-changed",
            Self::UpdateFailed { .. } => "update-failed",
            Self::FellBack { .. } => "fell-back",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoneyReturned => f.write_str("the provider has given the money back"),
            Self::Stopped { reason } => write!(f, "the machine could not deliver: {reason}"),
            Self::Restarted => f.write_str("the machine started anew before anything was energised"),
            Self::EnergisedBeforeRestart => f.write_str("energised before a restart"),
            Self::NothingFell => f.write_str("nothing fell"),
            Self::NothingFellAnywhere => f.write_str("nothing came out of any outlet tried"),
            Self::NoOutletLeft => f.write_str("no outlet with these goods is left"),
            Self::Withdrawn => f.write_str("whoever was to have it has gone away"),
            Self::SensorFailed => f.write_str("the drop sensor did not pass its self-test"),
            Self::Board { detail }
            | Self::Printer { detail }
            | Self::NoReboot { detail }
            | Self::Gate { detail }
            | Self::MediaNotFetched { detail }
            | Self::UpdateFailed { detail } => f.write_str(detail),
            Self::FellBack { detail } => write!(f, "the former software runs again: {detail}"),
            Self::MotorNotHome => f.write_str("its motor has not come home"),
            Self::TooWarm { max_milli_c, minutes } => {
                let max = f64::from(*max_milli_c) / 1_000.0;
                write!(f, "not known to be at most {max} \u{b0}C for {minutes} min")
            }
            Self::RefundFailed => f.write_str("failed at the provider"),
            Self::RefundRefused { code, detail } => write!(f, "{code}: {detail}"),
            Self::PaidInOtherCurrency { paid } => write!(f, "paid in another currency: {paid}"),
            Self::DeliveryUnknown { detail } => write!(f, "delivery unknown: {detail}"),
            Self::NoRefund { refund } => write!(f, "the provider refused refund {refund}"),
            Self::GoodsGoneMoneyBack => f.write_str("the money went back although the goods fell"),
            Self::RefundSilent { refund, hours } => write!(f, "nobody has confirmed refund {refund} for {hours} h"),
            Self::RailRemoved { rail } => {
                write!(f, "the rail {rail} is not configured any more, and nobody can say what was paid on it")
            }
            Self::CantSell { reasons } => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                write!(f, "the kiosk could not sell with it: {}", reasons.join(", "))
            }
            Self::FleetNotReached => f.write_str("the kiosk could not reach the fleet with it"),
            Self::NotStarted { detail } => write!(f, "the kiosk could not start with it: {detail}"),
            Self::FileChanged => f.write_str("the file on the machine was changed meanwhile, and counts"),
        }
    }
}

/// How a person, or the provider's own word, settles a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimSettlement {
    /// The customer has the goods; the money stays.
    Delivered,
    /// Give back through the provider what is still open.
    Refund,
    /// Given back by other means (cash, bank).
    PaidOutside,
    /// No person: the provider has said at last what became of the money.
    ByProvider,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_in_json_as_in_code_and_read_back() {
        let rail = RailName::parse("wechat").unwrap();
        let refund = RefundId::parse("R_1_1").unwrap();
        let detail = || String::from("its words");
        let causes = [
            Cause::MoneyReturned,
            Cause::Stopped { reason: StopReason::GlassDark(detail()) },
            Cause::Restarted,
            Cause::EnergisedBeforeRestart,
            Cause::NothingFell,
            Cause::NothingFellAnywhere,
            Cause::NoOutletLeft,
            Cause::Withdrawn,
            Cause::SensorFailed,
            Cause::Board { detail: detail() },
            Cause::MotorNotHome,
            Cause::TooWarm { max_milli_c: 8_500, minutes: 30 },
            Cause::RefundFailed,
            Cause::RefundRefused { code: "NO".into(), detail: detail() },
            Cause::PaidInOtherCurrency {
                paid: Money { amount: 1, currency: crate::vocabulary::Currency::from_code("EUR").unwrap() },
            },
            Cause::DeliveryUnknown { detail: Box::new(Cause::SensorFailed) },
            Cause::NoRefund { refund: refund.clone() },
            Cause::GoodsGoneMoneyBack,
            Cause::RefundSilent { refund, hours: 6 },
            Cause::RailRemoved { rail },
            Cause::Printer { detail: detail() },
            Cause::NoReboot { detail: detail() },
            Cause::Gate { detail: detail() },
            Cause::CantSell { reasons: vec![StopReason::SoldOut] },
            Cause::FleetNotReached,
            Cause::NotStarted { detail: detail() },
            Cause::MediaNotFetched { detail: detail() },
            Cause::FileChanged,
            Cause::UpdateFailed { detail: detail() },
            Cause::FellBack { detail: detail() },
        ];
        for cause in causes {
            let json = serde_json::to_value(&cause).unwrap();
            assert_eq!(json["cause"], cause.kind());
            assert_eq!(serde_json::from_value::<Cause>(json).unwrap(), cause);
            assert!(!cause.to_string().is_empty());
        }
    }

    #[test]
    fn a_reason_is_named_in_json_as_in_code() {
        use StopReason::*;
        let text = || String::from("why");
        let all = [
            Locked(text()),
            DoorOpen,
            Tamper,
            BoardDown,
            GlassDark(text()),
            TouchDown(text()),
            RailDown,
            LedgerFailed(text()),
            DiskFull,
            OutboxFull,
            SoldOut,
            Full,
            CoolingDown,
            SelfCheck(text()),
        ];
        for reason in all {
            assert_eq!(serde_json::to_value(&reason).unwrap()["kind"], reason.kind());
        }
    }
}
