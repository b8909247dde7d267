//! The scanner: a reader of bar codes and QR codes that types what it reads, US layout, and then Enter.
//!
//! Whatever stands in a code can be printed by anybody: what is not plain text, too long or typed by hand is dropped
//! whole, never in part.

use std::time::{Duration, Instant};

use evdev::{EventSummary, KeyCode, SynchronizationCode};

/// One code is read once however long it is held before the scanner.
const GAP: Duration = Duration::from_millis(250);

pub(super) struct Scanner {
    longest: usize,
    timeout: Duration,
    typed: String,
    /// This code is no longer to be believed, until it ends.
    spoilt: bool,
    /// Left and right.
    shift: [bool; 2],
    last_key: Option<Instant>,
    last_code: Option<Instant>,
}

impl Scanner {
    /// A code of at most `longest` characters, each typed within `timeout` after the one before.
    pub fn new(longest: usize, timeout: Duration) -> Self {
        let typed = String::with_capacity(longest);
        Self { longest, timeout, typed, spoilt: false, shift: [false; 2], last_key: None, last_code: None }
    }

    /// Takes one event; a whole code where it ends one.
    pub fn take(&mut self, event: evdev::InputEvent, now: Instant) -> Option<String> {
        let (code, value) = match event.destructure() {
            EventSummary::Key(_, code, value) => (code, value),
            EventSummary::Synchronization(_, SynchronizationCode::SYN_DROPPED, _) => {
                self.spoilt = true;
                self.shift = [false; 2];
                return None;
            }
            _ => return None,
        };
        if let Some(side) = [KeyCode::KEY_LEFTSHIFT, KeyCode::KEY_RIGHTSHIFT].iter().position(|shift| *shift == code) {
            self.shift[side] = value != 0;
            return None;
        }
        if value != 1 {
            return None;
        }
        if self.last_key.is_some_and(|last| now.saturating_duration_since(last) > self.timeout) {
            self.typed.clear();
            self.spoilt = false;
        }
        self.last_key = Some(now);
        if code == KeyCode::KEY_ENTER || code == KeyCode::KEY_KPENTER {
            return self.end(now);
        }
        match character(code, self.shift.contains(&true)) {
            Some(c) if self.typed.len() < self.longest => self.typed.push(c),
            _ => self.spoilt = true,
        }
        None
    }

    fn end(&mut self, now: Instant) -> Option<String> {
        let code = std::mem::take(&mut self.typed);
        let good = !std::mem::take(&mut self.spoilt) && !code.is_empty();
        let again = self.last_code.is_some_and(|last| now.saturating_duration_since(last) < GAP);
        if good {
            self.last_code = Some(now);
        }
        (good && !again).then_some(code)
    }
}

