//! Which lanes and keys count, and what becomes of what was heard of the others.

use super::*;
use crate::parking::tariff::Label;
use crate::parking::ticket::{Owner, SiteKey, SiteKeys};

/// These lanes, each with its keys' seeds, and those that are retired.
fn listed(lanes: &[(u8, &[u8])], retired: &[u8]) -> Roster {
    let member = |(number, seeds): &(u8, &[u8])| {
        let keys = seeds.iter().map(|seed| signer(*seed, "").public()).collect();
        (lane(*number), Member { keys, retired: retired.contains(number), ..member(*number) })
    };
    Roster::new(SiteNumber::new(7).unwrap(), lanes.iter().map(member).collect()).unwrap()
}

/// So that these hear each other, often enough to forget all that they may.
fn meet(park: &mut CarPark, lanes: &[u8]) {
    for _ in 0..8 {
        for number in lanes {
            park.tell(*number, lanes);
        }
    }
}

/// Nothing of what is over is kept.
fn nothing_is_kept(park: &mut CarPark, lanes: &[u8]) {
    for number in lanes {
        let last = park.at(*number).last().unwrap();
        assert!(last.left.is_empty() && last.paid.is_empty() && last.voided.is_empty(), "lane {number}: {last:?}");
    }
}

#[test]
fn a_thiefs_document_counts_for_as_long_as_the_key() {
    let mut park = CarPark::new(2);
    let ticket = park.enter(1, None);
    park.enter(2, None);
    park.settle();
    let left = Left { stay: Stay(ticket), at: None, how: How::Ticket };
    let last = park.at(2).last().unwrap().clone();
    let forged = Document { seq: u64::MAX, stand: u64::MAX, corrected: 9_999, left: vec![left], ..last.clone() };
    let forged = forged.sign(&signer(2, "7/2")).unwrap();
    assert!(park.at(1).take(&forged, lane(2), now(70)).unwrap().new);
    let anew = last.sign(&signer(50, "7/2")).unwrap();
    let changed = listed(&[(1, &[1]), (2, &[50])], &[]);
    let state = park.at(1).state().clone();
    let mut running = Site::restored(roster(2), state.clone());
    assert_eq!(running.known().get(lane(2)).unwrap().seq, u64::MAX);
    running.list_lanes(changed.clone());
    for mut site in [running, Site::restored(changed, state)] {
        assert_eq!((site.known().get(lane(2)), site.occupancy()), (None, 0));
        assert!(site.take(&forged, lane(2), now(70)).is_err());
        assert!(site.take(&anew, lane(2), now(70)).unwrap().new);
        assert_eq!(site.known().get(lane(2)), Some(&last));
    }
}

/// Nor is anybody waited for who would have to acknowledge it.
#[test]
fn what_a_thief_has_said_keeps_nobody_from_forgetting() {
    let mut park = CarPark::new(3);
    let ticket = park.enter(1, None);
    park.settle();
    park.pay(1, ticket, 300);
    assert!(park.leave(1, ticket, &[]));
    park.tell(1, &[2, 3]);
    park.tell(3, &[1, 2]);
    let stand = park.at(1).last().unwrap().stand;
    let seen = BTreeMap::from([(lane(1), stand), (lane(3), 0)]);
    let forged = Document { seq: u64::MAX, stand: u64::MAX, seen, ..park.at(2).last().unwrap().clone() };
    let forged = forged.sign(&signer(2, "7/2")).unwrap();
    assert!(park.at(1).take(&forged, lane(2), now(70)).unwrap().new);
    let roster = listed(&[(1, &[1]), (2, &[50]), (3, &[3])], &[]);
    (1..=3).for_each(|number| park.at(number).list_lanes(roster.clone()));
    for _ in 0..8 {
        for (number, seed) in [(1, 1), (2, 50), (3, 3)] {
            park.at(number).publish().unwrap();
            let last = park.at(number).last().unwrap();
            let message = last.sign(&signer(seed, &format!("7/{number}"))).unwrap();
            for hearer in (1..=3).filter(|hearer| *hearer != number) {
                park.at(hearer).take(&message, lane(number), now(70)).unwrap();
            }
        }
    }
    nothing_is_kept(&mut park, &[1, 2, 3]);
}

#[test]
fn a_document_that_is_signed_anew_outlives_its_old_key() {
    let mut park = CarPark::new(2);
    park.enter(2, None);
    park.settle();
    park.at(1).list_lanes(listed(&[(1, &[1]), (2, &[2, 50])], &[]));
    let last = park.at(2).last().unwrap().clone();
    let anew = last.sign(&signer(50, "7/2")).unwrap();
    assert_eq!(park.at(1).take(&anew, lane(2), now(70)), Ok(Taken::default()));
    park.at(1).list_lanes(listed(&[(1, &[1]), (2, &[50])], &[]));
    assert_eq!(park.at(1).known().get(lane(2)), Some(&last));
    park.at(1).list_lanes(listed(&[(1, &[1])], &[]));
    assert_eq!(park.at(1).known(), &Known::default());
}

