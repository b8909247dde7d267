//! The cameras of the demo's car park: over the broker each says which plate it reads, as a real one does.
//!
//! Policy: what can't be said now is not said later, because a plate is that of the car that is there now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Packet, QoS};
use rustls::ClientConfig;
use tokio::task::JoinHandle;

use super::mqtt;
use crate::fleet::link::Broker;
use crate::fleet::topic::{Address, Leaf, Name};

const RECONNECT: Duration = Duration::from_millis(500);
/// Plates that are on their way.
const WAITING: usize = 16;

/// All cameras of a car park, at one broker; dropped, they end.
#[derive(Debug)]
pub struct Cameras {
    fleet: Name,
    /// While the broker is there.
    client: Arc<Mutex<Option<AsyncClient>>>,
    task: JoinHandle<()>,
}

impl Cameras {
    /// Starts them as a task of the current tokio runtime. They connect again by themselves, as often as needed.
    pub fn start(broker: Broker, tls: Option<Arc<ClientConfig>>, fleet: Name) -> Self {
        let client = Arc::new(Mutex::new(None));
        let task = tokio::spawn(run(broker, tls, fleet.clone(), Arc::clone(&client)));
        Self { fleet, client, task }
    }

    /// The one at the gate of `kiosk` has read this; false where it could not be said.
    pub fn read(&self, kiosk: &str, plate: &str) -> bool {
        let Ok(kiosk) = Name::parse(kiosk) else { return false };
        let topic = Address { fleet: self.fleet.clone(), kiosk }.topic(Leaf::Plate).to_string();
        let client = lock(&self.client);
        client.as_ref().is_some_and(|client| client.try_publish(topic, QoS::AtMostOnce, false, plate).is_ok())
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(client: &Mutex<Option<AsyncClient>>) -> MutexGuard<'_, Option<AsyncClient>> {
    client.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(broker: Broker, tls: Option<Arc<ClientConfig>>, fleet: Name, told: Arc<Mutex<Option<AsyncClient>>>) {
    let id = mqtt::client_id("cameras", &fleet);
    loop {
        let (client, events) = mqtt::connect(&id, &broker, tls.as_ref(), WAITING);
        let why = connection(client, events, &told).await;
        // With it goes what waited.
        *lock(&told) = None;
        tracing::debug!(why, "the cameras lost their broker");
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn connection(client: AsyncClient, mut events: EventLoop, told: &Mutex<Option<AsyncClient>>) -> String {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => *lock(told) = Some(client.clone()),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::MqttOptions;

    use super::*;
    use crate::demo::broker;

    #[tokio::test]
    async fn a_plate_is_said_on_its_kiosks_topic_and_kept_by_nobody() {
        let addr = "127.0.0.1:0".parse().unwrap();
        let broker = tokio::task::spawn_blocking(move || broker::start(addr)).await.unwrap().unwrap();
        let (client, mut events) = AsyncClient::new(
            MqttOptions::new("listens", broker.reachable().ip().to_string(), broker.reachable().port()),
            16,
        );
        client.subscribe("kiosk/v1/demo/+/plate", QoS::AtMostOnce).await.unwrap();
        while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
        let cameras = Cameras::start(broker.reachable().into(), None, Name::parse("demo").unwrap());
        assert!(!cameras.read("entry 1", "KN123"), "no name of a kiosk");
        while !cameras.read("entry-1", "KN123") {
            tokio::task::yield_now().await;
        }
        loop {
            if let Event::Incoming(Packet::Publish(said)) = events.poll().await.unwrap() {
                assert_eq!((said.topic.as_str(), &said.payload[..]), ("kiosk/v1/demo/entry-1/plate", &b"KN123"[..]));
                assert!(!said.retain);
                return;
            }
        }
    }
}
