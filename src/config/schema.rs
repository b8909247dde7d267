//! The JSON schema of the configuration, made from the types.
//!
//! Beyond the standard, `x-minimum` and `x-maximum` bound a duration or a size, which are texts. The same document
//! checks a file ([`super::shape`]), so what editors are told and what is enforced can't drift apart.

use serde_json::{Map, Value, json};

use super::{Config, LANGUAGES};

/// The JSON schema (2020-12) of the file, as `kioskd schema` prints it.
pub fn schema() -> Value {
    let mut schema: Value = schemars::schema_for!(Config).into();
    schema["title"] = json!("kioskd configuration");
    tidy(&mut schema);
    let text = json!({ "type": "string", "minLength": 1, "maxLength": 200 });
    let defs = &mut schema["$defs"];
    defs["Language"] = json!({
        "type": "string",
        "enum": LANGUAGES,
        "description": "A language of the interface, as a BCP 47 tag.",
    });
    defs["Localized"] = json!({
        "type": "object",
        "description": "The same text in several languages, at least one.",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": LANGUAGES.map(|tag| (tag.to_owned(), text.clone())).into_iter().collect::<Map<_, _>>(),
        "examples": [{ "en": "Cola", "zh-Hans": "可乐" }],
    });
    for (name, longest) in [("ProductId", 32), ("SlotId", 16)] {
        defs[name]["pattern"] = json!(format!("^[0-9A-Za-z_-]{{1,{longest}}}$"));
    }
    defs["Currency"]["examples"] = json!(["CNY"]);
    schema
}

/// TOML has no null: an optional key is left out.
fn tidy(node: &mut Value) {
    match node {
        Value::Object(object) => {
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// What a part of the schema says, with its `$ref` followed: the field's own words first, then its type's.
#[derive(Clone, Copy)]
pub(super) struct Rule<'s> {
    root: &'s Value,
    field: &'s Value,
    def: &'s Value,
    /// The name of the type, where it has one.
    pub name: &'s str,
}

impl<'s> Rule<'s> {
    pub fn root(schema: &'s Value) -> Self {
        Self { root: schema, field: schema, def: schema, name: "" }
    }

    fn at(self, field: &'s Value) -> Self {
        let name = field["$ref"].as_str().and_then(|link| link.strip_prefix("#/$defs/")).unwrap_or("");
        let def = if name.is_empty() { field } else { &self.root["$defs"][name] };
        Self { root: self.root, field, def, name }
    }

    /// A keyword: the field's, else the type's, else `null`.
    pub fn says(self, keyword: &str) -> &'s Value {
        self.field.get(keyword).unwrap_or(&self.def[keyword])
    }

    pub fn kind(self) -> &'s str {
        match self.says("type") {
            Value::String(kind) => kind,
            // An enumeration whose variants are described one by one.
            _ => "string",
        }
    }

    /// The keys of a table with what each must be.
    pub fn keys(self) -> impl Iterator<Item = (&'s str, Rule<'s>)> {
        self.def["properties"].as_object().into_iter().flatten().map(move |(key, field)| (key.as_str(), self.at(field)))
    }

    pub fn key(self, key: &str) -> Option<Rule<'s>> {
        self.def["properties"].get(key).map(|field| self.at(field))
    }

    pub fn required(self) -> impl Iterator<Item = &'s str> {
        self.def["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// What each element of a list must be.
    pub fn items(self) -> Rule<'s> {
        self.at(&self.def["items"])
    }

    /// Written `[[key]]`.
    pub fn is_list_of_tables(self) -> bool {
        self.kind() == "array" && self.items().kind() == "object"
    }

    /// The only texts allowed, if it is such a key.
    pub fn choices(self) -> Vec<&'s str> {
        let plain = self.says("enum").as_array().into_iter().flatten().filter_map(Value::as_str);
        let described =
            self.says("oneOf").as_array().into_iter().flatten().filter_map(|choice| choice["const"].as_str());
        plain.chain(described).collect()
    }

    /// Something that may stand there, as TOML.
    pub fn example(self) -> Option<String> {
        let choice = self.choices().first().map(|&choice| json!(choice));
        let number =
            || self.says("enum").get(0).or_else(|| self.says("minimum").as_i64().map(|_| self.says("minimum")));
        self.says("examples").get(0).cloned().or(choice).or_else(|| number().cloned()).map(|value| toml(&value))
    }
}

/// A JSON value as TOML on one line.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every leaf can be checked and shown: numbers, durations and sizes are bounded, and what must be written has an
    /// example.
    #[test]
    fn every_key_is_described_and_bounded() {
        fn walk(rule: Rule<'_>, path: &str) {
            for (key, rule) in rule.keys() {
                let path = format!("{path}.{key}");
                assert!(rule.says("description").is_string(), "{path} has no description");
                let bounds = match (rule.kind(), rule.name) {
                    ("integer", _) if rule.says("enum").is_null() => Some(["minimum", "maximum"]),
                    (_, "Span" | "Bytes") => Some(["x-minimum", "x-maximum"]),
                    _ => None,
                };
                for bound in bounds.into_iter().flatten() {
                    assert!(!rule.says(bound).is_null(), "{path} has no {bound}");
                }
                match rule.kind() {
                    "object" if rule.name != "Localized" => walk(rule, &path),
                    "array" if rule.items().kind() == "object" => walk(rule.items(), &path),
                    "object" | "array" | "string" | "integer" => {
                        assert!(rule.example().is_some(), "{path}: no example")
                    }
                    other => panic!("{path}: the checks know no {other}"),
                }
            }
        }
        walk(Rule::root(&schema()), "");
    }
}
