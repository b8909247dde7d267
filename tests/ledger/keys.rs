//! How the records' fields are called, in the ledger and in the fleet's events.

use std::collections::BTreeSet;

use kioskd::operation::{
    Actor, BundlePlace, ConfigText, Digest, KeyName, Operation, Outcome, Refusal, RequestId, Version,
};
use kioskd::sale::Record;
use kioskd::sale::record::{Closed, Held, Settling, Slip, Surplus};
use kioskd::sale::view::{OrderState, StopReason};
use kioskd::vocabulary::{
    BootId, Cause, ChargeId, ClaimSettlement, Goods, Grant, LaneId, Language, OrderId, Outlet, Payment, PaymentId,
    ProductId, RailName, RefundId, StayId, Wall,
};
use serde_json::{Value, json};

use crate::kit;

pub fn version() -> Version {
    Version::parse("2026.12.1").unwrap()
}

pub fn bundle() -> BundlePlace {
    BundlePlace::parse("https://updates.example.com/kiosk.raucb").unwrap()
}

pub fn sha256() -> Digest {
    Digest::parse(&"0a".repeat(32)).unwrap()
}

/// Each kind once, with everything that may be left out.
pub fn one_of_each() -> Vec<Record> {
    let order = OrderId::from_parts(1_795_392_000_000, 7);
    let (charge, outlet) = (ChargeId::of(order, 0), kit::outlet("A1"));
    let refund = RefundId::of(&charge, 0);
    let payment = Payment { id: PaymentId::parse("4200").unwrap(), amount: 300, currency: kit::cny(), order };
    let rail = || RailName::parse("sandbox").unwrap();
    let items = vec![kit::cola()];
    let stay = kioskd::sale::record::Offered { goods: Goods::Stay(StayId::parse("S1").unwrap()), ..kit::cola() };
    let (c, o) = (|| charge.clone(), || outlet.clone());
    let request = || RequestId::parse("r-1").unwrap();
    let digest = || Digest::of(b"");
    let why = || Cause::TooWarm { max_milli_c: 8_000, minutes: 30 };
    vec![
        Record::LedgerBegun { ledger: "9c41".into(), home: "here".into(), before: Some("8d30".into()) },
        Record::BootStarted { boot: BootId::parse("5b1f0c9d2e7a4836").unwrap(), version: "0.1.0".into() },
        Record::OrderOffered {
            order,
            short_code: order.short_code(),
            currency: kit::cny(),
            amount: 300,
            items,
            charge: c(),
            rail: rail(),
            life_ms: 60_000,
            outlet: Some(o()),
        },
        Record::OrderGranted {
            order,
            short_code: order.short_code(),
            currency: kit::cny(),
            items: vec![stay],
            grant: Grant::NothingDue,
            outlet: Some(Outlet::Pass),
            by: Some(Actor::Menu),
        },
        Record::ChargeOffered { order, charge: c(), rail: rail(), life_ms: 60_000 },
        Record::OrderPaid { order, charge: c(), payment: payment.clone(), fee_estimate: Some(2) },
        Record::PaymentSurplus { order, charge: c(), payment, why: Surplus::WrongAmount },
        Record::OrderClosed { order, why: Closed::Stopped(StopReason::DoorOpen) },
        Record::ChargeReturned { order, charge: c(), total: 300 },
        Record::ChargeSettled { order, charge: c() },
        Record::DeliveryIntended { order, item: 0, attempt: 1, outlet: o(), counter: Some(3) },
        Record::ItemDelivered { order, item: 0, attempt: 1, outlet: o(), count: 1 },
        Record::ItemNotDelivered { order, item: 0, outlet: Some(o()), why: why(), last: true },
        Record::ItemUnknown { order, item: 0, outlet: o(), why: why(), settled_by: Settling::AssumedDelivered },
        Record::RefundRequested {
            order,
            charge: c(),
            refund: refund.clone(),
            amount: 300,
            at_ms: Some(Wall(1_795_392_000_000)),
        },
        Record::RefundConfirmed { order, charge: c(), refund: refund.clone(), amount: 300 },
        Record::RefundFailed { order, charge: c(), refund, amount: 300, why: why() },
        Record::ClaimOpened { order, amount: 300, why: why(), until_told: true },
        Record::RefundDecided { order, amount: 300, by: Actor::Technician { uid: 1000 } },
        Record::ClaimSettled { order, how: ClaimSettlement::PaidOutside, by: Some(Actor::Technician { uid: 1000 }) },
        Record::ReceiptPrinted { order, slip: Slip::Receipt },
        Record::ReceiptNotPrinted { order, slip: Slip::Receipt, why: why() },
        Record::OrderEnded { order, state: OrderState::PartlyDelivered },
        Record::OutletFaulty { outlet: o(), why: Cause::Stopped { reason: StopReason::Locked("x".into()) } },
        Record::OutletRepaired { outlet: o() },
        Record::SlotAssigned {
            slot: kit::slot("A1"),
            product: ProductId::parse("cola").unwrap(),
            capacity: 9,
            count: 5,
        },
        Record::StockSet { slot: kit::slot("A1"), count: 5 },
        Record::ShopNoted { key: "inside".into(), value: Some(json!(41)) },
        Record::GateNoted { lane: LaneId::parse("entry-1").unwrap(), note: json!({ "kind": "gate-closed" }) },
        Record::SalesStopped { reasons: vec![StopReason::GlassDark("dark".into())] },
        Record::SalesResumed {},
        Record::KioskLocked { reason: "cleaning".into() },
        Record::KioskUnlocked {},
        Record::MaintenanceBegun {},
        Record::MaintenanceEnded {},
        Record::ServicePinRefused { in_a_row: 3 },
        Record::ServiceOpened {},
        Record::OperationBegun {
            id: request(),
            by: Actor::Fleet { kid: KeyName::parse("ops-1").unwrap(), counter: 17 },
            asked: Operation::SetStock { slot: kit::slot("A1"), count: 3 },
        },
        Record::OperationEnded { id: request(), outcome: Outcome::Refused { why: Refusal::HoldsLess { capacity: 2 } } },
        Record::CashedUp { number: 7, by: Actor::Technician { uid: 1000 } },
        Record::LanguagesChosen { languages: ["zh-Hant", "en"].map(Language::new).into() },
        Record::ConfigTried {
            id: request(),
            config: digest(),
            base: digest(),
            text: Some(ConfigText::parse("[kiosk]\n").unwrap()),
            stopped: vec![StopReason::SoldOut],
            held: vec![Held {
                outlet: o(),
                goods: Goods::Product(ProductId::parse("cola").unwrap()),
                count: 5,
                capacity: 9,
                fault: Some(why()),
            }],
        },
        Record::ConfigKept { config: digest() },
        Record::ConfigRejected { config: digest(), why: Cause::FleetNotReached },
        Record::UpdateBegun {
            operation: request(),
            bundle: bundle(),
            sha256: sha256(),
            version: version(),
            compatible: kioskd::operation::Compatible::parse("kioskos-rpi4"),
            from: Version::parse("2026.11.30").unwrap(),
            copy: Some("A".into()),
        },
        Record::UpdateInstalling { operation: request(), connected: true },
        Record::UpdateInstalled { operation: request(), kernel_boot: "0d7f2a3c".into() },
        Record::UpdateRestarting { operation: request() },
        Record::UpdateTried { operation: request(), copy: Some("B".into()) },
        Record::UpdateSick { operation: request(), detail: "no frame is on the glass".into() },
        Record::UpdatePassed { operation: request(), detail: Some("no fleet is configured".into()) },
        Record::UpdateGood { operation: request(), version: version(), sha256: sha256() },
        Record::UpdateFellBack {
            operation: request(),
            version: version(),
            sha256: sha256(),
            detail: "no frame is on the glass".into(),
        },
    ]
}

#[test]
fn every_records_keys_are_snake_case() {
    let mut seen = BTreeSet::new();
    for record in one_of_each() {
        let written = serde_json::to_value(&record).unwrap();
        kioskd_tests::spelling::check(record.kind(), &written);
        assert_eq!(written["kind"], record.kind());
        assert_eq!(serde_json::from_value::<Record>(written).unwrap(), record);
        seen.insert(record.kind());
    }
    // Which kinds there are is said by whoever reads one that is none.
    let error = serde_json::from_value::<Record>(json!({ "kind": "none" })).unwrap_err().to_string();
    let kinds: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    assert_eq!(seen, kinds, "a kind is missing above");
}

#[test]
fn a_key_that_is_a_word_is_found() {
    for wrong in
        [json!({ "short-code": 1 }), json!([{ "stock": { "A1": { "soldOut": 1 } } }]), json!({ "": Value::Null })]
    {
        let found = std::panic::catch_unwind(|| kioskd_tests::spelling::check("a document", &wrong));
        assert!(found.is_err(), "{wrong}");
    }
    kioskd_tests::spelling::check(
        "a document",
        &json!({ "stock": { "slot-A1": { "count": 1 } }, "oldest_minutes": 2, "sha256": "" }),
    );
}
