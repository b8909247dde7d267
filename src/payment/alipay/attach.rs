//! Whose charge it is, in fields that are too short or too particular for it.
//!
//! A charge carries its kiosk's name twice. `passback_params` (512 characters, to be sent URL-encoded) is documented to
//! come back in notifications; the answer to a query has the field too (`AlipayTradeQueryResponse` of the official SDKs),
//! but no page promises it. `terminal_id` (32 characters) is documented to come back in the answer to a query. What does
//! not fit is replaced by its [`digest`], in both.

use data_encoding::HEXLOWER;

use super::form;

const LONGEST_TERMINAL: usize = 32;
const LONGEST_PASSBACK: usize = 512;

/// The first 32 hexadecimal digits of the SHA-256.
fn digest(attach: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, attach.as_bytes());
    HEXLOWER.encode(&hash.as_ref()[..LONGEST_TERMINAL / 2])
}

pub(super) fn terminal_id(attach: &str) -> String {
    let fits = attach.len() <= LONGEST_TERMINAL && attach.bytes().all(|b| b.is_ascii_graphic());
    if fits { attach.to_owned() } else { digest(attach) }
}

pub(super) fn passback_params(attach: &str) -> String {
    let encoded = form::encode(attach);
    if encoded.len() <= LONGEST_PASSBACK { encoded } else { digest(attach) }
}

/// What came back, the fuller of the two first.
pub(super) fn given_back(passback_params: Option<&str>, terminal_id: Option<&str>) -> Option<String> {
    let passback = passback_params.map(|text| form::decode(text).unwrap_or_else(|| text.to_owned()));
    passback.filter(|text| !text.is_empty()).or_else(|| terminal_id.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// Whether `given`, from a report or a notification, is the `attach` a charge was made with: itself or its short form.
#[must_use]
pub fn attach_matches(given: &str, attach: &str) -> bool {
    !attach.is_empty() && (given == attach || given == digest(attach))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_its_fields_and_is_known_again() {
        let long = "a".repeat(40) + "/" + &"b".repeat(500);
        for attach in
            ["f/k", "fleet-of-thirty-two-characters/k", "fleet-of-thirty-three-characters/k", "前海/甲", &long]
        {
            let (terminal, passback) = (terminal_id(attach), passback_params(attach));
            assert!(terminal.len() <= 32 && passback.len() <= 512, "{attach}");
            assert!(attach_matches(&terminal, attach), "{attach}");
            assert!(attach_matches(&given_back(Some(&passback), None).unwrap(), attach), "{attach}");
            assert!(attach_matches(&given_back(None, Some(&terminal)).unwrap(), attach), "{attach}");
            assert!(!attach_matches(&terminal, "f/other"), "{attach}");
        }
        assert_eq!(terminal_id("f/k"), "f/k");
        assert_eq!(passback_params("f/k"), "f%2Fk");
        assert_eq!(given_back(Some(""), Some("")), None);
        assert!(!attach_matches("", ""));
        // printf %s fleet-of-thirty-three-characters/k | sha256sum
        assert_eq!(terminal_id("fleet-of-thirty-three-characters/k"), "772298fc415df39ac7d120cd24332965");
    }
}
