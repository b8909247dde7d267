//! Sends notices: what a provider has said in a notification goes to the kiosk that it is about.
//!
//! Policy: a notice is delivered when the kiosk has confirmed it with its signature, because a broker may drop what it
//! acknowledged. Until then the provider is answered that its notification failed, and repeats it. A notice's id is a
//! digest of its contents, so that a repeat, by whichever gateway, is the same notice.
//!
//! With several gateways a kiosk's confirmation may reach another gateway than the one that waits for it. So notices
//! have a connection of their own, which receives all requests of the fleet, outside of the shared subscription. It
//! opens those of a kiosk only while a notice to it is in flight, within a rate limit
//! ([`admission`](super::admission)), and only to find confirmations. A confirmation stays true, so it may have any
//! age.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use tokio::sync::broadcast;

use super::Shared;
use super::admission::Admission;
use super::mqtt::{BrokerConnection, ConnectionConfig};
use crate::fleet::topic::{Address, Filter, Leaf, Name};
use crate::payment::gateway::wire::{Ask, Notice};
use crate::signed::jws::Purpose;
use crate::vocabulary::{ChargeRef, ChargeReport};

/// A notice is valid for this long; by then the provider has repeated it.
const LIFE_MS: u64 = 60_000;
/// So many confirmations may wait to be matched.
const CONFIRMATIONS: usize = 1024;
/// Longer ids are not the gateway's.
const LONGEST_ID: usize = 64;

/// A kiosk confirms that it has the notice of this id.
type Confirmation = (Name, String);

pub(super) struct NoticeSender {
    shared: Arc<Shared>,
    pub connection: BrokerConnection,
    confirmations: broadcast::Sender<Confirmation>,
    awaited: Arc<AwaitedKiosks>,
    wait: Duration,
}

/// The kiosks to which notices are under way, and how many.
#[derive(Default)]
struct AwaitedKiosks(Mutex<BTreeMap<Name, usize>>);

impl AwaitedKiosks {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Name, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kiosk is listened to while this is held.
struct AwaitGuard<'a>(&'a AwaitedKiosks, &'a Name);

impl<'a> AwaitGuard<'a> {
    fn new(awaited: &'a AwaitedKiosks, kiosk: &'a Name) -> Self {
        *awaited.counts().entry(kiosk.clone()).or_default() += 1;
        Self(awaited, kiosk)
    }
}

impl Drop for AwaitGuard<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        if let Some(count) = counts.get_mut(self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(self.1);
            }
        }
    }
}

/// Why the provider is not told that its notification was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotDelivered {
    #[error("there is no connection to the broker")]
    NotConnected,
    #[error("the kiosk has not confirmed the notice in time")]
    NoConfirmation,
    #[error("the notice can't be signed")]
    NotSigned,
}

impl NoticeSender {
    pub fn start(shared: Arc<Shared>, wait: Duration) -> Self {
        let (confirmations, _) = broadcast::channel(CONFIRMATIONS);
        let awaited = Arc::new(AwaitedKiosks::default());
        let (confirm, receiver, expected) = (confirmations.clone(), Arc::clone(&shared), Arc::clone(&awaited));
        let config = shared.connection_config("notices", Filter::PayRequests(shared.fleet.clone()));
        // This connection has limits of its own, because each message comes on both.
        let admission = Admission::new(shared.kiosks.names());
        let connection = BrokerConnection::start(config, move |message| {
            // Invalid requests are counted by the connection that answers them.
            if let Ok(kiosk) = receiver.kiosks.of_topic(&message.topic)
                && expected.counts().contains_key(&kiosk.kiosk)
                && let Ok(_permit) = admission.admit(&kiosk.kiosk)
                && let Ok((request, _)) = receiver.kiosks.open(&kiosk, &message.payload)
                && let Ask::Noticed { notice } = request.ask
                && notice.len() <= LONGEST_ID
            {
                // It fails only when the last one has just stopped waiting.
                drop(confirm.send((kiosk.kiosk, notice)));
            }
        });
        Self { shared, connection, confirmations, awaited, wait }
    }

    /// Sends a notice, and waits until the kiosk has confirmed it.
    ///
    /// # Errors
    /// There is no connection to the broker, or the kiosk does not confirm in time.
    pub async fn deliver(
        &self,
        kiosk: &Address,
        rail: &str,
        id: String,
        charge: ChargeRef,
        report: ChargeReport,
    ) -> Result<(), NotDelivered> {
        if !self.connection.is_up() {
            return Err(NotDelivered::NotConnected);
        }
        let sent = self.shared.admission.now();
        let (to, rail) = (kiosk.to_string(), rail.to_owned());
        let notice = Notice { kiosk: to, rail, id: id.clone(), sent, expires: sent + LIFE_MS, charge, report };
        let message = self.shared.signer.sign(Purpose::PayNotice, &notice).map_err(|_| NotDelivered::NotSigned)?;
        // Registered before the notice is sent: the confirmation may be quick.
        let _guard = AwaitGuard::new(&self.awaited, &kiosk.kiosk);
        let mut confirmations = self.confirmations.subscribe();
        let arrived = async {
            self.connection
                .send(kiosk.topic(Leaf::PayNotice), message)
                .await
                .map_err(|_| NotDelivered::NotConnected)?;
            loop {
                match confirmations.recv().await {
                    Ok((from, notice)) if from == kiosk.kiosk && notice == id => return Ok(()),
                    // It is of another notice, or some were missed: then the provider repeats its notification.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(NotDelivered::NotConnected),
                }
            }
        };
        tokio::time::timeout(self.wait, arrived).await.unwrap_or(Err(NotDelivered::NoConfirmation))
    }
}

/// The notice's id: 32 hexadecimal digits of the digest of its contents.
pub(super) fn notice_id(rail: &str, charge: &ChargeRef, report: &ChargeReport) -> Option<String> {
    let said = serde_json::to_vec(&(rail, charge, report)).ok()?;
    Some(HEXLOWER.encode(&digest(&SHA256, &said).as_ref()[..16]))
}

impl Shared {
    /// The configuration of one of this gateway's connections. Its client id is unique, because a broker disconnects
    /// the older one of two clients with one id.
    pub(super) fn connection_config(&self, what: &str, filter: Filter) -> ConnectionConfig {
        let client_id = format!("kioskd-gateway.{}.{:016x}.{what}", self.fleet, self.instance);
        ConnectionConfig { broker: self.broker.clone(), client_id, filter }
    }
}
