use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::code::Kind;
use super::*;
use crate::parking::tariff::{Label, Worth};
use crate::signed::jws::{Purpose, SIGNATURE, Signer};

/// A private key of this seed, as `openssl genpkey -algorithm ed25519` writes it.
fn signer(seed: u8) -> Signer {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&head[..], &[seed; 32]].concat();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
    Signer::from_pem(pem.as_bytes(), "k").unwrap()
}

fn site(number: u16) -> SiteNumber {
    SiteNumber::new(number).unwrap()
}

fn key(number: u8, owner: Owner, seed: u8) -> SiteKey {
    SiteKey { number: KeyNumber(number), owner, key: signer(seed).public() }
}

fn shop(name: &str) -> Owner {
    Owner::Shop(Label::parse(name).unwrap())
}

fn keys() -> SiteKeys {
    let keys = vec![key(1, Owner::Site, 1), key(2, Owner::Site, 2), key(9, shop("books"), 9)];
    SiteKeys::new(site(7), keys).unwrap()
}

fn issuer(number: u8, seed: u8) -> Issuer {
    Issuer::new(signer(seed), KeyNumber(number), &keys()).unwrap()
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::new(number).unwrap()
}

fn minute(text: &str) -> Minute {
    Minute::of(wall(text)).unwrap()
}

fn wall(text: &str) -> Wall {
    Wall(text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64)
}

fn number(serial: u32) -> TicketNumber {
    TicketNumber::new(lane(3), serial).unwrap()
}

fn ticket() -> Ticket {
    let entry = EntryTime::Known(minute("2026-11-30T14:35:00Z"));
    Ticket { number: number(4_567), entry, class: ClassNumber::default() }
}

fn pass() -> Pass {
    let paid = Some(minute("2026-11-30T16:02:00Z"));
    Pass { stay: number(4_567), by: lane(2), nth: 1, paid, grace: 15, amount: 1_050, lane: None }
}

fn validation() -> Validation {
    let number = ValidationNumber { key: KeyNumber(9), serial: 77 };
    Validation { number, worth: Worth::Minutes(120), until: minute("2026-12-01T00:00:00Z") }
}

fn season() -> Season {
    let plate = Some(Plate::typed("京A12345").unwrap());
    Season { number: 17, season: 2, until: minute("2026-12-31T15:59:00Z"), plate }
}

fn all() -> Vec<Code> {
    let doubtful = EntryTime::Doubtful { earliest: minute("2026-11-30T14:35:00Z"), quarters: 255 };
    let late = Minute::new(0).unwrap().later(u32::MAX);
    vec![
        Code::Ticket(ticket()),
        Code::Ticket(Ticket { entry: doubtful, class: ClassNumber::new(15).unwrap(), ..ticket() }),
        Code::Ticket(Ticket {
            number: TicketNumber::new(lane(99), TicketNumber::LAST).unwrap(),
            entry: EntryTime::Known(late),
            ..ticket()
        }),
        Code::Pass(pass()),
        Code::Pass(Pass { paid: None, lane: Some(lane(99)), amount: 0, nth: 0, ..pass() }),
        Code::Pass(Pass {
            paid: Some(late),
            nth: Pass::MOST,
            grace: Pass::LONGEST_GRACE,
            amount: Pass::MOST_PAID,
            ..pass()
        }),
        Code::Validation(validation()),
        Code::Validation(Validation { worth: Worth::Percent(100), ..validation() }),
        Code::Validation(Validation { worth: Worth::Amount(1_000_000_000), ..validation() }),
        Code::Season(season()),
        Code::Season(Season { number: 0, season: 0, plate: None, ..season() }),
        Code::Season(Season {
            number: u32::MAX,
            season: 255,
            until: late,
            plate: Some(Plate::typed("京津沪渝冀晋").unwrap()),
        }),
    ]
}

fn issued(code: &Code) -> String {
    let issuer = if code.kind() == Kind::Validation { issuer(9, 9) } else { issuer(1, 1) };
    issuer.issue(code).unwrap()
}

