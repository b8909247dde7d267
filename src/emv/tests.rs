use jiff::civil::datetime;
use proptest::prelude::*;
use serde_json::Value;

use super::tlv::{self, Object};
use super::*;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/payment/emv.json")).unwrap()
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap()
}

fn published(name: &str) -> String {
    let golden = golden();
    let entry = golden["published"].as_array().unwrap().iter().find(|entry| entry["name"] == name);
    text(entry.unwrap_or_else(|| panic!("no {name}")), "payload").to_owned()
}

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn charge(code: &str) -> NewChargeFacts<'static> {
    NewChargeFacts {
        reference: "0123456789ABCDEFGHIJKLMN1",
        amount: 1050,
        currency: currency(code),
        terminal: "K0001",
        expires: None,
    }
}

fn merchant(toml: &str) -> Merchant {
    toml::from_str(toml).unwrap()
}

const PIX: &str = r#"profile = "pix"
key = "123e4567-e12b-12d1-a456-426655440000"
name = "Fulano de Tal"
city = "BRASILIA""#;
const PIX_DYNAMIC: &str = r#"profile = "pix-dynamic"
url = "pix.example.com/qr/{reference}"
name = "Fulano de Tal"
city = "BRASILIA""#;
const PROMPTPAY: &str = r#"profile = "promptpay"
proxy = "phone"
account = "0801234567""#;
const PROMPTPAY_BILL: &str = r#"profile = "promptpay-bill"
biller = "099400012345678"
ref3 = "SCB""#;
const PAYNOW: &str = r#"profile = "paynow"
proxy = "uen"
account = "201403121W"
name = "Demo Drinks""#;
const QRIS: &str = r#"profile = "qris"
acquirer = "ID.CO.TELKOM.WWW"
pan = "936008980255996627"
merchant = "000195255996627"
nmid = "ID1020021181745"
criteria = "UMI"
name = "InterActive Corp"
city = "KOTA SURABAYA"
postal = "60136"
category = "5732""#;
const DUITNOW: &str = r#"profile = "duitnow"
acquirer = "501664"
qr = "123456789"
name = "QRCSDNBHD"
city = "BANGI"
category = "9999""#;
const VIETQR: &str = r#"profile = "vietqr"
bin = "970416"
account = "257678859"
service = "account""#;
const UPI: &str = r#"profile = "upi"
address = "demo.drinks@bank"
name = "Demo Drinks & Co"
category = "5814""#;
const ALL: [(&str, &str); 9] = [
    (PIX, "BRL"),
    (PIX_DYNAMIC, "BRL"),
    (PROMPTPAY, "THB"),
    (PROMPTPAY_BILL, "THB"),
    (PAYNOW, "SGD"),
    (QRIS, "IDR"),
    (DUITNOW, "MYR"),
    (VIETQR, "VND"),
    (UPI, "INR"),
];

#[test]
fn the_checksum_is_ccitt_false() {
    assert_eq!(tlv::crc(b"123456789"), 0x29B1);
    assert_eq!(tlv::crc(b""), 0xFFFF);
}

