use serde_json::json;

use super::*;

fn request(asked: Operation) -> Request {
    let id = RequestId::parse("r1").unwrap();
    Request { id, by: Actor::Menu, rights: Rights::ALL, live: true, expired: false, asked }
}

fn tested() -> Findings {
    let finding = Finding {
        part: PartName::parse("relay A1").unwrap(),
        result: CheckResult::Wrong,
        says: Seen::parse("it did not move").unwrap(),
    };
    Findings::new(vec![finding]).unwrap()
}

fn medium() -> Medium {
    let url = MediaUrl::parse("https://media.example.com/cola.png").unwrap();
    Medium { sha256: Digest::parse(&"0".repeat(64)).unwrap(), url }
}

fn reason() -> Reason {
    Reason::parse("the customer has lost the ticket").unwrap()
}

fn all() -> Vec<Operation> {
    let (slot, product) = (SlotId::parse("A1").unwrap(), ProductId::parse("cola").unwrap());
    let order = OrderId::from_parts(1, 1);
    vec![
        Operation::Lock { reason: Reason::parse("cleaning").unwrap() },
        Operation::Unlock,
        Operation::SetStock { slot: slot.clone(), count: 3 },
        Operation::Refill,
        Operation::RefillSlots { slots: [slot.clone()].into() },
        Operation::AddStock { units: [(slot.clone(), NonZeroU32::MIN)].into() },
        Operation::SettleClaim { order, how: ClaimSettlement::PaidOutside },
        Operation::Refund { order, amount: Some(300) },
        Operation::Vend { product: product.clone() },
        Operation::TestVend { slot: slot.clone() },
        Operation::Maintenance { on: true },
        Operation::Pulse { outlet: Outlet::Slot(slot.clone()) },
        Operation::Raise { reason: reason() },
        Operation::KeepOpen { reason: reason() },
        Operation::Release { reason: reason() },
        Operation::VoidTicket { ticket: TicketText::parse("03-0004567-9").unwrap(), reason: reason() },
        Operation::CarsInside { cars: 120, reason: reason() },
        Operation::CashUp,
        Operation::PrintReport { number: 3 },
        Operation::PrintTest,
        Operation::Languages { languages: vec![LanguageTag::parse("zh-Hant").unwrap()] },
        Operation::Reboot,
        Operation::RecordTest { checks: tested() },
        Operation::RotateKeys { version: 4, keyset: KeysetText::parse("{}").unwrap() },
        Operation::ResendEvents { after: 7 },
        Operation::ApplyConfig { config: ConfigText::parse("[kiosk]\n").unwrap() },
        Operation::SetPrices { prices: [(ProductId::parse("cola").unwrap(), 320)].into() },
        Operation::SetPlanogram { slots: [(slot, Assignment { product, stock: None, capacity: Some(9) })].into() },
        Operation::SetMedia {
            products: [(ProductId::parse("cola").unwrap(), medium())].into(),
            slides: Some(vec![
                MediaSlide { medium: medium(), hours: None },
                MediaSlide {
                    medium: medium(),
                    hours: Some(SlideHours {
                        from: TimeOfDay::parse("06:00").unwrap(),
                        until: TimeOfDay::parse("10:30").unwrap(),
                    }),
                },
            ]),
            logo: None,
        },
        Operation::Screenshot,
        Operation::Logs { lines: NonZeroU32::new(100), since: Moment::parse("2026-11-30T09:00:00Z") },
        Operation::Bundle,
        Operation::Inspect,
        Operation::InstallUpdate {
            bundle: BundlePlace::parse("https://example.com/kiosk.raucb").unwrap(),
            sha256: Digest::parse(&"0".repeat(64)).unwrap(),
            version: Version::parse("0.2.0").unwrap(),
            compatible: None,
            retry: false,
            downgrade: false,
        },
    ]
}

