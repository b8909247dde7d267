//! The connections to brokers: each reads what the kiosks say, and carries acknowledgements.
//!
//! Policy
//! - A connection reads no more than the desk takes: while the desk waits, the socket fills, and the broker waits too.
//! - The broker keeps a session for the collector while it is away, so that not everything must be said again. Nothing rests
//!   on it: what was not acknowledged comes again from the kiosks.
//! - Of one cluster the nodes are tried in turn. Brokers that know nothing of each other have a connection each, at once.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, Incoming, MqttOptions, Publish, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::sync::mpsc;

use super::batch::MESSAGES;
use crate::fleet::back_off::{back_off, jitter};
use crate::fleet::link::Broker;
use crate::fleet::poll_once;
use crate::fleet::tls::ClientTls;
use crate::fleet::topic::{Address, Filter, Leaf, Name, Told, Topic};

/// So many acknowledgements may be unacknowledged by the broker; fewer than rumqttc's own limit, so that its packet numbers
/// never collide.
const WINDOW: usize = 900;
const INFLIGHT: u16 = 1000;
/// Acknowledgements that wait for the connection: more than one batch can bring, for one that finds no room is sent only
/// when its kiosk has said the same again.
const WAITING: usize = 2 * MESSAGES;
/// MQTT's own limit. Larger messages than any of ours are read, to be refused: a client that hangs up on one is sent it again
/// on every connection where the broker keeps it, and would be kept away.
const MAX_PACKET: usize = 268_435_455;
/// Bytes of a message that is looked at.
const LONGEST: usize = 128 << 10;
const CONNECT_SECONDS: u64 = 10;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// rumqttc pings, so something happens more often than this.
const SILENCE: Duration = Duration::from_secs(40);
const BACK_OFF_UNIT: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(15);
/// A connection that lasted so long counts as good: the next try comes soon.
const GOOD: Duration = Duration::from_secs(30);

/// A message of a kiosk.
#[derive(Debug, Clone)]
pub struct Heard {
    pub kiosk: Name,
    pub leaf: Leaf,
    pub payload: Vec<u8>,
    /// The broker had it already.
    pub kept: bool,
}

/// What every connection is made with.
pub struct SessionConfig {
    /// The nodes of one cluster.
    pub nodes: Vec<Broker>,
    pub tls: Option<ClientTls>,
    pub client_id: String,
    pub fleet: Name,
}

/// Whether the collector ends.
#[derive(Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub fn stop(&self) {
        let (stopped, wake) = &*self.0;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
    }

    /// Waits; whether it ends.
    fn pause(&self, pause: Duration) -> bool {
        let (stopped, wake) = &*self.0;
        let guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) =
            wake.wait_timeout_while(guard, pause, |stopped| !*stopped).unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}

/// The other end of every connection.
pub struct Sessions {
    fleet: Name,
    outgoing: Vec<Outgoing>,
    stop: Stop,
}

/// To one broker, while the connection is up.
struct Outgoing {
    queue: mpsc::Sender<(Topic, Vec<u8>)>,
    up: Arc<AtomicBool>,
}

impl Sessions {
    /// Starts them as tasks of the current runtime; what they hear goes to `inbox`.
    pub fn start(configs: Vec<SessionConfig>, fleet: Name, inbox: &mpsc::Sender<Heard>, stop: Stop) -> Self {
        let start = |config: SessionConfig| {
            let (outgoing, queue) = mpsc::channel(WAITING);
            let up = Arc::new(AtomicBool::new(false));
            let task = SessionTask { config, inbox: inbox.clone(), queue, up: Arc::clone(&up) };
            tokio::spawn(task.run());
            Outgoing { queue: outgoing, up }
        };
        Self { fleet, outgoing: configs.into_iter().map(start).collect(), stop }
    }

    /// To every broker, for the kiosk may be at any. What finds no room is not sent: the kiosk sends its next event again,
    /// and is answered then.
    pub fn acknowledge(&self, kiosk: &Name, message: &[u8]) {
        let topic = Address { fleet: self.fleet.clone(), kiosk: kiosk.clone() }.topic(Leaf::Ack);
        for Outgoing { queue, .. } in self.outgoing.iter().filter(|outgoing| outgoing.up.load(Ordering::Relaxed)) {
            drop(queue.try_send((topic.clone(), message.to_vec())));
        }
    }

    /// Waits; whether the collector ends.
    pub fn pause(&self, pause: Duration) -> bool {
        self.stop.pause(pause)
    }
}

struct SessionTask {
    config: SessionConfig,
    inbox: mpsc::Sender<Heard>,
    queue: mpsc::Receiver<(Topic, Vec<u8>)>,
    up: Arc<AtomicBool>,
}

