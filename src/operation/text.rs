//! Texts that come with a request, each no longer than it may be.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::BadName;

/// Letters, digits and some signs, of a bounded length.
fn fits(text: &str, most: usize, signs: &[u8]) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || signs.contains(&b))
}

macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $what:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            pub fn parse(text: &str) -> Option<Self> {
                let fits: fn(&str) -> bool = $fits;
                fits(text).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                match Self::parse(&text) {
                    Some(fits) => Ok(fits),
                    None => Err(BadName { what: $what, text: text.chars().take(80).collect() }),
                }
            }
        }

        impl From<$type> for String {
            fn from(text: $type) -> String {
                text.0
            }
        }
    };
}

text!(
    /// The number of a request, chosen by who asks.
    RequestId, "number of a request (letters, digits, `_`, `-` and `.`, at most 64)", |text| fits(text, 64, b"_-.")
);
text!(
    /// A key's name, as its keyset calls it.
    KeyName, "key's name (letters, digits, `_`, `-` and `.`, at most 64)", |text| fits(text, 64, b"_-.")
);
text!(
    /// Why a person does something, in their words: one line.
    Reason, "reason (one line of 1 to 200 characters)",
    |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control) && !text.trim().is_empty()
);
