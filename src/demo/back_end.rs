//! A small back end: stores every kiosk's events without a gap and says how far it has come.
//!
//! Policy: what a real one has to do, in its simplest form. It takes what a [`Verifier`] takes: for a kiosk whose key
//! it knows that is what the kiosk has signed for, whoever else may publish; what is forged is counted and told in the
//! log, and changes nothing. It acknowledges, signed, the highest event it holds: after a batch, and whenever it gets
//! one that does not fit, so that the kiosk starts again from there. It keeps its books in memory; after a restart it
//! says "nothing yet" and is sent everything again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Packet, QoS};
use rustls::ClientConfig;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::mqtt;
use crate::fleet::link::Broker;
use crate::fleet::poll_once;
use crate::fleet::proof::{Refused, Verdict, Verifier};
use crate::fleet::topic::{Address, Filter, Leaf, Name, Topic};
use crate::signed::jws::{PublicKey, Purpose, Signer};

/// Bodies kept for display; all are counted.
pub const KEPT: usize = 10_000;
/// Acknowledgements wait that long for more events…
const COALESCE: Duration = Duration::from_millis(50);
/// …or until there are so many: a kiosk with a small window must not wait for the clock when it catches up.
const BATCH: u32 = 16;
const RECONNECT: Duration = Duration::from_millis(500);
/// A stranger could invent kiosks without end.
const MAX_KIOSKS: usize = 20_000;

/// One event as it was stored.
#[derive(Debug, Clone, Serialize)]
pub struct Stored {
    pub kiosk: String,
    pub kind: String,
    pub ledger: String,
    pub seq: u64,
    /// The JSON document as it came.
    pub payload: String,
}

/// One message of the fleet, for display.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    pub topic: String,
    pub payload: String,
    pub retained: bool,
}

/// What happened to the events that came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub stored: u64,
    pub duplicates: u64,
    /// Came before the one that belongs before it.
    pub early: u64,
    /// Does not continue the chain.
    pub broken: u64,
    /// Not an event.
    pub malformed: u64,
    /// Altered, or never the kiosk's: events and checkpoints.
    pub forged: u64,
    /// The kiosk's key has signed two chains.
    pub forked: u64,
}

/// Whose signatures it can check, and its own.
#[derive(Debug, Default)]
pub struct Trust {
    pub kiosks: BTreeMap<Name, PublicKey>,
    /// Signs acknowledgements.
    pub signer: Option<Signer>,
}

/// A running back end; dropped, it ends.
#[derive(Debug)]
pub struct BackEnd {
    books: Arc<Mutex<Books>>,
    seen: broadcast::Sender<Seen>,
    task: JoinHandle<()>,
}

impl BackEnd {
    /// Starts it as a task of the current tokio runtime. It connects again by itself, as often as needed. It knows
    /// nobody's key.
    pub fn start(broker: impl Into<Broker>, fleet: Name) -> Self {
        Self::start_with(broker.into(), None, fleet, Trust::default())
    }

    /// The same with keys, and for a broker that may be spoken to over TLS.
    pub fn start_with(broker: Broker, tls: Option<Arc<ClientConfig>>, fleet: Name, trust: Trust) -> Self {
        let books = Arc::new(Mutex::new(Books { trust, fleet: Some(fleet.clone()), ..Books::default() }));
        let (seen, _) = broadcast::channel(1024);
        let task = tokio::spawn(run(broker, tls, fleet, Arc::clone(&books), seen.clone()));
        Self { books, seen, task }
    }

    /// The last `n` events of all kiosks, oldest first.
    pub fn events_tail(&self, n: usize) -> Vec<Stored> {
        let books = lock(&self.books);
        books.tail.iter().skip(books.tail.len().saturating_sub(n)).cloned().collect()
    }

    pub fn counts(&self) -> Counts {
        lock(&self.books).counts
    }

    /// Everything that is said in the fleet from now on. Who reads too slowly misses some.
    pub fn watch(&self) -> broadcast::Receiver<Seen> {
        self.seen.subscribe()
    }
}

impl Drop for BackEnd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One kiosk's ledger; a kiosk whose storage was replaced has a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct BookId {
    kiosk: Name,
    ledger: String,
}

