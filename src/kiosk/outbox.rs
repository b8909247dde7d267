//! The outbox that the fleet's link reads: the ledger, over a connection of its own.

use crate::fleet::link::{Outbox, OutboxError, OutboxEvent};
use crate::ledger::{EventLine, LedgerError, Reader};

pub struct LedgerOutbox {
    reader: Reader,
    ledger: String,
}

impl LedgerOutbox {
    pub fn open(directory: &std::path::Path) -> Result<Self, LedgerError> {
        let reader = Reader::open(directory)?;
        Ok(Self { ledger: reader.ledger()?, reader })
    }
}

fn wrap(error: LedgerError) -> OutboxError {
    OutboxError(Box::new(error))
}

impl Outbox for LedgerOutbox {
    fn ledger(&self) -> String {
        self.ledger.clone()
    }

    fn cursor(&self) -> Result<u64, OutboxError> {
        self.reader.acknowledged().map_err(wrap)
    }

    fn after(&self, seq: u64, limit: usize) -> Result<Vec<OutboxEvent>, OutboxError> {
        let events = self.reader.events_after(seq, limit).map_err(wrap)?;
        let event = |e: EventLine| OutboxEvent { seq: e.seq, kind: e.kind, hash: e.hash, payload: e.document };
        Ok(events.into_iter().map(event).collect())
    }

    fn hash_of(&self, seq: u64) -> Result<Option<String>, OutboxError> {
        self.reader.hash_of(seq).map_err(wrap)
    }
}
