//! The contract between a kiosk and its fleet, as an AsyncAPI 3 document: every topic, who writes it, and what stands there.
//!
//! Policy: the schemas are made of the very types that are written and read, so the paper and the program can't say
//! different things. `docs/fleet.asyncapi.yaml` is this, and `kioskfleet contract` prints it.

mod examples;
mod facts;
mod yaml;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::status::{Alarm, Status};
use crate::fleet::command::{CommandContent, CommandStatus};
use crate::fleet::figures::Figure;
use crate::fleet::inspection::Inspection;
use crate::fleet::proof::Position;
use crate::fleet::topic::{Address, Leaf, Name, Topic};
use crate::ledger::EventDocument;
use crate::payment::gateway::wire::{Notice, Reply, Request};
use crate::signed::keyset::KeysetContent;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Kiosk,
    /// A kiosk that is a lane of a site, to itself and the others.
    Lane,
    BackEnd,
    Gateway,
    Office,
    Camera,
}

struct Message {
    name: &'static str,
    from: From,
    topic: Topic,
    qos: u8,
    retained: bool,
    /// A sentence.
    what: &'static str,
    payload: Value,
    /// A signed message's own words, where `payload` is only their envelope.
    content: Option<Value>,
}

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.for_serialize().into_generator();
    let messages = messages(&mut schemas);
    let mut definitions = schemas.take_definitions(true);
    definitions.insert("Signed".into(), envelope());
    definitions.insert("Telemetry".into(), telemetry());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "kioskd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a kiosk and its fleet say to each other over MQTT 3.1.1. The broker is a postman: nothing \
                            counts because it came from there, nothing relies on what it retains, and the \
                            order of events is their numbers'. docs/fleet.md says what each message means.",
        },
        "defaultContentType": "application/json",
        "channels": messages.iter().map(|message| (message.name.to_owned(), message.channel())).collect::<Map<_, _>>(),
        "operations": messages.iter().flat_map(Message::operations).collect::<Map<_, _>>(),
        "components": {
            "messages": messages.iter().map(|message| (message.name.to_owned(), message.described())).collect::<Map<_, _>>(),
            "schemas": definitions,
        },
    })
}

/// The same as YAML, as it is committed.
pub fn text() -> String {
    format!("# Made by `kioskfleet contract`; a test holds it against the program.\n{}", yaml::written(&document()))
}

fn messages(schemas: &mut SchemaGenerator) -> Vec<Message> {
    let kiosk = Address { fleet: named("FLEET"), kiosk: named("KIOSK") };
    let plain = |name, leaf, qos, retained, what, payload| Message {
        name,
        from: From::Kiosk,
        topic: kiosk.topic(leaf),
        qos,
        retained,
        what,
        payload,
        content: None,
    };
    let signed = |name, from, leaf, what, content| Message {
        from,
        content: Some(content),
        ..plain(name, leaf, 1, false, what, reference("Signed"))
    };
    let (kind, verb, id) = (|| named("KIND"), || named("VERB"), || named("ID"));
    let position = of::<Position>(schemas);
    let status = of::<CommandStatus>(schemas);
    let when = json!({
        "type": "object",
        "required": ["time_ms", "uptime_s"],
        "properties": {
            "time_ms": { "type": ["integer", "null"], "description": "Milliseconds since 1970 UTC; null while the clock is unknown." },
            "uptime_s": { "type": "integer", "minimum": 0, "description": "Seconds since this run began." },
        },
    });
    vec![
        plain(
            "presence",
            Leaf::Presence,
            1,
            true,
            "Whether the kiosk is connected; `offline` is its last will.",
            json!({ "type": "string", "enum": ["online", "offline"] }),
        ),
        plain(
            "state",
            Leaf::State,
            1,
            true,
            "How the kiosk is; on every connection and when it changes.",
            of::<Status>(schemas),
        ),
        plain("telemetry", Leaf::Telemetry, 0, false, "What the kiosk does, in numbers.", reference("Telemetry")),
        plain(
            "event",
            Leaf::Event(kind()),
            1,
            false,
            "One record of the ledger; sent again until it is acknowledged.",
            of::<EventDocument>(schemas),
        ),
        plain(
            "alarm",
            Leaf::Alarm(kind()),
            1,
            true,
            "Somebody should look at it; an empty message clears it.",
            json!({ "allOf": [of::<Alarm>(schemas), when] }),
        ),
        signed(
            "inspection",
            From::Kiosk,
            Leaf::Inspection,
            "How the kiosk is in every part; daily, when it is asked, and on the next two connections.",
            of::<Inspection>(schemas),
        ),
        signed("checkpoint", From::Kiosk, Leaf::Checkpoint, "How far the chain of events goes.", position.clone()),
        Message {
            payload: json!({ "anyOf": [reference("Signed"), position.clone()] }),
            ..signed(
                "ack",
                From::BackEnd,
                Leaf::Ack,
                "The highest event that the back end holds without a gap.",
                position,
            )
        },
        signed(
            "command",
            From::Office,
            Leaf::Command { verb: verb(), id: id() },
            "The office asks for something, or the root says whose commands count; what is for all of a fleet has `all` in place of a kiosk.",
            json!({ "anyOf": [of::<CommandContent>(schemas), of::<KeysetContent>(schemas)] }),
        ),
        Message {
            payload: json!({ "anyOf": [reference("Signed"), status.clone()] }),
            ..signed(
                "command-status",
                From::Kiosk,
                Leaf::CommandStatus { verb: verb(), id: id() },
                "How far a command has come.",
                status,
            )
        },
        signed("pay-request", From::Kiosk, Leaf::PayRequest, "A question to the gateway.", of::<Request>(schemas)),
        signed("pay-reply", From::Gateway, Leaf::PayReply, "The gateway's answer to it.", of::<Reply>(schemas)),
        signed("pay-notice", From::Gateway, Leaf::PayNotice, "Somebody has paid a charge.", of::<Notice>(schemas)),
        Message {
            from: From::Camera,
            ..plain(
                "plate",
                Leaf::Plate,
                0,
                false,
                "The number plate of a car at the gate of an entry or an exit, as a camera has read it; one that the broker has kept \
                 counts nothing.",
                json!({ "type": "string", "minLength": 2, "maxLength": 96 }),
            )
        },
        Message {
            name: "facts",
            from: From::Lane,
            topic: Topic::Facts { fleet: named("FLEET"), site: SITE, lane: LANE },
            qos: 1,
            retained: true,
            what: "What a lane of a car park tells the others: all that it has done and that they need; it replaces its last one.",
            payload: reference("Signed"),
            content: Some(facts::schema()),
        },
    ]
}

