//! The documents as `docs/fleet.md` has them: every key, every word.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::configuration::Origin;
use super::super::devices::{BoardStatus, DropSensorStatus, GlassStatus, InputStatus, ThermometerStatus};
use super::super::edges::tests::{rig, sell};
use super::super::lane::told::Told;
use super::super::software::{SoftwareStatus, UpdateStatus};
use super::super::{Input, Kiosk};
use super::*;
use crate::board::BoardEvent;
use crate::input::Role;
use crate::operation::Digest;
use crate::payment::gateway::Rejected;
use crate::sale::event::Event;
use crate::vocabulary::LaneId;

const DOCUMENTATION: &str = include_str!("../../../docs/fleet.md");
const TECHNICIAN: &str = include_str!("../../../docs/technician.md");

fn why() -> String {
    "why".into()
}

fn well() -> Devices {
    Devices {
        printer: PrinterStatus::Ok,
        board: BoardStatus::Ok,
        glass: GlassStatus::Ok,
        clock: ClockStatus::Ok,
        inputs: [Role::Touch, Role::Keypad, Role::Scanner].map(|role| (role, InputStatus::Ok)).into(),
        drop_sensor: Some(DropSensorStatus::Ok),
        thermometer: Some(ThermometerStatus::Ok),
        link: Some(LinkStatus::Connected),
    }
}

/// Every state a device may have, in documents of which each has one of each device.
fn devices() -> Vec<Devices> {
    let mut all = vec![well()];
    let printers = [
        PrinterStatus::Unknown,
        PrinterStatus::PaperNearEnd,
        PrinterStatus::PaperOut,
        PrinterStatus::CoverOpen,
        PrinterStatus::Fault,
        PrinterStatus::Unreachable { why: why() },
    ];
    all.extend(printers.map(|printer| Devices { printer, ..well() }));
    all.extend([BoardStatus::Starting, BoardStatus::Unreachable].map(|board| Devices { board, ..well() }));
    all.extend([GlassStatus::Starting, GlassStatus::Dark { why: why() }].map(|glass| Devices { glass, ..well() }));
    all.push(Devices { clock: ClockStatus::Unset, ..well() });
    for role in [Role::Touch, Role::Keypad, Role::Scanner] {
        for is in [InputStatus::Starting, InputStatus::Unusable { why: why() }] {
            let mut inputs = well().inputs;
            inputs.insert(role, is);
            all.push(Devices { inputs, ..well() });
        }
    }
    let drops = [DropSensorStatus::Unknown, DropSensorStatus::Unreadable, DropSensorStatus::FailedSelfTest];
    all.extend(drops.map(|is| Devices { drop_sensor: Some(is), ..well() }));
    let warm = [ThermometerStatus::Unknown, ThermometerStatus::Unreadable];
    all.extend(warm.map(|is| Devices { thermometer: Some(is), ..well() }));
    all.push(Devices { link: Some(LinkStatus::Disconnected { why: why() }), ..well() });
    all
}

/// It sells and nothing is wrong.
pub fn quiet() -> Status {
    Status {
        config: ConfigStatus { rejected: None, ..full().config },
        selling: true,
        reasons: vec![],
        faults: vec![],
        help_wanted: false,
        lane: full().lane.map(|lane| LaneStatus { alarms: vec![], calls: vec![], ..lane }),
        claims: vec![],
        unknown: vec![],
        settling: 0,
        refunds_pending: None,
        rails_refusing: BTreeMap::new(),
        ledger_before: None,
        second_kiosk: None,
        rejections: None,
        commands_rejected: command::Rejections::default(),
        // One less than raises an alarm.
        pins_refused: 4,
        ..full()
    }
}

