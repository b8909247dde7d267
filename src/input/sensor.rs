//! The touch sensor: the kernel's events become contacts.
//!
//! A device may tell of fingers that come near: a contact that is tracked is not yet one that touches. Its distance,
//! its pressure, its size and the device's button say which it is, as far as the device tells them.
//!
//! Three dialects: numbered slots (multitouch protocol B), anonymous contacts (protocol A), and one pointer with a
//! button. Sources: Documentation/input/multi-touch-protocol.rst and event-codes.rst of the kernel.

use std::time::{Duration, Instant};

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode, EventSummary, KeyCode, SynchronizationCode};

use super::fingers::{Contact, Fingers};
use super::place::{Axis, Mounting};
use super::{Report, Snapshot};
use crate::config::Calibration;

/// Contacts beyond are not looked at; no panel tells so many apart.
const MOST: usize = 32;

/// `MT_TOOL_PALM`.
const PALM: i32 = 2;

pub(super) struct Sensor {
    dialect: Protocol,
    mounting: Mounting,
    fingers: Fingers,
    /// Of a device with contacts: whether anything touches it, once it has said that something does.
    touched: Option<bool>,
    /// Events were lost; the rest of the frame means nothing.
    dropped: bool,
}

enum Protocol {
    Slots { slots: Vec<Slot>, current: Option<usize> },
    Anonymous { frame: Vec<(i32, i32, bool)>, pending: Slot },
    Pointer { button: KeyCode, down: bool, presses: i64, at: Slot },
}

/// The kernel says only what changes, so a place outlives its contact.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The contact's tracking number.
    id: Option<i32>,
    x: Option<i32>,
    y: Option<i32>,
    palm: bool,
    /// It has touched. The button alone does not end that: the kernel lets go of it too when the plug is pulled, and
    /// nobody has lifted a finger then.
    down: bool,
    /// As far as the device tells them.
    distance: Option<i32>,
    pressure: Option<i32>,
    size: Option<i32>,
}

/// What a device can do, as far as a sensor needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abilities {
    pub slots: bool,
    pub contacts: bool,
    /// The button of a pointer.
    pub button: Option<KeyCode>,
    /// Least and most.
    pub x: Option<(i32, i32)>,
    pub y: Option<(i32, i32)>,
}

impl Abilities {
    pub fn of(device: &RawDevice) -> std::io::Result<Self> {
        let has = |axis| device.supported_absolute_axes().is_some_and(|axes| axes.contains(axis));
        let contacts = has(AbsoluteAxisCode::ABS_MT_POSITION_X) && has(AbsoluteAxisCode::ABS_MT_POSITION_Y);
        let axes = match contacts {
            true => [AbsoluteAxisCode::ABS_MT_POSITION_X, AbsoluteAxisCode::ABS_MT_POSITION_Y],
            false => [AbsoluteAxisCode::ABS_X, AbsoluteAxisCode::ABS_Y],
        };
        let known: Vec<_> = device.get_absinfo()?.collect();
        let [x, y] = axes.map(|axis| {
            let (_, info) = known.iter().find(|(code, _)| *code == axis)?;
            Some((info.minimum(), info.maximum()))
        });
        let button = [KeyCode::BTN_TOUCH, KeyCode::BTN_LEFT]
            .into_iter()
            .find(|button| device.supported_keys().is_some_and(|keys| keys.contains(*button)));
        Ok(Self { slots: contacts && has(AbsoluteAxisCode::ABS_MT_SLOT), contacts, button, x, y })
    }
}

impl Sensor {
    /// # Errors
    /// Why it can't be used, in words.
    pub fn new(
        can: Abilities,
        calibration: Calibration,
        rotation: u32,
        debounce: Duration,
        now: &Snapshot,
    ) -> Result<Self, String> {
        let axis = |name, range: Option<(i32, i32)>| {
            let (least, most) = range.ok_or_else(|| format!("it has no {name} axis"))?;
            Axis::new(least, most).ok_or_else(|| format!("its {name} axis goes from {least} to {most}"))
        };
        let mounting = Mounting { x: axis("x", can.x)?, y: axis("y", can.y)?, calibration, rotation };
        let dialect = match (can.slots, can.contacts, can.button) {
            (true, ..) => Protocol::Slots { slots: vec![Slot::default(); MOST], current: None },
            (_, true, _) => Protocol::Anonymous { frame: Vec::new(), pending: Slot::default() },
            (.., Some(button)) => Protocol::Pointer { button, down: false, presses: 0, at: Slot::default() },
            _ => return Err("it has no button that says when it is touched".into()),
        };
        let mut sensor = Self { dialect, mounting, fingers: Fingers::new(debounce), touched: None, dropped: false };
        sensor.resync(now, Instant::now(), &mut |_| {});
        Ok(sensor)
    }

