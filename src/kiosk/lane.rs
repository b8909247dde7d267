//! The lane of a car park that the kiosk stands in: what happens goes to the pure [`lane`], and what it answers is carried out.
//!
//! Policy: first what must not wait, be the disk full or broken; then the records of the step are committed, all or none; then
//! its effects. Where the commit fails they are dropped, and the lane hears of each pulse that was among them. Nothing is decided
//! here.

pub mod settings;
pub mod told;

use super::{HELP_WANTED, Kiosk};
use crate::board::{GateButton, GateCommand, GateEvent};
use crate::config::Config;
use crate::ledger::{Journal, LedgerError, Reader};
use crate::operation::{Actor, Reason, RequestId};
use crate::parking::lane::{self, Ask, Authorisation, Call, CantDecide, Step};
use crate::sale::Record;
use crate::sale::event::{Condition, Event, GateAsk};
use crate::sale::presented::{Counter, Presented, TicketCounter, Unable};
use crate::vocabulary::{DeliveryId, LaneId, Mono, Outlet, Reading};
use told::LaneStatus;

/// After so many notes one is written that stands for all of them, so that a start reads few.
const NOTES: u32 = 5_000;

/// Of a note that stands for all before it; as it is written.
const STANDING: &str = r#""kind":"standing""#;

/// A step that asks for a pulse which can't be given is followed by another one; in no longer row.
const STEPS: usize = 8;

pub(super) struct Lane {
    pub name: LaneId,
    state: lane::State,
    /// When a tick is wanted.
    wake: Option<Mono>,
    /// Since one stands for all of them.
    notes: u32,
    /// Who was called for what, and when last.
    calls: Vec<(Call, Mono)>,
    /// Whether a car waits, as the sale was told last.
    car_told: Option<bool>,
    /// What the lamp was told last.
    sign: Option<bool>,
}

impl Lane {
    /// As its notes have left it; `None` where the kiosk stands at no gate.
    ///
    /// # Errors
    /// The ledger can't be read. Without its notes a lane would raise for what was raised before.
    pub fn recover(config: &Config, reader: Option<&Reader>, now: Mono) -> Result<Option<Self>, LedgerError> {
        let Some((gate, settings)) = config.gate.as_ref().zip(settings::settings(config)) else { return Ok(None) };
        let mut state = lane::State::new(settings, now);
        let mut notes = 0;
        if let Some(reader) = reader {
            reader.gate_noted(&gate.name, STANDING, |note| {
                match serde_json::from_value(note) {
                    Ok(note) => state.remember(&note, now),
                    Err(error) => tracing::warn!(%error, "a note of the lane is of another version and is passed over"),
                }
                notes += 1;
            })?;
        }
        Ok(Some(Self {
            name: gate.name.clone(),
            state,
            wake: None,
            notes,
            calls: Vec::new(),
            car_told: None,
            sign: None,
        }))
    }

    pub fn status(&self) -> LaneStatus {
        let calls = self.calls.iter().map(|(call, _)| *call);
        LaneStatus::of(self.name.clone(), self.state.alarms().iter(), calls, self.state.kept_open())
    }

    /// When it wants to be woken.
    pub fn next_wake(&self) -> Option<Mono> {
        let forget = self.calls.iter().map(|(_, at)| *at + HELP_WANTED);
        forget.chain(self.wake).min()
    }

    fn called(&mut self, call: Call, now: Mono) {
        self.calls.retain(|(known, _)| *known != call);
        self.calls.push((call, now));
    }

    /// One event, decided.
    fn next(&mut self, event: lane::Event, now: Mono) -> Step {
        let mut step = lane::next(&mut self.state, event, now);
        self.wake = self.state.next_wake(now);
        self.calls.retain(|(_, at)| now < *at + HELP_WANTED);
        if !step.records.is_empty() && self.notes >= NOTES {
            step.records.extend(self.state.standing());
        }
        step
    }
}

impl Kiosk {
    /// The first event of the run; before the sale's own, which may ask what came of a delivery.
    pub(super) fn begin_lane(&mut self) {
        self.lane_event(lane::Event::Started);
    }

