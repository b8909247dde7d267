//! Commands of the fleet: whom the kiosk believes, and what it says of each until it has ended.
//!
//! Policy: what is said follows the records. A command is accepted and executing when its beginning is on disk, and ended
//! when its end is. After a start the newest are said once more, because the run before may have ended before it could.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Clock, Input, Kiosk, inspection};
use crate::config::{Config, Fleet};
use crate::fleet::command::{CommandDesk, CommandStatus, Stage};
use crate::fleet::link::{Link, StatusSender};
use crate::fleet::topic::{Address, Name};
use crate::ledger::{LedgerError, OperationLine, Reader};
use crate::operation::{Actor, Known, Operation, Outcome, Request, RequestId};
use crate::sale::Record;
use crate::signed::keys::{KeyError, KeySource};
use crate::signed::keyset::Keyset;
use crate::vocabulary::{BootId, Cause};

/// So many of the newest commands are told of after a start.
const TOLD_AGAIN: usize = 16;

/// Who opens commands, where the configuration says whose count. `stored`: the keyset that the ledger has.
///
/// # Errors
/// When the root or the keyset can't be read, or is not what it should be.
pub(crate) fn desk(config: &Config, boot: &BootId, reader: &Reader) -> Result<Option<Arc<CommandDesk>>, KeyError> {
    let Some(Fleet { root: Some(root), keyset: Some(keyset), .. }) = &config.fleet else { return Ok(None) };
    let (Ok(fleet), Ok(kiosk)) = (Name::parse(&config.kiosk.fleet), Name::parse(&config.kiosk.id)) else {
        return Ok(None);
    };
    let root = KeySource::File(root.clone()).signers_key()?;
    let place = KeySource::File(keyset.clone());
    let keyset = Keyset::open(&root, fleet.as_str(), &place.public()?).map_err(|why| {
        tracing::error!(%why, "the fleet's keyset does not count");
        KeyError::Malformed { place: place.to_string(), wanted: "a keyset that the fleet's root has signed" }
    })?;
    let desk = CommandDesk::new(Address { fleet, kiosk }, boot.clone(), root, keyset, Clock::wall);
    match reader.keyset() {
        Ok(None) => {}
        Ok(Some(stored)) => {
            if let Err(why) = desk.adopt(&stored) {
                tracing::warn!(%why, "the keyset in the ledger does not count, so the configuration's is in force");
            }
        }
        Err(error) => {
            tracing::warn!(%error, "the ledger's keyset could not be read, so the configuration's is in force")
        }
    }
    Ok(Some(Arc::new(desk)))
}

/// What the fleet's newest commands have come to, by the ledger as a run of the daemon finds it; and those that are `open`,
/// however many came after them. `goes_on`: the start does not end these.
pub(crate) fn told_again(
    reader: &Reader,
    open: &[RequestId],
    goes_on: &[&RequestId],
) -> Result<Vec<CommandStatus>, LedgerError> {
    let mut known = BTreeMap::new();
    for id in open {
        known.extend(reader.operation(id)?.map(|Known { asked, by, outcome }| (id.clone(), (asked, by, outcome))));
    }
    let newest = reader.operations(TOLD_AGAIN)?.into_iter();
    known.extend(newest.map(|OperationLine { id, asked, by, outcome, .. }| (id, (asked, by, outcome))));
    let fleets = known.into_iter().filter(|(_, (_, by, _))| matches!(by, Actor::Fleet { .. }));
    let told = fleets.map(|(id, (asked, _, outcome))| {
        if outcome.is_none() && goes_on.contains(&&id) {
            return CommandStatus::new(asked.verb(), id.as_str(), Stage::Executing);
        }
        // The start ends what the run before has left open.
        let outcome = outcome.unwrap_or(Outcome::Failed { why: Cause::Restarted });
        CommandStatus::ended(asked.verb(), id.as_str(), &outcome)
    });
    Ok(told.collect())
}

/// What a command has come to that was begun in an earlier run, by the ledger.
pub(crate) fn tell_ended(sender: &StatusSender, reader: &Reader, id: &RequestId) {
    match reader.operation(id) {
        Ok(Some(Known { asked, by: Actor::Fleet { .. }, outcome: Some(outcome) })) => {
            sender.tell(CommandStatus::ended(asked.verb(), id.as_str(), &outcome));
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "what a command has come to could not be read"),
    }
}

/// What was written of commands, before anything is done about it.
pub(crate) fn tell_begun(link: &Link, records: &[Record]) {
    for record in records {
        if let Record::OperationBegun { id, by: Actor::Fleet { .. }, asked } = record {
            let sender = link.status_sender();
            for stage in [Stage::Accepted, Stage::Executing] {
                sender.tell(CommandStatus::new(asked.verb(), id.as_str(), stage));
            }
        }
    }
}

impl Kiosk {
    /// A command that is believed. Its sender hears what comes of it, now or when there is a connection again.
    pub(super) fn commanded(&mut self, request: Request) {
        let Some(sender) = self.link.as_ref().map(|link| link.status_sender()) else { return };
        let (verb, id) = (request.asked.verb(), request.id.clone());
        let keyset = match &request.asked {
            Operation::RotateKeys { keyset, .. } => self.desk.clone().map(|desk| (desk, keyset.clone())),
            _ => None,
        };
        let make = self.maker(&request);
        let inspects =
            (matches!(request.asked, Operation::Inspect) && !request.expired).then(|| self.edges.inputs.clone());
        let answered = move |outcome: Result<Outcome, String>| {
            if let (Some(make), Ok(outcome @ Outcome::Changed { .. })) = (make, &outcome) {
                // Asked again it is answered with what is stored, and the file is of now.
                let place = sender.place(CommandStatus::ended(verb, id.as_str(), outcome));
                if let Some(place) = place {
                    make(place);
                }
                return;
            }
            if let (Some(inputs), Ok(outcome @ Outcome::Changed { .. })) = (&inspects, &outcome) {
                let outcome = outcome.clone();
                let told = move |sent| sender.tell(inspection::ended(&id, &outcome, sent));
                return drop(inputs.send(Input::Inspect(Box::new(told))));
            }
            // On disk: from here on the new keys count, and the old ones do not.
            if let (Some((desk, keyset)), Ok(Outcome::Changed { .. })) = (keyset, &outcome)
                && let Err(why) = desk.adopt(&keyset)
            {
                tracing::error!(%why, "a keyset was recorded and can't be used");
            }
            sender.tell(match outcome {
                Ok(outcome) => CommandStatus::ended(verb, id.as_str(), &outcome),
                Err(why) => CommandStatus::rejected(verb, id.as_str(), why),
            });
        };
        self.operate(request, Box::new(answered));
    }

    /// What was written of commands, before anything is done about it.
    pub(super) fn tell_begun(&self, records: &[Record]) {
        if let Some(link) = &self.link {
            tell_begun(link, records);
        }
    }

    /// What a command has come to that was begun in an earlier run: nobody waits for it here, but its sender.
    pub(super) fn tell_ended(&self, id: &RequestId) {
        let (Some(link), Some(reads)) = (&self.link, &self.reads) else { return };
        let (sender, id) = (link.status_sender(), id.clone());
        reads.own(move |reader| tell_ended(&sender, reader, &id));
    }

    /// Whether a request was made with a key that still counts; what was not made with a key does.
    pub(super) fn still_counts(&self, by: &Actor) -> bool {
        self.desk.as_ref().is_none_or(|desk| desk.counts(by))
    }
}

#[cfg(test)]
mod tests;
