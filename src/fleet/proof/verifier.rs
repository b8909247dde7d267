//! One kiosk's events and checkpoints, in whatever order and by whomever they come; out come the kiosk's own events, in
//! order, each once.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Deserialize;

use super::Position;
use crate::fleet::topic::Name;
use crate::ledger::{EventDocument, GENESIS};
use crate::signed::jws::{BadMessage, Keys, PublicKey, Purpose};

/// Bytes of an event that is looked at. The longest real one has a configuration in it, whose text is quoted twice.
const LONGEST: usize = 128 << 10;
/// The longest name in an event: a hash.
const NAME: usize = 64;
/// Events that wait for a checkpoint, and their bytes; the oldest give way. More than a kiosk's largest window.
const HELD: usize = 2048;
const HELD_BYTES: usize = 4 << 20;
/// Checkpoints that wait for their events; the nearest are kept.
const TARGETS: usize = 256;
/// The hashes of so many proved events are remembered, to tell a repeat from another event in its place.
const REMEMBERED: usize = 4096;
/// A kiosk whose storage was replaced has another ledger. It names them by its signature; without a key anybody does.
const LEDGERS: usize = 16;

/// An event that the kiosk has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    pub event: EventDocument,
    /// The document as it came, which is as the kiosk wrote it.
    pub document: String,
}

/// What became of a message that may be the kiosk's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These are proved now. `discarded` others stood in their places and were never the kiosk's.
    Proved { events: Vec<Proved>, discarded: usize },
    /// It fits what is here, and waits: an event for its checkpoint, a checkpoint for its events.
    Waits,
    /// Known already.
    Again,
    /// Something before it is missing.
    Early,
}

/// Why a message is not believed. It has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not an event as a kiosk writes it")]
    Malformed,
    #[error("the event's hash is not its own")]
    Hash,
    #[error("no checkpoint of this kiosk names the event's ledger")]
    Foreign,
    #[error("event {0} does not continue the chain")]
    Broken(u64),
    #[error("another event stands in the place of event {0}")]
    Other(u64),
    #[error("a checkpoint that can't be believed: {0}")]
    Checkpoint(#[from] BadMessage),
    /// Two that hold the kiosk's key have written on from the same ledger: it was copied.
    #[error("the kiosk has signed two chains that part before event {0}: its ledger was copied")]
    Forked(u64),
    #[error("more ledgers than a kiosk has")]
    Full,
}

/// See the [room](super).
#[derive(Debug)]
pub struct Verifier {
    keys: Option<Keys>,
    books: BTreeMap<String, Book>,
    remember: usize,
}

impl Verifier {
    /// `kid` is `fleet/kiosk`, as the kiosk calls its key.
    pub fn new(kid: impl Into<String>, key: PublicKey) -> Self {
        Self { keys: Some(Keys::new([(kid.into(), key)])), ..Self::unsigned() }
    }

    /// For a kiosk whose key is not known: it finds what was changed or lost on the way, but whoever may publish in the
    /// kiosk's name can go on with the chain.
    pub fn unsigned() -> Self {
        Self { keys: None, books: BTreeMap::new(), remember: REMEMBERED }
    }

    /// The same that remembers only so many hashes of each ledger, 1 at least, for who has them elsewhere.
    #[must_use]
    pub fn remembering(self, hashes: usize) -> Self {
        Self { remember: hashes.max(1), ..self }
    }

    /// What was proved before and is stored: it goes on from there. `seal` is the checkpoint that reached it.
    pub fn resume(&mut self, position: Position, seal: Vec<u8>) {
        let Position { ledger, seq, hash } = position;
        let remembered = VecDeque::from_iter((seq > 0).then(|| hash.clone()));
        self.books.insert(ledger, Book { seq, hash, remembered, seal, remember: self.remember, ..Book::default() });
    }

    /// A message on `event/{kind}`. The ledger it is about, where it may be the kiosk's.
    ///
    /// # Errors
    /// It is not the kiosk's.
    pub fn event(&mut self, kind: &Name, payload: &[u8]) -> Result<(String, Verdict), Refused> {
        let (event, document) = open(kind, payload)?;
        let ledger = event.ledger.clone();
        let known = self.books.len();
        let book = match (&self.keys, self.books.get_mut(&ledger)) {
            (_, Some(book)) => book,
            (Some(_), None) => return Err(Refused::Foreign),
            (None, None) if known >= LEDGERS => return Err(Refused::Full),
            (None, None) => {
                self.books.entry(ledger.clone()).or_insert_with(|| Book { remember: self.remember, ..Book::default() })
            }
        };
        let taken = book.event(Proved { event, document }, self.keys.is_some())?;
        Ok((ledger, taken))
    }

