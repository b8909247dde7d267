//! Every message of the fleet comes here, is checked, stored, and then acknowledged.
//!
//! Policy
//! - Nothing is acknowledged that the database has not committed, and nothing behind a gap.
//! - While the database is away the desk holds one batch and takes no more; the connections stop reading then, and the
//!   kiosks keep what was not acknowledged.
//! - What others say in a kiosk's name is counted, told in the log, and changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::batch::{Batch, BookId, Continued, Fork, Inspected, MESSAGES, Status};
use super::database::{Database, DatabaseError};
use super::keys::{Keyring, Known};
use super::session::{Heard, Sessions};
use super::{lease, store};
use crate::fleet::back_off::back_off;
use crate::fleet::command::CommandStatus;
use crate::fleet::inspection::Inspection;
use crate::fleet::proof::{Position, Refused, Verdict, Verifier};
use crate::fleet::topic::{Address, Leaf, Name};
use crate::ledger::EventDocument;
use crate::signed::jws::{Keys, PublicKey, Purpose, Signer};
use crate::signed::statement::Statement;
use crate::vocabulary::{Wall, error_chain};

/// A batch waits so long for more, from its first message on.
const GATHER: Duration = Duration::from_millis(10);
const EVENTS: usize = 1000;
/// Of old events in one batch, so many are compared with what is stored.
const COMPARED: usize = 200;
/// Hashes that are remembered of each ledger; the database has all.
const REMEMBERED: usize = 32;
/// Kiosks whose state of proof is in memory; the database has all.
const KIOSKS: usize = 100_000;
/// Bytes of events that wait for their checkpoint, of all kiosks.
const HELD_BYTES: usize = 256 << 20;
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(3);
const REPORT: Duration = Duration::from_secs(60);
/// What kiosks of other collectors have said of themselves lately, for the case that they become ours.
const ASIDE: Duration = Duration::from_secs(15);
const ASIDE_BYTES: usize = 32 << 20;

/// What has become of the messages, since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    stored: u64,
    again: u64,
    early: u64,
    refused: u64,
    forked: u64,
    acknowledged: u64,
}

struct Kiosk {
    verifier: Verifier,
    key: Option<PublicKey>,
    held: usize,
}

pub struct Desk {
    pub fleet: Name,
    pub name: String,
    pub keyring: Keyring,
    /// Signs acknowledgements.
    pub signer: Option<Signer>,
    pub database: Box<dyn Database>,
    pub sessions: Sessions,
    state: State,
}

/// What the desk knows from one message to the next; all of it is in the database, too, or comes again.
#[derive(Default)]
struct State {
    kiosks: HashMap<Name, Kiosk>,
    held_bytes: usize,
    batch: Batch,
    due: BTreeSet<BookId>,
    /// Kiosks that have another key by now; they are read anew once the batch is stored.
    rekeyed: BTreeSet<Name>,
    shares: BTreeSet<u16>,
    renewed: Option<Instant>,
    aside: VecDeque<(Instant, Heard)>,
    aside_bytes: usize,
    counts: Counts,
    /// By reason, for the log.
    refused: BTreeMap<&'static str, u64>,
}

/// Why nothing more can be done here.
pub struct Stopped;

impl Desk {
    pub fn new(
        (fleet, name): (Name, String),
        keyring: Keyring,
        signer: Option<Signer>,
        database: Box<dyn Database>,
        sessions: Sessions,
    ) -> Self {
        Self { fleet, name, keyring, signer, database, sessions, state: State::default() }
    }