#[test]
fn an_operation_is_read_as_it_is_written_and_named_by_its_verb() {
    for operation in all() {
        let written = serde_json::to_value(&operation).unwrap();
        assert_eq!(written["do"], operation.verb());
        assert_eq!(serde_json::from_value::<Operation>(written).unwrap(), operation);
    }
    assert_eq!(all().iter().map(Operation::verb).collect::<Vec<_>>(), Operation::VERBS);
    let read = |value| serde_json::from_value::<Operation>(value);
    assert_eq!(read(json!({ "do": "refill" })).unwrap(), Operation::Refill);
    assert_eq!(read(json!({ "do": "logs" })).unwrap(), Operation::Logs { lines: None, since: None });
    for bad in [
        json!({ "do": "open-safe" }),
        json!({ "do": "lock" }),
        json!({ "do": "lock", "reason": "" }),
        json!({ "do": "lock", "reason": "a\nb" }),
        json!({ "do": "lock", "reason": "x".repeat(201) }),
        json!({ "do": "lock", "reason": "cleaning", "until": "noon" }),
        json!({ "do": "set-stock", "slot": "A 1", "count": 1 }),
        json!({ "do": "set-stock", "slot": "A1", "count": -1 }),
        json!({ "do": "raise" }),
        json!({ "do": "keep-open", "reason": " " }),
        json!({ "do": "release", "reason": "fixed", "lane": "exit-1" }),
        json!({ "do": "void-ticket", "ticket": "03-0004567-9" }),
        json!({ "do": "void-ticket", "ticket": "", "reason": "lost" }),
        json!({ "do": "void-ticket", "ticket": "---", "reason": "lost" }),
        json!({ "do": "void-ticket", "ticket": "03/0004567", "reason": "lost" }),
        json!({ "do": "void-ticket", "ticket": "1".repeat(41), "reason": "lost" }),
        json!({ "do": "cars-inside", "cars": -1, "reason": "counted" }),
        json!({ "do": "cars-inside", "cars": 120 }),
        json!({ "do": "refill-slots" }),
        json!({ "do": "add-stock", "units": { "A1": 0 } }),
        json!({ "do": "add-stock", "units": { "A 1": 1 } }),
        json!({ "do": "languages" }),
        json!({ "do": "languages", "languages": "en" }),
        json!({ "do": "languages", "languages": ["en\n"] }),
        json!({ "do": "languages", "languages": ["x".repeat(36)] }),
        json!({ "do": "record-test" }),
        json!({ "do": "record-test", "checks": [] }),
        json!({ "do": "apply-config", "config": "" }),
        json!({ "do": "apply-config", "config": "x".repeat((64 << 10) + 1) }),
        json!({ "do": "apply-config", "config": "\"".repeat((24 << 10) + 1) }),
        json!({ "do": "set-prices", "prices": { "co la": 3 } }),
        json!({ "do": "set-prices", "prices": { "cola": 3.5 } }),
        json!({ "do": "set-planogram", "slots": { "A1": { "stock": 3 } } }),
        json!({ "do": "set-planogram", "slots": { "A1": { "product": "cola", "price": 3 } } }),
        json!({ "do": "set-media", "products": { "cola": { "url": "https://x/y" } } }),
        json!({ "do": "set-media", "products": { "cola": { "sha256": "0".repeat(64), "url": "http://x/y" } } }),
        json!({ "do": "set-media", "logo": { "sha256": "0".repeat(64), "url": "https://x/y", "size": 3 } }),
        json!({ "do": "set-media", "slides": [{ "sha256": "0".repeat(64), "url": "https://x/y", "from": "06:00" }] }),
        json!({ "do": "set-media", "pictures": {} }),
        json!({ "do": "install-update", "bundle": "/b", "version": "1" }),
        json!({ "do": "install-update", "bundle": "/b", "version": "1", "sha256": "0".repeat(63) }),
        json!({ "do": "install-update", "bundle": "/b", "version": "1", "sha256": "0".repeat(64), "force": true }),
        json!({ "do": "logs", "lines": 0 }),
        json!({ "do": "logs", "lines": -1 }),
        json!({ "do": "logs", "since": "yesterday" }),
        json!({ "do": "logs", "since": "2026-11-30T09:00:00" }),
        json!({ "do": "logs", "since": format!("2026-11-30T09:00:00{}Z", "0".repeat(40)) }),
        json!({ "do": "logs", "unit": "sshd" }),
        json!({ "do": "settle-claim", "order": "1", "how": "refund" }),
        json!({ "do": "settle-claim", "order": OrderId::from_parts(1, 1), "how": "forget" }),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn each_right_that_is_missing_refuses_what_needs_it() {
    for operation in all() {
        for right in [Right::Service, Right::Motion, Right::Money, Right::Configure, Right::Update] {
            let rights = match right {
                Right::Service => Rights { service: false, ..Rights::ALL },
                Right::Motion => Rights { motion: false, ..Rights::ALL },
                Right::Money => Rights { money: false, ..Rights::ALL },
                Right::Configure => Rights { configure: false, ..Rights::ALL },
                Right::Update => Rights { update: false, ..Rights::ALL },
            };
            let asked = Request { rights, ..request(operation.clone()) };
            let refused = Err(Refusal::NoRight { right });
            let wanted = if operation.needs().contains(&right) { refused } else { Ok(()) };
            assert_eq!(asked.permitted(false), wanted, "{operation}");
        }
        let nobody = Request { rights: Rights::default(), ..request(operation) };
        assert!(nobody.permitted(false).is_err());
    }
}

/// A gate's too: who stands before it is helped, whatever the glass shows.
#[test]
fn what_moves_or_restarts_something_is_asked_for_this_moment_and_between_sales() {
    let gate = ["raise", "keep-open", "release"];
    for operation in all() {
        let moves = operation.needs().contains(&Right::Motion) || operation == Operation::Reboot;
        let asked = request(operation);
        let waits = moves && !gate.contains(&asked.asked.verb());
        assert_eq!(asked.permitted(true), if waits { Err(Refusal::InMidSale) } else { Ok(()) });
        let late = Request { live: false, ..asked };
        let counted = matches!(late.asked, Operation::Refund { .. } | Operation::CarsInside { .. });
        let live = moves || late.asked.brings_a_file() || counted;
        assert_eq!(late.permitted(false), if live { Err(Refusal::NotLive) } else { Ok(()) });
    }
}

#[test]
fn who_raises_a_gate_gives_something_away_and_who_releases_it_moves_it() {
    let verbs = |right: Right| {
        let gate = ["raise", "keep-open", "release", "void-ticket", "cars-inside"];
        let gate = all().into_iter().filter(|asked| gate.contains(&asked.verb()));
        gate.filter(|asked| asked.needs().contains(&right)).map(|asked| asked.verb()).collect::<Vec<_>>()
    };
    assert_eq!(verbs(Right::Motion), ["raise", "keep-open", "release"]);
    assert_eq!(verbs(Right::Money), ["raise", "keep-open", "void-ticket", "cars-inside"]);
    assert_eq!(verbs(Right::Service), [""; 0]);
}

#[test]
fn a_refund_by_hand_is_asked_for_this_moment_and_what_comes_too_late_is_refused() {
    let settle = |how| request(Operation::SettleClaim { order: OrderId::from_parts(1, 1), how });
    let late = |how, busy| Request { live: false, ..settle(how) }.permitted(busy);
    assert_eq!(late(ClaimSettlement::Refund, false), Err(Refusal::NotLive));
    assert_eq!(late(ClaimSettlement::Delivered, true), Ok(()));
    assert_eq!(settle(ClaimSettlement::Refund).permitted(true), Ok(()), "somebody else buys meanwhile");
    for asked in all() {
        let expired = Request { expired: true, ..request(asked) };
        assert_eq!(expired.permitted(false), Err(Refusal::Expired));
    }
}

#[test]
fn numbers_and_names_are_bounded() {
    for good in ["a", "01K9-x_y.z", &"9".repeat(64)] {
        assert!(RequestId::parse(good).is_some() && KeyName::parse(good).is_some(), "{good}");
    }
    for bad in ["", "a b", "a/b", "é", &"9".repeat(65)] {
        assert!(RequestId::parse(bad).is_none() && KeyName::parse(bad).is_none(), "{bad}");
    }
}
