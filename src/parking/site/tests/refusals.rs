//! What is not believed.

use super::*;

/// A document of lane 2, and who has heard of nothing yet.
fn document(park: &mut CarPark) -> Document {
    let ticket = park.enter(2, None);
    park.enter(2, None);
    park.pay(2, ticket, 300);
    park.leave(2, ticket, &[]);
    park.at(2).publish().unwrap().unwrap()
}

fn take(park: &mut CarPark, document: &Document, key: u8, kid: &str) -> Result<Taken, BadDocument> {
    let message = document.sign(&signer(key, kid)).unwrap();
    park.at(1).take(&message, lane(2), now(70))
}

#[test]
fn who_is_not_the_lane_is_not_believed() {
    let mut park = CarPark::new(3);
    let good = document(&mut park);
    let signature = BadDocument::Message(BadMessage::Signature);
    assert_eq!(take(&mut park, &good, 3, "7/2"), Err(signature.clone()));
    assert_eq!(take(&mut park, &good, 99, "7/2"), Err(signature));
    let speaks = |by: &str| BadDocument::Speaks { of: lane(2), by: by.into() };
    assert_eq!(take(&mut park, &good, 2, "8/2"), Err(speaks("8/2")));
    assert_eq!(take(&mut park, &good, 2, &"x".repeat(500)), Err(speaks(&"x".repeat(64))));
    let other = Document { lane: lane(3), ..good.clone() };
    assert_eq!(take(&mut park, &other, 2, "7/2"), Err(speaks("7/2")));
    let site = SiteNumber::new(8).unwrap();
    assert_eq!(take(&mut park, &Document { site, ..good.clone() }, 2, "7/2"), Err(BadDocument::ForeignSite(site)));
    assert_eq!(take(&mut park, &Document { v: 2, ..good.clone() }, 2, "7/2"), Err(BadDocument::Version(2)));
    // A newer one is told as such, whatever else it says.
    let newer = signer(2, "7/2").sign(Purpose::LaneFacts, &serde_json::json!({ "v": 300, "cars": [] })).unwrap();
    assert_eq!(park.at(1).take(&newer, lane(2), now(70)), Err(BadDocument::Version(300)));
    let message = good.sign(&signer(4, "7/4")).unwrap();
    assert_eq!(park.at(1).take(&message, lane(4), now(70)), Err(BadDocument::ForeignLane(lane(4))));
    let message = signer(2, "7/2").sign(Purpose::Checkpoint, &good).unwrap();
    assert_eq!(park.at(1).take(&message, lane(2), now(70)), Err(BadDocument::Message(BadMessage::Purpose)));
    assert_eq!(park.at(1).known(), &Known::default(), "nothing was taken of any of them");
    assert!(take(&mut park, &good, 2, "7/2").unwrap().new);
}

#[test]
fn a_message_that_was_cut_or_changed_is_refused() {
    let mut park = CarPark::new(3);
    let message = document(&mut park).sign(&signer(2, "7/2")).unwrap();
    for at in 0..message.len() {
        assert!(park.at(1).take(&message[..at], lane(2), now(70)).is_err(), "cut at {at}");
        let mut changed = message.clone();
        changed[at] ^= 1;
        assert!(park.at(1).take(&changed, lane(2), now(70)).is_err(), "changed at {at}");
    }
    let long = vec![b' '; LONGEST + 1];
    let wrong = park.at(1).take(&long, lane(2), now(70));
    assert_eq!(wrong, Err(BadDocument::Message(BadMessage::TooLong)));
    let stranger = signer(2, "7/2").sign(Purpose::LaneFacts, &serde_json::json!({ "v": 1 })).unwrap();
    assert_eq!(park.at(1).take(&stranger, lane(2), now(70)), Err(BadDocument::Message(BadMessage::Content)));
}