/// What the scanner of a simulated world says is held to what a real one can type.
pub fn can_be_scanned(text: &str, longest: u32) -> bool {
    (1..=longest as usize).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// What a key types on a US keyboard; `None` for whatever types nothing that can be printed.
fn character(code: KeyCode, shift: bool) -> Option<char> {
    let row = |first: KeyCode, plain: &'static [u8], shifted: &'static [u8]| {
        let nth = usize::from(code.0.checked_sub(first.0)?);
        let typed = if shift { shifted } else { plain };
        typed.get(nth).copied().map(char::from)
    };
    row(KeyCode::KEY_1, b"1234567890-=", b"!@#$%^&*()_+")
        .or_else(|| row(KeyCode::KEY_Q, b"qwertyuiop[]", b"QWERTYUIOP{}"))
        .or_else(|| row(KeyCode::KEY_A, b"asdfghjkl;'`", b"ASDFGHJKL:\"~"))
        .or_else(|| row(KeyCode::KEY_BACKSLASH, b"\\zxcvbnm,./", b"|ZXCVBNM<>?"))
        .or_else(|| row(KeyCode::KEY_SPACE, b" ", b" "))
        .or_else(|| row(KeyCode::KEY_KP7, b"789-456+1230.", b"789-456+1230."))
        .or_else(|| row(KeyCode::KEY_KPASTERISK, b"*", b"*"))
        .or_else(|| row(KeyCode::KEY_KPSLASH, b"/", b"/"))
}

#[cfg(test)]
mod tests {
    use evdev::EventType;
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    #[test]
    fn only_what_a_scanner_types_can_be_scanned() {
        assert!(["1", "A b~", "0123456789"].iter().all(|text| can_be_scanned(text, 10)));
        assert!(!["", "01234567890", "a\n", "a\0", "票", "\u{7f}"].iter().any(|text| can_be_scanned(text, 10)));
    }

    struct Rig {
        scanner: Scanner,
        now: Instant,
    }

    impl Rig {
        fn new(longest: usize) -> Self {
            Self { scanner: Scanner::new(longest, TIMEOUT), now: Instant::now() }
        }

        fn key(&mut self, code: KeyCode, value: i32) -> Option<String> {
            self.scanner.take(evdev::InputEvent::new(EventType::KEY.0, code.0, value), self.now)
        }

        /// As a scanner does: a key a millisecond, each released.
        fn types(&mut self, text: &str) {
            for c in text.chars() {
                self.now += Duration::from_millis(1);
                let (code, shift) = key_of(c);
                let _ = shift && self.key(KeyCode::KEY_LEFTSHIFT, 1).is_some();
                assert_eq!(self.key(code, 1), None);
                self.key(code, 0);
                self.key(KeyCode::KEY_LEFTSHIFT, 0);
            }
        }

        fn enter(&mut self) -> Option<String> {
            self.now += Duration::from_millis(1);
            self.key(KeyCode::KEY_ENTER, 1)
        }

        fn pause(&mut self) -> &mut Self {
            self.now += Duration::from_secs(1);
            self
        }
    }

    /// The first key that types it.
    fn key_of(c: char) -> (KeyCode, bool) {
        let keys = (0..255).map(KeyCode).flat_map(|code| [(code, false), (code, true)]);
        let mut keys = keys.filter(|(code, shift)| character(*code, *shift) == Some(c));
        keys.next().unwrap_or_else(|| panic!("no key for {c:?}"))
    }

    #[test]
    fn a_code_is_read() {
        let mut rig = Rig::new(64);
        rig.types("https://Example.com/?t=A_1+~");
        assert_eq!(rig.enter().as_deref(), Some("https://Example.com/?t=A_1+~"));
        assert_eq!(rig.pause().enter(), None, "nothing typed, nothing read");
    }

    /// The whole keyboard, against a table made by hand from a keyboard.
    #[test]
    fn the_layout_is_american() {
        let typed = |code| [false, true].map(|shift| character(code, shift).unwrap());
        for (code, [plain, shifted]) in [
            (KeyCode::KEY_2, ['2', '@']),
            (KeyCode::KEY_0, ['0', ')']),
            (KeyCode::KEY_EQUAL, ['=', '+']),
            (KeyCode::KEY_P, ['p', 'P']),
            (KeyCode::KEY_RIGHTBRACE, [']', '}']),
            (KeyCode::KEY_SEMICOLON, [';', ':']),
            (KeyCode::KEY_APOSTROPHE, ['\'', '"']),
            (KeyCode::KEY_GRAVE, ['`', '~']),
            (KeyCode::KEY_BACKSLASH, ['\\', '|']),
            (KeyCode::KEY_Z, ['z', 'Z']),
            (KeyCode::KEY_M, ['m', 'M']),
            (KeyCode::KEY_SLASH, ['/', '?']),
            (KeyCode::KEY_KP0, ['0', '0']),
            (KeyCode::KEY_KPDOT, ['.', '.']),
        ] {
            assert_eq!(typed(code), [plain, shifted], "{code:?}");
        }
        for code in [KeyCode::KEY_ENTER, KeyCode::KEY_TAB, KeyCode::KEY_F1, KeyCode::KEY_LEFTCTRL, KeyCode::KEY_ESC] {
            assert_eq!(character(code, false), None, "{code:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_dropped_whole() {
        let mut rig = Rig::new(4);
        rig.types("12345");
        assert_eq!(rig.enter(), None);
        rig.pause().types("1234");
        assert_eq!(rig.enter().as_deref(), Some("1234"));
    }

    #[test]
    fn what_is_typed_by_hand_is_not_read() {
        let mut rig = Rig::new(8);
        rig.types("12");
        rig.pause().types("3");
        assert_eq!(rig.enter().as_deref(), Some("3"), "the beginning of another");
        rig.pause().types("1");
        assert_eq!(rig.pause().enter(), None);
    }

    #[test]
    fn a_key_that_types_nothing_spoils_the_code() {
        for code in [KeyCode::KEY_LEFTCTRL, KeyCode::KEY_LEFTALT, KeyCode::KEY_F1, KeyCode::KEY_TAB] {
            let mut rig = Rig::new(8);
            rig.types("1");
            rig.key(code, 1);
            rig.types("2");
            assert_eq!(rig.enter(), None, "{code:?}");
            rig.pause().types("3");
            assert_eq!(rig.enter().as_deref(), Some("3"), "the next is good");
        }
    }

    #[test]
    fn after_lost_events_a_code_is_not_believed() {
        let mut rig = Rig::new(8);
        rig.types("1");
        rig.key(KeyCode::KEY_RIGHTSHIFT, 1);
        rig.scanner.take(evdev::InputEvent::new(0, SynchronizationCode::SYN_DROPPED.0, 0), rig.now);
        rig.types("2");
        assert_eq!(rig.enter(), None);
        rig.pause().types("a");
        assert_eq!(rig.enter().as_deref(), Some("a"), "no shift is left over");
    }

    #[test]
    fn one_code_is_read_once() {
        let mut rig = Rig::new(8);
        rig.types("1");
        assert!(rig.enter().is_some());
        rig.types("1");
        assert_eq!(rig.enter(), None);
        rig.pause().types("1");
        assert!(rig.enter().is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Every text that can be printed comes back as it is in the code.
        #[test]
        fn any_printable_text_is_read(text in "[ -~]{1,40}") {
            let mut rig = Rig::new(40);
            rig.types(&text);
            prop_assert_eq!(rig.enter(), Some(text));
        }

        /// Whatever a device sends, a code is short and printable.
        #[test]
        fn rubbish_is_never_more_than_a_short_text(
            events in prop::collection::vec((0..3_u16, prop_oneof![0..130_u16, any::<u16>()], -1..4_i32, 0..200_u64), 0..300),
        ) {
            let mut rig = Rig::new(5);
            for (kind, code, value, ms) in events {
                rig.now += Duration::from_millis(ms);
                if let Some(code) = rig.scanner.take(evdev::InputEvent::new(kind, code, value), rig.now) {
                    prop_assert!((1..=5).contains(&code.len()));
                    prop_assert!(code.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                }
            }
        }
    }
}
