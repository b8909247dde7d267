//! Texts that come with a request, each no longer than it may be.

use crate::vocabulary::text::{is_name, text};

/// Of a stranger's text so many characters are repeated.
pub(super) const TOLD: usize = 80;

text!(
    /// The number of a request, chosen by who asks.
    RequestId, "number of a request (letters, digits, `_`, `-` and `.`, at most 64)", TOLD, |text| is_name(text, 64, b"_-.")
);
text!(
    /// A key's name, as its keyset calls it.
    KeyName, "key's name (letters, digits, `_`, `-` and `.`, at most 64)", TOLD, |text| is_name(text, 64, b"_-.")
);
text!(
    /// What a language is called, as in the configuration.
    LanguageTag, "language's tag like `zh-Hant`", TOLD, |text| is_name(text, 35, b"-")
);
text!(
    /// Why a person does something, in their words: one line.
    Reason, "reason (one line of 1 to 200 characters)", TOLD, |text| is_line(text, 200)
);
text!(
    /// The number of a ticket, as it is printed under its code or as a person types it.
    TicketText, "ticket's number (digits with spaces, dots or dashes between, such as `03-0004567-9`, at most 40)", TOLD,
    |text| is_ticket(text)
);
text!(
    /// A keyset as its message: a JWS that the fleet's root has signed.
    KeysetText, "keyset (a signed message of 1 to 8192 printable characters)", TOLD,
    |text| (1..=8192).contains(&text.len()) && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
);
text!(
    /// A configuration as its file would hold it.
    ConfigText, "configuration (TOML, at most 64 KiB, and 96 KiB where it is quoted)", TOLD,
    |text| (1..=64 << 10).contains(&text.len()) && quoted_twice(text) <= 96 << 10
);

text!(
    /// A moment, as RFC 3339 writes it.
    Moment, "moment like `2026-11-30T09:00:00Z`", TOLD, |text| text.len() <= 40 && text.parse::<jiff::Timestamp>().is_ok()
);

impl Moment {
    pub fn timestamp(&self) -> jiff::Timestamp {
        self.as_str().parse().expect("it was one when it was read")
    }
}

/// So long it is in an event, which quotes a record that quotes it and has more in it: a broker may refuse what is longer than 128 KiB.
fn quoted_twice(text: &str) -> usize {
    let quoted = |character: char| match character {
        '"' | '\\' => 4,
        '\n' | '\r' | '\t' => 3,
        control if control.is_control() => 7,
        other => other.len_utf8(),
    };
    text.chars().map(quoted).sum()
}

/// Whether there is such a ticket, and whether its check digit is right, is for the car park to say.
fn is_ticket(text: &str) -> bool {
    text.len() <= 40
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b" .-".contains(&byte))
}

/// One line that says something, of so many characters at most.
pub(super) fn is_line(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.chars().count()) && !text.chars().any(char::is_control) && !text.trim().is_empty()
}
