//! Renders `docs/configuration.md` from the schema and the table of messages.

use std::fmt::Write as _;

use serde_json::Value;

use super::cases::{self, Case};

pub fn render(schema: &Value) -> String {
    let mut page = String::from(HEAD);
    table(&mut page, schema, schema, "");
    page += "\n## Messages\n\n";
    page += "`kioskd check FILE` prints one line for everything that is wrong, in the order of the file, and ends with 1.\n";
    page += "What it says about the mistakes that the tests make in an example (`tests/config/kiosk.toml`):\n";
    messages(&mut page, "Not TOML", cases::SYNTAX);
    messages(&mut page, "Keys, types and ranges", cases::SHAPE);
    messages(&mut page, "What must agree", cases::RULES);
    page
}

const HEAD: &str = "# Configuration

One TOML file is the whole configuration of a kiosk. `kioskd check FILE` checks it, `kioskd schema` prints its JSON
schema for editors, and `configs/vending.toml` is a complete example. Nothing starts on a file with a mistake in it.

A duration is a text with its unit: `\"300ms\"`, `\"90s\"`, `\"2min\"`, `\"1h\"`. A size too: `\"512 KiB\"`, `\"4 MiB\"`.
Money is in minor units: 300 is 3.00 CNY. A text for people is written per language,
`{ en = \"Cola\", \"zh-Hant\" = \"可樂\" }`; where one is missing, English is shown, else the first. Relative paths start at
the file's own directory.

Made from the schema by `KIOSKD_WRITE=1 cargo test --release --test config`; a test fails when it is out of date.
";

/// One heading with its keys, then the tables inside it.
fn table(page: &mut String, root: &Value, def: &Value, heading: &str) {
    let keys = def["properties"].as_object().expect("a table has keys");
    let required: Vec<_> = def["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut inner = Vec::new();
    let mut rows = String::new();
    for key in ordered(keys.keys().map(String::as_str).collect(), heading) {
        let field = &keys[key];
        let type_def = resolve(root, field);
        let path =
            if heading.is_empty() { key.to_owned() } else { format!("{}.{key}", heading.trim_matches(['[', ']'])) };
        let description = says(field, type_def, "description").as_str().unwrap_or_default().replace('\n', " ");
        let item = resolve(root, &type_def["items"]);
        let need = if required.contains(&key) { "" } else { " It may be left out." };
        let closed = type_def["additionalProperties"] == false || kinds(type_def).next().is_some();
        if type_def["properties"].is_object() && closed && !is_localized(field) {
            inner.push((format!("[{path}]"), type_def, format!("{description}{need}")));
        } else if item["properties"].is_object() {
            inner.push((format!("[[{path}]]"), item, description));
        } else {
            let default = match &field["default"] {
                Value::Null if required.contains(&key) => "required".to_owned(),
                Value::Null => "none".to_owned(),
                value => format!("`{}`", toml(value)),
            };
            let what = what(root, field, type_def);
            let _ = writeln!(rows, "| `{key}` | {what} | {default} | {description} |");
        }
    }
    if !rows.is_empty() {
        let _ = write!(page, "\n| key | what | default | |\n|---|---|---|---|\n{rows}");
    }
    for kind in kinds(def) {
        let mut kind = kind.clone();
        let properties = kind["properties"].as_object_mut().expect("a kind has keys");
        let tag = properties.iter().find(|(_, field)| field["const"].is_string());
        let (tag, name) = tag.map(|(tag, field)| (tag.clone(), plain(&field["const"]))).expect("a kind has a name");
        properties.remove(&tag);
        let title = format!("{heading} {tag} = \"{name}\"");
        let _ = write!(page, "\n### `{title}`\n\n{}\n", plain(&kind["description"]));
        table(page, root, &kind, heading);
    }
    for (heading, def, description) in inner {
        let _ = write!(page, "\n## `{heading}`\n\n{description}\n");
        table(page, root, def, &heading);
    }
}

/// Of a table whose keys depend on one of them.
fn kinds(def: &Value) -> impl Iterator<Item = &Value> {
    def["oneOf"].as_array().into_iter().flatten().filter(|kind| kind["properties"].is_object())
}

/// The order of the example file, which people read first; then the alphabet's.
fn ordered<'k>(mut keys: Vec<&'k str>, heading: &str) -> Vec<&'k str> {
    let demo = super::DEMO;
    let start = if heading.is_empty() { 0 } else { demo.find(&format!("\n{heading}")).unwrap_or(0) };
    let place = |key: &str| {
        let written = match heading {
            "" => [format!("\n[{key}]"), format!("\n[[{key}]]")],
            _ => [format!("\n{key} ="), format!("\n# {key} =")],
        };
        written.iter().filter_map(|written| demo[start..].find(written)).min()
    };
    keys.sort_by_key(|key| (place(key).is_none(), place(key), *key));
    keys
}

fn what(root: &Value, field: &Value, def: &Value) -> String {
    let says = |keyword: &str| says(field, def, keyword);
    let range = |low: &str, high: &str| match (says(low), says(high)) {
        (Value::Null, _) | (_, Value::Null) => String::new(),
        (low, high) => format!(" {} to {}", plain(low), plain(high)),
    };
    let choices: Vec<_> = says("oneOf")
        .as_array()
        .into_iter()
        .flatten()
        .map(|choice| (plain(&choice["const"]), choice["description"].as_str().unwrap_or_default()))
        .map(|(name, why)| format!("`\"{name}\"` ({})", why.trim_end_matches('.')))
        .chain(says("enum").as_array().into_iter().flatten().map(|choice| format!("`{}`", toml(choice))))
        .collect();
    match field["$ref"].as_str().and_then(|link| link.rsplit('/').next()).unwrap_or_default() {
        _ if !choices.is_empty() => choices.join(", "),
        "Span" => format!("duration{}", range("x-minimum", "x-maximum")),
        "Bytes" => format!("size{}", range("x-minimum", "x-maximum")),
        "Localized" => "text per language".into(),
        _ => match says("type").as_str().unwrap_or_default() {
            "boolean" => "`true` or `false`".into(),
            "integer" => format!("number{}", range("minimum", "maximum")),
            "array" => format!("list of {}", what(root, &def["items"], resolve(root, &def["items"]))),
            _ => {
                let example = says("examples").get(0).map(|example| format!(" like `{}`", toml(example)));
                format!("text{}", example.unwrap_or_default())
            }
        },
    }
}

fn messages(page: &mut String, title: &str, cases: &[Case]) {
    let _ = write!(page, "\n### {title}\n\n```text\n");
    for line in cases.iter().flat_map(|case| case.says) {
        let _ = writeln!(page, "{line}");
    }
    page.push_str("```\n");
}

fn resolve<'v>(root: &'v Value, field: &'v Value) -> &'v Value {
    match field["$ref"].as_str() {
        Some(link) => &root["$defs"][link.rsplit('/').next().expect("a link has an end")],
        None => field,
    }
}

fn is_localized(field: &Value) -> bool {
    field["$ref"] == "#/$defs/Localized"
}

fn says<'v>(field: &'v Value, def: &'v Value, keyword: &str) -> &'v Value {
    field.get(keyword).unwrap_or(&def[keyword])
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