    /// A message on `checkpoint`.
    ///
    /// # Errors
    /// It is not the kiosk's, or contradicts what the kiosk has signed before.
    pub fn checkpoint(&mut self, message: &[u8]) -> Result<(String, Verdict), Refused> {
        let Some(keys) = &self.keys else { return Err(BadMessage::UnknownKey.into()) };
        let (Position { ledger, seq, hash }, _) = keys.open(Purpose::Checkpoint, message)?;
        if self.books.len() >= LEDGERS && !self.books.contains_key(&ledger) {
            return Err(Refused::Full);
        }
        let book =
            self.books.entry(ledger.clone()).or_insert_with(|| Book { remember: self.remember, ..Book::default() });
        let taken = book.checkpoint(seq, hash, message)?;
        Ok((ledger, taken))
    }

    /// How far a ledger is proved: what an acknowledgement says. Number 0 and no hash: nothing yet.
    pub fn position(&self, ledger: &str) -> Option<Position> {
        let book = self.books.get(ledger)?;
        Some(Position { ledger: ledger.into(), seq: book.seq, hash: book.hash.clone() })
    }

    /// The checkpoint that reached a ledger's position, as the kiosk has signed it; empty where there is none.
    pub fn seal(&self, ledger: &str) -> &[u8] {
        self.books.get(ledger).map_or(&[], |book| &book.seal)
    }

    /// Whether it can tell this event of a ledger from another in its place.
    pub fn remembers(&self, ledger: &str, seq: u64) -> bool {
        self.books.get(ledger).is_some_and(|book| book.was(seq, "").is_some())
    }

    /// Bytes of all events that wait.
    pub fn held_bytes(&self) -> usize {
        self.books.values().map(|book| book.bytes).sum()
    }

    /// Events that no checkpoint has reached yet, whoever sent them.
    pub fn waiting(&self, ledger: &str) -> usize {
        self.books.get(ledger).map_or(0, |book| book.held.len())
    }

    /// The highest event that a checkpoint has promised.
    pub fn promised(&self, ledger: &str) -> Option<u64> {
        let book = self.books.get(ledger)?;
        Some(book.targets.keys().next_back().copied().unwrap_or(book.seq))
    }
}

/// What a record says of itself.
#[derive(Deserialize)]
struct RecordHead {
    kind: String,
    order: Option<String>,
}

