//! How the office reaches the broker.

use std::path::PathBuf;
use std::time::Duration;

use rumqttc::{AsyncClient, EventLoop, MqttOptions, TlsConfiguration, Transport};

use super::OfficeError;
use crate::fleet::link::Broker;
use crate::fleet::tls;
use crate::signed::keys::KeySource;

const MAX_PACKET: usize = 1 << 20;
/// Between two tries to reach the broker: a person waits for it.
pub const RECONNECT: Duration = Duration::from_millis(500);

/// What a person of the office says of the broker.
#[derive(Debug, Clone)]
pub struct Access {
    /// `mqtts://HOST:PORT`, or `mqtt://HOST:PORT`.
    pub broker: String,
    pub ca: Option<PathBuf>,
    /// The client's certificate and its private key.
    pub identity: Option<(PathBuf, KeySource)>,
}

impl Access {
    /// A client under a name of its own, with a clean session; so many of its messages may wait to be sent.
    ///
    /// # Errors
    /// The broker's address, or a file of TLS, is not what it should be.
    pub fn open(&self, waiting: usize) -> Result<(AsyncClient, EventLoop), OfficeError> {
        let broker: Broker = self.broker.parse()?;
        let random = getrandom::u64().map_err(|_| OfficeError::Random)?;
        let mut options = MqttOptions::new(format!("kioskfleet.{random:016x}"), broker.host.clone(), broker.port);
        options.set_clean_session(true).set_max_packet_size(MAX_PACKET, MAX_PACKET);
        if broker.tls {
            let identity = self.identity.as_ref().map(|(cert, key)| (cert.as_path(), key));
            let config = tls::client(self.ca.as_deref(), identity)?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        Ok(AsyncClient::new(options, waiting))
    }
}
