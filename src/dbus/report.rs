//! How a kiosk is, for a person who stands before it: does it sell, and if not, why, and what is there to do.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::vocabulary::StopReason;

/// Made of the `state` document and the link to the fleet.
#[derive(Debug, Clone)]
pub struct Report {
    document: Map<String, Value>,
    /// How the link to the fleet is, and why.
    link: (String, String),
}

/// What to do about it.
pub(super) fn advice(reason: &StopReason) -> &'static str {
    match reason {
        StopReason::Locked(_) => "when the work is done: kioskctl unlock",
        StopReason::Maintenance => "when the work is done: kioskctl maintenance off",
        StopReason::DoorOpen => "close the door; if it is closed, look at its switch and wire ([board] door)",
        StopReason::Tamper => "close the case; if it is closed, look at its contact and wire ([board] tamper)",
        StopReason::BoardDown => "look at the relay board's power and cables; kioskd probe lists the lines there are",
        StopReason::GlassDark(_) => "look at the screen's power and cable; kioskd probe lists the screens there are",
        StopReason::TouchDown(_) => "look at the touch sensor's cable; kioskd probe lists the sensors there are",
        StopReason::RailDown => "look at the network; kioskd pay-probe tries one way to pay by itself",
        StopReason::LedgerFailed(_) => {
            "look at the disk (dmesg), then kioskctl verify; nothing is sold until systemctl restart kioskd"
        }
        StopReason::DiskFull => "make room on the disk of the state directory; it sells again by itself",
        StopReason::OutboxFull => "the back end has acknowledged nothing for long: look at the fleet, below, and there",
        StopReason::SoldOut => "fill the slots, then: kioskctl refill",
        StopReason::Full => "nothing to do here: it sells again when a place is free",
        StopReason::OutletFaulty => "see what is stuck; when it works again: kioskctl refill",
        StopReason::CoolingDown => "nothing to do: it ends by itself",
        StopReason::SelfCheck(_) => {
            "look at what it names, then: systemctl restart kioskd; docs/technician.md lists the checks"
        }
    }
}

impl Report {
    /// `None`: the document is none.
    pub(crate) fn read(document: &str, link: (String, String)) -> Option<Self> {
        Some(Self { document: serde_json::from_str(document).ok()?, link })
    }

    pub fn selling(&self) -> bool {
        self.document.get("selling") == Some(&Value::Bool(true))
    }

    /// The document, with the link and what is there to do about each reason.
    pub fn json(&self) -> Value {
        let mut all = self.document.clone();
        let (state, why) = &self.link;
        all.insert("fleet_link".into(), json!({ "state": state, "why": why }));
        let advice: Map<_, _> = self.reasons().filter_map(|(kind, _, advice)| Some((kind, advice?.into()))).collect();
        all.insert("advice".into(), advice.into());
        Value::Object(all)
    }

    /// How the link to the fleet is, and why.
    pub(super) fn link(&self) -> (&str, &str) {
        (&self.link.0, &self.link.1)
    }

    pub(super) fn list(&self, key: &str) -> impl Iterator<Item = &Value> {
        self.document.get(key).and_then(Value::as_array).into_iter().flatten()
    }

    pub(super) fn table(&self, key: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.document.get(key).and_then(Value::as_object).into_iter().flatten()
    }

    /// Of each reason its kind, a sentence, and what to do; a newer kiosk may have one that this program does not know.
    pub fn reasons(&self) -> impl Iterator<Item = (String, String, Option<&'static str>)> {
        self.list("reasons").map(|reason| {
            let kind = word(&reason["kind"]).to_owned();
            match serde_json::from_value::<StopReason>(reason.clone()) {
                Ok(known) => (kind, known.to_string(), Some(advice(&known))),
                Err(_) => (kind.clone(), kind, None),
            }
        })
    }
}

pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// One screen.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |key: &str| self.document.get(key).map_or("?", word);
        let sells = if self.selling() { "sells" } else { "does not sell" };
        writeln!(f, "{} of {} {sells}", text("kiosk"), text("fleet"))?;
        for (_, why, advice) in self.reasons() {
            writeln!(f, "  {why}")?;
            if let Some(advice) = advice {
                writeln!(f, "    -> {advice}")?;
            }
        }
        let why = |is: &Value| is["why"].as_str().map_or(String::new(), |why| format!(" ({why})"));
        let devices = self.table("devices").map(|(name, is)| format!("{name} {}{}", word(&is["state"]), why(is)));
        writeln!(f, "devices   {}", devices.collect::<Vec<_>>().join(", "))?;
        let stock = self
            .table("stock")
            .map(|(slot, is)| format!("{slot} {} {}/{}", word(&is["product"]), is["count"], is["capacity"]));
        writeln!(f, "stock     {}", stock.collect::<Vec<_>>().join(", "))?;
        for fault in self.list("faults") {
            let slot = fault["slot"].as_str();
            let name = slot.or(fault["device"].as_str()).unwrap_or("?");
            writeln!(f, "fault     {name}: {}", word(&fault["why"]))?;
            if let Some(slot) = slot {
                writeln!(f, "    -> kioskctl test-vend {slot}, and when it is well: kioskctl refill --slot {slot}")?;
            }
        }
        for claim in self.list("claims") {
            let order = word(&claim["order"]);
            let code = word(&claim["short_code"]);
            writeln!(f, "claim     {order} ({code}): {}", word(&claim["why"]))?;
            writeln!(f, "    -> kioskctl why {code}, then kioskctl settle-claim {code} delivered|refund|paid-outside")?;
        }
        for (rail, says) in self.table("rails_refusing") {
            writeln!(f, "rail      {rail} makes no charge: {}", word(says))?;
        }
        let languages: Vec<&str> = self.list("languages").map(word).collect();
        if !languages.is_empty() {
            writeln!(f, "languages {}", languages.join(", "))?;
        }
        let settling = self.document.get("settling").and_then(Value::as_u64).unwrap_or_default();
        write!(f, "orders    {settling} to settle")?;
        if let Some(pending) = self.document.get("refunds_pending").filter(|pending| pending.is_object()) {
            let (count, minutes) = (&pending["count"], &pending["oldest_minutes"]);
            write!(f, "; refunds that nobody has confirmed: {count}, the oldest for {minutes} min")?;
        }
        let (link, why) = &self.link;
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        write!(f, "\nfleet     {link}{why}\nprogram   {}, run {}", text("version"), text("boot"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: &str = include_str!("../../docs/technician.md");

    fn report(document: &Value) -> Report {
        Report::read(&document.to_string(), ("disconnected".into(), "no route".into())).unwrap()
    }

    #[test]
    fn every_reason_has_its_advice() {
        let text = || String::from("why");
        let all = [
            StopReason::Locked(text()),
            StopReason::Maintenance,
            StopReason::DoorOpen,
            StopReason::Tamper,
            StopReason::BoardDown,
            StopReason::GlassDark(text()),
            StopReason::TouchDown(text()),
            StopReason::RailDown,
            StopReason::LedgerFailed(text()),
            StopReason::DiskFull,
            StopReason::OutboxFull,
            StopReason::SoldOut,
            StopReason::Full,
            StopReason::OutletFaulty,
            StopReason::CoolingDown,
            StopReason::SelfCheck(text()),
        ];
        let said = report(&json!({ "kiosk": "K1", "fleet": "f", "selling": false, "reasons": all }));
        let (told, json) = (said.to_string(), said.json());
        assert!(!said.selling() && told.starts_with("K1 of f does not sell\n"), "{told}");
        for reason in &all {
            assert!(told.contains(&format!("  {reason}\n    -> {}\n", advice(reason))), "{reason}: {told}");
            assert_eq!(json["advice"][reason.kind()], advice(reason));
            assert!(PAPER.contains(&format!("\n| `{}` |", reason.kind())), "docs/technician.md lacks {reason}");
        }
        assert!(told.contains("fleet     disconnected (no route)"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= 110), "{told}");
    }

    #[test]
    fn what_a_newer_kiosk_says_is_told_as_it_is() {
        let said = report(&json!({ "selling": false, "reasons": [{ "kind": "moonlight" }], "faults": [{}] }));
        assert!(said.to_string().contains("\n  moonlight\ndevices"), "{said}");
        assert_eq!(said.json()["advice"], json!({}));
    }
}
