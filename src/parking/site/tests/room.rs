//! Documents are bounded, and nothing is lost for that.

use super::*;

/// A plate as long as one may be.
fn long(nth: u32) -> String {
    format!("京津沪渝冀{nth:05}")
}

#[test]
fn the_longest_document_is_a_message() {
    let mut park = CarPark::new(2);
    let count = 4_000;
    for nth in 0..count {
        let ticket = park.enter(1, Some(&long(nth)));
        let before = Before { stay: Stay::LAST, first: NOON, exit: NOON, paid: u32::MAX };
        park.at(1).amend(ticket.serial(), |entered| entered.before = Some(before)).unwrap();
        let (stay, at) = (Stay(ticket), None);
        let lane = Some(lane(99));
        let paid = Paid { stay, nth: 15, at, grace: 1_023, amount: u32::MAX, doubt: u16::MAX, lane };
        park.record(1, Fact::Paid(paid));
        let number = ValidationNumber { key: KeyNumber(255), serial: u32::MAX - nth };
        park.record(1, Fact::ValidationUsed(ValidationUsed { number, stay, until: NOON }));
        let other = TicketNumber::new(super::lane(99), TicketNumber::LAST - nth).unwrap();
        let how = How::Pass { by: super::lane(99), nth: 15 };
        park.record(1, Fact::Left(Left { stay: Stay(other), at: Some(NOON), how }));
        park.record(1, Fact::SeasonUsed(SeasonUsed { season: u32::MAX - nth, nth: SeasonUsed::MOST, stay }));
    }
    let document = park.at(1).publish().unwrap().unwrap();
    let message = document.sign(&signer(1, "7/1")).unwrap();
    assert!(message.len() <= LONGEST, "{} bytes", message.len());
    // And there is not much more room than is used, besides that of season passes that are out.
    assert!(message.len() > LONGEST * 6 / 10, "{} bytes", message.len());
    let money = document.paid.len() + document.validations.len() + document.seasons.len();
    let counts = (document.entered.len(), money, document.left.len());
    println!("the longest of each: {counts:?} in {} bytes", message.len());
    assert!(counts.0 > 380 && counts.1 > 300 && counts.2 > 300, "{counts:?}");
    // The arithmetic of the documentation, with the longest head.
    let seen = (1..=32).map(|number| (super::lane(number), u64::MAX)).collect();
    let season_counts = (0..750).map(|nth| (u32::MAX - nth, u32::MAX)).collect();
    let next = TicketNumber::LAST;
    let head = Document { seq: u64::MAX, stand: u64::MAX, seen, season_counts, next, ..document.clone() };
    let message = head.sign(&signer(1, "65535/99")).unwrap();
    assert!(message.len() <= LONGEST, "{} bytes", message.len());

    // Whose entry is not told is inside nevertheless, for this lane and for those that count.
    assert_eq!(document.untold as usize + document.entered.len(), count as usize);
    let last = TicketNumber::new(super::lane(1), count).unwrap();
    assert!(document.next <= last.serial());
    let message = document.sign(&signer(1, "7/1")).unwrap();
    park.at(2).take(&message, super::lane(1), now(0)).unwrap();
    assert_eq!(park.occupancies(), [u64::from(count); 2]);
    assert_eq!(park.at(2).over(last), None, "its ticket is not over");
}

#[test]
fn a_long_time_apart_is_caught_up_with_in_rounds() {
    let mut park = CarPark::new(2);
    let tickets: Vec<TicketNumber> = (0..5_000).map(|_| park.enter(1, None)).collect();
    for ticket in &tickets {
        let pass = park.pay(2, *ticket, 300);
        assert!(park.leave(2, *ticket, &[pass]));
    }
    let first = park.at(2).publish().unwrap().unwrap();
    assert!((300..700).contains(&first.left.len()), "{}", first.left.len());
    assert!(tickets.iter().all(|ticket| park.lanes[1].over(*ticket).is_some()), "whether they are told or not");
    let message = first.sign(&signer(2, "7/2")).unwrap();
    park.at(1).take(&message, lane(2), now(70)).unwrap();
    let rounds = park.settle();
    assert!((5..45).contains(&rounds), "{rounds} rounds");
    assert_eq!(park.occupancies(), [0, 0]);
    let last = park.at(2).last().unwrap();
    assert!(last.left.is_empty() && last.paid.is_empty(), "{} and {}", last.left.len(), last.paid.len());
    assert!(park.reported.iter().all(Vec::is_empty));
}

