//! The gateway: the process in the back end that holds the merchant's keys and asks the providers for the kiosks.
//!
//! Policy
//! - It believes signatures, not the broker: a request is a kiosk's by that kiosk's key ([`kiosks`]), and a charge is a
//!   kiosk's by what the provider has on record ([`handler`]).
//! - It stores nothing. When it dies, the kiosk sends the lost request again; every request may be repeated, because
//!   charges and refunds have numbers. So it may be killed at any time, and several may share one fleet.
//! - A request is good once and for a minute. A flood of old, repeated or malformed ones causes no question at a
//!   provider, takes no memory and writes no lines in the log ([`admission`]).
//! - Many requests are in flight at a time, a bounded number for each provider and each kiosk, so that a slow provider
//!   or a faulty kiosk holds up nobody else.
//! - Each gateway limits what one kiosk may charge and refund ([`limits`]).
//! - Providers send notifications to [`webhook`]; [`notices`] passes them on to the kiosk that they are about. Both
//!   that and the requests travel over MQTT connections ([`mqtt`]).

mod admission;
pub mod config;
mod connections;
mod handler;
mod kiosks;
mod limits;
mod mqtt;
mod notices;
mod rails;
mod run;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use self::admission::{Admission, Age, Permit};
use self::config::{GatewayConfig, MqttBroker};
use self::handler::Handler;
use self::kiosks::{Kiosks, Rejected};
pub use self::limits::Limits;
use self::mqtt::BrokerConnection;
use self::notices::NoticeSender;
pub use self::run::{RunError, run};
pub use super::keygen::{KeygenError, Pair, keygen};
use super::topic::{Address, Filter, Leaf, Name};
use crate::payment::gateway::wire::{Ask, Reply, Request, Says};
use crate::payment::{Notifies, Rail};
use crate::signed::jws::{Purpose, Signer};
use crate::vocabulary::Standing;

/// A kiosk believes a reply for this long after it was sent.
const REPLY_LIFE_MS: u64 = 60_000;
/// Requests in flight get this long to finish when the gateway stops.
pub const STOP: Duration = Duration::from_secs(5);
/// The two MQTT connections get this long to disconnect after that.
const DISCONNECT: Duration = Duration::from_secs(1);
/// Unverified messages are logged at most once in this time, with their number.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A provider as the gateway needs it.
pub trait GatewayRail: Rail {
    /// How the provider's notifications are read. Where a provider sends none, the operator's own program may send
    /// notices in its place ([`config::OPERATOR_KID`]).
    fn notifies(&self) -> Option<&dyn Notifies> {
        None
    }

    /// Whether `given`, from a report, is the `attach` that a charge was made with: the whole name, or what the rail
    /// had to make of it for a provider that takes less.
    fn attach_matches(&self, given: &str, attach: &str) -> bool {
        given == attach
    }
}

/// The gateway's rails, by the name that kiosks ask for.
pub type Rails = BTreeMap<String, Arc<dyn GatewayRail>>;

/// Why a gateway can't start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("can't listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the system gives no random numbers")]
    Random,
    #[error("{0} has ended by itself")]
    Ended(&'static str),
}

/// What has come in since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were answered; an answer may not have reached the broker.
    pub answered: u64,
    /// Requests that were too old and were answered with the time alone.
    pub stale: u64,
    /// Messages on request topics that are not valid requests, exceed the rate, or have come before.
    pub rejected: u64,
    /// Notices that the kiosk has confirmed.
    pub notices: u64,
    /// Webhook calls that were answered with another status than 200.
    pub webhooks_refused: u64,
}

#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    stale: AtomicU64,
    rejected: AtomicU64,
    notices: AtomicU64,
    webhooks_refused: AtomicU64,
}

/// The state that all parts of a gateway share.
struct Shared {
    fleet: Name,
    broker: MqttBroker,
    /// A random number that tells this gateway's MQTT clients from another's.
    instance: u64,
    signer: Signer,
    kiosks: Kiosks,
    admission: Admission,
    handler: Handler,
    tally: Tally,
}

/// A request that is verified and may be handled now.
struct AdmittedRequest {
    kiosk: Address,
    request: Request,
    age: Age,
    permit: Permit,
}

/// A running gateway. Dropped without [`stop`](Self::stop), it is gone at once, which loses nothing.
pub struct Gateway {
    shared: Arc<Shared>,
    requests: Arc<BrokerConnection>,
    notices: Arc<NoticeSender>,
    under_way: TaskTracker,
    closing: watch::Sender<bool>,
    webhook: Option<(SocketAddr, JoinHandle<()>)>,
}

