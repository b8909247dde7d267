//! One lane of a car park: its loops, its gate, and who may pass. A pure state machine: [`next`] takes what happened and
//! answers with what to do at once, what to write down, and what to do after that; it does no I/O, reads no clock and knows
//! no device.
//!
//! Policy, in the order it matters:
//! - The arm is never lowered while a loop under or behind it is occupied, flickering or unknown, nor while there is fire; and
//!   one that is on its way down is raised again as soon as a loop is not clear. That needs no record and does not wait for
//!   the disk: [`Step::at_once`].
//! - The gate is raised once for each authorisation. `gate-intended` is on disk before the relay moves, and the same id is
//!   refused for ever after. Another attempt needs a new intent, in the same run, after a switch that has proved itself said
//!   that the gate did not move (P1). After a restart nothing is raised again for what was before it.
//! - A loop opens nothing. It says that a car waits, that one has passed, and that one is in the way.
//! - Who may pass and can't is not left alone: within a bound somebody is called. What is unknown is a car that passed, and a
//!   call; the lane never asks for a refund.
//! - Relays are pulsed, for a bounded time, never both; all are inactive at the start, and stay so until something new
//!   comes (P7).
//!
//! How it is wired. Where `sale` delivers at `Outlet::Gate(lane)`, its effect `Deliver` becomes [`Event::Authorised`], and
//! `Recall` becomes [`Event::Recalled`]; an [`Effect::Answer`] comes back for each, within [`State::answers_within`], and
//! [`Answer::evidence`] says it in the sale's words. An entry is the same: the ticket is given out by a granted order, whose
//! delivery raises the gate. A person's wish becomes [`Event::Asked`], once its `operation-begun` is on disk;
//! [`Effect::Ended`] ends it. Levels of inputs come as [`Event::Input`], at the start each once; what is never told counts as
//! unknown. [`Event::Tick`] is wanted at [`State::next_wake`]. The edge looks at the loops once more before it lowers and says where it
//! does not ([`Event::NotLowered`]), ends
//! each pulse by itself, and never energises both relays.
//!
//! Where to look: [`record`] what is written down · [`signal`] one input · [`gate`] where the arm is · [`passage`] who may
//! pass and who has · `authorise` what asks for the gate · `drive` what moves it · `watch` what the loops say, and alarms ·
//! [`count`] · [`settings`].

mod authorise;
pub mod count;
mod drive;
pub mod gate;
pub mod passage;
pub mod record;
pub mod settings;
pub mod signal;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::operation::{Actor, Reason, RequestId};
use crate::vocabulary::{DeliveryId, Evidence, Mono};
use count::Count;
use gate::Gate;
use passage::{Passage, Track, Used};
pub use record::{Alarm, Authorisation, AuthorisationId, Call, CantDecide, Ended, Input, Record, Relay, Standing};
pub use settings::{Delivered, Settings, Times, Undecided, Way};
use signal::Signal;
pub use signal::{Fault, Level};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// The first event of a run, and of no other moment.
    Started,
    Input {
        input: Input,
        level: Level,
    },
    /// A delivery at this gate: its car may pass.
    Authorised {
        delivery: DeliveryId,
    },
    /// After a restart: what came of it? Nothing moves.
    Recalled {
        delivery: DeliveryId,
    },
    /// A car waits, and nobody can say whether it may pass.
    CantDecide {
        why: CantDecide,
    },
    Asked {
        request: RequestId,
        actor: Actor,
        reason: Reason,
        what: Ask,
    },
    /// The board says that it has not energised this relay, and will not: of its last pulse, before another is asked for.
    NotEnergised {
        relay: Relay,
    },
    /// The board has looked once more before it lowers, and has not: something may be in the way. What that is comes as a level.
    NotLowered,
    /// Cars that passed other lanes of the car park.
    Elsewhere {
        came: u32,
        left: u32,
    },
}

