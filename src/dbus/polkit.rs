//! Whether polkit lets who has called do what they ask, where the operator wants it asked: `[dbus] polkit`.
//!
//! Policy
//! - It is asked about what moves something and about money, by the actions of `systemd/org.kioskd.policy`. To keep the
//!   machine the bus's own policy is enough.
//! - About root nobody is asked, so that a machine whose polkit does not answer can be mended.
//! - Who has called is named to it by their name on the bus, which nobody else can take meanwhile.
//! - Its "no" is a right less, so the kiosk refuses and has it on record. What it can't say is an error, and nothing is
//!   done.
//! - It may have to ask a person for a password. That goes over a connection of its own, so that nothing else waits.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::Semaphore;
use zbus::Variant;
use zbus::connection::Builder;
use zbus::message::{Flags, Header};

use super::error::Error;
use crate::operation::{Operation, Right, Rights};

const NAME: &str = "org.freedesktop.PolicyKit1";
const AUTHORITY: &str = "/org/freedesktop/PolicyKit1/Authority";

/// As `systemd/org.kioskd.policy` names them.
const MOTION: &str = "org.kioskd.motion";
const MONEY: &str = "org.kioskd.money";

/// For an answer that is made of rules, and for a person who types a password.
const PATIENCE: Duration = Duration::from_secs(10);
const FOR_A_PERSON: Duration = Duration::from_secs(120);

/// Of `CheckAuthorization`.
const ALLOW_USER_INTERACTION: u32 = 1;

/// So many callers may be asked for a password at the same time.
const PLACES: usize = 16;

pub(super) struct Polkit {
    places: Semaphore,
}

impl Polkit {
    pub fn new() -> Self {
        Self { places: Semaphore::new(PLACES) }
    }

    /// The rights of who has called, as far as `asked` needs them.
    ///
    /// # Errors
    /// Polkit can't say; nothing may be done.
    pub async fn rights(&self, asked: &Operation, uid: u32, call: &Header<'_>) -> Result<Rights, Error> {
        let mut rights = Rights::ALL;
        if uid == 0 {
            return Ok(rights);
        }
        for right in asked.needs() {
            match right {
                // No method of the bus asks for new software.
                Right::Service => {}
                Right::Motion => rights.motion = self.allows(MOTION, call).await?,
                // Nothing on the bus needs them.
                Right::Configure | Right::Update => (rights.configure, rights.update) = (false, false),
                Right::Money => rights.money = self.allows(MONEY, call).await?,
            }
        }
        Ok(rights)
    }

    async fn allows(&self, action: &str, call: &Header<'_>) -> Result<bool, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::busy())?;
        let interactive = call.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
        match self.check(action, call, interactive).await.map_err(|why| Error::no_polkit(&why))? {
            (true, _) => Ok(true),
            (false, false) => Ok(false),
            (false, true) => Err(Error::authentication_needed()),
        }
    }

    /// Whether it is allowed, and whether it would be if somebody typed a password.
    async fn check(&self, action: &str, call: &Header<'_>, interactive: bool) -> zbus::Result<(bool, bool)> {
        let caller = call.sender().ok_or(zbus::Error::MissingField)?;
        let subject = ("system-bus-name", HashMap::from([("name", Variant::from(caller.as_str()))]));
        let (flags, patience) = match interactive {
            true => (ALLOW_USER_INTERACTION, FOR_A_PERSON),
            false => (0, PATIENCE),
        };
        let asked = (subject, action, HashMap::<&str, &str>::new(), flags, "");
        // The configuration has polkit on the system's bus alone.
        let connection = Builder::system().method_timeout(patience).build().await?;
        let interface = Some("org.freedesktop.PolicyKit1.Authority");
        let answer = connection.call_method(Some(NAME), AUTHORITY, interface, "CheckAuthorization", &asked).await?;
        let (allowed, challenge, _): (bool, bool, HashMap<String, String>) = answer.body().deserialize()?;
        Ok((allowed, challenge))
    }
}