/// With something in every field.
pub fn full() -> Status {
    let order = OrderId::from_parts(1_795_392_000_000, 7);
    let slot = || SlotId::parse("A1").unwrap();
    let product = ProductId::parse("cola").unwrap();
    let software = SoftwareStatus {
        version: Some("2026.11.30".into()),
        copy: Some("A".into()),
        no_installer: Some(why()),
        no_fallback: Some(why()),
        update: Some(UpdateStatus {
            id: "u-1".into(),
            version: "2026.12.1".into(),
            stage: "installing",
            says: "90 %: Copying image to rootfs.1".into(),
        }),
        refused: vec!["0".repeat(64)],
    };
    Status {
        software,
        kiosk: "K0001".into(),
        fleet: "street".into(),
        version: "0.1.0",
        boot: BootId::parse("5b1f0c9d2e7a4836").unwrap(),
        config: ConfigStatus {
            digest: Digest::of(b"this"),
            origin: Origin::Fleet,
            trial: true,
            rejected: Some(RejectedConfig { digest: Digest::of(b"that"), why: why(), cause: "cant-sell" }),
            unused: Some(Digest::of(b"other")),
            missing_media: vec![Digest::of(b"a picture")],
        },
        time_ms: Some(Wall(1_795_392_000_000)),
        uptime_s: 61,
        selling: false,
        starting: false,
        reasons: vec![StopReason::DoorOpen, StopReason::Locked(why())],
        devices: well(),
        temperature_milli_c: Some(4_500),
        stock: [(slot(), Stock { product, count: 3, capacity: 8 })].into(),
        faults: vec![
            Fault::Slot { slot: "A1".into(), why: why(), cause: "sensor-failed" },
            Fault::Device { device: "drop-sensor".into(), why: why() },
            Fault::Device { device: TWIN.into(), why: why() },
        ],
        help_wanted: true,
        lane: Some(LaneStatus {
            name: LaneId::parse("entry-1").unwrap(),
            alarms: vec![Told { kind: "fire".into(), why: why() }],
            calls: vec![Told { kind: "nobody-passes".into(), why: "nobody".into() }],
            kept_open: true,
        }),
        claims: vec![Claim { order, short_code: order.short_code(), why: why(), cause: "delivery-unknown" }],
        unknown: vec![order],
        settling: 2,
        refunds_pending: Some(RefundsPending { count: 1, amount: 300, oldest_minutes: 4 }),
        rails_refusing: [(RailName::parse("sandbox").unwrap(), why())].into(),
        ledger: Some("9c41d0e6b7a25f38".into()),
        ledger_before: Some("8d30".into()),
        languages: ["zh-Hant", "en"].map(Language::new).into(),
        languages_configured: ["zh-Hant", "zh-Hans", "en"].map(Language::new).into(),
        second_kiosk: Some("why"),
        pins_refused: 5,
        commands_rejected: command::Rejections { count: 3, last: Some((command::Rejected::Audience, None)) },
        rejections: Some(Rejections {
            count: 2,
            harmless: 1,
            last: Some((Rejected::Charge, Some(Wall(1_795_392_000_000)))),
        }),
    }
}

