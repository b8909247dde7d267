//! The touch sensor of a panel that the world draws: its finger goes the way of every finger.

use std::time::{Duration, Instant};

use super::InputEvent;
use super::fingers::{Contact, Fingers};
use crate::vocabulary::Spot;

pub struct Simulated {
    fingers: Fingers,
    start: Instant,
    /// Fingers that came down so far, and whether the last is still there.
    came: i64,
    down: bool,
}

impl Simulated {
    /// A finger that comes back sooner than `debounce` is the same.
    pub fn new(debounce: Duration) -> Self {
        Self { fingers: Fingers::new(debounce), start: Instant::now(), came: 0, down: false }
    }

    /// Where the finger is after `ms` milliseconds of the world's clock; `None` while it does not touch. What comes of it.
    pub fn take(&mut self, ms: u64, finger: Option<Spot>) -> Vec<InputEvent> {
        if finger.is_some() && !self.down {
            self.came += 1;
        }
        self.down = finger.is_some();
        let contact = finger.map(|spot| Contact { id: self.came, spot, palm: false });
        // Beyond what a clock can tell nothing is a bounce.
        let now = self.start.checked_add(Duration::from_millis(ms)).unwrap_or_else(Instant::now);
        let mut said = Vec::new();
        self.fingers.frame(now, contact.as_slice(), &mut |event| said.push(event));
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finger_presses_lifts_slides_and_bounces() {
        let mut sensor = Simulated::new(Duration::from_millis(80));
        let [here, there] = [0.25, 0.75].map(|x| Spot { x, y: 0.5 });
        assert_eq!(sensor.take(1_000, Some(here)), [InputEvent::Pressed(here)]);
        assert_eq!(sensor.take(1_050, None), [InputEvent::Lifted(here)]);
        assert_eq!(sensor.take(1_100, Some(there)), [], "too soon to be another");
        assert_eq!(sensor.take(1_150, None), []);
        assert_eq!(sensor.take(1_231, Some(here)), [InputEvent::Pressed(here)]);
        assert_eq!(sensor.take(1_260, Some(there)), []);
        assert_eq!(sensor.take(1_290, None), [InputEvent::Lifted(there)]);
        assert_eq!(sensor.take(u64::MAX, None), []);
    }
}
