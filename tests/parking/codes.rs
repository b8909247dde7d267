//! Tickets, passes and validations as a QR code on paper: how large they are, and that two decoders read them from the smallest print
//! that docs/parking.md recommends, one of them after a blur.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use image::{GrayImage, Luma};
use kioskd::parking::tariff::{Label, Worth};
use kioskd::parking::ticket::{
    ClassNumber, Code, EntryTime, Issuer, KeyNumber, LONGEST, LaneNumber, Minute, Owner, Pass, SiteKey, SiteKeys,
    SiteNumber, Ticket, TicketNumber, Validation, ValidationNumber,
};
use kioskd::signed::jws::Signer;
use kioskd_tests::codes::{by_rqrr, by_zbar, seen};
use qrcode::{Color, EcLevel, QrCode, Version};

/// A private key of this seed, as `openssl genpkey -algorithm ed25519` writes it.
pub fn signer(seed: u8, kid: &str) -> Signer {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&head[..], &[seed; 32]].concat();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
    Signer::from_pem(pem.as_bytes(), kid).unwrap()
}

fn keys() -> SiteKeys {
    let shop = Owner::Shop(Label::parse("books").unwrap());
    let key = |number, owner, seed| SiteKey { number: KeyNumber(number), owner, key: signer(seed, "").public() };
    SiteKeys::new(SiteNumber::new(65_535).unwrap(), vec![key(200, Owner::Site, 1), key(201, shop, 2)]).unwrap()
}

/// The longest of each kind.
fn codes() -> [(&'static str, Code, String); 3] {
    let (lane, minute) = (LaneNumber::new(99).unwrap(), Minute::new(14_154_635).unwrap());
    let number = TicketNumber::new(lane, TicketNumber::LAST).unwrap();
    let class = ClassNumber::new(15).unwrap();
    let entry = EntryTime::Doubtful { earliest: minute, quarters: 255 };
    let site = Issuer::new(signer(1, ""), KeyNumber(200), &keys()).unwrap();
    let shop = Issuer::new(signer(2, ""), KeyNumber(201), &keys()).unwrap();
    let (paid, amount) = (Some(minute), Pass::MOST_PAID);
    let ticket = Code::Ticket(Ticket { number, entry, class });
    let pass = Code::Pass(Pass { stay: number, by: lane, nth: 15, paid, grace: 1_023, amount, lane: Some(lane) });
    let serial = ValidationNumber { key: KeyNumber(201), serial: u32::MAX };
    let validation =
        Code::Validation(Validation { number: serial, worth: Worth::Amount(1_000_000_000), until: minute });
    [
        ("ticket", ticket.clone(), site.issue(&ticket).unwrap()),
        ("pass", pass.clone(), site.issue(&pass).unwrap()),
        ("validation", validation.clone(), shop.issue(&validation).unwrap()),
    ]
}

fn qr(text: &str) -> QrCode {
    QrCode::with_error_correction_level(text, EcLevel::M).unwrap()
}

fn version(text: &str) -> i16 {
    match qr(text).version() {
        Version::Normal(version) | Version::Micro(version) => version,
    }
}

/// The bytes of a code of digits, as `digits` writes them: seven in seventeen.
fn bytes(text: &str) -> Vec<u8> {
    let digits = [0, 3, 5, 8, 10, 13, 15, 17];
    let groups = text.as_bytes().chunks(17).map(|group| {
        let number: u64 = std::str::from_utf8(group).unwrap().parse().unwrap();
        let count = digits.iter().position(|digits| *digits == group.len()).unwrap();
        number.to_be_bytes()[8 - count..].to_vec()
    });
    groups.flatten().collect()
}

/// RFC 9285, as far as it is needed to see how long it gets.
fn base45(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let mut text = String::new();
    for pair in bytes.chunks(2) {
        let mut number = pair.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        for _ in 0..=pair.len() {
            text.push(char::from(SIGNS[number % 45]));
            number /= 45;
        }
    }
    text
}

/// Digits make the smallest code there is: as small as base 45, whose signs a keyboard layout changes, and smaller than base 32
/// and base 64.
#[test]
fn digits_make_the_smallest_code() {
    for (name, _, text) in codes() {
        let bytes = bytes(&text);
        let ways = [
            ("digits", text.clone()),
            ("base45", base45(&bytes)),
            ("base32", data_encoding::BASE32_NOPAD.encode(&bytes)),
            ("base64url", BASE64_URL_SAFE_NO_PAD.encode(&bytes)),
            ("hex", data_encoding::HEXUPPER.encode(&bytes)),
        ];
        let sizes = ways.map(|(way, text)| (way, text.len(), version(&text)));
        println!("{name}, {} bytes: {sizes:?}", bytes.len());
        assert_eq!(sizes[0].2, 5, "{name}: {sizes:?}");
        assert!(text.len() <= LONGEST);
        assert!(sizes.iter().all(|(_, _, version)| *version >= sizes[0].2), "{name}: {sizes:?}");
        assert!(sizes[2..].iter().all(|(_, _, version)| *version > sizes[0].2), "{name}: {sizes:?}");
    }
}

/// So many dots a module on a printer of 203 dots an inch: half a millimetre.
const MODULE: u32 = 4;
const QUIET: u32 = 4;

/// As the printer prints it.
fn printed(text: &str, module: u32) -> GrayImage {
    let code = qr(text);
    let modules = code.width() as u32;
    let colors = code.to_colors();
    GrayImage::from_fn((modules + 2 * QUIET) * module, (modules + 2 * QUIET) * module, |x, y| {
        let (x, y) = ((x / module).wrapping_sub(QUIET), (y / module).wrapping_sub(QUIET));
        let dark = x < modules && y < modules && colors[(y * modules + x) as usize] == Color::Dark;
        Luma([if dark { 0 } else { 255 }])
    })
}

#[test]
fn two_decoders_read_the_smallest_print() {
    for (name, code, text) in codes() {
        let paper = printed(&text, MODULE);
        // 45 modules of half a millimetre.
        assert_eq!(paper.width() * 254 / 2_032, 22, "millimetres: {name}");
        // At so many times its size, with a blur of so many dots (the standard deviation), on paper from so dark to so light. The
        // first are for the second decoder too, which gives up earlier than any scanner.
        for (nth, (scale, blur, darkest, lightest)) in [
            (1.0, 0.1, 0, 255),
            (0.5, 0.3, 40, 200),
            (0.75, 0.3, 60, 220),
            (0.75, 1.0, 60, 220),
            (1.0, 1.0, 60, 130),
            (1.0, 1.5, 40, 200),
            (1.3, 1.6, 30, 230),
        ]
        .into_iter()
        .enumerate()
        {
            let picture = seen(&paper, scale, blur, darkest, lightest);
            assert_eq!(by_zbar(&picture), [text.as_str()], "{name}, zbar, scale {scale}, blur {blur}");
            if nth < 3 {
                let read: Vec<_> = by_rqrr(&picture).into_iter().map(|found| found.text).collect();
                assert_eq!(read, [text.as_str()], "{name}, rqrr, scale {scale}, blur {blur}");
            }
        }
        assert_eq!(Code::read(&text, &keys()), Ok(code));
    }
}
