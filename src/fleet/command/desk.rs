//! Opens what comes in as a command. Everything here happens in the link's task, so that a flood slows its sender.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{CommandContent, LONGEST, operation};
use crate::fleet::rate_limiter::RateLimiter;
use crate::fleet::topic::{Address, Name};
use crate::operation::{Actor, KeyName, KeysetText, Operation, ReplayWindow, Request, RequestId, Rights};
use crate::signed::jws::{BadMessage, PublicKey, Purpose};
use crate::signed::keyset::{BadKeyset, Keyset};
use crate::vocabulary::{BootId, Wall};

/// So many believed commands at once go on to the kiosk, and then [`EVERY`] one: old ones can be repeated by anybody.
const BURST: u32 = 64;
const EVERY: Duration = Duration::from_millis(125);
/// The verb that the root's own messages bear.
const ROTATE: &str = "rotate-keys";

/// Whom the topic of a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    ThisKiosk,
    Everyone,
}

/// Why a message is rejected, without a record. No reason contains any of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("longer than {LONGEST} bytes")]
    TooLong,
    #[error("{0}")]
    Message(#[from] BadMessage),
    #[error("for another kiosk or fleet, or sent to another topic than it was signed for")]
    Audience,
    #[error("its verb or number is another than its topic's")]
    Topic,
    #[error("unknown verb")]
    UnknownVerb,
    #[error("its arguments are not those of its verb")]
    Arguments,
    #[error("its counter is not 1 to 9007199254740991")]
    Counter,
    #[error("the keyset: {0}")]
    Keyset(#[from] BadKeyset),
    #[error("the keyset's number in the topic is not keyset-VERSION")]
    KeysetNumber,
    #[error("a keyset of this version or a later one is in force")]
    OldKeyset,
    #[error("too many commands at once; send it again")]
    TooMany,
}

impl Rejected {
    /// Whether a person should look at it. A busy kiosk is no sign of an attack.
    fn alarming(&self) -> bool {
        *self != Self::TooMany
    }
}

/// The count of rejected messages since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    pub count: u64,
    /// The last, and when it came if the kiosk knows the time.
    pub last: Option<(Rejected, Option<Wall>)>,
}

/// The kiosk's side of the commands.
#[derive(Debug)]
pub struct CommandDesk {
    address: Address,
    boot: BootId,
    root: PublicKey,
    clock: fn() -> Option<Wall>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    keyset: Keyset,
    commands: RateLimiter,
    told: RateLimiter,
    rejections: Rejections,
}

impl CommandDesk {
    /// `clock`: the wall clock, and nothing while it can't be trusted.
    pub fn new(address: Address, boot: BootId, root: PublicKey, keyset: Keyset, clock: fn() -> Option<Wall>) -> Self {
        let now = Instant::now();
        let inner = Inner {
            keyset,
            commands: RateLimiter::new(BURST, EVERY, now),
            told: RateLimiter::new(1, Duration::from_secs(1), now),
            rejections: Rejections::default(),
        };
        Self { address, boot, root, clock, inner: Mutex::new(inner) }
    }

    /// Opens a message. What is believed is what somebody asks of the machine; whether it may be done, the sale says.
    ///
    /// # Errors
    /// It is not believed, and has no effect but to be counted.
    pub fn open(&self, to: Addressee, verb: &Name, id: &Name, message: &[u8]) -> Result<Request, Rejected> {
        let mut inner = self.inner();
        let opened = self.opened(&inner.keyset, to, verb, id, message);
        let opened = opened.and_then(|request| match inner.commands.allowed(Instant::now()) {
            true => Ok(request),
            false => Err(Rejected::TooMany),
        });
        opened.inspect_err(|why| {
            if why.alarming() {
                inner.rejections.count += 1;
                inner.rejections.last = Some((why.clone(), (self.clock)()));
            }
        })
    }

    /// Whether a rejection is answered and told now: one a second is.
    pub fn is_told(&self) -> bool {
        self.inner().told.allowed(Instant::now())
    }

