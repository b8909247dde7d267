//! What asks for the gate: a delivery, a person, and a car for which nobody can decide.
//!
//! Policy: the intent is a record of the step whose effect raises, and of no other. An id that was used is only answered.

use super::passage::Passage;
use super::{
    Alarm, Answer, Ask, Authorisation, AuthorisationId, Call, CantDecide, Delivered, Effect, Ended, Record, Relay,
    Turn, Undecided,
};
use crate::operation::{Actor, Reason, RequestId};
use crate::vocabulary::DeliveryId;

/// So many cars may pass at once by persons' wishes.
const MOST_PASSAGES: usize = 8;

impl Turn<'_> {
    pub(super) fn authorised(&mut self, delivery: DeliveryId) {
        if !self.answered(delivery) {
            self.intend(Authorisation::Delivery { delivery });
        }
    }

    pub(super) fn recalled(&mut self, delivery: DeliveryId) {
        if self.answered(delivery) {
            return;
        }
        // The intent to deliver was on disk and this lane's was not: its gate was not raised, and its car may stand there. The
        // id is used up by saying so.
        let authorisation = Authorisation::Delivery { delivery };
        self.record(Record::PassageEnded { authorisation, how: Ended::Unknown });
        self.call(Call::Restarted);
        self.effect(Effect::Answer { delivery, answer: Answer::Unknown });
    }

    /// One that was used before raises nothing: what came of it is said again, or once it is known.
    fn answered(&mut self, delivery: DeliveryId) -> bool {
        let Some(ended) = self.state.used.get(&AuthorisationId::Delivery(delivery)) else { return false };
        let open = self
            .state
            .passages
            .iter_mut()
            .find(|passage| passage.authorisation == Authorisation::Delivery { delivery });
        match open {
            Some(passage) if passage.answered.is_none() => passage.wanted = true,
            open => {
                let how = open.and_then(|passage| passage.answered).or(ended).unwrap_or(Ended::Unknown);
                self.effect(Effect::Answer { delivery, answer: answer(how) });
            }
        }
        true
    }

    /// Writes the intent, and raises.
    fn intend(&mut self, authorisation: Authorisation) {
        let times = &self.state.settings.times.signal;
        let arrived = self.state.presence.as_ref().is_some_and(|loop_| loop_.car(self.now, times));
        self.state.passages.push(Passage::new(authorisation.clone(), self.now, arrived));
        self.record(Record::GateIntended { authorisation, attempt: 1 });
        self.raise();
    }

    /// After the records of this step.
    pub(super) fn raise(&mut self) {
        let mut effects = Vec::new();
        self.pulse_raise(&mut effects);
        self.step.effects.append(&mut effects);
        self.state.lower_tries = 0;
    }

    /// The pulse under way for lowering ends before.
    pub(super) fn pulse_raise(&mut self, effects: &mut Vec<Effect>) {
        let (gate, times) = (&mut self.state.gate, &self.state.settings.times);
        if gate.energised(Relay::Lower, self.now) {
            effects.push(Effect::Rest { relay: Relay::Lower });
        }
        if gate.energised(Relay::Raise, self.now) {
            return;
        }
        gate.energise(Relay::Raise, self.now, times);
        effects.push(Effect::Energise { relay: Relay::Raise, pulse: times.pulse });
    }

    pub(super) fn cant_decide(&mut self, why: CantDecide) {
        let times = &self.state.settings.times.signal;
        let waits = self.state.presence.as_ref().is_some_and(|loop_| loop_.car(self.now, times));
        let pass = self.state.settings.undecided == Undecided::OpenAndRecord;
        if pass && waits && !self.state.undecided_here && self.state.passages.is_empty() {
            self.state.undecided_here = true;
            let number = self.state.undecided + 1;
            self.intend(Authorisation::Undecided { number, why });
        } else if !(waits && std::mem::replace(&mut self.state.called_here, true)) {
            self.call(Call::CantDecide(why));
        }
    }

    pub(super) fn asked(&mut self, request: RequestId, actor: Actor, reason: Reason, what: Ask) {
        let id = AuthorisationId::Operation(request.clone());
        if self.state.used.get(&id).is_some() {
            return self.effect(Effect::Ended { request, result: Ok(()) });
        }
        match what {
            // More cars than that do not stand between two loops.
            Ask::Raise if self.state.passages.len() >= MOST_PASSAGES => {
                self.effect(Effect::Ended { request, result: Err(Call::NobodyPasses) });
            }
            Ask::Raise => self.intend(Authorisation::Operation { request, actor, reason }),
            Ask::KeepOpen => {
                self.record(Record::KeptOpen { request: request.clone(), actor, reason });
                (self.state.keeping, self.state.held_at, self.state.held_tries) = (Some(request), Some(self.now), 1);
                self.raise();
            }
            Ask::Release => {
                self.record(Record::Released { request: request.clone(), actor, reason });
                (self.state.held_at, self.state.lower_tries) = (None, 0);
                if let Some(keeping) = self.state.keeping.take() {
                    self.effect(Effect::Ended { request: keeping, result: Ok(()) });
                }
                for alarm in [Alarm::Tailgated, Alarm::WrongWay, Alarm::GateDoesNotMove] {
                    self.clear_alarm(alarm);
                }
                self.effect(Effect::Ended { request, result: Ok(()) });
            }
            Ask::Inside { cars } => {
                self.record(Record::CarsInside { inside: cars });
                self.effect(Effect::Ended { request, result: Ok(()) });
            }
        }
    }

    /// Who waits for this passage hears what came of it, once.
    pub(super) fn answer(&mut self, nth: usize, how: Ended) {
        let Some(passage) = self.state.passages.get_mut(nth) else { return };
        if !std::mem::take(&mut passage.wanted) {
            return;
        }
        passage.answered = Some(how);
        let effect = match &passage.authorisation {
            Authorisation::Delivery { delivery } => Effect::Answer { delivery: *delivery, answer: answer(how) },
            Authorisation::Operation { request, .. } => {
                let result = if how == Ended::NotMoved { Err(Call::GateDoesNotMove) } else { Ok(()) };
                Effect::Ended { request: request.clone(), result }
            }
            Authorisation::Undecided { .. } => return,
        };
        self.effect(effect);
    }

    pub(super) fn end(&mut self, nth: usize, how: Ended) {
        self.answer(nth, how);
        let Some(passage) = self.state.passages.get(nth) else { return };
        let authorisation = passage.authorisation.clone();
        self.record(Record::PassageEnded { authorisation, how });
    }

    /// The gate is open, says its switch.
    pub(super) fn was_opened(&mut self) {
        if self.state.settings.delivered == Delivered::Opened {
            (0..self.state.passages.len()).for_each(|nth| self.answer(nth, Ended::Passed));
        }
    }
}

fn answer(how: Ended) -> Answer {
    match how {
        Ended::Passed => Answer::Delivered,
        Ended::Withdrawn => Answer::Withdrawn,
        Ended::NotMoved => Answer::NotMoved,
        Ended::Unknown => Answer::Unknown,
    }
}
