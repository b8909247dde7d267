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

/// Packets besides events that may be on their way: presence, state, alarms, checkpoints, subscriptions.
const NOTES: u16 = 32;
/// Questions to the gateway that may be on their way, beside events and notes.
const QUESTIONS: u16 = 16;
/// Larger messages than the longest acknowledgement are read, to be refused: a client that hangs up on them would meet
/// a retained one again on every connection.
const MAX_INCOMING: usize = 4 << 20;
/// MQTT's own limit; the broker's is not ours to guess.
const MAX_OUTGOING: usize = 268_435_455;
const CONNECT_SECONDS: u64 = 10;

#[derive(Debug)]
pub(super) struct Pipe {
    client: AsyncClient,
    /// QoS 1 publishes that the broker has not taken, in the order they were handed over.
    waiting: VecDeque<Waiting>,
    /// Of these, questions.
    questions: usize,
    window: usize,
}

#[derive(Debug)]
struct Waiting {
    /// The packet's, once it has one.
    number: Option<u16>,
    since: Instant,
    question: bool,
}

impl Pipe {
    /// `None`: the broker is to be reached over TLS, and nothing says how.
    pub fn open(settings: &Settings) -> Option<(Self, EventLoop)> {
        let mut options =
            MqttOptions::new(settings.client_id.clone(), settings.broker.host.clone(), settings.broker.port);
        let window = settings.window();
        let inflight = window + NOTES + QUESTIONS;
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
            questions: 0,
            window: usize::from(window),
        };
        Some((pipe, events))
    }

    /// How many events it would take now. Events, notes and questions each have their own room, all of them together
    /// rumqttc's own limit, so that its packet numbers never collide while the broker answers in order.
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.waiting.len() - self.questions)
    }

    /// Whether it would take a message that is neither an event nor a question.
    pub fn takes_notes(&self) -> bool {
        self.waiting.len() - self.questions < self.window + usize::from(NOTES)
    }

    pub fn takes_questions(&self) -> bool {
        self.questions < usize::from(QUESTIONS)
    }

    /// Whether nothing waits for the broker.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// `false`: no room now.
    pub fn publish(
        &mut self,
        topic: &Topic,
        qos: QoS,
        retain: bool,
        payload: impl Into<Vec<u8>>,
        now: Instant,
    ) -> bool {
        if qos != QoS::AtMostOnce && !self.takes_notes() {
            return false;
        }
        let taken = self.client.try_publish(topic.to_string(), qos, retain, payload).is_ok();
        if taken && qos != QoS::AtMostOnce {
            self.waiting.push_back(Waiting { number: None, since: now, question: false });
        }
        taken
    }

    /// Only while there is room.
    pub fn ask(&mut self, topic: &Topic, question: Vec<u8>, now: Instant) {
        if self.client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, question).is_ok() {
            self.waiting.push_back(Waiting { number: None, since: now, question: true });
            self.questions += 1;
        }
    }

    /// Only at the start of a connection, when there is room.
    pub fn subscribe(&self, filter: impl ToString, qos: QoS) -> bool {
        self.client.try_subscribe(filter.to_string(), qos).is_ok()
    }

    /// Refused while the channel is full.
    pub fn unsubscribe(&self, filter: impl ToString) -> bool {
        self.client.try_unsubscribe(filter.to_string()).is_ok()
    }

    pub fn disconnect(&self) -> bool {
        self.client.try_disconnect().is_ok()
    }

    /// A publish has gone out and has got this packet number; 0 is QoS 0.
    pub fn went_out(&mut self, number: u16) {
        if number != 0
            && let Some(first) = self.waiting.iter_mut().find(|waiting| waiting.number.is_none())
        {
            first.number = Some(number);
        }
    }

    /// The broker has taken it, which says nothing about the back end.
    pub fn taken(&mut self, number: u16) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.number == Some(number))
            && let Some(taken) = self.waiting.remove(at)
        {
            self.questions -= usize::from(taken.question);
        }
    }

    /// Since when the oldest publish waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.since)
    }
}