#[test]
fn what_was_reported_is_not_reported_again_when_it_is_heard_under_another_key() {
    let mut park = CarPark::new(3);
    let ticket = park.enter(1, None);
    park.settle();
    let pass = park.pay(2, ticket, 300);
    park.settle();
    assert!(park.leave(2, ticket, &[pass]) && park.leave(3, ticket, &[pass]));
    park.tell(2, &[1]);
    park.tell(3, &[1]);
    assert_eq!(park.reported[0].len(), 1);
    park.at(1).list_lanes(listed(&[(1, &[1]), (2, &[2]), (3, &[50])], &[]));
    park.record(2, Fact::Correction(1));
    park.tell(2, &[1]);
    let anew = park.at(3).last().unwrap().sign(&signer(50, "7/3")).unwrap();
    let taken = park.at(1).take(&anew, lane(3), now(70)).unwrap();
    assert_eq!(taken, Taken { new: true, conflicts: vec![] });
}

/// A lane that was taken off the list, or is retired, is not waited for by or on behalf of one that was added later.
#[test]
fn a_lane_that_is_out_of_use_keeps_nobody_from_forgetting() {
    let four: &[(u8, &[u8])] = &[(1, &[1]), (2, &[2]), (4, &[4])];
    let five = [four, &[(3, &[3])]].concat();
    for roster in [listed(four, &[]), listed(&five, &[3])] {
        let mut park = CarPark::new(3);
        park.enter(3, None);
        park.settle();
        park.lanes.push(Site::new(lane(4), roster.clone()));
        park.reported.push(Vec::new());
        for number in [1, 2] {
            park.at(number).list_lanes(roster.clone());
        }
        let ticket = park.enter(1, None);
        meet(&mut park, &[1, 2, 4]);
        let pass = park.pay(2, ticket, 300);
        assert!(park.leave(4, ticket, &[pass]));
        meet(&mut park, &[1, 2, 4]);
        nothing_is_kept(&mut park, &[1, 2, 4]);
        assert!(!park.leave(2, ticket, &[pass]));
    }
}

#[test]
fn the_stays_of_a_retired_lane_end_and_are_forgotten() {
    let mut park = CarPark::new(3);
    let (told, backed_out, inside) = (park.enter(1, None), park.enter(1, None), park.enter(1, None));
    park.settle();
    // Its board breaks: it gives out one more ticket of which nobody hears.
    let unheard = park.enter(1, None);
    let roster = listed(&[(1, &[1]), (2, &[2]), (3, &[3])], &[1]);
    for number in [2, 3] {
        park.at(number).list_lanes(roster.clone());
    }
    for ticket in [told, unheard] {
        let pass = park.pay(2, ticket, 300);
        assert!(park.leave(3, ticket, &[pass]));
    }
    park.record(2, Fact::Voided(Voided { stay: Stay(backed_out), at: None }));
    meet(&mut park, &[2, 3]);
    nothing_is_kept(&mut park, &[2, 3]);
    for number in [2, 3] {
        let parts = stored(park.at(number));
        *park.at(number) = Site::restored(roster.clone(), read(parts));
        let site = park.at(number);
        for ticket in [told, unheard, backed_out] {
            assert_eq!(site.over(ticket), Some(Over::Finished { lane: lane(1) }), "lane {number}: {ticket}");
        }
        assert_eq!((site.occupancy(), site.may_pay(inside, &[])), (1, Ok(None)));
    }
    assert!(park.reported.iter().all(Vec::is_empty));
}

#[test]
fn a_validation_is_forgotten_with_its_shops_key() {
    let mut park = CarPark::new(2);
    let ticket = park.enter(1, None);
    let number = ValidationNumber { key: KeyNumber(9), serial: 5 };
    // As far off as a thief can say.
    let until = Minute::new((1 << 26) - 2).unwrap();
    park.record(1, Fact::ValidationUsed(ValidationUsed { number, stay: Stay(ticket), until }));
    meet(&mut park, &[1, 2]);
    let kept = |park: &mut CarPark| park.at(1).last().unwrap().validations.len();
    assert_eq!(kept(&mut park), 1);
    let shop = Owner::Shop(Label::parse("books").unwrap());
    let key = |number, owner, seed| SiteKey { number: KeyNumber(number), owner, key: signer(seed, "").public() };
    let site = || key(1, Owner::Site, 90);
    let seven = SiteNumber::new(7).unwrap();
    for (keys, left) in [(vec![site(), key(9, shop, 91)], 1), (vec![site()], 0)] {
        let keys = SiteKeys::new(seven, keys).unwrap();
        for number in [1, 2] {
            park.at(number).list_keys(&keys);
            park.at(number).tidy(now(70));
        }
        meet(&mut park, &[1, 2]);
        assert_eq!(kept(&mut park), left);
    }
}
