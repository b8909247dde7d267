//! Turns contacts into presses, the same way for every device.
//!
//! One finger counts at a time. It presses when it lifts, so that a customer can slide away from what was touched by
//! mistake (WCAG 2.5.2, EN 301 549 11.2.5.2); where it came down is reported at once, because the page may change under
//! the finger. A second finger, a palm, a hand, an object on the glass and the bouncing of a worn sensor press nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{InputEvent, Report};
use crate::vocabulary::Spot;

/// A finger that has moved no further has not moved: it rolls when it lifts, and elderly hands tremble. 5 mm on a panel
/// of 10 inches, a quarter of what there is to touch.
const STEADY: f64 = 0.03;

/// Longer than anybody presses: a bag, a drop, a hand that leans. It no longer holds up other fingers.
const RESTING: Duration = Duration::from_secs(5);

/// So many contacts at once are a hand.
const HAND: usize = 3;

/// One thing on the glass in one frame of the device; the same number as long as it stays there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contact {
    pub id: i64,
    pub spot: Spot,
    /// The device itself says that it is no finger.
    pub palm: bool,
}

pub(super) struct Fingers {
    debounce: Duration,
    /// Everything on the glass, and since when.
    there: BTreeMap<i64, Instant>,
    acting: Option<Acting>,
    last_lift: Option<Instant>,
}

struct Acting {
    id: i64,
    pressed: Spot,
    last: Spot,
    moved: bool,
}

impl Fingers {
    /// A contact that begins sooner than `debounce` after another has ended is the same.
    pub fn new(debounce: Duration) -> Self {
        Self { debounce, there: BTreeMap::new(), acting: None, last_lift: None }
    }

    /// Everything that is on the glass now.
    pub fn frame(&mut self, now: Instant, contacts: &[Contact], report: &mut Report<'_>) {
        let since = |id| self.there.get(&id).copied();
        let there: BTreeMap<_, _> = contacts.iter().map(|c| (c.id, since(c.id).unwrap_or(now))).collect();
        let before = std::mem::replace(&mut self.there, there);
        let young = |since: &Instant| now.saturating_duration_since(*since) < RESTING;
        let hand = self.there.values().filter(|since| young(since)).count() >= HAND;

        if let Some(acting) = &mut self.acting {
            match contacts.iter().find(|contact| contact.id == acting.id) {
                None => {
                    report(InputEvent::Lifted(if acting.moved { acting.last } else { acting.pressed }));
                    self.acting = None;
                }
                Some(contact) => {
                    acting.last = contact.spot;
                    let (dx, dy) = (contact.spot.x - acting.pressed.x, contact.spot.y - acting.pressed.y);
                    acting.moved |= dx.abs() > STEADY || dy.abs() > STEADY;
                    if contact.palm || hand || !self.there.get(&acting.id).is_some_and(young) {
                        report(InputEvent::Strayed);
                        self.acting = None;
                    }
                }
            }
        }
        let bounces = self.last_lift.is_some_and(|at| now.saturating_duration_since(at) < self.debounce);
        let lifted = before.keys().any(|id| !self.there.contains_key(id));
        if lifted {
            self.last_lift = Some(now);
        }
        let alone = !self.there.iter().any(|(id, since)| before.contains_key(id) && young(since));
        let new = contacts.iter().find(|contact| !before.contains_key(&contact.id));
        if let Some(new) = new.filter(|new| alone && !hand && !bounces && !lifted && !new.palm) {
            report(InputEvent::Pressed(new.spot));
            self.acting = Some(Acting { id: new.id, pressed: new.spot, last: new.spot, moved: false });
        }
    }

