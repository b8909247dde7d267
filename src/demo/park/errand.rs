//! What somebody at the page, or a test, does at the car park: one request, done whole or refused with the reason.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::cars::{CantMove, Car, Held, Move, Place};
use super::contact::{LoopFault, SwitchFault};
use super::lane::{Button, CarNumber, GateFault, Input};
use super::{Kiosk, Mode, Park, codes};
use crate::parking::tariff::Worth;
use crate::parking::ticket::Kind;
use crate::vocabulary::Minor;

/// So long a driver waits for a ticket.
const PATIENCE: Duration = Duration::from_secs(15);
/// After that a driver looks at the glass, where there may be no paper.
const LOOKS_AFTER: Duration = Duration::from_secs(4);
const FREE_MINUTES: i64 = 60;

/// The body of `POST /api/site`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errand {
    /// `new`, or which.
    car: Option<String>,
    #[serde(rename = "do")]
    does: Option<Does>,
    /// Where; without it where the car is.
    kiosk: Option<String>,
    /// Which of the codes that a driver holds; without it the newest exit pass, else the newest ticket, else a season pass.
    what: Option<What>,
    /// Who gets the copy; without it somebody new, inside.
    to: Option<String>,
    /// What is typed; without it the car's own plate.
    pub(super) text: Option<String>,
    /// What a validation is worth; minutes without any.
    minutes: Option<i64>,
    percent: Option<i64>,
    amount: Option<Minor>,
    /// `+2h`
    clock: Option<String>,
    network: Option<Network>,
    /// Whether the cameras at the gates read plates.
    cameras: Option<bool>,
    /// Whose gate is broken, or mended.
    lane: Option<String>,
    gate: Option<GateFault>,
    opened: Option<SwitchFault>,
    closed: Option<SwitchFault>,
    presence: Option<LoopFault>,
    safety: Option<LoopFault>,
    closing: Option<LoopFault>,
    /// At one lane, or at all.
    fire: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Network {
    Up,
    Down,
    /// The provider of the wallet can be reached, and the broker can't.
    NoBroker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Ticket,
    Pass,
    Validation,
    Season,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Does {
    Arrive,
    Drive,
    BackOut,
    Leave,
    TakeTicket,
    /// Holds a code before a scanner.
    Show,
    /// Reads the code on a glass.
    Look,
    Lose,
    Copy,
    Validate,
    /// The office gives out one for this car.
    SeasonPass,
    /// At the pay station.
    TypePlate,
    /// Presses the button for help.
    Help,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CantDo {
    #[error(transparent)]
    Move(#[from] CantMove),
    #[error("nothing to do: name at least one of car, clock, network, cameras, lane, fire")]
    Nothing,
    #[error(
        "`do` says what the car `{0}` is to do: arrive, drive, back-out, leave, take-ticket, show, look, lose, copy, \
             validate, season-pass, type-plate or help"
    )]
    WithoutDo(String),
    #[error("`do` is for a car: name one, or write \"car\":\"new\"")]
    WithoutCar,
    #[error("there is no kiosk `{0}`")]
    NoKiosk(String),
    #[error("there is no lane `{0}` with a gate")]
    NoLane(String),
    #[error("{0} is at no kiosk; name one")]
    Nowhere(String),
    #[error("{car} holds no {what}")]
    HoldsNone { car: String, what: &'static str },
    #[error("the kiosk is dead")]
    Dead,
    #[error("no ticket came within {} s; on the glass is the page `{page}`", PATIENCE.as_secs())]
    NoTicket { page: String },
    #[error("there is no code of a car park on the glass")]
    NoCode,
    #[error("there is no `{what}` to touch; on the glass is the page `{page}`")]
    NotThere { what: String, page: String },
    #[error("a plate is typed at a pay station; {0} is none")]
    NoKeys(String),
    #[error("{0}")]
    Plate(String),
    #[error("the office has no season pass: {0}")]
    NoSeason(String),
    #[error("the cameras speak over the demo's broker, and it has none")]
    NoCameras,
    #[error(
        "the clock is wound by a number and s, min, h or d with a sign, such as +15min, +2h or +1d; at most a year from now"
    )]
    Clock,
    #[error("a validation is worth minutes, percent or an amount: {0}")]
    Worth(String),
}

