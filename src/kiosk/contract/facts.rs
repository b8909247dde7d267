//! What a lane tells its site. The schema is by hand: facts are written as lists without names, of which none can be derived.

use serde_json::{Value, json};

pub(super) fn schema() -> Value {
    let stay = || number("Ticket's number without its check digit.", 1);
    let minute =
        || json!({ "type": ["integer", "null"], "minimum": 0, "description": "Minutes since 2000-01-01 UTC." });
    let pair = |columns: [Value; 2]| json!({ "type": "array", "items": columns, "minItems": 2, "maxItems": 2 });
    let entry = pair([number("The earliest.", 0), number("Quarters of an hour later at most.", 0)]);
    let plate = json!({ "type": ["string", "null"], "description": "Number plate." });
    let before = json!({
        "type": "array",
        "description": "The stay that it goes on with, if any.",
        "items": [
            stay(),
            number("The first entry of all.", 0),
            number("Its exit.", 0),
            number("What was paid for all of it, in minor units.", 0),
        ],
        "minItems": 4,
        "maxItems": 4,
    });
    let class = number("Class of vehicle.", 0);
    let mut entered = rows("Cars inside.", &[number("Serial.", 1), entry, class, plate, before]);
    entered["items"]["minItems"] = json!(4);
    let only = json!({ "type": ["integer", "null"], "description": "The only lane of its pass." });
    let parts = [
        ("v", json!({ "const": 1, "description": "Version." })),
        ("site", json!({ "type": "integer", "minimum": 1, "maximum": 65_535 })),
        ("lane", json!({ "type": "integer", "minimum": 1, "maximum": 99, "description": "Who says it." })),
        ("seq", number("Of the document: each has the next.", 0)),
        ("stand", number("Of what it says: moves only when that changes.", 0)),
        ("seen", counts("Of each other lane the stand that was heard.")),
        ("next", number("Of this lane's tickets below it those that are not in `entered` are over.", 1)),
        ("untold", number("Cars inside for which there is no room in `entered` yet.", 0)),
        ("corrected", json!({ "type": "integer", "description": "Cars inside that were not counted." })),
        ("entered", entered),
        (
            "paid",
            rows(
                "Payments.",
                &[
                    stay(),
                    number("Which payment.", 0),
                    minute(),
                    number("Grace in minutes.", 0),
                    number("Amount in minor units.", 0),
                    number("Minutes of doubt that were given away.", 0),
                    only,
                ],
            ),
        ),
        (
            "left",
            rows(
                "Cars that left.",
                &[stay(), minute(), number("How: 0 ticket, 1 a person, else 16 × lane + payment.", 0)],
            ),
        ),
        ("voided", rows("Tickets that are void.", &[stay(), minute()])),
        (
            "validations",
            rows(
                "Validations that were used.",
                &[pair([number("Key.", 0), number("Serial.", 0)]), stay(), number("Its last minute.", 0)],
            ),
        ),
        (
            "seasons",
            rows("Stays of season passes.", &[number("Season pass.", 0), number("Which of its stays.", 0), stay()]),
        ),
        ("season_counts", counts("Of season passes that are out the highest number of a stay.")),
    ];
    let required: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "description": "docs/parking.md says what each means.",
        "required": required,
        "additionalProperties": false,
        "properties": parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect::<serde_json::Map<_, _>>(),
    })
}

fn number(what: &str, least: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "description": what })
}

/// Lists of these columns.
fn rows(what: &str, columns: &[Value]) -> Value {
    let row = json!({ "type": "array", "items": columns, "minItems": columns.len(), "maxItems": columns.len() });
    json!({ "type": "array", "description": what, "items": row })
}

/// By number.
fn counts(what: &str) -> Value {
    json!({ "type": "object", "description": what, "additionalProperties": { "type": "integer", "minimum": 0 } })
}
