//! The JSON schema of the configuration, made from the types.
//!
//! Beyond the standard, `x-minimum` and `x-maximum` bound a duration or a size, which are texts. The same document
//! checks a file ([`super::shape`]), so what editors are told and what is enforced can't drift apart.

use serde_json::{Map, Value, json};

use super::theme::ThemeFile;
use super::{Config, LANGUAGES};

/// A language: `en`, `zh-Hant`, `pt-BR`.
const TAG: &str = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$";

/// Of a theme's file.
pub(super) fn theme_schema() -> Value {
    let mut schema: Value = schemars::schema_for!(ThemeFile).into();
    tidy(&mut schema);
    schema
}

/// The JSON schema (2020-12) of the file, as `kioskd schema` prints it.
pub fn schema() -> Value {
    let mut schema: Value = schemars::schema_for!(Config).into();
    schema["title"] = json!("kioskd configuration");
    tidy(&mut schema);
    let text = json!({ "type": "string", "minLength": 1, "maxLength": 200 });
    let defs = &mut schema["$defs"];
    defs["Language"] = json!({
        "type": "string",
        "pattern": TAG,
        "examples": ["en"],
        "description": "A language of the interface, as a BCP 47 tag: `zh-Hant`, `zh-Hans`, `en`, or one of the theme's own texts.",
    });
    defs["Localized"] = json!({
        "type": "object",
        "description": "The same text in several languages, at least one.",
        "minProperties": 1,
        "additionalProperties": false,
        "patternProperties": { TAG: text.clone() },
        "properties": LANGUAGES.map(|tag| (tag.to_owned(), text.clone())).into_iter().collect::<Map<_, _>>(),
        "examples": [{ "en": "Cola", "zh-Hans": "可乐" }],
    });
    for (name, longest) in [("ProductId", 32), ("CategoryId", 32), ("SlotId", 16), ("LaneId", 16), ("RailName", 24)] {
        defs[name]["pattern"] = json!(format!("^[0-9A-Za-z_-]{{1,{longest}}}$"));
    }
    defs["Currency"]["examples"] = json!(["CNY"]);
    for table in ["Glass", "Board", "Printer"] {
        kinds(defs, table, "driver");
    }
    kinds(defs, "Rail", "kind");
    kinds(defs, "Merchant", "profile");
    schema
}

/// A table whose keys depend on one of them: `tag` becomes a key like the others, with the kinds to choose from, and each
/// kind is left with what is its own.
fn kinds(defs: &mut Value, table: &str, tag: &str) {
    let Some(Value::Array(variants)) = defs[table].get_mut("oneOf").map(Value::take) else { return };
    let mut own = Vec::new();
    let mut choices = Vec::new();
    for mut variant in variants {
        choices.push(json!({
            "const": variant["properties"][tag]["const"],
            "description": variant["description"],
        }));
        let type_ = variant["$ref"].as_str().and_then(|link| link.strip_prefix("#/$defs/")).map(str::to_owned);
        let type_ = type_.and_then(|name| defs.as_object_mut()?.remove(&name)).unwrap_or_default();
        if let Value::Object(keys) = &type_["properties"] {
            keys.iter().for_each(|(key, field)| variant["properties"][key] = field.clone());
        }
        if let Some(required) = type_.get("required") {
            variant["required"] = required.clone();
        } else if let Some(Value::Array(required)) = variant.get_mut("required") {
            required.retain(|key| key != tag);
        }
        if let Value::Object(variant) = &mut variant {
            variant.remove("$ref");
        }
        own.push(variant);
    }
    let table = &mut defs[table];
    table["properties"][tag] = json!({ "type": "string", "description": "Which kind.", "oneOf": choices });
    match table.get_mut("required") {
        Some(Value::Array(required)) if required.contains(&json!(tag)) => {}
        Some(Value::Array(required)) => required.insert(0, json!(tag)),
        _ => table["required"] = json!([tag]),
    }
    table["type"] = json!("object");
    table["oneOf"] = own.into();
    table["unevaluatedProperties"] = json!(false);
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
    /// Of a table of several kinds, what the chosen one adds.
    variant: Option<&'s Value>,
    /// The name of the type, where it has one.
    pub name: &'s str,
}

impl<'s> Rule<'s> {
    pub fn root(schema: &'s Value) -> Self {
        Self { root: schema, field: schema, def: schema, variant: None, name: "" }
    }

    fn at(self, field: &'s Value) -> Self {
        let name = field["$ref"].as_str().and_then(|link| link.strip_prefix("#/$defs/")).unwrap_or("");
        let def = if name.is_empty() { field } else { &self.root["$defs"][name] };
        Self { root: self.root, field, def, variant: None, name }
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

    /// A table's kinds, where its keys depend on one of them.
    fn variants(self) -> impl Iterator<Item = &'s Value> {
        let all = self.def["oneOf"].as_array().into_iter().flatten();
        all.filter(move |variant| self.variant.is_none_or(|chosen| std::ptr::eq(chosen, *variant)))
            .filter(|variant| variant["properties"].is_object())
    }

    /// The key that says which kind a table is.
    pub fn tag(self) -> Option<&'s str> {
        let properties = self.variants().next()?["properties"].as_object()?;
        properties.iter().find(|(_, field)| field["const"].is_string()).map(|(key, _)| key.as_str())
    }

    /// The same table, of that kind.
    pub fn of_kind(self, kind: &str) -> Option<Rule<'s>> {
        let tag = self.tag()?;
        let variant = self.variants().find(|variant| variant["properties"][tag]["const"] == kind)?;
        Some(Rule { variant: Some(variant), ..self })
    }

    /// The keys of a table with what each must be; of every kind where none is chosen.
    pub fn keys(self) -> impl Iterator<Item = (&'s str, Rule<'s>)> {
        let common = self.def["properties"].as_object().into_iter().flatten();
        let own = self.variants().filter_map(|variant| variant["properties"].as_object()).flatten();
        let own = own.filter(|(_, field)| field["const"].is_null());
        common.chain(own).map(move |(key, field)| (key.as_str(), self.at(field)))
    }

    pub fn key(self, key: &str) -> Option<Rule<'s>> {
        self.keys().find(|(name, _)| *name == key).map(|(_, rule)| rule)
    }

    pub fn required(self) -> impl Iterator<Item = &'s str> {
        let own = self.variant.into_iter().flat_map(|variant| variant["required"].as_array()).flatten();
        self.def["required"].as_array().into_iter().flatten().chain(own).filter_map(Value::as_str)
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
        let switch = (self.kind() == "boolean").then_some(json!(false));
        self.says("examples")
            .get(0)
            .cloned()
            .or(switch)
            .or(choice)
            .or_else(|| number().cloned())
            .map(|value| toml(&value))
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
                let choices = rule.says("oneOf").as_array().into_iter().flatten();
                let one_by_one = choices.clone().all(|choice| choice["enum"].is_null());
                assert!(one_by_one, "{path}: every value needs its description, or none");
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
                    "object" | "array" | "string" | "integer" | "boolean" => {
                        assert!(rule.example().is_some(), "{path}: no example")
                    }
                    other => panic!("{path}: the checks know no {other}"),
                }
            }
        }
        walk(Rule::root(&schema()), "");
    }
}
