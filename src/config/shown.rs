//! What of a configuration may be shown to others, such as support.
//!
//! Policy: nothing is guessed. A value stays where the schema knows its key, the value has the form that the schema gives it, and
//! the schema does not call it secret (`writeOnly`). Nobody knows what was typed anywhere else, so the value of an unknown key goes,
//! with the key, and so does one of another form. Of a key's place only its kind stays: the rest may be the key itself, written
//! where its place belongs. Of an address stay host and path. Comments go.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use toml::Value as Toml;

use super::schema::{Rule, schema};
use super::{Bytes, Span};

const GONE: &str = "(removed)";

/// Shorter values are not looked for elsewhere: they stand in too many words.
const SHORTEST: usize = 6;

/// What of a configuration is kept from others, so that it is found wherever else it may stand, such as in a log.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    /// The longest first.
    words: Vec<String>,
}

impl Redaction {
    /// Of what is no TOML nothing is known.
    pub fn of(file: &[u8]) -> Self {
        Self::default().and(file)
    }

    /// And what another file keeps back.
    #[must_use]
    pub fn and(mut self, file: &[u8]) -> Self {
        let Ok(table) = toml::from_slice::<toml::Table>(file) else { return self };
        let (mut all, mut kept) = (BTreeSet::new(), BTreeSet::new());
        texts(&json!(table), &mut all);
        texts(&shown(file).unwrap_or_default(), &mut kept);
        let bare = |text: &String| {
            let bare = text.strip_prefix("file:").or_else(|| text.strip_prefix("credential:"));
            bare.unwrap_or(text).to_owned()
        };
        self.words.extend(all.difference(&kept).map(bare).filter(|word| word.len() >= SHORTEST));
        self.words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.words.dedup();
        self
    }

    /// A text without it, and without the user, the password and the query of any address in it.
    pub fn text(&self, text: &str) -> String {
        let text = self.words.iter().fold(text.to_owned(), |text, word| text.replace(word, GONE));
        let mut parts = text.split("://");
        let mut all = parts.next().unwrap_or_default().to_owned();
        for rest in parts {
            let end = rest.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c)).unwrap_or(rest.len());
            let (address, behind) = rest.split_at(end);
            let authority = address.find('/').unwrap_or(end);
            let address = &address[address[..authority].rfind('@').map_or(0, |at| at + 1)..];
            all.push_str("://");
            all.push_str(address.split(['?', '#']).next().unwrap_or_default());
            all.push_str(behind);
        }
        all
    }

    /// A document likewise; what is an address and nothing else is shown as one of the configuration is.
    pub fn document(&self, of: &Value) -> Value {
        match of {
            Value::String(text) if text.contains(char::is_whitespace) => self.text(text).into(),
            Value::String(text) => address(&self.text(text)).into(),
            Value::Array(items) => items.iter().map(|item| self.document(item)).collect(),
            Value::Object(table) => {
                table.iter().map(|(key, is)| (self.text(key), self.document(is))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
}

/// Every text. A key is no secret of which anybody writes elsewhere, and may be a word of every day.
fn texts(of: &Value, into: &mut BTreeSet<String>) {
    match of {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(table) => table.values().for_each(|is| texts(is, into)),
        _ => {}
    }
}

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

    #[test]
    fn what_is_kept_back_is_found_elsewhere_too() {
        let file = b"[typo]\na = \"HUSHHUSH\"\n[kiosk]\nid = \"K0001A\"\n[service]\npin = \"$argon2id$HUSH\"\n\
                     [fleet]\nkey = \"file:keys/HUSH.key\"\nbroker = \"mqtt://user:HUSH@broker:1883\"\n\
                     [[rail]]\nkind = \"wechat\"\napi_v3_key = \"HU\"\n";
        let redaction = Redaction::of(file);
        let line = "K0001A: keys/HUSH.key is not readable; $argon2id$HUSH HUSHHUSH mqtt://user:HUSH@broker:1883 \
                    https://a:HUSH/@b/c?d=1 (mqtts://x@y) a@b";
        let told = redaction.text(line);
        let wanted =
            "K0001A: (removed) is not readable; (removed) (removed) (removed) https://a:HUSH/@b/c (mqtts://y) a@b";
        assert_eq!(told, wanted, "a password with a / in an address that is not the configuration's is nobody's");
        let told = redaction.document(&json!({
            "HUSHHUSH": ["mqtt://user:HUSH@broker:1883", 7],
            "bundle": "https://u:p@host/kiosk.raucb?token=HUSH",
            "told": "see https://u:p@host/?a=b and keys/HUSH.key",
        }));
        let wanted = json!({
            "(removed)": ["(removed)", 7],
            "bundle": "https://host/kiosk.raucb",
            "told": "see https://host/ and (removed)",
        });
        assert_eq!(told, wanted);
        assert_eq!(Redaction::of(b"no = \"TOML").text("as it is"), "as it is");
        let both = Redaction::of(file).and(b"[service]\npin = \"ANOTHERONE\"");
        assert_eq!(both.text("keys/HUSH.key ANOTHERONE"), "(removed) (removed)");
        // Of the demo nothing but the PIN's hash is looked for.
        assert_eq!(Redaction::of(DEMO.as_bytes()).words.len(), 1);
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