#[test]
fn a_lane_does_not_go_back() {
    let mut park = CarPark::new(3);
    let first = document(&mut park);
    park.enter(2, None);
    let second = park.at(2).publish().unwrap().unwrap();
    assert!(take(&mut park, &second, 2, "7/2").unwrap().new);
    assert_eq!(take(&mut park, &second, 2, "7/2"), Ok(Taken::default()), "the same again");
    let back = |known, said| Err(BadDocument::RolledBack { lane: lane(2), known, said });
    assert_eq!(take(&mut park, &first, 2, "7/2"), back(2, 1), "repeated");
    // An older disk that counts on, but knows less.
    let older = Document { seq: 3, ..first };
    assert_eq!(take(&mut park, &older, 2, "7/2"), back(2, 3));
    let other = Document { corrected: 1, ..second.clone() };
    assert_eq!(take(&mut park, &other, 2, "7/2"), Err(BadDocument::TwoOfOne { lane: lane(2), seq: 2 }));
    assert_eq!(park.at(1).known().get(lane(2)), Some(&second));
}

#[test]
fn a_lane_whose_own_disk_is_an_older_one_notices() {
    let mut park = CarPark::new(2);
    park.enter(1, None);
    let state = park.at(1).state().clone();
    park.settle();
    park.enter(1, None);
    let message = park.publish(1).unwrap();
    let seq = park.at(1).last().unwrap().seq;
    park.at(2).take(&message, lane(1), now(70)).unwrap();
    let heard = park.publish(2).unwrap();
    *park.at(1) = Site::restored(roster(2), state);
    let ahead = park.at(1).take(&heard, lane(2), now(70)).unwrap_err();
    assert_eq!(ahead, BadDocument::AheadOfUs { lane: lane(2), heard: 2, own: 0 });
    // That another says so stops nothing: it could be anybody who has a lane's key.
    assert!(!park.at(1).has_older_disk());
    let own = park.at(1).take(&message, lane(1), now(70)).unwrap_err();
    assert_eq!(own, BadDocument::OlderDisk { heard: seq, own: 0 });
    // It gives out no number that it may have given out before, and says nothing, before and after a restart.
    for _ in 0..2 {
        let site = park.at(1);
        assert_eq!((site.next_ticket(), site.publish()), (None, Ok(None)));
        let entered = Entered {
            serial: 2,
            entry: EntryTime::Known(NOON),
            class: ClassNumber::default(),
            plate: None,
            before: None,
        };
        assert_eq!(site.record(Fact::Entered(entered)), Err(NotRecorded::OlderDisk));
        let parts = stored(site);
        *site = Site::restored(roster(2), read(parts));
    }
}

#[test]
fn two_machines_under_one_number_are_noticed_by_each_of_them() {
    let mut park = CarPark::new(2);
    let mut other = CarPark::new(2);
    park.enter(1, None);
    other.enter(1, Some("ABC1"));
    let (mine, its) = (park.publish(1).unwrap(), other.publish(1).unwrap());
    assert_eq!(park.at(1).take(&mine, lane(1), now(0)), Ok(Taken::default()));
    let wrong = park.at(1).take(&its, lane(1), now(0)).unwrap_err();
    assert_eq!(wrong.to_string(), "lane 1 has said two things as document 1; two machines run as this lane");
}