    /// Nobody knows what has happened meanwhile: what is under way comes to nothing, and of `still` on the glass
    /// nothing will come either.
    pub fn forget(&mut self, now: Instant, still: Option<i64>, report: &mut Report<'_>) {
        if self.acting.take().is_some() {
            report(InputEvent::Strayed);
        }
        self.there = still.into_iter().map(|id| (id, now)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Glass {
        fingers: Fingers,
        start: Instant,
        said: Vec<InputEvent>,
    }

    impl Glass {
        fn new() -> Self {
            let fingers = Fingers::new(Duration::from_millis(80));
            Self { fingers, start: Instant::now(), said: Vec::new() }
        }

        /// At `ms`, contacts by number and place.
        fn at(&mut self, ms: u64, contacts: &[(i64, f64, f64)]) -> &mut Self {
            let contacts: Vec<_> =
                contacts.iter().map(|&(id, x, y)| Contact { id, spot: Spot { x, y }, palm: false }).collect();
            let said = &mut self.said;
            self.fingers.frame(self.start + Duration::from_millis(ms), &contacts, &mut |event| said.push(event));
            self
        }

        fn said(&mut self) -> Vec<InputEvent> {
            std::mem::take(&mut self.said)
        }
    }

    fn pressed(x: f64, y: f64) -> InputEvent {
        InputEvent::Pressed(Spot { x, y })
    }

    fn lifted(x: f64, y: f64) -> InputEvent {
        InputEvent::Lifted(Spot { x, y })
    }

    #[test]
    fn a_tap_is_where_it_began_however_the_finger_rolls() {
        let mut glass = Glass::new();
        assert_eq!(glass.at(0, &[(1, 0.5, 0.5)]).said(), [pressed(0.5, 0.5)]);
        assert_eq!(glass.at(30, &[(1, 0.52, 0.48)]).at(90, &[]).said(), [lifted(0.5, 0.5)]);
    }

    #[test]
    fn sliding_away_lifts_elsewhere_even_when_it_comes_near_again() {
        let mut glass = Glass::new();
        glass.at(0, &[(1, 0.5, 0.5)]).at(20, &[(1, 0.9, 0.5)]).at(40, &[(1, 0.51, 0.5)]).at(60, &[]);
        assert_eq!(glass.said(), [pressed(0.5, 0.5), lifted(0.51, 0.5)]);
    }

    #[test]
    fn a_second_finger_does_nothing() {
        let mut glass = Glass::new();
        glass.at(0, &[(1, 0.2, 0.2)]).at(200, &[(1, 0.2, 0.2), (2, 0.8, 0.8)]).at(300, &[(1, 0.2, 0.2)]);
        glass.at(400, &[(1, 0.2, 0.2), (3, 0.9, 0.9)]).at(500, &[(3, 0.9, 0.9)]).at(700, &[]);
        assert_eq!(glass.said(), [pressed(0.2, 0.2), lifted(0.2, 0.2)]);
    }

    #[test]
    fn two_contacts_at_once_are_one() {
        let mut glass = Glass::new();
        glass.at(0, &[(1, 0.2, 0.2), (2, 0.21, 0.2)]).at(50, &[]);
        assert_eq!(glass.said(), [pressed(0.2, 0.2), lifted(0.2, 0.2)]);
    }

    #[test]
    fn a_hand_does_nothing() {
        let mut glass = Glass::new();
        let hand = [(1, 0.2, 0.2), (2, 0.3, 0.2), (3, 0.4, 0.2)];
        glass.at(0, &hand).at(50, &[]);
        assert_eq!(glass.said(), []);
        glass.at(500, &hand[..1]).at(510, &hand).at(600, &[]);
        assert_eq!(glass.said(), [pressed(0.2, 0.2), InputEvent::Strayed]);
    }

    #[test]
    fn a_palm_does_nothing() {
        let mut glass = Glass::new();
        let palm = |palm| [Contact { id: 1, spot: Spot { x: 0.5, y: 0.5 }, palm }];
        let (start, mut said) = (glass.start, Vec::new());
        glass.fingers.frame(start, &palm(true), &mut |event| said.push(event));
        glass.fingers.frame(start + Duration::from_millis(500), &[], &mut |event| said.push(event));
        assert_eq!(said, []);
        glass.fingers.frame(start + Duration::from_secs(1), &palm(false), &mut |event| said.push(event));
        glass.fingers.frame(start + Duration::from_secs(2), &palm(true), &mut |event| said.push(event));
        glass.fingers.frame(start + Duration::from_secs(3), &[], &mut |event| said.push(event));
        assert_eq!(said, [pressed(0.5, 0.5), InputEvent::Strayed]);
    }

    #[test]
    fn what_rests_does_nothing_and_holds_nobody_up() {
        let mut glass = Glass::new();
        let drop = (1, 0.1, 0.9);
        glass.at(0, &[drop]).at(6_000, &[drop, (2, 0.5, 0.5)]).at(6_100, &[drop]).at(9_000, &[]);
        assert_eq!(glass.said(), [pressed(0.1, 0.9), InputEvent::Strayed, pressed(0.5, 0.5), lifted(0.5, 0.5)]);
    }

    #[test]
    fn a_bouncing_sensor_taps_once() {
        let mut glass = Glass::new();
        for ms in [0, 60, 120, 180] {
            glass.at(ms, &[(ms as i64, 0.5, 0.5)]).at(ms + 20, &[]);
        }
        assert_eq!(glass.said(), [pressed(0.5, 0.5), lifted(0.5, 0.5)]);
        glass.at(281, &[(9, 0.5, 0.5)]);
        assert_eq!(glass.said(), [pressed(0.5, 0.5)], "a finger that comes back after the bouncing");
    }

    #[test]
    fn another_contact_in_the_same_frame_is_a_bounce() {
        let mut glass = Glass::new();
        glass.at(0, &[(1, 0.5, 0.5)]).at(100, &[(2, 0.9, 0.9)]).at(300, &[]);
        assert_eq!(glass.said(), [pressed(0.5, 0.5), lifted(0.5, 0.5)]);
    }

    #[test]
    fn of_what_nobody_saw_nothing_comes() {
        let mut glass = Glass::new();
        glass.at(0, &[(1, 0.5, 0.5)]);
        let (now, said) = (glass.start, &mut glass.said);
        glass.fingers.forget(now, Some(1), &mut |event| said.push(event));
        glass.at(100, &[(1, 0.5, 0.5)]).at(200, &[]).at(400, &[(1, 0.5, 0.5)]);
        assert_eq!(glass.said(), [pressed(0.5, 0.5), InputEvent::Strayed, pressed(0.5, 0.5)]);
    }
}