impl Park {
    /// Blocks while a driver waits for a ticket.
    pub fn run(&self, errand: Errand) -> Result<Value, CantDo> {
        let wound = errand.clock.as_deref().map(|text| wound(text).ok_or(CantDo::Clock)).transpose()?;
        let faults = errand.gate.is_some()
            || [errand.opened, errand.closed].iter().any(Option::is_some)
            || [errand.presence, errand.safety, errand.closing].iter().any(Option::is_some);
        let mut done = false;
        if let Some(by_ms) = wound {
            done = true;
            if !self.wind(by_ms) {
                return Err(CantDo::Clock);
            }
        }
        if let Some(network) = errand.network {
            done = true;
            self.network(network, errand.kiosk.as_deref())?;
        }
        if let Some(on) = errand.cameras {
            done = true;
            self.switch_cameras(on)?;
        }
        if faults || errand.fire.is_some() {
            done = true;
            self.break_or_mend(&errand)?;
        }
        let mut answer = json!({});
        if let Some(car) = &errand.car {
            done = true;
            let does = errand.does.ok_or_else(|| CantDo::WithoutDo(car.clone()))?;
            answer = self.drive(car, does, &errand)?;
        } else if errand.does.is_some() {
            return Err(CantDo::WithoutCar);
        }
        if !done {
            return Err(CantDo::Nothing);
        }
        answer["clock"] = self.clock_text().into();
        Ok(answer)
    }

    fn network(&self, network: Network, kiosk: Option<&str>) -> Result<(), CantDo> {
        for kiosk in self.named(kiosk)? {
            kiosk.world.set_network(network != Network::Down);
            kiosk.world.set_broker(network == Network::Up);
            kiosk.world.tell(&json!({ "kind": "world" }));
        }
        Ok(())
    }

    /// One kiosk, or all.
    fn named(&self, kiosk: Option<&str>) -> Result<Vec<&Kiosk>, CantDo> {
        match kiosk {
            None => Ok(self.kiosks.iter().collect()),
            Some(id) => Ok(vec![self.kiosk(id).ok_or_else(|| CantDo::NoKiosk(id.to_owned()))?.1]),
        }
    }

    fn break_or_mend(&self, errand: &Errand) -> Result<(), CantDo> {
        let name = errand.lane.as_deref();
        let lanes: Vec<usize> = self
            .kiosks
            .iter()
            .filter_map(|kiosk| kiosk.lane.as_ref())
            .filter(|(_, wiring)| name.is_none_or(|name| wiring.name == name))
            .map(|(lane, _)| *lane)
            .collect();
        if lanes.is_empty() {
            return Err(CantDo::NoLane(name.unwrap_or_default().to_owned()));
        }
        self.change(|inner| {
            for nth in lanes {
                let lane = &mut inner.cars.lanes[nth];
                if let Some(fault) = errand.gate {
                    lane.set_gate_fault(fault);
                }
                let [opened, closed] = lane.switch_faults();
                lane.set_switch_faults(errand.opened.unwrap_or(opened), errand.closed.unwrap_or(closed));
                let [presence, safety, closing] = lane.loop_faults();
                lane.set_loop_faults([
                    errand.presence.unwrap_or(presence),
                    errand.safety.unwrap_or(safety),
                    errand.closing.unwrap_or(closing),
                ]);
                if let Some(fire) = errand.fire {
                    lane.set_fire(fire);
                }
            }
        });
        Ok(())
    }

