//! The collected things, opened to be read.

use std::io::Write;

use super::audit::{self, Audited};
use super::database::{Database, DatabaseError};
use super::export::{ExportError, Format, Owner, Writer};
use super::keys::Keyring;
use super::place::Place;
use super::reading::{self, Book, Command, Inspected, Machine};
use super::store;
use crate::fleet::topic::Name;
use crate::ledger::EventDocument;

/// Machines and events that are read at once.
const PAGE: i64 = 1000;

/// One fleet of a database.
pub struct Collected {
    database: Box<dyn Database>,
    fleet: String,
}

#[derive(Debug, thiserror::Error)]
pub enum NoFleet {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("more than one fleet is there; write --fleet with one of: {0}")]
    Which(String),
    #[error("nothing was collected there yet")]
    None,
}

/// Which events are exported; times are milliseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub kiosk: Option<Name>,
    pub kinds: Vec<String>,
    /// An event without a time is there only where nothing is said about times.
    pub since: Option<u64>,
    pub until: Option<u64>,
}

impl Wanted {
    fn has(&self, event: &EventDocument) -> bool {
        let since = self.since.is_none_or(|since| event.ts.is_some_and(|ts| ts >= since));
        let until = self.until.is_none_or(|until| event.ts.is_some_and(|ts| ts < until));
        since && until && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

impl Collected {
    /// `fleet`: may be left out where there is only one.
    ///
    /// # Errors
    /// It can't be read, or nobody knows which fleet is meant.
    pub fn open(place: &Place, fleet: Option<&Name>) -> Result<Self, NoFleet> {
        let mut database = place.open(false)?;
        let fleet = match fleet {
            Some(fleet) => fleet.to_string(),
            None => match reading::fleets(&mut *database)?.as_slice() {
                [] => return Err(NoFleet::None),
                [one] => one.clone(),
                many => return Err(NoFleet::Which(many.join(", "))),
            },
        };
        Ok(Self { database, fleet })
    }

    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// Every machine, by name.
    ///
    /// # Errors
    /// The database is away, or `each` has failed.
    pub fn machines<E: From<DatabaseError>>(
        &mut self,
        mut each: impl FnMut(Machine) -> Result<(), E>,
    ) -> Result<(), E> {
        self.database.reconnect()?;
        let mut after = String::new();
        loop {
            let page = reading::machines(&mut *self.database, &self.fleet, &after, None, PAGE)?;
            match page.last() {
                None => return Ok(()),
                Some(last) => after.clone_from(&last.kiosk),
            }
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    /// # Errors
    /// The database is away.
    pub fn machine(&mut self, kiosk: &Name) -> Result<Option<Machine>, DatabaseError> {
        self.database.reconnect()?;
        Ok(reading::machines(&mut *self.database, &self.fleet, "", Some(kiosk), 1)?.pop())
    }

    /// The newest inspection of every machine of which there is one, by name.
    ///
    /// # Errors
    /// The database is away, or `each` has failed.
    pub fn inspections<E: From<DatabaseError>>(
        &mut self,
        mut each: impl FnMut(Inspected) -> Result<(), E>,
    ) -> Result<(), E> {
        self.database.reconnect()?;
        store::check_inspections(&mut *self.database)?;
        let mut after = String::new();
        loop {
            let page = reading::inspections(&mut *self.database, &self.fleet, &after, PAGE)?;
            match page.last() {
                None => return Ok(()),
                Some(last) => after.clone_from(&last.kiosk),
            }
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    /// What it has said of the newest commands.
    ///
    /// # Errors
    /// The database is away.
    pub fn commands(&mut self, kiosk: &Name, newest: u16) -> Result<Vec<Command>, DatabaseError> {
        reading::commands(&mut *self.database, &self.fleet, kiosk.as_str(), newest.into())
    }

    /// The newest events of each of its ledgers, the oldest first.
    ///
    /// # Errors
    /// The database is away.
    pub fn newest(&mut self, kiosk: &Name, newest: u16) -> Result<Vec<EventDocument>, DatabaseError> {
        let mut all = Vec::new();
        for Book { at, .. } in reading::books(&mut *self.database, &self.fleet, Some(kiosk))? {
            let from = at.seq.saturating_sub(newest.into());
            let whose = (self.fleet.as_str(), kiosk.as_str(), at.ledger.as_str());
            all.extend(reading::events_after(&mut *self.database, whose, from, newest.into())?);
        }
        Ok(all)
    }

    /// How many events there are, of one kiosk or of all.
    ///
    /// # Errors
    /// The database is away.
    pub fn count(&mut self, kiosk: Option<&Name>) -> Result<u64, DatabaseError> {
        let books = reading::books(&mut *self.database, &self.fleet, kiosk)?;
        Ok(books.iter().map(|book| book.at.seq).sum())
    }

    /// The books made again; see [`audit`].
    ///
    /// # Errors
    /// The database is away, or `each` has failed.
    pub fn audit<E: From<DatabaseError>>(
        &mut self,
        kiosk: Option<&Name>,
        keys: Option<&std::path::Path>,
        read: impl FnMut(u64),
        each: impl FnMut(Audited) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut keyring = Keyring::new(keys.map(Into::into));
        audit::audit(&mut *self.database, &self.fleet, kiosk, &mut keyring, read, each)
    }

    /// Events by kiosk and ledger, in order.
    ///
    /// # Errors
    /// The database is away, or the file can't be written.
    pub fn export(
        &mut self,
        wanted: &Wanted,
        format: Format,
        out: impl Write + Send,
        mut read: impl FnMut(u64),
    ) -> Result<u64, ExportError> {
        let (mut writer, mut written) = (Writer::new(format, out)?, 0);
        for book in reading::books(&mut *self.database, &self.fleet, wanted.kiosk.as_ref())? {
            let owner = Owner { fleet: &self.fleet, kiosk: &book.kiosk };
            let (whose, mut seq) = ((owner.fleet, owner.kiosk, book.at.ledger.as_str()), 0);
            loop {
                let page = reading::events_after(&mut *self.database, whose, seq, PAGE)?;
                let Some(last) = page.last() else { break };
                seq = last.seq;
                read(page.len() as u64);
                for event in page.iter().filter(|event| wanted.has(event)) {
                    writer.put(&owner, event)?;
                    written += 1;
                }
            }
        }
        writer.finish()?;
        Ok(written)
    }
}