    /// Until the inbox closes.
    pub fn run(mut self, handle: &Handle, mut inbox: mpsc::Receiver<Heard>) {
        let mut report = Instant::now() + REPORT;
        loop {
            if self.state.renewed.is_none_or(|at| at.elapsed() >= lease::RENEW) && self.renew().is_err() {
                break;
            }
            if self.sessions.pause(Duration::ZERO) {
                break;
            }
            match handle.block_on(async { tokio::time::timeout(lease::RENEW / 2, inbox.recv()).await }) {
                Err(_) => {}
                Ok(None) => break,
                Ok(Some(first)) => {
                    let until = tokio::time::Instant::now() + GATHER;
                    let (mut next, mut taken) = (Some(first), 0);
                    while let Some(heard) = next.take() {
                        if self.take(heard).is_err() {
                            self.leave();
                            return;
                        }
                        taken += 1;
                        if taken < MESSAGES && self.state.batch.events < EVENTS {
                            let more = async { tokio::time::timeout_at(until, inbox.recv()).await };
                            next = handle.block_on(more).ok().flatten();
                        }
                    }
                    if self.commit().is_err() {
                        break;
                    }
                    self.trim();
                }
            }
            if Instant::now() >= report {
                report = Instant::now() + REPORT;
                tracing::info!(kiosks = self.state.kiosks.len(), shares = self.state.shares.len(), counts = ?self.state.counts, "so far");
            }
        }
        self.leave();
    }

    fn leave(mut self) {
        let Counts { stored, acknowledged, .. } = self.state.counts;
        tracing::info!(stored, acknowledged, "the collector ends");
        if let Err(why) = lease::release(&mut *self.database, &self.fleet, &self.name) {
            tracing::warn!(why = error_chain(&why), "the leases are not given back; they run out");
        }
    }

