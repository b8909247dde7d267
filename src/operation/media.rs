//! The words of pictures that come from the fleet: where one is, which one it is, and when it is shown.

use serde::{Deserialize, Serialize};

use super::Digest;
use super::text::TOLD;
use crate::vocabulary::is_plain_http;
use crate::vocabulary::text::text;

text!(
    /// Where a picture is.
    MediaUrl, "picture's address (https://HOST/PATH, at most 500 characters)", TOLD,
    |text| (1..=500).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        && is_plain_http(text) == Some(false)
);
text!(
    /// A minute of every day.
    TimeOfDay, "time of the day (HH:MM)", TOLD,
    |text| text.len() == 5 && text.split_once(':').is_some_and(|(hour, minute)| {
        let below = |text: &str, most: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) && text <= most;
        below(hour, "23") && below(minute, "59")
    })
);

/// A picture: the file at this address, if it has this SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Medium {
    pub sha256: Digest,
    pub url: MediaUrl,
}

/// A picture for the whole glass while nobody is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SlideAsWritten", into = "SlideAsWritten")]
pub struct MediaSlide {
    pub medium: Medium,
    /// `None`: always.
    pub hours: Option<SlideHours>,
}

/// A part of every day; past midnight where `until` is the earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlideHours {
    pub from: TimeOfDay,
    pub until: TimeOfDay,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlideAsWritten {
    sha256: Digest,
    url: MediaUrl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<TimeOfDay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<TimeOfDay>,
}

impl TryFrom<SlideAsWritten> for MediaSlide {
    type Error = &'static str;

    fn try_from(written: SlideAsWritten) -> Result<Self, Self::Error> {
        let SlideAsWritten { sha256, url, from, until } = written;
        let hours = match (from, until) {
            (Some(from), Some(until)) => Some(SlideHours { from, until }),
            (None, None) => None,
            _ => return Err("a slide needs `from` and `until`, or neither for the whole day"),
        };
        Ok(Self { medium: Medium { sha256, url }, hours })
    }
}

impl From<MediaSlide> for SlideAsWritten {
    fn from(slide: MediaSlide) -> Self {
        let MediaSlide { medium: Medium { sha256, url }, hours } = slide;
        let (from, until) = hours.map(|SlideHours { from, until }| (from, until)).unzip();
        Self { sha256, url, from, until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_comes_by_https_alone() {
        assert!(MediaUrl::parse("https://media.example.com/cola.png").is_some());
        for bad in [
            "",
            "http://127.0.0.1/cola.png",
            "http://x/y",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://x/y",
            "https://a b",
        ] {
            assert!(MediaUrl::parse(bad).is_none(), "{bad}");
        }
        for good in ["00:00", "23:59"] {
            assert!(TimeOfDay::parse(good).is_some());
        }
        for bad in ["24:00", "7:30", "07:60", "+7:30", "07:3 ", "0730", "07:30:00"] {
            assert!(TimeOfDay::parse(bad).is_none(), "{bad}");
        }
    }
}
