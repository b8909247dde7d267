//! What a provider says by itself, brought to the kiosk it is about.
//!
//! Policy: a notice has arrived when the kiosk has said so, signed, because a broker may drop what it acknowledged. Until
//! then the provider is not told that it was taken, and repeats it. A notice's number is made of what it says, so that a
//! repeat, by whichever gateway, is the same notice.
//!
//! With several gateways the kiosk's word may reach another one than the one that waits for it. So notices have a
//! connection of their own, which hears all requests of the fleet, outside of the shared subscription; it looks into
//! them only while a notice is under way, and only for the word that it has arrived.

use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use tokio::sync::broadcast;

use super::post::{Line, Post};
use super::{Office, millis};
use crate::fleet::jws::Purpose;
use crate::fleet::topic::{Address, Filter, Leaf, Name};
use crate::payment::gateway::wire::{Ask, Notice};
use crate::payment::{ChargeRef, ChargeReport};

/// A notice is not to be believed later than this; the provider has long repeated it.
const LIFE_MS: u64 = 60_000;
/// Words of kiosks that wait to be looked at.
const WORDS: usize = 1024;

/// A kiosk has a notice.
type Word = (Name, String);

pub(super) struct Notices {
    office: Arc<Office>,
    pub post: Post,
    words: broadcast::Sender<Word>,
    wait: Duration,
}

/// Why the provider is not told that its notification was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("the broker is away")]
    Away,
    #[error("the kiosk has not said that it has it")]
    Silent,
    #[error("the notice can't be written")]
    Unwritten,
}

impl Notices {
    pub fn start(office: Arc<Office>, wait: Duration) -> Self {
        let (words, _) = broadcast::channel(WORDS);
        let (tell, ears) = (words.clone(), Arc::clone(&office));
        let line = office.line("notices", Filter::PayRequests(office.fleet.clone()));
        let post = Post::start(line, move |message| {
            if tell.receiver_count() == 0 {
                return;
            }
            // What is not a request at all is counted where requests are answered.
            if let Ok((kiosk, request)) = ears.kiosks.open(&message.topic, &message.payload)
                && let Ask::Noticed { notice } = request.ask
            {
                // Fails only when the last one has just stopped waiting.
                drop(tell.send((kiosk.kiosk, notice)));
            }
        });
        Self { office, post, words, wait }
    }

    /// Ends well when the kiosk has said that it has the notice.
    pub async fn deliver(
        &self,
        kiosk: &Address,
        rail: &str,
        id: String,
        charge: ChargeRef,
        report: ChargeReport,
    ) -> Result<(), Undelivered> {
        if !self.post.is_up() {
            return Err(Undelivered::Away);
        }
        let sent = millis();
        let (to, rail) = (kiosk.to_string(), rail.to_owned());
        let notice = Notice { kiosk: to, rail, id: id.clone(), sent, expires: sent + LIFE_MS, charge, report };
        let message = self.office.signer.sign(Purpose::PayNotice, &notice).map_err(|_| Undelivered::Unwritten)?;
        // Before it is sent: the answer may be quick.
        let mut words = self.words.subscribe();
        let arrived = async {
            self.post.send(kiosk.topic(Leaf::PayNotice), message).await.map_err(|_| Undelivered::Away)?;
            loop {
                match words.recv().await {
                    Ok((from, notice)) if from == kiosk.kiosk && notice == id => return Ok(()),
                    // Of another, or some were missed: then the provider repeats it.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(Undelivered::Away),
                }
            }
        };
        tokio::time::timeout(self.wait, arrived).await.unwrap_or(Err(Undelivered::Silent))
    }
}

/// 32 hexadecimal digits of what it says.
pub(super) fn number(rail: &str, charge: &ChargeRef, report: &ChargeReport) -> Option<String> {
    let said = serde_json::to_vec(&(rail, charge, report)).ok()?;
    Some(digest(&SHA256, &said).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Office {
    /// A connection of this gateway's own: two clients with one name would throw each other out.
    pub(super) fn line(&self, what: &str, filter: Filter) -> Line {
        let client_id = format!("kioskd-gateway.{}.{:016x}.{what}", self.fleet, self.instance);
        Line { broker: self.broker.clone(), client_id, filter }
    }
}
