//! One connection to the MQTT broker: it subscribes to one filter, and publishes with confirmation.
//!
//! Policy: nothing is queued while there is no connection. What can't be published now fails with [`NotConnected`] at
//! once, because whoever waits for it asks again: the kiosk with its next request, the provider with its next
//! notification. Every connection is a new client and a clean session (see [`link`](crate::fleet::link) for why). It is
//! given up when the broker does not acknowledge a publish, and the next try comes after `rand(0, min(30 s, 2^n s))`.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, Outgoing, Publish, QoS, SubscribeReasonCode};
use tokio::sync::{mpsc, oneshot, watch};

use super::config::MqttBroker;
use crate::fleet::back_off::{back_off, jitter};
use crate::fleet::poll_once;
use crate::fleet::topic::{Filter, Topic};

/// So many publishes may be unacknowledged; fewer than rumqttc's own limit, so that its packet numbers never collide.
const WINDOW: usize = 100;
const INFLIGHT: u16 = 128;
/// Larger messages than the longest request are read, to be refused: a client that hangs up on them could be kept away.
const MAX_INCOMING: usize = 4 << 20;
const MAX_OUTGOING: usize = 268_435_455;
const CONNECT_SECONDS: u64 = 10;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// rumqttc pings, so something happens more often than this.
const SILENCE: Duration = Duration::from_secs(40);
const PUBACK: Duration = Duration::from_secs(10);
const BACK_OFF_UNIT: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// A connection that lasted so long counts as good: the next try comes soon.
const GOOD: Duration = Duration::from_secs(60);

/// The message has not reached the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no connection to the broker")]
pub(super) struct NotConnected;

/// To which broker a connection goes, as which client, and what it subscribes to.
pub(super) struct ConnectionConfig {
    pub broker: MqttBroker,
    pub client_id: String,
    pub filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// It receives no more; what is ready can still go out.
    Unsubscribed,
    Closing,
}

struct PendingPublish {
    topic: Topic,
    payload: Vec<u8>,
    taken: oneshot::Sender<()>,
}

/// A running connection; dropped, it ends.
pub(super) struct BrokerConnection {
    publishes: mpsc::Sender<PendingPublish>,
    phase: watch::Sender<Phase>,
    /// Whether it is subscribed. Its sender is dropped when the task ends.
    up: watch::Receiver<bool>,
    task: tokio::task::AbortHandle,
}

impl BrokerConnection {
    /// Starts its task. `on` is called for every message, from that task, and must not block.
    pub fn start(config: ConnectionConfig, on: impl Fn(Publish) + Send + 'static) -> Self {
        let (publishes, inbox) = mpsc::channel(WINDOW);
        let (phase, phase_changes) = watch::channel(Phase::Open);
        let (is_up, up) = watch::channel(false);
        let task = tokio::spawn(ConnectionTask { config, inbox, phase_changes, up: is_up, on }.run());
        Self { publishes, phase, up, task: task.abort_handle() }
    }

    /// Publishes a message, and waits until the broker has acknowledged it.
    ///
    /// # Errors
    /// There is no connection, or it broke before the acknowledgement.
    pub async fn send(&self, topic: Topic, payload: Vec<u8>) -> Result<(), NotConnected> {
        let (taken, wait) = oneshot::channel();
        self.publishes.send(PendingPublish { topic, payload, taken }).await.map_err(|_| NotConnected)?;
        wait.await.map_err(|_| NotConnected)
    }

    /// Waits until it is subscribed.
    pub async fn up(&self) {
        // It fails only when the task has ended, which `ended` tells.
        drop(self.up.clone().wait_for(|up| *up).await);
    }

    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Unsubscribes: no more messages are received.
    pub fn unsubscribe(&self) {
        self.phase.send_replace(Phase::Unsubscribed);
    }

    /// Disconnects when what was handed over has gone out.
    pub async fn close(&self) {
        self.phase.send_replace(Phase::Closing);
        self.ended().await;
    }

