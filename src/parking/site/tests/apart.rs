//! What lanes do that do not hear each other, and what is kept of it.

use super::*;

fn validation(serial: u32, stay: TicketNumber, until: Minute) -> Fact {
    let number = ValidationNumber { key: KeyNumber(9), serial };
    Fact::ValidationUsed(ValidationUsed { number, stay: Stay(stay), until })
}

fn left(stay: TicketNumber) -> Fact {
    Fact::Left(Left { stay: Stay(stay), at: Some(NOON), how: How::Ticket })
}

/// The sum that a pass tells counts where its own payment was heard of, and not the one before.
#[test]
fn who_shows_a_pass_has_paid_its_sum() {
    let mut park = CarPark::new(4);
    let ticket = park.enter(1, None);
    park.settle();
    let first = park.pay(2, ticket, 300);
    // Pay station 3 has not heard of it, and is shown the pass. He has stayed too long.
    let known = park.at(3).may_pay(ticket, &[first]).unwrap().unwrap();
    let nth = known.next().unwrap();
    let paid = Paid { stay: Stay(ticket), nth, at: Some(NOON.later(80)), grace: 15, amount: 50, doubt: 0, lane: None };
    park.record(3, Fact::Paid(paid));
    let second = paid.pass(lane(3), known.amount());
    assert_eq!(second.amount, 350);
    park.tell(3, &[4]);
    for _ in 0..2 {
        for shown in [&[second][..], &[first, second], &[second, first]] {
            assert_eq!(park.at(4).paid(ticket, shown).unwrap().amount(), 350);
        }
        park.tell(2, &[4]);
    }
    assert_eq!(park.at(4).paid(ticket, &[]).unwrap().amount(), 350);
    park.settle();
    assert!(park.reported.iter().all(Vec::is_empty));
}

#[test]
fn a_payment_has_the_number_of_when_its_price_was_asked() {
    let mut park = CarPark::new(3);
    let ticket = park.enter(1, None);
    park.settle();
    let asked = park.at(3).may_pay(ticket, &[]).unwrap();
    assert_eq!(asked, None);
    park.pay(2, ticket, 300);
    park.tell(2, &[1, 3]);
    // While he held his card to it.
    let stay = Stay(ticket);
    let nth = asked.map_or(0, |asked| asked.next().unwrap());
    park.record(3, Fact::Paid(Paid { stay, nth, at: Some(NOON), grace: 15, amount: 300, doubt: 0, lane: None }));
    park.settle();
    let told = park.reported.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(told, [1, 1, 1], "{:?}", park.reported);
}

#[test]
fn of_season_passes_the_one_that_was_used_the_longest_ago_is_forgotten() {
    let mut park = CarPark::new(1);
    for nth in 0..751 {
        let ticket = park.enter(1, None);
        park.record(1, Fact::SeasonUsed(SeasonUsed { season: 10_000 - nth, nth: 0, stay: Stay(ticket) }));
        park.record(1, left(ticket));
    }
    for _ in 0..6 {
        park.publish(1);
        park.at(1).tidy(now(70));
    }
    let document = park.publish(1).unwrap_or_default();
    assert!(park.at(1).last().unwrap().seasons.is_empty(), "{}", document.len());
    let ticket = park.enter(1, None);
    let next = |season| park.lanes[0].season_used(season, ticket).nth;
    assert_eq!((next(9_250), next(9_999), next(10_000)), (1, 1, 0));
    let much = SeasonUsed { season: 1, nth: SeasonUsed::MOST + 1, stay: Stay(ticket) };
    assert_eq!(park.at(1).record(Fact::SeasonUsed(much)), Err(NotRecorded::Season));
}

#[test]
fn a_validation_is_kept_until_no_clock_takes_it() {
    let mut park = CarPark::new(1);
    let ticket = park.enter(1, None);
    park.record(1, validation(5, ticket, NOON.later(60)));
    for (minute, kept) in [(60, 1), (65, 1), (66, 0)] {
        park.publish(1);
        park.at(1).tidy(now(minute));
        park.publish(1);
        assert_eq!(park.at(1).last().unwrap().validations.len(), kept, "after {minute} minutes");
    }
}

#[test]
fn payments_do_not_wait_behind_validations() {
    let mut park = CarPark::new(1);
    let ticket = park.enter(1, None);
    for serial in 0..2_000 {
        park.record(1, validation(serial, ticket, NOON.later(90)));
    }
    park.pay(1, ticket, 300);
    let document = park.at(1).publish().unwrap().unwrap();
    assert_eq!(document.paid.len(), 1);
    assert!((120..400).contains(&document.validations.len()), "{}", document.validations.len());
}

