//! Does the file have the shape of the schema: known keys, none missing, the right types, within their ranges?
//!
//! It goes on after a problem, so that one run lists them all.

use serde_json::Value;
use toml::de::DeValue;

use super::document::{Found, Node};
use super::schema::Rule;
use super::words::{list, nearest, quote, suggest};
use super::{Bytes, Calibration, Span};
use crate::signed::keys::KeySource;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{CategoryId, Currency, LaneId, ProductId, RailName, SlotId};

/// `languages` are those in which a text may be written.
pub(super) fn check(file: Node<'_>, schema: &Value, languages: &[String], found: &mut Found) {
    let top = Rule::root(schema);
    Shape { top, languages, found }.table(file, top, "");
}

/// The same for what stands under one key of the file, whatever else is in it.
pub(super) fn check_key(file: Node<'_>, schema: &Value, key: &str, found: &mut Found) {
    let top = Rule::root(schema);
    if let Some((node, rule)) = file.get(key).zip(top.key(key)) {
        let languages = super::LANGUAGES.map(String::from);
        Shape { top, languages: &languages, found }.value(node, rule, key, "");
    }
}

struct Shape<'s, 'f> {
    top: Rule<'s>,
    languages: &'s [String],
    found: &'f mut Found,
}

impl<'s> Shape<'s, '_> {
    /// `heading` is what stands above the table, like `[kiosk]`; empty for the file itself.
    fn table(&mut self, node: Node<'_>, rule: Rule<'s>, heading: &str) {
        let chosen = rule.tag().and_then(|tag| rule.of_kind(node.get(tag)?.text()?));
        let rule = match rule.tag() {
            // Which keys belong here is not known; only the kind itself is looked at.
            Some(tag) if chosen.is_none() => {
                return match (node.get(tag), rule.key(tag)) {
                    (Some(kind), Some(rule)) => self.value(kind, rule, tag, heading),
                    (_, Some(rule)) => self.found.add(node.at(), missing(tag, rule, &format!(" in {heading}"))),
                    (_, None) => {}
                };
            }
            _ => chosen.unwrap_or(rule),
        };
        let known: Vec<_> = rule.keys().map(|(key, _)| key).collect();
        let inside = if heading.is_empty() { String::new() } else { format!(" in {heading}") };
        // Misspelt is not missing as well.
        let mut meant = Vec::new();
        for (key, value) in node.entries() {
            match rule.key(key.get_ref()) {
                Some(rule) => self.value(value, rule, key.get_ref(), heading),
                None => {
                    let advice = self.advice(key.get_ref(), &known, heading);
                    meant.extend(nearest(key.get_ref(), known.iter().copied()));
                    self.found.add(key.span().start, format!("unknown key {}{inside}; {advice}", quote(key.get_ref())));
                }
            }
        }
        for key in rule.required().filter(|key| node.get(key).is_none() && !meant.contains(key)) {
            let missing = rule.key(key).map(|rule| missing(key, rule, &inside));
            self.found.add(if heading.is_empty() { 0 } else { node.at() }, missing.unwrap_or_default());
        }
    }

    fn advice(&self, key: &str, known: &[&str], heading: &str) -> String {
        if let Some(meant) = nearest(key, known.iter().copied()) {
            return format!("did you mean `{meant}`?");
        }
        if !heading.is_empty() && self.top.key(key).is_some() {
            return format!("it has a heading of its own: write [{key}]");
        }
        let elsewhere: Vec<_> =
            homes(self.top, "").into_iter().filter(|(_, name)| *name == key).map(|(home, _)| home).collect();
        match elsewhere.iter().map(String::as_str).filter(|home| *home != heading).collect::<Vec<_>>().as_slice() {
            [] => format!("known here: {}", known.join(", ")),
            homes => format!("it belongs in {}", list(homes, "or")),
        }
    }

    fn value(&mut self, node: Node<'_>, rule: Rule<'s>, key: &str, heading: &str) {
        match (rule.kind(), node.value()) {
            ("object", DeValue::Table(_)) if rule.name == "Localized" => self.localized(node, key),
            ("object", DeValue::Table(_)) => {
                let outer = heading.trim_matches(['[', ']']);
                let path = if outer.is_empty() { key.to_owned() } else { format!("{outer}.{key}") };
                self.table(node, rule, &format!("[{path}]"));
            }
            ("array", DeValue::Array(list)) => {
                if list.is_empty() && rule.says("minItems").as_u64() > Some(0) {
                    self.found.add(node.at(), format!("`{key}` is empty; {}", write(key, rule)));
                }
                let rule = rule.items();
                for item in node.items() {
                    match item.value() {
                        DeValue::Table(_) if rule.kind() == "object" => {
                            let outer = heading.trim_matches(['[', ']']);
                            let dot = if outer.is_empty() { "" } else { "." };
                            self.table(item, rule, &format!("[[{outer}{dot}{key}]]"));
                        }
                        DeValue::String(_) if rule.kind() == "string" => self.value(item, rule, key, heading),
                        _ if rule.kind() == "object" => self.found.add(item.at(), not_tables(key)),
                        _ => {
                            let like = rule.example().unwrap_or_default();
                            self.found.add(item.at(), format!("`{key}` is a list of texts; write each like {like}"));
                        }
                    }
                }
            }
            ("string", DeValue::Datetime(date)) if rule.name == "Day" => {
                if date.date.is_none() || date.time.is_some() || date.offset.is_some() {
                    let like = rule.example().unwrap_or_default().replace('"', "");
                    self.found.add(node.at(), format!("`{key}` is a day; write {key} = {like}"));
                }
            }
            ("string", DeValue::String(text)) if rule.name == "Day" => {
                let what = format!("`{key}` is a day, without quotes; write {key} = {text}");
                self.found.add(node.at(), what);
            }
            ("boolean", DeValue::Boolean(_)) => {}
            ("integer", DeValue::Integer(_)) => self.integer(node, rule, key),
            ("string", DeValue::String(text)) => self.text(node, text, rule, key),
            _ => self.found.add(node.at(), wrong_type(node, rule, key)),
        }
    }

    fn integer(&mut self, node: Node<'_>, rule: Rule<'_>, key: &str) {
        let Some(number) = node.whole() else {
            return self.found.add(node.at(), format!("`{key}` is too large a number; {}", bounds(rule, 10)));
        };
        let allowed = rule.says("enum").as_array();
        let fits = allowed.is_none_or(|allowed| allowed.iter().any(|known| known.as_i64() == Some(number)))
            && rule.says("minimum").as_i64().is_none_or(|least| number >= least)
            && rule.says("maximum").as_i64().is_none_or(|most| number <= most);
        if !fits {
            let radix = node.value().as_integer().map_or(10, |number| number.radix());
            let number = if radix == 16 { format!("{number:#x}") } else { number.to_string() };
            self.found.add(node.at(), format!("`{key}` is {number}; {}", bounds(rule, radix)));
        }
    }

    fn text(&mut self, node: Node<'_>, text: &str, rule: Rule<'_>, key: &str) {
        let choices = rule.choices();
        let said = quote(text);
        let wrong = match rule.name {
            "Span" => {
                return self.measure(
                    node,
                    key,
                    rule,
                    Span::parse,
                    "duration",
                    "a number and ms, s, min or h, like \"90s\"",
                );
            }
            "Bytes" => {
                return self.measure(
                    node,
                    key,
                    rule,
                    Bytes::parse,
                    "size",
                    "a number and B, KiB, MiB or GiB, like \"4 MiB\"",
                );
            }
            "Currency" => Currency::from_code(text)
                .is_none()
                .then(|| format!("unknown currency {said}; write its ISO 4217 code, like \"CNY\"")),
            "CategoryId" => CategoryId::parse(text).is_none().then(|| name(key, &said, "32")),
            "ProductId" => ProductId::parse(text).is_none().then(|| name(key, &said, "32")),
            "RailName" => RailName::parse(text).is_none().then(|| name(key, &said, "24")),
            "Rate" => Rate::parse(text).is_none().then(|| {
                format!("`{key}` {said} is no rate from 0% to 100% with at most four decimals; write \"0.60%\"")
            }),
            // What was written may be the secret itself, so it is not repeated.
            "KeySource" => KeySource::parse(text).err().map(|_| {
                format!("`{key}` says where the key lies; write \"file:/path/of/the.key\" or \"credential:NAME\"")
            }),
            "Calibration" => Calibration::parse(text).is_none().then(|| {
                format!(
                    "`{key}` {said} is no matrix; write six numbers, like \"1 0 0 0 1 0\" for a sensor that needs none"
                )
            }),
            "SlotId" => SlotId::parse(text).is_none().then(|| name(key, &said, "16")),
            "LaneId" => LaneId::parse(text).is_none().then(|| name(key, &said, "16")),
            // Which there are is a matter of the theme's texts too.
            "Language" => None,
            _ if !choices.is_empty() => (!choices.contains(&text))
                .then(|| format!("unknown value {said} for `{key}`; {}", suggest(text, &choices))),
            _ => plain_text(text, rule).map(|wrong| format!("`{key}` {wrong}")),
        };
        if let Some(wrong) = wrong {
            self.found.add(node.at(), wrong);
        }
    }

    /// A duration or a size.
    fn measure<T: PartialOrd>(
        &mut self,
        node: Node<'_>,
        key: &str,
        rule: Rule<'_>,
        parse: fn(&str) -> Option<T>,
        what: &str,
        write: &str,
    ) {
        let text = node.text().unwrap_or_default();
        let Some(value) = parse(text) else {
            return self.found.add(node.at(), format!("{} is not a {what}; write {write}", quote(text)));
        };
        let bound = |keyword| rule.says(keyword).as_str().and_then(parse);
        if bound("x-minimum").is_some_and(|least| value < least) || bound("x-maximum").is_some_and(|most| value > most)
        {
            self.found.add(node.at(), format!("`{key}` is {}; {}", quote(text), bounds(rule, 10)));
        }
    }

    fn localized(&mut self, node: Node<'_>, key: &str) {
        let languages: Vec<&str> = self.languages.iter().map(String::as_str).collect();
        let mut any = false;
        for (tag, text) in node.entries() {
            any = true;
            if !languages.contains(&&**tag.get_ref()) {
                let advice = suggest(tag.get_ref(), &languages);
                self.found
                    .add(tag.span().start, format!("unknown language {} in `{key}`; {advice}", quote(tag.get_ref())));
            }
            match text.text() {
                Some(words) if words.trim().is_empty() => self.found.add(
                    text.at(),
                    format!("`{key}` is empty in {}; write the text or leave the language out", quote(tag.get_ref())),
                ),
                Some(words) if words.chars().count() > 200 => {
                    self.found.add(text.at(), format!("`{key}` is too long; write at most 200 characters"));
                }
                Some(words) if words.chars().any(char::is_control) => {
                    self.found.add(
                        text.at(),
                        format!("`{key}` has a line break or another control character; write one line"),
                    );
                }
                Some(_) => {}
                None => self.found.add(text.at(), format!("`{key}` must be a text in each language; write \"…\"")),
            }
        }
        if !any {
            self.found
                .add(node.at(), format!("`{key}` is empty; write it in at least one of {}", list(&languages, "and")));
        }
    }
}

