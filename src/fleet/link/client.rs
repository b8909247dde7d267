//! One MQTT client, used for one connection and then thrown away.
//!
//! The reason: after a lost session rumqttc drops publishes it had accepted, and it can wait for ever for a packet
//! number that never comes back. A new client remembers neither; the outbox and [`Pending`](super::pending) know what
//! to send again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, EventLoop, LastWill, MqttOptions, QoS, TlsConfiguration, Transport};

use super::{Broker, LinkConfig};
use crate::fleet::command::CommandStatus;
use crate::fleet::topic::{Leaf, Topic};

pub(super) const ONLINE: &str = "online";
pub(super) const OFFLINE: &str = "offline";

/// So many packets besides events may be in flight: presence, state, alarms, checkpoints, subscriptions.
const MESSAGES: u16 = 32;
/// So many requests to the gateway may be in flight, beside events and messages.
const REQUESTS: u16 = 16;
/// Larger messages than the longest acknowledgement are read and refused: a client that disconnects because of one
/// would receive a retained one again on every connection.
const MAX_INCOMING: usize = 4 << 20;
/// MQTT's own limit; the broker's limit is unknown.
const MAX_OUTGOING: usize = 268_435_455;
const CONNECT_SECONDS: u64 = 10;

#[derive(Debug)]
pub(super) struct MqttClient {
    client: AsyncClient,
    /// QoS 1 publishes that the broker has not acknowledged, in the order they were handed over.
    waiting: VecDeque<Waiting>,
    /// How many of these are requests to the gateway.
    requests: usize,
    window: usize,
}

#[derive(Debug)]
struct Waiting {
    /// The packet's number, once it has one.
    number: Option<u16>,
    since: Instant,
    request: bool,
    /// Whether it is what this lane tells its site.
    facts: bool,
    /// What it says of a command; nobody has it for sure before the broker's acknowledgement.
    status: Option<CommandStatus>,
}

impl MqttClient {
    /// Makes a client.
    ///
    /// # Errors
    /// Why not, where the broker wants TLS and there is none.
    pub fn open(config: &LinkConfig, broker: &Broker) -> Result<(Self, EventLoop), String> {
        let mut options = MqttOptions::new(config.client_id.clone(), broker.host.clone(), broker.port);
        let window = config.window();
        let inflight = window + MESSAGES + REQUESTS;
        options
            // A session kept by the broker would be worth nothing here and would bring old acknowledgements back.
            .set_clean_session(true)
            .set_keep_alive(config.keep_alive.max(Duration::from_secs(1)))
            .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING)
            .set_inflight(inflight)
            .set_last_will(LastWill::new(
                config.address.topic(Leaf::Presence).to_string(),
                OFFLINE,
                QoS::AtLeastOnce,
                true,
            ));
        if broker.tls {
            let tls = config.tls.as_ref().ok_or("TLS to the broker is not set up")?;
            let tls = tls.now().map_err(|error| format!("TLS to the broker is not set up: {error}"))?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        }
        let (client, mut events) = AsyncClient::new(options, usize::from(inflight));
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_SECONDS);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let client = Self {
            client,
            waiting: VecDeque::with_capacity(usize::from(inflight)),
            requests: 0,
            window: usize::from(window),
        };
        Ok((client, events))
    }

    /// How many events it would take now. Events, messages and requests each have their own room, all of them together
    /// rumqttc's own limit, so that its packet numbers never collide while the broker answers in order.
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.waiting.len() - self.requests)
    }

    /// Whether it would take a message that is neither an event nor a request.
    pub fn has_room(&self) -> bool {
        self.waiting.len() - self.requests < self.window + usize::from(MESSAGES)
    }

    pub fn has_request_room(&self) -> bool {
        self.requests < usize::from(REQUESTS)
    }

    /// Whether nothing waits for the broker.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Publishes a message; `false` when there is no room now.
    pub fn publish(
        &mut self,
        topic: &Topic,
        qos: QoS,
        retain: bool,
        payload: impl Into<Vec<u8>>,
        now: Instant,
    ) -> bool {
        if qos != QoS::AtMostOnce && !self.has_room() {
            return false;
        }
        let taken = self.client.try_publish(topic.to_string(), qos, retain, payload).is_ok();
        if taken && qos != QoS::AtMostOnce {
            self.waiting.push_back(Waiting { number: None, since: now, request: false, facts: false, status: None });
        }
        taken
    }

    /// Publishes a request to the gateway. Call it only while there is room.
    pub fn ask(&mut self, topic: &Topic, request: Vec<u8>, now: Instant) {
        if self.client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, request).is_ok() {
            self.waiting.push_back(Waiting { number: None, since: now, request: true, facts: false, status: None });
            self.requests += 1;
        }
    }

    /// Publishes what is said of a command; `false` when there is no room now.
    pub fn publish_status(&mut self, topic: &Topic, status: &CommandStatus, payload: Vec<u8>, now: Instant) -> bool {
        let taken = self.publish(topic, QoS::AtLeastOnce, false, payload, now);
        if let Some(last) = self.waiting.back_mut().filter(|_| taken) {
            last.status = Some(status.clone());
        }
        taken
    }

    /// Publishes what this lane tells its site; `false` when there is no room now.
    pub fn publish_facts(&mut self, topic: &Topic, message: Vec<u8>, now: Instant) -> bool {
        let taken = self.publish(topic, QoS::AtLeastOnce, true, message, now);
        if let Some(last) = self.waiting.back_mut().filter(|_| taken) {
            last.facts = true;
        }
        taken
    }

    /// Whether a part of a file is on its way.
    pub fn has_part(&self) -> bool {
        self.waiting.iter().filter_map(|waiting| waiting.status.as_ref()).any(|status| status.part.is_some())
    }

    /// What was said of commands and may not have arrived.
    pub fn unacknowledged_statuses(&mut self) -> impl Iterator<Item = CommandStatus> {
        self.waiting.iter_mut().filter_map(|waiting| waiting.status.take())
    }

    /// Subscribes to a filter. Call it only at the start of a connection, when there is room.
    pub fn subscribe(&self, filter: impl ToString, qos: QoS) -> bool {
        self.client.try_subscribe(filter.to_string(), qos).is_ok()
    }

    /// Unsubscribes from a filter; `false` while the channel is full.
    pub fn unsubscribe(&self, filter: impl ToString) -> bool {
        self.client.try_unsubscribe(filter.to_string()).is_ok()
    }

    pub fn disconnect(&self) -> bool {
        self.client.try_disconnect().is_ok()
    }

    /// A publish was sent with this packet number; 0 is QoS 0.
    pub fn packet_sent(&mut self, number: u16) {
        if number != 0
            && let Some(first) = self.waiting.iter_mut().find(|waiting| waiting.number.is_none())
        {
            first.number = Some(number);
        }
    }

    /// The broker has acknowledged a packet, which says nothing about the back end. Answers whether it was what this lane tells
    /// its site.
    pub fn packet_acknowledged(&mut self, number: u16) -> bool {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.number == Some(number))
            && let Some(taken) = self.waiting.remove(at)
        {
            self.requests -= usize::from(taken.request);
            return taken.facts;
        }
        false
    }

    /// When the oldest unacknowledged publish was handed over.
    pub fn oldest_pending(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.since)
    }
}