/// Whoever acknowledges one side of a conflict tells the other with it, however full its document is.
#[test]
fn what_was_done_twice_does_not_wait_for_room() {
    let mut park = CarPark::new(3);
    let tickets: Vec<TicketNumber> = (0..2_000).map(|_| park.enter(1, None)).collect();
    while park.tell(1, &[2, 3]) | park.tell(2, &[1, 3]) | park.tell(3, &[1, 2]) {}
    let passes: Vec<Pass> = tickets.iter().map(|ticket| park.pay(2, *ticket, 300)).collect();
    for (ticket, pass) in tickets.iter().zip(&passes) {
        assert!(park.leave(2, *ticket, &[*pass]));
    }
    let (copied, pass) = (tickets[1_999], passes[1_999]);
    assert!(park.leave(3, copied, &[pass]));
    assert!(!park.at(2).publish().unwrap().unwrap().left.iter().any(|left| left.stay.0 == copied), "it waits");
    // What it hears of is told next, though nothing was forgotten that would have left room.
    let before = park.at(2).last().unwrap().left.len();
    park.tell(3, &[2]);
    let next = park.at(2).publish().unwrap().unwrap();
    assert!(next.left.len() > before && next.left.iter().any(|left| left.stay.0 == copied));
    for (hearer, from) in [(1, 3), (1, 2), (3, 2)] {
        park.hear(hearer, from);
    }
    park.settle();
    assert_eq!(park.reported.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(park.occupancies(), [0; 3]);
}

/// A camera that reads every plate after its car came in makes no document too large.
#[test]
fn what_is_known_later_has_room_or_is_not_told() {
    let mut park = CarPark::new(2);
    for _ in 0..2_000 {
        park.enter(1, None);
    }
    let first = park.at(1).publish().unwrap().unwrap();
    let told = first.entered.len();
    let plate = |nth| Some(Plate::typed(&long(nth)).unwrap());
    let amended = (1..=2_000).filter(|nth| park.at(1).amend(*nth, |entered| entered.plate = plate(*nth)).is_ok());
    let amended = amended.count();
    assert_eq!(amended, 2_000 - told, "those that wait");
    assert_eq!(park.at(1).publish(), Ok(None), "what was told stays as it is");
    // With room again it is told.
    for serial in 1..=1_300 {
        let stay = Stay(TicketNumber::new(lane(1), serial).unwrap());
        park.record(1, Fact::Voided(Voided { stay, at: None }));
    }
    assert!(park.at(1).amend(1_301, |entered| entered.plate = plate(1_301)).is_ok());
    let document = park.at(1).publish().unwrap().unwrap();
    assert_eq!(document.entered.iter().filter(|entered| entered.plate.is_some()).count(), 1 + 2_000 - told);
}

#[test]
fn memory_is_bounded() {
    let mut park = CarPark::new(2);
    for nth in 0..MOST_FACTS as u32 {
        let stay = Stay(TicketNumber::new(lane(2), nth + 1).unwrap());
        park.at(1).state.own.record(Fact::Left(Left { stay, at: None, how: How::Person })).unwrap();
    }
    let stay = Stay(TicketNumber::new(lane(2), 9_999_999).unwrap());
    assert_eq!(park.at(1).record(Fact::Voided(Voided { stay, at: None })), Err(NotRecorded::Full));
}