/// Where each key may stand: heading and key.
fn homes<'s>(rule: Rule<'s>, path: &str) -> Vec<(String, &'s str)> {
    let mut all = Vec::new();
    for (key, rule) in rule.keys() {
        let here = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let (rule, heading) = match rule.kind() {
            "array" => (rule.items(), format!("[[{here}]]")),
            "object" if rule.name != "Localized" => (rule, format!("[{here}]")),
            _ => continue,
        };
        all.extend(rule.keys().map(|(key, _)| (heading.clone(), key)));
        all.extend(homes(rule, &here));
    }
    all
}

fn missing(key: &str, rule: Rule<'_>, inside: &str) -> String {
    match rule.kind() {
        "object" if rule.name != "Localized" => format!("missing [{key}]; {}", write(key, rule)),
        "array" if rule.is_list_of_tables() => format!("missing [[{key}]]; {}", write(key, rule)),
        _ => format!("missing `{key}`{inside}; {}", write(key, rule)),
    }
}

/// What to write for a key.
fn write(key: &str, rule: Rule<'_>) -> String {
    let with = |rule: Rule<'_>| list(&rule.required().collect::<Vec<_>>(), "and");
    match rule.kind() {
        "object" if rule.name != "Localized" => format!("write [{key}] with {}", with(rule)),
        "array" if rule.is_list_of_tables() => {
            format!("write at least one [[{key}]] with {}", with(rule.items()))
        }
        _ => format!("write {key} = {}", rule.example().unwrap_or_default()),
    }
}

