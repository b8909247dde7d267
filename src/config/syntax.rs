//! Files that are not TOML: the parser's complaint, and what to write instead.
//!
//! The parser recovers at the next line, so several mistakes are found in one go. Within a line, and where a list or an
//! inline table is never closed, only the first is believed: the others follow from it.

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::document::{Found, place};
use super::schema::{Rule, schema};
use super::words::quote;

/// The document, or nothing but what is wrong with it.
pub(super) fn parse<'a>(text: &'a str, found: &mut Found) -> Option<Spanned<DeTable<'a>>> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(table);
    }
    let at = |error: &Error| error.span().map_or(0, |span| span.start);
    errors.sort_by_key(at);
    let endless =
        errors.iter().any(|e| e.message().starts_with("unclosed array,") || e.message().starts_with("unclosed inline"));
    let mut last = 0;
    for error in errors.iter().take(if endless { 1 } else { usize::MAX }) {
        let (line, _) = place(text, at(error));
        if line != last {
            let span = error.span().unwrap_or_default();
            found.add(at(error), advice(error.message(), text.get(span).unwrap_or_default()));
        }
        last = line;
    }
    None
}

fn advice(message: &str, said: &str) -> String {
    let bare: String = said.trim_matches(['“', '”', '‘', '’', '「', '」', '\'', '"']).to_owned();
    let is = |start: &str| message.starts_with(start);
    if is("string values must be quoted") && said.is_empty() {
        "nothing after `=`; write a value, or leave the key out".into()
    } else if is("string values must be quoted") {
        format!("a text needs straight quotes; write {}", serde_json::Value::from(bare))
    } else if is("key with no value") {
        "a key without `=`; write key = value, and # before a remark".into()
    } else if is("invalid unquoted key") && said.starts_with("//") {
        "a remark begins with #; write # instead of //".into()
    } else if is("invalid unquoted key") && said.starts_with(':') {
        "a value comes after `=`, not `:`; write key = value".into()
    } else if is("invalid unquoted key") {
        format!(
            "a key of letters, digits, `_` and `-` needs no quotes, this one does; write {}",
            serde_json::Value::from(bare)
        )
    } else if is("unquoted keys cannot be empty") {
        "a name is missing here; write [kiosk] or key = value".into()
    } else if is("duplicate key") && Rule::root(&schema()).key(said).is_some_and(Rule::is_list_of_tables) {
        format!("{} is a list; write [[{said}]] above each", quote(said))
    } else if is("duplicate key") {
        format!("{} is written a second time; keep one of them", quote(said))
    } else if message.ends_with("expected `\"`") || message.ends_with("expected `'`") {
        "the text is not closed; end it with a quotation mark on the same line".into()
    } else if is("invalid basic string") || is("invalid literal string") {
        "a control character in a text; leave it out".into()
    } else if is("missing escaped value") {
        "`\\` has a meaning of its own in a text; write \\\\".into()
    } else if is("unclosed table") || is("unclosed array table") {
        let end = if is("unclosed table") { "]" } else { "]]" };
        format!("the heading is not closed; write {end} at its end")
    } else if is("unclosed inline table") {
        "the table is not closed; write }".into()
    } else if is("unclosed array") {
        "the list is not closed; write ]".into()
    } else if is("missing comma") {
        "a comma or the closing bracket is missing before this".into()
    } else if is("unexpected key or value") {
        "a second value on the line; write one key = value a line".into()
    } else if is("invalid boolean") {
        "a text needs straight quotes, and a switch is true or false".into()
    } else if is("unexpected leading zero") {
        "a number does not begin with 0; leave the 0 out".into()
    } else {
        let reason = message.trim_end_matches(", expected nothing");
        format!("not TOML: {reason}")
    }
}
