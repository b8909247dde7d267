//! The board is restarted, for a person who has asked for it.
//!
//! Policy: only between sales and for this moment. Whether it can be done is asked before anybody is promised it, because who
//! asks is gone with the board. The promise is on disk before the board goes down, so the same request restarts it once at
//! most. From then on nothing is sold; where the board does not go down after all, it sells again.

use super::event::{Effect, Illegal};
use super::{Order, Turn};
use crate::operation::{Outcome, Refusal, Request, RequestId};
use crate::vocabulary::Cause;

/// Under way.
#[derive(Debug, Clone, Default)]
pub struct Reboot {
    /// Who waits to hear whether it can be done.
    asked: Vec<RequestId>,
    /// The board goes down.
    pub(super) promised: bool,
}

impl Turn<'_> {
    /// True where who asks waits for the answer, false where the board is going down already.
    pub(super) fn reboot(&mut self, request: &Request) -> Result<bool, Refusal> {
        self.may_reboot()?;
        let reboot = &mut self.state.reboot;
        if reboot.promised {
            return Ok(false);
        }
        reboot.asked.push(request.id.clone());
        if reboot.asked.len() == 1 {
            self.effect(Effect::AskReboot);
        }
        Ok(true)
    }

    pub(super) fn may_reboot(&self) -> Result<(), Refusal> {
        if self.state.pulse.is_some() {
            return Err(Refusal::RelayIsTried);
        }
        let busy = self.state.busy() || self.state.orders.values().any(Order::unresolved);
        if busy { Err(Refusal::InMidSale) } else { Ok(()) }
    }

    /// The answer to [`Effect::AskReboot`]. Somebody may have begun to choose meanwhile.
    pub(super) fn reboot_answered(&mut self, result: Result<(), String>) -> Result<(), Illegal> {
        let asked = std::mem::take(&mut self.state.reboot.asked);
        if asked.is_empty() {
            return Err(Illegal::Refused("nobody has asked for a restart of the board"));
        }
        let outcome = match (result, self.may_reboot()) {
            (Err(detail), _) => Outcome::Failed { why: Cause::NoReboot { detail } },
            (Ok(()), Err(why)) => Outcome::Refused { why },
            (Ok(()), Ok(())) => Outcome::Changed { order: None, report: None },
        };
        self.state.reboot.promised = matches!(outcome, Outcome::Changed { .. });
        for id in asked {
            self.end_operation(id, outcome.clone());
        }
        if self.state.reboot.promised {
            self.effect(Effect::Reboot);
        }
        Ok(())
    }

    /// Nothing came of [`Effect::Reboot`].
    pub(super) fn not_rebooted(&mut self) {
        self.state.reboot.promised = false;
        self.not_rebooted_for_the_update();
    }
}
