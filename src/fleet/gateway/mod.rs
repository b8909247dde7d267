//! The gateway: the process in the back end that holds the merchant's keys and asks the providers for the kiosks.
//!
//! Policy
//! - It believes signatures, not the broker: a request is a kiosk's by that kiosk's key ([`kiosks`]), and a charge is a
//!   kiosk's by the provider's book ([`clerk`]).
//! - It keeps nothing. A request that is lost with it is asked again by the kiosk, and every ask may be repeated, because
//!   charges and refunds have numbers. So it may be killed at any time, and several may share one fleet.
//! - A request is good once and for a minute, and a flood of old, repeated or wild ones costs no question at a provider, no
//!   memory and no lines in the log ([`gate`]).
//! - Many requests are under way at a time, a bounded number for each provider and each kiosk, so that a slow provider
//!   or a wild kiosk holds up nobody else.
//! - What one kiosk can cost is limited, by each gateway for itself ([`limits`]).
//! - What providers say by themselves comes in by [`door`] and is brought to the kiosk by [`notices`].

mod clerk;
mod door;
mod gate;
mod kiosks;
mod limits;
mod lobby;
mod notices;
mod post;
mod rails;
mod run;
pub mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use self::clerk::Clerk;
use self::gate::{Age, Gate, Place};
use self::kiosks::{Kiosks, Rejected};
pub use self::limits::Limits;
use self::notices::Notices;
use self::post::Post;
pub use self::run::{RunError, run};
use self::settings::{MqttBroker, Settings};
pub use super::keygen::{KeygenError, Pair, keygen};
use super::topic::{Address, Filter, Leaf, Name};
use crate::payment::gateway::wire::{Ask, Reply, Request, Says};
use crate::payment::{Notifies, Rail};
use crate::signed::jws::{Purpose, Signer};
use crate::vocabulary::Standing;

/// A reply is not to be believed later than this.
const REPLY_LIFE_MS: u64 = 60_000;
/// For what is under way when the gateway is to stop.
pub const STOP: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(1);
/// What strangers do is told once in so long, as a number.
const COMPLAIN: Duration = Duration::from_secs(10);

/// A provider as the gateway needs it.
pub trait GatewayRail: Rail {
    /// The provider speaks by itself. Where none does, the operator's own program may ([`settings::OPERATOR`]).
    fn notifies(&self) -> Option<&dyn Notifies> {
        None
    }

    /// Whether `given`, from a report, is the `attach` that a charge was made with: the whole name, or what the rail had
    /// to make of it for a provider that takes less.
    fn bears(&self, given: &str, attach: &str) -> bool {
        given == attach
    }
}

/// By the name that kiosks ask for.
pub type Rails = BTreeMap<String, Arc<dyn GatewayRail>>;

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
    /// Requests that have an answer; it may not have reached the broker.
    pub answered: u64,
    /// Requests that were answered with the time alone.
    pub stale: u64,
    /// Messages on the topics of requests that are none, are too many, or have come before.
    pub rejected: u64,
    /// Notices that the kiosk has.
    pub notices: u64,
    /// Notifications that were not taken.
    pub unheard: u64,
}

#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    stale: AtomicU64,
    rejected: AtomicU64,
    notices: AtomicU64,
    unheard: AtomicU64,
}

/// What all parts share.
struct Office {
    fleet: Name,
    broker: MqttBroker,
    /// Random: tells this gateway's connections from another's.
    instance: u64,
    signer: Signer,
    kiosks: Kiosks,
    gate: Gate,
    clerk: Clerk,
    tally: Tally,
}

/// A request that is a kiosk's, and for which there is a place.
struct Visit {
    kiosk: Address,
    request: Request,
    age: Age,
    place: Place,
}

/// A running gateway. Dropped without [`stop`](Self::stop), it is gone at once, which loses nothing.
pub struct Gateway {
    office: Arc<Office>,
    requests: Arc<Post>,
    notices: Arc<Notices>,
    under_way: TaskTracker,
    closing: watch::Sender<bool>,
    door: Option<(SocketAddr, JoinHandle<()>)>,
}

