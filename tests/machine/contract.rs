//! The contract with the fleet: it is an AsyncAPI document by the standard's own parser, and what a kiosk really sends is as
//! it says.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use kioskd_tests::child::{Running, command};
use kioskd_tests::repository;
use serde_json::Value;

struct Message {
    /// With a name in braces for what is another each time.
    address: String,
    payload: SchemaIndex,
    /// What a signed message has in it.
    content: Option<SchemaIndex>,
}

static CONTRACT: LazyLock<(Vec<Message>, Schemas)> = LazyLock::new(|| {
    let document = kioskd::kiosk::contract::document();
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.set_default_draft(Draft::V7);
    compiler.add_resource("mem:///fleet.json", document.clone()).unwrap();
    let mut compile = |name: &str, key: &str| {
        let place = format!("mem:///fleet.json#/components/messages/{name}/{key}");
        compiler.compile(&place, &mut schemas).unwrap_or_else(|error| panic!("{place}: {error}"))
    };
    let messages = document["components"]["messages"].as_object().unwrap().iter().map(|(name, message)| Message {
        address: document["channels"][name]["address"].as_str().unwrap().to_owned(),
        payload: compile(name, "payload"),
        content: message.get("x-content").map(|_| compile(name, "x-content")),
    });
    let messages = messages.collect();
    (messages, schemas)
});

fn stands_on(address: &str, topic: &str) -> bool {
    let (address, topic) = (address.split('/'), topic.split('/'));
    address.clone().count() == topic.clone().count()
        && address.zip(topic).all(|(level, said)| level.starts_with('{') || level == said)
}

/// Refuses what the contract does not have.
pub fn check(topic: &str, payload: &str) {
    let (messages, schemas) = &*CONTRACT;
    let message = messages.iter().find(|message| stands_on(&message.address, topic));
    let message = message.unwrap_or_else(|| panic!("{topic} is in no channel of the contract"));
    // An alarm is cleared so, and a retained message taken away.
    if payload.is_empty() {
        return;
    }
    let as_said = |document: &Value, schema| {
        schemas.validate(document, schema).unwrap_or_else(|error| panic!("{topic} {document}: {error}"));
    };
    let document = serde_json::from_str(payload).unwrap_or_else(|_| Value::from(payload));
    as_said(&document, message.payload);
    if let (Some(schema), Some(content)) = (message.content, document["payload"].as_str()) {
        let content = BASE64_URL_SAFE_NO_PAD.decode(content).unwrap();
        as_said(&serde_json::from_slice(&content).unwrap(), schema);
    }
}

/// What the standard's own parser says of a document.
fn read(document: &str) -> String {
    let packages =
        std::env::var_os("KIOSKD_NPM").map_or_else(|| repository().join("target/test-tools/npm"), Into::into);
    assert!(
        packages.join("node_modules/@asyncapi/parser").is_dir(),
        "no parser in {}; tests/run installs it",
        packages.display()
    );
    let mut node = command("node");
    node.arg(repository().join("tests/machine/asyncapi.mjs")).arg(packages);
    let told = Running::answer(&mut node, document.as_bytes());
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

#[test]
fn the_paper_is_an_asyncapi_document() {
    let paper = std::fs::read_to_string(repository().join("docs/fleet.asyncapi.yaml")).unwrap();
    let messages = kioskd::kiosk::contract::document()["components"]["messages"].as_object().unwrap().len();
    // What a lane tells its site it hears, too.
    assert_eq!(read(&paper), format!("{messages} messages, {} operations\n", messages + 1));
    let wrong = paper.replacen("action: \"send\"", "action: \"sends\"", 1);
    assert!(read(&wrong).contains("action"), "the parser finds nothing");
}

#[test]
fn what_no_kiosk_sends_is_found() {
    let fails = |topic: &str, payload: &str| std::panic::catch_unwind(|| check(topic, payload)).is_err();
    check("kiosk/v1/f/k/presence", "online");
    assert!(fails("kiosk/v1/f/k/presence", "away"));
    assert!(fails("kiosk/v1/f/k/presence/more", "online"));
    check("kiosk/v1/f/k/telemetry", r#"{"selling":1}"#);
    assert!(fails("kiosk/v1/f/k/telemetry", r#"{"selling":"yes"}"#));
}