    /// Takes one event; true where events were lost and [`resync`](Self::resync) must follow.
    pub fn take(&mut self, event: evdev::InputEvent, now: Instant, report: &mut Report<'_>) -> bool {
        match event.destructure() {
            EventSummary::Synchronization(_, SynchronizationCode::SYN_DROPPED, _) => self.dropped = true,
            EventSummary::Synchronization(_, SynchronizationCode::SYN_REPORT, _) => {
                if std::mem::take(&mut self.dropped) {
                    return true;
                }
                self.frame(now, report);
            }
            _ if self.dropped => {}
            EventSummary::Synchronization(_, SynchronizationCode::SYN_MT_REPORT, _) => self.contact_ends(),
            EventSummary::AbsoluteAxis(_, axis, value) => self.axis(axis, value),
            EventSummary::Key(_, KeyCode::BTN_TOUCH, value) if !matches!(self.dialect, Protocol::Pointer { .. }) => {
                self.button(value != 0);
            }
            EventSummary::Key(_, key, value) => {
                if let Protocol::Pointer { button, down, presses, .. } = &mut self.dialect
                    && key == *button
                {
                    if value != 0 && !*down {
                        *presses += 1;
                    }
                    *down = value != 0;
                }
            }
            _ => {}
        }
        false
    }

    /// There are drivers that announce the button and never press it.
    fn button(&mut self, down: bool) {
        if down || self.touched.is_some() {
            self.touched = Some(down);
        }
    }

    fn axis(&mut self, axis: AbsoluteAxisCode, value: i32) {
        match &mut self.dialect {
            Protocol::Slots { slots, current } => {
                if axis == AbsoluteAxisCode::ABS_MT_SLOT {
                    *current = usize::try_from(value).ok();
                    return;
                }
                let Some(slot) = current.and_then(|nth| slots.get_mut(nth)) else { return };
                match axis {
                    AbsoluteAxisCode::ABS_MT_TRACKING_ID => {
                        slot.id = (value >= 0).then_some(value);
                        (slot.palm, slot.down) = (false, false);
                    }
                    other => slot.contact_axis(other, value),
                }
            }
            Protocol::Anonymous { pending, .. } => pending.contact_axis(axis, value),
            Protocol::Pointer { at, .. } => match axis {
                AbsoluteAxisCode::ABS_X => at.x = Some(value),
                AbsoluteAxisCode::ABS_Y => at.y = Some(value),
                _ => {}
            },
        }
    }

    fn contact_ends(&mut self) {
        if let Protocol::Anonymous { frame, pending } = &mut self.dialect {
            let contact = std::mem::take(pending);
            let Slot { x, y, palm, .. } = contact;
            // Without a place it says that there is no contact at all.
            if let (Some(x), Some(y)) = (x, y)
                && contact.touches()
                && frame.len() < MOST
            {
                frame.push((x, y, palm));
            }
        }
    }

    fn frame(&mut self, now: Instant, report: &mut Report<'_>) {
        let mounting = &self.mounting;
        let contact = |id, x, y, palm| Contact { id, spot: mounting.spot(x, y), palm };
        let none_touches = self.touched == Some(false);
        let contacts: Vec<Contact> = match &mut self.dialect {
            Protocol::Anonymous { frame, .. } if none_touches => {
                frame.clear();
                Vec::new()
            }
            Protocol::Slots { slots, .. } => {
                let there = slots.iter_mut().zip(0_i64..);
                let there = there.filter_map(|(slot, nth)| {
                    slot.down = slot.id.is_some() && slot.touches() && (slot.down || !none_touches);
                    let id = i64::from(slot.id.filter(|_| slot.down)?) << 8 | nth;
                    Some(contact(id, slot.x?, slot.y?, slot.palm))
                });
                there.collect()
            }
            // Only the order in the frame tells them apart, which is enough for one finger.
            Protocol::Anonymous { frame, .. } => {
                frame.drain(..).zip(0..).map(|((x, y, palm), nth)| contact(nth, x, y, palm)).collect()
            }
            Protocol::Pointer { down, presses, at, .. } => match (*down, at.x, at.y) {
                (true, Some(x), Some(y)) => vec![contact(*presses, x, y, false)],
                _ => Vec::new(),
            },
        };
        self.fingers.frame(now, &contacts, report);
    }

