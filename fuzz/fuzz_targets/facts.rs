//! What a lane tells the others: any bytes as its message; and any content behind a signature that holds, laid over a document that is
//! in order, taken by a lane that has done something itself.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kioskd_fuzz::parking::site::{
    Before, Document, Entered, Fact, How, Left, Member, Paid, Roster, SeasonUsed, Site, State, Stay, Taken,
    ValidationUsed,
};
use kioskd_fuzz::parking::ticket::{
    ClassNumber, EntryTime, KeyNumber, LaneNumber, Minute, Plate, SiteNumber, TicketNumber, ValidationNumber,
};
use kioskd_fuzz::signed::jws::{Purpose, Signer};
use kioskd_fuzz::vocabulary::LaneId;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The example key of RFC 8037, appendix A, and another.
const OTHER: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const OWN: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ
-----END PRIVATE KEY-----
";

fn signer(pem: &str, kid: &str) -> Signer {
    Signer::from_pem(pem.as_bytes(), kid).expect("a key")
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::new(number).expect("a lane")
}

fn ticket(of: u8, serial: u32) -> TicketNumber {
    TicketNumber::new(lane(of), serial).expect("a ticket")
}

static OTHERS: LazyLock<Signer> = LazyLock::new(|| signer(OTHER, "7/3"));

static ROSTER: LazyLock<Roster> = LazyLock::new(|| {
    let member = |name, pem| {
        let keys = vec![signer(pem, "").public()];
        Member { name: LaneId::parse(name).expect("a name"), keys, retired: false }
    };
    let lanes = BTreeMap::from([(lane(1), member("entry-1", OWN)), (lane(3), member("exit-1", OTHER))]);
    Roster::new(SiteNumber::new(7).expect("a site"), lanes).expect("lanes")
});

/// A lane with cars of its own, and something of each kind done.
static SITE: LazyLock<Site> = LazyLock::new(|| {
    let mut site = Site::new(lane(1), ROSTER.clone());
    let at = Minute::new(14_155_920);
    let mut record = |fact| site.record(fact).expect("there is room");
    for serial in 1..=3 {
        let entry = EntryTime::Known(at.expect("a minute"));
        let plate = Plate::typed("ABC123").ok();
        record(Fact::Entered(Entered { serial, entry, class: ClassNumber::default(), plate, before: None }));
    }
    let stay = Stay(ticket(1, 1));
    record(Fact::Paid(Paid { stay, nth: 0, at, grace: 15, amount: 300, doubt: 0, lane: None }));
    record(Fact::Left(Left { stay, at, how: How::Ticket }));
    record(Fact::Left(Left { stay: Stay(ticket(3, 1)), at, how: How::Person }));
    let number = ValidationNumber { key: KeyNumber(9), serial: 5 };
    record(Fact::ValidationUsed(ValidationUsed { number, stay: Stay(ticket(1, 2)), until: at.expect("a minute") }));
    record(Fact::SeasonUsed(SeasonUsed { season: 44, nth: 0, stay: Stay(ticket(1, 3)) }));
    site.publish().expect("there is room");
    site
});

/// A document of lane 3 that is in order.
static IN_ORDER: LazyLock<Value> = LazyLock::new(|| {
    let mut site = Site::new(lane(3), ROSTER.clone());
    let entry = EntryTime::Known(Minute::new(14_155_920).expect("a minute"));
    let before = Some(Before { stay: Stay(ticket(1, 9)), first: entry.earliest(), exit: entry.earliest(), paid: 300 });
    let entered = Entered { serial: 1, entry, class: ClassNumber::default(), plate: None, before };
    site.record(Fact::Entered(entered)).expect("there is room");
    serde_json::to_value(site.publish().expect("there is room")).expect("it is JSON")
});

fn stored(site: &Site) -> BTreeMap<String, String> {
    let part = |key: &str| site.part(key).expect("it is JSON").expect("it is there");
    site.parts().map(|(key, _)| (key.clone(), part(&key))).collect()
}

fuzz_target!(|bytes: &[u8]| {
    // Nobody signs by chance.
    assert!(Document::open(bytes, lane(3), &ROSTER).is_err());
    let Ok(content) = serde_json::from_slice::<Value>(bytes) else { return };
    let content = match (content, IN_ORDER.clone()) {
        (Value::Object(said), Value::Object(mut all)) => {
            all.extend(said);
            Value::Object(all)
        }
        (other, _) => other,
    };
    let message = OTHERS.sign(Purpose::LaneFacts, &content).expect("it is JSON");
    let mut site = SITE.clone();
    let before = stored(&site);
    let Ok(taken) = site.take(&message, lane(3), None) else {
        assert_eq!(stored(&site), before, "what is refused changes nothing");
        return;
    };
    assert!(taken.new);
    assert_eq!(site.take(&message, lane(3), None), Ok(Taken::default()));
    // It answers, whatever was said.
    for number in [ticket(1, 1), ticket(1, 2), ticket(1, 3), ticket(3, 1), ticket(3, TicketNumber::LAST)] {
        let found = site.find(number);
        assert!(found.is_none() || site.over(number).is_none());
        let came_back = found.and_then(|found| Some((found.entered.before?, found.entered.entry)));
        assert!(
            came_back.is_none_or(|(before, entry)| before.fits(entry)),
            "nobody came back from what was not before"
        );
        site.may_leave(number, &[], None);
        if let Ok(Some(paid)) = site.may_pay(number, &[]) {
            assert!(paid.amount() >= 0);
        }
    }
    site.occupancy();
    if let Ok(plate) = Plate::typed("A8C123") {
        site.plate(&plate);
    }
    site.season_used(44, ticket(1, 4));
    // What it says then is in order, and what is on disk is what it knows.
    if let Some(document) = site.publish().expect("there is room") {
        let message = document.sign(&signer(OWN, "7/1")).expect("it is JSON");
        assert_eq!(Document::open(&message, lane(1), &ROSTER).expect("in order").document, document);
    }
    let parts = stored(&site);
    let state = State::from_parts(parts.clone()).expect("it was written");
    assert_eq!(stored(&Site::restored(ROSTER.clone(), state)), parts);
});
