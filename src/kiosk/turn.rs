//! One turn of the loop on the kiosk's state: decide, then commit. Its effects may be carried out, because it is on
//! disk.
//!
//! The kiosk commits to its ledger. The simulation that proves the promises uses the same function with a journal that
//! loses what was not synced when it crashes.

use crate::ledger::{Journal, LedgerError};
use crate::sale::event::Event;
use crate::sale::{self, Illegal, State, Step};
use crate::vocabulary::Stamp;

/// Why nothing came of an event.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// It does not fit; nothing has changed.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The ledger had failed before. The glass may have changed, and nothing else has.
    #[error("the ledger has failed; nothing but the glass changes until the daemon is started anew")]
    Latched,
    /// Its records could not be written. From now on the ledger has failed.
    #[error("a record could not be written; nothing is sold until the daemon is started anew: {0}")]
    Failed(#[from] LedgerError),
}

/// Takes one event. `journal` is `None` where the ledger could not be opened, which the state knows as a failed one.
///
/// # Errors
/// Nothing may be done for the event.
pub fn turn(
    state: &mut State,
    journal: Option<&mut impl Journal>,
    at: &Stamp,
    event: Event,
) -> Result<Step, TurnError> {
    if state.conditions.ledger_failed.is_some() && !matches!(event, Event::Touch(_) | Event::Tick) {
        return Err(TurnError::Latched);
    }
    let step = sale::next(state, at, event)?;
    if state.conditions.ledger_failed.is_some() {
        // What was decided can't be written, so it is not done.
        return Err(TurnError::Latched);
    }
    if let Some(journal) = journal
        && let Err(error) = journal.commit(at, &step.records, state)
    {
        state.conditions.ledger_failed = Some(error.to_string());
        return Err(error.into());
    }
    Ok(step)
}
