//! The paper of a car park: tickets, and receipts with an exit pass and the reasons for the amount. Their codes are real ones, and two
//! decoders read them from the paper.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::GrayImage;
use kioskd::parking::ticket::{
    ClassNumber, Code, EntryTime, Issuer, KeyNumber, LaneNumber, Minute, Owner, Pass, SiteKey, SiteKeys, SiteNumber,
    Ticket as TicketCode, TicketNumber,
};
use kioskd::printer::{BillLine, ExitPass, Item, Receipt, Ticket, TicketEntry};
use kioskd::sale::view::Outcome;
use kioskd::signed::jws::Signer;
use kioskd::vocabulary::Language;
use kioskd_tests::codes::{by_rqrr, by_zbar, seen};

use crate::printer::{assert_golden, bench, by_characters, config, cuts, receipt};

struct Stay {
    number: String,
    ticket: String,
    pass: String,
}

fn stay() -> Stay {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = BASE64_STANDARD.encode([&head[..], &[7; 32]].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    let signer = Signer::from_pem(pem.as_bytes(), "").unwrap();
    let key = SiteKey { number: KeyNumber(1), owner: Owner::Site, key: signer.public() };
    let keys = SiteKeys::new(SiteNumber::new(7).unwrap(), vec![key]).unwrap();
    let issuer = Issuer::new(signer, KeyNumber(1), &keys).unwrap();
    let (lane, minute) = (LaneNumber::new(3).unwrap(), Minute::new(14_154_635).unwrap());
    let number = TicketNumber::new(lane, 4_567).unwrap();
    let ticket =
        Code::Ticket(TicketCode { number, entry: EntryTime::Known(minute), class: ClassNumber::new(1).unwrap() });
    let pass = Pass { stay: number, by: lane, nth: 1, paid: Some(minute), grace: 15, amount: 1_300, lane: Some(lane) };
    Stay {
        number: number.to_string(),
        ticket: issuer.issue(&ticket).unwrap(),
        pass: issuer.issue(&Code::Pass(pass)).unwrap(),
    }
}

/// The words of an operator in each language.
fn words(tag: &str) -> [&'static str; 6] {
    match tag {
        "zh-Hant" => ["中央停車場", "3 號車道", "小客車", "停車費", "首 1 小時", "3 號出口"],
        "zh-Hans" => ["中央停车场", "3 号车道", "小型车", "停车费", "首 1 小时", "3 号出口"],
        _ => ["Central car park", "Lane 3", "Car", "Parking", "First hour", "Lane 3"],
    }
}

/// With everything that a ticket can have.
fn ticket(tag: &str) -> Ticket {
    let (config, language) = (config(), Language::new(tag));
    let [site, lane, class, parking, first, _] = words(tag);
    let Stay { number, ticket: code, .. } = stay();
    let then = if tag == "en" { "each further 30 min" } else { "+ 30 min" };
    Ticket {
        merchant: config.kiosk.merchant.get(&language).into(),
        place: config.kiosk.place.get(&language).into(),
        site: site.into(),
        lane: lane.into(),
        number,
        entry: TicketEntry::Known("2026-11-30 10:35".into()),
        class: Some(class.into()),
        plate: Some("粵B·D12345".into()),
        code,
        phone: config.kiosk.phone.clone(),
        sign: vec![format!("{first}: 5.00"), format!("{then}: 4.00"), format!("{parking} 24 h: 40.00")],
        language,
    }
}

/// Of a lane whose clock is not believed, with no more than a ticket must have.
fn doubtful(tag: &str) -> Ticket {
    let entry = TicketEntry::Unknown { not_before: "2026-11-30 10:35".into(), not_after: "2026-11-30 22:35".into() };
    Ticket { entry, class: None, plate: None, sign: Vec::new(), ..ticket(tag) }
}

/// A stay that is paid.
fn paid(tag: &str) -> Receipt {
    let [_, _, _, parking, first, only_at] = words(tag);
    let Stay { number, pass: code, .. } = stay();
    let part = |text: String, amount| BillLine { text, amount };
    let further = match tag {
        "zh-Hant" => format!("{parking}：2 × 30 分鐘，每次 4.00"),
        "zh-Hans" => format!("{parking}：2 × 30 分钟，每次 4.00"),
        _ => format!("{parking}, Monday to Friday: 2 × 30 min at 4.00, from 11:35 to 12:35"),
    };
    Receipt {
        items: vec![Item { name: parking.into(), quantity: 1, price: 1_300, outcome: Outcome::Delivered }],
        bill: vec![part(first.into(), 500), part(further, 800)],
        taxes: Vec::new(),
        amount: 1_300,
        paid: 1_300,
        pass: Some(ExitPass { code, leave_before: Some("14:35".into()), number, only_at: Some(only_at.into()) }),
        ..receipt(tag)
    }
}

/// The pass of a pay station that does not know the time.
fn timeless(tag: &str) -> Receipt {
    let mut receipt = paid(tag);
    let pass = receipt.pass.take().unwrap();
    Receipt { time: None, pass: Some(ExitPass { leave_before: None, only_at: None, ..pass }), ..receipt }
}

/// Dots of a module on both widths: more than the four that docs/parking.md asks for.
const MODULE: i32 = 6;

/// The codes of the paper from its head to its end, the first of which a lane must read: also where it is blurred, grey, and nearer or
/// farther.
fn assert_read(name: &str, paper: &GrayImage, codes: &[&str]) {
    let found = by_rqrr(paper);
    let texts: Vec<_> = found.iter().map(|found| found.text.as_str()).collect();
    assert_eq!(texts, codes, "{name}, rqrr");
    let first = &found[0];
    assert_eq!(first.version, 5, "{name}");
    assert!((first.width - 37 * MODULE).abs() <= MODULE, "{name}: {} dots", first.width);
    let mut wanted = codes.to_vec();
    wanted.sort_unstable();
    for (scale, blur, darkest, lightest) in
        [(1.0, 0.1, 0, 255), (0.5, 0.3, 40, 200), (0.75, 1.0, 60, 220), (1.0, 1.5, 40, 200), (1.3, 2.0, 60, 130)]
    {
        let mut read = by_zbar(&seen(paper, scale, blur, darkest, lightest));
        read.sort_unstable();
        assert_eq!(read, wanted, "{name}, zbar, scale {scale}, blur {blur}");
    }
    for (scale, blur, darkest, lightest) in [(0.75, 0.3, 60, 220), (1.0, 0.6, 40, 200)] {
        let read = by_rqrr(&seen(paper, scale, blur, darkest, lightest));
        let first = read.first().map(|found| found.text.as_str());
        assert_eq!(first, Some(codes[0]), "{name}, rqrr, scale {scale}, blur {blur}");
    }
}

fn dots(png: &[u8]) -> GrayImage {
    image::load_from_memory(png).unwrap().into_luma8()
}

#[test]
fn a_ticket_is_read_from_the_paper_in_every_language_and_width() {
    let mut papers =
        vec![("zh-Hans", 384, "ticket-clock", doubtful("zh-Hans")), ("en", 576, "ticket-clock", doubtful("en"))];
    for columns in [384, 576] {
        papers.extend(["zh-Hant", "zh-Hans", "en"].map(|tag| (tag, columns, "ticket", ticket(tag))));
    }
    for (tag, columns, what, ticket) in papers {
        let mut bench = bench(columns);
        bench.printer.print_ticket(&ticket).unwrap();
        let (name, png) = (format!("{tag}-{columns}-{what}.png"), bench.world.paper.png());
        assert_golden(&name, &png);
        assert_eq!(cuts(&bench.world.paper.bin()), 1);
        assert_read(&name, &dots(&png), &[&ticket.code]);
    }
}

#[test]
fn an_exit_pass_is_read_before_the_receipts_own_code() {
    let mut papers = vec![("zh-Hant", 384, "pass-timeless", timeless("zh-Hant"))];
    for columns in [384, 576] {
        papers.extend(["zh-Hant", "zh-Hans", "en"].map(|tag| (tag, columns, "pass", paid(tag))));
    }
    for (tag, columns, what, receipt) in papers {
        let mut bench = bench(columns);
        bench.printer.print(&receipt).unwrap();
        let (name, png) = (format!("{tag}-{columns}-{what}.png"), bench.world.paper.png());
        assert_golden(&name, &png);
        assert_eq!(cuts(&bench.world.paper.bin()), 1);
        let (pass, order) = (receipt.pass.unwrap().code, receipt.order.to_string());
        assert_read(&name, &dots(&png), &[&pass, &order]);
    }
}

/// Texts as characters; the codes are pictures here too.
#[test]
fn a_printer_with_characters_of_its_own_prints_the_same_codes() {
    let ticket = ticket("zh-Hans");
    let paper = by_characters(384, |printer| printer.print_ticket(&ticket).unwrap());
    assert!(paper.lines.iter().any(|line| line.trim() == ticket.number), "{:?}", paper.lines);
    assert_golden("zh-Hans-384-ticket-gb18030.png", &paper.png());
    assert_read("ticket", &paper.picture, &[&ticket.code]);
    let receipt = paid("zh-Hans");
    let paper = by_characters(384, |printer| printer.print(&receipt).unwrap());
    assert_golden("zh-Hans-384-pass-gb18030.png", &paper.png());
    let (pass, order) = (receipt.pass.unwrap().code, receipt.order.to_string());
    assert_read("pass", &paper.picture, &[&pass, &order]);
}