    /// Does it until the database has done it, or the collector ends. `Ok(None)`: the database will never do it.
    fn insist<T>(&mut self, what: impl Fn(&mut Self) -> Result<T, DatabaseError>) -> Result<Option<T>, Stopped> {
        let (mut failures, mut told) = (0_u32, String::new());
        loop {
            match what(self) {
                Ok(done) => {
                    if failures > 0 {
                        tracing::info!(tries = failures, "the database is back");
                    }
                    return Ok(Some(done));
                }
                Err(error) if error.is_final() => {
                    tracing::error!(
                        why = error_chain(&error),
                        "the database refuses what it was given; the kiosks send it again"
                    );
                    return Ok(None);
                }
                Err(error) => {
                    let why = error_chain(&error).to_string();
                    if why != told {
                        tracing::warn!(
                            why,
                            "the database is away; nothing is read and nothing acknowledged until it is back"
                        );
                        told = why;
                    }
                    if self.sessions.pause(back_off(failures, RETRY_FIRST, RETRY_LAST)) {
                        return Err(Stopped);
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    fn renew(&mut self) -> Result<(), Stopped> {
        let shares = self.insist(|desk| lease::renew(&mut *desk.database, &desk.fleet, &desk.name))?;
        self.state.renewed = Some(Instant::now());
        let Some(shares) = shares else { return Ok(()) };
        if shares == self.state.shares {
            return Ok(());
        }
        tracing::info!(shares = shares.len(), of = store::SHARES, "this collector's part of the kiosks");
        // Another may have stored more of them by now, or will.
        let before = std::mem::replace(&mut self.state.shares, shares);
        let same = |kiosk: &Name| before.contains(&lease::share(kiosk));
        let kept = |kiosk: &Name| same(kiosk) && self.state.shares.contains(&lease::share(kiosk));
        self.state.kiosks.retain(|kiosk, _| kept(kiosk));
        self.state.held_bytes = self.state.kiosks.values().map(|kiosk| kiosk.held).sum();
        self.state.aside_bytes = 0;
        for (at, heard) in std::mem::take(&mut self.state.aside) {
            if self.state.shares.contains(&lease::share(&heard.kiosk)) {
                self.take(heard)?;
            } else {
                self.put_aside(at, heard);
            }
        }
        self.commit()
    }

    fn put_aside(&mut self, at: Instant, heard: Heard) {
        let State { aside, aside_bytes, .. } = &mut self.state;
        *aside_bytes += heard.payload.len();
        aside.push_back((at, heard));
        while aside.front().is_some_and(|(at, _)| at.elapsed() > ASIDE || *aside_bytes > ASIDE_BYTES) {
            *aside_bytes -= aside.pop_front().map_or(0, |(_, old)| old.payload.len());
        }
    }

    fn take(&mut self, heard: Heard) -> Result<(), Stopped> {
        if !self.state.shares.contains(&lease::share(&heard.kiosk)) {
            // The kiosk says the rest again.
            if matches!(
                heard.leaf,
                Leaf::Presence | Leaf::State | Leaf::Inspection | Leaf::Alarm(_) | Leaf::CommandStatus { .. }
            ) {
                self.put_aside(Instant::now(), heard);
            }
            return Ok(());
        }
        self.state.batch.now = now();
        let Heard { kiosk, leaf, payload, kept } = heard;
        match leaf {
            Leaf::Event(kind) => return self.proof(&kiosk, Some(&kind), &payload),
            Leaf::Checkpoint => return self.proof(&kiosk, None, &payload),
            Leaf::Inspection => return self.inspection(kiosk, payload, kept),
            Leaf::Presence => match payload.as_slice() {
                b"online" => self.state.batch.said(&kiosk, kept).online = Some(true),
                b"offline" => self.state.batch.said(&kiosk, kept).online = Some(false),
                _ => self.refuse(&kiosk, "neither online nor offline"),
            },
            Leaf::State => match object(&payload) {
                Some(state) => self.state.batch.said(&kiosk, kept).state = Some(state),
                None => self.refuse(&kiosk, "not a state"),
            },
            Leaf::Telemetry => match figures(&payload) {
                Some(telemetry) => self.state.batch.said(&kiosk, kept).telemetry = Some(telemetry),
                None => self.refuse(&kiosk, "not telemetry"),
            },
            Leaf::Alarm(kind) => match (payload.is_empty(), object(&payload)) {
                (false, None) => self.refuse(&kiosk, "not an alarm"),
                (_, document) => {
                    self.state.batch.said(&kiosk, kept);
                    self.state.batch.alarms.insert((kiosk, kind), document);
                }
            },
            Leaf::CommandStatus { verb, id } => return self.status(kiosk, verb, id, &payload, kept),
            Leaf::Ack | Leaf::Command { .. } | Leaf::PayRequest | Leaf::PayReply | Leaf::PayNotice | Leaf::Plate => {}
        }
        Ok(())
    }

    /// A message in a kiosk's name that is not the kiosk's.
    fn refuse(&mut self, kiosk: &Name, why: &'static str) {
        self.refuse_as(kiosk, why, why);
    }

    fn refuse_as(&mut self, kiosk: &Name, kind: &'static str, why: &str) {
        let said = self.state.batch.kiosks.entry(kiosk.clone()).or_default();
        said.refused += 1;
        said.why = Some(why.to_owned());
        self.state.counts.refused += 1;
        let count = self.state.refused.entry(kind).or_default();
        *count += 1;
        // A flood of them must not become a flood in the log.
        if count.is_power_of_two() {
            tracing::warn!(%kiosk, why, of_this_kind = *count, "a message in a kiosk's name is not believed");
        }
    }

    /// What is known of a kiosk, from the database where it is not here. `None`: nobody is believed in its name.
    fn kiosk(&mut self, name: &Name) -> Result<Option<&mut Kiosk>, Stopped> {
        if !self.state.kiosks.contains_key(name) {
            let (verifier, key) = match self.keyring.of(name) {
                Known::Stranger => return Ok(None),
                Known::Nobodys => (Verifier::unsigned(), None),
                Known::Key(key) => (Verifier::new(format!("{}/{name}", self.fleet), key.clone()), Some(key)),
            };
            let mut verifier = verifier.remembering(REMEMBERED);
            let books = self.insist(|desk| {
                desk.database.reconnect()?;
                store::books(&mut *desk.database, &desk.fleet, name)
            })?;
            for (position, seal) in books.unwrap_or_default() {
                verifier.resume(position, seal);
            }
            self.state.kiosks.insert(name.clone(), Kiosk { verifier, key, held: 0 });
        }
        Ok(self.state.kiosks.get_mut(name))
    }

    /// An event, by its kind, or a checkpoint.
    fn proof(&mut self, name: &Name, kind: Option<&Name>, payload: &[u8]) -> Result<(), Stopped> {
        let Some(kiosk) = self.kiosk(name)? else {
            self.refuse(name, "its key is not known here");
            return Ok(());
        };
        if kind.is_none() && kiosk.key.is_none() {
            // Nothing to check it with.
            return Ok(());
        }
        let taken = match kind {
            Some(kind) => kiosk.verifier.event(kind, payload),
            None => kiosk.verifier.checkpoint(payload),
        };
        let held = kiosk.verifier.held_bytes();
        let before = std::mem::replace(&mut kiosk.held, held);
        self.state.held_bytes = (self.state.held_bytes + held).saturating_sub(before);
        let (ledger, taken) = match taken {
            Ok(taken) => taken,
            Err(why) => {
                self.not_believed(name, &why, payload);
                return Ok(());
            }
        };
        self.state.batch.said(name, false);
        let id = BookId { kiosk: name.clone(), ledger };
        match taken {
            Verdict::Proved { events, discarded } => {
                let events: Vec<EventDocument> = events.into_iter().map(|proved| proved.event).collect();
                self.go_on(&id, events);
                for _ in 0..discarded {
                    self.refuse(name, "an event in the place of the kiosk's own");
                }
                self.state.due.insert(id);
            }
            // A checkpoint comes again with the events it goes before.
            Verdict::Waits => {}
            Verdict::Again | Verdict::Early if kind.is_none() => {}
            Verdict::Again => {
                self.state.counts.again += 1;
                self.compare(&id, payload);
                self.state.due.insert(id);
            }
            Verdict::Early => {
                self.state.counts.early += 1;
                self.state.due.insert(id);
            }
        }
        Ok(())
    }

    fn go_on(&mut self, id: &BookId, events: Vec<EventDocument>) {
        let (Some(first), Some(kiosk)) = (events.first(), self.state.kiosks.get(&id.kiosk)) else { return };
        let Some(now) = kiosk.verifier.position(&id.ledger) else { return };
        let seal = kiosk.verifier.seal(&id.ledger).to_vec();
        let hash = if first.seq == 1 { String::new() } else { first.prev.clone() };
        let was = Position { ledger: id.ledger.clone(), seq: first.seq - 1, hash };
        self.state.batch.events += events.len();
        let books = &mut self.state.batch.books;
        let begun = || Continued { was, now: now.clone(), seal: Vec::new(), events: Vec::new() };
        let book = books.entry(id.clone()).or_insert_with(begun);
        (book.now, book.seal) = (now, seal);
        book.events.extend(events);
    }

    /// An event that was stored before: whether it is the same.
    fn compare(&mut self, id: &BookId, payload: &[u8]) {
        if self.state.batch.old.len() >= COMPARED {
            return;
        }
        let Ok(event) = serde_json::from_slice::<EventDocument>(payload) else { return };
        let known = self.state.kiosks.get(&id.kiosk);
        if known.is_some_and(|kiosk| !kiosk.verifier.remembers(&id.ledger, event.seq)) {
            let message = String::from_utf8_lossy(payload).into_owned();
            self.state.batch.old.push(Fork { id: id.clone(), seq: event.seq, hash: event.hash, message });
        }
    }

    fn not_believed(&mut self, kiosk: &Name, why: &Refused, payload: &[u8]) {
        let kind = match why {
            Refused::Malformed | Refused::Full => "malformed",
            Refused::Hash => "hash",
            Refused::Foreign => "foreign",
            Refused::Broken(_) => "broken",
            Refused::Other(_) => "other",
            Refused::Checkpoint(_) => "checkpoint",
            Refused::Forked(_) => "forked",
        };
        // What the kiosk's key has signed, or where there is no key: whoever can speak in its name.
        let whose = self.state.kiosks.get(kiosk);
        let fork = match why {
            Refused::Forked(seq) => Some(*seq),
            Refused::Other(seq) | Refused::Broken(seq) if whose.is_some_and(|kiosk| kiosk.key.is_none()) => Some(*seq),
            _ => None,
        };
        if let Some(seq) = fork {
            self.keep_fork(kiosk, seq, payload);
        }
        if matches!(why, Refused::Checkpoint(_)) {
            self.look_for_another_key(kiosk);
        }
        self.refuse_as(kiosk, kind, &why.to_string());
    }

    /// What came does not bear the kiosk's signature: its board may have been replaced meanwhile.
    fn look_for_another_key(&mut self, kiosk: &Name) {
        if let Some(Kiosk { key: Some(key), .. }) = self.state.kiosks.get(kiosk)
            && self.keyring.has_changed(kiosk, key)
        {
            self.state.rekeyed.insert(kiosk.clone());
        }
    }

    fn keep_fork(&mut self, kiosk: &Name, seq: u64, payload: &[u8]) {
        let message = String::from_utf8_lossy(payload).into_owned();
        let event = serde_json::from_slice::<EventDocument>(payload).map(|event| (event.ledger, event.hash)).ok();
        let checkpoint = || {
            let key = self.state.kiosks.get(kiosk)?.key.as_ref()?;
            let (Position { ledger, hash, .. }, _) = key.open(Purpose::Checkpoint, payload).ok()?;
            Some((ledger, hash))
        };
        let Some((ledger, hash)) = event.or_else(checkpoint) else { return };
        self.state.counts.forked += 1;
        let id = BookId { kiosk: kiosk.clone(), ledger };
        self.state.batch.forks.push(Fork { id, seq, hash, message });
    }

    fn inspection(&mut self, kiosk: Name, payload: Vec<u8>, kept: bool) -> Result<(), Stopped> {
        let key = match self.kiosk(&kiosk)? {
            None => {
                self.refuse(&kiosk, "its key is not known here");
                return Ok(());
            }
            // Nothing to check it with.
            Some(Kiosk { key: None, .. }) => return Ok(()),
            Some(Kiosk { key: Some(key), .. }) => key.clone(),
        };
        let address = Address { fleet: self.fleet.clone(), kiosk: kiosk.clone() };
        let opened = Inspection::open(&payload, &key).ok();
        let opened = opened.filter(|(said, by)| *by == address.to_string() && said.can_be_stored());
        match opened.zip(String::from_utf8(payload).ok()) {
            None => {
                self.look_for_another_key(&kiosk);
                self.refuse(&kiosk, "not a kiosk's own inspection");
            }
            Some(((inspection, _), _)) if inspection.is_of_the_future(Wall(self.state.batch.now.unsigned_abs())) => {
                self.refuse(&kiosk, "an inspection that is dated more than a day ahead");
            }
            Some(((inspection, _), message)) => {
                self.state.batch.said(&kiosk, kept);
                let batch = &mut self.state.batch.inspections;
                if batch.get(&kiosk).is_none_or(|known| inspection.is_newer(&known.inspection)) {
                    batch.insert(kiosk, Inspected { inspection, message });
                }
            }
        }
        Ok(())
    }

    fn status(&mut self, kiosk: Name, verb: Name, id: Name, payload: &[u8], kept: bool) -> Result<(), Stopped> {
        let key = match self.kiosk(&kiosk)? {
            None => {
                self.refuse(&kiosk, "its key is not known here");
                return Ok(());
            }
            Some(kiosk) => kiosk.key.clone(),
        };
        let opened = match &key {
            Some(key) => {
                let keys = Keys::new([(format!("{}/{kiosk}", self.fleet), key.clone())]);
                keys.open::<CommandStatus>(Purpose::CommandStatus, payload).ok().map(|(status, _)| status)
            }
            None => serde_json::from_slice(payload).ok(),
        };
        let document = opened.and_then(|status| serde_json::to_string(&status).ok());
        match document {
            None => {
                self.look_for_another_key(&kiosk);
                self.refuse(&kiosk, "not a kiosk's word on a command");
            }
            Some(document) => {
                self.state.batch.said(&kiosk, kept);
                let status = Status { document, verified: key.is_some() };
                self.state.batch.statuses.insert((kiosk, verb, id), status);
            }
        }
        Ok(())
    }

    /// Stores what was gathered, and acknowledges it.
    fn commit(&mut self) -> Result<(), Stopped> {
        let due = std::mem::take(&mut self.state.due);
        let batch = std::mem::take(&mut self.state.batch);
        let mut elsewhere = Vec::new();
        if !batch.is_empty() {
            match self.insist(|desk| store::commit(&mut *desk.database, &desk.fleet, &batch))? {
                None => {
                    // Nothing of it is stored, so what the verifiers know of it is not so.
                    self.state.kiosks.clear();
                    self.state.held_bytes = 0;
                    return Ok(());
                }
                Some(done) => {
                    for fork in &done.forks {
                        self.state.counts.forked += 1;
                        tracing::error!(kiosk = %fork.id.kiosk, ledger = fork.id.ledger, seq = fork.seq, "another event was sent in the place of a stored one: the ledger was copied");
                    }
                    elsewhere = done.elsewhere;
                }
            }
            for fork in &batch.forks {
                tracing::error!(kiosk = %fork.id.kiosk, ledger = fork.id.ledger, seq = fork.seq, "a second chain of this ledger: it was copied");
            }
            let stored = batch.books.iter().filter(|(id, _)| !elsewhere.contains(id));
            self.state.counts.stored += stored.map(|(_, book)| book.events.len() as u64).sum::<u64>();
        }
        for id in elsewhere {
            tracing::info!(kiosk = %id.kiosk, "another collector has stored events of this kiosk");
            self.state.kiosks.remove(&id.kiosk);
        }
        for kiosk in std::mem::take(&mut self.state.rekeyed) {
            tracing::info!(%kiosk, "this kiosk has another key");
            let held = self.state.kiosks.remove(&kiosk).map_or(0, |known| known.held);
            self.state.held_bytes = self.state.held_bytes.saturating_sub(held);
        }
        for id in due {
            self.acknowledge(&id)?;
        }
        Ok(())
    }

    fn acknowledge(&mut self, id: &BookId) -> Result<(), Stopped> {
        let Some(kiosk) = self.kiosk(&id.kiosk)? else { return Ok(()) };
        let nothing = || Position { ledger: id.ledger.clone(), seq: 0, hash: String::new() };
        let position = kiosk.verifier.position(&id.ledger).unwrap_or_else(nothing);
        let message = match &self.signer {
            Some(signer) => signer.sign(Purpose::Ack, &position),
            None => serde_json::to_vec(&position),
        };
        let Ok(message) = message else { return Ok(()) };
        self.state.counts.acknowledged += 1;
        self.sessions.acknowledge(&id.kiosk, &message);
        Ok(())
    }

    /// What is in memory for speed alone is bounded. Nothing is gathered now, so all of it is in the database.
    fn trim(&mut self) {
        let State { kiosks, held_bytes, .. } = &mut self.state;
        if kiosks.len() > KIOSKS {
            kiosks.clear();
            *held_bytes = 0;
        }
        if *held_bytes > HELD_BYTES {
            // Of these something does not come together; they are sent again.
            kiosks.retain(|_, kiosk| kiosk.held == 0);
            *held_bytes = 0;
        }
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

/// A JSON object, as it came. Databases have no text with a NUL in it.
fn object(payload: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(payload).ok()?;
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    drop(object);
    Some(text.to_owned())
}

/// Flat, and numbers alone.
fn figures(payload: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(payload).ok()?;
    let figures: BTreeMap<String, serde_json::Number> = serde_json::from_str(text).ok()?;
    drop(figures);
    Some(text.to_owned())
}
