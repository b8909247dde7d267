//! What of a configuration may be shown to others, such as support.
//!
//! Policy: nothing is guessed. A value stays where the schema knows its key, the value has the form that the schema gives it, and
//! the schema does not call it secret (`writeOnly`). Nobody knows what was typed anywhere else, so the value of an unknown key goes,
//! with the key, and so does one of another form. Of a key's place only its kind stays: the rest may be the key itself, written
//! where its place belongs. Of an address stay host and path. Comments go.

use serde_json::{Map, Value, json};
use toml::Value as Toml;

use super::schema::{Rule, schema};
use super::{Bytes, Span};

const GONE: &str = "(removed)";

/// `None`: it is no TOML.
pub fn shown(file: &[u8]) -> Option<Value> {
    let file: toml::Table = toml::from_slice(file).ok()?;
    let schema = schema();
    Some(table(&file, Rule::root(&schema)))
}

fn table(of: &toml::Table, rule: Rule<'_>) -> Value {
    let rule = match rule.tag() {
        None => rule,
        // Which keys belong here says the kind.
        Some(tag) => match of.get(tag).and_then(Toml::as_str).and_then(|kind| rule.of_kind(kind)) {
            Some(chosen) => chosen,
            None => return json!(GONE),
        },
    };
    let mut kept = Map::new();
    for (key, is) in of {
        match rule.key(key) {
            Some(rule) => drop(kept.insert(key.clone(), value(is, rule))),
            None => drop(kept.insert("(unknown keys)".into(), json!(GONE))),
        }
    }
    kept.into()
}

fn value(of: &Toml, rule: Rule<'_>) -> Value {
    let plain = |fits: bool| if fits { json!(of) } else { json!(GONE) };
    if rule.says("writeOnly") == true {
        return json!(place(of));
    }
    match (rule.kind(), of) {
        ("object", Toml::Table(texts)) if rule.name == "Localized" => {
            let texts = texts.iter().filter(|(tag, text)| tag.len() <= 10 && text.is_str());
            texts.map(|(tag, text)| (tag.clone(), json!(text))).collect::<Map<_, _>>().into()
        }
        ("object", Toml::Table(inner)) => table(inner, rule),
        ("array", Toml::Array(items)) => items.iter().map(|item| value(item, rule.items())).collect(),
        ("boolean", Toml::Boolean(_)) | ("integer", Toml::Integer(_)) => plain(true),
        ("string", Toml::Datetime(day)) if rule.name == "Day" => json!(day.to_string()),
        ("string", Toml::String(text)) => match rule.name {
            "Span" => plain(Span::parse(text).is_some()),
            "Bytes" => plain(Bytes::parse(text).is_some()),
            _ if !rule.choices().is_empty() => plain(rule.choices().contains(&text.as_str())),
            _ => json!(address(text)),
        },
        _ => json!(GONE),
    }
}

/// What is left of a secret, or of where it lies.
fn place(of: &Toml) -> &'static str {
    match of.as_str().and_then(|text| text.split_once(':')) {
        Some(("file", _)) => "file:(removed)",
        Some(("credential", _)) => "credential:(removed)",
        _ => GONE,
    }
}

/// Without the user, the password and the query that may stand in one.
fn address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = host.rsplit('@').next().unwrap_or_default();
    // An `@` behind the first `/` belongs to a password that has one.
    if path.contains('@') { format!("{scheme}://{GONE}") } else { format!("{scheme}://{host}{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../../configs/vending.toml");

    fn of(text: &str) -> Value {
        shown(text.as_bytes()).expect("it is TOML")
    }

    #[test]
    fn what_is_no_secret_stays() {
        let all = of(DEMO);
        let pin = all["service"]["pin"].as_str();
        assert_eq!(pin, Some(GONE));
        // Everything else is there, and nothing but comments has gone.
        let mut whole: Value = toml::from_str::<toml::Table>(DEMO).map(|table| json!(table)).unwrap();
        whole["service"]["pin"] = json!(GONE);
        assert_eq!(all, whole);
    }

    /// Each key that the schema has, with something secret as its value, in whatever form.
    #[test]
    fn nothing_secret_stays_wherever_it_is_written() {
        fn walk(rule: Rule<'_>, found: &mut Vec<String>, path: &str) {
            for (key, rule) in rule.keys() {
                let rule = if rule.kind() == "array" { rule.items() } else { rule };
                let path = format!("{path}.{key}");
                if rule.says("writeOnly") == true {
                    found.push(path.clone());
                }
                walk(rule, found, &path);
            }
        }
        let schema = schema();
        let mut secret = Vec::new();
        walk(Rule::root(&schema), &mut secret, "");
        let known = [
            ".fleet.key",
            ".fleet.signing_key",
            ".service.pin",
            ".rail.private_key",
            ".rail.api_v3_key",
            ".rail.alipay_public_key",
            ".rail.app_cert",
            ".rail.alipay_cert",
            ".rail.root_cert",
        ];
        for known in known {
            assert!(secret.iter().any(|path| path == known), "{known} is not secret to the schema: {secret:?}");
        }
        for form in ["\"file:HUSH\"", "\"credential:HUSH\"", "\"HUSH\"", "[\"HUSH\"]", "{ HUSH = \"HUSH\" }"] {
            let file = format!(
                "HUSH = {form}\n[HUSHES]\na = {form}\n[kiosk]\nHUSH = {form}\nid = \"K1\"\n[service]\npin = {form}\n\
                 [fleet]\nkey = {form}\nsigning_key = {form}\nwindow = {form}\n\
                 [[rail]]\nkind = \"wechat\"\nprivate_key = {form}\napi_v3_key = {form}\n\
                 [[rail]]\nkind = \"alipay\"\nprivate_key = {form}\nroot_cert = {form}\napi_v3_key = {form}\n\
                 [[rail]]\nkind = \"unknown\"\nprivate_key = {form}\nother = {form}\n"
            );
            let all = of(&file);
            assert!(!all.to_string().contains("HUSH"), "{form}: {all:#}");
            assert_eq!(all["kiosk"]["id"], "K1");
        }
        let all = of("[fleet]\nbroker = \"mqtt://user:HUSH@broker:1883\"\n[[rail]]\nkind = \"wechat\"\n\
                      base_url = \"https://HUSH/@host/a\"\nnotify_url = \"https://pay.example.com/w?key=HUSH#HUSH\"\n");
        assert!(!all.to_string().contains("HUSH"), "{all:#}");
        assert_eq!(all["fleet"]["broker"], "mqtt://broker:1883");
        assert_eq!(all["rail"][0]["notify_url"], "https://pay.example.com/w");
        assert!(shown(b"key = \"HUSH").is_none());
    }
}
