//! What a provider says by itself, brought to the kiosk it is about.
//!
//! Policy: a notice has arrived when the kiosk has said so, signed, because a broker may drop what it acknowledged. Until
//! then the provider is not told that it was taken, and repeats it. A notice's number is made of what it says, so that a
//! repeat, by whichever gateway, is the same notice.
//!
//! With several gateways the kiosk's word may reach another one than the one that waits for it. So notices have a
//! connection of their own, which hears all requests of the fleet, outside of the shared subscription; it looks into
//! those of a kiosk only while a notice to it is under way, at a pace ([`gate`](super::gate)), and only for the word that
//! it has arrived. That word stays true, so it has no age.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use tokio::sync::broadcast;

use super::Office;
use super::gate::Gate;
use super::post::{Line, Post};
use crate::fleet::topic::{Address, Filter, Leaf, Name};
use crate::payment::gateway::wire::{Ask, Notice};
use crate::signed::jws::Purpose;
use crate::vocabulary::{ChargeRef, ChargeReport};

/// A notice is not to be believed later than this; the provider has long repeated it.
const LIFE_MS: u64 = 60_000;
/// Words of kiosks that wait to be looked at.
const WORDS: usize = 1024;
/// A longer number is none of ours.
const LONGEST_NUMBER: usize = 64;

/// A kiosk has a notice.
type Word = (Name, String);

pub(super) struct Notices {
    office: Arc<Office>,
    pub post: Post,
    words: broadcast::Sender<Word>,
    wanted: Arc<Wanted>,
    wait: Duration,
}

/// The kiosks to which notices are under way, and how many.
#[derive(Default)]
struct Wanted(Mutex<BTreeMap<Name, usize>>);

impl Wanted {
    fn list(&self) -> MutexGuard<'_, BTreeMap<Name, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kiosk is listened to while this is held.
struct Wanting<'a>(&'a Wanted, &'a Name);

impl<'a> Wanting<'a> {
    fn new(wanted: &'a Wanted, kiosk: &'a Name) -> Self {
        *wanted.list().entry(kiosk.clone()).or_default() += 1;
        Self(wanted, kiosk)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        let mut list = self.0.list();
        if let Some(count) = list.get_mut(self.1) {
            *count -= 1;
            if *count == 0 {
                list.remove(self.1);
            }
        }
    }
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
        let wanted = Arc::new(Wanted::default());
        let (tell, ears, who) = (words.clone(), Arc::clone(&office), Arc::clone(&wanted));
        let line = office.line("notices", Filter::PayRequests(office.fleet.clone()));
        // The same message costs a place at each connection.
        let gate = Gate::new(office.kiosks.names());
        let post = Post::start(line, move |message| {
            // What is not a request at all is counted where requests are answered.
            if let Ok(kiosk) = ears.kiosks.at(&message.topic)
                && who.list().contains_key(&kiosk.kiosk)
                && let Ok(_place) = gate.enter(&kiosk.kiosk)
                && let Ok((request, _)) = ears.kiosks.open(&kiosk, &message.payload)
                && let Ask::Noticed { notice } = request.ask
                && notice.len() <= LONGEST_NUMBER
            {
                // Fails only when the last one has just stopped waiting.
                drop(tell.send((kiosk.kiosk, notice)));
            }
        });
        Self { office, post, words, wanted, wait }
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
        let sent = self.office.gate.now();
        let (to, rail) = (kiosk.to_string(), rail.to_owned());
        let notice = Notice { kiosk: to, rail, id: id.clone(), sent, expires: sent + LIFE_MS, charge, report };
        let message = self.office.signer.sign(Purpose::PayNotice, &notice).map_err(|_| Undelivered::Unwritten)?;
        // Before it is sent: the answer may be quick.
        let _wanting = Wanting::new(&self.wanted, &kiosk.kiosk);
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
    Some(HEXLOWER.encode(&digest(&SHA256, &said).as_ref()[..16]))
}

impl Office {
    /// A connection of this gateway's own: two clients with one name would throw each other out.
    pub(super) fn line(&self, what: &str, filter: Filter) -> Line {
        let client_id = format!("kioskd-gateway.{}.{:016x}.{what}", self.fleet, self.instance);
        Line { broker: self.broker.clone(), client_id, filter }
    }
}
