//! The kiosk's connection to the fleet's broker: it publishes presence, state, telemetry, alarms, and the ledger's
//! events.
//!
//! Policy
//! - An event stays due until the back end's `ack` names it with its hash. The broker's own acknowledgement (PUBACK)
//!   only makes room for more packets. The link reads the outbox and deletes nothing.
//! - At most `window` events are in flight without the back end's acknowledgement. Every connection starts again from
//!   the acknowledged cursor, and so does a long time without an acknowledgement. So events may come twice, are never
//!   left out, and come in order.
//! - A checkpoint, signed by the kiosk, is published before the events it covers, so at no time has an event been
//!   published that no checkpoint covers.
//! - Nothing blocks the kiosk, and nothing floods it: it is told of the newest acknowledgement only, at most once in
//!   `report_every`. Of state, alarms and telemetry only the newest are kept.
//! - Requests to the gateway have room of their own beside the events. Without a connection they are refused, not
//!   queued: the caller has a time-out. Replies are handed on as they came, cut to a little more than the longest valid
//!   one.
//! - A message on a command's topic is opened at once, in the link's task. What is believed goes to the kiosk, at a bounded
//!   rate; of what is not, one a second is answered. The answers wait for a connection, the newest 64. A file that belongs to
//!   one goes in parts, one after the other.
//! - A lane of a site tells the others one document, retained; `facts` says how often. What comes of the lanes is handed on as
//!   bytes: who has signed it is the site's business.
//! - A camera says plates, one a message. They are read at once and handed on at a bounded rate; what the broker has kept is none,
//!   because its car is not there any more.
//! - Every connection is a new client and a clean session. After a failure the next try comes after
//!   `rand(0, max(start_delay, min(back_off_max, back_off_unit * 2^n)))`, so that not all kiosks of a fleet connect at the
//!   same moment: neither when their street has power again, nor when their broker is back.
//! - While the first broker can't be reached, the second is tried in turn. From there the kiosk goes back as soon as the first
//!   takes connections again; both get the same, and nothing is lost between them, for the outbox knows what is due.

mod ack;
mod client;
mod duplicate;
mod facts;
mod files;
mod pending;
mod plates;
mod senders;
mod session;
mod window;

pub use facts::SiteTopics;
pub use senders::{FilePlace, InspectionSender, RequestSender, StatusSender};

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::pending::Pending;
use self::session::Session;
use super::command::CommandDesk;
use super::tls::ClientTls;
use super::topic::{Address, Name};
use crate::operation::Request;
use crate::parking::ticket::Plate;
use crate::service::{End, Supervisor};
use crate::signed::jws::{Keys, Signer};

/// What the link needs of the ledger. Called from the link's own task, one call at a time; reads only.
pub trait Outbox: Send + 'static {
    /// The name of this ledger: another ledger has another name, even on the same kiosk.
    fn ledger(&self) -> String;
    /// Highest number the back end has acknowledged; 0 is none. Asked once, at the start.
    fn cursor(&self) -> Result<u64, OutboxError>;
    /// At most `limit` events after `seq`, in order, without a gap.
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<OutboxEvent>, OutboxError>;
    /// In hexadecimal; of event 0, where the chain begins; `None` where there is no such event.
    fn hash_of(&self, seq: u64) -> Result<Option<String>, OutboxError>;
}

/// One event as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    pub seq: u64,
    /// In kebab-case; a level of the topic.
    pub kind: String,
    /// The chain's, after this event.
    pub hash: String,
    /// The JSON document, an [`EventDocument`](crate::ledger::EventDocument).
    pub payload: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the outbox can't be read")]
pub struct OutboxError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where the broker is: `mqtts://HOST:PORT`, or `mqtt://HOST:PORT` without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// A name or an address; IPv6 in brackets, and not with TLS.
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBroker {
    #[error("a broker is written mqtts://HOST:PORT, or mqtt://HOST:PORT without TLS")]
    Scheme,
    #[error("`{0}` is not a host name or an address")]
    Host(String),
    #[error("`{0}` is not a port, 1 to 65535")]
    Port(String),
    /// The MQTT client would look for the brackets in the certificate.
    #[error("with TLS a broker is written by its name, or its IPv4 address, not `{0}`")]
    Ipv6(String),
}

