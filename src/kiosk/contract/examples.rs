//! An example of each message. Signed ones are signed by the key of RFC 8037's appendix A, which anybody has.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::signed::jws::{Purpose, Signer};

/// RFC 8037, A.1, as the private half in PKCS#8 (RFC 8410).
const KEY: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0x9d, 0x61, 0xb1,
    0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
    0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

const ORDER: &str = "01KBKNZ0M8W6Y3Q9R5T7V2X4Z1";
const CHARGE: &str = "01KBKNZ0M8W6Y3Q9R5T7V2X4Z1_1";

/// The message, and what a signed one has in it.
pub(super) fn of(name: &str) -> (Value, Option<Value>) {
    let (kid, purpose, content) = match name {
        "presence" => return (json!("online"), None),
        "plate" => return (json!("KN AB 123"), None),
        "state" => return (state(), None),
        "telemetry" => {
            return (json!({ "online": 1, "selling": 1, "stock_units": 41, "orders_paid_total": 118 }), None);
        }
        "event" => return (event(), None),
        "alarm" => return (alarm(), None),
        "inspection" => ("street/K0001", Purpose::Inspection, inspection()),
        "checkpoint" => ("street/K0001", Purpose::Checkpoint, position()),
        "ack" => ("back-end", Purpose::Ack, position()),
        "command" => ("office", Purpose::Command, command()),
        "command-status" => ("street/K0001", Purpose::CommandStatus, command_status()),
        "pay-request" => ("street/K0001", Purpose::PayRequest, request()),
        "pay-reply" => ("gateway", Purpose::PayReply, reply()),
        "pay-notice" => ("gateway", Purpose::PayNotice, notice()),
        "facts" => ("7/3", Purpose::LaneFacts, facts()),
        _ => return (Value::Null, None),
    };
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&KEY));
    let signed = Signer::from_pem(pem.as_bytes(), kid).and_then(|signer| signer.sign(purpose, &content).ok());
    (signed.and_then(|signed| serde_json::from_slice(&signed).ok()).unwrap_or_default(), Some(content))
}

fn position() -> Value {
    json!({
        "ledger": "9c41d0e6b7a25f38",
        "seq": 1042,
        "hash": "abe69ebf3e7f45d9f8f1abfe64bfb82cae962a4e5d137af68a9d27bbf99cfcaf",
    })
}

/// As docs/parking.md shows it.
fn facts() -> Value {
    json!({
        "v": 1, "site": 7, "lane": 3, "seq": 412, "stand": 398, "seen": { "1": 77, "2": 201 },
        "next": 4568, "untold": 0, "corrected": -1,
        "entered": [[4567, [14_156_075, 0], 0, "京A12345"]],
        "paid": [[10_000_123, 0, 14_156_040, 15, 300, 0, null]],
        "left": [[10_000_099, 14_156_020, 32]],
        "voided": [], "validations": [], "seasons": [], "season_counts": {},
    })
}

/// In two halves, because the macro takes no more at once.
fn inspection() -> Value {
    let mut all = json!({
        "kiosk": "K0001",
        "fleet": "street",
        "boot": "5b1f0c9d2e7a4836",
        "time_ms": 1_795_608_412_077_u64,
        "uptime_s": 86_412,
        "ledger": "9c41d0e6b7a25f38",
        "seq": 1042,
        "hash": "abe69ebf3e7f45d9f8f1abfe64bfb82cae962a4e5d137af68a9d27bbf99cfcaf",
        "version": "0.1.0",
        "software_version": "2026.11.30",
        "software_copy": "A",
        "software_sha256": null,
        "config_digest": "0a3666a0710c08aa6d0de92ce72beeb5b93124cce1bf3701c9d6cdeb543cb73e",
        "config_origin": "fleet",
        "config_trial": false,
        "keyset_version": 2,
        "selling": false,
        "reasons": ["door-open"],
        "parts": [
            { "part": "doors", "result": "wrong", "says": "the door is open" },
            { "part": "board", "result": "well", "says": "ok" },
            { "part": "drop_sensor", "result": "unknown", "says": "unknown" },
        ],
        "test_ms": 1_795_522_012_077_u64,
        "test_wrong": 0,
    });
    let counted = json!({
        "counted_since_ms": 1_795_522_012_077_u64,
        "door_stops": 1,
        "door_stopped_ms": 1_795_608_400_000_u64,
        "tamper_stops": 0,
        "tamper_stopped_ms": null,
        "orders_offered": 120,
        "orders_paid": 118,
        "orders_unpaid": 2,
        "units_delivered": 131,
        "units_not_delivered": 1,
        "units_unknown": 0,
        "refunds_confirmed": 1,
        "claims_opened": 0,
        "boots": 1,
        "door_openings": 1,
        "tamper_openings": 0,
        "clock": "ok",
        "clock_error_ms": -180,
        "disk_free_bytes": 5_368_709_120_u64,
        "disk_written_bytes": 73_400_320,
        "written_bytes": 9_437_184,
        "certificate_expires_ms": 1_827_144_412_000_u64,
    });
    all.as_object_mut().into_iter().for_each(|all| all.extend(counted.as_object().cloned().unwrap_or_default()));
    all
}