#[derive(Debug, Default)]
struct Books {
    trust: Trust,
    fleet: Option<Name>,
    kiosks: HashMap<Name, Verifier>,
    tail: VecDeque<Stored>,
    counts: Counts,
    /// Whose acknowledgement is due at the next tick, and how many events it is about.
    due: BTreeMap<BookId, u32>,
}

/// What a kiosk publishes and the back end keeps.
enum Message {
    Event(Name),
    Checkpoint,
}

impl Books {
    /// Answers whose acknowledgement should not wait.
    fn take(&mut self, kiosk: Name, message: &Message, payload: &[u8]) -> Option<BookId> {
        let known = self.trust.kiosks.get(&kiosk);
        if self.kiosks.len() >= MAX_KIOSKS && known.is_none() && !self.kiosks.contains_key(&kiosk) {
            self.counts.malformed += 1;
            return None;
        }
        let fleet = self.fleet.as_ref();
        let verifier = self.kiosks.entry(kiosk.clone()).or_insert_with(|| match (known, fleet) {
            (Some(key), Some(fleet)) => Verifier::new(format!("{fleet}/{kiosk}"), key.clone()),
            _ => Verifier::unsigned(),
        });
        let taken = match message {
            Message::Event(kind) => verifier.event(kind, payload),
            // Nothing to check it with.
            Message::Checkpoint if known.is_none() => return None,
            Message::Checkpoint => verifier.checkpoint(payload),
        };
        let (ledger, taken) = match taken {
            Ok(taken) => taken,
            Err(refused) => {
                self.refused(&kiosk, &refused);
                return None;
            }
        };
        let id = BookId { kiosk, ledger };
        let stored = match taken {
            Verdict::Proved { events, discarded } => {
                self.counts.forged += discarded as u64;
                let stored = events.len() as u32;
                for proved in events {
                    self.counts.stored += 1;
                    if self.tail.len() == KEPT {
                        self.tail.pop_front();
                    }
                    self.tail.push_back(Stored {
                        kiosk: id.kiosk.to_string(),
                        kind: proved.event.kind,
                        ledger: id.ledger.clone(),
                        seq: proved.event.seq,
                        payload: proved.document,
                    });
                }
                stored
            }
            Verdict::Waits => return None,
            // A checkpoint comes again with the events it goes before.
            Verdict::Again | Verdict::Early if matches!(message, Message::Checkpoint) => return None,
            Verdict::Again => {
                self.counts.duplicates += 1;
                0
            }
            Verdict::Early => {
                self.counts.early += 1;
                0
            }
        };
        let due = self.due.entry(id.clone()).or_default();
        *due += stored;
        (*due >= BATCH).then_some(id)
    }

    fn refused(&mut self, kiosk: &Name, why: &Refused) {
        let count = match why {
            Refused::Malformed | Refused::Full => &mut self.counts.malformed,
            Refused::Broken(_) => &mut self.counts.broken,
            Refused::Forked(_) => &mut self.counts.forked,
            Refused::Hash | Refused::Foreign | Refused::Other(_) | Refused::Checkpoint(_) => &mut self.counts.forged,
        };
        *count += 1;
        // A flood of them must not become a flood in the log.
        if count.is_power_of_two() {
            tracing::warn!(%kiosk, %why, of_this_kind = *count, "a message in a kiosk's name could not be verified");
        }
    }

    fn ack(&self, id: &BookId) -> Option<Vec<u8>> {
        let position = self.kiosks.get(&id.kiosk)?.position(&id.ledger)?;
        let signed = match &self.trust.signer {
            Some(signer) => signer.sign(Purpose::Ack, &position),
            None => serde_json::to_vec(&position),
        };
        Some(signed.expect("texts and a number always become JSON"))
    }
}

