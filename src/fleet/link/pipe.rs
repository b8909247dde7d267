//! One MQTT client, used for one connection and then thrown away.
//!
//! Why thrown away: after a lost session rumqttc drops publishes it had accepted, and it can wait for ever for a packet
//! number that never comes back. A fresh client has neither memory; the outbox and the desk know what to say again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, EventLoop, LastWill, MqttOptions, QoS, TlsConfiguration, Transport};

use super::Settings;
use crate::fleet::topic::{Leaf, Topic};

pub(super) const ONLINE: &str = "online";
pub(super) const OFFLINE: &str = "offline";

/// Packets besides events that may be on their way: presence, state, alarms, subscriptions.
const NOTES: u16 = 32;
/// Larger messages than the longest acknowledgement are read, to be refused: a client that hangs up on them would meet
/// a retained one again on every connection.
const MAX_INCOMING: usize = 4 << 20;
/// MQTT's own limit; the broker's is not ours to guess.
const MAX_OUTGOING: usize = 268_435_455;
const CONNECT_SECONDS: u64 = 10;

#[derive(Debug)]
pub(super) struct Pipe {
    client: AsyncClient,
    /// QoS 1 publishes that the broker has not taken, in the order they were handed over; the packet number once it has
    /// one.
    waiting: VecDeque<(Option<u16>, Instant)>,
    window: usize,
    inflight: usize,
}

impl Pipe {
    /// `None`: the broker is to be reached over TLS, and nothing says how.
    pub fn open(settings: &Settings) -> Option<(Self, EventLoop)> {
        let mut options =
            MqttOptions::new(settings.client_id.clone(), settings.broker.host.clone(), settings.broker.port);
        let window = settings.window();
        let inflight = window + NOTES;
        options
            // A session kept by the broker would be worth nothing here and would bring old acknowledgements back.
            .set_clean_session(true)
            .set_keep_alive(settings.keep_alive.max(Duration::from_secs(1)))
            .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING)
            .set_inflight(inflight)
            .set_last_will(LastWill::new(
                settings.address.topic(Leaf::Presence).to_string(),
                OFFLINE,
                QoS::AtLeastOnce,
                true,
            ));
        if settings.broker.tls {
            let config = settings.tls.clone()?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        let (client, mut events) = AsyncClient::new(options, usize::from(inflight));
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_SECONDS);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let pipe = Self {
            client,
            waiting: VecDeque::with_capacity(usize::from(inflight)),
            window: usize::from(window),
            inflight: usize::from(inflight),
        };
        Some((pipe, events))
    }

    /// How many events it would take now. Below rumqttc's own limit, so that its packet numbers never collide while the
    /// broker answers in order.
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.waiting.len())
    }

    /// Whether it would take a message that is not an event.
    pub fn takes_notes(&self) -> bool {
        self.waiting.len() < self.inflight
    }

    /// Whether nothing waits for the broker.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// `false`: no room now.
    pub fn publish(&mut self, topic: &Topic, qos: QoS, retain: bool, payload: String, now: Instant) -> bool {
        if qos != QoS::AtMostOnce && !self.takes_notes() {
            return false;
        }
        let taken = self.client.try_publish(topic.to_string(), qos, retain, payload).is_ok();
        if taken && qos != QoS::AtMostOnce {
            self.waiting.push_back((None, now));
        }
        taken
    }

    /// Only at the start of a connection, when there is room.
    pub fn subscribe(&self, filter: impl ToString, qos: QoS) -> bool {
        self.client.try_subscribe(filter.to_string(), qos).is_ok()
    }

    pub fn disconnect(&self) -> bool {
        self.client.try_disconnect().is_ok()
    }

    /// A publish has gone out and has got this packet number; 0 is QoS 0.
    pub fn went_out(&mut self, number: u16) {
        if number != 0
            && let Some(slot) = self.waiting.iter_mut().find(|(known, _)| known.is_none())
        {
            slot.0 = Some(number);
        }
    }

    /// The broker has taken it, which says nothing about the back end.
    pub fn taken(&mut self, number: u16) {
        if let Some(at) = self.waiting.iter().position(|(known, _)| *known == Some(number)) {
            self.waiting.remove(at);
        }
    }

    /// Since when the oldest publish waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, since)| *since)
    }
}