#[test]
fn a_document_out_of_order_is_refused() {
    let mut park = CarPark::new(3);
    let good = document(&mut park);
    let mut refused = |change: &dyn Fn(&mut Document)| {
        let mut bad = good.clone();
        change(&mut bad);
        let wrong = take(&mut park, &bad, 2, "7/2").unwrap_err();
        assert!(matches!(wrong, BadDocument::Disorder { .. }), "{wrong}");
    };
    refused(&|bad| bad.next = 0);
    refused(&|bad| bad.next = TicketNumber::LAST + 2);
    refused(&|bad| bad.next = 2);
    refused(&|bad| bad.entered.push(bad.entered[0].clone()));
    refused(&|bad| bad.entered[0].serial = 0);
    refused(&|bad| bad.left.push(bad.left[0]));
    refused(&|bad| bad.paid.push(bad.paid[0]));
    refused(&|bad| bad.paid[0].nth = 16);
    refused(&|bad| bad.paid[0].grace = 1_024);
    let stay = |serial| Stay(TicketNumber::new(lane(1), serial).unwrap());
    let away = |first: u32, exit: u32| {
        let minute = |minutes: u32| Minute::new(NOON.get() - 100_000 + minutes).unwrap();
        Some(Before { stay: stay(1), first: minute(first), exit: minute(exit), paid: 300 })
    };
    refused(&|bad| bad.entered[0].before = away(99_000, 98_999));
    refused(&|bad| bad.entered[0].before = away(99_000, 100_006));
    refused(&|bad| bad.entered[0].before = away(80_000, 100_000 - 7 * 24 * 60 - 1));
    refused(&|bad| bad.entered[0].before = away(100_000 - Before::LONGEST - 1, 100_000));
    // No number that leaves none for the next.
    refused(&|bad| bad.seasons = vec![SeasonUsed { season: 1, nth: u32::MAX, stay: stay(1) }]);
    refused(&|bad| bad.season_counts = BTreeMap::from([(1, SeasonUsed::MOST + 1)]));
    // A lane takes a validation for one stay, and not for all that there are.
    let number = ValidationNumber { key: KeyNumber(9), serial: 5 };
    let used = |serial| ValidationUsed { number, stay: stay(serial), until: NOON };
    refused(&|bad| bad.validations = (1..=4).map(used).collect());
    let voided = Voided { stay: stay(1), at: None };
    refused(&|bad| bad.voided = vec![voided; 2]);
    let mut back = good.clone();
    back.entered[0].before = away(99_000, 100_005);
    assert!(take(&mut park, &back, 2, "7/2").unwrap().new, "as much as clocks may differ");
}

#[test]
fn a_list_of_lanes_is_checked() {
    let site = SiteNumber::new(7).unwrap();
    let with = |change: &dyn Fn(&mut Member)| {
        let mut lanes: BTreeMap<LaneNumber, Member> = (1..=2).map(|number| (lane(number), member(number))).collect();
        change(lanes.get_mut(&lane(2)).unwrap());
        Roster::new(site, lanes).map(|_| ())
    };
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|member| member.keys.clear()), Err(BadRoster::Keys(lane(2), 0)));
    assert_eq!(with(&|member| member.keys = vec![signer(1, "").public()]), Err(BadRoster::SameKey(lane(1), lane(2))));
    let name = LaneId::parse("lane-1").unwrap();
    assert_eq!(with(&|member| member.name = name.clone()), Err(BadRoster::SameName(lane(1), lane(2))));
    let many = (1..=33).map(|number| (lane(number), member(number))).collect();
    assert_eq!(Roster::new(site, many).map(|_| ()), Err(BadRoster::TooMany(33)));
}

#[test]
fn a_lane_changes_its_key() {
    let mut park = CarPark::new(2);
    park.enter(2, None);
    let document = park.at(2).publish().unwrap().unwrap();
    let mut lanes: BTreeMap<LaneNumber, Member> = (1..=2).map(|number| (lane(number), member(number))).collect();
    lanes.get_mut(&lane(2)).unwrap().keys.push(signer(50, "").public());
    let roster = Roster::new(SiteNumber::new(7).unwrap(), lanes).unwrap();
    for key in [2, 50] {
        let message = document.sign(&signer(key, "7/2")).unwrap();
        assert_eq!(Document::open(&message, lane(2), &roster).map(|heard| heard.document), Ok(document.clone()));
    }
    let message = document.sign(&signer(51, "7/2")).unwrap();
    assert_eq!(Document::open(&message, lane(2), &roster), Err(BadDocument::Message(BadMessage::Signature)));
}