impl Gateway {
    /// Starts it on the current tokio runtime. It connects to the broker by itself, as often as needed.
    ///
    /// # Errors
    /// The webhook's address can't be listened on, or the system gives no random numbers.
    pub async fn start(config: GatewayConfig, rails: Rails) -> Result<Self, GatewayError> {
        let GatewayConfig { fleet, group, broker, signer, kiosks, limits, webhook, notice_wait } = config;
        let instance = getrandom::u64().map_err(|_| GatewayError::Random)?;
        let (admission, handler) = (Admission::new(kiosks.names()), Handler::new(rails, limits));
        let shared =
            Arc::new(Shared { fleet, broker, instance, signer, kiosks, admission, handler, tally: Tally::default() });
        let listener = match &webhook {
            None => None,
            Some(webhook) => {
                let failed = |source| GatewayError::Listen { address: webhook.listen, source };
                let listener = webhook::bind(webhook.listen).await.map_err(failed)?;
                Some((listener.local_addr().map_err(failed)?, listener))
            }
        };
        let under_way = TaskTracker::new();
        let notices = Arc::new(NoticeSender::start(Arc::clone(&shared), notice_wait));
        let requests = Self::listen(&shared, group, &under_way);
        let (closing, closed) = watch::channel(false);
        let webhook = listener.zip(webhook).map(|((address, listener), webhook)| {
            let task = webhook::serve(listener, webhook, Arc::clone(&shared), Arc::clone(&notices), closed);
            (address, tokio::spawn(task))
        });
        Ok(Self { shared, requests, notices, under_way, closing, webhook })
    }

    fn listen(shared: &Arc<Shared>, group: Name, under_way: &TaskTracker) -> Arc<BrokerConnection> {
        let filter = Filter::SharedPayRequests { fleet: shared.fleet.clone(), group };
        let config = shared.connection_config("requests", filter);
        let (shared, under_way) = (Arc::clone(shared), under_way.clone());
        Arc::new_cyclic(|connection: &std::sync::Weak<BrokerConnection>| {
            let connection = connection.clone();
            let log_limiter = LogLimiter::default();
            BrokerConnection::start(config, move |message| match shared.admit(&message.topic, &message.payload) {
                // A confirmation of a notice: `NoticeSender` receives it on its own connection.
                Ok(AdmittedRequest { request: Request { ask: Ask::Noticed { .. }, .. }, .. }) => {}
                Ok(request) => {
                    let (shared, connection) = (Arc::clone(&shared), connection.clone());
                    under_way.spawn(async move { shared.handle(request, &connection).await });
                }
                Err(why) => {
                    shared.tally.rejected.fetch_add(1, Relaxed);
                    if let Some(others) = log_limiter.due() {
                        // A broker's topic may be anything up to 64 KiB.
                        let topic: String = message.topic.chars().take(200).collect();
                        tracing::warn!(topic, %why, others, "the gateway does not answer a message that is no valid request");
                    }
                }
            })
        })
    }

    /// The address it listens on for webhook calls; `None` where the configuration has no `listen`.
    pub fn address(&self) -> Option<SocketAddr> {
        self.webhook.as_ref().map(|(address, _)| *address)
    }

    /// Waits until both connections to the broker have subscribed.
    pub async fn ready(&self) {
        tokio::join!(self.requests.up(), self.notices.connection.up());
    }

    /// What has come in since the start.
    pub fn counts(&self) -> Counts {
        let Tally { answered, stale, rejected, notices, webhooks_refused } = &self.shared.tally;
        let [answered, stale, rejected, notices, webhooks_refused] =
            [answered, stale, rejected, notices, webhooks_refused].map(|n| n.load(Relaxed));
        Counts { answered, stale, rejected, notices, webhooks_refused }
    }

    /// Accepts no new requests, finishes those in flight within [`STOP`], and disconnects from the broker.
    pub async fn stop(mut self) {
        self.requests.unsubscribe();
        self.closing.send_replace(true);
        self.under_way.close();
        let finished = async {
            self.under_way.wait().await;
            if let Some((_, task)) = &mut self.webhook {
                // A panic has been printed already.
                drop(task.await);
            }
        };
        if tokio::time::timeout(STOP, finished).await.is_err() {
            tracing::warn!("the gateway stops with requests in flight; the kiosks will send them again");
        }
        let closed = async { tokio::join!(self.requests.close(), self.notices.connection.close()) };
        drop(tokio::time::timeout(DISCONNECT, closed).await);
        tracing::info!(counts = ?self.counts(), "the gateway has stopped");
    }

