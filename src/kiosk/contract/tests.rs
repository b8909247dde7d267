use std::path::Path;

use boon::{Compiler, Draft, Schemas};

use super::*;
use crate::parking::site::{Before, Document, Entered, How, Left, Paid, SeasonUsed, Stay, ValidationUsed, Voided};
use crate::parking::ticket::{LaneNumber, Minute};

const PAPER: &str = "docs/fleet.asyncapi.yaml";

#[test]
fn the_paper_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAPER);
    if std::env::var_os("KIOSKD_WRITE").is_some() {
        std::fs::write(&path, text()).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text(), "{PAPER}: KIOSKD_WRITE=1 writes it anew");
}

#[test]
fn every_example_is_as_its_schema_says_and_every_topic_fits_a_cloud_broker() {
    let document = document();
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V7);
    compiler.add_resource("mem:///fleet.json", document.clone()).unwrap();
    let mut schemas = Schemas::new();
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), 15);
    for (name, message) in messages {
        let mut check = |key: &str, example: &Value| {
            let place = format!("mem:///fleet.json#/components/messages/{name}/{key}");
            let schema = compiler.compile(&place, &mut schemas).unwrap_or_else(|error| panic!("{place}: {error}"));
            schemas.validate(example, schema).unwrap_or_else(|error| panic!("{place}: {error}"));
            // A schema that takes everything would say the same.
            for wrong in [json!(7), json!({ "unheard": true }), json!([])] {
                assert!(schemas.validate(&wrong, schema).is_err(), "{place} takes {wrong}");
            }
        };
        check("payload", &message["examples"][0]["payload"]);
        if let Some(example) = message.get("x-content-example") {
            check("x-content", example);
        }
    }
    // Seven slashes are the most that AWS IoT Core takes.
    for (name, channel) in document["channels"].as_object().unwrap() {
        assert!(channel["address"].as_str().unwrap().matches('/').count() <= 7, "{name}");
    }
}

/// The schema is by hand, so it is held against what the program writes and reads.
#[test]
fn a_lanes_document_is_as_the_schema_says_with_each_of_its_facts() {
    let document = document();
    let example = &document["components"]["messages"]["facts"]["x-content-example"];
    let paper = include_str!("../../../docs/parking.md");
    let shown =
        paper.split("```json\n").filter_map(|part| part.split("```").next()).find(|part| part.contains("\"seq\""));
    assert_eq!(serde_json::from_str::<Value>(shown.unwrap()).unwrap(), *example);
    let mut said: Document = serde_json::from_value(example.clone()).unwrap();
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V7);
    compiler.add_resource("mem:///facts.json", facts::schema()).unwrap();
    let mut schemas = Schemas::new();
    let schema = compiler.compile("mem:///facts.json", &mut schemas).unwrap();
    let fits =
        |said: &Document| schemas.validate(&serde_json::to_value(said).unwrap(), schema).map_err(|e| e.to_string());
    fits(&said).unwrap();
    // What is not in the example.
    let stay: Stay = serde_json::from_value(json!(10_000_123)).unwrap();
    let minute: Minute = serde_json::from_value(json!(14_156_040)).unwrap();
    let lane = LaneNumber::new(99);
    said.entered.push(Entered { serial: 4568, plate: None, ..said.entered[0].clone() });
    let before = Some(Before { stay, first: minute, exit: minute, paid: 600 });
    said.entered.push(Entered { serial: 4569, before, ..said.entered[0].clone() });
    said.paid.push(Paid { at: None, lane, ..said.paid[0] });
    said.left.push(Left { stay, at: None, how: How::Person });
    said.voided.extend([Voided { stay, at: Some(minute) }, Voided { stay, at: None }]);
    let number = serde_json::from_value(json!([9, 77])).unwrap();
    said.validations.push(ValidationUsed { number, stay, until: minute });
    said.seasons.push(SeasonUsed { season: 12, nth: 3, stay });
    said.season_counts.insert(12, 4);
    fits(&said).unwrap();
    // And nothing that the program would not read.
    for wrong in
        [json!({ "seq": null }), json!({ "left": [[1, 2]] }), json!({ "entered": [[4567, 14_156_075, 0, null]] })]
    {
        let mut changed = example.clone();
        let said = wrong.as_object().unwrap().iter().next().unwrap();
        changed[said.0] = said.1.clone();
        assert!(schemas.validate(&changed, schema).is_err(), "{wrong}");
        assert!(serde_json::from_value::<Document>(changed).is_err(), "{wrong}");
    }
}