/// Keys with what is below them, `a.b`; in `x[]` what each element of a list has. Below a map of names they are called
/// `NAME`.
fn keys(of: &Value, at: &str, into: &mut BTreeMap<String, BTreeSet<String>>) {
    match of {
        Value::Object(fields) => {
            for (key, value) in fields {
                let named = matches!(at, "stock" | "rails_refusing" | "rails");
                let key = if named { "NAME" } else { key };
                let path = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
                keys(value, &path, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{at}[]"), into)),
        leaf => {
            let words = into.entry(at.to_owned()).or_default();
            words.extend(leaf.as_str().map(str::to_owned));
        }
    }
}

/// The rows of the table under a heading, by what stands in their first column between backticks; one for each of
/// several there.
fn documented(heading: &str) -> BTreeMap<String, String> {
    let from = DOCUMENTATION.split(&format!("\n## {heading}\n")).nth(1).expect("the heading");
    let rows = from.split("\n## ").next().unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
    let mut all = BTreeMap::new();
    for row in rows {
        let first = row.split('|').nth(1).unwrap_or_default();
        for key in first.split('`').skip(1).step_by(2) {
            assert!(all.insert(key.to_owned(), row.to_owned()).is_none(), "`{key}` is there twice");
        }
    }
    all
}

#[test]
fn every_key_of_the_state_is_documented_and_no_other() {
    let mut real = BTreeMap::new();
    for devices in devices() {
        let document = Status { devices, ..full() }.document();
        kioskd_tests::spelling::check("state", &document);
        keys(&document, "", &mut real);
    }
    let rows = documented("The state");
    let (real_keys, keys): (Vec<_>, Vec<_>) = (real.keys().collect(), rows.keys().collect());
    assert_eq!(real_keys, keys, "left: as it is; right: as it is documented");
    for (key, words) in real.iter().filter(|(key, _)| key.ends_with(".state")) {
        for word in words {
            assert!(rows[key].contains(&format!("`{word}`")), "{key}: `{word}` is not documented");
        }
    }
    // Which reasons there are is said by whoever reads one that is none.
    let none = serde_json::from_value::<StopReason>(json!({ "kind": "none" })).unwrap_err().to_string();
    for kind in none.split('`').skip(3).step_by(2) {
        assert!(rows["reasons[].kind"].contains(&format!("`{kind}`")), "`{kind}` is not documented");
    }
}

#[test]
fn every_alarm_is_documented_with_its_keys() {
    let status = Status { devices: Devices { printer: PrinterStatus::Unreachable { why: why() }, ..well() }, ..full() };
    let rows = documented("The alarms");
    let alarms = status.alarms();
    assert_eq!(alarms.len(), 16, "an alarm of each kind: {alarms:?}");
    assert_eq!(alarms.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>());
    for (kind, alarm) in &alarms {
        assert!(
            TECHNICIAN.contains(&format!("\n| `{kind}` |")),
            "docs/technician.md does not say what to do about {kind}"
        );
        let document = status.alarm(alarm);
        kioskd_tests::spelling::check(kind, &document);
        assert_eq!(
            (&document["time_ms"], &document["uptime_s"]),
            (&json!(1_795_392_000_000_u64), &json!(61)),
            "{kind}"
        );
        for key in document.as_object().unwrap().keys().filter(|key| !["time_ms", "uptime_s"].contains(&key.as_str())) {
            assert!(rows[*kind].contains(&format!("`{key}`")), "{kind}: `{key}` is not documented");
        }
    }
    let alone = Status { rejections: None, ..status }.alarms();
    assert!(!alone.contains_key("pay-rejected"));
}

#[test]
fn what_is_well_raises_no_alarm_and_one_line_says_all() {
    let quiet = quiet();
    assert_eq!(quiet.alarms(), BTreeMap::new());
    assert_eq!(quiet.to_string(), "selling; orders to settle: 0");
    // One that has just started, and one that has not passed its self-check.
    let reasons = vec![StopReason::SelfCheck(why())];
    let starting = Status { selling: false, starting: true, reasons, ..quiet.clone() };
    assert_eq!(starting.alarms(), BTreeMap::new());
    assert!(Status { starting: false, ..starting }.alarms().contains_key("sales-stopped"));
    let devices = Devices {
        printer: PrinterStatus::PaperOut,
        clock: ClockStatus::Unset,
        link: Some(LinkStatus::Disconnected { why: "no route".into() }),
        ..well()
    };
    let line = Status { devices, ..full() }.to_string();
    assert_eq!(
        line,
        "not selling: door-open, locked; orders to settle: 2; printer: there is no paper; slot A1: why; drop-sensor: why; \
         second-kiosk: why; gate entry-1: why; gate entry-1: nobody; the clock is not set; not connected to the fleet: no route"
    );
}

#[test]
fn it_is_made_when_something_it_shows_has_changed_and_not_after_every_event() {
    let mut rig = rig(|| ());
    let touch = |kiosk: &mut Kiosk, name: &str| {
        kiosk.take(Input::Event(Event::Touch(name.parse().unwrap())));
        kiosk.show();
    };
    let before = rig.kiosk.made;
    for _ in 0..50 {
        for name in ["start", "product:cola", "add", "language:en", "cancel"] {
            touch(&mut rig.kiosk, name);
        }
        rig.kiosk.step(Event::Tick);
        rig.kiosk.show();
    }
    assert_eq!(rig.kiosk.made, before, "what customers look at is not in it");

    sell(&mut rig);
    let turns = rig.kiosk.turns;
    rig.until(|kiosk| kiosk.state.orders.values().any(|order| order.printing.is_none() && order.refunded() == 300));
    let (turns, made) = (rig.kiosk.turns - turns, rig.kiosk.made - before);
    assert!(made * 2 < turns, "made {made} times in {turns} turns of a sale");

    for (is, made) in [(PrinterStatus::PaperOut, 1), (PrinterStatus::PaperOut, 0), (PrinterStatus::Ok, 1)] {
        let before = rig.kiosk.made;
        rig.kiosk.take(Input::Printer(is.clone()));
        rig.kiosk.show();
        assert_eq!(rig.kiosk.made - before, made, "{is:?}");
        assert_eq!(rig.kiosk.told.as_ref().unwrap().devices.printer, is);
    }
    let before = rig.kiosk.made;
    rig.kiosk.take(Input::Board(BoardEvent::Temperature { milli: Some(4_500) }));
    rig.kiosk.show();
    rig.kiosk.take(Input::Board(BoardEvent::Temperature { milli: Some(4_600) }));
    rig.kiosk.show();
    assert_eq!(rig.kiosk.made - before, 1, "that it can be read is news, how warm it is is none");
    rig.kiosk.end();
}

#[test]
fn the_fleet_hears_what_has_changed_and_not_how_late_it_is() {
    let told = full();
    let later = Status { time_ms: None, uptime_s: 99, temperature_milli_c: Some(5_000), ..full() };
    assert!(told.says(&later) && told.says_to_fleet(&later));
    let offline = Devices { link: Some(LinkStatus::Connecting), ..well() };
    let offline = Status { devices: offline, ..full() };
    assert!(!told.says(&offline) && told.says_to_fleet(&offline));
    let open = Status { devices: Devices { printer: PrinterStatus::CoverOpen, ..well() }, ..full() };
    assert!(!told.says(&open) && !told.says_to_fleet(&open));
}
