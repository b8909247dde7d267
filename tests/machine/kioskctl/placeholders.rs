//! What differs from run to run, as something that does not. The same thing is the same placeholder everywhere, two things are two,
//! and whatever is not known to vary stays as it is.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Placeholders {
    /// By what was seen.
    known: BTreeMap<String, String>,
    /// How many of each sort there are.
    counts: BTreeMap<&'static str, usize>,
}

/// Times as they are written, the longest first: `9` is a digit.
const TIMES: [(&str, &str); 7] = [
    // In an EVA-DTS file.
    ("*99999999*999999", "*YYYYMMDD*hhmmss"),
    ("*99999999*9999*", "*YYYYMMDD*hhmm*"),
    ("9999-99-99T99:99:99.999Z", "2000-MM-DDThh:mm:ss.mmmZ"),
    ("9999-99-99 99:99:99.999Z", "2000-MM-DD hh:mm:ss.mmmZ"),
    ("9999-99-99T99:99:99Z", "2000-MM-DDThh:mm:ssZ"),
    ("9999-99-99 99:99:99Z", "2000-MM-DD hh:mm:ssZ"),
    ("9999-99-99", "2000-MM-DD"),
];

impl Placeholders {
    /// This text is to be that one.
    pub fn learn(&mut self, seen: impl Into<String>, stands: impl Into<String>) {
        self.known.insert(seen.into(), stands.into());
    }

    pub fn put(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let whole = |form: &str| !form.starts_with('9') || !before.is_ascii_alphanumeric();
            let time = TIMES.iter().find(|(form, _)| whole(form) && written_so(rest, form));
            if let Some((form, stands)) = time {
                out.push_str(stands);
                rest = &rest[form.len()..];
                before = 'Z';
            } else if first.is_ascii_alphanumeric() {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                out.push_str(&self.word(&rest[..end]));
                rest = &rest[end..];
                before = 'a';
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                before = first;
            }
        }
        out
    }

    fn word(&mut self, word: &str) -> String {
        if let Some(known) = self.known.get(word) {
            return known.clone();
        }
        let all = |test: fn(&u8) -> bool| word.as_bytes().iter().all(test);
        let hexadecimal = all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
        let crockford = all(|byte| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(byte)));
        let sort = match word.len() {
            26 if crockford => "ORDER",
            64 if hexadecimal => "HASH",
            32 if hexadecimal => "NUMBER",
            16 if hexadecimal => "RUN",
            // Milliseconds since 1970.
            13 if all(u8::is_ascii_digit) && word.starts_with('1') => return "1000000000000".into(),
            _ => return word.into(),
        };
        let count = self.counts.entry(sort).or_default();
        *count += 1;
        // As wide as it was, so that columns are where they were.
        let stands = match sort {
            "ORDER" => format!("01{:x<24}", format!("ORDER{count}")),
            _ => format!("{sort}{count}"),
        };
        self.learn(word, &stands);
        stands
    }
}

fn written_so(text: &str, form: &str) -> bool {
    text.len() >= form.len()
        && form.bytes().zip(text.bytes()).all(|(form, is)| if form == b'9' { is.is_ascii_digit() } else { form == is })
}

#[test]
fn what_varies_is_replaced_and_nothing_else_is() {
    let mut placeholders = Placeholders::default();
    let order = "01KB7M3V8QABCDEFGHJKMNPQRS";
    let told = placeholders.put(&format!("{order} R_{order}_1_1 2026-11-29 10:15:00Z 300 A1 2026-11-29T10:15"));
    let first = "01ORDER1xxxxxxxxxxxxxxxxxx";
    assert_eq!(told, format!("{first} R_{first}_1_1 2000-MM-DD hh:mm:ssZ 300 A1 2000-MM-DDT10:15"));
    assert_eq!(first.len(), order.len());
    let (one, two) = ("a".repeat(64), "b".repeat(64));
    assert_eq!(placeholders.put(&format!("{one} {two} {one}")), "HASH1 HASH2 HASH1");
    placeholders.learn("482913", "CODE1");
    assert_eq!(placeholders.put("482913 482914 1796000000000 deadbeef"), "CODE1 482914 1000000000000 deadbeef");
}