fn read(text: &str) -> Result<Code, BadCode> {
    Code::read(text, &keys())
}

#[test]
fn a_code_says_what_was_written() {
    for code in all() {
        let text = issued(&code);
        assert!(text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
        assert_eq!(read(&text), Ok(code));
    }
    assert_eq!(LONGEST, 236);
}

/// The layout is a promise: a ticket that was printed by an older release is read by a newer one.
#[test]
fn a_code_is_written_as_ever() {
    let bytes = digits::read(&issued(&Code::Ticket(ticket()))).unwrap();
    assert_eq!(bytes[..14], [0x11, 1, 0, 7, 3, 0, 0x11, 0xd7, 0, 0xd8, 0x01, 0x2b, 0, 0]);
    let bytes = digits::read(&issued(&Code::Pass(pass()))).unwrap();
    assert_eq!(bytes[..13], [0x12, 1, 0, 7, 3, 0, 0x11, 0xd7, 2, 0, 0, 4, 0x1a]);
    let when = 1 << 36 | 14_156_162u64 << 10 | 15;
    assert_eq!((&bytes[13..18], bytes[18]), (&when.to_be_bytes()[3..], 0));
    let bytes = digits::read(&issued(&Code::Validation(validation()))).unwrap();
    assert_eq!(bytes[..13], [0x13, 9, 0, 7, 0, 0, 0, 77, 0, 0, 0, 0, 120]);
    let bytes = digits::read(&issued(&Code::Season(season()))).unwrap();
    assert_eq!(bytes[..9], [0x14, 1, 0, 7, 0, 0, 0, 17, 2]);
    assert_eq!(bytes[9..13], season().until.get().to_be_bytes());
    assert_eq!((&bytes[13..22], bytes[22..33].iter().max()), ("京A12345".as_bytes(), Some(&0)));
}

/// Bytes with another head or content and a signature that holds for a purpose.
fn signed(bytes: &[u8], purpose: Purpose, seed: u8) -> String {
    digits::write(&[bytes, &signer(seed).sign_bytes(purpose, bytes)].concat())
}

fn unsigned(code: &Code) -> Vec<u8> {
    let bytes = digits::read(&issued(code)).unwrap();
    bytes[..bytes.len() - SIGNATURE].to_vec()
}

#[test]
fn every_trouble_has_its_own_words() {
    let text = issued(&Code::Ticket(ticket()));
    let ticket = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = unsigned(&Code::Ticket(ticket()));
        change(&mut bytes);
        signed(&bytes, Purpose::ParkingTicket, 1)
    };
    let at = |nth: usize, byte: u8| ticket(&move |bytes: &mut Vec<u8>| bytes[nth] = byte);
    // The third group of seventeen digits, larger than seven bytes are.
    let mut misread = text.clone();
    misread.replace_range(34..51, &"9".repeat(17));
    let owner = |kind, owner: &str| BadCode::WrongKey { kind, owner: owner.into() };
    let cases = [
        ("9".repeat(LONGEST + 1), BadCode::TooLong),
        ("9".repeat(1 << 20), BadCode::TooLong),
        (text.replace('0', "O"), BadCode::NotDigits),
        (format!("{text} "), BadCode::NotDigits),
        ("https://example.com/ticket/1".into(), BadCode::NotDigits),
        (String::new(), BadCode::NotOurs),
        // A payment code of a wallet, and a barcode.
        ("4006381333931".into(), BadCode::NotOurs),
        ("1".into(), BadCode::NotOurs),
        ("9".repeat(190), BadCode::NotOurs),
        (at(0, 0x21), BadCode::UnknownVersion(2)),
        (at(0, 0x15), BadCode::UnknownKind(5)),
        (at(0, 0x10), BadCode::UnknownKind(0)),
        (text[..text.len() - 1].into(), BadCode::Truncated(Kind::Ticket)),
        (text[..17].into(), BadCode::Truncated(Kind::Ticket)),
        (format!("{text}0"), BadCode::Trailing(Kind::Ticket)),
        (misread, BadCode::Damaged),
        (at(3, 8), BadCode::ForeignSite(8)),
        (at(1, 3), BadCode::UnknownKey(KeyNumber(3))),
        (at(1, 9), owner(Kind::Ticket, "the shop `books`")),
        (at(4, 0), BadCode::Content("there is no such lane")),
        (at(4, 100), BadCode::Content("there is no such lane")),
        (at(5, 255), BadCode::Content("there is no such ticket")),
        (at(8, 255), BadCode::Content("there is no such time")),
        (at(13, 16), BadCode::Content("there is no such class of vehicles")),
    ];
    let mut told = std::collections::BTreeSet::new();
    for (text, wrong) in cases {
        assert_eq!(read(&text), Err(wrong.clone()), "{text:.60}");
        told.insert(wrong.to_string());
    }
    let validation = |change: &dyn Fn(&mut Vec<u8>), seed| {
        let mut bytes = unsigned(&Code::Validation(validation()));
        change(&mut bytes);
        read(&signed(&bytes, Purpose::Validation, seed)).unwrap_err()
    };
    assert_eq!(validation(&|bytes| bytes[1] = 1, 1), owner(Kind::Validation, "the site"));
    assert_eq!(validation(&|_| (), 1), BadCode::Signature);
    for (nth, byte) in [(8, 3), (12, 0), (9, 255)] {
        assert!(matches!(validation(&|bytes| bytes[nth] = byte, 9), BadCode::Content(_)), "{nth}");
    }
    // A plate that is none, is written otherwise, or has something behind it.
    for (nth, byte) in [(16, b'a'), (16, b'/'), (30, b' '), (13, 0xff), (9, 255)] {
        let mut bytes = unsigned(&Code::Season(season()));
        bytes[nth] = byte;
        let wrong = read(&signed(&bytes, Purpose::SeasonPass, 1)).unwrap_err();
        assert!(matches!(wrong, BadCode::Content(_)), "{nth}: {wrong}");
    }
    assert!(told.len() > 15, "{told:#?}");
    assert!(told.iter().all(|told| told.contains(' ') && told.len() > 30), "{told:#?}");
}