fn command() -> Value {
    json!({
        "aud": "street/K0001",
        "jti": "7f3a90c1d2e45b68",
        "verb": "set-stock",
        "args": { "count": 3, "slot": "A1" },
        "ctr": 1_796_011_697,
        "nonce": "5b1f0c9d2e7a4836",
        "exp": 1_796_015_297,
    })
}

fn command_status() -> Value {
    json!({
        "id": "7f3a90c1d2e45b68",
        "verb": "set-stock",
        "status": "rejected",
        "reason": "there is no such slot",
        "outcome": { "result": "refused", "why": { "refusal": "no-such-slot" } },
    })
}

fn event() -> Value {
    let text = json!({
        "kind": "order-paid",
        "order": ORDER,
        "charge": CHARGE,
        "payment": { "id": "4200001234", "amount": 300, "currency": "CNY", "order": ORDER },
    });
    json!({
        "ledger": "9c41d0e6b7a25f38",
        "seq": 1042,
        "hash": "abe69ebf3e7f45d9f8f1abfe64bfb82cae962a4e5d137af68a9d27bbf99cfcaf",
        "prev": "8f0c3b7f5d8f0a1e2b4c6d8e9f1a3b5c7d9e0f2a4b6c8d0e1f3a5b7c9d1e3f50",
        "boot": "5b1f0c9d2e7a4836",
        "mono": 86_412_077,
        "ts": 1_795_608_412_077_u64,
        "order": ORDER,
        "kind": "order-paid",
        "text": text.to_string(),
    })
}

fn alarm() -> Value {
    json!({ "reasons": [{ "kind": "door-open" }], "time_ms": 1_795_608_412_077_u64, "uptime_s": 86_412 })
}

fn state() -> Value {
    json!({
        "kiosk": "K0001",
        "fleet": "street",
        "version": "0.1.0",
        "boot": "5b1f0c9d2e7a4836",
        "config": {
            "digest": "0a3666a0710c08aa6d0de92ce72beeb5b93124cce1bf3701c9d6cdeb543cb73e",
            "origin": "fleet",
            "trial": false,
        },
        "time_ms": 1_795_608_412_077_u64,
        "uptime_s": 86_412,
        "selling": false,
        "reasons": [{ "kind": "locked", "detail": "cleaning" }],
        "devices": {
            "printer": { "state": "unreachable", "why": "it is unplugged" },
            "board": { "state": "ok" },
            "glass": { "state": "ok" },
            "clock": { "state": "ok" },
            "touch": { "state": "ok" },
            "drop_sensor": { "state": "ok" },
        },
        "temperature_milli_c": 4_500,
        "stock": { "A1": { "product": "cola", "count": 5, "capacity": 8 } },
        "help_wanted": false,
        "faults": [{ "slot": "B2", "why": "no unit fell", "cause": "no-drop" }, { "device": "scanner", "why": "it is not there" }],
        "claims": [{ "order": ORDER, "short_code": "271104", "why": "the refund failed", "cause": "refund-failed" }],
        "unknown": [ORDER],
        "settling": 1,
        "refunds_pending": { "count": 1, "amount": 300, "oldest_minutes": 4 },
        "rails_refusing": { "wechat": "the merchant is not known there" },
        "ledger": "9c41d0e6b7a25f38",
        "ledger_before": null,
        "languages": ["zh-Hant", "en"],
        "software": {
            "version": "2026.11.30",
            "copy": "A",
            "no_installer": null,
            "no_fallback": "no fallback: the machine's other copy of its software can't be started",
            "update": {
                "id": "7f3a90c1d2e45b68",
                "version": "2026.12.1",
                "stage": "installing",
                "says": "90 %: Copying image to rootfs.1",
            },
            "refused": [],
        },
    })
}

fn charge() -> Value {
    json!({ "charge": CHARGE, "order": ORDER, "amount": 300, "currency": "CNY" })
}

fn report() -> Value {
    let payment = json!({ "id": "4200001234", "amount": 300, "currency": "CNY", "order": ORDER });
    json!({ "standing": "closed", "payments": [payment], "returned": 0, "attach": "street/K0001" })
}

fn request() -> Value {
    json!({
        "kiosk": "street/K0001",
        "rail": "wechat",
        "nonce": "8f0c3b7f5d8f0a1e2b4c6d8e9f1a3b5c",
        "sent": 1_795_608_412_077_u64,
        "ask": { "query": charge() },
    })
}

fn reply() -> Value {
    json!({
        "kiosk": "street/K0001",
        "rail": "wechat",
        "nonce": "8f0c3b7f5d8f0a1e2b4c6d8e9f1a3b5c",
        "sent": 1_795_608_412_177_u64,
        "expires": 1_795_608_472_177_u64,
        "says": { "charge": { "charge": charge(), "report": report() } },
    })
}

fn notice() -> Value {
    json!({
        "kiosk": "street/K0001",
        "rail": "wechat",
        "id": "N0001",
        "sent": 1_795_608_412_177_u64,
        "expires": 1_795_608_472_177_u64,
        "charge": charge(),
        "report": report(),
    })
}
