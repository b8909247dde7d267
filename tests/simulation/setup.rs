//! What one run is drawn with: the operator's policy and the weather.

use std::time::Duration;

use kioskd::sale::policy::{Policy, RailPolicy};
use kioskd::vocabulary::{Currency, Language, Localized, PaidWithoutIntent, RailName, UnknownDelivery};

use crate::chance::Chance;
use crate::world::Weather;

pub fn weather(chance: &mut Chance) -> Weather {
    Weather {
        lost: chance.pick(&[0, 5, 15, 35]),
        sensor: chance.pick(&[0, 0, 4, 12]),
        notices: chance.pick(&[0, 60, 100]),
        absent_until_scanned: chance.percent(25),
        closes_hold: chance.percent(70),
        cancel_returns: chance.percent(25),
        replays: chance.percent(20),
        whims: chance.percent(8),
        refunds_fail: chance.percent(5),
        silent: chance.pick(&[0, 0, 0, 10]),
    }
}

/// Two rails, of which a run has one or both.
pub fn rails() -> [RailName; 2] {
    ["first", "second"].map(|name| RailName::parse(name).unwrap())
}

pub fn policy(chance: &mut Chance) -> Policy {
    let seconds = Duration::from_secs;
    let rail = |name: &RailName| RailPolicy {
        name: name.clone(),
        label: Localized::default(),
        poll: seconds(3),
        fees: Default::default(),
    };
    Policy {
        categories: Vec::new(),
        pickup_numbers: false,
        kiosk: "K1".into(),
        attach: "main/K1".into(),
        place: Localized::default(),
        phone: "1".into(),
        currency: Currency::from_code("CNY").unwrap(),
        languages: vec![Language::new("en"), Language::new("zh-Hans")],
        qr_life: seconds(90),
        more_time: seconds(chance.pick(&[0, 60])),
        grace: seconds(chance.pick(&[30, 600])),
        lease: seconds(30),
        unknown_delivery: chance.pick(&[
            UnknownDelivery::Refund,
            UnknownDelivery::Hold,
            UnknownDelivery::AssumeDelivered,
        ]),
        paid_without_intent: chance.pick(&[PaidWithoutIntent::Refund, PaidWithoutIntent::Resume]),
        attempts: chance.pick(&[1, 2, 3]),
        max_units: 4,
        browse_timeout: seconds(60),
        result_timeout: seconds(8),
        confirm_above: chance.pick(&[None, Some(700)]),
        confirm_after_unpaid: chance.pick(&[None, Some(1)]),
        cool_down_after_unpaid: chance.pick(&[None, Some(2)]),
        cool_down: seconds(20),
        silent_claim_after: seconds(6 * 3600),
        sensor: true,
        service: false,
        reboot: true,
        fleet: true,
        trial: seconds(60),
        update_gate: seconds(300),
        gate_answers: seconds(120),
        zone: jiff::tz::TimeZone::UTC,
        rails: rails()[..chance.pick(&[1, 2, 2])].iter().map(rail).collect(),
    }
}