    /// Where time has passed that the lane has waited for.
    pub(super) fn tick_lane(&mut self) {
        let now = self.clock.now();
        if self.lane.as_ref().and_then(Lane::next_wake).is_some_and(|at| at <= now) {
            self.lane_event(lane::Event::Tick);
        }
    }

    pub(super) fn gate_event(&mut self, event: GateEvent) {
        match event {
            GateEvent::Input { input, level } => self.lane_event(lane::Event::Input { input, level }),
            GateEvent::NotEnergised { relay } => self.lane_event(lane::Event::NotEnergised { relay }),
            GateEvent::NotLowered => self.lane_event(lane::Event::NotLowered),
            GateEvent::Pressed { button: GateButton::Ticket } => self.ticket_button_pressed(),
            GateEvent::Pressed { button: GateButton::Help } => self.help_button_pressed(),
        }
    }

    fn ticket_button_pressed(&mut self) {
        self.step(Event::Presented(Presented::NoTicketYet));
    }

    fn help_button_pressed(&mut self) {
        self.step(Event::Presented(Presented::Help));
    }

    /// The sale can't say whether the car before the gate may pass. Where the lane lets it pass, the sale hears of it.
    pub(super) fn cant_decide_at_gate(&mut self, why: Unable) {
        let why = match why {
            Unable::Ticket => CantDecide::NoTicket,
            Unable::Price => CantDecide::NoPrice,
            Unable::Payment => CantDecide::NoPayment,
        };
        self.lane_event(lane::Event::CantDecide { why });
    }

    /// A person's wish, whose `operation-begun` is on disk. [`lane_answered`](Self::lane_answered) hears what came of it.
    pub(super) fn ask_lane(&mut self, request: RequestId, actor: Actor, reason: Reason, ask: GateAsk) {
        let Some(lane) = &mut self.lane else {
            let result = Err("this kiosk has no lane".to_owned());
            return self.edges.post(Event::GateAnswered { id: request, result });
        };
        // Somebody has come.
        lane.calls.clear();
        self.help_called = None;
        let what = match ask {
            GateAsk::Raise => Ask::Raise,
            GateAsk::KeepOpen => Ask::KeepOpen,
            GateAsk::Release => Ask::Release,
        };
        self.lane_event(lane::Event::Asked { request, actor, reason, what });
    }

    /// Whether a car stands before the gate, as far as anybody can know.
    fn tell_whether_a_car_waits(&mut self) {
        let now = self.clock.now();
        let Some(lane) = &mut self.lane else { return };
        let there = lane.state.armed(now);
        if lane.car_told.replace(there) != Some(there) {
            self.edges.post(Event::Condition(Condition::CarWaits { there }));
        }
    }

    /// The lamp says what the lanes of the site have counted: full at the last place, and free again once so many are free.
    pub(super) fn light_the_sign(&mut self) {
        let Counter::Tickets(TicketCounter { free, .. }) = self.state.shop.counter() else { return };
        let (Some(lane), Some(gate), Some(free)) = (&mut self.lane, &self.config.gate, free) else { return };
        let full = free == 0 || lane.sign == Some(true) && free < u64::from(gate.free_again);
        if lane.sign.replace(full) != Some(full) {
            self.edges.board.gate(GateCommand::Sign { full });
        }
    }

    fn lane_answered(&mut self, request: &RequestId, result: Result<(), Call>) {
        let result = result.map_err(|why| told::call(why).1.to_owned());
        self.edges.post(Event::GateAnswered { id: request.clone(), result });
    }

    /// Whether a delivery comes out here.
    pub(super) fn stands_at(&self, outlet: &Outlet) -> bool {
        matches!((outlet, &self.lane), (Outlet::Gate(gate), Some(lane)) if *gate == lane.name)
    }

    /// No sensor has to be read before: the loops are, all the time.
    pub(super) fn prepare_at_gate(&mut self, delivery: DeliveryId) {
        let reading = Reading { counter: None, self_tested: false };
        self.edges.post(Event::Prepared { delivery, reading });
    }