impl SessionTask {
    async fn run(mut self) {
        let (mut failures, mut reported, mut node) = (0_u32, String::new(), 0);
        loop {
            let started = Instant::now();
            let broker = self.config.nodes[node % self.config.nodes.len()].clone();
            let mut listened = false;
            let why = self.connection(&broker, &mut listened).await;
            self.up.store(false, Ordering::Relaxed);
            if self.inbox.is_closed() {
                return;
            }
            if listened || why != reported {
                tracing::warn!(%broker, why, "the connection to the broker is lost");
                reported = why;
            }
            failures = if listened && started.elapsed() >= GOOD { 0 } else { failures.saturating_add(1) };
            node += 1;
            // The first try at the other nodes of a cluster comes at once.
            if usize::try_from(failures).unwrap_or(usize::MAX) >= self.config.nodes.len() {
                tokio::time::sleep(jitter(back_off(failures, BACK_OFF_UNIT, BACK_OFF_MAX))).await;
            }
        }
    }

    fn filters(&self) -> Vec<String> {
        let told = Told::ALL.map(|told| Filter::Told { fleet: self.config.fleet.clone(), told }.to_string());
        let statuses = Filter::EveryonesStatuses(self.config.fleet.clone()).to_string();
        told.into_iter().chain([statuses]).collect()
    }

    /// A broker whose access list has not the newest topics must not stop the collecting of sales.
    fn is_dispensable(&self, filter: &str) -> bool {
        filter == Filter::Told { fleet: self.config.fleet.clone(), told: Told::Inspections }.to_string()
    }

    /// One connection, to its end; why it ended. `listened`: the broker has granted what the collector wants to hear.
    async fn connection(&mut self, broker: &Broker, listened: &mut bool) -> String {
        let mut options = MqttOptions::new(self.config.client_id.clone(), broker.host.clone(), broker.port);
        options
            .set_clean_session(false)
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(MAX_PACKET, MAX_PACKET)
            .set_inflight(INFLIGHT);
        if broker.tls {
            match self.config.tls.as_ref().map(ClientTls::now) {
                Some(Ok(tls)) => {
                    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
                }
                Some(Err(why)) => return format!("TLS is not set up: {why}"),
                None => return "TLS is not set up".into(),
            }
        }
        let (client, mut events) = AsyncClient::new(options, usize::from(INFLIGHT));
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_SECONDS);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let (mut pending, mut last) = (0_usize, Instant::now());
        // The filters in the order of their subscriptions, and by number those that the broker has not answered.
        let (mut unsent, mut asked) = (VecDeque::<String>::new(), HashMap::<u16, String>::new());
        let mut poll = pin!(poll_once(events));
        loop {
            let up = self.up.load(Ordering::Relaxed);
            tokio::select! {
                (events, event) = &mut poll => {
                    poll.set(poll_once(events));
                    last = Instant::now();
                    match event {
                        Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                            // What the broker has kept comes before its answer to the subscriptions, and is acknowledged.
                            self.up.store(true, Ordering::Relaxed);
                            for filter in self.filters() {
                                // The channel is empty: there is room.
                                drop(client.try_subscribe(&filter, QoS::AtLeastOnce));
                                unsent.push_back(filter);
                            }
                        }
                        Ok(Event::Outgoing(rumqttc::Outgoing::Subscribe(id))) => {
                            asked.extend(unsent.pop_front().map(|filter| (id, filter)));
                        }
                        Ok(Event::Incoming(Incoming::SubAck(answer))) => {
                            let filter = asked.remove(&answer.pkid).unwrap_or_default();
                            if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                                if !self.is_dispensable(&filter) {
                                    return format!("the broker refuses the subscription to {filter}");
                                }
                                tracing::warn!(%broker, filter, "the broker refuses a subscription, so no inspection is \
                                    stored: its access list is older than this collector");
                            }
                            if !std::mem::replace(listened, true) {
                                tracing::info!(%broker, "the collector listens");
                            }
                        }
                        Ok(Event::Incoming(Incoming::Publish(message))) => {
                            if let Some(heard) = self.read(message)
                                && self.inbox.send(heard).await.is_err()
                            {
                                return "the collector ends".into();
                            }
                            // Waiting for the desk is no silence of the broker's.
                            last = Instant::now();
                        }
                        Ok(Event::Incoming(Incoming::PubAck(_))) => pending = pending.saturating_sub(1),
                        Ok(_) => {}
                        Err(rumqttc::ConnectionError::Io(error)) => return error.to_string(),
                        Err(error) => return error.to_string(),
                    }
                }
                Some((topic, message)) = self.queue.recv(), if up && pending < WINDOW => {
                    if client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, message).is_ok() {
                        pending += 1;
                    }
                }
                () = self.inbox.closed() => return "the collector ends".into(),
                () = tokio::time::sleep_until((last + SILENCE).into()) => return "the connection hangs".into(),
            }
        }
    }

    /// A message that may be a kiosk's; whatever else is on these topics is nobody's.
    fn read(&self, message: Publish) -> Option<Heard> {
        let Ok(Topic::Kiosk(address, leaf)) = message.topic.parse() else { return None };
        if address.fleet != self.config.fleet {
            return None;
        }
        // The desk refuses what is empty, and counts it; nothing longer is kept in memory.
        let payload = if message.payload.len() > LONGEST { b"too long".to_vec() } else { message.payload.to_vec() };
        Some(Heard { kiosk: address.kiosk, leaf, payload, kept: message.retain })
    }
}
