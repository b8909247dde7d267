//! The demo's own MQTT broker: rumqttd in this process, in memory only.
//!
//! Policy: it is a convenience for one desk, with no passwords and no disk; a fleet uses a real broker. rumqttd has no
//! stop call, so it runs for the life of the process. What it logs has the target `rumqttd` and is of no interest to
//! anybody; the log filter leaves it out. It does not set TCP_NODELAY, so a round trip through it takes
//! up to 40 ms now and then.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Bytes of the largest message it carries.
pub const MAX_PAYLOAD: usize = 1 << 20;
const MAX_CONNECTIONS: usize = 10_100;
/// It keeps so much of every subscription's traffic, read or not: 8 MiB.
const SEGMENT: usize = 1 << 20;
const SEGMENTS: usize = 8;
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// A broker that listens.
#[derive(Debug, Clone, Copy)]
pub struct Broker {
    /// Where, with the real port.
    pub addr: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("the broker can't listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("the broker's thread can't be started")]
    Thread(#[source] io::Error),
    #[error("the broker does not listen on {0} after {within} s", within = STARTS_WITHIN.as_secs())]
    Silent(SocketAddr),
}

/// Starts a broker on `listen`; port 0 takes a free one. Blocks until it accepts connections, usually some
/// milliseconds.
pub fn start(listen: SocketAddr) -> Result<Broker, BrokerError> {
    // rumqttd neither tells the port it got nor that it got none: so the port is tried out first.
    let addr = TcpListener::bind(listen)
        .and_then(|probe| probe.local_addr())
        .map_err(|error| BrokerError::Listen(listen, error))?;
    let mut broker = rumqttd::Broker::new(config(addr));
    let thread = std::thread::Builder::new().name("broker".into());
    thread
        .spawn(move || {
            if let Err(error) = broker.start() {
                tracing::error!(%error, "the demo's broker ended");
            }
        })
        .map_err(BrokerError::Thread)?;
    let by = Instant::now() + STARTS_WITHIN;
    while TcpStream::connect_timeout(&reachable(addr), STARTS_WITHIN).is_err() {
        if Instant::now() >= by {
            return Err(BrokerError::Silent(addr));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Broker { addr })
}

impl Broker {
    /// An address that this machine can connect to, also where it listens on all of them.
    pub fn reachable(self) -> SocketAddr {
        reachable(self.addr)
    }
}

fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

fn config(addr: SocketAddr) -> Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 10_000,
        max_payload_size: MAX_PAYLOAD,
        max_inflight_count: 1000,
        auth: None,
        external_auth: None,
        dynamic_filters: false,
    };
    let server =
        ServerSettings { name: "broker-v4".into(), listen: addr, tls: None, next_connection_delay_ms: 0, connections };
    Config {
        router: RouterConfig {
            max_connections: MAX_CONNECTIONS,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("v4".to_owned(), server)])),
        ..Config::default()
    }
}
