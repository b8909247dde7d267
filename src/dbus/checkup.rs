//! The check of a kiosk without a person: every part that its status tells of, one line each.
//!
//! Policy: a check is well, or says what is wrong and what to do about it. What nobody has asked yet is unknown, which is neither: it
//! is told, with how to find out.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

use super::report::{self, Report, word};
use crate::input::{Aim, Aimed};
pub use crate::operation::CheckResult;
use crate::operation::{Finding, PartName, Seen};
use crate::vocabulary::{StopReason, one_line, plural};

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub part: String,
    pub result: CheckResult,
    /// What was seen.
    pub says: String,
    /// What to do, where there is something.
    pub advice: Option<Cow<'static, str>>,
}

impl Check {
    pub fn new(part: impl Into<String>, result: CheckResult, says: impl Into<String>) -> Self {
        Self { part: part.into(), result, says: says.into(), advice: None }
    }

    /// What to do, unless it is well.
    pub fn advised(self, advice: impl Into<Cow<'static, str>>) -> Self {
        Self { advice: (self.result != CheckResult::Well).then(|| advice.into()), ..self }
    }

    /// Of the touch sensor, by a finger on each mark; `None`: no finger came out anywhere.
    pub fn touch(aimed: Option<&Aimed>) -> Self {
        let wrong = |says: String| Self::new(TOUCH, CheckResult::Wrong, says);
        let write = |instead| {
            format!(
                "write calibration = \"{instead}\" under [touch] in the configuration, and systemctl restart kioskd"
            )
        };
        match aimed.map(Aimed::says) {
            None => wrong("the glass has not felt the finger".into()).advised(advice(TOUCH)),
            Some(Aim::True) => Self::new(TOUCH, CheckResult::Well, "each touch came out where it was made"),
            Some(Aim::Turned { how, instead }) => wrong(format!("touches come out {how}")).advised(write(instead)),
            Some(Aim::Beside { percent, instead: Some(instead) }) => {
                wrong(format!("touches come out beside the marks, by up to {percent} % of the picture"))
                    .advised(write(instead))
            }
            Some(Aim::Beside { instead: None, .. }) => {
                wrong("touches in three corners come out on one line".into()).advised(advice(TOUCH))
            }
        }
    }

    /// As it is put on record: what to do about it changes with the program, so it is left out, and so is what a line has not
    /// room for. `None`: nothing is said.
    pub fn finding(&self) -> Option<Finding> {
        let part = PartName::parse(&line(&self.part, PartName::LONGEST))?;
        let says = Seen::parse(&line(&self.says, Seen::LONGEST))?;
        Some(Finding { part, result: self.result, says })
    }

    pub fn json(&self) -> Value {
        json!({ "part": self.part, "result": self.result.word(), "says": self.says, "advice": self.advice })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {:14} {}", self.result.word(), self.part, self.says)?;
        match &self.advice {
            Some(advice) => write!(f, "\n           -> {advice}"),
            None => Ok(()),
        }
    }
}

/// One line of at most so many characters.
fn line(text: &str, longest: usize) -> String {
    let mut all = one_line(text);
    let mut line: String = all.by_ref().take(longest).collect();
    if all.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// Of a kiosk's `state` and its link to the fleet; nothing where the document is none.
pub fn checks(document: &Value, link: (String, String)) -> Vec<Check> {
    Report::read(&document.to_string(), link).map_or_else(Vec::new, |report| report.checks())
}

const TOUCH: &str = "touch";

/// What to do about a device that is not well.
fn advice(device: &str) -> &'static str {
    match device {
        "board" => report::advice(&StopReason::BoardDown),
        "glass" => report::advice(&StopReason::GlassDark(String::new())),
        TOUCH | "keypad" | "scanner" => "look at its cable; kioskd probe lists the input devices there are",
        "printer" => "look at paper, cover, power and cable; kioskd probe lists the printers there are",
        "drop_sensor" => "clean the light barrier and look at its cables; kioskctl pulse SLOT asks it again",
        "thermometer" => "look at its cables ([board.temperature])",
        "clock" => "set the time: timedatectl; a board without a battery needs the network for it",
        _ => "look at its power and cables",
    }
}