    /// Begins anew from what the kernel knows. What is on the glass now must lift before it counts.
    pub fn resync(&mut self, is: &Snapshot, now: Instant, report: &mut Report<'_>) {
        let mut still = None;
        self.button(is.pressed);
        match &mut self.dialect {
            Protocol::Slots { slots, current } => {
                slots.fill(Slot::default());
                // The kernel lets the pointer follow the only finger, which is in the first slot.
                slots[0] = Slot { x: is.x, y: is.y, ..Slot::default() };
                *current = Some(is.slot.and_then(|slot| usize::try_from(slot).ok()).unwrap_or(0));
            }
            Protocol::Anonymous { frame, pending } => {
                frame.clear();
                *pending = Slot::default();
                still = is.pressed.then_some(0);
            }
            Protocol::Pointer { down, presses, at, .. } => {
                *at = Slot { x: is.x, y: is.y, ..Slot::default() };
                *down = is.pressed;
                *presses += 1;
                still = is.pressed.then_some(*presses);
            }
        }
        self.fingers.forget(now, still, report);
    }
}

impl Slot {
    fn touches(&self) -> bool {
        let near = self.distance.is_some_and(|distance| distance > 0);
        let nothing = |told: Option<i32>| told.is_some_and(|told| told <= 0);
        !near && !nothing(self.pressure) && !nothing(self.size)
    }

