//! A relay whose pulse is bounded.

use std::time::{Duration, Instant};

use embedded_hal::digital::OutputPin;

/// No pulse is longer, whatever the configuration says.
pub const HARD_LIMIT: Duration = Duration::from_secs(10);

/// Between two questions whether the pulse should end.
const SLICE: Duration = Duration::from_millis(10);

/// Attempts to switch off before the failure is reported; the caller goes on trying.
const OFF_ATTEMPTS: u32 = 3;

pub struct Relay<P> {
    pin: P,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum PulseError<E: std::fmt::Debug> {
    /// Whether it went on is unknown unless the backend says otherwise. It was switched off again.
    #[error("switching on failed: {0:?}")]
    On(E),
    /// It was on and may still be.
    #[error("switching off failed: {0:?}")]
    Off(E),
}

impl<P: OutputPin> Relay<P> {
    /// `limit` is the longest time it may be on, at most [`HARD_LIMIT`].
    pub fn new(pin: P, limit: Duration) -> Self {
        Self { pin, limit: limit.min(HARD_LIMIT) }
    }

    /// Inactive, whatever it was.
    pub fn rest(&mut self) -> Result<(), P::Error> {
        self.pin.set_low()
    }

    /// One pulse. `enough` waits at most the time it is given and says whether the pulse should end; it must not wait
    /// for anything else. The limit is counted from before the line is driven, so a slow line makes a shorter pulse,
    /// never a longer one. The relay goes off however this ends, a panic in `enough` included.
    pub fn pulse(&mut self, mut enough: impl FnMut(Duration) -> bool) -> Result<(), PulseError<P::Error>> {
        let began = Instant::now();
        let mut on = Energised { pin: &mut self.pin, maybe_on: true };
        on.pin.set_high().map_err(PulseError::On)?;
        loop {
            let left = self.limit.saturating_sub(began.elapsed());
            if left.is_zero() || enough(left.min(SLICE)) {
                return on.off().map_err(PulseError::Off);
            }
        }
    }
}

/// While it exists the relay may be on; dropping it switches off.
struct Energised<'a, P: OutputPin> {
    pin: &'a mut P,
    maybe_on: bool,
}

impl<P: OutputPin> Energised<'_, P> {
    fn off(&mut self) -> Result<(), P::Error> {
        self.maybe_on = false;
        let mut attempt = 1;
        loop {
            match self.pin.set_low() {
                Err(_) if attempt < OFF_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }
}

impl<P: OutputPin> Drop for Energised<'_, P> {
    fn drop(&mut self) {
        if self.maybe_on
            && let Err(error) = self.off()
        {
            tracing::error!(?error, "a relay could not be switched off");
        }
    }
}
