//! A small back end: stores every kiosk's events without a gap and says how far it has come.
//!
//! Policy: what a real one has to do, in its simplest form. It de-duplicates by ledger and number, takes an event only
//! as the next in the chain (its `prev` is the hash of the one before), and acknowledges the highest it holds: after a
//! batch, and whenever it gets one that does not fit, so that the kiosk starts again from there. It keeps its books in
//! memory; after a restart it says "nothing yet" and is sent everything again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fleet::link::Broker;
use crate::fleet::topic::{Address, Filter, Leaf, Name, Topic};
use crate::fleet::turn;

/// Bodies kept for display; all are counted.
pub const KEPT: usize = 10_000;
/// Acknowledgements wait that long for more events…
const COALESCE: Duration = Duration::from_millis(50);
/// …or until there are so many: a kiosk with a small window must not wait for the clock when it catches up.
const BATCH: u32 = 16;
const RECONNECT: Duration = Duration::from_millis(500);
/// A stranger could invent ledgers without end.
const MAX_BOOKS: usize = 20_000;
const MAX_ID: usize = 128;
const MAX_PACKET: usize = 2 << 20;

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
}

/// A running back end; dropped, it ends.
#[derive(Debug)]
pub struct BackEnd {
    books: Arc<Mutex<Books>>,
    seen: broadcast::Sender<Seen>,
    task: JoinHandle<()>,
}

impl BackEnd {
    /// Starts it as a task of the current tokio runtime. It connects again by itself, as often as needed.
    pub fn start(broker: impl Into<Broker>, fleet: Name) -> Self {
        Self::start_with(broker.into(), None, fleet)
    }

    /// The same for a broker that is spoken to over TLS.
    pub fn start_with(broker: Broker, tls: Option<Arc<ClientConfig>>, fleet: Name) -> Self {
        let books: Arc<Mutex<Books>> = Arc::default();
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
struct Book {
    /// The highest without a gap, and its hash; 0 and empty at the beginning.
    seq: u64,
    hash: String,
    unacknowledged: u32,
}

#[derive(Debug, Default)]
struct Books {
    books: HashMap<BookId, Book>,
    tail: VecDeque<Stored>,
    counts: Counts,
    /// Whose acknowledgement is due at the next tick.
    due: BTreeSet<BookId>,
}

/// What it needs of an event; the rest is the operator's.
#[derive(Debug, Deserialize)]
struct Head {
    ledger: String,
    seq: u64,
    hash: String,
    prev: String,
}

#[derive(Debug, Serialize)]
struct Ack<'a> {
    ledger: &'a str,
    seq: u64,
    hash: &'a str,
}

impl Books {
    /// Answers whose acknowledgement should not wait.
    fn take(&mut self, kiosk: Name, kind: Name, payload: &[u8]) -> Option<BookId> {
        let head = serde_json::from_slice::<Head>(payload)
            .ok()
            .filter(|head| head.seq > 0 && head.ledger.len() <= MAX_ID && head.hash.len() <= MAX_ID);
        let (Some(head), Ok(text)) = (head, std::str::from_utf8(payload)) else {
            self.counts.malformed += 1;
            return None;
        };
        let id = BookId { kiosk, ledger: head.ledger };
        if self.books.len() >= MAX_BOOKS && !self.books.contains_key(&id) {
            self.counts.malformed += 1;
            return None;
        }
        let book = self.books.entry(id.clone()).or_default();
        self.due.insert(id.clone());
        if head.seq <= book.seq {
            self.counts.duplicates += 1;
            return None;
        }
        if head.seq > book.seq + 1 {
            self.counts.early += 1;
            return None;
        }
        // Where the chain begins is not known here.
        if book.seq > 0 && head.prev != book.hash {
            self.counts.broken += 1;
            return None;
        }
        book.seq = head.seq;
        book.hash = head.hash;
        book.unacknowledged += 1;
        let full = book.unacknowledged >= BATCH;
        self.counts.stored += 1;
        if self.tail.len() == KEPT {
            self.tail.pop_front();
        }
        self.tail.push_back(Stored {
            kiosk: id.kiosk.to_string(),
            kind: kind.to_string(),
            ledger: id.ledger.clone(),
            seq: head.seq,
            payload: text.to_owned(),
        });
        full.then_some(id)
    }

