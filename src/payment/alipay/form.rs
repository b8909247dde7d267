//! `application/x-www-form-urlencoded`, as the gateway takes requests and sends notifications.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Larger than any notification.
const LARGEST: usize = 64 << 10;

/// Letters, digits and `_.-~` stay, a blank is `+`, all else is `%XX` of its UTF-8.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a string can't fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

/// `None` for a broken `%XX` and for what is not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// The pairs of a body. `None` when it is too large, broken, or names a thing twice.
pub(super) fn parse(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let body = std::str::from_utf8(body).ok().filter(|body| body.len() <= LARGEST)?;
    let mut pairs = BTreeMap::new();
    for pair in body.split('&') {
        let (key, value) = pair.split_once('=')?;
        if pairs.insert(decode(key)?, decode(value)?).is_some() {
            return None;
        }
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_and_back() {
        for text in ["", "a b+c", "前海/a=b&c", "100%", "\"{}\"\n", "é~_.-"] {
            let encoded = encode(text);
            assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-~+%".contains(&b)), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn broken_bodies_are_nothing() {
        for bad in ["", "a", "a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%ff", "a=1&&b=2"] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(parse(&vec![b'='; LARGEST + 1]).is_none());
        assert_eq!(
            parse(b"b=%E5%89%8D&a=").unwrap().into_iter().collect::<Vec<_>>(),
            [("a".into(), String::new()), ("b".into(), "前".into())]
        );
    }
}