/// What a person may ask of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// One car may pass.
    Raise,
    /// The gate stays open until it is released.
    KeepOpen,
    /// It is no longer kept open; and whoever has raised it, the lane may lower it.
    Release,
    /// So many cars are inside.
    Inside { cars: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Once, for this time. What the other relay's pulse is at ends first.
    Energise {
        relay: Relay,
        pulse: Duration,
    },
    /// The pulse ends now.
    Rest {
        relay: Relay,
    },
    Sign {
        full: bool,
    },
    Answer {
        delivery: DeliveryId,
        answer: Answer,
    },
    Ended {
        request: RequestId,
        result: Result<(), Call>,
    },
    Call(Call),
}

/// What came of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Delivered,
    /// It is certain that the gate did not move.
    NotMoved,
    /// At an entry: the car went back before it reached the gate. The ticket is void.
    Withdrawn,
    Unknown,
}

impl Answer {
    /// In the sale's words, whose policy for what is unknown at a gate must be that the car has passed.
    pub fn evidence(self) -> Evidence {
        match self {
            Self::Delivered => Evidence::Dropped { count: 1 },
            Self::NotMoved => Evidence::Nothing { self_tested: true },
            Self::Withdrawn => Evidence::Withdrawn,
            Self::Unknown => Evidence::Silent { why: "nobody has seen whether the car passed".into() },
        }
    }
}

/// What is to be done about an event: first `at_once`, be the disk full or broken; then `records` are committed, all or none;
/// then `effects` happen, in order, and not at all where the commit failed. Then whoever wires it sends
/// [`Event::NotEnergised`] for each [`Effect::Energise`] that was dropped: the lane believes that it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub at_once: Vec<Effect>,
    pub records: Vec<Record>,
    pub effects: Vec<Effect>,
}

/// What a lane knows. What must outlive a restart is in the records too.
#[derive(Debug, Clone)]
pub struct State {
    settings: Settings,
    presence: Option<Signal>,
    safety: Option<Signal>,
    closing: Option<Signal>,
    fire: Option<Signal>,
    gate: Gate,
    track: Track,
    /// Oldest first.
    passages: Vec<Passage>,
    used: Used,
    /// A person keeps it open.
    kept_open: Option<RequestId>,
    /// Who asked for that in this run and has not been answered.
    keeping: Vec<RequestId>,
    on_fire: bool,
    /// Since the first pulse for this fire in this run.
    burns_since: Option<Mono>,
    /// When the last pulse for the fire, or for keeping open, was.
    held_at: Option<Mono>,
    held_tries: u32,
    /// Since the gate was closed last it was held open for everybody, at one time or another.
    was_held: bool,
    /// When what is under the arm came there, where the gate was held open for everybody then, or may have been.
    let_in: Option<Mono>,
    alarms: BTreeSet<Alarm>,
    count: Count,
    /// Cars that passed because nobody could decide.
    undecided: u64,
    /// The car before the gate has had its raise of that kind.
    undecided_here: bool,
    /// And somebody was called because nobody can decide about it.
    called_here: bool,
    /// When somebody was called last for a car that no loop sees.
    called_at: Option<Mono>,
    /// How often the arm was sent down in vain, and how often a loop sent it up again; until it is closed.
    lower_tries: u32,
    reopened: u32,
    /// What the sign was told in this run.
    sign: Option<bool>,
}