async fn run(
    broker: Broker,
    tls: Option<Arc<ClientConfig>>,
    fleet: Name,
    books: Arc<Mutex<Books>>,
    seen: broadcast::Sender<Seen>,
) {
    let id = mqtt::client_id("back-end", &fleet);
    loop {
        let (client, events) = mqtt::connect(&id, &broker, tls.as_ref(), 1000);
        let why = connection(client, events, &fleet, &books, &seen).await;
        tracing::debug!(why, "the back end lost its broker");
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn connection(
    client: AsyncClient,
    events: EventLoop,
    fleet: &Name,
    books: &Mutex<Books>,
    seen: &broadcast::Sender<Seen>,
) -> String {
    let mut poll = pin!(poll_once(events));
    let mut due_at: Option<Instant> = None;
    loop {
        let tick = async {
            match due_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (events, event) = &mut poll => {
                poll.set(poll_once(events));
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        // The channel is empty: there is room.
                        drop(client.try_subscribe(Filter::Fleet(fleet.clone()).to_string(), QoS::AtLeastOnce));
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        if seen.receiver_count() > 0 {
                            // Fails only when the last receiver has just gone.
                            drop(seen.send(Seen {
                                topic: message.topic.clone(),
                                payload: String::from_utf8_lossy(&message.payload).into_owned(),
                                retained: message.retain,
                            }));
                        }
                        let (address, kept) = match message.topic.parse() {
                            Ok(Topic::Kiosk(address, Leaf::Event(kind))) => (address, Message::Event(kind)),
                            Ok(Topic::Kiosk(address, Leaf::Checkpoint)) => (address, Message::Checkpoint),
                            _ => continue,
                        };
                        if address.fleet == *fleet {
                            let mut books = lock(books);
                            if let Some(full) = books.take(address.kiosk, &kept, &message.payload) {
                                acknowledge(&client, fleet, &mut books, &full);
                            }
                            if !books.due.is_empty() {
                                due_at.get_or_insert_with(|| Instant::now() + COALESCE);
                            }
                        }
                    }
                    Ok(_) => {}
                    Err(error) => return error.to_string(),
                }
            }
            () = tick => {
                let mut books = lock(books);
                let due: Vec<BookId> = books.due.keys().cloned().collect();
                for id in due {
                    acknowledge(&client, fleet, &mut books, &id);
                }
                due_at = (!books.due.is_empty()).then(|| Instant::now() + COALESCE);
            }
        }
    }
}

/// Stays due when there is no room.
fn acknowledge(client: &AsyncClient, fleet: &Name, books: &mut Books, id: &BookId) {
    let Some(ack) = books.ack(id) else { return };
    let topic = Address { fleet: fleet.clone(), kiosk: id.kiosk.clone() }.topic(Leaf::Ack);
    if client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, ack).is_ok() {
        books.due.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{EventDocument, GENESIS};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn event(seq: u64, prev: &str, text: &str) -> EventDocument {
        let mut event = EventDocument {
            ledger: "L".into(),
            seq,
            hash: String::new(),
            prev: prev.into(),
            boot: "b".into(),
            mono: 1,
            ts: None,
            order: None,
            kind: "sales-resumed".into(),
            text: format!(r#"{{"kind":"sales-resumed","n":"{text}"}}"#),
        };
        event.hash = event.recomputed();
        event
    }

    #[test]
    fn holds_a_chain_without_gaps_and_each_event_once() {
        let mut books = Books::default();
        let kind = Message::Event(name("sales-resumed"));
        let mut take = |event: &EventDocument| {
            books.take(name("K1"), &kind, serde_json::to_string(event).unwrap().as_bytes());
            let id = BookId { kiosk: name("K1"), ledger: "L".into() };
            String::from_utf8(books.ack(&id).unwrap()).unwrap()
        };
        let one = event(1, GENESIS, "1");
        let two = event(2, &one.hash, "2");
        let four = event(4, &two.hash, "4");
        assert_eq!(take(&two), r#"{"ledger":"L","seq":0,"hash":""}"#);
        take(&one);
        take(&event(2, GENESIS, "x"));
        take(&two);
        take(&two);
        take(&four);
        // The number of one event and the hash of another, and a text that was changed.
        take(&EventDocument { hash: one.hash.clone(), ..event(3, &two.hash, "3") });
        let last =
            take(&EventDocument { text: r#"{"kind":"sales-resumed","n":"4"}"#.into(), ..event(3, &two.hash, "3") });
        assert_eq!(last, format!(r#"{{"ledger":"L","seq":2,"hash":"{}"}}"#, two.hash));
        for garbage in [&b"{"[..], b"\xff", br#"{"ledger":"L","seq":0,"hash":"","prev":""}"#] {
            books.take(name("K1"), &kind, garbage);
        }
        let expected = Counts { stored: 2, duplicates: 1, early: 2, broken: 1, malformed: 3, forged: 2, forked: 0 };
        assert_eq!(books.counts, expected);
    }
}