impl Broker {
    /// Whether what is said to it does not leave the machine.
    pub fn is_here(&self) -> bool {
        let bare = self.host.trim_matches(['[', ']']);
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Broker {
    type Err = BadBroker;

    fn from_str(text: &str) -> Result<Self, BadBroker> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            _ => return Err(BadBroker::Scheme),
        };
        let (host, port) = rest.rsplit_once(':').ok_or(BadBroker::Scheme)?;
        let bracketed = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let plausible = match bracketed {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=253).contains(&host.len())
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        if !plausible {
            return Err(BadBroker::Host(host.to_owned()));
        }
        if tls && bracketed.is_some() {
            return Err(BadBroker::Ipv6(host.to_owned()));
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { host: host.to_owned(), port, tls }),
            _ => Err(BadBroker::Port(port.to_owned())),
        }
    }
}

/// Without TLS.
impl From<SocketAddr> for Broker {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self { host, port: address.port(), tls: false }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// How the link behaves. [`LinkConfig::new`] has the values of a real machine; tests shorten the times.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    pub address: Address,
    pub broker: Broker,
    /// Where else, while the first can't be reached.
    pub fallback: Option<Broker>,
    /// From there, how often it is looked whether the first can be reached again: after half of this to all of it.
    pub home_every: Duration,
    /// How TLS is done, for a broker that wants it; such a broker is never connected to without TLS.
    pub tls: Option<ClientTls>,
    /// The MQTT client id, which must be unique: of two clients with one id the broker disconnects the older.
    pub client_id: String,
    /// Events published and not acknowledged, 1 to 1000.
    pub window: u16,
    /// The first connection waits a random part of this, and after a connection was lost the next one of this or more.
    pub start_delay: Duration,
    /// Without progress for so long the next event is sent again; also the least time between two moves back.
    pub retry_first: Duration,
    /// Such repeats get rarer up to this.
    pub retry_last: Duration,
    /// With nothing to send, how often the last event is repeated to hear whether the back end still has it.
    pub probe: Duration,
    pub back_off_unit: Duration,
    pub back_off_max: Duration,
    /// The connection is given up when the broker does not acknowledge a publish within this.
    pub puback_timeout: Duration,
    /// At least 1 s.
    pub keep_alive: Duration,
    /// Whether there is a gateway to be asked.
    pub pay: bool,
    /// This run's nonce, as `state` says it.
    pub boot: String,
    /// Signs checkpoints; without it there are none.
    pub signer: Option<Arc<Signer>>,
    /// The keys whose acknowledgements count; without them every acknowledgement that is true counts.
    pub back_end: Option<Keys>,
    /// Which lane of a site this is; without it nothing is told to other lanes, and nothing heard of them.
    pub site: Option<SiteTopics>,
    /// Whether a camera may say which plates it reads at this kiosk's gate.
    pub plates: bool,
    /// Opens commands; without it there are none.
    pub commands: Option<Arc<CommandDesk>>,
    /// [`FleetEvent::Acknowledged`] comes at most so often.
    pub report_every: Duration,
    /// An alarm that the broker still shows and that nobody has raised so long after connecting is cleared.
    pub alarm_grace: Duration,
}

impl LinkConfig {
    pub fn new(fleet: Name, kiosk: Name, broker: Broker) -> Self {
        Self {
            // No name contains a dot, so two kiosks can't come to the same id.
            client_id: format!("kioskd.{fleet}.{kiosk}"),
            address: Address { fleet, kiosk },
            broker,
            fallback: None,
            home_every: Duration::from_secs(600),
            tls: None,
            window: 64,
            start_delay: Duration::from_secs(30),
            retry_first: Duration::from_secs(5),
            retry_last: Duration::from_secs(60),
            probe: Duration::from_secs(3600),
            back_off_unit: Duration::from_secs(1),
            back_off_max: Duration::from_secs(300),
            puback_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            pay: false,
            boot: String::new(),
            signer: None,
            back_end: None,
            site: None,
            plates: false,
            commands: None,
            report_every: Duration::from_secs(1),
            alarm_grace: Duration::from_secs(10),
        }
    }

    fn window(&self) -> u16 {
        self.window.clamp(1, 1000)
    }
}