impl State {
    /// A lane as its records have left it, oldest first. Nothing is known of its inputs yet.
    pub fn recover<'r>(settings: Settings, records: impl IntoIterator<Item = &'r Record>, now: Mono) -> Self {
        let mut state = Self::new(settings, now);
        records.into_iter().for_each(|record| state.remember(record, now));
        state
    }

    /// A lane without any records.
    pub fn new(settings: Settings, now: Mono) -> Self {
        let signal = |fitted: bool| fitted.then(|| Signal::new(now));
        Self {
            presence: signal(settings.presence),
            safety: signal(settings.safety),
            closing: signal(settings.closing),
            fire: signal(settings.fire),
            gate: Gate::new(&settings, now),
            track: Track::default(),
            passages: Vec::new(),
            used: Used::default(),
            kept_open: None,
            keeping: Vec::new(),
            on_fire: false,
            burns_since: None,
            held_at: None,
            held_tries: 0,
            was_held: false,
            let_in: None,
            alarms: BTreeSet::new(),
            count: Count::new(settings.places, settings.free_again),
            undecided: 0,
            undecided_here: false,
            called_here: false,
            called_at: None,
            lower_tries: 0,
            reopened: 0,
            sign: None,
            settings,
        }
    }

    /// The next record of an earlier run; before the first event of this one.
    pub fn remember(&mut self, record: &Record, now: Mono) {
        if let Record::GateIntended { authorisation, attempt: 1 } = record {
            let passage = Passage::new(authorisation.clone(), now, false);
            self.passages.push(Passage { former: true, wanted: false, ..passage });
        }
        self.apply(record);
    }

    /// What its records have come to, to be written behind them; `None` while somebody may pass or there is fire.
    pub fn standing(&self) -> Option<Record> {
        if !self.passages.is_empty() || self.on_fire {
            return None;
        }
        let (ended, until) = self.used.standing();
        Some(Record::Standing(Box::new(Standing {
            ended,
            until,
            ours: self.gate.ours,
            was_held: self.was_held,
            undecided: self.undecided,
            kept_open: self.kept_open.clone(),
            alarms: self.alarms.iter().copied().collect(),
            inside: self.count.inside,
            full: self.count.full(),
        })))
    }

    /// A person keeps the gate open.
    pub fn kept_open(&self) -> bool {
        self.kept_open.is_some()
    }

    /// What a record changes of what outlives a restart.
    fn apply(&mut self, record: &Record) {
        match record {
            Record::GateIntended { authorisation, .. } => {
                self.used.intend(authorisation.id());
                self.gate.ours = true;
                if let Authorisation::Undecided { number, .. } = authorisation {
                    self.undecided = self.undecided.max(*number);
                }
            }
            Record::PassageEnded { authorisation, how } => {
                let id = authorisation.id();
                self.passages.retain(|passage| passage.authorisation.id() != id);
                self.used.intend(id.clone());
                self.used.end(&id, *how);
            }
            Record::GateReopened {} => self.gate.ours = true,
            Record::GateClosed {} => {
                (self.gate.ours, self.was_held) = (false, false);
                (self.lower_tries, self.reopened) = (0, 0);
            }
            Record::KeptOpen { request, .. } => {
                self.used.intend(AuthorisationId::Operation(request.clone()));
                self.kept_open = Some(request.clone());
                (self.gate.ours, self.was_held) = (true, true);
            }
            Record::Released { request, .. } => {
                self.used.intend(AuthorisationId::Operation(request.clone()));
                self.kept_open = None;
                self.gate.ours = true;
            }
            Record::FireBegun {} => (self.on_fire, self.gate.ours, self.was_held) = (true, true, true),
            Record::FireEnded {} => self.on_fire = false,
            Record::AlarmRaised(alarm) => {
                self.alarms.insert(*alarm);
            }
            Record::AlarmCleared(alarm) => {
                self.alarms.remove(alarm);
            }
            Record::CarsInside { inside } => self.count.set(*inside),
            Record::Standing(standing) => {
                let Standing { ended, until, ours, was_held, undecided, kept_open, alarms, inside, full } = &**standing;
                self.used = Used::stands(ended, *until);
                if let Some(request) = kept_open {
                    self.used.intend(AuthorisationId::Operation(request.clone()));
                }
                self.passages.clear();
                (self.gate.ours, self.was_held) = (*ours, *was_held);
                (self.undecided, self.on_fire) = (*undecided, false);
                (self.kept_open, self.alarms) = (kept_open.clone(), alarms.iter().copied().collect());
                // It stays full until enough places are free.
                if *full {
                    self.count.set(u32::MAX);
                }
                self.count.set(*inside);
            }
            Record::CarPassed { .. } | Record::Tailgated { .. } | Record::WrongWay {} | Record::Called(_) => {}
        }
    }

    pub fn alarms(&self) -> &BTreeSet<Alarm> {
        &self.alarms
    }

    pub fn position(&self) -> gate::Position {
        self.gate.position
    }

    pub fn inside(&self) -> u32 {
        self.count.inside
    }

    pub fn full(&self) -> bool {
        self.count.full()
    }

    /// Cars that may pass and have not yet.
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// A car stands before the gate, and its loop can be believed.
    fn car_waits(&self, now: Mono) -> bool {
        self.presence.as_ref().is_some_and(|loop_| loop_.car(now, &self.settings.times.signal))
    }

    /// A car stands before the gate, as far as anybody can know: whoever reads and gives out tickets waits for it.
    pub fn armed(&self, now: Mono) -> bool {
        let times = &self.settings.times.signal;
        self.presence.as_ref().is_none_or(|loop_| loop_.car(now, times) || loop_.fault(now, times).is_some())
    }

    /// A delivery is answered within this time.
    pub fn answers_within(settings: &Settings) -> Duration {
        settings.times.moved() * settings.tries + settings.times.pass * 2
    }

    /// When [`Event::Tick`] is wanted next; `None` while nothing is timed.
    pub fn next_wake(&self, now: Mono) -> Option<Mono> {
        let times = &self.settings.times;
        let still = self.stillness();
        let loops = [&self.presence, &self.safety, &self.closing].into_iter().flatten();
        let loops = loops.flat_map(|signal| [times.pass, still, times.back_out].map(|also| (signal, also)));
        let inputs = loops.chain(self.fire.iter().map(|signal| (signal, times.fire_release)));
        let inputs = inputs.filter_map(|(signal, also)| signal.wake(now, &times.signal, also));
        let passages = self.passages.iter().flat_map(|passage| {
            let from = passage.passes_from(&self.settings);
            [passage.since + times.moved(), passage.since + times.back_out, from + times.pass, from + times.pass * 2]
        });
        let held = self.held_at.map(|at| at + self.hold_interval());
        let late = self.burns_since.map(|since| since + times.moved());
        let other = [self.gate.wake(now, times), self.track.wake(), held, late];
        inputs.chain(passages).chain(other.into_iter().flatten()).filter(|at| *at > now).min()
    }
}

