//! The keypad: a number pad on USB, or a matrix on the board.

use std::time::{Duration, Instant};

use evdev::{EventSummary, KeyCode};

use crate::sale::Key;

/// No finger types faster; a broken switch or a hostile device does.
const GAP: Duration = Duration::from_millis(20);

#[derive(Default)]
pub(super) struct Keypad {
    last: Option<Instant>,
}

impl Keypad {
    /// A key counts when it goes down; held down it counts once.
    pub fn take(&mut self, event: evdev::InputEvent, now: Instant) -> Option<Key> {
        let EventSummary::Key(_, code, 1) = event.destructure() else { return None };
        let key = key(code)?;
        let bounces = self.last.is_some_and(|last| now.saturating_duration_since(last) < GAP);
        self.last = Some(now);
        (!bounces).then_some(key)
    }
}

fn key(code: KeyCode) -> Option<Key> {
    Some(match code {
        KeyCode::KEY_0 | KeyCode::KEY_KP0 | KeyCode::KEY_NUMERIC_0 => Key::Digit(0),
        KeyCode::KEY_1 | KeyCode::KEY_KP1 | KeyCode::KEY_NUMERIC_1 => Key::Digit(1),
        KeyCode::KEY_2 | KeyCode::KEY_KP2 | KeyCode::KEY_NUMERIC_2 => Key::Digit(2),
        KeyCode::KEY_3 | KeyCode::KEY_KP3 | KeyCode::KEY_NUMERIC_3 => Key::Digit(3),
        KeyCode::KEY_4 | KeyCode::KEY_KP4 | KeyCode::KEY_NUMERIC_4 => Key::Digit(4),
        KeyCode::KEY_5 | KeyCode::KEY_KP5 | KeyCode::KEY_NUMERIC_5 => Key::Digit(5),
        KeyCode::KEY_6 | KeyCode::KEY_KP6 | KeyCode::KEY_NUMERIC_6 => Key::Digit(6),
        KeyCode::KEY_7 | KeyCode::KEY_KP7 | KeyCode::KEY_NUMERIC_7 => Key::Digit(7),
        KeyCode::KEY_8 | KeyCode::KEY_KP8 | KeyCode::KEY_NUMERIC_8 => Key::Digit(8),
        KeyCode::KEY_9 | KeyCode::KEY_KP9 | KeyCode::KEY_NUMERIC_9 => Key::Digit(9),
        KeyCode::KEY_ENTER | KeyCode::KEY_KPENTER | KeyCode::KEY_OK | KeyCode::KEY_NUMERIC_POUND => Key::Ok,
        KeyCode::KEY_BACKSPACE
        | KeyCode::KEY_DELETE
        | KeyCode::KEY_ESC
        | KeyCode::KEY_CLEAR
        | KeyCode::KEY_CANCEL
        | KeyCode::KEY_NUMERIC_STAR => Key::Clear,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use evdev::EventType;

    use super::*;

    fn typed(presses: &[(KeyCode, i32, u64)]) -> Vec<Key> {
        let (mut keypad, start) = (Keypad::default(), Instant::now());
        let take = |&(code, value, ms): &(KeyCode, i32, u64)| {
            let event = evdev::InputEvent::new(EventType::KEY.0, code.0, value);
            keypad.take(event, start + Duration::from_millis(ms))
        };
        presses.iter().filter_map(take).collect()
    }

    #[test]
    fn a_key_counts_once() {
        let held =
            [(KeyCode::KEY_5, 1, 0), (KeyCode::KEY_5, 2, 300), (KeyCode::KEY_5, 2, 330), (KeyCode::KEY_5, 0, 350)];
        assert_eq!(typed(&held), [Key::Digit(5)]);
        assert_eq!(
            typed(&[(KeyCode::KEY_KP5, 1, 0), (KeyCode::KEY_KP5, 0, 5), (KeyCode::KEY_KP5, 1, 10)]),
            [Key::Digit(5)]
        );
    }

    #[test]
    fn every_row_of_digits_counts_up() {
        for first in [KeyCode::KEY_1, KeyCode::KEY_NUMERIC_1] {
            for nth in 0..9 {
                assert_eq!(typed(&[(KeyCode(first.0 + nth), 1, 0)]), [Key::Digit(nth as u8 + 1)]);
            }
        }
        let ends = [KeyCode::KEY_KP0, KeyCode::KEY_KP9, KeyCode::KEY_KPENTER, KeyCode::KEY_BACKSPACE, KeyCode::KEY_A];
        let typed: Vec<_> = ends.iter().zip(1..).map(|(code, nth)| (*code, 1, nth * 100)).collect();
        assert_eq!(self::typed(&typed), [Key::Digit(0), Key::Digit(9), Key::Ok, Key::Clear]);
    }
}