fn wrong_type(node: Node<'_>, rule: Rule<'_>, key: &str) -> String {
    let number = node.whole();
    let example = write(key, rule);
    match (rule.kind(), rule.name, node.value()) {
        (_, "Span", DeValue::Integer(_)) => {
            let fits = |unit: &&str| {
                let bound = |keyword| rule.says(keyword).as_str().and_then(Span::parse);
                let span = Span::parse(&format!("{}{unit}", number.unwrap_or_default()));
                span.is_some() && span >= bound("x-minimum") && span <= bound("x-maximum")
            };
            let unit = ["s", "ms", "min"].into_iter().find(fits);
            let write = unit.map_or("\"90s\"".to_owned(), |unit| format!("\"{}{unit}\"", number.unwrap_or_default()));
            format!("`{key}` is a duration and needs its unit; write {write}")
        }
        (_, "Bytes", DeValue::Integer(_)) => format!("`{key}` is a size and needs its unit; write \"4 MiB\""),
        (_, "Localized", DeValue::String(text)) => {
            format!("`{key}` is written per language; write {key} = {{ en = {} }}", Value::from(text.as_ref()))
        }
        ("integer", _, DeValue::String(text)) if text.parse::<i64>().is_ok() => {
            format!("`{key}` is a number; write it without quotes: {key} = {text}")
        }
        ("integer", _, DeValue::Float(_)) => format!("`{key}` must be a whole number; {example}"),
        ("string", _, DeValue::Integer(number)) if rule.choices().is_empty() => {
            format!("`{key}` is a text; write it in quotes: {key} = \"{number}\"")
        }
        ("array", _, DeValue::String(text)) if rule.items().kind() == "string" => {
            format!("`{key}` is a list; write {key} = [{}]", Value::from(text.as_ref()))
        }
        ("array", _, _) if rule.is_list_of_tables() => not_tables(key),
        (kind, _, value) => {
            let wanted = match kind {
                "integer" => "a whole number",
                "boolean" => "true or false",
                "string" => "a text",
                "array" => "a list",
                _ => "a table",
            };
            let got = match value {
                DeValue::String(_) => "a text",
                DeValue::Integer(_) | DeValue::Float(_) => "a number",
                DeValue::Boolean(_) => "true or false",
                DeValue::Datetime(_) => "a date or time",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
            };
            format!("`{key}` must be {wanted}, not {got}; {example}")
        }
    }
}