/// Takes one event.
pub fn next(state: &mut State, event: Event, now: Mono) -> Step {
    let mut turn = Turn { state, now, step: Step::default() };
    match event {
        Event::Tick | Event::Started => {}
        Event::Input { input, level } => turn.input(input, level),
        Event::Authorised { delivery } => turn.authorised(delivery),
        Event::Recalled { delivery } => turn.recalled(delivery),
        Event::CantDecide { why } => turn.cant_decide(why),
        Event::Asked { request, actor, reason, what } => turn.asked(request, actor, reason, what),
        Event::NotEnergised { relay } => turn.not_energised(relay),
        Event::NotLowered => turn.not_lowered(),
        Event::Elsewhere { came, left } => turn.count(came, left),
    }
    turn.conclude();
    turn.step
}

/// One event being worked on. Every durable change goes through [`record`](Turn::record), so that what is remembered is exactly
/// what was written.
struct Turn<'a> {
    state: &'a mut State,
    now: Mono,
    step: Step,
}

impl Turn<'_> {
    fn record(&mut self, record: Record) {
        self.state.apply(&record);
        self.step.records.push(record);
    }

    fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    /// A call needs no record first: the disk may be what is broken.
    fn call(&mut self, call: Call) {
        self.record(Record::Called(call));
        self.step.at_once.push(Effect::Call(call));
    }

    /// What every event may have made true: a loop that has settled, an arm that has arrived, a time that has passed.
    fn conclude(&mut self) {
        self.follow_cars();
        self.follow_gate();
        self.protect();
        self.fire();
        self.keep_open();
        self.serve();
        self.lower();
        self.judge_alarms();
        self.show_sign();
    }
}
