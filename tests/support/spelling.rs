//! Every key of every document is snake_case. What is a word and no key (a kind, a reason, a state) is kebab-case.

use serde_json::Value;

/// Below these the keys are names that somebody has given to his own things, or tags of languages.
const NAMES: [&str; 4] = ["stock", "dropped", "slots", "label"];

/// Refuses a document with a key that is not snake_case; `what` says which document it is.
#[track_caller]
pub fn check(what: &str, document: &Value) {
    match document {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert!(snake_case(key), "{what}: `{key}` is not snake_case");
                match value {
                    Value::Object(named) if NAMES.contains(&key.as_str()) => {
                        named.values().for_each(|value| check(what, value));
                    }
                    value => check(what, value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(what, item)),
        _ => {}
    }
}

fn snake_case(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    key.starts_with(|first: char| first.is_ascii_lowercase()) && key.bytes().all(plain)
}
