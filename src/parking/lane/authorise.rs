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
        let arrived = self.state.car_waits(self.now);
        // What is under the arm already may be the end of a row that this car closes up to.
        let crossed = !self.state.under().all(|loop_| loop_.quiet(self.now));
        let passage = Passage::new(authorisation.clone(), self.now, arrived);
        self.state.passages.push(Passage { crossed, ..passage });
        self.record(Record::GateIntended { authorisation, attempt: 1 });
        self.raise();
    }

    /// After the records of this step.
    pub(super) fn raise(&mut self) {
        let pulse = self.pulse_raise();
        self.step.effects.extend(pulse);
    }

    /// The pulse for it; none where the gate has one. That for lowering which is under way ends at once, also where the commit
    /// fails.
    pub(super) fn pulse_raise(&mut self) -> Option<Effect> {
        self.state.lower_tries = 0;
        let (gate, times) = (&mut self.state.gate, &self.state.settings.times);
        if gate.energised(Relay::Lower, self.now) {
            self.step.at_once.push(Effect::Rest { relay: Relay::Lower });
        }
        if gate.just_raised(self.now, times) {
            return None;
        }
        gate.energise(Relay::Raise, self.now, times);
        Some(Effect::Energise { relay: Relay::Raise, pulse: times.pulse })
    }

    pub(super) fn cant_decide(&mut self, why: CantDecide) {
        let waits = self.state.car_waits(self.now);
        let pass = self.state.settings.undecided == Undecided::OpenAndRecord;
        if pass && waits && !self.state.undecided_here && self.state.passages.is_empty() {
            self.state.undecided_here = true;
            let number = self.state.undecided + 1;
            self.intend(Authorisation::Undecided { number, why });
        } else if waits {
            if !std::mem::replace(&mut self.state.called_here, true) {
                self.call(Call::CantDecide(why));
            }
        } else if self.state.called_at.is_none_or(|at| self.now >= at + self.state.settings.times.pass) {
            // Nobody knows whether it is the same car.
            self.state.called_at = Some(self.now);
            self.call(Call::CantDecide(why));
        }
    }

    pub(super) fn asked(&mut self, request: RequestId, actor: Actor, reason: Reason, what: Ask) {
        let id = AuthorisationId::Operation(request.clone());
        if let Some(ended) = self.state.used.get(&id) {
            return self.asked_again(request, ended);
        }
        match what {
            // More cars than that do not stand between two loops.
            Ask::Raise if self.state.passages.len() >= MOST_PASSAGES => {
                self.effect(Effect::Ended { request, result: Err(Call::NobodyPasses) });
            }
            Ask::Raise => {
                // Who was called for, or waits since a restart, is helped by this: one car, one authorisation. Who is under the
                // arm has been helped, and another is meant.
                let idle = self.state.track.idle();
                let helped = self.state.passages.iter().position(|passage| idle && (passage.called || passage.former));
                helped.into_iter().for_each(|nth| self.end(nth, Ended::Unknown));
                self.intend(Authorisation::Operation { request, actor, reason });
            }
            Ask::KeepOpen if self.state.keeping.len() >= MOST_PASSAGES => {
                self.effect(Effect::Ended { request, result: Err(Call::KeptOpenIsClosed) });
            }
            Ask::KeepOpen => {
                self.record(Record::KeptOpen { request: request.clone(), actor, reason });
                (self.state.held_at, self.state.held_tries) = (Some(self.now), 1);
                self.state.keeping.push(request);
                self.raise();
            }
            Ask::Release => {
                self.record(Record::Released { request: request.clone(), actor, reason });
                (self.state.held_at, self.state.lower_tries) = (None, 0);
                self.kept(Ok(()));
                for alarm in [Alarm::Tailgated, Alarm::WrongWay, Alarm::GateDoesNotMove, Alarm::KeptOpenIsClosed] {
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

    /// A request that is known already hears what came of it, or will.
    fn asked_again(&mut self, request: RequestId, ended: Option<Ended>) {
        if self.state.keeping.contains(&request) {
            return;
        }
        let id = AuthorisationId::Operation(request.clone());
        let open = self.state.passages.iter_mut().find(|passage| passage.authorisation.id() == id);
        let how = match open {
            Some(passage) if passage.answered.is_none() => {
                passage.wanted = true;
                return;
            }
            open => open.and_then(|passage| passage.answered).or(ended),
        };
        let kept = self.state.kept_open.as_ref() == Some(&request);
        let result = match how {
            Some(Ended::NotMoved) => Err(Call::GateDoesNotMove),
            _ if kept && self.state.alarms.contains(&Alarm::KeptOpenIsClosed) => Err(Call::KeptOpenIsClosed),
            _ => Ok(()),
        };
        self.effect(Effect::Ended { request, result });
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

    /// The gate is open for this passage, says its switch.
    pub(super) fn was_opened(&mut self, nth: usize) {
        if self.state.settings.delivered == Delivered::Opened {
            self.answer(nth, Ended::Passed);
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