    fn drive(&self, car: &str, does: Does, errand: &Errand) -> Result<Value, CantDo> {
        let new = || self.change(|inner| inner.cars.new_car(Place::Street)).map(|number| format!("car-{number}"));
        let name = if car == "new" { new()? } else { car.to_owned() };
        let number = self.change(|inner| inner.cars.named(&name).map(|car| car.number))?;
        let go = |how| self.change(|inner| inner.cars.go(&name, how));
        let mut answer = json!({ "car": name });
        match does {
            Does::Arrive => go(Move::Arrive)?,
            Does::Drive => go(Move::Drive)?,
            Does::BackOut => go(Move::BackOut)?,
            Does::Leave => go(Move::Leave)?,
            Does::TakeTicket => answer["ticket"] = self.take_ticket(number, &name)?.into(),
            Does::Show => answer["shown"] = self.show(number, &name, errand)?.into(),
            Does::Look => {
                let held = self.look(self.place(number, &name, errand)?).ok_or(CantDo::NoCode)?;
                answer["read"] = codes::name(held.kind).into();
                self.with(number, |car| car.takes(held));
            }
            Does::Lose => self.with(number, |car| car.holds.retain(|held| held.kind != Kind::Ticket)),
            Does::Copy => answer["copy"] = self.copy(number, &name, errand)?.into(),
            Does::Validate => answer["validation"] = self.validate(number, worth(errand)?)?.into(),
            Does::SeasonPass => answer["season"] = self.season_pass(number)?.into(),
            Does::TypePlate => answer["typed"] = self.type_plate(number, &name, errand)?.into(),
            Does::Help => self.press(self.place(number, &name, errand)?, Button::Help)?,
        }
        Ok(answer)
    }

    pub(super) fn with(&self, car: CarNumber, what: impl FnOnce(&mut Car)) {
        self.change(|inner| inner.cars.mut_by(car).map(what));
    }

    /// The kiosk that was named, else that of the car's lane, else the pay station for a driver on foot.
    pub(super) fn place(&self, number: CarNumber, name: &str, errand: &Errand) -> Result<usize, CantDo> {
        if let Some(id) = &errand.kiosk {
            return Ok(self.kiosk(id).ok_or_else(|| CantDo::NoKiosk(id.clone()))?.0);
        }
        let place = self.change(|inner| inner.cars.get(number).map(|car| car.place));
        let found = self.kiosks.iter().position(|kiosk| match place {
            Some(Place::Lane(lane)) => kiosk.lane.as_ref().is_some_and(|(nth, _)| *nth == lane),
            Some(Place::Inside) => kiosk.mode == Mode::PayStation,
            _ => false,
        });
        found.ok_or_else(|| CantDo::Nowhere(name.to_owned()))
    }

    fn press(&self, nth: usize, button: Button) -> Result<(), CantDo> {
        let kiosk = &self.kiosks[nth];
        let (lane, wiring) = kiosk.lane.as_ref().ok_or_else(|| CantDo::NoLane(kiosk.id.clone()))?;
        let (input, target) = match button {
            Button::Ticket => (Input::TicketButton, "ticket:take"),
            Button::Help => (Input::HelpButton, "help"),
        };
        match wiring.input(input) {
            Some(_) => {
                self.change(|inner| inner.cars.lanes[*lane].press(button));
                self.tell_inputs(nth);
                Ok(())
            }
            None => kiosk.touch(target),
        }
    }

