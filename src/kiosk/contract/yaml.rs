//! Writes a JSON value as YAML that a person can read: blocks for what has parts, JSON's own words for what has none, which
//! YAML understands, too.

use std::fmt::Write as _;

use serde_json::Value;

pub(super) fn written(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let _ = write!(text, "{indent}{}:", name(key));
                part(value, depth, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(text, "{indent}-");
                part(item, depth, text);
            }
        }
        word => drop(writeln!(text, "{indent}{word}")),
    }
}

/// Behind a key or a dash.
fn part(value: &Value, depth: usize, text: &mut String) {
    let empty = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if empty {
        let _ = writeln!(text, " {value}");
    } else {
        text.push('\n');
        block(value, depth + 1, text);
    }
}

/// Bare where nobody could take it for something else.
fn name(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let bare = key.starts_with(|first: char| first.is_ascii_alphabetic()) && key.chars().all(plain);
    if bare && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key.to_lowercase().as_str()) {
        return key.to_owned();
    }
    Value::from(key).to_string()
}
