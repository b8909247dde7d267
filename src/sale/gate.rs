//! What a person wishes of the gate: that a car may pass, that it stays open or does no more.
//!
//! Policy: `operation-begun` is on disk before the lane hears of a wish, and the lane hears of it once; one of an earlier run
//! has failed, and nothing is raised for it again. Nothing of the sale waits for a wish, and no wish for the sale: somebody
//! stands before the gate. A lane that does not answer in time has failed, and what it says later counts no more.

use super::event::{Effect, GateAsk, Illegal};
use super::{State, Turn};
use crate::operation::{Outcome, Reason, Refusal, Request, RequestId};
use crate::vocabulary::{Cause, Mono, Outlet};

/// One that the lane has not answered yet.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who is answered when it ends.
    id: RequestId,
    until: Mono,
}

impl State {
    /// This kiosk has a gate of its own.
    pub(super) fn has_gate(&self) -> bool {
        self.shop.outlets().iter().any(|known| matches!(known.outlet, Outlet::Gate(_)))
    }

    pub(super) fn wishes_wake(&self) -> Option<Mono> {
        self.wishes.iter().map(|wish| wish.until).min()
    }
}

impl Turn<'_> {
    pub(super) fn wish(&mut self, ask: GateAsk, reason: &Reason, request: &Request) -> Result<(), Refusal> {
        if !self.state.has_gate() {
            return Err(Refusal::NoGate);
        }
        let id = request.id.clone();
        self.state.wishes.push(Wish { id: id.clone(), until: self.at.now + self.state.policy.gate_answers });
        self.effect(Effect::Gate { id, by: request.by.clone(), reason: reason.clone(), ask });
        Ok(())
    }

    pub(super) fn gate_answered(&mut self, id: &RequestId, result: Result<(), String>) -> Result<(), Illegal> {
        let nobody = Illegal::Refused("nobody waits for this answer of the lane");
        let nth = self.state.wishes.iter().position(|wish| wish.id == *id).ok_or(nobody)?;
        let Wish { id, .. } = self.state.wishes.remove(nth);
        let outcome = match result {
            Ok(()) => Outcome::Changed { order: None, report: None },
            Err(detail) => Outcome::Failed { why: Cause::Gate { detail } },
        };
        self.end_operation(id, outcome);
        Ok(())
    }

    /// Those that the lane has not answered in time.
    pub(super) fn end_wishes(&mut self) {
        let now = self.at.now;
        for Wish { id, .. } in self.state.wishes.extract_if(.., |wish| wish.until <= now).collect::<Vec<_>>() {
            let detail = "the lane did not answer".to_owned();
            self.end_operation(id, Outcome::Failed { why: Cause::Gate { detail } });
        }
    }
}
