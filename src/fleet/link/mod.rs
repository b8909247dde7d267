//! The kiosk's end of the wire: presence, state, telemetry, alarms, and the ledger's events in order.
//!
//! Policy
//! - An event stays due until the back end's `ack` names it with its hash. What the broker says (PUBACK) only opens its
//!   packet window. The link reads the outbox and deletes nothing.
//! - At most `window` events are on their way unacknowledged; every connection starts again from the acknowledged
//!   cursor; silence starts over, too. So events may come twice, never not at all, and always in order.
//! - A checkpoint that the kiosk signs goes before the events it covers, so at no time has an event been published that no
//!   checkpoint covers.
//! - Nothing blocks the kiosk, and nothing floods it: of the acknowledgements it hears the newest, at most once in
//!   `tell_every`. State, alarms and telemetry are kept as the newest only.
//! - Questions to the gateway have room of their own beside the events, and are dropped, not kept, without a connection:
//!   whoever asks has a time-out. What comes back is handed on as it came, cut to a little more than may be believed.
//! - Every connection is a new client and a clean session. After a failure the next try comes at
//!   `rand(0, min(back_off_max, back_off_unit * 2^n))`, so that a street of kiosks does not come back as one.

mod ack;
mod desk;
mod pipe;
mod session;
mod twin;
mod window;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::desk::Desk;
use self::session::Session;
use super::topic::{Address, Name};
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

/// How the link behaves. [`Settings::new`] has the values of a real machine; tests shorten the times.
#[derive(Debug, Clone)]
pub struct Settings {
    pub address: Address,
    pub broker: Broker,
    /// For a broker with TLS, which is never spoken to without it.
    pub tls: Option<Arc<ClientConfig>>,
    /// Two clients with one name throw each other out.
    pub client_id: String,
    /// Events published and not acknowledged, 1 to 1000.
    pub window: u16,
    /// The first connection waits a random part of this.
    pub start_delay: Duration,
    /// Without progress for so long the next event is sent again; also the least time between two moves back.
    pub retry_first: Duration,
    /// Such repeats get rarer up to this.
    pub retry_last: Duration,
    /// With nothing to send, how often the last event is repeated to hear whether the back end still has it.
    pub probe: Duration,
    pub back_off_unit: Duration,
    pub back_off_max: Duration,
    /// A broker that does not take a publish within this is left.
    pub puback_timeout: Duration,
    /// At least 1 s.
    pub keep_alive: Duration,
    /// Whether there is a gateway to be asked.
    pub pay: bool,
    /// This run's nonce, as `state` says it.
    pub boot: String,
    /// Signs checkpoints; without it there are none.
    pub signer: Option<Arc<Signer>>,
    /// Whose acknowledgements count; without it anybody's that are true.
    pub back_end: Option<Keys>,
    /// [`FleetEvent::Acknowledged`] comes at most so often.
    pub tell_every: Duration,
    /// An alarm that the broker still shows and that nobody has raised so long after connecting is cleared.
    pub alarm_grace: Duration,
}

impl Settings {
    pub fn new(fleet: Name, kiosk: Name, broker: Broker) -> Self {
        Self {
            // No name contains a dot, so two kiosks can't come to the same id.
            client_id: format!("kioskd.{fleet}.{kiosk}"),
            address: Address { fleet, kiosk },
            broker,
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
            tell_every: Duration::from_secs(1),
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
    /// Told when the reason changes, not for every failed try.
    Disconnected {
        why: String,
    },
    /// The back end holds everything up to here: the ledger's name and the hash agree. Smaller than before when the back
    /// end says that it lacks something. The newest only, and not often: a flood of acknowledgements ends in the link.
    Acknowledged {
        seq: u64,
    },
    /// Somebody sent an acknowledgement that is not true. Nothing has moved. At most one a second, after the first ten.
    AckRejected {
        why: String,
    },
    /// Somebody else uses this kiosk's name, or its ledger's number, and why that is believed; `None`: not any more.
    Twin {
        why: Option<&'static str>,
    },
    /// A message on `pay/reply` or `pay/notice`, by whomever; longer ones than [`LONGEST`](crate::signed::jws::LONGEST) are cut after one byte
    /// more. Checked at once, in the link's task, a flood slows the one who sends it; kept for later, it would fill the
    /// memory.
    Pay {
        channel: Pay,
        message: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pay {
    Reply,
    Notice,
}

/// Where questions to the gateway are put down.
#[derive(Debug, Clone)]
pub struct Hatch(Arc<Desk>);

impl Hatch {
    /// Publishes a signed request on `pay/request`. `false`: there is no connection, or too many wait already.
    #[must_use]
    pub fn ask(&self, message: Vec<u8>) -> bool {
        self.0.ask(message)
    }
}

/// A running link. Dropped without [`stop`](Self::stop) the connection breaks and the broker announces the last will.
#[derive(Debug)]
pub struct Link {
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

/// Starts the link as one task of `runtime`.
pub fn start(
    supervisor: &Supervisor,
    runtime: &Handle,
    settings: Settings,
    outbox: impl Outbox,
    on: impl Fn(FleetEvent) + Send + 'static,
) -> Link {
    let desk = Arc::new(Desk::default());
    let session = Session::new(settings, outbox, on, Arc::clone(&desk));
    let told = Arc::clone(&desk);
    let run = async move {
        session.run().await;
        if told.stopped() { End::Told } else { End::Failed("it has left off by itself".into()) }
    };
    Link { desk, task: supervisor.task(runtime, "the fleet link", run) }
}

impl Link {
    /// How long [`stop`](Self::stop) takes at most.
    pub const STOP: Duration = Duration::from_secs(3);

    /// Publishes the kiosk's state, retained. The latest wins, and is told again on every connection.
    pub fn state(&self, document: Value) {
        self.desk.state(document.to_string());
    }

    /// Raises an alarm, or clears it. `kind` is a level of the topic; another is refused with an error in the log.
    pub fn alarm(&self, kind: &str, body: Option<Value>) {
        match Name::parse(kind) {
            Ok(kind) => self.desk.alarm(kind, body.map(|body| body.to_string())),
            Err(error) => tracing::error!(%error, "an alarm with a kind that fits no topic was not published"),
        }
    }

    /// Flat JSON of numbers; dropped while there is no connection.
    pub fn telemetry(&self, values: Value) {
        self.desk.telemetry(values.to_string());
    }

    /// For the gateway rails.
    pub fn hatch(&self) -> Hatch {
        Hatch(Arc::clone(&self.desk))
    }

    /// There are new events in the outbox.
    pub fn wake(&self) {
        self.desk.news();
    }

    /// Says goodbye: presence offline, disconnect.
    pub async fn stop(mut self) {
        self.desk.stop();
        // The connection may hang; then the broker's last will has to say it.
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
        let settings = Settings { start_delay: Duration::ZERO, ..Settings::new(name("f"), name("k"), broker) };
        let start = |on: fn(FleetEvent)| super::start(&supervisor, runtime.handle(), settings.clone(), Empty, on);
        let stopped = start(|_| ());
        runtime.block_on(stopped.stop());
        let broken = start(|event| panic!("nobody takes {event:?}"));
        let end = ended.recv_timeout(Duration::from_secs(10)).unwrap();
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