    fn ack(&self, id: &BookId) -> Option<String> {
        let book = self.books.get(id)?;
        let ack = Ack { ledger: &id.ledger, seq: book.seq, hash: &book.hash };
        Some(serde_json::to_string(&ack).expect("strings and a number always become JSON"))
    }

    fn acknowledged(&mut self, id: &BookId) {
        self.due.remove(id);
        if let Some(book) = self.books.get_mut(id) {
            book.unacknowledged = 0;
        }
    }
}

async fn run(
    broker: Broker,
    tls: Option<Arc<ClientConfig>>,
    fleet: Name,
    books: Arc<Mutex<Books>>,
    seen: broadcast::Sender<Seen>,
) {
    // A name of its own: two demos may share one broker.
    let id = format!("kioskd-back-end.{fleet}.{:08x}", getrandom::u32().unwrap_or_default());
    loop {
        let mut options = MqttOptions::new(id.clone(), broker.host.clone(), broker.port);
        options
            .set_clean_session(true)
            .set_keep_alive(Duration::from_secs(15))
            .set_max_packet_size(MAX_PACKET, MAX_PACKET);
        if let Some(tls) = &tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
        }
        let why = connection(options, &fleet, &books, &seen).await;
        tracing::debug!(why, "the back end lost its broker");
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn connection(
    options: MqttOptions,
    fleet: &Name,
    books: &Mutex<Books>,
    seen: &broadcast::Sender<Seen>,
) -> String {
    let (client, mut events) = AsyncClient::new(options, 1000);
    let mut network = events.network_options();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    let mut poll = pin!(turn(events));
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
                poll.set(turn(events));
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
                        if let Ok(Topic::Kiosk(address, Leaf::Event(kind))) = message.topic.parse()
                            && address.fleet == *fleet
                        {
                            let mut books = lock(books);
                            if let Some(full) = books.take(address.kiosk, kind, &message.payload) {
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
                let due: Vec<BookId> = books.due.iter().cloned().collect();
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
        books.acknowledged(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(books: &mut Books, seq: u64, hash: &str, prev: &str) {
        let event = serde_json::json!({ "ledger": "L", "seq": seq, "hash": hash, "prev": prev, "body": {} });
        let name = |text| Name::parse(text).unwrap();
        books.take(name("K1"), name("order-paid"), event.to_string().as_bytes());
    }

    #[test]
    fn holds_a_chain_without_gaps_and_each_event_once() {
        let mut books = Books::default();
        let id = BookId { kiosk: Name::parse("K1").unwrap(), ledger: "L".into() };
        take(&mut books, 2, "b", "a");
        assert_eq!(books.ack(&id).unwrap(), r#"{"ledger":"L","seq":0,"hash":""}"#);
        take(&mut books, 1, "a", "0");
        take(&mut books, 2, "b", "x");
        take(&mut books, 2, "b", "a");
        take(&mut books, 2, "b", "a");
        take(&mut books, 4, "d", "c");
        assert_eq!(books.ack(&id).unwrap(), r#"{"ledger":"L","seq":2,"hash":"b"}"#);
        assert_eq!(books.counts, Counts { stored: 2, duplicates: 1, early: 2, broken: 1, malformed: 0 });
        let name = |text| Name::parse(text).unwrap();
        for garbage in [&b"{"[..], b"\xff", br#"{"ledger":"L","seq":0,"hash":"","prev":""}"#] {
            books.take(name("K1"), name("x"), garbage);
        }
        assert_eq!(books.counts.malformed, 3);
    }
}