    fn take_ticket(&self, number: CarNumber, name: &str) -> Result<String, CantDo> {
        let nth = self.place(number, name, &Errand::default())?;
        let kiosk = &self.kiosks[nth];
        let newest = || {
            let newest = |car: &Car| car.newest(Kind::Ticket).map(|held| held.code.clone());
            self.lock().cars.get(number).and_then(newest)
        };
        let before = newest();
        self.press(nth, Button::Ticket)?;
        let since = Instant::now();
        loop {
            match newest() {
                Some(code) if before.as_ref() != Some(&code) => return Ok(code),
                _ if since.elapsed() > PATIENCE => {
                    let page = kiosk.world.glass.scene().page;
                    return Err(CantDo::NoTicket { page });
                }
                _ => {}
            }
            if since.elapsed() > LOOKS_AFTER
                && let Some(held) = self.look(nth).filter(|held| held.kind == Kind::Ticket)
            {
                self.with(number, |car| car.takes(held));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The code on the glass, if it is one of a car park.
    fn look(&self, nth: usize) -> Option<Held> {
        codes::read(&self.kiosks[nth].world.glass.read_qr()?, &self.keys)
    }

    fn show(&self, number: CarNumber, name: &str, errand: &Errand) -> Result<&'static str, CantDo> {
        let nth = self.place(number, name, errand)?;
        let (kinds, what): (&[Kind], _) = match errand.what {
            None => (&[Kind::Pass, Kind::Ticket, Kind::Season], "code to show"),
            Some(What::Ticket) => (&[Kind::Ticket], "ticket"),
            Some(What::Pass) => (&[Kind::Pass], "pass"),
            Some(What::Validation) => (&[Kind::Validation], "validation"),
            Some(What::Season) => (&[Kind::Season], "season pass"),
        };
        let held = self.change(|inner| {
            inner.before[nth] = Some(number);
            let car = inner.cars.get(number)?;
            kinds.iter().find_map(|kind| car.newest(*kind)).cloned()
        });
        let held = held.ok_or_else(|| CantDo::HoldsNone { car: name.to_owned(), what })?;
        match self.kiosks[nth].world.scan(&held.code) {
            true => Ok(codes::name(held.kind)),
            false => Err(CantDo::Dead),
        }
    }

    /// The copy goes to who is named. Else a ticket's goes to somebody who has come in by no entry of ours, and a season pass's to
    /// somebody on the street.
    fn copy(&self, number: CarNumber, name: &str, errand: &Errand) -> Result<String, CantDo> {
        self.change(|inner| -> Result<String, CantDo> {
            let newest = |car: &Car| car.newest(Kind::Ticket).or_else(|| car.newest(Kind::Season)).cloned();
            let held = inner.cars.get(number).and_then(newest);
            let held =
                held.ok_or_else(|| CantDo::HoldsNone { car: name.to_owned(), what: "ticket and no season pass" })?;
            let other = match &errand.to {
                Some(other) => inner.cars.named(other)?.number,
                None if held.kind == Kind::Season => inner.cars.new_car(Place::Street)?,
                None => inner.cars.new_car(Place::Inside)?,
            };
            if let Some(car) = inner.cars.mut_by(other) {
                car.takes(held);
            }
            Ok(format!("car-{other}"))
        })
    }
}

fn worth(errand: &Errand) -> Result<Worth, CantDo> {
    match (errand.minutes, errand.percent, errand.amount) {
        (None, None, None) => Ok(Worth::Minutes(FREE_MINUTES)),
        (Some(minutes), None, None) => Ok(Worth::Minutes(minutes)),
        (None, Some(percent), None) => Ok(Worth::Percent(percent)),
        (None, None, Some(amount)) => Ok(Worth::Amount(amount)),
        _ => Err(CantDo::Worth("name one of them".into())),
    }
}

/// Milliseconds of `+2h`.
fn wound(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = rest[..end].parse().ok()?;
    let unit = match rest[end..].trim_start() {
        "s" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_wound_by_what_people_write() {
        for (text, ms) in [
            ("+2h", Some(7_200_000)),
            ("+15min", Some(900_000)),
            ("+1 d", Some(86_400_000)),
            ("-30s", Some(-30_000)),
            ("2h", None),
            ("+h", None),
            ("+2", None),
            ("+2x", None),
            ("", None),
            ("+99999999999999999999h", None),
            ("+9223372036854775807d", None),
        ] {
            assert_eq!(wound(text), ms, "{text}");
        }
    }
}