    /// Waits until the task has ended. A panic in it has been printed already.
    pub async fn ended(&self) {
        let mut up = self.up.clone();
        while up.changed().await.is_ok() {}
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct ConnectionTask<F> {
    config: ConnectionConfig,
    inbox: mpsc::Receiver<PendingPublish>,
    phase_changes: watch::Receiver<Phase>,
    up: watch::Sender<bool>,
    on: F,
}

enum End {
    Closed,
    Lost(String),
}

/// Handed to the client and not taken by the broker yet: the packet number once it has one, since when, and who waits.
type Waiting = VecDeque<(Option<u16>, Instant, oneshot::Sender<()>)>;

impl<F: Fn(Publish)> ConnectionTask<F> {
    async fn run(mut self) {
        let mut failures = 0u32;
        let mut reported = None;
        loop {
            let started = Instant::now();
            let was_up = match self.connection().await {
                End::Closed => return,
                End::Lost(why) => {
                    let was_up = self.up.send_replace(false);
                    if was_up || reported.as_ref() != Some(&why) {
                        tracing::warn!(client = self.config.client_id, why, "the connection to the broker is lost");
                        reported = Some(why);
                    }
                    was_up
                }
            };
            if was_up && started.elapsed() >= GOOD {
                failures = 0;
            }
            let most = back_off(failures, BACK_OFF_UNIT, BACK_OFF_MAX);
            failures = failures.saturating_add(1);
            if !self.pause(jitter(most)).await {
                return;
            }
        }
    }

    /// `false` when it is to end.
    async fn pause(&mut self, pause: Duration) -> bool {
        let end = tokio::time::Instant::now() + pause;
        loop {
            if *self.phase_changes.borrow_and_update() == Phase::Closing {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep_until(end) => return true,
                // Dropped, so that its sender hears at once.
                Some(_letter) = self.inbox.recv() => {}
                Ok(()) = self.phase_changes.changed() => {}
            }
        }
    }

    async fn connection(&mut self) -> End {
        let ConnectionConfig { broker, client_id, filter } = &self.config;
        let mut options = MqttOptions::new(client_id.clone(), broker.host.clone(), broker.port);
        options
            .set_clean_session(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING)
            .set_inflight(INFLIGHT);
        if let Some(tls) = &broker.tls {
            options.set_transport(rumqttc::Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(tls.clone())));
        }
        let (client, mut events) = AsyncClient::new(options, usize::from(INFLIGHT));
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_SECONDS);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let filter = filter.to_string();
        let mut poll = pin!(poll_once(events));
        let mut waiting = Waiting::new();
        let mut last_traffic = Instant::now();
        let mut phase = *self.phase_changes.borrow_and_update();
        let mut leaving = false;
        loop {
            let up = *self.up.borrow();
            if phase == Phase::Closing && !leaving && (!up || waiting.is_empty() && self.inbox.is_empty()) {
                if !up || client.try_disconnect().is_err() {
                    return End::Closed;
                }
                leaving = true;
            }
            let overdue = waiting.front().map(|(_, since, _)| *since + PUBACK);
            let wake = overdue.into_iter().chain([last_traffic + SILENCE]).min().unwrap_or(last_traffic);
            tokio::select! {
                (events, event) = &mut poll => {
                    poll.set(poll_once(events));
                    last_traffic = Instant::now();
                    match event {
                        Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                            // A session that is going away need not listen. The channel is empty: there is room.
                            if phase == Phase::Open {
                                drop(client.try_subscribe(filter.as_str(), QoS::AtLeastOnce));
                            }
                        }
                        Ok(Event::Incoming(Incoming::SubAck(answer))) => {
                            if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                                return End::Lost(format!("the broker refuses the subscription to {filter}"));
                            }
                            tracing::info!(client = self.config.client_id, filter, "the gateway is subscribed at the broker");
                            self.up.send_replace(true);
                        }
                        Ok(Event::Incoming(Incoming::Publish(message))) => (self.on)(message),
                        Ok(Event::Outgoing(Outgoing::Publish(number))) => {
                            if let Some(publish) = waiting.iter_mut().find(|(known, ..)| known.is_none()) {
                                publish.0 = Some(number);
                            }
                        }
                        Ok(Event::Incoming(Incoming::PubAck(taken))) => {
                            let at = waiting.iter().position(|(number, ..)| *number == Some(taken.pkid));
                            if let Some((.., sender)) = at.and_then(|at| waiting.remove(at)) {
                                // Whoever waited may have given up.
                                let _ = sender.send(());
                            }
                        }
                        Ok(Event::Outgoing(Outgoing::Disconnect)) => return End::Closed,
                        Ok(_) => {}
                        Err(error) => return End::Lost(why(&error)),
                    }
                }
                Some(publish) = self.inbox.recv(), if waiting.len() < WINDOW => {
                    let PendingPublish { topic, payload, taken } = publish;
                    if up && client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, payload).is_ok() {
                        waiting.push_back((None, Instant::now(), taken));
                    }
                }
                Ok(()) = self.phase_changes.changed() => {
                    let next = *self.phase_changes.borrow_and_update();
                    if next == Phase::Unsubscribed && phase == Phase::Open && up {
                        // A full channel only means that some more requests come, and are answered.
                        drop(client.try_unsubscribe(filter.as_str()));
                    }
                    phase = next;
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    let now = Instant::now();
                    if overdue.is_some_and(|at| now >= at) {
                        return End::Lost("the broker does not take what is published".into());
                    }
                    if now >= last_traffic + SILENCE {
                        return End::Lost("the connection hangs".into());
                    }
                }
            }
        }
    }
}

fn why(error: &rumqttc::ConnectionError) -> String {
    match error {
        rumqttc::ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
