//! What the inputs say: cars that pass, what is wrong, what stands on the sign.

use super::gate::Position;
use super::passage::{Eyes, Seen};
use super::signal::Edge;
use super::{Alarm, Authorisation, Call, Effect, Ended, Fault, Input, Level, Record, Turn, Way};

impl Turn<'_> {
    pub(super) fn input(&mut self, input: Input, level: Level) {
        let times = &self.state.settings.times;
        if input == Input::Closing && self.state.closing.as_ref().is_some_and(|closing| closing.level != level) {
            self.state.track.closing_turns(level);
        }
        let signal = match input {
            Input::Presence => &mut self.state.presence,
            Input::Safety => &mut self.state.safety,
            Input::Closing => &mut self.state.closing,
            Input::Fire => &mut self.state.fire,
            Input::Opened => return self.state.gate.switched(true, level, self.now, times),
            Input::Closed => return self.state.gate.switched(false, level, self.now, times),
        };
        let Some(signal) = signal else { return };
        let turns = signal.level != level && level != Level::Inactive;
        signal.set(level, self.now, &times.signal);
        if turns && matches!(input, Input::Safety | Input::Closing) {
            self.state.passages.iter_mut().for_each(|passage| passage.crossed = true);
        }
    }

    /// What has crossed the loops is known: it was not the car before the gate, which came there after it had left. Where none is
    /// there, or another passage may have been used up in its place, it may have been the car of any passage.
    fn explained(&mut self) {
        if self.eyes().presence && self.state.track.next_waits() {
            self.went_back();
        }
    }

    fn went_back(&mut self) {
        self.state.passages.iter_mut().for_each(|passage| passage.crossed = false);
    }

    pub(super) fn eyes(&self) -> Eyes {
        let times = &self.state.settings.times.signal;
        let sees = |signal: &Option<super::Signal>| {
            signal
                .as_ref()
                .is_some_and(|signal| signal.level != Level::Unknown && signal.fault(self.now, times).is_none())
        };
        Eyes {
            presence: sees(&self.state.presence),
            safety: sees(&self.state.safety),
            closing: sees(&self.state.closing),
        }
    }

    pub(super) fn follow_cars(&mut self) {
        let (now, eyes) = (self.now, self.eyes());
        let state = &mut *self.state;
        let times = &state.settings.times;
        if state.safety.is_some() && !eyes.safety {
            state.track.forget();
            state.let_in = None;
        }
        if !eyes.presence {
            state.track.presence_is_lost();
        }
        let settle = |signal: &mut Option<super::Signal>| signal.as_mut()?.settle(now, &times.signal);
        let presence = settle(&mut state.presence);
        let (safety, closing) = (settle(&mut state.safety), settle(&mut state.closing));
        if let Some(edge) = presence {
            state.track.presence(edge);
            state.undecided_here &= edge == Edge::Came;
            state.called_here &= edge == Edge::Came;
        }
        if safety == Some(Edge::Came) {
            let held = state.kept_open.is_some() || state.on_fire;
            // What is found there by the first word of a run may have come while the gate was held open.
            let found = state.safety.as_ref().and_then(super::Signal::found).filter(|_| state.was_held);
            state.let_in = found.or(held.then_some(now));
        }
        // In the order in which a car reaches them and leaves them, where both have settled at once.
        let gap = now + times.gap;
        let mut seen = Vec::new();
        for edge in [Edge::Came, Edge::Left] {
            if safety == Some(edge) {
                seen.extend(state.track.safety(edge, eyes, gap));
            }
            if closing == Some(edge) {
                seen.extend(state.track.closing(edge, eyes));
            }
        }
        seen.extend(state.track.late(now, eyes));
        seen.into_iter().for_each(|seen| self.saw(seen));
    }

    fn saw(&mut self, seen: Seen) {
        match seen {
            Seen::Passed { cars } => {
                self.state.gate.passed_under(self.now, &self.state.settings.times);
                let own = self.state.passages.first().is_some_and(|next| {
                    !next.former && !next.called && matches!(next.authorisation, Authorisation::Delivery { .. })
                });
                (0..cars).for_each(|nth| self.passed(nth == 0));
                if own {
                    self.explained();
                }
            }
            // Without a loop behind the arm that is a guess: another may have closed up, and the first have driven in.
            Seen::BackedOut if self.eyes().closing => self.went_back(),
            Seen::BackedOut => {}
            // It counts as passed; who may be there still is called for.
            Seen::Unclear if !self.state.passages.is_empty() => {
                if !self.eyes().presence {
                    self.call_for(0, Call::NobodyPasses);
                }
                self.end(0, Ended::Unknown);
            }
            Seen::Unclear => {}
            Seen::WrongWay => {
                self.explained();
                self.record(Record::WrongWay {});
                self.raise_alarm(Alarm::WrongWay);
            }
        }
    }

    /// `sure`: it was seen by itself.
    fn passed(&mut self, sure: bool) {
        let held = self.state.kept_open.is_some() || self.state.on_fire || self.state.let_in.is_some();
        // Who came under an arm that was held up for everybody uses up nothing that was meant for another since.
        let own = self.state.passages.first().is_some_and(|next| self.state.let_in.is_none_or(|at| next.since <= at));
        // What may have been a second car takes nothing that one before the gate may need.
        let waits = self.state.presence.as_ref().is_some_and(|loop_| !loop_.quiet(self.now));
        let own = own && (sure || self.state.passages.len() > usize::from(waits));
        if own {
            // Who left the presence loop second may have gone back.
            self.end(0, if sure { Ended::Passed } else { Ended::Unknown });
        }
        let authorised = own || held;
        if sure {
            self.record(Record::CarPassed { authorised });
            let way = self.state.settings.way;
            self.count(u32::from(way == Way::In), u32::from(way == Way::Out));
        }
        if !authorised {
            self.record(Record::Tailgated { sure });
            self.raise_alarm(Alarm::Tailgated);
        }
    }

    pub(super) fn count(&mut self, came: u32, left: u32) {
        if self.state.settings.places.is_some() {
            let inside = self.state.count.inside.saturating_add(came).saturating_sub(left);
            self.record(Record::CarsInside { inside });
        }
    }

    /// Whether it is new.
    pub(super) fn raise_alarm(&mut self, alarm: Alarm) -> bool {
        let new = !self.state.alarms.contains(&alarm);
        if new {
            self.record(Record::AlarmRaised(alarm));
        }
        new
    }

    pub(super) fn clear_alarm(&mut self, alarm: Alarm) {
        if self.state.alarms.contains(&alarm) {
            self.record(Record::AlarmCleared(alarm));
        }
    }

    fn set_alarm(&mut self, alarm: Alarm, on: bool) {
        if on {
            self.raise_alarm(alarm);
        } else {
            self.clear_alarm(alarm);
        }
    }

    /// Those that are the level of something.
    pub(super) fn judge_alarms(&mut self) {
        let (now, state) = (self.now, &*self.state);
        let times = &state.settings.times;
        let gate = &state.gate;
        let inputs = [
            (Input::Presence, state.presence.as_ref()),
            (Input::Safety, state.safety.as_ref()),
            (Input::Closing, state.closing.as_ref()),
            (Input::Opened, gate.switch(true)),
            (Input::Closed, gate.switch(false)),
            (Input::Fire, state.fire.as_ref()),
        ];
        let mut judged = Vec::new();
        for (input, signal) in inputs {
            // A gate may stay at an end for days, and a fire contact active as long as there is fire. One that was taken out of
            // the configuration has no fault any more.
            let rests = matches!(input, Input::Opened | Input::Closed | Input::Fire);
            let found = signal.and_then(|signal| signal.fault(now, &times.signal));
            let found = found.filter(|fault| !(rests && *fault == Fault::Stuck));
            for fault in [Fault::Stuck, Fault::Flickering, Fault::Silent] {
                judged.push((Alarm::Input { input, fault }, found == Some(fault)));
            }
        }
        if gate.opened(now, times) == Some(true) {
            judged.extend([Alarm::GateDoesNotMove, Alarm::GateNotSeenOpen].map(|alarm| (alarm, false)));
        }
        judged.push((Alarm::SwitchesDisagree, gate.disagree(now, times)));
        let away = gate.opened(now, times) == Some(true) || gate.closed(now, times) == Some(false);
        let moves = matches!(gate.position, Position::Raising(_) | Position::Lowering(_));
        judged.push((Alarm::OpenedByOthers, away && !gate.ours && !moves));
        judged.into_iter().for_each(|(alarm, on)| self.set_alarm(alarm, on));
    }

    pub(super) fn show_sign(&mut self) {
        let full = self.state.count.full();
        if self.state.settings.places.is_some() && self.state.sign != Some(full) {
            self.state.sign = Some(full);
            self.effect(Effect::Sign { full });
        }
    }
}