fn not_tables(key: &str) -> String {
    format!("`{key}` is a list of tables; write [[{key}]] above each")
}

/// What a number, a duration or a size may be, written as the file writes its numbers.
fn bounds(rule: Rule<'_>, radix: u32) -> String {
    if let Value::Array(allowed) = rule.says("enum") {
        let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
        return format!("write {}", list(&allowed.iter().map(String::as_str).collect::<Vec<_>>(), "or"));
    }
    let prefix = if rule.name.is_empty() { "" } else { "x-" };
    let bound = |keyword: &str| match rule.says(&format!("{prefix}{keyword}")) {
        Value::Number(number) if radix == 16 => format!("{:#04x}", number.as_i64().unwrap_or_default()),
        other => other.to_string(),
    };
    format!("write {} to {}", bound("minimum"), bound("maximum"))
}

fn name(key: &str, said: &str, longest: &str) -> String {
    format!("`{key}` can't be {said}; write 1 to {longest} letters, digits, `_` or `-`")
}

fn plain_text(text: &str, rule: Rule<'_>) -> Option<String> {
    let longest = rule.says("maxLength").as_u64();
    if text.trim().is_empty() {
        Some(format!("is empty; write something like {}", rule.example().unwrap_or_default()))
    } else if longest.is_some_and(|longest| text.chars().count() as u64 > longest) {
        Some(format!("is too long; write at most {} characters", longest.unwrap_or_default()))
    } else if text.chars().any(char::is_control) {
        Some("has a line break or another control character; write one line".into())
    } else {
        None
    }
}
