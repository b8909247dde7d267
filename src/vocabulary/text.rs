//! Types that are written as text, in JSON and elsewhere, and read back from it: what each of them needs is written here
//! once.

/// What a text would have to be to serve as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {}", self.wanted())]
pub struct BadName {
    pub what: &'static str,
    pub text: String,
}

impl BadName {
    /// What it would have to be, with its article.
    pub fn wanted(&self) -> String {
        let article = if self.what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {}", self.what)
    }
}

/// One line of any text, for a terminal, a log or a slip: what others have written commands nothing there.
pub fn one_line(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if c.is_control() { ' ' } else { c })
}

/// For a type with `parse` and `Display`: it is what serde reads and writes as a string. Of a text that does not fit the
/// error repeats at most `$told` characters.
macro_rules! read_and_written {
    ($type:ident, $what:literal, $told:expr) => {
        impl TryFrom<String> for $type {
            type Error = $crate::vocabulary::BadName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or_else(|| $crate::vocabulary::BadName {
                    what: $what,
                    text: text.chars().take($told).collect(),
                })
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}

/// A type that is a text of which `$fits` says whether it is one.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $what:literal, $told:expr, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
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

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        $crate::vocabulary::text::read_and_written!($type, $what, $told);
    };
}

pub(crate) use {read_and_written, text};

/// Letters, digits and some signs, of a bounded length.
pub(crate) fn is_name(text: &str, most: usize, signs: &[u8]) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
}