#[test]
fn one_kind_is_never_taken_for_another() {
    for (code, purpose) in all().into_iter().map(|code| (code.clone(), code.kind())) {
        let text = issued(&code);
        let as_ticket = Code::read_ticket(&text, &keys());
        let as_pass = Code::read_pass(&text, &keys());
        let as_validation = Code::read_validation(&text, &keys());
        let held = [as_ticket.is_ok(), as_pass.is_ok(), as_validation.is_ok()];
        assert_eq!(held, [Kind::Ticket, Kind::Pass, Kind::Validation].map(|kind| kind == purpose));
    }
    // Nor when the site's own key signs the bytes of one for the purpose of another, as it might if somebody found a lane
    // that signs what he chooses.
    for (code, purpose) in [
        (Code::Ticket(ticket()), Purpose::ExitPass),
        (Code::Pass(pass()), Purpose::ParkingTicket),
        (Code::Pass(pass()), Purpose::LaneFacts),
        (Code::Season(season()), Purpose::ParkingTicket),
        (Code::Ticket(ticket()), Purpose::SeasonPass),
    ] {
        assert_eq!(read(&signed(&unsigned(&code), purpose, 1)), Err(BadCode::Signature));
    }
    let other = Code::read_pass(&issued(&Code::Ticket(ticket())), &keys()).unwrap_err();
    assert_eq!(other.to_string(), "this is a parking ticket; scan an exit pass");
}

