//! Verifies acknowledgements: what the back end says it holds is believed only when the ledger agrees.
//!
//! Policy: anybody who may write to the topic can send an acknowledgement. Where the back end's key is known it must
//! have the back end's signature. It counts when it names this ledger and the hash of an event that exists; any other
//! one does not move the cursor.

use super::{Outbox, OutboxError};
use crate::fleet::proof::Position;
use crate::signed::jws::{BadMessage, Keys, Purpose};

/// Longer messages, in bytes, are refused unread.
pub(super) const LONGEST: usize = 4096;

/// Why an acknowledgement does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0} bytes long, at most {LONGEST} are read")]
    TooLong(usize),
    #[error("not an acknowledgement")]
    Malformed(#[source] serde_json::Error),
    #[error("not the back end's: {0}")]
    NotBackEnd(#[from] BadMessage),
    #[error("for another ledger")]
    OtherLedger,
    #[error("event {0} does not exist")]
    NoSuchEvent(u64),
    #[error("the hash of event {0} is another")]
    OtherHash(u64),
    /// Not the sender's fault.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Verifies an acknowledgement; answers with the number of the event up to which the back end holds everything.
pub(super) fn verify(
    payload: &[u8],
    back_end: Option<&Keys>,
    ledger: &str,
    outbox: &impl Outbox,
) -> Result<u64, Refused> {
    if payload.len() > LONGEST {
        return Err(Refused::TooLong(payload.len()));
    }
    let ack: Position = match back_end {
        Some(keys) => keys.open(Purpose::Ack, payload)?.0,
        None => serde_json::from_slice(payload).map_err(Refused::Malformed)?,
    };
    if ack.ledger != ledger {
        return Err(Refused::OtherLedger);
    }
    // "I hold nothing" claims nothing, and who holds nothing may not know where the chain begins.
    if ack.seq == 0 && ack.hash.is_empty() {
        return Ok(0);
    }
    let hash = outbox.hash_of(ack.seq)?.ok_or(Refused::NoSuchEvent(ack.seq))?;
    if ack.hash != hash {
        return Err(Refused::OtherHash(ack.seq));
    }
    Ok(ack.seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::link::OutboxEvent;

    struct Three;

    impl Outbox for Three {
        fn ledger(&self) -> String {
            "L1".into()
        }
        fn cursor(&self) -> Result<u64, OutboxError> {
            Ok(0)
        }
        fn after(&self, _: u64, _: usize) -> Result<Vec<OutboxEvent>, OutboxError> {
            Ok(Vec::new())
        }
        fn hash_of(&self, seq: u64) -> Result<Option<String>, OutboxError> {
            Ok((seq <= 3).then(|| format!("h{seq}")))
        }
    }

    #[test]
    fn only_the_truth_counts() {
        let verify = |text: &str| verify(text.as_bytes(), None, "L1", &Three);
        assert_eq!(verify(r#"{"ledger":"L1","seq":3,"hash":"h3"}"#).unwrap(), 3);
        assert_eq!(verify(r#"{"ledger":"L1","seq":0,"hash":"h0","more":1}"#).unwrap(), 0);
        assert_eq!(verify(r#"{"ledger":"L1","seq":0,"hash":""}"#).unwrap(), 0);
        let refused = |text: &str| verify(text).unwrap_err();
        assert!(matches!(refused(r#"{"ledger":"L1","seq":3,"hash":"h2"}"#), Refused::OtherHash(3)));
        assert!(matches!(refused(r#"{"ledger":"L1","seq":3,"hash":""}"#), Refused::OtherHash(3)));
        assert!(matches!(refused(r#"{"ledger":"L1","seq":4,"hash":"h4"}"#), Refused::NoSuchEvent(4)));
        assert!(matches!(refused(r#"{"ledger":"L2","seq":3,"hash":"h3"}"#), Refused::OtherLedger));
        for malformed in
            ["", "[]", "{", r#"{"ledger":"L1","seq":-1,"hash":"h3"}"#, r#"{"ledger":"L1","seq":3.0,"hash":"h3"}"#]
        {
            assert!(matches!(refused(malformed), Refused::Malformed(_)), "{malformed}");
        }
        assert!(matches!(refused(&" ".repeat(LONGEST + 1)), Refused::TooLong(_)));
    }
}