    fn contact_axis(&mut self, axis: AbsoluteAxisCode, value: i32) {
        match axis {
            AbsoluteAxisCode::ABS_MT_POSITION_X => self.x = Some(value),
            AbsoluteAxisCode::ABS_MT_POSITION_Y => self.y = Some(value),
            AbsoluteAxisCode::ABS_MT_TOOL_TYPE => self.palm = value == PALM,
            AbsoluteAxisCode::ABS_MT_DISTANCE => self.distance = Some(value),
            AbsoluteAxisCode::ABS_MT_PRESSURE => self.pressure = Some(value),
            AbsoluteAxisCode::ABS_MT_TOUCH_MAJOR => self.size = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use evdev::EventType;
    use proptest::prelude::*;

    use super::*;
    use crate::input::InputEvent;
    use crate::vocabulary::Spot;

    const SLOT: u16 = AbsoluteAxisCode::ABS_MT_SLOT.0;
    const ID: u16 = AbsoluteAxisCode::ABS_MT_TRACKING_ID.0;
    const MT_X: u16 = AbsoluteAxisCode::ABS_MT_POSITION_X.0;
    const MT_Y: u16 = AbsoluteAxisCode::ABS_MT_POSITION_Y.0;
    const X: u16 = AbsoluteAxisCode::ABS_X.0;
    const Y: u16 = AbsoluteAxisCode::ABS_Y.0;
    const SYNC: (u16, u16, i32) = (0, 0, 0);
    const MT_SYNC: (u16, u16, i32) = (0, 2, 0);
    const DROPPED: (u16, u16, i32) = (0, 3, 0);

    fn abs(code: u16, value: i32) -> (u16, u16, i32) {
        (EventType::ABSOLUTE.0, code, value)
    }

    fn touch(value: i32) -> (u16, u16, i32) {
        (EventType::KEY.0, KeyCode::BTN_TOUCH.0, value)
    }

    fn can(slots: bool, contacts: bool) -> Abilities {
        let range = Some((0, 1000));
        Abilities { slots, contacts, button: Some(KeyCode::BTN_TOUCH), x: range, y: range }
    }

    struct Rig {
        sensor: Sensor,
        now: Instant,
        said: Vec<InputEvent>,
        /// What the kernel would answer.
        is: Snapshot,
    }

    impl Rig {
        fn new(can: Abilities) -> Self {
            let is = Snapshot::default();
            let plain = Calibration::default();
            let sensor = Sensor::new(can, plain, 0, Duration::from_millis(80), &is).unwrap();
            Self { sensor, now: Instant::now(), said: Vec::new(), is }
        }

        /// Events, half a second after those before.
        fn take(&mut self, events: &[(u16, u16, i32)]) -> Vec<InputEvent> {
            self.now += Duration::from_millis(500);
            for &(kind, code, value) in events {
                let said = &mut self.said;
                let mut report = |event| said.push(event);
                if self.sensor.take(evdev::InputEvent::new(kind, code, value), self.now, &mut report) {
                    self.sensor.resync(&self.is, self.now, &mut report);
                }
            }
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
    fn slots() {
        let mut rig = Rig::new(can(true, true));
        let down = [abs(ID, 7), abs(MT_X, 100), abs(MT_Y, 200), touch(1), abs(X, 100), abs(Y, 200), SYNC];
        assert_eq!(rig.take(&down), [pressed(0.1, 0.2)]);
        let second = [abs(SLOT, 1), abs(ID, 8), abs(MT_X, 900), abs(MT_Y, 900), SYNC];
        assert_eq!(rig.take(&second), []);
        assert_eq!(rig.take(&[abs(SLOT, 0), abs(ID, -1), SYNC]), [lifted(0.1, 0.2)]);
        assert_eq!(rig.take(&[abs(SLOT, 1), abs(ID, -1), touch(0), SYNC]), []);
        // The kernel does not repeat what has not changed.
        assert_eq!(rig.take(&[abs(SLOT, 0), abs(ID, 9), abs(MT_X, 300), touch(1), SYNC]), [pressed(0.3, 0.2)]);
    }

    #[test]
    fn the_first_touch_at_the_place_of_the_last_one_before_the_start() {
        let is = Snapshot { slot: Some(0), x: Some(500), y: Some(600), pressed: false };
        let mut rig = Rig::new(can(true, true));
        rig.sensor = Sensor::new(can(true, true), Calibration::default(), 0, Duration::ZERO, &is).unwrap();
        assert_eq!(rig.take(&[abs(ID, 1), touch(1), SYNC]), [pressed(0.5, 0.6)]);
    }

    #[test]
    fn anonymous_contacts() {
        let mut rig = Rig::new(can(false, true));
        let one = [abs(MT_X, 100), abs(MT_Y, 200), MT_SYNC, SYNC];
        assert_eq!(rig.take(&one), [pressed(0.1, 0.2)]);
        let two = [&one[..3], &[abs(MT_X, 900), abs(MT_Y, 200), MT_SYNC, SYNC]].concat();
        assert_eq!(rig.take(&two), []);
        assert_eq!(rig.take(&[MT_SYNC, SYNC]), [lifted(0.1, 0.2)]);
        let hand: Vec<_> = (0..5).flat_map(|nth| [abs(MT_X, nth), abs(MT_Y, 1), MT_SYNC]).chain([SYNC]).collect();
        assert_eq!(rig.take(&hand), []);
    }

    #[test]
    fn a_pointer() {
        let mut rig = Rig::new(can(false, false));
        assert_eq!(rig.take(&[abs(X, 100), abs(Y, 200), SYNC]), [], "it only moves");
        assert_eq!(rig.take(&[touch(1), SYNC]), [pressed(0.1, 0.2)]);
        assert_eq!(rig.take(&[abs(X, 101), SYNC, touch(0), SYNC]), [lifted(0.1, 0.2)]);
    }

    #[test]
    fn what_is_tracked_is_not_yet_touching() {
        let axis = |axis: AbsoluteAxisCode| axis.0;
        for (code, near, on) in [
            (axis(AbsoluteAxisCode::ABS_MT_DISTANCE), 1, 0),
            (axis(AbsoluteAxisCode::ABS_MT_PRESSURE), 0, 40),
            (axis(AbsoluteAxisCode::ABS_MT_TOUCH_MAJOR), 0, 6),
        ] {
            let mut rig = Rig::new(can(true, true));
            let comes = [abs(ID, 7), abs(MT_X, 100), abs(MT_Y, 200), abs(code, near), SYNC];
            assert_eq!(rig.take(&comes), [], "axis {code:#x}");
            assert_eq!(rig.take(&[abs(ID, -1), SYNC]), [], "and goes: axis {code:#x}");
            // It touches, and goes away without leaving first.
            assert_eq!(rig.take(&[abs(ID, 8), SYNC]), []);
            assert_eq!(rig.take(&[abs(code, on), touch(1), SYNC]), [pressed(0.1, 0.2)]);
            assert_eq!(rig.take(&[abs(code, near), touch(0), SYNC]), [lifted(0.1, 0.2)]);
            assert_eq!(rig.take(&[abs(MT_X, 900), SYNC, abs(ID, -1), SYNC]), []);

            let mut rig = Rig::new(can(false, true));
            let one = |value| [abs(MT_X, 100), abs(MT_Y, 200), abs(code, value), MT_SYNC, SYNC];
            assert_eq!(rig.take(&one(near)), []);
            assert_eq!(rig.take(&one(on)), [pressed(0.1, 0.2)]);
            assert_eq!(rig.take(&one(near)), [lifted(0.1, 0.2)]);
        }
        // A device that tells by its button alone.
        let mut rig = Rig::new(can(true, true));
        let tap = [abs(ID, 7), abs(MT_X, 100), abs(MT_Y, 200), touch(1), SYNC, touch(0), abs(ID, -1), SYNC];
        assert_eq!(rig.take(&tap), [pressed(0.1, 0.2), lifted(0.1, 0.2)]);
        assert_eq!(rig.take(&[abs(ID, 8), SYNC, abs(ID, -1), SYNC]), [], "the button was not pressed");
        assert_eq!(rig.take(&[abs(ID, 9), touch(1), SYNC]), [pressed(0.1, 0.2)]);
        assert_eq!(rig.take(&[touch(0), SYNC]), [], "the plug was pulled: no finger has lifted");
    }

    #[test]
    fn after_lost_events_nothing_comes_of_what_was_under_way() {
        let mut rig = Rig::new(can(true, true));
        rig.take(&[abs(ID, 7), abs(MT_X, 100), abs(MT_Y, 200), SYNC]);
        rig.is = Snapshot { slot: Some(1), x: Some(100), y: Some(200), pressed: true };
        assert_eq!(rig.take(&[DROPPED, abs(ID, -1), abs(MT_X, 3)]), []);
        assert_eq!(rig.take(&[SYNC]), [InputEvent::Strayed]);
        assert_eq!(rig.take(&[abs(MT_X, 110), SYNC, abs(ID, -1), SYNC]), [], "the finger of before");
        assert_eq!(rig.take(&[abs(SLOT, 0), abs(ID, 8), abs(MT_X, 50), SYNC]), [pressed(0.05, 0.2)]);

        let mut rig = Rig::new(can(false, false));
        rig.take(&[abs(X, 100), abs(Y, 200), touch(1), SYNC]);
        rig.is = Snapshot { slot: None, x: Some(900), y: Some(900), pressed: true };
        assert_eq!(rig.take(&[DROPPED, SYNC]), [InputEvent::Strayed]);
        assert_eq!(rig.take(&[touch(0), SYNC]), []);
        assert_eq!(rig.take(&[touch(1), SYNC, touch(0), SYNC]), [pressed(0.9, 0.9), lifted(0.9, 0.9)]);
    }

    #[test]
    fn a_sensor_that_can_not_work_says_why() {
        let new = |can| Sensor::new(can, Calibration::default(), 0, Duration::ZERO, &Snapshot::default()).err();
        let flat = Abilities { x: Some((0, 0)), ..can(true, true) };
        assert_eq!(new(flat).as_deref(), Some("its x axis goes from 0 to 0"));
        let none = Abilities { y: None, ..can(true, true) };
        assert_eq!(new(none).as_deref(), Some("it has no y axis"));
        let mute = Abilities { button: None, ..can(false, false) };
        assert_eq!(new(mute).as_deref(), Some("it has no button that says when it is touched"));
    }

    /// Events that mean something, mixed with any others.
    fn events() -> impl Strategy<Value = Vec<(u16, u16, i32)>> {
        let value = || prop_oneof![any::<i32>(), -2..40_i32, 0..1001_i32];
        let told = [
            AbsoluteAxisCode::ABS_MT_TOOL_TYPE.0,
            AbsoluteAxisCode::ABS_MT_DISTANCE.0,
            AbsoluteAxisCode::ABS_MT_PRESSURE.0,
            AbsoluteAxisCode::ABS_MT_TOUCH_MAJOR.0,
        ];
        let axis = prop::sample::select([&[SLOT, ID, MT_X, MT_Y, X, Y][..], &told].concat());
        let one = prop_oneof![
            4 => (axis, value()).prop_map(|(code, value)| abs(code, value)),
            2 => Just(SYNC),
            1 => Just(MT_SYNC),
            1 => Just(DROPPED),
            1 => (-1..3).prop_map(touch),
            1 => (any::<u16>(), any::<u16>(), any::<i32>()),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a device sends: no panic, places on the picture, and every press ends once before the next begins.
        #[test]
        fn rubbish_is_never_more_than_presses(events in events(), slots: bool, contacts: bool) {
            let mut rig = Rig::new(can(slots && contacts, contacts));
            let mut down = false;
            for event in events {
                for said in rig.take(&[event]) {
                    let (InputEvent::Pressed(spot) | InputEvent::Lifted(spot)) = said else {
                        prop_assert_eq!(&said, &InputEvent::Strayed);
                        prop_assert!(std::mem::take(&mut down));
                        continue;
                    };
                    prop_assert!((0.0..=1.0).contains(&spot.x) && (0.0..=1.0).contains(&spot.y));
                    prop_assert_eq!(down, matches!(said, InputEvent::Lifted(_)));
                    down = !down;
                }
            }
        }
    }
}