#[test]
fn every_published_code_is_read_and_written_again_byte_for_byte() {
    let golden = golden();
    let entries = golden["published"].as_array().unwrap();
    assert_eq!(entries.len(), 16);
    for entry in entries {
        let (name, text) = (text(entry, "name"), text(entry, "payload"));
        let objects = tlv::open(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(tlv::seal(&objects).as_deref(), Ok(text), "{name}");
        let payload = Payload::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = payload.encode().unwrap();
        assert_eq!(Payload::parse(&again).as_ref(), Ok(&payload), "{name}");
        // Ours is in the order of the IDs; whoever is too gets the same text.
        if objects.is_sorted_by_key(|object| object.id) {
            assert_eq!(again, text, "{name}");
        }
    }
}

#[test]
fn the_specifications_own_sample_is_understood() {
    let payload = Payload::parse(&published("emvco")).unwrap();
    assert_eq!(payload.initiation, Some(Initiation::Dynamic));
    assert_eq!(payload.accounts.iter().map(|object| object.id).collect::<Vec<_>>(), [29, 31]);
    assert_eq!(value(&payload.account("D15600000001").unwrap().1, 3), Some("12345678"));
    assert_eq!((payload.currency.code(), payload.amount), ("CNY", Some(2372)));
    assert_eq!(payload.tip, Some(Tip::Prompt));
    assert_eq!((payload.category.as_deref(), payload.country.as_deref()), (Some("4111"), Some("CN")));
    assert_eq!((payload.name.as_deref(), payload.city.as_deref()), (Some("BEST TRANSPORT"), Some("BEIJING")));
    let local = payload.local.unwrap();
    assert_eq!((local.language.as_str(), local.name.as_str()), ("ZH", "最佳运输"));
    assert_eq!(local.city.as_deref(), Some("北京"));
    assert_eq!(payload.additional.get(Label::Store), Some("1234"));
    assert_eq!(payload.additional.get(Label::Customer), Some("***"));
    assert_eq!(payload.additional.get(Label::ConsumerRequest), Some("ME"));
    assert_eq!(payload.others, [Object::new(91, "0016A011223344998877070812345678")]);
}

#[test]
fn published_codes_are_read_by_their_profile() {
    let read = |name: &str| Merchant::read(&published(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let facts = |reading: &Reading| (reading.currency.code(), reading.amount, reading.reference.clone());

    let pix = read("pix-static");
    assert_eq!(pix.merchant, merchant(PIX));
    assert_eq!(facts(&pix), ("BRL", None, None));
    let pix = read("pix-static-amount");
    assert_eq!(facts(&pix), ("BRL", Some(1000), None));
    for name in ["pix-dynamic", "pix-composite"] {
        let Merchant::PixDynamic(pix) = read(name).merchant else { panic!("{name}") };
        assert_eq!(pix.url, "pix.example.com/8b3da2f39a4140d1a91abd93113bd441");
    }
    let pix = read("pix-two-arrangements");
    assert_eq!(facts(&pix), ("BRL", Some(12345), Some("RP12345678-2019".to_owned())));

    let phone = read("promptpay-phone");
    assert_eq!(phone.merchant, merchant(PROMPTPAY));
    assert_eq!(facts(&phone), ("THB", None, None));
    let amount = read("promptpay-amount");
    let Merchant::Promptpay(transfer) = &amount.merchant else { panic!() };
    assert_eq!((transfer.account.as_str(), amount.amount), ("0000000000", Some(422)));
    let Merchant::Promptpay(transfer) = read("promptpay-national-id").merchant else { panic!() };
    assert_eq!((transfer.proxy, transfer.account.as_str()), (PromptpayProxy::NationalId, "0123456789012"));

    let paynow = read("paynow");
    let Merchant::Paynow(account) = &paynow.merchant else { panic!() };
    assert_eq!((account.proxy, account.account.as_str(), account.editable), (PaynowProxy::Uen, "12345678", false));
    assert_eq!(facts(&paynow), ("SGD", Some(99), Some("testordernumber12345678".to_owned())));
    assert_eq!(paynow.expires, Some(datetime(2026, 3, 4, 23, 59, 59, 0)));
    let Merchant::Paynow(account) = read("sgqr").merchant else { panic!() };
    assert_eq!((account.account.as_str(), account.editable), ("T04SS0129D", true));

    let qris = read("qris");
    assert_eq!(qris.merchant, merchant(QRIS));
    assert_eq!(facts(&qris), ("IDR", Some(2_557_800), Some("413255111".to_owned())));

    let duitnow = read("duitnow-1");
    assert_eq!(duitnow.merchant, merchant(DUITNOW));
    assert_eq!(facts(&duitnow), ("MYR", Some(1000), None));

    let vietqr = read("vietqr");
    assert_eq!(vietqr.merchant, merchant(VIETQR));
    assert_eq!(facts(&vietqr), ("VND", Some(1000), Some("Chuyen tien".to_owned())));

    for name in ["emvco", "cambodia"] {
        assert_eq!(Merchant::read(&published(name)), Err(EmvError::UnknownScheme), "{name}");
    }
}

/// The same fields give the very text that the scheme published.
#[test]
fn published_codes_are_written_from_their_fields() {
    let paynow = merchant(
        "profile = \"paynow\"\nproxy = \"uen\"\naccount = \"12345678\"\nname = \"testcompany\"\ncity = \"Singapore\"",
    );
    let facts = NewChargeFacts {
        reference: "testordernumber12345678",
        amount: 99,
        currency: currency("SGD"),
        terminal: "",
        expires: Some(datetime(2026, 3, 4, 23, 59, 59, 0)),
    };
    // The published one has the day only.
    let made = paynow.payload(&facts).unwrap();
    let theirs = tlv::open(&published("paynow")).unwrap();
    let day: Vec<_> = tlv::open(&made)
        .unwrap()
        .into_iter()
        .map(|object| match object.id {
            26 => {
                let mut inside = object.objects().unwrap();
                inside[4].value.truncate(8);
                Object::template(26, &inside).unwrap()
            }
            _ => object,
        })
        .collect();
    assert_eq!(day, theirs);
    assert_eq!(tlv::seal(&day).unwrap(), published("paynow"));

    let made = merchant(QRIS).payload(&NewChargeFacts {
        amount: 2_557_800,
        reference: "413255111",
        terminal: "",
        ..charge("IDR")
    });
    // The published one asks for a tip.
    let theirs: Vec<_> = tlv::open(&published("qris")).unwrap().into_iter().filter(|object| object.id != 55).collect();
    let ours: Vec<_> = tlv::open(&made.unwrap()).unwrap().into_iter().filter(|object| object.id != 1).collect();
    assert_eq!(ours, theirs.into_iter().filter(|object| object.id != 1).collect::<Vec<_>>());

    let made = merchant(PIX).payload(&charge("BRL")).unwrap();
    let without: Vec<_> = tlv::open(&made).unwrap().into_iter().filter(|object| object.id != 54).collect();
    let theirs = tlv::open(&published("pix-static")).unwrap();
    assert_eq!(without[..without.len() - 1], theirs[..theirs.len() - 1]);
    assert_eq!(without.last().unwrap().value, "0525".to_owned() + charge("BRL").reference);

    let objects = |text: &str| {
        let mut objects = tlv::open(text).unwrap();
        objects.retain(|object| object.id != 62);
        objects.sort_by_key(|object| object.id);
        objects
    };
    let transfer = merchant("profile = \"promptpay\"\nproxy = \"phone\"\naccount = \"0000000000\"");
    let made = transfer.payload(&NewChargeFacts { amount: 422, ..charge("THB") }).unwrap();
    assert_eq!(objects(&made), objects(&published("promptpay-amount")));
    let made = merchant(DUITNOW).payload(&NewChargeFacts { amount: 1000, ..charge("MYR") }).unwrap();
    assert_eq!(objects(&made)[2..], objects(&published("duitnow-1"))[2..]);
    assert!(made.starts_with("000202"));
    let made = merchant(VIETQR).payload(&NewChargeFacts { amount: 1000, ..charge("VND") }).unwrap();
    assert_eq!(objects(&made), objects(&published("vietqr")));
}

#[test]
fn malformed_pix_codes_are_refused_and_valid_ones_are_not() {
    let golden = golden();
    let malformed = golden["pix"]["malformed"].as_array().unwrap();
    assert_eq!(malformed.len(), 17);
    for entry in malformed {
        let name = text(entry, "name");
        let why = match Merchant::read(text(entry, "payload")) {
            Ok(reading) => panic!("{name}: {reading:?}"),
            Err(why) => why,
        };
        // The reason is the one its name tells, not another that hides it.
        let told = match name {
            "checksum-wrong" => matches!(why, EmvError::Structure(TlvError::Crc { written: 0x1D3E, computed: 0x1D3D })),
            "checksum-not-hexadecimal" => why == EmvError::Structure(TlvError::CrcFormat),
            "checksum-absent" => why == EmvError::Structure(TlvError::Last),
            "length-beyond-the-end" => why == EmvError::Structure(TlvError::Truncated { id: 26 }),
            "length-not-digits" => why == EmvError::Structure(TlvError::Header { at: 0 }),
            "initiation-13" => matches!(why, EmvError::Object { id: 1, .. }),
            "amount-not-a-number" => matches!(why, EmvError::Amount(_)),
            "another-owner" => why == EmvError::UnknownScheme,
            "boleto" | "free-text" => matches!(why, EmvError::Structure(_)),
            _ => matches!(why, EmvError::NotScheme { scheme: "PIX", .. }),
        };
        assert!(told, "{name}: {why:?}");
    }
    for entry in golden["pix"]["valid"].as_array().unwrap() {
        let reading = Merchant::read(text(entry, "payload")).unwrap();
        assert!(matches!(reading.merchant, Merchant::Pix(_)), "{}", text(entry, "name"));
    }
}

#[test]
fn codes_from_the_field_get_the_verdict_they_had() {
    let golden = golden();
    let codes = golden["field"]["codes"].as_array().unwrap();
    assert_eq!(codes.len(), 12);
    for entry in codes {
        let (name, read) = (text(entry, "name"), Payload::parse(text(entry, "payload")));
        match text(entry, "verdict") {
            "OK" => assert!(read.unwrap().name.is_some(), "{name}"),
            // Whole for PromptPay, which needs neither category nor name nor city.
            "MISSING" => assert_eq!(read.unwrap().name, None, "{name}"),
            "CRC" => assert!(matches!(read, Err(EmvError::Structure(TlvError::Crc { .. }))), "{name}: {read:?}"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn broken_structure_has_a_name() {
    let with_crc = |body: &str| {
        let body = format!("{body}6304");
        format!("{body}{:04X}", tlv::crc(body.as_bytes()))
    };
    let long = "0".repeat(99);
    let cases = [
        (String::new(), TlvError::First),
        (with_crc("5303986"), TlvError::First),
        (with_crc("00020153039865303986"), TlvError::Duplicate { id: 53 }),
        (with_crc("0002015300"), TlvError::Empty { id: 53 }),
        (with_crc("00020153 3986"), TlvError::Header { at: 6 }),
        (with_crc("0002015３03986"), TlvError::Header { at: 6 }),
        (with_crc("0002015303９86"), TlvError::Crc { written: 0, computed: 0 }),
        ("000201530398".to_owned(), TlvError::Truncated { id: 53 }),
        ("0002015303986".to_owned(), TlvError::Last),
        (format!("{}53", with_crc("000201")), TlvError::Header { at: 14 }),
        (format!("{}5303986", with_crc("000201")), TlvError::Last),
        (with_crc("0002016304ABCD5303986"), TlvError::Duplicate { id: 63 }),
        ("0002016303ABC".to_owned(), TlvError::CrcFormat),
        ("0002016304+123".to_owned(), TlvError::CrcFormat),
        (with_crc("0002015303\n86"), TlvError::Control { id: 53 }),
        (with_crc(&format!("0002010199{long}0299{long}0399{long}0499{long}0599{long}")), TlvError::TooLong),
    ];
    for (text, why) in cases {
        match (tlv::open(&text), why) {
            // A full-width digit is one character of three bytes: the structure is whole.
            (Ok(objects), TlvError::Crc { .. }) => assert_eq!(objects[1].value, "９86"),
            (read, why) => assert_eq!(read, Err(why), "{text}"),
        }
    }
    let first = Object::new(0, "01");
    for (objects, why) in [
        (vec![], TlvError::First),
        (vec![Object::new(1, "11")], TlvError::First),
        (vec![first.clone(), Object::new(63, "ABCD")], TlvError::Last),
        (vec![first.clone(), Object::new(100, "1")], TlvError::Id { id: 100 }),
        (vec![first.clone(), first.clone()], TlvError::Duplicate { id: 0 }),
        (vec![first.clone(), Object::new(2, "")], TlvError::Empty { id: 2 }),
        (vec![first.clone(), Object::new(2, "é".repeat(100))], TlvError::Overlong { id: 2 }),
        (vec![first.clone(), Object::new(2, "\u{7}")], TlvError::Control { id: 2 }),
        (std::iter::once(first).chain((2..8).map(|id| Object::new(id, "9".repeat(99)))).collect(), TlvError::TooLong),
    ] {
        assert_eq!(tlv::seal(&objects), Err(why));
    }
}

#[test]
fn fields_that_the_specification_forbids_are_refused() {
    let seal = |objects: &[(u8, &str)]| {
        let objects: Vec<_> = objects.iter().map(|(id, value)| Object::new(*id, *value)).collect();
        Payload::parse(&tlv::seal(&objects).unwrap())
    };
    let good = [(0, "01"), (4, "1"), (53, "986")];
    assert!(seal(&good).is_ok());
    for (id, bad) in [
        (1, "13"),
        (26, "0103abc"),
        (26, "0014br"),
        (52, "123"),
        (52, "12a4"),
        (55, "01x"),
        (55, "02"),
        (56, "1.00"),
        (58, "br"),
        (58, "BRA"),
        (62, "0126a label of twenty-six chars"),
        (62, "0901X"),
        (62, "05"),
        (64, "0002ZH"),
        (64, "0001Z0101x"),
        (80, "0103abc"),
    ] {
        let mut objects = good.to_vec();
        objects.push((id, bad));
        let read = seal(&objects);
        assert!(
            matches!(read, Err(EmvError::Object { id: at, .. }) if at == id || at == 55)
                || matches!(read, Err(EmvError::Structure(_))),
            "{id} {bad}: {read:?}"
        );
    }
    assert_eq!(seal(&[(0, "01"), (4, "1")]), Err(EmvError::Missing { id: 53 }));
    assert_eq!(seal(&[(0, "01"), (53, "986")]), Err(EmvError::NoAccount));
    assert!(matches!(seal(&[(0, "03"), (4, "1"), (53, "986")]), Err(EmvError::Object { id: 0, .. })));
    assert!(matches!(seal(&[(0, "01"), (4, "1"), (53, "001")]), Err(EmvError::Object { id: 53, .. })));
}

#[test]
fn the_order_of_objects_means_nothing() {
    let template = |id: u8, inside: &[(u8, &str)]| {
        let inside: Vec<_> = inside.iter().map(|(id, value)| Object::new(*id, *value)).collect();
        Object::template(id, &inside).unwrap()
    };
    let one = [
        Object::new(0, "01"),
        template(26, &[(0, "a"), (1, "b")]),
        Object::new(4, "1"),
        template(80, &[(0, "c")]),
        Object::new(53, "986"),
        template(62, &[(50, "x"), (5, "y"), (10, "z")]),
        template(64, &[(1, "name"), (4, "x"), (0, "PT"), (3, "y")]),
        Object::new(70, "d"),
    ];
    let read = Payload::parse(&tlv::seal(&one).unwrap()).unwrap();
    assert_eq!(read.accounts.iter().map(|object| object.id).collect::<Vec<_>>(), [4, 26]);
    assert_eq!(read.additional.others.iter().map(|object| object.id).collect::<Vec<_>>(), [10, 50]);
    assert_eq!(Payload::parse(&read.encode().unwrap()), Ok(read));
}

#[test]
fn tips_and_local_names_come_back() {
    let mut payload = Payload::parse(&published("emvco")).unwrap();
    for tip in [None, Some(Tip::Prompt), Some(Tip::Fixed(150)), Some(Tip::Percent(525))] {
        payload.tip = tip;
        assert_eq!(Payload::parse(&payload.encode().unwrap()).as_ref(), Ok(&payload));
    }
}

#[test]
fn what_is_written_keeps_the_limits_that_readers_forgive() {
    let mut payload = Payload::parse(&published("emvco")).unwrap();
    payload.name = Some("a name of twenty-six chars".to_owned());
    assert!(matches!(payload.encode(), Err(EmvError::Object { id: 59, .. })));
    payload.name = Some("最佳运输".to_owned());
    assert!(matches!(payload.encode(), Err(EmvError::Object { id: 59, .. })));
    payload.name = None;
    payload.city = Some("sixteen letters!".to_owned());
    assert!(matches!(payload.encode(), Err(EmvError::Object { id: 60, .. })));
    payload.city = None;
    payload.postal = Some("12345678901".to_owned());
    assert!(matches!(payload.encode(), Err(EmvError::Object { id: 61, .. })));
    payload.postal = None;
    payload.category = Some("411".to_owned());
    assert!(matches!(payload.encode(), Err(EmvError::Object { id: 52, .. })));
    payload.category = None;
    payload.accounts.clear();
    assert_eq!(payload.encode(), Err(EmvError::NoAccount));
}

#[test]
fn every_profile_says_what_was_meant_and_nothing_else() {
    for (toml, code) in ALL {
        let (merchant, facts) = (merchant(toml), charge(code));
        merchant.check().unwrap();
        assert_eq!(merchant.currency().code(), code);
        let made = merchant.payload(&facts).unwrap();
        let read = Merchant::read(&made).unwrap();
        assert_eq!(read.currency.code(), code);
        assert_eq!(read.expires, None);
        let (terminal, amount, reference) = match &merchant {
            Merchant::Pix(_) => (None, Some(1050), Some(facts.reference)),
            Merchant::PixDynamic(_) => (None, None, None),
            Merchant::PromptpayBill(_) => (Some("SCB"), Some(1050), Some(facts.reference)),
            _ => (Some("K0001"), Some(1050), Some(facts.reference)),
        };
        assert_eq!(read.amount, amount, "{made}");
        assert_eq!(read.terminal.as_deref(), terminal, "{made}");
        assert_eq!(read.reference.as_deref(), reference, "{made}");
        if let Merchant::PixDynamic(pix) = &read.merchant {
            assert_eq!(pix.url, format!("pix.example.com/qr/{}", facts.reference));
        } else {
            assert_eq!(read.merchant, merchant);
        }
        let static_code = made.starts_with("00020126");
        assert_eq!(static_code, matches!(merchant, Merchant::Pix(_)), "only PIX with a key has no 01");
    }
}

#[test]
fn every_profile_refuses_what_does_not_fit() {
    for (toml, code) in ALL {
        let merchant = merchant(toml);
        let good = charge(code);
        let other = if code == "EUR" { "USD" } else { "EUR" };
        let refused = merchant.payload(&charge(other)).unwrap_err();
        assert!(matches!(refused, EmvError::Currency { takes, got, .. } if takes == code && got == other));
        for reference in ["", "0123456789ABCDEFGHIJKLMN12", "with_underscore", "é", "a b"] {
            let refused = merchant.payload(&NewChargeFacts { reference, ..good }).unwrap_err();
            assert!(matches!(refused, EmvError::Reference { .. }), "{toml}: {reference}: {refused:?}");
        }
        for terminal in ["a terminal of twenty-six ch", "Ürümqi", "a\nb"] {
            let refused = merchant.payload(&NewChargeFacts { terminal, ..good }).unwrap_err();
            assert!(matches!(refused, EmvError::Field { field: "terminal", .. }), "{toml}: {terminal}");
        }
        if !matches!(merchant, Merchant::PixDynamic(_)) {
            for amount in [0, -1, i64::MIN, i64::MAX, 100_000_000_000_000] {
                let refused = merchant.payload(&NewChargeFacts { amount, ..good }).unwrap_err();
                assert!(matches!(refused, EmvError::Amount(_)), "{toml}: {amount}: {refused:?}");
            }
        }
        assert!(merchant.payload(&NewChargeFacts { terminal: "", ..good }).is_ok());
    }
    let refused =
        merchant(PROMPTPAY_BILL).payload(&NewChargeFacts { reference: "small", ..charge("THB") }).unwrap_err();
    assert_eq!(refused.to_string(), "a reference for PromptPay has 1 to 25 capitals and digits");
}

#[test]
fn a_field_that_does_not_fit_is_named_with_what_to_write() {
    let cases = [
        (
            PIX,
            "key",
            vec!["", "1234567890", "123E4567-e12b-12d1-a456-426655440000", "Ana@example.com", "@x.y", "+0123456789"],
        ),
        (PIX, "name", vec!["", " x", "a name of twenty-six chars", "São Paulo"]),
        (PIX, "city", vec!["", "sixteen letters!"]),
        (PIX, "info", vec!["", "thirty-eight characters and not less!!", "é"]),
        (PIX, "postal", vec!["7007490", "70074-900"]),
        (PIX, "category", vec!["", "12", "abcd"]),
        (
            PIX_DYNAMIC,
            "url",
            vec![
                "pix.example.com/qr",
                "https://pix.example.com/{reference}",
                "pix.example.com/{reference}/{reference}",
                "pix.example.com/a-path-that-leaves-not-enough-room-for-the-reference/{reference}",
                "{reference}",
                "pix.example.com/a b/{reference}",
            ],
        ),
        (PROMPTPAY, "account", vec!["", "801234567", "+66801234567", "08012345678"]),
        (PROMPTPAY, "name", vec!["ร้าน"]),
        (PROMPTPAY_BILL, "biller", vec!["", "0994000123456", "09940001234567A"]),
        (PROMPTPAY_BILL, "ref3", vec!["", "scb", "ABCDEFGHIJKLMNOPQRSTU"]),
        (PAYNOW, "account", vec!["", "1234567", "201403121w", "+6591234567"]),
        (QRIS, "acquirer", vec!["", "ID.CO.QRIS.WWW", "bank"]),
        (QRIS, "pan", vec!["", "836008980255996627", "93600898025"]),
        (QRIS, "merchant", vec!["", "1234567890123456", "a-b"]),
        (QRIS, "nmid", vec!["", "1020021181745", "ID102002118174"]),
        (QRIS, "postal", vec!["", "6013"]),
        (DUITNOW, "acquirer", vec!["", "50166"]),
        (DUITNOW, "qr", vec!["", "a b"]),
        (VIETQR, "bin", vec!["", "97041"]),
        (VIETQR, "account", vec!["", "12345678901234567890"]),
        (UPI, "address", vec!["", "demo", "@bank", "a@b@c", "a b@bank"]),
        (UPI, "name", vec!["", "é"]),
        (UPI, "category", vec!["1"]),
    ];
    for (toml, name, values) in cases {
        for value in values {
            let mut table: toml::Table = toml.parse().unwrap();
            table.insert(name.to_owned(), value.into());
            let merchant: Merchant = table.try_into().unwrap();
            match merchant.check() {
                Err(why @ EmvError::Field { field, .. }) => {
                    assert_eq!(field, name, "{value}");
                    let telling = value.len() > 3 && !value.starts_with('{');
                    assert!(!telling || !why.to_string().contains(value), "{why} repeats what was written");
                }
                other => panic!("{name} = {value:?}: {other:?}"),
            }
        }
    }
    let mut mobile: toml::Table = PAYNOW.parse().unwrap();
    mobile.insert("proxy".to_owned(), "mobile".into());
    assert!(mobile.clone().try_into::<Merchant>().unwrap().check().is_err());
    mobile.insert("account".to_owned(), "+6591234567".into());
    assert_eq!(mobile.try_into::<Merchant>().unwrap().check(), Ok(()));
    for key in
        ["16802188830", "00038166000105", "12ABC34501DE35", "+5561912345678", "fulano_da_silva.recebedor@example.com"]
    {
        let mut table: toml::Table = PIX.parse().unwrap();
        table.insert("key".to_owned(), key.into());
        assert_eq!(table.try_into::<Merchant>().unwrap().check(), Ok(()), "{key}");
    }
}

#[test]
fn the_configuration_refuses_a_field_it_does_not_know() {
    let mut table: toml::Table = PIX.parse().unwrap();
    table.insert("iban".to_owned(), "x".into());
    assert!(table.try_into::<Merchant>().is_err());
    let schema = serde_json::to_value(schemars::schema_for!(Merchant)).unwrap();
    let choices = schema["oneOf"].as_array().unwrap();
    let profiles: Vec<_> =
        choices.iter().map(|choice| choice["properties"]["profile"]["const"].as_str().unwrap()).collect();
    let expected = ["pix", "pix-dynamic", "promptpay", "promptpay-bill", "paynow", "qris", "duitnow", "vietqr", "upi"];
    assert_eq!(profiles, expected);
    for (choice, profile) in choices.iter().zip(profiles) {
        for (name, property) in choice["properties"].as_object().unwrap() {
            let described = property["description"].is_string() || property["$ref"].is_string() || name == "profile";
            assert!(described, "{profile}.{name} has no description");
        }
    }
}

#[test]
fn paynow_says_when_it_ends() {
    let expires = datetime(2026, 12, 31, 23, 5, 9, 0);
    let made = merchant(PAYNOW).payload(&NewChargeFacts { expires: Some(expires), ..charge("SGD") }).unwrap();
    assert!(made.contains("041420261231230509"), "{made}");
    assert_eq!(Merchant::read(&made).unwrap().expires, Some(expires));
}

#[test]
fn a_bill_has_the_reference_in_two() {
    let made = merchant(PROMPTPAY_BILL).payload(&charge("THB")).unwrap();
    let (_, account) = Payload::parse(&made).unwrap().account("A000000677010112").unwrap();
    assert_eq!(value(&account, 1), Some("099400012345678"));
    assert_eq!((value(&account, 2), value(&account, 3)), (Some("0123456789ABCDEFGHIJ"), Some("KLMN1")));
    let made = merchant(PROMPTPAY_BILL).payload(&NewChargeFacts { reference: "INV1", ..charge("THB") }).unwrap();
    let (_, account) = Payload::parse(&made).unwrap().account("A000000677010112").unwrap();
    assert_eq!((value(&account, 2), value(&account, 3)), (Some("INV1"), None));
}

#[test]
fn upi_links() {
    let golden = golden();
    let link = text(&golden["upi"], "link");
    let read = Merchant::read(link).unwrap();
    let Merchant::Upi(upi) = &read.merchant else { panic!() };
    assert_eq!((upi.address.as_str(), upi.name.as_str()), ("nadeem@npci", "nadeem chinna"));
    assert_eq!((read.amount, read.reference.as_deref()), (Some(1000), Some("4894398cndhcd23")));
    assert_eq!(read.terminal.as_deref(), Some("Pay to mystar store"));
    let url = upi::parameters(link).unwrap().pop().unwrap();
    assert_eq!(url.1, "https://mystar.com/orderid=9298yw89e8973e87389e78923ue892");

    assert_eq!(
        merchant(UPI).payload(&charge("INR")).unwrap(),
        "upi://pay?pa=demo.drinks@bank&pn=Demo%20Drinks%20%26%20Co&mc=5814&tr=0123456789ABCDEFGHIJKLMN1&tn=K0001&am=10.50&cu=INR"
    );
    for bad in [
        "upi:",
        "upi://pay",
        "upi://pay?",
        "upi://pay?pa",
        "upi://pay?pa=a@bank",
        "upi://pay?pn=x",
        "upi://pay?pa=a@bank&pn=x&pa=b@bank",
        "upi://pay?pa=a@bank&pn=x&cu=USD",
        "upi://pay?pa=a@bank&pn=%f",
        "upi://pay?pa=a@bank&pn=%ff",
        "upi://pay?pa=a@bank&pn=%0a",
        "upi://pay?pa=a@bank&pn=%+1",
        "upi://pay?pa=a@bank&=x",
        "upi://mandate?pa=a@bank&pn=x",
    ] {
        assert!(matches!(Merchant::read(bad), Err(EmvError::Link(_))), "{bad}");
    }
    let long = format!("upi://pay?pa=a@bank&pn={}", "x".repeat(512));
    assert_eq!(Merchant::read(&long), Err(EmvError::Structure(TlvError::TooLong)));
    assert!(matches!(Merchant::read("upi://pay?pa=a@bank&pn=x&am=1.005"), Err(EmvError::Amount(_))));
}

fn objects() -> impl Strategy<Value = Vec<Object>> {
    let value = prop_oneof!["[ -~]{1,30}", "\\PC{1,12}"];
    proptest::collection::btree_map(1u8..100, value, 0..12).prop_map(|map| {
        let rest = map.into_iter().filter(|(id, _)| *id != 63).map(|(id, value)| Object::new(id, value));
        std::iter::once(Object::new(0, "01")).chain(rest).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn objects_come_back(objects in objects(), order in any::<u64>()) {
        let mut objects = objects;
        let places = objects.len() as u64 - 1;
        if places > 1 {
            objects[1..].rotate_left((order % places) as usize);
        }
        match tlv::seal(&objects) {
            Ok(text) => {
                prop_assert_eq!(tlv::open(&text), Ok(objects));
            }
            Err(why) => prop_assert_eq!(why, TlvError::TooLong),
        }
    }

    #[test]
    fn any_text_gets_an_answer(text in "\\PC{0,200}|[0-9]{0,200}|upi://pay\\?\\PC{0,60}") {
        let _ = Merchant::read(&text);
        let body = format!("000201{text}6304");
        let _ = Merchant::read(&format!("{body}{:04X}", tlv::crc(body.as_bytes())));
    }

    /// A code with one character changed is refused, or says the same (the checksum's letters in lower case).
    #[test]
    fn a_changed_character_is_noticed(which in 0usize..8, at in any::<prop::sample::Index>(), to in "[ -~]") {
        let (toml, code) = ALL[which];
        let text = merchant(toml).payload(&charge(code)).unwrap();
        let mut changed = text.clone();
        let at = at.index(text.len());
        changed.replace_range(at..=at, &to);
        if changed.to_uppercase() != text.to_uppercase() || at < text.len() - 4 && changed != text {
            prop_assert!(Payload::parse(&changed).is_err(), "{}", changed);
        }
    }

    #[test]
    fn names_and_amounts_come_back(
        which in 0usize..9,
        name in "[!-~]([ -~]{0,23}[!-~])?",
        reference in "[0-9A-Z]{1,25}",
        terminal in "[ -~]{0,25}",
        amount in 1i64..1_000_000_000_000,
    ) {
        let (toml, code) = ALL[which];
        let mut table: toml::Table = toml.parse().unwrap();
        table.insert("name".to_owned(), name.into());
        let merchant: Merchant = table.try_into().unwrap();
        let facts = NewChargeFacts { reference: &reference, amount, terminal: &terminal, ..charge(code) };
        let text = merchant.payload(&facts).unwrap();
        let read = Merchant::read(&text).unwrap();
        if !matches!(merchant, Merchant::PixDynamic(_)) {
            prop_assert_eq!(&read.merchant, &merchant);
            prop_assert_eq!(read.amount, Some(amount));
            prop_assert_eq!(read.reference, Some(reference));
        }
        if let Ok(payload) = Payload::parse(&text) {
            prop_assert_eq!(payload.encode().unwrap(), text);
        }
    }
}