impl Report {
    /// A line for each device, way to pay, slot, the fleet and the disk.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for (name, is) in self.table("devices") {
            let state = word(&is["state"]);
            let result = match state {
                "ok" => CheckResult::Well,
                "unknown" | "starting" => CheckResult::Unknown,
                _ => CheckResult::Wrong,
            };
            let why = is["why"].as_str().map_or(String::new(), |why| format!(" ({why})"));
            checks.push(Check::new(name, result, format!("{state}{why}")).advised(advice(name)));
        }
        checks.push(self.rails());
        let (link, why) = self.link();
        checks.push(match link {
            "connected" => Check::new("fleet", CheckResult::Well, link),
            "none" => Check::new("fleet", CheckResult::Well, "none is configured"),
            _ => Check::new("fleet", CheckResult::Wrong, format!("{link} {why}").trim())
                .advised("look at the network and [fleet] broker; the kiosk sells on, and tells everything later"),
        });
        checks.push(self.reason_check("disk", &["disk-full", "ledger-failed"], "the ledger can be written"));
        checks.push(self.reason_check("doors", &["door-open", "tamper"], "closed"));
        for fault in self.list("faults").filter(|fault| fault["slot"].is_string()) {
            let slot = word(&fault["slot"]);
            let wrong = Check::new(format!("slot {slot}"), CheckResult::Wrong, word(&fault["why"]));
            let advice = format!(
                "kioskctl maintenance on, kioskctl pulse {slot}; when it is well: kioskctl refill --slot {slot}"
            );
            checks.push(wrong.advised(advice));
        }
        let claims = self.list("claims").count();
        if claims > 0 {
            let told = Check::new(
                "claims",
                CheckResult::Wrong,
                format!("{} waiting for a person", plural(claims as u64, "claim")),
            );
            checks.push(told.advised("kioskctl claims names them, kioskctl why tells each"));
        }
        checks
    }

    fn rails(&self) -> Check {
        let refusing: Vec<String> =
            self.table("rails_refusing").map(|(rail, says)| format!("{rail}: {}", word(says))).collect();
        if !refusing.is_empty() {
            let told = Check::new("payment", CheckResult::Wrong, refusing.join("; "));
            return told.advised("the provider answers and makes no charge: look at the merchant's account and keys");
        }
        self.reason_check("payment", &["rail-down"], "a provider answers")
    }

    /// Wrong where one of these is a reason not to sell.
    fn reason_check(&self, part: &str, kinds: &[&str], well: &str) -> Check {
        match self.reasons().find(|(kind, ..)| kinds.contains(&kind.as_str())) {
            Some((_, says, advice)) => {
                Check { advice: advice.map(Cow::from), ..Check::new(part, CheckResult::Wrong, says) }
            }
            None => Check::new(part, CheckResult::Well, well),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Calibration;
    use crate::vocabulary::{Corner, Spot};

    fn checks(document: &Value, link: &str) -> Vec<Check> {
        Report::read(&document.to_string(), (link.into(), "no route".into())).unwrap().checks()
    }

    fn of<'c>(checks: &'c [Check], part: &str) -> &'c Check {
        checks.iter().find(|check| check.part == part).unwrap_or_else(|| panic!("no {part} in {checks:?}"))
    }

    #[test]
    fn what_is_well_is_well_and_what_nobody_asked_is_unknown() {
        let document = json!({
            "selling": true,
            "devices": { "board": { "state": "ok" }, "clock": { "state": "ok" }, "drop_sensor": { "state": "unknown" } },
        });
        let all = checks(&document, "connected");
        let parts: Vec<&str> = all.iter().map(|check| check.part.as_str()).collect();
        assert_eq!(parts, ["board", "clock", "drop_sensor", "payment", "fleet", "disk", "doors"]);
        for check in &all {
            let wanted = if check.part == "drop_sensor" { CheckResult::Unknown } else { CheckResult::Well };
            assert_eq!(check.result, wanted, "{check}");
            assert_eq!(check.advice.is_some(), wanted == CheckResult::Unknown, "{check}");
        }
        assert_eq!(of(&checks(&document, "none"), "fleet").result, CheckResult::Well);
    }

    #[test]
    fn a_touch_sensor_that_lies_otherwise_is_told_with_the_line_to_write() {
        let calibration = Calibration::default();
        let marks = Corner::ALL.map(Corner::spot);
        let aimed = |turn: fn(Spot) -> Spot| Aimed { came: marks.map(turn), calibration, rotation: 0 };
        assert_eq!(Check::touch(Some(&aimed(|spot| spot))).result, CheckResult::Well);
        let mirrored = Check::touch(Some(&aimed(|Spot { x, y }| Spot { x: 1.0 - x, y })));
        assert_eq!(
            mirrored.to_string(),
            "wrong    touch          touches come out mirrored left to right\n           \
             -> write calibration = \"-1 0 1 0 1 0\" under [touch] in the configuration, and systemctl restart kioskd"
        );
        let short = Check::touch(Some(&aimed(|Spot { x, y }| Spot { x: x / 2.0, y })));
        assert!(
            short
                .to_string()
                .contains("by up to 45 % of the picture\n           -> write calibration = \"2 0 0 0 1 0\"")
        );
        let stuck = Check::touch(Some(&aimed(|_| Spot { x: 0.5, y: 0.5 })));
        assert!(stuck.to_string().contains("on one line\n           -> look at its cable"), "{stuck}");
        assert!(Check::touch(None).to_string().contains("has not felt the finger\n           -> look at its cable"));
    }

    #[test]
    fn what_goes_on_record_fits_and_says_the_same() {
        let check = Check::new("printer", CheckResult::Wrong, "paper-out").advised("look at paper");
        assert_eq!(check.finding().unwrap().to_string(), "wrong    printer        paper-out");
        let long = Check::new("p".repeat(65), CheckResult::Well, format!("a\nb{}", "ä".repeat(300))).finding().unwrap();
        assert_eq!(long.part.as_str(), format!("{}…", "p".repeat(63)));
        assert_eq!(long.says.as_str(), format!("a b{}…", "ä".repeat(196)));
        assert_eq!(Check::new("door", CheckResult::Well, "").finding(), None);
    }

    #[test]
    fn each_fault_is_named_with_what_to_do() {
        let wrong = |document: Value, part: &str, says: &str| {
            let all = checks(&document, "connected");
            let check = of(&all, part);
            assert_eq!((check.result, check.says.as_str()), (CheckResult::Wrong, says), "{check}");
            assert!(check.advice.is_some(), "{check}");
            let others = all.iter().filter(|other| other.part != part);
            assert!(others.clone().all(|other| other.result == CheckResult::Well), "{all:?}");
        };
        for (device, state) in [
            ("board", "unreachable"),
            ("glass", "dark"),
            ("touch", "unusable"),
            ("printer", "paper-out"),
            ("drop_sensor", "failed-self-test"),
            ("thermometer", "unreadable"),
            ("clock", "unset"),
        ] {
            wrong(json!({ "devices": { device: { "state": state } } }), device, state);
        }
        wrong(json!({ "devices": { "glass": { "state": "dark", "why": "no cable" } } }), "glass", "dark (no cable)");
        let stopped = |kind: &str| json!({ "reasons": [{ "kind": kind }] });
        wrong(stopped("rail-down"), "payment", "no payment provider answers");
        wrong(stopped("disk-full"), "disk", "the disk is full");
        wrong(stopped("door-open"), "doors", "the door is open");
        wrong(json!({ "rails_refusing": { "wechat": "NO_AUTH" } }), "payment", "wechat: NO_AUTH");
        wrong(json!({ "faults": [{ "slot": "A1", "why": "nothing fell" }] }), "slot A1", "nothing fell");
        wrong(json!({ "claims": [{}, {}] }), "claims", "2 claims waiting for a person");
        let all = checks(&json!({}), "disconnected");
        assert_eq!(of(&all, "fleet").to_string().lines().next(), Some("wrong    fleet          disconnected no route"));
        assert_eq!(of(&all, "fleet").json()["result"], "wrong");
    }
}