#[test]
fn nothing_is_accepted_that_differs_in_a_digit_or_a_bit() {
    for code in [Code::Ticket(ticket()), Code::Pass(pass()), Code::Validation(validation()), Code::Season(season())] {
        let text = issued(&code);
        for at in 0..text.len() {
            for digit in '0'..='9' {
                let mut changed = text.clone();
                changed.replace_range(at..=at, &digit.to_string());
                assert_eq!(read(&changed).is_ok(), changed == text, "digit {at}");
            }
            let (before, after) = text.split_at(at);
            assert!(read(before).is_err() && read(after).is_err_and(|_| at > 0) | (at == 0));
            assert!(read(&format!("{before}0{after}")).is_err(), "inserted at {at}");
            assert!(read(&format!("{before}{}", &after[1..])).is_err(), "left out at {at}");
        }
        let bytes = digits::read(&text).unwrap();
        for at in 0..bytes.len() {
            for flip in 1..=255u8 {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                assert!(read(&digits::write(&changed)).is_err(), "byte {at} ^ {flip}");
            }
        }
    }
}

#[test]
fn two_keys_are_live_and_a_third_is_not() {
    let code = Code::Ticket(ticket());
    let (old, new) = (issuer(1, 1).issue(&code).unwrap(), issuer(2, 2).issue(&code).unwrap());
    assert_ne!(old, new);
    for text in [&old, &new] {
        assert_eq!(read(text), Ok(code.clone()));
    }
    let after = SiteKeys::new(site(7), vec![key(2, Owner::Site, 2), key(3, Owner::Site, 3)]).unwrap();
    assert_eq!(Code::read(&new, &after), Ok(code));
    assert_eq!(Code::read(&old, &after), Err(BadCode::UnknownKey(KeyNumber(1))));
    // A number that was given again.
    let again = SiteKeys::new(site(7), vec![key(1, Owner::Site, 4)]).unwrap();
    assert_eq!(Code::read(&old, &again), Err(BadCode::Signature));
}

#[test]
fn what_is_wrong_with_keys_is_said() {
    let new = |keys| SiteKeys::new(site(7), keys).unwrap_err();
    let many = (0..65).map(|nth| key(nth, shop(&format!("s{nth}")), nth)).collect();
    assert_eq!(new(many), BadKeys::TooMany(65));
    assert_eq!(new(vec![key(9, shop("books"), 9)]), BadKeys::None);
    let three = (1..=3).map(|nth| key(nth, Owner::Site, nth)).collect();
    assert_eq!(new(three).to_string(), "the site has three keys; two are live at a time, so remove the oldest");
    let three = (1..=3).map(|nth| key(nth, shop("books"), nth)).collect();
    assert_eq!(new(three), BadKeys::Three("the shop `books`".into()));
    let (one, two) = (KeyNumber(1), KeyNumber(2));
    assert_eq!(new(vec![key(1, Owner::Site, 1), key(1, Owner::Site, 2)]), BadKeys::SameNumber(one));
    assert_eq!(new(vec![key(1, Owner::Site, 1), key(2, shop("books"), 1)]), BadKeys::SameKey(one, two));
    let issuer = |seed, number| Issuer::new(signer(seed), KeyNumber(number), &keys()).unwrap_err();
    assert_eq!((issuer(5, 5), issuer(2, 1)), (BadKeys::Unknown(KeyNumber(5)), BadKeys::OtherKey(one)));
}

#[test]
fn an_issuer_signs_what_is_its_own() {
    assert!(issuer(1, 1).issue(&Code::Validation(validation())).is_err());
    for code in [Code::Ticket(ticket()), Code::Pass(pass()), Code::Season(season())] {
        assert!(issuer(9, 9).issue(&code).is_err());
    }
    for bad in [
        Code::Pass(Pass { nth: 16, ..pass() }),
        Code::Pass(Pass { grace: 1_024, ..pass() }),
        Code::Pass(Pass { amount: -1, ..pass() }),
        Code::Pass(Pass { amount: Pass::MOST_PAID + 1, ..pass() }),
    ] {
        assert!(issuer(1, 1).issue(&bad).is_err(), "{bad:?}");
    }
    for worth in [Worth::Percent(101), Worth::Percent(0), Worth::Minutes(1_000_001), Worth::Amount(-1)] {
        assert!(issuer(9, 9).issue(&Code::Validation(Validation { worth, ..validation() })).is_err(), "{worth:?}");
    }
    let other = ValidationNumber { key: KeyNumber(8), serial: 1 };
    assert!(issuer(9, 9).issue(&Code::Validation(Validation { number: other, ..validation() })).is_err());
}

