//! What is on disk of a lane, in parts. That it is always what the lane knows, and written when it has changed and no more, is
//! `tests/parking/site.rs`.

use super::super::document::Known;
use super::super::ended::Ended;
use super::super::parts::Part;
use super::*;

type Written = BTreeMap<String, u64>;

/// What is to be written besides what is on disk, with a dash where it is to be deleted.
fn changed(site: &Site, written: &mut Written) -> Vec<String> {
    let now: Written = site.parts().collect();
    let gone = written.keys().filter(|key| !now.contains_key(*key)).map(|key| format!("-{key}"));
    let new = site.parts().filter(|(key, number)| written.get(key) != Some(number)).map(|(key, _)| key);
    let changed = gone.chain(new).collect();
    *written = now;
    changed
}

/// A start from what is on disk.
fn read_again(parts: BTreeMap<String, String>) -> (State, Written) {
    let written = parts.keys().map(|key| (key.clone(), 0)).collect();
    (State::from_parts(parts).unwrap(), written)
}

#[test]
fn a_change_writes_the_parts_that_it_has_changed() {
    let mut park = CarPark::new(2);
    for _ in 0..200 {
        park.enter(1, None);
    }
    park.settle();
    let mut written = Written::default();
    let all = changed(park.at(1), &mut written);
    assert_eq!(
        all,
        [
            "rest",
            "own",
            "own/seasons",
            "own/last",
            "own/inside/0",
            "own/inside/1",
            "own/inside/2",
            "own/inside/3",
            "known/2"
        ]
    );
    assert_eq!(changed(park.at(1), &mut written), Vec::<String>::new());
    // What was not committed is to be written still.
    park.enter(1, None);
    assert_eq!(changed(park.at(1), &mut written.clone()), ["own", "own/inside/3"]);
    park.enter(1, None);
    assert_eq!(changed(park.at(1), &mut written), ["own", "own/inside/3"]);
    let ticket = park.enter(2, None);
    assert!(changed(park.at(1), &mut written).is_empty());
    park.tell(2, &[1]);
    assert_eq!(changed(park.at(1), &mut written), ["known/2"]);
    park.record(1, Fact::Left(Left { stay: Stay(ticket), at: None, how: How::Person }));
    let stay = Part::ended(ticket.packed()).to_string();
    assert_eq!(changed(park.at(1), &mut written), ["own/facts/0".to_owned(), stay]);
    park.record(1, Fact::Correction(1));
    assert_eq!(changed(park.at(1), &mut written), ["own"]);
    park.settle();
    changed(park.at(1), &mut written);
    assert!(!stored(park.at(1)).keys().any(|key| key.starts_with("own/facts") || key.starts_with("ended")));
}

#[test]
fn a_part_that_is_gone_is_deleted_and_what_was_read_is_not_written_again() {
    let mut park = CarPark::new(3);
    park.enter(2, None);
    park.enter(3, None);
    park.settle();
    let (state, mut written) = read_again(stored(park.at(1)));
    let mut site = Site::restored(roster(3), state);
    assert_eq!(changed(&site, &mut written), Vec::<String>::new());
    site.list_lanes(roster(2));
    assert_eq!(changed(&site, &mut written), ["-known/3"]);
    // It is listed again, and heard again.
    site.list_lanes(roster(3));
    let message = park.at(3).last().unwrap().sign(&signer(3, "7/3")).unwrap();
    site.take(&message, lane(3), now(70)).unwrap();
    assert_eq!(changed(&site, &mut written), ["known/3"]);
    // One that can't be read is left out, and then deleted.
    let mut parts = stored(&site);
    parts.insert("known/3".to_owned(), "{}".to_owned());
    let (state, mut written) = read_again(parts);
    assert_eq!(changed(&Site::restored(roster(3), state), &mut written), ["-known/3"]);
}