    pub fn rejections(&self) -> Rejections {
        self.inner().rejections.clone()
    }

    /// Whether the key in whose name a request was made still counts: it may have been revoked since.
    pub fn counts(&self, by: &Actor) -> bool {
        match by {
            Actor::Fleet { kid, .. } => by.is_root() || self.inner().keyset.rights(kid.as_str()).is_some(),
            Actor::Technician { .. } | Actor::Menu | Actor::Demo => true,
        }
    }

    /// Of the keyset in force.
    pub fn keyset_version(&self) -> u64 {
        self.inner().keyset.version()
    }

    /// Puts a keyset in force, if it is newer than the one that is. It is opened again: what is in the ledger may be
    /// another fleet's, or of another root.
    ///
    /// # Errors
    /// The root has not signed it for this fleet.
    pub fn adopt(&self, text: &KeysetText) -> Result<(), BadKeyset> {
        let keyset = Keyset::open(&self.root, self.address.fleet.as_str(), text.as_str().as_bytes())?;
        let mut inner = self.inner();
        if keyset.version() > inner.keyset.version() {
            inner.keyset = keyset;
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(
        &self,
        keyset: &Keyset,
        to: Addressee,
        verb: &Name,
        id: &Name,
        message: &[u8],
    ) -> Result<Request, Rejected> {
        if message.len() > LONGEST {
            return Err(Rejected::TooLong);
        }
        if verb.as_str() == ROTATE {
            return self.rotation(keyset, id, message);
        }
        let (content, kid) = keyset.keys().open::<CommandContent>(Purpose::Command, message)?;
        let audience = match to {
            Addressee::ThisKiosk => super::one(&self.address),
            Addressee::Everyone => super::everyone(&self.address.fleet),
        };
        if content.aud != audience {
            return Err(Rejected::Audience);
        }
        if content.verb != verb.as_str() || content.jti.as_str() != id.as_str() {
            return Err(Rejected::Topic);
        }
        if !(1..=ReplayWindow::MOST).contains(&content.ctr) {
            return Err(Rejected::Counter);
        }
        let asked = operation(&content.verb, &content.args).ok_or_else(|| {
            if Operation::VERBS.contains(&content.verb.as_str()) { Rejected::Arguments } else { Rejected::UnknownVerb }
        })?;
        let rights = keyset.rights(&kid).unwrap_or_default();
        let kid = KeyName::parse(&kid).ok_or(BadMessage::UnknownKey)?;
        Ok(Request {
            id: content.jti,
            by: Actor::Fleet { kid, counter: content.ctr },
            rights,
            live: content.nonce.as_deref() == Some(self.boot.as_str()),
            expired: content.exp.is_some_and(|exp| (self.clock)().is_some_and(|now| now.0 / 1_000 > exp)),
            asked,
        })
    }

    /// The next keyset, by the root's own signature; its version is its counter.
    fn rotation(&self, current: &Keyset, id: &Name, message: &[u8]) -> Result<Request, Rejected> {
        let keyset = Keyset::open(&self.root, self.address.fleet.as_str(), message)?;
        let number = format!("keyset-{}", keyset.version());
        if id.as_str() != number {
            return Err(Rejected::KeysetNumber);
        }
        // The one that is in force may be asked about again.
        if keyset.version() < current.version()
            || (keyset.version() == current.version() && keyset.text() != current.text())
        {
            return Err(Rejected::OldKeyset);
        }
        let (root, number) = (KeyName::parse(Actor::ROOT), RequestId::parse(&number));
        let (Some(kid), Some(id)) = (root, number) else { return Err(Rejected::KeysetNumber) };
        Ok(Request {
            id,
            by: Actor::Fleet { kid, counter: keyset.version() },
            rights: Rights::ALL,
            live: false,
            expired: false,
            asked: Operation::RotateKeys { version: keyset.version(), keyset: keyset.text().clone() },
        })
    }
}

#[cfg(test)]
mod tests;
