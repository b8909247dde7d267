use std::path::Path;

use boon::{Compiler, Draft, Schemas};

use super::*;

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
    assert_eq!(messages.len(), 13);
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