#[test]
fn what_is_no_state_is_refused_by_the_part_that_is_wrong() {
    let mut park = CarPark::new(2);
    park.enter(1, None);
    park.settle();
    let parts = stored(park.at(1));
    let wrong = |key: &str, json: Option<&str>| {
        let mut parts = parts.clone();
        match json {
            Some(json) => parts.insert(key.to_owned(), json.to_owned()),
            None => parts.remove(key),
        };
        State::from_parts(parts).unwrap_err().to_string()
    };
    for key in ["rest", "own"] {
        assert!(wrong(key, None).contains(&format!("has no part `{key}`")), "{}", wrong(key, None));
    }
    for key in ["rest", "own", "own/seasons", "own/inside/0", "own/facts/7", "ended/3"] {
        assert!(wrong(key, Some("7")).starts_with(&format!("the part `{key}` of the lane's state: ")));
    }
    for key in ["own/inside/00", "known/0", "known/100", "own/more", "more", "own/inside/-1"] {
        assert!(wrong(key, Some("[]")).contains(&format!("`{key}` is no part")), "{}", wrong(key, Some("[]")));
    }
    assert!(State::from_parts([]).is_err());
}

#[test]
fn a_lane_that_tells_lies_fills_its_own_part_of_what_has_ended() {
    let (mut ended, known) = (Ended::default(), Known::default());
    let stays =
        |of: u8, many: u32| (1..=many).filter_map(move |serial| Some(Stay(TicketNumber::new(lane(of), serial)?)));
    ended.add(lane(1), lane(2), stays(90, 60_000), &known);
    ended.add(lane(1), lane(2), stays(91, 60_000), &known);
    let has = |ended: &Ended, of: u8| stays(of, 60_000).filter(|stay| ended.has(*stay)).count();
    assert_eq!((has(&ended, 90), has(&ended, 91)), (25_000, 0));
    // Another tells the same, which takes no room, and its own.
    ended.add(lane(1), lane(3), stays(90, 25_000).chain(stays(92, 10)), &known);
    assert_eq!((has(&ended, 90), has(&ended, 92)), (25_000, 10));
    // So it is after a restart.
    let mut again = Ended::default();
    for part in ended.parts() {
        let Part::Ended(chunk) = part else { panic!("{part}") };
        again.put(&ended.part(chunk).unwrap()).unwrap();
    }
    again.add(lane(1), lane(2), stays(93, 1), &known);
    again.add(lane(1), lane(4), stays(94, 60_000), &known);
    again.add(lane(1), lane(5), stays(95, 60_000), &known);
    again.add(lane(1), lane(6), stays(96, 60_000), &known);
    let all: Vec<usize> = (90..=96).map(|of| has(&again, of)).collect();
    assert_eq!(all, [25_000, 0, 10, 0, 25_000, 25_000, 24_990]);
    // This lane knows its own tickets.
    again.add(lane(1), lane(7), stays(1, 1), &known);
    assert_eq!(has(&again, 1), 0);
}

/// `cargo test --release --lib -- --ignored --nocapture parking::site::tests::written` measures what docs/parking.md says.
#[test]
#[ignore = "measures"]
fn how_large_the_parts_are() {
    let mut park = CarPark::new(5);
    for nth in 0..300u32 {
        let ticket = park.enter(1 + (nth % 2) as u8, Some(&format!("京A{nth:05}")));
        if nth % 3 == 0 {
            park.pay(3, ticket, 300);
        }
    }
    park.settle();
    for number in [1, 3, 4] {
        let parts = stored(park.at(number));
        let all: usize = parts.values().map(String::len).sum();
        let largest = parts.iter().max_by_key(|(_, json)| json.len()).unwrap();
        let before = std::time::Instant::now();
        for _ in 0..100 {
            assert_eq!(stored(park.at(number)).len(), parts.len());
        }
        let (time, most) = (before.elapsed() / 100, (largest.0, largest.1.len()));
        println!("lane {number}: {} parts, {all} bytes in {time:?}, the largest {most:?}", parts.len());
    }
    let mut written = Written::new();
    changed(park.at(1), &mut written);
    let mut tell = |park: &mut CarPark, number: u8, what: &str| {
        let before = std::time::Instant::now();
        let site = park.at(number);
        let parts = changed(site, &mut written);
        let bytes: usize = parts.iter().filter_map(|key| site.part(key).unwrap()).map(|json| json.len()).sum();
        println!("{what}: {} parts, {bytes} bytes in {:?}", parts.len(), before.elapsed());
    };
    park.enter(1, Some("京A99999"));
    tell(&mut park, 1, "a car comes in");
    park.at(1).publish().unwrap();
    tell(&mut park, 1, "which is published");
    park.pay(3, TicketNumber::new(lane(2), 2).unwrap(), 300);
    park.tell(3, &[1]);
    tell(&mut park, 1, "a payment elsewhere is heard of");
}