impl Gateway {
    /// Starts it on the current tokio runtime. It connects to the broker by itself, as often as needed.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn start(settings: Settings, rails: Rails) -> Result<Self, GatewayError> {
        let Settings { fleet, group, broker, signer, kiosks, limits, door, notice_wait } = settings;
        let instance = getrandom::u64().map_err(|_| GatewayError::Random)?;
        let (gate, clerk) = (Gate::new(kiosks.names()), Clerk::new(rails, limits));
        let office = Arc::new(Office { fleet, broker, instance, signer, kiosks, gate, clerk, tally: Tally::default() });
        let listener = match &door {
            None => None,
            Some(door) => {
                let failed = |source| GatewayError::Listen { address: door.listen, source };
                let listener = door::bind(door.listen).await.map_err(failed)?;
                Some((listener.local_addr().map_err(failed)?, listener))
            }
        };
        let under_way = TaskTracker::new();
        let notices = Arc::new(Notices::start(Arc::clone(&office), notice_wait));
        let requests = Self::listen(&office, group, &under_way);
        let (closing, closed) = watch::channel(false);
        let door = listener.zip(door).map(|((address, listener), door)| {
            let task = door::serve(listener, door, Arc::clone(&office), Arc::clone(&notices), closed);
            (address, tokio::spawn(task))
        });
        Ok(Self { office, requests, notices, under_way, closing, door })
    }

    fn listen(office: &Arc<Office>, group: Name, under_way: &TaskTracker) -> Arc<Post> {
        let line = office.line("requests", Filter::SharedPayRequests { fleet: office.fleet.clone(), group });
        let (office, under_way) = (Arc::clone(office), under_way.clone());
        Arc::new_cyclic(|post: &std::sync::Weak<Post>| {
            let post = post.clone();
            let complaints = Complaints::default();
            Post::start(line, move |message| match office.admit(&message.topic, &message.payload) {
                // For whoever waits for it, and hears it on a connection of its own.
                Ok(Visit { request: Request { ask: Ask::Noticed { .. }, .. }, .. }) => {}
                Ok(visit) => {
                    let (office, post) = (Arc::clone(&office), post.clone());
                    under_way.spawn(async move { office.attend(visit, &post).await });
                }
                Err(why) => {
                    office.tally.rejected.fetch_add(1, Relaxed);
                    if let Some(others) = complaints.due() {
                        // A broker's topic may be anything up to 64 KiB.
                        let topic: String = message.topic.chars().take(200).collect();
                        tracing::warn!(topic, %why, others, "a message is not answered");
                    }
                }
            })
        })
    }

    /// Where it listens for notifications.
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.as_ref().map(|(address, _)| *address)
    }

    /// Waits until it hears requests and the words of kiosks.
    pub async fn ready(&self) {
        tokio::join!(self.requests.up(), self.notices.post.up());
    }

    pub fn counts(&self) -> Counts {
        let Tally { answered, stale, rejected, notices, unheard } = &self.office.tally;
        let [answered, stale, rejected, notices, unheard] =
            [answered, stale, rejected, notices, unheard].map(|n| n.load(Relaxed));
        Counts { answered, stale, rejected, notices, unheard }
    }

    /// Takes nothing new, finishes what is under way within [`STOP`], and says goodbye.
    pub async fn stop(mut self) {
        self.requests.unsubscribe();
        self.closing.send_replace(true);
        self.under_way.close();
        let finished = async {
            self.under_way.wait().await;
            if let Some((_, task)) = &mut self.door {
                // A panic has been printed already.
                drop(task.await);
            }
        };
        if tokio::time::timeout(STOP, finished).await.is_err() {
            tracing::warn!("stopped with requests under way; the kiosks ask again");
        }
        let goodbye = async { tokio::join!(self.requests.close(), self.notices.post.close()) };
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
        tracing::info!(counts = ?self.counts(), "stopped");
    }

    /// Ends only when a part of it does, which before [`stop`](Self::stop) means that it broke.
    pub async fn ended(&mut self) -> GatewayError {
        let door = async {
            match &mut self.door {
                Some((_, task)) if !task.is_finished() => drop(task.await),
                Some(_) => {}
                None => std::future::pending().await,
            }
        };
        GatewayError::Ended(tokio::select! {
            () = self.requests.ended() => "the connection for requests",
            () = self.notices.post.ended() => "the connection for notices",
            () = door => "the listener for notifications",
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.door {
            task.abort();
        }
    }
}

impl Office {
    /// Runs on the connection's own task, so the cheapest comes first.
    fn admit(&self, topic: &str, message: &[u8]) -> Result<Visit, Rejected> {
        let kiosk = self.kiosks.at(topic)?;
        let place = self.gate.enter(&kiosk.kiosk)?;
        let (request, nonce) = self.kiosks.open(&kiosk, message)?;
        let age = self.gate.look(&kiosk.kiosk, nonce, request.sent)?;
        Ok(Visit { kiosk, request, age, place })
    }

    async fn attend(&self, visit: Visit, post: &std::sync::Weak<Post>) {
        let Visit { kiosk, request: Request { rail, nonce, ask, .. }, age, place } = visit;
        let started = Instant::now();
        // Before whoever hears the answer can ask for the count.
        let says = match age {
            Age::Fresh(left) => {
                let says = self.clerk.answer(&kiosk, &rail, &ask, left).await;
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
        let sent = self.gate.now();
        let reply = Reply { kiosk: kiosk.to_string(), rail, nonce, sent, expires: sent + REPLY_LIFE_MS, says };
        let sent = match (self.signer.sign(Purpose::PayReply, &reply), post.upgrade()) {
            (Ok(message), Some(post)) => post.send(kiosk.topic(Leaf::PayReply), message).await.is_ok(),
            _ => false,
        };
        drop(place);
        let (rail, ms) = (reply.rail, started.elapsed().as_millis());
        if age != Age::Stale {
            tracing::info!(kiosk = %kiosk.kiosk, rail, ask = verb, charge = number, result, ms, sent, "request");
        }
    }
}

/// For the log: what was asked, about which charge or refund.
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

/// For the log.
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

/// A flood of strangers must not become a flood in the log.
#[derive(Default)]
struct Complaints(std::sync::Mutex<(Option<Instant>, u64)>);

impl Complaints {
    /// Counts one; how many there were besides, when it is time to tell.
    fn due(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last, kept) = &mut *state;
        if last.is_some_and(|last| now < last + COMPLAIN) {
            *kept += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(kept))
    }
}