/// What the link tells the kiosk. The receiver is called from the link's task and must not block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    Connected,
    /// There is no connection. It is reported when the reason changes, not for every failed try.
    Disconnected {
        why: String,
    },
    /// The back end holds every event up to `seq`: the ledger's name and the hash agree. `seq` is smaller than before
    /// when the back end says that it lacks something. Only the newest is reported, at most once in `report_every`.
    Acknowledged {
        seq: u64,
    },
    /// Somebody sent an acknowledgement that is not true, and the cursor has not moved. After the first ten, at most
    /// one a second is reported.
    AckRejected {
        why: String,
    },
    /// Another kiosk uses this kiosk's name or its ledger's number, and why that is believed; `None` when it does no
    /// more.
    Duplicate {
        why: Option<&'static str>,
    },
    /// A command that is believed: whether it may be done is for the kiosk to say, and to answer.
    Command(Box<Request>),
    /// Messages were rejected that should be commands; [`CommandDesk::rejections`] has counted them. At most one a second
    /// is reported.
    CommandRejected,
    /// An unverified message on `pay/reply` or `pay/notice`; a longer one than [`LONGEST`](crate::signed::jws::LONGEST)
    /// is cut after one byte more. The receiver verifies it at once, in the link's task, so that a flood slows its
    /// sender; if it were queued, a flood would fill the memory.
    Pay {
        channel: Pay,
        message: Vec<u8>,
    },
    /// An unverified message of at most [`LONGEST`](crate::signed::jws::LONGEST) bytes that came as this lane's, 1 to 99, of the
    /// kiosk's site: its newest. What this lane has told itself comes back so, too. After the first 64, ten a second are handed
    /// on, the lanes in turn.
    Facts {
        lane: u8,
        message: Vec<u8>,
    },
    /// A message that should be a lane's was dropped, and so many since the start. After the first ten, at most one a second
    /// is reported.
    FactsRejected {
        why: String,
        count: u64,
    },
    /// What came as a camera's, which nobody has signed. After the first ten, two a second are handed on and the others dropped.
    PlateSeen {
        plate: Plate,
    },
    /// A message that should be a camera's is none, and so many since the start. After the first ten, at most one a second is
    /// reported.
    PlateRejected {
        why: String,
        count: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pay {
    Reply,
    Notice,
}

/// A running link. Dropped without [`stop`](Self::stop) the connection breaks and the broker announces the last will.
#[derive(Debug)]
pub struct Link {
    pending: Arc<Pending>,
    task: JoinHandle<()>,
}

/// Starts the link as one task of `runtime`.
pub fn start(
    supervisor: &Supervisor,
    runtime: &Handle,
    config: LinkConfig,
    outbox: impl Outbox,
    on: impl Fn(FleetEvent) + Send + 'static,
) -> Link {
    let pending = Arc::new(Pending::default());
    let session = Session::new(config, outbox, on, Arc::clone(&pending));
    let stopping = Arc::clone(&pending);
    let run = async move {
        session.run().await;
        if stopping.stopped() { End::Told } else { End::Failed("it has ended by itself".into()) }
    };
    Link { pending, task: supervisor.task(runtime, "the fleet link", run) }
}

impl Link {
    /// How long [`stop`](Self::stop) takes at most.
    pub const STOP: Duration = Duration::from_secs(3);

    /// Publishes the kiosk's state, retained. Only the newest counts, and it is published again on every connection.
    pub fn state(&self, document: Value) {
        self.pending.state(document.to_string());
    }

    /// Raises an alarm, or clears it. `kind` is a level of the topic; another is refused with an error in the log.
    pub fn alarm(&self, kind: &str, body: Option<Value>) {
        match Name::parse(kind) {
            Ok(kind) => self.pending.alarm(kind, body.map(|body| body.to_string())),
            Err(error) => tracing::error!(%error, "an alarm was not published, because its kind fits no topic"),
        }
    }

    /// Publishes telemetry, a flat JSON object of numbers. It is dropped while there is no connection.
    pub fn telemetry(&self, values: Value) {
        self.pending.telemetry(values.to_string());
    }

    /// Publishes what this lane tells its site, retained: a signed document of at most [`LONGEST`](crate::signed::jws::LONGEST)
    /// bytes; a longer one is refused with an error in the log. Only the newest counts. It goes every two seconds at most, waits
    /// for a connection, and is told again on each and after ten minutes.
    pub fn tell_facts(&self, message: Vec<u8>) {
        match message.len() {
            0..=facts::LONGEST => self.pending.facts(message),
            bytes => tracing::error!(bytes, most = facts::LONGEST, "the lane's facts were not told: they are too long"),
        }
    }

    /// Makes a sender for the client of the gateway.
    pub fn request_sender(&self) -> RequestSender {
        RequestSender::new(&self.pending)
    }

    /// Makes a sender for what is said of commands.
    pub fn status_sender(&self) -> StatusSender {
        StatusSender::new(&self.pending)
    }

    /// Makes a sender for inspections.
    pub fn inspection_sender(&self) -> InspectionSender {
        InspectionSender::new(&self.pending)
    }

    /// The events after this number are sent once more, whatever the back end has acknowledged.
    pub fn resend(&self, after: u64) {
        self.pending.resend(after);
    }

    /// There are new events in the outbox.
    pub fn wake(&self) {
        self.pending.outbox_changed();
    }

    /// Publishes the presence `offline`, and disconnects.
    pub async fn stop(mut self) {
        self.pending.stop();
        // The connection may hang; then the broker publishes the last will.
        if !self.task.is_finished() && tokio::time::timeout(Self::STOP, &mut self.task).await.is_err() {
            tracing::warn!("the fleet link did not stop in time");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty;

    impl Outbox for Empty {
        fn ledger(&self) -> String {
            "empty".into()
        }

        fn cursor(&self) -> Result<u64, OutboxError> {
            Ok(0)
        }

        fn after(&self, _: u64, _: usize) -> Result<Vec<OutboxEvent>, OutboxError> {
            Ok(Vec::new())
        }

        fn hash_of(&self, _: u64) -> Result<Option<String>, OutboxError> {
            Ok(None)
        }
    }

    #[test]
    fn a_link_that_breaks_is_named_and_one_that_is_stopped_is_not() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tell, ended) = std::sync::mpsc::channel();
        let supervisor = Supervisor::new(move |end| drop(tell.send(end)));
        let name = |text: &str| Name::parse(text).unwrap();
        // Nobody listens there.
        let broker = SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let config = LinkConfig { start_delay: Duration::ZERO, ..LinkConfig::new(name("f"), name("k"), broker) };
        let start = |on: fn(FleetEvent)| super::start(&supervisor, runtime.handle(), config.clone(), Empty, on);
        let stopped = start(|_| ());
        runtime.block_on(stopped.stop());
        let broken = start(|event| panic!("nobody takes {event:?}"));
        let end = ended.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(end.part == "the fleet link" && end.why.contains("nobody takes Disconnected"), "{end:?}");
        drop(broken);
        assert!(ended.try_recv().is_err());
    }

    #[test]
    fn a_broker_is_written_with_scheme_host_and_port() {
        for good in ["mqtt://127.0.0.1:1883", "mqtt://broker.example.com:1", "mqtt://[::1]:65535", "mqtts://a:8883"] {
            let broker = good.parse::<Broker>().unwrap();
            assert_eq!((broker.to_string().as_str(), broker.tls), (good, good.starts_with("mqtts")));
        }
        for bad in [
            "",
            "127.0.0.1:1883",
            "mqtts://[::1]:1",
            "tls://a:1",
            "mqtt://a",
            "mqtt://:1",
            "mqtt://a:0",
            "mqtt://a:70000",
            "mqtt://a b:1",
            "mqtt://a/b:1",
            "mqtt://::1:1883",
            "mqtt://user@a:1",
        ] {
            assert!(bad.parse::<Broker>().is_err(), "{bad}");
        }
        let here = |text: &str| text.parse::<Broker>().unwrap().is_here();
        assert!(["mqtt://127.8.0.1:1", "mqtt://[::1]:1", "mqtt://localhost:1"].into_iter().all(here));
        assert!(
            !["mqtt://10.0.0.1:1", "mqtt://localhost.example.com:1", "mqtt://127.0.0.1.example:1"]
                .into_iter()
                .any(here)
        );
        let v6: SocketAddr = "[::1]:1883".parse().unwrap();
        assert_eq!(Broker::from(v6).to_string(), "mqtt://[::1]:1883");
    }
}
