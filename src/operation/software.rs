//! The words of an update: which bundle, which version.

use std::cmp::Ordering;

use super::text::TOLD;
use crate::vocabulary::is_plain_http;
use crate::vocabulary::text::{is_name, text};

text!(
    /// Where a bundle is: an `https://` address, or the path of a file on this machine. Plain HTTP is for loopback alone.
    BundlePlace, "bundle's place (https://HOST/PATH, or a path that begins with /, at most 500 characters)", TOLD,
    |text| (1..=500).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        && (text.starts_with('/') || is_plain_http(text).is_some())
);
text!(
    /// A SHA-256 in lower-case hexadecimal, by which a file or a message is known.
    Digest, "SHA-256 (64 hexadecimal digits in lower case)", TOLD,
    |text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
);
text!(
    /// For which kind of machine a bundle is made, as its manifest says.
    Compatible, "machine's kind (1 to 100 printable characters)", TOLD,
    |text| (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
);

/// The version of the software, as a bundle's manifest says it. The greater is the newer: numbers between dots are
/// compared as numbers, and what follows a `-` makes it older than without, as in Semantic Versioning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

crate::vocabulary::text::read_and_written!(
    Version,
    "version (letters, digits, `.`, `-`, `+`, `_` and `~`, at most 64)",
    TOLD
);

impl Version {
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text, 64, b".-+_~").then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes before the first `-` or `+`, and what stands between them.
    fn parts(&self) -> (&str, Option<&str>) {
        let main = self.0.split_once('+').map_or(self.0.as_str(), |(main, _)| main);
        main.split_once('-').map_or((main, None), |(main, before)| (main, Some(before)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((main, before), (others, others_before)) = (self.parts(), other.parts());
        let trial = match (before, others_before) {
            (None, None) => Ordering::Equal,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => dotted(one, other),
        };
        // Two that differ only in what has no order are two all the same.
        dotted(main, others).then(trial).then_with(|| self.0.cmp(&other.0))
    }
}

/// Part by part; the longer is the newer where all else is the same. A number is older than a word.
fn dotted(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let (one, other) = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => (one, other),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let order = match (digits(one), digits(other)) {
            (true, true) => {
                let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
                one.len().cmp(&other.len()).then(one.cmp(other))
            }
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => one.cmp(other),
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order() {
        let sorted = [
            "0.9",
            "0.9.1",
            "0.10",
            "1.0.0-rc.1",
            "1.0.0-rc.2",
            "1.0.0-rc.10",
            "1.0.0",
            "1.0.0+a",
            "1.0.0+b",
            "1.0.1",
            "1.2",
            "1.10.0",
            "2.0-beta",
            "2.0",
            "2026.11.30",
            "2026.11.30.1",
            "18446744073709551617.0",
        ];
        let parsed: Vec<Version> = sorted.iter().map(|text| Version::parse(text).unwrap()).collect();
        for (nth, one) in parsed.iter().enumerate() {
            for (place, other) in parsed.iter().enumerate() {
                assert_eq!(one.cmp(other), nth.cmp(&place), "{one} and {other}");
            }
        }
        for bad in ["", "1 0", "1/0", &"1".repeat(65)] {
            assert!(Version::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_bundles_place_is_safe_to_go_to() {
        for good in ["https://example.com/k.raucb", "http://127.0.0.1:8000/k.raucb", "/media/usb/k.raucb"] {
            assert!(BundlePlace::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "http://example.com/k.raucb",
            "ftp://x/k",
            "k.raucb",
            "/a b",
            "/a\nb",
            &format!("/{}", "x".repeat(500)),
        ] {
            assert!(BundlePlace::parse(bad).is_none(), "{bad}");
        }
        assert!(Digest::parse(&"a0".repeat(32)).is_some());
        for bad in [&"A0".repeat(32)[..], &"a".repeat(63), "", &"g0".repeat(32)] {
            assert!(Digest::parse(bad).is_none(), "{bad}");
        }
        assert!(Compatible::parse("kioskd rpi4").is_some() && Compatible::parse("").is_none());
    }
}
