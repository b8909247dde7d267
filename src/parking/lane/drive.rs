//! What moves the arm, and what becomes of who may pass.
//!
//! Policy: up for an authorisation, a person or a fire; down only where everything says that nobody is in the way. An arm that a
//! loop sends up again waits longer each time. What does not come about in a bounded number of tries is an alarm and a call.

use std::time::Duration;

use super::gate::{Position, Verdict};
use super::{Alarm, Authorisation, Call, Effect, Ended, Level, Record, Relay, Signal, State, Turn, Way};

/// An arm that was sent up again waits at most so long for quiet loops.
const LONGEST_STILLNESS: Duration = Duration::from_secs(60);

/// So often in a row a loop sends the arm up again before somebody is called: it may be the arm that sets it off.
const MANY_REOPENS: u32 = 5;

impl State {
    /// The loops must have been quiet for so long before the arm goes down.
    pub(super) fn stillness(&self) -> Duration {
        let clear = self.settings.times.signal.clear;
        clear.saturating_mul(1 << self.reopened.min(10)).min(LONGEST_STILLNESS.max(clear))
    }

    /// Between two pulses for the same wish that the gate be open.
    pub(super) fn hold_interval(&self) -> Duration {
        if self.on_fire { self.settings.times.fire_repeat } else { self.settings.times.moved() }
    }

    /// The loops under and behind the arm.
    pub(super) fn under(&self) -> impl Iterator<Item = &Signal> {
        self.safety.iter().chain(&self.closing)
    }

    /// Somebody wants the gate to be open.
    fn wanted_open(&self) -> bool {
        self.kept_open.is_some() || self.on_fire || !self.passages.is_empty()
    }

    fn may_lower(&self, now: super::Mono) -> bool {
        let times = &self.settings.times;
        let still = self.stillness();
        let unburnt = self.fire.as_ref().is_none_or(|fire| fire.steady(now, &times.signal) == Some(false));
        let free = self.under().all(|loop_| !loop_.flickers(now) && loop_.inactive_for(still, now));
        let stands = matches!(self.gate.position, Position::Open | Position::Unknown);
        stands && self.gate.ours && !self.wanted_open() && unburnt && free && self.track.idle() && self.gate.rested(now)
    }
}

