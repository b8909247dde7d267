//! The books made again from the database alone, with the kiosks' public keys.
//!
//! Policy: nothing that the collector has concluded is believed. Each ledger's events are hashed and chained anew from the
//! first, and the last is held against the checkpoint that the kiosk has signed.

use serde::Serialize;

use super::database::{Database, DatabaseError};
use super::keys::{Keyring, Known};
use super::reading::{self, Book};
use crate::fleet::proof::{Position, Sums, Totals, Verdict, Verifier};
use crate::fleet::topic::Name;
use crate::signed::jws::Purpose;

/// Events that are read at once.
const PAGE: i64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Every event is the kiosk's.
    Signed,
    /// The chain is whole, and nobody has signed for it.
    Unsigned,
    /// Something is not as it was.
    Broken,
}

/// One ledger.
#[derive(Debug, Clone, Serialize)]
pub struct Audited {
    pub kiosk: String,
    pub ledger: String,
    /// The last event that was checked.
    pub seq: u64,
    pub proof: Proof,
    /// What is not as it should be, and where.
    pub why: Option<String>,
    /// By currency.
    pub totals: Vec<InCurrency>,
    /// Events that mean nothing to this program.
    pub unread: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct InCurrency {
    pub currency: &'static str,
    #[serde(flatten)]
    pub sums: Sums,
}

/// Every ledger, one after the other; `each` is called with it, and `read` with how many events were read.
///
/// # Errors
/// The database is away, or `each` has failed.
pub fn audit<E: From<DatabaseError>>(
    db: &mut dyn Database,
    fleet: &str,
    only: Option<&Name>,
    keyring: &mut Keyring,
    mut read: impl FnMut(u64),
    mut each: impl FnMut(Audited) -> Result<(), E>,
) -> Result<(), E> {
    for book in reading::books(db, fleet, only)? {
        each(ledger(db, fleet, &book, keyring, &mut read)?)?;
    }
    Ok(())
}

fn ledger(
    db: &mut dyn Database,
    fleet: &str,
    book: &Book,
    keyring: &mut Keyring,
    read: &mut impl FnMut(u64),
) -> Result<Audited, DatabaseError> {
    let (mut totals, mut seq, mut hash, mut why) = (Totals::default(), 0, String::new(), None);
    let mut chain = Verifier::unsigned().remembering(1);
    'all: loop {
        let page = reading::events_after(db, (fleet, &book.kiosk, &book.at.ledger), seq, PAGE)?;
        if page.is_empty() {
            break;
        }
        read(page.len() as u64);
        for event in page {
            let text = serde_json::to_string(&event).unwrap_or_default();
            let taken = Name::parse(&event.kind).map_err(|error| error.to_string()).and_then(|kind| {
                chain.event(&kind, text.as_bytes()).map(|(_, taken)| taken).map_err(|error| error.to_string())
            });
            match taken {
                Ok(Verdict::Proved { events, .. }) => {
                    events.iter().for_each(|proved| totals.take(&proved.event));
                    (seq, hash) = (event.seq, event.hash);
                }
                Ok(_) => why = Some(format!("after event {seq} comes {}", event.seq)),
                Err(refused) => why = Some(format!("event {}: {refused}", event.seq)),
            }
            if why.is_some() {
                break 'all;
            }
        }
    }
    if why.is_none() && (seq, &hash) != (book.at.seq, &book.at.hash) {
        why = Some(format!("{} events were acknowledged, and {seq} are there", book.at.seq));
    }
    let mut proof = if why.is_some() { Proof::Broken } else { Proof::Unsigned };
    if proof == Proof::Unsigned && !keyring.is_empty() {
        match signed(fleet, book, keyring) {
            Ok(()) => proof = Proof::Signed,
            Err(missing) => (proof, why) = (Proof::Broken, Some(missing)),
        }
    }
    let unread = totals.unread();
    let totals = totals.sums().into_iter().map(|(currency, sums)| InCurrency { currency, sums }).collect();
    Ok(Audited { kiosk: book.kiosk.clone(), ledger: book.at.ledger.clone(), seq, proof, why, totals, unread })
}

/// Whether the kiosk has signed for where the ledger stands.
fn signed(fleet: &str, book: &Book, keyring: &mut Keyring) -> Result<(), String> {
    let kiosk = Name::parse(&book.kiosk).map_err(|error| error.to_string())?;
    let Known::Key(key) = keyring.of(&kiosk) else { return Err("the kiosk's key is not known".into()) };
    if book.seal.is_empty() {
        return Err("no checkpoint of the kiosk is stored".into());
    }
    let opened = key.open::<Position>(Purpose::Checkpoint, book.seal.as_bytes());
    let (position, kid) = opened.map_err(|why| format!("the checkpoint: {why}"))?;
    if kid != format!("{fleet}/{kiosk}") || position != book.at {
        return Err("the checkpoint is of another kiosk or of another event".into());
    }
    Ok(())
}
