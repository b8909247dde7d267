//! The time at the provider. A board has no clock of its own worth the name, and a signature is good for five minutes;
//! every answer says what time it is there.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// Our clock with the error that the provider's `Date` shows.
#[derive(Debug, Default)]
pub struct ProviderClock {
    /// The provider's time less ours.
    error: Mutex<Option<SignedDuration>>,
}

impl ProviderClock {
    /// The provider's time as far as known, else ours.
    pub fn now(&self) -> Timestamp {
        let ours = Timestamp::now();
        ours.checked_add(self.error().unwrap_or_default()).unwrap_or(ours)
    }

    /// The provider's time less ours; `None` before its first answer. Whole seconds are all that `Date` has.
    pub fn error(&self) -> Option<SignedDuration> {
        *self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the `Date` of an answer (RFC 9110 §6.6.1) that has just arrived. Anything else changes nothing.
    pub fn learn(&self, date: &str) {
        let Ok(there) = jiff::fmt::rfc2822::parse(date) else { return };
        let error = there.timestamp().duration_since(Timestamp::now());
        *self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
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
        assert_eq!(clock.error(), None);
        clock.learn("Sun, 06 Nov 1994 08:49:37 GMT");
        let off = clock.now().duration_since("1994-11-06T08:49:37Z".parse().unwrap());
        assert!(off.as_secs().abs() <= 1, "{off}");
    }
}