impl Turn<'_> {
    pub(super) fn follow_gate(&mut self) {
        // A verdict may make the next one true, as when an arm is asked to move once more; not for ever.
        for _ in 0..4 {
            let Some(verdict) = self.state.gate.follow(self.now, &self.state.settings.times) else { return };
            match verdict {
                Verdict::Opened => self.opened(),
                Verdict::Closed => self.closed(),
                Verdict::NotMoved { proved } => self.not_moved(proved),
                Verdict::NotSeenOpen => {
                    self.raise_alarm(Alarm::GateNotSeenOpen);
                    self.open_for_all();
                    self.call_for_all(Call::GateNotSeenOpen);
                    // One that says that it is not open is asked again.
                    if self.state.gate.opened(self.now, &self.state.settings.times).is_none() {
                        self.kept(Err(Call::GateNotSeenOpen));
                    }
                }
                Verdict::NotClosed => self.not_closed(),
                // The alarms look at where it is.
                Verdict::MovedByOthers => {}
            }
        }
    }

    fn opened(&mut self) {
        self.open_for_all();
        for alarm in [Alarm::GateDoesNotMove, Alarm::GateNotSeenOpen, Alarm::Relay { relay: Relay::Raise }] {
            self.clear_alarm(alarm);
        }
        self.kept(Ok(()));
    }

    /// Who asked that it be kept open hears what came of it.
    pub(super) fn kept(&mut self, result: Result<(), Call>) {
        for request in std::mem::take(&mut self.state.keeping) {
            self.effect(Effect::Ended { request, result });
        }
    }

    fn closed(&mut self) {
        let lower = Alarm::Relay { relay: Relay::Lower };
        for alarm in [Alarm::GateDoesNotClose, Alarm::Tailgated, Alarm::WrongWay, lower] {
            self.clear_alarm(alarm);
        }
    }

    fn not_closed(&mut self) {
        if self.state.lower_tries >= self.state.settings.tries && self.raise_alarm(Alarm::GateDoesNotClose) {
            self.call(Call::GateDoesNotClose);
        }
    }

    fn open_for_all(&mut self) {
        for passage in &mut self.state.passages {
            passage.opened = passage.opened.or(Some(self.now));
        }
    }

    /// Once for each car.
    pub(super) fn call_for(&mut self, nth: usize, call: Call) {
        if let Some(passage) = self.state.passages.get_mut(nth)
            && !std::mem::replace(&mut passage.called, true)
        {
            self.call(call);
        }
    }

    fn call_for_all(&mut self, call: Call) {
        (0..self.state.passages.len()).for_each(|nth| self.call_for(nth, call));
    }

    fn not_moved(&mut self, proved: bool) {
        let tries = self.state.settings.tries;
        let again = |passage: &super::Passage| proved && passage.attempt < tries;
        let mut more = false;
        let mut nth = 0;
        while let Some(passage) = self.state.passages.get_mut(nth) {
            if passage.waits_for_the_gate() && again(passage) {
                passage.attempt += 1;
                let (authorisation, attempt) = (passage.authorisation.clone(), passage.attempt);
                self.record(Record::GateIntended { authorisation, attempt });
                more = true;
            } else if passage.waits_for_the_gate() {
                self.raise_alarm(Alarm::GateDoesNotMove);
                self.call_for(nth, Call::GateDoesNotMove);
                if proved {
                    self.end(nth, Ended::NotMoved);
                    continue;
                }
                // The switch may be what is wrong: the car may pass, and is waited for.
                self.answer(nth, Ended::Unknown);
                self.state.passages[nth].opened = Some(self.now);
            }
            nth += 1;
        }
        if more {
            self.raise();
        }
    }

    pub(super) fn not_energised(&mut self, relay: Relay) {
        self.state.gate.not_energised(relay, self.now, &self.state.settings.times);
        self.raise_alarm(Alarm::Relay { relay });
        if relay == Relay::Lower {
            return self.not_closed();
        }
        // An earlier pulse has sent it up: it opens for everybody who waits, and what comes of that is told of all.
        if matches!(self.state.gate.position, Position::Raising(_)) {
            return;
        }
        if !self.state.keeping.is_empty() {
            self.call(Call::RelayFailed);
            self.kept(Err(Call::RelayFailed));
        }
        while let Some(nth) = self.state.passages.iter().position(super::Passage::waits_for_the_gate) {
            self.call_for(nth, Call::RelayFailed);
            self.end(nth, Ended::NotMoved);
        }
    }

    /// Nothing is wrong with that, and it was no try.
    pub(super) fn not_lowered(&mut self) {
        self.state.gate.not_energised(Relay::Lower, self.now, &self.state.settings.times);
        self.state.lower_tries = self.state.lower_tries.saturating_sub(1);
    }

    /// An arm that may be coming down goes up again as soon as anything may be in its way. Nothing is asked first.
    pub(super) fn protect(&mut self) {
        if !self.state.gate.falls(self.now) || !self.state.gate.answers(self.now) {
            return;
        }
        let quiet = self.state.under().chain(&self.state.fire).all(|signal| signal.quiet(self.now));
        if !quiet {
            self.raise_at_once();
            self.state.reopened += 1;
            self.record(Record::GateReopened {});
            if self.state.reopened >= MANY_REOPENS && self.raise_alarm(Alarm::GateDoesNotClose) {
                self.call(Call::GateDoesNotClose);
            }
        }
    }

    fn raise_at_once(&mut self) {
        let pulse = self.pulse_raise();
        self.step.at_once.extend(pulse);
    }

    /// Its wish is the contact's level, so it holds after a restart too.
    pub(super) fn fire(&mut self) {
        let Some(fire) = &self.state.fire else {
            // Its contact was taken out of the configuration.
            if self.state.on_fire {
                self.record(Record::FireEnded {});
                self.clear_alarm(Alarm::Fire);
            }
            return;
        };
        let times = &self.state.settings.times;
        if fire.level == Level::Active && !self.state.on_fire {
            self.raise_at_once();
            (self.state.held_at, self.state.held_tries) = (Some(self.now), 1);
            self.state.burns_since = Some(self.now);
            self.record(Record::FireBegun {});
            self.raise_alarm(Alarm::Fire);
        } else if self.state.on_fire && fire.inactive_for(times.fire_release, self.now) {
            (self.state.held_at, self.state.burns_since) = (None, None);
            self.record(Record::FireEnded {});
            self.clear_alarm(Alarm::Fire);
        } else if self.state.on_fire && fire.level == Level::Active {
            let due = self.state.held_at.is_none_or(|at| self.now >= at + times.fire_repeat);
            let (opened, closed) = (self.state.gate.opened(self.now, times), self.state.gate.closed(self.now, times));
            let sees = self.state.settings.opened || closed == Some(true);
            let since = *self.state.burns_since.get_or_insert(self.now);
            let late = self.now >= since + times.moved();
            if due && opened != Some(true) && (sees || self.state.held_tries < self.state.settings.tries) {
                self.raise_at_once();
                self.state.held_at = Some(self.now);
                self.state.held_tries = self.state.held_tries.saturating_add(1);
            }
            // Nobody may have an authorisation that would tell of it.
            let wrong = match (opened, closed) {
                (_, Some(true)) => Some((Alarm::GateDoesNotMove, Call::GateDoesNotMove)),
                (Some(false), _) => Some((Alarm::GateNotSeenOpen, Call::GateNotSeenOpen)),
                _ => None,
            };
            if let Some((alarm, call)) = wrong.filter(|_| late)
                && self.raise_alarm(alarm)
            {
                self.call(call);
            }
        }
    }

    /// A gate that a person keeps open is raised again where it has not stayed so, in the run in which that was asked.
    pub(super) fn keep_open(&mut self) {
        if self.state.kept_open.is_none() {
            return;
        }
        let times = &self.state.settings.times;
        let (opened, closed) = (self.state.gate.opened(self.now, times), self.state.gate.closed(self.now, times));
        if matches!(self.state.gate.position, Position::Raising(_)) {
            return;
        }
        if opened != Some(false) && closed != Some(true) {
            self.clear_alarm(Alarm::KeptOpenIsClosed);
            if self.state.gate.position == Position::Open {
                self.kept(Ok(()));
            }
            return;
        }
        if self.state.on_fire {
            return;
        }
        let interval = self.state.hold_interval();
        match self.state.held_at {
            Some(at) if self.now < at + interval => {}
            Some(_) if self.state.held_tries < self.state.settings.tries => {
                (self.state.held_at, self.state.held_tries) = (Some(self.now), self.state.held_tries + 1);
                self.raise();
            }
            _ => {
                if self.raise_alarm(Alarm::KeptOpenIsClosed) {
                    self.call(Call::KeptOpenIsClosed);
                }
                self.kept(Err(Call::KeptOpenIsClosed));
            }
        }
    }

    /// What becomes of each car that may pass.
    pub(super) fn serve(&mut self) {
        let mut nth = 0;
        while nth < self.state.passages.len() {
            let before = self.state.passages.len();
            self.serve_one(nth);
            nth += usize::from(self.state.passages.len() == before);
        }
    }

    fn serve_one(&mut self, nth: usize) {
        let (now, eyes) = (self.now, self.eyes());
        let times = &self.state.settings.times;
        let car = self.state.car_waits(now);
        let gone = self.state.presence.as_ref().is_some_and(|loop_| loop_.inactive_for(times.back_out, now));
        let free = self.state.under().all(|loop_| loop_.clear(now, &times.signal)) && self.state.track.idle();
        let under = !self.state.track.idle();
        let known_open = self.state.gate.opened(now, times) == Some(true);
        // Who drives out has paid for it: nothing of that is void.
        let goes_back = self.state.settings.way == Way::In;
        let newest = nth + 1 == self.state.passages.len();
        let position = self.state.gate.position;
        let (back_out, pass, bound) = (times.back_out, times.pass, times.moved());
        let Some(passage) = self.state.passages.get_mut(nth) else { return };
        passage.arrived |= car;
        if passage.opened.is_none() && position == Position::Open {
            passage.opened = Some(now);
        }
        let since = passage.since;
        let (opened, from) = (passage.opened, passage.passes_from(&self.state.settings));
        let crossed = passage.crossed;
        // Nobody who can see the ground went back unseen.
        let withdrawn = passage.arrived && gone && free && eyes.presence && eyes.safety && now.since(since) >= back_out;
        let delivery = matches!(passage.authorisation, Authorisation::Delivery { .. });
        let former = passage.former;
        if withdrawn && goes_back && delivery && !former {
            // One car has gone back, the newest: those before it may have passed by what was left of others.
            return self.end(nth, if crossed || !newest { Ended::Unknown } else { Ended::Withdrawn });
        }
        if known_open && position == Position::Open {
            self.was_opened(nth);
        }
        if former && now.since(since) >= bound && !known_open {
            self.call_for(nth, Call::Restarted);
        }
        if position == Position::Closed && opened.is_some() {
            self.call_for(nth, Call::NobodyPasses);
        }
        if now < from + pass {
            return;
        }
        // Who is under the arm has as much time again before that is said of him too.
        if under && now < from + pass * 2 {
            return;
        }
        if eyes.presence && car || under {
            self.call_for(nth, Call::NobodyPasses);
            return self.answer(nth, Ended::Unknown);
        }
        if !eyes.presence && (eyes.safety || eyes.closing) {
            self.call_for(nth, Call::NobodyPasses);
        }
        self.end(nth, Ended::Unknown);
    }

    /// What was raised here is down again, and nobody wants it up.
    fn settle_closed(&mut self) {
        if self.state.gate.position == Position::Closed && self.state.gate.ours && !self.state.wanted_open() {
            self.record(Record::GateClosed {});
        }
    }

    pub(super) fn lower(&mut self) {
        self.settle_closed();
        if !self.state.may_lower(self.now) || self.state.lower_tries >= self.state.settings.tries {
            return;
        }
        let times = &self.state.settings.times;
        if !self.state.settings.lowers {
            // Its own control takes its time.
            if self.state.under().all(|loop_| loop_.inactive_for(times.pass, self.now)) {
                self.state.lower_tries = self.state.settings.tries;
                self.state.gate.closes_by_itself(self.now);
            }
            return;
        }
        self.state.lower_tries += 1;
        self.state.gate.energise(Relay::Lower, self.now, times);
        self.step.effects.push(Effect::Energise { relay: Relay::Lower, pulse: times.pulse });
    }
}
