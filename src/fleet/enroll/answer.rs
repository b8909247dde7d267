//! What a machine gets from the office: certificates and a configuration, no secret, as one line that survives a terminal.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::hex;
use crate::fleet::topic::Address;
use crate::fleet::topic::Name;

/// Bytes of the line. A shell takes 128 KiB as one word.
pub const LONGEST: usize = 96 << 10;
/// Bytes of all that is in it.
const LARGEST: u64 = 512 << 10;
/// Says what it is and in which form.
const HEAD: &str = "kioskd1";

#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    #[error("the line is longer than {LONGEST} characters")]
    TooLong,
    #[error(
        "this is not what `kioskfleet enroll` has printed, or its beginning or end is missing; a terminal without a line \
             editor takes 4095 characters at most: copy the file `answer` to the machine"
    )]
    Foreign,
    #[error("the line was changed or cut on its way: its digest is another; paste it again, or copy the file `answer`")]
    Damaged,
    #[error("the line is whole, but not what a machine needs; the office's kioskfleet is perhaps another version")]
    Content,
}

/// A machine's certificate and who certified it; and, the first time, whom it is to believe and how it is to be set up.
/// All are texts of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub fleet: Name,
    pub kiosk: Name,
    pub certificate: String,
    pub ca: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<First>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct First {
    pub root: String,
    pub keyset: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub back_end: Option<String>,
    pub configuration: String,
}

impl Answer {
    pub fn of(&self) -> Address {
        Address { fleet: self.fleet.clone(), kiosk: self.kiosk.clone() }
    }

    /// The line: letters, digits, `_`, `-` and `.`, so no shell needs it quoted.
    ///
    /// # Errors
    /// When it would be longer than a machine takes.
    pub fn line(&self) -> Result<String, BadAnswer> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        let all = serde_json::to_vec(self).map_err(|_| BadAnswer::Content)?;
        let packed = packed.write_all(&all).and_then(|()| packed.finish()).map_err(|_| BadAnswer::Content)?;
        let body = format!("{HEAD}.{}", BASE64_URL_SAFE_NO_PAD.encode(packed));
        let line = format!("{body}.{}", hex(digest(&SHA256, body.as_bytes()).as_ref()));
        if line.len() > LONGEST || all.len() as u64 > LARGEST { Err(BadAnswer::TooLong) } else { Ok(line) }
    }

    /// Reads a line; white space that a mail or a terminal has put in does not matter.
    ///
    /// # Errors
    /// When it is anything but a whole one.
    pub fn parse(text: &str) -> Result<Self, BadAnswer> {
        if text.len() > 2 * LONGEST {
            return Err(BadAnswer::TooLong);
        }
        let line: String = text.split_ascii_whitespace().collect();
        let (body, sum) = line.rsplit_once('.').ok_or(BadAnswer::Foreign)?;
        let packed = body.strip_prefix(HEAD).and_then(|rest| rest.strip_prefix('.')).ok_or(BadAnswer::Foreign)?;
        if sum != hex(digest(&SHA256, body.as_bytes()).as_ref()) {
            return Err(BadAnswer::Damaged);
        }
        let packed = BASE64_URL_SAFE_NO_PAD.decode(packed).map_err(|_| BadAnswer::Content)?;
        let mut all = Vec::new();
        // One byte more than allowed is enough to know.
        ZlibDecoder::new(packed.as_slice()).take(LARGEST + 1).read_to_end(&mut all).map_err(|_| BadAnswer::Content)?;
        if all.len() as u64 > LARGEST {
            return Err(BadAnswer::TooLong);
        }
        serde_json::from_slice(&all).map_err(|_| BadAnswer::Content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer() -> Answer {
        let name = |text: &str| Name::parse(text).unwrap();
        let first = First {
            root: "root".into(),
            keyset: "{}".into(),
            back_end: None,
            configuration: "[kiosk]\nid = \"示範\"\n".repeat(20),
        };
        Answer { fleet: name("street"), kiosk: name("K1"), certificate: "c".into(), ca: "a".into(), first: Some(first) }
    }

    /// The line of any bytes, as somebody writes it who knows the form.
    fn forged(all: &[u8]) -> String {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(all).unwrap();
        let body = format!("{HEAD}.{}", BASE64_URL_SAFE_NO_PAD.encode(packed.finish().unwrap()));
        format!("{body}.{}", hex(digest(&SHA256, body.as_bytes()).as_ref()))
    }

    #[test]
    fn a_line_comes_back_as_it_was_and_needs_no_quotes() {
        let line = answer().line().unwrap();
        assert!(line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)), "{line}");
        assert_eq!(Answer::parse(&line).unwrap(), answer());
        let wrapped: Vec<&str> = line.as_bytes().chunks(64).map(|part| std::str::from_utf8(part).unwrap()).collect();
        assert_eq!(Answer::parse(&format!("\n{}\r\n", wrapped.join("\r\n "))).unwrap(), answer());
    }

    #[test]
    fn what_is_too_much_or_something_else_is_refused() {
        let refused = |text: &str| Answer::parse(text).unwrap_err();
        assert!(matches!(refused(&"x".repeat(2 * LONGEST + 1)), BadAnswer::TooLong));
        assert!(matches!(refused(""), BadAnswer::Foreign));
        assert!(matches!(refused("hello.world"), BadAnswer::Foreign));
        assert!(matches!(refused(&forged(b"{}")), BadAnswer::Content));
        let more = serde_json::to_string(&answer()).unwrap().replacen('{', "{\"more\":1,", 1);
        assert!(matches!(refused(&forged(more.as_bytes())), BadAnswer::Content));
        // A few kilobytes that would be gigabytes.
        assert!(matches!(refused(&forged(&vec![b' '; 4 << 20])), BadAnswer::TooLong));
        let large = First { configuration: "x".repeat(600 << 10), ..answer().first.unwrap() };
        assert!(matches!(Answer { first: Some(large), ..answer() }.line(), Err(BadAnswer::TooLong)));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(at in any::<prop::sample::Index>(), by in any::<char>()) {
            let line = answer().line().unwrap();
            let mut changed: Vec<char> = line.chars().collect();
            let at = at.index(changed.len());
            prop_assume!(changed[at] != by);
            changed[at] = by;
            let changed: String = changed.into_iter().collect();
            prop_assert!(matches!(Answer::parse(&changed), Err(BadAnswer::Damaged | BadAnswer::Foreign)));
        }

        #[test]
        fn a_part_of_it_is_noticed(at in any::<prop::sample::Index>()) {
            let line = answer().line().unwrap();
            prop_assert!(Answer::parse(&line[..at.index(line.len())]).is_err());
            prop_assert!(Answer::parse(&line[at.index(line.len() - 1) + 1..]).is_err());
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            prop_assert!(Answer::parse(&text).is_err());
            prop_assert!(Answer::parse(&forged(text.as_bytes())).is_err());
        }
    }
}