/// An event that is whole: its hash is its own, and nothing beside it says otherwise than what was hashed.
fn open(kind: &Name, payload: &[u8]) -> Result<(EventDocument, String), Refused> {
    if payload.len() > LONGEST {
        return Err(Refused::Malformed);
    }
    let event: EventDocument = serde_json::from_slice(payload).map_err(|_| Refused::Malformed)?;
    let document = serde_json::to_string(&event).map_err(|_| Refused::Malformed)?;
    let said: RecordHead = serde_json::from_str(&event.text).map_err(|_| Refused::Malformed)?;
    // Line ends part what is hashed, so there are none inside.
    let plain = |text: &str| {
        (1..=NAME).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let agrees = event.kind == kind.as_str() && event.kind == said.kind && event.order == said.order;
    let names = [&event.boot, &event.prev, &event.ledger].into_iter().chain(&event.order).all(|text| plain(text));
    // What a kiosk counts fits in a signed number, which is what databases have.
    let counted = [event.seq, event.mono, event.ts.unwrap_or_default()].into_iter().all(|n| i64::try_from(n).is_ok());
    if document.as_bytes() != payload || event.seq == 0 || !agrees || !names || !counted {
        return Err(Refused::Malformed);
    }
    if event.recomputed() != event.hash {
        return Err(Refused::Hash);
    }
    Ok((event, document))
}

/// One ledger. `seq` is the highest proved event, `hash` its hash, empty before the first.
#[derive(Debug, Default)]
struct Book {
    seq: u64,
    hash: String,
    /// Of the newest proved events, the last is `hash`.
    remembered: VecDeque<String>,
    /// By hash; in `arrived` in the order they came.
    held: HashMap<String, Proved>,
    arrived: VecDeque<String>,
    bytes: usize,
    /// Signed points ahead.
    targets: BTreeMap<u64, Target>,
    /// The checkpoint that reached `seq`.
    seal: Vec<u8>,
    /// How many hashes are remembered.
    remember: usize,
}

#[derive(Debug)]
struct Target {
    hash: String,
    message: Vec<u8>,
}

impl Book {
    fn end(&self) -> &str {
        if self.seq == 0 { GENESIS } else { &self.hash }
    }

    /// Whether this is the hash of a proved event; `None`: nobody remembers.
    fn was(&self, seq: u64, hash: &str) -> Option<bool> {
        let back = usize::try_from(self.seq.checked_sub(seq)?).ok()?;
        let at = self.remembered.len().checked_sub(back + 1)?;
        Some(self.remembered[at] == hash)
    }

    fn event(&mut self, proved: Proved, signed: bool) -> Result<Verdict, Refused> {
        let event = &proved.event;
        let seq = event.seq;
        if seq <= self.seq {
            return if self.was(seq, &event.hash) == Some(false) {
                Err(Refused::Other(seq))
            } else {
                Ok(Verdict::Again)
            };
        }
        if self.held.contains_key(&event.hash) {
            return Ok(Verdict::Again);
        }
        let next = seq == self.seq + 1;
        if next && event.prev != self.end() {
            return Err(Refused::Broken(seq));
        }
        if !signed {
            if !next {
                return Ok(Verdict::Early);
            }
            return Ok(Verdict::Proved { events: vec![self.prove(proved)], discarded: 0 });
        }
        let continues = next || self.held.get(&event.prev).is_some_and(|before| before.event.seq + 1 == seq);
        self.hold(proved);
        let taken = self.advance()?;
        let early = !continues && matches!(taken, Verdict::Waits);
        Ok(if early { Verdict::Early } else { taken })
    }

    fn checkpoint(&mut self, seq: u64, hash: String, message: &[u8]) -> Result<Verdict, Refused> {
        if seq <= self.seq {
            return if self.was(seq, &hash) == Some(false) { Err(Refused::Forked(seq)) } else { Ok(Verdict::Again) };
        }
        match self.targets.get(&seq) {
            Some(known) if known.hash == hash => return Ok(Verdict::Again),
            Some(_) => return Err(Refused::Forked(seq)),
            None => {}
        }
        self.targets.insert(seq, Target { hash, message: message.to_vec() });
        if self.targets.len() > TARGETS {
            // It comes again with its events.
            self.targets.pop_last();
        }
        self.advance()
    }

    /// Goes on to the signed points that can be reached. Where the kiosk's key was used twice there may be two ways; the
    /// first that is whole is taken.
    fn advance(&mut self) -> Result<Verdict, Refused> {
        let (mut events, mut discarded) = (Vec::new(), 0);
        while let Some((seq, path)) = self.targets.iter().find_map(|(&seq, at)| Some((seq, self.path(seq, &at.hash)?)))
        {
            if path.last().is_some_and(|first| self.held[first].event.prev != self.end()) {
                if events.is_empty() {
                    self.targets.remove(&seq);
                    return Err(Refused::Forked(seq));
                }
                // What is proved is told first; the other way is met again.
                break;
            }
            for hash in path.iter().rev() {
                if let Some(proved) = self.held.remove(hash) {
                    events.push(self.prove(proved));
                }
            }
            self.seal = self.targets.remove(&seq).map(|target| target.message).unwrap_or_default();
            self.targets.retain(|&target, _| target > seq);
            // Whatever else claimed these places was not the kiosk's, or not this one's.
            let before = self.held.len();
            self.held.retain(|_, other| other.event.seq > seq);
            discarded += before - self.held.len();
            self.arrived.retain(|hash| self.held.contains_key(hash));
            self.bytes = self.held.values().map(|other| other.document.len()).sum();
        }
        Ok(if events.is_empty() { Verdict::Waits } else { Verdict::Proved { events, discarded } })
    }

    /// The events back from a signed point to what is proved, where they are all here.
    fn path(&self, seq: u64, hash: &str) -> Option<Vec<String>> {
        let (mut at, mut wanted) = (seq, hash);
        let mut path = Vec::new();
        while at > self.seq {
            let found = self.held.get(wanted).filter(|found| found.event.seq == at)?;
            path.push(wanted.to_owned());
            (at, wanted) = (at - 1, &found.event.prev);
        }
        Some(path)
    }

    fn hold(&mut self, proved: Proved) {
        self.bytes += proved.document.len();
        self.arrived.push_back(proved.event.hash.clone());
        self.held.insert(proved.event.hash.clone(), proved);
        while self.held.len() > HELD || self.bytes > HELD_BYTES {
            let Some(oldest) = self.arrived.pop_front().and_then(|hash| self.held.remove(&hash)) else { return };
            self.bytes -= oldest.document.len();
        }
    }

    fn prove(&mut self, proved: Proved) -> Proved {
        self.seq = proved.event.seq;
        self.hash.clone_from(&proved.event.hash);
        if self.remembered.len() >= self.remember {
            self.remembered.pop_front();
        }
        self.remembered.push_back(self.hash.clone());
        proved
    }
}
