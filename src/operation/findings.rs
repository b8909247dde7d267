//! What a test of the machine has found, as it is put on record: of each part whether it is well, and what was seen.
//!
//! Policy: a record goes to the back end as one event, so findings that would make one longer than a broker takes are none.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{TOLD, is_line};
use crate::vocabulary::text::text;

text!(
    /// A part of the machine, as its status and its test call it.
    PartName, "part's name (one line of 1 to 64 characters)", TOLD, |text| is_line(text, PartName::LONGEST)
);
text!(
    /// What was seen of a part.
    Seen, "sentence about a part (one line of 1 to 200 characters)", TOLD, |text| is_line(text, Seen::LONGEST)
);

impl PartName {
    /// Characters.
    pub const LONGEST: usize = 64;
}

impl Seen {
    /// Characters.
    pub const LONGEST: usize = 200;
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    Well,
    /// Nobody has asked it, or it was left out.
    Unknown,
    Wrong,
}

impl CheckResult {
    pub const ALL: [Self; 3] = [Self::Well, Self::Unknown, Self::Wrong];

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.word() == word)
    }
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    #[schemars(with = "String")]
    pub part: PartName,
    pub result: CheckResult,
    #[schemars(with = "String")]
    pub says: Seen,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {:14} {}", self.result.word(), self.part.as_str(), self.says)
    }
}

/// All of one test, in the order in which they were made; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Finding>", into = "Vec<Finding>")]
pub struct Findings(Vec<Finding>);

/// Why so many are not one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFindings {
    #[error("a test without a check is none")]
    None,
    #[error("{0} checks are more than one test has, at most {most}", most = Findings::MOST)]
    Many(usize),
    #[error("the checks are {0} bytes of an event, and may be {most}", most = Findings::BYTES)]
    Long(usize),
}

impl Findings {
    pub const MOST: usize = 400;
    /// As they stand in an event, whose text is JSON within JSON, and in a report; both stay below 64 KiB.
    pub const BYTES: usize = 44 << 10;

    /// # Errors
    /// There is none, or there are too many.
    pub fn new(all: Vec<Finding>) -> Result<Self, BadFindings> {
        match all.len() {
            0 => return Err(BadFindings::None),
            many if many > Self::MOST => return Err(BadFindings::Many(many)),
            _ => {}
        }
        let long = in_event(&all);
        if long > Self::BYTES { Err(BadFindings::Long(long)) } else { Ok(Self(all)) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    pub fn count(&self, result: CheckResult) -> usize {
        self.0.iter().filter(|finding| finding.result == result).count()
    }
}

/// Bytes of their JSON as a text in JSON.
fn in_event(all: &[Finding]) -> usize {
    let text = serde_json::to_string(all).unwrap_or_default();
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

impl TryFrom<Vec<Finding>> for Findings {
    type Error = BadFindings;

    fn try_from(all: Vec<Finding>) -> Result<Self, BadFindings> {
        Self::new(all)
    }
}

impl From<Findings> for Vec<Finding> {
    fn from(findings: Findings) -> Self {
        findings.0
    }
}

/// How many are what, and the parts that are wrong.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [well, unknown, wrong] = CheckResult::ALL.map(|result| self.count(result));
        write!(f, "{well} well, {unknown} unknown, {wrong} wrong")?;
        let parts: Vec<&str> =
            self.0.iter().filter(|of| of.result == CheckResult::Wrong).map(|of| of.part.as_str()).collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(part: &str, result: CheckResult, says: &str) -> Finding {
        Finding { part: PartName::parse(part).unwrap(), result, says: Seen::parse(says).unwrap() }
    }

    #[test]
    fn findings_are_read_as_they_are_written_and_told_in_a_line() {
        let all = vec![
            finding("board", CheckResult::Well, "ok"),
            finding("slot B2", CheckResult::Wrong, "nothing fell"),
            finding("touch", CheckResult::Unknown, "left out"),
            finding("claims", CheckResult::Wrong, "1 claim waiting for a person"),
        ];
        let findings = Findings::new(all).unwrap();
        assert_eq!(findings.to_string(), "1 well, 1 unknown, 2 wrong (slot B2, claims)");
        let written = serde_json::to_value(&findings).unwrap();
        assert_eq!(written[1], json!({ "part": "slot B2", "result": "wrong", "says": "nothing fell" }));
        assert_eq!(serde_json::from_value::<Findings>(written).unwrap(), findings);
        assert_eq!(findings.iter().next().unwrap().to_string(), "well     board          ok");
        for bad in [
            json!([]),
            json!([{ "part": "", "result": "well", "says": "ok" }]),
            json!([{ "part": "a\nb", "result": "well", "says": "ok" }]),
            json!([{ "part": "board", "result": "fine", "says": "ok" }]),
            json!([{ "part": "board", "result": "well", "says": " " }]),
            json!([{ "part": "board", "result": "well", "says": "x".repeat(201) }]),
            json!([{ "part": "x".repeat(65), "result": "well", "says": "ok" }]),
            json!([{ "part": "board", "result": "well", "says": "ok", "advice": "none" }]),
        ] {
            assert!(serde_json::from_value::<Findings>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn so_many_and_no_more() {
        let most = vec![finding("relay A1", CheckResult::Well, "it moved; the sensor counted 1"); Findings::MOST];
        assert_eq!(Findings::new(most.clone()).map(|all| all.iter().count()), Ok(Findings::MOST));
        let more = [most, vec![finding("door", CheckResult::Well, "seen")]].concat();
        assert_eq!(Findings::new(more), Err(BadFindings::Many(Findings::MOST + 1)));
        // What is written as two characters in JSON is written as four in JSON within JSON.
        let quoted = |count| vec![finding("x", CheckResult::Well, &"\"".repeat(200)); count];
        let fits = (1..).take_while(|count| Findings::new(quoted(*count)).is_ok()).last().unwrap();
        let longest = serde_json::to_string(&serde_json::to_string(&quoted(fits)).unwrap()).unwrap();
        assert_eq!(longest.len(), in_event(&quoted(fits)) + 2);
        assert!((Findings::BYTES - 1_000..=Findings::BYTES).contains(&in_event(&quoted(fits))));
        assert!(matches!(Findings::new(quoted(fits + 1)), Err(BadFindings::Long(_))));
    }
}
