//! How the demo's own clients reach its broker: each under a name of its own, because two demos may share one.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, EventLoop, MqttOptions, TlsConfiguration, Transport};
use rustls::ClientConfig;

use crate::fleet::link::Broker;
use crate::fleet::topic::Name;

const MAX_PACKET: usize = 2 << 20;

pub fn client_id(what: &str, fleet: &Name) -> String {
    format!("kioskd-{what}.{fleet}.{:08x}", getrandom::u32().unwrap_or_default())
}

/// One connection; `room` messages wait in it.
pub fn connect(id: &str, broker: &Broker, tls: Option<&Arc<ClientConfig>>, room: usize) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, broker.host.clone(), broker.port);
    options.set_clean_session(true).set_keep_alive(Duration::from_secs(15)).set_max_packet_size(MAX_PACKET, MAX_PACKET);
    if let Some(tls) = tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
    }
    let (client, mut events) = AsyncClient::new(options, room);
    let mut network = events.network_options();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}