#[test]
fn a_validation_makes_no_crowd_of_pairs() {
    let mut park = CarPark::new(2);
    let tickets: Vec<TicketNumber> = (0..4).map(|_| park.enter(1, None)).collect();
    for ticket in &tickets[..3] {
        park.record(2, validation(5, *ticket, NOON.later(90)));
    }
    assert_eq!(park.at(2).record(validation(5, tickets[3], NOON)), Err(NotRecorded::Validation));
    park.record(2, validation(5, tickets[0], NOON.later(90)));
    park.tell(2, &[1]);
    assert!(park.reported.iter().all(Vec::is_empty), "what one lane has done twice it knew: {:?}", park.reported);
    park.record(1, validation(5, tickets[3], NOON.later(90)));
    assert_eq!(park.reported[0].len(), 3);
}

#[test]
fn another_time_makes_no_other_conflict() {
    let mut park = CarPark::new(3);
    let ticket = park.enter(1, None);
    park.settle();
    park.record(2, left(ticket));
    park.record(3, left(ticket));
    park.tell(2, &[1]);
    park.tell(3, &[1]);
    assert_eq!(park.reported[0].len(), 1);
    let mut again = park.at(3).last().unwrap().clone();
    (again.seq, again.stand, again.left[0].at) = (again.seq + 1, again.stand + 1, None);
    let message = again.sign(&signer(3, "7/3")).unwrap();
    let taken = park.at(1).take(&message, lane(3), now(70)).unwrap();
    assert_eq!(taken, Taken { new: true, conflicts: vec![] });
}

/// However much was done twice, a document has its size.
#[test]
fn what_was_told_keeps_its_place_when_it_was_done_twice() {
    let mut park = CarPark::new(3);
    let tickets: Vec<TicketNumber> = (0..1_200).map(|_| park.enter(1, None)).collect();
    park.settle();
    let mut most = 0;
    for part in tickets.chunks(400) {
        for number in [2, 3] {
            part.iter().for_each(|ticket| park.record(number, left(*ticket)));
        }
        let document = park.at(2).publish().unwrap().unwrap();
        most = most.max(document.left.len());
        park.publish(3);
        park.hear(2, 3);
    }
    assert!((350..520).contains(&most), "{most}");
    for (hearer, from) in [(1, 2), (1, 3), (3, 2)] {
        park.hear(hearer, from);
    }
    park.settle();
    assert_eq!(park.occupancies(), [0; 3]);
}

#[test]
fn a_state_that_makes_too_large_a_document_says_so() {
    let mut park = CarPark::new(1);
    for _ in 0..5_000 {
        park.enter(1, None);
    }
    let mut parts = stored(park.at(1));
    for (_, json) in parts.iter_mut().filter(|(key, _)| key.starts_with("own/inside/")) {
        *json = json.replace("\"told\":false", "\"told\":true");
    }
    let mut site = Site::restored(roster(1), read(parts));
    let wrong = site.publish().unwrap_err().to_string();
    assert!(wrong.contains("a document has at most 98004: its state is damaged"), "{wrong}");
    assert_eq!(site.last(), None);
}

/// What another version has stored of others is heard again; what it has stored of this lane's own is not guessed at.
#[test]
fn a_state_of_another_version() {
    let mut park = CarPark::new(2);
    park.enter(1, None);
    park.enter(2, None);
    park.settle();
    let mut parts = stored(park.at(1));
    for key in ["known/2", "own/last"] {
        let json = parts.get_mut(key).unwrap();
        *json = json.replace("\"stand\"", "\"more\":1,\"stand\"");
    }
    let mut site = Site::restored(roster(2), read(parts.clone()));
    assert_eq!((site.known(), site.last(), site.occupancy()), (&Known::default(), None, 1));
    let before = park.at(1).last().unwrap().seq;
    assert_eq!(site.publish().unwrap().unwrap().seq, before + 1);
    let message = park.at(2).last().unwrap().sign(&signer(2, "7/2")).unwrap();
    assert!(site.take(&message, lane(2), now(70)).unwrap().new);
    assert_eq!(site.occupancy(), 2);
    let rest = parts.get_mut("rest").unwrap();
    *rest = rest.replace("\"v\":1", "\"v\":2");
    let wrong = State::from_parts(parts).unwrap_err().to_string();
    assert!(wrong.contains("of version 2, which this software does not read; update it"), "{wrong}");
}

#[test]
fn cars_that_nobody_saw_leave_are_listed() {
    let mut park = CarPark::new(2);
    let old = park.enter(1, None);
    let ticket = park.at(1).next_ticket().unwrap();
    let entry = EntryTime::Doubtful { earliest: NOON, quarters: 4 };
    let (serial, class, plate) = (ticket.serial(), ClassNumber::default(), None);
    park.record(1, Fact::Entered(Entered { serial, entry, class, plate, before: None }));
    park.settle();
    let listed =
        |minutes| park.lanes[1].inside_since(NOON.later(minutes)).map(|(ticket, _)| ticket).collect::<Vec<_>>();
    assert_eq!((listed(0), listed(60), listed(61)), (vec![], vec![old], vec![old, ticket]));
}