/// Stand in a topic for what is another each time.
const SITE: u16 = 7;
const LANE: u8 = 3;

fn named(text: &str) -> Name {
    Name::parse(text).expect("letters are a name")
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().into()
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// A flattened JWS.
fn envelope() -> Value {
    let part = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" });
    json!({
        "type": "object",
        "description": "A flattened JWS (RFC 7515 §7.2.2) with EdDSA (RFC 8037); `payload` is the content in base64url, and the \
                        header's `typ` says what for.",
        "required": ["payload", "protected", "signature"],
        "additionalProperties": false,
        "properties": { "payload": part, "protected": part, "signature": part },
    })
}

fn telemetry() -> Value {
    let figures = super::figures::known();
    let figure = |Figure { name, help, grows, .. }: Figure| {
        let bound = if grows { json!({ "type": "number", "minimum": 0 }) } else { json!({ "type": "number" }) };
        let mut schema = bound;
        schema["description"] = format!("{help}.").into();
        (name.to_owned(), schema)
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": figures.into_iter().map(figure).collect::<Map<_, _>>(),
    })
}

impl Message {
    fn channel(&self) -> Value {
        let address = self.topic.to_string();
        let mut parameters = json!({
            "fleet": { "description": "The fleet's name: 1 to 64 letters, digits, `_` and `-`, and neither `all` nor `site`." },
        });
        if let Topic::Facts { .. } = self.topic {
            parameters["site"] = json!({ "description": "The car park's number, 1 to 65535." });
            parameters["lane"] = json!({ "description": "The lane's number, 1 to 99." });
        } else {
            parameters["kiosk"] = json!({ "description": "The kiosk's id, likewise." });
        }
        if address.ends_with("/KIND") {
            parameters["kind"] = json!({ "description": "What kind; docs/fleet.md has them all." });
        }
        if address.contains("/VERB/ID") {
            parameters["verb"] = json!({ "description": "What is asked; docs/fleet.md has them all." });
            parameters["id"] = json!({ "description": "The command's number: 1 to 64 letters, digits, `_` and `-`." });
        }
        let address = address.replace("FLEET", "{fleet}").replace("KIOSK", "{kiosk}").replace("KIND", "{kind}");
        let address = address.replace("/VERB/ID", "/{verb}/{id}");
        let address = address.replace(&format!("/site/{SITE}/lane/{LANE}/"), "/site/{site}/lane/{lane}/");
        json!({
            "address": address,
            "parameters": parameters,
            "messages": { self.name: { "$ref": format!("#/components/messages/{}", self.name) } },
        })
    }

    /// As the kiosk does them.
    fn operations(&self) -> Vec<(String, Value)> {
        let name = self.name.to_owned();
        match self.from {
            From::Kiosk => vec![(name, self.operation("send"))],
            From::Lane => vec![(format!("{name}-heard"), self.operation("receive")), (name, self.operation("send"))],
            From::BackEnd | From::Gateway | From::Office | From::Camera => vec![(name, self.operation("receive"))],
        }
    }

    fn operation(&self, action: &str) -> Value {
        json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{}", self.name) },
            "messages": [{ "$ref": format!("#/channels/{0}/messages/{0}", self.name) }],
            "bindings": { "mqtt": { "qos": self.qos, "retain": self.retained, "bindingVersion": "0.2.0" } },
        })
    }

    fn described(&self) -> Value {
        let (payload, content) = examples::of(self.name);
        let mut message = json!({
            "title": self.name,
            "summary": self.what,
            "payload": self.payload,
            "examples": [{ "payload": payload }],
        });
        if matches!(self.name, "presence" | "plate") {
            message["contentType"] = "text/plain".into();
        }
        if let Some(schema) = &self.content {
            message["x-content"] = schema.clone();
            message["x-content-example"] = content.unwrap_or_default();
        }
        message
    }
}

#[cfg(test)]
mod tests;
