//! The time at the provider. A board has no clock of its own worth the name, and a signature is good for five minutes;
//! every answer says what time it is there.

use std::sync::Mutex;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// The provider's last `Date`, carried on by the monotonic clock: setting our own clock does not disturb it.
#[derive(Debug, Default)]
pub struct ProviderClock {
    last: Mutex<Option<(Timestamp, Instant)>>,
}

impl ProviderClock {
    /// The provider's time; `None` before its first answer. What is to end at a time is made by this one only.
    pub fn known(&self) -> Option<Timestamp> {
        let last = *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (date, heard) = last?;
        date.checked_add(SignedDuration::try_from(heard.elapsed()).ok()?).ok()
    }

    /// The provider's time as far as known, else ours: enough to sign a question with, whose answer tells the time.
    pub fn now(&self) -> Timestamp {
        self.known().unwrap_or_else(Timestamp::now)
    }

    /// The provider's time less ours; `None` before its first answer. Whole seconds are all that `Date` has.
    pub fn error(&self) -> Option<SignedDuration> {
        Some(self.known()?.duration_since(Timestamp::now()))
    }

    /// Takes the `Date` of an answer (RFC 9110 §6.6.1) that has just arrived. Anything else changes nothing.
    pub fn learn(&self, date: &str) {
        let Ok(there) = jiff::fmt::rfc2822::parse(date) else { return };
        let heard = (there.timestamp(), Instant::now());
        *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(heard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_provider() {
        let clock = ProviderClock::default();
        assert_eq!(clock.error(), None);
        clock.learn("yesterday");
        assert_eq!((clock.error(), clock.known()), (None, None));
        clock.learn("Sun, 06 Nov 1994 08:49:37 GMT");
        let off = clock.now().duration_since("1994-11-06T08:49:37Z".parse().unwrap());
        assert!(off.as_secs().abs() <= 1, "{off}");
    }
}