    /// Waits until a part of it ends, which before [`stop`](Self::stop) means that the part failed.
    pub async fn ended(&mut self) -> GatewayError {
        let webhook = async {
            match &mut self.webhook {
                Some((_, task)) if !task.is_finished() => drop(task.await),
                Some(_) => {}
                None => std::future::pending().await,
            }
        };
        GatewayError::Ended(tokio::select! {
            () = self.requests.ended() => "the connection for requests",
            () = self.notices.connection.ended() => "the connection for notices",
            () = webhook => "the webhook's listener",
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.webhook {
            task.abort();
        }
    }
}

impl Shared {
    /// Runs on the connection's own task, so the cheapest check comes first.
    fn admit(&self, topic: &str, message: &[u8]) -> Result<AdmittedRequest, Rejected> {
        let kiosk = self.kiosks.of_topic(topic)?;
        let permit = self.admission.admit(&kiosk.kiosk)?;
        let (request, nonce) = self.kiosks.open(&kiosk, message)?;
        let age = self.admission.check(&kiosk.kiosk, nonce, request.sent)?;
        Ok(AdmittedRequest { kiosk, request, age, permit })
    }

    async fn handle(&self, request: AdmittedRequest, connection: &std::sync::Weak<BrokerConnection>) {
        let AdmittedRequest { kiosk, request: Request { rail, nonce, ask, .. }, age, permit } = request;
        let started = Instant::now();
        // Counted before the reply is sent, so that whoever has the reply sees the count.
        let says = match age {
            Age::Fresh(left) => {
                let says = self.handler.answer(&kiosk, &rail, &ask, left).await;
                self.tally.answered.fetch_add(1, Relaxed);
                says
            }
            Age::Stale => {
                self.tally.stale.fetch_add(1, Relaxed);
                Says::Stale
            }
        };
        let (verb, number) = described(&ask);
        let result = outcome(&says);
        let sent = self.admission.now();
        let reply = Reply { kiosk: kiosk.to_string(), rail, nonce, sent, expires: sent + REPLY_LIFE_MS, says };
        let sent = match (self.signer.sign(Purpose::PayReply, &reply), connection.upgrade()) {
            (Ok(message), Some(connection)) => connection.send(kiosk.topic(Leaf::PayReply), message).await.is_ok(),
            _ => false,
        };
        drop(permit);
        let (rail, ms) = (reply.rail, started.elapsed().as_millis());
        if age != Age::Stale {
            tracing::info!(kiosk = %kiosk.kiosk, rail, ask = verb, charge = number, result, ms, sent, "the gateway has answered a request");
        }
    }
}

/// Names for the log what was asked, and about which charge or refund.
fn described(ask: &Ask) -> (&'static str, &str) {
    match ask {
        Ask::Probe => ("probe", ""),
        Ask::Create(charge) => ("create", charge.charge.as_str()),
        Ask::Query(charge) => ("query", charge.charge.as_str()),
        Ask::Close(charge) => ("close", charge.charge.as_str()),
        Ask::Refund(refund) => ("refund", refund.refund.as_str()),
        Ask::QueryRefund(refund) => ("query-refund", refund.refund.as_str()),
        Ask::Noticed { .. } => ("noticed", ""),
    }
}

/// Names for the log what was answered.
fn outcome(says: &Says) -> String {
    match says {
        Says::Here => "here".into(),
        Says::Created { .. } => "created".into(),
        Says::Charge { report, .. } => match (report.payments.len(), report.standing) {
            (0, Standing::Absent) => "absent".into(),
            (0, Standing::Open) => "open".into(),
            (0, Standing::Closed) => "closed".into(),
            (n, _) => format!("{n} paid"),
        },
        Says::Closed { report: None, .. } => "asked to close".into(),
        Says::Closed { report: Some(report), .. } if report.returned == 0 => "paid, so not closed".into(),
        Says::Closed { report: Some(_), .. } => "closed and given back".into(),
        Says::Refund { report, .. } => format!("{report:?}").to_lowercase(),
        Says::Refused { code, why } => format!("refused {code}: {why}"),
        Says::Unknown { why } => format!("unknown: {why}"),
        Says::Stale => "stale".into(),
    }
}

/// Bounds the log lines about unverified senders: a flood of messages must not become a flood in the log.
#[derive(Default)]
struct LogLimiter(std::sync::Mutex<(Option<Instant>, u64)>);

impl LogLimiter {
    /// Counts one event. When it may be logged, answers how many others were not logged since the last line.
    fn due(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last, kept) = &mut *state;
        if last.is_some_and(|last| now < last + LOG_EVERY) {
            *kept += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(kept))
    }
}