#[test]
fn doubt_about_the_entry_is_the_customers_and_bounded() {
    let (sure, now) = (wall("2026-11-30T10:00:00Z"), wall("2026-11-30T14:35:20Z"));
    assert_eq!(EntryTime::of(Some(now), sure, 600), Some(EntryTime::Known(minute("2026-11-30T14:35:00Z"))));
    let doubtful = EntryTime::of(None, sure, 100).unwrap();
    assert_eq!(doubtful, EntryTime::Doubtful { earliest: minute("2026-11-30T10:00:00Z"), quarters: 7 });
    assert_eq!(doubtful.doubt(), 105);
    // Priced from the end of the doubt, and never from later than now.
    assert_eq!(doubtful.charged_from(minute("2026-11-30T14:35:00Z")), minute("2026-11-30T11:45:00Z"));
    assert_eq!(doubtful.charged_from(minute("2026-11-30T10:20:00Z")), minute("2026-11-30T10:20:00Z"));
    assert_eq!(EntryTime::of(None, sure, u32::MAX).unwrap().doubt(), EntryTime::MOST_DOUBT);
    assert_eq!(EntryTime::of(None, sure, 0).unwrap().doubt(), 15);
    assert_eq!(EntryTime::of(None, Wall(0), 0), None);
    // A clock from before the year 2000 is none.
    assert_eq!(EntryTime::of(Some(Wall(1)), sure, 15).unwrap().earliest(), minute("2026-11-30T10:00:00Z"));
}

#[test]
fn a_ticket_from_the_future_is_refused_and_clocks_may_differ() {
    let ticket = ticket();
    for now in ["2026-11-30T14:30:00Z", "2026-11-30T14:36:00Z", "2027-11-30T14:36:00Z"] {
        assert_eq!(ticket.is_past(Some(wall(now))), Ok(()), "{now}");
    }
    let wrong = ticket.is_past(Some(wall("2026-11-30T14:29:59Z"))).unwrap_err().to_string();
    assert!(wrong.contains("2026-11-30 14:35Z") && wrong.contains("2026-11-30 14:29Z"), "{wrong}");
    assert_eq!(ticket.is_past(None), Ok(()));
}

#[test]
fn a_validation_has_a_last_minute() {
    let validation = validation();
    assert_eq!(validation.is_good(Some(wall("2026-12-01T00:00:59Z"))), Ok(()));
    assert_eq!(validation.is_good(None), Ok(()));
    let wrong = validation.is_good(Some(wall("2026-12-01T00:01:00Z"))).unwrap_err().to_string();
    assert!(
        wrong.starts_with("the validation was good until 2026-12-01 00:00Z, and now it is 2026-12-01 00:01Z"),
        "{wrong}"
    );
    // Not for longer than lanes remember, whatever the shop, or who has its key, has signed.
    assert_eq!(validation.is_good(Some(wall("2026-10-30T23:55:00Z"))), Ok(()));
    let early = validation.is_good(Some(wall("2026-10-30T23:54:00Z")));
    assert_eq!(early, Err(BadCode::TooEarly { until: validation.until }));
}

#[test]
fn a_season_pass_has_a_last_minute() {
    let season = season();
    assert_eq!(season.is_good(Some(wall("2026-12-31T15:59:59Z"))), Ok(()));
    assert_eq!(season.is_good(None), Ok(()));
    let wrong = season.is_good(Some(wall("2026-12-31T16:00:00Z"))).unwrap_err().to_string();
    assert!(wrong.starts_with("the season pass was good until 2026-12-31 15:59Z"), "{wrong}");
}
