//! A relay whose pulse is bounded, and a limit on how many may be on at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use embedded_hal::digital::OutputPin;

/// No pulse is longer, whatever the configuration says.
pub const HARD_LIMIT: Duration = Duration::from_secs(10);

/// Between two questions whether the pulse should end.
const SLICE: Duration = Duration::from_millis(10);

/// Attempts to switch off before the failure is reported; the caller goes on trying.
const OFF_ATTEMPTS: u32 = 3;

/// How many relays may be on. A relay has no way to be on without a permit, and gives it back only when it is known to
/// be off: one that can't be switched off keeps the others off.
pub struct Interlock {
    left: AtomicU8,
}

impl Interlock {
    pub fn new(max_on: u8) -> Arc<Self> {
        Arc::new(Self { left: AtomicU8::new(max_on) })
    }

    fn permit(self: &Arc<Self>) -> Option<Permit> {
        let one_less = |left: u8| left.checked_sub(1);
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).ok()?;
        Some(Permit(Arc::clone(self)))
    }
}

struct Permit(Arc<Interlock>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::AcqRel);
    }
}

pub struct Relay<P> {
    pin: P,
    limit: Duration,
    interlock: Arc<Interlock>,
    /// There while it is on, or may be.
    permit: Option<Permit>,
}

#[derive(Debug, thiserror::Error)]
pub enum PulseError<E: std::fmt::Debug> {
    /// Whether it went on is unknown unless the backend says otherwise. It was switched off again.
    #[error("switching on failed: {0:?}")]
    On(E),
    /// As many relays are on as may be; this one was not touched.
    #[error("another relay is on, or could not be switched off")]
    Interlocked,
    /// It was on and may still be.
    #[error("switching off failed: {0:?}")]
    Off(E),
}

impl<P: OutputPin> Relay<P> {
    /// `limit` is the longest time it may be on, at most [`HARD_LIMIT`].
    pub fn new(pin: P, limit: Duration, interlock: &Arc<Interlock>) -> Self {
        Self { pin, limit: limit.min(HARD_LIMIT), interlock: Arc::clone(interlock), permit: None }
    }

    /// Inactive, whatever it was.
    pub fn rest(&mut self) -> Result<(), P::Error> {
        self.pin.set_low()?;
        self.permit = None;
        Ok(())
    }

    /// One pulse. `enough` waits at most the time it is given and says whether the pulse should end; it must not wait
    /// for anything else. The limit is counted from before the line is driven, so a slow line makes a shorter pulse,
    /// never a longer one. The relay goes off however this ends, a panic in `enough` included.
    pub fn pulse(&mut self, mut enough: impl FnMut(Duration) -> bool) -> Result<(), PulseError<P::Error>> {
        if self.permit.is_none() {
            self.permit = Some(self.interlock.permit().ok_or(PulseError::Interlocked)?);
        }
        let began = Instant::now();
        let mut on = Energised { relay: self, maybe_on: true };
        on.relay.pin.set_high().map_err(PulseError::On)?;
        loop {
            let left = on.relay.limit.saturating_sub(began.elapsed());
            if left.is_zero() || enough(left.min(SLICE)) {
                return on.off().map_err(PulseError::Off);
            }
        }
    }
}

/// While it exists the relay may be on; dropping it switches off.
struct Energised<'a, P: OutputPin> {
    relay: &'a mut Relay<P>,
    maybe_on: bool,
}

impl<P: OutputPin> Energised<'_, P> {
    fn off(&mut self) -> Result<(), P::Error> {
        self.maybe_on = false;
        let mut attempt = 1;
        loop {
            match self.relay.rest() {
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