    pub(super) fn deliver_at_gate(&mut self, delivery: DeliveryId) {
        self.lane_event(lane::Event::Authorised { delivery });
    }

    pub(super) fn recall_at_gate(&mut self, delivery: DeliveryId) {
        self.lane_event(lane::Event::Recalled { delivery });
    }

    /// One event, whole: what can't wait, commit, then act.
    pub(super) fn lane_event(&mut self, event: lane::Event) {
        let mut events = vec![event];
        for _ in 0..STEPS {
            let Some(event) = events.pop() else { break };
            let now = self.clock.now();
            let Some(lane) = &mut self.lane else { return };
            let name = lane.name.clone();
            let Step { at_once, records, effects } = lane.next(event, now);
            at_once.into_iter().for_each(|effect| self.act_at_gate(effect));
            if self.note(&name, &records) {
                effects.into_iter().for_each(|effect| self.act_at_gate(effect));
                if let Some(number) = records.iter().find_map(let_through) {
                    self.edges.post(Event::LetThrough { number });
                }
            } else {
                // The lane believes that they were given.
                events.extend(effects.into_iter().filter_map(|effect| match effect {
                    lane::Effect::Energise { relay, .. } => Some(lane::Event::NotEnergised { relay }),
                    _ => None,
                }));
            }
        }
        self.tell_whether_a_car_waits();
    }

    /// Whether what happened at the gate is on disk.
    fn note(&mut self, name: &LaneId, notes: &[lane::Record]) -> bool {
        if notes.is_empty() {
            return true;
        }
        // An alarm or a call may be new, whatever comes of the commit.
        self.recorded = true;
        if self.state.conditions.ledger_failed.is_some() {
            return false;
        }
        let Some(ledger) = &mut self.ledger else { return false };
        let note = |note: &lane::Record| {
            let note = serde_json::to_value(note).expect("texts and numbers with text keys always become JSON");
            Record::GateNoted { lane: name.clone(), note }
        };
        let records: Vec<Record> = notes.iter().map(note).collect();
        if let Err(error) = ledger.commit(&self.clock.stamp(), &records, &self.state) {
            tracing::error!(
                "a note of the gate could not be written; nothing is sold until the daemon is started anew: {error}"
            );
            self.state.conditions.ledger_failed = Some(error.to_string());
            self.ledger_failed();
            return false;
        }
        for (record, note) in records.iter().zip(notes) {
            self.tally.count(record);
            tracing::info!(lane = %name, "{}: {note:?}", record.kind());
        }
        if let Some(lane) = &mut self.lane {
            let stands = notes.iter().any(|note| matches!(note, lane::Record::Standing(_)));
            lane.notes = if stands { 0 } else { lane.notes.saturating_add(notes.len() as u32) };
        }
        if let Some(link) = &self.link {
            link.wake();
        }
        true
    }

    fn act_at_gate(&mut self, effect: lane::Effect) {
        match effect {
            lane::Effect::Energise { relay, pulse } => self.edges.board.gate(GateCommand::Energise { relay, pulse }),
            lane::Effect::Rest { relay } => self.edges.board.gate(GateCommand::Rest { relay }),
            // The site's count is told by the shop, which knows all lanes.
            lane::Effect::Sign { .. } => {}
            lane::Effect::Answer { delivery, answer } => {
                // Round the loop: this may be in the middle of a step of the sale.
                self.edges.post(Event::Evidence { delivery, evidence: answer.evidence() });
            }
            lane::Effect::Ended { request, result } => self.lane_answered(&request, result),
            lane::Effect::Call(call) => {
                let now = self.clock.now();
                tracing::warn!(why = told::call(call).1, "somebody is called to the gate");
                if let Some(lane) = &mut self.lane {
                    lane.called(call, now);
                }
                self.recorded = true;
            }
        }
    }
}

/// Which of those for whom nobody could decide passes by this record.
fn let_through(record: &lane::Record) -> Option<u64> {
    match record {
        lane::Record::GateIntended { authorisation: Authorisation::Undecided { number, .. }, attempt: 1 } => {
            Some(*number)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
